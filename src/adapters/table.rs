//! A DynamoDB table as the state store: one item per event that was handled, one per finding that people were notified of.
//!
//! Owns: keys, batches, the lock on an item, when an item ends. Nobody else writes to the table, but what is read from it
//! may be anything: an item that cannot be understood is an empty one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::{cloud_error, unusable};
use crate::model::baseline::{Baseline, KnownGroups, Learnt, Lesson, LocationState};
use crate::model::error::CloudError;
use crate::model::hour::Hour;
use crate::model::ids::Location;
use crate::model::member::{self, Members};
use crate::ports::{Clock, StateStore};
use crate::report::allowance::{self, Allowance, Allowed};
use crate::report::history::{History, Key, digest};
use crate::report::journal::{self, Journal, Note};
use crate::report::outbox::{self, Claimed, Letter, Outbox};
use crate::report::part::EndedPart;
use crate::report::record::Record;
use crate::report::waiting::Waiting;

const READ: &str = "dynamodb:BatchGetItem";
const WRITE: &str = "dynamodb:PutItem";

/// The partition key.
const PK: &str = "pk";
/// Unix seconds; the table's time-to-live attribute. DynamoDB deletes days late, so the reader looks at it too.
const EXPIRES: &str = "expires";
/// The lock: it changes with each write, and a write names the one it has read.
const VERSION: &str = "version";
/// A [`History`] as JSON. The name is that of the items in tables that are in use.
const HISTORY: &str = "past";

/// What one `BatchGetItem` takes.
const MAX_KEYS_PER_READ: usize = 100;
/// Writes on their way at once.
const MAX_WRITES: usize = 8;
/// Waits before what DynamoDB left out, or what somebody else has changed meanwhile, is tried again.
const RETRY_DELAYS: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];
/// `EventBridge` tries to deliver an event for a day, then Lambda for six hours. After that it does not come by itself.
const EVENT_TTL: SignedDuration = SignedDuration::from_hours(48);
/// Longest text of a history in bytes. What is written is far below it.
const MAX_BYTES: usize = 64 * 1024;

/// What is known of rules, as JSON.
const STATE: &str = "state";
/// Longest text of it. `DynamoDB` takes items of 400 KB.
const MAX_STATE_BYTES: usize = 390_000;

type Item = HashMap<String, AttributeValue>;

/// A table, and the location whose events and findings are kept in it.
#[derive(Clone)]
pub struct Table {
    client: Client,
    /// Name or ARN.
    name: String,
    location: Location,
    clock: Arc<dyn Clock>,
}

/// A finding as it stands in the table.
struct Stored {
    /// As read, whatever it is. `None`: there is no item.
    version: Option<AttributeValue>,
    history: History,
}

impl Table {
    /// A table by name or ARN, for the events of this location.
    pub fn new(client: Client, name: &str, location: Location, clock: Arc<dyn Clock>) -> Self {
        Self { client, name: name.to_owned(), location, clock }
    }

    /// The id is text from outside, so it is not the key itself.
    fn event_key(&self, kind: &str, event: &str) -> String {
        format!("{kind}#{}", digest(&[&self.location.account, &self.location.region, event]))
    }

    /// The items that are there, by key, those included whose time is over.
    async fn read(&self, keys: BTreeSet<String>) -> Result<HashMap<String, Item>, CloudError> {
        let keys: Vec<String> = keys.into_iter().collect();
        let mut found = HashMap::new();
        for batch in keys.chunks(MAX_KEYS_PER_READ) {
            self.read_batch(batch, &mut found).await?;
        }
        Ok(found)
    }

