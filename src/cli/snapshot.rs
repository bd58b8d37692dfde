//! A snapshot: security groups with their rules, named as the record names them, in one JSON file. What people compare
//! policies on when they have no events.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::cli::input;
use crate::model::group::{AwsList, Evidence, Group, PeerGroup, PrefixList, Role, RoleEvidence};
use crate::model::ids::{self, Resource};
use crate::model::region::Addresses;
use crate::model::rule::{Peer, Rule, RuleError};
use crate::model::text::quoted;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotFile {
    version: u8,
    account: String,
    region: String,
    groups: Vec<GroupEntry>,
}

/// A group as the record names it, with all its rules and what they refer to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupEntry {
    id: String,
    name: Option<String>,
    vpc: Option<String>,
    /// Comma-separated, as in the record.
    cluster: Option<String>,
    roles: Vec<KnownRole>,
    rules: Vec<Rule>,
    #[serde(default)]
    vpc_ranges: Vec<String>,
    #[serde(default)]
    remote_networks: Vec<String>,
    /// Other groups of the same cluster, with their roles.
    #[serde(default)]
    peers: BTreeMap<String, Vec<Role>>,
    #[serde(default)]
    prefix_lists: BTreeMap<String, List>,
}

/// A word, or the record's `{"role": …, "evidence": …, "strong": …}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum KnownRole {
    Word(Role),
    Record { role: Role, strong: bool },
}

/// The entries of a prefix list, the word of an AWS-owned list, or null where it could not be read.
#[derive(Deserialize)]
#[serde(untagged)]
enum List {
    Entries(Vec<String>),
    Aws(String),
    Unreadable(()),
}

/// Groups of one account and region.
pub(super) struct Snapshot {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) groups: Vec<Group>,
}

pub(super) fn read(path: &Path) -> anyhow::Result<Snapshot> {
    let value = input::json(path, "snapshot")?;
    let name = input::shown(path);
    let hint = "`eks-sg-guard policy diff --help` shows what a snapshot looks like";
    let file: SnapshotFile = serde_path_to_error::deserialize(value)
        .with_context(|| format!("snapshot `{name}` is not understood ({hint})"))?;
    if file.version != 1 {
        bail!("snapshot `{name}` has version `{}`; expected 1", file.version);
    }
    if !ids::is_account(&file.account) || !ids::is_region(&file.region) {
        bail!(
            "snapshot `{name}` is of account {}, region {}; expected twelve digits and a region such as `us-east-1`",
            quoted(&file.account),
            quoted(&file.region)
        );
    }
    let account = file.account;
    let groups = file.groups.into_iter().enumerate();
    let groups = groups.map(|(n, entry)| {
        group(entry, &account).with_context(|| format!("snapshot `{name}`: `groups[{n}]` is not understood"))
    });
    Ok(Snapshot { region: file.region, groups: groups.collect::<anyhow::Result<_>>()?, account })
}

fn group(entry: GroupEntry, account: &str) -> anyhow::Result<Group> {
    let role = |known: &KnownRole| match *known {
        KnownRole::Word(role) => RoleEvidence { role, evidence: Evidence::Configured, strong: true },
        KnownRole::Record { role, strong } => RoleEvidence { role, evidence: Evidence::Configured, strong },
    };
    is_id(&entry.id, Resource::Group)?;
    entry.peers.keys().try_for_each(|id| is_id(id, Resource::Group))?;
    entry.prefix_lists.keys().try_for_each(|id| is_id(id, Resource::PrefixList))?;
    let clusters = entry.cluster.as_deref().unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let mut prefix_lists = BTreeMap::new();
    for (id, list) in entry.prefix_lists {
        let list = match list {
            List::Unreadable(()) => continue,
            List::Entries(blocks) => PrefixList::Entries(addresses(&blocks)?),
            List::Aws(word) => PrefixList::Aws(AwsList::from_word(&word).with_context(|| {
                let known = AwsList::ALL.map(AwsList::word);
                format!("prefix list `{id}` is `{word}`; expected its blocks, null, or one of {}", known.join(", "))
            })?),
        };
        prefix_lists.insert(id, list);
    }
    let peers = entry.peers.into_iter();
    let peers = peers.map(|(id, roles)| {
        (id, PeerGroup { same_cluster: true, roles: roles.into_iter().collect(), ..PeerGroup::default() })
    });
    Ok(Group {
        id: entry.id,
        name: entry.name.unwrap_or_default(),
        vpc: entry.vpc.unwrap_or_default(),
        owner: account.to_owned(),
        clusters: clusters.map(str::to_owned).collect(),
        roles: entry.roles.iter().map(role).collect(),
        rules: entry.rules,
        vpc_ranges: addresses(&entry.vpc_ranges)?,
        remote_networks: addresses(&entry.remote_networks)?,
        peers: peers.collect(),
        prefix_lists,
        ..Group::default()
    })
}

fn is_id(text: &str, resource: Resource) -> anyhow::Result<()> {
    if !resource.is_id(text) {
        bail!(
            "{} is not the id of {}, such as `{}0123456789abcdef0`",
            quoted(text),
            resource.noun(),
            resource.prefix()
        );
    }
    Ok(())
}

fn addresses(blocks: &[String]) -> Result<Addresses, RuleError> {
    let block = |text: &String| match Peer::cidr(text)? {
        Peer::Cidr(net) => Ok(net),
        Peer::PrefixList(_) | Peer::Group { .. } => Err(RuleError::Cidr(text.clone())),
    };
    blocks.iter().map(block).collect()
}
