//! A group with everything that may show what it is, and what its interfaces and instances say of it, cluster by cluster.
//!
//! Each attachment is shown to those clusters alone that it names, so a group on thousands of nodes of hundreds of clusters
//! costs no more than its attachments. Must not: weigh clusters against each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use crate::cluster::marks::{is_control_plane, is_load_balancer, is_node_by_aws, is_node_by_tag, is_tagged};
use crate::cluster::register::Register;
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface};
use crate::model::group::{ConfiguredGroup, Evidence, Role};
use crate::model::member::Members;
use crate::model::rule::{Direction, Peer, Rule};

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

pub(super) type Known = (Role, Evidence, Rank);

/// What a group is attached to that may be of one cluster.
#[derive(Default)]
pub(super) struct Attached<'a> {
    interfaces: Vec<&'a Interface>,
    instances: Vec<&'a Instance>,
}

/// By the positions of all clusters that the group may be of, for whatever reason.
pub(super) fn by_cluster(facts: Facts<'_>) -> BTreeMap<usize, Attached<'_>> {
    let clusters = facts.clusters;
    let recalled = facts.recalled.keys().flat_map(|name| clusters.by_name(name));
    let mut found: BTreeMap<usize, Attached<'_>> =
        clusters.of_group(facts.group).into_iter().chain(recalled).map(|at| (at, Attached::default())).collect();
    for interface in facts.interfaces {
        for at in clusters.of_interface(interface) {
            found.entry(at).or_default().interfaces.push(interface);
        }
    }
    for instance in facts.instances {
        for at in clusters.of_instance(instance) {
            found.entry(at).or_default().instances.push(instance);
        }
    }
    found
}

impl Attached<'_> {
    /// Adds what they say. `is_connected`: whether something connects the group with the cluster besides tags.
    pub(super) fn show(&self, cluster: &Cluster, group: &str, is_connected: impl Fn() -> bool, known: &mut Vec<Known>) {
        let tagged = |is_here: bool| if is_here && is_connected() { Rank::Corroborated } else { Rank::Claimed };
        for interface in &self.interfaces {
            if is_control_plane(interface, cluster) && cluster.cluster_group.as_deref() != Some(group) {
                known.push((Role::ControlPlane, Evidence::Attachment, Rank::Proven));
            }
            if interface.kind == "branch" && is_tagged(&interface.tags, &cluster.name) {
                known.push((Role::Pod, Evidence::Attachment, tagged(interface.vpc == cluster.vpc)));
            }
        }
        for instance in &self.instances {
            if is_node_by_aws(cluster, instance) {
                known.push((Role::Node, Evidence::Attachment, Rank::Proven));
            } else if is_tagged(&instance.tags, &cluster.name) {
                known.push((Role::Node, Evidence::Attachment, tagged(is_node_by_tag(cluster, instance))));
            }
        }
    }
}

/// The names of the clusters that something connects the group with: it shares an interface with a group of theirs, lets one
/// in, or is let in by one. Every node lets its control plane in, and what serves pods lets in the nodes or the control
/// plane, or is let in by them. Whoever rewrites the rules of the one may not be able to rewrite those of the other. Letting
/// traffic out to the control plane proves nothing: a bastion does that too.
pub(super) fn connected(facts: Facts<'_>) -> BTreeSet<&str> {
    let neighbours: BTreeSet<&String> = neighbours(facts.interfaces, facts.rules).chain(facts.let_in_by).collect();
    let proven = neighbours.iter().filter_map(|id| facts.proven.get(id.as_str())).flatten().copied();
    let described = neighbours.iter().copied().chain([&facts.group.id]).flat_map(|id| facts.clusters.owners(id));
    proven.chain(described.map(|cluster| cluster.name.as_str())).collect()
}

/// The groups beside one on its interfaces, and those that its rules let in.
pub fn neighbours<'a>(interfaces: &[&'a Interface], rules: &[&'a Rule]) -> impl Iterator<Item = &'a String> {
    let beside = interfaces.iter().flat_map(|interface| &interface.groups);
    let lets_in = rules.iter().filter(|rule| rule.direction == Direction::Ingress);
    beside.chain(lets_in.filter_map(|rule| match &rule.peer {
        Peer::Group { id, .. } => Some(id),
        Peer::Cidr(_) | Peer::PrefixList(_) => None,
    }))
}

/// Load balancers that a group is attached to, and what else it is.
///
/// The interface proves that it is a load balancer; a tag only says whose, and nothing without the cluster's VPC. A group
/// that is on anything else as well, such as another team's host, is not the load balancer's own: it makes nothing immune.
/// What only ordinary tags call the cluster's is such a thing too, or a tag would open a door.
#[derive(Default)]
pub(super) struct Balancers<'a> {
    vpcs: BTreeSet<&'a str>,
    /// How many interfaces are no load balancer's, and by instance which.
    others: usize,
    of_instances: HashMap<&'a str, Vec<&'a Interface>>,
}

impl<'a> Balancers<'a> {
    /// None where not every interface is known.
    pub(super) fn of(facts: Facts<'a>) -> Self {
        let mut found = Self::default();
        let balancers = facts.interfaces.iter().filter(|interface| facts.is_complete && is_load_balancer(interface));
        found.vpcs = balancers.map(|interface| interface.vpc.as_str()).collect();
        if found.vpcs.is_empty() {
            return found;
        }
        for interface in facts.interfaces.iter().copied().filter(|interface| !is_load_balancer(interface)) {
            found.others += 1;
            if let Some(instance) = &interface.instance {
                found.of_instances.entry(instance).or_default().push(interface);
            }
        }
        found
    }

    /// Whether some are in the VPC of the cluster, and everything else is on its nodes or its control plane.
    pub(super) fn are_alone_with(&self, cluster: &Cluster, attached: &Attached<'_>) -> bool {
        if !self.vpcs.contains(cluster.vpc.as_str()) {
            return false;
        }
        let is_plane = |interface: &&&Interface| is_control_plane(interface, cluster);
        let planes = attached.interfaces.iter().filter(|interface| !is_load_balancer(interface)).filter(is_plane);
        let nodes = attached.instances.iter().filter(|instance| is_node_by_aws(cluster, instance));
        let nodes: BTreeSet<&str> = nodes.map(|node| node.id.as_str()).collect();
        let on_nodes = nodes.into_iter().filter_map(|id| self.of_instances.get(id)).flatten();
        planes.count() + on_nodes.filter(|interface| !is_control_plane(interface, cluster)).count() == self.others
    }
}
