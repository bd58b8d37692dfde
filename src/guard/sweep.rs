//! A look at everything, or at a part of it, without an event: every group with a role and every cluster.
//!
//! Must not: judge or mend (the invocation does), or plan the parts (`parts` does).

use super::{Guard, read_failed};
use crate::event::work::Part;
use crate::event::{Change, Named};
use crate::guard::invocation::Invocation;
use crate::guard::parts;
use crate::guard::response::{GuardError, Response};
use crate::guard::round::{Attempt, Round};
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
        let read = if ids.is_empty() { self.inventory.read_all().await } else { self.inventory.read(&ids).await };
        let what = if ids.is_empty() { "the EKS groups".to_owned() } else { ids.join(", ") };
        let looked = read.map_err(|source| GuardError::ReadFailed { what, source })?;
        let mut invocation = Invocation::new(&self.setup, (&self.inventory, &self.hourly), &self.handled, event, round);
        if ids.is_empty() && change.is_none_or(|change| change.touches_endpoint) {
            invocation.endpoints_of.clone_from(&looked.clusters);
        }
        let (all, complete) = (looked.all.clone(), looked.complete.clone());
        let mut asked = self.ask_about(&looked);
        let snapshots = self.seen(looked, &mut asked, change, &mut invocation).await;
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

    /// One part of a sweep. One that fails for good ends too, so that what the others found is told.
    pub(super) async fn part(&self, part: &Part, round: Round) -> Result<Response, GuardError> {
        let looked = self.look_at_part(part, round).await;
        let found = match (&looked, round.attempt) {
            (Ok((response, is_complete)), _) => {
                EndedPart::new(part.groups.iter().cloned().collect(), *is_complete, response.records.clone())
            }
            (Err(_), Attempt::Last) => EndedPart::default(),
            (Err(_), _) => return looked.map(|(response, _)| response),
        };
        let ended = parts::ended(&self.setup, part, found).await;
        let (response, _) = looked?;
        ended.map(|()| response)
    }

    async fn look_at_part(&self, part: &Part, round: Round) -> Result<(Response, bool), GuardError> {
        let read = self.inventory.read_part(part).await;
        let looked = read.map_err(|source| read_failed(format!("the groups of `{}`", part.vpc), source))?;
        let mut invocation = Invocation::new(&self.setup, (&self.inventory, &self.hourly), &self.handled, None, round);
        invocation.is_part = true;
        if part.n == 1 {
            invocation.endpoints_of.clone_from(&looked.clusters);
        }
        let (all, complete) = (looked.all.clone(), looked.complete.clone());
        let mut asked = self.ask_about(&looked);
        let snapshots = self.seen(looked, &mut asked, None, &mut invocation).await;
        for snapshot in snapshots {
            invocation.in_scope(snapshot, &Named::Nothing, &mut asked, &mut Vec::new()).await;
        }
        let is_complete = part.knows_clusters
            && !complete.is_empty()
            && (all.is_empty() || invocation.looked(&all, &complete, &mut asked).await);
        invocation.finish(None).await.map(|response| (response, is_complete))
    }
}
