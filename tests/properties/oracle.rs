//! The brute force: every atom of addresses and every atom of traffic is looked at by itself, and the clauses are read to it
//! one after the other. Nothing here is shared with the engine, and nothing is clever.

use std::collections::BTreeSet;
use std::net::IpAddr;

use eks_sg_guard::model::group::Role;
use eks_sg_guard::policy::controller::Author;
use eks_sg_guard::policy::model::{Severity, Verdict};

use crate::model::{Clause, GROUPS, ITSELF, LISTS, Slice};
use crate::world::{ENTRIES, Mark, REMOTE, RuleModel, VPC, World};

/// The blocks of the design's word `private`.
const PRIVATE: [&str; 13] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];
const MAPPED: &str = "::ffff:0:0/96";

/// First and last address of a block.
#[derive(Clone, Copy)]
struct Block {
    v6: bool,
    first: u128,
    last: u128,
}

fn block(text: &str) -> Block {
    let (address, length) = text.split_once('/').unwrap();
    let length: u32 = length.parse().unwrap();
    let (v6, bits, width) = match address.parse().unwrap() {
        IpAddr::V4(address) => (false, u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (true, u128::from(address), 128),
    };
    let size = 1_u128.checked_shl(width - length).unwrap_or(0);
    let first = if size == 0 { 0 } else { bits / size * size };
    Block { v6, first, last: first.wrapping_add(size).wrapping_sub(1) }
}

/// Addresses that no block of the world cuts: all alike.
struct Cell {
    v6: bool,
    first: u128,
    size: u128,
}

impl Cell {
    fn is_in(&self, texts: &[&str]) -> bool {
        texts
            .iter()
            .map(|text| block(text))
            .any(|block| block.v6 == self.v6 && block.first <= self.first && self.first <= block.last)
    }

    fn is_private(&self) -> bool {
        self.is_in(&PRIVATE) || self.is_in(&VPC) || self.is_in(&REMOTE)
    }
}

/// The cells of both address spaces.
fn cells(blocks: &[&str]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (v6, last) in [(false, u128::from(u32::MAX)), (true, u128::MAX)] {
        let blocks = blocks.iter().map(|text| block(text)).filter(|block| block.v6 == v6);
        let cuts = blocks.flat_map(|block| [Some(block.first), block.last.checked_add(1)]).flatten();
        let cuts: BTreeSet<u128> = cuts.filter(|cut| *cut <= last).chain([0]).collect();
        let cuts: Vec<u128> = cuts.into_iter().collect();
        for (at, first) in cuts.iter().enumerate() {
            let end = cuts.get(at + 1).map_or(last, |next| next - 1);
            cells.push(Cell { v6, first: *first, size: (end - first).saturating_add(1) });
        }
    }
    cells
}

/// What one clause said of one point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Said {
    pub(crate) clause: String,
    pub(crate) class: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) severity: Option<Severity>,
    pub(crate) strong: bool,
    pub(crate) names_cluster_groups: bool,
}

/// All points of a rule: protocol and port, and everything that was said there.
pub(crate) type Points = Vec<((u8, u16), BTreeSet<Said>)>;

/// The peers of a rule, one by one.
enum Single<'a> {
    Address(&'a Cell),
    Group,
    /// The word of an AWS list.
    Aws(&'static str),
    Unreadable,
}

pub(crate) struct Oracle<'w> {
    world: &'w World,
    /// The cluster that it speaks for.
    cluster: &'static str,
    clauses: Vec<Clause>,
    cells: Vec<Cell>,
    atoms: Vec<(u8, u16)>,
}

impl<'w> Oracle<'w> {
    pub(crate) fn new(world: &'w World, cluster: &'static str) -> Self {
        let clauses = world.policy.clauses();
        let mut blocks: Vec<&str> = [&PRIVATE[..], &VPC, &REMOTE, &[MAPPED]].concat();
        blocks.extend(ENTRIES.iter().flat_map(|(_, entries)| entries.iter()));
        blocks.extend(world.rules.iter().map(|rule| rule.peer.as_str()));
        blocks.extend(clauses.iter().flat_map(|clause| clause.peers.iter()));
        blocks.retain(|text| text.contains('/'));
        let slices: Vec<Slice> = clauses
            .iter()
            .flat_map(|clause| clause.traffic.clone())
            .chain(world.rules.iter().map(|r| r.slice))
            .collect();
        Self { world, cluster, cells: cells(&blocks), atoms: atoms(&slices), clauses }
    }

    pub(crate) fn points(&self, rule: &RuleModel) -> Points {
        let peers = self.peers(rule);
        let mut points = Vec::new();
        for atom in self.atoms.iter().copied().filter(|atom| within(rule.slice, *atom)) {
            let wide = self.is_wide(rule, atom);
            points.push((atom, peers.iter().map(|peer| self.decide(rule, atom, peer, wide)).collect()));
        }
        points
    }

