//! What EC2 and EKS say of groups, interfaces, instances and clusters, as plain values.
//!
//! Must not: interpret them (membership and the policy do) or know the AWS SDK (adapters do).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::group::UnreadableRule;
use crate::model::ids::Arn;
use crate::model::region::Addresses;
use crate::model::rule::Rule;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// Which groups a read is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// These `sg-…` ids. Ids that do not exist are left out of the answer; they are no error.
    Ids(Vec<String>),
    /// Every group of these VPCs.
    Vpcs(Vec<String>),
}

/// Which instances a read is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instances {
    /// Of those that these groups are attached to, and that name a cluster in a tag, a page: enough to show for each
    /// group whose it is. Those with EKS's tag, with Auto Scaling's and with ordinary ones are looked for apart, so that
    /// none hides the others.
    Witnesses(Vec<String>),
    /// The same with EKS's tag alone.
    Proofs(Vec<String>),
    /// The same with any of these tags, in one call: enough for a group that is the source of a rule.
    Peers(Vec<String>),
    /// These `i-…` ids.
    Ids(Vec<String>),
    /// All of these VPCs.
    Vpcs(Vec<String>),
}

/// Which node groups of a cluster a read is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeGroups {
    /// All of them.
    All,
    /// The first so many, as EKS lists them.
    First(usize),
    /// These, by name. One that does not exist is left out.
    Named(BTreeSet<String>),
}

/// Rules as they were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Each with its group's id.
    pub rules: Vec<(String, Rule)>,
    /// Those that could not be understood, each with its group's id.
    pub unreadable: Vec<(String, UnreadableRule)>,
    /// Groups, each with a group that its rules name over a peering that is gone.
    pub stale: Vec<(String, String)>,
}

/// Interfaces as they were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interfaces {
    /// Each once.
    pub found: Vec<Interface>,
    /// Whether these are all: of groups with very many attachments only the first pages are read.
    pub is_complete: bool,
}

/// A security group without its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFacts {
    /// `sg-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `vpc-…`.
    pub vpc: String,
    /// The owning account.
    pub owner: String,
    /// Its tags.
    pub tags: Tags,
}

/// A network interface: where groups are really used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// `eni-…`.
    pub id: String,
    /// `vpc-…`.
    pub vpc: String,
    /// The account that owns the interface.
    pub owner: String,
    /// The groups that are attached to it.
    pub groups: Vec<String>,
    /// Text that anybody with `ec2:ModifyNetworkInterfaceAttribute` can write.
    pub description: String,
    /// `interface`, `branch`, `network_load_balancer`, … Set by EC2, not by callers, for load balancers.
    pub kind: String,
    /// Who asked EC2 to make it, for example `amazon-elb`. Set by EC2.
    pub requester: Option<String>,
    /// An AWS service manages it. Set by EC2.
    pub requester_managed: bool,
    /// The instance it is attached to, when that instance is ours.
    pub instance: Option<String>,
    /// The account (or AWS alias such as `amazon-elb`) of the instance it is attached to. Set by EC2.
    pub instance_owner: Option<String>,
    /// `subnet-…`.
    pub subnet: String,
    /// A public IPv4 address of it.
    pub public_v4: Option<String>,
    /// An IPv6 address of it.
    pub v6: Option<String>,
    /// IPv6 traffic of internet gateways is denied to it.
    pub denies_gateways: bool,
    /// Its tags.
    pub tags: Tags,
}

