//! The first lines of a notice, by situation: what is open or closed, to whom, where, what became of it.
//!
//! Must not: say what to do (steps does), or claim what was not read.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::blind;
use super::broken;
use super::called;
use super::clock::span;
use super::exposure::{open, thing, whom};
use super::situation::{Situation, Topic, gained};
use super::words::{entries, list_in_words, rule_in_words};
use crate::model::rule::Rule;
use crate::model::text::{and, capital, count, first_few, plain};
use crate::report::finding::{Check, Finding, ListRecord, Subject};
use crate::report::outcome::{Action, Left};
use crate::report::record::Record;

/// Things, groups and lists named in a sentence.
const MAX_IN_SENTENCE: usize = 3;
/// Sentences of a headline; the rest is in the details.
const MAX_SENTENCES: usize = 3;

/// What begins the reason of a failure, which the headline says itself, and what ends that of a denial, which is a step.
const IS_OPEN: &str = "still open: ";
const GRANT_IT: &str = "; grant it to ";
/// When it comes back to what it postponed, which `guard/again.rs` decides.
const COMES_BACK: &str = "first within a minute, then again and again for an hour";

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
    let has_closed = topics.iter().any(|topic| topic.situation.is_closed_by_us());
    let of = |situation: &Situation| {
        let same: Vec<&Topic<'_>> = topics.iter().filter(|topic| topic.situation == *situation).collect();
        let caused = if has_closed { ", perhaps because of what the guard closed" } else { "" };
        sentence(*situation, &same, &place(&same, is_of_one_group), caused)
    };
    let mut sentences: Vec<String> = situations.iter().take(MAX_SENTENCES).map(of).collect();
    let shown = situations.iter().take(MAX_SENTENCES);
    let shown: usize = shown.map(|situation| topics.iter().filter(|topic| topic.situation == *situation).count()).sum();
    let rest = topics.len().saturating_sub(shown);
    if rest > 0 {
        sentences.push(format!("{} more are in the details", capital(&count(rest, "finding"))));
    }
    sentences.join(".\n")
}

