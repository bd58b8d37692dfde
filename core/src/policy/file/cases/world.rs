//! What surrounds the rules of a test: other groups, prefix lists, the VPC, the time.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use jiff::Timestamp;

use crate::model::group::{AwsList, PeerGroup, PrefixList};
use crate::model::ids::Resource;
use crate::model::region::Addresses;
use crate::model::rule::block;
use crate::model::text::quoted;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::clause::roles;
use crate::policy::file::fields::{Fields, choice, kind, scalar};
use crate::policy::file::names;
use crate::policy::file::problems::Problems;
use crate::policy::model::Mode;
use crate::policy::tree::{Node, Value};

/// What all tests of a file share.
pub(super) struct Shared {
    pub(super) given: Circumstances,
    pub(super) vpc: Addresses,
    pub(super) peers: BTreeMap<String, PeerGroup>,
    pub(super) lists: BTreeMap<String, Option<PrefixList>>,
}

/// Where and when a rule is judged, as far as the file says.
#[derive(Clone, Default)]
pub(super) struct Circumstances {
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) clusters: Option<BTreeSet<String>>,
    pub(super) mode: Option<Mode>,
    pub(super) now: Option<Timestamp>,
}

impl Circumstances {
    pub(super) fn read(fields: &Fields<'_>, problems: &mut Problems) -> Self {
        let mut checked = |key, check: fn(&str, At, &mut Problems) -> Option<String>| {
            let node = fields.get(key)?;
            scalar(node, key, problems).and_then(|text| check(text, node.at, problems))
        };
        let account = checked("account", names::account);
        let region = checked("region", names::region);
        let clusters = fields.get("cluster").map(|node| {
            let mut name = |item: &Node| names::cluster(scalar(item, "cluster", problems)?, item.at, problems);
            let read: Vec<Option<String>> = match &node.value {
                Value::List(list) => list.iter().map(&mut name).collect(),
                _ => vec![name(node)],
            };
            read.into_iter().flatten().collect()
        });
        let mode = fields.choice("mode", "mode", "unknown-mode", &Mode::WORDS, problems);
        Self { account, region, clusters, mode, now: fields.get("now").and_then(|node| time(node, problems)) }
    }

    /// What is said here, else there.
    pub(super) fn or(self, other: &Self) -> Self {
        Self {
            account: self.account.or_else(|| other.account.clone()),
            region: self.region.or_else(|| other.region.clone()),
            clusters: self.clusters.or_else(|| other.clusters.clone()),
            mode: self.mode.or(other.mode),
            now: self.now.or(other.now),
        }
    }
}

/// `sg-…: [node]`: other groups of the same cluster, with their roles.
pub(super) fn peers(node: &Node, problems: &mut Problems) -> BTreeMap<String, PeerGroup> {
    let help = "write `sg-0123456789abcdef0: [node]` for each group of the same cluster";
    let entries = entries(node, "peers", Resource::Group, help, problems);
    let peer = |(id, node): (String, &Node)| {
        Some((id, PeerGroup { same_cluster: true, roles: roles(node, problems)?, ..PeerGroup::default() }))
    };
    entries.into_iter().filter_map(peer).collect()
}

/// `pl-…: [203.0.113.0/24]`, `pl-…: aws:s3` or `pl-…: unreadable`; the last is `None`.
pub(super) fn prefix_lists(node: &Node, problems: &mut Problems) -> BTreeMap<String, Option<PrefixList>> {
    let help = "write `pl-0123456789abcdef0: [203.0.113.0/24]` for each prefix list";
    let entries = entries(node, "prefix_lists", Resource::PrefixList, help, problems);
    let list = |(id, node): (String, &Node)| {
        let list = match &node.value {
            Value::Scalar(word) if word == "unreadable" => None,
            Value::Scalar(word) if word.starts_with("aws:") => choice(
                node,
                "prefix_lists",
                "word for an AWS-owned list",
                "unknown-aws-list",
                &AwsList::WORDS,
                problems,
            )
            .map(PrefixList::Aws),
            _ => Some(PrefixList::Entries(blocks(node, "prefix_lists", problems))),
        };
        (id, list)
    };
    entries.into_iter().map(list).collect()
}

/// A mapping from ids of one kind, each at most once.
fn entries<'t>(
    node: &'t Node,
    key: &str,
    resource: Resource,
    help: &str,
    problems: &mut Problems,
) -> Vec<(String, &'t Node)> {
    let Value::Map(map) = &node.value else {
        let message = format!("`{key}` is a mapping from ids, and here is {}", kind(node));
        problems.add(Diagnostic::error("wrong-type", node.at, message).help(help));
        return Vec::new();
    };
    let mut seen: BTreeMap<&str, At> = BTreeMap::new();
    let mut found = Vec::new();
    for (name, value) in map {
        let Some(text) = scalar(name, key, problems) else { continue };
        if let Some(first) = seen.insert(text, name.at) {
            let message = format!("{} is given twice", quoted(text));
            problems.add(Diagnostic::error("duplicate-key", name.at, message).also("first here", first, None));
        } else if let Some(id) = names::resource_id(text, resource, name.at, problems) {
            found.push((id, value));
        }
    }
    found
}

pub(super) fn blocks(node: &Node, key: &str, problems: &mut Problems) -> Addresses {
    let mut block = |item: &Node| -> Option<IpNet> {
        let text = scalar(item, key, problems)?;
        let Ok(net) = block(text) else {
            let message = format!("{} is not a CIDR block", quoted(text));
            let help = "write it as `203.0.113.0/24` or `2001:db8::/48`";
            problems.add(Diagnostic::error("bad-cidr", item.at, message).help(help));
            return None;
        };
        Some(net)
    };
    match &node.value {
        // An empty list is a list that EC2 has, too.
        Value::List(list) => list.iter().filter_map(&mut block).collect(),
        _ => block(node).into_iter().collect(),
    }
}

fn time(node: &Node, problems: &mut Problems) -> Option<Timestamp> {
    let text = scalar(node, "now", problems)?;
    let time = text.parse::<Timestamp>().ok();
    if time.is_none() {
        let message = format!("{} is not a point in time", quoted(text));
        problems.add(Diagnostic::error("bad-time", node.at, message).help("write it as `2026-12-31T23:59:59Z`"));
    }
    time
}
