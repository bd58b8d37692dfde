//! The only place where effects are ordered: look again, revoke or put back by rule id, read back, say what became of each
//! rule.
//!
//! Must not: judge by itself (it asks the plan again), or call a rule revoked that was not read back as gone, or restored
//! that was not read back as what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::guard::effects::{Answer, close, target};
use crate::guard::hourly::HourlyLimit;
use crate::guard::journal::GroupJournal;
use crate::guard::read_back::{Live, became, is_again, not_taken};
use crate::guard::shield::Shield;
use crate::inventory::{GroupSnapshot, Inventory, MAX_LAST_LOOK_AGE};
use crate::model::error::CloudError;
use crate::model::error::chain;
use crate::model::rule::Rule;
use crate::plan::standing::{Standing, is_equal};
use crate::plan::{Intent, PlanContext, Step, limit, plan, worst_first};
use crate::policy::judge::JudgedRule;
use crate::policy::model::{Mode, Severity};
use crate::ports::Ports;
use crate::report::finding::{Finding, ForPeople};
use crate::report::outcome::Action;

/// How often rules are closed that were edited again while they were, or that EC2 did not put back.
const MAX_ROUNDS: usize = 3;
/// Waits between reads of the group after a change: EC2 is eventually consistent.
const READ_BACK_DELAYS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_secs(3),
];

/// A finding and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// What the policy said.
    pub finding: JudgedRule,
    /// Whether the event named the rule.
    pub named: bool,
    /// Whether it is known, and not new.
    pub known: bool,
    /// What it was known as before it was edited in place, if that matters.
    pub before: Option<Rule>,
    /// What became of it.
    pub action: Action,
    /// Why, where the action alone does not say it.
    pub detail: Option<String>,
    /// Whether it has to be tried again, so that the invocation must end in an error.
    pub is_unfinished: bool,
    /// What decides when people hear of it.
    pub for_people: ForPeople,
}

impl StepResult {
    /// A finding that no effect was tried on; whether the event named the rule, and whether that is known.
    pub fn without_effect(
        finding: JudgedRule,
        (named, known): (bool, bool),
        action: Action,
        detail: Option<String>,
    ) -> Self {
        let (is_unfinished, for_people) = (action == Action::Failed, ForPeople::default());
        Self { finding, named, known, before: None, action, detail, is_unfinished, for_people }
    }

    /// What became of a step.
    fn of(step: Step, action: Action, detail: Option<String>) -> Self {
        let Step { finding, named, standing, former, for_people, .. } = step;
        let before = former.map(|former| former.rule);
        Self { before, for_people, ..Self::without_effect(finding, (named, standing.is_known()), action, detail) }
    }
}

/// What the remediation of one group works with.
#[derive(Clone, Copy)]
pub struct Remediation<'a> {
    /// The doors.
    pub ports: &'a Ports,
    /// Reads the group again.
    pub inventory: &'a Inventory,
    /// How many rules that no event made may still be revoked.
    pub(super) hourly: &'a HourlyLimit,
    /// What is about to be done is written here.
    pub(super) journal: &'a GroupJournal<'a>,
    /// What a plan needs to know, since changed rules are judged again.
    pub context: PlanContext<'a>,
    /// No call to EC2 is begun after this, so that there is time left to say what was done.
    pub deadline: Timestamp,
}

