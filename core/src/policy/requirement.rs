//! What must stay open: judged on what an interface can really do, which is what its groups let through together.
//!
//! Of a requirement that is not met people are notified; it is never mended. A rule may be kept for what it keeps met. Must
//! not: read anything, or know what happens to a finding.

mod instead;
mod sides;

use fixedbitset::FixedBitSet;

use self::sides::{Opened, Party, Unread, Word};
use crate::cluster::topology::{GroupSet, Topology};
use crate::model::region::Traffic;
use crate::model::rule::{Direction, Rule};
use crate::policy::model::{InterfacesOf, Policy, Requirement};

/// A requirement that a set of groups does not meet.
#[derive(Clone, Debug, PartialEq)]
pub struct Unmet<'p> {
    /// The requirement.
    pub requirement: &'p Requirement,
    /// The groups that are attached to the interfaces together.
    pub groups: GroupSet,
    /// What is not open.
    pub missing: Traffic,
    /// To whom, for people.
    pub peers: String,
}

impl Unmet<'_> {
    /// What is missing and whose it is: `udp 53 from nodes (sg-…)`.
    pub fn what(&self) -> String {
        let way = if self.requirement.direction == Direction::Ingress { "from" } else { "to" };
        let missing = self.missing.by_protocol();
        let missing: Vec<String> = missing.iter().map(|(protocol, ports)| format!("{protocol} {ports}")).collect();
        format!("{} {way} {}", missing.join(" and "), self.peers)
    }

    /// The interfaces that miss it, in a sentence.
    pub fn interfaces(&self) -> String {
        let groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
        format!("interfaces with {} attached", groups.join(" and "))
    }
}

/// A requirement that is met by a rule alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Lost<'p> {
    /// What would not be open without it.
    pub unmet: Unmet<'p>,
    /// What would meet it as well and lets in nobody else: rules for groups. None where addresses are meant, or too many.
    pub instead: Vec<Rule>,
}

/// Another side that is not let in where a requirement says that it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct CutOff<'p> {
    /// The requirement.
    pub requirement: &'p Requirement,
    /// The groups that are attached to the interfaces together.
    pub groups: GroupSet,
    /// Those that are attached to the other side together: a rule that names one of them is enough. Empty: addresses.
    pub from: GroupSet,
    /// What is not open to it.
    pub missing: Traffic,
}

/// Every requirement of the policy that is not met, once for each combination of groups that does not meet it.
pub fn unmet<'p>(policy: &'p Policy, topology: &Topology) -> Vec<Unmet<'p>> {
    let all = policy.requirements.iter().flat_map(|requirement| {
        let words = Word::of(requirement, topology);
        let judge = move |groups| judge(requirement, &words, topology, groups);
        sets(requirement, topology).into_iter().filter_map(judge)
    });
    all.collect()
}

/// The requirements that are met, and would not be without this rule of this group. Each other side counts by itself: one
/// that is cut off already is no reason to cut off the rest.
pub fn lost_without<'p>(policy: &'p Policy, topology: &Topology, group: &str, rule: &Rule) -> Vec<Lost<'p>> {
    let traffic = Traffic::from(rule.packets);
    let may_serve =
        |requirement: &&Requirement| requirement.direction == rule.direction && traffic.meets(&requirement.traffic);
    let all = policy.requirements.iter().filter(may_serve).flat_map(|requirement| {
        let words = Word::of(requirement, topology);
        let with_it = sets(requirement, topology).into_iter().filter(|groups| groups.contains(group));
        with_it.filter_map(move |groups| lost(requirement, &words, topology, groups, rule))
    });
    all.collect()
}

