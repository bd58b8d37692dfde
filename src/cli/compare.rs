//! What changes between two findings about one rule: which portions get another verdict or severity, and how that is
//! written.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cli::style;
use crate::model::group::Group;
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::Peer;
use crate::policy::judge::{JudgedRule, Portion};
use crate::policy::model::{PeerClass, Policy, Severity, Verdict};
use crate::policy::named;

/// What is compared. Which clause decides is not: another clause that says the same changes nothing.
pub(super) type Decision = (Verdict, Option<Severity>);

/// Which way a decision goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Stricter,
    Milder,
    /// The rule's own verdict and severity stay, whatever becomes of its portions.
    Same,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Stricter, Self::Milder, Self::Same];

    pub(super) fn of(old: Decision, new: Decision) -> Self {
        match new.cmp(&old) {
            std::cmp::Ordering::Greater => Self::Stricter,
            std::cmp::Ordering::Less => Self::Milder,
            std::cmp::Ordering::Equal => Self::Same,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stricter => "stricter",
            Self::Milder => "milder",
            Self::Same => "same",
        }
    }
}

/// Points of a rule whose decision changes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ComparedPart {
    pub(super) traffic: Traffic,
    pub(super) peer_class: PeerClass,
    /// Which addresses of the class, where they are not all that the rule has.
    pub(super) addresses: Option<String>,
    pub(super) old: Side,
    pub(super) new: Side,
}

/// What one policy says of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) decision: Decision,
    pub(super) clauses: Vec<String>,
}

/// A finding with what it rests on.
#[derive(Clone, Copy)]
pub(super) struct Judged<'a> {
    pub(super) policy: &'a Policy,
    pub(super) group: &'a Group,
    pub(super) finding: &'a JudgedRule,
}

impl Judged<'_> {
    fn cells(&self) -> Vec<named::Cell> {
        let parts: Vec<_> = self.finding.portions.iter().map(Portion::part).collect();
        named::cells(self.policy, self.group, &self.finding.rule.peer, &parts)
    }
}

/// What changes; `None`: nothing.
pub(super) fn compare(old: Judged<'_>, new: Judged<'_>) -> Option<(Way, Vec<ComparedPart>)> {
    let mut whole: BTreeMap<PeerClass, Addresses> = BTreeMap::new();
    for cell in new.cells() {
        if let Some(portion) = new.finding.portions.get(cell.portion) {
            let all = whole.entry(portion.peer_class).or_default();
            *all = all.with(&cell.addresses);
        }
    }
    let parts = merged(pieces(old, new), [new.policy, old.policy], &whole);
    let decision = |judged: Judged<'_>| (judged.finding.verdict, judged.finding.severity);
    let way = Way::of(decision(old), decision(new));
    (way != Way::Same || !parts.is_empty()).then_some((way, parts))
}

/// A piece of the rule that one clause of each policy decides; addresses where the peer is some.
struct Piece<'a> {
    traffic: Traffic,
    addresses: Option<Addresses>,
    old: &'a Portion,
    new: &'a Portion,
}

/// Every piece whose decision changes.
fn pieces<'a>(old: Judged<'a>, new: Judged<'a>) -> Vec<Piece<'a>> {
    let cut = |judged: Judged<'a>| -> Vec<(&'a Portion, Traffic, Option<Addresses>)> {
        let portions = &judged.finding.portions;
        let cells = judged.cells();
        if cells.is_empty() {
            return portions.iter().map(|portion| (portion, portion.traffic.clone(), None)).collect();
        }
        let of = |cell: named::Cell| Some((portions.get(cell.portion)?, cell.traffic, Some(cell.addresses)));
        cells.into_iter().filter_map(of).collect()
    };
    // What a group is may depend on the policy, so all groups are one class.
    let is_group = matches!(new.finding.rule.peer, Peer::Group { .. });
    let (before, after) = (cut(old), cut(new));
    let mut pieces = Vec::new();
    for (old, old_traffic, old_addresses) in &before {
        for (new, new_traffic, new_addresses) in &after {
            let traffic = old_traffic & new_traffic;
            let addresses = match (old_addresses, new_addresses) {
                (Some(one), Some(other)) => Some(one.shared_with(other)),
                _ => None,
            };
            let meets = !traffic.is_empty() && addresses.as_ref().is_none_or(|shared| !shared.is_empty());
            if meets && (is_group || old.peer_class == new.peer_class) && decision(old) != decision(new) {
                pieces.push(Piece { traffic, addresses, old, new });
            }
        }
    }
    pieces
}

