//! Reads what is open now: groups, rules by id, attachments, the clusters that these name, prefix lists. Everything that can
//! be read at once is read at once, in each invocation anew; only names are kept, as hints (`index`).
//!
//! Must not: change anything or judge.

mod clusters;
mod index;
mod look;
mod raw;
mod recall;
mod references;
mod snapshot;
mod sweep;
mod topology;
mod view;

pub use snapshot::{GroupSnapshot, Looked, ReadBack, Unread, Unresolved};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::cluster::membership::{Membership, Rank};
use crate::cluster::names::Named;
use crate::cluster::register::Register;
use crate::inventory::index::{Hint, Index};
use crate::inventory::raw::{RawState, Seen, is_of};
use crate::inventory::view::View;
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, GroupFacts, Interface, NodeGroup};
use crate::model::group::{Attachment, Beside, ConfiguredGroup, Group, by_policy_alone};
use crate::model::region::Addresses;
use crate::model::rule::Rule;
use crate::ports::{Clock, Ec2, Eks, Ports};

/// An answer older than this is not the last look before a revoke, and shows no more what a cluster has left.
pub const MAX_LAST_LOOK_AGE: SignedDuration = SignedDuration::from_secs(2);
/// The tag that is the name of an instance or interface.
const NAME: &str = "Name";

/// The reader, with its index of names.
pub struct Inventory {
    ec2: Arc<dyn Ec2>,
    eks: Arc<dyn Eks>,
    clock: Arc<dyn Clock>,
    account: String,
    configured: Vec<ConfiguredGroup>,
    index: Index,
}

impl Inventory {
    /// A reader for the clusters of one account and region.
    pub fn new(ports: &Ports, account: String, configured: Vec<ConfiguredGroup>) -> Self {
        let (ec2, eks, clock) = (Arc::clone(&ports.ec2), Arc::clone(&ports.eks), Arc::clone(&ports.clock));
        Self { ec2, eks, clock, account, configured, index: Index::default() }
    }

    /// These groups. Ids that do not exist are missing from the answer.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries, and without which nothing can be said.
    pub async fn read(&self, ids: &[String]) -> Result<Looked, CloudError> {
        Ok(self.looked(self.see(ids, None, BTreeMap::new()).await?))
    }

    /// These groups, which were put on an interface or instance, and those of them for which it is the first EKS interface.
    /// `None` while EC2 does not show them there yet.
    ///
    /// # Errors
    /// As [`Inventory::read`].
    pub async fn read_attached(
        &self,
        ids: &[String],
        attachment: &str,
    ) -> Result<Option<(Looked, BTreeSet<String>)>, CloudError> {
        let seen = self.see(ids, Some(attachment), BTreeMap::new()).await?;
        let is_shown = |interface: &Interface| {
            is_of(interface, attachment) && interface.groups.iter().any(|group| ids.contains(group))
        };
        if !seen.raw.interfaces.iter().any(is_shown) {
            return Ok(None);
        }
        let before = seen.raw.without(attachment);
        let clusters = Register::of(&seen.clusters);
        let view = self.view(&before, &clusters);
        let had_none = |group: &&GroupFacts| view.membership(group).strong_roles().is_empty();
        let new: BTreeSet<String> = before.groups.iter().filter(had_none).map(|group| group.id.clone()).collect();
        let put_on = attachments(&self.view(&seen.raw, &clusters), &seen.raw, attachment);
        let mut looked = self.looked(seen);
        for GroupSnapshot { group, .. } in &mut looked.snapshots {
            let has_it = |to: &&Attachment| to.groups.contains(&group.id);
            group.attachments = put_on.iter().filter(has_it).cloned().collect();
            group.attachments.iter_mut().for_each(|to| to.beside.retain(|other| other.id != group.id));
        }
        let is_first = |snapshot: &&GroupSnapshot| new.contains(&snapshot.group.id) && snapshot.group.is_strong();
        let first = looked.snapshots.iter().filter(is_first).map(|snapshot| snapshot.group.id.clone()).collect();
        Ok(Some((looked, first)))
    }

