//! Properties of the judge, against an oracle that looks at every point.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::struct_excessive_bools,
    clippy::manual_checked_ops,
    clippy::type_complexity,
    unreachable_pub,
    reason = "helpers of tests: a panic is a failed test"
)]

#[path = "../meaning/mod.rs"]
mod meaning;
mod model;
mod oracle;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use eks_sg_guard::model::region::Traffic;
use eks_sg_guard::policy::builtin;
use eks_sg_guard::policy::file::print;
use eks_sg_guard::policy::judge::{JudgedRule, Portion};
use eks_sg_guard::policy::model::{Policy, Verdict};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::meaning::meaning;
use crate::model::{LISTS, Taste, exception};
use crate::oracle::{Oracle, Points, Said};
use crate::world::{Mark, RuleModel, World, block, read, world};

/// What a debug build does in seconds; `PROPTEST_CASES` asks for more.
fn cases(cases: u32) -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    if asked { default } else { ProptestConfig { cases, ..default } }
}

fn said(portion: &Portion) -> Said {
    Said {
        clause: portion.clause.clone(),
        class: portion.peer_class.word(),
        verdict: portion.verdict,
        severity: portion.severity,
        strong: portion.strong,
        names_cluster_groups: portion.names_cluster_groups,
    }
}

/// The worst of these rules in the world.
fn worst(world: &World, at: impl IntoIterator<Item = usize>) -> Verdict {
    let findings = world.judged();
    at.into_iter().map(|at| findings[at].verdict).max().unwrap()
}

/// Without a rule's id, which is all that distinguishes its copies.
fn content(finding: &JudgedRule) -> (Verdict, String, &[Portion]) {
    let rule = &finding.rule;
    (finding.verdict, format!("{:?} {:?} {}", rule.direction, rule.packets, rule.peer), &finding.portions)
}

/// The block with some bits fewer: it holds the old one.
fn wider(text: &str, bits: u8) -> String {
    let (address, length) = text.split_once('/').unwrap();
    format!("{address}/{}", length.parse::<u8>().unwrap().saturating_sub(bits))
}

