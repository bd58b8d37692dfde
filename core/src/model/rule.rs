//! One EC2 security-group rule in normal form: what it lets through, in which direction, to or from whom.
//!
//! Owns: parsing EC2's and CloudTrail's spellings (protocol names and numbers, missing ports, host bits) into values
//! that compare equal exactly when EC2 would treat the rules as the same. Must not: judge anything.

mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::model::words;

words! {
    /// Which way the traffic goes.
    pub enum Direction {
        /// Into the interfaces that the group is attached to.
        Ingress = "ingress",
        /// Out of them.
        Egress = "egress",
    }
}

/// A rule as it stands in EC2: one id, one direction, one protocol and port range, one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `sgr-…`; EC2 keeps it when a rule is modified in place.
    pub id: String,
    /// Ingress or egress.
    pub direction: Direction,
    /// Protocol and ports.
    pub packets: Packets,
    /// Source (ingress) or destination (egress).
    pub peer: Peer,
    /// Free text of whoever wrote the rule. Never trusted.
    pub description: Option<String>,
    /// Tags of the rule itself. Never trusted.
    pub tags: BTreeMap<String, String>,
}

/// What packets a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Packets {
    /// Every protocol and port (EC2's `-1`, whatever the port fields say).
    All,
    /// TCP (6) ports, both ends included.
    Tcp(u16, u16),
    /// UDP (17) ports, both ends included.
    Udp(u16, u16),
    /// ICMP (1) type and code; `None` is every one.
    Icmp(Option<u8>, Option<u8>),
    /// `ICMPv6` (58) type and code; `None` is every one.
    Icmpv6(Option<u8>, Option<u8>),
    /// All traffic of another IP protocol, by number. EC2 ignores ports there.
    Protocol(u8),
}

/// Why a protocol or a peer could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not a name EC2 uses and not 0 to 255 or -1.
    #[error("`{0}` is not a protocol: expected tcp, udp, icmp, icmpv6, -1 or a number from 0 to 255")]
    Protocol(String),
    /// Outside -1 to 65535.
    #[error("`{0}` is not a port: expected 0 to 65535")]
    Port(i64),
    /// Neither an address nor a block.
    #[error("`{0}` is not a CIDR block")]
    Cidr(String),
    /// None or several peers.
    #[error("`peer` needs exactly one of `cidr`, `prefix_list` and `group` (with its `owner`)")]
    Peer,
}

impl Packets {
    /// Normal form of EC2's three fields. Missing, `-1` and reversed ports mean every port; for ICMP the "ports" are
    /// type and code.
    ///
    /// # Errors
    /// An unknown protocol or a number outside its range.
    pub fn from_ec2(protocol: &str, from: Option<i64>, to: Option<i64>) -> Result<Self, RuleError> {
        let number = match protocol.trim().to_ascii_lowercase().as_str() {
            "-1" | "all" => return Ok(Self::All),
            "tcp" => 6,
            "udp" => 17,
            "icmp" => 1,
            "icmpv6" | "icmp6" | "ipv6-icmp" => 58,
            other => other.parse::<u8>().map_err(|_| RuleError::Protocol(protocol.to_owned()))?,
        };
        Ok(match number {
            6 => {
                let (from, to) = ports(from, to)?;
                Self::Tcp(from, to)
            }
            17 => {
                let (from, to) = ports(from, to)?;
                Self::Udp(from, to)
            }
            1 => {
                let (kind, code) = icmp(from, to)?;
                Self::Icmp(kind, code)
            }
            58 => {
                let (kind, code) = icmp(from, to)?;
                Self::Icmpv6(kind, code)
            }
            number => Self::Protocol(number),
        })
    }

    /// EC2's name of the protocol: `tcp`, `udp`, `icmp`, `icmpv6`, `-1` or the number.
    pub fn protocol(&self) -> String {
        match self {
            Self::All => "-1".to_owned(),
            Self::Tcp(..) => "tcp".to_owned(),
            Self::Udp(..) => "udp".to_owned(),
            Self::Icmp(..) => "icmp".to_owned(),
            Self::Icmpv6(..) => "icmpv6".to_owned(),
            Self::Protocol(number) => number.to_string(),
        }
    }

