//! Groups with rules, small enough to look at every point of them.

use std::collections::BTreeMap;

use eks_sg_guard::model::group::{AwsList, Evidence, Group, Passes, PeerGroup, PrefixList, Role, RoleEvidence};
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::region::Addresses;
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::policy::controller::Author;
use eks_sg_guard::policy::file;
use eks_sg_guard::policy::judge::{JudgedRule, judge};
use ipnet::IpNet;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::model::{self, GROUPS, ITSELF, LISTS, NEAR, PUBLIC, Policy, Slice, TODAY, Taste};

const ACCOUNT: &str = "111122223333";
pub(crate) const VPC: [&str; 3] = ["10.0.0.0/16", "44.0.0.0/17", "2600:1f18:1::/56"];
pub(crate) const REMOTE: [&str; 1] = ["198.51.100.0/25"];
/// Of the lists that are judged by their entries.
pub(crate) const ENTRIES: [(&str, &[&str]); 3] = [
    (LISTS[0], &["10.0.0.0/8", "203.0.0.0/16", "2001:db8::/33"]),
    (LISTS[1], &["203.0.113.7/32", "203.0.64.0/18"]),
    (LISTS[2], &["2001:db8:8000::/33", "172.16.0.0/12"]),
];

#[derive(Clone, Debug)]
pub(crate) struct RuleModel {
    pub(crate) egress: bool,
    pub(crate) slice: Slice,
    pub(crate) peer: String,
    pub(crate) mark: Mark,
}

/// What a rule carries that looks like a controller's marker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mark {
    Nothing,
    Description(&'static str),
    /// The tag of EKS Auto Mode, with this cluster.
    Tag(&'static str),
}

/// Those of controllers, and some that are nearly the same.
const MARKS: [Mark; 7] = [
    Mark::Description("kubernetes.io/rule/nlb/client=web"),
    Mark::Description("elbv2.k8s.aws/targetGroupBinding=shared"),
    Mark::Tag("prod-1"),
    Mark::Tag("shared-2"),
    Mark::Tag("dev-3"),
    Mark::Description("not kubernetes.io/rule/nlb/client=web"),
    Mark::Description("elbv2.k8s.aws/targetGroupBinding=shared too"),
];

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) clusters: Vec<&'static str>,
    /// Each with: strong.
    pub(crate) roles: Vec<(Role, bool)>,
    pub(crate) rules: Vec<RuleModel>,
    pub(crate) author: Author,
    pub(crate) now: Timestamp,
}

/// A policy out of its text.
pub(crate) fn read(text: &str) -> eks_sg_guard::policy::model::Policy {
    let loaded = file::load("policy.yaml", text, TODAY.parse().unwrap());
    loaded.unwrap_or_else(|rejected| panic!("{rejected}\n{text}")).policy
}

impl World {
    /// The findings of the engine, in the order of the rules. The policy goes all the way through its text.
    pub(crate) fn judged(&self) -> Vec<JudgedRule> {
        self.judged_under(&read(&self.policy.yaml()))
    }

    pub(crate) fn judged_under(&self, policy: &eks_sg_guard::policy::model::Policy) -> Vec<JudgedRule> {
        let location = Location::new(ACCOUNT, "us-east-1");
        judge(policy, &self.group(), &location, self.now, |_| self.author)
    }

    pub(crate) fn with_rules(&self, rules: Vec<RuleModel>) -> Self {
        Self { rules, ..self.clone() }
    }

