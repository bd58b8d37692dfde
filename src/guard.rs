//! One invocation, from payload to answer: parse, read, judge, do, record, tell. One evaluator for every entrance.
//!
//! Owns: which groups an invocation is about, waiting for what EC2 does not show yet, and what ends in an error. Must not:
//! order effects on EC2 (remediate does) or write text (notice does).

pub mod dispatch;
pub mod handled;
pub mod inventory;
mod invocation;
mod news;
pub mod plan;
pub mod remediate;
pub mod settings;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::event::{Change, Event, EventError, GroupRef, Named, Subject, Touched, Trigger};
use crate::guard::handled::HandledEvents;
use crate::guard::inventory::{GroupSnapshot, Inventory};
use crate::guard::invocation::Invocation;
use crate::guard::plan::{Modes, PlanContext};
use crate::model::error::CloudError;
use crate::model::error::chain;
use crate::model::ids::Location;
use crate::policy::model::Policy;
use crate::ports::{Channel, Clock, Ec2, Eks, StateStore};
use crate::report::metrics::Metrics;
use crate::report::notice;
use crate::report::record::Record;

/// Waits before EC2 is asked again for a group or rule that an event speaks of and that is not there.
const RETRY_DELAYS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// An event that does not tell its group may make us look at all groups this often. Lambda tries a failed event again after
/// one minute and after two more, so the last try always looks.
const FULL_LOOK_INTERVAL: SignedDuration = SignedDuration::from_secs(150);
/// Groups read at once where many are concerned.
const MAX_GROUPS: usize = 200;

/// What came of one trigger.
#[derive(Debug, Default, Serialize)]
pub struct Response {
    /// One per group looked at that has a role.
    pub records: Vec<Record>,
    /// Why there was nothing to do, if so.
    pub ignored: Option<String>,
}

impl Response {
    /// There was nothing to do.
    pub fn ignored(reason: String) -> Self {
        Self { records: Vec::new(), ignored: Some(reason) }
    }

    fn repeat(event: &Event) -> Self {
        Self::ignored(format!("event `{}` was handled already", event.id))
    }
}

/// Why an invocation failed. The platform retries it, then it goes to the dead-letter queue, then an alarm rings.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The payload is nothing we know.
    #[error("the payload was not understood")]
    InvalidEvent(#[from] EventError),
    /// The state could not be read, so nothing was judged.
    #[error("the state of {what} could not be read")]
    ReadFailed {
        /// What was read.
        what: String,
        /// Why.
        #[source]
        source: CloudError,
    },
    /// The event does not tell its group, and all groups were looked at a moment ago. The next try looks again.
    #[error(
        "the event does not tell its group, and all groups were looked at a moment ago (at {last}); try again in some minutes"
    )]
    Postponed {
        /// When all groups were looked at.
        last: Timestamp,
    },
    /// Not everything that should be done is done. What was done is in the records on standard output.
    #[error("not everything was done: {}", .0.join("; "))]
    Unfinished(Vec<String>),
}

impl GuardError {
    /// Stable name for alarms and filters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidEvent(_) => "InvalidEvent",
            Self::ReadFailed { .. } => "ReadFailed",
            Self::Postponed { .. } => "Postponed",
            Self::Unfinished(_) => "Unfinished",
        }
    }
}

fn read_failed(what: String, source: CloudError) -> GuardError {
    GuardError::ReadFailed { what, source }
}

/// Everything that stays the same between invocations.
pub struct Guard<E, K, C, N, M> {
    inventory: Inventory<E, K, C>,
    channels: Vec<N>,
    policy: Policy,
    modes: Modes,
    max_revokes: usize,
    location: Location,
    metrics: Arc<Metrics>,
    /// Where each record goes at once, as one line.
    journal: fn(&Record),
    handled: Mutex<HandledEvents>,
    /// Events of which people were told that the guard may not look.
    blind: Mutex<HandledEvents>,
    state: Option<M>,
    looked_everywhere: Mutex<Option<Timestamp>>,
}

/// How a guard is set up.
pub struct Setup<E, K, C, N, M> {
    /// The door to EC2.
    pub ec2: E,
    /// The door to EKS.
    pub eks: K,
    /// Time.
    pub clock: C,
    /// Whom to tell.
    pub channels: Vec<N>,
    /// The policy in force.
    pub policy: Policy,
    /// From the environment.
    pub modes: Modes,
    /// From the environment.
    pub max_revokes: usize,
    /// What it looks after: events of other locations are not for it.
    pub location: Location,
    /// What all processes remember together. Without it repeats are not merged.
    pub state: Option<M>,
    /// Counts what is done.
    pub metrics: Arc<Metrics>,
    /// Takes each record as soon as it is complete.
    pub journal: fn(&Record),
}

