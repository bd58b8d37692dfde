//! What an audit looks at beyond what the policy says of rules: what is unused, shared, covered, gone, or about to end.
//!
//! Looks only where what it rests on was read in full: nothing is called unused or gone of which half was not saved. Must
//! not: change a verdict, or propose to delete anything.

mod covered;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use jiff::{Span, Timestamp, tz::Offset};
use wildmatch::WildMatch;

use super::saved::Kind;
use super::saved::facts::Facts;
use crate::audit::report::checks::AuditCheck;
use crate::audit::report::{Audit, AuditFinding, AuditedGroup, AuditedLocation, Place};
use crate::cluster::marks::{AWS_CLUSTER_TAG, clusters_in_tags};
use crate::model::group::{Evidence, Group, PrefixList, Role};
use crate::model::ids::Location;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::model::text::{count, plain};
use crate::policy::model::{Clause, Origin, Policy};

/// Rules named in one finding.
const MAX_NAMED: usize = 5;
/// The quota of rules, for each direction and family of addresses, where nobody had it raised; and from when on it is near.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups>
const QUOTA: usize = 60;
const NEAR: usize = 54;
/// An exception that ends within so many days is asked about.
const SOON: i64 = 14;
/// Whoever may still need a group that nothing here names.
const NOT_LOOKED_AT: &str = "Lambda functions, databases, load balancers and Auto Scaling groups without interfaces now, \
                             launch templates that no node group names, and peered VPCs of other accounts";
/// Karpenter picks groups by this tag, and says so inside of Kubernetes alone.
const KARPENTER_TAG: &str = "karpenter.sh/discovery";

/// What is to be said of the groups of a location.
pub(super) fn of_groups(
    facts: &Facts,
    policy: &Policy,
    location: &Location,
    groups: &[AuditedGroup],
) -> Vec<AuditFinding> {
    let named = named_by_others(facts);
    let mut findings = Vec::new();
    for audited in groups {
        let group = &audited.group;
        let place = Place { location, clusters: &group.clusters, group: Some(group), origin: audited.origin.as_ref() };
        let mut add = |check, detail: Option<String>| {
            findings.extend(detail.map(|detail| AuditFinding::checked(place, check, detail)));
        };
        add(AuditCheck::SharedBetweenClusters, shared(group));
        add(AuditCheck::SharedBetweenEnvironments, environments(group, policy));
        add(AuditCheck::SeveralRoles, roles(group));
        add(AuditCheck::NearQuota, quota(group));
        add(AuditCheck::PeerGone, rules(group, |rule| is_gone(facts, location, group, rule)));
        add(AuditCheck::PeerUnattached, rules(group, |rule| names_unattached(group, rule)));
        add(AuditCheck::RedundantRule, redundant(group));
        add(AuditCheck::NoDescription, undescribed(group));
        if facts.planned.groups.contains(&group.id) {
            continue;
        }
        add(AuditCheck::UnusedGroup, unused(facts, policy, group, &named));
    }
    findings.extend(leftovers(facts, location, groups));
    findings
}

/// What is to be said of the policy and of the files, once. `is_all`: no cluster was left out.
pub(super) fn of_input(
    all: &[Arc<Facts>],
    policy: &Policy,
    audit: &Audit,
    is_all: bool,
    now: Timestamp,
) -> Vec<AuditFinding> {
    let Some(first) = audit.locations.first() else { return Vec::new() };
    let none = BTreeSet::new();
    let place = Place { location: &first.location, clusters: &none, group: None, origin: None };
    let used: BTreeSet<usize> = audit.locations.iter().flat_map(positions).collect();
    let exceptions = policy.clauses.iter().enumerate().filter(|(_, clause)| clause.origin == Origin::Exception);
    let mut findings: Vec<AuditFinding> = exceptions
        .filter_map(|(at, clause)| {
            let (check, detail) = exception(clause, !is_all || used.contains(&at), audit, now)?;
            Some(AuditFinding::checked(place, check, detail))
        })
        .collect();
    let cut = all.iter().flat_map(|facts| &facts.kinds).filter(|(_, presence)| presence.is_cut);
    findings.extend(cut.map(|(kind, _)| {
        let detail = format!("{}: the answer holds a token for the next page", kind.word());
        AuditFinding::checked(place, AuditCheck::InputIncomplete, detail)
    }));
    findings
}

/// The clauses that decided something.
fn positions(location: &AuditedLocation) -> impl Iterator<Item = usize> + '_ {
    let rules = location.groups.iter().flat_map(|group| &group.rules);
    rules.flat_map(|rule| &rule.judged.portions).filter_map(|portion| portion.position)
}

