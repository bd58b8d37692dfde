//! Sends messages to every channel, whatever another channel does.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};

use crate::guard::setup::Ports;
use crate::model::error::{Cause, chain};
use crate::ports::Channel;
use crate::report::notice::Message;

/// Messages on their way at once.
const MAX_SENDS: usize = 8;

/// Sends every message through every channel. Gives what could not be sent, and why; nothing: everybody was notified.
pub(super) async fn notify(ports: &Ports, messages: &[Message]) -> Vec<String> {
    let mut sends: Vec<BoxFuture<'_, Result<(), String>>> = Vec::new();
    for message in messages {
        sends.extend(ports.channels.iter().map(|channel| send(channel.as_ref(), message).boxed()));
    }
    let sent: Vec<Result<(), String>> = stream::iter(sends).buffered(MAX_SENDS).collect().await;
    for sent in &sent {
        ports.metrics.notified(sent.is_ok());
    }
    sent.into_iter().filter_map(Result::err).collect()
}

async fn send(channel: &dyn Channel, message: &Message) -> Result<(), String> {
    let unsent =
        |error: Cause| format!("the message to {} could not be sent: {}", channel.name(), chain(error.as_ref()));
    channel.send(message).await.map_err(unsent)
}
