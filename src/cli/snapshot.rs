//! A snapshot: security groups with their rules, named as the record names them, in one JSON file. What people compare
//! policies on when they have no events, and what tells a preview what is live.
//!
//! Owns: what a snapshot may hold, and what to write instead of a mistake. Must not: judge.

mod saved;
mod written;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;

use self::written::{Fields, Raw, Reader};
use crate::cli::events;
use crate::cli::input;
use crate::model::group::{AwsList, Evidence, Group, PeerGroup, PrefixList, Role, RoleEvidence};
use crate::model::ids::{self, Resource};
use crate::model::region::Addresses;
use crate::model::rule::{self, Direction, Rule};
use crate::model::text::quoted;

/// An id of AWS's is shorter. It gets into commands.
const MAX_ID_LEN: usize = 64;
const HELP_ID: &str = "write `sgr-0123456789abcdef0`, or leave `id` out";
const OF_FILE: [&str; 4] = ["version", "account", "region", "groups"];
const OF_GROUP: [&str; 12] = [
    "id",
    "name",
    "vpc",
    "cluster",
    "roles",
    "rules",
    "vpc_ranges",
    "remote_networks",
    "peers",
    "prefix_lists",
    "cluster_role_arns",
    "identity_providers",
];
const OF_RULE: [&str; 10] =
    ["id", "direction", "protocol", "from_port", "to_port", "icmp_type", "icmp_code", "peer", "description", "tags"];
const OF_PEER: [&str; 4] = ["cidr", "prefix_list", "group", "owner"];
const OF_ROLE: [&str; 3] = ["role", "evidence", "strong"];

const HELP_BLOCK: &str = "write blocks such as `10.0.0.0/16` or `2001:db8::/48`";
const HELP_PEER: &str = "write `{\"cidr\": \"10.0.0.0/16\"}`, `{\"group\": \"sg-…\"}` or `{\"prefix_list\": \"pl-…\"}`";
const HELP_PROTOCOL: &str =
    "write `tcp`, `udp`, `icmp`, `icmpv6`, `-1` for all of them, or a number from 0 to 255, as text";

/// Groups of one account and region.
pub(super) struct Snapshot {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) groups: Vec<Group>,
}

/// Reads a snapshot, or the saved answers that an audit reads.
///
/// # Errors
/// Every mistake of the file, with its line and what to write instead.
pub(super) fn read(path: &Path) -> anyhow::Result<Snapshot> {
    if path.is_dir() {
        let (location, groups) = saved::read(path)?;
        return Ok(Snapshot { account: location.account, region: location.region, groups });
    }
    let text = input::json_text(path, "snapshot")?;
    let name = input::shown(path);
    let (mut reader, whole) = Reader::new(&text);
    let snapshot = whole.and_then(|whole| {
        // Something else altogether is said in a sentence, not in twenty.
        if let Some(other) = other(whole, &name) {
            reader.wrong(whole.get(), "wrong-type", other, HINT);
            return None;
        }
        file(whole, &mut reader)
    });
    if let Some(problems) = reader.problems(&name) {
        bail!("snapshot `{name}` is not understood\n\n{problems}");
    }
    snapshot.ok_or_else(|| anyhow::anyhow!("snapshot `{name}` is not understood"))
}

const HINT: &str = "`eks-sg-guard policy diff --help` shows what a snapshot looks like";

/// What it is, if it is no snapshot at all.
fn other(whole: Raw<'_>, name: &str) -> Option<String> {
    let value = serde_json::from_str::<serde_json::Value>(whole.get()).ok()?;
    let keys: Vec<String> = value.as_object()?.keys().cloned().collect();
    if keys.iter().any(|key| key == "groups") {
        return None;
    }
    events::what_it_is(&value, name)
}

