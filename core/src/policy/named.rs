//! Which addresses a portion of a rule is about, and what to call them: blocks with the network that has them, or the rest.
//!
//! Worked out from the verdict, not for it: what each clause took of the addresses that the ones before it left. Must not:
//! decide anything.

use crate::model::group::Group;
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::Peer;
use crate::policy::model::{Clause, PeerClass, PeerTerm, Policy};
use crate::policy::peers::private;

/// More blocks are not listed.
const MAX_BLOCKS: usize = 3;
/// A rule that is cut more often is told by its classes.
const MAX_CELLS: usize = 200;

/// Traffic and addresses of one portion.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The position of the portion.
    pub portion: usize,
    /// Of the portion's traffic, what has these addresses.
    pub traffic: Traffic,
    /// Of the rule's addresses, what the clause of the portion decided.
    pub addresses: Addresses,
}

/// What a verdict says of a part of a rule, as far as its addresses hang on it.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The position in the policy of the clause that decided it; `None`: no clause speaks of it.
    pub clause: Option<usize>,
    /// What its peers are.
    pub class: PeerClass,
    /// Its protocols and ports.
    pub traffic: &'a Traffic,
}

/// Of each part which addresses it is about, where those are not all of its class. Nothing is looked at where no clause
/// names addresses of its own. `private`: what is private to the group.
pub(super) fn name(
    policy: &Policy,
    group: &Group,
    private: &Addresses,
    peer: &Peer,
    parts: &[Part<'_>],
) -> Vec<Option<String>> {
    let names_some = |part: &Part<'_>| {
        clause(policy, part).is_some_and(|clause| {
            clause.peers.iter().any(|peer| matches!(peer, PeerTerm::Addresses(_) | PeerTerm::Vpc))
        })
    };
    let all = if parts.iter().any(names_some) { group.addresses_of(peer) } else { None };
    let Some(all) = all else { return vec![None; parts.len()] };
    let is_alone = |part: &Part<'_>| parts.iter().filter(|other| other.class == part.class).count() == 1;
    if parts.iter().all(is_alone) {
        // It has all of its class, which has no name but that of a network.
        let words = |part: &Part<'_>| {
            let own = of_class(&all, part.class, private);
            words(&[policy], &own, &own, part.class)
        };
        let has_name = !policy.networks.is_empty();
        return parts.iter().map(|part| has_name.then(|| words(part)).flatten()).collect();
    }
    let cells = cells_by(policy, group, private, peer, parts);
    let words = |(at, part): (usize, &Part<'_>)| {
        let own = cells.iter().filter(|cell| cell.portion == at);
        let own = own.fold(Addresses::default(), |all, cell| all.with(&cell.addresses));
        words(&[policy], &own, &of_class(&all, part.class, private), part.class)
    };
    parts.iter().enumerate().map(words).collect()
}

