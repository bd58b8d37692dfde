//! The running work of one invocation: what was done for each group, what clusters lack, and what is not done.
//!
//! Must not: say anything of it (`finish` does).

mod finish;

pub(super) use finish::{Ended, learn};

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::cluster::topology::Of;
use crate::event::work::Why;
use crate::event::{Event, Named, NamedRule, Target};
use crate::guard::again::Again;
use crate::guard::asked::Asked;
use crate::guard::group::{self, InvocationContext, MendedGroup};
use crate::guard::handled::HandledEvents;
use crate::guard::hourly::HourlyLimit;
use crate::guard::left_over::{self, Tried};
use crate::guard::memory;
use crate::guard::remediate::StepResult;
use crate::guard::round::Round;
use crate::guard::setup::Setup;
use crate::inventory::{GroupSnapshot, Inventory};
use crate::model::baseline::{Learnt, Lesson};
use crate::model::error::chain;
use crate::model::group::Group;
use crate::model::rule::Rule;
use crate::needs::{self, Missing};
use crate::plan::is_named;
use crate::plan::put_back;
use crate::policy::model::Verdict;
use crate::report::finding::Finding;
use crate::report::journal::Journal;
use crate::report::notice::rule_in_words;
use crate::report::outcome::Outcome;

/// What a group may take beyond the deadline, since what is begun in it is read back.
const TIME_FOR_A_GROUP: SignedDuration = SignedDuration::from_secs(5);

/// Grows group by group.
pub(super) struct Invocation<'a> {
    context: InvocationContext<'a>,
    handled: &'a HandledEvents,
    max_revokes: usize,
    /// What the event put groups on: an interface or an instance, by its id.
    pub(super) attachment: Option<String>,
    /// The rules that the event removed, as far as it says so.
    pub(super) removed: Vec<NamedRule>,
    /// The cluster whose configuration the event changed.
    pub(super) configured: Option<String>,
    /// The clusters whose public endpoint is to be looked at.
    pub(super) endpoints_of: Vec<String>,
    looked_at: Vec<MendedGroup>,
    /// The rules that the event told of.
    heard: BTreeSet<String>,
    /// What other tries did and nobody told.
    left_over: Vec<Tried>,
    /// What was done, by group: the entries of the journals that are to be marked as told.
    changed: BTreeMap<String, BTreeSet<String>>,
    /// What is to be remembered of rules.
    lesson: Lesson,
    problems: Vec<String>,
    /// What could not be written into journals: it was told, so the event counts as handled all the same.
    unwritten: Vec<String>,
    /// The journals hold what this very event led to, and that it was told.
    is_told: bool,
    /// What has to be looked at again.
    pub(super) again: Again,
    /// What is there that it does not know.
    pub(super) unseen: Unseen,
}

/// What is there that an invocation does not know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unseen {
    /// Some group was not judged, or what it may be was not read.
    pub(super) is_any: bool,
    /// People were notified that it could not be read.
    pub(super) is_told: bool,
}

impl<'a> Invocation<'a> {
    pub(super) fn new(
        setup: &'a Setup,
        (inventory, hourly): (&'a Inventory, &'a HourlyLimit),
        handled: &'a HandledEvents,
        event: Option<&'a Event>,
        round: Round,
    ) -> Self {
        let started = setup.ports.clock.now();
        Self {
            context: InvocationContext { setup, inventory, hourly, event, started, round, deadline: round.deadline },
            handled,
            max_revokes: setup.max_revokes,
            attachment: None,
            removed: vec![],
            configured: None,
            endpoints_of: vec![],
            looked_at: vec![],
            heard: BTreeSet::new(),
            left_over: vec![],
            changed: BTreeMap::new(),
            lesson: Lesson::default(),
            problems: vec![],
            unwritten: vec![],
            is_told: false,
            again: Again::default(),
            unseen: Unseen::default(),
        }
    }

