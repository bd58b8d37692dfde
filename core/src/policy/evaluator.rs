//! A policy cut to one group in one of its clusters: judges each rule of it.
//!
//! The first clause that covers a *portion* of a rule decides that portion; the rule's verdict is the worst of its portions.
//! Must not: know which clauses count (the cut has those that do).

use std::borrow::Cow;

use fixedbitset::FixedBitSet;

use crate::model::group::{Group, Role};
use crate::model::region::{Traffic, span};
use crate::model::rule::{Packets, Rule};
use crate::policy::controller::{Author, is_controllers};
use crate::policy::cut::{Active, Cut};
use crate::policy::judged::{JudgedRule, Portion, UNREADABLE_LIST};
use crate::policy::model::{Origin, PeerClass, PeerTerm, Policy, Severity, Verdict};
use crate::policy::peers::{PeerKind, Peers, ReachedPeers};

/// Everything about a policy and a group that does not depend on the rule.
pub(super) struct Evaluator<'a> {
    group: &'a Group,
    otherwise: Verdict,
    pub(super) peers: Peers<'a>,
    cut: &'a Cut<'a>,
    /// Stands for the peers of a rule that are no addresses.
    everything: FixedBitSet,
    /// It is attached to a load balancer, and to something else.
    is_beside_load_balancer: bool,
}

/// What a clause takes of the peer of a rule.
#[derive(Clone, Copy)]
enum Take<'c> {
    Nothing,
    Classes(&'c FixedBitSet),
    All,
}

/// A range of traffic with the position, among those in force, of the clause that decides it, and the class of its peers.
type Decided = ((usize, PeerClass), (u128, u128));

impl<'a> Evaluator<'a> {
    pub(super) fn new(policy: &Policy, group: &'a Group, cut: &'a Cut<'a>) -> Self {
        let roles = group.role_set();
        let is_beside_load_balancer = roles.contains(&Role::LoadBalancer) && roles.len() > 1;
        let (otherwise, peers, everything) = (policy.otherwise, Peers::new(group, cut), FixedBitSet::from_iter([0]));
        Self { group, otherwise, peers, cut, everything, is_beside_load_balancer }
    }

    pub(super) fn judge(&self, rule: &Rule, reach: Option<&ReachedPeers>, author: Author) -> JudgedRule {
        let controller = is_controllers(rule, author, self.group);
        let portion = |part: &[Decided]| {
            let &((at, class), _) = part.first()?;
            let traffic = Traffic::from_points(part.iter().map(|(_, range)| *range));
            Some(match self.cut.clauses.get(at) {
                Some(active) => self.portion(active, rule, controller, class, traffic),
                None => self.uncovered(class, traffic),
            })
        };
        let decided = self.decided(rule, reach);
        let parts = || decided.chunk_by(|(one, _), (other, _)| one == other);
        // No more room than is needed: there are as many of these lists as rules, and most hold one.
        let mut portions = Vec::with_capacity(parts().count());
        portions.extend(parts().filter_map(portion));
        let verdict = portions.iter().map(|portion| portion.verdict).max().unwrap_or(Verdict::Allow);
        // What is allowed has none.
        let severity = portions.iter().filter_map(|portion| portion.severity).max();
        JudgedRule { rule: rule.clone(), verdict, severity, portions }
    }

