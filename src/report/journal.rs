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

/// An entry is kept for this long: longer than an event is tried again, and than CloudTrail is late.
pub const LIFE: SignedDuration = SignedDuration::from_hours(72);
/// No invocation lives longer, so what one has not told by then, it will not.
const LEASE: SignedDuration = SignedDuration::from_secs(90);
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
    /// Whether the rules of the group, as they are now, show it as done.
    pub fn is_done_in(&self, live: &[Rule]) -> bool {
        let Some(rule) = self.finding.rule() else { return false };
        let now = live.iter().find(|live| live.id == rule.id);
        match (now, &self.after) {
            (None, None) => true,
            (Some(now), Some(after)) => now.packets == after.packets && now.peer == after.peer,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Whether who did it can't be about to tell it any more: the same event comes again only when its last try has ended,
    /// or beside it.
    fn is_left_over(&self, event: Option<&str>, now: Timestamp) -> bool {
        (event.is_some() && self.event.as_deref() == event) || now.duration_since(self.at) > LEASE
    }

    fn is_of(&self, other: &Self) -> bool {
        self.event == other.event && self.at == other.at
    }
}

/// The journal of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    /// The clusters of the group, for when it is gone itself.
    pub clusters: BTreeSet<String>,
    /// The events that entries name, by id.
    pub events: BTreeMap<String, Caller>,
    /// By rule id.
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
    pub entries: BTreeMap<String, Entry>,
    /// Entries that nothing came of: somebody else was faster, or EC2 refused.
    pub struck: BTreeMap<String, Entry>,
    /// The rules of which every channel took the message.
    pub told: BTreeSet<String>,
}

