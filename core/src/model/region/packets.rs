//! Traffic as rules write it: one protocol and one range of ports each.

use super::{ICMP, ICMPV6, PORTS, TCP, Traffic, UDP};
use crate::model::rule::Packets;

/// Codes of one type of ICMP.
const CODES: u32 = 1 << 8;

impl Traffic {
    /// What rules have to open for this, and nothing else.
    pub fn packets(&self) -> Vec<Packets> {
        if *self == Self::all() {
            return vec![Packets::All];
        }
        let of = |(protocol, ranges): (u8, Vec<(u32, u32)>)| {
            ranges.into_iter().flat_map(move |range| of_range(protocol, range))
        };
        self.protocols().into_iter().flat_map(of).collect()
    }
}

fn of_range(protocol: u8, (from, to): (u32, u32)) -> Vec<Packets> {
    let port = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    match protocol {
        TCP => vec![Packets::Tcp(port(from), port(to))],
        UDP => vec![Packets::Udp(port(from), port(to))],
        ICMP => messages(from, to).into_iter().map(|(kind, code)| Packets::Icmp(kind, code)).collect(),
        ICMPV6 => messages(from, to).into_iter().map(|(kind, code)| Packets::Icmpv6(kind, code)).collect(),
        number => vec![Packets::Protocol(number)],
    }
}

/// Types and codes; whole types where all their codes are meant.
fn messages(from: u32, to: u32) -> Vec<(Option<u8>, Option<u8>)> {
    if (from, to) == (0, PORTS - 1) {
        return vec![(None, None)];
    }
    let byte = |number: u32| u8::try_from(number).ok();
    let of_type = |kind: u32| {
        let (first, last) = (from.max(kind * CODES), to.min(kind * CODES + CODES - 1));
        let is_whole = last - first == CODES - 1;
        let codes = if is_whole { vec![None] } else { (first..=last).map(|at| byte(at % CODES)).collect() };
        codes.into_iter().map(move |code| (byte(kind), code))
    };
    (from / CODES..=to / CODES).flat_map(of_type).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_open_the_traffic_and_nothing_else() {
        let both = Traffic::union([Traffic::from(Packets::Tcp(53, 53)), Traffic::from(Packets::Udp(53, 60))]);
        let icmp = Traffic::union([
            Traffic::from(Packets::Icmp(Some(3), None)),
            Traffic::from(Packets::Icmp(Some(4), Some(0))),
            Traffic::from(Packets::Icmp(Some(4), Some(1))),
        ]);
        for (traffic, expected) in [
            (Traffic::default(), vec![]),
            (Traffic::all(), vec![Packets::All]),
            (both, vec![Packets::Tcp(53, 53), Packets::Udp(53, 60)]),
            (
                icmp,
                vec![Packets::Icmp(Some(3), None), Packets::Icmp(Some(4), Some(0)), Packets::Icmp(Some(4), Some(1))],
            ),
            (Traffic::from(Packets::Icmpv6(None, None)), vec![Packets::Icmpv6(None, None)]),
            (Traffic::from(Packets::Protocol(50)), vec![Packets::Protocol(50)]),
            (
                &Traffic::from(Packets::Tcp(0, 65535)) - &Traffic::from(Packets::Tcp(22, 22)),
                vec![Packets::Tcp(0, 21), Packets::Tcp(23, 65535)],
            ),
        ] {
            assert_eq!(traffic.packets(), expected);
            assert_eq!(Traffic::union(expected.into_iter().map(Traffic::from)), traffic);
        }
    }
}
