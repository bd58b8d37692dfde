//! What to do next, by situation: only the steps that apply, in the order in which they are to be done.
//!
//! Must not: write commands (they are above and below), or say what was found.

use super::situation::{Situation, Topic, gained};
use super::source;
use super::{beside, blind, broken, close, failed, used, who};
use crate::report::finding::{Check, Subject};
use crate::report::outcome::{Action, Left};

/// The variables that keep the guard from closing anything.
const MODES: [&str; 2] = ["GUARD_MODE", SWEEP_MODE];
const SWEEP_MODE: &str = "GUARD_SWEEP_MODE";

/// What it does where something is missing, whatever is set.
const NEVER_ADDS: &str = "the guard never adds a rule, it can only restore one that was edited";

/// In the order in which they are to be done.
pub(super) fn steps(topics: &[Topic<'_>], is_sweep: bool) -> Vec<String> {
    let is = |situation: Situation| topics.iter().any(|topic| topic.situation == situation);
    let open = || topics.iter().filter(|topic| topic.situation == Situation::Open);
    let left = |left: Left| open().any(|topic| topic.finding.for_people.left == Some(left));
    let acted = |action: Action| open().any(|topic| topic.finding.action == action);
    let checks = |check: Check| has(topics, check);
    let has_closed = topics.iter().any(|topic| topic.situation.is_closed_by_us());
    let is_listed = topics.iter().any(|topic| gained(topic.finding).is_some());
    let may_be_meant = !is_sweep && (has_closed || is(Situation::Open));
    let (source, comes_first) = at_the_source(topics).filter(|_| !is_sweep).unwrap_or_default();
    let (close, check, broken) = (to_close(topics), to_check(topics), to_open(topics));
    let (used, setting, right) = (used::was_it_used(topics), to_enforce(topics), failed::to_grant(topics));
    let steps: &[(bool, &str)] = &[
        (close.is_some(), close.as_deref().unwrap_or_default()),
        (comes_first && !source.is_empty(), &source),
        (left(Left::Shared), to_take_off(topics)),
        (
            left(Left::Needed),
            "Do what is above in that order, each without `--dry-run`, with which nothing changes; close this one only once \
             the group shows the narrow rules.",
        ),
        (
            left(Left::SameCluster),
            "If groups of one cluster should not reach each other there, write a clause that names them.",
        ),
        (
            is_listed,
            "Take the new entry out of the list with the command above, unless it is meant: every rule that uses the list \
             lets it in.",
        ),
        (
            failed::tries_again(topics),
            "Do not wait for the guard: it tries again by itself, but until then it is open.",
        ),
        (right.is_some(), right.as_deref().unwrap_or_default()),
        (is(Situation::Lost), "Reopen what was lost with the command above, if it is still needed."),
        (is(Situation::Broken), &broken),
        (
            is(Situation::Endpoint),
            "See first whether private access is on, and from where people and nodes call the API: \
             `describe-cluster` above shows what is set. Whoever has no other way in is locked out by the next step.",
        ),
        (
            is(Situation::Endpoint),
            "Then limit `publicAccessCidrs` of the cluster to your networks, or turn the public endpoint off.",
        ),
        (is(Situation::Unreadable), "Look at these rules in the console by hand."),
        (checks(Check::NewCluster), "Check whether this group is meant to be used by both clusters."),
        (checks(Check::NewMember), "Take the tags off if the group is not the cluster's."),
        (used.is_some(), used.unwrap_or_default()),
        (is(Situation::ToCheck), &check),
        (
            is_sweep && (is(Situation::Open) || is(Situation::ToCheck)),
            "What has to stay open belongs in the policy, as an exception or a clause; then it is not sent again.",
        ),
        (!comes_first && !source.is_empty(), &source),
        (
            may_be_meant,
            "Whoever needs access must use a narrower source that the policy allows, or must first have the owners of the \
             policy review an exception; a draft of one is at the end.",
        ),
        (
            is(Situation::Open) && !has_closed,
            "Once it is closed, check flow logs to see whether somebody used what was open.",
        ),
        (acted(Action::WouldRevoke), &setting),
    ];
    let all: Vec<String> = to_see_again(topics).into_iter().chain(due(steps)).collect();
    if all.is_empty() { vec!["Nothing has to be done.".to_owned()] } else { all }
}

/// What has to be done where the guard could not look, or can't see what happens.
fn to_see_again(topics: &[Topic<'_>]) -> Vec<String> {
    let checks = |check: Check| has(topics, check);
    let is_of_sweep = topics.iter().any(|topic| blind::is_of_sweep(topic.finding, topic.record));
    let is_unsure = topics.iter().any(|topic| topic.situation == Situation::Unsure);
    let meant = topics.iter().find_map(was_it_meant);
    due(&[
        (checks(Check::ReadDenied), "Grant what is missing: until then nothing in this account and region is guarded."),
        (
            checks(Check::ReadDenied),
            "Look at the rules of this account by hand, and at what the call opened, if one is named.",
        ),
        (
            is_of_sweep,
            "Mend what the reason names, and then have the guard look at everything, with the command above: until then it \
             is the next sweep that looks.",
        ),
        (
            checks(Check::Unfinished) && !is_of_sweep,
            "Look at what the call opened by hand, now: until the guard can look, nobody closes it.",
        ),
        (
            checks(Check::LostEvents),
            "Look at the new rules now (`describe-security-group-rules` above): were they meant? What the policy forbids \
             of them is in this digest, or in an earlier one.",
        ),
        (
            checks(Check::LostEvents),
            "Find out why no event came: does a trail log EC2's management write events here, is the guard's event rule on, \
             does anything wait in the dead-letter queues? `make status` shows it; more under `LostEventsAlarm` in the \
             runbook.",
        ),
        (
            checks(Check::NoTrail),
            "Make a trail log EC2's management write events here again, now: until then no event reaches the guard.",
        ),
        (
            checks(Check::RuleDisabled),
            "Switch the guard's event rule on again, now, or deploy its stack again: until then no event reaches the guard.",
        ),
        (
            checks(Check::NoTrail) || checks(Check::RuleDisabled),
            "Then have the guard look at everything, with the last command above: what was opened meanwhile made no event.",
        ),
        (meant.is_some(), meant.as_deref().unwrap_or_default()),
        (
            is_unsure,
            "Grant the right that is missing, or see for yourself that events still come: the guard can't know.",
        ),
    ])
}

fn due(steps: &[(bool, &str)]) -> Vec<String> {
    steps.iter().filter(|(is_due, _)| *is_due).map(|(_, step)| (*step).to_owned()).collect()
}

fn has(topics: &[Topic<'_>], check: Check) -> bool {
    topics.iter().any(|topic| topic.finding.subject == Subject::Check(check))
}

/// Which setting keeps the guard from closing by itself: a variable, or else one of the policy.
fn to_enforce(topics: &[Topic<'_>]) -> String {
    let mut details = topics.iter().filter(|topic| topic.finding.action == Action::WouldRevoke);
    let of = |topic: &Topic<'_>| {
        let name = topic.finding.detail.as_deref()?.split('`').find(|word| MODES.contains(word))?;
        // What was there before takes both, and only the first one that keeps the guard from it is named.
        let takes_both = topic.finding.known && name != SWEEP_MODE;
        Some(if takes_both { format!("`{name}` and `{SWEEP_MODE}` are both") } else { format!("`{name}` is") })
    };
    let setting = details.find_map(of).unwrap_or_else(|| "the mode that the policy sets for it is".to_owned());
    format!(
        "Afterwards, by day: decide whether the guard is to close such rules by itself; it does where {setting} `enforce`."
    )
}

/// What to do with a group that others use too.
fn to_take_off(topics: &[Topic<'_>]) -> &'static str {
    let shared = topics.iter().find(|topic| topic.finding.for_people.left == Some(Left::Shared));
    match shared.and_then(|topic| beside::off(topic.record)) {
        Some(off) if off.stays_in_cluster => {
            "Take the group off again, with the command above: what it was put on stays in its cluster, and \
             the others keep their group. If it needs more, put a group on it that the cluster alone uses."
        }
        Some(_) => {
            "See first whether what the group was put on can work without it: `describe-security-group-rules` above \
             shows the rules of what stays. If it can, take the group off, with the command after that. If not, first put a \
             group on it that the cluster alone uses."
        }
        None => {
            "Take the group off the cluster's interfaces, which the command above lists, and put one on them that the \
             cluster alone uses."
        }
    }
}

/// Whether whoever blinded the guard is to be asked first.
fn was_it_meant(topic: &Topic<'_>) -> Option<String> {
    blind::on_purpose(topic.finding, topic.record)?;
    Some(match &topic.record.actor {
        Some(actor) => format!(
            "Ask {} whether it was meant, and take it for an intruder until you know.",
            who::name(actor, &topic.record.account)
        ),
        None => "Find out in CloudTrail's event history who did it, and whether it was meant.".to_owned(),
    })
}

/// What opens again what a cluster needs: a command, as far as a call took it away, and a person.
fn to_open(topics: &[Topic<'_>]) -> String {
    let broken: Vec<&Topic<'_>> = topics.iter().filter(|topic| topic.situation == Situation::Broken).collect();
    let took = |topic: &&Topic<'_>| topic.record.group.as_ref().is_some_and(|group| !group.removed.is_empty());
    if !broken.iter().any(took) {
        let missing = broken::listed(&broken);
        let missing = if missing.is_empty() { missing } else { format!(", {missing}") };
        let has_closed = topics.iter().any(|topic| topic.situation.is_closed_by_us());
        let not_again = if has_closed { " Leave closed what the guard closed." } else { "" };
        return format!("Open what is missing by a rule for that alone{missing}: {NEVER_ADDS}.{not_again}");
    }
    let again = format!("Reopen what the call took away, with the command above: {NEVER_ADDS}.");
    let left = broken::left(&broken);
    if left.is_empty() {
        return again;
    }
    format!("{again} Then write a rule for what that does not bring back: {left}.")
}

/// Where to change what wrote the rule, for it comes back otherwise; and whether that comes before all but closing it.
fn at_the_source(topics: &[Topic<'_>]) -> Option<(String, bool)> {
    let topic = topics.iter().find(|topic| topic.was_opened())?;
    let (record, rule) = (topic.record, topic.finding.rule()?);
    let is_root = record.actor.as_ref().is_some_and(who::is_root);
    if is_root {
        let step =
            "Take it for an intruder until you know: find out who used the root user and whether they were meant to.";
        return Some((step.to_owned(), true));
    }
    let Some(written) = source::where_to_change(rule, record.actor.as_ref()) else {
        return Some((who::to_ask(record.actor.as_ref()?, &record.account), false));
    };
    if topic.finding.contested.is_none() {
        return Some((written, false));
    }
    Some((format!("Stop what opens it again and again, such as a pipeline. {written}"), true))
}

/// What closes what is open, where nothing else has to be done before.
fn to_close(topics: &[Topic<'_>]) -> Option<String> {
    let mut due = topics.iter().filter(|topic| topic.is_to_be_closed()).peekable();
    due.peek()?;
    let has_command = |topic: &Topic<'_>| topic.rule().is_some_and(|(_, rule)| !rule.id.is_empty());
    let (commands, rest) = close::commands(topics);
    let command = match commands.len() {
        0 => "",
        _ if rest > 0 || !due.all(has_command) => ": the commands for a part of it are above",
        1 => ": the command is above",
        _ => ": the commands are above",
    };
    // What is to be checked is open too.
    let is_mixed = topics.iter().any(|topic| topic.situation == Situation::ToCheck);
    let what = if is_mixed { "what the policy forbids" } else { "what is open" };
    Some(format!("Close {what}{command}. Leave it only if you know that it is needed."))
}

/// What becomes of what a person has to judge.
fn to_check(topics: &[Topic<'_>]) -> String {
    let has_command = !close::to_check(topics).is_empty();
    let command = if has_command { " (the command is in the details)" } else { "" };
    format!(
        "Where something is to be checked: if nobody needs it, close it{command}; if it is meant, have the owners of the \
         policy allow it."
    )
}
