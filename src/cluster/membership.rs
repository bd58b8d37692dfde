//! What a group is to which cluster, and how sure we are: facts in, roles with evidence out.
//!
//! Tags are cheap to write, so they never open a door: an ordinary tag alone gives weak evidence, on which nothing is
//! revoked, and never makes a group one of the cluster's own or a load balancer. Must not: read anything.

mod attached;

use std::cell::LazyCell;
use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use self::attached::Balancers;
use crate::cluster::register::Register;
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, Tags};
use crate::model::group::ConfiguredGroup;
use crate::model::group::{Evidence, Role, RoleEvidence};
use crate::model::member::Members;
use crate::model::rule::Rule;

/// EKS's own tag on groups and instances; `aws:` keys cannot be written by customers.
pub const AWS_CLUSTER_TAG: &str = "aws:eks:cluster-name";
/// EC2 Auto Scaling's own tag on instances.
pub const AWS_SCALING_TAG: &str = "aws:autoscaling:groupName";
/// The ordinary tag of every Kubernetes on EC2; the cluster's name follows.
const CLUSTER_TAG_PREFIX: &str = "kubernetes.io/cluster/";
/// How EKS describes the interfaces of its control plane; the cluster's name follows.
pub(super) const EKS_INTERFACE: &str = "Amazon EKS ";
/// Ordinary tags whose value is a cluster's name.
const CLUSTER_NAME_TAGS: [&str; 5] = [
    "eks:cluster-name",
    "eks:eks-cluster-name",
    "elbv2.k8s.aws/cluster",
    "cluster.k8s.amazonaws.com/name",
    "karpenter.sh/discovery",
];
/// The keys of ordinary tags by which an instance may be a node of some cluster; `*` stands for any text.
pub const NODE_TAGS: [&str; 6] = [
    "kubernetes.io/cluster/*",
    CLUSTER_NAME_TAGS[0],
    CLUSTER_NAME_TAGS[1],
    CLUSTER_NAME_TAGS[2],
    CLUSTER_NAME_TAGS[3],
    CLUSTER_NAME_TAGS[4],
];

/// A group with everything that may show its roles.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The account whose clusters these are.
    pub account: &'a str,
    /// The clusters that may be meant.
    pub clusters: &'a Register<'a>,
    /// The `groups` entries of the policy.
    pub configured: &'a [ConfiguredGroup],
    /// The group.
    pub group: &'a GroupFacts,
    /// Its rules.
    pub rules: &'a [&'a Rule],
    /// Groups with an ingress rule that names it.
    pub let_in_by: &'a BTreeSet<String>,
    /// Groups that an instance proves to be a cluster's, with the names of these clusters.
    pub proven: &'a Proven<'a>,
    /// The interfaces that it is attached to.
    pub interfaces: &'a [&'a Interface],
    /// Whether it is attached to no other interface.
    pub is_complete: bool,
    /// Instances that it is attached to.
    pub instances: &'a [&'a Instance],
    /// What the state says that it was within a day.
    pub recalled: &'a Members,
    /// Of this look.
    pub now: Timestamp,
}

/// Groups that an instance proves to be a cluster's, with the names of these clusters.
pub type Proven<'a> = HashMap<&'a str, BTreeSet<&'a str>>;

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

/// How much counts that a group is a cluster's. Only the clusters of the best rank count for a group: an ordinary tag
/// must not add a second one whose mode, exceptions and controllers would then hold here too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Ordinary tags alone, which anybody with `ec2:CreateTags` can write. Reported, never revoked.
    #[default]
    Claimed,
    /// Ordinary tags on something of the cluster's VPC that shares an interface with, lets in or is let in by a group of the
    /// cluster; or it was found to be so a moment ago.
    Corroborated,
    /// What only EKS or AWS can say, or the policy does.
    Proven,
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
        _ => (*rank, *rank > Rank::Claimed),
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

type Known = (Role, Evidence, Rank);

/// How the name of a group begins that EKS keeps among the control-plane instances of a local cluster on Outposts.
pub(crate) const INTERNAL_GROUP: &str = "eks-local-internal-do-not-use-or-edit-";

/// Whether EKS keeps this group for itself: an edit breaks the cluster. The name alone, which anybody may choose, makes no
/// group immune: there has to be such a cluster in its VPC.
/// <https://docs.aws.amazon.com/eks/latest/userguide/eks-outposts-vpc-subnet-requirements.html>
fn is_internal_group(cluster: &Cluster, group: &GroupFacts) -> bool {
    let is_its_name = |rest: &str| {
        rest.strip_prefix(cluster.name.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|id| !id.is_empty())
    };
    cluster.is_local && group.vpc == cluster.vpc && group.name.strip_prefix(INTERNAL_GROUP).is_some_and(is_its_name)
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

/// Tags that only AWS can write say that it is a node of the cluster.
pub(crate) fn is_node_by_aws(cluster: &Cluster, instance: &Instance) -> bool {
    instance.tags.get(AWS_CLUSTER_TAG) == Some(&cluster.name)
        || instance.tags.get(AWS_SCALING_TAG).is_some_and(|scaling| is_scaling_group(cluster, scaling))
}

/// The key of the ordinary tag of every Kubernetes on EC2 for this cluster.
pub(crate) fn cluster_tag(cluster: &str) -> String {
    format!("{CLUSTER_TAG_PREFIX}{cluster}")
}

/// The ordinary tag that every node has, on an instance of the cluster's VPC. Alone it proves nothing.
pub(crate) fn is_node_by_tag(cluster: &Cluster, instance: &Instance) -> bool {
    instance.tags.contains_key(&cluster_tag(&cluster.name)) && instance.vpc == cluster.vpc
}

fn is_scaling_group(cluster: &Cluster, name: &String) -> bool {
    cluster.node_groups.iter().any(|nodes| nodes.auto_scaling_groups.contains(name))
}

/// An interface that EKS put into the cluster's VPC: attached to an instance of EKS's own account.
pub(crate) fn is_control_plane(interface: &Interface, cluster: &Cluster) -> bool {
    let foreign = interface.instance_owner.as_ref().is_some_and(|owner| *owner != interface.owner);
    interface.vpc == cluster.vpc && foreign && interface.description == format!("{EKS_INTERFACE}{}", cluster.name)
}

/// An interface that Elastic Load Balancing itself owns. EC2 sets these fields, not the caller.
pub(crate) fn is_load_balancer(interface: &Interface) -> bool {
    let by_elb = |who: &Option<String>| who.as_deref() == Some("amazon-elb");
    interface.kind.ends_with("load_balancer")
        || interface.requester_managed && (by_elb(&interface.requester) || by_elb(&interface.instance_owner))
}

/// Whether an ordinary tag names the cluster.
pub(crate) fn is_tagged(tags: &Tags, cluster: &str) -> bool {
    clusters_in_tags(tags).any(|name| name == cluster)
}

/// Cluster names that tags speak of, ordinary or not.
pub(crate) fn clusters_in_tags(tags: &Tags) -> impl Iterator<Item = &str> {
    tags.iter().filter_map(|(key, value)| {
        key.strip_prefix(CLUSTER_TAG_PREFIX)
            .or_else(|| CLUSTER_NAME_TAGS.contains(&key.as_str()).then_some(value.as_str()))
    })
}

#[cfg(test)]
mod tests;
