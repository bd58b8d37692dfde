//! The order of effects, on fakes: what is read, revoked, read back and sent, and what is not.
//! Longer than other files: every case plays in one account of fakes, which is most of the head.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a panic is a failed test"
)]

#[path = "order_of_effects/news.rs"]
mod news;
mod not_known;
#[path = "order_of_effects/nothing_lost.rs"]
mod nothing_lost;
mod putting_back;
mod read_back;
#[path = "order_of_effects/sight.rs"]
mod sight;
mod what_made_it;
mod work_queue;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use eks_sg_guard::guard::Guard;
use eks_sg_guard::guard::dispatch::{Dispatcher, FunctionResponse};
use eks_sg_guard::guard::response::GuardError;
use eks_sg_guard::guard::setup::Setup;
use eks_sg_guard::model::baseline::{Baseline, KnownGroups, Lesson, LocationState};
use eks_sg_guard::model::error::chain;
use eks_sg_guard::model::error::{Cause, CloudError};
use eks_sg_guard::model::facts::{
    Cluster, GroupFacts, Instance, Instances, Interface, Interfaces, NodeGroup, NodeGroups, PrefixListFacts, Rules,
    Selector,
};
use eks_sg_guard::model::group::{ConfiguredGroup, Role, UnreadableRule};
use eks_sg_guard::model::hour::Hour;
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::member::{self, Member, Members};
use eks_sg_guard::model::region::Addresses;
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::plan::modes::Modes;
use eks_sg_guard::policy::model::{Mode, Policy, Severity};
use eks_sg_guard::policy::{builtin, file};
use eks_sg_guard::ports::{Channel, Clock, Ec2, Eks, Ports, StateStore, WorkQueue};
use eks_sg_guard::report::allowance::{Allowance, Allowed};
use eks_sg_guard::report::finding::{Check, Finding, Subject};
use eks_sg_guard::report::history::{History, Key};
use eks_sg_guard::report::journal::{Journal, Note};
use eks_sg_guard::report::metrics::Metrics;
use eks_sg_guard::report::notice::{Message, Notice, email};
use eks_sg_guard::report::outbox::{Claimed, Letter, Outbox, Sent};
use eks_sg_guard::report::outcome::{Action, Outcome};
use eks_sg_guard::report::part::EndedPart;
use eks_sg_guard::report::record::Record;
use eks_sg_guard::report::waiting::Waiting;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::read_back::read_back;

const GROUP: &str = "sg-0a1";
const CLUSTER_GROUP: &str = "sg-0cc";

/// A group that is on nothing.
const IDLE_GROUP: &str = "sg-1d1e";

/// One emulated account, shared by the fakes. Every call leaves a line in `calls`.
#[derive(Default)]
struct World {
    rules: Mutex<Vec<Rule>>,
    calls: Mutex<Vec<String>>,
    /// The groups of each read of rules.
    rules_read: Mutex<Vec<Vec<String>>>,
    denied: Mutex<Vec<String>>,
    /// Rule ids that reads go on showing this many times after they were revoked.
    lagging: Mutex<BTreeMap<String, (usize, Rule)>>,
    /// Runs once, right before the call that comes after n others whose lines start with the text.
    surprise: Mutex<Option<Surprise>>,
    /// Calls whose lines start with the text take so many seconds.
    slow: Mutex<Option<(&'static str, i64)>>,
    /// At each look there is one more rule that refers to a new prefix list, and the look takes long.
    restless: Mutex<bool>,
    group_is_gone: Mutex<bool>,
    /// The VPC of the group, if it is not the cluster's: it is associated with that.
    group_vpc: Mutex<Option<String>>,
    list_is_gone: Mutex<bool>,
    list_is_changing: Mutex<bool>,
    /// Groups besides that use the prefix list, and are gone.
    other_users: Mutex<usize>,
    reads_fail: Mutex<bool>,
    reads_are_denied: Mutex<bool>,
    interfaces_fail: Mutex<bool>,
    prefix_list: Mutex<Option<Addresses>>,
    /// The groups of the primary interface of the node; none: no requirement speaks of it.
    node_groups: Mutex<Vec<String>>,
    /// Only an ordinary tag says that the node is one.
    node_is_only_tagged: Mutex<bool>,
    node_has_no_tags: Mutex<bool>,
    interfaces: Mutex<Vec<Interface>>,
    /// What EC2 shows of rules of the group beside those.
    unreadable: Mutex<Vec<UnreadableRule>>,
    /// The rules of `sg-0bb`, and of a group that is on nothing.
    rules_beside: Mutex<Vec<Rule>>,
    /// Who may call the public endpoint of the cluster.
    endpoint: Mutex<Addresses>,
    /// The cluster has no group yet.
    is_being_created: Mutex<bool>,
    sent: Mutex<Vec<Message>>,
    channel_is_down: Mutex<bool>,
    milliseconds: AtomicI64,
    handled: Mutex<Vec<String>>,
    histories: Mutex<BTreeMap<Key, History>>,
    place: Mutex<LocationState>,
    looks: Mutex<BTreeMap<String, BTreeSet<String>>>,
    baselines: Mutex<BTreeMap<String, Baseline>>,
    journals: Mutex<BTreeMap<String, Journal>>,
    /// Whether the next messages are refused, the last entry first.
    failing_sends: Mutex<Vec<bool>>,
    /// As JSON, by key.
    outboxes: Mutex<BTreeMap<String, String>>,
    waiting: Mutex<Waiting>,
    allowances: Mutex<BTreeMap<String, Allowance>>,
    concerned: Mutex<BTreeMap<String, BTreeSet<String>>>,
    /// Another group, `sg-0bb`, that only a tag makes the cluster's.
    peer_is_tagged: Mutex<bool>,
    hour: Mutex<Hour>,
    members: Mutex<BTreeMap<String, Members>>,
    state_is_down: Mutex<bool>,
    /// EC2 revokes, and does not answer.
    answers_are_lost: Mutex<bool>,
    /// EC2 revokes nothing, and says this.
    revokes_nothing: Mutex<Option<CloudError>>,
    /// Writing into a journal takes for ever.
    journal_hangs: Mutex<bool>,
    /// So many calls later the process dies.
    dies_in: Mutex<Option<usize>>,
    claims: Mutex<BTreeMap<String, Timestamp>>,
    queue: Mutex<work_queue::Messages>,
    metrics: Arc<Metrics>,
    parts: Mutex<BTreeMap<String, BTreeMap<usize, EndedPart>>>,
    /// Groups besides that are in the VPC.
    idle_groups: Mutex<usize>,
}

impl World {
    fn call(&self, line: String) {
        let dies = {
            let mut left = self.dies_in.lock().unwrap();
            *left = left.map(|left| left.wrapping_sub(1));
            *left == Some(usize::MAX)
        };
        if dies {
            // Without the hook of panics, which would print each.
            std::panic::resume_unwind(Box::new("dead"));
        }
        let due = {
            let mut surprise = self.surprise.lock().unwrap();
            match surprise.as_mut() {
                Some((start, left, _)) if line.starts_with(*start) => {
                    if *left == 0 {
                        surprise.take()
                    } else {
                        *left -= 1;
                        None
                    }
                }
                _ => None,
            }
        };
        if let Some((_, seconds)) = self.slow.lock().unwrap().filter(|(start, _)| line.starts_with(start)) {
            self.milliseconds.fetch_add(seconds * 1000, Ordering::Relaxed);
        }
        if line == "rules" && *self.restless.lock().unwrap() {
            let n = self.milliseconds.fetch_add(3000, Ordering::Relaxed);
            let peer = Peer::PrefixList(format!("pl-{n}"));
            self.rules.lock().unwrap().push(Rule { peer, ..kubelet(&format!("sgr-list-{n}")) });
        }
        if let Some((.., happen)) = due {
            happen(self);
        }
        self.calls.lock().unwrap().push(line);
    }

    fn calls(&self, start: &str) -> Vec<String> {
        self.calls.lock().unwrap().iter().filter(|line| line.starts_with(start)).cloned().collect()
    }

    fn left(&self) -> Vec<String> {
        self.rules.lock().unwrap().iter().map(|rule| rule.id.clone()).collect()
    }
}

type Surprise = (&'static str, usize, Box<dyn Fn(&World) + Send>);

#[derive(Clone)]
struct Fake(Arc<World>);

fn failed(action: &str) -> CloudError {
    CloudError::Failed { action: action.to_owned(), source: "connection reset".into() }
}

#[async_trait]
impl Ec2 for Fake {
    async fn groups(&self, selector: &Selector) -> Result<Vec<GroupFacts>, CloudError> {
        self.0.call("groups".into());
        let ids = &match selector {
            Selector::Ids(ids) => ids.clone(),
            Selector::Vpcs(_) => self.0.in_vpc(),
        };
        let has_peer = *self.0.peer_is_tagged.lock().unwrap();
        let exists = |id: &&String| {
            *id == CLUSTER_GROUP
                || id.starts_with("sg-1d1e")
                || *id == GROUP && !*self.0.group_is_gone.lock().unwrap()
                || *id == "sg-0bb" && has_peer
        };
        let tagged = |id: &String| id == "sg-0bb";
        let facts = |id: &String| GroupFacts {
            id: id.clone(),
            name: "nodes".into(),
            vpc: self.0.group_vpc.lock().unwrap().clone().filter(|_| id == GROUP).unwrap_or("vpc-1".into()),
            tags: tagged(id)
                .then(|| ("kubernetes.io/cluster/prod".to_owned(), "owned".to_owned()))
                .into_iter()
                .collect(),
            ..GroupFacts::default()
        };
        Ok(ids.iter().filter(exists).map(facts).collect())
    }
    async fn cluster_groups(&self, _: &[String]) -> Result<Vec<GroupFacts>, CloudError> {
        Ok(Vec::new())
    }
    async fn interfaces_of(&self, attachment: &str) -> Result<Vec<Interface>, CloudError> {
        self.0.call(format!("interfaces_of {attachment}"));
        let is_it = |interface: &&Interface| interface.id == attachment;
        Ok(self.0.interfaces.lock().unwrap().iter().filter(is_it).cloned().collect())
    }
    async fn letting_in(&self, _: &[String]) -> Result<Vec<(String, String)>, CloudError> {
        self.0.call("letting_in".into());
        Ok(Vec::new())
    }
    async fn associations(&self, _: &Selector) -> Result<BTreeMap<String, BTreeSet<String>>, CloudError> {
        Ok(BTreeMap::new())
    }
    async fn groups_using(&self, list: &str) -> Result<Vec<String>, CloudError> {
        self.0.call("groups_using".into());
        let others = (0..*self.0.other_users.lock().unwrap()).map(|n| format!("sg-{n:017x}"));
        let uses = |rule: &Rule| rule.peer == Peer::PrefixList(list.to_owned());
        let is_user = self.0.rules.lock().unwrap().iter().any(uses);
        let beside = self.0.peer_is_tagged.lock().unwrap().then(|| "sg-0bb".to_owned());
        Ok(is_user.then(|| GROUP.to_owned()).into_iter().chain(beside).chain(others).collect())
    }
    async fn default_vpc_group(&self, _: &str) -> Result<Option<String>, CloudError> {
        Ok(None)
    }
    async fn rules(&self, groups: &[String]) -> Result<Rules, CloudError> {
        self.0.call("rules".into());
        self.0.rules_read.lock().unwrap().push(groups.to_vec());
        if *self.0.reads_fail.lock().unwrap() {
            return Err(failed("ec2:DescribeSecurityGroupRules"));
        }
        if *self.0.reads_are_denied.lock().unwrap() {
            let action = "ec2:DescribeSecurityGroupRules".to_owned();
            return Err(CloudError::Denied { action, source: "UnauthorizedOperation".into() });
        }
        let beside = self.0.rules_beside.lock().unwrap().clone();
        let other = groups.iter().find(|id| *id == "sg-0bb" || *id == IDLE_GROUP).cloned();
        let beside = beside.into_iter().filter_map(|rule| Some((other.clone()?, rule)));
        if !groups.contains(&GROUP.to_owned()) {
            return Ok(Rules { rules: beside.collect(), ..Rules::default() });
        }
        let mut rules = self.0.rules.lock().unwrap().clone();
        for (left, rule) in self.0.lagging.lock().unwrap().values_mut().filter(|(left, _)| *left > 0) {
            *left -= 1;
            rules.push(rule.clone());
        }
        let unreadable = self.0.unreadable.lock().unwrap().clone();
        let unreadable = unreadable.into_iter().map(|rule| (GROUP.to_owned(), rule)).collect();
        let rules = rules.into_iter().map(|rule| (GROUP.to_owned(), rule)).chain(beside);
        Ok(Rules { rules: rules.collect(), unreadable, ..Rules::default() })
    }
    async fn interfaces(&self, _: &Selector) -> Result<Interfaces, CloudError> {
        self.0.call("interfaces".into());
        if *self.0.interfaces_fail.lock().unwrap() {
            return Err(failed("ec2:DescribeNetworkInterfaces"));
        }
        Ok(Interfaces { found: self.0.interfaces.lock().unwrap().clone(), is_complete: true })
    }
    async fn instances(&self, _: &Instances) -> Result<Vec<Instance>, CloudError> {
        self.0.call("instances".into());
        let tag = if *self.0.node_is_only_tagged.lock().unwrap() {
            ("kubernetes.io/cluster/prod", "owned")
        } else {
            ("aws:eks:cluster-name", "prod")
        };
        let has_tags = !*self.0.node_has_no_tags.lock().unwrap();
        let tags = has_tags.then(|| (tag.0.to_owned(), tag.1.to_owned())).into_iter().collect();
        let primary_groups = self.0.node_groups.lock().unwrap().clone();
        let more = primary_groups.iter().filter(|id| *id != GROUP).cloned();
        let groups = [GROUP.to_owned()].into_iter().chain(more).collect();
        Ok(vec![Instance { id: "i-1".into(), vpc: "vpc-1".into(), groups, primary_groups, tags }])
    }
    async fn nodes(&self, _: &str, _: &str) -> Result<(Vec<Instance>, bool), CloudError> {
        Ok((self.instances(&Instances::Ids(vec![])).await?, true))
    }
    async fn vpc_ranges(&self) -> Result<BTreeMap<String, Addresses>, CloudError> {
        Ok([("vpc-1".to_owned(), Addresses::default())].into())
    }
    async fn prefix_list(&self, _: &str) -> Result<PrefixListFacts, CloudError> {
        self.0.call("prefix_list".into());
        if *self.0.list_is_changing.lock().unwrap() {
            return Err(CloudError::ListChanging { state: "modify-in-progress".into() });
        }
        if *self.0.list_is_gone.lock().unwrap() {
            return Err(CloudError::ListGone("InvalidPrefixListID.NotFound".into()));
        }
        let entries =
            self.0.prefix_list.lock().unwrap().clone().ok_or_else(|| failed("ec2:GetManagedPrefixListEntries"))?;
        Ok(PrefixListFacts { owner: "111122223333".into(), name: "office".into(), entries })
    }
    async fn entries_of_version(&self, _: &str, _: i64) -> Result<Addresses, CloudError> {
        Err(failed("ec2:GetManagedPrefixListEntries"))
    }
    async fn revoke(&self, _: &str, direction: Direction, ids: &[String]) -> Result<(), CloudError> {
        self.0.call(format!("revoke {direction:?} {}", ids.join(" ")).to_lowercase());
        if *self.0.group_is_gone.lock().unwrap() {
            return Err(CloudError::GroupGone("InvalidGroup.NotFound".into()));
        }
        let mut rules = self.0.rules.lock().unwrap();
        if ids.iter().any(|id| self.0.denied.lock().unwrap().contains(id)) {
            return Err(CloudError::Denied {
                action: "ec2:RevokeSecurityGroupIngress".into(),
                source: "UnauthorizedOperation".into(),
            });
        }
        let mut beside = self.0.rules_beside.lock().unwrap();
        if ids.iter().any(|id| rules.iter().chain(beside.iter()).all(|rule| rule.id != *id)) {
            return Err(CloudError::RuleGone("InvalidSecurityGroupRuleId.NotFound".into()));
        }
        if let Some(said) = self.0.revokes_nothing.lock().unwrap().take() {
            return Err(said);
        }
        rules.retain(|rule| !ids.contains(&rule.id));
        beside.retain(|rule| !ids.contains(&rule.id));
        if *self.0.answers_are_lost.lock().unwrap() { Err(failed("ec2:RevokeSecurityGroupIngress")) } else { Ok(()) }
    }
    async fn modify(&self, _: &str, changes: &[Rule]) -> Result<(), CloudError> {
        let ids: Vec<&str> = changes.iter().map(|rule| rule.id.as_str()).collect();
        self.0.call(format!("modify {}", ids.join(" ")));
        let mut rules = self.0.rules.lock().unwrap();
        if ids.iter().any(|id| self.0.denied.lock().unwrap().iter().any(|denied| denied == id)) {
            let action = "ec2:ModifySecurityGroupRules".to_owned();
            return Err(CloudError::Denied { action, source: "UnauthorizedOperation".into() });
        }
        if ids.iter().any(|id| rules.iter().all(|rule| rule.id != *id)) {
            return Err(CloudError::RuleGone("InvalidSecurityGroupRuleId.NotFound".into()));
        }
        let is_same = |one: &Rule, other: &Rule| {
            one.id != other.id
                && (one.direction, one.packets, &one.peer) == (other.direction, other.packets, &other.peer)
        };
        if changes.iter().any(|change| rules.iter().any(|rule| is_same(change, rule))) {
            return Err(CloudError::NotTaken("InvalidPermission.Duplicate".into()));
        }
        for change in changes {
            let rule = rules.iter_mut().find(|rule| rule.id == change.id).unwrap();
            *rule = Rule { tags: rule.tags.clone(), ..change.clone() };
        }
        Ok(())
    }
}

#[async_trait]
impl Eks for Fake {
    async fn names(&self) -> Result<Vec<String>, CloudError> {
        self.0.call("names".into());
        Ok(vec!["prod".into()])
    }
    async fn cluster(&self, name: &str) -> Result<Option<Cluster>, CloudError> {
        self.0.call(format!("cluster {name}"));
        Ok((name == "prod").then(|| self.0.prod()))
    }
    async fn node_groups(&self, _: &str, _: &NodeGroups) -> Result<Vec<NodeGroup>, CloudError> {
        Ok(Vec::new())
    }
}

impl World {
    /// The groups of the VPC, if it is one where they matter.
    fn in_vpc(&self) -> Vec<String> {
        let idle = *self.idle_groups.lock().unwrap();
        let is_elsewhere = self.group_vpc.lock().unwrap().is_some();
        let named = [GROUP, CLUSTER_GROUP].into_iter().filter(|id| idle > 0 && !(is_elsewhere && *id == GROUP));
        let named = named.map(str::to_owned);
        named.chain((0..idle).map(|n| format!("sg-1d1e{n:013x}"))).collect()
    }

    fn prod(&self) -> Cluster {
        Cluster {
            name: "prod".into(),
            vpc: "vpc-1".into(),
            cluster_group: (!*self.is_being_created.lock().unwrap()).then(|| CLUSTER_GROUP.into()),
            public_endpoint: self.endpoint.lock().unwrap().clone(),
            arn: Some("arn:aws:eks:us-east-1:111122223333:cluster/prod".into()),
            issuer: Some("https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE".into()),
            ..Cluster::default()
        }
    }
}

#[async_trait]
impl Channel for Fake {
    fn name(&self) -> &'static str {
        "people"
    }
    async fn send(&self, message: &Message) -> Result<(), Cause> {
        self.0.call("send".into());
        if self.0.failing_sends.lock().unwrap().pop().is_some_and(|fails| fails) {
            return Err("throttled".into());
        }
        if *self.0.channel_is_down.lock().unwrap() {
            return Err("no route to host".into());
        }
        self.0.sent.lock().unwrap().push(message.clone());
        Ok(())
    }
}

impl World {
    fn state_call(&self, action: &str) -> Result<(), CloudError> {
        self.call(format!("state {action}"));
        if *self.state_is_down.lock().unwrap() { Err(failed(action)) } else { Ok(()) }
    }

