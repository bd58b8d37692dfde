//! The narrow doors to the outside: what we read from EC2 and EKS, the two things we change, whom we notify, what is
//! remembered, and time.
//!
//! Owns: the traits, each of them fit for `dyn`, and which of them lead to a location together. Must not: know the
//! AWS SDK (adapters do). Fakes of these traits drive the tests of the order of effects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::baseline::{KnownGroups, Lesson};
use crate::model::error::{Cause, CloudError};
use crate::model::facts::{
    Cluster, GroupFacts, Instance, Instances, Interface, Interfaces, NodeGroup, NodeGroups, PrefixListFacts, Rules,
    Selector,
};
use crate::model::hour::Hour;
use crate::model::ids::Location;
use crate::model::network::{Acl, RouteTable, Subnet};
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Rule};
use crate::model::trails::{RuleState, Trail};
use crate::report::allowance::Allowed;
use crate::report::history::{History, Key};
use crate::report::journal::{Journal, Note};
use crate::report::metrics::Metrics;
use crate::report::notice::{Message, RecordLog};
use crate::report::outbox::{Claimed, Letter, Sent};
use crate::report::part::EndedPart;
use crate::report::record::Record;

/// The doors to the outside. Cloning one is cheap: the clones lead to the same.
#[derive(Clone)]
pub struct Ports {
    /// EC2 of the location.
    pub ec2: Arc<dyn Ec2>,
    /// EKS of the location.
    pub eks: Arc<dyn Eks>,
    /// What all processes remember together. Without it repeats are not merged.
    pub state: Option<Arc<dyn StateStore>>,
    /// Where what has to be looked at again waits. Without it nothing is: what would have to be is an error.
    pub queue: Option<Arc<dyn WorkQueue>>,
    /// Whom to notify.
    pub channels: Vec<Arc<dyn Channel>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counts what is done.
    pub metrics: Arc<Metrics>,
    /// Takes each record as soon as it is complete, as one line.
    pub record_log: fn(&Record),
    /// Where people read these lines; `None`: nobody knows.
    pub log_page: Option<RecordLog>,
}

impl Ports {
    /// Doors to a location and to nothing else: nobody is notified, and nothing is remembered or logged.
    pub fn to_aws_alone(ec2: Arc<dyn Ec2>, eks: Arc<dyn Eks>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            ec2,
            eks,
            clock,
            metrics,
            state: None,
            queue: None,
            channels: Vec::new(),
            record_log: |_| {},
            log_page: None,
        }
    }
}

/// What we read from EC2, and the two things we change there.
#[async_trait]
pub trait Ec2: Send + Sync {
    /// The groups, without their rules.
    async fn groups(&self, selector: &Selector) -> Result<Vec<GroupFacts>, CloudError>;
    /// The id of the group with that name in the default VPC; `None` when there is none.
    async fn default_vpc_group(&self, name: &str) -> Result<Option<String>, CloudError>;
    /// The groups of these VPCs that EKS made for clusters and tagged with their names.
    async fn cluster_groups(&self, vpcs: &[String]) -> Result<Vec<GroupFacts>, CloudError>;
    /// The live rules of these groups. Every page is read.
    async fn rules(&self, groups: &[String]) -> Result<Rules, CloudError>;
    /// The interfaces that one of the groups is attached to, at most two pages of them, or all that lie in the VPCs.
    async fn interfaces(&self, selector: &Selector) -> Result<Interfaces, CloudError>;
    /// An interface (`eni-…`), or all interfaces of an instance (`i-…`), as it is now. None when it is gone.
    async fn interfaces_of(&self, attachment: &str) -> Result<Vec<Interface>, CloudError>;
    /// The groups with a rule that names this prefix list.
    async fn groups_using(&self, prefix_list: &str) -> Result<Vec<String>, CloudError>;
    /// Who lets in one of these groups: pairs of the group with the ingress rule and the group that the rule names. At most
    /// two pages.
    async fn letting_in(&self, groups: &[String]) -> Result<Vec<(String, String)>, CloudError>;
    /// The instances, without terminated ones.
    async fn instances(&self, which: &Instances) -> Result<Vec<Instance>, CloudError>;
    /// The instances of the VPC whose tags speak of the cluster, at most two pages of them, and whether these are all.
    async fn nodes(&self, cluster: &str, vpc: &str) -> Result<(Vec<Instance>, bool), CloudError>;
    /// The other VPCs in which groups may be attached too: those of these groups, or of all groups (`Vpcs`).
    async fn associations(&self, selector: &Selector) -> Result<BTreeMap<String, BTreeSet<String>>, CloudError>;
    /// IPv4 and IPv6 ranges of every VPC of the region, by id.
    async fn vpc_ranges(&self) -> Result<BTreeMap<String, Addresses>, CloudError>;
    /// A prefix list with all its entries.
    async fn prefix_list(&self, id: &str) -> Result<PrefixListFacts, CloudError>;
    /// What a version of a prefix list holds, or held.
    async fn entries_of_version(&self, list: &str, version: i64) -> Result<Addresses, CloudError>;
    /// Revokes these rules of one group and direction, all or none.
    async fn revoke(&self, group: &str, direction: Direction, rules: &[String]) -> Result<(), CloudError>;
    /// Makes of these rules of one group, found by their ids, what they are here, all or none. Tags stay as they are.
    async fn modify(&self, group: &str, rules: &[Rule]) -> Result<(), CloudError>;
}

