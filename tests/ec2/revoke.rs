//! The call that revokes: what is sent, and what the answers mean.

use aws_sdk_ec2::Client;
use aws_smithy_mocks::{mock, mock_client};
use eks_sg_guard::adapters::ec2::Ec2Client;
use eks_sg_guard::model::error::CloudError;
use eks_sg_guard::model::error::chain;
use eks_sg_guard::model::rule::Direction;
use eks_sg_guard::ports::Ec2;

use crate::{REQUEST, error, ok};

const INGRESS: &str = "RevokeSecurityGroupIngress";

fn two() -> Vec<String> {
    vec!["sgr-1".to_owned(), "sgr-2".to_owned()]
}

async fn refused(status: u16, code: &'static str, message: &'static str) -> CloudError {
    let rule = mock!(Client::revoke_security_group_ingress).then_http_response(move || error(status, code, message));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let answer = client.revoke("sg-1", Direction::Ingress, &two()).await;
    assert_eq!(rule.num_calls(), 1, "{code} is final: trying again changes nothing");
    answer.unwrap_err()
}

#[tokio::test]
async fn ingress_and_egress_rules_are_revoked_by_id_with_their_own_calls() {
    let ingress = mock!(Client::revoke_security_group_ingress)
        .match_requests(|request| {
            request.group_id() == Some("sg-1")
                && request.security_group_rule_ids() == ["sgr-1", "sgr-2"]
                && request.ip_permissions().is_empty()
                && request.cidr_ip().is_none()
        })
        .then_http_response(|| {
            let revoked = "<item><securityGroupRuleId>sgr-1</securityGroupRuleId><groupId>sg-1</groupId>\
                <isEgress>false</isEgress><ipProtocol>tcp</ipProtocol><fromPort>10250</fromPort><toPort>10250</toPort>\
                <cidrIpv4>0.0.0.0/0</cidrIpv4></item>";
            ok(
                INGRESS,
                &format!("<return>true</return><revokedSecurityGroupRuleSet>{revoked}</revokedSecurityGroupRuleSet>"),
            )
        });
    let egress = mock!(Client::revoke_security_group_egress)
        .match_requests(|request| {
            request.group_id() == Some("sg-1") && request.security_group_rule_ids() == ["sgr-1", "sgr-2"]
        })
        .then_http_response(|| ok("RevokeSecurityGroupEgress", "<return>true</return>"));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&ingress, &egress]));
    client.revoke("sg-1", Direction::Ingress, &two()).await.unwrap();
    client.revoke("sg-1", Direction::Egress, &two()).await.unwrap();
    assert_eq!((ingress.num_calls(), egress.num_calls()), (1, 1));
}

/// In the default VPC EC2 answers success although nothing was revoked, and only lists what it did not know. The adapter
/// says that the call was taken: whether the rules are gone is for the read-back to see, there as everywhere.
#[tokio::test]
async fn a_silent_success_in_the_default_vpc_is_no_error_here() {
    let rule = mock!(Client::revoke_security_group_ingress).then_http_response(|| {
        let unknown = "<item><ipProtocol>tcp</ipProtocol><fromPort>10250</fromPort><toPort>10250</toPort><groups/>\
            <ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges><ipv6Ranges/><prefixListIds/></item>";
        ok(INGRESS, &format!("<return>true</return><unknownIpPermissionSet>{unknown}</unknownIpPermissionSet>"))
    });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    client.revoke("sg-1", Direction::Ingress, &two()).await.unwrap();
}

#[tokio::test]
async fn an_answer_of_return_false_is_an_error() {
    let rule =
        mock!(Client::revoke_security_group_ingress).then_http_response(|| ok(INGRESS, "<return>false</return>"));
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let error = client.revoke("sg-1", Direction::Ingress, &two()).await.unwrap_err();
    assert_eq!(chain(&error), "`ec2:RevokeSecurityGroupIngress` failed: EC2 answered `return: false` for sg-1");
}

#[tokio::test]
async fn no_rules_to_revoke_is_no_call() {
    let rules: [&aws_smithy_mocks::Rule; 0] = [];
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, rules));
    client.revoke("sg-1", Direction::Ingress, &[]).await.unwrap();
}

