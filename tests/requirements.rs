//! What a cluster needs is missed when it is gone, and never in the set-ups that people really have.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a panic is a failed test"
)]

mod rule_text;

use std::collections::BTreeMap;

use eks_sg_guard::cluster::topology::{Of, Topology, candidates, groups};
use eks_sg_guard::model::facts::{Cluster, Instance, NodeGroup};
use eks_sg_guard::model::group::PrefixList;
use eks_sg_guard::model::rule::Rule;
use eks_sg_guard::policy::model::Policy;
use eks_sg_guard::policy::requirement::unmet;
use eks_sg_guard::policy::{builtin, file};
use jiff::civil::date;

use crate::rule_text::rule;

/// A cluster in words: additional control-plane groups, the groups attached to each node, and the rules of each group.
struct Setup {
    additional: &'static [&'static str],
    nodes: &'static [&'static [&'static str]],
    rules: &'static [(&'static str, &'static str)],
}

/// EKS's own group as EKS makes it.
const OWN: [(&str, &str); 2] = [("cluster", "in all from cluster"), ("cluster", "out all to 0.0.0.0/0")];

const CONSOLE: Setup = Setup { additional: &[], nodes: &[&["cluster"]], rules: &OWN };

const TERRAFORM: Setup = Setup {
    additional: &["cp"],
    nodes: &[&["node"]],
    rules: &[
        OWN[0],
        OWN[1],
        ("cp", "in tcp 443 from node"),
        ("node", "in tcp 443 from cp"),
        ("node", "in tcp 10250 from cp"),
        ("node", "in tcp 53 from node"),
        ("node", "in udp 53 from node"),
        ("node", "in tcp 1025-65535 from node"),
        ("node", "in tcp 9443 from cp"),
        ("node", "out all to 0.0.0.0/0"),
    ],
};

const EKSCTL: Setup = Setup {
    additional: &["cp"],
    nodes: &[&["cluster", "ssh"], &["shared", "own"]],
    rules: &[
        OWN[0],
        OWN[1],
        ("cluster", "in all from shared"),
        ("cp", "in tcp 443 from own"),
        ("cp", "out tcp 443 to own"),
        ("cp", "out tcp 1025-65535 to own"),
        ("shared", "in all from shared"),
        ("shared", "in all from cluster"),
        ("shared", "out all to 0.0.0.0/0"),
        ("own", "in tcp 443 from cp"),
        ("own", "in tcp 1025-65535 from cp"),
        ("own", "out all to 0.0.0.0/0"),
        ("ssh", "in tcp 22 from 10.0.0.0/16"),
    ],
};

const CDK: Setup = Setup {
    additional: &["cp"],
    nodes: &[&["cluster", "asg"]],
    rules: &[
        OWN[0],
        OWN[1],
        ("cp", "in tcp 443 from asg"),
        ("cp", "out all to 0.0.0.0/0"),
        ("asg", "in all from asg"),
        ("asg", "in tcp 443 from cp"),
        ("asg", "in tcp 1025-65535 from cp"),
        ("asg", "out tcp 0-65535 to 0.0.0.0/0"),
        ("asg", "out udp 0-65535 to 0.0.0.0/0"),
    ],
};

/// EKS's CloudFormation template for self-managed nodes.
const CLOUDFORMATION: Setup = Setup {
    additional: &["cp"],
    nodes: &[&["node"]],
    rules: &[
        OWN[0],
        OWN[1],
        ("cp", "in tcp 443 from node"),
        ("cp", "out tcp 443 to node"),
        ("cp", "out tcp 1025-65535 to node"),
        ("node", "in all from node"),
        ("node", "in tcp 443 from cp"),
        ("node", "in tcp 1025-65535 from cp"),
        ("node", "out all to 0.0.0.0/0"),
    ],
};

