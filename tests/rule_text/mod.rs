//! Rules as tests write them: `in tcp 0-100 from 10.0.0.0/8`, `out all to pl-1`, `in udp 53 from sg-1`.

use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};

/// The rule that the text says, without an id.
#[expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a text that is no rule has failed the test"
)]
pub(crate) fn rule(text: &str) -> Rule {
    let words: Vec<&str> = text.split(' ').collect();
    let ports = || {
        let (from, to) = words[2].split_once('-').unwrap_or((words[2], words[2]));
        (from.parse().unwrap(), to.parse().unwrap())
    };
    let packets = match words[1] {
        "all" => Packets::All,
        "tcp" => Packets::Tcp(ports().0, ports().1),
        "udp" => Packets::Udp(ports().0, ports().1),
        other => panic!("{other}"),
    };
    let peer = match *words.last().unwrap() {
        block if block.contains('/') => Peer::cidr(block).unwrap(),
        list if list.starts_with("pl-") => Peer::PrefixList(list.to_owned()),
        group => Peer::Group { id: group.to_owned(), owner: None },
    };
    let direction = if words[0] == "in" { Direction::Ingress } else { Direction::Egress };
    Rule::new(direction, packets, peer)
}