    fn group(&self) -> Group {
        let nets =
            |texts: &[&str]| texts.iter().map(|text| text.parse::<IpNet>().unwrap().trunc()).collect::<Addresses>();
        let mut prefix_lists: BTreeMap<String, PrefixList> =
            ENTRIES.iter().map(|(id, entries)| ((*id).to_owned(), PrefixList::Entries(nets(entries)))).collect();
        prefix_lists.insert(LISTS[3].to_owned(), PrefixList::Aws(AwsList::S3));
        prefix_lists.insert(LISTS[4].to_owned(), PrefixList::Aws(AwsList::CloudFront));
        prefix_lists
            .insert(LISTS[5].to_owned(), PrefixList::Unreadable { why: "denied".to_owned(), passes: Passes::Never });
        let same = |role| PeerGroup { same_cluster: true, roles: [role].into(), ..PeerGroup::default() };
        let foreign = PeerGroup { roles: [Role::Node].into(), ..PeerGroup::default() };
        let known = |(role, strong): &(Role, bool)| RoleEvidence {
            role: *role,
            evidence: if *strong { Evidence::Attachment } else { Evidence::Tag },
            strong: *strong,
        };
        Group {
            id: ITSELF.to_owned(),
            owner: ACCOUNT.to_owned(),
            clusters: self.clusters.iter().map(|name| (*name).to_owned()).collect(),
            roles: self.roles.iter().map(known).collect(),
            rules: self.rules.iter().enumerate().map(|(at, rule)| rule.build(at)).collect(),
            vpc_ranges: nets(&VPC),
            remote_networks: nets(&REMOTE),
            peers: [(1, same(Role::Node)), (2, same(Role::LoadBalancer)), (4, foreign)]
                .map(|(at, peer)| (GROUPS[at].to_owned(), peer))
                .into(),
            prefix_lists,
            ..Group::default()
        }
    }
}

impl RuleModel {
    pub(crate) fn build(&self, at: usize) -> Rule {
        let message = |from: u16, to: u16| match (from, to) {
            (0, u16::MAX) => (None, None),
            (from, to) => (u8::try_from(from >> 8).ok(), u8::try_from(from & 0xff).ok().filter(|_| from == to)),
        };
        let packets = match self.slice {
            (None, ..) => Packets::All,
            (Some(6), from, to) => Packets::Tcp(from, to),
            (Some(17), from, to) => Packets::Udp(from, to),
            (Some(1), from, to) => Packets::Icmp(message(from, to).0, message(from, to).1),
            (Some(58), from, to) => Packets::Icmpv6(message(from, to).0, message(from, to).1),
            (Some(number), ..) => Packets::Protocol(number),
        };
        let peer = match self.peer.as_str() {
            // The last group is another account's; of the first ones EC2 may say whose they are, or not.
            id if id == GROUPS[4] => Peer::Group { id: id.to_owned(), owner: Some("444455556666".to_owned()) },
            id if id == GROUPS[3] => Peer::Group { id: id.to_owned(), owner: Some(ACCOUNT.to_owned()) },
            id if id.starts_with("sg-") => Peer::Group { id: id.to_owned(), owner: None },
            id if id.starts_with("pl-") => Peer::PrefixList(id.to_owned()),
            block => Peer::cidr(block).unwrap(),
        };
        Rule {
            id: format!("sgr-{at}"),
            direction: if self.egress { Direction::Egress } else { Direction::Ingress },
            packets,
            peer,
            description: match self.mark {
                Mark::Description(text) => Some(text.to_owned()),
                Mark::Nothing | Mark::Tag(_) => None,
            },
            tags: match self.mark {
                Mark::Tag(cluster) => [("eks:eks-cluster-name".to_owned(), cluster.to_owned())].into(),
                Mark::Nothing | Mark::Description(_) => BTreeMap::new(),
            },
        }
    }
}

fn slice() -> impl Strategy<Value = Slice> {
    let messages = vec![
        (Some(1), 3 << 8 | 4, 3 << 8 | 4),
        (Some(1), 3 << 8, 3 << 8 | 255),
        (Some(1), 0, u16::MAX),
        (Some(58), 4 << 8, 4 << 8 | 255),
        (Some(58), 0, u16::MAX),
        (Some(41), 0, u16::MAX),
        (Some(47), 0, u16::MAX),
        (Some(99), 0, u16::MAX),
    ];
    // Next to each number of ports that counts.
    let width = || select(vec![16_u16, 17, 256, 257, 32767, 32768]);
    let single = || select(vec![22_u16, 53, 443, 10250, 30080]);
    prop_oneof![
        1 => Just((None, 0, u16::MAX)),
        1 => select(messages),
        3 => (select(vec![6, 17]), select(&model::PORTS[..]), width())
            .prop_map(|(protocol, from, width)| {
                let from = from.min(u16::MAX - width + 1);
                (Some(protocol), from, from + (width - 1))
            }),
        4 => (select(vec![6, 17]), model::port_range()).prop_map(|(protocol, (from, to))| (Some(protocol), from, to)),
        3 => (select(vec![6, 17]), single()).prop_map(|(protocol, port)| (Some(protocol), port, port)),
    ]
}

