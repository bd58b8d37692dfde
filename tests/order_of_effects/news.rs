//! What people hear of when, and how often: one message for a call, and what makes a finding news again.

use super::*;

/// A rule that lets in from the list, in each of two groups. Only a tag makes the second one the cluster's.
fn is_used_twice(world: &World) {
    world.rules.lock().unwrap().push(from_list("sgr-1"));
    world.rules_beside.lock().unwrap().push(from_list("sgr-2"));
    *world.peer_is_tagged.lock().unwrap() = true;
    holds(world, &["0.0.0.0/0"]);
}

fn holds(world: &World, entries: &[&str]) {
    *world.prefix_list.lock().unwrap() = Some(entries.iter().map(|entry| entry.parse().unwrap()).collect());
}

fn edits_the_list(event_id: &str) -> Value {
    let mut event = call("ModifyManagedPrefixList", event_id);
    event["detail"]["requestParameters"] = json!({"ModifyManagedPrefixListRequest": {"PrefixListId": "pl-1"}});
    event
}

/// How many messages were for people, and how many for machines.
fn sent(world: &World) -> (usize, usize) {
    let sent = world.sent.lock().unwrap();
    (
        sent.iter().filter(|message| message.notice.is_some()).count(),
        sent.iter().filter(|message| message.record.is_some()).count(),
    )
}

#[tokio::test]
async fn a_call_that_concerns_many_groups_is_one_notice_and_a_record_each() {
    for has_state in [false, true] {
        let case = if has_state { looked_at(vec![]).await } else { Case::new(vec![]) };
        let world = Arc::clone(&case.world);
        is_used_twice(&world);
        let response = case.guard.handle(&edits_the_list("e-1"), Timestamp::MAX).await.unwrap();
        assert_eq!(response.records.len(), 2);
        assert_eq!(sent(&world), (1, 2), "{has_state}");
        let notice = &world.notices()[0];
        assert_eq!(notice.sections.len(), 2);
        assert!(notice.subject.contains(" OPEN ") && notice.subject.ends_with(", 1 closed"), "{}", notice.subject);
        let text = email::text(notice);
        assert!(text.contains("sgr-1") && text.contains("sgr-2") && text.contains("user/kim"), "{text}");
    }
}

#[tokio::test]
async fn the_one_notice_of_a_call_reaches_each_channel_once_whichever_message_failed() {
    for failing in [[true, false, false], [false, true, false], [false, false, true], [true, true, true]] {
        let case = looked_at(vec![]).await;
        let world = Arc::clone(&case.world);
        is_used_twice(&world);
        *world.failing_sends.lock().unwrap() = failing.to_vec();
        case.guard.handle(&edits_the_list("e-1"), Timestamp::MAX).await.unwrap_err();
        world.milliseconds.fetch_add(60_000, Ordering::Relaxed);
        let case = Case::with_state(Arc::clone(&world));
        case.guard.handle(&edits_the_list("e-1"), Timestamp::MAX).await.unwrap();
        assert_eq!(sent(&world), (1, 2), "{failing:?}");
    }
}

#[tokio::test]
async fn a_list_behind_a_reported_rule_that_grows_is_news_within_the_hour() {
    let case = looked_at(vec![]).await;
    case.world.rules.lock().unwrap().push(Rule { packets: Packets::Tcp(9000, 9000), ..from_list("sgr-1") });
    let mut said = vec![];
    for (n, entries) in
        [&["198.51.100.0/24"][..], &["198.51.100.0/25"], &["0.0.0.0/0"], &["0.0.0.0/0"]].iter().enumerate()
    {
        holds(&case.world, entries);
        let before = case.world.notices().len();
        case.guard.handle(&edits_the_list(&format!("e-{n}")), Timestamp::MAX).await.unwrap();
        said.push(case.world.notices().len() - before);
    }
    assert_eq!(said, [1, 0, 1, 0]);
}

