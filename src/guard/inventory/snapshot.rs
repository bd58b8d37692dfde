//! A group as it was read, and which of its rules can be judged already.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::error::CloudError;
use crate::model::facts::Cluster;
use crate::model::group::Group;
use crate::model::rule::{Peer, Rule};

/// Groups as they were read, and what of them could not be read.
#[derive(Debug, Default)]
pub struct Looked {
    /// The groups that exist.
    pub snapshots: Vec<GroupSnapshot>,
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

/// A group as it was read.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    /// With roles, rules and, as far as they were looked up, peers and prefix lists. Without roles it is out of scope.
    pub group: Group,
    /// When EC2 answered with its rules.
    pub rules_at: Timestamp,
    /// The clusters that it may be of: peers are looked at for these.
    pub(super) clusters: Arc<Vec<Cluster>>,
    /// The groups and prefix lists that were looked up, whatever came of it.
    pub(super) resolved: BTreeSet<String>,
}

impl GroupSnapshot {
    pub(super) fn new(group: Group, rules_at: Timestamp, clusters: &Arc<Vec<Cluster>>) -> Self {
        let resolved = BTreeSet::from([group.id.clone()]);
        Self { group, rules_at, clusters: Arc::clone(clusters), resolved }
    }

    /// The clusters that it may be of.
    pub fn clusters(&self) -> Arc<Vec<Cluster>> {
        Arc::clone(&self.clusters)
    }

    /// The same with this group, which has other rules.
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

    /// The groups and prefix lists that rules refer to and that were not looked up.
    pub fn unresolved(&self) -> BTreeSet<String> {
        self.not_judgeable().filter_map(reference).map(str::to_owned).collect()
    }

    fn is_judgeable(&self, rule: &Rule) -> bool {
        reference(rule).is_none_or(|id| self.resolved.contains(id))
    }
}

/// What has to be looked up before a rule can be judged: another group or a prefix list.
fn reference(rule: &Rule) -> Option<&str> {
    match &rule.peer {
        Peer::Cidr(_) => None,
        Peer::PrefixList(id) | Peer::Group { id, .. } => Some(id),
    }
}