    /// The rules of one group as they are this moment, and nothing else.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn rules(&self, group: &str) -> Result<Vec<Rule>, CloudError> {
        let rules = self.ec2.rules(&[group.to_owned()]).await?;
        Ok(rules.rules.into_iter().map(|(_, rule)| rule).collect())
    }

    /// Looks at the rules alone once more. A group that is gone has none.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn look_again(&self, snapshot: &mut GroupSnapshot) -> Result<(), CloudError> {
        let rules = self.ec2.rules(std::slice::from_ref(&snapshot.group.id)).await?;
        let unreadable = rules.unreadable.into_iter().filter(|(id, _)| *id == snapshot.group.id);
        snapshot.group.unreadable_rules = unreadable.map(|(_, rule)| rule).collect();
        snapshot.group.rules = rules.rules.into_iter().map(|(_, rule)| rule).collect();
        (snapshot.rules_at, snapshot.read_back) = (self.clock.now(), None);
        Ok(())
    }

    /// Keeps what groups were found to be of, so that the next look asks for it at once.
    fn learn(&self, view: &View<'_>, raw: &RawState, found: &[Membership]) {
        for (group, found) in raw.groups.iter().zip(found).filter(|(_, found)| !found.clusters.is_empty()) {
            let (mut named, mut planned) = (Named::new(), Named::new());
            for cluster in view.named(&found.clusters) {
                named.entry(cluster.name.clone()).or_default();
                let is_shown = view.is_on_a_node(&group.id, &cluster.name);
                for nodes in cluster.node_groups.iter().filter(|nodes| names_it(nodes, &group.id)) {
                    let is_template = nodes.remote_access_group.as_ref() != Some(&group.id);
                    let hint = if is_shown && is_template { &mut planned } else { &mut named };
                    hint.entry(cluster.name.clone()).or_default().insert(nodes.name.clone());
                }
            }
            let neighbours = match found.rank {
                Rank::Corroborated => view.proven_among(view.neighbours_of(&group.id)),
                Rank::Claimed | Rank::Proven => BTreeSet::new(),
            };
            self.index.learn(&group.id, Hint { named, planned, neighbours }, view.is_sweep());
        }
    }

    fn view<'a>(&'a self, raw: &'a RawState, clusters: &'a Register<'a>) -> View<'a> {
        View::new(&self.account, &self.configured, raw, clusters)
    }

    fn looked(&self, seen: Seen) -> Looked {
        let Seen { raw, clusters, unread } = seen;
        let unread_clusters: BTreeSet<&String> = unread.iter().filter_map(|(name, _)| name.as_ref()).collect();
        let register = Register::of(&clusters);
        let view = self.view(&raw, &register);
        let seen = |facts: &GroupFacts| {
            let mut group = group(&view, &raw, facts, view.membership(facts));
            group.rules = view.rules_of(&facts.id).iter().copied().cloned().collect();
            let is_of_unread = || group.clusters.iter().any(|name| unread_clusters.contains(name));
            group.ranges_unread |= !unread_clusters.is_empty() && (is_of_unread() || !group.is_strong());
            snapshot(group, &view, raw.rules_at, &clusters)
        };
        let snapshots: Vec<GroupSnapshot> = raw.groups.iter().map(seen).collect();
        // A name in an ordinary tag that EKS did not answer for matters to nobody who is proven to be of another cluster.
        let matters = |name: &Option<String>| {
            let of_it = |snapshot: &GroupSnapshot| {
                !snapshot.group.is_strong() || name.as_ref().is_none_or(|name| snapshot.group.clusters.contains(name))
            };
            snapshots.iter().any(of_it)
        };
        let unread = unread.iter().map(|(name, _)| matters(name)).collect::<Vec<_>>().into_iter().zip(unread);
        let unread = unread.filter(|(matters, _)| *matters).map(|(_, (_, unread))| unread).collect();
        Looked { snapshots, unread, ..Looked::default() }
    }
}

/// The interfaces of what groups were put on, with its name, and what is known of each of their groups.
fn attachments(view: &View<'_>, raw: &RawState, attachment: &str) -> Vec<Attachment> {
    let beside = |id: &String, interface: &Interface| {
        let read = raw.groups.iter().find(|group| group.id == *id);
        let unread = || GroupFacts { id: id.clone(), vpc: interface.vpc.clone(), ..GroupFacts::default() };
        let Membership { clusters, roles, .. } = view.membership(&read.cloned().unwrap_or_else(unread));
        let name = read.map(|group| group.name.clone());
        Beside { id: id.clone(), name, clusters: clusters.into_iter().collect(), roles }
    };
    let of_interface = |interface: &Interface| {
        let instance = raw.instances.iter().find(|instance| interface.instance.as_ref() == Some(&instance.id));
        let name = instance.and_then(|instance| instance.tags.get(NAME)).or_else(|| interface.tags.get(NAME));
        Attachment {
            interface: Some(interface.id.clone()),
            instance: interface.instance.clone(),
            name: name.cloned(),
            groups: interface.groups.clone(),
            beside: interface.groups.iter().map(|id| beside(id, interface)).collect(),
        }
    };
    raw.interfaces.iter().filter(|interface| is_of(interface, attachment)).map(of_interface).collect()
}

/// Whether EKS names this group for the node group.
fn names_it(nodes: &NodeGroup, group: &str) -> bool {
    nodes.template_groups.iter().chain(&nodes.remote_access_group).any(|id| id == group)
}

fn snapshot(group: Group, view: &View<'_>, rules_at: Timestamp, clusters: &Arc<Vec<Cluster>>) -> GroupSnapshot {
    let beside = view.sets_beside(&group.id);
    GroupSnapshot { beside, ..GroupSnapshot::new(group, rules_at, clusters) }
}

/// A group as the policy sees it, without its rules.
fn group(view: &View<'_>, raw: &RawState, facts: &GroupFacts, found: Membership) -> Group {
    let members = view.members(facts, &found);
    let Membership { clusters: names, roles, rank } = found;
    let (vpc_ranges, is_all) = raw.ranges_around(facts);
    let own = || view.named(&names);
    Group {
        id: facts.id.clone(),
        name: facts.name.clone(),
        vpc: facts.vpc.clone(),
        owner: facts.owner.clone(),
        remote_networks: own().fold(Addresses::default(), |all, cluster| all.with(&cluster.remote_networks)),
        cluster_role_arns: own().filter_map(|cluster| cluster.role_arn.clone()).collect(),
        node_ports: own().filter_map(|cluster| Some((cluster.name.clone(), cluster.node_ports?))).collect(),
        identity_providers: own().filter(|_| rank == Rank::Proven).filter_map(Cluster::identity_provider).collect(),
        vpc_ranges,
        ranges_unread: !is_all,
        is_unattached: view.is_unattached(facts),
        is_shared: view.is_shared(facts),
        clusters_since: own().map(|cluster| cluster.created_at).min().flatten(),
        ties: names.iter().filter(|_| !by_policy_alone(&roles)).cloned().chain(view.attachments(facts)).collect(),
        clusters: names,
        roles,
        members,
        rules: Vec::with_capacity(view.rules_of(&facts.id).len()),
        unreadable_rules: view.unreadable_of(&facts.id),
        ..Group::default()
    }
}
