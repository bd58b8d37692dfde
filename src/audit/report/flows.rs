//! Who may talk to whom in a cluster, merged until people can take it in: some twenty nodes, whatever the cluster has.
//!
//! Groups of one role and one worst verdict are one node with a count; a group with something forbidden stands alone. Edges
//! are merged by their ends and their verdict. Owns: the order of the nodes, the same in every picture. Must not: draw.

use std::collections::{BTreeMap, BTreeSet};

use super::{Audit, AuditedGroup, AuditedLocation};
use crate::model::group::Role;
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::{Direction, Peer, Rule};
use crate::model::text::{count, plain};
use crate::policy::judge::Portion;
use crate::policy::model::{PeerClass, Verdict};

/// Groups that stand alone in a picture; more of them are merged.
const MAX_ALONE: usize = 8;
/// Longest list of ports of an edge.
const MAX_PORTS_LEN: usize = 44;
/// Longest name of a node.
const MAX_NAME_LEN: usize = 28;

/// Where a node stands: from outside to inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Outside,
    LoadBalancers,
    ControlPlane,
    Nodes,
    Pods,
    Others,
}

/// One box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) column: Column,
    pub(crate) name: String,
    /// What it is, under its name.
    pub(crate) about: String,
    /// The worst that its own rules let in.
    pub(crate) worst: Verdict,
}

/// One arrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) verdict: Verdict,
    /// `tcp 443, 10250`
    pub(crate) ports: String,
    /// How many rules it stands for.
    pub(crate) rules: usize,
}

/// The flows of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) cluster: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
}

type Key = (Column, u8, String);
/// From, to, and what is said of it.
type Ends = (Key, Key, Verdict);

/// What an edge stands for.
#[derive(Default)]
struct Flow {
    traffic: Vec<Traffic>,
    rules: BTreeSet<String>,
}

/// The flows of each cluster of a location, with its groups.
pub(crate) fn pictures<'a>(audit: &Audit, location: &'a AuditedLocation) -> Vec<(Picture, Vec<&'a AuditedGroup>)> {
    let each = location.clusters.iter().zip(location.groups_by_cluster());
    each.map(|(cluster, groups)| (picture(cluster, &groups, &audit.networks), groups)).collect()
}

fn picture(cluster: &str, groups: &[&AuditedGroup], networks: &[(String, Addresses)]) -> Picture {
    let boxes = boxes(groups);
    let mut nodes: BTreeMap<Key, Node> = boxes.values().map(|(key, node)| (key.clone(), node.clone())).collect();
    let mut flows: BTreeMap<Ends, Flow> = BTreeMap::new();
    for audited in groups {
        let Some((own, _)) = boxes.get(audited.group.id.as_str()) else { continue };
        for rule in &audited.rules {
            for portion in &rule.judged.portions {
                let content = &rule.judged.rule;
                // What leaves is drawn where somebody minds: else every group points everywhere.
                if content.direction == Direction::Egress && portion.verdict == Verdict::Allow {
                    continue;
                }
                // Everybody is somebody private, too.
                let is_everybody = matches!(&content.peer, Peer::Cidr(net) if net.prefix_len() == 0);
                if is_everybody && portion.peer_class == PeerClass::Private {
                    continue;
                }
                let (peer, node) = other_side(content, portion, &boxes, networks);
                nodes.entry(peer.clone()).or_insert(node);
                let ends = match content.direction {
                    Direction::Ingress => (peer, own.clone(), portion.verdict),
                    Direction::Egress => (own.clone(), peer, portion.verdict),
                };
                let flow = flows.entry(ends).or_default();
                flow.traffic.push(portion.traffic.clone());
                flow.rules.insert(format!("{} {} {} {}", audited.group.id, content.id, content.packets, content.peer));
            }
        }
    }
    let at: BTreeMap<&Key, usize> = nodes.keys().enumerate().map(|(at, key)| (key, at)).collect();
    let edge = |((from, to, verdict), flow): (&Ends, &Flow)| Edge {
        from: at.get(from).copied().unwrap_or_default(),
        to: at.get(to).copied().unwrap_or_default(),
        verdict: *verdict,
        ports: ports(&Traffic::union(flow.traffic.iter().cloned())),
        rules: flow.rules.len(),
    };
    let edges = flows.iter().map(edge).collect();
    Picture { cluster: cluster.to_owned(), nodes: nodes.into_values().collect(), edges }
}

