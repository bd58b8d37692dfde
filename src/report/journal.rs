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
use crate::report::history::digest;

/// An entry is kept for this long: longer than an event is tried again, and than CloudTrail is late.
pub const LIFE: SignedDuration = SignedDuration::from_hours(72);
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

    /// Whether who did it can't be about to tell it any more: the same event comes again only when its last try has ended,
    /// or beside it.
    fn is_left_over(&self, event: Option<&str>, now: Timestamp) -> bool {
        (event.is_some() && self.event.as_deref() == event)
            || now.duration_since(self.at) > LEASE && (event.is_none() || !self.waits_for_digest(now))
    }

    /// Whether a sweep did it, and its digest may still come.
    fn waits_for_digest(&self, now: Timestamp) -> bool {
        self.event.is_none() && now.duration_since(self.at) <= DIGEST
    }

    fn is_of(&self, other: &Self) -> bool {
        self.event == other.event && self.at == other.at
    }

    /// Whether it can't have been: another call has revoked that rule later.
    fn is_disproved_by(&self, other: &Self) -> bool {
        let is_same = || self.finding.rule().map(|rule| &rule.id) == other.finding.rule().map(|rule| &rule.id);
        self.done_at.is_none() && other.done_at.is_some() && other.after.is_none() && self.at < other.at && is_same()
    }
}

