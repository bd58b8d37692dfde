//! EC2: the reads that everything rests on, and the one call that changes something.

pub(super) mod decode;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{Filter, PrefixListState};
use futures::future::{try_join, try_join_all};

use super::failure::{during, unusable};
use crate::model::error::CloudError;
use crate::model::facts::{GroupFacts, Instance, Interface, PrefixListFacts, Selector};
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Rule};
use crate::ports::Ec2;

/// EC2 refuses a call with more filter values than this (`FilterLimitExceeded`).
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>
const MAX_FILTER_VALUES: usize = 200;

/// The largest page of most reads. Naming one also counts the call into the larger request bucket.
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
const MAX_PAGE_LEN: i32 = 1000;

/// States in which nobody documents which entries EC2 goes by.
const CHANGING: [&str; 3] = ["create-in-progress", "modify-in-progress", "restore-in-progress"];

/// The largest page of the prefix-list reads.
const MAX_PREFIX_LIST_PAGE_LEN: i32 = 100;

#[async_trait]
impl Ec2 for Client {
    async fn groups(&self, selector: &Selector) -> Result<Vec<GroupFacts>, CloudError> {
        let found = every("ec2:DescribeSecurityGroups", filters(selector, "group-id"), |filter| {
            self.describe_security_groups()
                .filters(filter)
                .into_paginator()
                .page_size(MAX_PAGE_LEN)
                .items()
                .send()
                .try_collect()
        });
        Ok(found.await?.into_iter().map(decode::group).collect())
    }

    async fn default_vpc_group(&self, name: &str) -> Result<Option<String>, CloudError> {
        let is_default = vec![filter("is-default", ["true".to_owned()])];
        let vpcs = every("ec2:DescribeVpcs", is_default, |filter| {
            self.describe_vpcs().filters(filter).into_paginator().page_size(MAX_PAGE_LEN).items().send().try_collect()
        });
        let Some(vpc) = vpcs.await?.into_iter().find_map(|vpc| vpc.vpc_id) else {
            return Ok(None);
        };
        let named = vec![filter("group-name", [name.to_owned()])];
        let found = every("ec2:DescribeSecurityGroups", named, |named| {
            let read = self.describe_security_groups().filters(named).filters(filter("vpc-id", [vpc.clone()]));
            read.into_paginator().page_size(MAX_PAGE_LEN).items().send().try_collect()
        });
        // `*` may stand in a group's name and is a wildcard in a filter, so the answer can hold other groups too.
        let exact = found.await?.into_iter().find(|group| group.group_name() == Some(name));
        Ok(exact.and_then(|group| group.group_id))
    }

    async fn rules(&self, groups: &[String]) -> Result<Vec<(String, Rule)>, CloudError> {
        const ACTION: &str = "ec2:DescribeSecurityGroupRules";
        let found = every(ACTION, id_filters("group-id", groups), |filter| {
            let read = self.describe_security_group_rules().filters(filter);
            read.into_paginator().page_size(MAX_PAGE_LEN).items().send().try_collect()
        });
        found.await?.iter().map(|rule| decode::rule(rule).map_err(|error| unusable(ACTION, error))).collect()
    }

    // EKS Auto Mode nodes and their interfaces are managed resources, which an account can choose to hide from reads that
    // do not ask for them; hidden nodes would make a node's group look unused.
    async fn interfaces(&self, selector: &Selector) -> Result<Vec<Interface>, CloudError> {
        let found = every("ec2:DescribeNetworkInterfaces", filters(selector, "group-id"), |filter| {
            let read = self.describe_network_interfaces().filters(filter).include_managed_resources(true);
            read.into_paginator().page_size(MAX_PAGE_LEN).items().send().try_collect()
        });
        Ok(once_each(found.await?.into_iter().map(decode::interface), |interface| &interface.id))
    }

    async fn groups_attached_to(&self, attachment: &str) -> Result<Vec<String>, CloudError> {
        let name = if attachment.starts_with("eni-") { "network-interface-id" } else { "attachment.instance-id" };
        let found = every("ec2:DescribeNetworkInterfaces", id_filters(name, &[attachment.to_owned()]), |filter| {
            let read = self.describe_network_interfaces().filters(filter).include_managed_resources(true);
            read.into_paginator().page_size(MAX_PAGE_LEN).items().send().try_collect()
        });
        let groups: BTreeSet<String> =
            found.await?.into_iter().flat_map(|interface| decode::interface(interface).groups).collect();
        Ok(groups.into_iter().collect())
    }

    async fn groups_using(&self, prefix_list: &str) -> Result<Vec<String>, CloudError> {
        let names = ["ip-permission.prefix-list-id", "egress.ip-permission.prefix-list-id"];
        let filters = names.iter().flat_map(|name| id_filters(name, &[prefix_list.to_owned()])).collect();
        let found = every("ec2:DescribeSecurityGroups", filters, |filter| {
            let read = self.describe_security_groups().filters(filter);
            read.into_paginator().page_size(MAX_PAGE_LEN).items().send().try_collect()
        });
        let groups: BTreeSet<String> = found.await?.into_iter().filter_map(|group| group.group_id).collect();
        Ok(groups.into_iter().collect())
    }

    async fn instances(&self, selector: &Selector) -> Result<Vec<Instance>, CloudError> {
        let found = every("ec2:DescribeInstances", filters(selector, "network-interface.group-id"), |filter| {
            let read = self.describe_instances().filters(filter).include_managed_resources(true);
            read.into_paginator().page_size(MAX_PAGE_LEN).items().send().try_collect()
        });
        let instances = found.await?.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
        Ok(once_each(instances.filter_map(decode::instance), |instance| &instance.id))
    }