impl<E: Ec2, K: Eks, C: Clock, N: Channel, M: StateStore> Guard<E, K, C, N, M> {
    /// A guard with an empty memory.
    pub fn new(setup: Setup<E, K, C, N, M>) -> Self {
        let Setup { ec2, eks, clock, channels, policy, modes, max_revokes, location, state, metrics, journal } = setup;
        let inventory = Inventory::new(ec2, eks, clock, location.account.clone(), policy.groups.clone());
        Self {
            inventory,
            channels,
            policy,
            modes,
            max_revokes,
            location,
            journal,
            handled: Mutex::default(),
            blind: Mutex::default(),
            metrics,
            state,
            looked_everywhere: Mutex::default(),
        }
    }

    /// Looks at what a trigger asks for. Nothing new is begun after `deadline`, so that what was done can still be told in time.
    ///
    /// # Errors
    /// A state that cannot be read, or anything that should be done and is not.
    pub async fn look(&self, trigger: &Trigger, deadline: Timestamp) -> Result<Response, GuardError> {
        let looked = self.look_at(trigger, deadline).await;
        if let Err(error) = &looked {
            let event = match trigger {
                Trigger::Change(change) => Some(&change.event),
                Trigger::Sweep { .. } => None,
            };
            self.notify_if_blind(event, error).await;
        }
        looked
    }

    async fn look_at(&self, trigger: &Trigger, deadline: Timestamp) -> Result<Response, GuardError> {
        let change = match trigger {
            Trigger::Sweep { groups } => return self.sweep(groups.clone(), None, deadline).await,
            Trigger::Change(change) => change,
        };
        let event = &change.event;
        if self.is_handled(&event.id) {
            return Ok(Response::repeat(event));
        }
        self.change(change, deadline).await
    }

    async fn change(&self, change: &Change, deadline: Timestamp) -> Result<Response, GuardError> {
        let event = &change.event;
        let mut invocation = Invocation::new(self, Some(event), deadline);
        let mut out_of_scope = Vec::new();
        match &change.subject {
            Subject::Unknown => {
                self.may_look_everywhere()?;
                return self.sweep(Vec::new(), Some(event), deadline).await;
            }
            Subject::Groups(touched) => {
                for Touched { group, named } in touched {
                    match self.find(group).await {
                        // The other groups still count.
                        Err(error) => {
                            self.notify_if_blind(Some(event), &error).await;
                            invocation.problem(chain(&error));
                        }
                        Ok(None) => out_of_scope.push(format!("security group `{}` is already gone", group.text())),
                        Ok(Some(snapshot)) => invocation.in_scope(snapshot, named, &mut out_of_scope).await,
                    }
                }
            }
            Subject::Attached { attachment, groups } => {
                for (snapshot, is_first) in self.worn(attachment.as_deref(), groups).await? {
                    let named = if is_first { Named::Everything } else { Named::Nothing };
                    invocation.in_scope(snapshot, &named, &mut out_of_scope).await;
                }
            }
            Subject::PrefixList(list) => {
                let users = self.inventory.ec2().groups_using(list).await;
                let users = users.map_err(|source| read_failed(format!("the groups that use `{list}`"), source))?;
                for ids in users.chunks(MAX_GROUPS) {
                    for snapshot in self.read(ids).await? {
                        invocation.in_scope(snapshot, &Named::Using(list.clone()), &mut out_of_scope).await;
                    }
                }
            }
            Subject::Cluster(name) => {
                let groups = self.inventory.groups_of(name).await;
                let groups = groups.map_err(|source| read_failed(format!("cluster `{name}`"), source))?;
                for snapshot in self.read(&groups).await? {
                    invocation.in_scope(snapshot, &Named::Nothing, &mut out_of_scope).await;
                }
                invocation.configured = Some(name.clone());
            }
        }
        if invocation.is_empty() && out_of_scope.is_empty() {
            out_of_scope.push(format!("`{}` concerns no security group that is there", event.call.name));
        }
        let ignored = invocation.is_empty().then(|| out_of_scope.join("; "));
        invocation.finish(ignored).await
    }

    async fn read(&self, ids: &[String]) -> Result<Vec<GroupSnapshot>, GuardError> {
        self.inventory.read(ids).await.map_err(|source| read_failed(ids.join(", "), source))
    }

