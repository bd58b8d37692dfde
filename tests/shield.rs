//! What must not be closed because a cluster depends on it, on random worlds and on the ones that say why.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a panic is a failed test"
)]

mod rule_text;

use std::collections::BTreeSet;

use eks_sg_guard::cluster::topology::{GroupSet, Topology};
use eks_sg_guard::event::{Named, NamedRule};
use eks_sg_guard::guard::shield::Shield;
use eks_sg_guard::model::group::{Evidence, Group, Passes, PrefixList, Role, RoleEvidence};
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::rule::{Peer, Rule};
use eks_sg_guard::plan::modes::Modes;
use eks_sg_guard::plan::standing::{Led, Memory};
use eks_sg_guard::plan::{Intent, PlanContext, Step, plan};
use eks_sg_guard::policy::builtin;
use eks_sg_guard::policy::model::{Mode, Policy};
use eks_sg_guard::policy::requirement::{Unmet, lost_without, unmet};
use jiff::Timestamp;
use proptest::prelude::*;

const NODE: &str = "sg-node";

fn rule(id: &str, text: &str) -> Rule {
    Rule { id: id.to_owned(), ..rule_text::rule(text) }
}

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().enumerate().map(|(at, text)| rule(&format!("sgr-{at}"), text)).collect()
}

fn set(groups: &[&str]) -> GroupSet {
    groups.iter().map(|id| (*id).to_owned()).collect()
}

/// Nodes with this group, or with this and another one.
fn topology(nodes: &[&[&str]], node: Vec<Rule>) -> Topology {
    Topology {
        cluster: "prod".to_owned(),
        control_plane: set(&["sg-cluster"]),
        nodes: nodes.iter().map(|groups| set(groups)).collect(),
        rules: [(NODE.to_owned(), node)].into(),
        vpc_ranges: ["10.0.0.0/16".parse().unwrap(), "2001:db8::/56".parse().unwrap()].into_iter().collect(),
        ..Topology::default()
    }
}

fn group(rules: Vec<Rule>) -> Group {
    let role = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true };
    Group { id: NODE.to_owned(), clusters: ["prod".to_owned()].into(), roles: vec![role], rules, ..Group::default() }
}

fn standard() -> &'static Policy {
    builtin::policy("standard").unwrap()
}

/// What is to be done in mode `enforce`, before and after the shield.
fn steps(shield: &Shield, group: &Group, named: &[&str]) -> (Vec<Step>, Vec<Step>) {
    let named = named.iter().map(|id| NamedRule { id: Some((*id).to_owned()), claim: None });
    let named = Named::Rules(named.collect());
    let context = PlanContext {
        policy: standard(),
        location: &Location::new("111122223333", "eu-west-1"),
        now: Timestamp::UNIX_EPOCH,
        modes: Modes::new(Mode::Enforce, Mode::Enforce),
        actor: None,
        named: &named,
        led: Led::Named,
        memory: &Memory::None,
    };
    let steps = plan(context, group);
    (steps.clone(), shield.over(standard(), group, |rule| !context.standing(rule, group).is_known(), steps))
}

fn with(intent: impl Fn(&Intent) -> bool, steps: &[Step]) -> BTreeSet<String> {
    steps.iter().filter(|step| intent(&step.intent)).map(|step| step.finding.rule.id.clone()).collect()
}

fn revoked(steps: &[Step]) -> BTreeSet<String> {
    with(|intent| *intent == Intent::Revoke, steps)
}

/// Which rules are revoked and which are kept, by their numbers.
fn outcome(texts: &[&str], named: &[&str]) -> (Vec<String>, Vec<String>) {
    let rules = rules(texts);
    let shield = Shield::Read(vec![topology(&[&[NODE]], rules.clone())]);
    let (_, after) = steps(&shield, &group(rules), named);
    let number = |ids: BTreeSet<String>| ids.into_iter().map(|id| id.replace("sgr-", "")).collect();
    (number(revoked(&after)), number(with(|intent| matches!(intent, Intent::Refuse(_)), &after)))
}

const ALL: &str = "in all from 0.0.0.0/0";
const TCP: &str = "in tcp 0-65535 from 0.0.0.0/0";
const DNS: &str = "in udp 53 from 10.0.0.0/8";
/// What EKS needs, and no more.
const NEEDED: [&str; 3] = ["in all from sg-cluster", "in all from sg-node", "out all to 0.0.0.0/0"];

