//! What is remembered of the rules of groups: the baseline, by which a rule that is seen again is known and every other one
//! is new.
//!
//! Owns: the values, as they are kept and read. Must not: decide what is new (the guard's `standing` does) or keep them.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::group::{Group, Role};
use crate::model::member::Members;
use crate::model::region::Addresses;
use crate::model::rule::Rule;
use crate::model::unheard::Unheard;

/// So many complete looks in a row without a rule, and it is forgotten.
const LOOKS_WITHOUT: u8 = 2;
/// A complete look that is older says nothing of what is new.
const LOOK_COUNTS_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a group was when its rules were judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// The clusters that anything called it a group of; none: it was another's.
    pub clusters: BTreeSet<String>,
    /// It was a load balancer's and nothing else.
    pub only_load_balancer: bool,
    /// It was attached to something that is no cluster's.
    pub is_shared: bool,
}

impl From<&Group> for Context {
    fn from(group: &Group) -> Self {
        Self {
            clusters: group.clusters.clone(),
            only_load_balancer: group.role_set() == BTreeSet::from([Role::LoadBalancer]),
            is_shared: group.is_shared,
        }
    }
}

/// What a known rule waits for, if anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// It should be closed, and entered because the guard only reported then.
    Reporting,
    /// Nothing better than ordinary tags said whose the group was, by what tied it to whom.
    Claimed(BTreeSet<String>),
}

/// A rule in full, with what its group was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRule {
    /// As it was known.
    pub rule: Rule,
    /// What its group was then.
    pub context: Context,
    /// Why it is not simply known.
    #[serde(default)]
    pub mark: Option<Mark>,
    /// Who wrote it, if an event said so: the word of a policy's author.
    #[serde(default)]
    pub author: Option<String>,
    /// How many complete looks were without it since.
    #[serde(default)]
    pub missed: u8,
}

/// The known rules of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// By `sgr-…`.
    pub rules: BTreeMap<String, KnownRule>,
    /// The entries of customers' prefix lists that these were judged with, by `pl-…`.
    #[serde(default)]
    pub lists: BTreeMap<String, BTreeSet<IpNet>>,
    /// The rules that the first look saw and could not decode, by id: they are not new when a later version can.
    #[serde(default)]
    pub undecoded: BTreeSet<String>,
    /// How many rules it was written with: one that holds another number has lost some, and they would be new.
    pub holds: usize,
}

/// What is remembered of an account and region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationState {
    /// When the guard began there.
    pub began: Option<Timestamp>,
    /// When every group of a VPC was last looked at, by `vpc-…`.
    #[serde(default)]
    pub looks: BTreeMap<String, Timestamp>,
    /// New rules that sweeps came across and no event has told of.
    #[serde(default)]
    pub unheard: Unheard,
    /// Rules that are not among them any more. Only learnt, never kept.
    #[serde(skip)]
    pub heard: BTreeSet<String>,
}

/// What was learnt of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// Rules that are known from now on.
    pub rules: Vec<KnownRule>,
    /// The entries of the lists that they use.
    pub lists: BTreeMap<String, BTreeSet<IpNet>>,
    /// The rules that a complete look saw, by id.
    pub seen: Option<BTreeSet<String>>,
    /// What it read in customers' lists: what they have lost by then is no longer known.
    pub read: BTreeMap<String, BTreeSet<IpNet>>,
    /// Those that the first look could not decode.
    pub undecoded: BTreeSet<String>,
    /// Those of `rules` that lose their mark, once people have heard why they are left.
    pub unmarked: BTreeSet<String>,
    /// What the group was found to be of which clusters, if that is news.
    pub members: Members,
    /// Whether these are all rules of the group, or it has come since the last look: only then may a baseline begin with
    /// them, since what a baseline does not hold is new.
    pub may_begin: bool,
}

/// What was learnt of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lesson {
    /// When the guard began, and which VPCs were looked at.
    pub place: LocationState,
    /// The groups that each of these looks saw.
    pub looks: BTreeMap<String, BTreeSet<String>>,
    /// By `sg-…`.
    pub groups: BTreeMap<String, Learnt>,
}

