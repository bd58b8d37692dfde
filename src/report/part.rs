//! A part of a sweep that ended, or one of its tries, as the state keeps it until all parts have.
//!
//! Owns: what is kept, of which try, and what is left out where it does not fit. Must not: keep or send it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::report::finding::{Finding, ForPeople, worst_first};
use crate::report::record::Record;

/// Records that are kept for the digest, in bytes; the state takes some 400 KB. The others were recorded, and are in no
/// digest.
const MAX_BYTES: usize = 300_000;

/// What a part found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndedPart {
    /// The groups that it saw.
    pub groups: BTreeSet<String>,
    /// Whether it saw all that it should.
    pub is_complete: bool,
    /// Something in it failed, and another try comes.
    #[serde(default)]
    pub is_open: bool,
    /// What is to be said, worst first.
    records: Vec<Record>,
    /// What no record has, of each finding of each.
    #[serde(default)]
    for_people: Vec<Vec<ForPeople>>,
}

impl EndedPart {
    /// With as many of the records as fit.
    pub fn new(groups: BTreeSet<String>, is_complete: bool, mut records: Vec<Record>) -> Self {
        records.retain(|record| !record.findings.is_empty());
        records.sort_by_key(|record| Reverse((record.outcome, record.severity)));
        let mut room = MAX_BYTES;
        let of = |record: &Record| record.findings.iter().map(|finding| finding.for_people.clone()).collect();
        records.retain(|record| {
            let for_people: Vec<ForPeople> = of(record);
            let bytes = serde_json::to_vec(&(record, for_people)).map_or(usize::MAX, |json| json.len());
            let fits = bytes <= room;
            room = room.saturating_sub(if fits { bytes } else { 0 });
            fits
        });
        let for_people = records.iter().map(of).collect();
        Self { groups, is_complete, is_open: false, records, for_people }
    }

    /// With what earlier tries did. The rest of theirs was looked at again.
    #[must_use]
    pub fn after(self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        let is_open = self.is_open && earlier.is_open;
        let (groups, is_complete) = (self.groups.clone(), self.is_complete);
        let mut records = self.into_records();
        for mut record in earlier.into_records() {
            let group = record.group.as_ref().map(|group| &group.id);
            let again = records.iter_mut().find(|again| again.group.as_ref().map(|group| &group.id) == group);
            let mut done = std::mem::take(&mut record.findings);
            done.retain(|finding| finding.action.is_closed_by_us());
            match again {
                Some(again) => {
                    let mut findings = std::mem::take(&mut again.findings);
                    let is_known = |one: &Finding| {
                        findings.iter().any(|found| found.action == one.action && found.subject == one.subject)
                    };
                    done.retain(|finding| !is_known(finding));
                    findings.append(&mut done);
                    worst_first(&mut findings);
                    *again = again.clone().with(findings);
                }
                None => records.push(record.with(done)),
            }
        }
        Self { is_open, ..Self::new(groups, is_complete, records) }
    }

    /// What is to be said, with what decides whether it is.
    pub fn into_records(mut self) -> Vec<Record> {
        for (record, of_it) in self.records.iter_mut().zip(self.for_people) {
            for (finding, for_people) in record.findings.iter_mut().zip(of_it) {
                finding.for_people = for_people;
            }
        }
        self.records
    }
}
