//! The decision: a pure, total function from (policy, group, author, now) to judged rules. One evaluator for every trigger.
//!
//! Owns: which clauses count in each cluster of a group, and that the worst of what a rule gets in them is its verdict (what
//! it gets in one, the evaluator says). Must not: know modes, limits or events; they change the plan, never the verdict.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use fixedbitset::FixedBitSet;
use jiff::Timestamp;

use crate::model::group::{Group, Role};
use crate::model::ids::Location;
use crate::model::rule::Rule;
use crate::policy::controller::Author;
use crate::policy::cut::{Context, Cut};
use crate::policy::evaluator::Evaluator;
pub use crate::policy::judged::{JudgedRule, Portion, UNREADABLE_LIST};
use crate::policy::model::{Clause, Policy, Verdict};
use crate::policy::named;
use crate::policy::peers::private_around;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::group::{Evidence, RoleEvidence};
    use crate::model::rule::{Direction, Packets, Peer};
    use crate::policy::file::tests::loaded;

    /// Verdict and clause of SSH from an address, in a group of nodes of these clusters.
    fn ssh(entries: &str, clusters: &[&str]) -> (Verdict, String) {
        let text = format!("version: 1\nextends: none\notherwise: revoke\n{entries}\n");
        let policy = loaded(&text).policy;
        let peer = Peer::cidr("198.51.100.7/32").unwrap();
        let group = Group {
            id: "sg-0123456789abcdef0".to_owned(),
            clusters: clusters.iter().map(|name| (*name).to_owned()).collect(),
            roles: vec![RoleEvidence { role: Role::Node, evidence: Evidence::Configured, strong: true }],
            rules: vec![Rule::new(Direction::Ingress, Packets::Tcp(22, 22), peer)],
            ..Group::default()
        };
        let judged = judge(&policy, &group, &Location::default(), Timestamp::UNIX_EPOCH, |_| Author::Unknown).remove(0);
        (judged.verdict, judged.portions[0].clause.clone())
    }

    #[test]
    fn an_exception_that_names_the_group_holds_for_all_its_clusters_when_it_holds_for_one() {
        let exception = |limits: &str| {
            format!(
                "exceptions: [{{id: e, reason: r, owner: o, expires: 2026-12-31, from: 198.51.100.7/32, {limits}}}]"
            )
        };
        let (named, other) = ("group: sg-0123456789abcdef0", "group: sg-0fedcba9876543210");
        let (in_prod, named_in_prod) = ("cluster: prod", "group: sg-0123456789abcdef0, cluster: prod");
        for (limits, clusters, allowed) in [
            (named, &["dev", "prod"][..], true),
            (named, &[], true),
            (other, &["prod"], false),
            (named_in_prod, &["dev", "prod"], true),
            (named_in_prod, &["dev"], false),
            (named_in_prod, &[], false),
            (in_prod, &["prod"], true),
            (in_prod, &["dev", "prod"], false),
        ] {
            let (verdict, _) = ssh(&exception(limits), clusters);
            assert_eq!(verdict == Verdict::Allow, allowed, "{limits} in {clusters:?}");
        }
    }

    #[test]
    fn of_several_clusters_the_worst_is_told_and_of_equals_the_same_whatever_they_are_called() {
        let clause = |id: &str, cluster: &str, severity: &str| {
            let keys = format!("id: {id}, cluster: {cluster}, severity: {severity}");
            format!("{{{keys}, from: anywhere, verdict: revoke, reason: r}}")
        };
        for (one, other, told) in [("low", "high", "other"), ("high", "low", "one"), ("high", "high", "one")] {
            for clusters in [["a", "b"], ["b", "a"]] {
                let clauses = [clause("one", clusters[0], one), clause("other", clusters[1], other)].join(", ");
                let found = ssh(&format!("clauses: [{clauses}]"), &clusters);
                assert_eq!(found, (Verdict::Revoke, told.to_owned()), "{one} {other} {clusters:?}");
            }
        }
    }
}
