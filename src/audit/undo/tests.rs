//! What a record says was closed.

use serde_json::{Value, json};

use super::{Closed, closed};

fn rule(id: &str, port: u16) -> Value {
    json!({"id": id, "direction": "ingress", "protocol": "tcp", "from_port": port, "to_port": port,
        "peer": {"cidr": "0.0.0.0/0"}, "description": null, "tags": {}})
}

fn record(group: Option<&str>, findings: &[(Value, &str)]) -> Value {
    let finding = |(rule, action): &(Value, &str)| {
        json!({"kind": "rule", "rule": rule, "requirement": null, "check": null, "verdict": "revoke", "severity": "high",
            "named_by_event": true, "portions": [], "action": action, "detail": null})
    };
    let group = group.map(|id| json!({"id": id, "name": null, "vpc": null, "cluster": null, "roles": []}));
    json!({"version": 1, "event_id": null, "event_name": null, "event_time": null, "trigger": "sweep",
        "account": "111122223333", "region": "eu-west-1", "mode": "enforce", "policy": "standard", "policy_hash": "0",
        "severity": "high", "actor": null, "clusters": [], "group": group,
        "findings": findings.iter().map(finding).collect::<Vec<_>>(), "outcome": "remediated", "duration_ms": 1,
        "part": null})
}

fn ids(closed: &Closed) -> Vec<&str> {
    closed.values().flat_map(|groups| groups.values()).flatten().map(|rule| rule.id.as_str()).collect()
}

#[test]
fn what_was_revoked_is_undone_wherever_the_record_lies() {
    let all =
        ["revoked", "restored", "refused", "failed", "would-revoke", "already-gone", "was-open", "reported", "none"];
    let findings: Vec<(Value, &str)> =
        all.iter().zip(1..).map(|(action, port)| (rule(&format!("sgr-{port}"), port), *action)).collect();
    let one = record(Some("sg-1"), &findings);
    let line = json!({"level": "INFO", "target": "record", "record": one});
    let answer = json!({"records": [one, record(None, &[])], "ignored": null});
    for value in [one.clone(), line.clone(), answer.clone()] {
        assert_eq!(ids(&closed(&[value]).unwrap()), ["sgr-1"]);
    }
    // The same rule of several lines is opened once, also where it had come again under another id.
    let again = record(Some("sg-1"), &[(rule("sgr-9", 1), "revoked")]);
    assert_eq!(ids(&closed(&[one, line, answer, again]).unwrap()), ["sgr-1"]);
}

#[test]
fn what_was_begun_counts_where_nobody_said_what_came_of_it() {
    let about = json!({"about_to_revoke": {"account": "111122223333", "region": "eu-west-1", "group": "sg-1",
        "rules": [rule("sgr-1", 1), rule("sgr-2", 2)]}, "at": "2026-11-26T00:00:00Z"});
    assert_eq!(ids(&closed(std::slice::from_ref(&about)).unwrap()), ["sgr-1", "sgr-2"]);
    let came = record(Some("sg-1"), &[(rule("sgr-1", 1), "failed")]);
    assert_eq!(ids(&closed(&[about.clone(), came]).unwrap()), ["sgr-2"]);
    let another = record(Some("sg-2"), &[(rule("sgr-1", 1), "failed")]);
    assert_eq!(ids(&closed(&[about, another]).unwrap()), ["sgr-1", "sgr-2"]);
}

#[test]
fn what_is_no_record_is_an_error_that_says_what_is_expected() {
    for wrong in [json!(1), json!({}), json!({"record": {}}), json!({"records": [[]]}), json!({"SecurityGroups": []})] {
        let said = closed(std::slice::from_ref(&wrong)).unwrap_err();
        assert!(said.contains("it is no record") && said.contains("audit --fix"), "{wrong}: {said}");
    }
    assert!(closed(&[json!({"about_to_revoke": {"rules": []}})]).unwrap_err().contains("not understood"));
    let mut later = record(Some("sg-1"), &[]);
    later["version"] = json!(2);
    assert!(closed(&[later]).unwrap_err().contains("version 2"));
}
