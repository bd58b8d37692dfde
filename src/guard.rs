//! One invocation, from payload to answer: parse, read, judge, do, record, tell. One evaluator for every entrance.
//!
//! Owns: which groups an invocation is about, waiting for what EC2 does not show yet, and what ends in an error. Must not:
//! order effects on EC2 (remediate does) or write text (notice does).

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use serde_json::Value;

use crate::error::chain;
use crate::event::{Change, Event, EventError, GroupRef, Named, NamedRule, Parsed, Touched, Trigger, payload};
use crate::inventory::{Inventory, Seen};
use crate::notice;
use crate::plan::{Brief, Modes, judge_claims, limit, names, plan};
use crate::policy::judge::Place;
use crate::policy::{Policy, Severity, Verdict};
use crate::ports::{Channel, CloudError, Clock, Ec2, Eks, Source};
use crate::record::{Action, FindingRecord, GroupRecord, Outcome, PortionRecord, Record};
use crate::remediate::{Done, carry_out};

/// Waits before EC2 is asked again for a group or rule that an event speaks of and that is not there.
const LAG: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// Handled events remembered in process.
const MOST_REMEMBERED: usize = 10_000;

/// What the function answers.
#[derive(Debug, Serialize)]
pub struct Response {
    /// One per group looked at that has a role.
    pub records: Vec<Record>,
    /// Why there was nothing to do, if so.
    pub ignored: Option<String>,
}

/// Why an invocation failed. The platform retries it, then it goes to the dead-letter queue, then an alarm rings.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The payload is nothing we know.
    #[error("the payload was not understood")]
    InvalidEvent(#[from] EventError),
    /// The state could not be read, so nothing was judged.
    #[error("the state of {what} could not be read")]
    ReadFailed {
        /// What was read.
        what: String,
        /// Why.
        #[source]
        source: CloudError,
    },
    /// Not everything that should be done is done. What was done is in the records on standard output.
    #[error("not everything was done: {}", .0.join("; "))]
    Unfinished(Vec<String>),
}

impl GuardError {
    /// Stable name for alarms and filters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidEvent(_) => "InvalidEvent",
            Self::ReadFailed { .. } => "ReadFailed",
            Self::Unfinished(_) => "Unfinished",
        }
    }
}

/// Everything that stays the same between invocations.
pub struct Guard<E, K, C, N> {
    inventory: Inventory<E, K, C>,
    channels: Vec<N>,
    policy: Policy,
    modes: Modes,
    max_revokes: usize,
    account: String,
    region: String,
    /// Where each record goes at once, as one line.
    journal: fn(&Record),
    handled: Mutex<(HashSet<String>, VecDeque<String>)>,
}

/// How a guard is set up.
pub struct Setup<E, K, C, N> {
    /// The door to EC2.
    pub ec2: E,
    /// The door to EKS.
    pub eks: K,
    /// Time.
    pub clock: C,
    /// Whom to tell.
    pub channels: Vec<N>,
    /// The policy in force.
    pub policy: Policy,
    /// From the environment.
    pub modes: Modes,
    /// From the environment.
    pub max_revokes: usize,
    /// The function's own account: events of others are ignored.
    pub account: String,
    /// The function's own region: events of others are ignored.
    pub region: String,
    /// Takes each record as soon as it is complete.
    pub journal: fn(&Record),
}

impl<E: Ec2, K: Eks, C: Clock, N: Channel> Guard<E, K, C, N> {
    /// A guard with an empty memory.
    pub fn new(setup: Setup<E, K, C, N>) -> Self {
        let Setup { ec2, eks, clock, channels, policy, modes, max_revokes, account, region, journal } = setup;
        let inventory = Inventory::new(ec2, eks, clock, account.clone(), policy.groups.clone());
        Self { inventory, channels, policy, modes, max_revokes, account, region, journal, handled: Mutex::default() }
    }

    /// Handles one payload.
    ///
    /// # Errors
    /// A payload that is not understood, a state that cannot be read, or anything that should be done and is not.
    pub async fn handle(&self, payload: &Value) -> Result<Response, GuardError> {
        let ignored = |reason: String| Ok(Response { records: Vec::new(), ignored: Some(reason) });
        match payload::parse(payload)? {
            Parsed::Ignored(reason) => ignored(reason),
            Parsed::Trigger(Trigger::Sweep { groups }) => self.sweep(groups, None).await,
            Parsed::Trigger(Trigger::Change(change)) => {
                let event = &change.event;
                if event.account != self.account || event.region != self.region {
                    return ignored(format!(
                        "the event is from account `{}`, region `{}`; this function guards account `{}`, region `{}`",
                        event.account, event.region, self.account, self.region
                    ));
                }
                if self.is_handled(&event.id) {
                    return ignored(format!("event `{}` was handled already", event.id));
                }
                let response = self.change(&change).await?;
                self.remember(&event.id);
                Ok(response)
            }
        }
    }

    async fn change(&self, change: &Change) -> Result<Response, GuardError> {
        if change.touched.is_empty() {
            return self.sweep(Vec::new(), Some(&change.event)).await;
        }
        let mut work = Work::new(self, Some(&change.event));
        let mut out_of_scope = Vec::new();
        for Touched { group, named } in &change.touched {
            let Some(id) = self.group_id(group).await? else {
                out_of_scope.push("the default VPC has no security group of that name".to_owned());
                continue;
            };
            match self.find(&id).await? {
                Some(seen) if seen.group.roles.is_empty() => {
                    out_of_scope.push(format!("security group `{id}` has no role in an EKS cluster"));
                }
                Some(seen) => work.group(seen, named).await?,
                None => out_of_scope.push(format!("security group `{id}` is already gone")),
            }
        }
        let ignored = (work.records.is_empty() && !out_of_scope.is_empty()).then(|| out_of_scope.join("; "));
        work.finish(ignored).await
    }