impl LocationState {
    /// With what was learnt: the first beginning and the last looks count, whoever writes first.
    #[must_use]
    pub fn with(mut self, learnt: &Self) -> Self {
        self.began = self.began.into_iter().chain(learnt.began).min();
        for (vpc, at) in &learnt.looks {
            let known = self.looks.entry(vpc.clone()).or_insert(*at);
            *known = (*known).max(*at);
        }
        self.unheard.add(&learnt.unheard, &learnt.heard);
        self
    }
}

impl Learnt {
    /// Whether there is anything to write.
    pub fn is_anything(&self) -> bool {
        !self.rules.is_empty() || self.seen.is_some() || !self.members.is_empty()
    }
}

impl Baseline {
    /// What is stored, with what was learnt. `None`: nothing is to be stored.
    pub fn with(stored: Option<Self>, learnt: &Learnt) -> Option<Self> {
        let mut all = stored.or_else(|| learnt.may_begin.then(Self::default))?;
        if let Some(seen) = &learnt.seen {
            for (id, known) in &mut all.rules {
                known.missed = if seen.contains(id) { 0 } else { known.missed.saturating_add(1) };
            }
            all.rules.retain(|_, known| known.missed < LOOKS_WITHOUT);
            all.undecoded.retain(|id| seen.contains(id));
        }
        for (list, entries) in &learnt.read {
            all.lists.entry(list.clone()).and_modify(|known| *known = in_both(known, entries));
        }
        all.rules.extend(learnt.rules.iter().map(|known| (known.rule.id.clone(), known.clone())));
        for (list, entries) in &learnt.lists {
            all.lists.entry(list.clone()).or_default().extend(entries);
        }
        let used: BTreeSet<&str> = all.rules.values().filter_map(|known| known.rule.peer.prefix_list()).collect();
        all.lists.retain(|list, _| used.contains(list.as_str()));
        all.undecoded.extend(learnt.undecoded.iter().cloned());
        all.undecoded.retain(|id| !all.rules.contains_key(id));
        all.holds = all.rules.len();
        Some(all)
    }

    /// The same in at most so many bytes, if that can be: without tags, and then without descriptions. They say nothing of
    /// what a rule lets in, and whoever may write them must not keep a group, and with it the look, from being remembered.
    #[must_use]
    pub fn within(mut self, most: usize) -> Self {
        let strips: [fn(&mut Rule); 2] = [|rule| rule.tags.clear(), |rule| rule.description = None];
        for strip in strips {
            if serde_json::to_string(&self).is_ok_and(|text| text.len() <= most) {
                break;
            }
            self.rules.values_mut().for_each(|known| strip(&mut known.rule));
        }
        self
    }

    /// Whether it holds what it was written with.
    pub fn is_whole(&self) -> bool {
        self.holds == self.rules.len()
    }
}

/// The addresses of both, however their blocks are cut.
fn in_both(one: &BTreeSet<IpNet>, other: &BTreeSet<IpNet>) -> BTreeSet<IpNet> {
    let [one, other] = [one, other].map(|blocks| blocks.iter().copied().collect::<Addresses>());
    one.without(&one.without(&other)).blocks().into_iter().collect()
}

/// What the state says of some groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownGroups {
    /// Of the account and region.
    pub place: LocationState,
    /// By `sg-…`; one without a baseline is left out.
    pub groups: BTreeMap<String, Baseline>,
    /// What they were found to be of which clusters, by `sg-…`.
    pub members: BTreeMap<String, Members>,
}

/// What is remembered of one group, as far as it says which of its rules are new.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    /// When the guard began in the account and region.
    pub began: Option<Timestamp>,
    /// When every group of the VPC was last looked at.
    pub looked_at: Option<Timestamp>,
    /// Whether that look saw this group.
    pub was_there: bool,
    /// Its known rules. `None`: there is no such item.
    pub baseline: Option<Baseline>,
    /// What it was found to be of which clusters.
    pub members: Members,
}

impl Remembered {
    /// Whether nothing says what is new in a group: nobody has looked at its VPC lately, and it is not one of which all
    /// clusters (the first since `clusters_since`) were made after the guard began.
    pub fn is_first_time(&self, clusters_since: Option<Timestamp>, now: Timestamp) -> bool {
        let came_later = || self.began.zip(clusters_since).is_some_and(|(began, since)| since > began);
        self.counts_from(now).is_none() && !(self.looked_at.is_none() && came_later())
    }

