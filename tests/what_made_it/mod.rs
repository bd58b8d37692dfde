//! What made the difference is named, in the record and to people: the entry that came into a list, what a group was put on,
//! what a call removed.

use super::*;

#[tokio::test]
async fn a_list_and_what_came_into_it_are_named_and_can_be_taken_out_again() {
    let entries = |cidrs: &[&str]| Some(cidrs.iter().map(|cidr| cidr.parse::<ipnet::IpNet>().unwrap()).collect());
    let by_list = Rule { peer: Peer::PrefixList("pl-1".into()), ..kubelet("sgr-1") };
    let case = Case::with_state(Arc::new(World { rules: Mutex::new(vec![by_list]), ..World::default() }));
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    *case.world.prefix_list.lock().unwrap() = entries(&["10.0.0.0/8", "192.0.2.0/24"]);
    case.sweep().await;
    *case.world.prefix_list.lock().unwrap() = entries(&["10.0.0.0/8", "192.0.2.0/24", "198.0.0.0/8"]);
    let mut event = call("ModifyManagedPrefixList", "e-1");
    event["detail"]["requestParameters"] = json!({"ModifyManagedPrefixListRequest": {"PrefixListId": "pl-1"}});
    let response = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked)]);
    let list = response.records[0].findings[0].list.clone().unwrap();
    assert_eq!((list.id.as_str(), list.name.as_deref(), list.count), ("pl-1", Some("office"), 3));
    assert_eq!(list.gained, ["198.0.0.0/8".parse().unwrap()]);
    let text = email::text(case.world.notices().last().unwrap());
    for part in [
        "List     198.0.0.0/8 came into prefix list office (pl-1)",
        "aws ec2 modify-managed-prefix-list --region us-east-1 --prefix-list-id pl-1 --current-version",
        " --remove-entries Cidr=198.0.0.0/8\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn what_a_group_was_put_on_is_named_with_its_instance() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    let tags = [("Name".to_owned(), "worker\n7".to_owned())].into();
    *case.world.interfaces.lock().unwrap() = vec![Interface { tags, ..interface("eni-0a", Some("i-1")) }];
    let response = case.guard.handle(&attaches_to("eni-0a", "e-1"), Timestamp::MAX).await.unwrap();
    let record = &response.records[0];
    let put_on = record.group.clone().unwrap().attachment.unwrap();
    assert_eq!((put_on.interface.as_deref(), put_on.instance.as_deref()), (Some("eni-0a"), Some("i-1")));
    assert_eq!(put_on.groups, [GROUP]);
    let text = email::text(case.world.notices().last().unwrap());
    let said = "Attached the call put the group on eni-0a of instance i-1 (worker\u{fffd}7)";
    assert!(text.contains(said), "{text}");
    let authorized = case.event(&[]).await.unwrap();
    assert!(
        authorized.records.iter().all(|record| record.group.as_ref().unwrap().attachment.is_none()),
        "no other call put it there"
    );
}

#[tokio::test]
async fn what_a_call_removed_can_be_opened_again_but_not_what_the_policy_forbids() {
    for (cidr, group, is_proposed) in [(None, Some(CLUSTER_GROUP), true), (Some("0.0.0.0/0"), None, false)] {
        let case = Case::new(healthy());
        *case.world.node_groups.lock().unwrap() = vec![GROUP.into()];
        case.world.rules.lock().unwrap().retain(|rule| rule.id != "sgr-c");
        let mut event = call("RevokeSecurityGroupIngress", "e-1");
        event["detail"]["responseElements"] = json!({"_return": true, "revokedSecurityGroupRuleSet": {"items": [
            {"securityGroupRuleId": "sgr-c", "groupId": GROUP, "isEgress": false, "ipProtocol": "tcp", "fromPort": 10250,
             "toPort": 10250, "cidrIpv4": cidr, "referencedGroupId": group}]}});
        let response = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
        assert_eq!(requirements(&response), ["control-plane-to-nodes"]);
        assert_eq!(response.records[0].group.as_ref().unwrap().removed.len(), usize::from(is_proposed), "{cidr:?}");
        let text = email::text(case.world.notices().last().unwrap());
        let command = text.lines().find(|line| line.contains("aws ec2 authorize-security-group-ingress"));
        assert_eq!(command.is_some(), is_proposed, "{text}");
        assert!(
            command.is_none_or(|command| command.contains(CLUSTER_GROUP) && command.ends_with(" --dry-run")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_others_use_is_not_closed_by_a_paste() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    let elsewhere = Interface { instance_owner: Some("amazon-rds".into()), ..interface("eni-0b", None) };
    let mine = Interface { groups: vec![GROUP.into(), "sg-own".into()], ..interface("eni-0a", Some("i-1")) };
    *case.world.interfaces.lock().unwrap() = vec![mine, elsewhere];
    let response = case.guard.handle(&attaches_to("eni-0a", "e-1"), Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Refused)]);
    let notice = case.world.notices().pop().unwrap();
    assert!(notice.subject.contains("others use the group"), "{}", notice.subject);
    let look =
        "aws ec2 describe-security-group-rules --region us-east-1 --filters Name=group-id,Values=sg-own --output table";
    let command = "# takes sg-0a1 off eni-0a, leaves sg-own\naws ec2 modify-network-interface-attribute --region \
                   us-east-1 --network-interface-id eni-0a \
                   --groups sg-own --dry-run";
    assert_eq!(notice.urgent.iter().map(|code| code.text.as_str()).collect::<Vec<_>>(), [look, command]);
}
