//! YAML text as a tree whose every node knows its position.
//!
//! Owns: reading within limits (a hostile file fails in bounded time and memory) and the spelling of scalars as written,
//! so `010`, `1e3` and `2026-12-31` stay text. Must not: know the policy language.

mod seen;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Location, MessageFormatter, Options, Spanned, UserMessageFormatter};

use crate::policy::diagnostic::{At, Diagnostic};

/// A policy of a thousand clauses is a third of this.
pub(super) const MAX_BYTES: usize = 1 << 20;
const MAX_NODES: usize = 200_000;
const MAX_ALIASED: usize = 50_000;
const MAX_ANCHORS: usize = 1_000;
/// The language needs five.
const MAX_DEPTH: usize = 16;
/// What to do, by a part of the parser's message; the last one fits all. The parser stops where it can't go on, which is
/// often after the mistake.
const HELP: [(&str, &str); 5] = [
    ("tab", "indent with spaces"),
    ("\\u{", INVISIBLE),
    ("unexpected character", "put the text in quotes"),
    ("unclosed quote", "close the quote where the text ends"),
    ("", "look just above: a bracket or quote may be left open, or lines that belong together may not line up"),
];
/// What a person cannot see at once, and quotes do not mend.
const INVISIBLE: &str = "remove the invisible character";
pub(super) const TOP: At = At { start: 0, end: 0, line: 1, column: 1 };

/// A value and its position. Of an alias, the position where it is used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    /// Text, number or truth value, as written (without quotes).
    Scalar(String),
    List(Vec<Node>),
    /// Keys may repeat: whoever reads the mapping reports it with both positions.
    Map(Vec<(Node, Node)>),
}

/// Reads one document.
///
/// # Errors
/// Text that is not one YAML document within the limits.
pub(crate) fn read(text: &str) -> Result<Node, Box<Diagnostic>> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, and {MAX_BYTES} is the most", text.len());
        return Err(Box::new(Diagnostic::error("too-large", TOP, message)));
    }
    let raw = serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options())
        .map_err(|error| Box::new(explain(&error, text)))?;
    let root = node(&raw, text);
    match seen::mistake(text.lines().next().unwrap_or_default()) {
        // `version:1` is one word to YAML, and no mapping.
        Some((_, help)) if matches!(root.value, Value::Scalar(_)) => {
            let message = "this is one word to YAML, and no mapping";
            Err(Box::new(Diagnostic::error("yaml", root.at, message).help(help)))
        }
        _ => Ok(root),
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_depth: MAX_DEPTH,
            max_documents: 1,
            max_aliases: MAX_ANCHORS,
            max_anchors: MAX_ANCHORS,
            max_recorded_anchor_events: MAX_ALIASED,
            max_recorded_anchor_bytes: MAX_BYTES,
            max_total_scalar_bytes: MAX_BYTES,
            // The total of what aliases repeat is limited below, which is what matters.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_ALIASED,
            max_replay_stack_depth: MAX_DEPTH,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// What the parser delivers, before positions and spellings are worked out.
enum Raw {
    Null,
    Text(String),
    /// A number or truth value: its spelling is in the source.
    Plain,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

fn node(raw: &Spanned<Raw>, text: &str) -> Node {
    let value = match &raw.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Scalar(text.clone()),
        Raw::Plain => Value::Scalar(written(&raw.defined, text).unwrap_or_default().to_owned()),
        Raw::List(items) => Value::List(items.iter().map(|item| node(item, text)).collect()),
        Raw::Map(entries) => {
            Value::Map(entries.iter().map(|(key, value)| (node(key, text), node(value, text))).collect())
        }
    };
    let is_container = matches!(value, Value::List(_) | Value::Map(_));
    Node { at: at(&raw.referenced, is_container, text), value }
}

fn written<'a>(position: &Location, text: &'a str) -> Option<&'a str> {
    let start = usize::try_from(position.span().byte_offset()?).ok()?;
    let length = usize::try_from(position.span().byte_len()?).ok()?;
    text.get(start..start.checked_add(length)?).map(str::trim)
}

/// A position within one line. The parser marks where a list or mapping begins; people see its whole first line underlined.
fn at(position: &Location, is_container: bool, text: &str) -> At {
    let number = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok());
    let (row, column) =
        (number(Some(position.line())).unwrap_or(1).max(1), number(Some(position.column())).unwrap_or(1).max(1));
    let start = number(position.span().byte_offset()).unwrap_or_else(|| offset(text, row, column));
    let length = number(position.span().byte_len()).unwrap_or(0);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let shown = if is_container && !line.starts_with('*') { line } else { line.get(..length).unwrap_or(line) };
    At { start, end: start + shown.trim_end().len(), line: row, column }
}