    /// What EC2 takes for `FromPort` and `ToPort`; none where it ignores them.
    pub fn ec2_ports(&self) -> Option<(i32, i32)> {
        let byte = |value: Option<u8>| value.map_or(-1, i32::from);
        match *self {
            Self::Tcp(from, to) | Self::Udp(from, to) => Some((from.into(), to.into())),
            Self::Icmp(kind, code) | Self::Icmpv6(kind, code) => Some((byte(kind), byte(code))),
            Self::All | Self::Protocol(_) => None,
        }
    }

    /// The most ports of a rule that is written for each of them; also what is a few hundred to people.
    pub const FEW_HUNDRED: u32 = 256;
    /// Half of a protocol.
    pub const HALF: u32 = 1 << 15;

    /// How many ports it opens. An ICMP type counts as one; a whole protocol has all ports, and `All` has more than any.
    pub fn port_count(&self) -> u32 {
        match *self {
            Self::All => u32::MAX,
            Self::Tcp(from, to) | Self::Udp(from, to) => u32::from(to.saturating_sub(from)) + 1,
            Self::Icmp(Some(_), _) | Self::Icmpv6(Some(_), _) => 1,
            Self::Icmp(None, _) | Self::Icmpv6(None, _) | Self::Protocol(_) => 1 << 16,
        }
    }

    /// Whether it *means* each port that it covers: it was written for these ports, or for whatever there is. A range
    /// between the two, as of media streams, covers ports that nobody thought of.
    pub fn means_its_ports(&self) -> bool {
        let count = self.port_count();
        count <= Self::FEW_HUNDRED || count >= Self::HALF
    }

    /// Whether this is exactly one TCP or UDP port.
    pub fn is_single_port(&self) -> bool {
        matches!(self, Self::Tcp(from, to) | Self::Udp(from, to) if from == to)
    }
}

fn ports(from: Option<i64>, to: Option<i64>) -> Result<(u16, u16), RuleError> {
    let port = |value: i64| u16::try_from(value).map_err(|_| RuleError::Port(value));
    match (from, to) {
        (None | Some(-1), _) | (_, None | Some(-1)) => Ok((0, u16::MAX)),
        (Some(from), Some(to)) => {
            let (from, to) = (port(from)?, port(to)?);
            Ok((from.min(to), from.max(to)))
        }
    }
}

fn icmp(kind: Option<i64>, code: Option<i64>) -> Result<(Option<u8>, Option<u8>), RuleError> {
    let byte = |value: i64| u8::try_from(value).map(Some).map_err(|_| RuleError::Port(value));
    match (kind.unwrap_or(-1), code.unwrap_or(-1)) {
        (-1, _) => Ok((None, None)),
        (kind, -1) => Ok((byte(kind)?, None)),
        (kind, code) => Ok((byte(kind)?, byte(code)?)),
    }
}

/// `TCP 443`, `UDP 0-65535`, `ICMP type 3 code 4`, `all traffic`, `IP protocol 50`.
impl fmt::Display for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::All => write!(f, "all traffic"),
            Self::Tcp(from, to) | Self::Udp(from, to) => {
                write!(f, "{} {from}", self.protocol().to_uppercase())?;
                if from == to { Ok(()) } else { write!(f, "-{to}") }
            }
            Self::Icmp(kind, code) | Self::Icmpv6(kind, code) => {
                write!(f, "{}", if matches!(self, Self::Icmp(..)) { "ICMP" } else { "ICMPv6" })?;
                if let Some(kind) = kind {
                    write!(f, " type {kind}")?;
                }
                if let Some(code) = code {
                    write!(f, " code {code}")?;
                }
                Ok(())
            }
            Self::Protocol(number) => write!(f, "IP protocol {number}"),
        }
    }
}

/// Who is let in (ingress) or reached (egress).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// A block with its host bits cleared, as EC2 stores it.
    Cidr(IpNet),
    /// A prefix list, `pl-…`.
    PrefixList(String),
    /// Another security group, or the group itself.
    Group {
        /// `sg-…`.
        id: String,
        /// The account that owns it, where EC2 or the caller names one.
        owner: Option<String>,
    },
}

impl Rule {
    /// One without id, description and tags: not read from EC2.
    pub fn new(direction: Direction, packets: Packets, peer: Peer) -> Self {
        Self { id: String::new(), direction, packets, peer, description: None, tags: BTreeMap::new() }
    }

    /// The tags that whoever makes such a rule can write: those that begin with `aws:` nobody but AWS can.
    pub fn writable_tags(&self) -> impl Iterator<Item = (&String, &String)> {
        self.tags.iter().filter(|(key, _)| !key.starts_with("aws:"))
    }
}

