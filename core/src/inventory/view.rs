//! What was read, ready to be asked group by group: what each is attached to, and what it is to clusters by that.
//!
//! Made once for a look. Must not: read anything.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::raw::RawState;
use crate::cluster::marks::{AWS_CLUSTER_TAG, is_control_plane, is_load_balancer, is_node_by_aws, is_tagged};
use crate::cluster::membership::{Facts, Membership, Proven, membership, neighbours};
use crate::cluster::register::Register;
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface};
use crate::model::group::{ConfiguredGroup, UnreadableRule};
use crate::model::member::Members;
use crate::model::rule::Rule;

/// Sets of groups attached together that are looked at for one group. Nodes have a few.
const MAX_SETS: usize = 100;
/// Attachments that are remembered of one group.
const MAX_ATTACHMENTS: usize = 100;

/// What was read, ready to be asked group by group.
pub(super) struct View<'a> {
    account: &'a str,
    configured: &'a [ConfiguredGroup],
    raw: &'a RawState,
    clusters: &'a Register<'a>,
    interfaces: HashMap<&'a str, Vec<&'a Interface>>,
    instances: HashMap<&'a str, Vec<&'a Instance>>,
    /// By the instance's own id. A region has thousands, and each interface asks for its one.
    instance: HashMap<&'a str, &'a Instance>,
    rules: HashMap<&'a str, Vec<&'a Rule>>,
    proven: Proven<'a>,
    unreadable: HashMap<&'a str, Vec<&'a UnreadableRule>>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        account: &'a str,
        configured: &'a [ConfiguredGroup],
        raw: &'a RawState,
        clusters: &'a Register<'a>,
    ) -> Self {
        let mut interfaces: HashMap<&str, Vec<&Interface>> = HashMap::new();
        for interface in &raw.interfaces {
            for group in &interface.groups {
                interfaces.entry(group).or_default().push(interface);
            }
        }
        let mut instances: HashMap<&str, Vec<&Instance>> = HashMap::new();
        for instance in &raw.instances {
            for group in &instance.groups {
                instances.entry(group).or_default().push(instance);
            }
        }
        let mut rules: HashMap<&str, Vec<&Rule>> = HashMap::new();
        // They come group by group.
        for some in raw.rules.rules.chunk_by(|(one, _), (other, _)| one == other) {
            if let Some((group, _)) = some.first() {
                rules.entry(group).or_default().extend(some.iter().map(|(_, rule)| rule));
            }
        }
        let mut unreadable: HashMap<&str, Vec<&UnreadableRule>> = HashMap::new();
        for (group, rule) in &raw.rules.unreadable {
            unreadable.entry(group).or_default().push(rule);
        }
        let mut proven = Proven::new();
        for instance in raw.instances.iter().chain(&raw.of_neighbours) {
            let named = clusters.of_instance(instance).into_iter().filter_map(|at| clusters.at(at));
            for cluster in named.filter(|cluster| is_node_by_aws(cluster, instance)) {
                for group in &instance.groups {
                    proven.entry(group).or_default().insert(&cluster.name);
                }
            }
        }
        let instance = raw.instances.iter().map(|instance| (instance.id.as_str(), instance)).collect();
        Self { account, configured, raw, clusters, interfaces, instances, instance, rules, proven, unreadable }
    }

    /// Those of its clusters that have these names.
    pub(super) fn named<'n>(&self, names: &'n BTreeSet<String>) -> impl Iterator<Item = &'a Cluster> {
        self.clusters.named(names)
    }

    pub(super) fn rules_of(&self, group: &str) -> &[&'a Rule] {
        self.rules.get(group).map_or(&[], Vec::as_slice)
    }

    /// The sets of groups that this one is attached together with, without itself.
    pub(super) fn sets_beside(&self, group: &str) -> BTreeSet<BTreeSet<String>> {
        let interfaces = self.interfaces.get(group).into_iter().flatten();
        let others = interfaces.map(|interface| interface.groups.iter().filter(|id| *id != group).cloned().collect());
        let sets: BTreeSet<BTreeSet<String>> = others.filter(|set: &BTreeSet<String>| !set.is_empty()).collect();
        sets.into_iter().take(MAX_SETS).collect()
    }

    /// Those of these groups that are proven to be a cluster's nodes.
    pub(super) fn proven_among(&self, groups: BTreeSet<String>) -> BTreeSet<String> {
        groups.into_iter().filter(|group| self.proven.contains_key(group.as_str())).collect()
    }

    /// The groups that may connect this one with a cluster: those beside it on an interface, those it lets in, and, as far
    /// as that was asked, those that let it in.
    pub(super) fn neighbours_of(&self, group: &str) -> BTreeSet<String> {
        let interfaces = self.interfaces.get(group).map_or(&[][..], Vec::as_slice);
        let let_in_by = self.raw.let_in_by.get(group).into_iter().flatten();
        neighbours(interfaces, self.rules_of(group)).chain(let_in_by).filter(|id| *id != group).cloned().collect()
    }

    /// Rules of the group that could not be understood.
    pub(super) fn unreadable_of(&self, group: &str) -> Vec<UnreadableRule> {
        self.unreadable.get(group).into_iter().flatten().copied().cloned().collect()
    }

    /// Whether EC2 shows the group attached to nothing, as far as all was looked at that it may be attached to.
    pub(super) fn is_unattached(&self, group: &GroupFacts) -> bool {
        self.raw.is_complete(group) && !self.is_seen(group)
    }

    /// Whether nothing was seen that it is attached to although there was more to read.
    pub(super) fn is_hidden(&self, group: &GroupFacts) -> bool {
        !self.raw.is_complete(group) && !self.is_seen(group)
    }

    /// Whether an instance shows what the launch template of its node group would say: AWS tagged it with the cluster.
    pub(super) fn is_on_a_node(&self, group: &str, cluster: &str) -> bool {
        let instances = self.instances.get(group).into_iter().flatten();
        instances.filter_map(|node| node.tags.get(AWS_CLUSTER_TAG)).any(|name| name == cluster)
    }

    fn is_seen(&self, group: &GroupFacts) -> bool {
        self.interfaces.contains_key(group.id.as_str()) || self.instances.contains_key(group.id.as_str())
    }

    /// Whether it is attached to something that is no cluster's and no load balancer's, such as another team's host. An
    /// interface that nothing uses yet is nobody's.
    pub(super) fn is_shared(&self, group: &GroupFacts) -> bool {
        let interfaces = self.interfaces.get(group.id.as_str()).into_iter().flatten();
        let mut used = interfaces.filter(|interface| {
            interface.requester_managed || interface.instance.is_some() || interface.instance_owner.is_some()
        });
        used.any(|interface| !is_load_balancer(interface) && !self.is_of_some_cluster(interface))
    }

    /// Whether it is some cluster's, if only by its tags. An instance that was not read names no cluster.
    fn is_of_some_cluster(&self, interface: &Interface) -> bool {
        let node = interface.instance.as_ref().and_then(|id| self.instance.get(id.as_str()));
        let by_itself =
            |cluster: &Cluster| is_control_plane(interface, cluster) || is_tagged(&interface.tags, &cluster.name);
        let by_node =
            |node: &Instance, cluster: &Cluster| is_node_by_aws(cluster, node) || is_tagged(&node.tags, &cluster.name);
        let mut named = self.clusters.of_interface(interface).into_iter().filter_map(|at| self.clusters.at(at));
        let of_node = |node| self.clusters.of_instance(node).into_iter().filter_map(|at| self.clusters.at(at));
        named.any(by_itself) || node.is_some_and(|node| of_node(node).any(|cluster| by_node(node, cluster)))
    }

    /// The ids of what it is attached to, the first of them.
    pub(super) fn attachments(&self, group: &GroupFacts) -> impl Iterator<Item = String> {
        let interfaces = self.interfaces.get(group.id.as_str()).into_iter().flatten().map(|interface| &interface.id);
        let instances = self.instances.get(group.id.as_str()).into_iter().flatten().map(|instance| &instance.id);
        interfaces.chain(instances).take(MAX_ATTACHMENTS).cloned()
    }

    /// Whether everything of the clusters was read.
    pub(super) fn is_sweep(&self) -> bool {
        self.raw.vpcs.is_some()
    }

    /// When this was read.
    pub(super) fn at(&self) -> Timestamp {
        self.raw.rules_at
    }

    /// What each group is, in their order.
    pub(super) fn memberships(&self) -> Vec<Membership> {
        self.raw.groups.iter().map(|group| self.membership(group)).collect()
    }

    pub(super) fn membership(&self, group: &GroupFacts) -> Membership {
        let (none, nothing) = (BTreeSet::new(), Members::new());
        membership(Facts {
            account: self.account,
            clusters: self.clusters,
            configured: self.configured,
            group,
            rules: self.rules_of(&group.id),
            let_in_by: self.raw.let_in_by.get(&group.id).unwrap_or(&none),
            proven: &self.proven,
            interfaces: self.interfaces.get(group.id.as_str()).map_or(&[], Vec::as_slice),
            is_complete: self.raw.is_complete(group),
            instances: self.instances.get(group.id.as_str()).map_or(&[], Vec::as_slice),
            recalled: self.raw.recalled.get(&group.id).unwrap_or(&nothing),
            now: self.at(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_unattached_when_nothing_has_it_and_everything_was_read() {
        let groups = |id: &str| vec![id.to_owned()];
        let group = |id: &str| GroupFacts { id: id.into(), ..GroupFacts::default() };
        let raw = RawState {
            interfaces: vec![Interface { groups: groups("sg-1"), ..Interface::default() }],
            instances: vec![Instance { groups: groups("sg-2"), ..Instance::default() }],
            associations: [("sg-4".to_owned(), ["vpc-2".to_owned()].into())].into(),
            vpcs: Some([String::new()].into()),
            is_complete: true,
            ..RawState::default()
        };
        let cut = RawState { is_complete: false, ..raw.clone() };
        let none = Register::default();
        let found = |raw: &RawState| {
            let view = View::new("111122223333", &[], raw, &none);
            ["sg-1", "sg-2", "sg-3", "sg-4"].map(|id| view.is_unattached(&group(id)))
        };
        assert_eq!(found(&raw), [false, false, true, false], "sg-4 may be attached in a VPC that was not looked at");
        assert_eq!(found(&cut), [false; 4]);
    }
}
