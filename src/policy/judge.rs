//! The decision: a pure, total function from (policy, group, author, now) to judged rules. One evaluator for every trigger.
//!
//! The first clause that covers a *portion* of a rule decides that portion; the rule's verdict is the worst of its
//! portions. Must not: know modes, limits or events; they change the plan, never the verdict.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use fixedbitset::FixedBitSet;
use jiff::Timestamp;

use crate::model::group::{Group, Role};
use crate::model::ids::Location;
use crate::model::region::{Traffic, span};
use crate::model::rule::{Packets, Rule};
use crate::policy::controller::{Author, is_controllers};
use crate::policy::cut::{Active, Context, Cut};
use crate::policy::model::{Clause, Origin, PeerClass, PeerTerm, Policy, Severity, Verdict};
use crate::policy::named::{self, Part};
use crate::policy::peers::{PeerKind, Peers, ReachedPeers, private_around};

/// What stands in place of a clause where a prefix list could not be read.
pub const UNREADABLE_LIST: &str = "unreadable-prefix-list";

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
    /// The clause's position in the policy: in other clusters another one may have its id.
    pub position: Option<usize>,
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
        Part { clause: self.position, class: self.peer_class, traffic: &self.traffic }
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
    Judge::new(policy, location, now).of(group, author)
}

/// Ways in which a policy counts that are kept at most; beyond, they are worked out anew.
const MAX_CUTS: usize = 100;

/// A policy in a location, ready for thousands of groups: what is the same for many of them is worked out once.
pub struct Judge<'p> {
    policy: &'p Policy,
    location: &'p Location,
    now: Timestamp,
    cuts: Mutex<HashMap<Context, Arc<Cut<'p>>>>,
}

impl<'p> Judge<'p> {
    /// Of this policy, there, at that time.
    pub fn new(policy: &'p Policy, location: &'p Location, now: Timestamp) -> Self {
        Self { policy, location, now, cuts: Mutex::default() }
    }

    /// As [`judge`] does it. In a group of several clusters each rule gets the worst of what it would get in each of them
    /// alone, so joining a cluster makes no verdict milder.
    pub fn of(&self, group: &Group, author: impl Fn(&Rule) -> Author) -> Vec<JudgedRule> {
        let cut = |(clauses, node_ports): InForce| {
            let (vpc, remote) = (group.vpc_ranges.clone(), group.remote_networks.clone());
            self.cut(Context { clauses, node_ports, vpc, remote })
        };
        let cuts: Vec<Arc<Cut<'_>>> =
            in_force(self.policy, group, self.location, self.now).into_iter().map(cut).collect();
        let in_cluster = |cut: &Arc<Cut<'_>>| {
            let evaluator = Evaluator::new(self.policy, group, cut);
            let reaches = evaluator.peers.reaches();
            let judged = |rule| evaluator.judge(rule, reaches.get(&(rule.direction, &rule.peer)), author(rule));
            group.rules.iter().map(judged).collect::<Vec<_>>()
        };
        let all = cuts.iter().map(in_cluster);
        let worse = |one: JudgedRule, other: JudgedRule| {
            if (one.verdict, one.severity) < (other.verdict, other.severity) { other } else { one }
        };
        let worst = all.reduce(|some, more| some.into_iter().zip(more).map(|(one, other)| worse(one, other)).collect());
        // What is private is so in each of the clusters.
        let (Some(worst), Some(Cut { private, .. })) = (worst, cuts.first().map(Arc::as_ref)) else {
            return Vec::new();
        };
        let named = |mut judged: JudgedRule| {
            let parts: Vec<_> = judged.portions.iter().map(Portion::part).collect();
            let names = named::name(self.policy, group, private, &judged.rule.peer, &parts);
            judged.portions.iter_mut().zip(names).for_each(|(portion, name)| portion.addresses = name);
            judged
        };
        worst.into_iter().map(named).collect()
    }

    fn cut(&self, context: Context) -> Arc<Cut<'p>> {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cuts.get(&context) {
            return Arc::clone(known);
        }
        if cuts.len() >= MAX_CUTS {
            cuts.clear();
        }
        let private = private_around(&context.vpc, &context.remote);
        let cut = Arc::new(Cut::new(&self.policy.clauses, &context, private));
        cuts.insert(context, Arc::clone(&cut));
        cut
    }
}

/// The rules of the group that the policy does not forbid, whoever wrote them: those that a person may open again.
pub fn not_forbidden(policy: &Policy, group: &Group, location: &Location, now: Timestamp) -> Vec<Rule> {
    let judged = judge(policy, group, location, now, |_| Author::Unknown).into_iter();
    judged.filter(|judged| judged.verdict < Verdict::Revoke).map(|judged| judged.rule).collect()
}

