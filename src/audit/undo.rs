//! Undoing a revoke: which rules of a record are to be open again, and whether the policy lets them be.
//!
//! Owns: what a record says was closed; opening exactly that. Must not: read a file, ask anybody, or open what the policy
//! forbids.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::inventory::Inventory;
use crate::model::error::{CloudError, chain};
use crate::model::group::Group;
use crate::model::ids::Location;
use crate::model::rule::Rule;
use crate::model::text::plain;
use crate::plan::standing::is_equal;
use crate::policy::controller::Author;
use crate::policy::judge::{JudgedRule, judge};
use crate::policy::model::{Policy, Verdict};
use crate::ports::{Clock, Reopen};
use crate::report::finding::Subject;
use crate::report::outcome::Action;
use crate::report::record::Record;

/// Of one record; more is no record of ours.
const MAX_RULES: usize = 10_000;
/// Waits between reads until a rule that was opened shows.
const READ_BACK_DELAYS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// What is written down before a rule is closed: of a process that died on the way it is all there is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AboutTo {
    /// Of the group.
    pub account: String,
    /// Of the group.
    pub region: String,
    /// `sg-…`.
    pub group: String,
    /// As they were.
    pub rules: Vec<Rule>,
}

/// The rules that were closed, by location and group.
pub type Closed = BTreeMap<Location, BTreeMap<String, Vec<Rule>>>;

/// What is to become of a rule that was closed.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It may be opened.
    Allowed,
    /// It is open already, under this id; and what of it is not as it was.
    Open(String, Option<&'static str>),
    /// The policy forbids it: the clauses, and why.
    Forbidden(Vec<(String, String)>),
    /// Nobody can say.
    Unknown(String),
}

/// A rule that was closed, where it was, and what is to become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Account and region.
    pub location: Location,
    /// `sg-…`.
    pub group: String,
    /// As it was.
    pub rule: Rule,
    /// What is to become of it.
    pub standing: Standing,
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Undone {
    /// It is open again, under this id.
    Opened(String),
    /// It is not, or was not seen to be.
    Failed(String),
}

/// What is closed by what stands in the values: records, alone or as the log, the function and `audit --fix` write them.
///
/// # Errors
/// A sentence about a value that is none of these.
pub fn closed(values: &[Value]) -> Result<Closed, String> {
    let (mut closed, mut about_to, mut said) = (Closed::new(), Vec::new(), BTreeSet::new());
    for value in values {
        if let Some(line) = value.get("about_to_revoke") {
            let line = serde_json::from_value::<AboutTo>(line.clone());
            about_to.push(line.map_err(|error| format!("`about_to_revoke` is not understood: {error}"))?);
            continue;
        }
        let records = match (value.get("records"), value.get("record")) {
            (Some(Value::Array(records)), _) => records.clone(),
            (_, Some(record)) => vec![record.clone()],
            _ => vec![value.clone()],
        };
        for record in records {
            let record: Record = serde_json::from_value(record).map_err(|error| {
                format!(
                    "it is no record: {error}; expected what the function logs, or the file that `audit --fix` wrote"
                )
            })?;
            if record.version != 1 {
                return Err(format!("the record has version {}; this program knows version 1", record.version));
            }
            let Some(group) = &record.group else { continue };
            let location = Location::new(record.account.clone(), record.region.clone());
            for finding in &record.findings {
                let Subject::Rule(rule) = &finding.subject else { continue };
                said.insert((group.id.clone(), rule.id.clone()));
                if finding.action == Action::Revoked {
                    add(&mut closed, &location, &group.id, rule);
                }
            }
        }
    }
    // What was begun, and of which nobody said what came of it.
    for AboutTo { account, region, group, rules } in about_to {
        let location = Location::new(account, region);
        for rule in rules.iter().filter(|rule| !said.contains(&(group.clone(), rule.id.clone()))) {
            add(&mut closed, &location, &group, rule);
        }
    }
    let many = closed.values().flat_map(BTreeMap::values).map(Vec::len).sum::<usize>();
    if many > MAX_RULES {
        return Err(format!("it speaks of {many} rules, and {MAX_RULES} are the most; undo a part of it"));
    }
    Ok(closed)
}

fn add(closed: &mut Closed, location: &Location, group: &str, rule: &Rule) {
    let rules = closed.entry(location.clone()).or_default().entry(group.to_owned()).or_default();
    if !rules.iter().any(|known| is_equal(known, rule)) {
        rules.push(rule.clone());
    }
}

