//! What stands between the guard and AWS while somebody at a terminal has it close rules: only rules that were shown and
//! agreed to are closed, each is written down before the call leaves, and nothing else is done or remembered.
//!
//! Must not: judge, or order effects: that is the guard's, which is the same here as in the function.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::audit::report::{Audit, AuditedRule, Fate};
use crate::guard::setup::Setup;
use crate::model::baseline::{KnownGroups, Lesson};
use crate::model::error::CloudError;
use crate::model::facts::{GroupFacts, Instance, Instances, Interface, Interfaces, PrefixListFacts, Rules, Selector};
use crate::model::hour::Hour;
use crate::model::ids::Location;
use crate::model::mode::Restore;
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Rule};
use crate::plan::modes::Modes;
use crate::policy::model::{Mode, Policy};
use crate::ports::{Ec2, Ports, StateStore};
use crate::report::allowance::Allowed;
use crate::report::history::{History, Key};
use crate::report::journal::{Journal, Note};
use crate::report::outbox::{Claimed, Letter, Sent};
use crate::report::part::EndedPart;
use crate::report::record::Record;

/// The rules of a location that are to be closed, by group and id.
pub type Agreed = BTreeMap<String, BTreeMap<String, Rule>>;

/// More than any plan has.
const MAX_REVOKES: usize = 1_000_000;

/// Takes what is about to be closed, before the call leaves. An error keeps the call back.
pub type WriteDown = Arc<dyn Fn(&str, &[&Rule]) -> Result<(), String> + Send + Sync>;

/// What is to be closed of what an audit found: what the guard would revoke, were it told to enforce, and nothing that the
/// policy says is only to be reported.
pub fn plan(audit: &Audit) -> BTreeMap<Location, Agreed> {
    let mut plan: BTreeMap<Location, Agreed> = BTreeMap::new();
    for found in &audit.locations {
        for group in &found.groups {
            let is_closed = |rule: &&AuditedRule| rule.fate == Fate::Revoke && rule.detail.is_none();
            let rules = group.rules.iter().filter(is_closed).map(|rule| rule.judged.rule.clone());
            let rules: BTreeMap<String, Rule> =
                rules.filter(|rule| !rule.id.is_empty()).map(|rule| (rule.id.clone(), rule)).collect();
            if !rules.is_empty() {
                plan.entry(found.location.clone()).or_default().insert(group.group.id.clone(), rules);
            }
        }
    }
    plan
}

/// How the guard is set up for it: it enforces what was agreed to, never puts back, and notifies nobody.
pub fn setup(ports: Ports, policy: &Policy, location: &Location, agreed: &Agreed, write_down: WriteDown) -> Setup {
    let ec2 = Arc::new(Held { inner: ports.ec2, agreed: agreed.clone(), write_down });
    let state = ports.state.map(|inner| Arc::new(JournalAlone { inner }) as Arc<dyn StateStore>);
    Setup {
        ports: Ports { ec2, state, queue: None, channels: Vec::new(), ..ports },
        policy: policy.clone(),
        modes: Modes::new(Mode::Enforce, Mode::Enforce).restoring(Restore::Never),
        // What was agreed to is the limit: a rule that came since must not take the place of one that was shown.
        max_revokes: MAX_REVOKES,
        location: location.clone(),
    }
}

/// EC2, of which only what was agreed to is asked for.
struct Held {
    inner: Arc<dyn Ec2>,
    agreed: Agreed,
    write_down: WriteDown,
}

#[async_trait]
impl Ec2 for Held {
    async fn groups(&self, selector: &Selector) -> Result<Vec<GroupFacts>, CloudError> {
        self.inner.groups(selector).await
    }

    async fn default_vpc_group(&self, name: &str) -> Result<Option<String>, CloudError> {
        self.inner.default_vpc_group(name).await
    }

    async fn cluster_groups(&self, vpcs: &[String]) -> Result<Vec<GroupFacts>, CloudError> {
        self.inner.cluster_groups(vpcs).await
    }

    async fn rules(&self, groups: &[String]) -> Result<Rules, CloudError> {
        self.inner.rules(groups).await
    }

    async fn interfaces(&self, selector: &Selector) -> Result<Interfaces, CloudError> {
        self.inner.interfaces(selector).await
    }

    async fn interfaces_of(&self, attachment: &str) -> Result<Vec<Interface>, CloudError> {
        self.inner.interfaces_of(attachment).await
    }

    async fn groups_using(&self, prefix_list: &str) -> Result<Vec<String>, CloudError> {
        self.inner.groups_using(prefix_list).await
    }

