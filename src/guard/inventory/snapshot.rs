//! A group as it was read, and which of its rules can be judged already.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::guard::inventory::raw::RawState;
use crate::model::facts::Cluster;
use crate::model::group::Group;
use crate::model::rule::{Peer, Rule};

/// A group as it was read.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    /// With roles, rules and, as far as they were looked up, peers and prefix lists. Without roles it is out of scope.
    pub group: Group,
    /// When EC2 answered with its rules.
    pub rules_at: Timestamp,
    /// The groups and prefix lists that were looked up, whatever came of it.
    pub(super) resolved: BTreeSet<String>,
    /// What the roles rest on.
    pub(super) raw: Arc<RawState>,
    /// The clusters that were asked for.
    pub(super) clusters: Arc<Vec<Cluster>>,
}

impl GroupSnapshot {
    pub(super) fn new(group: Group, raw: &Arc<RawState>, clusters: &Arc<Vec<Cluster>>) -> Self {
        let resolved = BTreeSet::from([group.id.clone()]);
        Self { group, rules_at: raw.rules_at, resolved, raw: Arc::clone(raw), clusters: Arc::clone(clusters) }
    }

    /// The group with those of its rules alone that can be judged: what they refer to was looked up.
    pub fn judgeable(&self) -> Group {
        let is_resolved = |rule: &&Rule| reference(rule).is_none_or(|id| self.resolved.contains(id));
        Group { rules: self.group.rules.iter().filter(is_resolved).cloned().collect(), ..self.group.clone() }
    }

    /// The clusters that were asked for.
    pub fn clusters(&self) -> Arc<Vec<Cluster>> {
        Arc::clone(&self.clusters)
    }

    /// The groups and prefix lists that rules refer to and that were not looked up.
    pub fn unresolved(&self) -> BTreeSet<String> {
        let references = self.group.rules.iter().filter_map(reference);
        references.filter(|id| !self.resolved.contains(*id)).map(str::to_owned).collect()
    }
}

/// What has to be looked up before a rule can be judged: another group or a prefix list.
fn reference(rule: &Rule) -> Option<&str> {
    match &rule.peer {
        Peer::Cidr(_) => None,
        Peer::PrefixList(id) | Peer::Group { id, .. } => Some(id),
    }
}
