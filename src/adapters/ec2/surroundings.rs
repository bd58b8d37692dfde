//! What stands between the internet and interfaces, out of EC2's answers: subnets, route tables, internet gateways, network
//! ACLs.
//!
//! Must not: say whether anything is reachable (`policy::reach` does). What cannot be decoded fails the read, so that
//! nothing is taken for closed that is only not understood.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_ec2::types;

use super::super::failure::{during, unusable};
use super::Ec2Client;
use super::pages::{ALL, MAX_PAGE_LEN, page, read};
use crate::model::error::CloudError;
use crate::model::network::{Acl, AclEntry, EntryWords, Route, RouteTable, Subnet, is_attached};
use crate::model::rule::RuleError;
use crate::ports::Surroundings;

const SUBNETS: &str = "ec2:DescribeSubnets";
const ROUTE_TABLES: &str = "ec2:DescribeRouteTables";
const GATEWAYS: &str = "ec2:DescribeInternetGateways";
const ACLS: &str = "ec2:DescribeNetworkAcls";
/// The largest page of route tables.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html>
const MAX_TABLES: i32 = 100;

#[async_trait]
impl Surroundings for Ec2Client {
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
            let there = gateway
                .attachments()
                .iter()
                .filter(|one| is_attached(one.state().map(types::AttachmentStatus::as_str)));
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

fn subnet(subnet: &types::Subnet) -> Subnet {
    let mode = subnet.block_public_access_states().and_then(|states| states.internet_gateway_block_mode());
    let blocks = subnet.ipv6_cidr_block_association_set().iter();
    let kinds = blocks.filter_map(|block| block.ipv6_address_attribute().map(types::Ipv6AddressAttribute::as_str));
    Subnet::from_ec2(mode.map(types::BlockPublicAccessMode::as_str), kinds)
}

fn route_table(table: &types::RouteTable) -> Result<RouteTable, CloudError> {
    let id = text(table.route_table_id());
    let routes = table.routes().iter().filter(|route| Route::is_active(route.state().map(types::RouteState::as_str)));
    let routes: Result<Vec<Route>, RuleError> = routes.map(route).collect();
    Ok(RouteTable {
        vpc: text(table.vpc_id()),
        is_main: table.associations().iter().any(|one| one.main() == Some(true)),
        subnets: table.associations().iter().filter_map(|one| one.subnet_id()).map(str::to_owned).collect(),
        is_of_gateway: RouteTable::leads_elsewhere(
            table.associations().iter().any(|one| one.gateway_id().is_some()),
            table.routes().iter().map(types::Route::gateway_id),
        ),
        routes: routes.map_err(|why| unusable(ROUTE_TABLES, format!("a route of {id}: {why}")))?,
        id,
    })
}

fn route(route: &types::Route) -> Result<Route, RuleError> {
    let to = [route.destination_cidr_block(), route.destination_ipv6_cidr_block()];
    let through =
        [route.gateway_id(), route.nat_gateway_id(), route.transit_gateway_id(), route.network_interface_id()];
    Route::from_ec2(to, through)
}

fn acl(acl: &types::NetworkAcl) -> Result<Acl, CloudError> {
    let id = text(acl.network_acl_id());
    let entries = AclEntry::all_from_ec2(acl.entries().iter().map(words));
    Ok(Acl {
        vpc: text(acl.vpc_id()),
        is_default: acl.is_default().unwrap_or_default(),
        subnets: acl.associations().iter().filter_map(|one| one.subnet_id()).map(str::to_owned).collect(),
        entries: entries.map_err(|why| unusable(ACLS, format!("an entry of {id}: {why}")))?,
        id,
    })
}

fn words(entry: &types::NetworkAclEntry) -> EntryWords<'_> {
    let number = |number: Option<i32>| number.map(i64::from);
    let ports = entry.port_range().map(|ports| (number(ports.from()), number(ports.to())));
    EntryWords {
        number: number(entry.rule_number()),
        is_egress: entry.egress(),
        action: entry.rule_action().map(types::RuleAction::as_str),
        blocks: [entry.cidr_block(), entry.ipv6_cidr_block()],
        protocol: entry.protocol(),
        ports: ports.or_else(|| entry.icmp_type_code().map(|icmp| (number(icmp.r#type()), number(icmp.code())))),
    }
}