/// Cuts a block in two, again and again, always the half that holds `toward`.
fn split(text: &str, toward: u128, times: u8) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest: ipnet::IpNet = text.parse::<ipnet::IpNet>().unwrap().trunc();
    for at in 0..times {
        let Ok(halves) = rest.subnets(rest.prefix_len() + 1) else { break };
        let halves: Vec<_> = halves.collect();
        let keep = usize::from(toward >> at & 1 == 1);
        parts.push(halves[1 - keep].to_string());
        rest = halves[keep];
    }
    parts.push(rest.to_string());
    parts
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn every_point_is_decided_as_the_oracle_decides_it(world in world(Taste::Any)) {
        // The clusters of the group, one by one: the worst counts, the first of those that are alike.
        let oracles: Vec<Oracle<'_>> = world.clusters.iter().map(|cluster| Oracle::new(&world, cluster)).collect();
        for (rule, finding) in world.rules.iter().zip(world.judged()) {
            let worst = |points: &Points| {
                let all = || points.iter().flat_map(|(_, said)| said);
                (all().map(|said| said.verdict).max(), all().filter_map(|said| said.severity).max())
            };
            let mut all = oracles.iter().map(|oracle| oracle.points(rule)).collect::<Vec<_>>();
            let most = all.iter().map(worst).max();
            all.retain(|points| Some(worst(points)) == most);
            let here = |(protocol, port): (u8, u16)| {
                let point = Traffic::ports(protocol, port, port);
                let portions = finding.portions.iter().filter(move |portion| portion.traffic.meets(&point));
                portions.map(said).collect::<BTreeSet<Said>>()
            };
            // Of clusters that are equally bad any one may be told.
            let told = |points: &Points| points.iter().all(|(point, expected)| here(*point) == *expected);
            let points = all.iter().find(|points| told(points)).unwrap_or(&all[0]);
            let all: Vec<&Said> = points.iter().flat_map(|(_, said)| said).collect();
            prop_assert_eq!(Some(finding.verdict), all.iter().map(|said| said.verdict).max());
            prop_assert_eq!(finding.severity, all.iter().filter_map(|said| said.severity).max());
            for (point, expected) in points {
                prop_assert_eq!(&here(*point), expected, "protocol and port {:?} of {:?}", point, rule);
            }
        }
    }

}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_printed_policy_is_read_back_as_the_same_policy(world in world(Taste::Any)) {
        let policy = read(&world.policy.yaml());
        let printed = print::text(&policy);
        let again = read(&printed);
        prop_assert_eq!(meaning(&again), meaning(&policy), "{}", printed);
        prop_assert_eq!(print::text(&again), printed);
        // An inherited clause is the reader's own once it is written in a file, and only then may it revoke among a
        // cluster's groups.
        let judged = |policy| {
            let mut findings = world.judged_under(policy);
            for portion in findings.iter_mut().flat_map(|finding| &mut finding.portions) {
                portion.names_cluster_groups = false;
            }
            findings
        };
        prop_assert_eq!(judged(&again), judged(&policy));
    }

    #[test]
    fn portions_are_the_rule_and_nothing_twice(world in world(Taste::Classes)) {
        for (rule, finding) in world.rules.iter().zip(world.judged()) {
            let whole = Traffic::from(rule.build(0).packets);
            let mut classes: BTreeMap<_, Vec<&Portion>> = BTreeMap::new();
            for portion in &finding.portions {
                prop_assert!(!portion.traffic.is_empty());
                classes.entry(portion.peer_class).or_default().push(portion);
            }
            prop_assert!(!classes.is_empty());
            for (class, portions) in classes {
                for (at, one) in portions.iter().enumerate() {
                    let twice = portions[at + 1..].iter().find(|other| other.traffic.meets(&one.traffic));
                    prop_assert!(twice.is_none(), "{} and {:?} of {}", one.clause, twice, class.word());
                }
                prop_assert_eq!(Traffic::union(portions.iter().map(|portion| portion.traffic.clone())), whole.clone());
            }
        }
    }

    #[test]
    fn an_exception_never_adds_a_revoke(world in world(Taste::Any), exception in exception(Taste::Any)) {
        let mut with = world.clone();
        with.policy.exceptions.insert(0, model::Clause { id: "one-more".to_owned(), ..exception });
        for (before, after) in world.judged().iter().zip(with.judged()) {
            prop_assert!(after.verdict <= before.verdict, "{:?} became {:?}", before, after);
        }
    }

    #[test]
    fn joining_a_cluster_makes_no_verdict_milder(mut world in world(Taste::Any)) {
        // A mark of EKS Auto Mode is one of the cluster that it names.
        world.rules.iter_mut().for_each(|rule| rule.mark = Mark::Nothing);
        let alone = World { clusters: vec!["prod-1"], ..world.clone() };
        let both = World { clusters: vec!["prod-1", "shared-2"], ..world };
        for (before, after) in alone.judged().iter().zip(both.judged()) {
            let (before, after) = ((before.verdict, before.severity), (after.verdict, after.severity));
            prop_assert!(before <= after, "{:?} became {:?}", before, after);
        }
    }

    #[test]
    fn what_is_shown_of_one_cluster_says_there_what_the_whole_policy_says(world in world(Taste::Any)) {
        let world = World { clusters: vec!["prod-1"], ..world };
        let policy = read(&world.policy.yaml());
        let shown = policy.in_cluster("prod-1");
        // Clauses of other clusters are not shown, so those that are stand elsewhere.
        let said = |policy| {
            let mut judged = world.judged_under(policy);
            judged.iter_mut().flat_map(|rule| &mut rule.portions).for_each(|portion| portion.position = None);
            judged
        };
        prop_assert_eq!(said(&shown), said(&policy));
        prop_assert_eq!(meaning(&read(&print::text(&shown))), meaning(&shown));
    }

    #[test]
    fn the_order_of_the_rules_never_matters(
        (world, order) in world(Taste::Any).prop_flat_map(|world| {
            let order: Vec<usize> = (0..world.rules.len()).collect();
            (Just(world), Just(order).prop_shuffle())
        }),
    ) {
        let findings = world.judged();
        let shuffled = world.with_rules(order.iter().map(|at| world.rules[*at].clone()).collect()).judged();
        for (at, finding) in order.into_iter().zip(&shuffled) {
            prop_assert_eq!(content(&findings[at]), content(finding));
        }
    }

    #[test]
    fn a_rule_that_stands_there_twice_changes_nothing(world in world(Taste::Any), copies in 1..4_usize) {
        let findings = world.judged();
        let twice = world.with_rules(world.rules.iter().cycle().take(world.rules.len() * copies).cloned().collect());
        for (finding, copy) in findings.iter().cycle().zip(&twice.judged()) {
            prop_assert_eq!(content(finding), content(copy));
        }
    }

    /// A wider rule may take *another* out of the sum of the small ones; it never gets a milder verdict itself.
    #[test]
    fn widening_a_rule_never_lowers_its_verdict(
        mut world in world(Taste::Sensible),
        at in any::<Index>(),
        block in block(),
        bits in 0..64_u8,
        ports in (0..40_000_u16, 0..40_000_u16),
    ) {
        let at = at.index(world.rules.len());
        if world.policy.is_strict() {
            world.rules.iter_mut().for_each(|rule| rule.mark = Mark::Nothing);
        }
        let judges_widths = world.policy.is_built_in();
        if bits > 0 || judges_widths && LISTS.contains(&world.rules[at].peer.as_str()) {
            world.rules[at].peer = block;
        }
        let mut wide = world.clone();
        let rule = &mut wide.rules[at];
        if bits > 0 {
            rule.peer = wider(&rule.peer, bits);
        }
        rule.slice = match rule.slice {
            // The built-in policies are milder with ranges in which a port lies by chance, but never with all ports.
            (Some(6 | 17), ..) if judges_widths && ports.0 < 10_000 => rule.slice,
            (Some(protocol @ (6 | 17)), from, to) if !judges_widths && ports.0 < 39_000 => {
                (Some(protocol), from.saturating_sub(ports.0), to.saturating_add(ports.1))
            }
            (slice, ..) if ports.0 < 20_000 => (slice, 0, u16::MAX),
            _ => (None, 0, u16::MAX),
        };
        let (before, after) = (worst(&world, [at]), worst(&wide, [at]));
        prop_assert!(before <= after, "{before:?} became {after:?} with {:?}", wide.rules[at]);
    }

    /// Not for controllers' rules: of a range, their marker excuses no part; of its single ports, it does.
    #[test]
    fn splitting_a_rule_by_port_gains_nothing(
        mut world in world(Taste::Sensible),
        at in any::<Index>(),
        cuts in prop::collection::btree_set(prop::sample::select(&model::PORTS[..]), 1..4),
    ) {
        let at = at.index(world.rules.len());
        let rule = &mut world.rules[at];
        rule.mark = Mark::Nothing;
        if !matches!(rule.slice.0, Some(6 | 17)) {
            rule.slice.0 = Some(6);
            (rule.slice.1, rule.slice.2) = (0, u16::MAX);
        }
        // A part that opens few ports to a group, or in which a port lies by chance, is milder in the built-in policies.
        if world.policy.is_built_in() {
            let (_, from, to) = rule.slice;
            rule.slice.2 = to.min(from.saturating_add(255));
            if rule.peer.starts_with("sg-") {
                rule.peer = "0.0.0.0/0".to_owned();
            }
        }
        let (protocol, mut from, to) = rule.slice;
        let mut parts = Vec::new();
        for cut in cuts.into_iter().filter(|cut| from < *cut && *cut <= to).collect::<Vec<_>>() {
            parts.push(RuleModel { slice: (protocol, from, cut - 1), ..world.rules[at].clone() });
            from = cut;
        }
        parts.push(RuleModel { slice: (protocol, from, to), ..world.rules[at].clone() });
        prop_assert!(worst(&world, [at]) <= worst_of_parts(&world, at, parts));
    }

    #[test]
    fn splitting_a_rule_by_address_gains_nothing(
        mut world in world(Taste::Sensible),
        at in any::<Index>(),
        block in prop::sample::select(&model::PUBLIC[2..]),
        toward in any::<u128>(),
        times in 1..24_u8,
    ) {
        let at = at.index(world.rules.len());
        if world.policy.is_strict() {
            world.rules.iter_mut().for_each(|rule| rule.mark = Mark::Nothing);
        }
        world.rules[at].peer = block.to_owned();
        let parts = split(block, toward, times).into_iter();
        let parts = parts.map(|peer| RuleModel { peer, ..world.rules[at].clone() }).collect();
        prop_assert!(worst(&world, [at]) <= worst_of_parts(&world, at, parts));
    }
}

