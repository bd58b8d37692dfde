//! Clusters as a whole: the groups that EKS names for one, and what is attached to which groups in it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join;

use super::Inventory;
use crate::cluster::topology::{self, Candidate, Topology};
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, Instances, NodeGroups};
use crate::model::rule::Rule;

impl Inventory {
    /// The groups that EKS names for a cluster, of its node groups all or this one, as EKS says it now. Empty when there is no
    /// such cluster.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn groups_of(&self, cluster: &str, node_group: Option<&str>) -> Result<Vec<String>, CloudError> {
        let which = match node_group {
            Some(name) => NodeGroups::Named(BTreeSet::from([name.to_owned()])),
            None => NodeGroups::All,
        };
        self.index.forget_cluster(cluster);
        let (found, node_groups) = try_join(self.eks.cluster(cluster), self.eks.node_groups(cluster, &which)).await?;
        let Some(mut found) = found else { return Ok(Vec::new()) };
        found.node_groups = node_groups;
        self.index.learn_groups_of(&found);
        Ok(found.groups().into_iter().collect())
    }

    /// What EKS says of a cluster, without its node groups.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn cluster(&self, name: &str) -> Result<Option<Cluster>, CloudError> {
        match self.index.cluster(name, self.clock.now()) {
            Some((cluster, _)) => Ok(Some(cluster)),
            None => self.eks.cluster(name).await,
        }
    }

    /// What is attached to which groups in a cluster, with the rules as they are this moment. `None`: EKS does not know the
    /// cluster, or not its group yet.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn topology(&self, name: &str) -> Result<Option<Topology>, CloudError> {
        let Some((cluster, nodes)) = self.with_nodes(name).await? else { return Ok(None) };
        let groups: Vec<String> = topology::groups(&cluster, &nodes).into_iter().collect();
        let mut rules: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
        for (group, rule) in self.ec2.rules(&groups).await?.rules {
            rules.entry(group).or_default().push(rule);
        }
        let lists = rules.values().flatten().filter_map(|rule| rule.peer.prefix_list()).map(str::to_owned).collect();
        let lists = self.prefix_lists(&lists).await;
        Ok(Some(Topology::new(&cluster, &nodes, rules, lists)))
    }

    /// A cluster with its ranges and what looks like its nodes, or, without any node, with what its node groups plan. Kept
    /// for some minutes.
    async fn with_nodes(&self, name: &str) -> Result<Option<(Cluster, BTreeSet<Candidate>)>, CloudError> {
        let now = self.clock.now();
        if let Some(known) = self.index.cluster(name, now) {
            return Ok(Some(known).filter(|(cluster, _)| cluster.cluster_group.is_some()));
        }
        let (cluster, ranges) = try_join(self.eks.cluster(name), self.ec2.vpc_ranges()).await?;
        let Some(mut cluster) = cluster.filter(|known| known.cluster_group.is_some()) else { return Ok(None) };
        cluster.vpc_ranges = ranges.get(&cluster.vpc).cloned().unwrap_or_default();
        let instances = Instances::Nodes { cluster: cluster.name.clone(), vpc: cluster.vpc.clone() };
        let nodes = topology::candidates(&cluster, &self.ec2.instances(&instances).await?);
        if nodes.is_empty() {
            cluster.node_groups = self.eks.node_groups(name, &NodeGroups::All).await?;
        }
        self.index.keep_cluster(&cluster, nodes.clone(), now);
        Ok(Some((cluster, nodes)))
    }
}
