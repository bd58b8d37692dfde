//! A finding: something to say, what it is about, and what became of it. One type for every kind, written and read.
//!
//! Owns: the order in which findings stand. Names and values are a contract with other programs: add, never rename. Must
//! not: judge (the policy does) or write sentences for people, but for `detail`.

mod list;
mod portion;
mod subject;

pub use list::ListRecord;
pub use portion::PortionRecord;
pub use subject::{Check, Kind, Subject, SubjectError};

use std::borrow::Borrow;
use std::cmp::Reverse;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::rule::Rule;
use crate::model::text::{and, first_few};
use crate::policy::endpoint;
use crate::policy::judge::JudgedRule;
use crate::policy::model::{PeerClass, Severity, Verdict};
use crate::policy::requirement::Unmet;
use crate::report::outcome::{Action, Connections, Contested, Left, Told};

/// Rules that are named in a text; the rest is counted.
const MAX_NAMED: usize = 10;

/// Something to say, with what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// What the policy says.
    pub verdict: Verdict,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Whether the event named this rule.
    pub named_by_event: bool,
    /// Whether this rule is known, and not new: it follows `GUARD_SWEEP_MODE`. Records of an earlier edition do not say.
    #[serde(default)]
    pub known: bool,
    /// What decided each portion; none where it is about no traffic.
    pub portions: Vec<PortionRecord>,
    /// What became of it.
    pub action: Action,
    /// Why, where the action alone does not say it.
    pub detail: Option<String>,
    /// What the rule was known as before it was edited in place to what it was found as. That is what `restored` put it back
    /// to, and what a revoke lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Rule>,
    /// The prefix list that the rule names, where its entries could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListRecord>,
    /// When it was read back as gone or put back, after we closed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// What that did to connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,
    /// When people were notified of it, if it is no news now.
    #[serde(rename = "told_at", skip_serializing_if = "Option::is_none")]
    pub notified_at: Option<Timestamp>,
    /// That it comes back again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contested: Option<Contested>,
    /// When people hear of it; no part of the contract's record.
    #[serde(skip)]
    pub for_people: ForPeople,
}

/// What decides when people hear of a finding, and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForPeople {
    /// Why they have to although the rule is known and left.
    pub told: Option<Told>,
    /// Whether the rule is a controller's own.
    pub is_controllers: bool,
    /// Whether its prefix list gained something to look at since it was known.
    pub has_gained: bool,
    /// What the prefix list of the rule holds, where it could be read.
    pub lets_in: Option<Vec<IpNet>>,
    /// What of that came since the rule was known.
    pub gained: Vec<IpNet>,
    /// Why a rule that should be closed is left to a person, where that says what to do instead.
    pub left: Option<Left>,
    /// The rules that would do instead of one that the cluster depends on, and let in nobody else, where they are known.
    pub instead: Vec<Rule>,
    /// Since when it stands, as far as is remembered.
    pub since: Option<Timestamp>,
    /// Whether people have heard of it as it is.
    pub is_unchanged: bool,
}

impl Finding {
    /// A rule that the policy objects to; whether the event named it, and whether it is known.
    pub fn of_rule(
        judged: impl Borrow<JudgedRule>,
        (named_by_event, known): (bool, bool),
        action: Action,
        detail: Option<String>,
    ) -> Self {
        let judged = judged.borrow();
        Self {
            portions: judged.portions.iter().flat_map(PortionRecord::of).collect(),
            verdict: judged.verdict,
            severity: judged.severity,
            named_by_event,
            known,
            action,
            detail,
            ..Self::reported(Subject::Rule(judged.rule.clone()), None, String::new())
        }
    }

    /// What a cluster needs and does not have. Nothing is done about it: the guard adds no rule.
    pub fn missing(unmet: &Unmet<'_>, named_by_event: bool) -> Self {
        let requirement = unmet.requirement;
        let portion = |(protocol, ports)| PortionRecord {
            clause: requirement.id.clone(),
            protocol,
            ports,
            peer_class: requirement.peer_class(),
            addresses: None,
            verdict: Verdict::Report,
            reason: requirement.reason.clone(),
        };
        let detail = format!("{} have no {}", unmet.interfaces(), unmet.what());
        Self {
            named_by_event,
            portions: unmet.missing.by_protocol().into_iter().map(portion).collect(),
            ..Self::reported(Subject::Requirement(requirement.id.clone()), Some(requirement.severity), detail)
        }
    }

    /// The public endpoint of a cluster's API is open to a great many.
    pub fn exposed(cluster: &str, severity: Severity, named_by_event: bool) -> Self {
        let portion = |(protocol, ports)| PortionRecord {
            clause: Check::PublicEndpoint.word().to_owned(),
            protocol,
            ports,
            peer_class: PeerClass::Internet.word().to_owned(),
            addresses: None,
            verdict: Verdict::Report,
            reason: "no security group guards the public endpoint of the API, only its CIDR list does".to_owned(),
        };
        let detail = format!(
            "a great many public addresses may call the API of cluster `{cluster}`; limit `publicAccessCidrs` to your \
             networks, or turn the public endpoint off: but first see that private access is on, or nodes and people may be \
             locked out"
        );
        Self {
            named_by_event,
            portions: endpoint::traffic().by_protocol().into_iter().map(portion).collect(),
            ..Self::reported(Subject::Check(Check::PublicEndpoint), Some(severity), detail)
        }
    }