    fn notices(&self) -> Vec<Notice> {
        self.sent.lock().unwrap().iter().filter_map(|message| message.notice.clone()).collect()
    }
}

#[async_trait]
impl StateStore for Fake {
    async fn known(&self, groups: &[String]) -> Result<(KnownGroups, BTreeMap<String, Journal>), CloudError> {
        self.0.state_call("known")?;
        let baselines = self.0.baselines.lock().unwrap();
        let groups = groups.iter().filter_map(|id| Some((id.clone(), baselines.get(id)?.clone())));
        let (place, members) = (self.0.place.lock().unwrap().clone(), self.0.members.lock().unwrap().clone());
        let known = KnownGroups { place, groups: groups.collect(), members };
        Ok((known, self.0.journals.lock().unwrap().clone()))
    }
    async fn note(&self, group: &str, note: &Note) -> Result<Journal, CloudError> {
        self.0.state_call("note")?;
        if *self.0.journal_hangs.lock().unwrap() {
            return std::future::pending().await;
        }
        let mut journals = self.0.journals.lock().unwrap();
        let journal = journals.entry(group.to_owned()).or_default();
        *journal = std::mem::take(journal).with(note, self.now());
        Ok(journal.clone())
    }
    async fn seen(&self, vpc: &str) -> Result<BTreeSet<String>, CloudError> {
        self.0.state_call("seen")?;
        Ok(self.0.looks.lock().unwrap().get(vpc).cloned().unwrap_or_default())
    }
    async fn take(&self, rules: &[String], limit: usize) -> Result<Hour, CloudError> {
        self.0.state_call("take")?;
        let mut hour = self.0.hour.lock().unwrap();
        *hour = hour.clone().with(rules, limit, self.now());
        Ok(hour.clone())
    }
    async fn learn(&self, lesson: &Lesson) -> Result<(), CloudError> {
        self.0.state_call("learn")?;
        let mut place = self.0.place.lock().unwrap();
        *place = std::mem::take(&mut *place).with(&lesson.place);
        self.0.looks.lock().unwrap().extend(lesson.looks.clone());
        let (mut baselines, mut members) = (self.0.baselines.lock().unwrap(), self.0.members.lock().unwrap());
        for (id, learnt) in &lesson.groups {
            if !learnt.members.is_empty() {
                let known = members.remove(id).unwrap_or_default();
                members.insert(id.clone(), member::with(known, &learnt.members, self.now()));
            }
            if learnt.rules.is_empty() && learnt.seen.is_none() {
                continue;
            }
            let baseline = Baseline::with(baselines.remove(id), learnt);
            baselines.extend(baseline.map(|baseline| (id.clone(), baseline)));
        }
        Ok(())
    }
    async fn claim(&self, key: &str, letter: &Letter, channels: &[&str]) -> Result<Claimed, CloudError> {
        self.0.state_call("claim")?;
        let mut outboxes = self.0.outboxes.lock().unwrap();
        let kept = outboxes.get(key).map_or_else(|| "{}".to_owned(), Clone::clone);
        let mut outbox: Outbox = serde_json::from_str(&kept).unwrap();
        assert!(outbox.letters.iter().all(|letter| letter.message.is_some()), "every word comes back");
        let claimed = outbox.claim(letter, channels, self.now());
        outboxes.insert(key.to_owned(), serde_json::to_string(&outbox).unwrap());
        Ok(claimed)
    }
    async fn allow(&self, principal: &str, message: &str) -> Result<Allowed, CloudError> {
        self.0.state_call("allow")?;
        let mut allowances = self.0.allowances.lock().unwrap();
        let known = allowances.remove(principal).unwrap_or_default();
        let (counted, allowed) = known.with(message, self.now());
        allowances.insert(principal.to_owned(), counted);
        Ok(allowed)
    }
    async fn settle(&self, key: &str, sent: &[Sent]) -> Result<(), CloudError> {
        self.0.state_call("settle")?;
        let mut outboxes = self.0.outboxes.lock().unwrap();
        let mut outbox: Outbox = serde_json::from_str(&outboxes[key]).unwrap();
        outbox.settle(sent);
        outboxes.insert(key.to_owned(), serde_json::to_string(&outbox).unwrap());
        Ok(())
    }
    async fn concerned(&self, event: &str, groups: &BTreeSet<String>) -> Result<BTreeSet<String>, CloudError> {
        self.0.state_call("concerned")?;
        let mut concerned = self.0.concerned.lock().unwrap();
        let all = concerned.entry(event.to_owned()).or_default();
        all.extend(groups.iter().cloned());
        Ok(all.clone())
    }
    async fn wait(&self, new: &[Record], sent: &BTreeSet<String>) -> Result<Vec<Record>, CloudError> {
        self.0.state_call("wait")?;
        let mut waiting = self.0.waiting.lock().unwrap();
        *waiting = std::mem::take(&mut *waiting).with(new, sent);
        Ok(waiting.records().to_vec())
    }
    async fn lease(&self, what: &str, until: Timestamp) -> Result<bool, CloudError> {
        self.0.state_call("lease")?;
        let now = self.now();
        let mut claims = self.0.claims.lock().unwrap();
        let is_free = claims.get(what).is_none_or(|held| *held <= now);
        if is_free {
            claims.insert(what.to_owned(), until);
        }
        Ok(is_free)
    }
    async fn renew(&self, what: &str, until: Timestamp) -> Result<(), CloudError> {
        self.0.state_call("renew")?;
        self.0.claims.lock().unwrap().insert(what.to_owned(), until);
        Ok(())
    }
    async fn ended(
        &self,
        look: &str,
        part: usize,
        of: usize,
        found: &EndedPart,
    ) -> Result<Option<Vec<EndedPart>>, CloudError> {
        self.0.state_call("ended")?;
        let mut parts = self.0.parts.lock().unwrap();
        let parts = parts.entry(look.to_owned()).or_default();
        let found = found.clone().after(parts.remove(&part));
        let is_open = found.is_open;
        parts.insert(part, found);
        let ended: Vec<EndedPart> = parts.values().filter(|part| !part.is_open).cloned().collect();
        Ok((ended.len() >= of && !is_open).then_some(ended))
    }
    async fn history(&self, event: Option<&str>, keys: &[Key]) -> Result<(bool, BTreeMap<Key, History>), CloudError> {
        self.0.state_call("history")?;
        let is_handled = event.is_some_and(|event| self.0.handled.lock().unwrap().iter().any(|known| known == event));
        let histories = self.0.histories.lock().unwrap();
        let known = keys.iter().filter_map(|key| Some((key.clone(), histories.get(key)?.clone())));
        Ok((is_handled, known.collect()))
    }
    async fn remember(&self, event: Option<&str>, histories: &[(Key, History)]) -> Result<(), CloudError> {
        self.0.state_call("remember")?;
        self.0.handled.lock().unwrap().extend(event.map(str::to_owned));
        self.0.histories.lock().unwrap().extend(histories.iter().cloned());
        Ok(())
    }
}

#[async_trait]
impl Clock for Fake {
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        start + SignedDuration::from_millis(self.0.milliseconds.load(Ordering::Relaxed))
    }
    async fn sleep(&self, time: Duration) {
        self.0.milliseconds.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

fn rule(id: &str, packets: Packets, cidr: &str) -> Rule {
    Rule {
        id: id.into(),
        direction: Direction::Ingress,
        packets,
        peer: Peer::cidr(cidr).unwrap(),
        description: None,
        tags: BTreeMap::new(),
    }
}

fn kubelet(id: &str) -> Rule {
    rule(id, Packets::Tcp(10250, 10250), "0.0.0.0/0")
}

const OWN_ROLE: &str = "arn:aws:iam::111122223333:role/guard/eks-sg-guard";

/// A process with the standard policy, a table and no queue.
fn setup(world: &Arc<World>, channels: Vec<Arc<dyn Channel>>) -> Setup {
    let fake = || Arc::new(Fake(Arc::clone(world)));
    Setup {
        ports: Ports {
            ec2: fake(),
            eks: fake(),
            state: Some(fake()),
            queue: None,
            channels,
            clock: fake(),
            metrics: Arc::clone(&world.metrics),
            record_log: read_back,
            log_page: None,
        },
        policy: builtin::policy("standard").unwrap().clone(),
        modes: Modes::new(Mode::Enforce, Mode::Report),
        max_revokes: 50,
        location: Location::new("111122223333", "us-east-1"),
    }
}

struct Case {
    world: Arc<World>,
    guard: Dispatcher,
}

impl Case {
    fn new(rules: Vec<Rule>) -> Self {
        Self::with(rules, Mode::Enforce, Mode::Report, 50)
    }

    fn with(rules: Vec<Rule>, mode: Mode, sweep_mode: Mode, max_revokes: usize) -> Self {
        let world = Arc::new(World { rules: Mutex::new(rules), ..World::default() });
        Self::process(world, (mode, sweep_mode), max_revokes, false)
    }

    /// A new process that shares a state store with others of this world.
    fn with_state(world: Arc<World>) -> Self {
        Self::process(world, (Mode::Enforce, Mode::Report), 50, true)
    }

    fn process(world: Arc<World>, modes: (Mode, Mode), max_revokes: usize, has_state: bool) -> Self {
        Self::under(builtin::policy("standard").unwrap().clone(), world, modes, max_revokes, has_state)
    }

    /// In mode `enforce` for all rules, under this policy.
    fn of_policy(policy: Policy, rules: Vec<Rule>) -> Self {
        let world = Arc::new(World { rules: Mutex::new(rules), ..World::default() });
        Self::under(policy, world, (Mode::Enforce, Mode::Enforce), 50, false)
    }

    fn under(
        policy: Policy,
        world: Arc<World>,
        (mode, sweep_mode): (Mode, Mode),
        max_revokes: usize,
        has_state: bool,
    ) -> Self {
        Self::in_modes(policy, world, Modes::new(mode, sweep_mode), max_revokes, has_state)
    }

    fn in_modes(policy: Policy, world: Arc<World>, modes: Modes, max_revokes: usize, has_state: bool) -> Self {
        let fake = || Arc::new(Fake(Arc::clone(&world)));
        let has_queue = world.queue.lock().unwrap().is_there;
        let setup = setup(&world, vec![fake()]);
        let ports = Ports {
            state: has_state.then(|| fake() as Arc<dyn StateStore>),
            queue: has_queue.then(|| fake() as Arc<dyn WorkQueue>),
            ..setup.ports
        };
        let location = setup.location.clone();
        let guard = Guard::new(Setup { ports, policy, modes, max_revokes, ..setup });
        let queue = has_queue.then(|| fake() as Arc<dyn WorkQueue>);
        let guard = Dispatcher::new([(location, guard)].into(), Some(OWN_ROLE.to_owned()));
        let guard = match queue {
            Some(queue) => guard.with_queue(queue, work_queue::name()),
            None => guard,
        };
        Self { world, guard }
    }

    /// An authorize event that names these rule ids as open kubelet ports.
    async fn event(&self, ids: &[&str]) -> Result<FunctionResponse, GuardError> {
        self.guard.handle(&authorize("e-1", ids), Timestamp::MAX).await
    }
}

fn authorize(event_id: &str, ids: &[&str]) -> Value {
    let item = |id: &&str| {
        json!({"groupId": GROUP, "securityGroupRuleId": id, "isEgress": false, "ipProtocol": "tcp", "fromPort": 10250,
               "toPort": 10250, "cidrIpv4": "0.0.0.0/0"})
    };
    json!({"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2", "account": "111122223333",
           "region": "us-east-1", "time": "2026-11-23T02:59:58Z", "resources": [], "detail": {
        "eventVersion": "1.10", "eventSource": "ec2.amazonaws.com", "eventName": "AuthorizeSecurityGroupIngress",
        "eventTime": "2026-11-23T02:59:58Z", "awsRegion": "us-east-1", "eventID": event_id, "eventType": "AwsApiCall",
        "recipientAccountId": "111122223333",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/kim"},
        "requestParameters": {"groupId": GROUP, "ipPermissions": {"items": []}},
        "responseElements": {"_return": true, "securityGroupRuleSet": {"items": ids.iter().map(item).collect::<Vec<_>>()}}}})
}

/// The event says of the only rule in it that it is this one.
fn claims(mut event: Value, rule: &Rule) -> Value {
    let wire = json!(rule);
    let item = &mut event["detail"]["responseElements"]["securityGroupRuleSet"]["items"][0];
    item.as_object_mut().unwrap().remove("cidrIpv4");
    for (field, value) in [("ipProtocol", "protocol"), ("fromPort", "from_port"), ("toPort", "to_port")] {
        item[field] = wire[value].clone();
    }
    match &rule.peer {
        Peer::Cidr(net) => item["cidrIpv4"] = net.to_string().into(),
        Peer::PrefixList(id) => item["prefixListId"] = id.clone().into(),
        Peer::Group { id, .. } => item["referencedGroupInfo"] = json!({"groupId": id}),
    }
    event
}

/// The same call with another name, and nothing in it but the group.
fn call(name: &str, event_id: &str) -> Value {
    let mut event = authorize(event_id, &[]);
    event["detail"]["eventName"] = name.into();
    event["detail"]["responseElements"] = json!({"_return": true});
    event
}

fn from_group(id: &str, packets: Packets, group: &str) -> Rule {
    let peer = Peer::Group { id: group.to_owned(), owner: None };
    Rule { peer, ..rule(id, packets, "10.0.0.0/8") }
}

/// Everything that is about no rule.
fn requirements(response: &FunctionResponse) -> Vec<&str> {
    let findings = response.records.iter().flat_map(|record| &record.findings);
    let name = |subject| match subject {
        &Subject::Rule(_) => None,
        Subject::Requirement(id) => Some(id.as_str()),
        Subject::Check(check) => Some(check.word()),
    };
    findings.filter_map(|finding| name(&finding.subject)).collect()
}

fn actions(response: &FunctionResponse) -> Vec<(String, Action)> {
    let findings = response.records.iter().flat_map(|record| &record.findings);
    let mut actions: Vec<(String, Action)> =
        findings.filter_map(|finding| Some((finding.rule()?.id.clone(), finding.action))).collect();
    actions.sort_by(|a, b| a.0.cmp(&b.0));
    actions
}

#[tokio::test]
async fn the_first_read_is_the_last_look_and_the_revoke_is_read_back() {
    let case = Case::new(vec![kubelet("sgr-1"), rule("sgr-2", Packets::Tcp(443, 443), "10.0.0.0/8")]);
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked)]);
    assert_eq!(case.world.left(), ["sgr-2"]);
    let calls = case.world.calls.lock().unwrap().clone();
    assert_eq!(
        calls[..7],
        ["groups", "rules", "interfaces", "instances", "cluster prod", "revoke ingress sgr-1", "rules"]
    );
    assert_eq!(calls[7..], ["cluster prod", "instances", "send"], "what the cluster needs is looked at afterwards");
    assert_eq!(case.world.sent.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_prefix_list_is_one_wave_more_and_the_revoke_follows() {
    let mut by_list = kubelet("sgr-1");
    by_list.peer = Peer::PrefixList("pl-1".into());
    let case = Case::new(vec![by_list]);
    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked)]);
    let calls = case.world.calls.lock().unwrap().clone();
    assert_eq!(calls[5..8], ["prefix_list", "revoke ingress sgr-1", "rules"]);
    assert_eq!(calls[8..], ["cluster prod", "instances", "send"]);
}

