//! Nothing is lost: the process dies at each of its calls, channels and the table fail, others are faster. In the end
//! what was done is told, as ours, with the event that it began with.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use super::*;

/// Everything that machines were told of rules: event, id and action.
fn told(world: &World) -> Vec<(String, String, Action)> {
    let sent = world.sent.lock().unwrap();
    let records = sent.iter().filter_map(|message| message.record.as_deref());
    let records = records.map(|json| serde_json::from_str::<Record>(json).unwrap());
    let of = |record: Record| {
        let event = record.event_id.clone().unwrap_or_default();
        let rules =
            record.findings.into_iter().filter_map(|finding| Some((finding.rule()?.id.clone(), finding.action)));
        rules.map(|(id, action)| (event.clone(), id, action)).collect::<Vec<_>>()
    };
    let mut told: Vec<(String, String, Action)> = records.flat_map(of).collect();
    told.sort();
    told
}

fn revoked(event: &str, ids: &[&str]) -> Vec<(String, String, Action)> {
    ids.iter().map(|id| (event.to_owned(), (*id).to_owned(), Action::Revoked)).collect()
}

fn world(rules: Vec<Rule>) -> Arc<World> {
    Arc::new(World { rules: Mutex::new(rules), ..World::default() })
}

/// A process that dies at its nth call. Whether it lived to the end.
async fn dies_at(world: &Arc<World>, n: usize, event: &Value) -> bool {
    lives(&Case::with_state(Arc::clone(world)), n, event).await
}

/// Whether this process lived to the end, or died at its nth call.
pub(crate) async fn lives(process: &Case, n: usize, event: &Value) -> bool {
    *process.world.dies_in.lock().unwrap() = Some(n);
    let done = AssertUnwindSafe(process.guard.handle(event, Timestamp::MAX)).catch_unwind().await;
    *process.world.dies_in.lock().unwrap() = None;
    done.is_ok()
}

/// New processes try, a minute apart, until one is content.
async fn retried(world: &Arc<World>, event: &Value) {
    for _ in 0..5 {
        world.milliseconds.fetch_add(60_000, Ordering::Relaxed);
        let process = Case::with_state(Arc::clone(world));
        if process.guard.handle(event, Timestamp::MAX).await.is_ok() {
            return;
        }
    }
    panic!("five tries were not enough");
}

/// The last call that a world saw before the process died.
fn last(world: &World) -> String {
    world.calls("").pop().unwrap_or_default()
}

#[tokio::test]
async fn a_process_that_dies_at_any_call_leaves_nothing_untold_and_nothing_told_as_anothers() {
    let event = authorize("e-1", &["sgr-1", "sgr-2"]);
    let expected = revoked("e-1", &["sgr-1", "sgr-2"]);
    for first in 0.. {
        let alive = dies_at(&world(vec![kubelet("sgr-1"), kubelet("sgr-2")]), first, &event).await;
        for second in (first % 3..40).step_by(3) {
            let world = world(vec![kubelet("sgr-1"), kubelet("sgr-2")]);
            let mut sent_last = usize::from(!dies_at(&world, first, &event).await && last(&world) == "send");
            let lived = dies_at(&world, second, &event).await;
            sent_last += usize::from(!lived && last(&world) == "send");
            retried(&world, &event).await;
            assert!(world.left().is_empty());
            let mut all = told(&world);
            let times = all.len() / expected.len();
            all.dedup();
            assert_eq!(all, expected, "dead at {first}, then at {second}: {:?}", world.calls(""));
            assert!(times <= 1 + sent_last, "{times} times, dead at {first}, then at {second}: {:?}", world.calls(""));
            if lived {
                break;
            }
        }
        if alive {
            return;
        }
    }
}

/// The group of a rule that was revoked does not use the list any more.
#[tokio::test]
async fn what_a_list_opened_is_told_although_nothing_leads_to_the_group_any_more() {
    let mut event = call("ModifyManagedPrefixList", "e-1");
    event["detail"]["requestParameters"] = json!({"ModifyManagedPrefixListRequest": {"PrefixListId": "pl-0a"}});
    for dead_at in 0.. {
        let world = world(vec![Rule { peer: Peer::PrefixList("pl-0a".into()), ..kubelet("sgr-1") }]);
        *world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
        let process = || Case::process(Arc::clone(&world), (Mode::Enforce, Mode::Enforce), 50, true);
        let lived = lives(&process(), dead_at, &event).await;
        world.milliseconds.fetch_add(60_000, Ordering::Relaxed);
        process().guard.handle(&event, Timestamp::MAX).await.unwrap();
        let mut all = told(&world);
        all.dedup();
        assert_eq!(all, revoked("e-1", &["sgr-1"]), "dead at {dead_at}: {:?}", world.calls(""));
        if lived {
            return;
        }
    }
}

