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
use crate::policy::globs;
use crate::policy::judge::{JudgedRule, judge};
use crate::policy::model::{Origin, Policy, Verdict};
use crate::policy::requirement;

/// Files of more ports are made by programs; to judge them takes longer than to read them.
const MAX_RANGES: usize = 5_000;
/// The same of clusters that differ.
const MAX_CLUSTERS: usize = 50;
/// More are not named.
const MAX_NAMED: usize = 3;

/// A clause that the file speaks of: its position among those that are no exceptions, or `None` for `otherwise`.
type Place = Option<usize>;

/// Adds a warning for each of these clauses. `places`: where the file says what they do.
pub(super) fn report(policy: &Policy, places: &BTreeMap<Place, At>, problems: &mut Problems) {
    let policy = without_exceptions(policy);
    let clause = |place: Place| place.and_then(|at| policy.clauses.get(at));
    let verdict = |place: Place| clause(place).map_or(policy.otherwise, |clause| clause.verdict);
    let size = policy.clauses.iter().map(|clause| clause.traffic.ranges().count()).sum::<usize>();
    if size > MAX_RANGES || !places.keys().any(|place| verdict(*place) == Verdict::Revoke) {
        return;
    }
    let mut lost: BTreeMap<Place, BTreeSet<&str>> = BTreeMap::new();
    for set_up in clusters(&policy).iter().flat_map(|cluster| stock::set_ups(cluster)) {
        let judged = judged(&policy, &set_up);
        let takes = |place: Place| judged.iter().flat_map(|(_, rules)| rules).any(|found| revokes(found, place));
        let mut before = None;
        for (place, _) in places.iter().filter(|(place, at)| takes(**place) && !problems.has("whole-rule", **at)) {
            let before = before.get_or_insert_with(|| unmet(&policy, &set_up.topology));
            let missing = unmet(&policy, &without_what_it_revokes(&set_up.topology, *place, &judged));
            let named = policy.requirements.iter().map(|requirement| requirement.id.as_str());
            let fallen = named.filter(|requirement| missing.contains(*requirement) && !before.contains(*requirement));
            lost.entry(*place).or_default().extend(fallen);
        }
    }
    for (place, requirements) in lost.iter().filter(|(_, requirements)| !requirements.is_empty()) {
        let about = clause(*place).map_or("otherwise", |clause| clause.id.as_str());
        let named: Vec<String> = requirements.iter().take(MAX_NAMED).map(|id| format!("`{id}`")).collect();
        let more = if requirements.len() > MAX_NAMED { " and others" } else { "" };
        let message = format!(
            "`{about}` revokes rules of stock clusters without which the requirement{} {}{more} would not be met",
            if requirements.len() == 1 { "" } else { "s" },
            and(&named)
        );
        let at = places.get(place).copied().unwrap_or_default();
        let help =
            "write `verdict: report`, or name less; a rule can only be revoked as a whole, and nodes need theirs";
        problems.add(Diagnostic::warning("takes-requirement", at, message).about(about).help(help));
    }
}

/// An exception ends, and then the cluster is cut off.
fn without_exceptions(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.clauses.retain(|clause| clause.origin != Origin::Exception);
    policy
}

/// Names of clusters, one for each set of clauses that can be in force together.
fn clusters(policy: &Policy) -> Vec<String> {
    let (named, other) = globs::samples(policy.cluster_globs());
    let mut seen = BTreeSet::new();
    let in_force =
        |name: &String| policy.clauses.iter().map(|clause| clause.limits.holds_in(Some(name))).collect::<Vec<_>>();
    named.into_iter().chain([other]).filter(|name| seen.insert(in_force(name))).take(MAX_CLUSTERS).collect()
}

fn unmet(policy: &Policy, topology: &Topology) -> BTreeSet<String> {
    requirement::unmet(policy, topology).into_iter().map(|unmet| unmet.requirement.id.clone()).collect()
}

/// Every rule of the set-up, group by group.
fn judged(policy: &Policy, set_up: &SetUp) -> Vec<(String, Vec<JudgedRule>)> {
    // Only exceptions are limited to a location or a time.
    let judge = |group| judge(policy, group, &Location::default(), Timestamp::UNIX_EPOCH, |_| Author::Other);
    set_up.groups.iter().map(|group| (group.id.clone(), judge(group))).collect()
}

/// Whether that clause makes the rule go.
fn revokes(found: &JudgedRule, place: Place) -> bool {
    found.portions.iter().any(|part| part.verdict == Verdict::Revoke && part.position == place)
}

fn without_what_it_revokes(topology: &Topology, place: Place, judged: &[(String, Vec<JudgedRule>)]) -> Topology {
    let mut topology = topology.clone();
    for (group, rules) in judged {
        let left = rules.iter().filter(|found| !revokes(found, place)).map(|found| found.rule.clone());
        topology.rules.insert(group.clone(), left.collect());
    }
    topology
}
