//! What to copy out of a notice: an exception for the policy, and the commands that open a rule again. Whatever opens stands
//! there with `--dry-run`, so that a paste alone opens nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp, tz::Offset};
use serde_json::{Map, Value, json};

use super::exposure::short;
use super::situation::{Situation, Topic};
use super::{Code, remark};
use crate::event::Actor;
use crate::model::ids::is_region;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::model::text::is_harmless;
use crate::policy::fill_in;
use crate::policy::model::Verdict;
use crate::report::finding::{Finding, PortionRecord};
use crate::report::outcome::Action;

/// How long a proposed exception lasts.
const EXCEPTION_LASTS: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Rules whose command to open them again is written out; all are in the record in full.
const MAX_UNDONE: usize = 3;
/// Ranges of ports that are proposed; of more a person says which are needed.
const MAX_PORTS: usize = 6;
/// Addresses of a block that is proposed as it is.
const NARROW: [u8; 2] = [24, 56];
/// What stands behind each command that opens something.
pub(super) const TRY: &str = "--dry-run";
/// How a title says so, of what opens something.
pub const TAKE_OFF: &str = "(only tries, because it opens something: take `--dry-run` off to do it):";

/// The end of it, and what comes before that where it is said once what the answer means.
const TO_DO_IT: &str = ": take `--dry-run` off to do it):";
const ANSWER: &str = "; the answer `DryRunOperation` means that it would work";

/// Such a title, with what the answer means.
pub fn explained(title: &str) -> String {
    title.replace(TO_DO_IT, &format!("{ANSWER}{TO_DO_IT}"))
}

/// Says of the first command that only tries what EC2 answers, once for all of them.
pub(super) fn explain<'c>(code: impl IntoIterator<Item = &'c mut Code>) {
    if let Some(first) = code.into_iter().find(|code| code.title.ends_with(TO_DO_IT)) {
        first.title = explained(&first.title);
    }
}

/// How a title says so, and why a command that opens nothing has it too.
pub(super) fn trial(why: &str) -> String {
    format!("(only tries, because {why}: take `--dry-run` off to do it):")
}

/// The exception for the worst rule that should go or went, and what opens again what was closed: last in a notice.
pub(super) fn code(topics: &[Topic<'_>], now: Timestamp) -> Vec<Code> {
    let is_it = |topic: &&Topic<'_>| {
        topic.finding.verdict == Verdict::Revoke
            && (topic.situation.is_closed_by_us() || topic.situation == Situation::Open)
            && topic.rule().is_some()
    };
    let due: Vec<&Topic<'_>> = topics.iter().filter(is_it).collect();
    let mut code: Vec<Code> = due.iter().take(1).filter_map(|topic| proposal(topic, now)).collect();
    let closed: Vec<&&Topic<'_>> = due.iter().filter(|topic| topic.situation.is_closed_by_us()).collect();
    code.extend(closed.iter().take(MAX_UNDONE).filter_map(|topic| undo(topic)));
    let rest = closed.len().saturating_sub(MAX_UNDONE);
    if rest > 0 {
        code.push(Code {
            title: format!("{rest} more rules were closed; the record has all of each, to open it again."),
            text: String::new(),
        });
    }
    code
}

fn proposal(topic: &Topic<'_>, now: Timestamp) -> Option<Code> {
    let (group, rule) = topic.rule()?;
    let what = short(topic.record, topic.finding);
    Some(Code {
        title: format!("If it has to be open, the owners of the policy can allow a narrow part of it ({what}):"),
        text: exception(group, topic, rule, now),
    })
}

/// What opens a rule again that was closed.
fn undo(topic: &Topic<'_>) -> Option<Code> {
    let (group, rule) = topic.rule()?;
    let region = &topic.record.region;
    let command = match topic.finding.action {
        Action::Restored => modify(region, group, rule),
        _ => authorize(region, group, std::slice::from_ref(rule)),
    };
    let text = remark::with("opens", topic.record, [rule], &command);
    let what = short(topic.record, topic.finding);
    Some(Code {
        title: format!("This reopens {what}; only once the policy allows it, otherwise it is closed again {TAKE_OFF}"),
        text,
    })
}

/// An exception for as little as can be proposed: never for the world, and with words that the reader of policies refuses
/// until a person has filled them in.
fn exception(group: &str, topic: &Topic<'_>, rule: &Rule, now: Timestamp) -> String {
    let last = now.checked_add(EXCEPTION_LASTS).unwrap_or(Timestamp::MAX);
    let last = Offset::UTC.to_datetime(last).date();
    let way = if rule.direction == Direction::Ingress { "from" } else { "to" };
    let mut text = format!(
        "exceptions:\n  - id: {group}-{}\n    reason: {}\n    owner: {}\n    expires: {last}\n    group: {group}\n",
        rule.id,
        fill_in::REASON,
        fill_in::OWNER
    );
    if rule.direction == Direction::Egress {
        text.push_str("    direction: egress\n");
    }
    text.push_str(&traffic(topic.finding, rule));
    let _ = write!(text, "    {way}: [{}]", source(topic.finding, rule, topic.record.actor.as_ref()));
    text
}

