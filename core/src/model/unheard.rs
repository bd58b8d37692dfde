//! New rules that a sweep came across and that no event has told of yet: where events get lost, the guard sees less than it
//! believes.
//!
//! Owns: how long an event may take. Must not: say what is new (`standing` does).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// An event that has not come by then is lost: CloudTrail delivers within minutes.
const MAY_TAKE: SignedDuration = SignedDuration::from_hours(1);
/// What no sweep has told by then is of no use: its group is gone, or out of scope.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(8 * 24);
/// Most of them, the newest: some 25 KB.
const MAX_RULES: usize = 300;

/// A rule, as a sweep first saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// `sg-…`.
    pub group: String,
    /// When.
    pub at: Timestamp,
    /// An event told of it, and it is not known all the same: an exception allows it, or it could not be closed.
    #[serde(default)]
    pub heard: bool,
}

/// By `sgr-…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unheard(BTreeMap<String, Seen>);

impl Unheard {
    /// These new rules of a group are seen by a sweep, or told of by an event (`heard`).
    pub fn see(&mut self, group: &str, rules: impl IntoIterator<Item = String>, at: Timestamp, heard: bool) {
        let seen = rules.into_iter().map(|rule| (rule, Seen { group: group.to_owned(), at, heard }));
        self.0.extend(seen);
    }

    /// Without what events told of or people know, and with what was seen since. The first sight counts.
    pub fn add(&mut self, seen: &Self, heard: &BTreeSet<String>) {
        self.0.retain(|rule, _| !heard.contains(rule));
        for (rule, seen) in &seen.0 {
            let known = self.0.entry(rule.clone()).or_insert_with(|| seen.clone());
            known.heard |= seen.heard;
            // Of what was heard the last sight counts, so that it stays while the rule does.
            known.at = if known.heard { known.at.max(seen.at) } else { known.at.min(seen.at) };
        }
        let newest = self.0.values().map(|seen| seen.at).max().unwrap_or_default();
        self.0.retain(|_, seen| newest.duration_since(seen.at) < KEPT_FOR);
        while self.0.len() > MAX_RULES {
            let oldest = self.0.iter().min_by_key(|(_, seen)| seen.at).map(|(rule, _)| rule.clone());
            let Some(oldest) = oldest else { break };
            self.0.remove(&oldest);
        }
    }

    /// Those of these rules that it holds.
    pub fn of(&self, rules: &BTreeSet<String>) -> BTreeSet<String> {
        rules.iter().filter(|rule| self.0.contains_key(*rule)).cloned().collect()
    }

    /// The rules of a group whose events are lost, and when the first of them was seen.
    pub fn lost(&self, group: &str, now: Timestamp) -> (BTreeSet<String>, Option<Timestamp>) {
        let is_old = |seen: &Seen| seen.at <= now && now.duration_since(seen.at) >= MAY_TAKE;
        let is_lost = |seen: &Seen| seen.group == group && !seen.heard && is_old(seen);
        let lost: Vec<(&String, &Seen)> = self.0.iter().filter(|(_, seen)| is_lost(seen)).collect();
        (lost.iter().map(|(rule, _)| (*rule).clone()).collect(), lost.iter().map(|(_, seen)| seen.at).min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn ids(rules: &[&str]) -> BTreeSet<String> {
        rules.iter().map(|rule| (*rule).to_owned()).collect()
    }

    fn seen(rules: &[&str], minute: i64) -> Unheard {
        let mut unheard = Unheard::default();
        unheard.see("sg-1", ids(rules), at(minute), false);
        unheard
    }

    #[test]
    fn an_event_that_has_not_come_after_an_hour_is_lost_counted_from_the_first_sight() {
        let mut unheard = Unheard::default();
        unheard.add(&seen(&["sgr-1", "sgr-2"], 0), &BTreeSet::new());
        unheard.add(&seen(&["sgr-1"], 50), &ids(&["sgr-2"]));
        assert_eq!(unheard.lost("sg-1", at(59)), (BTreeSet::new(), None));
        assert_eq!(unheard.lost("sg-1", at(60)), (ids(&["sgr-1"]), Some(at(0))));
        assert_eq!(unheard.lost("sg-2", at(60)).0, BTreeSet::new(), "another group");
        assert_eq!(unheard.lost("sg-1", at(-60)).0, BTreeSet::new(), "a clock that went back");
    }

    #[test]
    fn what_an_event_told_of_and_is_not_known_is_never_lost_while_sweeps_see_it() {
        let mut unheard = Unheard::default();
        let mut told = Unheard::default();
        told.see("sg-1", ids(&["sgr-1"]), at(0), true);
        unheard.add(&told, &BTreeSet::new());
        for day in 1..20 {
            unheard.add(&seen(&["sgr-1"], day * 24 * 60), &BTreeSet::new());
            assert_eq!(unheard.lost("sg-1", at((day + 1) * 24 * 60)).0, BTreeSet::new(), "day {day}");
        }
    }

    #[test]
    fn it_stays_small_and_old_ones_leave() {
        let mut unheard = Unheard::default();
        let many: Vec<String> = (0..MAX_RULES + 5).map(|n| format!("sgr-{n}")).collect();
        let mut all = Unheard::default();
        for (n, rule) in many.iter().enumerate() {
            all.see("sg-1", [rule.clone()], at(i64::try_from(n).unwrap()), false);
        }
        unheard.add(&all, &BTreeSet::new());
        assert_eq!(unheard.0.len(), MAX_RULES);
        assert!(!unheard.0.contains_key("sgr-0") && unheard.0.contains_key(&many[MAX_RULES + 4]));
        let after_8_days = i64::try_from(MAX_RULES).unwrap() + 4 + 60 * 24 * 8;
        unheard.add(&seen(&["sgr-new"], after_8_days - 1), &BTreeSet::new());
        assert_eq!(unheard.of(&ids(&["sgr-303", "sgr-304", "sgr-new"])), ids(&["sgr-304", "sgr-new"]));
        unheard.add(&seen(&["sgr-newer"], after_8_days), &BTreeSet::new());
        assert_eq!(unheard.of(&ids(&["sgr-304", "sgr-new"])), ids(&["sgr-new"]));
    }
}
