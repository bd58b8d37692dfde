//! Which clusters and which widths of rules a clause speaks of.

use crate::model::text::quoted;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::file::fields::{Fields, items, scalar};
use crate::policy::file::names;
use crate::policy::file::problems::Problems;
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
