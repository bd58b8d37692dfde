//! From the shapes of the AWS CLI to our facts, as the adapters do it with those of the SDK: a field that only informs may
//! be missing, one that a verdict rests on must be there and readable.
//!
//! Must not: read files, or join what several of them say.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::shapes::{self, Few, Moment};
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, NodeGroup, Tags};
use crate::model::group::{self, UnreadableRule};
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Packets, Peer, Rule, RuleError};
use crate::model::text::quoted;

pub(super) fn group(group: &shapes::SecurityGroup) -> GroupFacts {
    GroupFacts {
        id: text(group.group_id.as_ref()),
        name: text(group.group_name.as_ref()),
        vpc: text(group.vpc_id.as_ref()),
        owner: text(group.owner_id.as_ref()),
        tags: tags(&group.tags),
    }
}

/// The rules of a group as `describe-security-groups` has them: without ids and tags.
pub(super) fn permissions(group: &shapes::SecurityGroup) -> (Vec<Rule>, Vec<UnreadableRule>) {
    let (mut rules, mut unreadable) = (Vec::new(), Vec::new());
    let ingress = group.ip_permissions.iter().map(|permission| (Direction::Ingress, permission));
    let egress = group.ip_permissions_egress.iter().map(|permission| (Direction::Egress, permission));
    for (direction, permission) in ingress.chain(egress) {
        let packets = match &permission.ip_protocol {
            Some(protocol) => {
                Packets::from_ec2(protocol, permission.from_port, permission.to_port).map_err(|error| error.to_string())
            }
            None => Err("it has no protocol".to_owned()),
        };
        let lists = [
            &permission.ip_ranges,
            &permission.ipv6_ranges,
            &permission.prefix_list_ids,
            &permission.user_id_group_pairs,
        ];
        for range in lists.into_iter().flat_map(Few::iter) {
            let described = range.description.clone();
            let rule = packets.clone().and_then(|packets| {
                let peer = peer(
                    [range.cidr_ip.as_ref(), range.cidr_ipv6.as_ref()],
                    range.prefix_list_id.as_ref(),
                    Some(range),
                )?;
                Ok(Rule { description: described, ..Rule::new(direction, packets, peer) })
            });
            match rule {
                Ok(rule) => rules.push(rule),
                Err(why) => {
                    let why = format!("a rule of {} cannot be read: {why}", text(group.group_id.as_ref()));
                    unreadable.push(UnreadableRule { id: None, why });
                }
            }
        }
    }
    (rules, unreadable)
}

/// A rule of `describe-security-group-rules`. The error names the rule and what was read.
pub(super) fn rule(rule: &shapes::SecurityGroupRule) -> Result<Rule, String> {
    let id = rule.security_group_rule_id.as_deref().unwrap_or_default();
    let unreadable = |what: String| format!("rule {} cannot be read: {what}", quoted(id));
    let direction = match rule.is_egress {
        Some(true) => Direction::Egress,
        Some(false) => Direction::Ingress,
        None => return Err(unreadable("it says neither ingress nor egress".to_owned())),
    };
    let protocol = rule.ip_protocol.as_ref().ok_or_else(|| unreadable("it has no protocol".to_owned()))?;
    let packets = Packets::from_ec2(protocol, rule.from_port, rule.to_port);
    let group = rule.referenced_group_info.as_ref();
    Ok(Rule {
        id: id.to_owned(),
        direction,
        packets: packets.map_err(|error| unreadable(error.to_string()))?,
        peer: peer([rule.cidr_ipv4.as_ref(), rule.cidr_ipv6.as_ref()], rule.prefix_list_id.as_ref(), group)
            .map_err(unreadable)?,
        description: rule.description.clone(),
        tags: tags(&rule.tags),
    })
}

