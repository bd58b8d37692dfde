//! The call that puts rules back: what is sent, and what the answers mean.

use aws_sdk_ec2::Client;
use aws_smithy_mocks::{mock, mock_client};
use eks_sg_guard::adapters::ec2::Ec2Client;
use eks_sg_guard::model::error::{CloudError, chain};
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::ports::Ec2;

use crate::{error, ok};

const ACTION: &str = "ModifySecurityGroupRules";

fn rule(id: &str, packets: Packets, peer: Peer) -> Rule {
    Rule { id: id.to_owned(), ..Rule::new(Direction::Ingress, packets, peer) }
}

fn cidr(text: &str) -> Peer {
    Peer::cidr(text).unwrap()
}

/// Protocol, ports, peers and description of one rule.
type Sent<'a> = (&'a str, (Option<i32>, Option<i32>), Vec<&'a str>, Option<&'a str>);

#[tokio::test]
async fn each_rule_is_sent_in_full_under_its_id_in_one_call_of_the_group() {
    let owner = Some("111122223333".to_owned());
    let description = Some("from the office".to_owned());
    let rules = [
        Rule { description, ..rule("sgr-1", Packets::Tcp(443, 444), cidr("10.0.0.0/8")) },
        rule("sgr-2", Packets::All, cidr("2001:db8::/32")),
        rule("sgr-3", Packets::Icmp(Some(8), None), Peer::PrefixList("pl-1".to_owned())),
        rule("sgr-4", Packets::Protocol(50), Peer::Group { id: "sg-2".to_owned(), owner }),
    ];
    let modify = mock!(Client::modify_security_group_rules)
        .match_requests(|request| {
            let updates = request.security_group_rules();
            let ids: Vec<&str> = updates.iter().filter_map(|update| update.security_group_rule_id()).collect();
            let sent = updates.iter().filter_map(|update| update.security_group_rule()).map(|rule| {
                let peers = [rule.cidr_ipv4(), rule.cidr_ipv6(), rule.prefix_list_id(), rule.referenced_group_id()];
                let ports = (rule.from_port(), rule.to_port());
                (
                    rule.ip_protocol().unwrap_or_default(),
                    ports,
                    peers.into_iter().flatten().collect(),
                    rule.description(),
                )
            });
            let sent: Vec<Sent<'_>> = sent.collect();
            request.group_id() == Some("sg-1")
                && ids == ["sgr-1", "sgr-2", "sgr-3", "sgr-4"]
                && sent
                    == [
                        ("tcp", (Some(443), Some(444)), vec!["10.0.0.0/8"], Some("from the office")),
                        ("-1", (None, None), vec!["2001:db8::/32"], None),
                        ("icmp", (Some(8), Some(-1)), vec!["pl-1"], None),
                        ("50", (None, None), vec!["sg-2"], None),
                    ]
        })
        .then_http_response(|| ok(ACTION, "<return>true</return>"));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&modify]));
    client.modify("sg-1", &rules).await.unwrap();
    assert_eq!(modify.num_calls(), 1);
}

#[tokio::test]
async fn no_rules_to_put_back_is_no_call() {
    let rules: [&aws_smithy_mocks::Rule; 0] = [];
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, rules));
    client.modify("sg-1", &[]).await.unwrap();
}

async fn refused(status: u16, code: &'static str) -> CloudError {
    let modify = mock!(Client::modify_security_group_rules).then_http_response(move || error(status, code, "no"));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&modify]));
    client.modify("sg-1", &[rule("sgr-1", Packets::All, cidr("10.0.0.0/8"))]).await.unwrap_err()
}

#[tokio::test]
async fn what_ec2_will_never_take_differs_from_what_it_did_not_do_now() {
    for code in ["InvalidPermission.Duplicate", "InvalidParameterValue", "RulesPerSecurityGroupLimitExceeded"] {
        let error = refused(400, code).await;
        assert!(matches!(error, CloudError::NotTaken(_)), "{error:?}");
        assert!(chain(&error).starts_with(&format!("EC2 does not take that content: {code}: no")), "{}", chain(&error));
    }
    let gone = refused(400, "InvalidSecurityGroupRuleId.NotFound").await;
    assert!(matches!(gone, CloudError::RuleGone(_)), "{gone:?}");
    let list = refused(400, "InvalidPrefixListID.NotFound").await;
    assert!(matches!(list, CloudError::ListGone(_)), "{list:?}");
    let denied = refused(403, "UnauthorizedOperation").await;
    assert!(
        matches!(&denied, CloudError::Denied { action, .. } if action == "ec2:ModifySecurityGroupRules"),
        "{denied:?}"
    );
    let other = refused(400, "IncorrectState").await;
    assert!(matches!(other, CloudError::NotDone { .. }), "{other:?}");
}

#[tokio::test]
async fn an_answer_of_return_false_is_an_error() {
    let modify = mock!(Client::modify_security_group_rules).then_http_response(|| ok(ACTION, "<return>false</return>"));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&modify]));
    let error = client.modify("sg-1", &[rule("sgr-1", Packets::All, cidr("10.0.0.0/8"))]).await.unwrap_err();
    assert_eq!(chain(&error), "`ec2:ModifySecurityGroupRules` failed: EC2 answered `return: false` for sg-1");
}

#[tokio::test(start_paused = true)]
async fn what_an_attempt_without_an_answer_may_have_put_back_is_not_called_not_taken() {
    let modify = mock!(Client::modify_security_group_rules).sequence();
    let modify = modify.http_response(|| error(500, "InternalError", "no")).times(1);
    let modify = modify.http_response(|| error(400, "InvalidPermission.Duplicate", "no")).repeatedly().build();
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&modify]));
    let error = client.modify("sg-1", &[rule("sgr-1", Packets::All, cidr("10.0.0.0/8"))]).await.unwrap_err();
    assert!(matches!(error, CloudError::Failed { .. }), "{error:?}");
}
