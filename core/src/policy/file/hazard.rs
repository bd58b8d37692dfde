//! Warns of what does more than was probably meant: a clause that revokes a whole rule for a part of it, one that allows,
//! somewhere in a larger range, what an inherited clause revokes as critical, and whatever opens to the world what an
//! inherited clause closes. Warns only where that is certain.

use std::collections::BTreeSet;

use crate::model::group::Role;
use crate::model::region::Traffic;
use crate::model::rule::{Direction, Packets};
use crate::model::text::and;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::clause::Ids;
use crate::policy::file::problems::Problems;
use crate::policy::file::reach::{Budget, Open, Reach, cover, surely_meet};
use crate::policy::globs::is_universal;
use crate::policy::model::{Clause, Limits, Origin, PeerTerm, Severity, Verdict};

/// Roles of groups in which EKS and its tools let in everything from other groups of the cluster.
const WIDE_INSIDE: [Role; 4] = [Role::Cluster, Role::ControlPlane, Role::Node, Role::Pod];

/// Whether a clause closes what must never be open to the world: it revokes as critical, or for the world alone.
pub(super) fn is_guard(clause: &Clause) -> bool {
    let is_grave = clause.severity == Some(Severity::Critical) || clause.peers.contains(&PeerTerm::WideInternet);
    clause.verdict == Verdict::Revoke && is_grave
}