/// The worst of the parts where they stand in the group instead of the whole.
fn worst_of_parts(world: &World, at: usize, parts: Vec<RuleModel>) -> Verdict {
    let mut rules = world.rules.clone();
    rules.remove(at);
    let first = rules.len();
    rules.extend(parts);
    let all = rules.len();
    worst(&world.with_rules(rules), first..all)
}

#[test]
fn the_last_day_of_an_exception_ends_at_midnight_utc() {
    let tcp = |port| (Some(6), port, port);
    let rule = RuleModel { egress: false, slice: tcp(10250), peer: "203.0.113.7/32".to_owned(), mark: Mark::Nothing };
    let exception = model::Clause { expires: Some("2026-12-31"), ..model::kubelet_exception() };
    let policy = model::Policy {
        extends: "standard",
        otherwise: None,
        clients: None,
        of_clusters: None,
        exceptions: vec![exception],
        own: Vec::new(),
    };
    for (now, verdict) in [
        ("2026-11-23T12:00:00Z", Verdict::Allow),
        ("2026-12-30T23:59:59Z", Verdict::Allow),
        ("2026-12-31T00:00:00Z", Verdict::Allow),
        ("2026-12-31T23:59:59Z", Verdict::Allow),
        ("2026-12-31T23:59:59.999999999Z", Verdict::Allow),
        ("2027-01-01T00:00:00Z", Verdict::Revoke),
        ("2027-01-01T00:00:01Z", Verdict::Revoke),
        // Midnight is UTC's: elsewhere it may be tomorrow or still yesterday.
        ("2027-01-01T08:59:59+09:00", Verdict::Allow),
        ("2026-12-31T16:00:00-08:00", Verdict::Revoke),
    ] {
        let world = World {
            policy: policy.clone(),
            clusters: vec!["prod-1"],
            roles: vec![(eks_sg_guard::model::group::Role::Node, true)],
            rules: vec![rule.clone()],
            author: eks_sg_guard::policy::controller::Author::Other,
            now: now.parse().unwrap(),
        };
        assert_eq!(worst(&world, [0]), verdict, "{now}");
    }
}

