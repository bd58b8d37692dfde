//! Every shape of event, through the public interface: golden tests over `events/`, and recorded events. What garbling
//! does to them is for `garbled_events.rs`.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests: a panic is a failed test")]

mod corpus;

use std::collections::BTreeSet;
use std::path::Path;

use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::sns::SnsEvent;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use eks_sg_guard::event::batch::{self, Batch, Carrier, Delivery};
use eks_sg_guard::event::payload::parse;
use eks_sg_guard::event::{
    CALLS, Change, Claim, Event, EventError, GroupRef, Named, NamedRule, Parsed, Target, Touched, Trigger,
};
use eks_sg_guard::model::rule::{Direction, Rule};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::corpus::{read_folder, read_json};

#[test]
fn every_event_says_what_we_think_it_says() {
    insta::glob!("../events", "*.json", |path| {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(answers(&read_json(path)));
        });
    });
}

/// All that a payload says.
fn answers(payload: &Value) -> String {
    match batch::read(payload) {
        None => lines(&parse(payload)),
        Some(Err(error)) => format!("error: {error}"),
        Some(Ok(batch)) => deliveries(&batch),
    }
}

fn deliveries(Batch { carrier, deliveries }: &Batch) -> String {
    let carrier = match carrier {
        Carrier::Queue => "queue",
        Carrier::Topic => "topic",
    };
    let delivery = |Delivery { id, parsed }: &Delivery| format!("\n{carrier} message {}\n{}", json!(id), lines(parsed));
    deliveries.iter().map(delivery).collect()
}

/// One line for each thing an answer says, so that a change of it is one line in a review; in the words of the wire, so
/// that a type may get another name.
fn lines(answer: &Result<Parsed, EventError>) -> String {
    let change = match answer {
        Err(error) => return format!("error: {error}"),
        Ok(Parsed::Ignored(reason)) => return format!("ignored: {reason}"),
        Ok(Parsed::Trigger(Trigger::Sweep { groups })) => return format!("sweep: {}", json!(groups)),
        Ok(Parsed::Trigger(Trigger::Lost)) => return "lost".to_owned(),
        Ok(Parsed::Trigger(Trigger::Change(change))) => change,
    };
    let Change { event: Event { id, call, time, location, actor }, subject, touches_endpoint, removed } = change;
    let (account, region) = (&location.account, &location.region);
    let mut lines = vec![
        format!("event: {}", json!({"id": id, "name": call.name, "time": time, "account": account, "region": region})),
        format!("actor: {}", json!(actor)),
    ];
    match subject {
        Target::Groups(touched) => assert!(!touched.is_empty()),
        Target::Attached { attachment, groups } => {
            lines.push(format!("attachment: {}", json!({"id": attachment, "groups": groups})));
        }
        Target::PrefixList(change) => {
            lines.push(format!("prefix list: {}", json!(change.list)));
            lines.extend((!change.gained.is_empty()).then(|| format!("it gained: {}", json!(change.gained))));
            lines.extend(change.restored.map(|version| format!("it was given back: version {version}")));
        }
        Target::Cluster { name, node_group: None } => lines.push(format!("cluster: {}", json!(name))),
        Target::Cluster { name, node_group: Some(node_group) } => {
            lines.push(format!("cluster: {}, node group {}", json!(name), json!(node_group)));
        }
        Target::Trails => lines.push("trails".to_owned()),
        Target::EventRule(name) => lines.push(format!("event rule: {}", json!(name))),
        Target::Unknown => lines.push("everything: the event does not say what".to_owned()),
    }
    if *touches_endpoint {
        lines.push("and the public endpoint of the API".to_owned());
    }
    if !removed.is_empty() {
        lines.push(format!("{} removed", removed.len()));
        lines.extend(removed.iter().map(rule));
    }
    for Touched { group, named } in change.touched() {
        let group = match group {
            GroupRef::Id(id) => json!({"id": id}),
            GroupRef::Name(name) => json!({"name": name}),
        };
        lines.push(match named {
            Named::Nothing => format!("group: {group}, none of its rules"),
            Named::Using(_) => unreachable!("no event says it"),
            Named::Everything => format!("group: {group}, all its rules"),
            Named::Rules(rules) => format!("group: {group}, {} of its rules", rules.len()),
        });
        let Named::Rules(rules) = named else { continue };
        lines.extend(rules.iter().map(rule));
    }
    lines.join("\n")
}

