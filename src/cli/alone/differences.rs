//! What two policies decide otherwise, for every kind of group, peer and rule.
//!
//! Must not: write text.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::specimens::{clusters, group, role_sets, rules};
use crate::cli::compare::{ComparedPart, Judged, Way, compare};
use crate::cli::widths::{self, Kind};
use crate::model::group::Role;
use crate::model::ids::Location;
use crate::model::rule::{Direction, Peer, Rule};
use crate::policy::controller::Author;
use crate::policy::judge::judge;
use crate::policy::model::Policy;

/// A part of what the policies say that differs.
pub(super) struct Difference {
    pub(super) way: Way,
    pub(super) direction: Direction,
    pub(super) part: ComparedPart,
    /// A rule of a great many addresses, or of few.
    pub(super) width: Option<&'static str>,
    /// Rules of which numbers of ports.
    pub(super) kinds: BTreeSet<Kind>,
    pub(super) roles: BTreeSet<Role>,
    pub(super) clusters: BTreeSet<String>,
}

impl Difference {
    /// Whether they are the same but for the clusters.
    fn is_same_elsewhere(&self, other: &Self) -> bool {
        (self.direction, self.width, &self.part, &self.kinds, &self.roles)
            == (other.direction, other.width, &other.part, &other.kinds, &other.roles)
    }
}

pub(super) fn differences(policies: [&Policy; 2], now: Timestamp) -> Vec<Difference> {
    let mut found: Vec<Difference> = Vec::new();
    let location = Location::new("111122223333", "us-east-1");
    let rules = rules(policies);
    let by_kind = by_kind(policies);
    for cluster in clusters(policies) {
        let mut here: Vec<Difference> = Vec::new();
        for roles in role_sets() {
            let group = group(&roles, &cluster, &rules, policies);
            let mut parts: Vec<(&Rule, ComparedPart, BTreeSet<Kind>)> = Vec::new();
            for (kinds, [before, after]) in &by_kind {
                let [old, new] = [before, after].map(|policy| judge(policy, &group, &location, now, |_| Author::Other));
                for ((old, new), rule) in old.iter().zip(&new).zip(&rules) {
                    let side = |policy, finding| Judged { policy, group: &group, finding };
                    let changed = compare(side(before, old), side(after, new)).map(|(_, parts)| parts);
                    for part in changed.unwrap_or_default() {
                        match parts.iter_mut().find(|(of, known, _)| *of == rule && *known == part) {
                            Some((.., known)) => known.extend(kinds),
                            None => parts.push((rule, part, kinds.clone())),
                        }
                    }
                }
            }
            for (rule, part, kinds) in parts {
                add(&mut here, rule, part, kinds, &roles, &cluster);
            }
        }
        for difference in here {
            match found.iter_mut().find(|known| known.is_same_elsewhere(&difference)) {
                Some(known) => known.clusters.extend(difference.clusters),
                None => found.push(difference),
            }
        }
    }
    found.sort_by_key(|difference| difference.way == Way::Milder);
    found
}

/// The policies for each kind of rule; kinds of which they say the same together.
fn by_kind(policies: [&Policy; 2]) -> Vec<(BTreeSet<Kind>, [Policy; 2])> {
    let mut found: BTreeMap<String, (BTreeSet<Kind>, [Policy; 2])> = BTreeMap::new();
    for kind in widths::kinds(policies) {
        let here = policies.map(|policy| widths::policy_for(policy, kind));
        let says = |policy: &Policy| {
            let clauses = policy.clauses.iter();
            clauses
                .map(|one| (one.id.clone(), one.limits.cluster.clone(), one.verdict, one.severity))
                .collect::<Vec<_>>()
        };
        let key = format!("{:?}", here.each_ref().map(says));
        found.entry(key).or_insert_with(|| (BTreeSet::new(), here)).0.insert(kind);
    }
    found.into_values().collect()
}

fn add(
    found: &mut Vec<Difference>,
    rule: &Rule,
    part: ComparedPart,
    kinds: BTreeSet<Kind>,
    roles: &BTreeSet<Role>,
    cluster: &str,
) {
    let width = match &rule.peer {
        Peer::Cidr(net) => Some(if net.prefix_len() == 0 { "a great many addresses" } else { "few addresses" }),
        _ => None,
    };
    let is_same = |known: &&mut Difference| {
        known.part == part
            && known.direction == rule.direction
            && known.kinds == kinds
            && (known.width == width || known.roles != *roles)
    };
    match found.iter_mut().find(is_same) {
        Some(known) => {
            known.roles.extend(roles);
            if known.width != width {
                known.width = None;
            }
        }
        None => found.push(Difference {
            way: Way::of(part.old.decision, part.new.decision),
            direction: rule.direction,
            part,
            width,
            kinds,
            roles: roles.clone(),
            clusters: [cluster.to_owned()].into(),
        }),
    }
}