    async fn read_batch(&self, keys: &[String], found: &mut HashMap<String, Item>) -> Result<(), CloudError> {
        let key = |key: &String| HashMap::from([(PK.to_owned(), AttributeValue::S(key.clone()))]);
        let mut left: Vec<Item> = keys.iter().map(key).collect();
        for wait in std::iter::once(Duration::ZERO).chain(RETRY_DELAYS) {
            self.clock.sleep(wait).await;
            let wanted = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let wanted = wanted.map_err(|error| unusable(READ, error))?;
            let answer = self.client.batch_get_item().request_items(&self.name, wanted).send().await;
            let answer = answer.map_err(|error| self.failed(READ, &error))?;
            for item in answer.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                if let Some(AttributeValue::S(key)) = item.get(PK) {
                    found.insert(key.clone(), item);
                }
            }
            left = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, keys)| keys.keys).collect();
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(unusable(READ, format!("table `{}` left {} items unread; it is overloaded", self.name, left.len())))
    }

    async fn stored(&self, keys: impl Iterator<Item = &Key>) -> Result<BTreeMap<Key, Stored>, CloudError> {
        let keys: BTreeMap<String, &Key> = keys.map(|key| (format!("finding#{}", key.text()), key)).collect();
        let mut items = self.read(keys.keys().cloned().collect()).await?;
        let now = self.clock.now();
        let stored = |(pk, key): (String, &Key)| {
            let mut item = items.remove(&pk).unwrap_or_default();
            let history = if is_over(&item, now) { History::default() } else { history(&item) };
            (key.clone(), Stored { version: item.remove(VERSION), history })
        };
        Ok(keys.into_iter().map(stored).collect())
    }

    async fn put_event(&self, event: &str) -> Result<(), CloudError> {
        let ends = self.clock.now().checked_add(EVENT_TTL).unwrap_or(Timestamp::MAX);
        // Whoever writes it writes the same, so no condition is needed.
        let put = self.client.put_item().table_name(&self.name);
        let put = put.item(PK, AttributeValue::S(self.event_key("event", event))).item(EXPIRES, seconds(ends));
        put.send().await.map_err(|error| self.failed(WRITE, &error))?;
        Ok(())
    }

    /// Adds the histories to what is there. Other processes do the same at the same time: the second one reads again.
    async fn add(&self, histories: &[(Key, History)]) -> Result<(), CloudError> {
        let mut left: BTreeMap<Key, History> = BTreeMap::new();
        for (key, history) in histories {
            let known = left.entry(key.clone()).or_default();
            *known = std::mem::take(known).merge(history.clone());
        }
        for wait in std::iter::once(Duration::ZERO).chain(RETRY_DELAYS) {
            if left.is_empty() {
                return Ok(());
            }
            self.clock.sleep(wait).await;
            let mut stored = self.stored(left.keys()).await?;
            let writes = left.into_iter().filter_map(|(key, history)| {
                let stored = stored.remove(&key)?;
                Some(async move {
                    self.put_history(&key, &history, stored).await.map(|kept| (!kept).then_some((key, history)))
                })
            });
            let written: Vec<Result<Option<(Key, History)>, CloudError>> =
                stream::iter(writes).buffer_unordered(MAX_WRITES).collect().await;
            left = written.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
        }
        if left.is_empty() {
            return Ok(());
        }
        let what = format!("{} items of table `{}` were changed by others again and again", left.len(), self.name);
        Err(unusable(WRITE, what))
    }

    /// Whether it was kept. Otherwise somebody else has changed the item since it was read.
    async fn put_history(&self, key: &Key, history: &History, stored: Stored) -> Result<bool, CloudError> {
        let merged = stored.history.clone().merge(history.clone());
        let Some(ends) = merged.ends().filter(|_| merged != stored.history) else { return Ok(true) };
        let json = serde_json::to_string(&merged).map_err(|error| unusable(WRITE, error))?;
        let put = self.client.put_item().table_name(&self.name);
        let put = put
            .item(PK, AttributeValue::S(format!("finding#{}", key.text())))
            .item(EXPIRES, seconds(ends))
            .item(VERSION, next(stored.version.as_ref()))
            .item(HISTORY, AttributeValue::S(json))
            .expression_attribute_names("#version", VERSION);
        let put = match stored.version {
            None => put.condition_expression("attribute_not_exists(#version)"),
            Some(read) => put.condition_expression("#version = :read").expression_attribute_values(":read", read),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(self.failed(WRITE, &error)),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What these items hold, as far as they are there.
    pub(super) async fn states<T: DeserializeOwned>(
        &self,
        keys: BTreeSet<String>,
    ) -> Result<Vec<Option<T>>, CloudError> {
        Ok(self.read(keys).await?.values().map(state).collect())
    }

    pub(super) fn location_key(&self, kind: &str, of: &[&str]) -> String {
        let Location { account, region, .. } = &self.location;
        let parts = [kind, account.as_str(), region.as_str()].into_iter().chain(of.iter().copied());
        parts.collect::<Vec<_>>().join("#")
    }

    /// Changes one item by what was learnt, and says what it is then. Others do the same at the same time: the second one
    /// reads again. `life`: how long it is kept from now on, if not for ever.
    pub(super) async fn change<T>(
        &self,
        key: String,
        life: Option<SignedDuration>,
        change: impl Fn(Option<T>) -> Option<T> + Send + Sync,
    ) -> Result<Option<T>, CloudError>
    where
        T: DeserializeOwned + Serialize + Clone + PartialEq + Send + Sync,
    {
        for wait in std::iter::once(Duration::ZERO).chain(RETRY_DELAYS) {
            self.clock.sleep(wait).await;
            let mut item = self.read(BTreeSet::from([key.clone()])).await?.remove(&key).unwrap_or_default();
            let stored: Option<T> = state(&item);
            let Some(changed) = change(stored.clone()).filter(|changed| Some(changed) != stored.as_ref()) else {
                return Ok(stored);
            };
            let json = serde_json::to_string(&changed).map_err(|error| unusable(WRITE, error))?;
            if json.len() > MAX_STATE_BYTES {
                return Err(unusable(
                    WRITE,
                    format!("`{key}` would have {} bytes; at most {MAX_STATE_BYTES} fit", json.len()),
                ));
            }
            let read = item.remove(VERSION);
            let put = self.client.put_item().table_name(&self.name);
            let put = put
                .item(PK, AttributeValue::S(key.clone()))
                .item(VERSION, next(read.as_ref()))
                .item(STATE, AttributeValue::S(json))
                .expression_attribute_names("#version", VERSION);
            let put = match life {
                Some(life) => put.item(EXPIRES, seconds(self.clock.now().checked_add(life).unwrap_or(Timestamp::MAX))),
                None => put,
            };
            let put = match read {
                None => put.condition_expression("attribute_not_exists(#version)"),
                Some(read) => put.condition_expression("#version = :read").expression_attribute_values(":read", read),
            };
            match put.send().await {
                Ok(_) => return Ok(Some(changed)),
                Err(error) if error.code() == Some("ConditionalCheckFailedException") => {}
                Err(error) => return Err(self.failed(WRITE, &error)),
            }
        }
        Err(unusable(WRITE, format!("`{key}` of table `{}` was changed by others again and again", self.name)))
    }

    /// The same, with what the change says of itself. That of the last attempt counts: those before it came second.
    async fn change_and_say<T, S>(
        &self,
        key: String,
        life: SignedDuration,
        change: impl Fn(Option<T>) -> (T, S) + Send + Sync,
    ) -> Result<S, CloudError>
    where
        T: DeserializeOwned + Serialize + Clone + PartialEq + Send + Sync,
        S: Send,
    {
        let said = Mutex::new(None);
        let and_say = |stored: Option<T>| {
            let (changed, what) = change(stored);
            *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
            Some(changed)
        };
        self.change(key, Some(life), and_say).await?;
        let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
        said.ok_or_else(|| unusable(WRITE, "nothing was changed"))
    }

    fn failed<E: ProvideErrorMetadata + std::error::Error + 'static>(
        &self,
        action: &str,
        error: &SdkError<E>,
    ) -> CloudError {
        if error.code() == Some("ResourceNotFoundException") {
            let what = "was not found; name one of this region in GUARD_STATE_TABLE, or leave that empty";
            return unusable(action, format!("table `{}` {what}", self.name));
        }
        cloud_error(action, error)
    }
}

