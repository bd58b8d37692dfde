//! Reads mappings, lists and single values of the tree, and says what is wrong with them. Knows keys and types, no meaning.

use crate::model::text::{and, quoted};
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::meant;
use crate::policy::file::problems::{Problems, a};
use crate::policy::tree::{Node, Value};

/// Keys of clauses that other entries have no use for.
const LEFT_OUT: [(&str, &str, &str); 6] = [
    ("exception", "verdict", "leave it out: an exception allows"),
    ("exception", "severity", "leave it out: an exception allows"),
    ("exception", "roles", "leave it out: an exception holds for every role; limit it by `group` or `cluster`"),
    ("requirement", "verdict", "leave it out: what is missing is reported, and the guard adds no rule"),
    ("requirement", "roles", "write `role`: node, or control-plane"),
    ("exception", "only", "leave it out: an exception holds for every role; limit it by `group` or `cluster`"),
];

/// What words with a colon begin with: a space after it makes a mapping of them.
const SPLIT: [&str; 2] = ["role", "aws"];

/// A mapping with its known keys, each at most once.
pub(super) struct Fields<'t> {
    /// What the mapping is, for messages: `clause`, or ``clause `ssh` `` once its id is known.
    pub(super) what: String,
    pub(super) at: At,
    entries: Vec<(&'t str, &'t Node, &'t Node)>,
}

impl<'t> Fields<'t> {
    /// Reports everything that is not a known key, and keys that repeat.
    pub(super) fn read(node: &'t Node, what: &str, known: &[&str], problems: &mut Problems) -> Option<Self> {
        let Value::Map(map) = &node.value else {
            let message = format!("{} is a mapping, and here is {}", a(what), kind(node));
            problems.add(
                Diagnostic::error("wrong-type", node.at, message).help(format!("its keys are {}", known.join(", "))),
            );
            return None;
        };
        let mut entries: Vec<(&str, &Node, &Node)> = Vec::new();
        for (key, value) in map {
            let Value::Scalar(name) = &key.value else {
                problems.error("wrong-type", key.at, format!("a key is a word, and here is {}", kind(key)));
                continue;
            };
            if let Some((_, first, _)) = entries.iter().find(|(seen, ..)| seen == name) {
                let message = format!("the key {} is given twice", quoted(name));
                let problem = Diagnostic::error("duplicate-key", key.at, message).help("keep one of the two");
                problems.add(problem.also("first here", first.at, None));
            } else if known.contains(&name.as_str()) {
                entries.push((name, key, value));
            } else {
                let problem = unknown_key(name, key.at, what, known, problems);
                problems.add(problem);
            }
        }
        Some(Self { what: what.to_owned(), at: node.at, entries })
    }

    pub(super) fn get(&self, key: &str) -> Option<&'t Node> {
        self.entries.iter().find(|(name, ..)| *name == key).map(|(.., value)| *value)
    }

    /// The position of the key itself.
    pub(super) fn key_at(&self, key: &str) -> Option<At> {
        self.entries.iter().find(|(name, ..)| *name == key).map(|(_, key, _)| key.at)
    }

    /// A key that must be there.
    pub(super) fn need(&self, key: &str, help: &str, problems: &mut Problems) -> Option<&'t Node> {
        let found = self.get(key);
        if found.is_none() {
            problems
                .add(Diagnostic::error("missing-key", self.at, format!("the {} has no `{key}`", self.what)).help(help));
        }
        found
    }

    pub(super) fn flag(&self, key: &str, problems: &mut Problems) -> Option<bool> {
        self.choice(key, "truth value", "wrong-type", &[("true", true), ("false", false)], problems)
    }

    /// The text of a key that may be missing, on one line.
    pub(super) fn text(&self, key: &str, problems: &mut Problems) -> Option<String> {
        text(self.get(key)?, key, problems)
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        what: &str,
        code: &'static str,
        table: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        choice(self.get(key)?, key, what, code, table, problems)
    }
}

fn unknown_key(name: &str, at: At, what: &str, known: &[&str], problems: &Problems) -> Diagnostic {
    let problem = Diagnostic::error("unknown-key", at, format!("{} has no key {}", a(what), quoted(name)));
    if problems.is_full() {
        return problem;
    }
    if name == "<<" {
        return problem.help("merge keys are not supported: write the keys out, or use an alias for a single value");
    }
    if let Some((.., help)) = LEFT_OUT.iter().find(|(of, key, _)| *of == what && *key == name) {
        return problem.help(*help);
    }
    if let Some((key, value)) = name.split_once(':').filter(|(key, _)| known.contains(key)) {
        return problem.help(format!("write `{key}: {value}`, with a space after the colon"));
    }
    let is_plural = |ours: &&&str| ours.strip_suffix('s') == Some(name) || name.strip_suffix('s') == Some(ours);
    let meant = meant::key(name, known).or_else(|| known.iter().find(is_plural).copied());
    let meant = meant.map(|ours| format!("did you mean `{ours}`?")).or_else(|| elsewhere(name, problems));
    let meant = meant.or_else(|| problems.did_you_mean(name, known.iter().copied()));
    problem.help(meant.unwrap_or_else(|| format!("its keys are {}", known.join(", "))))
}

