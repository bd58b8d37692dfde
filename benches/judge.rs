//! What a verdict costs: `make bench-judge`. What the figures mean stands in `docs/benchmarks.md`.
//!
//! Owns: groups and policies of a given size, always the same ones. Must not: read, write or use random numbers; a figure is
//! only worth something if the next run judges the same rules.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot be set up has nothing to measure"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::manual_range_patterns,
    reason = "made-up numbers, within bounds by construction"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use eks_sg_guard::model::group::{AwsList, Evidence, Group, PeerGroup, PrefixList, Role, RoleEvidence};
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::policy::controller::Author;
use eks_sg_guard::policy::file;
use eks_sg_guard::policy::judge::{JudgedRule, judge};
use eks_sg_guard::policy::model::Policy;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::{Timestamp, civil::Date};

/// Of `standard`, which every policy here extends.
const BUILT_IN: u32 = 25;
/// Prefix lists that the rules of a mixed group take turns in using.
const LISTS: u32 = 20;

/// The `n`th of many blocks that lie all over the IPv4 space: an odd factor never gives the same address twice.
fn v4(n: u32, length: u8) -> IpNet {
    let address = Ipv4Addr::from_bits(n.wrapping_mul(0x9e37_79b1));
    Ipv4Net::new(address, length).unwrap().trunc().into()
}

/// The `n`th block of the public IPv6 space, `2000::/3`.
fn v6(n: u32, length: u8) -> IpNet {
    let address = Ipv6Addr::from_bits(1 << 125 | u128::from(n.wrapping_mul(0x9e37_79b1)) << 93);
    Ipv6Net::new(address, length).unwrap().trunc().into()
}

/// A list of which no two entries are neighbours; half IPv4, half IPv6.
fn list(number: u32, entries: u32) -> PrefixList {
    let blocks = (number * entries..(number + 1) * entries).map(|n| if n % 2 == 0 { v4(n, 28) } else { v6(n, 56) });
    PrefixList::Entries(blocks.collect())
}

/// `standard` and as many clauses of the user's as are missing, each with blocks of its own in both address spaces.
fn policy(clauses: u32) -> Policy {
    let mut text = String::from("version: 1\nclauses:\n");
    for n in 0..clauses - BUILT_IN {
        let (near, far) = (n * 7, n * 7 + 40);
        let traffic = match n % 6 {
            0 => format!("protocol: tcp, ports: [{near}, {}-{}]", near + 9000, far + 9000),
            1 => format!("protocol: [tcp, udp], ports: [{near}-{far}]"),
            2 => format!("protocol: udp, ports: [{}-{}]", near + 20000, far + 30000),
            3 => format!("icmp: [{}], icmpv6: [128]", n % 20),
            4 => format!("protocol: {}", 60 + n),
            _ => format!("protocol: tcp, ports: [{}], whole_protocols: [47]", n + 10000),
        };
        let peers = match n % 5 {
            0 => format!("{}, {}", v4(n, 12), v4(n + 1000, 24)),
            1 => format!("{}, \"{}\"", v4(n, 16), v6(n, 20)),
            2 => format!("pl-{:08x}, \"{}\"", n % LISTS, v6(n, 32)),
            3 => format!("\"role:pod\", sg-{n:08x}, {}", v4(n, 20)),
            _ => format!("wide-internet, private, {}", v4(n, 8)),
        };
        let verdict = ["allow", "report", "revoke, severity: high"][n as usize % 3];
        writeln!(text, "  - {{id: c{n}, {traffic}, from: [{peers}], verdict: {verdict}, reason: one of many}}")
            .unwrap();
    }
    if clauses == BUILT_IN {
        text = String::from("version: 1");
    }
    let policy = file::load("bench.yaml", &text, Date::ZERO).unwrap().policy;
    assert_eq!(policy.clauses.len(), clauses as usize);
    policy
}

/// Every protocol family, single ports and ranges.
fn packets(n: u32) -> Packets {
    let port = (n * 37 % 30_000) as u16;
    match n % 9 {
        0 => Packets::Tcp(port, port),
        1 => Packets::Tcp(port, port + 30_000),
        2 => Packets::Udp(port, port),
        3 => Packets::Udp(port, port + 500),
        4 => Packets::All,
        5 => Packets::Icmp(Some((n % 20) as u8), None),
        6 => Packets::Icmpv6(None, None),
        7 => Packets::Protocol((n % 200 + 59) as u8),
        _ => Packets::Tcp(10_250, 10_250),
    }
}

/// Every kind of peer; three of ten are prefix lists.
fn peer(n: u32) -> Peer {
    let group = |number: u32| Peer::Group { id: format!("sg-{number:08x}"), owner: None };
    match n % 10 {
        0 => Peer::Cidr(v4(n, 24)),
        1 => Peer::Cidr(v4(n, 32)),
        2 => Peer::Cidr(v6(n, 48)),
        3..=5 => Peer::PrefixList(format!("pl-{:08x}", n / 10 % LISTS)),
        6 => Peer::cidr(&format!("10.{}.0.0/16", n % 256)).unwrap(),
        7 => group(n % 50),
        8 => Peer::PrefixList("pl-aws".to_owned()),
        _ => Peer::cidr(if n % 20 == 9 { "0.0.0.0/0" } else { "::/0" }).unwrap(),
    }
}

