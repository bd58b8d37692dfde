//! What to do next, by situation: only the steps that apply, in the order in which they are to be done.
//!
//! Must not: write commands (they stand above and below), or say what was found.

use super::situation::{Situation, Topic, gained};
use super::source;
use super::{beside, blind, blocked, who};
use crate::report::finding::{Check, Subject};
use crate::report::outcome::{Action, Connections, Left};

/// The variables that keep the guard from closing anything.
const MODES: [&str; 2] = ["GUARD_MODE", "GUARD_SWEEP_MODE"];

/// What it does where something is missing, whatever is set.
const NEVER_ADDS: &str = "the guard never adds a rule, it at most puts an edited one back";

/// In the order in which they are to be done.
pub(super) fn steps(topics: &[Topic<'_>], is_sweep: bool) -> Vec<String> {
    let is = |situation: Situation| topics.iter().any(|topic| topic.situation == situation);
    let open = || topics.iter().filter(|topic| topic.situation == Situation::Open);
    let left = |left: Left| open().any(|topic| topic.finding.for_people.left == Some(left));
    let acted = |action: Action| open().any(|topic| topic.finding.action == action);
    let checks = |check: Check| has(topics, check);
    let has_closed = topics.iter().any(|topic| topic.situation.is_closed_by_us());
    let to_close = open()
        .any(|topic| !matches!(topic.finding.for_people.left, Some(Left::Shared | Left::Needed | Left::SameCluster)));
    let is_listed = topics.iter().any(|topic| gained(topic.finding).is_some());
    let may_be_meant = !is_sweep && (has_closed || is(Situation::Open));
    let (at_the_source, blocked) = (at_the_source(topics), to_open(topics));
    let (used, setting) = (was_it_used(topics), to_enforce(topics));
    let steps: &[(bool, &str)] = &[
        (to_close, "Close what is open: the command stands above. Leave it only if you know that it is needed."),
        (left(Left::Shared), to_take_off(topics)),
        (
            left(Left::Needed),
            "Do what stands above in that order: see that the cluster works by the narrow rules before you close this one.",
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
        (acted(Action::Failed), "Find out why the guard could not close it, or it can't close the next one either."),
        (is(Situation::Lost), "Open what was lost again with the command above, if it is still needed."),
        (is(Situation::Blocked), &blocked),
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
        (
            is(Situation::ToCheck),
            "Where something is to be checked: if nobody needs it, close it (the command stands in the details); if it is \
             meant, have the owners of the policy allow it.",
        ),
        (
            is_sweep && (is(Situation::Open) || is(Situation::ToCheck)),
            "What has to stay open belongs into the policy, as an exception or a clause; then it is not sent again.",
        ),
        (may_be_meant && at_the_source.is_some(), at_the_source.as_deref().unwrap_or_default()),
        (
            may_be_meant,
            "Whoever needs access uses a narrower source that the policy allows, or first has the owners of the policy \
             review an exception; a draft stands at the end.",
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
             of them stands in this digest, or in an earlier one.",
        ),
        (
            checks(Check::LostEvents),
            "Find out why no event came: does a trail log EC2's management write events here, is the guard's event rule on, \
             does anything wait in the dead-letter queues? `make status` shows it; more under `LostEventsAlarm` in the \
             runbook.",
        ),
        (
            checks(Check::NoTrail),
            "Have a trail log EC2's management write events here again, now: until then no event reaches the guard.",
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
        topic.finding.detail.as_deref()?.split('`').find(|word| MODES.contains(word)).map(|name| format!("`{name}`"))
    };
    let setting = details.find_map(of).unwrap_or_else(|| "the mode that the policy sets for it".to_owned());
    format!(
        "Afterwards, by day: decide whether the guard is to close such rules by itself; it does where {setting} is \
         `enforce`."
    )
}

/// Whether somebody used what was open, which is left to check once nothing is.
fn was_it_used(topics: &[Topic<'_>]) -> Option<&'static str> {
    let is_of = |wanted: fn(&Situation) -> bool| topics.iter().any(|topic| wanted(&topic.situation));
    let is_gone =
        |situation: &Situation| matches!(situation, Situation::WasOpen | Situation::Gone | Situation::Changed);
    let may_go_on = topics.iter().any(|topic| topic.finding.connections == Some(Connections::MayGoOn));
    if is_of(|situation| situation.is_closed_by_us()) {
        return Some(if may_go_on {
            "Look in flow logs whether somebody used what was open: such connections may go on, an idle one for up to 5 \
             days, unless a network ACL cuts them."
        } else {
            "Look in flow logs whether somebody used what was open: direct connections were cut with it, those through NAT \
             gateways or network load balancers may go on."
        });
    }
    if topics.iter().all(|topic| is_gone(&topic.situation)) {
        return Some(
            "Nothing of it is open now. What is left to check is whether somebody used it: look in flow logs for \
             connections that were made meanwhile, which may go on.",
        );
    }
    topics
        .iter()
        .any(|topic| is_gone(&topic.situation))
        .then_some("Look in flow logs whether somebody used what was open for a while: such connections may go on.")
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
    let blocked: Vec<&Topic<'_>> = topics.iter().filter(|topic| topic.situation == Situation::Blocked).collect();
    let took = |topic: &&Topic<'_>| topic.record.group.as_ref().is_some_and(|group| !group.removed.is_empty());
    if !blocked.iter().any(took) {
        let missing = blocked::listed(&blocked);
        let missing = if missing.is_empty() { missing } else { format!(", {missing}") };
        let has_closed = topics.iter().any(|topic| topic.situation.is_closed_by_us());
        let not_again = if has_closed { " Leave closed what the guard closed." } else { "" };
        return format!("Open what is missing by a rule for that alone{missing}: {NEVER_ADDS}.{not_again}");
    }
    let again = format!("Open again what the call took away, with the command above: {NEVER_ADDS}.");
    let left = blocked::left(&blocked);
    if left.is_empty() {
        return again;
    }
    format!("{again} Then write a rule for what that does not bring back: {left}.")
}

/// Where to change what wrote the rule, or it comes back.
fn at_the_source(topics: &[Topic<'_>]) -> Option<String> {
    let topic = topics.iter().find(|topic| topic.situation.is_closed_by_us() || topic.situation == Situation::Open)?;
    let (record, rule) = (topic.record, topic.finding.rule()?);
    let written = source::where_to_change(rule, record.actor.as_ref());
    let is_root = record.actor.as_ref().is_some_and(who::is_root);
    if is_root {
        return Some(
            "Find out who used the root user and whether they were meant to: take it for an intruder until then."
                .to_owned(),
        );
    }
    written.or_else(|| Some(who::to_ask(record.actor.as_ref()?, &record.account)))
}
