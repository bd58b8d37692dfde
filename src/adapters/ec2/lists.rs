//! Prefix lists as EC2 describes them, and what one holds, or held in another version.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::PrefixListState;
use futures::future::try_join;

use crate::adapters::failure::{during, unusable};
use crate::model::error::CloudError;
use crate::model::facts::PrefixListFacts;
use crate::model::region::Addresses;

/// States in which nobody documents which entries EC2 goes by.
const CHANGING: [&str; 3] = ["create-in-progress", "modify-in-progress", "restore-in-progress"];

/// The largest page of the prefix-list reads.
const MAX_PREFIX_LIST_PAGE_LEN: i32 = 100;

/// A list with all its entries.
pub(super) async fn list(client: &Client, id: &str) -> Result<PrefixListFacts, CloudError> {
    let lists = client.describe_managed_prefix_lists().prefix_list_ids(id);
    let lists = lists.into_paginator().page_size(MAX_PREFIX_LIST_PAGE_LEN).items().send().try_collect();
    let lists = async { lists.await.map_err(during("ec2:DescribeManagedPrefixLists")) };
    let (lists, entries) = try_join(lists, entries(client, id, None)).await?;
    let list = lists.into_iter().find(|list| list.prefix_list_id() == Some(id));
    let list = list.ok_or_else(|| CloudError::ListGone(format!("`{id}` was not in the answer").into()))?;
    if let Some(state) = list.state().map(PrefixListState::as_str).filter(|state| CHANGING.contains(state)) {
        return Err(CloudError::ListChanging { state: state.to_owned() });
    }
    let (owner, name) = (list.owner_id.unwrap_or_default(), list.prefix_list_name.unwrap_or_default());
    Ok(PrefixListFacts { owner, name, entries })
}

/// The entries of a list, in the version that is in force if none is named.
pub(super) async fn entries(client: &Client, list: &str, version: Option<i64>) -> Result<Addresses, CloudError> {
    const ACTION: &str = "ec2:GetManagedPrefixListEntries";
    let entries = client.get_managed_prefix_list_entries().prefix_list_id(list).set_target_version(version);
    let entries = entries.into_paginator().page_size(MAX_PREFIX_LIST_PAGE_LEN).items().send().try_collect().await;
    let entries = entries.map_err(during(ACTION))?;
    let blocks = Addresses::of_blocks(entries.iter().filter_map(|entry| entry.cidr()));
    blocks.map_err(|error| unusable(ACTION, format!("an entry of {list}: {error}")))
}
