//! One look at everything in the files, location by location: read by the inventory, planned as a sweep plans, nothing done.
//!
//! Must not: decide what a rule is to the policy (the plan asks the judge).

use std::cell::LazyCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures_executor::block_on;
use jiff::Timestamp;
use wildmatch::WildMatch;

use super::saved::Kind;
use super::saved::facts::Facts;
use super::saved::ports::{SavedAws, Still};
use super::{checks, missing, sight};
use crate::audit::report::{Audit, AuditFinding, AuditedGroup, AuditedLocation, AuditedRule, Fate, Place};
use crate::cluster::topology::Of;
use crate::event::Named;
use crate::inventory::{GroupSnapshot, Inventory, Looked};
use crate::model::error::{CloudError, chain};
use crate::model::group::Group;
use crate::model::ids::Location;
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::{Direction, Rule};
use crate::model::text::plain;
use crate::needs;
use crate::plan::modes::Modes;
use crate::plan::standing::{Led, Memory};
use crate::plan::{Intent, PlanContext, Step, plan_by};
use crate::policy::judge::{Judge, UNREADABLE_LIST};
use crate::policy::model::{Mode, PeerClass, Policy, Verdict};
use crate::policy::reach::{self, Now, Paths, Reachable};
use crate::ports::Ports;
use crate::report::finding::Finding;
use crate::report::outcome::Action;

/// Which of the clusters an audit is about.
#[derive(Clone, Debug, Default)]
pub struct Scope(Vec<WildMatch>);

impl Scope {
    /// Those whose names match one of the globs; all without any.
    pub fn new<'a>(globs: impl IntoIterator<Item = &'a String>) -> Self {
        Self(globs.into_iter().map(|glob| WildMatch::new(glob)).collect())
    }

    fn holds(&self, cluster: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|glob| glob.matches(cluster))
    }

    fn holds_any<'a>(&self, clusters: impl IntoIterator<Item = &'a String>) -> bool {
        self.0.is_empty() || clusters.into_iter().any(|name| self.holds(name))
    }
}

/// Looks at everything.
///
/// # Errors
/// A location that could not be looked at, with the reason.
pub fn look(facts: &Arc<Facts>, policy: &Policy, scope: &Scope, now: Timestamp) -> Result<Audit, CloudError> {
    look_at(std::slice::from_ref(facts), policy, scope, now)
}

/// Looks at everything that was read in several places, each by itself.
///
/// # Errors
/// As [`look`].
pub fn look_at(all: &[Arc<Facts>], policy: &Policy, scope: &Scope, now: Timestamp) -> Result<Audit, CloudError> {
    let mut audit = Audit {
        policy: policy.name.clone(),
        policy_hash: policy.hash.clone(),
        networks: policy.networks.clone(),
        at: now,
        locations: Vec::new(),
        missing: Vec::new(),
        warnings: all.iter().flat_map(|facts| facts.warnings.clone()).collect(),
    };
    for facts in all {
        for location in facts.locations() {
            let here = Here { policy, scope, now, location };
            let found = block_on(here.look(facts, &mut audit.warnings))?;
            if !found.clusters.is_empty() {
                audit.locations.push(found);
            }
        }
    }
    audit.missing = all.iter().flat_map(|facts| missing::inputs(facts, &audit)).collect();
    let mut of_input = checks::of_input(all, policy, &audit, scope.0.is_empty(), now);
    if let Some(first) = audit.locations.first_mut() {
        first.findings.append(&mut of_input);
    }
    Ok(audit)
}

/// One location.
struct Here<'a> {
    policy: &'a Policy,
    scope: &'a Scope,
    now: Timestamp,
    location: Location,
}

/// Doors to saved answers. Nobody is notified, and nothing is remembered.
pub(crate) fn ports(facts: &Arc<Facts>, location: &Location, now: Timestamp) -> Ports {
    let aws = Arc::new(SavedAws { facts: Arc::clone(facts), location: location.clone() });
    Ports::to_aws_alone(aws.clone(), aws, Arc::new(Still(now)), Arc::default())
}