/// The forbidden part of one protocol, or what a person has to say.
fn traffic(finding: &Finding, rule: &Rule) -> String {
    let forbidden: Vec<&PortionRecord> =
        finding.portions.iter().filter(|portion| portion.verdict == Verdict::Revoke).collect();
    let mut ports: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for portion in &forbidden {
        ports.entry(&portion.protocol).or_default().extend(portion.ports.split(','));
    }
    let unsaid = |protocol: &str| format!("    protocol: {protocol}\n    ports: [{}]\n", fill_in::PORTS);
    if let Packets::Protocol(number) = rule.packets {
        return format!("    protocol: {number}\n");
    }
    let (Some((protocol, ranges)), 1) = (ports.first_key_value(), ports.len()) else { return unsaid("tcp") };
    let is_short = ranges.len() <= MAX_PORTS && !ranges.contains(&"all");
    match *protocol {
        icmp @ ("icmp" | "icmpv6") if is_short => format!("    {icmp}: [{}]\n", ranges.join(", ")),
        icmp @ ("icmp" | "icmpv6") => format!("    protocol: {icmp}\n"),
        protocol @ ("tcp" | "udp") if is_short => {
            format!("    protocol: {protocol}\n    ports: [{}]\n", ranges.join(", "))
        }
        protocol @ ("tcp" | "udp") => unsaid(protocol),
        _ => unsaid("tcp"),
    }
}

/// Whom to let in: the rule's own peer if it is narrow, else the caller's address, else what a person fills in.
fn source(finding: &Finding, rule: &Rule, actor: Option<&Actor>) -> String {
    let is_narrow = |net: &IpNet| net.prefix_len() >= if net.addr().is_ipv4() { NARROW[0] } else { NARROW[1] };
    match &rule.peer {
        Peer::Group { id, .. } => return id.clone(),
        Peer::Cidr(net) if is_narrow(net) => return format!("\"{net}\""),
        Peer::PrefixList(id)
            if finding.list.as_ref().is_some_and(|list| list.is_whole() && list.entries.iter().all(is_narrow)) =>
        {
            return id.clone();
        }
        Peer::Cidr(_) | Peer::PrefixList(_) => {}
    }
    let address = actor.and_then(|actor| actor.source_ip.as_deref()?.parse::<std::net::IpAddr>().ok());
    let is_ingress = rule.direction == Direction::Ingress;
    match address.filter(|_| is_ingress).map(IpNet::from) {
        Some(net) => format!("\"{net}\""),
        None => fill_in::SOURCE.to_owned(),
    }
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
pub(super) fn modify(region: &str, group: &str, rule: &Rule) -> String {
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
        "aws ec2 modify-security-group-rules{} --group-id {} --security-group-rules {} {TRY}",
        in_region(region),
        word(group),
        quoted(&update)
    )
}

/// The rule as the calls that open and close rules write it.
pub fn permission(rule: &Rule) -> Value {
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

/// The command that opens new rules like these, of one direction. Tags are written where they are those of one rule.
pub fn authorize(region: &str, group: &str, rules: &[Rule]) -> String {
    let way = rules.first().map_or("ingress", |rule| rule.direction.word());
    let permissions: Vec<Value> = rules.iter().map(permission).collect();
    let mut command = format!(
        "aws ec2 authorize-security-group-{way}{} --group-id {} --ip-permissions {}",
        in_region(region),
        word(group),
        quoted(&json!(permissions))
    );
    if let [rule] = rules {
        let tags: Vec<Value> = rule.writable_tags().map(tag).collect();
        if !tags.is_empty() {
            let tags = json!([{"ResourceType": "security-group-rule", "Tags": tags}]);
            let _ = write!(command, " --tag-specifications {}", quoted(&tags));
        }
    }
    format!("{command} {TRY}")
}

fn tag((key, value): (&String, &String)) -> Value {
    json!({"Key": key, "Value": value})
}

/// Where a command is meant; whoever runs it has to say where nothing else does.
pub fn in_region(region: &str) -> String {
    if is_region(region) { format!(" --region {region}") } else { String::new() }
}

/// A word that a shell takes as it is; anything else is quoted.
pub fn word(text: &str) -> String {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_plain {
        return text.to_owned();
    }
    quoted(&json!(text)).replacen("'\"", "'", 1).trim_end_matches("\"'").to_owned() + "'"
}

/// What chats obey even in code. Whatever they put in its place would be another command.
const OF_CHATS: [char; 4] = ['`', '<', '>', '&'];

/// One word for a shell, whatever is in it. What a terminal or a chat might obey is left to JSON's own escapes.
pub fn quoted(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            '\'' => text.push_str(r"'\''"),
            c if is_harmless(c) && !OF_CHATS.contains(&c) => text.push(c),
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