/// Exactly one of them: a rule has one source or destination.
fn peer(cidrs: [Option<&String>; 2], list: Option<&String>, group: Option<&shapes::Range>) -> Result<Peer, String> {
    match (cidrs, list, group.and_then(|group| group.group_id.clone())) {
        ([Some(cidr), None] | [None, Some(cidr)], None, None) => Peer::cidr(cidr).map_err(|error| error.to_string()),
        ([None, None], Some(list), None) => Ok(Peer::PrefixList(list.clone())),
        ([None, None], None, Some(id)) => Ok(Peer::Group { id, owner: group.and_then(|group| group.user_id.clone()) }),
        ([None, None], None, None) => Err("it has no source or destination".to_owned()),
        _ => Err("it has more than one source or destination".to_owned()),
    }
}

pub(super) fn interface(interface: &shapes::NetworkInterface) -> Interface {
    let attachment = interface.attachment.as_ref();
    let of_private = interface.private_ip_addresses.iter().filter_map(|address| address.association.as_ref());
    Interface {
        subnet: text(interface.subnet_id.as_ref()),
        public_v4: interface.association.iter().chain(of_private).find_map(|address| address.public_ip.clone()),
        v6: interface.ipv6_addresses.iter().find_map(|address| address.ipv6_address.clone()),
        denies_gateways: interface.deny_all_igw_traffic.unwrap_or_default(),
        id: text(interface.network_interface_id.as_ref()),
        vpc: text(interface.vpc_id.as_ref()),
        owner: text(interface.owner_id.as_ref()),
        groups: ids(interface.groups.iter()),
        description: text(interface.description.as_ref()),
        kind: text(interface.interface_type.as_ref()),
        requester: interface.requester_id.clone(),
        requester_managed: interface.requester_managed.unwrap_or_default(),
        instance: attachment.and_then(|attachment| attachment.instance_id.clone()),
        instance_owner: attachment.and_then(|attachment| attachment.instance_owner_id.clone()),
        tags: tags(&interface.tag_set),
    }
}

/// `None` for a terminated instance, which has no interfaces any more.
pub(super) fn instance(instance: &shapes::Instance) -> Option<Instance> {
    if instance.state.as_ref().and_then(|state| state.name.as_deref()) == Some("terminated") {
        return None;
    }
    let primary = ids(instance.security_groups.iter());
    let others = instance.network_interfaces.iter().flat_map(|interface| ids(interface.groups.iter()));
    let groups: BTreeSet<String> = others.chain(primary.iter().cloned()).collect();
    Some(Instance {
        id: text(instance.instance_id.as_ref()),
        vpc: text(instance.vpc_id.as_ref()),
        groups: groups.into_iter().collect(),
        primary_groups: primary,
        tags: tags(&instance.tags),
    })
}

/// The ranges that are associated now. The first one is said twice; an old CLI knows it alone.
pub(super) fn vpc_ranges(vpc: &shapes::Vpc) -> Result<Addresses, RuleError> {
    let is_associated = |state: &Option<shapes::State>| {
        state.as_ref().and_then(|state| state.state.as_deref()).is_none_or(|state| state == "associated")
    };
    let first = vpc.cidr_block.as_deref().filter(|_| vpc.cidr_block_association_set.is_none());
    let v4 = vpc.cidr_block_association_set.iter().flat_map(Few::iter);
    let v4 = v4.filter(|block| is_associated(&block.cidr_block_state)).filter_map(|block| block.cidr_block.as_deref());
    let v6 = vpc.ipv6_cidr_block_association_set.iter();
    let v6 = v6
        .filter(|block| is_associated(&block.ipv6_cidr_block_state))
        .filter_map(|block| block.ipv6_cidr_block.as_deref());
    Addresses::of_blocks(first.into_iter().chain(v4).chain(v6))
}

