//! What is known of clusters and nodes for some minutes in a warm function. The judged group itself is never kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::cluster::topology::Candidate;
use crate::model::facts::Cluster;

/// How long knowledge about clusters stays good.
pub(super) const CACHE_TTL: SignedDuration = SignedDuration::from_mins(5);

/// Each piece with the time of its read.
#[derive(Default)]
pub(super) struct Cache {
    clusters: Mutex<Option<(Timestamp, Arc<Vec<Cluster>>)>>,
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

    /// What looks like a node of the cluster.
    pub(super) fn nodes(&self, cluster: &str, now: Timestamp) -> Option<BTreeSet<Candidate>> {
        let (at, nodes) = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(cluster).cloned()?;
        (now.duration_since(at) < CACHE_TTL).then_some(nodes)
    }

    pub(super) fn keep_nodes(&self, cluster: &str, nodes: BTreeSet<Candidate>, now: Timestamp) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).insert(cluster.to_owned(), (now, nodes));
    }
}