    /// Looks at these groups, or at every group with a role, naming no rule.
    async fn sweep(&self, ids: Vec<String>, event: Option<&Event>) -> Result<Response, GuardError> {
        let read = if ids.is_empty() { self.inventory.read_all().await } else { self.inventory.read(&ids).await };
        let what = if ids.is_empty() { "the EKS groups".to_owned() } else { ids.join(", ") };
        let seen = read.map_err(|source| GuardError::ReadFailed { what, source })?;
        let mut work = Work::new(self, event);
        for seen in seen.into_iter().filter(|seen| !seen.group.roles.is_empty()) {
            work.group(seen, &Named::Nothing).await?;
        }
        let ignored = work.records.is_empty().then(|| "no security group with a role in an EKS cluster was found".to_owned());
        work.finish(ignored).await
    }

    async fn group_id(&self, group: &GroupRef) -> Result<Option<String>, GuardError> {
        match group {
            GroupRef::Id(id) => Ok(Some(id.clone())),
            GroupRef::Name(name) => {
                let found = self.inventory.ec2().default_vpc_group(name).await;
                found.map_err(|source| GuardError::ReadFailed { what: format!("group `{name}` of the default VPC"), source })
            }
        }
    }

    /// The group, waited for a little when EC2 does not show it yet. `None`: it is gone.
    async fn find(&self, id: &String) -> Result<Option<Seen>, GuardError> {
        for wait in std::iter::once(Duration::ZERO).chain(LAG) {
            self.inventory.clock().sleep(wait).await;
            let read = self.inventory.read(std::slice::from_ref(id)).await;
            let seen = read.map_err(|source| GuardError::ReadFailed { what: format!("security group `{id}`"), source })?;
            if let Some(seen) = seen.into_iter().next() {
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }

    fn brief<'b>(&'b self, event: Option<&'b Event>, now: jiff::Timestamp, named: &'b Named) -> Brief<'b> {
        let place = Place { account: &self.account, region: &self.region };
        let actor = event.map(|event| &event.actor);
        Brief { policy: &self.policy, place, now, modes: self.modes, actor, named }
    }

    fn is_handled(&self, event: &str) -> bool {
        self.handled.lock().unwrap_or_else(PoisonError::into_inner).0.contains(event)
    }

    fn remember(&self, event: &str) {
        let mut handled = self.handled.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *handled;
        if known.insert(event.to_owned()) {
            order.push_back(event.to_owned());
        }
        if order.len() > MOST_REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
    }
}

/// The running work of one invocation.
struct Work<'a, E, K, C, N> {
    guard: &'a Guard<E, K, C, N>,
    event: Option<&'a Event>,
    started: jiff::Timestamp,
    most: usize,
    records: Vec<Record>,
    messages: Vec<notice::Message>,
    problems: Vec<String>,
}

impl<'a, E: Ec2, K: Eks, C: Clock, N: Channel> Work<'a, E, K, C, N> {
    fn new(guard: &'a Guard<E, K, C, N>, event: Option<&'a Event>) -> Self {
        let started = guard.inventory.clock().now();
        Self { guard, event, started, most: guard.max_revokes, records: vec![], messages: vec![], problems: vec![] }
    }

    /// Judges and mends one group. Rules that the event names and that are not there are waited for, but not before what is
    /// there has been dealt with.
    async fn group(&mut self, mut seen: Seen, named: &Named) -> Result<(), GuardError> {
        let mut done: BTreeMap<String, Done> = BTreeMap::new();
        let mut missing;
        let mut waits = LAG.into_iter();
        loop {
            let brief = self.guard.brief(self.event, self.started, named);
            let mut steps = plan(brief, &seen.group);
            limit(&mut steps, self.most);
            missing = missing_of(named, &seen, &done);
            for result in carry_out(&self.guard.inventory, brief, &mut seen, steps, &mut self.most).await {
                done.entry(result.finding.rule.id.clone()).or_insert(result);
            }
            let Some(wait) = waits.next().filter(|_| !missing.is_empty()) else { break };
            self.guard.inventory.clock().sleep(wait).await;
            seen.read_at = self.guard.inventory.clock().now();
            let read = self.guard.inventory.rules(&seen.group.id).await;
            let what = || format!("security group `{}`", seen.group.id);
            seen.group.rules = read.map_err(|source| GuardError::ReadFailed { what: what(), source })?;
        }
        let brief = self.guard.brief(self.event, self.started, named);
        let claimed = judge_claims(brief, &seen.group, &missing);
        let gone = claimed.into_iter().map(|finding| {
            let detail = "the event names this rule, but it was not there when we looked".to_owned();
            Done::told(finding, true, Action::AlreadyGone, Some(detail))
        });
        let done: Vec<Done> = done.into_values().chain(gone).collect();
        self.record(GroupRecord::from(&seen.group), self.guard.modes.for_group(&self.guard.policy, &seen.group), done);
        Ok(())
    }

    fn record(&mut self, group: GroupRecord, modes: Modes, done: Vec<Done>) {
        for done in done.iter().filter(|done| done.is_unfinished) {
            let why = done.detail.as_deref().unwrap_or("no reason known");
            self.problems.push(format!("rule `{}` of `{}`: {why}", done.finding.rule.id, group.id));
        }
        let mut findings: Vec<FindingRecord> = done.into_iter().filter(|d| d.finding.verdict > Verdict::Allow).map(finding).collect();
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
    async fn finish(mut self, ignored: Option<String>) -> Result<Response, GuardError> {
        for message in &self.messages {
            let sent = join_all(self.guard.channels.iter().map(|channel| async move { (channel.name(), channel.send(message).await) }));
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
