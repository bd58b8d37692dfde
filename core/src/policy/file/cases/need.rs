//! Tests about requirements: the rules of a control plane's group and of a node's group, and whether what must be open is.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::topology::{GroupSet, Topology};
use crate::model::group::PrefixList;
use crate::model::rule::Rule;
use crate::model::text::quoted;
use crate::policy::diagnostic::At;
use crate::policy::file::cases::rule::rule;
use crate::policy::file::cases::world::Shared;
use crate::policy::file::fields::{Fields, choice, items};
use crate::policy::file::problems::Problems;
use crate::policy::tree::{Node, Value};

pub(super) const NEED: [&str; 5] = ["name", "requirement", "control_plane", "nodes", "expect"];
const HELP_EXPECT: &str = "add `expect: met` or `expect: missing`";
/// The groups of such a test, which its rules name as `from: role:node`.
const GROUPS: [(&str, &str); 2] =
    [("role:control-plane", "sg-00000000000000001"), ("role:node", "sg-00000000000000002")];

/// One test.
#[derive(Clone, Debug)]
pub struct Need {
    /// What it shows, for people.
    pub name: String,
    /// Where its name stands.
    pub at: At,
    /// The requirement's id.
    pub requirement: String,
    /// The cluster with its two groups.
    pub topology: Topology,
    /// Whether the requirement should be met.
    pub is_met: bool,
}

/// Whether the entry is about a requirement.
pub(super) fn is_one(node: &Node) -> bool {
    let Value::Map(entries) = &node.value else { return false };
    entries.iter().any(|(key, _)| key.value == Value::Scalar("requirement".to_owned()))
}

pub(super) fn need(node: &Node, shared: &Shared, problems: &mut Problems) -> Option<Need> {
    let mut fields = Fields::read(node, "test of a requirement", &NEED, problems)?;
    let named = fields.need("name", "add `name: …`: what the test shows, in a few words", problems);
    let name = named.and_then(|_| fields.text("name", problems));
    if let Some(name) = &name {
        fields.what = format!("test {}", quoted(name));
    }
    let requirement = fields.text("requirement", problems);
    let words = [("met", true), ("missing", false)];
    let is_met = fields
        .need("expect", HELP_EXPECT, problems)
        .and_then(|node| choice(node, "expect", "state of a requirement", "unknown-verdict", &words, problems));
    let [(_, control_plane), (_, nodes)] = GROUPS;
    let rules: BTreeMap<String, Vec<Rule>> = [("control_plane", control_plane), ("nodes", nodes)]
        .into_iter()
        .map(|(key, group)| (group.to_owned(), rules(&fields, key, group, shared, problems)))
        .collect();
    let lists = shared.lists.iter().filter_map(|(id, list)| Some((id.clone(), list.clone()?)));
    let topology = Topology {
        control_plane: GroupSet::from([control_plane.to_owned()]),
        nodes: BTreeSet::from([GroupSet::from([nodes.to_owned()])]),
        rules,
        vpc_ranges: shared.vpc.clone(),
        prefix_lists: lists.collect::<BTreeMap<String, PrefixList>>(),
        ..Topology::default()
    };
    Some(Need { name: name?, at: named?.at, requirement: requirement?, topology, is_met: is_met? })
}

/// The rules of one of the two groups.
fn rules(fields: &Fields<'_>, key: &str, own: &str, shared: &Shared, problems: &mut Problems) -> Vec<Rule> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    // One rule may stand for a list of one.
    let entries = if matches!(node.value, Value::Map(_)) { vec![node] } else { items(node, key, problems) };
    let read = entries.into_iter().filter_map(|entry| rule(&with_groups(entry), own, shared, problems));
    read.map(|(rule, _)| rule).collect()
}

/// The entry with the ids of the two groups in place of their words.
fn with_groups(node: &Node) -> Node {
    let mut node = node.clone();
    if let Value::Map(entries) = &mut node.value {
        for (key, value) in entries {
            let is_peer = matches!(&key.value, Value::Scalar(key) if key == "from" || key == "to");
            if let Value::Scalar(word) = &mut value.value
                && let Some((_, id)) = GROUPS.iter().find(|(name, _)| is_peer && name == word)
            {
                *word = (*id).to_owned();
            }
        }
    }
    node
}
