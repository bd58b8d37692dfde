//! Exposure: on which ports a rule opens the group to a *large part* of the internet, alone or together with others.
//!
//! Splitting a world rule into many small ones must gain nothing, and an office's /32 must not be judged by somebody
//! else's world rule beside it. So rules that are wide alone are wide wherever they reach; of the others, only the ports
//! where those others *together* reach the threshold count.

use crate::model::region::{Addresses, Family, Traffic};

/// An address space with its threshold. IPv4-mapped IPv6 is measured as the IPv4 addresses it stands for.
struct Space {
    family: Family,
    within: (u128, u128),
    threshold: u128,
}

const SPACES: [Space; 3] = [
    Space { family: Family::V4, within: (0, u32::MAX as u128), threshold: 1 << 16 },
    Space { family: Family::V6, within: (0, u128::MAX), threshold: 1 << 96 },
    Space { family: Family::V6, within: (0xffff << 32, 0xffff_ffff_ffff), threshold: 1 << 16 },
];

impl Space {
    fn ranges(&self, addresses: &Addresses) -> Vec<(u128, u128)> {
        let clip = |(from, to): (u128, u128)| (from.max(self.within.0), to.min(self.within.1));
        addresses.ranges(self.family).into_iter().map(clip).filter(|(from, to)| from <= to).collect()
    }
}

/// For each peer, given as the traffic of all rules that name it and the internet addresses that it is: the part of the
/// traffic where it is wide. All rules must be of one group and one direction.
pub(crate) fn wide(peers: &[(Traffic, Addresses)]) -> Vec<Traffic> {
    let mut wide = vec![Traffic::default(); peers.len()];
    for space in SPACES {
        let reach: Vec<Vec<(u128, u128)>> = peers.iter().map(|(_, internet)| space.ranges(internet)).collect();
        let alone = |ranges: &[(u128, u128)]| size(ranges) >= space.threshold;
        let small: Vec<(&Traffic, &[(u128, u128)])> = peers
            .iter()
            .zip(&reach)
            .filter(|(_, ranges)| !ranges.is_empty() && !alone(ranges))
            .map(|((traffic, _), ranges)| (traffic, ranges.as_slice()))
            .collect();
        let together = together(&small, space.threshold);
        for ((wide, (traffic, _)), ranges) in wide.iter_mut().zip(peers).zip(&reach) {
            if alone(ranges) {
                *wide = traffic.clone();
            } else if !ranges.is_empty() && !together.is_empty() {
                *wide = Traffic::union([std::mem::take(wide), traffic & &together]);
            }
        }
    }
    wide
}

/// Whether some of these are too few to be wide alone.
pub(crate) fn is_small(internet: &Addresses) -> bool {
    SPACES.iter().any(|space| (1..space.threshold).contains(&size(&space.ranges(internet))))
}

/// Whether these are more addresses than a VPC has in one range: then no VPC's or remote network's can be all of them.
/// `internet`: without what is private everywhere.
pub(crate) fn is_beyond_any_vpc(internet: &Addresses) -> bool {
    SPACES.iter().any(|space| space.ranges(internet).iter().any(|(from, to)| to - from >= space.threshold))
}

fn size(ranges: &[(u128, u128)]) -> u128 {
    ranges.iter().fold(0, |sum, (from, to)| sum.saturating_add((to - from).saturating_add(1)))
}

/// The traffic where these peers together are at least `threshold` addresses: one sweep over the edges of the traffic.
fn together(peers: &[(&Traffic, &[(u128, u128)])], threshold: u128) -> Traffic {
    let upper_bound = peers.iter().fold(0_u128, |sum, (_, ranges)| sum.saturating_add(size(ranges)));
    if upper_bound < threshold {
        return Traffic::default();
    }
    let mut union = Union::of(peers.iter().flat_map(|(_, ranges)| ranges.iter().copied()));
    let mut edges: Vec<(u32, bool, usize)> = Vec::new();
    for (peer, (traffic, _)) in peers.iter().enumerate() {
        for (from, to) in traffic.ranges() {
            edges.push((from, true, peer));
            edges.push((to + 1, false, peer));
        }
    }
    edges.sort_unstable();

    let mut found = Vec::new();
    let mut edges = edges.into_iter().peekable();
    while let Some((at, opens, peer)) = edges.next() {
        for range in peers.get(peer).into_iter().flat_map(|(_, ranges)| ranges.iter()) {
            union.change(*range, opens);
        }
        if let Some((next, ..)) = edges.peek()
            && *next > at
            && union.size() >= threshold
        {
            found.push((at, next - 1));
        }
    }
    Traffic::from_ranges(found)
}

