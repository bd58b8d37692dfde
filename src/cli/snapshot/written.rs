//! A JSON file as somebody wrote it: each value with where it stands, and every mistake in it at once, shown as those of a
//! policy are.
//!
//! Must not: know what the file is about.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::model::text::{or, quoted};
use crate::policy::diagnostic::{At, Diagnostic, render};

/// Problems that are shown; nobody reads more.
const MAX_PROBLEMS: usize = 50;
/// Longer words are no slip of a finger.
const MAX_WORD_LEN: usize = 40;

/// A value as it stands in the file.
pub(super) type Raw<'t> = &'t RawValue;

/// The fields of an object.
#[derive(Default)]
pub(super) struct Fields<'t> {
    of: BTreeMap<String, Raw<'t>>,
    /// The object itself, for what is missing in it.
    whole: &'t str,
}

impl<'t> Fields<'t> {
    /// A field that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<Raw<'t>> {
        self.of.get(key).copied().filter(|raw| raw.get() != "null")
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, Raw<'t>)> {
        self.of.iter().map(|(key, raw)| (key, *raw))
    }
}

/// Reads a file, and notes what is wrong with it.
pub(super) struct Reader<'t> {
    text: &'t str,
    problems: Vec<Diagnostic>,
}

impl<'t> Reader<'t> {
    /// The reader, and the whole of the file unless it is no JSON.
    pub(super) fn new(text: &'t str) -> (Self, Option<Raw<'t>>) {
        let mut reader = Self { text, problems: Vec::new() };
        match serde_json::from_str::<Raw<'t>>(text) {
            Ok(raw) => (reader, Some(raw)),
            Err(error) => {
                let (what, help) = if error.is_eof() {
                    ("the file ends in the middle", "it was cut; save it again")
                } else {
                    (
                        "this is not JSON",
                        "a snapshot is JSON: every text and every key in double quotes, no comma at the end",
                    )
                };
                let at = reader.position(error.line(), error.column());
                let said = error.to_string();
                let said = said.split(" at line ").next().unwrap_or_default();
                reader.problems.push(Diagnostic::error("yaml", at, format!("{what}: {said}")).help(help));
                (reader, None)
            }
        }
    }

    /// What was wrong, as compilers show it; `None`: nothing.
    pub(super) fn problems(mut self, name: &str) -> Option<String> {
        if self.problems.is_empty() {
            return None;
        }
        self.problems.sort_by_key(|problem| problem.at);
        self.problems.truncate(MAX_PROBLEMS);
        Some(render(name, self.text, &self.problems, false))
    }

    /// Notes a problem with a part of the file.
    pub(super) fn wrong(&mut self, part: &'t str, code: &'static str, message: String, help: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            let at = self.at(part);
            self.problems.push(Diagnostic::error(code, at, message).help(help));
        }
    }

    /// The fields of an object whose keys are known. `what` it is: `a group`.
    pub(super) fn fields(&mut self, raw: Raw<'t>, what: &str, known: &[&str]) -> Option<Fields<'t>> {
        let fields = self.map(raw, what)?;
        for (key, value) in fields.iter() {
            if !known.contains(&key.as_str()) {
                let near = near(key, known);
                let help = near.map_or_else(
                    || {
                        format!(
                            "{what} may have {}",
                            or(&known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>())
                        )
                    },
                    |near| format!("did you mean `{near}`?"),
                );
                let part = self.key_of(value, key);
                self.wrong(part, "unknown-key", format!("{what} has no {}", quoted(key)), help);
            }
        }
        Some(fields)
    }

    /// The entries of an object with any keys.
    pub(super) fn map(&mut self, raw: Raw<'t>, what: &str) -> Option<Fields<'t>> {
        if !raw.get().starts_with('{') {
            let message = format!("{what} is an object, and here is {}", kind(raw));
            self.wrong(raw.get(), "wrong-type", message, "write `{\"key\": …}`");
            return None;
        }
        let mut twice = Vec::new();
        let of = entries(raw, &mut twice);
        for (key, value) in twice {
            let part = self.key_of(value, &key);
            let help = "keep one of them";
            self.wrong(part, "duplicate-key", format!("{} stands there twice", quoted(&key)), help);
        }
        Some(Fields { of, whole: raw.get() })
    }

    /// A field that has to be there.
    pub(super) fn need(&mut self, fields: &Fields<'t>, key: &str, what: &str, help: &str) -> Option<Raw<'t>> {
        let found = fields.get(key);
        if found.is_none() {
            // Its beginning, since it may be a page long.
            let whole = fields.whole;
            let part = whole.get(..1).unwrap_or(whole);
            self.wrong(part, "missing-key", format!("{what} has no `{key}`"), help);
        }
        found
    }

    /// A text.
    pub(super) fn text(&mut self, raw: Raw<'t>, what: &str, help: &str) -> Option<String> {
        let text = serde_json::from_str::<String>(raw.get()).ok();
        if text.is_none() {
            let message = format!("{what} is a text, and here is {}", kind(raw));
            self.wrong(raw.get(), "wrong-type", message, help);
        }
        text
    }

    /// The items of a list.
    pub(super) fn list(&mut self, raw: Raw<'t>, what: &str, help: &str) -> Vec<Raw<'t>> {
        let items = serde_json::from_str::<Vec<Raw<'t>>>(raw.get()).ok();
        if items.is_none() {
            self.wrong(raw.get(), "wrong-type", format!("{what} is a list, and here is {}", kind(raw)), help);
        }
        items.unwrap_or_default()
    }

    /// One word of several.
    pub(super) fn word<T: Copy>(
        &mut self,
        raw: Raw<'t>,
        (what, code): (&str, &'static str),
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let listed = or(&all.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>());
        let text = self.text(raw, what, &format!("write {listed}"))?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let help =
                near(&text, &all).map_or_else(|| format!("write {listed}"), |near| format!("did you mean `{near}`?"));
            self.wrong(raw.get(), code, format!("{} is no {what}", quoted(&text)), help);
        }
        found
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, raw: Raw<'t>, what: &str) -> Option<bool> {
        let flag = raw.get().parse().ok();
        if flag.is_none() {
            let message = format!("{what} is true or false, and here is {}", kind(raw));
            self.wrong(raw.get(), "wrong-type", message, "write `true` or `false`, without quotes");
        }
        flag
    }

    /// Where a part of the file stands.
    fn at(&self, part: &str) -> At {
        let start = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len());
        // A page of an object is shown by its first line.
        let len = part.find('\n').unwrap_or(part.len());
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        At { start, end: start + len, line: before.matches('\n').count() + 1, column }
    }

    /// A line and a column in bytes, as the reader of JSON says it, as a position.
    fn position(&self, line: usize, column: usize) -> At {
        let before: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let start = self.text.floor_char_boundary((before + column.saturating_sub(1)).min(self.text.len()));
        let one = self.text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        self.at(self.text.get(start..start + one).unwrap_or_default())
    }

    /// The key that stands before a value.
    pub(super) fn key_of(&self, value: Raw<'t>, key: &str) -> &'t str {
        let start = (value.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let before = self.text.get(..start).unwrap_or_default().trim_end();
        let before = before.strip_suffix(':').unwrap_or(before).trim_end();
        let from = before.len().saturating_sub(key.len() + 2);
        before.get(from..).unwrap_or(value.get())
    }
}

/// What kind of value it is, for a message.
pub(super) fn kind(raw: Raw<'_>) -> Cow<'static, str> {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object".into(),
        Some(b'[') => "a list".into(),
        Some(b'"') => format!("the text {}", quoted(raw.get().trim_matches('"'))).into(),
        _ if raw.get() == "null" => "null".into(),
        _ => quoted(raw.get()).into(),
    }
}

/// The word that was probably meant.
fn near<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > MAX_WORD_LEN {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let most = (word.chars().count() / 3).clamp(1, 4);
    let distance = |known: &&&str| strsim::osa_distance(&plain(word), &plain(known));
    known.iter().min_by_key(distance).filter(|known| distance(known) <= most).copied()
}

/// The entries of an object; of a key that stands there twice the first one, and the others beside.
fn entries<'t>(raw: Raw<'t>, twice: &mut Vec<(String, Raw<'t>)>) -> BTreeMap<String, Raw<'t>> {
    struct Entries<'a, 't>(&'a mut Vec<(String, Raw<'t>)>);
    impl<'t> DeserializeSeed<'t> for Entries<'_, 't> {
        type Value = BTreeMap<String, Raw<'t>>;

        fn deserialize<D: serde::Deserializer<'t>>(self, from: D) -> Result<Self::Value, D::Error> {
            from.deserialize_map(self)
        }
    }
    impl<'t> Visitor<'t> for Entries<'_, 't> {
        type Value = BTreeMap<String, Raw<'t>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object")
        }

        fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut of = BTreeMap::new();
            while let Some(key) = map.next_key::<String>()? {
                let value = map.next_value::<Raw<'t>>()?;
                if let std::collections::btree_map::Entry::Vacant(place) = of.entry(key.clone()) {
                    place.insert(value);
                } else {
                    self.0.push((key, value));
                }
            }
            Ok(of)
        }
    }
    Entries(twice).deserialize(&mut Deserializer::from_str(raw.get())).unwrap_or_default()
}
