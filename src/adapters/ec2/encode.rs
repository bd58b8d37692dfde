//! From our rules to the SDK's shapes: what EC2 is to make of a rule.

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, PrefixListId, SecurityGroupRuleRequest, SecurityGroupRuleUpdate, UserIdGroupPair,
};
use ipnet::IpNet;

use crate::model::rule::{Peer, Rule};

/// The whole content: EC2 takes a rule as it stands here, and not what differs. Tags are no part of it.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRuleRequest.html>
pub(super) fn update(rule: &Rule) -> SecurityGroupRuleUpdate {
    let (from, to) = rule.packets.ec2_ports().unzip();
    let body = SecurityGroupRuleRequest::builder()
        .ip_protocol(rule.packets.protocol())
        .set_from_port(from)
        .set_to_port(to)
        .set_description(rule.description.clone());
    let body = match &rule.peer {
        Peer::Cidr(net @ IpNet::V4(_)) => body.cidr_ipv4(net.to_string()),
        Peer::Cidr(net @ IpNet::V6(_)) => body.cidr_ipv6(net.to_string()),
        Peer::PrefixList(id) => body.prefix_list_id(id),
        Peer::Group { id, .. } => body.referenced_group_id(id),
    };
    SecurityGroupRuleUpdate::builder().security_group_rule_id(&rule.id).security_group_rule(body.build()).build()
}

/// The same as EC2 takes a rule that it does not have.
pub(super) fn permission(rule: &Rule) -> IpPermission {
    let (from, to) = rule.packets.ec2_ports().unzip();
    let body = IpPermission::builder().ip_protocol(rule.packets.protocol()).set_from_port(from).set_to_port(to);
    let text = rule.description.clone();
    let body = match &rule.peer {
        Peer::Cidr(net @ IpNet::V4(_)) => {
            body.ip_ranges(IpRange::builder().cidr_ip(net.to_string()).set_description(text).build())
        }
        Peer::Cidr(net @ IpNet::V6(_)) => {
            body.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(net.to_string()).set_description(text).build())
        }
        Peer::PrefixList(id) => {
            body.prefix_list_ids(PrefixListId::builder().prefix_list_id(id).set_description(text).build())
        }
        Peer::Group { id, owner } => body.user_id_group_pairs(
            UserIdGroupPair::builder().group_id(id).set_user_id(owner.clone()).set_description(text).build(),
        ),
    };
    body.build()
}
