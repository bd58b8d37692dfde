//! What saved answers say together: groups with their rules, clusters with their node groups, and where each of them lives.
//!
//! Where files contradict each other they were saved at different times: the rules with ids count, and it is said. Must not:
//! judge, or make a cluster of what only looks like one: that is for membership.

mod places;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(crate) use self::places::UNKNOWN;
use self::places::{Places, vpcs_by_name};
use super::kind::Kind;
pub(crate) use super::known::{KnownGroup, KnownList};
use super::planned::{self, Joined, Planned, PlannedCluster};
use super::store::{Presence, Saved, SavedNodes, Template};
use super::trails::KnownTrail;
use crate::audit::report::{MissingInput, Origin};
use crate::cluster::names::{self, Names};
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, NodeGroup, Rules};
use crate::model::group::UnreadableRule;
use crate::model::ids::{Arn, Location};
use crate::model::network::Network;
use crate::model::region::Addresses;
use crate::model::rule::{Peer, Rule};
use crate::model::text::{count, quoted};

/// Everything, joined.
#[derive(Debug, Default)]
pub struct Facts {
    pub(crate) kinds: BTreeMap<Kind, Presence>,
    pub(crate) groups: BTreeMap<String, KnownGroup>,
    /// By VPC, the ids of the groups.
    pub(crate) groups_of: BTreeMap<String, Vec<String>>,
    /// Interfaces, and what stands around them.
    pub(crate) network: Network,
    pub(crate) instances: Vec<Instance>,
    /// By group, positions of the instances that it is attached to.
    pub(crate) instances_of: HashMap<String, Vec<usize>>,
    /// By VPC, positions of what is there.
    pub(crate) interfaces_in: HashMap<String, Vec<usize>>,
    pub(crate) instances_in: HashMap<String, Vec<usize>>,
    /// Whether these are all instances of their VPCs.
    pub(crate) has_instances: bool,
    pub(crate) vpcs: BTreeMap<String, Addresses>,
    pub(crate) has_vpcs: bool,
    pub(crate) associations: BTreeMap<String, BTreeSet<String>>,
    /// Groups, each with a group that its rules name over a peering that is gone.
    pub(crate) stale: BTreeSet<(String, String)>,
    /// Groups that load balancers name.
    pub(crate) named_elsewhere: BTreeSet<String>,
    pub(crate) trails: Vec<KnownTrail>,
    pub(crate) lists: BTreeMap<String, KnownList>,
    pub(crate) clusters: Vec<(Location, Cluster)>,
    /// By location and name, the position of the cluster.
    pub(crate) clusters_at: BTreeMap<Location, BTreeMap<String, usize>>,
    /// Clusters of which nothing was saved but what names them.
    pub(crate) undescribed: BTreeSet<String>,
    /// Launch templates of node groups that were not saved: what names each, and the group.
    pub(crate) templates_missing: BTreeSet<(String, String)>,
    /// Clusters without any answer about their node groups.
    pub(crate) without_nodes: BTreeSet<String>,
    /// Groups that are attached somewhere, and whose rules were not saved.
    pub(crate) without_rules: BTreeSet<String>,
    /// What is not there yet, out of plans.
    pub(crate) planned: Planned,
    /// Where each group was read.
    pub(crate) origins: BTreeMap<String, Origin>,
    pub(crate) warnings: Vec<String>,
    /// What was asked of AWS itself and not answered; `None` for files.
    pub(crate) unread: Option<Vec<MissingInput>>,
}

impl Facts {
    /// Joins what was saved.
    pub fn of(saved: Saved) -> Self {
        let mut facts = Self {
            warnings: saved.warnings(),
            origins: saved.origins.clone(),
            kinds: saved.kinds.clone(),
            trails: saved.trails.known(),
            ..Self::default()
        };
        facts.has_instances = saved.is_whole(Kind::Instances);
        facts.has_vpcs = saved.is_whole(Kind::Vpcs);
        facts.warnings.extend(another_caller(&saved));
        facts.groups(&saved);
        facts.lists(&saved);
        facts.vpcs.clone_from(&saved.vpcs);
        let planned = planned::join(&mut facts.before_plans(), &saved.plans);
        facts.clusters(&saved, planned);
        let Saved { interfaces, instances, associations, stale, network, named_elsewhere, .. } = saved;
        facts.named_elsewhere = named_elsewhere;
        facts.network = network.joined(interfaces.into_values().collect(), |kind| facts.is_whole(kind));
        facts.instances = instances.into_values().collect();
        (facts.associations, facts.stale) = (associations, stale);
        facts.index();
        facts
    }