#[tokio::test]
async fn what_was_opened_while_the_guard_only_reported_is_heard_at_once_after_an_event() {
    let enforcing = looked_at(vec![]).await;
    let reporting = Case::process(Arc::clone(&enforcing.world), (Mode::Report, Mode::Report), 50, true);
    enforcing.world.rules.lock().unwrap().push(kubelet("sgr-1"));
    reporting.event(&["sgr-1"]).await.unwrap();
    let told = enforcing.world.notices().len();
    let response = enforcing.guard.handle(&call("AuthorizeSecurityGroupEgress", "e-2"), Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::WouldRevoke)]);
    let notices = enforcing.world.notices();
    assert_eq!(notices.len(), told + 1);
    assert!(email::text(&notices[told]).contains("while the guard only reported"));
}

#[tokio::test]
async fn what_a_controller_writes_and_is_only_to_be_looked_at_waits_for_the_digest() {
    let text = "version: 1\ncontrollers: [\"arn:aws:iam::111122223333:user/kim\"]\n";
    let policy = file::load("own.yaml", text, "2026-11-23".parse().unwrap()).unwrap().policy;
    for (description, notices) in [("elbv2.k8s.aws/targetGroupBinding=shared", 0), ("by hand", 1)] {
        let own = rule("sgr-1", Packets::Tcp(9000, 9000), "0.0.0.0/0");
        let case = Case::of_policy(policy.clone(), vec![Rule { description: Some(description.into()), ..own }]);
        let mut event = authorize("e-1", &["sgr-1"]);
        let said = &mut event["detail"]["responseElements"]["securityGroupRuleSet"]["items"][0];
        (said["fromPort"], said["toPort"]) = (9000.into(), 9000.into());
        let response = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
        assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Reported)], "{description}");
        assert_eq!(case.world.notices().len(), notices, "{description}");
    }
}

/// Opens another world rule on another port, by that user.
async fn opens(case: &Case, n: u16, by: &str) {
    let (id, port) = (format!("sgr-{n}"), 9000 + n);
    case.world.rules.lock().unwrap().push(rule(&id, Packets::Tcp(port, port), "0.0.0.0/0"));
    let mut event = authorize(&format!("e-{n}"), &[&id]);
    let said = &mut event["detail"]["responseElements"]["securityGroupRuleSet"]["items"][0];
    (said["fromPort"], said["toPort"]) = (port.into(), port.into());
    event["detail"]["userIdentity"]["arn"] = format!("arn:aws:iam::111122223333:user/{by}").into();
    case.guard.handle(&event, Timestamp::MAX).await.unwrap();
}

#[tokio::test]
async fn after_twenty_messages_of_a_principal_in_an_hour_comes_one_summary_and_machines_get_all() {
    let case = looked_at(vec![]).await;
    for n in 0..25 {
        opens(&case, n, "kim").await;
    }
    assert_eq!(sent(&case.world), (21, 25));
    let last = email::text(&case.world.notices()[20]);
    assert!(last.contains("last message about this principal until") && last.contains("sgr-20"), "{last}");
    opens(&case, 25, "sam").await;
    assert_eq!(sent(&case.world), (22, 26), "another principal is heard of");
    case.world.milliseconds.fetch_add(3_600_000, Ordering::Relaxed);
    opens(&case, 26, "kim").await;
    assert_eq!(sent(&case.world), (23, 27), "the next hour");
    case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
    let digest = email::text(case.world.notices().last().unwrap());
    for n in 21..25 {
        assert!(digest.contains(&format!("(sgr-{n})")) || digest.contains("more"), "sgr-{n}: {digest}");
    }
    assert!(digest.contains("Unchanged, and still open: 23 findings"), "{digest}");
}

#[tokio::test]
async fn a_table_that_does_not_count_lets_every_message_through() {
    let case = looked_at(vec![]).await;
    for n in 0..19 {
        opens(&case, n, "kim").await;
    }
    *case.world.state_is_down.lock().unwrap() = true;
    for n in 19..25 {
        let world = &case.world;
        let id = format!("sgr-{n}");
        world.rules.lock().unwrap().push(kubelet(&id));
        let _error = case.guard.handle(&authorize(&format!("e-{n}"), &[&id]), Timestamp::MAX).await.unwrap_err();
    }
    assert_eq!(sent(&case.world).0, 25);
}
