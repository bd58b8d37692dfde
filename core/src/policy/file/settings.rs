//! `controllers`, `groups` and `clusters`.

use std::collections::BTreeSet;

use crate::model::group::ConfiguredGroup;
use crate::model::group::Role;
use crate::model::ids::Resource;
use crate::model::text::quoted;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::fields::{Fields, choice, items, scalar};
use crate::policy::file::names;
use crate::policy::file::problems::Problems;
use crate::policy::model::{ClusterSetting, Mode};
use crate::policy::tree::Node;

/// Entries that are compared with each other.
const MAX_COMPARED: usize = 1_000;
pub(super) const OF_GROUPS: [&str; 4] = ["id", "cluster", "role", "mode"];
pub(super) const OF_CLUSTERS: [&str; 4] = ["name", "environment", "mode", "extends"];
/// Built-in policies that add something.
const ADDED: [(&str, &str); 2] = [("standard", "standard"), ("strict", "strict")];

pub(super) fn controllers(node: &Node, problems: &mut Problems) -> BTreeSet<String> {
    let items = items(node, "controllers", problems);
    let read = |item: &Node, problems: &mut Problems| {
        let text = scalar(item, "controllers", problems)?;
        names::principal(text, item.at, problems)
    };
    let read: Vec<(String, At)> = items.into_iter().filter_map(|item| Some((read(item, problems)?, item.at))).collect();
    refuse_repeats(&read, |arn| format!("the controller {}", quoted(arn)), problems);
    read.into_iter().map(|(arn, _)| arn).collect()
}

pub(super) fn groups(node: &Node, problems: &mut Problems) -> Vec<ConfiguredGroup> {
    let items = items(node, "groups", problems);
    let read: Vec<(ConfiguredGroup, At)> =
        items.into_iter().filter_map(|item| Some((group(item, problems)?, item.at))).collect();
    let name = |group: &ConfiguredGroup| {
        format!("the group `{}` as {} of {}", group.id, group.role.word(), quoted(&group.cluster))
    };
    refuse_repeats(&read, name, problems);
    read.into_iter().map(|(group, _)| group).collect()
}

/// A group may have several roles and clusters, one entry for each; the same entry twice is probably another one misspelt.
fn refuse_repeats<T: PartialEq>(entries: &[(T, At)], name: impl Fn(&T) -> String, problems: &mut Problems) {
    // Long lists are made by programs, which do not mistype.
    for (number, (entry, at)) in entries.iter().enumerate().take(MAX_COMPARED) {
        if let Some((_, first)) = entries.iter().take(number).find(|(earlier, _)| earlier == entry) {
            let problem = Diagnostic::error("duplicate-entry", *at, format!("{} is given twice", name(entry)));
            problems.add(problem.help("remove one, or write the other one that was meant").also(
                "first here",
                *first,
                None,
            ));
        }
    }
}

fn group(node: &Node, problems: &mut Problems) -> Option<ConfiguredGroup> {
    let fields = Fields::read(node, "entry of `groups`", &OF_GROUPS, problems)?;
    let id = fields.need("id", "add `id: sg-…`", problems).and_then(|node| {
        let text = scalar(node, "id", problems)?;
        names::resource_id(text, Resource::Group, node.at, problems)
    });
    let cluster = fields.need("cluster", "add `cluster: …`, its name in EKS", problems).and_then(|node| {
        let text = scalar(node, "cluster", problems)?;
        names::cluster(text, node.at, problems)
    });
    let role = fields
        .need("role", "add `role: …`, what the group is to the cluster", problems)
        .and_then(|node| choice(node, "role", "role", "unknown-role", &Role::WORDS, problems));
    let mode = fields.choice("mode", "mode", "unknown-mode", &Mode::WORDS, problems);
    Some(ConfiguredGroup { id: id?, cluster: cluster?, role: role?, mode })
}

/// Each with the built-in policy whose clauses are added there.
pub(super) fn clusters(node: &Node, problems: &mut Problems) -> Vec<(ClusterSetting, Option<&'static str>)> {
    let mut settings: Vec<(ClusterSetting, Option<&'static str>)> = Vec::new();
    let mut positions = Vec::new();
    for item in items(node, "clusters", problems) {
        let Some(fields) = Fields::read(item, "entry of `clusters`", &OF_CLUSTERS, problems) else {
            continue;
        };
        let name =
            fields.need("name", "add `name: …`, or `name: \"*\"` for every cluster", problems).and_then(|node| {
                let text = scalar(node, "name", problems)?;
                names::glob(text, node.at, problems).map(|name| (name, node.at))
            });
        let environment = fields.text("environment", problems);
        let mode = fields.choice("mode", "mode", "unknown-mode", &Mode::WORDS, problems);
        let added = fields.choice("extends", "built-in policy with clauses", "unknown-policy", &ADDED, problems);
        let Some((name, at)) = name else { continue };
        let covers = |(_, (setting, _)): &(_, &(ClusterSetting, _))| setting.name == name || setting.name == "*";
        if let Some((first, _)) = positions.iter().copied().zip(&settings).find(covers) {
            let message = format!("the entry for {} is never reached", quoted(&name));
            let problem = Diagnostic::warning("shadowed", at, message).about(&name).help("move it up, or remove it");
            problems.add(problem.also("the first entry that matches counts", first, None));
        }
        positions.push(at);
        settings.push((ClusterSetting { name, environment, mode }, added));
    }
    settings
}
