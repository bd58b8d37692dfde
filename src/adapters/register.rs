//! Which locations came by themselves (`GUARD_ACCOUNTS=*`), in the state table: one item for all accounts that end in the
//! same two digits, so that a thousand of them are read at once and hardly ever written by two at a time.
//!
//! Must not: say which of them count.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::table::Table;
use crate::model::error::CloudError;
use crate::model::ids::{Location, is_account, is_region};
use crate::ports::Register;

/// Kind of the items.
const KIND: &str = "registered";
/// What one read takes.
const ITEMS: u8 = 100;

/// When each was last heard of, by account and region.
type Item = BTreeMap<String, Timestamp>;

fn name(location: &Location) -> String {
    format!("{} {}", location.account, location.region)
}

/// What is no account and region there is left out.
fn location(name: &str) -> Option<Location> {
    let (account, region) = name.split_once(' ')?;
    (is_account(account) && is_region(region)).then(|| Location::new(account, region))
}

/// The last two digits.
fn shard(account: &str) -> &str {
    account.get(account.len().saturating_sub(2)..).unwrap_or_default()
}

impl Table {
    async fn registered(
        &self,
        shards: impl Iterator<Item = String>,
    ) -> Result<BTreeMap<Location, Timestamp>, CloudError> {
        let now = self.now();
        let items: Vec<Option<Item>> =
            self.states(shards.map(|shard| self.location_key(KIND, &[&shard])).collect()).await?;
        let each = items.into_iter().flatten().flatten();
        // A time that is still to come would keep a location for ever.
        Ok(each.filter_map(|(name, at)| Some((location(&name)?, at.min(now)))).collect())
    }
}

#[async_trait]
impl Register for Table {
    async fn of_account(&self, account: &str) -> Result<BTreeMap<Location, Timestamp>, CloudError> {
        let mut known = self.registered(std::iter::once(shard(account).to_owned())).await?;
        known.retain(|location, _| location.account == account);
        Ok(known)
    }

    async fn all(&self) -> Result<BTreeMap<Location, Timestamp>, CloudError> {
        self.registered((0..ITEMS).map(|n| format!("{n:02}"))).await
    }

    async fn heard(&self, location: &Location, at: Timestamp) -> Result<(), CloudError> {
        let with = |stored: Option<Item>| {
            let mut item = stored.unwrap_or_default();
            item.insert(name(location), at);
            Some(item)
        };
        self.change(self.location_key(KIND, &[shard(&location.account)]), None, with).await.map(|_| ())
    }

    async fn strike(&self, location: &Location, last: Timestamp) -> Result<(), CloudError> {
        let without = |stored: Option<Item>| {
            let mut item = stored?;
            if item.get(&name(location)).is_some_and(|at| *at <= last) {
                item.remove(&name(location));
            }
            Some(item)
        };
        self.change(self.location_key(KIND, &[shard(&location.account)]), None, without).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_as_it_was_written_and_nothing_else_is_one() {
        let there = Location::new("444455556666", "eu-west-1");
        assert_eq!(location(&name(&there)), Some(there));
        for other in
            ["444455556666", "444455556666 ", " eu-west-1", "44445555666 eu-west-1", "444455556666 eu-west-1 x"]
        {
            assert_eq!(location(other), None, "{other}");
        }
        assert_eq!((shard("444455556607"), shard("")), ("07", ""));
    }
}
