//! What waits for the next digest of its cluster: kept when it is found, and let go once people have the digest.
//!
//! Must not: decide what waits (`report::waiting` does), or send.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::model::error::chain;
use crate::ports::Ports;
use crate::report::outbox;
use crate::report::record::Record;
use crate::report::waiting;

/// What waits for longer stands in any digest: its cluster is gone, and no other will come.
const LONGEST: SignedDuration = SignedDuration::from_hours(48);

/// Keeps what of these records waits. Why it could not be kept.
pub(super) async fn keep(ports: &Ports, records: &[Record]) -> Option<String> {
    let state = ports.state.as_ref()?;
    let new: Vec<Record> = records.iter().filter_map(waiting::of).collect();
    if new.is_empty() {
        return None;
    }
    let kept = state.wait(&new, &BTreeSet::new()).await;
    kept.err().map(|error| format!("what was open could not be kept for the digest: {}", chain(&error)))
}

/// What waits for a digest of these clusters, or of any; nothing, if the state cannot be read: then it waits on.
pub(super) async fn due(ports: &Ports, clusters: Option<&[String]>) -> Vec<Record> {
    let Some(state) = &ports.state else { return Vec::new() };
    let all = match state.wait(&[], &BTreeSet::new()).await {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(error = chain(&error), "what waits for the digest could not be read, so it waits on");
            return Vec::new();
        }
    };
    let now = ports.clock.now();
    let is_old = |record: &Record| record.event_time.is_none_or(|at| now.duration_since(at) > LONGEST);
    let is_of = |record: &Record, names: &[String]| record.clusters.iter().any(|name| names.contains(name));
    all.into_iter().filter(|record| clusters.is_none_or(|names| is_of(record, names) || is_old(record))).collect()
}

/// People have these.
pub(super) async fn sent(ports: &Ports, records: &[Record]) {
    let (Some(state), false) = (&ports.state, records.is_empty()) else { return };
    let sent: BTreeSet<String> = records.iter().filter_map(outbox::key).collect();
    if let Err(error) = state.wait(&[], &sent).await {
        tracing::warn!(error = chain(&error), "what waited for a digest stands in the next one again");
    }
}
