//! The digest of a sweep: one notice per cluster, not a message per rule.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::clock::time;
use super::compose::{of_many, state_of};
use super::details::before;
use super::situation::topics;
use super::words::{clauses, of_roles, status, what};
use super::{Message, Notice, Section, cluster, contested};
use crate::model::text::{capital, count, plain};
use crate::report::finding::Finding;
use crate::report::outcome::{Action, Outcome};
use crate::report::record::Record;

/// Groups written out; the rest is counted.
const MAX_GROUPS: usize = 20;
/// Findings written out of one group.
const MAX_FINDINGS: usize = 8;
/// Known ones named of one group.
const MAX_NAMED: usize = 5;

/// The messages of a sweep in one account and region, each with the records that it is of: a digest for each cluster of
/// which there is something new to say.
pub fn digests(records: &[Record]) -> Vec<(Message, Vec<&Record>)> {
    let mut clusters: BTreeMap<&[String], Vec<&Record>> = BTreeMap::new();
    // What is of a call has a notice of its own.
    for record in records.iter().filter(|record| record.event_id.is_none()) {
        clusters.entry(&record.clusters).or_default().push(record);
    }
    let mut digests = Vec::new();
    for records in clusters.into_values() {
        digests.extend(digest(&records).map(|notice| (super::message_of_many(&records, notice), records)));
    }
    digests
}

/// The digest of the records of one cluster, account and region. `None`: there is nothing that people have not heard of.
pub fn digest(records: &[&Record]) -> Option<Notice> {
    if !records.iter().any(|record| super::is_news(record)) {
        return None;
    }
    let mut shown: Vec<&Record> = records.iter().copied().filter(|record| !record.findings.is_empty()).collect();
    let has_new = |record: &Record| !record.findings.iter().all(is_old);
    shown.sort_by_key(|record| std::cmp::Reverse((has_new(record), record.outcome, record.severity)));
    let rest = shown.len().saturating_sub(MAX_GROUPS);
    Some(Notice {
        sections: shown.iter().take(MAX_GROUPS).map(|record| section(record)).collect(),
        rest: (rest > 0).then(|| format!("… and {rest} more groups, in the records of this sweep.")),
        ..of_many(&shown, &topics(&shown), Timestamp::default())
    })
}

pub(super) fn section(record: &Record) -> Section {
    let title = match &record.group {
        Some(group) => {
            let used = of_roles(&group.roles).map(|used| format!(", {used}")).unwrap_or_default();
            let name = group.name.as_deref().map(plain).unwrap_or_default();
            format!("{name} ({}){used}", group.id)
        }
        None if record.clusters.is_empty() => format!("account {}, {}", record.account, record.region),
        None => format!("cluster {}", cluster(record)),
    };
    let mut lines = Vec::new();
    let (old, new): (Vec<&Finding>, Vec<&Finding>) = record.findings.iter().partition(|finding| is_old(finding));
    for (at, finding) in new.iter().take(MAX_FINDINGS).enumerate() {
        lines.push(line(finding));
        lines.extend(finding.contested.as_ref().map(|contested| format!("  {}", contested::again(contested))));
        // Said once of all rules in a row that it holds for.
        let next = new.get(at + 1).filter(|_| at + 1 < MAX_FINDINGS);
        if finding.rule().is_some() && next.is_none_or(|next| next.detail != finding.detail) {
            lines.extend(finding.detail.as_deref().map(|detail| format!("  {}", capital(&plain(detail)))));
        }
    }
    let rest = new.len().saturating_sub(MAX_FINDINGS);
    if rest > 0 {
        lines.push(format!("… and {rest} more, in the record of this group."));
    }
    lines.extend(unchanged(&old));
    Section { title, status: state_of(&record.findings, record), lines }
}

/// Whether people know it as it is, and nothing waits for them.
fn is_old(finding: &Finding) -> bool {
    finding.for_people.is_unchanged && finding.for_people.told.is_none() && finding.action.outcome() < Outcome::Refused
}

/// What people know, in one line.
fn unchanged(old: &[&Finding]) -> Option<String> {
    let oldest = old.iter().filter_map(|finding| finding.for_people.since).min();
    let since = oldest.map(|since| format!(", the oldest since {}", time(since))).unwrap_or_default();
    let named: Vec<String> = old.iter().take(MAX_NAMED).map(|finding| what(finding)).collect();
    let rest = old.len().saturating_sub(named.len());
    let more = if rest > 0 { format!("; and {rest} more") } else { String::new() };
    let number = count(old.len(), "finding");
    (!old.is_empty()).then(|| format!("Unchanged, and still open: {number}{since}: {}{more}", named.join("; ")))
}

fn line(finding: &Finding) -> String {
    let detail = finding.detail.as_deref();
    let why = detail.filter(|_| finding.rule().is_none()).map(|detail| format!(": {}", plain(detail)));
    let lost = detail.filter(|_| finding.before.is_some() && finding.action == Action::Revoked).map(plain);
    let more = before(finding).or(lost).map(|more| format!(". {}", capital(&more))).unwrap_or_default();
    let clauses = clauses(finding).map(|portion| format!("`{}`", portion.clause)).collect::<Vec<_>>().join(", ");
    let since = finding.for_people.since.filter(|_| finding.action.outcome() != Outcome::Remediated);
    let since = since.map(|since| format!(", seen since {}", time(since))).unwrap_or_default();
    format!("{}{}. {}{since}{more} ({clauses})", what(finding), why.unwrap_or_default(), status(finding))
}
