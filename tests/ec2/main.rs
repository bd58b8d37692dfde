//! The EC2 adapter against answers as EC2 writes them: what is asked, what is understood, what an error becomes.
#![expect(clippy::unwrap_used, reason = "helpers make canned answers")]

mod errors;
mod modify;
mod reads;
mod revoke;
mod rules;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

/// The request id of every canned answer.
const REQUEST: &str = "8f2b7c3e-5a0d-4f3e-9a53-0d6f1f1f0001";

/// A success: `body` inside the element that EC2 wraps an answer of `action` in.
fn ok(action: &str, body: &str) -> HttpResponse {
    let xml = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<requestId>{REQUEST}</requestId>{body}</{action}Response>"#
    );
    answer(200, xml)
}

/// An error as EC2 writes it.
fn error(status: u16, code: &str, message: &str) -> HttpResponse {
    let xml = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>
<RequestID>{REQUEST}</RequestID></Response>"#
    );
    answer(status, xml)
}

fn answer(status: u16, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    response.headers_mut().insert("x-amzn-requestid", REQUEST);
    response
}

/// Whether the filters of a request are exactly these.
fn asks(filters: &[aws_sdk_ec2::types::Filter], expected: &[(&str, &[&str])]) -> bool {
    let same = |(filter, (name, values)): (&aws_sdk_ec2::types::Filter, &(&str, &[&str]))| {
        filter.name() == Some(*name) && filter.values() == *values
    };
    filters.len() == expected.len() && filters.iter().zip(expected).all(same)
}
