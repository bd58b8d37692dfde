//! What a call goes through before it is an error, and what that error says.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use eks_sg_guard::adapters::ec2::Ec2Client;
use eks_sg_guard::model::error::CloudError;
use eks_sg_guard::model::error::chain;
use eks_sg_guard::model::facts::Selector;
use eks_sg_guard::model::rule::Direction;
use eks_sg_guard::ports::Ec2;

use crate::{REQUEST, answer, error, ok};

fn throttled() -> HttpResponse {
    error(503, "RequestLimitExceeded", "Request limit exceeded.")
}

fn selector() -> Selector {
    Selector::Ids(vec!["sg-1".to_owned()])
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_is_tried_again_and_succeeds() {
    let rule = mock!(Client::revoke_security_group_ingress)
        .sequence()
        .http_response(throttled)
        .times(2)
        .http_response(|| ok("RevokeSecurityGroupIngress", "<return>true</return>"))
        .build();
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let before = tokio::time::Instant::now();
    client.revoke("sg-1", Direction::Ingress, &["sgr-1".to_owned()]).await.unwrap();
    assert_eq!(rule.num_calls(), 3);
    assert!(before.elapsed() < Duration::from_secs(12), "within the limit of one operation");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_stays_throttled_fails_with_the_code_in_its_chain() {
    let rule = mock!(Client::describe_security_groups).sequence().http_response(throttled).repeatedly().build();
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let error = client.groups(&selector()).await.unwrap_err();
    assert_eq!(rule.num_calls(), 3);
    assert!(matches!(error, CloudError::Failed { .. }), "{error:?}");
    assert_eq!(
        chain(&error),
        format!(
            "`ec2:DescribeSecurityGroups` failed: RequestLimitExceeded: Request limit exceeded. \
             (HTTP 503, request id {REQUEST})"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_page_that_is_not_from_ec2_still_names_its_status() {
    let rule = mock!(Client::describe_security_groups)
        .sequence()
        .http_response(|| answer(502, "<html><body>Bad Gateway</body></html>".to_owned()))
        .repeatedly()
        .build();
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, [&rule]));
    let text = chain(&client.groups(&selector()).await.unwrap_err());
    assert!(text.starts_with("`ec2:DescribeSecurityGroups` failed: ") && text.contains("(HTTP 502, "), "{text}");
}

#[tokio::test]
async fn a_refusal_of_one_of_several_reads_names_the_action_of_that_read() {
    let list = mock!(Client::describe_managed_prefix_lists)
        .then_http_response(|| ok("DescribeManagedPrefixLists", "<prefixListSet/>"));
    let entries = mock!(Client::get_managed_prefix_list_entries).then_http_response(|| {
        error(403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
    });
    let client = Ec2Client::from(mock_client!(aws_sdk_ec2, RuleMode::MatchAny, [&list, &entries]));
    let error = client.prefix_list("pl-1").await.unwrap_err();
    let CloudError::Denied { action, .. } = &error else { panic!("{error:?}") };
    assert_eq!(action, "ec2:GetManagedPrefixListEntries");
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_an_error_with_every_cause() {
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::for_tests())
        .retry_config(RetryConfig::disabled())
        .endpoint_url("http://127.0.0.1:1")
        .build();
    let text = chain(&Ec2Client::from(Client::from_conf(config)).groups(&selector()).await.unwrap_err());
    assert!(text.starts_with("`ec2:DescribeSecurityGroups` failed: dispatch failure: "), "{text}");
    assert!(text.to_lowercase().contains("connection refused"), "{text}");
}
