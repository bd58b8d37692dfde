//! From the SDK's shapes, where every field is optional, to our facts.
//!
//! A field that only informs may be missing and is then empty. One that a verdict rests on must be there and readable:
//! a rule that we half understand would be judged wrongly.

use std::collections::BTreeSet;

use aws_sdk_ec2::types;

use crate::model::facts::{GroupFacts, Instance, Interface, Tags};
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Packets, Peer, Rule, RuleError};

pub(super) fn group(group: types::SecurityGroup) -> GroupFacts {
    GroupFacts {
        tags: tags(group.tags()),
        id: group.group_id.unwrap_or_default(),
        name: group.group_name.unwrap_or_default(),
        vpc: group.vpc_id.unwrap_or_default(),
        owner: group.owner_id.unwrap_or_default(),
    }
}

/// The rule and its group's id. The error names the rule and what was read.
pub(super) fn rule(rule: &types::SecurityGroupRule) -> Result<(String, Rule), String> {
    let id = rule.security_group_rule_id().ok_or("a rule came without an id")?;
    let unreadable = |what: String| format!("rule {id} cannot be read: {what}");
    let group = rule.group_id().ok_or_else(|| unreadable("it names no group".to_owned()))?;
    let direction = match rule.is_egress() {
        Some(true) => Direction::Egress,
        Some(false) => Direction::Ingress,
        None => return Err(unreadable("it says neither ingress nor egress".to_owned())),
    };
    let protocol = rule.ip_protocol().ok_or_else(|| unreadable("it has no protocol".to_owned()))?;
    let packets = Packets::from_ec2(protocol, rule.from_port().map(i64::from), rule.to_port().map(i64::from))
        .map_err(|error| unreadable(error.to_string()))?;
    let rule = Rule {
        id: id.to_owned(),
        direction,
        packets,
        peer: peer(rule).map_err(unreadable)?,
        description: rule.description().map(str::to_owned),
        tags: tags(rule.tags()),
    };
    Ok((group.to_owned(), rule))
}

/// The group of the rule and the group that it names, if the peering over which it names that is gone.
pub(super) fn stale(rule: &types::SecurityGroupRule) -> Option<(String, String)> {
    let peer = rule.referenced_group_info().filter(|peer| peer.peering_status() == Some("deleted"))?;
    Some((rule.group_id()?.to_owned(), peer.group_id()?.to_owned()))
}

/// Exactly one of four fields is there: a rule has one source or destination.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html>
fn peer(rule: &types::SecurityGroupRule) -> Result<Peer, String> {
    let referenced = rule.referenced_group_info();
    match (rule.cidr_ipv4(), rule.cidr_ipv6(), rule.prefix_list_id(), referenced.and_then(|group| group.group_id())) {
        (Some(cidr), None, None, None) | (None, Some(cidr), None, None) => {
            Peer::cidr(cidr).map_err(|error| error.to_string())
        }
        (None, None, Some(list), None) => Ok(Peer::PrefixList(list.to_owned())),
        (None, None, None, Some(id)) => {
            let owner = referenced.and_then(|group| group.user_id()).map(str::to_owned);
            Ok(Peer::Group { id: id.to_owned(), owner })
        }
        (None, None, None, None) => Err("it has no source or destination".to_owned()),
        _ => Err("it has more than one source or destination".to_owned()),
    }
}

pub(super) fn interface(interface: types::NetworkInterface) -> Interface {
    let attachment = interface.attachment();
    let own = interface.association().and_then(|address| address.public_ip());
    let of_private = interface.private_ip_addresses().iter().filter_map(|address| address.association()?.public_ip());
    Interface {
        subnet: interface.subnet_id().unwrap_or_default().to_owned(),
        public_v4: own.into_iter().chain(of_private).next().map(str::to_owned),
        v6: interface.ipv6_addresses().iter().find_map(|address| address.ipv6_address().map(str::to_owned)),
        denies_gateways: interface.deny_all_igw_traffic().unwrap_or_default(),
        vpc: interface.vpc_id().unwrap_or_default().to_owned(),
        owner: interface.owner_id().unwrap_or_default().to_owned(),
        groups: interface.groups().iter().filter_map(|group| group.group_id()).map(str::to_owned).collect(),
        description: interface.description().unwrap_or_default().to_owned(),
        kind: interface.interface_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        requester: interface.requester_id().map(str::to_owned),
        requester_managed: interface.requester_managed().unwrap_or_default(),
        instance: attachment.and_then(|attachment| attachment.instance_id()).map(str::to_owned),
        instance_owner: attachment.and_then(|attachment| attachment.instance_owner_id()).map(str::to_owned),
        tags: tags(interface.tag_set()),
        id: interface.network_interface_id.unwrap_or_default(),
    }
}

/// `None` for a terminated instance: EC2 shows it for up to an hour more, without interfaces.
pub(super) fn instance(instance: types::Instance) -> Option<Instance> {
    if instance.state().and_then(|state| state.name()) == Some(&types::InstanceStateName::Terminated) {
        return None;
    }
    // `groupSet` of the instance itself is the primary interface's; nodes have more (VPC CNI, multiple cards).
    let interfaces = instance.network_interfaces().iter().flat_map(types::InstanceNetworkInterface::groups);
    let primary: Vec<&str> = instance.security_groups().iter().filter_map(|group| group.group_id()).collect();
    let groups: BTreeSet<&str> =
        interfaces.filter_map(types::GroupIdentifier::group_id).chain(primary.iter().copied()).collect();
    Some(Instance {
        vpc: instance.vpc_id().unwrap_or_default().to_owned(),
        groups: groups.into_iter().map(str::to_owned).collect(),
        primary_groups: primary.into_iter().map(str::to_owned).collect(),
        tags: tags(instance.tags()),
        id: instance.instance_id.unwrap_or_default(),
    })
}

/// The ranges that are associated now: one that failed or left stays in the list for a while.
pub(super) fn vpc_ranges(vpc: &types::Vpc) -> Result<Addresses, RuleError> {
    let v4 = vpc.cidr_block_association_set().iter().map(|set| (set.cidr_block(), set.cidr_block_state()));
    let v6 =
        vpc.ipv6_cidr_block_association_set().iter().map(|set| (set.ipv6_cidr_block(), set.ipv6_cidr_block_state()));
    let associated = v4
        .chain(v6)
        .filter(|(_, state)| state.and_then(|state| state.state()) == Some(&types::VpcCidrBlockStateCode::Associated));
    Addresses::of_blocks(associated.filter_map(|(cidr, _)| cidr))
}

fn tags(tags: &[types::Tag]) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}