    /// The guard may not look, so nothing was judged. `why`: the error with its causes.
    pub fn read_denied(why: String) -> Self {
        let subject = Subject::Check(Check::ReadDenied);
        Self { action: Action::Failed, ..Self::reported(subject, Some(Severity::Critical), why) }
    }

    /// Something could not be handled to its end, so what it opened may still be open. `why`: what, and the error.
    pub fn unfinished(why: String) -> Self {
        let subject = Subject::Check(Check::Unfinished);
        Self { action: Action::Failed, ..Self::reported(subject, Some(Severity::Critical), why) }
    }

    /// Some rules of a group could not be understood; the others were judged. `rules`: each with what was read.
    pub fn unreadable(rules: &[String], named_by_event: bool) -> Self {
        let detail = format!(
            "{}; the guard judged the other rules and can't judge this; look at it by hand, and tell us what EC2 shows",
            rules.join("; ")
        );
        let subject = Subject::Check(Check::UnreadableRule);
        Self { named_by_event, ..Self::reported(subject, Some(Severity::High), detail) }
    }

    /// The group counts for a cluster that it did not count for before, and did for another one.
    pub fn new_cluster(cluster: &str) -> Self {
        let detail = format!(
            "the group has come to cluster `{cluster}` too: the stricter mode of its clusters counts now, and exceptions \
             must hold for each of them"
        );
        Self::reported(Subject::Check(Check::NewCluster), Some(Severity::High), detail)
    }

    /// The group counts for a cluster from now on, although only ordinary tags and what it is beside say so.
    pub fn new_member(cluster: &str) -> Self {
        let detail = format!(
            "ordinary tags, and what it is attached to, make the group one of cluster `{cluster}`; rules that name it count \
             as the cluster's own from tomorrow on. If nobody meant that, take the tags off"
        );
        Self::reported(Subject::Check(Check::NewMember), Some(Severity::Medium), detail)
    }

    /// No event has told of these rules, which a sweep first saw then. `rules`: each in words.
    pub fn lost_events(rules: Vec<String>, since: Timestamp) -> Self {
        let words = first_few(rules, MAX_NAMED, |rest| format!("{rest} more"));
        let detail = format!(
            "no event came for {}, which the sweep of {} saw first: the guard hears of changes late or not at all",
            and(&words),
            since.strftime("%Y-%m-%d %H:%M UTC")
        );
        Self::reported(Subject::Check(Check::LostEvents), Some(Severity::High), detail)
    }

    /// What brings events to the guard is wrong, or not known. `lines`: what was found, one thing each.
    pub fn of_sight(check: Check, severity: Severity, lines: &[String], named_by_event: bool) -> Self {
        Self { named_by_event, ..Self::reported(Subject::Check(check), Some(severity), lines.join("\n")) }
    }

    fn reported(subject: Subject, severity: Option<Severity>, detail: String) -> Self {
        Self {
            subject,
            verdict: Verdict::Report,
            severity,
            named_by_event: false,
            known: false,
            portions: Vec::new(),
            action: Action::Reported,
            detail: Some(detail),
            before: None,
            list: None,
            closed_at: None,
            connections: None,
            notified_at: None,
            contested: None,
            for_people: ForPeople::default(),
        }
    }

    /// Notes when a rule that we closed was read back as closed, and what became of its connections; nothing of any other
    /// finding.
    pub fn close(&mut self, at: Timestamp, rules_of_group: &[Rule]) {
        if let Subject::Rule(rule) = &self.subject
            && self.action.is_closed_by_us()
        {
            self.connections = Some(Connections::of(rule, rules_of_group));
            self.closed_at = Some(at);
        }
    }

    /// The rule that it is about, if it is about one.
    pub fn rule(&self) -> Option<&Rule> {
        match &self.subject {
            Subject::Rule(rule) => Some(rule),
            Subject::Requirement(_) | Subject::Check(_) => None,
        }
    }

    /// What brings events to the guard, if it is about that.
    pub fn sight(&self) -> Option<Check> {
        match self.subject {
            Subject::Check(check) if check.is_of_sight() => Some(check),
            Subject::Check(_) | Subject::Rule(_) | Subject::Requirement(_) => None,
        }
    }

    /// Whether something is missing, and not something open.
    pub fn is_missing(&self) -> bool {
        matches!(self.subject, Subject::Requirement(_))
    }
}

/// The order in which findings stand wherever they are shown: what needs a person first, then what the event did, then the
/// worst. The first one is the headline.
pub fn worst_first(findings: &mut [Finding]) {
    findings.sort_by_cached_key(|finding| {
        let rank = (finding.action.outcome(), finding.named_by_event, finding.verdict, finding.severity);
        (Reverse(rank), finding.subject.kind(), finding.rule().map(|rule| rule.id.clone()))
    });
}

#[cfg(test)]
mod tests;