fn read_back(policy: &Policy) {
    let printed = print::text(policy);
    let again = read(&printed);
    assert_eq!(meaning(&again), meaning(policy), "{printed}");
    assert_eq!(print::text(&again), printed);
}

#[test]
fn the_policies_of_this_repository_are_read_back_as_they_were_printed() {
    for name in builtin::NAMES {
        read_back(builtin::policy(name).unwrap());
    }
    let mut texts = vec![include_str!("../../policy.example.yaml").to_owned()];
    for name in builtin::NAMES {
        texts.push(format!("version: 1\nextends: {name}\n"));
    }
    texts.push(
        "version: 1\nverdicts: {nodeport-internet: allow, other-internet: revoke, kubelet-internet: report}\n"
            .to_owned(),
    );
    texts.push(
        "version: 1\nnetworks: {clients: [10.0.0.0/8, \"::/0\", vpc]}\nclauses:\n\
         - {id: a, protocol: [tcp, udp, 50], from: [pl-0123456789abcdef0, clients], verdict: allow, \
         reason: \"a \\\"b\\\" \\n # c: d\"}\n\
         - {id: b, protocol: udp, ports: [0, 7-9], icmp: [3/4, 5-7], whole_protocols: [tcp], from: [anywhere], \
         verdict: report, reason: r}\n"
            .to_owned(),
    );
    for text in texts {
        read_back(&read(&text));
    }
}
