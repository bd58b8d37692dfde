//! Turns findings into steps: what we intend to do, as a value. Guards and limits live here and, with the mode, change the
//! plan and never the verdict. Must not: do any of it.

pub mod modes;
pub mod put_back;
pub mod standing;

use crate::cluster::marks::INTERNAL_GROUP;
use crate::event::{Actor, Named, NamedRule};
use crate::model::baseline::Remembered;
use crate::model::group::{Group, PrefixList};
use crate::model::ids::Location;
use crate::model::mode::Restore;
use crate::model::region::Addresses;
use crate::model::rule::{Peer, Rule};
use crate::plan::modes::Modes;
use crate::plan::put_back::Former;
use crate::plan::standing::{Led, Memory, Standing, is_equal, standing};
use crate::policy::controller::{Author, is_controllers};
use crate::policy::exposure;
use crate::policy::judge::{Judge, JudgedRule, Portion, judge};
use crate::policy::model::{Mode, Policy, Severity, Verdict};
use crate::policy::peers::private_everywhere;
use crate::report::finding::ForPeople;
use crate::report::outcome::Left;
use ipnet::IpNet;
use jiff::Timestamp;

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
    /// Make it what it was known as before it was edited in place.
    PutBack,
    /// A guard forbids it.
    Refuse(String),
    /// Too many at once; another invocation may do it, so this one ends in an error.
    Postpone(String),
}

impl Intent {
    /// Whether it is to be closed, in one way or the other.
    pub fn closes(&self) -> bool {
        matches!(self, Self::Revoke | Self::PutBack)
    }
}

/// One finding with what we intend.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What the policy says.
    pub finding: JudgedRule,
    /// Whether the event named the rule.
    pub named: bool,
    /// Whether the event made the rule what it is.
    pub made: bool,
    /// Whether it is new or known.
    pub standing: Standing,
    /// What to do.
    pub intent: Intent,
    /// Why it is to be revoked where another setting of the policy says that it is only to be reported.
    pub setting: Option<String>,
    /// What it was known as, if it should be closed and was edited in place.
    pub former: Option<Former>,
    /// What decides when people hear of it.
    pub for_people: ForPeople,
}

impl Step {
    /// Whether it is to revoke a known rule.
    pub fn revokes_known(&self) -> bool {
        self.intent == Intent::Revoke && self.standing.is_known()
    }

    /// What is said of a revoke that worked: what went with it, and the setting that made it one.
    pub fn said_of_revoke(&self) -> Option<String> {
        let said: Vec<String> =
            self.former.as_ref().map(Former::lost).into_iter().chain(self.setting.clone()).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// What an invocation knows besides the group.
#[derive(Clone, Copy, Debug)]
pub struct PlanContext<'a> {
    /// The policy in force.
    pub policy: &'a Policy,
    /// Account and region.
    pub location: &'a Location,
    /// For expiries.
    pub now: Timestamp,
    /// From the environment.
    pub modes: Modes,
    /// Who made the call; `None` in a sweep.
    pub actor: Option<&'a Actor>,
    /// What the event names in this group.
    pub named: &'a Named,
    /// What the event is to the rules that it names.
    pub led: Led,
    /// What the state says of the group.
    pub memory: &'a Memory,
}

impl PlanContext<'_> {
    /// Whether a rule of this group is new.
    pub fn standing(self, rule: &Rule, group: &Group) -> Standing {
        standing(rule, group, self.memory, self.led_to(rule), self.gained(rule, group), self.now)
    }

    /// Whether the event made this rule what it is: created it, or gave it its content.
    pub fn is_made(self, rule: &Rule) -> bool {
        matches!(self.led_to(rule), Led::Created | Led::Rewrote)
    }

    fn led_to(self, rule: &Rule) -> Led {
        match self.led {
            _ if !is_named(self.named, rule) => Led::Elsewhere,
            Led::Created | Led::Rewrote if !self.names_by_id(rule) => Led::Named,
            Led::Created if self.is_other_than_said(rule) => Led::Rewrote,
            led => led,
        }
    }

    /// Whether the event says another content of this rule: somebody edited it since.
    fn is_other_than_said(self, rule: &Rule) -> bool {
        let Named::Rules(rules) = self.named else { return false };
        let of_it = rules.iter().filter(|named| named.id.as_ref() == Some(&rule.id));
        let mut said = of_it.filter_map(|named| named.claim.as_ref());
        said.any(|claim| claim.packets != rule.packets || !claim.peer.same(&rule.peer))
    }

