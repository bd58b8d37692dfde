//! The region algebra: exact sets of (protocol, port) points and of addresses.
//!
//! Every rule and every clause is a region, so a verdict is set algebra and nothing is compared as text. Owns: the two
//! kinds of set and how they are written for people. Must not: know clauses, words or verdicts.

mod packets;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::{BitAnd, Sub};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use range_set_blaze::{Integer, RangeSetBlaze};

use crate::model::rule::{Packets, RuleError, block};

const PORTS: u32 = 1 << 16;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A set of (protocol, port) points, exact. A point is `protocol << 16 | port`; for ICMP the low half is
/// `type << 8 | code`; protocols without ports have all 65,536 points, so "all of protocol 50" is one range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic(RangeSetBlaze<u32>);

impl Traffic {
    /// Every protocol and port.
    pub fn all() -> Self {
        Self(RangeSetBlaze::from_iter([0..=256 * PORTS - 1]))
    }

    /// The ports `from` to `to`, both included, of one IP protocol (0 to 255).
    pub fn ports(protocol: u8, from: u16, to: u16) -> Self {
        Self::from_ranges([ports(protocol, from, to)])
    }

    /// ICMP or `ICMPv6` messages; `None` is every type or code. Any other protocol: all of it.
    pub fn icmp(protocol: u8, kind: Option<u8>, code: Option<u8>) -> Self {
        Self::from_ranges([icmp(protocol, kind, code)])
    }

    /// TCP and UDP ports that stand there as exactly this range moved to another one; everything else as it is.
    #[must_use]
    pub fn moved(&self, from: (u16, u16), to: (u16, u16)) -> Self {
        let at = |protocol: u8, (first, last): (u16, u16)| ports(protocol, first, last);
        let place = |range| [TCP, UDP].into_iter().find(|protocol| at(*protocol, from) == range);
        Self::from_ranges(self.ranges().map(|range| place(range).map_or(range, |protocol| at(protocol, to))))
    }

    /// Union of many.
    pub fn union(parts: impl IntoIterator<Item = Self>) -> Self {
        Self(parts.into_iter().fold(RangeSetBlaze::new(), |all, part| all | part.0))
    }

    /// No point at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// First and last point, for a cheap test before set algebra.
    pub(crate) fn bounds(&self) -> Option<(u32, u32)> {
        self.0.first().zip(self.0.last())
    }

    /// Whether the two share a point.
    pub fn meets(&self, other: &Self) -> bool {
        !self.0.is_disjoint(&other.0)
    }

    /// Whether a rule of these packets lets some of it through.
    pub fn meets_packets(&self, packets: Packets) -> bool {
        let (from, to) = span(packets);
        from <= to && self.ranges().any(|(first, last)| first <= to && from <= last)
    }

    /// Whether every point of `other` is here.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }

    /// The ranges of points, ascending.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.ranges().map(|range| (*range.start(), *range.end()))
    }

    /// One by one: most often there is one.
    pub(crate) fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut set = RangeSetBlaze::new();
        for (from, to) in ranges {
            set.ranges_insert(from..=to);
        }
        Self(set)
    }

    /// Points as `Classes` counts them, which has room for addresses, too.
    pub(crate) fn from_points(ranges: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let point = |at: u128| u32::try_from(at).unwrap_or(u32::MAX);
        Self::from_ranges(ranges.into_iter().map(|(from, to)| (point(from), point(to))))
    }

    /// One `(protocol, ports)` pair per protocol, as a person would write them: `("tcp", "22,10250-10300")`,
    /// `("icmp", "3/4")`, `("50", "all")`. Neighbouring protocols that are whole are one pair: `("7-16", "all")`.
    pub fn by_protocol(&self) -> Vec<(String, String)> {
        if self.ranges().eq([span(Packets::All)]) {
            return vec![("-1".to_owned(), "all".to_owned())];
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut whole: Option<(u8, u8)> = None;
        for (protocol, here) in self.protocols() {
            let is_whole = here == [(0, PORTS - 1)];
            if whole.is_some_and(|(_, last)| last.checked_add(1) != Some(protocol)) {
                pairs.extend(whole.take().map(whole_protocols));
            }
            if is_whole && !matches!(protocol, TCP | UDP | ICMP | ICMPV6) {
                whole = Some((whole.map_or(protocol, |(first, _)| first), protocol));
                continue;
            }
            pairs.extend(whole.take().map(whole_protocols));
            let ports = if is_whole { "all".to_owned() } else { port_text(protocol, &here) };
            pairs.push((protocol_name(protocol), ports));
        }
        pairs.extend(whole.map(whole_protocols));
        pairs
    }

    /// Those of which something is in it, in ascending order, each with its ranges of ports.
    fn protocols(&self) -> Vec<(u8, Vec<(u32, u32)>)> {
        let of = |number: u32| u8::try_from(number / PORTS).unwrap_or(u8::MAX);
        let mut all: Vec<(u8, Vec<(u32, u32)>)> = Vec::new();
        for (from, to) in self.ranges() {
            for protocol in of(from)..=of(to) {
                let (first, last) = ports(protocol, 0, u16::MAX);
                let here = (from.max(first) - first, to.min(last) - first);
                match all.last_mut().filter(|(known, _)| *known == protocol) {
                    Some((_, ranges)) => ranges.push(here),
                    None => all.push((protocol, vec![here])),
                }
            }
        }
        all
    }
}