#[tokio::test]
async fn what_groups_beside_it_let_in_is_looked_up_for_small_rules_alone_and_beside_the_revoke() {
    let blocks = |n: std::ops::Range<u32>| {
        n.map(|n| rule(&format!("sgr-{n}"), Packets::Tcp(22, 22), &format!("203.0.{}.0/20", n * 16)))
    };
    let case = Case::new(blocks(0..8).chain([kubelet("sgr-ffff")]).collect());
    let together = Interface { groups: vec![GROUP.into(), "sg-0bb".into()], ..interface("eni-1", Some("i-1")) };
    *case.world.interfaces.lock().unwrap() = vec![together];
    *case.world.rules_beside.lock().unwrap() = blocks(8..16).collect();
    let ids: Vec<String> = (0..8).map(|n| format!("sgr-{n}")).chain(["sgr-ffff".to_owned()]).collect();
    let response = case.event(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(actions(&response).len(), 9);
    assert!(actions(&response).iter().all(|(_, action)| *action == Action::Revoked), "{:?}", actions(&response));
    assert!(case.world.left().is_empty());
    let revokes = case.world.calls("revoke");
    assert_eq!(revokes[0], "revoke ingress sgr-ffff", "it waits for nothing that is about other rules");
}

#[tokio::test]
async fn a_prefix_list_that_cannot_be_read_is_reported_and_nothing_is_revoked() {
    let mut by_list = kubelet("sgr-1");
    by_list.peer = Peer::PrefixList("pl-1".into());
    let event = claims(authorize("e-1", &["sgr-1"]), &by_list);
    let case = Case::new(vec![by_list]);
    *case.world.list_is_gone.lock().unwrap() = true;
    let response = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Reported)]);
    assert_eq!(response.records[0].findings[0].portions[0].clause, "unreadable-prefix-list");
    assert!(case.world.calls("revoke").is_empty());
}

#[tokio::test]
async fn a_prefix_list_that_may_be_readable_the_next_time_is_reported_and_tried_again() {
    let mut by_list = kubelet("sgr-1");
    by_list.peer = Peer::PrefixList("pl-1".into());
    let case = Case::new(vec![by_list]);
    let error = case.event(&["sgr-1"]).await.unwrap_err();
    assert!(error.to_string().contains("`pl-1`") && error.to_string().contains("connection reset"), "{error}");
    assert_eq!(case.world.sent.lock().unwrap().len(), 1);

    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    let again = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(actions(&again), [("sgr-1".to_owned(), Action::Revoked)]);
}

#[tokio::test]
async fn a_rule_that_shows_up_late_is_judged_with_its_prefix_list() {
    let case = Case::new(vec![]);
    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    let appear: Box<dyn Fn(&World) + Send> = Box::new(|world| {
        let peer = Peer::PrefixList("pl-1".into());
        world.rules.lock().unwrap().push(Rule { peer, ..kubelet("sgr-1") });
    });
    *case.world.surprise.lock().unwrap() = Some(("rules", 1, appear));
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked)]);
}

#[tokio::test]
async fn a_claim_that_the_policy_allows_alarms_nobody() {
    let case = Case::new(vec![]);
    let mut payload = authorize("e-1", &["sgr-1"]);
    let rule = &mut payload["detail"]["responseElements"]["securityGroupRuleSet"]["items"][0];
    rule["referencedGroupInfo"] = json!({"groupId": CLUSTER_GROUP, "userId": "111122223333"});
    rule.as_object_mut().unwrap().remove("cidrIpv4");
    let response = case.guard.handle(&payload, Timestamp::MAX).await.unwrap();
    assert_eq!(response.records[0].outcome, Outcome::Compliant);
    assert!(case.world.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_revoke_that_is_denied_and_then_works_is_reported_as_done() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    case.world.denied.lock().unwrap().push("sgr-1".into());
    let allow: Box<dyn Fn(&World) + Send> = Box::new(|world| world.denied.lock().unwrap().clear());
    *case.world.surprise.lock().unwrap() = Some(("rules", 2, allow));
    let response = case.event(&["sgr-1", "sgr-9"]).await.unwrap();
    let expected = [("sgr-1".to_owned(), Action::Revoked), ("sgr-9".to_owned(), Action::WasOpen)];
    assert_eq!(actions(&response), expected);
}

#[tokio::test]
async fn when_the_time_runs_out_nothing_is_begun_and_the_next_try_goes_on() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    let error = case.guard.handle(&authorize("e-1", &["sgr-1"]), Timestamp::MIN).await.unwrap_err();
    assert!(error.to_string().contains("ran out"), "{error}");
    assert!(case.world.calls("revoke").is_empty());
    assert_eq!(case.world.sent.lock().unwrap().len(), 1);
    case.event(&["sgr-1"]).await.unwrap();
    assert!(case.world.left().is_empty());
}

#[tokio::test]
async fn events_without_a_group_do_not_make_us_look_everywhere_again_and_again() {
    let case = Case::new(vec![]);
    let padded = |id: &str| {
        let mut payload = authorize(id, &[]);
        payload["detail"]["requestParameters"] = json!({"omitted": true, "reason": "requestParameters too large"});
        payload["detail"]["responseElements"] = json!({"omitted": true, "reason": "responseElements too large"});
        payload
    };
    case.guard.handle(&padded("e-1"), Timestamp::MAX).await.unwrap();
    let error = case.guard.handle(&padded("e-2"), Timestamp::MAX).await.unwrap_err();
    assert_eq!((error.kind(), case.world.calls("names").len()), ("Postponed", 1));
    // Lambda tries again after one minute and after two more.
    case.world.milliseconds.fetch_add(180_000, Ordering::Relaxed);
    case.guard.handle(&padded("e-2"), Timestamp::MAX).await.unwrap();
    assert_eq!(case.world.calls("names").len(), 2);
}

/// The read takes three seconds, and then, before the rules are read again, this happens.
fn after_a_slow_read(happen: fn(&World)) -> Surprise {
    let then: Surprise = ("rules", 0, Box::new(happen));
    let then = Mutex::new(Some(then));
    let slow = move |world: &World| {
        world.milliseconds.fetch_add(3000, Ordering::Relaxed);
        *world.surprise.lock().unwrap() = then.lock().unwrap().take();
    };
    ("cluster prod", 0, Box::new(slow))
}

#[tokio::test]
async fn a_rule_that_changes_between_verdict_and_revoke_is_judged_again() {
    let case = Case::new(vec![kubelet("sgr-1"), kubelet("sgr-2"), kubelet("sgr-3")]);
    let change = |world: &World| {
        let mut rules = world.rules.lock().unwrap();
        rules[0] = rule("sgr-1", Packets::Tcp(443, 443), "10.0.0.0/8");
        rules[1] = rule("sgr-2", Packets::Tcp(2379, 2379), "::/0");
        rules.retain(|rule| rule.id != "sgr-3");
    };
    *case.world.surprise.lock().unwrap() = Some(after_a_slow_read(change));
    let response = case.event(&["sgr-1", "sgr-2", "sgr-3"]).await.unwrap();
    let expected = [("sgr-1", Action::Changed), ("sgr-2", Action::Revoked), ("sgr-3", Action::AlreadyGone)];
    assert_eq!(actions(&response), expected.map(|(id, action)| (id.to_owned(), action)));
    assert_eq!(case.world.left(), ["sgr-1"]);
    assert_eq!(case.world.calls("revoke"), ["revoke ingress sgr-2"]);
    let revoked = response.records[0].findings.iter().find(|finding| finding.action == Action::Revoked).unwrap();
    assert_eq!(revoked.rule().unwrap().packets, Packets::Tcp(2379, 2379));
}

