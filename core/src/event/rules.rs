//! Which group and which of its rules a call on rules is about.
//!
//! The record is never believed about content, so reading it wrongly can do two kinds of harm only: we do not look (a
//! forbidden rule stays), or we take rules for new that are old. Hence the order of preference: rule ids from the response,
//! the content of the request, the whole group.

use std::collections::HashSet;

use serde_json::Value;

use super::fields::{flag, get, id, is_present, list};
use super::{Claim, GroupRef, Named, NamedRule, claim};
use crate::model::rule::{Direction, Peer};

/// Fields of a response that list rules, each with the id of its group.
const RULE_SETS: &[&str] = &["securityGroupRuleSet", "revokedSecurityGroupRuleSet"];

/// Characters that the name of a group may have.
const MAX_NAME_LEN: usize = 255;

/// Fields that only the legacy short form has at the top of the request. Its `ipPermissions` is there and empty.
const SHORT_FORM: &[&str] = &["ipProtocol", "cidrIp", "cidrIpv6", "sourceSecurityGroupName"];

/// The group that a call names. Where a call gives the name alone, the id stands in its response only.
pub(super) fn group(request: &Value, response: &Value) -> Option<GroupRef> {
    let group_id = |value: &Value| id(get(value, "groupId"), "sg-");
    let answered = || RULE_SETS.iter().flat_map(|set| list(get(response, set))).find_map(group_id);
    let by_name = || {
        let name =
            get(request, "groupName").as_str().filter(|name| (1..=MAX_NAME_LEN).contains(&name.chars().count()))?;
        Some(GroupRef::Name(name.to_owned()))
    };
    group_id(request).or_else(answered).map(GroupRef::Id).or_else(by_name)
}

/// The rules that a call added in this direction.
pub(super) fn added(request: &Value, response: &Value, direction: Direction) -> Named {
    named(answered(response, direction), asked(request, direction))
}

/// The rules that a call removed: in full in a newer response, else as it was asked, by content or by id.
pub(super) fn removed(request: &Value, response: &Value, direction: Direction) -> Vec<NamedRule> {
    let answered = of_set(response, "revokedSecurityGroupRuleSet", direction);
    let asked = || asked(request, direction).into_iter().chain(asked_by_id(request)).collect();
    let all: Vec<NamedRule> = if answered.is_empty() { asked() } else { answered };
    all.into_iter().filter(|rule| rule.claim.is_some() || rule.id.is_some()).collect()
}

/// The rules that a request names by their ids alone.
pub(super) fn asked_by_id(request: &Value) -> Vec<NamedRule> {
    let of = |stated: &Value| {
        let inner = get(stated, "securityGroupRuleId");
        id(if is_present(inner) { inner } else { stated }, "sgr-")
    };
    let stated = ["securityGroupRuleIds", "securityGroupRuleId"].iter().flat_map(|field| list(get(request, field)));
    stated.filter_map(of).map(|id| NamedRule { id: Some(id), claim: None }).collect()
}

/// The updates of `ModifySecurityGroupRules`: the same name is nested twice, outside the update, inside the new body.
pub(super) fn rewritten(request: &Value) -> Named {
    let update = |update: &Value| NamedRule {
        id: id(get(update, "securityGroupRuleId"), "sgr-"),
        claim: claim::of_rule(get(update, "securityGroupRule"), None),
    };
    named(Vec::new(), list(get(request, "securityGroupRule")).into_iter().map(update).collect())
}

/// The rules that EC2 says it made.
fn answered(response: &Value, direction: Direction) -> Vec<NamedRule> {
    of_set(response, "securityGroupRuleSet", direction)
}

fn of_set(response: &Value, set: &str, direction: Direction) -> Vec<NamedRule> {
    let rule = |rule: &Value| {
        let direction = match flag(get(rule, "isEgress")) {
            Some(true) => Direction::Egress,
            Some(false) => Direction::Ingress,
            None => direction,
        };
        NamedRule { id: id(get(rule, "securityGroupRuleId"), "sgr-"), claim: claim::of_rule(rule, Some(direction)) }
    };
    list(get(response, set)).into_iter().map(rule).collect()
}

/// The rules that the caller asked for, in the list form, in the short form, or both.
fn asked(request: &Value, direction: Direction) -> Vec<NamedRule> {
    asked_with(request, direction).into_iter().map(|(claim, _)| NamedRule { id: None, claim }).collect()
}

/// The same, each with its description.
pub(super) fn asked_with(request: &Value, direction: Direction) -> Vec<(Option<Claim>, Option<String>)> {
    let listed = list(get(request, "ipPermissions")).into_iter();
    let mut claims: Vec<_> = listed.flat_map(|permission| claim::of_permission(permission, direction)).collect();
    if SHORT_FORM.iter().any(|field| is_present(get(request, field))) {
        claims.push((claim::of_rule(request, Some(direction)), None));
    }
    claims
}

/// Joins two accounts of the same rules. What the response names by id comes first; what only the request describes
/// follows, so that an incomplete response hides nothing. When neither account is whole, every rule of the group is named.
fn named(answered: Vec<NamedRule>, asked: Vec<NamedRule>) -> Named {
    if !(whole(&asked) || whole(&answered) && answered.len() >= asked.len()) {
        return Named::Everything;
    }
    let mut seen = HashSet::new();
    let new = |rule: &NamedRule| match &rule.claim {
        Some(claim) => seen.insert(without_owner(claim)) || rule.id.is_some(),
        None => rule.id.is_some(),
    };
    Named::Rules(answered.into_iter().chain(asked).filter(new).collect())
}

/// Whether every rule that is there can be found again, by id or by content.
fn whole(rules: &[NamedRule]) -> bool {
    !rules.is_empty() && rules.iter().all(|rule| rule.id.is_some() || rule.claim.is_some())
}

/// A claim by which two accounts of one rule are equal: a caller may leave the owner of a group out (`Peer::same`).
fn without_owner(claim: &Claim) -> Claim {
    let peer = match &claim.peer {
        Peer::Group { id, .. } => Peer::Group { id: id.clone(), owner: None },
        peer => peer.clone(),
    };
    Claim { peer, ..*claim }
}
