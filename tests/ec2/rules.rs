//! The rules of a group: every kind of rule, every page.

use aws_sdk_ec2::Client;
use aws_smithy_mocks::{mock, mock_client};
use eks_sg_guard::adapters::ec2::Ec2Client;
use eks_sg_guard::model::error::chain;
use eks_sg_guard::model::facts::Rules;
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::ports::Ec2;

use crate::{asks, ok};

const ACTION: &str = "DescribeSecurityGroupRules";

/// One rule of `sg-1` as EC2 describes it; `rest` is whatever is special about it.
fn item(id: &str, egress: bool, protocol: &str, ports: (i32, i32), rest: &str) -> String {
    let (from, to) = ports;
    format!(
        "<item><groupId>sg-1</groupId><groupOwnerId>111122223333</groupOwnerId><ipProtocol>{protocol}</ipProtocol>\
         <isEgress>{egress}</isEgress><fromPort>{from}</fromPort><toPort>{to}</toPort>{rest}\
         <securityGroupRuleArn>arn:aws:ec2:us-east-1:111122223333:security-group-rule/{id}</securityGroupRuleArn>\
         <securityGroupRuleId>{id}</securityGroupRuleId></item>"
    )
}

fn page(items: &str, next: Option<&str>) -> String {
    let next = next.map(|token| format!("<nextToken>{token}</nextToken>")).unwrap_or_default();
    format!("<securityGroupRuleSet>{items}</securityGroupRuleSet>{next}")
}

async fn all_of(items: String) -> Result<Rules, String> {
    let rule = mock!(Client::describe_security_group_rules)
        .match_requests(|request| {
            request.max_results() == Some(1000) && asks(request.filters(), &[("group-id", &["sg-1"])])
        })
        .then_http_response(move || ok(ACTION, &page(&items, None)));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    client.rules(&["sg-1".to_owned()]).await.map_err(|error| chain(&error))
}

async fn read(items: String) -> Result<Vec<(String, Rule)>, String> {
    let rules = all_of(items).await?;
    assert_eq!(rules.unreadable, []);
    Ok(rules.rules)
}

fn cidr(text: &str) -> Peer {
    Peer::cidr(text).unwrap()
}

#[tokio::test]
async fn every_kind_of_rule_is_read_into_its_normal_form() {
    let group = "<referencedGroupInfo><groupId>sg-2</groupId><userId>444455556666</userId><vpcId>vpc-2</vpcId>\
        <vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId><peeringStatus>active</peeringStatus></referencedGroupInfo>";
    let world = "<cidrIpv4>0.0.0.0/0</cidrIpv4>";
    let items = [
        item("sgr-v4", false, "tcp", (10250, 10250), world),
        item("sgr-v6", false, "udp", (30000, 32767), "<cidrIpv6>2001:db8::/32</cidrIpv6>"),
        item("sgr-list", false, "tcp", (443, 443), "<prefixListId>pl-3b927c52</prefixListId>"),
        item("sgr-group", false, "tcp", (443, 443), group),
        item("sgr-all", true, "-1", (-1, -1), world),
        item("sgr-pmtu", false, "icmp", (3, 4), world),
        item("sgr-ping6", false, "icmpv6", (-1, -1), "<cidrIpv6>::/0</cidrIpv6>"),
        item("sgr-esp", false, "50", (-1, -1), world),
    ];
    let found = read(items.concat()).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|(_, rule)| (rule.id, rule.direction, rule.packets, rule.peer)).collect();
    let other = Peer::Group { id: "sg-2".to_owned(), owner: Some("444455556666".to_owned()) };
    let expected = [
        ("sgr-v4", Direction::Ingress, Packets::Tcp(10250, 10250), cidr("0.0.0.0/0")),
        ("sgr-v6", Direction::Ingress, Packets::Udp(30000, 32767), cidr("2001:db8::/32")),
        ("sgr-list", Direction::Ingress, Packets::Tcp(443, 443), Peer::PrefixList("pl-3b927c52".to_owned())),
        ("sgr-group", Direction::Ingress, Packets::Tcp(443, 443), other),
        ("sgr-all", Direction::Egress, Packets::All, cidr("0.0.0.0/0")),
        ("sgr-pmtu", Direction::Ingress, Packets::Icmp(Some(3), Some(4)), cidr("0.0.0.0/0")),
        ("sgr-ping6", Direction::Ingress, Packets::Icmpv6(None, None), cidr("::/0")),
        ("sgr-esp", Direction::Ingress, Packets::Protocol(50), cidr("0.0.0.0/0")),
    ];
    assert_eq!(found, expected.map(|(id, direction, packets, peer)| (id.to_owned(), direction, packets, peer)));
}

