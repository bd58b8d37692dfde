//! Reads what is open now: groups, rules by id, attachments, the clusters that these name, prefix lists. Everything that can
//! be read at once is read at once, in each invocation anew; only names are kept, as hints (`index`).
//!
//! Must not: change anything or judge.

mod clusters;
mod index;
mod needs;
mod raw;
mod references;
mod snapshot;
mod sweep;

pub use snapshot::{GroupSnapshot, Looked, Unread, Unresolved};

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::try_join;

use crate::cluster::membership::{Membership, Rank};
use crate::cluster::names::{self, Named, Names};
use crate::guard::inventory::clusters::Clusters;
use crate::guard::inventory::index::{Hint, Index};
use crate::guard::inventory::raw::{Neighbours, RawState, View, is_of};
use crate::guard::setup::Ports;
use crate::model::error::{CloudError, chain};
use crate::model::facts::{Cluster, GroupFacts, Instance, Instances, Interface, Rules, Selector};
use crate::model::group::{ConfiguredGroup, Evidence, Group, UnreadableRule};
use crate::model::region::Addresses;
use crate::model::rule::Rule;
use crate::ports::{Clock, Ec2, Eks};

/// The reader, with its index of names.
pub struct Inventory {
    ec2: Arc<dyn Ec2>,
    eks: Arc<dyn Eks>,
    clock: Arc<dyn Clock>,
    account: String,
    configured: Vec<ConfiguredGroup>,
    index: Index,
}

/// What was read of groups and of the clusters that they may be of.
struct Seen {
    raw: RawState,
    clusters: Arc<Vec<Cluster>>,
    unread: Vec<(Option<String>, Unread)>,
}

impl Inventory {
    /// A reader for the clusters of one account and region.
    pub fn new(ports: &Ports, account: String, configured: Vec<ConfiguredGroup>) -> Self {
        let (ec2, eks, clock) = (Arc::clone(&ports.ec2), Arc::clone(&ports.eks), Arc::clone(&ports.clock));
        Self { ec2, eks, clock, account, configured, index: Index::default() }
    }

    /// These groups. Ids that do not exist are missing from the answer.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries, and without which nothing can be said.
    pub async fn read(&self, ids: &[String]) -> Result<Looked, CloudError> {
        Ok(self.looked(self.see(ids, None).await?))
    }

    /// These groups, which were put on an interface or instance, and those of them for which it is the first EKS interface.
    /// `None` while EC2 does not show them there yet.
    ///
    /// # Errors
    /// As [`Inventory::read`].
    pub async fn read_attached(
        &self,
        ids: &[String],
        attachment: &str,
    ) -> Result<Option<(Looked, BTreeSet<String>)>, CloudError> {
        let seen = self.see(ids, Some(attachment)).await?;
        if !seen.raw.interfaces.iter().any(|interface| is_of(interface, attachment)) {
            return Ok(None);
        }
        let before = seen.raw.without(attachment);
        let view = self.view(&before, &seen.clusters);
        let had_none = |group: &&GroupFacts| view.membership(group).strong_roles().is_empty();
        let new: BTreeSet<String> = before.groups.iter().filter(had_none).map(|group| group.id.clone()).collect();
        let looked = self.looked(seen);
        let is_first = |snapshot: &&GroupSnapshot| new.contains(&snapshot.group.id) && snapshot.group.is_strong();
        let first = looked.snapshots.iter().filter(is_first).map(|snapshot| snapshot.group.id.clone()).collect();
        Ok(Some((looked, first)))
    }

