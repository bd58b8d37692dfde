//! The guard of one location: what looks at a trigger or a message of the work queue, and what people hear where that fails.
//! One evaluator for every trigger.
//!
//! Owns: what outlives an invocation. Must not: order effects on EC2 (remediate does) or write text (notice does).

mod again;
mod asked;
mod change;
mod claimed;
mod digests;
pub mod dispatch;
mod effects;
mod everything;
mod failure;
mod find;
mod group;
mod handled;
mod hourly;
mod invocation;
mod journal;
mod left_over;
mod memory;
mod news;
mod notify;
mod once;
pub mod organisation;
pub mod own_queue;
mod parts;
mod read_back;
pub mod remediate;
pub mod response;
pub mod round;
pub mod settings;
pub mod setup;
pub mod shield;
pub mod sight;
mod sweep;
mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::event::work::{Task, Why, Work};
use crate::event::{Change, Trigger};
use crate::guard::asked::Asked;
use crate::guard::everything::{Everywhere, Who};
use crate::guard::handled::HandledEvents;
use crate::guard::hourly::HourlyLimit;
use crate::guard::response::{GuardError, Response};
use crate::guard::round::{Attempt, Round};
use crate::guard::setup::Setup;
use crate::guard::sight::Sources;
use crate::inventory::{Inventory, Looked};
use crate::model::error::CloudError;
use crate::model::text::count;

/// What is answered where others look.
const IN_PARTS: &str = "a look at everything is under way, in parts";

fn read_failed(what: String, source: CloudError) -> GuardError {
    GuardError::ReadFailed { what, source }
}

/// Everything that outlives an invocation.
pub struct Guard {
    setup: Setup,
    inventory: Inventory,
    handled: HandledEvents,
    hourly: HourlyLimit,
    /// Events after which people were notified that they could not be looked at.
    blind: HandledEvents,
    everywhere: Everywhere,
    /// When this process asked whether somebody has looked at everything.
    looks: Everywhere,
    sources: Option<Sources>,
}

impl Guard {
    /// A guard that remembers nothing yet.
    pub fn new(setup: Setup) -> Self {
        let inventory = Inventory::new(&setup.ports, setup.location.account.clone(), setup.policy.groups.clone());
        let (handled, blind) = (HandledEvents::default(), HandledEvents::default());
        let ports = &setup.ports;
        let hourly = HourlyLimit::new(ports.state.clone(), Arc::clone(&ports.clock), setup.max_revokes);
        Self {
            setup,
            inventory,
            handled,
            hourly,
            blind,
            everywhere: Everywhere::default(),
            looks: Everywhere::default(),
            sources: None,
        }
    }

    /// One that also looks at whether events still reach it.
    #[must_use]
    pub fn with_sources(self, sources: Sources) -> Self {
        Self { sources: Some(sources), ..self }
    }

    /// In a sweep, whether events still reach it.
    async fn with_sight(&self, sweep: Result<Response, GuardError>) -> Result<Response, GuardError> {
        let Some(sources) = &self.sources else { return sweep };
        sight::beside(sweep, sight::in_sweep(&self.setup, sources, &self.handled).await)
    }

    /// Looks at what a trigger asks for. Nothing new is begun after `deadline`, so that what was done can still be reported
    /// in time.
    ///
    /// # Errors
    /// A state that cannot be read, or anything that should be done and is not.
    pub async fn look(&self, trigger: &Trigger, round: Round) -> Result<Response, GuardError> {
        let (change, looked) = match trigger {
            Trigger::Sweep { groups } if groups.is_empty() && parts::begin(&self.setup).await => {
                return Ok(Response::ignored(IN_PARTS.to_owned()));
            }
            Trigger::Sweep { groups } if groups.is_empty() => {
                (None, self.with_sight(self.sweep(Vec::new(), None, round).await).await)
            }
            Trigger::Sweep { groups } => (None, self.sweep(groups.clone(), None, round).await),
            Trigger::Lost => (None, self.everything(None, round).await),
            Trigger::Change(change) if self.handled.contains(&change.event.id) => {
                return Ok(Response::repeat(&change.event));
            }
            Trigger::Change(change) => (Some(change), self.change(change, round).await),
        };
        self.look_by_itself().await;
        if let Err(error) = &looked {
            self.notify_of_failure(change, error, round.attempt).await;
        }
        looked
    }

