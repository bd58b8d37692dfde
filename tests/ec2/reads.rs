//! Groups, interfaces, instances, VPC ranges and prefix lists.

use aws_sdk_ec2::Client;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use eks_sg_guard::adapters::ec2::Ec2Client;
use eks_sg_guard::model::error::chain;
use eks_sg_guard::model::facts::{GroupFacts, Instance, Instances, Interface, Rules, Selector};
use eks_sg_guard::model::region::Addresses;
use eks_sg_guard::ports::Ec2;

use crate::{asks, ok};

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn nets(texts: &[&str]) -> Addresses {
    texts.iter().map(|text| text.parse::<ipnet::IpNet>().unwrap()).collect()
}

const GROUP: &str = "<item><ownerId>111122223333</ownerId><groupId>sg-1</groupId><groupName>nodes</groupName>\
    <groupDescription>d</groupDescription><vpcId>vpc-1</vpcId><ipPermissions/><ipPermissionsEgress/><tagSet><item>\
    <key>aws:eks:cluster-name</key><value>prod</value></item></tagSet></item>";

#[tokio::test]
async fn groups_are_asked_for_by_filter_so_that_an_unknown_id_is_simply_missing() {
    let rule = mock!(Client::describe_security_groups)
        .match_requests(|request| {
            request.group_ids().is_empty() && asks(request.filters(), &[("group-id", &["sg-1", "sg-gone"])])
        })
        .then_http_response(|| {
            ok("DescribeSecurityGroups", &format!("<securityGroupInfo>{GROUP}</securityGroupInfo>"))
        });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let found = client.groups(&Selector::Ids(ids(&["sg-gone", "sg-1", "sg-1"]))).await.unwrap();
    let expected = GroupFacts {
        id: "sg-1".to_owned(),
        name: "nodes".to_owned(),
        vpc: "vpc-1".to_owned(),
        owner: "111122223333".to_owned(),
        tags: [("aws:eks:cluster-name".to_owned(), "prod".to_owned())].into(),
    };
    assert_eq!(found, [expected]);
}

#[tokio::test]
async fn groups_of_vpcs_are_asked_for_by_vpc() {
    let rule = mock!(Client::describe_security_groups)
        .match_requests(|request| asks(request.filters(), &[("vpc-id", &["vpc-1", "vpc-2"])]))
        .then_http_response(|| {
            ok("DescribeSecurityGroups", &format!("<securityGroupInfo>{GROUP}</securityGroupInfo>"))
        });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    assert_eq!(client.groups(&Selector::Vpcs(ids(&["vpc-1", "vpc-2"]))).await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_ids_and_texts_that_are_no_ids_are_no_call() {
    let rules: [&aws_smithy_mocks::Rule; 0] = [];
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, rules));
    assert_eq!(client.groups(&Selector::Ids(Vec::new())).await.unwrap(), []);
    assert_eq!(client.rules(&ids(&["sg-*", "sg-?", ""])).await.unwrap(), Rules::default());
}

#[tokio::test]
async fn two_hundred_and_fifty_groups_are_two_calls_and_an_interface_of_both_comes_once() {
    let body = "<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId></item></networkInterfaceSet>";
    let rules = [200, 50].map(|values| {
        mock!(Client::describe_network_interfaces)
            .match_requests(move |request| request.filters()[0].values().len() == values)
            .then_http_response(move || ok("DescribeNetworkInterfaces", body))
    });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, RuleMode::MatchAny, &rules));
    let selector = Selector::Ids((0..250).map(|n| format!("sg-{n}")).collect());
    let found = client.interfaces(&selector).await.unwrap();
    assert_eq!(found.found.iter().map(|interface| interface.id.as_str()).collect::<Vec<_>>(), ["eni-1"]);
    assert_eq!(rules.map(|rule| rule.num_calls()), [1, 1]);
}

