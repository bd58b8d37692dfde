//! The rules that open what a requirement asks for, and to nobody else: those that name a group of each other side.
//!
//! Must not: say what is missing, or propose a rule for addresses.

use std::collections::BTreeMap;

use crate::cluster::topology::GroupSet;
use crate::model::region::Traffic;
use crate::model::rule::{Direction, Peer, Rule};

/// Other sides of which rules are proposed; of more a person says what to name.
const MAX_SIDES: usize = 100;
/// Rules that are proposed.
const MAX_RULES: usize = 10;

/// Of the groups that are attached together on each side, and what that side misses. Few rules: those first that name a
/// group of many sides. None where a side is addresses.
pub(super) fn rules(direction: Direction, mut sides: Vec<(GroupSet, Traffic)>) -> Vec<Rule> {
    if sides.len() > MAX_SIDES || sides.iter().any(|(groups, _)| groups.is_empty()) {
        return Vec::new();
    }
    let mut rules = Vec::new();
    while let Some(group) = of_most(&sides) {
        let (with, rest): (Vec<_>, Vec<_>) = sides.into_iter().partition(|(groups, _)| groups.contains(&group));
        let missing = Traffic::union(with.into_iter().map(|(_, missing)| missing));
        let peer = Peer::Group { id: group, owner: None };
        rules.extend(missing.packets().into_iter().map(|packets| Rule::new(direction, packets, peer.clone())));
        sides = rest;
    }
    if rules.len() > MAX_RULES { Vec::new() } else { rules }
}

/// The group of most sides; of several the first by id.
fn of_most(sides: &[(GroupSet, Traffic)]) -> Option<String> {
    let mut number: BTreeMap<&str, usize> = BTreeMap::new();
    sides.iter().flat_map(|(groups, _)| groups).for_each(|group| *number.entry(group).or_default() += 1);
    number.into_iter().rev().max_by_key(|(_, number)| *number).map(|(group, _)| group.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::Packets;

    fn proposed(sides: &[(&[&str], Packets)]) -> Vec<String> {
        let set = |groups: &[&str]| groups.iter().map(|id| (*id).to_owned()).collect::<GroupSet>();
        let sides = sides.iter().map(|(groups, packets)| (set(groups), Traffic::from(*packets))).collect();
        let in_words = |rule: &Rule| format!("{} {}", rule.packets, rule.peer);
        rules(Direction::Ingress, sides).iter().map(in_words).collect()
    }

    #[test]
    fn a_group_that_many_sides_have_is_named_once() {
        let (kubelet, dns) = (Packets::Tcp(10250, 10250), Packets::Udp(53, 53));
        assert_eq!(proposed(&[(&["sg-a"], kubelet)]), ["TCP 10250 sg-a"]);
        assert_eq!(
            proposed(&[(&["sg-a", "sg-z"], kubelet), (&["sg-b", "sg-z"], dns), (&["sg-c"], dns)]),
            ["TCP 10250 sg-z", "UDP 53 sg-z", "UDP 53 sg-c"]
        );
        assert_eq!(proposed(&[(&["sg-b", "sg-a"], kubelet)]), ["TCP 10250 sg-a"], "of equals always the same one");
    }

    #[test]
    fn nothing_is_proposed_for_addresses_or_where_it_would_be_too_much_to_read() {
        let kubelet = Packets::Tcp(10250, 10250);
        assert!(proposed(&[(&["sg-a"], kubelet), (&[], kubelet)]).is_empty());
        let names: Vec<String> = (0..11).map(|n| format!("sg-{n}")).collect();
        let sets: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
        let sides: Vec<(&[&str], Packets)> = sets.iter().map(|set| (set.as_slice(), kubelet)).collect();
        assert!(proposed(&sides).is_empty());
        assert_eq!(proposed(&sides[..10]).len(), 10);
        assert_eq!(proposed(&[sides[0]; MAX_SIDES]).len(), 1);
        assert!(proposed(&[sides[0]; MAX_SIDES + 1]).is_empty());
    }
}
