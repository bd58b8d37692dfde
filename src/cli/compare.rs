//! What changes between two findings about one rule: which portions get another verdict or severity.

use std::collections::BTreeMap;

use crate::model::region::Traffic;
use crate::model::rule::Peer;
use crate::policy::judge::{JudgedRule, Portion};
use crate::policy::model::{PeerClass, Severity, Verdict};

/// What is compared. Which clause decides is not: another clause that says the same changes nothing.
pub(super) type Decision = (Verdict, Option<Severity>);

/// Which way a decision goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Stricter,
    Milder,
    /// The rule's verdict is the same; some of its portions get stricter, some milder.
    Both,
}

impl Way {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stricter => "stricter",
            Self::Milder => "milder",
            Self::Both => "both ways",
        }
    }
}

/// Points of a rule whose decision changes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ComparedPart {
    pub(super) traffic: Traffic,
    pub(super) peer_class: PeerClass,
    pub(super) old: Side,
    pub(super) new: Side,
}

/// What one policy says of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) decision: Decision,
    pub(super) clauses: Vec<String>,
}

/// What changes; `None`: nothing.
pub(super) fn compare(old: &JudgedRule, new: &JudgedRule) -> Option<(Way, Vec<ComparedPart>)> {
    let mut parts = Vec::new();
    let (before, after) = (by_class(old), by_class(new));
    let classes = before.keys().chain(after.keys().filter(|class| !before.contains_key(*class)));
    for class in classes {
        let side = |map: &BTreeMap<Option<PeerClass>, Vec<Portion>>| map.get(class).cloned().unwrap_or_default();
        parts.extend(class_parts(&side(&before), &side(&after)));
    }
    let (from, to) = ((old.verdict, old.severity), (new.verdict, new.severity));
    let stricter = parts.iter().any(|part| part.new.decision > part.old.decision);
    let milder = parts.iter().any(|part| part.new.decision < part.old.decision);
    let way = match to.cmp(&from) {
        std::cmp::Ordering::Greater => Way::Stricter,
        std::cmp::Ordering::Less => Way::Milder,
        std::cmp::Ordering::Equal if stricter && milder => Way::Both,
        std::cmp::Ordering::Equal if stricter => Way::Stricter,
        std::cmp::Ordering::Equal if milder => Way::Milder,
        std::cmp::Ordering::Equal => return None,
    };
    Some((way, parts))
}

/// Portions by their peers. What a group is may depend on the policy, so all groups are one class: none.
fn by_class(finding: &JudgedRule) -> BTreeMap<Option<PeerClass>, Vec<Portion>> {
    let is_group = matches!(finding.rule.peer, Peer::Group { .. });
    let mut classes: BTreeMap<_, Vec<Portion>> = BTreeMap::new();
    for portion in &finding.portions {
        let class = (!is_group).then_some(portion.peer_class);
        classes.entry(class).or_default().push(portion.clone());
    }
    classes
}

fn decision(portion: &Portion) -> Decision {
    (portion.verdict, portion.severity)
}

fn by_decision(portions: &[Portion]) -> BTreeMap<Decision, Traffic> {
    let mut map: BTreeMap<Decision, Traffic> = BTreeMap::new();
    for portion in portions {
        let slot = map.entry(decision(portion)).or_default();
        *slot = Traffic::union([std::mem::take(slot), portion.traffic.clone()]);
    }
    map
}

/// What is in `here` and not in `there`, decision by decision.
fn left(here: &BTreeMap<Decision, Traffic>, there: &BTreeMap<Decision, Traffic>) -> Vec<(Decision, Traffic)> {
    let rest = |(decision, traffic): (&Decision, &Traffic)| {
        let rest = there.get(decision).map_or_else(|| traffic.clone(), |other| traffic - other);
        (!rest.is_empty()).then_some((*decision, rest))
    };
    here.iter().filter_map(rest).collect()
}

/// Every decision that goes, paired with the one that comes at the same points. A class may be decided in part only (by a
/// network of it); then a decision comes or goes beside others that stay, and is paired with those.
fn class_parts(old: &[Portion], new: &[Portion]) -> Vec<ComparedPart> {
    let (before, after) = (by_decision(old), by_decision(new));
    let (gone, come) = (left(&before, &after), left(&after, &before));
    let union = |list: &[(Decision, Traffic)]| Traffic::union(list.iter().map(|(_, traffic)| traffic.clone()));
    let (all_gone, all_come) = (union(&gone), union(&come));
    let mut parts = Vec::new();
    let mut pair = |from: Decision, to: Decision, traffic: Traffic| {
        if from != to && !traffic.is_empty() {
            let (old, new) = (side(old, from, &traffic), side(new, to, &traffic));
            if let Some(peer_class) = new.1.or(old.1) {
                parts.push(ComparedPart { traffic, peer_class, old: old.0, new: new.0 });
            }
        }
    };
    for (from, goes) in &gone {
        for (to, comes) in &come {
            pair(*from, *to, goes & comes);
        }
        let alone = goes - &all_come;
        for (to, stays) in &after {
            pair(*from, *to, &alone & stays);
        }
    }
    for (to, comes) in &come {
        let alone = comes - &all_gone;
        for (from, stays) in &before {
            pair(*from, *to, &alone & stays);
        }
    }
    parts
}

