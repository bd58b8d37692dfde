//! What an event says a rule is, in normal form. A rule that cannot be read is `None`, never an error and never a guess:
//! the caller then falls back to the rule's id, or to looking at the whole group.

use serde_json::Value;

use super::Claim;
use super::fields::{get, id, is_present, list, number};
use crate::model::rule::{Direction, Packets, Peer};

type ReadPeer = fn(&Value) -> Option<Peer>;

/// Where a rule, or an element of a source list, holds its peer: requests, responses and the newer calls differ in names.
const PEERS: &[(&str, ReadPeer)] = &[
    ("cidrIp", cidr),
    ("cidrIpv4", cidr),
    ("cidrIpv6", cidr),
    ("prefixListId", prefix_list),
    ("referencedGroupInfo", pair),
    ("referencedGroupId", group),
];

/// The source lists of a permission.
const SOURCES: &[(&str, ReadPeer)] =
    &[("ipRanges", flat_peer), ("ipv6Ranges", flat_peer), ("prefixListIds", flat_peer), ("groups", pair)];

/// A permission is one rule per source, each with its description. Without a readable source it is one rule that cannot be
/// read, so that it is counted.
pub(super) fn of_permission(permission: &Value, direction: Direction) -> Vec<(Option<Claim>, Option<String>)> {
    let packets = packets(permission);
    let claim = |source: &Value, peer: &ReadPeer| {
        Some(Claim { direction: Some(direction), packets: packets?, peer: peer(source)? })
    };
    let claims: Vec<_> = SOURCES
        .iter()
        .flat_map(|(name, peer)| list(get(permission, name)).into_iter().map(move |source| (source, peer)))
        .map(|(source, peer)| (claim(source, peer), super::fields::text(get(source, "description"))))
        .collect();
    if claims.is_empty() { vec![(None, None)] } else { claims }
}

/// A rule whose fields stand side by side: in responses, in the legacy short form, in `ModifySecurityGroupRules`.
pub(super) fn of_rule(rule: &Value, direction: Option<Direction>) -> Option<Claim> {
    Some(Claim { direction, packets: packets(rule)?, peer: flat_peer(rule)? })
}

fn packets(rule: &Value) -> Option<Packets> {
    let port = |name| number(get(rule, name)).ok();
    Packets::from_ec2(&super::fields::text(get(rule, "ipProtocol"))?, port("fromPort")?, port("toPort")?).ok()
}

fn flat_peer(rule: &Value) -> Option<Peer> {
    PEERS.iter().find_map(|(name, read)| Some(get(rule, name)).filter(|value| is_present(value)).map(read)).flatten()
}

fn cidr(value: &Value) -> Option<Peer> {
    Peer::cidr(value.as_str()?).ok()
}

fn prefix_list(value: &Value) -> Option<Peer> {
    id(value, "pl-").map(Peer::PrefixList)
}

/// A group with the account that owns it. A name without an id says nothing: only EC2 can resolve it.
fn pair(value: &Value) -> Option<Peer> {
    match group(get(value, "groupId"))? {
        Peer::Group { id, owner } => {
            Some(Peer::Group { id, owner: super::fields::text(get(value, "userId")).or(owner) })
        }
        other => Some(other),
    }
}

/// `sg-…`, or `<account>/sg-…` as participants of a shared VPC write it.
fn group(value: &Value) -> Option<Peer> {
    let (owner, group) = match value.as_str()?.split_once('/') {
        Some((owner, group)) => (Some(owner.to_owned()), Value::from(group)),
        None => (None, value.clone()),
    };
    Some(Peer::Group { id: id(&group, "sg-")?, owner })
}
