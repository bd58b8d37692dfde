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
    leave_out_what_is_told(state, &mut records).await;
    let waited = waiting::due(&setup.ports, Some(clusters)).await;
    records.extend(waited.iter().map(for_digest));
    let about: Vec<String> = records.iter().map(Record::about).collect();
    let each = about.iter().zip(&mut records);
    let each =
        each.flat_map(|(of, record)| record.findings.iter_mut().map(move |finding| (of.as_str(), None, finding)));
    let now = setup.ports.clock.now();
    let mut news = News::of(state, &setup.location, (None, false), each.collect(), now).await;
    // What is no news now is to be told by a later one.
    let told = done(&records, |finding| finding.notified_at.is_none());
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

/// Takes out of these records what the digest of another sweep has told meanwhile: it joins what a slow one did.
async fn leave_out_what_is_told(state: &dyn StateStore, records: &mut [Record]) {
    let groups: Vec<String> = done(records, |_| true).into_keys().collect();
    if groups.is_empty() {
        return;
    }
    let journals = match state.known(&groups).await {
        Ok((_, journals)) => journals,
        Err(error) => {
            tracing::warn!(error = %chain(&error), "what another sweep told could not be read, so it may be told again");
            return;
        }
    };
    for record in records.iter_mut().filter(|record| record.event_id.is_none()) {
        let (journal, mut findings) = (journals.get(&record.about()), std::mem::take(&mut record.findings));
        let entry = |finding: &Finding| journal?.entries.get(&name(finding)?);
        findings.retain(|finding| !entry(finding).is_some_and(|entry| entry.has_told(finding.closed_at)));
        record.set_findings(findings);
    }
}

/// What sweeps did, by group and as their journals name it.
fn done(records: &[Record], which: impl Fn(&Finding) -> bool) -> BTreeMap<String, BTreeSet<String>> {
    let mut done: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.event_id.is_none()) {
        let names = record.findings.iter().filter(|finding| which(finding)).filter_map(name);
        done.entry(record.about()).or_default().extend(names);
    }
    done.retain(|_, names| !names.is_empty());
    done
}

/// As the journal of its group names what was done to a rule.
fn name(finding: &Finding) -> Option<String> {
    finding.rule().filter(|_| finding.action.is_closed_by_us()).map(|rule| key(rule, None))
}