/// The least that EKS's documentation allows.
const RESTRICTED: Setup = Setup {
    additional: &[],
    nodes: &[&["cluster"]],
    rules: &[
        ("cluster", "in all from cluster"),
        ("cluster", "out tcp 443 to cluster"),
        ("cluster", "out tcp 10250 to cluster"),
        ("cluster", "out tcp 53 to cluster"),
        ("cluster", "out udp 53 to cluster"),
    ],
};

/// Rules for addresses only; two halves make the whole, and one family is enough.
const BY_ADDRESS: Setup = Setup {
    additional: &["cp"],
    nodes: &[&["node"]],
    rules: &[
        ("cluster", "out all to ::/0"),
        ("cp", "in tcp 443 from 10.0.0.0/8"),
        ("node", "in tcp 1-20000 from 10.0.0.0/17"),
        ("node", "in tcp 1-65535 from 10.0.128.0/17"),
        ("node", "in tcp 20001-65535 from 10.0.0.0/17"),
        ("node", "in udp 53 from pl-all"),
        ("node", "out all to 2001:db8::/56"),
    ],
};

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn addresses(blocks: &[&str]) -> eks_sg_guard::model::region::Addresses {
    blocks.iter().map(|block| block.parse::<ipnet::IpNet>().unwrap()).collect()
}

fn cluster(setup: &Setup) -> Cluster {
    Cluster {
        name: "prod".to_owned(),
        vpc: "vpc-1".to_owned(),
        vpc_ranges: addresses(&["10.0.0.0/16", "2001:db8::/56"]),
        cluster_group: Some("cluster".to_owned()),
        control_plane_groups: texts(setup.additional),
        ..Cluster::default()
    }
}

fn node(groups: &[&str], tag: &str) -> Instance {
    let tags = [(tag.to_owned(), "prod".to_owned())].into();
    Instance { vpc: "vpc-1".to_owned(), primary_groups: texts(groups), tags, ..Instance::default() }
}

fn topology(cluster: &Cluster, nodes: &[Instance], rules: &[(&str, &str)]) -> Topology {
    topology_of(cluster, nodes, rules, &Of::All)
}

/// With the rules alone that are read for these interfaces.
fn topology_of(cluster: &Cluster, nodes: &[Instance], rules: &[(&str, &str)], of: &Of) -> Topology {
    let nodes = candidates(cluster, nodes);
    let mut live: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    for group in groups(cluster, &nodes, of) {
        let own: Vec<Rule> = rules.iter().filter(|(of, _)| *of == group).map(|(_, text)| rule(text)).collect();
        live.insert(group, own);
    }
    let lists = [("pl-all".to_owned(), PrefixList::Entries(addresses(&["10.0.0.0/15"])))].into();
    Topology::new(cluster, &nodes, live, lists, of.clone())
}

/// What `policy` misses, as `requirement: what of whom`.
fn missing(policy: &Policy, topology: &Topology) -> Vec<String> {
    let line = |unmet: eks_sg_guard::policy::requirement::Unmet<'_>| {
        let missing: Vec<String> =
            unmet.missing.by_protocol().iter().map(|(protocol, ports)| format!("{protocol} {ports}")).collect();
        let groups: Vec<&str> = unmet.groups.iter().map(String::as_str).collect();
        format!("{}: {} of {}: {}", unmet.requirement.id, groups.join("+"), unmet.peers, missing.join(", "))
    };
    unmet(policy, topology).into_iter().map(line).collect()
}

fn standard() -> &'static Policy {
    builtin::policy("standard").unwrap()
}

fn of_setup(setup: &Setup, rules: &[(&str, &str)]) -> Vec<String> {
    let nodes: Vec<Instance> = setup.nodes.iter().map(|groups| node(groups, "aws:eks:cluster-name")).collect();
    missing(standard(), &topology(&cluster(setup), &nodes, rules))
}

