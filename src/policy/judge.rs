//! The decision: a pure, total function from (policy, group, author, now) to findings. One evaluator for every entrance.
//!
//! The first clause that covers a *portion* of a rule decides that portion; the rule's verdict is the worst of its
//! portions. Must not: know modes, limits or events; they change the plan, never the verdict.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use jiff::Timestamp;
use wildmatch::WildMatch;

use crate::group::{AwsList, Group, PrefixList, Role};
use crate::policy::classes::{ClassId, Classes};
use crate::policy::controller::{Author, is_controllers};
use crate::policy::exposure;
use crate::policy::{Clause, Origin, Policy, Severity, Verdict, Word};
use crate::region::{Addresses, Traffic};
use crate::rule::{Direction, Peer, Rule};

/// Blocks that are private everywhere: RFC 1918, RFC 6598, link-local, unique local.
const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fe80::/10", "fc00::/7"];

/// `PRIVATE` as a set.
pub(super) fn private_everywhere() -> Addresses {
    PRIVATE.iter().filter_map(|text| text.parse::<IpNet>().ok()).collect()
}

/// Where the group lives, for exceptions that are limited to a place.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Twelve digits.
    pub account: &'a str,
    /// `us-east-1`, …
    pub region: &'a str,
}

/// A rule with its verdict, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule as it was read.
    pub rule: Rule,
    /// The worst of the portions.
    pub verdict: Verdict,
    /// The worst of the portions that are not allowed.
    pub severity: Option<Severity>,
    /// What decided each part of the rule, in the order of the clauses.
    pub portions: Vec<Portion>,
}

/// A part of a rule that one clause decided for one class of peers.
#[derive(Clone, Debug, PartialEq)]
pub struct Portion {
    /// The clause's id; `uncovered` and `unreadable-prefix-list` where no clause speaks.
    pub clause: String,
    /// Protocols and ports of the part.
    pub traffic: Traffic,
    /// `internet`, `private`, `self`, `same-cluster`, `other-group`, `unreadable` or the word of an AWS list.
    pub peer_class: &'static str,
    /// What the clause says here.
    pub verdict: Verdict,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// The clause's reason.
    pub reason: String,
    /// The clause speaks of a role that the group has by strong evidence.
    pub strong: bool,
    /// A clause of the user's that names groups of the cluster.
    pub names_cluster_groups: bool,
}

/// Judges every rule of the group, allowed ones included, in the order of `group.rules`.
pub fn judge(
    policy: &Policy,
    group: &Group,
    place: Place<'_>,
    now: Timestamp,
    author: impl Fn(&Rule) -> Author,
) -> Vec<Finding> {
    let court = Court::new(policy, group, place, now);
    let wide = court.wide();
    let rules = group.rules.iter().zip(wide);
    rules.map(|(rule, wide)| court.judge(rule, &wide, author(rule))).collect()
}

/// Everything about a policy and a group that does not depend on the rule.
struct Court<'a> {
    group: &'a Group,
    otherwise: Verdict,
    private: Addresses,
    classes: Classes,
    clauses: Vec<Active<'a>>,
    strong_roles: BTreeSet<Role>,
}

/// A clause that speaks of this group now.
struct Active<'a> {
    clause: &'a Clause,
    peers: Vec<Source<'a>>,
    bounds: (u32, u32),
    verdict: Verdict,
}

/// A word, with address sets replaced by their place in the partition.
enum Source<'a> {
    Set(usize),
    Word(&'a Word),
}

/// The kinds of peer that a rule is judged for one at a time.
enum Kind {
    Addresses(ClassId),
    Group { itself: bool },
    Aws(AwsList),
    Unreadable,
}

#[derive(Clone, Copy, PartialEq)]
enum Cover {
    No,
    /// Only where the rule is wide.
    Wide,
    Full,
}

const SET_PRIVATE: usize = 0;
const SET_VPC: usize = 1;

impl<'a> Court<'a> {
    fn new(policy: &'a Policy, group: &'a Group, place: Place<'_>, now: Timestamp) -> Self {
        let private = private_everywhere().with(&group.vpc_ranges).with(&group.remote_networks);
        let mut sets: Vec<&Addresses> = vec![&private, &group.vpc_ranges];
        let roles = group.role_set();
        let beside_load_balancer = roles.contains(&Role::LoadBalancer) && roles.len() > 1;
        let mut clauses = Vec::new();
        for clause in policy.clauses.iter().filter(|clause| speaks_of(clause, group, &roles, place, now)) {
            let Some(bounds) = clause.traffic.bounds() else { continue };
            let mut peers = Vec::new();
            for word in &clause.peers {
                peers.push(match word {
                    Word::Addresses(addresses) => {
                        sets.push(addresses);
                        Source::Set(sets.len() - 1)
                    }
                    word => Source::Word(word),
                });
            }
            let softened = beside_load_balancer && !clause.beside_load_balancer;
            let verdict = if softened { clause.verdict.min(Verdict::Report) } else { clause.verdict };
            clauses.push(Active { clause, peers, bounds, verdict });
        }
        let partition = Classes::new(&sets);
        let strong_roles = group.roles.iter().filter(|known| known.strong).map(|known| known.role).collect();
        Self { group, otherwise: policy.otherwise, private, classes: partition, clauses, strong_roles }
    }

