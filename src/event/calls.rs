//! The calls that may open a path to a cluster, or close one that it needs: the only place that lists them.
//!
//! Left to the sweep, because their events cost more than they tell:
//! - `RunInstances`, `CreateFleet` and new versions of launch templates, by which nodes start with open groups
//!   (`UpdateNodegroupVersion` ends there too): every node of every cluster would be an event, and most name a template
//!   instead of groups.
//! - `CreateTags` on instances and interfaces: tags are weak evidence of a role and change all day.
//!
//! Not here, because they open nothing: whatever deletes or disassociates, `UpdateSecurityGroupRuleDescriptions…`, and
//! `CreateManagedPrefixList`, which no rule uses yet.

use crate::model::rule::Direction;

/// RDS, `ElastiCache` and Redshift have calls of nearly the same names.
const EC2: &str = "ec2.amazonaws.com";
const EKS: &str = "eks.amazonaws.com";

/// One call, as CloudTrail names it.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The `eventSource`.
    pub source: &'static str,
    /// The `eventName`.
    pub name: &'static str,
    /// Whether the stack's EventBridge rule delivers it. The others are understood when they come, but the VPC CNI makes
    /// them all day long.
    pub delivered: bool,
    /// How to read what it changed.
    pub(super) changes: Changes,
}

/// What a call changes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Changes {
    /// Adds rules to a group, in this direction.
    Adds(Direction),
    /// Rewrites rules of a group in place, in a direction that the event does not tell.
    Rewrites,
    /// Removes rules of a group: nothing opens, but something that must stay open may be gone.
    Removes,
    /// A group as a whole.
    Group,
    /// Tags, on resources of any kind. Tags of a group tell which cluster it belongs to.
    Tags,
    /// One attribute of an interface or instance, which may be its groups.
    Attribute,
    /// The groups of an interface or instance, whether or not it names them.
    Attachment,
    /// The entries of a prefix list.
    PrefixList,
    /// The configuration of a cluster.
    Cluster,
}

/// Every call that is understood.
pub const CALLS: &[Call] = &[
    ec2("AuthorizeSecurityGroupIngress", Changes::Adds(Direction::Ingress)),
    ec2("AuthorizeSecurityGroupEgress", Changes::Adds(Direction::Egress)),
    ec2("ModifySecurityGroupRules", Changes::Rewrites),
    ec2("RevokeSecurityGroupIngress", Changes::Removes),
    ec2("RevokeSecurityGroupEgress", Changes::Removes),
    ec2("CreateSecurityGroup", Changes::Group),
    ec2("AssociateSecurityGroupVpc", Changes::Group),
    ec2("CreateTags", Changes::Tags),
    ec2("DeleteTags", Changes::Tags),
    ec2("ModifyNetworkInterfaceAttribute", Changes::Attribute),
    ec2("ModifyInstanceAttribute", Changes::Attribute),
    Call { delivered: false, ..ec2("CreateNetworkInterface", Changes::Attachment) },
    Call { delivered: false, ..ec2("AttachNetworkInterface", Changes::Attachment) },
    ec2("ModifyManagedPrefixList", Changes::PrefixList),
    ec2("RestoreManagedPrefixListVersion", Changes::PrefixList),
    eks("CreateCluster"),
    eks("UpdateClusterConfig"),
    eks("CreateNodegroup"),
];

const fn ec2(name: &'static str, changes: Changes) -> Call {
    Call { source: EC2, name, delivered: true, changes }
}

const fn eks(name: &'static str) -> Call {
    Call { source: EKS, name, delivered: true, changes: Changes::Cluster }
}
