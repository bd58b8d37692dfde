//! What became of a rule that we closed, by what EC2 answered and what a read shows since.
//!
//! Must not: read, or do anything.

use std::collections::BTreeMap;

use crate::guard::effects::{Answer, target};
use crate::model::rule::Rule;
use crate::plan::Step;
use crate::plan::standing::is_equal;
use crate::report::outcome::Action;

/// The rules of the group as they were read since, by id; or why they were not.
pub(super) type Live = Result<BTreeMap<String, Rule>, String>;

/// Whether a rule that was to be put back has to be judged again: EC2 does not take what it was, or somebody edited it once
/// more meanwhile.
pub(super) fn is_again(step: &Step, answers: &BTreeMap<String, Answer>, live: &Live) -> bool {
    let (Some(target), rule) = (target(step), &step.finding.rule) else { return false };
    let Some(now) = live.as_ref().ok().and_then(|live| live.get(&rule.id)) else { return false };
    let is_other = !is_equal(now, target);
    match answers.get(&rule.id) {
        Some(Answer::NotTaken(_)) => is_other,
        Some(Answer::Accepted | Answer::Gone) => is_other && !is_equal(now, rule),
        Some(Answer::Refused(_) | Answer::Lost(_)) | None => false,
    }
}

/// Of a rule that EC2 does not put back: its id, and why.
pub(super) fn not_taken(step: &Step, answers: &BTreeMap<String, Answer>, live: &Live) -> Option<(String, String)> {
    let (id, target) = (&step.finding.rule.id, target(step)?);
    let Some(Answer::NotTaken(why)) = answers.get(id) else { return None };
    let twin = live.as_ref().ok()?.values().find(|other| other.id != *id && is_equal(other, target));
    let why = match twin {
        Some(twin) => format!("rule `{}` lets in the same by now", twin.id),
        None => why.clone(),
    };
    Some((id.clone(), why))
}

/// What became of it, and why, where that alone does not say it.
pub(super) fn became(step: &Step, answers: &BTreeMap<String, Answer>, live: &Live) -> (Action, Option<String>) {
    let id = &step.finding.rule.id;
    let now = live.as_ref().map(|live| live.get(id));
    match target(step) {
        Some(target) => put_back(target, now, answers.get(id)),
        None => revoked(step, now, answers.get(id)),
    }
}

fn revoked(step: &Step, now: Result<Option<&Rule>, &String>, answer: Option<&Answer>) -> (Action, Option<String>) {
    match (now, answer) {
        (Ok(None), Some(Answer::Accepted)) => (Action::Revoked, step.said_of_revoke()),
        (Ok(None), Some(Answer::Lost(why))) => (Action::Revoked, Some(lost(why))),
        (Ok(None), _) => (Action::AlreadyGone, None),
        (Ok(Some(_)), Some(Answer::Refused(why) | Answer::NotTaken(why) | Answer::Lost(why))) => {
            failed(format!("still open: {why}"))
        }
        (Ok(Some(_)), _) => {
            let why = "still open: EC2 accepted the revoke, but the rule was still there when it was read back";
            failed(why.to_owned())
        }
        (Err(unread), Some(Answer::Refused(why) | Answer::NotTaken(why) | Answer::Lost(why))) => {
            failed(format!("not revoked: {why}; and the rules could not be read back: {unread}"))
        }
        (Err(unread), _) => failed(format!("the revoke was sent, but the rules could not be read back: {unread}")),
    }
}

fn put_back(target: &Rule, now: Result<Option<&Rule>, &String>, answer: Option<&Answer>) -> (Action, Option<String>) {
    match (now, answer) {
        (Ok(None), _) => (Action::AlreadyGone, None),
        (Ok(Some(now)), Some(Answer::Accepted)) if is_equal(now, target) => (Action::Restored, None),
        (Ok(Some(now)), Some(Answer::Lost(why))) if is_equal(now, target) => (Action::Restored, Some(lost(why))),
        (Ok(Some(now)), _) if is_equal(now, target) => {
            (Action::Changed, Some("somebody else put it back while it was judged".to_owned()))
        }
        (Ok(Some(_)), Some(Answer::Refused(why) | Answer::NotTaken(why) | Answer::Lost(why))) => {
            failed(format!("still open, not put back: {why}"))
        }
        (Ok(Some(_)), _) => {
            let why = "still open: EC2 accepted that it was put back, but it was something else when it was read back";
            failed(why.to_owned())
        }
        (Err(unread), Some(Answer::Refused(why) | Answer::NotTaken(why) | Answer::Lost(why))) => {
            failed(format!("not put back: {why}; and the rules could not be read back: {unread}"))
        }
        (Err(unread), _) => {
            failed(format!("it was sent to be put back, but the rules could not be read back: {unread}"))
        }
    }
}

fn lost(why: &str) -> String {
    format!("the call was sent and did what it should, but EC2's answer was lost: {why}")
}

fn failed(why: String) -> (Action, Option<String>) {
    (Action::Failed, Some(why))
}
