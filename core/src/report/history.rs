//! Repeats: what is remembered about one finding, and what people are notified of now.
//!
//! Owns: the windows, and what the state keeps. Pure: the state store itself is behind a port.
//! Must not: write text, or keep anything from being done. A repeat only notifies less often.

mod key;
mod sighting;

pub use key::{Key, digest, short_digest};
pub use sighting::{DAY, QUIET_PERIOD, Said, Sighting};

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::sighting::is_over;
use crate::report::outcome::{Action, Contested, Opener};

/// So many openings in a [`DAY`] make a rule contested. Two are a mistake and a second try; at three somebody or something
/// does it again and again.
pub const CONTESTED_FROM: usize = 3;
/// Openings remembered of one finding, the newest.
const MAX_OPENINGS: usize = 50;
/// What was not seen for longer counts as opened anew: the longest time between two sweeps, and a day.
const STANDS: SignedDuration = SignedDuration::from_hours(8 * 24);
/// Principals named when a rule is contested.
const MAX_NAMED: usize = 10;
/// How far the clock of another process may be ahead.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(10);

/// A rule that stands open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Standing {
    last: Timestamp,
    since: Timestamp,
    rule: String,
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
    /// What they were told then.
    said: Said,
    /// Who opened it within the last [`DAY`], as digests, and when last.
    by: BTreeMap<String, Timestamp>,
    /// The rule that stood open when it was last seen.
    standing: Option<Standing>,
}

impl History {
    /// What to notify people of.
    pub fn notification(&self, sighting: &Sighting, now: Timestamp) -> Notification {
        let is_news = is_news(sighting, self.notified.map(|(_, action)| action)) || self.says_more(sighting, now);
        if let Some(last) = self.known_by_another_id(sighting, now).filter(|_| !is_news) {
            return Notification::Quiet { last };
        }
        let openings = self.openings_with(sighting, now);
        let is_new = sighting.opened.as_ref().is_some_and(|(at, _)| !self.openings.contains_key(at));
        let is_said = self.contested.is_some_and(|at| is_within(DAY, at, now));
        if is_new && !is_said && openings.len() >= CONTESTED_FROM {
            return Notification::Contested(contested(&openings, now));
        }
        match self.notified {
            Some((last, _)) if is_within(sighting.quiet_for, last, now) && !is_news => Notification::Quiet { last },
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
            said: if is_sent { self.said_with(sighting) } else { self.said.clone() },
            by: self.by_with(sighting, now),
            standing: self.standing_with(sighting, now),
        }
    }

    /// The history when people were not notified after all, with what it was before.
    #[must_use]
    pub fn unsaid(self, before: &Self) -> Self {
        Self { notified: before.notified, contested: before.contested, said: before.said.clone(), ..self }
    }

    /// The history once a look has shown that it is over, so that it is news when it begins again. `None`: that is known.
    #[must_use]
    pub fn over(&self, now: Timestamp) -> Option<Self> {
        let is_told = self.notified.is_some_and(|(_, action)| !is_over(action));
        is_told.then(|| Self { notified: Some((now, Action::None)), ..self.clone() })
    }

    /// Since when it stands; whether nothing is new about it to people who heard of it before.
    pub fn standing(&self, sighting: &Sighting, now: Timestamp) -> (Option<Timestamp>, bool) {
        let is_known = self.standing.as_ref().is_some_and(|known| sighting.rule.as_ref() == Some(&known.rule));
        let is_told = self.notified.is_some_and(|(_, action)| action == sighting.action);
        let is_unchanged = is_known && is_told && !self.says_more(sighting, now);
        (self.standing_with(sighting, now).map(|standing| standing.since), is_unchanged)
    }

    /// Whether more is let in, another principal does it, or it is worse or left for another reason.
    fn says_more(&self, sighting: &Sighting, now: Timestamp) -> bool {
        let by = self.by.iter().filter(|(_, at)| is_within(DAY, **at, now)).map(|(by, _)| by);
        let known: BTreeSet<&String> = by.collect();
        let is_another = |name: &String| !known.is_empty() && !known.contains(&short_digest(&[name]));
        !is_over(sighting.action)
            && (sighting.said.is_news_after(&self.said) || sighting.principal.as_ref().is_some_and(is_another))
    }

