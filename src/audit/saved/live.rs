//! What AWS answers now, asked through the guard's own doors and kept as saved answers are: what follows is the same audit.
//!
//! Owns: what is asked, in which order, and what is said of what was not answered. Must not: judge, change anything, or take
//! for empty what was not read. A reading can be dropped at any point; what it holds by then counts.

mod unread;

pub use unread::{is_about_credentials, why};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::{join, join4};
use futures::stream::{self, StreamExt as _};

use self::unread::{STEPS, row};
use super::facts::Facts;
use super::kind::Kind;
use super::store::{Presence, Saved, SavedList, SavedNodes};
use crate::audit::report::MissingInput;
use crate::cluster::names;
use crate::model::error::CloudError;
use crate::model::facts::{Instances, NodeGroups, Selector};
use crate::model::ids::Location;
use crate::model::text::{count, plain};
use crate::ports::{Ec2, Eks, Surroundings, Trails};

/// Asked at the same time in one region: few, since others work in the account and share its limits.
const MAX_CONCURRENT_READS: usize = 4;
/// Groups whose rules are asked for together.
const MAX_GROUPS: usize = 200;

/// Where a region is asked.
#[derive(Clone)]
pub struct Doors {
    /// EC2 there.
    pub ec2: Arc<dyn Ec2>,
    /// EKS there.
    pub eks: Arc<dyn Eks>,
    /// What stands between its interfaces and the internet.
    pub surroundings: Arc<dyn Surroundings>,
    /// `CloudTrail` there.
    pub trails: Arc<dyn Trails>,
}

/// What was read of a region so far.
#[derive(Debug)]
pub struct Reading {
    location: Location,
    saved: Saved,
    /// What is still to be read.
    left: BTreeSet<Kind>,
    unread: Vec<MissingInput>,
    without_nodes: BTreeSet<String>,
}

impl Reading {
    /// Nothing yet.
    pub fn of(location: Location) -> Self {
        let mut saved = Saved::default();
        saved.accounts.insert(location.account.clone());
        let left = STEPS.iter().map(|(kind, _)| *kind).collect();
        Self { location, saved, left, unread: Vec::new(), without_nodes: BTreeSet::new() }
    }

    /// Reads everything. `say` hears what is asked for next.
    pub async fn read(&mut self, doors: &Doors, say: &(dyn Fn(&str) + Sync)) {
        say("clusters");
        let names = doors.eks.names().await;
        if matches!(&names, Ok(names) if names.is_empty()) {
            // Without a cluster no group is in scope, so nothing else matters.
            self.whole(Kind::Clusters);
            self.left.clear();
            return;
        }
        say("VPCs");
        let everywhere = Selector::Vpcs(Vec::new());
        let (ranges, associations) = join(doors.ec2.vpc_ranges(), doors.ec2.associations(&everywhere)).await;
        let ranges = self.kept(Kind::Vpcs, ranges).unwrap_or_default();
        for vpc in ranges.keys() {
            let hints = self.saved.places.entry(vpc.clone()).or_default();
            hints.owners.insert(self.location.account.clone(), 1);
            hints.regions.insert(self.location.region.clone());
        }
        self.saved.vpcs = ranges;
        self.saved.associations = self.kept(Kind::Associations, associations).unwrap_or_default();
        let names = self.kept(Kind::Clusters, names);
        if let Some(names) = &names {
            self.saved.names.extend(names.iter().cloned());
            self.clusters(doors, names.clone(), say).await;
        }
        self.groups_and_attachments(doors, say).await;
        if names.is_none() {
            let (interfaces, instances): (Vec<_>, Vec<_>) =
                (self.saved.interfaces.values().cloned().collect(), self.saved.instances.values().cloned().collect());
            let named = names::names(self.saved.groups.values(), &interfaces, &instances).by_aws;
            self.clusters(doors, named.into_iter().collect(), say).await;
        }
        self.rules(doors, say).await;
        self.lists(doors, say).await;
        self.surroundings(doors, say).await;
        say("trails");
        let trails = doors.trails.trails().await;
        if let Some(trails) = self.kept(Kind::Trails, trails) {
            self.saved.trails.shown(trails);
        }
    }

    /// What an audit works with.
    pub fn facts(mut self) -> Facts {
        if self.left.contains(&Kind::Rules) {
            // A group is not without rules because nobody asked for them.
            let Saved { groups, rules, kinds, .. } = &mut self.saved;
            groups.retain(|id, _| rules.contains_key(id));
            kinds.remove(&Kind::Groups);
        }
        if !self.left.is_empty() {
            let what: Vec<&str> =
                STEPS.iter().filter(|(kind, _)| self.left.contains(kind)).map(|(kind, _)| kind.word()).collect();
            self.unread.push(MissingInput {
                what: format!("the rest of {}", plain(&self.location.region)),
                costs: format!("it was interrupted before these were read in full: {}", what.join(", ")),
                command: "run it again, and let it end".to_owned(),
            });
        }
        let mut facts = Facts::of(self.saved);
        facts.without_nodes = self.without_nodes;
        facts.unread = Some(self.unread);
        facts
    }

