//! The guard looks whether events still reach it: after calls that may have ended that, and in each sweep. What is wrong is
//! told once, and again when it went wrong again.

use eks_sg_guard::guard::sight::Sources;
use eks_sg_guard::model::trails::{RuleState, Selectors, Trail};
use eks_sg_guard::ports::{EventRule, Trails};

use super::*;

/// What CloudTrail and EventBridge say by now.
struct Seen {
    is_logging: Mutex<Result<bool, String>>,
    rule: Mutex<Option<RuleState>>,
    asked: Mutex<Vec<&'static str>>,
}

struct Door(Arc<Seen>);

#[async_trait]
impl Trails for Door {
    async fn trails(&self) -> Result<Vec<Trail>, CloudError> {
        self.0.asked.lock().unwrap().push("trails");
        Ok(vec![Trail {
            arn: "arn:aws:cloudtrail:us-east-1:111122223333:trail/audit".to_owned(),
            home_region: "us-east-1".to_owned(),
            is_multi_region: false,
            is_logging: self.0.is_logging.lock().unwrap().clone(),
            selectors: Ok(Selectors::Default),
        }])
    }
}

#[async_trait]
impl EventRule for Door {
    async fn state(&self) -> Result<RuleState, CloudError> {
        self.0.asked.lock().unwrap().push("rule");
        self.0.rule.lock().unwrap().ok_or_else(|| failed("events:DescribeRule"))
    }
}

struct Watch {
    world: Arc<World>,
    seen: Arc<Seen>,
    guard: Dispatcher,
}

impl Watch {
    fn new() -> Self {
        let world = Arc::new(World::default());
        *world.idle_groups.lock().unwrap() = 1;
        let seen = Arc::new(Seen {
            is_logging: Mutex::new(Ok(true)),
            rule: Mutex::new(Some(RuleState::Delivers)),
            asked: Mutex::default(),
        });
        let door = || Arc::new(Door(Arc::clone(&seen)));
        let sources = Sources { trails: door(), rule: Some(("guard-events".to_owned(), door())) };
        let setup = setup(&world, vec![Arc::new(Fake(Arc::clone(&world)))]);
        let location = setup.location.clone();
        let guard = Guard::new(setup).with_sources(sources);
        Self { world, seen, guard: Dispatcher::new([(location, guard)].into(), Some(OWN_ROLE.to_owned())) }
    }

    fn logs(&self, is_logging: Result<bool, String>) {
        *self.seen.is_logging.lock().unwrap() = is_logging;
    }

    /// What is asked for a payload, and what the guard answers.
    async fn handle(&self, payload: &Value) -> (Vec<&'static str>, FunctionResponse) {
        let answer = self.guard.handle(payload, Timestamp::MAX).await.unwrap();
        self.world.milliseconds.fetch_add(60_000, Ordering::Relaxed);
        (std::mem::take(&mut self.seen.asked.lock().unwrap()), answer)
    }

    fn subjects(&self) -> Vec<String> {
        self.world.notices().into_iter().map(|notice| notice.subject).collect()
    }
}

fn of_trail(name: &str, event_id: &str) -> Value {
    let mut event = call(name, event_id);
    event["detail"]["eventSource"] = "cloudtrail.amazonaws.com".into();
    event["detail"]["requestParameters"] = json!({"name": "audit"});
    event
}

fn of_rule(rule: &str, event_id: &str) -> Value {
    let mut event = call("DisableRule", event_id);
    event["detail"]["eventSource"] = "events.amazonaws.com".into();
    event["detail"]["requestParameters"] = json!({"name": rule});
    event
}

#[tokio::test]
async fn a_call_that_leaves_the_trail_as_it_was_is_looked_at_and_nobody_hears_of_it() {
    let watch = Watch::new();
    let (asked, answer) = watch.handle(&of_trail("StopLogging", "e-1")).await;
    assert_eq!((asked, watch.subjects().len()), (vec!["trails"], 0), "the rule has nothing to do with it");
    assert_eq!(answer.ignored.as_deref(), Some("after `StopLogging` events still reach the guard"));
}

#[tokio::test]
async fn a_trail_that_is_stopped_is_told_once_and_again_when_it_was_fine_in_between() {
    let watch = Watch::new();
    watch.logs(Ok(false));
    watch.handle(&of_trail("StopLogging", "e-1")).await;
    let subjects = watch.subjects();
    assert!(subjects.len() == 1 && subjects[0].starts_with("[CRITICAL] BLIND 111122223333 us-east-1"), "{subjects:?}");
    let (_, again) = watch.handle(&of_trail("StopLogging", "e-1")).await;
    assert!(again.ignored.is_some(), "the same event, once more");
    watch.handle(&of_trail("UpdateTrail", "e-2")).await;
    watch.handle(&json!({"sweep": true})).await;
    assert_eq!(watch.subjects().len(), 1, "people know");
    watch.logs(Ok(true));
    watch.handle(&json!({"sweep": true})).await;
    watch.logs(Ok(false));
    watch.handle(&of_trail("StopLogging", "e-3")).await;
    assert_eq!(watch.subjects().len(), 2, "it went wrong again");
}

#[tokio::test]
async fn whatever_keeps_the_own_rule_from_delivering_is_told_and_other_rules_are_nobodys_business() {
    for state in [RuleState::Disabled, RuleState::Elsewhere, RuleState::Gone] {
        let watch = Watch::new();
        *watch.seen.rule.lock().unwrap() = Some(state);
        let (asked, other) = watch.handle(&of_rule("somebody-elses", "e-1")).await;
        assert_eq!((asked.len(), watch.subjects().len()), (0, 0));
        assert!(other.ignored.unwrap().contains("not about the guard's own"));
        let (asked, _) = watch.handle(&of_rule("guard-events", "e-2")).await;
        let subjects = watch.subjects();
        assert_eq!(asked, ["rule"]);
        assert!(subjects.len() == 1 && subjects[0].contains("rule is off"), "{state:?}: {subjects:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_worse_after_a_call_than_in_a_sweep_and_keeps_no_sweep_from_its_groups() {
    for (payload, severity) in [(of_trail("StopLogging", "e-1"), "[HIGH]"), (json!({"sweep": true}), "[MEDIUM]")] {
        let watch = Watch::new();
        watch.logs(Err("AccessDenied".to_owned()));
        *watch.seen.rule.lock().unwrap() = None;
        let (asked, answer) = watch.handle(&payload).await;
        let of_account = answer.records.iter().filter(|record| record.group.is_none() && record.clusters.is_empty());
        assert_eq!(of_account.count(), 1, "one record of the account");
        let is_sweep = asked.len() == 2;
        assert_eq!(answer.records.iter().any(|record| record.group.is_some()), is_sweep, "the groups all the same");
        let subjects = watch.subjects();
        assert!(subjects.iter().any(|subject| subject.starts_with(severity)), "{subjects:?}");
    }
}

#[tokio::test]
async fn who_looks_at_no_trails_says_so() {
    let case = Case::new(vec![]);
    let answer = case.guard.handle(&of_trail("StopLogging", "e-1"), Timestamp::MAX).await.unwrap();
    assert_eq!(answer.ignored.as_deref(), Some("`StopLogging`: nobody looks at trails here"));
}
