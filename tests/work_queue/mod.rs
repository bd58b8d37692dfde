//! The work queue, on a fake of it with the clock of the account: what waits, what comes back and when, and what is in the
//! dead-letter queue in the end.

use eks_sg_guard::guard::own_queue::MAX_RECEIVES;
use eks_sg_guard::model::ids::Queue;
use eks_sg_guard::model::member::Member;

use super::nothing_lost::{Beside, lives, with_two_channels};
use super::*;

mod moments;
mod organisation;

const ARN: &str = "arn:aws:sqs:us-east-1:111122223333:guard";

pub(crate) fn name() -> Queue {
    Queue::of_arn(ARN).unwrap()
}

/// What is in the queue.
#[derive(Default)]
pub(crate) struct Messages {
    pub(crate) is_there: bool,
    is_down: bool,
    waiting: Vec<Waiting>,
    dead: Vec<String>,
    sent: usize,
}

#[derive(Clone)]
struct Waiting {
    id: String,
    due: Timestamp,
    body: String,
    receives: u64,
}

#[async_trait]
impl WorkQueue for Fake {
    async fn send(&self, message: &str, delay: Duration) -> Result<(), CloudError> {
        assert!(delay <= Duration::from_mins(15), "{delay:?}");
        self.0.call("queue send".into());
        let due = self.now() + delay;
        let mut queue = self.0.queue.lock().unwrap();
        if queue.is_down {
            return Err(failed("sqs:SendMessage"));
        }
        queue.sent += 1;
        let id = format!("m-{}", queue.sent);
        queue.waiting.push(Waiting { id, due, body: message.to_owned(), receives: 0 });
        Ok(())
    }
    async fn put_off(&self, receipt: &str, delay: Duration) -> Result<(), CloudError> {
        let due = self.now() + delay;
        let mut queue = self.0.queue.lock().unwrap();
        if queue.is_down {
            return Err(failed("sqs:ChangeMessageVisibility"));
        }
        queue.waiting.iter_mut().filter(|message| message.id == receipt).for_each(|message| message.due = due);
        Ok(())
    }
}

fn batch(message: &Waiting) -> Value {
    json!({"Records": [{"messageId": message.id, "receiptHandle": message.id, "body": message.body,
        "attributes": {"ApproximateReceiveCount": message.receives.to_string()},
        "eventSource": "aws:sqs", "eventSourceARN": ARN, "awsRegion": "us-east-1"}]})
}

impl Case {
    /// With a work queue, and a table if asked for.
    pub(crate) fn queued(rules: Vec<Rule>, has_state: bool) -> Self {
        let world = Arc::new(World { rules: Mutex::new(rules), ..World::default() });
        world.queue.lock().unwrap().is_there = true;
        // Somebody has begun the first look; what that is, is a case of its own.
        world.claims.lock().unwrap().insert("look".into(), Timestamp::MAX);
        Self::process(world, (Mode::Enforce, Mode::Report), 50, has_state)
    }

    /// Puts a message into the queue.
    async fn put(&self, body: &str) {
        WorkQueue::send(&Fake(Arc::clone(&self.world)), body, Duration::ZERO).await.unwrap();
    }

    fn waiting(&self) -> usize {
        self.world.queue.lock().unwrap().waiting.len()
    }

    fn now(&self) -> Timestamp {
        Fake(Arc::clone(&self.world)).now()
    }

    /// Lets time pass, and plays Lambda's event source meanwhile. What came, after how many seconds, with the answer.
    async fn pass(&self, seconds: i64) -> Vec<(i64, FunctionResponse)> {
        let (start, mut answers) = (self.now(), Vec::new());
        let end = start + SignedDuration::from_secs(seconds);
        loop {
            let message = {
                let mut queue = self.world.queue.lock().unwrap();
                let due =
                    queue.waiting.iter_mut().filter(|message| message.due <= end).min_by_key(|message| message.due);
                let Some(message) = due else { break };
                message.receives += 1;
                let copy = message.clone();
                message.due = message.due.max(self.now()) + SignedDuration::from_secs(360);
                if copy.receives > MAX_RECEIVES {
                    queue.waiting.retain(|message| message.id != copy.id);
                    queue.dead.push(copy.body);
                    continue;
                }
                copy
            };
            let early = message.due.duration_since(self.now()).as_millis().max(0);
            self.world.milliseconds.fetch_add(i64::try_from(early).unwrap(), Ordering::Relaxed);
            let at = self.now().duration_since(start).as_secs();
            let answer = self.guard.handle(&batch(&message), Timestamp::MAX).await.unwrap();
            if answer.failures.as_ref().unwrap().batch_item_failures.is_empty() {
                self.world.queue.lock().unwrap().waiting.retain(|waiting| waiting.id != message.id);
            }
            answers.push((at, answer));
        }
        let left = end.duration_since(self.now()).as_millis().max(0);
        self.world.milliseconds.fetch_add(i64::try_from(left).unwrap(), Ordering::Relaxed);
        answers
    }

