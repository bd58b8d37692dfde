//! What an event says, as groups that a policy can judge. There is no live state here, so what the event claims is taken
//! for true, and what it does not say is assumed and said.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::event::described::{self, Described};
use crate::event::{Change, Event, GroupRef, Named, NamedRule};
use crate::model::group::{ConfiguredGroup, Evidence, Group, PeerGroup, Role, RoleEvidence};
use crate::model::rule::{Peer, Rule};
use crate::plan::standing::Memory;
use crate::policy::controller::Author;
use crate::policy::model::Policy;

/// What an event doesn't say about its groups.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Assumed {
    /// What the group is to its cluster; several times for several roles [default: what `groups` of the policy says, else
    /// node].
    #[arg(long = "role", value_name = "ROLE", value_parser = role_parser())]
    pub(super) roles: Vec<Role>,
    /// The cluster the group belongs to; several times for several. It matters where the policy has `clusters`, or clauses
    /// or exceptions for a cluster.
    #[arg(long = "cluster", value_name = "NAME")]
    pub(super) clusters: Vec<String>,
}

fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::word)).map(|word| Role::from_word(&word).unwrap_or(Role::Node))
}

/// Where the roles of a group come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RolesFrom {
    Argument,
    Policy,
    Default,
}

/// One group with the rules that an event claims.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) group: Group,
    pub(super) named: Named,
    pub(super) roles_from: RolesFrom,
    /// Rules of which the event tells no content that could be judged.
    pub(super) without_content: usize,
    /// What the group's rules were known as, where something tells.
    pub(super) memory: Memory,
    /// What is not known here and may make the verdict on the caller's marked rules milder.
    pub(super) of_caller: Option<&'static str>,
    /// What only the live state tells of the caller, if that is so: the group as it would be then, and what would be so.
    pub(super) otherwise: Option<(Box<Group>, &'static str)>,
}

/// The groups of an event, each with its claimed rules alone, which the event describes so.
pub(super) fn groups(change: &Change, described: &[Described], policy: &Policy, assumed: &Assumed) -> Vec<Claimed> {
    let touched = change.touched().iter();
    let of = (&change.event, described);
    touched.map(|touched| claimed(&touched.group, &touched.named, of, policy, assumed)).collect()
}

fn claimed(
    group: &GroupRef,
    named: &Named,
    (event, described): (&Event, &[Described]),
    policy: &Policy,
    assumed: &Assumed,
) -> Claimed {
    let id = group.text();
    let configured = || policy.groups.iter().filter(|entry| entry.id == id);
    let (roles, roles_from): (BTreeSet<Role>, _) = if !assumed.roles.is_empty() {
        (assumed.roles.iter().copied().collect(), RolesFrom::Argument)
    } else if configured().next().is_some() {
        (configured().map(|entry| entry.role).collect(), RolesFrom::Policy)
    } else {
        ([Role::Node].into(), RolesFrom::Default)
    };
    let clusters: BTreeSet<String> = if assumed.clusters.is_empty() {
        configured().map(|entry| entry.cluster.clone()).collect()
    } else {
        assumed.clusters.iter().cloned().collect()
    };
    let rules_named = match named {
        Named::Rules(rules) => rules.as_slice(),
        Named::Nothing | Named::Using(_) | Named::Everything => &[],
    };
    let rules: Vec<Rule> = rules_named.iter().filter_map(|named| described::told(named, described)).collect();
    let without_content = rules_named.len() - rules.len();
    let strong = |role| RoleEvidence { role, evidence: Evidence::Configured, strong: true };
    let group = Group {
        id: id.to_owned(),
        owner: event.location.account.clone(),
        peers: peers(&policy.groups, &clusters),
        clusters,
        roles: roles.into_iter().map(strong).collect(),
        rules,
        ..Group::default()
    };
    let of_caller = of_caller(event, policy, &group);
    let otherwise = otherwise(event, policy, &group);
    let (named, memory) = (named.clone(), Memory::None);
    Claimed { group, named, roles_from, without_content, memory, of_caller, otherwise }
}

