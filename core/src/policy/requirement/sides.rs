//! The other sides of a requirement, and what rules open to each of them.
//!
//! A cluster may have thousands of combinations of groups, each of which must reach each other one. So what rules open is
//! worked out once for all sides that it is the same for: those that none of the rules names. Must not: say what is met.

use std::collections::{BTreeMap, HashMap};

use fixedbitset::FixedBitSet;

use crate::cluster::topology::{GroupSet, Topology};
use crate::model::group::{PrefixList, Role};
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::{Peer, Rule};
use crate::policy::model::{PeerTerm, Requirement};

/// Other sides named in one finding.
const MAX_NAMED: usize = 3;

/// Which family of addresses is missing, where it is one of two.
const FAMILIES: [&str; 2] = ["over IPv4", "over IPv6"];

/// A word of a requirement: the other sides that it means, all of which must be reached.
pub(super) struct Word<'t> {
    sides: Vec<Side<'t>>,
    /// By group, the sides that have it: a rule that names it is enough for them.
    with: HashMap<&'t str, FixedBitSet>,
    /// Enough are, too, address rules that together cover one of these; each of them, where every family is needed.
    ranges: Vec<Addresses>,
}

/// One other side.
enum Side<'t> {
    Nodes(&'t GroupSet),
    ControlPlane(&'t GroupSet),
    Group(&'t str),
    Named(&'static str),
}

impl Side<'_> {
    fn name(&self) -> String {
        let listed = |groups: &GroupSet| groups.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Nodes(groups) => format!("nodes ({})", listed(groups)),
            Self::ControlPlane(groups) => format!("the control plane ({})", listed(groups)),
            Self::Group(id) => format!("group {id}"),
            Self::Named(name) => (*name).to_owned(),
        }
    }
}

impl<'t> Word<'t> {
    /// Those of a requirement, in their order.
    pub(super) fn of(requirement: &'t Requirement, topology: &'t Topology) -> Vec<Self> {
        requirement.peers.iter().map(|word| Self::new(word, topology)).collect()
    }

    fn new(word: &'t PeerTerm, topology: &'t Topology) -> Self {
        let mut with: HashMap<&str, FixedBitSet> = HashMap::new();
        let mut of_groups = |at: usize, group: &'t str| with.entry(group).or_default().grow_and_insert(at);
        let (sides, ranges) = match word {
            PeerTerm::Role(Role::Node) => {
                let nodes = topology.nodes.iter().enumerate();
                nodes.for_each(|(at, node)| node.iter().for_each(|group| of_groups(at, group)));
                (topology.nodes.iter().map(Side::Nodes).collect(), of_vpc(topology))
            }
            PeerTerm::Role(_) => {
                topology.control_plane.iter().for_each(|group| of_groups(0, group));
                (vec![Side::ControlPlane(&topology.control_plane)], of_vpc(topology))
            }
            PeerTerm::Group(id) => {
                of_groups(0, id);
                (vec![Side::Group(id)], of_vpc(topology))
            }
            PeerTerm::Vpc => (vec![Side::Named("the VPC's ranges")], of_vpc(topology)),
            PeerTerm::Anywhere => (vec![Side::Named("anywhere")], Addresses::all().by_family().to_vec()),
            PeerTerm::Addresses(addresses) => (vec![Side::Named("the addresses it names")], vec![addresses.clone()]),
            // The reader lets no other word into a requirement.
            _ => (Vec::new(), Vec::new()),
        };
        Self { sides, with, ranges }
    }

    /// Its sides by what is open to them, each in one of the parties.
    pub(super) fn parties(&self, opened: &Opened<'_>, topology: &Topology) -> Vec<Party> {
        let mut everyone = FixedBitSet::with_capacity(self.sides.len());
        everyone.insert_range(..);
        let mut parts = vec![(everyone, opened.to_everybody.clone())];
        for (group, traffic) in &opened.to_groups {
            let Some(with) = self.with.get(group) else { continue };
            let mut split: Vec<(FixedBitSet, Traffic)> = Vec::new();
            let mut add = |sides: FixedBitSet, open: Traffic| {
                if sides.is_clear() {
                    return;
                }
                match split.iter_mut().find(|(_, known)| *known == open) {
                    Some((known, _)) => known.union_with(&sides),
                    None => split.push((sides, open)),
                }
            };
            for (sides, open) in parts {
                let mut rest = sides.clone();
                rest.difference_with(with);
                add(&sides & with, Traffic::union([open.clone(), traffic.clone()]));
                add(rest, open);
            }
            parts = split;
        }
        let by_address: Vec<Traffic> = self.ranges.iter().map(|range| opened.to_all_of(range)).collect();
        let party = |(sides, open): (FixedBitSet, Traffic)| {
            let by_range = by_address.iter().map(|by_address| Traffic::union([open.clone(), by_address.clone()]));
            let by_range: Vec<Traffic> = by_range.collect();
            let open = by_range.iter().cloned().reduce(|all, one| together(all, one, topology)).unwrap_or_default();
            Party { sides, open, by_range }
        };
        parts.into_iter().filter(|(sides, _)| !sides.is_clear()).map(party).collect()
    }

    /// The groups of each of these sides; none where it is addresses.
    pub(super) fn groups(&self, some: &FixedBitSet) -> Vec<GroupSet> {
        let of = |side: &Side<'_>| match side {
            Side::Nodes(groups) | Side::ControlPlane(groups) => (*groups).clone(),
            Side::Group(id) => GroupSet::from([(*id).to_owned()]),
            Side::Named(_) => GroupSet::new(),
        };
        some.ones().filter_map(|at| self.sides.get(at)).map(of).collect()
    }

    /// The first of these sides, each with the family by which it is not reached where it is by the other.
    pub(super) fn listed<'s>(&self, some: impl Iterator<Item = (&'s FixedBitSet, Option<&'static str>)>) -> String {
        let each = some.flat_map(|(sides, family)| sides.ones().take(MAX_NAMED).map(move |at| (at, family)));
        let first: BTreeMap<usize, Option<&str>> = each.collect();
        let name = |(at, family): (usize, Option<&str>)| {
            let name = self.sides.get(at).map(Side::name)?;
            Some(family.map_or_else(|| name.clone(), |family| format!("{name} {family}")))
        };
        first.into_iter().take(MAX_NAMED).filter_map(name).collect::<Vec<_>>().join(" and ")
    }
}