#[tokio::test]
async fn a_read_that_took_long_is_not_the_last_look() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    *case.world.surprise.lock().unwrap() = Some(after_a_slow_read(|_| {}));
    case.event(&["sgr-1"]).await.unwrap();
    let calls = case.world.calls.lock().unwrap().clone();
    assert_eq!(calls[5..8], ["rules", "revoke ingress sgr-1", "rules"], "the rules alone are looked at once more");
}

/// However slow: what the last look still shows as it was is revoked at the first try.
#[tokio::test]
async fn a_slow_ec2_costs_one_more_look_at_the_rules_and_no_more() {
    for slow in ["groups", "rules", "interfaces", "instances", "cluster"] {
        for seconds in [3, 8] {
            let case = Case::new(vec![kubelet("sgr-1")]);
            *case.world.slow.lock().unwrap() = Some((slow, seconds));
            let response = case.event(&["sgr-1"]).await.unwrap();
            assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked)], "{slow} takes {seconds} s");
            let looks = case.world.calls("rules").len();
            assert!(looks <= 4, "{slow}: {looks} looks, the last two of them afterwards");
        }
    }
}

#[tokio::test]
async fn a_rule_from_a_block_does_not_wait_for_lists_and_groups_of_other_rules() {
    let mut by_list = kubelet("sgr-2");
    by_list.peer = Peer::PrefixList("pl-1".into());
    let case = Case::new(vec![kubelet("sgr-1"), by_list, from_group("sgr-3", Packets::All, "sg-0f1")]);
    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    let response = case.event(&["sgr-1", "sgr-2"]).await.unwrap();
    let closed = actions(&response).into_iter().filter(|(_, action)| *action == Action::Revoked).count();
    assert_eq!(closed, 2);
    let calls = case.world.calls.lock().unwrap().clone();
    let at = |call: &str| calls.iter().position(|other| other == call).unwrap();
    assert_eq!(at("revoke ingress sgr-1"), 5, "right after the first reads: {calls:?}");
    assert!(at("revoke ingress sgr-1") < at("revoke ingress sgr-2"), "{calls:?}");
}

#[tokio::test]
async fn a_rule_that_refers_to_something_new_at_each_look_delays_only_itself() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    *case.world.prefix_list.lock().unwrap() = Some(Addresses::default());
    *case.world.restless.lock().unwrap() = true;
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked)]);
    assert!(!case.world.left().contains(&"sgr-1".to_owned()));
}

/// A rule that lets the kubelet's port in from a prefix list.
fn from_list(id: &str) -> Rule {
    Rule { peer: Peer::PrefixList("pl-1".into()), ..kubelet(id) }
}

#[tokio::test]
async fn what_comes_to_refer_to_something_new_without_end_is_said_by_its_id() {
    let case = Case::with(vec![kubelet("sgr-1")], Mode::Enforce, Mode::Enforce, 50);
    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    *case.world.restless.lock().unwrap() = true;
    let error = case.event(&["sgr-1"]).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("came to refer to `pl-") && text.contains("while it was looked at"), "{text}");
    // Everything that was looked up was judged too: each list that is open to the world is closed.
    let looked_up = case.world.calls("prefix_list").len();
    let closed = case.world.calls("revoke").concat().matches("sgr-list-").count();
    assert!(looked_up == closed && closed > 3, "three times one list or more: {:?}", case.world.calls(""));
}

#[tokio::test]
async fn an_old_rule_is_closed_although_what_a_named_rule_refers_to_cannot_be_read() {
    let rules = vec![kubelet("sgr-old"), from_group("sgr-1", Packets::All, "sg-0f1")];
    let case = Case::with(rules, Mode::Enforce, Mode::Enforce, 50);
    let fail: Box<dyn Fn(&World) + Send> = Box::new(|world| *world.interfaces_fail.lock().unwrap() = true);
    *case.world.surprise.lock().unwrap() = Some(("interfaces", 1, fail));
    let error = case.event(&["sgr-1"]).await.unwrap_err();
    assert!(error.to_string().contains("refer to could not be read"), "{error}");
    assert_eq!(case.world.left(), ["sgr-1"]);
}

#[tokio::test]
async fn a_named_rule_that_waits_for_its_list_comes_first_and_delays_nobody_else() {
    let case = Case::with(vec![kubelet("sgr-old"), from_list("sgr-1")], Mode::Enforce, Mode::Enforce, 1);
    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(case.world.calls("revoke"), ["revoke ingress sgr-1", "revoke ingress sgr-old"]);
}

#[tokio::test]
async fn a_denied_rule_is_not_tried_again_for_the_list_of_another() {
    let case = Case::new(vec![kubelet("sgr-1"), from_list("sgr-2")]);
    case.world.denied.lock().unwrap().push("sgr-1".into());
    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    // So that the rules are looked at once more before the second revoke.
    *case.world.slow.lock().unwrap() = Some(("prefix_list", 3));
    case.event(&["sgr-1", "sgr-2"]).await.unwrap_err();
    assert_eq!(case.world.calls("revoke"), ["revoke ingress sgr-1", "revoke ingress sgr-2"]);
}

#[tokio::test]
async fn one_denied_rule_does_not_stop_the_others_and_the_invocation_ends_in_an_error() {
    let case = Case::new(vec![
        kubelet("sgr-1"),
        rule("sgr-2", Packets::All, "0.0.0.0/0"),
        rule("sgr-3", Packets::Tcp(22, 22), "::/0"),
    ]);
    case.world.denied.lock().unwrap().push("sgr-2".into());
    let error = case.event(&["sgr-1", "sgr-2", "sgr-3"]).await.unwrap_err();
    assert_eq!(error.kind(), "Unfinished");
    assert!(error.to_string().contains("sgr-2") && !error.to_string().contains("sgr-1"), "{error}");
    assert_eq!(case.world.left(), ["sgr-2"]);
    let sent = case.world.sent.lock().unwrap();
    assert!(sent[0].attributes.contains(&("severity", "critical".to_owned())));
    assert!(sent[0].attributes.contains(&("outcome", "failed".to_owned())));
}

#[tokio::test]
async fn a_rule_that_goes_away_under_the_batch_does_not_stop_the_others() {
    let case = Case::new(vec![kubelet("sgr-1"), rule("sgr-2", Packets::All, "0.0.0.0/0")]);
    let vanish: Box<dyn Fn(&World) + Send> =
        Box::new(|world| world.rules.lock().unwrap().retain(|rule| rule.id != "sgr-1"));
    *case.world.surprise.lock().unwrap() = Some(("revoke", 0, vanish));
    let response = case.event(&["sgr-1", "sgr-2"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::AlreadyGone), ("sgr-2".to_owned(), Action::Revoked)]);
}

#[tokio::test]
async fn a_group_that_goes_away_before_the_revoke_is_already_gone() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    let vanish: Box<dyn Fn(&World) + Send> = Box::new(|world| {
        *world.group_is_gone.lock().unwrap() = true;
        world.rules.lock().unwrap().clear();
    });
    *case.world.surprise.lock().unwrap() = Some(("revoke", 0, vanish));
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::AlreadyGone)]);
}

#[tokio::test]
async fn revoked_is_said_only_after_it_was_read_back_as_gone() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    case.world.lagging.lock().unwrap().insert("sgr-1".into(), (0, kubelet("sgr-1")));
    let linger: Box<dyn Fn(&World) + Send> = Box::new(|world| {
        world.lagging.lock().unwrap().get_mut("sgr-1").unwrap().0 = 2;
    });
    *case.world.surprise.lock().unwrap() = Some(("revoke", 0, linger));
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked)]);
    assert_eq!(case.world.calls("rules").len(), 1 + 3, "judged, and read back three times");

    let case = Case::new(vec![kubelet("sgr-1")]);
    case.world.lagging.lock().unwrap().insert("sgr-1".into(), (0, kubelet("sgr-1")));
    let stay: Box<dyn Fn(&World) + Send> = Box::new(|world| {
        world.lagging.lock().unwrap().get_mut("sgr-1").unwrap().0 = 1000;
    });
    *case.world.surprise.lock().unwrap() = Some(("revoke", 0, stay));
    let error = case.event(&["sgr-1"]).await.unwrap_err();
    assert!(error.to_string().contains("still open"), "{error}");
}

#[tokio::test]
async fn when_the_read_back_fails_the_rule_is_not_called_revoked() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    let fail: Box<dyn Fn(&World) + Send> = Box::new(|world| *world.reads_fail.lock().unwrap() = true);
    *case.world.surprise.lock().unwrap() = Some(("revoke", 0, fail));
    let error = case.event(&["sgr-1"]).await.unwrap_err();
    assert!(error.to_string().contains("could not be read back"), "{error}");
    assert!(error.to_string().contains("connection reset"), "{error}");
}

#[tokio::test]
async fn a_forbidden_rule_named_by_the_event_that_is_not_there_is_waited_for_and_then_told_as_open_for_a_while() {
    let case = Case::new(vec![]);
    let response = case.event(&["sgr-9"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-9".to_owned(), Action::WasOpen)]);
    assert!(case.world.calls("revoke").is_empty());
    assert_eq!(case.world.calls("rules").len(), 3);
    assert_eq!(case.world.sent.lock().unwrap().len(), 1);

    let case = Case::new(vec![]);
    let appear: Box<dyn Fn(&World) + Send> = Box::new(|world| world.rules.lock().unwrap().push(kubelet("sgr-9")));
    *case.world.surprise.lock().unwrap() = Some(("rules", 2, appear));
    let response = case.event(&["sgr-9"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-9".to_owned(), Action::Revoked)]);
}

#[tokio::test]
async fn what_is_there_is_closed_before_what_is_missing_is_waited_for() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    let response = case.event(&["sgr-1", "sgr-9"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked), ("sgr-9".to_owned(), Action::WasOpen)]);
    let calls = case.world.calls.lock().unwrap().clone();
    assert_eq!(calls[5], "revoke ingress sgr-1");
}

#[tokio::test]
async fn people_are_notified_of_what_was_done_even_when_a_later_read_fails() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    let fail: Box<dyn Fn(&World) + Send> = Box::new(|world| *world.reads_fail.lock().unwrap() = true);
    *case.world.surprise.lock().unwrap() = Some(("rules", 2, fail));
    let error = case.event(&["sgr-1", "sgr-9"]).await.unwrap_err();
    assert!(chain(&error).contains("could not be read again"), "{error}");
    let sent = case.world.sent.lock().unwrap();
    assert!(email::text(sent[0].notice.as_ref().unwrap()).contains("Closed: revoked"));
}

#[tokio::test]
async fn a_rule_that_turns_bad_while_another_is_waited_for_is_closed_with_a_notice() {
    let case = Case::new(vec![rule("sgr-1", Packets::Tcp(443, 443), "10.0.0.0/8")]);
    let widen: Box<dyn Fn(&World) + Send> = Box::new(|world| world.rules.lock().unwrap()[0] = kubelet("sgr-1"));
    *case.world.surprise.lock().unwrap() = Some(("rules", 1, widen));
    let response = case.event(&["sgr-1", "sgr-9"]).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked), ("sgr-9".to_owned(), Action::WasOpen)]);
}

#[tokio::test]
async fn old_forbidden_rules_follow_the_sweep_mode() {
    let case = Case::new(vec![kubelet("sgr-1"), kubelet("sgr-old")]);
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(
        actions(&response),
        [("sgr-1".to_owned(), Action::Revoked), ("sgr-old".to_owned(), Action::WouldRevoke)]
    );

    let case = Case::with(vec![kubelet("sgr-1"), kubelet("sgr-old")], Mode::Enforce, Mode::Enforce, 50);
    case.event(&["sgr-1"]).await.unwrap();
    assert!(case.world.left().is_empty());
}

#[tokio::test]
async fn in_report_mode_nothing_is_revoked_whatever_the_sweep_mode_says() {
    let case = Case::with(vec![kubelet("sgr-1"), kubelet("sgr-old")], Mode::Report, Mode::Enforce, 50);
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert!(actions(&response).iter().all(|(_, action)| *action == Action::WouldRevoke));
    assert!(case.world.calls("revoke").is_empty());
}

#[tokio::test]
async fn beyond_the_limit_what_an_event_made_is_refused_for_now_and_what_no_event_made_has_a_limit_of_its_own() {
    let rules = vec![kubelet("sgr-old"), rule("sgr-1", Packets::Udp(53, 53), "0.0.0.0/0"), kubelet("sgr-2")];
    let case = Case::with(rules, Mode::Enforce, Mode::Enforce, 1);
    let error = case.event(&["sgr-1", "sgr-2"]).await.unwrap_err();
    assert!(error.to_string().contains("GUARD_MAX_REVOKES"), "{error}");
    assert_eq!(case.world.left(), ["sgr-1"], "the worst of the event's, and the old one");
}

#[tokio::test]
async fn what_no_event_made_is_limited_by_the_hour_and_stays_refused_until_the_limit_is_raised() {
    for has_state in [false, true] {
        let rules = ["sgr-1", "sgr-2", "sgr-3"].map(kubelet).to_vec();
        let world = Arc::new(World { rules: Mutex::new(rules), ..World::default() });
        *world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
        let process = |limit| Case::process(Arc::clone(&world), (Mode::Enforce, Mode::Enforce), limit, has_state);
        let case = process(1);
        let refused = |id: &str| (id.to_owned(), Action::Refused);
        let revoked = |id: &str| (id.to_owned(), Action::Revoked);
        let first = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
        assert_eq!(actions(&first), [revoked("sgr-1"), refused("sgr-2"), refused("sgr-3")], "{has_state}");
        let found = &first.records[0].findings[0];
        assert_eq!((found.action, found.severity), (Action::Refused, Some(Severity::Critical)));
        assert!(found.detail.as_deref().unwrap().contains("GUARD_MAX_REVOKES"), "{found:?}");

        // What an event made is not held up, and the next hour takes another one.
        world.rules.lock().unwrap().extend([kubelet("sgr-4"), kubelet("sgr-5")]);
        let mut event = authorize("e-4", &["sgr-4"]);
        event["detail"]["eventTime"] = "2026-11-23T02:59:58Z".into();
        let made = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
        assert!(actions(&made).contains(&revoked("sgr-4")), "{made:?}");
        assert_eq!(case.sweep().await, [refused("sgr-2"), refused("sgr-3"), refused("sgr-5")]);
        world.rules.lock().unwrap().push(kubelet("sgr-6"));
        assert!(case.sweep().await.contains(&revoked("sgr-6")), "{has_state}");
        assert_eq!(world.left(), ["sgr-2", "sgr-3", "sgr-5"]);

        process(5).sweep().await;
        assert!(world.left().is_empty(), "a raised limit");
    }
}

