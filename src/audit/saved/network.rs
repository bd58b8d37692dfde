//! The network around interfaces out of saved answers: subnets, route tables, internet gateways, network ACLs.
//!
//! Must not: say whether anything is reachable (`policy::reach` does). What is not understood is an error, as elsewhere.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::decode;
use super::kind::Kind;
use super::shapes::{Few, Text, ec2};
use crate::model::facts::Interface;
use crate::model::network::{Acl, AclEntry, EntryWords, Network, Route, RouteTable, Subnet, is_attached};
use crate::model::rule::RuleError;
use crate::model::text::quoted;

ec2! {
    SubnetShape {
        subnet_id: Text,
        block_public_access_states: Option<BlockShape>,
        ipv6_cidr_block_association_set: Few<SubnetBlockShape>,
    }
    BlockShape {
        internet_gateway_block_mode: Text,
    }
    SubnetBlockShape {
        ipv6_address_attribute: Text,
    }
    RouteTableShape {
        route_table_id: Text,
        vpc_id: Text,
        associations: Few<TableAssociationShape>,
        routes: Few<RouteShape>,
    }
    TableAssociationShape {
        main: Option<bool>,
        subnet_id: Text,
        gateway_id: Text,
    }
    RouteShape {
        destination_cidr_block: Text,
        destination_ipv6_cidr_block: Text,
        gateway_id: Text,
        nat_gateway_id: Text,
        network_interface_id: Text,
        transit_gateway_id: Text,
        state: Text,
    }
    GatewayShape {
        internet_gateway_id: Text,
        attachments: Few<GatewayAttachmentShape>,
    }
    GatewayAttachmentShape {
        vpc_id: Text,
        state: Text,
    }
    AclShape {
        network_acl_id: Text,
        vpc_id: Text,
        is_default: Option<bool>,
        associations: Few<TableAssociationShape>,
        entries: Few<EntryShape>,
    }
    EntryShape {
        rule_number: Option<i64>,
        egress: Option<bool>,
        protocol: Text,
        rule_action: Text,
        cidr_block: Text,
        ipv6_cidr_block: Text,
        port_range: Option<PortsShape>,
        icmp_type_code: Option<IcmpShape>,
    }
    PortsShape {
        from: Option<i64>,
        to: Option<i64>,
    }
    IcmpShape {
        code: Option<i64>,
        r#type: Option<i64>,
    }
}

/// What was read, each thing once.
#[derive(Debug, Default)]
pub(super) struct SavedNetwork {
    pub(super) subnets: BTreeMap<String, Subnet>,
    pub(super) tables: BTreeMap<String, RouteTable>,
    pub(super) gateways: BTreeMap<String, Vec<String>>,
    pub(super) acls: BTreeMap<String, Acl>,
}

fn read<'t, T: Deserialize<'t>>(json: &'t str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn id(text: &Text, prefix: &str) -> Result<String, String> {
    let id = decode::text(text.as_ref());
    if id.starts_with(prefix) { Ok(id) } else { Err(format!("{} is no id that begins with `{prefix}`", quoted(&id))) }
}

impl SavedNetwork {
    /// A subnet of `describe-subnets`.
    pub(super) fn subnet(&mut self, json: &str) -> Result<(), String> {
        let shape: SubnetShape = read(json)?;
        let states = shape.block_public_access_states.as_ref();
        let mode = states.and_then(|states| states.internet_gateway_block_mode.as_deref());
        let blocks = shape.ipv6_cidr_block_association_set.iter();
        let subnet = Subnet::from_ec2(mode, blocks.filter_map(|block| block.ipv6_address_attribute.as_deref()));
        self.subnets.insert(id(&shape.subnet_id, "subnet-")?, subnet);
        Ok(())
    }

