//! The channels of the function, as one type.

use super::clock::SystemClock;
use super::slack::Webhook;
use super::sns::Topic;
use crate::model::error::Cause;
use crate::ports::Channel;
use crate::report::notice::Message;

/// Any channel.
#[derive(Debug)]
pub enum Outlet {
    /// An SNS topic.
    Topic(Topic),
    /// A Slack webhook.
    Slack(Webhook<SystemClock>),
}

impl Channel for Outlet {
    fn name(&self) -> &'static str {
        match self {
            Self::Topic(topic) => topic.name(),
            Self::Slack(webhook) => webhook.name(),
        }
    }

    async fn send(&self, message: &Message) -> Result<(), Cause> {
        match self {
            Self::Topic(topic) => topic.send(message).await,
            Self::Slack(webhook) => webhook.send(message).await,
        }
    }
}
