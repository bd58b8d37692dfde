//! The groups that an event is about, as EC2 shows them: waited for a moment where it matters, and with what the state says
//! that they were.
//!
//! Must not: judge or mend (the invocation does).

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Guard, read_failed};
use crate::event::work::Why;
use crate::event::{Change, GroupRef, ListChange, Named, NamedRule};
use crate::guard::asked::Asked;
use crate::guard::claimed;
use crate::guard::group::RETRY_DELAYS;
use crate::guard::invocation::Invocation;
use crate::guard::remediate::StepResult;
use crate::guard::response::GuardError;
use crate::inventory::{GroupSnapshot, Looked, Unread};
use crate::model::error::{CloudError, chain};
use crate::model::group::{Evidence, Group, Role, RoleEvidence};
use crate::model::member::Member;

fn on_attachment(attachment: &str, source: CloudError) -> GuardError {
    read_failed(format!("the groups attached to `{attachment}`"), source)
}

impl Guard {
    /// The group, waited for a moment when EC2 does not show it yet, and it matters. `None`: it is gone.
    pub(super) async fn find(&self, group: &GroupRef, matters: bool) -> Result<Option<Looked>, GuardError> {
        for wait in std::iter::once(Duration::ZERO).chain(RETRY_DELAYS.into_iter().filter(|_| matters)) {
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

    /// The groups that were put on an attachment, the ids of those for which it is the first EKS interface, and whether EC2
    /// shows it. It is waited for a moment if these groups let in what the policy objects to; in the end they count without.
    pub(super) async fn attached(
        &self,
        attachment: Option<&str>,
        groups: &[String],
    ) -> Result<(Looked, BTreeSet<String>, bool), GuardError> {
        let Some(attachment) = attachment else { return Ok((self.read(groups).await?, BTreeSet::new(), true)) };
        let failed = |source| on_attachment(attachment, source);
        let groups = match groups {
            [] => self.groups_on(attachment).await?,
            named => named.to_vec(),
        };
        if let Some((looked, first)) = self.inventory.read_attached(&groups, attachment).await.map_err(failed)? {
            return Ok((looked, first, true));
        }
        let looked = self.read(&groups).await?;
        let clock = &self.setup.ports.clock;
        if !looked.groups().any(|group| self.lets_in(group)) {
            return Ok((looked, BTreeSet::new(), true));
        }
        for wait in RETRY_DELAYS {
            clock.sleep(wait).await;
            if let Some((looked, first)) = self.inventory.read_attached(&groups, attachment).await.map_err(failed)? {
                return Ok((looked, first, true));
            }
        }
        Ok((looked, BTreeSet::new(), false))
    }

    /// The ids of the groups that are on an attachment now.
    async fn groups_on(&self, attachment: &str) -> Result<Vec<String>, GuardError> {
        let interfaces = self.setup.ports.ec2.interfaces_of(attachment).await;
        let interfaces = interfaces.map_err(|source| on_attachment(attachment, source))?;
        let groups: BTreeSet<String> = interfaces.into_iter().flat_map(|interface| interface.groups).collect();
        Ok(groups.into_iter().collect())
    }

    /// Groups that the event put on an attachment of a cluster and that are on none now, each with what it let in: it was
    /// open there for a moment.
    pub(super) async fn was_attached(
        &self,
        attachment: Option<&str>,
        named: &[String],
        snapshots: &[GroupSnapshot],
        invocation: &mut Invocation<'_>,
    ) -> Vec<(Group, Vec<StepResult>)> {
        let may_be_open =
            |it: &&GroupSnapshot| it.group.roles.is_empty() && named.contains(&it.group.id) && self.lets_in(&it.group);
        let open: Vec<&GroupSnapshot> = snapshots.iter().filter(may_be_open).collect();
        if open.is_empty() {
            return Vec::new();
        }
        let beside = match self.beside(attachment, snapshots).await {
            Ok(beside) => beside,
            Err(error) => {
                invocation.problem(chain(&error));
                return Vec::new();
            }
        };
        let (event, now) = (invocation.event(), self.setup.ports.clock.now());
        let mut found = Vec::new();
        for mut snapshot in open.into_iter().cloned() {
            if let Err(source) = self.inventory.resolve(&mut snapshot).await {
                let what = format!("what the rules of `{}` refer to", snapshot.group.id);
                invocation.problem(chain(&read_failed(what, source)));
                continue;
            }
            let (group, judged) = claimed::was_attached(&self.setup, &snapshot.group, &beside, event, now);
            if !judged.is_empty() {
                found.push((group, claimed::results(judged)));
            }
        }
        found
    }

    /// The groups that tell whose an attachment is: those of the cluster that the event names too, or those that are on it
    /// now.
    async fn beside(&self, attachment: Option<&str>, snapshots: &[GroupSnapshot]) -> Result<Vec<Group>, GuardError> {
        let named: Vec<Group> =
            snapshots.iter().map(|it| &it.group).filter(|group| group.is_strong()).cloned().collect();
        let Some(attachment) = attachment.filter(|_| named.is_empty()) else { return Ok(named) };
        let ids = self.groups_on(attachment).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.read(&ids).await?.groups().cloned().collect())
    }

    /// A change of a list with what it gained, if it was given back the entries of an older version.
    pub(super) async fn restored(&self, change: &ListChange) -> ListChange {
        let mut change = change.clone();
        if let Some(version) = change.restored {
            match self.setup.ports.ec2.entries_of_version(&change.list, version).await {
                Ok(entries) => change.gained = entries.blocks(),
                // What it holds now is read and judged all the same.
                Err(error) => {
                    let (list, error) = (&change.list, chain(&error));
                    tracing::warn!(list, version, %error, "what a list was for a moment is not known");
                }
            }
        }
        change
    }

    /// Whether the policy would object to what a group lets in, if it were a node's.
    fn lets_in(&self, group: &Group) -> bool {
        let named: Vec<NamedRule> = group.rules.iter().map(NamedRule::of).collect();
        claimed::objects(&claimed::judged(&self.setup, group, &named, None, self.setup.ports.clock.now()))
    }

    /// The groups of a look. What could not be read beside them makes the invocation end in an error, and is tried again.
    /// Groups of which nothing strong is said are looked at once more with what the state says that they were.
    pub(super) async fn seen(
        &self,
        looked: Looked,
        asked: &mut Asked,
        change: Option<&Change>,
        invocation: &mut Invocation<'_>,
    ) -> Vec<GroupSnapshot> {
        let weak: BTreeSet<&str> =
            looked.groups().filter(|group| !group.is_strong()).map(|group| group.id.as_str()).collect();
        let members = asked.members(&weak, self.setup.ports.clock.now()).await;
        let mut all = vec![looked];
        if !members.is_empty() {
            let what = members.keys().cloned().collect::<Vec<_>>().join(", ");
            match self.inventory.read_recalled(members).await {
                Ok(again) => {
                    invocation.unseen.is_any |= !again.unread.is_empty();
                    all.push(again);
                }
                Err(source) => {
                    invocation.unseen.is_any = true;
                    self.could_not_read(&read_failed(what, source), change, invocation).await;
                }
            }
        }
        let mut snapshots: Vec<GroupSnapshot> = Vec::new();
        for looked in all {
            for Unread { what, source } in looked.unread {
                self.could_not_read(&read_failed(what, source), change, invocation).await;
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

    /// A group that is not there. What the event says of its rules is looked at once more, and told in the end if the group
    /// is known to have been a cluster's.
    pub(super) async fn gone(
        &self,
        group: &GroupRef,
        named: &Named,
        asked: &mut Asked,
        invocation: &mut Invocation<'_>,
    ) {
        let GroupRef::Id(id) = group else { return };
        invocation.hear(named, &[]);
        let now = self.setup.ports.clock.now();
        let members = asked.members(&BTreeSet::from([id.as_str()]), now).await.remove(id).unwrap_or_default();
        let role = |member: &Member| {
            let (strong, evidence) = (member.is_proven, Evidence::Attachment);
            let of = move |role: &Role| RoleEvidence { role: *role, evidence, strong };
            member.roles.iter().map(of).collect::<Vec<_>>()
        };
        let (roles, clusters) = (members.values().flat_map(role).collect(), members.keys().cloned().collect());
        let group = Group { id: id.clone(), roles, clusters, ..Group::default() };
        // What the journal holds as our doing was told, or is told now.
        let journal = invocation.join(&group, asked).await;
        let event = invocation.event();
        let is_ours = |named: &&NamedRule| claimed::is_ours(&journal, event, named);
        let named: Vec<NamedRule> = named.rules().iter().filter(|named| !is_ours(named)).cloned().collect();
        let claims = claimed::judged(&self.setup, &group, &named, invocation.event(), now);
        if !claimed::objects(&claims) {
            return;
        }
        if invocation.may_look_again(Why::Missing) {
            invocation.again.add(Why::Missing, id, Named::Rules(claimed::of_interest(&named, &claims)));
        } else if !group.clusters.is_empty() {
            invocation.was_open(group, claimed::results(claims));
        }
    }
}
