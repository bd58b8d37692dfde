//! One group in one invocation: its rules are judged and mended until none is left that could not be judged yet, and rules
//! that the event names and that are not there are waited for.
//!
//! Must not: order effects (remediate does), or tell anybody (the invocation does).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join3;
use jiff::Timestamp;

use crate::event::work::Why;
use crate::event::{Event, Named, NamedRule};
use crate::guard::asked::Asked;
use crate::guard::claimed;
use crate::guard::hourly::HourlyLimit;
use crate::guard::journal::GroupJournal;
use crate::guard::memory;
use crate::guard::remediate::{Remediation, StepResult};
use crate::guard::round::Round;
use crate::guard::setup::Setup;
use crate::guard::shield::Shield;
use crate::inventory::{GroupSnapshot, Inventory, ReadBack, Unresolved};
use crate::model::baseline::Learnt;
use crate::model::error::{CloudError, chain};
use crate::model::group::{Group, Passes, PeerGroup, PrefixList};
use crate::model::rule::Rule;
use crate::plan::standing::{Led, Memory, is_equal};
use crate::plan::{PlanContext, claims, names};
use crate::policy::judge::JudgedRule;
use crate::policy::model::Verdict;
use crate::report::finding::Finding;
use crate::report::journal::{self, Entry, Journal};
use crate::report::outcome::Action;

/// Waits before EC2 is asked again for what an event speaks of, the policy would object to, and is not there: for longer it
/// is waited in the work queue, and for anything else not at all.
pub(super) const RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(700)];
/// How often what rules refer to is looked up for one group.
const MAX_LOOKUPS: usize = 3;

/// What an invocation knows, whatever the group.
#[derive(Clone, Copy)]
pub(super) struct InvocationContext<'a> {
    pub(super) setup: &'a Setup,
    pub(super) inventory: &'a Inventory,
    pub(super) hourly: &'a HourlyLimit,
    /// None in a sweep.
    pub(super) event: Option<&'a Event>,
    pub(super) started: Timestamp,
    pub(super) round: Round,
    /// No new call to EC2 is begun after this.
    pub(super) deadline: Timestamp,
}

/// A group that was judged and mended.
pub(super) struct MendedGroup {
    /// With the rules that are left.
    pub(super) group: Group,
    /// Whether all that was to be said of it is known, and not new.
    pub(super) known: bool,
    /// When rules were first read back as closed.
    pub(super) closed_at: Option<Timestamp>,
    /// Its rules as they were read back after the last change, unless they were read since.
    pub(super) read_back: Option<ReadBack>,
    pub(super) results: Vec<StepResult>,
    /// The journal of the group, with what this invocation wrote.
    pub(super) journal: Journal,
    /// Why that could not be written.
    pub(super) unwritten: Vec<String>,
    /// What other tries did and nobody told, by rule id.
    pub(super) left_over: Vec<Entry>,
    /// What of its rules is to be remembered.
    pub(super) learnt: Learnt,
    /// What is to be said of the group as a whole.
    pub(super) about: Vec<Finding>,
    /// New rules, by id: that a sweep came across, or that an event told of and that are not known all the same.
    pub(super) unheard: BTreeSet<String>,
    /// What the state says of it.
    pub(super) memory: Memory,
    /// What is not done; rules that are not done say so themselves.
    pub(super) problems: Vec<String>,
    /// What of it has to be looked at again.
    pub(super) again: Vec<(Why, Named)>,
}

impl InvocationContext<'_> {
    /// Whether there may be another look, at what an event opened.
    pub(super) fn may_look_again(self, why: Why) -> bool {
        self.setup.ports.queue.is_some() && self.event.is_some() && self.round.may_look_again(why)
    }
}

impl MendedGroup {
    /// With nothing to be said of it.
    pub(super) fn of(group: Group) -> Self {
        Self {
            group,
            known: false,
            closed_at: None,
            read_back: None,
            results: Vec::new(),
            journal: Journal::default(),
            unwritten: Vec::new(),
            left_over: Vec::new(),
            learnt: Learnt::default(),
            about: Vec::new(),
            unheard: BTreeSet::new(),
            memory: Memory::None,
            problems: Vec::new(),
            again: Vec::new(),
        }
    }
}