#[tokio::test]
async fn who_cannot_count_what_was_revoked_revokes_nothing_more_that_no_event_made() {
    let case = looked_at(vec![]).await;
    case.world.rules.lock().unwrap().push(kubelet("sgr-1"));
    let goes_down = |world: &World| *world.state_is_down.lock().unwrap() = true;
    *case.world.surprise.lock().unwrap() = Some(("state take", 0, Box::new(goes_down)));
    let error = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap_err();
    assert!(error.to_string().contains("within the hour"), "{error}");
    assert_eq!(case.world.left(), ["sgr-1"]);
}

#[tokio::test]
async fn the_same_event_is_one_notice_but_sent_again_when_a_channel_failed() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    *case.world.channel_is_down.lock().unwrap() = true;
    let error = case.event(&["sgr-1"]).await.unwrap_err();
    assert!(error.to_string().contains("no route to host"), "{error}");
    assert!(case.world.left().is_empty());

    *case.world.channel_is_down.lock().unwrap() = false;
    let again = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(actions(&again), [("sgr-1".to_owned(), Action::WasOpen)]);
    assert_eq!(case.world.sent.lock().unwrap().len(), 1);

    let third = case.event(&["sgr-1"]).await.unwrap();
    assert!(third.ignored.unwrap().contains("handled already"));
    assert_eq!(case.world.sent.lock().unwrap().len(), 1);
}

impl Case {
    /// Somebody opens the kubelet, so many minutes later.
    async fn opens(&self, id: &str, minutes: i64) -> Result<FunctionResponse, GuardError> {
        self.world.milliseconds.store(minutes * 60_000, Ordering::Relaxed);
        self.world.rules.lock().unwrap().push(kubelet(id));
        let mut event = authorize(&format!("e-{id}"), &[id]);
        event["detail"]["eventTime"] =
            (Fake(Arc::clone(&self.world)).now() - SignedDuration::from_secs(2)).to_string().into();
        self.guard.handle(&event, Timestamp::MAX).await
    }
}

#[tokio::test]
async fn a_rule_that_comes_back_is_closed_each_time_notified_once_an_hour_and_contested_at_the_third() {
    let case = Case::with_state(Arc::default());
    for (minutes, notices, what) in [
        (0, 1, "the first is news"),
        (10, 1, "people were notified of the second a moment ago"),
        (20, 2, "the third is contested"),
        (30, 2, "contested is said once a day"),
        (85, 3, "an hour later people are notified again"),
    ] {
        let answer = case.opens(&format!("sgr-{minutes}"), minutes).await.unwrap();
        assert_eq!(case.world.left(), Vec::<String>::new(), "{what}");
        assert_eq!(case.world.notices().len(), notices, "{what}");
        let finding = &answer.records[0].findings[0];
        assert_eq!(
            (finding.action, finding.notified_at.is_some()),
            (Action::Revoked, [10, 30].contains(&minutes)),
            "{what}"
        );
        assert_eq!(finding.contested.as_ref().map(|it| it.times), (minutes == 20).then_some(3), "{what}");
    }
    assert_eq!(case.world.sent.lock().unwrap().len(), 5, "machines get every record");
    let contested = &case.world.notices()[1];
    assert!(contested.subject.contains("for the 3rd time"), "{contested:?}");
    assert!(
        email::text(contested).contains("CONTESTED: opened 3 times, the first at 2026-11-23 02:59:58 UTC"),
        "{}",
        email::text(contested)
    );
    assert!(
        email::text(contested).contains("By user kim, 3 times: arn:aws:iam::111122223333:user/kim"),
        "{}",
        email::text(contested)
    );
    assert!(!email::text(&case.world.notices()[0]).contains("CONTESTED"));
}

#[tokio::test]
async fn without_a_state_store_every_opening_is_a_notice() {
    let case = Case::new(vec![]);
    for minutes in [0, 10, 20] {
        case.opens(&format!("sgr-{minutes}"), minutes).await.unwrap();
    }
    assert_eq!(case.world.notices().len(), 3);
    assert!(case.world.calls("state").is_empty());
}

