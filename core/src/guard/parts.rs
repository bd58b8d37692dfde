//! A sweep in parts, through the work queue: which parts it has, and what follows when the last of them has ended.
//!
//! Owns: the plan, and when its digests are due. Must not: look at groups (a guard does), or say what is in a digest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::event::work::{MAX_GROUPS, Part, Task, Work};
use crate::guard::digests;
use crate::guard::everything::GATHER;
use crate::guard::once::once;
use crate::guard::response::GuardError;
use crate::guard::round::Attempt;
use crate::guard::setup::Setup;
use crate::inventory::Inventory;
use crate::model::baseline::{Lesson, LocationState};
use crate::model::error::{CloudError, chain};
use crate::model::facts::Selector;
use crate::ports::StateStore;
use crate::report::history::short_digest;
use crate::report::part::EndedPart;

/// Between two parts, so that what is tried again never stands behind all of them.
const APART: Duration = Duration::from_secs(10);
const MAX_DELAY: Duration = Duration::from_mins(15);
/// Without a schedule the guard looks by itself when the last look is so old.
const LOOK_AFTER: SignedDuration = SignedDuration::from_hours(3 * 24);
/// For how long nobody asks again whether that is so, or for another one.
pub(super) const ASK_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// What such a look is called for the other processes.
const OWN_LOOK: &str = "look";
/// What one is called that many may ask for, and how long after another it begins.
const FOR_ALL: &str = "everything-in-parts";
const APART_LOOKS: SignedDuration = SignedDuration::from_mins(15);
/// A sweep is counted once; its messages do not come back for longer.
const COUNTED_FOR: SignedDuration = SignedDuration::from_hours(48);

/// Puts a sweep of this location into the queue; `false`: it has to be done here and now.
pub(super) async fn begin(setup: &Setup) -> bool {
    // Without a table nobody would know when the last part has ended.
    let (Some(queue), Some(_)) = (&setup.ports.queue, &setup.ports.state) else { return false };
    let now = setup.ports.clock.now();
    let text = Work::new(Task::Sweep { location: setup.location.clone() }, 1, now).text();
    let sent = match text {
        Ok(text) => queue.send(&text, Duration::ZERO).await.map_err(|error| chain(&error)),
        Err(error) => Err(chain(&error)),
    };
    if let Err(error) = &sent {
        tracing::error!(error, "a sweep could not be put into the work queue");
    }
    sent.is_ok()
}

/// The same, unless somebody has within this time: then `None`.
async fn begin_once(setup: &Setup, what: &str, time: SignedDuration) -> Option<bool> {
    let sent = async { if begin(setup).await { Ok(()) } else { Err(()) } };
    let once = once(setup.ports.state.as_deref(), setup.ports.clock.as_ref(), what, time, sent).await;
    once.map(|sent| sent.is_ok())
}

/// Whether everything was looked at in parts since this was asked for, or is from now on: for whoever finds that one
/// invocation is too short for all. Many may, and each look costs as much.
///
/// # Errors
/// It is to wait for the one that is under way.
pub(super) async fn are_seen_to(
    setup: &Setup,
    place: &LocationState,
    asked: Timestamp,
    attempt: Attempt,
) -> Result<bool, GuardError> {
    let since = asked.saturating_add(GATHER).unwrap_or(Timestamp::MAX);
    if !place.looks.is_empty() && place.looks.values().all(|began| *began >= since) {
        return Ok(true);
    }
    match begin_once(setup, FOR_ALL, APART_LOOKS).await {
        Some(is_begun) => Ok(is_begun),
        // Nobody waits for longer.
        None if attempt == Attempt::Last => Ok(begin(setup).await),
        None => Err(GuardError::unfinished("a look at everything is under way, and this one waits for it".to_owned())),
    }
}

/// Begins a look of the guard's own where nobody has looked for long, or never.
pub(super) async fn begin_if_due(setup: &Setup, place: &LocationState) {
    if setup.ports.state.is_none() || setup.ports.queue.is_none() {
        return;
    }
    let now = setup.ports.clock.now();
    let is_fresh = |at: &Timestamp| now.duration_since(*at) < LOOK_AFTER;
    if place.looks.values().any(is_fresh) {
        return;
    }
    begin_once(setup, OWN_LOOK, ASK_AFTER).await;
}

/// Puts the parts of a sweep into the queue, unless an earlier try put all of them there: its message comes back for what
/// was to be done beside it, too. How many there are.
///
/// # Errors
/// As [`plan`].
pub(super) async fn plan_once(setup: &Setup, inventory: &Inventory, sweep: &Work) -> Result<Option<usize>, GuardError> {
    let Some(state) = &setup.ports.state else { return plan(setup, inventory, sweep).await.map(Some) };
    let planned = format!("planned#{}", sweep.at);
    let sent = |error: CloudError| tracing::warn!(error = %chain(&error), "the parts of a sweep may be sent twice");
    if state.is_handled(&planned).await.map_err(sent).unwrap_or_default() {
        return Ok(None);
    }
    let parts = plan(setup, inventory, sweep).await?;
    state.remember(Some(&planned), &[]).await.map_err(sent).unwrap_or_default();
    Ok(Some(parts))
}