    /// Who wrote a rule: says this event, or one before it, says the state.
    pub fn author(self, rule: &Rule, group: &Group) -> Author {
        // Who attaches a group or edits a list has not written its rules.
        let may_have_written = self.led != Led::Attached && !matches!(self.named, Named::Using(_));
        let speaks_of_it = may_have_written && is_named(self.named, rule);
        let caller = self.actor.filter(|_| speaks_of_it).map(|actor| Author::of(actor, self.policy, group));
        let remembered = || {
            let Memory::Read(Remembered { baseline: Some(baseline), .. }) = self.memory else { return None };
            let known = baseline.rules.get(&rule.id).filter(|known| is_equal(&known.rule, rule));
            Author::from_word(known?.author.as_deref()?)
        };
        let found = if self.is_made(rule) { caller } else { remembered().or(caller) };
        found.unwrap_or(Author::Unknown)
    }

    /// Whether new rules of this group are closed.
    pub fn is_enforced(self, group: &Group) -> bool {
        self.modes.of(self.policy, group, false).0 == Mode::Enforce
    }

    /// What a new rule was known as, if it was edited in place.
    fn former(self, rule: &Rule, group: &Group) -> Option<Former> {
        Former::of(rule, self.memory, |known| self.lost_because(known, group))
    }

    /// Why a rule must not become again what it was known as. That it is forbidden is no reason as long as it is known: then
    /// it was left open before, too.
    fn lost_because(self, known: &Rule, group: &Group) -> Option<String> {
        if self.modes.restore == Restore::Never {
            return Some("`GUARD_RESTORE` is `never`".to_owned());
        }
        if known.peer.prefix_list().is_some_and(|id| !group.prefix_lists.contains_key(id)) {
            return Some("what its prefix list holds now was not read".to_owned());
        }
        let gained = self.gained(known, group);
        let is_new = standing(known, group, self.memory, Led::Named, gained, self.now) == Standing::New;
        let is_forbidden = || {
            let group = Group { rules: vec![known.clone()], ..group.clone() };
            let judged = judge(self.policy, &group, self.location, self.now, |_| Author::Unknown);
            judged.iter().any(|judged| judged.verdict == Verdict::Revoke)
        };
        let why = "that is forbidden and counts as new: its prefix list or its group is not what it was then";
        (is_new && is_forbidden()).then(|| why.to_owned())
    }

    fn names_by_id(self, rule: &Rule) -> bool {
        let Named::Rules(rules) = self.named else { return false };
        rules.iter().any(|named| named.id.as_ref() == Some(&rule.id))
    }

    /// What the policy says of the addresses that the prefix list of a rule has and did not have when it was known. Those of
    /// AWS's own lists are AWS's business.
    fn gained(self, rule: &Rule, group: &Group) -> Option<Verdict> {
        let (id, entries, known) = self.list_now_and_known(rule, group)?;
        let gained = entries.without(&known);
        if gained.is_empty() {
            return None;
        }
        let mut group = Group { rules: vec![rule.clone()], ..group.clone() };
        group.prefix_lists.insert(id.to_owned(), PrefixList::Entries(gained));
        let judged = judge(self.policy, &group, self.location, self.now, |_| Author::Unknown);
        judged.first().map(|judged| judged.verdict)
    }

    /// The blocks of the prefix list of a rule that it did not have, or not whole, when it was known.
    fn blocks_gained(self, rule: &Rule, group: &Group) -> Vec<IpNet> {
        let Some((_, entries, known)) = self.list_now_and_known(rule, group) else { return Vec::new() };
        let is_new = |net: &IpNet| !known.covers(&Addresses::from(*net));
        entries.blocks().into_iter().filter(is_new).collect()
    }

    /// The prefix list of a rule, what it holds, and what it held when it was known.
    fn list_now_and_known<'g>(self, rule: &'g Rule, group: &'g Group) -> Option<(&'g str, &'g Addresses, Addresses)> {
        let (Memory::Read(remembered), Peer::PrefixList(id)) = (self.memory, &rule.peer) else { return None };
        let known = remembered.baseline.as_ref()?.lists.get(id)?;
        Some((id, group.entries_of(id)?, known.iter().copied().collect()))
    }
}

