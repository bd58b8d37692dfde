//! What stays the same from one invocation to the next: the ports, the policy, the modes and limits, the location.

use crate::event::Event;
use crate::model::group::Group;
use crate::model::ids::Location;
use crate::plan::modes::Modes;
use crate::policy::model::Policy;
use crate::ports::Ports;
use crate::report::finding::Finding;
use crate::report::record::{About, Record};

/// How a guard is set up.
#[derive(Clone)]
pub struct Setup {
    /// The doors.
    pub ports: Ports,
    /// The policy in force.
    pub policy: Policy,
    /// From the environment.
    pub modes: Modes,
    /// From the environment.
    pub max_revokes: usize,
    /// What it looks after: events of other locations are not for it.
    pub location: Location,
}

impl Setup {
    /// The record of the account as a whole, counted and logged.
    pub(super) fn record_of_account(&self, findings: Vec<Finding>, event: Option<&Event>) -> Record {
        let Self { ports, policy, modes, location, .. } = self;
        let mode = modes.of(policy, &Group::default(), event.is_none()).0;
        let record = Record::of(location, policy, mode, About::Account, findings, event);
        ports.metrics.record(&record);
        (ports.record_log)(&record);
        record
    }
}