    /// The rules of one group as they are this moment, and nothing else.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn rules(&self, group: &str) -> Result<Vec<Rule>, CloudError> {
        let rules = self.ec2.rules(&[group.to_owned()]).await?;
        Ok(rules.rules.into_iter().map(|(_, rule)| rule).collect())
    }

    /// Looks at the rules alone once more. A group that is gone has none.
    ///
    /// # Errors
    /// A read that failed after the SDK's retries.
    pub async fn look_again(&self, snapshot: &mut GroupSnapshot) -> Result<(), CloudError> {
        let rules = self.ec2.rules(std::slice::from_ref(&snapshot.group.id)).await?;
        snapshot.group.unreadable_rules = of_group(&rules, &snapshot.group.id);
        snapshot.group.rules = rules.rules.into_iter().map(|(_, rule)| rule).collect();
        snapshot.rules_at = self.clock.now();
        Ok(())
    }

    /// The groups, what they are attached to, and the clusters that these name. Clusters named before are asked for beside
    /// EC2, so that a warm function has all in one wave.
    async fn see(&self, ids: &[String], attachment: Option<&str>) -> Result<Seen, CloudError> {
        let hint = self.hint(ids);
        let mut clusters = Clusters::default();
        let (read, ()) =
            futures::join!(self.raw(ids, attachment, &hint.neighbours), clusters.ask(self.eks.as_ref(), &hint.named));
        let (mut raw, mut unread) = read?;
        clusters.ask(self.eks.as_ref(), &self.named(&raw, &hint).await).await;
        let known = clusters.known(&raw);
        if let Err(error) = self.corroborate(&mut raw, &known).await {
            unread.push((None, Unread { what: "what connects the group with its cluster".to_owned(), source: error }));
        }
        let claiming = self.claims_of_unattached(&raw, &known);
        let known = if claiming.is_empty() {
            known
        } else {
            clusters.ask_for_node_groups(self.eks.as_ref(), claiming).await;
            clusters.known(&raw)
        };
        for (name, source) in clusters.unread {
            let what = format!("cluster `{name}`");
            unread.push((Some(name), Unread { what, source }));
        }
        self.learn(&raw, &known);
        Ok(Seen { raw, clusters: known, unread })
    }

    /// What was asked for about these groups before, and what the policy says of them.
    fn hint(&self, ids: &[String]) -> Hint {
        let mut hint = self.index.hint(ids);
        for entry in self.configured.iter().filter(|entry| ids.contains(&entry.id)) {
            hint.named.entry(entry.cluster.clone()).or_default();
        }
        hint
    }

    async fn raw(
        &self,
        ids: &[String],
        attachment: Option<&str>,
        neighbours: &BTreeSet<String>,
    ) -> Result<(RawState, Vec<(Option<String>, Unread)>), CloudError> {
        let selector = Selector::Ids(ids.to_vec());
        let rules = async { self.ec2.rules(ids).await.map(|rules| (rules, self.clock.now())) };
        let witnesses = Instances::Witnesses(ids.to_vec());
        let facts = async {
            futures::try_join!(
                self.ec2.groups(&selector),
                rules,
                self.ec2.interfaces(&selector),
                self.ec2.instances(&witnesses),
                self.attached(attachment),
                self.neighbours(if neighbours.is_empty() { &[] } else { ids }, neighbours),
            )
        };
        let (facts, ranges, associations) =
            futures::join!(facts, self.ec2.vpc_ranges(), self.ec2.associations(&selector));
        let (groups, (rules, rules_at), interfaces, instances, attached, neighbours) = facts?;
        let mut raw = RawState { groups, rules, rules_at, is_complete: interfaces.is_complete, ..RawState::default() };
        raw.attach(interfaces.found, instances);
        raw.attach(attached.0, attached.1);
        raw.add_neighbours(neighbours);
        let mut unread = Vec::new();
        let mut noted = |what: &str, source| unread.push((None, Unread { what: what.to_owned(), source }));
        match ranges {
            Ok(ranges) => raw.ranges = ranges,
            Err(error) => {
                raw.ranges_unread = true;
                noted("the ranges of the VPCs", error);
            }
        }
        match associations {
            Ok(associations) => raw.associations = associations,
            Err(error) => {
                raw.ranges_unread = true;
                noted("the VPCs that the group is associated with", error);
            }
        }
        Ok((raw, unread))
    }

    /// The attachment itself: it may be one of thousands.
    async fn attached(&self, attachment: Option<&str>) -> Result<(Vec<Interface>, Vec<Instance>), CloudError> {
        let Some(attachment) = attachment else { return Ok((Vec::new(), Vec::new())) };
        let instances = Instances::Ids(vec![attachment.to_owned()]);
        let instances =
            async { if attachment.starts_with("i-") { self.ec2.instances(&instances).await } else { Ok(Vec::new()) } };
        try_join(self.ec2.interfaces_of(attachment), instances).await
    }

    /// What the groups and their attachments name, to be asked for.
    async fn named(&self, raw: &RawState, hint: &Hint) -> Named {
        let mut found = names::names(&raw.groups, &raw.interfaces, &raw.instances);
        if found.is_crowded() {
            self.prefer_clusters_that_exist(&mut found, raw).await;
        }
        let names: BTreeSet<String> = found.to_ask().chain(hint.named.keys()).cloned().collect();
        let mut named = names::node_groups(&raw.groups, &raw.instances, &names);
        for name in names {
            named.entry(name).or_default();
        }
        named
    }

    async fn prefer_clusters_that_exist(&self, names: &mut Names, raw: &RawState) {
        let of_interfaces = raw.interfaces.iter().map(|interface| interface.vpc.clone());
        let vpcs: BTreeSet<String> = raw.groups.iter().map(|group| group.vpc.clone()).chain(of_interfaces).collect();
        match self.ec2.cluster_groups(&vpcs.into_iter().collect::<Vec<_>>()).await {
            Ok(cluster_groups) => {
                let neighbours = raw.groups.iter().flat_map(|group| raw.neighbours_of(&group.id)).collect();
                names.prefer(&cluster_groups, &neighbours);
            }
            Err(error) => tracing::warn!(error = %chain(&error), "which clusters the VPC has could not be read"),
        }
    }

    /// Looks at the neighbours of groups that only ordinary tags say something of.
    async fn corroborate(&self, raw: &mut RawState, clusters: &[Cluster]) -> Result<(), CloudError> {
        // Whom they let in is known already; who lets them in has to be asked.
        for _ in 0..2 {
            let view = self.view(raw, clusters);
            let is_claimed = |group: &&GroupFacts| {
                let found = view.membership(group);
                let is_attached = found.roles.iter().any(|known| known.evidence == Evidence::Attachment);
                found.rank == Rank::Claimed && is_attached && found.strong_roles().is_empty()
            };
            let claimed: Vec<String> = raw.groups.iter().filter(is_claimed).map(|group| group.id.clone()).collect();
            let neighbours: BTreeSet<String> = claimed.iter().flat_map(|id| raw.neighbours_of(id)).collect();
            let new: BTreeSet<String> = neighbours.difference(&raw.neighbours).cloned().collect();
            let unasked: Vec<String> = claimed.into_iter().filter(|id| !raw.let_in_by.contains_key(id)).collect();
            if unasked.is_empty() && new.is_empty() {
                return Ok(());
            }
            let more = self.neighbours(&unasked, &new).await?;
            raw.add_neighbours(more);
        }
        Ok(())
    }

    /// The clusters that ordinary tags claim groups for that are attached to nothing: they may be of launch templates whose
    /// node groups have no nodes yet.
    fn claims_of_unattached(&self, raw: &RawState, clusters: &[Cluster]) -> BTreeSet<String> {
        let view = self.view(raw, clusters);
        let is_attached = |group: &GroupFacts| raw.interfaces.iter().any(|eni| eni.groups.contains(&group.id));
        let claims = raw.groups.iter().filter(|group| !is_attached(group)).map(|group| view.membership(group));
        claims.filter(|found| found.strong_roles().is_empty()).flat_map(|found| found.clusters).collect()
    }

    /// Who lets these groups in, and instances that show whose these neighbours are.
    async fn neighbours(&self, groups: &[String], neighbours: &BTreeSet<String>) -> Result<Neighbours, CloudError> {
        let letting_in = async { if groups.is_empty() { Ok(Vec::new()) } else { self.ec2.letting_in(groups).await } };
        let witnesses = Instances::Witnesses(neighbours.iter().cloned().collect());
        let instances =
            async { if neighbours.is_empty() { Ok(Vec::new()) } else { self.ec2.instances(&witnesses).await } };
        let (letting_in, instances) = try_join(letting_in, instances).await?;
        Ok(Neighbours { let_in: groups.to_vec(), letting_in, looked_at: neighbours.clone(), instances })
    }

    /// Keeps what a group was found to be of, so that the next look asks for it at once.
    fn learn(&self, raw: &RawState, clusters: &[Cluster]) {
        let view = self.view(raw, clusters);
        for group in &raw.groups {
            let found = view.membership(group);
            if found.clusters.is_empty() {
                continue;
            }
            let of_found = clusters.iter().filter(|cluster| found.clusters.contains(&cluster.name));
            let named = of_found.map(|cluster| {
                (cluster.name.clone(), cluster.node_groups.iter().map(|nodes| nodes.name.clone()).collect())
            });
            let neighbours = match found.rank {
                Rank::Corroborated => view.proven_among(&raw.neighbours_of(&group.id)),
                Rank::Claimed | Rank::Proven => BTreeSet::new(),
            };
            self.index.learn(&group.id, Hint { named: named.collect(), neighbours });
        }
    }

    fn view<'a>(&'a self, raw: &'a RawState, clusters: &'a [Cluster]) -> View<'a> {
        View::new(&self.account, &self.configured, raw, clusters)
    }

    fn snapshot(&self, group: Group, view: &View<'_>, raw: &RawState, clusters: &Arc<Vec<Cluster>>) -> GroupSnapshot {
        let beside = view.sets_beside(&group.id);
        GroupSnapshot { beside, ..GroupSnapshot::new(group, raw.rules_at, clusters) }
    }

    fn looked(&self, seen: Seen) -> Looked {
        let Seen { raw, clusters, unread } = seen;
        let unread_clusters: BTreeSet<&String> = unread.iter().filter_map(|(name, _)| name.as_ref()).collect();
        let view = self.view(&raw, &clusters);
        let snapshot = |facts: &GroupFacts| {
            let mut group = group(&view, &raw, facts, &clusters);
            if !group.clusters.iter().collect::<BTreeSet<_>>().is_disjoint(&unread_clusters) {
                group.ranges_unread = true;
            }
            self.snapshot(group, &view, &raw, &clusters)
        };
        let snapshots: Vec<GroupSnapshot> = raw.groups.iter().map(snapshot).collect();
        // A name in an ordinary tag that EKS did not answer for matters to nobody who is proven to be of another cluster.
        let matters = |name: &Option<String>| {
            let of_it = |snapshot: &GroupSnapshot| {
                !snapshot.group.is_strong() || name.as_ref().is_none_or(|name| snapshot.group.clusters.contains(name))
            };
            snapshots.iter().any(of_it)
        };
        let unread = unread.iter().map(|(name, _)| matters(name)).collect::<Vec<_>>().into_iter().zip(unread);
        let unread = unread.filter(|(matters, _)| *matters).map(|(_, (_, unread))| unread).collect();
        Looked { snapshots, unread, ..Looked::default() }
    }
}