    async fn letting_in(&self, groups: &[String]) -> Result<Vec<(String, String)>, CloudError> {
        self.inner.letting_in(groups).await
    }

    async fn instances(&self, which: &Instances) -> Result<Vec<Instance>, CloudError> {
        self.inner.instances(which).await
    }

    async fn nodes(&self, cluster: &str, vpc: &str) -> Result<(Vec<Instance>, bool), CloudError> {
        self.inner.nodes(cluster, vpc).await
    }

    async fn associations(&self, selector: &Selector) -> Result<BTreeMap<String, BTreeSet<String>>, CloudError> {
        self.inner.associations(selector).await
    }

    async fn vpc_ranges(&self) -> Result<BTreeMap<String, Addresses>, CloudError> {
        self.inner.vpc_ranges().await
    }

    async fn prefix_list(&self, id: &str) -> Result<PrefixListFacts, CloudError> {
        self.inner.prefix_list(id).await
    }

    async fn entries_of_version(&self, list: &str, version: i64) -> Result<Addresses, CloudError> {
        self.inner.entries_of_version(list, version).await
    }

    /// All or none, as EC2 does: the guard then asks for each alone.
    async fn revoke(&self, group: &str, direction: Direction, rules: &[String]) -> Result<(), CloudError> {
        let agreed = self.agreed.get(group);
        let known: Vec<&Rule> = rules.iter().filter_map(|id| agreed?.get(id)).collect();
        if known.len() < rules.len() {
            let why = "it was not in the plan that was shown; audit again to see it";
            return Err(CloudError::Withheld(why.to_owned()));
        }
        (self.write_down)(group, &known).map_err(|why| {
            CloudError::Withheld(format!("what was about to be done could not be written down: {why}"))
        })?;
        self.inner.revoke(group, direction, rules).await
    }

    async fn modify(&self, _: &str, _: &[Rule]) -> Result<(), CloudError> {
        Err(CloudError::Withheld("nothing is put back here".to_owned()))
    }
}

/// The guard's table, of which only the journal and the hourly limit are written. What people were told, and which rules are
/// known, is between the function and its table; the function tells people of what the journal holds.
struct JournalAlone {
    inner: Arc<dyn StateStore>,
}

#[async_trait]
impl StateStore for JournalAlone {
    async fn known(&self, groups: &[String]) -> Result<(KnownGroups, BTreeMap<String, Journal>), CloudError> {
        self.inner.known(groups).await
    }

    async fn note(&self, group: &str, note: &Note) -> Result<Journal, CloudError> {
        self.inner.note(group, &Note { told: BTreeSet::new(), ..note.clone() }).await
    }

    async fn concerned(&self, _: &str, groups: &BTreeSet<String>) -> Result<BTreeSet<String>, CloudError> {
        Ok(groups.clone())
    }

    async fn seen(&self, vpc: &str) -> Result<BTreeSet<String>, CloudError> {
        self.inner.seen(vpc).await
    }

    async fn learn(&self, _: &Lesson) -> Result<(), CloudError> {
        Ok(())
    }

    async fn take(&self, rules: &[String], limit: usize) -> Result<Hour, CloudError> {
        self.inner.take(rules, limit).await
    }

    async fn claim(&self, _: &str, _: &Letter, _: &[&str]) -> Result<Claimed, CloudError> {
        Ok(Claimed::default())
    }

    async fn settle(&self, _: &str, _: &[Sent]) -> Result<(), CloudError> {
        Ok(())
    }

    async fn allow(&self, _: &str, _: &str) -> Result<Allowed, CloudError> {
        Ok(Allowed::Message)
    }

    async fn wait(&self, _: &[Record], _: &BTreeSet<String>) -> Result<Vec<Record>, CloudError> {
        Ok(Vec::new())
    }

    async fn history(&self, _: Option<&str>, _: &[Key]) -> Result<(bool, BTreeMap<Key, History>), CloudError> {
        Ok((false, BTreeMap::new()))
    }

    async fn lease(&self, _: &str, _: Timestamp) -> Result<bool, CloudError> {
        Ok(true)
    }

    async fn renew(&self, _: &str, _: Timestamp) -> Result<(), CloudError> {
        Ok(())
    }

    async fn ended(&self, _: &str, _: usize, _: usize, _: &EndedPart) -> Result<Option<Vec<EndedPart>>, CloudError> {
        Ok(None)
    }

    async fn remember(&self, _: Option<&str>, _: &[(Key, History)]) -> Result<(), CloudError> {
        Ok(())
    }
}
