//! The running work of one invocation: what was done for each group, the records and messages of it, and what is not done.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::event::work::Why;
use crate::event::{Event, Named};
use crate::guard::again::Again;
use crate::guard::group::{self, InvocationContext, MendedGroup};
use crate::guard::handled::HandledEvents;
use crate::guard::hourly::HourlyLimit;
use crate::guard::inventory::{GroupSnapshot, Inventory};
use crate::guard::journal;
use crate::guard::left_over::{self, Tried};
use crate::guard::memory::Asked;
use crate::guard::needs::{self, Missing};
use crate::guard::news::News;
use crate::guard::notify::{Outgoing, notify};
use crate::guard::remediate::StepResult;
use crate::guard::response::{GuardError, Response};
use crate::guard::round::Round;
use crate::guard::setup::Setup;
use crate::model::baseline::{Learnt, Lesson};
use crate::model::error::chain;
use crate::model::group::Group;
use crate::policy::model::{Mode, Verdict};
use crate::report::finding::{Finding, worst_first};
use crate::report::journal::Journal;
use crate::report::notice;
use crate::report::outcome::{Action, Outcome};
use crate::report::record::{About, Record};

/// What a group may take beyond the deadline, since what is begun in it is read back.
const TIME_FOR_A_GROUP: SignedDuration = SignedDuration::from_secs(5);

