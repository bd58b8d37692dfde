//! The record: the machine text of an outcome. One versioned JSON value per group, enough to audit and to undo.
//!
//! Names and values are a contract with other programs: add, never rename.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Actor, Event};
use crate::model::group::{Group, RoleEvidence};
use crate::model::ids::Location;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::policy::endpoint;
use crate::policy::judge::{Finding, Portion};
use crate::policy::model::{Mode, Policy, Severity, Verdict};
use crate::policy::requirement::Unmet;
use crate::report::history::Contested;

/// Largest record in bytes before it is split; SNS takes 256 KiB with attributes.
pub const MAX_BYTES: usize = 200_000;

/// The worst thing that happened. Ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing to tell.
    Compliant,
    /// Told, nothing changed.
    Reported,
    /// Forbidden rules are gone, and read back as gone.
    Remediated,
    /// A guard kept us from revoking.
    Refused,
    /// Something that should be done is not done.
    Failed,
}

impl Outcome {
    /// The word of the record and the message attributes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::Reported => "reported",
            Self::Remediated => "remediated",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What became of one finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing was to be done.
    None,
    /// People are told.
    Reported,
    /// The rule would be revoked, were the mode `enforce`.
    WouldRevoke,
    /// Revoked, and read back as gone.
    Revoked,
    /// It was gone before we came.
    AlreadyGone,
    /// It changed between verdict and revoke and was judged again.
    Changed,
    /// A guard kept us from it.
    Refused,
    /// It should be gone and is not, or we could not see that it is.
    Failed,
}

impl Action {
    /// Whether the rule is not there any more.
    pub fn says_gone(self) -> bool {
        matches!(self, Self::Revoked | Self::AlreadyGone)
    }

    /// What this alone makes of the record.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::None => Outcome::Compliant,
            Self::Reported | Self::WouldRevoke | Self::AlreadyGone | Self::Changed => Outcome::Reported,
            Self::Revoked => Outcome::Remediated,
            Self::Refused => Outcome::Refused,
            Self::Failed => Outcome::Failed,
        }
    }
}

/// The record of one group.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Version of this shape.
    pub version: u8,
    /// CloudTrail's event id; null in a sweep, as are the next two.
    pub event_id: Option<String>,
    /// The call.
    pub event_name: Option<String>,
    /// When it completed.
    pub event_time: Option<Timestamp>,
    /// `event` or `sweep`.
    pub trigger: &'static str,
    /// The account looked at.
    pub account: String,
    /// The region looked at.
    pub region: String,
    /// The mode that named rules of this group follow.
    pub mode: Mode,
    /// The policy's name.
    pub policy: String,
    /// SHA-256 of its text.
    pub policy_hash: String,
    /// The worst severity; null without findings.
    pub severity: Option<Severity>,
    /// Who called; null in a sweep.
    pub actor: Option<Actor>,
    /// The group.
    pub group: GroupRecord,
    /// Everything that is not plainly allowed.
    pub findings: Vec<FindingRecord>,
    /// The worst of the findings' actions.
    pub outcome: Outcome,
    /// From the start of the invocation to the end of the work on this group.
    pub duration_ms: u64,
    /// Set when the record had to be split.
    pub part: Option<Part>,
}

/// The group as the record names it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GroupRecord {
    /// `sg-…`.
    pub id: String,
    /// Null when the group is gone.
    pub name: Option<String>,
    /// Null when the group is gone.
    pub vpc: Option<String>,
    /// Cluster names, comma-separated; null when none is known.
    pub cluster: Option<String>,
    /// What the group is to them.
    pub roles: Vec<RoleEvidence>,
}

impl From<&Group> for GroupRecord {
    fn from(group: &Group) -> Self {
        Self {
            id: group.id.clone(),
            name: Some(group.name.clone()),
            vpc: Some(group.vpc.clone()),
            cluster: group.cluster_names(),
            roles: group.roles.clone(),
        }
    }
}

/// What a revoke does to the connections that a rule let in. EC2 goes on with those it tracks until they time out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connections {
    /// They were not tracked, so they end with the rule. Those through NAT gateways or load balancers are always tracked.
    Cut,
    /// They were tracked.
    MayGoOn,
}

