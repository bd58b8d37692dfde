//! The running work of one invocation: what was done for each group, the records and messages of it, and what is not done.

use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::Timestamp;

use super::{Guard, GuardError, LAG, Response};
use crate::error::chain;
use crate::event::{Event, Named, NamedRule};
use crate::inventory::Seen;
use crate::notice::{self, Message};
use crate::plan::{Modes, judge_claims, limit, names, plan};
use crate::policy::{Severity, Verdict};
use crate::ports::{Channel, Clock, Ec2, Eks, Source};
use crate::record::{Action, FindingRecord, GroupRecord, Outcome, PortionRecord, Record};
use crate::remediate::{Done, carry_out};

/// Grows group by group.
pub(super) struct Work<'a, E, K, C, N> {
    guard: &'a Guard<E, K, C, N>,
    event: Option<&'a Event>,
    started: Timestamp,
    most: usize,
    pub(super) records: Vec<Record>,
    messages: Vec<Message>,
    problems: Vec<String>,
}

impl<'a, E: Ec2, K: Eks, C: Clock, N: Channel> Work<'a, E, K, C, N> {
    pub(super) fn new(guard: &'a Guard<E, K, C, N>, event: Option<&'a Event>) -> Self {
        let started = guard.inventory.clock().now();
        Self { guard, event, started, most: guard.max_revokes, records: vec![], messages: vec![], problems: vec![] }
    }

    /// Judges and mends one group. Rules that the event names and that are not there are waited for, but not before what is
    /// there has been dealt with.
    pub(super) async fn group(&mut self, mut seen: Seen, named: &Named) {
        let mut done: BTreeMap<String, Done> = BTreeMap::new();
        let mut missing;
        let mut waits = LAG.into_iter();
        loop {
            let brief = self.guard.brief(self.event, self.started, named);
            let mut steps = plan(brief, &seen.group);
            limit(&mut steps, self.most);
            missing = missing_of(named, &seen, &done);
            for result in carry_out(&self.guard.inventory, brief, &mut seen, steps, &mut self.most).await {
                keep(&mut done, result);
            }
            let Some(wait) = waits.next().filter(|_| !missing.is_empty()) else { break };
            self.guard.inventory.clock().sleep(wait).await;
            seen.read_at = self.guard.inventory.clock().now();
            match self.guard.inventory.rules(&seen.group.id).await {
                Ok(rules) => seen.group.rules = rules,
                // What is done has to be told, so this ends the waiting and not the invocation.
                Err(error) => {
                    self.problem(format!(
                        "the rules of `{}` could not be read again: {}",
                        seen.group.id,
                        chain(&error)
                    ));
                    break;
                }
            }
        }
        let brief = self.guard.brief(self.event, self.started, named);
        let claimed = judge_claims(brief, &seen.group, &missing);
        let gone = claimed.into_iter().map(|finding| {
            let detail = "the event names this rule, but it was not there when we looked".to_owned();
            Done::told(finding, true, Action::AlreadyGone, Some(detail))
        });
        let done: Vec<Done> = done.into_values().chain(gone).collect();
        self.record(GroupRecord::from(&seen.group), self.guard.modes.for_group(&self.guard.policy, &seen.group), done);
    }

    /// Something that is not done; the invocation goes on and ends in an error.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn record(&mut self, group: GroupRecord, modes: Modes, done: Vec<Done>) {
        for done in done.iter().filter(|done| done.is_unfinished) {
            let why = done.detail.as_deref().unwrap_or("no reason known");
            self.problems.push(format!("rule `{}` of `{}`: {why}", done.finding.rule.id, group.id));
        }
        let mut findings: Vec<FindingRecord> =
            done.into_iter().filter(|d| d.finding.verdict > Verdict::Allow).map(finding).collect();
        findings.sort_by_key(|finding| {
            std::cmp::Reverse((finding.action.outcome(), finding.named_by_event, finding.verdict, finding.severity))
        });
        let outcome = findings.iter().map(|finding| finding.action.outcome()).max().unwrap_or(Outcome::Compliant);
        let severity = findings.iter().filter_map(|finding| finding.severity).max();
        // What a guard refused or AWS denied needs a person now, whatever the rule is.
        let severity = if outcome >= Outcome::Refused { Some(Severity::Critical) } else { severity };
        let guard = self.guard;
        let elapsed = guard.inventory.clock().now().duration_since(self.started);
        let record = Record {
            version: 1,
            event_id: None,
            event_name: None,
            event_time: None,
            trigger: if self.event.is_some() { "event" } else { "sweep" },
            account: guard.account.clone(),
            region: guard.region.clone(),
            mode: if self.event.is_some() { modes.named } else { modes.others },
            policy: guard.policy.name.clone(),
            policy_hash: guard.policy.hash.clone(),
            severity,
            actor: None,
            group,
            findings,
            outcome,
            duration_ms: u64::try_from(elapsed.as_millis()).unwrap_or(0),
            part: None,
        };
        let record = record.with_event(self.event);
        let for_people = notice::is_due(&record);
        for record in record.split() {
            (guard.journal)(&record);
            if record.outcome > Outcome::Compliant {
                self.messages.push(notice::message(&record, for_people));
            }
            self.records.push(record);
        }
    }

    /// Tells everybody, whatever else failed, and says what is not done.
    pub(super) async fn finish(mut self, ignored: Option<String>) -> Result<Response, GuardError> {
        for message in &self.messages {
            let sent = join_all(
                self.guard.channels.iter().map(|channel| async move { (channel.name(), channel.send(message).await) }),
            );
            for (channel, result) in sent.await {
                if let Err(error) = result {
                    self.problems.push(unsent(channel, &error));
                }
            }
        }
        if self.problems.is_empty() {
            Ok(Response { records: self.records, ignored })
        } else {
            Err(GuardError::Unfinished(self.problems))
        }
    }
}

fn unsent(channel: &str, error: &Source) -> String {
    format!("the message to {channel} could not be sent: {}", chain(error.as_ref()))
}

/// A rule may be looked at more than once. What was done about it is not forgotten for what is seen of it later.
fn keep(done: &mut BTreeMap<String, Done>, new: Done) {
    let is_news = |old: &Done| new.action == Action::Revoked || new.action.outcome() > old.action.outcome();
    match done.get(&new.finding.rule.id) {
        Some(old) if !is_news(old) => {}
        _ => drop(done.insert(new.finding.rule.id.clone(), new)),
    }
}

/// The rules that the event names and that were neither there nor dealt with.
fn missing_of(named: &Named, seen: &Seen, done: &BTreeMap<String, Done>) -> Vec<NamedRule> {
    let Named::Rules(rules) = named else { return Vec::new() };
    let is_there = |named: &NamedRule| seen.group.rules.iter().any(|rule| names(named, rule));
    let is_done = |named: &NamedRule| done.values().any(|done| names(named, &done.finding.rule));
    rules.iter().filter(|named| !is_there(named) && !is_done(named)).cloned().collect()
}

fn finding(done: Done) -> FindingRecord {
    let Done { finding, named, action, detail, .. } = done;
    FindingRecord {
        requirement: None,
        verdict: finding.verdict,
        severity: finding.severity,
        named_by_event: named,
        portions: finding.portions.iter().flat_map(PortionRecord::of).collect(),
        action,
        detail,
        rule: Some(finding.rule),
    }
}
