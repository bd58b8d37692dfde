//! Turns any payload into a `Trigger`: what may have changed, and who did it.
//!
//! Owns: payloads, batches and CloudTrail records in all their forms. Must not: decide anything, or believe what an event
//! says about the content of a rule; that only says where to look.

mod actor;
pub mod batch;
mod calls;
mod change;
mod claim;
pub mod described;
mod envelope;
mod fields;
pub mod json;
pub mod payload;
mod rules;
pub mod work;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::ids::Location;
use crate::model::rule::{Direction, Packets, Peer, Rule};
pub use calls::{CALLS, Call};

/// What an invocation asks of us.
#[allow(clippy::large_enum_variant, reason = "one value per invocation, moved once")]
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// A call may have opened a path.
    Change(Change),
    /// Look at everything (`groups` empty), or at these groups.
    Sweep {
        /// `sg-…` ids; empty means every EKS group of the account and region.
        groups: Vec<String>,
    },
    /// There was an event, and nobody knows what it was: look at everything, once for all of them.
    Lost,
}

/// A payload that was understood: something to look at, or a reason why there is nothing.
#[allow(clippy::large_enum_variant, reason = "one value per invocation, moved once")]
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// Look.
    Trigger(Trigger),
    /// Nothing to do, and why, for people.
    Ignored(String),
}

/// One CloudTrail event of a call that may have opened a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Who, when, where.
    pub event: Event,
    /// What to look at.
    pub subject: Target,
    /// Whether it may have changed who may call the public endpoint of a cluster's API.
    pub touches_endpoint: bool,
    /// The rules that it removed, as far as it describes them: for people, who may want them back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<NamedRule>,
}

impl Change {
    /// The groups of a change to rules or groups, with the rules it names; empty for every other subject.
    pub fn touched(&self) -> &[Touched] {
        match &self.subject {
            Target::Groups(touched) => touched,
            _ => &[],
        }
    }
}

/// What was changed. The less an event says, the wider its subject: we then look at more groups, never at fewer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// At least one group, each with the rules that the event names in it.
    Groups(Vec<Touched>),
    /// Groups were attached to a network interface or an instance. At least one of the two fields says something.
    Attached {
        /// The interface (`eni-…`) or instance (`i-…`), if the event names it.
        attachment: Option<String>,
        /// `sg-…` ids: every group that is attached to it now, also those that were before. Empty if the event does not list
        /// all of them: then EC2 has to be asked which groups the attachment has.
        groups: Vec<String>,
    },
    /// The entries of this list changed, `pl-…`, and so did every rule that uses it.
    PrefixList(ListChange),
    /// The configuration of a cluster changed: its groups, or who may reach its public endpoint.
    Cluster {
        /// Its name.
        name: String,
        /// The node group, if the call was about one and says which.
        node_group: Option<String>,
    },
    /// Trails log less from now on, or more. Which of them does not matter: all are looked at.
    Trails,
    /// A rule of EventBridge changed. `None`: the event does not say which.
    EventRule(Option<String>),
    /// The event does not say, because its parameters are omitted or unreadable: look at everything.
    Unknown,
}

/// The fields of a CloudTrail record that people and records need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// CloudTrail's `eventID`, the same when an event is delivered twice; its `requestID` if a transformer dropped that.
    pub id: String,
    /// Which call it was: `AuthorizeSecurityGroupIngress`, …
    #[serde(serialize_with = "calls::write", deserialize_with = "calls::read")]
    pub call: &'static Call,
    /// When the call completed, else when the event was sent; `None` when neither is readable.
    pub time: Option<Timestamp>,
    /// The account the event was delivered for, and the region of the call, as told: compare them with the locations you
    /// guard before you use them.
    pub location: Location,
    /// Who called.
    pub actor: Actor,
}

/// Who made the call. All of it is text from outside; only `arn`, `session_issuer` and
/// `federated_provider` say who it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The principal.
    pub arn: Option<String>,
    /// `IAMUser`, `AssumedRole`, `Root`, …
    pub r#type: Option<String>,
    /// The account of a caller whom nothing else names, such as another account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The role behind an assumed-role session, by ARN (with its path, which the session ARN lacks).
    pub session_issuer: Option<String>,
    /// The identity provider that vouched for the session, by ARN: of a pod with a web identity, its cluster's. The policy
    /// asks for it; no record has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated_provider: Option<String>,
    /// An address, or the host name of an AWS service.
    pub source_ip: Option<String>,
    /// The program, as it calls itself.
    pub user_agent: Option<String>,
    /// The AWS service that made the call for the principal.
    pub invoked_by: Option<String>,
}

