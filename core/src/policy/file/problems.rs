//! Collects every problem of a file, and guesses what was meant.

use std::collections::BTreeSet;

use crate::model::text::{count, or};
use crate::policy::diagnostic::{At, Diagnostic, Level};
use crate::policy::file::meant;

/// Enough to mend a file by; a hostile one has a problem per byte.
const MAX_PROBLEMS: usize = 200;
/// Longer words are nobody's typing error.
const MAX_WORD_LEN: usize = 64;
const MAX_COMPARED: usize = 1_000;

/// Where a key belongs: the list of the file, with the keys of its entries. Empty: the top.
type Places = Vec<(&'static str, Vec<&'static str>)>;

#[derive(Default)]
pub(super) struct Problems {
    found: Vec<Diagnostic>,
    left_out: usize,
    failed: bool,
    /// Where a problem of the text itself starts: what else is wrong there follows from it.
    settled: BTreeSet<usize>,
    accepted: Vec<(Diagnostic, String)>,
    places: Places,
}

impl Problems {
    /// Of a file with these keys.
    pub(super) fn of(places: Places) -> Self {
        Self { places, ..Self::default() }
    }

    /// The lists of the file whose entries have the key; empty: its top.
    pub(super) fn places_of(&self, key: &str) -> Vec<&'static str> {
        self.places.iter().filter(|(_, keys)| keys.contains(&key)).map(|(place, _)| *place).collect()
    }

    /// Adds a problem in place of all others that begin there.
    pub(super) fn instead(&mut self, at: At, problem: Diagnostic) {
        self.add(problem);
        self.instead_too(at);
    }

    /// The problem that was added last explains what else is wrong there.
    pub(super) fn instead_too(&mut self, at: At) {
        self.settled.insert(at.start);
    }

    /// Whether no more is told, so that no more has to be found out.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MAX_PROBLEMS
    }

    pub(super) fn found_if(&mut self, problem: Option<Diagnostic>) {
        if let Some(problem) = problem {
            self.add(problem);
        }
    }

    pub(super) fn add(&mut self, problem: Diagnostic) {
        if self.settled.contains(&problem.at.start) {
            return;
        }
        self.failed |= problem.severity == Level::Error;
        if self.is_full() {
            self.left_out += 1;
        } else {
            self.found.push(problem);
        }
    }

    pub(super) fn error(&mut self, code: &'static str, at: At, message: impl Into<String>) {
        self.add(Diagnostic::error(code, at, message));
    }

    /// Whether there is a problem of that code at that position.
    pub(super) fn has(&self, code: &str, at: At) -> bool {
        self.found.iter().any(|problem| problem.code == code && problem.at == at)
    }

    /// Takes a warning out for a reason. `false`: there is none of that code about that.
    pub(super) fn accept(&mut self, code: &str, about: &str, reason: &str) -> bool {
        let is_meant = |problem: &Diagnostic| {
            problem.severity == Level::Warning && problem.code == code && problem.about.as_deref() == Some(about)
        };
        let meant = self.found.iter().position(is_meant).map(|at| (self.found.remove(at), reason.to_owned()));
        let is_accepted = meant.is_some();
        self.accepted.extend(meant);
        is_accepted
    }

    /// What was accepted so far, each with its reason.
    pub(super) fn accepted(&mut self) -> Vec<(Diagnostic, String)> {
        std::mem::take(&mut self.accepted)
    }

    /// Whether there was an error so far.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// ``did you mean `revoke`?``, where one word is near enough.
    pub(super) fn did_you_mean<'a>(
        &self,
        word: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Option<String> {
        if word.len() > MAX_WORD_LEN || self.is_full() {
            return None;
        }
        if let Some(meant) = {
            let known: Vec<&str> = known.clone().into_iter().take(MAX_COMPARED).collect();
            meant::word(word, known)
        } {
            return Some(format!("did you mean `{meant}`?"));
        }
        let plain = |text: &str| text.to_lowercase().replace('_', "-");
        let word = plain(word);
        let most = (word.chars().count() / 3).clamp(1, 4);
        known
            .into_iter()
            .take(MAX_COMPARED)
            .filter(|candidate| candidate.len().abs_diff(word.len()) <= most)
            .map(|candidate| (strsim::osa_distance(&word, &plain(candidate)), candidate))
            .filter(|(distance, _)| *distance <= most)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
    }

    /// What was probably meant, or else everything that could have been.
    pub(super) fn expected<'a>(&self, word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
        self.did_you_mean(word, known.clone()).unwrap_or_else(|| {
            let all: Vec<String> = known.into_iter().map(|candidate| format!("`{candidate}`")).collect();
            format!("write {}", or(&all))
        })
    }

    /// Every problem in the order of the text, and whether there was an error.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, bool) {
        // Stable: problems at one position stay in the order in which they were found.
        self.found.sort_by_key(|problem| problem.at.start);
        if let Some(last) = self.found.last().filter(|_| self.left_out > 0) {
            let message = format!("{} not shown", count(self.left_out, "more problem"));
            let level = if self.failed { Level::Error } else { Level::Warning };
            self.found.push(Diagnostic { severity: level, ..Diagnostic::error("too-many-problems", last.at, message) });
        }
        (self.found, self.failed)
    }
}

/// `a clause`, `an exception`.
pub(super) fn a(what: &str) -> String {
    let article = if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_word_of_some_length_is_guessed() {
        let long = |len: usize| format!("{}b", "a".repeat(len - 1));
        for (word, known, is_meant) in [
            ("abcdef", "abcdxy", true),
            ("abcdef", "abcxyz", false),
            ("abcdefghi", "abcdefxyz", true),
            ("ab", "ax", true),
            ("ab", "xy", false),
            (&long(MAX_WORD_LEN), &"a".repeat(MAX_WORD_LEN), true),
            (&long(MAX_WORD_LEN + 1), &"a".repeat(MAX_WORD_LEN), false),
        ] {
            let expected = is_meant.then(|| format!("did you mean `{known}`?"));
            assert_eq!(Problems::default().did_you_mean(word, [known]), expected, "{word}");
        }
    }
}