#[tokio::test]
async fn the_interfaces_of_an_attachment_are_asked_by_the_kind_of_its_id() {
    let body = "<networkInterfaceSet><item><groupSet><item><groupId>sg-2</groupId></item></groupSet></item>\
        <item><groupSet><item><groupId>sg-1</groupId></item><item><groupId>sg-2</groupId></item></groupSet></item>\
        </networkInterfaceSet>";
    for (attachment, name) in [("eni-1", "network-interface-id"), ("i-1", "attachment.instance-id")] {
        let rule = mock!(Client::describe_network_interfaces)
            .match_requests(move |request| asks(request.filters(), &[(name, &[attachment])]))
            .then_http_response(move || ok("DescribeNetworkInterfaces", body));
        let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
        let found = client.interfaces_of(attachment).await.unwrap();
        let groups: Vec<&[String]> = found.iter().map(|interface| interface.groups.as_slice()).collect();
        assert_eq!(groups, [ids(&["sg-2"]), ids(&["sg-1", "sg-2"])]);
    }
}

#[tokio::test]
async fn users_of_a_list_are_found_in_both_directions_and_once() {
    let body = "<securityGroupInfo><item><groupId>sg-1</groupId></item></securityGroupInfo>";
    let rules = ["ip-permission.prefix-list-id", "egress.ip-permission.prefix-list-id"].map(|name| {
        mock!(Client::describe_security_groups)
            .match_requests(move |request| asks(request.filters(), &[(name, &["pl-1"])]))
            .then_http_response(move || ok("DescribeSecurityGroups", body))
    });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, RuleMode::MatchAny, &rules));
    assert_eq!(client.groups_using("pl-1").await.unwrap(), ["sg-1"]);
    assert_eq!(rules.map(|rule| rule.num_calls()), [1, 1]);
}

#[tokio::test]
async fn interfaces_say_who_owns_and_requested_them() {
    let items = "<item><networkInterfaceId>eni-1</networkInterfaceId><vpcId>vpc-1</vpcId><subnetId>subnet-1</subnetId>\
        <privateIpAddressesSet><item><privateIpAddress>10.0.0.7</privateIpAddress></item><item><association>\
        <publicIp>203.0.113.7</publicIp></association></item></privateIpAddressesSet>\
        <ipv6AddressesSet><item><ipv6Address>2001:db8::7</ipv6Address></item></ipv6AddressesSet>\
        <denyAllIgwTraffic>true</denyAllIgwTraffic>\
        <description>Amazon EKS prod</description><ownerId>111122223333</ownerId><requesterId>AROAX:AmazonEKS</requesterId>\
        <requesterManaged>true</requesterManaged><status>in-use</status><interfaceType>interface</interfaceType>\
        <groupSet><item><groupId>sg-1</groupId><groupName>a</groupName></item>\
        <item><groupId>sg-2</groupId></item></groupSet>\
        <attachment><attachmentId>ela-attach-1</attachmentId><instanceOwnerId>999988887777</instanceOwnerId></attachment>\
        <tagSet><item><key>k</key><value>v</value></item></tagSet></item>\
        <item><networkInterfaceId>eni-2</networkInterfaceId><vpcId>vpc-1</vpcId><description/>\
        <ownerId>111122223333</ownerId><requesterManaged>false</requesterManaged><interfaceType>trunk</interfaceType>\
        <groupSet/>\
        <attachment><instanceId>i-1</instanceId><instanceOwnerId>111122223333</instanceOwnerId></attachment></item>";
    let rule = mock!(Client::describe_network_interfaces)
        .match_requests(|request| {
            request.include_managed_resources() == Some(true) && asks(request.filters(), &[("group-id", &["sg-1"])])
        })
        .then_http_response(move || {
            ok("DescribeNetworkInterfaces", &format!("<networkInterfaceSet>{items}</networkInterfaceSet>"))
        });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let found = client.interfaces(&Selector::Ids(ids(&["sg-1"]))).await.unwrap();
    let control_plane = Interface {
        id: "eni-1".to_owned(),
        vpc: "vpc-1".to_owned(),
        owner: "111122223333".to_owned(),
        groups: ids(&["sg-1", "sg-2"]),
        description: "Amazon EKS prod".to_owned(),
        kind: "interface".to_owned(),
        requester: Some("AROAX:AmazonEKS".to_owned()),
        requester_managed: true,
        instance: None,
        instance_owner: Some("999988887777".to_owned()),
        subnet: "subnet-1".to_owned(),
        public_v4: Some("203.0.113.7".to_owned()),
        v6: Some("2001:db8::7".to_owned()),
        denies_gateways: true,
        tags: [("k".to_owned(), "v".to_owned())].into(),
    };
    assert_eq!(found.found[0], control_plane);
    assert_eq!((found.found[1].kind.as_str(), found.found[1].instance.as_deref()), ("trunk", Some("i-1")));
}