/// Judges and mends one group. `max_revokes` is how many rules that the event made may still be revoked; it is counted down.
pub(super) async fn mend(
    context: InvocationContext<'_>,
    snapshot: GroupSnapshot,
    named: &Named,
    asked: &mut Asked,
    max_revokes: &mut usize,
) -> MendedGroup {
    let (results, problems) = (BTreeMap::new(), Vec::new());
    let memory = if context.setup.ports.state.is_some() { Memory::Unasked } else { Memory::None };
    let journal = Arc::new(GroupJournal::new(&context.setup.ports, context.event));
    let mut mending = Mending {
        context,
        named,
        snapshot,
        memory,
        journal,
        lookups_left: MAX_LOOKUPS,
        results,
        closed_at: None,
        problems,
    };
    let (missing, claimed) = mending.with_what_is_missing(asked, max_revokes).await;
    let (mut again, mut gone) = (Vec::new(), Vec::new());
    if context.may_look_again(Why::Missing) {
        let missing = claimed::of_interest(&missing, &claimed);
        again.extend((!missing.is_empty()).then_some((Why::Missing, Named::Rules(missing))));
    } else {
        gone = claimed::results(claimed);
    }
    let held = claimed::held(context.setup, &mending.snapshot.group, named, context.event, context.started);
    if !held.is_empty() {
        if context.may_look_again(Why::Missing) {
            again.push((Why::Missing, named.clone()));
        } else {
            gone.extend(claimed::results(held));
        }
    }
    again.extend(mending.unread_lists());
    again.extend(mending.postponed());
    let left_over = mending.join();
    let mut about: Vec<Finding> = mending.unreadable().into_iter().collect();
    about.extend(memory::about(&mending.memory, &mending.snapshot.group));
    let judged: Vec<StepResult> = mending.results.values().cloned().collect();
    let learnt = memory::learnt(mending.plan_context(&mending.memory), &mending.snapshot.group, &judged);
    let (plan, is_sweep) = (mending.plan_context(&mending.memory), context.event.is_none());
    let unheard = memory::unheard(plan, &mending.snapshot.group, &learnt, &judged, is_sweep);
    let Mending { snapshot, memory, closed_at, problems, journal, .. } = mending;
    let (unwritten, journal) = (journal.problems(), journal.journal());
    let results: Vec<StepResult> = judged.into_iter().chain(gone).collect();
    let known = *named == Named::Nothing && results.iter().all(|result| result.known);
    MendedGroup {
        group: snapshot.group,
        known,
        closed_at,
        read_back: snapshot.read_back,
        results,
        journal,
        unwritten,
        left_over,
        learnt,
        about,
        unheard,
        memory,
        problems,
        again,
    }
}

/// The work on one group.
struct Mending<'a> {
    context: InvocationContext<'a>,
    named: &'a Named,
    snapshot: GroupSnapshot,
    memory: Memory,
    journal: Arc<GroupJournal<'a>>,
    lookups_left: usize,
    /// By rule id.
    results: BTreeMap<String, StepResult>,
    closed_at: Option<Timestamp>,
    problems: Vec<String>,
}

impl<'a> Mending<'a> {
    /// Mends what is there, and only then waits a moment for rules that the event names, that are not there, and that the
    /// policy would object to. What is still missing in the end, and what the policy says of it.
    async fn with_what_is_missing(
        &mut self,
        asked: &mut Asked,
        max_revokes: &mut usize,
    ) -> (Vec<NamedRule>, Vec<JudgedRule>) {
        let InvocationContext { setup, inventory, deadline, round, .. } = self.context;
        let mut waits = RETRY_DELAYS.into_iter();
        loop {
            let looked_up = self.what_is_there(asked, max_revokes).await;
            let missing = self.missing();
            let claimed = self.claimed(&missing).await;
            let may_wait = claimed::objects(&claimed) && round.why.is_none() && setup.ports.clock.now() < deadline;
            if let Err(error) = looked_up {
                self.problem("what the rules of", "refer to could not be read", &error);
                return (missing, claimed);
            }
            let Some(wait) = waits.next().filter(|_| may_wait) else { return (missing, claimed) };
            setup.ports.clock.sleep(wait).await;
            // What is done has to be reported, so an error ends the waiting and not the invocation.
            if let Err(error) = inventory.look_again(&mut self.snapshot).await {
                self.problem("the rules of", "could not be read again", &error);
                return (Vec::new(), Vec::new());
            }
        }
    }

