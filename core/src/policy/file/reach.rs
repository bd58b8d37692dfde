//! How far a clause reaches: which groups it speaks of and which peers its terms may mean, for every possible group.
//!
//! Exact over roles, direction and traffic. What a peer term means depends on the group, so of two terms it only knows
//! whether one certainly lies within the other, and whether they certainly never meet. Must not: know verdicts or write
//! diagnostics.

use crate::model::group::Role;
use crate::model::region::{Addresses, Family, Traffic};
use crate::policy::exposure;
use crate::policy::model::{Clause, PeerTerm};
use crate::policy::peers::private_everywhere;

/// Comparisons of a whole file. The largest sensible policy needs a hundredth; a hostile one stops here.
const MAX_STEPS: usize = 3_000_000;

/// The sets of roles a group may have that a clause speaks of. Bit `n` stands for one set: the roles whose bits are in `n`.
type RoleSets = u64;

/// A clause with what comparing it needs.
pub(super) struct Reach<'c> {
    pub(super) clause: &'c Clause,
    groups: RoleSets,
    bounds: (u32, u32),
    /// Ranges it is made of: what comparing it costs.
    size: usize,
}

impl<'c> Reach<'c> {
    /// `None` for a clause about no traffic.
    pub(super) fn of(clause: &'c Clause) -> Option<Self> {
        let blocks = |word: &PeerTerm| match word {
            PeerTerm::Addresses(addresses) => Family::BOTH.iter().map(|family| addresses.ranges(*family).len()).sum(),
            _ => 1,
        };
        let size = clause.traffic.ranges().count() + clause.peers.iter().map(blocks).sum::<usize>();
        Some(Self { clause, groups: role_sets(clause), bounds: clause.traffic.bounds()?, size })
    }

    /// Whether both may speak of one packet of one group, peers aside. Cheap, and now and then too generous.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.clause.direction == other.clause.direction
            && self.groups & other.groups != 0
            && self.bounds.0 <= other.bounds.1
            && other.bounds.0 <= self.bounds.1
    }

    /// Whether the other one has all its groups and traffic.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        other.holds_beside(self)
            && self.groups & !other.groups == 0
            && other.clause.traffic.covers(&self.clause.traffic)
    }

    /// Whether it certainly counts wherever the other one does: it is limited to no fewer widths of rules or clusters.
    pub(super) fn holds_beside(&self, other: &Self) -> bool {
        self.clause.width.covers(other.clause.width) && other.clause.limits.clusters_are_within(&self.clause.limits)
    }
}

fn role_sets(clause: &Clause) -> RoleSets {
    let mask = Role::ALL
        .iter()
        .enumerate()
        .filter(|(_, role)| clause.roles.contains(role))
        .fold(0, |mask, (bit, _)| mask | 1 << bit);
    let speaks_of = |set: &u64| if clause.only { set & !mask == 0 } else { set & mask != 0 };
    (1..1_u64 << Role::ALL.len()).filter(speaks_of).fold(0, |sets, set| sets | 1 << set)
}

/// What is left of groups and traffic when one clause after the other has taken its portion.
pub(super) struct Open(Vec<(RoleSets, Traffic)>);

impl Open {
    pub(super) fn of(reach: &Reach<'_>) -> Self {
        Self(vec![(reach.groups, reach.clause.traffic.clone())])
    }

    /// What both speak of.
    pub(super) fn of_both(one: &Reach<'_>, other: &Reach<'_>) -> Self {
        Self(vec![(one.groups & other.groups, &one.clause.traffic & &other.clause.traffic)])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn meets(&self, reach: &Reach<'_>) -> bool {
        self.0.iter().any(|(groups, rest)| groups & reach.groups != 0 && rest.meets(&reach.clause.traffic))
    }

    /// Takes the groups and traffic of the clause away.
    pub(super) fn take(&mut self, reach: &Reach<'_>) {
        // The sets of groups stay disjoint, so there are never more than 63.
        let mut left = Vec::new();
        for (groups, rest) in self.0.drain(..) {
            let (spoken_of, not) = (groups & reach.groups, groups & !reach.groups);
            let less = &rest - &reach.clause.traffic;
            left.extend((spoken_of != 0 && !less.is_empty()).then_some((spoken_of, less)));
            left.extend((not != 0).then_some((not, rest)));
        }
        self.0 = left;
    }

    /// The traffic that is left in some group.
    pub(super) fn traffic(self) -> Traffic {
        Traffic::union(self.0.into_iter().map(|(_, rest)| rest))
    }
}

/// How much comparing a file may still cost.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(MAX_STEPS)
    }

    /// `None`: it has cost enough.
    pub(super) fn spend(&mut self, cost: usize) -> Option<()> {
        self.0 = self.0.checked_sub(cost)?;
        Some(())
    }

    /// Of comparing these with one clause.
    pub(super) fn compare(&mut self, one: &Reach<'_>, others: &[&Reach<'_>]) -> Option<()> {
        self.spend(others.iter().map(|other| other.size + one.size).sum())
    }
}

