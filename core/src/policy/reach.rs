//! Whether what a rule lets in from the internet gets to an interface of the group now: addresses, routes, Block Public
//! Access, network ACLs. It is said beside a verdict and never changes one: an address is one call away.
//!
//! Must not: say no because of something that was not read.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::model::facts::Interface;
use crate::model::network::{Acl, AclEntry, Network, RouteTable, Subnet};
use crate::model::region::{Addresses, Piece, Traffic, cut_out};
use crate::model::text::plain;
use crate::model::words;

/// Ports that answers go to.
const ANSWERS: (u16, u16) = (1024, u16::MAX);
/// Kinds of interfaces that lead clients from outside to targets without addresses of their own.
const LEADING: [(&str, &str); 2] =
    [("network_load_balancer", "network load balancer"), ("global_accelerator_managed", "Global Accelerator")];
/// Pieces that a rule is cut into by a network ACL; more are not followed.
const MAX_PIECES: usize = 4_096;

words! {
    /// Whether it is, as far as is known. Ordered from harmless to not.
    pub enum Now {
        /// Surely not directly.
        No = "no",
        /// Nobody knows.
        Unknown = "unknown",
        /// It is.
        Yes = "yes",
    }
}

/// The answer, and the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "for-tests", derive(schemars::JsonSchema))]
pub struct Reachable {
    /// Whether it is.
    pub now: Now,
    /// The way in, or what stands in it, in words.
    pub path: String,
}

/// What stands in the way to one interface, and what is not known of it.
#[derive(Default)]
struct Way {
    blocks: Vec<String>,
    unknown: Vec<&'static str>,
}

/// A network, ready to be asked about each rule of thousands: what stands around a subnet or in a VPC.
pub struct Paths<'n> {
    network: &'n Network,
    /// Interfaces of each VPC that may lead clients from outside to targets there.
    leading: HashSet<&'n str>,
    tables: Around<'n, RouteTable>,
    /// VPCs in which something else stands behind the internet gateway.
    inspected: HashSet<&'n str>,
    acls: Around<'n, Acl>,
}

/// What a subnet has of its own, and what all others of a VPC have; the first one where there are several.
struct Around<'n, T> {
    of_subnet: HashMap<&'n str, &'n T>,
    of_vpc: HashMap<&'n str, &'n T>,
}

impl<'n, T> Around<'n, T> {
    fn of(all: impl Iterator<Item = (&'n T, &'n [String], Option<&'n str>)>) -> Self {
        let (mut of_subnet, mut of_vpc) = (HashMap::new(), HashMap::new());
        for (one, subnets, vpc) in all {
            for subnet in subnets {
                of_subnet.entry(subnet.as_str()).or_insert(one);
            }
            if let Some(vpc) = vpc {
                of_vpc.entry(vpc).or_insert(one);
            }
        }
        Self { of_subnet, of_vpc }
    }

    fn around(&self, interface: &Interface) -> Option<&'n T> {
        self.of_subnet.get(interface.subnet.as_str()).or_else(|| self.of_vpc.get(interface.vpc.as_str())).copied()
    }
}

impl<'n> Paths<'n> {
    /// Of this network.
    pub fn of(network: &'n Network) -> Self {
        let is_leading = |other: &&Interface| LEADING.iter().any(|(kind, _)| *kind == other.kind);
        // Of a load balancer with private addresses alone nobody outside knows.
        let leads = |other: &&Interface| other.public_v4.is_some() || other.kind != LEADING[0].0;
        let leading = network.interfaces.iter().filter(is_leading).filter(leads);
        let tables = || network.tables.iter().flatten();
        let behind = tables().filter(|table| table.is_of_gateway);
        let main = |table: &'n RouteTable| table.is_main.then_some(table.vpc.as_str());
        let default = |acl: &'n Acl| acl.is_default.then_some(acl.vpc.as_str());
        Self {
            network,
            leading: leading.map(|interface| interface.vpc.as_str()).collect(),
            inspected: behind.map(|table| table.vpc.as_str()).collect(),
            tables: Around::of(tables().map(|table| (table, table.subnets.as_slice(), main(table)))),
            acls: Around::of(network.acls.iter().flatten().map(|acl| (acl, acl.subnets.as_slice(), default(acl)))),
        }
    }