fn exception(clause: &Clause, is_used: bool, audit: &Audit, now: Timestamp) -> Option<(AuditCheck, String)> {
    let limits = &clause.limits;
    let is_here = |location: &Location| {
        limits.account.as_ref().is_none_or(|account| *account == location.account)
            && limits.region.as_ref().is_none_or(|region| *region == location.region)
    };
    let id = plain(&clause.id);
    let owner = limits.owner.as_deref().map(|owner| format!(", owner {}", plain(owner))).unwrap_or_default();
    let today = Offset::UTC.to_datetime(now).date();
    let soon = today.saturating_add(Span::new().days(SOON));
    match limits.expires {
        Some(last) if last < today => Some((AuditCheck::ExceptionExpired, format!("`{id}` ended on {last}{owner}"))),
        Some(last) if last <= soon => Some((AuditCheck::ExceptionEnding, format!("`{id}` ends on {last}{owner}"))),
        _ if !is_used && audit.locations.iter().any(|found| is_here(&found.location)) => {
            Some((AuditCheck::ExceptionUnused, format!("`{id}` allows no rule that is there{owner}")))
        }
        _ => None,
    }
}

fn shared(group: &Group) -> Option<String> {
    let names: Vec<String> = group.clusters.iter().map(|name| format!("`{}`", plain(name))).collect();
    (names.len() > 1).then(|| format!("it is of {}", names.join(", ")))
}

fn environments(group: &Group, policy: &Policy) -> Option<String> {
    let of = |name: &String| {
        let setting = policy.clusters.iter().find(|setting| WildMatch::new(&setting.name).matches(name));
        setting.and_then(|setting| setting.environment.clone())
    };
    let environments: BTreeSet<String> = group.clusters.iter().filter_map(of).map(|name| plain(&name)).collect();
    (environments.len() > 1).then(|| format!("it is of {}", Vec::from_iter(environments).join(", ")))
}

/// A load balancer is there for everybody; what else has its group is open with it. Nodes on the control plane's additional
/// group get what the control plane gets.
fn roles(group: &Group) -> Option<String> {
    let roles = group.role_set();
    let is_mixed = roles.contains(&Role::LoadBalancer) && roles.len() > 1
        || roles.contains(&Role::ControlPlane) && roles.contains(&Role::Node) && !roles.contains(&Role::Cluster);
    let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
    is_mixed.then(|| format!("it is {}", words.join(" and ")))
}

/// An entry of a prefix list counts as a rule.
fn quota(group: &Group) -> Option<String> {
    let mut weights: BTreeMap<(Direction, &str), usize> = BTreeMap::new();
    for rule in &group.rules {
        let (family, weight) = match &rule.peer {
            Peer::Cidr(net) if net.addr().is_ipv6() => ("IPv6", 1),
            Peer::PrefixList(id) => match group.prefix_lists.get(id) {
                Some(PrefixList::Entries(entries)) => ("IPv4", entries.blocks().len().max(1)),
                _ => ("IPv4", 1),
            },
            Peer::Cidr(_) | Peer::Group { .. } => ("IPv4", 1),
        };
        *weights.entry((rule.direction, family)).or_default() += weight;
    }
    let near = weights.into_iter().filter(|(_, weight)| (NEAR..=QUOTA).contains(weight));
    let near: Vec<String> =
        near.map(|((way, family), weight)| format!("{weight} of {QUOTA} {} rules ({family})", way.word())).collect();
    (!near.is_empty()).then(|| near.join(", "))
}

/// The peer is in the same account and region, all groups of which were saved, and it is not there.
fn is_gone(facts: &Facts, location: &Location, group: &Group, rule: &Rule) -> bool {
    let Peer::Group { id, owner } = &rule.peer else { return false };
    let is_ours = owner.as_ref().is_none_or(|owner| *owner == location.account) && group.owner == location.account;
    let is_missing = is_ours && facts.is_whole(Kind::Groups) && !facts.groups.contains_key(id);
    is_missing || !facts.stale.is_empty() && facts.stale.contains(&(group.id.clone(), id.clone()))
}

fn names_unattached(group: &Group, rule: &Rule) -> bool {
    matches!(&rule.peer, Peer::Group { id, .. } if *id != group.id
        && group.peers.get(id).is_some_and(|peer| peer.is_unattached))
}

fn redundant(group: &Group) -> Option<String> {
    let pair = |(rule, by): (&Rule, Option<&Rule>)| match by {
        Some(wider) => format!("{} by {}", short(rule), short(wider)),
        None => format!("{} by others together", short(rule)),
    };
    let pairs: Vec<String> = covered::redundant(group).into_iter().map(pair).collect();
    named(&pairs, "is covered", "are covered")
}

