//! What an event tells of rules beside what they let in: their descriptions and tags. The guard has no use for it, since it
//! reads the live rule; who has nothing but the event judges with it.
//!
//! Must not: be asked by whatever changes something. A caller writes this text.

use std::collections::BTreeMap;

use serde_json::Value;

use super::calls::Changes;
use super::fields::{at, get, is_present, list, text};
use super::{Call, Claim, NamedRule, change, claim, envelope, json, rules};
use crate::model::rule::Rule;

/// Text in text, as queues and `LookupEvents` carry events.
const MAX_DEPTH: usize = 4;
/// Where an event may stand in what carries it, as text.
const CARRIERS: [&[&str]; 4] = [&["CloudTrailEvent"], &["body"], &["Sns", "Message"], &["Message"]];

/// A rule as an event describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// By id, by content, or both.
    pub rule: NamedRule,
    /// Text from outside.
    pub description: Option<String>,
    /// Text from outside.
    pub tags: BTreeMap<String, String>,
}

impl Described {
    /// Whether it is this rule.
    fn is(&self, named: &NamedRule) -> bool {
        match (&self.rule.id, &named.id) {
            (Some(one), Some(other)) => one == other,
            _ => self.rule.claim.is_some() && self.rule.claim == named.claim,
        }
    }
}

/// The rules that an event describes: those it makes, rewrites or removes.
pub fn described(payload: &Value) -> Vec<Described> {
    record(payload, MAX_DEPTH, &of_record)
}

/// The named rule with all that the event tells of it. `None`: it tells no content.
pub fn told(named: &NamedRule, described: &[Described]) -> Option<Rule> {
    let rule = named.claimed()?;
    // The response stands first; what it leaves out the request may have.
    let mut of_it = described.iter().filter(|described| described.is(named));
    let description = of_it.clone().find_map(|described| described.description.clone());
    let tags = of_it.find(|described| !described.tags.is_empty()).map(|described| described.tags.clone());
    Some(Rule { description, tags: tags.unwrap_or_default(), ..rule })
}

/// What is read of the CloudTrail record in a payload.
fn record<T: Default>(payload: &Value, depth: usize, read: &dyn Fn(&Value) -> T) -> T {
    let carried = || CARRIERS.iter().find_map(|path| json::read(at(payload, path).as_str()?).ok());
    let first = || get(payload, "Records").as_array()?.first();
    if is_present(get(payload, "eventName")) && is_present(get(payload, "eventSource")) {
        read(payload)
    } else if depth == 0 {
        T::default()
    } else if let Some((_, inner)) = envelope::content(payload) {
        record(inner, depth - 1, read)
    } else if is_present(get(payload, "detail")) {
        record(get(payload, "detail"), depth - 1, read)
    } else if let Some(inner) = carried() {
        record(&inner, depth - 1, read)
    } else {
        first().map(|inner| record(inner, depth - 1, read)).unwrap_or_default()
    }
}

fn of_record(record: &Value) -> Vec<Described> {
    let name = |field| text(get(record, field)).unwrap_or_default();
    let Some(call) = Call::find(&name("eventSource"), &name("eventName")) else { return Vec::new() };
    let (request, response) =
        (change::content(get(record, "requestParameters")), change::content(get(record, "responseElements")));
    let answered = list(get(response, "securityGroupRuleSet"))
        .into_iter()
        .chain(list(get(response, "revokedSecurityGroupRuleSet")));
    let answered = answered.map(flat);
    match call.changes {
        Changes::Adds(direction) => {
            let tags = of_request(request);
            let asked = rules::asked_with(request, direction).into_iter().map(|(claim, description)| Described {
                rule: NamedRule { id: None, claim },
                description,
                tags: tags.clone(),
            });
            answered.chain(asked).collect()
        }
        Changes::Rewrites => {
            let update = |update: &Value| {
                let body = get(update, "securityGroupRule");
                let id = super::fields::id(get(update, "securityGroupRuleId"), "sgr-");
                Described { rule: NamedRule { id, claim: claim::of_rule(body, None) }, ..flat(body) }
            };
            list(get(request, "securityGroupRule")).into_iter().map(update).collect()
        }
        Changes::Removes => {
            let direction = if call.name.ends_with("Egress") {
                crate::model::rule::Direction::Egress
            } else {
                crate::model::rule::Direction::Ingress
            };
            let by_id = rules::asked_by_id(request).into_iter();
            let asked = rules::asked_with(request, direction).into_iter().filter(|(claim, _)| claim.is_some());
            let asked = asked.map(|(claim, _)| NamedRule { id: None, claim });
            let bare = |rule| Described { rule, description: None, tags: BTreeMap::new() };
            answered.chain(by_id.chain(asked).map(bare)).collect()
        }
        _ => Vec::new(),
    }
}

/// A rule whose fields stand side by side.
fn flat(rule: &Value) -> Described {
    let claim: Option<Claim> = claim::of_rule(rule, None);
    let id = super::fields::id(get(rule, "securityGroupRuleId"), "sgr-");
    let listed = ["tagSet", "tags"].iter().flat_map(|field| list(get(rule, field)));
    Described { rule: NamedRule { id, claim }, description: text(get(rule, "description")), tags: tags(listed) }
}