/// What opens a rule again. Only the command line has this door, for a person who asks for it: the guard adds no rule.
#[async_trait]
pub trait Reopen: Send + Sync {
    /// Writes this rule into the group as it stands here, with description and tags, under a new id.
    async fn authorize(&self, group: &str, rule: &Rule) -> Result<String, CloudError>;
}

/// What we read from EKS.
#[async_trait]
pub trait Eks: Send + Sync {
    /// The name of every cluster of the account and region.
    async fn names(&self) -> Result<Vec<String>, CloudError>;
    /// A cluster without its node groups and VPC ranges, in whatever status: the groups of one that is being deleted, or
    /// that failed, are still attached. `None` when there is no such cluster.
    async fn cluster(&self, name: &str) -> Result<Option<Cluster>, CloudError>;
    /// Node groups of a cluster; one that goes away while we read is left out.
    async fn node_groups(&self, cluster: &str, which: &NodeGroups) -> Result<Vec<NodeGroup>, CloudError>;
}

/// What we read of CloudTrail.
#[async_trait]
pub trait Trails: Send + Sync {
    /// The trails that the region shows: its own, those of all regions, those of the organisation. What could not be read of
    /// one stands in it.
    async fn trails(&self) -> Result<Vec<Trail>, CloudError>;
}

/// What an audit reads of what stands between the internet and interfaces, in the whole region.
#[async_trait]
pub trait Surroundings: Send + Sync {
    /// The subnets, by id.
    async fn subnets(&self) -> Result<BTreeMap<String, Subnet>, CloudError>;
    /// The route tables.
    async fn route_tables(&self) -> Result<Vec<RouteTable>, CloudError>;
    /// The internet gateways by id, each with the VPCs that it is attached to.
    async fn gateways(&self) -> Result<BTreeMap<String, Vec<String>>, CloudError>;
    /// The network ACLs.
    async fn acls(&self) -> Result<Vec<Acl>, CloudError>;
}