#[tokio::test]
async fn an_event_that_another_process_handled_is_notified_and_recorded_once_whenever_it_comes() {
    let case = Case::with_state(Arc::default());
    case.opens("sgr-1", 0).await.unwrap();
    let event = authorize("e-sgr-1", &["sgr-1"]);
    for hours in [0, 3] {
        case.world.milliseconds.store(hours * 3_600_000, Ordering::Relaxed);
        let other = Case::with_state(Arc::clone(&case.world));
        let answer = other.guard.handle(&event, Timestamp::MAX).await.unwrap();
        assert!(answer.records.is_empty() && answer.ignored.unwrap().contains("handled already"));
        assert_eq!(case.world.sent.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_known_event_does_not_keep_a_rule_open_that_is_there() {
    let case = Case::with_state(Arc::new(World { handled: Mutex::new(vec!["e-sgr-1".into()]), ..World::default() }));
    let answer = case.opens("sgr-1", 0).await.unwrap();
    assert_eq!(actions(&answer), [("sgr-1".to_owned(), Action::Revoked)]);
    assert_eq!(case.world.notices().len(), 1, "people are notified of what was done");
}

#[tokio::test]
async fn only_what_every_channel_took_is_kept() {
    let case = Case::with_state(Arc::default());
    *case.world.channel_is_down.lock().unwrap() = true;
    assert!(case.opens("sgr-1", 0).await.is_err());
    assert!(case.world.histories.lock().unwrap().is_empty() && case.world.handled.lock().unwrap().is_empty());
    *case.world.channel_is_down.lock().unwrap() = false;
    let answer = case.guard.handle(&authorize("e-sgr-1", &["sgr-1"]), Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&answer), [("sgr-1".to_owned(), Action::Revoked)], "the journal says that it was us");
    assert_eq!((case.world.notices().len(), case.world.histories.lock().unwrap().len()), (1, 1));
    assert_eq!(*case.world.handled.lock().unwrap(), ["e-sgr-1"]);
}

#[tokio::test]
async fn what_failed_is_a_notice_each_time_and_its_event_is_not_kept() {
    let case = Case::with_state(Arc::default());
    *case.world.denied.lock().unwrap() = vec!["sgr-1".into()];
    for (minutes, notices) in [(0, 1), (1, 2)] {
        assert!(case.opens("sgr-1", minutes).await.is_err());
        assert_eq!(case.world.notices().len(), notices);
    }
    assert!(case.world.handled.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_state_store_that_fails_keeps_nothing_open_silences_nobody_and_is_an_error_once() {
    let case = Case::with_state(Arc::new(World { state_is_down: Mutex::new(true), ..World::default() }));
    let error = chain(&case.opens("sgr-1", 0).await.unwrap_err());
    assert!(error.contains("history could not be read") && error.contains("history could not be written"), "{error}");
    assert_eq!(error.matches("could not be read").count(), 1, "{error}");
    assert!(case.world.left().is_empty() && case.world.notices().len() == 1);
    let again = case.guard.handle(&authorize("e-sgr-1", &["sgr-1"]), Timestamp::MAX).await.unwrap();
    assert!(again.ignored.is_some() && case.world.notices().len() == 1, "the retry bothers nobody");
}

#[tokio::test]
async fn what_was_told_before_is_asked_after_the_revoke_and_not_at_all_when_there_is_no_notice() {
    let case = Case::with_state(Arc::default());
    case.guard.handle(&call("AuthorizeSecurityGroupIngress", "e-0"), Timestamp::MAX).await.unwrap();
    assert_eq!(case.world.calls("state"), ["state known", "state learn"], "when the guard began");
    case.world.calls.lock().unwrap().clear();
    case.opens("sgr-1", 0).await.unwrap();
    let calls = case.world.calls("");
    let at = |start: &str| calls.iter().position(|line| line.starts_with(start)).unwrap();
    assert!(at("state known") < at("revoke") && at("revoke") < at("state history"), "{calls:?}");
    let expected = ["known", "note", "note", "history", "allow", "claim", "settle", "note", "remember"];
    assert_eq!(case.world.calls("state"), expected.map(|call| format!("state {call}")));
}

#[tokio::test]
async fn an_event_of_another_account_or_region_reads_nothing() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    let mut payload = authorize("e-1", &["sgr-1"]);
    payload["region"] = json!("eu-west-1");
    payload["detail"]["awsRegion"] = json!("eu-west-1");
    let response = case.guard.handle(&payload, Timestamp::MAX).await.unwrap();
    assert!(response.ignored.unwrap().contains("eu-west-1"));
    assert!(case.world.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_guard_may_not_read_is_a_finding_about_the_account_once_for_an_event_and_its_retries() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    *case.world.reads_are_denied.lock().unwrap() = true;
    for _ in 0..2 {
        let error = chain(&case.event(&["sgr-1"]).await.unwrap_err());
        assert!(error.contains("could not be read: not allowed to call `ec2:DescribeSecurityGroupRules`"), "{error}");
    }
    let sent = case.world.sent.lock().unwrap();
    let [message] = sent.as_slice() else { panic!("{sent:?}") };
    let record: Record = serde_json::from_str(message.record.as_deref().unwrap()).unwrap();
    assert_eq!((&record.group, record.clusters.len(), record.outcome), (&None, 0, Outcome::Failed));
    assert_eq!((record.severity, record.event_id.as_deref()), (Some(Severity::Critical), Some("e-1")));
    let [finding] = record.findings.as_slice() else { panic!("{:?}", record.findings) };
    assert_eq!((&finding.subject, finding.action), (&Subject::Check(Check::ReadDenied), Action::Failed));
    assert!(finding.detail.as_deref().unwrap().contains("ec2:DescribeSecurityGroupRules"), "{finding:?}");
    let notice = message.notice.as_ref().unwrap();
    assert_eq!(notice.subject, "[CRITICAL] BLIND 111122223333 us-east-1: the guard is not allowed to look");
    insta::assert_snapshot!("read_denied", email::text(notice));
}

#[tokio::test]
async fn a_compliant_record_is_kept_and_sent_to_nobody() {
    let case = Case::new(vec![rule("sgr-1", Packets::Tcp(443, 443), "10.0.0.0/8")]);
    let response = case.guard.handle(&call("AuthorizeSecurityGroupIngress", "e-1"), Timestamp::MAX).await.unwrap();
    assert_eq!(response.records[0].outcome, Outcome::Compliant);
    assert!(case.world.sent.lock().unwrap().is_empty());
}

/// Nodes that lack nothing: everything from the cluster's group and from each other.
fn healthy() -> Vec<Rule> {
    let out = Rule { direction: Direction::Egress, ..rule("sgr-o", Packets::All, "0.0.0.0/0") };
    vec![from_group("sgr-c", Packets::All, CLUSTER_GROUP), from_group("sgr-n", Packets::All, GROUP), out]
}

#[tokio::test]
async fn people_are_notified_when_a_call_closed_what_nodes_need() {
    let case = Case::new(healthy());
    *case.world.node_groups.lock().unwrap() = vec![GROUP.into()];
    let response = case.guard.handle(&call("RevokeSecurityGroupIngress", "e-1"), Timestamp::MAX).await.unwrap();
    assert_eq!(requirements(&response), ["nodes-to-control-plane"; 0]);

    case.world.rules.lock().unwrap().retain(|rule| rule.id != "sgr-c");
    let response = case.guard.handle(&call("RevokeSecurityGroupIngress", "e-2"), Timestamp::MAX).await.unwrap();
    assert_eq!(requirements(&response), ["control-plane-to-nodes"]);
    let finding = &response.records[0].findings[0];
    assert_eq!((finding.action, finding.named_by_event, finding.rule().is_none()), (Action::Reported, true, true));
    let sent = case.world.sent.lock().unwrap();
    let notice = sent.last().unwrap().notice.clone().unwrap();
    assert_eq!(
        notice.subject,
        "[HIGH] BROKEN prod: kubectl logs and exec, metrics and webhooks fail, on nodes, at 02:59 UTC"
    );
    for line in [
        &format!("The cluster needs this, and it is not open: tcp 443,10250 from the control plane ({CLUSTER_GROUP})."),
        "Missing: control-plane-to-nodes\n  NOT OPEN, and the cluster needs it",
        &format!("Interfaces with {GROUP} attached have no tcp 443,10250 from the control plane ({CLUSTER_GROUP})"),
        "Required by `control-plane-to-nodes`: the API server calls kubelets",
        "Open what is missing by a rule for that alone",
    ] {
        assert!(email::text(&notice).contains(line), "{line}\n{}", email::text(&notice));
    }
}

#[tokio::test]
async fn what_our_own_revoke_leaves_closed_is_in_the_same_notice() {
    let mut rules = healthy();
    rules.retain(|rule| rule.id != "sgr-c");
    rules.push(rule("sgr-1", Packets::Tcp(0, 65535), "0.0.0.0/0"));
    let case = Case::new(rules);
    *case.world.node_groups.lock().unwrap() = vec![GROUP.into()];
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(requirements(&response), ["control-plane-to-nodes"]);
    assert_eq!(response.records.len(), 1);
    assert_eq!(response.records[0].outcome, Outcome::Remediated);
}

/// In mode `enforce` for all rules, on a node that has these.
fn on_a_node(rules: Vec<Rule>) -> Case {
    let case = Case::with(rules, Mode::Enforce, Mode::Enforce, 50);
    *case.world.node_groups.lock().unwrap() = vec![GROUP.into()];
    case
}

fn everything(id: &str) -> Rule {
    rule(id, Packets::All, "0.0.0.0/0")
}

#[tokio::test]
async fn a_known_rule_that_a_cluster_lives_on_is_left_and_said_with_what_to_open_first() {
    let sweep = json!({"sweep": {"groups": [GROUP]}});
    let case = on_a_node(vec![everything("sgr-old"), kubelet("sgr-more")]);
    let response = case.guard.handle(&sweep, Timestamp::MAX).await.unwrap();
    assert_eq!(
        (case.world.left(), case.world.calls("revoke")),
        (vec!["sgr-old".to_owned()], vec!["revoke ingress sgr-more".to_owned()])
    );
    let record = &response.records[0];
    assert_eq!((record.outcome, record.severity), (Outcome::Refused, Some(Severity::Critical)));
    let finding = &record.findings[0];
    assert_eq!((finding.rule().unwrap().id.as_str(), finding.action), ("sgr-old", Action::Refused));
    let detail = finding.detail.as_deref().unwrap();
    for words in [
        "cluster `prod` depends on this rule; without it `control-plane-to-nodes` would not be met",
        "interfaces with sg-0a1 attached would have no tcp 443,10250 from the control plane (sg-0cc)",
        "First open ",
        "tcp 53 and udp 53 from nodes (sg-0a1)",
        "in `sg-0a1` by rules that let in no more than that; then this one can go",
    ] {
        assert!(detail.contains(words), "{words}: {detail}");
    }
    // What it needs was opened meanwhile.
    case.world.rules.lock().unwrap().extend(healthy());
    let response = case.guard.handle(&sweep, Timestamp::MAX).await.unwrap();
    assert_eq!(response.records[0].findings[0].action, Action::Revoked);
    assert_eq!(case.world.left(), ["sgr-c", "sgr-n", "sgr-o"]);
}

#[tokio::test]
async fn a_new_rule_is_no_shield_and_waits_for_nothing() {
    let case = on_a_node(vec![everything("sgr-old"), everything("sgr-1")]);
    let response = case.event(&["sgr-1"]).await.unwrap();
    let actions: BTreeMap<String, Action> = response.records[0]
        .findings
        .iter()
        .filter_map(|finding| Some((finding.rule()?.id.clone(), finding.action)))
        .collect();
    let expected = [("sgr-1".to_owned(), Action::Revoked), ("sgr-old".to_owned(), Action::Refused)];
    assert_eq!(actions, expected.into(), "either alone would do, but the new one goes");
    let calls = case.world.calls("");
    let first =
        ["groups", "rules", "interfaces", "instances", "cluster prod", "revoke ingress sgr-1", "rules", "cluster prod"];
    assert_eq!(calls[..8], first, "what the cluster needs is looked at after the revoke of the new one");

    let alone = on_a_node(vec![everything("sgr-1")]);
    let response = alone.event(&["sgr-1"]).await.unwrap();
    assert!(alone.world.left().is_empty() && requirements(&response).contains(&"control-plane-to-nodes"));
}

#[tokio::test]
async fn a_known_rule_stays_while_it_is_not_known_what_the_cluster_needs() {
    let sweep = json!({"sweep": {"groups": [GROUP]}});
    let case = on_a_node(vec![kubelet("sgr-old")]);
    let fail: Box<dyn Fn(&World) + Send> = Box::new(|world| *world.reads_fail.lock().unwrap() = true);
    *case.world.surprise.lock().unwrap() = Some(("rules", 1, fail));
    let error = case.guard.handle(&sweep, Timestamp::MAX).await.unwrap_err().to_string();
    let why = "not revoked, because it could not be read what cluster `prod` needs: `ec2:DescribeSecurityGroupRules`";
    assert!(error.contains(why), "{error}");
    assert!(case.world.calls("revoke").is_empty());
    *case.world.reads_fail.lock().unwrap() = false;
    case.guard.handle(&sweep, Timestamp::MAX).await.unwrap();
    assert!(case.world.left().is_empty(), "the next try goes on");
}

#[tokio::test]
async fn what_a_cluster_needs_is_read_only_where_a_known_rule_is_to_be_revoked() {
    let sweep = json!({"sweep": {"groups": [GROUP]}});
    for (rules, modes, looks) in [
        (vec![rule("sgr-fine", Packets::Tcp(443, 443), "10.0.0.0/8")], (Mode::Enforce, Mode::Enforce), 1),
        (vec![kubelet("sgr-old")], (Mode::Enforce, Mode::Report), 1),
        (vec![kubelet("sgr-old")], (Mode::Enforce, Mode::Enforce), 2),
    ] {
        let world = World { rules: Mutex::new(rules), ..World::default() };
        let case = Case::process(Arc::new(world), modes, 50, false);
        case.guard.handle(&sweep, Timestamp::MAX).await.unwrap();
        let calls = case.world.calls("");
        let revoke = calls.iter().position(|line| line.starts_with("revoke")).unwrap_or(5);
        assert_eq!(calls[..revoke].iter().filter(|line| *line == "instances").count(), looks, "{calls:?}");
    }
}

#[tokio::test]
async fn for_what_a_cluster_needs_the_rules_of_interfaces_without_the_group_are_not_read() {
    let call_that_closes = call("RevokeSecurityGroupIngress", "e-1");
    for (node_groups, read) in [(vec![GROUP], vec![GROUP]), (vec![GROUP, CLUSTER_GROUP], vec![GROUP, CLUSTER_GROUP])] {
        let case = Case::new(healthy());
        *case.world.node_groups.lock().unwrap() = node_groups.into_iter().map(str::to_owned).collect();
        case.guard.handle(&call_that_closes, Timestamp::MAX).await.unwrap();
        let mut last = case.world.rules_read.lock().unwrap().last().unwrap().clone();
        last.sort_by_key(|id| id != GROUP);
        assert_eq!(last, read);
    }
}

/// The read that shows that the rule is gone shows what the cluster has left, too.
#[tokio::test]
async fn for_what_a_cluster_needs_the_rules_that_were_just_read_back_are_not_read_again() {
    for (name, node_groups, is_late, read) in [
        ("all of them were", vec![GROUP], false, vec![vec![GROUP], vec![GROUP]]),
        ("some were", vec![GROUP, CLUSTER_GROUP], false, vec![vec![GROUP], vec![GROUP], vec![CLUSTER_GROUP]]),
        ("it is long ago once the nodes are known", vec![GROUP], true, vec![vec![GROUP], vec![GROUP], vec![GROUP]]),
    ] {
        let world = World { rules: Mutex::new(vec![kubelet("sgr-1")]), ..World::default() };
        let case = Case::with_state(Arc::new(world));
        *case.world.node_groups.lock().unwrap() = node_groups.into_iter().map(str::to_owned).collect();
        if is_late {
            let pass: Box<dyn Fn(&World) + Send> = Box::new(|world| {
                world.milliseconds.fetch_add(2_000, Ordering::Relaxed);
            });
            *case.world.surprise.lock().unwrap() = Some(("cluster prod", 1, pass));
        }
        let response = case.event(&["sgr-1"]).await.unwrap();
        assert!(requirements(&response).contains(&"control-plane-to-nodes"), "{name}");
        assert_eq!(*case.world.rules_read.lock().unwrap(), read, "{name}: {:?}", case.world.calls(""));
    }
}

#[tokio::test]
async fn a_node_that_started_a_moment_ago_with_another_group_misses_what_it_needs_too() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    *case.world.node_groups.lock().unwrap() = vec!["sg-0dd".into()];
    case.event(&["sgr-1"]).await.unwrap();
    *case.world.node_groups.lock().unwrap() = vec![GROUP.into()];
    case.world.rules.lock().unwrap().push(kubelet("sgr-2"));
    let response = case.guard.handle(&authorize("e-2", &["sgr-2"]), Timestamp::MAX).await.unwrap();
    assert!(requirements(&response).contains(&"control-plane-to-nodes"), "{:?}", requirements(&response));
}

#[tokio::test]
async fn a_call_that_closes_nothing_does_not_look_at_requirements() {
    let case = Case::new(vec![rule("sgr-1", Packets::Tcp(443, 443), "10.0.0.0/8")]);
    *case.world.node_groups.lock().unwrap() = vec![GROUP.into()];
    let response = case.event(&["sgr-1"]).await.unwrap();
    assert_eq!(requirements(&response), ["control-plane-to-nodes"; 0]);
    assert_eq!(case.world.calls("instances").len(), 1);
}

#[tokio::test]
async fn our_own_revoke_comes_back_and_is_left_alone_but_our_role_opening_a_rule_is_not() {
    let by = |mut event: Value, issuer: &str| {
        event["detail"]["userIdentity"] = json!({"type": "AssumedRole",
            "arn": "arn:aws:sts::111122223333:assumed-role/eks-sg-guard/eks-sg-guard",
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": issuer, "userName": "eks-sg-guard"}}});
        event
    };
    let case = Case::new(healthy());
    let own =
        case.guard.handle(&by(call("RevokeSecurityGroupIngress", "e-1"), OWN_ROLE), Timestamp::MAX).await.unwrap();
    assert!(own.ignored.unwrap().contains("own doing"));
    assert_eq!(case.world.calls("rules").len(), 0);

    let imitated = "arn:aws:iam::111122223333:role/eks-sg-guard";
    let other =
        case.guard.handle(&by(call("RevokeSecurityGroupIngress", "e-2"), imitated), Timestamp::MAX).await.unwrap();
    assert_eq!(other.ignored, None, "a role of the same name with another path is somebody else's");

    case.world.rules.lock().unwrap().push(kubelet("sgr-1"));
    let misused = case.guard.handle(&by(authorize("e-3", &["sgr-1"]), OWN_ROLE), Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&misused), [("sgr-1".to_owned(), Action::Revoked)]);
}

/// Who vouches for pods of the cluster, and for others.
#[tokio::test]
async fn a_pod_of_the_groups_own_cluster_may_be_a_controller_and_no_other_pod() {
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE";
    let neighbour = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE2";
    let account = "arn:aws:iam::444455556666:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE";
    for (provider, packets, only_tagged, expected) in [
        (provider, Packets::Udp(53, 53), false, Action::Reported),
        (provider, Packets::Tcp(15012, 15012), false, Action::Reported),
        (neighbour, Packets::Udp(53, 53), false, Action::Revoked),
        (account, Packets::Udp(53, 53), false, Action::Revoked),
        (provider, Packets::Tcp(22, 22), false, Action::Revoked),
        (provider, Packets::Tcp(10250, 10250), false, Action::Revoked),
        (provider, Packets::Udp(53, 54), false, Action::Revoked),
        (provider, Packets::Udp(53, 53), true, Action::Revoked),
    ] {
        let marked = Rule {
            description: Some("elbv2.k8s.aws/targetGroupBinding=shared".into()),
            ..rule("sgr-1", packets, "0.0.0.0/0")
        };
        let mut event = claims(authorize("e-1", &["sgr-1"]), &marked);
        let case = Case::new(vec![marked, from_group("sgr-2", Packets::Tcp(10250, 10250), CLUSTER_GROUP)]);
        *case.world.node_is_only_tagged.lock().unwrap() = only_tagged;
        event["detail"]["userIdentity"] = json!({"type": "AssumedRole",
            "arn": "arn:aws:sts::111122223333:assumed-role/balancers/1767322800",
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/balancers"},
                               "webIdFederationData": {"federatedProvider": provider, "attributes": {}}}});
        let response = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
        assert_eq!(
            actions(&response),
            [("sgr-1".to_owned(), expected)],
            "{packets} by {provider}, tagged: {only_tagged}"
        );
    }
}

/// A call that attaches the group to an interface.
fn attaches_to(interface: &str, event_id: &str) -> Value {
    let mut event = call("ModifyNetworkInterfaceAttribute", event_id);
    event["detail"]["requestParameters"] =
        json!({"networkInterfaceId": interface, "groupSet": {"items": [{"groupId": GROUP}]}});
    event
}

fn interface(id: &str, instance: Option<&str>) -> Interface {
    Interface {
        id: id.into(),
        vpc: "vpc-1".into(),
        groups: vec![GROUP.into()],
        instance: instance.map(str::to_owned),
        ..Interface::default()
    }
}

#[tokio::test]
async fn an_open_group_on_its_first_node_is_closed_and_on_its_second_only_reported() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    let first = case.guard.handle(&attaches_to("eni-0a", "e-1"), Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&first), [("sgr-1".to_owned(), Action::Revoked)]);

    let case = Case::new(vec![kubelet("sgr-1")]);
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1")), interface("eni-0b", Some("i-1"))];
    let second = case.guard.handle(&attaches_to("eni-0b", "e-1"), Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&second), [("sgr-1".to_owned(), Action::WouldRevoke)], "sweep mode");
}

/// A public group of another team's, which somebody puts on a node: the guard must not be made to cut their service.
#[tokio::test]
async fn what_was_open_in_a_group_that_another_team_has_is_left_open_and_what_is_written_later_is_closed() {
    let elsewhere = Interface { instance_owner: Some("amazon-rds".into()), ..interface("eni-0b", None) };
    let idle = interface("eni-0c", None);
    for (beside, expected) in [(elsewhere, Action::Refused), (idle, Action::Revoked)] {
        let case = Case::new(vec![kubelet("sgr-1")]);
        *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1")), beside];
        let response = case.guard.handle(&attaches_to("eni-0a", "e-1"), Timestamp::MAX).await.unwrap();
        assert_eq!(actions(&response), [("sgr-1".to_owned(), expected)]);
        let finding = &response.records[0].findings[0];
        assert_eq!((finding.known, finding.severity), (expected == Action::Refused, Some(Severity::Critical)));
        if expected == Action::Refused {
            assert!(finding.detail.as_ref().unwrap().contains("aws ec2 modify-network-interface-attribute"));
            case.world.rules.lock().unwrap().push(kubelet("sgr-2"));
            let later = case.guard.handle(&authorize("e-2", &["sgr-2"]), Timestamp::MAX).await.unwrap();
            assert!(actions(&later).contains(&("sgr-2".to_owned(), Action::Revoked)));
        }
    }
}

#[tokio::test]
async fn a_group_that_ec2_does_not_show_on_the_interface_yet_is_waited_for() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    let show: Box<dyn Fn(&World) + Send> =
        Box::new(|world| *world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))]);
    *case.world.surprise.lock().unwrap() = Some(("groups", 1, show));
    let response = case.guard.handle(&attaches_to("eni-0a", "e-1"), Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked)]);
}

