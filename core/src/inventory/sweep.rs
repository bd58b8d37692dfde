//! Every group of every cluster: what is attached in the VPC of a cluster, whatever VPC the group itself is of, and what the
//! policy names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::future::{join, try_join, try_join3};
use futures::stream::{self, StreamExt as _};

use super::raw::{RawState, lets_in_addresses};
use super::view::View;
use super::{GroupSnapshot, Inventory, Looked, Unread, group, snapshot};
use crate::cluster::register::Register;
use crate::cluster::topology;
use crate::event::work::Part;
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, GroupFacts, Instance, Instances, Interfaces, NodeGroups, Selector};
use crate::model::group::Group;
use crate::model::rule::{Direction, Peer, Rule};

/// Clusters or VPCs read at the same time. EKS gives an account a handful of reads a second, shared with everything else
/// that talks to it.
const MAX_CONCURRENT_READS: usize = 8;

/// What lies in a VPC.
type InVpc = (Vec<GroupFacts>, Interfaces, Vec<Instance>);

impl Inventory {
    /// Every group with a role in some cluster. A cluster or VPC that cannot be read is said, and the others count.
    ///
    /// # Errors
    /// A read without which nothing can be said.
    pub async fn read_all(&self) -> Result<Looked, CloudError> {
        let names = self.eks.names().await?;
        self.read_of(names, true).await
    }

    /// The same without the groups that have no role, for who remembers nothing.
    ///
    /// # Errors
    /// As [`Inventory::read_all`].
    pub async fn read_in_scope(&self) -> Result<Looked, CloudError> {
        let names = self.eks.names().await?;
        self.read_of(names, false).await
    }

    /// A part of that: these groups of a VPC with these clusters. The first part takes those of
    /// other VPCs, too, that are attached there.
    ///
    /// # Errors
    /// As [`Inventory::read_all`].
    pub async fn read_part(&self, part: &Part) -> Result<Looked, CloudError> {
        let mut looked = self.read_of(part.clusters.clone(), true).await?;
        let groups: BTreeSet<&String> = part.groups.iter().collect();
        let is_other = |group: &Group| {
            part.n == 1 && group.vpc != part.vpc && group.clusters.iter().any(|name| part.clusters.contains(name))
        };
        let is_here = |group: &Group| groups.contains(&group.id) || is_other(group);
        looked.snapshots.retain(|snapshot| is_here(&snapshot.group));
        looked.all.retain(is_here);
        looked.complete.retain(|vpc| *vpc == part.vpc);
        Ok(looked)
    }

    /// The VPCs that have clusters, with the names of these; and why some could not be read.
    ///
    /// # Errors
    /// The names of the clusters could not be read.
    pub async fn vpcs_of_clusters(&self) -> Result<(BTreeMap<String, Vec<String>>, Option<CloudError>), CloudError> {
        let names = stream::iter(self.eks.names().await?);
        let clusters = names.map(|name| async move { self.eks.cluster(&name).await });
        let clusters: Vec<_> = clusters.buffered(MAX_CONCURRENT_READS).collect().await;
        let (mut vpcs, mut unread) = (BTreeMap::<String, Vec<String>>::new(), None);
        for cluster in clusters {
            match cluster {
                Ok(Some(cluster)) => vpcs.entry(cluster.vpc).or_default().push(cluster.name),
                Ok(None) => {}
                Err(error) => unread = Some(error),
            }
        }
        Ok((vpcs, unread))
    }

