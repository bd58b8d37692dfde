//! The guard's work queue in SQS.
//!
//! Owns: the two calls and their limits. Must not: know what the messages say.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;

use super::failure::during;
use crate::model::error::CloudError;
use crate::ports::WorkQueue;

/// The most that SQS delays a message.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html>
const MAX_DELAY: Duration = Duration::from_mins(15);
/// The most that SQS hides one that was received.
const MAX_HIDDEN: Duration = Duration::from_hours(12);

/// A queue by its address.
#[derive(Clone, Debug)]
pub struct Sqs {
    client: Client,
    url: String,
}

impl Sqs {
    /// The queue at this address.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }
}

/// Whole seconds, as SQS takes them, rounded up: a message that comes early would find nothing new.
fn seconds(time: Duration, most: Duration) -> i32 {
    let time = time.min(most);
    i32::try_from(time.as_secs() + u64::from(time.subsec_nanos() > 0)).unwrap_or(0)
}

#[async_trait]
impl WorkQueue for Sqs {
    async fn send(&self, message: &str, delay: Duration) -> Result<(), CloudError> {
        let call = self.client.send_message().queue_url(&self.url).message_body(message);
        let sent = call.delay_seconds(seconds(delay, MAX_DELAY)).send().await;
        sent.map(drop).map_err(during("sqs:SendMessage"))
    }

    async fn put_off(&self, receipt: &str, delay: Duration) -> Result<(), CloudError> {
        let call = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
        let changed = call.visibility_timeout(seconds(delay, MAX_HIDDEN)).send().await;
        changed.map(drop).map_err(during("sqs:ChangeMessageVisibility"))
    }
}