    /// Judges and mends a group that has a role; says why, of one that has none.
    pub(super) async fn in_scope(
        &mut self,
        snapshot: GroupSnapshot,
        named: &Named,
        asked: &mut Asked,
        out_of_scope: &mut Vec<String>,
    ) {
        self.hear(named, &snapshot.group.rules);
        if snapshot.group.roles.is_empty() {
            out_of_scope.push(format!("security group `{}` has no role in an EKS cluster", snapshot.group.id));
            self.join(&snapshot.group, asked).await;
        } else if self.is_late() {
            // What was done has to be told. One group is always begun, so that what is open is said at least.
            let id = &snapshot.group.id;
            self.unseen.is_any = true;
            self.problem(format!("security group `{id}` was not begun: the time ran out; the next try goes on"));
        } else {
            let mut mended = Box::pin(group::mend(self.context, snapshot, named, asked, &mut self.max_revokes)).await;
            let event = self.context.event.map(|event| event.id.as_str());
            say_what_became(&mended, event);
            self.problems.append(&mut mended.problems);
            for (why, named) in mended.again.drain(..) {
                self.again.add(why, &mended.group.id, named);
            }
            self.lesson.groups.insert(mended.group.id.clone(), std::mem::take(&mut mended.learnt));
            let left_over = std::mem::take(&mut mended.left_over);
            self.left_over.extend(left_over::tries(&mended.group, &mended.journal, left_over));
            self.unwritten.append(&mut mended.unwritten);
            self.is_told |= event.is_some_and(|event| mended.journal.has_told(event));
            self.listen(&mut mended, asked).await;
            self.took_away(named, &mended);
            self.looked_at.push(mended);
        }
        self.begins(asked).await;
    }

    /// The event told of these rules.
    pub(super) fn hear(&mut self, named: &Named, rules: &[Rule]) {
        self.heard.extend(named.rules().iter().filter_map(|named| named.id.clone()));
        let named = rules.iter().filter(|rule| is_named(named, rule));
        self.heard.extend(named.map(|rule| rule.id.clone()));
    }

    /// What the event took from the group by an edit, or by an id alone, as the rules were known before.
    fn took_away(&mut self, named: &Named, mended: &MendedGroup) {
        let MendedGroup { group, memory, results, .. } = mended;
        let known = |named: &NamedRule| put_back::known_as(memory, named.id.as_deref()?, &group.rules);
        for removed in self.removed.iter_mut().filter(|removed| removed.claim.is_none()) {
            removed.claim = known(removed).and_then(|known| NamedRule::of(known).claim);
        }
        let is_ours = |id: &str| results.iter().any(|it| it.finding.rule.id == id && it.action.is_closed_by_us());
        let edited = named.rules().iter().filter_map(known).filter(|known| !is_ours(&known.id)).map(NamedRule::of);
        self.removed.extend(edited);
    }

    /// Keeps in mind of which new rules events told; a sweep says so of those that it came across before, and of which none
    /// did.
    async fn listen(&mut self, mended: &mut MendedGroup, asked: &mut Asked) {
        let InvocationContext { setup, event, started, .. } = self.context;
        let mut new = std::mem::take(&mut mended.unheard);
        if event.is_none() {
            let Some(place) = asked.place().await else { return };
            let (lost, since) = place.unheard.lost(&mended.group.id, started);
            if let Some(since) = since {
                let words = lost.iter().map(|id| what_became_of(id, mended)).collect();
                mended.about.push(Finding::lost_events(words, since));
                setup.ports.metrics.events_lost(lost.len());
            }
            new.retain(|id| !lost.contains(id));
            self.lesson.place.heard.extend(lost);
        }
        self.lesson.place.unheard.see(&mended.group.id, new, started, event.is_some());
    }

    /// Whether the time that is left is needed to tell what was done.
    fn is_late(&self) -> bool {
        let InvocationContext { setup, deadline, .. } = self.context;
        let last = deadline.checked_sub(TIME_FOR_A_GROUP).unwrap_or(Timestamp::MIN);
        !self.looked_at.is_empty() && setup.ports.clock.now() > last
    }

    /// Has written down when the guard began here: it begins with what it first sees, in scope or not.
    pub(super) async fn begins(&mut self, asked: &mut Asked) {
        self.lesson.place.began = asked.beginning(self.context.started).await;
        if !self.heard.is_empty()
            && let Some(place) = asked.place().await
        {
            self.lesson.place.heard.extend(place.unheard.of(&self.heard));
        }
    }

