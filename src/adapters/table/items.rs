//! The items of one table: read in batches, and written so that nobody undoes what somebody else wrote.
//!
//! Owns: batches, the lock on an item, what was seen of it last. Must not: know what an item is about.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::{SignedDuration, Timestamp};

use crate::adapters::failure::{cloud_error, unusable};
use crate::model::error::CloudError;
use crate::ports::Clock;

pub(super) const READ: &str = "dynamodb:BatchGetItem";
pub(super) const WRITE: &str = "dynamodb:PutItem";

/// The partition key.
pub(super) const PK: &str = "pk";
/// Unix seconds; the table's time-to-live attribute. DynamoDB deletes days late, so the reader looks at it too.
pub(super) const EXPIRES: &str = "expires";
/// The lock: it changes with each write, and a write names the one it has read.
const VERSION: &str = "version";

/// What one `BatchGetItem` takes.
const MAX_KEYS_PER_READ: usize = 100;
/// Waits before what DynamoDB left out, or what somebody else has changed meanwhile, is tried again.
pub(super) const RETRY_DELAYS: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];
/// What was seen of an item is tried first for so long. A write names the version, so one that is old costs a call and
/// nothing else; it can't come back, since an item that was deleted and made anew begins at the clock.
const LATELY: SignedDuration = SignedDuration::from_secs(60);
/// Most bytes of texts that are kept of items; then all are forgotten.
const MAX_KEPT: usize = 1024 * 1024;
/// Longest item that is kept.
const MAX_KEPT_ITEM: usize = 64 * 1024;

pub(super) type Item = HashMap<String, AttributeValue>;

/// The items of one table.
#[derive(Clone)]
pub(super) struct Items {
    client: Client,
    /// Name or ARN.
    pub(super) table: String,
    clock: Arc<dyn Clock>,
    seen: Arc<Mutex<Seen>>,
}

/// Items as they were read or written last, by key; an empty one: there was none.
#[derive(Default)]
struct Seen {
    items: HashMap<String, (Timestamp, Arc<Item>)>,
    bytes: usize,
}

impl Items {
    pub(super) fn new(client: Client, table: &str, clock: Arc<dyn Clock>) -> Self {
        Self { client, table: table.to_owned(), clock, seen: Arc::default() }
    }

    /// The items that are there, by key, those included whose time is over.
    pub(super) async fn read(&self, keys: BTreeSet<String>) -> Result<HashMap<String, Arc<Item>>, CloudError> {
        let keys: Vec<String> = keys.into_iter().collect();
        let mut found = HashMap::new();
        for batch in keys.chunks(MAX_KEYS_PER_READ) {
            self.read_batch(batch, &mut found).await?;
        }
        for key in &keys {
            self.see(key, found.get(key).cloned().unwrap_or_default());
        }
        Ok(found)
    }

