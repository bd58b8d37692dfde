//! A portion of a rule with the clause that decided it, as a record has it.
//!
//! Must not: decide.

use serde::{Deserialize, Serialize};

use crate::policy::judge::Portion;
use crate::policy::model::Verdict;

/// A portion for machines: one per clause, peer class and protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "for-tests", derive(schemars::JsonSchema))]
pub struct PortionRecord {
    /// The clause's id.
    pub clause: String,
    /// `tcp`, `-1`, `50`, `7-16`, …
    pub protocol: String,
    /// `10250`, `0-21,23-65535`, `3/4`, `all`, …
    pub ports: String,
    /// The word of a [`PeerClass`]; of a requirement those of its other sides, with commas.
    pub peer_class: String,
    /// Which addresses of that class, for people, where they are not all that the rule has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<String>,
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
            peer_class: portion.peer_class.word().to_owned(),
            addresses: portion.addresses.clone(),
            verdict: portion.verdict,
            reason: portion.reason.clone(),
        })
    }
}
