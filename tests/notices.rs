//! What people read: every outcome in every form, and what text from outside cannot do to any of them.
//! Longer than other files: every outcome is made here once and shown in every form.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a panic is a failed test"
)]

mod read_back;

use std::collections::BTreeMap;

use eks_sg_guard::event::{Actor, CALLS, Event};
use eks_sg_guard::model::group::{Evidence, Group, Role, RoleEvidence};
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::policy::builtin;
use eks_sg_guard::policy::controller::Author;
use eks_sg_guard::policy::judge::judge;
use eks_sg_guard::policy::model::{Mode, Severity};
use eks_sg_guard::report::finding::Finding;
use eks_sg_guard::report::notice::{self, Message, Notice, email, q, slack};
use eks_sg_guard::report::outcome::{Action, Connections, Contested, Opener};
use eks_sg_guard::report::record::{About, Record};
use jiff::Timestamp;
use serde_json::Value;

use crate::read_back::read_back;

fn location() -> Location {
    Location::new("111122223333", "eu-west-1")
}

fn at(minute: u32) -> Timestamp {
    format!("2026-11-23T03:{minute:02}:05Z").parse().unwrap()
}

fn event(actor: Actor) -> Event {
    Event { id: "e-1".to_owned(), call: &CALLS[0], time: Some(at(0)), location: location(), actor }
}

fn kim() -> Actor {
    Actor {
        arn: Some("arn:aws:sts::111122223333:assumed-role/Admin/kim".to_owned()),
        r#type: Some("AssumedRole".to_owned()),
        session_issuer: Some("arn:aws:iam::111122223333:role/Admin".to_owned()),
        federated_provider: None,
        source_ip: Some("198.51.100.9".to_owned()),
        user_agent: Some("APN/1.0 HashiCorp/1.0 Terraform/1.9.5".to_owned()),
        invoked_by: None,
    }
}

fn rule(id: &str, packets: Packets, cidr: &str) -> Rule {
    let peer = Peer::cidr(cidr).unwrap();
    Rule { id: id.to_owned(), direction: Direction::Ingress, packets, peer, description: None, tags: BTreeMap::new() }
}

fn group(rules: Vec<Rule>) -> Group {
    let node = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true };
    Group {
        id: "sg-0a1b2c3d4e5f60718".to_owned(),
        name: "prod-node".to_owned(),
        vpc: "vpc-0a1".to_owned(),
        clusters: ["prod".to_owned()].into(),
        roles: [node].into(),
        rules,
        ..Group::default()
    }
}

/// The findings of these rules, each with what became of it.
fn findings(group: &Group, actions: &[Action]) -> Vec<Finding> {
    let judged = judge(builtin::policy("standard").unwrap(), group, &location(), at(0), |_| Author::Unknown);
    let each = judged.into_iter().zip(actions.iter().cycle());
    let detail = |action: Action| match action {
        Action::Refused => Some("more rules than GUARD_MAX_REVOKES (1)".to_owned()),
        Action::Failed => Some("not allowed to ec2:RevokeSecurityGroupIngress".to_owned()),
        _ => None,
    };
    let finding = |(judged, action): (_, &Action)| Finding::of_rule(judged, (true, false), *action, detail(*action));
    let mut findings: Vec<Finding> = each.map(finding).collect();
    for finding in &mut findings {
        finding.close(at(2), &group.rules);
    }
    findings
}

fn record(group: &Group, findings: Vec<Finding>, event: Option<&Event>) -> Record {
    record_about(About::Group(group), findings, event)
}

fn record_about(about: About<'_>, findings: Vec<Finding>, event: Option<&Event>) -> Record {
    let policy = builtin::policy("standard").unwrap();
    let record = Record::of(&location(), policy, Mode::Enforce, about, findings, event);
    record.clone().split().iter().for_each(read_back);
    record
}

fn kubelet() -> Rule {
    rule("sgr-0a1", Packets::Tcp(10250, 10250), "0.0.0.0/0")
}

