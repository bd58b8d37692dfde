//! A policy as a file of its own: everything written out, nothing inherited.
//!
//! `load` reads it back as the same policy, but for its name, its hash, what its networks are called and who wrote a clause:
//! what was inherited is now the file's own, so a `revoke` that names the cluster's own groups counts as meant
//! (`PeerTerm::names_cluster_groups`).
//!
//! Must not: shorten. Who reads it wants to know what is in force.

use std::fmt::Write as _;

use serde_json::Value;

use crate::model::region::Traffic;
use crate::model::rule::Direction;
use crate::policy::file::{CLIENTS_NETWORK, VERSION};
use crate::policy::model::{Clause, Limits, Origin, PeerTerm, Policy, Requirement, Severity, Verdict};

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Protocols whose "ports" are types and codes, with their key.
const MESSAGES: [(u8, &str); 2] = [(1, "icmp"), (58, "icmpv6")];

/// The file.
pub fn text(policy: &Policy) -> String {
    let mut out = format!("version: {VERSION}\nextends: none\n");
    let _ = writeln!(out, "otherwise: {}", policy.otherwise.word());
    let _ = writeln!(out, "exceptions_need_date: {}", policy.exceptions_need_date);
    let endpoint = policy.public_endpoint.map_or(Verdict::Allow.word(), Severity::word);
    let _ = writeln!(out, "public_endpoint: {endpoint}");
    if !policy.clients.is_empty() {
        let _ = writeln!(out, "\nnetworks:\n  {CLIENTS_NETWORK}: {}", terms(&policy.clients));
    }
    let controllers = policy.controllers.iter().map(|arn| vec![("", quoted(arn))]).collect();
    list(&mut out, "controllers", controllers);
    let groups = policy.groups.iter();
    let groups = groups.map(|group| {
        let mode = group.mode.map(|mode| ("mode", mode.word().to_owned()));
        let role = ("role", group.role.word().to_owned());
        [("id", quoted(&group.id)), ("cluster", quoted(&group.cluster)), role].into_iter().chain(mode).collect()
    });
    list(&mut out, "groups", groups.collect());
    let clusters = policy.clusters.iter().map(|cluster| {
        let environment = cluster.environment.as_deref().map(|text| ("environment", quoted(text)));
        let mode = cluster.mode.map(|mode| ("mode", mode.word().to_owned()));
        [("name", quoted(&cluster.name))].into_iter().chain(environment).chain(mode).collect()
    });
    list(&mut out, "clusters", clusters.collect());
    let (exceptions, clauses): (Vec<&Clause>, Vec<&Clause>) =
        policy.clauses.iter().partition(|clause| clause.origin == Origin::Exception);
    list(&mut out, "exceptions", exceptions.into_iter().map(exception).collect());
    list(&mut out, "clauses", clauses.into_iter().map(clause).collect());
    list(&mut out, "requirements", policy.requirements.iter().map(requirement).collect());
    out
}

