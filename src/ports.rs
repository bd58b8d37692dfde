//! The narrow doors to the outside: what we read from EC2 and EKS, the one thing we change, whom we notify, what is
//! remembered, and time.
//!
//! Owns: the traits, each of them fit for `dyn`. Must not: know the AWS SDK (adapters do). Fakes of these traits drive
//! the tests of the order of effects.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::error::{Cause, CloudError};
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, PrefixListFacts, Selector};
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Rule};
use crate::report::history::{History, Key};
use crate::report::notice::Message;

/// What we read from EC2, and the one thing we change there.
#[async_trait]
pub trait Ec2: Send + Sync {
    /// The groups, without their rules.
    async fn groups(&self, selector: &Selector) -> Result<Vec<GroupFacts>, CloudError>;
    /// The id of the group with that name in the default VPC; `None` when there is none.
    async fn default_vpc_group(&self, name: &str) -> Result<Option<String>, CloudError>;
    /// The live rules of these groups, each with its group's id. Every page is read.
    async fn rules(&self, groups: &[String]) -> Result<Vec<(String, Rule)>, CloudError>;
    /// The interfaces that one of the groups is attached to, or that lie in the VPCs.
    async fn interfaces(&self, selector: &Selector) -> Result<Vec<Interface>, CloudError>;
    /// The groups attached now to an interface (`eni-…`), or to all interfaces of an instance (`i-…`). None when it is gone.
    async fn groups_attached_to(&self, attachment: &str) -> Result<Vec<String>, CloudError>;
    /// The groups with a rule that names this prefix list.
    async fn groups_using(&self, prefix_list: &str) -> Result<Vec<String>, CloudError>;
    /// The instances with an interface that one of the groups is attached to, or that lie in the VPCs. Terminated ones are
    /// left out.
    async fn instances(&self, selector: &Selector) -> Result<Vec<Instance>, CloudError>;
    /// IPv4 and IPv6 ranges of every VPC of the region, by id.
    async fn vpc_ranges(&self) -> Result<BTreeMap<String, Addresses>, CloudError>;
    /// A prefix list with all its entries.
    async fn prefix_list(&self, id: &str) -> Result<PrefixListFacts, CloudError>;
    /// Revokes these rules of one group and direction, all or none.
    async fn revoke(&self, group: &str, direction: Direction, rules: &[String]) -> Result<(), CloudError>;
}

/// What we read from EKS.
#[async_trait]
pub trait Eks: Send + Sync {
    /// Every cluster of the account and region, with its node groups and VPC ranges. A cluster or node group that goes away
    /// while we read is left out.
    async fn clusters(&self) -> Result<Vec<Cluster>, CloudError>;
}

/// One way to notify people or machines.
#[async_trait]
pub trait Channel: Send + Sync {
    /// The name of the channel, for errors: `people`, `records`, …
    fn name(&self) -> &'static str;
    /// Sends the message as this channel's audience reads it.
    async fn send(&self, message: &Message) -> Result<(), Cause>;
}

/// What is remembered from one invocation to the next. A state that cannot be read must neither keep a rule open nor
/// silence a notice: whoever asks goes on as if it were empty, and says in the end that it could not be read.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Whether this event was handled to its end, by its id.
    async fn is_handled(&self, event: &str) -> Result<bool, CloudError>;
    /// The histories of these findings. One of which nothing is known is left out.
    async fn history(&self, keys: &[Key]) -> Result<BTreeMap<Key, History>, CloudError>;
    /// Remembers that an event was handled, and adds these histories to what is known. To be called once everybody was
    /// notified: what is remembered is not sent again. An error does not say that nothing was kept.
    async fn remember(&self, event: Option<&str>, histories: &[(Key, History)]) -> Result<(), CloudError>;
}

/// Time, so that tests own it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
    /// Waits.
    async fn sleep(&self, time: Duration);
}