impl Journal {
    /// With what is written. Of two tries the first one counts, until it is told, struck, or about another content.
    #[must_use]
    pub fn with(mut self, note: &Note, now: Timestamp) -> Self {
        self = self.alive(now);
        self.clusters.extend(note.clusters.iter().cloned());
        self.events.extend(note.event.clone());
        for (id, new) in &note.entries {
            let first = self.entries.get_mut(id).filter(|old| old.finding.rule() == new.finding.rule());
            match first.filter(|old| !old.told || old.is_of(new)) {
                Some(first) => first.done_at = first.done_at.or(new.done_at),
                None => {
                    self.entries.insert(id.clone(), new.clone());
                }
            }
        }
        // Where another try of the same event has done it, nothing came of this one alone.
        let is_struck = |id: &String, entry: &Entry| note.struck.get(id).is_some_and(|struck| entry.is_of(struck));
        self.entries.retain(|id, entry| entry.done_at.is_some() || !is_struck(id, entry));
        for id in &note.told {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.told = true;
            }
        }
        self.fitted()
    }

    /// Without what is too old to count.
    #[must_use]
    pub fn alive(mut self, now: Timestamp) -> Self {
        self.entries.retain(|_, entry| now.duration_since(entry.at) < LIFE);
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

    /// Whether it holds this rule as our doing, told or not.
    pub fn holds(&self, rule: &str) -> bool {
        self.entries.contains_key(rule)
    }

    /// Whether it holds something that this event led to, and that everybody knows of it.
    pub fn has_told(&self, event: &str) -> bool {
        self.entries.values().any(|entry| entry.told && entry.event.as_deref() == Some(event))
    }

    /// What was done and not told, by rule id. `live`: the rules of the group as they are now.
    pub fn untold(&self, live: &[Rule]) -> BTreeMap<String, Entry> {
        let is_due = |entry: &Entry| !entry.told && entry.is_done_in(live);
        self.entries.iter().filter(|(_, entry)| is_due(entry)).map(|(id, entry)| (id.clone(), entry.clone())).collect()
    }

    /// What of it nobody is about to tell. `event`: the id of the current one.
    pub fn left_over(&self, event: Option<&str>, live: &[Rule], now: Timestamp) -> BTreeMap<String, Entry> {
        let mut untold = self.untold(live);
        untold.retain(|_, entry| entry.is_left_over(event, now));
        untold
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::{Direction, Packets, Peer};
    use crate::policy::model::Verdict;
    use crate::report::outcome::Action;

    fn at(minutes: i64) -> Timestamp {
        "2026-11-23T03:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
    }

    fn rule(id: &str, port: u16) -> Rule {
        let world = Peer::cidr("0.0.0.0/0").unwrap();
        Rule { id: id.into(), ..Rule::new(Direction::Ingress, Packets::Tcp(port, port), world) }
    }

    fn entry(event: &str, minutes: i64, rule: Rule) -> Entry {
        let finding = Finding::read_denied(String::new());
        let finding = Finding {
            subject: Subject::Rule(rule),
            action: Action::Revoked,
            verdict: Verdict::Revoke,
            detail: None,
            ..finding
        };
        Entry { finding, after: None, event: Some(event.into()), at: at(minutes), done_at: None, told: false }
    }

    fn begins(event: &str, minutes: i64, port: u16) -> Note {
        let caller = Caller { source: "ec2".into(), name: event.into(), time: None, actor: Actor::default() };
        let entries = [("sgr-1".to_owned(), entry(event, minutes, rule("sgr-1", port)))].into();
        Note { event: Some((event.into(), caller)), entries, ..Note::default() }
    }

    fn first(journal: &Journal) -> &str {
        journal.entries["sgr-1"].event.as_deref().unwrap()
    }

    #[test]
    fn the_first_try_counts_until_it_is_told_struck_or_about_another_content() {
        let begun = Journal::default().with(&begins("e-1", 0, 22), at(0));
        let both = begun.clone().with(&begins("e-2", 1, 22), at(1));
        assert_eq!((first(&both), both.events.len()), ("e-1", 1));
        let other = begun.clone().with(&begins("e-2", 1, 23), at(1));
        assert_eq!(first(&other), "e-2", "it was edited meanwhile");
        let told = Note { told: ["sgr-1".to_owned()].into(), ..Note::default() };
        let told = begun.clone().with(&told, at(1));
        assert!(told.has_told("e-1") && told.untold(&[]).is_empty());
        assert_eq!(first(&told.with(&begins("e-2", 2, 22), at(2))), "e-2");

        let strikes = |event, minutes| Note { struck: begins(event, minutes, 22).entries, ..Note::default() };
        assert!(begun.clone().with(&strikes("e-1", 0), at(1)).entries.is_empty());
        assert!(begun.clone().with(&strikes("e-2", 1), at(1)).holds("sgr-1"), "another try's is not ours to strike");
        let mut done = begins("e-1", 0, 22);
        done.entries.values_mut().for_each(|entry| entry.done_at = Some(at(1)));
        let done = begun.clone().with(&done, at(1)).with(&strikes("e-1", 0), at(1));
        assert!(done.holds("sgr-1"), "the other of two tries at once has done it");
        assert!(begun.with(&Note::default(), at(72 * 60)).entries.is_empty(), "it ends");
    }

    #[test]
    fn only_what_is_done_and_left_over_is_joined() {
        let journal = Journal::default().with(&begins("e-1", 0, 22), at(0));
        for (event, minutes, live, is_joined) in [
            (Some("e-1"), 0, vec![], true),
            (Some("e-1"), 0, vec![rule("sgr-1", 22)], false),
            (Some("e-2"), 1, vec![], false),
            (Some("e-2"), 2, vec![], true),
            (None, 1, vec![], false),
            (None, 2, vec![], true),
        ] {
            let left = journal.left_over(event, &live, at(minutes));
            assert_eq!(!left.is_empty(), is_joined, "{event:?} after {minutes} min");
        }
        let put_back = Entry { after: Some(rule("sgr-1", 443)), ..entry("e-1", 0, rule("sgr-1", 22)) };
        assert!(put_back.is_done_in(&[rule("sgr-1", 443)]));
        assert!(!put_back.is_done_in(&[rule("sgr-1", 22)]) && !put_back.is_done_in(&[]));
    }

    #[test]
    fn whatever_callers_write_it_fits_and_what_is_not_told_stays_longest() {
        let mut note = begins("e-1", 0, 22);
        for n in 0..1000_i64 {
            let long = Rule { tags: [("t".to_owned(), "é".repeat(256))].into(), ..rule(&format!("sgr-{n}"), 22) };
            note.entries.insert(format!("sgr-{n}"), Entry { told: n % 2 == 0, ..entry("e-1", n % 60, long) });
        }
        let journal = Journal::default().with(&note, at(60));
        assert!(journal.bytes() <= MAX_BYTES);
        assert!(
            journal.entries.values().all(|entry| !entry.told) && journal.entries.len() > 400,
            "{}",
            journal.entries.len()
        );
        let json = serde_json::to_string(&journal).unwrap();
        assert_eq!(serde_json::from_str::<Journal>(&json).unwrap(), journal);
        assert_eq!(serde_json::from_str::<Journal>("{}").unwrap(), Journal::default());
    }
}