    /// An invocation on an event by EventBridge; what fails goes where Lambda puts it.
    async fn invoke(&self, payload: &Value) -> Option<FunctionResponse> {
        match self.guard.handle(payload, Timestamp::MAX).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                let body = json!({"version": "1.0", "timestamp": "2026-11-23T03:00:00Z",
                    "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 1},
                    "requestPayload": payload, "responseContext": {"functionError": "Unhandled"},
                    "responsePayload": {"errorType": error.kind(), "errorMessage": chain(&error)}});
                self.put(&body.to_string()).await;
                None
            }
        }
    }
}

fn unfinished(case: &Case) -> Vec<String> {
    let about = |notice: &Notice| notice.headline.contains("could not be looked at").then(|| email::text(notice));
    case.world.notices().iter().filter_map(about).collect()
}

#[tokio::test]
async fn what_fails_is_tried_again_for_more_than_an_hour_and_told_at_the_first_failure_and_at_the_last() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    *case.world.reads_fail.lock().unwrap() = true;
    assert!(case.invoke(&authorize("e-1", &["sgr-1"])).await.is_none());
    let told = unfinished(&case);
    assert_eq!(told.len(), 1);
    for word in ["user/kim", GROUP, "AuthorizeSecurityGroupIngress", "10250", "connection reset", "tried again"] {
        assert!(told[0].contains(word), "{word}: {}", told[0]);
    }
    let tries = case.pass(3600).await;
    assert_eq!(tries.iter().map(|(at, _)| *at).take(5).collect::<Vec<_>>(), [0, 60, 180, 420, 900], "later each time");
    assert_eq!((unfinished(&case).len(), case.world.queue.lock().unwrap().dead.len()), (1, 0));
    case.pass(4 * 3600).await;
    assert_eq!((case.waiting(), case.world.queue.lock().unwrap().dead.len()), (0, 1));
    let told = unfinished(&case);
    assert!(told.len() == 2 && told[1].contains("given up") && told[1].contains("user/kim"), "{told:?}");
}

/// Each try in another process, and one of the channels dead.
#[tokio::test]
async fn what_cannot_be_read_is_told_twice_to_those_who_hear_of_it() {
    for (is_denied, is_one_dead) in [(true, false), (true, true), (false, true)] {
        let case = Case::queued(vec![kubelet("sgr-1")], true);
        let beside = Arc::new(Beside(Fake(Arc::clone(&case.world)), Mutex::default()));
        let failing = if is_denied { &case.world.reads_are_denied } else { &case.world.reads_fail };
        *failing.lock().unwrap() = true;
        *case.world.channel_is_down.lock().unwrap() = is_one_dead;
        let process = || Case { guard: with_two_channels(&case.world, &beside), world: Arc::clone(&case.world) };
        process().invoke(&authorize("e-1", &["sgr-1"])).await;
        for _ in 0..30 {
            process().pass(600).await;
        }
        let told: Vec<String> = beside.1.lock().unwrap().iter().map(|it| it.record.clone().unwrap()).collect();
        assert_eq!(told.len(), 2, "denied: {is_denied}, one dead: {is_one_dead}: {told:#?}");
    }
}

#[tokio::test]
async fn what_failed_for_a_while_is_closed_when_it_can_be() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    *case.world.reads_fail.lock().unwrap() = true;
    case.invoke(&authorize("e-1", &["sgr-1"])).await;
    case.pass(600).await;
    *case.world.reads_fail.lock().unwrap() = false;
    let tries = case.pass(600).await;
    assert_eq!(actions(&tries[0].1), [("sgr-1".to_owned(), Action::Revoked)]);
    assert_eq!((case.waiting(), unfinished(&case).len()), (0, 1));
}

#[tokio::test]
async fn one_whose_invocation_was_killed_is_told_at_its_first_failure_too() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    *case.world.reads_fail.lock().unwrap() = true;
    let killed = json!({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": authorize("e-1", &["sgr-1"]),
                        "responsePayload": {"errorType": "Sandbox.Timedout"}});
    case.put(&killed.to_string()).await;
    case.pass(1800).await;
    assert_eq!(unfinished(&case).len(), 1);
}