    /// The last complete look, if it is young enough to say what is new.
    pub fn counts_from(&self, now: Timestamp) -> Option<Timestamp> {
        self.looked_at.filter(|at| now.duration_since(*at) <= LOOK_COUNTS_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::member::Member;
    use crate::model::rule::{Direction, Packets, Peer};

    fn known(id: &str, list: &str) -> KnownRule {
        let rule = Rule {
            id: id.into(),
            direction: Direction::Ingress,
            packets: Packets::Icmp(Some(3), None),
            peer: Peer::PrefixList(list.into()),
            description: Some("d".into()),
            tags: [("a".into(), "b".into())].into(),
        };
        let context = Context { clusters: ["prod".into()].into(), ..Context::default() };
        KnownRule { rule, context, mark: Some(Mark::Claimed(["eni-1".into()].into())), author: None, missed: 0 }
    }

    fn learnt(ids: &[&str], seen: Option<&[&str]>, may_begin: bool) -> Learnt {
        let seen = seen.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        let rules = ids.iter().map(|id| known(id, &format!("pl-{id}"))).collect();
        let entries: BTreeSet<IpNet> = ["10.0.0.0/8".parse().unwrap()].into();
        let lists = ids.iter().map(|id| (format!("pl-{id}"), entries.clone())).collect();
        Learnt { rules, lists, seen, may_begin, ..Learnt::default() }
    }

    fn ids(baseline: Option<&Baseline>) -> Option<String> {
        let baseline = baseline?;
        assert_eq!(baseline.rules.len(), baseline.lists.len(), "a list stays as long as a rule that uses it");
        Some(baseline.rules.keys().cloned().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn writers_add_and_a_rule_leaves_after_two_complete_looks_without_it() {
        let begun = Baseline::with(None, &learnt(&["a", "b"], Some(&["a", "b"]), true));
        let added = Baseline::with(begun.clone(), &learnt(&["c"], None, false));
        assert_eq!(ids(added.as_ref()).as_deref(), Some("a b c"));
        let once = Baseline::with(added, &learnt(&[], Some(&["a"]), true));
        assert_eq!(ids(once.as_ref()).as_deref(), Some("a b c"), "one look may have missed it");
        let back = Baseline::with(once.clone(), &learnt(&[], Some(&["a", "b"]), true));
        assert_eq!(ids(back.as_ref()).as_deref(), Some("a b"), "`c` was missed twice");
        let twice = Baseline::with(back, &learnt(&[], Some(&["a"]), true));
        assert_eq!(ids(twice.as_ref()).as_deref(), Some("a b"), "two in a row");
    }

    #[test]
    fn what_does_not_fit_loses_its_tags_and_then_its_descriptions_and_no_rule() {
        let learnt = Learnt { rules: vec![known("sgr-1", "pl-1")], may_begin: true, ..Learnt::default() };
        let full = Baseline::with(None, &learnt).unwrap();
        let bytes = |baseline: &Baseline| serde_json::to_string(baseline).unwrap().len();
        let text = |baseline: &Baseline| {
            let rule = &baseline.rules["sgr-1"].rule;
            (rule.tags.len(), rule.description.is_some())
        };
        assert_eq!(full.clone().within(bytes(&full)), full);
        let without_tags = full.clone().within(bytes(&full) - 1);
        assert_eq!(text(&without_tags), (0, true));
        let bare = full.clone().within(bytes(&without_tags) - 1);
        assert_eq!((text(&bare), bare.is_whole()), ((0, false), true));
        assert_eq!(full.within(1), bare);
    }

    #[test]
    fn what_a_list_lost_by_a_complete_look_is_no_longer_known() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let begun = Baseline::with(None, &learnt(&["a"], Some(&["a"]), true));
        let read = |entries: &[&str]| Learnt {
            seen: Some(["a".to_owned()].into()),
            read: [("pl-a".to_owned(), entries.iter().map(|entry| net(entry)).collect())].into(),
            ..Learnt::default()
        };
        let more = Baseline::with(begun, &read(&["10.0.0.0/9", "10.128.0.0/9", "192.0.2.0/24"])).unwrap();
        assert_eq!(more.lists["pl-a"], [net("10.0.0.0/8")].into(), "what it gained does not enter by itself");
        let less = Baseline::with(Some(more), &read(&["10.0.0.0/9"])).unwrap();
        assert_eq!(less.lists["pl-a"], [net("10.0.0.0/9")].into());
    }

    #[test]
    fn what_the_first_look_could_not_decode_is_kept_until_it_can_be_or_is_gone() {
        let learns = |undecoded: &[&str]| Learnt {
            undecoded: undecoded.iter().map(|id| (*id).to_owned()).collect(),
            ..learnt(&["a"], Some(&["a", "b", "c"]), true)
        };
        let begun = Baseline::with(None, &learns(&["b", "c"])).unwrap();
        assert_eq!(begun.undecoded, ["b".to_owned(), "c".to_owned()].into());
        let decoded = Baseline::with(Some(begun), &learnt(&["b"], Some(&["a", "b", "c"]), true)).unwrap();
        assert_eq!(decoded.undecoded, ["c".to_owned()].into());
        let gone = Baseline::with(Some(decoded), &learnt(&[], Some(&["a", "b"]), true)).unwrap();
        assert!(gone.undecoded.is_empty());
    }

    #[test]
    fn a_few_rules_begin_no_baseline_or_all_others_would_be_new() {
        assert_eq!(Baseline::with(None, &learnt(&["a"], None, false)), None);
        assert_eq!(ids(Baseline::with(None, &learnt(&["a"], None, true)).as_ref()).as_deref(), Some("a"));
    }

    #[test]
    fn rules_a_look_and_what_a_group_was_found_to_be_are_each_something_to_write() {
        let since = Timestamp::UNIX_EPOCH;
        let member = Member {
            created_at: None,
            node_groups: BTreeSet::new(),
            is_whole: false,
            roles: [Role::Node].into(),
            attachments: BTreeSet::new(),
            is_proven: true,
            since,
            at: since,
        };
        let found = Learnt { members: [("prod".to_owned(), member)].into(), ..Learnt::default() };
        for learnt in [learnt(&["a"], None, true), learnt(&[], Some(&[]), true), found] {
            assert!(learnt.is_anything(), "{learnt:?}");
        }
        assert!(!learnt(&[], None, true).is_anything());
    }

    #[test]
    fn it_is_the_first_time_but_after_a_look_of_this_week_or_where_all_clusters_came_after_the_guard() {
        let at = |hour: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
        for (looked_at, began, clusters_since, now, is_first) in [
            (Some(0), None, None, 7 * 24, false),
            (Some(0), None, None, 7 * 24 + 1, true),
            (Some(0), Some(0), Some(1), 7 * 24 + 1, true),
            (None, Some(5), Some(6), 6, false),
            (None, Some(5), Some(5), 6, true),
            (None, Some(5), None, 6, true),
            (None, None, Some(6), 6, true),
        ] {
            let (looked_at, began) = (looked_at.map(at), began.map(at));
            let remembered = Remembered { began, looked_at, ..Remembered::default() };
            assert_eq!(remembered.is_first_time(clusters_since.map(at), at(now)), is_first, "{remembered:?} {now}");
        }
    }

    #[test]
    fn the_first_beginning_and_the_last_looks_count_whoever_writes_first() {
        let place = |began: i64, look: i64| LocationState {
            began: Some(Timestamp::from_second(began).unwrap()),
            looks: [("vpc-1".to_owned(), Timestamp::from_second(look).unwrap())].into(),
            ..LocationState::default()
        };
        for (one, other) in [(place(5, 10), place(7, 20)), (place(7, 20), place(5, 10))] {
            assert_eq!(one.with(&other), place(5, 20));
        }
    }

    #[test]
    fn what_is_kept_is_read_back_as_it_was() {
        let baseline = Baseline::with(None, &learnt(&["a"], None, true)).unwrap();
        assert!(baseline.is_whole() && !Baseline { rules: BTreeMap::new(), ..baseline.clone() }.is_whole());
        let json = serde_json::to_string(&baseline).unwrap();
        assert_eq!(serde_json::from_str::<Baseline>(&json).unwrap(), baseline, "{json}");
        assert_eq!(serde_json::from_str::<LocationState>("{}").unwrap(), LocationState::default());
    }
}