fn rule(n: u32, packets: Packets, peer: Peer) -> Rule {
    let direction = if n % 7 == 6 { Direction::Egress } else { Direction::Ingress };
    Rule { id: format!("sgr-{n:017x}"), direction, packets, peer, description: None, tags: BTreeMap::new() }
}

/// A node group with these rules.
fn group(rules: Vec<Rule>, lists: impl IntoIterator<Item = (String, PrefixList)>) -> Group {
    let role = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true };
    let cluster = |n: u32| PeerGroup {
        same_cluster: n.is_multiple_of(2),
        roles: BTreeSet::from([Role::Pod]),
        ..PeerGroup::default()
    };
    Group {
        id: "sg-00000000".to_owned(),
        clusters: BTreeSet::from(["prod".to_owned()]),
        roles: vec![role],
        rules,
        vpc_ranges: ["10.0.0.0/16", "2600:1f18:1::/56"]
            .map(|text| text.parse::<IpNet>().unwrap())
            .into_iter()
            .collect(),
        peers: (0..25).map(|n| (format!("sg-{n:08x}"), cluster(n))).collect(),
        prefix_lists: lists.into_iter().collect(),
        ..Group::default()
    }
}

/// Rules of every kind, with prefix lists of that many entries.
fn mixed(rules: u32, entries: u32) -> Group {
    let lists = (0..LISTS).map(|n| (format!("pl-{n:08x}"), list(n, entries)));
    let aws = ("pl-aws".to_owned(), PrefixList::Aws(AwsList::CloudFront));
    group((0..rules).map(|n| rule(n, packets(n), peer(n))).collect(), lists.chain([aws]))
}

/// Each rule has a prefix list of its own, and all of them overlap on TCP ports.
fn own_lists(rules: u32, entries: u32) -> Group {
    let lists = (0..rules).map(|n| (format!("pl-{n:08x}"), list(n, entries)));
    let peer = |n| Peer::PrefixList(format!("pl-{n:08x}"));
    let packets = |n| Packets::Tcp(n as u16, n as u16 + 1000);
    group((0..rules).map(|n| rule(0, packets(n), peer(n))).collect(), lists)
}

/// Half of the rules let in half an IPv6 /32, the other half a thousand small blocks of it each: as many pieces as there can
/// be under as many rules as there can be.
fn nested(rules: u32, entries: u32) -> Group {
    let small = |n: u32| {
        let start = 0x2001_0db8_u128 << 96;
        let blocks = (n * entries..(n + 1) * entries)
            .map(move |n| Ipv6Net::new(Ipv6Addr::from_bits(start | u128::from(n) << 65), 64).unwrap().into());
        PrefixList::Entries(blocks.collect())
    };
    let lists = (0..rules / 2).map(|n| (format!("pl-{n:08x}"), small(n)));
    let peer = |n: u32| match n % 2 {
        0 => Peer::PrefixList(format!("pl-{:08x}", n / 2)),
        _ => Peer::cidr("2001:db8::/33").unwrap(),
    };
    let packets = |n| Packets::Tcp(n as u16, n as u16 + 1000);
    group((0..rules).map(|n| rule(0, packets(n), peer(n))).collect(), lists)
}

/// Every rule lets in the whole world, so it meets every class that the policy draws.
fn world(rules: u32) -> Group {
    let peer = |n| Peer::cidr(if n % 2 == 0 { "0.0.0.0/0" } else { "::/0" }).unwrap();
    let packets = |n: u32| Packets::Tcp(n as u16, n as u16 + 30_000);
    group((0..rules).map(|n| rule(0, packets(n), peer(n))).collect(), [])
}

fn judged(policy: &Policy, group: &Group) -> Vec<JudgedRule> {
    let location = Location::new("111122223333", "eu-central-1");
    judge(policy, group, &location, Timestamp::UNIX_EPOCH, |_| Author::Unknown)
}

fn benches(criterion: &mut Criterion) {
    let mut measure = |name: &str, size: u32, policy: &Policy, group: &Group| {
        criterion.bench_with_input(BenchmarkId::new(name, size), group, |bencher, group| {
            bencher.iter_with_large_drop(|| judged(policy, group));
        });
    };
    let (standard, large) = (policy(BUILT_IN), policy(200));
    measure("an event: standard, rules", 20, &standard, &mixed(20, 50));
    for rules in [10, 100, 1000] {
        measure("200 clauses, lists of 1000, rules", rules, &large, &mixed(rules, 1000));
    }
    for clauses in [BUILT_IN, 100, 200] {
        measure("1000 rules, lists of 1000, clauses", clauses, &policy(clauses), &mixed(1000, 1000));
    }
    for entries in [10, 100, 1000] {
        measure("1000 rules, 200 clauses, entries", entries, &large, &mixed(1000, entries));
    }
    for rules in [10, 100, 1000] {
        measure("hostile: a list of 1000 each, rules", rules, &large, &own_lists(rules, 1000));
        measure("hostile: nested blocks, rules", rules, &large, &nested(rules, 1000));
        measure("hostile: the world each, rules", rules, &large, &world(rules));
    }
}

criterion_group! {
    name = judge_bench;
    config = Criterion::default().without_plots();
    targets = benches
}
criterion_main!(judge_bench);