    /// The interfaces of a group; one of those of a subnet that have the same kinds of addresses.
    pub fn interfaces(&self, group: &str) -> Vec<&'n Interface> {
        let at = self.network.interfaces_of.get(group).map(Vec::as_slice).unwrap_or_default();
        let all = at.iter().filter_map(|at| self.network.interfaces.get(*at));
        let mut kinds: BTreeMap<_, &Interface> = BTreeMap::new();
        for interface in all {
            let kind = (
                &interface.vpc,
                &interface.subnet,
                interface.public_v4.is_some(),
                interface.v6.is_some(),
                interface.denies_gateways,
            );
            kinds.entry(kind).or_insert(interface);
        }
        kinds.into_values().collect()
    }
}

/// Whether these clients get to one of the interfaces of a group with this traffic.
pub fn of(paths: &Paths<'_>, interfaces: &[&Interface], clients: &Addresses, traffic: &Traffic) -> Reachable {
    let mut ways: Vec<(&Interface, Way)> = Vec::new();
    let by_family = clients.by_family();
    for interface in interfaces.iter().copied() {
        for (family, clients) in by_family.iter().enumerate().filter(|(_, clients)| !clients.is_empty()) {
            let is_v6 = family == 1;
            let way = way(paths, interface, is_v6, clients, traffic);
            if way.blocks.is_empty() && way.unknown.is_empty() {
                let address = if is_v6 { &interface.v6 } else { &interface.public_v4 };
                let address = plain(address.as_deref().unwrap_or_default());
                return said(Now::Yes, format!("reachable now through {}, {address}", plain(&interface.id)));
            }
            ways.push((interface, way));
        }
    }
    if let Some((_, way)) = ways.iter().find(|(_, way)| way.blocks.is_empty()) {
        return said(Now::Unknown, format!("unknown: {}", way.unknown.join(", ")));
    }
    if !paths.network.is_whole {
        return said(Now::Unknown, "unknown: not all network interfaces are given".to_owned());
    }
    let nearest = ways.iter().min_by_key(|(_, way)| way.blocks.len());
    let path = match nearest.map(|(interface, way)| (plain(&interface.id), way.blocks.as_slice())) {
        None => "not reachable now: the group is attached to nothing, one attachment away".to_owned(),
        Some((interface, [one])) => format!("not directly reachable now: {one} ({interface}), one change away"),
        Some((interface, many)) => {
            format!("not directly reachable now: {} ({interface}), {} changes away", many.join("; "), many.len())
        }
    };
    said(Now::No, path)
}

fn said(now: Now, path: String) -> Reachable {
    Reachable { now, path }
}

fn way(paths: &Paths<'_>, interface: &Interface, is_v6: bool, clients: &Addresses, traffic: &Traffic) -> Way {
    let network = paths.network;
    let mut way = Way::default();
    let subnet = network.subnets.as_ref().map(|subnets| subnets.get(&interface.subnet));
    if address(paths, interface, is_v6, subnet.flatten(), &mut way) {
        return way;
    }
    match subnet {
        Some(Some(Subnet { is_blocked: true, .. })) => {
            way.blocks.push("VPC Block Public Access keeps it away".to_owned());
        }
        Some(Some(_)) => {}
        Some(None) | None => way.unknown.push("subnets not given"),
    }
    let clients = if network.tables.is_none() {
        way.unknown.push("route tables not given");
        clients.clone()
    } else {
        routed(paths, interface, clients, &mut way)
    };
    match network.acls.is_some().then(|| paths.acls.around(interface)) {
        Some(Some(found)) if !clients.is_empty() => {
            if !lets_through(found, &clients, traffic) {
                way.blocks.push(format!("network ACL {} denies it", plain(&found.id)));
            }
        }
        Some(Some(_)) => {}
        Some(None) | None => way.unknown.push("network ACLs not given"),
    }
    way
}