pub(crate) fn block() -> impl Strategy<Value = String> {
    prop_oneof![3 => select(&PUBLIC[..]), 1 => select(&NEAR[..])].prop_map(str::to_owned)
}

fn mark() -> impl Strategy<Value = Mark> {
    prop_oneof![Just(Mark::Nothing), select(&MARKS[..])]
}

fn rule() -> impl Strategy<Value = RuleModel> {
    let other = select([&GROUPS[..], &LISTS[..]].concat()).prop_map(str::to_owned);
    let peer = prop_oneof![3 => block(), 2 => other];
    (slice(), peer, prop::bool::weighted(0.2), mark()).prop_map(|(slice, peer, egress, mark)| RuleModel {
        egress,
        slice,
        peer,
        mark,
    })
}

pub(crate) fn world(taste: Taste) -> impl Strategy<Value = World> {
    let roles = prop_oneof![
        4 => Just(vec![Role::Node]),
        1 => subsequence(Role::ALL.to_vec(), 0..=2),
        1 => Just(vec![Role::LoadBalancer]),
        1 => Just(vec![Role::Node, Role::LoadBalancer]),
    ];
    let roles = (roles, any::<bool>(), any::<bool>())
        .prop_map(|(roles, first, second)| roles.into_iter().zip([first || second, second]).collect::<Vec<_>>());
    let clusters = prop_oneof![Just(vec!["prod-1"]), Just(vec!["prod-1", "shared-2"])];
    let author = select(Author::ALL.to_vec());
    let nows = vec!["2026-11-23T00:00:00Z", "2026-11-23T23:59:59.999Z", "2026-11-24T00:00:00Z"];
    let now = select(nows).prop_map(|text| text.parse().unwrap());
    let any = (model::policy(taste), prop::collection::vec(rule(), 1..5));
    let small = (model::policy_about_exposure(taste), prop::collection::vec(small_rule(), 1..6));
    let groups = (model::policy_about_groups(taste), prop::collection::vec(rule_of_a_group(), 1..4));
    let controllers = (model::policy_about_controllers(taste), prop::collection::vec(marked_rule(), 1..4));
    let kinds = prop_oneof![4 => any, 2 => small, 1 => groups, 1 => controllers];
    (kinds, clusters, roles, author, now).prop_map(|((policy, rules), clusters, roles, author, now)| World {
        policy,
        clusters,
        roles,
        rules,
        author,
        now,
    })
}

fn rule_of_a_group() -> impl Strategy<Value = RuleModel> {
    (rule(), select(&GROUPS[..])).prop_map(|(rule, group)| RuleModel {
        egress: false,
        peer: group.to_owned(),
        mark: Mark::Nothing,
        ..rule
    })
}

/// Of one port or two.
fn marked_rule() -> impl Strategy<Value = RuleModel> {
    let first = prop_oneof![Just((17, 53)), select(vec![22, 443, 2379, 10250]).prop_map(|port| (6, port))];
    (rule(), select(&MARKS[..]), first, 0..2_u16).prop_map(|(rule, mark, (protocol, first), more)| RuleModel {
        egress: false,
        slice: (Some(protocol), first, first + more),
        mark,
        ..rule
    })
}

/// About as many addresses as make a rule wide, for packets that many rules share.
fn small_rule() -> impl Strategy<Value = RuleModel> {
    let peers = [&PUBLIC[3..7], &PUBLIC[8..], &["44.0.0.0/16", LISTS[1], LISTS[2]]].concat();
    let slices = [(Some(6), 22, 22), (Some(6), 22, 53), (Some(6), 53, 443), (None, 0, u16::MAX)].to_vec();
    (select(slices), select(peers), prop::bool::weighted(0.3)).prop_map(|(slice, peer, egress)| RuleModel {
        egress,
        slice,
        peer: peer.to_owned(),
        mark: Mark::Nothing,
    })
}
