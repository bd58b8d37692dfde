//! The notice of a call that concerns many groups: one, with a section for each.

use jiff::Timestamp;

use super::compose::{notice, of_many};
use super::situation::topics;
use super::{Notice, digest};
use crate::report::record::Record;

/// Groups written out; the rest is counted.
const MAX_GROUPS: usize = 20;

/// The notice of these records of one call, in one account and region. `now` dates the exception that it proposes.
pub fn notice_of_call(records: &[&Record], now: Timestamp) -> Notice {
    let mut shown = records.to_vec();
    shown.sort_by_key(|record| std::cmp::Reverse((record.outcome, record.severity)));
    let [_, _, ..] = shown.as_slice() else {
        return shown.first().map(|record| notice(record, now)).unwrap_or_default();
    };
    let rest = shown.len().saturating_sub(MAX_GROUPS);
    Notice {
        sections: shown.iter().take(MAX_GROUPS).map(|record| digest::section(record)).collect(),
        rest: (rest > 0).then(|| format!("… and {rest} more groups, in the records of this event.")),
        ..of_many(&shown, &topics(&shown), now)
    }
}
