//! What became of a finding, and of the connections that a closed rule had let in.
//!
//! Must not: know findings, or what is done about them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::rule::{Packets, Peer, Rule};
use crate::model::words;

words! {
    /// The worst thing that happened. Ordered from good to bad.
    pub enum Outcome {
        /// Nothing to say.
        Compliant = "compliant",
        /// People are notified, nothing changed.
        Reported = "reported",
        /// Forbidden rules are gone or put back, and read back as that.
        Remediated = "remediated",
        /// A guard kept us from revoking.
        Refused = "refused",
        /// Something that should be done is not done.
        Failed = "failed",
    }
}

words! {
    /// What became of one finding.
    pub enum Action {
        /// Nothing was to be done.
        None = "none",
        /// People are notified.
        Reported = "reported",
        /// The rule would be revoked, were the mode `enforce`.
        WouldRevoke = "would-revoke",
        /// Revoked, and read back as gone.
        Revoked = "revoked",
        /// Put back to what it was known as, and read back as that.
        Restored = "restored",
        /// It was gone before we came.
        AlreadyGone = "already-gone",
        /// According to the event it was there; it was gone, or harmless, when we looked.
        WasOpen = "was-open",
        /// It comes back through the work queue.
        Postponed = "postponed",
        /// It changed between verdict and revoke and was judged again.
        Changed = "changed",
        /// A guard kept us from it.
        Refused = "refused",
        /// It should be gone and is not, or we could not see that it is.
        Failed = "failed",
    }
}

impl Action {
    /// Whether the rule is not there any more.
    pub fn says_gone(self) -> bool {
        matches!(self, Self::Revoked | Self::AlreadyGone)
    }

    /// Whether we closed it.
    pub fn is_closed_by_us(self) -> bool {
        matches!(self, Self::Revoked | Self::Restored)
    }

    /// What this alone makes of the record.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::None | Self::AlreadyGone => Outcome::Compliant,
            Self::Reported | Self::WouldRevoke | Self::WasOpen | Self::Postponed | Self::Changed => Outcome::Reported,
            Self::Revoked | Self::Restored => Outcome::Remediated,
            Self::Refused => Outcome::Refused,
            Self::Failed => Outcome::Failed,
        }
    }
}

words! {
    /// Why people have to hear of a known rule that should be closed.
    pub enum Told {
        /// It came while the guard only reported.
        WhileReporting = "while-reporting",
        /// It came while nobody looked, or nobody knows.
        WhileNotLooking = "while-not-looking",
    }
}

impl Told {
    /// For people.
    pub fn why(self) -> &'static str {
        match self {
            Self::WhileReporting => "it was opened while the guard only reported; close it by hand if nobody needs it",
            Self::WhileNotLooking => {
                "it was opened while the guard was not looking; close it by hand if nobody needs it"
            }
        }
    }
}

words! {
    /// Why a rule that should be closed is left to a person, where something else has to be done than to close it.
    pub enum Left {
        /// Somebody else's service depends on the group.
        Shared = "shared",
        /// The rule is of another cluster that the group belonged to first.
        OtherCluster = "other-cluster",
        /// The cluster depends on the rule.
        Needed = "needed",
        /// The rule is for a group of the same cluster.
        SameCluster = "same-cluster",
    }
}

words! {
    /// What a revoke does to the connections that a rule let in. EC2 goes on with those it tracks until they time out.
    pub enum Connections {
        /// They were not tracked, so they end with the rule. NAT gateways and load balancers track all of theirs.
        Cut = "cut",
        /// They were tracked.
        MayGoOn = "may-go-on",
    }
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

/// A rule that comes back again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contested {
    /// Openings within the last day; of very many only the newest are counted.
    pub times: usize,
    /// The first of them.
    pub since: Timestamp,
    /// Who opened it, as far as known, most often first, with how often.
    pub by: Vec<Opener>,
}

/// Who opened a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opener {
    /// The principal.
    pub arn: String,
    /// How often.
    pub times: usize,
}
