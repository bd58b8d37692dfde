//! A security group as the policy sees it: its live rules, what it is to which cluster, and what its peers are.
//!
//! Must not: read anything; inventory fills these values.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::member::Members;
use crate::model::mode::Mode;
use crate::model::region::Addresses;
pub use crate::model::role::{Evidence, Role, RoleEvidence};
use crate::model::rule::{Peer, Rule};
use crate::model::words;

/// An entry of `groups` in the policy, which says what a group is: strong evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredGroup {
    /// `sg-…`.
    pub id: String,
    /// The cluster's name.
    pub cluster: String,
    /// What the group is to it.
    pub role: Role,
    /// The mode of this group, whatever those of its clusters are.
    pub mode: Option<Mode>,
}

/// Where Kubernetes has `NodePorts` unless a cluster says otherwise (`serviceNodePortRange`).
pub const NODE_PORTS: (u16, u16) = (30_000, 32_767);

/// The range that a cluster states, and whether it is another one than Kubernetes has by itself. `None`: no range of ports.
pub fn node_ports(first: Option<i64>, last: Option<i64>) -> Option<Option<(u16, u16)>> {
    let port = |port: Option<i64>| port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let range = (port(first)?, port(last)?);
    (range.0 <= range.1).then(|| Some(range).filter(|range| *range != NODE_PORTS))
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
    /// EC2 shows it attached to nothing, so its rules let nobody in.
    pub is_unattached: bool,
    /// It is attached to something that is no cluster's and no load balancer's.
    pub is_shared: bool,
    /// When the oldest of its clusters was made; `None` where that is not known of all of them.
    pub clusters_since: Option<Timestamp>,
    /// After a call that put it on something: the interfaces of that.
    pub attachments: Vec<Attachment>,
    /// What ties it to anything: names of clusters, if more than the policy names them, ids of interfaces and instances.
    pub ties: BTreeSet<String>,
    /// What it was found to be of which cluster by this look alone, for later ones.
    pub members: Members,
    /// Its live rules.
    pub rules: Vec<Rule>,
    /// The ingress rules of the groups that are attached together with it, by each interface's set of groups, as far as they
    /// were looked up: an interface lets in what any of its groups lets in.
    pub beside: Vec<Vec<Rule>>,
    /// Rules that EC2 shows and that cannot be understood, so that they are not among `rules`.
    pub unreadable_rules: Vec<UnreadableRule>,
    /// The VPC's own ranges: private, although they may be public addresses.
    pub vpc_ranges: Addresses,
    /// Whether these, or the remote networks, could not all be read: then nobody can say of a range that it is not private.
    pub ranges_unread: bool,
    /// Remote node and pod networks of its clusters: private too.
    pub remote_networks: Addresses,
    /// First and last of the `NodePorts` in those of its clusters that moved them. Elsewhere they are [`NODE_PORTS`].
    pub node_ports: BTreeMap<String, (u16, u16)>,
    /// ARNs of its clusters' own IAM roles, which the service controller writes with.
    pub cluster_role_arns: BTreeSet<String>,
    /// ARNs of the identity providers of the clusters that it is proven to belong to: their pods' sessions name them.
    pub identity_providers: BTreeSet<String>,
    /// What the groups are that its rules name, by id. A group that is not here is an `other-group`.
    pub peers: BTreeMap<String, PeerGroup>,
    /// The prefix lists that its rules name, by id.
    pub prefix_lists: BTreeMap<String, PrefixList>,
    /// What these lists are called. Text from outside.
    pub list_names: BTreeMap<String, String>,
}

/// A network interface, or an instance through it, that a group is attached to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "for-tests", derive(schemars::JsonSchema))]
pub struct Attachment {
    /// `eni-…`.
    pub interface: Option<String>,
    /// `i-…`.
    pub instance: Option<String>,
    /// What the instance, or else the interface, is called: its tag `Name`. Text from outside.
    pub name: Option<String>,
    /// All groups that are attached to the interface.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What is known of those of them that are attached beside the one it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Beside>,
}

/// A group that is attached beside another one. What was not read is missing: its name, mostly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "for-tests", derive(schemars::JsonSchema))]
pub struct Beside {
    /// `sg-…`.
    pub id: String,
    /// Text from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Names of the clusters that it belongs to.
    pub clusters: Vec<String>,
    /// What it is to them.
    pub roles: Vec<RoleEvidence>,
}

impl Beside {
    /// Whether EKS itself names it for a cluster or its nodes: a node that has it is a node of that cluster.
    pub fn is_given_by_eks(&self) -> bool {
        let is_given = |known: &RoleEvidence| {
            let is_named = matches!(
                known.evidence,
                Evidence::DescribeCluster | Evidence::DescribeNodegroup | Evidence::LaunchTemplate
            );
            is_named && matches!(known.role, Role::Cluster | Role::Node)
        };
        self.roles.iter().any(is_given)
    }
}

