//! What is to be sent about one thing after one event, as it is kept: the messages, and which channel has which.
//!
//! Owns: who may send what when. Pure: the state store itself is behind a port. Must not: send anything.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::report::history::{digest, short_digest};
use crate::report::notice::{Message, message_kept};
use crate::report::outcome::Outcome;
use crate::report::record::Record;

/// It is kept for this long: longer than an event is tried again.
pub const LIFE: SignedDuration = SignedDuration::from_hours(72);
/// Who claimed a message and has not said what came of it by then is dead. A channel gives up before.
const LEASE: SignedDuration = SignedDuration::from_secs(20);
/// Most JSON in bytes. The texts of messages leave first; then they are composed again.
const MAX_BYTES: usize = 380_000;

/// What a channel has of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Somebody is about to send it, until then.
    Claimed(Timestamp),
    /// It took it.
    Sent,
}

/// A message, and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// What it says, to compare: a rule, a requirement or a check, each with what became of it.
    pub said: BTreeSet<String>,
    /// As it is sent. `None`: it was too large to be kept.
    #[serde(default, deserialize_with = "message_kept")]
    pub message: Option<Message>,
    /// By the name of the channel.
    #[serde(default)]
    pub channels: BTreeMap<String, Delivery>,
}

impl Letter {
    /// The message of a record. `anew`: what needs a person is said once more, under this time; all else is said once.
    pub fn of(record: &Record, message: Message, anew: Option<Timestamp>) -> Self {
        let part = record.part.iter().map(|part| format!("part {}", part.n));
        let said = said(record, &[], anew).into_iter().chain(part).collect();
        Self { said, message: Some(message), channels: BTreeMap::new() }
    }

    /// The message of a call, or the digest of a look, that concerns all these. Each says what it is about: two groups may
    /// lack the same.
    pub fn of_call(records: &[&Record], message: Message, anew: Option<Timestamp>) -> Self {
        let said = records.iter().flat_map(|record| said(record, &[&record.about()], anew)).collect();
        Self { said, message: Some(message), channels: BTreeMap::new() }
    }
}

fn said(record: &Record, about: &[&str], anew: Option<Timestamp>) -> Vec<String> {
    let said = record.findings.iter().flat_map(|finding| {
        let subject = serde_json::to_string(&finding.subject).unwrap_or_default();
        let said = move |at: &str| {
            let what = [about, &[&subject, finding.action.word(), at]].concat();
            short_digest(&what)
        };
        let needs_a_person = finding.action.outcome() >= Outcome::Refused;
        let anew = anew.filter(|_| needs_a_person).map(|at| said(&at.to_string()));
        [said("")].into_iter().chain(anew)
    });
    said.collect()
}

/// Where the message of a call that concerns all these is kept.
pub fn key_of_call(records: &[&Record]) -> Option<String> {
    let record = records.first()?;
    Some(digest(&[record.event_id.as_deref()?, &record.account, &record.region]))
}

/// Where the digest of a look is kept, by the cluster that it is about.
pub fn key_of_digest(look: &str, message: &Message) -> String {
    let cluster = message.attributes.iter().find(|(name, _)| *name == "cluster").map_or("", |(_, value)| value);
    digest(&["digest", look, cluster])
}

/// Where the messages of a record are kept. `None`: it comes of a sweep, which has no name by which a second try finds them.
pub fn key(record: &Record) -> Option<String> {
    let group = record.group.as_ref().map_or("", |group| group.id.as_str());
    let clusters = if group.is_empty() { record.clusters.join(",") } else { String::new() };
    Some(digest(&[record.event_id.as_deref()?, &record.account, &record.region, group, &clusters]))
}

/// All messages about one thing after one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outbox {
    /// In the order in which they were composed.
    pub letters: Vec<Letter>,
}

/// What who asked is to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The number of the letter, the channel, and the message as it was composed first.
    pub mine: Vec<(usize, String, Option<Message>)>,
    /// The channels that somebody else is sending to, just now.
    pub others: BTreeSet<String>,
}

/// What came of sending a letter to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The number of the letter.
    pub letter: usize,
    /// The channel.
    pub channel: String,
    /// Whether it took it.
    pub is_sent: bool,
}