#[async_trait]
impl StateStore for Table {
    async fn known(&self, groups: &[String]) -> Result<(KnownGroups, BTreeMap<String, Journal>), CloudError> {
        let place = self.location_key("location", &[]);
        let keys: BTreeMap<String, &String> =
            groups.iter().map(|group| (self.location_key("baseline", &[group]), group)).collect();
        let of_members: BTreeMap<String, &String> =
            groups.iter().map(|group| (self.location_key("member", &[group]), group)).collect();
        let journals: BTreeMap<String, &String> =
            groups.iter().map(|group| (self.location_key("journal", &[group]), group)).collect();
        let all = keys.keys().chain(of_members.keys()).chain(journals.keys()).chain([&place]);
        let items = self.read(all.cloned().collect()).await?;
        let baseline = |(key, group): (&String, &&String)| Some(((*group).clone(), state(items.get(key)?)?));
        let members = |(key, group): (&String, &&String)| Some(((*group).clone(), state(items.get(key)?)?));
        let now = self.clock.now();
        let journal =
            |(key, group): (&String, &&String)| Some(((*group).clone(), state::<Journal>(items.get(key)?)?.alive(now)));
        let known = KnownGroups {
            place: items.get(&place).and_then(state).unwrap_or_default(),
            groups: keys
                .iter()
                .filter_map(baseline)
                .filter(|(_, baseline): &(String, Baseline)| baseline.is_whole())
                .collect(),
            members: of_members.iter().filter_map(members).collect(),
        };
        Ok((known, journals.iter().filter_map(journal).collect()))
    }

