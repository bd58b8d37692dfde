//! How many rules that no event made were revoked within an hour, and which of them stay because there were too many.
//!
//! Owns: the arithmetic, and the value as it is kept. Must not: revoke or keep anything.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// A refused rule that nobody came across for so long is forgotten.
const REFUSED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Refused rules that are kept at most; the latest count.
const MAX_REFUSED: usize = 4000;

/// One hour of one location. It begins with the first rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hour {
    since: Option<Timestamp>,
    revoked: BTreeSet<String>,
    /// With the limit that was too low, and when the rule was last come across.
    refused: BTreeMap<String, (usize, Timestamp)>,
}

impl Hour {
    /// With these rules, the worst first: as many as fit are taken, the others refused. A refused rule stays so, in later
    /// hours too, until the limit is raised: otherwise a mistake in the policy would take everything, only more slowly.
    #[must_use]
    pub fn with(mut self, rules: &[String], limit: usize, now: Timestamp) -> Self {
        if self.since.is_none_or(|since| since > now || now.duration_since(since) >= HOUR) {
            (self.since, self.revoked) = (Some(now), BTreeSet::new());
        }
        self.refused.retain(|_, (_, at)| now.duration_since(*at) < REFUSED_FOR);
        for rule in rules {
            if self.refuses(rule, limit) || !self.revoked.contains(rule) && self.revoked.len() >= limit {
                let (at_limit, _) = self.refused.get(rule).copied().unwrap_or((limit, now));
                self.refused.insert(rule.clone(), (at_limit.max(limit), now));
            } else {
                self.refused.remove(rule);
                self.revoked.insert(rule.clone());
            }
        }
        while self.refused.len() > MAX_REFUSED {
            let Some(oldest) = self.refused.iter().min_by_key(|(_, (_, at))| *at).map(|(id, _)| id.clone()) else {
                break;
            };
            self.refused.remove(&oldest);
        }
        self
    }

    /// Whether this rule stays under such a limit.
    pub fn refuses(&self, rule: &str, limit: usize) -> bool {
        self.refused.get(rule).is_some_and(|(at_limit, _)| *at_limit >= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn ids(ids: &str) -> Vec<String> {
        ids.split(' ').map(str::to_owned).collect()
    }

    fn refused(hour: &Hour, limit: usize) -> String {
        let all = hour.refused.keys().filter(|id| hour.refuses(id, limit)).cloned();
        all.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_beyond_the_limit_of_an_hour_stays_until_the_limit_is_raised_and_the_next_hour_takes_others() {
        let first = Hour::default().with(&ids("a b c d"), 2, at(0));
        assert_eq!(refused(&first, 2), "c d");
        let again = first.clone().with(&ids("a c e"), 2, at(59));
        assert_eq!(refused(&again, 2), "c d e", "a retry costs nothing, and the hour is full");
        let next = again.with(&ids("c f"), 2, at(60));
        assert_eq!(refused(&next, 2), "c d e", "f goes, c stays");
        assert_eq!(refused(&next, 3), "", "a raised limit");
        let raised = next.with(&ids("c d"), 3, at(61));
        assert_eq!(refused(&raised, 3), "");
        assert_eq!(refused(&raised.with(&ids("g"), 2, at(62)), 2), "e g", "what was taken is not refused later");
    }

    #[test]
    fn a_clock_that_was_wrong_stops_nothing_and_the_list_of_refused_rules_does_not_grow_for_ever() {
        let future = Hour::default().with(&ids("a"), 1, at(600));
        assert_eq!(refused(&future.with(&ids("b"), 1, at(0)), 1), "");
        let many: Vec<String> = (0..MAX_REFUSED + 10).map(|n| format!("sgr-{n}")).collect();
        let full = Hour::default().with(&many, 1, at(0)).with(&ids("last"), 1, at(1));
        assert_eq!(full.refused.len(), MAX_REFUSED);
        assert!(full.refuses("last", 1));
        let month = |minute: i64| full.clone().with(&ids("x"), 1, at(30 * 24 * 60 + minute));
        assert_eq!(refused(&month(0), 1), "last", "thirty days but for a minute");
        assert_eq!(refused(&month(1), 1), "", "thirty days");
    }
}
