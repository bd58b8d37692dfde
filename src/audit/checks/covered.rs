//! Rules that other rules of their group cover: one alone, or several together.
//!
//! Must not: call one covered that is needed to cover another.

use std::collections::BTreeSet;

use crate::model::group::Group;
use crate::model::region::{Addresses, Traffic, cut_out, span};
use crate::model::rule::{Packets, Peer, Rule};

/// Rules of one group that are compared with each other. A group has at most a thousand.
const MAX_COMPARED: usize = 1_000;

/// Each that can go, with the rule that covers it; `None`: others do together.
pub(super) fn redundant(group: &Group) -> Vec<(&Rule, Option<&Rule>)> {
    let mut found = Vec::new();
    if group.rules.len() > MAX_COMPARED {
        return found;
    }
    let by = |at: usize, rule: &Rule| {
        let mut others = group.rules.iter().enumerate().filter(|(other, _)| *other != at);
        // Of two that cover each other the first one stays.
        others
            .find(|(other, wider)| covers(wider, rule) && (*other < at || !covers(rule, wider)))
            .map(|(_, wider)| wider)
    };
    // What is called covered covers nothing else: each of these can go, and the others stay.
    let mut gone = BTreeSet::new();
    for (at, rule) in group.rules.iter().enumerate() {
        if let Some(wider) = by(at, rule) {
            found.push((rule, Some(wider)));
            gone.insert(at);
        }
    }
    for (at, rule) in group.rules.iter().enumerate() {
        if !gone.contains(&at) && is_covered_together(&group.rules, at, rule, &gone) {
            found.push((rule, None));
            gone.insert(at);
        }
    }
    found
}

/// Whether the other rules together let in all of it.
fn is_covered_together(rules: &[Rule], at: usize, rule: &Rule, gone: &BTreeSet<usize>) -> bool {
    let Peer::Cidr(net) = &rule.peer else { return false };
    let (from, to) = span(rule.packets);
    let meeting = rules.iter().enumerate().filter_map(|(other_at, other)| {
        let Peer::Cidr(of_other) = &other.peer else { return None };
        let (first, last) = span(other.packets);
        let meets = first <= to && from <= last && (of_other.contains(net) || net.contains(of_other));
        let counts = other_at != at && other.direction == rule.direction && !gone.contains(&other_at);
        (meets && counts).then(|| (Addresses::from(*of_other), Traffic::from(other.packets)))
    });
    let mut meeting = meeting.peekable();
    // Mostly there is none.
    if meeting.peek().is_none() {
        return false;
    }
    let mut rest = vec![(Addresses::from(*net), Traffic::from(rule.packets))];
    for (addresses, traffic) in meeting {
        (rest, _) = cut_out(rest, (&addresses, &traffic));
        if rest.is_empty() {
            return true;
        }
        if rest.len() > MAX_COMPARED {
            return false;
        }
    }
    false
}

fn covers(wider: &Rule, rule: &Rule) -> bool {
    wider.direction == rule.direction
        && covers_packets(wider.packets, rule.packets)
        && covers_peer(&wider.peer, &rule.peer)
}

fn covers_packets(wider: Packets, packets: Packets) -> bool {
    match (wider, packets) {
        (Packets::All, _) => true,
        (Packets::Tcp(from, to), Packets::Tcp(start, end)) | (Packets::Udp(from, to), Packets::Udp(start, end)) => {
            from <= start && end <= to
        }
        (Packets::Icmp(kind, code), Packets::Icmp(of, with))
        | (Packets::Icmpv6(kind, code), Packets::Icmpv6(of, with)) => {
            kind.is_none() || kind == of && (code.is_none() || code == with)
        }
        (wider, packets) => wider == packets,
    }
}

fn covers_peer(wider: &Peer, peer: &Peer) -> bool {
    match (wider, peer) {
        (Peer::Cidr(wider), Peer::Cidr(net)) => wider.contains(net),
        (wider, peer) => wider.same(peer),
    }
}
