//! Takes one item of an answer into what is kept: each thing once, whatever file it came from.
//!
//! Must not: join things of different kinds.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::decode;
use super::document::Item;
use super::kind::Kind;
use super::plan;
use super::shapes;
use super::store::{Saved, SavedList, SavedNodes, Template};
use crate::audit::report::Origin;
use crate::audit::source::Source;
use crate::model::group::UnreadableRule;
use crate::model::ids::{Arn, Resource, is_account, is_region};
use crate::model::rule::block;
use crate::model::text::quoted;

/// The longest id.
const MAX_ID_LEN: usize = 64;

/// How one kind of item is taken. The error says what is wrong with it.
pub(super) fn take(saved: &mut Saved, source: &Source, item: &Item<'_>) -> Result<(), String> {
    match item.kind {
        Kind::Groups => group(saved, source, item),
        Kind::Rules => rule(saved, source, item),
        Kind::Interfaces => interface(saved, item),
        Kind::Instances => instances(saved, item),
        Kind::Vpcs => vpc(saved, item),
        Kind::Lists => list(saved, item),
        Kind::Entries => entry(saved, source, item),
        Kind::Associations => association(saved, item),
        Kind::Templates => template(saved, item),
        Kind::Clusters => {
            saved.names.insert(read(item.json)?);
            Ok(())
        }
        Kind::Cluster => cluster(saved, item),
        Kind::NodeGroup => node_group(saved, item),
        Kind::Identity => {
            let account: String = read(item.json)?;
            if !is_account(&account) {
                return Err(format!("`Account` is {}; expected twelve digits", quoted(&account)));
            }
            saved.accounts.insert(account);
            Ok(())
        }
        Kind::Plan => {
            let plan = plan::read(item.json, Origin { file: source.path(), line: item.line })?;
            saved.plans.push(plan);
            Ok(())
        }
        Kind::Stale => stale(saved, item),
        Kind::LoadBalancers => {
            let shape: shapes::LoadBalancer = read(item.json)?;
            saved.named_elsewhere.extend(shape.security_groups.iter().cloned());
            Ok(())
        }
        Kind::Subnets => saved.network.subnet(item.json),
        Kind::RouteTables => saved.network.table(item.json),
        Kind::Gateways => saved.network.gateway(item.json),
        Kind::NetworkAcls => saved.network.acl(item.json),
        Kind::Trails => saved.trails.describe(item.json),
        Kind::TrailStatus => saved.trails.status(&source.file_name(), item.json),
        Kind::EventSelectors => saved.trails.select(item.json),
        Kind::NodeGroups | Kind::Other => Ok(()),
    }
}

