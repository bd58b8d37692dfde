//! Reads back the parts of a message that are our own words, of which there is a closed list. A message with another word is
//! of another edition, and composed again.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The titles of what is to copy.
pub(super) const FORMER: &str = "This opens again what the rule was before it was edited:";
pub(super) const EXCEPTION: &str = "If it has to be open, the owners of the policy can add:";
pub(super) const UNDO: &str =
    "This opens the rule again; do it after the exception is in force, or it is closed once more:";

/// Names of facts and of attributes, titles of code.
const WORDS: [&str; 16] = [
    "Cluster", "Group", "Who", "Call", "Tool", "Where", "Why", "severity", "outcome", "cluster", "account", "region",
    "trigger", FORMER, EXCEPTION, UNDO,
];

fn word(text: &str) -> Option<&'static str> {
    WORDS.into_iter().find(|word| *word == text)
}

/// A title of code.
pub(super) fn title<'de, D: Deserializer<'de>>(from: D) -> Result<&'static str, D::Error> {
    let text = String::deserialize(from)?;
    word(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no title of ours")))
}

/// A list of names with what is said of each.
pub(super) fn pairs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(&'static str, String)>, D::Error> {
    let pairs: Vec<(String, String)> = Vec::deserialize(from)?;
    let known = |(name, what): (String, String)| {
        word(&name).map(|name| (name, what)).ok_or_else(|| D::Error::custom(format!("`{name}` is no name of ours")))
    };
    pairs.into_iter().map(known).collect()
}
