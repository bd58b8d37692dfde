//! The running work of one invocation: what was done for each group, the records and messages of it, and what is not done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join;
use jiff::Timestamp;

use crate::event::{Event, Named, NamedRule};
use crate::guard::handled::HandledEvents;
use crate::guard::inventory::{GroupSnapshot, Inventory};
use crate::guard::needs::{self, ClusterFindings};
use crate::guard::news::News;
use crate::guard::notify::notify;
use crate::guard::plan::{Intent, Step, claims, limit, names, plan};
use crate::guard::remediate::{Remediation, StepResult};
use crate::guard::response::{GuardError, Response};
use crate::guard::setup::Setup;
use crate::model::error::chain;
use crate::model::group::{Group, PrefixList, Role};
use crate::model::rule::Rule;
use crate::policy::controller::Author;
use crate::policy::judge::{JudgedRule, judge};
use crate::policy::model::Verdict;
use crate::report::finding::{Finding, worst_first};
use crate::report::notice::{self, Message};
use crate::report::outcome::{Action, Outcome};
use crate::report::record::Record;

/// Waits before EC2 is asked again for a group or rule that an event speaks of and that is not there.
pub(super) const RETRY_DELAYS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// How often what rules refer to is looked up for one group.
const MAX_ROUNDS: usize = 3;
/// Groups of these roles are attached to interfaces that have requirements.
const ROLES_WITH_REQUIREMENTS: [Role; 3] = [Role::Cluster, Role::ControlPlane, Role::Node];

/// A group that was judged and mended.
struct Judged {
    group: Group,
    named: bool,
    /// When rules were first read back as gone.
    closed_at: Option<Timestamp>,
    results: Vec<StepResult>,
}

/// Grows group by group.
pub(super) struct Invocation<'a> {
    setup: &'a Setup,
    inventory: &'a Inventory,
    handled: &'a HandledEvents,
    event: Option<&'a Event>,
    started: Timestamp,
    /// No new call to EC2 is begun after this.
    deadline: Timestamp,
    max_revokes: usize,
    /// The cluster whose configuration the event changed.
    pub(super) configured: Option<String>,
    looked_at: Vec<Judged>,
    pub(super) records: Vec<Record>,
    messages: Vec<Message>,
    problems: Vec<String>,
}

impl<'a> Invocation<'a> {
    pub(super) fn new(
        setup: &'a Setup,
        inventory: &'a Inventory,
        handled: &'a HandledEvents,
        event: Option<&'a Event>,
        deadline: Timestamp,
    ) -> Self {
        let started = setup.ports.clock.now();
        Self {
            setup,
            inventory,
            handled,
            event,
            started,
            deadline,
            max_revokes: setup.max_revokes,
            configured: None,
            looked_at: vec![],
            records: vec![],
            messages: vec![],
            problems: vec![],
        }
    }

    /// Judges and mends a group that has a role; says why, of one that has none.
    pub(super) async fn in_scope(&mut self, snapshot: GroupSnapshot, named: &Named, out_of_scope: &mut Vec<String>) {
        if snapshot.group.roles.is_empty() {
            out_of_scope.push(format!("security group `{}` has no role in an EKS cluster", snapshot.group.id));
        } else {
            self.group(snapshot, named).await;
        }
    }

