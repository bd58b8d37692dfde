//! What people read of an outcome, channel-neutral: one [`Notice`], and one renderer for each channel's form.
//!
//! Owns: who hears of what, and the parts of a notice. Must not: send anything, or let text from outside (names,
//! descriptions, sessions, user agents) format a message or break a line: every such value goes through
//! [`crate::model::text::plain`] before it gets into a notice, and each renderer takes away what its own format would obey.

mod call;
mod compose;
mod digest;
pub mod email;
mod kept;
pub mod q;
pub(crate) mod redo;
pub mod slack;
mod source;
mod summary;
mod words;

pub use call::notice_of_call;
pub use compose::notice;
pub use digest::{digest, digests};
pub use words::rule_in_words;

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

use crate::model::text::plain;
use crate::policy::model::{Severity, Verdict};
use crate::report::finding::{Finding, ForPeople};
use crate::report::outcome::{Action, Outcome};
use crate::report::record::{Record, TriggerKind};

/// What the channels send. Each takes the form its audience reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// For people, if they are to hear of it.
    pub notice: Option<Notice>,
    /// The record as JSON for machines. `None`: a digest of records that they have.
    pub record: Option<String>,
    /// For subscription filters: `severity`, `outcome`, `cluster`, `account`, `region`, `trigger`. No value is empty.
    #[serde(deserialize_with = "kept::pairs")]
    pub attributes: Vec<(&'static str, String)>,
}

/// What people read, in the order in which they read it. All text in it is harmless to a terminal and of one line, but for
/// code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// At most 99 characters, without control characters, principals or ARNs.
    pub subject: String,
    /// What happened and to what, as a sentence.
    pub headline: String,
    /// `Cluster`, `Group`, `Who`, … with what is to be said of each.
    #[serde(deserialize_with = "kept::pairs")]
    pub facts: Vec<(&'static str, String)>,
    /// The findings, worst first.
    pub sections: Vec<Section>,
    /// How many more there are and where.
    pub rest: Option<String>,
    /// What to do next.
    pub steps: Vec<String>,
    /// To copy.
    pub code: Vec<Code>,
    /// The group's page in the console.
    pub link: Option<String>,
    /// Equal for all notices of a group, so that chats put them into one thread.
    pub thread: String,
}

/// One finding, or all of a group where a notice is about many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The rule in words.
    pub title: String,
    /// Whether it is closed.
    pub status: String,
    /// Why it was not allowed, what may have happened meanwhile.
    pub lines: Vec<String>,
}

/// Something to copy into a file or a shell, of one or more lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Code {
    /// What it is good for.
    pub title: &'static str,
    /// The text, without a line break at its end.
    pub text: String,
}

/// What is kept of [`Code`].
#[derive(Deserialize)]
struct KeptCode {
    #[serde(deserialize_with = "kept::title")]
    title: Word,
    text: String,
}

/// One of our own, of which there is a closed list.
type Word = &'static str;

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let KeptCode { title, text } = KeptCode::deserialize(from)?;
        Ok(Self { title, text })
    }
}

/// A whole message that was kept; one that is not understood is as good as none.
///
/// # Errors
/// None but what is no JSON.
pub fn message_kept<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Message>, D::Error> {
    let kept: Option<serde_json::Value> = Option::deserialize(from)?;
    Ok(kept.and_then(|kept| serde_json::from_value(kept).ok()))
}

/// Whether people hear of this finding. After an event: what the guard closed or left undone, and of new rules those that
/// the event named or that should go. Known rules wait for the sweep's digest, unless it is critical that they were left; so
/// does what a controller wrote and is only to be looked at. In a sweep: all.
pub fn is_due(finding: &Finding, is_event: bool) -> bool {
    let ForPeople { told, is_controllers, has_gained, .. } = &finding.for_people;
    let was_harmless = finding.action == Action::WasOpen && finding.verdict < Verdict::Revoke;
    let is_new = !finding.known || *has_gained;
    let is_of_interest =
        finding.verdict == Verdict::Revoke || (finding.named_by_event && !*is_controllers && !was_harmless);
    !is_event
        || finding.action.outcome() >= Outcome::Refused
        || finding.action.is_closed_by_us()
        || told.is_some()
        || (is_new && is_of_interest)
}

/// Whether people are notified of this record: it has a finding that they hear of and did not hear of a moment ago.
pub fn is_news(record: &Record) -> bool {
    let is_event = record.trigger == TriggerKind::Event;
    record.findings.iter().any(|finding| is_due(finding, is_event) && finding.notified_at.is_none())
}

/// The message of one record, or of one part of a record.
pub fn message(record: &Record, notice: Option<Notice>) -> Message {
    let json = serde_json::to_string(record).unwrap_or_default();
    Message { notice, record: Some(json), attributes: attributes(&[record]) }
}

/// The message of many records, which machines have: those of one call, or of a sweep in one cluster. They are of one
/// account and region.
pub fn message_of_many(records: &[&Record], notice: Notice) -> Message {
    Message { notice: Some(notice), record: None, attributes: attributes(records) }
}

fn attributes(records: &[&Record]) -> Vec<(&'static str, String)> {
    let severity = records.iter().filter_map(|record| record.severity).max();
    let outcome = records.iter().map(|record| record.outcome).max().unwrap_or(Outcome::Compliant);
    let first = |of: fn(&Record) -> String| records.first().map(|record| of(record)).unwrap_or_default();
    vec![
        ("severity", severity.map_or("none", Severity::word).to_owned()),
        ("outcome", outcome.word().to_owned()),
        ("cluster", clusters(records)),
        ("account", first(|record| record.account.clone())),
        ("region", first(|record| record.region.clone())),
        ("trigger", first(|record| record.trigger.word().to_owned())),
    ]
}

fn cluster(record: &Record) -> String {
    clusters(&[record])
}

/// All of them, each once.
fn clusters(records: &[&Record]) -> String {
    let names: BTreeSet<&str> = records.iter().flat_map(|record| &record.clusters).map(String::as_str).collect();
    let names = plain(&names.into_iter().collect::<Vec<_>>().join(","));
    if names.is_empty() { "unknown".to_owned() } else { names }
}