/// Every form of a message, one under the other.
fn forms(message: &Message) -> String {
    let notice = message.notice.as_ref().unwrap();
    let pretty = |json: &str| serde_json::to_string_pretty(&serde_json::from_str::<Value>(json).unwrap()).unwrap();
    let record = message.record.as_deref().map_or_else(|| "none".to_owned(), pretty);
    format!(
        "Subject: {}\n\n{}\n--- Amazon Q ---\n{}\n--- Slack ---\n{}\n--- record ---\n{record}\n",
        notice.subject,
        email::text(notice),
        pretty(&q::json(notice, &message.attributes)),
        pretty(&slack::json(notice)),
    )
}

fn notified(record: &Record) -> Message {
    notice::message(record, Some(notice::notice(record, at(2))))
}

#[test]
fn every_outcome_in_every_form() {
    let group = group(vec![kubelet()]);
    let event = event(kim());
    for (name, action) in [
        ("remediated", Action::Revoked),
        ("restored", Action::Restored),
        ("reported", Action::WouldRevoke),
        ("already_gone", Action::AlreadyGone),
        ("refused", Action::Refused),
        ("failed", Action::Failed),
    ] {
        let mut findings = findings(&group, &[action]);
        if name == "remediated" {
            let by = vec![Opener { arn: "arn:aws:sts::111122223333:assumed-role/Admin/kim".to_owned(), times: 3 }];
            findings[0].contested = Some(Contested { times: 3, since: at(0), by });
        }
        if name == "restored" {
            findings[0].before = Some(rule("sgr-0a1", Packets::Tcp(10250, 10250), "10.0.0.0/16"));
        }
        let mut record = record(&group, findings, Some(&event));
        record.policy_hash = "(hash)".to_owned();
        insta::assert_snapshot!(name, forms(&notified(&record)));
    }
}

#[test]
fn an_endpoint_is_the_clusters_in_every_form() {
    let call = CALLS.iter().find(|call| call.name == "CreateCluster").unwrap();
    let event = Event { call, ..event(kim()) };
    for (cluster, event) in [("prod", Some(&event)), ("prod", None), (&*"c".repeat(100), Some(&event))] {
        let exposed = Finding::exposed(cluster, Severity::Medium, event.is_some());
        let mut record = record_about(About::Cluster(cluster), vec![exposed], event);
        record.policy_hash = "(hash)".to_owned();
        let message = notified(&record);
        holds_its_limits(message.notice.as_ref().unwrap(), &message.attributes);
        if cluster == "prod" && event.is_some() {
            insta::assert_snapshot!("endpoint", forms(&message));
        }
    }
}

#[test]
fn a_sweep_is_one_digest_per_cluster() {
    let node = group(vec![kubelet(), rule("sgr-0a2", Packets::Tcp(9000, 9000), "0.0.0.0/0")]);
    let mut other = group(vec![rule("sgr-0a3", Packets::Tcp(22, 22), "::/0")]);
    other.id = "sg-0other".to_owned();
    let clean = group(vec![]);
    let records = [
        record(&node, findings(&node, &[Action::WouldRevoke, Action::Reported]), None),
        record(&other, findings(&other, &[Action::WouldRevoke]), None),
        record(&clean, vec![], None),
    ];
    let records: Vec<&Record> = records.iter().collect();
    let digest = notice::digest(&records).unwrap();
    insta::assert_snapshot!("digest", forms(&notice::message_of_many(&records, digest)));
    assert_eq!(notice::digest(&records[2..]), None, "there is nothing to tell of a clean group");
    let mut known = records[1].clone();
    known.findings[0].notified_at = Some(at(0));
    assert_eq!(notice::digest(&[&known]), None, "people know");
}

