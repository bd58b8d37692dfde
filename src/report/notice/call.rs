//! The notice of a call that concerns many groups: one, with a section for each.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::compose::{notice, place, who};
use super::words::{headline, next_steps, subject};
use super::{Notice, clusters, digest, redo};
use crate::model::text::count;
use crate::report::finding::Finding;
use crate::report::record::Record;

/// Groups written out; the rest is counted.
const MAX_GROUPS: usize = 20;

/// The notice of these records of one call, in one account and region. `now` dates the exception that it proposes.
pub fn notice_of_call(records: &[&Record], now: Timestamp) -> Notice {
    let mut shown = records.to_vec();
    shown.sort_by_key(|record| std::cmp::Reverse((record.outcome, record.severity)));
    let [worst, _, ..] = shown.as_slice() else {
        return shown.first().map(|record| notice(record, now)).unwrap_or_default();
    };
    let findings: Vec<&Finding> = shown.iter().flat_map(|record| &record.findings).collect();
    let groups: BTreeSet<&str> = shown.iter().filter_map(|record| Some(record.group.as_ref()?.id.as_str())).collect();
    let of_groups = if groups.is_empty() { String::new() } else { format!(" in {}", count(groups.len(), "group")) };
    let headline = format!("{}{of_groups}", headline(&findings));
    let names = clusters(&shown);
    let again = if findings.iter().any(|finding| finding.contested.is_some()) { "contested: " } else { "" };
    let mut facts = vec![("Cluster", format!("{names}, {}", place(worst)))];
    facts.extend(who(worst));
    let code =
        |record: &&Record| record.group.as_ref().map(|group| redo::code(record, &group.id, now)).unwrap_or_default();
    let rest = shown.len().saturating_sub(MAX_GROUPS);
    let severity = shown.iter().filter_map(|record| record.severity).max();
    Notice {
        subject: subject(severity, &names, &format!("{again}{headline}")),
        headline,
        facts,
        sections: shown.iter().take(MAX_GROUPS).map(|record| digest::section(record)).collect(),
        rest: (rest > 0).then(|| format!("… and {rest} more groups, in the records of this event.")),
        steps: next_steps(&findings),
        code: shown.iter().map(code).find(|code| !code.is_empty()).unwrap_or_default(),
        link: None,
        thread: format!("{}/{}/{names}", worst.account, worst.region),
    }
}