    /// When people heard of a rule that is only to be looked at, and that is equal to this one: a controller, or Terraform,
    /// writes its own again.
    fn known_by_another_id(&self, sighting: &Sighting, now: Timestamp) -> Option<Timestamp> {
        let known = self.standing.as_ref().filter(|known| is_within(DAY, known.last, now) && sighting.is_report)?;
        let is_another = sighting.rule.as_ref().is_some_and(|rule| *rule != known.rule);
        is_another.then(|| self.notified.map_or(known.last, |(at, _)| at))
    }

    fn said_with(&self, sighting: &Sighting) -> Said {
        let lets_in = sighting.said.lets_in.clone().or_else(|| self.said.lets_in.clone());
        Said { lets_in, ..sighting.said.clone() }
    }

    fn by_with(&self, sighting: &Sighting, now: Timestamp) -> BTreeMap<String, Timestamp> {
        let mut by = self.by.clone();
        by.retain(|_, at| is_within(DAY, *at, now));
        by.extend(sighting.principal.as_ref().map(|name| (short_digest(&[name]), now)));
        latest(by)
    }

    fn standing_with(&self, sighting: &Sighting, now: Timestamp) -> Option<Standing> {
        let known = self.standing.clone().filter(|known| is_within(STANDS, known.last, now));
        let Some(rule) = sighting.rule.clone() else { return known };
        let since = known.filter(|known| known.rule == rule).map_or(now, |known| known.since);
        Some(Standing { last: now, since, rule })
    }

    /// What two invocations remember of the same finding, as one history. The order does not matter.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let mut openings = self.openings;
        for (at, by) in other.openings {
            let known = openings.entry(at).or_default();
            *known = known.take().max(by);
        }
        let mut by = self.by;
        for (name, at) in other.by {
            let known = by.entry(name).or_insert(at);
            *known = (*known).max(at);
        }
        let (notified, said) = (self.notified, self.said).max((other.notified, other.said));
        let standing = match (self.standing, other.standing) {
            (Some(one), Some(other)) if one.rule == other.rule => {
                Some(Standing { since: one.since.min(other.since), last: one.last.max(other.last), rule: one.rule })
            }
            (one, other) => one.max(other),
        };
        Self {
            openings: newest(openings),
            notified,
            contested: self.contested.max(other.contested),
            said,
            by: latest(by),
            standing,
        }
    }

    /// When nothing in it counts any more. `None`: there is nothing in it.
    pub fn ends(&self) -> Option<Timestamp> {
        let opened = self.openings.last_key_value().map(|(at, _)| *at);
        let last = opened.max(self.notified.map(|(at, _)| at)).max(self.contested);
        let after = |time: SignedDuration| move |last: Timestamp| last.checked_add(time).unwrap_or(Timestamp::MAX);
        last.map(after(DAY)).max(self.standing.as_ref().map(|standing| standing.last).map(after(STANDS)))
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

/// What lies far in the future is not within: a clock that went wrong must not silence anything. Clocks of two processes
/// may differ a little.
fn is_within(time: SignedDuration, at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(at);
    age > -CLOCKS_DIFFER && age < time
}

/// Whether people are notified although they were a moment ago.
fn is_news(sighting: &Sighting, notified: Option<Action>) -> bool {
    let Sighting { action, quiet_for, .. } = *sighting;
    let is_another = notified.is_some_and(|notified| action != notified);
    quiet_for.is_zero() || (is_another && !is_over(action))
}

fn latest(mut by: BTreeMap<String, Timestamp>) -> BTreeMap<String, Timestamp> {
    while by.len() > MAX_OPENINGS {
        let oldest = by.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
        let Some(oldest) = oldest else { break };
        by.remove(&oldest);
    }
    by
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