/// Where the key belongs, if the language has it in another place.
fn elsewhere(name: &str, problems: &Problems) -> Option<String> {
    let places = problems.places_of(name);
    let lists: Vec<String> =
        places.iter().filter(|place| !place.is_empty()).map(|place| format!("`{place}`")).collect();
    match (places.contains(&""), lists.as_slice()) {
        (true, _) => Some(format!("`{name}` belongs at the top of the file, without indentation")),
        // What nearly every entry has is not missing there.
        (false, [] | [_, _, _, ..]) => None,
        (false, lists) => Some(format!("entries of {} have it: move it into one, or leave it out", and(lists))),
    }
}

/// What a value is, in words.
pub(super) fn kind(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Scalar(text) => quoted(text),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

/// A single word, number or text.
pub(super) fn scalar<'t>(node: &'t Node, key: &str, problems: &mut Problems) -> Option<&'t str> {
    match &node.value {
        Value::Scalar(text) => Some(text),
        Value::Null => {
            problems.add(
                Diagnostic::error("empty", node.at, format!("`{key}` has no value"))
                    .help("write one, or leave the key out"),
            );
            None
        }
        Value::List(_) | Value::Map(_) => {
            let message = format!("`{key}` has {} where a single value belongs", kind(node));
            let problem = Diagnostic::error("wrong-type", node.at, message);
            problems.add(match single(node) {
                Some(help) => problem.help(help),
                None => problem,
            });
            None
        }
    }
}

/// The single value that was meant by a list or mapping of one.
fn single(node: &Node) -> Option<String> {
    match &node.value {
        Value::List(items) => match items.as_slice() {
            [Node { value: Value::Scalar(text), .. }] => {
                Some(format!("write {} without brackets of its own", quoted(text)))
            }
            items => (!items.is_empty()).then(|| "take the inner brackets away".to_owned()),
        },
        Value::Map(entries) => match entries.as_slice() {
            [(Node { value: Value::Scalar(key), .. }, Node { value: Value::Scalar(text), .. })] => {
                Some(if SPLIT.contains(&key.as_str()) {
                    format!("write `\"{key}:{text}\"`: with a space after the colon it is a mapping")
                } else {
                    format!("write {} alone", quoted(text))
                })
            }
            _ => None,
        },
        _ => None,
    }
}

/// Text for people: not empty, on one line.
pub(super) fn text(node: &Node, key: &str, problems: &mut Problems) -> Option<String> {
    let text = scalar(node, key, problems)?;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        problems.error("empty", node.at, format!("`{key}` is empty"));
    } else if line.chars().any(char::is_control) {
        problems.error("wrong-type", node.at, format!("`{key}` holds a control character"));
    } else {
        return Some(line);
    }
    None
}

/// One of some words.
pub(super) fn choice<T: Copy>(
    node: &Node,
    key: &str,
    what: &str,
    code: &'static str,
    table: &[(&str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let word = scalar(node, key, problems)?;
    let found = table.iter().find(|(known, _)| *known == word).map(|(_, value)| *value);
    if found.is_none() {
        let help = problems.expected(word, table.iter().map(|(known, _)| *known));
        problems.add(Diagnostic::error(code, node.at, format!("{} is not {}", quoted(word), a(what))).help(help));
    }
    found
}

/// The items of a list; a single value counts as a list of one.
pub(super) fn items<'t>(node: &'t Node, key: &str, problems: &mut Problems) -> Vec<&'t Node> {
    match &node.value {
        Value::List(items) if !items.is_empty() => items.iter().collect(),
        Value::Scalar(_) => vec![node],
        Value::Map(_) => {
            let message = format!("`{key}` takes a list, and here is {}", kind(node));
            let help = single(node).unwrap_or_else(|| "write `[…]`, or begin each entry with `- `".to_owned());
            problems.add(Diagnostic::error("wrong-type", node.at, message).help(help));
            Vec::new()
        }
        Value::Null | Value::List(_) => {
            let message = format!("`{key}` is empty");
            problems.add(
                Diagnostic::error("empty", node.at, message).help("write at least one entry, or leave the key out"),
            );
            Vec::new()
        }
    }
}
