//! Finds clauses of the user's that do more than their writer probably thinks of. Says so only where it is sure.

use crate::model::group::Role;
use crate::model::region::Traffic;
use crate::model::rule::Direction;
use crate::model::text::and;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::clause::Ids;
use crate::policy::file::problems::Problems;
use crate::policy::file::reach::{Budget, Open, Reach, cover, surely_meet};
use crate::policy::model::{Clause, PeerTerm, Severity, Verdict};

/// Roles of groups that EKS and its tools write rules into which let in everything from a group of the cluster.
const WIDE_INSIDE: [Role; 4] = [Role::Cluster, Role::ControlPlane, Role::Node, Role::Pod];

/// Warns of each clause that takes whole rules for a part of them, or that allows what an inherited clause revokes as
/// critical. `ids` tells where inherited clauses stand.
pub(super) fn report(own: &[(Clause, At)], inherited: &[Clause], ids: &Ids, problems: &mut Problems) {
    own.iter().filter(|(clause, _)| takes_whole_rules(clause)).for_each(|(clause, at)| {
        let message = format!(
            "the clause `{}` revokes whole rules: EKS and its tools let in everything from a group of the cluster, and such a rule would go",
            clause.id
        );
        problems.add(
            Diagnostic::warning("whole-rule", *at, message)
                .help("write `verdict: report`, and narrow the rules that it finds by hand"),
        );
    });

    let is_critical =
        |clause: &&Clause| clause.verdict == Verdict::Revoke && clause.severity == Some(Severity::Critical);
    let critical: Vec<Reach<'_>> = inherited.iter().filter(is_critical).filter_map(Reach::of).collect();
    let mut work = Budget::new();
    let mut earlier: Vec<Reach<'_>> = Vec::new();
    for (clause, at) in own {
        let Some(reach) = Reach::of(clause) else { continue };
        if clause.verdict == Verdict::Allow {
            let near: Vec<&Reach<'_>> = earlier.iter().filter(|other| reach.overlaps(other)).collect();
            if work.spend(earlier.len()).and_then(|()| work.compare(&reach, &near)).is_none() {
                return;
            }
            let overridden: Vec<(&Clause, Traffic)> = critical
                .iter()
                .map(|inherited| (inherited.clause, allowed_by_the_way(&reach, inherited, &near)))
                .filter(|(_, traffic)| !traffic.is_empty())
                .collect();
            problems_of(&clause.id, *at, &overridden, ids, problems);
        }
        earlier.push(reach);
    }
}

/// A revoke of some traffic among groups of one cluster.
fn takes_whole_rules(clause: &Clause) -> bool {
    clause.verdict == Verdict::Revoke
        && clause.direction == Direction::Ingress
        && clause.traffic != Traffic::all()
        && WIDE_INSIDE.iter().any(|role| clause.roles.contains(role))
        && clause.peers.iter().any(|peer| matches!(peer, PeerTerm::Itself | PeerTerm::SameCluster | PeerTerm::Role(_)))
}

/// The traffic of the inherited clause that a clause allows within a larger range. A port that is written by itself is meant.
fn allowed_by_the_way(clause: &Reach<'_>, inherited: &Reach<'_>, earlier: &[&Reach<'_>]) -> Traffic {
    let mut found = Traffic::default();
    if !clause.overlaps(inherited) {
        return found;
    }
    for ours in &clause.clause.peers {
        for theirs in &inherited.clause.peers {
            if !surely_meet(std::slice::from_ref(ours), theirs) {
                continue;
            }
            let mut open = Open::of_both(clause, inherited);
            let decided = |other: &&&Reach<'_>| cover(&other.clause.peers, ours) || cover(&other.clause.peers, theirs);
            earlier.iter().filter(decided).for_each(|other| open.take(other));
            let left = open.traffic();
            for range in clause.clause.traffic.ranges() {
                let range = Traffic::from_ranges([range]);
                if !inherited.clause.traffic.covers(&range) {
                    found = Traffic::union([found, &left & &range]);
                }
            }
        }
    }
    found
}

fn problems_of(id: &str, at: At, overridden: &[(&Clause, Traffic)], ids: &Ids, problems: &mut Problems) {
    let Some((first, _)) = overridden.first() else { return };
    let what = |(clause, traffic): &(&Clause, Traffic)| {
        let pairs = traffic.by_protocol().into_iter();
        let ports: Vec<String> =
            pairs.map(|(protocol, ports)| format!("{protocol} {}", ports.replace(',', ", "))).collect();
        format!("`{}` ({})", clause.id, ports.join("; "))
    };
    let what: Vec<String> = overridden.iter().map(what).collect();
    let message =
        format!("the clause `{id}` also allows what the policy it extends revokes as critical: {}", and(&what));
    let mut problem = Diagnostic::warning("allows-critical", at, message).help(
        "limit it to the `ports` that are needed; one of these that is meant belongs there as a number of its own",
    );
    if let Some((Some(policy), place)) = ids.get(&first.id) {
        problem = problem.also("this one would have revoked", *place, Some(policy));
    }
    problems.add(problem);
}
