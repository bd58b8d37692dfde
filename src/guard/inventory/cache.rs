//! What a warm function knows of names: which cluster and node group to ask EKS for when a group is judged, and what
//! looked like a node some minutes ago. Names save a wave and decide nothing: what EKS says of them is read each time.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::cluster::names::Named;
use crate::cluster::topology::Candidate;
use crate::model::facts::Cluster;

/// How long what looked like a node counts, for what a cluster needs.
const NODES_TTL: SignedDuration = SignedDuration::from_mins(5);
/// Groups with names kept at most; beyond, the cache starts anew.
const MAX_GROUPS: usize = 20_000;

/// Hints of one location.
#[derive(Default)]
pub(super) struct Cache {
    /// By group: what it was found to be of when it was read.
    names: Mutex<HashMap<String, Named>>,
    /// By group: the clusters and node groups that name it.
    index: Mutex<HashMap<String, Named>>,
    /// Whether the node groups of every cluster were read, or are too many to be read for one group.
    is_filled: AtomicBool,
    /// By cluster, with the time of the read.
    nodes: Mutex<HashMap<String, (Timestamp, BTreeSet<Candidate>)>>,
}

impl Cache {
    /// Whether what nothing names is in here already, as far as a process may look for it.
    pub(super) fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::Relaxed)
    }

    pub(super) fn set_filled(&self) {
        self.is_filled.store(true, Ordering::Relaxed);
    }

    /// What these groups were found to be of.
    pub(super) fn names(&self, groups: &[String]) -> Named {
        of_groups(&self.names, groups)
    }

    /// Who names these groups: asked where nothing that is attached to one proves whose it is.
    pub(super) fn index(&self, groups: &[String]) -> Named {
        of_groups(&self.index, groups)
    }

    /// A group is of these clusters.
    pub(super) fn keep_names(&self, group: &str, named: Named) {
        keep(&self.names, group, named);
    }

    /// Every group that EKS names for a cluster, those of launch templates without any node among them: nothing else names
    /// these.
    pub(super) fn keep_groups_of(&self, cluster: &Cluster) {
        for nodes in &cluster.node_groups {
            for group in nodes.template_groups.iter().chain(&nodes.remote_access_group) {
                keep(&self.index, group, [(cluster.name.clone(), [nodes.name.clone()].into())].into());
            }
        }
        for group in cluster.cluster_group.iter().chain(&cluster.control_plane_groups) {
            keep(&self.index, group, [(cluster.name.clone(), BTreeSet::new())].into());
        }
    }

    /// What looks like a node of the cluster.
    pub(super) fn nodes(&self, cluster: &str, now: Timestamp) -> Option<BTreeSet<Candidate>> {
        let (at, nodes) = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(cluster).cloned()?;
        (now.duration_since(at) < NODES_TTL).then_some(nodes)
    }

    pub(super) fn keep_nodes(&self, cluster: &str, nodes: BTreeSet<Candidate>, now: Timestamp) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).insert(cluster.to_owned(), (now, nodes));
    }
}

fn of_groups(map: &Mutex<HashMap<String, Named>>, groups: &[String]) -> Named {
    let known = map.lock().unwrap_or_else(PoisonError::into_inner);
    let mut named = Named::new();
    for (cluster, node_groups) in groups.iter().filter_map(|group| known.get(group)).flatten() {
        named.entry(cluster.clone()).or_default().extend(node_groups.iter().cloned());
    }
    named
}

fn keep(map: &Mutex<HashMap<String, Named>>, group: &str, named: Named) {
    let mut known = map.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= MAX_GROUPS {
        known.clear();
    }
    known.insert(group.to_owned(), named);
}
