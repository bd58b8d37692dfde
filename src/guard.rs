//! The guard of one location: which groups a trigger is about, read and handed to an invocation. One evaluator for every
//! trigger.
//!
//! Owns: waiting for what EC2 does not show yet. Must not: order effects on EC2 (remediate does) or write text (notice
//! does).

pub mod dispatch;
mod effects;
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
pub mod plan;
pub mod put_back;
mod read_back;
pub mod remediate;
pub mod response;
pub mod settings;
pub mod setup;
pub mod shield;
pub mod standing;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::event::{Change, Event, GroupRef, Named, Target, Touched, Trigger};
use crate::guard::group::RETRY_DELAYS;
use crate::guard::handled::HandledEvents;
use crate::guard::hourly::HourlyLimit;
use crate::guard::inventory::{GroupSnapshot, Inventory, Looked, Unread};
use crate::guard::invocation::Invocation;
use crate::guard::memory::Asked;
use crate::guard::notify::{Outgoing, notify};
use crate::guard::response::{GuardError, Response};
use crate::guard::setup::Setup;
use crate::model::error::{CloudError, chain};
use crate::model::group::Group;
use crate::report::finding::Finding;
use crate::report::notice;
use crate::report::record::{About, Record};

/// An event that does not say its group may make us look at all groups this often. Lambda tries a failed event again
/// after one minute and after two more, so the last try always looks.
const FULL_LOOK_INTERVAL: SignedDuration = SignedDuration::from_secs(150);
/// Groups read at once where many are concerned.
const MAX_GROUPS: usize = 200;

fn read_failed(what: String, source: CloudError) -> GuardError {
    GuardError::ReadFailed { what, source }
}

/// Everything that outlives an invocation.
pub struct Guard {
    setup: Setup,
    inventory: Inventory,
    handled: HandledEvents,
    hourly: HourlyLimit,
    /// Events after which people were notified that the guard may not look.
    blind: HandledEvents,
    looked_everywhere: Mutex<Option<Timestamp>>,
}

impl Guard {
    /// A guard that remembers nothing yet.
    pub fn new(setup: Setup) -> Self {
        let inventory = Inventory::new(&setup.ports, setup.location.account.clone(), setup.policy.groups.clone());
        let (handled, blind) = (HandledEvents::default(), HandledEvents::default());
        let ports = &setup.ports;
        let hourly = HourlyLimit::new(ports.state.clone(), Arc::clone(&ports.clock), setup.max_revokes);
        Self { setup, inventory, handled, hourly, blind, looked_everywhere: Mutex::default() }
    }