    /// Joins what other tries did, and nobody told, in a group that is gone by now or out of scope.
    pub(super) async fn join(&mut self, group: &Group, asked: &mut Asked) -> Journal {
        let journal = asked.journal_of(&group.id).await;
        let InvocationContext { setup, event, round, .. } = self.context;
        let event = event.map(|event| event.id.as_str());
        let left_over = journal.left_over(event, round.sweep, &group.rules, setup.ports.clock.now());
        self.left_over.extend(left_over::tries(group, &journal, left_over));
        journal
    }

    /// Joins what any try did in a group, and nobody told: the call itself has come back.
    pub(super) fn join_own(&mut self, group: &Group, journal: &Journal) {
        let untold = journal.untold_of_events(&group.rules, self.context.setup.ports.clock.now());
        self.left_over.extend(left_over::tries(group, journal, untold));
    }

    /// A group that is gone, with what the event says of its rules.
    pub(super) fn was_open(&mut self, group: Group, results: Vec<StepResult>) {
        self.looked_at.push(MendedGroup { results, ..MendedGroup::of(group) });
    }

    fn is_part(&self) -> bool {
        self.context.round.sweep.is_some()
    }

    /// None in a sweep.
    pub(super) fn event(&self) -> Option<&'a Event> {
        self.context.event
    }

    /// Whether there may be another look for this reason.
    pub(super) fn may_look_again(&self, why: Why) -> bool {
        self.context.may_look_again(why)
    }

    /// Puts what has to be looked at again into the queue, before anything is said of it.
    async fn send_again(&mut self) {
        let InvocationContext { setup, event, round, .. } = self.context;
        let (Some(queue), Some(event)) = (&setup.ports.queue, event) else { return };
        let mut results = self.looked_at.iter().flat_map(|looked| &looked.results);
        let has_done = results.any(|result| result.action.is_closed_by_us());
        let mut again = std::mem::take(&mut self.again);
        again.removed.clone_from(&self.removed);
        let now = setup.ports.clock.now();
        self.problems.extend(again.send(queue.as_ref(), event, round, has_done, now).await);
    }

    /// What interfaces with the groups that were looked at need and do not have, each with the groups it can be reported
    /// with. Looked for after everything else, so that no revoke waits for it, and on the state that our own revokes left
    /// behind; after an event only if something may have been closed, by it or by us.
    async fn missing(&mut self) -> Missing {
        if self.is_looked_at_once_more() && self.context.round.why.is_some() {
            // The look at the event itself has put that into the queue.
            return Missing::new();
        }
        let closes = self.context.event.is_none_or(|event| event.call.may_close);
        let is_of_interest = |looked: &&MendedGroup| {
            let has_closed = looked.results.iter().any(|result| result.action.is_closed_by_us());
            (closes || has_closed) && needs::hang_on(&looked.group)
        };
        let interesting = self.looked_at.iter().filter(is_of_interest);
        let looked_at = Of::With(self.looked_at.iter().map(|looked| looked.group.id.clone()).collect());
        let clusters = interesting.flat_map(|looked| looked.group.clusters.clone());
        let clusters: BTreeSet<String> = clusters.chain(self.configured.clone()).collect();
        let mut found = Missing::new();
        for cluster in clusters {
            let InvocationContext { setup, inventory, event, deadline, .. } = self.context;
            if setup.ports.clock.now() > deadline {
                // What was done has to be told before the time is over.
                self.problem(format!("what cluster `{cluster}` needs was not looked at: the time ran out"));
                continue;
            }
            let read_back = |looked: &MendedGroup| Some((looked.group.id.clone(), looked.read_back.clone()?));
            let fresh = self.looked_at.iter().filter_map(read_back).collect();
            match needs::missing(inventory, &setup.policy, &cluster, &looked_at, fresh, event).await {
                Ok(more) => found.extend(more),
                Err(error) => {
                    self.problem(format!("what cluster `{cluster}` needs could not be looked at: {}", chain(&error)));
                }
            }
        }
        found
    }

    /// Whether what a call took away is looked at once more after a minute: whoever took it away may write it again. What
    /// fell with something that the guard closed is not.
    fn is_looked_at_once_more(&self) -> bool {
        let InvocationContext { event, round, setup, .. } = self.context;
        let mut results = self.looked_at.iter().flat_map(|looked| &looked.results);
        let has_closed = results.any(|result| result.action.is_closed_by_us());
        event.is_some() && setup.ports.queue.is_some() && !has_closed && round.why != Some(Why::Needed)
    }

    /// What of it is said now; the rest is to be looked at once more.
    fn still_missing(&mut self, missing: Missing) -> Missing {
        if !self.is_looked_at_once_more() {
            return missing;
        }
        let is_looked_at = |id: &&String| self.looked_at.iter().any(|looked| looked.group.id == **id);
        let groups: BTreeSet<String> =
            missing.iter().filter_map(|(groups, _)| groups.iter().find(is_looked_at).cloned()).collect();
        if let Some(name) = self.configured.clone().filter(|_| !missing.is_empty()) {
            self.again.add_target(Why::Needed, Target::Cluster { name, node_group: None });
        } else {
            for group in &groups {
                self.again.add(Why::Needed, group, Named::Nothing);
            }
        }
        Missing::new()
    }

    /// Public endpoints that are open to a great many, each with its cluster. They are the cluster's and no group's: a
    /// cluster that is being created has none yet.
    async fn exposed(&mut self) -> Vec<(String, Finding)> {
        let mut found = Vec::new();
        for cluster in std::mem::take(&mut self.endpoints_of) {
            let InvocationContext { setup, inventory, event, .. } = self.context;
            match needs::exposed(inventory, &setup.policy, &cluster, event.is_some()).await {
                Ok(finding) => found.extend(finding.map(|finding| (cluster, finding))),
                Err(error) => {
                    let why = chain(&error);
                    self.problem(format!("who may call the API of cluster `{cluster}` could not be looked at: {why}"));
                }
            }
        }
        found
    }

    /// Adds what a complete look at these VPCs teaches, when all their groups were judged; `false`: nothing, for some
    /// were not, or the state could not be read.
    pub(super) async fn looked(&mut self, all: &[Group], vpcs: &BTreeSet<String>, asked: &mut Asked) -> bool {
        if self.unseen.is_any {
            // The rules of who was not judged would enter as those of a group out of scope do.
            return false;
        }
        let mut judged: BTreeMap<String, (Group, Learnt)> = BTreeMap::new();
        for looked in &self.looked_at {
            let learnt = self.lesson.groups.get(&looked.group.id).cloned().unwrap_or_default();
            judged.insert(looked.group.id.clone(), (looked.group.clone(), learnt));
        }
        let lesson = memory::looked(asked, all, vpcs, &mut judged, self.context.started).await;
        let is_known = !lesson.groups.is_empty();
        if !self.is_part() {
            self.lesson.place.looks = lesson.place.looks;
            self.lesson.looks = lesson.looks;
        }
        self.lesson.groups.extend(lesson.groups);
        is_known
    }

    /// Something that is not done; the invocation goes on and ends in an error.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Whether no group was judged.
    pub(super) fn is_empty(&self) -> bool {
        self.looked_at.is_empty()
    }
}

