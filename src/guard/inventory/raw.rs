//! Groups as EC2 shows them, with what is attached to them, and what they are to clusters by that.
//!
//! Must not: read anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::snapshot::Unread;
use crate::cluster::membership::{
    AWS_CLUSTER_TAG, Facts, Membership, is_control_plane, is_load_balancer, is_node_by_aws, is_tagged, membership,
};
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, Rules};
use crate::model::group::ConfiguredGroup;
use crate::model::member::Members;
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Peer, Rule};

/// Sets of groups attached together that are looked at for one group. Nodes have a few.
const MAX_SETS: usize = 100;
/// Attachments that are remembered of one group.
const MAX_ATTACHMENTS: usize = 100;

/// Groups with what they are attached to, unjudged.
#[derive(Clone, Debug, Default)]
pub(super) struct RawState {
    pub(super) groups: Vec<GroupFacts>,
    pub(super) rules: Rules,
    /// When EC2 answered with the rules.
    pub(super) rules_at: Timestamp,
    pub(super) interfaces: Vec<Interface>,
    /// Whether these are all interfaces of the groups, wherever they are.
    pub(super) is_complete: bool,
    /// Else the VPCs of which these are all.
    pub(super) vpcs: Option<BTreeSet<String>>,
    /// Of each group at least one that shows whose it is.
    pub(super) instances: Vec<Instance>,
    /// By group: those with an ingress rule that names it, as far as that was asked.
    pub(super) let_in_by: BTreeMap<String, BTreeSet<String>>,
    /// Instances that show whose the groups are that connect these with a cluster, and which groups were looked at for it.
    pub(super) of_neighbours: Vec<Instance>,
    pub(super) neighbours: BTreeSet<String>,
    /// IPv4 and IPv6 ranges of every VPC, by id.
    pub(super) ranges: BTreeMap<String, Addresses>,
    /// The other VPCs that a group is associated with.
    pub(super) associations: BTreeMap<String, BTreeSet<String>>,
    /// Of these two, something could not be read.
    pub(super) ranges_unread: bool,
    /// What the state says that groups were.
    pub(super) recalled: BTreeMap<String, Members>,
}

/// Groups that may connect others with a cluster.
pub(super) struct Neighbours {
    /// The groups of which it was asked who lets them in, and the answer: who, and whom.
    pub(super) let_in: Vec<String>,
    pub(super) letting_in: Vec<(String, String)>,
    /// The groups that were looked at, and instances that show whose they are.
    pub(super) looked_at: BTreeSet<String>,
    pub(super) instances: Vec<Instance>,
}

/// Whether it counts together with small rules of the groups beside its own.
pub(super) fn lets_in_addresses(rule: &Rule) -> bool {
    rule.direction == Direction::Ingress && !matches!(rule.peer, Peer::Group { .. })
}

/// Whether this is the interface, or one of the instance.
pub(super) fn is_of(interface: &Interface, attachment: &str) -> bool {
    interface.id == attachment || interface.instance.as_deref() == Some(attachment)
}

impl RawState {
    /// As it was before groups were put on the attachment.
    pub(super) fn without(&self, attachment: &str) -> Self {
        let interfaces: Vec<Interface> =
            self.interfaces.iter().filter(|interface| !is_of(interface, attachment)).cloned().collect();
        let groups_of = |instance: &Instance| -> Vec<String> {
            let own = interfaces.iter().filter(|interface| interface.instance.as_ref() == Some(&instance.id));
            own.flat_map(|interface| interface.groups.clone()).collect()
        };
        // Of an instance whose interfaces were not read, nothing is known but its own word.
        let is_touched = |instance: &Instance| {
            self.interfaces
                .iter()
                .any(|interface| is_of(interface, attachment) && interface.instance.as_ref() == Some(&instance.id))
        };
        let instances = self.instances.iter().map(|instance| {
            let groups = if is_touched(instance) { groups_of(instance) } else { instance.groups.clone() };
            Instance { groups, ..instance.clone() }
        });
        Self { instances: instances.collect(), interfaces, ..self.clone() }
    }

    /// Adds what was read of VPCs: their ranges, and which groups are associated with them. Gives what could not be read.
    pub(super) fn surround(
        &mut self,
        ranges: Result<BTreeMap<String, Addresses>, CloudError>,
        associations: Result<BTreeMap<String, BTreeSet<String>>, CloudError>,
    ) -> Vec<Unread> {
        let mut unread = Vec::new();
        match ranges {
            Ok(ranges) => self.ranges = ranges,
            Err(source) => unread.push(Unread { what: "the ranges of the VPCs".to_owned(), source }),
        }
        match associations {
            Ok(associations) => self.associations = associations,
            Err(source) => unread.push(Unread { what: "which VPCs groups are associated with".to_owned(), source }),
        }
        self.ranges_unread = !unread.is_empty();
        unread
    }

    /// The cluster with the ranges of its VPC.
    pub(super) fn with_ranges(&self, cluster: Cluster) -> Cluster {
        Cluster { vpc_ranges: self.ranges.get(&cluster.vpc).cloned().unwrap_or_default(), ..cluster }
    }

    /// Adds attachments, each once.
    pub(super) fn attach(&mut self, interfaces: Vec<Interface>, instances: Vec<Instance>) {
        self.interfaces.extend(interfaces);
        self.interfaces.sort_by(|a, b| a.id.cmp(&b.id));
        self.interfaces.dedup_by(|a, b| a.id == b.id);
        self.instances.extend(instances);
        self.instances.sort_by(|a, b| a.id.cmp(&b.id));
        self.instances.dedup_by(|a, b| a.id == b.id);
    }