fn file<'t>(whole: Raw<'t>, reader: &mut Reader<'t>) -> Option<Snapshot> {
    let fields = reader.fields(whole, "a snapshot", &OF_FILE)?;
    if let Some(raw) = reader.need(&fields, "version", "the snapshot", "add `\"version\": 1`")
        && raw.get() != "1"
    {
        let message = format!("version {} is not known", written::kind(raw));
        reader.wrong(raw.get(), "unknown-version", message, "write `\"version\": 1`");
    }
    let mut id = |key: &str, is_one: fn(&str) -> bool, code, help: &str| {
        let raw = reader.need(&fields, key, "the snapshot", &format!("add `\"{key}\": …`; {help}"))?;
        let text = reader.text(raw, &format!("`{key}`"), help)?;
        if !is_one(&text) {
            reader.wrong(raw.get(), code, format!("{} is no {key}", quoted(&text)), help);
        }
        Some(text)
    };
    let account = id("account", ids::is_account, "bad-account", "write twelve digits, as text: `\"111122223333\"`");
    let region = id("region", ids::is_region, "bad-region", "write a region such as `us-east-1`");
    let help = "add `\"groups\": [{\"id\": \"sg-…\", \"roles\": [\"node\"], \"rules\": […]}]`";
    let groups = reader.need(&fields, "groups", "the snapshot", help);
    let groups = groups.map(|raw| reader.list(raw, "`groups`", help)).unwrap_or_default();
    let owner = account.clone().unwrap_or_default();
    let groups: Vec<Option<Group>> = groups.into_iter().map(|raw| group(raw, &owner, reader)).collect();
    Some(Snapshot { account: account?, region: region?, groups: groups.into_iter().collect::<Option<_>>()? })
}

fn group<'t>(raw: Raw<'t>, owner: &str, reader: &mut Reader<'t>) -> Option<Group> {
    let fields = reader.fields(raw, "a group", &OF_GROUP)?;
    let id = reader.need(&fields, "id", "the group", "add `\"id\": \"sg-…\"`");
    let id = id.and_then(|raw| resource(raw, Resource::Group, reader));
    let roles = reader.need(&fields, "roles", "the group", "add `\"roles\": [\"node\"]`: what it is to its cluster");
    let roles = roles.map(|raw| reader.list(raw, "`roles`", "write `[\"node\"]`")).unwrap_or_default();
    let roles: Vec<RoleEvidence> = roles.into_iter().filter_map(|raw| known_role(raw, reader)).collect();
    let rules = reader.need(&fields, "rules", "the group", "add `\"rules\": […]`, empty if it has none");
    let rules = rules.map(|raw| reader.list(raw, "`rules`", "write `[{…}]`")).unwrap_or_default();
    let rules: Vec<Rule> = rules.into_iter().filter_map(|raw| rule(raw, reader)).collect();
    let mut text = |key: &str| {
        let raw = fields.get(key)?;
        reader.text(raw, &format!("`{key}`"), "write it in double quotes")
    };
    let [name, vpc, clusters] = ["name", "vpc", "cluster"].map(|key| text(key).unwrap_or_default());
    let mut texts = |key: &str| {
        let help = "write a list of texts: `[\"…\"]`";
        let items = fields.get(key).map(|raw| reader.list(raw, &format!("`{key}`"), help)).unwrap_or_default();
        items.into_iter().filter_map(|raw| reader.text(raw, &format!("an entry of `{key}`"), help)).collect()
    };
    let (cluster_role_arns, identity_providers) = (texts("cluster_role_arns"), texts("identity_providers"));
    let mut blocks = |key: &str| fields.get(key).map(|raw| addresses(raw, key, reader)).unwrap_or_default();
    let (vpc_ranges, remote_networks) = (blocks("vpc_ranges"), blocks("remote_networks"));
    let (peers, prefix_lists) = (peers(&fields, reader), prefix_lists(&fields, reader));
    let clusters = clusters.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    #[rustfmt::skip]
    let group = Group {
        id: id?, name, vpc, owner: owner.to_owned(), clusters, roles, rules, vpc_ranges, remote_networks, peers,
        prefix_lists, cluster_role_arns, identity_providers,
        ..Group::default()
    };
    Some(group)
}

