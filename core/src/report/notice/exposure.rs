//! What a rule lets in, and whom, as a person would say it: `kubelet 10250`, `everybody`.
//!
//! Must not: judge. A port is named by what usually listens there.

use std::collections::BTreeSet;

use super::plain_word;
use crate::model::role::Role;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::model::text::{and, plain};
use crate::report::finding::{Finding, PortionRecord};
use crate::report::record::Record;

/// What usually listens where, the most dangerous first: protocol, ports, name.
const SERVICES: [(&str, u16, u16, &str); 14] = [
    ("tcp", 10250, 10250, "kubelet"),
    ("tcp", 10255, 10255, "kubelet"),
    ("tcp", 2379, 2380, "etcd"),
    ("tcp", 22, 22, "SSH"),
    ("tcp", 3389, 3389, "RDP"),
    ("tcp", 5985, 5986, "WinRM"),
    ("tcp", 2375, 2376, "Docker"),
    ("tcp", 30000, 32767, "NodePort"),
    ("udp", 30000, 32767, "NodePort"),
    ("tcp", 53, 53, "DNS"),
    ("udp", 53, 53, "DNS"),
    ("tcp", 443, 443, "HTTPS"),
    ("tcp", 80, 80, "HTTP"),
    ("udp", 4789, 8472, "overlay network"),
];
/// Services named of a rule with many ports.
const MAX_SERVICES: usize = 3;
/// What a rule lets through: `kubelet 10250`, `TCP 0-65535 (kubelet, etcd, SSH, …)`, `all traffic`.
pub(super) fn thing(record: &Record, finding: &Finding, rule: &Rule) -> String {
    let out = if rule.direction == Direction::Egress { "outbound " } else { "" };
    if let Some(service) = service(record, rule.packets) {
        return format!("{out}{service}");
    }
    let covered = services(finding);
    let named: Vec<&str> = covered.iter().take(MAX_SERVICES).copied().collect();
    let more = if covered.len() > MAX_SERVICES { ", …" } else { "" };
    let with = if named.is_empty() { String::new() } else { format!(" ({}{more})", named.join(", ")) };
    format!("{out}{}{with}", rule.packets)
}

/// The one service that listens there, with its ports: `kubelet 10250`.
pub(super) fn service(record: &Record, packets: Packets) -> Option<String> {
    let (protocol, from, to) = match packets {
        Packets::Tcp(from, to) => ("tcp", from, to),
        Packets::Udp(from, to) => ("udp", from, to),
        _ => return None,
    };
    let is_it = |(of, first, last, _): &&(&str, u16, u16, &str)| *of == protocol && *first <= from && to <= *last;
    let (.., name) = SERVICES.iter().find(is_it)?;
    let is_api = *name == "HTTPS" && has_role(record, &[Role::Cluster, Role::ControlPlane]);
    let name = if is_api { "API server" } else { name };
    Some(if from == to { format!("{name} {from}") } else { format!("{name} {from}-{to}") })
}

/// The services in the portions that make the verdict.
fn services(finding: &Finding) -> Vec<&'static str> {
    let of_verdict = |portion: &&PortionRecord| portion.verdict == finding.verdict;
    let portions: Vec<&PortionRecord> = finding.portions.iter().filter(of_verdict).collect();
    let mut names = Vec::new();
    for (protocol, first, _, name) in SERVICES {
        let covers = |portion: &&PortionRecord| portion.protocol == protocol && has_port(&portion.ports, first);
        if portions.iter().any(covers) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether ports as a record writes them (`0-21,23-65535`) have this one.
fn has_port(ports: &str, port: u16) -> bool {
    ports.split(',').any(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        match (from.trim().parse::<u16>(), to.trim().parse::<u16>()) {
            (Ok(from), Ok(to)) => (from..=to).contains(&port),
            _ => range == "all",
        }
    })
}

fn has_role(record: &Record, roles: &[Role]) -> bool {
    record.group.iter().flat_map(|group| &group.roles).any(|known| roles.contains(&known.role))
}

