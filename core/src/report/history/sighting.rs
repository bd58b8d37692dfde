//! A finding as it is seen now: who opened it, what people are to be told of it, and for how long the same is no news.
//!
//! Must not: know what was seen before.

use std::collections::BTreeSet;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::key::digest;
use crate::event::Event;
use crate::model::region::Addresses;
use crate::model::text::plain;
use crate::policy::model::{Severity, Verdict};
use crate::report::finding::{Check, Finding, ForPeople};
use crate::report::outcome::{Action, Outcome, Told};

/// The same finding is sent once in this time. Long enough for a controller that tries again every few minutes, short enough
/// that what is still open an hour later is sent again in the same shift.
pub const QUIET_PERIOD: SignedDuration = SignedDuration::from_hours(1);
/// Openings count for this long, and a rule is called contested once in this time.
pub const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Blocks of a prefix list that are remembered.
const MAX_BLOCKS: usize = 400;

/// A finding as it is seen now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What became of it.
    pub action: Action,
    /// When it was opened and by whom. `None`: it stood there before, or it was gone when we came; then nobody opened it
    /// again, and it only counts as seen.
    pub opened: Option<(Timestamp, Option<String>)>,
    /// The same is no news for so long. Zero: it is news each time.
    pub quiet_for: SignedDuration,
    /// Whether it is only to be looked at.
    pub is_report: bool,
    /// The id of the rule that stands open, or what of the guard's sight is wrong. `None`: nothing, or it is about neither.
    pub rule: Option<String>,
    /// Who opened it: a role or a user, whatever the session.
    pub principal: Option<String>,
    /// What people are to be told of it.
    pub said: Said,
}

/// What people were told of a finding, as far as another word makes it news.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    pub(super) severity: Option<Severity>,
    pub(super) why_left: Option<Told>,
    pub(super) lets_in: Option<LetsIn>,
}

/// What a prefix list lets in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum LetsIn {
    Blocks(BTreeSet<IpNet>),
    /// Of too many blocks to keep, so that any other list counts as more.
    Digest(String),
}

impl LetsIn {
    pub(super) fn of(blocks: &[IpNet]) -> Self {
        if blocks.len() <= MAX_BLOCKS {
            return Self::Blocks(blocks.iter().copied().collect());
        }
        let blocks: Vec<String> = blocks.iter().map(IpNet::to_string).collect();
        Self::Digest(digest(&blocks.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    fn is_more_than(&self, known: &Self) -> bool {
        match (self, known) {
            (Self::Blocks(now), Self::Blocks(known)) => {
                let [now, known] = [now, known].map(|blocks| blocks.iter().copied().collect::<Addresses>());
                !now.without(&known).is_empty()
            }
            (now, known) => now != known,
        }
    }
}

impl Said {
    fn of(finding: &Finding) -> Self {
        let ForPeople { told, lets_in, .. } = &finding.for_people;
        Self { severity: finding.severity, why_left: *told, lets_in: lets_in.as_deref().map(LetsIn::of) }
    }

    /// Whether it says more than what people know. Of what an earlier edition told, not all is known.
    pub(super) fn is_news_after(&self, known: &Self) -> bool {
        known.severity.is_some_and(|known| self.severity.is_some_and(|now| now > known))
            || (self.why_left.is_some() && self.why_left != known.why_left)
            || self.lets_in.as_ref().zip(known.lets_in.as_ref()).is_some_and(|(now, known)| now.is_more_than(known))
    }
}

impl Sighting {
    /// A finding that came with this event, or in a sweep. The time of the event counts and not that of its arrival, so that
    /// one event is one opening, however often and in whatever order events come.
    pub fn of(finding: &Finding, event: Option<&Event>, now: Timestamp) -> Self {
        let is_open = !is_over(finding.action);
        let sight = finding.sight();
        let is_opened = finding.rule().is_some() || sight.is_some();
        let named = event.filter(|_| is_open && finding.named_by_event && is_opened);
        let opened = |event: &Event| (event.time.unwrap_or(now).min(now), event.actor.arn.as_deref().map(plain));
        let quiet_for = if matches!(sight, Some(Check::TrailsUnread | Check::RuleUnread)) {
            // As long as it stands.
            SignedDuration::MAX
        } else if finding.known && finding.action == Action::Refused {
            // It was there before and nothing is done about it: a person has to.
            DAY
        } else if finding.action.outcome() >= Outcome::Refused {
            SignedDuration::ZERO
        } else {
            QUIET_PERIOD
        };
        let is_standing = is_open && !finding.action.is_closed_by_us() && finding.action != Action::WasOpen;
        Self {
            action: finding.action,
            opened: named.map(opened),
            quiet_for,
            is_report: finding.verdict == Verdict::Report,
            rule: finding
                .rule()
                .map(|rule| rule.id.clone())
                .or(sight.map(|check| check.word().to_owned()))
                .filter(|_| is_standing),
            principal: named.and_then(|event| event.actor.principal()).map(|name| plain(&name)),
            said: Said::of(finding),
        }
    }

    /// The same at a try after the first one of the guard's own, of which people heard.
    #[must_use]
    pub fn tried_again(self) -> Self {
        Self { quiet_for: self.quiet_for.max(QUIET_PERIOD), ..self }
    }
}

/// Whether it stands open no more, or never did.
pub(super) fn is_over(action: Action) -> bool {
    matches!(action, Action::None | Action::AlreadyGone | Action::Changed)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, finding};
    use super::*;
    use crate::model::ids::Location;
    use crate::report::finding::Subject;

    #[test]
    fn only_an_open_rule_that_the_event_names_was_opened_by_it() {
        let event = Event {
            id: "e".to_owned(),
            call: &crate::event::CALLS[0],
            time: Some(at(0)),
            location: Location::default(),
            actor: crate::event::Actor { arn: Some("ann".to_owned()), ..crate::event::Actor::default() },
        };
        let by_ann = |minutes| Some((at(minutes), Some("ann".to_owned())));
        let later = Event { time: Some(at(9)), ..event.clone() };
        let untimed = Event { time: None, ..event.clone() };
        let missing = Finding { subject: Subject::Requirement("kubelet".to_owned()), ..finding(Action::Reported) };
        for (name, finding, event, expected) in [
            ("revoked", finding(Action::Revoked), Some(&event), by_ann(0)),
            ("reported", finding(Action::Reported), Some(&event), by_ann(0)),
            ("left open", finding(Action::Failed), Some(&event), by_ann(0)),
            ("an event without a time counts when it comes", finding(Action::Revoked), Some(&untimed), by_ann(5)),
            ("an event from the future too", finding(Action::Revoked), Some(&later), by_ann(5)),
            ("gone before we came", finding(Action::AlreadyGone), Some(&event), None),
            ("a sweep", finding(Action::Revoked), None, None),
            ("not named", Finding { named_by_event: false, ..finding(Action::Revoked) }, Some(&event), None),
            ("a requirement", missing, Some(&event), None),
        ] {
            assert_eq!(Sighting::of(&finding, event, at(5)).opened, expected, "{name}");
        }
    }
}