    /// The accounts and regions that have a cluster.
    pub fn locations(&self) -> BTreeSet<Location> {
        self.clusters_at.keys().cloned().collect()
    }

    /// The cluster of that name there.
    pub(crate) fn cluster(&self, location: &Location, name: &str) -> Option<&Cluster> {
        let at = self.clusters_at.get(location)?.get(name)?;
        self.clusters.get(*at).map(|(_, cluster)| cluster)
    }

    /// Whether there is something to judge, or it is known that there is not.
    pub fn knows_clusters(&self) -> bool {
        !self.clusters.is_empty() || self.is_whole(Kind::Clusters) && self.undescribed.is_empty()
    }

    /// Whether everything of this kind was saved.
    pub(crate) fn is_whole(&self, kind: Kind) -> bool {
        self.kinds.get(&kind).is_some_and(|presence| !presence.is_cut)
    }

    /// Names of the clusters.
    pub fn names_of_clusters(&self) -> BTreeSet<&str> {
        self.clusters.iter().map(|(_, cluster)| cluster.name.as_str()).collect()
    }

    /// The rules of these groups.
    pub(crate) fn rules_of(&self, groups: &[String]) -> Result<Rules, String> {
        let mut rules = Rules::default();
        for id in groups {
            let known = self.groups.get(id).ok_or_else(|| format!("the rules of {} were not saved", quoted(id)))?;
            rules.rules.extend(known.rules.iter().map(|rule| (id.clone(), rule.clone())));
            rules.unreadable.extend(known.unreadable.iter().map(|rule| (id.clone(), rule.clone())));
        }
        Ok(rules)
    }

    fn groups(&mut self, saved: &Saved) {
        let vpc_of: HashMap<&str, &str> = saved
            .interfaces
            .values()
            .flat_map(|interface| interface.groups.iter().map(|group| (group.as_str(), interface.vpc.as_str())))
            .collect();
        let mut unreadable: BTreeMap<&str, Vec<UnreadableRule>> = BTreeMap::new();
        for (group, rule) in &saved.unreadable {
            unreadable.entry(group).or_default().push(rule.clone());
        }
        let mut contradicting = Vec::new();
        let ids: BTreeSet<&String> = saved.groups.keys().chain(saved.rules.keys()).collect();
        for id in ids {
            let named = || GroupFacts {
                id: id.clone(),
                name: saved.names_of_groups.get(id).cloned().unwrap_or_default(),
                vpc: vpc_of.get(id.as_str()).map(|vpc| (*vpc).to_owned()).unwrap_or_default(),
                owner: saved.rule_owners.get(id).cloned().unwrap_or_default(),
                ..GroupFacts::default()
            };
            let facts = saved.groups.get(id).cloned().unwrap_or_else(named);
            let (rules, is_contradicted) = rules(saved, id);
            if is_contradicted {
                contradicting.push(id.clone());
            }
            // With ids a rule is unreadable once; without, the other answer says the same again.
            let mut unreadable = unreadable.remove(id.as_str()).unwrap_or_default();
            if unreadable.iter().any(|rule| rule.id.is_some()) {
                unreadable.retain(|rule| rule.id.is_some());
            }
            self.groups.insert(id.clone(), KnownGroup { facts, rules, unreadable });
        }
        if let Some(one) = contradicting.first() {
            self.warnings.push(format!(
                "the rules of {}, such as {}, are not the same in `security-groups` and `security-group-rules`: the files \
                 were saved at different times, and the rules with ids count",
                count(contradicting.len(), "group"),
                quoted(one)
            ));
        }
        let attached = saved.interfaces.values().flat_map(|interface| &interface.groups);
        let attached = attached.chain(saved.instances.values().flat_map(|instance| &instance.groups));
        self.without_rules = attached.filter(|id| !self.groups.contains_key(*id)).cloned().collect();
    }

