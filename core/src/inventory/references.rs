//! What rules refer to: other groups and prefix lists, read in the invocation that judges them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join3, try_join_all, try_join3};
use futures::stream::{self, StreamExt as _};

use super::raw::{RawState, lets_in_addresses};
use super::{GroupSnapshot, Inventory, Unresolved};
use crate::cluster::membership::{Membership, Rank};
use crate::cluster::register::Register;
use crate::model::error::{CloudError, chain};
use crate::model::facts::{Cluster, GroupFacts, Instances, Rules, Selector};
use crate::model::group::{AwsList, Group, Passes, PeerGroup, PrefixList, Role};
use crate::model::rule::{Peer, Rule};

/// Prefix lists that are read at the same time.
const MAX_LISTS: usize = 8;
/// Groups that are looked up at once.
const MAX_GROUPS: usize = 200;

/// What rules refer to, as far as it was looked up.
#[derive(Default)]
pub struct References {
    lists: BTreeMap<String, (PrefixList, Option<String>)>,
    peers: BTreeMap<String, Peering>,
    /// The sets of groups that were looked at, and the ingress rules of all of these groups.
    beside: BTreeSet<BTreeSet<String>>,
    rules_beside: BTreeMap<String, Vec<Rule>>,
}

/// Another group.
#[derive(Default)]
struct Peering {
    membership: Membership,
    is_unattached: bool,
    /// Nothing was seen that it is attached to, and not everything was read.
    is_hidden: bool,
}

impl References {
    /// Makes the rules judgeable that refer to these.
    pub fn resolve(&self, snapshot: &mut GroupSnapshot) {
        for set in &self.beside {
            if snapshot.beside.remove(set) {
                let rules = set.iter().filter_map(|id| self.rules_beside.get(id)).flatten().cloned();
                snapshot.group.beside.push(rules.collect());
            }
        }
        // A group takes what its own rules name.
        let is_here = |id: &String| self.lists.contains_key(id) || self.peers.contains_key(id);
        let named = snapshot.unresolved().references.into_iter().filter(is_here);
        snapshot.resolved.extend(named);
        let former: Vec<Rule> = snapshot.former().cloned().collect();
        let Group { clusters, peers, prefix_lists, list_names, rules, beside, .. } = &mut snapshot.group;
        for rule in rules.iter().chain(beside.iter().flatten()).chain(&former) {
            match &rule.peer {
                Peer::Cidr(_) => {}
                Peer::PrefixList(id) => {
                    let found = self.lists.get(id).filter(|_| !prefix_lists.contains_key(id));
                    if let Some((list, name)) = found {
                        prefix_lists.insert(id.clone(), list.clone());
                        list_names.extend(name.clone().map(|name| (id.clone(), name)));
                    }
                }
                Peer::Group { id, .. } => {
                    // Its own few are looked through first: a sweep looks up thousands.
                    if !peers.contains_key(id) {
                        let found = self.peers.get(id);
                        peers.extend(found.map(|peer| (id.clone(), of_clusters(peer, clusters))));
                    }
                }
            }
        }
    }
}

/// What a group is to the clusters of the group whose rule names it. What ordinary tags say of it allows nothing, but it
/// keeps a rule from being revoked: it may well be the cluster's.
fn of_clusters(peer: &Peering, clusters: &BTreeSet<String>) -> PeerGroup {
    let Peering { membership, is_unattached, is_hidden } = peer;
    let is_unattached = *is_unattached;
    if membership.clusters.is_disjoint(clusters) {
        return PeerGroup { is_unattached, may_be_same_cluster: *is_hidden, ..PeerGroup::default() };
    }
    let roles = membership.strong_roles();
    let is_certain = membership.rank == Rank::Proven || roles.contains(&Role::LoadBalancer);
    let roles = if is_certain { roles } else { BTreeSet::new() };
    let may_be_same_cluster = !membership.roles.is_empty();
    PeerGroup { same_cluster: !roles.is_empty(), may_be_same_cluster, roles, is_unattached }
}

impl Inventory {
    /// Looks up prefix lists (`pl-…`), other groups (`sg-…`) as far as they are of these clusters, and what groups beside
    /// this one let in.
    ///
    /// What could not be read is left out, and comes with the error of a read that failed after the SDK's retries. A list
    /// that cannot be read is no error but an unreadable list.
    pub async fn references(&self, what: &Unresolved, clusters: &[Cluster]) -> (References, Option<CloudError>) {
        let (lists, peers) = what.references.iter().cloned().partition(|id| id.starts_with("pl-"));
        let beside: BTreeSet<String> = what.beside.iter().flatten().cloned().collect();
        let beside: Vec<String> = beside.into_iter().collect();
        let rules = async { if beside.is_empty() { Ok(Rules::default()) } else { self.ec2.rules(&beside).await } };
        let (lists, peers, rules) = join3(self.prefix_lists(&lists), self.peers(&peers, clusters), rules).await;
        let (mut found, mut unread) = (References { lists, ..References::default() }, None);
        match peers {
            Ok(peers) => found.peers = peers,
            Err(error) => unread = Some(error),
        }
        let rules = match rules {
            Ok(rules) => {
                found.beside.clone_from(&what.beside);
                rules
            }
            Err(error) => {
                unread = Some(error);
                Rules::default()
            }
        };
        for (group, rule) in rules.rules {
            if lets_in_addresses(&rule) {
                found.rules_beside.entry(group).or_default().push(rule);
            }
        }
        (found, unread)
    }

