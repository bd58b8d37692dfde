//! What stands between the internet and an interface, as plain values: addresses, subnets, route tables, network ACLs.
//!
//! Must not: say whether anything is reachable (`policy::reach` does).

use std::collections::{BTreeMap, HashMap};

use crate::model::facts::Interface;
use crate::model::region::{Addresses, Traffic};

/// The number of the last entry of a network ACL, which denies the rest.
pub const LAST_ENTRY: i32 = 32_767;

/// The network around the interfaces of groups, as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Interfaces, and by group their positions.
    pub faces: Vec<Face>,
    /// By group, positions in `faces`.
    pub of_group: HashMap<String, Vec<usize>>,
    /// By id; `None`: they were not read, or not all of them.
    pub subnets: Option<BTreeMap<String, Subnet>>,
    /// All of them, or `None`.
    pub tables: Option<Vec<RouteTable>>,
    /// By id of the gateway the VPCs that it is attached to, or `None`.
    pub gateways: Option<BTreeMap<String, Vec<String>>>,
    /// All of them, or `None`.
    pub acls: Option<Vec<Acl>>,
    /// Whether `faces` are all interfaces.
    pub is_whole: bool,
}

/// An interface, as the internet sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Face {
    /// `eni-…`
    pub id: String,
    /// `vpc-…`
    pub vpc: String,
    /// `subnet-…`
    pub subnet: String,
    /// Set by EC2: `network_load_balancer`, `global_accelerator_managed`, …
    pub kind: String,
    /// A public IPv4 address of it.
    pub public_v4: Option<String>,
    /// An IPv6 address of it.
    pub v6: Option<String>,
    /// IPv6 traffic of internet gateways is denied to it.
    pub denies_gateways: bool,
}

impl From<&Interface> for Face {
    fn from(interface: &Interface) -> Self {
        let Interface { id, vpc, subnet, kind, public_v4, v6, denies_gateways, .. } = interface.clone();
        Self { id, vpc, subnet, kind, public_v4, v6, denies_gateways }
    }
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// Block Public Access keeps what comes from outside away from it.
    pub is_blocked: bool,
    /// Its IPv6 addresses are private ones.
    pub has_private_v6: bool,
}

/// A route table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteTable {
    /// `rtb-…`
    pub id: String,
    /// `vpc-…`
    pub vpc: String,
    /// Of every subnet of the VPC that has none of its own.
    pub is_main: bool,
    /// Subnets that have it.
    pub subnets: Vec<String>,
    /// It is of a gateway: what comes in takes these routes.
    pub is_of_gateway: bool,
    /// Its routes that count.
    pub routes: Vec<Route>,
}

/// An active route.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// To where; `None`: a prefix list that is not known here.
    pub to: Option<Addresses>,
    /// The longest prefix wins.
    pub prefix_len: u8,
    /// `igw-…`, `nat-…`, `local`, …
    pub through: String,
}

/// A network ACL.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acl {
    /// `acl-…`
    pub id: String,
    /// `vpc-…`
    pub vpc: String,
    /// Of every subnet of the VPC that has none of its own.
    pub is_default: bool,
    /// Subnets that have it.
    pub subnets: Vec<String>,
    /// In the order in which they are asked; the first that fits counts, and the last one denies the rest.
    pub entries: Vec<AclEntry>,
}

/// A line of a network ACL.
#[derive(Clone, Debug, PartialEq)]
pub struct AclEntry {
    /// Its place.
    pub number: i64,
    /// Of what leaves.
    pub is_egress: bool,
    /// Allows, or denies.
    pub is_allowed: bool,
    /// From whom, or to whom.
    pub peers: Addresses,
    /// Which packets.
    pub traffic: Traffic,
}
