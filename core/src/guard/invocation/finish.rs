//! The end of an invocation: the records of what was done, the messages, and what is remembered once everybody has them.
//!
//! Owns: that a call is one message for people, however many groups it concerns, and that nothing is remembered before it
//! was told. Must not: write text (the notice does), or do anything to a rule.

use std::collections::BTreeMap;

use futures::future::join3;
use jiff::Timestamp;

use super::Invocation;
use crate::event::Event;
use crate::guard::group::MendedGroup;
use crate::guard::journal;
use crate::guard::left_over::{self, Tried};
use crate::guard::news::News;
use crate::guard::notify::{Outgoing, notify, within_allowance};
use crate::guard::remediate::StepResult;
use crate::guard::response::{GuardError, Response};
use crate::guard::round::Attempt;
use crate::guard::setup::Setup;
use crate::guard::waiting;
use crate::model::baseline::{Learnt, Lesson};
use crate::model::error::chain;
use crate::model::group::Group;
use crate::model::rule::Rule;
use crate::needs::Missing;
use crate::plan::claims;
use crate::policy::judge::not_forbidden;
use crate::policy::model::Verdict;
use crate::ports::StateStore;
use crate::report::finding::{Finding, ListRecord, worst_first};
use crate::report::journal::{Entry, key};
use crate::report::notice;
use crate::report::outcome::{Action, Outcome};
use crate::report::record::{About, Attachment, Record};
use crate::report::waiting::for_digest;

/// What is to be said of one group or cluster because of one call.
struct Topic {
    /// Without an id: a cluster as a whole.
    group: Group,
    /// Whether all of it is known, and not new.
    known: bool,
    /// `None`: a sweep came across it.
    event: Option<Event>,
    findings: Vec<Finding>,
}

impl Topic {
    fn about(&self) -> About<'_> {
        if self.group.id.is_empty() { About::Cluster(name(&self.group)) } else { About::Group(&self.group) }
    }

    fn has_done(&self) -> bool {
        self.findings.iter().any(|finding| finding.action.outcome() > Outcome::Reported)
    }
}

/// What an invocation came to.
pub(in crate::guard) struct Ended {
    /// What was found, whether or not all of it is done.
    pub(in crate::guard) response: Response,
    /// What a part of a sweep learnt. It is to be kept, once what it found is: some of that is found only once.
    pub(in crate::guard) lesson: Option<Lesson>,
    /// What is left to be done.
    pub(in crate::guard) problems: Vec<String>,
    is_told: bool,
}

impl Ended {
    fn of(response: Response) -> Self {
        Self { response, lesson: None, problems: Vec::new(), is_told: true }
    }

    /// What was found, if nothing is left to be done.
    ///
    /// # Errors
    /// What is.
    pub(in crate::guard) fn result(self) -> Result<Response, GuardError> {
        let Self { response, problems, is_told, .. } = self;
        if problems.is_empty() { Ok(response) } else { Err(GuardError::Unfinished { problems, is_told }) }
    }
}