/// `caused`: what may have blocked what is broken.
fn sentence(situation: Situation, topics: &[&Topic<'_>], cluster: &str, caused: &str) -> String {
    let Some(first) = topics.first() else { return String::new() };
    let state = situation.state();
    let what = || open(&things_in_full(topics), !situation.is_open(), MAX_IN_SENTENCE);
    let opened = || format!("{state}: {} in {cluster}", what());
    let finding = first.finding;
    let all = match topics.len() {
        1 => "the rule".to_owned(),
        2 => "both rules".to_owned(),
        number => format!("all {number} rules"),
    };
    match situation {
        Situation::Open => format!("{}. {}", opened(), left(topics)),
        Situation::Closed => format!("{}. The guard revoked {all}{}", opened(), within(topics)),
        Situation::Listed => format!(
            "{state}: {}, so every other rule that uses it, and the next one, lets that in.\nCLOSED: {} in {cluster}. The \
             guard revoked {all}{}, and takes nothing out of a list",
            still_listed(topics),
            what(),
            within(topics)
        ),
        Situation::Lost => format!(
            "{}. The guard revoked {all}{}.\nLOST with it, because it had been edited in place: {}",
            opened(),
            within(topics),
            formers(topics)
        ),
        Situation::PutBack => format!(
            "{}, after an edit in place. The guard put {all} back{}: {} {} again",
            opened(),
            within(topics),
            if topics.len() > 1 { "they are" } else { "it is" },
            formers(topics)
        ),
        Situation::WasOpen => format!(
            "{}, according to the event. It was gone, or harmless, when the guard looked; for how long it was open is not \
             known",
            opened()
        ),
        Situation::Gone => format!("{}. It was gone when the guard came to close it", opened()),
        Situation::Changed => format!("{state}: {} was changed meanwhile; as it is now it is allowed", named(topics)),
        Situation::ToCheck => format!("{}. The policy leaves it to a person to say whether that is meant", opened()),
        Situation::Broken => format!(
            "{state}: {} in {cluster}{caused}{}{}",
            broken::stops(topics),
            broken::missing(topics),
            broken::not_restored(topics)
        ),
        Situation::Endpoint => format!("{state}: a great many public addresses may call the API of {cluster}"),
        Situation::Unreadable => {
            format!("{state}: the guard cannot read some rules in {cluster}, so nobody knows what they let in")
        }
        Situation::Joined => format!("{state}: {}", detail(finding)),
        Situation::Blind if finding.subject == Subject::Check(Check::LostEvents) => format!(
            "{state}: {}, in {cluster}; it judged them like all others.\n{}",
            blind::words(finding, first.record).0,
            unheard(topics)
        ),
        Situation::Blind | Situation::Unsure => {
            format!("{state}: {} in {cluster}", blind::words(finding, first.record).0)
        }
    }
}

/// Of which rules no event came.
fn unheard(topics: &[&Topic<'_>]) -> String {
    let said: Vec<String> = topics.iter().map(|topic| capital(&detail(topic.finding))).collect();
    first_few(said, MAX_IN_SENTENCE, |rest| format!("{} more in the details", capital(&count(rest, "group"))))
        .join(". ")
}

/// With the blocks, where they are the same ones.
fn things_in_full(topics: &[&Topic<'_>]) -> Vec<(String, String)> {
    let is_spread = groups(topics.iter().copied()).len() > 1;
    let all = things(topics, true, is_spread);
    let is_one = all.first().is_none_or(|(_, first)| all.iter().all(|(_, whom)| whom == first));
    if is_one { all } else { things(topics, false, is_spread) }
}

/// Names of the clusters that these are about.
pub(super) fn clusters_of(topics: &[&Topic<'_>]) -> String {
    let records: Vec<&Record> = topics.iter().map(|topic| topic.record).collect();
    super::clusters(&records)
}

/// The groups that these are about, each once: its name, or its id.
pub(super) fn groups<'a: 't, 't>(topics: impl Iterator<Item = &'t Topic<'a>>) -> BTreeSet<&'a str> {
    topics.filter_map(|topic| topic.record.group.as_ref()).map(called).collect()
}

/// `cluster prod, on prod-node and prod-bastion`.
fn place(topics: &[&Topic<'_>], is_of_one_group: bool) -> String {
    let clusters = super::in_words(&clusters_of(topics));
    let all = groups(topics.iter().copied());
    // Of rules in several groups each says where it is.
    if is_of_one_group || (all.len() > 1 && topics.iter().all(|topic| topic.finding.rule().is_some())) {
        return clusters;
    }
    let named = all.into_iter().map(str::to_owned).collect();
    let named = first_few(named, MAX_IN_SENTENCE, |rest| count(rest, "more group"));
    if named.is_empty() { clusters } else { format!("{clusters}, on {}", and(&named)) }
}

/// What is open, and to whom. `by_group`: each with its group, and its cluster where there are several.
pub(super) fn things(topics: &[&Topic<'_>], in_full: bool, by_group: bool) -> Vec<(String, String)> {
    let names: BTreeSet<&[String]> = topics.iter().map(|topic| topic.record.clusters.as_slice()).collect();
    let on_group = |topic: &Topic<'_>| {
        let name = topic.record.group.as_ref().filter(|_| by_group).map(called)?;
        let cluster = if names.len() == 1 { String::new() } else { format!(" of {}", clusters_of(&[topic])) };
        Some(format!(" on {name}{cluster}"))
    };
    let of = |topic: &&Topic<'_>| {
        let rule = topic.finding.rule()?;
        let thing = thing(topic.record, topic.finding, rule);
        let on = on_group(topic).unwrap_or_default();
        Some((format!("{thing}{on}"), whom(topic.finding, rule, in_full)))
    };
    topics.iter().filter_map(of).collect()
}

fn named(topics: &[&Topic<'_>]) -> String {
    let names: Vec<String> =
        topics.iter().filter_map(|topic| topic.finding.rule().map(rule_in_words)).take(3).collect();
    and(&names)
}

/// `prefix list office (pl-…) still holds 0.0.0.0/0`.
fn still_listed(topics: &[&Topic<'_>]) -> String {
    let lists = topics.iter().filter_map(|topic| gained(topic.finding));
    let lists: BTreeMap<&str, &ListRecord> = lists.map(|list| (list.id.as_str(), list)).collect();
    let said = |list: &&ListRecord| format!("{} still holds {}", list_in_words(list), entries(list, MAX_IN_SENTENCE).0);
    let said: Vec<String> = lists.values().take(MAX_IN_SENTENCE).map(said).collect();
    and(&said)
}

/// What rules were before somebody edited them.
fn formers(topics: &[&Topic<'_>]) -> String {
    let of = |topic: &&Topic<'_>| topic.finding.before.as_ref().map(without_id);
    and(&first_few(topics.iter().filter_map(of).collect(), 3, |rest| format!("{rest} more")))
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
            "others outside of the cluster use its group, which was attached there before, and a revoke would cut them too"
                .to_owned()
        }
        Some(Left::OtherCluster) => {
            "the rule is older than its group's place in this cluster, and a revoke would cut the other cluster too"
                .to_owned()
        }
        Some(Left::Needed) => {
            "the cluster depends on it, so first open what it needs by a narrow rule and then close this one; the other way \
             round the cluster breaks"
                .to_owned()
        }
        _ => shortly(&detail(finding)).to_owned(),
    };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    match finding.action {
        Action::Failed => format!("The guard could NOT close {it}{why}"),
        Action::Postponed => format!("The guard comes back to {it} by itself, {COMES_BACK}{why}"),
        Action::WouldRevoke => format!("The guard did not close {it}{why}"),
        _ => format!("The guard left {it} open{why}"),
    }
}

fn shortly(why: &str) -> &str {
    let why = why.strip_prefix(IS_OPEN).unwrap_or(why);
    why.split_once(GRANT_IT).map_or(why, |(short, _)| short)
}

pub(super) fn detail(finding: &Finding) -> String {
    finding.detail.as_deref().map(plain).unwrap_or_default()
}
