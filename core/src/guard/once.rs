//! Something that one process does for all within some time.
//!
//! Must not: keep anything from being done. A table that fails costs one time too many, and what failed is given back.

use std::future::Future;

use jiff::{SignedDuration, Timestamp};

use crate::model::error::chain;
use crate::ports::{Clock, StateStore};

/// So long it may take. Who dies over it holds up nobody for longer.
const TO_DO_IT: SignedDuration = SignedDuration::from_secs(20);

/// Does it, unless somebody does it now, or has done it within `time`: then `None`.
pub(super) async fn once<T, E>(
    state: Option<&dyn StateStore>,
    clock: &dyn Clock,
    what: &str,
    time: SignedDuration,
    done: impl Future<Output = Result<T, E>>,
) -> Option<Result<T, E>> {
    let Some(state) = state else { return Some(done.await) };
    let began = clock.now();
    // Whoever comes later than that may be too late for what is done first.
    let after = |time| began.saturating_add(time).unwrap_or(Timestamp::MAX);
    if !state.lease(what, after(TO_DO_IT)).await.unwrap_or(true) {
        return None;
    }
    let done = done.await;
    let held = if done.is_ok() { time } else { SignedDuration::ZERO };
    if let Err(error) = state.renew(what, after(held)).await {
        tracing::warn!(what, error = %chain(&error), "until when something is done was not noted; it is done again");
    }
    Some(done)
}