/// The box of each group, by its id.
fn boxes<'a>(groups: &[&'a AuditedGroup]) -> BTreeMap<&'a str, (Key, Node)> {
    let worst =
        |audited: &AuditedGroup| audited.rules.iter().map(|rule| rule.judged.verdict).max().unwrap_or(Verdict::Allow);
    let severity = |audited: &AuditedGroup| audited.rules.iter().filter_map(|rule| rule.judged.severity).max();
    let mut forbidden: Vec<&&AuditedGroup> =
        groups.iter().filter(|audited| worst(audited) == Verdict::Revoke).collect();
    forbidden.sort_by_key(|audited| (std::cmp::Reverse(severity(audited)), audited.group.id.as_str()));
    let alone: BTreeSet<&str> = forbidden.iter().take(MAX_ALONE).map(|audited| audited.group.id.as_str()).collect();
    let mut merged: BTreeMap<(Column, Verdict), Vec<&AuditedGroup>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for audited in groups {
        let (column, worst) = (column(audited), worst(audited));
        if alone.contains(audited.group.id.as_str()) {
            found.insert(audited.group.id.as_str(), one(column, worst, audited));
        } else {
            merged.entry((column, worst)).or_default().push(audited);
        }
    }
    for ((column, worst), same) in merged {
        let whole = match same.as_slice() {
            [audited] => one(column, worst, audited),
            many => {
                let name = count(many.len(), noun(column));
                let about =
                    if worst == Verdict::Allow { "nothing to say".to_owned() } else { "with findings".to_owned() };
                ((column, 1, format!("{worst:?}")), Node { column, name, about, worst })
            }
        };
        found.extend(same.iter().map(|audited| (audited.group.id.as_str(), whole.clone())));
    }
    found
}

fn one(column: Column, worst: Verdict, audited: &AuditedGroup) -> (Key, Node) {
    let group = &audited.group;
    let name = if group.name.is_empty() { &group.id } else { &group.name };
    let roles: Vec<&str> = group.role_set().iter().map(|role| role.word()).collect();
    let node = Node { column, name: short(&plain(name), MAX_NAME_LEN), about: roles.join(", "), worst };
    ((column, 0, group.id.clone()), node)
}

fn column(audited: &AuditedGroup) -> Column {
    let roles = audited.group.role_set();
    let has = |role| roles.contains(&role);
    if has(Role::Cluster) || has(Role::ControlPlane) {
        Column::ControlPlane
    } else if has(Role::Node) || has(Role::RemoteAccess) {
        Column::Nodes
    } else if has(Role::Pod) {
        Column::Pods
    } else {
        Column::LoadBalancers
    }
}

fn noun(column: Column) -> &'static str {
    match column {
        Column::LoadBalancers => "load balancer",
        Column::ControlPlane => "control plane",
        Column::Nodes => "node group",
        Column::Pods => "pod group",
        Column::Outside | Column::Others => "other group",
    }
}

/// The box of a rule's other side.
fn other_side(
    rule: &Rule,
    portion: &Portion,
    boxes: &BTreeMap<&str, (Key, Node)>,
    networks: &[(String, Addresses)],
) -> (Key, Node) {
    let outside = |order: u8, name: &str, about: &str| {
        let node =
            Node { column: Column::Outside, name: name.to_owned(), about: about.to_owned(), worst: Verdict::Allow };
        ((Column::Outside, order, name.to_owned()), node)
    };
    match (&rule.peer, portion.peer_class) {
        (Peer::Group { id, .. }, _) => boxes.get(id.as_str()).cloned().unwrap_or_else(|| {
            let node = Node {
                column: Column::Others,
                name: "other groups".to_owned(),
                about: "not of the cluster".to_owned(),
                worst: Verdict::Allow,
            };
            ((Column::Others, 0, String::new()), node)
        }),
        (_, PeerClass::Aws(list)) => outside(4, list.word(), "a list of AWS's"),
        (_, PeerClass::Unreadable) => outside(5, "lists that can't be read", "prefix lists"),
        (Peer::Cidr(net), class) => {
            let own = Addresses::from(*net);
            let network = networks.iter().find(|(_, addresses)| addresses.covers(&own));
            match (network, class) {
                (Some((name, _)), _) => outside(3, &short(&plain(name), MAX_NAME_LEN), "a network of the policy"),
                (None, PeerClass::Internet) if net.prefix_len() == 0 => outside(0, "everybody", "the whole internet"),
                (None, PeerClass::Internet) => outside(1, "public addresses", "some of the internet"),
                (None, _) => outside(2, "private networks", "of the VPC and beyond"),
            }
        }
        (Peer::PrefixList(_), PeerClass::Internet) => outside(1, "public addresses", "some of the internet"),
        (Peer::PrefixList(_), _) => outside(2, "private networks", "of the VPC and beyond"),
    }
}

fn ports(traffic: &Traffic) -> String {
    let words = traffic.by_protocol().into_iter().map(|(protocol, ports)| match (protocol.as_str(), ports.as_str()) {
        ("-1", _) => "everything".to_owned(),
        (protocol, "all") => format!("all {protocol}"),
        (protocol, ports) => format!("{protocol} {}", ports.replace(',', ", ")),
    });
    short(&words.collect::<Vec<_>>().join("; "), MAX_PORTS_LEN)
}

/// As much of it as there is room for.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
