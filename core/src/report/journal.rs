//! The journal of a group: what was about to be done in it and what was done, by which try, kept where the next try
//! finds it.
//!
//! Owns: the entries as they are kept, how writers add to them, and when one says that something was our doing. Pure: the
//! state store itself is behind a port. Must not: claim what it does not hold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event::{Actor, Call, Event};
use crate::model::ids::Location;
use crate::model::rule::Rule;
use crate::report::finding::{Finding, Subject};
use crate::report::history::short_digest;

/// An entry is kept for this long: longer than an event is tried again, and than CloudTrail is late.
pub const LIFE: SignedDuration = SignedDuration::from_hours(72);
/// One that nobody has told, for longer than a week: the next sweep tells it.
pub const UNTOLD_LIFE: SignedDuration = SignedDuration::from_hours(8 * 24);
/// No invocation lives longer, so what one has not told by then, it will not.
const LEASE: SignedDuration = SignedDuration::from_secs(90);
/// What a sweep did stands in a digest, once its last part has ended: so long its parts are tried. Another sweep joins it
/// before.
const DIGEST: SignedDuration = SignedDuration::from_hours(3);
/// How far the clocks of AWS and ours may be apart.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(10);
/// Most JSON in bytes. What does not fit leaves in the order of what is missed least.
const MAX_BYTES: usize = 380_000;

/// An event on whose behalf something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The service of the call.
    pub source: String,
    /// The call.
    pub name: String,
    /// When it completed.
    pub time: Option<Timestamp>,
    /// Who made it.
    pub actor: Actor,
}

impl From<&Event> for Caller {
    fn from(event: &Event) -> Self {
        Self {
            source: event.call.source.to_owned(),
            name: event.call.name.to_owned(),
            time: event.time,
            actor: event.actor.clone(),
        }
    }
}

impl Caller {
    /// The event of this id. `None`: the guard does not follow such calls any more.
    pub fn event(self, id: String, location: &Location) -> Option<Event> {
        let call = Call::find(&self.source, &self.name)?;
        Some(Event { id, call, time: self.time, location: location.clone(), actor: self.actor })
    }
}

/// One effect: that it was about to be, and that it was read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The rule as it was, why it had to go, and as `action` what was to become of it.
    pub finding: Finding,
    /// What the rule is afterwards. `None`: gone.
    #[serde(default)]
    pub after: Option<Rule>,
    /// The id of the event; `None`: a sweep.
    #[serde(default)]
    pub event: Option<String>,
    /// When the call was about to leave.
    pub at: Timestamp,
    /// When it was read back as done.
    #[serde(default)]
    pub done_at: Option<Timestamp>,
    /// Whether every channel took the message of it.
    #[serde(default)]
    pub told: bool,
}

impl Entry {
    /// What it is kept under. An event does one thing to a rule as it was; what it comes to afterwards is another.
    pub fn key(&self) -> Option<String> {
        self.finding.rule().map(|rule| key(rule, self.event.as_deref()))
    }

    /// Whether it was read back, or the rules of the group, as they are now, show it as done.
    pub fn is_done_in(&self, live: &[Rule]) -> bool {
        if self.done_at.is_some() {
            return true;
        }
        let Some(rule) = self.finding.rule() else { return false };
        let now = live.iter().find(|live| live.id == rule.id);
        match (now, &self.after) {
            (None, None) => true,
            (Some(now), Some(after)) => now.packets == after.packets && now.peer == after.peer,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Whether people know of what was read back at that time. A rule that is edited and put back keeps its id, so the same
    /// may be done once more later.
    pub fn has_told(&self, closed_at: Option<Timestamp>) -> bool {
        let last = self.done_at.unwrap_or(self.at);
        self.told && closed_at.is_none_or(|at| at <= last)
    }

    /// Whether who did it can't be about to tell it any more: the same event, or part of a sweep, comes again only when its
    /// last try has ended, or beside it.
    fn is_left_over(&self, event: Option<&str>, sweep: Option<Timestamp>, now: Timestamp) -> bool {
        (event.is_some() && self.event.as_deref() == event)
            || (self.event.is_none() && sweep.is_some_and(|began| self.at >= began))
            || now.duration_since(self.at) > LEASE && (event.is_none() || !self.waits_for_digest(now))
    }

    /// Whether a sweep did it, and its digest may still come.
    fn waits_for_digest(&self, now: Timestamp) -> bool {
        self.event.is_none() && now.duration_since(self.at) <= DIGEST
    }

    fn life(&self) -> SignedDuration {
        if self.told || self.event.is_some() { LIFE } else { UNTOLD_LIFE }
    }

    /// Whether the same try wrote both, about the same rule.
    fn is_of(&self, other: &Self) -> bool {
        self.event == other.event && self.at == other.at && self.is_about_rule_of(other)
    }

    fn is_about_rule_of(&self, other: &Self) -> bool {
        self.finding.rule().map(|rule| &rule.id) == other.finding.rule().map(|rule| &rule.id)
    }

    /// Whether it can't have been: another call has revoked that rule later.
    fn is_disproved_by(&self, other: &Self) -> bool {
        let is_later = other.done_at.is_some() && other.after.is_none() && self.at < other.at;
        self.done_at.is_none() && is_later && self.is_about_rule_of(other)
    }
}

/// What an effect on a rule as it was, on behalf of this event, is kept under.
pub fn key(rule: &Rule, event: Option<&str>) -> String {
    let content = Rule { description: None, tags: BTreeMap::new(), ..rule.clone() };
    let content = serde_json::to_string(&content).unwrap_or_default();
    format!("{} {}", rule.id, short_digest(&[&content, event.unwrap_or_default()]))
}

/// The journal of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    /// The clusters of the group, for when it is gone itself.
    pub clusters: BTreeSet<String>,
    /// The events that entries name, by id.
    pub events: BTreeMap<String, Caller>,
    /// By [`Entry::key`].
    pub entries: BTreeMap<String, Entry>,
}

/// What is written into a journal at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Note {
    /// The clusters of the group.
    pub clusters: BTreeSet<String>,
    /// On whose behalf, with its id.
    pub event: Option<(String, Caller)>,
    /// What is about to be done, or was.
    pub entries: Vec<Entry>,
    /// Entries that nothing came of: somebody else was faster, or EC2 refused.
    pub struck: Vec<Entry>,
    /// Of what every channel took the message, by [`key`].
    pub told: BTreeSet<String>,
}