    async fn read_batch(&self, keys: &[String], found: &mut HashMap<String, Arc<Item>>) -> Result<(), CloudError> {
        let key = |key: &String| HashMap::from([(PK.to_owned(), AttributeValue::S(key.clone()))]);
        let mut left: Vec<Item> = keys.iter().map(key).collect();
        for wait in std::iter::once(Duration::ZERO).chain(RETRY_DELAYS) {
            self.clock.sleep(wait).await;
            let wanted = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let wanted = wanted.map_err(|error| unusable(READ, error))?;
            let answer = self.client.batch_get_item().request_items(&self.table, wanted).send().await;
            let answer = answer.map_err(|error| self.failed(READ, &error))?;
            for item in answer.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                if let Some(AttributeValue::S(key)) = item.get(PK) {
                    found.insert(key.clone(), Arc::new(item));
                }
            }
            left = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, keys)| keys.keys).collect();
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(unusable(READ, format!("table `{}` left {} items unread; it is overloaded", self.table, left.len())))
    }

    /// Writes an item with the next version, unless it is not any more what it `was` when it was seen. Whether it did.
    pub(super) async fn swap(
        &self,
        key: &str,
        was: &Item,
        fields: Vec<(&str, AttributeValue)>,
    ) -> Result<bool, CloudError> {
        let read = was.get(VERSION);
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
        let named =
            [(PK.to_owned(), AttributeValue::S(key.to_owned())), (VERSION.to_owned(), next(read, self.clock.now()))];
        let item: Item = named.into_iter().chain(fields).collect();
        let put = self.put_item(item.clone()).expression_attribute_names("#version", VERSION);
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match read {
            None => put.condition_expression("attribute_not_exists(#version)"),
            Some(read) => {
                put.condition_expression("#version = :read").expression_attribute_values(":read", read.clone())
            }
        };
        let Err(error) = put.send().await else {
            self.see(key, Arc::new(item));
            return Ok(true);
        };
        let refused = error.as_service_error().and_then(|error| match error {
            PutItemError::ConditionalCheckFailedException(refused) => Some(refused),
            _ => None,
        });
        let Some(refused) = refused else { return Err(self.failed(WRITE, &error)) };
        // The answer to the first try of this very write was lost, and the SDK has tried again.
        let is_ours = refused.item.as_ref() == Some(&item);
        match refused.item.clone().filter(|there| there.contains_key(VERSION)) {
            Some(there) => self.see(key, Arc::new(there)),
            None => self.forget(key),
        }
        Ok(is_ours)
    }

    /// A write of this item, whatever is there.
    pub(super) fn put<const N: usize>(&self, item: [(&str, AttributeValue); N]) -> PutItemFluentBuilder {
        self.put_item(item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn put_item(&self, item: Item) -> PutItemFluentBuilder {
        self.client.put_item().table_name(&self.table).set_item(Some(item))
    }

    /// As it was read, written or refused within the last minute. Empty: there was none.
    pub(super) fn lately(&self, key: &str) -> Option<Arc<Item>> {
        let oldest = self.clock.now().checked_sub(LATELY).unwrap_or(Timestamp::MIN);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.items.get(key).filter(|(at, _)| *at >= oldest).map(|(_, item)| Arc::clone(item))
    }

    /// There is most likely no such item yet.
    pub(super) fn expect_none(&self, key: &str) {
        if self.lately(key).is_none() {
            self.see(key, Arc::default());
        }
    }

    pub(super) fn forget(&self, key: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, item)) = seen.items.remove(key) {
            seen.bytes = seen.bytes.saturating_sub(bytes(key, &item));
        }
    }

    fn see(&self, key: &str, item: Arc<Item>) {
        self.forget(key);
        let bytes = bytes(key, &item);
        if bytes > MAX_KEPT_ITEM {
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.bytes + bytes > MAX_KEPT {
            *seen = Seen::default();
        }
        seen.bytes += bytes;
        seen.items.insert(key.to_owned(), (self.clock.now(), item));
    }

    pub(super) fn failed<E: ProvideErrorMetadata + std::error::Error + 'static>(
        &self,
        action: &str,
        error: &SdkError<E>,
    ) -> CloudError {
        if error.code() == Some("ResourceNotFoundException") {
            let what = "was not found; name one of this region in GUARD_STATE_TABLE, or leave that empty";
            return unusable(action, format!("table `{}` {what}", self.table));
        }
        cloud_error(action, error)
    }
}

/// What an item takes, about.
fn bytes(key: &str, item: &Item) -> usize {
    let texts = item.values().filter_map(|value| value.as_s().ok());
    texts.fold(200 + key.len(), |sum, text| sum + text.len())
}

/// Any value but the one that was read, and but those of an item that stood there before: the first one is the time in
/// microseconds, and nobody writes an item more often than that.
fn next(version: Option<&AttributeValue>, now: Timestamp) -> AttributeValue {
    let read = version.and_then(|value| value.as_n().ok()).and_then(|text| text.parse::<i64>().ok());
    AttributeValue::N(read.and_then(|read| read.checked_add(1)).unwrap_or(now.as_microsecond()).to_string())
}

pub(super) fn seconds(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_second().to_string())
}
