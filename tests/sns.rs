//! The SNS channel: what goes over the wire to each audience, and what a refusal says.
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers make canned answers and read what was sent")]

mod wire;

use aws_sdk_sns::Client;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use eks_sg_guard::adapters::sns::Topic;
use eks_sg_guard::model::error::chain;
use eks_sg_guard::ports::Channel;
use eks_sg_guard::report::notice::{Message, Notice, email, q};

use crate::wire::Wire;

const ARN: &str = "arn:aws:sns:us-east-1:111122223333:guard";
const LIMIT: usize = 256 * 1024;

/// The fields of the only call.
fn sent(wire: &Wire) -> Vec<(String, String)> {
    let calls = wire.calls();
    let [(_, body)] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    let pairs = body.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(key, value)| (plain(key), plain(value))).collect()
}

/// Undoes the encoding of a form.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap());
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn message(for_people: bool) -> Message {
    let subject = "[critical] revoked: 10250/tcp open to the internet".to_owned();
    Message {
        notice: for_people.then(|| Notice {
            subject,
            headline: "one rule of sg-1 was revoked".to_owned(),
            ..Notice::default()
        }),
        record: Some(r#"{"version":1}"#.to_owned()),
        attributes: vec![("severity", "critical".to_owned()), ("cluster", "prod".to_owned())],
    }
}

fn answer(status: u16, xml: &str) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(xml))
}

fn published() -> Rule {
    mock!(Client::publish).then_http_response(|| {
        answer(
            200,
            r#"<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>
<MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult><ResponseMetadata>
<RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata></PublishResponse>"#,
        )
    })
}

fn client(rule: &Rule, wire: &Wire) -> Client {
    let wire = wire.clone();
    mock_client!(aws_sdk_sns, RuleMode::Sequential, [rule], move |config| config.interceptor(wire.clone()))
}

fn value<'a>(sent: &'a [(String, String)], key: &str) -> Option<&'a str> {
    sent.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
}

/// Name, type and value of each attribute, by name.
fn attributes(sent: &[(String, String)]) -> Vec<(&str, &str, &str)> {
    let part = |n: usize, part: &str| value(sent, &format!("MessageAttributes.entry.{n}.{part}"));
    let all = (1..).map_while(|n| Some((part(n, "Name")?, part(n, "Value.DataType")?, part(n, "Value.StringValue")?)));
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn people_get_subject_text_and_string_attributes() {
    let (rule, wire) = (published(), Wire::default());
    let topic = Topic::people(client(&rule, &wire), ARN);
    assert_eq!(topic.name(), "people");
    topic.send(&message(true)).await.unwrap();
    let sent = sent(&wire);
    assert_eq!(value(&sent, "TopicArn"), Some(ARN));
    assert_eq!(value(&sent, "Subject"), Some("[critical] revoked: 10250/tcp open to the internet"));
    assert_eq!(value(&sent, "Message"), Some("One rule of sg-1 was revoked.\n\n\nWhat to do next\n"));
    assert_eq!(value(&sent, "MessageStructure"), None, "`json` would lose the attributes");
    assert_eq!(attributes(&sent), [("cluster", "String", "prod"), ("severity", "String", "critical")]);
}

#[tokio::test]
async fn machines_get_the_record_without_a_subject() {
    let (rule, wire) = (published(), Wire::default());
    let topic = Topic::records(client(&rule, &wire), ARN);
    assert_eq!(topic.name(), "records");
    topic.send(&message(false)).await.unwrap();
    let sent = sent(&wire);
    assert_eq!((value(&sent, "Subject"), value(&sent, "Message")), (None, Some(r#"{"version":1}"#)));
    assert_eq!(attributes(&sent).len(), 2);
}

#[tokio::test]
async fn chat_gets_a_custom_notification_and_nothing_that_is_only_for_machines() {
    let (rule, wire) = (published(), Wire::default());
    let topic = Topic::chat(client(&rule, &wire), ARN);
    assert_eq!(topic.name(), "chat");
    topic.send(&message(false)).await.unwrap();
    assert_eq!(rule.num_calls(), 0);
    let message = message(true);
    topic.send(&message).await.unwrap();
    let sent = sent(&wire);
    let expected = q::json(message.notice.as_ref().unwrap(), &message.attributes);
    assert_eq!((value(&sent, "Subject"), value(&sent, "Message")), (None, Some(expected.as_str())));
}

#[tokio::test]
async fn people_are_not_notified_of_what_is_only_for_machines() {
    let (rule, wire) = (published(), Wire::default());
    Topic::people(client(&rule, &wire), ARN).send(&message(false)).await.unwrap();
    assert_eq!(rule.num_calls(), 0);
}

#[tokio::test]
async fn a_text_too_long_for_sns_is_cut_between_characters_and_says_so() {
    for shift in 0..4 {
        let (rule, wire) = (published(), Wire::default());
        let long = Notice {
            subject: "long".to_owned(),
            headline: "A".repeat(shift) + &"🔒".repeat(LIMIT),
            ..Notice::default()
        };
        let message = Message { notice: Some(long.clone()), ..message(true) };
        Topic::people(client(&rule, &wire), ARN).send(&message).await.unwrap();
        let sent = sent(&wire);
        let text = value(&sent, "Message").unwrap();
        let kept = text.strip_suffix("\n… cut: the message was too long for SNS; the record has all of it\n").unwrap();
        assert!(email::text(&long).starts_with(kept));
        let attributes: usize =
            attributes(&sent).iter().map(|(name, kind, value)| name.len() + kind.len() + value.len()).sum();
        let room = LIMIT - attributes - long.subject.len();
        assert!(text.len() <= room && text.len() > room - 4, "{} of {room}", text.len());
    }
}

#[tokio::test]
async fn a_refusal_of_sns_is_readable_to_its_end() {
    let rule = mock!(Client::publish).then_http_response(|| {
        let mut response = answer(
            403,
            r#"<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>
<Code>AuthorizationError</Code><Message>User: arn:aws:sts::111122223333:assumed-role/guard/guard is not authorized to
perform: SNS:Publish on resource: arn:aws:sns:us-east-1:111122223333:guard</Message></Error>
<RequestId>9dd01905-5012-5f99-8663-4b3ecd0dfaef</RequestId></ErrorResponse>"#,
        );
        response.headers_mut().insert("x-amzn-requestid", "9dd01905-5012-5f99-8663-4b3ecd0dfaef");
        response
    });
    let topic = Topic::people(client(&rule, &Wire::default()), ARN);
    let error = topic.send(&message(true)).await.unwrap_err();
    assert_eq!(
        chain(error.as_ref()),
        "not allowed to call `sns:Publish`; grant it to the function's role, or look for a policy that denies it: \
         AuthorizationError: User: arn:aws:sts::111122223333:assumed-role/guard/guard is not authorized to perform: \
         SNS:Publish on resource: arn:aws:sns:us-east-1:111122223333:guard \
         (HTTP 403, request id 9dd01905-5012-5f99-8663-4b3ecd0dfaef)"
    );
}