fn of_caller(event: &Event, policy: &Policy, group: &Group) -> Option<&'static str> {
    match Author::of(&event.actor, policy, group) {
        Author::Controller | Author::Service if event.call.rewrites_rules() => Some(
            "the caller is a controller; of a modified rule its description is known and its tags are not, so a mark that \
             is a tag does not count here",
        ),
        Author::Controller | Author::Service => None,
        _ if event.actor.federated_provider.is_some() => Some(
            "the caller has a web identity: whether it is one of the group's own cluster, whose marked rules are judged as \
             a controller's, is not known here",
        ),
        _ => None,
    }
}

/// The group as it would be if the caller were the cluster's own. An event does not tell which role or which identities a
/// cluster has; it tells that somebody is no role at all.
fn otherwise(event: &Event, policy: &Policy, group: &Group) -> Option<(Box<Group>, &'static str)> {
    if Author::of(&event.actor, policy, group) != Author::Other {
        return None;
    }
    let mut group = Box::new(group.clone());
    if let Some(provider) = &event.actor.federated_provider {
        group.identity_providers.insert(provider.clone());
        return Some((group, "the caller's web identity is the group's own cluster's"));
    }
    let role = event.actor.session_issuer.clone()?;
    group.cluster_role_arns.insert(role);
    Some((group, "the caller's role is the cluster's own"))
}

/// The other groups that policies themselves put into these clusters, by their entries of `groups`.
pub(super) fn peers<'p>(
    entries: impl IntoIterator<Item = &'p ConfiguredGroup>,
    clusters: &BTreeSet<String>,
) -> BTreeMap<String, PeerGroup> {
    let mut peers: BTreeMap<String, PeerGroup> = BTreeMap::new();
    for entry in entries.into_iter().filter(|entry| clusters.contains(&entry.cluster)) {
        let peer = peers.entry(entry.id.clone()).or_default();
        peer.same_cluster = true;
        peer.roles.insert(entry.role);
    }
    peers
}

/// What the verdicts rest on that is not known offline, in whole sentences.
pub(super) fn caveats(claimed: &Claimed) -> Vec<String> {
    let Claimed { group, named, roles_from, without_content, of_caller, .. } = claimed;
    let mut caveats = Vec::new();
    match named {
        Named::Nothing | Named::Using(_) => caveats.push(
            "the event names no rule: the function would look at the group, which this program cannot".to_owned(),
        ),
        Named::Everything => caveats.push(
            "the event does not name the rules (CloudTrail left them out): the function would look at all rules of the group"
                .to_owned(),
        ),
        Named::Rules(_) if *without_content > 0 => caveats.push(format!(
            "{without_content} of the rules are named without content that could be judged: the function would look them up \
             by id"
        )),
        Named::Rules(_) => {}
    }
    if group.rules.is_empty() {
        return caveats;
    }
    if *roles_from == RolesFrom::Default {
        caveats.push("no `--role` was given: the group is taken for a node group".to_owned());
    }
    if group.clusters.is_empty() {
        caveats.push(
            "no `--cluster` was given: settings, clauses and exceptions that are limited to a cluster do not count"
                .to_owned(),
        );
    }
    let has_no_direction = |rule: &NamedRule| rule.claim.as_ref().is_some_and(|claim| claim.direction.is_none());
    if matches!(named, Named::Rules(rules) if rules.iter().any(has_no_direction)) {
        caveats.push("a modified rule comes without its direction: it is taken for ingress".to_owned());
        caveats.push(
            "what a modified rule was before is not known here: a rule that the function knows is put back to that instead \
             of revoked (`GUARD_RESTORE`)"
                .to_owned(),
        );
    }
    let is = |of: fn(&Peer) -> bool| group.rules.iter().any(|rule| of(&rule.peer));
    if is(|peer| matches!(peer, Peer::PrefixList(_))) {
        caveats.push("the entries of prefix lists are not known here: the function reads and judges them".to_owned());
    }
    if is(|peer| matches!(peer, Peer::Group { .. })) {
        caveats
            .push("other groups count as foreign, unless `groups` of the policy puts them into the cluster".to_owned());
    }
    caveats.extend(of_caller.map(str::to_owned));
    caveats
}