impl Actor {
    /// The role or the user, whatever the session.
    pub fn principal(&self) -> Option<String> {
        let without_session = |arn: &String| match arn.split_once(":assumed-role/") {
            Some((account, role)) => {
                format!("{account}:assumed-role/{}", role.split('/').next().unwrap_or_default())
            }
            None => arn.clone(),
        };
        self.session_issuer.clone().or_else(|| self.arn.as_ref().map(without_session))
    }
}

/// A customer's prefix list whose entries changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListChange {
    /// `pl-…`.
    pub list: String,
    /// What the event says that it gained, to tell what was open for a moment.
    #[serde(default)]
    pub gained: Vec<IpNet>,
    /// The version whose entries it was given back. Which these are the event does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<i64>,
}

/// One group that may have changed, and which of its rules the event names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Touched {
    /// Which group.
    pub group: GroupRef,
    /// Which rules.
    pub named: Named,
}

/// How the event names the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupRef {
    /// `sg-…`.
    Id(String),
    /// Its name in the default VPC, where a call may give the name alone.
    Name(String),
}

impl GroupRef {
    /// The id or the name, for messages.
    pub fn text(&self) -> &str {
        match self {
            Self::Id(text) | Self::Name(text) => text,
        }
    }
}

/// The rules of a group that an event names. Only these follow `GUARD_MODE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// None: something about the group may have changed.
    Nothing,
    /// These.
    Rules(Vec<NamedRule>),
    /// Those that use this prefix list, whose entries changed: `pl-…`.
    Using(ListChange),
    /// All of them: the event says which group, but not which rules.
    Everything,
}

impl Named {
    /// The rules that it names one by one.
    pub fn rules(&self) -> &[NamedRule] {
        match self {
            Self::Rules(rules) => rules,
            Self::Nothing | Self::Using(_) | Self::Everything => &[],
        }
    }
}

/// One rule that an event names, by id, by content, or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedRule {
    /// `sgr-…`, if the event has it.
    pub id: Option<String>,
    /// What the event says the rule is. Used to find a rule whose id the event lacks, and to describe one that is gone. The
    /// policy judges the live rule, never this.
    pub claim: Option<Claim>,
}

impl NamedRule {
    /// A rule that is named by its content alone.
    pub fn of(rule: &Rule) -> Self {
        let Rule { direction, packets, peer, .. } = rule.clone();
        Self { id: None, claim: Some(Claim { direction: Some(direction), packets, peer }) }
    }

    /// The rule as the event describes it. `None`: it does not.
    pub fn claimed(&self) -> Option<Rule> {
        let Claim { direction, packets, peer } = self.claim.clone()?;
        // Only a modified rule comes without direction; of the two, ingress is the one to worry about.
        let rule = Rule::new(direction.unwrap_or(Direction::Ingress), packets, peer);
        Some(Rule { id: self.id.clone().unwrap_or_default(), ..rule })
    }
}

/// The content of a rule as an event describes it, in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "WireClaim", from = "WireClaim")]
pub struct Claim {
    /// From the response, else from the name of the call; `None` for `ModifySecurityGroupRules`, which does not say.
    pub direction: Option<Direction>,
    /// Protocol and ports.
    pub packets: Packets,
    /// Source or destination.
    pub peer: Peer,
}

/// A claim as the rule that it describes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireClaim {
    says_direction: bool,
    rule: Rule,
}

impl From<Claim> for WireClaim {
    fn from(Claim { direction, packets, peer }: Claim) -> Self {
        let rule = Rule::new(direction.unwrap_or(Direction::Ingress), packets, peer);
        Self { says_direction: direction.is_some(), rule }
    }
}

impl From<WireClaim> for Claim {
    fn from(WireClaim { says_direction, rule }: WireClaim) -> Self {
        let Rule { direction, packets, peer, .. } = rule;
        Self { direction: says_direction.then_some(direction), packets, peer }
    }
}

/// Why a payload could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}; expected {expected}")]
pub struct EventError {
    /// The JSON path at which the problem stands, `$` for the whole payload.
    pub at: String,
    /// What was found there.
    pub what: String,
    /// What would have been right.
    pub expected: String,
}

impl EventError {
    /// The same error, where the payload is itself part of another one and stands there at this path.
    fn inside(self, path: &str) -> Self {
        let at = format!("{path}{}", self.at.strip_prefix('$').unwrap_or(&self.at));
        Self { at, ..self }
    }
}
