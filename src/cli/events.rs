//! The calls in what people saved: files, folders and standard input, with events as they come by EventBridge, in log
//! files of CloudTrail, from `lookup-events`, from queues and logs; one or thousands, each read as the function reads it.
//!
//! Owns: where events are found, and what is said of everything else. Nothing is lost of a file because a part of it is
//! broken. Must not: read an event (`event` does), or judge.

mod foreign;
mod pieces;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use self::pieces::{Piece, Pieces};
use crate::audit::source::{self, Source};
use crate::cli::progress::Progress;
use crate::event::batch::{self, Delivery};
use crate::event::described::{self, Described};
use crate::event::json as text;
use crate::event::{EventError, Parsed, Trigger, payload};
use crate::model::text::{plain, quoted};

/// Lists of events, by their keys, and the field of an item that holds the event as text, if it does not stand there itself:
/// log files of CloudTrail and batches; `aws cloudtrail lookup-events`; `aws logs filter-log-events`; `aws sqs
/// receive-message`.
const LISTS: [(&str, Option<&str>); 4] =
    [("Records", None), ("Events", None), ("events", Some("message")), ("Messages", Some("Body"))];
const KEYS: &[&str] = &[LISTS[0].0, LISTS[1].0, LISTS[2].0, LISTS[3].0];
/// Keys beside a list that say that there is more of it.
const TOKENS: [&str; 2] = ["NextToken", "nextToken"];
/// Lists in lists and texts in texts, as `--query` and queues make them.
const MAX_DEPTH: usize = 4;
/// Events that are named where one has to be chosen.
const MAX_NAMED: usize = 6;
/// Troubles that are said; of more only their number.
const MAX_TROUBLES: usize = 20;

/// An event, and where it stands.
pub(super) struct Read {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) parsed: Parsed,
    /// What the event tells of rules beside what they let in.
    pub(super) described: Vec<Described>,
}

/// Something that is no event, or could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// A sentence that names the file.
    pub(super) what: String,
    /// Somebody asked for just this, or a part of it is lost: not only left out.
    pub(super) is_error: bool,
}

/// What was wrong, as far as it is said.
#[derive(Default)]
pub(super) struct Troubles {
    said: Vec<Trouble>,
    more: usize,
}

impl Troubles {
    fn add(&mut self, is_error: bool, what: String) {
        let trouble = Trouble { what, is_error };
        if self.said.contains(&trouble) {
            return;
        }
        let has_room = self.said.len() < MAX_TROUBLES;
        // An error is more than a remark.
        let remark = || self.said.iter().rposition(|said| !said.is_error).filter(|_| is_error);
        match (has_room, if has_room { None } else { remark() }) {
            (true, _) => self.said.push(trouble),
            (false, place) => {
                self.more += 1;
                if let Some(place) = place {
                    self.said.remove(place);
                    self.said.push(trouble);
                }
            }
        }
    }

    pub(super) fn any_error(&self) -> bool {
        self.said.iter().any(|trouble| trouble.is_error)
    }

    /// Where there was no event at all: that this is all there is to say.
    pub(super) fn as_error(&self) -> anyhow::Error {
        let (said, more) = self.said();
        // What only was left out of a folder is why there is nothing.
        let Some((first, rest)) = said.split_first() else {
            return anyhow::anyhow!("there is no event in what was named: name files, or a folder that has some");
        };
        let rest = rest.iter().map(|trouble| trouble.what.clone());
        let more = (more > 0).then(|| format!("{more} more problems like these"));
        let all: Vec<String> = [first.what.clone()].into_iter().chain(rest).chain(more).collect();
        anyhow::anyhow!("{}", all.join("\nerror: "))
    }

    /// For standard error.
    pub(super) fn in_words(&self) -> Vec<String> {
        let word = |trouble: &Trouble| if trouble.is_error { "error" } else { "warning" };
        let said = self.said.iter().map(|trouble| format!("{}: {}", word(trouble), trouble.what));
        let more = (self.more > 0).then(|| format!("warning: {} more problems like these", self.more));
        said.chain(more).collect()
    }

    /// The sentences, and how many more there are.
    pub(super) fn said(&self) -> (&[Trouble], usize) {
        (&self.said, self.more)
    }
}

