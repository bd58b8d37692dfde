//! The decision: a pure, total function from (policy, group, author, now) to judged rules. One evaluator for every trigger.
//!
//! The first clause that covers a *portion* of a rule decides that portion; the rule's verdict is the worst of its
//! portions. Must not: know modes, limits or events; they change the plan, never the verdict.

use std::collections::{BTreeMap, BTreeSet};

use fixedbitset::FixedBitSet;
use jiff::Timestamp;
use wildmatch::WildMatch;

use crate::model::group::{Group, Role};
use crate::model::ids::Location;
use crate::model::region::Traffic;
use crate::model::rule::Rule;
use crate::policy::classes::Classes;
use crate::policy::controller::{Author, is_controllers};
use crate::policy::model::{Clause, Origin, PeerClass, PeerTerm, Policy, Severity, Verdict};
use crate::policy::named::{self, Part};
use crate::policy::peers::{Covered, PeerKind, Peers, ReachedPeers};

/// A rule with its verdict, and why. What is not allowed becomes a finding once it is known what becomes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedRule {
    /// The rule as it was read.
    pub rule: Rule,
    /// The worst of the portions.
    pub verdict: Verdict,
    /// The worst of the portions that are not allowed.
    pub severity: Option<Severity>,
    /// What decided each part of the rule, in the order of the clauses.
    pub portions: Vec<Portion>,
}

/// A part of a rule that one clause decided for one class of peers.
#[derive(Clone, Debug, PartialEq)]
pub struct Portion {
    /// The clause's id; `uncovered` and `unreadable-prefix-list` where no clause speaks.
    pub clause: String,
    /// Protocols and ports of the part.
    pub traffic: Traffic,
    /// What the peers of the part are.
    pub peer_class: PeerClass,
    /// Which addresses of that class, for people; `None`: all that the rule has.
    pub addresses: Option<String>,
    /// What the clause says here.
    pub verdict: Verdict,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// The clause's reason.
    pub reason: String,
    /// The clause speaks of a role that the group has by strong evidence.
    pub strong: bool,
    /// A clause of the user's that names groups of the cluster.
    pub names_cluster_groups: bool,
}

impl Portion {
    /// What its addresses hang on.
    pub fn part(&self) -> Part<'_> {
        Part { clause: &self.clause, class: self.peer_class, traffic: &self.traffic }
    }
}

/// Judges every rule of the group, allowed ones included, in the order of `group.rules`.
pub fn judge(
    policy: &Policy,
    group: &Group,
    location: &Location,
    now: Timestamp,
    author: impl Fn(&Rule) -> Author,
) -> Vec<JudgedRule> {
    let evaluator = Evaluator::new(policy, group, location, now);
    let reaches = evaluator.peers.reaches();
    let judged = |rule| {
        let mut judged = evaluator.judge(rule, reaches.get(&(rule.direction, &rule.peer)), author(rule));
        let parts: Vec<_> = judged.portions.iter().map(Portion::part).collect();
        let names = named::name(policy, group, &rule.peer, &parts);
        judged.portions.iter_mut().zip(names).for_each(|(portion, name)| portion.addresses = name);
        judged
    };
    group.rules.iter().map(judged).collect()
}

/// Everything about a policy and a group that does not depend on the rule.
struct Evaluator<'a> {
    group: &'a Group,
    otherwise: Verdict,
    peers: Peers<'a>,
    clauses: Vec<Active<'a>>,
    /// Cut by the clauses.
    traffic: Classes,
}

/// A clause that speaks of this group now.
struct Active<'a> {
    clause: &'a Clause,
    covered: Covered,
    verdict: Verdict,
}

/// What a clause takes of the peer of a rule.
enum Take<'c> {
    Nothing,
    Classes(&'c FixedBitSet),
    All,
}

/// The position of a clause and a class of peers, with the ranges of traffic that it decides there.
type Parts = BTreeMap<(usize, PeerClass), Vec<(u128, u128)>>;

impl<'a> Evaluator<'a> {
    fn new(policy: &'a Policy, group: &'a Group, location: &Location, now: Timestamp) -> Self {
        let roles = group.role_set();
        let clauses: Vec<&Clause> =
            policy.clauses.iter().filter(|clause| speaks_of(clause, group, &roles, location, now)).collect();
        let traffic = Classes::new(&clauses.iter().map(|clause| &clause.traffic).collect::<Vec<_>>());
        let (peers, covered) = Peers::new(group, &clauses);
        let beside_load_balancer = roles.contains(&Role::LoadBalancer) && roles.len() > 1;
        let active = |(clause, covered): (&'a Clause, Covered)| {
            let softened = beside_load_balancer && !clause.beside_load_balancer;
            let verdict = if softened { clause.verdict.min(Verdict::Report) } else { clause.verdict };
            Active { clause, covered, verdict }
        };
        let clauses = clauses.into_iter().zip(covered).map(active).collect();
        Self { group, otherwise: policy.otherwise, peers, clauses, traffic }
    }

    fn judge(&self, rule: &Rule, reach: Option<&ReachedPeers>, author: Author) -> JudgedRule {
        let controller = is_controllers(rule, author, self.group);
        let portion = |((at, class), ranges): ((usize, PeerClass), Vec<(u128, u128)>)| {
            let traffic = Traffic::from_points(ranges);
            match self.clauses.get(at) {
                Some(active) => self.portion(active, rule, controller, class, traffic),
                None => self.uncovered(class, traffic),
            }
        };
        let portions: Vec<Portion> = self.parts(rule, reach).into_iter().map(portion).collect();
        let verdict = portions.iter().map(|portion| portion.verdict).max().unwrap_or(Verdict::Allow);
        let severity =
            portions.iter().filter(|portion| portion.verdict > Verdict::Allow).filter_map(|p| p.severity).max();
        JudgedRule { rule: rule.clone(), verdict, severity, portions }
    }

