//! A group as it was read, and which of its rules can be judged already.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::error::CloudError;
use crate::model::facts::Cluster;
use crate::model::group::Group;
use crate::model::rule::{Direction, Peer, Rule};
use crate::plan::standing::is_equal;
use crate::policy::peers;

/// Groups as they were read, and what of them could not be read.
#[derive(Debug, Default)]
pub struct Looked {
    /// The groups that exist.
    pub snapshots: Vec<GroupSnapshot>,
    /// In a sweep of everything: every group, in scope or not.
    pub all: Vec<Group>,
    /// The VPCs that were looked at completely.
    pub complete: BTreeSet<String>,
    /// In a sweep the names of all clusters that could be read.
    pub clusters: Vec<String>,
    /// What, and why not. The groups were judged as far as the rest goes.
    pub unread: Vec<Unread>,
}

/// Something that could not be read, and that matters.
#[derive(Debug)]
pub struct Unread {
    /// What, for people.
    pub what: String,
    /// Why not.
    pub source: CloudError,
}

impl Looked {
    /// Every group that was seen, some of them twice.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.snapshots.iter().map(|snapshot| &snapshot.group).chain(&self.all)
    }
}

/// When the rules of a group were read back after a change, and all of them as they were then.
pub type ReadBack = (Timestamp, Vec<Rule>);

/// A group as it was read.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    /// With roles, rules and, as far as they were looked up, peers and prefix lists. Without roles it is out of scope.
    pub group: Group,
    /// When EC2 answered with its rules.
    pub rules_at: Timestamp,
    /// Its rules as they were read back after the last change, unless they were read since.
    pub read_back: Option<ReadBack>,
    /// The clusters that it may be of: peers are looked at for these.
    pub(super) clusters: Arc<Vec<Cluster>>,
    /// The groups and prefix lists that were looked up, whatever came of it.
    pub(super) resolved: BTreeSet<String>,
    /// The sets of groups that are attached together with it, without itself; gone when their rules were looked up.
    pub(super) beside: BTreeSet<BTreeSet<String>>,
    /// What known rules were that refer to something, by id: a rule that was edited in place may become that again.
    pub(super) known: BTreeMap<String, Rule>,
}

/// What has to be looked up before some rules can be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unresolved {
    /// Groups and prefix lists that rules refer to.
    pub references: BTreeSet<String>,
    /// Sets of groups that are attached together with the group: what they let in counts together with small rules of it.
    pub beside: BTreeSet<BTreeSet<String>>,
}

impl Unresolved {
    /// Whether there is nothing to look up.
    pub fn is_empty(&self) -> bool {
        self.references.is_empty() && self.beside.is_empty()
    }

    /// Everything by its id.
    pub fn ids(&self) -> BTreeSet<&String> {
        self.references.iter().chain(self.beside.iter().flatten()).collect()
    }
}

impl GroupSnapshot {
    pub(super) fn new(group: Group, rules_at: Timestamp, clusters: &Arc<Vec<Cluster>>) -> Self {
        let resolved = BTreeSet::from([group.id.clone()]);
        Self {
            group,
            rules_at,
            read_back: None,
            clusters: Arc::clone(clusters),
            resolved,
            beside: BTreeSet::new(),
            known: BTreeMap::new(),
        }
    }

    /// Takes note of what its rules are known as.
    pub fn remember<'a>(&mut self, known: impl Iterator<Item = &'a Rule>) {
        let known = known.filter(|rule| reference(rule).is_some());
        self.known = known.map(|rule| (rule.id.clone(), rule.clone())).collect();
    }

    /// What rules that were edited in place were known as, where that refers to something.
    pub(super) fn former(&self) -> impl Iterator<Item = &Rule> {
        self.group.rules.iter().filter_map(|rule| self.former_of(rule))
    }

    fn former_of(&self, rule: &Rule) -> Option<&Rule> {
        self.known.get(&rule.id).filter(|known| !is_equal(known, rule))
    }

    /// The clusters that it may be of.
    pub fn clusters(&self) -> Arc<Vec<Cluster>> {
        Arc::clone(&self.clusters)
    }

    /// The VPCs whose complete looks see it: its own, and those of its clusters, where it may be attached too.
    pub fn vpcs(&self) -> BTreeSet<String> {
        let own = self.clusters.iter().filter(|cluster| self.group.clusters.contains(&cluster.name));
        own.map(|cluster| cluster.vpc.clone()).chain([self.group.vpc.clone()]).collect()
    }

    /// The same with this group, which has other rules.
    #[must_use]
    pub fn with_rules_of(&self, group: Group) -> Self {
        Self { group, ..self.clone() }
    }

    /// The group with those of its rules alone that can be judged: what they refer to was looked up.
    pub fn judgeable(&self) -> Group {
        let rules = self.group.rules.iter().filter(|rule| self.is_judgeable(rule)).cloned().collect();
        Group { rules, ..self.group.clone() }
    }

    /// The other rules.
    pub fn not_judgeable(&self) -> impl Iterator<Item = &Rule> {
        self.group.rules.iter().filter(|rule| !self.is_judgeable(rule))
    }

    /// What rules depend on that was not looked up.
    pub fn unresolved(&self) -> Unresolved {
        let is_resolved = |id: &&str| self.resolved.contains(*id);
        let of_rules = self.group.rules.iter().chain(self.former()).filter_map(reference).filter(|id| !is_resolved(id));
        // Asked only where something hangs on it.
        let small = LazyCell::new(|| self.group.rules.iter().any(|rule| self.counts_together(rule)));
        let beside = if !self.beside.is_empty() && *small { self.beside.clone() } else { BTreeSet::new() };
        let of_beside = self.lists_beside().filter(|id| !is_resolved(id) && *small);
        // Many rules refer to the same.
        let references: BTreeSet<&str> = of_rules.chain(of_beside).collect();
        Unresolved { references: references.into_iter().map(str::to_owned).collect(), beside }
    }

    fn is_judgeable(&self, rule: &Rule) -> bool {
        let is_resolved = |id: &str| self.resolved.contains(id);
        let knows_beside = || self.beside.is_empty() && self.lists_beside().all(is_resolved);
        let refers_to = |rule: &Rule| reference(rule).is_none_or(is_resolved);
        refers_to(rule) && self.former_of(rule).is_none_or(refers_to) && (!self.counts_together(rule) || knows_beside())
    }

    /// Whether the rule is judged together with those of the groups beside this one.
    fn counts_together(&self, rule: &Rule) -> bool {
        if rule.direction != Direction::Ingress || (self.beside.is_empty() && self.group.beside.is_empty()) {
            return false;
        }
        let addresses = self.group.addresses_of(&rule.peer);
        addresses.is_some_and(|addresses| peers::counts_together(&addresses, &self.group))
    }

    fn lists_beside(&self) -> impl Iterator<Item = &str> {
        self.group.beside.iter().flatten().filter_map(|rule| rule.peer.prefix_list())
    }
}

/// What has to be looked up before a rule can be judged: another group or a prefix list.
fn reference(rule: &Rule) -> Option<&str> {
    match &rule.peer {
        Peer::Cidr(_) => None,
        Peer::PrefixList(id) | Peer::Group { id, .. } => Some(id),
    }
}