/// The ranges of the VPC by family. Without known ranges only a rule for everybody surely covers the groups.
fn of_vpc(topology: &Topology) -> Vec<Addresses> {
    let known = topology.vpc_ranges.by_family();
    let is_enough = |known: &Addresses| !known.is_empty() || (!topology.is_ipv6 && !topology.vpc_ranges.is_empty());
    let ranges = known.into_iter().zip(Addresses::all().by_family());
    let ranges = ranges.map(|(known, everybody)| if is_enough(&known) { known } else { everybody });
    ranges.filter(|range| !range.is_empty()).collect()
}

/// What is open by one family and by the other: either is enough, but where pods have IPv6 addresses and nodes both kinds.
fn together(one: Traffic, other: Traffic, topology: &Topology) -> Traffic {
    if topology.is_ipv6 { &one & &other } else { Traffic::union([one, other]) }
}

/// Sides of a word to which the same is open.
pub(super) struct Party {
    /// Their positions in the word.
    pub(super) sides: FixedBitSet,
    /// Of the requirement's traffic.
    pub(super) open: Traffic,
    /// By each of the word's ranges.
    by_range: Vec<Traffic>,
}

impl Party {
    /// The family by which it is not reached where it is by the other.
    pub(super) fn family(&self, missing: &Traffic, topology: &Topology) -> Option<&'static str> {
        let closed = self.by_range.iter().zip(FAMILIES).filter(|(open, _)| !open.covers(missing));
        match closed.map(|(_, family)| family).collect::<Vec<_>>().as_slice() {
            [family] if topology.is_ipv6 && self.by_range.len() > 1 => Some(family),
            _ => None,
        }
    }
}

