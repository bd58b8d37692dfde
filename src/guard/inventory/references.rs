//! What the rules of a group refer to: VPC ranges, prefix lists, other groups.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join, try_join_all};
use jiff::Timestamp;

use super::cache::CACHE_TTL;
use super::raw::RawState;
use super::{GroupSnapshot, Inventory};
use crate::cluster::membership::Membership;
use crate::model::error::{CloudError, chain};
use crate::model::facts::{Cluster, Selector};
use crate::model::group::{AwsList, Group, PeerGroup, PrefixList};
use crate::model::region::Addresses;
use crate::model::rule::{Peer, Rule};

/// Values that EC2 takes in one filter.
const MAX_FILTER_VALUES: usize = 200;
/// Rules may come to refer to something new while we read what they referred to; at some point we go on.
const MAX_ROUNDS: usize = 3;

impl Inventory {
    /// Adds what the rules refer to: VPC ranges, prefix lists, peers. Whenever something has to be awaited for that, the
    /// rules are read again beside it, so that the answer is as fresh as its rules are: a prefix list costs one round trip
    /// and not two.
    pub(super) async fn complete(
        &self,
        mut raw: RawState,
        clusters: &[Cluster],
        mut read_at: Timestamp,
        mut waited: bool,
    ) -> Result<Vec<GroupSnapshot>, CloudError> {
        let mut known = References::default();
        let mut groups = self.groups(&raw, clusters);
        for _ in 0..MAX_ROUNDS {
            let missing = self.missing(&groups, clusters, &mut known);
            if missing.is_empty() && !waited {
                break;
            }
            waited = false;
            let ids: Vec<String> =
                groups.iter().filter(|group| !group.roles.is_empty()).map(|group| group.id.clone()).collect();
            read_at = self.clock.now();
            let (rules, fetched) = try_join(self.ec2.rules(&ids), self.fetch(&missing, clusters)).await?;
            known.add(fetched);
            raw.rules = rules;
            groups = self.groups(&raw, clusters);
        }
        let is_last_look = !waited && self.missing(&groups, clusters, &mut known).is_empty();
        for group in groups.iter_mut().filter(|group| !group.roles.is_empty()) {
            known.complete(group, clusters);
        }
        Ok(groups.into_iter().map(|group| GroupSnapshot { group, read_at, is_last_look }).collect())
    }

