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
use crate::policy::judge::{JudgedRule, judge};
use crate::policy::model::{Limits, Origin, Policy, Verdict};
use crate::policy::requirement;

/// Files of more ports are made by programs; to judge them takes longer than to read them.
const MAX_RANGES: usize = 5_000;
/// More are not named.
const MAX_NAMED: usize = 3;

/// Adds a warning for each clause, by its id and where the file says what it does.
pub(super) fn report(policy: &Policy, positions: &BTreeMap<&str, At>, problems: &mut Problems) {
    let may_revoke = |id: &str| match policy.clauses.iter().find(|clause| clause.id == id) {
        Some(clause) => clause.verdict == Verdict::Revoke,
        None => id == UNCOVERED && policy.otherwise == Verdict::Revoke,
    };
    let size = policy.clauses.iter().map(|clause| clause.traffic.ranges().count()).sum::<usize>();
    if size > MAX_RANGES || !positions.keys().any(|id| may_revoke(id)) {
        return;
    }
    let everywhere = everywhere(policy);
    let mut lost: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for set_up in stock::set_ups() {
        let judged = judged(&everywhere, &set_up);
        let takes = |id: &str| judged.iter().flat_map(|(_, rules)| rules).any(|found| revokes(found, id));
        let mut before = None;
        for (id, at) in positions.iter().filter(|(id, _)| takes(id)) {
            let before = before.get_or_insert_with(|| unmet(&everywhere, &set_up.topology));
            if !problems.has("whole-rule", *at) {
                let topology = without_what_it_revokes(&set_up.topology, id, &judged);
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

/// Every rule of the set-up, group by group.
fn judged(policy: &Policy, set_up: &SetUp) -> Vec<(String, Vec<JudgedRule>)> {
    // No clause here is limited to a location or a time.
    let judge = |group| judge(policy, group, &Location::default(), Timestamp::UNIX_EPOCH, |_| Author::Other);
    set_up.groups.iter().map(|group| (group.id.clone(), judge(group))).collect()
}

/// Whether that clause makes the rule go.
fn revokes(found: &JudgedRule, id: &str) -> bool {
    found.portions.iter().any(|part| part.verdict == Verdict::Revoke && part.clause == id)
}

fn without_what_it_revokes(topology: &Topology, id: &str, judged: &[(String, Vec<JudgedRule>)]) -> Topology {
    let mut topology = topology.clone();
    for (group, rules) in judged {
        let left = rules.iter().filter(|found| !revokes(found, id)).map(|found| found.rule.clone());
        topology.rules.insert(group.clone(), left.collect());
    }
    topology
}
