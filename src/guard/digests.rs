//! The digests of a look, once it has ended: what of it people have not heard from another one, and what waited for it.
//!
//! Owns: that a digest says what was done once. Must not: compose it (`report::notice` does), or decide when it is due.

use std::collections::{BTreeMap, BTreeSet};

use crate::guard::journal;
use crate::guard::news::News;
use crate::guard::notify::{Outgoing, notify};
use crate::guard::setup::Setup;
use crate::guard::waiting;
use crate::model::error::chain;
use crate::ports::StateStore;
use crate::report::finding::Finding;
use crate::report::journal::key;
use crate::report::notice;
use crate::report::record::Record;
use crate::report::waiting::for_digest;

/// Sends the digests of what was found, and of what waited for it. `look`: by which another try knows them again.
///
/// # Errors
/// A channel or the table did not take it; it is to be tried again.
pub(super) async fn tell(
    setup: &Setup,
    state: &dyn StateStore,
    look: &str,
    clusters: &[String],
    mut records: Vec<Record>,
) -> Result<(), String> {
    let told = leave_out_what_is_told(state, &mut records).await;
    let waited = waiting::due(&setup.ports, Some(clusters)).await;
    records.extend(waited.iter().map(for_digest));
    let about: Vec<String> = records.iter().map(Record::about).collect();
    let each = about.iter().zip(&mut records);
    let each =
        each.flat_map(|(of, record)| record.findings.iter_mut().map(move |finding| (of.as_str(), None, finding)));
    let now = setup.ports.clock.now();
    let mut news = News::of(state, &setup.location, (None, false), each.collect(), now).await;
    let digests = notice::digests(&records).into_iter().map(|digest| Outgoing::digest(look, digest));
    let digests: Vec<Outgoing> = digests.collect();
    let unsent = notify(&setup.ports, &digests).await;
    if !unsent.is_empty() {
        return Err(unsent.join("; "));
    }
    waiting::sent(&setup.ports, &waited).await;
    let unmarked = journal::said(&setup.ports, told).await;
    if !unmarked.is_empty() {
        return Err(unmarked.join("; "));
    }
    news.keep(state, None).await;
    for problem in news.problems {
        tracing::error!(problem, "people may be notified of a digest again");
    }
    Ok(())
}

/// Takes out of these records what the digest of another sweep has told meanwhile: it joins what a slow one did. What was
/// done and is left, by group and as their journals name it.
async fn leave_out_what_is_told(state: &dyn StateStore, records: &mut [Record]) -> BTreeMap<String, BTreeSet<String>> {
    let name =
        |finding: &Finding| finding.rule().filter(|_| finding.action.is_closed_by_us()).map(|rule| key(rule, None));
    let mut done: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.event_id.is_none()) {
        let names: BTreeSet<String> = record.findings.iter().filter_map(name).collect();
        if !names.is_empty() {
            done.entry(record.about()).or_default().extend(names);
        }
    }
    let groups: Vec<String> = done.keys().cloned().collect();
    let journals =
        if groups.is_empty() { Ok(BTreeMap::new()) } else { state.known(&groups).await.map(|known| known.1) };
    let journals = journals.unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), "what another sweep told could not be read, so it may be told again");
        BTreeMap::new()
    });
    let is_told = |group: &str, name: &String| {
        journals.get(group).and_then(|journal| journal.entries.get(name)).is_some_and(|entry| entry.told)
    };
    for record in records.iter_mut().filter(|record| record.event_id.is_none()) {
        let (about, mut findings) = (record.about(), std::mem::take(&mut record.findings));
        findings.retain(|finding| !name(finding).is_some_and(|name| is_told(&about, &name)));
        record.set_findings(findings);
    }
    for (group, names) in &mut done {
        names.retain(|name| !is_told(group, name));
    }
    done
}