/// EKS writes no descriptions into its own group, and nobody into the rule that every group has from the start.
fn undescribed(group: &Group) -> Option<String> {
    let is_eks_own = group
        .roles
        .iter()
        .any(|known| matches!(known.evidence, Evidence::DescribeCluster) && known.role == Role::Cluster);
    let is_default = |rule: &Rule| {
        rule.direction == Direction::Egress
            && rule.packets == Packets::All
            && matches!(&rule.peer, Peer::Cidr(net) if net.prefix_len() == 0)
    };
    let is_silent = |rule: &Rule| rule.description.as_ref().is_none_or(|text| text.trim().is_empty());
    rules(group, |rule| !is_eks_own && is_silent(rule) && !is_default(rule))
}

/// The groups that rules of another group, or load balancers, name.
fn named_by_others(facts: &Facts) -> BTreeSet<&str> {
    let pairs = facts.groups.iter().flat_map(|(id, known)| known.rules.iter().map(move |rule| (id, &rule.peer)));
    let named = pairs.filter_map(|(id, peer)| match peer {
        Peer::Group { id: peer, .. } if peer != id => Some(peer.as_str()),
        Peer::Group { .. } | Peer::Cidr(_) | Peer::PrefixList(_) => None,
    });
    named.chain(facts.named_elsewhere.iter().map(String::as_str)).collect()
}

/// Attached to nothing, and named by nothing that was read, all of which was read in full.
fn unused(facts: &Facts, policy: &Policy, group: &Group, named: &BTreeSet<&str>) -> Option<String> {
    let needed = [Kind::Groups, Kind::Interfaces, Kind::Instances, Kind::Cluster];
    let is_known = needed.iter().all(|kind| facts.is_whole(*kind))
        && facts.undescribed.is_empty()
        && facts.without_nodes.is_empty()
        && facts.templates_missing.is_empty();
    let is_named = named.contains(group.id.as_str())
        || policy.groups.iter().any(|entry| entry.id == group.id)
        || group.roles.iter().any(|known| known.strong);
    let may_be_karpenters =
        facts.groups.get(&group.id).is_some_and(|known| known.facts.tags.contains_key(KARPENTER_TAG));
    (is_known && group.is_unattached && !is_named && !may_be_karpenters).then(|| {
        format!(
            "it is attached to no interface and no instance, and no other group, cluster, node group or launch template of \
             one names it; not looked at: {NOT_LOOKED_AT}"
        )
    })
}

/// Groups whose tags name a cluster that is not there, where all clusters of the one location are known.
fn leftovers(facts: &Facts, location: &Location, in_scope: &[AuditedGroup]) -> Vec<AuditFinding> {
    if !facts.is_whole(Kind::Clusters) || facts.locations().len() != 1 {
        return Vec::new();
    }
    let none = BTreeSet::new();
    let clusters = facts.names_of_clusters();
    let is_there = |name: &str| clusters.contains(name) || facts.undescribed.contains(name);
    let in_scope: HashSet<&String> = in_scope.iter().map(|audited| &audited.group.id).collect();
    let others = facts.groups.iter().filter(|(id, _)| !in_scope.contains(id));
    let gone = others.filter_map(|(id, known)| {
        let tags = &known.facts.tags;
        let name = tags.get(AWS_CLUSTER_TAG).map(String::as_str).or_else(|| clusters_in_tags(tags).next())?;
        let is_any_there = clusters_in_tags(tags).any(is_there) || is_there(name);
        (!is_any_there).then_some((id, known, name))
    });
    gone.map(|(id, known, name)| {
        let facts = &known.facts;
        let group = Group { id: id.clone(), name: facts.name.clone(), vpc: facts.vpc.clone(), ..Group::default() };
        let place = Place { location, clusters: &none, group: Some(&group), origin: None };
        let detail = format!("its tags name cluster `{}`, which is not there", plain(name));
        AuditFinding::checked(place, AuditCheck::LeftoverGroup, detail)
    })
    .collect()
}

/// The rules of a group that are so, by their ids.
fn rules(group: &Group, is_so: impl Fn(&Rule) -> bool) -> Option<String> {
    let found: Vec<String> = group.rules.iter().filter(|rule| is_so(rule)).map(short).collect();
    named(&found, "", "")
}

fn named(found: &[String], one: &str, more: &str) -> Option<String> {
    let shown: Vec<&str> = found.iter().take(MAX_NAMED).map(String::as_str).collect();
    let rest = found.len() - shown.len();
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let way = if found.len() == 1 { one } else { more };
    let way = if way.is_empty() { String::new() } else { format!(" {way}") };
    (!found.is_empty()).then(|| format!("{}{way}: {}{rest}", count(found.len(), "rule"), shown.join(", ")))
}

/// The rule's id, or what it is.
fn short(rule: &Rule) -> String {
    if rule.id.is_empty() {
        format!("{} {} {}", rule.direction.word(), rule.packets, plain(&rule.peer.to_string()))
    } else {
        plain(&rule.id)
    }
}