impl Connections {
    /// TCP and UDP from everybody is not tracked where everything may answer to everybody.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>
    pub fn of(rule: &Rule, rules_of_group: &[Rule]) -> Self {
        let is_world = |peer: &Peer| matches!(peer, Peer::Cidr(net) if net.prefix_len() == 0);
        let answers = |other: &Rule| {
            let is_all = match (rule.packets, other.packets) {
                (_, Packets::All) => true,
                (Packets::Tcp(..), Packets::Tcp(from, to)) | (Packets::Udp(..), Packets::Udp(from, to)) => {
                    (from, to) == (0, u16::MAX)
                }
                _ => false,
            };
            other.direction != rule.direction && is_all && other.peer == rule.peer
        };
        let is_untracked = matches!(rule.packets, Packets::Tcp(..) | Packets::Udp(..)) && is_world(&rule.peer);
        if is_untracked && rules_of_group.iter().any(answers) { Self::Cut } else { Self::MayGoOn }
    }
}

/// One finding with what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct FindingRecord {
    /// The rule, complete enough for an undo; null for a missing requirement.
    pub rule: Option<Rule>,
    /// The missing requirement's id; null for a rule.
    pub requirement: Option<String>,
    /// What the policy says.
    pub verdict: Verdict,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Whether the event named this rule.
    pub named_by_event: bool,
    /// What decided each portion.
    pub portions: Vec<PortionRecord>,
    /// What became of it.
    pub action: Action,
    /// Why, where the action alone does not say it.
    pub detail: Option<String>,
    /// When it was read back as gone after our revoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// What our revoke did to connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,
    /// When people were told of it, if it is no news now.
    #[serde(rename = "told_at", skip_serializing_if = "Option::is_none")]
    pub notified_at: Option<Timestamp>,
    /// That it comes back again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contested: Option<Contested>,
}

impl FindingRecord {
    /// The API's public endpoint is open to a great many. It stands where a requirement does, because it is about no rule.
    pub fn exposed(cluster: &str, severity: Severity, named_by_event: bool) -> Self {
        let portion = |(protocol, ports)| PortionRecord {
            clause: endpoint::ID.to_owned(),
            protocol,
            ports,
            peer_class: "internet".to_owned(),
            verdict: Verdict::Report,
            reason: "no security group guards the public endpoint of the API, only its list of blocks does".to_owned(),
        };
        let detail = format!(
            "a great many public addresses may call the API of cluster `{cluster}`; limit `publicAccessCidrs` to your networks, or turn the public endpoint off"
        );
        Self {
            rule: None,
            requirement: Some(endpoint::ID.to_owned()),
            verdict: Verdict::Report,
            severity: Some(severity),
            named_by_event,
            portions: endpoint::traffic().by_protocol().into_iter().map(portion).collect(),
            action: Action::Reported,
            detail: Some(detail),
            closed_at: None,
            connections: None,
            notified_at: None,
            contested: None,
        }
    }

    /// A rule with what became of it.
    pub fn of(finding: Finding, named_by_event: bool, action: Action, detail: Option<String>) -> Self {
        Self {
            requirement: None,
            verdict: finding.verdict,
            severity: finding.severity,
            named_by_event,
            portions: finding.portions.iter().flat_map(PortionRecord::of).collect(),
            action,
            detail,
            closed_at: None,
            connections: None,
            notified_at: None,
            contested: None,
            rule: Some(finding.rule),
        }
    }

    /// Whether something is missing, and not something open.
    pub fn is_missing(&self) -> bool {
        self.requirement.as_deref().is_some_and(|id| id != endpoint::ID)
    }

