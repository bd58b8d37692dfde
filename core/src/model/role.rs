//! What a group is to a cluster, and why we believe it.
//!
//! Must not: say it of any group (membership does).

use serde::{Deserialize, Serialize};

use crate::model::words;

words! {
    /// What a group is to a cluster. A group can have several roles; a group with none is out of scope.
    pub enum Role {
        /// The group EKS made for the cluster.
        Cluster = "cluster",
        /// An additional group on the control-plane interfaces.
        ControlPlane = "control-plane",
        /// Attached to worker nodes.
        Node = "node",
        /// Made by EKS for SSH to a managed node group.
        RemoteAccess = "remote-access",
        /// Attached to pods.
        Pod = "pod",
        /// Attached to a load balancer.
        LoadBalancer = "load-balancer",
    }
}

words! {
    /// Why we believe a role.
    pub enum Evidence {
        /// `DescribeCluster` names the group.
        DescribeCluster = "describe-cluster",
        /// `DescribeNodegroup` names the group.
        DescribeNodegroup = "describe-nodegroup",
        /// The launch template of a node group names the group.
        LaunchTemplate = "launch-template",
        /// The AWS-owned tag `aws:eks:cluster-name`.
        AwsTag = "aws-tag",
        /// An interface or instance that the group is attached to.
        Attachment = "attachment",
        /// The state: it was found to be so within a day, the cluster is the same, and an attachment is still there.
        State = "state",
        /// The `groups` entry of the policy.
        Configured = "configured",
        /// An ordinary tag, which anybody with `ec2:CreateTags` can write.
        Tag = "tag",
    }
}

/// A role, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "for-tests", derive(schemars::JsonSchema))]
pub struct RoleEvidence {
    /// The role.
    pub role: Role,
    /// The kind of evidence.
    pub evidence: Evidence,
    /// Strong evidence cannot be forged with tags alone. Only it lets us revoke.
    pub strong: bool,
}