    /// Lists that could not be read: one that is being changed is looked at again and then left to the sweep, any other that
    /// may be readable the next time is not done.
    fn unread_lists(&mut self) -> Option<(Why, Named)> {
        let mut is_changing = false;
        for (id, list) in &self.snapshot.group.prefix_lists {
            match list {
                PrefixList::Unreadable { passes: Passes::Surely, .. } if self.comes_back() => is_changing = true,
                PrefixList::Unreadable { why, passes: Passes::Surely | Passes::Maybe } => {
                    self.problems.push(format!("prefix list `{id}` could not be read: {why}"));
                }
                PrefixList::Unreadable { passes: Passes::Never, .. } | PrefixList::Aws(_) | PrefixList::Entries(_) => {}
            }
        }
        let may_look_again = is_changing && self.context.may_look_again(Why::Changing);
        may_look_again.then(|| (Why::Changing, self.named.clone()))
    }

    /// Whether what is not done now is a matter of the work queue.
    fn comes_back(&self) -> bool {
        self.context.setup.ports.queue.is_some() && self.context.event.is_some()
    }

    /// What was more than may be done at once, or hung on what could not be read, comes back.
    fn postponed(&mut self) -> Option<(Why, Named)> {
        if !self.context.may_look_again(Why::Postponed) {
            return None;
        }
        let is_postponed = |result: &&mut StepResult| result.action == Action::Refused && result.is_unfinished;
        let mut ids = Vec::new();
        for result in self.results.values_mut().filter(is_postponed) {
            (result.action, result.is_unfinished) = (Action::Postponed, false);
            ids.extend(result.named.then(|| NamedRule { id: Some(result.finding.rule.id.clone()), claim: None }));
        }
        let is_any = self.results.values().any(|result| result.action == Action::Postponed);
        let named = if ids.is_empty() { Named::Nothing } else { Named::Rules(ids) };
        is_any.then_some((Why::Postponed, named))
    }

