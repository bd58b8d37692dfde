//! The clusters that are asked for, by name: EKS is never asked for all of them but in a sweep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::{join, join_all};
use futures::stream::{self, StreamExt as _};

use super::raw::RawState;
use crate::cluster::names::{Named, Names};
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, NodeGroup, NodeGroups};
use crate::ports::Eks;

/// Clusters read at the same time.
const MAX_CONCURRENT_READS: usize = 8;

/// Node groups that are looked at for a group of a launch template, which nothing else connects with them.
const MAX_NODE_GROUPS: usize = 20;

/// What EKS said of the clusters that it was asked for.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    /// With the node groups that were asked for.
    asked: Named,
    found: BTreeMap<String, Cluster>,
    pub(super) unread: BTreeMap<String, CloudError>,
}

impl Clusters {
    /// Asks for those that were not asked for yet, each with these node groups.
    pub(super) async fn ask(&mut self, eks: &dyn Eks, named: &Named) {
        let missing = named.iter().filter_map(|(name, node_groups)| {
            let asked = self.asked.get(name);
            let node_groups: BTreeSet<String> =
                node_groups.iter().filter(|group| asked.is_none_or(|asked| !asked.contains(*group))).cloned().collect();
            (asked.is_none() || !node_groups.is_empty()).then(|| (name.clone(), asked.is_none(), node_groups))
        });
        let read = |(name, is_new, node_groups): (String, bool, BTreeSet<String>)| async move {
            let cluster = async { if is_new { eks.cluster(&name).await } else { Ok(None) } };
            let found = join(cluster, some_node_groups(eks, &name, &node_groups)).await;
            (name, node_groups, found)
        };
        let missing: Vec<_> = missing.map(read).collect();
        let answers: Vec<_> = stream::iter(missing).buffered(MAX_CONCURRENT_READS).collect().await;
        for (name, asked, (cluster, node_groups)) in answers {
            self.asked.entry(name.clone()).or_default().extend(asked);
            match cluster {
                Ok(cluster) => self.found.extend(cluster.map(|cluster| (name.clone(), cluster))),
                Err(error) => {
                    self.unread.insert(name.clone(), error);
                }
            }
            self.add(name, node_groups);
        }
    }

    /// Adds node groups to those that are known already.
    fn add(&mut self, name: String, node_groups: Result<Vec<NodeGroup>, CloudError>) {
        match (node_groups, self.found.get_mut(&name)) {
            (Ok(more), Some(cluster)) => {
                let known: BTreeSet<String> = cluster.node_groups.iter().map(|nodes| nodes.name.clone()).collect();
                cluster.node_groups.extend(more.into_iter().filter(|nodes| !known.contains(&nodes.name)));
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                self.unread.insert(name, error);
            }
        }
    }

    /// Asks for the first node groups of these, whatever they are called.
    pub(super) async fn ask_for_node_groups(&mut self, eks: &dyn Eks, of: BTreeSet<String>) {
        let which = NodeGroups::First(MAX_NODE_GROUPS);
        let read = |name: String| async { (eks.node_groups(&name, &which).await, name) };
        for (found, name) in join_all(of.into_iter().map(read)).await {
            self.add(name, found);
        }
    }

    /// All that exist. One that could not be read is there by its name alone: what EC2 proves counts without EKS.
    pub(super) fn known(&self, raw: &RawState) -> Arc<Vec<Cluster>> {
        let unread = self.unread.keys().filter(|name| !self.found.contains_key(*name)).map(|name| Cluster {
            name: name.clone(),
            vpc: vpc_of(name, raw),
            // It may be: then a group of EKS's own must not be touched.
            is_local: true,
            ..Cluster::default()
        });
        Arc::new(self.found.values().cloned().chain(unread).map(|cluster| raw.with_ranges(cluster)).collect())
    }
}

async fn some_node_groups(
    eks: &dyn Eks,
    cluster: &str,
    names: &BTreeSet<String>,
) -> Result<Vec<NodeGroup>, CloudError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    eks.node_groups(cluster, &NodeGroups::Named(names.clone())).await
}

/// Where a cluster is that only EC2 speaks of: where the attachment is that names it, else where the group is.
fn vpc_of(name: &str, raw: &RawState) -> String {
    let names_it = |interfaces: &[_], instances: &[_]| {
        let Names { by_aws, ordinary } = crate::cluster::names::names([], interfaces, instances);
        by_aws.contains(name) || ordinary.iter().any(|named| named == name)
    };
    let of_instance = raw.instances.iter().find(|instance| names_it(&[], std::slice::from_ref(*instance)));
    let of_interface = || raw.interfaces.iter().find(|interface| names_it(std::slice::from_ref(*interface), &[]));
    let attached = of_instance.map(|instance| &instance.vpc).or_else(|| of_interface().map(|interface| &interface.vpc));
    attached.or_else(|| raw.groups.first().map(|group| &group.vpc)).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    /// Node groups that can be read or not; `prod` has all that are asked for.
    struct Fake {
        node_groups_fail: bool,
    }

    #[async_trait]
    impl Eks for Fake {
        async fn names(&self) -> Result<Vec<String>, CloudError> {
            Ok(Vec::new())
        }
        async fn cluster(&self, name: &str) -> Result<Option<Cluster>, CloudError> {
            Ok((name == "prod").then(|| Cluster { name: name.to_owned(), ..Cluster::default() }))
        }
        async fn node_groups(&self, _: &str, which: &NodeGroups) -> Result<Vec<NodeGroup>, CloudError> {
            if self.node_groups_fail {
                let action = "eks:DescribeNodegroup".to_owned();
                return Err(CloudError::Failed { action, source: "throttled".into() });
            }
            let names = match which {
                NodeGroups::Named(names) => names.iter().cloned().collect(),
                NodeGroups::First(_) | NodeGroups::All => vec!["first".to_owned(), "last".to_owned()],
            };
            Ok(names.into_iter().map(|name| NodeGroup { name, ..NodeGroup::default() }).collect())
        }
    }

    fn named(node_groups: &[&str]) -> Named {
        let node_groups = node_groups.iter().map(|name| (*name).to_owned()).collect();
        [("prod".to_owned(), node_groups), ("gone".to_owned(), BTreeSet::new())].into()
    }

    fn node_groups(clusters: &Clusters) -> Vec<String> {
        let known = clusters.known(&RawState::default());
        known.iter().flat_map(|cluster| &cluster.node_groups).map(|nodes| nodes.name.clone()).collect()
    }

    #[tokio::test]
    async fn what_is_known_of_a_cluster_grows_and_nothing_of_it_is_replaced() {
        let mut clusters = Clusters::default();
        let eks = Fake { node_groups_fail: false };
        clusters.ask(&eks, &named(&["last"])).await;
        clusters.ask(&eks, &named(&["other"])).await;
        clusters.ask_for_node_groups(&eks, ["prod".to_owned()].into()).await;
        assert_eq!(node_groups(&clusters), ["last", "other", "first"]);
        assert!(clusters.unread.is_empty());
    }

    #[tokio::test]
    async fn a_cluster_counts_although_its_node_groups_cannot_be_read() {
        let mut clusters = Clusters::default();
        clusters.ask(&Fake { node_groups_fail: true }, &named(&["ng"])).await;
        assert_eq!(clusters.known(&RawState::default()).len(), 1);
        assert!(!clusters.known(&RawState::default())[0].is_local, "it was described");
        assert_eq!(clusters.unread.keys().collect::<Vec<_>>(), ["prod"], "and this is said");
    }
}