/// What we read of the rule of `EventBridge` that invokes the guard.
#[async_trait]
pub trait EventRule: Send + Sync {
    /// Where its events go.
    async fn state(&self) -> Result<RuleState, CloudError>;
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
    /// What is known of these groups, and their journals by `sg-…`. An item that is not understood counts as missing.
    async fn known(&self, groups: &[String]) -> Result<(KnownGroups, BTreeMap<String, Journal>), CloudError>;
    /// Writes into the journal of a group. Others do so at the same time, and nothing of theirs is lost. The journal as it
    /// is then.
    async fn note(&self, group: &str, note: &Note) -> Result<Journal, CloudError>;
    /// Adds groups to those that an event concerned when it was looked at before. All of them.
    async fn concerned(&self, event: &str, groups: &BTreeSet<String>) -> Result<BTreeSet<String>, CloudError>;
    /// The groups that the last complete look at this VPC saw; none, if nobody knows.
    async fn seen(&self, vpc: &str) -> Result<BTreeSet<String>, CloudError>;
    /// Adds what was learnt of rules to what is known. Others do so at the same time, and nothing of theirs is lost.
    async fn learn(&self, lesson: &Lesson) -> Result<(), CloudError>;
    /// Takes rules, worst first, that no event made and that are about to be revoked, into the hour, of which `limit` may
    /// be. The hour as it is then.
    async fn take(&self, rules: &[String], limit: usize) -> Result<Hour, CloudError>;
    /// Keeps a message that is to be sent, unless it is kept already, and claims what of all that is kept under the same key
    /// these channels do not have.
    async fn claim(&self, key: &str, letter: &Letter, channels: &[&str]) -> Result<Claimed, CloudError>;
    /// Says what came of sending letters that were claimed.
    async fn settle(&self, key: &str, sent: &[Sent]) -> Result<(), CloudError>;
    /// What people get of a message, by the key under which it is kept, about a call of this principal.
    async fn allow(&self, principal: &str, message: &str) -> Result<Allowed, CloudError>;
    /// Adds records to those that wait for a digest, and takes out what was sent, by [`crate::report::outbox::key`]. What
    /// waits then.
    async fn wait(&self, new: &[Record], sent: &BTreeSet<String>) -> Result<Vec<Record>, CloudError>;
    /// Whether this event was handled to its end, by its id, and the histories of these findings. One of which nothing is
    /// known is left out.
    async fn history(&self, event: Option<&str>, keys: &[Key]) -> Result<(bool, BTreeMap<Key, History>), CloudError>;
    /// The first of these alone.
    async fn is_handled(&self, event: &str) -> Result<bool, CloudError> {
        Ok(self.history(Some(event), &[]).await?.0)
    }
    /// Takes something that only one may do until then; `false`: somebody has it. It ends by itself.
    async fn lease(&self, what: &str, until: Timestamp) -> Result<bool, CloudError>;
    /// Says until when something is held by who took it; now: it is given back.
    async fn renew(&self, what: &str, until: Timestamp) -> Result<(), CloudError>;
    /// Notes that a part of a look ended, from 1, or a try of it, with what it found. What all `of` of them found, once they
    /// have ended; a part that ends twice is one.
    async fn ended(
        &self,
        look: &str,
        part: usize,
        of: usize,
        found: &EndedPart,
    ) -> Result<Option<Vec<EndedPart>>, CloudError>;
    /// Remembers that an event was handled, and adds these histories to what is known. To be called once everybody was
    /// notified: what is remembered is not sent again. An error does not say that nothing was kept.
    async fn remember(&self, event: Option<&str>, histories: &[(Key, History)]) -> Result<(), CloudError>;
}

/// Locations that the environment does not name (`GUARD_ACCOUNTS=*`), and when each was last heard of. Others write at the
/// same time, and nothing of theirs is lost.
#[async_trait]
pub trait Register: Send + Sync {
    /// When this one was last heard of. `None`: never.
    async fn heard_of(&self, location: &Location) -> Result<Option<Timestamp>, CloudError> {
        Ok(self.of_account(&location.account).await?.remove(location))
    }
    /// Those of an account.
    async fn of_account(&self, account: &str) -> Result<BTreeMap<Location, Timestamp>, CloudError>;
    /// All of them.
    async fn all(&self) -> Result<BTreeMap<Location, Timestamp>, CloudError>;
    /// One was heard of.
    async fn heard(&self, location: &Location, at: Timestamp) -> Result<(), CloudError>;
    /// Takes one out, unless it was heard of after that time.
    async fn strike(&self, location: &Location, last: Timestamp) -> Result<(), CloudError>;
}

/// The guard's own to-do list. What is sent comes back as an invocation, at least once, in any order.
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// Adds a message that comes after `delay`, at most 15 minutes.
    async fn send(&self, message: &str, delay: Duration) -> Result<(), CloudError>;
    /// Lets a message that came, by its receipt, come again after `delay`, at most 12 hours, if it is not taken as done.
    async fn put_off(&self, receipt: &str, delay: Duration) -> Result<(), CloudError>;
}

/// Time, so that tests own it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
    /// Waits.
    async fn sleep(&self, time: Duration);
}
