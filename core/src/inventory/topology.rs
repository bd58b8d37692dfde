//! Clusters as a whole: the groups that EKS names for one, and what is attached to which groups in it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join;
use jiff::Timestamp;

use super::snapshot::ReadBack;
use super::{Inventory, MAX_LAST_LOOK_AGE};
use crate::cluster::topology::{self, Candidate, Of, Topology};
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, NodeGroups};
use crate::model::rule::Rule;

impl Inventory {
    /// The groups that EKS names for a cluster, of its node groups all or this one, as EKS says it now. Empty when there is
    /// no such cluster.
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

    /// What is attached to which groups in a cluster, some minutes ago at most, with the rules as they are this moment, as
    /// far as these interfaces hang on them. `fresh`: the rules of groups as they were read back, if that is just now once
    /// the rest is known. `None`: EKS does not know the cluster, or not its group yet.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn topology(
        &self,
        name: &str,
        of: &Of,
        fresh: BTreeMap<String, ReadBack>,
    ) -> Result<Option<Topology>, CloudError> {
        // Where nothing kept is concerned, what is may be younger.
        let is_concerned =
            |(cluster, nodes): &(Cluster, BTreeSet<Candidate>)| topology::is_concerned(cluster, nodes, of);
        let kept = self.index.cluster(name, self.clock.now()).filter(is_concerned);
        let known = match kept {
            Some(known) => Some(known),
            None => self.with_nodes(name).await?.map(|(cluster, nodes, _)| (cluster, nodes)),
        };
        self.with_rules(known, of, fresh).await
    }

    /// The same as of this moment, and of all nodes: what a revoke may rest on.
    ///
    /// # Errors
    /// As [`Inventory::topology`], and where the cluster has more nodes than are looked at.
    pub async fn whole_topology(&self, name: &str, of: &Of) -> Result<Option<Topology>, CloudError> {
        let known = match self.with_nodes(name).await? {
            Some((cluster, nodes, true)) => Some((cluster, nodes)),
            Some((.., false)) => {
                let action = "ec2:DescribeInstances".to_owned();
                return Err(CloudError::Failed { action, source: "it has more nodes than are looked at".into() });
            }
            None => None,
        };
        self.with_rules(known, of, BTreeMap::new()).await
    }

    async fn with_rules(
        &self,
        known: Option<(Cluster, BTreeSet<Candidate>)>,
        of: &Of,
        read_back: BTreeMap<String, ReadBack>,
    ) -> Result<Option<Topology>, CloudError> {
        let Some((cluster, nodes)) = known.filter(|(cluster, _)| cluster.cluster_group.is_some()) else {
            return Ok(None);
        };
        let groups = topology::groups(&cluster, &nodes, of);
        let now = self.clock.now();
        let is_fresh = |at: Timestamp| now.duration_since(at) < MAX_LAST_LOOK_AGE;
        let read_back = read_back.into_iter().filter(|(group, (at, _))| groups.contains(group) && is_fresh(*at));
        let mut rules: BTreeMap<String, Vec<Rule>> = read_back.map(|(group, (_, rules))| (group, rules)).collect();
        let unread: Vec<String> = groups.into_iter().filter(|group| !rules.contains_key(group)).collect();
        if !unread.is_empty() {
            for (group, rule) in self.ec2.rules(&unread).await?.rules {
                rules.entry(group).or_default().push(rule);
            }
        }
        let lists = rules.values().flatten().filter_map(|rule| rule.peer.prefix_list()).map(str::to_owned).collect();
        let lists = self.prefix_lists(&lists).await;
        let lists = lists.into_iter().map(|(id, (list, _))| (id, list)).collect();
        Ok(Some(Topology::new(&cluster, &nodes, rules, lists, of.clone())))
    }

    /// A cluster with its ranges and what looks like its nodes, and whether these are all; without any node, with what its
    /// node groups plan.
    async fn with_nodes(&self, name: &str) -> Result<Option<(Cluster, BTreeSet<Candidate>, bool)>, CloudError> {
        let now = self.clock.now();
        let (cluster, ranges) = try_join(self.eks.cluster(name), self.ec2.vpc_ranges()).await?;
        let Some(mut cluster) = cluster.filter(|known| known.cluster_group.is_some()) else { return Ok(None) };
        cluster.vpc_ranges = ranges.get(&cluster.vpc).cloned().unwrap_or_default();
        let (instances, is_all) = self.ec2.nodes(&cluster.name, &cluster.vpc).await?;
        let nodes = topology::candidates(&cluster, &instances);
        if nodes.is_empty() {
            cluster.node_groups = self.eks.node_groups(name, &NodeGroups::All).await?;
        }
        self.index.keep_cluster(&cluster, nodes.clone(), now);
        Ok(Some((cluster, nodes, is_all)))
    }
}
