//! What is remembered of rules: added to when verdicts are final.
//!
//! Owns: which rules enter the baseline. Must not: decide what is new (`standing` does), or write (`finish` does).

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use jiff::Timestamp;

use crate::guard::asked::Asked;
use crate::guard::remediate::StepResult;
use crate::model::baseline::{Context, KnownRule, Learnt, Lesson, Mark, Remembered};
use crate::model::group::Group;
use crate::model::member::{Members, is_news};
use crate::model::rule::Rule;
use crate::plan::standing::{Memory, Standing, is_equal, is_narrowed};
use crate::plan::{PlanContext, is_named, may_be_of_the_cluster};
use crate::policy::controller::{Author, is_controllers};
use crate::policy::judge::{JudgedRule, UNREADABLE_LIST};
use crate::policy::model::{Origin, Policy, Verdict};
use crate::report::finding::Finding;
use crate::report::outcome::{Action, Told};

/// What a complete look at these VPCs teaches: all their groups, in scope or not, and those of other VPCs attached
/// there. `judged`: those of them that were judged, with what was learnt of their rules.
pub(super) async fn looked(
    asked: &mut Asked,
    all: &[Group],
    vpcs: &BTreeSet<String>,
    judged: &mut BTreeMap<String, (Group, Learnt)>,
    at: Timestamp,
) -> Lesson {
    let mut lesson = Lesson::default();
    lesson.place.looks = vpcs.iter().map(|vpc| (vpc.clone(), at)).collect();
    for group in all {
        // One of another VPC is attached in some of these; in which does not matter, for its own has no look.
        let own = BTreeSet::from([group.vpc.clone()]);
        let seen_in = if own.is_subset(vpcs) { &own } else { vpcs };
        let Memory::Read(remembered) = asked.of(&group.id, seen_in).await else { return Lesson::default() };
        for vpc in seen_in {
            lesson.looks.entry(vpc.clone()).or_default().insert(group.id.clone());
        }
        let (is_in_scope, (group, learnt)) = match judged.remove(&group.id) {
            Some(judged) => (true, judged),
            None => (false, (group.clone(), Learnt::default())),
        };
        let mut learnt = Learnt { may_begin: true, ..learnt };
        let ids = group.rules.iter().map(|rule| rule.id.clone());
        learnt.seen = Some(ids.chain(group.unreadable_rules.iter().filter_map(|rule| rule.id.clone())).collect());
        // For the first time, and where what was known is lost, everything enters, and nothing is marked.
        let is_first = is_first_time(&remembered, &group, at);
        let undecoded = || group.unreadable_rules.iter().filter_map(|rule| rule.id.clone()).collect();
        learnt.undecoded = if is_first { undecoded() } else { BTreeSet::new() };
        learnt.read = lists_of(&group, group.rules.iter());
        if is_first || !is_in_scope {
            let known = remembered.baseline.as_ref();
            let is_kept = |rule: &&Rule| {
                let known = known.and_then(|known| known.rules.get(&rule.id));
                !is_first && known.is_some_and(|known| is_equal(&known.rule, rule))
            };
            let entering = group.rules.iter().filter(|rule| !is_kept(rule));
            learnt.rules = entering.map(|rule| entry(rule, &group, None)).collect();
            learnt.lists = lists(&group, &learnt.rules);
        } else if let Some(baseline) = &remembered.baseline {
            let is_decoded = |rule: &&Rule| baseline.undecoded.contains(&rule.id);
            learnt.rules.extend(group.rules.iter().filter(is_decoded).map(|rule| entry(rule, &group, None)));
        }
        lesson.groups.insert(group.id.clone(), learnt);
    }
    lesson
}

/// What is to be said of a group because it counts for clusters that it did not count for before. Before the first look
/// everything is new to us, and nothing is said.
pub(super) fn about(memory: &Memory, group: &Group) -> Vec<Finding> {
    let Memory::Read(remembered) = memory else { return Vec::new() };
    let known = &remembered.members;
    if remembered.looked_at.is_none() {
        return Vec::new();
    }
    let new = group.members.iter().filter(|(cluster, _)| !known.contains_key(*cluster));
    let said = new.filter_map(|(cluster, member)| match (known.is_empty(), member.is_proven) {
        (false, _) => Some(Finding::new_cluster(cluster)),
        (true, false) => Some(Finding::new_member(cluster)),
        (true, true) => None,
    });
    said.collect()
}

