//! A security group as the policy sees it: its live rules, what it is to which cluster, and what its peers are.
//!
//! Owns: the words role and evidence. Must not: read anything; inventory fills these values.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::region::Addresses;
use crate::model::rule::Rule;

/// What a group is to a cluster. A group can have several roles; a group with none is out of scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The group EKS made for the cluster.
    Cluster,
    /// An additional group on the control-plane interfaces.
    ControlPlane,
    /// Attached to worker nodes.
    Node,
    /// Made by EKS for SSH to a managed node group.
    RemoteAccess,
    /// Attached to pods.
    Pod,
    /// Attached to a load balancer.
    LoadBalancer,
}

impl Role {
    /// Every role, in the order of the design.
    pub const ALL: [Self; 6] =
        [Self::Cluster, Self::ControlPlane, Self::Node, Self::RemoteAccess, Self::Pod, Self::LoadBalancer];

    /// The word of the policy language and of the record.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::ControlPlane => "control-plane",
            Self::Node => "node",
            Self::RemoteAccess => "remote-access",
            Self::Pod => "pod",
            Self::LoadBalancer => "load-balancer",
        }
    }
}

/// Why we believe a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// `DescribeCluster` names the group.
    DescribeCluster,
    /// `DescribeNodegroup` names the group.
    DescribeNodegroup,
    /// The launch template of a node group names the group.
    LaunchTemplate,
    /// The AWS-owned tag `aws:eks:cluster-name`.
    AwsTag,
    /// An interface or instance that the group is attached to.
    Attachment,
    /// The `groups` entry of the policy.
    Configured,
    /// An ordinary tag, which anybody with `ec2:CreateTags` can write.
    Tag,
}

/// A role, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RoleEvidence {
    /// The role.
    pub role: Role,
    /// The kind of evidence.
    pub evidence: Evidence,
    /// Strong evidence cannot be forged with tags alone. Only it lets us revoke.
    pub strong: bool,
}

/// An entry of `groups` in the policy, which says what a group is: strong evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredGroup {
    /// `sg-…`.
    pub id: String,
    /// The cluster's name.
    pub cluster: String,
    /// What the group is to it.
    pub role: Role,
}

/// A group with everything a verdict needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// `sg-…`.
    pub id: String,
    /// Its name. Text from outside.
    pub name: String,
    /// `vpc-…`.
    pub vpc: String,
    /// The account that owns the group.
    pub owner: String,
    /// Names of the clusters it belongs to.
    pub clusters: BTreeSet<String>,
    /// What it is to them. Empty: out of scope.
    pub roles: Vec<RoleEvidence>,
    /// Its live rules.
    pub rules: Vec<Rule>,
    /// The VPC's own ranges: private, although they may be public addresses.
    pub vpc_ranges: Addresses,
    /// Remote node and pod networks of its clusters: private too.
    pub remote_networks: Addresses,
    /// ARNs of its clusters' own IAM roles, which the service controller writes with.
    pub cluster_role_arns: BTreeSet<String>,
    /// What the groups are that its rules name, by id. A group that is not here is an `other-group`.
    pub peers: BTreeMap<String, PeerGroup>,
    /// The prefix lists that its rules name, by id.
    pub prefix_lists: BTreeMap<String, PrefixList>,
}

impl Group {
    /// Its roles, each once.
    pub fn role_set(&self) -> BTreeSet<Role> {
        self.roles.iter().map(|known| known.role).collect()
    }

    /// Whether any role has strong evidence. Without it the group is reported on, never changed.
    pub fn is_strong(&self) -> bool {
        self.roles.iter().any(|known| known.strong)
    }

    /// The clusters in one text, as the record has them; `None` without one.
    pub fn cluster_names(&self) -> Option<String> {
        (!self.clusters.is_empty()).then(|| self.clusters.iter().map(String::as_str).collect::<Vec<_>>().join(","))
    }
}