fn read<'t, T: Deserialize<'t>>(json: &'t str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// Keeps a thing by its id; one that is there already stays, and it is noted when they differ.
fn keep<T: PartialEq>(things: &mut BTreeMap<String, T>, id: &str, thing: T) -> bool {
    if let Some(known) = things.get(id) {
        return *known == thing;
    }
    things.insert(id.to_owned(), thing);
    true
}

/// Whether it looks like an id. What AWS printed is taken as it is.
fn needed(id: &str, resource: Resource) -> Result<(), String> {
    let rest = id.strip_prefix(resource.prefix()).unwrap_or_default();
    let is_id = !rest.is_empty() && id.len() <= MAX_ID_LEN && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_id { Ok(()) } else { Err(format!("{} is not the id of {}", quoted(id), resource.noun())) }
}

fn group(saved: &mut Saved, source: &Source, item: &Item<'_>) -> Result<(), String> {
    let shape: shapes::SecurityGroup = read(item.json)?;
    let facts = decode::group(&shape);
    needed(&facts.id, Resource::Group)?;
    seen(saved, &facts.vpc, &facts.id, Some(&facts.owner), region_of(shape.security_group_arn.as_deref()).as_ref());
    origin(saved, &facts.id, source, item.line);
    let permissions = shape.ip_permissions.iter().chain(shape.ip_permissions_egress.iter());
    for peer in permissions.flat_map(|permission| permission.user_id_group_pairs.iter()).filter(|peer| is_stale(peer)) {
        saved.stale.insert((facts.id.clone(), decode::text(peer.group_id.as_ref())));
    }
    let (rules, unreadable) = decode::permissions(&shape);
    let id = facts.id.clone();
    let is_new = !saved.permissions.contains_key(&id);
    let same = keep(&mut saved.groups, &id, facts) & keep(&mut saved.permissions, &id, rules);
    if !same {
        saved.differs(Kind::Groups, &id);
    }
    if is_new {
        saved.unreadable.extend(unreadable.into_iter().map(|rule| (id.clone(), rule)));
    }
    Ok(())
}

fn rule(saved: &mut Saved, source: &Source, item: &Item<'_>) -> Result<(), String> {
    let shape: shapes::SecurityGroupRule = read(item.json)?;
    let (id, group) = (decode::text(shape.security_group_rule_id.as_ref()), decode::text(shape.group_id.as_ref()));
    needed(&group, Resource::Group)?;
    needed(&id, Resource::Rule)?;
    origin(saved, &group, source, item.line);
    if let Some(owner) = &shape.group_owner_id {
        saved.rule_owners.entry(group.clone()).or_insert_with(|| owner.clone());
    }
    seen(
        saved,
        "",
        &group,
        shape.group_owner_id.as_ref(),
        region_of(shape.security_group_rule_arn.as_deref()).as_ref(),
    );
    if saved.rule_ids.contains_key(&id) {
        let known = saved.rules.get(&group).into_iter().flatten().find(|rule| rule.id == id);
        if known != decode::rule(&shape).ok().as_ref() {
            saved.differs(Kind::Rules, &id);
        }
        return Ok(());
    }
    if let Some(peer) = shape.referenced_group_info.as_ref().filter(|peer| is_stale(peer)) {
        saved.stale.insert((group.clone(), decode::text(peer.group_id.as_ref())));
    }
    saved.rule_ids.insert(id.clone(), group.clone());
    let rules = saved.rules.entry(group.clone()).or_default();
    match decode::rule(&shape) {
        Ok(rule) => rules.push(rule),
        Err(why) => saved.unreadable.push((group, UnreadableRule { id: Some(id), why })),
    }
    Ok(())
}

fn interface(saved: &mut Saved, item: &Item<'_>) -> Result<(), String> {
    let shape: shapes::NetworkInterface = read(item.json)?;
    let facts = decode::interface(&shape);
    needed(&facts.id, Resource::Interface)?;
    let region = shape.availability_zone.as_deref().and_then(region_of_zone);
    seen(saved, &facts.vpc, "", Some(&facts.owner), region.as_ref());
    for group in shape.groups.iter() {
        if let (Some(id), Some(name)) = (&group.group_id, &group.group_name) {
            saved.names_of_groups.entry(id.clone()).or_insert_with(|| name.clone());
        }
    }
    let id = facts.id.clone();
    if !keep(&mut saved.interfaces, &id, facts) {
        saved.differs(Kind::Interfaces, &id);
    }
    Ok(())
}

/// A reservation, or one of its instances alone, as `--query` prints it.
fn instances(saved: &mut Saved, item: &Item<'_>) -> Result<(), String> {
    let reservation: shapes::Reservation = read(item.json)?;
    let alone: shapes::Instance = read(item.json)?;
    for shape in reservation.instances.iter().chain(alone.instance_id.is_some().then_some(&alone)) {
        let region = shape.placement.as_ref().and_then(|place| region_of_zone(place.availability_zone.as_deref()?));
        let Some(facts) = decode::instance(shape) else { continue };
        needed(&facts.id, Resource::Instance)?;
        seen(saved, &facts.vpc, "", reservation.owner_id.as_ref(), region.as_ref());
        let id = facts.id.clone();
        if !keep(&mut saved.instances, &id, facts) {
            saved.differs(Kind::Instances, &id);
        }
    }
    Ok(())
}

fn vpc(saved: &mut Saved, item: &Item<'_>) -> Result<(), String> {
    let shape: shapes::Vpc = read(item.json)?;
    let id = decode::text(shape.vpc_id.as_ref());
    needed(&id, Resource::Vpc)?;
    let ranges = decode::vpc_ranges(&shape).map_err(|error| format!("a range of {}: {error}", quoted(&id)))?;
    if !keep(&mut saved.vpcs, &id, ranges) {
        saved.differs(Kind::Vpcs, &id);
    }
    Ok(())
}

fn list(saved: &mut Saved, item: &Item<'_>) -> Result<(), String> {
    let shape: shapes::ManagedPrefixList = read(item.json)?;
    let id = decode::text(shape.prefix_list_id.as_ref());
    needed(&id, Resource::PrefixList)?;
    // The older `describe-prefix-lists` knows AWS's lists alone, and says their entries at once.
    let owner = shape.owner_id.or_else(|| shape.cidrs.as_ref().map(|_| "AWS".to_owned()));
    for cidr in shape.cidrs.iter().flat_map(shapes::Few::iter) {
        add_entry(saved, &id, cidr)?;
    }
    let list = SavedList {
        owner: owner.unwrap_or_default(),
        name: decode::text(shape.prefix_list_name.as_ref()),
        state: decode::text(shape.state.as_ref()),
    };
    if !keep(&mut saved.lists, &id, list) {
        saved.differs(Kind::Lists, &id);
    }
    Ok(())
}

/// An entry does not say of which list it is; the name of its file has to.
fn entry(saved: &mut Saved, source: &Source, item: &Item<'_>) -> Result<(), String> {
    let Some(id) = list_in(&source.file_name()) else {
        saved.warn(format!(
            "{} holds entries of a prefix list and does not say of which, so they were left out; name the file \
             `entries.pl-….json`, with the id of the list",
            source.name()
        ));
        return Ok(());
    };
    let shape: shapes::Entry = read(item.json)?;
    add_entry(saved, &id, &shape.cidr.ok_or("an entry has no `Cidr`")?)
}

fn add_entry(saved: &mut Saved, list: &str, cidr: &str) -> Result<(), String> {
    let net = block(cidr).map_err(|error| format!("an entry of {list}: {error}"))?;
    saved.entries.entry(list.to_owned()).or_default().insert(net);
    Ok(())
}

/// The id of a prefix list in the name of a file.
fn list_in(name: &str) -> Option<String> {
    let mut candidates = name.match_indices("pl-").filter_map(|(at, _)| {
        let digits = name.get(at + 3..)?;
        let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
        name.get(at..at + 3 + end).map(str::to_owned)
    });
    candidates.find(|id| Resource::PrefixList.is_id(id))
}

/// What a group names that is gone, over a peering that is there.
fn stale(saved: &mut Saved, item: &Item<'_>) -> Result<(), String> {
    let shape: shapes::StaleGroup = read(item.json)?;
    let group = decode::text(shape.group_id.as_ref());
    needed(&group, Resource::Group)?;
    let permissions = shape.stale_ip_permissions.iter().chain(shape.stale_ip_permissions_egress.iter());
    let peers = permissions.flat_map(|permission| permission.user_id_group_pairs.iter());
    saved.stale.extend(peers.filter_map(|peer| Some((group.clone(), peer.group_id.clone()?))));
    Ok(())
}

fn association(saved: &mut Saved, item: &Item<'_>) -> Result<(), String> {
    let shape: shapes::VpcAssociation = read(item.json)?;
    if let (Some("associated"), Some(group), Some(vpc)) = (shape.state.as_deref(), shape.group_id, shape.vpc_id) {
        saved.associations.entry(group).or_default().insert(vpc);
    }
    Ok(())
}

fn template(saved: &mut Saved, item: &Item<'_>) -> Result<(), String> {
    let shape: shapes::LaunchTemplateVersion = read(item.json)?;
    saved.templates.push(Template {
        groups: decode::template_groups(&shape),
        id: decode::text(shape.launch_template_id.as_ref()),
        name: decode::text(shape.launch_template_name.as_ref()),
        version: shape.version_number.map(|number| number.to_string()).unwrap_or_default(),
        is_default: shape.default_version.unwrap_or_default(),
    });
    Ok(())
}

fn cluster(saved: &mut Saved, item: &Item<'_>) -> Result<(), String> {
    let shape: shapes::Cluster = read(item.json)?;
    let cluster = decode::cluster(&shape)?;
    if cluster.name.is_empty() {
        return Err("the cluster has no `name`".to_owned());
    }
    // Another service describes clusters, too.
    if shape.resources_vpc_config.is_none() && !cluster.arn.as_deref().is_some_and(|arn| arn.contains(":eks:")) {
        return Err(format!("{} is no cluster of EKS: it has no `resourcesVpcConfig`", quoted(&cluster.name)));
    }
    let arn = cluster.arn.as_deref().and_then(Arn::parse);
    let account = arn.map(|arn| arn.account.to_owned());
    seen(saved, &cluster.vpc, "", account.as_ref(), region_of(cluster.arn.as_deref()).as_ref());
    match saved.clusters.iter().find(|known| known.name == cluster.name && known.arn == cluster.arn) {
        Some(known) if *known != cluster => saved.differs(Kind::Cluster, &cluster.name),
        Some(_) => {}
        None => saved.clusters.push(cluster),
    }
    Ok(())
}

fn node_group(saved: &mut Saved, item: &Item<'_>) -> Result<(), String> {
    let shape: shapes::NodeGroup = read(item.json)?;
    let cluster = decode::text(shape.cluster_name.as_ref());
    if cluster.is_empty() || shape.nodegroup_name.is_none() {
        return Err("the node group has no `nodegroupName` or no `clusterName`".to_owned());
    }
    let nodes = decode::node_group(&shape);
    let template = shape.launch_template.map(|template| [template.id, template.name, template.version]);
    let is_known = |known: &SavedNodes| {
        known.cluster == cluster && known.arn == shape.nodegroup_arn && known.nodes.name == nodes.name
    };
    if !saved.nodes.iter().any(is_known) {
        saved.nodes.push(SavedNodes { cluster, arn: shape.nodegroup_arn, nodes, template });
    }
    Ok(())
}

/// Whether the peering over which a rule names a group is gone.
fn is_stale(peer: &shapes::Range) -> bool {
    peer.peering_status.as_deref() == Some("deleted")
}

/// Notes where a VPC, and a group, live.
fn seen(saved: &mut Saved, vpc: &str, group: &str, owner: Option<&String>, region: Option<&String>) {
    for place in [vpc, group].into_iter().filter(|place| !place.is_empty()) {
        let hints = saved.places.entry(place.to_owned()).or_default();
        if let Some(owner) = owner.filter(|owner| is_account(owner)) {
            *hints.owners.entry(owner.clone()).or_default() += 1;
        }
        hints.regions.extend(region.cloned());
    }
}

fn origin(saved: &mut Saved, group: &str, source: &Source, line: usize) {
    saved.origins.entry(group.to_owned()).or_insert_with(|| Origin { file: source.path(), line });
}

fn region_of(arn: Option<&str>) -> Option<String> {
    arn.and_then(Arn::parse).map(|arn| arn.region.to_owned()).filter(|region| !region.is_empty())
}

/// `us-east-1` of `us-east-1a`, and of the local zone `us-east-1-bos-1a`.
fn region_of_zone(zone: &str) -> Option<String> {
    let mut region = String::new();
    for part in zone.split('-') {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        region.push_str(if digits.is_empty() { part } else { &digits });
        if !digits.is_empty() {
            return Some(region).filter(|region| is_region(region));
        }
        region.push('-');
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_of_a_zone_and_the_list_of_a_file_are_in_their_names() {
        for (zone, region) in [
            ("us-east-1a", Some("us-east-1")),
            ("us-west-2-lax-1a", Some("us-west-2")),
            ("us-gov-west-1b", Some("us-gov-west-1")),
            ("", None),
            ("zone", None),
        ] {
            assert_eq!(region_of_zone(zone).as_deref(), region, "{zone}");
        }
        for (name, id) in [
            ("entries.pl-0123456789abcdef0.json", Some("pl-0123456789abcdef0")),
            ("pl-0a1b2c3d.json.gz", Some("pl-0a1b2c3d")),
            ("sample-pl-0a1b2c3d", Some("pl-0a1b2c3d")),
            ("sample-pl-x.json", None),
            ("entries.json", None),
        ] {
            assert_eq!(list_in(name).as_deref(), id, "{name}");
        }
    }
}
