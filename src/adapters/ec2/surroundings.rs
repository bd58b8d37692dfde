//! What stands between the internet and interfaces, out of EC2's answers: subnets, route tables, internet gateways, network
//! ACLs.
//!
//! Must not: say whether anything is reachable (`policy::reach` does). What cannot be decoded fails the read, so that
//! nothing is taken for closed that is only not understood.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_ec2::{Client, types};

use super::super::failure::{during, unusable};
use super::pages::{ALL, MAX_PAGE_LEN, page, read};
use crate::model::error::CloudError;
use crate::model::network::{Acl, AclEntry, LAST_ENTRY, Route, RouteTable, Subnet};
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::{Packets, Peer};
use crate::ports::Surroundings;

const SUBNETS: &str = "ec2:DescribeSubnets";
const ROUTE_TABLES: &str = "ec2:DescribeRouteTables";
const GATEWAYS: &str = "ec2:DescribeInternetGateways";
const ACLS: &str = "ec2:DescribeNetworkAcls";
/// The largest page of route tables.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html>
const MAX_TABLES: i32 = 100;

#[async_trait]
impl Surroundings for Client {
    async fn subnets(&self) -> Result<BTreeMap<String, Subnet>, CloudError> {
        let call = || self.describe_subnets().max_results(MAX_PAGE_LEN);
        let found = read(SUBNETS, ALL, page!(SUBNETS, call(), subnets)).await?.found;
        Ok(found.into_iter().map(|found| (text(found.subnet_id()), subnet(&found))).collect())
    }

    async fn route_tables(&self) -> Result<Vec<RouteTable>, CloudError> {
        let call = || self.describe_route_tables().max_results(MAX_TABLES);
        let found = read(ROUTE_TABLES, ALL, page!(ROUTE_TABLES, call(), route_tables)).await?.found;
        found.iter().map(route_table).collect()
    }

    async fn gateways(&self) -> Result<BTreeMap<String, Vec<String>>, CloudError> {
        let call = || self.describe_internet_gateways().max_results(MAX_PAGE_LEN);
        let found = read(GATEWAYS, ALL, page!(GATEWAYS, call(), internet_gateways)).await?.found;
        let vpcs = |gateway: &types::InternetGateway| {
            let there = gateway.attachments().iter().filter(|one| is_attached(one));
            there.filter_map(|one| one.vpc_id()).map(str::to_owned).collect()
        };
        Ok(found.into_iter().map(|gateway| (text(gateway.internet_gateway_id()), vpcs(&gateway))).collect())
    }

    async fn acls(&self) -> Result<Vec<Acl>, CloudError> {
        let call = || self.describe_network_acls().max_results(MAX_PAGE_LEN);
        let found = read(ACLS, ALL, page!(ACLS, call(), network_acls)).await?.found;
        found.iter().map(acl).collect()
    }
}

fn text(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

/// EC2 says `available` of a gateway that is attached.
fn is_attached(attachment: &types::InternetGatewayAttachment) -> bool {
    attachment.state().is_none_or(|state| ["available", "attached"].contains(&state.as_str()))
}

fn subnet(subnet: &types::Subnet) -> Subnet {
    let mode = subnet.block_public_access_states().and_then(|states| states.internet_gateway_block_mode());
    let blocks = subnet.ipv6_cidr_block_association_set().iter();
    let mut kinds = blocks.filter_map(|block| block.ipv6_address_attribute()).peekable();
    Subnet {
        is_blocked: mode.is_some_and(|mode| mode.as_str() != "off"),
        has_private_v6: kinds.peek().is_some() && kinds.all(|kind| kind.as_str() == "private"),
    }
}

fn route_table(table: &types::RouteTable) -> Result<RouteTable, CloudError> {
    let id = text(table.route_table_id());
    let active = table.routes().iter().filter(|route| route.state().is_none_or(|state| state.as_str() == "active"));
    let routes: Result<Vec<Route>, String> = active.map(route).collect();
    let of_gateway = table.associations().iter().any(|one| one.gateway_id().is_some());
    Ok(RouteTable {
        vpc: text(table.vpc_id()),
        is_main: table.associations().iter().any(|one| one.main() == Some(true)),
        subnets: table.associations().iter().filter_map(|one| one.subnet_id()).map(str::to_owned).collect(),
        is_of_gateway: of_gateway && table.routes().iter().any(|route| route.gateway_id() != Some("local")),
        routes: routes.map_err(|why| unusable(ROUTE_TABLES, format!("a route of {id}: {why}")))?,
        id,
    })
}

fn route(route: &types::Route) -> Result<Route, String> {
    let to = route.destination_cidr_block().or(route.destination_ipv6_cidr_block());
    let through =
        [route.gateway_id(), route.nat_gateway_id(), route.transit_gateway_id(), route.network_interface_id()];
    let through = text(through.into_iter().flatten().next());
    let Some(to) = to else { return Ok(Route { to: None, prefix_len: 0, through }) };
    let to = addresses([to])?;
    let prefix_len = to.blocks().first().map_or(0, ipnet::IpNet::prefix_len);
    Ok(Route { to: Some(to), prefix_len, through })
}

fn acl(acl: &types::NetworkAcl) -> Result<Acl, CloudError> {
    let id = text(acl.network_acl_id());
    let entries = acl.entries().iter().filter(|entry| entry.rule_number() != Some(LAST_ENTRY)).map(entry);
    let entries: Result<Vec<AclEntry>, String> = entries.collect();
    let mut entries = entries.map_err(|why| unusable(ACLS, format!("an entry of {id}: {why}")))?;
    entries.sort_by_key(|entry| entry.number);
    Ok(Acl {
        vpc: text(acl.vpc_id()),
        is_default: acl.is_default().unwrap_or_default(),
        subnets: acl.associations().iter().filter_map(|one| one.subnet_id()).map(str::to_owned).collect(),
        entries,
        id,
    })
}

fn entry(entry: &types::NetworkAclEntry) -> Result<AclEntry, String> {
    let (from, to) = match (entry.port_range(), entry.icmp_type_code()) {
        (Some(ports), _) => (ports.from(), ports.to()),
        (None, Some(icmp)) => (icmp.r#type(), icmp.code()),
        (None, None) => (None, None),
    };
    let protocol = entry.protocol().ok_or("it has no protocol")?;
    let packets = Packets::from_ec2(protocol, from.map(i64::from), to.map(i64::from));
    Ok(AclEntry {
        number: entry.rule_number().ok_or("it has no number")?.into(),
        is_egress: entry.egress().ok_or("it does not say which way")?,
        is_allowed: entry.rule_action() == Some(&types::RuleAction::Allow),
        peers: addresses(entry.cidr_block().into_iter().chain(entry.ipv6_cidr_block()))?,
        traffic: Traffic::from(packets.map_err(|error| error.to_string())?),
    })
}

fn addresses<'a>(blocks: impl IntoIterator<Item = &'a str>) -> Result<Addresses, String> {
    let block = |text: &str| match Peer::cidr(text) {
        Ok(Peer::Cidr(net)) => Ok(net),
        Ok(_) => Err(format!("`{text}` is no block")),
        Err(error) => Err(error.to_string()),
    };
    blocks.into_iter().map(block).collect()
}