    async fn note(&self, group: &str, note: &Note) -> Result<Journal, CloudError> {
        let now = self.clock.now();
        let with = |stored: Option<Journal>| Some(stored.unwrap_or_default().with(note, now));
        let written = self.change(self.location_key("journal", &[group]), Some(journal::LIFE), with).await?;
        Ok(written.unwrap_or_default())
    }

    async fn seen(&self, vpc: &str) -> Result<BTreeSet<String>, CloudError> {
        let key = self.location_key("look", &[vpc]);
        let items = self.read(BTreeSet::from([key.clone()])).await?;
        Ok(items.get(&key).and_then(state).unwrap_or_default())
    }

    /// What the groups teach comes first and that they were looked at last: a look counts only with all that it saw.
    async fn learn(&self, lesson: &Lesson) -> Result<(), CloudError> {
        let write = |(group, learnt): (&String, &Learnt)| {
            let (group, learnt, now) = (group.clone(), learnt.clone(), self.clock.now());
            async move {
                if !learnt.members.is_empty() {
                    let with =
                        |stored: Option<Members>| Some(member::with(stored.unwrap_or_default(), &learnt.members, now));
                    self.change(self.location_key("member", &[&group]), None, with).await?;
                }
                if learnt.rules.is_empty() && learnt.seen.is_none() {
                    return Ok(());
                }
                let with = |stored| Baseline::with(stored, &learnt).map(|baseline| baseline.within(MAX_STATE_BYTES));
                self.change(self.location_key("baseline", &[&group]), None, with).await.map(|_| ())
            }
        };
        let groups: Vec<_> = lesson.groups.iter().map(write).collect();
        let written: Vec<Result<(), CloudError>> = stream::iter(groups).buffer_unordered(MAX_WRITES).collect().await;
        written.into_iter().collect::<Result<(), _>>()?;
        for (vpc, groups) in &lesson.looks {
            self.change(self.location_key("look", &[vpc]), None, |_| Some(groups.clone())).await?;
        }
        if lesson.place == LocationState::default() {
            return Ok(());
        }
        let place = |stored: Option<LocationState>| Some(stored.unwrap_or_default().with(&lesson.place));
        self.change(self.location_key("location", &[]), None, place).await.map(|_| ())
    }

    async fn take(&self, rules: &[String], limit: usize) -> Result<Hour, CloudError> {
        let now = self.clock.now();
        let with = |stored: Option<Hour>| Some(stored.unwrap_or_default().with(rules, limit, now));
        Ok(self.change(self.location_key("hour", &[]), None, with).await?.unwrap_or_default())
    }

    async fn claim(&self, key: &str, letter: &Letter, channels: &[&str]) -> Result<Claimed, CloudError> {
        let now = self.clock.now();
        let claim = |stored: Option<Outbox>| {
            let mut outbox = stored.unwrap_or_default();
            let claimed = outbox.claim(letter, channels, now);
            (outbox, claimed)
        };
        self.change_and_say(format!("notice#{key}"), outbox::LIFE, claim).await
    }

    async fn allow(&self, principal: &str, message: &str) -> Result<Allowed, CloudError> {
        let now = self.clock.now();
        // Text from outside, and it may name a person.
        let key = self.location_key("messages", &[&digest(&[principal])]);
        let count = |stored: Option<Allowance>| stored.unwrap_or_default().with(message, now);
        self.change_and_say(key, allowance::LIFE, count).await
    }

    async fn settle(&self, key: &str, letter: usize, channel: &str, is_sent: bool) -> Result<(), CloudError> {
        let settle = |stored: Option<Outbox>| {
            let mut outbox = stored?;
            outbox.settle(letter, channel, is_sent);
            Some(outbox)
        };
        self.change(format!("notice#{key}"), Some(outbox::LIFE), settle).await.map(|_| ())
    }

    async fn concerned(&self, event: &str, groups: &BTreeSet<String>) -> Result<BTreeSet<String>, CloudError> {
        let add = |stored: Option<BTreeSet<String>>| {
            let all: BTreeSet<String> = stored.into_iter().flatten().chain(groups.iter().cloned()).collect();
            (!all.is_empty()).then_some(all)
        };
        let key = self.event_key("concerned", event);
        Ok(self.change(key, Some(journal::LIFE), add).await?.unwrap_or_default())
    }

    async fn wait(&self, new: &[Record], sent: &BTreeSet<String>) -> Result<Vec<Record>, CloudError> {
        let key = self.location_key("waiting", &[]);
        let with = |stored: Option<Waiting>| match stored {
            None if new.is_empty() => None,
            stored => Some(stored.unwrap_or_default().with(new, sent)),
        };
        let waiting = self.change(key, None, with).await?;
        Ok(waiting.map(|waiting| waiting.records().to_vec()).unwrap_or_default())
    }