    /// Begins a look at everything where nobody has looked for long, or never. A process asks the state once an hour.
    pub(super) async fn look_by_itself(&self) {
        if self.setup.ports.queue.is_some()
            && self.looks.take(self.setup.ports.clock.now(), parts::ASK_AFTER).is_none()
            && let Some(place) = self.ask(Vec::new()).place().await
        {
            parts::begin_if_due(&self.setup, &place).await;
        }
    }

    /// Does what a message of the work queue asks for.
    ///
    /// # Errors
    /// As [`Guard::look`].
    pub async fn work(&self, work: &Work, round: Round) -> Result<Response, GuardError> {
        let change = work.task.change();
        let looked = match &work.task {
            Task::Look { change, look, why } => {
                let why = (*why != Why::Elsewhere).then_some(*why);
                self.change(change, Round { look: *look, why, hops: work.hops, ..round }).await
            }
            // Of an event that nobody knows a sweep finds what it opened.
            Task::Everything { change: None, .. } if parts::begin(&self.setup).await => {
                return Ok(Response::ignored(IN_PARTS.to_owned()));
            }
            // So does it where the time of an invocation did not suffice for all.
            Task::Everything { .. }
                if round.attempt != Attempt::First && self.is_seen_to_in_parts(work.at, round).await? =>
            {
                return Ok(Response::ignored(IN_PARTS.to_owned()));
            }
            Task::Everything { change, .. } => {
                self.sweep(Vec::new(), change.as_ref(), Round { hops: work.hops, ..round }).await
            }
            Task::Sweep { .. } => {
                let planned = parts::plan_once(&self.setup, &self.inventory, work).await;
                let under_way = |parts| match parts {
                    Some(parts) => format!("{} of a sweep are under way", count(parts, "part")),
                    None => "the parts of this sweep were sent at an earlier try".to_owned(),
                };
                self.with_sight(planned.map(|parts| Response::ignored(under_way(parts)))).await
            }
            Task::Part(part) => self.part(part, Round { hops: work.hops, sweep: Some(part.sweep), ..round }).await,
        };
        if let Err(error) = &looked {
            self.notify_of_failure(change, error, round.attempt).await;
        }
        looked
    }

    async fn is_seen_to_in_parts(&self, asked: Timestamp, round: Round) -> Result<bool, GuardError> {
        let place = self.ask(Vec::new()).place().await.unwrap_or_default();
        parts::are_seen_to(&self.setup, &place, asked, round.attempt).await
    }

    /// Looks at everything for an event that does not say what it changed, or sees to it that somebody does.
    async fn everything(&self, change: Option<&Change>, round: Round) -> Result<Response, GuardError> {
        match self.everywhere.who(&self.setup, change, round).await {
            Who::Us => self.sweep(Vec::new(), change, round).await,
            Who::Another(why) => Ok(Response::ignored(why.to_owned())),
            Who::Nobody { last } => Err(GuardError::Postponed { last }),
        }
    }

    fn ask(&self, groups: Vec<String>) -> Asked {
        Asked::about(self.setup.ports.state.as_ref(), groups)
    }

    fn ask_about(&self, looked: &Looked) -> Asked {
        let groups: BTreeSet<&String> = looked.groups().map(|group| &group.id).collect();
        self.ask(groups.into_iter().cloned().collect())
    }

    async fn read(&self, ids: &[String]) -> Result<Looked, GuardError> {
        self.inventory.read(ids).await.map_err(|source| read_failed(ids.join(", "), source))
    }
}