    fn before_plans(&mut self) -> Joined<'_> {
        let Self { groups, vpcs, lists, origins, warnings, planned, .. } = self;
        Joined { groups, vpcs, lists, origins, warnings, planned }
    }

    /// Those of plans stand beside those that were saved. One that is there has the groups that the plan gives it.
    fn planned_clusters(&mut self, place: &Places<'_>, planned: Vec<PlannedCluster>) {
        for PlannedCluster { cluster, region } in planned {
            if let Some((_, known)) = self.clusters.iter_mut().find(|(_, known)| known.name == cluster.name) {
                known.control_plane_groups.extend(cluster.control_plane_groups);
                known.control_plane_groups.sort();
                known.control_plane_groups.dedup();
                let names: BTreeSet<String> = known.node_groups.iter().map(|nodes| nodes.name.clone()).collect();
                let new = cluster.node_groups.into_iter().filter(|nodes| !names.contains(&nodes.name));
                known.node_groups.extend(new);
                continue;
            }
            let mut location = place.of_cluster(&cluster);
            if let Some(region) = region.filter(|_| location.region == UNKNOWN) {
                location.region = region;
            }
            if cluster.cluster_group.is_none() {
                self.planned.clusters.insert(cluster.name.clone());
            }
            self.clusters.push((location, cluster));
        }
    }

    fn clusters(&mut self, saved: &Saved, planned: Vec<PlannedCluster>) {
        let place = Places::of(saved);
        let mut nodes_of: HashMap<&str, Vec<&SavedNodes>> = HashMap::new();
        for nodes in &saved.nodes {
            nodes_of.entry(&nodes.cluster).or_default().push(nodes);
        }
        let nodes_of = |name: &str| nodes_of.get(name).into_iter().flatten().copied();
        for cluster in &saved.clusters {
            let mut cluster = cluster.clone();
            let location = place.of_cluster(&cluster);
            let is_its = |nodes: &&SavedNodes| {
                let arn = nodes.arn.as_deref().and_then(Arn::parse);
                arn.is_none_or(|arn| cluster.arn.is_none() || Location::new(arn.account, arn.region) == location)
            };
            let nodes: Vec<NodeGroup> =
                nodes_of(&cluster.name).filter(is_its).map(|nodes| self.with_template(saved, nodes)).collect();
            if nodes.is_empty() && !saved.has(Kind::NodeGroups) {
                self.without_nodes.insert(cluster.name.clone());
            }
            cluster.node_groups = nodes;
            self.clusters.push((location, cluster));
        }
        self.planned_clusters(&place, planned);
        let described: BTreeSet<String> = self.clusters.iter().map(|(_, cluster)| cluster.name.clone()).collect();
        let interfaces: Vec<Interface> = saved.interfaces.values().cloned().collect();
        let instances: Vec<Instance> = saved.instances.values().cloned().collect();
        let facts = || self.groups.values().map(|group| &group.facts);
        let Names { by_aws, ordinary } = names::names(facts(), &interfaces, &instances);
        // What lists all clusters says which there are; else AWS's own words do, and without any description all tags.
        let locations: BTreeSet<&Location> = self.clusters.iter().map(|(location, _)| location).collect();
        let is_listed =
            |name: &String| locations.len() > 1 || !saved.is_whole(Kind::Clusters) || saved.names.contains(name);
        let ordinary = ordinary.into_iter().filter(|_| described.is_empty());
        let of_nodes = saved.nodes.iter().map(|nodes| nodes.cluster.clone());
        let named: BTreeSet<String> = by_aws
            .into_iter()
            .chain(ordinary)
            .chain(of_nodes)
            .filter(is_listed)
            .chain(saved.names.iter().cloned())
            .collect();
        let undescribed: Vec<String> = named.into_iter().filter(|name| !described.contains(name)).collect();
        let mut named_in =
            if undescribed.is_empty() { BTreeMap::new() } else { vpcs_by_name(facts(), &interfaces, &instances) };
        for name in undescribed {
            let node_groups: Vec<NodeGroup> = nodes_of(&name).map(|nodes| self.with_template(saved, nodes)).collect();
            let mut locations = BTreeSet::new();
            for vpc in named_in.remove(&name).unwrap_or_default() {
                let location = place.of_vpc(&vpc);
                if !locations.insert(location.clone()) {
                    continue;
                }
                // It may be a local one: then a group of EKS's own must not be touched.
                let cluster = Cluster { name: name.clone(), vpc, is_local: true, ..Cluster::default() };
                self.clusters.push((location, Cluster { node_groups: node_groups.clone(), ..cluster }));
            }
            self.undescribed.insert(name);
        }
    }

    /// A node group with the groups of its launch template.
    fn with_template(&mut self, saved: &Saved, nodes: &SavedNodes) -> NodeGroup {
        let mut found = nodes.nodes.clone();
        let Some([id, name, version]) = &nodes.template else { return found };
        let is_it = |template: &&Template| match (id, name) {
            (Some(id), _) => template.id == *id,
            (None, Some(name)) => template.name == *name,
            (None, None) => false,
        };
        let newest = || {
            let of_it = saved.templates.iter().filter(is_it);
            of_it.filter_map(|template| template.version.parse::<u64>().ok()).max().map(|newest| newest.to_string())
        };
        // Without a version EKS takes the template's default one.
        let version = match version.as_deref().unwrap_or("$Default") {
            "$Default" => None,
            "$Latest" => newest(),
            version => Some(version.to_owned()),
        };
        let is_version = |template: &&Template| match &version {
            Some(version) => template.version == *version,
            None => template.is_default,
        };
        if let Some(template) = saved.templates.iter().filter(is_it).find(is_version) {
            found.template_groups = template.groups.iter().cloned().collect();
        } else {
            let which = id.as_ref().or(name.as_ref()).cloned().unwrap_or_default();
            self.templates_missing.insert((which, version.unwrap_or_else(|| "$Default".to_owned())));
        }
        found
    }

    fn lists(&mut self, saved: &Saved) {
        let entries_are_whole = !saved.kinds.get(&Kind::Entries).is_some_and(|presence| presence.is_cut);
        let ids: BTreeSet<&String> = saved.lists.keys().chain(saved.entries.keys()).collect();
        for id in ids {
            let known = saved.lists.get(id).cloned().unwrap_or_default();
            let entries = saved.entries.get(id).filter(|_| entries_are_whole);
            let entries = entries.map(|entries| entries.iter().copied().collect());
            let list = KnownList { owner: known.owner, name: known.name, state: known.state, entries };
            self.lists.insert(id.clone(), list);
        }
    }

    fn index(&mut self) {
        for (at, interface) in self.network.interfaces.iter().enumerate() {
            self.interfaces_in.entry(interface.vpc.clone()).or_default().push(at);
            for group in &interface.groups {
                // Attached in another VPC, so it is associated with that one.
                let home = self.groups.get(group).map(|known| known.facts.vpc.as_str());
                if home.is_some_and(|home| !home.is_empty() && home != interface.vpc) {
                    self.associations.entry(group.clone()).or_default().insert(interface.vpc.clone());
                }
            }
        }
        for (at, instance) in self.instances.iter().enumerate() {
            self.instances_in.entry(instance.vpc.clone()).or_default().push(at);
            for group in &instance.groups {
                self.instances_of.entry(group.clone()).or_default().push(at);
            }
        }
        for (at, (location, cluster)) in self.clusters.iter().enumerate() {
            self.clusters_at.entry(location.clone()).or_default().entry(cluster.name.clone()).or_insert(at);
        }
        for (id, group) in &self.groups {
            self.groups_of.entry(group.facts.vpc.clone()).or_default().push(id.clone());
        }
    }
}