/// Adds a warning for each such clause. `own`: the user's exceptions and clauses in reading order; `inherited`: what is read
/// after them, in some clusters or in all; `ids`: the positions of inherited ones.
pub(super) fn report(
    exceptions: &[(Clause, At)],
    own: &[(Clause, At)],
    inherited: &[&Clause],
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
    let critical: Vec<Reach<'_>> = inherited.iter().copied().filter(is_critical).filter_map(Reach::of).collect();
    let mut budget = Budget::new();
    let mut earlier: Vec<Reach<'_>> = Vec::new();
    for (clause, at) in own {
        let Some(reach) = Reach::of(clause) else { continue };
        if clause.verdict == Verdict::Allow {
            let near: Vec<&Reach<'_>> = earlier.iter().filter(|other| reach.overlaps(other)).collect();
            if budget.spend(earlier.len()).and_then(|()| budget.compare(&reach, &near)).is_none() {
                return;
            }
            // Several policies may have the same clause.
            let mut seen = BTreeSet::new();
            let overridden: Vec<(&Clause, Traffic)> = critical
                .iter()
                .map(|inherited| (inherited.clause, allowed_in_passing(&reach, inherited, &near)))
                .filter(|(inherited, traffic)| !traffic.is_empty() && seen.insert(&inherited.id))
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
    inherited: &[&Clause],
    ids: &Ids,
    problems: &mut Problems,
) {
    let guards = inherited.iter().copied().filter(|clause| is_guard(clause));
    let guards: Vec<Reach<'_>> = guards.filter_map(Reach::of).collect();
    let mut budget = Budget::new();
    let mut earlier: Vec<Reach<'_>> = Vec::new();
    for (clause, at) in exceptions.iter().chain(own) {
        let Some(reach) = Reach::of(clause) else { continue };
        let is_mild = verdicts_of(clause).iter().any(|(verdict, _)| *verdict < Verdict::Revoke);
        let is_wide = is_mild && surely_meet(&clause.peers, &PeerTerm::WideInternet);
        if is_wide && holds_everywhere(&clause.limits) && !problems.has("allows-critical", *at) {
            let holds = |other: &Reach<'_>| holds_everywhere(&other.clause.limits) && other.holds_beside(&reach);
            let near: Vec<&Reach<'_>> = earlier.iter().filter(|other| reach.overlaps(other) && holds(other)).collect();
            if budget.spend(earlier.len()).and_then(|()| budget.compare(&reach, &near)).is_none() {
                return;
            }
            let opened = guards.iter().filter(|guard| reach.overlaps(guard)).filter_map(|guard| {
                let how = milder(clause, guard.clause)?;
                let mut open = Open::of_both(&reach, guard);
                let decided = |other: &&&Reach<'_>| cover(&other.clause.peers, &PeerTerm::WideInternet);
                near.iter().filter(decided).for_each(|other| open.take(other));
                Some((how, guard.clause, open.traffic()))
            });
            let mut seen = BTreeSet::new();
            let opened = opened.filter(|(_, guard, traffic)| !traffic.is_empty() && seen.insert(&guard.id));
            let opened: Vec<Opened<'_>> = opened.collect();
            warn_of_world(clause, *at, &opened, ids, problems);
        }
        earlier.push(reach);
    }
}

/// What a clause says of a rule, of one that covers the ports in passing, and of a controller's; the last two with words.
fn verdicts_of(clause: &Clause) -> [(Verdict, &'static str); 3] {
    let milder = |particular: Option<Verdict>| particular.map_or(clause.verdict, |verdict| verdict.min(clause.verdict));
    [
        (clause.verdict, ""),
        (milder(clause.in_passing), " in passing"),
        (milder(clause.for_controller), " as a controller's rule"),
    ]
}

/// How the clause is milder than the guard, with the verdict; first of every rule.
fn milder(clause: &Clause, guard: &Clause) -> Option<(Verdict, &'static str)> {
    let pairs = verdicts_of(clause).into_iter().zip(verdicts_of(guard));
    pairs.filter(|((ours, _), (theirs, _))| ours < theirs).map(|(ours, _)| ours).next()
}

/// Whether nothing narrows it down to some clusters, groups or locations. A day does not, nor do clusters that are left out.
fn holds_everywhere(limits: &Limits) -> bool {
    limits.group.is_none()
        && limits.account.is_none()
        && limits.region.is_none()
        && limits.cluster.as_deref().is_none_or(is_universal)
        && !limits.not_clusters.iter().any(|glob| is_universal(glob))
}

/// A clause that is opened, with its traffic, and the verdict that is milder with the rules that get it.
type Opened<'c> = ((Verdict, &'static str), &'c Clause, Traffic);

fn warn_of_world(clause: &Clause, at: At, opened: &[Opened<'_>], ids: &Ids, problems: &mut Problems) {
    // What concerns every rule is told before what concerns some.
    let Some(((verdict, rules), first, _)) = opened.iter().min_by_key(|((_, rules), ..)| *rules) else { return };
    let what = opened.iter().filter(|((_, other), ..)| other == rules);
    let what: Vec<String> = what.map(|(_, guard, traffic)| named(guard, traffic)).collect();
    let kind = if clause.origin == Origin::Exception { "exception" } else { "clause" };
    let does = if *verdict == Verdict::Allow { "allows" } else { "only reports" };
    let clusters = if clause.limits.not_clusters.is_empty() { "every cluster" } else { "all clusters but some" };
    let id = &clause.id;
    let message = format!(
        "the {kind} `{id}` {does}{rules}, from a large part of the internet and in {clusters}, what the inherited policy \
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
fn named(clause: &Clause, traffic: &Traffic) -> String {
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
        && clause.width.holds(Packets::All.port_count())
        && WIDE_INSIDE.iter().any(|role| clause.roles.contains(role))
        && clause.peers.iter().any(|peer| matches!(peer, PeerTerm::Itself | PeerTerm::SameCluster | PeerTerm::Role(_)))
}

/// The traffic that `inherited` revokes and `clause` allows only as part of a larger range. A port or range that lies within
/// the inherited traffic was written on purpose and does not count, nor does what an `earlier` clause of the user decides.
fn allowed_in_passing(clause: &Reach<'_>, inherited: &Reach<'_>, earlier: &[&Reach<'_>]) -> Traffic {
    let mut found = Traffic::default();
    let both_hold = inherited.holds_beside(clause) || clause.holds_beside(inherited);
    if !clause.overlaps(inherited) || !both_hold {
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
    let what: Vec<String> = overridden.iter().map(|(clause, traffic)| named(clause, traffic)).collect();
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