    /// Judges and mends the rules as they were read. What they refer to is looked up beside the revoke of the rules that
    /// refer to nothing, so that no verdict waits for what it does not depend on.
    async fn what_is_there(&mut self, asked: &mut Asked, max_revokes: &mut usize) -> Result<(), CloudError> {
        let InvocationContext { setup, inventory, hourly, deadline, .. } = self.context;
        let (id, vpcs) = (self.snapshot.group.id.clone(), self.snapshot.vpcs());
        let journal = Arc::clone(&self.journal);
        let (mut failed, mut shield, mut unread) = (BTreeSet::new(), Shield::Unasked, None);
        loop {
            let memory = self.memory.clone();
            let context = self.plan_context(&memory);
            let remediation =
                Remediation { ports: &setup.ports, inventory, hourly, journal: &journal, context, deadline };
            // Rules may come to refer to something new at each look; at some point the others go on without them.
            let may_look_up = self.lookups_left > 0 && unread.is_none();
            let ids = if may_look_up { self.snapshot.unresolved() } else { Unresolved::default() };
            self.lookups_left -= usize::from(!ids.is_empty());
            let clusters = self.snapshot.clusters();
            let execute = remediation.execute(&mut self.snapshot, &failed, &shield, max_revokes);
            // What the event created waits neither for what others refer to nor for the state.
            let remembered = async { if memory == Memory::Unasked { Some(asked.of(&id, &vpcs).await) } else { None } };
            let (done, (references, error), remembered) =
                join3(execute, inventory.references(&ids, &clusters), remembered).await;
            self.keep(done);
            let is_asked = remembered.is_some();
            self.memory = remembered.unwrap_or(memory.clone());
            if is_asked {
                self.journal.read(asked.journal_of(&id).await);
            }
            if let (true, Memory::Read(remembered)) = (is_asked, &self.memory) {
                let known = remembered.baseline.iter().flat_map(|baseline| baseline.rules.values());
                self.snapshot.remember(known.map(|known| &known.rule));
            }
            references.resolve(&mut self.snapshot);
            self.establish_peers(asked).await;
            unread = error.or(unread);
            let has_failed = |result: &&StepResult| result.action == Action::Failed;
            failed = self.results.values().filter(has_failed).map(|result| result.finding.rule.id.clone()).collect();
            let unresolved = self.snapshot.unresolved();
            let is_last = !is_asked && ids.is_empty() && (unresolved.is_empty() || self.lookups_left == 0);
            if is_last || unread.is_some() && !is_asked {
                // No new rule waits for what a cluster needs, and without a known one to be revoked nobody asks.
                if shield == Shield::Unasked && remediation.needs_shield(&self.snapshot, &failed) {
                    shield = if setup.ports.clock.now() < deadline {
                        Shield::read(inventory, &self.snapshot.group).await
                    } else {
                        Shield::Unreadable("what the cluster needs: the time of the invocation ran out".to_owned())
                    };
                    continue;
                }
                if let Some(error) = unread {
                    return Err(error);
                }
                if !unresolved.is_empty() {
                    let ids: Vec<&str> = unresolved.ids().into_iter().map(String::as_str).collect();
                    let ids = ids.join("`, `");
                    let group = &self.snapshot.group.id;
                    self.problems.push(format!("rules of `{group}` came to refer to `{ids}` while it was looked at"));
                }
                return Ok(());
            }
        }
    }

    /// Peers that only tags make the cluster's count as its own once they have been so for a day.
    async fn establish_peers(&mut self, asked: &Asked) {
        let now = self.context.started;
        let clusters = self.snapshot.clusters();
        let Group { clusters: names, peers, .. } = &mut self.snapshot.group;
        let doubtful = peers.iter_mut().filter(|(_, peer)| peer.may_be_same_cluster && !peer.same_cluster);
        let mut doubtful: BTreeMap<String, &mut PeerGroup> = doubtful.map(|(id, peer)| (id.clone(), peer)).collect();
        let members = asked.members_of_peers(doubtful.keys().cloned().collect()).await;
        let own =
            |name: &String| names.contains(name).then(|| clusters.iter().find(|cluster| cluster.name == *name))?;
        for (id, members) in members {
            let mut established = members.iter().filter_map(|(name, member)| Some((own(name)?, member)));
            let found = established.find(|(cluster, member)| member.is_established(cluster.created_at, now));
            if let (Some((_, member)), Some(peer)) = (found, doubtful.get_mut(&id)) {
                (peer.same_cluster, peer.roles) = (true, member.roles.clone());
            }
        }
    }

    /// A rule may be looked at more than once. What was done about it is not forgotten for what is seen of it later.
    fn keep(&mut self, done: Vec<StepResult>) {
        for new in done {
            let id = &new.finding.rule.id;
            let is_news =
                |old: &StepResult| new.action.is_closed_by_us() || new.action.outcome() > old.action.outcome();
            if self.results.get(id).is_none_or(is_news) {
                self.results.insert(id.clone(), new);
            }
        }
        if self.results.values().any(|result| result.action.is_closed_by_us()) {
            self.closed_at.get_or_insert(self.context.setup.ports.clock.now());
        }
        let is_gone = |rule: &Rule| self.results.get(&rule.id).is_some_and(|result| result.action.says_gone());
        self.snapshot.group.rules.retain(|rule| !is_gone(rule));
        let restored = self.results.values().filter(|result| result.action == Action::Restored);
        let restored: BTreeMap<&str, &Rule> =
            restored.filter_map(|result| Some((result.finding.rule.id.as_str(), result.before.as_ref()?))).collect();
        for rule in &mut self.snapshot.group.rules {
            if let Some(before) = restored.get(rule.id.as_str()) {
                *rule = (*before).clone();
            }
        }
    }