fn of_group(rules: &Rules, group: &str) -> Vec<UnreadableRule> {
    rules.unreadable.iter().filter(|(id, _)| id == group).map(|(_, rule)| rule.clone()).collect()
}

/// A group as the policy sees it.
fn group(view: &View<'_>, raw: &RawState, facts: &GroupFacts, clusters: &[Cluster]) -> Group {
    let Membership { clusters: names, roles, rank } = view.membership(facts);
    let own = || clusters.iter().filter(|cluster| names.contains(&cluster.name));
    Group {
        id: facts.id.clone(),
        name: facts.name.clone(),
        vpc: facts.vpc.clone(),
        owner: facts.owner.clone(),
        remote_networks: own().fold(Addresses::default(), |all, cluster| all.with(&cluster.remote_networks)),
        cluster_role_arns: own().filter_map(|cluster| cluster.role_arn.clone()).collect(),
        identity_providers: own().filter(|_| rank == Rank::Proven).filter_map(Cluster::identity_provider).collect(),
        vpc_ranges: raw.ranges_around(facts),
        ranges_unread: raw.ranges_unread,
        clusters: names,
        roles,
        rules: view.rules_of(&facts.id).to_vec(),
        unreadable_rules: of_group(&raw.rules, &facts.id),
        ..Group::default()
    }
}