    async fn is_handled(&self, event: &str) -> Result<bool, CloudError> {
        let key = self.event_key("event", event);
        let items = self.read(BTreeSet::from([key.clone()])).await?;
        let now = self.clock.now();
        Ok(items.get(&key).is_some_and(|item| !is_over(item, now)))
    }

    async fn lease(&self, what: &str, until: Timestamp) -> Result<bool, CloudError> {
        let put = self.client.put_item().table_name(&self.name);
        let put = put
            .item(PK, AttributeValue::S(self.location_key("lease", &[what])))
            .item(EXPIRES, seconds(until))
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":now", seconds(self.clock.now()))
            .condition_expression("attribute_not_exists(#expires) OR #expires <= :now");
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(self.failed(WRITE, &error)),
        }
    }

    /// What the part found is written first: who comes last reads all of them.
    async fn ended(
        &self,
        look: &str,
        part: usize,
        of: usize,
        found: &EndedPart,
    ) -> Result<Option<Vec<EndedPart>>, CloudError> {
        let key = |part: usize| self.location_key("part", &[look, &part.to_string()]);
        let json = serde_json::to_string(found).map_err(|error| unusable(WRITE, error))?;
        let ends = self.clock.now().checked_add(EVENT_TTL).unwrap_or(Timestamp::MAX);
        let put = self.client.put_item().table_name(&self.name);
        let put = put
            .item(PK, AttributeValue::S(key(part)))
            .item(EXPIRES, seconds(ends))
            .item(STATE, AttributeValue::S(json));
        put.send().await.map_err(|error| self.failed(WRITE, &error))?;
        let items = self.read((1..=of).map(key).collect()).await?;
        // One that is not understood has ended all the same.
        let found = |item: &Item| state(item).unwrap_or_default();
        Ok((items.len() >= of).then(|| items.values().map(found).collect()))
    }

    async fn history(&self, keys: &[Key]) -> Result<BTreeMap<Key, History>, CloudError> {
        let known =
            |(key, stored): (Key, Stored)| (stored.history != History::default()).then_some((key, stored.history));
        Ok(self.stored(keys.iter()).await?.into_iter().filter_map(known).collect())
    }

    /// The event and the findings are tried both: each alone keeps people from being notified twice.
    async fn remember(&self, event: Option<&str>, histories: &[(Key, History)]) -> Result<(), CloudError> {
        let put = match event {
            Some(event) => self.put_event(event).await,
            None => Ok(()),
        };
        put.and(self.add(histories).await)
    }
}

/// Whether the item's time is over. An item without a readable time counts for ever.
fn is_over(item: &Item, now: Timestamp) -> bool {
    let expires = item.get(EXPIRES).and_then(|value| value.as_n().ok()).and_then(|text| text.parse::<i64>().ok());
    expires.is_some_and(|expires| expires <= now.as_second())
}

/// The history that an item holds. Empty, if it cannot be read: then people are notified once too often.
fn history(item: &Item) -> History {
    let Some(value) = item.get(HISTORY) else { return History::default() };
    let read = match value.as_s() {
        Ok(text) if text.len() <= MAX_BYTES => serde_json::from_str(text).map_err(|error| error.to_string()),
        Ok(text) => Err(format!("it has {} bytes; expected at most {MAX_BYTES}", text.len())),
        Err(_) => Err("it is no text".to_owned()),
    };
    read.unwrap_or_else(|problem| {
        tracing::warn!(item = ?item.get(PK), problem, "an item of the state table was not understood and counts as empty");
        History::default()
    })
}

/// What an item says is known; nothing, if it cannot be read: then the guard revokes less, and people hear of it.
fn state<T: DeserializeOwned>(item: &Item) -> Option<T> {
    let text = item.get(STATE)?.as_s().ok()?;
    let read = serde_json::from_str(text);
    read.inspect_err(
        |error| tracing::warn!(item = ?item.get(PK), %error, "an item of the state table was not understood"),
    )
    .ok()
}

/// Any value but the one that was read.
fn next(version: Option<&AttributeValue>) -> AttributeValue {
    let read = version.and_then(|value| value.as_n().ok()).and_then(|text| text.parse::<u64>().ok());
    AttributeValue::N(read.and_then(|read| read.checked_add(1)).unwrap_or(1).to_string())
}

fn seconds(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_second().to_string())
}