/// Pieces that say the same in one: first those of the same addresses, then those of the same traffic.
fn merged(pieces: Vec<Piece<'_>>, policies: [&Policy; 2], whole: &BTreeMap<PeerClass, Addresses>) -> Vec<ComparedPart> {
    struct Group {
        class: PeerClass,
        traffic: Traffic,
        addresses: Option<Addresses>,
        old: Side,
        new: Side,
    }
    let side = |portion: &Portion| Side { decision: decision(portion), clauses: vec![portion.clause.clone()] };
    let group = |piece: Piece<'_>| {
        let (class, old, new) = (piece.new.peer_class, side(piece.old), side(piece.new));
        Group { class, traffic: piece.traffic, addresses: piece.addresses, old, new }
    };
    let mut groups: Vec<Group> = pieces.into_iter().map(group).collect();
    let says_the_same = |one: &Group, other: &Group| {
        one.class == other.class && one.old.decision == other.old.decision && one.new.decision == other.new.decision
    };
    for by_addresses in [true, false] {
        let mut fewer: Vec<Group> = Vec::new();
        for group in groups {
            let is_alike = |known: &&mut Group| {
                says_the_same(known, &group)
                    && if by_addresses { known.addresses == group.addresses } else { known.traffic == group.traffic }
            };
            let Some(known) = fewer.iter_mut().find(is_alike) else {
                fewer.push(group);
                continue;
            };
            known.traffic = Traffic::union([known.traffic.clone(), group.traffic]);
            known.addresses = known.addresses.take().zip(group.addresses).map(|(one, other)| one.with(&other));
            for (side, more) in [(&mut known.old, group.old), (&mut known.new, group.new)] {
                side.clauses.extend(more.clauses);
                side.clauses.dedup();
            }
        }
        groups = fewer;
    }
    let part = |group: Group| {
        let all = whole.get(&group.class).cloned().unwrap_or_default();
        let addresses = group.addresses.and_then(|some| named::words(&policies, &some, &all, group.class));
        ComparedPart { traffic: group.traffic, peer_class: group.class, addresses, old: group.old, new: group.new }
    };
    groups.into_iter().map(part).collect()
}

/// Which peers a part is about.
pub(super) fn peers(part: &ComparedPart) -> &str {
    part.addresses.as_deref().unwrap_or_else(|| part.peer_class.word())
}

/// ``report (high) by `ssh` -> revoke (high) by `ssh` ``.
pub(super) fn sides(part: &ComparedPart) -> String {
    let side = |Side { decision: (verdict, severity), clauses }: &Side| {
        format!("{} by `{}`", style::decision(*verdict, *severity), clauses.join("`, `"))
    };
    format!("{} -> {}", side(&part.old), side(&part.new))
}

pub(super) fn side_for_tools(side: &Side) -> Value {
    json!({"verdict": side.decision.0, "severity": side.decision.1, "clauses": side.clauses})
}

pub(super) fn traffic_for_tools(traffic: &Traffic) -> Value {
    let pairs = traffic.by_protocol().into_iter();
    pairs.map(|(protocol, ports)| json!({"protocol": protocol, "ports": ports})).collect()
}