/// Gives each event of what was named to `take`, until that says that it is enough.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn read(named: &[PathBuf], take: &mut dyn FnMut(Read) -> bool) -> anyhow::Result<Troubles> {
    let sources = source::sources(named).map_err(anyhow::Error::msg)?;
    let mut progress = Progress::of(sources.len());
    let mut reader = Reader { take, troubles: Troubles::default(), is_enough: false };
    for source in &sources {
        progress.at(&source.name());
        reader.source(source);
        if reader.is_enough {
            break;
        }
    }
    Ok(reader.troubles)
}

/// What a document is that is no snapshot of groups, if that is known: an event, or something else.
pub(super) fn what_it_is(value: &Value, file: &str) -> Option<String> {
    let is_event = || parsed(value).iter().any(Result::is_ok);
    foreign::of(value, file).or_else(|| is_event().then(|| "this is an event, and not what is open".to_owned()))
}

/// The one event of a file, or the one of this id, and what was wrong with the rest.
///
/// # Errors
/// None, more than one, or a file that cannot be read.
pub(super) fn one(path: &Path, id: Option<&str>) -> anyhow::Result<(Read, Troubles)> {
    let mut found: Vec<(Read, Option<String>)> = Vec::new();
    let mut ids = Vec::new();
    let troubles = read(&[path.to_owned()], &mut |read| {
        let own = match &read.parsed {
            Parsed::Trigger(Trigger::Change(change)) => Some(change.event.id.clone()),
            _ => None,
        };
        if ids.len() < MAX_NAMED {
            ids.extend(own.as_deref().map(quoted));
        }
        if id.is_none_or(|id| own.as_deref() == Some(id)) {
            found.push((read, own));
        }
        found.len() < MAX_NAMED || id.is_some()
    })?;
    // Of many calls those count that the guard follows.
    if found.len() > 1 && found.iter().any(|(_, own)| own.is_some()) {
        found.retain(|(_, own)| own.is_some());
    }
    let name = plain(&path.display().to_string());
    if id.is_none() && found.len() > 1 {
        anyhow::bail!(
            "event `{name}` has {} events or more, and this is about one; choose it with `--event-id`: {}",
            found.len(),
            ids.join(", ")
        );
    }
    match (found.into_iter().next(), id) {
        (Some((first, _)), _) => Ok((first, troubles)),
        (None, Some(id)) if !ids.is_empty() => {
            let more = if ids.len() < MAX_NAMED { "" } else { " and perhaps more" };
            anyhow::bail!("event `{name}` has no call of the id {}; it has {}{more}", quoted(id), ids.join(", "))
        }
        (None, _) => Err(troubles.as_error()),
    }
}

struct Reader<'t> {
    take: &'t mut dyn FnMut(Read) -> bool,
    troubles: Troubles,
    is_enough: bool,
}

