//! A Slack incoming webhook as a channel, through the SDK's own HTTP connector.
//!
//! Owns: the webhook's address, which is a secret (who knows it can post), and what each of Slack's answers means. Must
//! not: let the address into a log, an error or a `Debug` text.
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use std::fmt;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use jiff::SignedDuration;

use super::failure::cloud_error;
use crate::model::error::Cause;
use crate::model::text::plain;
use crate::ports::{Channel, Clock};
use crate::report::notice::{Message, slack};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// No try begins later than this after the first: other messages have to go out too before Lambda ends the invocation.
const TIME_TO_SEND: SignedDuration = SignedDuration::from_secs(10);
/// Waits before another try. Slack takes about one message per second of a webhook, and says when it wants a longer pause.
const RETRY_DELAYS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// A webhook whose address stands in Secrets Manager.
pub struct Webhook {
    secrets: Client,
    secret: String,
    http: SharedHttpConnector,
    clock: Arc<dyn Clock>,
    address: Mutex<Option<String>>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("secret", &self.secret).finish_non_exhaustive()
    }
}

/// Why a message did not arrive, and whether another try makes sense.
struct PostError {
    why: String,
    again: Again,
}

enum Again {
    Never,
    /// The address may have been replaced.
    WithNewAddress,
    After(Duration),
}

impl PostError {
    fn new(why: impl Into<String>, again: Again) -> Self {
        Self { why: why.into(), again }
    }
}

impl Webhook {
    /// `secret`: the ARN of a secret that holds the address, alone or as the field `url` of a JSON object.
    pub fn new(secrets: Client, secret: &str, clock: Arc<dyn Clock>) -> Self {
        let settings =
            HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
        let http = Connector::builder()
            .connector_settings(settings)
            .sleep_impl(TokioSleep::new()) // without it timeouts do nothing
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .build();
        let http = SharedHttpConnector::new(http);
        Self { secrets, secret: secret.to_owned(), http, clock, address: Mutex::default() }
    }

    /// The address, read once.
    async fn address(&self) -> Result<String, Cause> {
        if let Some(known) = self.known().clone() {
            return Ok(known);
        }
        let answer = self.secrets.get_secret_value().secret_id(&self.secret).send().await;
        let answer = answer.map_err(|error| cloud_error("secretsmanager:GetSecretValue", &error))?;
        let address = answer.secret_string().and_then(address_in).ok_or_else(|| {
            let expected = "expected the address of an incoming webhook, https://hooks.slack.com/services/…";
            format!("secret `{}` holds something else; {expected}", self.secret)
        })?;
        *self.known() = Some(address.clone());
        Ok(address)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn post(&self, address: &str, body: &str) -> Result<(), PostError> {
        let unusable = |_| PostError::new("the address in the secret is no address", Again::Never);
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|_| PostError::new("the request could not be made", Again::Never))?;
        request.set_uri(address).map_err(unusable)?;
        request.headers_mut().insert("content-type", "application/json");
        // What the connector says may hold the address, so only the kind of the error is named.
        let answer = self.http.call(request).await.map_err(|error| {
            let why = if error.is_timeout() { "it did not answer in time" } else { "the connection failed" };
            PostError::new(why, Again::After(Duration::ZERO))
        })?;
        let status = answer.status().as_u16();
        let pause = answer.headers().get("retry-after").and_then(|seconds| seconds.trim().parse().ok());
        let said = match ByteStream::new(answer.into_body()).collect().await {
            Ok(body) => String::from_utf8_lossy(&body.into_bytes()).trim().to_owned(),
            Err(_) => String::new(),
        };
        let again = match status {
            200 if said == "ok" => return Ok(()),
            403 | 404 | 410 => Again::WithNewAddress,
            429 => Again::After(Duration::from_secs(pause.unwrap_or(1))),
            500..=599 => Again::After(Duration::ZERO),
            _ => Again::Never,
        };
        // Some proxies answer with a page that repeats the address.
        let said = plain(&said.replace(address, "(the address)"));
        Err(PostError::new(format!("it answered {status}: `{said}`"), again))
    }
}

#[async_trait]
impl Channel for Webhook {
    fn name(&self) -> &'static str {
        "Slack"
    }

    async fn send(&self, message: &Message) -> Result<(), Cause> {
        let Some(notice) = &message.notice else { return Ok(()) };
        let body = slack::json(notice);
        let deadline = self.clock.now() + TIME_TO_SEND;
        let mut waits = RETRY_DELAYS.into_iter();
        let mut is_new = false;
        loop {
            let address = self.address().await?;
            let Err(PostError { why, again }) = self.post(&address, &body).await else { return Ok(()) };
            let wait = match again {
                Again::WithNewAddress if !is_new => {
                    is_new = true;
                    *self.known() = None;
                    Some(Duration::ZERO)
                }
                Again::Never | Again::WithNewAddress => None,
                Again::After(pause) => waits.next().map(|wait| wait.max(pause)),
            };
            let fits =
                |wait: &Duration| SignedDuration::try_from(*wait).is_ok_and(|wait| self.clock.now() + wait < deadline);
            let Some(wait) = wait.filter(fits) else {
                // An address that does not work is not kept: the next message reads the secret again.
                *self.known() = None;
                return Err(format!("{why}; look at the webhook of secret `{}`", self.secret).into());
            };
            self.clock.sleep(wait).await;
        }
    }
}

/// Only loopback may do without TLS: who reads the address on the way can post.
fn address_in(secret: &str) -> Option<String> {
    let json: Option<serde_json::Value> = serde_json::from_str(secret).ok();
    let field = json.as_ref().and_then(|json| json.get("url")).and_then(|url| url.as_str());
    let address = field.unwrap_or(secret).trim();
    let is_fit = ["https://", "http://127.0.0.1:"].iter().any(|start| address.starts_with(start));
    (is_fit && !address.contains(|c: char| c.is_whitespace() || c.is_control())).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_alone_or_in_an_object_and_never_goes_without_tls() {
        let hook = "https://hooks.slack.com/services/T0/B0/x";
        for secret in [hook.to_owned(), format!(" {hook}\n"), format!(r#"{{"url": "{hook}"}}"#)] {
            assert_eq!(address_in(&secret).as_deref(), Some(hook));
        }
        for secret in
            ["", "{}", "hooks.slack.com", "http://hooks.slack.com/services/T0", "https://a b", r#"{"url": 1}"#]
        {
            assert_eq!(address_in(secret), None, "{secret}");
        }
    }
}
