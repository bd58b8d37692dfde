//! Which clusters and which widths of rules a clause speaks of, and which other keys do nothing beside them.

use crate::model::rule::Packets;
use crate::model::text::quoted;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::file::fields::{Fields, items, scalar};
use crate::policy::file::names;
use crate::policy::file::problems::Problems;
use crate::policy::globs;
use crate::policy::model::{Limits, Width};
use crate::policy::tree::Node;

/// A protocol has no more.
const MOST_PORTS: u32 = 1 << 16;

/// In which clusters it counts. `None`: reported.
pub(super) fn clusters(fields: &Fields<'_>, problems: &mut Problems) -> Option<Limits> {
    let mut globs = |key| {
        let items = fields.get(key).map(|node| items(node, key, problems)).unwrap_or_default();
        let mut glob = |item: &Node| scalar(item, key, problems).and_then(|text| names::glob(text, item.at, problems));
        let read: Vec<Option<String>> = items.into_iter().map(&mut glob).collect();
        read.into_iter().collect::<Option<Vec<String>>>()
    };
    let not_clusters = globs("except_cluster");
    let cluster = match fields.get("cluster") {
        None => Some(None),
        Some(node) => scalar(node, "cluster", problems).and_then(|text| names::glob(text, node.at, problems)).map(Some),
    };
    Some(Limits { cluster: cluster?, not_clusters: not_clusters?, ..Limits::default() })
}

/// Which widths of rules it speaks of. `None`: reported.
pub(super) fn width(fields: &Fields<'_>, problems: &mut Problems) -> Option<Width> {
    let mut count = |key| match fields.get(key) {
        None => Some(None),
        Some(node) => {
            let text = scalar(node, key, problems)?;
            let read = text.parse::<u32>().ok().filter(|count| (1..=MOST_PORTS).contains(count));
            if read.is_none() {
                let message = format!("{} is not a number of ports", quoted(text));
                let help = format!("write a number from 1 to {MOST_PORTS}");
                problems.add(Diagnostic::error("bad-port-count", node.at, message).help(help));
            }
            read.map(Some)
        }
    };
    let (more_than, at_most) = (count("more_than_ports"), count("at_most_ports"));
    let width = Width { more_than: more_than?, at_most: at_most? };
    if width.more_than.zip(width.at_most).is_some_and(|(fewer, most)| fewer >= most) {
        let at = fields.key_at("at_most_ports").unwrap_or(fields.at);
        let message = format!("no rule has so many and so few ports, so the {} never matches", fields.what);
        let help = "make `at_most_ports` larger than `more_than_ports`, or remove one of them";
        problems.add(Diagnostic::error("bad-port-count", at, message).help(help));
        return None;
    }
    Some(width)
}

/// Keys about some rules, the key that keeps a clause from these, with the widths where it does, and which rules they are.
type Idle = (&'static str, &'static str, fn(Width) -> bool, &'static str);
const IDLE: [Idle; 7] = [
    ("in_passing", "at_most_ports", is_few_hundred, "rules of more than 256 ports"),
    ("in_passing", "more_than_ports", is_half, "rules of less than 32768 ports"),
    ("severity_of_broad", "at_most_ports", is_few_hundred, "rules of more than 256 ports"),
    ("severity_of_ranges", "at_most_ports", is_single, "rules of several ports"),
    ("for_controller", "more_than_ports", |_| true, "rules of a single port"),
    ("severity_for_controller", "more_than_ports", |_| true, "rules of a single port"),
    ("severity_of_ranges", "severity_of_broad", is_broad, "rules of at most 256 ports"),
];

fn is_single(width: Width) -> bool {
    width.at_most == Some(1)
}

fn is_few_hundred(width: Width) -> bool {
    width.at_most.is_some_and(|most| most <= Packets::FEW_HUNDRED)
}

fn is_broad(width: Width) -> bool {
    width.more_than.is_some_and(|fewer| fewer >= Packets::FEW_HUNDRED)
}

fn is_half(width: Width) -> bool {
    width.more_than.is_some_and(|fewer| fewer >= Packets::HALF - 1)
}

/// Warns of keys that speak of rules of which the clause does not, and clusters that leave none or take none away.
pub(super) fn check(fields: &Fields<'_>, limits: &Limits, width: Width, problems: &mut Problems) {
    for (key, beside, is_idle, rules) in IDLE {
        if let Some(at) = fields.key_at(key).filter(|_| fields.key_at(beside).is_some() && is_idle(width)) {
            let message =
                format!("`{key}` speaks of {rules}, and with `{beside}` the clause has none, so it does nothing");
            problems.add(Diagnostic::warning("no-effect", at, message).help("remove it, or mend the other key"));
        }
    }
    let node = fields.get("except_cluster");
    let globs = node.map(|node| items(node, "except_cluster", &mut Problems::default())).unwrap_or_default();
    for (glob, node) in limits.not_clusters.iter().zip(globs) {
        let cluster = limits.cluster.as_deref().unwrap_or("*");
        let (message, help) = if globs::covers(glob, cluster) {
            let message = format!("`except_cluster` leaves out every cluster, so the {} never counts", fields.what);
            (message, "remove the clause, or name the clusters that it should leave out")
        } else if globs::may_both_match(glob, cluster) {
            continue;
        } else {
            let message =
                format!("no cluster that fits {} fits {} too, so this does nothing", quoted(cluster), quoted(glob));
            (message, "remove it: `cluster` leaves out such clusters already")
        };
        problems.add(Diagnostic::warning("no-effect", node.at, message).help(help));
    }
}
