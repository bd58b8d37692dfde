//! Reads back the parts of a message that are our own words, of which there is a closed list. A message with another word is
//! of another edition, and composed again.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Names of facts and of attributes.
const WORDS: [&str; 20] = [
    "Who",
    "Call",
    "Attached",
    "List",
    "Again",
    "Where",
    "Group",
    "Why",
    "What",
    "Principal",
    "Address",
    "Program",
    "Through",
    "Event",
    "severity",
    "outcome",
    "cluster",
    "account",
    "region",
    "trigger",
];

fn word(text: &str) -> Option<&'static str> {
    WORDS.into_iter().find(|word| *word == text)
}

/// A list of names with what is said of each.
pub(super) fn pairs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(&'static str, String)>, D::Error> {
    let pairs: Vec<(String, String)> = Vec::deserialize(from)?;
    let known = |(name, what): (String, String)| {
        word(&name).map(|name| (name, what)).ok_or_else(|| D::Error::custom(format!("`{name}` is no name of ours")))
    };
    pairs.into_iter().map(known).collect()
}
