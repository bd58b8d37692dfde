//! How many messages people get in an hour about the calls of one principal.
//!
//! Owns: which message is the last one, and that the same message is answered the same at each try. Pure: the state store
//! itself is behind a port. Must not: keep a record from machines, or anything from being done.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Messages of one hour, the summary not counted. Who reads more reads none.
pub const MAX_MESSAGES: usize = 20;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Clocks of two processes differ by less.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);
/// It is kept for longer than it counts, since a message may be tried again.
pub const LIFE: SignedDuration = SignedDuration::from_hours(2);

/// What people get of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// All of it.
    Message,
    /// That there are too many, until then.
    Summary(Timestamp),
    /// Nothing: it stands in the records.
    Nothing,
}

/// What was sent in the hour that began with the first message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowance {
    since: Option<Timestamp>,
    /// By the keys under which they are kept.
    messages: BTreeSet<String>,
    summary: Option<String>,
}

impl Allowance {
    /// What people get of this message, by the key under which it is kept; the allowance as it is then.
    #[must_use]
    pub fn with(mut self, message: &str, now: Timestamp) -> (Self, Allowed) {
        // Whoever began it may have looked at its clock after us. One that went wrong must not silence anything.
        let is_over = |since: Timestamp| since.duration_since(now) > AHEAD || now.duration_since(since) >= HOUR;
        if self.since.is_none_or(is_over) {
            self = Self { since: Some(now), ..Self::default() };
        }
        let until = self.since.unwrap_or(now).saturating_add(HOUR).unwrap_or(Timestamp::MAX);
        let allowed = if self.messages.contains(message) {
            Allowed::Message
        } else if self.summary.as_deref() == Some(message) {
            Allowed::Summary(until)
        } else if self.messages.len() < MAX_MESSAGES {
            self.messages.insert(message.to_owned());
            Allowed::Message
        } else if self.summary.is_none() {
            self.summary = Some(message.to_owned());
            Allowed::Summary(until)
        } else {
            Allowed::Nothing
        };
        (self, allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    /// Asks for these messages at their minutes.
    fn answers(asked: impl IntoIterator<Item = (usize, i64)>) -> Vec<Allowed> {
        let mut allowance = Allowance::default();
        let answer = |(message, minute): (usize, i64)| {
            let (next, allowed) = std::mem::take(&mut allowance).with(&message.to_string(), at(minute));
            allowance = next;
            allowed
        };
        asked.into_iter().map(answer).collect()
    }

    #[test]
    fn after_twenty_messages_comes_one_summary_and_then_nothing_until_the_hour_is_over() {
        let answers = answers((0..24).map(|n| (n, 1)).chain([(24, 60), (25, 61)]));
        assert_eq!(answers[..20], [Allowed::Message; 20]);
        assert_eq!(answers[20..24], [Allowed::Summary(at(61)), Allowed::Nothing, Allowed::Nothing, Allowed::Nothing]);
        assert_eq!(answers[24..], [Allowed::Nothing, Allowed::Message]);
    }

    #[test]
    fn a_message_that_is_tried_again_is_answered_as_before() {
        let answers = answers((0..22).map(|n| (n, 1)).chain([(0, 2), (19, 2), (20, 2), (21, 2)]));
        let [.., first, last, summary, nothing] = answers.as_slice() else { panic!() };
        assert_eq!((first, last), (&Allowed::Message, &Allowed::Message));
        assert_eq!((summary, nothing), (&Allowed::Summary(at(61)), &Allowed::Nothing));
    }

    #[test]
    fn an_hour_that_lies_ahead_silences_nothing_but_one_that_another_process_has_just_begun_counts() {
        let far = answers((0..22).map(|n| (n, 100)).chain([(30, 1)]));
        assert_eq!(far.last(), Some(&Allowed::Message));
        let near = answers((0..22).map(|n| (n, 2)).chain([(30, 1)]));
        assert_eq!(near.last(), Some(&Allowed::Nothing));
    }
}
