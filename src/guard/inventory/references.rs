//! What rules refer to: other groups and prefix lists, read in the invocation that judges them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};

use super::{GroupSnapshot, Inventory};
use crate::cluster::membership::Membership;
use crate::model::error::{CloudError, chain};
use crate::model::group::{AwsList, Group, PeerGroup, PrefixList};

/// Values that EC2 takes in one filter.
const MAX_FILTER_VALUES: usize = 200;

/// What rules refer to, as far as it was looked up.
#[derive(Default)]
pub struct References {
    lists: BTreeMap<String, PrefixList>,
    peers: BTreeMap<String, Peer>,
}

/// Another group: what it is to which cluster, and whether EC2 shows it attached to nothing.
#[derive(Default)]
struct Peer {
    membership: Membership,
    is_unattached: bool,
}

impl References {
    /// Makes the rules judgeable that refer to these.
    pub fn resolve(&self, snapshot: &mut GroupSnapshot) {
        snapshot.resolved.extend(self.lists.keys().chain(self.peers.keys()).cloned());
        let GroupSnapshot { group, .. } = snapshot;
        group.prefix_lists.extend(self.lists.clone());
        let Group { clusters, peers, .. } = group;
        peers.extend(self.peers.iter().map(|(id, Peer { membership, is_unattached })| {
            let roles = membership.strong_roles();
            let same_cluster = !roles.is_empty() && !membership.clusters.is_disjoint(clusters);
            (id.clone(), PeerGroup { same_cluster, roles, is_unattached: *is_unattached })
        }));
    }
}

impl Inventory {
    /// Looks up these groups (`sg-…`) and prefix lists (`pl-…`).
    ///
    /// # Errors
    /// A read that failed after the SDK's retries. A list that cannot be read is no error but an unreadable list.
    pub async fn references(&self, ids: &BTreeSet<String>) -> Result<References, CloudError> {
        let (lists, peers) = ids.iter().cloned().partition(|id| id.starts_with("pl-"));
        let (lists, peers) = futures::join!(self.prefix_lists(&lists), self.peers(&peers));
        Ok(References { lists, peers: peers? })
    }

    /// Looks up what the rules of a group refer to, without reading the rules: for rules that an event only claims.
    ///
    /// # Errors
    /// As [`Inventory::references`].
    pub async fn resolve(&self, group: Group) -> Result<Group, CloudError> {
        let mut snapshot = GroupSnapshot::new(group, self.clock.now());
        self.references(&snapshot.unresolved()).await?.resolve(&mut snapshot);
        Ok(snapshot.group)
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

    /// What other groups are now. One that does not exist here (another account's, or gone) is nobody's.
    async fn peers(&self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Peer>, CloudError> {
        let mut found: BTreeMap<String, Peer> = ids.iter().map(|id| (id.clone(), Peer::default())).collect();
        let ids: Vec<String> = ids.iter().cloned().collect();
        let chunks = ids.chunks(MAX_FILTER_VALUES).map(|ids| self.raw_and_clusters(ids));
        for (raw, clusters) in try_join_all(chunks).await? {
            for group in &raw.groups {
                let membership = self.membership(group, &raw.rules_of(&group.id), &raw, &clusters);
                let is_unattached = raw.is_unattached(&group.id);
                found.insert(group.id.clone(), Peer { membership, is_unattached });
            }
        }
        Ok(found)
    }
}
