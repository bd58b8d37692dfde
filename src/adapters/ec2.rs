//! EC2: the reads that everything rests on, and the calls that change something.

pub(super) mod decode;
mod encode;
mod lists;
mod pages;
mod reopen;
mod surroundings;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use async_trait::async_trait;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::modify_security_group_rules::ModifySecurityGroupRulesError;
use aws_sdk_ec2::operation::revoke_security_group_egress::RevokeSecurityGroupEgressError;
use aws_sdk_ec2::operation::revoke_security_group_ingress::RevokeSecurityGroupIngressError;
use aws_sdk_ec2::types::{Filter, IpPermission, SecurityGroupVpcAssociationState};
use futures::future::try_join3;

use self::pages::{ALL, MAX_PAGE_LEN, Part, by_id, each, filter, once_each, page, read, selected};
use super::attempts::Attempts;
use super::failure::{during, is_not_taken, unusable};
use crate::cluster::marks::{AWS_CLUSTER_TAG, AWS_SCALING_TAG, NODE_TAGS, cluster_tag};
use crate::model::error::CloudError;
use crate::model::facts::{GroupFacts, Instance, Instances, Interface, Interfaces, PrefixListFacts, Rules, Selector};
use crate::model::group::UnreadableRule;
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Rule};
use crate::ports::Ec2;

const GROUPS: &str = "ec2:DescribeSecurityGroups";
const INTERFACES: &str = "ec2:DescribeNetworkInterfaces";
const INSTANCES: &str = "ec2:DescribeInstances";

/// Pages of attachments that are read of a group. Whatever would need more of them is not granted.
const MAX_ATTACHMENT_PAGES: usize = 2;

/// Instances that still have interfaces.
const NOT_TERMINATED: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];

/// EC2 as the ports name it: on the SDK's client, which is not ours to say that of.
#[derive(Clone, Debug)]
pub struct Ec2Client(Client);

impl From<Client> for Ec2Client {
    fn from(client: Client) -> Self {
        Self(client)
    }
}

impl Deref for Ec2Client {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

#[async_trait]
impl Ec2 for Ec2Client {
    async fn groups(&self, selector: &Selector) -> Result<Vec<GroupFacts>, CloudError> {
        let found = each(selected(selector, "group-id"), |filters| groups(self, filters, ALL)).await?.found;
        Ok(once_each(found.into_iter().map(decode::group).collect(), |group| &group.id))
    }

    async fn default_vpc_group(&self, name: &str) -> Result<Option<String>, CloudError> {
        const ACTION: &str = "ec2:DescribeVpcs";
        let default =
            || self.describe_vpcs().filters(filter("is-default", ["true".to_owned()])).max_results(MAX_PAGE_LEN);
        let vpcs = read(ACTION, ALL, page!(ACTION, default(), vpcs)).await?;
        let Some(vpc) = vpcs.found.into_iter().find_map(|vpc| vpc.vpc_id) else {
            return Ok(None);
        };
        let named = vec![filter("group-name", [name.to_owned()]), filter("vpc-id", [vpc])];
        // `*` may stand in a group's name and is a wildcard in a filter, so the answer can hold other groups too.
        let exact = groups(self, named, ALL).await?.found.into_iter().find(|group| group.group_name() == Some(name));
        Ok(exact.and_then(|group| group.group_id))
    }

    async fn cluster_groups(&self, vpcs: &[String]) -> Result<Vec<GroupFacts>, CloudError> {
        let tagged = |mut filters: Vec<Filter>| {
            filters.push(filter("tag-key", [AWS_CLUSTER_TAG.to_owned()]));
            groups(self, filters, ALL)
        };
        let found = each(by_id("vpc-id", vpcs), tagged).await?.found;
        Ok(found.into_iter().map(decode::group).collect())
    }

