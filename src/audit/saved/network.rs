//! The network around interfaces out of saved answers: subnets, route tables, internet gateways, network ACLs.
//!
//! Must not: say whether anything is reachable (`policy::reach` does). What is not understood is an error, as elsewhere.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::decode;
use super::kind::Kind;
use super::shapes::{Few, Text, ec2};
use crate::model::facts::Interface;
use crate::model::network::{Acl, AclEntry, Face, LAST_ENTRY, Network, Route, RouteTable, Subnet};
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::Packets;
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
        let mode =
            shape.block_public_access_states.as_ref().and_then(|states| states.internet_gateway_block_mode.as_deref());
        let attributes = shape.ipv6_cidr_block_association_set.iter();
        let mut attributes = attributes.filter_map(|block| block.ipv6_address_attribute.as_deref()).peekable();
        let subnet = Subnet {
            is_blocked: mode.is_some_and(|mode| mode != "off"),
            has_private_v6: attributes.peek().is_some() && attributes.all(|attribute| attribute == "private"),
        };
        self.subnets.insert(id(&shape.subnet_id, "subnet-")?, subnet);
        Ok(())
    }

    /// A table of `describe-route-tables`.
    pub(super) fn table(&mut self, json: &str) -> Result<(), String> {
        let shape: RouteTableShape = read(json)?;
        let id = id(&shape.route_table_id, "rtb-")?;
        let routes = shape.routes.iter().filter(|route| route.state.as_deref().is_none_or(|state| state == "active"));
        let routes: Result<Vec<Route>, String> = routes.map(route).collect();
        let table = RouteTable {
            vpc: decode::text(shape.vpc_id.as_ref()),
            is_main: shape.associations.iter().any(|one| one.main == Some(true)),
            subnets: shape.associations.iter().filter_map(|one| one.subnet_id.clone()).collect(),
            is_of_gateway: shape.associations.iter().any(|one| one.gateway_id.is_some())
                && shape.routes.iter().any(|route| route.gateway_id.as_deref() != Some("local")),
            routes: routes.map_err(|why| format!("a route of {}: {why}", quoted(&id)))?,
            id: id.clone(),
        };
        self.tables.insert(id, table);
        Ok(())
    }

    /// A gateway of `describe-internet-gateways`.
    pub(super) fn gateway(&mut self, json: &str) -> Result<(), String> {
        let shape: GatewayShape = read(json)?;
        let is_there = |one: &&GatewayAttachmentShape| {
            one.state.as_deref().is_none_or(|state| ["available", "attached"].contains(&state))
        };
        let vpcs = shape.attachments.iter().filter(is_there).filter_map(|one| one.vpc_id.clone()).collect();
        self.gateways.insert(id(&shape.internet_gateway_id, "igw-")?, vpcs);
        Ok(())
    }

    /// An ACL of `describe-network-acls`.
    pub(super) fn acl(&mut self, json: &str) -> Result<(), String> {
        let shape: AclShape = read(json)?;
        let id = id(&shape.network_acl_id, "acl-")?;
        let entries = shape.entries.iter().filter(|entry| entry.rule_number != Some(LAST_ENTRY.into())).map(entry);
        let entries: Result<Vec<AclEntry>, String> = entries.collect();
        let mut entries = entries.map_err(|why| format!("an entry of {}: {why}", quoted(&id)))?;
        entries.sort_by_key(|entry| entry.number);
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
    pub(super) fn joined<'i>(
        self,
        interfaces: impl Iterator<Item = &'i Interface>,
        is_whole: impl Fn(Kind) -> bool,
    ) -> Network {
        let (mut faces, mut of_group) = (Vec::new(), HashMap::<String, Vec<usize>>::new());
        for interface in interfaces {
            for group in &interface.groups {
                of_group.entry(group.clone()).or_default().push(faces.len());
            }
            faces.push(Face::from(interface));
        }
        Network {
            faces,
            of_group,
            subnets: is_whole(Kind::Subnets).then_some(self.subnets),
            tables: is_whole(Kind::RouteTables).then(|| self.tables.into_values().collect()),
            gateways: is_whole(Kind::Gateways).then_some(self.gateways),
            acls: is_whole(Kind::NetworkAcls).then(|| self.acls.into_values().collect()),
            is_whole: is_whole(Kind::Interfaces),
        }
    }
}

fn route(shape: &RouteShape) -> Result<Route, String> {
    let to = shape.destination_cidr_block.as_deref().or(shape.destination_ipv6_cidr_block.as_deref());
    let through = [&shape.gateway_id, &shape.nat_gateway_id, &shape.transit_gateway_id, &shape.network_interface_id];
    let through = through.into_iter().flatten().next().cloned().unwrap_or_default();
    let Some(to) = to else { return Ok(Route { to: None, prefix_len: 0, through }) };
    let addresses = decode::addresses([to]).map_err(|error| error.to_string())?;
    let prefix_len = addresses.blocks().first().map_or(0, ipnet::IpNet::prefix_len);
    Ok(Route { to: Some(addresses), prefix_len, through })
}

fn entry(shape: &EntryShape) -> Result<AclEntry, String> {
    let protocol = shape.protocol.as_deref().ok_or("it has no `Protocol`")?;
    let (from, to) = match (&shape.port_range, &shape.icmp_type_code) {
        (Some(ports), _) => (ports.from, ports.to),
        (None, Some(icmp)) => (icmp.r#type, icmp.code),
        (None, None) => (None, None),
    };
    let packets = Packets::from_ec2(protocol, from, to).map_err(|error| error.to_string())?;
    let peers = shape.cidr_block.iter().chain(&shape.ipv6_cidr_block).map(String::as_str);
    let peers: Addresses = decode::addresses(peers).map_err(|error| error.to_string())?;
    Ok(AclEntry {
        number: shape.rule_number.ok_or("it has no `RuleNumber`")?,
        is_egress: shape.egress.ok_or("it does not say `Egress`")?,
        is_allowed: shape.rule_action.as_deref() == Some("allow"),
        peers,
        traffic: Traffic::from(packets),
    })
}
