//! Locations that the environment does not name (`GUARD_ACCOUNTS=*`). All of them show the same account of the fakes.

use eks_sg_guard::guard::organisation::{Doors, Organisation};
use eks_sg_guard::ports::Register;

use super::*;

const REGION: &str = "us-east-1";
const DAY: i64 = 24 * 3600;

fn far() -> Location {
    Location::new("444455556666", REGION)
}

/// Where the guard's role is, and what is registered.
#[derive(Default)]
struct There {
    world: Arc<World>,
    roles: Mutex<BTreeSet<Location>>,
    sts_is_down: Mutex<bool>,
    register_is_down: Mutex<bool>,
    registered: Mutex<BTreeMap<Location, Timestamp>>,
    asked: Mutex<Vec<String>>,
}

impl There {
    fn of_register<T>(&self, what: &str, answer: T) -> Result<T, CloudError> {
        self.asked.lock().unwrap().push(what.to_owned());
        if *self.register_is_down.lock().unwrap() { Err(failed("dynamodb")) } else { Ok(answer) }
    }

    fn asked(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == what).count()
    }

    fn has(&self, location: &Location) -> bool {
        self.registered.lock().unwrap().contains_key(location)
    }
}

#[async_trait]
impl Doors for There {
    async fn may_enter(&self, location: &Location) -> Result<bool, CloudError> {
        self.asked.lock().unwrap().push("sts".to_owned());
        if *self.sts_is_down.lock().unwrap() {
            return Err(failed("sts:AssumeRole"));
        }
        Ok(self.roles.lock().unwrap().contains(location))
    }
    async fn guard(&self, location: &Location) -> Guard {
        self.asked.lock().unwrap().push("opened".to_owned());
        let fake = || Arc::new(Fake(Arc::clone(&self.world)));
        let setup = setup(&self.world, vec![fake()]);
        let ports = Ports { queue: Some(fake()), ..setup.ports };
        Guard::new(Setup { ports, location: location.clone(), ..setup })
    }
}

#[async_trait]
impl Register for There {
    async fn of_account(&self, account: &str) -> Result<BTreeMap<Location, Timestamp>, CloudError> {
        let mut known = self.registered.lock().unwrap().clone();
        known.retain(|location, _| location.account == account);
        self.of_register("read", known)
    }
    async fn all(&self) -> Result<BTreeMap<Location, Timestamp>, CloudError> {
        self.of_register("read all", self.registered.lock().unwrap().clone())
    }
    async fn heard(&self, location: &Location, at: Timestamp) -> Result<(), CloudError> {
        self.of_register("write", ())?;
        self.registered.lock().unwrap().insert(location.clone(), at);
        Ok(())
    }
    async fn strike(&self, location: &Location, last: Timestamp) -> Result<(), CloudError> {
        self.of_register("strike", ())?;
        self.registered.lock().unwrap().retain(|there, at| there != location || *at > last);
        Ok(())
    }
}

/// A function that takes every account of one region, and where its role is besides.
fn taking_every_account(rules: Vec<Rule>, roles: &[Location]) -> (Case, Arc<There>) {
    let case = Case::queued(rules, true);
    let world = Arc::clone(&case.world);
    let there = Arc::new(There { world, roles: Mutex::new(roles.iter().cloned().collect()), ..There::default() });
    let case = process_of(case, &there);
    (case, there)
}

fn process_of(case: Case, there: &Arc<There>) -> Case {
    let fake = || Arc::new(Fake(Arc::clone(&case.world)));
    let (doors, register) = (Arc::clone(there), Arc::clone(there));
    let organisation = Organisation::new(doors, register, fake(), fake(), fake(), [REGION.to_owned()].into());
    let guard = case.guard.acting_as(Some("member".to_owned())).with_organisation(organisation);
    Case { world: case.world, guard }
}

fn another_process(case: &Case, there: &Arc<There>) -> Case {
    process_of(Case::process(Arc::clone(&case.world), (Mode::Enforce, Mode::Report), 50, true), there)
}

fn at(location: &Location, mut event: Value) -> Value {
    event["account"] = location.account.as_str().into();
    event["region"] = location.region.as_str().into();
    if event["detail"].get("recipientAccountId").is_some() {
        event["detail"]["recipientAccountId"] = location.account.as_str().into();
        event["detail"]["awsRegion"] = location.region.as_str().into();
    }
    event
}

fn schedule(location: &Location) -> Value {
    let rule = format!("arn:aws:events:{}:{}:rule/any", location.region, location.account);
    at(
        location,
        json!({"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events",
        "time": "2026-11-23T02:59:58Z", "resources": [rule], "detail": {}}),
    )
}