    /// Looks up what the rules of a snapshot refer to and is not known yet.
    ///
    /// # Errors
    /// As [`Inventory::references`].
    pub async fn resolve(&self, snapshot: &mut GroupSnapshot) -> Result<(), CloudError> {
        let (references, unread) = self.references(&snapshot.unresolved(), &snapshot.clusters).await;
        references.resolve(snapshot);
        unread.map_or(Ok(()), Err)
    }

    /// The same for all of these at once, apart from what is beside them: most of them refer to the same.
    ///
    /// # Errors
    /// As [`Inventory::references`].
    pub async fn resolve_all(&self, snapshots: &mut [GroupSnapshot], clusters: &[Cluster]) -> Result<(), CloudError> {
        let references = snapshots.iter().flat_map(|snapshot| snapshot.unresolved().references).collect();
        let unresolved = Unresolved { references, ..Unresolved::default() };
        if unresolved.is_empty() {
            return Ok(());
        }
        let (references, unread) = self.references(&unresolved, clusters).await;
        for snapshot in snapshots {
            references.resolve(snapshot);
        }
        unread.map_or(Ok(()), Err)
    }

    /// Lists with their names. One that cannot be read is a finding, not a failure: the other rules still count.
    pub(super) async fn prefix_lists(&self, ids: &BTreeSet<String>) -> BTreeMap<String, (PrefixList, Option<String>)> {
        let read = |id: String| async move {
            let list = match self.ec2.prefix_list(&id).await {
                Ok(list) => match AwsList::from_ec2(&list.owner, &list.name) {
                    Some(known) => (PrefixList::Aws(known), Some(list.name)),
                    None => (PrefixList::Entries(list.entries), Some(list.name)),
                },
                Err(error) => {
                    let why = chain(&error);
                    let list = PrefixList::Unreadable {
                        why,
                        passes: match error {
                            CloudError::ListChanging { .. } => Passes::Surely,
                            CloudError::Failed { .. } => Passes::Maybe,
                            CloudError::GroupGone(_)
                            | CloudError::RuleGone(_)
                            | CloudError::ListGone(_)
                            | CloudError::NotTaken(_)
                            | CloudError::Withheld(_)
                            | CloudError::NotDone { .. }
                            | CloudError::Denied { .. } => Passes::Never,
                        },
                    };
                    (list, None)
                }
            };
            (id, list)
        };
        stream::iter(ids.iter().cloned()).map(read).buffer_unordered(MAX_LISTS).collect().await
    }

    /// What other groups are to these clusters now, and whether they are attached to nothing. One that does not exist here
    /// (another account's, or gone) is nobody's.
    async fn peers(
        &self,
        ids: &BTreeSet<String>,
        clusters: &[Cluster],
    ) -> Result<BTreeMap<String, Peering>, CloudError> {
        let mut found: BTreeMap<String, Peering> = ids.iter().map(|id| (id.clone(), Peering::default())).collect();
        let ids: Vec<String> = ids.iter().cloned().collect();
        let read = |ids: &[String]| {
            let (selector, witnesses) = (Selector::Ids(ids.to_vec()), Instances::Peers(ids.to_vec()));
            async move {
                let groups = self.ec2.groups(&selector);
                let attachments = (self.ec2.interfaces(&selector), self.ec2.instances(&witnesses));
                try_join3(groups, attachments.0, attachments.1).await
            }
        };
        let clusters = Register::of(clusters);
        for (groups, interfaces, instances) in try_join_all(ids.chunks(MAX_GROUPS).map(read)).await? {
            let mut raw = RawState { groups, is_complete: interfaces.is_complete, ..RawState::default() };
            raw.attach(interfaces.found, instances);
            let view = self.view(&raw, &clusters);
            let peer = |group: &GroupFacts| {
                let (is_unattached, is_hidden) = (view.is_unattached(group), view.is_hidden(group));
                (group.id.clone(), Peering { membership: view.membership(group), is_unattached, is_hidden })
            };
            found.extend(raw.groups.iter().map(peer));
        }
        Ok(found)
    }
}