pub(super) fn cluster(cluster: &shapes::Cluster) -> Result<Cluster, String> {
    let network = cluster.resources_vpc_config.as_ref();
    let remote = cluster.remote_network_config.iter();
    let remote = remote.flat_map(|remote| remote.remote_node_networks.iter().chain(remote.remote_pod_networks.iter()));
    let remote = Addresses::of_blocks(remote.flat_map(|network| network.cidrs.iter()).map(String::as_str));
    let public = network.filter(|network| network.endpoint_public_access == Some(true)).into_iter();
    let public =
        Addresses::of_blocks(public.flat_map(|network| network.public_access_cidrs.iter()).map(String::as_str));
    let strings = |few: &Few<String>| few.iter().cloned().collect::<Vec<_>>();
    Ok(Cluster {
        name: text(cluster.name.as_ref()),
        vpc: network.map(|network| text(network.vpc_id.as_ref())).unwrap_or_default(),
        vpc_ranges: Addresses::default(),
        cluster_group: network.and_then(|network| network.cluster_security_group_id.clone()),
        control_plane_groups: network.map(|network| strings(&network.security_group_ids)).unwrap_or_default(),
        remote_networks: remote.map_err(|error| format!("a remote network: {error}"))?,
        role_arn: cluster.role_arn.clone(),
        created_at: cluster.created_at.as_ref().and_then(moment),
        arn: cluster.arn.clone(),
        issuer: cluster.identity.as_ref().and_then(|identity| identity.oidc.as_ref()?.issuer.clone()),
        node_groups: Vec::new(),
        public_endpoint: public.map_err(|error| format!("a public access block: {error}"))?,
        is_ipv6: cluster.kubernetes_network_config.as_ref().and_then(|network| network.ip_family.as_deref())
            == Some("ipv6"),
        is_local: cluster.outpost_config.is_some(),
        node_ports: node_ports(cluster)?,
    })
}

/// Where the cluster's `NodePorts` are; `None`: where Kubernetes has them by itself.
fn node_ports(cluster: &shapes::Cluster) -> Result<Option<(u16, u16)>, String> {
    let range = cluster.kube_api_server_config.as_ref().and_then(|config| config.service_node_port_range.as_ref());
    let Some(shapes::PortRange { min_port, max_port }) = range else { return Ok(None) };
    let wrong = || "`serviceNodePortRange` is no range of ports from 1 to 65535".to_owned();
    group::node_ports(*min_port, *max_port).ok_or_else(wrong)
}

/// Without the groups of its launch template.
pub(super) fn node_group(nodes: &shapes::NodeGroup) -> NodeGroup {
    let resources = nodes.resources.as_ref();
    let scaling = resources.iter().flat_map(|found| found.auto_scaling_groups.iter());
    NodeGroup {
        name: text(nodes.nodegroup_name.as_ref()),
        remote_access_group: resources.and_then(|found| found.remote_access_security_group.clone()),
        auto_scaling_groups: scaling.filter_map(|group| group.name.clone()).collect(),
        template_groups: Vec::new(),
    }
}

/// The groups that a version of a launch template puts on instances.
pub(super) fn template_groups(version: &shapes::LaunchTemplateVersion) -> BTreeSet<String> {
    let data = version.launch_template_data.iter();
    data.flat_map(|data| {
        let of_interfaces = data.network_interfaces.iter().flat_map(|interface| interface.groups.iter());
        data.security_group_ids.iter().chain(of_interfaces).cloned()
    })
    .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "parts of a second don't matter, and a number too large saturates")]
fn moment(moment: &Moment) -> Option<Timestamp> {
    match moment {
        Moment::Seconds(seconds) => Timestamp::from_second(*seconds as i64).ok(),
        Moment::Text(text) => text.parse().ok(),
    }
}

fn ids<'a>(groups: impl Iterator<Item = &'a shapes::GroupIdentifier>) -> Vec<String> {
    groups.filter_map(|group| group.group_id.clone()).collect()
}

pub(super) fn tags(tags: &Few<shapes::Tag>) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))).collect()
}

pub(super) fn text(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}
