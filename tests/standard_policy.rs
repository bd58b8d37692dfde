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
use eks_sg_guard::policy::file::print;
use eks_sg_guard::policy::judge::{JudgedRule, judge};
use eks_sg_guard::policy::model::{PeerTerm, Policy, Severity, Verdict};
use ipnet::IpNet;
use jiff::Timestamp;

use Role::{Cluster, LoadBalancer, Node, RemoteAccess};
use Verdict::{Allow, Report, Revoke};

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
        ]),
        ..Group::default()
    }
}

fn judge_all(group: &Group, author: Author) -> Vec<JudgedRule> {
    let location = Location::new("111122223333", "us-east-1");
    judge(&standard(), group, &location, "2026-11-23T00:00:00Z".parse::<Timestamp>().unwrap(), |_| author)
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
    let (own, inherited) = strict.clauses.split_first().unwrap();
    assert_eq!((own.id.as_str(), own.verdict, own.severity), ("etcd-private", Revoke, Some(Severity::High)));
    assert_eq!(inherited.len(), standard.clauses.len());
    for (before, after) in standard.clauses.iter().zip(inherited) {
        let from_internet = before.peers.contains(&PeerTerm::Internet) && before.id != "load-balancer-sensitive";
        let expected = match before.verdict {
            Report if from_internet || before.id == "kubelet-private" => Revoke,
            Allow if before.id == "other-private" => Report,
            same => same,
        };
        assert_eq!((&after.id, after.verdict), (&before.id, expected));
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
        (node, "tcp 10250", "sg-0other", Report, &["foreign-group"]),
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
        (node, "tcp 10000-10300", "0.0.0.0/1", Revoke, &["cluster-internals-wide", "kubelet-internet"]),
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
        (node, "51", "0.0.0.0/0", Report, &["other-internet"]),
        (node, "udp 10250", "0.0.0.0/0", Report, &["other-internet"]),
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

#[test]
fn a_controllers_own_single_port_rule_is_reported_only_with_its_marker_and_never_for_the_kubelet() {
    let marked =
        |what: &str| Rule { description: Some("kubernetes.io/rule/nlb/client=web".into()), ..rule(what, "0.0.0.0/0") };
    for (what, author, verdict) in [
        ("udp 53", Author::Controller, Report),
        ("udp 53", Author::Unknown, Report),
        ("udp 53", Author::Other, Revoke),
        ("udp 53-54", Author::Controller, Revoke),
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
