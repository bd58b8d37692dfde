//! The first lines of a notice, by situation: what is open or closed, to whom, where, what became of it. And its subject.
//!
//! Must not: say what to do (steps does), or claim what was not read.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::blind;
use super::blocked;
use super::called;
use super::clock::{ordinal, span};
use super::exposure::{open, thing, whom};
use super::situation::{Situation, Topic};
use super::words::rule_in_words;
use crate::model::rule::Rule;
use crate::model::text::{and, capital, count, plain};
use crate::policy::model::Severity;
use crate::report::finding::{Check, Finding, Subject};
use crate::report::outcome::{Action, Left};
use crate::report::record::Record;

/// SNS refuses a subject of 100 characters or more.
const MAX_SUBJECT_LEN: usize = 99;
/// Things named in a subject, and in a sentence.
const MAX_IN_SUBJECT: usize = 2;
const MAX_IN_SENTENCE: usize = 3;
/// Sentences of a headline; the rest stands in the details.
const MAX_SENTENCES: usize = 3;

/// `[CRITICAL] CLOSED prod: kubelet 10250 was open to everybody, on prod-node`. `about`: the cluster, which gives way where
/// it is long. `tails`: said as far as there is room.
pub(super) fn subject(severity: Option<Severity>, state: &str, about: &str, what: &str, tails: &[String]) -> String {
    let severity = severity.map_or("info", Severity::word).to_uppercase();
    let room = MAX_SUBJECT_LEN.saturating_sub(severity.len() + state.len() + 6 + what.chars().count()).max(20);
    let mut name: String = about.chars().take(room).collect();
    if name.len() < about.len() {
        name = name.chars().take(room.saturating_sub(1)).chain(['…']).collect();
    }
    let mut line = format!("[{severity}] {state} {name}: {what}");
    for tail in tails {
        if line.chars().count() + tail.chars().count() <= MAX_SUBJECT_LEN {
            line.push_str(tail);
        }
    }
    let cut = line.chars().count() > MAX_SUBJECT_LEN;
    let most = if cut { MAX_SUBJECT_LEN - 1 } else { MAX_SUBJECT_LEN };
    let end = if cut { "…" } else { "" };
    line.chars().filter(|c| !c.is_control()).take(most).chain(end.chars()).collect()
}

