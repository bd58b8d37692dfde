//! Finds clauses that can never match, because earlier ones cover everything they speak of.
//!
//! Exact over roles, direction and traffic; over peers it knows which words lie within which. Where it can't be sure, or
//! where being sure would take long, it says nothing.

use crate::group::Role;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::problems::Problems;
use crate::policy::{Clause, Word};
use crate::region::{Addresses, Family};

/// Comparisons of a whole file. The largest sensible policy needs a hundredth; a hostile one stops here.
const MOST_WORK: usize = 3_000_000;

/// The sets of roles that a group may have (bit `n`: the set whose members are the bits of `n`) and that a clause speaks of.
type RoleSets = u64;

struct Entry<'c> {
    clause: &'c Clause,
    at: At,
    groups: RoleSets,
    bounds: (u32, u32),
    /// Ranges it is made of: what comparing it costs.
    size: usize,
}

/// Warns of each clause that earlier ones of the list cover.
pub(super) fn report(clauses: &[(Clause, At)], problems: &mut Problems) {
    let entries: Vec<Entry<'_>> = clauses.iter().filter_map(|(clause, at)| entry(clause, *at)).collect();
    let mut work = MOST_WORK;
    let mut earlier: Vec<&Entry<'_>> = Vec::new();
    for entry in &entries {
        let Some(left) = work.checked_sub(earlier.len()) else {
            return;
        };
        work = left;
        let near: Vec<&Entry<'_>> = earlier.iter().copied().filter(|other| overlaps(entry, other)).collect();
        let cost: usize = near.iter().map(|other| other.size + entry.size).sum();
        let Some(left) = work.checked_sub(cost) else { return };
        work = left;
        if is_covered(entry, &near) {
            problems.add(warning(entry, &near));
        }
        earlier.push(entry);
    }
}

fn entry(clause: &Clause, at: At) -> Option<Entry<'_>> {
    let blocks = |word: &Word| match word {
        Word::Addresses(addresses) => Family::BOTH.iter().map(|family| addresses.ranges(*family).len()).sum(),
        _ => 1,
    };
    let size = clause.traffic.ranges().count() + clause.peers.iter().map(blocks).sum::<usize>();
    Some(Entry { clause, at, groups: role_sets(clause), bounds: clause.traffic.bounds()?, size })
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

fn overlaps(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    a.clause.direction == b.clause.direction
        && a.groups & b.groups != 0
        && a.bounds.0 <= b.bounds.1
        && b.bounds.0 <= a.bounds.1
}

fn is_covered(entry: &Entry<'_>, earlier: &[&Entry<'_>]) -> bool {
    !entry.clause.peers.is_empty()
        && entry.clause.peers.iter().all(|word| {
            let helpful: Vec<&Entry<'_>> =
                earlier.iter().copied().filter(|other| covers_word(&other.clause.peers, word)).collect();
            is_traffic_covered(entry, &helpful) || are_addresses_covered(entry, word, earlier)
        })
}

/// Whether for every set of roles the clauses that speak of it leave nothing of the traffic.
fn is_traffic_covered(clause: &Entry<'_>, earlier: &[&Entry<'_>]) -> bool {
    // Sets of roles that have the same traffic left; disjoint, so there are never more than 63.
    let mut open = vec![(clause.groups, clause.clause.traffic.clone())];
    for other in earlier {
        let mut left = Vec::new();
        for (groups, rest) in open {
            let (spoken_of, not) = (groups & other.groups, groups & !other.groups);
            let less = &rest - &other.clause.traffic;
            left.extend((spoken_of != 0 && !less.is_empty()).then_some((spoken_of, less)));
            left.extend((not != 0).then_some((not, rest)));
        }
        open = left;
    }
    open.is_empty()
}

/// Whether blocks are covered by those of several clauses together, each of which has all the roles and traffic.
fn are_addresses_covered(entry: &Entry<'_>, word: &Word, earlier: &[&Entry<'_>]) -> bool {
    let Word::Addresses(addresses) = word else { return false };
    let full = earlier
        .iter()
        .filter(|other| entry.groups & !other.groups == 0 && other.clause.traffic.covers(&entry.clause.traffic))
        .flat_map(|other| &other.clause.peers);
    let mut rest = addresses.clone();
    for word in full {
        if let Word::Addresses(covered) = word {
            rest = rest.without(covered);
        }
    }
    rest.is_empty()
}

/// Whether these words certainly cover everything that `word` may mean, for any group.
fn covers_word(words: &[Word], word: &Word) -> bool {
    let has = |wanted: &[Word]| wanted.iter().any(|wanted| words.contains(wanted));
    let blocks = || {
        words.iter().filter_map(|word| match word {
            Word::Addresses(addresses) => Some(addresses),
            _ => None,
        })
    };
    let every_address = || {
        words.contains(&Word::Private) && words.contains(&Word::Internet)
            || blocks().any(|set| *set == Addresses::all())
    };
    if has(&[Word::Anywhere]) {
        return true;
    }
    match word {
        Word::Addresses(addresses) => every_address() || blocks().any(|set| set.covers(addresses)),
        Word::Vpc => has(&[Word::Vpc, Word::Private]) || every_address(),
        Word::WideInternet => has(&[Word::WideInternet, Word::Internet]) || every_address(),
        Word::Private | Word::Internet => words.contains(word) || every_address(),
        // A group may have the role itself, and then it is no other group of its cluster.
        Word::Role(_) => words.contains(word) || words.contains(&Word::Itself) && words.contains(&Word::SameCluster),
        _ => words.contains(word),
    }
}

fn warning(entry: &Entry<'_>, earlier: &[&Entry<'_>]) -> Diagnostic {
    let id = &entry.clause.id;
    let alone = earlier.iter().find(|other| is_covered(entry, &[other]));
    let problem = |message: String| Diagnostic::warning("shadowed", entry.at, message);
    if let Some(other) = alone {
        let first = &other.clause.id;
        problem(format!("the clause `{id}` can never match: `{first}` before it covers all it speaks of"))
            .also("this one is read first", other.at, None)
            .help(format!("move `{id}` above `{first}`, or remove it"))
    } else {
        problem(format!("the clause `{id}` can never match: earlier ones together cover all it speaks of"))
            .help("move it up, or remove it")
    }
}