/// An id of AWS's.
fn resource<'t>(raw: Raw<'t>, resource: Resource, reader: &mut Reader<'t>) -> Option<String> {
    let help = format!("write `{}0123456789abcdef0`", resource.prefix());
    let text = reader.text(raw, "an id", &help)?;
    is_id(&text, raw.get(), resource, reader).then_some(text)
}

fn is_id<'t>(text: &str, part: &'t str, resource: Resource, reader: &mut Reader<'t>) -> bool {
    let is_one = resource.is_id(text);
    if !is_one {
        let message = format!("{} is not the id of {}", quoted(text), resource.noun());
        reader.wrong(part, "bad-resource-id", message, format!("write `{}0123456789abcdef0`", resource.prefix()));
    }
    is_one
}

/// A word, or the record's `{"role": …, "evidence": …, "strong": …}`.
fn known_role<'t>(raw: Raw<'t>, reader: &mut Reader<'t>) -> Option<RoleEvidence> {
    let (role, strong) = if raw.get().starts_with('{') {
        let fields = reader.fields(raw, "a role", &OF_ROLE)?;
        let role = reader.need(&fields, "role", "the role", "add `\"role\": \"node\"`")?;
        let strong = reader.need(&fields, "strong", "the role", "add `\"strong\": true`, or write the word alone")?;
        (role, reader.flag(strong, "`strong`")?)
    } else {
        (raw, true)
    };
    let role = reader.word(role, ("role", "unknown-role"), &Role::WORDS)?;
    Some(RoleEvidence { role, evidence: Evidence::Configured, strong })
}

fn rule<'t>(raw: Raw<'t>, reader: &mut Reader<'t>) -> Option<Rule> {
    let fields = reader.fields(raw, "a rule", &OF_RULE)?;
    if let Some(raw) = fields.get("id") {
        let id = reader.text(raw, "`id`", HELP_ID)?;
        if id.len() > MAX_ID_LEN || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            reader.wrong(raw.get(), "bad-resource-id", format!("{} is not the id of a rule", quoted(&id)), HELP_ID);
            return None;
        }
    }
    let direction = reader.need(&fields, "direction", "the rule", "add `\"direction\": \"ingress\"` or `\"egress\"`");
    if let Some(raw) = direction {
        reader.word(raw, ("direction", "unknown-direction"), &Direction::WORDS)?;
    }
    let protocol = reader.need(&fields, "protocol", "the rule", &format!("add `\"protocol\": …`; {HELP_PROTOCOL}"));
    if let Some(raw) = protocol {
        reader.text(raw, "`protocol`", HELP_PROTOCOL)?;
    }
    let mut has_ports = true;
    for key in ["from_port", "to_port", "icmp_type", "icmp_code"] {
        let Some(raw) = fields.get(key) else { continue };
        if !raw.get().parse::<i64>().is_ok_and(|port| (-1..=65_535).contains(&port)) {
            let message = format!("{} is not a port", written::kind(raw));
            reader.wrong(raw.get(), "bad-port", message, "write a number from 0 to 65535, without quotes");
            has_ports = false;
        }
    }
    let peer = reader.need(&fields, "peer", "the rule", &format!("add `\"peer\": …`; {HELP_PEER}"));
    let peer = peer.filter(|raw| is_peer(raw, reader));
    let (Some(_), Some(_), Some(_), true) = (direction, protocol, peer, has_ports) else { return None };
    if fields.iter().any(|(key, _)| !OF_RULE.contains(&key.as_str())) {
        return None;
    }
    let mut json = serde_json::Deserializer::from_str(raw.get());
    let read = serde_path_to_error::deserialize::<_, Rule>(&mut json);
    read.map_err(|error| {
        // Where it stands, if it is about one field.
        let key = error.path().iter().next().map(ToString::to_string).unwrap_or_default();
        let part = fields.get(&key).map_or(raw.get(), |raw| raw.get());
        let why = error.inner().to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        // A protocol that is none is said of the rule as a whole.
        let part = if why.contains("is not a protocol") { protocol.map_or(part, |raw| raw.get()) } else { part };
        let code = if why.contains("is not a protocol") { "unknown-protocol" } else { "wrong-type" };
        let help = if code == "unknown-protocol" { HELP_PROTOCOL } else { HINT };
        reader.wrong(part, code, why.to_owned(), help);
    })
    .ok()
}

