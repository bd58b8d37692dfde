//! Reads what is open now: groups, rules by id, attachments, clusters, prefix lists. Everything that can be read at once is
//! read at once; what is known about clusters and peers is kept for minutes, the judged group itself never.
//!
//! Must not: change anything or judge.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{join_all, try_join, try_join_all, try_join4};
use jiff::{SignedDuration, Timestamp};

use crate::cluster::membership::{Facts, Membership, membership, speaks_of_eks};
use crate::cluster::topology::{self, Candidate, Topology};
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, Selector};
use crate::model::group::ConfiguredGroup;
use crate::model::group::{AwsList, Group, PeerGroup, PrefixList};
use crate::model::region::Addresses;
use crate::model::rule::{Peer, Rule};
use crate::ports::{Clock, Ec2, Eks};

/// How long knowledge about clusters and peers stays good in a warm function.
const CACHE_TTL: SignedDuration = SignedDuration::from_mins(5);
/// A group that speaks of EKS and has no role makes us ask EKS again, but not more often than this.
const MIN_CACHE_TTL: SignedDuration = SignedDuration::from_secs(10);
/// Peers kept at most; beyond, the memory starts anew.
const MAX_CACHED_PEERS: usize = 10_000;
/// Values that EC2 takes in one filter.
const MAX_FILTER_VALUES: usize = 200;
/// Rules may come to refer to something new while we read what they referred to; at some point we go on.
const MAX_ROUNDS: usize = 3;

/// A group as it was read.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    /// With roles, rules, peers and prefix lists. Without roles it is out of scope.
    pub group: Group,
    /// When the read of its rules was started.
    pub read_at: Timestamp,
    /// Whether nothing else was awaited after its rules were read, so that this read may count as the last look.
    pub is_last_look: bool,
}

/// The reader, with its memory.
pub struct Inventory<E, K, C> {
    ec2: E,
    eks: K,
    clock: C,
    account: String,
    configured: Vec<ConfiguredGroup>,
    clusters: Mutex<Option<(Timestamp, Arc<Vec<Cluster>>)>>,
    peers: Mutex<HashMap<String, (Timestamp, Membership)>>,
    /// By cluster.
    nodes: Mutex<HashMap<String, (Timestamp, BTreeSet<Candidate>)>>,
}

/// Groups with everything that wears them, unjudged.
struct RawState {
    groups: Vec<GroupFacts>,
    rules: Vec<(String, Rule)>,
    interfaces: Vec<Interface>,
    instances: Vec<Instance>,
}

/// Whether this is the interface, or one of the instance.
fn is_of(interface: &Interface, attachment: &str) -> bool {
    interface.id == attachment || interface.instance.as_deref() == Some(attachment)
}

impl RawState {
    /// As it was before groups were put on the wearer. An instance without an interface left that wears one is left out.
    fn without(&self, attachment: &str) -> Self {
        let interfaces: Vec<Interface> =
            self.interfaces.iter().filter(|interface| !is_of(interface, attachment)).cloned().collect();
        let groups_of = |instance: &Instance| -> Vec<String> {
            let own = interfaces.iter().filter(|interface| interface.instance.as_ref() == Some(&instance.id));
            own.flat_map(|interface| interface.groups.clone()).collect()
        };
        let instances = self
            .instances
            .iter()
            .map(|instance| Instance { groups: groups_of(instance), ..instance.clone() })
            .collect();
        Self { groups: self.groups.clone(), rules: self.rules.clone(), interfaces, instances }
    }

    fn rules_of(&self, group: &str) -> Vec<Rule> {
        self.rules.iter().filter(|(id, _)| id == group).map(|(_, rule)| rule.clone()).collect()
    }
}

impl<E: Ec2, K: Eks, C: Clock> Inventory<E, K, C> {
    /// A reader for the clusters of one account and region.
    pub fn new(ec2: E, eks: K, clock: C, account: String, configured: Vec<ConfiguredGroup>) -> Self {
        let (clusters, peers, nodes) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { ec2, eks, clock, account, configured, clusters, peers, nodes }
    }

    /// The door to EC2.
    pub fn ec2(&self) -> &E {
        &self.ec2
    }

    /// The clock.
    pub fn clock(&self) -> &C {
        &self.clock
    }