/// Written as soon as a group is done: an invocation that dies before its end has logged what it did, beside the journal.
fn say_what_became(mended: &MendedGroup, event: Option<&str>) {
    let is_effect = |result: &&StepResult| result.action.outcome() > Outcome::Reported;
    let of_rule = |result: &StepResult| (result.finding.rule.id.clone(), json!(result.action));
    let rules: serde_json::Map<_, _> = mended.results.iter().filter(is_effect).map(of_rule).collect();
    if !rules.is_empty() {
        tracing::info!(group = %mended.group.id, event, rules = %json!(rules), "read back");
    }
}

/// What is said of a rule of which no event came: what it is, and whether it is open now.
fn what_became_of(id: &str, mended: &MendedGroup) -> String {
    let result = mended.results.iter().find(|result| result.finding.rule.id == id);
    if let Some(StepResult { finding, .. }) = result.filter(|result| result.action.is_closed_by_us()) {
        return format!("{} (this sweep closed it)", rule_in_words(&finding.rule));
    }
    let Some(rule) = mended.group.rules.iter().find(|rule| rule.id == id) else {
        return format!("rule {id} (gone by now)");
    };
    let then = match result.map(|result| result.finding.verdict) {
        None => "still there",
        Some(Verdict::Allow) => "still there, allowed",
        Some(Verdict::Report) => "still there, to be checked",
        Some(Verdict::Revoke) => "STILL OPEN, forbidden",
    };
    format!("{} ({then})", rule_in_words(rule))
}
