//! The narrow doors to the outside: what we read from EC2 and EKS, the one thing we change, whom we notify, what we remember, and
//! time.
//!
//! Owns: the traits. Must not: know the AWS SDK (adapters do). Fakes of these traits drive the tests of the order of effects.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::error::{Cause, CloudError};
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, PrefixListFacts, Selector};
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Rule};
use crate::report::history::{History, Key};
use crate::report::notice::Message;

/// What we read from EC2, and the one thing we change there.
pub trait Ec2: Sync {
    /// The groups, without their rules.
    fn groups(&self, selector: &Selector) -> impl Future<Output = Result<Vec<GroupFacts>, CloudError>> + Send;
    /// The id of the group with that name in the default VPC; `None` when there is none.
    fn default_vpc_group(&self, name: &str) -> impl Future<Output = Result<Option<String>, CloudError>> + Send;
    /// The live rules of these groups, each with its group's id. Every page is read.
    fn rules(&self, groups: &[String]) -> impl Future<Output = Result<Vec<(String, Rule)>, CloudError>> + Send;
    /// The interfaces that wear one of the groups, or that lie in the VPCs.
    fn interfaces(&self, selector: &Selector) -> impl Future<Output = Result<Vec<Interface>, CloudError>> + Send;
    /// The groups that an interface (`eni-…`), or all interfaces of an instance (`i-…`), wear now. None when it is gone.
    fn groups_attached_to(&self, wearer: &str) -> impl Future<Output = Result<Vec<String>, CloudError>> + Send;
    /// The groups with a rule that names this prefix list.
    fn groups_using(&self, prefix_list: &str) -> impl Future<Output = Result<Vec<String>, CloudError>> + Send;
    /// The instances with an interface that wears one of the groups, or that lie in the VPCs. Terminated ones are left out.
    fn instances(&self, selector: &Selector) -> impl Future<Output = Result<Vec<Instance>, CloudError>> + Send;
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
    fn send(&self, message: &Message) -> impl Future<Output = Result<(), Cause>> + Send;
}

/// What is remembered from one invocation to the next. A memory that cannot be read must neither keep a rule open nor silence
/// a notice: whoever asks goes on as if it were empty, and says in the end that it could not be read.
pub trait StateStore: Sync {
    /// Whether this event was dealt with to its end, by its id.
    fn is_handled(&self, event: &str) -> impl Future<Output = Result<bool, CloudError>> + Send;
    /// What is remembered of these findings. One of which nothing is known is left out.
    fn history(&self, keys: &[Key]) -> impl Future<Output = Result<BTreeMap<Key, History>, CloudError>> + Send;
    /// Remembers that an event was dealt with, and adds these pasts to what is known. To be called once everybody was told:
    /// what is remembered is not told again. An error does not say that nothing was kept.
    fn remember(
        &self,
        event: Option<&str>,
        histories: &[(Key, History)],
    ) -> impl Future<Output = Result<(), CloudError>> + Send;
}

/// Time, so that tests own it.
pub trait Clock: Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
    /// Waits.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}
