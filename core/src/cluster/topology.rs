//! Which groups are attached to the interfaces of a cluster, and what these groups let through: requirements are judged on
//! this.
//!
//! An interface lets through what any of its groups lets through, so the unit is the set of groups attached together. Must
//! not: read anything (inventory does) or know requirements (the policy does).

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::marks::{is_node_by_aws, is_node_by_tag};
use crate::model::facts::{Cluster, Instance};
use crate::model::group::PrefixList;
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Peer, Rule};

/// Groups that are attached together to one interface.
pub type GroupSet = BTreeSet<String>;

/// The interfaces of one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// The cluster's name.
    pub cluster: String,
    /// Attached to the control plane's interfaces: the cluster's own group and the additional ones.
    pub control_plane: GroupSet,
    /// Attached to the primary interfaces of nodes, each combination once. Empty: no node is known.
    pub nodes: BTreeSet<GroupSet>,
    /// Of which of these interfaces something is asked.
    pub of: Of,
    /// The live rules of their groups.
    pub rules: BTreeMap<String, Vec<Rule>>,
    /// The VPC's own ranges.
    pub vpc_ranges: Addresses,
    /// Pods have IPv6 addresses and nodes both kinds, so what is needed is needed of both families.
    pub is_ipv6: bool,
    /// The prefix lists that the rules name.
    pub prefix_lists: BTreeMap<String, PrefixList>,
}

/// The groups that are attached to the primary interface of an instance that looks like a node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    groups: GroupSet,
    by_aws: bool,
}

/// The instances of the cluster's VPC that look like its nodes, each combination of groups once.
pub fn candidates<'a>(cluster: &Cluster, instances: impl IntoIterator<Item = &'a Instance>) -> BTreeSet<Candidate> {
    let candidate = |instance: &Instance| {
        let by_aws = is_node_by_aws(cluster, instance);
        let looks_like_it = by_aws || is_node_by_tag(cluster, instance);
        let groups: GroupSet = instance.primary_groups.iter().cloned().collect();
        (looks_like_it && !groups.is_empty()).then_some(Candidate { groups, by_aws })
    };
    instances.into_iter().filter_map(candidate).collect()
}

/// Of which interfaces of a cluster something is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Of {
    /// Of each.
    #[default]
    All,
    /// Of those that have one of these groups: a change of their rules is felt nowhere else.
    With(GroupSet),
}

impl Of {
    /// Whether it is asked of interfaces with these groups attached.
    pub fn concerns(&self, attached: &GroupSet) -> bool {
        match self {
            Self::All => true,
            Self::With(groups) => !attached.is_disjoint(groups),
        }
    }
}

/// Every group whose rules a topology needs to answer for these interfaces: all that are attached to them, and those that
/// have to tell of an instance whether it is a node at all.
pub fn groups(cluster: &Cluster, candidates: &BTreeSet<Candidate>, of: &Of) -> BTreeSet<String> {
    let control_plane = control_plane(cluster);
    let is_in_doubt = |candidate: &Candidate| !candidate.by_aws && candidate.groups.is_disjoint(&control_plane);
    let is_needed = |candidate: &&Candidate| of.concerns(&candidate.groups) || is_in_doubt(candidate);
    let nodes = candidates.iter().filter(is_needed).map(|candidate| candidate.groups.clone());
    let others = planned(cluster).chain([control_plane.clone()]).filter(|attached| of.concerns(attached));
    nodes.chain(others).flatten().collect()
}

/// Whether any of its interfaces is one of these.
pub fn is_concerned(cluster: &Cluster, candidates: &BTreeSet<Candidate>, of: &Of) -> bool {
    of.concerns(&control_plane(cluster)) || candidates.iter().any(|candidate| of.concerns(&candidate.groups))
}

impl Topology {
    /// A node lets its control plane in, so an instance that only an ordinary tag calls a node is left out unless it does.
    /// Without any node, those count that the node groups would start.
    pub fn new(
        cluster: &Cluster,
        candidates: &BTreeSet<Candidate>,
        rules: BTreeMap<String, Vec<Rule>>,
        prefix_lists: BTreeMap<String, PrefixList>,
        of: Of,
    ) -> Self {
        let mut topology = Self {
            cluster: cluster.name.clone(),
            control_plane: control_plane(cluster),
            nodes: BTreeSet::new(),
            of,
            rules,
            vpc_ranges: cluster.vpc_ranges.clone(),
            is_ipv6: cluster.is_ipv6,
            prefix_lists,
        };
        let is_node = |candidate: &&Candidate| candidate.by_aws || topology.lets_control_plane_in(&candidate.groups);
        let nodes: BTreeSet<GroupSet> = candidates.iter().filter(is_node).map(|node| node.groups.clone()).collect();
        topology.nodes = if nodes.is_empty() { planned(cluster).collect() } else { nodes };
        topology
    }

    fn lets_control_plane_in(&self, groups: &GroupSet) -> bool {
        let is_own = |peer: &Peer| matches!(peer, Peer::Group { id, .. } if self.control_plane.contains(id));
        !groups.is_disjoint(&self.control_plane)
            || self.rules_of(groups).any(|rule| rule.direction == Direction::Ingress && is_own(&rule.peer))
    }

    /// The same without a rule of a group.
    pub fn remove(&mut self, group: &str, rule: &str) {
        if let Some(rules) = self.rules.get_mut(group) {
            rules.retain(|known| known.id != rule);
        }
    }

    /// The rules of all these groups.
    pub fn rules_of<'a>(&'a self, groups: &'a GroupSet) -> impl Iterator<Item = &'a Rule> {
        groups.iter().filter_map(|group| self.rules.get(group)).flatten()
    }
}

fn control_plane(cluster: &Cluster) -> GroupSet {
    cluster.cluster_group.iter().chain(&cluster.control_plane_groups).cloned().collect()
}

/// The groups that new nodes of each node group start with: those of its launch template, else the cluster's own.
fn planned(cluster: &Cluster) -> impl Iterator<Item = GroupSet> {
    cluster.node_groups.iter().map(|nodes| match nodes.template_groups.as_slice() {
        [] => cluster.cluster_group.iter().cloned().collect(),
        groups => groups.iter().cloned().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::marks::AWS_CLUSTER_TAG;

    #[test]
    fn a_cluster_is_concerned_by_the_groups_of_its_control_plane_and_of_its_nodes() {
        let cluster = Cluster { name: "prod".into(), cluster_group: Some("sg-cluster".into()), ..Cluster::default() };
        let node = Instance {
            tags: [(AWS_CLUSTER_TAG.to_owned(), "prod".to_owned())].into(),
            primary_groups: vec!["sg-node".into()],
            ..Instance::default()
        };
        let nodes = candidates(&cluster, [&node]);
        for (group, expected) in [("sg-cluster", true), ("sg-node", true), ("sg-other", false)] {
            let of = Of::With([group.to_owned()].into());
            assert_eq!(is_concerned(&cluster, &nodes, &of), expected, "{group}");
        }
    }
}