fn side(portions: &[Portion], wanted: Decision, traffic: &Traffic) -> (Side, Option<PeerClass>) {
    let here = || portions.iter().filter(|portion| decision(portion) == wanted && portion.traffic.meets(traffic));
    let mut clauses: Vec<String> = here().map(|portion| portion.clause.clone()).collect();
    clauses.dedup();
    (Side { decision: wanted, clauses }, here().map(|portion| portion.peer_class).next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::{Direction, Packets, Rule};

    fn portion(clause: &str, ports: (u16, u16), verdict: Verdict) -> Portion {
        Portion {
            clause: clause.to_owned(),
            traffic: Traffic::ports(6, ports.0, ports.1),
            peer_class: PeerClass::Internet,
            verdict,
            severity: None,
            reason: String::new(),
            strong: true,
            names_cluster_groups: false,
        }
    }

    fn finding(portions: Vec<Portion>) -> JudgedRule {
        let rule = Rule {
            id: String::new(),
            direction: Direction::Ingress,
            packets: Packets::Tcp(20, 30),
            peer: Peer::cidr("0.0.0.0/0").unwrap(),
            description: None,
            tags: BTreeMap::new(),
        };
        let verdict = portions.iter().map(|portion| portion.verdict).max().unwrap();
        JudgedRule { rule, verdict, severity: None, portions }
    }

    /// `22 revoke a -> allow b`.
    fn lines(old: Vec<Portion>, new: Vec<Portion>) -> Option<(Way, Vec<String>)> {
        let (way, parts) = compare(&finding(old), &finding(new))?;
        let line = |part: ComparedPart| {
            let (_, ports) = part.traffic.by_protocol().remove(0);
            let side = |side: Side| format!("{:?} {}", side.decision.0, side.clauses.join("+")).to_lowercase();
            format!("{ports} {} -> {}", side(part.old), side(part.new))
        };
        Some((way, parts.into_iter().map(line).collect()))
    }

    #[test]
    fn another_clause_that_says_the_same_is_no_change() {
        let old = vec![portion("a", (20, 30), Verdict::Report)];
        let new = vec![portion("b", (20, 22), Verdict::Report), portion("c", (23, 30), Verdict::Report)];
        assert_eq!(lines(old, new), None);
    }

    #[test]
    fn a_portion_may_change_while_the_rule_does_not() {
        let old = vec![portion("a", (20, 21), Verdict::Revoke), portion("b", (22, 30), Verdict::Report)];
        let new = vec![portion("a", (20, 21), Verdict::Revoke), portion("c", (22, 30), Verdict::Allow)];
        assert_eq!(lines(old, new), Some((Way::Milder, vec!["22-30 report b -> allow c".to_owned()])));
    }

    #[test]
    fn what_an_office_gets_beside_the_rest_is_told_alone() {
        let rest = || portion("rest", (22, 22), Verdict::Report);
        let old = vec![rest()];
        let new = vec![portion("office", (22, 22), Verdict::Allow), rest()];
        assert_eq!(lines(old, new), Some((Way::Milder, vec!["22 report rest -> allow office".to_owned()])));
        let office = || portion("office", (22, 22), Verdict::Allow);
        let strict = portion("rest", (22, 22), Verdict::Revoke);
        let expected = Some((Way::Stricter, vec!["22 report rest -> revoke rest".to_owned()]));
        assert_eq!(lines(vec![office(), rest()], vec![office(), strict]), expected);
    }

    #[test]
    fn portions_may_go_both_ways() {
        let old = vec![
            portion("a", (20, 21), Verdict::Revoke),
            portion("b", (22, 25), Verdict::Report),
            portion("c", (26, 30), Verdict::Allow),
        ];
        let new = vec![
            portion("a", (20, 21), Verdict::Revoke),
            portion("b", (22, 25), Verdict::Allow),
            portion("c", (26, 30), Verdict::Report),
        ];
        let expected = vec!["26-30 allow c -> report c".to_owned(), "22-25 report b -> allow b".to_owned()];
        assert_eq!(lines(old, new), Some((Way::Both, expected)));
    }
}
