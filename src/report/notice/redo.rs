//! What to copy out of a notice: an exception for the policy, and the commands that open a rule again, or what an edit of it
//! took with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp, tz::Offset};
use serde_json::{Map, Value, json};

use super::Code;
use super::kept::{EXCEPTION, FORMER, UNDO};
use crate::model::rule::{Direction, Peer, Rule};
use crate::model::text::is_harmless;
use crate::policy::model::Verdict;
use crate::report::finding::Finding;
use crate::report::outcome::Action;
use crate::report::record::Record;

/// How long a proposed exception lasts.
const EXCEPTION_LASTS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// All, for the worst rule of the record that should go or went. Others follow the same pattern.
pub(super) fn code(record: &Record, group: &str, now: Timestamp) -> Vec<Code> {
    let is_it = |finding: &&Finding| {
        finding.verdict == Verdict::Revoke
            && (finding.action.is_closed_by_us() || matches!(finding.action, Action::WouldRevoke | Action::Refused))
    };
    let Some(finding) = record.findings.iter().find(is_it) else { return Vec::new() };
    let Some(rule) = finding.rule() else { return Vec::new() };
    let mut code = Vec::new();
    if let (Action::Revoked, Some(before)) = (finding.action, &finding.before) {
        code.push(Code { title: FORMER, text: authorize(&record.region, group, before) });
    }
    code.push(Code { title: EXCEPTION, text: exception(group, finding, rule, now) });
    let again = match finding.action {
        Action::Revoked => Some(authorize(&record.region, group, rule)),
        Action::Restored => Some(modify(&record.region, group, rule)),
        _ => None,
    };
    code.extend(again.map(|text| Code { title: UNDO, text }));
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

/// Protocol and ports, as EC2 takes them.
fn packets(rule: &Rule) -> Map<String, Value> {
    let mut fields = Map::from_iter([("IpProtocol".to_owned(), Value::from(rule.packets.protocol()))]);
    if let Some((from, to)) = rule.packets.ec2_ports() {
        fields.insert("FromPort".to_owned(), from.into());
        fields.insert("ToPort".to_owned(), to.into());
    }
    fields
}

/// The command that makes a rule this again, under its id.
fn modify(region: &str, group: &str, rule: &Rule) -> String {
    let mut body = packets(rule);
    let (field, peer) = match &rule.peer {
        Peer::Cidr(net @ IpNet::V4(_)) => ("CidrIpv4", net.to_string()),
        Peer::Cidr(net @ IpNet::V6(_)) => ("CidrIpv6", net.to_string()),
        Peer::PrefixList(id) => ("PrefixListId", id.clone()),
        Peer::Group { id, .. } => ("ReferencedGroupId", id.clone()),
    };
    body.insert(field.to_owned(), peer.into());
    body.extend(rule.description.as_ref().map(|text| ("Description".to_owned(), text.clone().into())));
    let update = json!([{"SecurityGroupRuleId": rule.id, "SecurityGroupRule": body}]);
    format!(
        "aws ec2 modify-security-group-rules --region {region} --group-id {group} --security-group-rules {}",
        quoted(&update)
    )
}

/// The rule as the calls that open and close rules write it.
pub(crate) fn permission(rule: &Rule) -> Value {
    let mut permission = packets(rule);
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

/// The command that opens a new rule like this one.
fn authorize(region: &str, group: &str, rule: &Rule) -> String {
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