/// Judges the live rules of a group and says what to do about each.
pub fn plan(context: PlanContext<'_>, group: &Group) -> Vec<Step> {
    plan_by(&Judge::new(context.policy, context.location, context.now), context, group)
}

/// The same by a judge of the context's policy that has seen other groups.
pub fn plan_by(judge: &Judge<'_>, context: PlanContext<'_>, group: &Group) -> Vec<Step> {
    let author = |rule: &Rule| context.author(rule, group);
    let findings = judge.of(group, author);
    let modes = [false, true].map(|is_known| context.modes.of(context.policy, group, is_known));
    let is_enforced = context.is_enforced(group);
    let step = |mut finding: JudgedRule| {
        let named = is_named(context.named, &finding.rule);
        if is_only_claimed(group) {
            finding.severity = finding.severity.min(Some(Severity::Medium));
        }
        let standing = context.standing(&finding.rule, group);
        let [of_new, of_known] = &modes;
        let (mode, setting) = if standing.is_known() { of_known.clone() } else { of_new.clone() };
        let mut told = None;
        let mut intent = intend(&finding, group, mode, setting.as_deref());
        let mut left = matches!(intent, Intent::Refuse(_)).then_some(Left::SameCluster);
        if matches!(intent, Intent::Revoke | Intent::WouldRevoke(_)) && is_enforced {
            intent = match standing.clone() {
                Standing::Refused(for_whom, why) => {
                    left = Some(for_whom);
                    Intent::Refuse(why)
                }
                Standing::Postponed(why) => Intent::Postpone(why),
                Standing::Known(Some(why)) => {
                    told = Some(why);
                    finding.severity = Some(Severity::Critical);
                    match intent {
                        Intent::WouldRevoke(setting) => Intent::WouldRevoke(format!("{}; {setting}", why.why())),
                        other => other,
                    }
                }
                Standing::New | Standing::Known(None) | Standing::Unasked => intent,
            };
        }
        let setting = setting.filter(|_| intent == Intent::Revoke);
        let is_to_go = matches!(intent, Intent::Revoke | Intent::WouldRevoke(_));
        let is_new = standing == Standing::New;
        let former = (is_to_go && is_new).then(|| context.former(&finding.rule, group)).flatten();
        if let Some(former) = &former {
            intent = instead_of(intent, former);
        }
        let made = context.is_made(&finding.rule);
        let is_controllers = is_controllers(&finding.rule, author(&finding.rule), group);
        let has_gained = context.gained(&finding.rule, group) > Some(Verdict::Allow);
        let gained = context.blocks_gained(&finding.rule, group);
        let for_people = ForPeople { told, is_controllers, has_gained, gained, left, ..ForPeople::default() };
        Step { finding, named, made, standing, intent, setting, former, for_people }
    };
    findings.into_iter().map(step).collect()
}

/// What to do about a rule that should be closed and was edited in place.
fn instead_of(intent: Intent, former: &Former) -> Intent {
    match (intent, &former.lost_because) {
        (Intent::Revoke, None) => Intent::PutBack,
        (Intent::WouldRevoke(why), None) => {
            Intent::WouldRevoke(format!("{why}; it would be put back to {}", former.in_words()))
        }
        (Intent::WouldRevoke(why), Some(lost_because)) => Intent::WouldRevoke(format!(
            "{why}; it would not be put back to {}, because {lost_because}",
            former.in_words()
        )),
        (other, _) => other,
    }
}

/// The group as if it had exactly these rules that the event claims. Nothing is ever done about them; they are judged only
/// to know whether people need to hear of them.
pub fn claims(group: &Group, missing: &[NamedRule]) -> Group {
    Group { rules: missing.iter().filter_map(NamedRule::claimed).collect(), ..group.clone() }
}

