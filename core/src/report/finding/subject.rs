//! What a finding is about: the kinds, the checks, and how they stand in JSON.
//!
//! Names and values are a contract with other programs: add, never rename. Must not: say what was found.

use serde::{Deserialize, Serialize};

use crate::model::rule::Rule;
use crate::model::words;

words! {
    /// What sort of thing a finding is about.
    pub enum Kind {
        /// A rule of a group.
        Rule = "rule",
        /// Something that a cluster needs and does not have.
        Requirement = "requirement",
        /// The public endpoint of a cluster's API.
        Endpoint = "endpoint",
        /// A group as a whole.
        Group = "group",
        /// An account in a region as a whole.
        Account = "account",
    }
}

words! {
    /// What is looked at beside rules and requirements.
    pub enum Check {
        /// A great many public addresses may call the API of a cluster.
        PublicEndpoint = "public-endpoint",
        /// The guard may not read what it has to judge.
        ReadDenied = "read-denied",
        /// An event, or a look at everything, could not be handled to its end.
        Unfinished = "unfinished",
        /// Rules of a group cannot be understood, so nobody can judge them.
        UnreadableRule = "unreadable-rule",
        /// A group has come to another cluster.
        NewCluster = "new-cluster",
        /// Less than proof makes a group one of a cluster's.
        NewMember = "new-member",
        /// A sweep came across new rules of which no event has told.
        LostEvents = "lost-events",
        /// No trail logs EC2's management write events, so no event reaches the guard.
        NoTrail = "no-trail",
        /// It is not known whether one does.
        TrailsUnread = "trails-unread",
        /// The guard's own event rule does not deliver.
        RuleDisabled = "rule-disabled",
        /// It is not known whether it does.
        RuleUnread = "rule-unread",
    }
}

impl Check {
    /// What it is about.
    pub fn kind(self) -> Kind {
        match self {
            Self::PublicEndpoint => Kind::Endpoint,
            Self::UnreadableRule | Self::NewCluster | Self::NewMember | Self::LostEvents => Kind::Group,
            Self::ReadDenied
            | Self::Unfinished
            | Self::NoTrail
            | Self::TrailsUnread
            | Self::RuleDisabled
            | Self::RuleUnread => Kind::Account,
        }
    }

    /// Whether it is about what brings events to the guard: it stands until a look finds that all is well again.
    pub fn is_of_sight(self) -> bool {
        matches!(self, Self::NoTrail | Self::TrailsUnread | Self::RuleDisabled | Self::RuleUnread)
    }
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "WireSubject", try_from = "WireSubject")]
pub enum Subject {
    /// A rule, complete enough for an undo.
    Rule(Rule),
    /// A requirement that is not met, by its id.
    Requirement(String),
    /// A check that found something about a cluster, a group or the account.
    Check(Check),
}

impl Subject {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Rule(_) => Kind::Rule,
            Self::Requirement(_) => Kind::Requirement,
            Self::Check(check) => check.kind(),
        }
    }
}

/// A subject in JSON, where every kind has the same fields.
#[derive(Serialize, Deserialize)]
struct WireSubject {
    /// Records of an earlier edition have none; it is what it is beside.
    kind: Option<Kind>,
    rule: Option<Rule>,
    requirement: Option<String>,
    check: Option<Check>,
}

impl From<Subject> for WireSubject {
    fn from(subject: Subject) -> Self {
        let kind = subject.kind();
        let (rule, requirement, check) = match subject {
            Subject::Rule(rule) => (Some(rule), None, None),
            Subject::Requirement(id) => (None, Some(id), None),
            // It was called a requirement before there were checks, and is called so still.
            Subject::Check(check @ Check::PublicEndpoint) => (None, Some(check.word().to_owned()), Some(check)),
            Subject::Check(check) => (None, None, Some(check)),
        };
        Self { kind: Some(kind), rule, requirement, check }
    }
}

/// A kind without what it is about, or with a check of another kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a finding of kind `{}` needs its `{needs}`", .kind.word())]
pub struct SubjectError {
    kind: Kind,
    needs: &'static str,
}

impl TryFrom<WireSubject> for Subject {
    type Error = SubjectError;

    fn try_from(wire: WireSubject) -> Result<Self, SubjectError> {
        let kind = match (wire.kind, &wire.rule, &wire.requirement) {
            (Some(kind), ..) => kind,
            (None, Some(_), _) => Kind::Rule,
            (None, None, Some(id)) if id == Check::PublicEndpoint.word() => {
                return Ok(Self::Check(Check::PublicEndpoint));
            }
            (None, None, _) => Kind::Requirement,
        };
        let (subject, needs) = match kind {
            Kind::Rule => (wire.rule.map(Self::Rule), "rule"),
            Kind::Requirement => (wire.requirement.map(Self::Requirement), "requirement"),
            Kind::Endpoint | Kind::Group | Kind::Account => {
                (wire.check.filter(|check| check.kind() == kind).map(Self::Check), "check")
            }
        };
        subject.ok_or(SubjectError { kind, needs })
    }
}