    /// What a cluster needs and does not have. Nothing is done about it: the guard opens nothing.
    pub fn missing(unmet: &Unmet<'_>, named_by_event: bool) -> Self {
        let requirement = unmet.requirement;
        let way = if requirement.direction == Direction::Ingress { "from" } else { "to" };
        let missing = unmet.missing.by_protocol();
        let words = missing.iter().map(|(protocol, ports)| format!("{protocol} {ports}")).collect::<Vec<_>>();
        let groups = unmet.groups.iter().map(String::as_str).collect::<Vec<_>>();
        let (words, groups, peers) = (words.join(" and "), groups.join(" and "), &unmet.peers);
        let portion = |(protocol, ports)| PortionRecord {
            clause: requirement.id.clone(),
            protocol,
            ports,
            peer_class: requirement.peer_class(),
            verdict: Verdict::Report,
            reason: requirement.reason.clone(),
        };
        Self {
            rule: None,
            requirement: Some(requirement.id.clone()),
            verdict: Verdict::Report,
            severity: Some(requirement.severity),
            named_by_event,
            portions: missing.into_iter().map(portion).collect(),
            action: Action::Reported,
            detail: Some(format!("interfaces that wear {groups} have no {words} {way} {peers}")),
            closed_at: None,
            connections: None,
            notified_at: None,
            contested: None,
        }
    }
}

/// A portion for machines: one per clause, peer class and protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortionRecord {
    /// The clause's id.
    pub clause: String,
    /// `tcp`, `-1`, `50`, `7-16`, …
    pub protocol: String,
    /// `10250`, `0-21,23-65535`, `3/4`, `all`, …
    pub ports: String,
    /// Which peers: `internet`, `private`, `self`, …
    pub peer_class: String,
    /// What the clause says.
    pub verdict: Verdict,
    /// Why; for people, so not part of the contract's record.
    #[serde(skip)]
    pub reason: String,
}

impl PortionRecord {
    /// One entry per protocol of the portion.
    pub fn of(portion: &Portion) -> impl Iterator<Item = Self> + '_ {
        portion.traffic.by_protocol().into_iter().map(|(protocol, ports)| Self {
            clause: portion.clause.clone(),
            protocol,
            ports,
            peer_class: portion.peer_class.to_owned(),
            verdict: portion.verdict,
            reason: portion.reason.clone(),
        })
    }
}

/// Which part of a split record this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// From 1.
    pub n: usize,
    /// How many there are.
    pub of: usize,
}

impl Record {
    /// The record of a group, with the worst of its findings. `event`: none in a sweep.
    pub fn of(
        location: &Location,
        policy: &Policy,
        mode: Mode,
        group: &Group,
        findings: Vec<FindingRecord>,
        event: Option<&Event>,
    ) -> Self {
        let outcome = findings.iter().map(|finding| finding.action.outcome()).max().unwrap_or(Outcome::Compliant);
        let severity = findings.iter().filter_map(|finding| finding.severity).max();
        Self {
            version: 1,
            event_id: event.map(|event| event.id.clone()),
            event_name: event.map(|event| event.name.clone()),
            event_time: event.and_then(|event| event.time),
            trigger: if event.is_some() { "event" } else { "sweep" },
            account: location.account.clone(),
            region: location.region.clone(),
            mode,
            policy: policy.name.clone(),
            policy_hash: policy.hash.clone(),
            // What a guard refused or AWS denied needs a person now, whatever the rule is.
            severity: if outcome >= Outcome::Refused { Some(Severity::Critical) } else { severity },
            actor: event.map(|event| event.actor.clone()),
            group: GroupRecord::from(group),
            findings,
            outcome,
            duration_ms: 0,
            part: None,
        }
    }

    /// The record as one or more that each stay below [`MAX_BYTES`] (a single finding may still be larger).
    pub fn split(self) -> Vec<Self> {
        let total = size(&self);
        if total <= MAX_BYTES {
            return vec![self];
        }
        let frame = total - self.findings.iter().map(|finding| size(finding) + 1).sum::<usize>().min(total);
        let mut parts: Vec<Vec<FindingRecord>> = vec![Vec::new()];
        let mut room = MAX_BYTES.saturating_sub(frame);
        for finding in &self.findings {
            let bytes = size(finding) + 1;
            if bytes > room && parts.last().is_some_and(|part| !part.is_empty()) {
                parts.push(Vec::new());
                room = MAX_BYTES.saturating_sub(frame);
            }
            room = room.saturating_sub(bytes);
            if let Some(part) = parts.last_mut() {
                part.push(finding.clone());
            }
        }
        let of = parts.len();
        let part = |(at, findings)| Self { findings, part: Some(Part { n: at + 1, of }), ..self.clone() };
        parts.into_iter().enumerate().map(part).collect()
    }
}

/// JSON size of a value.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}