    /// Adds what was learnt of neighbours.
    pub(super) fn add_neighbours(&mut self, more: Neighbours) {
        for group in more.let_in {
            self.let_in_by.entry(group).or_default();
        }
        for (who, whom) in more.letting_in {
            self.let_in_by.entry(whom).or_default().insert(who);
        }
        self.neighbours.extend(more.looked_at);
        self.of_neighbours.extend(more.instances);
    }

    /// The private ranges around a group: of its VPC, and of those that it is associated with. And whether these are all.
    pub(super) fn ranges_around(&self, group: &GroupFacts) -> (Addresses, bool) {
        let vpcs = || self.vpcs_of(group);
        let ranges = vpcs().filter_map(|vpc| self.ranges.get(vpc));
        let is_all = !self.ranges_unread && vpcs().all(|vpc| self.ranges.contains_key(vpc));
        (ranges.fold(Addresses::default(), |all, ranges| all.with(ranges)), is_all)
    }

    fn vpcs_of<'a>(&'a self, group: &'a GroupFacts) -> impl Iterator<Item = &'a String> {
        self.associations.get(&group.id).into_iter().flatten().chain([&group.vpc])
    }

    /// Whether every interface of the group was read.
    fn is_complete(&self, group: &GroupFacts) -> bool {
        self.is_complete && self.vpcs.as_ref().is_none_or(|read| self.vpcs_of(group).all(|vpc| read.contains(vpc)))
    }

    /// The groups that may connect this one with a cluster: those beside it on an interface, those it lets in, and, as far
    /// as that was asked, those that let it in.
    pub(super) fn neighbours_of(&self, group: &str) -> BTreeSet<String> {
        let is_here = |interface: &&Interface| interface.groups.iter().any(|id| id == group);
        let beside = self.interfaces.iter().filter(is_here).flat_map(|interface| interface.groups.iter().cloned());
        let lets_in = self.rules.rules.iter().filter(|(id, rule)| id == group && rule.direction == Direction::Ingress);
        let lets_in = lets_in.filter_map(|(_, rule)| match &rule.peer {
            Peer::Group { id, .. } => Some(id.clone()),
            Peer::Cidr(_) | Peer::PrefixList(_) => None,
        });
        let let_in_by = self.let_in_by.get(group).into_iter().flatten().cloned();
        beside.chain(lets_in).chain(let_in_by).filter(|id| id != group).collect()
    }
}

/// What was read of groups and of the clusters that they may be of.
pub(super) struct Seen {
    pub(super) raw: RawState,
    pub(super) clusters: Arc<Vec<Cluster>>,
    /// What could not be read, with the name of the cluster if it is one.
    pub(super) unread: Vec<(Option<String>, Unread)>,
}

/// What was read, ready to be asked group by group.
pub(super) struct View<'a> {
    account: &'a str,
    configured: &'a [ConfiguredGroup],
    raw: &'a RawState,
    clusters: &'a [Cluster],
    interfaces: HashMap<&'a str, Vec<&'a Interface>>,
    instances: HashMap<&'a str, Vec<&'a Instance>>,
    /// By the instance's own id. A region has thousands, and each interface asks for its one.
    instance: HashMap<&'a str, &'a Instance>,
    rules: HashMap<&'a str, Vec<&'a Rule>>,
    /// By cluster.
    proven: BTreeMap<&'a str, BTreeSet<String>>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        account: &'a str,
        configured: &'a [ConfiguredGroup],
        raw: &'a RawState,
        clusters: &'a [Cluster],
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
        for (group, rule) in &raw.rules.rules {
            rules.entry(group).or_default().push(rule);
        }
        let mut proven: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for instance in raw.instances.iter().chain(&raw.of_neighbours) {
            for cluster in clusters.iter().filter(|cluster| is_node_by_aws(cluster, instance)) {
                proven.entry(&cluster.name).or_default().extend(instance.groups.iter().cloned());
            }
        }
        let instance = raw.instances.iter().map(|instance| (instance.id.as_str(), instance)).collect();
        Self { account, configured, raw, clusters, interfaces, instances, instance, rules, proven }
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
    pub(super) fn proven_among(&self, groups: &BTreeSet<String>) -> BTreeSet<String> {
        self.proven.values().flatten().filter(|group| groups.contains(*group)).cloned().collect()
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
        used.any(|interface| !is_load_balancer(interface) && !self.clusters.iter().any(|of| self.is_of(of, interface)))
    }

    /// Whether it is of the cluster, if only by its tags. An instance that was not read names no cluster.
    fn is_of(&self, cluster: &Cluster, interface: &Interface) -> bool {
        let is_its = |id: &String| {
            let instance = self.instance.get(id.as_str());
            instance.is_some_and(|node| is_node_by_aws(cluster, node) || is_tagged(&node.tags, &cluster.name))
        };
        is_control_plane(interface, cluster)
            || is_tagged(&interface.tags, &cluster.name)
            || interface.instance.as_ref().is_some_and(is_its)
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
        let found = |raw: &RawState| {
            let view = View::new("111122223333", &[], raw, &[]);
            ["sg-1", "sg-2", "sg-3", "sg-4"].map(|id| view.is_unattached(&group(id)))
        };
        assert_eq!(found(&raw), [false, false, true, false], "sg-4 may be attached in a VPC that was not looked at");
        assert_eq!(found(&cut), [false; 4]);
    }
}
