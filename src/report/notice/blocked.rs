//! What stops working where something is blocked that a cluster needs, and what opens it again.
//!
//! Must not: propose to open more than what a call or an edit closed.

use super::situation::Topic;
use crate::model::text::{and, plain};
use crate::report::finding::{PortionRecord, Subject};

/// What people notice, by the requirements of the built-in policies: a word for a subject.
const STOPS: [(&str, &str); 7] = [
    ("control-plane-to-nodes", "kubectl logs and exec, metrics and webhooks fail"),
    ("nodes-to-control-plane", "nodes and pods cannot reach the API server"),
    ("node-dns", "pods cannot resolve names (DNS)"),
    ("node-to-node", "pods cannot reach pods on other nodes"),
    ("node-egress", "nodes cannot call the API server"),
    ("node-egress-dns", "pods cannot send DNS queries"),
    ("control-plane-egress", "the API server cannot reach nodes (logs, exec, webhooks)"),
];
/// Named in one sentence.
const MAX_NAMED: usize = 3;

/// What stops working, in a sentence without its end.
pub(super) fn stops(topics: &[&Topic<'_>]) -> String {
    let mut named: Vec<String> = Vec::new();
    for topic in topics {
        let words = of_requirement(topic);
        if !named.contains(&words) {
            named.push(words);
        }
    }
    let rest = named.len().saturating_sub(MAX_NAMED);
    named.truncate(MAX_NAMED);
    named.extend((rest > 0).then(|| format!("{rest} more")));
    and(&named)
}

/// What is missing, as the next sentence.
pub(super) fn missing(topics: &[&Topic<'_>]) -> String {
    let what = |topic: &&Topic<'_>| Some(plain(topic.finding.detail.as_deref()?.split_once(" have no ")?.1));
    let mut all: Vec<String> = topics.iter().filter_map(what).collect();
    all.dedup();
    let rest = all.len().saturating_sub(MAX_NAMED);
    all.truncate(MAX_NAMED);
    all.extend((rest > 0).then(|| format!("{rest} more")));
    if all.is_empty() { String::new() } else { format!(". Missing: {}", all.join("; ")) }
}

fn of_requirement(topic: &Topic<'_>) -> String {
    let Subject::Requirement(id) = &topic.finding.subject else { return String::new() };
    let known = STOPS.iter().find(|(known, _)| known == id).map(|(_, stops)| (*stops).to_owned());
    let reason = || topic.finding.portions.first().map(reason).filter(|reason| !reason.is_empty());
    known.or_else(reason).unwrap_or_else(|| format!("requirement {} is not met", plain(id)))
}

fn reason(portion: &PortionRecord) -> String {
    plain(&portion.reason)
}
