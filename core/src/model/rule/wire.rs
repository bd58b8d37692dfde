//! A rule as JSON, written and read: in records, in snapshot files, wherever a rule leaves the program or comes back.
//!
//! Names and values are a contract with other programs: add, never rename. What is written is complete: it is what an undo
//! needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Direction, Packets, Peer, Rule, RuleError};

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "for-tests", derive(schemars::JsonSchema), schemars(rename = "Rule"))]
#[serde(deny_unknown_fields)]
struct WireRule {
    #[serde(default)]
    id: String,
    direction: Direction,
    protocol: String,
    /// Written for every protocol but ICMP, as null where it has no ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_port: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_port: Option<Number>,
    /// Written for ICMP alone, as null for every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<Number>,
    peer: WirePeer,
    description: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// A port, a type or a code; null: none.
type Number = Option<i64>;

/// Exactly one of the first three.
#[derive(Default, Serialize, Deserialize)]
#[cfg_attr(feature = "for-tests", derive(schemars::JsonSchema), schemars(rename = "Peer"))]
#[serde(deny_unknown_fields)]
struct WirePeer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cidr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix_list: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// The account of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireRule::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WireRule::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

impl From<Rule> for WireRule {
    fn from(rule: Rule) -> Self {
        let (mut from_port, mut to_port, mut icmp_type, mut icmp_code) = (Some(None), Some(None), None, None);
        match rule.packets {
            Packets::Tcp(from, to) | Packets::Udp(from, to) => {
                (from_port, to_port) = (Some(Some(from.into())), Some(Some(to.into())));
            }
            Packets::Icmp(kind, code) | Packets::Icmpv6(kind, code) => {
                (from_port, to_port) = (None, None);
                (icmp_type, icmp_code) = (Some(kind.map(i64::from)), Some(code.map(i64::from)));
            }
            Packets::All | Packets::Protocol(_) => {}
        }
        Self {
            id: rule.id,
            direction: rule.direction,
            protocol: rule.packets.protocol(),
            from_port,
            to_port,
            icmp_type,
            icmp_code,
            peer: rule.peer.into(),
            description: rule.description,
            tags: rule.tags,
        }
    }
}

impl From<Peer> for WirePeer {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Cidr(net) => Self { cidr: Some(net.to_string()), ..Self::default() },
            Peer::PrefixList(id) => Self { prefix_list: Some(id), ..Self::default() },
            Peer::Group { id, owner } => Self { group: Some(id), owner, ..Self::default() },
        }
    }
}

impl TryFrom<WireRule> for Rule {
    type Error = RuleError;

    fn try_from(wire: WireRule) -> Result<Self, RuleError> {
        let (from, to) = (wire.from_port.or(wire.icmp_type), wire.to_port.or(wire.icmp_code));
        Ok(Self {
            id: wire.id,
            direction: wire.direction,
            packets: Packets::from_ec2(&wire.protocol, from.flatten(), to.flatten())?,
            peer: wire.peer.try_into()?,
            description: wire.description,
            tags: wire.tags,
        })
    }
}

impl TryFrom<WirePeer> for Peer {
    type Error = RuleError;

    fn try_from(wire: WirePeer) -> Result<Self, RuleError> {
        match wire {
            WirePeer { cidr: Some(cidr), prefix_list: None, group: None, owner: None } => Self::cidr(&cidr),
            WirePeer { prefix_list: Some(id), cidr: None, group: None, owner: None } => Ok(Self::PrefixList(id)),
            WirePeer { group: Some(id), cidr: None, prefix_list: None, owner } => Ok(Self::Group { id, owner }),
            _ => Err(RuleError::Peer),
        }
    }
}

/// A rule is described by what stands for it on the wire.
#[cfg(feature = "for-tests")]
impl schemars::JsonSchema for Rule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WireRule::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WireRule::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rule(packets: Packets, peer: Peer) -> Rule {
        let tags = [("Name".to_owned(), "x".to_owned())].into();
        Rule { id: "sgr-1".into(), direction: Direction::Egress, packets, peer, description: Some("d".into()), tags }
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was() {
        let peers = [
            Peer::cidr("0.0.0.0/0").unwrap(),
            Peer::cidr("2001:db8::/32").unwrap(),
            Peer::PrefixList("pl-1".into()),
            Peer::Group { id: "sg-1".into(), owner: None },
            Peer::Group { id: "sg-1".into(), owner: Some("111122223333".into()) },
        ];
        for packets in [
            Packets::All,
            Packets::Tcp(0, 65535),
            Packets::Udp(53, 53),
            Packets::Icmp(None, None),
            Packets::Icmp(Some(8), None),
            Packets::Icmpv6(Some(3), Some(0)),
            Packets::Protocol(50),
        ] {
            for peer in &peers {
                let rule = rule(packets, peer.clone());
                let json = serde_json::to_string(&rule).unwrap();
                assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule, "{json}");
            }
        }
    }

    #[test]
    fn a_rule_has_the_fields_of_its_protocol() {
        let written = |packets| serde_json::to_value(rule(packets, Peer::PrefixList("pl-1".into()))).unwrap();
        let numbers = |rule: Value| {
            let all = ["from_port", "to_port", "icmp_type", "icmp_code"];
            all.into_iter().filter_map(|name| Some((name.to_owned(), rule.get(name)?.clone()))).collect::<Value>()
        };
        for (packets, expected) in [
            (Packets::All, json!({"from_port": null, "to_port": null})),
            (Packets::Protocol(50), json!({"from_port": null, "to_port": null})),
            (Packets::Tcp(22, 22), json!({"from_port": 22, "to_port": 22})),
            (Packets::Icmp(Some(3), Some(4)), json!({"icmp_type": 3, "icmp_code": 4})),
            (Packets::Icmp(None, None), json!({"icmp_type": null, "icmp_code": null})),
        ] {
            assert_eq!(numbers(written(packets)), expected);
        }
        assert_eq!(written(Packets::All)["protocol"], "-1");
    }

    #[test]
    fn what_is_no_rule_is_refused_with_what_would_be_right() {
        let good = json!({"direction": "ingress", "protocol": "tcp", "from_port": 22, "to_port": 22,
                          "peer": {"cidr": "10.0.0.0/8"}});
        assert!(serde_json::from_value::<Rule>(good.clone()).is_ok(), "id, description and tags may be missing");
        for (pointer, value, word) in [
            ("/peer", json!({}), "exactly one of"),
            ("/peer", json!({"cidr": "10.0.0.0/8", "group": "sg-1"}), "exactly one of"),
            ("/peer", json!({"cidr": "10.0.0.0/8", "owner": "111122223333"}), "exactly one of"),
            ("/peer/cidr", json!("world"), "`world`"),
            ("/protocol", json!("tpc"), "`tpc`"),
            ("/to_port", json!(70000), "`70000`"),
            ("/direction", json!("in"), "ingress"),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            let error = serde_json::from_value::<Rule>(bad).unwrap_err().to_string();
            assert!(error.contains(word), "{pointer}: {error}");
        }
    }
}