    async fn rules(&self, groups: &[String]) -> Result<Rules, CloudError> {
        const ACTION: &str = "ec2:DescribeSecurityGroupRules";
        let found = each(by_id("group-id", groups), |filters| async move {
            let call = || {
                let call = self.describe_security_group_rules().set_filters(Some(filters.clone()));
                call.max_results(MAX_PAGE_LEN)
            };
            read(ACTION, ALL, page!(ACTION, call(), security_group_rules)).await
        });
        let mut rules = Rules::default();
        for rule in found.await?.found {
            rules.stale.extend(decode::stale(&rule));
            match decode::rule(&rule) {
                Ok(rule) => rules.rules.push(rule),
                Err(why) => {
                    let id = rule.security_group_rule_id().map(str::to_owned);
                    rules.unreadable.push((rule.group_id().unwrap_or_default().to_owned(), UnreadableRule { id, why }));
                }
            }
        }
        Ok(rules)
    }

    async fn interfaces(&self, selector: &Selector) -> Result<Interfaces, CloudError> {
        let (found, is_complete) = match selector {
            Selector::Ids(groups) => {
                let read = |groups: &[String]| {
                    each(by_id("group-id", groups), |filters| interfaces(self, filters, MAX_ATTACHMENT_PAGES))
                };
                for_each_group(groups, read, |interface: &Interface| &interface.groups).await?
            }
            Selector::Vpcs(vpcs) => {
                let part = each(by_id("vpc-id", vpcs), |filters| interfaces(self, filters, ALL)).await?;
                (part.found, part.is_all)
            }
        };
        Ok(Interfaces { found: once_each(found, |interface| &interface.id), is_complete })
    }

    async fn interfaces_of(&self, attachment: &str) -> Result<Vec<Interface>, CloudError> {
        let name = if attachment.starts_with("eni-") { "network-interface-id" } else { "attachment.instance-id" };
        let filters = by_id(name, &[attachment.to_owned()]);
        Ok(each(filters, |filters| interfaces(self, filters, ALL)).await?.found)
    }

    async fn groups_using(&self, prefix_list: &str) -> Result<Vec<String>, CloudError> {
        let names = ["ip-permission.prefix-list-id", "egress.ip-permission.prefix-list-id"];
        let filters = names.iter().flat_map(|name| by_id(name, &[prefix_list.to_owned()])).collect();
        let found = each(filters, |filters| groups(self, filters, ALL)).await?.found;
        let groups: BTreeSet<String> = found.into_iter().filter_map(|group| group.group_id).collect();
        Ok(groups.into_iter().collect())
    }

    async fn letting_in(&self, ids: &[String]) -> Result<Vec<(String, String)>, CloudError> {
        let found = each(by_id("ip-permission.group-id", ids), |filters| groups(self, filters, MAX_ATTACHMENT_PAGES));
        let pairs = found.await?.found.into_iter().flat_map(|group| {
            let peers = group.ip_permissions().iter().flat_map(IpPermission::user_id_group_pairs);
            let let_in = peers.filter_map(|peer| peer.group_id()).filter(|id| ids.iter().any(|asked| asked == id));
            let id = group.group_id().unwrap_or_default();
            let_in.map(|let_in| (id.to_owned(), let_in.to_owned())).collect::<Vec<_>>()
        });
        Ok(pairs.collect())
    }

    async fn instances(&self, which: &Instances) -> Result<Vec<Instance>, CloudError> {
        let found = match which {
            Instances::Proofs(groups) => witnesses(self, groups, &[AWS_CLUSTER_TAG]).await?,
            Instances::Peers(groups) => {
                let keys: Vec<&str> = [AWS_CLUSTER_TAG, AWS_SCALING_TAG].into_iter().chain(NODE_TAGS).collect();
                witnesses(self, groups, &keys).await?
            }
            Instances::Witnesses(groups) => {
                let of = |keys| witnesses(self, groups, keys);
                let (by_eks, by_scaling, ordinary) =
                    try_join3(of(&[AWS_CLUSTER_TAG]), of(&[AWS_SCALING_TAG]), of(&NODE_TAGS)).await?;
                by_eks.into_iter().chain(by_scaling).chain(ordinary).collect()
            }
            Instances::Ids(ids) => {
                each(by_id("instance-id", ids), |filters| instances(self, filters, ALL)).await?.found
            }
            Instances::Vpcs(vpcs) => each(by_id("vpc-id", vpcs), |filters| instances(self, filters, ALL)).await?.found,
        };
        Ok(once_each(found, |instance| &instance.id))
    }