/// What counts in a cluster: the positions of the clauses that speak of the group now, and where the cluster has
/// `NodePorts`, if it moved them.
type InForce = (FixedBitSet, Option<(u16, u16)>);

/// What is in force in each of the group's clusters; clusters with the same once.
fn in_force(policy: &Policy, group: &Group, location: &Location, now: Timestamp) -> Vec<InForce> {
    let roles = group.role_set();
    let all = policy.clauses.iter().enumerate();
    let spoken: Vec<(usize, &Clause)> =
        all.filter(|(_, clause)| speaks_of(clause, group, &roles, location, now)).collect();
    // An exception that names the group holds for all its clusters when it holds for one.
    let holds = |clause: &Clause, cluster: Option<&str>| match clause.limits.group {
        Some(_) if cluster.is_some() => group.clusters.iter().any(|name| clause.limits.holds_in(Some(name))),
        _ => clause.limits.holds_in(cluster),
    };
    let of = |cluster: Option<&str>| {
        let here = spoken.iter().enumerate().filter(|(_, (_, clause))| holds(clause, cluster));
        let node_ports = cluster.and_then(|name| group.node_ports.get(name)).copied();
        (here.map(|(at, _)| at).collect::<FixedBitSet>(), node_ports)
    };
    let clusters: BTreeSet<Option<&str>> = group.clusters.iter().map(|name| Some(name.as_str())).collect();
    let mut sets: Vec<InForce> =
        if clusters.is_empty() { vec![of(None)] } else { clusters.into_iter().map(of).collect() };
    sets.sort_unstable();
    sets.dedup();
    let in_policy = |set: FixedBitSet| {
        let mut positions = FixedBitSet::with_capacity(policy.clauses.len());
        set.ones().filter_map(|at| spoken.get(at)).for_each(|(position, _)| positions.insert(*position));
        positions
    };
    sets.into_iter().map(|(set, node_ports)| (in_policy(set), node_ports)).collect()
}

/// Everything about a policy and a group that does not depend on the rule.
struct Evaluator<'a> {
    group: &'a Group,
    otherwise: Verdict,
    peers: Peers<'a>,
    cut: &'a Cut<'a>,
    /// Stands for the peers of a rule that are no addresses.
    everything: FixedBitSet,
    /// It is attached to a load balancer, and to something else.
    is_beside_load_balancer: bool,
}

/// What a clause takes of the peer of a rule.
#[derive(Clone, Copy)]
enum Take<'c> {
    Nothing,
    Classes(&'c FixedBitSet),
    All,
}

/// A range of traffic with the position, among those in force, of the clause that decides it, and the class of its peers.
type Decided = ((usize, PeerClass), (u128, u128));

impl<'a> Evaluator<'a> {
    fn new(policy: &Policy, group: &'a Group, cut: &'a Cut<'a>) -> Self {
        let roles = group.role_set();
        let is_beside_load_balancer = roles.contains(&Role::LoadBalancer) && roles.len() > 1;
        let (otherwise, peers, everything) = (policy.otherwise, Peers::new(group, cut), FixedBitSet::from_iter([0]));
        Self { group, otherwise, peers, cut, everything, is_beside_load_balancer }
    }

    fn judge(&self, rule: &Rule, reach: Option<&ReachedPeers>, author: Author) -> JudgedRule {
        let controller = is_controllers(rule, author, self.group);
        let portion = |part: &[Decided]| {
            let &((at, class), _) = part.first()?;
            let traffic = Traffic::from_points(part.iter().map(|(_, range)| *range));
            Some(match self.cut.clauses.get(at) {
                Some(active) => self.portion(active, rule, controller, class, traffic),
                None => self.uncovered(class, traffic),
            })
        };
        let decided = self.decided(rule, reach);
        let portions: Vec<Portion> =
            decided.chunk_by(|(one, _), (other, _)| one == other).filter_map(portion).collect();
        let verdict = portions.iter().map(|portion| portion.verdict).max().unwrap_or(Verdict::Allow);
        let severity =
            portions.iter().filter(|portion| portion.verdict > Verdict::Allow).filter_map(|p| p.severity).max();
        JudgedRule { rule: rule.clone(), verdict, severity, portions }
    }

