//! The guard's own messages in its work queue: what has to be looked at again, and parts of larger looks. Written and read
//! by this one definition.
//!
//! Must not: decide what is put off and for how long. A message is an order only where it comes from the guard's own queue,
//! which the dispatcher knows; anywhere else it is nothing we know.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::{get, kind};
use super::{Change, EventError};
use crate::model::ids::Location;
use crate::model::text::plain;

/// The only field of a message.
const FIELD: &str = "eks-sg-guard";
/// Of the shape.
const VERSION: u64 = 1;
/// Messages that may follow from each other: beyond, they go in a circle.
pub const MAX_HOPS: u8 = 100;
/// Groups of one part of a look.
pub const MAX_GROUPS: usize = 200;
/// What SQS takes unless the queue says otherwise is four times as much.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MAX_BYTES: usize = 256 * 1024;

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// Of the shape.
    version: u64,
    /// How many messages led to it.
    pub hops: u8,
    /// When it was written.
    pub at: Timestamp,
    /// What to do.
    pub task: Task,
}

/// What a message asks for.
#[allow(clippy::large_enum_variant, reason = "one value per message, moved once")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Look again at what an event left open: these groups, lists and rules of it.
    Look {
        /// The event, and of its subject what is left.
        change: Change,
        /// Why.
        why: Why,
        /// Which look this will be; the one at the event itself was the first.
        look: u8,
    },
    /// Look at everything in a location, for an event that does not say what it changed.
    Everything {
        /// Where.
        location: Location,
        /// The first event that asked for it, if that is known.
        change: Option<Change>,
    },
    /// Look at everything in a location, in parts.
    Sweep {
        /// Where.
        location: Location,
    },
    /// A part of that.
    Part(Part),
}

/// A part of a sweep: groups of one VPC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Where.
    pub location: Location,
    /// When the sweep began: its name.
    pub sweep: Timestamp,
    /// The VPC.
    pub vpc: String,
    /// Which one it is, from 1, of those that the sweep looks at.
    pub nth: usize,
    /// How many these are.
    pub vpcs: usize,
    /// The clusters in the VPC.
    pub clusters: Vec<String>,
    /// Whether these are surely all.
    pub knows_clusters: bool,
    /// The groups, at most [`MAX_GROUPS`].
    pub groups: Vec<String>,
    /// Which part of the VPC it is, from 1. The first one looks at groups of other VPCs, too, that are attached here.
    pub n: usize,
    /// How many parts the VPC has.
    pub of: usize,
    /// Of which groups and clusters it was cut: another try of the plan may find others. Empty in what an earlier edition
    /// sent.
    #[serde(default)]
    pub cut: String,
}

impl Part {
    /// The look at the VPC that it is a part of, by name.
    pub fn look(&self) -> String {
        format!("{}#{}#{}", self.sweep, self.vpc, self.cut)
    }
}

/// Why something is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// EC2 did not show what the event speaks of.
    Missing,
    /// A prefix list was being changed.
    Changing,
    /// A call took away what a cluster needs.
    Needed,
    /// It was more than may be done at once, or what had to be known could not be read.
    Postponed,
    /// It may be used in this location, too. It is the first look there.
    Elsewhere,
}

impl Task {
    /// Where it is to be done.
    pub fn location(&self) -> &Location {
        match self {
            Self::Look { change, .. } => &change.event.location,
            Self::Everything { location, .. } | Self::Sweep { location } => location,
            Self::Part(part) => &part.location,
        }
    }

    /// The event behind it.
    pub fn change(&self) -> Option<&Change> {
        match self {
            Self::Look { change, .. } => Some(change),
            Self::Everything { change, .. } => change.as_ref(),
            Self::Sweep { .. } | Self::Part(_) => None,
        }
    }
}

/// Why a message is not written.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It would go in a circle.
    #[error("`{MAX_HOPS}` messages of the work queue followed from each other; look at this by hand")]
    TooManyHops,
    /// It would be too large.
    #[error("a message of the work queue would have `{0}` bytes; at most {MAX_BYTES} fit")]
    TooLarge(usize),
    /// It is no JSON.
    #[error("a message of the work queue could not be written")]
    Unwritable(#[from] serde_json::Error),
}

impl Work {
    /// A message that follows from as many others.
    pub fn new(task: Task, hops: u8, at: Timestamp) -> Self {
        Self { version: VERSION, hops, at, task }
    }

    /// As it goes into the queue.
    ///
    /// # Errors
    /// A message that may not, or cannot, be sent.
    pub fn text(&self) -> Result<String, WorkError> {
        if self.hops > MAX_HOPS {
            return Err(WorkError::TooManyHops);
        }
        let text = serde_json::json!({ FIELD: serde_json::to_value(self)? }).to_string();
        if text.len() > MAX_BYTES { Err(WorkError::TooLarge(text.len())) } else { Ok(text) }
    }

    /// A message as it came; `None`: it is something else.
    pub(super) fn read(path: &str, payload: &Value) -> Option<Result<Self, EventError>> {
        let message = payload.get(FIELD)?;
        let path = format!("{path}.{FIELD}");
        let error = |at: &str, what: String, expected: &str| EventError {
            at: format!("{path}{at}"),
            what,
            expected: expected.to_owned(),
        };
        let version = get(message, "version");
        if version.as_u64() != Some(VERSION) {
            let expected = "`1`: another edition of the guard wrote this";
            return Some(Err(error(".version", kind(version).into_owned(), expected)));
        }
        Some(match Self::deserialize(message) {
            Err(why) => Err(error("", plain(&why.to_string()), "a message of the guard's own work queue")),
            Ok(work) if work.hops > MAX_HOPS => {
                let expected = "at most 100: messages that follow from each other without end; look at this by hand";
                Err(error(".hops", format!("`{}`", work.hops), expected))
            }
            Ok(Self { task: Task::Part(part), .. }) if part.groups.len() > MAX_GROUPS => {
                Err(error(".task.part.groups", format!("`{}` groups", part.groups.len()), "at most 200"))
            }
            Ok(work) => Ok(work),
        })
    }
}
