//! The guard of one location: which groups a trigger is about, read and handed to an invocation. One evaluator for every
//! trigger.
//!
//! Owns: waiting for what EC2 does not show yet. Must not: order effects on EC2 (remediate does) or write text (notice
//! does).

mod again;
mod asked;
mod claimed;
pub mod dispatch;
mod effects;
mod everything;
mod failure;
mod find;
mod group;
mod handled;
mod hourly;
pub mod inventory;
mod invocation;
mod journal;
mod left_over;
mod memory;
pub mod modes;
pub(crate) mod needs;
mod news;
mod notify;
mod once;
pub mod organisation;
mod parts;
pub mod plan;
pub mod put_back;
mod read_back;
pub mod remediate;
pub mod response;
pub mod round;
pub mod settings;
pub mod setup;
pub mod shield;
pub mod sight;
pub mod standing;
mod sweep;
mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::event::work::{Task, Why, Work};
use crate::event::{Change, GroupRef, Named, Target, Touched, Trigger};
use crate::guard::asked::Asked;
use crate::guard::everything::{Everywhere, Who};
use crate::guard::handled::HandledEvents;
use crate::guard::hourly::HourlyLimit;
use crate::guard::inventory::{Inventory, Looked};
use crate::guard::invocation::Invocation;
use crate::guard::response::{GuardError, Response};
use crate::guard::round::{Attempt, Round};
use crate::guard::setup::Setup;
use crate::guard::sight::Sources;
use crate::model::error::{CloudError, chain};
use crate::model::group::Group;
use crate::model::text::count;

