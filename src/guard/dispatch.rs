//! Every payload comes in here: taken apart, and each message handed to the guard of its location.
//!
//! Owns: batches and their answers, and which locations count. Must not: look at groups (a guard does).

use std::collections::BTreeMap;

use aws_lambda_events::sqs::SqsBatchResponse;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::event::batch::{self, Batch, Carrier};
use crate::event::{Event, Parsed, Trigger, payload};
use crate::guard::Guard;
use crate::guard::response::{GuardError, Response};
use crate::model::error::chain;
use crate::model::ids::Location;
use crate::model::text::plain;
use crate::report::record::Record;

/// What the function answers.
#[derive(Debug, Serialize)]
pub struct FunctionResponse {
    /// One per group looked at that has a role, and per cluster of which there is something to say.
    pub records: Vec<Record>,
    /// Why there was nothing to do, if so.
    pub ignored: Option<String>,
    /// Only for a batch of SQS: the messages that it has to deliver again.
    #[serde(flatten)]
    pub failures: Option<SqsBatchResponse>,
}

/// All guards of the function.
pub struct Dispatcher {
    guards: BTreeMap<Location, Guard>,
    own_role: Option<String>,
}

impl Dispatcher {
    /// `guards`: one for each account and region that counts. `own_role`: the ARN of the function's role.
    pub fn new(guards: BTreeMap<Location, Guard>, own_role: Option<String>) -> Self {
        Self { guards, own_role }
    }

    /// Handles one payload.
    ///
    /// # Errors
    /// A payload that is not understood, a state that cannot be read, or anything that should be done and is not. In a batch
    /// of SQS these are in the answer.
    pub async fn handle(&self, payload: &Value, deadline: Timestamp) -> Result<FunctionResponse, GuardError> {
        if let Some(batch) = batch::read(payload) {
            return self.batch(batch?, deadline).await;
        }
        let Response { records, ignored } = self.message(payload::parse(payload)?, deadline).await?;
        Ok(FunctionResponse { records, ignored, failures: None })
    }

    /// One message after the other: each may change what the next one finds.
    async fn batch(&self, batch: Batch, deadline: Timestamp) -> Result<FunctionResponse, GuardError> {
        let (mut records, mut ignored, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let mut failures = SqsBatchResponse::default();
        for delivery in batch.deliveries {
            let handled = match delivery.parsed {
                Ok(parsed) => self.message(parsed, deadline).await,
                Err(error) => Err(error.into()),
            };
            match handled {
                Ok(response) => {
                    records.extend(response.records);
                    ignored.extend(response.ignored);
                }
                Err(error) => {
                    let (kind, why) = (error.kind(), chain(&error));
                    tracing::error!(kind, message_id = %delivery.id, error = %why, "a message of the batch failed");
                    problems.push(why);
                    failures.add_failure(delivery.id);
                }
            }
        }
        if batch.carrier == Carrier::Topic && !problems.is_empty() {
            return Err(GuardError::Unfinished(problems));
        }
        let ignored = (!ignored.is_empty()).then(|| ignored.join("; "));
        Ok(FunctionResponse { records, ignored, failures: (batch.carrier == Carrier::Queue).then_some(failures) })
    }

    async fn message(&self, parsed: Parsed, deadline: Timestamp) -> Result<Response, GuardError> {
        let trigger = match parsed {
            Parsed::Ignored(reason) => return Ok(Response::ignored(reason)),
            Parsed::Trigger(trigger) => trigger,
        };
        match &trigger {
            Trigger::Sweep { .. } => self.sweep(&trigger, deadline).await,
            Trigger::Change(change) if self.is_own(&change.event) => {
                let told = match self.guards.get(&change.event.location) {
                    Some(guard) => guard.own_doing(change, deadline).await?,
                    None => None,
                };
                let own = || Response::ignored(format!("`{}` was the guard's own doing", change.event.call.name));
                Ok(told.unwrap_or_else(own))
            }
            Trigger::Change(change) => match self.guard_of(&change.event) {
                Err(reason) => {
                    tracing::warn!(event = %change.event.id, %reason, "ignored");
                    Ok(Response::ignored(reason))
                }
                Ok(guard) => guard.look(&trigger, deadline).await,
            },
        }
    }

    /// Our own doing is recognised by the role behind the session, which only IAM writes; names of sessions and programs are
    /// the caller's. Only revokes are left alone: a misused role that opens a rule is looked at as anybody is.
    fn is_own(&self, event: &Event) -> bool {
        self.own_role.is_some() && event.actor.session_issuer == self.own_role && event.call.is_revoke()
    }

    /// The guard of an event, or why it is none of our business.
    fn guard_of(&self, event: &Event) -> Result<&Guard, String> {
        self.guards.get(&event.location).ok_or_else(|| {
            let known = self.guards.keys().map(Location::to_string);
            format!(
                "the event is from account `{}`, region `{}`; this function guards {}",
                plain(&event.location.account),
                plain(&event.location.region),
                known.collect::<Vec<_>>().join("; ")
            )
        })
    }

    /// Every location, whatever fails in another.
    async fn sweep(&self, trigger: &Trigger, deadline: Timestamp) -> Result<Response, GuardError> {
        let mut all = Response::default();
        let (mut ignored, mut problems) = (Vec::new(), Vec::new());
        for (location, guard) in &self.guards {
            match guard.look(trigger, deadline).await {
                Ok(response) => {
                    all.records.extend(response.records);
                    ignored.extend(response.ignored);
                }
                Err(error) if self.guards.len() == 1 => return Err(error),
                Err(error) => problems.push(format!("{location}: {}", chain(&error))),
            }
        }
        if !problems.is_empty() {
            return Err(GuardError::Unfinished(problems));
        }
        all.ignored = (all.records.is_empty() && !ignored.is_empty()).then(|| ignored.join("; "));
        Ok(all)
    }
}
