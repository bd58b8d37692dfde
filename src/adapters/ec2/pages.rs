//! How much of an answer of EC2 is read, and the filters that say what is asked.
//!
//! EC2 may cut a page before it filters: a page can hold less than asked for, or nothing, and yet a token.
//! <https://github.com/aws/aws-sdk-js/issues/940>

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Filter;
use futures::future::try_join_all;

use super::super::failure::unusable;
use crate::model::error::CloudError;
use crate::model::facts::Selector;

/// EC2 refuses a call with more filter values than this (`FilterLimitExceeded`).
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>
pub(super) const MAX_FILTER_VALUES: usize = 200;
/// The largest page of most reads. Naming one also counts the call into the larger request bucket.
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
pub(super) const MAX_PAGE_LEN: i32 = 1000;
/// Every page.
pub(super) const ALL: usize = usize::MAX;

/// What was read of an answer.
pub(super) struct Part<T> {
    pub(super) found: Vec<T>,
    /// Whether there is nothing more.
    pub(super) is_all: bool,
}

/// One page of a call: its items and the token of the next.
macro_rules! page {
    ($action:expr, $call:expr, $items:ident) => {
        |token: Option<String>| {
            let call = $call.set_next_token(token);
            async move {
                let answer = call.send().await.map_err(during($action))?;
                Ok((answer.$items.unwrap_or_default(), answer.next_token))
            }
        }
    };
}
pub(super) use page;

/// Reads pages until so many of them held something.
pub(super) async fn read<T, F, R>(action: &str, most: usize, ask: F) -> Result<Part<T>, CloudError>
where
    F: Fn(Option<String>) -> R,
    R: Future<Output = Result<(Vec<T>, Option<String>), CloudError>>,
{
    let (mut found, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let (items, next) = ask(token.clone()).await?;
        pages += usize::from(!items.is_empty());
        found.extend(items);
        // An empty token is no token: <https://github.com/awslabs/aws-sdk-rust/issues/391>
        let next = next.filter(|next| !next.is_empty());
        if next.is_none() || pages >= most {
            return Ok(Part { found, is_all: next.is_none() });
        }
        if next == token {
            return Err(unusable(action, "EC2 answered the same page again"));
        }
        token = next;
    }
}

/// Reads once for each list of filters, at the same time.
pub(super) async fn each<T, F, R>(filters: Vec<Vec<Filter>>, read: F) -> Result<Part<T>, CloudError>
where
    F: Fn(Vec<Filter>) -> R,
    R: Future<Output = Result<Part<T>, CloudError>>,
{
    let parts = try_join_all(filters.into_iter().map(read)).await?;
    let is_all = parts.iter().all(|part| part.is_all);
    Ok(Part { found: parts.into_iter().flat_map(|part| part.found).collect(), is_all })
}

/// Filters and not id parameters, because one unknown id as a parameter fails the whole call.
pub(super) fn selected(selector: &Selector, ids: &str) -> Vec<Vec<Filter>> {
    match selector {
        Selector::Ids(values) => by_id(ids, values),
        Selector::Vpcs(values) => by_id("vpc-id", values),
    }
}

/// None for no ids: a read without a filter would answer with everything. `*` and `?` are wildcards in a filter and stand
/// in no id, so such an id is an unknown one, as is an empty one.
pub(super) fn by_id(name: &str, ids: &[String]) -> Vec<Vec<Filter>> {
    let known = |id: &&String| !id.is_empty() && !id.contains(['*', '?', '\\']);
    let ids: BTreeSet<&String> = ids.iter().filter(known).collect();
    let ids: Vec<String> = ids.into_iter().cloned().collect();
    ids.chunks(MAX_FILTER_VALUES).map(|chunk| vec![filter(name, chunk.iter().cloned())]).collect()
}

pub(super) fn filter(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().collect())).build()
}

/// An attachment of groups in two filters comes twice.
pub(super) fn once_each<T>(mut found: Vec<T>, id: impl Fn(&T) -> &String) -> Vec<T> {
    found.sort_by(|a, b| id(a).cmp(id(b)));
    found.dedup_by(|a, b| id(a) == id(b));
    found
}
