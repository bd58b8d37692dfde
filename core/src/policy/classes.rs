//! Cuts a space of points into classes: no set of the policy holds one point of a class and not another.
//!
//! Addresses are cut by the sets that clauses name, traffic by the clauses themselves. A rule is then judged once per class
//! it meets, however many points that is. This bounds the cost of a verdict by the boundaries that the policy draws, not by
//! the sizes of blocks, port ranges or prefix lists.

use std::collections::HashMap;

use fixedbitset::FixedBitSet;
use ipnet::IpNet;

use crate::model::region::{Addresses, Family, Traffic};

/// Number of a class; only meaningful to the `Classes` it came from.
pub(crate) type ClassId = usize;

/// First and last point of a range.
type Range = (u128, u128);

/// A set of points on one or more lines of numbers.
pub(crate) trait Points {
    const LINES: usize;
    /// Its ranges on each line, ascending, no two of them touching.
    fn lines(&self) -> Vec<Vec<Range>>;
}

impl Points for Addresses {
    const LINES: usize = 2;
    fn lines(&self) -> Vec<Vec<Range>> {
        Family::BOTH.map(|family| self.ranges(family)).into()
    }
}

impl Points for Traffic {
    const LINES: usize = 1;
    fn lines(&self) -> Vec<Vec<Range>> {
        vec![self.ranges().map(|(from, to)| (from.into(), to.into())).collect()]
    }
}

/// The partition that some sets draw. A set is known by its position in the list given to `new`.
#[derive(Debug)]
pub(crate) struct Classes {
    /// Of each line the starts of its pieces, each with its class; the first piece starts at 0.
    lines: Vec<Vec<(u128, ClassId)>>,
    /// Of each class the sets it lies in.
    members: Vec<FixedBitSet>,
}

impl Classes {
    pub(crate) fn new<P: Points>(sets: &[&P]) -> Self {
        let mut edges: Vec<Vec<(u128, usize)>> = vec![Vec::new(); P::LINES];
        for (set, points) in sets.iter().enumerate() {
            for (edges, ranges) in edges.iter_mut().zip(points.lines()) {
                for (from, to) in ranges {
                    edges.push((from, set));
                    edges.extend(to.checked_add(1).map(|after| (after, set)));
                }
            }
        }
        let mut interned = HashMap::new();
        let mut members = Vec::new();
        let lines = edges.into_iter().map(|edges| line(edges, sets.len(), &mut interned, &mut members)).collect();
        Self { lines, members }
    }

    /// The set, cut into pieces of one class each.
    pub(crate) fn pieces(&self, points: &impl Points) -> Vec<(ClassId, Range)> {
        let lines = points.lines().into_iter().enumerate();
        lines.flat_map(|(line, ranges)| ranges.into_iter().flat_map(move |range| self.within(line, range))).collect()
    }

    /// A range of one line, cut into pieces.
    pub(crate) fn within(&self, line: usize, (from, to): Range) -> impl Iterator<Item = (ClassId, Range)> + '_ {
        let line = self.lines.get(line).map(Vec::as_slice).unwrap_or_default();
        let first = line.partition_point(|(start, _)| *start <= from).saturating_sub(1);
        let ends = line.iter().skip(first + 1).map(|(next, _)| next - 1).chain([u128::MAX]);
        let met = line.iter().skip(first).zip(ends).take_while(move |((start, _), _)| from <= to && *start <= to);
        met.map(move |((start, class), end)| (*class, (from.max(*start), to.min(end))))
    }

    /// The classes that some address of a block belongs to.
    pub(crate) fn of_block(&self, net: &IpNet) -> FixedBitSet {
        let (line, range) = match net {
            IpNet::V4(net) => (0, (net.network().to_bits().into(), net.broadcast().to_bits().into())),
            IpNet::V6(net) => (1, (net.network().to_bits(), net.broadcast().to_bits())),
        };
        let mut met = FixedBitSet::with_capacity(self.members.len());
        self.within(line, range).for_each(|(class, _)| met.grow_and_insert(class));
        met
    }

    /// The classes that some point of the set belongs to.
    pub(crate) fn of(&self, points: &impl Points) -> FixedBitSet {
        let mut met = FixedBitSet::with_capacity(self.members.len());
        self.pieces(points).into_iter().for_each(|(class, _)| met.grow_and_insert(class));
        met
    }

    /// The classes that lie in the set at that position.
    pub(crate) fn inside(&self, set: usize) -> FixedBitSet {
        let members = self.members.iter().enumerate();
        members.filter(|(_, sets)| sets.contains(set)).map(|(class, _)| class).collect()
    }

    /// The sets that a class lies in, ascending.
    pub(crate) fn sets(&self, class: ClassId) -> impl Iterator<Item = usize> + '_ {
        self.members.get(class).into_iter().flat_map(FixedBitSet::ones)
    }
}

