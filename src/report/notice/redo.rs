//! What to copy out of a notice: an exception for the policy, and the command that opens a rule again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp, tz::Offset};
use serde_json::{Map, Value, json};

use super::Code;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::model::text::is_harmless;
use crate::policy::model::Verdict;
use crate::report::finding::Finding;
use crate::report::outcome::Action;
use crate::report::record::Record;

/// How long a proposed exception lasts.
const EXCEPTION_LASTS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Both, for the worst rule of the record that should go or went. Others follow the same pattern.
pub(super) fn code(record: &Record, group: &str, now: Timestamp) -> Vec<Code> {
    let is_it = |finding: &&Finding| {
        finding.verdict == Verdict::Revoke
            && matches!(finding.action, Action::Revoked | Action::WouldRevoke | Action::Refused)
    };
    let Some(finding) = record.findings.iter().find(is_it) else { return Vec::new() };
    let Some(rule) = finding.rule() else { return Vec::new() };
    let mut code = vec![Code {
        title: "If it has to be open, the owners of the policy can add:",
        text: exception(group, finding, rule, now),
    }];
    if finding.action == Action::Revoked {
        let title = "This opens the rule again; do it after the exception is in force, or it is closed once more:";
        code.push(Code { title, text: command(&record.region, group, rule) });
    }
    code
}

/// Protocols kept apart in one exception; beyond, it is for all of them.
const MAX_PROTOCOLS: usize = 5;

fn exception(group: &str, finding: &Finding, rule: &Rule, now: Timestamp) -> String {
    let mut ports: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for portion in finding.portions.iter().filter(|portion| portion.verdict == Verdict::Revoke) {
        ports.entry(&portion.protocol).or_default().push(&portion.ports);
    }
    if ports.len() > MAX_PROTOCOLS {
        // Shorter than the list, and what the rule is anyhow.
        ports = [("-1", vec!["all"])].into();
    }
    let last = now.checked_add(EXCEPTION_LASTS).unwrap_or(Timestamp::MAX);
    let last = Offset::UTC.to_datetime(last).date();
    let peer = match &rule.peer {
        Peer::Cidr(net) => format!("\"{net}\""),
        Peer::PrefixList(id) | Peer::Group { id, .. } => id.clone(),
    };
    let way = if rule.direction == Direction::Ingress { "from" } else { "to" };
    let mut text = "exceptions:".to_owned();
    for (protocol, ports) in ports {
        let name = if protocol == "-1" { "all" } else { protocol };
        let _ = write!(
            text,
            "\n  - id: {group}-{}-{name}\n    reason: why it has to be open, with a ticket\n    \
             owner: who answers for it\n    expires: {last}\n    group: {group}\n",
            rule.id
        );
        let is_whole = ports.contains(&"all");
        let list = ports.join(", ").replace(',', ", ").replace("  ", " ");
        let packets = match (protocol, is_whole) {
            ("-1", _) => String::new(),
            ("icmp" | "icmpv6", false) => format!("    {protocol}: [{list}]\n"),
            (numbers, _) if numbers.contains('-') => format!("    protocol: [{}]\n", numbers_of(numbers)),
            (protocol, true) => format!("    protocol: {protocol}\n"),
            (protocol, false) => format!("    protocol: {protocol}\n    ports: [{list}]\n"),
        };
        if rule.direction == Direction::Egress {
            text.push_str("    direction: egress\n");
        }
        text.push_str(&packets);
        let _ = write!(text, "    {way}: [{peer}]");
    }
    text
}

/// `7-9` as `7, 8, 9`.
fn numbers_of(range: &str) -> String {
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    let (from, to): (u8, u8) = (from.parse().unwrap_or(0), to.parse().unwrap_or(0));
    (from..=to).map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}

/// The rule as calls of EC2 write it.
pub(crate) fn permission(rule: &Rule) -> Value {
    let mut permission = Map::new();
    let (from, to) = match rule.packets {
        Packets::Tcp(from, to) | Packets::Udp(from, to) => (Some(i32::from(from)), Some(i32::from(to))),
        Packets::Icmp(kind, code) | Packets::Icmpv6(kind, code) => {
            (Some(kind.map_or(-1, i32::from)), Some(code.map_or(-1, i32::from)))
        }
        Packets::All | Packets::Protocol(_) => (None, None),
    };
    permission.insert("IpProtocol".to_owned(), rule.packets.protocol().into());
    permission.extend(from.map(|from| ("FromPort".to_owned(), Value::from(from))));
    permission.extend(to.map(|to| ("ToPort".to_owned(), Value::from(to))));
    let (field, mut peer) = match &rule.peer {
        Peer::Cidr(net @ IpNet::V4(_)) => ("IpRanges", json!({"CidrIp": net.to_string()})),
        Peer::Cidr(net @ IpNet::V6(_)) => ("Ipv6Ranges", json!({"CidrIpv6": net.to_string()})),
        Peer::PrefixList(id) => ("PrefixListIds", json!({"PrefixListId": id})),
        Peer::Group { id, owner: None } => ("UserIdGroupPairs", json!({"GroupId": id})),
        Peer::Group { id, owner: Some(owner) } => ("UserIdGroupPairs", json!({"GroupId": id, "UserId": owner})),
    };
    if let (Some(description), Some(peer)) = (&rule.description, peer.as_object_mut()) {
        peer.insert("Description".to_owned(), description.clone().into());
    }
    permission.insert(field.to_owned(), json!([peer]));
    Value::Object(permission)
}

fn command(region: &str, group: &str, rule: &Rule) -> String {
    let way = rule.direction.word();
    let mut command = format!(
        "aws ec2 authorize-security-group-{way} --region {region} --group-id {group} --ip-permissions {}",
        quoted(&json!([permission(rule)]))
    );
    // Nobody but AWS can write tags that begin with `aws:`.
    let tags: Vec<Value> = rule.tags.iter().filter(|(key, _)| !key.starts_with("aws:")).map(tag).collect();
    if !tags.is_empty() {
        let tags = json!([{"ResourceType": "security-group-rule", "Tags": tags}]);
        let _ = write!(command, " --tag-specifications {}", quoted(&tags));
    }
    command
}

fn tag((key, value): (&String, &String)) -> Value {
    json!({"Key": key, "Value": value})
}

/// One word for a shell, whatever is in it. What a terminal might obey is left to JSON's own escapes.
pub(crate) fn quoted(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            '\'' => text.push_str(r"'\''"),
            c if is_harmless(c) => text.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    format!("'{text}'")
}

#[cfg(test)]
mod tests;
