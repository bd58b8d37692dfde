//! A rule with its verdict, portion by portion: what the judge says.
//!
//! Must not: decide anything.

use crate::model::region::Traffic;
use crate::model::rule::Rule;
use crate::policy::model::{PeerClass, Severity, Verdict};
use crate::policy::named::Part;

/// What stands in place of a clause where a prefix list could not be read.
pub const UNREADABLE_LIST: &str = "unreadable-prefix-list";

/// A rule with its verdict, and why. What is not allowed becomes a finding once it is known what becomes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedRule {
    /// The rule as it was read.
    pub rule: Rule,
    /// The worst of the portions.
    pub verdict: Verdict,
    /// The worst of the portions that are not allowed.
    pub severity: Option<Severity>,
    /// What decided each part of the rule, in the order of the clauses.
    pub portions: Vec<Portion>,
}

/// A part of a rule that one clause decided for one class of peers.
#[derive(Clone, Debug, PartialEq)]
pub struct Portion {
    /// The clause's id; `uncovered` and `unreadable-prefix-list` where no clause speaks.
    pub clause: String,
    /// The clause's position in the policy: in other clusters another one may have its id.
    pub position: Option<usize>,
    /// Protocols and ports of the part.
    pub traffic: Traffic,
    /// What the peers of the part are.
    pub peer_class: PeerClass,
    /// Which addresses of that class, for people; `None`: all that the rule has.
    pub addresses: Option<String>,
    /// What the clause says here.
    pub verdict: Verdict,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// The clause's reason.
    pub reason: String,
    /// The clause speaks of a role that the group has by strong evidence.
    pub strong: bool,
    /// A clause of the user's that names groups of the cluster.
    pub names_cluster_groups: bool,
}

impl Portion {
    /// What its addresses hang on.
    pub fn part(&self) -> Part<'_> {
        Part { clause: self.position, class: self.peer_class, traffic: &self.traffic }
    }
}
