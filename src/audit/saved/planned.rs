//! What will be after a plan: its groups, rules and clusters joined with what was saved, before they exist.
//!
//! What has no id yet is called by its address. Must not: take for absent what is known only after apply.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::known::{KnownGroup, KnownList};
use super::plan::rules::{self, GROUPS, RULES};
use super::plan::{Plan, Resource};
use crate::audit::report::Origin;
use crate::model::facts::{Cluster, GroupFacts, NodeGroup, Tags};
use crate::model::group::UnreadableRule;
use crate::model::ids::{Arn, Resource as Id};
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::model::text::{count, plain};

/// Where groups are whose VPC is known only after apply.
const SOME_VPC: &str = "planned";
const VPCS: [&str; 2] = ["aws_vpc", "aws_default_vpc"];
/// Addresses named in one warning.
const MAX_NAMED: usize = 5;

/// What comes of plans.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    /// Groups that have no id yet, by their addresses.
    pub(crate) groups: BTreeSet<String>,
    /// Clusters that are not there yet.
    pub(crate) clusters: BTreeSet<String>,
    /// Rules that are not there yet: the group and what the rule is called.
    rules: BTreeSet<(String, String)>,
}

impl Planned {
    /// Whether this rule is not there yet.
    pub(crate) fn has(&self, group: &str, rule: &str) -> bool {
        self.rules.contains(&(group.to_owned(), rule.to_owned()))
    }
}

/// What plans are joined with.
pub(super) struct Joined<'a> {
    pub(super) groups: &'a mut BTreeMap<String, KnownGroup>,
    pub(super) vpcs: &'a mut BTreeMap<String, Addresses>,
    pub(super) lists: &'a mut BTreeMap<String, KnownList>,
    pub(super) origins: &'a mut BTreeMap<String, Origin>,
    pub(super) warnings: &'a mut Vec<String>,
    pub(super) planned: &'a mut Planned,
}

/// A cluster of a plan.
pub(super) struct PlannedCluster {
    pub(super) cluster: Cluster,
    /// In a VPC where nothing else says the region.
    pub(super) region: Option<String>,
}

/// Its id, or its address while it has none.
fn id_of(resource: &Resource) -> String {
    resource.text("id").map_or_else(|| resource.address.clone(), str::to_owned)
}

/// Joins the groups, rules and lists of plans, and gives their clusters.
pub(super) fn join(facts: &mut Joined<'_>, plans: &[Plan]) -> Vec<PlannedCluster> {
    let mut clusters = Vec::new();
    for plan in plans {
        let mut unplaced = Vec::new();
        vpcs(facts, plan);
        lists(facts, plan);
        groups(facts, plan);
        for resource in plan.resources.iter().filter(|one| RULES.iter().any(|(kind, _)| *kind == one.kind)) {
            if !rule(facts, plan, resource) {
                unplaced.push(plain(&resource.address));
            }
        }
        if !unplaced.is_empty() {
            let shown: Vec<&str> = unplaced.iter().take(MAX_NAMED).map(String::as_str).collect();
            facts.warnings.push(format!(
                "of {}, such as {}, the plan does not say whose they are before it is applied: they could not be judged",
                count(unplaced.len(), "planned rule"),
                shown.join(", ")
            ));
        }
        if plan.is_partial {
            facts
                .warnings
                .push("Terraform calls the plan incomplete: there is more to come that it does not show".to_owned());
        }
        let of_plan = plan.resources.iter().filter(|one| one.kind == "aws_eks_cluster" && !one.is_gone());
        let of_plan: Vec<PlannedCluster> = of_plan.filter_map(|one| cluster(facts, plan, one)).collect();
        clusters.extend(of_plan);
    }
    clusters
}

fn vpcs(facts: &mut Joined<'_>, plan: &Plan) {
    for vpc in plan.resources.iter().filter(|one| VPCS.contains(&one.kind.as_str()) && !one.is_gone()) {
        let ranges = [vpc.text("cidr_block"), vpc.text("ipv6_cidr_block")];
        // A range that is not known yet could be anything.
        if let Ok(ranges) = Addresses::of_blocks(ranges.into_iter().flatten())
            && !vpc.is_unknown("cidr_block")
            && vpc.after.get("assign_generated_ipv6_cidr_block").and_then(Value::as_bool) != Some(true)
        {
            facts.vpcs.entry(id_of(vpc)).or_insert(ranges);
        }
    }
}

fn lists(facts: &mut Joined<'_>, plan: &Plan) {
    for list in plan.resources.iter().filter(|one| one.kind == "aws_ec2_managed_prefix_list" && !one.is_gone()) {
        let cidrs = list.after.get("entry").and_then(Value::as_array).into_iter().flatten();
        let cidrs: Option<Vec<&str>> = cidrs.map(|entry| entry.get("cidr").and_then(Value::as_str)).collect();
        let entries: Option<Addresses> =
            cidrs.filter(|_| !list.is_unknown("entry")).and_then(|cidrs| Addresses::of_blocks(cidrs).ok());
        let text = |key: &str| list.text(key).unwrap_or_default().to_owned();
        let known = KnownList { owner: text("owner_id"), name: text("name"), state: String::new(), entries };
        facts.lists.insert(id_of(list), known);
    }
}

