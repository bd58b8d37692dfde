//! Locations that the environment does not name (`GUARD_ACCOUNTS=*`): who counts as one, which are known, and their guards.
//!
//! What makes a location one of ours is that the guard's role can be assumed there: only its owners can arrange that. Events
//! only say where to ask. Owns: the register of these locations, what is put into the work queue for all of them. Must not:
//! look at groups (a guard does).

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use jiff::SignedDuration;

use crate::event::work::{Task, Why, Work};
use crate::event::{Change, Event, Target, Trigger};
use crate::guard::once::once;
use crate::guard::response::{GuardError, Response};
use crate::guard::round::Round;
use crate::guard::{Guard, read_failed};
use crate::model::error::{CloudError, chain};
use crate::model::ids::{Location, is_account};
use crate::model::text::{count, plain};
use crate::ports::{Clock, Register, StateStore, WorkQueue};

/// A location is noted again when it was last heard of so long ago.
const NOTED_FOR: SignedDuration = SignedDuration::from_hours(12);
/// One from which nothing was heard for so long, and where no look succeeded either, is struck. Until then each sweep says
/// that it may not look there.
const STRUCK_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Guards that a process keeps, each with its connections, its index of names and what it saw of the table.
const MAX_GUARDS: usize = 16;
/// Sweeps begin within this time, so that what is tried again never stands behind all of them.
const SPREAD: Duration = Duration::from_mins(15);
/// Two of them are no closer together than they must be, and no further apart than this.
const APART: Duration = Duration::from_secs(5);
/// Messages on their way into the queue at once.
const MAX_SENDS: usize = 16;
/// Changes of one list within this time are one look elsewhere.
const GATHER_LIST: SignedDuration = SignedDuration::from_secs(15);
/// Events that nobody knows within this time are one sweep of everything, which begins at the end of it.
const GATHER_LOST: SignedDuration = SignedDuration::from_mins(5);
/// What these are called for the other processes.
const LOST: &str = "everything-everywhere";

/// The doors to locations that come by themselves.
#[async_trait]
pub trait Doors: Send + Sync {
    /// Whether the guard's role can be assumed there. `false`: STS refused it, as it does where there is none.
    async fn may_enter(&self, location: &Location) -> Result<bool, CloudError>;
    /// A guard of it.
    async fn guard(&self, location: &Location) -> Guard;
}

/// What all of these locations share.
pub struct Organisation {
    /// Into the locations.
    pub doors: Arc<dyn Doors>,
    /// Which are known.
    pub register: Arc<dyn Register>,
    /// The guard's own, of its own location.
    pub state: Arc<dyn StateStore>,
    /// The guard's own.
    pub queue: Arc<dyn WorkQueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Those in which locations count.
    pub regions: BTreeSet<String>,
    /// Used last, the last one at the end.
    guards: Mutex<Vec<(Location, Arc<Guard>)>>,
}

fn unregistered(source: CloudError) -> GuardError {
    read_failed("the register of locations".to_owned(), source)
}

impl Organisation {
    /// One of which this process knows nothing yet.
    pub fn new(
        doors: Arc<dyn Doors>,
        register: Arc<dyn Register>,
        state: Arc<dyn StateStore>,
        queue: Arc<dyn WorkQueue>,
        clock: Arc<dyn Clock>,
        regions: BTreeSet<String>,
    ) -> Self {
        Self { doors, register, state, queue, clock, regions, guards: Mutex::default() }
    }

    /// Whether a location could be one of ours: the rest its role says.
    fn counts(&self, location: &Location) -> bool {
        self.regions.contains(&location.region) && is_account(&location.account)
    }

    /// The guard of a location that an event, or a message of the work queue, is about. `None`: it is none of ours.
    ///
    /// # Errors
    /// It is not known, and STS or the register does not say.
    pub(super) async fn guard_of(&self, location: &Location) -> Result<Option<Arc<Guard>>, GuardError> {
        if !self.counts(location) {
            return Ok(None);
        }
        if let Some(guard) = self.kept(location) {
            return Ok(Some(guard));
        }
        match self.register.heard_of(location).await {
            Ok(Some(_)) => {}
            // Nothing waits for the register: what an event opens is closed all the same.
            Ok(None) | Err(_) if self.may_enter(location).await? => self.note(location).await,
            Ok(None) => return Ok(None),
            Err(error) => return Err(unregistered(error)),
        }
        Ok(Some(self.open(location).await))
    }

