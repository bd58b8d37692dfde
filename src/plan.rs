//! Turns findings into steps: what we intend to do, as a value. Modes, guards and limits live here and change the plan,
//! never the verdict. Must not: do any of it.

use crate::event::{Actor, Claim, Named, NamedRule};
use crate::group::Group;
use crate::policy::controller::Author;
use crate::policy::judge::{Finding, Place, Portion, judge};
use crate::policy::{Mode, Policy, Verdict};
use crate::rule::{Direction, Peer, Rule};
use jiff::Timestamp;

/// The two modes of the environment, already capped: the sweep mode never does more than the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// What named rules follow (`GUARD_MODE`).
    pub named: Mode,
    /// What all other rules follow (`GUARD_SWEEP_MODE`).
    pub others: Mode,
}

impl Modes {
    /// `GUARD_MODE=report` is the stop button: it caps sweeps too.
    pub fn new(mode: Mode, sweep_mode: Mode) -> Self {
        Self { named: mode, others: mode.min(sweep_mode) }
    }

    /// The same, with the cap of the group's clusters.
    #[must_use]
    pub fn for_group(self, policy: &Policy, group: &Group) -> Self {
        let cap = policy.mode_of(&group.clusters).unwrap_or(Mode::Enforce);
        Self { named: self.named.min(cap), others: self.others.min(cap) }
    }
}

/// What we intend to do about one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Nothing: it is allowed.
    None,
    /// Tell people; why we do not do more, if the verdict asks for more.
    Report(Option<String>),
    /// Tell people what we would revoke in mode `enforce`, and which setting keeps us.
    WouldRevoke(String),
    /// Revoke it.
    Revoke,
    /// A guard forbids it.
    Refuse(String),
    /// Too many at once; another invocation may do it, so this one ends in an error.
    Postpone(String),
}

/// One finding with what we intend.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What the policy says.
    pub finding: Finding,
    /// Whether the event named the rule.
    pub named: bool,
    /// What to do.
    pub intent: Intent,
}

/// What an invocation knows besides the group.
#[derive(Clone, Copy, Debug)]
pub struct Brief<'a> {
    /// The policy in force.
    pub policy: &'a Policy,
    /// Account and region.
    pub place: Place<'a>,
    /// For expiries.
    pub now: Timestamp,
    /// From the environment.
    pub modes: Modes,
    /// Who made the call; `None` in a sweep.
    pub actor: Option<&'a Actor>,
    /// What the event names in this group.
    pub named: &'a Named,
}

/// Judges the live rules of a group and says what to do about each.
pub fn plan(brief: Brief<'_>, group: &Group) -> Vec<Step> {
    let modes = brief.modes.for_group(brief.policy, group);
    let author = |rule: &Rule| match brief.actor {
        Some(actor) if is_named(brief.named, rule) => Author::of(actor, brief.policy, group),
        _ => Author::Unknown,
    };
    let findings = judge(brief.policy, group, brief.place, brief.now, author);
    let step = |finding: Finding| {
        let named = is_named(brief.named, &finding.rule);
        let intent = intend(&finding, group, named, modes);
        Step { finding, named, intent }
    };
    findings.into_iter().map(step).collect()
}

/// What the policy would say of rules that the event claims and that are not there. Nothing is done about them; the
/// verdict only tells whether people need to know.
pub fn judge_claims(brief: Brief<'_>, group: &Group, claims: &[NamedRule]) -> Vec<Finding> {
    let rule = |named: &NamedRule| {
        let Claim { direction, packets, peer } = named.claim.clone()?;
        // Only a modified rule comes without direction; of the two, ingress is the one to worry about.
        let direction = direction.unwrap_or(Direction::Ingress);
        let id = named.id.clone().unwrap_or_default();
        Some(Rule { id, direction, packets, peer, description: None, tags: std::collections::BTreeMap::new() })
    };
    let claimed = Group { rules: claims.iter().filter_map(rule).collect(), ..group.clone() };
    judge(brief.policy, &claimed, brief.place, brief.now, |_| Author::Unknown)
}

/// Whether the event names this live rule: by id, or without id by equal content.
pub fn is_named(named: &Named, rule: &Rule) -> bool {
    match named {
        Named::Nothing => false,
        Named::Everything => true,
        Named::Rules(rules) => rules.iter().any(|named| names(named, rule)),
    }
}

/// Whether this named rule is that live rule.
pub fn names(named: &NamedRule, rule: &Rule) -> bool {
    match (&named.id, &named.claim) {
        (Some(id), _) => *id == rule.id,
        (None, Some(claim)) => {
            claim.direction.is_none_or(|direction| direction == rule.direction)
                && claim.packets == rule.packets
                && claim.peer.same(&rule.peer)
        }
        (None, None) => false,
    }
}

fn intend(finding: &Finding, group: &Group, named: bool, modes: Modes) -> Intent {
    match finding.verdict {
        Verdict::Allow => return Intent::None,
        Verdict::Report => return Intent::Report(None),
        Verdict::Revoke => {}
    }
    let asking = || finding.portions.iter().filter(|portion| portion.verdict == Verdict::Revoke);
    if !asking().any(|portion| portion.strong) {
        let why = "only weak evidence, such as ordinary tags, says what this group is to the cluster, so the rule was left alone";
        return Intent::Report(Some(why.to_owned()));
    }
    if is_among_cluster_groups(&finding.rule.peer, group)
        && !asking().any(|portion: &Portion| portion.names_cluster_groups)
    {
        let why = "the peer is a group of the same cluster, and no clause of your own names it";
        return Intent::Refuse(why.to_owned());
    }
    match (named, if named { modes.named } else { modes.others }) {
        (_, Mode::Enforce) => Intent::Revoke,
        (true, Mode::Report) => Intent::WouldRevoke("the mode is `report`".to_owned()),
        (false, Mode::Report) => {
            let why = "the rule was not named by an event, and such rules are only reported (`GUARD_SWEEP_MODE`)";
            Intent::WouldRevoke(why.to_owned())
        }
    }
}

fn is_among_cluster_groups(peer: &Peer, group: &Group) -> bool {
    matches!(peer, Peer::Group { id, .. } if *id == group.id || group.peers.get(id).is_some_and(|peer| peer.same_cluster))
}

/// Keeps at most `max` revokes over all steps, named ones first, then by severity; the rest is refused.
pub fn limit<'a>(steps: impl IntoIterator<Item = &'a mut Step>, max: usize) {
    let mut revokes: Vec<&mut Step> = steps.into_iter().filter(|step| step.intent == Intent::Revoke).collect();
    revokes.sort_by_key(|step| std::cmp::Reverse((step.named, step.finding.severity)));
    for step in revokes.into_iter().skip(max) {
        step.intent = Intent::Postpone(format!("one invocation may revoke {max} rules (`GUARD_MAX_REVOKES`)"));
    }
}