    async fn vpc_ranges(&self) -> Result<BTreeMap<String, Addresses>, CloudError> {
        const ACTION: &str = "ec2:DescribeVpcs";
        let found: Result<Vec<_>, _> =
            self.describe_vpcs().into_paginator().page_size(MAX_PAGE_LEN).items().send().try_collect().await;
        let ranges = found.map_err(during(ACTION))?.into_iter().map(|vpc| {
            let ranges = decode::vpc_ranges(&vpc);
            let id = vpc.vpc_id.unwrap_or_default();
            ranges.map_err(|error| unusable(ACTION, format!("a range of {id}: {error}"))).map(|ranges| (id, ranges))
        });
        ranges.collect()
    }

    /// The entries are those of the version that is in force when EC2 answers. They are read beside the state, and not
    /// after it: a change that ends in between is an event of its own.
    async fn prefix_list(&self, id: &str) -> Result<PrefixListFacts, CloudError> {
        const DESCRIBE: &str = "ec2:DescribeManagedPrefixLists";
        const ENTRIES: &str = "ec2:GetManagedPrefixListEntries";
        let lists = self.describe_managed_prefix_lists().prefix_list_ids(id);
        let lists = lists.into_paginator().page_size(MAX_PREFIX_LIST_PAGE_LEN).items().send().try_collect();
        let entries = self.get_managed_prefix_list_entries().prefix_list_id(id);
        let entries = entries.into_paginator().page_size(MAX_PREFIX_LIST_PAGE_LEN).items().send().try_collect();
        let (lists, entries) =
            try_join(async { lists.await.map_err(during(DESCRIBE)) }, async { entries.await.map_err(during(ENTRIES)) })
                .await?;
        let list = lists.into_iter().find(|list| list.prefix_list_id() == Some(id));
        let list = list.ok_or_else(|| CloudError::ListGone(format!("`{id}` was not in the answer").into()))?;
        if let Some(state) = list.state().map(PrefixListState::as_str).filter(|state| CHANGING.contains(state)) {
            return Err(CloudError::ListChanging { state: state.to_owned() });
        }
        let entries = decode::addresses(entries.iter().filter_map(|entry| entry.cidr()));
        Ok(PrefixListFacts {
            owner: list.owner_id.unwrap_or_default(),
            name: list.prefix_list_name.unwrap_or_default(),
            entries: entries.map_err(|error| unusable(ENTRIES, format!("an entry of {id}: {error}")))?,
        })
    }

    /// By rule id, so that nothing depends on writing a rule exactly as EC2 stores it. `Ok` says that EC2 took the call and
    /// no more: in the default VPC it answers `true` even where nothing was revoked, and everywhere the change becomes
    /// visible with a delay. Reading back decides.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html>
    async fn revoke(&self, group: &str, direction: Direction, rules: &[String]) -> Result<(), CloudError> {
        if rules.is_empty() {
            return Ok(());
        }
        let ids = Some(rules.to_vec());
        let (action, answer) = match direction {
            Direction::Ingress => {
                const ACTION: &str = "ec2:RevokeSecurityGroupIngress";
                let call = self.revoke_security_group_ingress().group_id(group).set_security_group_rule_ids(ids);
                (ACTION, call.send().await.map_err(during(ACTION))?.r#return)
            }
            Direction::Egress => {
                const ACTION: &str = "ec2:RevokeSecurityGroupEgress";
                let call = self.revoke_security_group_egress().group_id(group).set_security_group_rule_ids(ids);
                (ACTION, call.send().await.map_err(during(ACTION))?.r#return)
            }
        };
        if answer == Some(false) {
            return Err(unusable(action, format!("EC2 answered `return: false` for {group}")));
        }
        Ok(())
    }
}

/// Reads with each filter at the same time, every page of each.
async fn every<T, E, F, R>(action: &str, filters: Vec<Filter>, read: F) -> Result<Vec<T>, CloudError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    F: Fn(Filter) -> R,
    R: Future<Output = Result<Vec<T>, SdkError<E>>>,
{
    let answers = try_join_all(filters.into_iter().map(read)).await.map_err(during(action))?;
    Ok(answers.into_iter().flatten().collect())
}

/// Filters and not id parameters, because one unknown id as a parameter fails the whole call.
fn filters(selector: &Selector, ids: &str) -> Vec<Filter> {
    match selector {
        Selector::Ids(values) => id_filters(ids, values),
        Selector::Vpcs(values) => id_filters("vpc-id", values),
    }
}

/// None for no ids: a read without a filter would answer with everything. `*` and `?` are wildcards in a filter and stand
/// in no id, so such an id is an unknown one, as is an empty one.
fn id_filters(name: &str, ids: &[String]) -> Vec<Filter> {
    let known = |id: &&String| !id.is_empty() && !id.contains(['*', '?', '\\']);
    let ids: BTreeSet<&String> = ids.iter().filter(known).collect();
    let ids: Vec<String> = ids.into_iter().cloned().collect();
    ids.chunks(MAX_FILTER_VALUES).map(|chunk| filter(name, chunk.iter().cloned())).collect()
}

fn filter(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().collect())).build()
}

/// An attachment of groups in two filters comes twice.
fn once_each<T>(found: impl Iterator<Item = T>, id: impl Fn(&T) -> &String) -> Vec<T> {
    let mut found: Vec<T> = found.collect();
    found.sort_by(|a, b| id(a).cmp(id(b)));
    found.dedup_by(|a, b| id(a) == id(b));
    found
}
