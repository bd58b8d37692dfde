//! What rules refer to: other groups and prefix lists, read in the invocation that judges them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};

use super::Inventory;
use super::raw::{RawState, names_of};
use super::snapshot::GroupSnapshot;
use crate::cluster::membership::{Membership, Rank};
use crate::cluster::names::{self, Named};
use crate::model::error::{CloudError, chain};
use crate::model::facts::{Cluster, Selector};
use crate::model::group::{AwsList, Group, PeerGroup, PrefixList};

/// Values that EC2 takes in one filter.
const MAX_FILTER_VALUES: usize = 200;

/// What rules refer to, as far as it was looked up.
#[derive(Default)]
pub struct References {
    lists: BTreeMap<String, PrefixList>,
    peers: BTreeMap<String, Membership>,
}

impl References {
    /// Makes the rules judgeable that refer to these.
    fn resolve(&self, snapshot: &mut GroupSnapshot) {
        snapshot.resolved.extend(self.lists.keys().chain(self.peers.keys()).cloned());
        let GroupSnapshot { group, .. } = snapshot;
        group.prefix_lists.extend(self.lists.clone());
        let Group { clusters, peers, .. } = group;
        peers.extend(self.peers.iter().map(|(id, peer)| {
            let same_cluster = !peer.strong_roles().is_empty() && !peer.clusters.is_disjoint(clusters);
            (id.clone(), PeerGroup { same_cluster, roles: peer.strong_roles() })
        }));
    }
}

impl Inventory {
    /// Makes the rules judgeable that refer to these. What is known of the peers may say more of the group too: one
    /// that lets in a group that is proven for its cluster is corroborated.
    pub fn settle(&self, snapshot: &mut GroupSnapshot, references: &References) {
        references.resolve(snapshot);
        let of_peer = |(id, peer): (&String, &Membership)| {
            let clusters = if peer.rank == Rank::Proven { peer.clusters.clone() } else { BTreeSet::new() };
            clusters.into_iter().map(|cluster| (cluster, id.clone())).collect::<Vec<_>>()
        };
        let proven: BTreeSet<(String, String)> = references.peers.iter().flat_map(of_peer).collect();
        let facts = snapshot.raw.groups.iter().find(|facts| facts.id == snapshot.group.id);
        if let Some(facts) = facts.filter(|_| !proven.is_empty() && !snapshot.group.is_strong()) {
            let (raw, clusters) = (&snapshot.raw, &snapshot.clusters);
            snapshot.group.roles = self.membership(facts, &snapshot.group.rules, raw, clusters, &proven).roles;
        }
    }

    /// Looks up these groups (`sg-…`), as far as they are of these clusters, and prefix lists (`pl-…`).
    ///
    /// # Errors
    /// A read that failed after the SDK's retries. A list that cannot be read is no error but an unreadable list.
    pub async fn references(&self, ids: &BTreeSet<String>, clusters: &[Cluster]) -> Result<References, CloudError> {
        let (lists, peers) = ids.iter().cloned().partition(|id| id.starts_with("pl-"));
        let (lists, peers) = futures::join!(self.prefix_lists(&lists), self.peers(&peers, clusters));
        Ok(References { lists, peers: peers? })
    }

    /// Looks up what the rules of a snapshot refer to and is not known yet.
    ///
    /// # Errors
    /// As [`Inventory::references`].
    pub async fn resolve(&self, snapshot: &mut GroupSnapshot) -> Result<(), CloudError> {
        let references = self.references(&snapshot.unresolved(), &snapshot.clusters).await?;
        self.settle(snapshot, &references);
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
        let chunks = ids.chunks(MAX_FILTER_VALUES).map(|ids| self.raw_of_peers(ids, clusters));
        for (raw, clusters) in try_join_all(chunks).await? {
            for group in &raw.groups {
                found.insert(
                    group.id.clone(),
                    self.membership(group, &raw.rules_of(&group.id), &raw, &clusters, &BTreeSet::new()),
                );
            }
        }
        Ok(found)
    }

    /// Peers with what is attached to them, and the clusters with those node groups that the peers name.
    async fn raw_of_peers(&self, ids: &[String], clusters: &[Cluster]) -> Result<(RawState, Vec<Cluster>), CloudError> {
        let raw = self.raw_of_ids(&Selector::Ids(ids.to_vec()), ids).await?;
        let known: Named = clusters.iter().map(names_of).collect();
        let mut named = names::named(&raw.groups, &raw.interfaces, &raw.instances);
        for (cluster, node_groups) in self.cache.index(ids) {
            named.entry(cluster).or_default().extend(node_groups);
        }
        named.retain(|cluster, _| known.contains_key(cluster));
        let clusters = self.more(clusters.to_vec(), &known, named).await?;
        Ok((raw, clusters))
    }
}
