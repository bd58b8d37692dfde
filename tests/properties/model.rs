//! Policies as the design describes them: the table of the built-in ones, and random small ones written as YAML.
//! Longer than other files: it is a second writing of the whole policy, to be read beside the design.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use eks_sg_guard::model::group::Role::{self, Cluster, ControlPlane, LoadBalancer, Node, Pod, RemoteAccess};
use eks_sg_guard::policy::model::Severity::{self, Critical, High, Low, Medium};
use eks_sg_guard::policy::model::Verdict::{self, Allow, Report, Revoke};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

pub(crate) const TODAY: &str = "2026-11-23";
pub(crate) const DAYS: [&str; 3] = ["2026-11-22", "2026-11-23", "2026-11-24"];
pub(crate) const ITSELF: &str = "sg-00000000000000001";
/// Of the same cluster: a node group, a load balancer's. Then one of no cluster we know, and nodes of another cluster.
pub(crate) const GROUPS: [&str; 5] =
    [ITSELF, "sg-00000000000000002", "sg-00000000000000003", "sg-00000000000000004", "sg-00000000000000005"];
/// Entries: a wide mixture, two small ones; S3, `CloudFront`; unreadable; not looked up at all.
pub(crate) const LISTS: [&str; 7] =
    ["pl-00000001", "pl-00000002", "pl-00000003", "pl-00000004", "pl-00000005", "pl-00000006", "pl-00000007"];

/// Points of one protocol, or of all: `None`. The "ports" of ICMP are `type << 8 | code`.
pub(crate) type Slice = (Option<u8>, u16, u16);

#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) id: String,
    pub(crate) exception: bool,
    pub(crate) user: bool,
    pub(crate) roles: Vec<Role>,
    pub(crate) only: bool,
    pub(crate) egress: bool,
    pub(crate) traffic: Vec<Slice>,
    pub(crate) peers: Vec<&'static str>,
    pub(crate) verdict: Verdict,
    pub(crate) severity: Severity,
    pub(crate) of_ranges: Option<Severity>,
    pub(crate) of_broad: Option<Severity>,
    pub(crate) of_controllers: Option<Severity>,
    /// More ports than the first, at most the second.
    pub(crate) width: (Option<u32>, Option<u32>),
    pub(crate) in_passing: Option<Verdict>,
    pub(crate) for_controller: Option<Verdict>,
    pub(crate) beside_load_balancer: bool,
    /// Of an exception: its last day.
    pub(crate) expires: Option<&'static str>,
    /// A key with its value that says where it holds.
    pub(crate) limit: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) extends: &'static str,
    pub(crate) otherwise: Option<Verdict>,
    pub(crate) clients: Option<Vec<&'static str>>,
    /// In clusters of this name, what that policy says comes before what is inherited.
    pub(crate) of_clusters: Option<(&'static str, &'static str)>,
    pub(crate) exceptions: Vec<Clause>,
    pub(crate) own: Vec<Clause>,
}

const OWN_ROLES: [Role; 5] = [Cluster, ControlPlane, Node, Pod, RemoteAccess];
const INTERNALS_TCP: [(u16, u16); 14] = [
    (53, 53),
    (179, 179),
    (2375, 2376),
    (2381, 2381),
    (4001, 4004),
    (4240, 4250),
    (5473, 5473),
    (6641, 6642),
    (6783, 6783),
    (10249, 10249),
    (10251, 10251),
    (10256, 10259),
    (10350, 10350),
    (15010, 15017),
];
const INTERNALS_UDP: [(u16, u16); 6] = [(53, 53), (4789, 4789), (6081, 6081), (6783, 6784), (8285, 8285), (8472, 8472)];
const INTERNAL_PROTOCOLS: [u8; 8] = [4, 41, 47, 50, 94, 97, 115, 137];
const EDGE: [&str; 3] = ["internet", "aws:cloudfront", "aws:route53-healthchecks"];

