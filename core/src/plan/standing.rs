//! Whether a rule is new or known, the one function that decides it: each sentence of the design is a row of its test.
//!
//! Must not: read or keep anything, or know policies and modes; the plan says what follows.

use jiff::{SignedDuration, Timestamp};

use crate::event::Event;
use crate::model::baseline::{Context, KnownRule, Mark, Remembered};
use crate::model::group::{Group, by_policy_alone};
use crate::model::region::Traffic;
use crate::model::rule::{Peer, Rule};
use crate::policy::model::Verdict;
use crate::report::outcome::{Left, Told};

/// An `Authorize…` creates the rules of its response so long after it completed; later it was kept, replayed or redriven
/// somewhere, and only names them.
const CREATES_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What led us to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Led {
    /// The event made it, says the response.
    Created,
    /// The event gave it another content, by its id.
    Rewrote,
    /// The event speaks of it.
    Named,
    /// The event put its group on an attachment.
    Attached,
    /// It is of a group that we look at for another reason.
    Elsewhere,
}

impl Led {
    /// What an event is to the rules that it names: `Created` and `Rewrote` hold for those it names by id alone.
    pub fn by(event: Option<&Event>, now: Timestamp) -> Self {
        let Some(event) = event else { return Self::Elsewhere };
        let is_fresh = event.time.is_some_and(|time| now.duration_since(time) <= CREATES_FOR);
        match event.call {
            call if call.adds_rules() && is_fresh => Self::Created,
            call if call.rewrites_rules() && is_fresh => Self::Rewrote,
            call if call.attaches() => Self::Attached,
            _ => Self::Named,
        }
    }
}

/// What the state says of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Memory {
    /// There is no table.
    None,
    /// Nobody has the answer yet.
    Unasked,
    /// It could not be read, and why.
    Unreadable(String),
    /// It was read.
    Read(Remembered),
}

/// What a rule is to the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It follows `GUARD_MODE`.
    New,
    /// It follows `GUARD_SWEEP_MODE`.
    Known(Option<Told>),
    /// A revoke would cut somebody else: whom, and why, with what to do.
    Refused(Left, String),
    /// The state would say, and can't be read; why.
    Postponed(String),
    /// The state will say.
    Unasked,
}

impl Standing {
    /// Whether it is not new.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::New)
    }
}

/// Decides. `gained`: the worst that the policy says of the addresses that a prefix list of the rule's has and did not have
/// when it was known; `None` where it gained none.
pub fn standing(
    rule: &Rule,
    group: &Group,
    memory: &Memory,
    led: Led,
    gained: Option<Verdict>,
    now: Timestamp,
) -> Standing {
    let remembered = match (memory, led) {
        (Memory::None, Led::Attached) if group.is_shared => return Standing::Refused(Left::Shared, shared(group)),
        (_, Led::Created) | (Memory::None, Led::Rewrote | Led::Named | Led::Attached) => return Standing::New,
        (Memory::None | Memory::Unreadable(_), Led::Elsewhere) => return Standing::Known(None),
        (Memory::Unreadable(why), _) => {
            return Standing::Postponed(format!("the state can't be read, so nobody knows whether it is new: {why}"));
        }
        (Memory::Unasked, _) => return Standing::Unasked,
        (Memory::Read(remembered), _) => remembered,
    };
    if remembered.is_first_time(group.clusters_since, now) {
        return Standing::Known(remembered.looked_at.map(|_| Told::WhileNotLooking));
    }
    let Some(baseline) = &remembered.baseline else {
        return if remembered.was_there { Standing::Known(Some(Told::WhileNotLooking)) } else { Standing::New };
    };
    let is_it = |known: &&KnownRule| is_equal(&known.rule, rule) || is_narrowed(&known.rule, rule);
    let Some(KnownRule { context, mark, .. }) = baseline.rules.get(&rule.id).filter(is_it) else {
        // It may be what it was, and only our version learnt to read it; of one that this event rewrote nobody knows that.
        let may_be_it = baseline.undecoded.contains(&rule.id) && led != Led::Rewrote;
        return if may_be_it { Standing::Known(None) } else { Standing::New };
    };
    if gained == Some(Verdict::Revoke) {
        return Standing::New;
    }
    let told = match mark {
        Some(Mark::Claimed(ties)) if !group.ties.is_subset(ties) => return Standing::New,
        Some(Mark::Reporting) => Some(Told::WhileReporting),
        Some(Mark::Claimed(_)) | None => None,
    };
    in_context(context, group, remembered, rule).unwrap_or(Standing::Known(told))
}

/// What becomes of a known rule because its group is something else now.
fn in_context(then: &Context, group: &Group, remembered: &Remembered, rule: &Rule) -> Option<Standing> {
    let now = Context::from(group);
    if then.only_load_balancer && !now.only_load_balancer {
        return Some(Standing::New);
    }
    let gained: Vec<&String> = now.clusters.difference(&then.clusters).collect();
    let came_later = || remembered.began.is_some_and(|began| group.clusters_since.is_some_and(|since| since > began));
    match gained.as_slice() {
        [] => None,
        _ if then.clusters.is_empty() && then.is_shared => Some(Standing::Refused(Left::Shared, shared(group))),
        _ if came_later() => Some(Standing::New),
        // What changed is the policy, which breaks nothing that was there.
        _ if then.clusters.is_empty() => (!by_policy_alone(&group.roles)).then_some(Standing::New),
        names => Some(Standing::Refused(Left::OtherCluster, gained_a_cluster(rule, &group.id, names))),
    }
}

/// Whether a rule lets through the same. What is written beside it does not count.
pub fn is_equal(one: &Rule, other: &Rule) -> bool {
    one.direction == other.direction && one.packets == other.packets && one.peer.same(&other.peer)
}

/// Whether an edit only took something away from what was known: it opened nothing, and putting it back would.
pub fn is_narrowed(known: &Rule, rule: &Rule) -> bool {
    let covers = |known: &Peer, peer: &Peer| match (known, peer) {
        (Peer::Cidr(known), Peer::Cidr(net)) => known.contains(net),
        _ => known.same(peer),
    };
    known.direction == rule.direction
        && covers(&known.peer, &rule.peer)
        && Traffic::from(known.packets).covers(&Traffic::from(rule.packets))
        && !is_equal(known, rule)
}

fn shared(group: &Group) -> String {
    let id = &group.id;
    format!(
        "group `{id}` was attached to something outside of the cluster before, and a revoke would cut that too. Take it off \
         the cluster's interfaces: `aws ec2 modify-network-interface-attribute --network-interface-id eni-… --groups …` \
         with the other groups of each; `aws ec2 describe-network-interfaces --filters Name=group-id,Values={id}` lists them"
    )
}

fn gained_a_cluster(rule: &Rule, group: &str, clusters: &[&String]) -> String {
    let names: Vec<&str> = clusters.iter().map(|name| name.as_str()).collect();
    format!(
        "the rule was known before group `{group}` came to `{}` too, and a revoke would also cut the cluster that had it. \
         If nobody needs it: `aws ec2 revoke-security-group-{} --group-id {group} --security-group-rule-ids {}`",
        names.join("`, `"),
        rule.direction.word(),
        rule.id
    )
}

#[cfg(test)]
mod tests;