#[tokio::test]
async fn instances_have_the_groups_of_all_their_interfaces_and_terminated_ones_are_left_out() {
    let items = "<item><reservationId>r-1</reservationId><instancesSet>\
        <item><instanceId>i-1</instanceId><instanceState><code>16</code><name>running</name></instanceState>\
        <vpcId>vpc-1</vpcId><groupSet><item><groupId>sg-2</groupId></item></groupSet><networkInterfaceSet>\
        <item><groupSet><item><groupId>sg-2</groupId></item></groupSet></item>\
        <item><groupSet><item><groupId>sg-1</groupId></item></groupSet></item></networkInterfaceSet>\
        <tagSet><item><key>eks:cluster-name</key><value>prod</value></item></tagSet></item>\
        <item><instanceId>i-2</instanceId><instanceState><code>48</code><name>terminated</name></instanceState></item>\
        </instancesSet></item>";
    let rule = mock!(Client::describe_instances)
        .match_requests(|request| {
            request.include_managed_resources() == Some(true) && asks(request.filters(), &[("instance-id", &["i-1"])])
        })
        .then_http_response(move || ok("DescribeInstances", &format!("<reservationSet>{items}</reservationSet>")));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let found = client.instances(&Instances::Ids(ids(&["i-1"]))).await.unwrap();
    let expected = Instance {
        id: "i-1".to_owned(),
        vpc: "vpc-1".to_owned(),
        groups: ids(&["sg-1", "sg-2"]),
        primary_groups: ids(&["sg-2"]),
        tags: [("eks:cluster-name".to_owned(), "prod".to_owned())].into(),
    };
    assert_eq!(found, [expected]);
}

#[tokio::test]
async fn ranges_of_a_vpc_are_those_associated_now_in_both_families() {
    let v4 = |cidr: &str, state: &str| {
        format!("<item><cidrBlock>{cidr}</cidrBlock><cidrBlockState><state>{state}</state></cidrBlockState></item>")
    };
    let body = format!(
        "<vpcSet><item><vpcId>vpc-1</vpcId><cidrBlock>10.0.0.0/16</cidrBlock><cidrBlockAssociationSet>{}{}{}\
         </cidrBlockAssociationSet><ipv6CidrBlockAssociationSet><item><ipv6CidrBlock>2001:db8:1::/56</ipv6CidrBlock>\
         <ipv6CidrBlockState><state>associated</state></ipv6CidrBlockState></item></ipv6CidrBlockAssociationSet>\
         </item></vpcSet>",
        v4("10.0.0.0/16", "associated"),
        v4("100.64.0.0/16", "associated"),
        v4("203.0.113.0/24", "disassociated"),
    );
    let rule = mock!(Client::describe_vpcs)
        .match_requests(|request| request.filters().is_empty())
        .then_http_response(move || ok("DescribeVpcs", &body));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let found = client.vpc_ranges().await.unwrap();
    let expected = nets(&["10.0.0.0/16", "100.64.0.0/16", "2001:db8:1::/56"]);
    assert_eq!(found, [("vpc-1".to_owned(), expected)].into());
}