    /// `keeps_all`: groups without a role, too.
    async fn read_of(&self, names: Vec<String>, keeps_all: bool) -> Result<Looked, CloudError> {
        let all = Selector::Vpcs(Vec::new());
        let (ranges, associations) = join(self.ec2.vpc_ranges(), self.ec2.associations(&all)).await;
        let mut raw = RawState { is_complete: true, vpcs: Some(BTreeSet::new()), ..RawState::default() };
        let mut unread = raw.surround(ranges, associations);
        let mut noted = |what: String, source| unread.push(Unread { what, source });
        let clusters = stream::iter(names).map(|name| async move { (self.whole(&name).await, name) });
        let clusters: Vec<_> = clusters.buffered(MAX_CONCURRENT_READS).collect().await;
        let mut known: Vec<Cluster> = Vec::new();
        for (cluster, name) in clusters {
            match cluster {
                Ok(cluster) => known.extend(cluster.map(|cluster| raw.with_ranges(cluster))),
                Err(error) => noted(format!("cluster `{name}`"), error),
            }
        }
        let known = Arc::new(known);
        let register = Register::of(&known);
        let vpcs: BTreeSet<String> = known.iter().map(|cluster| cluster.vpc.clone()).collect();
        let vpcs = stream::iter(vpcs).map(|vpc| async move { (self.in_vpc(&vpc).await, vpc) });
        let vpcs: Vec<_> = vpcs.buffered(MAX_CONCURRENT_READS).collect().await;
        for (found, vpc) in vpcs {
            match found {
                Ok((groups, interfaces, instances)) => {
                    if interfaces.is_complete {
                        raw.vpcs.get_or_insert_default().insert(vpc.clone());
                    }
                    raw.groups.extend(groups);
                    self.keep_clusters(&register, &vpc, &instances);
                    raw.interfaces.extend(interfaces.found);
                    raw.instances.extend(instances);
                }
                Err(error) => noted(format!("what is in `{vpc}`"), error),
            }
        }
        let others = self.others(&raw);
        raw.groups.extend(self.ec2.groups(&Selector::Ids(others)).await?);
        let ids: Vec<String> = raw.groups.iter().map(|group| group.id.clone()).collect();
        raw.rules = self.ec2.rules(&ids).await?;
        raw.rules_at = self.clock.now();
        for (who, rule) in &raw.rules.rules {
            if let (Direction::Ingress, Peer::Group { id, .. }) = (rule.direction, &rule.peer)
                && raw.let_in_by.get(id).is_none_or(|known| !known.contains(who))
            {
                raw.let_in_by.entry(id.clone()).or_default().insert(who.clone());
            }
        }
        let view = self.view(&raw, &register);
        let found = view.memberships();
        self.learn(&view, &raw, &found);
        let seen = |(facts, found)| snapshot(group(&view, &raw, facts, found), &view, raw.rules_at, &known);
        let mut snapshots: Vec<GroupSnapshot> = raw.groups.iter().zip(found).map(seen).collect();
        let beside: Vec<Vec<Vec<Rule>>> = snapshots.iter_mut().map(|snapshot| beside(snapshot, &view)).collect();
        give_rules(&mut snapshots, std::mem::take(&mut raw.rules.rules));
        let all = snapshots.iter().filter(|_| keeps_all).map(|snapshot| snapshot.group.clone()).collect();
        snapshots.iter_mut().zip(beside).for_each(|(snapshot, beside)| snapshot.group.beside = beside);
        // What a cluster is that could not be read, nobody knows; it may lie in any of the VPCs.
        let complete =
            if unread.is_empty() { known.iter().map(|cluster| cluster.vpc.clone()).collect() } else { BTreeSet::new() };
        let snapshots = self.with_references(&known, snapshots, &mut unread).await;
        let clusters = known.iter().map(|cluster| cluster.name.clone()).collect();
        Ok(Looked { snapshots, all, complete, clusters, unread })
    }

    /// The clusters of a VPC with what looks like their nodes there.
    fn keep_clusters(&self, clusters: &Register<'_>, vpc: &str, instances: &[Instance]) {
        let mut named: BTreeMap<usize, Vec<&Instance>> = BTreeMap::new();
        for instance in instances {
            for at in clusters.of_instance(instance) {
                named.entry(at).or_default().push(instance);
            }
        }
        for (at, cluster) in clusters.in_vpc(vpc) {
            let nodes = topology::candidates(cluster, named.remove(&at).unwrap_or_default());
            self.index.keep_cluster(cluster, nodes, self.clock.now());
        }
    }

    /// A cluster with its node groups. Those of a cluster that goes away while we read are no matter.
    async fn whole(&self, name: &str) -> Result<Option<Cluster>, CloudError> {
        let node_groups = self.eks.node_groups(name, &NodeGroups::All);
        let (cluster, node_groups) = try_join(self.eks.cluster(name), node_groups).await?;
        let cluster = cluster.map(|cluster| Cluster { node_groups, ..cluster });
        if let Some(cluster) = &cluster {
            self.index.learn_groups_of(cluster);
        }
        Ok(cluster)
    }