#[tokio::test]
async fn ec2_is_asked_for_the_groups_of_an_attachment_that_the_event_does_not_name() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    let mut event = attaches_to("eni-0a", "e-1");
    event["detail"]["requestParameters"] = json!({"networkInterfaceId": "eni-0a"});
    let response = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::Revoked)]);
    assert_eq!(case.world.calls("interfaces_of"), ["interfaces_of eni-0a", "interfaces_of eni-0a"]);
}

/// A rule that the event made and that nobody understands is told at once, and not as gone; an older one waits for a digest.
#[tokio::test]
async fn a_rule_that_cannot_be_understood_is_a_finding_and_the_others_are_closed() {
    for (id, is_told) in [("sgr-2", true), ("sgr-9", false)] {
        let case = Case::new(vec![kubelet("sgr-1")]);
        let why = format!("rule {id} cannot be read: `quic` is not a protocol");
        *case.world.unreadable.lock().unwrap() = vec![UnreadableRule { id: Some(id.into()), why }];
        let named: &[&str] = if is_told { &["sgr-1", "sgr-2"] } else { &["sgr-1"] };
        let response = case.event(named).await.unwrap();
        assert!(case.world.left().is_empty());
        let findings = &response.records[0].findings;
        let subjects: Vec<&Subject> = findings.iter().map(|finding| &finding.subject).collect();
        assert!(
            matches!(
                subjects.as_slice(),
                [_, Subject::Check(Check::UnreadableRule)] | [Subject::Check(Check::UnreadableRule), _]
            ),
            "{subjects:?}"
        );
        let unreadable = findings.iter().find(|finding| finding.rule().is_none()).unwrap();
        assert_eq!(unreadable.named_by_event, is_told);
        let text = email::text(&case.world.notices()[0]);
        assert!(text.contains("`quic` is not a protocol") && !text.contains("was there before"), "{text}");
    }
}

/// Of 201 groups the last one cannot be read: what was done about the first has to be told all the same.
#[tokio::test]
async fn what_was_revoked_is_told_although_other_users_of_the_list_cannot_be_read() {
    let mut by_list = kubelet("sgr-1");
    by_list.peer = Peer::PrefixList("pl-0a".into());
    let case = Case::new(vec![by_list]);
    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    *case.world.other_users.lock().unwrap() = 200;
    let fail: Box<dyn Fn(&World) + Send> = Box::new(|world| *world.reads_fail.lock().unwrap() = true);
    *case.world.surprise.lock().unwrap() = Some(("groups", 2, fail));
    let mut event = call("ModifyManagedPrefixList", "e-1");
    event["detail"]["requestParameters"] = json!({"ModifyManagedPrefixListRequest": {"PrefixListId": "pl-0a"}});
    let error = case.guard.handle(&event, Timestamp::MAX).await.unwrap_err();
    assert!(error.to_string().contains("DescribeSecurityGroupRules"), "{error}");
    assert!(case.world.left().is_empty());
    assert_eq!(case.world.notices().len(), 1, "told once");
}