#[tokio::test]
async fn what_a_prefix_list_holds_is_not_known_while_it_changes() {
    for (state, is_known) in [
        ("create-in-progress", false),
        ("modify-in-progress", false),
        ("restore-in-progress", false),
        ("modify-complete", true),
        ("modify-failed", true),
    ] {
        let list = mock!(Client::describe_managed_prefix_lists).then_http_response(move || {
            let item = format!("<item><prefixListId>pl-1</prefixListId><state>{state}</state></item>");
            ok("DescribeManagedPrefixLists", &format!("<prefixListSet>{item}</prefixListSet>"))
        });
        let entries = mock!(Client::get_managed_prefix_list_entries)
            .then_http_response(|| ok("GetManagedPrefixListEntries", "<entrySet/>"));
        let client = Ec2Client::from(mock_client!(aws_sdk_ec2, RuleMode::MatchAny, [&list, &entries]));
        let found = client.prefix_list("pl-1").await;
        assert_eq!(found.is_ok(), is_known, "{state}");
        if let Err(error) = found {
            assert!(chain(&error).contains(&format!("`{state}`")), "{error}");
        }
    }
}

#[tokio::test]
async fn a_prefix_list_has_its_owner_and_every_page_of_its_entries() {
    let list = mock!(Client::describe_managed_prefix_lists)
        .match_requests(|request| request.prefix_list_ids() == ["pl-1"])
        .then_http_response(|| {
            let item = "<item><prefixListId>pl-1</prefixListId><prefixListName>com.amazonaws.global.cloudfront.origin-facing\
                </prefixListName><addressFamily>IPv4</addressFamily><ownerId>AWS</ownerId></item>";
            ok("DescribeManagedPrefixLists", &format!("<prefixListSet>{item}</prefixListSet>"))
        });
    let pages = [(None, "<nextToken>more</nextToken>", "0.0.0.0/1"), (Some("more"), "", "128.0.0.0/1")];
    let pages = pages.map(|(token, next, cidr)| {
        mock!(Client::get_managed_prefix_list_entries)
            .match_requests(move |request| request.prefix_list_id() == Some("pl-1") && request.next_token() == token)
            .then_http_response(move || {
                let entries = format!("<entrySet><item><cidr>{cidr}</cidr></item></entrySet>{next}");
                ok("GetManagedPrefixListEntries", &entries)
            })
    });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, RuleMode::MatchAny, [&list, &pages[0], &pages[1]]));
    let found = client.prefix_list("pl-1").await.unwrap();
    assert_eq!((found.owner.as_str(), found.entries), ("AWS", nets(&["0.0.0.0/0"])));
    assert_eq!(found.name.trim(), "com.amazonaws.global.cloudfront.origin-facing");
}

#[tokio::test]
async fn a_prefix_list_that_ec2_does_not_describe_is_an_error_and_not_an_empty_list() {
    let list = mock!(Client::describe_managed_prefix_lists)
        .then_http_response(|| ok("DescribeManagedPrefixLists", "<prefixListSet/>"));
    let entries = mock!(Client::get_managed_prefix_list_entries)
        .then_http_response(|| ok("GetManagedPrefixListEntries", "<entrySet/>"));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, RuleMode::MatchAny, [&list, &entries]));
    let error = client.prefix_list("pl-1").await.unwrap_err();
    assert_eq!(chain(&error), "the prefix list is gone: `pl-1` was not in the answer");
}

#[tokio::test]
async fn a_group_of_the_default_vpc_is_found_by_its_exact_name() {
    let vpcs = mock!(Client::describe_vpcs)
        .match_requests(|request| asks(request.filters(), &[("is-default", &["true"])]))
        .then_http_response(|| ok("DescribeVpcs", "<vpcSet><item><vpcId>vpc-d</vpcId></item></vpcSet>"));
    let groups = mock!(Client::describe_security_groups)
        .match_requests(|request| asks(request.filters(), &[("group-name", &["web*"]), ("vpc-id", &["vpc-d"])]))
        .then_http_response(|| {
            let items = "<item><groupId>sg-1</groupId><groupName>webserver</groupName></item>\
                <item><groupId>sg-2</groupId><groupName>web*</groupName></item>";
            ok("DescribeSecurityGroups", &format!("<securityGroupInfo>{items}</securityGroupInfo>"))
        });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&vpcs, &groups]));
    assert_eq!(client.default_vpc_group("web*").await.unwrap().as_deref(), Some("sg-2"));
}

#[tokio::test]
async fn without_a_default_vpc_no_group_is_found_by_name() {
    let vpcs = mock!(Client::describe_vpcs).then_http_response(|| ok("DescribeVpcs", "<vpcSet/>"));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&vpcs]));
    assert_eq!(client.default_vpc_group("default").await.unwrap(), None);
}