const SET_UPS: [(&str, &Setup); 7] = [
    ("console", &CONSOLE),
    ("terraform-aws-eks", &TERRAFORM),
    ("eksctl with managed and self-managed nodes", &EKSCTL),
    ("cdk", &CDK),
    ("cloudformation", &CLOUDFORMATION),
    ("restricted egress", &RESTRICTED),
    ("rules for addresses", &BY_ADDRESS),
];

#[test]
fn of_interfaces_with_a_group_the_same_is_missing_as_where_all_rules_were_read() {
    let mut found = 0;
    for (name, setup) in SET_UPS {
        let cluster = cluster(setup);
        for tags in [
            ["aws:eks:cluster-name"; 2],
            ["kubernetes.io/cluster/prod"; 2],
            ["aws:eks:cluster-name", "kubernetes.io/cluster/prod"],
        ] {
            let nodes: Vec<Instance> =
                setup.nodes.iter().zip(tags.iter().cycle()).map(|(groups, tag)| node(groups, tag)).collect();
            for gone in 0..=setup.rules.len() {
                let rules: Vec<_> =
                    setup.rules.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, rule)| *rule).collect();
                let all = topology(&cluster, &nodes, &rules);
                for group in all.rules.keys() {
                    let with = Of::With([group.clone()].into());
                    let narrow = topology_of(&cluster, &nodes, &rules, &with);
                    assert_eq!(narrow.nodes, all.nodes, "{name} {tags:?} without {gone}, of {group}");
                    let expected = missing(standard(), &Topology { of: with, ..all.clone() });
                    found += expected.len();
                    assert_eq!(missing(standard(), &narrow), expected, "{name} {tags:?} without {gone}, of {group}");
                }
            }
        }
    }
    assert!(found > 50, "only {found} were missing at all");
}