    /// A stack of `member.yaml` says that it is there. What comes of it, for people.
    ///
    /// # Errors
    /// STS or the register does not answer.
    pub(super) async fn says_it_is_there(&self, location: &Location) -> Result<String, GuardError> {
        if !self.counts(location) {
            return Ok(format!("{location} is in no region of GUARD_REGIONS"));
        }
        let now = self.clock.now();
        match self.register.heard_of(location).await.map_err(unregistered)? {
            Some(at) if now.duration_since(at) < NOTED_FOR => return Ok(format!("{location} is registered already")),
            Some(_) => {}
            None if self.may_enter(location).await? => {}
            None => {
                tracing::warn!(%location, "a location says that it is there, and the guard's role cannot be assumed there");
                return Ok(format!("the guard's role cannot be assumed in {location}"));
            }
        }
        self.register.heard(location, now).await.map_err(unregistered)?;
        // Also where nothing ever happens somebody has to look for the first time.
        self.open(location).await.look_by_itself().await;
        Ok(format!("{location} is registered"))
    }

    /// The locations of the account, as far as they are known.
    ///
    /// # Errors
    /// The register cannot be read.
    pub(super) async fn of_account(&self, account: &str) -> Result<Vec<Location>, GuardError> {
        let known = self.register.of_account(account).await.map_err(unregistered)?;
        Ok(known.into_keys().filter(|location| self.counts(location)).collect())
    }

    /// Has the users of a prefix list looked for in all other locations of its region, through the work queue. In how many.
    ///
    /// # Errors
    /// Not all could be asked for.
    pub(super) async fn look_elsewhere(&self, change: &Change, hops: u8) -> Result<usize, GuardError> {
        let Target::PrefixList(list) = &change.subject else { return Ok(0) };
        let Event { location, .. } = &change.event;
        let is_elsewhere = |there: &Location| there.region == location.region && there != location;
        let there: Vec<Location> = self.known().await?.into_iter().filter(is_elsewhere).collect();
        if there.is_empty() {
            return Ok(0);
        }
        let look = |there: Location| {
            let event = Event { location: there, ..change.event.clone() };
            Task::Look { change: Change { event, ..change.clone() }, why: Why::Elsewhere, look: 1 }
        };
        let tasks: Vec<Task> = there.into_iter().map(look).collect();
        let asked = tasks.len();
        let send = self.send(tasks, hops, |_, _| GATHER_LIST.unsigned_abs());
        let sent = self.once(&format!("list#{}", plain(&list.list)), GATHER_LIST, send).await;
        sent.unwrap_or(Ok(())).map(|()| asked)
    }

    /// What asks for a look at everything, everywhere.
    ///
    /// # Errors
    /// The register cannot be read, or not all could be asked for.
    pub(super) async fn everywhere(&self, trigger: &Trigger, round: Round) -> Result<Response, GuardError> {
        match trigger {
            Trigger::Sweep { groups } if !groups.is_empty() => self.at_groups(trigger, round).await,
            Trigger::Lost => match self.once(LOST, GATHER_LOST, self.sweep(GATHER_LOST.unsigned_abs(), round)).await {
                Some(swept) => swept,
                None => Ok(Response::ignored("a look at all locations is under way".to_owned())),
            },
            Trigger::Sweep { .. } | Trigger::Change(_) => self.sweep(Duration::ZERO, round).await,
        }
    }

    /// A sweep of each, through the work queue, the first one after so long.
    async fn sweep(&self, first: Duration, round: Round) -> Result<Response, GuardError> {
        let locations = self.known().await?;
        let said = format!("a look at {} is under way", count(locations.len(), "other location"));
        let tasks = locations.into_iter().map(|location| Task::Sweep { location }).collect();
        let delay = |n: usize, of: usize| {
            let apart = SPREAD.checked_div(u32::try_from(of).unwrap_or(u32::MAX)).unwrap_or_default();
            apart.min(APART).saturating_mul(u32::try_from(n).unwrap_or(u32::MAX)).saturating_add(first).min(SPREAD)
        };
        self.send(tasks, round.hops, delay).await?;
        Ok(Response::ignored(said))
    }

