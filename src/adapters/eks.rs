//! EKS: every cluster with its node groups, and the groups that their launch templates name.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::LaunchTemplateInstanceNetworkInterfaceSpecification as NetworkInterface;
use aws_sdk_eks::types::{
    IpFamily, LaunchTemplateSpecification, NodegroupResources, RemoteNetworkConfigResponse, RemoteNodeNetwork,
    RemotePodNetwork,
};
use futures::future::try_join;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ec2::decode;
use super::failure::{cloud_error, during, unusable};
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, NodeGroup};
use crate::model::region::Addresses;
use crate::ports::{Ec2 as _, Eks};

/// Clusters or node groups read at the same time. EKS gives an account a handful of reads a second, shared with
/// everything else that talks to it.
const MAX_CONCURRENT_READS: usize = 8;

const DESCRIBE_CLUSTER: &str = "eks:DescribeCluster";
const DESCRIBE_NODE_GROUP: &str = "eks:DescribeNodegroup";
const DESCRIBE_TEMPLATE: &str = "ec2:DescribeLaunchTemplateVersions";

/// The clusters of one account and region.
#[derive(Clone, Debug)]
pub struct Clusters {
    eks: aws_sdk_eks::Client,
    ec2: aws_sdk_ec2::Client,
}

impl Clusters {
    /// `ec2` answers for launch templates and VPC ranges.
    pub fn new(eks: aws_sdk_eks::Client, ec2: aws_sdk_ec2::Client) -> Self {
        Self { eks, ec2 }
    }
}

#[async_trait]
impl Eks for Clusters {
    /// Clusters in every status: the groups of one that is being deleted, or that failed, are still attached.
    async fn clusters(&self) -> Result<Vec<Cluster>, CloudError> {
        let names = self.eks.list_clusters().into_paginator().items().send().try_collect();
        let names = names.await.map_err(during("eks:ListClusters"))?;
        let found: Vec<Option<(Cluster, Vec<String>)>> =
            stream::iter(names).map(|name| self.cluster(name)).buffered(MAX_CONCURRENT_READS).try_collect().await?;
        let found: Vec<(Cluster, Vec<String>)> = found.into_iter().flatten().collect();

        let node_groups = found.iter().flat_map(|(cluster, groups)| {
            groups.iter().map(|group| (cluster.name.clone(), group.clone())).collect::<Vec<_>>()
        });
        let node_groups: Vec<(String, String)> = node_groups.collect();
        let node_groups = stream::iter(node_groups)
            .map(|(cluster, name)| self.node_group(cluster, name))
            .buffered(MAX_CONCURRENT_READS)
            .try_collect::<Vec<_>>();
        let (node_groups, ranges) = try_join(node_groups, self.ec2.vpc_ranges()).await?;

        let mut of_cluster: BTreeMap<String, Vec<NodeGroup>> = BTreeMap::new();
        for (cluster, group) in node_groups.into_iter().flatten() {
            of_cluster.entry(cluster).or_default().push(group);
        }
        let clusters = found.into_iter().map(|(cluster, _)| Cluster {
            vpc_ranges: ranges.get(&cluster.vpc).cloned().unwrap_or_default(),
            node_groups: of_cluster.remove(&cluster.name).unwrap_or_default(),
            ..cluster
        });
        Ok(clusters.collect())
    }
}

impl Clusters {
    /// The cluster without VPC ranges and node groups, and the names of these. `None` when it went away.
    async fn cluster(&self, name: String) -> Result<Option<(Cluster, Vec<String>)>, CloudError> {
        let described = async {
            let answer = self.eks.describe_cluster().name(&name).send().await;
            present(DESCRIBE_CLUSTER, answer).map(|answer| answer.and_then(|answer| answer.cluster))
        };
        let names = async {
            let names = self.eks.list_nodegroups().cluster_name(&name).into_paginator().items().send().try_collect();
            present("eks:ListNodegroups", names.await)
        };
        let (Some(cluster), Some(names)) = try_join(described, names).await? else {
            return Ok(None);
        };
        let remote_networks = cluster.remote_network_config().map(remote_networks).transpose();
        let network = cluster.resources_vpc_config();
        let public_endpoint = network
            .filter(|network| network.endpoint_public_access())
            .map(|network| decode::addresses(network.public_access_cidrs().iter().map(String::as_str)))
            .transpose()
            .map_err(|error| unusable(DESCRIBE_CLUSTER, format!("a public access block of {name}: {error}")))?;
        let cluster = Cluster {
            public_endpoint: public_endpoint.unwrap_or_default(),
            is_ipv6: cluster.kubernetes_network_config().and_then(|network| network.ip_family())
                == Some(&IpFamily::Ipv6),
            is_local: cluster.outpost_config().is_some(),
            vpc: network.and_then(|network| network.vpc_id()).unwrap_or_default().to_owned(),
            vpc_ranges: Addresses::default(),
            cluster_group: network.and_then(|network| network.cluster_security_group_id()).map(str::to_owned),
            control_plane_groups: network.map(|network| network.security_group_ids().to_vec()).unwrap_or_default(),
            remote_networks: remote_networks
                .map_err(|error| unusable(DESCRIBE_CLUSTER, format!("a remote network of {name}: {error}")))?
                .unwrap_or_default(),
            role_arn: cluster.role_arn().map(str::to_owned),
            arn: cluster.arn().map(str::to_owned),
            issuer: cluster
                .identity()
                .and_then(|identity| identity.oidc())
                .and_then(|oidc| oidc.issuer())
                .map(str::to_owned),
            node_groups: Vec::new(),
            name,
        };
        Ok(Some((cluster, names)))
    }