#[test]
fn of_one_group_among_many_only_its_own_rules_and_those_of_its_neighbours_are_read() {
    let mut cluster = cluster(&TERRAFORM);
    cluster.node_groups.clear();
    let nodes = [&["one", "shared"][..], &["two"], &["three"], &["four", "cluster"]];
    let by_aws = nodes.map(|groups| node(groups, "aws:eks:cluster-name"));
    let read = |nodes: &[Instance], group: &str| {
        let with = Of::With([group.to_owned()].into());
        groups(&cluster, &candidates(&cluster, nodes), &with).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(read(&by_aws, "one"), ["one", "shared"]);
    assert_eq!(read(&by_aws, "cp"), ["cluster", "cp"]);
    assert_eq!(read(&by_aws, "cluster"), ["cluster", "cp", "four"]);
    // What an ordinary tag alone calls a node has to let the control plane in, or be in its group.
    let in_doubt = nodes.map(|groups| node(groups, "kubernetes.io/cluster/prod"));
    assert_eq!(read(&in_doubt, "one"), ["one", "shared", "three", "two"]);
}

#[test]
fn set_ups_that_work_meet_every_requirement() {
    for (name, setup) in SET_UPS {
        assert_eq!(of_setup(setup, setup.rules), [""; 0], "{name}");
    }
}

#[test]
fn every_requirement_is_missed_when_its_rule_is_gone() {
    for (setup, gone, expected) in [
        (
            &CONSOLE,
            "in all from cluster",
            "control-plane-to-nodes: cluster of the control plane (cluster): tcp 443,10250",
        ),
        (&CONSOLE, "in all from cluster", "nodes-to-control-plane: cluster of nodes (cluster): tcp 443"),
        (
            &CONSOLE,
            "out all to 0.0.0.0/0",
            "node-egress-dns: cluster of the control plane (cluster), or nodes (cluster): tcp 53, udp 53",
        ),
        (
            &TERRAFORM,
            "in tcp 10250 from cp",
            "control-plane-to-nodes: node of the control plane (cluster, cp): tcp 10250",
        ),
        (&TERRAFORM, "in tcp 443 from node", "nodes-to-control-plane: cluster+cp of nodes (node): tcp 443"),
        (&TERRAFORM, "in udp 53 from node", "node-dns: node of nodes (node): udp 53"),
        (&TERRAFORM, "in tcp 1025-65535 from node", "node-to-node: node of nodes (node): tcp 1025-65535"),
        (&EKSCTL, "in all from shared", "node-dns: cluster+ssh of nodes (own, shared): tcp 53, udp 53"),
        (
            &RESTRICTED,
            "out tcp 10250 to cluster",
            "node-egress: cluster of the control plane (cluster), or nodes (cluster): tcp 10250",
        ),
        (&RESTRICTED, "out tcp 10250 to cluster", "control-plane-egress: cluster of nodes (cluster): tcp 10250"),
        (
            &RESTRICTED,
            "out udp 53 to cluster",
            "node-egress-dns: cluster of the control plane (cluster), or nodes (cluster): udp 53",
        ),
        (&BY_ADDRESS, "in tcp 20001-65535 from 10.0.0.0/17", "node-to-node: node of nodes (node): tcp 20001-65535"),
        (
            &BY_ADDRESS,
            "in tcp 1-20000 from 10.0.0.0/17",
            "control-plane-to-nodes: node of the control plane (cluster, cp): tcp 443,10250",
        ),
    ] {
        let left: Vec<_> = setup.rules.iter().filter(|(_, text)| *text != gone).copied().collect();
        assert!(left.len() < setup.rules.len(), "{gone}");
        let found = of_setup(setup, &left);
        assert!(found.iter().any(|line| line == expected), "without `{gone}`: {found:#?}");
    }
}

#[test]
fn a_rule_for_part_of_the_vpc_or_of_one_group_too_few_is_not_enough() {
    let mut rules: Vec<_> = BY_ADDRESS.rules.to_vec();
    rules[1] = ("cp", "in tcp 443 from 10.0.0.0/17");
    assert_eq!(of_setup(&BY_ADDRESS, &rules), ["nodes-to-control-plane: cluster+cp of nodes (node): tcp 443"]);
}

#[test]
fn what_only_a_tag_calls_a_node_counts_when_it_lets_the_control_plane_in() {
    let cluster = cluster(&CONSOLE);
    let tagged = |group: &'static str| node(&[group], "kubernetes.io/cluster/prod");
    let rules = [OWN[0], OWN[1], ("self-managed", "in tcp 443 from cluster"), ("bastion", "in tcp 22 from 10.0.0.0/8")];
    let nodes = [node(&["cluster"], "aws:eks:cluster-name"), tagged("bastion")];
    assert_eq!(missing(standard(), &topology(&cluster, &nodes, &rules)), [""; 0]);
    let nodes = [node(&["cluster"], "aws:eks:cluster-name"), tagged("self-managed")];
    let found = missing(standard(), &topology(&cluster, &nodes, &rules));
    assert!(found.iter().any(|line| line.starts_with("control-plane-to-nodes: self-managed of")), "{found:#?}");
}

#[test]
fn without_nodes_the_groups_count_that_node_groups_would_start_with() {
    let mut cluster = cluster(&CONSOLE);
    let of_template = NodeGroup { template_groups: texts(&["template"]), ..NodeGroup::default() };
    cluster.node_groups = vec![NodeGroup::default(), of_template];
    let found = missing(standard(), &topology(&cluster, &[], &OWN));
    assert!(found.iter().any(|line| line.starts_with("control-plane-to-nodes: template of")), "{found:#?}");
    assert!(!found.iter().any(|line| line.starts_with("control-plane-to-nodes: cluster of")), "{found:#?}");
    cluster.node_groups.clear();
    assert_eq!(missing(standard(), &topology(&cluster, &[], &OWN)), [""; 0], "nobody needs anything");
}

/// Addresses of both families, as pods of such a cluster have one and its nodes both.
#[test]
fn a_cluster_of_ipv6_needs_both_families() {
    const DUAL: [(&str, &str); 4] = [
        ("node", "in all from 10.0.0.0/16"),
        ("node", "in all from 2600:1f18:1::/56"),
        ("node", "out all to 0.0.0.0/0"),
        ("node", "out all to ::/0"),
    ];
    let of = |vpc: &[&str], is_ipv6: bool, rules: &[(&'static str, &str)]| {
        let mut cluster = cluster(&CONSOLE);
        cluster.vpc_ranges = vpc.iter().map(|text| text.parse::<ipnet::IpNet>().unwrap()).collect();
        cluster.is_ipv6 = is_ipv6;
        cluster.cluster_group = Some("node".to_owned());
        missing(standard(), &topology(&cluster, &[node(&["node"], "aws:eks:cluster-name")], rules))
    };
    let vpc: &[&str] = &["10.0.0.0/16", "2600:1f18:1::/56"];
    assert_eq!(of(vpc, true, &DUAL), [""; 0]);
    for gone in 0..4 {
        let left: Vec<_> = DUAL.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, rule)| *rule).collect();
        let found = of(vpc, true, &left);
        let family = if gone % 2 == 0 { "over IPv4" } else { "over IPv6" };
        let direction = if gone < 2 { "control-plane-to-nodes: " } else { "control-plane-egress: " };
        let line = found.iter().find(|line| line.starts_with(direction));
        assert!(line.is_some_and(|line| line.contains(family)), "{gone}: {found:#?}");
        assert_eq!(of(vpc, false, &left), [""; 0], "one family is enough elsewhere");
    }
    let neither = of(vpc, true, &DUAL[2..]);
    assert!(neither.iter().all(|line| !line.contains("over IPv")), "{neither:#?}");
    // A rule that names a group holds for both, and so does EKS's own set-up.
    assert_eq!(of(vpc, true, &[("node", "in all from node"), ("node", "out all to node")]), [""; 0]);
    // Of a family whose range is not known, only a rule for everybody surely covers it.
    let found = of(&["10.0.0.0/16"], true, &DUAL);
    assert!(found.iter().any(|line| line.contains("over IPv6")), "{found:#?}");
    let open = [&DUAL[..], &[("node", "in all from ::/0")]].concat();
    assert_eq!(of(&["10.0.0.0/16"], true, &open), [""; 0]);
}