/// Starts of the pieces of one line, each with its class.
fn line(
    mut edges: Vec<(u128, usize)>,
    sets: usize,
    interned: &mut HashMap<FixedBitSet, ClassId>,
    members: &mut Vec<FixedBitSet>,
) -> Vec<(u128, ClassId)> {
    edges.sort_unstable();
    let mut here = FixedBitSet::with_capacity(sets);
    let mut line: Vec<(u128, ClassId)> = Vec::new();
    let mut edges = edges.into_iter().peekable();
    let mut start = 0;
    loop {
        // Ranges of one set never touch, so each edge flips exactly one bit.
        while let Some((_, set)) = edges.next_if(|(at, _)| *at == start) {
            here.toggle(set);
        }
        let class = *interned.entry(here.clone()).or_insert_with(|| {
            members.push(here.clone());
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
    use std::collections::BTreeSet;

    use super::*;

    fn nets(texts: &[&str]) -> Addresses {
        texts.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
    }

    #[test]
    fn a_block_meets_one_class_per_way_the_sets_cut_it() {
        let (private, office) = (nets(&["10.0.0.0/8"]), nets(&["203.0.113.0/24"]));
        let classes = Classes::new(&[&private, &office]);
        let (in_private, in_office) = (classes.inside(0), classes.inside(1));
        let met = |block: &str| -> BTreeSet<(bool, bool)> {
            classes.of(&nets(&[block])).ones().map(|class| (in_private[class], in_office[class])).collect()
        };
        assert_eq!(met("10.1.0.0/16"), [(true, false)].into());
        assert_eq!(met("203.0.113.9/32"), [(false, true)].into());
        assert_eq!(met("0.0.0.0/0"), [(true, false), (false, true), (false, false)].into());
        assert_eq!(met("::/0"), [(false, false)].into());
    }

    #[test]
    fn each_of_a_hundred_sets_has_a_class_of_its_own() {
        let sets: Vec<Addresses> = (0..100).map(|n| nets(&[&format!("10.0.{n}.0/24")])).collect();
        let classes = Classes::new(&sets.iter().collect::<Vec<_>>());
        for (at, set) in sets.iter().enumerate() {
            for class in classes.of(set).ones() {
                let members: Vec<usize> = classes.sets(class).collect();
                assert_eq!(members, [at]);
            }
        }
    }

    #[test]
    fn the_last_address_of_a_space_is_no_special_case() {
        let top = nets(&["255.255.255.255/32", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"]);
        let classes = Classes::new(&[&top]);
        for block in ["255.255.255.255/32", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"] {
            assert!(classes.of(&nets(&[block])).is_subset(&classes.inside(0)), "{block}");
        }
        assert_eq!(classes.of(&nets(&["255.255.255.254/31"])).count_ones(..), 2);
    }

    #[test]
    fn the_pieces_of_a_range_end_where_a_clause_begins_or_ends() {
        let (ssh, all) = (Traffic::ports(6, 22, 22), Traffic::all());
        let classes = Classes::new(&[&ssh, &all]);
        let tcp = |port: u128| (6 << 16) + port;
        let pieces: Vec<(Vec<usize>, Range)> = classes
            .pieces(&Traffic::ports(6, 20, 30))
            .into_iter()
            .map(|(class, range)| (classes.sets(class).collect(), range))
            .collect();
        let expected = [(vec![1], (tcp(20), tcp(21))), (vec![0, 1], (tcp(22), tcp(22))), (vec![1], (tcp(23), tcp(30)))];
        assert_eq!(pieces, expected);
    }
}