    fn peers(&self, rule: &RuleModel) -> Vec<Single<'_>> {
        match rule.peer.as_str() {
            id if id.starts_with("sg-") => vec![Single::Group],
            id if id == LISTS[3] => vec![Single::Aws("aws:s3")],
            id if id == LISTS[4] => vec![Single::Aws("aws:cloudfront")],
            id if id == LISTS[5] || id == LISTS[6] => vec![Single::Unreadable],
            _ => self.cells.iter().filter(|cell| cell.is_in(&addresses(rule))).map(Single::Address).collect(),
        }
    }

    fn decide(&self, rule: &RuleModel, atom: (u8, u16), peer: &Single<'_>, wide: bool) -> Said {
        let class = class(rule, peer);
        for clause in &self.clauses {
            let opened = ports(rule.slice);
            if self.speaks(clause)
                && clause.egress == rule.egress
                && clause.width.0.is_none_or(|fewer| fewer < opened)
                && clause.width.1.is_none_or(|most| opened <= most)
                && clause.traffic.iter().any(|slice| within(*slice, atom))
                && clause.peers.iter().any(|word| self.covers(word, rule, peer, wide))
            {
                return self.said(clause, rule, class);
            }
        }
        let otherwise = self.world.policy.otherwise();
        let (clause, verdict, severity) = match peer {
            Single::Unreadable => ("unreadable-prefix-list", otherwise.max(Verdict::Report), Severity::High),
            _ => ("uncovered", otherwise, Severity::Medium),
        };
        let severity = (verdict != Verdict::Allow).then_some(severity);
        Said { clause: clause.to_owned(), class, verdict, severity, strong: false, names_cluster_groups: false }
    }

    fn said(&self, clause: &Clause, rule: &RuleModel, class: &'static str) -> Said {
        let roles = self.roles();
        let mut verdict = clause.verdict;
        if roles.contains(&Role::LoadBalancer) && roles.len() > 1 && !clause.beside_load_balancer {
            verdict = verdict.min(Verdict::Report);
        }
        let single = matches!(rule.slice, (Some(6 | 17), from, to) if from == to);
        let is_tcp = |ports: &[u16]| rule.slice.0 == Some(6) && ports.contains(&rule.slice.1);
        let logins = is_tcp(&[22, 3389, 5985, 5986]);
        let trusted = match self.world.author {
            Author::Controller => true,
            Author::Unknown => !is_tcp(&[2379, 2380, 10250, 10255]),
            Author::Service | Author::WebIdentity => !logins && !is_tcp(&[2379, 2380, 10250, 10255]),
            Author::Other => false,
        };
        let controllers = self.is_marked(rule) && single && trusted;
        if let Some(milder) = clause.for_controller
            && controllers
        {
            verdict = verdict.min(milder);
        }
        let opened = ports(rule.slice);
        if let Some(milder) = clause.in_passing
            && (257..32768).contains(&opened)
        {
            verdict = verdict.min(milder);
        }
        let mut severity = clause.severity;
        if let Some(of_ranges) = clause.of_ranges
            && !single
        {
            severity = of_ranges;
        }
        if let Some(of_broad) = clause.of_broad
            && opened >= 257
        {
            severity = of_broad;
        }
        if let Some(of_controllers) = clause.of_controllers
            && controllers
        {
            severity = of_controllers;
        }
        let of_cluster = |word: &&str| {
            word.starts_with("sg-") || word.starts_with("role:") || ["self", "same-cluster"].contains(word)
        };
        Said {
            clause: clause.id.clone(),
            class,
            verdict,
            severity: (verdict != Verdict::Allow).then_some(severity),
            strong: self.world.roles.iter().any(|(role, strong)| *strong && clause.roles.contains(role)),
            names_cluster_groups: clause.user && clause.peers.iter().any(of_cluster),
        }
    }

    /// Whether a controller may have written it, as far as its text shows.
    fn is_marked(&self, rule: &RuleModel) -> bool {
        match rule.mark {
            Mark::Nothing => false,
            Mark::Description(text) => {
                text == "elbv2.k8s.aws/targetGroupBinding=shared" || text.find("kubernetes.io/rule/nlb/") == Some(0)
            }
            Mark::Tag(cluster) => self.world.clusters.contains(&cluster),
        }
    }

    fn roles(&self) -> Vec<Role> {
        self.world.roles.iter().map(|(role, _)| *role).collect()
    }

    /// Whether the clause speaks of this group, here and now.
    fn speaks(&self, clause: &Clause) -> bool {
        let roles = self.roles();
        let today = self.world.now.to_string();
        roles.iter().any(|role| clause.roles.contains(role))
            && (!clause.only || roles.iter().all(|role| clause.roles.contains(role)))
            // Days written year first compare as text.
            && clause.expires.is_none_or(|last| today.get(..10).unwrap() <= last)
            && clause.limit.is_none_or(|(key, value)| match key {
                "group" => value == ITSELF,
                "cluster" => named(value, self.cluster),
                "except_cluster" => !named(value, self.cluster),
                "account" => value == "111122223333",
                _ => value == "us-east-1",
            })
    }

    fn covers(&self, word: &str, rule: &RuleModel, peer: &Single<'_>, wide: bool) -> bool {
        let group = |ids: &[&str]| matches!(peer, Single::Group) && ids.contains(&rule.peer.as_str());
        let itself_is = |role: Role| group(&[ITSELF]) && self.world.roles.contains(&(role, true));
        let address = |is: fn(&Cell) -> bool| matches!(peer, Single::Address(cell) if is(cell));
        match word {
            "anywhere" => true,
            "private" => address(Cell::is_private),
            "internet" => address(|cell| !cell.is_private()),
            "wide-internet" => wide && address(|cell| !cell.is_private()),
            "vpc" => address(|cell| cell.is_in(&VPC)),
            "self" => group(&[ITSELF]),
            "same-cluster" => group(&GROUPS[1..3]),
            "role:node" => group(&GROUPS[1..2]) || itself_is(Role::Node),
            "role:load-balancer" => group(&GROUPS[2..3]) || itself_is(Role::LoadBalancer),
            "other-group" => group(&GROUPS[3..]),
            "other-account-group" => group(&GROUPS[4..]),
            _ if word.starts_with("aws:") => matches!(peer, Single::Aws(list) if *list == word),
            _ if word.contains('/') => matches!(peer, Single::Address(cell) if cell.is_in(&[word])),
            _ => word == rule.peer,
        }
    }

    /// Whether the rule is wide for this packet: alone, or because of all small ones that let it in. Each of the spaces,
    /// IPv4, IPv6 and IPv4 within IPv6, is counted for itself.
    fn is_wide(&self, rule: &RuleModel, atom: (u8, u16)) -> bool {
        let is_mapped = |cell: &Cell| cell.is_in(&[MAPPED]);
        let spaces: [(u128, &dyn Fn(&Cell) -> bool); 3] =
            [(1 << 16, &|cell| !cell.v6), (1 << 96, &|cell| cell.v6), (1 << 16, &is_mapped)];
        spaces.into_iter().any(|(threshold, of_space)| {
            let space: Vec<&Cell> = self.cells.iter().filter(|cell| of_space(cell) && !cell.is_private()).collect();
            let count = |rules: &[&RuleModel]| {
                let let_in = |cell: &&&Cell| rules.iter().any(|rule| cell.is_in(&addresses(rule)));
                space.iter().filter(let_in).fold(0_u128, |sum, cell| sum.saturating_add(cell.size))
            };
            let own = count(&[rule]);
            let small: Vec<&RuleModel> = self
                .world
                .rules
                .iter()
                .filter(|other| other.egress == rule.egress && within(other.slice, atom) && count(&[other]) < threshold)
                .collect();
            own >= threshold || own > 0 && count(&small) >= threshold
        })
    }
}