impl Reader<'_> {
    fn source(&mut self, source: &Source) {
        let name = source.name();
        let from = match source.open() {
            Ok(from) => from,
            Err(why) => return self.troubles.add(source.is_named(), format!("event {why}")),
        };
        let mut pieces = Pieces::new(from, KEYS);
        let mut file = File { source, name: &name, has_event: false, has_any: false };
        while !self.is_enough {
            let piece = match pieces.next() {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    let read = if file.has_event { "; what stands before was read" } else { "" };
                    return self.troubles.add(true, format!("{}{read}", source.broke_off(&error)));
                }
            };
            self.piece(&mut file, piece);
        }
        if !file.has_any {
            let why = format!("event {name} is empty; expected JSON");
            self.troubles.add(source.is_named(), why);
        }
    }

    fn piece(&mut self, file: &mut File<'_>, piece: Piece) {
        let was_first = !std::mem::replace(&mut file.has_any, true);
        let name = file.name;
        // What only stands in a folder may be anything, as long as it does not begin like events.
        let is_foreign = was_first && !file.source.is_named();
        match piece {
            Piece::Item { text: item, line, list } => match text::read(&item) {
                Ok(value) => self.value(file, &value, (line, list), MAX_DEPTH),
                Err(why) => {
                    let line = line + why.line().saturating_sub(1);
                    let why = plain(why.to_string().split(" at line ").next().unwrap_or_default());
                    self.troubles.add(true, format!("event {name}, line {line}, is not JSON: {why}"));
                }
            },
            Piece::End { rest } => {
                let rest = text::read(&rest).unwrap_or_default();
                if TOKENS.iter().any(|token| rest.get(token).is_some_and(|token| !token.is_null())) {
                    let why = "holds a token for the next page, so there are more events; run the command without \
                               `--max-items` and `--no-paginate`";
                    self.troubles.add(false, format!("{name} {why}"));
                }
            }
            Piece::TooLarge { line, keys } => {
                let what = foreign::of_keys(&keys, &file.source.path()).unwrap_or_else(|| {
                    "it is larger than any event: name a file of events, one JSON document for each".to_owned()
                });
                self.troubles.add(true, format!("{name}, line {line}: {what}"));
            }
            Piece::Broken { line, shown } => {
                let hint = foreign::of_text(&shown).unwrap_or("events are JSON; save them as the AWS CLI prints them");
                let at = if line == 1 { String::new() } else { format!(", line {line},") };
                let left_out = if is_foreign { "; it was left out" } else { "" };
                let what = format!("event {name}{at} is not JSON: {}; {hint}{left_out}", quoted(&shown));
                if is_foreign || file.is_other() {
                    self.troubles.add(file.source.is_named(), what);
                    return;
                }
                self.troubles.add(true, what);
            }
            Piece::Cut { line } => {
                let read = if file.has_event { "; what stands before was read" } else { "" };
                let what = format!(
                    "event {name} is not JSON to its end: it breaks off in what begins at line {line}, so it was cut; save \
                     it again{read}"
                );
                self.troubles.add(true, what);
            }
        }
    }

    fn value(&mut self, file: &mut File<'_>, value: &Value, at: (usize, Option<&str>), depth: usize) {
        let (line, list) = at;
        let inner = list.and_then(|list| LISTS.iter().find(|(known, _)| *known == list)).and_then(|(_, field)| *field);
        if let Some(inner) = inner.and_then(|field| value.get(field)) {
            return self.value(file, inner, (line, None), depth);
        }
        match value {
            Value::Array(items) if depth > 0 => {
                for item in items {
                    self.value(file, item, (line, None), depth - 1);
                }
            }
            Value::String(text) if depth > 0 && text.trim_start().starts_with(['{', '[', '"']) => {
                match text::read(text) {
                    Ok(value) => self.value(file, &value, (line, None), depth - 1),
                    Err(why) => {
                        let what = format!("event {}, line {line}, is text that is no JSON: {why}", file.name);
                        self.troubles.add(true, what);
                    }
                }
            }
            _ => {
                // Of a batch every message by itself.
                let is_message = list == Some("Records") && value.get("eventName").is_none();
                let whole = if is_message { json!({"Records": [value]}) } else { Value::Null };
                for parsed in parsed(if is_message { &whole } else { value }) {
                    self.parsed(file, value, line, parsed);
                }
            }
        }
    }

    fn parsed(&mut self, file: &mut File<'_>, value: &Value, line: usize, parsed: Result<Parsed, EventError>) {
        if self.is_enough {
            return;
        }
        match parsed {
            Ok(parsed) => {
                file.has_event = true;
                let described = if is_change(&parsed) { described::described(value) } else { Vec::new() };
                let read = Read { file: file.source.path(), line, parsed, described };
                self.is_enough = !(self.take)(read);
            }
            Err(error) => {
                let name = file.name;
                if let Some(what) = foreign::of(value, &file.source.path()) {
                    return self.troubles.add(file.source.is_named(), format!("{name}: {what}"));
                }
                let at = if line == 1 { String::new() } else { format!(", line {line},") };
                let why = plain(&error.to_string());
                // In a folder there may be anything; what looks like an event should be one.
                let is_error = file.source.is_named() || error.at != "$";
                self.troubles.add(is_error, format!("event {name}{at} is not understood: {why}"));
            }
        }
    }
}

/// What is known of the file so far.
struct File<'s> {
    source: &'s Source,
    name: &'s str,
    has_event: bool,
    has_any: bool,
}

impl File<'_> {
    /// In a folder, and without any event yet.
    fn is_other(&self) -> bool {
        !self.source.is_named() && !self.has_event
    }
}

fn is_change(parsed: &Parsed) -> bool {
    matches!(parsed, Parsed::Trigger(Trigger::Change(_)))
}

/// The events of a payload, read as the function reads it.
fn parsed(payload: &Value) -> Vec<Result<Parsed, EventError>> {
    match batch::read(payload) {
        None => vec![payload::parse(payload)],
        Some(Err(error)) => vec![Err(error)],
        Some(Ok(batch)) => batch.deliveries.into_iter().map(|Delivery { parsed, .. }| parsed).collect(),
    }
}