/// The byte where a column of a row begins: errors of the parser don't say.
fn offset(text: &str, row: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(row - 1).map(str::len).sum();
    let line = text.get(before..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    before + line.char_indices().nth(column - 1).map_or(line.len(), |(at, _)| at)
}

/// The parser's message, or ours where it speaks of its own programming interface.
fn explain(error: &Error, text: &str) -> Diagnostic {
    let at = error.location().map_or(TOP, |position| at(&position, false, text));
    let mut inner = error;
    while let Error::AliasError { error, .. } | Error::WithSnippet { error, .. } = inner {
        inner = error;
    }
    match inner {
        Error::Budget { breach, .. } => limit(breach, at),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => Diagnostic::error("too-large", at, too_many_aliased()),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Diagnostic::error("yaml", at, "this alias stands for itself")
        }
        Error::UnknownAnchor { .. } => Diagnostic::error("yaml", at, "this alias names no anchor")
            .help("define it earlier as `&name`, or quote the text if it is no alias"),
        Error::MultipleDocuments { .. } => second_document(at),
        Error::UnsupportedTag { .. } => Diagnostic::error("yaml", at, "YAML tags have no meaning in a policy")
            .help("remove the word that begins with `!`"),
        other => {
            let reason: String = UserMessageFormatter
                .format_message(other)
                .chars()
                .filter(|character| !character.is_control())
                .collect();
            // The parser's own limit on nested brackets comes before our budget.
            if reason.contains("recursion limit") {
                return Diagnostic::error("too-large", at, too_deep());
            }
            let help = HELP.iter().find(|(part, _)| reason.contains(part)).map_or("", |(_, help)| *help);
            let seen = if help == INVISIBLE { None } else { seen::near(text, at) };
            let (at, help) = seen.unwrap_or_else(|| (at, help.to_owned()));
            Diagnostic::error("yaml", at, format!("this is not YAML: {reason}")).help(help)
        }
    }
}

fn limit(breach: &BudgetBreach, at: At) -> Diagnostic {
    let message = match breach {
        BudgetBreach::Documents { .. } => return second_document(at),
        BudgetBreach::Depth { .. } => too_deep(),
        BudgetBreach::RecordedAnchorEvents { .. } | BudgetBreach::RecordedAnchorBytes { .. } => too_many_aliased(),
        BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => {
            format!("the file holds more than {MAX_NODES} values")
        }
        BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => {
            format!("the file has more than {MAX_ANCHORS} anchors or aliases")
        }
        _ => "the file is too large for a policy".to_owned(),
    };
    Diagnostic::error("too-large", at, message)
}

fn too_deep() -> String {
    format!("lists and keys nest deeper than {MAX_DEPTH} levels")
}

fn too_many_aliased() -> String {
    format!("the aliases of the file stand for more than {MAX_ALIASED} values")
}

fn second_document(at: At) -> Diagnostic {
    Diagnostic::error("yaml", at, "a policy is one YAML document, and here begins a second")
        .help("remove the line `---`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (&'static str, String) {
        let problem = read(text).unwrap_err();
        (problem.code, problem.message)
    }

    fn lines(many: usize, line: impl Fn(usize) -> String) -> String {
        (0..many).map(line).collect()
    }

    #[test]
    fn what_is_too_large_is_told_with_its_limit() {
        let x = |many: usize| format!("[{}]", vec!["x"; many].join(","));
        for (text, message) in [
            ("- ".repeat(MAX_DEPTH + 1), "lists and keys nest deeper than 16 levels"),
            ("[".repeat(500), "lists and keys nest deeper than 16 levels"),
            (x(MAX_NODES), "the file holds more than 200000 values"),
            (lines(MAX_ANCHORS + 1, |n| format!("- &a{n} x\n")), "the file has more than 1000 anchors or aliases"),
            (
                format!("- &a x\n{}", lines(MAX_ANCHORS + 1, |_| "- *a\n".to_owned())),
                "the file has more than 1000 anchors or aliases",
            ),
            (format!("- &a {}", x(MAX_ALIASED)), "the aliases of the file stand for more than 50000 values"),
            (
                format!("- &a {}\n{}", x(600), lines(100, |_| "- *a\n".to_owned())),
                "the aliases of the file stand for more than 50000 values",
            ),
        ] {
            assert_eq!(refused(&text), ("too-large", message.to_owned()), "{text:.20}");
        }
    }

    #[test]
    fn a_first_line_that_looks_like_a_mistake_is_none_where_it_is_a_mapping() {
        assert!(read("version: 1 # not for ${HOME}\n").is_ok());
        let message = "this is one word to YAML, and no mapping".to_owned();
        assert_eq!(refused("version:1\n"), ("yaml", message));
    }
}