    /// Fills in what the rules of a group refer to, without reading the rules: for rules that an event only claims.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn resolve(&self, group: &mut Group) -> Result<(), CloudError> {
        let clusters = self.clusters(CACHE_TTL).await?;
        let mut known = References::default();
        let missing = self.missing(std::slice::from_ref(group), &clusters, &mut known);
        known.add(self.fetch(&missing, &clusters).await?);
        known.complete(group, &clusters);
        Ok(())
    }

    async fn fetch(&self, missing: &Missing, clusters: &[Cluster]) -> Result<References, CloudError> {
        let (ranges, lists, peers) = futures::join!(
            self.vpc_ranges(&missing.vpcs),
            self.prefix_lists(&missing.lists),
            self.peers(&missing.peers, clusters),
        );
        Ok(References { ranges: ranges?, lists, peers: peers? })
    }

    /// What the rules of groups in scope refer to and is not known yet. Peers still in memory become known.
    fn missing(&self, groups: &[Group], clusters: &[Cluster], known: &mut References) -> Missing {
        let in_scope = || groups.iter().filter(|group| !group.roles.is_empty());
        let is_ours = |vpc: &String| clusters.iter().any(|cluster| cluster.vpc == *vpc);
        let vpcs = in_scope()
            .map(|group| group.vpc.clone())
            .filter(|vpc| !is_ours(vpc) && !known.ranges.contains_key(vpc))
            .collect();
        let lists = in_scope().flat_map(lists_of).filter(|id| !known.lists.contains_key(id)).collect();
        let named: BTreeSet<String> = in_scope().flat_map(peers_of).collect();
        for (id, membership) in self.cache.peers(&named, self.clock.now()) {
            known.peers.entry(id).or_insert(membership);
        }
        let peers = named.into_iter().filter(|id| !known.peers.contains_key(id)).collect();
        Missing { vpcs, lists, peers }
    }

    async fn vpc_ranges(&self, vpcs: &BTreeSet<String>) -> Result<BTreeMap<String, Addresses>, CloudError> {
        if vpcs.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut ranges = self.ec2.vpc_ranges(&vpcs.iter().cloned().collect::<Vec<_>>()).await?;
        // A VPC without an answer is not asked for again.
        for vpc in vpcs {
            ranges.entry(vpc.clone()).or_default();
        }
        Ok(ranges)
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
                    PrefixList::Unreadable { why, may_pass: matches!(error, CloudError::Failed { .. }) }
                }
            };
            (id, list)
        };
        join_all(ids.iter().cloned().map(read)).await.into_iter().collect()
    }

    /// What other groups are; remembered for a while.
    async fn peers(
        &self,
        ids: &BTreeSet<String>,
        clusters: &[Cluster],
    ) -> Result<BTreeMap<String, Membership>, CloudError> {
        let now = self.clock.now();
        // A peer that does not exist here (another account's, or gone) is remembered as nobody's.
        let mut found: BTreeMap<String, Membership> =
            ids.iter().map(|id| (id.clone(), Membership::default())).collect();
        let missing: Vec<&String> = ids.iter().collect();
        let chunks = missing.chunks(MAX_FILTER_VALUES).map(|ids| async move {
            let ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
            self.raw_of_ids(&Selector::Ids(ids.clone()), &ids).await
        });
        for raw in try_join_all(chunks).await? {
            for group in &raw.groups {
                found.insert(group.id.clone(), self.membership(group, &raw.rules_of(&group.id), &raw, clusters));
            }
        }
        self.cache.keep_peers(&found, now);
        Ok(found)
    }
}

/// What rules refer to, as far as it was read.
#[derive(Default)]
struct References {
    ranges: BTreeMap<String, Addresses>,
    lists: BTreeMap<String, PrefixList>,
    peers: BTreeMap<String, Membership>,
}

/// What rules refer to and was not read.
struct Missing {
    vpcs: BTreeSet<String>,
    lists: BTreeSet<String>,
    peers: BTreeSet<String>,
}

impl Missing {
    fn is_empty(&self) -> bool {
        self.vpcs.is_empty() && self.lists.is_empty() && self.peers.is_empty()
    }
}

impl References {
    fn add(&mut self, more: Self) {
        self.ranges.extend(more.ranges);
        self.lists.extend(more.lists);
        self.peers.extend(more.peers);
    }

    fn complete(&self, group: &mut Group, clusters: &[Cluster]) {
        let of_cluster = clusters.iter().find(|cluster| cluster.vpc == group.vpc).map(|cluster| &cluster.vpc_ranges);
        group.vpc_ranges = of_cluster.or_else(|| self.ranges.get(&group.vpc)).cloned().unwrap_or_default();
        group.prefix_lists =
            lists_of(group).filter_map(|id| Some((id.clone(), self.lists.get(&id)?.clone()))).collect();
        let peer = |id: String| {
            let peer = self.peers.get(&id)?;
            let is_strong = peer.roles.iter().any(|known| known.strong);
            let same_cluster = is_strong && !peer.clusters.is_disjoint(&group.clusters);
            Some((id, PeerGroup { same_cluster, roles: peer.strong_roles() }))
        };
        group.peers = peers_of(group).into_iter().filter_map(peer).collect();
    }
}

fn lists_of(group: &Group) -> impl Iterator<Item = String> + '_ {
    group.rules.iter().filter_map(|rule| rule.peer.prefix_list()).map(str::to_owned)
}

fn peers_of(group: &Group) -> Vec<String> {
    let other = |rule: &Rule| match &rule.peer {
        Peer::Group { id, .. } if *id != group.id => Some(id.clone()),
        _ => None,
    };
    group.rules.iter().filter_map(other).collect()
}
