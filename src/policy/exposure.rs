//! Exposure: on which ports a rule opens the group to a *large part* of the internet, alone or together with others.
//!
//! Splitting a world rule into many small ones must gain nothing, and an office's /32 must not be judged by somebody
//! else's world rule beside it. So rules that are wide alone are wide wherever they reach; of the others, only the ports
//! where those others *together* reach the threshold count.

use crate::region::{Addresses, Family, Traffic};

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

/// For each rule, given as its traffic and the internet addresses it lets in: the part of the traffic where it is wide.
/// All rules must be of one group and one direction.
pub(crate) fn wide(rules: &[(&Traffic, Addresses)]) -> Vec<Traffic> {
    let mut wide = vec![Traffic::default(); rules.len()];
    for space in SPACES {
        let reach: Vec<Vec<(u128, u128)>> = rules.iter().map(|(_, internet)| space.ranges(internet)).collect();
        let alone = |ranges: &[(u128, u128)]| size(ranges) >= space.threshold;
        let small: Vec<(&Traffic, &[(u128, u128)])> = rules
            .iter()
            .zip(&reach)
            .filter(|(_, ranges)| !ranges.is_empty() && !alone(ranges))
            .map(|((traffic, _), ranges)| (*traffic, ranges.as_slice()))
            .collect();
        let together = together(&small, space.threshold);
        for ((wide, (traffic, _)), ranges) in wide.iter_mut().zip(rules).zip(&reach) {
            if alone(ranges) {
                *wide = (*traffic).clone();
            } else if !ranges.is_empty() {
                *wide = Traffic::union([wide.clone(), *traffic & &together]);
            }
        }
    }
    wide
}

fn size(ranges: &[(u128, u128)]) -> u128 {
    ranges.iter().fold(0, |sum, (from, to)| sum.saturating_add((to - from).saturating_add(1)))
}

/// The traffic where these rules together let in at least `threshold` addresses. One sweep over the edges of the traffic,
/// counting per piece of address space how many rules cover it.
fn together(rules: &[(&Traffic, &[(u128, u128)])], threshold: u128) -> Traffic {
    let upper_bound = rules.iter().fold(0_u128, |sum, (_, ranges)| sum.saturating_add(size(ranges)));
    if upper_bound < threshold {
        return Traffic::default();
    }
    let mut cuts: Vec<u128> = rules
        .iter()
        .flat_map(|(_, ranges)| ranges.iter())
        .flat_map(|(from, to)| [Some(*from), to.checked_add(1)])
        .flatten()
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let piece = |address: u128| cuts.partition_point(|cut| *cut < address);
    let pieces: Vec<Vec<(usize, usize)>> = rules
        .iter()
        .map(|(_, ranges)| {
            ranges.iter().map(|(from, to)| (piece(*from), to.checked_add(1).map_or(cuts.len(), piece))).collect()
        })
        .collect();
    let width = |at: usize| {
        let from = cuts.get(at).copied().unwrap_or(u128::MAX);
        cuts.get(at + 1).map_or_else(|| (u128::MAX - from).saturating_add(1), |next| next - from)
    };

    let mut edges: Vec<(u32, bool, usize)> = Vec::new();
    for (rule, (traffic, _)) in rules.iter().enumerate() {
        for (from, to) in traffic.ranges() {
            edges.push((from, true, rule));
            edges.push((to + 1, false, rule));
        }
    }
    edges.sort_unstable();

    let mut covered = vec![0_u32; cuts.len()];
    let mut total = 0_u128;
    let mut found = Vec::new();
    let mut edges = edges.into_iter().peekable();
    while let Some((at, opens, rule)) = edges.next() {
        for at in pieces.get(rule).into_iter().flatten().flat_map(|(first, end)| *first..*end) {
            let Some(count) = covered.get_mut(at) else { continue };
            if opens {
                total += if *count == 0 { width(at) } else { 0 };
                *count += 1;
            } else {
                *count -= 1;
                total -= if *count == 0 { width(at) } else { 0 };
            }
        }
        if let Some((next, ..)) = edges.peek()
            && *next > at
            && total >= threshold
        {
            found.push((at, next - 1));
        }
    }
    Traffic::from_ranges(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::IpNet;

    fn nets(texts: &[&str]) -> Addresses {
        texts.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
    }

    fn wide_of(rules: &[(Traffic, &[&str])]) -> Vec<Traffic> {
        wide(&rules.iter().map(|(traffic, texts)| (traffic, nets(texts))).collect::<Vec<_>>())
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
