//! Messages that come together, from an SQS queue or an SNS topic. Each is read alone: a bad one never fails the good ones.

use serde_json::Value;

use super::fields::{at, get, text};
use super::payload::{error, parse};
use super::{EventError, Parsed, json};

/// A batch, in the order in which it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Who brought it.
    pub carrier: Carrier,
    /// At least one.
    pub deliveries: Vec<Delivery>,
}

/// Who brings batches. The two want to hear of failures differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// SQS brings again those messages whose ids the answer lists in `batchItemFailures`, and forgets the others.
    Queue,
    /// SNS knows nothing but the success or the failure of the whole invocation.
    Topic,
}

/// One message of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Id of the message; empty when there is none, which as a failed item makes SQS bring the whole batch again.
    pub id: String,
    /// What it asks of us, or why it was not understood: with the place counted from the whole payload.
    pub parsed: Result<Parsed, EventError>,
}

/// How a carrier marks its messages, and where they hold their id and their text.
struct Shape {
    source: &'static str,
    carrier: Carrier,
    id: &'static [&'static str],
    body: &'static [&'static str],
}

const SHAPES: &[Shape] = &[
    Shape { source: "aws:sqs", carrier: Carrier::Queue, id: &["messageId"], body: &["body"] },
    Shape { source: "aws:sns", carrier: Carrier::Topic, id: &["Sns", "MessageId"], body: &["Sns", "Message"] },
];

/// The messages of a batch; `None` when the payload is one message itself, which is for [`parse`].
///
/// # Errors
/// A batch that nobody brings whom we know: no message of it can be told.
pub fn read(payload: &Value) -> Option<Result<Batch, EventError>> {
    let records = payload.get("Records")?;
    let Some(first) = records.as_array().and_then(|records| records.first()) else {
        return Some(Err(error("$.Records", records, "a list of messages from SQS or SNS")));
    };
    let source = text(get(first, "eventSource")).unwrap_or_default();
    let Some(shape) = SHAPES.iter().find(|shape| shape.source == source) else {
        let came = get(first, "eventSource");
        return Some(Err(error("$.Records[0].eventSource", came, "`aws:sqs` or `aws:sns`")));
    };
    let records = records.as_array().into_iter().flatten().enumerate();
    let deliveries = records.map(|(n, record)| delivery(&format!("$.Records[{n}]"), record, shape)).collect();
    Some(Ok(Batch { carrier: shape.carrier, deliveries }))
}

fn delivery(path: &str, record: &Value, shape: &Shape) -> Delivery {
    let id = text(at(record, shape.id)).unwrap_or_default();
    let source = get(record, "eventSource");
    let parsed = if source.as_str() == Some(shape.source) {
        message(format!("{path}.{}", shape.body.join(".")), at(record, shape.body))
    } else {
        Err(error(format!("{path}.eventSource"), source, &format!("`{}` as in the first message", shape.source)))
    };
    Delivery { id, parsed }
}

/// One message: its text is the payload, or an SNS notification whose own text is.
fn message(mut path: String, body: &Value) -> Result<Parsed, EventError> {
    let mut payload = nested(&path, body)?;
    if payload.get("Type").and_then(Value::as_str) == Some("Notification") {
        path.push_str(".Message");
        payload = nested(&path, get(&payload, "Message"))?;
    }
    parse(&payload).map_err(|error| error.inside(&path))
}

/// JSON in a text.
fn nested(path: &str, text: &Value) -> Result<Value, EventError> {
    json::read_at(path, text.as_str().ok_or_else(|| error(path, text, "JSON as text"))?)
}
