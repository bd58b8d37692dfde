//! What a group was found to be of which cluster, and when: kept, so that no event lowers the evidence that it is judged on,
//! and a group that nothing names is asked for where it was found.
//!
//! Owns: how long that counts. Must not: say what a group is now (membership does).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::role::Role;

/// So long what a group was counts beside what it is.
const COUNTS_FOR: SignedDuration = SignedDuration::from_hours(24);
/// What is younger need not be written again.
const FRESH_FOR: SignedDuration = SignedDuration::from_hours(1);
/// A cluster that a group was not found to be of for so long is forgotten.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What a group was of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// When the cluster was made: another one of that name is another cluster.
    pub created_at: Option<Timestamp>,
    /// The node groups that name it.
    #[serde(default)]
    pub node_groups: BTreeSet<String>,
    /// Whether a look that found this asked for all node groups of the cluster; of one that did not there may be more.
    #[serde(skip)]
    pub is_whole: bool,
    /// What it was there, with strong evidence.
    pub roles: BTreeSet<Role>,
    /// What it was attached to.
    #[serde(default)]
    pub attachments: BTreeSet<String>,
    /// Whether more than ordinary tags said so.
    pub is_proven: bool,
    /// When it was first found to be.
    pub since: Timestamp,
    /// When it was last found to be.
    pub at: Timestamp,
}

/// By the name of the cluster.
pub type Members = BTreeMap<String, Member>;

impl Member {
    /// Whether it counts still: it is not long ago, and that very cluster is there.
    pub fn counts(&self, created_at: Option<Timestamp>, now: Timestamp) -> bool {
        is_within(COUNTS_FOR, self.at, now) && self.created_at == created_at
    }

    /// Whether a look that knows it may find more: it counts, or node groups name the group that nothing else may name.
    pub fn is_of_use(&self, now: Timestamp) -> bool {
        is_within(COUNTS_FOR, self.at, now) || !self.node_groups.is_empty()
    }

    /// Whether it counts, and did so a day ago already.
    pub fn is_established(&self, created_at: Option<Timestamp>, now: Timestamp) -> bool {
        self.counts(created_at, now) && (self.is_proven || !is_within(COUNTS_FOR, self.since, now))
    }

    /// Whether writing `found` adds nothing to this.
    fn says(&self, found: &Self, now: Timestamp) -> bool {
        let found = found.after(self);
        let same = Self { since: found.since, at: found.at, ..self.clone() };
        is_within(FRESH_FOR, self.at, now) && same == found
    }

    /// This, with what is known of the same cluster and was not looked for. Where nodes say all there is to say of a group,
    /// nobody asks for their launch template, and when they are gone nothing else may name the group.
    fn after(&self, before: &Self) -> Self {
        let mut member = Self { is_whole: false, ..self.clone() };
        if before.created_at == self.created_at {
            member.since = member.since.min(before.since);
            if !self.is_whole {
                member.node_groups.extend(before.node_groups.iter().cloned());
            }
        }
        member
    }
}

/// Whether what was found has to be written beside what is known.
pub fn is_news(known: &Members, found: &Members, now: Timestamp) -> bool {
    found.iter().any(|(cluster, member)| known.get(cluster).is_none_or(|known| !known.says(member, now)))
}

/// What is known, with what was found. Of two that write at the same time the later look counts.
#[must_use]
pub fn with(mut known: Members, found: &Members, now: Timestamp) -> Members {
    known.retain(|_, member| is_within(KEPT_FOR, member.at, now));
    for (cluster, member) in found {
        let before = known.get(cluster);
        if before.is_some_and(|before| before.created_at == member.created_at && before.at > member.at) {
            continue;
        }
        let after = member.after(before.unwrap_or(member));
        known.insert(cluster.clone(), after);
    }
    known
}