/// Whether nothing more is to be asked: something else may lead to it.
fn address(paths: &Paths<'_>, interface: &Interface, is_v6: bool, subnet: Option<&Subnet>, way: &mut Way) -> bool {
    let block = match (is_v6, &interface.public_v4, &interface.v6) {
        (false, None, _) => Some("no public IPv4 address: an Elastic IP would be one"),
        (true, _, None) => Some("no IPv6 address"),
        (true, ..) if interface.denies_gateways => Some("it denies the traffic of internet gateways"),
        (true, ..) if subnet.is_some_and(|subnet| subnet.has_private_v6) => Some("its IPv6 addresses are private"),
        _ => None,
    };
    let Some(block) = block else { return false };
    if paths.leading.contains(interface.vpc.as_str()) {
        way.unknown
            .push("it has no public address, and a network load balancer or an accelerator of its VPC may lead to it");
        return true;
    }
    way.blocks.push(block.to_owned());
    false
}

/// The clients to whom the subnet has a route over an internet gateway.
fn routed(paths: &Paths<'_>, interface: &Interface, clients: &Addresses, way: &mut Way) -> Addresses {
    let network = paths.network;
    let Some(table) = paths.tables.around(interface) else {
        way.unknown.push("the route table of its subnet is not given");
        return clients.clone();
    };
    if paths.inspected.contains(interface.vpc.as_str()) {
        way.unknown.push("what comes over the internet gateway is led through something else, such as a firewall");
    }
    let is_attached = |id: &str| {
        id.starts_with("igw-")
            && network
                .gateways
                .as_ref()
                .is_none_or(|known| known.get(id).is_some_and(|vpcs| vpcs.contains(&interface.vpc)))
    };
    let mut routes: Vec<_> = table.routes.iter().collect();
    routes.sort_by_key(|route| std::cmp::Reverse(route.prefix_len));
    let (mut rest, mut reached) = (clients.clone(), Addresses::default());
    for route in routes {
        match &route.to {
            Some(to) => {
                let here = rest.shared_with(to);
                rest = rest.without(to);
                if is_attached(&route.through) {
                    reached = reached.with(&here);
                }
            }
            None if is_attached(&route.through) => way.unknown.push("a route of its subnet goes to a prefix list"),
            None => {}
        }
    }
    if reached.is_empty() && !way.unknown.contains(&"a route of its subnet goes to a prefix list") {
        way.blocks.push(format!("route table {} has no route to them over an internet gateway", plain(&table.id)));
    }
    reached
}

/// Whether something of it comes in, and its answers get out. An ACL knows no connections.
fn lets_through(acl: &Acl, clients: &Addresses, traffic: &Traffic) -> bool {
    let inbound = allowed(&acl.entries, false, clients.clone(), traffic.clone());
    inbound.into_iter().any(|(clients, traffic)| {
        let answers = |protocol| Traffic::ports(protocol, ANSWERS.0, ANSWERS.1);
        let transport = [6, 17].into_iter().filter(|protocol| traffic.meets(&Traffic::ports(*protocol, 0, u16::MAX)));
        let wanted: Vec<Traffic> = transport.map(answers).collect();
        wanted.is_empty()
            || wanted.into_iter().any(|answers| !allowed(&acl.entries, true, clients.clone(), answers).is_empty())
    })
}

/// What of a region an ACL allows, in pieces.
fn allowed(entries: &[AclEntry], is_egress: bool, peers: Addresses, traffic: Traffic) -> Vec<Piece> {
    let (mut rest, mut found) = (vec![(peers, traffic)], Vec::new());
    for entry in entries.iter().filter(|entry| entry.is_egress == is_egress) {
        let (left, taken) = cut_out(rest, (&entry.peers, &entry.traffic));
        found.extend(taken.into_iter().filter(|_| entry.is_allowed));
        rest = left;
        if rest.len() > MAX_PIECES {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests;
