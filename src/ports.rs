//! The narrow doors to the outside: what we read from EC2 and EKS, the one thing we change, whom we tell, what we remember, and
//! time.
//!
//! Owns: the traits and the plain facts that pass through them. Must not: know the AWS SDK (adapters do) or interpret
//! facts (membership and the policy do). Fakes of these traits drive the tests of the order of effects.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use crate::notice::Message;
use crate::region::Addresses;
use crate::repeat::{Key, Past};
use crate::rule::{Direction, Rule};

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// Which groups a read is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// These `sg-…` ids. Ids that do not exist are left out of the answer; they are no error.
    Ids(Vec<String>),
    /// Every group of these VPCs.
    Vpcs(Vec<String>),
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
    /// The groups it wears.
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
    /// Its tags.
    pub tags: Tags,
}

/// An instance that wears one of the groups.
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
    /// Its managed node groups.
    pub node_groups: Vec<NodeGroup>,
    /// Who may call the public endpoint of its API (`publicAccessCidrs`); empty without one. No group guards that door.
    pub public_endpoint: Addresses,
    /// A local cluster on Outposts: EKS keeps a group of its own among the control-plane instances.
    pub is_local: bool,
}

impl Cluster {
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

/// Why a call to AWS did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The group does not exist (any more).
    #[error("the security group is gone")]
    GroupGone(#[source] Source),
    /// A rule id does not exist (any more).
    #[error("a rule is gone")]
    RuleGone(#[source] Source),
    /// A prefix list does not exist, or is not shared with us (any more).
    #[error("the prefix list is gone")]
    ListGone(#[source] Source),
    /// We lack the right; the text says what to grant.
    #[error("not allowed to {action}; grant it to the function's role, or look for a policy that denies it")]
    Denied {
        /// IAM action, such as `ec2:RevokeSecurityGroupIngress`.
        action: String,
        /// What AWS said.
        #[source]
        source: Source,
    },
    /// Anything else, after the SDK's own retries.
    #[error("`{action}` failed")]
    Failed {
        /// IAM action.
        action: String,
        /// What happened, with its own causes.
        #[source]
        source: Source,
    },
}

/// A cause from below a port.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// What we read from EC2, and the one thing we change there.
pub trait Ec2: Sync {
    /// The groups, without their rules.
    fn groups(&self, which: &Which) -> impl Future<Output = Result<Vec<GroupFacts>, CloudError>> + Send;
    /// The id of the group with that name in the default VPC; `None` when there is none.
    fn default_vpc_group(&self, name: &str) -> impl Future<Output = Result<Option<String>, CloudError>> + Send;
    /// The live rules of these groups, each with its group's id. Every page is read.
    fn rules(&self, groups: &[String]) -> impl Future<Output = Result<Vec<(String, Rule)>, CloudError>> + Send;
    /// The interfaces that wear one of the groups, or that lie in the VPCs.
    fn interfaces(&self, which: &Which) -> impl Future<Output = Result<Vec<Interface>, CloudError>> + Send;
    /// The groups that an interface (`eni-…`), or all interfaces of an instance (`i-…`), wear now. None when it is gone.
    fn worn_by(&self, wearer: &str) -> impl Future<Output = Result<Vec<String>, CloudError>> + Send;
    /// The groups with a rule that names this prefix list.
    fn users_of(&self, prefix_list: &str) -> impl Future<Output = Result<Vec<String>, CloudError>> + Send;
    /// The instances with an interface that wears one of the groups, or that lie in the VPCs. Terminated ones are left out.
    fn instances(&self, which: &Which) -> impl Future<Output = Result<Vec<Instance>, CloudError>> + Send;
    /// IPv4 and IPv6 ranges of each VPC, by id.
    fn vpc_ranges(
        &self,
        vpcs: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, Addresses>, CloudError>> + Send;
    /// A prefix list with all its entries.
    fn prefix_list(&self, id: &str) -> impl Future<Output = Result<PrefixListFacts, CloudError>> + Send;
    /// Revokes these rules of one group and direction, all or none.
    fn revoke(
        &self,
        group: &str,
        direction: Direction,
        rules: &[String],
    ) -> impl Future<Output = Result<(), CloudError>> + Send;
}

/// What we read from EKS.
pub trait Eks: Sync {
    /// Every cluster of the account and region, with its node groups and VPC ranges. A cluster or node group that goes away
    /// while we read is left out.
    fn clusters(&self) -> impl Future<Output = Result<Vec<Cluster>, CloudError>> + Send;
}

/// One way to tell people or machines.
pub trait Channel: Sync {
    /// The name of the channel, for errors: `people`, `records`, …
    fn name(&self) -> &'static str;
    /// Sends the message as this channel's audience reads it.
    fn send(&self, message: &Message) -> impl Future<Output = Result<(), Source>> + Send;
}

/// What is remembered from one invocation to the next. A memory that cannot be read must neither keep a rule open nor silence
/// a notice: whoever asks goes on as if it were empty, and says in the end that it could not be read.
pub trait Memory: Sync {
    /// Whether this event was dealt with to its end, by its id.
    fn is_handled(&self, event: &str) -> impl Future<Output = Result<bool, CloudError>> + Send;
    /// What is remembered of these findings. One of which nothing is known is left out.
    fn past(&self, keys: &[Key]) -> impl Future<Output = Result<BTreeMap<Key, Past>, CloudError>> + Send;
    /// Remembers that an event was dealt with, and adds these pasts to what is known. To be called once everybody was told:
    /// what is remembered is not told again. An error does not say that nothing was kept.
    fn remember(
        &self,
        event: Option<&str>,
        pasts: &[(Key, Past)],
    ) -> impl Future<Output = Result<(), CloudError>> + Send;
}

/// Time, so that tests own it.
pub trait Clock: Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
    /// Waits.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}
