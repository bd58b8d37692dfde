//! A DynamoDB table as the state store: one item per event that was handled, one per finding that people were notified of.
//!
//! Owns: keys, what an item of each kind holds, when it ends. Nobody else writes to the table, but what is read from it
//! may be anything: an item that cannot be understood is an empty one.

mod items;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures::future::join;
use futures::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::items::{EXPIRES, Item, Items, PK, RETRY_DELAYS, WRITE, seconds};
use super::failure::unusable;
use crate::model::baseline::{Baseline, KnownGroups, Learnt, Lesson, LocationState};
use crate::model::error::CloudError;
use crate::model::hour::Hour;
use crate::model::ids::Location;
use crate::model::member::{self, Members};
use crate::ports::{Clock, StateStore};
use crate::report::allowance::{self, Allowance, Allowed};
use crate::report::history::{History, Key, digest};
use crate::report::journal::{self, Journal, Note};
use crate::report::outbox::{self, Claimed, Letter, Outbox, Sent};
use crate::report::part::EndedPart;
use crate::report::record::Record;
use crate::report::waiting::Waiting;

/// A [`History`] as JSON. The name is that of the items in tables that are in use.
const HISTORY: &str = "past";
/// Longest text of a history in bytes. What is written is far below it.
const MAX_BYTES: usize = 64 * 1024;
/// What is known of rules, as JSON.
const STATE: &str = "state";
/// Longest text of it. `DynamoDB` takes items of 400 KB.
const MAX_STATE_BYTES: usize = 390_000;

/// When a lease was taken, in nanoseconds: by it a try knows its own again.
const BY: &str = "by";
/// Waits before each try to change an item. The first try is on what was seen of it lately, so the second one is at once.
const WAITS: [Duration; 6] = {
    let [first, second, third, fourth] = RETRY_DELAYS;
    [Duration::ZERO, Duration::ZERO, first, second, third, fourth]
};
/// Writes on their way at once.
const MAX_WRITES: usize = 8;
/// `EventBridge` tries to deliver an event for a day, then Lambda for six hours. After that it does not come by itself.
const EVENT_TTL: SignedDuration = SignedDuration::from_hours(48);

/// A table, and the location whose events and findings are kept in it.
#[derive(Clone)]
pub struct Table {
    items: Items,
    location: Location,
    clock: Arc<dyn Clock>,
}

impl Table {
    /// A table by name or ARN, for the events of this location.
    pub fn new(client: Client, name: &str, location: Location, clock: Arc<dyn Clock>) -> Self {
        Self { items: Items::new(client, name, Arc::clone(&clock)), location, clock }
    }

    /// The id is text from outside, so it is not the key itself.
    fn event_key(&self, kind: &str, event: &str) -> String {
        format!("{kind}#{}", digest(&[&self.location.account, &self.location.region, event]))
    }

    /// Findings as they were seen within the last minute; those that were not, as they stand in the table.
    async fn stored(&self, keys: impl Iterator<Item = &Key>) -> Result<BTreeMap<Key, Arc<Item>>, CloudError> {
        let keys: BTreeMap<&Key, String> = keys.map(|key| (key, finding_key(key))).collect();
        let seen = |(key, pk): (&&Key, &String)| Some(((*key).clone(), self.items.lately(pk)?));
        let mut found: BTreeMap<Key, Arc<Item>> = keys.iter().filter_map(seen).collect();
        let unseen = keys.iter().filter(|(key, _)| !found.contains_key(**key)).map(|(_, pk)| pk.clone());
        let read = self.items.read(unseen.collect()).await?;
        for (key, pk) in &keys {
            found.entry((*key).clone()).or_insert_with(|| read.get(pk).cloned().unwrap_or_default());
        }
        Ok(found)
    }

    async fn put_event(&self, event: &str) -> Result<(), CloudError> {
        let ends = self.clock.now().checked_add(EVENT_TTL).unwrap_or(Timestamp::MAX);
        // Whoever writes it writes the same, so no condition is needed.
        let item = [(PK, AttributeValue::S(self.event_key("event", event))), (EXPIRES, seconds(ends))];
        let put = self.items.put(item);
        put.send().await.map_err(|error| self.items.failed(WRITE, &error))?;
        Ok(())
    }