fn port_text(protocol: u8, ranges: &[(u32, u32)]) -> String {
    let mut text = String::new();
    for (from, to) in ranges.iter().copied() {
        let separator = if text.is_empty() { "" } else { "," };
        let _ = match protocol {
            ICMP | ICMPV6 if from == to => write!(text, "{separator}{}/{}", from >> 8, from & 0xff),
            ICMP | ICMPV6 if from % 256 == 0 && to == from + 255 => write!(text, "{separator}{}", from >> 8),
            ICMP | ICMPV6 => write!(text, "{separator}{}/{}-{}/{}", from >> 8, from & 0xff, to >> 8, to & 0xff),
            _ if from == to => write!(text, "{separator}{from}"),
            _ => write!(text, "{separator}{from}-{to}"),
        };
    }
    text
}

fn whole_protocols((first, last): (u8, u8)) -> (String, String) {
    let name = if first == last { first.to_string() } else { format!("{first}-{last}") };
    (name, "all".to_owned())
}

/// EC2's name of a protocol number.
pub fn protocol_name(protocol: u8) -> String {
    match protocol {
        TCP => "tcp".to_owned(),
        UDP => "udp".to_owned(),
        ICMP => "icmp".to_owned(),
        ICMPV6 => "icmpv6".to_owned(),
        number => number.to_string(),
    }
}

impl From<Packets> for Traffic {
    fn from(packets: Packets) -> Self {
        Self::from_ranges([span(packets)])
    }
}

/// First and last point of what a rule lets through: always one range.
pub fn span(packets: Packets) -> (u32, u32) {
    match packets {
        Packets::All => (0, 256 * PORTS - 1),
        Packets::Tcp(from, to) => ports(TCP, from, to),
        Packets::Udp(from, to) => ports(UDP, from, to),
        Packets::Icmp(kind, code) => icmp(ICMP, kind, code),
        Packets::Icmpv6(kind, code) => icmp(ICMPV6, kind, code),
        Packets::Protocol(number) => ports(number, 0, u16::MAX),
    }
}

fn ports(protocol: u8, from: u16, to: u16) -> (u32, u32) {
    let base = u32::from(protocol) * PORTS;
    (base + u32::from(from), base + u32::from(to))
}

fn icmp(protocol: u8, kind: Option<u8>, code: Option<u8>) -> (u32, u32) {
    let at = |kind: u8, code: u8| u16::from_be_bytes([kind, code]);
    let (from, to) = match (kind, code) {
        (None, _) => (0, u16::MAX),
        (Some(kind), code) => (at(kind, code.unwrap_or(0)), at(kind, code.unwrap_or(u8::MAX))),
    };
    ports(protocol, from, to)
}

impl BitAnd for Traffic {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitAnd for &Traffic {
    type Output = Traffic;
    fn bitand(self, other: Self) -> Traffic {
        Traffic(shared(&self.0, &other.0))
    }
}

impl Sub for &Traffic {
    type Output = Traffic;
    fn sub(self, other: Self) -> Traffic {
        Traffic(left(&self.0, &other.0))
    }
}

/// What both have. Of thousands of rules one side is empty, and then there is nothing to merge.
fn shared<T: Integer>(one: &RangeSetBlaze<T>, other: &RangeSetBlaze<T>) -> RangeSetBlaze<T> {
    if one.is_empty() || other.is_empty() { RangeSetBlaze::new() } else { one & other }
}

/// What `one` has and `other` has not.
fn left<T: Integer>(one: &RangeSetBlaze<T>, other: &RangeSetBlaze<T>) -> RangeSetBlaze<T> {
    if one.is_empty() || other.is_empty() { one.clone() } else { one - other }
}

/// A set of addresses. IPv4 and IPv6 are separate spaces, as they are to EC2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Addresses {
    v4: RangeSetBlaze<Ipv4Addr>,
    v6: RangeSetBlaze<Ipv6Addr>,
}