/// A named rule as records write rules, as far as the event describes it.
fn rule(NamedRule { id, claim }: &NamedRule) -> String {
    let Some(Claim { direction, packets, peer }) = claim else { return format!("  {}", json!({"id": id})) };
    let rule = json!(Rule {
        id: String::new(),
        direction: direction.unwrap_or(Direction::Ingress),
        packets: *packets,
        peer: peer.clone(),
        description: None,
        tags: std::collections::BTreeMap::new(),
    });
    let Value::Object(mut fields) = rule else { unreachable!("a rule is an object") };
    fields.retain(|name, _| name != "description" && name != "tags");
    fields.extend([("id".to_owned(), json!(id)), ("direction".to_owned(), json!(direction))]);
    format!("  {}", Value::Object(fields))
}

/// The event of a file in a batch of SQS with bad messages around it.
#[test]
fn a_bad_message_never_fails_the_good_ones_and_says_its_path() {
    const PATH: &str = "$.Records[1].body";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let good = read_json(&folder.join("authorize-ingress-short-form.json"));
    let notification = |message: &str| json!({"Type": "Notification", "Message": message}).to_string();
    let long = json!({"sweep": true, "x": "x".repeat(1 << 20)}).to_string();
    for (body, at) in [
        (json!("no JSON"), ""),
        (json!(""), ""),
        (json!(null), ""),
        (json!({"sweep": true}), ""),
        (json!("{}"), ""),
        (json!("x".repeat(1 << 20)), ""),
        (json!(long), ""),
        (json!("[".repeat(1 << 20)), ""),
        (json!(format!("{}{}", "[".repeat(200), "]".repeat(200))), ""),
        (json!(json!({"Records": []}).to_string()), ".Records"),
        (
            json!(json!({"Records": [{"eventSource": "aws:sqs", "messageId": "0", "body": "{}"}]}).to_string()),
            ".Records",
        ),
        (json!(json!({"detail": {"eventName": "X"}}).to_string()), ".detail.eventSource"),
        (json!(notification("hello")), ".Message"),
        (json!(notification(&notification("{}"))), ".Message"),
        (json!(json!({"Type": "Notification"}).to_string()), ".Message"),
        (json!(json!({"Type": "SubscriptionConfirmation", "Message": good.to_string()}).to_string()), ""),
    ] {
        let message = |id: &str, body: Value| json!({"eventSource": "aws:sqs", "messageId": id, "body": body});
        let first = message("first", good.to_string().into());
        let last = message("last", notification(&good.to_string()).into());
        let batch = batch::read(&json!({"Records": [first, message("bad", body.clone()), last]})).expect("a batch");
        let read = batch.expect("a batch of SQS").deliveries;
        let [first, bad, last] = &read[..] else { panic!("{read:?}") };
        assert_eq!(first, &Delivery { id: "first".to_owned(), parsed: parse(&good) });
        assert_eq!(last, &Delivery { id: "last".to_owned(), parsed: parse(&good) });
        assert_eq!(bad.id, "bad");
        let error = bad.parsed.clone().expect_err("a bad message");
        assert_eq!(error.at, format!("{PATH}{at}"));
        assert!(error.to_string().len() < 500, "{error}");
    }
}

#[test]
fn a_message_of_a_megabyte_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut event = read_json(&folder.join("authorize-ingress-short-form.json"));
    let expected = parse(&event);
    event["detail"]["requestParameters"]["padding"] = "x".repeat(1 << 20).into();
    let mut message = SqsMessage::default();
    (message.event_source, message.message_id) = (Some("aws:sqs".to_owned()), Some("m".to_owned()));
    message.body = Some(event.to_string());
    let mut batch = SqsEvent::default();
    batch.records.push(message);
    let batch = batch::read(&json!(batch)).expect("a batch").expect("of SQS");
    assert_eq!(batch.deliveries, [Delivery { id: "m".to_owned(), parsed: expected }]);
}

