//! Warns of what revokes a rule without which a stock cluster stands still: judged as the function judges, on set-ups that
//! the policy's own requirements accept.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::cluster::topology::Topology;
use crate::model::ids::Location;
use crate::model::text::and;
use crate::policy::controller::Author;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::problems::Problems;
use crate::policy::file::stock::{self, SetUp};
use crate::policy::judge::judge;
use crate::policy::model::{Limits, Origin, Policy, Verdict};
use crate::policy::requirement;

/// Files of more clauses are made by programs; to judge them takes longer than to read them.
const MAX_CLAUSES: usize = 1_000;
/// More are not named.
const MAX_NAMED: usize = 3;

/// Adds a warning for each clause, by its id and where the file says what it does.
pub(super) fn report(policy: &Policy, positions: &BTreeMap<&str, At>, problems: &mut Problems) {
    if policy.clauses.len() > MAX_CLAUSES || positions.is_empty() {
        return;
    }
    let everywhere = everywhere(policy);
    let mut lost: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for set_up in stock::set_ups() {
        let before = unmet(&everywhere, &set_up.topology);
        for (id, at) in positions {
            let without = without_what_it_revokes(&everywhere, id, &set_up);
            if let Some(topology) = without.filter(|_| !problems.has("whole-rule", *at)) {
                let missing = unmet(&everywhere, &topology);
                let named = policy.requirements.iter().map(|requirement| requirement.id.as_str());
                lost.entry(id).or_default().extend(
                    named.filter(|requirement| missing.contains(*requirement) && !before.contains(*requirement)),
                );
            }
        }
    }
    for (id, requirements) in lost.iter().filter(|(_, requirements)| !requirements.is_empty()) {
        let what = if *id == UNCOVERED { "`otherwise`".to_owned() } else { format!("`{id}`") };
        let named: Vec<String> = requirements.iter().take(MAX_NAMED).map(|id| format!("`{id}`")).collect();
        let more = if requirements.len() > MAX_NAMED { " and others" } else { "" };
        let message = format!(
            "{what} revokes rules of stock clusters without which the requirement{} {}{more} would not be met",
            if requirements.len() == 1 { "" } else { "s" },
            and(&named)
        );
        let at = positions.get(id).copied().unwrap_or_default();
        let help =
            "write `verdict: report`, or name less; a rule can only be revoked as a whole, and nodes need theirs";
        let about = if *id == UNCOVERED { "otherwise" } else { id };
        problems.add(Diagnostic::warning("takes-requirement", at, message).about(about).help(help));
    }
}

/// What findings say where no clause speaks.
pub(super) const UNCOVERED: &str = "uncovered";

/// The policy as it would be where each of its clauses holds, and no exception does.
fn everywhere(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.clauses.retain(|clause| clause.origin != Origin::Exception);
    policy.clauses.iter_mut().for_each(|clause| clause.limits = Limits::default());
    policy
}

fn unmet(policy: &Policy, topology: &Topology) -> BTreeSet<String> {
    requirement::unmet(policy, topology).into_iter().map(|unmet| unmet.requirement.id.clone()).collect()
}

/// `None`: it revokes nothing there.
fn without_what_it_revokes(policy: &Policy, id: &str, set_up: &SetUp) -> Option<Topology> {
    let mut topology = set_up.topology.clone();
    let mut revokes = false;
    for group in &set_up.groups {
        // No clause here is limited to a location or a time.
        let judged = judge(policy, group, &Location::default(), Timestamp::UNIX_EPOCH, |_| Author::Other);
        let stays = |verdict: Verdict, clause: &str| verdict != Verdict::Revoke || clause != id;
        let left =
            judged.into_iter().filter(|found| found.portions.iter().all(|part| stays(part.verdict, &part.clause)));
        let left: Vec<_> = left.map(|found| found.rule).collect();
        revokes |= left.len() < group.rules.len();
        topology.rules.insert(group.id.clone(), left);
    }
    revokes.then_some(topology)
}