impl Here<'_> {
    async fn look(self, facts: &Arc<Facts>, warnings: &mut Vec<String>) -> Result<AuditedLocation, CloudError> {
        let location = &self.location;
        let inventory =
            Inventory::new(&ports(facts, location, self.now), location.account.clone(), self.policy.groups.clone());
        let Looked { snapshots, clusters, unread, .. } = inventory.read_in_scope().await?;
        for unread in unread {
            // That there are no VPCs is said with all that is missing.
            let is_said = matches!(&unread.source, CloudError::Failed { action, .. } if action == Kind::Vpcs.command());
            if !is_said {
                warnings.push(format!("{} could not be read: {}", unread.what, chain(&unread.source)));
            }
        }
        let clusters: Vec<String> = clusters.into_iter().filter(|name| self.scope.holds(name)).collect();
        let judge = Judge::new(self.policy, &self.location, self.now);
        let groups: Vec<AuditedGroup> = snapshots
            .into_iter()
            .filter(|snapshot| self.scope.holds_any(&snapshot.group.clusters))
            .map(|snapshot| self.judged(&judge, snapshot, facts))
            .collect();
        let mut findings = self.of_groups(&groups, facts);
        let (mut of_clusters, unlooked) = self.of_clusters(&inventory, &clusters, &groups, facts).await;
        warnings.extend(unlooked);
        findings.append(&mut of_clusters);
        findings.extend(checks::of_groups(facts, self.policy, &self.location, &groups));
        let none = BTreeSet::new();
        let unseen = sight::of_location(facts, &self.location).filter(|_| !clusters.is_empty());
        findings.extend(unseen.map(|finding| AuditFinding::of(self.place(&none, None), finding)));
        sort(&mut findings);
        Ok(AuditedLocation { location: self.location, clusters, groups, findings })
    }

    fn judged(&self, judge: &Judge<'_>, snapshot: GroupSnapshot, facts: &Facts) -> AuditedGroup {
        let mut group = snapshot.group;
        // What is not there yet is attached to nothing yet.
        group.is_unattached &= !facts.planned.groups.contains(&group.id);
        for (_, peer) in group.peers.iter_mut().filter(|(id, _)| facts.planned.groups.contains(*id)) {
            peer.is_unattached = false;
        }
        let (led, memory) = (Led::Elsewhere, &Memory::None);
        // As the guard would, were it told to close what it finds.
        let modes = Modes::new(Mode::Enforce, Mode::Enforce);
        let context = PlanContext {
            policy: self.policy,
            location: &self.location,
            now: self.now,
            modes,
            actor: None,
            named: &Named::Nothing,
            led,
            memory,
        };
        let rules = plan_by(judge, context, &group).into_iter().map(audited).collect();
        AuditedGroup { origin: facts.origins.get(&group.id).cloned(), group, rules }
    }

    fn place<'p>(&'p self, clusters: &'p BTreeSet<String>, audited: Option<&'p AuditedGroup>) -> Place<'p> {
        let (group, origin) = (audited.map(|audited| &audited.group), audited.and_then(|found| found.origin.as_ref()));
        Place { location: &self.location, clusters, group, origin }
    }

    fn of_groups(&self, groups: &[AuditedGroup], facts: &Facts) -> Vec<AuditFinding> {
        let mut findings = Vec::new();
        let paths = Paths::of(&facts.network);
        for audited in groups {
            let interfaces = LazyCell::new(|| paths.interfaces(&audited.group.id));
            let of = |finding| AuditFinding::of(self.place(&audited.group.clusters, Some(audited)), finding);
            let is_told = |rule: &&AuditedRule| rule.judged.verdict > Verdict::Allow && rule.action != Action::None;
            let rules = audited
                .rules
                .iter()
                .filter(is_told)
                .map(|rule| of(Finding::of_rule(&rule.judged, (false, true), rule.action, rule.detail.clone())));
            let rules = rules.map(|found: AuditFinding| AuditFinding {
                reachable: reachable(facts, &audited.group, &found, |clients, traffic| {
                    reach::of(&paths, &interfaces, clients, traffic)
                }),
                ..found
            });
            let rules = rules.map(|found: AuditFinding| match &found.rule {
                Some(rule) if facts.planned.has(&audited.group.id, &rule.id) => {
                    AuditFinding { fix: Some(format!("change `{}` before it is applied", plain(&rule.id))), ..found }
                }
                _ => found,
            });
            findings.extend(rules);
            let unreadable: Vec<String> = audited.group.unreadable_rules.iter().map(|rule| rule.why.clone()).collect();
            findings.extend((!unreadable.is_empty()).then(|| of(Finding::unreadable(&unreadable, false))));
        }
        findings
    }

    /// What clusters need and do not have, and their public endpoints; and what could not be looked at.
    async fn of_clusters(
        &self,
        inventory: &Inventory,
        clusters: &[String],
        groups: &[AuditedGroup],
        facts: &Facts,
    ) -> (Vec<AuditFinding>, Vec<String>) {
        let (mut findings, mut unlooked) = (Vec::new(), Vec::new());
        let in_question = groups.iter().filter(|audited| needs::hang_on(&audited.group));
        let in_question: BTreeSet<&String> = in_question.flat_map(|audited| &audited.group.clusters).collect();
        let position: HashMap<&String, usize> = groups.iter().enumerate().map(|(at, of)| (&of.group.id, at)).collect();
        for name in clusters {
            let of = BTreeSet::from([name.clone()]);
            // What EKS adds to a cluster that is not there yet is not known.
            if in_question.contains(name) && !facts.planned.clusters.contains(name) {
                match needs::missing(inventory, self.policy, name, &Of::All, BTreeMap::new(), None).await {
                    Ok(missing) => findings.extend(missing.into_iter().map(|(attached, finding)| {
                        let first = attached.iter().filter_map(|id| position.get(id)).min();
                        AuditFinding::of(self.place(&of, first.and_then(|at| groups.get(*at))), finding)
                    })),
                    Err(error) => {
                        let why = chain(&error);
                        unlooked.push(format!("what cluster `{name}` needs could not be looked at: {why}"));
                    }
                }
            }
            match needs::exposed(inventory, self.policy, name, false).await {
                Ok(exposed) => {
                    findings.extend(exposed.map(|finding| AuditFinding::of(self.place(&of, None), finding)));
                }
                Err(error) => {
                    let why = chain(&error);
                    unlooked.push(format!("who may call the API of cluster `{name}` could not be looked at: {why}"));
                }
            }
        }
        (findings, unlooked)
    }
}