#[tokio::test]
async fn a_list_that_now_holds_the_world_closes_the_rules_that_use_it_and_reports_others() {
    let mut by_list = kubelet("sgr-1");
    by_list.peer = Peer::PrefixList("pl-0a".into());
    let case = Case::new(vec![by_list, kubelet("sgr-old")]);
    *case.world.prefix_list.lock().unwrap() = Some(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    let mut event = call("ModifyManagedPrefixList", "e-1");
    event["detail"]["requestParameters"] = json!({"ModifyManagedPrefixListRequest": {"PrefixListId": "pl-0a"}});
    let response = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
    let expected = [("sgr-1".to_owned(), Action::Revoked), ("sgr-old".to_owned(), Action::WouldRevoke)];
    assert_eq!(actions(&response), expected);
}

/// A call of EKS about the cluster, with what else its request says and with its response.
fn of_eks(name: &str, event_id: &str, more: &Value, response: Value) -> Value {
    let mut event = call(name, event_id);
    event["source"] = "aws.eks".into();
    event["detail"]["eventSource"] = "eks.amazonaws.com".into();
    let mut request = json!({"name": "prod"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event["detail"]["requestParameters"] = request;
    event["detail"]["responseElements"] = response;
    event
}

/// A world whose cluster has a public endpoint for everybody.
fn exposed() -> Arc<World> {
    let endpoint = Mutex::new(["0.0.0.0/0".parse().unwrap()].into_iter().collect());
    Arc::new(World { endpoint, ..World::default() })
}

#[tokio::test]
async fn an_endpoint_is_the_clusters_also_before_it_has_a_group() {
    for is_being_created in [false, true] {
        let case = Case::with_state(exposed());
        *case.world.is_being_created.lock().unwrap() = is_being_created;
        let event = of_eks("CreateCluster", "e-1", &json!({}), Value::Null);
        let response = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
        assert_eq!((requirements(&response), &response.ignored), (vec!["public-endpoint"], &None));
        let record = response.records.iter().find(|record| !record.findings.is_empty()).unwrap();
        assert_eq!((&record.group, record.clusters.as_slice()), (&None, ["prod".to_owned()].as_slice()));
        assert_eq!((record.severity, record.findings[0].named_by_event), (Some(Severity::Medium), true));
        let sent = case.world.sent.lock().unwrap();
        let [message] = sent.as_slice() else { panic!("{sent:?}") };
        assert!(message.attributes.contains(&("cluster", "prod".to_owned())), "{message:?}");
        let notice = message.notice.as_ref().unwrap();
        assert_eq!(notice.subject, "[MEDIUM] OPEN prod: the API endpoint is open to a great many, at 02:59 UTC");
        let text = email::text(notice);
        for line in [
            "Where    cluster prod, account 111122223333, us-east-1",
            "CreateCluster at 2026-11-23 02:59:58 UTC",
            "The public endpoint of the API\n  Open, to be checked",
            "limit `publicAccessCidrs` to your networks",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_is_news_only_after_a_call_that_may_have_changed_it() {
    let of = |field: &str| json!({"resourcesVpcConfig": {field: true}});
    let update = |kind: &str| json!({"update": {"type": kind, "params": [{"type": kind, "value": "x"}]}});
    let padded = json!({"omitted": true, "reason": "requestParameters too large"});
    for (name, request, response, is_news) in [
        ("CreateCluster", json!({"logging": {"clusterLogging": [1]}}), Value::Null, true),
        ("UpdateClusterConfig", of("endpointPublicAccess"), Value::Null, true),
        ("UpdateClusterConfig", of("publicAccessCidrs"), update("EndpointAccessUpdate"), true),
        ("UpdateClusterConfig", json!({}), update("EndpointAccessUpdate"), true),
        ("UpdateClusterConfig", json!({"clientRequestToken": "1"}), Value::Null, true),
        ("UpdateClusterConfig", padded.clone(), update("EndpointAccessUpdate"), true),
        ("UpdateClusterConfig", padded.clone(), padded.clone(), true),
        ("UpdateClusterConfig", json!({"resourcesVpcConfig": "{\"publicAccessCidrs\":1}"}), Value::Null, true),
        ("UpdateClusterConfig", of("securityGroupIds"), update("VpcConfigUpdate"), false),
        ("UpdateClusterConfig", json!({"logging": {"clusterLogging": [1]}}), update("LoggingUpdate"), false),
        ("UpdateClusterConfig", json!({"accessConfig": {"authenticationMode": "API"}}), Value::Null, false),
        ("UpdateClusterConfig", padded.clone(), update("LoggingUpdate"), false),
        ("CreateNodegroup", json!({"nodegroupName": "ng"}), Value::Null, false),
        ("CreateNodegroup", padded.clone(), padded.clone(), false),
    ] {
        let case = Case::process(exposed(), (Mode::Enforce, Mode::Report), 50, false);
        let event = of_eks(name, "e-1", &request, response);
        let response = case.guard.handle(&event, Timestamp::MAX).await.unwrap();
        let expected = if is_news { vec!["public-endpoint"] } else { vec![] };
        assert_eq!(requirements(&response), expected, "{event}");
        assert_eq!(case.world.notices().len(), expected.len(), "{event}");
    }
}

#[tokio::test]
async fn a_sweep_of_everything_has_the_endpoint_in_its_digest_and_one_of_some_groups_has_not() {
    let case = Case::with_state(exposed());
    *case.world.is_being_created.lock().unwrap() = true;
    let response = case.guard.handle(&json!({"sweep": {"groups": [GROUP]}}), Timestamp::MAX).await.unwrap();
    assert_eq!((requirements(&response), case.world.notices().len()), (vec![], 0));
    for _ in 0..2 {
        let response = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
        assert_eq!((requirements(&response), &response.ignored), (vec!["public-endpoint"], &None));
        let notices = case.world.notices();
        let [digest] = notices.as_slice() else { panic!("once an hour: {notices:?}") };
        assert_eq!(digest.subject, "[MEDIUM] OPEN prod: the API endpoint is open to a great many (sweep)");
        assert!(email::text(digest).contains("cluster prod"), "{}", email::text(digest));
    }
}

#[tokio::test]
async fn a_notice_names_the_setting_that_decided() {
    let clusters = "version: 1\nclusters: [{name: prod, mode: report}]\n";
    let policy = file::load("own.yaml", clusters, "2026-11-23".parse().unwrap()).unwrap().policy;
    let (id, cluster) = (GROUP.to_owned(), "prod".to_owned());
    let entry = ConfiguredGroup { id, cluster, role: Role::Node, mode: Some(Mode::Enforce) };
    let with_entry = Policy { groups: vec![entry], ..policy.clone() };
    for (policy, action, setting) in [
        (policy, Action::WouldRevoke, "The policy sets the mode of cluster `prod` to `report`"),
        (with_entry, Action::Revoked, "The policy sets the mode of group `sg-0a1` (in `groups`) to `enforce`"),
    ] {
        let case = Case::of_policy(policy, vec![kubelet("sgr-1")]);
        let response = case.event(&["sgr-1"]).await.unwrap();
        assert_eq!(actions(&response), [("sgr-1".to_owned(), action)]);
        let text = email::text(&case.world.notices()[0]);
        assert!(text.contains(setting), "{text}");
    }
}

/// A world whose guard has looked at everything once, with these rules.
async fn looked_at(rules: Vec<Rule>) -> Case {
    let case = Case::with_state(Arc::new(World { rules: Mutex::new(rules), ..World::default() }));
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    let first = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
    assert!(actions(&first).iter().all(|(_, action)| *action == Action::WouldRevoke), "it breaks nothing: {first:?}");
    case
}

#[tokio::test]
async fn what_was_there_at_the_first_look_stays_and_what_comes_later_is_closed_however_it_is_found() {
    let case = looked_at(vec![kubelet("sgr-1")]).await;
    case.world.rules.lock().unwrap().push(kubelet("sgr-2"));
    let sweep = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
    let expected = [("sgr-1".to_owned(), Action::WouldRevoke), ("sgr-2".to_owned(), Action::Revoked)];
    assert_eq!(actions(&sweep), expected, "its event was lost");

    // Named by an event that did not make it, delivered again, and with a second call's rule beside it.
    let mut old = authorize("e-old", &["sgr-1"]);
    old["detail"]["eventTime"] = "2026-11-22T02:00:00Z".into();
    case.world.rules.lock().unwrap().push(kubelet("sgr-3"));
    let named = case.guard.handle(&old, Timestamp::MAX).await.unwrap();
    let expected = [("sgr-1".to_owned(), Action::WouldRevoke), ("sgr-3".to_owned(), Action::Revoked)];
    assert_eq!(actions(&named), expected);
    assert_eq!(case.world.left(), ["sgr-1"]);
}

/// A group that was not begun was not judged, so nothing of it is known.
#[tokio::test]
async fn a_group_that_a_look_at_everything_had_no_time_for_is_not_known_afterwards() {
    let case = looked_at(vec![]).await;
    let with = |groups: &[&str]| {
        let groups = groups.iter().map(|id| (*id).to_owned()).collect();
        *case.world.interfaces.lock().unwrap() = vec![Interface { groups, ..interface("eni-0a", Some("i-1")) }];
    };
    with(&[GROUP, IDLE_GROUP]);
    *case.world.node_groups.lock().unwrap() = vec![GROUP.to_owned(), IDLE_GROUP.to_owned()];
    let first = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&first), []);
    case.world.rules.lock().unwrap().push(kubelet("sgr-1"));
    case.world.rules_beside.lock().unwrap().push(kubelet("sgr-2"));
    let late = case.guard.handle(&json!({"sweep": true}), Timestamp::MIN).await.unwrap_err();
    assert!(chain(&late).contains("was not begun"), "{}", chain(&late));
    let next = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
    let expected = [("sgr-1".to_owned(), Action::Revoked), ("sgr-2".to_owned(), Action::Revoked)];
    assert_eq!(actions(&next), expected);
}

#[tokio::test]
async fn what_an_event_created_does_not_wait_for_a_state_that_is_down_and_what_it_only_names_is_tried_again() {
    for (name, expected) in [("AuthorizeSecurityGroupIngress", vec![]), ("ModifySecurityGroupRules", vec!["sgr-1"])] {
        let case = looked_at(vec![]).await;
        case.world.rules.lock().unwrap().push(kubelet("sgr-1"));
        *case.world.state_is_down.lock().unwrap() = true;
        let mut event = authorize("e-1", &["sgr-1"]);
        event["detail"]["eventName"] = name.into();
        event["detail"]["requestParameters"] = json!({"ModifySecurityGroupRulesRequest": {"GroupId": GROUP,
            "SecurityGroupRule": {"SecurityGroupRuleId": "sgr-1"}}, "groupId": GROUP});
        case.guard.handle(&event, Timestamp::MAX).await.unwrap_err();
        assert_eq!(case.world.left(), expected, "{name}");
        *case.world.state_is_down.lock().unwrap() = false;
        case.world.milliseconds.fetch_add(60_000, Ordering::Relaxed);
        case.guard.handle(&event, Timestamp::MAX).await.unwrap();
        assert!(case.world.left().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_known_rule_that_an_event_names_waits_for_the_digest() {
    let case = looked_at(vec![kubelet("sgr-1")]).await;
    let told = case.world.notices().len();
    case.world.milliseconds.fetch_add(2 * 3_600_000, Ordering::Relaxed);
    let mut old = authorize("e-old", &["sgr-1"]);
    old["detail"]["eventTime"] = "2026-11-22T02:00:00Z".into();
    let response = case.guard.handle(&old, Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&response), [("sgr-1".to_owned(), Action::WouldRevoke)]);
    assert_eq!(case.world.notices().len(), told, "machines have the record, people the digest");
    case.sweep().await;
    assert_eq!(case.world.notices().len(), told + 1);
}

#[tokio::test]
async fn a_warm_revoke_leaves_after_one_wave_also_with_a_state() {
    let case = looked_at(vec![]).await;
    case.world.rules.lock().unwrap().push(kubelet("sgr-1"));
    case.world.calls.lock().unwrap().clear();
    case.event(&["sgr-1"]).await.unwrap();
    let calls = case.world.calls("");
    let revoke = calls.iter().position(|line| line.starts_with("revoke")).unwrap();
    assert!(calls[..revoke].contains(&"state known".to_owned()), "asked beside EC2: {calls:?}");
    assert!(!calls[..revoke].contains(&"state seen".to_owned()), "{calls:?}");
}

impl Case {
    async fn sweep(&self) -> Vec<(String, Action)> {
        self.world.milliseconds.fetch_add(3_600_000, Ordering::Relaxed);
        actions(&self.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap())
    }
}

#[tokio::test]
async fn a_known_rule_is_known_by_what_it_lets_through_and_one_that_was_edited_is_new() {
    let case = looked_at(vec![kubelet("sgr-1"), rule("sgr-2", Packets::Tcp(443, 443), "10.0.0.0/8")]).await;
    case.world.rules.lock().unwrap()[0].description = Some("edited".into());
    assert_eq!(case.sweep().await, [("sgr-1".to_owned(), Action::WouldRevoke)]);
    case.world.rules.lock().unwrap()[1] = kubelet("sgr-2");
    let expected = [("sgr-1".to_owned(), Action::WouldRevoke), ("sgr-2".to_owned(), Action::Restored)];
    assert_eq!(case.sweep().await, expected);
}

#[tokio::test]
async fn what_only_an_exception_allowed_is_closed_when_it_ends() {
    let text = "version: 1\nexceptions: [{id: test, reason: a test, owner: ann@example.com, expires: 2026-11-23, \
                protocol: tcp, ports: [10250], from: [anywhere]}]\n";
    let policy = file::load("own.yaml", text, "2026-11-23".parse().unwrap()).unwrap().policy;
    let case = looked_at(vec![]).await;
    let case = Case::under(policy, Arc::clone(&case.world), (Mode::Enforce, Mode::Report), 50, true);
    case.world.rules.lock().unwrap().push(kubelet("sgr-1"));
    assert_eq!(actions(&case.event(&["sgr-1"]).await.unwrap()), []);
    assert_eq!(case.sweep().await, []);
    case.world.milliseconds.fetch_add(24 * 3_600_000, Ordering::Relaxed);
    assert_eq!(case.sweep().await, [("sgr-1".to_owned(), Action::Revoked)]);
}

#[tokio::test]
async fn what_only_the_tags_of_its_source_kept_open_is_closed_when_they_are_gone() {
    let text = "version: 1\nclauses: [{id: own, protocol: tcp, ports: [22], from: [other-group], verdict: revoke, \
                severity: high, reason: a test}]\n";
    let policy = file::load("own.yaml", text, "2026-11-23".parse().unwrap()).unwrap().policy;
    let case = looked_at(vec![]).await;
    *case.world.peer_is_tagged.lock().unwrap() = true;
    let case = Case::under(policy, Arc::clone(&case.world), (Mode::Enforce, Mode::Report), 50, true);
    let peer = Peer::Group { id: "sg-0bb".into(), owner: None };
    let ssh = Rule { peer, ..rule("sgr-1", Packets::Tcp(22, 22), "10.0.0.0/8") };
    case.world.rules.lock().unwrap().push(ssh);
    assert_eq!(actions(&case.event(&["sgr-1"]).await.unwrap()), [("sgr-1".to_owned(), Action::Reported)]);
    assert_eq!(case.sweep().await, [("sgr-1".to_owned(), Action::Reported)]);
    *case.world.peer_is_tagged.lock().unwrap() = false;
    assert_eq!(case.sweep().await, [("sgr-1".to_owned(), Action::Revoked)]);
}

#[tokio::test]
async fn what_came_while_the_guard_only_reported_stays_and_is_told_once_as_critical() {
    let enforcing = looked_at(vec![]).await;
    let reporting = Case::process(Arc::clone(&enforcing.world), (Mode::Report, Mode::Report), 50, true);
    enforcing.world.rules.lock().unwrap().push(kubelet("sgr-1"));
    assert_eq!(reporting.sweep().await, [("sgr-1".to_owned(), Action::WouldRevoke)]);
    // That people have heard of the rule itself within the hour does not say why it is left now.
    for (minutes, is_said, is_news) in [(0, true, true), (0, false, false), (60, false, true)] {
        enforcing.world.milliseconds.fetch_add(minutes * 60_000, Ordering::Relaxed);
        let sweep = enforcing.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
        let finding = &sweep.records[0].findings[0];
        assert_eq!((finding.action, finding.known), (Action::WouldRevoke, true));
        assert_eq!(finding.notified_at.is_none(), is_news, "{minutes} {finding:?}");
        assert_eq!(
            finding.detail.as_ref().unwrap().contains("only reported; close it by hand"),
            is_said,
            "{finding:?}"
        );
    }
}

#[tokio::test]
async fn a_spare_group_of_anothers_that_comes_to_the_cluster_is_closed_and_what_was_allowed_before_stays_known() {
    let world = World { rules: Mutex::new(vec![kubelet("sgr-1")]), ..World::default() };
    *world.node_groups.lock().unwrap() = vec![];
    let case = Case::with_state(Arc::new(world));
    *case.world.interfaces.lock().unwrap() = vec![interface("eni-0a", Some("i-1"))];
    case.sweep().await;
    let another = |known: &mut eks_sg_guard::model::baseline::KnownRule| known.context.clusters.clear();
    case.world.baselines.lock().unwrap().values_mut().flat_map(|all| all.rules.values_mut()).for_each(another);
    let attached = case.guard.handle(&attaches_to("eni-0a", "e-1"), Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&attached), [("sgr-1".to_owned(), Action::Revoked)]);
}

#[tokio::test]
async fn a_known_state_that_is_lost_makes_nothing_new() {
    let case = looked_at(vec![kubelet("sgr-1")]).await;
    case.world.baselines.lock().unwrap().clear();
    let sweep = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&sweep), [("sgr-1".to_owned(), Action::WouldRevoke)]);
    let finding = &sweep.records[0].findings[0];
    assert!(finding.detail.as_ref().unwrap().contains("not looking"), "{finding:?}");
    assert_eq!((finding.known, finding.severity), (true, Some(Severity::Critical)));
    assert!(case.world.baselines.lock().unwrap().contains_key(GROUP), "known again");
}

#[tokio::test]
async fn one_bad_message_of_a_batch_fails_alone() {
    let case = Case::new(vec![kubelet("sgr-1")]);
    let message = |id: &str, body: &str| json!({"messageId": id, "eventSource": "aws:sqs", "body": body});
    let good = authorize("e-1", &["sgr-1"]).to_string();
    let batch = json!({"Records": [message("m-1", "{not json"), message("m-2", &good), message("m-3", "{}")]});
    let answer = case.guard.handle(&batch, Timestamp::MAX).await.unwrap();
    assert_eq!(actions(&answer), [("sgr-1".to_owned(), Action::Revoked)]);
    let answer = serde_json::to_value(&answer).unwrap();
    assert_eq!(answer["batchItemFailures"], json!([{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-3"}]));

    let sns = |body: &str| json!({"EventSource": "aws:sns", "Sns": {"MessageId": "n-1", "Message": body}});
    let error = case.guard.handle(&json!({"Records": [sns("{}")]}), Timestamp::MAX).await.unwrap_err();
    assert_eq!(error.kind(), "Unfinished", "SNS knows only the whole");
}

#[tokio::test]
async fn who_takes_the_tags_off_a_node_does_not_lower_the_evidence_he_is_judged_on() {
    let case = looked_at(vec![from_group("sgr-0", Packets::Tcp(443, 443), CLUSTER_GROUP)]).await;
    *case.world.node_is_only_tagged.lock().unwrap() = true;
    case.sweep().await;
    let members = case.world.members.lock().unwrap()[GROUP].clone();
    assert!(members.contains_key("prod"), "{members:?}");

    *case.world.node_has_no_tags.lock().unwrap() = true;
    *case.world.rules.lock().unwrap() = vec![kubelet("sgr-1")];
    let cold = Case::with_state(Arc::clone(&case.world));
    assert_eq!(actions(&cold.event(&["sgr-1"]).await.unwrap()), [("sgr-1".to_owned(), Action::Revoked)]);

    // A day later it is nobody's.
    case.world.milliseconds.fetch_add(25 * 3_600_000, Ordering::Relaxed);
    let later = case.opens("sgr-2", 27 * 60).await.unwrap();
    assert!(later.records.is_empty(), "{later:?}");
}

#[tokio::test]
async fn a_group_that_comes_to_another_cluster_and_one_that_less_than_proof_makes_a_clusters_are_said_once() {
    let checks = |response: &FunctionResponse| {
        let findings = response.records.iter().flat_map(|record| &record.findings);
        let check = |finding: &Finding| match finding.subject {
            Subject::Check(check) => Some(check),
            _ => None,
        };
        findings.filter_map(check).collect::<Vec<_>>()
    };
    let member = |cluster: &str| {
        let at = "2026-11-22T00:00:00Z".parse().unwrap();
        let roles = [Role::Node].into();
        let member = Member {
            created_at: None,
            node_groups: BTreeSet::new(),
            is_whole: false,
            roles,
            attachments: BTreeSet::new(),
            is_proven: true,
            since: at,
            at,
        };
        Members::from([(cluster.to_owned(), member)])
    };
    for (known, expected) in
        [(Members::new(), vec![]), (member("blue"), vec![Check::NewCluster]), (member("prod"), vec![])]
    {
        let case = looked_at(vec![]).await;
        case.world.members.lock().unwrap().insert(GROUP.into(), known);
        let sweep = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
        assert_eq!(checks(&sweep), expected);
        let again = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
        assert_eq!(checks(&again), []);
    }
    let case = looked_at(vec![from_group("sgr-0", Packets::Tcp(443, 443), CLUSTER_GROUP)]).await;
    case.world.members.lock().unwrap().clear();
    *case.world.node_is_only_tagged.lock().unwrap() = true;
    let sweep = case.guard.handle(&json!({"sweep": true}), Timestamp::MAX).await.unwrap();
    assert_eq!(checks(&sweep), [Check::NewMember]);
}

#[tokio::test]
async fn a_peer_that_only_tags_make_the_clusters_counts_as_such_once_a_day_has_passed() {
    let node = |since: i64| {
        let now = Fake(Arc::default()).now();
        let at = now - SignedDuration::from_hours(1);
        let since = now - SignedDuration::from_hours(since);
        let roles = [Role::Node].into();
        let attachments = BTreeSet::from(["i-1".to_owned()]);
        Member {
            created_at: None,
            node_groups: BTreeSet::new(),
            is_whole: false,
            roles,
            attachments,
            is_proven: false,
            since,
            at,
        }
    };
    for (member, expected) in [(None, vec!["sgr-1"]), (Some(node(2)), vec!["sgr-1"]), (Some(node(25)), vec![])] {
        let case = Case::with_state(Arc::new(World {
            rules: Mutex::new(vec![from_group("sgr-1", Packets::Tcp(10250, 10250), "sg-0bb")]),
            ..World::default()
        }));
        *case.world.peer_is_tagged.lock().unwrap() = true;
        if let Some(member) = member {
            case.world.members.lock().unwrap().insert("sg-0bb".into(), [("prod".to_owned(), member)].into());
        }
        let response = case.guard.handle(&call("AuthorizeSecurityGroupIngress", "e-1"), Timestamp::MAX).await.unwrap();
        let reported: Vec<String> = actions(&response).into_iter().map(|(id, _)| id).collect();
        assert_eq!(reported, expected, "the kubelet from another group is reported, from the cluster's own allowed");
    }
}

#[tokio::test]
async fn who_wrote_a_rule_is_remembered_and_its_marker_says_no_more_in_the_next_sweep() {
    let case = looked_at(vec![]).await;
    let reporting = Case::process(Arc::clone(&case.world), (Mode::Report, Mode::Report), 50, true);
    let description = Some("elbv2.k8s.aws/targetGroupBinding=shared".to_owned());
    let marked = Rule { description, ..rule("sgr-1", Packets::Tcp(22, 22), "0.0.0.0/0") };
    case.world.rules.lock().unwrap().push(marked);
    let would_revoke = [("sgr-1".to_owned(), Action::WouldRevoke)];
    assert_eq!(reporting.sweep().await, [("sgr-1".to_owned(), Action::Reported)], "nobody knows who wrote it");
    assert_eq!(actions(&reporting.event(&["sgr-1"]).await.unwrap()), would_revoke, "no controller did");
    assert_eq!(reporting.sweep().await, would_revoke);
}

#[tokio::test]
async fn a_known_rule_that_is_narrowed_is_left_and_one_that_is_widened_again_goes_back_to_that() {
    let case = looked_at(vec![kubelet("sgr-1")]).await;
    let narrow = rule("sgr-1", Packets::Tcp(10250, 10250), "198.51.100.7/32");
    *case.world.rules.lock().unwrap() = vec![narrow.clone()];
    assert_eq!(case.sweep().await, [("sgr-1".to_owned(), Action::WouldRevoke)]);
    assert!(case.world.calls("modify").is_empty(), "the guard opens nothing");
    *case.world.rules.lock().unwrap() = vec![kubelet("sgr-1")];
    assert_eq!(case.sweep().await, [("sgr-1".to_owned(), Action::Restored)]);
    assert_eq!(*case.world.rules.lock().unwrap(), [narrow]);
}
