//! What would be done about an event: the one way from what was read to findings, for every verb that has events.
//!
//! Must not: read files, or write more than a phrase.

use jiff::Timestamp;

use crate::cli::claims::{self, Assumed, Claimed};
use crate::cli::events::Read;
use crate::event::described::Described;
use crate::event::{Change, Event, Parsed, Target, Trigger};
use crate::model::text::plain;
use crate::plan::modes::Modes;
use crate::plan::standing::Led;
use crate::plan::{Intent, PlanContext, Step, plan};
use crate::policy::model::{Mode, Policy};

/// One group of an event with what would be done about its rules.
pub(super) struct Explained {
    pub(super) claimed: Claimed,
    pub(super) steps: Vec<Step>,
    /// For each step what it would be, if something held that only the live state tells, and what.
    pub(super) otherwise: Vec<Option<(Step, &'static str)>>,
}

/// One event with what would be done about it.
pub(super) struct Answer {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) change: Option<Change>,
    /// Why there is no rule to judge.
    pub(super) nothing: Option<String>,
    /// Nothing would be looked at.
    pub(super) is_ignored: bool,
    pub(super) groups: Vec<Explained>,
}

impl Answer {
    pub(super) fn of(read: Read, policy: &Policy, assumed: &Assumed, now: Timestamp) -> Self {
        let Read { file, line, parsed, described } = read;
        let is_ignored = matches!(parsed, Parsed::Ignored(_));
        let (change, nothing) = match parsed {
            Parsed::Trigger(Trigger::Change(change)) => {
                let nothing = looked_at(&change.subject);
                (Some(change), nothing)
            }
            Parsed::Trigger(Trigger::Sweep { .. } | Trigger::Lost) => {
                (None, Some("a sweep names no rule: the function would look at the live groups".to_owned()))
            }
            Parsed::Ignored(reason) => {
                (None, Some(format!("the function would ignore this event: {}", plain(&reason))))
            }
        };
        let modes = Modes::new(Mode::Enforce, Mode::Report);
        let groups = change.as_ref().map(|change| explain(change, &described, policy, assumed, modes, now));
        let groups = groups.unwrap_or_default();
        Self { file, line, change, nothing, is_ignored, groups }
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.groups.iter().flat_map(|group| &group.steps)
    }

    pub(super) fn event(&self) -> Option<&Event> {
        self.change.as_ref().map(|change| &change.event)
    }
}

/// What the function would look at, where the event names no rule that could be judged here.
pub(super) fn looked_at(subject: &Target) -> Option<String> {
    let (says, looks_at) = match subject {
        Target::Groups(_) => return None,
        Target::Attached { attachment, groups } => {
            let groups = if groups.is_empty() { "groups".to_owned() } else { groups.join(", ") };
            let attachment = attachment.as_deref().unwrap_or("a network interface or an instance");
            (format!("says that {groups} were put on {attachment}"), "the live groups")
        }
        Target::PrefixList(change) => {
            (format!("says that the entries of {} changed", change.list), "the groups that use it")
        }
        Target::Cluster { name, node_group: None } => {
            (format!("says that the configuration of cluster {name} changed"), "its groups")
        }
        Target::Cluster { name, node_group: Some(node_group) } => {
            (format!("says that node group {node_group} of cluster {name} changed"), "its groups")
        }
        Target::Trails => ("says that trails changed".to_owned(), "all trails, and whether one still logs"),
        Target::EventRule(_) => {
            ("says that a rule of EventBridge changed".to_owned(), "the guard's own rule, if it is that")
        }
        Target::Unknown => ("does not say what it changed".to_owned(), "every group of EKS clusters"),
    };
    Some(format!("the event {says}: the function would look at {looks_at}"))
}

/// The groups of an event with what would be done in these modes.
pub(super) fn explain(
    change: &Change,
    described: &[Described],
    policy: &Policy,
    assumed: &Assumed,
    modes: Modes,
    now: Timestamp,
) -> Vec<Explained> {
    let claimed = claims::groups(change, described, policy, assumed).into_iter();
    claimed.map(|claimed| judged(change, claimed, policy, modes, now)).collect()
}

/// What would be done about the rules of a group.
pub(super) fn judged(change: &Change, claimed: Claimed, policy: &Policy, modes: Modes, now: Timestamp) -> Explained {
    let Event { location, actor, .. } = &change.event;
    let (led, memory) = (Led::by(Some(&change.event), now), &claimed.memory);
    let context = PlanContext { policy, location, now, modes, actor: Some(actor), named: &claimed.named, led, memory };
    let steps = plan(context, &claimed.group);
    let others = claimed.otherwise.as_ref().map(|(group, why)| (plan(context, group), *why));
    let otherwise = match others {
        None => steps.iter().map(|_| None).collect(),
        Some((others, why)) => {
            let differs = |(step, other): (&Step, Step)| {
                let is_same = step.finding.verdict == other.finding.verdict && step.intent == other.intent;
                (!is_same).then_some((other, why))
            };
            steps.iter().zip(others).map(differs).collect()
        }
    };
    Explained { claimed, steps, otherwise }
}

pub(super) fn would_be_done(intent: &Intent) -> String {
    match intent {
        Intent::None => "nothing would be done".to_owned(),
        Intent::Report(None) => "people would be notified".to_owned(),
        Intent::Report(Some(why)) => format!("people would be notified; {why}"),
        Intent::WouldRevoke(why) => format!("people would be notified that it should go; {why}"),
        Intent::Revoke => "it would be revoked".to_owned(),
        Intent::PutBack => "it would be put back to what it was known as".to_owned(),
        Intent::Refuse(why) | Intent::Postpone(why) => format!("a guard would leave it open; {why}"),
    }
}

/// The word of an intent for tools, and why it is no more.
pub(super) fn intended(intent: &Intent) -> (&'static str, Option<&str>) {
    match intent {
        Intent::None => ("none", None),
        Intent::Report(why) => ("report", why.as_deref()),
        Intent::WouldRevoke(why) => ("would-revoke", Some(why.as_str())),
        Intent::Revoke => ("revoke", None),
        Intent::PutBack => ("put-back", None),
        Intent::Refuse(why) | Intent::Postpone(why) => ("refuse", Some(why.as_str())),
    }
}
