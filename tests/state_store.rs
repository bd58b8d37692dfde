//! The state store in a DynamoDB table: what goes over the wire, what is understood of the answers, what an error becomes.
//! Longer than other files: a wire that answers as DynamoDB does stands in the head.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers make canned answers and read what was sent")]

mod wire;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_mocks::{Rule, RuleBuilder, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use eks_sg_guard::adapters::table::Table;
use eks_sg_guard::model::baseline::{Learnt, Lesson};
use eks_sg_guard::model::error::chain;
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::policy::model::Severity;
use eks_sg_guard::ports::{Clock, StateStore};
use eks_sg_guard::report::allowance::Allowed;
use eks_sg_guard::report::finding::{Finding, Subject};
use eks_sg_guard::report::history::{History, Key, Notification, Sighting};
use eks_sg_guard::report::journal::{Entry, Journal, Note};
use eks_sg_guard::report::notice::Message;
use eks_sg_guard::report::outbox::{Letter, Sent};
use eks_sg_guard::report::outcome::Action;
use eks_sg_guard::report::part::EndedPart;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::wire::Wire;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "us-east-1";
const NOW: i64 = 1_793_534_400;

/// What the table asks of DynamoDB.
trait Asked {
    fn sent(&self, operation: &str) -> Vec<Value>;
    /// The keys of each read.
    fn read(&self) -> Vec<Vec<String>>;
    fn written(&self) -> Vec<Value>;
}

impl Asked for Wire {
    fn sent(&self, operation: &str) -> Vec<Value> {
        let calls = self.calls().into_iter().filter(|(sent, _)| sent == operation);
        calls.map(|(_, body)| serde_json::from_str(&body).unwrap()).collect()
    }

    fn read(&self) -> Vec<Vec<String>> {
        let keys = |body: &Value| {
            let wanted = &body["RequestItems"]["guard"];
            assert_eq!(wanted["ConsistentRead"], true);
            let keys = wanted["Keys"].as_array().unwrap().iter();
            keys.map(|key| key["pk"]["S"].as_str().unwrap().to_owned()).collect()
        };
        self.sent("BatchGetItem").iter().map(keys).collect()
    }

    fn written(&self) -> Vec<Value> {
        self.sent("PutItem")
    }
}

/// Stands still until time is said to pass, and keeps how long it was asked to wait.
#[derive(Clone, Debug, Default)]
struct Frozen(Arc<Mutex<Vec<Duration>>>, Arc<Mutex<Duration>>);

impl Frozen {
    fn passes(&self, time: Duration) {
        *self.1.lock().unwrap() += time;
    }
}

#[async_trait]
impl Clock for Frozen {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap() + *self.1.lock().unwrap()
    }

    async fn sleep(&self, time: Duration) {
        if !time.is_zero() {
            self.0.lock().unwrap().push(time);
        }
    }
}

struct Bench {
    table: Table,
    wire: Wire,
    clock: Frozen,
}

/// A table whose reads and writes get these answers, in this order.
fn bench(reads: Vec<HttpResponse>, writes: Vec<HttpResponse>) -> Bench {
    let reads = answers(mock!(Client::batch_get_item), reads);
    bench_of(&reads.into_iter().chain(answers(mock!(Client::put_item), writes)).collect::<Vec<Rule>>())
}

fn bench_of(rules: &[Rule]) -> Bench {
    let (wire, clock) = (Wire::default(), Frozen::default());
    let config = wire.clone();
    let client =
        mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, rules, move |each| each.interceptor(config.clone()));
    Bench { table: Table::new(client, "guard", Location::new(ACCOUNT, REGION), Arc::new(clock.clone())), wire, clock }
}

fn answers<I, O, E>(rule: RuleBuilder<I, O, E>, answers: Vec<HttpResponse>) -> Option<Rule>
where
    I: std::fmt::Debug + Send + Sync + 'static,
    O: std::fmt::Debug + Send + Sync + 'static,
    E: std::fmt::Debug + Send + Sync + std::error::Error + 'static,
{
    let count = answers.len();
    let left = Mutex::new(VecDeque::from(answers));
    let next = move || left.lock().unwrap().pop_front().unwrap();
    (count > 0).then(|| rule.sequence().http_response(next).times(count).build())
}

fn answer(status: u16, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    response.headers_mut().insert("x-amzn-requestid", "R1");
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}

fn items(items: &[Value]) -> HttpResponse {
    answer(200, json!({"Responses": {"guard": items}, "UnprocessedKeys": {}}).to_string())
}

fn unprocessed(items: &[Value], keys: &[String]) -> HttpResponse {
    let keys: Vec<Value> = keys.iter().map(|key| json!({"pk": {"S": key}})).collect();
    let left = json!({"guard": {"Keys": keys, "ConsistentRead": true}});
    answer(200, json!({"Responses": {"guard": items}, "UnprocessedKeys": left}).to_string())
}

fn put() -> HttpResponse {
    answer(200, "{}".to_owned())
}

fn refused(code: &str, message: &str) -> HttpResponse {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    answer(400, json!({"__type": kind, "message": message}).to_string())
}

fn conflict() -> HttpResponse {
    refused("ConditionalCheckFailedException", "The conditional request failed")
}

/// As DynamoDB shows it who asks for that.
fn conflict_with(item: &Value) -> HttpResponse {
    let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
    answer(400, json!({"__type": kind, "message": "The conditional request failed", "Item": item}).to_string())
}