#[test]
fn a_digest_has_what_is_new_first_and_the_rest_in_one_line() {
    let node = group((0..9).map(|n| rule(&format!("sgr-0b{n}"), Packets::Tcp(9000, 9000), "0.0.0.0/0")).collect());
    let mut other = group(vec![kubelet(), rule("sgr-0a2", Packets::Tcp(9000, 9000), "0.0.0.0/0")]);
    other.id = "sg-0other".to_owned();
    let mut records = [
        record(&node, findings(&node, &[Action::WouldRevoke]), None),
        record(&other, findings(&other, &[Action::WouldRevoke, Action::Reported]), None),
    ];
    for finding in records.iter_mut().flat_map(|record| &mut record.findings) {
        finding.for_people.since = Some(at(0));
        finding.for_people.is_unchanged = finding.rule().unwrap().id != "sgr-0a2";
    }
    let digest = notice::digest(&[&records[0], &records[1]]).unwrap();
    let [new, old] = digest.sections.as_slice() else { panic!("{digest:?}") };
    assert!(new.title.starts_with("sg-0other"), "{new:?}");
    let [first, last] = new.lines.as_slice() else { panic!("{new:?}") };
    assert!(first.contains("sgr-0a2. Open, reported only, seen since 2026-11-23T03:00:05Z"), "{first}");
    assert!(
        last.starts_with("Unchanged, and still open: 1 finding, the oldest since") && last.contains("sgr-0a1"),
        "{last}"
    );
    assert_eq!(old.lines.len(), 1);
    assert!(old.lines[0].contains("9 findings") && old.lines[0].ends_with("and 4 more"), "{old:?}");
    // What needs a person is written out however often it was.
    records[1].findings[0].action = Action::Refused;
    let digest = notice::digest(&[&records[1]]).unwrap();
    assert!(digest.sections[0].lines.iter().all(|line| !line.starts_with("Unchanged")), "{digest:?}");
}

#[test]
fn a_call_that_concerns_many_groups_is_one_notice_in_every_form() {
    let node = group(vec![kubelet(), rule("sgr-0a2", Packets::Tcp(9000, 9000), "0.0.0.0/0")]);
    let mut other = group(vec![rule("sgr-0a3", Packets::Tcp(22, 22), "::/0")]);
    (other.id, other.clusters) = ("sg-0other".to_owned(), ["test".to_owned()].into());
    let event = event(kim());
    let mut failed = findings(&other, &[Action::Failed]);
    failed[0].contested = Some(Contested { times: 3, since: at(0), by: vec![] });
    let records = [
        record(&node, findings(&node, &[Action::Revoked, Action::Reported]), Some(&event)),
        record(&other, failed, Some(&event)),
    ];
    let all: Vec<&Record> = records.iter().collect();
    let message = notice::message_of_many(&all, notice::notice_of_call(&all, at(2)));
    insta::assert_snapshot!("call", forms(&message));
    assert_eq!(
        notice::notice_of_call(&all[..1], at(2)),
        notice::notice(&records[0], at(2)),
        "one group is said in full"
    );
    let many: Vec<&Record> = records.iter().cycle().take(500).collect();
    holds_its_limits(&notice::notice_of_call(&many, at(2)), &message.attributes);
}

/// What a form shows as text, whatever its syntax is.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|each| texts(each, out)),
        Value::Object(all) => all.values().for_each(|each| texts(each, out)),
        _ => {}
    }
}

