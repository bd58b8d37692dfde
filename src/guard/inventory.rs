//! Reads what is open now: groups, rules by id, attachments, clusters, prefix lists. Everything that can be read at once is
//! read at once; what is known about clusters is kept for minutes, the judged group and what it refers to never.
//!
//! Must not: change anything or judge.

mod cache;
mod raw;
mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join;
use jiff::{SignedDuration, Timestamp};

use crate::cluster::membership::{Facts, Membership, Rank, membership, speaks_of_eks};
use crate::cluster::topology::{self, Candidate, Topology};
use crate::guard::inventory::cache::{CACHE_TTL, Cache};
use crate::guard::inventory::raw::{RawState, is_of};
use crate::guard::setup::Ports;
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, GroupFacts, Selector};
use crate::model::group::{ConfiguredGroup, Group};
use crate::model::region::Addresses;
use crate::model::rule::{Peer, Rule};
use crate::ports::{Clock, Ec2, Eks};

/// A group that speaks of EKS and has no role makes us ask EKS again, but not more often than this.
const MIN_REFRESH_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// A group as it was read.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    /// With roles, rules and, as far as they were looked up, peers and prefix lists. Without roles it is out of scope.
    pub group: Group,
    /// When EC2 answered with its rules.
    pub rules_at: Timestamp,
    /// The groups and prefix lists that were looked up, whatever came of it.
    resolved: BTreeSet<String>,
}

impl GroupSnapshot {
    fn new(group: Group, rules_at: Timestamp) -> Self {
        let resolved = BTreeSet::from([group.id.clone()]);
        Self { group, rules_at, resolved }
    }

    /// The group with those of its rules alone that can be judged: what they refer to was looked up.
    pub fn judgeable(&self) -> Group {
        let rules = self.group.rules.iter().filter(|rule| self.is_judgeable(rule)).cloned().collect();
        Group { rules, ..self.group.clone() }
    }

    /// The other rules.
    pub fn not_judgeable(&self) -> impl Iterator<Item = &Rule> {
        self.group.rules.iter().filter(|rule| !self.is_judgeable(rule))
    }

    /// The groups and prefix lists that rules refer to and that were not looked up.
    pub fn unresolved(&self) -> BTreeSet<String> {
        self.not_judgeable().filter_map(reference).map(str::to_owned).collect()
    }

    fn is_judgeable(&self, rule: &Rule) -> bool {
        reference(rule).is_none_or(|id| self.resolved.contains(id))
    }
}

/// What has to be looked up before a rule can be judged: another group or a prefix list.
fn reference(rule: &Rule) -> Option<&str> {
    match &rule.peer {
        Peer::Cidr(_) => None,
        Peer::PrefixList(id) | Peer::Group { id, .. } => Some(id),
    }
}

