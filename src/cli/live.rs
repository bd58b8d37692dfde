//! What is live, by a snapshot of groups: what an event alone does not tell. The event is played on it, so it does not
//! matter whether the snapshot was taken before the call or after it.
//!
//! Must not: judge.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use jiff::Timestamp;

use crate::cli::claims::{self, Claimed, RolesFrom};
use crate::cli::snapshot::Snapshot;
use crate::cluster::topology::Topology;
use crate::event::described::{self, Described};
use crate::event::{Change, ListChange, Named, NamedRule, Target, Touched};
use crate::model::baseline::{Baseline, Context, KnownRule, Remembered};
use crate::model::group::{Evidence, Group, PrefixList, Role, RoleEvidence};
use crate::model::region::Addresses;
use crate::model::rule::{Peer, Rule};
use crate::model::text::plain;
use crate::plan::standing::{Memory, is_equal};
use crate::plan::{is_named, names};
use crate::policy::model::Policy;

/// Ids of groups that a message names.
const MAX_NAMED: usize = 5;

/// The groups that the function would look at, as they are once the call has been made.
///
/// # Errors
/// A group that the snapshot does not have, or an event that does not say which groups it is about.
pub(super) fn groups(
    change: &Change,
    described: &[Described],
    snapshot: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> anyhow::Result<Vec<Claimed>> {
    let find = |id: &str| snapshot.groups.iter().find(|group| group.id == id || group.name == id);
    let wanted: Vec<(&Group, Named)> = match &change.subject {
        Target::Groups(touched) => {
            let mut wanted = Vec::new();
            for Touched { group, named } in touched {
                let Some(found) = find(group.text()) else { bail!("{}", missing(group.text(), snapshot)) };
                wanted.push((found, named.clone()));
            }
            wanted
        }
        Target::Attached { groups, .. } if groups.is_empty() => {
            bail!("the event does not say which groups were attached, so a snapshot does not help; give one that does")
        }
        Target::Attached { groups, .. } => {
            let mut wanted = Vec::new();
            for id in groups {
                let Some(found) = find(id) else { bail!("{}", missing(id, snapshot)) };
                wanted.push((found, Named::Everything));
            }
            wanted
        }
        Target::Trails | Target::EventRule(_) => {
            bail!("the event is about no group, so a snapshot of groups does not help")
        }
        Target::PrefixList(change) => {
            let list = &change.list;
            let uses = |rule: &Rule| matches!(&rule.peer, Peer::PrefixList(id) if id == list);
            let users = snapshot.groups.iter().filter(|group| group.rules.iter().any(uses));
            users.map(|group| (group, Named::Using(change.clone()))).collect()
        }
        Target::Cluster { name, .. } => {
            let of_it = snapshot.groups.iter().filter(|group| group.clusters.contains(name));
            of_it.map(|group| (group, Named::Nothing)).collect()
        }
        Target::Unknown => snapshot.groups.iter().map(|group| (group, Named::Nothing)).collect(),
    };
    let claimed = |(group, named): (&Group, Named)| {
        let mut group = configured(policy, group);
        let before = std::mem::take(&mut group.rules);
        group.rules = after(change, described, &named, &before);
        let memory = if change.event.call.rewrites_rules() { known(before, &named, &group, now) } else { Memory::None };
        if let Named::Using(change) = &named {
            gains(&mut group, change);
        }
        let (roles_from, without_content) = (RolesFrom::Argument, 0);
        Claimed { group, named, roles_from, without_content, memory, of_caller: None, otherwise: None }
    };
    Ok(wanted.into_iter().map(claimed).collect())
}

fn missing(id: &str, snapshot: &Snapshot) -> String {
    let known: Vec<&str> = snapshot.groups.iter().take(MAX_NAMED).map(|group| group.id.as_str()).collect();
    let more = if snapshot.groups.len() > MAX_NAMED { ", …" } else { "" };
    format!("the snapshot has no group `{}`, which the event is about; it has {}{more}", plain(id), known.join(", "))
}

/// The group with what the policy itself says of it.
pub(super) fn configured(policy: &Policy, group: &Group) -> Group {
    let mut group = group.clone();
    for entry in policy.groups.iter().filter(|entry| entry.id == group.id) {
        group.clusters.insert(entry.cluster.clone());
        group.roles.push(RoleEvidence { role: entry.role, evidence: Evidence::Configured, strong: true });
    }
    for (id, known) in claims::peers(&policy.groups, &group.clusters) {
        let peer = group.peers.entry(id).or_default();
        peer.same_cluster = true;
        peer.roles.extend(known.roles);
    }
    group
}

/// The rules once the call has been made: those that it makes are there, those that it rewrites have their new content,
/// those that it removes are gone.
fn after(change: &Change, described: &[Described], named: &Named, rules: &[Rule]) -> Vec<Rule> {
    let mut rules = rules.to_vec();
    let call = change.event.call;
    if call.is_revoke() {
        rules.retain(|rule| !described.iter().any(|gone| is(&gone.rule, rule)));
        return rules;
    }
    for named in named.rules() {
        let Some(told) = described::told(named, described) else { continue };
        match rules.iter_mut().find(|rule| is(named, rule)) {
            // Only the snapshot knows the direction of a rule that is rewritten.
            Some(known) => {
                let direction = known.direction;
                *known = Rule { direction, tags: std::mem::take(&mut known.tags), ..told };
            }
            None => rules.push(told),
        }
    }
    rules
}

/// The rules before the call, as if the guard had just looked at them. Where the snapshot was taken after the call, nobody
/// knows what a rule that it rewrote was.
fn known(before: Vec<Rule>, named: &Named, group: &Group, now: Timestamp) -> Memory {
    let is_rewritten = |rule: &Rule| is_named(named, rule) && group.rules.iter().any(|after| is_equal(after, rule));
    let known = |rule: Rule| {
        let known = KnownRule { rule, context: Context::from(group), mark: None, author: None, missed: 0 };
        (known.rule.id.clone(), known)
    };
    let rules: BTreeMap<_, _> = before.into_iter().filter(|rule| !is_rewritten(rule)).map(known).collect();
    let baseline = Some(Baseline { holds: rules.len(), rules, ..Baseline::default() });
    Memory::Read(Remembered { looked_at: Some(now), was_there: true, baseline, ..Remembered::default() })
}

/// The list that changed, with what the event says that it gained.
fn gains(group: &mut Group, change: &ListChange) {
    let list =
        group.prefix_lists.entry(change.list.clone()).or_insert_with(|| PrefixList::Entries(Addresses::default()));
    if let PrefixList::Entries(entries) = list {
        *entries = entries.with(&change.gained.iter().copied().collect());
    }
}

/// What the call took from a group of the snapshot: rules that are gone, or something else.
pub(super) fn taken(snapshot: &Snapshot, changed: &Group) -> Vec<Rule> {
    let before = snapshot.groups.iter().filter(|group| group.id == changed.id).flat_map(|group| &group.rules);
    before.filter(|rule| !changed.rules.iter().any(|now| names(&NamedRule::of(rule), now))).cloned().collect()
}

/// By its id where both have one, otherwise by its content.
fn is(named: &NamedRule, rule: &Rule) -> bool {
    let by_content = NamedRule { id: None, claim: named.claim.clone() };
    names(named, rule) || (named.id.is_none() || rule.id.is_empty()) && names(&by_content, rule)
}

/// The clusters of these groups of which the snapshot has control plane and nodes: of others nobody knows what they miss.
/// Which groups are attached together it does not tell, so the nodes of a cluster have all of its node groups' groups.
pub(super) fn topologies(snapshot: &Snapshot, changed: &[&Group]) -> Vec<Topology> {
    let clusters: BTreeSet<&String> = changed.iter().flat_map(|group| &group.clusters).collect();
    let now = |group: &Group| {
        let rules =
            changed.iter().find(|changed| changed.id == group.id).map_or(&group.rules, |changed| &changed.rules);
        (group.id.clone(), rules.clone())
    };
    let topology = |cluster: &String| {
        let groups: Vec<&Group> = snapshot.groups.iter().filter(|group| group.clusters.contains(cluster)).collect();
        let of = |roles: &[Role]| -> BTreeSet<String> {
            let has = |group: &&&Group| group.role_set().iter().any(|role| roles.contains(role));
            groups.iter().filter(has).map(|group| group.id.clone()).collect()
        };
        let control_plane = of(&[Role::Cluster, Role::ControlPlane]);
        let nodes = of(&[Role::Node]);
        let nodes = if nodes.is_empty() { BTreeSet::new() } else { [nodes].into() };
        let lists: BTreeMap<_, _> = groups.iter().flat_map(|group| group.prefix_lists.clone()).collect();
        Topology {
            cluster: cluster.clone(),
            control_plane,
            nodes,
            rules: groups.iter().map(|group| now(group)).collect(),
            vpc_ranges: groups.iter().fold(Addresses::default(), |all, group| all.with(&group.vpc_ranges)),
            prefix_lists: lists,
            ..Topology::default()
        }
    };
    let is_known = |topology: &Topology| !topology.control_plane.is_empty() && !topology.nodes.is_empty();
    clusters.into_iter().map(topology).filter(is_known).collect()
}

/// Why nothing can be said of an event by itself. `None`: it tells enough.
pub(super) fn not_from_the_event(change: &Change) -> Option<String> {
    let says = match &change.subject {
        Target::Groups(touched) => {
            let has_content = |touched: &Touched| touched.named.rules().iter().any(|rule| rule.claim.is_some());
            if touched.iter().any(has_content) {
                return None;
            }
            let groups: Vec<String> = touched.iter().map(|touched| plain(touched.group.text())).collect();
            let groups = groups.join(", ");
            if change.event.call.is_revoke() {
                format!(
                    "rules of {groups} were removed, and whether the cluster needs them depends on the rest of the rules"
                )
            } else {
                format!("it does not tell the rules of {groups}")
            }
        }
        Target::Attached { attachment, groups } => {
            let groups = if groups.is_empty() { "groups".to_owned() } else { groups.join(", ") };
            let attachment = attachment.as_deref().unwrap_or("an interface or instance");
            format!("{groups} were put on {attachment}, and it does not tell their rules")
        }
        Target::PrefixList(change) => {
            format!("the entries of {} changed, and it does not tell which groups use the list", change.list)
        }
        Target::Trails => "trails changed, and it does not tell whether one still logs".to_owned(),
        Target::EventRule(_) => "a rule of EventBridge changed, and it does not tell whose it is".to_owned(),
        Target::Cluster { name, .. } => {
            format!("the configuration of cluster {} changed, and it does not tell its groups", plain(name))
        }
        Target::Unknown => "it does not say what it changed".to_owned(),
    };
    Some(says)
}