    /// The node group with its cluster's name. `None` when it went away.
    async fn node_group(&self, cluster: String, name: String) -> Result<Option<(String, NodeGroup)>, CloudError> {
        let answer = self.eks.describe_nodegroup().cluster_name(&cluster).nodegroup_name(&name).send().await;
        let Some(group) = present(DESCRIBE_NODE_GROUP, answer)?.and_then(|answer| answer.nodegroup) else {
            return Ok(None);
        };
        let template_groups = match group.launch_template() {
            Some(template) => self.template_groups(template).await?,
            None => Vec::new(),
        };
        let resources = group.resources();
        let scaling = resources.map(NodegroupResources::auto_scaling_groups).unwrap_or_default();
        let group = NodeGroup {
            name,
            remote_access_group: resources.and_then(|found| found.remote_access_security_group()).map(str::to_owned),
            auto_scaling_groups: scaling.iter().filter_map(|group| group.name()).map(str::to_owned).collect(),
            template_groups,
        };
        Ok(Some((cluster, group)))
    }

    /// The groups that this version of a launch template puts on instances: on the first interface when it has no network
    /// interfaces of its own, else on each of these. None when the template or the version is gone.
    async fn template_groups(&self, template: &LaunchTemplateSpecification) -> Result<Vec<String>, CloudError> {
        // Without a version EKS uses the template's default one; a version can also be `$Latest`.
        let version = template.version().unwrap_or("$Default");
        let call = self.ec2.describe_launch_template_versions().versions(version).include_managed_resources(true);
        // EC2 takes the id or the name, not both; EKS usually gives both.
        let call = match (template.id(), template.name()) {
            (Some(id), _) => call.launch_template_id(id),
            (None, Some(name)) => call.launch_template_name(name),
            (None, None) => return Ok(Vec::new()),
        };
        let versions = match call.into_paginator().items().send().try_collect().await {
            Ok(versions) => versions,
            Err(error) if error.code().is_some_and(is_template_gone) => return Ok(Vec::new()),
            Err(error) => return Err(cloud_error(DESCRIBE_TEMPLATE, &error)),
        };
        let mut groups = Vec::new();
        for data in versions.iter().filter_map(|version| version.launch_template_data()) {
            groups.extend_from_slice(data.security_group_ids());
            groups.extend(data.network_interfaces().iter().flat_map(NetworkInterface::groups).cloned());
        }
        groups.sort();
        groups.dedup();
        Ok(groups)
    }
}

/// `None` for `ResourceNotFoundException`: what we ask for was listed a moment ago, so it has gone away since.
fn present<T, E>(action: &str, answer: Result<T, aws_sdk_eks::error::SdkError<E>>) -> Result<Option<T>, CloudError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
        Err(error) => Err(cloud_error(action, &error)),
    }
}

/// `InvalidLaunchTemplateId.NotFound`, `InvalidLaunchTemplateId.VersionNotFound`,
/// `InvalidLaunchTemplateName.NotFoundException`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
fn is_template_gone(code: &str) -> bool {
    code.starts_with("InvalidLaunchTemplate") && code.contains("NotFound")
}

/// Networks outside of AWS whose nodes and pods are part of the cluster (EKS Hybrid Nodes).
fn remote_networks(config: &RemoteNetworkConfigResponse) -> Result<Addresses, crate::model::rule::RuleError> {
    let nodes = config.remote_node_networks().iter().flat_map(RemoteNodeNetwork::cidrs);
    let pods = config.remote_pod_networks().iter().flat_map(RemotePodNetwork::cidrs);
    decode::addresses(nodes.chain(pods).map(String::as_str))
}
