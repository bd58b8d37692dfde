//! What a group is to which cluster, and how sure we are: facts in, roles with evidence out.
//!
//! Tags are cheap to write, so they never open a door: an ordinary tag alone gives weak evidence, on which nothing is
//! revoked, and never makes a group one of the cluster's own or a load balancer. Must not: read anything.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use crate::cluster::attached::{self, Balancers, Known};
pub use crate::cluster::attached::{Facts, Proven, Rank, neighbours};
use crate::cluster::marks::{AWS_CLUSTER_TAG, is_internal_group, is_tagged};
use crate::model::facts::{Cluster, GroupFacts};
use crate::model::group::{Evidence, Role, RoleEvidence};

/// The clusters a group belongs to, and its roles there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Names.
    pub clusters: BTreeSet<String>,
    /// Each role once, with its strongest evidence.
    pub roles: Vec<RoleEvidence>,
    /// How much counts that it belongs to them.
    pub rank: Rank,
}

impl Membership {
    /// The roles that strong evidence gives.
    pub fn strong_roles(&self) -> BTreeSet<Role> {
        self.roles.iter().filter(|known| known.strong).map(|known| known.role).collect()
    }
}

/// Reads the facts.
pub fn membership(facts: Facts<'_>) -> Membership {
    let mut found: Vec<(&str, RoleEvidence, Rank)> = Vec::new();
    let at = |position| facts.clusters.at(position);
    let mut by_its_name = facts.clusters.of_internal_name(facts.group).into_iter().filter_map(at);
    let is_internal = by_its_name.any(|cluster| is_internal_group(cluster, facts.group));
    // A group that another account owns can be read here but not changed.
    let is_ours = facts.group.owner.is_empty() || facts.group.owner == facts.account;
    for entry in facts.configured.iter().filter(|entry| entry.id == facts.group.id) {
        let (role, evidence) = (entry.role, Evidence::Configured);
        found.push((&entry.cluster, RoleEvidence { role, evidence, strong: true }, Rank::Proven));
    }
    let connected = LazyCell::new(|| attached::connected(facts));
    let balancers = Balancers::of(facts);
    for (position, attached) in attached::by_cluster(facts) {
        let Some(cluster) = at(position) else { continue };
        let mut known = described(cluster, facts.group);
        attached.show(cluster, &facts.group.id, || connected.contains(cluster.name.as_str()), &mut known);
        if balancers.are_alone_with(cluster, &attached)
            && (!known.is_empty() || is_tagged(&facts.group.tags, &cluster.name))
        {
            known.push((Role::LoadBalancer, Evidence::Attachment, Rank::Proven));
        }
        recalled(cluster, facts, &mut known);
        found.extend(known.into_iter().map(|(role, evidence, rank)| {
            (cluster.name.as_str(), RoleEvidence { role, evidence, strong: rank > Rank::Claimed }, rank)
        }));
    }
    if found.is_empty() {
        let tagged = facts.clusters.tagged(&facts.group.tags).into_iter().filter_map(at);
        let claimed = RoleEvidence { role: Role::Node, evidence: Evidence::Tag, strong: false };
        found.extend(tagged.map(|cluster| (cluster.name.as_str(), claimed, Rank::Claimed)));
    }
    // That it is a load balancer's says least of whose it is: the cluster may be known by a tag alone.
    let standing = |(_, known, rank): &(&str, RoleEvidence, Rank)| match known.role {
        Role::LoadBalancer => (Rank::Claimed, true),
        _ => (*rank, false),
    };
    let best = found.iter().map(standing).max();
    let clusters: BTreeSet<String> =
        found.iter().filter(|entry| Some(standing(entry)) == best).map(|(cluster, ..)| (*cluster).to_owned()).collect();
    found.retain(|(cluster, ..)| clusters.contains(*cluster));
    let mut roles: Vec<RoleEvidence> = found
        .into_iter()
        .map(|(_, known, _)| RoleEvidence { strong: known.strong && is_ours && !is_internal, ..known })
        .collect();
    roles.sort_by_key(|known| (known.role, !known.strong, known.evidence));
    roles.dedup_by_key(|known| known.role);
    Membership { clusters, roles, rank: best.map_or(Rank::Claimed, |(rank, _)| rank) }
}

/// What EKS itself says, and EKS's own tag.
fn described(cluster: &Cluster, group: &GroupFacts) -> Vec<Known> {
    let mut known = Vec::new();
    let is_it = |id: &String| *id == group.id;
    if cluster.cluster_group.as_ref().is_some_and(is_it) {
        known.push((Role::Cluster, Evidence::DescribeCluster, Rank::Proven));
    }
    if cluster.control_plane_groups.iter().any(is_it) {
        known.push((Role::ControlPlane, Evidence::DescribeCluster, Rank::Proven));
    }
    for nodes in &cluster.node_groups {
        if nodes.remote_access_group.as_ref().is_some_and(is_it) {
            known.push((Role::RemoteAccess, Evidence::DescribeNodegroup, Rank::Proven));
        }
        if nodes.template_groups.iter().any(is_it) {
            known.push((Role::Node, Evidence::LaunchTemplate, Rank::Proven));
        }
    }
    if known.is_empty() && group.tags.get(AWS_CLUSTER_TAG) == Some(&cluster.name) {
        // While a cluster is being created, EKS tags the group before DescribeCluster names it. Once DescribeCluster names
        // another one, this is the leftover of a deleted cluster of that name.
        let rank = if cluster.cluster_group.is_none() { Rank::Proven } else { Rank::Claimed };
        known.push((Role::Cluster, Evidence::AwsTag, rank));
    }
    known
}

/// What it was found to be a moment ago counts on: whoever may write rules or tags must not be able to lower the evidence on
/// which what they do is judged. It makes nothing immune.
fn recalled(cluster: &Cluster, facts: Facts<'_>, known: &mut Vec<Known>) {
    let member = facts.recalled.get(&cluster.name);
    let Some(member) = member.filter(|member| member.counts(cluster.created_at, facts.now)) else { return };
    let interfaces = facts.interfaces.iter().map(|interface| &interface.id);
    let mut attachments = facts.instances.iter().map(|instance| &instance.id).chain(interfaces);
    if attachments.any(|id| member.attachments.contains(id)) {
        known.extend(member.roles.iter().map(|role| (*role, Evidence::State, Rank::Corroborated)));
    }
}

#[cfg(test)]
mod tests;