/// Groups read at once where many are concerned.
const MAX_GROUPS: usize = 200;
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

    async fn change(&self, change: &Change, round: Round) -> Result<Response, GuardError> {
        let event = &change.event;
        let mut invocation =
            Invocation::new(&self.setup, (&self.inventory, &self.hourly), &self.handled, Some(event), round);
        invocation.removed.clone_from(&change.removed);
        let mut out_of_scope = Vec::new();
        let now = self.setup.ports.clock.now();
        match &change.subject {
            Target::Unknown => return self.everything(Some(change), round).await,
            Target::Trails | Target::EventRule(_) => {
                return sight::after(&self.setup, self.sources.as_ref(), &self.handled, change).await;
            }
            Target::Groups(touched) => {
                for Touched { group, named } in touched {
                    let ids = match group {
                        GroupRef::Id(id) => vec![id.clone()],
                        GroupRef::Name(_) => Vec::new(),
                    };
                    let mut asked = self.ask(ids);
                    let claims = claimed::judged(&self.setup, &Group::default(), named.rules(), Some(event), now);
                    match asked.beside(self.find(group, claimed::objects(&claims))).await {
                        // The other groups still count.
                        Err(error) => self.could_not_read(&error, Some(change), &mut invocation).await,
                        Ok(None) => {
                            self.gone(group, named, &mut asked, &mut invocation).await;
                            out_of_scope.push(format!("security group `{}` is already gone", group.text()));
                        }
                        Ok(Some(looked)) => {
                            if let GroupRef::Name(_) = group {
                                asked = self.ask_about(&looked);
                            }
                            let snapshots = self.seen(looked, &mut asked, Some(change), &mut invocation).await;
                            for snapshot in snapshots {
                                invocation.in_scope(snapshot, named, &mut asked, &mut out_of_scope).await;
                            }
                        }
                    }
                }
            }
            Target::Attached { attachment, groups } => {
                invocation.attachment.clone_from(attachment);
                let (looked, first, is_shown) = self.attached(attachment.as_deref(), groups).await?;
                let mut asked = self.ask_about(&looked);
                let snapshots = self.seen(looked, &mut asked, Some(change), &mut invocation).await;
                let was_open = self.was_attached(attachment.as_deref(), groups, &snapshots, &mut invocation).await;
                if (!is_shown || !was_open.is_empty()) && invocation.may_look_again(Why::Missing) {
                    invocation.again.add_target(Why::Missing, change.subject.clone());
                } else {
                    for (group, results) in was_open {
                        invocation.was_open(group, results);
                    }
                }
                for snapshot in snapshots {
                    let is_first = first.contains(&snapshot.group.id);
                    let named = if is_first { Named::Everything } else { Named::Nothing };
                    invocation.in_scope(snapshot, &named, &mut asked, &mut out_of_scope).await;
                }
            }
            Target::PrefixList(list_change) => {
                let list = &list_change.list;
                let users = self.setup.ports.ec2.groups_using(list).await;
                let users = users.map_err(|source| read_failed(format!("the groups that use `{list}`"), source))?;
                let users = journal::concerned(&self.setup.ports, event, users).await;
                let list_change = if users.is_empty() { list_change.clone() } else { self.restored(list_change).await };
                for ids in users.chunks(MAX_GROUPS) {
                    match self.read(ids).await {
                        // What was done for the others has to be told.
                        Err(error) => self.could_not_read(&error, Some(change), &mut invocation).await,
                        Ok(looked) => {
                            let mut asked = self.ask_about(&looked);
                            let snapshots = self.seen(looked, &mut asked, Some(change), &mut invocation).await;
                            let named = Named::Using(list_change.clone());
                            for snapshot in snapshots {
                                invocation.in_scope(snapshot, &named, &mut asked, &mut out_of_scope).await;
                            }
                        }
                    }
                }
            }
            Target::Cluster { name, node_group } => {
                let groups = self.inventory.groups_of(name, node_group.as_deref()).await;
                let groups = groups.map_err(|source| read_failed(format!("cluster `{name}`"), source))?;
                let groups = journal::concerned(&self.setup.ports, event, groups).await;
                let looked = self.read(&groups).await?;
                let mut asked = self.ask_about(&looked);
                let snapshots = self.seen(looked, &mut asked, Some(change), &mut invocation).await;
                for snapshot in snapshots {
                    invocation.in_scope(snapshot, &Named::Nothing, &mut asked, &mut out_of_scope).await;
                }
                invocation.configured = Some(name.clone());
                invocation.endpoints_of.extend(change.touches_endpoint.then(|| name.clone()));
            }
        }
        if invocation.is_empty() && out_of_scope.is_empty() {
            out_of_scope.push(format!("`{}` concerns no security group that is there", event.call.name));
        }
        let ignored = invocation.is_empty().then(|| out_of_scope.join("; "));
        invocation.finish(ignored).await
    }

    /// The guard's own call came back as an event: what it did, if nobody told it. `None`: there is nothing to say.
    ///
    /// # Errors
    /// A state that cannot be read, or people that cannot be notified.
    pub(super) async fn own_doing(&self, change: &Change, round: Round) -> Result<Option<Response>, GuardError> {
        let event = &change.event;
        let mut invocation =
            Invocation::new(&self.setup, (&self.inventory, &self.hourly), &self.handled, Some(event), round);
        let ids = change.touched().iter().filter_map(|touched| match &touched.group {
            GroupRef::Id(id) => Some(id.clone()),
            GroupRef::Name(_) => None,
        });
        let ids: BTreeSet<String> = ids.collect();
        let mut asked = self.ask(ids.iter().cloned().collect());
        for id in ids {
            let journal = asked.journal_of(&id).await;
            if journal.entries.values().all(|entry| entry.told) {
                continue;
            }
            // That the call came back does not say that EC2 shows what it did.
            let rules = match self.inventory.rules(&id).await {
                Ok(rules) => rules,
                Err(CloudError::GroupGone(_)) => Vec::new(),
                Err(source) => return Err(read_failed(format!("the rules of `{id}`"), source)),
            };
            invocation.join_own(&Group { id, rules, ..Group::default() }, &journal);
        }
        let response = invocation.finish(None).await?;
        Ok((!response.records.is_empty()).then_some(response))
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

    /// Something could not be read, and the rest counts: said in the end, and at once where we are not allowed to look.
    async fn could_not_read(&self, error: &GuardError, change: Option<&Change>, invocation: &mut Invocation<'_>) {
        if let GuardError::ReadFailed { source: CloudError::Denied { .. }, .. } = error {
            self.notify_of_failure(change, error, Attempt::Again).await;
            invocation.unseen.is_told = true;
        }
        invocation.problem(chain(error));
    }
}