/// The tags that a request gives to each rule it makes.
fn of_request(request: &Value) -> BTreeMap<String, String> {
    let specifications = ["tagSpecificationSet", "tagSpecification"].iter().flat_map(|field| list(get(request, field)));
    let of_rules = specifications
        .filter(|specification| text(get(specification, "resourceType")).as_deref() == Some("security-group-rule"));
    let listed = of_rules.flat_map(|specification| {
        ["tags", "tag", "tagSet"].iter().flat_map(|field| list(get(specification, field))).collect::<Vec<_>>()
    });
    tags(listed)
}

fn tags<'v>(listed: impl Iterator<Item = &'v Value>) -> BTreeMap<String, String> {
    let tag = |tag: &Value| Some((text(get(tag, "key"))?, text(get(tag, "value")).unwrap_or_default()));
    listed.filter_map(tag).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::{Parsed, Trigger, payload};

    /// The rules of an event as it tells them.
    fn rules(payload: &Value) -> Vec<Rule> {
        let Ok(Parsed::Trigger(Trigger::Change(change))) = payload::parse(payload) else { panic!("{payload}") };
        let described = described(payload);
        let named = change.touched().iter().flat_map(|touched| touched.named.rules());
        named.filter_map(|named| told(named, &described)).collect()
    }

    fn authorize(request: &Value, response: &Value) -> Value {
        json!({
            "eventVersion": "1.10", "eventSource": "ec2.amazonaws.com", "eventName": "AuthorizeSecurityGroupIngress",
            "eventTime": "2026-01-02T03:04:05Z", "awsRegion": "us-east-1", "recipientAccountId": "111122223333",
            "eventID": "1", "requestParameters": request, "responseElements": response,
        })
    }

    #[test]
    fn descriptions_and_tags_stand_in_the_response_or_in_the_request() {
        let permission = json!({
            "ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
            "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0", "description": "asked"}]},
        });
        let tags = json!({"items": [{"resourceType": "security-group-rule", "tags": [{"key": "a", "value": "b"}]}]});
        let request =
            json!({"groupId": "sg-0a", "ipPermissions": {"items": [permission]}, "tagSpecificationSet": tags});
        let rule = json!({
            "groupId": "sg-0a", "securityGroupRuleId": "sgr-0a", "isEgress": false, "ipProtocol": "tcp", "fromPort": 22,
            "toPort": 22, "cidrIpv4": "0.0.0.0/0",
        });
        let mut answered = rule.clone();
        answered["description"] = json!("answered");
        answered["tagSet"] = json!({"items": [{"key": "c", "value": "d"}]});
        let set = |rule: &Value| json!({"securityGroupRuleSet": {"items": [rule]}});
        for (response, id, description, tag) in [
            (set(&answered), "sgr-0a", "answered", ("c", "d")),
            (set(&rule), "sgr-0a", "asked", ("a", "b")),
            (json!(null), "", "asked", ("a", "b")),
        ] {
            let record = authorize(&request, &response);
            let (key, value) = tag;
            let text = json!({"CloudTrailEvent": record.to_string()});
            let envelope = json!({"detail-type": "AWS API Call via CloudTrail", "detail": record});
            for payload in [&record, &envelope, &text, &json!({"requestPayload": envelope})] {
                let found = rules(payload);
                assert_eq!(found.len(), 1, "{payload}");
                assert_eq!((found[0].id.as_str(), found[0].description.as_deref()), (id, Some(description)));
                assert_eq!(found[0].tags, BTreeMap::from([(key.to_owned(), value.to_owned())]), "{payload}");
            }
        }
    }

    #[test]
    fn tags_of_the_group_are_none_of_the_rules() {
        let tags = json!({"items": [{"resourceType": "security-group", "tags": [{"key": "a", "value": "b"}]}]});
        let request = json!({
            "groupId": "sg-0a", "ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIp": "0.0.0.0/0",
            "tagSpecificationSet": tags,
        });
        assert_eq!(rules(&authorize(&request, &json!(null)))[0].tags, BTreeMap::new());
    }

    #[test]
    fn what_a_call_removes_is_described_by_id_or_by_content() {
        let revoke = |request: Value| {
            let mut record = authorize(&request, &json!(null));
            record["eventName"] = json!("RevokeSecurityGroupEgress");
            described(&record)
        };
        let ids = json!({"items": [{"securityGroupRuleId": "sgr-0a"}]});
        let [by_id] =
            <[Described; 1]>::try_from(revoke(json!({"groupId": "sg-0a", "securityGroupRuleIds": ids}))).unwrap();
        assert_eq!(by_id.rule.id.as_deref(), Some("sgr-0a"));
        let content = json!({"groupId": "sg-0a", "ipProtocol": "-1", "cidrIp": "0.0.0.0/0"});
        let [by_content] = <[Described; 1]>::try_from(revoke(content)).unwrap();
        assert!(by_content.rule.claim.is_some_and(|claim| claim.direction.is_some()));
    }
}