/// The size of a union of ranges that come and go. A tree over the pieces between their ends, so that a range that lies over
/// thousands of others costs no more than its own two ends.
struct Union {
    /// Where each piece starts.
    cuts: Vec<u128>,
    /// A heap: the root is 1, the children of `n` are `2n` and `2n + 1`, the last `leaves` nodes are the pieces.
    nodes: Vec<TrieNode>,
    leaves: usize,
}

#[derive(Clone, Copy, Default)]
struct TrieNode {
    /// Addresses in all of it.
    width: u128,
    /// Ranges that cover all of it, but not all of its parent.
    whole: u32,
    /// Addresses of it that some range covers.
    covered: u128,
}

impl Union {
    /// An empty one, for these ranges.
    fn of(ranges: impl Iterator<Item = (u128, u128)>) -> Self {
        let mut cuts: Vec<u128> = ranges.flat_map(|(from, to)| [Some(from), to.checked_add(1)]).flatten().collect();
        cuts.sort_unstable();
        cuts.dedup();
        let leaves = cuts.len().next_power_of_two();
        let ends = cuts.iter().skip(1).map(|next| next - 1).chain([u128::MAX]);
        let pieces = cuts.iter().zip(ends).map(|(from, to)| (to - from).saturating_add(1));
        let pieces = pieces.map(|width| TrieNode { width, ..TrieNode::default() });
        let mut nodes: Vec<TrieNode> = std::iter::repeat_n(TrieNode::default(), leaves).chain(pieces).collect();
        for at in (1..leaves).rev() {
            let width = [2 * at, 2 * at + 1]
                .iter()
                .filter_map(|child| nodes.get(*child))
                .fold(0, |sum: u128, node| sum.saturating_add(node.width));
            if let Some(node) = nodes.get_mut(at) {
                node.width = width;
            }
        }
        Self { cuts, nodes, leaves }
    }

    fn size(&self) -> u128 {
        self.nodes.get(1).map_or(0, |root| root.covered)
    }

    /// Adds a range or takes it away again.
    fn change(&mut self, (from, to): (u128, u128), comes: bool) {
        let piece = |address: u128| self.cuts.partition_point(|cut| *cut < address);
        let (first, end) = (piece(from), to.checked_add(1).map_or(self.cuts.len(), piece));
        let (mut left, mut right) = (first + self.leaves, end + self.leaves);
        while left < right {
            if left % 2 == 1 {
                self.count(left, comes);
                left += 1;
            }
            if right % 2 == 1 {
                right -= 1;
                self.count(right, comes);
            }
            (left, right) = (left / 2, right / 2);
        }
        for leaf in [first, end.saturating_sub(1)] {
            let mut at = usize::midpoint(leaf, self.leaves);
            while at > 0 {
                self.sum_up(at);
                at /= 2;
            }
        }
    }