impl Addresses {
    /// Every address of both families.
    pub fn all() -> Self {
        Self { v4: RangeSetBlaze::universe(), v6: RangeSetBlaze::universe() }
    }

    /// Of blocks as text.
    ///
    /// # Errors
    /// The first text that is none.
    pub fn of_blocks<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, RuleError> {
        texts.into_iter().map(block).collect()
    }

    /// Union of two.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self { v4: &self.v4 | &other.v4, v6: &self.v6 | &other.v6 }
    }

    /// What is here and not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self { v4: left(&self.v4, &other.v4), v6: left(&self.v6, &other.v6) }
    }

    /// What both have.
    #[must_use]
    pub fn shared_with(&self, other: &Self) -> Self {
        Self { v4: shared(&self.v4, &other.v4), v6: shared(&self.v6, &other.v6) }
    }

    /// Whether every address of `other` is here.
    pub fn covers(&self, other: &Self) -> bool {
        self.v4.is_superset(&other.v4) && self.v6.is_superset(&other.v6)
    }

    /// Whether the two share an address.
    pub fn meets(&self, other: &Self) -> bool {
        !(self.v4.is_disjoint(&other.v4) && self.v6.is_disjoint(&other.v6))
    }

    /// No address at all.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// The IPv4 part and the IPv6 part, either of which may be empty.
    pub fn by_family(&self) -> [Self; 2] {
        [Self { v4: self.v4.clone(), ..Self::default() }, Self { v6: self.v6.clone(), ..Self::default() }]
    }

    /// The fewest blocks that are these addresses, ascending, IPv4 first.
    pub fn blocks(&self) -> Vec<IpNet> {
        let v4 = self.v4.ranges().flat_map(|range| Ipv4Subnets::new(*range.start(), *range.end(), 0));
        let v6 = self.v6.ranges().flat_map(|range| Ipv6Subnets::new(*range.start(), *range.end(), 0));
        v4.map(IpNet::V4).chain(v6.map(IpNet::V6)).collect()
    }

    /// Ranges of one family as numbers, ascending. IPv4 addresses are 0 to 2^32 - 1.
    pub(crate) fn ranges(&self, family: Family) -> Vec<(u128, u128)> {
        match family {
            Family::V4 => {
                self.v4.ranges().map(|r| (u128::from(r.start().to_bits()), u128::from(r.end().to_bits()))).collect()
            }
            Family::V6 => self.v6.ranges().map(|r| (r.start().to_bits(), r.end().to_bits())).collect(),
        }
    }
}

impl From<IpNet> for Addresses {
    fn from(net: IpNet) -> Self {
        let mut one = Self::default();
        match net {
            IpNet::V4(net) => one.v4.ranges_insert(net.network()..=net.broadcast()),
            IpNet::V6(net) => one.v6.ranges_insert(net.network()..=net.broadcast()),
        };
        one
    }
}

impl FromIterator<IpNet> for Addresses {
    fn from_iter<I: IntoIterator<Item = IpNet>>(nets: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match net {
                IpNet::V4(net) => v4.push(net.network()..=net.broadcast()),
                IpNet::V6(net) => v6.push(net.network()..=net.broadcast()),
            }
        }
        Self { v4: v4.into_iter().collect(), v6: v6.into_iter().collect() }
    }
}

/// Peers with the traffic of theirs.
pub type Piece = (Addresses, Traffic);

/// What is left of pieces without one of them, and what of them that one has.
pub fn cut_out(pieces: Vec<Piece>, (peers, packets): (&Addresses, &Traffic)) -> (Vec<Piece>, Vec<Piece>) {
    let (mut left, mut taken) = (Vec::new(), Vec::new());
    for (addresses, traffic) in pieces {
        let (hit, hit_packets) = (addresses.shared_with(peers), &traffic & packets);
        if hit.is_empty() || hit_packets.is_empty() {
            left.push((addresses, traffic));
            continue;
        }
        let (others, other_packets) = (addresses.without(peers), &traffic - packets);
        left.extend((!others.is_empty()).then_some((others, traffic)));
        left.extend((!other_packets.is_empty()).then(|| (hit.clone(), other_packets)));
        taken.push((hit, hit_packets));
    }
    (left, taken)
}

