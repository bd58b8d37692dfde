//! What must stay open: judged on what an interface can really do, which is what its groups let through together.
//!
//! Of a requirement that is not met people are notified; it is never mended. Must not: read anything, or know what happens
//! to a finding.

use std::collections::BTreeSet;

use crate::cluster::topology::{GroupSet, Topology};
use crate::model::group::{PrefixList, Role};
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::{Peer, Rule};
use crate::policy::model::{InterfacesOf, PeerTerm, Policy, Requirement};

/// A requirement that a set of groups does not meet.
#[derive(Clone, Debug, PartialEq)]
pub struct Unmet<'p> {
    /// The requirement.
    pub requirement: &'p Requirement,
    /// The groups that are attached to the interfaces together.
    pub groups: GroupSet,
    /// What is not open.
    pub missing: Traffic,
    /// To whom, for people.
    pub peers: String,
}

/// Other sides named in one finding.
const MAX_NAMED: usize = 3;

/// Which family of addresses is missing, where it is one of two.
const FAMILIES: [&str; 2] = ["over IPv4", "over IPv6"];

/// One other side.
struct Target {
    name: String,
    /// A rule that names one of these is enough.
    groups: BTreeSet<String>,
    /// So are address rules that together cover one of these sets; each of them, where every family is needed.
    ranges: Vec<Addresses>,
}

/// Every requirement of the policy that is not met, once for each combination of groups that does not meet it.
pub fn unmet<'p>(policy: &'p Policy, topology: &Topology) -> Vec<Unmet<'p>> {
    let mut found = Vec::new();
    for requirement in &policy.requirements {
        let sets: Vec<&GroupSet> = match requirement.interfaces_of {
            InterfacesOf::ControlPlane => vec![&topology.control_plane],
            InterfacesOf::Node => topology.nodes.iter().collect(),
        };
        for groups in sets {
            found.extend(judge(requirement, topology, groups));
        }
    }
    found
}

fn judge<'p>(requirement: &'p Requirement, topology: &Topology, groups: &GroupSet) -> Option<Unmet<'p>> {
    let rules: Vec<&Rule> = topology.rules_of(groups).filter(|rule| rule.direction == requirement.direction).collect();
    let mut missing = requirement.traffic.clone();
    let mut names = Vec::new();
    for word in &requirement.peers {
        let mut open = missing.clone();
        let mut closed_to = Vec::new();
        for target in targets(word, topology) {
            let of_ranges = open_to(&rules, &target, &missing, topology);
            let here = of_ranges.iter().cloned().reduce(|all, one| together(all, one, topology)).unwrap_or_default();
            if !here.covers(&missing) {
                closed_to.push(named(target.name, &of_ranges, &missing, topology));
            }
            open = &open & &here;
        }
        missing = &missing - &open;
        closed_to.truncate(MAX_NAMED);
        names.push(closed_to.join(" and "));
    }
    let peers = names.join(", or ");
    (!missing.is_empty()).then(|| Unmet { requirement, groups: groups.clone(), missing, peers })
}

/// What is open by one family and by the other: either is enough, but where pods have IPv6 addresses and nodes both kinds.
fn together(one: Traffic, other: Traffic, topology: &Topology) -> Traffic {
    if topology.is_ipv6 { &one & &other } else { Traffic::union([one, other]) }
}

/// The name of a side that is not reached, with the family by which it is not where it is by the other.
fn named(name: String, open: &[Traffic], missing: &Traffic, topology: &Topology) -> String {
    let closed: Vec<&str> =
        open.iter().zip(FAMILIES).filter(|(open, _)| !open.covers(missing)).map(|(_, family)| family).collect();
    match closed.as_slice() {
        [family] if topology.is_ipv6 && open.len() > 1 => format!("{name} {family}"),
        _ => name,
    }
}

