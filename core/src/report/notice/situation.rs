//! What a finding is to the person who reads of it: open or closed, lost or broken. One table of situations; each has its
//! own first lines and steps, in the files that ask.
//!
//! Must not: write sentences.

use std::cmp::Reverse;

use crate::model::rule::Rule;
use crate::policy::model::{Severity, Verdict};
use crate::report::finding::{Check, Finding, ListRecord, Subject};
use crate::report::outcome::{Action, Left};
use crate::report::record::Record;

/// In the order in which people have to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Situation {
    /// The guard could not look, or hears of nothing.
    Blind,
    /// It should be closed, and is open.
    Open,
    /// It was revoked, and the list that made it forbidden still holds what it gained.
    Listed,
    /// A rule that was edited in place was revoked, and what it was before went with it.
    Lost,
    /// It was revoked.
    Closed,
    /// A rule that was edited in place is what it was before.
    PutBack,
    /// A cluster needs it, and it is not open.
    Broken,
    /// According to the event it was open; it was not when we looked.
    WasOpen,
    /// The public endpoint of a cluster's API.
    Endpoint,
    /// It is open, and a person has to say whether that is meant.
    ToCheck,
    /// Nobody knows what it lets in.
    Unreadable,
    /// Nobody knows whether the guard hears of changes.
    Unsure,
    /// A group came to a cluster.
    Joined,
    /// It was changed meanwhile, to something that is allowed.
    Changed,
    /// It was gone before we could close it.
    Gone,
}

impl Situation {
    pub(super) fn of(finding: &Finding) -> Self {
        match (&finding.subject, finding.action) {
            (
                Subject::Check(
                    Check::ReadDenied | Check::Unfinished | Check::LostEvents | Check::NoTrail | Check::RuleDisabled,
                ),
                _,
            ) => Self::Blind,
            (Subject::Check(Check::TrailsUnread | Check::RuleUnread), _) => Self::Unsure,
            (Subject::Check(Check::PublicEndpoint), _) => Self::Endpoint,
            (Subject::Check(Check::UnreadableRule), _) => Self::Unreadable,
            (Subject::Check(Check::NewCluster | Check::NewMember), _) => Self::Joined,
            (Subject::Requirement(_), _) => Self::Broken,
            (_, Action::Revoked) if finding.before.is_some() => Self::Lost,
            (_, Action::Revoked) if gained(finding).is_some() => Self::Listed,
            (_, Action::Revoked) => Self::Closed,
            (_, Action::Restored) => Self::PutBack,
            (_, Action::WasOpen) => Self::WasOpen,
            (_, Action::Changed) => Self::Changed,
            (_, Action::AlreadyGone) => Self::Gone,
            (_, Action::Failed | Action::Refused | Action::Postponed | Action::WouldRevoke) => Self::Open,
            (_, Action::None | Action::Reported) if finding.verdict == Verdict::Revoke => Self::Open,
            (_, Action::None | Action::Reported) => Self::ToCheck,
        }
    }

    /// The first word of a subject.
    pub(super) fn state(self) -> &'static str {
        match self {
            Self::Blind => "BLIND",
            // A revoke takes nothing out of a list: whoever reads `CLOSED` would leave it open.
            Self::Open | Self::Listed | Self::Endpoint | Self::ToCheck => "OPEN",
            Self::Lost | Self::Closed | Self::PutBack => "CLOSED",
            Self::Broken => "BROKEN",
            Self::WasOpen | Self::Gone => "WAS OPEN",
            Self::Unreadable | Self::Unsure => "UNKNOWN",
            Self::Joined | Self::Changed => "CHANGED",
        }
    }

    /// Whether the guard closed it.
    pub(super) fn is_closed_by_us(self) -> bool {
        matches!(self, Self::Listed | Self::Lost | Self::Closed | Self::PutBack)
    }

    /// Whether the rule is open now.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::ToCheck)
    }
}

/// The list of a rule, where that gained what nobody took out of it yet.
pub(super) fn gained(finding: &Finding) -> Option<&ListRecord> {
    finding.list.as_ref().filter(|list| !list.gained.is_empty())
}

/// A finding with the record that it stands in.
#[derive(Clone, Copy)]
pub(super) struct Topic<'a> {
    pub(super) record: &'a Record,
    pub(super) finding: &'a Finding,
    pub(super) situation: Situation,
}

impl<'a> Topic<'a> {
    pub(super) fn new(record: &'a Record, finding: &'a Finding) -> Self {
        Self { record, finding, situation: Situation::of(finding) }
    }

    /// The rule with its group, if it is about one.
    pub(super) fn rule(&self) -> Option<(&'a str, &'a Rule)> {
        Some((self.record.group.as_ref()?.id.as_str(), self.finding.rule()?))
    }

    /// Whether somebody opened it, whatever became of it.
    pub(super) fn was_opened(&self) -> bool {
        self.situation.is_closed_by_us()
            || matches!(self.situation, Situation::Open | Situation::WasOpen | Situation::Gone)
    }

    /// Whether it is open, and nothing has to be done before it is closed: no cluster and nobody else depends on it.
    pub(super) fn is_to_be_closed(&self) -> bool {
        let is_in_use = matches!(self.finding.for_people.left, Some(Left::Shared | Left::Needed | Left::SameCluster));
        self.situation == Situation::Open && !is_in_use
    }

    fn rank(&self) -> (u8, Reverse<Option<Severity>>, Situation, Reverse<bool>) {
        let tier = match self.situation {
            Situation::Blind | Situation::Open | Situation::Listed => 0,
            // Whoever reads `CLOSED` at night goes on sleeping, while something stands still.
            Situation::Broken => 1,
            Situation::Changed | Situation::Gone => 3,
            _ => 2,
        };
        (tier, Reverse(self.finding.severity), self.situation, Reverse(self.finding.named_by_event))
    }
}

/// What these records say, in the order in which people have to know: what is open before what is broken, that before
/// what is closed, and the worst before the rest.
pub(super) fn topics<'a>(records: &[&'a Record]) -> Vec<Topic<'a>> {
    let of =
        |record: &&'a Record| record.findings.iter().map(|finding| Topic::new(record, finding)).collect::<Vec<_>>();
    let mut topics: Vec<Topic<'a>> = records.iter().flat_map(of).collect();
    topics.sort_by_cached_key(Topic::rank);
    topics
}

/// The worst severity of what a person has to know first.
pub(super) fn severity(records: &[&Record]) -> Option<Severity> {
    records.iter().filter_map(|record| record.severity).max()
}
