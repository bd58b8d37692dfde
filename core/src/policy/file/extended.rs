//! `extends` of an entry of `clusters`: the clauses of a built-in policy, limited to the clusters of that entry.
//!
//! Must not: decide where they stand among the others (`file` does) or merge them with what is inherited everywhere.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::policy::diagnostic::Rejected;
use crate::policy::globs::may_both_match;
use crate::policy::model::{Clause, ClusterSetting, Limits, Policy};

/// The clauses in reading order, and the hashes of their policies. `added`: of each setting the name of its policy. The
/// first setting whose name matches counts, so the clusters of earlier ones are left out.
pub(super) fn clauses(
    settings: &[ClusterSetting],
    added: &[Option<&'static str>],
    mut read: impl FnMut(&'static str) -> Result<Policy, Rejected>,
) -> Result<(Vec<Clause>, String), Rejected> {
    let (mut clauses, mut hashes) = (Vec::new(), String::new());
    let mut known: BTreeMap<&str, Policy> = BTreeMap::new();
    for (at, (setting, name)) in settings.iter().zip(added).enumerate() {
        let Some(name) = name else { continue };
        let earlier = settings.iter().take(at).map(|other| &other.name);
        let limits = Limits {
            cluster: Some(setting.name.clone()),
            not_clusters: earlier.filter(|other| may_both_match(other, &setting.name)).cloned().collect(),
            ..Limits::default()
        };
        let policy = match known.entry(name) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(read(name)?),
        };
        clauses.extend(policy.clauses.iter().map(|clause| Clause { limits: limits.clone(), ..clause.clone() }));
        hashes.push_str(&policy.hash);
    }
    Ok((clauses, hashes))
}
