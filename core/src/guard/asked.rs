//! What the state holds of some groups: asked for beside EC2, and waited for only where it decides something.
//!
//! Must not: decide anything by it, or keep anything from being done. A state that fails holds up only what it alone could
//! say.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, MaybeDone, maybe_done, select};
use jiff::Timestamp;

use crate::model::baseline::{KnownGroups, LocationState, Remembered};
use crate::model::error::chain;
use crate::model::member::Members;
use crate::plan::standing::Memory;
use crate::ports::StateStore;
use crate::report::journal::Journal;

type Answer = Result<(KnownGroups, BTreeMap<String, Journal>), String>;

/// The state, asked about some groups. The answer comes when it comes.
pub(super) struct Asked {
    state: Option<Arc<dyn StateStore>>,
    asking: MaybeDone<BoxFuture<'static, Answer>>,
    answer: Option<Answer>,
}

impl Asked {
    /// Asks about these groups. Nothing goes out before somebody waits for the answer, or for something beside it.
    pub(super) fn about(state: Option<&Arc<dyn StateStore>>, groups: Vec<String>) -> Self {
        let asked = state.cloned();
        let asking = async move {
            match asked {
                Some(state) => state.known(&groups).await.map_err(|error| chain(&error)),
                None => Ok(<_>::default()),
            }
        };
        Self { state: state.cloned(), asking: maybe_done(asking.boxed()), answer: None }
    }

    /// Does something, with the question under way beside it, and waits for that something alone.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        match select(&mut self.asking, pin!(work)).await {
            Either::Left(((), work)) => work.await,
            Either::Right((done, _)) => done,
        }
    }

    async fn answer(&mut self) -> &Answer {
        if self.answer.is_none() {
            (&mut self.asking).await;
            self.answer = Pin::new(&mut self.asking).take_output();
        }
        self.answer.get_or_insert_with(|| Err("the state was asked twice".to_owned()))
    }

    /// What is remembered of this group. `vpcs`: those whose looks see it, its own and where it may be attached too.
    pub(super) async fn of(&mut self, group: &str, vpcs: &BTreeSet<String>) -> Memory {
        let Some(state) = self.state.clone() else { return Memory::None };
        let known = match self.answer().await {
            Ok((known, _)) => known,
            Err(why) => return Memory::Unreadable(why.clone()),
        };
        let baseline = known.groups.get(group).cloned();
        let looked: Vec<(&String, Timestamp)> =
            vpcs.iter().filter_map(|vpc| Some((vpc, *known.place.looks.get(vpc)?))).collect();
        let looked_at = looked.iter().map(|(_, at)| *at).max();
        let members = known.members.get(group).cloned().unwrap_or_default();
        let was_there = baseline.is_some();
        let mut remembered = Remembered { began: known.place.began, looked_at, was_there, baseline, members };
        for (vpc, _) in looked.into_iter().filter(|_| remembered.baseline.is_none()) {
            match state.seen(vpc).await {
                // A look that saw nothing was lost: each VPC has a group.
                Ok(seen) => remembered.was_there |= seen.is_empty() || seen.contains(group),
                Err(error) => return Memory::Unreadable(chain(&error)),
            }
        }
        Memory::Read(remembered)
    }

    /// The journal of this group; an empty one where nobody knows.
    pub(super) async fn journal_of(&mut self, group: &str) -> Journal {
        if self.state.is_none() {
            return Journal::default();
        }
        let journals = self.answer().await.as_ref().ok();
        journals.and_then(|(_, journals)| journals.get(group).cloned()).unwrap_or_default()
    }

    /// What these groups were found to be of which clusters, as far as it is of use. Waits for the answer.
    pub(super) async fn members(&mut self, groups: &BTreeSet<&str>, now: Timestamp) -> BTreeMap<String, Members> {
        if self.state.is_none() || groups.is_empty() {
            return BTreeMap::new();
        }
        // Who can't read it says so where it matters: a group that is weak without it is only reported.
        let Ok((known, _)) = self.answer().await else { return BTreeMap::new() };
        let of_use = |members: &&Members| members.values().any(|member| member.is_of_use(now));
        let of = |id: &&str| Some(((*id).to_owned(), known.members.get(*id).filter(of_use)?.clone()));
        groups.iter().filter_map(of).collect()
    }

    /// The same of groups that rules name, which nobody knew before these were read. What cannot be read counts for nothing.
    pub(super) async fn members_of_peers(&self, peers: Vec<String>) -> BTreeMap<String, Members> {
        match &self.state {
            Some(state) if !peers.is_empty() => {
                state.known(&peers).await.map(|(known, _)| known.members).unwrap_or_default()
            }
            _ => BTreeMap::new(),
        }
    }

    /// What is known of the location; `None` where nobody can say.
    pub(super) async fn place(&mut self) -> Option<LocationState> {
        self.state.as_ref()?;
        self.answer().await.as_ref().ok().map(|(known, _)| known.place.clone())
    }

    /// When the guard began here, if nobody has written that yet.
    pub(super) async fn beginning(&mut self, now: Timestamp) -> Option<Timestamp> {
        let is_unknown =
            self.state.is_some() && matches!(self.answer().await, Ok((known, _)) if known.place.began.is_none());
        is_unknown.then_some(now)
    }
}
