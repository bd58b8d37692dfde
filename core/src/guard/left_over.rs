//! What other tries did, and nobody told, as findings of now.
//!
//! Must not: decide what is left over (the journal does), or tell anybody.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::group::Group;
use crate::policy::model::Policy;
use crate::report::finding::{Finding, worst_first};
use crate::report::journal::{Caller, Entry, Journal};

/// What one try did in a group.
pub(super) struct Tried {
    /// The group, as far as anybody knows it now.
    pub(super) group: Group,
    /// The id of its event; `None`: a sweep.
    pub(super) id: Option<String>,
    /// Who made that call.
    pub(super) caller: Option<Caller>,
    /// What it did.
    pub(super) entries: Vec<Entry>,
}

/// These entries of a journal, try by try.
pub(super) fn tries(group: &Group, journal: &Journal, entries: Vec<Entry>) -> Vec<Tried> {
    let mut tries: BTreeMap<Option<String>, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        tries.entry(entry.event.clone()).or_default().push(entry);
    }
    let tried = |(id, entries): (Option<String>, Vec<Entry>)| {
        let mut group = group.clone();
        if group.clusters.is_empty() {
            // Of a group that is gone only the journal knows whose it was.
            group.clusters.clone_from(&journal.clusters);
        }
        let caller = id.as_ref().and_then(|id| journal.events.get(id)).cloned();
        Tried { group, id, caller, entries }
    };
    tries.into_iter().map(tried).collect()
}

/// The entries as findings, worst first.
pub(super) fn findings(entries: Vec<Entry>, group: &Group, policy: &Policy, now: Timestamp) -> Vec<Finding> {
    let finding = |entry: Entry| {
        let mut finding = entry.finding;
        for portion in &mut finding.portions {
            let clause = policy.clauses.iter().find(|clause| clause.id == portion.clause);
            portion.reason = clause.map(|clause| clause.reason.clone()).unwrap_or_default();
        }
        finding.close(entry.done_at.unwrap_or(now), &group.rules);
        if entry.done_at.is_none() {
            let at = entry.at;
            finding.detail = Some(format!("its call was about to leave at {at}; nobody read it back before now"));
        }
        finding
    };
    let mut findings: Vec<Finding> = entries.into_iter().map(finding).collect();
    worst_first(&mut findings);
    findings
}