fn is_within(time: SignedDuration, at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) <= time
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn member(since: i64, last: i64) -> Member {
        Member {
            created_at: Some(at(-100)),
            node_groups: BTreeSet::new(),
            is_whole: false,
            roles: [Role::Node].into(),
            attachments: ["eni-1".to_owned()].into(),
            is_proven: false,
            since: at(since),
            at: at(last),
        }
    }

    fn members(member: Member) -> Members {
        [("prod".to_owned(), member)].into()
    }

    #[test]
    fn it_counts_for_a_day_and_for_that_very_cluster() {
        for (created, now, counts) in [(-100, 24, true), (-100, 25, false), (-99, 1, false)] {
            assert_eq!(member(0, 0).counts(Some(at(created)), at(now)), counts, "{created} {now}");
        }
        for (since, now, proven, established) in [(0, 24, false, false), (-1, 24, false, true), (0, 24, true, true)] {
            let member = Member { is_proven: proven, ..member(since, 24) };
            assert_eq!(member.is_established(Some(at(-100)), at(now)), established, "{since} {now} {proven}");
        }
    }

    #[test]
    fn it_is_of_use_for_a_day_and_as_long_as_node_groups_name_it() {
        for (node_groups, now, of_use) in [(&[][..], 24, true), (&[], 25, false), (&["a".to_owned()], 25, true)] {
            let member = Member { node_groups: node_groups.iter().cloned().collect(), ..member(0, 0) };
            assert_eq!(member.is_of_use(at(now)), of_use, "{node_groups:?} {now}");
        }
    }

    #[test]
    fn it_is_written_anew_when_it_changed_or_is_an_hour_old_and_began_when_it_began() {
        let known = members(member(0, 5));
        for (now, found, news) in [
            (6, member(6, 6), false),
            (7, member(7, 7), true),
            (6, member(-1, 4), false),
            (6, Member { is_proven: true, ..member(6, 6) }, true),
            (6, Member { attachments: BTreeSet::new(), ..member(6, 6) }, true),
        ] {
            assert_eq!(is_news(&known, &members(found), at(now)), news, "{now}");
        }
        assert!(!is_news(&known, &Members::new(), at(99)), "what was not found says nothing");
        assert_eq!(with(known.clone(), &members(member(7, 7)), at(7)), members(member(0, 7)));
        let other = Member { created_at: Some(at(6)), ..member(7, 7) };
        assert_eq!(with(known.clone(), &members(other.clone()), at(7)), members(other), "a new cluster of that name");
        assert_eq!(with(known.clone(), &members(member(1, 4)), at(7)), known, "a slower writer");
        let proven = members(Member { is_proven: true, ..member(0, 5) });
        assert_eq!(with(known.clone(), &proven, at(7)), proven, "of the same moment");
        assert_eq!(with(known, &Members::new(), at(31 * 24)), Members::new());
    }

    #[test]
    fn node_groups_that_nobody_asked_for_stay_and_those_that_do_not_name_it_any_more_go() {
        let named = |names: &[&str], is_whole: bool, last: i64| Member {
            node_groups: names.iter().map(|name| (*name).to_owned()).collect(),
            is_whole,
            ..member(0, last)
        };
        let known = members(named(&["a", "b"], false, 5));
        for (found, news, after) in [
            (named(&[], false, 6), false, named(&["a", "b"], false, 6)),
            (named(&["a"], false, 6), false, named(&["a", "b"], false, 6)),
            (named(&["c"], false, 6), true, named(&["a", "b", "c"], false, 6)),
            (named(&["a", "b"], true, 6), false, named(&["a", "b"], false, 6)),
            (named(&["a"], true, 6), true, named(&["a"], false, 6)),
        ] {
            assert_eq!(is_news(&known, &members(found.clone()), at(6)), news, "{found:?}");
            assert_eq!(with(known.clone(), &members(found.clone()), at(6)), members(after), "{found:?}");
        }
        let other = Member { created_at: Some(at(6)), ..named(&[], false, 6) };
        assert_eq!(with(known, &members(other.clone()), at(6)), members(other), "of another cluster of that name");
    }
}