#[test]
fn what_a_cluster_lives_on_stays_and_a_new_rule_is_no_shield() {
    let with_what_is_needed = [&[ALL][..], &NEEDED].concat();
    for (texts, named, expected) in [
        (&[ALL][..], &[][..], (&[][..], &["0"][..])),
        (&[ALL], &["sgr-0"], (&["0"], &[])),
        (&with_what_is_needed, &[], (&["0"], &[])),
        (&[TCP, ALL], &[], (&["0"], &["1"])),
        (&[TCP, ALL], &["sgr-1"], (&["1"], &["0"])),
        (&[ALL, ALL], &["sgr-0"], (&["0"], &["1"])),
        (&[ALL, ALL], &["sgr-1"], (&["1"], &["0"])),
        (&[TCP, TCP, DNS], &[], (&["0"], &["1"])),
        (&[TCP, TCP, DNS], &["sgr-0", "sgr-1"], (&["0", "1"], &[])),
        // It serves no requirement, or one that is not met anyhow.
        (&["in tcp 22 from 0.0.0.0/0"], &[], (&["0"], &[])),
        // A list that was not read may hold anything.
        (&[ALL, "in all from pl-unknown"], &[], (&[], &["0"])),
        (&["in tcp 10250 from 0.0.0.0/0", "in tcp 10250 from sg-cluster"], &[], (&["0"], &[])),
    ] {
        let (revoked, kept) = outcome(texts, named);
        assert_eq!((revoked, kept), (strings(expected.0), strings(expected.1)), "{texts:?} {named:?}");
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn what_is_missing_elsewhere_is_no_reason_to_give_up_the_rest() {
    let own = rules(&["in all from sg-node"]);
    let two = topology(&[&[NODE], &["sg-other"]], own.clone());
    let missing =
        |topology: &Topology| unmet(standard(), topology).iter().any(|unmet| unmet.requirement.id == "node-dns");
    assert!(missing(&two), "the other nodes do not get in");
    let lost = lost_without(standard(), &two, NODE, &own[0]);
    let dns = lost.iter().map(|lost| &lost.unmet).find(|lost| lost.requirement.id == "node-dns").unwrap();
    assert_eq!((dns.what().as_str(), &dns.groups), ("tcp 53 and udp 53 from nodes (sg-node)", &set(&[NODE])));
}

#[test]
fn what_either_of_two_words_allows_is_not_lost_while_one_of_them_is_left() {
    let out = rules(&["out all to sg-cluster", "out all to sg-node"]);
    let topology = topology(&[&[NODE]], out.clone());
    assert_eq!(lost_without(standard(), &topology, NODE, &out[0]), []);
    let mut without = topology.clone();
    without.remove(NODE, "sgr-0");
    let lost = lost_without(standard(), &without, NODE, &out[1]);
    assert_eq!(
        lost.iter().map(|lost| lost.unmet.requirement.id.as_str()).collect::<Vec<_>>(),
        ["node-egress", "node-egress-dns"]
    );
}

#[test]
fn each_cluster_of_a_group_counts_and_one_that_does_not_use_it_does_not() {
    let live = rules(&[ALL]);
    let uses = topology(&[&[NODE]], live.clone());
    let other = Topology { cluster: "test".to_owned(), ..topology(&[&["sg-other"]], Vec::new()) };
    for (topologies, is_kept) in
        [(vec![], false), (vec![other.clone()], false), (vec![uses.clone()], true), (vec![other, uses], true)]
    {
        let (_, after) = steps(&Shield::Read(topologies), &group(live.clone()), &[]);
        assert_eq!(revoked(&after).is_empty(), is_kept);
    }
}

#[test]
fn the_rules_that_are_proposed_instead_are_enough_and_let_in_groups_alone() {
    let live = rules(&[ALL]);
    let mut topology = topology(&[&[NODE], &[NODE, "sg-other"]], live.clone());
    let (_, kept) = steps(&Shield::Read(vec![topology.clone()]), &group(live.clone()), &[]);
    let instead = &kept[0].for_people.instead;
    assert!(!instead.is_empty() && instead.iter().all(|rule| matches!(rule.peer, Peer::Group { .. })), "{instead:?}");
    let new = instead.iter().enumerate().map(|(at, rule)| Rule { id: format!("sgr-new{at}"), ..rule.clone() });
    topology.rules.get_mut(NODE).unwrap().extend(new);
    assert_eq!(lost_without(standard(), &topology, NODE, &live[0]), []);
}

#[test]
fn until_the_facts_are_there_no_known_rule_goes_and_every_new_one_does() {
    let group = group(rules(&[ALL, TCP]));
    let (_, unasked) = steps(&Shield::Unasked, &group, &["sgr-1"]);
    assert_eq!((unasked.len(), revoked(&unasked)), (1, ["sgr-1".to_owned()].into()));
    let (_, unreadable) = steps(&Shield::Unreadable("what it needs: no route".to_owned()), &group, &["sgr-1"]);
    assert_eq!(revoked(&unreadable), ["sgr-1".to_owned()].into());
    assert!(matches!(&unreadable[0].intent, Intent::Postpone(why) if why.contains("no route")), "{unreadable:?}");
}

fn any_rule() -> impl Strategy<Value = String> {
    let packets = prop::sample::select(vec![
        "all",
        "tcp 0-65535",
        "udp 0-65535",
        "tcp 443",
        "tcp 10250",
        "tcp 53",
        "udp 53",
        "tcp 1025-65535",
        "tcp 443-20000",
        "tcp 10000-65535",
        "tcp 0-60",
    ]);
    let peers = prop::sample::select(vec![
        "0.0.0.0/0",
        "0.0.0.0/1",
        "::/0",
        "10.0.0.0/8",
        "10.0.0.0/17",
        "10.0.128.0/17",
        "sg-cluster",
        "sg-node",
        "sg-other",
        "pl-world",
        "pl-half",
        "pl-unread",
    ]);
    let way = prop::sample::select(vec!["in", "in", "in", "out"]);
    (way, packets, peers).prop_map(|(way, packets, peer)| format!("{way} {packets} x {peer}"))
}

fn world() -> impl Strategy<Value = (Topology, Group, Vec<usize>)> {
    let nodes = prop::sample::select(vec![
        vec![set(&[NODE])],
        vec![set(&[NODE]), set(&["sg-other"])],
        vec![set(&[NODE, "sg-other"])],
        vec![set(&["sg-cluster", NODE])],
        vec![],
    ]);
    let some = || prop::collection::vec(any_rule(), 0..7);
    let named = prop::collection::vec(0..7_usize, 0..3);
    (nodes, some(), some(), some(), any::<bool>(), named).prop_map(
        |(nodes, node, other, cluster, is_control, named)| {
            let own = |prefix: &str, texts: &[String]| -> Vec<Rule> {
                texts.iter().enumerate().map(|(at, text)| rule(&format!("sgr-{prefix}{at}"), text)).collect()
            };
            let node = own("", &node);
            let list =
                |block: &str| PrefixList::Entries([block.parse::<ipnet::IpNet>().unwrap()].into_iter().collect());
            let unread = PrefixList::Unreadable { why: "throttled".to_owned(), passes: Passes::Maybe };
            let lists = [
                ("pl-world".to_owned(), list("0.0.0.0/0")),
                ("pl-half".to_owned(), list("10.0.0.0/17")),
                ("pl-unread".to_owned(), unread),
            ];
            let mut topology = topology(&[], Vec::new());
            topology.nodes = nodes.into_iter().collect();
            if is_control {
                topology.control_plane.insert(NODE.to_owned());
            }
            topology.rules = [
                (NODE.to_owned(), node.clone()),
                ("sg-other".to_owned(), own("other-", &other)),
                ("sg-cluster".to_owned(), own("cluster-", &cluster)),
            ]
            .into();
            topology.prefix_lists = lists.into();
            let group = Group { prefix_lists: topology.prefix_lists.clone(), ..group(node) };
            (topology, group, named)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn the_revoke_of_a_known_rule_breaks_nothing_that_was_met((topology, group, named) in world()) {
        let named: Vec<String> = named.iter().map(|at| format!("sgr-{at}")).collect();
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        let (before, after) = steps(&Shield::Read(vec![topology.clone()]), &group, &named);
        let is_named = |id: &String| named.contains(&id.as_str());
        let new = |steps: &[Step]| revoked(steps).into_iter().filter(is_named).collect::<BTreeSet<_>>();
        prop_assert_eq!(new(&before), new(&after), "a new rule goes whatever depends on it");

        let mut without_new = topology;
        for id in new(&after) {
            without_new.remove(NODE, &id);
        }
        let mut left = without_new.clone();
        for id in revoked(&after) {
            left.remove(NODE, &id);
        }
        let missing = unmet(standard(), &without_new);
        for unmet in unmet(standard(), &left) {
            let is_it = |was: &Unmet<'_>| was.requirement.id == unmet.requirement.id && was.groups == unmet.groups;
            prop_assert!(missing.iter().any(is_it), "{} fell: {after:#?}", unmet.requirement.id);
        }
        // Nothing is kept for nothing.
        for kept in revoked(&before).difference(&revoked(&after)) {
            let rule = group.rules.iter().find(|rule| rule.id == *kept).unwrap();
            prop_assert!(!lost_without(standard(), &left, NODE, rule).is_empty(), "{kept}");
        }
    }

    #[test]
    fn where_all_that_is_needed_is_open_otherwise_every_forbidden_rule_goes((mut topology, mut group, named) in world()) {
        let needed = NEEDED.iter().enumerate().map(|(at, text)| rule(&format!("sgr-needed-{at}"), text));
        let needed: Vec<Rule> = needed.chain([rule("sgr-needed-3", "in all from sg-other")]).collect();
        group.rules.extend(needed.clone());
        topology.rules.get_mut(NODE).unwrap().extend(needed);
        let named: Vec<String> = named.iter().map(|at| format!("sgr-{at}")).collect();
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        let (before, after) = steps(&Shield::Read(vec![topology]), &group, &named);
        prop_assert_eq!(revoked(&before), revoked(&after));
    }
}
