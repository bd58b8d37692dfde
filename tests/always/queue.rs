//! Of whatever lies in the guard's own queues.

use eks_sg_guard::event::batch::Queued;
use eks_sg_guard::event::work::{MAX_HOPS, WorkError};
use eks_sg_guard::model::ids::{is_account, is_region};
use serde_json::{Value, json};

use crate::answers::{answers, is_sound};

/// What SQS takes.
const MAX_BYTES: usize = 1024 * 1024;

/// Any text is answered in words, and a message that was understood is written as it was read.
pub(crate) fn holds(bytes: &[u8]) {
    let body = String::from_utf8_lossy(bytes);
    let payload = batch(&body);
    let answers = answers(&payload);
    assert_eq!(answers.len(), 1, "one message, whatever it says");
    assert!(answers.iter().all(is_sound), "{answers:?}");
    let queued = Queued::of(&payload, 0).unwrap();
    if let Some(location) = &queued.schedule {
        assert!(is_account(&location.account) && is_region(&location.region), "{location:?}");
    }
    match queued.work {
        None => {}
        Some(Err(error)) => assert!(is_sound(&Err(error.clone())), "{error}"),
        Some(Ok(work)) => {
            assert!(work.hops <= MAX_HOPS, "it goes in a circle");
            match work.text() {
                Ok(text) => {
                    assert!(text.len() <= MAX_BYTES, "{} bytes", text.len());
                    assert_eq!(Queued::of(&batch(&text), 0).unwrap().work, Some(Ok(work)));
                }
                Err(error) => assert!(matches!(error, WorkError::TooLarge(_)), "{error}"),
            }
        }
    }
}

/// What Lambda hands over of one message.
fn batch(body: &str) -> Value {
    json!({"Records": [{
        "eventSource": "aws:sqs", "messageId": "m-1", "receiptHandle": "r-1", "body": body,
        "eventSourceARN": "arn:aws:sqs:eu-west-1:111122223333:guard",
        "attributes": {"ApproximateReceiveCount": "2"},
    }]})
}
