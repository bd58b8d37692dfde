//! What two policies are tried on: a rule from each peer that they tell apart, groups of each role, names of clusters.
//!
//! Must not: judge.

use std::collections::BTreeSet;

use crate::cli::claims;
use crate::model::group::{AwsList, Evidence, Group, PeerGroup, PrefixList, Role, RoleEvidence};
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::policy::globs;
use crate::policy::model::{PeerTerm, Policy};

const OWN: &str = "sg-00000000000000000";
const OTHER: &str = "sg-0ffffffffffffffff";
const UNREADABLE: &str = "pl-0ffffffffffffffff";
/// One public address and one of another family; documentation ranges count as internet.
const NARROW: [&str; 2] = ["192.0.2.222/32", "2001:db8:ffff:ffff::222/128"];
const WIDE: [&str; 2] = ["0.0.0.0/0", "::/0"];
/// Named sources that are tried one by one.
const MAX_NAMED: usize = 50;

/// Groups of one role each, and one that is attached to nodes and load balancers.
pub(super) fn role_sets() -> Vec<BTreeSet<Role>> {
    let alone = Role::ALL.map(|role| BTreeSet::from([role])).into_iter();
    alone.chain([BTreeSet::from([Role::Node, Role::LoadBalancer])]).collect()
}

/// A name for each set of clauses and `groups` that can be in force together; the first fits no pattern of the policies.
pub(super) fn clusters(policies: [&Policy; 2]) -> Vec<String> {
    let entries = || policies.into_iter().flat_map(|policy| &policy.groups);
    let globs = policies.into_iter().flat_map(Policy::cluster_globs);
    let (named, other) = globs::samples(globs.chain(entries().map(|entry| entry.cluster.as_str())));
    let mut seen = BTreeSet::new();
    let in_force = |name: &String| {
        let clauses = policies.into_iter().flat_map(|policy| &policy.clauses);
        let clauses = clauses.map(|clause| clause.limits.holds_in(Some(name)));
        clauses.chain(entries().map(|entry| entry.cluster == *name)).collect::<Vec<_>>()
    };
    [other].into_iter().chain(named).filter(|name| seen.insert(in_force(name))).take(MAX_NAMED).collect()
}

fn same_cluster(role: Role) -> String {
    let at = Role::ALL.iter().position(|known| *known == role).unwrap_or_default();
    format!("sg-0000000000000001{at}")
}

fn list(list: AwsList) -> String {
    let at = AwsList::ALL.iter().position(|known| *known == list).unwrap_or_default();
    format!("pl-0000000000000001{at}")
}

pub(super) fn rules(policies: [&Policy; 2]) -> Vec<Rule> {
    let group = |id: &str| Peer::Group { id: id.to_owned(), owner: None };
    let mut peers: Vec<Peer> = WIDE.iter().chain(&NARROW).filter_map(|block| Peer::cidr(block).ok()).collect();
    let foreign = Peer::Group { id: OTHER.to_owned(), owner: Some("444455556666".to_owned()) };
    peers.extend([group(OWN), group(OTHER), foreign, Peer::PrefixList(UNREADABLE.to_owned())]);
    peers.extend(Role::ALL.map(|role| group(&same_cluster(role))));
    peers.extend(AwsList::ALL.map(|of| Peer::PrefixList(list(of))));
    let terms = policies.into_iter().flat_map(|policy| &policy.clauses).flat_map(|clause| &clause.peers);
    let mut named = Vec::new();
    for term in terms {
        let peer = match term {
            PeerTerm::Group(id) => Some(group(id)),
            PeerTerm::PrefixList(id) => Some(Peer::PrefixList(id.clone())),
            PeerTerm::Addresses(addresses) => {
                // One address of it.
                let first = addresses.blocks().into_iter().next();
                first.and_then(|block| Peer::cidr(&block.network().to_string()).ok())
            }
            _ => None,
        };
        named.extend(peer.filter(|peer| !peers.contains(peer) && !named.contains(peer)));
    }
    peers.extend(named.into_iter().take(MAX_NAMED));
    let rule = |direction, peer: &Peer| Rule::new(direction, Packets::All, peer.clone());
    [Direction::Ingress, Direction::Egress].iter().flat_map(|way| peers.iter().map(|peer| rule(*way, peer))).collect()
}

pub(super) fn group(roles: &BTreeSet<Role>, cluster: &str, rules: &[Rule], policies: [&Policy; 2]) -> Group {
    let strong = |role: &Role| RoleEvidence { role: *role, evidence: Evidence::Configured, strong: true };
    let peer = |role: Role| {
        (same_cluster(role), PeerGroup { same_cluster: true, roles: [role].into(), ..PeerGroup::default() })
    };
    let clusters = BTreeSet::from([cluster.to_owned()]);
    let mut peers = claims::peers(policies.into_iter().flat_map(|policy| &policy.groups), &clusters);
    peers.extend(Role::ALL.map(peer));
    Group {
        id: OWN.to_owned(),
        clusters,
        roles: roles.iter().map(strong).collect(),
        rules: rules.to_vec(),
        vpc_ranges: Addresses::default(),
        peers,
        prefix_lists: AwsList::ALL.map(|of| (list(of), PrefixList::Aws(of))).into(),
        ..Group::default()
    }
}
