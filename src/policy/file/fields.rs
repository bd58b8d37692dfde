//! Reads maps, lists and words of the tree, and says what is wrong with them. Knows keys and types, no meaning.

use crate::model::text::quoted;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::problems::{Problems, a};
use crate::policy::tree::{Node, Value};

/// Keys that other tools use for the same thing.
const FOREIGN: [(&str, &str); 14] = [
    ("action", "verdict"),
    ("account_id", "account"),
    ("cidr", "from"),
    ("cidrs", "from"),
    ("description", "reason"),
    ("destination", "to"),
    ("effect", "verdict"),
    ("expiry", "expires"),
    ("inherits", "extends"),
    ("name", "id"),
    ("rules", "clauses"),
    ("source", "from"),
    ("sources", "from"),
    ("until", "expires"),
];

/// Keys of clauses that other entries have no use for.
const LEFT_OUT: [(&str, &str, &str); 6] = [
    ("exception", "verdict", "leave it out: an exception allows"),
    ("exception", "severity", "leave it out: an exception allows"),
    ("exception", "roles", "leave it out: an exception holds for every role; limit it by `group` or `cluster`"),
    ("requirement", "verdict", "leave it out: what is missing is told, and the guard opens nothing"),
    ("requirement", "roles", "write `role`: node, or control-plane"),
    ("exception", "only", "leave it out: an exception holds for every role; limit it by `group` or `cluster`"),
];

/// A map with its known keys, each at most once.
pub(super) struct Fields<'t> {
    /// What the map is, for messages: `clause`, or ``clause `ssh` `` once its id is known.
    pub(super) what: String,
    pub(super) at: At,
    entries: Vec<(&'t str, &'t Node, &'t Node)>,
}

impl<'t> Fields<'t> {
    /// Reports everything that is not a known key, and keys that repeat.
    pub(super) fn read(node: &'t Node, what: &str, known: &[&str], problems: &mut Problems) -> Option<Self> {
        let Value::Map(map) = &node.value else {
            let message = format!("{} is a group of keys, and here is {}", a(what), kind(node));
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
                let message = format!("the key {} stands here a second time", quoted(name));
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

    /// The place of the key itself.
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
    if name == "<<" {
        return problem.help("merge keys are not supported: write the keys out, or use an alias for a single value");
    }
    if let Some((.., help)) = LEFT_OUT.iter().find(|(of, key, _)| *of == what && *key == name) {
        return problem.help(*help);
    }
    let foreign = FOREIGN.iter().find(|(theirs, ours)| *theirs == name && known.contains(ours));
    let meant = foreign.map(|(_, ours)| format!("did you mean `{ours}`?"));
    let meant = meant.or_else(|| problems.did_you_mean(name, known.iter().copied()));
    problem.help(meant.unwrap_or_else(|| format!("its keys are {}", known.join(", "))))
}

/// What stands there, in words.
pub(super) fn kind(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Scalar(text) => quoted(text),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a group of keys".to_owned(),
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
            problems.error("wrong-type", node.at, format!("`{key}` has {} where a single value belongs", kind(node)));
            None
        }
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
            problems.add(
                Diagnostic::error("wrong-type", node.at, message).help("write `[…]`, or begin each entry with `- `"),
            );
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