/// What another group is to the group whose rule names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerGroup {
    /// Strong evidence says that it belongs to the same cluster.
    pub same_cluster: bool,
    /// Its roles there, by strong evidence.
    pub roles: BTreeSet<Role>,
}

/// The content of a prefix list that a rule names.
#[derive(Clone, Debug, PartialEq)]
pub enum PrefixList {
    /// One of the AWS-owned lists that the policy language has a word for. Judged by identity, not by entries.
    Aws(AwsList),
    /// Any other list, judged by its entries.
    Entries(Addresses),
    /// It could not be read.
    Unreadable {
        /// Why, for people.
        why: String,
        /// Trying again may help: throttling or a network fault, unlike a list that is gone or denied.
        may_pass: bool,
    },
}

/// AWS-owned prefix lists with a word of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AwsList {
    /// VPC Lattice.
    VpcLattice,
    /// EC2 Instance Connect.
    InstanceConnect,
    /// `CloudFront`, origin-facing.
    CloudFront,
    /// Route 53 health checks.
    Route53HealthChecks,
    /// S3 gateway endpoint.
    S3,
    /// DynamoDB gateway endpoint.
    DynamoDb,
}

impl AwsList {
    /// Word of the policy language, and the part of EC2's list name (`com.amazonaws.<region>.<part>`) that it stands for.
    /// Names: VPC user guide, "AWS-managed prefix lists".
    const TABLE: [(Self, &'static str, &'static str); 6] = [
        (Self::VpcLattice, "aws:vpc-lattice", "vpc-lattice"),
        (Self::InstanceConnect, "aws:ec2-instance-connect", "ec2-instance-connect"),
        (Self::CloudFront, "aws:cloudfront", "cloudfront.origin-facing"),
        (Self::Route53HealthChecks, "aws:route53-healthchecks", "route53-healthchecks"),
        (Self::S3, "aws:s3", "s3"),
        (Self::DynamoDb, "aws:dynamodb", "dynamodb"),
    ];

    /// The word of the policy language.
    pub fn word(self) -> &'static str {
        Self::TABLE.iter().find(|(list, ..)| *list == self).map_or("", |(_, word, _)| word)
    }

    /// The list a word means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::TABLE.iter().find(|(_, known, _)| *known == word).map(|(list, ..)| *list)
    }

    /// Every word, for messages and the schema.
    pub fn words() -> impl Iterator<Item = &'static str> {
        Self::TABLE.iter().map(|(_, word, _)| *word)
    }

    /// The list that an owner and a name mean. The owner decides: a customer's list may have any name.
    pub fn from_ec2(owner: &str, name: &str) -> Option<Self> {
        let service = name.strip_prefix("com.amazonaws.")?.split_once('.')?.1;
        let service = service.strip_prefix("ipv6.").unwrap_or(service);
        (owner == "AWS").then(|| Self::TABLE.iter().find(|(.., part)| *part == service).map(|(list, ..)| *list))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_lists_are_known_by_owner_not_by_name() {
        for (owner, name, expected) in [
            ("AWS", "com.amazonaws.global.cloudfront.origin-facing", Some(AwsList::CloudFront)),
            ("AWS", "com.amazonaws.global.ipv6.cloudfront.origin-facing", Some(AwsList::CloudFront)),
            ("AWS", "com.amazonaws.us-east-1.s3", Some(AwsList::S3)),
            ("AWS", "com.amazonaws.us-east-1.ipv6.vpc-lattice", Some(AwsList::VpcLattice)),
            ("AWS", "com.amazonaws.us-east-1.ec2-instance-connect", Some(AwsList::InstanceConnect)),
            ("AWS", "com.amazonaws.us-east-1.groundstation", None),
            ("111122223333", "com.amazonaws.us-east-1.s3", None),
        ] {
            assert_eq!(AwsList::from_ec2(owner, name), expected, "{owner} {name}");
        }
    }
}