    /// Adds the histories to what is there. Other processes do the same at the same time: the second one reads again.
    async fn add(&self, histories: &[(Key, History)]) -> Result<(), CloudError> {
        let mut left: BTreeMap<Key, History> = BTreeMap::new();
        for (key, history) in histories {
            let known = left.entry(key.clone()).or_default();
            *known = std::mem::take(known).merge(history.clone());
        }
        for wait in WAITS {
            if left.is_empty() {
                return Ok(());
            }
            self.clock.sleep(wait).await;
            let mut stored = self.stored(left.keys()).await?;
            let writes = left.into_iter().filter_map(|(key, history)| {
                let stored = stored.remove(&key)?;
                Some(async move {
                    self.put_history(&key, &history, &stored).await.map(|kept| (!kept).then_some((key, history)))
                })
            });
            let written: Vec<Result<Option<(Key, History)>, CloudError>> =
                stream::iter(writes).buffer_unordered(MAX_WRITES).collect().await;
            left = written.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
        }
        if left.is_empty() {
            return Ok(());
        }
        let table = &self.items.table;
        let what = format!("{} items of table `{table}` were changed by others again and again", left.len());
        Err(unusable(WRITE, what))
    }

    /// Whether it was kept. Otherwise somebody else has changed the item since it was seen.
    async fn put_history(&self, key: &Key, new: &History, stored: &Item) -> Result<bool, CloudError> {
        let known = history(stored, self.clock.now());
        let merged = known.clone().merge(new.clone());
        let Some(ends) = merged.ends().filter(|_| merged != known) else { return Ok(true) };
        let json = serde_json::to_string(&merged).map_err(|error| unusable(WRITE, error))?;
        let fields = vec![(EXPIRES, seconds(ends)), (HISTORY, AttributeValue::S(json))];
        self.items.swap(&finding_key(key), stored, fields).await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What these items hold, as far as they are there.
    pub(super) async fn states<T: DeserializeOwned>(
        &self,
        keys: BTreeSet<String>,
    ) -> Result<Vec<Option<T>>, CloudError> {
        Ok(self.items.read(keys).await?.values().map(|item| state(item)).collect())
    }

    fn held(&self, what: &str, until: Timestamp) -> [(&'static str, AttributeValue); 3] {
        let by = AttributeValue::N(self.clock.now().as_nanosecond().to_string());
        [(PK, AttributeValue::S(self.location_key("lease", &[what]))), (EXPIRES, seconds(until)), (BY, by)]
    }

    pub(super) fn location_key(&self, kind: &str, of: &[&str]) -> String {
        let Location { account, region, .. } = &self.location;
        let parts = [kind, account.as_str(), region.as_str()].into_iter().chain(of.iter().copied());
        parts.collect::<Vec<_>>().join("#")
    }

    /// Changes one item by what was learnt, and says what it is then. Others do the same at the same time: the second one
    /// goes by what the first has made of it. `life`: how long it is kept from now on, if not for ever.
    pub(super) async fn change<T>(
        &self,
        key: String,
        life: Option<SignedDuration>,
        change: impl Fn(Option<T>) -> Option<T> + Send + Sync,
    ) -> Result<Option<T>, CloudError>
    where
        T: DeserializeOwned + Serialize + Clone + PartialEq + Send + Sync,
    {
        let mut is_read = false;
        for wait in WAITS {
            self.clock.sleep(wait).await;
            let item = if let Some(item) = self.items.lately(&key) {
                item
            } else {
                is_read = true;
                self.items.read([key.clone()].into()).await?.remove(&key).unwrap_or_default()
            };
            let stored: Option<T> = state(&item);
            let Some(changed) = change(stored.clone()).filter(|changed| Some(changed) != stored.as_ref()) else {
                if is_read {
                    return Ok(stored);
                }
                // No write shows whether it still is what it was.
                self.items.forget(&key);
                continue;
            };
            let json = serde_json::to_string(&changed).map_err(|error| unusable(WRITE, error))?;
            if json.len() > MAX_STATE_BYTES {
                let what = format!("`{key}` would have {} bytes; at most {MAX_STATE_BYTES} fit", json.len());
                return Err(unusable(WRITE, what));
            }
            let mut fields = vec![(STATE, AttributeValue::S(json))];
            if let Some(life) = life {
                fields.push((EXPIRES, seconds(self.clock.now().checked_add(life).unwrap_or(Timestamp::MAX))));
            }
            if self.items.swap(&key, &item, fields).await? {
                return Ok(Some(changed));
            }
            // What it is instead is known, or read now.
            is_read = true;
        }
        let table = &self.items.table;
        Err(unusable(WRITE, format!("`{key}` of table `{table}` was changed by others again and again")))
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
        let items = self.items.read(all.cloned().collect()).await?;
        let baseline = |(key, group): (&String, &&String)| Some(((*group).clone(), state(items.get(key)?)?));
        let members = |(key, group): (&String, &&String)| Some(((*group).clone(), state(items.get(key)?)?));
        let now = self.clock.now();
        let journal =
            |(key, group): (&String, &&String)| Some(((*group).clone(), state::<Journal>(items.get(key)?)?.alive(now)));
        let known = KnownGroups {
            place: items.get(&place).and_then(|item| state(item)).unwrap_or_default(),
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
        let written = self.change(self.location_key("journal", &[group]), Some(journal::UNTOLD_LIFE), with).await?;
        Ok(written.unwrap_or_default())
    }

    async fn seen(&self, vpc: &str) -> Result<BTreeSet<String>, CloudError> {
        let key = self.location_key("look", &[vpc]);
        let items = self.items.read(BTreeSet::from([key.clone()])).await?;
        Ok(items.get(&key).and_then(|item| state(item)).unwrap_or_default())
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
        let key = format!("notice#{key}");
        self.items.expect_none(&key);
        self.change_and_say(key, outbox::LIFE, claim).await
    }

    async fn allow(&self, principal: &str, message: &str) -> Result<Allowed, CloudError> {
        let now = self.clock.now();
        // Text from outside, and it may name a person.
        let key = self.location_key("messages", &[&digest(&[principal])]);
        self.items.expect_none(&key);
        let count = |stored: Option<Allowance>| stored.unwrap_or_default().with(message, now);
        self.change_and_say(key, allowance::LIFE, count).await
    }

    async fn settle(&self, key: &str, sent: &[Sent]) -> Result<(), CloudError> {
        let settle = |stored: Option<Outbox>| {
            let mut outbox = stored?;
            outbox.settle(sent);
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
        self.items.expect_none(&key);
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

    async fn lease(&self, what: &str, until: Timestamp) -> Result<bool, CloudError> {
        let held = self.held(what, until);
        let put = self
            .items
            .put(held.clone())
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":now", seconds(self.clock.now()))
            .condition_expression("attribute_not_exists(#expires) OR #expires <= :now")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let ours = held.map(|(name, value)| (name.to_owned(), value)).into();
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                // It is ours where the answer to the first try of this very write was lost, and the SDK has tried again.
                Some(PutItemError::ConditionalCheckFailedException(refused)) => Ok(refused.item == Some(ours)),
                _ => Err(self.items.failed(WRITE, &error)),
            },
        }
    }

    async fn renew(&self, what: &str, until: Timestamp) -> Result<(), CloudError> {
        let put = self.items.put(self.held(what, until)).send().await;
        put.map(|_| ()).map_err(|error| self.items.failed(WRITE, &error))
    }

    /// What the part found is written first: who comes last reads all of them. A try of it ends nothing.
    async fn ended(
        &self,
        look: &str,
        part: usize,
        of: usize,
        found: &EndedPart,
    ) -> Result<Option<Vec<EndedPart>>, CloudError> {
        let key = |part: usize| self.location_key("part", &[look, &part.to_string()]);
        let after = |earlier| Some(found.clone().after(earlier));
        self.change(key(part), Some(EVENT_TTL), after).await?;
        if found.is_open {
            return Ok(None);
        }
        let items = self.items.read((1..=of).map(key).collect()).await?;
        // One that is not understood has ended all the same.
        let found = |item: &Arc<Item>| state(item).unwrap_or_default();
        let ended: Vec<EndedPart> = items.values().map(found).filter(|part: &EndedPart| !part.is_open).collect();
        Ok((ended.len() >= of).then_some(ended))
    }

    async fn history(&self, event: Option<&str>, keys: &[Key]) -> Result<(bool, BTreeMap<Key, History>), CloudError> {
        let event = event.map(|event| self.event_key("event", event));
        let items = self.items.read(keys.iter().map(finding_key).chain(event.clone()).collect()).await?;
        let now = self.clock.now();
        let is_handled = event.and_then(|event| items.get(&event)).is_some_and(|item| !is_over(item, now));
        let known = keys.iter().filter_map(|key| Some((key.clone(), history(items.get(&finding_key(key))?, now))));
        Ok((is_handled, known.filter(|(_, history)| *history != History::default()).collect()))
    }

    /// The event and the findings are tried both: each alone keeps people from being notified twice.
    async fn remember(&self, event: Option<&str>, histories: &[(Key, History)]) -> Result<(), CloudError> {
        let put = async {
            match event {
                Some(event) => self.put_event(event).await,
                None => Ok(()),
            }
        };
        let (put, added) = join(put, self.add(histories)).await;
        put.and(added)
    }
}

fn finding_key(key: &Key) -> String {
    format!("finding#{}", key.text())
}

/// Whether the item's time is over. An item without a readable time counts for ever.
fn is_over(item: &Item, now: Timestamp) -> bool {
    let expires = item.get(EXPIRES).and_then(|value| value.as_n().ok()).and_then(|text| text.parse::<i64>().ok());
    expires.is_some_and(|expires| expires <= now.as_second())
}

/// The history that an item holds. Empty, if its time is over, or if it cannot be read: then people are notified once too
/// often.
fn history(item: &Item, now: Timestamp) -> History {
    let Some(value) = item.get(HISTORY).filter(|_| !is_over(item, now)) else { return History::default() };
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