    /// The rules that the event names and that are not there as it says, nor were handled.
    fn missing(&self) -> Vec<NamedRule> {
        let Named::Rules(rules) = self.named else { return Vec::new() };
        if !self.context.round.is_about_everything() {
            return Vec::new();
        }
        let is_there = |named: &NamedRule| {
            self.is_unreadable(named)
                || self.snapshot.group.rules.iter().any(|rule| claimed::is_as_claimed(named, rule))
        };
        let is_done = |named: &NamedRule| {
            let is_it = |result: &StepResult| {
                let rule = &result.finding.rule;
                names(named, rule) && (result.finding.verdict == Verdict::Revoke || claimed::is_as_claimed(named, rule))
            };
            self.results.values().any(is_it)
        };
        // What the journal holds as our doing, an earlier try has seen.
        let journal = self.journal.journal();
        let is_ours = |named: &NamedRule| claimed::is_ours(&journal, self.context.event, named);
        rules.iter().filter(|named| !is_there(named) && !is_done(named) && !is_ours(named)).cloned().collect()
    }

    /// What was gone and is our doing, says the journal, is no finding of its own. What of that nobody told.
    fn join(&mut self) -> Vec<Entry> {
        let journal = self.journal.journal();
        let InvocationContext { setup, event, round, .. } = self.context;
        let is_ours = |rule: &Rule| journal.holds(&rule.id, event, |was| is_equal(was, rule));
        self.results.retain(|_, result| result.action != Action::AlreadyGone || !is_ours(&result.finding.rule));
        let (event, live) = (event.map(|event| event.id.as_str()), &self.snapshot.group.rules);
        let mut left_over = journal.left_over(event, round.sweep, live, setup.ports.clock.now());
        let done = self.results.values().filter(|result| result.action.is_closed_by_us());
        let done: BTreeSet<String> = done.map(|result| journal::key(&result.finding.rule, event)).collect();
        left_over.retain(|entry| entry.key().is_none_or(|key| !done.contains(&key)));
        left_over
    }

    /// Whether it is there, and nobody can say what it is.
    fn is_unreadable(&self, named: &NamedRule) -> bool {
        named.id.is_some() && self.snapshot.group.unreadable_rules.iter().any(|rule| rule.id == named.id)
    }

    /// What is to be said of all rules of which EC2's answer could not be understood.
    fn unreadable(&self) -> Option<Finding> {
        let rules: Vec<String> = self.snapshot.group.unreadable_rules.iter().map(|rule| rule.why.clone()).collect();
        let is_named = match self.named {
            Named::Rules(named) => named.iter().any(|named| self.is_unreadable(named)),
            Named::Everything => true,
            Named::Nothing | Named::Using(_) => false,
        };
        (!rules.is_empty()).then(|| Finding::unreadable(&rules, is_named))
    }

    /// What the policy says of rules that the event names and that are not there.
    async fn claimed(&mut self, missing: &[NamedRule]) -> Vec<JudgedRule> {
        let claims = claims(&self.snapshot.group, missing);
        if claims.rules.is_empty() {
            return Vec::new();
        }
        let mut snapshot = self.snapshot.with_rules_of(claims);
        if let Err(error) = self.context.inventory.resolve(&mut snapshot).await {
            self.problem("what the event says of", "could not be looked up", &error);
            return Vec::new();
        }
        claimed::judged(self.context.setup, &snapshot.group, missing, self.context.event, self.context.started)
    }

    fn plan_context<'m>(&self, memory: &'m Memory) -> PlanContext<'m>
    where
        'a: 'm,
    {
        let InvocationContext { setup, event, started, .. } = self.context;
        let Setup { policy, location, modes, .. } = setup;
        let actor = event.map(|event| &event.actor);
        let led = Led::by(event, started);
        let modes = *modes;
        PlanContext { policy, location, now: started, modes, actor, named: self.named, led, memory }
    }

    fn problem(&mut self, what: &str, why: &str, error: &CloudError) {
        self.problems.push(format!("{what} `{}` {why}: {}", self.snapshot.group.id, chain(error)));
    }
}
