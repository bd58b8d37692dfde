//! What rules refer to: other groups and prefix lists, read in the invocation that judges them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};

use super::raw::RawState;
use super::{GroupSnapshot, Inventory, Unresolved};
use crate::cluster::membership::{Membership, Rank};
use crate::model::error::{CloudError, chain};
use crate::model::facts::{Cluster, Instances, Rules, Selector};
use crate::model::group::{AwsList, Group, PeerGroup, PrefixList, Role};
use crate::model::rule::{Direction, Peer, Rule};

/// Groups that are looked up at once.
const MAX_GROUPS: usize = 200;

/// What rules refer to, as far as it was looked up.
#[derive(Default)]
pub struct References {
    lists: BTreeMap<String, PrefixList>,
    peers: BTreeMap<String, Membership>,
    /// The sets of groups that were looked at, and the ingress rules of all of these groups.
    beside: BTreeSet<BTreeSet<String>>,
    rules_beside: BTreeMap<String, Vec<Rule>>,
}

impl References {
    /// Makes the rules judgeable that refer to these.
    pub fn resolve(&self, snapshot: &mut GroupSnapshot) {
        snapshot.resolved.extend(self.lists.keys().chain(self.peers.keys()).cloned());
        for set in &self.beside {
            if snapshot.beside.remove(set) {
                let rules = set.iter().filter_map(|id| self.rules_beside.get(id)).flatten().cloned();
                snapshot.group.beside.push(rules.collect());
            }
        }
        let GroupSnapshot { group, .. } = snapshot;
        group.prefix_lists.extend(self.lists.clone());
        let Group { clusters, peers, .. } = group;
        peers.extend(self.peers.iter().map(|(id, peer)| (id.clone(), of_clusters(peer, clusters))));
    }
}

/// What a group is to the clusters of the group whose rule names it. What ordinary tags say of it allows nothing, but it
/// keeps a rule from being revoked: it may well be the cluster's.
fn of_clusters(peer: &Membership, clusters: &BTreeSet<String>) -> PeerGroup {
    if peer.clusters.is_disjoint(clusters) {
        return PeerGroup::default();
    }
    let roles = peer.strong_roles();
    let is_certain = peer.rank == Rank::Proven || roles.contains(&Role::LoadBalancer);
    let roles = if is_certain { roles } else { BTreeSet::new() };
    PeerGroup { same_cluster: !roles.is_empty(), may_be_same_cluster: !peer.roles.is_empty(), roles }
}

impl Inventory {
    /// Looks up prefix lists (`pl-…`), other groups (`sg-…`) as far as they are of these clusters, and what groups beside
    /// this one let in.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries. A list that cannot be read is no error but an unreadable list.
    pub async fn references(&self, what: &Unresolved, clusters: &[Cluster]) -> Result<References, CloudError> {
        let (lists, peers) = what.references.iter().cloned().partition(|id| id.starts_with("pl-"));
        let beside: BTreeSet<String> = what.beside.iter().flatten().cloned().collect();
        let beside: Vec<String> = beside.into_iter().collect();
        let rules = async { if beside.is_empty() { Ok(Rules::default()) } else { self.ec2.rules(&beside).await } };
        let (lists, peers, rules) = futures::join!(self.prefix_lists(&lists), self.peers(&peers, clusters), rules);
        let mut rules_beside: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
        for (group, rule) in rules?.rules {
            if rule.direction == Direction::Ingress && !matches!(rule.peer, Peer::Group { .. }) {
                rules_beside.entry(group).or_default().push(rule);
            }
        }
        Ok(References { lists, peers: peers?, beside: what.beside.clone(), rules_beside })
    }

    /// Looks up what the rules of a snapshot refer to and is not known yet.
    ///
    /// # Errors
    /// As [`Inventory::references`].
    pub async fn resolve(&self, snapshot: &mut GroupSnapshot) -> Result<(), CloudError> {
        self.references(&snapshot.unresolved(), &snapshot.clusters).await?.resolve(snapshot);
        Ok(())
    }

    /// A list that cannot be read is a finding, not a failure: the other rules still count.
    pub(super) async fn prefix_lists(&self, ids: &BTreeSet<String>) -> BTreeMap<String, PrefixList> {
        let read = |id: String| async move {
            let list = match self.ec2.prefix_list(&id).await {
                Ok(list) => match AwsList::from_ec2(&list.owner, &list.name) {
                    Some(known) => PrefixList::Aws(known),
                    None => PrefixList::Entries(list.entries),
                },
                Err(error) => {
                    let why = chain(&error);
                    tracing::warn!(prefix_list = %id, error = %why, "prefix list could not be read");
                    PrefixList::Unreadable {
                        why,
                        may_pass: matches!(error, CloudError::Failed { .. } | CloudError::ListChanging { .. }),
                    }
                }
            };
            (id, list)
        };
        join_all(ids.iter().cloned().map(read)).await.into_iter().collect()
    }

    /// What other groups are to these clusters now. One that does not exist here (another account's, or gone) is nobody's.
    async fn peers(
        &self,
        ids: &BTreeSet<String>,
        clusters: &[Cluster],
    ) -> Result<BTreeMap<String, Membership>, CloudError> {
        let mut found: BTreeMap<String, Membership> =
            ids.iter().map(|id| (id.clone(), Membership::default())).collect();
        let ids: Vec<String> = ids.iter().cloned().collect();
        let read = |ids: &[String]| {
            let (selector, witnesses) = (Selector::Ids(ids.to_vec()), Instances::Witnesses(ids.to_vec()));
            async move {
                let groups = self.ec2.groups(&selector);
                let attachments = (self.ec2.interfaces(&selector), self.ec2.instances(&witnesses));
                futures::try_join!(groups, attachments.0, attachments.1)
            }
        };
        for (groups, interfaces, instances) in try_join_all(ids.chunks(MAX_GROUPS).map(read)).await? {
            let mut raw = RawState { groups, is_complete: interfaces.is_complete, ..RawState::default() };
            raw.attach(interfaces.found, instances);
            let view = self.view(&raw, clusters);
            found.extend(raw.groups.iter().map(|group| (group.id.clone(), view.membership(group))));
        }
        Ok(found)
    }
}
