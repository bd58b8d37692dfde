//! What a call changed: which groups that concerns, each read and handed to the invocation, with what the call says of it.
//!
//! Must not: judge or mend (the invocation does), or find what EC2 does not show yet (`find` does).

use std::collections::BTreeSet;

use super::{Guard, read_failed};
use crate::event::work::Why;
use crate::event::{Change, GroupRef, Named, Target, Touched};
use crate::guard::invocation::Invocation;
use crate::guard::response::{GuardError, Response};
use crate::guard::round::Round;
use crate::guard::{claimed, journal, sight};
use crate::model::error::CloudError;
use crate::model::group::Group;

/// Groups read at once where many are concerned.
const MAX_GROUPS: usize = 200;

impl Guard {
    /// Looks at what the call says that it is about: each group, all that an attachment or a list concerns, a cluster.
    ///
    /// # Errors
    /// As [`Guard::look`].
    pub(super) async fn change(&self, change: &Change, round: Round) -> Result<Response, GuardError> {
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
}
