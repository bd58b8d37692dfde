//! The built-in policies: all that `standard` says, what `strict` does otherwise, and as a table: a rule in a group with
//! these roles, the verdict, and the clause that decided.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests: a panic is a failed test")]

use std::collections::BTreeMap;

use eks_sg_guard::model::group::{AwsList, Evidence, Group, PeerGroup, PrefixList, Role, RoleEvidence};
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::region::Addresses;
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::policy::builtin;
use eks_sg_guard::policy::controller::Author;
use eks_sg_guard::policy::file::{self, print};
use eks_sg_guard::policy::judge::{JudgedRule, judge};
use eks_sg_guard::policy::model::{PeerTerm, Policy, Severity, Verdict};
use ipnet::IpNet;
use jiff::Timestamp;

use Role::{Cluster, LoadBalancer, Node, RemoteAccess};
use Verdict::{Allow, Report, Revoke};

const ACCOUNT: &str = "111122223333";

fn standard() -> Policy {
    builtin::policy("standard").unwrap().clone()
}

fn nets(texts: &[&str]) -> Addresses {
    texts.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
}

/// `protocol from-to`, `protocol from`, `protocol type/code`, or `protocol`.
fn packets(text: &str) -> Packets {
    let (protocol, ports) = text.split_once(' ').unwrap_or((text, ""));
    let mut ends = ports.split(['-', '/']).map(|end| end.parse::<i64>().ok());
    let from = ends.next().flatten();
    let to = if protocol.starts_with("icmp") { ends.next().flatten() } else { ends.next().flatten().or(from) };
    Packets::from_ec2(protocol, from, to).unwrap()
}

fn peer(text: &str) -> Peer {
    match text {
        "sg-0theirs" => Peer::Group { id: text.to_owned(), owner: Some("444455556666".to_owned()) },
        "sg-0ours" => Peer::Group { id: text.to_owned(), owner: Some(ACCOUNT.to_owned()) },
        _ if text.starts_with("sg-") => Peer::Group { id: text.to_owned(), owner: None },
        _ if text.starts_with("pl-") => Peer::PrefixList(text.to_owned()),
        _ => Peer::cidr(text).unwrap(),
    }
}

fn rule(what: &str, from: &str) -> Rule {
    Rule {
        id: format!("sgr-{what}-{from}"),
        direction: Direction::Ingress,
        packets: packets(what),
        peer: peer(from),
        description: None,
        tags: BTreeMap::new(),
    }
}

fn group(roles: &[Role], rules: Vec<Rule>) -> Group {
    let strong = |role: &Role| RoleEvidence { role: *role, evidence: Evidence::Attachment, strong: true };
    let same_cluster = PeerGroup { same_cluster: true, roles: [Node].into(), ..PeerGroup::default() };
    Group {
        id: "sg-0self".into(),
        clusters: ["prod".to_owned()].into(),
        roles: roles.iter().map(strong).collect(),
        rules,
        vpc_ranges: nets(&["10.0.0.0/16", "2600:1f18:1::/56"]),
        remote_networks: nets(&["192.0.2.0/24"]),
        peers: [("sg-0same".to_owned(), same_cluster)].into(),
        prefix_lists: BTreeMap::from([
            ("pl-world".to_owned(), PrefixList::Entries(nets(&["10.0.0.0/8", "0.0.0.0/0"]))),
            ("pl-office".to_owned(), PrefixList::Entries(nets(&["198.51.100.0/24"]))),
            ("pl-private".to_owned(), PrefixList::Entries(nets(&["10.0.0.0/8"]))),
            ("pl-lattice".to_owned(), PrefixList::Aws(AwsList::VpcLattice)),
            ("pl-connect".to_owned(), PrefixList::Aws(AwsList::InstanceConnect)),
            ("pl-cloudfront".to_owned(), PrefixList::Aws(AwsList::CloudFront)),
            ("pl-s3".to_owned(), PrefixList::Aws(AwsList::S3)),
            ("pl-dynamodb".to_owned(), PrefixList::Aws(AwsList::DynamoDb)),
            ("pl-checks".to_owned(), PrefixList::Aws(AwsList::Route53HealthChecks)),
        ]),
        owner: ACCOUNT.into(),
        ..Group::default()
    }
}