#[tokio::test]
async fn a_rule_keeps_its_group_description_and_tags() {
    let rest = "<cidrIpv4>10.0.0.0/8</cidrIpv4><description>from &lt;the office&gt;</description>\
        <tagSet><item><key>team</key><value>core</value></item><item><key>empty</key><value/></item></tagSet>";
    let found = read(item("sgr-1", false, "tcp", (443, 443), rest)).await.unwrap();
    let (group, rule) = &found[0];
    assert_eq!((group.as_str(), rule.description.as_deref()), ("sg-1", Some("from <the office>")));
    let tags: Vec<_> = rule.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("empty", ""), ("team", "core")]);
}

#[tokio::test]
async fn three_pages_of_rules_are_all_read() {
    let rules = [(None, Some("two"), "sgr-a"), (Some("two"), Some("three"), "sgr-b"), (Some("three"), None, "sgr-c")];
    let rules = rules.map(|(token, next, id)| {
        mock!(Client::describe_security_group_rules)
            .match_requests(move |request| {
                request.next_token() == token && asks(request.filters(), &[("group-id", &["sg-1"])])
            })
            .then_http_response(move || {
                ok(ACTION, &page(&item(id, false, "tcp", (443, 443), "<cidrIpv4>10.0.0.0/8</cidrIpv4>"), next))
            })
    });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, &rules));
    let found = client.rules(&["sg-1".to_owned()]).await.unwrap();
    let ids: Vec<_> = found.rules.iter().map(|(_, rule)| rule.id.as_str()).collect();
    assert_eq!(ids, ["sgr-a", "sgr-b", "sgr-c"]);
}

#[tokio::test]
async fn a_group_with_a_thousand_rules_is_read_whole() {
    let items = (0..1000).map(|n| {
        item(
            &format!("sgr-{n:04}"),
            false,
            "tcp",
            (n, n),
            &format!("<cidrIpv4>10.{}.{}.0/24</cidrIpv4>", n / 256, n % 256),
        )
    });
    let found = read(items.collect()).await.unwrap();
    assert_eq!(found.len(), 1000);
    assert_eq!(found[999].1.packets, Packets::Tcp(999, 999));
    assert_eq!(found[999].1.peer, cidr("10.3.231.0/24"));
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_is_named_with_what_was_read_and_the_others_count() {
    let world = "<cidrIpv4>0.0.0.0/0</cidrIpv4>";
    let cases = [
        (item("sgr-odd", false, "quic", (443, 443), world), "rule sgr-odd cannot be read: `quic` is not a protocol"),
        (item("sgr-odd", false, "tcp", (70000, 70000), world), "rule sgr-odd cannot be read: `70000` is not a port"),
        (item("sgr-odd", false, "tcp", (1, 1), ""), "rule sgr-odd cannot be read: it has no source or destination"),
        (
            item("sgr-odd", false, "tcp", (1, 1), "<cidrIpv4>everywhere</cidrIpv4>"),
            "rule sgr-odd cannot be read: `everywhere` is not a CIDR block",
        ),
        (
            item("sgr-odd", false, "tcp", (1, 1), &format!("{world}<prefixListId>pl-1</prefixListId>")),
            "rule sgr-odd cannot be read: it has more than one source or destination",
        ),
    ];
    for (odd, expected) in cases {
        let good = item("sgr-good", false, "tcp", (443, 443), world);
        let Rules { rules, unreadable, .. } = all_of(good + &odd).await.unwrap();
        assert_eq!(rules.iter().map(|(_, rule)| rule.id.as_str()).collect::<Vec<_>>(), ["sgr-good"]);
        let [(group, rule)] = unreadable.as_slice() else { panic!("{unreadable:?}") };
        assert_eq!((group.as_str(), rule.id.as_deref()), ("sg-1", Some("sgr-odd")));
        assert!(rule.why.starts_with(expected), "{rule:?}");
    }
}

#[tokio::test]
async fn a_peer_over_a_peering_that_is_gone_is_told() {
    let peer = |status: &str| {
        format!(
            "<referencedGroupInfo><groupId>sg-2</groupId><peeringStatus>{status}</peeringStatus></referencedGroupInfo>"
        )
    };
    for (status, expected) in [("active", vec![]), ("deleted", vec![("sg-1".to_owned(), "sg-2".to_owned())])] {
        let Rules { rules, stale, .. } = all_of(item("sgr-a", false, "tcp", (1, 1), &peer(status))).await.unwrap();
        assert_eq!((rules.len(), stale), (1, expected), "{status}");
    }
}
