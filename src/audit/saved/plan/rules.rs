//! The rules of a planned resource: one for each peer of each block, as EC2 will have them.
//!
//! Must not: leave out what is not known yet. It is a rule that cannot be judged, with the reason.

use serde_json::Value;

use super::{Plan, Resource, holds_true};
use crate::model::rule::{Direction, Packets, Peer, Rule};

/// Types that may be the group of a rule.
pub(crate) const GROUPS: [&str; 2] = ["aws_security_group", "aws_default_security_group"];
const LISTS: [&str; 1] = ["aws_ec2_managed_prefix_list"];
/// Types of a rule by itself, and its direction; `None`: it says so.
pub(crate) const RULES: [(&str, Option<Direction>); 3] = [
    ("aws_security_group_rule", None),
    ("aws_vpc_security_group_ingress_rule", Some(Direction::Ingress)),
    ("aws_vpc_security_group_egress_rule", Some(Direction::Egress)),
];

/// Peers of a block: the keys of each kind, one alone or a list.
const CIDRS: [&str; 4] = ["cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6"];
const PREFIX_LISTS: [&str; 2] = ["prefix_list_ids", "prefix_list_id"];
const PEER_GROUPS: [&str; 3] = ["security_groups", "source_security_group_id", "referenced_security_group_id"];

/// A rule, or why it cannot be judged.
pub(crate) type Planned = Result<Rule, String>;

/// How ids of resources that are there, and addresses of those that are not, are found.
pub(crate) type IdOf<'a> = &'a dyn Fn(&Resource) -> String;

/// A block with what of it is not known, and where it stands.
struct Block<'a> {
    values: &'a Value,
    unknown: &'a Value,
    /// Names of the blocks around its arguments in the configuration.
    path: &'a [&'a str],
    name: String,
    direction: Direction,
    group: &'a str,
}

/// The rules that a group has within itself.
pub(crate) fn within(plan: &Plan, of: &Resource, group: &str, id_of: IdOf<'_>) -> Vec<Planned> {
    let mut rules = Vec::new();
    for (name, direction) in Direction::WORDS {
        let unknown = of.unknown.get(name).unwrap_or(&Value::Null);
        if *unknown == Value::Bool(true) {
            rules.push(Err(format!("{}: its {name} rules are known only after apply", of.address)));
            continue;
        }
        for (at, values) in of.after.get(name).and_then(Value::as_array).into_iter().flatten().enumerate() {
            let name_of = format!("{}.{name}[{at}]", of.address);
            let unknown = unknown.get(at).unwrap_or(&Value::Null);
            let block = Block { values, unknown, path: &[name], name: name_of, direction, group };
            rules.extend(block.rules(plan, of, id_of));
        }
    }
    rules
}

/// The rules that a resource of its own stands for.
pub(crate) fn alone(plan: &Plan, of: &Resource, group: &str, id_of: IdOf<'_>) -> Vec<Planned> {
    let Some(direction) = direction(of, &of.after) else {
        return vec![Err(format!("{}: it says neither ingress nor egress", of.address))];
    };
    let name = of.text("security_group_rule_id").filter(|id| id.starts_with("sgr-")).unwrap_or(&of.address).to_owned();
    let block = Block { values: &of.after, unknown: &of.unknown, path: &[], name, direction, group };
    block.rules(plan, of, id_of)
}

/// What the resource stood for before, as far as it was known.
pub(crate) fn before(plan: &Plan, of: &Resource, group: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    let none = Resource { kind: String::new(), ..of.clone() };
    let mut add = |values: &Value, direction| {
        let block = Block { values, unknown: &Value::Null, path: &[], name: String::new(), direction, group };
        rules.extend(block.rules(plan, &none, &|one| one.address.clone()).into_iter().flatten());
    };
    if let Some(direction) = direction(of, &of.before) {
        add(&of.before, direction);
    }
    for (name, direction) in Direction::WORDS {
        for values in of.before.get(name).and_then(Value::as_array).into_iter().flatten() {
            add(values, direction);
        }
    }
    rules
}

fn direction(of: &Resource, values: &Value) -> Option<Direction> {
    let (_, known) = RULES.iter().find(|(kind, _)| *kind == of.kind)?;
    known.or_else(|| Direction::from_word(values.get("type")?.as_str()?))
}

impl Block<'_> {
    fn rules(&self, plan: &Plan, of: &Resource, id_of: IdOf<'_>) -> Vec<Planned> {
        let later = |key: &str| format!("{}: its `{key}` is known only after apply", self.name);
        let is_unknown = |key: &str| self.unknown.get(key).is_some_and(holds_true);
        let packets = match ["protocol", "ip_protocol", "from_port", "to_port"].into_iter().find(|key| is_unknown(key))
        {
            Some(key) => Err(later(key)),
            None => self.packets(),
        };
        let mut peers: Vec<Result<Peer, String>> = Vec::new();
        for key in CIDRS {
            peers.extend(self.texts(key).map(|text| Peer::cidr(text).map_err(|error| error.to_string())));
            peers.extend(is_unknown(key).then(|| Err(later(key))));
        }
        for (keys, kinds) in [(&PREFIX_LISTS[..], &LISTS[..]), (&PEER_GROUPS[..], &GROUPS[..])] {
            for key in keys {
                let peer = |id: String| if kinds == LISTS { Peer::PrefixList(id) } else { group(&id) };
                peers.extend(self.texts(key).map(|id| Ok(peer(id.to_owned()))));
                if is_unknown(key) {
                    let path: Vec<&str> = self.path.iter().copied().chain([*key]).collect();
                    let referred = plan.referred(of, &path, kinds);
                    peers.extend(referred.iter().map(|one| Ok(peer(id_of(one)))));
                    peers.extend(referred.is_empty().then(|| Err(later(key))));
                }
            }
        }
        if self.values.get("self").and_then(Value::as_bool) == Some(true) {
            peers.push(Ok(Peer::Group { id: self.group.to_owned(), owner: None }));
        }
        let description = self.values.get("description").and_then(Value::as_str).filter(|text| !text.is_empty());
        let rule = |peer: Result<Peer, String>| {
            let rule = Rule::new(self.direction, packets.clone()?, peer?);
            Ok(Rule { id: self.name.clone(), description: description.map(str::to_owned), ..rule })
        };
        peers.into_iter().map(rule).collect()
    }

    fn packets(&self) -> Result<Packets, String> {
        let protocol = ["protocol", "ip_protocol"].into_iter().find_map(|key| self.values.get(key)?.as_str());
        let port = |key: &str| self.values.get(key).and_then(Value::as_i64);
        let protocol = protocol.ok_or_else(|| format!("{}: it has no protocol", self.name))?;
        Packets::from_ec2(protocol, port("from_port"), port("to_port"))
            .map_err(|error| format!("{}: {error}", self.name))
    }

    /// One text, or those of a list.
    fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        let value = self.values.get(key);
        let many = value.and_then(Value::as_array).into_iter().flatten();
        many.chain(value.filter(|value| value.is_string())).filter_map(Value::as_str).filter(|text| !text.is_empty())
    }
}

/// `111122223333/sg-…` is how Terraform names the group of another account.
fn group(id: &str) -> Peer {
    match id.split_once('/') {
        Some((owner, id)) => Peer::Group { id: id.to_owned(), owner: Some(owner.to_owned()) },
        None => Peer::Group { id: id.to_owned(), owner: None },
    }
}