fn judge_all(group: &Group, author: Author) -> Vec<JudgedRule> {
    judge_by(&standard(), group, author)
}

fn judge_by(policy: &Policy, group: &Group, author: Author) -> Vec<JudgedRule> {
    let location = Location::new(ACCOUNT, "us-east-1");
    judge(policy, group, &location, "2026-11-23T00:00:00Z".parse::<Timestamp>().unwrap(), |_| author)
}

/// The clauses behind the verdict.
fn deciders(finding: &JudgedRule) -> Vec<&str> {
    let mut ids: Vec<&str> =
        finding.portions.iter().filter(|p| p.verdict == finding.verdict).map(|p| p.clause.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A change of the policy is seen here as a whole, with everything written out: `cargo insta review`.
#[test]
fn standard_says_this() {
    insta::assert_snapshot!(print::text(&standard()));
}

#[test]
fn strict_differs_as_the_design_says() {
    let (standard, strict) = (standard(), builtin::policy("strict").unwrap());
    assert!(strict.exceptions_need_date && !standard.exceptions_need_date);
    let (own, inherited) = strict.clauses.split_at(2);
    let own: Vec<_> =
        own.iter().map(|own| (own.id.as_str(), own.verdict, own.severity, own.peers.as_slice())).collect();
    let private = &[PeerTerm::Private][..];
    let expected = [("kubelet-ranges", Severity::Medium), ("etcd-private", Severity::High)];
    assert_eq!(own, expected.map(|(id, severity)| (id, Revoke, Some(severity), private)));
    assert_eq!(inherited.len(), standard.clauses.len());
    for (before, after) in standard.clauses.iter().zip(inherited) {
        let from_internet = before.peers.contains(&PeerTerm::Internet) && before.id != "load-balancer-sensitive";
        let expected = match before.verdict {
            Report if from_internet => Revoke,
            Allow if ["other-private", "foreign-group-few"].contains(&before.id.as_str()) => Report,
            same => same,
        };
        assert_eq!((&after.id, after.verdict), (&before.id, expected));
        let for_controller =
            if expected > before.verdict && from_internet { Some(Report) } else { before.for_controller };
        assert_eq!((after.for_controller, after.in_passing), (for_controller, None), "{}", after.id);
        assert_eq!(after.width, before.width);
        assert_eq!((&after.roles, after.only, after.direction), (&before.roles, before.only, before.direction));
        assert_eq!((&after.traffic, &after.peers), (&before.traffic, &before.peers));
        assert_eq!(after.severity.is_some(), after.verdict != Allow);
    }
}

#[test]
fn each_rule_alone_in_a_group() {
    let node: &[Role] = &[Node];
    for (roles, what, from, verdict, clauses) in [
        // kubelet and etcd
        (node, "tcp 10250", "0.0.0.0/0", Revoke, &["kubelet-internet"][..]),
        (node, "tcp 10250", "198.51.100.7/32", Revoke, &["kubelet-internet"]),
        (node, "tcp 10250", "2000::/3", Revoke, &["kubelet-internet"]),
        (node, "tcp 10250", "::ffff:0.0.0.0/96", Revoke, &["kubelet-internet"]),
        (node, "tcp 10250", "1.2.3.4/0", Revoke, &["kubelet-internet"]),
        (node, "tcp 10250", "0.0.0.0/1", Revoke, &["kubelet-internet"]),
        (node, "tcp 10250", "128.0.0.0/1", Revoke, &["kubelet-internet"]),
        (node, "tcp 10250", "pl-world", Revoke, &["kubelet-internet"]),
        (node, "tcp 10250", "pl-office", Revoke, &["kubelet-internet"]),
        (node, "tcp 10250", "pl-cloudfront", Revoke, &["kubelet-internet"]),
        (node, "tcp 10250", "pl-private", Report, &["kubelet-private"]),
        (node, "tcp 10250", "10.1.2.0/24", Report, &["kubelet-private"]),
        (node, "tcp 10250", "192.0.2.7/32", Report, &["kubelet-private"]),
        (node, "tcp 10250", "sg-0same", Allow, &["same-cluster"]),
        (node, "tcp 10250", "sg-0self", Allow, &["same-cluster"]),
        (node, "tcp 10250", "sg-0other", Report, &["kubelet-private"]),
        (node, "tcp 2379-2380", "0.0.0.0/0", Revoke, &["etcd-internet"]),
        (node, "tcp 2379", "10.0.0.0/8", Report, &["etcd-elsewhere"]),
        (node, "tcp 2380", "sg-0other", Report, &["etcd-elsewhere"]),
        // hidden in ranges and protocols
        (
            node,
            "tcp 0-65535",
            "0.0.0.0/0",
            Revoke,
            &["cluster-internals-wide", "etcd-internet", "kubelet-internet", "remote-login-wide"],
        ),
        (node, "tcp 10200-10300", "0.0.0.0/1", Revoke, &["cluster-internals-wide", "kubelet-internet"]),
        (
            node,
            "tcp 1025-65535",
            "::/0",
            Revoke,
            &["cluster-internals-wide", "etcd-internet", "kubelet-internet", "remote-login-wide"],
        ),
        (
            node,
            "-1",
            "0.0.0.0/0",
            Revoke,
            &["cluster-internals-wide", "etcd-internet", "kubelet-internet", "remote-login-wide"],
        ),
        (node, "50", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "47", "198.51.100.7/32", Report, &["cluster-internals-public"]),
        (node, "41", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "94", "::/0", Revoke, &["cluster-internals-wide"]),
        (node, "97", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "115", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "137", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "51", "0.0.0.0/0", Report, &["other-internet"]),
        // ports of one protocol are none of the other
        (node, "udp 8285", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "tcp 8285", "0.0.0.0/0", Report, &["other-internet"]),
        (node, "tcp 6641", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "udp 6641", "0.0.0.0/0", Report, &["other-internet"]),
        (node, "udp 6784", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "tcp 6784", "0.0.0.0/0", Report, &["other-internet"]),
        (node, "tcp 10350", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "udp 179", "0.0.0.0/0", Report, &["other-internet"]),
        // logins
        (node, "tcp 22", "0.0.0.0/0", Revoke, &["remote-login-wide"]),
        (node, "tcp 22", "198.51.100.7/32", Report, &["remote-login-public"]),
        (node, "tcp 22", "pl-office", Report, &["remote-login-public"]),
        (node, "tcp 22", "pl-connect", Allow, &["aws-instance-connect"]),
        (node, "tcp 22", "10.0.0.0/8", Allow, &["other-private"]),
        (&[RemoteAccess], "tcp 22", "0.0.0.0/0", Revoke, &["remote-login-wide"]),
        // ICMP is no port
        (node, "icmp 3/4", "0.0.0.0/0", Allow, &["path-mtu"]),
        (node, "icmp 8", "0.0.0.0/0", Report, &["other-internet"]),
        (node, "icmpv6 135", "::/0", Allow, &["path-mtu"]),
        // API server
        (&[Cluster], "tcp 443", "0.0.0.0/0", Report, &["api-internet"]),
        (&[Cluster], "tcp 443", "172.16.0.0/12", Allow, &["api-private"]),
        (node, "tcp 443", "0.0.0.0/0", Report, &["other-internet"]),
        // NodePorts
        (node, "tcp 30080", "10.0.0.0/16", Allow, &["nodeport-clients"]),
        (node, "tcp 30080", "0.0.0.0/0", Report, &["nodeport-internet"]),
        (node, "udp 30000-32767", "2600:1f18:1::/56", Allow, &["nodeport-clients"]),
        // the VPC's own public IPv6 range is private
        (node, "tcp 8080", "2600:1f18:1::/64", Allow, &["other-private"]),
        (node, "tcp 8080", "2600:1f18:2::/64", Report, &["other-internet"]),
        // AWS lists and lists that cannot be read
        (node, "tcp 8080", "pl-lattice", Allow, &["aws-vpc-lattice"]),
        (node, "tcp 8080", "pl-s3", Allow, &["aws-s3"]),
        (node, "tcp 443", "pl-cloudfront", Allow, &["aws-edge"]),
        (node, "tcp 22", "pl-cloudfront", Report, &["uncovered"]),
        (node, "tcp 10250", "pl-lattice", Report, &["aws-sensitive"]),
        (node, "tcp 10255", "pl-s3", Report, &["aws-sensitive"]),
        (node, "tcp 2379", "pl-connect", Report, &["aws-sensitive"]),
        (node, "tcp 2379-2394", "pl-dynamodb", Report, &["aws-sensitive"]),
        (node, "tcp 2379-2395", "pl-dynamodb", Allow, &["aws-dynamodb"]),
        (node, "-1", "pl-lattice", Allow, &["aws-vpc-lattice", "path-mtu"]),
        (node, "udp 10250", "pl-s3", Allow, &["aws-s3"]),
        (node, "tcp 2380", "pl-checks", Revoke, &["etcd-internet"]),
        (node, "tcp 10250", "pl-unknown", Report, &["unreadable-prefix-list"]),
        // load balancers
        (&[LoadBalancer], "tcp 443", "0.0.0.0/0", Allow, &["load-balancer"]),
        (&[LoadBalancer], "tcp 22", "0.0.0.0/0", Report, &["load-balancer-sensitive"]),
        (&[LoadBalancer, Node], "tcp 443", "0.0.0.0/0", Report, &["other-internet"]),
        (&[LoadBalancer, Node], "tcp 22", "0.0.0.0/0", Report, &["remote-login-wide"]),
        (&[LoadBalancer, Node], "tcp 10250", "0.0.0.0/0", Revoke, &["kubelet-internet"]),
    ] {
        let finding = judge_all(&group(roles, vec![rule(what, from)]), Author::Other).remove(0);
        assert_eq!((finding.verdict, deciders(&finding)), (verdict, clauses.to_vec()), "{roles:?} {what} from {from}");
    }
}

/// Those whose verdict depends on how many ports they open, and what was added with them.
#[test]
fn each_rule_has_the_verdict_of_its_width() {
    let node: &[Role] = &[Node];
    for (roles, what, from, verdict, clauses) in [
        // a range means its ports where it has at most 256, or half of all
        (node, "udp 50000-60000", "0.0.0.0/0", Report, &["other-internet", "tunnel-endpoints"][..]),
        (node, "udp 10000-20000", "0.0.0.0/0", Report, &["other-internet"]),
        (node, "udp 49152-65535", "0.0.0.0/0", Report, &["other-internet", "tunnel-endpoints"]),
        (node, "udp 4700-4955", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "udp 4700-4956", "0.0.0.0/0", Report, &["cluster-internals-wide", "other-internet"]),
        (
            node,
            "udp 0-32766",
            "0.0.0.0/0",
            Report,
            &["cluster-internals-wide", "nodeport-internet", "other-internet", "tunnel-endpoints"],
        ),
        (node, "udp 0-32767", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "udp", "0.0.0.0/0", Revoke, &["cluster-internals-wide"]),
        (node, "tcp 15000-20000", "0.0.0.0/0", Report, &["cluster-internals-wide", "other-internet"]),
        (node, "tcp 22-300", "0.0.0.0/0", Revoke, &["remote-login-wide"]),
        (node, "tcp 10000-11000", "198.51.100.7/32", Revoke, &["kubelet-internet"]),
        (node, "tcp 10000-10300", "0.0.0.0/1", Revoke, &["kubelet-internet"]),
        (node, "tcp 5986", "0.0.0.0/0", Revoke, &["remote-login-wide"]),
        (node, "tcp 5985", "198.51.100.7/32", Report, &["remote-login-public"]),
        // endpoints of VPNs
        (node, "udp 51820", "0.0.0.0/0", Report, &["tunnel-endpoints"]),
        (node, "udp 500", "198.51.100.7/32", Report, &["tunnel-endpoints"]),
        (node, "tcp 51820", "0.0.0.0/0", Report, &["other-internet"]),
        (node, "udp 51871", "10.0.0.0/8", Allow, &["other-private"]),
        // groups: for few ports never worse than ranges
        (node, "tcp 8080", "sg-0other", Allow, &["foreign-group-few"]),
        (node, "tcp 8080-8095", "sg-0ours", Allow, &["foreign-group-few"]),
        (node, "tcp 8080-8096", "sg-0other", Report, &["foreign-group"]),
        (node, "icmp 8", "sg-0other", Allow, &["foreign-group-few"]),
        (node, "50", "sg-0other", Report, &["foreign-group"]),
        (node, "tcp 8080", "sg-0theirs", Report, &["foreign-account-group"]),
        (node, "-1", "sg-0other", Report, &["etcd-elsewhere", "foreign-group", "kubelet-private"]),
        (node, "tcp 30080", "sg-0other", Allow, &["nodeport-clients"]),
        (node, "udp 30000-32767", "sg-0theirs", Allow, &["nodeport-clients"]),
        (&[Cluster], "tcp 443", "sg-0other", Allow, &["api-private"]),
        (&[Cluster], "tcp 443", "sg-0theirs", Allow, &["api-private"]),
        (node, "udp 10250", "0.0.0.0/0", Report, &["other-internet"]),
    ] {
        let finding = judge_all(&group(roles, vec![rule(what, from)]), Author::Other).remove(0);
        assert_eq!((finding.verdict, deciders(&finding)), (verdict, clauses.to_vec()), "{roles:?} {what} from {from}");
    }
}

#[test]
fn ssh_split_over_twenty_public_blocks_is_wide_by_exposure_and_an_office_beside_it_is_too_small_to_matter() {
    let blocks: Vec<Rule> = (0..20).map(|n| rule("tcp 22", &format!("203.{n}.0.0/20"))).collect();
    let all = judge_all(&group(&[Node], blocks), Author::Other);
    assert!(all.iter().all(|finding| finding.verdict == Revoke));

    let few: Vec<Rule> = (0..15).map(|n| rule("tcp 22", &format!("203.{n}.0.0/20"))).collect();
    assert!(judge_all(&group(&[Node], few), Author::Other).iter().all(|finding| finding.verdict == Report));

    let beside_world = vec![rule("tcp 22", "0.0.0.0/0"), rule("tcp 22", "198.51.100.7/32")];
    let verdicts: Vec<Verdict> =
        judge_all(&group(&[Node], beside_world), Author::Other).iter().map(|f| f.verdict).collect();
    assert_eq!(verdicts, [Revoke, Report]);
}

/// Naming a group for few ports is never judged worse than naming a range, whatever the port.
/// An interface lets in what any of its groups lets in, and of each interface only its own groups count.
#[test]
fn small_blocks_of_two_groups_on_one_interface_are_wide_together() {
    let blocks = |n: std::ops::Range<u32>| n.map(|n| rule("tcp 22", &format!("203.0.{}.0/20", n * 16)));
    let own = group(&[Node], blocks(0..8).chain([rule("tcp 443", "203.0.0.0/20")]).collect());
    let verdicts = |beside: Vec<Vec<Rule>>| {
        let judged = judge_all(&Group { beside, ..own.clone() }, Author::Unknown);
        judged.iter().map(|judged| judged.verdict).collect::<Vec<_>>()
    };
    let reported = vec![Report; 9];
    assert_eq!(verdicts(vec![]), reported);
    let revoked: Vec<Verdict> = [Revoke; 8].into_iter().chain([Report]).collect();
    assert_eq!(verdicts(vec![blocks(8..16).collect()]), revoked, "a /16 of SSH together; HTTPS is not SSH");
    assert_eq!(verdicts(vec![blocks(8..12).collect(), blocks(12..16).collect()]), reported, "on two interfaces");
    assert_eq!(verdicts(vec![vec![rule("tcp 22", "0.0.0.0/0")]]), reported, "what is wide alone is that rule's fault");
}

#[test]
fn a_group_for_few_ports_is_never_judged_worse_than_the_range_it_lives_in() {
    for policy in [&standard(), builtin::policy("strict").unwrap()] {
        for role in [Cluster, Node, RemoteAccess, Role::Pod, Role::ControlPlane] {
            for port in [22, 53, 443, 2379, 2380, 4789, 8080, 10249, 10250, 10255, 10256, 15012, 30080] {
                for what in [format!("tcp {port}"), format!("udp {port}"), format!("tcp {port}-{}", port + 15)] {
                    let rules = vec![rule(&what, "sg-0other"), rule(&what, "10.0.0.0/8")];
                    let judged = judge_by(policy, &group(&[role], rules), Author::Other);
                    let [of_group, of_range] = [0, 1].map(|at| (judged[at].verdict, judged[at].severity));
                    assert!(of_group <= of_range, "{what} in {}: {of_group:?}, {of_range:?}", policy.name);
                }
            }
        }
    }
}

#[test]
fn severity_tells_what_was_meant_from_what_a_wide_rule_covers_by_chance() {
    let severity = |what: &str, from: &str| {
        judge_all(&group(&[Node], vec![rule(what, from)]), Author::Other).remove(0).severity.unwrap()
    };
    for (what, from, expected) in [
        ("tcp 2379", "10.0.0.0/8", Severity::High),
        ("tcp 2379-2634", "10.0.0.0/8", Severity::High),
        ("tcp 2379-2635", "10.0.0.0/8", Severity::Low),
        ("tcp 0-65535", "10.0.0.0/8", Severity::Low),
        ("-1", "10.0.0.0/8", Severity::Low),
        ("-1", "sg-0other", Severity::Low),
        ("tcp 10250", "10.0.0.0/8", Severity::Medium),
        ("tcp 10250", "sg-0other", Severity::Medium),
        ("tcp 10000-10255", "10.0.0.0/8", Severity::Medium),
        ("tcp 10000-10256", "10.0.0.0/8", Severity::Low),
        ("tcp 8000-9000", "sg-0other", Severity::Low),
        ("tcp 8080", "sg-0theirs", Severity::Low),
        ("udp 500", "0.0.0.0/0", Severity::Low),
        ("udp 4700-4956", "0.0.0.0/0", Severity::High),
        ("tcp 10250", "pl-lattice", Severity::High),
    ] {
        assert_eq!(severity(what, from), expected, "{what} from {from}");
    }
}

/// Padding a range until nobody means a port in it gains no more than a report, and neither do many narrow rules.
#[test]
fn each_rule_has_the_width_it_has_whatever_stands_beside_it() {
    let narrow: Vec<Rule> =
        (0..256).map(|n| rule(&format!("udp {}-{}", n * 256, n * 256 + 255), "0.0.0.0/0")).collect();
    for judged in judge_all(&group(&[Node], narrow), Author::Other) {
        let Packets::Udp(from, to) = judged.rule.packets else { unreachable!() };
        let holds_one = [53, 4789, 6081, 6783, 6784, 8285, 8472].iter().any(|port| (from..=to).contains(port));
        assert_eq!(judged.verdict, if holds_one { Revoke } else { Report }, "{from}-{to}");
    }
    let few: Vec<Rule> =
        (0..4).map(|n| rule(&format!("tcp {}-{}", 8000 + n * 16, 8015 + n * 16), "sg-0other")).collect();
    assert!(judge_all(&group(&[Node], few), Author::Other).iter().all(|judged| judged.verdict == Allow));
    for (what, verdict) in [("tcp 53-10249", Revoke), ("tcp 10000-40000", Revoke), ("udp 53-1000", Report)] {
        assert_eq!(judge_all(&group(&[Node], vec![rule(what, "0.0.0.0/0")]), Author::Other)[0].verdict, verdict);
    }
}

/// `report` and `revoke` count where any cluster of the group has them, `allow` where all do.
#[test]
fn in_a_group_of_several_clusters_the_worst_of_them_counts() {
    let text = "version: 1\nclusters: [{name: \"prod-*\", extends: strict}]\nclauses:\n\
                - {id: only-dev, cluster: \"dev-*\", tcp: 22, from: 203.0.113.0/24, verdict: allow, reason: r}\n\
                - {id: no-dns, cluster: stage, udp: 53, from: vpc, verdict: revoke, severity: high, reason: r}\n\
                - {id: no-dns, except_cluster: stage, udp: 53, from: vpc, verdict: report, reason: r}\n\
                exceptions:\n\
                - {id: one, reason: r, owner: o, cluster: dev-1, tcp: 23, from: 203.0.113.0/24, expires: 2026-12-31}\n\
                - {id: both, reason: r, owner: o, cluster: stage, tcp: 23, from: 203.0.113.0/24, expires: 2026-12-31}\n";
    let policy = file::load("own.yaml", text, jiff::civil::date(2026, 11, 23)).unwrap().policy;
    for (clusters, what, from, verdict) in [
        (&["dev-1"][..], "tcp 22", "203.0.113.7/32", Allow),
        (&["stage"], "tcp 22", "203.0.113.7/32", Report),
        (&["dev-1", "stage"], "tcp 22", "203.0.113.7/32", Report),
        (&["dev-1", "prod-1"], "tcp 22", "203.0.113.7/32", Revoke),
        (&["dev-1", "dev-2"], "tcp 22", "203.0.113.7/32", Allow),
        (&["prod-1"], "tcp 8080", "203.0.113.7/32", Revoke),
        (&["dev-1"], "tcp 8080", "203.0.113.7/32", Report),
        (&["dev-1", "prod-1"], "tcp 8080", "203.0.113.7/32", Revoke),
        (&[], "tcp 8080", "203.0.113.7/32", Report),
        // Fine in both, so fine: what strict says first takes nothing that it would allow itself.
        (&["dev-1", "prod-1"], "icmp 3/4", "0.0.0.0/0", Allow),
        (&["dev-1", "prod-1"], "tcp 8080", "sg-0same", Allow),
        (&["stage"], "udp 53", "10.0.0.0/16", Revoke),
        (&["dev-1"], "udp 53", "10.0.0.0/16", Report),
        (&["dev-1", "stage"], "udp 53", "10.0.0.0/16", Revoke),
        (&[], "udp 53", "10.0.0.0/16", Report),
        // An exception in each.
        (&["dev-1", "stage"], "tcp 23", "203.0.113.7/32", Allow),
        (&["dev-1", "dev-2"], "tcp 23", "203.0.113.7/32", Report),
    ] {
        let clusters = clusters.iter().map(|name| (*name).to_owned()).collect();
        let group = Group { clusters, ..group(&[Node], vec![rule(what, from)]) };
        assert_eq!(judge_by(&policy, &group, Author::Other)[0].verdict, verdict, "{:?} {what}", group.clusters);
    }
}

#[test]
fn strict_reports_what_a_controller_wrote_and_revokes_it_from_anybody_else() {
    let strict = builtin::policy("strict").unwrap();
    let judged = |what: &str, from: &str, author| {
        let marked = Rule { description: Some("kubernetes.io/rule/nlb/client=web".into()), ..rule(what, from) };
        judge_by(strict, &group(&[Node], vec![marked]), author).remove(0).verdict
    };
    for (what, from) in [
        ("tcp 30080", "0.0.0.0/0"),
        ("tcp 8080", "198.51.100.7/32"),
        ("udp 500", "0.0.0.0/0"),
        ("udp 53", "203.0.113.7/32"),
    ] {
        for (author, verdict) in [(Author::Controller, Report), (Author::Unknown, Report), (Author::Other, Revoke)] {
            assert_eq!(judged(what, from, author), verdict, "{what} {author:?}");
        }
    }
    for (what, from) in [
        ("tcp 10250", "0.0.0.0/0"),
        ("tcp 10250", "10.0.0.0/8"),
        ("tcp 2379", "10.0.0.0/8"),
        ("tcp 30000-30001", "::/0"),
    ] {
        assert_eq!(judged(what, from, Author::Controller), Revoke, "{what}");
    }
    let plain =
        |what: &str, from: &str| judge_by(strict, &group(&[Node], vec![rule(what, from)]), Author::Other)[0].verdict;
    assert_eq!(
        [plain("tcp 10250", "sg-0other"), plain("tcp 8080", "sg-0other"), plain("tcp 8080", "10.0.0.0/8")],
        [Report; 3]
    );
    assert_eq!([plain("udp 4700-5000", "0.0.0.0/0"), plain("-1", "10.0.0.0/8")], [Revoke; 2]);
}

#[test]
fn a_controllers_own_single_port_rule_is_reported_only_with_its_marker_and_never_for_the_kubelet() {
    let marked =
        |what: &str| Rule { description: Some("kubernetes.io/rule/nlb/client=web".into()), ..rule(what, "0.0.0.0/0") };
    for (what, author, verdict) in [
        ("udp 53", Author::Controller, Report),
        ("udp 53", Author::Unknown, Report),
        ("udp 53", Author::Other, Revoke),
        ("udp 53-54", Author::Controller, Revoke),
        ("tcp 22", Author::Controller, Report),
        ("tcp 22", Author::Unknown, Report),
        ("tcp 22", Author::Other, Revoke),
        ("tcp 22", Author::Service, Revoke),
        ("tcp 22", Author::WebIdentity, Revoke),
        ("tcp 3389", Author::WebIdentity, Revoke),
        ("tcp 5985", Author::WebIdentity, Revoke),
        ("udp 53", Author::Service, Report),
        ("udp 53", Author::WebIdentity, Report),
        ("tcp 15012", Author::WebIdentity, Report),
        ("tcp 10250", Author::WebIdentity, Revoke),
        ("tcp 10255", Author::Unknown, Revoke),
        ("tcp 2379", Author::Unknown, Revoke),
        ("tcp 10250", Author::Controller, Revoke),
    ] {
        let finding = judge_all(&group(&[Node], vec![marked(what)]), author).remove(0);
        assert_eq!(finding.verdict, verdict, "{what} {author:?}");
    }
    let unmarked = judge_all(&group(&[Node], vec![rule("udp 53", "0.0.0.0/0")]), Author::Controller).remove(0);
    assert_eq!(unmarked.verdict, Revoke);
}

#[test]
fn a_finding_names_each_portion_with_its_clause_and_ports() {
    let finding = judge_all(&group(&[Node], vec![rule("tcp 10240-10260", "0.0.0.0/0")]), Author::Other).remove(0);
    let portions: Vec<(&str, String, &str)> = finding
        .portions
        .iter()
        .map(|portion| {
            let ports = portion.traffic.by_protocol().into_iter().map(|(_, ports)| ports).collect::<Vec<_>>().join(";");
            (portion.clause.as_str(), ports, portion.peer_class.word())
        })
        .collect();
    assert_eq!(
        portions,
        [
            ("kubelet-internet", "10250,10255".to_owned(), "internet"),
            ("cluster-internals-wide", "10249,10251,10256-10259".to_owned(), "internet"),
            ("kubelet-private", "10250,10255".to_owned(), "private"),
            ("other-internet", "10240-10248,10252-10254,10260".to_owned(), "internet"),
            ("other-private", "10240-10249,10251-10254,10256-10260".to_owned(), "private"),
        ]
    );
    assert_eq!(finding.severity, Some(Severity::Critical));
}

#[test]
fn egress_is_allowed_and_a_group_without_roles_is_spoken_of_by_no_clause() {
    let out = Rule { direction: Direction::Egress, ..rule("-1", "0.0.0.0/0") };
    assert_eq!(judge_all(&group(&[Node], vec![out]), Author::Other).remove(0).verdict, Allow);
    let nobody = judge_all(&group(&[], vec![rule("tcp 10250", "0.0.0.0/0")]), Author::Other).remove(0);
    assert_eq!(deciders(&nobody), ["uncovered"]);
}

#[test]
fn a_verdict_on_a_role_with_weak_evidence_says_so() {
    let mut weak = group(&[Node], vec![rule("tcp 10250", "0.0.0.0/0")]);
    weak.roles.iter_mut().for_each(|known| known.strong = false);
    let finding = judge_all(&weak, Author::Other).remove(0);
    assert_eq!(finding.verdict, Revoke);
    assert!(finding.portions.iter().all(|portion| !portion.strong));
}