/// An instance that one of the groups is attached to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// `vpc-…`.
    pub vpc: String,
    /// The groups of all its interfaces.
    pub groups: Vec<String>,
    /// The groups of its primary interface. Others may serve pods, with groups of their own.
    pub primary_groups: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A cluster as EKS describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// `vpc-…`.
    pub vpc: String,
    /// The ranges of that VPC.
    pub vpc_ranges: Addresses,
    /// `clusterSecurityGroupId`; absent while the cluster is being created.
    pub cluster_group: Option<String>,
    /// `securityGroupIds`: the additional control-plane groups.
    pub control_plane_groups: Vec<String>,
    /// Remote node and pod networks.
    pub remote_networks: Addresses,
    /// The cluster's IAM role.
    pub role_arn: Option<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// The cluster itself, by ARN.
    pub arn: Option<String>,
    /// Who issues the web identities of its pods: an address that begins with `https://`.
    pub issuer: Option<String>,
    /// Its managed node groups.
    pub node_groups: Vec<NodeGroup>,
    /// Who may call the public endpoint of its API (`publicAccessCidrs`); empty without one. No security group guards it.
    pub public_endpoint: Addresses,
    /// Its pods and services have IPv6 addresses (`ipFamily`), while its nodes have both.
    pub is_ipv6: bool,
    /// A local cluster on Outposts: EKS keeps a group of its own among the control-plane instances.
    pub is_local: bool,
    /// First and last of its `NodePorts` (`serviceNodePortRange`), if they are elsewhere than Kubernetes has them by itself.
    pub node_ports: Option<(u16, u16)>,
}

impl Cluster {
    /// The ARN that IAM gives to the cluster's issuer as an identity provider of the cluster's own account.
    pub fn identity_provider(&self) -> Option<String> {
        let arn = Arn::parse(self.arn.as_deref()?)?;
        let issuer = self.issuer.as_deref()?.strip_prefix("https://").filter(|issuer| !issuer.is_empty())?;
        Some(format!("arn:{}:iam::{}:oidc-provider/{issuer}", arn.partition, arn.account))
    }

    /// Every group that EKS names for it.
    pub fn groups(&self) -> BTreeSet<String> {
        let of_nodes =
            self.node_groups.iter().flat_map(|nodes| nodes.template_groups.iter().chain(&nodes.remote_access_group));
        self.cluster_group.iter().chain(&self.control_plane_groups).chain(of_nodes).cloned().collect()
    }
}

/// A managed node group as EKS describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeGroup {
    /// Its name.
    pub name: String,
    /// `remoteAccessSecurityGroup`.
    pub remote_access_group: Option<String>,
    /// Names of its Auto Scaling groups.
    pub auto_scaling_groups: Vec<String>,
    /// The groups that its launch template names.
    pub template_groups: Vec<String>,
}

/// A managed prefix list.
#[derive(Clone, Debug, PartialEq)]
pub struct PrefixListFacts {
    /// `AWS` or an account.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// Its entries.
    pub entries: Addresses,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_provider_is_the_issuer_in_the_account_of_the_cluster() {
        let id = "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";
        let of = |arn: &str, issuer: &str| {
            let (arn, issuer) = (Some(arn.to_owned()), Some(issuer.to_owned()));
            Cluster { arn, issuer, ..Cluster::default() }.identity_provider()
        };
        let arn = "arn:aws:eks:us-east-1:111122223333:cluster/prod";
        let expected = format!("arn:aws:iam::111122223333:oidc-provider/{id}");
        assert_eq!(of(arn, &format!("https://{id}")), Some(expected));
        assert!(of(&arn.replace("aws:", "aws-cn:"), &format!("https://{id}")).unwrap().starts_with("arn:aws-cn:iam::"));
        for (arn, issuer) in [(arn, ""), (arn, "https://"), (arn, id), ("", "https://x"), ("prod", "https://x")] {
            assert_eq!(of(arn, issuer), None, "{arn} {issuer}");
        }
        assert_eq!(Cluster::default().identity_provider(), None);
    }

    #[test]
    fn eks_names_groups_for_the_cluster_its_control_plane_and_its_nodes() {
        let nodes = |template: &str, remote_access: Option<&str>| NodeGroup {
            template_groups: vec![template.to_owned()],
            remote_access_group: remote_access.map(str::to_owned),
            ..NodeGroup::default()
        };
        let cluster = Cluster {
            cluster_group: Some("sg-1".to_owned()),
            control_plane_groups: vec!["sg-2".to_owned()],
            node_groups: vec![nodes("sg-3", Some("sg-4")), nodes("sg-1", None)],
            ..Cluster::default()
        };
        assert_eq!(cluster.groups(), ["sg-1", "sg-2", "sg-3", "sg-4"].map(str::to_owned).into());
    }
}