/// Whether nothing but entries of the policy says that a group with these roles is a cluster's: when it comes to have them,
/// what changed is what is known of it.
pub fn by_policy_alone(roles: &[RoleEvidence]) -> bool {
    roles.iter().all(|known| known.evidence == Evidence::Configured)
}

impl Group {
    /// Its roles, each once.
    pub fn role_set(&self) -> BTreeSet<Role> {
        self.roles.iter().map(|known| known.role).collect()
    }

    /// The addresses that a peer is, itself or by the entries of its list. `None`: it is no addresses, or they are not
    /// known.
    pub fn addresses_of(&self, peer: &Peer) -> Option<Cow<'_, Addresses>> {
        match peer {
            Peer::Cidr(net) => Some(Cow::Owned(Addresses::from(*net))),
            Peer::PrefixList(id) => self.entries_of(id).map(Cow::Borrowed),
            Peer::Group { .. } => None,
        }
    }

    /// What a prefix list holds that is not one of AWS's own. `None`: it is one of those, or it is not known.
    pub fn entries_of(&self, list: &str) -> Option<&Addresses> {
        match self.prefix_lists.get(list)? {
            PrefixList::Entries(entries) => Some(entries),
            PrefixList::Aws(_) | PrefixList::Unreadable { .. } => None,
        }
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

/// A rule of which EC2's answer cannot be understood: it cannot be judged, and the others can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRule {
    /// `sgr-…`, if the answer has it.
    pub id: Option<String>,
    /// Which rule, and what was read.
    pub why: String,
}

/// What another group is to the group whose rule names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerGroup {
    /// It is proven to be of the same cluster, or a load balancer's of it.
    pub same_cluster: bool,
    /// Less says so, such as an ordinary tag. That allows nothing, and it keeps a rule from being revoked.
    pub may_be_same_cluster: bool,
    /// Its roles there, by strong evidence.
    pub roles: BTreeSet<Role>,
    /// EC2 shows it attached to nothing, so nobody comes from it.
    pub is_unattached: bool,
}

/// Whether what could not be read can be read some time later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// Not by itself: it is gone, or denied.
    Never,
    /// It is throttling, or a fault of the network.
    Maybe,
    /// It is being changed, which ends.
    Surely,
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
        /// Whether trying again may help.
        passes: Passes,
    },
}

words! {
    /// AWS-owned prefix lists with a word of their own.
    pub enum AwsList {
        /// VPC Lattice.
        VpcLattice = "aws:vpc-lattice",
        /// EC2 Instance Connect.
        InstanceConnect = "aws:ec2-instance-connect",
        /// `CloudFront`, origin-facing.
        CloudFront = "aws:cloudfront",
        /// Route 53 health checks.
        Route53HealthChecks = "aws:route53-healthchecks",
        /// S3 gateway endpoint.
        S3 = "aws:s3",
        /// DynamoDB gateway endpoint.
        DynamoDb = "aws:dynamodb",
    }
}

impl AwsList {
    /// The part of EC2's list name (`com.amazonaws.<region>.<part>`) that it stands for.
    /// Names: VPC user guide, "AWS-managed prefix lists".
    const IN_EC2: [(&'static str, Self); 6] = [
        ("vpc-lattice", Self::VpcLattice),
        ("ec2-instance-connect", Self::InstanceConnect),
        ("cloudfront.origin-facing", Self::CloudFront),
        ("route53-healthchecks", Self::Route53HealthChecks),
        ("s3", Self::S3),
        ("dynamodb", Self::DynamoDb),
    ];

    /// The list that an owner and a name mean. The owner decides: a customer's list may have any name.
    pub fn from_ec2(owner: &str, name: &str) -> Option<Self> {
        let service = name.strip_prefix("com.amazonaws.")?.split_once('.')?.1;
        let service = service.strip_prefix("ipv6.").unwrap_or(service);
        (owner == "AWS").then(|| Self::IN_EC2.iter().find(|(part, _)| *part == service).map(|(_, list)| *list))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_ports_are_a_range_from_1_to_65535_and_stated_where_kubernetes_has_others() {
        for (first, last, expected) in [
            (Some(30_000), Some(32_767), Some(None)),
            (Some(30_000), Some(32_766), Some(Some((30_000, 32_766)))),
            (Some(1), Some(65_535), Some(Some((1, 65_535)))),
            (Some(9_000), Some(9_000), Some(Some((9_000, 9_000)))),
            (Some(9_001), Some(9_000), None),
            (Some(0), Some(9_000), None),
            (Some(9_000), Some(65_536), None),
            (Some(-1), Some(9_000), None),
            (None, Some(9_000), None),
            (Some(9_000), None, None),
        ] {
            assert_eq!(node_ports(first, last), expected, "{first:?} {last:?}");
        }
    }

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
