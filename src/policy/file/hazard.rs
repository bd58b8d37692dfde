//! Warns of what does more than was probably meant: a clause that revokes a whole rule for a part of it, one that allows,
//! somewhere in a larger range, what an inherited clause revokes as critical, and whatever opens to the world what an
//! inherited clause closes. Warns only where that is certain.

use crate::model::group::Role;
use crate::model::region::Traffic;
use crate::model::rule::Direction;
use crate::model::text::and;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::clause::Ids;
use crate::policy::file::problems::Problems;
use crate::policy::file::reach::{Budget, Open, Reach, cover, surely_meet};
use crate::policy::model::{Clause, Limits, Origin, PeerTerm, Severity, Verdict};

/// Roles of groups in which EKS and its tools let in everything from other groups of the cluster.
const WIDE_INSIDE: [Role; 4] = [Role::Cluster, Role::ControlPlane, Role::Node, Role::Pod];

/// Whether a clause closes what must never be open to the world: it revokes as critical, or for the world alone.
pub(super) fn is_guard(clause: &Clause) -> bool {
    let is_grave = clause.severity == Some(Severity::Critical) || clause.peers.contains(&PeerTerm::WideInternet);
    clause.verdict == Verdict::Revoke && is_grave
}

/// Adds a warning for each such clause. `own`: the user's exceptions and clauses in reading order; `ids`: the positions of
/// inherited ones.
pub(super) fn report(
    exceptions: &[(Clause, At)],
    own: &[(Clause, At)],
    inherited: &[Clause],
    ids: &Ids,
    problems: &mut Problems,
) {
    own.iter().filter(|(clause, _)| revokes_whole_rules(clause)).for_each(|(clause, at)| {
        let message = format!(
            "the clause `{}` revokes more than it names: EKS and its tools let in everything from the cluster's own \
             groups, and a rule can only be revoked as a whole",
            clause.id
        );
        problems.add(
            Diagnostic::warning("whole-rule", *at, message)
                .about(&clause.id)
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
    open_to_world(exceptions, own, inherited, ids, problems);
}

/// Warns of exceptions and clauses that are milder than a guard for a large part of the internet, in every cluster.
fn open_to_world(
    exceptions: &[(Clause, At)],
    own: &[(Clause, At)],
    inherited: &[Clause],
    ids: &Ids,
    problems: &mut Problems,
) {
    let guards: Vec<Reach<'_>> = inherited.iter().filter(|clause| is_guard(clause)).filter_map(Reach::of).collect();
    let mut budget = Budget::new();
    let mut earlier: Vec<Reach<'_>> = Vec::new();
    for (clause, at) in exceptions.iter().chain(own) {
        let Some(reach) = Reach::of(clause) else { continue };
        let is_wide = clause.verdict < Verdict::Revoke && surely_meet(&clause.peers, &PeerTerm::WideInternet);
        if is_wide && holds_everywhere(&clause.limits) && !problems.has("allows-critical", *at) {
            let near = earlier.iter().filter(|other| reach.overlaps(other) && holds_everywhere(&other.clause.limits));
            let near: Vec<&Reach<'_>> = near.collect();
            if budget.spend(earlier.len()).and_then(|()| budget.compare(&reach, &near)).is_none() {
                return;
            }
            let opened = guards.iter().filter(|guard| reach.overlaps(guard)).map(|guard| {
                let mut open = Open::of_both(&reach, guard);
                let decided = |other: &&&Reach<'_>| cover(&other.clause.peers, &PeerTerm::WideInternet);
                near.iter().filter(decided).for_each(|other| open.take(other));
                (guard.clause, open.traffic())
            });
            let opened: Vec<(&Clause, Traffic)> = opened.filter(|(_, traffic)| !traffic.is_empty()).collect();
            warn_of_world(clause, *at, &opened, ids, problems);
        }
        earlier.push(reach);
    }
}

/// Whether nothing narrows it down to some clusters, groups or locations. A day does not.
fn holds_everywhere(limits: &Limits) -> bool {
    let every = |glob: &String| glob.chars().all(|c| c == '*');
    limits.group.is_none()
        && limits.account.is_none()
        && limits.region.is_none()
        && limits.cluster.as_ref().is_none_or(every)
}

fn warn_of_world(clause: &Clause, at: At, opened: &[(&Clause, Traffic)], ids: &Ids, problems: &mut Problems) {
    let Some((first, _)) = opened.first() else { return };
    let what: Vec<String> = opened.iter().map(named).collect();
    let kind = if clause.origin == Origin::Exception { "exception" } else { "clause" };
    let does = if clause.verdict == Verdict::Allow { "allows" } else { "only reports" };
    let id = &clause.id;
    let message = format!(
        "the {kind} `{id}` {does}, from a large part of the internet and in every cluster, what the inherited policy \
         revokes: {}",
        and(&what)
    );
    let help = match clause.origin {
        Origin::Exception => "name the few addresses that need it, or the cluster or group",
        _ => "name the few addresses that need it; what is meant is accepted under `accepted`, with a reason",
    };
    let mut problem = Diagnostic::warning("opens-to-world", at, message).about(id).help(help);
    if let Some((Some(policy), at)) = ids.get(&first.id) {
        problem = problem.also("this inherited clause would have revoked it", *at, Some(policy));
    }
    problems.add(problem);
}

/// A clause with a part of its traffic.
fn named((clause, traffic): &(&Clause, Traffic)) -> String {
    let pairs = traffic.by_protocol().into_iter();
    let ports: Vec<String> =
        pairs.map(|(protocol, ports)| format!("{protocol} {}", ports.replace(',', ", "))).collect();
    format!("`{}` ({})", clause.id, ports.join("; "))
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
    let what: Vec<String> = overridden.iter().map(named).collect();
    let message =
        format!("the clause `{id}` allows traffic that the inherited policy revokes as critical: {}", and(&what));
    let mut problem = Diagnostic::warning("allows-critical", at, message)
        .about(id)
        .help("limit `ports` to those that are needed; to allow one of these on purpose, list its number by itself");
    if let Some((Some(policy), at)) = ids.get(&first.id) {
        problem = problem.also("this inherited clause would have revoked it", *at, Some(policy));
    }
    problems.add(problem);
}
