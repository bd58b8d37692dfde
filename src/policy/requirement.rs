//! What must stay open: judged on what an interface can really do, which is what its groups let through together.
//!
//! Of a requirement that is not met people are notified; it is never mended. A rule may be kept for what it keeps met. Must
//! not: read anything, or know what happens to a finding.

use std::collections::BTreeSet;

use crate::cluster::topology::{GroupSet, Topology};
use crate::model::group::{PrefixList, Role};
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::{Direction, Peer, Rule};
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

impl Unmet<'_> {
    /// What is missing and whose it is: `udp 53 from nodes (sg-…)`.
    pub fn what(&self) -> String {
        let way = if self.requirement.direction == Direction::Ingress { "from" } else { "to" };
        let missing = self.missing.by_protocol();
        let missing: Vec<String> = missing.iter().map(|(protocol, ports)| format!("{protocol} {ports}")).collect();
        format!("{} {way} {}", missing.join(" and "), self.peers)
    }

    /// The interfaces that miss it, in a sentence.
    pub fn interfaces(&self) -> String {
        let groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
        format!("interfaces with {} attached", groups.join(" and "))
    }
}

/// Another side that is not let in where a requirement says that it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct CutOff<'p> {
    /// The requirement.
    pub requirement: &'p Requirement,
    /// The groups that are attached to the interfaces together.
    pub groups: GroupSet,
    /// Those that are attached to the other side together: a rule that names one of them is enough. Empty: addresses.
    pub from: GroupSet,
    /// What is not open to it.
    pub missing: Traffic,
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
    let all = policy.requirements.iter().flat_map(|requirement| {
        sets(requirement, topology).into_iter().filter_map(|groups| judge(requirement, topology, groups))
    });
    all.collect()
}

/// The requirements that are met, and would not be without this rule of this group. Each other side counts by itself: one
/// that is cut off already is no reason to cut off the rest.
pub fn lost_without<'p>(policy: &'p Policy, topology: &Topology, group: &str, rule: &Rule) -> Vec<Unmet<'p>> {
    let traffic = Traffic::from(rule.packets);
    let may_serve =
        |requirement: &&Requirement| requirement.direction == rule.direction && traffic.meets(&requirement.traffic);
    let all = policy.requirements.iter().filter(may_serve).flat_map(|requirement| {
        let with_it = sets(requirement, topology).into_iter().filter(|groups| groups.contains(group));
        with_it.filter_map(|groups| lost(requirement, topology, groups, rule))
    });
    all.collect()
}

/// Every other side that is cut off, by requirements one after the other. What a list lets in that could not be read counts
/// for nothing.
pub fn cut_off<'p>(requirements: &'p [Requirement], topology: &Topology) -> Vec<CutOff<'p>> {
    let mut found = Vec::new();
    for requirement in requirements {
        for groups in sets(requirement, topology) {
            let rules: Vec<&Rule> = topology.rules_of(groups).collect();
            let reach = reach(requirement, topology, &rules, Unread::Closed);
            let whole: Vec<Traffic> = reach.iter().map(|sides| open_to_all(requirement, sides)).collect();
            for (at, side) in reach.iter().enumerate().flat_map(|(at, sides)| sides.iter().map(move |side| (at, side)))
            {
                let missing = missing_of(requirement, side, at, &whole);
                if !missing.is_empty() {
                    found.push(CutOff { requirement, groups: groups.clone(), from: side.groups.clone(), missing });
                }
            }
        }
    }
    found
}

/// What of the requirement's traffic is not open to a side of its word `at`. What another word allows is met that way.
fn missing_of(requirement: &Requirement, side: &Side, at: usize, whole: &[Traffic]) -> Traffic {
    let others = whole.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, open)| open);
    others.fold(&requirement.traffic - &side.open, |missing, open| &missing - open)
}

/// The combinations of groups that a requirement speaks of.
fn sets<'t>(requirement: &Requirement, topology: &'t Topology) -> Vec<&'t GroupSet> {
    match requirement.interfaces_of {
        InterfacesOf::ControlPlane => vec![&topology.control_plane],
        InterfacesOf::Node => topology.nodes.iter().collect(),
    }
}

