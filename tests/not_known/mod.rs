//! What must not make a rule known: what is known of other rules, of other groups, or of a VPC that nobody looks at.

use super::*;

fn edits_the_list(event_id: &str) -> Value {
    let mut event = call("ModifyManagedPrefixList", event_id);
    event["detail"]["requestParameters"] = json!({"ModifyManagedPrefixListRequest": {"PrefixListId": "pl-1"}});
    event
}

fn entries(cidrs: &[&str]) -> Addresses {
    cidrs.iter().map(|cidr| cidr.parse::<ipnet::IpNet>().unwrap()).collect()
}

/// Two rules from one list, `sgr-1` for the kubelet's port and `sgr-2` for one that is only reported.
async fn two_from_a_list() -> Case {
    let web = Rule { packets: Packets::Tcp(8080, 8080), ..from_list("sgr-2") };
    let rules = Mutex::new(vec![from_list("sgr-1"), web]);
    let case = Case::with_state(Arc::new(World { rules, ..World::default() }));
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    *case.world.prefix_list.lock().unwrap() = Some(entries(&["10.0.0.0/8"]));
    case.sweep().await;
    case
}

#[tokio::test]
async fn what_a_list_gained_is_not_known_through_another_rule_while_one_is_not_closed() {
    let case = two_from_a_list().await;
    *case.world.prefix_list.lock().unwrap() = Some(entries(&["10.0.0.0/8", "0.0.0.0/0"]));
    case.world.denied.lock().unwrap().push("sgr-1".into());
    let error = case.guard.handle(&edits_the_list("e-1"), Timestamp::MAX).await.unwrap_err();
    assert!(error.to_string().contains("sgr-1"), "{error}");
    case.world.denied.lock().unwrap().clear();
    let response = case.guard.handle(&edits_the_list("e-1"), Timestamp::MAX).await.unwrap();
    let expected = [("sgr-1".to_owned(), Action::Revoked), ("sgr-2".to_owned(), Action::Reported)];
    assert_eq!(actions(&response), expected);
    let lists = case.world.baselines.lock().unwrap()[GROUP].lists["pl-1"].clone();
    assert!(lists.contains(&"0.0.0.0/0".parse().unwrap()), "now it is known: {lists:?}");
}

#[tokio::test]
async fn a_group_of_another_vpc_is_looked_at_where_it_is_attached() {
    let world = World { group_vpc: Mutex::new(Some("vpc-2".into())), ..World::default() };
    let case = Case::with_state(Arc::new(world));
    // There at the first look, and attached.
    case.world.rules.lock().unwrap().push(kubelet("sgr-1"));
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    case.sweep().await;
    case.world.rules.lock().unwrap().push(kubelet("sgr-2"));
    let response = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
    let expected = [("sgr-1".to_owned(), Action::WouldRevoke), ("sgr-2".to_owned(), Action::Revoked)];
    assert_eq!(actions(&response), expected);
    assert_eq!(
        case.world.place.lock().unwrap().looks.keys().collect::<Vec<_>>(),
        ["vpc-1"],
        "nobody looked at the other"
    );
}

#[tokio::test]
async fn a_group_of_another_vpc_that_is_attached_later_is_new() {
    let world = World { group_vpc: Mutex::new(Some("vpc-2".into())), ..World::default() };
    let case = Case::with_state(Arc::new(world));
    case.world.rules.lock().unwrap().push(kubelet("sgr-1"));
    let other = Interface { groups: vec![CLUSTER_GROUP.into()], ..interface("eni-0b", None) };
    *case.world.interfaces.lock().unwrap() = vec![other];
    case.sweep().await;
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    let mut event = call("ModifyNetworkInterfaceAttribute", "e-1");
    event["detail"]["requestParameters"] =
        json!({"networkInterfaceId": "eni-0a", "groupSet": {"items": [{"groupId": GROUP}]}});
    let response = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked)]);
}