/// The fields of one entry, in the order in which they are written. A name that is empty stands for the entry itself.
type KeyValues = Vec<(&'static str, String)>;

fn list(out: &mut String, name: &str, entries: Vec<KeyValues>) {
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{name}:");
    for entry in entries {
        for (number, (key, value)) in entry.into_iter().enumerate() {
            let bullet = if number == 0 { "- " } else { "  " };
            let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
            let _ = writeln!(out, "  {bullet}{key}{value}");
        }
    }
}

fn exception(clause: &Clause) -> KeyValues {
    let Limits { owner, expires, group, cluster, not_clusters: _, account, region } = &clause.limits;
    let mut entry = vec![("id", quoted(&clause.id)), ("reason", quoted(&clause.reason))];
    entry.extend(owner.as_deref().map(|owner| ("owner", quoted(owner))));
    entry.extend(expires.map(|day| ("expires", day.to_string())));
    for (key, limit) in [("group", group), ("cluster", cluster), ("account", account), ("region", region)] {
        entry.extend(limit.as_deref().map(|limit| (key, quoted(limit))));
    }
    entry.extend(space(clause.direction, &clause.traffic, &clause.peers));
    entry
}

fn clause(clause: &Clause) -> KeyValues {
    let roles: Vec<&str> = clause.roles.iter().map(|role| role.word()).collect();
    let mut entry = vec![("id", quoted(&clause.id))];
    let globs: Vec<String> = clause.limits.not_clusters.iter().map(|glob| quoted(glob)).collect();
    entry.extend(clause.limits.cluster.as_deref().map(|glob| ("cluster", quoted(glob))));
    entry.extend((!globs.is_empty()).then(|| ("except_cluster", format!("[{}]", globs.join(", ")))));
    entry.push(("roles", format!("[{}]", roles.join(", "))));
    entry.extend(clause.only.then(|| ("only", "true".to_owned())));
    entry.extend(space(clause.direction, &clause.traffic, &clause.peers));
    entry.extend(clause.width.more_than.map(|count| ("more_than_ports", count.to_string())));
    entry.extend(clause.width.at_most.map(|count| ("at_most_ports", count.to_string())));
    entry.push(("verdict", clause.verdict.word().to_owned()));
    for (key, milder) in [("in_passing", clause.in_passing), ("for_controller", clause.for_controller)] {
        entry.extend(milder.map(|milder| (key, milder.word().to_owned())));
    }
    for (key, severity) in [
        ("severity", clause.severity),
        ("severity_of_ranges", clause.severity_of_ranges),
        ("severity_of_broad", clause.severity_of_broad),
        ("severity_for_controller", clause.severity_for_controller),
    ] {
        entry.extend(severity.map(|severity| (key, severity.word().to_owned())));
    }
    entry.extend(clause.beside_load_balancer.then(|| ("beside_load_balancer", "true".to_owned())));
    entry.push(("reason", quoted(&clause.reason)));
    entry
}

fn requirement(requirement: &Requirement) -> KeyValues {
    let role = requirement.interfaces_of.word().to_owned();
    let mut entry = vec![("id", quoted(&requirement.id)), ("role", role)];
    entry.extend(space(requirement.direction, &requirement.traffic, &requirement.peers));
    entry.push(("severity", requirement.severity.word().to_owned()));
    entry.push(("reason", quoted(&requirement.reason)));
    entry
}

/// Direction, packets and peers.
fn space(direction: Direction, traffic: &Traffic, peers: &[PeerTerm]) -> KeyValues {
    let key = match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let mut entry = vec![("direction", direction.word().to_owned())];
    entry.extend(packets(traffic));
    entry.push((key, terms(peers)));
    entry
}

/// Ports are `protocol` and `ports` unless TCP and UDP have different ones.
fn packets(traffic: &Traffic) -> KeyValues {
    if *traffic == Traffic::all() {
        return Vec::new();
    }
    let of = |protocol: u8| traffic.clone() & Traffic::ports(protocol, 0, u16::MAX);
    let whole: Vec<u32> = traffic.ranges().flat_map(|(from, to)| from.div_ceil(1 << 16)..(to + 1) >> 16).collect();
    let is_whole = |protocol: &u8| whole.contains(&u32::from(*protocol));
    let mut entry = Vec::new();
    let ports = |protocol: u8| of(protocol).ranges().map(range).collect::<Vec<_>>().join(", ");
    let with_ports: Vec<(&'static str, String)> = [("tcp", TCP), ("udp", UDP)]
        .into_iter()
        .filter(|(_, protocol)| !of(*protocol).is_empty() && !is_whole(protocol))
        .map(|(name, protocol)| (name, format!("[{}]", ports(protocol))))
        .collect();
    match with_ports.as_slice() {
        [(_, one), (_, other)] if one != other => entry.extend(with_ports),
        [(_, ports), ..] => {
            let names: Vec<&str> = with_ports.iter().map(|(name, _)| *name).collect();
            entry.push(("protocol", format!("[{}]", names.join(", "))));
            entry.push(("ports", ports.clone()));
        }
        [] => {}
    }
    for (protocol, key) in MESSAGES {
        if !of(protocol).is_empty() && !is_whole(&protocol) {
            entry.push((key, format!("[{}]", messages(&of(protocol)).join(", "))));
        }
    }
    let whole: Vec<String> = whole.iter().map(u32::to_string).collect();
    if !whole.is_empty() {
        entry.push(("whole_protocols", format!("[{}]", whole.join(", "))));
    }
    entry
}

fn range((from, to): (u32, u32)) -> String {
    let (from, to) = (from & 0xffff, to & 0xffff);
    if from == to { from.to_string() } else { format!("{from}-{to}") }
}

/// Whole types as `8`, others code by code as `3/4`.
fn messages(traffic: &Traffic) -> Vec<String> {
    let mut all = Vec::new();
    for (from, to) in traffic.ranges().map(|(from, to)| (from & 0xffff, to & 0xffff)) {
        for kind in from >> 8..=to >> 8 {
            let (first, last) = (from.max(kind << 8) & 0xff, to.min(kind << 8 | 0xff) & 0xff);
            if (first, last) == (0, 0xff) {
                all.push(kind.to_string());
            } else {
                all.extend((first..=last).map(|code| format!("{kind}/{code}")));
            }
        }
    }
    all
}

fn terms(terms: &[PeerTerm]) -> String {
    let each = terms.iter().flat_map(|term| match term {
        PeerTerm::Addresses(addresses) => addresses.blocks().iter().map(|block| quoted(&block.to_string())).collect(),
        PeerTerm::PrefixList(id) | PeerTerm::Group(id) => vec![quoted(id)],
        // A colon would make a key of it.
        term => {
            term.word().map(|word| if word.contains(':') { quoted(&word) } else { word.into() }).into_iter().collect()
        }
    });
    format!("[{}]", each.collect::<Vec<String>>().join(", "))
}

/// JSON's way to quote a text is one of YAML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