/// Of the messages that wait, where they are to be done.
fn sweeps(case: &Case) -> Vec<String> {
    let queue = case.world.queue.lock().unwrap();
    let messages = queue.waiting.iter().map(|message| serde_json::from_str::<Value>(&message.body).unwrap());
    let account = |message: Value| {
        message.pointer("/eks-sg-guard/task/sweep/location/account").and_then(Value::as_str).map(str::to_owned)
    };
    messages.filter_map(account).collect()
}

#[tokio::test]
async fn an_event_of_an_account_that_has_the_role_is_handled_there_and_registers_it() {
    let (case, there) = taking_every_account(vec![kubelet("sgr-1")], &[far()]);
    let answer = case.invoke(&at(&far(), authorize("e-1", &["sgr-1"]))).await.unwrap();
    assert_eq!(actions(&answer), [("sgr-1".to_owned(), Action::Revoked)]);
    assert_eq!(answer.records[0].account, far().account);
    assert!(there.has(&far()));
    // What is known costs STS nothing more, and what a process has open not even a read.
    case.invoke(&at(&far(), authorize("e-2", &["sgr-2"]))).await.unwrap();
    let other = another_process(&case, &there);
    other.invoke(&at(&far(), authorize("e-3", &["sgr-3"]))).await.unwrap();
    assert_eq!((there.asked("sts"), there.asked("write"), there.asked("read")), (1, 1, 2));
}

#[tokio::test]
async fn an_account_without_the_role_is_none_of_ours_and_leaves_nothing() {
    let (case, there) = taking_every_account(vec![kubelet("sgr-1")], &[]);
    let answer = case.invoke(&at(&far(), authorize("e-1", &["sgr-1"]))).await.unwrap();
    assert!(answer.ignored.unwrap().contains("every account in which its role can be assumed"));
    assert_eq!((case.world.left(), there.has(&far())), (vec!["sgr-1".to_owned()], false));
    assert!(case.world.notices().is_empty());
    let answer = case.invoke(&schedule(&far())).await.unwrap();
    assert!(answer.ignored.unwrap().contains("cannot be assumed"));
    assert_eq!((case.waiting(), there.has(&far())), (0, false));
}

