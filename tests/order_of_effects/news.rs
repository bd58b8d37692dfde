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
        assert!(notice.subject.contains("2 groups"), "{}", notice.subject);
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