/// Also where another channel is dead, so that nobody knows that all have heard.
#[tokio::test]
async fn what_can_never_be_closed_is_told_at_the_first_try_and_when_it_is_given_up() {
    for is_one_dead in [false, true] {
        let case = Case::queued(vec![], true);
        *case.world.idle_groups.lock().unwrap() = 1;
        case.invoke(&json!({"sweep": true})).await.unwrap();
        case.pass(600).await;
        case.changes(vec![kubelet("sgr-1")]);
        let beside = Arc::new(Beside(Fake(Arc::clone(&case.world)), Mutex::default()));
        let case = Case { guard: with_two_channels(&case.world, &beside), world: case.world };
        case.world.denied.lock().unwrap().push("sgr-1".into());
        *case.world.channel_is_down.lock().unwrap() = is_one_dead;
        case.invoke(&authorize("e-1", &["sgr-1"])).await;
        case.pass(1800).await;
        let told = || beside.1.lock().unwrap().iter().filter(|message| message.notice.is_some()).count();
        assert_eq!(told(), 1, "one is dead: {is_one_dead}");
        case.pass(4 * 3600).await;
        assert_eq!(told(), 2, "one is dead: {is_one_dead}");
        assert_eq!((case.waiting(), case.world.queue.lock().unwrap().dead.len()), (0, 1));
    }
}

/// Whatever it is, it is an error that says what was expected, and nothing is done.
#[tokio::test]
async fn what_is_no_message_of_ours_is_an_error_and_an_order_from_elsewhere_too() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    case.invoke(&padded("e-1")).await.unwrap();
    let good: Value = serde_json::from_str(&case.world.queue.lock().unwrap().waiting[0].body).unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut message = good.clone();
        *message.pointer_mut(pointer).unwrap() = value;
        message
    };
    let with = |body: &Value, arn: &str| {
        let mut payload = batch(&Waiting { id: "m".into(), due: case.now(), body: body.to_string(), receives: 1 });
        payload["Records"][0]["eventSourceARN"] = arn.into();
        payload
    };
    for (body, arn) in [
        (good.clone(), "arn:aws:sqs:us-east-1:111122223333:another"),
        (good.clone(), "arn:aws:sqs:us-east-1:444455556666:guard"),
        (good.clone(), ""),
        (json!({"Type": "Notification", "Message": good.to_string()}), ARN),
        (json!({"requestPayload": good.clone()}), ARN),
        (changed("/eks-sg-guard/hops", json!(101)), ARN),
        (changed("/eks-sg-guard/hops", json!(-1)), ARN),
        (changed("/eks-sg-guard/version", json!(2)), ARN),
        (changed("/eks-sg-guard/task", json!({"revoke": "sgr-1"})), ARN),
        (changed("/eks-sg-guard/task/everything/change/event/call/1", json!("TerminateInstances")), ARN),
        (changed("/eks-sg-guard", json!(null)), ARN),
        (json!({"requestPayload": {}}), ARN),
        (json!("x"), ARN),
        (json!({}), ARN),
    ] {
        let answer = case.guard.handle(&with(&body, arn), Timestamp::MAX).await.unwrap();
        assert_eq!(answer.failures.unwrap().batch_item_failures.len(), 1, "{body} {arn}");
        assert!(case.guard.handle(&body, Timestamp::MAX).await.is_err(), "alone, too: {body}");
    }
    let nested = json!({"requestPayload": with(&good, ARN)});
    assert!(
        case.guard.handle(&nested, Timestamp::MAX).await.is_err(),
        "only what Lambda itself says of a message counts"
    );
    assert!(case.world.calls("names").is_empty());
    let elsewhere = changed("/eks-sg-guard/task/everything/location/region", json!("eu-west-1"));
    let answer = case.guard.handle(&with(&elsewhere, ARN), Timestamp::MAX).await.unwrap();
    assert!(answer.ignored.unwrap().contains("eu-west-1"));
}

fn padded(id: &str) -> Value {
    let mut payload = authorize(id, &[]);
    payload["detail"]["requestParameters"] = json!({"omitted": true, "reason": "requestParameters too large"});
    payload["detail"]["responseElements"] = json!({"omitted": true, "reason": "responseElements too large"});
    payload
}

#[tokio::test]
async fn padded_requests_are_one_look_through_the_queue_whoever_gets_them_and_no_error() {
    let case = Case::queued(vec![], true);
    let other = Case::process(Arc::clone(&case.world), (Mode::Enforce, Mode::Report), 50, true);
    for n in 0..6 {
        case.invoke(&padded(&format!("e-{n}"))).await.unwrap();
        other.invoke(&padded(&format!("f-{n}"))).await.unwrap();
        case.pass(5).await;
    }
    assert_eq!((case.waiting(), case.world.calls("names").len()), (1, 0));
    let answers = case.pass(60).await;
    assert_eq!((answers.len(), answers[0].0), (1, 30));
    assert_eq!((case.waiting(), case.world.calls("names").len()), (0, 1));
    other.invoke(&padded("g")).await.unwrap();
    assert_eq!(case.waiting(), 1, "what comes later is looked at, too");
    case.pass(59).await;
    case.invoke(&padded("h")).await.unwrap();
    assert_eq!(case.waiting(), 1, "the look of the other is still to come");
    case.pass(30).await;
    case.invoke(&padded("i")).await.unwrap();
    assert_eq!(case.waiting(), 1, "it was before this one came");
}