    async fn nodes(&self, cluster: &str, vpc: &str) -> Result<(Vec<Instance>, bool), CloudError> {
        let keys = [AWS_CLUSTER_TAG.to_owned(), cluster_tag(cluster)];
        let filters = vec![filter("vpc-id", [vpc.to_owned()]), filter("tag-key", keys)];
        let part = instances(self, filters, MAX_ATTACHMENT_PAGES).await?;
        Ok((once_each(part.found, |instance| &instance.id), part.is_all))
    }

    async fn associations(&self, selector: &Selector) -> Result<BTreeMap<String, BTreeSet<String>>, CloudError> {
        const ACTION: &str = "ec2:DescribeSecurityGroupVpcAssociations";
        let filters = match selector {
            Selector::Ids(ids) => by_id("group-id", ids),
            Selector::Vpcs(_) => vec![Vec::new()],
        };
        let found = each(filters, |filters| async move {
            let filters = Some(filters).filter(|filters| !filters.is_empty());
            let call = || {
                let call = self.describe_security_group_vpc_associations().set_filters(filters.clone());
                call.max_results(MAX_PAGE_LEN)
            };
            read(ACTION, ALL, page!(ACTION, call(), security_group_vpc_associations)).await
        });
        let mut associations: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for found in found.await?.found {
            if let (Some(SecurityGroupVpcAssociationState::Associated), Some(group), Some(vpc)) =
                (found.state, found.group_id, found.vpc_id)
            {
                associations.entry(group).or_default().insert(vpc);
            }
        }
        Ok(associations)
    }

    async fn vpc_ranges(&self) -> Result<BTreeMap<String, Addresses>, CloudError> {
        const ACTION: &str = "ec2:DescribeVpcs";
        let call = || self.describe_vpcs().max_results(MAX_PAGE_LEN);
        let ranges = read(ACTION, ALL, page!(ACTION, call(), vpcs)).await?.found.into_iter().map(|vpc| {
            let ranges = decode::vpc_ranges(&vpc);
            let id = vpc.vpc_id.unwrap_or_default();
            ranges.map_err(|error| unusable(ACTION, format!("a range of {id}: {error}"))).map(|ranges| (id, ranges))
        });
        ranges.collect()
    }

    /// The entries are those of the version that is in force when EC2 answers. They are read beside the state, and not
    /// after it: a change that ends in between is an event of its own.
    async fn prefix_list(&self, id: &str) -> Result<PrefixListFacts, CloudError> {
        lists::list(self, id).await
    }

    async fn entries_of_version(&self, list: &str, version: i64) -> Result<Addresses, CloudError> {
        lists::entries(self, list, Some(version)).await
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
                let attempts = Attempts::of::<RevokeSecurityGroupIngressError>();
                let call = self.revoke_security_group_ingress().group_id(group).set_security_group_rule_ids(ids);
                let sent = call.customize().interceptor(attempts.clone()).send().await;
                (ACTION, sent.map_err(|error| attempts.error(ACTION, &error))?.r#return)
            }
            Direction::Egress => {
                const ACTION: &str = "ec2:RevokeSecurityGroupEgress";
                let attempts = Attempts::of::<RevokeSecurityGroupEgressError>();
                let call = self.revoke_security_group_egress().group_id(group).set_security_group_rule_ids(ids);
                let sent = call.customize().interceptor(attempts.clone()).send().await;
                (ACTION, sent.map_err(|error| attempts.error(ACTION, &error))?.r#return)
            }
        };
        if answer == Some(false) {
            return Err(unusable(action, format!("EC2 answered `return: false` for {group}")));
        }
        Ok(())
    }

