//! What stays the same from one invocation to the next: the doors, the policy, the modes and limits, the location.

use std::sync::Arc;

use crate::event::Event;
use crate::guard::modes::Modes;
use crate::model::group::Group;
use crate::model::ids::Location;
use crate::policy::model::Policy;
use crate::ports::{Channel, Clock, Ec2, Eks, StateStore, WorkQueue};
use crate::report::finding::Finding;
use crate::report::metrics::Metrics;
use crate::report::notice::RecordLog;
use crate::report::record::{About, Record};

/// The doors to the outside. Cloning one is cheap: the clones lead to the same.
#[derive(Clone)]
pub struct Ports {
    /// EC2 of the location.
    pub ec2: Arc<dyn Ec2>,
    /// EKS of the location.
    pub eks: Arc<dyn Eks>,
    /// What all processes remember together. Without it repeats are not merged.
    pub state: Option<Arc<dyn StateStore>>,
    /// Where what has to be looked at again waits. Without it nothing is: what would have to be is an error.
    pub queue: Option<Arc<dyn WorkQueue>>,
    /// Whom to notify.
    pub channels: Vec<Arc<dyn Channel>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counts what is done.
    pub metrics: Arc<Metrics>,
    /// Takes each record as soon as it is complete, as one line.
    pub record_log: fn(&Record),
    /// Where people read these lines; `None`: nobody knows.
    pub log_page: Option<RecordLog>,
}

impl Ports {
    /// Doors to a location and to nothing else: nobody is notified, and nothing is remembered or logged.
    pub fn to_aws_alone(ec2: Arc<dyn Ec2>, eks: Arc<dyn Eks>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            ec2,
            eks,
            clock,
            metrics,
            state: None,
            queue: None,
            channels: Vec::new(),
            record_log: |_| {},
            log_page: None,
        }
    }
}

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