/// An account whose groups take longer to read than an invocation lasts.
#[tokio::test]
async fn what_fails_to_look_at_everything_at_once_looks_in_parts_once_for_all_that_asked() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    *case.world.idle_groups.lock().unwrap() = 1;
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(600).await;
    case.changes(vec![kubelet("sgr-2")]);
    *case.world.reads_fail.lock().unwrap() = true;
    for id in ["e-1", "e-2", "e-3"] {
        case.invoke(&padded(id)).await;
        case.pass(65).await;
    }
    *case.world.reads_fail.lock().unwrap() = false;
    case.ended();
    case.pass(3600).await;
    assert_eq!((case.world.left(), case.waiting()), (vec![], 0));
    assert_eq!(case.ended(), 2, "the one that had begun, and one for whoever asked after that");
}

#[tokio::test]
async fn with_a_queue_that_is_down_a_padded_request_is_looked_at_at_once() {
    let case = Case::queued(vec![], true);
    case.world.queue.lock().unwrap().is_down = true;
    case.invoke(&padded("e-1")).await.unwrap();
    assert_eq!(case.world.calls("names").len(), 1);
    case.world.queue.lock().unwrap().is_down = false;
    case.invoke(&padded("e-2")).await.unwrap();
    assert_eq!(case.waiting(), 1, "what came after that look began is looked at, too");
}

#[tokio::test]
async fn an_event_that_lambda_could_not_keep_is_a_look_at_everything_and_a_message_of_sns_is_tried_again() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    let lost = json!({"version": "1.0", "requestContext": {"condition": "RetriesExhausted", "functionArn": "arn"}});
    for _ in 0..3 {
        case.put(&lost.to_string()).await;
    }
    case.pass(120).await;
    assert_eq!((case.waiting(), case.world.calls("names").len()), (0, 1));
    let message = authorize("e-1", &["sgr-1"]).to_string();
    let record = json!({"EventSource": "aws:sns", "Sns": {"MessageId": "m", "Message": message}});
    let sns = json!({"requestPayload": {"Records": [record]}});
    case.put(&sns.to_string()).await;
    let answers = case.pass(1).await;
    assert_eq!(actions(&answers[0].1), [("sgr-1".to_owned(), Action::Revoked)]);
}

impl Case {
    /// Locations whose sweep ended.
    fn ended(&self) -> u64 {
        self.world.metrics.document("guard", false, self.now())["SweepsEnded"].as_u64().unwrap()
    }

    fn told(&self) -> Vec<String> {
        self.world.notices().iter().map(email::text).collect()
    }

    fn changes(&self, rules: Vec<Rule>) {
        *self.world.rules.lock().unwrap() = rules;
    }
}

#[tokio::test]
async fn what_was_open_and_is_gone_is_looked_at_once_more_and_then_told_as_the_event_says_it_was() {
    for has_state in [false, true] {
        let case = Case::queued(vec![], has_state);
        let before = case.now();
        case.invoke(&authorize("e-1", &["sgr-1"])).await.unwrap();
        assert!(case.now().duration_since(before) <= SignedDuration::from_secs(1), "nobody waits for longer");
        assert_eq!((case.waiting(), case.told().len()), (1, 0));
        let answers = case.pass(60).await;
        assert_eq!(answers[0].0, 15);
        assert_eq!(actions(&answers[0].1), [("sgr-1".to_owned(), Action::WasOpen)]);
        let told = case.told();
        assert!(
            told.len() == 1 && told[0].contains("according to the event") && told[0].contains("user/kim"),
            "{told:?}"
        );
        assert_eq!((case.waiting(), case.world.calls("revoke").len()), (0, 0));
    }
}

#[tokio::test]
async fn what_ec2_shows_late_is_closed_at_the_second_look() {
    let case = Case::queued(vec![], true);
    case.invoke(&authorize("e-1", &["sgr-1"])).await.unwrap();
    case.changes(vec![kubelet("sgr-1")]);
    let answers = case.pass(60).await;
    assert_eq!(actions(&answers[0].1), [("sgr-1".to_owned(), Action::Revoked)]);
    assert_eq!(case.waiting(), 0);
}

#[tokio::test]
async fn a_harmless_rule_that_is_gone_holds_nobody_up() {
    let case = Case::queued(vec![], true);
    let harmless = rule("sgr-1", Packets::Tcp(443, 443), "10.0.0.0/8");
    let mut payload = claims(authorize("e-1", &["sgr-1"]), &harmless);
    let before = case.now();
    case.invoke(&payload).await.unwrap();
    assert_eq!((case.now(), case.waiting(), case.told().len()), (before, 0, 0));
    *case.world.group_is_gone.lock().unwrap() = true;
    payload["detail"]["eventID"] = "e-2".into();
    case.invoke(&payload).await.unwrap();
    assert_eq!((case.now(), case.waiting(), case.told().len()), (before, 0, 0), "nor a group made and deleted");
}

