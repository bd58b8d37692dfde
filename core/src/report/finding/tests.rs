use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::rule::{Direction, Packets, Peer};
use crate::report::outcome::Opener;

fn rule(id: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        direction: Direction::Ingress,
        packets: Packets::Tcp(10250, 10250),
        peer: Peer::cidr("0.0.0.0/0").unwrap(),
        description: None,
        tags: BTreeMap::new(),
    }
}

fn about(subject: Subject) -> Finding {
    Finding::reported(subject, Some(Severity::High), "why".to_owned())
}

/// One of each kind that there is.
fn subjects() -> Vec<Subject> {
    let checks = Check::ALL.map(Subject::Check);
    [Subject::Rule(rule("sgr-1")), Subject::Requirement("nodes-to-dns".to_owned())].into_iter().chain(checks).collect()
}

/// Any finding, sensible or not: of one kind, with anything that may stand beside it.
fn findings() -> impl Strategy<Value = Finding> {
    let time = prop::option::of((0..2_000_000_000_i64).prop_map(|second| Timestamp::from_second(second).unwrap()));
    let contested = prop::option::of((0..9_usize, ".*").prop_map(|(times, arn)| {
        let since = Timestamp::UNIX_EPOCH;
        Contested { times, since, by: vec![Opener { arn, times }] }
    }));
    let portion = (".*", prop::sample::select(PeerClass::all().collect::<Vec<_>>())).prop_map(|(ports, class)| {
        let [clause, protocol] = ["kubelet-internet", "tcp"].map(str::to_owned);
        let (peer_class, reason) = (class.word().to_owned(), String::new());
        PortionRecord { clause, protocol, ports, peer_class, addresses: None, verdict: Verdict::Revoke, reason }
    });
    let said = (
        prop::sample::select(subjects()),
        prop::sample::select(Verdict::ALL.to_vec()),
        prop::option::of(prop::sample::select(Severity::ALL.to_vec())),
        any::<(bool, bool)>(),
        prop::option::of(prop::sample::select(subjects())),
        prop::collection::vec(portion, 0..3),
    );
    let became = (
        prop::sample::select(Action::ALL.to_vec()),
        prop::option::of(".*"),
        time.clone(),
        prop::option::of(prop::sample::select(Connections::ALL.to_vec())),
        time,
        contested,
    );
    (said, became).prop_map(|((subject, verdict, severity, (named_by_event, known), before, portions), became)| {
        let before = before.and_then(|subject| if let Subject::Rule(rule) = subject { Some(rule) } else { None });
        let (action, detail, closed_at, connections, notified_at, contested) = became;
        #[rustfmt::skip]
        let finding = Finding {
            subject, verdict, severity, named_by_event, known, portions, action, detail, before, closed_at, connections,
            notified_at, contested,
            list: named_by_event.then(|| ListRecord::new("pl-1", None, &["10.0.0.0/8".parse().unwrap()], &[])),
            for_people: ForPeople::default(),
        };
        finding
    })
}

proptest! {
    #[test]
    fn a_finding_of_any_kind_is_read_back_as_it_was_written(finding in findings()) {
        let json = serde_json::to_string(&finding).unwrap();
        let again: Finding = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), json);
        prop_assert_eq!(again, finding);
    }
}

#[test]
fn every_kind_has_the_same_fields_and_its_own_alone_are_not_null() {
    for subject in subjects() {
        let kind = subject.kind();
        let written = serde_json::to_value(about(subject)).unwrap();
        let fields: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            ["kind", "rule", "requirement", "check", "verdict"].as_slice(),
            &["severity", "named_by_event", "known", "portions", "action", "detail"],
        ];
        assert_eq!(fields, expected.concat());
        let has = ["rule", "requirement", "check"].map(|field| !written[field].is_null());
        let expected = match kind {
            Kind::Rule => [true, false, false],
            Kind::Requirement => [false, true, false],
            // It was called a requirement before there were checks.
            Kind::Endpoint => [false, true, true],
            Kind::Group | Kind::Account => [false, false, true],
        };
        assert_eq!((written["kind"].as_str(), has), (Some(kind.word()), expected), "{written}");
    }
}

#[test]
fn a_kind_without_what_it_is_about_is_no_finding() {
    let good = serde_json::to_value(about(Subject::Check(Check::ReadDenied))).unwrap();
    let read = |changes: Value| {
        let mut finding = good.clone();
        finding.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value::<Finding>(finding).map_err(|error| error.to_string())
    };
    assert!(read(json!({"known": true})).is_ok(), "what comes to the record later is passed over");
    for (changes, expected) in [
        (json!({"kind": "rule"}), "a finding of kind `rule` needs its `rule`"),
        (json!({"kind": "requirement"}), "a finding of kind `requirement` needs its `requirement`"),
        (json!({"kind": "endpoint"}), "a finding of kind `endpoint` needs its `check`"),
        (json!({"check": null}), "a finding of kind `account` needs its `check`"),
        (json!({"kind": "weather"}), "`weather`"),
        (json!({"check": "weather"}), "`weather`"),
        (json!({"action": "repaired"}), "`repaired`"),
        (json!({"connections": "melted"}), "`melted`"),
    ] {
        let error = read(changes).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_needs_a_person_stands_first_then_what_the_event_did_then_the_worst() {
    let rule = |id: &str, action, named_by_event, severity| Finding {
        action,
        named_by_event,
        severity: Some(severity),
        ..about(Subject::Rule(rule(id)))
    };
    let mut findings = [
        Finding { named_by_event: true, ..about(Subject::Check(Check::PublicEndpoint)) },
        Finding { named_by_event: true, ..about(Subject::Requirement("dns".to_owned())) },
        rule("sgr-2", Action::Reported, true, Severity::High),
        rule("sgr-1", Action::Reported, true, Severity::High),
        rule("sgr-0", Action::Reported, false, Severity::Critical),
        rule("sgr-4", Action::Revoked, true, Severity::Critical),
        rule("sgr-5", Action::WouldRevoke, true, Severity::Critical),
        rule("sgr-6", Action::Failed, false, Severity::Low),
    ];
    worst_first(&mut findings);
    let order =
        findings.map(|finding| finding.rule().map_or(finding.subject.kind().word(), |rule| &rule.id).to_owned());
    assert_eq!(order, ["sgr-6", "sgr-4", "sgr-5", "sgr-1", "sgr-2", "requirement", "endpoint", "sgr-0"]);
}