    fn count(&mut self, at: usize, comes: bool) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.whole = if comes { node.whole + 1 } else { node.whole.saturating_sub(1) };
        }
        self.sum_up(at);
    }

    fn sum_up(&mut self, at: usize) {
        let children = [2 * at, 2 * at + 1].map(|child| self.nodes.get(child).map_or(0, |node| node.covered));
        if let Some(node) = self.nodes.get_mut(at) {
            node.covered = if node.whole > 0 { node.width } else { children[0].saturating_add(children[1]) };
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

    fn wide_of(rules: &[(Traffic, &[&str])]) -> Vec<Traffic> {
        wide(&rules.iter().map(|(traffic, texts)| (traffic.clone(), nets(texts))).collect::<Vec<_>>())
    }

    fn ssh() -> Traffic {
        Traffic::ports(6, 22, 22)
    }

    #[test]
    fn a_16_is_wide_and_a_17_is_not() {
        assert_eq!(wide_of(&[(ssh(), &["203.0.0.0/16"])]), [ssh()]);
        assert_eq!(wide_of(&[(ssh(), &["203.0.0.0/17"])]), [Traffic::default()]);
        assert_eq!(wide_of(&[(ssh(), &["2001:db8::/32"])]), [ssh()]);
        assert_eq!(wide_of(&[(ssh(), &["2001:db8::/33"])]), [Traffic::default()]);
        assert_eq!(wide_of(&[(ssh(), &["::ffff:0.0.0.0/96"])]), [ssh()]);
    }

    #[test]
    fn small_rules_are_wide_together_only_where_they_meet() {
        let low = Traffic::ports(6, 20, 22);
        let high = Traffic::ports(6, 22, 30);
        let wide = wide_of(&[(low, &["203.0.0.0/17"]), (high, &["203.0.128.0/17"])]);
        assert_eq!(wide, [ssh(), ssh()]);
    }

    #[test]
    fn overlapping_small_rules_are_counted_once() {
        let wide = wide_of(&[(ssh(), &["203.0.0.0/17"]), (ssh(), &["203.0.0.0/18"]), (ssh(), &["203.0.64.0/18"])]);
        assert_eq!(wide, vec![Traffic::default(); 3]);
    }

    #[test]
    fn one_address_less_than_a_16_is_not_wide_together() {
        let (half, overlap, last) = (nets(&["203.0.0.0/17"]), nets(&["203.0.0.0/24"]), nets(&["203.0.255.255/32"]));
        let rest = nets(&["203.0.128.0/17"]).without(&last);
        let all = [half, overlap, rest, last].map(|addresses| (ssh(), addresses));
        assert_eq!(wide(&all[..3]), vec![Traffic::default(); 3]);
        assert_eq!(wide(&all), vec![ssh(); 4]);
    }

    #[test]
    fn the_first_point_of_traffic_is_no_special_case() {
        let halves = ["203.0.0.0/17", "203.0.128.0/17", "203.1.0.0/17"].map(|text| (Traffic::all(), nets(&[text])));
        assert_eq!(wide(&halves), vec![Traffic::all(); 3]);
    }

    #[test]
    fn a_union_has_what_any_of_its_ranges_has_while_they_come_and_go() {
        let ranges: [(u128, u128); 7] = [(0, 0), (1, 9), (3, 40), (5, 6), (12, 90), (0, 95), (35, 99)];
        let (mut union, mut here) = (Union::of(ranges.into_iter()), Vec::new());
        for (range, comes) in [true, false].into_iter().flat_map(|comes| ranges.map(|range| (range, comes))) {
            union.change(range, comes);
            if comes {
                here.push(range);
            } else {
                here.retain(|known| *known != range);
            }
            let has = |point: &u128| here.iter().any(|(from, to)| (from..=to).contains(&point));
            assert_eq!(union.size(), (0..100).filter(has).map(|_| 1).sum(), "{here:?}");
        }
    }

    #[test]
    fn a_small_rule_beside_a_world_rule_stays_small() {
        assert_eq!(wide_of(&[(ssh(), &["0.0.0.0/0"]), (ssh(), &["198.51.100.7/32"])]), [ssh(), Traffic::default()]);
    }

    #[test]
    fn families_are_not_added_up() {
        let wide = wide_of(&[(ssh(), &["203.0.0.0/17"]), (ssh(), &["2001:db8::/33"])]);
        assert_eq!(wide, vec![Traffic::default(); 2]);
    }

    #[test]
    fn the_end_of_the_address_space_is_counted() {
        let last = "ffff:ffff:8000::/33";
        assert_eq!(wide_of(&[(ssh(), &[last]), (ssh(), &["ffff:ffff::/33"])]), [ssh(), ssh()]);
    }
}