/// What the subject says, and its tails. `topics`: all, the first first.
pub(super) fn of_subject(topics: &[Topic<'_>]) -> (String, Vec<String>) {
    let Some(first) = topics.first() else { return ("nothing to do".to_owned(), Vec::new()) };
    let same: Vec<&Topic<'_>> = topics.iter().filter(|topic| topic.situation == first.situation).collect();
    let mut tails = Vec::new();
    let what = match first.situation {
        Situation::Blocked => blocked::stops(same.get(..1).unwrap_or_default()),
        Situation::Endpoint => "the API endpoint is open to a great many".to_owned(),
        Situation::Unreadable => "rules that cannot be read".to_owned(),
        Situation::Joined => joined(first.finding).to_owned(),
        Situation::Blind | Situation::Unsure => blind::words(first.finding).0.to_owned(),
        situation => open(&things(&same, false), !situation.is_open(), MAX_IN_SUBJECT),
    };
    match first.situation {
        Situation::Open => tails.push(format!(", {}", left_in_short(first.finding))),
        Situation::WasOpen => tails.push(" for a while".to_owned()),
        Situation::ToCheck => tails.push(", to be checked".to_owned()),
        Situation::Blocked if same.len() > 1 => tails.push(format!(", and {} more", same.len() - 1)),
        Situation::Blind if first.finding.subject == Subject::Check(Check::Unfinished) => {
            tails.push(", what it opened may be open".to_owned());
        }
        _ => {}
    }
    let contested = topics.iter().filter_map(|topic| topic.finding.contested.as_ref()).map(|contested| contested.times);
    tails.extend(contested.max().map(|times| format!(", for the {} time", ordinal(times))));
    let others = |situation: fn(Situation) -> bool| topics.iter().filter(|topic| situation(topic.situation)).count();
    let closed = others(Situation::is_closed_by_us);
    if first.situation == Situation::Open && closed > 0 {
        tails.push(format!(", {closed} closed"));
    }
    let is_blocked = topics.iter().any(|topic| topic.situation == Situation::Blocked);
    if first.situation != Situation::Blocked && is_blocked {
        tails.push("; something the cluster needs is BLOCKED".to_owned());
    }
    (what, tails)
}

/// What happened, in at most three sentences: what is open first.
pub(super) fn headline(topics: &[Topic<'_>]) -> String {
    let mut situations: Vec<Situation> = Vec::new();
    for topic in topics {
        if !situations.contains(&topic.situation) {
            situations.push(topic.situation);
        }
    }
    if situations.is_empty() {
        return "Nothing to do".to_owned();
    }
    let is_of_one_group = groups(topics.iter()).len() == 1;
    let of = |situation: &Situation| {
        let same: Vec<&Topic<'_>> = topics.iter().filter(|topic| topic.situation == *situation).collect();
        let of_groups = if is_of_one_group { String::new() } else { on_groups(&same) };
        sentence(*situation, &same, &format!("{}{of_groups}", clusters_in_words(&same)))
    };
    let mut sentences: Vec<String> = situations.iter().take(MAX_SENTENCES).map(of).collect();
    let shown = situations.iter().take(MAX_SENTENCES);
    let shown: usize = shown.map(|situation| topics.iter().filter(|topic| topic.situation == *situation).count()).sum();
    let rest = topics.len().saturating_sub(shown);
    if rest > 0 {
        sentences.push(format!("{} more stand in the details", capital(&count(rest, "finding"))));
    }
    sentences.join(".\n")
}

fn sentence(situation: Situation, topics: &[&Topic<'_>], cluster: &str) -> String {
    let Some(first) = topics.first() else { return String::new() };
    let state = situation.state();
    let opened =
        || format!("{state}: {} in {cluster}", open(&things_in_full(topics), !situation.is_open(), MAX_IN_SENTENCE));
    let finding = first.finding;
    let all = match topics.len() {
        1 => "the rule".to_owned(),
        2 => "both rules".to_owned(),
        number => format!("all {number} rules"),
    };
    match situation {
        Situation::Open => format!("{}. {}", opened(), left(topics)),
        Situation::Closed => format!("{}. The guard revoked {all}{}{}", opened(), within(topics), still_listed(topics)),
        Situation::Lost => format!(
            "{}. The guard revoked {all}{}.\nLOST with it, because it had been edited in place: {}",
            opened(),
            within(topics),
            formers(topics)
        ),
        Situation::PutBack => format!(
            "{}, after an edit in place. The guard put {all} back{}: again {}",
            opened(),
            within(topics),
            formers(topics)
        ),
        Situation::WasOpen => format!(
            "{}, according to the event. It was gone, or harmless, when the guard looked; for how long it was open is not \
             known",
            opened()
        ),
        Situation::Gone => format!("{}, and was gone before the guard looked", opened()),
        Situation::Changed => format!("{state}: {} was changed meanwhile; as it is now it is allowed", named(topics)),
        Situation::ToCheck => format!("{}. The policy leaves it to a person to say whether that is meant", opened()),
        Situation::Blocked => format!("{state}: {} in {cluster}{}", blocked::stops(topics), blocked::missing(topics)),
        Situation::Endpoint => format!("{state}: a great many public addresses may call the API of {cluster}"),
        Situation::Unreadable => {
            format!("{state}: the guard cannot read some rules in {cluster}, so nobody knows what they let in")
        }
        Situation::Joined => format!("{state}: {}", detail(finding)),
        Situation::Blind | Situation::Unsure => format!("{state}: {} in {cluster}", blind::words(finding).0),
    }
}

/// With the blocks, where they are the same ones.
fn things_in_full(topics: &[&Topic<'_>]) -> Vec<(String, String)> {
    let all = things(topics, true);
    let is_one = all.first().is_none_or(|(_, first)| all.iter().all(|(_, whom)| whom == first));
    if is_one { all } else { things(topics, false) }
}

/// The groups that these are about, each once: its name, or its id.
fn groups<'a>(topics: impl Iterator<Item = &'a Topic<'a>>) -> BTreeSet<&'a str> {
    topics.filter_map(|topic| topic.record.group.as_ref()).map(called).collect()
}

/// `, on prod-node and prod-bastion`.
fn on_groups(topics: &[&Topic<'_>]) -> String {
    let all = groups(topics.iter().copied());
    let mut named: Vec<String> = all.iter().take(MAX_IN_SUBJECT).map(|name| (*name).to_owned()).collect();
    let rest = all.len() - named.len();
    named.extend((rest > 0).then(|| count(rest, "more group")));
    if named.is_empty() { String::new() } else { format!(", on {}", and(&named)) }
}

/// Names of the clusters that these are about.
fn clusters_in_words(topics: &[&Topic<'_>]) -> String {
    let records: Vec<&Record> = topics.iter().map(|topic| topic.record).collect();
    super::in_words(&super::clusters(&records))
}

/// What is open, and to whom.
fn things(topics: &[&Topic<'_>], in_full: bool) -> Vec<(String, String)> {
    let of = |topic: &&Topic<'_>| {
        let rule = topic.finding.rule()?;
        Some((thing(topic.record, topic.finding, rule), whom(topic.finding, rule, in_full)))
    };
    topics.iter().filter_map(of).collect()
}

fn named(topics: &[&Topic<'_>]) -> String {
    let names: Vec<String> =
        topics.iter().filter_map(|topic| topic.finding.rule().map(rule_in_words)).take(3).collect();
    and(&names)
}

/// A revoke takes nothing out of a list.
fn still_listed(topics: &[&Topic<'_>]) -> &'static str {
    let gained = |topic: &&Topic<'_>| topic.finding.list.as_ref().is_some_and(|list| !list.gained.is_empty());
    if topics.iter().any(gained) { ". The LIST STILL HAS the new entry, for every other rule that uses it" } else { "" }
}

/// What rules were before somebody edited them.
fn formers(topics: &[&Topic<'_>]) -> String {
    let of = |topic: &&Topic<'_>| topic.finding.before.as_ref().map(without_id);
    let mut all: Vec<String> = topics.iter().filter_map(of).collect();
    let rest = all.len().saturating_sub(3);
    all.truncate(3);
    all.extend((rest > 0).then(|| format!("{rest} more")));
    and(&all)
}

pub(super) fn without_id(rule: &Rule) -> String {
    rule_in_words(&Rule { id: String::new(), ..rule.clone() })
}

/// How long after the call the last of them was closed, as far as is known.
fn within(topics: &[&Topic<'_>]) -> String {
    let spans: Vec<SignedDuration> = topics.iter().filter_map(|topic| open_for(topic)).collect();
    let is_known = spans.len() == topics.len();
    spans
        .into_iter()
        .max()
        .filter(|_| is_known)
        .map(|time| format!(", {} after the call", span(time)))
        .unwrap_or_default()
}

/// From the call to the read that showed the rule closed.
pub(super) fn open_for(topic: &Topic<'_>) -> Option<SignedDuration> {
    let event_time = topic.record.event_time.filter(|_| topic.finding.named_by_event)?;
    let time = topic.finding.closed_at?.duration_since(event_time);
    (!time.is_negative()).then_some(time)
}

/// Why it is still open: what was said of the first, since others are mostly open for the same reason.
fn left(topics: &[&Topic<'_>]) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let it = if topics.len() > 1 { "them" } else { "it" };
    for topic in topics {
        let reason = left_in_full(topic.finding, it);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let rest = reasons.len().saturating_sub(2);
    let more =
        if rest > 0 { format!(". {} more in the details", capital(&count(rest, "reason"))) } else { String::new() };
    format!("{}{more}", reasons.into_iter().take(2).collect::<Vec<_>>().join(". "))
}

fn left_in_full(finding: &Finding, it: &str) -> String {
    let why = match finding.for_people.left {
        Some(Left::Shared) => {
            "its group was attached to something outside of the cluster before, and a revoke would cut that too"
                .to_owned()
        }
        Some(Left::OtherCluster) => {
            "the rule is older than its group's place in this cluster, and a revoke would cut the other cluster too"
                .to_owned()
        }
        Some(Left::Needed) => {
            "nothing else lets in what the cluster needs; the details name what to open first".to_owned()
        }
        _ => detail(finding),
    };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    match finding.action {
        Action::Failed => format!("The guard could NOT close {it}{why}"),
        Action::Postponed => format!("The guard comes back to {it} by itself{why}"),
        Action::WouldRevoke => format!("The guard did not close {it}{why}"),
        _ => format!("The guard left {it} open{why}"),
    }
}

/// For a subject.
fn left_in_short(finding: &Finding) -> &'static str {
    match finding.action {
        Action::Refused if finding.for_people.left == Some(Left::Shared) => "others use the group",
        Action::Refused if finding.for_people.left == Some(Left::Needed) => "the cluster needs it",
        Action::Failed => "the guard could not close it",
        Action::Postponed => "the guard tries again",
        Action::WouldRevoke => "the guard only reports it",
        _ => "the guard left it open",
    }
}

fn joined(finding: &Finding) -> &'static str {
    match finding.subject {
        Subject::Check(Check::NewMember) => "tags make a group the cluster's",
        _ => "a group has come to this cluster too",
    }
}

pub(super) fn detail(finding: &Finding) -> String {
    finding.detail.as_deref().map(plain).unwrap_or_default()
}