#[tokio::test]
async fn what_an_event_did_is_told_with_it_by_whatever_looks_at_the_group_next() {
    let own = |mut event: Value| {
        event["detail"]["userIdentity"] = json!({"type": "AssumedRole",
            "arn": "arn:aws:sts::111122223333:assumed-role/eks-sg-guard/eks-sg-guard",
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": OWN_ROLE, "userName": "eks-sg-guard"}}});
        event
    };
    for (name, next, minutes, is_told) in [
        ("the call itself comes back", own(call("RevokeSecurityGroupIngress", "e-own")), 0, true),
        ("another event", call("AuthorizeSecurityGroupIngress", "e-2"), 5, true),
        ("another event, while the first try may be at it", call("AuthorizeSecurityGroupIngress", "e-2"), 1, false),
        ("an event that names the rule", authorize("e-3", &["sgr-1"]), 5, true),
        ("a sweep", json!({"sweep": {"groups": [GROUP]}}), 5, true),
    ] {
        for dead_at in [8, 9, 10] {
            let world = world(vec![kubelet("sgr-1")]);
            assert!(!dies_at(&world, dead_at, &authorize("e-1", &["sgr-1"])).await, "{:?}", world.calls(""));
            assert!(world.left().is_empty(), "after the revoke: {:?}", world.calls(""));
            world.milliseconds.fetch_add(minutes * 60_000, Ordering::Relaxed);
            let process = Case::with_state(Arc::clone(&world));
            let response = process.guard.handle(&next, Timestamp::MAX).await.unwrap();
            let expected = if is_told { revoked("e-1", &["sgr-1"]) } else { Vec::new() };
            assert_eq!(told(&world), expected, "{name}, dead at {dead_at}");
            if is_told {
                let record = response.records.iter().find(|record| !record.findings.is_empty()).unwrap();
                assert_eq!(record.actor.as_ref().unwrap().arn.as_deref(), Some("arn:aws:iam::111122223333:user/kim"));
                assert_eq!(record.event_time, Some("2026-11-23T02:59:58Z".parse().unwrap()), "{name}");
                assert!(!record.findings[0].portions[0].reason.is_empty(), "{name}");
            }
            retried(&world, &authorize("e-1", &["sgr-1"])).await;
            assert_eq!(told(&world), revoked("e-1", &["sgr-1"]), "{name}, and then the event itself");
        }
    }
}

#[tokio::test]
async fn what_was_done_is_told_also_when_the_group_is_gone_when_the_retry_comes() {
    let world = world(vec![kubelet("sgr-1")]);
    let event = authorize("e-1", &["sgr-1"]);
    assert!(!dies_at(&world, 9, &event).await);
    assert!(world.left().is_empty());
    *world.group_is_gone.lock().unwrap() = true;
    retried(&world, &event).await;
    assert_eq!(told(&world), revoked("e-1", &["sgr-1"]));
    assert!(world.sent.lock().unwrap()[0].attributes.contains(&("cluster", "prod".to_owned())));
}

/// The journal never holds what somebody else did: neither what EC2 refused us, nor what was gone when our call came.
#[tokio::test]
async fn what_others_closed_is_never_ours() {
    let event = authorize("e-1", &["sgr-1"]);
    let denied = world(vec![kubelet("sgr-1")]);
    denied.denied.lock().unwrap().push("sgr-1".into());
    let process = Case::with_state(Arc::clone(&denied));
    process.guard.handle(&event, Timestamp::MAX).await.unwrap_err();
    denied.rules.lock().unwrap().clear();
    retried(&denied, &event).await;
    let said: BTreeSet<Action> = told(&denied).into_iter().map(|(.., action)| action).collect();
    assert_eq!(said, [Action::Failed, Action::WasOpen].into());

    let faster = world(vec![kubelet("sgr-1")]);
    let vanish: Box<dyn Fn(&World) + Send> = Box::new(|world| world.rules.lock().unwrap().clear());
    *faster.surprise.lock().unwrap() = Some(("revoke", 0, vanish));
    let process = Case::with_state(Arc::clone(&faster));
    let answer = process.guard.handle(&event, Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&answer), [("sgr-1".to_owned(), Action::AlreadyGone)]);
    assert_eq!(told(&faster), []);
    assert!(faster.journals.lock().unwrap()[GROUP].entries.is_empty());
}

#[tokio::test]
async fn a_table_that_hangs_or_fails_delays_no_revoke_and_it_is_said() {
    for hangs in [true, false] {
        let world = world(vec![kubelet("sgr-1")]);
        *world.journal_hangs.lock().unwrap() = hangs;
        *world.state_is_down.lock().unwrap() = !hangs;
        let process = Case::with_state(Arc::clone(&world));
        let before = world.milliseconds.load(Ordering::Relaxed);
        let waited: Arc<AtomicI64> = Arc::default();
        let note = Arc::clone(&waited);
        let at: Box<dyn Fn(&World) + Send> =
            Box::new(move |world| note.store(world.milliseconds.load(Ordering::Relaxed), Ordering::Relaxed));
        *world.surprise.lock().unwrap() = Some(("revoke", 0, at));
        let error = chain(&process.guard.handle(&authorize("e-1", &["sgr-1"]), Timestamp::MAX).await.unwrap_err());
        assert!(error.contains("the journal of `sg-0a1` could not be written"), "{error}");
        assert!(waited.load(Ordering::Relaxed) - before <= 100, "hangs: {hangs}");
        assert_eq!(told(&world), revoked("e-1", &["sgr-1"]));
    }
}

/// Another channel of the same world.
pub(crate) struct Beside(pub(crate) Fake, pub(crate) Mutex<Vec<Message>>);

#[async_trait]
impl Channel for Beside {
    fn name(&self) -> &'static str {
        "records"
    }
    async fn send(&self, message: &Message) -> Result<(), Cause> {
        self.0.0.call("send".into());
        self.1.lock().unwrap().push(message.clone());
        Ok(())
    }
}

