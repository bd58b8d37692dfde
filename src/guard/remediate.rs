//! The only place where effects are ordered: look again, revoke by rule id, read back, say what became of each rule.
//!
//! Must not: judge by itself (it asks the plan again), or call a rule revoked that was not read back as gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::guard::hourly::HourlyLimit;
use crate::guard::inventory::{GroupSnapshot, Inventory};
use crate::guard::plan::{Intent, PlanContext, Step, limit, plan, worst_first};
use crate::guard::setup::Ports;
use crate::guard::shield::Shield;
use crate::guard::standing::Standing;
use crate::model::error::CloudError;
use crate::model::error::chain;
use crate::model::rule::{Direction, Rule};
use crate::policy::judge::JudgedRule;
use crate::policy::model::{Mode, Severity};
use crate::report::outcome::Action;

/// An answer older than this is not the last look before a revoke.
const MAX_LAST_LOOK_AGE: SignedDuration = SignedDuration::from_secs(2);
/// Ids in one call. EC2 documents no maximum; small batches keep a refusal small.
const MAX_RULES_PER_CALL: usize = 20;
/// Waits between reads of the group after a revoke: EC2 is eventually consistent.
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
    /// What became of it.
    pub action: Action,
    /// Why, where the action alone does not say it.
    pub detail: Option<String>,
    /// Whether it has to be tried again, so that the invocation must end in an error.
    pub is_unfinished: bool,
}

impl StepResult {
    /// A finding that no effect was tried on; whether the event named the rule, and whether that is known.
    pub fn without_effect(
        finding: JudgedRule,
        (named, known): (bool, bool),
        action: Action,
        detail: Option<String>,
    ) -> Self {
        Self { finding, named, known, action, detail, is_unfinished: action == Action::Failed }
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
    /// What a plan needs to know, since changed rules are judged again.
    pub context: PlanContext<'a>,
    /// No call to EC2 is begun after this, so that there is time left to say what was done.
    pub deadline: Timestamp,
}

impl Remediation<'_> {
    /// Judges what can be judged and does what is to be done about it. `most` is how many rules may still be revoked; it is
    /// counted down. Rules of `done` are left alone.
    pub async fn execute(
        self,
        snapshot: &mut GroupSnapshot,
        done: &BTreeSet<String>,
        shield: &Shield,
        most: &mut usize,
    ) -> Vec<StepResult> {
        let mut results = Vec::new();
        let mut steps = self.steps(snapshot, done, shield, *most);
        if steps.iter().any(|step| step.intent == Intent::Revoke) && !self.is_last_look(snapshot) {
            if let Err(error) = self.inventory.look_again(snapshot).await {
                let why = format!("the rules could not be read once more just before: {}", chain(&error));
                return steps.into_iter().map(|step| unread(step, &why)).collect();
            }
            let now = self.steps(snapshot, done, shield, *most);
            results.extend(steps.into_iter().filter_map(|step| overtaken(step, &now, snapshot)));
            steps = now;
        }
        self.keep_to_the_hour(&mut steps).await;
        let (revokes, rest): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(|step| step.intent == Intent::Revoke);
        results.extend(rest.into_iter().map(without_effect));
        if revokes.is_empty() {
            return results;
        }
        *most = most.saturating_sub(revokes.iter().filter(|step| step.made).count());
        // Written before anything changes: enough to undo by hand, whatever becomes of this invocation.
        let rules: Vec<&Rule> = revokes.iter().map(|step| &step.finding.rule).collect();
        tracing::info!(group = %snapshot.group.id, rules = %serde_json::json!(rules), "about to revoke");
        let answers = self.revoke(&snapshot.group.id, &revokes).await;
        let remaining = self.read_back(&snapshot.group.id, &answers).await;
        results.extend(revokes.into_iter().map(|step| outcome(step, &answers, &remaining)));
        results
    }

