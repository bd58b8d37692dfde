//! By what a cluster marks what is its own: tags of AWS's and ordinary ones, descriptions, names, owners of interfaces.
//!
//! Must not: say how much a mark counts (membership does).

use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, Tags};

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

/// How the name of a group begins that EKS keeps among the control-plane instances of a local cluster on Outposts.
pub(crate) const INTERNAL_GROUP: &str = "eks-local-internal-do-not-use-or-edit-";

/// Whether EKS keeps this group for itself: an edit breaks the cluster. The name alone, which anybody may choose, makes no
/// group immune: there has to be such a cluster in its VPC.
/// <https://docs.aws.amazon.com/eks/latest/userguide/eks-outposts-vpc-subnet-requirements.html>
pub(super) fn is_internal_group(cluster: &Cluster, group: &GroupFacts) -> bool {
    let is_its_name = |rest: &str| {
        rest.strip_prefix(cluster.name.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|id| !id.is_empty())
    };
    cluster.is_local && group.vpc == cluster.vpc && group.name.strip_prefix(INTERNAL_GROUP).is_some_and(is_its_name)
}

/// Tags that only AWS can write say that it is a node of the cluster.
pub(crate) fn is_node_by_aws(cluster: &Cluster, instance: &Instance) -> bool {
    instance.tags.get(AWS_CLUSTER_TAG) == Some(&cluster.name)
        || instance.tags.get(AWS_SCALING_TAG).is_some_and(|scaling| is_scaling_group(cluster, scaling))
}

/// The key of the ordinary tag of every Kubernetes on EC2 for this cluster.
pub fn cluster_tag(cluster: &str) -> String {
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
pub fn clusters_in_tags(tags: &Tags) -> impl Iterator<Item = &str> {
    tags.iter().filter_map(|(key, value)| {
        key.strip_prefix(CLUSTER_TAG_PREFIX)
            .or_else(|| CLUSTER_NAME_TAGS.contains(&key.as_str()).then_some(value.as_str()))
    })
}