fn tcp(ports: &[(u16, u16)]) -> Vec<Slice> {
    ports.iter().map(|(from, to)| (Some(6), *from, *to)).collect()
}

fn udp(ports: &[(u16, u16)]) -> Vec<Slice> {
    ports.iter().map(|(from, to)| (Some(17), *from, *to)).collect()
}

fn tcp_udp(ports: &[(u16, u16)]) -> Vec<Slice> {
    [tcp(ports), udp(ports)].concat()
}

fn internals() -> Vec<Slice> {
    let protocols = INTERNAL_PROTOCOLS.into_iter().map(|number| (Some(number), 0, u16::MAX));
    tcp(&INTERNALS_TCP).into_iter().chain(udp(&INTERNALS_UDP)).chain(protocols).collect()
}

fn line(id: &str, traffic: Vec<Slice>, peers: &[&'static str], verdict: Verdict, severity: Severity) -> Clause {
    Clause {
        id: id.to_owned(),
        exception: false,
        user: false,
        roles: OWN_ROLES.to_vec(),
        only: false,
        egress: false,
        traffic,
        peers: peers.to_vec(),
        verdict,
        severity,
        of_ranges: None,
        of_broad: None,
        of_controllers: None,
        width: (None, None),
        in_passing: None,
        for_controller: None,
        beside_load_balancer: false,
        expires: None,
        limit: None,
    }
}

/// The table of the design, typed again: the YAML files are not looked at.
fn standard(clients: &[&'static str]) -> Vec<Clause> {
    let all = || vec![(None, 0, u16::MAX)];
    let of = |roles: &[Role], only, clause: Clause| Clause { roles: roles.to_vec(), only, ..clause };
    let path_mtu =
        vec![(Some(1), 3 << 8 | 4, 3 << 8 | 4), (Some(58), 1 << 8, 4 << 8 | 255), (Some(58), 133 << 8, 136 << 8 | 255)];
    let never = |clause| Clause { beside_load_balancer: true, ..clause };
    let login = [(22, 22), (3389, 3389), (5985, 5986)];
    let (kubelet, etcd) = ([(10250, 10250), (10255, 10255)], [(2379, 2380)]);
    let kubelet_and_etcd = [&kubelet[..], &etcd].concat();
    let tunnels = [(500, 500), (4500, 4500), (51820, 51821), (51871, 51871)];
    let lists = ["aws:vpc-lattice", "aws:s3", "aws:dynamodb", "aws:ec2-instance-connect"];
    let clients_and_groups = [clients, &["other-group"]].concat();
    let elsewhere = ["private", "other-group"];
    let low_where_broad = |clause| Clause { of_broad: Some(Low), ..clause };
    let node_ports = [(30000, 32767)];
    let api = [Cluster, ControlPlane];
    let sensitive = tcp(&[(22, 22), (3389, 3389), (10250, 10250), (2379, 2380)]);
    let everyone: Vec<Role> = Role::ALL.to_vec();
    vec![
        of(&[LoadBalancer], true, line("load-balancer-sensitive", sensitive, &["internet"], Report, Critical)),
        of(&[LoadBalancer], true, line("load-balancer", all(), &["anywhere"], Allow, Medium)),
        line("same-cluster", all(), &["self", "same-cluster"], Allow, Medium),
        line("path-mtu", path_mtu, &["anywhere"], Allow, Medium),
        never(line("kubelet-internet", tcp(&kubelet), &EDGE, Revoke, Critical)),
        never(line("etcd-internet", tcp(&etcd), &EDGE, Revoke, Critical)),
        Clause { width: (None, Some(16)), ..line("aws-sensitive", tcp(&kubelet_and_etcd), &lists, Report, High) },
        line("aws-vpc-lattice", all(), &["aws:vpc-lattice"], Allow, Medium),
        line("aws-s3", all(), &["aws:s3"], Allow, Medium),
        line("aws-dynamodb", all(), &["aws:dynamodb"], Allow, Medium),
        line("aws-instance-connect", tcp(&[(22, 22)]), &["aws:ec2-instance-connect"], Allow, Medium),
        line("aws-edge", tcp(&[(80, 80), (443, 443), (30000, 32767)]), &EDGE[1..], Allow, Medium),
        Clause {
            for_controller: Some(Report),
            ..line("remote-login-wide", tcp(&login), &["wide-internet"], Revoke, Critical)
        },
        Clause {
            in_passing: Some(Report),
            for_controller: Some(Report),
            ..line("cluster-internals-wide", internals(), &["wide-internet"], Revoke, High)
        },
        line("tunnel-endpoints", udp(&tunnels), &["internet"], Report, Low),
        line("remote-login-public", tcp(&login), &["internet"], Report, High),
        line("cluster-internals-public", internals(), &["internet"], Report, High),
        of(&api, false, line("api-private", tcp(&[(443, 443)]), &elsewhere, Allow, Medium)),
        of(&api, false, line("api-internet", tcp(&[(443, 443)]), &["internet"], Report, Medium)),
        line("nodeport-clients", tcp_udp(&node_ports), &clients_and_groups, Allow, Medium),
        Clause {
            of_ranges: Some(High),
            ..line("nodeport-internet", tcp_udp(&node_ports), &["internet"], Report, Medium)
        },
        low_where_broad(line("kubelet-private", tcp(&kubelet), &elsewhere, Report, Medium)),
        low_where_broad(line("etcd-elsewhere", tcp(&etcd), &elsewhere, Report, High)),
        Clause { of_controllers: Some(Medium), ..line("other-internet", all(), &["internet"], Report, High) },
        line("foreign-account-group", all(), &["other-account-group"], Report, Low),
        Clause { width: (Some(16), None), ..line("foreign-group", all(), &["other-group"], Report, Low) },
        line("foreign-group-few", all(), &["other-group"], Allow, Low),
        line("other-private", all(), &["private"], Allow, Medium),
        Clause { egress: true, ..of(&everyone, false, line("egress", all(), &["anywhere"], Allow, Medium)) },
    ]
}

/// What the design says of `strict`, applied to the table.
fn strict(clients: &[&'static str]) -> Vec<Clause> {
    let mut clauses = standard(clients);
    for clause in &mut clauses {
        let public = clause.peers == ["internet"] && clause.id != "load-balancer-sensitive";
        if clause.verdict == Report && public {
            clause.verdict = Revoke;
            clause.for_controller = Some(Report);
        }
        clause.in_passing = None;
        if ["other-private", "foreign-group-few"].contains(&clause.id.as_str()) {
            clause.verdict = Report;
        }
    }
    let from_ranges = |id: &str, ports: &[(u16, u16)], severity| Clause {
        of_broad: Some(Low),
        ..line(id, tcp(ports), &["private"], Revoke, severity)
    };
    let own = [
        from_ranges("kubelet-ranges", &[(10250, 10250), (10255, 10255)], Medium),
        from_ranges("etcd-private", &[(2379, 2380)], High),
    ];
    own.into_iter().chain(clauses).collect()
}

impl Policy {
    pub(crate) fn otherwise(&self) -> Verdict {
        self.otherwise.unwrap_or(if self.extends == "none" { Allow } else { Report })
    }

    /// Whether a built-in policy says something, somewhere.
    pub(crate) fn is_built_in(&self) -> bool {
        self.extends != "none" || self.of_clusters.is_some()
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.extends == "strict" || self.of_clusters.is_some_and(|(_, name)| name == "strict")
    }

    /// In reading order.
    pub(crate) fn clauses(&self) -> Vec<Clause> {
        let clients = self.clients.clone().unwrap_or_else(|| vec!["private"]);
        let of = |name: &str| match name {
            "standard" => standard(&clients),
            "strict" => strict(&clients),
            _ => Vec::new(),
        };
        let there = self.of_clusters.iter().flat_map(|(cluster, name)| {
            of(name).into_iter().map(move |clause| Clause { limit: Some(("cluster", cluster)), ..clause })
        });
        self.exceptions.iter().chain(&self.own).cloned().chain(there).chain(of(self.extends)).collect()
    }

    pub(crate) fn yaml(&self) -> String {
        let mut text = format!("version: 1\nextends: {}\nexceptions_need_date: false\n", self.extends);
        if let Some(otherwise) = self.otherwise {
            let _ = writeln!(text, "otherwise: {}", word(&otherwise));
        }
        if let Some(clients) = &self.clients {
            let _ = writeln!(text, "networks: {{clients: {}}}", list(clients));
        }
        if let Some((cluster, name)) = &self.of_clusters {
            let _ = writeln!(text, "clusters: [{{name: \"{cluster}\", extends: {name}}}]");
        }
        for (key, clauses) in [("exceptions", &self.exceptions), ("clauses", &self.own)] {
            if !clauses.is_empty() {
                let _ = writeln!(text, "{key}:\n{}", clauses.iter().map(Clause::yaml).collect::<String>());
            }
        }
        text
    }
}

impl Clause {
    fn yaml(&self) -> String {
        let mut text = format!("  - id: {}\n    reason: because\n", self.id);
        let mut key = |key: &str, value: String| {
            let _ = writeln!(text, "    {key}: {value}");
        };
        if self.egress {
            key("direction", "egress".to_owned());
        }
        key(if self.egress { "to" } else { "from" }, list(&self.peers));
        let ranges = |number: u8| {
            let of = self.traffic.iter().filter(move |(protocol, ..)| *protocol == Some(number));
            of.map(|(_, from, to)| (*from, *to)).collect::<Vec<_>>()
        };
        let (ports, udp) = (ranges(6), ranges(17));
        let listed =
            |ports: &[(u16, u16)]| list(&ports.iter().map(|(from, to)| format!("{from}-{to}")).collect::<Vec<_>>());
        if !ports.is_empty() && (udp.is_empty() || udp == ports) {
            key("protocol", if udp.is_empty() { "tcp" } else { "[tcp, udp]" }.to_owned());
            key("ports", listed(&ports));
        } else if !udp.is_empty() {
            key("udp", listed(&udp));
            if !ports.is_empty() {
                key("tcp", listed(&ports));
            }
        }
        for (name, number) in [("icmp", 1), ("icmpv6", 58)] {
            let messages: Vec<String> = ranges(number).into_iter().map(message).collect();
            if !messages.is_empty() {
                key(name, list(&messages));
            }
        }
        if !ranges(47).is_empty() {
            key("whole_protocols", "[47]".to_owned());
        }
        if let Some((name, value)) = self.limit {
            key(name, format!("\"{value}\""));
        }
        if self.exception {
            key("owner", "secops@example.com".to_owned());
            self.expires.iter().for_each(|day| key("expires", (*day).to_owned()));
            return text;
        }
        key("roles", list(&self.roles.iter().map(|role| role.word()).collect::<Vec<_>>()));
        key("only", self.only.to_string());
        key("verdict", word(&self.verdict));
        if self.verdict != Allow {
            key("severity", word(&self.severity));
            self.of_ranges.iter().for_each(|severity| key("severity_of_ranges", word(severity)));
            self.of_broad.iter().for_each(|severity| key("severity_of_broad", word(severity)));
            self.of_controllers.iter().for_each(|severity| key("severity_for_controller", word(severity)));
            self.in_passing.iter().for_each(|milder| key("in_passing", word(milder)));
            self.for_controller.iter().for_each(|milder| key("for_controller", word(milder)));
        }
        self.width.0.iter().for_each(|count| key("more_than_ports", count.to_string()));
        self.width.1.iter().for_each(|count| key("at_most_ports", count.to_string()));
        if self.beside_load_balancer {
            key("beside_load_balancer", "true".to_owned());
        }
        text
    }
}

fn word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(", "))
}

fn message((from, to): (u16, u16)) -> String {
    match (from & 0xff, to & 0xff) {
        (0, 0xff) => format!("{}-{}", from >> 8, to >> 8),
        (code, _) => format!("{}/{code}", from >> 8),
    }
}

// Random ones.

/// Boundaries that the built-in policies draw, of ports and of widths, and their neighbours.
pub(crate) const PORTS: [u16; 20] =
    [0, 21, 22, 23, 53, 255, 256, 443, 2379, 2380, 4789, 10249, 10250, 10251, 10260, 30000, 32766, 32767, 32768, 65535];
/// How many ports a clause may ask for.
const WIDTHS: [u32; 5] = [1, 2, 16, 256, 32768];
pub(crate) const PUBLIC: [&str; 13] = [
    "0.0.0.0/0",
    "0.0.0.0/1",
    "203.0.0.0/15",
    "203.0.0.0/16",
    "203.0.0.0/17",
    "203.0.128.0/17",
    "203.0.113.7/32",
    "2000::/3",
    "2001:db8::/32",
    "2001:db8::/33",
    "2001:db8:8000::/33",
    "::ffff:203.0.0.0/112",
    "::ffff:203.0.0.0/113",
];
/// Private, or partly, or where the VPC has public addresses of its own.
pub(crate) const NEAR: [&str; 14] = [
    "192.168.0.0/15",
    "169.254.7.0/24",
    "fe80::/64",
    "10.0.0.0/8",
    "10.0.5.0/24",
    "172.0.0.0/11",
    "100.64.0.0/10",
    "44.0.0.0/15",
    "44.0.0.0/16",
    "44.0.0.0/18",
    "198.51.100.0/24",
    "fd00::/8",
    "2600:1f18::/32",
    "::ffff:10.0.0.0/104",
];
const WORDS: [&str; 19] = [
    "private",
    "internet",
    "wide-internet",
    "vpc",
    "anywhere",
    "self",
    "same-cluster",
    "other-group",
    "other-account-group",
    "role:node",
    "role:load-balancer",
    "aws:s3",
    "aws:cloudfront",
    GROUPS[0],
    GROUPS[1],
    GROUPS[3],
    LISTS[0],
    LISTS[3],
    LISTS[5],
];

/// What random policies may contain.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Taste {
    /// Everything.
    Any,
    /// Being wide is never milder than being small, as no sensible policy has it.
    Sensible,
    /// All addresses of a peer class are alike.
    Classes,
}