    /// For each rule, the traffic where it is wide.
    fn wide(&self) -> Vec<Traffic> {
        let mut wide = vec![Traffic::default(); self.group.rules.len()];
        for direction in [Direction::Ingress, Direction::Egress] {
            let here: Vec<(usize, Traffic, Addresses)> = self
                .group
                .rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| rule.direction == direction)
                .map(|(at, rule)| (at, Traffic::from(rule.packets), self.addresses(rule).without(&self.private)))
                .filter(|(.., internet)| !internet.is_empty())
                .collect();
            let rules: Vec<_> = here.iter().map(|(_, traffic, internet)| (traffic, internet.clone())).collect();
            for ((at, ..), found) in here.iter().zip(exposure::wide(&rules)) {
                if let Some(slot) = wide.get_mut(*at) {
                    *slot = found;
                }
            }
        }
        wide
    }

    /// The addresses that a rule names itself or through a list judged by entries.
    fn addresses(&self, rule: &Rule) -> Addresses {
        match &rule.peer {
            Peer::Cidr(net) => std::iter::once(*net).collect(),
            Peer::PrefixList(id) => match self.group.prefix_lists.get(id) {
                Some(PrefixList::Entries(entries)) => entries.clone(),
                _ => Addresses::default(),
            },
            Peer::Group { .. } => Addresses::default(),
        }
    }

    fn judge(&self, rule: &Rule, wide: &Traffic, author: Author) -> Finding {
        let traffic = Traffic::from(rule.packets);
        let controller = is_controllers(rule, author, self.group);
        let mut parts: BTreeMap<(usize, &'static str), Traffic> = BTreeMap::new();
        for kind in self.kinds(rule) {
            let class = self.class_name(rule, &kind);
            let mut rest = traffic.clone();
            for (at, active) in self.clauses.iter().enumerate() {
                if active.clause.direction != rule.direction || !overlaps(active.bounds, &rest) {
                    continue;
                }
                let mut part = match self.cover(active, rule, &kind) {
                    Cover::No => continue,
                    Cover::Wide => &(&rest & &active.clause.traffic) & wide,
                    Cover::Full => &rest & &active.clause.traffic,
                };
                if part.is_empty() {
                    continue;
                }
                rest = &rest - &part;
                let seen = parts.entry((at, class)).or_default();
                part = Traffic::union([std::mem::take(seen), part]);
                *seen = part;
                if rest.is_empty() {
                    break;
                }
            }
            if !rest.is_empty() {
                let seen = parts.entry((self.clauses.len(), class)).or_default();
                *seen = Traffic::union([std::mem::take(seen), rest]);
            }
        }
        let portions: Vec<Portion> = parts
            .into_iter()
            .map(|((at, class), traffic)| match self.clauses.get(at) {
                Some(active) => self.portion(active, rule, controller, class, traffic),
                None => self.uncovered(class, traffic),
            })
            .collect();
        let verdict = portions.iter().map(|portion| portion.verdict).max().unwrap_or(Verdict::Allow);
        let severity =
            portions.iter().filter(|portion| portion.verdict > Verdict::Allow).filter_map(|p| p.severity).max();
        Finding { rule: rule.clone(), verdict, severity, portions }
    }

    fn portion(
        &self,
        active: &Active<'_>,
        rule: &Rule,
        controller: bool,
        peer_class: &'static str,
        traffic: Traffic,
    ) -> Portion {
        let clause = active.clause;
        let verdict = match clause.for_controller {
            Some(milder) if controller => active.verdict.min(milder),
            _ => active.verdict,
        };
        let severity = match clause.severity_of_ranges {
            Some(of_ranges) if !rule.packets.is_single_port() => Some(of_ranges),
            _ => clause.severity,
        };
        Portion {
            clause: clause.id.clone(),
            traffic,
            peer_class,
            verdict,
            severity: severity.filter(|_| verdict > Verdict::Allow),
            reason: clause.reason.clone(),
            strong: clause.roles.intersection(&self.strong_roles).next().is_some(),
            names_cluster_groups: clause.origin == Origin::User && clause.peers.iter().any(Word::names_cluster_groups),
        }
    }

    fn uncovered(&self, peer_class: &'static str, traffic: Traffic) -> Portion {
        let (clause, verdict, severity, reason) = if peer_class == "unreadable" {
            (
                "unreadable-prefix-list",
                self.otherwise.max(Verdict::Report),
                Severity::High,
                "the prefix list could not be judged",
            )
        } else {
            ("uncovered", self.otherwise, Severity::Medium, "no clause of the policy speaks of this")
        };
        Portion {
            clause: clause.to_owned(),
            traffic,
            peer_class,
            verdict,
            severity: (verdict > Verdict::Allow).then_some(severity),
            reason: reason.to_owned(),
            strong: false,
            names_cluster_groups: false,
        }
    }

    fn kinds(&self, rule: &Rule) -> Vec<Kind> {
        let list = |id| self.group.prefix_lists.get(id);
        match &rule.peer {
            Peer::Group { id, .. } => vec![Kind::Group { itself: *id == self.group.id }],
            Peer::PrefixList(id) if !matches!(list(id), Some(PrefixList::Entries(_))) => match list(id) {
                Some(PrefixList::Aws(aws)) => vec![Kind::Aws(*aws)],
                _ => vec![Kind::Unreadable],
            },
            Peer::Cidr(_) | Peer::PrefixList(_) => {
                self.classes.of(&self.addresses(rule)).into_iter().map(Kind::Addresses).collect()
            }
        }
    }

    fn class_name(&self, rule: &Rule, kind: &Kind) -> &'static str {
        match kind {
            Kind::Addresses(class) if self.classes.is_in(*class, SET_PRIVATE) => "private",
            Kind::Addresses(_) => "internet",
            Kind::Group { itself: true } => "self",
            Kind::Group { .. } if self.is_same_cluster(&rule.peer) => "same-cluster",
            Kind::Group { .. } => "other-group",
            Kind::Aws(list) => list.word(),
            Kind::Unreadable => "unreadable",
        }
    }

    fn is_same_cluster(&self, peer: &Peer) -> bool {
        matches!(peer, Peer::Group { id, .. } if self.group.peers.get(id).is_some_and(|peer| peer.same_cluster))
    }

    fn cover(&self, active: &Active<'_>, rule: &Rule, kind: &Kind) -> Cover {
        let mut cover = Cover::No;
        for place in &active.peers {
            let covers = match place {
                Source::Set(set) => matches!(kind, Kind::Addresses(class) if self.classes.is_in(*class, *set)),
                Source::Word(Word::WideInternet) => {
                    if self.is_internet(kind) {
                        cover = Cover::Wide;
                    }
                    false
                }
                Source::Word(word) => self.word_covers(word, &rule.peer, kind),
            };
            if covers {
                return Cover::Full;
            }
        }
        cover
    }

    fn is_internet(&self, kind: &Kind) -> bool {
        matches!(kind, Kind::Addresses(class) if !self.classes.is_in(*class, SET_PRIVATE))
    }

    fn word_covers(&self, word: &Word, peer: &Peer, kind: &Kind) -> bool {
        let is_in = |set| matches!(kind, Kind::Addresses(class) if self.classes.is_in(*class, set));
        let is_other = || matches!(kind, Kind::Group { itself: false }) && !self.is_same_cluster(peer);
        match word {
            Word::Anywhere => true,
            Word::Private => is_in(SET_PRIVATE),
            Word::Vpc => is_in(SET_VPC),
            Word::Internet => self.is_internet(kind),
            Word::PrefixList(id) => matches!(peer, Peer::PrefixList(list) if list == id),
            Word::Group(id) => matches!(peer, Peer::Group { id: peer, .. } if peer == id),
            Word::Aws(list) => matches!(kind, Kind::Aws(known) if known == list),
            Word::Itself => matches!(kind, Kind::Group { itself: true }),
            Word::SameCluster => matches!(kind, Kind::Group { itself: false }) && self.is_same_cluster(peer),
            Word::Role(role) => match kind {
                Kind::Group { itself: true } => self.strong_roles.contains(role),
                _ => matches!(peer, Peer::Group { id, .. } if self.group.peers.get(id)
                    .is_some_and(|peer| peer.same_cluster && peer.roles.contains(role))),
            },
            Word::OtherGroup => is_other(),
            // Both are told apart before: `Addresses` as a place of the partition, `WideInternet` by its cover.
            Word::Addresses(_) | Word::WideInternet => false,
        }
    }
}

fn overlaps(bounds: (u32, u32), traffic: &Traffic) -> bool {
    traffic.bounds().is_some_and(|(first, last)| bounds.0 <= last && first <= bounds.1)
}

fn speaks_of(clause: &Clause, group: &Group, roles: &BTreeSet<Role>, place: Place<'_>, now: Timestamp) -> bool {
    let limits = &clause.limits;
    let is = |limit: &Option<String>, value: &str| limit.as_deref().is_none_or(|limit| limit == value);
    clause.roles.intersection(roles).next().is_some()
        && (!clause.only || roles.is_subset(&clause.roles))
        && limits.holds_at(now)
        && is(&limits.group, &group.id)
        && is(&limits.account, place.account)
        && is(&limits.region, place.region)
        && limits
            .cluster
            .as_deref()
            .is_none_or(|glob| group.clusters.iter().any(|name| WildMatch::new(glob).matches(name)))
}