impl Remediation<'_> {
    /// Judges what can be judged and does what is to be done about it. `most` is how many rules may still be closed; it is
    /// counted down. Rules of `done` are left alone.
    pub async fn execute(
        self,
        snapshot: &mut GroupSnapshot,
        done: &BTreeSet<String>,
        shield: &Shield,
        most: &mut usize,
    ) -> Vec<StepResult> {
        let (mut results, mut done, mut lost) = (Vec::new(), done.clone(), BTreeMap::new());
        let mut steps = self.steps(snapshot, &done, &lost, shield, *most);
        let mut must_look = !self.is_last_look(snapshot);
        for rounds_left in (0..MAX_ROUNDS).rev() {
            if must_look && steps.iter().any(|step| step.intent.closes()) {
                if let Err(error) = self.inventory.look_again(snapshot).await {
                    let why = format!("the rules could not be read once more just before: {}", chain(&error));
                    results.extend(steps.into_iter().map(|step| unread(step, &why)));
                    return results;
                }
                let now = self.steps(snapshot, &done, &lost, shield, *most);
                results.extend(steps.into_iter().filter_map(|step| overtaken(step, &now, snapshot)));
                steps = now;
            }
            self.keep_to_the_hour(&mut steps).await;
            let (closing, rest): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(|step| step.intent.closes());
            results.extend(rest.into_iter().map(without_effect));
            if closing.is_empty() {
                break;
            }
            *most = most.saturating_sub(made(&closing));
            say_what_is_about_to_change(&snapshot.group.id, &closing);
            let changes = closing.iter().map(|step| (about_to(step), target(step).cloned())).collect();
            let act = close(self.ports, self.deadline, &snapshot.group.id, &closing);
            let answers = self.journal.around(&snapshot.group, changes, act).await;
            let live = self.read_back(&snapshot.group.id, &closing, &answers).await;
            let rules = live.as_ref().ok().map(|live| live.values().cloned().collect());
            snapshot.read_back = rules.map(|rules| (self.ports.clock.now(), rules));
            let (again, over): (Vec<Step>, Vec<Step>) =
                closing.into_iter().partition(|step| rounds_left > 0 && is_again(step, &answers, &live));
            let over: Vec<StepResult> = over
                .into_iter()
                .map(|step| {
                    let (action, detail) = became(&step, &answers, &live);
                    StepResult::of(step, action, detail)
                })
                .collect();
            let actions: Vec<(&str, Action)> =
                over.iter().map(|result| (result.finding.rule.id.as_str(), result.action)).collect();
            let is_refused = |id: &str| matches!(answers.get(id), Some(Answer::Refused(_) | Answer::NotTaken(_)));
            // Also where no answer came: whoever closes it from now on is somebody else.
            let is_there = |id: &str| live.as_ref().is_ok_and(|live| live.contains_key(id));
            self.journal.settle(&snapshot.group, &actions, |id| is_refused(id) || is_there(id)).await;
            results.extend(over);
            if again.is_empty() {
                break;
            }
            // Each rule counts once.
            *most = most.saturating_add(made(&again));
            let is_again = |id: &str| again.iter().any(|step| step.finding.rule.id == id);
            let others = snapshot.group.rules.iter().filter(|rule| !is_again(&rule.id));
            done.extend(others.map(|rule| rule.id.clone()));
            lost.extend(again.iter().filter_map(|step| not_taken(step, &answers, &live)));
            (steps, must_look) = (again, true);
        }
        results
    }

    /// Keeps what no event made to the limit of the hour. What is beyond it stays, and people have to know.
    async fn keep_to_the_hour(self, steps: &mut [Step]) {
        let is_counted = |step: &&mut Step| !step.made && step.intent.closes();
        let mut counted: Vec<&mut Step> = steps.iter_mut().filter(is_counted).collect();
        if counted.is_empty() {
            return;
        }
        worst_first(&mut counted);
        let ids: Vec<String> = counted.iter().map(|step| step.finding.rule.id.clone()).collect();
        let refused = self.hourly.take(&ids).await;
        for step in counted {
            match &refused {
                Ok(refused) if !refused.contains(&step.finding.rule.id) => {}
                Ok(_) => {
                    step.finding.severity = Some(Severity::Critical);
                    step.intent = Intent::Refuse(self.hourly.why());
                }
                Err(why) => {
                    let why =
                        format!("how many rules were revoked within the hour could not be read or written: {why}");
                    step.intent = Intent::Postpone(why);
                }
            }
        }
    }

    /// Whether a known rule is to be revoked, so that it has to be known what the clusters need.
    pub fn needs_shield(self, snapshot: &GroupSnapshot, done: &BTreeSet<String>) -> bool {
        let is_possible = self.context.modes.known == Mode::Enforce;
        is_possible && self.planned(snapshot, done).iter().any(Step::revokes_known)
    }

    fn planned(self, snapshot: &GroupSnapshot, done: &BTreeSet<String>) -> Vec<Step> {
        let mut steps = plan(self.context, &snapshot.judgeable());
        steps.retain(|step| step.standing != Standing::Unasked && !done.contains(&step.finding.rule.id));
        steps
    }

    /// `lost`: the rules that EC2 does not put back, and why.
    fn steps(
        self,
        snapshot: &GroupSnapshot,
        done: &BTreeSet<String>,
        lost: &BTreeMap<String, String>,
        shield: &Shield,
        most: usize,
    ) -> Vec<Step> {
        let is_new = |rule: &Rule| !self.context.standing(rule, &snapshot.group).is_known();
        let mut steps = shield.over(self.context.policy, &snapshot.group, is_new, self.planned(snapshot, done));
        for step in steps.iter_mut().filter(|step| step.intent == Intent::PutBack) {
            if let (Some(why), Some(former)) = (lost.get(&step.finding.rule.id), &mut step.former) {
                step.intent = Intent::Revoke;
                former.lost_because = Some(why.clone());
            }
        }
        limit(&mut steps, most);
        steps
    }

    fn is_last_look(self, snapshot: &GroupSnapshot) -> bool {
        self.ports.clock.now().duration_since(snapshot.rules_at) < MAX_LAST_LOOK_AGE
    }

    /// The rules of the group as they are now. Waits for EC2 to agree with itself, but not for what it refused, not beyond
    /// `deadline`, and not for an EC2 that does not answer: the SDK has tried that often enough.
    async fn read_back(self, group: &str, steps: &[Step], answers: &BTreeMap<String, Answer>) -> Live {
        let is_unchanged = |step: &Step, live: &BTreeMap<String, Rule>| {
            let rule = &step.finding.rule;
            let may_change = matches!(answers.get(&rule.id), Some(Answer::Accepted | Answer::Gone | Answer::Lost(_)));
            // One that is to be gone, whatever it became; one that is to be put back, as long as it is what it was.
            let is_there = |now: &Rule| target(step).is_none() || is_equal(now, rule);
            may_change && live.get(&rule.id).is_some_and(is_there)
        };
        let mut last = Err("the rules were never read back".to_owned());
        for wait in READ_BACK_DELAYS {
            self.ports.clock.sleep(wait).await;
            last = match self.inventory.rules(group).await {
                Ok(rules) => Ok(rules.into_iter().map(|rule| (rule.id.clone(), rule)).collect()),
                Err(CloudError::GroupGone(_)) => Ok(BTreeMap::new()),
                Err(error) => Err(chain(&error)),
            };
            let is_settled = last.as_ref().map_or(true, |live| !steps.iter().any(|step| is_unchanged(step, live)));
            if is_settled || self.ports.clock.now() > self.deadline {
                break;
            }
        }
        last
    }
}