/// Whom a rule lets in. `in_full`: with the block or the list's id.
pub(super) fn whom(finding: &Finding, rule: &Rule, in_full: bool) -> String {
    match &rule.peer {
        Peer::Cidr(net) => of_block(net, in_full),
        Peer::PrefixList(id) => {
            let name = finding.list.as_ref().and_then(|list| plain_word(list.name.as_deref()?));
            let list = match (name, in_full) {
                (Some(name), true) => format!("prefix list {name} ({id})"),
                (Some(name), false) => format!("prefix list {name}"),
                (None, _) => format!("prefix list {id}"),
            };
            let blocks = finding.list.as_ref().map(|list| list.entries.as_slice()).unwrap_or_default();
            let all = blocks.iter().find(|net| net.prefix_len() == 0);
            match all {
                Some(net) if in_full => format!("everybody ({net}, in {list})"),
                Some(_) => format!("everybody ({list})"),
                None => list,
            }
        }
        Peer::Group { id, owner: None } => format!("group {id}"),
        Peer::Group { id, owner: Some(owner) } => format!("group {id} of account {}", plain(owner)),
    }
}

fn of_block(net: &ipnet::IpNet, in_full: bool) -> String {
    // More addresses than any company has.
    let wide = if net.addr().is_ipv4() { 8 } else { 16 };
    match net.prefix_len() {
        0 if in_full => format!("everybody ({net})"),
        0 => "everybody".to_owned(),
        length if length <= wide => format!("a large part of the internet ({net})"),
        _ => net.to_string(),
    }
}

/// What is open of several things, each with whom it lets in: those first that stand first, and at most `most` of them.
pub(super) fn open(of: &[(String, String)], past: bool, most: usize) -> String {
    let mut each: Vec<&(String, String)> = Vec::new();
    let mut seen: BTreeSet<&(String, String)> = BTreeSet::new();
    each.extend(of.iter().filter(|one| seen.insert(one)));
    let Some((thing, whom)) = each.first() else { return String::new() };
    let shown = each.get(..most.min(each.len())).unwrap_or_default();
    let rest = if each.len() > shown.len() { of.len().saturating_sub(shown.len()) } else { 0 };
    let more = (rest > 0).then(|| format!("{rest} more"));
    let is = |number: usize| match (past, number) {
        (true, 1) => "was",
        (true, _) => "were",
        (false, 1) => "is",
        (false, _) => "are",
    };
    let all = |part: fn(&(String, String)) -> &String| -> String {
        let parts: Vec<String> = shown.iter().map(|one| part(one).clone()).chain(more.clone()).collect();
        and(&parts)
    };
    if each.iter().all(|(_, other)| other == whom) {
        return format!("{} {} open to {whom}", all(|(thing, _)| thing), is(each.len()));
    }
    if each.iter().all(|(other, _)| other == thing) {
        return format!("{thing} {} open to {}", is(1), all(|(_, whom)| whom));
    }
    let others = shown.iter().skip(1).map(|(thing, whom)| format!("{thing} to {whom}"));
    let others: Vec<String> = others.chain(more).collect();
    format!("{thing} {} open to {whom}, {}", is(1), others.join(", "))
}

/// A rule in a few words, for titles: `kubelet 10250 from everybody`.
pub(super) fn short(record: &Record, finding: &Finding) -> String {
    let Some(rule) = finding.rule() else { return String::new() };
    let way = if rule.direction == Direction::Ingress { "from" } else { "to" };
    let thing = thing(record, finding, rule);
    format!("{} {way} {}", thing.strip_prefix("outbound ").unwrap_or(&thing), whom(finding, rule, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_said_as_shortly_as_it_is_alike() {
        let of = |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        for (all, past, expected) in [
            (of(&[("SSH 22", "everybody")]), false, "SSH 22 is open to everybody"),
            (of(&[("SSH 22", "everybody"), ("SSH 22", "everybody")]), true, "SSH 22 was open to everybody"),
            (of(&[("SSH 22", "all"), ("RDP 3389", "all")]), true, "SSH 22 and RDP 3389 were open to all"),
            (of(&[("a", "x"), ("b", "x"), ("c", "x")]), false, "a, b and 1 more are open to x"),
            (of(&[("a", "x"), ("a", "y"), ("a", "z"), ("a", "z")]), true, "a was open to x, y and 2 more"),
            (of(&[("a", "x"), ("b", "y"), ("c", "z")]), false, "a is open to x, b to y, 1 more"),
        ] {
            assert_eq!(open(&all, past, 2), expected);
        }
    }
}