pub(crate) fn port_range() -> impl Strategy<Value = (u16, u16)> {
    (select(&PORTS[..]), select(&PORTS[..])).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn traffic() -> impl Strategy<Value = Vec<Slice>> {
    let ports = || prop::collection::vec(port_range(), 1..3);
    prop_oneof![
        2 => Just(vec![(None, 0, u16::MAX)]),
        3 => ports().prop_map(|ranges| tcp(&ranges)),
        2 => ports().prop_map(|ranges| tcp_udp(&ranges)),
        1 => (ports(), ports()).prop_map(|(of_tcp, of_udp)| [tcp(&of_tcp), udp(&of_udp)].concat()),
        1 => Just(vec![(Some(1), 3 << 8 | 4, 3 << 8 | 4), (Some(58), 1 << 8, 4 << 8 | 255), (Some(47), 0, u16::MAX)]),
        1 => Just(vec![(Some(6), 22, 22), (Some(1), 8 << 8, 8 << 8 | 255)]),
    ]
}

fn peers(taste: Taste) -> impl Strategy<Value = Vec<&'static str>> {
    let words: Vec<&'static str> =
        WORDS.into_iter().filter(|word| taste != Taste::Classes || !["vpc"].contains(word)).collect();
    let blocks: Vec<&'static str> =
        if taste == Taste::Classes { vec!["private"] } else { [&PUBLIC[..], &NEAR].concat() };
    prop::collection::vec(prop_oneof![2 => select(words), 1 => select(blocks)], 1..4).prop_map(|peers| {
        let mut known = BTreeSet::new();
        peers.into_iter().filter(|peer| known.insert(*peer)).collect()
    })
}