    /// Looks at what a trigger asks for. Nothing new is begun after `deadline`, so that what was done can still be reported
    /// in time.
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
        if self.handled.contains(&event.id) {
            return Ok(Response::repeat(event));
        }
        self.change(change, deadline).await
    }

    async fn change(&self, change: &Change, deadline: Timestamp) -> Result<Response, GuardError> {
        let event = &change.event;
        let mut invocation =
            Invocation::new(&self.setup, (&self.inventory, &self.hourly), &self.handled, Some(event), deadline);
        let mut out_of_scope = Vec::new();
        match &change.subject {
            Target::Unknown => {
                self.may_look_everywhere()?;
                return self.sweep(Vec::new(), Some(change), deadline).await;
            }
            Target::Groups(touched) => {
                for Touched { group, named } in touched {
                    let ids = match group {
                        GroupRef::Id(id) => vec![id.clone()],
                        GroupRef::Name(_) => Vec::new(),
                    };
                    let mut asked = self.ask(ids);
                    match asked.beside(self.find(group)).await {
                        // The other groups still count.
                        Err(error) => self.could_not_read(&error, Some(event), &mut invocation).await,
                        Ok(None) => {
                            out_of_scope.push(format!("security group `{}` is already gone", group.text()));
                            if let GroupRef::Id(id) = group {
                                let gone = Group { id: id.clone(), ..Group::default() };
                                invocation.join(&gone, &mut asked).await;
                            }
                        }
                        Ok(Some(looked)) => {
                            if let GroupRef::Name(_) = group {
                                asked = self.ask_about(&looked);
                            }
                            let snapshots = self.seen(looked, &mut asked, Some(event), &mut invocation).await;
                            for snapshot in snapshots {
                                invocation.in_scope(snapshot, named, &mut asked, &mut out_of_scope).await;
                            }
                        }
                    }
                }
            }
            Target::Attached { attachment, groups } => {
                let (looked, first) = self.attached(attachment.as_deref(), groups).await?;
                let mut asked = self.ask_about(&looked);
                let snapshots = self.seen(looked, &mut asked, Some(event), &mut invocation).await;
                for snapshot in snapshots {
                    let is_first = first.contains(&snapshot.group.id);
                    let named = if is_first { Named::Everything } else { Named::Nothing };
                    invocation.in_scope(snapshot, &named, &mut asked, &mut out_of_scope).await;
                }
            }
            Target::PrefixList(list) => {
                let users = self.setup.ports.ec2.groups_using(list).await;
                let users = users.map_err(|source| read_failed(format!("the groups that use `{list}`"), source))?;
                for ids in users.chunks(MAX_GROUPS) {
                    match self.read(ids).await {
                        // What was done for the others has to be told.
                        Err(error) => self.could_not_read(&error, Some(event), &mut invocation).await,
                        Ok(looked) => {
                            let mut asked = self.ask_about(&looked);
                            let snapshots = self.seen(looked, &mut asked, Some(event), &mut invocation).await;
                            let named = Named::Using(list.clone());
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
                let looked = self.read(&groups).await?;
                let mut asked = self.ask_about(&looked);
                let snapshots = self.seen(looked, &mut asked, Some(event), &mut invocation).await;
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
    pub async fn own_doing(&self, change: &Change, deadline: Timestamp) -> Result<Option<Response>, GuardError> {
        let event = &change.event;
        let mut invocation =
            Invocation::new(&self.setup, (&self.inventory, &self.hourly), &self.handled, Some(event), deadline);
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

    /// The groups of a look. What could not be read beside them makes the invocation end in an error, and is tried again.
    /// Groups of which nothing strong is said are looked at once more with what the state says that they were.
    async fn seen(
        &self,
        looked: Looked,
        asked: &mut Asked,
        event: Option<&Event>,
        invocation: &mut Invocation<'_>,
    ) -> Vec<GroupSnapshot> {
        let weak: BTreeSet<&str> =
            looked.groups().filter(|group| !group.is_strong()).map(|group| group.id.as_str()).collect();
        let members = asked.members(&weak, self.setup.ports.clock.now()).await;
        let mut all = vec![looked];
        if !members.is_empty() {
            let what = members.keys().cloned().collect::<Vec<_>>().join(", ");
            match self.inventory.read_recalled(members).await {
                Ok(again) => all.push(again),
                Err(source) => self.could_not_read(&read_failed(what, source), event, invocation).await,
            }
        }
        let mut snapshots: Vec<GroupSnapshot> = Vec::new();
        for looked in all {
            for Unread { what, source } in looked.unread {
                self.could_not_read(&read_failed(what, source), event, invocation).await;
            }
            for new in looked.snapshots {
                match snapshots.iter_mut().find(|old| old.group.id == new.group.id) {
                    Some(old) => *old = new,
                    None => snapshots.push(new),
                }
            }
        }
        snapshots
    }

    /// Something could not be read, and the rest counts: said in the end, and at once where we are not allowed to look.
    async fn could_not_read(&self, error: &GuardError, event: Option<&Event>, invocation: &mut Invocation<'_>) {
        self.notify_if_blind(event, error).await;
        invocation.problem(chain(error));
    }

    /// The groups that were put on an attachment, and the ids of those for which it is the first EKS interface. Waits a
    /// little for EC2 to show it; in the end the groups count without it.
    async fn attached(
        &self,
        attachment: Option<&str>,
        groups: &[String],
    ) -> Result<(Looked, BTreeSet<String>), GuardError> {
        let Some(attachment) = attachment else { return Ok((self.read(groups).await?, BTreeSet::new())) };
        let failed = |source| read_failed(format!("the groups attached to `{attachment}`"), source);
        let groups = match groups {
            [] => {
                let interfaces = self.setup.ports.ec2.interfaces_of(attachment).await.map_err(failed)?;
                let groups: BTreeSet<String> = interfaces.into_iter().flat_map(|interface| interface.groups).collect();
                groups.into_iter().collect()
            }
            named => named.to_vec(),
        };
        for wait in std::iter::once(Duration::ZERO).chain(RETRY_DELAYS) {
            self.setup.ports.clock.sleep(wait).await;
            if let Some(found) = self.inventory.read_attached(&groups, attachment).await.map_err(failed)? {
                return Ok(found);
            }
        }
        Ok((self.read(&groups).await?, BTreeSet::new()))
    }

    /// Looks at these groups, or at every group with a role and every cluster, naming no rule.
    async fn sweep(
        &self,
        ids: Vec<String>,
        change: Option<&Change>,
        deadline: Timestamp,
    ) -> Result<Response, GuardError> {
        let event = change.map(|change| &change.event);
        let read = if ids.is_empty() { self.inventory.read_all().await } else { self.inventory.read(&ids).await };
        let what = if ids.is_empty() { "the EKS groups".to_owned() } else { ids.join(", ") };
        let looked = read.map_err(|source| GuardError::ReadFailed { what, source })?;
        let mut invocation =
            Invocation::new(&self.setup, (&self.inventory, &self.hourly), &self.handled, event, deadline);
        if ids.is_empty() && change.is_none_or(|change| change.touches_endpoint) {
            invocation.endpoints_of.clone_from(&looked.clusters);
        }
        let (all, complete) = (looked.all.clone(), looked.complete.clone());
        let mut asked = self.ask_about(&looked);
        let snapshots = self.seen(looked, &mut asked, event, &mut invocation).await;
        for snapshot in snapshots {
            invocation.in_scope(snapshot, &Named::Nothing, &mut asked, &mut Vec::new()).await;
        }
        invocation.begins(&mut asked).await;
        if !complete.is_empty() {
            invocation.looked(&all, &complete, &mut asked).await;
        }
        let ignored =
            invocation.is_empty().then(|| "no security group with a role in an EKS cluster was found".to_owned());
        invocation.finish(ignored).await
    }

    /// The group, waited for a little when EC2 does not show it yet. `None`: it is gone.
    async fn find(&self, group: &GroupRef) -> Result<Option<Looked>, GuardError> {
        for wait in std::iter::once(Duration::ZERO).chain(RETRY_DELAYS) {
            self.setup.ports.clock.sleep(wait).await;
            let read = self.look_for(group).await;
            let what = || format!("security group `{}`", group.text());
            if let Some(found) = read.map_err(|source| GuardError::ReadFailed { what: what(), source })? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn look_for(&self, group: &GroupRef) -> Result<Option<Looked>, CloudError> {
        let id = match group {
            GroupRef::Id(id) => Some(id.clone()),
            GroupRef::Name(name) => self.setup.ports.ec2.default_vpc_group(name).await?,
        };
        let Some(id) = id else { return Ok(None) };
        Ok(Some(self.inventory.read(&[id]).await?).filter(|looked| !looked.snapshots.is_empty()))
    }

    /// Events that do not name their group make us look at every group. Padded requests must not drain the request buckets
    /// that the cluster's own controllers share, so this happens once per window; the platform's retry comes back later.
    fn may_look_everywhere(&self) -> Result<(), GuardError> {
        let now = self.setup.ports.clock.now();
        let mut last = self.looked_everywhere.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = *last
            && now.duration_since(last) < FULL_LOOK_INTERVAL
        {
            return Err(GuardError::Postponed { last });
        }
        *last = Some(now);
        Ok(())
    }

    /// A refused read leaves nothing to judge, so the refusal itself is the finding, once for an event and its retries.
    async fn notify_if_blind(&self, event: Option<&Event>, error: &GuardError) {
        let GuardError::ReadFailed { source: CloudError::Denied { .. }, .. } = error else { return };
        let key = event.map_or("sweep", |event| event.id.as_str());
        if self.blind.contains(key) {
            return;
        }
        let Setup { ports, policy, modes, location, .. } = &self.setup;
        let mode = modes.of(policy, &Group::default(), event.is_none()).0;
        let findings = vec![Finding::read_denied(chain(error))];
        let record = Record::of(location, policy, mode, About::Account, findings, event);
        ports.metrics.record(&record);
        (ports.record_log)(&record);
        let message = notice::message(&record, Some(notice::notice(&record, ports.clock.now())));
        let unsent = notify(ports, &[Outgoing::once(message)]).await;
        for error in &unsent {
            tracing::error!(error, "nobody could be notified that the guard may not look");
        }
        if unsent.is_empty() {
            self.blind.insert(key);
        }
    }
}