#[tokio::test]
async fn an_unknown_rule_id_or_permission_is_a_rule_that_is_gone() {
    let error =
        refused(400, "InvalidSecurityGroupRuleId.NotFound", "The security group rule ID 'sgr-1' does not exist").await;
    assert!(matches!(error, CloudError::RuleGone(_)), "{error:?}");
    assert_eq!(
        chain(&error),
        format!(
            "a rule is gone: InvalidSecurityGroupRuleId.NotFound: The security group rule ID 'sgr-1' does not exist \
             (HTTP 400, request id {REQUEST})"
        )
    );
    let message = "The specified rule does not exist in this security group.";
    let error = refused(400, "InvalidPermission.NotFound", message).await;
    assert!(matches!(error, CloudError::RuleGone(_)), "{error:?}");
}

#[tokio::test]
async fn an_unknown_group_is_a_group_that_is_gone() {
    for code in ["InvalidGroup.NotFound", "InvalidGroupId.NotFound"] {
        let error = refused(400, code, "The security group 'sg-1' does not exist").await;
        assert!(matches!(error, CloudError::GroupGone(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_missing_right_names_the_action_to_grant_and_what_ec2_said() {
    let message = "You are not authorized to perform this operation. User: \
        arn:aws:sts::111122223333:assumed-role/guard/guard is not authorized to perform: ec2:RevokeSecurityGroupIngress \
        on resource: arn:aws:ec2:us-east-1:111122223333:security-group/sg-1 because no identity-based policy allows the \
        ec2:RevokeSecurityGroupIngress action.\nEncoded authorization failure message: Zm9v";
    for code in ["UnauthorizedOperation", "AuthFailure", "AccessDenied", "AccessDeniedException"] {
        let error = refused(403, code, message).await;
        let CloudError::Denied { action, .. } = &error else { panic!("{error:?}") };
        assert_eq!(action, "ec2:RevokeSecurityGroupIngress");
        let text = chain(&error);
        let start =
            "not allowed to call `ec2:RevokeSecurityGroupIngress`; grant it to the function's role, or look for";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains(&format!("{code}: You are not authorized to perform this operation.")), "{text}");
        assert!(text.ends_with(&format!("(HTTP 403, request id {REQUEST})")), "{text}");
        assert!(!text.contains(char::is_control), "one line: {text}");
    }
}

/// What a revoke ends in whose attempts are answered so, one after the other.
async fn after([first, last]: [(u16, &'static str); 2]) -> CloudError {
    let of = |(status, code)| move || error(status, code, "no");
    let rule = mock!(Client::revoke_security_group_egress).sequence();
    let rule = rule.http_response(of(first)).times(1).http_response(of(last)).repeatedly().build();
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    client.revoke("sg-1", Direction::Egress, &two()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn where_each_attempt_was_refused_nothing_was_done_and_else_it_may_have_been() {
    const THROTTLE: (u16, &str) = (503, "RequestLimitExceeded");
    const BROKEN: (u16, &str) = (500, "InternalError");
    const GONE: (u16, &str) = (400, "InvalidSecurityGroupRuleId.NotFound");
    let throttled = after([THROTTLE; 2]).await;
    assert!(matches!(throttled, CloudError::NotDone { .. }), "{throttled:?}");
    assert_eq!(
        chain(&throttled),
        format!(
            "`ec2:RevokeSecurityGroupEgress` was not done: RequestLimitExceeded: no (HTTP 503, request id {REQUEST})"
        )
    );
    let unexpected = after([(400, "IncorrectState"); 2]).await;
    assert!(matches!(unexpected, CloudError::NotDone { .. }), "{unexpected:?}");
    for answers in [[BROKEN, THROTTLE], [THROTTLE, BROKEN], [BROKEN, GONE]] {
        let error = after(answers).await;
        assert!(matches!(error, CloudError::Failed { .. }), "{answers:?}: {error:?}");
    }
    let gone = after([THROTTLE, GONE]).await;
    assert!(matches!(gone, CloudError::RuleGone(_)), "{gone:?}");
}