/// The new rules that a sweep came across in a group that was the cluster's at the last look already, so that an event must
/// have told of them; after an event, those that it told of and that are not known all the same.
pub(super) fn unheard(
    context: PlanContext<'_>,
    group: &Group,
    learnt: &Learnt,
    results: &[StepResult],
    is_sweep: bool,
) -> BTreeSet<String> {
    let Memory::Read(Remembered { baseline, looked_at: Some(looked_at), members, .. }) = context.memory else {
        return BTreeSet::new();
    };
    let entering: BTreeSet<&String> = learnt.rules.iter().map(|known| &known.rule.id).collect();
    let is_known = |id: &String| {
        baseline.iter().any(|baseline| baseline.rules.contains_key(id) || baseline.undecoded.contains(id))
    };
    if !is_sweep {
        let named = group.rules.iter().filter(|rule| is_named(context.named, rule)).map(|rule| &rule.id);
        return named.filter(|id| !entering.contains(id) && !is_known(id)).cloned().collect();
    }
    if baseline.is_none() || !members.values().any(|member| member.is_proven && member.since <= *looked_at) {
        return BTreeSet::new();
    }
    let closed = results.iter().filter(|result| result.action.is_closed_by_us()).map(|result| &result.finding.rule.id);
    // What does not enter is seen again: an event may have told of it, and a mark of that stays while it is there.
    let all = entering.iter().copied().chain(closed).chain(group.rules.iter().map(|rule| &rule.id));
    all.filter(|id| !is_known(id)).cloned().collect()
}

fn entry(rule: &Rule, group: &Group, mark: Option<Mark>) -> KnownRule {
    KnownRule { rule: rule.clone(), context: Context::from(group), mark, author: None, missed: 0 }
}

/// The entries of the customers' lists that these rules use.
fn lists(group: &Group, rules: &[KnownRule]) -> BTreeMap<String, BTreeSet<IpNet>> {
    lists_of(group, rules.iter().map(|known| &known.rule))
}

fn lists_of<'r>(group: &Group, rules: impl Iterator<Item = &'r Rule>) -> BTreeMap<String, BTreeSet<IpNet>> {
    let used = rules.filter_map(|rule| rule.peer.prefix_list());
    used.filter_map(|id| Some((id.to_owned(), group.entries_of(id)?.blocks().into_iter().collect()))).collect()
}

/// What a group that was judged teaches: the rules whose verdicts are final. Before the first look, and where what was known
/// is lost, only a complete look teaches anything.
pub(super) fn learnt(context: PlanContext<'_>, group: &Group, results: &[StepResult]) -> Learnt {
    let Memory::Read(remembered) = context.memory else { return Learnt::default() };
    let found = &group.members;
    let members = if is_news(&remembered.members, found, context.now) { found.clone() } else { Members::new() };
    if is_first_time(remembered, group, context.now) {
        return Learnt { members, ..Learnt::default() };
    }
    let known = |rule: &Rule| remembered.baseline.as_ref().and_then(|baseline| baseline.rules.get(&rule.id));
    let entering = results.iter().filter_map(|result| {
        let mut entering = enters(context, group, result)?;
        let is_there =
            known(&entering.rule).filter(|known| is_equal(&known.rule, &entering.rule)).is_some_and(|known| {
                entering.context.clusters.extend(known.context.clusters.iter().cloned());
                let Context { is_shared, .. } = known.context;
                known.context == Context { is_shared, ..entering.context.clone() } && known.mark == entering.mark
            });
        (!is_there || gained(group, remembered, &entering.rule)).then_some(entering)
    });
    // What a list gained enters with the last of the rules that use it: one that is not done yet would be known by it. Until
    // then nothing enters that has no other entries to go by.
    let waits = |list: &str| is_pending(context, group, results, list);
    let has_entries = |list: &str| remembered.baseline.as_ref().is_some_and(|known| known.lists.contains_key(list));
    let may_enter =
        |known: &KnownRule| known.rule.peer.prefix_list().is_none_or(|list| has_entries(list) || !waits(list));
    let rules: Vec<KnownRule> = entering.filter(may_enter).collect();
    let is_left =
        |id: &str| results.iter().any(|result| result.finding.rule.id == id && result.action == Action::WouldRevoke);
    let unmarked = rules.iter().filter(|known| known.mark.is_none() && is_left(&known.rule.id));
    let unmarked = unmarked.map(|known| known.rule.id.clone()).collect();
    let mut lists = lists(group, &rules);
    lists.retain(|list, _| !waits(list));
    Learnt { unmarked, lists, rules, members, may_begin: !remembered.was_there, ..Learnt::default() }
}

