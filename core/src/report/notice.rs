//! What people read of an outcome, channel-neutral: one [`Notice`], and one renderer for each channel's form.
//!
//! Owns: who hears of what, and the parts of a notice. Must not: send anything, or let text from outside (names,
//! descriptions, sessions, user agents) format a message or break a line: every such value goes through
//! [`crate::model::text::plain`] before it gets into a notice, and each renderer takes away what its own format would obey.

mod beside;
mod blind;
mod broken;
mod call;
mod clock;
mod close;
mod compose;
mod contested;
mod details;
mod digest;
pub mod email;
mod exposure;
mod failed;
mod headline;
mod kept;
mod page;
pub mod q;
pub mod redo;
mod remark;
mod restore;
mod situation;
pub mod slack;
mod source;
mod steps;
mod subject;
mod summary;
mod used;
mod who;
mod words;

pub use call::notice_of_call;
pub use compose::notice;
pub use digest::{digest, digests};
pub use page::RecordLog;
pub use words::rule_in_words;

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

use crate::model::text::plain;
use crate::policy::model::{Severity, Verdict};
use crate::report::finding::{Finding, ForPeople};
use crate::report::outcome::{Action, Outcome};
use crate::report::record::{GroupRecord, Record, TriggerKind};

/// Longest name from outside in a subject or a title.
const MAX_WORD_LEN: usize = 60;

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
    /// What is open or closed, to whom, and what became of it: up to three sentences, a line each, without the last stop.
    pub headline: String,
    /// To copy at once: what closes what is open, what opens again what was lost.
    pub urgent: Vec<Code>,
    /// `Who`, `Call`, `Where`, … with what is to be said of each.
    #[serde(deserialize_with = "kept::pairs")]
    pub facts: Vec<(&'static str, String)>,
    /// What to do next.
    pub steps: Vec<String>,
    /// The details, from here on: the findings, worst first.
    pub sections: Vec<Section>,
    /// How many more there are and where.
    pub rest: Option<String>,
    /// The call to the letter: `Principal`, `Program`, …
    #[serde(deserialize_with = "kept::pairs")]
    pub more: Vec<(&'static str, String)>,
    /// To copy if need be.
    pub code: Vec<Code>,
    /// Pages of the console.
    pub links: Vec<Link>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// What it does, and to what.
    pub title: String,
    /// The text, without a line break at its end. Empty: the title says why there is none.
    pub text: String,
}

/// A page to open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it shows.
    pub title: String,
    /// Where.
    pub url: String,
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

/// A name from outside where it is a plain word: subjects, and titles in chats, are no place for anything else.
fn plain_word(name: &str) -> Option<&str> {
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    Some(name).filter(|name| (1..=MAX_WORD_LEN).contains(&name.len()) && name.bytes().all(is_of_word))
}

/// What a group is called in a line: its name where that is a plain word, or its id.
fn called(group: &GroupRecord) -> &str {
    group.name.as_deref().and_then(plain_word).unwrap_or(&group.id)
}

/// `cluster prod`, `clusters prod, test`.
fn in_words(names: &str) -> String {
    if names == "unknown" {
        "an unknown cluster".to_owned()
    } else if names.contains(',') {
        format!("clusters {}", names.replace(',', ", "))
    } else {
        format!("cluster {names}")
    }
}

/// Why the worst finding is not allowed, with its clause.
fn clauses_of(finding: &Finding) -> Option<String> {
    let portion = words::clauses(finding).next()?;
    let reason = plain(&portion.reason);
    (!reason.is_empty()).then(|| format!("{reason} (`{}`)", portion.clause))
}
