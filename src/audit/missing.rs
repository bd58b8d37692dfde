//! What was not saved, what that costs, and the command that would give it: each said once.
//!
//! Must not: lower anything by itself. Evidence is lower because the facts are not there.

use std::collections::BTreeSet;

use super::saved::Kind;
use super::saved::facts::{Facts, UNKNOWN};
use crate::audit::report::{Audit, MissingInput};
use crate::model::group::PrefixList;
use crate::model::ids::is_region;
use crate::model::text::{count, plain};
use crate::policy::reach::Now;

/// Things named in one row.
const MAX_NAMED: usize = 5;

/// What every audit wants to have, and what is not known without it.
const WANTED: [(Kind, &str); 8] = [
    (Kind::Groups, "names and tags of groups are not known, nor groups without any rule"),
    (Kind::Rules, "rules have no ids and no tags, so a controller's own rules are not told apart"),
    (Kind::Interfaces, Kind::Interfaces.without()),
    (Kind::Instances, Kind::Instances.without()),
    (Kind::Vpcs, "whether a public range is your own VPC's is not known, so narrow ones could not be judged"),
    (Kind::Associations, Kind::Associations.without()),
    (Kind::Clusters, "whether there are more clusters is not known"),
    (Kind::Trails, Kind::Trails.without()),
];

/// One row for each thing that is missing or cut.
pub(super) fn inputs(facts: &Facts, audit: &Audit) -> Vec<MissingInput> {
    if let Some(unread) = &facts.unread {
        return unread.clone();
    }
    let row = |what: &str, costs: &str, command: &str| MissingInput {
        what: what.to_owned(),
        costs: costs.to_owned(),
        command: with_region(command, audit),
    };
    let mut rows = Vec::new();
    for (kind, costs) in WANTED {
        match facts.kinds.get(&kind) {
            None => rows.push(row(kind.word(), costs, kind.command())),
            Some(presence) if presence.is_cut => {
                rows.push(row(&format!("the rest of {}", kind.word()), costs, kind.command()));
            }
            Some(_) => {}
        }
    }
    // Asked for where it would say more.
    if audit.findings().any(|found| found.reachable.as_ref().is_some_and(|reachable| reachable.now == Now::Unknown)) {
        let absent =
            [Kind::Subnets, Kind::RouteTables, Kind::NetworkAcls].into_iter().filter(|kind| !facts.is_whole(*kind));
        rows.extend(absent.map(|kind| row(kind.word(), kind.without(), kind.command())));
    }
    for name in first(&facts.undescribed) {
        let costs = Kind::Cluster.without();
        let command = Kind::Cluster.command().replace("NAME", &plain(name));
        rows.push(row(&format!("cluster `{}`", plain(name)), costs, &command));
    }
    for name in first(&facts.without_nodes) {
        let costs = Kind::NodeGroup.without();
        let command = Kind::NodeGroup.command().replace("NAME", &plain(name));
        rows.push(row(&format!("node groups of `{}`", plain(name)), costs, &command));
    }
    for (template, version) in facts.templates_missing.iter().take(MAX_NAMED) {
        let costs = "the groups that it gives to new nodes are not known";
        let command = Kind::Templates.command().replace("ID", &plain(template)).replace("VERSION", &plain(version));
        rows.push(row(&format!("launch template `{}`", plain(template)), costs, &command));
    }
    for id in first(&unread_lists(audit)) {
        let costs = Kind::Entries.without();
        let command = match facts.lists.get(id) {
            Some(_) => Kind::Entries.command().replace("ID", &plain(id)),
            None => format!("{}; {}", Kind::Lists.command(), Kind::Entries.command().replace("ID", &plain(id))),
        };
        rows.push(row(&format!("prefix list `{}`", plain(id)), costs, &command));
    }
    if !facts.without_rules.is_empty() {
        let ids: Vec<String> = first(&facts.without_rules).map(|id| plain(id)).collect();
        let costs = "they are attached to something, and what they let in is not known";
        let command = format!("{} --group-ids {}", Kind::Groups.command(), ids.join(" "));
        rows.push(row(&format!("the rules of {}", count(facts.without_rules.len(), "group")), costs, &command));
    }
    rows
}

fn first(all: &BTreeSet<String>) -> impl Iterator<Item = &String> {
    all.iter().take(MAX_NAMED)
}

/// Lists that rules of the audit name, and that could not be read.
fn unread_lists(audit: &Audit) -> BTreeSet<String> {
    let groups = audit.locations.iter().flat_map(|location| &location.groups);
    let lists = groups.flat_map(|group| &group.group.prefix_lists);
    lists.filter(|(_, list)| matches!(list, PrefixList::Unreadable { .. })).map(|(id, _)| id.clone()).collect()
}

/// With the region, where there is exactly one.
fn with_region(command: &str, audit: &Audit) -> String {
    let regions: BTreeSet<&str> = audit.locations.iter().map(|found| found.location.region.as_str()).collect();
    match regions.first() {
        Some(region) if regions.len() == 1 && *region != UNKNOWN && is_region(region) => {
            format!("{command} --region {region}")
        }
        _ => command.to_owned(),
    }
}
