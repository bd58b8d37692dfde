//! What people hear of in the next digest of its cluster, since no sweep would come across it: it is gone.
//!
//! Owns: what waits, and that it stays small. Pure: the state store itself is behind a port. Must not: write a digest.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::text::plain;
use crate::report::notice::is_due;
use crate::report::outbox::key;
use crate::report::outcome::Action;
use crate::report::record::{Record, TriggerKind};

/// Most JSON in bytes. The oldest leave first: machines have them.
const MAX_BYTES: usize = 300_000;

/// Records of one location, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    records: Vec<Record>,
}

impl Waiting {
    /// What waits once these were added and those were sent, by [`key`].
    #[must_use]
    pub fn with(mut self, new: &[Record], sent: &BTreeSet<String>) -> Self {
        let is_of = |other: &Record, keys: &BTreeSet<String>| key(other).is_some_and(|key| keys.contains(&key));
        let added: BTreeSet<String> = new.iter().filter_map(key).collect();
        self.records.retain(|known| !is_of(known, &added) && !is_of(known, sent));
        self.records.extend_from_slice(new);
        while serde_json::to_vec(&self).map_or(0, |json| json.len()) > MAX_BYTES && !self.records.is_empty() {
            self.records.remove(0);
        }
        self
    }

    /// All of it.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
}

/// What of a record waits: what was open for a moment, and was only to be looked at.
pub fn of(record: &Record) -> Option<Record> {
    let mut waiting = record.clone();
    waiting.findings.retain(|finding| finding.action == Action::WasOpen && !is_due(finding, true));
    (!waiting.findings.is_empty() && key(&waiting).is_some()).then_some(waiting)
}

/// A record that waited as a digest has it: of no call, with the call in words.
#[must_use]
pub fn for_digest(record: &Record) -> Record {
    let caller = record.actor.as_ref().and_then(|actor| actor.arn.as_deref()).unwrap_or("an unknown principal");
    let call = record.event_name.as_deref().unwrap_or("a call");
    let at = record.event_time.map(|at| format!(" at {at}")).unwrap_or_default();
    let who = format!("{} by {}{at}", plain(call), plain(caller));
    let mut record = Record {
        event_id: None,
        event_name: None,
        event_time: None,
        trigger: TriggerKind::Sweep,
        actor: None,
        ..record.clone()
    };
    for finding in &mut record.findings {
        let detail = finding.detail.take().map(|detail| format!("{detail}; {who}"));
        finding.detail = Some(detail.unwrap_or_else(|| who.clone()));
    }
    record
}