/// Where the answers are of other accounts than the one that was asked as.
fn another_caller(saved: &Saved) -> Option<String> {
    let (caller, more) = (saved.accounts.first()?, saved.accounts.len() > 1);
    let arns = saved.clusters.iter().filter_map(|cluster| cluster.arn.as_deref().and_then(Arn::parse));
    let owners: BTreeSet<&str> = arns.map(|arn| arn.account).collect();
    let is_other = !more && !owners.is_empty() && !owners.contains(caller.as_str());
    let others: Vec<String> = owners.iter().map(|owner| quoted(owner)).collect();
    is_other.then(|| {
        format!(
            "`get-caller-identity` was saved as account {}, and the clusters are of {}: \
             are these files of one account?",
            quoted(caller),
            others.join(", ")
        )
    })
}

/// The rules of a group, and whether two answers differ about them.
fn rules(saved: &Saved, group: &str) -> (Vec<Rule>, bool) {
    let mut rules = saved.rules.get(group).cloned().unwrap_or_default();
    let Some(permissions) = saved.permissions.get(group) else { return (rules, false) };
    let is_listed = saved.rules.contains_key(group);
    let is_cut = saved.kinds.get(&Kind::Rules).is_some_and(|presence| presence.is_cut);
    let key = |rule: &Rule| (rule.direction, rule.packets, peer_key(&rule.peer));
    let known: BTreeSet<_> = rules.iter().map(key).collect();
    let others: Vec<Rule> = permissions.iter().filter(|rule| !known.contains(&key(rule))).cloned().collect();
    if !is_listed || is_cut {
        rules.extend(others);
        return (rules, false);
    }
    let permitted: BTreeSet<_> = permissions.iter().map(key).collect();
    let differ = !others.is_empty() || rules.iter().any(|rule| !permitted.contains(&key(rule)));
    (rules, differ)
}

/// A peer as both answers have it.
fn peer_key(peer: &Peer) -> String {
    peer.to_string()
}