/// Every other side that is cut off, by requirements one after the other. What a list lets in that could not be read counts
/// for nothing.
pub fn cut_off<'p>(requirements: &'p [Requirement], topology: &Topology) -> Vec<CutOff<'p>> {
    let mut found = Vec::new();
    for requirement in requirements {
        let words = Word::of(requirement, topology);
        for groups in sets(requirement, topology) {
            let opened = Opened::by(topology.rules_of(groups), requirement, topology, Unread::Closed);
            let parties: Vec<Vec<Party>> = words.iter().map(|word| word.parties(&opened, topology)).collect();
            let whole: Vec<Traffic> = parties.iter().map(|some| open_to_all(requirement, some)).collect();
            for (at, (word, parties)) in words.iter().zip(&parties).enumerate() {
                for party in parties {
                    let missing = missing_of(requirement, party, at, &whole);
                    let sides = if missing.is_empty() { Vec::new() } else { word.groups(&party.sides) };
                    let cut = |from| CutOff { requirement, groups: groups.clone(), from, missing: missing.clone() };
                    found.extend(sides.into_iter().map(cut));
                }
            }
        }
    }
    found
}

/// What of the requirement's traffic is not open to sides of its word `at`. What another word allows is met that way.
fn missing_of(requirement: &Requirement, party: &Party, at: usize, whole: &[Traffic]) -> Traffic {
    let others = whole.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, open)| open);
    others.fold(&requirement.traffic - &party.open, |missing, open| &missing - open)
}

/// The combinations of groups that a requirement speaks of, and that something is asked of.
fn sets<'t>(requirement: &Requirement, topology: &'t Topology) -> Vec<&'t GroupSet> {
    let all = match requirement.interfaces_of {
        InterfacesOf::ControlPlane => vec![&topology.control_plane],
        InterfacesOf::Node => topology.nodes.iter().collect(),
    };
    all.into_iter().filter(|groups| topology.of.concerns(groups)).collect()
}

fn judge<'p>(
    requirement: &'p Requirement,
    words: &[Word<'_>],
    topology: &Topology,
    groups: &GroupSet,
) -> Option<Unmet<'p>> {
    // What is not known is not called missing.
    let opened = Opened::by(topology.rules_of(groups), requirement, topology, Unread::Open);
    let mut missing = requirement.traffic.clone();
    let mut names = Vec::new();
    for word in words {
        let parties = word.parties(&opened, topology);
        let closed = parties.iter().filter(|party| !party.open.covers(&missing));
        names.push(word.listed(closed.map(|party| (&party.sides, party.family(&missing, topology)))));
        missing = &missing - &open_to_all(requirement, &parties);
    }
    let peers = names.join(", or ");
    (!missing.is_empty()).then(|| Unmet { requirement, groups: groups.clone(), missing, peers })
}

fn lost<'p>(
    requirement: &'p Requirement,
    words: &[Word<'_>],
    topology: &Topology,
    groups: &GroupSet,
    rule: &Rule,
) -> Option<Lost<'p>> {
    let left = topology.rules_of(groups).filter(|other| other.id != rule.id);
    // A list that could not be read may be what meets it now, and may not be what would meet it then.
    let before = Opened::by(topology.rules_of(groups), requirement, topology, Unread::Open);
    let after = Opened::by(left, requirement, topology, Unread::Closed);
    let reached = |opened: &Opened<'_>| words.iter().map(|word| word.parties(opened, topology)).collect::<Vec<_>>();
    let (before, after) = (reached(&before), reached(&after));
    let by_word = |all: &[Vec<Party>]| all.iter().map(|some| open_to_all(requirement, some)).collect::<Vec<_>>();
    let (whole_before, whole_after) = (by_word(&before), by_word(&after));
    let (mut missing, mut names, mut instead) = (Traffic::default(), Vec::new(), Vec::new());
    for (at, (word, (before, after))) in words.iter().zip(before.iter().zip(&after)).enumerate() {
        let mut closed_to = Vec::new();
        for after in after {
            let fallen = missing_of(requirement, after, at, &whole_after);
            let met = before.iter().filter(|party| missing_of(requirement, party, at, &whole_before).is_empty());
            let mut sides = met.fold(FixedBitSet::new(), |all, party| &all | &party.sides);
            sides.intersect_with(&after.sides);
            if !fallen.is_empty() && !sides.is_clear() {
                closed_to.push((sides, after.family(&fallen, topology), fallen.clone()));
                missing = Traffic::union([missing, fallen]);
            }
        }
        if !closed_to.is_empty() {
            names.push(word.listed(closed_to.iter().map(|(sides, family, _)| (sides, *family))));
            // One word is enough.
            if instead.is_empty() {
                let each = closed_to.iter().flat_map(|(sides, _, fallen)| {
                    word.groups(sides).into_iter().map(move |groups| (groups, fallen.clone()))
                });
                instead = instead::rules(requirement.direction, each.collect());
            }
        }
    }
    let peers = names.join(", or ");
    (!missing.is_empty())
        .then(|| Lost { unmet: Unmet { requirement, groups: groups.clone(), missing, peers }, instead })
}