/// The other sides that a word means; all of them must be reached.
fn targets(word: &PeerTerm, topology: &Topology) -> Vec<Target> {
    // Without known ranges only a rule for everybody surely covers the groups.
    let everybody = Addresses::all().by_family();
    let vpc = || {
        let known = topology.vpc_ranges.by_family();
        let is_enough = |known: &Addresses| !known.is_empty() || (!topology.is_ipv6 && !topology.vpc_ranges.is_empty());
        let ranges = known.into_iter().zip(everybody.clone());
        let ranges = ranges.map(|(known, everybody)| if is_enough(&known) { known } else { everybody });
        ranges.filter(|range| !range.is_empty()).collect()
    };
    let listed = |groups: &GroupSet| groups.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let of_groups = |who: &str, groups: &GroupSet| Target {
        name: format!("{who} ({})", listed(groups)),
        groups: groups.clone(),
        ranges: vpc(),
    };
    match word {
        PeerTerm::Role(Role::Node) => topology.nodes.iter().map(|node| of_groups("nodes", node)).collect(),
        PeerTerm::Role(_) => vec![of_groups("the control plane", &topology.control_plane)],
        PeerTerm::Group(id) => {
            vec![Target { name: format!("group {id}"), groups: [id.clone()].into(), ranges: vpc() }]
        }
        PeerTerm::Vpc => vec![Target { name: "the VPC's ranges".to_owned(), groups: GroupSet::new(), ranges: vpc() }],
        PeerTerm::Anywhere => {
            vec![Target { name: "anywhere".to_owned(), groups: GroupSet::new(), ranges: everybody.to_vec() }]
        }
        PeerTerm::Addresses(addresses) => {
            let ranges = vec![addresses.clone()];
            vec![Target { name: "the addresses it names".to_owned(), groups: GroupSet::new(), ranges }]
        }
        // The reader lets no other word into a requirement.
        _ => Vec::new(),
    }
}

/// What the rules let through to each of the target's ranges, of what is wanted.
fn open_to(rules: &[&Rule], target: &Target, wanted: &Traffic, topology: &Topology) -> Vec<Traffic> {
    let mut open = Traffic::default();
    let mut by_address: Vec<(Traffic, Addresses)> = Vec::new();
    for rule in rules {
        let traffic = &Traffic::from(rule.packets) & wanted;
        if traffic.is_empty() {
            continue;
        }
        match &rule.peer {
            Peer::Group { id, .. } if target.groups.contains(id) => open = Traffic::union([open, traffic]),
            Peer::Group { .. } => {}
            Peer::Cidr(net) => by_address.push((traffic, [*net].into_iter().collect())),
            Peer::PrefixList(id) => match topology.prefix_lists.get(id) {
                Some(PrefixList::Entries(entries)) => by_address.push((traffic, entries.clone())),
                Some(PrefixList::Aws(_)) => {}
                // What is not known is not called missing.
                Some(PrefixList::Unreadable { .. }) | None => open = Traffic::union([open, traffic]),
            },
        }
    }
    let left = wanted - &open;
    let open_to = |range| Traffic::union([open.clone(), open_to_all_of(range, &by_address, &left)]);
    target.ranges.iter().map(open_to).collect()
}

/// Where the address rules cover a whole range, alone or together. Rules differ in their ports, so what no rule opens alone
/// is cut at the borders of the rules and looked at piece by piece.
fn open_to_all_of(range: &Addresses, rules: &[(Traffic, Addresses)], wanted: &Traffic) -> Traffic {
    let (whole, parts): (Vec<_>, Vec<_>) = rules.iter().partition(|(_, addresses)| addresses.covers(range));
    let alone = Traffic::union(whole.into_iter().map(|(traffic, _)| traffic & wanted));
    let together = |rules: &mut dyn Iterator<Item = &&(Traffic, Addresses)>| {
        rules.fold(Addresses::default(), |all, (_, addresses)| all.with(addresses)).covers(range)
    };
    if !together(&mut parts.iter()) {
        return alone;
    }
    let mut pieces = vec![wanted - &alone];
    for (traffic, _) in &parts {
        pieces = pieces.iter().flat_map(|piece| [piece & traffic, piece - traffic]).collect();
        pieces.retain(|piece| !piece.is_empty());
    }
    let is_open = |piece: &Traffic| together(&mut parts.iter().filter(|(traffic, _)| traffic.meets(piece)));
    Traffic::union(pieces.into_iter().filter(is_open).chain([alone]))
}