    /// These groups. Ids that do not exist are missing from the answer.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn read(&self, ids: &[String]) -> Result<Vec<GroupSnapshot>, CloudError> {
        let read_at = self.clock.now();
        let (raw, clusters) = self.raw_and_clusters(ids).await?;
        self.judgeable(raw, clusters, read_at).await
    }

    /// These groups, which were put on an interface or instance, each with whether it is the first EKS interface that the
    /// group is on. `None` while EC2 does not show it on the wearer yet.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn read_attached(
        &self,
        ids: &[String],
        attachment: &str,
    ) -> Result<Option<Vec<(GroupSnapshot, bool)>>, CloudError> {
        let read_at = self.clock.now();
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
        let snapshot = self.judgeable(raw, clusters, read_at).await?;
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

    /// Completes what was read; asks EKS again first when that may tell more.
    async fn judgeable(
        &self,
        raw: RawState,
        mut clusters: Arc<Vec<Cluster>>,
        read_at: Timestamp,
    ) -> Result<Vec<GroupSnapshot>, CloudError> {
        let mut waited = false;
        if raw.groups.iter().any(|group| self.may_be_new(group, &raw, &clusters)) {
            let fresh = self.clusters(MIN_CACHE_TTL).await?;
            waited = !Arc::ptr_eq(&fresh, &clusters);
            clusters = fresh;
        }
        self.complete(raw, &clusters, read_at, waited).await
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
        let (groups, interfaces, instances) = futures::try_join!(
            self.ec2.groups(&selector),
            self.ec2.interfaces(&selector),
            self.ec2.instances(&selector)
        )?;
        self.cache_nodes(&clusters, &instances);
        let read_at = self.clock.now();
        let ids: Vec<String> = groups.iter().map(|group| group.id.clone()).collect();
        let rules = self.ec2.rules(&ids).await?;
        let raw = RawState { groups, rules, interfaces, instances };
        let snapshot = self.complete(raw, &clusters, read_at, false).await?;
        Ok(snapshot.into_iter().filter(|snapshot| !snapshot.group.roles.is_empty()).collect())
    }

    /// The rules of one group as they are this moment, and nothing else.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn rules(&self, group: &str) -> Result<Vec<Rule>, CloudError> {
        let rules = self.ec2.rules(&[group.to_owned()]).await?;
        Ok(rules.into_iter().map(|(_, rule)| rule).collect())
    }

    /// Reads a group again, with all that its rules refer to. One that is gone has no rules.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn read_again(&self, snapshot: &mut GroupSnapshot) -> Result<(), CloudError> {
        let read_at = self.clock.now();
        if let Some(again) = self.read(std::slice::from_ref(&snapshot.group.id)).await?.into_iter().next() {
            *snapshot = again;
        } else {
            snapshot.group.rules.clear();
            (snapshot.read_at, snapshot.is_last_look) = (read_at, true);
        }
        Ok(())
    }

    /// Who wears what in a cluster, with the rules as they are this moment. `None`: EKS does not know the cluster, or not its
    /// group yet.
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
        let lists = rules.values().flatten().filter_map(list_of).collect();
        let lists = self.prefix_lists(&lists).await;
        Ok(Some(Topology::new(cluster, &nodes, rules, lists)))
    }

    /// What looks like a node of the cluster, kept as long as what is known about clusters: it takes a look at every
    /// instance of the VPC.
    async fn nodes(&self, cluster: &Cluster) -> Result<BTreeSet<Candidate>, CloudError> {
        let now = self.clock.now();
        let known = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(&cluster.name).cloned();
        if let Some((at, nodes)) = known
            && now.duration_since(at) < CACHE_TTL
        {
            return Ok(nodes);
        }
        let instances = self.ec2.instances(&Selector::Vpcs(vec![cluster.vpc.clone()])).await?;
        self.cache_nodes(std::slice::from_ref(cluster), &instances);
        Ok(topology::candidates(cluster, &instances))
    }

    fn cache_nodes(&self, clusters: &[Cluster], instances: &[Instance]) {
        let now = self.clock.now();
        let mut state = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        state.extend(clusters.iter().map(|of| (of.name.clone(), (now, topology::candidates(of, instances)))));
    }

    /// Whether no strong role is known although something speaks of EKS.
    fn may_be_new(&self, group: &GroupFacts, raw: &RawState, clusters: &[Cluster]) -> bool {
        speaks_of_eks(group, &raw.interfaces, &raw.instances)
            && self.membership(group, &raw.rules_of(&group.id), raw, clusters).strong_roles().is_empty()
    }

    async fn raw_of_ids(&self, selector: &Selector, ids: &[String]) -> Result<RawState, CloudError> {
        let (groups, rules, interfaces, instances) = try_join4(
            self.ec2.groups(selector),
            self.ec2.rules(ids),
            self.ec2.interfaces(selector),
            self.ec2.instances(selector),
        )
        .await?;
        Ok(RawState { groups, rules, interfaces, instances })
    }

    /// What EKS said, unless that is older than `age`.
    async fn clusters(&self, age: SignedDuration) -> Result<Arc<Vec<Cluster>>, CloudError> {
        let now = self.clock.now();
        let known = self.clusters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, clusters)) = known
            && now.duration_since(at) < age
        {
            return Ok(clusters);
        }
        let clusters = Arc::new(self.eks.clusters().await?);
        *self.clusters.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&clusters)));
        Ok(clusters)
    }

    /// Adds what the rules refer to: VPC ranges, prefix lists, peers. Whenever something has to be awaited for that, the
    /// rules are read again beside it, so that the answer is as fresh as its rules are: a prefix list costs one round trip
    /// and not two.
    async fn complete(
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

    fn groups(&self, raw: &RawState, clusters: &[Cluster]) -> Vec<Group> {
        raw.groups.iter().map(|facts| self.group(facts, raw, clusters)).collect()
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
        let now = self.clock.now();
        let state = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = named
            .iter()
            .filter_map(|id| Some((id, state.get(id)?)))
            .filter(|(_, (at, _))| now.duration_since(*at) < CACHE_TTL);
        for (id, (_, membership)) in fresh {
            known.peers.entry(id.clone()).or_insert_with(|| membership.clone());
        }
        let peers = named.into_iter().filter(|id| !known.peers.contains_key(id)).collect();
        Missing { vpcs, lists, peers }
    }

    fn group(&self, facts: &GroupFacts, raw: &RawState, clusters: &[Cluster]) -> Group {
        let rules = raw.rules_of(&facts.id);
        let Membership { clusters: names, roles } = self.membership(facts, &rules, raw, clusters);
        let own = || clusters.iter().filter(|cluster| names.contains(&cluster.name));
        Group {
            id: facts.id.clone(),
            name: facts.name.clone(),
            vpc: facts.vpc.clone(),
            owner: facts.owner.clone(),
            remote_networks: own().fold(Addresses::default(), |all, cluster| all.with(&cluster.remote_networks)),
            cluster_role_arns: own().filter_map(|cluster| cluster.role_arn.clone()).collect(),
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
    async fn prefix_lists(&self, ids: &BTreeSet<String>) -> BTreeMap<String, PrefixList> {
        let read = |id: String| async move {
            let list = match self.ec2.prefix_list(&id).await {
                Ok(list) => match AwsList::from_ec2(&list.owner, &list.name) {
                    Some(known) => PrefixList::Aws(known),
                    None => PrefixList::Entries(list.entries),
                },
                Err(error) => {
                    let why = crate::model::error::chain(&error);
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
    ) -> Result<HashMap<String, Membership>, CloudError> {
        let now = self.clock.now();
        // A peer that does not exist here (another account's, or gone) is remembered as nobody's.
        let mut found: HashMap<String, Membership> = ids.iter().map(|id| (id.clone(), Membership::default())).collect();
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
        let mut state = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if state.len() + found.len() > MAX_CACHED_PEERS {
            state.clear();
        }
        state.extend(found.iter().map(|(id, membership)| (id.clone(), (now, membership.clone()))));
        Ok(found)
    }
}

/// What rules refer to, as far as it was read.
#[derive(Default)]
struct References {
    ranges: BTreeMap<String, Addresses>,
    lists: BTreeMap<String, PrefixList>,
    peers: HashMap<String, Membership>,
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
    group.rules.iter().filter_map(list_of)
}

fn list_of(rule: &Rule) -> Option<String> {
    match &rule.peer {
        Peer::PrefixList(id) => Some(id.clone()),
        _ => None,
    }
}

fn peers_of(group: &Group) -> Vec<String> {
    let other = |rule: &Rule| match &rule.peer {
        Peer::Group { id, .. } if *id != group.id => Some(id.clone()),
        _ => None,
    };
    group.rules.iter().filter_map(other).collect()
}