#[tokio::test]
async fn another_region_does_not_count_and_nobody_is_asked_about_it() {
    let elsewhere = Location::new("444455556666", "eu-west-1");
    let (case, there) = taking_every_account(vec![kubelet("sgr-1")], std::slice::from_ref(&elsewhere));
    for event in [authorize("e-1", &["sgr-1"]), schedule(&elsewhere)] {
        let answer = case.invoke(&at(&elsewhere, event)).await.unwrap();
        assert!(answer.ignored.unwrap().contains("eu-west-1"));
    }
    assert!(there.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_register_that_is_down_keeps_no_hole_open() {
    let (case, there) = taking_every_account(vec![kubelet("sgr-1")], &[far()]);
    *there.register_is_down.lock().unwrap() = true;
    let answer = case.invoke(&at(&far(), authorize("e-1", &["sgr-1"]))).await.unwrap();
    assert_eq!(actions(&answer), [("sgr-1".to_owned(), Action::Revoked)]);
    assert!(!there.has(&far()));
    // Nobody knows whether one without the role was ours.
    let other = Location::new("555566667777", REGION);
    assert!(case.invoke(&at(&other, authorize("e-2", &["sgr-2"]))).await.is_none(), "tried again");
    assert!(case.invoke(&schedule(&far())).await.is_none(), "tried again");
    assert!(case.invoke(&json!({"sweep": true})).await.is_none(), "tried again");
}

#[tokio::test]
async fn what_sts_does_not_answer_is_tried_again() {
    let (case, there) = taking_every_account(vec![kubelet("sgr-1")], &[far()]);
    *there.sts_is_down.lock().unwrap() = true;
    assert!(case.invoke(&at(&far(), authorize("e-1", &["sgr-1"]))).await.is_none());
    assert!(case.invoke(&schedule(&far())).await.is_none());
    *there.sts_is_down.lock().unwrap() = false;
    let answers = case.pass(600).await;
    let closed = answers.iter().flat_map(|(_, answer)| actions(answer)).collect::<Vec<_>>();
    assert_eq!(closed, [("sgr-1".to_owned(), Action::Revoked)]);
    let said = answers.iter().filter_map(|(_, answer)| answer.ignored.clone()).collect::<String>();
    assert!(said.contains("registered") && there.has(&far()), "{said}");
    assert!(case.world.calls("names").is_empty(), "a schedule of others is no order, also when it failed: {said}");
}

#[tokio::test]
async fn a_stack_that_says_it_is_there_is_looked_at_for_the_first_time_and_costs_little_from_then_on() {
    let (case, there) = taking_every_account(vec![], &[far()]);
    case.world.claims.lock().unwrap().clear();
    let answer = case.invoke(&schedule(&far())).await.unwrap();
    assert!(answer.ignored.unwrap().ends_with("is registered"));
    assert_eq!(sweeps(&case), [far().account]);
    for hour in 0..24 {
        another_process(&case, &there).invoke(&schedule(&far())).await.unwrap();
        case.world.milliseconds.fetch_add(3_600_000, Ordering::Relaxed);
        assert!(there.asked("write") <= 1 + hour / 12, "{hour}");
    }
    assert_eq!(there.asked("sts"), 1);
}

#[tokio::test]
async fn a_schedule_of_another_location_orders_no_sweep_and_an_own_one_does() {
    let (case, there) = taking_every_account(vec![], &[far()]);
    case.invoke(&schedule(&far())).await.unwrap();
    case.invoke(&schedule(&Location::new("555566667777", REGION))).await.unwrap();
    assert!(sweeps(&case).is_empty(), "the queue is as it was");
    let own = Location::new("111122223333", REGION);
    case.invoke(&schedule(&own)).await.unwrap();
    assert_eq!(sweeps(&case), [far().account, own.account]);
    assert!(!there.has(&Location::new("111122223333", REGION)), "that one is named already");
}

#[tokio::test]
async fn a_thousand_locations_are_swept_through_the_queue_within_a_quarter_of_an_hour() {
    let (case, there) = taking_every_account(vec![], &[]);
    let many = (0..1000).map(|n| (Location::new(format!("{:012}", 200_000_000_000_u64 + n), REGION), case.now()));
    there.registered.lock().unwrap().extend(many);
    case.invoke(&json!({"sweep": true})).await.unwrap();
    assert_eq!(sweeps(&case).into_iter().collect::<BTreeSet<_>>().len(), 1001, "and its own");
    let queue = case.world.queue.lock().unwrap();
    let due: BTreeSet<Timestamp> = queue.waiting.iter().map(|message| message.due).collect();
    assert!(due.len() > 500, "not all at once");
    assert_eq!((there.asked("opened"), there.asked("sts")), (0, 0), "that is for whoever looks there");
}

#[tokio::test]
async fn a_few_locations_wait_for_each_other_a_moment_and_no_more() {
    let (case, there) = taking_every_account(vec![], &[]);
    let few = ["444455556666", "555566667777", "666677778888"].map(|id| (Location::new(id, REGION), case.now()));
    there.registered.lock().unwrap().extend(few);
    case.invoke(&json!({"sweep": true})).await.unwrap();
    let last = case.world.queue.lock().unwrap().waiting.iter().map(|message| message.due).max().unwrap();
    assert_eq!(last.duration_since(case.now()).as_secs(), 10);
}

#[tokio::test]
async fn a_location_of_which_nothing_is_heard_for_a_week_is_struck_unless_it_can_be_looked_at() {
    for is_gone in [true, false] {
        let (case, there) = taking_every_account(vec![], &[]);
        there.registered.lock().unwrap().insert(far(), case.now());
        for day in 1..=8 {
            case.world.milliseconds.fetch_add(DAY * 1000, Ordering::Relaxed);
            case.invoke(&json!({"sweep": true})).await.unwrap();
            // As where the role is gone: each look fails, and tries count for nothing.
            case.world.queue.lock().unwrap().is_down = is_gone;
            case.pass(600).await;
            case.world.queue.lock().unwrap().is_down = false;
            assert_eq!(there.has(&far()), !is_gone || day < 7, "{is_gone}, day {day}");
        }
    }
}

#[tokio::test]
async fn a_list_that_changes_is_looked_for_in_all_locations_of_its_region_once_for_changes_that_follow_each_other() {
    let (case, there) = taking_every_account(vec![from_list("sgr-1")], &[]);
    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    let owner = Location::new("777788889999", REGION);
    there.registered.lock().unwrap().insert(far(), case.now());
    there.registered.lock().unwrap().insert(Location::new("555566667777", "eu-west-1"), case.now());
    let mut event = call("ModifyManagedPrefixList", "e-1");
    event["detail"]["requestParameters"] = json!({"ModifyManagedPrefixListRequest": {"PrefixListId": "pl-1"}});
    for n in 0..3 {
        event["detail"]["eventID"] = format!("e-{n}").into();
        case.invoke(&at(&owner, event.clone())).await.unwrap();
    }
    assert_eq!(case.waiting(), 1, "one message for the only location there");
    let answers = case.pass(15).await;
    assert_eq!(answers[0].1.records[0].account, far().account);
    assert!(!there.has(&owner), "it only owns the list");
}

#[tokio::test]
async fn the_guards_own_revoke_in_another_location_is_recognised_by_the_role_there() {
    let (case, there) = taking_every_account(vec![kubelet("sgr-2")], &[far()]);
    let mut event = at(&far(), call("RevokeSecurityGroupIngress", "e-1"));
    for (role, is_own) in [
        ("arn:aws:iam::444455556666:role/member", true),
        ("arn:aws:iam::555566667777:role/member", false),
        ("arn:aws:iam::444455556666:role/x/member", false),
        ("arn:aws:iam::444455556666:user/member", false),
    ] {
        event["detail"]["userIdentity"] =
            json!({"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": role}}});
        event["detail"]["eventID"] = format!("e-{role}").into();
        let ignored = case.invoke(&event).await.unwrap().ignored.unwrap_or_default();
        assert_eq!(ignored.contains("the guard's own doing"), is_own, "{role}: {ignored}");
    }
    assert!(there.has(&far()));
}

