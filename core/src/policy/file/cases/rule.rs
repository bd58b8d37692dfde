//! The rules of a test: one rule of EC2 each, in the words of the policy language.

use std::collections::BTreeMap;

use crate::model::ids::Resource;
use crate::model::region::Traffic;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::model::text::quoted;
use crate::policy::controller::Author;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::file::cases::world::Shared;
use crate::policy::file::fields::{Fields, scalar};
use crate::policy::file::names;
use crate::policy::file::problems::Problems;
use crate::policy::file::traffic;
use crate::policy::tree::Node;

pub(super) const RULE: [&str; 9] =
    ["direction", "protocol", "ports", "icmp", "icmpv6", "from", "to", "description", "author"];

/// One rule of EC2: one direction, one protocol, one range of ports, one peer.
pub(super) fn rule(node: &Node, own: &str, shared: &Shared, problems: &mut Problems) -> Option<(Rule, Author)> {
    let fields = Fields::read(node, "rule", &RULE, problems)?;
    let stated = fields.choice("direction", "direction", "unknown-direction", &Direction::WORDS, problems);
    let is_egress = fields.get("to").is_some() && fields.get("from").is_none();
    let direction = stated.unwrap_or(if is_egress { Direction::Egress } else { Direction::Ingress });
    let (ours, other) = match direction {
        Direction::Ingress => ("from", "to"),
        Direction::Egress => ("to", "from"),
    };
    if let Some(at) = fields.key_at(other) {
        let message = format!("a rule has one direction, and this one has `{ours}`, not `{other}`");
        problems.add(Diagnostic::error("wrong-direction", at, message).help(format!("remove `{other}`")));
    }
    let packets = traffic::read(&fields, problems).and_then(|traffic| {
        let packets = packets(&traffic);
        if packets.is_none() {
            let message = "a rule of EC2 has one protocol and one range of ports, or one ICMP type";
            problems.add(Diagnostic::error("several-rules", fields.at, message).help("write a test for each"));
        }
        packets
    });
    let help = format!("add `{ours}: 0.0.0.0/0`, or another block, `self`, `sg-…` or `pl-…`");
    let peer = fields.need(ours, &help, problems).and_then(|node| peer(node, ours, own, shared, problems));
    let description = fields.text("description", problems);
    let author =
        fields.choice("author", "author", "unknown-author", &Author::WORDS, problems).unwrap_or(Author::Unknown);
    let rule =
        Rule { id: String::new(), direction, packets: packets?, peer: peer?, description, tags: BTreeMap::new() };
    Some((rule, author))
}

/// The rule whose points these are, if one rule can have them.
fn packets(traffic: &Traffic) -> Option<Packets> {
    if *traffic == Traffic::all() {
        return Some(Packets::All);
    }
    let mut ranges = traffic.ranges();
    let (first, last) = ranges.next().filter(|_| ranges.next().is_none())?;
    let protocol = u8::try_from(first >> 16).ok().filter(|_| first >> 16 == last >> 16)?;
    let port = |point: u32| u16::try_from(point & 0xffff).ok();
    let (from, to) = (port(first)?, port(last)?);
    let [kind, code] = from.to_be_bytes();
    let message = match (from, to) {
        (0, u16::MAX) => Some((None, None)),
        _ if from == to => Some((Some(kind), Some(code))),
        _ if code == 0 && to == from + 0xff => Some((Some(kind), None)),
        _ => None,
    };
    match protocol {
        6 => Some(Packets::Tcp(from, to)),
        17 => Some(Packets::Udp(from, to)),
        1 => message.map(|(kind, code)| Packets::Icmp(kind, code)),
        58 => message.map(|(kind, code)| Packets::Icmpv6(kind, code)),
        other => Some(Packets::Protocol(other)),
    }
}

fn peer(node: &Node, key: &str, own: &str, shared: &Shared, problems: &mut Problems) -> Option<Peer> {
    let text = scalar(node, key, problems)?;
    if text == "self" {
        return Some(Peer::Group { id: own.to_owned(), owner: None });
    }
    if text.starts_with("sg-") {
        let id = names::resource_id(text, Resource::Group, node.at, problems)?;
        return Some(Peer::Group { id, owner: None });
    }
    if text.starts_with("pl-") {
        let id = names::resource_id(text, Resource::PrefixList, node.at, problems)?;
        if !shared.lists.contains_key(&id) {
            let message = format!("nothing says what the prefix list `{id}` holds");
            let help = format!(
                "add it at the top, as `prefix_lists: {{{id}: [203.0.113.0/24]}}`; other values are words as `aws:s3`, and \
                 `unreadable`"
            );
            problems.add(Diagnostic::error("unknown-prefix-list", node.at, message).help(help));
            return None;
        }
        return Some(Peer::PrefixList(id));
    }
    // Host bits are what EC2 clears too, so a test may show that they gain nothing.
    let peer = Peer::cidr(text).ok();
    if peer.is_none() {
        let message = format!("{} is no peer of a rule", quoted(text));
        let help = "write one block as `203.0.113.0/24`, `self`, `sg-…` or `pl-…`; words of the policy as `internet` are \
                    no addresses";
        problems.add(Diagnostic::error("bad-peer", node.at, message).help(help));
    }
    peer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_one_range_of_ports_or_one_icmp_type() {
        for one in [
            Packets::All,
            Packets::Tcp(1, 2),
            Packets::Udp(53, 53),
            Packets::Icmp(None, None),
            Packets::Icmp(Some(0), None),
            Packets::Icmp(Some(8), None),
            Packets::Icmp(Some(3), Some(4)),
            Packets::Icmpv6(Some(128), Some(0)),
        ] {
            assert_eq!(packets(&Traffic::from(one)), Some(one));
        }
        for (first, last) in [(0x300, 0x301), (0x301, 0x400), (0x300, 0x4ff)] {
            assert_eq!(packets(&Traffic::ports(1, first, last)), None, "{first:#x} to {last:#x}");
        }
    }
}