/// Whether the event names this live rule: by id, or without id by equal content.
pub fn is_named(named: &Named, rule: &Rule) -> bool {
    match named {
        Named::Nothing => false,
        Named::Everything => true,
        Named::Using(change) => rule.peer.prefix_list() == Some(change.list.as_str()),
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

/// Whether it is attached to nothing, and nothing but ordinary tags says that it is a cluster's: a load balancer's group
/// before its interfaces exist, for example. It lets nobody in.
fn is_only_claimed(group: &Group) -> bool {
    group.is_unattached && !group.is_strong()
}

/// What to do about one finding in a mode, with the setting that made it so.
pub fn intend(finding: &JudgedRule, group: &Group, mode: Mode, setting: Option<&str>) -> Intent {
    match finding.verdict {
        Verdict::Allow => return Intent::None,
        Verdict::Report if is_only_claimed(group) => return Intent::None,
        Verdict::Revoke if is_only_claimed(group) => {
            let why = "only ordinary tags say what this group is to the cluster, and nothing is attached yet, so the rule \
                       was left alone";
            return Intent::Report(Some(why.to_owned()));
        }
        Verdict::Report => return Intent::Report(None),
        Verdict::Revoke => {}
    }
    let asking = || finding.portions.iter().filter(|portion| portion.verdict == Verdict::Revoke);
    if !asking().any(|portion| portion.strong) {
        let why = if group.name.starts_with(INTERNAL_GROUP) {
            "EKS keeps this group for a local cluster on Outposts, and an edit may break it, so the rule was left alone"
        } else {
            "only weak evidence, such as ordinary tags, says what this group is to the cluster, so the rule was left alone"
        };
        return Intent::Report(Some(why.to_owned()));
    }
    if is_among_cluster_groups(&finding.rule.peer, group)
        && !asking().any(|portion: &Portion| portion.names_cluster_groups)
    {
        let why = "the peer is a group of the same cluster, and no clause of your own names it";
        return Intent::Refuse(why.to_owned());
    }
    if may_be_of_the_cluster(&finding.rule.peer, group)
        && !asking().any(|portion: &Portion| portion.names_cluster_groups)
    {
        let why = "tags say that the peer is a group of the same cluster, and no clause of your own names it";
        return Intent::Report(Some(why.to_owned()));
    }
    match mode {
        Mode::Enforce if group.ranges_unread && !is_too_wide_to_be_private(&finding.rule.peer, group) => {
            let why = "whose addresses these are could not be read, so the rule was left alone for now";
            Intent::Postpone(why.to_owned())
        }
        Mode::Enforce => Intent::Revoke,
        Mode::Report => Intent::WouldRevoke(setting.unwrap_or_default().to_owned()),
    }
}

fn is_among_cluster_groups(peer: &Peer, group: &Group) -> bool {
    matches!(peer, Peer::Group { id, .. } if *id == group.id || group.peers.get(id).is_some_and(|peer| peer.same_cluster))
}

/// Whether tags, which others may write, say that the peer is a group of the cluster.
pub(super) fn may_be_of_the_cluster(peer: &Peer, group: &Group) -> bool {
    matches!(peer, Peer::Group { id, .. } if group.peers.get(id).is_some_and(|peer| peer.may_be_same_cluster))
}

/// Whether the verdict stands, whatever ranges VPCs and remote networks have.
fn is_too_wide_to_be_private(peer: &Peer, group: &Group) -> bool {
    match (group.addresses_of(peer), peer) {
        (Some(addresses), _) => exposure::is_beyond_any_vpc(&addresses.without(private_everywhere())),
        // Of an AWS-owned list it is known whose it is.
        (None, Peer::PrefixList(id)) => matches!(group.prefix_lists.get(id), Some(PrefixList::Aws(_))),
        (None, Peer::Cidr(_) | Peer::Group { .. }) => true,
    }
}

/// Lets at most `max` rules be closed that the event made, worst first; the rest comes later. Of others the hour says how
/// many.
pub fn limit(steps: &mut [Step], max: usize) {
    let is_counted = |step: &&mut Step| step.made && step.intent.closes();
    let mut revokes: Vec<&mut Step> = steps.iter_mut().filter(is_counted).collect();
    worst_first(&mut revokes);
    for step in revokes.into_iter().skip(max) {
        step.intent = Intent::Postpone("one invocation may revoke no more rules (`GUARD_MAX_REVOKES`)".to_owned());
    }
}

/// The order in which rules are revoked: named ones first, then by severity.
pub(super) fn worst_first(revokes: &mut [&mut Step]) {
    revokes.sort_by_key(|step| std::cmp::Reverse((step.named, step.finding.severity)));
}

#[cfg(test)]
mod tests;
