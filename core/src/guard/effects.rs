//! The calls that close rules, in batches, and what EC2 answered of each rule.
//!
//! Must not: order them (remediate does), or say what became of a rule: only a read does that.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::error::{CloudError, chain};
use crate::model::rule::{Direction, Rule};
use crate::plan::{Intent, Step};
use crate::ports::Ports;

/// Ids in one call. EC2 documents no maximum; small batches keep a refusal small.
const MAX_RULES_PER_CALL: usize = 20;

/// What EC2 answered about one rule id.
#[derive(Debug)]
pub(super) enum Answer {
    Accepted,
    Gone,
    /// It does not take the content that the rule was to become.
    NotTaken(String),
    Refused(String),
    /// No answer came, or one that says nothing: it may have done it.
    Lost(String),
}

impl From<&Result<(), CloudError>> for Answer {
    fn from(answer: &Result<(), CloudError>) -> Self {
        match answer {
            Ok(()) => Self::Accepted,
            Err(CloudError::GroupGone(_) | CloudError::RuleGone(_)) => Self::Gone,
            Err(error @ (CloudError::NotTaken(_) | CloudError::ListGone(_))) => Self::NotTaken(chain(error)),
            Err(error @ CloudError::Failed { .. }) => Self::Lost(chain(error)),
            Err(error) => Self::Refused(chain(error)),
        }
    }
}

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Revoke(Direction),
    PutBack,
}

const CALLS: [Call; 3] = [Call::Revoke(Direction::Ingress), Call::Revoke(Direction::Egress), Call::PutBack];

/// What a rule is put back to, if it is.
pub(super) fn target(step: &Step) -> Option<&Rule> {
    step.former.as_ref().filter(|_| step.intent == Intent::PutBack).map(|former| &former.rule)
}

fn call_of(step: &Step) -> Call {
    if target(step).is_some() { Call::PutBack } else { Call::Revoke(step.finding.rule.direction) }
}

/// Closes the rules of these steps. EC2 does a batch as a whole or not at all, so a batch that is refused is done again one
/// by one: one rule that is unknown, denied or not taken must not stop the others.
pub(super) async fn close(ports: &Ports, deadline: Timestamp, group: &str, steps: &[Step]) -> BTreeMap<String, Answer> {
    let mut answers = BTreeMap::new();
    for call in CALLS {
        let here: Vec<&Step> = steps.iter().filter(|step| call_of(step) == call).collect();
        for batch in here.chunks(MAX_RULES_PER_CALL) {
            if ports.clock.now() > deadline {
                let late = || Answer::Refused("the time of the invocation ran out; the next try goes on".to_owned());
                answers.extend(batch.iter().map(|step| (step.finding.rule.id.clone(), late())));
                continue;
            }
            let answer = send(ports, group, call, batch).await;
            if batch.len() > 1 && answer.as_ref().is_err_and(is_of_one) {
                answers.extend(one_by_one(ports, group, call, batch).await);
            } else {
                answers.extend(batch.iter().map(|step| (step.finding.rule.id.clone(), Answer::from(&answer))));
            }
        }
    }
    answers
}

/// Whether the error may be due to one rule of a batch.
fn is_of_one(error: &CloudError) -> bool {
    use CloudError::{Denied, GroupGone, ListGone, NotTaken, RuleGone, Withheld};
    matches!(error, RuleGone(_) | GroupGone(_) | ListGone(_) | NotTaken(_) | Withheld(_) | Denied { .. })
}

/// What a rule was may be what another one is, until that is put back too: such a rule is tried once more after the others.
async fn one_by_one(ports: &Ports, group: &str, call: Call, batch: &[&Step]) -> BTreeMap<String, Answer> {
    let mut answers = BTreeMap::new();
    let mut again = Vec::new();
    for step in batch {
        let answer = Answer::from(&send(ports, group, call, &[*step]).await);
        if matches!(answer, Answer::NotTaken(_)) {
            again.push(*step);
        }
        answers.insert(step.finding.rule.id.clone(), answer);
    }
    if again.len() < batch.len() {
        for step in again {
            let answer = Answer::from(&send(ports, group, call, &[step]).await);
            answers.insert(step.finding.rule.id.clone(), answer);
        }
    }
    answers
}

async fn send(ports: &Ports, group: &str, call: Call, batch: &[&Step]) -> Result<(), CloudError> {
    match call {
        Call::Revoke(direction) => {
            let ids: Vec<String> = batch.iter().map(|step| step.finding.rule.id.clone()).collect();
            ports.ec2.revoke(group, direction, &ids).await
        }
        Call::PutBack => {
            let rules: Vec<Rule> = batch.iter().filter_map(|step| target(step)).cloned().collect();
            match ports.ec2.modify(group, &rules).await {
                // EC2 says the same of a group that a rule refers to; a read shows which it is.
                Err(CloudError::GroupGone(cause)) => Err(CloudError::NotTaken(cause)),
                answer => answer,
            }
        }
    }
}
