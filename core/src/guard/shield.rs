//! What must not be closed because a cluster depends on it: a known rule without which something that the cluster needs, and
//! has, would not be open any more. A new rule keeps nothing: it is revoked as any other, and it is no reason to give up a
//! known one.
//!
//! Owns: which known rules stay, and when the facts for it are read. Must not: know requirements (the policy does) or do
//! anything.

use std::collections::BTreeSet;

use crate::cluster::topology::{Of, Topology};
use crate::inventory::Inventory;
use crate::model::error::chain;
use crate::model::group::Group;
use crate::model::rule::Rule;
use crate::model::text;
use crate::plan::{Intent, Step, worst_first};
use crate::policy::model::Policy;
use crate::policy::requirement::{Lost, Unmet, lost_without};
use crate::report::outcome::Left;

/// Requirements that are written out for one rule.
const MAX_NAMED: usize = 3;

/// What is known of the clusters that a group belongs to.
#[derive(Clone, Debug, PartialEq)]
pub enum Shield {
    /// Nothing, for nobody asked yet: no known rule is revoked meanwhile.
    Unasked,
    /// What is attached to their interfaces, and which rules that has.
    Read(Vec<Topology>),
    /// It could not be read, and why.
    Unreadable(String),
}

impl Shield {
    /// Reads the facts: costly, so only for a group with a known rule that is to be revoked.
    pub(super) async fn read(inventory: &Inventory, group: &Group) -> Self {
        let mut topologies = Vec::new();
        let of = Of::With(BTreeSet::from([group.id.clone()]));
        for cluster in &group.clusters {
            match inventory.whole_topology(cluster, &of).await {
                Ok(topology) => topologies.extend(topology),
                Err(error) => return Self::Unreadable(format!("what cluster `{cluster}` needs: {}", chain(&error))),
            }
        }
        Self::Read(topologies)
    }

    /// Keeps from being revoked what must not be. The steps are those of `group` as it is now; `is_new`:
    /// which rules of it are. Steps that wait for the facts are left out.
    pub fn over(
        &self,
        policy: &Policy,
        group: &Group,
        is_new: impl Fn(&Rule) -> bool,
        mut steps: Vec<Step>,
    ) -> Vec<Step> {
        match self {
            Self::Unasked => steps.retain(|step| !step.revokes_known()),
            Self::Unreadable(why) => {
                for step in steps.iter_mut().filter(|step| step.revokes_known()) {
                    step.intent = Intent::Postpone(format!("not revoked, because it could not be read {why}"));
                }
            }
            Self::Read(topologies) => keep(policy, topologies.clone(), group, is_new, &mut steps),
        }
        steps
    }
}

/// Worst first, each on what those before it leave.
fn keep(
    policy: &Policy,
    mut topologies: Vec<Topology>,
    group: &Group,
    is_new: impl Fn(&Rule) -> bool,
    steps: &mut [Step],
) {
    let stays = |id: &str| steps.iter().any(|step| step.finding.rule.id == id && !step.intent.closes());
    // The rules as they were judged, without the new ones that go or that nobody judged yet.
    let rules = group.rules.iter().filter(|rule| !is_new(rule) || stays(&rule.id));
    let rules: Vec<_> = rules.cloned().collect();
    for topology in &mut topologies {
        topology.rules.insert(group.id.clone(), rules.clone());
    }
    let mut revokes: Vec<&mut Step> = steps.iter_mut().filter(|step| step.revokes_known()).collect();
    worst_first(&mut revokes);
    let mut kept = Vec::new();
    for step in revokes {
        if let Some(why) = kept_for(policy, &topologies, group, step) {
            kept.push((step, why));
            continue;
        }
        for topology in &mut topologies {
            topology.remove(&group.id, &step.finding.rule.id);
        }
    }
    for (step, why) in kept {
        // What else has to be opened first, because others go.
        let (why, instead) = kept_for(policy, &topologies, group, step).unwrap_or(why);
        step.intent = Intent::Refuse(why);
        step.for_people.left = Some(Left::Needed);
        step.for_people.instead = instead;
    }
}

/// Why a rule is kept, if one of the clusters depends on it, and the rules that would do instead.
fn kept_for(policy: &Policy, topologies: &[Topology], group: &Group, step: &Step) -> Option<(String, Vec<Rule>)> {
    topologies.iter().find_map(|topology| {
        let lost = lost_without(policy, topology, &group.id, &step.finding.rule);
        (!lost.is_empty()).then(|| (why(&topology.cluster, &group.id, &lost), instead(&lost)))
    })
}

/// Each once; none where they would not do for all that is lost.
fn instead(lost: &[Lost<'_>]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for rule in lost.iter().flat_map(|lost| &lost.instead) {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    if lost.iter().any(|lost| lost.instead.is_empty()) { Vec::new() } else { rules }
}

fn why(cluster: &str, group: &str, lost: &[Lost<'_>]) -> String {
    let first = lost.iter().map(|lost| &lost.unmet).take(MAX_NAMED);
    let falls: Vec<String> = first
        .clone()
        .map(|unmet| {
            let (id, interfaces) = (&unmet.requirement.id, unmet.interfaces());
            format!("`{id}` would not be met: {interfaces} would have no {}", unmet.what())
        })
        .collect();
    let rest = lost.len().saturating_sub(MAX_NAMED);
    let more = if rest > 0 { format!("; and {} more", text::count(rest, "requirement")) } else { String::new() };
    let opens: BTreeSet<String> = first.map(Unmet::what).collect();
    let opens: Vec<String> = opens.into_iter().collect();
    format!(
        "cluster `{cluster}` depends on this rule; without it {}{more}. First open {} in `{group}` by rules that let in no \
         more than that; then this one can go",
        falls.join("; "),
        text::and(&opens)
    )
}