/// How many of them the event made.
fn made(steps: &[Step]) -> usize {
    steps.iter().filter(|step| step.made).count()
}

/// Written before anything changes: enough to undo by hand, whatever becomes of this invocation.
fn say_what_is_about_to_change(group: &str, closing: &[Step]) {
    let revoked = closing.iter().filter(|step| target(step).is_none()).map(|step| &step.finding.rule);
    let revoked: Vec<&Rule> = revoked.collect();
    if !revoked.is_empty() {
        tracing::info!(group = %group, rules = %serde_json::json!(revoked), "about to revoke");
    }
    let edited = closing.iter().filter_map(|step| Some((&step.finding.rule, target(step)?)));
    let (rules, before): (Vec<&Rule>, Vec<&Rule>) = edited.unzip();
    if !rules.is_empty() {
        let (rules, before) = (serde_json::json!(rules), serde_json::json!(before));
        tracing::info!(group = %group, %rules, %before, "about to put back");
    }
}

/// What became of a rule that was to be closed, if somebody else saw to that before the last look.
fn overtaken(step: Step, now: &[Step], snapshot: &GroupSnapshot) -> Option<StepResult> {
    let step = Some(step).filter(|step| step.intent.closes())?;
    let id = &step.finding.rule.id;
    let is_it = |rule: &Rule| rule.id == *id;
    match now.iter().find(|step| is_it(&step.finding.rule)) {
        // As it is now it refers to something that has to be looked up first: the next round judges it.
        None if snapshot.group.rules.iter().any(is_it) => None,
        None => Some(StepResult::of(step, Action::AlreadyGone, None)),
        Some(now) if now.intent == Intent::None => {
            let detail = "the rule was changed while it was judged; as it is now it is allowed".to_owned();
            Some(StepResult::of(step, Action::Changed, Some(detail)))
        }
        // Still not fine: it speaks for itself, as it is now.
        Some(_) => None,
    }
}

/// What the journal holds of a step before its call leaves.
fn about_to(step: &Step) -> Finding {
    let known = step.standing.is_known();
    let action = if target(step).is_some() { Action::Restored } else { Action::Revoked };
    let before = step.former.as_ref().map(|former| former.rule.clone());
    Finding { before, ..Finding::of_rule(&step.finding, (step.named, known), action, step.setting.clone()) }
}

fn unread(step: Step, why: &str) -> StepResult {
    match step.intent {
        Intent::Revoke => StepResult::of(step, Action::Failed, Some(format!("not revoked: {why}"))),
        Intent::PutBack => StepResult::of(step, Action::Failed, Some(format!("not put back: {why}"))),
        _ => without_effect(step),
    }
}

fn without_effect(mut step: Step) -> StepResult {
    let intent = std::mem::replace(&mut step.intent, Intent::None);
    let (action, detail, is_unfinished) = match intent {
        Intent::None => (Action::None, None, false),
        Intent::Report(why) => (Action::Reported, why, false),
        Intent::WouldRevoke(why) => (Action::WouldRevoke, Some(why), false),
        Intent::Refuse(why) => (Action::Refused, Some(why), false),
        Intent::Postpone(why) => (Action::Refused, Some(why), true),
        Intent::Revoke | Intent::PutBack => (Action::Failed, Some("closing it was not tried".to_owned()), true),
    };
    StepResult { is_unfinished, ..StepResult::of(step, action, detail) }
}
