//! The subject of a notice: open or closed, in which cluster, what, to whom, on which group; then, as far as there is room,
//! what tells it from the other notices of that group.
//!
//! Must not: name a principal or an ARN, since SNS encrypts no subject.

use jiff::Timestamp;

use super::blind;
use super::broken;
use super::clock::ordinal;
use super::exposure::{open, service, thing};
use super::headline::{clusters_of, groups, things};
use super::plain_word;
use super::situation::{Situation, Topic, gained};
use super::words::entries;
use crate::model::text::{and, count, first_few};
use crate::policy::model::Severity;
use crate::report::finding::{Check, Finding, Subject};
use crate::report::outcome::{Action, Left};
use crate::report::record::Record;

/// SNS refuses a subject of 100 characters or more.
const MAX_LEN: usize = 99;
/// Things named in a subject.
const MAX_NAMED: usize = 2;

/// `[CRITICAL] CLOSED prod: kubelet 10250 was open to everybody, on prod-node`. `about`: the cluster, which gives way where
/// it is long. `tails`: said as far as there is room.
pub(super) fn subject(severity: Option<Severity>, state: &str, about: &str, what: &str, tails: &[String]) -> String {
    let severity = severity.map_or("info", Severity::word).to_uppercase();
    let room = MAX_LEN.saturating_sub(severity.len() + state.len() + 6 + what.chars().count()).max(20);
    let mut name: String = about.chars().take(room).collect();
    if name.len() < about.len() {
        name = name.chars().take(room.saturating_sub(1)).chain(['…']).collect();
    }
    let mut line = format!("[{severity}] {state} {name}: {what}");
    for tail in tails {
        if line.chars().count() + tail.chars().count() <= MAX_LEN {
            line.push_str(tail);
        }
    }
    let cut = line.chars().count() > MAX_LEN;
    let most = if cut { MAX_LEN - 1 } else { MAX_LEN };
    let end = if cut { "…" } else { "" };
    line.chars().filter(|c| !c.is_control()).take(most).chain(end.chars()).collect()
}

/// What stands first: the subject speaks of this, and of its clusters alone.
pub(super) fn foremost<'a, 't>(topics: &'t [Topic<'a>]) -> Vec<&'t Topic<'a>> {
    let first = topics.first().map(|topic| topic.situation);
    topics.iter().filter(|topic| Some(topic.situation) == first).collect()
}