    /// As with a revoke, `Ok` says that EC2 took the call; reading back decides.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySecurityGroupRules.html>
    async fn modify(&self, group: &str, rules: &[Rule]) -> Result<(), CloudError> {
        const ACTION: &str = "ec2:ModifySecurityGroupRules";
        if rules.is_empty() {
            return Ok(());
        }
        let updates = Some(rules.iter().map(encode::update).collect());
        let attempts = Attempts::of::<ModifySecurityGroupRulesError>();
        let call = self.modify_security_group_rules().group_id(group).set_security_group_rules(updates);
        let sent = call.customize().interceptor(attempts.clone()).send().await;
        // One that was made by an attempt without an answer is what another rule, itself, already is.
        let error = |error| match attempts.error(ACTION, &error) {
            CloudError::NotDone { source, .. } if is_not_taken(&error) => CloudError::NotTaken(source),
            error => error,
        };
        if sent.map_err(error)?.r#return == Some(false) {
            return Err(unusable(ACTION, format!("EC2 answered `return: false` for {group}")));
        }
        Ok(())
    }
}

async fn groups(
    client: &Client,
    filters: Vec<Filter>,
    most: usize,
) -> Result<Part<aws_sdk_ec2::types::SecurityGroup>, CloudError> {
    let call = || client.describe_security_groups().set_filters(Some(filters.clone())).max_results(MAX_PAGE_LEN);
    read(GROUPS, most, page!(GROUPS, call(), security_groups)).await
}

// EKS Auto Mode nodes and their interfaces are managed resources, which an account can choose to hide from reads that do
// not ask for them; hidden nodes would make a node's group look unused.

async fn interfaces(client: &Client, filters: Vec<Filter>, most: usize) -> Result<Part<Interface>, CloudError> {
    let call = || {
        let call = client.describe_network_interfaces().set_filters(Some(filters.clone()));
        call.include_managed_resources(true).max_results(MAX_PAGE_LEN)
    };
    let part = read(INTERFACES, most, page!(INTERFACES, call(), network_interfaces)).await?;
    Ok(Part { found: part.found.into_iter().map(decode::interface).collect(), is_all: part.is_all })
}

async fn instances(client: &Client, filters: Vec<Filter>, most: usize) -> Result<Part<Instance>, CloudError> {
    let call = || {
        let call = client.describe_instances().set_filters(Some(filters.clone()));
        call.include_managed_resources(true).max_results(MAX_PAGE_LEN)
    };
    let part = read(INSTANCES, most, page!(INSTANCES, call(), reservations)).await?;
    let found = part.found.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
    Ok(Part { found: found.filter_map(decode::instance).collect(), is_all: part.is_all })
}

/// A page of instances with one of these tags. Where that page is not all, the groups that are on none of its instances are
/// asked for again without the others.
async fn witnesses(client: &Client, groups: &[String], keys: &[&str]) -> Result<Vec<Instance>, CloudError> {
    let read = |groups: &[String]| {
        each(by_id("network-interface.group-id", groups), |mut filters| {
            filters.push(filter("tag-key", keys.iter().map(|key| (*key).to_owned())));
            filters.push(filter("instance-state-name", NOT_TERMINATED.map(str::to_owned)));
            instances(client, filters, 1)
        })
    };
    let (found, _) = for_each_group(groups, read, |instance| &instance.groups).await?;
    Ok(found)
}

/// Reads for groups what they are attached to until each was seen that is attached to anything: where an answer is cut, the
/// groups that nothing in it has are asked for again without the others, which may fill every page. And says whether all
/// was read.
async fn for_each_group<T, F, R>(
    groups: &[String],
    read: F,
    groups_of: impl Fn(&T) -> &Vec<String>,
) -> Result<(Vec<T>, bool), CloudError>
where
    F: Fn(&[String]) -> R,
    R: Future<Output = Result<Part<T>, CloudError>>,
{
    let (mut found, mut left) = (Vec::new(), groups.to_vec());
    loop {
        let part = read(&left).await?;
        let before = left.len();
        left.retain(|group| !part.found.iter().any(|each| groups_of(each).contains(group)));
        let is_over = part.is_all || left.is_empty() || left.len() == before;
        found.extend(part.found);
        if is_over {
            return Ok((found, part.is_all && before == groups.len()));
        }
    }
}
