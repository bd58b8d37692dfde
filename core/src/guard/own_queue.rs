//! The guard's own messages in its work queue: how often one is tried, and when it comes again.
//!
//! Must not: read or write one (`event::work` does), or do what it asks for.

use std::sync::Arc;
use std::time::Duration;

use crate::event::batch::Queued;
use crate::guard::response::GuardError;
use crate::guard::round::Attempt;
use crate::model::error::chain;
use crate::model::ids::Queue;
use crate::ports::WorkQueue;

/// Times after which a message of the work queue on which the guard failed comes again; the last of them from then on.
const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_mins(1),
    Duration::from_mins(2),
    Duration::from_mins(4),
    Duration::from_mins(8),
    Duration::from_mins(15),
];
/// After so many tries SQS moves a message to the dead-letter queue: `maxReceiveCount` in the template. By then two hours
/// have passed, or more than one if each try was killed and came back when SQS showed the message again by itself.
pub const MAX_RECEIVES: u64 = 12;

/// The work queue, by which the guard's own messages are known.
pub(super) struct OwnQueue {
    pub(super) queue: Arc<dyn WorkQueue>,
    pub(super) name: Queue,
}

impl OwnQueue {
    /// Lets a message come again, later each time. If that fails SQS has it come again when its visibility timeout ends.
    pub(super) async fn put_off(&self, queued: &Queued) {
        let nth = usize::try_from(queued.receives.saturating_sub(1)).unwrap_or(usize::MAX);
        let last = RETRY_DELAYS.last().copied().unwrap_or_default();
        // After the last try nothing is gained by waiting.
        let delay =
            if queued.receives >= MAX_RECEIVES { Duration::ZERO } else { *RETRY_DELAYS.get(nth).unwrap_or(&last) };
        if let Err(error) = self.queue.put_off(&queued.receipt, delay).await {
            tracing::warn!(error = %chain(&error), "a message that failed could not be put off");
        }
    }
}

/// Which try of an event a message is. The first one was the invocation that Lambda put into the queue, if that ended by
/// itself and so could tell people.
pub(super) fn attempt(queued: &Queued) -> Attempt {
    let has_told = queued.failed_with.as_ref().is_some_and(|kind| GuardError::KINDS.contains(&kind.as_str()));
    match queued.receives {
        MAX_RECEIVES.. => Attempt::Last,
        0 | 1 if !has_told => Attempt::First,
        _ => Attempt::Again,
    }
}