type ByWidth = ((Option<u32>, Option<u32>), Option<Verdict>, Option<Severity>, Option<Severity>);

/// Where clauses count that are not for every cluster.
const CLUSTERS: [(&str, &str); 5] = [
    ("cluster", "prod-*"),
    ("cluster", "shared-*"),
    ("cluster", "*-2"),
    ("except_cluster", "prod-1"),
    ("except_cluster", "dev-*"),
];

/// What a clause may say of rules of some widths, and of controllers' ones.
fn by_width() -> impl Strategy<Value = ByWidth> {
    let width = prop_oneof![
        3 => Just((None, None)),
        1 => select(&WIDTHS[..]).prop_map(|fewer| (Some(fewer), None)),
        1 => select(&WIDTHS[..]).prop_map(|most| (None, Some(most))),
        1 => Just((Some(16), Some(256))),
    ];
    let severity = || prop::option::weighted(0.3, select(vec![Low, Critical]));
    (width, prop::option::weighted(0.3, select(vec![Allow, Report])), severity(), severity())
}

fn clause(taste: Taste) -> impl Strategy<Value = Clause> {
    let verdict = prop_oneof![Just(Allow), Just(Report), Just(Revoke)];
    let severity = || select(vec![Severity::Low, Medium, High, Critical]);
    let roles = subsequence(Role::ALL.to_vec(), 1..=4);
    let extras = (severity(), prop::option::of(severity()), select(vec![Allow, Report]), any::<[bool; 4]>());
    let limit = prop::option::weighted(0.3, select(&CLUSTERS[..]));
    (traffic(), peers(taste), verdict, roles, extras, by_width(), limit).prop_map(
        move |(
            traffic,
            peers,
            verdict,
            roles,
            (severity, of_ranges, milder, [only, egress, softer, beside]),
            by_width,
            limit,
        )| {
            let wide = taste != Taste::Any && peers.contains(&"wide-internet");
            let verdict = if wide { Revoke } else { verdict };
            // What is said of widths may well be milder for wider rules.
            let (width, in_passing, of_broad, of_controllers) =
                if taste == Taste::Any { by_width } else { ((None, None), None, None, None) };
            Clause {
                user: true,
                roles,
                only: only && softer,
                egress: egress && !beside,
                limit,
                width,
                in_passing: in_passing.filter(|milder| *milder < verdict),
                of_broad: of_broad.filter(|_| verdict != Allow),
                of_controllers: of_controllers.filter(|_| verdict != Allow),
                of_ranges: of_ranges.filter(|_| verdict != Allow),
                for_controller: (softer && !wide && milder < verdict).then_some(milder),
                beside_load_balancer: (beside || wide) && verdict == Revoke,
                ..line("", traffic, &peers, verdict, severity)
            }
        },
    )
}