#[tokio::test]
async fn events_that_nobody_knows_are_one_sweep_of_everything() {
    let (case, there) = taking_every_account(vec![], &[]);
    there.registered.lock().unwrap().insert(far(), case.now());
    for _ in 0..3 {
        case.invoke(&json!({"requestContext": {"condition": "RetriesExhausted", "functionArn": "x"}})).await.unwrap();
    }
    assert_eq!(sweeps(&case), [far().account]);
    let due = case.world.queue.lock().unwrap().waiting[0].due;
    assert_eq!(due.duration_since(case.now()).as_secs(), 300, "it looks when nobody else may be gathered any more");
}

#[tokio::test]
async fn groups_that_somebody_names_are_looked_for_everywhere() {
    let (case, there) = taking_every_account(vec![kubelet("sgr-1")], &[]);
    there.registered.lock().unwrap().insert(far(), case.now());
    let answer = case.invoke(&json!({"sweep": {"groups": [GROUP]}})).await.unwrap();
    let accounts: Vec<&str> = answer.records.iter().map(|record| record.account.as_str()).collect();
    assert_eq!(accounts, ["111122223333", "444455556666"]);
}

#[tokio::test]
async fn what_could_not_be_put_into_the_queue_or_died_before_is_not_under_way_at_the_next_try() {
    let mut list = call("ModifyManagedPrefixList", "e-1");
    list["detail"]["requestParameters"] = json!({"ModifyManagedPrefixListRequest": {"PrefixListId": "pl-1"}});
    let list = at(&Location::new("777788889999", REGION), list);
    let lost = json!({"requestContext": {"condition": "RetriesExhausted", "functionArn": "x"}});
    let is_asked =
        |case: &Case| case.world.queue.lock().unwrap().waiting.iter().any(|it| it.body.contains(&far().account));
    for event in [list, lost] {
        let (case, there) = taking_every_account(vec![], &[]);
        there.registered.lock().unwrap().insert(far(), case.now());
        case.world.queue.lock().unwrap().is_down = true;
        assert!(case.guard.handle(&event, Timestamp::MAX).await.is_err(), "{event}");
        case.world.queue.lock().unwrap().is_down = false;
        case.guard.handle(&event, Timestamp::MAX).await.unwrap();
        assert!(is_asked(&case), "{event}");

        let (case, there) = taking_every_account(vec![], &[]);
        there.registered.lock().unwrap().insert(far(), case.now());
        for what in ["list#pl-1", "everything-everywhere"] {
            let claimed =
                case.world.claims.lock().unwrap().insert(what.into(), case.now() + SignedDuration::from_secs(20));
            assert_eq!(claimed, None);
        }
        case.guard.handle(&event, Timestamp::MAX).await.unwrap();
        assert!(!is_asked(&case), "somebody is at it: {event}");
        case.world.milliseconds.fetch_add(60_000, Ordering::Relaxed);
        case.guard.handle(&event, Timestamp::MAX).await.unwrap();
        assert!(is_asked(&case), "it died: {event}");
    }
}