/// A process with two channels, the first of which may fail.
pub(crate) fn with_two_channels(world: &Arc<World>, beside: &Arc<Beside>) -> Dispatcher {
    let fake = Arc::new(Fake(Arc::clone(world)));
    let setup = setup(world, vec![fake.clone(), Arc::clone(beside) as Arc<dyn Channel>]);
    Dispatcher::new([(setup.location.clone(), Guard::new(setup))].into(), None).with_queue(fake, work_queue::name())
}

#[tokio::test]
async fn a_channel_that_failed_gets_what_is_missing_once_and_as_it_was_and_the_others_nothing() {
    for failures in 0..4 {
        let world = world(vec![kubelet("sgr-1")]);
        let beside = Arc::new(Beside(Fake(Arc::clone(&world)), Mutex::default()));
        *world.failing_sends.lock().unwrap() = vec![true; failures];
        let event = authorize("e-1", &["sgr-1"]);
        for n in 0..=failures {
            world.milliseconds.fetch_add(1000, Ordering::Relaxed);
            let done = with_two_channels(&world, &beside).handle(&event, Timestamp::MAX).await;
            assert_eq!(done.is_ok(), n == failures, "{failures} failures, try {n}");
            assert_eq!(beside.1.lock().unwrap().len(), 1, "{failures} failures, try {n}");
        }
        assert_eq!(told(&world), revoked("e-1", &["sgr-1"]));
        assert_eq!(*world.sent.lock().unwrap(), *beside.1.lock().unwrap(), "as it was");
    }
}

/// Two processes get the same event at the same time.
#[tokio::test]
async fn of_two_processes_one_tells() {
    let event = authorize("e-1", &["sgr-1"]);
    for n in 0..14 {
        let world = world(vec![kubelet("sgr-1")]);
        let second = Case::with_state(Arc::clone(&world));
        let other = event.clone();
        // The second one runs from its start to its end before the nth call of the first one.
        let runs: Box<dyn Fn(&World) + Send> = Box::new(move |_| {
            let done = second.guard.handle(&other, Timestamp::MAX).now_or_never();
            assert!(done.is_some(), "nothing of the fakes waits");
        });
        *world.surprise.lock().unwrap() = Some(("", n, runs));
        let first = Case::with_state(Arc::clone(&world));
        let _ = first.guard.handle(&event, Timestamp::MAX).await;
        retried(&world, &event).await;
        assert_eq!(told(&world), revoked("e-1", &["sgr-1"]), "{n}: {:?}", world.calls(""));
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_ours_when_the_rule_is_gone() {
    let world = world(vec![kubelet("sgr-1")]);
    *world.answers_are_lost.lock().unwrap() = true;
    let process = Case::with_state(Arc::clone(&world));
    process.guard.handle(&authorize("e-1", &["sgr-1"]), Timestamp::MAX).await.unwrap();
    assert_eq!(told(&world), revoked("e-1", &["sgr-1"]));
}

#[tokio::test]
async fn what_a_person_closes_after_a_revoke_that_did_nothing_is_not_ours() {
    let action = || "ec2:RevokeSecurityGroupIngress".to_owned();
    for said in [
        CloudError::NotDone { action: action(), source: "RequestLimitExceeded".into() },
        CloudError::Failed { action: action(), source: "InternalError".into() },
    ] {
        let world = world(vec![kubelet("sgr-1")]);
        *world.revokes_nothing.lock().unwrap() = Some(said);
        let process = Case::with_state(Arc::clone(&world));
        process.guard.handle(&authorize("e-1", &["sgr-1"]), Timestamp::MAX).await.unwrap_err();
        world.rules.lock().unwrap().clear();
        retried(&world, &authorize("e-1", &["sgr-1"])).await;
        let ours = told(&world).into_iter().filter(|(_, _, action)| action.is_closed_by_us());
        assert_eq!(ours.count(), 0, "{:?}", told(&world));
    }
}
