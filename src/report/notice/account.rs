//! The notice of a record that is about no group: the account and region as a whole.

use super::{Notice, compose};
use crate::model::text::plain;
use crate::report::record::Record;

/// The first finding is the worst, and says what it is about. Today there is one: the guard may not look.
pub(super) fn notice(record: &Record) -> Notice {
    let (account, region) = (&record.account, &record.region);
    let why = record.findings.first().and_then(|finding| finding.detail.as_deref()).map(plain);
    let mut facts = vec![("Where", format!("account {account}, {region}")), ("Why", why.unwrap_or_default())];
    if let Some(actor) = &record.actor {
        facts.push(("Who", compose::principal(actor)));
        facts.push(("Call", record.event_name.as_deref().map(plain).unwrap_or_default()));
    }
    Notice {
        subject: format!("[CRITICAL] {account} {region}: the guard is not allowed to look"),
        headline: "the guard is not allowed to look, so nothing was judged and nothing was closed".to_owned(),
        facts,
        steps: vec![
            "Grant what is missing: until then nothing in this account and region is guarded.".to_owned(),
            "Look at the rules of this account by hand, and at what the call above opened.".to_owned(),
        ],
        thread: format!("{account}/{region}"),
        ..Notice::default()
    }
}
