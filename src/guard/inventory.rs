//! Reads what is open now: groups, rules by id, attachments, the clusters they name, prefix lists. Everything that can be read
//! at once is read at once, in each invocation anew; only names are kept, as hints (`cache`).
//!
//! Must not: change anything or judge. It is longer than most files because all reads of a group, and their waves, stand here.

mod cache;
mod raw;
mod references;
mod snapshot;

pub use snapshot::GroupSnapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::cluster::membership::{Facts, Membership, Rank, membership};
use crate::cluster::names::{self, Named};
use crate::cluster::topology::{self, Candidate, Topology};
use crate::guard::inventory::cache::Cache;
use crate::guard::inventory::raw::{RawState, is_of, names_of};
use crate::guard::setup::Ports;
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, GroupFacts, NodeGroup, NodeGroups, Selector};
use crate::model::group::{ConfiguredGroup, Group};
use crate::model::region::Addresses;
use crate::model::rule::Rule;
use crate::ports::{Clock, Ec2, Eks};

/// Clusters whose node groups are all read for a group that nothing names.
const MAX_CLUSTERS_INDEXED: usize = 3;
/// Clusters read at the same time.
const MAX_CLUSTER_READS: usize = 8;

/// The reader, with its cache of names.
pub struct Inventory {
    ec2: Arc<dyn Ec2>,
    eks: Arc<dyn Eks>,
    clock: Arc<dyn Clock>,
    account: String,
    configured: Vec<ConfiguredGroup>,
    cache: Cache,
}

impl Inventory {
    /// A reader for the clusters of one account and region.
    pub fn new(ports: &Ports, account: String, configured: Vec<ConfiguredGroup>) -> Self {
        let (ec2, eks, clock) = (Arc::clone(&ports.ec2), Arc::clone(&ports.eks), Arc::clone(&ports.clock));
        Self { ec2, eks, clock, account, configured, cache: Cache::default() }
    }