/// Whatever call said so: the rule is there by its id, and lets in nobody that matters.
#[tokio::test]
async fn a_rule_that_was_edited_and_edited_back_before_we_look_is_told() {
    let case = Case::queued(vec![rule("sgr-1", Packets::Tcp(10250, 10250), "10.0.0.0/8")], true);
    let mut payload = call("ModifySecurityGroupRules", "e-1");
    payload["detail"]["requestParameters"] = json!({"ModifySecurityGroupRulesRequest": {"GroupId": GROUP,
        "SecurityGroupRule": {"SecurityGroupRuleId": "sgr-1", "SecurityGroupRule": {
            "IpProtocol": "tcp", "FromPort": 10250, "ToPort": 10250, "CidrIpv4": "0.0.0.0/0"}}}});
    case.invoke(&payload).await.unwrap();
    let answers = case.pass(60).await;
    let findings = &answers[0].1.records[0].findings;
    assert!(findings.iter().any(|finding| finding.action == Action::WasOpen), "{findings:?}");
    assert_eq!(case.world.left(), ["sgr-1"], "never acted on");
}

#[tokio::test]
async fn a_group_that_is_gone_is_told_if_it_was_a_clusters() {
    for (is_known, expected) in [(true, vec![Action::WasOpen]), (false, vec![])] {
        let case = Case::queued(vec![], true);
        if is_known {
            let (now, roles) = (case.now(), BTreeSet::from([Role::Node]));
            let (attachments, node_groups) = (BTreeSet::new(), BTreeSet::new());
            let member = Member {
                created_at: None,
                node_groups,
                is_whole: false,
                roles,
                attachments,
                is_proven: true,
                since: now,
                at: now,
            };
            case.world.members.lock().unwrap().insert(GROUP.into(), [("prod".to_owned(), member)].into());
        }
        *case.world.group_is_gone.lock().unwrap() = true;
        case.invoke(&authorize("e-1", &["sgr-1"])).await.unwrap();
        let answers = case.pass(60).await;
        let found: Vec<Action> = actions(&answers[0].1).into_iter().map(|(_, action)| action).collect();
        assert_eq!((found, case.told().len()), (expected.clone(), expected.len()), "{is_known}");
    }
}

#[tokio::test]
async fn a_group_that_ec2_does_not_show_on_the_interface_is_looked_at_again() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    let before = case.now();
    case.invoke(&attaches_to("eni-1", "e-1")).await.unwrap();
    assert!(case.now().duration_since(before) <= SignedDuration::from_secs(1));
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-1", Some("i-1"))];
    assert_eq!(case.pass(60).await.len(), 1);
    assert_eq!(case.waiting(), 0);
}

#[tokio::test]
async fn a_list_that_is_being_changed_is_looked_at_again_three_times_and_then_left_to_the_sweep() {
    let mut by_list = kubelet("sgr-1");
    by_list.peer = Peer::PrefixList("pl-1".into());
    let case = Case::queued(vec![by_list.clone()], true);
    *case.world.list_is_changing.lock().unwrap() = true;
    let event = claims(authorize("e-1", &["sgr-1"]), &by_list);
    case.invoke(&event).await.unwrap();
    let answers = case.pass(7200).await;
    assert_eq!(answers.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [60, 360, 1260]);
    assert_eq!((case.waiting(), case.world.queue.lock().unwrap().dead.len()), (0, 0));

    let case = Case::queued(vec![by_list], true);
    *case.world.list_is_changing.lock().unwrap() = true;
    case.invoke(&event).await.unwrap();
    *case.world.list_is_changing.lock().unwrap() = false;
    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    let answers = case.pass(7200).await;
    assert_eq!((answers.len(), actions(&answers[0].1)), (1, vec![("sgr-1".to_owned(), Action::Revoked)]));
}

#[tokio::test]
async fn what_is_beyond_the_limit_comes_back_at_once_until_nothing_is_left() {
    let ids: Vec<String> = (0..180).map(|n| format!("sgr-{n:03}")).collect();
    let case = Case::queued(ids.iter().map(|id| kubelet(id)).collect(), true);
    let answer = case.invoke(&authorize("e-1", &ids.iter().map(String::as_str).collect::<Vec<_>>())).await.unwrap();
    let count =
        |answer: &FunctionResponse, is: Action| actions(answer).iter().filter(|(_, action)| *action == is).count();
    assert_eq!((count(&answer, Action::Revoked), count(&answer, Action::Postponed)), (50, 130));
    let answers = case.pass(60).await;
    assert_eq!((answers.len(), case.world.left().len(), case.waiting()), (3, 0, 0));
    assert!(answers.iter().all(|(_, answer)| count(answer, Action::WasOpen) == 0));
}