    /// The groups that were put on a wearer, each with whether that is its first EKS interface. Waits a little for EC2 to show
    /// it; in the end the groups count without it.
    async fn worn(
        &self,
        attachment: Option<&str>,
        groups: &[String],
    ) -> Result<Vec<(GroupSnapshot, bool)>, GuardError> {
        let Some(attachment) = attachment else {
            return Ok(self.read(groups).await?.into_iter().map(|snapshot| (snapshot, false)).collect());
        };
        let failed = |source| read_failed(format!("what `{attachment}` wears"), source);
        let groups = match groups {
            [] => self.inventory.ec2().groups_attached_to(attachment).await.map_err(failed)?,
            told => told.to_vec(),
        };
        for wait in std::iter::once(Duration::ZERO).chain(RETRY_DELAYS) {
            self.inventory.clock().sleep(wait).await;
            if let Some(snapshot) = self.inventory.read_attached(&groups, attachment).await.map_err(failed)? {
                return Ok(snapshot);
            }
        }
        Ok(self.read(&groups).await?.into_iter().map(|snapshot| (snapshot, false)).collect())
    }

    /// Looks at these groups, or at every group with a role, naming no rule.
    async fn sweep(
        &self,
        ids: Vec<String>,
        event: Option<&Event>,
        deadline: Timestamp,
    ) -> Result<Response, GuardError> {
        let read = if ids.is_empty() { self.inventory.read_all().await } else { self.inventory.read(&ids).await };
        let what = if ids.is_empty() { "the EKS groups".to_owned() } else { ids.join(", ") };
        let snapshot = read.map_err(|source| GuardError::ReadFailed { what, source })?;
        let mut invocation = Invocation::new(self, event, deadline);
        for snapshot in snapshot {
            invocation.in_scope(snapshot, &Named::Nothing, &mut Vec::new()).await;
        }
        let ignored =
            invocation.is_empty().then(|| "no security group with a role in an EKS cluster was found".to_owned());
        invocation.finish(ignored).await
    }

    /// The group, waited for a little when EC2 does not show it yet. `None`: it is gone.
    async fn find(&self, group: &GroupRef) -> Result<Option<GroupSnapshot>, GuardError> {
        for wait in std::iter::once(Duration::ZERO).chain(RETRY_DELAYS) {
            self.inventory.clock().sleep(wait).await;
            let read = self.look_for(group).await;
            let what = || format!("security group `{}`", group.text());
            if let Some(snapshot) = read.map_err(|source| GuardError::ReadFailed { what: what(), source })? {
                return Ok(Some(snapshot));
            }
        }
        Ok(None)
    }

    async fn look_for(&self, group: &GroupRef) -> Result<Option<GroupSnapshot>, CloudError> {
        let id = match group {
            GroupRef::Id(id) => Some(id.clone()),
            GroupRef::Name(name) => self.inventory.ec2().default_vpc_group(name).await?,
        };
        let Some(id) = id else { return Ok(None) };
        Ok(self.inventory.read(&[id]).await?.into_iter().next())
    }

    fn context<'b>(&'b self, event: Option<&'b Event>, now: Timestamp, named: &'b Named) -> PlanContext<'b> {
        let actor = event.map(|event| &event.actor);
        PlanContext { policy: &self.policy, location: &self.location, now, modes: self.modes, actor, named }
    }

    /// Events that do not tell their group make us look at every group. Padded requests must not drain the request buckets
    /// that the cluster's own controllers share, so this happens once per window; the platform's retry comes back later.
    fn may_look_everywhere(&self) -> Result<(), GuardError> {
        let now = self.inventory.clock().now();
        let mut last = self.looked_everywhere.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = *last
            && now.duration_since(last) < FULL_LOOK_INTERVAL
        {
            return Err(GuardError::Postponed { last });
        }
        *last = Some(now);
        Ok(())
    }

    /// A refused read leaves no record to tell of, so people hear of the refusal itself, once for an event and its retries.
    async fn notify_if_blind(&self, event: Option<&Event>, error: &GuardError) {
        let GuardError::ReadFailed { source: CloudError::Denied { .. }, .. } = error else { return };
        let key = event.map_or("sweep", |event| event.id.as_str());
        if self.blind.lock().unwrap_or_else(PoisonError::into_inner).contains(key) {
            return;
        }
        let message = notice::blind(&self.location, event, &chain(error));
        let mut is_notified = true;
        for channel in &self.channels {
            let sent = channel.send(&message).await;
            self.metrics.notified(sent.is_ok());
            if let Err(error) = sent {
                is_notified = false;
                tracing::error!(channel = channel.name(), error = %chain(error.as_ref()), "nobody could be told");
            }
        }
        if is_notified {
            self.blind.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
    }

    fn is_handled(&self, event: &str) -> bool {
        self.handled.lock().unwrap_or_else(PoisonError::into_inner).contains(event)
    }

    fn remember(&self, event: &str) {
        self.handled.lock().unwrap_or_else(PoisonError::into_inner).insert(event);
    }
}
