//! The notice that the guard is not allowed to look: nothing was judged, so there is no record to tell of.

use super::{Message, Notice};
use crate::event::Event;
use crate::model::ids::Location;
use crate::model::text::plain;

/// Tells that a read was refused. `why`: the error with its causes.
pub fn blind(location: &Location, event: Option<&Event>, why: &str) -> Message {
    let Location { account, region } = location;
    let mut facts = vec![("Where", format!("account {account}, {region}")), ("Why", plain(why))];
    if let Some(event) = event {
        let who = event.actor.arn.as_deref().map_or_else(|| "an unknown principal".to_owned(), plain);
        facts.push(("Who", who));
        facts.push(("Call", event.call.name.to_owned()));
    }
    let notice = Notice {
        subject: format!("[CRITICAL] {account} {region}: the guard is not allowed to look"),
        headline: "the guard is not allowed to look, so nothing was judged and nothing was closed".to_owned(),
        facts,
        steps: vec![
            "Grant what is missing: until then nothing in this account and region is guarded.".to_owned(),
            "Look at the rules of this account by hand, and at what the call above opened.".to_owned(),
        ],
        thread: format!("{account}/{region}"),
        ..Notice::default()
    };
    let attributes = [
        ("severity", "critical"),
        ("outcome", "failed"),
        ("cluster", "unknown"),
        ("account", account.as_str()),
        ("region", region),
        ("trigger", if event.is_some() { "event" } else { "sweep" }),
    ];
    let attributes = attributes.map(|(name, value)| (name, value.to_owned())).to_vec();
    Message { notice: Some(notice), record: None, attributes }
}
