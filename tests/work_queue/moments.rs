//! What is told later: what was open for a moment, what a cluster lacks for longer than a minute, rules without an event.

use super::*;

/// An edit of the list, with the entry that it gains.
fn gains(event_id: &str, entry: &str) -> Value {
    let mut event = call("ModifyManagedPrefixList", event_id);
    event["detail"]["requestParameters"] = json!({"ModifyManagedPrefixListRequest":
        {"PrefixListId": "pl-1", "CurrentVersion": 1, "AddEntry": {"Cidr": entry, "tag": 1}}});
    event
}

/// In a VPC that sweeps look at, in parts.
fn in_a_vpc(rules: Vec<Rule>) -> Case {
    let case = Case::queued(rules, true);
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-1", Some("i-1"))];
    *case.world.idle_groups.lock().unwrap() = 1;
    case
}

/// A call that says so; when the guard looks, the rule is gone.
async fn opens_what_is_only_looked_at(case: &Case, id: &str) {
    let tolerated = rule(id, Packets::Tcp(8080, 8080), "0.0.0.0/0");
    case.invoke(&claims(authorize("e-1", &[id]), &tolerated)).await.unwrap();
}

fn holds(case: &Case, entries: &[&str]) {
    *case.world.prefix_list.lock().unwrap() = Some(entries.iter().map(|entry| entry.parse().unwrap()).collect());
}

#[tokio::test]
async fn a_list_that_held_the_world_for_a_moment_is_told_after_one_more_look() {
    for (entry, told) in [("0.0.0.0/0", 1), ("10.9.0.0/16", 0), ("10.0.0.0/8", 0)] {
        let case = Case::queued(vec![from_list("sgr-1")], true);
        holds(&case, &["10.0.0.0/8"]);
        case.invoke(&gains("e-1", entry)).await.unwrap();
        assert_eq!(case.told().len(), 0, "{entry}");
        case.pass(60).await;
        assert_eq!((case.told().len(), case.waiting()), (told, 0), "{entry}: {:?}", case.told());
        assert!(case.told().iter().all(|mail| mail.contains("according to the event") && mail.contains("sgr-1")));
        assert_eq!(case.world.left(), ["sgr-1"], "never acted on");
    }
}

#[tokio::test]
async fn a_list_that_still_holds_the_world_at_the_second_look_is_no_matter_of_the_past() {
    let case = in_a_vpc(vec![from_list("sgr-1")]);
    holds(&case, &["10.0.0.0/8"]);
    case.invoke(&json!({"sweep": true})).await.unwrap();
    case.pass(600).await;
    case.invoke(&gains("e-1", "0.0.0.0/0")).await.unwrap();
    holds(&case, &["10.0.0.0/8", "0.0.0.0/0"]);
    let answers = case.pass(60).await;
    assert_eq!(actions(&answers[0].1), [("sgr-1".to_owned(), Action::Revoked)]);
}

#[tokio::test]
async fn a_group_that_was_on_a_node_for_a_moment_is_told_after_one_more_look() {
    for (rule, told) in [(kubelet("sgr-9"), 1), (rule("sgr-9", Packets::Tcp(10250, 10250), "10.0.0.0/8"), 0)] {
        let case = in_a_vpc(vec![]);
        case.world.rules_beside.lock().unwrap().push(rule);
        let mut event = attaches_to("eni-1", "e-1");
        event["detail"]["requestParameters"]["groupSet"] =
            json!({"items": [{"groupId": GROUP}, {"groupId": IDLE_GROUP}]});
        case.invoke(&event).await.unwrap();
        case.pass(60).await;
        assert_eq!((case.told().len(), case.waiting()), (told, 0), "{:?}", case.told());
        assert!(case.told().iter().all(|mail| mail.contains(IDLE_GROUP) && mail.contains("according to the event")));
    }
}

#[tokio::test]
async fn what_was_open_and_only_to_be_looked_at_stands_in_the_next_digest_once() {
    let case = in_a_vpc(vec![]);
    opens_what_is_only_looked_at(&case, "sgr-1").await;
    case.pass(60).await;
    assert_eq!(case.told().len(), 0, "it waits");
    for digests_by_then in [1, 1] {
        case.invoke(&json!({"sweep": true})).await.unwrap();
        case.pass(600).await;
        let told = case.told();
        assert_eq!(told.len(), digests_by_then, "{told:?}");
        assert!(told[0].contains("8080") && told[0].contains("user/kim"), "{}", told[0]);
    }
}