/// What the subject says, and its tails. `topics`: all, the first first.
pub(super) fn of(topics: &[Topic<'_>]) -> (String, Vec<String>) {
    let same = foremost(topics);
    let Some(first) = same.first() else { return ("nothing to do".to_owned(), Vec::new()) };
    let what = match first.situation {
        Situation::Listed => listed(&same),
        Situation::Broken if same.len() > 1 => format!("{}, and {} more", broken::worst(&same), same.len() - 1),
        Situation::Broken => broken::worst(&same),
        Situation::Endpoint => "the API endpoint is open to a great many".to_owned(),
        Situation::Unreadable => "rules that cannot be read".to_owned(),
        Situation::Joined => joined(first.finding).to_owned(),
        Situation::Blind | Situation::Unsure => blind::words(first.finding, first.record).0.to_owned(),
        Situation::PutBack => edited(&same),
        situation => open(&things(&same, false, false), !situation.is_open(), MAX_NAMED),
    };
    let mut tails = Vec::new();
    tails.extend((first.situation == Situation::WasOpen).then(|| " for a while".to_owned()));
    // Nothing else takes its room.
    let is_broken = topics.iter().any(|topic| topic.situation == Situation::Broken);
    tails.extend((first.situation != Situation::Broken && is_broken).then(|| "; cluster BROKEN".to_owned()));
    tails.extend(closed_for_it(topics, first));
    let mut where_and_why = [on_groups(&same), what_became_of(first, same.len())];
    if matches!(first.situation, Situation::Listed | Situation::PutBack) {
        // The list is in no group; the rule that was closed is. That it was open is not to be read without its end.
        where_and_why.reverse();
    }
    tails.extend(where_and_why.into_iter().flatten());
    tails.extend(closed_beside(topics, &same));
    let times = topics.iter().filter_map(|topic| topic.finding.contested.as_ref()).map(|contested| contested.times);
    tails.extend(times.max().map(|times| format!(", for the {} time", ordinal(times))));
    (what, tails)
}

/// When it was called, which tells two notices of one group and port apart.
pub(super) fn called_at(at: Timestamp) -> String {
    format!(", at {}", at.strftime("%H:%M UTC"))
}

/// `0.0.0.0/0 is still in prefix list office`. The name stands last: it is the part that may be long.
fn listed(topics: &[&Topic<'_>]) -> String {
    let Some(list) = topics.iter().find_map(|topic| gained(topic.finding)) else { return String::new() };
    let name = list.name.as_deref().and_then(plain_word).unwrap_or(&list.id);
    let (entries, is) = entries(list, 1);
    format!("{entries} {is} still in prefix list {name}")
}

/// `kubelet 10250 was opened by an edit`: closed, but not as a rule that is gone.
fn edited(topics: &[&Topic<'_>]) -> String {
    let mut all: Vec<String> = Vec::new();
    for (thing, _) in things(topics, false, false) {
        if !all.contains(&thing) {
            all.push(thing);
        }
    }
    let were = if all.len() > 1 { "were" } else { "was" };
    format!("{} {were} opened by an edit", and(&first_few(all, MAX_NAMED, |rest| format!("{rest} more"))))
}

/// `, on prod-node`.
fn on_groups(topics: &[&Topic<'_>]) -> Option<String> {
    let all = groups(topics.iter().copied());
    match (all.first(), all.len()) {
        (None, _) => None,
        (Some(name), 1) => Some(format!(", on {name}")),
        (_, number) => Some(format!(", {}", count(number, "group"))),
    }
}

/// What tells it from another one with the same words.
fn what_became_of(first: &Topic<'_>, number: usize) -> Option<String> {
    let finding = first.finding;
    match first.situation {
        Situation::Open => Some(format!(", {}", left(finding))),
        Situation::Listed if number > 1 => Some(format!(", {} closed", count(number, "rule"))),
        Situation::Listed => {
            let rule = finding.rule()?;
            Some(format!(", {} closed", thing(first.record, finding, rule)))
        }
        Situation::Lost => Some(", its former rule LOST".to_owned()),
        Situation::PutBack if number > 1 => Some(", and the guard restored what they were".to_owned()),
        Situation::PutBack => Some(", and the guard restored what it was".to_owned()),
        Situation::Gone => Some(", already gone".to_owned()),
        Situation::Closed => put_on(first.record),
        Situation::ToCheck => Some(", to be checked".to_owned()),
        Situation::Blind if blind::is_of_sweep(finding, first.record) => None,
        Situation::Blind if finding.subject == Subject::Check(Check::Unfinished) => {
            Some(", what it opened may be open".to_owned())
        }
        Situation::Blind if finding.sight().is_some() => {
            first.record.event_name.as_deref().and_then(plain_word).map(|call| format!(", after {call}"))
        }
        _ => None,
    }
}

/// `, attached to worker-7`: no rule was opened, the group came to something.
fn put_on(record: &Record) -> Option<String> {
    let to = record.group.as_ref()?.attachment.as_ref()?;
    let name = to.name.as_deref().and_then(plain_word).or(to.instance.as_deref()).or(to.interface.as_deref())?;
    Some(format!(", attached to {name}"))
}

/// What was closed where something else is open, and in which cluster if that is another one.
fn closed_beside(topics: &[Topic<'_>], foremost: &[&Topic<'_>]) -> Option<String> {
    let closed: Vec<&Topic<'_>> = topics.iter().filter(|topic| topic.situation.is_closed_by_us()).collect();
    let is_open = foremost.first().is_some_and(|first| first.situation == Situation::Open);
    let (here, there) = (clusters_of(foremost), clusters_of(&closed));
    let place = if here == there { String::new() } else { format!(" in {there}") };
    (is_open && !closed.is_empty()).then(|| format!(", {} closed{place}", closed.len()))
}

/// What the guard closed, where something is broken now.
fn closed_for_it(topics: &[Topic<'_>], first: &Topic<'_>) -> Option<String> {
    let closed: Vec<&Topic<'_>> = topics.iter().filter(|topic| topic.situation.is_closed_by_us()).collect();
    let closed = match closed.as_slice() {
        _ if first.situation != Situation::Broken => return None,
        [] => return None,
        [one] => {
            let packets = one.finding.rule()?.packets;
            service(one.record, packets).unwrap_or_else(|| packets.to_string())
        }
        many => count(many.len(), "rule"),
    };
    Some(format!("; CLOSED {closed}"))
}

fn left(finding: &Finding) -> &'static str {
    match finding.action {
        Action::Refused if finding.for_people.left == Some(Left::Shared) => "others use the group",
        Action::Refused if finding.for_people.left == Some(Left::Needed) => "narrow it first",
        Action::Failed => "closing failed",
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