fn key(n: usize) -> Key {
    let finding = Finding { detail: Some(n.to_string()), ..Finding::exposed("prod", Severity::Medium, false) };
    Key::of(&Location::new(ACCOUNT, REGION), &format!("sg-{n}"), &finding)
}

fn pk(n: usize) -> String {
    format!("finding#{}", key(n).text())
}

/// Opened so many seconds ago.
fn opened(seconds: i64) -> History {
    let at = Timestamp::from_second(NOW - seconds).unwrap();
    let blank = Sighting::of(&Finding::read_denied(String::new()), None, at);
    let sighting = Sighting { action: Action::Revoked, opened: Some((at, Some("ann".to_owned()))), ..blank };
    History::default().with(&sighting, &Notification::Send, at)
}

fn item(n: usize, version: u64, history: &History) -> Value {
    let history = serde_json::to_string(history).unwrap();
    json!({
        "pk": {"S": pk(n)}, "version": {"N": version.to_string()}, "past": {"S": history},
        "expires": {"N": (NOW + 60).to_string()},
    })
}

fn history_in(put: &Value) -> History {
    serde_json::from_str(put["Item"]["past"]["S"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn an_event_is_known_by_a_digest_for_two_days() {
    let nasty = "a\"},{\n".repeat(1000);
    let Bench { table, wire, .. } = bench(vec![items(&[])], vec![put()]);
    assert!(!table.is_handled(&nasty).await.unwrap());
    table.remember(Some(&nasty), &[]).await.unwrap();
    let ([read], [written]) = (wire.read().try_into().unwrap(), wire.written().try_into().unwrap());
    let ([read], written): ([String; 1], Value) = (read.try_into().unwrap(), written);
    let digits = read.strip_prefix("event#").unwrap();
    assert!(digits.len() == 64 && digits.chars().all(|digit| digit.is_ascii_hexdigit()), "{read}");
    let expires = (NOW + 48 * 3600).to_string();
    assert_eq!(written, json!({"TableName": "guard", "Item": {"pk": {"S": read}, "expires": {"N": expires}}}));
}

#[tokio::test]
async fn an_event_is_handled_as_long_as_its_time_is_not_over() {
    for (name, expires, expected) in [
        ("in time", Some(NOW + 1), true),
        ("over, and not deleted yet", Some(NOW), false),
        ("without a time", None, true),
    ] {
        let probe = bench(vec![items(&[])], vec![]);
        probe.table.is_handled("e").await.unwrap();
        let pk = probe.wire.read().concat().concat();
        let mut item = json!({"pk": {"S": pk}});
        if let Some(expires) = expires {
            item["expires"] = json!({"N": expires.to_string()});
        }
        let Bench { table, .. } = bench(vec![items(&[item])], vec![]);
        assert_eq!(table.is_handled("e").await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn events_of_another_location_are_others() {
    let keys = |account, region| async move {
        let wire = Wire::default();
        let rule = mock!(Client::batch_get_item).then_http_response(|| items(&[]));
        let config = wire.clone();
        let client =
            mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule], move |each| each.interceptor(config.clone()));
        Table::new(client, "guard", Location::new(account, region), Arc::new(Frozen::default()))
            .is_handled("e")
            .await
            .unwrap();
        wire.read().concat().concat()
    };
    assert_ne!(keys(ACCOUNT, REGION).await, keys(ACCOUNT, "eu-west-1").await);
    assert_ne!(keys(ACCOUNT, REGION).await, keys("444455556666", REGION).await);
}

#[tokio::test]
async fn findings_are_read_a_hundred_at_a_time_and_each_once() {
    let Bench { table, wire, .. } =
        bench(vec![items(&[]), items(&[item(149, 1, &opened(5)), item(3, 1, &opened(6))])], vec![]);
    let keys: Vec<Key> = (0..150).chain(0..150).map(key).collect();
    let history = table.history(None, &keys).await.unwrap().1;
    assert_eq!(history, BTreeMap::from([(key(149), opened(5)), (key(3), opened(6))]));
    let read = wire.read();
    assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [100, 50]);
    let mut all = read.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 150);
}

#[tokio::test]
async fn what_dynamodb_leaves_out_is_asked_for_again() {
    let reads = vec![unprocessed(&[item(1, 1, &opened(5))], &[pk(2)]), items(&[item(2, 1, &opened(6))])];
    let Bench { table, wire, clock } = bench(reads, vec![]);
    let history = table.history(None, &[key(1), key(2)]).await.unwrap().1;
    assert_eq!(history, BTreeMap::from([(key(1), opened(5)), (key(2), opened(6))]));
    assert_eq!(wire.read().get(1), Some(&vec![pk(2)]));
    assert_eq!(clock.0.lock().unwrap().len(), 1, "after a pause");
}

#[tokio::test]
async fn what_dynamodb_leaves_out_again_and_again_is_an_error_after_a_second() {
    let Bench { table, wire, clock } = bench((0..5).map(|_| unprocessed(&[], &[pk(1)])).collect(), vec![]);
    let error = table.history(None, &[key(1)]).await.unwrap_err();
    assert_eq!(chain(&error), "`dynamodb:BatchGetItem` failed: table `guard` left 1 items unread; it is overloaded");
    assert_eq!(wire.read().len(), 5);
    assert!(clock.0.lock().unwrap().iter().sum::<Duration>() < Duration::from_secs(1));
}

#[tokio::test]
async fn what_is_not_understood_counts_as_empty_and_is_written_over() {
    let first = (NOW * 1_000_000).to_string();
    let first = first.as_str();
    let good = serde_json::to_string(&opened(5)).unwrap();
    let long = format!("{{{}}}", " ".repeat(64 * 1024));
    let version = json!({"N": "7"});
    for (name, history, version, condition, next) in [
        ("no history", json!(null), version.clone(), "#version = :read", "8"),
        ("another type", json!({"N": "1"}), version.clone(), "#version = :read", "8"),
        ("no JSON", json!({"S": "{"}), version.clone(), "#version = :read", "8"),
        ("other JSON", json!({"S": "[[[[]]]]"}), version.clone(), "#version = :read", "8"),
        (
            "other fields",
            json!({"S": r#"{"openings": {"yesterday": null}}"#}),
            version.clone(),
            "#version = :read",
            "8",
        ),
        ("a whole book", json!({"S": long}), version.clone(), "#version = :read", "8"),
        ("no version", json!({"S": "{"}), json!(null), "attribute_not_exists(#version)", first),
        ("a version of another type", json!({"S": "{"}), json!({"S": "x"}), "#version = :read", first),
        ("a version beyond all", json!({"S": "{"}), json!({"N": u64::MAX.to_string()}), "#version = :read", first),
        ("a time that is over", json!({"S": good}), version.clone(), "#version = :read", "8"),
    ] {
        let mut item = json!({"pk": {"S": pk(1)}, "expires": {"N": (NOW + 60).to_string()}});
        if name.ends_with("over") {
            item["expires"] = json!({"N": NOW.to_string()});
        }
        for (field, value) in [("past", &history), ("version", &version)] {
            if !value.is_null() {
                item[field] = value.clone();
            }
        }
        let reads = vec![items(std::slice::from_ref(&item)), items(std::slice::from_ref(&item))];
        let Bench { table, wire, .. } = bench(reads, vec![put()]);
        assert_eq!(table.history(None, &[key(1)]).await.unwrap().1, BTreeMap::new(), "{name}");
        table.remember(None, &[(key(1), opened(9))]).await.unwrap();
        let [written]: [Value; 1] = wire.written().try_into().unwrap();
        assert_eq!(history_in(&written), opened(9), "{name}");
        assert_eq!(written["ConditionExpression"], condition, "{name}");
        assert_eq!(written["ExpressionAttributeNames"], json!({"#version": "version"}), "{name}");
        assert_eq!(written["Item"]["version"], json!({"N": next}), "{name}");
        let read = if version.is_null() { Value::Null } else { version };
        assert_eq!(written["ExpressionAttributeValues"][":read"], read, "{name}");
    }
}

#[tokio::test]
async fn an_item_without_a_key_is_no_answer() {
    let Bench { table, .. } = bench(vec![items(&[json!({"expires": {"N": "x"}}), json!({"pk": {"N": "1"}})])], vec![]);
    assert_eq!(table.history(None, &[key(1)]).await.unwrap().1, BTreeMap::new());
}

#[tokio::test]
async fn a_finding_is_added_to_what_is_known_of_it_and_kept_for_a_day() {
    let Bench { table, wire, .. } = bench(vec![items(&[item(1, 4, &opened(500))])], vec![put(), put()]);
    table.remember(None, &[(key(1), opened(10)), (key(2), opened(20))]).await.unwrap();
    let mut written = wire.written();
    written.sort_by_key(|put| put["Item"]["pk"]["S"] != json!(pk(1)));
    let [known, new]: [Value; 2] = written.try_into().unwrap();
    let history = opened(500).merge(opened(10));
    assert_eq!(history_in(&known), history);
    let ends = Timestamp::from_second(NOW - 10).unwrap() + SignedDuration::from_hours(24);
    assert_eq!(known["Item"]["expires"], json!({"N": ends.as_second().to_string()}));
    assert_eq!(
        (&known["Item"]["version"], &known["ConditionExpression"]),
        (&json!({"N": "5"}), &json!("#version = :read"))
    );
    assert_eq!(known["ExpressionAttributeValues"], json!({":read": {"N": "4"}}));
    assert_eq!((&new["Item"]["pk"]["S"], history_in(&new)), (&json!(pk(2)), opened(20)));
    assert_eq!(new["ConditionExpression"], "attribute_not_exists(#version)");
}

#[tokio::test]
async fn what_is_known_already_is_not_written() {
    let Bench { table, wire, .. } = bench(vec![items(&[item(1, 4, &opened(5))])], vec![]);
    table.remember(None, &[(key(1), opened(5)), (key(1), opened(5)), (key(2), History::default())]).await.unwrap();
    assert_eq!(wire.written().len(), 0);
}

#[tokio::test]
async fn what_another_invocation_adds_at_the_same_time_is_kept_too() {
    let reads = vec![items(&[]), items(&[item(1, 1, &opened(30))])];
    let Bench { table, wire, clock } = bench(reads, vec![conflict(), put(), put()]);
    let (one, two) = ((key(1), opened(10)), (key(2), opened(20)));
    table.remember(None, &[one, two]).await.unwrap();
    assert_eq!(wire.read().get(1).map(Vec::len), Some(1), "only what was not kept is read again");
    let last = wire.written().pop().unwrap();
    let won = last["Item"]["pk"]["S"] == json!(pk(1));
    assert_eq!(history_in(&last), if won { opened(30).merge(opened(10)) } else { opened(20) });
    assert_eq!(clock.0.lock().unwrap().len(), 0, "at once");
}

#[tokio::test]
async fn who_always_comes_second_says_so_in_the_end() {
    let reads = (1..=6).map(|version| items(&[item(1, version, &opened(30))])).collect();
    let Bench { table, wire, clock } = bench(reads, (0..6).map(|_| conflict()).collect());
    let error = table.remember(None, &[(key(1), opened(10))]).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "`dynamodb:PutItem` failed: 1 items of table `guard` were changed by others again and again"
    );
    let read = |put: &Value| put["ExpressionAttributeValues"][":read"]["N"].as_str().unwrap().to_owned();
    assert_eq!(wire.written().iter().map(read).collect::<Vec<_>>(), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(clock.0.lock().unwrap().len(), 4, "with growing pauses from the third try on");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_is_tried_again() {
    let throttled = || refused("ProvisionedThroughputExceededException", "slow down");
    let reads = vec![throttled(), items(&[])];
    let Bench { table, wire, .. } = bench(reads, vec![throttled(), refused("ThrottlingException", "slow down"), put()]);
    table.remember(None, &[(key(1), opened(10))]).await.unwrap();
    assert_eq!((wire.read().len(), wire.written().len()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn the_findings_are_kept_although_the_event_is_not_and_the_other_way_round() {
    let broken = || answer(500, json!({"__type": "InternalServerError", "message": "x"}).to_string());
    for (name, lost) in [("the event is not", "event#"), ("the finding is not", "finding#")] {
        let of = |prefix: &'static str| {
            let is_it = move |item: &HashMap<String, AttributeValue>| item["pk"].as_s().unwrap().starts_with(prefix);
            let puts = mock!(Client::put_item).match_requests(move |put| put.item().is_some_and(is_it));
            let answer = move || if prefix == lost { broken() } else { put() };
            puts.sequence().http_response(answer).times(3).build()
        };
        let reads = answers(mock!(Client::batch_get_item), vec![items(&[])]).unwrap();
        let Bench { table, wire, .. } = bench_of(&[reads, of("event#"), of("finding#")]);
        let error = table.remember(Some("e"), &[(key(1), opened(10))]).await.unwrap_err();
        assert!(chain(&error).contains("InternalServerError"), "{name}: {}", chain(&error));
        assert_eq!(wire.written().len(), 4, "{name}: the one three times, and the other");
    }
}

#[tokio::test]
async fn one_finding_that_cannot_be_kept_does_not_stop_the_others() {
    let writes = (0..20).map(|n| if n == 0 { refused("ValidationException", "no") } else { put() }).collect();
    let Bench { table, wire, .. } = bench(vec![items(&[])], writes);
    let histories: Vec<(Key, History)> = (0..20).map(|n| (key(n), opened(10))).collect();
    let error = table.remember(None, &histories).await.unwrap_err();
    assert!(chain(&error).starts_with("`dynamodb:PutItem` failed: ValidationException: no"), "{}", chain(&error));
    assert_eq!(wire.written().len(), 20);
}

#[tokio::test]
async fn a_refusal_says_what_to_grant_and_a_missing_table_what_to_set() {
    let said =
        "User: arn:aws:sts::111122223333:assumed-role/guard/guard is not authorized to perform: dynamodb:PutItem";
    let denied = || refused("AccessDeniedException", said);
    let missing = || refused("ResourceNotFoundException", "Requested resource not found");
    let Bench { table, .. } = bench(vec![denied(), missing()], vec![denied(), missing()]);
    let granted = |action| {
        format!(
            "not allowed to call `{action}`; grant it to the function's role, or look for a policy that denies it: \
             AccessDeniedException: {said} (HTTP 400, request id R1)"
        )
    };
    let set = |action| {
        format!(
            "`{action}` failed: table `guard` was not found; name one of this region in GUARD_STATE_TABLE, or leave \
             that empty"
        )
    };
    assert_eq!(chain(&table.is_handled("e").await.unwrap_err()), granted("dynamodb:BatchGetItem"));
    assert_eq!(chain(&table.history(None, &[key(1)]).await.unwrap_err()), set("dynamodb:BatchGetItem"));
    assert_eq!(chain(&table.remember(Some("e"), &[]).await.unwrap_err()), granted("dynamodb:PutItem"));
    assert_eq!(chain(&table.remember(Some("e"), &[]).await.unwrap_err()), set("dynamodb:PutItem"));
}

fn state_item(pk: &str, version: u64, state: &Value) -> Value {
    json!({"pk": {"S": pk}, "version": {"N": version.to_string()}, "state": {"S": state.to_string()}})
}

fn known_rule(id: &str) -> Value {
    json!({"rule": {"id": id, "direction": "ingress", "protocol": "tcp", "from_port": 22, "to_port": 22,
                    "peer": {"cidr": "0.0.0.0/0"}, "description": null, "tags": {}},
           "context": {"clusters": ["prod"], "only_load_balancer": false, "is_shared": false}, "mark": null, "missed": 0})
}

const PLACE: &str = "location#111122223333#us-east-1";
const BASELINE: &str = "baseline#111122223333#us-east-1#sg-1";

#[tokio::test]
async fn what_is_known_of_groups_is_read_at_once_and_what_is_not_understood_is_missing() {
    let place =
        state_item(PLACE, 1, &json!({"began": "2026-10-01T00:00:00Z", "looks": {"vpc-1": "2026-10-02T00:00:00Z"}}));
    let good = state_item(BASELINE, 3, &json!({"rules": {"sgr-1": known_rule("sgr-1")}, "holds": 1}));
    let bad = state_item("baseline#111122223333#us-east-1#sg-2", 3, &json!([[]]));
    let Bench { table, wire, .. } = bench(vec![items(&[place, good, bad])], vec![]);
    let (known, journals) = table.known(&["sg-1".to_owned(), "sg-2".to_owned()]).await.unwrap();
    assert_eq!(wire.read().len(), 1);
    assert_eq!(known.place.looks.keys().collect::<Vec<_>>(), ["vpc-1"]);
    assert_eq!(known.groups.keys().collect::<Vec<_>>(), ["sg-1"]);
    assert!(known.groups["sg-1"].rules.contains_key("sgr-1"));
    assert!(journals.is_empty());
}

fn letter(what: &str) -> Letter {
    Letter { said: [what.to_owned()].into(), message: Some(Message::default()), channels: BTreeMap::new() }
}

fn sent() -> Sent {
    Sent { letter: 0, channel: "people".to_owned(), is_sent: true }
}

#[tokio::test]
async fn a_message_is_claimed_by_one_conditional_write_and_who_comes_second_sends_nothing() {
    let Bench { table, wire, .. } = bench(vec![], vec![put()]);
    let first = table.claim("d", &letter("a"), &["people"]).await.unwrap();
    assert_eq!((first.mine.len(), first.others.len()), (1, 0));
    let [written]: [Value; 1] = wire.written().try_into().unwrap();
    assert_eq!(written["Item"]["pk"]["S"], "notice#d");
    assert_eq!(written["Item"]["expires"]["N"], (NOW + 72 * 3600).to_string());
    assert_eq!(written["ConditionExpression"], "attribute_not_exists(#version)");
    assert_eq!(written["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");

    let state: Value = serde_json::from_str(written["Item"]["state"]["S"].as_str().unwrap()).unwrap();
    let claimed = state_item("notice#d", 1, &state);
    for (refusal, reads) in
        [(conflict_with(&claimed), vec![]), (conflict(), vec![items(std::slice::from_ref(&claimed))])]
    {
        let Bench { table, wire, .. } = bench(reads, vec![refusal]);
        let second = table.claim("d", &letter("a"), &["people"]).await.unwrap();
        assert_eq!((second.mine.len(), second.others.len(), wire.written().len()), (0, 1, 1), "the first was faster");
    }

    // A refusal that shows what was just written: the answer to the first try was lost.
    let Bench { table, wire, .. } = bench(vec![], vec![conflict_with(&written["Item"])]);
    let claimed_after_all = table.claim("d", &letter("a"), &["people"]).await.unwrap();
    assert_eq!((claimed_after_all.mine.len(), wire.written().len()), (1, 1), "the claim is its own");

    let Bench { table, wire, .. } = bench(vec![items(&[claimed])], vec![put()]);
    table.settle("d", &[sent()]).await.unwrap();
    let [written]: [Value; 1] = wire.written().try_into().unwrap();
    assert_eq!(written["ExpressionAttributeValues"], json!({":read": {"N": "1"}}));
    let state: Value = serde_json::from_str(written["Item"]["state"]["S"].as_str().unwrap()).unwrap();
    assert_eq!(state["letters"][0]["channels"], json!({"people": "sent"}));

    let Bench { table, wire, .. } = bench(vec![items(&[])], vec![]);
    table.settle("d", &[sent()]).await.unwrap();
    assert!(wire.written().is_empty(), "an item that is gone is not made again");
}

/// Most principals send no second one within the hour, so nobody reads what is not there.
#[tokio::test]
async fn the_first_message_about_a_principal_costs_one_write_and_the_next_one_counts_on() {
    let Bench { table, wire, .. } = bench(vec![], vec![put()]);
    assert_eq!(table.allow("kim", "m-1").await.unwrap(), Allowed::Message);
    let [written]: [Value; 1] = wire.written().try_into().unwrap();
    assert!(written["ConditionExpression"] == "attribute_not_exists(#version)" && wire.read().is_empty());
    let state: Value = serde_json::from_str(written["Item"]["state"]["S"].as_str().unwrap()).unwrap();
    let there = state_item(written["Item"]["pk"]["S"].as_str().unwrap(), 1, &state);
    let Bench { table, wire, .. } = bench(vec![], vec![conflict_with(&there), put()]);
    assert_eq!(table.allow("kim", "m-2").await.unwrap(), Allowed::Message);
    let counted: Value = serde_json::from_str(wire.written()[1]["Item"]["state"]["S"].as_str().unwrap()).unwrap();
    assert_eq!((&counted["messages"], wire.read().len()), (&json!(["m-1", "m-2"]), 0));
}

#[tokio::test]
async fn whether_an_event_was_handled_is_read_with_what_was_found() {
    let Bench { table, wire, .. } = bench(vec![items(&[item(1, 1, &opened(5))])], vec![]);
    let (is_handled, known) = table.history(Some("e"), &[key(1)]).await.unwrap();
    assert_eq!((is_handled, known), (false, BTreeMap::from([(key(1), opened(5))])));
    let [mut read]: [Vec<String>; 1] = wire.read().try_into().unwrap();
    read.sort_unstable();
    assert!(read[0].starts_with("event#") && read[1] == pk(1), "{read:?}");
}

const JOURNAL: &str = "journal#111122223333#us-east-1#sg-1";

fn begun(event: &str) -> Note {
    let rule: eks_sg_guard::model::rule::Rule = serde_json::from_value(known_rule("sgr-1")["rule"].clone()).unwrap();
    // The reason of a portion is the policy's, and not kept.
    let finding =
        Finding { subject: Subject::Rule(rule), portions: vec![], ..Finding::exposed("prod", Severity::High, true) };
    let at = Timestamp::from_second(NOW).unwrap();
    let entry = Entry { finding, after: None, event: Some(event.to_owned()), at, done_at: None, told: false };
    Note { entries: vec![entry], ..Note::default() }
}

#[tokio::test]
async fn a_journal_is_read_with_what_is_known_and_of_two_who_write_at_once_the_first_counts() {
    let Bench { table, wire, .. } = bench(vec![items(&[])], vec![put()]);
    let journal = table.note("sg-1", &begun("e-1")).await.unwrap();
    let [written]: [Value; 1] = wire.written().try_into().unwrap();
    assert_eq!(written["Item"]["pk"]["S"], JOURNAL);
    assert_eq!(written["Item"]["expires"]["N"], (NOW + 8 * 24 * 3600).to_string());
    assert_eq!(written["ConditionExpression"], "attribute_not_exists(#version)");

    let item = state_item(JOURNAL, 1, &serde_json::to_value(&journal).unwrap());
    let Bench { table, wire, .. } = bench(vec![items(&[]), items(std::slice::from_ref(&item))], vec![conflict()]);
    let mut again = begun("e-1");
    again.entries[0].at += SignedDuration::from_secs(1);
    let second = table.note("sg-1", &again).await.unwrap();
    assert_eq!((second, wire.written().len()), (journal.clone(), 1), "who comes second adds nothing");

    let bad = state_item("journal#111122223333#us-east-1#sg-2", 1, &json!({"entries": {"sgr-1": {"told": true}}}));
    let Bench { table, wire, .. } = bench(vec![items(&[item, bad])], vec![]);
    let (_, journals) = table.known(&["sg-1".to_owned(), "sg-2".to_owned()]).await.unwrap();
    assert_eq!((journals, wire.read().len()), ([("sg-1".to_owned(), journal)].into(), 1));
}

#[tokio::test]
async fn a_change_goes_by_what_this_process_has_just_seen_and_by_what_a_refusal_shows() {
    let first = bench(vec![items(&[])], vec![put()]);
    let journal = first.table.note("sg-1", &begun("e-1")).await.unwrap();
    let of_another = state_item(JOURNAL, 7, &serde_json::to_value(&journal).unwrap());

    let both = [begun("e-1"), begun("e-2")].into_iter().flat_map(|note| note.entries);
    let told = Note { told: both.filter_map(|entry| entry.key()).collect(), ..Note::default() };
    let events = |journal: &Journal| -> Vec<(String, bool)> {
        journal.entries.values().map(|entry| (entry.event.clone().unwrap(), entry.told)).collect()
    };
    let Bench { table, wire, clock } = bench(vec![items(&[])], vec![put(), conflict_with(&of_another), put()]);
    table.known(&["sg-1".to_owned()]).await.unwrap();
    let ours = table.note("sg-1", &begun("e-2")).await.unwrap();
    assert_eq!(events(&ours), [("e-2".to_owned(), false)]);
    let theirs = table.note("sg-1", &told).await.unwrap();
    assert_eq!(events(&theirs), [("e-1".to_owned(), true)], "what others wrote meanwhile stays");
    assert_eq!((wire.read().len(), clock.0.lock().unwrap().len()), (1, 0), "it is read once, with all that is known");
    let was = |put: &Value| put["ExpressionAttributeValues"][":read"]["N"].as_str().map(str::to_owned);
    let was: Vec<Option<String>> = wire.written().iter().map(was).collect();
    assert_eq!(was, [None, Some((NOW * 1_000_000).to_string()), Some("7".to_owned())], "the first is the time");
}

#[tokio::test]
async fn what_is_not_written_is_read_and_what_was_seen_a_minute_ago_too() {
    let journal = bench(vec![items(&[])], vec![put()]).table.note("sg-1", &begun("e-1")).await.unwrap();
    let item = state_item(JOURNAL, 1, &serde_json::to_value(&journal).unwrap());
    let read = || items(std::slice::from_ref(&item));
    let Bench { table, wire, .. } = bench(vec![read(), read()], vec![]);
    table.known(&["sg-1".to_owned()]).await.unwrap();
    table.note("sg-1", &begun("e-1")).await.unwrap();
    assert_eq!((wire.read().len(), wire.written().len()), (2, 0), "nothing but a write says that it still is so");

    let Bench { table, wire, clock } = bench(vec![read(), read()], vec![put()]);
    table.known(&["sg-1".to_owned()]).await.unwrap();
    clock.passes(Duration::from_secs(61));
    let told = begun("e-1").entries.iter().filter_map(Entry::key).collect();
    table.note("sg-1", &Note { told, ..Note::default() }).await.unwrap();
    assert_eq!((wire.read().len(), wire.written().len()), (2, 1));
}

#[tokio::test]
async fn two_who_learn_at_once_lose_nothing_and_what_is_known_already_is_not_written() {
    let one = state_item(BASELINE, 3, &json!({"rules": {"sgr-1": known_rule("sgr-1")}, "holds": 1}));
    let two = state_item(
        BASELINE,
        4,
        &json!({"rules": {"sgr-1": known_rule("sgr-1"), "sgr-2": known_rule("sgr-2")}, "holds": 2}),
    );
    let Bench { table, wire, .. } = bench(vec![items(&[one]), items(&[two])], vec![conflict(), put()]);
    let rule = serde_json::from_value(known_rule("sgr-3")).unwrap();
    let learnt = Learnt { rules: vec![rule], ..Learnt::default() };
    let lesson = Lesson { groups: [("sg-1".to_owned(), learnt)].into(), ..Lesson::default() };
    table.learn(&lesson).await.unwrap();
    let [_, written]: [Value; 2] = wire.written().try_into().unwrap();
    assert_eq!(written["ExpressionAttributeValues"], json!({":read": {"N": "4"}}));
    assert_eq!(written["Item"]["expires"], Value::Null, "it never ends");
    let state: Value = serde_json::from_str(written["Item"]["state"]["S"].as_str().unwrap()).unwrap();
    assert_eq!(state["rules"].as_object().unwrap().keys().collect::<Vec<_>>(), ["sgr-1", "sgr-2", "sgr-3"]);

    let all = state_item(BASELINE, 5, &state);
    let Bench { table, wire, .. } = bench(vec![items(&[all])], vec![]);
    table.learn(&lesson).await.unwrap();
    assert!(wire.written().is_empty());
}

#[tokio::test]
async fn what_only_one_should_do_is_claimed_by_who_is_first_until_its_time_is_over() {
    let bench = bench(vec![], vec![put(), conflict()]);
    let until = Timestamp::from_second(NOW + 60).unwrap();
    assert!(bench.table.lease("everything", until).await.unwrap());
    assert!(!bench.table.lease("everything", until).await.unwrap());
    let written = &bench.wire.written()[0];
    assert_eq!(written["Item"]["pk"]["S"], format!("lease#{ACCOUNT}#{REGION}#everything"));
    assert_eq!(written["Item"]["expires"]["N"], (NOW + 60).to_string());
    assert_eq!(written["ConditionExpression"], "attribute_not_exists(#expires) OR #expires <= :now");
    assert_eq!(written["ExpressionAttributeNames"]["#expires"], "expires");
    assert_eq!(written["ExpressionAttributeValues"][":now"]["N"], NOW.to_string());
}

#[tokio::test]
async fn who_ends_the_last_part_of_a_look_has_what_all_of_them_found() {
    let pk = |part: usize| format!("part#{ACCOUNT}#{REGION}#L#vpc-1#{part}");
    let found = |group: &str| EndedPart::new([group.to_owned()].into(), true, Vec::new());
    let stored = |part: usize, state: String| json!({"pk": {"S": pk(part)}, "state": {"S": state}});
    let first = || stored(1, serde_json::to_string(&found("sg-1")).unwrap());
    let mut open = EndedPart::default();
    open.is_open = true;
    let reads = [&[][..], &[first()], &[first(), stored(2, "?".to_owned())]];
    let bench = bench(reads.map(items).into(), vec![put(), put(), put()]);
    assert_eq!(bench.table.ended("L#vpc-1", 1, 2, &found("sg-1")).await.unwrap(), None);
    assert_eq!(bench.table.ended("L#vpc-1", 2, 2, &open).await.unwrap(), None, "only a try of it");
    let mut all = bench.table.ended("L#vpc-1", 2, 2, &found("sg-2")).await.unwrap().unwrap();
    all.sort_by_key(|part| part.groups.len());
    assert_eq!(all, [EndedPart::default(), found("sg-1")], "what is not understood has ended, and is not complete");
    assert_eq!(bench.wire.written()[0]["Item"]["pk"]["S"], pk(1));
    assert_eq!(bench.wire.read()[1], [pk(1), pk(2)]);
}

/// DynamoDB did it, and answered too late: the SDK's second try meets the first one.
#[tokio::test]
async fn a_lease_whose_answer_was_lost_is_ours() {
    let until = Timestamp::from_second(NOW + 60).unwrap();
    let first = bench(vec![], vec![put()]);
    assert!(first.table.lease("everything", until).await.unwrap());
    let ours = first.wire.written()[0]["Item"].clone();
    let mut theirs = ours.clone();
    theirs["by"] = json!({"N": "1"});
    for (there, is_ours) in [(ours, true), (theirs, false)] {
        let Bench { table, .. } = bench(vec![], vec![conflict_with(&there)]);
        assert_eq!(table.lease("everything", until).await.unwrap(), is_ours, "{there}");
    }
}

#[tokio::test]
async fn who_has_it_says_until_when_or_gives_it_back() {
    let bench = bench(vec![], vec![put()]);
    bench.table.renew("everything", Timestamp::from_second(NOW).unwrap()).await.unwrap();
    let written = &bench.wire.written()[0];
    assert_eq!(written["Item"]["pk"]["S"], format!("lease#{ACCOUNT}#{REGION}#everything"));
    assert_eq!(written["Item"]["expires"]["N"], NOW.to_string());
    assert_eq!(written["ConditionExpression"], Value::Null, "it is ours");
}

/// Keys and values as the first edition wrote them, worked out apart from this code: digests of the length of each part, in
/// eight bytes, and the part.
mod upgrade {
    use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};

    use super::*;

    /// `e-1` of account and region.
    const EVENT: &str = "event#aa76900e257670fd94e6caba59fe0588ed4fc425d8c5fba68c590edf13972df0";
    /// `sg-1`, `Ingress`, `TCP 10250`, `0.0.0.0/0` there.
    const FINDING: &str = "finding#35a9a9bb65bfd44ba55f286513d219a1893663542ad581e30b84684b3b085cf8";

    fn kubelet() -> Finding {
        let world = Peer::Cidr("0.0.0.0/0".parse().unwrap());
        let rule = Rule::new(Direction::Ingress, Packets::Tcp(10250, 10250), world);
        Finding {
            subject: Subject::Rule(Rule { id: "sgr-2".to_owned(), ..rule }),
            action: Action::WouldRevoke,
            ..Finding::exposed("prod", Severity::Critical, true)
        }
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(NOW - 60 * minutes).unwrap()
    }

    /// Told so many minutes ago by an older program.
    fn told(minutes: i64) -> Value {
        let past = json!({"openings": {at(minutes).to_string(): "arn:aws:iam::111122223333:role/ann"},
                          "told": [at(minutes).to_string(), "would-revoke"], "contested": null});
        json!({"pk": {"S": FINDING}, "version": {"N": "3"}, "past": {"S": past.to_string()},
               "expires": {"N": (NOW + 3600).to_string()}})
    }

    #[tokio::test]
    async fn an_event_that_an_older_program_has_handled_is_handled() {
        let item = json!({"pk": {"S": EVENT}, "expires": {"N": (NOW + 1).to_string()}});
        let Bench { table, wire, .. } = bench(vec![items(&[item])], vec![]);
        assert!(table.is_handled("e-1").await.unwrap());
        assert_eq!(wire.read(), [[EVENT]]);
    }

    #[tokio::test]
    async fn what_an_older_program_told_within_the_hour_is_not_told_again_and_its_openings_still_count() {
        let key = Key::of(&Location::new(ACCOUNT, REGION), "sg-1", &kubelet());
        assert_eq!(format!("finding#{}", key.text()), FINDING);
        let sighting = Sighting { opened: Some((at(0), None)), ..Sighting::of(&kubelet(), None, at(0)) };
        for (minutes, is_quiet) in [(10, true), (70, false)] {
            let Bench { table, wire, .. } = bench(vec![items(&[told(minutes)])], vec![put()]);
            let known = table.history(None, std::slice::from_ref(&key)).await.unwrap().1;
            let notification = known[&key].notification(&sighting, at(0));
            assert_eq!(matches!(notification, Notification::Quiet { .. }), is_quiet, "{minutes}: {notification:?}");
            let now = History::default().with(&sighting, &notification, at(0));
            table.remember(None, &[(key.clone(), now)]).await.unwrap();
            let [written]: [Value; 1] = wire.written().try_into().unwrap();
            assert_eq!(
                written["ExpressionAttributeValues"][":read"]["N"], "3",
                "what stood there is the one it replaces"
            );
            let past: Value = serde_json::from_str(written["Item"]["past"]["S"].as_str().unwrap()).unwrap();
            assert_eq!(past["openings"].as_object().unwrap().len(), 2, "{past}");
        }
    }

    /// While a new version is put in, the old one still runs, and it does after a rollback: what a later program adds to an
    /// item is passed over, and the rest counts.
    #[tokio::test]
    async fn what_a_later_program_adds_to_an_item_takes_nothing_from_this_one() {
        let with = |mut value: Value| {
            value["added-later"] = json!({"by": ["another", 1]});
            value
        };
        let Bench { table, wire, .. } = bench(vec![items(&[])], vec![put()]);
        table.note("sg-1", &begun("e-1")).await.unwrap();
        let written = wire.written();
        let mut journal: Value = serde_json::from_str(written[0]["Item"]["state"]["S"].as_str().unwrap()).unwrap();
        let entries = journal["entries"].as_object_mut().unwrap();
        entries.values_mut().for_each(|entry| *entry = with(entry.take()));
        let mut rule = with(known_rule("sgr-1"));
        rule["context"] = with(rule["context"].take());
        let place = json!({"began": "2026-10-01T00:00:00Z", "looks": {"vpc-1": "2026-10-02T00:00:00Z"}});
        let members = "member#111122223333#us-east-1#sg-1";
        let stored = [
            state_item(PLACE, 1, &with(place)),
            state_item(BASELINE, 1, &with(json!({"rules": {"sgr-1": rule}, "holds": 1}))),
            state_item(JOURNAL, 1, &with(journal)),
            state_item(members, 1, &json!({})),
        ];
        let Bench { table, .. } = bench(vec![items(&stored)], vec![]);
        let (known, journals) = table.known(&["sg-1".to_owned()]).await.unwrap();
        assert_eq!(known.place.looks.len(), 1);
        assert!(known.groups["sg-1"].rules.contains_key("sgr-1"));
        assert!(journals["sg-1"].holds("sgr-1", None, |_| true));

        let mut item = told(10);
        let past: Value = serde_json::from_str(item["past"]["S"].as_str().unwrap()).unwrap();
        item["past"] = json!({"S": with(past).to_string()});
        item["added-later"] = json!({"BOOL": true});
        let key = Key::of(&Location::new(ACCOUNT, REGION), "sg-1", &kubelet());
        let Bench { table, .. } = bench(vec![items(&[item])], vec![]);
        assert!(table.history(None, std::slice::from_ref(&key)).await.unwrap().1.contains_key(&key));
    }
}