impl Invocation<'_> {
    /// Notifies everybody, whatever else failed, and says what is not done.
    pub(in crate::guard) async fn finish(self, ignored: Option<String>) -> Result<Response, GuardError> {
        self.end(ignored).await.result()
    }

    /// The same with what was found beside what is not done.
    pub(in crate::guard) async fn end(mut self, ignored: Option<String>) -> Ended {
        let missing = self.missing().await;
        let missing = self.still_missing(missing);
        self.send_again().await;
        let exposed = self.exposed().await;
        let mut topics = self.topics(missing);
        let others = self.joined(&mut topics);
        let is_silent = topics.iter().all(|topic| topic.findings.is_empty());
        let is_joined = !others.is_empty();
        topics.extend(others);
        topics.extend(exposed.into_iter().map(|(cluster, finding)| Topic {
            group: Group { clusters: [cluster].into(), ..Group::default() },
            known: self.context.event.is_none(),
            event: self.context.event.cloned(),
            findings: vec![finding],
        }));
        let mut news = self.news(&mut topics).await;
        // Nothing is left to be said.
        news.is_handled |= self.is_told && is_silent;
        if let Some(event) = self.context.event.filter(|_| news.is_handled && self.context.round.why.is_none())
            && self.problems.is_empty()
            && !is_joined
            && !topics.iter().any(Topic::has_done)
        {
            return Ended::of(Response::repeat(event));
        }
        let is_event = self.context.event.is_some();
        let ports = &self.context.setup.ports;
        for Topic { group, findings, .. } in &topics {
            self.lesson.groups.entry(group.id.clone()).and_modify(|learnt| forget_unsaid(learnt, findings, is_event));
        }
        let records: Vec<Record> = topics.into_iter().map(|topic| self.record(topic)).collect();
        let waited = if is_event || self.is_part() { Vec::new() } else { waiting::due(ports, None).await };
        let mut messages = self.messages(&records, &waited);
        news.unsay(&within_allowance(ports, &mut messages).await);
        let records: Vec<Record> = records.into_iter().flat_map(Record::split).collect();
        let unsent = notify(ports, &messages).await;
        let is_notified = unsent.is_empty();
        if is_notified {
            waiting::sent(ports, &waited).await;
        }
        self.problems.extend(waiting::keep(ports, &records).await);
        let is_told = self.unseen.is_told || !is_notified || messages.iter().any(Outgoing::is_for_people);
        self.problems.extend(unsent);
        self.lesson.groups.retain(|_, learnt| learnt.is_anything());
        let lesson = (is_notified && self.is_part()).then(|| std::mem::take(&mut self.lesson));
        if is_notified {
            self.remember(&mut news, !records.is_empty()).await;
        }
        self.problems.append(&mut news.problems);
        self.problems.append(&mut self.unwritten);
        // What is said of a cluster is said although no group was found.
        let ignored = ignored.filter(|_| records.is_empty());
        Ended { response: Response { records, ignored }, lesson, problems: self.problems, is_told }
    }

    /// What is to be said of the groups that were looked at. What is missing is said once, with the first group that it
    /// concerns.
    fn topics(&mut self, mut missing: Missing) -> Vec<Topic> {
        let mut topics = Vec::new();
        for MendedGroup { group, known, closed_at, results, about, .. } in std::mem::take(&mut self.looked_at) {
            let (here, rest) = missing.into_iter().partition(|(groups, _)| groups.contains(&group.id));
            missing = rest;
            let is_changed = |result: &&StepResult| result.action.is_closed_by_us();
            let event = self.context.event.map(|event| event.id.as_str());
            let changed = results.iter().filter(is_changed);
            let changed = changed.map(|result| key(&result.finding.rule, event));
            // What a part did is told in the digest.
            let is_part = self.is_part();
            self.changed.entry(group.id.clone()).or_default().extend(changed.filter(|_| !is_part));
            self.unfinished(&group, &results);
            let missing = here.into_iter().map(|(_, finding)| finding);
            let findings = findings(&group, results, about.into_iter().chain(missing), closed_at);
            topics.push(Topic { group, known, event: self.context.event.cloned(), findings });
        }
        topics
    }

    /// What of the rules of a group is not done.
    fn unfinished(&mut self, group: &Group, results: &[StepResult]) {
        for result in results.iter().filter(|result| result.is_unfinished) {
            let why = result.detail.as_deref().unwrap_or("no reason known");
            self.problems.push(format!("rule `{}` of `{}`: {why}", result.finding.rule.id, group.id));
        }
    }

    /// What other tries did: of this very event, or of an earlier sweep in a sweep, with what was found now; of any other
    /// event, with that event.
    fn joined(&mut self, topics: &mut [Topic]) -> Vec<Topic> {
        let Setup { ports, policy, location, .. } = self.context.setup;
        let mut others = Vec::new();
        for left in std::mem::take(&mut self.left_over) {
            let Tried { group, id, caller, entries } = left;
            let is_part = self.is_part();
            let told = entries.iter().filter(|_| id.is_some() || !is_part);
            self.changed.entry(group.id.clone()).or_default().extend(told.filter_map(Entry::key));
            let mut findings = left_over::findings(entries, &group, policy, ports.clock.now());
            let is_known = findings.iter().all(|finding| finding.known);
            let is_ours = id.as_deref() == self.context.event.map(|event| event.id.as_str());
            if let Some(topic) = topics.iter_mut().find(|topic| is_ours && topic.group.id == group.id) {
                topic.known &= is_known;
                topic.findings.append(&mut findings);
                worst_first(&mut topic.findings);
            } else {
                let of = |id| caller?.event(id, location);
                let event = if is_ours { self.context.event.cloned() } else { id.and_then(of) };
                others.push(Topic { group, known: is_known, event, findings });
            }
        }
        others
    }

    /// What of it people have not heard.
    async fn news(&self, topics: &mut [Topic]) -> News {
        let Setup { ports, location, .. } = self.context.setup;
        // What a part finds is told with the others, and counts as told then.
        let Some(state) = ports.state.as_ref().filter(|_| !self.is_part()) else { return News::default() };
        let mut each = Vec::new();
        for Topic { group, event, findings, .. } in topics {
            let name = name(group);
            each.extend(findings.iter_mut().map(|finding| (name, event.as_ref(), finding)));
        }
        News::of(state.as_ref(), location, (self.context.event, self.is_retry()), each, ports.clock.now()).await
    }

    /// Whether people heard at the first try of what still needs a person. That it is given up has a notice of its own.
    fn is_retry(&self) -> bool {
        self.context.round.attempt != Attempt::First
    }

    /// What the event put the group on, with what is known of it.
    fn attachment(&self, group: &Group) -> Option<Attachment> {
        let id = self.attachment.as_deref()?;
        let is_it = |to: &&Attachment| [&to.interface, &to.instance].into_iter().flatten().any(|known| known == id);
        let interface = id.starts_with("eni-").then(|| id.to_owned());
        let instance = interface.is_none().then(|| id.to_owned());
        let unseen = || Attachment { interface, instance, ..Attachment::default() };
        Some(group.attachments.iter().find(is_it).cloned().unwrap_or_else(unseen))
    }

    /// What the event removed from the group where something is missing now, without what the policy forbids.
    fn removed(&self, group: &Group, findings: &[Finding]) -> Vec<Rule> {
        let Setup { policy, location, ports, .. } = self.context.setup;
        if !findings.iter().any(Finding::is_missing) || self.removed.is_empty() {
            return Vec::new();
        }
        not_forbidden(policy, &claims(group, &self.removed), location, ports.clock.now())
    }

    fn record(&self, mut topic: Topic) -> Record {
        let Setup { ports, policy, location, modes, .. } = self.context.setup;
        let mode = modes.of(policy, &topic.group, topic.known).0;
        let findings = std::mem::take(&mut topic.findings);
        let mut record = Record::of(location, policy, mode, topic.about(), findings, topic.event.as_ref());
        if let (Some(_), Some(group)) = (&topic.event, &mut record.group) {
            group.attachment = self.attachment(&topic.group);
            group.removed = self.removed(&topic.group, &record.findings);
        }
        let elapsed = ports.clock.now().duration_since(self.context.started);
        record.duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(0);
        ports.metrics.record(&record);
        record.clone().split().iter().for_each(ports.record_log);
        record
    }

    /// Machines get every record that is not compliant, in parts if it is large. People get one notice of a call; a sweep
    /// makes a digest per cluster of what it found.
    fn messages(&self, records: &[Record], waited: &[Record]) -> Vec<Outgoing> {
        let now = self.context.setup.ports.clock.now();
        let anew = (!self.is_retry()).then_some(now);
        let is_sweep = self.context.event.is_none();
        let mut calls: BTreeMap<Option<&str>, Vec<&Record>> = BTreeMap::new();
        for record in records.iter().filter(|record| notice::is_news(record)) {
            let is_call = record.event_id.is_some() || !is_sweep;
            calls.entry(record.event_id.as_deref()).or_default().extend(is_call.then_some(record));
        }
        let mut messages = Vec::new();
        for of_call in calls.values().filter(|of_call| of_call.len() > 1) {
            let message = notice::message_of_many(of_call, notice::notice_of_call(of_call, now));
            messages.push(Outgoing::of_call(of_call, message, anew));
        }
        for record in records.iter().filter(|record| record.outcome > Outcome::Compliant) {
            // One group of a call: one message has both.
            let is_alone = calls
                .get(&record.event_id.as_deref())
                .is_some_and(|of_call| matches!(of_call.as_slice(), [alone] if std::ptr::eq(*alone, record)));
            let mut for_people = is_alone.then(|| notice::notice(record, now));
            for part in record.clone().split() {
                let message = notice::message(&part, for_people.take());
                messages.push(Outgoing::of(&part, message, anew));
            }
        }
        if is_sweep && !self.is_part() {
            let waited = waited.iter().map(for_digest);
            let found: Vec<Record> = records.iter().cloned().chain(waited).collect();
            messages.extend(notice::digests(&found).into_iter().map(|(digest, _)| Outgoing::once(digest)));
        }
        messages
    }

    /// Everybody was notified: what is told, handled and known from now on. What failed is tried again by the platform.
    async fn remember(&mut self, news: &mut News, has_records: bool) {
        // An answer without records may be due to what we did not know yet.
        let handled = self.context.event.filter(|_| self.problems.is_empty() && has_records);
        if let Some(event) = handled {
            self.handled.insert(&event.id);
        }
        let ports = &self.context.setup.ports;
        let Some(state) = &ports.state else { return };
        // Each alone keeps something from being told or done twice, so none waits for another.
        let said = journal::said(ports, std::mem::take(&mut self.changed));
        let (unsaid, learnt, ()) =
            join3(said, learn(state.as_ref(), &self.lesson), news.keep(state.as_ref(), handled)).await;
        self.unwritten.extend(unsaid);
        self.problems.extend(learnt.err());
    }
}

