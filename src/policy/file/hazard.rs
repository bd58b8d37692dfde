//! Warns of the user's clauses that do more than was probably meant: one that revokes a whole rule for a part of it, and one
//! that allows, somewhere in a larger range, what an inherited clause revokes as critical. Warns only where that is certain.

use crate::model::group::Role;
use crate::model::region::Traffic;
use crate::model::rule::Direction;
use crate::model::text::and;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::clause::Ids;
use crate::policy::file::problems::Problems;
use crate::policy::file::reach::{Budget, Open, Reach, cover, surely_meet};
use crate::policy::model::{Clause, PeerTerm, Severity, Verdict};

/// Roles of groups in which EKS and its tools let in everything from other groups of the cluster.
const WIDE_INSIDE: [Role; 4] = [Role::Cluster, Role::ControlPlane, Role::Node, Role::Pod];

/// Adds a warning for each such clause. `own`: the user's clauses in reading order; `ids`: the positions of inherited ones.
pub(super) fn report(own: &[(Clause, At)], inherited: &[Clause], ids: &Ids, problems: &mut Problems) {
    own.iter().filter(|(clause, _)| revokes_whole_rules(clause)).for_each(|(clause, at)| {
        let message = format!(
            "the clause `{}` revokes more than it names: EKS and its tools let in everything from the cluster's own \
             groups, and a rule can only be revoked as a whole",
            clause.id
        );
        problems.add(
            Diagnostic::warning("whole-rule", *at, message)
                .help("write `verdict: report`, and narrow by hand the rules that it reports"),
        );
    });

    let is_critical =
        |clause: &&Clause| clause.verdict == Verdict::Revoke && clause.severity == Some(Severity::Critical);
    let critical: Vec<Reach<'_>> = inherited.iter().filter(is_critical).filter_map(Reach::of).collect();
    let mut budget = Budget::new();
    let mut earlier: Vec<Reach<'_>> = Vec::new();
    for (clause, at) in own {
        let Some(reach) = Reach::of(clause) else { continue };
        if clause.verdict == Verdict::Allow {
            let near: Vec<&Reach<'_>> = earlier.iter().filter(|other| reach.overlaps(other)).collect();
            if budget.spend(earlier.len()).and_then(|()| budget.compare(&reach, &near)).is_none() {
                return;
            }
            let overridden: Vec<(&Clause, Traffic)> = critical
                .iter()
                .map(|inherited| (inherited.clause, allowed_in_passing(&reach, inherited, &near)))
                .filter(|(_, traffic)| !traffic.is_empty())
                .collect();
            warn(&clause.id, *at, &overridden, ids, problems);
        }
        earlier.push(reach);
    }
}

/// Whether it revokes for a part of the traffic what EKS lets in as a whole: traffic between groups of one cluster.
fn revokes_whole_rules(clause: &Clause) -> bool {
    clause.verdict == Verdict::Revoke
        && clause.direction == Direction::Ingress
        && clause.traffic != Traffic::all()
        && WIDE_INSIDE.iter().any(|role| clause.roles.contains(role))
        && clause.peers.iter().any(|peer| matches!(peer, PeerTerm::Itself | PeerTerm::SameCluster | PeerTerm::Role(_)))
}

/// The traffic that `inherited` revokes and `clause` allows only as part of a larger range. A port or range that lies within
/// the inherited traffic was written on purpose and does not count, nor does what an `earlier` clause of the user decides.
fn allowed_in_passing(clause: &Reach<'_>, inherited: &Reach<'_>, earlier: &[&Reach<'_>]) -> Traffic {
    let mut found = Traffic::default();
    if !clause.overlaps(inherited) || !inherited.holds_beside(clause) {
        return found;
    }
    for ours in &clause.clause.peers {
        for theirs in &inherited.clause.peers {
            if !surely_meet(std::slice::from_ref(ours), theirs) {
                continue;
            }
            let mut open = Open::of_both(clause, inherited);
            let decided = |other: &&&Reach<'_>| {
                other.holds_beside(clause) && (cover(&other.clause.peers, ours) || cover(&other.clause.peers, theirs))
            };
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

fn warn(id: &str, at: At, overridden: &[(&Clause, Traffic)], ids: &Ids, problems: &mut Problems) {
    let Some((first, _)) = overridden.first() else { return };
    let what = |(clause, traffic): &(&Clause, Traffic)| {
        let pairs = traffic.by_protocol().into_iter();
        let ports: Vec<String> =
            pairs.map(|(protocol, ports)| format!("{protocol} {}", ports.replace(',', ", "))).collect();
        format!("`{}` ({})", clause.id, ports.join("; "))
    };
    let what: Vec<String> = overridden.iter().map(what).collect();
    let message =
        format!("the clause `{id}` allows traffic that the inherited policy revokes as critical: {}", and(&what));
    let mut problem = Diagnostic::warning("allows-critical", at, message)
        .help("limit `ports` to those that are needed; to allow one of these on purpose, list its number by itself");
    if let Some((Some(policy), at)) = ids.get(&first.id) {
        problem = problem.also("this inherited clause would have revoked it", *at, Some(policy));
    }
    problems.add(problem);
}
