//! Takes the text of a file apart: one JSON document after the other, each recognised by what is in it, its items one by
//! one.
//!
//! Must not: know what becomes of the items. Nothing of a document is held but the text itself: a file may be large.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::kind::{Kind, Only, is_token};
use crate::model::text::quoted;

/// Lists in lists, as `--query 'Reservations[*].Instances'` prints them.
const MAX_LISTS: usize = 3;
/// Keys of a document that is not understood, named in a message.
const MAX_KEYS_NAMED: usize = 5;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is nothing of the AWS CLI's that we know; in a folder it is left out.
    Foreign(String),
    /// It is, and it is broken or cannot be understood.
    Broken(String),
}

/// A part of a document: what it is, its JSON, and the line that it begins at.
pub(super) struct Item<'t> {
    pub(super) kind: Kind,
    pub(super) json: &'t str,
    pub(super) line: usize,
}

/// What a document has at its top.
pub(super) struct Top {
    pub(super) kinds: Vec<Kind>,
    pub(super) is_cut: bool,
}

/// Gives each item of the text to `take`, and then what their document was.
pub(super) fn read<'t>(
    text: &'t str,
    take: &mut dyn FnMut(Item<'t>) -> Result<(), Trouble>,
    done: &mut dyn FnMut(Top),
) -> Result<(), Trouble> {
    let mut lines = Lines { text, at: 0, line: 1 };
    let mut was_there = false;
    for document in Deserializer::from_str(text).into_iter::<&RawValue>() {
        let document = document.map_err(|error| {
            let is_cut = error.is_eof();
            let what = if is_cut { "it ends in the middle, so it was cut; save it again" } else { "it is not JSON" };
            let hint = if was_there || is_cut { "" } else { "; save it with `--output json`" };
            let why = format!("{what} ({error}){hint}");
            let is_json = text.trim_start().starts_with(['{', '[']);
            if is_json { Trouble::Broken(why) } else { Trouble::Foreign(why) }
        })?;
        was_there = true;
        let top = one(document.get(), &mut lines, take)?;
        done(top);
    }
    Ok(())
}

fn one<'t>(
    document: &'t str,
    lines: &mut Lines<'t>,
    take: &mut dyn FnMut(Item<'t>) -> Result<(), Trouble>,
) -> Result<Top, Trouble> {
    match document.as_bytes().first() {
        Some(b'{') => object(document, lines, take),
        Some(b'[') => {
            let mut top = Top { kinds: Vec::new(), is_cut: false };
            list(document, MAX_LISTS, lines, take, &mut top.kinds)?;
            Ok(top)
        }
        _ if document == "null" => Err(Trouble::Foreign(
            "it is `null`, as a `--query` prints that finds nothing; run it without `--query`".into(),
        )),
        _ => {
            Err(Trouble::Foreign(format!("it is {}, no answer of AWS's; save it without `--query`", quoted(document))))
        }
    }
}

fn object<'t>(
    document: &'t str,
    lines: &mut Lines<'t>,
    take: &mut dyn FnMut(Item<'t>) -> Result<(), Trouble>,
) -> Result<Top, Trouble> {
    let keys = Keys::of(document).map_err(|error| Trouble::Broken(error.to_string()))?;
    let mut top = Top { kinds: Vec::new(), is_cut: keys.is_cut };
    for (key, kind, raw) in &keys.known {
        let is_of_kind = match kind {
            // Other services list their clusters by ARN under another key, and describe them under this one.
            Kind::Clusters => !raw.get().contains("\"clusterArn\""),
            kind => kind.is_of(&keys.names),
        };
        if !is_of_kind {
            continue;
        }
        top.kinds.push(*kind);
        if *kind == Kind::Other {
            continue;
        }
        let only = kind.only_item().map(|only| if only == Only::Document { document } else { raw.get() });
        if let Some(json) = only {
            take(Item { kind: *kind, json, line: lines.of(json) })?;
        } else if raw.get() != "null" {
            items(raw.get(), key, &mut |json| take(Item { kind: *kind, json, line: lines.of(json) }))?;
        }
    }
    if !top.kinds.is_empty() {
        return Ok(top);
    }
    // One thing alone, as `--query cluster` prints it.
    if let Some(kind) = Kind::of_item(&keys.names) {
        take(Item { kind, json: document, line: lines.of(document) })?;
        return Ok(Top { kinds: vec![kind], is_cut: false });
    }
    let names: Vec<String> = keys.names.iter().take(MAX_KEYS_NAMED).map(|name| quoted(name)).collect();
    let has = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    Err(Trouble::Foreign(format!(
        "it is no answer of the AWS CLI that an audit reads: at its top it has {has}; `eks-sg-guard audit --commands` \
         prints what to save, without `--query`"
    )))
}

