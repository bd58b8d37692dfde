//! Every payload comes in here: taken apart, and each message handed to the guard of its location.
//!
//! Owns: batches and their answers, and which locations count. Must not: look at groups (a guard does).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::event::batch::{self, Batch, Carrier, Queued};
use crate::event::work::{Task, Work};
use crate::event::{Change, Event, Parsed, Target, Trigger, payload};
use crate::guard::Guard;
use crate::guard::organisation::Organisation;
use crate::guard::own_queue::{OwnQueue, attempt};
use crate::guard::response::{GuardError, Response};
use crate::guard::round::{Attempt, Round};
use crate::model::error::chain;
use crate::model::ids::{Arn, Location, Queue};
use crate::model::text::{count, plain};
use crate::ports::WorkQueue;
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
    pub failures: Option<BatchFailures>,
}

/// What SQS reads of an answer (`ReportBatchItemFailures`): which messages of the batch it keeps.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchFailures {
    /// One for each message that it has to deliver again.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its id.
    pub item_identifier: String,
}

/// All guards of the function.
pub struct Dispatcher {
    guards: BTreeMap<Location, Arc<Guard>>,
    own_role: Option<String>,
    /// The name of the role that it has in other locations.
    other_role: Option<String>,
    own: Option<OwnQueue>,
    organisation: Option<Organisation>,
}

impl Dispatcher {
    /// `guards`: one for each account and region that counts. `own_role`: the ARN of the function's role.
    pub fn new(guards: BTreeMap<Location, Guard>, own_role: Option<String>) -> Self {
        let guards = guards.into_iter().map(|(location, guard)| (location, Arc::new(guard))).collect();
        Self { guards, own_role, other_role: None, own: None, organisation: None }
    }

    /// With the name of the role that it has in other locations.
    #[must_use]
    pub fn acting_as(self, role: Option<String>) -> Self {
        Self { other_role: role, ..self }
    }

    /// With locations that come by themselves.
    #[must_use]
    pub fn with_organisation(self, organisation: Organisation) -> Self {
        Self { organisation: Some(organisation), ..self }
    }

    /// With a work queue. Only its own messages are orders: the same text from another queue or topic is nothing we know.
    #[must_use]
    pub fn with_queue(self, queue: Arc<dyn WorkQueue>, name: Queue) -> Self {
        Self { own: Some(OwnQueue { queue, name }), ..self }
    }

    /// Handles one payload.
    ///
    /// # Errors
    /// A payload that is not understood, a state that cannot be read, or anything that should be done and is not. In a batch
    /// of SQS these are in the answer.
    pub async fn handle(&self, payload: &Value, deadline: Timestamp) -> Result<FunctionResponse, GuardError> {
        if let Some(batch) = batch::read(payload) {
            return Box::pin(self.batch(payload, batch?, deadline)).await;
        }
        let round = Round::first(Attempt::First, deadline);
        let response = match self.says_it_is_there(payload::schedule(payload)).await? {
            Some(reason) => Response::ignored(reason),
            None => self.message(payload::parse(payload)?, round).await?,
        };
        let Response { records, ignored } = response;
        Ok(FunctionResponse { records, ignored, failures: None })
    }

