//! The hourly limit of a location: how many rules that no event made may be revoked. What an event made is never held up by
//! it.
//!
//! Owns: where the hour is kept, in the table or, without one, in this process. Must not: revoke anything.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};

use crate::model::error::chain;
use crate::model::hour::Hour;
use crate::ports::{Clock, StateStore};

/// A table that takes longer holds up what is about to be revoked.
const PATIENCE: Duration = Duration::from_secs(1);

/// The limit, with what is known of the hour where no table is.
pub(super) struct HourlyLimit {
    state: Option<Arc<dyn StateStore>>,
    clock: Arc<dyn Clock>,
    own: Mutex<Hour>,
    limit: usize,
}

impl HourlyLimit {
    pub(super) fn new(state: Option<Arc<dyn StateStore>>, clock: Arc<dyn Clock>, limit: usize) -> Self {
        Self { state, clock, own: Mutex::default(), limit }
    }

    /// Takes these rules, the worst first. Those that must stay; the error says why nobody knows.
    pub(super) async fn take(&self, rules: &[String]) -> Result<BTreeSet<String>, String> {
        let hour = match &self.state {
            None => {
                let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
                *own = std::mem::take(&mut *own).with(rules, self.limit, self.clock.now());
                own.clone()
            }
            Some(state) => match select(pin!(state.take(rules, self.limit)), pin!(self.clock.sleep(PATIENCE))).await {
                Either::Left((Ok(hour), _)) => hour,
                Either::Left((Err(error), _)) => return Err(chain(&error)),
                Either::Right(_) => return Err(format!("the table did not answer within {PATIENCE:?}")),
            },
        };
        Ok(rules.iter().filter(|rule| hour.refuses(rule, self.limit)).cloned().collect())
    }

    /// Why a rule stays, and what helps.
    pub(super) fn why(&self) -> String {
        format!(
            "the guard closes at most {} rules an hour beside those that a call has just made (`GUARD_MAX_REVOKES`), \
             and it has closed that many. This one stays until somebody closes it or raises the limit",
            self.limit
        )
    }
}