fn groups(facts: &mut Joined<'_>, plan: &Plan) {
    for resource in plan.resources.iter().filter(|one| GROUPS.contains(&one.kind.as_str())) {
        if resource.is_gone() {
            let id = resource.before.get("id").and_then(Value::as_str).unwrap_or_default();
            facts.groups.remove(id);
            continue;
        }
        let id = id_of(resource);
        let is_planned = !Id::Group.is_id(&id);
        if !facts.groups.contains_key(&id) {
            let known = KnownGroup { facts: group(plan, resource, &id), ..KnownGroup::default() };
            facts.groups.insert(id.clone(), known);
            facts.origins.entry(id.clone()).or_insert_with(|| plan.origin.clone());
        }
        if is_planned {
            facts.planned.groups.insert(id.clone());
        }
        let (gone, new) = (rules::before(plan, resource, &id), rules::within(plan, resource, &id, &id_of));
        change(facts, &plan.origin, &id, &gone, new);
    }
}

fn group(plan: &Plan, resource: &Resource, id: &str) -> GroupFacts {
    let text = |key: &str| resource.text(key).unwrap_or_default().to_owned();
    let prefix = resource.text("name_prefix").map(|prefix| format!("{prefix}…"));
    let referred = || plan.referred(resource, &["vpc_id"], &VPCS).first().map(|vpc| id_of(vpc));
    GroupFacts {
        id: id.to_owned(),
        name: resource.text("name").map(str::to_owned).or(prefix).unwrap_or_default(),
        vpc: resource.text("vpc_id").map(str::to_owned).or_else(referred).unwrap_or_else(|| SOME_VPC.to_owned()),
        owner: text("owner_id"),
        tags: tags(resource),
    }
}