/// Exactly one source or destination, and a readable one.
fn is_peer<'t>(raw: Raw<'t>, reader: &mut Reader<'t>) -> bool {
    let Some(fields) = reader.fields(raw, "a peer", &OF_PEER) else { return false };
    let stated: Vec<&str> = OF_PEER.into_iter().filter(|key| *key != "owner" && fields.get(key).is_some()).collect();
    let [key] = stated.as_slice() else {
        let message = format!("a rule has one source or destination, and here are {}", stated.len());
        reader.wrong(raw.get(), "wrong-type", message, HELP_PEER);
        return false;
    };
    let Some(value) = fields.get(key) else { return false };
    let Some(text) = reader.text(value, &format!("`{key}`"), HELP_PEER) else { return false };
    match *key {
        "cidr" => block(&text, value.get(), reader).is_some(),
        "group" => is_id(&text, value.get(), Resource::Group, reader),
        _ => is_id(&text, value.get(), Resource::PrefixList, reader),
    }
}

fn block<'t>(text: &str, part: &'t str, reader: &mut Reader<'t>) -> Option<ipnet::IpNet> {
    let Ok(net) = rule::block(text) else {
        reader.wrong(part, "bad-cidr", format!("{} is not a CIDR block", quoted(text)), HELP_BLOCK);
        return None;
    };
    Some(net)
}

fn addresses<'t>(raw: Raw<'t>, key: &str, reader: &mut Reader<'t>) -> Addresses {
    let items = reader.list(raw, &format!("`{key}`"), HELP_BLOCK);
    let blocks = items.into_iter().filter_map(|raw| {
        let text = reader.text(raw, "a block", HELP_BLOCK)?;
        block(&text, raw.get(), reader)
    });
    blocks.collect()
}

/// Other groups of the same cluster, with their roles.
fn peers<'t>(fields: &Fields<'t>, reader: &mut Reader<'t>) -> BTreeMap<String, PeerGroup> {
    let Some(map) = fields.get("peers").and_then(|raw| reader.map(raw, "`peers`")) else { return BTreeMap::new() };
    let mut peers = BTreeMap::new();
    for (id, raw) in map.iter() {
        let key = reader.key_of(raw, id);
        is_id(id, key, Resource::Group, reader);
        let items = reader.list(raw, "the roles of a peer", "write `[\"node\"]`");
        let roles = items.into_iter().filter_map(|raw| reader.word(raw, ("role", "unknown-role"), &Role::WORDS));
        let roles = roles.collect();
        peers.insert(id.clone(), PeerGroup { same_cluster: true, roles, ..PeerGroup::default() });
    }
    peers
}

/// The entries of a prefix list, the word of an AWS-owned list, or null where it could not be read.
fn prefix_lists<'t>(fields: &Fields<'t>, reader: &mut Reader<'t>) -> BTreeMap<String, PrefixList> {
    let map = fields.get("prefix_lists").and_then(|raw| reader.map(raw, "`prefix_lists`"));
    let Some(map) = map else { return BTreeMap::new() };
    let mut lists = BTreeMap::new();
    for (id, raw) in map.iter() {
        let key = reader.key_of(raw, id);
        is_id(id, key, Resource::PrefixList, reader);
        let list = match raw.get().as_bytes().first() {
            _ if raw.get() == "null" => continue,
            Some(b'"') => {
                let words = AwsList::WORDS;
                reader.word(raw, ("list of AWS's", "unknown-aws-list"), &words).map(PrefixList::Aws)
            }
            _ => Some(PrefixList::Entries(addresses(raw, id, reader))),
        };
        lists.extend(list.map(|list| (id.clone(), list)));
    }
    lists
}