/// Puts the parts of a sweep into the queue. How many there are.
///
/// # Errors
/// A cluster or a VPC that could not be read; the parts of the others are there all the same.
async fn plan(setup: &Setup, inventory: &Inventory, sweep: &Work) -> Result<usize, GuardError> {
    let failed = |what: &str, source| GuardError::ReadFailed { what: what.to_owned(), source };
    let Some(queue) = &setup.ports.queue else { return Ok(0) };
    let (vpcs, mut problem) = inventory.vpcs_of_clusters().await.map_err(|error| failed("the clusters", error))?;
    // One that could not be read is still to come, and may lie in any of the VPCs.
    let knows_clusters = problem.is_none();
    let of_vpcs = vpcs.len() + usize::from(problem.is_some());
    let mut parts: Vec<Part> = Vec::new();
    for (before, (vpc, clusters)) in vpcs.into_iter().enumerate() {
        match setup.ports.ec2.groups(&Selector::Vpcs(vec![vpc.clone()])).await {
            Ok(groups) => {
                let groups: BTreeSet<String> = groups.into_iter().map(|group| group.id).collect();
                let groups: Vec<String> = groups.into_iter().collect();
                let of = groups.iter().chain(&clusters).map(String::as_str).chain((!knows_clusters).then_some("?"));
                let cut = short_digest(&of.collect::<Vec<_>>());
                let chunks: Vec<&[String]> =
                    if groups.is_empty() { vec![&[]] } else { groups.chunks(MAX_GROUPS).collect() };
                let part = |(n, groups): (usize, &&[String])| Part {
                    location: setup.location.clone(),
                    sweep: sweep.at,
                    vpc: vpc.clone(),
                    nth: before + 1,
                    vpcs: of_vpcs,
                    clusters: clusters.clone(),
                    knows_clusters,
                    groups: groups.to_vec(),
                    n: n + 1,
                    of: chunks.len(),
                    cut: cut.clone(),
                };
                parts.extend(chunks.iter().enumerate().map(part));
            }
            Err(error) => problem = Some(error),
        }
    }
    if of_vpcs == 0 {
        setup.ports.metrics.sweep_ended();
    }
    let count = parts.len();
    let mut delay = Duration::ZERO;
    for part in parts {
        let text = Work::new(Task::Part(part), sweep.hops.saturating_add(1), sweep.at).text();
        let unsent = |why: String| {
            GuardError::unfinished(format!("a part of the sweep could not be put into the work queue: {why}"))
        };
        let text = text.map_err(|error| unsent(chain(&error)))?;
        queue.send(&text, delay).await.map_err(|error| unsent(chain(&error)))?;
        delay = (delay + APART).min(MAX_DELAY);
    }
    problem.map_or(Ok(count), |error| Err(failed("some clusters", error)))
}

/// Keeps what a try of a part found, before anything of it counts as known.
///
/// # Errors
/// The state did not take it.
pub(super) async fn keep(setup: &Setup, part: &Part, found: &EndedPart) -> Result<(), GuardError> {
    let Some(state) = &setup.ports.state else { return Ok(()) };
    let kept = state.ended(&part.look(), part.n, part.of, found).await;
    kept.map(|_| ()).map_err(|error| GuardError::unfinished(uncounted(&error)))
}

fn uncounted(error: &CloudError) -> String {
    format!("the parts of a sweep could not be counted: {}", chain(error))
}

/// A part has ended. After the last one of a VPC its look counts, and people get the digests; after the last VPC the sweep
/// has ended.
///
/// # Errors
/// What has to be done again: the state, or a channel, did not take it.
pub(super) async fn ended(setup: &Setup, part: &Part, found: EndedPart) -> Result<(), GuardError> {
    let Some(state) = &setup.ports.state else { return Ok(()) };
    end(setup, state.as_ref(), part, found).await.map_err(GuardError::unfinished)
}

async fn end(setup: &Setup, state: &dyn StateStore, part: &Part, found: EndedPart) -> Result<(), String> {
    let failed = |error: CloudError| uncounted(&error);
    let look = part.look();
    let Some(all) = state.ended(&look, part.n, part.of, &found).await.map_err(failed)? else {
        return Ok(());
    };
    if all.iter().all(|part| part.is_complete) {
        let groups = all.iter().flat_map(|part| part.groups.iter().cloned()).collect();
        let place =
            LocationState { looks: BTreeMap::from([(part.vpc.clone(), part.sweep)]), ..LocationState::default() };
        let lesson = Lesson { place, looks: BTreeMap::from([(part.vpc.clone(), groups)]), ..Lesson::default() };
        state.learn(&lesson).await.map_err(failed)?;
    }
    // Whoever comes second finds it done; who is cut off in between leaves it to the next try.
    let done = format!("digest#{look}");
    if !state.is_handled(&done).await.map_err(failed)? {
        let records = all.into_iter().flat_map(EndedPart::into_records).collect();
        digests::tell(setup, state, &done, &part.clusters, records).await?;
        state.remember(Some(&done), &[]).await.map_err(failed)?;
    } else if let Some((effects, records)) = found.effects() {
        // It came once more, out of the dead-letter queue or by a plan that was tried again, and did more.
        digests::tell(setup, state, &format!("{done}#{effects}"), &part.clusters, records).await?;
    }
    let sweep = format!("{}#{}", part.sweep, part.vpcs);
    if state.ended(&sweep, part.nth, part.vpcs, &EndedPart::default()).await.map_err(failed)?.is_some()
        && state.lease(&format!("ended#{sweep}"), after(setup, COUNTED_FOR)).await.map_err(failed)?
    {
        setup.ports.metrics.sweep_ended();
    }
    Ok(())
}

fn after(setup: &Setup, time: SignedDuration) -> Timestamp {
    setup.ports.clock.now().saturating_add(time).unwrap_or(Timestamp::MAX)
}