impl Journal {
    /// With what is written. Of two tries the first one counts, until it is told or struck.
    #[must_use]
    pub fn with(mut self, note: &Note, now: Timestamp) -> Self {
        self = self.alive(now);
        self.clusters.extend(note.clusters.iter().cloned());
        self.events.extend(note.event.clone());
        for new in &note.entries {
            let Some(key) = new.key() else { continue };
            match self.entries.get_mut(&key).filter(|old| !old.told || old.is_of(new)) {
                Some(first) => first.done_at = first.done_at.or(new.done_at),
                None => {
                    self.entries.insert(key, new.clone());
                }
            }
        }
        // Where another try of the same event has done it, nothing came of this one alone.
        let is_struck = |entry: &Entry| note.struck.iter().any(|struck| entry.is_of(struck));
        let is_disproved = |entry: &Entry| note.entries.iter().any(|other| entry.is_disproved_by(other));
        self.entries.retain(|_, entry| entry.done_at.is_some() || !(is_struck(entry) || is_disproved(entry)));
        for (key, entry) in &mut self.entries {
            entry.told |= note.told.contains(key);
        }
        self.fitted()
    }

    /// Without what is too old to count. What an earlier edition kept by rule id alone is kept as all else.
    #[must_use]
    pub fn alive(mut self, now: Timestamp) -> Self {
        let alive = self.entries.into_iter().filter(|(_, entry)| now.duration_since(entry.at) < entry.life());
        let keyed = |(kept, entry): (String, Entry)| {
            let is_old = entry.finding.rule()?.id == kept;
            Some((if is_old { entry.key()? } else { kept }, entry))
        };
        self.entries = alive.filter_map(keyed).collect();
        self.without_idle_events()
    }

    fn without_idle_events(mut self) -> Self {
        let named: BTreeSet<&String> = self.entries.values().filter_map(|entry| entry.event.as_ref()).collect();
        self.events.retain(|id, _| named.contains(id));
        self
    }

    /// What was told leaves first, the oldest before others; then texts that callers write; then the oldest of the rest.
    fn fitted(mut self) -> Self {
        if self.bytes() <= MAX_BYTES {
            return self.without_idle_events();
        }
        self.entries.retain(|_, entry| !entry.told);
        if self.bytes() > MAX_BYTES {
            for entry in self.entries.values_mut() {
                if let Subject::Rule(rule) = &mut entry.finding.subject {
                    (rule.description, rule.tags) = (None, BTreeMap::new());
                }
            }
        }
        while self.bytes() > MAX_BYTES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.at).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            self.entries.remove(&oldest);
        }
        self.without_idle_events()
    }

    fn bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }

    /// Whether what became of this rule is our doing, told or not: on behalf of the event, or after it, of what `is_it`.
    pub fn holds(&self, rule: &str, event: Option<&Event>, is_it: impl Fn(&Rule) -> bool) -> bool {
        let is_on_behalf = |entry: &Entry| event.is_some_and(|event| entry.event.as_ref() == Some(&event.id));
        let began = event.and_then(|event| event.time?.checked_sub(CLOCKS_DIFFER).ok());
        let is_later = |entry: &Entry| began.is_none_or(|began| entry.at >= began);
        self.entries.values().any(|entry| {
            let was = entry.finding.rule().filter(|was| was.id == rule);
            was.is_some_and(|was| is_on_behalf(entry) || (is_later(entry) && is_it(was)))
        })
    }

    /// Whether it holds something that this event led to, and that everybody knows of it.
    pub fn has_told(&self, event: &str) -> bool {
        self.entries.values().any(|entry| entry.told && entry.event.as_deref() == Some(event))
    }

    /// What was done and not told. `live`: the rules of the group as they are now.
    pub fn untold(&self, live: &[Rule]) -> Vec<Entry> {
        let is_due = |entry: &&Entry| !entry.told && entry.is_done_in(live);
        self.entries.values().filter(is_due).cloned().collect()
    }

    /// What of it the guard's own call may tell, which comes back as an event.
    pub fn untold_of_events(&self, live: &[Rule], now: Timestamp) -> Vec<Entry> {
        let mut untold = self.untold(live);
        untold.retain(|entry| !entry.waits_for_digest(now));
        untold
    }

    /// What of it nobody is about to tell. `event`: the id of the current one. `sweep`: when the sweep began that asks for a
    /// part of it.
    pub fn left_over(
        &self,
        event: Option<&str>,
        sweep: Option<Timestamp>,
        live: &[Rule],
        now: Timestamp,
    ) -> Vec<Entry> {
        let mut untold = self.untold(live);
        untold.retain(|entry| entry.is_left_over(event, sweep, now));
        untold
    }
}

#[cfg(test)]
mod tests;