#[test]
fn a_list_that_cannot_be_read_is_not_called_missing() {
    let rules = [OWN[1], ("cluster", "in all from pl-unknown")];
    assert_eq!(of_setup(&CONSOLE, &rules), [""; 0]);
}

#[test]
fn a_file_adds_requirements_and_switches_inherited_ones_off() {
    let text = "version: 1\nverdicts: {node-dns: allow, node-to-node: report}\nrequirements:\n  - {id: webhooks, \
                role: node, protocol: tcp, ports: [8443], from: [\"sg-0123456789abcdef0\", \"203.0.113.0/24\"], \
                severity: low, reason: r}\n";
    let policy = file::load("own.yaml", text, date(2026, 11, 23)).unwrap().policy;
    let rules: Vec<_> = TERRAFORM.rules.iter().filter(|(_, text)| !text.ends_with("from node")).copied().collect();
    let nodes = [node(&["node"], "aws:eks:cluster-name")];
    let found = missing(&policy, &topology(&cluster(&TERRAFORM), &nodes, &rules));
    let ids: Vec<&str> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(ids, ["webhooks", "nodes-to-control-plane", "node-to-node"]);
    let rules = [&rules[..], &[("node", "in tcp 8000-9000 from 203.0.112.0/23")]].concat();
    let found = missing(&policy, &topology(&cluster(&TERRAFORM), &nodes, &rules));
    assert!(!found.iter().any(|line| line.starts_with("webhooks")), "{found:#?}");
    let none = file::load("own.yaml", "version: 1\nextends: none\n", date(2026, 11, 23)).unwrap().policy;
    assert_eq!(missing(&none, &topology(&cluster(&TERRAFORM), &nodes, &[])), [""; 0]);
}