/// The rule cut by parts and addresses. Empty where the peer is no addresses.
pub fn cells(policy: &Policy, group: &Group, peer: &Peer, parts: &[Part<'_>]) -> Vec<Cell> {
    cells_by(policy, group, &private(group), peer, parts)
}

fn cells_by(policy: &Policy, group: &Group, private: &Addresses, peer: &Peer, parts: &[Part<'_>]) -> Vec<Cell> {
    let Some(all) = group.addresses_of(peer) else { return Vec::new() };
    let mut cells = Vec::new();
    for class in [PeerClass::Internet, PeerClass::Private] {
        let of_it = || parts.iter().enumerate().filter(|(_, part)| part.class == class);
        let traffic = Traffic::union(of_it().map(|(_, part)| part.traffic.clone()));
        let mut rest = vec![(traffic, of_class(&all, class, private))];
        for (at, part) in of_it() {
            let covered = clause(policy, part).map_or_else(Addresses::all, |clause| covered(clause, group, private));
            let mut left = Vec::new();
            for (traffic, addresses) in rest {
                let (taken, missed) = (&traffic & part.traffic, &traffic - part.traffic);
                let here = addresses.shared_with(&covered);
                left.extend((!missed.is_empty()).then(|| (missed, addresses.clone())));
                if taken.is_empty() {
                    continue;
                }
                let after = addresses.without(&covered);
                left.extend((!after.is_empty()).then(|| (taken.clone(), after)));
                cells.extend((!here.is_empty()).then_some(Cell { portion: at, traffic: taken, addresses: here }));
            }
            rest = left;
            if cells.len() > MAX_CELLS {
                return Vec::new();
            }
        }
    }
    cells
}

fn clause<'p>(policy: &'p Policy, part: &Part<'_>) -> Option<&'p Clause> {
    policy.clauses.get(part.clause?)
}

fn of_class(all: &Addresses, class: PeerClass, private: &Addresses) -> Addresses {
    match class {
        PeerClass::Private => all.shared_with(private),
        PeerClass::Internet => all.without(private),
        _ => Addresses::default(),
    }
}

/// What a clause covers of addresses. Where it speaks of wide rules alone, a portion of it is of one.
fn covered(clause: &Clause, group: &Group, private: &Addresses) -> Addresses {
    clause.peers.iter().fold(Addresses::default(), |all, term| match term {
        PeerTerm::Addresses(addresses) => all.with(addresses),
        PeerTerm::Private => all.with(private),
        PeerTerm::Internet | PeerTerm::WideInternet => all.with(&Addresses::all().without(private)),
        PeerTerm::Vpc => all.with(&group.vpc_ranges),
        PeerTerm::Anywhere | PeerTerm::PrefixList(_) => Addresses::all(),
        _ => all,
    })
}

/// What to call some of the addresses of a class: ``203.0.113.0/24, network `office` ``, `the rest of the internet`. `None`:
/// they are all that the rule has of the class, and no network of these policies has them.
pub fn words(policies: &[&Policy], some: &Addresses, whole: &Addresses, class: PeerClass) -> Option<String> {
    if some.is_empty() {
        return None;
    }
    let blocks = some.blocks();
    let networks = policies.iter().flat_map(|policy| &policy.networks);
    // The smallest that has them all.
    let network = networks.filter(|(_, set)| set.covers(some)).min_by_key(|(_, set)| set.blocks().len());
    let listed = || blocks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match network {
        Some((name, _)) if blocks.len() <= MAX_BLOCKS => Some(format!("{}, network `{name}`", listed())),
        Some((name, set)) if set.shared_with(whole) == *some => Some(format!("network `{name}`")),
        Some((name, _)) => Some(format!("a part of network `{name}`")),
        None if some == whole => None,
        None if blocks.len() <= MAX_BLOCKS => Some(listed()),
        None if class == PeerClass::Private => Some("the rest of the private addresses".to_owned()),
        None => Some("the rest of the internet".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::group::{Evidence, PrefixList, Role, RoleEvidence};
    use crate::model::ids::Location;
    use crate::model::rule::{Direction, Packets, Rule};
    use crate::policy::controller::Author;
    use crate::policy::file::tests::loaded;
    use crate::policy::judge::judge;

    const SHOPS: [&str; 5] =
        ["198.51.100.1/32", "198.51.100.3/32", "198.51.100.5/32", "198.51.100.7/32", "198.51.100.9/32"];

    fn policy(entries: &str) -> Policy {
        loaded(&format!("version: 1\nextends: none\n{entries}")).policy
    }

    fn nets(blocks: &[&str]) -> Addresses {
        Addresses::of_blocks(blocks.iter().copied()).unwrap()
    }

    fn group() -> Group {
        Group {
            roles: vec![RoleEvidence { role: Role::Node, evidence: Evidence::Configured, strong: true }],
            vpc_ranges: nets(&["10.1.0.0/16"]),
            prefix_lists: [("pl-0123abcd".to_owned(), PrefixList::Entries(nets(&["198.51.100.0/24"])))].into(),
            ..Group::default()
        }
    }

    /// `clause: addresses` of each portion of a rule for all traffic.
    fn named(policy: &Policy, peer: Peer) -> Vec<String> {
        let group = Group { rules: vec![Rule::new(Direction::Ingress, Packets::All, peer)], ..group() };
        let judged = judge(policy, &group, &Location::default(), Timestamp::UNIX_EPOCH, |_| Author::Unknown);
        let words = |portion: &crate::policy::judge::Portion| {
            format!("{}: {}", portion.clause, portion.addresses.as_deref().unwrap_or("all"))
        };
        judged[0].portions.iter().map(words).collect()
    }

    fn clauses(each: &[(&str, &str)]) -> String {
        let entry = |(id, from): &(&str, &str)| format!("{{id: {id}, from: {from}, verdict: report, reason: r}}");
        format!("clauses: [{}]\n", each.iter().map(entry).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn each_portion_is_told_the_addresses_that_its_clause_took() {
        let office = ("office", "203.0.113.0/24");
        for (each, block, expected) in [
            (&[office, ("rest", "internet")][..], "203.0.113.0/24", &["office: all"][..]),
            (&[office, ("rest", "internet")], "203.0.112.0/23", &["office: 203.0.113.0/24", "rest: 203.0.112.0/24"]),
            (
                &[office, ("rest", "internet")],
                "128.0.0.0/1",
                &["office: 203.0.113.0/24", "rest: the rest of the internet", "uncovered: all"],
            ),
            (
                &[office, ("wide", "wide-internet")],
                "202.0.0.0/7",
                &["office: 203.0.113.0/24", "wide: the rest of the internet"],
            ),
            (&[office, ("rest", "anywhere")], "203.0.113.0/25", &["office: all"]),
            (
                &[office, ("rest", "anywhere")],
                "202.0.0.0/7",
                &["office: 203.0.113.0/24", "rest: the rest of the internet"],
            ),
            (
                &[("vpc", "vpc"), ("rest", "private")],
                "10.0.0.0/8",
                &["vpc: 10.1.0.0/16", "rest: the rest of the private addresses"],
            ),
            (
                &[("own", "10.0.0.0/16"), ("vpc", "vpc")],
                "10.0.0.0/14",
                &["own: 10.0.0.0/16", "vpc: 10.1.0.0/16", "uncovered: 10.2.0.0/15"],
            ),
            // Where no clause names addresses, the class says it all.
            (&[("rest", "[private, internet]")], "10.0.0.0/8", &["rest: all"]),
        ] {
            assert_eq!(named(&policy(&clauses(each)), Peer::cidr(block).unwrap()), expected, "{each:?} {block}");
        }
    }

    #[test]
    fn addresses_of_a_network_are_told_with_its_name() {
        let networks = format!("networks: {{office: [203.0.113.0/24], shops: [{}]}}\n", SHOPS.join(", "));
        let policy = policy(&(networks + &clauses(&[("office", "office"), ("rest", "internet")])));
        for block in ["203.0.113.0/24", "203.0.113.0/25"] {
            let found = named(&policy, Peer::cidr(block).unwrap());
            assert_eq!(found, [format!("office: {block}, network `office`")]);
        }
        let (world, some) = (nets(&["0.0.0.0/0"]), ["8.8.8.1/32", "8.8.8.3/32", "8.8.8.5/32", "8.8.8.7/32"]);
        for (blocks, whole, class, expected) in [
            (&SHOPS[..], &world, PeerClass::Internet, Some("network `shops`")),
            (&SHOPS[..4], &world, PeerClass::Internet, Some("a part of network `shops`")),
            (&SHOPS[..4], &nets(&["198.51.100.0/29"]), PeerClass::Internet, Some("network `shops`")),
            (&SHOPS[..2], &world, PeerClass::Internet, Some("198.51.100.1/32, 198.51.100.3/32, network `shops`")),
            (&some, &world, PeerClass::Internet, Some("the rest of the internet")),
            (&some, &world, PeerClass::Private, Some("the rest of the private addresses")),
            (&some[..3], &world, PeerClass::Internet, Some("8.8.8.1/32, 8.8.8.3/32, 8.8.8.5/32")),
            (&some, &nets(&some), PeerClass::Internet, None),
            (&[], &world, PeerClass::Internet, None),
        ] {
            assert_eq!(words(&[&policy], &nets(blocks), whole, class).as_deref(), expected, "{blocks:?} of {class:?}");
        }
    }

    #[test]
    fn a_rule_that_is_cut_too_often_is_told_by_its_classes() {
        let ports = [MAX_CELLS, MAX_CELLS + 1].map(|many| (0..many).map_while(|port| u16::try_from(port).ok()));
        let [most, more] = ports.map(|ports| {
            let traffic: Vec<Traffic> = ports.map(|port| Traffic::ports(6, port, port)).collect();
            let part = |traffic| Part { clause: None, class: PeerClass::Internet, traffic };
            let parts: Vec<Part<'_>> = traffic.iter().map(part).collect();
            cells(&policy(""), &group(), &Peer::cidr("203.0.113.0/24").unwrap(), &parts).len()
        });
        assert_eq!((most, more), (MAX_CELLS, 0));
    }
}