/// What a prefix list lets through that could not be read.
#[derive(Clone, Copy)]
pub(super) enum Unread {
    Open,
    Closed,
}

/// What rules let through, of what is wanted.
pub(super) struct Opened<'r> {
    wanted: &'r Traffic,
    to_groups: BTreeMap<&'r str, Traffic>,
    to_everybody: Traffic,
    by_address: Vec<(Traffic, Addresses)>,
}

impl<'r> Opened<'r> {
    pub(super) fn by(
        rules: impl Iterator<Item = &'r Rule>,
        requirement: &'r Requirement,
        topology: &Topology,
        unread: Unread,
    ) -> Self {
        let wanted = &requirement.traffic;
        let mut opened =
            Self { wanted, to_groups: BTreeMap::new(), to_everybody: Traffic::default(), by_address: Vec::new() };
        let is_one = |rule: &&Rule| rule.direction == requirement.direction && wanted.meets_packets(rule.packets);
        for rule in rules.filter(is_one) {
            let traffic = &Traffic::from(rule.packets) & wanted;
            match &rule.peer {
                Peer::Group { id, .. } => {
                    let open = opened.to_groups.entry(id).or_default();
                    *open = Traffic::union([std::mem::take(open), traffic]);
                }
                Peer::Cidr(net) => opened.by_address.push((traffic, Addresses::from(*net))),
                Peer::PrefixList(id) => match topology.prefix_lists.get(id) {
                    Some(PrefixList::Entries(entries)) => opened.by_address.push((traffic, entries.clone())),
                    Some(PrefixList::Aws(_)) => {}
                    Some(PrefixList::Unreadable { .. }) | None => match unread {
                        Unread::Open => opened.to_everybody = Traffic::union([opened.to_everybody, traffic]),
                        Unread::Closed => {}
                    },
                },
            }
        }
        opened
    }

    /// Where the address rules cover a whole range, alone or together. Rules differ in their ports, so what no rule opens
    /// alone is cut at the borders of the rules and looked at piece by piece.
    fn to_all_of(&self, range: &Addresses) -> Traffic {
        let (whole, parts): (Vec<_>, Vec<_>) = self.by_address.iter().partition(|(_, some)| some.covers(range));
        let alone = Traffic::union(whole.into_iter().map(|(traffic, _)| traffic.clone()));
        let together = |rules: &mut dyn Iterator<Item = &&(Traffic, Addresses)>| {
            rules.fold(Addresses::default(), |all, (_, addresses)| all.with(addresses)).covers(range)
        };
        if parts.is_empty() || !together(&mut parts.iter()) {
            return alone;
        }
        let mut pieces = vec![self.wanted - &alone];
        for (traffic, _) in &parts {
            pieces = pieces.iter().flat_map(|piece| [piece & traffic, piece - traffic]).collect();
            pieces.retain(|piece| !piece.is_empty());
        }
        let is_open = |piece: &Traffic| together(&mut parts.iter().filter(|(traffic, _)| traffic.meets(piece)));
        Traffic::union(pieces.into_iter().filter(is_open).chain([alone]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_named_only_where_the_other_one_reaches() {
        let dns = Traffic::ports(17, 53, 53);
        let [first, second] = FAMILIES;
        for (is_ipv6, open, expected) in [
            (true, &[false, true][..], Some(first)),
            (true, &[true, false], Some(second)),
            (true, &[false, false], None),
            (true, &[false], None),
            (false, &[false, true], None),
        ] {
            let by_range = open.iter().map(|is_open| if *is_open { dns.clone() } else { Traffic::default() }).collect();
            let party = Party { sides: FixedBitSet::new(), open: Traffic::default(), by_range };
            let topology = Topology { is_ipv6, ..Topology::default() };
            assert_eq!(party.family(&dns, &topology), expected, "{is_ipv6} {open:?}");
        }
    }
}