/// A block or a bare address, without its host bits.
///
/// # Errors
/// Text that is neither.
pub fn block(text: &str) -> Result<IpNet, RuleError> {
    let text = text.trim();
    let net = IpNet::from_str(text).or_else(|_| IpAddr::from_str(text).map(IpNet::from));
    net.map(|net| net.trunc()).map_err(|_| RuleError::Cidr(text.to_owned()))
}

impl Peer {
    /// A block or a bare address; host bits are cleared (`1.2.3.4/0` is `0.0.0.0/0`).
    ///
    /// # Errors
    /// Text that is neither.
    pub fn cidr(text: &str) -> Result<Self, RuleError> {
        block(text).map(Self::Cidr)
    }

    /// `pl-…`, if it is one.
    pub fn prefix_list(&self) -> Option<&str> {
        match self {
            Self::PrefixList(id) => Some(id),
            Self::Cidr(_) | Self::Group { .. } => None,
        }
    }

    /// Whether two peers are the same to EC2. The owner of a group is ignored: a caller may leave it out.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Group { id: a, .. }, Self::Group { id: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }
}

/// `0.0.0.0/0`, `pl-…` or `sg-…`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(net) => write!(f, "{net}"),
            Self::PrefixList(id) | Self::Group { id, .. } => write!(f, "{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_protocol_are_one_value() {
        for (protocol, from, to, expected) in [
            ("tcp", Some(22), Some(22), Packets::Tcp(22, 22)),
            ("6", Some(22), Some(22), Packets::Tcp(22, 22)),
            ("TCP", None, None, Packets::Tcp(0, 65535)),
            ("tcp", Some(-1), Some(-1), Packets::Tcp(0, 65535)),
            ("17", Some(53), Some(53), Packets::Udp(53, 53)),
            ("-1", Some(0), Some(0), Packets::All),
            ("all", Some(443), Some(443), Packets::All),
            ("icmp", Some(3), Some(4), Packets::Icmp(Some(3), Some(4))),
            ("1", Some(8), Some(-1), Packets::Icmp(Some(8), None)),
            ("58", None, None, Packets::Icmpv6(None, None)),
            ("50", Some(10250), Some(10250), Packets::Protocol(50)),
        ] {
            assert_eq!(Packets::from_ec2(protocol, from, to), Ok(expected), "{protocol} {from:?}-{to:?}");
        }
    }

    #[test]
    fn a_rule_means_its_ports_when_they_are_few_or_half_of_all() {
        for (packets, count, means) in [
            (Packets::Tcp(53, 53), 1, true),
            (Packets::Tcp(0, 255), 256, true),
            (Packets::Udp(0, 256), 257, false),
            (Packets::Udp(0, 32766), 32767, false),
            (Packets::Udp(0, 32767), 32768, true),
            (Packets::Tcp(32768, 65535), 32768, true),
            (Packets::Tcp(0, 65535), 65536, true),
            (Packets::Icmp(Some(3), Some(4)), 1, true),
            (Packets::Icmp(Some(3), None), 1, true),
            (Packets::Icmpv6(None, None), 65536, true),
            (Packets::Protocol(50), 65536, true),
            (Packets::All, u32::MAX, true),
        ] {
            assert_eq!((packets.port_count(), packets.means_its_ports()), (count, means), "{packets}");
        }
    }

    #[test]
    fn what_is_no_protocol_or_port_is_refused_with_the_value() {
        assert_eq!(Packets::from_ec2("tpc", None, None), Err(RuleError::Protocol("tpc".into())));
        assert_eq!(Packets::from_ec2("256", None, None), Err(RuleError::Protocol("256".into())));
        assert_eq!(Packets::from_ec2("tcp", Some(70000), Some(70000)), Err(RuleError::Port(70000)));
    }

    #[test]
    fn host_bits_gain_nothing() {
        assert_eq!(Peer::cidr("1.2.3.4/0"), Peer::cidr("0.0.0.0/0"));
        assert_eq!(Peer::cidr("2001:db8::5/32"), Peer::cidr("2001:db8::/32"));
        assert_eq!(Peer::cidr("198.51.100.7"), Peer::cidr("198.51.100.7/32"));
        assert!(Peer::cidr("world").is_err());
    }
}