/// All sides of a word must be reached.
fn open_to_all(requirement: &Requirement, parties: &[Party]) -> Traffic {
    parties.iter().fold(requirement.traffic.clone(), |open, party| &open & &party.open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::{Packets, Peer};
    use crate::policy::file::tests::loaded;

    const DNS: &str = "version: 1\nextends: none\nrequirements: [{id: dns, role: node, protocol: udp, ports: 53, \
                       from: \"role:node\", reason: r}]\n";

    fn policy() -> Policy {
        loaded(DNS).policy
    }

    fn set(group: &str) -> GroupSet {
        [group.to_owned()].into()
    }

    fn rule(id: &str, direction: Direction, packets: Packets, peer: Peer) -> Rule {
        Rule { id: id.to_owned(), ..Rule::new(direction, packets, peer) }
    }

    fn group(id: &str) -> Peer {
        Peer::Group { id: id.to_owned(), owner: None }
    }

    /// Two kinds of nodes; the rules are those of the first.
    fn topology(rules: Vec<Rule>) -> Topology {
        Topology {
            nodes: [set("sg-1"), set("sg-2")].into(),
            rules: [("sg-1".to_owned(), rules)].into(),
            ..Topology::default()
        }
    }

    #[test]
    fn a_rule_that_opens_nothing_of_it_keeps_no_requirement() {
        let list = || Peer::PrefixList("pl-unread".to_owned());
        let (dns, ssh) = (Packets::Udp(53, 53), Packets::Tcp(22, 22));
        let rules = vec![
            rule("in-dns", Direction::Ingress, dns, list()),
            rule("in-ssh", Direction::Ingress, ssh, list()),
            rule("out-dns", Direction::Egress, dns, list()),
        ];
        let (policy, topology) = (policy(), topology(rules.clone()));
        let kept = rules.iter().map(|rule| lost_without(&policy, &topology, "sg-1", rule).len());
        assert_eq!(kept.collect::<Vec<_>>(), [1, 0, 0]);
    }

    #[test]
    fn every_other_side_that_no_rule_surely_lets_in_is_cut_off() {
        let dns = |peer| rule("in-dns", Direction::Ingress, Packets::Udp(0, 53), peer);
        let unread = Peer::PrefixList("pl-unread".to_owned());
        let (policy, topology) = (policy(), topology(vec![dns(group("sg-1")), dns(unread)]));
        let found = cut_off(&policy.requirements, &topology);
        let sides: Vec<_> = found.iter().map(|cut| (cut.groups.clone(), cut.from.clone())).collect();
        let expected = [("sg-1", "sg-2"), ("sg-2", "sg-1"), ("sg-2", "sg-2")];
        assert_eq!(sides, expected.map(|(groups, from)| (set(groups), set(from))));
        assert!(found.iter().all(|cut| cut.missing == Traffic::ports(17, 53, 53)), "{found:?}");
    }
}
