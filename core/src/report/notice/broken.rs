//! What stops working where something is not open that a cluster needs, and what opens it again.
//!
//! Must not: propose to open more than what a call or an edit closed.

use super::situation::Topic;
use crate::model::region::Traffic;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::model::text::{and, first_few, plain};
use crate::report::finding::{PortionRecord, Subject};

/// What people notice, by the requirements of the built-in policies: a word for a subject. What stops most stands first.
const STOPS: [(&str, &str); 7] = [
    ("node-dns", "pods cannot resolve names (DNS)"),
    ("node-egress-dns", "pods cannot send DNS queries"),
    ("nodes-to-control-plane", "nodes and pods cannot reach the API server"),
    ("node-egress", "nodes cannot call the API server"),
    ("node-to-node", "pods cannot reach pods on other nodes"),
    ("control-plane-to-nodes", "kubectl logs and exec, metrics and webhooks fail"),
    ("control-plane-egress", "the API server cannot reach nodes (logs, exec, webhooks)"),
];
/// Named in one sentence.
const MAX_NAMED: usize = 3;

/// Those that stop most first.
fn sorted<'t, 'a>(topics: &[&'t Topic<'a>]) -> Vec<&'t Topic<'a>> {
    let rank = |topic: &&Topic<'_>| STOPS.iter().position(|(known, _)| is_of(topic, known)).unwrap_or(STOPS.len());
    let mut sorted = topics.to_vec();
    sorted.sort_by_key(rank);
    sorted
}

/// What is worst of what stops working, for a subject.
pub(super) fn worst(topics: &[&Topic<'_>]) -> String {
    sorted(topics).first().map(|topic| of_requirement(topic)).unwrap_or_default()
}

/// What stops working, in a sentence without its end.
pub(super) fn stops(topics: &[&Topic<'_>]) -> String {
    let mut named: Vec<String> = Vec::new();
    for topic in sorted(topics) {
        let words = of_requirement(topic);
        if !named.contains(&words) {
            named.push(words);
        }
    }
    and(&first_few(named, MAX_NAMED, |rest| format!("{rest} more")))
}

/// What is missing, as the next sentence.
pub(super) fn missing(topics: &[&Topic<'_>]) -> String {
    let all = listed(topics);
    if all.is_empty() { String::new() } else { format!(". The cluster needs this, and it is not open: {all}") }
}

/// What the command that opens again what the call took away leaves missing, as the next sentence.
pub(super) fn not_restored(topics: &[&Topic<'_>]) -> String {
    let left = left(topics);
    if left.is_empty() { String::new() } else { format!(".\nThe command below does NOT bring back: {left}") }
}

/// What a call did not take away and is missing, so that opening again what it took is not enough. Nothing where the call
/// took nothing, as far as is known.
pub(super) fn left(topics: &[&Topic<'_>]) -> String {
    let is_left = |topic: &&Topic<'_>| {
        let removed = topic.record.group.as_ref().map(|group| group.removed.as_slice()).unwrap_or_default();
        !removed.is_empty() && !is_restored(topic, removed)
    };
    first_of(sorted(topics).into_iter().filter(is_left))
}

/// Whether these rules open what is missing, as far as ports and groups say so.
fn is_restored(topic: &Topic<'_>, removed: &[Rule]) -> bool {
    let Some(what) = what(topic) else { return true };
    let direction = if what.contains(" from ") { Direction::Ingress } else { Direction::Egress };
    let may_serve = |rule: &&Rule| {
        let is_named = !matches!(&rule.peer, Peer::Group { id, .. } if !what.contains(id.as_str()));
        rule.direction == direction && is_named
    };
    let opened = Traffic::union(removed.iter().filter(may_serve).map(|rule| Traffic::from(rule.packets)));
    topic.finding.portions.iter().flat_map(packets).all(|packets| opened.covers(&Traffic::from(packets)))
}

/// What a portion of TCP or UDP is; of other protocols nothing is claimed.
fn packets(portion: &PortionRecord) -> Vec<Packets> {
    let of = |range: &str| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = if range == "all" { (0, u16::MAX) } else { (from.parse().ok()?, to.parse().ok()?) };
        match portion.protocol.as_str() {
            "tcp" => Some(Packets::Tcp(from, to)),
            "udp" => Some(Packets::Udp(from, to)),
            _ => None,
        }
    };
    portion.ports.split(',').filter_map(of).collect()
}

/// What is missing: `udp 53 from nodes (sg-…)`.
fn what(topic: &Topic<'_>) -> Option<String> {
    Some(plain(topic.finding.detail.as_deref()?.split_once(" have no ")?.1))
}

/// All that is missing, what stops most first.
pub(super) fn listed(topics: &[&Topic<'_>]) -> String {
    first_of(sorted(topics).into_iter())
}

fn first_of<'t>(topics: impl Iterator<Item = &'t Topic<'t>>) -> String {
    let mut all: Vec<String> = topics.filter_map(what).collect();
    all.dedup();
    first_few(all, MAX_NAMED, |rest| format!("{rest} more")).join("; ")
}

fn of_requirement(topic: &Topic<'_>) -> String {
    let Subject::Requirement(id) = &topic.finding.subject else { return String::new() };
    let known = STOPS.iter().find(|(known, _)| is_of(topic, known)).map(|(_, stops)| (*stops).to_owned());
    let reason = || topic.finding.portions.first().map(reason).filter(|reason| !reason.is_empty());
    known.or_else(reason).unwrap_or_else(|| format!("requirement {} is not met", plain(id)))
}

fn is_of(topic: &Topic<'_>, requirement: &str) -> bool {
    matches!(&topic.finding.subject, Subject::Requirement(id) if id == requirement)
}

fn reason(portion: &PortionRecord) -> String {
    plain(&portion.reason)
}