/// What AWS's own types read, and what they refuse for a field that does not matter here, says the same.
#[test]
fn a_field_that_does_not_matter_loses_no_event() {
    let typed = |payload: &Value| {
        let has_messages = payload.pointer("/Records/0").is_some();
        [
            EventBridgeEvent::<Value>::deserialize(payload).is_ok(),
            has_messages && SqsEvent::deserialize(payload).is_ok(),
            has_messages && SnsEvent::deserialize(payload).is_ok(),
        ]
    };
    let mut counts = [0; 3];
    for (path, mut payload) in read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("events")) {
        let before = answers(&payload);
        counts.iter_mut().zip(typed(&payload)).for_each(|(count, is_typed)| *count += u32::from(is_typed));
        if payload.get("detail").is_some() {
            payload["resources"] = json!(0);
        }
        for record in payload.get_mut("Records").and_then(Value::as_array_mut).into_iter().flatten() {
            record["attributes"] = json!(0);
            record["Sns"]["Timestamp"] = json!(0);
        }
        assert_eq!(typed(&payload), [false; 3], "{}", path.display());
        assert_eq!(answers(&payload), before, "{}", path.display());
    }
    assert!(counts[0] > 100 && counts[1] > 3 && counts[2] > 1, "{counts:?} files are as AWS's types have them");
}

/// A call that the stack does not deliver is not seen, and one that the code does not know is delivered for nothing.
#[test]
fn the_stack_delivers_the_calls_that_are_understood_but_for_those_made_all_day() {
    let template = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml")).expect("read");
    let template: Value = serde_saphyr::from_str(&template).expect("YAML");
    let pattern = |rule: &str| {
        let path = format!("/Resources/{rule}/Properties/EventPattern/detail/$or");
        template.pointer(&path).and_then(Value::as_array).expect("alternatives")
    };
    let words = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
    };
    let delivered: BTreeSet<_> = ["GuardRule", "WatchRule"]
        .into_iter()
        .flat_map(pattern)
        .flat_map(|calls| {
            let (sources, names) = (words(&calls["eventSource"]), words(&calls["eventName"]));
            sources
                .into_iter()
                .flat_map(move |source| names.clone().into_iter().map(move |name| (source.clone(), name)))
        })
        .collect();
    let known = |delivered: bool| {
        CALLS
            .iter()
            .filter(move |call| call.delivered == delivered)
            .map(|call| (call.source.to_owned(), call.name.to_owned()))
    };
    assert_eq!(delivered, known(true).collect());
    let names: Vec<_> = known(false).map(|(_, name)| name).collect();
    assert_eq!(names, ["CreateNetworkInterface", "AttachNetworkInterface"]);
}

/// Runs only where `RECORDED_EVENTS` names a folder of records of real accounts, which the repository does not hold.
#[test]
fn recorded_events_parse_or_are_ignored_with_a_reason() {
    let Some(folder) = std::env::var_os("RECORDED_EVENTS") else {
        println!("skipped: RECORDED_EVENTS names no folder of recorded events");
        return;
    };
    let recorded = read_folder(Path::new(&folder));
    assert!(!recorded.is_empty(), "no recorded events in {}", folder.display());
    for (path, event) in recorded {
        let event = if event.get("detail").is_some() { event } else { wrapped(&event) };
        match parse(&event) {
            Ok(Parsed::Ignored(reason)) => {
                assert!(!reason.is_empty());
                println!("{}: ignored: {reason}", path.display());
            }
            Ok(parsed) => println!("{}: {parsed:?}", path.display()),
            Err(error) => panic!("{}: {error}", path.display()),
        }
        let bare = event.get("detail").cloned().unwrap_or_default();
        assert_eq!(parse(&bare), parse(&event), "{}: bare and wrapped differ", path.display());
    }
}

fn wrapped(detail: &Value) -> Value {
    json!({
        "version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2", "resources": [],
        "account": detail.get("recipientAccountId"), "region": detail.get("awsRegion"),
        "time": detail.get("eventTime"), "detail": detail,
    })
}