    /// Groups that somebody names may be anywhere: one location after the other, as long as there is time.
    async fn at_groups(&self, trigger: &Trigger, round: Round) -> Result<Response, GuardError> {
        let (mut all, mut problems) = (Response::default(), Vec::new());
        for location in self.known().await? {
            if self.clock.now() > round.deadline {
                problems.push("the time ran out before all locations were looked at; name groups of fewer".to_owned());
                break;
            }
            let Some(guard) = self.guard_of(&location).await? else { continue };
            match Box::pin(guard.look(trigger, round)).await {
                Ok(response) => all.records.extend(response.records),
                Err(error) => problems.push(format!("{location}: {}", chain(&error))),
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(GuardError::Unfinished { problems, is_told: true }) }
    }

    /// A look in this location came to its end: it is still ours, whether or not its stack says so.
    pub(super) async fn looked_at(&self, location: &Location) {
        let now = self.clock.now();
        match self.register.heard_of(location).await {
            Ok(Some(at)) if now.duration_since(at) < NOTED_FOR => {}
            Ok(_) => self.note(location).await,
            Err(error) => tracing::warn!(%location, error = %chain(&error), "the register of locations was not read"),
        }
    }

    /// All that are known and count. Those that nobody has heard of for long are struck.
    async fn known(&self) -> Result<Vec<Location>, GuardError> {
        let known = self.register.all().await.map_err(unregistered)?;
        let now = self.clock.now();
        let (alive, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            known.into_iter().partition(|(_, at)| now.duration_since(*at) < STRUCK_AFTER);
        for (location, at) in gone {
            tracing::warn!(%location, last = %at, "nothing was heard of a location for a week: it is looked at no more");
            if let Err(error) = self.register.strike(&location, at).await {
                tracing::warn!(%location, error = %chain(&error), "a location could not be struck from the register");
            }
        }
        Ok(alive.into_keys().filter(|location| self.counts(location)).collect())
    }

    async fn may_enter(&self, location: &Location) -> Result<bool, GuardError> {
        let failed = |source| read_failed(format!("the guard's role in {location}"), source);
        self.doors.may_enter(location).await.map_err(failed)
    }

    async fn note(&self, location: &Location) {
        if let Err(error) = self.register.heard(location, self.clock.now()).await {
            tracing::error!(%location, error = %chain(&error), "a location could not be registered: no sweep looks at it");
        }
    }

    async fn once<T>(
        &self,
        what: &str,
        time: SignedDuration,
        done: impl Future<Output = Result<T, GuardError>>,
    ) -> Option<Result<T, GuardError>> {
        once(Some(self.state.as_ref()), self.clock.as_ref(), what, time, done).await
    }

    /// `delay`: of the nth of so many.
    async fn send(
        &self,
        tasks: Vec<Task>,
        hops: u8,
        delay: impl Fn(usize, usize) -> Duration,
    ) -> Result<(), GuardError> {
        let (of, now) = (tasks.len(), self.clock.now());
        let each = tasks.into_iter().enumerate().map(|(n, task)| {
            let (text, delay) = (Work::new(task, hops.saturating_add(1), now).text(), delay(n, of));
            async move {
                let text = text.map_err(|error| chain(&error))?;
                self.queue.send(&text, delay).await.map_err(|error| chain(&error))
            }
        });
        let each: Vec<_> = each.collect();
        let sent: Vec<Result<(), String>> = stream::iter(each).buffer_unordered(MAX_SENDS).collect().await;
        let unsent: Vec<String> = sent.into_iter().filter_map(Result::err).collect();
        let Some(first) = unsent.first() else { return Ok(()) };
        let problem =
            format!("{} of `{of}` could not be put into the work queue: {first}", count(unsent.len(), "look"));
        Err(GuardError::unfinished(problem))
    }

    fn kept(&self, location: &Location) -> Option<Arc<Guard>> {
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        let at = guards.iter().position(|(there, _)| there == location)?;
        let used = guards.remove(at);
        let guard = Arc::clone(&used.1);
        guards.push(used);
        Some(guard)
    }

    async fn open(&self, location: &Location) -> Arc<Guard> {
        if let Some(guard) = self.kept(location) {
            return guard;
        }
        let guard = Arc::new(self.doors.guard(location).await);
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        if guards.len() >= MAX_GUARDS {
            guards.remove(0);
        }
        guards.push((location.clone(), Arc::clone(&guard)));
        guard
    }
}
