//! Groups as EC2 shows them, with what is attached to them.
//!
//! Must not: read anything, or say what they are to clusters (the view does).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::snapshot::Unread;
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, Rules};
use crate::model::member::Members;
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Peer, Rule};

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
    pub(super) fn is_complete(&self, group: &GroupFacts) -> bool {
        self.is_complete && self.vpcs.as_ref().is_none_or(|read| self.vpcs_of(group).all(|vpc| read.contains(vpc)))
    }
}

/// What was read of groups and of the clusters that they may be of.
pub(super) struct Seen {
    pub(super) raw: RawState,
    pub(super) clusters: Arc<Vec<Cluster>>,
    /// What could not be read, with the name of the cluster if it is one.
    pub(super) unread: Vec<(Option<String>, Unread)>,
}