    /// Which clause decides what, in the order of the clauses. Within a piece of traffic the clauses that speak of it are
    /// asked in order: each takes the classes of addresses that it covered, and the next one gets the rest. Groups and
    /// lists known by name are taken whole.
    fn decided(&self, rule: &Rule, reach: Option<&ReachedPeers>) -> Vec<Decided> {
        let kind = self.peers.kind(&rule.peer);
        let classes = reach.map_or(&self.everything, |reach| &reach.classes);
        let wide = reach.map(|reach| &reach.wide).filter(|wide| !wide.is_empty());
        let mut decided = Vec::new();
        let mut decide = |pieces: &mut dyn Iterator<Item = (usize, (u128, u128))>, is_wide| {
            // Of a single piece each clause is asked once.
            let mut takes: Vec<Option<Take<'_>>> = Vec::new();
            for (n, (class, range)) in pieces.enumerate() {
                if n == 1 {
                    takes.resize(self.cut.clauses.len(), None);
                }
                let mut rest = classes.clone();
                for at in self.cut.traffic.sets(class).chain([self.cut.clauses.len()]) {
                    let take = match (takes.get_mut(at), self.cut.clauses.get(at)) {
                        (Some(known), Some(active)) => {
                            *known.get_or_insert_with(|| self.take(active, rule, kind, is_wide))
                        }
                        (None, Some(active)) => self.take(active, rule, kind, is_wide),
                        (_, None) => Take::All,
                    };
                    let names = match take {
                        Take::Nothing => continue,
                        Take::Classes(classes) if rest.is_disjoint(classes) => continue,
                        Take::Classes(classes) => self.peers.names(kind, rest.intersection(classes)),
                        Take::All => self.peers.names(kind, rest.ones()),
                    };
                    decided.extend(names.into_iter().flatten().map(|name| ((at, name), range)));
                    match take {
                        Take::Classes(classes) => rest.difference_with(classes),
                        Take::Nothing | Take::All => rest.clear(),
                    }
                    if rest.is_clear() {
                        break;
                    }
                }
            }
        };
        let (from, to) = span(rule.packets);
        match wide {
            None => decide(&mut self.cut.traffic.within(0, (from.into(), to.into())), false),
            Some(wide) => {
                let all = Traffic::from(rule.packets);
                decide(&mut self.cut.traffic.pieces(&(&all - wide)).into_iter(), false);
                decide(&mut self.cut.traffic.pieces(&(&all & wide)).into_iter(), true);
            }
        }
        decided.sort_by_key(|(part, _)| *part);
        decided
    }

    /// What a clause takes of the peer of a rule, where their traffic meets.
    fn take(&self, active: &'a Active<'a>, rule: &Rule, kind: PeerKind, is_wide: bool) -> Take<'a> {
        let clause = active.clause;
        if clause.direction != rule.direction || !clause.width.holds(rule.packets.port_count()) {
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
        let milder = [
            clause.for_controller.filter(|_| controller),
            clause.in_passing.filter(|_| !rule.packets.means_its_ports()),
        ];
        let is_softened = self.is_beside_load_balancer && !clause.beside_load_balancer;
        let verdict = if is_softened { clause.verdict.min(Verdict::Report) } else { clause.verdict };
        let verdict = milder.into_iter().flatten().fold(verdict, Verdict::min);
        // The most particular one first.
        let severities = [
            clause.severity_for_controller.filter(|_| controller),
            clause.severity_of_broad.filter(|_| rule.packets.port_count() > Packets::FEW_HUNDRED),
            clause.severity_of_ranges.filter(|_| !rule.packets.is_single_port()),
            clause.severity,
        ];
        let severity = severities.into_iter().flatten().next();
        let severity = if self.peers.is_nobody(&rule.peer) { severity.min(Some(Severity::Low)) } else { severity };
        Portion {
            clause: clause.id.clone(),
            position: Some(active.position),
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
                UNREADABLE_LIST,
                self.otherwise.max(Verdict::Report),
                Severity::High,
                "the prefix list could not be judged",
            )
        } else {
            ("uncovered", self.otherwise, Severity::Medium, "no clause of the policy speaks of this")
        };
        Portion {
            clause: clause.to_owned(),
            position: None,
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

/// Whether it speaks of the group, in some cluster.
fn speaks_of(clause: &Clause, group: &Group, roles: &BTreeSet<Role>, location: &Location, now: Timestamp) -> bool {
    let limits = &clause.limits;
    let is = |limit: &Option<String>, value: &str| limit.as_deref().is_none_or(|limit| limit == value);
    clause.roles.intersection(roles).next().is_some()
        && (!clause.only || roles.is_subset(&clause.roles))
        && limits.holds_at(now)
        && is(&limits.group, &group.id)
        && is(&limits.account, &location.account)
        && is(&limits.region, &location.region)
}
