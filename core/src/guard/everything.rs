//! A look at everything for events that do not say what they changed: one for all that come within a minute, whoever asks.
//! Padded requests must not drain the request buckets that the cluster's own controllers share.
//!
//! Owns: which of them look. Must not: look itself.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::event::Change;
use crate::event::work::{Task, Work};
use crate::guard::once::once;
use crate::guard::round::{Attempt, Round};
use crate::guard::setup::Setup;
use crate::model::error::chain;
use crate::ports::Ports;

/// Through the work queue: asked for within this time, they are one. It begins at the end of it.
pub(super) const GATHER: SignedDuration = SignedDuration::from_secs(60);
/// Without it: this often. Lambda tries a failed event again after one minute and after two more, so the last try looks.
const INTERVAL: SignedDuration = SignedDuration::from_secs(150);
/// What the look that waits is called, for the other processes.
const WAITS: &str = "everything";

/// What this process knows of looks at everything.
#[derive(Debug, Default)]
pub(super) struct Everywhere(Mutex<Option<Timestamp>>);

impl Everywhere {
    /// Takes the time from now on; gives who has it, if somebody has.
    pub(super) fn take(&self, now: Timestamp, time: SignedDuration) -> Option<Timestamp> {
        let taken = self.taken(now, time);
        if taken.is_none() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        taken
    }

    /// Who has it, if somebody has.
    fn taken(&self, now: Timestamp, time: SignedDuration) -> Option<Timestamp> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|last| now.duration_since(*last) < time)
    }
}

/// Who looks at everything for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// This invocation, now.
    Us,
    /// A message of the work queue; said for people.
    Another(&'static str),
    /// Nobody, for we did so a moment ago and there is no queue.
    Nobody {
        /// When that was.
        last: Timestamp,
    },
}

impl Everywhere {
    /// Who is to look, arranged for where it is somebody else. A try after the first one looks itself: nobody knows whether
    /// what the first one arranged came to be.
    pub(super) async fn who(&self, setup: &Setup, change: Option<&Change>, round: Round) -> Who {
        let Ports { clock, queue, state, .. } = &setup.ports;
        let now = clock.now();
        let Some(queue) = queue else {
            return self.take(now, INTERVAL).map_or(Who::Us, |last| Who::Nobody { last });
        };
        if round.attempt != Attempt::First {
            return Who::Us;
        }
        let waits = Who::Another("it is not known what changed, and a look at everything waits already");
        if self.taken(now, GATHER).is_some() {
            return waits;
        }
        let task = Task::Everything { location: setup.location.clone(), change: change.cloned() };
        let send = async {
            let text = Work::new(task, round.hops.saturating_add(1), now).text().map_err(|error| chain(&error))?;
            queue.send(&text, GATHER.unsigned_abs()).await.map_err(|error| chain(&error))
        };
        match once(state.as_deref(), clock.as_ref(), WAITS, GATHER, send).await {
            // Who has it began to wait before us: for how long nobody here knows.
            None => waits,
            Some(Ok(())) => {
                self.take(now, GATHER);
                Who::Another("it is not known what changed, so everything is looked at in a minute")
            }
            Some(Err(error)) => {
                tracing::error!(error, "a look at everything could not be put into the work queue, so it is done now");
                Who::Us
            }
        }
    }
}