fn decision(portion: &Portion) -> Decision {
    (portion.verdict, portion.severity)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use jiff::civil::date;

    use super::*;
    use crate::model::group::{Evidence, Role, RoleEvidence};
    use crate::model::ids::Location;
    use crate::model::rule::{Direction, Packets, Rule};
    use crate::policy::controller::Author;
    use crate::policy::file;
    use crate::policy::judge::judge;

    /// Of clauses as `ports from verdict`, each on a line.
    fn policy(clauses: &[&str]) -> Policy {
        let entry = |(n, clause): (usize, &&str)| {
            let mut words = clause.split(' ');
            let mut word = || words.next().unwrap_or_default();
            let (ports, from, verdict) = (word(), word(), word());
            let severity = if verdict == "allow" { "" } else { "severity: high, " };
            format!(
                "  - {{id: c{n}, protocol: tcp, ports: {ports}, from: {from}, {severity}verdict: {verdict}, reason: r}}\n"
            )
        };
        let clauses: String = clauses.iter().enumerate().map(entry).collect();
        let text = format!(
            "version: 1\nextends: none\nnetworks:\n  office: [203.0.113.0/24]\n  lab: [198.51.100.0/30]\nclauses:\n{clauses}"
        );
        file::load("test.yaml", &text, date(2026, 6, 15)).unwrap().policy
    }

    /// `22 from 203.0.113.0/24, network `office`: report c0 -> allow c1`.
    fn lines(peer: &str, old: &[&str], new: &[&str]) -> Option<(Way, Vec<String>)> {
        let (old, new) = (policy(old), policy(new));
        let rule = Rule {
            id: String::new(),
            direction: Direction::Ingress,
            packets: Packets::Tcp(20, 30),
            peer: Peer::cidr(peer).unwrap(),
            description: None,
            tags: BTreeMap::new(),
        };
        let node = RoleEvidence { role: Role::Node, evidence: Evidence::Configured, strong: true };
        let group = Group { rules: vec![rule], roles: vec![node], ..Group::default() };
        let [before, after] = [&old, &new].map(|policy| {
            judge(policy, &group, &Location::default(), Timestamp::UNIX_EPOCH, |_| Author::Other).remove(0)
        });
        let side = |policy, finding| Judged { policy, group: &group, finding };
        let (way, parts) = compare(side(&old, &before), side(&new, &after))?;
        let line = |part: ComparedPart| {
            let (_, ports) = part.traffic.by_protocol().remove(0);
            let side = |side: Side| format!("{} {}", side.decision.0.word(), side.clauses.join("+"));
            let peers = part.addresses.unwrap_or_else(|| part.peer_class.word().to_owned());
            format!("{ports} from {peers}: {} -> {}", side(part.old), side(part.new))
        };
        Some((way, parts.into_iter().map(line).collect()))
    }

    const ADDRESS: &str = "192.0.2.1/32";

    #[test]
    fn another_clause_that_says_the_same_is_no_change() {
        let new = ["20-22 internet report", "23-30 internet report"];
        assert_eq!(lines(ADDRESS, &["20-30 internet report"], &new), None);
    }

    #[test]
    fn a_rule_whose_decision_stays_is_neither_milder_nor_stricter() {
        let old = ["20-21 internet revoke", "22-30 internet report"];
        let new = ["20-21 internet revoke", "22-30 internet allow"];
        let expected = vec!["22-30 from internet: report c1 -> allow c1".to_owned()];
        assert_eq!(lines(ADDRESS, &old, &new), Some((Way::Same, expected)));
        let new = ["20-21 internet revoke", "22-30 internet revoke"];
        let expected = vec!["22-30 from internet: report c1 -> revoke c1".to_owned()];
        assert_eq!(lines(ADDRESS, &old, &new), Some((Way::Same, expected)));
    }

    #[test]
    fn what_a_network_gets_is_told_by_its_name_and_its_blocks() {
        let rest = ["20-30 internet report"];
        let office = ["20-30 office allow", "20-30 internet report"];
        let told = "20-30 from 203.0.113.0/24, network `office`: report c0 -> allow c0".to_owned();
        assert_eq!(lines("0.0.0.0/0", &rest, &office), Some((Way::Same, vec![told])));
        let strict = ["20-30 office allow", "20-30 internet revoke"];
        let told = "20-30 from the rest of the internet: report c1 -> revoke c1".to_owned();
        assert_eq!(lines("0.0.0.0/0", &office, &strict), Some((Way::Stricter, vec![told])));
        let both = ["20-30 [office,lab] allow", "20-30 internet report"];
        let told = "20-30 from 198.51.100.0/30, network `lab`: report c1 -> allow c0".to_owned();
        assert_eq!(lines("0.0.0.0/0", &office, &both), Some((Way::Same, vec![told])));
        let told = "20-30 from 203.0.113.7/32, network `office`: report c0 -> allow c0".to_owned();
        assert_eq!(lines("203.0.113.7/32", &rest, &office), Some((Way::Milder, vec![told])));
    }

    #[test]
    fn portions_may_go_both_ways() {
        let old = ["20-21 internet revoke", "22-25 internet report", "26-30 internet allow"];
        let new = ["20-21 internet revoke", "22-25 internet allow", "26-30 internet report"];
        let expected = ["22-25 from internet: report c1 -> allow c1", "26-30 from internet: allow c2 -> report c2"];
        assert_eq!(lines(ADDRESS, &old, &new), Some((Way::Same, expected.map(str::to_owned).to_vec())));
    }

    /// Clauses of different clusters may share an id; the addresses are those of the one that decided.
    #[test]
    fn addresses_are_those_of_the_clause_of_the_groups_own_cluster() {
        let clause = |cluster: &str, block: &str| {
            format!("  - {{id: own, cluster: {cluster}, from: [{block}], verdict: allow, reason: r}}\n")
        };
        let clauses = [clause("dev", "198.51.100.0/24"), clause("prod", "203.0.113.0/24")].concat();
        let text = format!("version: 1\nextends: none\nclauses:\n{clauses}");
        let policy = file::load("test.yaml", &text, date(2026, 6, 15)).unwrap().policy;
        let rule = Rule {
            id: String::new(),
            direction: Direction::Ingress,
            packets: Packets::Tcp(22, 22),
            peer: Peer::cidr("0.0.0.0/0").unwrap(),
            description: None,
            tags: BTreeMap::new(),
        };
        for (cluster, block) in [("dev", "198.51.100.0/24"), ("prod", "203.0.113.0/24")] {
            let group = Group {
                clusters: [cluster.to_owned()].into(),
                roles: vec![RoleEvidence { role: Role::Node, evidence: Evidence::Configured, strong: true }],
                rules: vec![rule.clone()],
                ..Group::default()
            };
            let judged = judge(&policy, &group, &Location::default(), Timestamp::UNIX_EPOCH, |_| Author::Other);
            let own = judged[0].portions.iter().find(|portion| portion.clause == "own").unwrap();
            assert_eq!(own.addresses.as_deref(), Some(block), "{cluster}");
        }
    }
}
