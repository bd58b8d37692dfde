//! Repeats: what is remembered about one finding, and what people are notified of now.
//!
//! Owns: which findings are the same, the windows, and what the state keeps. Pure: the state store itself is behind a port.
//! Must not: write text, or keep anything from being done. A repeat only notifies less often.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::Event;
use crate::model::ids::Location;
use crate::model::rule::Direction;
use crate::model::text::plain;
use crate::report::finding::{Finding, Subject};
use crate::report::outcome::{Action, Contested, Opener, Outcome};

/// The same finding is sent once in this time. Long enough for a controller that tries again every few minutes, short enough
/// that what is still open an hour later is sent again in the same shift.
pub const QUIET_PERIOD: SignedDuration = SignedDuration::from_hours(1);
/// Openings count for this long, and a rule is called contested once in this time.
pub const DAY: SignedDuration = SignedDuration::from_hours(24);
/// So many openings in a [`DAY`] make a rule contested. Two are a mistake and a second try; at three somebody or something
/// does it again and again.
pub const CONTESTED_FROM: usize = 3;
/// Openings remembered of one finding, the newest.
const MAX_OPENINGS: usize = 50;
/// Principals named when a rule is contested.
const MAX_NAMED: usize = 10;

/// Which finding: equal for a rule that was revoked and opened again under a new id. A digest, so that no text from outside
/// names what is kept in a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The key of a finding about a group: a rule by what it lets through and whom, a requirement by its id and by what is
    /// missing, so that what gets worse is sent.
    pub fn of(location: &Location, group: &str, finding: &Finding) -> Self {
        let mut parts = vec![location.account.as_str(), &location.region, group];
        let detail = || finding.detail.clone().unwrap_or_default();
        let said = match &finding.subject {
            // The owner of a peer group is left out: a caller may leave it out as well.
            Subject::Rule(rule) => {
                // Not the words of the record: tables hold keys that were made of these.
                let direction = match rule.direction {
                    Direction::Ingress => "Ingress",
                    Direction::Egress => "Egress",
                };
                vec![direction.to_owned(), rule.packets.to_string(), rule.peer.to_string()]
            }
            Subject::Requirement(id) => vec![id.clone(), detail()],
            Subject::Check(check) => vec![check.word().to_owned(), detail()],
        };
        parts.extend(said.iter().map(String::as_str));
        Self(digest(&parts))
    }

    /// 64 hexadecimal digits.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// SHA-256 of the parts, in 64 hexadecimal digits; other parts have another digest, however they are cut.
pub fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A finding as it is seen now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What became of it.
    pub action: Action,
    /// When it was opened and by whom. `None`: it stood there before, or it was gone when we came; then nobody opened it
    /// again, and it only counts as seen.
    pub opened: Option<(Timestamp, Option<String>)>,
    /// Whether it was there before and nothing is done about it: a person has to, and hears of it once a [`DAY`].
    pub is_left: bool,
}

impl Sighting {
    /// A finding that came with this event, or in a sweep. The time of the event counts and not that of its arrival, so that
    /// one event is one opening, however often and in whatever order events come.
    pub fn of(finding: &Finding, event: Option<&Event>, now: Timestamp) -> Self {
        let is_open = !matches!(finding.action, Action::None | Action::AlreadyGone | Action::Changed);
        let named = event.filter(|_| is_open && finding.named_by_event && finding.rule().is_some());
        let opened = |event: &Event| (event.time.unwrap_or(now).min(now), event.actor.arn.as_deref().map(plain));
        let is_left = finding.known && finding.action == Action::Refused;
        Self { action: finding.action, opened: named.map(opened), is_left }
    }
}

/// What people are notified of when a finding is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// It is news.
    Send,
    /// They were notified less than a [`QUIET_PERIOD`] ago, and nothing is new.
    Quiet {
        /// When they were.
        last: Timestamp,
    },
    /// It is sent whatever was sent before, with who keeps opening it.
    Contested(Contested),
}