    /// One message after the other: each may change what the next one finds.
    async fn batch(&self, payload: &Value, batch: Batch, deadline: Timestamp) -> Result<FunctionResponse, GuardError> {
        let (mut records, mut ignored, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let mut failures = BatchFailures::default();
        for (place, delivery) in batch.deliveries.into_iter().enumerate() {
            let queued = Queued::of(payload, place);
            let own = self.own.as_ref().zip(queued.as_ref()).filter(|(own, queued)| own.name == queued.queue);
            let attempt = own.map_or(Attempt::First, |(_, queued)| attempt(queued));
            let round = Round::first(attempt, deadline);
            let schedule = queued.as_ref().and_then(|queued| queued.schedule.clone());
            let there = self.says_it_is_there(schedule).await;
            let handled = match (own.and_then(|(_, queued)| queued.work.as_ref()), there, delivery.parsed) {
                (Some(Ok(work)), ..) => self.work(work, round).await,
                (Some(Err(error)), ..) => Err(error.clone().into()),
                (None, Err(error), _) => Err(error),
                (None, Ok(Some(reason)), _) => Ok(Response::ignored(reason)),
                (None, Ok(None), Ok(parsed)) => self.message(parsed, round).await,
                (None, Ok(None), Err(error)) => Err(error.into()),
            };
            if let (Err(_), Some((own, queued))) = (&handled, own) {
                own.put_off(queued).await;
            }
            match handled {
                Ok(response) => {
                    records.extend(response.records);
                    ignored.extend(response.ignored);
                }
                Err(error) => {
                    let (kind, why) = (error.kind(), chain(&error));
                    tracing::error!(kind, message_id = %delivery.id, error = %why, "a message of the batch failed");
                    problems.push(why);
                    failures.batch_item_failures.push(BatchItemFailure { item_identifier: delivery.id });
                }
            }
        }
        if batch.carrier == Carrier::Topic && !problems.is_empty() {
            return Err(GuardError::Unfinished { problems, is_told: true });
        }
        let ignored = (!ignored.is_empty()).then(|| ignored.join("; "));
        Ok(FunctionResponse { records, ignored, failures: (batch.carrier == Carrier::Queue).then_some(failures) })
    }

    async fn work(&self, work: &Work, round: Round) -> Result<Response, GuardError> {
        let location = work.task.location();
        let Some(guard) = self.guard_of(location).await? else {
            return Ok(Response::ignored(self.not_ours(location)));
        };
        let response = guard.work(work, round).await?;
        if let (Task::Sweep { .. }, Some(organisation)) = (&work.task, self.organisation_of(location)) {
            organisation.looked_at(location).await;
        }
        Ok(response)
    }

    /// The guard of a location. `None`: it is none of ours.
    async fn guard_of(&self, location: &Location) -> Result<Option<Arc<Guard>>, GuardError> {
        match (self.guards.get(location), &self.organisation) {
            (Some(guard), _) => Ok(Some(Arc::clone(guard))),
            (None, Some(organisation)) => organisation.guard_of(location).await,
            (None, None) => Ok(None),
        }
    }

    /// Who knows of this location, if the environment does not name it.
    fn organisation_of(&self, location: &Location) -> Option<&Organisation> {
        self.organisation.as_ref().filter(|_| !self.guards.contains_key(location))
    }

    /// What comes of a schedule in a location that the environment does not name: it says that it is there, and orders
    /// nothing.
    async fn says_it_is_there(&self, schedule: Option<Location>) -> Result<Option<String>, GuardError> {
        let Some(location) = schedule else { return Ok(None) };
        match self.organisation_of(&location) {
            Some(organisation) => organisation.says_it_is_there(&location).await.map(Some),
            None => Ok(None),
        }
    }

    async fn message(&self, parsed: Parsed, round: Round) -> Result<Response, GuardError> {
        let trigger = match parsed {
            Parsed::Ignored(reason) => return Ok(Response::ignored(reason)),
            Parsed::Trigger(trigger) => trigger,
        };
        match &trigger {
            Trigger::Sweep { .. } | Trigger::Lost => self.everywhere(&trigger, round).await,
            Trigger::Change(change) if self.is_own(&change.event) => {
                let told = match self.guard_of(&change.event.location).await? {
                    Some(guard) => guard.own_doing(change, round).await?,
                    None => None,
                };
                let own = || Response::ignored(format!("`{}` was the guard's own doing", change.event.call.name));
                Ok(told.unwrap_or_else(own))
            }
            Trigger::Change(change) => self.change(change, round).await,
        }
    }

    async fn change(&self, change: &Change, round: Round) -> Result<Response, GuardError> {
        let guards = self.guards_of(change).await?;
        let asked = match &self.organisation {
            Some(organisation) if change.event.call.is_of_list() => {
                organisation.look_elsewhere(change, round.hops).await?
            }
            _ => 0,
        };
        if guards.is_empty() && asked > 0 {
            let there = count(asked, "other location");
            return Ok(Response::ignored(format!(
                "who uses the list is looked for in {there}, through the work queue"
            )));
        }
        if guards.is_empty() {
            let (event, reason) = (&change.event, self.not_ours(&change.event.location));
            tracing::warn!(event = %event.id, %reason, "ignored");
            return Ok(Response::ignored(reason));
        }
        let here = |location: &Location| {
            let event = Event { location: location.clone(), ..change.event.clone() };
            Trigger::Change(Change { event, ..change.clone() })
        };
        // Of a trail people hear once: what is blind elsewhere is found by the sweep.
        let is_enough = |found: &Response| change.subject == Target::Trails && !found.records.is_empty();
        Self::all(guards, here, is_enough, round).await
    }

    /// The guards of what a call changed, that of its own location first. Rules of other accounts may use a prefix list,
    /// whosever it is, and a trail may log what happens in other regions; anything else is where it happened. The event only
    /// says where to look: each guard looks at its own location and at nothing else.
    async fn guards_of(&self, change: &Change) -> Result<Vec<(Location, Arc<Guard>)>, GuardError> {
        let Event { location, call, .. } = &change.event;
        let own = self.guard_of(location).await?;
        let is_of_trails = change.subject == Target::Trails;
        let is_concerned = |there: &Location| {
            if is_of_trails {
                own.is_some() && there.account == location.account
            } else {
                call.is_of_list() && there.region == location.region
            }
        };
        let others = self.guards.iter().filter(|(there, _)| *there != location && is_concerned(there));
        let others = others.map(|(there, guard)| (there.clone(), Arc::clone(guard)));
        let mut guards: Vec<_> = own.clone().map(|guard| (location.clone(), guard)).into_iter().chain(others).collect();
        // Who uses a list elsewhere is asked through the work queue: that may be a thousand locations.
        if let (Some(organisation), Some(_), true) = (&self.organisation, &own, is_of_trails) {
            for there in organisation.of_account(&location.account).await? {
                if guards.iter().all(|(known, _)| *known != there)
                    && let Some(guard) = organisation.guard_of(&there).await?
                {
                    guards.push((there, guard));
                }
            }
        }
        Ok(guards)
    }

    /// Our own doing is recognised by the role behind the session, which only IAM writes; names of sessions and programs are
    /// the caller's. In another location that is the role there, which nobody else can assume. Only revokes are left alone:
    /// a misused role that opens a rule is looked at as anybody is.
    fn is_own(&self, event: &Event) -> bool {
        let Some(issuer) = event.actor.session_issuer.as_deref() else { return false };
        let is_there = |name: &String| {
            let arn = Arn::parse(issuer).filter(|arn| arn.account == event.location.account);
            arn.is_some_and(|arn| arn.role() == Some(name))
        };
        let is_ours = self.own_role.as_deref() == Some(issuer) || self.other_role.as_ref().is_some_and(is_there);
        is_ours && event.call.is_revoke()
    }

    fn not_ours(&self, location: &Location) -> String {
        let known = self.guards.keys().map(Location::to_string);
        let others = self.organisation.iter().map(|organisation| {
            let regions: Vec<String> = organisation.regions.iter().map(|region| format!("`{region}`")).collect();
            format!("every account in which its role can be assumed, region {}", regions.join(", "))
        });
        format!(
            "the event is from account `{}`, region `{}`; this function guards {}",
            plain(&location.account),
            plain(&location.region),
            known.chain(others).collect::<Vec<_>>().join("; ")
        )
    }

    /// Every location, whatever fails in another.
    async fn everywhere(&self, trigger: &Trigger, round: Round) -> Result<Response, GuardError> {
        let guards = self.guards.iter().map(|(location, guard)| (location.clone(), Arc::clone(guard))).collect();
        // First, since it only puts messages into the queue.
        let others = match &self.organisation {
            Some(organisation) => organisation.everywhere(trigger, round).await,
            None => return Self::all(guards, |_| trigger.clone(), |_| false, round).await,
        };
        match (Self::all(guards, |_| trigger.clone(), |_| false, round).await, others) {
            (Ok(mut all), Ok(others)) => {
                all.records.extend(others.records);
                let said = all.ignored.into_iter().chain(others.ignored).collect::<Vec<_>>().join("; ");
                all.ignored = (all.records.is_empty() && !said.is_empty()).then_some(said);
                Ok(all)
            }
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
            (Err(here), Err(there)) => {
                Err(GuardError::Unfinished { problems: vec![chain(&here), chain(&there)], is_told: true })
            }
        }
    }

    /// These guards one after the other, whatever one of them fails on, until enough is found.
    async fn all(
        guards: Vec<(Location, Arc<Guard>)>,
        trigger: impl Fn(&Location) -> Trigger,
        is_enough: impl Fn(&Response) -> bool,
        round: Round,
    ) -> Result<Response, GuardError> {
        let mut all = Response::default();
        let (mut ignored, mut problems) = (Vec::new(), Vec::new());
        let is_alone = guards.len() == 1;
        for (location, guard) in guards {
            match Box::pin(guard.look(&trigger(&location), round)).await {
                Ok(response) => {
                    let is_enough = is_enough(&response);
                    all.records.extend(response.records);
                    ignored.extend(response.ignored);
                    if is_enough {
                        break;
                    }
                }
                Err(error) if is_alone => return Err(error),
                Err(error) => problems.push(format!("{location}: {}", chain(&error))),
            }
        }
        if !problems.is_empty() {
            return Err(GuardError::Unfinished { problems, is_told: true });
        }
        all.ignored = (all.records.is_empty() && !ignored.is_empty()).then(|| ignored.join("; "));
        Ok(all)
    }
}
