//! What is known of clusters, peers and nodes for some minutes in a warm function. The judged group itself is never kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::cluster::membership::Membership;
use crate::cluster::topology::Candidate;
use crate::model::facts::Cluster;

/// How long knowledge about clusters and peers stays good.
pub(super) const CACHE_TTL: SignedDuration = SignedDuration::from_mins(5);
/// Peers kept at most; beyond, the cache starts anew.
const MAX_PEERS: usize = 10_000;

/// Each piece with the time of its read.
#[derive(Default)]
pub(super) struct Cache {
    clusters: Mutex<Option<(Timestamp, Arc<Vec<Cluster>>)>>,
    peers: Mutex<HashMap<String, (Timestamp, Membership)>>,
    /// By cluster.
    nodes: Mutex<HashMap<String, (Timestamp, BTreeSet<Candidate>)>>,
}

impl Cache {
    /// What EKS said, unless that is older than `age`.
    pub(super) fn clusters(&self, age: SignedDuration, now: Timestamp) -> Option<Arc<Vec<Cluster>>> {
        let (at, clusters) = self.clusters.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        (now.duration_since(at) < age).then_some(clusters)
    }

    pub(super) fn keep_clusters(&self, clusters: &Arc<Vec<Cluster>>, now: Timestamp) {
        *self.clusters.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(clusters)));
    }

    /// What is known of these peers.
    pub(super) fn peers<'p>(
        &self,
        ids: impl IntoIterator<Item = &'p String>,
        now: Timestamp,
    ) -> BTreeMap<String, Membership> {
        let known = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |id: &String| {
            let (at, membership) = known.get(id)?;
            (now.duration_since(*at) < CACHE_TTL).then(|| (id.clone(), membership.clone()))
        };
        ids.into_iter().filter_map(fresh).collect()
    }

    pub(super) fn keep_peers(&self, found: &BTreeMap<String, Membership>, now: Timestamp) {
        let mut known = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + found.len() > MAX_PEERS {
            known.clear();
        }
        known.extend(found.iter().map(|(id, membership)| (id.clone(), (now, membership.clone()))));
    }

    /// What looks like a node of the cluster.
    pub(super) fn nodes(&self, cluster: &str, now: Timestamp) -> Option<BTreeSet<Candidate>> {
        let (at, nodes) = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(cluster).cloned()?;
        (now.duration_since(at) < CACHE_TTL).then_some(nodes)
    }

    pub(super) fn keep_nodes(&self, cluster: &str, nodes: BTreeSet<Candidate>, now: Timestamp) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).insert(cluster.to_owned(), (now, nodes));
    }
}