#[tokio::test]
async fn what_was_open_in_a_cluster_that_is_gone_stands_in_anothers_digest_after_two_days() {
    let case = in_a_vpc(vec![]);
    opens_what_is_only_looked_at(&case, "sgr-1").await;
    case.pass(60).await;
    let gone = |record: &Record| Record { clusters: vec!["gone".into()], ..record.clone() };
    let all: Vec<Record> = case.world.waiting.lock().unwrap().records().iter().map(gone).collect();
    *case.world.waiting.lock().unwrap() =
        eks_sg_guard::report::waiting::Waiting::default().with(&all, &BTreeSet::new());
    for (hours, digests_by_then) in [(1, 0), (48, 1), (1, 1)] {
        case.pass(hours * 3600).await;
        case.invoke(&json!({"sweep": true})).await.unwrap();
        case.pass(600).await;
        assert_eq!(case.told().len(), digests_by_then, "{hours}: {:?}", case.told());
    }
}

#[tokio::test]
async fn the_digest_that_one_channel_did_not_take_reaches_it_at_the_next_try_and_nobody_twice() {
    let case = in_a_vpc(vec![kubelet("sgr-1")]);
    case.invoke(&json!({"sweep": true})).await.unwrap();
    *case.world.failing_sends.lock().unwrap() = vec![true];
    case.pass(3600).await;
    assert_eq!((digests(&case).len(), case.waiting(), case.ended()), (1, 0, 1));
    assert_eq!(case.world.outboxes.lock().unwrap().len(), 1, "it is kept for the next try");
}

#[tokio::test]
async fn what_comes_to_wait_while_a_digest_is_tried_again_is_told_too() {
    let case = in_a_vpc(vec![kubelet("sgr-1")]);
    case.invoke(&json!({"sweep": true})).await.unwrap();
    *case.world.failing_sends.lock().unwrap() = vec![true, false];
    case.pass(5).await;
    assert_eq!(case.waiting(), 1, "the part, for its digest");
    opens_what_is_only_looked_at(&case, "sgr-2").await;
    case.pass(3600).await;
    let told = case.told();
    assert!(told.iter().any(|mail| mail.contains("8080") && mail.contains("user/kim")), "{told:#?}");
    assert!(case.world.waiting.lock().unwrap().records().is_empty());
}

#[tokio::test]
async fn new_rules_of_which_no_event_tells_within_an_hour_stand_in_the_digest_once() {
    for heard_after in [None, Some(600)] {
        let case = in_a_vpc(vec![]);
        let sweep = json!({"sweep": true});
        let lost = |case: &Case| case.told().iter().filter(|mail| mail.contains("no event came for")).count();
        case.invoke(&sweep).await.unwrap();
        case.pass(600).await;
        case.changes(vec![kubelet("sgr-1")]);
        case.invoke(&sweep).await.unwrap();
        case.pass(600).await;
        assert!(case.world.left().is_empty() && lost(&case) == 0, "it is closed, and an event may still come");
        if let Some(seconds) = heard_after {
            case.pass(seconds).await;
            case.invoke(&authorize("e-1", &["sgr-1"])).await.unwrap();
        }
        let expected = usize::from(heard_after.is_none());
        for _ in 0..2 {
            case.pass(3600).await;
            case.invoke(&sweep).await.unwrap();
            case.pass(600).await;
            assert_eq!(lost(&case), expected, "{heard_after:?}: {:?}", case.told());
        }
    }
}

#[tokio::test]
async fn what_a_call_took_from_a_cluster_is_told_if_it_is_still_missing_after_a_minute() {
    for comes_back in [false, true] {
        let case = Case::queued(healthy(), true);
        *case.world.node_groups.lock().unwrap() = vec![GROUP.into()];
        case.changes(healthy().into_iter().filter(|rule| rule.id != "sgr-c").collect());
        let answer = case.invoke(&call("RevokeSecurityGroupIngress", "e-1")).await.unwrap();
        assert_eq!((requirements(&answer), case.told().len(), case.waiting()), (vec![], 0, 1), "{comes_back}");
        if comes_back {
            case.changes(healthy());
        }
        let answers = case.pass(120).await;
        assert_eq!(answers[0].0, 60);
        let missing = if comes_back { vec![] } else { vec!["control-plane-to-nodes"] };
        assert_eq!(requirements(&answers[0].1), missing, "{comes_back}");
        assert_eq!((case.told().len(), case.waiting()), (missing.len(), 0), "{comes_back}: {:?}", case.told());
        assert!(case.told().iter().all(|mail| mail.contains("user/kim")), "and who did it");
    }
}
