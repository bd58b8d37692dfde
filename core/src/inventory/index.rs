//! What a warm function knows of names: which cluster and node group to ask EKS for, and which neighbours to look at, when a
//! group is judged. Names save a wave and decide nothing: what EC2 and EKS say of them is read each time. Beside them what
//! was learnt of a cluster some minutes ago, for what it needs.
//!
//! Must not: read anything.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::cluster::names::Named;
use crate::cluster::topology::Candidate;
use crate::model::facts::Cluster;

/// How long what is known of a cluster counts, for what it needs.
const CLUSTER_TTL: SignedDuration = SignedDuration::from_mins(5);
/// Entries of each kind that are kept at most; beyond, the index starts anew.
const MAX_ENTRIES: usize = 20_000;

/// What to ask for beside a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Hint {
    /// What EKS is asked for.
    pub(super) named: Named,
    /// What EKS is asked for besides where no node shows it any more: launch templates take two round trips.
    pub(super) planned: Named,
    /// Groups that connect it with its cluster.
    pub(super) neighbours: BTreeSet<String>,
}

/// A cluster with what looks like its nodes.
type Kept = (Timestamp, Cluster, BTreeSet<Candidate>);

/// Hints of one location.
#[derive(Default)]
pub(super) struct Index {
    groups: Mutex<HashMap<String, Hint>>,
    clusters: Mutex<HashMap<String, Kept>>,
}

impl Index {
    /// What is known of all these groups together.
    pub(super) fn hint(&self, groups: &[String]) -> Hint {
        let known = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Hint::default();
        for hint in groups.iter().filter_map(|group| known.get(group)) {
            add(&mut all.named, &hint.named);
            add(&mut all.planned, &hint.planned);
            all.neighbours.extend(hint.neighbours.iter().cloned());
        }
        all
    }

    /// What was found when a group was read, in place of what was known. Unless everything was read (`is_whole`), what is
    /// planned stays, since nobody asked for it.
    pub(super) fn learn(&self, group: &str, mut hint: Hint, is_whole: bool) {
        let mut known = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = known.get(group).filter(|_| !is_whole) {
            let is_of = |(cluster, _): &(&String, &BTreeSet<String>)| hint.named.contains_key(*cluster);
            let planned: Named = before.planned.iter().filter(is_of).map(|(k, v)| (k.clone(), v.clone())).collect();
            add(&mut hint.planned, &planned);
        }
        room(&mut known).insert(group.to_owned(), hint);
    }

    /// Adds every group that EKS names for a cluster. Nothing else names those of launch templates without nodes.
    pub(super) fn learn_groups_of(&self, cluster: &Cluster) {
        let mut known = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let mut learn = |group: &String, node_group: Option<&String>| {
            let named = Named::from([(cluster.name.clone(), node_group.into_iter().cloned().collect())]);
            add(&mut room(&mut known).entry(group.clone()).or_default().named, &named);
        };
        for nodes in &cluster.node_groups {
            for group in nodes.template_groups.iter().chain(&nodes.remote_access_group) {
                learn(group, Some(&nodes.name));
            }
        }
        for group in cluster.cluster_group.iter().chain(&cluster.control_plane_groups) {
            learn(group, None);
        }
    }

    /// A cluster with its node groups and what looks like its nodes, as it was read some minutes ago at most.
    pub(super) fn cluster(&self, name: &str, now: Timestamp) -> Option<(Cluster, BTreeSet<Candidate>)> {
        let known = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, cluster, nodes) = known.get(name).cloned()?;
        (now.duration_since(at) < CLUSTER_TTL).then_some((cluster, nodes))
    }

    pub(super) fn keep_cluster(&self, cluster: &Cluster, nodes: BTreeSet<Candidate>, now: Timestamp) {
        let mut known = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        room(&mut known).insert(cluster.name.clone(), (now, cluster.clone(), nodes));
    }

    /// Its configuration changed.
    pub(super) fn forget_cluster(&self, name: &str) {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

fn add(all: &mut Named, more: &Named) {
    for (cluster, node_groups) in more {
        all.entry(cluster.clone()).or_default().extend(node_groups.iter().cloned());
    }
}

/// The map, empty if it has become too large.
fn room<T>(map: &mut HashMap<String, T>) -> &mut HashMap<String, T> {
    if map.len() >= MAX_ENTRIES {
        map.clear();
    }
    map
}
