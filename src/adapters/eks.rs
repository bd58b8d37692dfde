//! EKS: clusters, their node groups, and the groups that the launch templates of these name.

use async_trait::async_trait;
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::LaunchTemplateInstanceNetworkInterfaceSpecification as NetworkInterface;
use aws_sdk_eks::types::{
    IpFamily, LaunchTemplateSpecification, NodegroupResources, RemoteNetworkConfigResponse, RemoteNodeNetwork,
    RemotePodNetwork,
};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::failure::{cloud_error, during, unusable};
use jiff::Timestamp;

use crate::model::error::CloudError;
use crate::model::facts::{Cluster, NodeGroup, NodeGroups};
use crate::model::group;
use crate::model::region::Addresses;
use crate::ports::Eks;

/// Node groups read at the same time. EKS gives an account a handful of reads a second, shared with
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
    /// `ec2` answers for launch templates.
    pub fn new(eks: aws_sdk_eks::Client, ec2: aws_sdk_ec2::Client) -> Self {
        Self { eks, ec2 }
    }
}

#[async_trait]
impl Eks for Clusters {
    async fn names(&self) -> Result<Vec<String>, CloudError> {
        let names = self.eks.list_clusters().into_paginator().items().send().try_collect();
        names.await.map_err(during("eks:ListClusters"))
    }

    async fn cluster(&self, name: &str) -> Result<Option<Cluster>, CloudError> {
        let answer = self.eks.describe_cluster().name(name).send().await;
        let Some(cluster) = present(DESCRIBE_CLUSTER, answer)?.and_then(|answer| answer.cluster) else {
            return Ok(None);
        };
        let remote_networks = cluster.remote_network_config().map(remote_networks).transpose();
        let network = cluster.resources_vpc_config();
        let public_endpoint = network
            .filter(|network| network.endpoint_public_access())
            .map(|network| Addresses::of_blocks(network.public_access_cidrs().iter().map(String::as_str)))
            .transpose()
            .map_err(|error| unusable(DESCRIBE_CLUSTER, format!("a public access block of {name}: {error}")))?;
        Ok(Some(Cluster {
            name: name.to_owned(),
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
            created_at: cluster.created_at().and_then(|at| Timestamp::from_second(at.secs()).ok()),
            arn: cluster.arn().map(str::to_owned),
            issuer: cluster
                .identity()
                .and_then(|identity| identity.oidc())
                .and_then(|oidc| oidc.issuer())
                .map(str::to_owned),
            node_groups: Vec::new(),
            node_ports: node_ports(&cluster),
        }))
    }

    async fn node_groups(&self, cluster: &str, which: &NodeGroups) -> Result<Vec<NodeGroup>, CloudError> {
        let names: Vec<String> = match which {
            NodeGroups::Named(names) => names.iter().cloned().collect(),
            NodeGroups::All | NodeGroups::First(_) => {
                let names = self.eks.list_nodegroups().cluster_name(cluster).into_paginator().items().send();
                let names: Option<Vec<String>> = present("eks:ListNodegroups", names.try_collect().await)?;
                let most = if let NodeGroups::First(most) = which { *most } else { usize::MAX };
                names.unwrap_or_default().into_iter().take(most).collect()
            }
        };
        let found = stream::iter(names).map(|name| self.node_group(cluster, name)).buffered(MAX_CONCURRENT_READS);
        let found: Vec<Option<NodeGroup>> = found.try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

impl Clusters {
    /// `None` when it went away.
    async fn node_group(&self, cluster: &str, name: String) -> Result<Option<NodeGroup>, CloudError> {
        let answer = self.eks.describe_nodegroup().cluster_name(cluster).nodegroup_name(&name).send().await;
        let Some(group) = present(DESCRIBE_NODE_GROUP, answer)?.and_then(|answer| answer.nodegroup) else {
            return Ok(None);
        };
        let template_groups = match group.launch_template() {
            Some(template) => self.template_groups(template).await?,
            None => Vec::new(),
        };
        let resources = group.resources();
        let scaling = resources.map(NodegroupResources::auto_scaling_groups).unwrap_or_default();
        Ok(Some(NodeGroup {
            name,
            remote_access_group: resources.and_then(|found| found.remote_access_security_group()).map(str::to_owned),
            auto_scaling_groups: scaling.iter().filter_map(|group| group.name()).map(str::to_owned).collect(),
            template_groups,
        }))
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
    Addresses::of_blocks(nodes.chain(pods).map(String::as_str))
}

/// Where the cluster's `NodePorts` are; `None`: where Kubernetes has them by itself.
fn node_ports(cluster: &aws_sdk_eks::types::Cluster) -> Option<(u16, u16)> {
    let range = cluster.kube_api_server_config()?.service_node_port_range()?;
    group::node_ports(Some(range.min_port().into()), Some(range.max_port().into())).flatten()
}