/// Whether what a rule lets in from the internet gets to the group now.
fn reachable(
    facts: &Facts,
    group: &Group,
    found: &AuditFinding,
    by: impl Fn(&Addresses, &Traffic) -> Reachable,
) -> Option<Reachable> {
    let rule = found.rule.as_ref().filter(|rule| rule.direction == Direction::Ingress)?;
    let is_from_outside = found.portions.iter().any(|portion| portion.peer_class == PeerClass::Internet.word());
    let clients = group.addresses_of(&rule.peer).filter(|_| is_from_outside)?;
    if facts.planned.groups.contains(&group.id) {
        return Some(Reachable { now: Now::Unknown, path: "unknown: the group is not there yet".to_owned() });
    }
    Some(by(&clients, &Traffic::from(rule.packets)))
}

/// The group that a finding is about.
fn id(found: &AuditFinding) -> Option<&str> {
    found.group.as_ref().map(|group| group.id.as_str())
}

/// By cluster, and in each of them the worst first; of the same, what can be reached now.
fn sort(findings: &mut [AuditFinding]) {
    let weight = |found: &AuditFinding| {
        let now = found.reachable.as_ref().map(|reachable| reachable.now);
        Reverse((found.verdict, found.severity, now))
    };
    let content = |rule: &Rule| (rule.packets.to_string(), rule.peer.to_string());
    let by_rule = |one: &Option<Rule>, other: &Option<Rule>| match (one, other) {
        (Some(one), Some(other)) => one.id.cmp(&other.id).then_with(|| content(one).cmp(&content(other))),
        _ => one.is_some().cmp(&other.is_some()),
    };
    findings.sort_by(|one, other| {
        let by_weight = one.clusters.cmp(&other.clusters).then_with(|| weight(one).cmp(&weight(other)));
        let by_group = by_weight.then(one.kind.cmp(&other.kind)).then_with(|| id(one).cmp(&id(other)));
        by_group.then_with(|| by_rule(&one.rule, &other.rule))
    });
}

fn audited(step: Step) -> AuditedRule {
    let judged = step.finding;
    let unreadable = || {
        let mut objecting = judged.portions.iter().filter(|portion| portion.verdict > Verdict::Allow).peekable();
        objecting.peek().is_some() && objecting.all(|portion| portion.clause == UNREADABLE_LIST)
    };
    let (fate, action, detail) = match step.intent {
        Intent::None => (Fate::Allow, Action::None, None),
        Intent::Report(why) if unreadable() => (Fate::Unjudged, Action::Reported, why),
        Intent::Report(why) => (Fate::Report, Action::Reported, why),
        Intent::Refuse(why) => (Fate::Report, Action::Refused, Some(why)),
        Intent::WouldRevoke(why) => (Fate::Revoke, Action::WouldRevoke, Some(why)),
        Intent::Revoke | Intent::PutBack => (Fate::Revoke, Action::WouldRevoke, None),
        Intent::Postpone(_) => {
            let why = "whose addresses these are is not known: the ranges of the VPC were not read".to_owned();
            (Fate::Unjudged, Action::Reported, Some(why))
        }
    };
    AuditedRule { judged, fate, action, detail }
}