fn addresses(rule: &RuleModel) -> Vec<&str> {
    let entries = ENTRIES.iter().find(|(id, _)| *id == rule.peer).map(|(_, entries)| entries.to_vec());
    entries.unwrap_or_else(|| if rule.peer.contains('/') { vec![rule.peer.as_str()] } else { Vec::new() })
}

fn class(rule: &RuleModel, peer: &Single<'_>) -> &'static str {
    match peer {
        Single::Address(cell) if cell.is_private() => "private",
        Single::Address(_) => "internet",
        Single::Group if rule.peer == ITSELF => "self",
        Single::Group if GROUPS[1..3].contains(&rule.peer.as_str()) => "same-cluster",
        Single::Group => "other-group",
        Single::Aws(word) => word,
        Single::Unreadable => "unreadable",
    }
}

/// Whether a glob with a star at one of its ends matches.
fn named(glob: &str, cluster: &str) -> bool {
    match (glob.strip_prefix('*'), glob.strip_suffix('*')) {
        (Some(end), _) => cluster.ends_with(end),
        (_, Some(start)) => cluster.starts_with(start),
        _ => cluster == glob,
    }
}

/// How many ports a rule opens: of every protocol more than any number, of ICMP one for a type.
fn ports((protocol, from, to): Slice) -> u32 {
    match protocol {
        None => u32::MAX,
        Some(1 | 58) if (from, to) != (0, u16::MAX) => 1,
        _ => u32::from(to - from) + 1,
    }
}

fn within((protocol, from, to): Slice, atom: (u8, u16)) -> bool {
    protocol.is_none_or(|number| number == atom.0) && from <= atom.1 && atom.1 <= to
}

/// Per protocol of interest: both ends of each slice, and what lies just beyond them.
fn atoms(slices: &[Slice]) -> Vec<(u8, u16)> {
    let mut atoms = BTreeSet::new();
    for protocol in [1, 4, 6, 17, 41, 47, 58, 99, 137, 255] {
        atoms.extend([(protocol, 0), (protocol, u16::MAX)]);
        for (_, from, to) in slices.iter().filter(|(number, ..)| number.is_none_or(|number| number == protocol)) {
            let ports = [from.checked_sub(1), Some(*from), Some(*to), to.checked_add(1)];
            atoms.extend(ports.into_iter().flatten().map(|port| (protocol, port)));
        }
    }
    atoms.into_iter().collect()
}
