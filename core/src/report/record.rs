//! The record: the machine text of an outcome. One versioned JSON value per group (or cluster, or account), enough to audit
//! and to undo; what reads it shares this definition.
//!
//! Names and values are a contract with other programs: add, never rename.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::{Actor, Event};
pub use crate::model::group::Attachment;
use crate::model::group::{Group, RoleEvidence};
use crate::model::ids::Location;
use crate::model::rule::Rule;
use crate::model::words;
use crate::policy::model::{Mode, Policy, Severity};
use crate::report::finding::Finding;
use crate::report::outcome::Outcome;

/// Largest record in bytes before it is split; SNS takes 256 KiB with attributes.
pub const MAX_BYTES: usize = 200_000;

words! {
    /// Why we looked.
    pub enum TriggerKind {
        /// A call.
        Event = "event",
        /// The schedule, or somebody who asked for it.
        Sweep = "sweep",
    }
}

/// The record of one group, or of what is about none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", expecting = "a record of the guard")]
pub struct Record {
    /// Version of this shape.
    pub version: u8,
    /// CloudTrail's event id; null in a sweep, as are the next two.
    pub event_id: Option<String>,
    /// The call.
    pub event_name: Option<String>,
    /// When it completed.
    pub event_time: Option<Timestamp>,
    /// Why we looked.
    pub trigger: TriggerKind,
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
    /// Names of the clusters that it is about; none when none is known.
    #[serde(default)]
    pub clusters: Vec<String>,
    /// The group; null in a record about a cluster or the account.
    pub group: Option<GroupRecord>,
    /// Everything that is not plainly allowed, worst first.
    pub findings: Vec<Finding>,
    /// The worst of the findings' actions.
    pub outcome: Outcome,
    /// From the start of the invocation to the end of the work on this group.
    pub duration_ms: u64,
    /// Set when the record had to be split.
    pub part: Option<Part>,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Records of an earlier edition name their clusters in the group alone.
impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Self::deserialize(deserializer)?;
        if record.clusters.is_empty() {
            let names = record.group.as_ref().and_then(|group| group.cluster.as_deref()).unwrap_or_default();
            record.clusters = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        }
        Ok(record)
    }
}

/// What a record is about.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// A group.
    Group(&'a Group),
    /// The cluster of this name.
    Cluster(&'a str),
    /// The account and region.
    Account,
}

impl<'a> About<'a> {
    fn group(self) -> Option<&'a Group> {
        match self {
            Self::Group(group) => Some(group),
            Self::Cluster(_) | Self::Account => None,
        }
    }

    fn clusters(self) -> Vec<String> {
        match self {
            Self::Group(group) => group.clusters.iter().cloned().collect(),
            Self::Cluster(name) => vec![name.to_owned()],
            Self::Account => Vec::new(),
        }
    }
}

/// The group as the record names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "for-tests", derive(schemars::JsonSchema))]
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
    /// What the call put it on, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
    /// The rules that the call removed from it, as far as it says so: they may be what met what is missing now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Rule>,
}

impl From<&Group> for GroupRecord {
    fn from(group: &Group) -> Self {
        Self {
            id: group.id.clone(),
            name: Some(group.name.clone()),
            vpc: Some(group.vpc.clone()),
            cluster: group.cluster_names(),
            roles: group.roles.clone(),
            attachment: None,
            removed: Vec::new(),
        }
    }
}

/// Which part of a split record this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// From 1.
    pub n: usize,
    /// How many there are.
    pub of: usize,
}

impl Record {
    /// The record with the worst of its findings. `event`: none in a sweep.
    pub fn of(
        location: &Location,
        policy: &Policy,
        mode: Mode,
        about: About<'_>,
        findings: Vec<Finding>,
        event: Option<&Event>,
    ) -> Self {
        let mut record = Self {
            version: 1,
            event_id: event.map(|event| event.id.clone()),
            event_name: event.map(|event| event.call.name.to_owned()),
            event_time: event.and_then(|event| event.time),
            trigger: if event.is_some() { TriggerKind::Event } else { TriggerKind::Sweep },
            account: location.account.clone(),
            region: location.region.clone(),
            mode,
            policy: policy.name.clone(),
            policy_hash: policy.hash.clone(),
            severity: None,
            actor: event.map(|event| Actor { federated_provider: None, ..event.actor.clone() }),
            clusters: about.clusters(),
            group: about.group().map(GroupRecord::from),
            findings: Vec::new(),
            outcome: Outcome::Compliant,
            duration_ms: 0,
            part: None,
        };
        record.set_findings(findings);
        record
    }

    /// The id of the group, or the name of the cluster, that it is about. Empty: the account.
    pub fn about(&self) -> String {
        self.group.as_ref().map_or_else(|| self.clusters.join(","), |group| group.id.clone())
    }

    /// Gives it these findings instead of its own.
    pub fn set_findings(&mut self, findings: Vec<Finding>) {
        self.outcome = findings.iter().map(|finding| finding.action.outcome()).max().unwrap_or(Outcome::Compliant);
        let severity = findings.iter().filter_map(|finding| finding.severity).max();
        // What a guard refused or AWS denied needs a person now, whatever the rule is.
        self.severity = if self.outcome >= Outcome::Refused { Some(Severity::Critical) } else { severity };
        self.findings = findings;
    }

    /// The record as one or more that each stay below [`MAX_BYTES`] (a single finding may still be larger).
    pub fn split(self) -> Vec<Self> {
        let total = size(&self);
        if total <= MAX_BYTES {
            return vec![self];
        }
        let frame = total - self.findings.iter().map(|finding| size(finding) + 1).sum::<usize>().min(total);
        let mut parts: Vec<Vec<Finding>> = vec![Vec::new()];
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::finding::{Check, Kind, Subject};

    /// Records lie in queues and stores for longer than an edition lives.
    #[test]
    fn a_record_of_the_edition_without_kinds_and_clusters_is_read() {
        let finding = |rule: serde_json::Value, requirement: Option<&str>| {
            json!({
                "rule": rule, "requirement": requirement, "verdict": "report", "severity": "high",
                "named_by_event": false, "portions": [], "action": "reported", "detail": null,
            })
        };
        let rule = json!({
            "id": "sgr-0a1", "direction": "ingress", "protocol": "tcp", "from_port": 10250, "to_port": 10250,
            "peer": {"cidr": "0.0.0.0/0"}, "description": null, "tags": {},
        });
        let old = json!({
            "version": 1, "event_id": null, "event_name": null, "event_time": null, "trigger": "sweep",
            "account": "111122223333", "region": "eu-west-1", "mode": "enforce", "policy": "standard",
            "policy_hash": "0", "severity": "high", "actor": null,
            "group": {"id": "sg-0a1", "name": "node", "vpc": "vpc-0a1", "cluster": "prod,test", "roles": []},
            "findings": [
                finding(rule, None),
                finding(json!(null), Some("nodes-to-dns")),
                finding(json!(null), Some(Check::PublicEndpoint.word())),
            ],
            "outcome": "reported", "duration_ms": 1, "part": null,
        });
        let record: Record = serde_json::from_value(old).unwrap();
        assert_eq!(record.clusters, ["prod", "test"]);
        let [rule, requirement, endpoint] = record.findings.as_slice() else { panic!("{:?}", record.findings) };
        assert_eq!(rule.subject.kind(), Kind::Rule);
        assert_eq!(requirement.subject, Subject::Requirement("nodes-to-dns".to_owned()));
        assert_eq!(endpoint.subject, Subject::Check(Check::PublicEndpoint));
    }
}