/// Answers in pages: items, and the token of the next page, which is its number.
fn interfaces_in(pages: &[(&'static str, Option<&'static str>)]) -> Ec2Client {
    let page = |(page, (items, next)): (usize, &(&'static str, Option<&'static str>))| {
        let token = (page > 0).then(|| page.to_string());
        let next = next.map(|next| format!("<nextToken>{next}</nextToken>")).unwrap_or_default();
        let body = format!("{items}{next}");
        mock!(Client::describe_network_interfaces)
            .match_requests(move |request| request.next_token() == token.as_deref())
            .then_http_response(move || ok("DescribeNetworkInterfaces", &body))
    };
    let rules: Vec<_> = pages.iter().enumerate().map(page).collect();
    Ec2Client::from(mock_client!(aws_sdk_ec2, RuleMode::MatchAny, &rules.iter().collect::<Vec<_>>()))
}

const NONE: &str = "<networkInterfaceSet/>";
const ONE: &str =
    "<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId></item></networkInterfaceSet>";
const TWO: &str =
    "<networkInterfaceSet><item><networkInterfaceId>eni-2</networkInterfaceId></item></networkInterfaceSet>";

#[tokio::test]
async fn of_a_groups_interfaces_two_pages_are_read_and_empty_ones_do_not_count() {
    let of_group = Selector::Ids(ids(&["sg-1"]));
    for (pages, found, is_complete) in [
        (vec![(ONE, None)], 1, true),
        (vec![(ONE, Some(""))], 1, true),
        (vec![(NONE, Some("1")), (ONE, Some("2")), (NONE, Some("3")), (TWO, None)], 2, true),
        (vec![(ONE, Some("1")), (TWO, Some("2")), (ONE, None)], 2, false),
    ] {
        let read = interfaces_in(&pages).interfaces(&of_group).await.unwrap();
        assert_eq!((read.found.len(), read.is_complete), (found, is_complete), "{pages:?}");
    }
    let all = vec![(ONE, Some("1")), (TWO, Some("2")), (ONE, None)];
    let read = interfaces_in(&all).interfaces(&Selector::Vpcs(ids(&["vpc-1"]))).await.unwrap();
    assert_eq!((read.found.len(), read.is_complete), (2, true), "of a VPC all are read");
}

#[tokio::test]
async fn a_group_that_anothers_interfaces_crowd_out_is_asked_for_alone() {
    let items = |id: &str, group: &str, next: &str| {
        let item = format!(
            "<networkInterfaceId>{id}</networkInterfaceId><groupSet><item><groupId>{group}</groupId></item></groupSet>"
        );
        format!("<networkInterfaceSet><item>{item}</item></networkInterfaceSet><nextToken>{next}</nextToken>")
    };
    let asked = |groups: &'static [&'static str], token: Option<&'static str>, body: String| {
        mock!(Client::describe_network_interfaces)
            .match_requests(move |request| {
                asks(request.filters(), &[("group-id", groups)]) && request.next_token() == token
            })
            .then_http_response(move || ok("DescribeNetworkInterfaces", &body))
    };
    let rules = [
        asked(&["sg-1", "sg-2"], None, items("eni-1", "sg-1", "a")),
        asked(&["sg-1", "sg-2"], Some("a"), items("eni-2", "sg-1", "b")),
        asked(&["sg-2"], None, items("eni-3", "sg-2", "")),
    ];
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, RuleMode::MatchAny, &rules.iter().collect::<Vec<_>>()));
    let read = client.interfaces(&Selector::Ids(ids(&["sg-1", "sg-2"]))).await.unwrap();
    assert_eq!(read.found.iter().map(|eni| eni.id.as_str()).collect::<Vec<_>>(), ["eni-1", "eni-2", "eni-3"]);
    assert!(!read.is_complete);
}