/// The reader, with its cache.
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
        self.with_new_clusters(raw, clusters).await
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
            self.membership(group, &raw.rules_of(&group.id), raw, &clusters).strong_roles()
        };
        let had_none = |group: &&GroupFacts| roles(group, &before).is_empty();
        let new: BTreeSet<String> = raw.groups.iter().filter(had_none).map(|group| group.id.clone()).collect();
        let snapshot = self.with_new_clusters(raw, clusters).await?;
        let is_first = |snapshot: &GroupSnapshot| new.contains(&snapshot.group.id) && snapshot.group.is_strong();
        Ok(Some(
            snapshot
                .into_iter()
                .map(|snapshot| (is_first(&snapshot), snapshot))
                .map(|(first, snapshot)| (snapshot, first))
                .collect(),
        ))
    }

    /// The groups that EKS names for a cluster, as EKS says it now. Empty when there is no such cluster.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn groups_of(&self, cluster: &str) -> Result<Vec<String>, CloudError> {
        let clusters = self.clusters(SignedDuration::ZERO).await?;
        let known = clusters.iter().find(|known| known.name == cluster);
        Ok(known.map(Cluster::groups).unwrap_or_default().into_iter().collect())
    }

    /// What EKS says of a cluster, at most some minutes ago.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn cluster(&self, name: &str) -> Result<Option<Cluster>, CloudError> {
        Ok(self.clusters(CACHE_TTL).await?.iter().find(|known| known.name == name).cloned())
    }

    async fn raw_and_clusters(&self, ids: &[String]) -> Result<(RawState, Arc<Vec<Cluster>>), CloudError> {
        try_join(self.raw_of_ids(&Selector::Ids(ids.to_vec()), ids), self.clusters(CACHE_TTL)).await
    }

    /// What was read as groups; asks EKS again first when that may tell more.
    async fn with_new_clusters(
        &self,
        raw: RawState,
        mut clusters: Arc<Vec<Cluster>>,
    ) -> Result<Vec<GroupSnapshot>, CloudError> {
        if raw.groups.iter().any(|group| self.may_be_new(group, &raw, &clusters)) {
            clusters = self.clusters(MIN_REFRESH_INTERVAL).await?;
        }
        Ok(self.snapshots(&raw, &clusters))
    }

    /// Every group with a role in some cluster.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn read_all(&self) -> Result<Vec<GroupSnapshot>, CloudError> {
        let clusters = self.clusters(SignedDuration::ZERO).await?;
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
        let raw = RawState { groups, rules, rules_at: self.clock.now(), interfaces, instances, ranges };
        let mut snapshots = self.snapshots(&raw, &clusters);
        snapshots.retain(|snapshot| !snapshot.group.roles.is_empty());
        // Most groups refer to the same lists and groups, so all are looked up at once.
        let references = self.references(&snapshots.iter().flat_map(GroupSnapshot::unresolved).collect()).await?;
        for snapshot in &mut snapshots {
            references.resolve(snapshot);
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
            snapshot.rules_at = again.rules_at;
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

    /// What is attached to which groups in a cluster, with the rules as they are this moment. `None`: EKS does not know the
    /// cluster, or not its group yet.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn topology(&self, cluster: &str) -> Result<Option<Topology>, CloudError> {
        let clusters = self.clusters(CACHE_TTL).await?;
        let known = clusters.iter().find(|known| known.name == cluster && known.cluster_group.is_some());
        let Some(cluster) = known else { return Ok(None) };
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

    /// Whether no strong role is known although something speaks of EKS.
    fn may_be_new(&self, group: &GroupFacts, raw: &RawState, clusters: &[Cluster]) -> bool {
        speaks_of_eks(group, &raw.interfaces, &raw.instances)
            && self.membership(group, &raw.rules_of(&group.id), raw, clusters).strong_roles().is_empty()
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

    /// What EKS said, unless that is older than `age`.
    async fn clusters(&self, age: SignedDuration) -> Result<Arc<Vec<Cluster>>, CloudError> {
        let now = self.clock.now();
        if let Some(clusters) = self.cache.clusters(age, now) {
            return Ok(clusters);
        }
        let clusters = Arc::new(self.eks.clusters().await?);
        self.cache.keep_clusters(&clusters, now);
        Ok(clusters)
    }

    fn snapshots(&self, raw: &RawState, clusters: &[Cluster]) -> Vec<GroupSnapshot> {
        let snapshot = |facts| GroupSnapshot::new(self.group(facts, raw, clusters), raw.rules_at);
        raw.groups.iter().map(snapshot).collect()
    }

    fn group(&self, facts: &GroupFacts, raw: &RawState, clusters: &[Cluster]) -> Group {
        let rules = raw.rules_of(&facts.id);
        let Membership { clusters: names, roles, rank } = self.membership(facts, &rules, raw, clusters);
        let own = || clusters.iter().filter(|cluster| names.contains(&cluster.name));
        Group {
            id: facts.id.clone(),
            name: facts.name.clone(),
            vpc: facts.vpc.clone(),
            owner: facts.owner.clone(),
            remote_networks: own().fold(Addresses::default(), |all, cluster| all.with(&cluster.remote_networks)),
            cluster_role_arns: own().filter_map(|cluster| cluster.role_arn.clone()).collect(),
            identity_providers: own().filter(|_| rank == Rank::Proven).filter_map(Cluster::identity_provider).collect(),
            vpc_ranges: raw.ranges.get(&facts.vpc).cloned().unwrap_or_default(),
            is_unattached: raw.is_unattached(&facts.id),
            clusters: names,
            roles,
            rules,
            ..Group::default()
        }
    }

    fn membership(&self, group: &GroupFacts, rules: &[Rule], raw: &RawState, clusters: &[Cluster]) -> Membership {
        membership(Facts {
            account: &self.account,
            clusters,
            configured: &self.configured,
            group,
            rules,
            interfaces: &raw.interfaces,
            instances: &raw.instances,
        })
    }
}