#[tokio::test]
async fn what_hangs_on_a_state_that_is_down_comes_back_until_it_answers() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    *case.world.state_is_down.lock().unwrap() = true;
    let duplicate = {
        let mut event = call("ModifySecurityGroupRules", "e-1");
        event["detail"]["requestParameters"] = json!({"ModifySecurityGroupRulesRequest": {"GroupId": GROUP,
            "SecurityGroupRule": {"SecurityGroupRuleId": "sgr-1", "SecurityGroupRule": {
                "IpProtocol": "tcp", "FromPort": 10250, "ToPort": 10250, "CidrIpv4": "0.0.0.0/0"}}}});
        event["detail"]["eventTime"] = "2026-11-22T02:00:00Z".into();
        event
    };
    case.invoke(&duplicate).await;
    assert!(case.waiting() > 0);
    assert_eq!(case.world.left(), ["sgr-1"]);
    *case.world.state_is_down.lock().unwrap() = false;
    case.pass(7200).await;
    assert_eq!(case.waiting(), 0);
}

#[tokio::test]
async fn where_the_queue_is_down_what_has_to_be_looked_at_again_is_an_error() {
    let case = Case::queued(vec![kubelet("sgr-2")], true);
    case.world.queue.lock().unwrap().is_down = true;
    let error = case.guard.handle(&authorize("e-1", &["sgr-1", "sgr-2"]), Timestamp::MAX).await.unwrap_err();
    assert!(chain(&error).contains("work queue"), "{}", chain(&error));
    assert!(case.world.left().is_empty(), "what is there is closed all the same");
    assert_eq!(case.told().len(), 1, "and told");
}

fn digests(case: &Case) -> Vec<Notice> {
    case.world
        .notices()
        .into_iter()
        .filter(|notice| notice.subject.ends_with("(sweep)") || notice.subject.contains("(sweep), "))
        .collect()
}

#[tokio::test]
async fn a_sweep_is_parts_of_two_hundred_groups_and_one_digest_when_the_last_has_ended() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    *case.world.idle_groups.lock().unwrap() = 450;
    case.invoke(&json!({"sweep": true})).await.unwrap();
    assert_eq!((case.waiting(), case.world.calls("names").len()), (1, 0), "nobody waits for it");
    let answers = case.pass(5).await;
    assert_eq!((answers.len(), case.waiting()), (2, 2), "the first part follows at once, the others later");
    assert_eq!(actions(&answers[1].1), [("sgr-1".to_owned(), Action::WouldRevoke)]);
    assert_eq!((digests(&case).len(), case.world.place.lock().unwrap().looks.len()), (0, 0), "not yet");
    case.pass(600).await;
    assert_eq!(digests(&case).len(), 1);
    assert_eq!(case.world.looks.lock().unwrap()["vpc-1"].len(), 452);
    assert_eq!((case.waiting(), case.ended()), (0, 1));
}

#[tokio::test]
async fn a_group_of_another_vpc_that_is_attached_here_was_seen_too() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    *case.world.idle_groups.lock().unwrap() = 1;
    *case.world.group_vpc.lock().unwrap() = Some("vpc-2".into());
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(600).await;
    let looks = case.world.looks.lock().unwrap();
    assert!(looks["vpc-1"].contains(GROUP), "{looks:?}");
}

#[tokio::test]
async fn a_message_of_a_sweep_that_comes_twice_is_one_digest() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    *case.world.idle_groups.lock().unwrap() = 250;
    case.invoke(&json!({"sweep": true})).await.unwrap();
    let twice = |case: &Case| {
        let mut queue = case.world.queue.lock().unwrap();
        let copies: Vec<Waiting> = queue
            .waiting
            .iter()
            .map(|message| Waiting { id: format!("{}-2", message.id), ..message.clone() })
            .collect();
        queue.waiting.extend(copies);
    };
    twice(&case);
    let answers = case.pass(0).await;
    let of_plans: Vec<String> = answers.into_iter().filter_map(|(_, answer)| answer.ignored).collect();
    let sent = "the parts of this sweep were sent at an earlier try";
    assert_eq!(
        of_plans,
        ["2 parts of a sweep are under way", sent],
        "what comes for the rest of it plans nothing anew"
    );
    twice(&case);
    case.pass(600).await;
    assert_eq!((digests(&case).len(), case.waiting(), case.ended()), (1, 0, 1));
}

#[tokio::test]
async fn a_part_that_fails_delays_no_other_and_its_vpc_does_not_count_as_looked_at() {
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    *case.world.idle_groups.lock().unwrap() = 250;
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(5).await;
    *case.world.reads_fail.lock().unwrap() = true;
    case.pass(5 * 3600).await;
    assert_eq!((digests(&case).len(), case.world.place.lock().unwrap().looks.len()), (1, 0), "what is known is told");
    assert_eq!((case.world.queue.lock().unwrap().dead.len(), case.ended()), (1, 1));
}

