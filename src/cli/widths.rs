//! Kinds of rules that clauses tell apart by the number of ports and by who wrote them, and what a policy is for one kind.
//!
//! Must not: judge.

use std::collections::BTreeSet;

use crate::model::rule::Packets;
use crate::policy::model::{Clause, Policy, Verdict, Width};

/// A protocol has one less.
const EVERYTHING: u32 = (1 << 16) + 1;

/// Rules of so many ports, or a controller's own of one port. No clause tells two of one kind apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    fewest: u32,
    most: u32,
    is_controllers: bool,
}

/// All kinds that these policies tell apart.
pub(super) fn kinds(policies: [&Policy; 2]) -> BTreeSet<Kind> {
    let widths = policies.into_iter().flat_map(|policy| &policy.clauses).map(|clause| clause.width);
    let borders = widths.flat_map(|width| [width.more_than, width.at_most]).flatten().map(|most| most + 1);
    let known = [1, 2, Packets::FEW_HUNDRED + 1, Packets::HALF, EVERYTHING];
    let starts: BTreeSet<u32> = borders.chain(known).collect();
    let ends = starts.iter().skip(1).map(|next| next - 1).chain([u32::MAX]);
    let by_width = starts.iter().zip(ends).map(|(fewest, most)| Kind { fewest: *fewest, most, is_controllers: false });
    by_width.chain([Kind { fewest: 1, most: 1, is_controllers: true }]).collect()
}

/// The policy as it is for such rules: what it says of them is all that it says.
pub(super) fn policy_for(policy: &Policy, kind: Kind) -> Policy {
    let clauses = policy.clauses.iter().filter(|clause| clause.width.holds(kind.fewest));
    Policy { clauses: clauses.map(|clause| clause_for(clause, kind)).collect(), ..policy.clone() }
}

fn clause_for(clause: &Clause, kind: Kind) -> Clause {
    let ports = kind.fewest;
    let in_passing = ports > Packets::FEW_HUNDRED && ports < Packets::HALF;
    let milder = [clause.in_passing.filter(|_| in_passing), clause.for_controller.filter(|_| kind.is_controllers)];
    // The most particular one first, as where rules are judged.
    let severity = [
        clause.severity_for_controller.filter(|_| kind.is_controllers),
        clause.severity_of_broad.filter(|_| ports > Packets::FEW_HUNDRED),
        clause.severity_of_ranges.filter(|_| ports > 1),
        clause.severity,
    ];
    Clause {
        verdict: milder.into_iter().flatten().fold(clause.verdict, Verdict::min),
        severity: severity.into_iter().flatten().next(),
        width: Width::default(),
        in_passing: None,
        for_controller: None,
        severity_of_ranges: None,
        severity_of_broad: None,
        severity_for_controller: None,
        ..clause.clone()
    }
}

/// Which rules these are, for people. `None`: all of them.
pub(super) fn words(kinds: &BTreeSet<Kind>, all: &BTreeSet<Kind>) -> Option<String> {
    if kinds == all {
        return None;
    }
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for kind in kinds.iter().filter(|kind| !kind.is_controllers) {
        match ranges.last_mut() {
            Some((_, most)) if most.checked_add(1) == Some(kind.fewest) => *most = kind.most,
            _ => ranges.push((kind.fewest, kind.most)),
        }
    }
    let range = |(fewest, most): &(u32, u32)| match (*fewest, *most) {
        (1, u32::MAX) => "rules of any width".to_owned(),
        (EVERYTHING, _) => "rules of every protocol".to_owned(),
        (1, 1) => "rules of 1 port".to_owned(),
        (1, most) => format!("rules of at most {most} ports"),
        (fewest, u32::MAX) => format!("rules of {fewest} ports or more"),
        (fewest, most) if fewest == most => format!("rules of {most} ports"),
        (fewest, most) => format!("rules of {fewest} to {most} ports"),
    };
    let mut said: Vec<String> = ranges.iter().map(range).collect();
    let is_controllers = kinds.iter().any(|kind| kind.is_controllers);
    match (is_controllers, ranges.first().is_some_and(|(fewest, _)| *fewest == 1)) {
        (true, false) => said.push("a controller's own rules".to_owned()),
        (false, true) => said.push("not a controller's own".to_owned()),
        _ => {}
    }
    Some(said.join(", "))
}
