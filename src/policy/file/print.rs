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
        vec![("id", quoted(&group.id)), ("cluster", quoted(&group.cluster)), ("role", group.role.word().to_owned())]
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
    let Limits { owner, expires, group, cluster, account, region } = &clause.limits;
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
    let mut entry = vec![("id", quoted(&clause.id)), ("roles", format!("[{}]", roles.join(", ")))];
    entry.extend(clause.only.then(|| ("only", "true".to_owned())));
    entry.extend(space(clause.direction, &clause.traffic, &clause.peers));
    entry.push(("verdict", clause.verdict.word().to_owned()));
    let word = |severity: Severity| severity.word().to_owned();
    entry.extend(clause.severity.map(|severity| ("severity", word(severity))));
    entry.extend(clause.severity_of_ranges.map(|severity| ("severity_of_ranges", word(severity))));
    entry.extend(clause.for_controller.map(|milder| ("for_controller", milder.word().to_owned())));
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

/// The language gives the same ports to TCP and UDP of one clause, or all of them to one of the two.
fn packets(traffic: &Traffic) -> KeyValues {
    if *traffic == Traffic::all() {
        return Vec::new();
    }
    let of = |protocol: u8| traffic.clone() & Traffic::ports(protocol, 0, u16::MAX);
    let is_whole = |protocol: &u8| of(*protocol) == Traffic::ports(*protocol, 0, u16::MAX);
    let mut entry = Vec::new();
    let with_ports: Vec<u8> =
        [TCP, UDP].into_iter().filter(|protocol| !of(*protocol).is_empty() && !is_whole(protocol)).collect();
    if let Some(first) = with_ports.first() {
        let names: Vec<&str> = with_ports.iter().map(|protocol| if *protocol == TCP { "tcp" } else { "udp" }).collect();
        let ranges: Vec<String> = of(*first).ranges().map(range).collect();
        entry.push(("protocol", format!("[{}]", names.join(", "))));
        entry.push(("ports", format!("[{}]", ranges.join(", "))));
    }
    for (protocol, key) in MESSAGES {
        if !of(protocol).is_empty() && !is_whole(&protocol) {
            entry.push((key, format!("[{}]", messages(protocol, traffic).join(", "))));
        }
    }
    let whole: Vec<String> = (0..=u8::MAX).filter(is_whole).map(|protocol| protocol.to_string()).collect();
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
fn messages(protocol: u8, traffic: &Traffic) -> Vec<String> {
    let mut all = Vec::new();
    for kind in 0..=u8::MAX {
        if traffic.covers(&Traffic::icmp(protocol, Some(kind), None)) {
            all.push(kind.to_string());
        } else {
            let has = |code: &u8| traffic.covers(&Traffic::icmp(protocol, Some(kind), Some(*code)));
            all.extend((0..=u8::MAX).filter(has).map(|code| format!("{kind}/{code}")));
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::policy::{builtin, file};

    /// What has to be equal of two policies, in words.
    pub(crate) fn meaning(policy: &Policy) -> String {
        let mut policy = policy.clone();
        (policy.name, policy.hash, policy.networks) = Default::default();
        for clause in policy.clauses.iter_mut().filter(|clause| clause.origin != Origin::Exception) {
            clause.origin = Origin::BuiltIn;
        }
        format!("{policy:#?}")
    }

    fn read_back(policy: &Policy) {
        let printed = text(policy);
        let today = "2026-11-23".parse().unwrap();
        let loaded = file::load("printed.yaml", &printed, today);
        let again = loaded.unwrap_or_else(|rejected| panic!("{rejected:?}\n{printed}")).policy;
        assert_eq!(meaning(&again), meaning(policy), "{printed}");
        assert_eq!(text(&again), printed);
    }

    #[test]
    fn a_printed_policy_is_read_back_as_the_same_policy() {
        for name in builtin::NAMES {
            read_back(builtin::policy(name).unwrap());
        }
        let today = "2026-11-23".parse().unwrap();
        let mut texts = vec![include_str!("../../../policy.example.yaml").to_owned()];
        for name in builtin::NAMES {
            texts.push(format!("version: 1\nextends: {name}\n"));
        }
        texts.push(
            "version: 1\nverdicts: {nodeport-internet: allow, other-internet: revoke, kubelet-internet: report}\n"
                .to_owned(),
        );
        texts.push(
            "version: 1\nnetworks: {clients: [10.0.0.0/8, \"::/0\", vpc]}\nclauses:\n\
             - {id: a, protocol: [tcp, udp, 50], from: [pl-0123456789abcdef0, clients], verdict: allow, \
             reason: \"a \\\"b\\\" \\n # c: d\"}\n\
             - {id: b, protocol: udp, ports: [0, 7-9], icmp: [3/4, 5-7], whole_protocols: [tcp], from: [anywhere], \
             verdict: report, reason: r}\n"
                .to_owned(),
        );
        for text in texts {
            let loaded = file::load("policy.yaml", &text, today);
            read_back(&loaded.unwrap_or_else(|rejected| panic!("{rejected:?}")).policy);
        }
    }
}