pub(crate) fn exception(taste: Taste) -> impl Strategy<Value = Clause> {
    let limits = vec![
        Some(("group", ITSELF)),
        Some(("group", GROUPS[3])),
        Some(("cluster", "prod-*")),
        Some(("cluster", "dev-*")),
        Some(("cluster", "shared-*")),
        Some(("account", "111122223333")),
        Some(("account", "444455556666")),
        Some(("region", "us-east-1")),
        Some(("region", "eu-west-1")),
    ];
    let days = prop::option::of(select(&DAYS[..]));
    let limit = prop_oneof![Just(None), select(limits)];
    (traffic(), peers(taste), limit, days, prop::bool::weighted(0.3)).prop_map(
        move |(traffic, peers, limit, expires, egress)| {
            let wide = |peer: &&str| taste == Taste::Any || *peer != "wide-internet";
            let mut peers: Vec<&'static str> = peers.into_iter().filter(wide).collect();
            if peers.is_empty() {
                peers.push("private");
            }
            let roles = Role::ALL.to_vec();
            Clause { exception: true, roles, egress, expires, limit, ..line("", traffic, &peers, Allow, Medium) }
        },
    )
}

pub(crate) fn policy(taste: Taste) -> impl Strategy<Value = Policy> {
    let exceptions = prop::collection::vec(exception(taste), 0..3);
    let own = prop::collection::vec(clause(taste), 0..6);
    let otherwise = prop::option::of(prop_oneof![Just(Allow), Just(Report), Just(Revoke)]);
    let clients = if taste == Taste::Classes {
        Just(None).boxed()
    } else {
        prop::option::of(Just(vec!["private", "203.0.113.7/32"])).boxed()
    };
    let of_clusters = select(vec![("prod-*", "strict"), ("shared-*", "strict"), ("*", "standard")]);
    let of_clusters = prop::option::weighted(0.2, of_clusters);
    (select(vec!["none", "none", "standard", "strict"]), otherwise, clients, exceptions, own, of_clusters).prop_map(
        |(extends, otherwise, clients, mut exceptions, mut own, of_clusters)| {
            for (kind, clauses) in [("except", &mut exceptions), ("own", &mut own)] {
                for (at, clause) in clauses.iter_mut().enumerate() {
                    clause.id = format!("{kind}-{at}");
                }
            }
            Policy { extends, otherwise, clients, of_clusters, exceptions, own }
        },
    )
}