/// Grows group by group.
pub(super) struct Invocation<'a> {
    context: InvocationContext<'a>,
    handled: &'a HandledEvents,
    max_revokes: usize,
    /// The cluster whose configuration the event changed.
    pub(super) configured: Option<String>,
    /// The clusters whose public endpoint is to be looked at.
    pub(super) endpoints_of: Vec<String>,
    looked_at: Vec<MendedGroup>,
    /// What other tries did and nobody told.
    left_over: Vec<Tried>,
    /// The rules that were changed, by group: in the journals they are to be marked as told.
    changed: BTreeMap<String, BTreeSet<String>>,
    /// What is to be remembered of rules.
    lesson: Lesson,
    pub(super) records: Vec<Record>,
    messages: Vec<Outgoing>,
    problems: Vec<String>,
    /// What could not be written into journals: it was told, so the event counts as handled all the same.
    unwritten: Vec<String>,
    /// The journals hold what this very event led to, and that it was told.
    is_told: bool,
    /// What has to be looked at again.
    pub(super) again: Again,
    /// It is a part of a sweep: the digests, and that everything was looked at, wait for the others.
    pub(super) is_part: bool,
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
            configured: None,
            endpoints_of: vec![],
            looked_at: vec![],
            left_over: vec![],
            changed: BTreeMap::new(),
            lesson: Lesson::default(),
            records: vec![],
            messages: vec![],
            problems: vec![],
            unwritten: vec![],
            is_told: false,
            again: Again::default(),
            is_part: false,
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
        if snapshot.group.roles.is_empty() {
            out_of_scope.push(format!("security group `{}` has no role in an EKS cluster", snapshot.group.id));
            self.join(&snapshot.group, asked).await;
        } else if self.is_late() {
            // What was done has to be told. One group is always begun, so that what is open is said at least.
            let id = &snapshot.group.id;
            self.problem(format!("security group `{id}` was not begun: the time ran out; the next try goes on"));
        } else {
            let mut mended = group::mend(self.context, snapshot, named, asked, &mut self.max_revokes).await;
            self.problems.append(&mut mended.problems);
            for (why, named) in mended.again.drain(..) {
                self.again.add(why, &mended.group.id, named);
            }
            self.lesson.groups.insert(mended.group.id.clone(), std::mem::take(&mut mended.learnt));
            let left_over = std::mem::take(&mut mended.left_over);
            self.left_over.extend(left_over::tries(&mended.group, &mended.journal, left_over));
            self.unwritten.append(&mut mended.unwritten);
            let event = self.context.event.map(|event| event.id.as_str());
            self.is_told |= event.is_some_and(|event| mended.journal.has_told(event));
            self.looked_at.push(mended);
        }
        self.begins(asked).await;
    }

    /// Whether the time that is left is needed to tell what was done.
    fn is_late(&self) -> bool {
        let InvocationContext { setup, deadline, .. } = self.context;
        let last = deadline.checked_sub(TIME_FOR_A_GROUP).unwrap_or(Timestamp::MIN);
        !self.looked_at.is_empty() && setup.ports.clock.now() > last
    }

    /// Has written down when the guard began here: it begins with what it first sees, in scope or not.
    pub(super) async fn begins(&mut self, asked: &mut Asked) {
        self.lesson.place = asked.beginning(self.context.started).await;
    }

    /// Joins what other tries did, and nobody told, in a group that is gone by now or out of scope.
    pub(super) async fn join(&mut self, group: &Group, asked: &mut Asked) -> Journal {
        let journal = asked.journal_of(&group.id).await;
        let event = self.context.event.map(|event| event.id.as_str());
        let left_over = journal.left_over(event, &group.rules, self.context.setup.ports.clock.now());
        self.left_over.extend(left_over::tries(group, &journal, left_over));
        journal
    }

    /// Joins what any try did in a group, and nobody told: the call itself has come back.
    pub(super) fn join_own(&mut self, group: &Group, journal: &Journal) {
        let untold = journal.untold(&group.rules);
        self.left_over.extend(left_over::tries(group, journal, untold));
    }

    /// A group that is gone, with what the event says of its rules.
    pub(super) fn was_open(&mut self, group: Group, results: Vec<StepResult>) {
        self.looked_at.push(MendedGroup { results, ..MendedGroup::of(group) });
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
        let again = std::mem::take(&mut self.again);
        let now = setup.ports.clock.now();
        self.problems.extend(again.send(queue.as_ref(), event, round, has_done, now).await);
    }

    /// What clusters need and do not have, each with the groups it can be reported with. Looked for after everything else,
    /// so that no revoke waits for it, and on the state that our own revokes left behind; after an event only if something
    /// may have been closed, by it or by us.
    async fn missing(&mut self) -> Missing {
        let closes = self.context.event.is_none_or(|event| event.call.may_close);
        let is_of_interest = |looked: &&MendedGroup| {
            let has_closed = looked.results.iter().any(|result| result.action.is_closed_by_us());
            (closes || has_closed) && needs::hang_on(&looked.group)
        };
        let interesting = self.looked_at.iter().filter(is_of_interest);
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
            match needs::missing(inventory, &setup.policy, &cluster, event).await {
                Ok(more) => found.extend(more),
                Err(error) => {
                    self.problem(format!("what cluster `{cluster}` needs could not be looked at: {}", chain(&error)));
                }
            }
        }
        found
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

    /// Adds what a complete look at these VPCs teaches, when all their groups were judged; `false`: nothing, for
    /// the state could not be read.
    pub(super) async fn looked(&mut self, all: &[Group], vpcs: &BTreeSet<String>, asked: &mut Asked) -> bool {
        let mut judged: BTreeMap<String, (Group, Learnt)> = BTreeMap::new();
        for looked in &self.looked_at {
            let learnt = self.lesson.groups.get(&looked.group.id).cloned().unwrap_or_default();
            judged.insert(looked.group.id.clone(), (looked.group.clone(), learnt));
        }
        let lesson = asked.looked(all, vpcs, &mut judged, self.context.started).await;
        let is_known = !lesson.groups.is_empty();
        if !self.is_part {
            self.lesson.place.looks = lesson.place.looks;
            self.lesson.looks = lesson.looks;
        }
        self.lesson.groups.extend(lesson.groups);
        is_known
    }

    /// What other tries did, as findings: of this very event, or of an earlier sweep in a sweep, with what was found now; of
    /// any other event, with that event.
    fn joined(&mut self, found: &mut [(Group, bool, Vec<Finding>)]) -> Vec<(Group, Option<Event>, Vec<Finding>)> {
        let InvocationContext { setup, event, .. } = self.context;
        let now = setup.ports.clock.now();
        let mut others = Vec::new();
        for left in std::mem::take(&mut self.left_over) {
            let Tried { group, id, caller, entries } = left;
            self.changed.entry(group.id.clone()).or_default().extend(entries.keys().cloned());
            let mut findings = left_over::findings(entries, &group, &setup.policy, now);
            let is_ours = id.as_deref() == event.map(|event| event.id.as_str());
            if let Some((_, known, with)) = found.iter_mut().find(|(known, ..)| is_ours && known.id == group.id) {
                *known &= findings.iter().all(|finding| finding.known);
                with.append(&mut findings);
                worst_first(with);
            } else {
                let of = |id| caller?.event(id, &setup.location);
                let by = if is_ours { event.cloned() } else { id.and_then(of) };
                others.push((group, by, findings));
            }
        }
        others
    }

    /// Something that is not done; the invocation goes on and ends in an error.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Whether no group was judged.
    pub(super) fn is_empty(&self) -> bool {
        self.looked_at.is_empty()
    }

    /// What is to be said of a group.
    fn findings(
        &mut self,
        group: &Group,
        results: Vec<StepResult>,
        about: Vec<Finding>,
        missing: Missing,
    ) -> Vec<Finding> {
        for result in results.iter().filter(|result| result.is_unfinished) {
            let why = result.detail.as_deref().unwrap_or("no reason known");
            self.problems.push(format!("rule `{}` of `{}`: {why}", result.finding.rule.id, group.id));
        }
        // What lets nobody in yet is not told, although the policy would mind.
        let is_told = |result: &StepResult| result.finding.verdict > Verdict::Allow && result.action != Action::None;
        let mut findings: Vec<Finding> = results.into_iter().filter(is_told).map(finding).collect();
        findings.extend(about);
        findings.extend(missing.into_iter().map(|(_, finding)| finding));
        worst_first(&mut findings);
        findings
    }

    fn record(&mut self, about: About<'_>, mode: Mode, findings: Vec<Finding>, event: Option<&Event>) {
        let Setup { ports, policy, location, .. } = self.context.setup;
        let mut record = Record::of(location, policy, mode, about, findings, event);
        let elapsed = ports.clock.now().duration_since(self.context.started);
        record.duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(0);
        // A sweep makes one digest per cluster.
        let is_notified = (event.is_some() || self.context.event.is_some()) && notice::is_news(&record);
        let mut for_people = is_notified.then(|| notice::notice(&record, self.context.setup.ports.clock.now()));
        self.context.setup.ports.metrics.record(&record);
        for record in record.split() {
            (self.context.setup.ports.record_log)(&record);
            if record.outcome > Outcome::Compliant {
                // People are notified once, of the whole; machines get every part.
                let message = notice::message(&record, for_people.take());
                self.messages.push(Outgoing::of(&record, message, ports.clock.now()));
            }
            self.records.push(record);
        }
    }

    /// Notifies everybody, whatever else failed, and says what is not done.
    pub(super) async fn finish(mut self, ignored: Option<String>) -> Result<Response, GuardError> {
        self.send_again().await;
        let mut missing = self.missing().await;
        let mut exposed = self.exposed().await;
        let mut found: Vec<(Group, bool, Vec<Finding>)> = Vec::new();
        for MendedGroup { group, known, closed_at, results, about, .. } in std::mem::take(&mut self.looked_at) {
            // Reported once, with the first group that it concerns.
            let (here, rest) = missing.into_iter().partition(|(groups, _)| groups.contains(&group.id));
            missing = rest;
            let is_changed = |result: &&StepResult| result.action.is_closed_by_us();
            let changed = results.iter().filter(is_changed).map(|result| result.finding.rule.id.clone());
            self.changed.entry(group.id.clone()).or_default().extend(changed);
            let mut findings = self.findings(&group, results, about, here);
            if let Some(at) = closed_at {
                for finding in &mut findings {
                    finding.close(at, &group.rules);
                }
            }
            found.push((group, known, findings));
        }
        let mut others = self.joined(&mut found);
        let mut news = News::default();
        // What a part finds is told with the others, and counts as told then.
        if let Some(state) = self.context.setup.ports.state.as_ref().filter(|_| !self.is_part) {
            let mut each = Vec::new();
            for (group, _, findings) in &mut found {
                each.extend(findings.iter_mut().map(|finding| (group.id.as_str(), self.context.event, finding)));
            }
            for (group, event, findings) in &mut others {
                each.extend(findings.iter_mut().map(|finding| (group.id.as_str(), event.as_ref(), finding)));
            }
            let event = self.context.event;
            each.extend(exposed.iter_mut().map(|(cluster, finding)| (cluster.as_str(), event, finding)));
            let Setup { ports, location, .. } = self.context.setup;
            news = News::of(state.as_ref(), location, event, each, ports.clock.now()).await;
        }
        // Nothing is left to be said.
        news.is_handled |= self.is_told && found.iter().all(|(_, _, findings)| findings.is_empty());
        let has_done = |finding: &Finding| finding.action.outcome() > Outcome::Reported;
        if let Some(event) = self.context.event.filter(|_| news.is_handled && self.context.round.why.is_none())
            && self.problems.is_empty()
            && !found.iter().any(|(_, _, findings)| findings.iter().any(has_done))
            && others.is_empty()
        {
            return Ok(Response::repeat(event));
        }
        let Setup { policy, modes, .. } = self.context.setup;
        let is_event = self.context.event.is_some();
        for (group, _, findings) in &found {
            self.lesson.groups.entry(group.id.clone()).and_modify(|learnt| forget_unsaid(learnt, findings, is_event));
        }
        for (group, known, findings) in found {
            self.record(About::Group(&group), modes.of(policy, &group, known).0, findings, self.context.event);
        }
        for (group, event, findings) in others {
            let is_known = findings.iter().all(|finding| finding.known);
            self.record(About::Group(&group), modes.of(policy, &group, is_known).0, findings, event.as_ref());
        }
        for (cluster, finding) in exposed {
            let group = Group { clusters: [cluster.clone()].into(), ..Group::default() };
            let mode = modes.of(policy, &group, self.context.event.is_none()).0;
            self.record(About::Cluster(&cluster), mode, vec![finding], self.context.event);
        }
        if self.context.event.is_none() && !self.is_part {
            self.messages.extend(notice::digests(&self.records).into_iter().map(Outgoing::once));
        }
        let unsent = notify(&self.context.setup.ports, &self.messages).await;
        let is_notified = unsent.is_empty();
        let is_told = !is_notified || self.messages.iter().any(Outgoing::is_for_people);
        self.problems.extend(unsent);
        if is_notified {
            // What failed is tried again by the platform. An answer without records may be due to what we did not know yet.
            let handled = self.context.event.filter(|_| self.problems.is_empty() && !self.records.is_empty());
            if let Some(event) = handled {
                self.handled.insert(&event.id);
            }
            if let Some(state) = &self.context.setup.ports.state {
                let unsaid = journal::said(&self.context.setup.ports, std::mem::take(&mut self.changed)).await;
                self.unwritten.extend(unsaid);
                self.lesson.groups.retain(|_, learnt| learnt.is_anything());
                if self.lesson != Lesson::default()
                    && let Err(error) = state.learn(&self.lesson).await
                {
                    let why = chain(&error);
                    self.problems.push(format!("what is known of rules could not be written: {why}"));
                }
                news.keep(state.as_ref(), handled).await;
            }
        }
        self.problems.append(&mut news.problems);
        self.problems.append(&mut self.unwritten);
        if self.problems.is_empty() {
            // What is said of a cluster is said although no group was found.
            let ignored = ignored.filter(|_| self.records.is_empty());
            Ok(Response { records: self.records, ignored })
        } else {
            Err(GuardError::Unfinished { problems: self.problems, is_told })
        }
    }
}

/// A rule stays marked until people have heard why it is left: one whose finding is no news now is learnt the next time.
fn forget_unsaid(learnt: &mut Learnt, findings: &[Finding], is_event: bool) {
    let is_unsaid = |id: &str| {
        findings.iter().any(|finding| {
            let is_it = finding.rule().is_some_and(|rule| rule.id == id);
            is_it && (finding.notified_at.is_some() || !notice::is_due(finding, is_event))
        })
    };
    learnt.rules.retain(|known| !learnt.unmarked.contains(&known.rule.id) || !is_unsaid(&known.rule.id));
}

fn finding(result: StepResult) -> Finding {
    let before = result.before;
    Finding { before, ..Finding::of_rule(result.finding, (result.named, result.known), result.action, result.detail) }
}