    async fn in_vpc(&self, vpc: &str) -> Result<InVpc, CloudError> {
        let vpcs = vec![vpc.to_owned()];
        let selector = Selector::Vpcs(vpcs.clone());
        let instances = Instances::Vpcs(vpcs);
        try_join3(self.ec2.groups(&selector), self.ec2.interfaces(&selector), self.ec2.instances(&instances)).await
    }

    /// The groups of other VPCs: those that are attached in one of these, and those that the policy names.
    fn others(&self, raw: &RawState) -> Vec<String> {
        let known: BTreeSet<&String> = raw.groups.iter().map(|group| &group.id).collect();
        let attached = raw.interfaces.iter().flat_map(|interface| &interface.groups);
        let configured = self.configured.iter().map(|entry| &entry.id);
        let others: BTreeSet<&String> = attached.chain(configured).filter(|id| !known.contains(id)).collect();
        others.into_iter().cloned().collect()
    }

    /// The groups with a role, with what their rules refer to.
    async fn with_references(
        &self,
        clusters: &[Cluster],
        mut snapshots: Vec<GroupSnapshot>,
        unread: &mut Vec<Unread>,
    ) -> Vec<GroupSnapshot> {
        snapshots.retain(|snapshot| !snapshot.group.roles.is_empty());
        // The lists that groups beside one let in come with the second look.
        for _ in 0..2 {
            if let Err(error) = self.resolve_all(&mut snapshots, clusters).await {
                unread.push(Unread { what: "what rules refer to".to_owned(), source: error });
            }
        }
        snapshots
    }
}

/// What the groups beside one with a role let in: that was read already.
fn beside(snapshot: &mut GroupSnapshot, view: &View<'_>) -> Vec<Vec<Rule>> {
    if snapshot.group.roles.is_empty() {
        return Vec::new();
    }
    let let_in = |set: BTreeSet<String>| {
        let rules = set.iter().flat_map(|id| view.rules_of(id)).copied().filter(|rule| lets_in_addresses(rule));
        rules.cloned().collect()
    };
    std::mem::take(&mut snapshot.beside).into_iter().map(let_in).collect()
}

/// Gives each group its rules, in their order. Each of tens of thousands is moved, unless a group was read twice.
fn give_rules(snapshots: &mut [GroupSnapshot], rules: Vec<(String, Rule)>) {
    let mut at: HashMap<String, Vec<usize>> = HashMap::new();
    for (position, snapshot) in snapshots.iter().enumerate() {
        at.entry(snapshot.group.id.clone()).or_default().push(position);
    }
    for (group, rule) in rules {
        let Some((last, others)) = at.get(&group).and_then(|at| at.split_last()) else { continue };
        let mut give = |to: usize, rule| {
            if let Some(snapshot) = snapshots.get_mut(to) {
                snapshot.group.rules.push(rule);
            }
        };
        for other in others {
            give(*other, rule.clone());
        }
        give(*last, rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::Packets;
    use jiff::Timestamp;

    #[test]
    fn each_group_gets_its_rules_in_their_order_and_one_that_was_read_twice_gets_them_twice() {
        let snapshot = |id: &str| {
            let group = Group { id: id.to_owned(), ..Group::default() };
            GroupSnapshot::new(group, Timestamp::UNIX_EPOCH, &Arc::default())
        };
        let mut snapshots = ["sg-1", "sg-2", "sg-1", "sg-3"].map(snapshot);
        let rule = |(group, id): (&str, &str)| {
            let rule = Rule::new(Direction::Ingress, Packets::All, Peer::PrefixList("pl-1".to_owned()));
            (group.to_owned(), Rule { id: id.to_owned(), ..rule })
        };
        let rules = [("sg-1", "b"), ("sg-2", "c"), ("sg-1", "a"), ("sg-gone", "d")].map(rule);
        give_rules(&mut snapshots, rules.into());
        let ids =
            |snapshot: &GroupSnapshot| snapshot.group.rules.iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
        assert_eq!(snapshots.each_ref().map(ids), [vec!["b", "a"], vec!["c"], vec!["b", "a"], vec![]]);
    }
}