#[tokio::test]
async fn a_token_that_leads_to_itself_is_an_error_and_no_loop() {
    let error = interfaces_in(&[(NONE, Some("1")), (NONE, Some("1"))]).interfaces(&Selector::Ids(ids(&["sg-1"]))).await;
    let text = chain(&error.unwrap_err());
    assert!(text.contains("the same page again"), "{text}");
}

#[tokio::test]
async fn witnesses_are_looked_for_by_eks_tag_by_auto_scalings_and_by_ordinary_ones_apart() {
    let instance = |id: &str, group: &str| {
        format!(
            "<item><instancesSet><item><instanceId>{id}</instanceId><groupSet><item><groupId>{group}</groupId></item>\
             </groupSet></item></instancesSet></item>"
        )
    };
    // The first page is full of one group, so the other is asked for alone.
    let asked = |groups: &'static [&'static str], first: &'static str, body: String| {
        mock!(Client::describe_instances)
            .match_requests(move |request| {
                let [group, keys, states] = request.filters() else { return false };
                group.name() == Some("network-interface.group-id")
                    && group.values() == groups
                    && keys.name() == Some("tag-key")
                    && keys.values()[0] == first
                    && states.name() == Some("instance-state-name")
                    && !states.values().contains(&"terminated".to_owned())
                    && request.include_managed_resources() == Some(true)
            })
            .then_http_response(move || ok("DescribeInstances", &body))
    };
    let more = "<nextToken>t</nextToken>";
    let body = |items: &str| format!("<reservationSet>{items}</reservationSet>");
    let rules = [
        asked(&["sg-1", "sg-2"], "aws:eks:cluster-name", format!("{}{more}", body(&instance("i-1", "sg-1")))),
        asked(&["sg-2"], "aws:eks:cluster-name", body(&instance("i-2", "sg-2"))),
        asked(&["sg-1", "sg-2"], "aws:autoscaling:groupName", body("")),
        asked(&["sg-1", "sg-2"], "kubernetes.io/cluster/*", body("")),
    ];
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, RuleMode::MatchAny, &rules.iter().collect::<Vec<_>>()));
    let found = client.instances(&Instances::Witnesses(ids(&["sg-1", "sg-2"]))).await.unwrap();
    assert_eq!(found.iter().map(|instance| instance.id.as_str()).collect::<Vec<_>>(), ["i-1", "i-2"]);
    assert_eq!(rules.map(|rule| rule.num_calls()), [1, 1, 1, 1]);
}

#[tokio::test]
async fn associations_count_while_they_are_associated() {
    let item = |vpc: &str, state: &str| {
        format!("<item><groupId>sg-1</groupId><vpcId>{vpc}</vpcId><state>{state}</state></item>")
    };
    let items = [("vpc-1", "associated"), ("vpc-2", "associating"), ("vpc-3", "disassociated")];
    let items: String = items.map(|(vpc, state)| item(vpc, state)).concat();
    let rule = mock!(Client::describe_security_group_vpc_associations)
        .match_requests(|request| asks(request.filters(), &[("group-id", &["sg-1"])]))
        .then_http_response(move || {
            let set = format!("<securityGroupVpcAssociationSet>{items}</securityGroupVpcAssociationSet>");
            ok("DescribeSecurityGroupVpcAssociations", &set)
        });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let found = client.associations(&Selector::Ids(ids(&["sg-1"]))).await.unwrap();
    assert_eq!(found, [("sg-1".to_owned(), ["vpc-1".to_owned()].into())].into());
}

#[tokio::test]
async fn who_lets_a_group_in_is_told_by_the_rules_of_others() {
    let body = "<securityGroupInfo><item><groupId>sg-2</groupId><ipPermissions><item><groups>\
        <item><groupId>sg-1</groupId></item><item><groupId>sg-9</groupId></item></groups></item></ipPermissions></item>\
        </securityGroupInfo>";
    let rule = mock!(Client::describe_security_groups)
        .match_requests(|request| asks(request.filters(), &[("ip-permission.group-id", &["sg-1"])]))
        .then_http_response(move || ok("DescribeSecurityGroups", body));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let found = client.letting_in(&ids(&["sg-1"])).await.unwrap();
    assert_eq!(found, [("sg-2".to_owned(), "sg-1".to_owned())]);
}