/// Whether these words certainly cover everything that `word` may mean, for any group.
pub(super) fn cover(words: &[PeerTerm], word: &PeerTerm) -> bool {
    let has = |wanted: &[PeerTerm]| wanted.iter().any(|wanted| words.contains(wanted));
    let blocks = || {
        words.iter().filter_map(|word| match word {
            PeerTerm::Addresses(addresses) => Some(addresses),
            _ => None,
        })
    };
    let every_address = || {
        words.contains(&PeerTerm::Private) && words.contains(&PeerTerm::Internet)
            || blocks().any(|set| *set == Addresses::all())
    };
    if has(&[PeerTerm::Anywhere]) {
        return true;
    }
    match word {
        PeerTerm::Addresses(addresses) => {
            every_address()
                || blocks().any(|set| set.covers(addresses))
                || has(&[PeerTerm::Private]) && private_everywhere().covers(addresses)
        }
        PeerTerm::Vpc => has(&[PeerTerm::Vpc, PeerTerm::Private]) || every_address(),
        PeerTerm::WideInternet => has(&[PeerTerm::WideInternet, PeerTerm::Internet]) || every_address(),
        PeerTerm::Private | PeerTerm::Internet => words.contains(word) || every_address(),
        PeerTerm::OtherAccountGroup => has(&[PeerTerm::OtherAccountGroup, PeerTerm::OtherGroup]),
        // A group may have the role itself, and then it is no other group of its cluster.
        PeerTerm::Role(_) => {
            words.contains(word) || words.contains(&PeerTerm::Itself) && words.contains(&PeerTerm::SameCluster)
        }
        _ => words.contains(word),
    }
}

/// Whether one of these words and `word` may mean the same peer, for some group. `false` is certain.
pub(super) fn may_meet(words: &[PeerTerm], word: &PeerTerm) -> bool {
    words.iter().any(|other| !are_apart(other, word) && !are_apart(word, other))
}

/// Whether one of these words and `word` certainly mean some peer both, unless the VPC has public addresses of its own.
pub(super) fn surely_meet(words: &[PeerTerm], word: &PeerTerm) -> bool {
    let public = |addresses: &Addresses| addresses.without(private_everywhere());
    cover(words, word)
        || words.iter().any(|other| match (other, word) {
            (PeerTerm::Addresses(addresses), PeerTerm::Internet) => !public(addresses).is_empty(),
            (PeerTerm::Addresses(addresses), PeerTerm::WideInternet) => {
                exposure::wide(&[(Traffic::all(), public(addresses))]).iter().any(|wide| !wide.is_empty())
            }
            (other, word) => cover(std::slice::from_ref(word), other),
        })
}

/// The kinds of peer that a word may mean.
fn kinds(word: &PeerTerm) -> u8 {
    const ADDRESSES: u8 = 1;
    const GROUPS: u8 = 2;
    const AWS_LISTS: u8 = 4;
    const UNREADABLE: u8 = 8;
    match word {
        PeerTerm::Addresses(_) | PeerTerm::Private | PeerTerm::Internet | PeerTerm::WideInternet | PeerTerm::Vpc => {
            ADDRESSES
        }
        PeerTerm::Group(_)
        | PeerTerm::Itself
        | PeerTerm::SameCluster
        | PeerTerm::Role(_)
        | PeerTerm::OtherGroup
        | PeerTerm::OtherAccountGroup => GROUPS,
        PeerTerm::Aws(_) => AWS_LISTS,
        PeerTerm::PrefixList(_) => ADDRESSES | AWS_LISTS | UNREADABLE,
        PeerTerm::Anywhere => ADDRESSES | GROUPS | AWS_LISTS | UNREADABLE,
    }
}

/// Whether the two certainly never mean the same peer. Knows each pair in one order.
fn are_apart(one: &PeerTerm, other: &PeerTerm) -> bool {
    if kinds(one) & kinds(other) == 0 {
        return true;
    }
    match (one, other) {
        (PeerTerm::Addresses(one), PeerTerm::Addresses(other)) => !one.meets(other),
        (PeerTerm::Addresses(addresses), PeerTerm::Internet | PeerTerm::WideInternet) => {
            private_everywhere().covers(addresses)
        }
        (PeerTerm::Private | PeerTerm::Vpc, PeerTerm::Internet | PeerTerm::WideInternet)
        | (PeerTerm::Itself, PeerTerm::SameCluster)
        | (
            PeerTerm::Itself | PeerTerm::SameCluster | PeerTerm::Role(_),
            PeerTerm::OtherGroup | PeerTerm::OtherAccountGroup,
        ) => true,
        (PeerTerm::Group(one), PeerTerm::Group(other)) | (PeerTerm::PrefixList(one), PeerTerm::PrefixList(other)) => {
            one != other
        }
        (PeerTerm::Aws(one), PeerTerm::Aws(other)) => one != other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::file::tests::clause;

    #[test]
    fn comparing_costs_the_ranges_of_both_until_the_budget_is_spent() {
        let clause = clause("from: [vpc, 10.0.0.0/8, 192.0.2.0/24, \"2001:db8::/32\"], tcp: [22, 80]");
        let reach = Reach::of(&clause).unwrap();
        assert_eq!(reach.size, 2 + 4);
        assert_eq!(Budget(24).compare(&reach, &[&reach, &reach]), Some(()));
        assert_eq!(Budget(23).compare(&reach, &[&reach, &reach]), None);
    }
}