    /// These groups. Ids that do not exist are missing from the answer.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn read(&self, ids: &[String]) -> Result<Vec<GroupSnapshot>, CloudError> {
        let (raw, clusters) = self.raw_and_clusters(ids).await?;
        Ok(self.snapshots(&raw, &clusters))
    }

    /// These groups, which were put on an interface or instance, each with whether it is the first EKS interface that the
    /// group is on. `None` while EC2 does not show it there yet.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn read_attached(
        &self,
        ids: &[String],
        attachment: &str,
    ) -> Result<Option<Vec<(GroupSnapshot, bool)>>, CloudError> {
        let (raw, clusters) = self.raw_and_clusters(ids).await?;
        if !raw.interfaces.iter().any(|interface| is_of(interface, attachment)) {
            return Ok(None);
        }
        let before = raw.without(attachment);
        let roles = |group: &GroupFacts, raw: &RawState| {
            self.membership(group, &raw.rules_of(&group.id), raw, &clusters, &BTreeSet::new()).strong_roles()
        };
        let had_none = |group: &&GroupFacts| roles(group, &before).is_empty();
        let new: BTreeSet<String> = raw.groups.iter().filter(had_none).map(|group| group.id.clone()).collect();
        let snapshots = self.snapshots(&raw, &clusters);
        let is_first = |snapshot: &GroupSnapshot| new.contains(&snapshot.group.id) && snapshot.group.is_strong();
        Ok(Some(snapshots.into_iter().map(|snapshot| (snapshot.clone(), is_first(&snapshot))).collect()))
    }

    /// The groups that EKS names for a cluster, as EKS says it now. Empty when there is no such cluster.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn groups_of(&self, cluster: &str) -> Result<Vec<String>, CloudError> {
        let cluster = self.eks.cluster(cluster, &NodeGroups::All).await?;
        if let Some(cluster) = &cluster {
            self.cache.keep_groups_of(cluster);
        }
        Ok(cluster.as_ref().map(Cluster::groups).unwrap_or_default().into_iter().collect())
    }

    /// What EKS says of a cluster, without its node groups.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn cluster(&self, name: &str) -> Result<Option<Cluster>, CloudError> {
        self.eks.cluster(name, &NodeGroups::Named(BTreeSet::new())).await
    }

    /// The groups with what is attached to them, and the clusters that they name. Clusters named before are asked for beside
    /// EC2, so that a warm function has all in one wave.
    async fn raw_and_clusters(&self, ids: &[String]) -> Result<(Arc<RawState>, Arc<Vec<Cluster>>), CloudError> {
        let mut hints = self.cache.names(ids);
        for entry in self.configured.iter().filter(|entry| ids.contains(&entry.id)) {
            hints.entry(entry.cluster.clone()).or_default();
        }
        let (raw, known) = try_join(self.raw_of_ids(&Selector::Ids(ids.to_vec()), ids), self.named(&hints)).await?;
        let named = names::named(&raw.groups, &raw.interfaces, &raw.instances);
        let mut clusters = self.more(known, &hints, named).await?;
        let membership_in = |group: &GroupFacts, clusters: &[Cluster]| {
            self.membership(group, &raw.rules_of(&group.id), &raw, clusters, &BTreeSet::new())
        };
        let is_unproven = |group: &GroupFacts, clusters: &[Cluster]| membership_in(group, clusters).rank < Rank::Proven;
        if raw.groups.iter().any(|group| is_unproven(group, &clusters)) {
            let known: Named = clusters.iter().map(names_of).collect();
            let mut named = names::node_groups(&raw.instances, known.keys().cloned());
            for (cluster, node_groups) in self.cache.index(ids) {
                named.entry(cluster).or_default().extend(node_groups);
            }
            clusters = self.more(clusters, &known, named).await?;
        }
        if raw.groups.iter().any(|group| membership_in(group, &clusters).rank == Rank::Claimed)
            && self.fill_index().await?
        {
            let known: Named = clusters.iter().map(names_of).collect();
            clusters = self.more(clusters, &known, self.cache.index(ids)).await?;
        }
        for group in &raw.groups {
            let found = membership_in(group, &clusters).clusters;
            let of_found = clusters.iter().filter(|cluster| found.contains(&cluster.name));
            let names_group = |nodes: &&NodeGroup| {
                nodes.template_groups.contains(&group.id) || nodes.remote_access_group.as_ref() == Some(&group.id)
            };
            let names = of_found.map(|cluster| {
                let node_groups = cluster.node_groups.iter().filter(names_group).map(|nodes| nodes.name.clone());
                (cluster.name.clone(), node_groups.collect())
            });
            self.cache.keep_names(&group.id, names.collect());
        }
        Ok((Arc::new(raw), Arc::new(clusters)))
    }

    /// Groups of launch templates without any node are named by nothing but their node groups. In an account of few clusters
    /// these are read once by a process, at the end of its first invocation or for the first group that needs it; in a large
    /// one the next sweep or cluster event says it. Gives whether there is more to know than before.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn fill_index(&self) -> Result<bool, CloudError> {
        if self.cache.is_filled() {
            return Ok(false);
        }
        let names = self.eks.names(MAX_CLUSTERS_INDEXED).await?;
        for name in names.iter().flatten() {
            self.groups_of(name).await?;
        }
        self.cache.set_filled();
        Ok(names.is_some())
    }

    /// These clusters with these node groups. One that does not exist is left out.
    async fn named(&self, names: &Named) -> Result<Vec<Cluster>, CloudError> {
        let read = |(name, node_groups): (&String, &BTreeSet<String>)| {
            let (name, node_groups) = (name.clone(), NodeGroups::Named(node_groups.clone()));
            async move { self.eks.cluster(&name, &node_groups).await }
        };
        let reads: Vec<_> = names.iter().map(read).collect();
        let found: Vec<Option<Cluster>> = stream::iter(reads).buffered(MAX_CLUSTER_READS).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The clusters that are known with those that are named besides; asks for nothing that was `asked` for.
    async fn more(&self, mut known: Vec<Cluster>, asked: &Named, named: Named) -> Result<Vec<Cluster>, CloudError> {
        let is_new = |(cluster, node_groups): &(String, BTreeSet<String>)| {
            asked.get(cluster).is_none_or(|asked| !node_groups.is_subset(asked))
        };
        let mut missing: Named = named.into_iter().filter(is_new).collect();
        for (cluster, node_groups) in &mut missing {
            node_groups.extend(asked.get(cluster).into_iter().flatten().cloned());
        }
        let found = self.named(&missing).await?;
        known.retain(|cluster| !missing.contains_key(&cluster.name));
        known.extend(found);
        Ok(known)
    }

    /// Every group with a role in some cluster.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn read_all(&self) -> Result<Vec<GroupSnapshot>, CloudError> {
        let clusters = Arc::new(self.eks.clusters().await?);
        for cluster in clusters.iter() {
            self.cache.keep_groups_of(cluster);
        }
        let vpcs: BTreeSet<String> = clusters.iter().map(|cluster| cluster.vpc.clone()).collect();
        if vpcs.is_empty() {
            return Ok(Vec::new());
        }
        let selector = Selector::Vpcs(vpcs.into_iter().collect());
        let (groups, interfaces, instances, ranges) = futures::try_join!(
            self.ec2.groups(&selector),
            self.ec2.interfaces(&selector),
            self.ec2.instances(&selector),
            self.ec2.vpc_ranges(),
        )?;
        for cluster in clusters.iter() {
            self.cache.keep_nodes(&cluster.name, topology::candidates(cluster, &instances), self.clock.now());
        }
        let ids: Vec<String> = groups.iter().map(|group| group.id.clone()).collect();
        let rules = self.ec2.rules(&ids).await?;
        let raw = Arc::new(RawState { groups, rules, rules_at: self.clock.now(), interfaces, instances, ranges });
        let mut snapshots = self.snapshots(&raw, &clusters);
        snapshots.retain(|snapshot| !snapshot.group.roles.is_empty());
        // Most groups refer to the same lists and groups, so all are looked up at once.
        let unresolved = snapshots.iter().flat_map(GroupSnapshot::unresolved).collect();
        let references = self.references(&unresolved, &clusters).await?;
        for snapshot in &mut snapshots {
            self.settle(snapshot, &references);
        }
        Ok(snapshots)
    }

    /// The rules of one group as they are this moment, and nothing else.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn rules(&self, group: &str) -> Result<Vec<Rule>, CloudError> {
        let rules = self.ec2.rules(&[group.to_owned()]).await?;
        Ok(rules.into_iter().map(|(_, rule)| rule).collect())
    }

    /// Reads a group again; what was looked up in this invocation stays. One that is gone has no rules.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn read_again(&self, snapshot: &mut GroupSnapshot) -> Result<(), CloudError> {
        if let Some(again) = self.read(std::slice::from_ref(&snapshot.group.id)).await?.into_iter().next() {
            snapshot.group = Group {
                peers: std::mem::take(&mut snapshot.group.peers),
                prefix_lists: std::mem::take(&mut snapshot.group.prefix_lists),
                ..again.group
            };
            (snapshot.rules_at, snapshot.raw, snapshot.clusters) = (again.rules_at, again.raw, again.clusters);
        } else {
            snapshot.group.rules.clear();
            snapshot.rules_at = self.clock.now();
        }
        Ok(())
    }

    /// Looks at the rules alone once more.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn look_again(&self, snapshot: &mut GroupSnapshot) -> Result<(), CloudError> {
        snapshot.group.rules = self.rules(&snapshot.group.id).await?;
        snapshot.rules_at = self.clock.now();
        Ok(())
    }

    /// What is attached to which groups in a cluster, with the rules as they are this moment. `None`: EKS does not know
    /// the cluster, or not its group yet.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn topology(&self, cluster: &str) -> Result<Option<Topology>, CloudError> {
        let (cluster, ranges) = try_join(self.eks.cluster(cluster, &NodeGroups::All), self.ec2.vpc_ranges()).await?;
        let Some(mut cluster) = cluster.filter(|known| known.cluster_group.is_some()) else { return Ok(None) };
        cluster.vpc_ranges = ranges.get(&cluster.vpc).cloned().unwrap_or_default();
        let cluster = &cluster;
        let nodes = self.nodes(cluster).await?;
        let groups: Vec<String> = topology::groups(cluster, &nodes).into_iter().collect();
        let mut rules: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
        for (group, rule) in self.ec2.rules(&groups).await? {
            rules.entry(group).or_default().push(rule);
        }
        let lists = rules.values().flatten().filter_map(|rule| rule.peer.prefix_list()).map(str::to_owned).collect();
        let lists = self.prefix_lists(&lists).await;
        Ok(Some(Topology::new(cluster, &nodes, rules, lists)))
    }

    /// What looks like a node of the cluster, kept as long as what is known about clusters: it takes a look at every
    /// instance of the VPC.
    async fn nodes(&self, cluster: &Cluster) -> Result<BTreeSet<Candidate>, CloudError> {
        if let Some(nodes) = self.cache.nodes(&cluster.name, self.clock.now()) {
            return Ok(nodes);
        }
        let instances = self.ec2.instances(&Selector::Vpcs(vec![cluster.vpc.clone()])).await?;
        let nodes = topology::candidates(cluster, &instances);
        self.cache.keep_nodes(&cluster.name, nodes.clone(), self.clock.now());
        Ok(nodes)
    }

    async fn raw_of_ids(&self, selector: &Selector, ids: &[String]) -> Result<RawState, CloudError> {
        let rules = async { self.ec2.rules(ids).await.map(|rules| (rules, self.clock.now())) };
        let (groups, (rules, rules_at), interfaces, instances, ranges) = futures::try_join!(
            self.ec2.groups(selector),
            rules,
            self.ec2.interfaces(selector),
            self.ec2.instances(selector),
            self.ec2.vpc_ranges(),
        )?;
        Ok(RawState { groups, rules, rules_at, interfaces, instances, ranges })
    }

    fn snapshots(&self, raw: &Arc<RawState>, clusters: &Arc<Vec<Cluster>>) -> Vec<GroupSnapshot> {
        let snapshot = |facts| GroupSnapshot::new(self.group(facts, raw, clusters), raw, clusters);
        raw.groups.iter().map(snapshot).collect()
    }

    fn group(&self, facts: &GroupFacts, raw: &RawState, clusters: &[Cluster]) -> Group {
        let rules = raw.rules_of(&facts.id);
        let Membership { clusters: names, roles, .. } = self.membership(facts, &rules, raw, clusters, &BTreeSet::new());
        let own = || clusters.iter().filter(|cluster| names.contains(&cluster.name));
        Group {
            id: facts.id.clone(),
            name: facts.name.clone(),
            vpc: facts.vpc.clone(),
            owner: facts.owner.clone(),
            remote_networks: own().fold(Addresses::default(), |all, cluster| all.with(&cluster.remote_networks)),
            cluster_role_arns: own().filter_map(|cluster| cluster.role_arn.clone()).collect(),
            vpc_ranges: raw.ranges.get(&facts.vpc).cloned().unwrap_or_default(),
            clusters: names,
            roles,
            rules,
            ..Group::default()
        }
    }

    /// `proven`: groups that are proven to be of a cluster, with its name.
    fn membership(
        &self,
        group: &GroupFacts,
        rules: &[Rule],
        raw: &RawState,
        clusters: &[Cluster],
        proven: &BTreeSet<(String, String)>,
    ) -> Membership {
        membership(Facts {
            account: &self.account,
            clusters,
            configured: &self.configured,
            group,
            rules,
            proven,
            interfaces: &raw.interfaces,
            instances: &raw.instances,
        })
    }
}
