//! Which groups and which of their rules a CloudTrail record is about.
//!
//! The record is never believed about content, so reading it wrongly can do two kinds of harm only: we do not look (a
//! forbidden rule stays), or we take rules for new that are old. Hence the order of preference: rule ids from the response,
//! the content of the request, the whole group, everything.

use std::collections::HashSet;

use serde_json::Value;

use super::fields::{flag, get, id, list, quoted, text, told};
use super::{Claim, GroupRef, Named, NamedRule, Touched, claim};
use crate::rule::{Direction, Peer};

/// RDS, `ElastiCache` and Redshift have calls of nearly the same names.
const EC2: &str = "ec2.amazonaws.com";

/// What a call does to rules.
#[derive(Clone, Copy)]
enum Call {
    /// Adds rules in this direction.
    Adds(Direction),
    /// Rewrites rules in place, in a direction that the event does not tell.
    Rewrites,
    /// Removes rules: nothing opens, but something that must stay open may be gone.
    Removes,
}

const CALLS: &[(&str, Call)] = &[
    ("AuthorizeSecurityGroupIngress", Call::Adds(Direction::Ingress)),
    ("AuthorizeSecurityGroupEgress", Call::Adds(Direction::Egress)),
    ("ModifySecurityGroupRules", Call::Rewrites),
    ("RevokeSecurityGroupIngress", Call::Removes),
    ("RevokeSecurityGroupEgress", Call::Removes),
];

/// Members of a response that list rules, each with the id of its group.
const RULE_SETS: &[&str] = &["securityGroupRuleSet", "revokedSecurityGroupRuleSet"];

/// Members that only the legacy short form has at the top of the request. Its `ipPermissions` is there and empty.
const SHORT_FORM: &[&str] = &["ipProtocol", "cidrIp", "cidrIpv6", "sourceSecurityGroupName"];

/// Endings of the one member that newer calls wrap their request or response in. The name may be abbreviated.
const WRAPPERS: &[&str] = &["Request", "Req", "Response", "Resp"];

/// What a record may have changed: empty when it is a change of some group that the record does not tell.
///
/// # Errors
/// Why there is nothing to look at, for people.
pub(super) fn touched(record: &Value, source: &str, name: &str) -> Result<Vec<Touched>, String> {
    if source != EC2 {
        return Err(format!("{} of {} cannot open a security-group rule", quoted(name), quoted(source)));
    }
    let Some((_, call)) = CALLS.iter().find(|(known, _)| *known == name) else {
        return Err(format!("{} cannot open a security-group rule", quoted(name)));
    };
    let request = content(get(record, "requestParameters"));
    let response = content(get(record, "responseElements"));
    let code = text(get(record, "errorCode"));
    let named = match code.as_deref().map(|code| code.strip_prefix("Client.").unwrap_or(code)) {
        None => call.named(request, response),
        // The rule was there before this call: look, but blame nobody for it now.
        Some("InvalidPermission.Duplicate") => Named::Nothing,
        Some("DryRunOperation") => return Err(format!("{} was a dry run, nothing changed", quoted(name))),
        Some(code) => {
            return Err(format!("{} failed with {}, nothing changed", quoted(name), quoted(code)));
        }
    };
    Ok(group(request, response).map(|group| Touched { group, named }).into_iter().collect())
}

impl Call {
    fn named(self, request: &Value, response: &Value) -> Named {
        match self {
            Self::Adds(direction) => named(answered(response, direction), asked(request, direction)),
            Self::Rewrites => named(Vec::new(), rewritten(request)),
            Self::Removes => Named::Nothing,
        }
    }
}

/// The content of a request or response, out of its wrapper; `null` when CloudTrail left it out because it was too large.
fn content(parameters: &Value) -> &Value {
    let wrapped = parameters.as_object().and_then(|members| {
        let wrapper = |(name, value): &(&String, &Value)| {
            value.is_object() && WRAPPERS.iter().any(|ending| name.ends_with(ending))
        };
        members.iter().find(wrapper).map(|(_, value)| value)
    });
    let content = wrapped.unwrap_or(parameters);
    if flag(get(content, "omitted")) == Some(true) { &Value::Null } else { content }
}

/// A call by name alone tells the id in its response only.
fn group(request: &Value, response: &Value) -> Option<GroupRef> {
    let group_id = |value: &Value| id(get(value, "groupId"), "sg-");
    let answered = || RULE_SETS.iter().flat_map(|set| list(get(response, set))).find_map(group_id);
    let by_name = || text(get(request, "groupName")).map(GroupRef::Name);
    group_id(request).or_else(answered).map(GroupRef::Id).or_else(by_name)
}

/// The rules that EC2 says it made.
fn answered(response: &Value, direction: Direction) -> Vec<NamedRule> {
    let rule = |rule: &Value| {
        let direction = match flag(get(rule, "isEgress")) {
            Some(true) => Direction::Egress,
            Some(false) => Direction::Ingress,
            None => direction,
        };
        NamedRule { id: id(get(rule, "securityGroupRuleId"), "sgr-"), claim: claim::of_rule(rule, Some(direction)) }
    };
    list(get(response, "securityGroupRuleSet")).into_iter().map(rule).collect()
}

/// The rules that the caller asked for, in the list form, in the short form, or both.
fn asked(request: &Value, direction: Direction) -> Vec<NamedRule> {
    let listed = list(get(request, "ipPermissions")).into_iter();
    let mut claims: Vec<_> = listed.flat_map(|permission| claim::of_permission(permission, direction)).collect();
    if SHORT_FORM.iter().any(|member| told(get(request, member))) {
        claims.push(claim::of_rule(request, Some(direction)));
    }
    claims.into_iter().map(|claim| NamedRule { id: None, claim }).collect()
}

/// The updates of `ModifySecurityGroupRules`: the same name is nested twice, outside the update, inside the new body.
fn rewritten(request: &Value) -> Vec<NamedRule> {
    let update = |update: &Value| NamedRule {
        id: id(get(update, "securityGroupRuleId"), "sgr-"),
        claim: claim::of_rule(get(update, "securityGroupRule"), None),
    };
    list(get(request, "securityGroupRule")).into_iter().map(update).collect()
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

/// Whether every rule that was told can be found again, by id or by content.
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