    /// Judges and mends one group. What its rules refer to is looked up beside the revoke of the rules that refer to
    /// nothing, so that no verdict waits for what it does not depend on. Rules that the event names and that are not
    /// there are waited for, but not before what is there has been handled.
    async fn group(&mut self, mut snapshot: GroupSnapshot, named: &Named) {
        let mut results: BTreeMap<String, StepResult> = BTreeMap::new();
        let (mut waits, mut rounds) = (RETRY_DELAYS.into_iter(), 0..MAX_ROUNDS);
        let mut closed_at = None;
        let mut is_new_look = true;
        let missing = loop {
            let context = self.setup.context(self.event, self.started, named);
            let (ports, inventory, deadline) = (&self.setup.ports, self.inventory, self.deadline);
            let remediation = Remediation { ports, inventory, context, deadline };
            let mut steps = plan(context, &snapshot.judgeable());
            let has_failed =
                |step: &Step| results.get(&step.finding.rule.id).is_some_and(|result| result.action == Action::Failed);
            steps.retain(|step| is_new_look || !has_failed(step));
            let unresolved = snapshot.unresolved();
            // Rules that the event names come first, also those that have to wait for what they refer to.
            steps.retain(|step| unresolved.is_empty() || step.named || step.intent != Intent::Revoke);
            limit(&mut steps, self.max_revokes);
            let missing = missing_of(named, &snapshot, &results);
            let execute = remediation.execute(&mut snapshot, steps, &mut self.max_revokes);
            let (done, references) = join(execute, inventory.references(&unresolved)).await;
            for result in done {
                keep(&mut results, result);
            }
            if results.values().any(|result| result.action == Action::Revoked) {
                closed_at.get_or_insert(ports.clock.now());
            }
            let is_gone = |rule: &Rule| results.get(&rule.id).is_some_and(|result| result.action.says_gone());
            snapshot.group.rules.retain(|rule| !is_gone(rule));
            match references {
                Ok(references) => references.resolve(&mut snapshot),
                Err(error) => {
                    let id = &snapshot.group.id;
                    self.problem(format!("what the rules of `{id}` refer to could not be read: {}", chain(&error)));
                    break missing;
                }
            }
            is_new_look = false;
            // Rules may come to refer to something new at each look; at some point the others go on without them.
            if !unresolved.is_empty() || !snapshot.unresolved().is_empty() {
                if rounds.next().is_some() {
                    continue;
                }
                let ids = snapshot.unresolved().into_iter().collect::<Vec<_>>().join("`, `");
                self.problem(format!(
                    "rules of `{}` came to refer to `{ids}` while it was looked at",
                    snapshot.group.id
                ));
            }
            let Some(wait) = waits.next().filter(|_| !missing.is_empty() && ports.clock.now() < self.deadline) else {
                break missing;
            };
            ports.clock.sleep(wait).await;
            is_new_look = true;
            // What is done has to be reported, so an error ends the waiting and not the invocation.
            if let Err(error) = self.inventory.read_again(&mut snapshot).await {
                let id = &snapshot.group.id;
                self.problem(format!("the rules of `{id}` could not be read again: {}", chain(&error)));
                break Vec::new();
            }
        };
        let gone = self.claimed(&snapshot, named, &missing).await;
        for (id, list) in &snapshot.group.prefix_lists {
            if let PrefixList::Unreadable { why, may_pass: true } = list {
                self.problem(format!("prefix list `{id}` could not be read: {why}"));
            }
        }
        let results: Vec<StepResult> = results.into_values().chain(gone).collect();
        self.looked_at.push(Judged { group: snapshot.group, named: *named != Named::Nothing, closed_at, results });
    }

    /// What is to be said of clusters as a whole, each with the groups it can be reported with: what they need and do not
    /// have, and a public endpoint open to a great many. Looked for after everything else, so that no revoke waits for
    /// it, and on the state that our own revokes left behind; after an event only if something may have been closed, by
    /// it or by us.
    async fn of_clusters(&mut self) -> ClusterFindings {
        let closes = self.event.is_none_or(|event| event.call.may_close);
        let is_of_interest = |looked: &&Judged| {
            let has_revoked = looked.results.iter().any(|result| result.action == Action::Revoked);
            (closes || has_revoked)
                && looked.group.roles.iter().any(|known| known.strong && ROLES_WITH_REQUIREMENTS.contains(&known.role))
        };
        let interesting = self.looked_at.iter().filter(is_of_interest);
        let clusters = interesting.flat_map(|looked| looked.group.clusters.clone());
        let clusters: BTreeSet<String> = clusters.chain(self.configured.clone()).collect();
        let mut found = ClusterFindings::new();
        for cluster in clusters {
            let at_endpoint = self.event.is_none() || self.configured.is_some();
            match needs::of_cluster(self.inventory, &self.setup.policy, &cluster, self.event, at_endpoint).await {
                Ok(more) => found.extend(more),
                Err(error) => {
                    self.problem(format!("what cluster `{cluster}` needs could not be looked at: {}", chain(&error)));
                }
            }
        }
        found
    }

