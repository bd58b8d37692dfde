//! What opens what is missing: what an edit in place or a call took away, and what a cluster needs before a wide rule goes.
//!
//! Must not: open anything by a paste alone, or more than was open or is needed.

use std::collections::BTreeMap;

use super::headline::without_id;
use super::redo::{TAKE_OFF, authorize, modify};
use super::situation::{Situation, Topic};
use super::{Code, remark};
use crate::model::rule::{Direction, Rule};
use crate::model::text::{count, first_few};
use crate::report::outcome::Left;

/// Rules, and commands, that are written out.
const MAX_LOST: usize = 5;

/// What makes up for an edit in place: opens again what went with a revoke, or makes a rule that is still open again what it
/// was.
pub(super) fn lost(topics: &[Topic<'_>]) -> Vec<Code> {
    let command = |topic: &Topic<'_>| {
        let (group, _) = topic.rule()?;
        let before = topic.finding.before.as_ref()?;
        let (words, region) = (without_id(before), &topic.record.region);
        let opens = |command: &str| remark::with("opens", topic.record, [before], command);
        match topic.situation {
            Situation::Lost => Some(Code {
                title: format!("This reopens what was lost, {words} {TAKE_OFF}"),
                text: opens(&authorize(region, group, std::slice::from_ref(before))),
            }),
            Situation::Open => Some(Code {
                title: format!("Or this makes the rule what it was before the edit, {words} {TAKE_OFF}"),
                text: opens(&modify(region, group, before)),
            }),
            _ => None,
        }
    };
    topics.iter().filter_map(command).take(MAX_LOST).collect()
}

/// What opens what a cluster needs by narrower rules than the one that it depends on, which can go then.
pub(super) fn instead(topics: &[Topic<'_>]) -> Vec<Code> {
    let mut groups: BTreeMap<(&str, Direction), (&Topic<'_>, Vec<Rule>)> = BTreeMap::new();
    let mut is_known = true;
    for topic in topics.iter().filter(|topic| topic.finding.for_people.left == Some(Left::Needed)) {
        let Some((group, rule)) = topic.rule() else { continue };
        let (_, rules) = groups.entry((group, rule.direction)).or_insert((topic, Vec::new()));
        is_known &= !topic.finding.for_people.instead.is_empty();
        for rule in &topic.finding.for_people.instead {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    if !is_known {
        let title = "First open what the cluster needs by rules for that alone: the details name it.".to_owned();
        return vec![Code { title, text: String::new() }];
    }
    let command = |((group, _), (topic, rules)): ((&str, Direction), (&Topic<'_>, Vec<Rule>))| {
        let words = first_few(rules.iter().map(without_id).collect(), MAX_LOST, |rest| count(rest, "more rule"));
        let region = &topic.record.region;
        Code {
            title: format!("First this opens what the cluster needs and no more, {} {TAKE_OFF}", words.join("; ")),
            text: remark::with("opens", topic.record, &rules, &authorize(region, group, &rules)),
        }
    };
    groups.into_iter().map(command).take(MAX_LOST).collect()
}

/// What opens again what the call took away, where something is broken now.
pub(super) fn removed(topics: &[Topic<'_>]) -> Vec<Code> {
    let mut code: Vec<Code> = Vec::new();
    for topic in topics.iter().filter(|topic| topic.situation == Situation::Broken) {
        let Some(group) = &topic.record.group else { continue };
        for direction in [Direction::Ingress, Direction::Egress] {
            let of_it = group.removed.iter().filter(|rule| rule.direction == direction);
            let rules: Vec<Rule> = of_it.take(MAX_LOST).cloned().collect();
            if rules.is_empty() {
                continue;
            }
            let words: Vec<String> = rules.iter().map(without_id).collect();
            let new = Code {
                title: format!(
                    "This restores exactly what the call took away, even if less than that is missing: {} {TAKE_OFF}",
                    words.join("; ")
                ),
                text: remark::with("opens", topic.record, &rules, &authorize(&topic.record.region, &group.id, &rules)),
            };
            if !code.contains(&new) {
                code.push(new);
            }
        }
    }
    code.truncate(MAX_LOST);
    code
}
