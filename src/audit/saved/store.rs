//! What was read of files, thing by thing: each once, with where it stands and where it lives.
//!
//! Must not: read, or join what several answers say.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::kind::Kind;
use super::network::SavedNetwork;
use super::plan::Plan;
use super::trails::SavedTrails;
use crate::audit::report::Origin;
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, NodeGroup};
use crate::model::group::UnreadableRule;
use crate::model::region::Addresses;
use crate::model::rule::Rule;
use crate::model::text::{count, quoted};

/// What of a kind was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Answers.
    pub answers: usize,
    /// Some of these are not whole.
    pub is_cut: bool,
}

/// A version of a launch template.
#[derive(Clone, Debug, Default)]
pub(super) struct Template {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) is_default: bool,
    pub(super) groups: BTreeSet<String>,
}

/// A node group, and the launch template that it names: id, name, version.
#[derive(Clone, Debug, Default)]
pub(super) struct SavedNodes {
    pub(super) cluster: String,
    pub(super) arn: Option<String>,
    pub(super) nodes: NodeGroup,
    pub(super) template: Option<[Option<String>; 3]>,
}

/// A prefix list without its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SavedList {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) state: String,
}

/// Where something lives, as far as it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// How often an account owns something there.
    pub(super) owners: BTreeMap<String, usize>,
    pub(super) regions: BTreeSet<String>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Saved {
    pub(super) kinds: BTreeMap<Kind, Presence>,
    pub(super) groups: BTreeMap<String, GroupFacts>,
    /// Where each group was first read.
    pub(super) origins: BTreeMap<String, Origin>,
    /// Of `describe-security-group-rules`, by group; and of `describe-security-groups`, without ids.
    pub(super) rules: BTreeMap<String, Vec<Rule>>,
    pub(super) permissions: BTreeMap<String, Vec<Rule>>,
    pub(super) unreadable: Vec<(String, UnreadableRule)>,
    /// Groups, each with a group that its rules name over a peering that is gone.
    pub(super) stale: BTreeSet<(String, String)>,
    /// Groups that something names which is no rule.
    pub(super) named_elsewhere: BTreeSet<String>,
    pub(super) rule_owners: BTreeMap<String, String>,
    pub(super) interfaces: BTreeMap<String, Interface>,
    /// The names of groups that interfaces mention.
    pub(super) names_of_groups: BTreeMap<String, String>,
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) vpcs: BTreeMap<String, Addresses>,
    pub(super) lists: BTreeMap<String, SavedList>,
    pub(super) entries: BTreeMap<String, BTreeSet<IpNet>>,
    pub(super) associations: BTreeMap<String, BTreeSet<String>>,
    pub(super) templates: Vec<Template>,
    pub(super) clusters: Vec<Cluster>,
    pub(super) nodes: Vec<SavedNodes>,
    pub(super) trails: SavedTrails,
    pub(super) network: SavedNetwork,
    pub(super) plans: Vec<Plan>,
    /// Of `list-clusters`.
    pub(super) names: BTreeSet<String>,
    /// Of `get-caller-identity`.
    pub(super) accounts: BTreeSet<String>,
    /// By VPC, and by group.
    pub(super) places: BTreeMap<String, Hints>,
    pub(super) rule_ids: BTreeMap<String, String>,
    pub(super) things: usize,
    /// What is said twice and differently, by kind: one of them, and how many there are.
    differing: BTreeMap<Kind, (String, usize)>,
    pub(super) warnings: Vec<String>,
}

impl Saved {
    /// Whether there was any answer.
    pub fn has_any(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// Whether an answer of this kind was read, and all of it.
    pub fn is_whole(&self, kind: Kind) -> bool {
        self.kinds.get(&kind).is_some_and(|presence| !presence.is_cut)
    }

    /// Whether an answer of this kind was read.
    pub fn has(&self, kind: Kind) -> bool {
        self.kinds.contains_key(&kind)
    }

    /// The kinds whose answers are cut.
    pub fn cut(&self) -> impl Iterator<Item = Kind> {
        self.kinds.iter().filter(|(_, presence)| presence.is_cut).map(|(kind, _)| *kind)
    }

    /// What people should know of the files.
    pub fn warnings(&self) -> Vec<String> {
        let differing = self.differing.iter().map(|(kind, (one, many))| {
            let what = kind.word();
            format!(
                "{} of `{what}` {} there twice with different content, such as {}: the files were saved at different times, \
                 and the first one counts",
                count(*many, "item"),
                if *many == 1 { "is" } else { "are" },
                quoted(one)
            )
        });
        self.warnings.iter().cloned().chain(differing).collect()
    }

    pub(super) fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn differs(&mut self, kind: Kind, id: &str) {
        self.differing.entry(kind).or_insert_with(|| (id.to_owned(), 0)).1 += 1;
    }
}