    /// What the policy says of rules that the event names and that are not there: people need to know only if it objects.
    async fn claimed(&mut self, snapshot: &GroupSnapshot, named: &Named, missing: &[NamedRule]) -> Vec<StepResult> {
        let claimed = claims(&snapshot.group, missing);
        if claimed.rules.is_empty() {
            return Vec::new();
        }
        let claimed = match self.inventory.resolve(claimed).await {
            Ok(claimed) => claimed,
            Err(error) => {
                let id = &snapshot.group.id;
                self.problem(format!("what the event says of `{id}` could not be looked up: {}", chain(&error)));
                return Vec::new();
            }
        };
        let context = self.setup.context(self.event, self.started, named);
        let gone = |judged: JudgedRule| {
            let detail = "the event names this rule; this is what it says it was".to_owned();
            StepResult::without_effect(judged, true, Action::AlreadyGone, Some(detail))
        };
        judge(context.policy, &claimed, context.location, context.now, |_| Author::Unknown)
            .into_iter()
            .map(gone)
            .collect()
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
    fn findings(&mut self, group: &Group, results: Vec<StepResult>, of_cluster: ClusterFindings) -> Vec<Finding> {
        for result in results.iter().filter(|result| result.is_unfinished) {
            let why = result.detail.as_deref().unwrap_or("no reason known");
            self.problems.push(format!("rule `{}` of `{}`: {why}", result.finding.rule.id, group.id));
        }
        let mut findings: Vec<Finding> =
            results.into_iter().filter(|result| result.finding.verdict > Verdict::Allow).map(finding).collect();
        findings.extend(of_cluster.into_iter().map(|(_, finding)| finding));
        worst_first(&mut findings);
        findings
    }

    fn record(&mut self, group: &Group, named: bool, findings: Vec<Finding>) {
        let Setup { ports, policy, modes, location, .. } = self.setup;
        let mode = modes.of(policy, group, named).0;
        let mut record = Record::of(location, policy, mode, Some(group), findings, self.event);
        let elapsed = ports.clock.now().duration_since(self.started);
        record.duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(0);
        // A sweep makes one digest per cluster.
        let is_notified = self.event.is_some() && notice::is_news(&record);
        let mut for_people = is_notified.then(|| notice::notice(&record, self.setup.ports.clock.now()));
        self.setup.ports.metrics.record(&record);
        for record in record.split() {
            (self.setup.ports.record_log)(&record);
            if record.outcome > Outcome::Compliant {
                // People are notified once, of the whole; machines get every part.
                self.messages.push(notice::message(&record, for_people.take()));
            }
            self.records.push(record);
        }
    }

    /// Notifies everybody, whatever else failed, and says what is not done.
    pub(super) async fn finish(mut self, ignored: Option<String>) -> Result<Response, GuardError> {
        let mut of_clusters = self.of_clusters().await;
        let mut found: Vec<(Group, bool, Vec<Finding>)> = Vec::new();
        for Judged { group, named, closed_at, results } in std::mem::take(&mut self.looked_at) {
            // Reported once, with the first group that it concerns.
            let (here, rest) = of_clusters.into_iter().partition(|(groups, _)| groups.contains(&group.id));
            of_clusters = rest;
            let mut findings = self.findings(&group, results, here);
            if let Some(at) = closed_at {
                for finding in &mut findings {
                    finding.close(at, &group.rules);
                }
            }
            found.push((group, named, findings));
        }
        let mut news = News::default();
        if let Some(state) = &self.setup.ports.state {
            let mut each = Vec::new();
            for (group, _, findings) in &mut found {
                each.extend(findings.iter_mut().map(|finding| (group.id.as_str(), finding)));
            }
            news = News::of(state.as_ref(), &self.setup.location, self.event, each, self.setup.ports.clock.now()).await;
        }
        let has_done = |finding: &Finding| finding.action.outcome() > Outcome::Reported;
        if let Some(event) = self.event.filter(|_| news.is_handled)
            && self.problems.is_empty()
            && !found.iter().any(|(_, _, findings)| findings.iter().any(has_done))
        {
            return Ok(Response::repeat(event));
        }
        for (group, named, findings) in found {
            self.record(&group, named, findings);
        }
        if self.event.is_none() {
            self.messages.extend(notice::digests(&self.records));
        }
        let unsent = notify(&self.setup.ports, &self.messages).await;
        let is_notified = unsent.is_empty();
        self.problems.extend(unsent);
        if is_notified {
            // What failed is tried again by the platform. An answer without records may be due to what we did not know yet.
            let handled = self.event.filter(|_| self.problems.is_empty() && !self.records.is_empty());
            if let Some(event) = handled {
                self.handled.insert(&event.id);
            }
            if let Some(state) = &self.setup.ports.state {
                news.keep(state.as_ref(), handled).await;
            }
        }
        self.problems.append(&mut news.problems);
        if self.problems.is_empty() {
            Ok(Response { records: self.records, ignored })
        } else {
            Err(GuardError::Unfinished(self.problems))
        }
    }
}

/// A rule may be looked at more than once. What was done about it is not forgotten for what is seen of it later.
fn keep(results: &mut BTreeMap<String, StepResult>, new: StepResult) {
    let is_news = |old: &StepResult| new.action == Action::Revoked || new.action.outcome() > old.action.outcome();
    match results.get(&new.finding.rule.id) {
        Some(old) if !is_news(old) => {}
        _ => drop(results.insert(new.finding.rule.id.clone(), new)),
    }
}

/// The rules that the event names and that were neither there nor handled.
fn missing_of(named: &Named, snapshot: &GroupSnapshot, results: &BTreeMap<String, StepResult>) -> Vec<NamedRule> {
    let Named::Rules(rules) = named else { return Vec::new() };
    let is_there = |named: &NamedRule| snapshot.group.rules.iter().any(|rule| names(named, rule));
    let is_done = |named: &NamedRule| results.values().any(|result| names(named, &result.finding.rule));
    rules.iter().filter(|named| !is_there(named) && !is_done(named)).cloned().collect()
}

fn finding(result: StepResult) -> Finding {
    Finding::of_rule(result.finding, result.named, result.action, result.detail)
}