    /// Which clause decides what. Within a piece of traffic the clauses that speak of it are asked in order: each takes the
    /// classes of addresses that it covered, and what is left goes to the next one. Groups and lists known by name are taken
    /// whole.
    fn parts(&self, rule: &Rule, reach: Option<&ReachedPeers>) -> Parts {
        let kind = self.peers.kind(&rule.peer);
        let (everything, nowhere) = (FixedBitSet::from_iter([0]), Traffic::default());
        let (classes, wide) = reach.map_or((&everything, &nowhere), |reach| (&reach.classes, &reach.wide));
        let traffic = Traffic::from(rule.packets);
        let mut parts = Parts::new();
        for (traffic, is_wide) in [(&traffic - wide, false), (&traffic & wide, true)] {
            if traffic.is_empty() {
                continue;
            }
            let takes: Vec<Take<'_>> =
                self.clauses.iter().map(|active| self.take(active, rule, kind, is_wide)).collect();
            for (class, range) in self.traffic.pieces(&traffic) {
                let mut rest = classes.clone();
                for at in self.traffic.sets(class).chain([self.clauses.len()]) {
                    let taken = match takes.get(at).unwrap_or(&Take::All) {
                        Take::Nothing => continue,
                        Take::Classes(classes) if rest.is_disjoint(classes) => continue,
                        Take::Classes(classes) => {
                            let taken = &rest & *classes;
                            rest.difference_with(classes);
                            taken
                        }
                        Take::All => std::mem::take(&mut rest),
                    };
                    for name in self.peers.names(kind, &taken) {
                        parts.entry((at, name)).or_default().push(range);
                    }
                    if rest.is_clear() {
                        break;
                    }
                }
            }
        }
        parts
    }

    /// What a clause takes of the peer of a rule, where their traffic meets.
    fn take<'c>(&self, active: &'c Active<'_>, rule: &Rule, kind: PeerKind, is_wide: bool) -> Take<'c> {
        let clause = active.clause;
        if clause.direction != rule.direction {
            Take::Nothing
        } else if clause.peers.iter().any(|word| self.peers.is_named(word, &rule.peer, kind)) {
            Take::All
        } else if matches!(kind, PeerKind::Addresses) {
            Take::Classes(if is_wide { &active.covered.where_wide } else { &active.covered.always })
        } else {
            Take::Nothing
        }
    }

    fn portion(
        &self,
        active: &Active<'_>,
        rule: &Rule,
        controller: bool,
        peer_class: PeerClass,
        traffic: Traffic,
    ) -> Portion {
        let clause = active.clause;
        let verdict = match clause.for_controller {
            Some(milder) if controller => active.verdict.min(milder),
            _ => active.verdict,
        };
        let severity = match clause.severity_of_ranges {
            Some(of_ranges) if !rule.packets.is_single_port() => Some(of_ranges),
            _ => clause.severity,
        };
        Portion {
            clause: clause.id.clone(),
            traffic,
            peer_class,
            addresses: None,
            verdict,
            severity: severity.filter(|_| verdict > Verdict::Allow),
            reason: clause.reason.clone(),
            strong: clause.roles.intersection(self.peers.strong_roles()).next().is_some(),
            names_cluster_groups: clause.origin == Origin::User
                && clause.peers.iter().any(PeerTerm::names_cluster_groups),
        }
    }

    fn uncovered(&self, peer_class: PeerClass, traffic: Traffic) -> Portion {
        let (clause, verdict, severity, reason) = if peer_class == PeerClass::Unreadable {
            (
                "unreadable-prefix-list",
                self.otherwise.max(Verdict::Report),
                Severity::High,
                "the prefix list could not be judged",
            )
        } else {
            ("uncovered", self.otherwise, Severity::Medium, "no clause of the policy speaks of this")
        };
        Portion {
            clause: clause.to_owned(),
            traffic,
            peer_class,
            addresses: None,
            verdict,
            severity: (verdict > Verdict::Allow).then_some(severity),
            reason: reason.to_owned(),
            strong: false,
            names_cluster_groups: false,
        }
    }
}

fn speaks_of(clause: &Clause, group: &Group, roles: &BTreeSet<Role>, location: &Location, now: Timestamp) -> bool {
    let limits = &clause.limits;
    let is = |limit: &Option<String>, value: &str| limit.as_deref().is_none_or(|limit| limit == value);
    clause.roles.intersection(roles).next().is_some()
        && (!clause.only || roles.is_subset(&clause.roles))
        && limits.holds_at(now)
        && is(&limits.group, &group.id)
        && is(&limits.account, &location.account)
        && is(&limits.region, &location.region)
        && limits.cluster.as_deref().is_none_or(|glob| holds_for(glob, group, limits.group.is_some()))
}

/// Whether a clause for the clusters of this name holds for a group of theirs: for all its clusters, so that joining a
/// second one excuses nothing there; where the clause names the group itself, one is enough.
fn holds_for(glob: &str, group: &Group, names_group: bool) -> bool {
    let glob = WildMatch::new(glob);
    let mut matches = group.clusters.iter().map(|name| glob.matches(name));
    if names_group { matches.any(|is| is) } else { !group.clusters.is_empty() && matches.all(|is| is) }
}