    /// Which clause decides what, in the order of the clauses. Within a piece of traffic the clauses that speak of it are
    /// asked in order: each takes the classes of addresses that it covered, and the next one gets the rest. Groups and
    /// lists known by name are taken whole.
    fn decided(&self, rule: &Rule, reach: Option<&ReachedPeers>) -> Vec<Decided> {
        let kind = self.peers.kind(&rule.peer);
        let classes = reach.map_or(&self.everything, |reach| &reach.classes);
        let wide = reach.map(|reach| &reach.wide).filter(|wide| !wide.is_empty());
        let mut decided = Vec::new();
        let mut decide = |pieces: &mut dyn Iterator<Item = (usize, (u128, u128))>, is_wide| {
            // Of a single piece each clause is asked once.
            let mut takes: Vec<Option<Take<'_>>> = Vec::new();
            for (n, (class, range)) in pieces.enumerate() {
                if n == 1 {
                    takes.resize(self.cut.clauses.len(), None);
                }
                // Most often one clause takes all.
                let mut rest = Cow::Borrowed(classes);
                for at in self.cut.traffic.sets(class).chain([self.cut.clauses.len()]) {
                    let take = match (takes.get_mut(at), self.cut.clauses.get(at)) {
                        (Some(known), Some(active)) => {
                            *known.get_or_insert_with(|| self.take(active, rule, kind, is_wide))
                        }
                        (None, Some(active)) => self.take(active, rule, kind, is_wide),
                        (_, None) => Take::All,
                    };
                    let names = match take {
                        Take::Nothing => continue,
                        Take::Classes(classes) if rest.is_disjoint(classes) => continue,
                        Take::Classes(classes) => self.peers.names(kind, rest.intersection(classes)),
                        Take::All => self.peers.names(kind, rest.ones()),
                    };
                    decided.extend(names.into_iter().flatten().map(|name| ((at, name), range)));
                    match take {
                        Take::Classes(classes) if !rest.is_subset(classes) => rest.to_mut().difference_with(classes),
                        Take::Classes(_) | Take::Nothing | Take::All => break,
                    }
                }
            }
        };
        let (from, to) = span(rule.packets);
        match wide {
            None => decide(&mut self.cut.traffic.within(0, (from.into(), to.into())), false),
            Some(wide) => {
                let all = Traffic::from(rule.packets);
                decide(&mut self.cut.traffic.pieces(&(&all - wide)).into_iter(), false);
                decide(&mut self.cut.traffic.pieces(&(&all & wide)).into_iter(), true);
            }
        }
        decided.sort_by_key(|(part, _)| *part);
        decided
    }

    /// What a clause takes of the peer of a rule, where their traffic meets.
    fn take(&self, active: &'a Active<'a>, rule: &Rule, kind: PeerKind, is_wide: bool) -> Take<'a> {
        let clause = active.clause;
        if clause.direction != rule.direction || !clause.width.holds(rule.packets.port_count()) {
            Take::Nothing
        } else if clause.peers.iter().any(|word| self.peers.is_named(word, &rule.peer, kind)) {
            Take::All
        } else if matches!(kind, PeerKind::Addresses) {
            Take::Classes(if is_wide { &active.covered.where_wide } else { &active.covered.always })
        } else {
            Take::Nothing
        }
    }

    fn portion(
        &self,
        active: &Active<'_>,
        rule: &Rule,
        controller: bool,
        peer_class: PeerClass,
        traffic: Traffic,
    ) -> Portion {
        let clause = active.clause;
        let milder = [
            clause.for_controller.filter(|_| controller),
            clause.in_passing.filter(|_| !rule.packets.means_its_ports()),
        ];
        let is_softened = self.is_beside_load_balancer && !clause.beside_load_balancer;
        let verdict = if is_softened { clause.verdict.min(Verdict::Report) } else { clause.verdict };
        let verdict = milder.into_iter().flatten().fold(verdict, Verdict::min);
        // The most particular one first.
        let severities = [
            clause.severity_for_controller.filter(|_| controller),
            clause.severity_of_broad.filter(|_| rule.packets.port_count() > Packets::FEW_HUNDRED),
            clause.severity_of_ranges.filter(|_| !rule.packets.is_single_port()),
            clause.severity,
        ];
        let severity = severities.into_iter().flatten().next();
        let severity = if self.peers.is_nobody(&rule.peer) { severity.min(Some(Severity::Low)) } else { severity };
        Portion {
            clause: clause.id.clone(),
            position: Some(active.position),
            traffic,
            peer_class,
            addresses: None,
            verdict,
            severity: severity.filter(|_| verdict > Verdict::Allow),
            reason: clause.reason.clone(),
            strong: clause.roles.intersection(self.peers.strong_roles()).next().is_some(),
            names_cluster_groups: clause.origin == Origin::User
                && clause.peers.iter().any(PeerTerm::names_cluster_groups),
        }
    }

    fn uncovered(&self, peer_class: PeerClass, traffic: Traffic) -> Portion {
        let (clause, verdict, severity, reason) = if peer_class == PeerClass::Unreadable {
            (
                UNREADABLE_LIST,
                self.otherwise.max(Verdict::Report),
                Severity::High,
                "the prefix list could not be judged",
            )
        } else {
            ("uncovered", self.otherwise, Severity::Medium, "no clause of the policy speaks of this")
        };
        Portion {
            clause: clause.to_owned(),
            position: None,
            traffic,
            peer_class,
            addresses: None,
            verdict,
            severity: (verdict > Verdict::Allow).then_some(severity),
            reason: reason.to_owned(),
            strong: false,
            names_cluster_groups: false,
        }
    }
}
