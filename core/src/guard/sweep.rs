//! A look at everything, or at a part of it, without an event: every group with a role and every cluster.
//!
//! Must not: judge or mend (the invocation does), or plan the parts (`parts` does).

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::{Either, select};

use super::{Guard, read_failed};
use crate::event::work::Part;
use crate::event::{Change, Named};
use crate::guard::asked::Asked;
use crate::guard::invocation::{Ended, Invocation, learn};
use crate::guard::parts;
use crate::guard::response::{GuardError, Response};
use crate::guard::round::{Attempt, Round};
use crate::inventory::Looked;
use crate::model::error::CloudError;
use crate::report::part::EndedPart;

impl Guard {
    /// Looks at these groups, or at every group with a role and every cluster, naming no rule.
    pub(super) async fn sweep(
        &self,
        ids: Vec<String>,
        change: Option<&Change>,
        round: Round,
    ) -> Result<Response, GuardError> {
        let event = change.map(|change| &change.event);
        let what = if ids.is_empty() { "the EKS groups".to_owned() } else { ids.join(", ") };
        let read = Box::pin(async {
            if ids.is_empty() { self.inventory.read_all().await } else { self.inventory.read(&ids).await }
        });
        let looked = self.in_time(&what, read, round).await?;
        let mut invocation = Invocation::new(&self.setup, (&self.inventory, &self.hourly), &self.handled, event, round);
        if ids.is_empty() && change.is_none_or(|change| change.touches_endpoint) {
            invocation.endpoints_of.clone_from(&looked.clusters);
        }
        let (all, complete) = (looked.all.clone(), looked.complete.clone());
        let mut asked = self.each(looked, change, &mut invocation).await;
        invocation.begins(&mut asked).await;
        if !complete.is_empty() {
            invocation.looked(&all, &complete, &mut asked).await;
        }
        let ignored =
            invocation.is_empty().then(|| "no security group with a role in an EKS cluster was found".to_owned());
        invocation.finish(ignored).await
    }

    /// Judges and mends each group of a look, naming no rule. What the state was asked.
    async fn each(&self, looked: Looked, change: Option<&Change>, invocation: &mut Invocation<'_>) -> Asked {
        let mut asked = self.ask_about(&looked);
        for snapshot in self.seen(looked, &mut asked, change, invocation).await {
            invocation.in_scope(snapshot, &Named::Nothing, &mut asked, &mut Vec::new()).await;
        }
        asked
    }

    /// One part of a sweep. What it found, at whichever try, is told with what the others found, also where something in it
    /// fails for good.
    pub(super) async fn part(&self, part: &Part, round: Round) -> Result<Response, GuardError> {
        let is_last = round.attempt == Attempt::Last;
        let (mut ended, groups, is_complete) = match self.look_at_part(part, round).await {
            Ok(looked) => looked,
            Err(error) if is_last => {
                parts::ended(&self.setup, part, EndedPart::default()).await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let mut found = EndedPart::new(groups, false, ended.response.records.clone());
        found.is_open = true;
        parts::keep(&self.setup, part, &found).await?;
        found.is_complete = is_complete && self.learnt(&mut ended).await;
        found.is_open = !ended.problems.is_empty() && !is_last;
        if !found.is_open {
            parts::ended(&self.setup, part, found).await?;
        }
        ended.result()
    }

    /// Keeps what a part learnt. Whether there was something, and it is kept.
    async fn learnt(&self, ended: &mut Ended) -> bool {
        let (Some(state), Some(lesson)) = (&self.setup.ports.state, ended.lesson.take()) else { return false };
        let learnt = learn(state.as_ref(), &lesson).await;
        let is_kept = learnt.is_ok();
        ended.problems.extend(learnt.err());
        is_kept
    }

    /// What is read of this. Who is killed while reading says nothing, and all others would wait for it.
    async fn in_time(
        &self,
        what: &str,
        read: impl Future<Output = Result<Looked, CloudError>> + Unpin,
        round: Round,
    ) -> Result<Looked, GuardError> {
        let clock = &self.setup.ports.clock;
        let left = Duration::try_from(round.deadline.duration_since(clock.now())).unwrap_or_default();
        match select(read, clock.sleep(left)).await {
            Either::Left((read, _)) => read.map_err(|source| read_failed(what.to_owned(), source)),
            Either::Right(_) => {
                Err(GuardError::unfinished(format!("{what} could not be read in the time of one invocation")))
            }
        }
    }

    /// With the groups that were seen, and whether these are all. What fails in one alone takes nothing from that.
    async fn look_at_part(&self, part: &Part, round: Round) -> Result<(Ended, BTreeSet<String>, bool), GuardError> {
        let read = Box::pin(self.inventory.read_part(part));
        let looked = self.in_time(&format!("the groups of `{}`", part.vpc), read, round).await?;
        let mut invocation = Invocation::new(&self.setup, (&self.inventory, &self.hourly), &self.handled, None, round);
        if part.n == 1 {
            invocation.endpoints_of.clone_from(&looked.clusters);
        }
        let (all, complete) = (looked.all.clone(), looked.complete.clone());
        let mut asked = self.each(looked, None, &mut invocation).await;
        let is_complete = part.knows_clusters
            && !complete.is_empty()
            && (all.is_empty() || invocation.looked(&all, &complete, &mut asked).await);
        // Also those of other VPCs that are attached here.
        let groups = part.groups.iter().cloned().chain(all.into_iter().map(|group| group.id)).collect();
        Ok((invocation.end(None).await, groups, is_complete))
    }
}
