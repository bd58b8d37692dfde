//! Rules that other rules of their group cover: one alone, or several together.
//!
//! Must not: call one covered that is needed to cover another.

use std::collections::BTreeSet;

use crate::model::group::Group;
use crate::model::region::{Addresses, Traffic, cut_out, span};
use crate::model::rule::{Direction, Peer, Rule};

/// Rules of one group that are compared with each other. A group has at most a thousand.
const MAX_COMPARED: usize = 1_000;

/// Each that can go, with the rule that covers it; `None`: others do together.
pub(super) fn redundant(group: &Group) -> Vec<(&Rule, Option<&Rule>)> {
    let mut found = Vec::new();
    if group.rules.len() > MAX_COMPARED {
        return found;
    }
    let all: Vec<Compared<'_>> = group.rules.iter().map(Compared::of).collect();
    let by = |at: usize, one: &Compared<'_>| {
        let mut others = all.iter().enumerate().filter(|(other, _)| *other != at);
        // Of two that cover each other the first one stays.
        let wider = others.find(|(other, wider)| wider.covers(one) && (*other < at || !one.covers(wider)));
        wider.map(|(_, wider)| wider.rule)
    };
    // What is called covered covers nothing else: each of these can go, and the others stay.
    let mut gone = BTreeSet::new();
    for (at, one) in all.iter().enumerate() {
        if let Some(wider) = by(at, one) {
            found.push((one.rule, Some(wider)));
            gone.insert(at);
        }
    }
    for (at, one) in all.iter().enumerate() {
        if !gone.contains(&at) && is_covered_together(&all, at, one, &gone) {
            found.push((one.rule, None));
            gone.insert(at);
        }
    }
    found
}

/// A rule, and what of it is compared with each other one: side by side, since most differ in that.
struct Compared<'g> {
    direction: Direction,
    /// First and last point of its packets.
    span: (u32, u32),
    rule: &'g Rule,
}

impl<'g> Compared<'g> {
    fn of(rule: &'g Rule) -> Self {
        Self { direction: rule.direction, span: span(rule.packets), rule }
    }

    fn covers(&self, other: &Self) -> bool {
        let ((from, to), (first, last)) = (self.span, other.span);
        from <= first
            && last <= to
            && self.direction == other.direction
            && covers_peer(&self.rule.peer, &other.rule.peer)
    }

    fn meets(&self, other: &Self) -> bool {
        let ((from, to), (first, last)) = (self.span, other.span);
        first <= to && from <= last && self.direction == other.direction
    }
}

/// Whether the other rules together let in all of it.
fn is_covered_together(all: &[Compared<'_>], at: usize, one: &Compared<'_>, gone: &BTreeSet<usize>) -> bool {
    let Peer::Cidr(net) = &one.rule.peer else { return false };
    let meeting = all.iter().enumerate().filter(|(other_at, other)| *other_at != at && one.meets(other));
    let meeting = meeting.filter_map(|(other_at, Compared { rule: other, .. })| {
        let Peer::Cidr(of_other) = &other.peer else { return None };
        let counts = (of_other.contains(net) || net.contains(of_other)) && !gone.contains(&other_at);
        counts.then(|| (Addresses::from(*of_other), Traffic::from(other.packets)))
    });
    let mut meeting = meeting.peekable();
    // Mostly there is none.
    if meeting.peek().is_none() {
        return false;
    }
    let mut rest = vec![(Addresses::from(*net), Traffic::from(one.rule.packets))];
    for (addresses, traffic) in meeting {
        (rest, _) = cut_out(rest, (&addresses, &traffic));
        if rest.is_empty() {
            return true;
        }
        if rest.len() > MAX_COMPARED {
            return false;
        }
    }
    false
}

fn covers_peer(wider: &Peer, peer: &Peer) -> bool {
    match (wider, peer) {
        (Peer::Cidr(wider), Peer::Cidr(net)) => wider.contains(net),
        (wider, peer) => wider.same(peer),
    }
}
