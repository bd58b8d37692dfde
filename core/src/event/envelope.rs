//! What Lambda hands to a failure destination: the payload of an invocation that failed, with how it failed.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>

use serde_json::Value;

use super::fields::{at, get, is_present, text};

/// Where the payload stands.
const PAYLOAD: &str = "requestPayload";
const CONTEXT: &str = "requestContext";
/// What only Lambda says of an invocation; others (function URLs) have a `requestContext` too.
const OF_LAMBDA: [&str; 3] = ["functionArn", "condition", "approximateInvokeCount"];

/// Whether it is such an envelope.
pub(super) fn is_one(payload: &Value) -> bool {
    let context = get(payload, CONTEXT);
    payload.get(PAYLOAD).is_some() || OF_LAMBDA.iter().any(|name| is_present(get(context, name)))
}

/// The payload inside, and its path. `None`: it is no envelope, or its payload was left out, as a large one may be.
pub(super) fn content(payload: &Value) -> Option<(&'static str, &Value)> {
    let inner = Some(get(payload, PAYLOAD)).filter(|inner| !inner.is_null())?;
    Some(("$.requestPayload", inner))
}

/// With what sort of error the invocation failed; `None` where it did not end by itself.
pub(super) fn error_type(payload: &Value) -> Option<String> {
    text(at(payload, &["responsePayload", "errorType"]))
}
