//! Of whatever is read as an event.

use eks_sg_guard::event::batch;
use eks_sg_guard::event::payload::parse;
use eks_sg_guard::event::{Change, EventError, Parsed, Trigger, json};
use serde_json::{Value, json};

use crate::answers::{Answer, answers, is_sound};

/// Any bytes are answered in words, what they ask for can be kept, and a carrier around them changes nothing.
pub(crate) fn holds(bytes: &[u8]) {
    let text = json::text(bytes);
    let payload = match json::read_at("$", &text) {
        Ok(payload) => payload,
        Err(error) => return assert!(is_sound(&Err(error.clone())), "{error}"),
    };
    let bare = answers(&payload);
    for answer in &bare {
        assert!(is_sound(answer), "{answer:?}");
        if let Ok(Parsed::Trigger(Trigger::Change(change))) = answer {
            let kept: Change = serde_json::from_str(&serde_json::to_string(change).unwrap()).unwrap();
            assert_eq!(&kept, change, "what waits in the queue is what the event said");
        }
    }
    if !payload.is_null() {
        let failed = json!({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": payload});
        assert_eq!(said(&answers(&failed)), said(&bare), "of a failure destination");
    }
    // A message is no batch of others, and a notification is one carrier more.
    let is_message = batch::read(&payload).is_none() && payload["Type"] != "Notification";
    // What SQS carries is text, and a number may lose its last digit each time it is written and read: of no use to anybody.
    let once_more = |payload: &Value| json::read(&payload.to_string()).ok();
    let carried = once_more(&payload).filter(|payload| is_message && once_more(payload).as_ref() == Some(payload));
    if let Some(payload) = carried {
        let message = json!({"eventSource": "aws:sqs", "messageId": "m-1", "body": payload.to_string()});
        assert_eq!(said(&answers(&json!({ "Records": [message] }))), said(&[parse(&payload)]), "of a queue");
    }
}

/// The answers without where an error stands, which is another place inside of a carrier.
fn said(answers: &[Answer]) -> Vec<Result<Parsed, (String, String)>> {
    answers.iter().cloned().map(|answer| answer.map_err(|EventError { what, expected, .. }| (what, expected))).collect()
}