fn tags(resource: &Resource) -> Tags {
    let all = resource.after.get("tags_all").or_else(|| resource.after.get("tags"));
    let all = all.and_then(Value::as_object).into_iter().flatten();
    all.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// Adds what a rule of its own will be. `false`: whose it is is not known.
fn rule(facts: &mut Joined<'_>, plan: &Plan, resource: &Resource) -> bool {
    let known = |values: &Value| values.get("security_group_id").and_then(Value::as_str).map(str::to_owned);
    if let Some(group) = known(&resource.before) {
        let gone = rules::before(plan, resource, &group);
        change(facts, &plan.origin, &group, &gone, Vec::new());
    }
    if resource.is_gone() {
        return true;
    }
    let referred = || match plan.referred(resource, &["security_group_id"], &GROUPS).as_slice() {
        [one] => Some(id_of(one)),
        _ => None,
    };
    let Some(group) = known(&resource.after).or_else(referred) else { return false };
    let new = rules::alone(plan, resource, &group, &id_of);
    change(facts, &plan.origin, &group, &[], new);
    true
}

/// What two rules are the same by.
fn key(rule: &Rule) -> (Direction, Packets, String) {
    let peer = match &rule.peer {
        Peer::Group { id, .. } => id.clone(),
        peer => peer.to_string(),
    };
    (rule.direction, rule.packets, peer)
}

/// Takes rules from a group and gives it others. One that stays as it is keeps its id.
fn change(facts: &mut Joined<'_>, origin: &Origin, group: &str, gone: &[Rule], new: Vec<rules::Planned>) {
    let mut will_be: Vec<Rule> = Vec::new();
    let mut unknown = Vec::new();
    for rule in new {
        match rule {
            Ok(rule) => will_be.push(rule),
            Err(why) => unknown.push(UnreadableRule { id: None, why: plain(&why) }),
        }
    }
    if !facts.groups.contains_key(group) && will_be.is_empty() && unknown.is_empty() {
        return;
    }
    let known = facts.groups.entry(group.to_owned()).or_insert_with(|| KnownGroup {
        facts: GroupFacts { id: group.to_owned(), vpc: SOME_VPC.to_owned(), ..GroupFacts::default() },
        ..KnownGroup::default()
    });
    facts.origins.entry(group.to_owned()).or_insert_with(|| origin.clone());
    let stays: BTreeSet<_> = will_be.iter().map(key).collect();
    let gone: BTreeSet<_> = gone.iter().map(key).filter(|key| !stays.contains(key)).collect();
    known.rules.retain(|rule| !gone.contains(&key(rule)));
    let mut there: BTreeSet<_> = known.rules.iter().map(key).collect();
    for rule in will_be {
        if there.insert(key(&rule)) {
            if !rule.id.starts_with("sgr-") {
                facts.planned.rules.insert((group.to_owned(), rule.id.clone()));
            }
            known.rules.push(rule);
        }
    }
    known.unreadable.extend(unknown);
}

/// A cluster that will be. One that was saved gets the groups that the plan gives it.
fn cluster(facts: &mut Joined<'_>, plan: &Plan, resource: &Resource) -> Option<PlannedCluster> {
    let name = resource.text("name")?;
    let network = resource.block("vpc_config").cloned().unwrap_or_default();
    let unknown = resource.unknown.get("vpc_config").and_then(|blocks| blocks.get(0)).cloned().unwrap_or_default();
    let texts = |key: &str| {
        let items = network.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let text = |key: &str| network.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let is_unknown = |key: &str| unknown.get(key).is_some_and(super::plan::holds_true);
    let mut control_plane_groups = texts("security_group_ids");
    let referred = plan.referred(resource, &["vpc_config", "security_group_ids"], &GROUPS);
    if is_unknown("security_group_ids") && referred.is_empty() {
        facts.warnings.push(format!(
            "which groups the control plane of planned cluster `{}` will have is known only after apply",
            plain(name)
        ));
    }
    control_plane_groups.extend(referred.iter().map(|group| id_of(group)));
    control_plane_groups.sort();
    control_plane_groups.dedup();
    let is_public = network.get("endpoint_public_access").and_then(Value::as_bool) == Some(true);
    if is_public && is_unknown("public_access_cidrs") {
        facts.warnings.push(format!(
            "who may call the public API of planned cluster `{}` is known only after apply: without `public_access_cidrs` \
             EKS lets in everybody",
            plain(name)
        ));
    }
    let public = texts("public_access_cidrs");
    let public_endpoint =
        Addresses::of_blocks(public.iter().map(String::as_str).filter(|_| is_public)).unwrap_or_default();
    let first_vpc = control_plane_groups.iter().find_map(|id| Some(facts.groups.get(id)?.facts.vpc.clone()));
    let vpc = text("vpc_id").or(first_vpc).or_else(|| only_vpc(facts, plan)).unwrap_or_else(|| SOME_VPC.to_owned());
    let is_ipv6 =
        resource.block("kubernetes_network_config").and_then(|block| block.get("ip_family")?.as_str()) == Some("ipv6");
    let cluster = Cluster {
        name: name.to_owned(),
        vpc,
        cluster_group: text("cluster_security_group_id"),
        control_plane_groups,
        public_endpoint,
        is_ipv6,
        role_arn: resource.text("role_arn").map(str::to_owned),
        arn: resource.text("arn").filter(|arn| Arn::parse(arn).is_some()).map(str::to_owned),
        node_groups: node_groups(plan, resource, name),
        ..Cluster::default()
    };
    Some(PlannedCluster { cluster, region: plan.region.clone() })
}

/// The VPC of all groups of the plan, if it is one.
fn only_vpc(facts: &Joined<'_>, plan: &Plan) -> Option<String> {
    let groups = plan.resources.iter().filter(|one| GROUPS.contains(&one.kind.as_str()) && !one.is_gone());
    let vpcs: BTreeSet<&str> =
        groups.filter_map(|one| Some(facts.groups.get(&id_of(one))?.facts.vpc.as_str())).collect();
    vpcs.first().filter(|_| vpcs.len() == 1).map(|vpc| (*vpc).to_owned())
}

/// The node groups of a planned cluster, with what their launch templates put on nodes.
fn node_groups(plan: &Plan, cluster: &Resource, name: &str) -> Vec<NodeGroup> {
    let is_its = |one: &&Resource| {
        let is_referred = || {
            let referred = plan.referred(one, &["cluster_name"], &["aws_eks_cluster"]);
            referred.iter().any(|found| found.address == cluster.address)
        };
        let is_of_it = || one.text("cluster_name").map_or_else(is_referred, |known| known == name);
        one.kind == "aws_eks_node_group" && !one.is_gone() && is_of_it()
    };
    let by_id: BTreeMap<String, &Resource> =
        plan.resources.iter().filter(|one| one.kind == "aws_launch_template").map(|one| (id_of(one), one)).collect();
    let of = |nodes: &Resource| {
        let known = nodes.block("launch_template").and_then(|block| block.get("id")?.as_str());
        let template = known.and_then(|id| by_id.get(id).copied());
        let template = template.or_else(|| {
            let by = |key| plan.referred(nodes, &["launch_template", key], &["aws_launch_template"]).first().copied();
            by("id").or_else(|| by("name"))
        });
        NodeGroup {
            name: nodes.text("node_group_name").unwrap_or(&nodes.address).to_owned(),
            template_groups: template.map(|template| template_groups(plan, template)).unwrap_or_default(),
            ..NodeGroup::default()
        }
    };
    plan.resources.iter().filter(is_its).map(of).collect()
}

fn template_groups(plan: &Plan, template: &Resource) -> Vec<String> {
    let interfaces = template.after.get("network_interfaces").and_then(Value::as_array).into_iter().flatten();
    let lists = template.after.get("vpc_security_group_ids").into_iter();
    let lists = lists.chain(interfaces.filter_map(|interface| interface.get("security_groups")));
    let known = lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str).map(str::to_owned);
    let referred = [&["vpc_security_group_ids"][..], &["network_interfaces", "security_groups"]];
    let referred = referred.into_iter().flat_map(|path| plan.referred(template, path, &GROUPS)).map(id_of);
    known.chain(referred).collect::<BTreeSet<_>>().into_iter().collect()
}