/// What is to become of the rules of one group, each with its place in `rules`. They are judged as if all were open.
pub async fn standing(
    inventory: &Inventory,
    policy: &Policy,
    location: &Location,
    (group, rules): (&str, &[Rule]),
    now: Timestamp,
) -> Vec<Standing> {
    let all = |why: String| vec![Standing::Unknown(why); rules.len()];
    let looked = match inventory.read(&[group.to_owned()]).await {
        Ok(looked) => looked,
        Err(error) => return all(chain(&error)),
    };
    if let Some(unread) = looked.unread.first() {
        return all(format!("{} could not be read: {}", plain(&unread.what), chain(&unread.source)));
    }
    let Some(snapshot) = looked.snapshots.into_iter().next() else {
        return all("the group is gone".to_owned());
    };
    let live = snapshot.group.rules.clone();
    let open = |rule: &Rule| live.iter().find(|live| is_equal(live, rule));
    let closed: Vec<Rule> = rules.iter().filter(|rule| open(rule).is_none()).cloned().collect();
    let together = Group { rules: live.iter().cloned().chain(closed).collect(), ..snapshot.group.clone() };
    let mut snapshot = snapshot.with_rules_of(together);
    if let Err(error) = inventory.resolve(&mut snapshot).await {
        return all(format!("what it refers to could not be read: {}", chain(&error)));
    }
    let judged = judge(policy, &snapshot.group, location, now, |_| Author::Unknown);
    let verdict = |rule: &Rule| judged.iter().find(|judged| is_equal(&judged.rule, rule));
    let each = rules.iter().map(|rule| match (open(rule), verdict(rule)) {
        (Some(live), _) => Standing::Open(live.id.clone(), differs(live, rule)),
        (None, None) => Standing::Unknown("it could not be judged".to_owned()),
        (None, Some(judged)) if judged.verdict == Verdict::Revoke => Standing::Forbidden(forbidding(judged)),
        (None, Some(_)) => Standing::Allowed,
    });
    each.collect()
}

fn differs(live: &Rule, rule: &Rule) -> Option<&'static str> {
    match (live.description == rule.description, live.tags == rule.tags) {
        (true, true) => None,
        (false, true) => Some("with another description"),
        (true, false) => Some("with other tags"),
        (false, false) => Some("with another description and other tags"),
    }
}

fn forbidding(judged: &JudgedRule) -> Vec<(String, String)> {
    let mut clauses: Vec<(String, String)> = Vec::new();
    for portion in judged.portions.iter().filter(|portion| portion.verdict == Verdict::Revoke) {
        let clause = (portion.clause.clone(), portion.reason.clone());
        if !clauses.contains(&clause) {
            clauses.push(clause);
        }
    }
    clauses
}

/// Opens rules of one group again, and looks whether they are open.
pub async fn undo(
    reopen: &dyn Reopen,
    inventory: &Inventory,
    clock: &dyn Clock,
    group: &str,
    rules: &[&Rule],
) -> Vec<Undone> {
    let mut answers: Vec<Result<String, CloudError>> = Vec::new();
    for rule in rules {
        answers.push(reopen.authorize(group, rule).await);
    }
    let mut live = Ok(Vec::new());
    for delay in READ_BACK_DELAYS {
        clock.sleep(delay).await;
        live = inventory.rules(group).await;
        let shows = |rule: &&Rule| live.iter().flatten().any(|live| is_equal(live, rule));
        if rules.iter().zip(&answers).all(|(rule, answer)| answer.is_err() || shows(rule)) {
            break;
        }
    }
    let became = |(rule, answer): (&&Rule, Result<String, CloudError>)| match (&live, answer) {
        (Ok(live), answer) => match (live.iter().find(|live| is_equal(live, rule)), answer) {
            (Some(live), _) => Undone::Opened(live.id.clone()),
            (None, Err(error)) => Undone::Failed(chain(&error)),
            (None, Ok(id)) => Undone::Failed(format!("EC2 took it as `{}` and does not show it", plain(&id))),
        },
        (Err(_), Err(error)) => Undone::Failed(chain(&error)),
        (Err(error), Ok(id)) => {
            Undone::Failed(format!("EC2 took it as `{}`; not read back: {}", plain(&id), chain(error)))
        }
    };
    rules.iter().zip(answers).map(became).collect()
}

#[cfg(test)]
mod tests;