impl Outbox {
    /// Takes a letter in, unless all of it was said in others, and claims for these channels what nobody sends or sent.
    pub fn claim(&mut self, letter: &Letter, channels: &[&str], now: Timestamp) -> Claimed {
        let is_said = |what: &String| self.letters.iter().any(|known| known.said.contains(what));
        if self.letters.is_empty() || !letter.said.iter().all(is_said) {
            self.letters.push(letter.clone());
        }
        let mut claimed = Claimed::default();
        let until = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
        // Whoever claimed it may have looked at its clock after us. One that went wrong must not silence anything.
        let latest = until.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
        for (n, letter) in self.letters.iter_mut().enumerate() {
            for channel in channels {
                match letter.channels.get(*channel) {
                    Some(Delivery::Sent) => {}
                    Some(Delivery::Claimed(end)) if *end > now && *end <= latest => {
                        claimed.others.insert((*channel).to_owned());
                    }
                    Some(Delivery::Claimed(_)) | None => {
                        letter.channels.insert((*channel).to_owned(), Delivery::Claimed(until));
                        claimed.mine.push((n, (*channel).to_owned(), letter.message.clone()));
                    }
                }
            }
        }
        for n in 0..self.letters.len() {
            if serde_json::to_vec(self).map_or(0, |json| json.len()) > MAX_BYTES
                && let Some(letter) = self.letters.get_mut(n)
            {
                letter.message = None;
            }
        }
        claimed
    }

    /// A channel that did not take a letter is free for the next try.
    pub fn settle(&mut self, sent: &[Sent]) {
        for Sent { letter, channel, is_sent } in sent {
            let Some(letter) = self.letters.get_mut(*letter) else { continue };
            if *is_sent {
                letter.channels.insert(channel.clone(), Delivery::Sent);
            } else if letter.channels.get(channel) != Some(&Delivery::Sent) {
                letter.channels.remove(channel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(said: &[&str]) -> Letter {
        let said = said.iter().map(|what| (*what).to_owned()).collect();
        Letter { said, message: Some(Message::default()), channels: BTreeMap::new() }
    }

    fn sent(letter: usize, channel: &str, is_sent: bool) -> Sent {
        Sent { letter, channel: channel.to_owned(), is_sent }
    }

    fn mine(claimed: &Claimed) -> Vec<(usize, &str)> {
        claimed.mine.iter().map(|(n, channel, _)| (*n, channel.as_str())).collect()
    }

    #[test]
    fn each_channel_gets_each_letter_once_and_what_is_missing_is_for_the_next_try() {
        let now = Timestamp::UNIX_EPOCH;
        let later = now + SignedDuration::from_secs(21);
        let mut outbox = Outbox::default();
        let first = outbox.claim(&letter(&["a"]), &["people", "records"], now);
        assert_eq!(mine(&first), [(0, "people"), (0, "records")]);
        let second = outbox.claim(&letter(&["a"]), &["people", "records"], now);
        assert_eq!((mine(&second), second.others.len()), (vec![], 2), "two at the same time");
        outbox.settle(&[sent(0, "people", true)]);
        outbox.settle(&[sent(0, "records", false)]);
        assert_eq!(mine(&outbox.claim(&letter(&["a"]), &["people", "records"], now)), [(0, "records")]);
        let dead = outbox.claim(&letter(&["a"]), &["people", "records"], later);
        assert_eq!(mine(&dead), [(0, "records")], "whoever claimed it did not come back");
        outbox.settle(&[sent(0, "records", true)]);
        outbox.settle(&[sent(0, "records", false)]);
        assert_eq!(mine(&outbox.claim(&letter(&[]), &["people", "records"], later)), []);
        assert_eq!(
            mine(&outbox.claim(&letter(&["a", "b"]), &["people"], later)),
            [(1, "people")],
            "more is to be said"
        );
    }

    #[test]
    fn a_claim_by_whoever_looked_at_the_clock_later_counts_and_one_far_ahead_does_not() {
        let now = Timestamp::UNIX_EPOCH;
        for (ahead, is_mine) in [(1, false), (20_000, false), (20_001, true)] {
            let mut outbox = Outbox::default();
            outbox.claim(&letter(&["a"]), &["people"], now + SignedDuration::from_millis(ahead));
            let claimed = outbox.claim(&letter(&["a"]), &["people"], now);
            assert_eq!((mine(&claimed).len(), claimed.others.len()), (usize::from(is_mine), usize::from(!is_mine)));
        }
    }

    #[test]
    fn what_does_not_fit_is_composed_again_and_what_is_kept_comes_back_as_it_was() {
        let mut large = letter(&["a"]);
        large.message = Some(Message { record: Some("x".repeat(400_000)), ..Message::default() });
        let mut outbox = Outbox::default();
        let claimed = outbox.claim(&large, &["people"], Timestamp::UNIX_EPOCH);
        assert!(claimed.mine[0].2.is_some() && outbox.letters[0].message.is_none());
        outbox.letters[0].message = Some(Message::default());
        let json = serde_json::to_string(&outbox).unwrap();
        assert_eq!(serde_json::from_str::<Outbox>(&json).unwrap(), outbox);
    }
}
