//! The work queue in SQS: what goes over the wire, and what a refusal says.
#![expect(clippy::unwrap_used, reason = "helpers make canned answers and read what was sent")]

mod wire;

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use eks_sg_guard::adapters::queue::Sqs;
use eks_sg_guard::model::error::{CloudError, chain};
use eks_sg_guard::ports::WorkQueue;
use serde_json::{Value, json};

use crate::wire::Wire;

const URL: &str = "https://sqs.us-east-1.amazonaws.com/111122223333/guard";

fn bodies(wire: &Wire) -> Vec<Value> {
    wire.calls().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
}

fn answer(status: u16, body: &str) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}

fn queue(rule: &Rule, wire: &Wire) -> Sqs {
    let wire = wire.clone();
    let client: Client =
        mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [rule], move |config| config.interceptor(wire.clone()));
    Sqs::new(client, URL)
}

#[tokio::test]
async fn a_message_is_delayed_by_whole_seconds_and_by_no_more_than_sqs_takes() {
    for (delay, seconds) in [(0, 0), (1, 1), (15_000, 15), (15_001, 16), (900_000, 900), (3_600_000, 900)] {
        let (rule, wire) = (
            mock!(Client::send_message)
                .then_http_response(|| answer(200, r#"{"MessageId":"5fea7756-0ea4-451a-a703-a558b933e274"}"#)),
            Wire::default(),
        );
        queue(&rule, &wire).send("{}", Duration::from_millis(delay)).await.unwrap();
        let expected = json!({"QueueUrl": URL, "MessageBody": "{}", "DelaySeconds": seconds});
        assert_eq!(bodies(&wire), [expected], "{delay}");
    }
}

#[tokio::test]
async fn a_message_that_came_is_put_off_by_its_receipt() {
    let rule = mock!(Client::change_message_visibility).then_http_response(|| answer(200, "{}"));
    let wire = Wire::default();
    queue(&rule, &wire).put_off("AQEB", Duration::from_mins(4)).await.unwrap();
    let expected = json!({"QueueUrl": URL, "ReceiptHandle": "AQEB", "VisibilityTimeout": 240});
    assert_eq!(bodies(&wire), [expected]);
}

#[tokio::test]
async fn a_refusal_names_the_right_that_is_missing() {
    let rule = mock!(Client::send_message)
        .then_http_response(|| answer(403, r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}"#));
    let error = queue(&rule, &Wire::default()).send("{}", Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, CloudError::Denied { .. }), "{error:?}");
    assert!(chain(&error).starts_with("not allowed to call `sqs:SendMessage`"), "{}", chain(&error));
}
