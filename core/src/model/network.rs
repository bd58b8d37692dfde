//! What stands between the internet and an interface, as plain values: addresses, subnets, route tables, network ACLs.
//!
//! Owns: what EC2's words for these mean, whoever read them.
//! Must not: say whether anything is reachable (`policy::reach` does).

use std::collections::{BTreeMap, HashMap};

use ipnet::IpNet;

use crate::model::facts::Interface;
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::{Packets, RuleError};

/// The number of the last entry of a network ACL, which denies the rest.
const LAST_ENTRY: i64 = 32_767;

/// The network around the interfaces of groups, as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Interfaces.
    pub interfaces: Vec<Interface>,
    /// By group, positions in `interfaces`.
    pub interfaces_of: HashMap<String, Vec<usize>>,
    /// By id; `None`: they were not read, or not all of them.
    pub subnets: Option<BTreeMap<String, Subnet>>,
    /// All of them, or `None`.
    pub tables: Option<Vec<RouteTable>>,
    /// By id of the gateway the VPCs that it is attached to, or `None`.
    pub gateways: Option<BTreeMap<String, Vec<String>>>,
    /// All of them, or `None`.
    pub acls: Option<Vec<Acl>>,
    /// Whether `interfaces` are all of them in their VPCs.
    pub is_whole: bool,
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

impl Subnet {
    /// `block_mode`: what Block Public Access does to its internet gateway; `v6_kinds`: what each of its IPv6 blocks is.
    pub fn from_ec2<'w>(block_mode: Option<&str>, v6_kinds: impl Iterator<Item = &'w str>) -> Self {
        let mut kinds = v6_kinds.peekable();
        Self {
            is_blocked: block_mode.is_some_and(|mode| mode != "off"),
            has_private_v6: kinds.peek().is_some() && kinds.all(|kind| kind == "private"),
        }
    }
}

impl Route {
    /// Whether a route in this state counts.
    pub fn is_active(state: Option<&str>) -> bool {
        state.is_none_or(|state| state == "active")
    }

    /// `to`: a block of either family, or none for a prefix list; `through`: the first one that is stated.
    ///
    /// # Errors
    /// A destination that is no block.
    pub fn from_ec2(to: [Option<&str>; 2], through: [Option<&str>; 4]) -> Result<Self, RuleError> {
        let to = to.into_iter().flatten().next().map(|to| Addresses::of_blocks([to])).transpose()?;
        let prefix_len = to.as_ref().and_then(|to| to.blocks().first().map(IpNet::prefix_len)).unwrap_or_default();
        let through = through.into_iter().flatten().next().unwrap_or_default().to_owned();
        Ok(Self { to, prefix_len, through })
    }
}

impl RouteTable {
    /// Whether what comes in over a gateway is led elsewhere: the table is of one, and some route (`gateways`: through which
    /// each goes) leaves the VPC's own.
    pub fn leads_elsewhere<'w>(is_of_gateway: bool, mut gateways: impl Iterator<Item = Option<&'w str>>) -> bool {
        is_of_gateway && gateways.any(|gateway| gateway != Some("local"))
    }
}

/// Whether an internet gateway with this attachment is there: EC2 says `available` of it.
pub fn is_attached(state: Option<&str>) -> bool {
    state.is_none_or(|state| ["available", "attached"].contains(&state))
}

/// An entry of a network ACL in EC2's words.
#[derive(Clone, Copy, Debug, Default)]
pub struct EntryWords<'w> {
    /// `RuleNumber`.
    pub number: Option<i64>,
    /// `Egress`.
    pub is_egress: Option<bool>,
    /// `RuleAction`.
    pub action: Option<&'w str>,
    /// `CidrBlock`, `Ipv6CidrBlock`.
    pub blocks: [Option<&'w str>; 2],
    /// `Protocol`.
    pub protocol: Option<&'w str>,
    /// `PortRange`, or else `IcmpTypeCode`.
    pub ports: Option<(Option<i64>, Option<i64>)>,
}