/// A bare list, as `--query` prints it: taken where each item says what it is.
fn list<'t>(
    text: &'t str,
    depth: usize,
    lines: &mut Lines<'t>,
    take: &mut dyn FnMut(Item<'t>) -> Result<(), Trouble>,
    kinds: &mut Vec<Kind>,
) -> Result<(), Trouble> {
    items(text, "the list", &mut |json| {
        if json.starts_with('[') && depth > 1 {
            return list(json, depth - 1, lines, take, kinds);
        }
        let keys = match json.as_bytes().first() {
            Some(b'{') => Keys::of(json).map_err(|error| Trouble::Broken(error.to_string()))?.names,
            _ => Vec::new(),
        };
        let line = lines.of(json);
        let kind = Kind::of_item(&keys).ok_or_else(|| {
            Trouble::Foreign(format!(
                "it is a list whose items do not say what they are (line {line}); save the answer without `--query`"
            ))
        })?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        take(Item { kind, json, line })
    })
}

/// Gives each item of a list, one after the other.
fn items<'t>(list: &'t str, name: &str, take: &mut dyn FnMut(&'t str) -> Result<(), Trouble>) -> Result<(), Trouble> {
    struct Each<'f, 't> {
        name: &'f str,
        take: &'f mut dyn FnMut(&'t str) -> Result<(), Trouble>,
        trouble: Option<Trouble>,
    }
    impl<'t> Visitor<'t> for &mut Each<'_, 't> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list under `{}`", self.name)
        }

        fn visit_seq<A: SeqAccess<'t>>(self, mut seq: A) -> Result<(), A::Error> {
            while let Some(item) = seq.next_element::<&'t RawValue>()? {
                if let Err(trouble) = (self.take)(item.get()) {
                    self.trouble = Some(trouble);
                    return Err(serde::de::Error::custom("stopped"));
                }
            }
            Ok(())
        }
    }
    let mut each = Each { name, take, trouble: None };
    let read = Deserializer::from_str(list).deserialize_any(&mut each);
    match (each.trouble, read) {
        (Some(trouble), _) => Err(trouble),
        (None, Err(error)) => Err(Trouble::Broken(error.to_string())),
        (None, Ok(())) => Ok(()),
    }
}

/// The keys of an object, with the values of those that we know.
#[derive(Default)]
struct Keys<'t> {
    /// The first ones.
    names: Vec<String>,
    known: Vec<(String, Kind, &'t RawValue)>,
    is_cut: bool,
}

/// More keys than any answer has.
const MAX_KEYS: usize = 200;

impl<'t> Keys<'t> {
    fn of(object: &'t str) -> serde_json::Result<Self> {
        struct Reader;
        impl<'t> DeserializeSeed<'t> for Reader {
            type Value = Keys<'t>;

            fn deserialize<D: serde::Deserializer<'t>>(self, from: D) -> Result<Keys<'t>, D::Error> {
                from.deserialize_map(self)
            }
        }
        impl<'t> Visitor<'t> for Reader {
            type Value = Keys<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object")
            }

            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Keys<'t>, A::Error> {
                let mut keys = Keys::default();
                while let Some(key) = map.next_key::<Cow<'t, str>>()? {
                    if is_token(&key) {
                        keys.is_cut |= map.next_value::<&'t RawValue>()?.get() != "null";
                    } else if let Some(kind) = Kind::of_key(&key) {
                        if keys.known.iter().any(|(known, ..)| *known == key) {
                            return Err(serde::de::Error::custom(format!("`{key}` stands there twice")));
                        }
                        keys.known.push((key.clone().into_owned(), kind, map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                    if keys.names.len() < MAX_KEYS {
                        keys.names.push(key.into_owned());
                    }
                }
                Ok(keys)
            }
        }
        Reader.deserialize(&mut Deserializer::from_str(object))
    }
}

/// Counts lines, forward.
struct Lines<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line that a part of the text begins at.
    fn of(&mut self, part: &str) -> usize {
        let at = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len());
        if at < self.at {
            (self.at, self.line) = (0, 1);
        }
        let between = self.text.as_bytes().get(self.at..at).unwrap_or_default();
        self.line += between.split(|byte| *byte == b'\n').count() - 1;
        self.at = at;
        self.line
    }
}