    /// Keeps what no event made to the limit of the hour. What is beyond it stays, and people have to know.
    async fn keep_to_the_hour(self, steps: &mut [Step]) {
        let is_counted = |step: &&mut Step| !step.made && step.intent == Intent::Revoke;
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

    fn steps(self, snapshot: &GroupSnapshot, done: &BTreeSet<String>, shield: &Shield, most: usize) -> Vec<Step> {
        let is_new = |rule: &Rule| !self.context.standing(rule, &snapshot.group).is_known();
        let mut steps = shield.over(self.context.policy, &snapshot.group, is_new, self.planned(snapshot, done));
        limit(&mut steps, most);
        steps
    }

    fn is_last_look(self, snapshot: &GroupSnapshot) -> bool {
        self.ports.clock.now().duration_since(snapshot.rules_at) < MAX_LAST_LOOK_AGE
    }

    /// Revokes in batches. EC2 does a batch as a whole or not at all, so a batch that is refused is done again one by
    /// one: one unknown or denied id must not stop the others.
    async fn revoke(self, group: &str, steps: &[Step]) -> BTreeMap<String, RevokeAnswer> {
        let ec2 = self.ports.ec2.as_ref();
        let mut answers = BTreeMap::new();
        for direction in [Direction::Ingress, Direction::Egress] {
            let here = steps.iter().filter(|step| step.finding.rule.direction == direction);
            let ids: Vec<String> = here.map(|step| step.finding.rule.id.clone()).collect();
            for batch in ids.chunks(MAX_RULES_PER_CALL) {
                if self.ports.clock.now() > self.deadline {
                    let late =
                        || RevokeAnswer::Refused("the time of the invocation ran out; the next try goes on".to_owned());
                    answers.extend(batch.iter().map(|id| (id.clone(), late())));
                    continue;
                }
                let mut answer = ec2.revoke(group, direction, batch).await;
                if batch.len() > 1 && matches!(answer, Err(CloudError::RuleGone(_) | CloudError::Denied { .. })) {
                    for id in batch {
                        answer = ec2.revoke(group, direction, std::slice::from_ref(id)).await;
                        answers.insert(id.clone(), RevokeAnswer::from(&answer));
                    }
                } else {
                    answers.extend(batch.iter().map(|id| (id.clone(), RevokeAnswer::from(&answer))));
                }
            }
        }
        answers
    }

    /// Which of the rules are still there. Waits for EC2 to agree with itself, but not for rules whose revoke was
    /// refused, not beyond `deadline`, and not for an EC2 that does not answer: the SDK has tried that often enough.
    async fn read_back(
        self,
        group: &str,
        answers: &BTreeMap<String, RevokeAnswer>,
    ) -> Result<BTreeSet<String>, String> {
        let may_go = |id: &String| !matches!(answers.get(id), Some(RevokeAnswer::Refused(_)));
        let mut last = Err("the rules were never read back".to_owned());
        for wait in READ_BACK_DELAYS {
            self.ports.clock.sleep(wait).await;
            last = match self.inventory.rules(group).await {
                Ok(rules) => {
                    Ok(rules.into_iter().map(|rule: Rule| rule.id).filter(|id| answers.contains_key(id)).collect())
                }
                Err(CloudError::GroupGone(_)) => Ok(BTreeSet::new()),
                Err(error) => Err(chain(&error)),
            };
            let is_settled = last.as_ref().map_or(true, |ids: &BTreeSet<String>| !ids.iter().any(may_go));
            if is_settled || self.ports.clock.now() > self.deadline {
                break;
            }
        }
        last
    }
}

/// What became of a rule that was to be revoked, if somebody else saw to that before the last look.
fn overtaken(step: Step, now: &[Step], snapshot: &GroupSnapshot) -> Option<StepResult> {
    let Step { finding, named, standing, .. } = Some(step).filter(|step| step.intent == Intent::Revoke)?;
    let known = standing.is_known();
    let is_it = |rule: &Rule| rule.id == finding.rule.id;
    match now.iter().find(|step| is_it(&step.finding.rule)) {
        // As it is now it refers to something that has to be looked up first: the next round judges it.
        None if snapshot.group.rules.iter().any(is_it) => None,
        None => Some(StepResult::without_effect(finding, (named, known), Action::AlreadyGone, None)),
        Some(now) if now.intent == Intent::None => {
            let detail = "the rule was changed while it was judged; as it is now it is allowed".to_owned();
            Some(StepResult::without_effect(finding, (named, known), Action::Changed, Some(detail)))
        }
        // Still not fine: it speaks for itself, as it is now.
        Some(_) => None,
    }
}

fn unread(step: Step, why: &str) -> StepResult {
    if step.intent == Intent::Revoke {
        StepResult::without_effect(
            step.finding,
            (step.named, step.standing.is_known()),
            Action::Failed,
            Some(format!("not revoked: {why}")),
        )
    } else {
        without_effect(step)
    }
}

fn without_effect(step: Step) -> StepResult {
    let (action, detail, is_unfinished) = match step.intent {
        Intent::None => (Action::None, None, false),
        Intent::Report(why) => (Action::Reported, why, false),
        Intent::WouldRevoke(why) => (Action::WouldRevoke, Some(why), false),
        Intent::Refuse(why) => (Action::Refused, Some(why), false),
        Intent::Postpone(why) => (Action::Refused, Some(why), true),
        Intent::Revoke => (Action::Failed, Some("the revoke was not tried".to_owned()), true),
    };
    StepResult {
        finding: step.finding,
        named: step.named,
        known: step.standing.is_known(),
        action,
        detail,
        is_unfinished,
    }
}

/// What EC2 answered about one rule id.
enum RevokeAnswer {
    Accepted,
    Gone,
    Refused(String),
}

impl From<&Result<(), CloudError>> for RevokeAnswer {
    fn from(answer: &Result<(), CloudError>) -> Self {
        match answer {
            Ok(()) => Self::Accepted,
            Err(CloudError::GroupGone(_) | CloudError::RuleGone(_)) => Self::Gone,
            Err(error) => Self::Refused(chain(error)),
        }
    }
}

fn outcome(
    step: Step,
    answers: &BTreeMap<String, RevokeAnswer>,
    remaining: &Result<BTreeSet<String>, String>,
) -> StepResult {
    let id = &step.finding.rule.id;
    let answer = answers.get(id);
    let (action, detail) = match (remaining.as_ref().map(|ids| ids.contains(id)), answer) {
        (Ok(false), Some(RevokeAnswer::Accepted)) => (Action::Revoked, step.setting),
        (Ok(false), _) => (Action::AlreadyGone, None),
        (Ok(true), Some(RevokeAnswer::Refused(why))) => (Action::Failed, Some(format!("still open: {why}"))),
        (Ok(true), _) => {
            let why = "still open: EC2 accepted the revoke, but the rule was still there when it was read back";
            (Action::Failed, Some(why.to_owned()))
        }
        (Err(unread), Some(RevokeAnswer::Refused(why))) => {
            (Action::Failed, Some(format!("not revoked: {why}; and the rules could not be read back: {unread}")))
        }
        (Err(unread), _) => {
            (Action::Failed, Some(format!("the revoke was sent, but the rules could not be read back: {unread}")))
        }
    };
    StepResult::without_effect(step.finding, (step.named, step.standing.is_known()), action, detail)
}
