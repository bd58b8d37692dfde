//! Sends messages to every channel, whatever another channel does. With a table each channel gets each message once, however
//! many tries and processes there are: it is kept and claimed before it is sent, and marked when it was.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, join_all, select};
use futures::stream::{self, FuturesUnordered, StreamExt as _};
use jiff::Timestamp;

use crate::model::error::{Cause, CloudError, chain};
use crate::ports::{Channel, Ports, StateStore};
use crate::report::allowance::Allowed;
use crate::report::notice::Message;
use crate::report::outbox::{self, Claimed, Letter, Sent};
use crate::report::record::Record;

/// Messages on their way at once.
const MAX_SENDS: usize = 8;
/// A table that takes longer is left alone: told twice is better than not told.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long after one channel has a message others are waited for before that is noted.
const TOGETHER: Duration = Duration::from_millis(10);

/// A message that is to be sent.
pub(super) struct Outgoing {
    message: Message,
    /// The call that it is about, by the event's id, and whose it was.
    call: Option<(String, String)>,
    /// Where it is kept, if another try would find it there.
    kept: Option<(String, Letter)>,
}

impl Outgoing {
    /// The message of this record. `anew`: what needs a person is said once more, at this time.
    pub(super) fn of(record: &Record, message: Message, anew: Option<Timestamp>) -> Self {
        let kept = outbox::key(record).map(|key| (key, Letter::of(record, message.clone(), anew)));
        Self { message, kept, call: call(record) }
    }

    /// The message of a call that concerns all these.
    pub(super) fn of_call(records: &[&Record], message: Message, anew: Option<Timestamp>) -> Self {
        let kept = outbox::key_of_call(records).map(|key| (key, Letter::of_call(records, message.clone(), anew)));
        Self { message, kept, call: records.first().and_then(|record| call(record)) }
    }

    /// Whether people hear of it, and not machines alone.
    pub(super) fn is_for_people(&self) -> bool {
        self.message.notice.is_some()
    }

    /// The digest of a look, of these records, which another try of its last part would send again.
    pub(super) fn digest(look: &str, (message, records): (Message, Vec<&Record>)) -> Self {
        let key = outbox::key_of_digest(look, &message);
        Self { kept: Some((key, Letter::of_call(&records, message.clone(), None))), message, call: None }
    }

    /// The same, which says this, too: what its record's findings are about does not tell it from others.
    pub(super) fn saying(mut self, what: String) -> Self {
        if let Some((_, letter)) = &mut self.kept {
            letter.said.insert(what);
        }
        self
    }

    /// A message that no other try would know again.
    pub(super) fn once(message: Message) -> Self {
        Self { message, kept: None, call: None }
    }
}

/// The event, and the role or user who made the call.
fn call(record: &Record) -> Option<(String, String)> {
    let principal = record.actor.as_ref()?.principal();
    Some((record.event_id.clone()?, principal.unwrap_or_default()))
}

/// Makes one summary of what is more than people read about the calls of one principal; all after that stands in the records
/// alone. The events of which people hear nothing so.
pub(super) async fn within_allowance(ports: &Ports, messages: &mut [Outgoing]) -> BTreeSet<String> {
    let mut silenced = BTreeSet::new();
    let Some(state) = &ports.state else { return silenced };
    for Outgoing { message, kept, call } in messages {
        let (Some(notice), Some((key, letter)), Some((event, principal))) = (&mut message.notice, kept, call) else {
            continue;
        };
        match in_time(ports, state.allow(principal, key)).await {
            Ok(Allowed::Message) => continue,
            Ok(Allowed::Summary(until)) => *notice = notice.summary(until),
            Ok(Allowed::Nothing) => {
                silenced.insert(event.clone());
                message.notice = None;
            }
            Err(why) => {
                tracing::warn!(%why, "a message is sent uncounted, so people may get too many");
                continue;
            }
        }
        letter.message = Some(message.clone());
    }
    silenced
}

/// Sends every message through every channel. Gives what could not be sent, and why; nothing: everybody was notified.
pub(super) async fn notify(ports: &Ports, messages: &[Outgoing]) -> Vec<String> {
    let deliveries: Vec<BoxFuture<'_, Vec<String>>> =
        messages.iter().map(|outgoing| deliver(ports, outgoing).boxed()).collect();
    stream::iter(deliveries).buffered(MAX_SENDS).concat().await
}

async fn deliver(ports: &Ports, outgoing: &Outgoing) -> Vec<String> {
    let Outgoing { message, kept, .. } = outgoing;
    let names: Vec<&str> = ports.channels.iter().map(|channel| channel.name()).collect();
    if let (Some(state), Some((key, letter))) = (&ports.state, kept)
        && !names.is_empty()
    {
        match in_time(ports, state.claim(key, letter, &names)).await {
            Ok(claimed) => return send_claimed(ports, state.as_ref(), key, message, claimed).await,
            Err(why) => tracing::warn!(%why, "a message is sent unclaimed, so it may be sent twice"),
        }
    }
    let sends = ports.channels.iter().map(|channel| send(ports, channel.as_ref(), message));
    join_all(sends).await.into_iter().filter_map(Result::err).collect()
}

/// Sends what was claimed, as it was composed first, and notes at once which channel has it: those that take it at about the
/// same time with one write, for two would stand in each other's way.
async fn send_claimed(
    ports: &Ports,
    state: &dyn StateStore,
    key: &str,
    message: &Message,
    Claimed { mine, others }: Claimed,
) -> Vec<String> {
    let sends = mine.into_iter().filter_map(|(letter, name, kept)| {
        let channel = ports.channels.iter().find(|channel| channel.name() == name)?;
        Some(async move {
            let sent = send(ports, channel.as_ref(), kept.as_ref().unwrap_or(message)).await;
            (Sent { letter, channel: name, is_sent: sent.is_ok() }, sent.err())
        })
    });
    let mut sends: FuturesUnordered<_> = sends.collect();
    let mut unsent = Vec::new();
    while let Some((first, why)) = sends.next().await {
        unsent.extend(why);
        let mut sent = vec![first];
        let mut over = ports.clock.sleep(TOGETHER);
        while let Either::Left((Some((another, why)), still)) = select(sends.next(), over).await {
            unsent.extend(why);
            sent.push(another);
            over = still;
        }
        if let Err(why) = in_time(ports, state.settle(key, &sent)).await {
            tracing::warn!(?sent, %why, "what came of a message could not be noted, so it may be sent twice");
        }
    }
    let busy = |name: String| format!("another process is sending the message to {name}; the next try sees to it");
    unsent.extend(others.into_iter().map(busy));
    unsent
}

async fn in_time<T>(ports: &Ports, asked: BoxFuture<'_, Result<T, CloudError>>) -> Result<T, String> {
    match select(asked, ports.clock.sleep(PATIENCE)).await {
        Either::Left((answer, _)) => answer.map_err(|error| chain(&error)),
        Either::Right(_) => Err("the table did not answer in time".to_owned()),
    }
}

async fn send(ports: &Ports, channel: &dyn Channel, message: &Message) -> Result<(), String> {
    let unsent =
        |error: Cause| format!("the message to {} could not be sent: {}", channel.name(), chain(error.as_ref()));
    let linked = ports.log_page.as_ref().map(|log| message.with_records_in(log));
    let sent = channel.send(linked.as_ref().unwrap_or(message)).await.map_err(unsent);
    ports.metrics.notified(sent.is_ok());
    sent
}