/// The second try of the plan finds a group more, so it cuts other parts.
#[tokio::test]
async fn a_plan_that_failed_half_way_and_is_tried_again_mixes_no_parts() {
    let case = Case::queued(vec![], true);
    *case.world.idle_groups.lock().unwrap() = 250;
    case.invoke(&json!({"sweep": true})).await.unwrap();
    *case.world.surprise.lock().unwrap() = Some((
        "queue send",
        1,
        Box::new(|world| {
            world.queue.lock().unwrap().is_down = true;
        }),
    ));
    case.pass(0).await;
    case.world.queue.lock().unwrap().is_down = false;
    assert_eq!(case.waiting(), 1, "the plan; the first of its parts has ended");
    *case.world.idle_groups.lock().unwrap() = 251;
    case.pass(3600).await;
    assert_eq!(case.world.looks.lock().unwrap()["vpc-1"].len(), 253);
    let parts = case.world.parts.lock().unwrap();
    let mut ended: Vec<(usize, bool)> = parts.values().map(|parts| (parts.len(), parts.contains_key(&2))).collect();
    ended.sort_unstable();
    assert_eq!(ended, [(1, false), (1, false), (2, true)], "half a look, the sweep, and the whole look");
}

/// What is done at one try is in the digest, and what fails at each try does not hide it, nor that all was looked at.
#[tokio::test]
async fn a_rule_that_can_never_be_revoked_takes_nothing_from_the_digest_of_its_sweep_or_from_the_look() {
    let case = Case::queued(vec![], true);
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    *case.world.idle_groups.lock().unwrap() = 1;
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(600).await;
    let first = case.world.place.lock().unwrap().looks["vpc-1"];
    case.changes(vec![kubelet("sgr-1"), kubelet("sgr-2")]);
    case.world.denied.lock().unwrap().push("sgr-2".into());
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(600).await;
    assert_eq!((case.world.left(), digests(&case).len()), (vec!["sgr-2".to_owned()], 0), "it is tried again first");
    case.pass(5 * 3600).await;
    let told = digests(&case).iter().map(email::text).collect::<Vec<_>>();
    assert!(told.len() == 1 && told[0].contains("sgr-1") && told[0].contains("sgr-2"), "{told:?}");
    assert!(case.world.place.lock().unwrap().looks["vpc-1"] > first, "all of it was looked at");
    assert_eq!((case.world.queue.lock().unwrap().dead.len(), case.ended()), (1, 2));

    // Somebody grants the right, and moves the message back.
    case.world.denied.lock().unwrap().clear();
    let dead = case.world.queue.lock().unwrap().dead.pop().unwrap();
    case.put(&dead).await;
    case.pass(3600).await;
    let told = digests(&case).iter().map(email::text).collect::<Vec<_>>();
    assert!(case.world.left().is_empty() && told.len() == 2, "{told:?}");
    assert!(told[1].contains("sgr-2") && told[1].contains("CLOSED") && !told[1].contains("sgr-1"), "{}", told[1]);
    case.put(&dead).await;
    case.pass(3600).await;
    assert_eq!(digests(&case).len(), 2, "once");
}

/// Each of them looks at groups of its own.
#[tokio::test]
async fn two_looks_of_one_event_that_are_given_up_are_told_each_with_its_groups() {
    let case = Case::queued(vec![], true);
    case.invoke(&claims(authorize("e-1", &["sgr-1"]), &kubelet("sgr-1"))).await.unwrap();
    let look = case.world.queue.lock().unwrap().waiting[0].body.clone();
    assert!(look.contains(GROUP), "{look}");
    case.put(&look.replace(GROUP, "sg-0bb")).await;
    *case.world.reads_fail.lock().unwrap() = true;
    case.pass(3 * 3600).await;
    let told = unfinished(&case);
    for group in [GROUP, "sg-0bb"] {
        let of_it: Vec<&String> = told.iter().filter(|mail| mail.contains(&format!("On {group}"))).collect();
        assert_eq!(of_it.len(), 2, "the first failure and the last, of {group}: {told:#?}");
    }
}

