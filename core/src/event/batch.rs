//! Batches: messages that an SQS queue or an SNS topic delivers together, and the records of a log file of CloudTrail. Each
//! is read by itself, so that a bad message never fails the good ones.

use serde_json::Value;

use super::fields::{at, get, is_present, text};
use super::payload::{self, error, parse};
use super::work::Work;
use super::{EventError, Parsed, envelope, json};
use crate::model::ids::{Location, Queue};

/// A batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// What delivered it.
    pub carrier: Carrier,
    /// Its messages in their order, at least one.
    pub deliveries: Vec<Delivery>,
}

/// What delivers batches, and how it learns that a message failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// SQS delivers those messages again whose ids the answer lists in `batchItemFailures`, and deletes the others.
    Queue,
    /// SNS sees only whether the whole invocation succeeded or failed, and so does who hands over a log file.
    Topic,
}

/// One message of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Id of the message. Empty if it has none: an empty id in `batchItemFailures` makes SQS deliver the whole batch again.
    pub id: String,
    /// What it asks of us, or why it was not understood, with the path in the whole payload.
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
/// A batch of another service than SQS, SNS and CloudTrail: it cannot be known where its messages are.
pub fn read(payload: &Value) -> Option<Result<Batch, EventError>> {
    if let Some((path, inner)) = envelope::content(payload) {
        // What failed as a whole is tried again as a whole: nobody reads which of its messages failed.
        let whole = |batch| Batch { carrier: Carrier::Topic, ..batch };
        return Some(read(inner)?.map(whole).map_err(|error| error.inside(path)));
    }
    let records = payload.get("Records")?;
    let Some(first) = records.as_array().and_then(|records| records.first()) else {
        return Some(Err(error("$.Records", records, "a list of messages from SQS or SNS")));
    };
    let list = records.as_array().into_iter().flatten().enumerate();
    if list.clone().any(|(_, record)| is_of_trail(record)) {
        let deliveries = list.map(|(n, record)| recorded(&format!("$.Records[{n}]"), record)).collect();
        return Some(Ok(Batch { carrier: Carrier::Topic, deliveries }));
    }
    let source = text(get(first, "eventSource")).unwrap_or_default();
    let Some(shape) = SHAPES.iter().find(|shape| shape.source == source) else {
        let came = get(first, "eventSource");
        return Some(Err(error("$.Records[0].eventSource", came, "`aws:sqs` or `aws:sns`")));
    };
    let deliveries = list.map(|(n, record)| delivery(&format!("$.Records[{n}]"), record, shape)).collect();
    Some(Ok(Batch { carrier: shape.carrier, deliveries }))
}

/// Whether it is a record of CloudTrail's: of a service by its host name. Others say `aws:sqs` or `aws:s3`.
fn is_of_trail(record: &Value) -> bool {
    let is_host = |source: String| source.ends_with(".amazonaws.com");
    is_present(get(record, "eventName")) && text(get(record, "eventSource")).is_some_and(is_host)
}

/// A record of a log file.
fn recorded(path: &str, record: &Value) -> Delivery {
    let id = text(get(record, "eventID")).unwrap_or_default();
    Delivery { id, parsed: parse(record).map_err(|error| error.inside(path)) }
}

/// Only what is needed is read. No event may be lost because something else of its message, such as SNS's signature, is
/// missing or was given another type on the way.
fn delivery(path: &str, record: &Value, shape: &Shape) -> Delivery {
    let source = get(record, "eventSource");
    let parsed = if source.as_str() == Some(shape.source) {
        let path = format!("{path}.{}", shape.body.join("."));
        json_text(&path, at(record, shape.body)).and_then(|body| message(path.clone(), body))
    } else {
        Err(error(format!("{path}.eventSource"), source, &format!("`{}` as in the first message", shape.source)))
    };
    Delivery { id: text(at(record, shape.id)).unwrap_or_default(), parsed }
}

/// One message: its text is the payload, or an SNS notification whose own text is.
fn message(mut path: String, body: &str) -> Result<Parsed, EventError> {
    let mut payload = json::read_at(&path, body)?;
    if payload.get("Type").and_then(Value::as_str) == Some("Notification") {
        path.push_str(".Message");
        payload = json::read_at(&path, json_text(&path, get(&payload, "Message"))?)?;
    }
    // SNS invokes with one message at a time, and that may be what failed.
    let parsed = match read(&payload).filter(|_| envelope::is_one(&payload)) {
        Some(Ok(Batch { deliveries, .. })) => match <[Delivery; 1]>::try_from(deliveries) {
            Ok([Delivery { parsed, .. }]) => parsed,
            Err(_) => parse(&payload),
        },
        Some(Err(error)) => Err(error),
        None => parse(&payload),
    };
    parsed.map_err(|error| error.inside(&path))
}

/// What SQS says of a message beside its text, and what a queue of our own may hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Queued {
    /// The queue that it came from: the service says so, whatever the message holds.
    pub queue: Queue,
    /// What puts it off, until it comes the next time.
    pub receipt: String,
    /// How often it came, this time included.
    pub receives: u64,
    /// A message of the guard's own.
    pub work: Option<Result<Work, EventError>>,
    /// Of an event that an invocation failed on: with what sort of error.
    pub failed_with: Option<String>,
    /// Of a schedule: where that is.
    pub schedule: Option<Location>,
}

impl Queued {
    /// What is known of a message of a batch, by its place there. `None`: it came from no queue.
    pub fn of(payload: &Value, place: usize) -> Option<Self> {
        let record = payload.get("Records")?.get(place)?;
        let stated = |path: &[&str]| text(at(record, path));
        let path = format!("$.Records[{place}].body");
        let body = json::read_at(&path, record.get("body")?.as_str()?).unwrap_or_default();
        Some(Self {
            queue: Queue::of_arn(&stated(&["eventSourceARN"])?)?,
            receipt: stated(&["receiptHandle"]).unwrap_or_default(),
            receives: stated(&["attributes", "ApproximateReceiveCount"])?.parse().ok()?,
            work: Work::read(&path, &body),
            failed_with: envelope::error_type(&body),
            schedule: payload::schedule(&body),
        })
    }
}

fn json_text<'a>(path: &str, value: &'a Value) -> Result<&'a str, EventError> {
    value.as_str().ok_or_else(|| error(path, value, "JSON as text"))
}