    /// Whether all was read.
    pub fn is_whole(&self) -> bool {
        self.left.is_empty() && self.unread.is_empty()
    }

    fn whole(&mut self, kind: Kind) {
        self.left.remove(&kind);
        self.saved.kinds.insert(kind, Presence { answers: 1, is_cut: false });
    }

    fn kept<T>(&mut self, kind: Kind, answer: Result<T, CloudError>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.whole(kind);
                Some(answer)
            }
            Err(error) => {
                self.lost(kind, kind.word(), &error);
                None
            }
        }
    }

    /// Says what was not answered, why, and what to do.
    fn lost(&mut self, kind: Kind, what: &str, error: &CloudError) {
        self.left.remove(&kind);
        let what = format!("{what} in {}", plain(&self.location.region));
        self.saved.warn(format!("{what} could not be read: {}", why(error)));
        let row = row(kind, what, error);
        if !self.unread.contains(&row) {
            self.unread.push(row);
        }
    }

    async fn clusters(&mut self, doors: &Doors, names: Vec<String>, say: &(dyn Fn(&str) + Sync)) {
        say(&count(names.len(), "cluster"));
        let mut answers = stream::iter(names)
            .map(|name| async move {
                let (cluster, nodes) =
                    join(doors.eks.cluster(&name), doors.eks.node_groups(&name, &NodeGroups::All)).await;
                (name, cluster, nodes)
            })
            .buffered(MAX_CONCURRENT_READS);
        let mut are_whole = [true, true];
        while let Some((name, cluster, nodes)) = answers.next().await {
            match cluster {
                Ok(Some(cluster)) => self.saved.clusters.push(cluster),
                // It went away meanwhile.
                Ok(None) => {
                    self.saved.names.remove(&name);
                    continue;
                }
                Err(error) => {
                    are_whole = [false, are_whole[1]];
                    self.lost(Kind::Cluster, &format!("cluster `{}`", plain(&name)), &error);
                }
            }
            match nodes {
                Ok(found) => self.saved.nodes.extend(found.into_iter().map(|nodes| SavedNodes {
                    cluster: name.clone(),
                    arn: None,
                    nodes,
                    template: None,
                })),
                Err(error) => {
                    are_whole = [are_whole[0], false];
                    self.lost(Kind::NodeGroup, &format!("node groups of `{}`", plain(&name)), &error);
                    self.without_nodes.insert(name);
                }
            }
        }
        for (kind, is_whole) in [Kind::Cluster, Kind::NodeGroup].into_iter().zip(are_whole) {
            self.left.remove(&kind);
            if is_whole {
                self.whole(kind);
            }
        }
        // Of a cluster whose node groups were not answered it is said by itself.
        self.saved.kinds.insert(Kind::NodeGroups, Presence { answers: 1, is_cut: false });
    }

    /// Of all VPCs; where these are not known, of those of the clusters.
    async fn groups_and_attachments(&mut self, doors: &Doors, say: &(dyn Fn(&str) + Sync)) {
        let are_all = self.saved.is_whole(Kind::Vpcs);
        let of_clusters = self.saved.clusters.iter().map(|cluster| cluster.vpc.clone());
        let vpcs: BTreeSet<String> = self.saved.vpcs.keys().cloned().chain(of_clusters).collect();
        let vpcs: Vec<String> = vpcs.into_iter().filter(|vpc| !vpc.is_empty()).collect();
        say(&format!("groups and what they are attached to in {}", count(vpcs.len(), "VPC")));
        let selector = Selector::Vpcs(vpcs.clone());
        let groups = doors.ec2.groups(&selector).await;
        if let Some(groups) = self.kept(Kind::Groups, groups) {
            self.saved.groups.extend(groups.into_iter().map(|group| (group.id.clone(), group)));
        }
        let instances = Instances::Vpcs(vpcs);
        let (interfaces, instances) = join(doors.ec2.interfaces(&selector), doors.ec2.instances(&instances)).await;
        if let Some(interfaces) = self.kept(Kind::Interfaces, interfaces) {
            let found = interfaces.found.into_iter();
            self.saved.interfaces.extend(found.map(|interface| (interface.id.clone(), interface)));
            self.saved.kinds.entry(Kind::Interfaces).or_default().is_cut |= !interfaces.is_complete;
        }
        if let Some(instances) = self.kept(Kind::Instances, instances) {
            self.saved.instances.extend(instances.into_iter().map(|instance| (instance.id.clone(), instance)));
        }
        if !are_all {
            for kind in [Kind::Groups, Kind::Interfaces, Kind::Instances] {
                self.saved.kinds.remove(&kind);
            }
        }
    }

    /// Group by group, so that what was read counts wherever it ends.
    async fn rules(&mut self, doors: &Doors, say: &(dyn Fn(&str) + Sync)) {
        let ids: Vec<String> = self.saved.groups.keys().cloned().collect();
        let all = ids.len();
        let batches: Vec<Vec<String>> = ids.chunks(MAX_GROUPS).map(<[String]>::to_vec).collect();
        let mut answers = stream::iter(batches)
            .map(|ids| async move { (doors.ec2.rules(&ids).await, ids) })
            .buffered(MAX_CONCURRENT_READS);
        let (mut done, mut unread) = (0, BTreeSet::new());
        say(&format!("the rules of {}", count(all, "group")));
        while let Some((answer, ids)) = answers.next().await {
            done += ids.len();
            say(&format!("the rules of {done} of {}", count(all, "group")));
            match answer {
                Ok(found) => {
                    for id in ids {
                        self.saved.rules.entry(id).or_default();
                    }
                    for (group, rule) in found.rules {
                        self.saved.rules.entry(group).or_default().push(rule);
                    }
                    self.saved.unreadable.extend(found.unreadable);
                    self.saved.stale.extend(found.stale);
                }
                Err(error) => {
                    self.lost(Kind::Rules, Kind::Rules.word(), &error);
                    unread.extend(ids);
                }
            }
        }
        self.left.remove(&Kind::Rules);
        if unread.is_empty() {
            self.whole(Kind::Rules);
            return;
        }
        self.saved.groups.retain(|id, _| !unread.contains(id));
        self.saved.kinds.remove(&Kind::Groups);
    }

    /// Whether what is open to the internet can be reached.
    async fn surroundings(&mut self, doors: &Doors, say: &(dyn Fn(&str) + Sync)) {
        say("subnets, routes and network ACLs");
        let there = &doors.surroundings;
        let (subnets, tables, gateways, acls) =
            join4(there.subnets(), there.route_tables(), there.gateways(), there.acls()).await;
        if let Some(subnets) = self.kept(Kind::Subnets, subnets) {
            self.saved.network.subnets = subnets;
        }
        if let Some(tables) = self.kept(Kind::RouteTables, tables) {
            self.saved.network.tables = tables.into_iter().map(|table| (table.id.clone(), table)).collect();
        }
        if let Some(gateways) = self.kept(Kind::Gateways, gateways) {
            self.saved.network.gateways = gateways;
        }
        if let Some(acls) = self.kept(Kind::NetworkAcls, acls) {
            self.saved.network.acls = acls.into_iter().map(|acl| (acl.id.clone(), acl)).collect();
        }
    }

    /// The prefix lists that rules name.
    async fn lists(&mut self, doors: &Doors, say: &(dyn Fn(&str) + Sync)) {
        let named = self.saved.rules.values().flatten().filter_map(|rule| rule.peer.prefix_list().map(str::to_owned));
        let named: BTreeSet<String> = named.collect();
        say(&count(named.len(), "prefix list"));
        let mut answers = stream::iter(named)
            .map(|id| async move { (doors.ec2.prefix_list(&id).await, id) })
            .buffered(MAX_CONCURRENT_READS);
        let mut lists = BTreeMap::new();
        while let Some((answer, id)) = answers.next().await {
            match answer {
                Ok(found) => {
                    self.saved.entries.insert(id.clone(), found.entries.blocks().into_iter().collect());
                    let state = String::new();
                    lists.insert(id, SavedList { owner: found.owner, name: found.name, state });
                }
                // It is said of the rules that name it.
                Err(CloudError::ListChanging { state }) => {
                    lists.insert(id, SavedList { state, ..SavedList::default() });
                }
                Err(CloudError::ListGone(_)) => {
                    let (id, region) = (plain(&id), plain(&self.location.region));
                    self.saved.warn(format!(
                        "prefix list `{id}` in {region} is gone, or no longer shared with this account, so rules that \
                         name it could not be judged"
                    ));
                }
                Err(error) => self.lost(Kind::Entries, &format!("prefix list `{}`", plain(&id)), &error),
            }
        }
        drop(answers);
        self.saved.lists.extend(lists);
        self.whole(Kind::Lists);
        self.whole(Kind::Entries);
    }
}
