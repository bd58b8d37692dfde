//! What differs between two policies as they are written: names that come and go, and settings.
//!
//! Must not: say what that decides.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::group::ConfiguredGroup;
use crate::policy::model::{Clause, Mode, Origin, Policy, Severity, Verdict};

/// What is new, gone or set otherwise, by name.
pub(super) struct Written {
    pub(super) what: &'static str,
    pub(super) name: String,
    pub(super) change: String,
}

/// All of it, by kind and name.
pub(super) fn written([old, new]: [&Policy; 2]) -> Vec<Written> {
    let mut found = Vec::new();
    let is_exception = |clause: &&Clause| clause.origin == Origin::Exception;
    let named = |policy: &Policy, exceptions: bool| -> BTreeMap<String, String> {
        let clauses = policy.clauses.iter().filter(|clause| is_exception(clause) == exceptions);
        // An exception counts as it is written, since its limits are not tried; a clause by what it decides.
        clauses
            .map(|clause| (clause.id.clone(), if exceptions { format!("{clause:?}") } else { String::new() }))
            .collect()
    };
    let requirements = |policy: &Policy| -> BTreeMap<String, String> {
        policy.requirements.iter().map(|one| (one.id.clone(), format!("{one:?}"))).collect()
    };
    let mode = |mode: Option<Mode>| mode.map_or("none", Mode::word);
    let modes = |policy: &Policy| -> BTreeMap<String, String> {
        policy.clusters.iter().map(|setting| (setting.name.clone(), mode(setting.mode).to_owned())).collect()
    };
    let controllers = |policy: &Policy| policy.controllers.iter().map(|arn| (arn.clone(), String::new())).collect();
    let groups = |policy: &Policy| {
        let name = |group: &ConfiguredGroup| {
            (format!("{} as {} of {}", group.id, group.role.word(), group.cluster), mode(group.mode).to_owned())
        };
        policy.groups.iter().map(name).collect::<BTreeMap<_, _>>()
    };
    compare_names("clause", &named(old, false), &named(new, false), &mut found);
    compare_names("exception", &named(old, true), &named(new, true), &mut found);
    compare_names("requirement", &requirements(old), &requirements(new), &mut found);
    compare_names("cluster", &modes(old), &modes(new), &mut found);
    compare_names("controller", &controllers(old), &controllers(new), &mut found);
    compare_names("group", &groups(old), &groups(new), &mut found);
    let endpoint = |policy: &Policy| policy.public_endpoint.map_or(Verdict::Allow.word(), Severity::word).to_owned();
    let flag = |policy: &Policy| policy.exceptions_need_date.to_string();
    for (name, before, after) in [
        ("otherwise", old.otherwise.word().to_owned(), new.otherwise.word().to_owned()),
        ("public_endpoint", endpoint(old), endpoint(new)),
        ("exceptions_need_date", flag(old), flag(new)),
    ] {
        if before != after {
            found.push(Written { what: "setting", name: name.to_owned(), change: format!("{before} -> {after}") });
        }
    }
    found
}

fn compare_names(
    what: &'static str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    found: &mut Vec<Written>,
) {
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let change = match (old.get(name), new.get(name)) {
            (None, Some(_)) => "new".to_owned(),
            (Some(_), None) => "gone".to_owned(),
            // Short values are told, others are only known to differ.
            (Some(before), Some(after)) if before != after && after.len() < 20 => format!("{before} -> {after}"),
            (Some(before), Some(after)) if before != after => "changed".to_owned(),
            _ => continue,
        };
        found.push(Written { what, name: name.clone(), change });
    }
}