/// Whether a rule of the group that uses the list is still to be closed, or its verdict is not final.
fn is_pending(context: PlanContext<'_>, group: &Group, results: &[StepResult], list: &str) -> bool {
    let mut uses = group.rules.iter().filter(|rule| rule.peer.prefix_list() == Some(list));
    uses.any(|rule| {
        results.iter().find(|result| result.finding.rule.id == rule.id).is_none_or(|result| {
            let is_new = context.standing(rule, group) == Standing::New;
            (is_new || !is_final(context, group, &result.finding)) && enters(context, group, result).is_none()
        })
    })
}

/// Whether nothing says what is new: for the first time, or because what was known is lost.
fn is_first_time(remembered: &Remembered, group: &Group, now: Timestamp) -> bool {
    remembered.is_first_time(group.clusters_since, now) || remembered.was_there && remembered.baseline.is_none()
}

fn gained(group: &Group, remembered: &Remembered, rule: &Rule) -> bool {
    let Some(id) = rule.peer.prefix_list() else { return false };
    let Some(entries) = group.entries_of(id) else { return false };
    let known = remembered.baseline.as_ref().and_then(|baseline| baseline.lists.get(id));
    known.is_none_or(|known| !entries.without(&known.iter().copied().collect()).is_empty())
}

/// The rule as it enters the baseline, if its verdict is final.
fn enters(context: PlanContext<'_>, group: &Group, result: &StepResult) -> Option<KnownRule> {
    let StepResult { finding, action, .. } = result;
    let rule = &finding.rule;
    let claimed = || (!group.is_strong()).then(|| Mark::Claimed(group.ties.clone()));
    let mark = match (action, context.standing(rule, group)) {
        (Action::None | Action::Reported, _) if is_final(context, group, finding) => claimed(),
        (Action::WouldRevoke, Standing::New) => Some(Mark::Reporting),
        // What is known of it from now on lets through less.
        (Action::WouldRevoke, Standing::Known(None)) if was_narrowed(context, rule) => None,
        // It was told, once.
        (Action::WouldRevoke, Standing::Known(Some(Told::WhileReporting))) if context.is_enforced(group) => None,
        _ => return None,
    };
    let author = Some(context.author(rule, group)).filter(|author| *author != Author::Unknown);
    let author = author.map(|author| author.word().to_owned());
    Some(KnownRule { author, ..entry(rule, group, mark) })
}

fn was_narrowed(context: PlanContext<'_>, rule: &Rule) -> bool {
    let Memory::Read(remembered) = context.memory else { return false };
    let known = remembered.baseline.as_ref().and_then(|baseline| baseline.rules.get(&rule.id));
    known.is_some_and(|known| known.mark.is_none() && is_narrowed(&known.rule, rule))
}

/// Whether nothing that ends by itself, or that nobody knows now, makes the verdict.
fn is_final(context: PlanContext<'_>, group: &Group, finding: &JudgedRule) -> bool {
    let is_excepted = finding.portions.iter().any(|portion| is_exception(context.policy, &portion.clause));
    let is_unread = finding.portions.iter().any(|portion| portion.clause == UNREADABLE_LIST);
    let is_marked = context.author(&finding.rule, group) == Author::Unknown
        && finding.verdict > Verdict::Allow
        && is_controllers(&finding.rule, Author::Unknown, group);
    let is_tagged = finding.verdict == Verdict::Revoke && may_be_of_the_cluster(&finding.rule.peer, group);
    !is_excepted && !is_unread && !is_marked && !is_tagged
}

fn is_exception(policy: &Policy, id: &str) -> bool {
    policy.clauses.iter().any(|clause| clause.origin == Origin::Exception && clause.id == id)
}