/// The two address spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Addresses {
        Addresses::of_blocks(texts.iter().copied()).unwrap()
    }

    #[test]
    fn icmp_type_and_code_are_never_ports() {
        let path_mtu = Traffic::from(Packets::Icmp(Some(3), Some(4)));
        assert_eq!(path_mtu.by_protocol(), [("icmp".to_owned(), "3/4".to_owned())]);
        assert!(Traffic::from(Packets::Icmp(Some(3), None)).covers(&path_mtu));
        assert!(!Traffic::ports(TCP, 0, 65535).meets(&path_mtu));
        assert!(Traffic::all().covers(&path_mtu));
    }

    #[test]
    fn what_is_left_of_everything_is_written_per_protocol() {
        let rest = &Traffic::all() - &Traffic::ports(TCP, 22, 22);
        assert_eq!(
            rest.by_protocol(),
            [("0", "all"), ("icmp", "all"), ("2-5", "all"), ("tcp", "0-21,23-65535"), ("7-16", "all"), ("udp", "all")]
                .into_iter()
                .chain([("18-57", "all"), ("icmpv6", "all"), ("59-255", "all")])
                .map(|(protocol, ports)| (protocol.to_owned(), ports.to_owned()))
                .collect::<Vec<_>>()
        );
        assert_eq!(Traffic::all().by_protocol(), [("-1".to_owned(), "all".to_owned())]);
    }

    #[test]
    fn two_halves_of_the_world_are_the_world() {
        assert_eq!(nets(&["0.0.0.0/1", "128.0.0.0/1"]), nets(&["0.0.0.0/0"]));
        assert_eq!(Addresses::all(), nets(&["0.0.0.0/0", "::/0"]));
        assert!(nets(&["10.0.0.0/8"]).without(&nets(&["0.0.0.0/0"])).is_empty());
    }

    #[test]
    fn addresses_meet_in_either_family_and_what_both_have_stays_in_their_union() {
        let one = nets(&["10.0.0.0/9", "2001:db8::/33"]);
        for (other, meet) in [("10.0.0.0/8", true), ("2001:db8::/32", true), ("10.128.0.0/9", false), ("::/8", false)] {
            let other = nets(&[other]);
            assert_eq!((one.meets(&other), one.with(&other).covers(&one)), (meet, true), "{other:?}");
        }
    }

    #[test]
    fn packets_meet_traffic_from_its_first_port_to_its_last() {
        let traffic = Traffic::ports(TCP, 22, 80);
        for (packets, meet) in [
            (Packets::Tcp(10, 21), false),
            (Packets::Tcp(10, 22), true),
            (Packets::Tcp(80, 90), true),
            (Packets::Tcp(81, 90), false),
            (Packets::Tcp(60, 30), false),
            (Packets::Udp(22, 80), false),
            (Packets::All, true),
        ] {
            assert_eq!(traffic.meets_packets(packets), meet, "{packets:?}");
            assert_eq!(traffic.meets(&Traffic::from(packets)), meet, "{packets:?}");
        }
    }

    #[test]
    fn tcp_and_udp_ports_move_from_exactly_that_range_and_nothing_else_does() {
        let (here, there) = ((30_000, 32_767), (9_000, 9_099));
        let at = |protocols: &[u8], (first, last): (u16, u16)| {
            Traffic::union(protocols.iter().map(|protocol| Traffic::ports(*protocol, first, last)))
        };
        let with_ssh = |traffic: Traffic| Traffic::union([traffic, at(&[TCP], (22, 22))]);
        for (traffic, moved) in [
            (at(&[TCP], here), at(&[TCP], there)),
            (at(&[UDP], here), at(&[UDP], there)),
            (
                with_ssh(at(&[TCP, UDP, 132], here)),
                Traffic::union([with_ssh(at(&[TCP, UDP], there)), at(&[132], here)]),
            ),
            (at(&[TCP], (30_000, 32_768)), at(&[TCP], (30_000, 32_768))),
            (Traffic::all(), Traffic::all()),
        ] {
            assert_eq!(traffic.moved(here, there), moved, "{:?}", traffic.by_protocol());
        }
    }

    #[test]
    fn a_piece_is_cut_only_where_both_its_peers_and_its_traffic_are_met() {
        let piece = || (nets(&["10.0.0.0/8"]), Traffic::ports(TCP, 80, 90));
        for (peers, packets, left, taken) in [
            ("192.0.2.0/24", Packets::Tcp(80, 85), vec![piece()], vec![]),
            ("10.0.0.0/9", Packets::Udp(80, 85), vec![piece()], vec![]),
            (
                "10.0.0.0/9",
                Packets::Tcp(80, 85),
                vec![
                    (nets(&["10.128.0.0/9"]), Traffic::ports(TCP, 80, 90)),
                    (nets(&["10.0.0.0/9"]), Traffic::ports(TCP, 86, 90)),
                ],
                vec![(nets(&["10.0.0.0/9"]), Traffic::ports(TCP, 80, 85))],
            ),
            ("0.0.0.0/0", Packets::All, vec![], vec![piece()]),
        ] {
            let cut = cut_out(vec![piece()], (&nets(&[peers]), &Traffic::from(packets)));
            assert_eq!(cut, (left, taken), "{peers} {packets:?}");
        }
    }
}
