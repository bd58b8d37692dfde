//! Cuts the address spaces into classes: two addresses of one class are told apart by no set of the policy.
//!
//! A rule is then judged once per class it meets, however many addresses that is. This bounds the cost of a verdict by the
//! boundaries that the policy draws, not by the sizes of blocks or prefix lists.

use std::collections::{BTreeSet, HashMap};

use crate::region::{Addresses, Family};

/// Number of a class; only meaningful to the `Classes` it came from.
pub(crate) type ClassId = usize;

/// The partition that some sets draw. Sets are known by their place in the list given to `new`.
#[derive(Debug)]
pub(crate) struct Classes {
    v4: Vec<(u128, ClassId)>,
    v6: Vec<(u128, ClassId)>,
    members: Vec<Vec<u64>>,
}

impl Classes {
    pub(crate) fn new(sets: &[&Addresses]) -> Self {
        let mut interned = HashMap::new();
        let mut members = Vec::new();
        let mut line = |family| partition(sets, family, &mut interned, &mut members);
        Self { v4: line(Family::V4), v6: line(Family::V6), members }
    }

    /// The classes that some address of `addresses` belongs to.
    pub(crate) fn of(&self, addresses: &Addresses) -> BTreeSet<ClassId> {
        let mut met = BTreeSet::new();
        for family in Family::BOTH {
            let line = match family {
                Family::V4 => &self.v4,
                Family::V6 => &self.v6,
            };
            for (from, to) in addresses.ranges(family) {
                let first = line.partition_point(|(start, _)| *start <= from).saturating_sub(1);
                met.extend(line.iter().skip(first).take_while(|(start, _)| *start <= to).map(|(_, class)| *class));
            }
        }
        met
    }

    /// Whether the addresses of a class belong to the set at that place.
    pub(crate) fn is_in(&self, class: ClassId, set: usize) -> bool {
        self.members.get(class).and_then(|bits| bits.get(set / 64)).is_some_and(|word| word >> (set % 64) & 1 == 1)
    }
}

/// Starts of the pieces of one address space, each with its class; the first piece starts at 0.
fn partition(
    sets: &[&Addresses],
    family: Family,
    interned: &mut HashMap<Vec<u64>, ClassId>,
    members: &mut Vec<Vec<u64>>,
) -> Vec<(u128, ClassId)> {
    let mut edges: Vec<(u128, usize)> = vec![];
    for (set, addresses) in sets.iter().enumerate() {
        for (from, to) in addresses.ranges(family) {
            edges.push((from, set));
            edges.extend(to.checked_add(1).map(|after| (after, set)));
        }
    }
    edges.sort_unstable();

    let mut bits = vec![0_u64; sets.len().div_ceil(64)];
    let mut line: Vec<(u128, ClassId)> = Vec::new();
    let mut edges = edges.into_iter().peekable();
    let mut start = 0;
    loop {
        // Ranges of one set never touch, so each edge flips exactly one bit.
        while let Some((_, set)) = edges.next_if(|(at, _)| *at == start) {
            if let Some(word) = bits.get_mut(set / 64) {
                *word ^= 1 << (set % 64);
            }
        }
        let class = *interned.entry(bits.clone()).or_insert_with(|| {
            members.push(bits.clone());
            members.len() - 1
        });
        line.push((start, class));
        match edges.peek() {
            Some((next, _)) => start = *next,
            None => return line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::IpNet;

    fn nets(texts: &[&str]) -> Addresses {
        texts.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
    }

    #[test]
    fn a_block_meets_one_class_per_way_the_sets_cut_it() {
        let (private, office) = (nets(&["10.0.0.0/8"]), nets(&["203.0.113.0/24"]));
        let classes = Classes::new(&[&private, &office]);
        let met = |block: &str| -> BTreeSet<(bool, bool)> {
            classes
                .of(&nets(&[block]))
                .into_iter()
                .map(|class| (classes.is_in(class, 0), classes.is_in(class, 1)))
                .collect()
        };
        assert_eq!(met("10.1.0.0/16"), [(true, false)].into());
        assert_eq!(met("203.0.113.9/32"), [(false, true)].into());
        assert_eq!(met("0.0.0.0/0"), [(true, false), (false, true), (false, false)].into());
        assert_eq!(met("::/0"), [(false, false)].into());
    }

    #[test]
    fn a_hundred_sets_are_told_apart() {
        let sets: Vec<Addresses> = (0..100).map(|n| nets(&[&format!("10.0.{n}.0/24")])).collect();
        let classes = Classes::new(&sets.iter().collect::<Vec<_>>());
        for (at, set) in sets.iter().enumerate() {
            for class in classes.of(set) {
                let members: Vec<usize> = (0..sets.len()).filter(|set| classes.is_in(class, *set)).collect();
                assert_eq!(members, [at]);
            }
        }
    }

    #[test]
    fn the_last_address_of_a_space_is_no_special_case() {
        let top = nets(&["255.255.255.255/32", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"]);
        let classes = Classes::new(&[&top]);
        for block in ["255.255.255.255/32", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"] {
            assert!(classes.of(&nets(&[block])).into_iter().all(|class| classes.is_in(class, 0)), "{block}");
        }
        assert_eq!(classes.of(&nets(&["255.255.255.254/31"])).len(), 2);
    }
}