impl AclEntry {
    /// What entries say, in the order in which they are asked. The last one, which denies the rest, is left out.
    ///
    /// # Errors
    /// Of the first entry that is not understood, why.
    pub fn all_from_ec2<'w>(entries: impl Iterator<Item = EntryWords<'w>>) -> Result<Vec<Self>, String> {
        let entries = entries.filter(|entry| entry.number != Some(LAST_ENTRY)).map(Self::from_ec2);
        let mut entries = entries.collect::<Result<Vec<Self>, String>>()?;
        entries.sort_by_key(|entry| entry.number);
        Ok(entries)
    }

    fn from_ec2(words: EntryWords<'_>) -> Result<Self, String> {
        let protocol = words.protocol.ok_or("it has no `Protocol`")?;
        let (from, to) = words.ports.unwrap_or_default();
        let packets = Packets::from_ec2(protocol, from, to).map_err(|error| error.to_string())?;
        let peers = Addresses::of_blocks(words.blocks.into_iter().flatten()).map_err(|error| error.to_string())?;
        Ok(Self {
            number: words.number.ok_or("it has no `RuleNumber`")?,
            is_egress: words.is_egress.ok_or("it does not say `Egress`")?,
            is_allowed: words.action == Some("allow"),
            peers,
            traffic: Traffic::from(packets),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_blocked_by_any_mode_but_off_and_private_where_all_its_ipv6_blocks_are() {
        for (mode, kinds, is_blocked, has_private_v6) in [
            (None, &[][..], false, false),
            (Some("off"), &["private"], false, true),
            (Some("block-ingress"), &["public"], true, false),
            (Some("block-bidirectional"), &["private", "private"], true, true),
            (None, &["private", "public"], false, false),
        ] {
            let subnet = Subnet::from_ec2(mode, kinds.iter().copied());
            assert_eq!(subnet, Subnet { is_blocked, has_private_v6 }, "{mode:?} {kinds:?}");
        }
    }

    #[test]
    fn a_route_or_a_gateway_counts_unless_its_state_says_otherwise() {
        for (state, is_active, is_there) in [
            (None, true, true),
            (Some("active"), true, false),
            (Some("blackhole"), false, false),
            (Some("available"), false, true),
            (Some("attached"), false, true),
            (Some("detaching"), false, false),
        ] {
            assert_eq!((Route::is_active(state), is_attached(state)), (is_active, is_there), "{state:?}");
        }
    }

    #[test]
    fn a_table_of_a_gateway_leads_elsewhere_where_a_route_goes_through_anything_but_local() {
        for (is_of_gateway, gateways, elsewhere) in [
            (true, &[Some("local"), Some("vpce-1")][..], true),
            (true, &[None], true),
            (true, &[Some("local")], false),
            (true, &[], false),
            (false, &[Some("local"), Some("igw-1")], false),
        ] {
            let leads = RouteTable::leads_elsewhere(is_of_gateway, gateways.iter().copied());
            assert_eq!(leads, elsewhere, "{is_of_gateway} {gateways:?}");
        }
    }

    #[test]
    fn entries_are_asked_by_number_without_the_last_one_and_only_the_word_allow_allows() {
        let entry = |number: i64, action: Option<&'static str>| EntryWords {
            number: Some(number),
            is_egress: Some(false),
            action,
            blocks: [Some("0.0.0.0/0"), None],
            protocol: Some("-1"),
            ports: None,
        };
        let words = [(200, Some("deny")), (LAST_ENTRY, Some("deny")), (100, Some("allow")), (300, None)];
        let entries = AclEntry::all_from_ec2(words.into_iter().map(|(number, action)| entry(number, action))).unwrap();
        let allowed: Vec<(i64, bool)> = entries.iter().map(|entry| (entry.number, entry.is_allowed)).collect();
        assert_eq!(allowed, [(100, true), (200, false), (300, false)]);
    }
}