fn holds_its_limits(notice: &Notice, attributes: &[(&'static str, String)]) {
    assert!(
        notice.subject.chars().count() <= 99 && !notice.subject.chars().any(char::is_control),
        "{}",
        notice.subject
    );
    let text = email::text(notice);
    assert!(text.len() < 200_000, "{}", text.len());
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");

    let q: Value = serde_json::from_str(&q::json(notice, attributes)).unwrap();
    // The schema as documented: these members, these values, and texts where it asks for texts.
    assert_eq!((q["version"].as_str(), q["source"].as_str()), (Some("1.0"), Some("custom")));
    assert_eq!(q["content"]["textType"], "client-markdown");
    let description = q["content"]["description"].as_str().unwrap();
    assert!(!description.is_empty() && description.chars().count() <= 6000, "{}", description.chars().count());
    assert_eq!(description.matches("```").count() % 2, 0, "every fence is closed: {description}");
    assert!(q["content"]["nextSteps"].as_array().unwrap().iter().all(Value::is_string));
    assert!(q["content"]["keywords"].as_array().unwrap().iter().all(Value::is_string));
    assert!(!q["metadata"]["threadId"].as_str().unwrap().is_empty());
    assert!(q["metadata"]["additionalContext"].as_object().unwrap().values().all(Value::is_string));
    assert!(q["metadata"]["relatedResources"].as_array().unwrap().iter().all(Value::is_string));
    let mut all = Vec::new();
    texts(&q, &mut all);
    assert!(all.iter().all(|text| !text.contains('<') && !text.contains('>')), "{all:?}");

    let json = slack::json(notice);
    let slack: Value = serde_json::from_str(&json).unwrap();
    assert!(!slack["text"].as_str().unwrap().is_empty());
    let blocks = slack["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50, "{}", blocks.len());
    let units = |text: &str| text.encode_utf16().count();
    let mut total = 0;
    for block in blocks {
        let all: Vec<&Value> = match block["type"].as_str().unwrap() {
            "context" => block["elements"].as_array().unwrap().iter().collect(),
            "header" | "section" => vec![&block["text"]],
            other => panic!("{other}"),
        };
        for text in all {
            let shown = text["text"].as_str().unwrap();
            let most = if block["type"] == "header" { 150 } else { 3000 };
            assert!((1..=most).contains(&units(shown)), "{}: {shown}", units(shown));
            assert!(!shown.contains("<!") && !shown.contains("<@") && !shown.contains("<#"), "{shown}");
            match text["type"].as_str().unwrap() {
                "plain_text" => assert!(text["emoji"] == false && !shown.contains(['<', '>']), "{shown}"),
                _ => assert_eq!(text["verbatim"], true),
            }
            total += units(shown);
        }
    }
    assert!(total < 8000, "{total}");
}

const HOSTILE: [&str; 10] = [
    "<!channel> <@U1> <https://evil.example|click>",
    "*bold* _it_ ~no~ `code` ```\n<!here>\n``` [a](https://evil.example) :fire:",
    "one\nSubject: all is well\r\n\r\nEverything is closed.",
    "\u{1b}[2J\u{1b}[31mred\u{1b}[0m\u{9b}1m",
    "\u{202e}dlrow eht ot nepo\u{202c}\u{200b}\u{feff}",
    "nul\0nul",
    "&lt;!channel&gt; &amp;",
    "broken \u{fffd}\u{fffd} surrogates",
    "' ; rm -rf / ; '",
    "",
];

#[test]
fn text_from_outside_formats_nothing_breaks_no_line_and_is_cut_visibly() {
    let long = "x".repeat(10_000);
    for evil in HOSTILE.into_iter().chain([long.as_str()]) {
        let mut open = kubelet();
        open.description = Some(evil.to_owned());
        open.tags = [(evil.to_owned(), evil.to_owned())].into();
        let mut group = group(vec![open]);
        group.name = evil.to_owned();
        group.clusters = [evil.to_owned()].into();
        let text = || Some(evil.to_owned());
        let actor = Actor {
            arn: text(),
            r#type: text(),
            session_issuer: text(),
            federated_provider: None,
            source_ip: text(),
            user_agent: text(),
            invoked_by: text(),
        };
        let event = event(actor);
        for action in [Action::Revoked, Action::Failed] {
            let mut findings = findings(&group, &[action]);
            findings[0].detail = text();
            let by = vec![Opener { arn: evil.to_owned(), times: 3 }];
            findings[0].contested = Some(Contested { times: 3, since: at(0), by });
            let for_event = Record { event_name: text(), ..record(&group, findings.clone(), Some(&event)) };
            let message = notified(&for_event);
            let notice = message.notice.as_ref().unwrap();
            holds_its_limits(notice, &message.attributes);
            let text = email::text(notice);
            assert!(!text.lines().any(|line| line.starts_with("Subject:") || line.starts_with("Everything")), "{text}");
            assert!(!text.contains(['\u{202e}', '\u{1b}', '\0', '\u{200b}']), "{text}");
            assert!(!text.contains(&"x".repeat(300)) || text.contains("--ip-permissions"), "{text}");
            assert!(evil.len() < 10_000 || text.contains("… (cut)"), "{text}");
            assert!(message.attributes.iter().all(|(_, value)| !value.is_empty()), "{:?}", message.attributes);
            let swept = record(&group, findings, None);
            let digest = notice::digest(&[&swept]).unwrap();
            holds_its_limits(&digest, &message.attributes);
        }
    }
}

#[test]
fn a_thousand_findings_fit_everywhere_and_what_is_left_out_is_counted() {
    let rules: Vec<Rule> = (0..10_u16)
        .map(|n| Rule {
            description: Some("d".repeat(255)),
            ..rule(&format!("sgr-{n:04}"), Packets::Tcp(n, n + 10_250), "0.0.0.0/0")
        })
        .collect();
    let group = group(rules);
    let event = event(kim());
    let some = findings(&group, &[Action::Revoked, Action::Failed, Action::Refused]);
    let all: Vec<Finding> = some.iter().cycle().take(1000).cloned().collect();
    let one = record(&group, all.clone(), Some(&event));
    let message = notified(&one);
    let notice = message.notice.as_ref().unwrap();
    holds_its_limits(notice, &message.attributes);
    assert!(email::text(notice).contains("… and 980 more, in the record of this event."));
    for form in [q::json(notice, &message.attributes), slack::json(notice)] {
        assert!(form.contains("more, in the record"), "{form}");
    }
    let many: Vec<Record> = (0..1000)
        .map(|n| {
            let mut group = group.clone();
            group.id = format!("sg-{n}");
            record(&group, all[..9].to_vec(), None)
        })
        .collect();
    let many: Vec<&Record> = many.iter().collect();
    let digest = notice::digest(&many).unwrap();
    holds_its_limits(&digest, &message.attributes);
    let text = email::text(&digest);
    assert!(
        text.contains("… and 980 more groups") && text.contains("… and 1 more, in the record of this group."),
        "{text}"
    );
}

#[test]
fn the_console_page_is_that_of_the_partition() {
    for (region, expected) in [
        (
            "eu-west-1",
            "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1#SecurityGroup:groupId=sg-0a1b2c3d4e5f60718",
        ),
        (
            "cn-north-1",
            "https://cn-north-1.console.amazonaws.cn/ec2/home?region=cn-north-1#SecurityGroup:groupId=sg-0a1b2c3d4e5f60718",
        ),
        (
            "us-gov-west-1",
            "https://console.amazonaws-us-gov.com/ec2/home?region=us-gov-west-1#SecurityGroup:groupId=sg-0a1b2c3d4e5f60718",
        ),
    ] {
        let group = group(vec![kubelet()]);
        let event = event(kim());
        let mut record = record(&group, findings(&group, &[Action::Revoked]), Some(&event));
        record.region = region.to_owned();
        assert_eq!(notice::notice(&record, at(2)).link.as_deref(), Some(expected));
    }
}

#[test]
fn connections_are_cut_only_where_ec2_does_not_track_them() {
    let answer = |packets| Rule { direction: Direction::Egress, ..rule("sgr-9", packets, "0.0.0.0/0") };
    let tcp = kubelet();
    let narrow = rule("sgr-1", Packets::Tcp(22, 22), "203.0.113.0/24");
    let ping = rule("sgr-1", Packets::Icmp(None, None), "0.0.0.0/0");
    for (what, rule, others, expected) in [
        ("from everybody, and everything may answer", &tcp, vec![answer(Packets::All)], Connections::Cut),
        ("and all of TCP may answer", &tcp, vec![answer(Packets::Tcp(0, 65535))], Connections::Cut),
        ("only some ports may answer", &tcp, vec![answer(Packets::Tcp(1024, 65535))], Connections::MayGoOn),
        ("only UDP may answer", &tcp, vec![answer(Packets::Udp(0, 65535))], Connections::MayGoOn),
        ("nothing may answer", &tcp, vec![], Connections::MayGoOn),
        ("another way in is no answer", &tcp, vec![rule("sgr-9", Packets::All, "0.0.0.0/0")], Connections::MayGoOn),
        ("from some", &narrow, vec![answer(Packets::All)], Connections::MayGoOn),
        ("ICMP is always tracked", &ping, vec![answer(Packets::All)], Connections::MayGoOn),
    ] {
        assert_eq!(Connections::of(rule, &others), expected, "{what}");
    }
}