/// At whichever call the process dies that looks at a part.
#[tokio::test]
async fn what_a_part_did_is_told_whenever_its_process_dies() {
    for n in 0.. {
        let case = Case::queued(vec![], true);
        *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
        *case.world.idle_groups.lock().unwrap() = 1;
        case.invoke(&json!({"sweep": true})).await.unwrap();
        case.pass(600).await;
        case.changes(vec![kubelet("sgr-1")]);
        case.invoke(&json!({"sweep": true})).await.unwrap();
        let next = || case.world.queue.lock().unwrap().waiting.pop().unwrap();
        case.guard.handle(&batch(&next()), Timestamp::MAX).await.unwrap();
        let message = next();
        let process = Case::process(Arc::clone(&case.world), (Mode::Enforce, Mode::Report), 50, true);
        let lived = lives(&process, n, &batch(&message)).await;
        let was_sent = !lived && case.world.calls("").pop().is_some_and(|last| last == "send");
        if !lived {
            case.put(&message.body).await;
        }
        case.pass(3600).await;
        case.invoke(&json!({"sweep": true})).await.unwrap();
        case.pass(3600).await;
        let told = case.told();
        let told: Vec<&String> = told.iter().filter(|mail| mail.contains("sgr-1") && mail.contains("CLOSED")).collect();
        let most = if was_sent { 2 } else { 1 };
        assert!(case.world.left().is_empty() && (1..=most).contains(&told.len()), "dead at {n}, told {told:#?}");
        if lived {
            return;
        }
    }
}

/// A part of the first one is late, so its digest comes after that of the second, which told what was done.
#[tokio::test]
async fn what_one_of_two_sweeps_did_is_told_by_one_of_them() {
    let case = Case::queued(vec![], true);
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    *case.world.idle_groups.lock().unwrap() = 250;
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(600).await;
    case.changes(vec![kubelet("sgr-1")]);
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(5).await;
    assert_eq!((case.world.left().len(), digests(&case).len()), (0, 0), "done, and its sweep has not ended");
    let late = case.world.queue.lock().unwrap().waiting.pop().unwrap();
    assert_eq!(case.waiting(), 0, "the second part");
    case.pass(300).await;
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(600).await;
    let closed = |case: &Case| {
        let told = digests(case).iter().map(email::text).collect::<Vec<_>>();
        told.iter().filter(|mail| mail.contains("sgr-1") && mail.contains("CLOSED")).count()
    };
    assert_eq!(closed(&case), 1);
    case.pass(2 * 3600).await;
    case.put(&late.body).await;
    case.pass(600).await;
    assert_eq!((case.ended(), closed(&case)), (3, 1), "the late one has ended, and does not say it again");
}

/// The same was told within the hour, so it is no news; but it was done to another rule.
#[tokio::test]
async fn what_a_sweep_did_and_did_not_tell_for_it_was_no_news_the_next_one_tells() {
    let case = Case::queued(vec![], true);
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    *case.world.idle_groups.lock().unwrap() = 1;
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(600).await;
    let closed = |case: &Case, id: &str| {
        let told = case.told();
        told.iter().filter(|mail| mail.contains(id) && mail.contains("CLOSED")).count()
    };
    case.changes(vec![kubelet("sgr-1")]);
    case.invoke(&authorize("e-1", &["sgr-1"])).await.unwrap();
    case.pass(600).await;
    case.changes(vec![kubelet("sgr-2")]);
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(600).await;
    assert_eq!((case.world.left().len(), closed(&case, "sgr-1"), closed(&case, "sgr-2")), (0, 1, 0));
    for _ in 0..2 {
        case.pass(3600).await;
        case.invoke(&json!({"sweep": true})).await.unwrap();
        case.pass(600).await;
        assert_eq!((closed(&case, "sgr-1"), closed(&case, "sgr-2")), (1, 1));
    }
}

#[tokio::test]
async fn without_a_schedule_the_guard_looks_by_itself_at_first_and_every_three_days() {
    let case = Case::queued(vec![rule("sgr-1", Packets::Tcp(443, 443), "10.0.0.0/8")], true);
    case.world.claims.lock().unwrap().clear();
    *case.world.idle_groups.lock().unwrap() = 1;
    let harmless = |n: usize| call("AuthorizeSecurityGroupIngress", &format!("e-{n}"));
    for n in 0..3 {
        case.invoke(&harmless(n)).await.unwrap();
    }
    assert_eq!(case.waiting(), 1, "one look, whoever asks for it");
    case.pass(60).await;
    assert_eq!(case.world.place.lock().unwrap().looks.len(), 1);
    case.pass(2 * 24 * 3600).await;
    case.invoke(&harmless(3)).await.unwrap();
    assert_eq!(case.waiting(), 0);
    case.pass(24 * 3600 + 60).await;
    case.invoke(&harmless(4)).await.unwrap();
    assert_eq!(case.waiting(), 1);
}

#[tokio::test]
async fn without_a_table_or_a_queue_that_answers_a_sweep_is_done_at_once() {
    let case = Case::queued(vec![kubelet("sgr-1")], false);
    *case.world.idle_groups.lock().unwrap() = 1;
    assert_eq!(case.invoke(&json!({"sweep": true})).await.unwrap().records.len(), 2);
    let case = Case::queued(vec![kubelet("sgr-1")], true);
    *case.world.idle_groups.lock().unwrap() = 1;
    case.world.queue.lock().unwrap().is_down = true;
    assert_eq!(case.invoke(&json!({"sweep": true})).await.unwrap().records.len(), 2);
}