/// What an effect on a rule as it was, on behalf of this event, is kept under.
pub fn key(rule: &Rule, event: Option<&str>) -> String {
    let content = Rule { description: None, tags: BTreeMap::new(), ..rule.clone() };
    let content = serde_json::to_string(&content).unwrap_or_default();
    let what: String = digest(&[&content, event.unwrap_or_default()]).chars().take(16).collect();
    format!("{} {what}", rule.id)
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
        let is_struck =
            |entry: &Entry| note.struck.iter().any(|struck| entry.is_of(struck) && entry.key() == struck.key());
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
        let alive = self.entries.into_values().filter(|entry| now.duration_since(entry.at) < LIFE);
        self.entries = alive.filter_map(|entry| Some((entry.key()?, entry))).collect();
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

    /// What of it nobody is about to tell. `event`: the id of the current one.
    pub fn left_over(&self, event: Option<&str>, live: &[Rule], now: Timestamp) -> Vec<Entry> {
        let mut untold = self.untold(live);
        untold.retain(|entry| entry.is_left_over(event, now));
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
        let entries = vec![entry(event, minutes, rule("sgr-1", port))];
        Note { event: Some((event.into(), caller)), entries, ..Note::default() }
    }

    fn event(id: &str, minutes: i64) -> Event {
        let (call, location) = (&crate::event::CALLS[0], Location::default());
        Event { id: id.into(), call, time: Some(at(minutes)), location, actor: Actor::default() }
    }

    fn tells(event: &str, port: u16) -> Note {
        Note { told: [key(&rule("sgr-1", port), Some(event))].into(), ..Note::default() }
    }

    fn confirms(event: &str, minutes: i64, port: u16) -> Note {
        let mut note = begins(event, minutes, port);
        note.entries.iter_mut().for_each(|entry| entry.done_at = Some(at(minutes + 1)));
        note
    }

    /// Events and minutes of what is there.
    fn those(entries: impl IntoIterator<Item = Entry>) -> Vec<(String, i64)> {
        let of = |entry: Entry| (entry.event.unwrap(), entry.at.duration_since(at(0)).as_mins());
        let mut those: Vec<_> = entries.into_iter().map(of).collect();
        those.sort();
        those
    }

    fn of(those: &[(&str, i64)]) -> Vec<(String, i64)> {
        those.iter().map(|(event, minutes)| ((*event).to_owned(), *minutes)).collect()
    }

    #[test]
    fn of_tries_of_one_event_the_first_counts_until_it_is_told_or_struck() {
        let begun = Journal::default().with(&begins("e-1", 0, 22), at(0));
        let again = |journal: &Journal| those(journal.clone().with(&begins("e-1", 1, 22), at(1)).entries.into_values());
        assert_eq!(again(&begun), of(&[("e-1", 0)]));
        let told = begun.clone().with(&tells("e-1", 22), at(1));
        assert!(told.has_told("e-1") && told.untold(&[]).is_empty());
        assert_eq!(again(&told), of(&[("e-1", 1)]));

        let strikes = |event, minutes| Note { struck: begins(event, minutes, 22).entries, ..Note::default() };
        assert!(begun.clone().with(&strikes("e-1", 0), at(1)).entries.is_empty());
        let is_held = |journal: &Journal| journal.holds("sgr-1", Some(&event("e-1", 0)), |_| false);
        assert!(is_held(&begun.clone().with(&strikes("e-2", 1), at(1))), "another event's is not ours to strike");
        let done = begun.clone().with(&confirms("e-1", 0, 22), at(1)).with(&strikes("e-1", 0), at(1));
        assert!(is_held(&done), "the other of two tries at once has done it");
        assert!(begun.with(&Note::default(), at(72 * 60)).entries.is_empty(), "it ends");
    }

    /// A rule that was put back can be edited again, by the same call or another.
    #[test]
    fn what_happens_to_a_rule_again_takes_nothing_from_what_is_not_told_yet() {
        let put_back = |mut note: Note| {
            note.entries.iter_mut().for_each(|entry| entry.after = Some(rule("sgr-1", 443)));
            note
        };
        let first = Journal::default().with(&put_back(confirms("e-1", 0, 22)), at(1));
        for (event, port) in [("e-2", 22), ("e-2", 23), ("e-1", 23)] {
            for then in [put_back(confirms(event, 2, port)), confirms(event, 2, port)] {
                let both = first.clone().with(&then, at(3));
                assert_eq!(those(both.untold(&[])), of(&[("e-1", 0), (event, 2)]), "{event} {port}");
                let told = both.with(&tells(event, port), at(4));
                assert_eq!(those(told.untold(&[])), of(&[("e-1", 0)]), "{event} {port}");
            }
        }
    }

    /// The same edit once more, and back before anybody looked: what was done to the first one says nothing of it.
    #[test]
    fn what_was_done_before_an_event_is_not_what_became_of_its_rule() {
        let journal = Journal::default().with(&confirms("e-1", 10, 22), at(11));
        let holds = |id, minutes| journal.holds("sgr-1", Some(&event(id, minutes)), |was| *was == rule("sgr-1", 22));
        assert!(holds("e-1", 10) && holds("e-2", 9) && holds("e-2", 10));
        assert!(!holds("e-2", 11) && holds("e-1", 11), "an event of another call, a minute later");
    }

    /// Somebody died between writing and the call, and another event led to it.
    #[test]
    fn who_revoked_a_rule_disproves_an_earlier_call_that_nobody_read_back() {
        let begun = Journal::default().with(&begins("e-1", 0, 22), at(0));
        assert_eq!(those(begun.clone().with(&begins("e-2", 1, 22), at(1)).untold(&[])), of(&[("e-1", 0), ("e-2", 1)]));
        assert_eq!(those(begun.with(&confirms("e-2", 1, 22), at(1)).untold(&[])), of(&[("e-2", 1)]));
    }

    #[test]
    fn what_an_earlier_edition_kept_by_rule_id_is_the_same_entry() {
        let old = entry("e-1", 0, rule("sgr-1", 22));
        let old = Journal { entries: [("sgr-1".to_owned(), old)].into(), ..Journal::default() };
        assert_eq!(those(old.clone().with(&begins("e-1", 1, 22), at(1)).entries.into_values()), of(&[("e-1", 0)]));
        assert!(old.with(&tells("e-1", 22), at(1)).untold(&[]).is_empty());
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
        let mut swept = begins("e-1", 0, 22);
        swept.entries.iter_mut().for_each(|entry| entry.event = None);
        let swept = Journal::default().with(&swept, at(0));
        for (event, minutes, is_joined) in
            [(Some("e-1"), 179, false), (Some("e-1"), 181, true), (None, 1, false), (None, 2, true)]
        {
            assert_eq!(
                !swept.left_over(event, &[], at(minutes)).is_empty(),
                is_joined,
                "{event:?} after {minutes} min"
            );
            assert_eq!(!swept.untold_of_events(&[], at(minutes)).is_empty(), minutes > 180);
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
            note.entries.push(Entry { told: n % 2 == 0, ..entry("e-1", n % 60, long) });
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