/// What is remembered of one finding. Small, whatever happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When it was opened and by whom, within the last [`DAY`].
    openings: BTreeMap<Timestamp, Option<String>>,
    /// When people were last notified of it, and what had become of it.
    #[serde(rename = "told")]
    notified: Option<(Timestamp, Action)>,
    /// When it was last called contested.
    contested: Option<Timestamp>,
}

impl History {
    /// What to notify people of.
    pub fn notification(&self, sighting: &Sighting, now: Timestamp) -> Notification {
        let openings = self.openings_with(sighting, now);
        let is_new = sighting.opened.as_ref().is_some_and(|(at, _)| !self.openings.contains_key(at));
        let is_said = self.contested.is_some_and(|at| is_within(DAY, at, now));
        if is_new && !is_said && openings.len() >= CONTESTED_FROM {
            return Notification::Contested(contested(&openings, now));
        }
        let period = if sighting.is_left { DAY } else { QUIET_PERIOD };
        match self.notified {
            Some((last, action)) if is_within(period, last, now) && !is_news(sighting, action) => {
                Notification::Quiet { last }
            }
            _ => Notification::Send,
        }
    }

    /// The history once people were notified so.
    #[must_use]
    pub fn with(&self, sighting: &Sighting, notification: &Notification, now: Timestamp) -> Self {
        let is_sent = !matches!(notification, Notification::Quiet { .. });
        let is_contested = matches!(notification, Notification::Contested(_));
        Self {
            openings: newest(self.openings_with(sighting, now)),
            notified: if is_sent { Some((now, sighting.action)) } else { self.notified },
            contested: if is_contested { Some(now) } else { self.contested },
        }
    }

    /// What two invocations remember of the same finding, as one history. The order does not matter.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let mut openings = self.openings;
        for (at, by) in other.openings {
            let known = openings.entry(at).or_default();
            *known = known.take().max(by);
        }
        Self {
            openings: newest(openings),
            notified: self.notified.max(other.notified),
            contested: self.contested.max(other.contested),
        }
    }

    /// When nothing in it counts any more. `None`: there is nothing in it.
    pub fn ends(&self) -> Option<Timestamp> {
        let opened = self.openings.last_key_value().map(|(at, _)| *at);
        let last = opened.max(self.notified.map(|(at, _)| at)).max(self.contested);
        last.map(|last| last.checked_add(DAY).unwrap_or(Timestamp::MAX))
    }

    fn openings_with(&self, sighting: &Sighting, now: Timestamp) -> BTreeMap<Timestamp, Option<String>> {
        let mut openings = self.openings.clone();
        if let Some((at, by)) = &sighting.opened {
            openings.entry(*at).or_insert_with(|| by.clone());
        }
        openings.retain(|at, _| is_within(DAY, *at, now));
        openings
    }
}

/// What lies in the future is not within: a clock that went wrong must not silence anything.
fn is_within(time: SignedDuration, at: Timestamp, now: Timestamp) -> bool {
    at <= now && now.duration_since(at) < time
}

/// Whether people are notified although they were a moment ago. Of what needs a person now they are each time.
fn is_news(sighting: &Sighting, notified: Action) -> bool {
    let Sighting { action, is_left, .. } = *sighting;
    let is_over = matches!(action, Action::None | Action::AlreadyGone | Action::Changed);
    (action.outcome() >= Outcome::Refused && !is_left) || (action != notified && !is_over)
}

fn newest(mut openings: BTreeMap<Timestamp, Option<String>>) -> BTreeMap<Timestamp, Option<String>> {
    while openings.len() > MAX_OPENINGS {
        openings.pop_first();
    }
    openings
}

fn contested(openings: &BTreeMap<Timestamp, Option<String>>, now: Timestamp) -> Contested {
    let mut by: BTreeMap<&str, usize> = BTreeMap::new();
    for principal in openings.values().flatten() {
        *by.entry(principal).or_default() += 1;
    }
    let mut by: Vec<Opener> = by.into_iter().map(|(arn, times)| Opener { arn: arn.to_owned(), times }).collect();
    by.sort_by_key(|opener| std::cmp::Reverse(opener.times));
    by.truncate(MAX_NAMED);
    Contested { times: openings.len(), since: openings.keys().next().copied().unwrap_or(now), by }
}

#[cfg(test)]
mod tests;
