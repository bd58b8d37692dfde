//! Which findings are the same.
//!
//! Must not: change what it makes of a finding: tables hold these keys.

use hmac_sha256::Hash;

use crate::model::ids::Location;
use crate::model::rule::Direction;
use crate::report::finding::{Finding, Subject};

/// Which finding: equal for a rule that was revoked and opened again under a new id. A digest, so that no text from outside
/// names what is kept in a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The key of a finding about a group: a rule by what it lets through and whom, a requirement by its id and by what is
    /// missing, so that what gets worse is sent.
    pub fn of(location: &Location, group: &str, finding: &Finding) -> Self {
        let mut parts = vec![location.account.as_str(), &location.region, group];
        let detail = || finding.detail.clone().unwrap_or_default();
        let said = match &finding.subject {
            // The owner of a peer group is left out: a caller may leave it out as well.
            Subject::Rule(rule) => {
                // Not the words of the record: tables hold keys that were made of these.
                let direction = match rule.direction {
                    Direction::Ingress => "Ingress",
                    Direction::Egress => "Egress",
                };
                vec![direction.to_owned(), rule.packets.to_string(), rule.peer.to_string()]
            }
            Subject::Requirement(id) => vec![id.clone(), detail()],
            // What is read of it differs each time.
            Subject::Check(check) if check.is_of_sight() => vec![check.word().to_owned()],
            Subject::Check(check) => vec![check.word().to_owned(), detail()],
        };
        parts.extend(said.iter().map(String::as_str));
        Self(digest(&parts))
    }

    /// 64 hexadecimal digits.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// SHA-256 of the parts, in 64 hexadecimal digits; other parts have another digest, however they are cut.
pub fn digest(parts: &[&str]) -> String {
    let mut hash = Hash::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    let mut digits = String::with_capacity(64);
    digits.extend(hash.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]));
    digits
}

/// The first 16 digits of it: enough to tell apart what one item holds.
pub fn short_digest(parts: &[&str]) -> String {
    digest(parts).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{finding, location, of, rule};
    use super::*;
    use crate::model::rule::{Packets, Peer, Rule};
    use crate::report::finding::Check;
    use crate::report::outcome::Action;

    #[test]
    fn a_finding_is_the_same_by_location_group_and_content_and_not_by_rule_id() {
        let key = |location: &Location, group: &str, rule: Rule| Key::of(location, group, &of(rule, Action::None));
        let one = key(&location(), "sg-1", rule("sgr-1", "0.0.0.0/0"));
        assert_eq!(one.text().len(), 64);
        let peer = |owner: Option<&str>| Peer::Group { id: "sg-9".to_owned(), owner: owner.map(str::to_owned) };
        let from = |peer| key(&location(), "sg-1", Rule { peer, ..rule("sgr-1", "0.0.0.0/0") });
        assert_eq!(from(peer(None)), from(peer(Some("111122223333"))));
        let same = Rule { description: Some("new".to_owned()), ..rule("sgr-2", "0.0.0.0/0") };
        assert_eq!(key(&location(), "sg-1", same), one);
        let missing = |id: &str, detail: &str| {
            let finding = Finding {
                subject: Subject::Requirement(id.to_owned()),
                detail: Some(detail.to_owned()),
                ..finding(Action::Reported)
            };
            Key::of(&location(), "sg-1", &finding)
        };
        let others = [
            key(&Location { account: "444455556666".to_owned(), ..location() }, "sg-1", rule("sgr-1", "0.0.0.0/0")),
            key(&Location { region: "eu-west-1".to_owned(), ..location() }, "sg-1", rule("sgr-1", "0.0.0.0/0")),
            key(&location(), "sg-2", rule("sgr-1", "0.0.0.0/0")),
            key(&location(), "sg-1", rule("sgr-1", "::/0")),
            key(&location(), "sg-1", Rule { direction: Direction::Egress, ..rule("sgr-1", "0.0.0.0/0") }),
            key(&location(), "sg-1", Rule { packets: Packets::Udp(10250, 10250), ..rule("sgr-1", "0.0.0.0/0") }),
            key(&location(), "sg-1", Rule { packets: Packets::Tcp(10250, 10251), ..rule("sgr-1", "0.0.0.0/0") }),
            from(peer(None)),
            missing("kubelet", "no tcp 10250"),
            missing("kubelet", "no tcp 10250 and udp 53"),
            missing("dns", "no tcp 10250"),
        ];
        let all: std::collections::BTreeSet<&Key> = others.iter().chain([&one]).collect();
        assert_eq!(all.len(), others.len() + 1);
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }

    #[test]
    fn keys_stay_what_they_are_in_tables_that_exist() {
        let missing = |subject, detail: &str| {
            let detail = Some(detail.to_owned());
            Finding { subject, detail, ..finding(Action::Reported) }
        };
        let about = [
            (
                of(rule("sgr-1", "0.0.0.0/0"), Action::None),
                "35a9a9bb65bfd44ba55f286513d219a1893663542ad581e30b84684b3b085cf8",
            ),
            (
                missing(Subject::Requirement("kubelet".to_owned()), "what is missing"),
                "d6a7fa414741226bee2cb6499880ae0e6959731912743ccc58c3fafff1079375",
            ),
            (
                missing(Subject::Check(Check::PublicEndpoint), "why"),
                "698a85e796544fefa71410562edef8ee5903df48484239350ec3764209ef6e27",
            ),
        ];
        for (finding, expected) in about {
            assert_eq!(Key::of(&location(), "sg-1", &finding).text(), expected, "{finding:?}");
        }
    }
}