/// Words for groups, one of which a clause may consist of.
const GROUP_WORDS: [&str; 8] =
    ["self", "same-cluster", "other-group", "role:node", "role:load-balancer", GROUPS[0], GROUPS[1], GROUPS[4]];

/// Its first clauses distinguish groups, and what they are.
pub(crate) fn policy_about_groups(taste: Taste) -> impl Strategy<Value = Policy> {
    let verdict = select(vec![Allow, Revoke]);
    let first = (select(&GROUP_WORDS[..]), verdict, any::<bool>());
    (policy(taste), prop::collection::vec(first, 1..3)).prop_map(|(mut policy, first)| {
        for (at, (word, verdict, beside_load_balancer)) in first.into_iter().enumerate() {
            let region = line(&format!("groups-{at}"), vec![(None, 0, u16::MAX)], &[word], verdict, High);
            let beside_load_balancer = beside_load_balancer && verdict == Revoke;
            let clause = Clause { user: true, roles: Role::ALL.to_vec(), beside_load_balancer, ..region };
            policy.own.insert(at, clause);
        }
        policy
    })
}

/// Its first clause is milder for controllers, and in groups that are attached to load balancers too.
pub(crate) fn policy_about_controllers(taste: Taste) -> impl Strategy<Value = Policy> {
    let milder = prop::option::weighted(0.8, select(vec![Allow, Report]));
    (policy(taste), milder, any::<bool>()).prop_map(|(mut policy, for_controller, beside_load_balancer)| {
        let region = line("controllers", vec![(None, 0, u16::MAX)], &["anywhere"], Revoke, High);
        let of_ranges = Some(Critical);
        let roles = Role::ALL.to_vec();
        let clause = Clause { user: true, roles, of_ranges, for_controller, beside_load_balancer, ..region };
        policy.own.insert(0, clause);
        policy.exceptions.clear();
        policy
    })
}

/// Its first clause distinguishes wide rules from small ones, whatever they let through.
pub(crate) fn policy_about_exposure(taste: Taste) -> impl Strategy<Value = Policy> {
    (policy(taste), any::<bool>()).prop_map(move |(mut policy, egress)| {
        let region = line("exposure", vec![(None, 0, u16::MAX)], &["wide-internet"], Revoke, High);
        let clause = Clause { user: true, egress: egress && taste == Taste::Any, beside_load_balancer: true, ..region };
        policy.own.insert(0, Clause { roles: Role::ALL.to_vec(), ..clause });
        policy
    })
}

/// Lets one address reach the kubelet.
pub(crate) fn kubelet_exception() -> Clause {
    let region = line("kubelet-for-one", tcp(&[(10250, 10250)]), &["203.0.113.7/32"], Allow, Medium);
    Clause { exception: true, roles: Role::ALL.to_vec(), ..region }
}
