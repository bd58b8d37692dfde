//! What comes of one trigger, and why it fails.

use jiff::Timestamp;
use serde::Serialize;

use crate::event::{Event, EventError};
use crate::model::error::CloudError;
use crate::report::record::Record;

/// What came of one trigger.
#[derive(Debug, Default, Serialize)]
pub struct Response {
    /// One per group looked at that has a role, and per cluster of which there is something to say.
    pub records: Vec<Record>,
    /// Why there was nothing to do, if so.
    pub ignored: Option<String>,
}

impl Response {
    /// There was nothing to do.
    pub fn ignored(reason: String) -> Self {
        Self { records: Vec::new(), ignored: Some(reason) }
    }

    pub(super) fn repeat(event: &Event) -> Self {
        Self::ignored(format!("event `{}` was handled already", event.id))
    }
}

/// Why an invocation failed. The platform retries it, then it goes to the dead-letter queue, then an alarm rings.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The payload is nothing we know.
    #[error("the payload was not understood")]
    InvalidEvent(#[from] EventError),
    /// The state could not be read, so nothing was judged.
    #[error("the state of {what} could not be read")]
    ReadFailed {
        /// What was read.
        what: String,
        /// Why.
        #[source]
        source: CloudError,
    },
    /// The event does not name its group, and all groups were looked at a moment ago. The next try looks again.
    #[error(
        "the event does not name its group, and all groups were looked at a moment ago (at {last}); try again in some \
         minutes"
    )]
    Postponed {
        /// When all groups were looked at.
        last: Timestamp,
    },
    /// Not everything that should be done is done. What was done is in the records on standard output.
    #[error("not everything was done: {}", .problems.join("; "))]
    Unfinished {
        /// What is not.
        problems: Vec<String>,
        /// Whether people heard of what the event was about.
        is_told: bool,
    },
}

impl GuardError {
    /// Every kind.
    pub const KINDS: [&str; 4] = ["InvalidEvent", "ReadFailed", "Postponed", "Unfinished"];

    /// One thing is not done, of which people need not hear beside the record.
    pub(super) fn unfinished(problem: String) -> Self {
        Self::Unfinished { problems: vec![problem], is_told: true }
    }

    /// Stable name for alarms and filters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidEvent(_) => "InvalidEvent",
            Self::ReadFailed { .. } => "ReadFailed",
            Self::Postponed { .. } => "Postponed",
            Self::Unfinished { .. } => "Unfinished",
        }
    }
}