fn judge<'p>(requirement: &'p Requirement, topology: &Topology, groups: &GroupSet) -> Option<Unmet<'p>> {
    let rules: Vec<&Rule> = topology.rules_of(groups).collect();
    let mut missing = requirement.traffic.clone();
    let mut names = Vec::new();
    // What is not known is not called missing.
    for sides in reach(requirement, topology, &rules, Unread::Open) {
        let closed = sides.iter().filter(|side| !side.open.covers(&missing));
        names.push(listed(closed.map(|side| side.named(&missing, topology))));
        missing = &missing - &open_to_all(requirement, &sides);
    }
    let peers = names.join(", or ");
    (!missing.is_empty()).then(|| Unmet { requirement, groups: groups.clone(), missing, peers })
}

fn lost<'p>(requirement: &'p Requirement, topology: &Topology, groups: &GroupSet, rule: &Rule) -> Option<Unmet<'p>> {
    let all: Vec<&Rule> = topology.rules_of(groups).collect();
    let left: Vec<&Rule> = all.iter().copied().filter(|other| other.id != rule.id).collect();
    // A list that could not be read may be what meets it now, and may not be what would meet it then.
    let before = reach(requirement, topology, &all, Unread::Open);
    let after = reach(requirement, topology, &left, Unread::Closed);
    let by_word = |reach: &[Vec<Side>]| reach.iter().map(|sides| open_to_all(requirement, sides)).collect::<Vec<_>>();
    let (whole_before, whole_after) = (by_word(&before), by_word(&after));
    let (mut missing, mut names) = (Traffic::default(), Vec::new());
    for (at, (before, after)) in before.iter().zip(&after).enumerate() {
        let mut closed_to = Vec::new();
        for (before, after) in before.iter().zip(after) {
            let fallen = missing_of(requirement, after, at, &whole_after);
            if !fallen.is_empty() && missing_of(requirement, before, at, &whole_before).is_empty() {
                closed_to.push(after.named(&fallen, topology));
                missing = Traffic::union([missing, fallen]);
            }
        }
        if !closed_to.is_empty() {
            names.push(listed(closed_to));
        }
    }
    let peers = names.join(", or ");
    (!missing.is_empty()).then(|| Unmet { requirement, groups: groups.clone(), missing, peers })
}

fn listed(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().take(MAX_NAMED).collect::<Vec<_>>().join(" and ")
}

/// One other side, and what of the requirement's traffic is open to it.
struct Side {
    name: String,
    groups: GroupSet,
    open: Traffic,
    /// By each of its ranges.
    by_range: Vec<Traffic>,
}

impl Side {
    /// Its name, with the family by which it is not reached where it is by the other.
    fn named(&self, missing: &Traffic, topology: &Topology) -> String {
        let closed = self.by_range.iter().zip(FAMILIES).filter(|(open, _)| !open.covers(missing));
        match closed.map(|(_, family)| family).collect::<Vec<_>>().as_slice() {
            [family] if topology.is_ipv6 && self.by_range.len() > 1 => format!("{} {family}", self.name),
            _ => self.name.clone(),
        }
    }
}

/// What is open by one family and by the other: either is enough, but where pods have IPv6 addresses and nodes both kinds.
fn together(one: Traffic, other: Traffic, topology: &Topology) -> Traffic {
    if topology.is_ipv6 { &one & &other } else { Traffic::union([one, other]) }
}

/// What a prefix list lets through that could not be read.
#[derive(Clone, Copy)]
enum Unread {
    Open,
    Closed,
}

/// What rules open, for each word of the requirement to each of its sides.
fn reach(requirement: &Requirement, topology: &Topology, rules: &[&Rule], unread: Unread) -> Vec<Vec<Side>> {
    let rules: Vec<&Rule> = rules.iter().copied().filter(|rule| rule.direction == requirement.direction).collect();
    let side = |target: Target| {
        let by_range = open_to(&rules, &target, &requirement.traffic, topology, unread);
        let open = by_range.iter().cloned().reduce(|all, one| together(all, one, topology)).unwrap_or_default();
        Side { name: target.name, groups: target.groups, open, by_range }
    };
    let sides = |word: &PeerTerm| targets(word, topology).into_iter().map(side).collect();
    requirement.peers.iter().map(sides).collect()
}

/// All sides of a word must be reached.
fn open_to_all(requirement: &Requirement, sides: &[Side]) -> Traffic {
    sides.iter().fold(requirement.traffic.clone(), |open, side| &open & &side.open)
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
fn open_to(rules: &[&Rule], target: &Target, wanted: &Traffic, topology: &Topology, unread: Unread) -> Vec<Traffic> {
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
                Some(PrefixList::Unreadable { .. }) | None => match unread {
                    Unread::Open => open = Traffic::union([open, traffic]),
                    Unread::Closed => {}
                },
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
