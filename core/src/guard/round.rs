//! Which of the looks at a trigger an invocation is, and which of the tries of that look.

use jiff::Timestamp;

use crate::event::work::Why;

/// Which of the tries of an event this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The first one of which people would hear.
    First,
    /// One between the first and the last.
    Again,
    /// After this one it goes to the dead-letter queue.
    Last,
}

/// Which of the looks at a trigger this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// No new call to EC2 is begun after this.
    pub deadline: Timestamp,
    /// Of the tries of this look.
    pub attempt: Attempt,
    /// The look at the event itself is the first.
    pub look: u8,
    /// Why there is another one.
    pub why: Option<Why>,
    /// Messages of the work queue that led to it.
    pub hops: u8,
    /// When the sweep began that this is a part of: the digests, and that everything was looked at, wait for its others.
    pub sweep: Option<Timestamp>,
}

impl Round {
    /// The look at a trigger itself.
    pub fn first(attempt: Attempt, deadline: Timestamp) -> Self {
        Self { deadline, attempt, look: 1, why: None, hops: 0, sweep: None }
    }
}