    /// A table of `describe-route-tables`.
    pub(super) fn table(&mut self, json: &str) -> Result<(), String> {
        let shape: RouteTableShape = read(json)?;
        let id = id(&shape.route_table_id, "rtb-")?;
        let routes = shape.routes.iter().filter(|route| Route::is_active(route.state.as_deref()));
        let routes: Result<Vec<Route>, RuleError> = routes.map(route).collect();
        let table = RouteTable {
            vpc: decode::text(shape.vpc_id.as_ref()),
            is_main: shape.associations.iter().any(|one| one.main == Some(true)),
            subnets: shape.associations.iter().filter_map(|one| one.subnet_id.clone()).collect(),
            is_of_gateway: RouteTable::leads_elsewhere(
                shape.associations.iter().any(|one| one.gateway_id.is_some()),
                shape.routes.iter().map(|route| route.gateway_id.as_deref()),
            ),
            routes: routes.map_err(|why| format!("a route of {}: {why}", quoted(&id)))?,
            id: id.clone(),
        };
        self.tables.insert(id, table);
        Ok(())
    }

    /// A gateway of `describe-internet-gateways`.
    pub(super) fn gateway(&mut self, json: &str) -> Result<(), String> {
        let shape: GatewayShape = read(json)?;
        let there = shape.attachments.iter().filter(|one| is_attached(one.state.as_deref()));
        let vpcs = there.filter_map(|one| one.vpc_id.clone()).collect();
        self.gateways.insert(id(&shape.internet_gateway_id, "igw-")?, vpcs);
        Ok(())
    }

    /// An ACL of `describe-network-acls`.
    pub(super) fn acl(&mut self, json: &str) -> Result<(), String> {
        let shape: AclShape = read(json)?;
        let id = id(&shape.network_acl_id, "acl-")?;
        let entries = AclEntry::all_from_ec2(shape.entries.iter().map(words));
        let entries = entries.map_err(|why| format!("an entry of {}: {why}", quoted(&id)))?;
        let acl = Acl {
            vpc: decode::text(shape.vpc_id.as_ref()),
            is_default: shape.is_default.unwrap_or_default(),
            subnets: shape.associations.iter().filter_map(|one| one.subnet_id.clone()).collect(),
            entries,
            id: id.clone(),
        };
        self.acls.insert(id, acl);
        Ok(())
    }

    /// All of it together, around these interfaces. What was saved in part is not taken for all.
    pub(super) fn joined(self, interfaces: Vec<Interface>, is_whole: impl Fn(Kind) -> bool) -> Network {
        let mut interfaces_of = HashMap::<String, Vec<usize>>::new();
        for (at, interface) in interfaces.iter().enumerate() {
            for group in &interface.groups {
                interfaces_of.entry(group.clone()).or_default().push(at);
            }
        }
        Network {
            interfaces,
            interfaces_of,
            subnets: is_whole(Kind::Subnets).then_some(self.subnets),
            tables: is_whole(Kind::RouteTables).then(|| self.tables.into_values().collect()),
            gateways: is_whole(Kind::Gateways).then_some(self.gateways),
            acls: is_whole(Kind::NetworkAcls).then(|| self.acls.into_values().collect()),
            is_whole: is_whole(Kind::Interfaces),
        }
    }
}

fn route(shape: &RouteShape) -> Result<Route, RuleError> {
    let to = [&shape.destination_cidr_block, &shape.destination_ipv6_cidr_block];
    let through = [&shape.gateway_id, &shape.nat_gateway_id, &shape.transit_gateway_id, &shape.network_interface_id];
    Route::from_ec2(to.map(Option::as_deref), through.map(Option::as_deref))
}

fn words(shape: &EntryShape) -> EntryWords<'_> {
    let ports = shape.port_range.as_ref().map(|ports| (ports.from, ports.to));
    EntryWords {
        number: shape.rule_number,
        is_egress: shape.egress,
        action: shape.rule_action.as_deref(),
        blocks: [&shape.cidr_block, &shape.ipv6_cidr_block].map(Option::as_deref),
        protocol: shape.protocol.as_deref(),
        ports: ports.or_else(|| shape.icmp_type_code.as_ref().map(|icmp| (icmp.r#type, icmp.code))),
    }
}
