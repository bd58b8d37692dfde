//! Warns of clauses that can never match, because earlier ones cover everything they speak of. Warns only where that is
//! certain, and only as long as making certain is cheap.

use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::problems::Problems;
use crate::policy::file::reach::{Budget, Open, Reach, cover};
use crate::policy::model::{Clause, PeerTerm};

struct EarlierClause<'c> {
    reach: Reach<'c>,
    at: At,
}

/// Warns of each clause that earlier ones of the list cover.
pub(super) fn report(clauses: &[(Clause, At)], problems: &mut Problems) {
    let entry = |(clause, at)| Some(EarlierClause { reach: Reach::of(clause)?, at });
    let entries: Vec<EarlierClause<'_>> = clauses.iter().map(|(clause, at)| (clause, *at)).filter_map(entry).collect();
    let mut budget = Budget::new();
    for (at, entry) in entries.iter().enumerate() {
        if budget.spend(at).is_none() {
            return;
        }
        let near: Vec<&EarlierClause<'_>> =
            entries.iter().take(at).filter(|other| entry.reach.overlaps(&other.reach)).collect();
        let reaches: Vec<&Reach<'_>> = near.iter().map(|other| &other.reach).collect();
        if budget.compare(&entry.reach, &reaches).is_none() {
            return;
        }
        if is_covered(&entry.reach, &reaches) {
            problems.add(warning(entry, &near));
        }
    }
}

fn is_covered(reach: &Reach<'_>, earlier: &[&Reach<'_>]) -> bool {
    !reach.clause.peers.is_empty()
        && reach
            .clause
            .peers
            .iter()
            .all(|word| is_traffic_covered(reach, word, earlier) || are_addresses_covered(reach, word, earlier))
}

/// Whether the clauses that certainly cover the peer leave nothing of the traffic, for any set of roles.
fn is_traffic_covered(reach: &Reach<'_>, word: &PeerTerm, earlier: &[&Reach<'_>]) -> bool {
    let mut open = Open::of(reach);
    let covers = |other: &&&Reach<'_>| other.holds_beside(reach) && cover(&other.clause.peers, word);
    earlier.iter().filter(covers).for_each(|other| open.take(other));
    open.is_empty()
}

/// Whether blocks are covered by those of several clauses together, each of which has all the roles and traffic.
fn are_addresses_covered(reach: &Reach<'_>, word: &PeerTerm, earlier: &[&Reach<'_>]) -> bool {
    let PeerTerm::Addresses(addresses) = word else { return false };
    let mut rest = addresses.clone();
    for word in earlier.iter().filter(|other| reach.is_within(other)).flat_map(|other| &other.clause.peers) {
        if let PeerTerm::Addresses(covered) = word {
            rest = rest.without(covered);
        }
    }
    rest.is_empty()
}

fn warning(entry: &EarlierClause<'_>, earlier: &[&EarlierClause<'_>]) -> Diagnostic {
    let id = &entry.reach.clause.id;
    let alone = earlier.iter().find(|other| is_covered(&entry.reach, &[&other.reach]));
    let problem = |message: String| Diagnostic::warning("shadowed", entry.at, message).about(id);
    if let Some(other) = alone {
        let first = &other.reach.clause.id;
        problem(format!("the clause `{id}` can never match: `{first}` before it covers all it speaks of"))
            .also("this one is read first", other.at, None)
            .help(format!("move `{id}` above `{first}`, or remove it"))
    } else {
        problem(format!("the clause `{id}` can never match: earlier ones together cover all it speaks of"))
            .help("move it up, or remove it")
    }
}
