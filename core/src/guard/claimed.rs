//! What an event says of rules that are not there when we look, or are something else by then. Nothing is ever done about
//! it; it is judged to know whether it has to be looked at again, and whether people have to hear of it.

use crate::event::{Event, ListChange, Named, NamedRule};
use crate::guard::remediate::StepResult;
use crate::guard::setup::Setup;
use crate::model::group::{Evidence, Group, PrefixList, Role, RoleEvidence};
use crate::model::rule::Rule;
use crate::plan::{claims, names};
use crate::policy::controller::Author;
use crate::policy::judge::{JudgedRule, judge};
use crate::policy::model::Verdict;
use crate::report::journal::Journal;
use crate::report::outcome::Action;
use jiff::Timestamp;

/// For people.
const DETAIL: &str = "this is what it was according to the event; when the guard looked it was gone, or harmless";

/// Whether this live rule is what the event says that it is.
pub(super) fn is_as_claimed(named: &NamedRule, rule: &Rule) -> bool {
    let fits = NamedRule { id: None, claim: named.claim.clone() };
    names(named, rule) && (named.claim.is_none() || names(&fits, rule))
}

/// Whether that a named rule is not there, or not as the event says, is our doing, says the journal.
pub(super) fn is_ours(journal: &Journal, event: Option<&Event>, named: &NamedRule) -> bool {
    named.id.as_ref().is_some_and(|id| journal.holds(id, event, |was| is_as_claimed(named, was)))
}

/// What the policy says of what the event claims of this group, whose author is who made the call. Without a role it is
/// judged as a node's.
pub(super) fn judged(
    setup: &Setup,
    group: &Group,
    named: &[NamedRule],
    event: Option<&Event>,
    now: Timestamp,
) -> Vec<JudgedRule> {
    let mut claimed = claims(group, named);
    if claimed.roles.is_empty() {
        claimed.roles = vec![RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true }];
    }
    by_caller(setup, &claimed, event, now)
}

/// What the policy says of the rules of a group, if who made the call wrote them.
fn by_caller(setup: &Setup, group: &Group, event: Option<&Event>, now: Timestamp) -> Vec<JudgedRule> {
    let author = event.map_or(Author::Unknown, |event| Author::of(&event.actor, &setup.policy, group));
    judge(&setup.policy, group, &setup.location, now, |_| author)
}

/// What the policy says of rules that use a prefix list which, says the event, gained entries that it does not hold now: as
/// if it held them. Only what is worse so.
pub(super) fn held(
    setup: &Setup,
    group: &Group,
    named: &Named,
    event: Option<&Event>,
    now: Timestamp,
) -> Vec<JudgedRule> {
    let Named::Using(ListChange { list, gained, .. }) = named else { return Vec::new() };
    let Some(entries) = group.entries_of(list) else { return Vec::new() };
    let with = entries.with(&gained.iter().copied().collect());
    if with == *entries {
        return Vec::new();
    }
    let mut then = group.clone();
    then.prefix_lists.insert(list.clone(), PrefixList::Entries(with));
    let [then, now] = [&then, group].map(|group| by_caller(setup, group, event, now));
    let uses = |judged: &JudgedRule| judged.rule.peer.prefix_list() == Some(list.as_str());
    then.into_iter()
        .zip(now)
        .filter(|(then, now)| uses(then) && then.verdict > now.verdict)
        .map(|(then, _)| then)
        .collect()
}

/// What the policy says of the rules of a group that the event put somewhere, if it is not there any more: as if it were
/// what the groups beside it are.
pub(super) fn was_attached(
    setup: &Setup,
    group: &Group,
    beside: &[Group],
    event: Option<&Event>,
    now: Timestamp,
) -> (Group, Vec<JudgedRule>) {
    let mut then = group.clone();
    for other in beside.iter().filter(|other| other.is_strong()) {
        then.clusters.extend(other.clusters.iter().cloned());
        let new = other.roles.iter().filter(|role| !then.roles.iter().any(|known| known.role == role.role));
        let new: Vec<RoleEvidence> = new.copied().collect();
        then.roles.extend(new);
    }
    if then.roles.is_empty() {
        return (then, Vec::new());
    }
    let mut judged = by_caller(setup, &then, event, now);
    judged.retain(|judged| judged.verdict > Verdict::Allow);
    (then, judged)
}

/// Whether the policy objects to any of it.
pub(super) fn objects(judged: &[JudgedRule]) -> bool {
    judged.iter().any(|judged| judged.verdict > Verdict::Allow)
}

/// Those of the named rules that have to be looked at again: the policy objects to them, or nobody knows what they were.
pub(super) fn of_interest(named: &[NamedRule], judged: &[JudgedRule]) -> Vec<NamedRule> {
    let is_fine = |rule: &Rule| judged.iter().any(|judged| judged.rule == *rule && judged.verdict == Verdict::Allow);
    named.iter().filter(|named| !named.claimed().is_some_and(|rule| is_fine(&rule))).cloned().collect()
}

/// What is to be said of them in the end.
pub(super) fn results(judged: Vec<JudgedRule>) -> Vec<StepResult> {
    let result = |judged: JudgedRule| {
        let action = if judged.verdict > Verdict::Allow { Action::WasOpen } else { Action::AlreadyGone };
        StepResult::without_effect(judged, (true, false), action, Some(DETAIL.to_owned()))
    };
    judged.into_iter().map(result).collect()
}