/// Keeps what was learnt.
///
/// # Errors
/// Why it is not kept, for people.
pub(in crate::guard) async fn learn(state: &dyn StateStore, lesson: &Lesson) -> Result<(), String> {
    let learnt = if *lesson == Lesson::default() { Ok(()) } else { state.learn(lesson).await };
    learnt.map_err(|error| format!("what is known of rules could not be written: {}", chain(&error)))
}

/// The id of a group; without one, the name of the cluster that it stands for.
fn name(group: &Group) -> &str {
    let cluster = || group.clusters.first().map_or("", String::as_str);
    if group.id.is_empty() { cluster() } else { &group.id }
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

/// What is to be said of a group, worst first. What lets nobody in yet is not told, although the policy would mind.
fn findings(
    group: &Group,
    results: Vec<StepResult>,
    about: impl IntoIterator<Item = Finding>,
    closed_at: Option<Timestamp>,
) -> Vec<Finding> {
    let is_told = |result: &StepResult| result.finding.verdict > Verdict::Allow && result.action != Action::None;
    let results = results.into_iter().filter(is_told);
    let mut findings: Vec<Finding> = results.map(|result| finding(result, group)).chain(about).collect();
    worst_first(&mut findings);
    if let Some(at) = closed_at {
        for finding in &mut findings {
            finding.close(at, &group.rules);
        }
    }
    findings
}

fn finding(result: StepResult, group: &Group) -> Finding {
    let StepResult { before, mut for_people, .. } = result;
    // Those of AWS's own lists are AWS's business.
    let list = result.finding.rule.peer.prefix_list().and_then(|id| Some((id, group.entries_of(id)?.blocks())));
    let list = list.map(|(id, blocks)| {
        let gained = std::mem::take(&mut for_people.gained);
        let list = ListRecord::new(id, group.list_names.get(id).cloned(), &blocks, &gained);
        for_people.lets_in = Some(blocks);
        list
    });
    Finding {
        before,
        list,
        for_people,
        ..Finding::of_rule(&result.finding, (result.named, result.known), result.action, result.detail)
    }
}
