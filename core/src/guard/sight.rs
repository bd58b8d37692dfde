//! Whether the guard still sees what happens in its location: the trails without which no event is sent, and its own event
//! rule. Looked at when a call may have blinded it, and once in each sweep of everything.
//!
//! Owns: what is looked at, and that it is told. Must not: keep a sweep from anything; what cannot be read is a finding.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, join_all, select};

use crate::event::{Change, Event, Target};
use crate::guard::handled::HandledEvents;
use crate::guard::news::News;
use crate::guard::notify::{Outgoing, notify};
use crate::guard::response::{GuardError, Response};
use crate::guard::setup::Setup;
use crate::model::error::{CloudError, chain};
use crate::model::text::{plain, quoted};
use crate::policy::model::Severity;
use crate::policy::sight::{self, Sight};
use crate::ports::{EventRule, StateStore, Trails};
use crate::report::finding::{Check, Finding, worst_first};
use crate::report::history::{History, Key};
use crate::report::notice;

/// All of it together may take so long: groups wait for it in a sweep.
const PATIENCE: Duration = Duration::from_secs(12);

/// What brings events to the guard.
#[derive(Clone)]
pub struct Sources {
    /// CloudTrail of the location.
    pub trails: Arc<dyn Trails>,
    /// The rule that invokes the guard, by its name. Only one guard looks at it.
    pub rule: Option<(String, Arc<dyn EventRule>)>,
}

/// Something that events come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Trails,
    Rule,
}

/// What is said of each: where it lets nothing through, and where nobody knows; and how the lines of both begin.
struct Row {
    source: Source,
    blind: Check,
    unread: Check,
}

const SOURCES: [Row; 2] = [
    Row { source: Source::Trails, blind: Check::NoTrail, unread: Check::TrailsUnread },
    Row { source: Source::Rule, blind: Check::RuleDisabled, unread: Check::RuleUnread },
];

/// Looks at everything in a sweep.
///
/// # Errors
/// People that could not be notified.
pub(super) async fn in_sweep(
    setup: &Setup,
    sources: &Sources,
    handled: &HandledEvents,
) -> Result<Response, GuardError> {
    look(setup, sources, handled, None, |_| true).await
}

/// Looks at what a call may have changed.
///
/// # Errors
/// As [`in_sweep`].
pub(super) async fn after(
    setup: &Setup,
    sources: Option<&Sources>,
    handled: &HandledEvents,
    change: &Change,
) -> Result<Response, GuardError> {
    let event = &change.event;
    let call = quoted(event.call.name);
    let Some(sources) = sources else { return Ok(Response::ignored(format!("{call}: nobody looks at trails here"))) };
    match (&change.subject, &sources.rule) {
        (Target::EventRule(_), None) => {
            return Ok(Response::ignored(format!("{call}: the guard's own event rule is not looked at here")));
        }
        (Target::EventRule(Some(named)), Some((own, _))) if named != own => {
            return Ok(Response::ignored(format!(
                "{call} was about event rule {}, not about the guard's own",
                quoted(named)
            )));
        }
        _ => {}
    }
    let touched = if change.subject == Target::Trails { Source::Trails } else { Source::Rule };
    let mut response = look(setup, sources, handled, Some(event), |source| source == touched).await?;
    if response.records.is_empty() {
        response.ignored = Some(format!("after {call} events still reach the guard"));
    }
    Ok(response)
}

async fn look(
    setup: &Setup,
    sources: &Sources,
    handled: &HandledEvents,
    event: Option<&Event>,
    is_due: impl Fn(Source) -> bool,
) -> Result<Response, GuardError> {
    let (mut findings, mut over) = (Vec::new(), Vec::new());
    let asked = SOURCES
        .iter()
        .filter(|row| is_due(row.source))
        .map(|row| async move { Some((row, seen(setup, sources, row.source).await?)) });
    for (Row { blind, unread, .. }, seen) in join_all(asked).await.into_iter().flatten() {
        let found = |check, severity, lines: &[String]| Finding::of_sight(check, severity, lines, event.is_some());
        match seen {
            Sight::Clear => over.extend([*blind, *unread]),
            Sight::Blind(lines) => {
                over.push(*unread);
                findings.push(found(*blind, Severity::Critical, &lines));
            }
            Sight::Unknown(lines) => {
                // A call that may have blinded us is worse than a right that was never there.
                let severity = if event.is_some() { Severity::High } else { Severity::Medium };
                findings.push(found(*unread, severity, &lines));
            }
        }
    }
    end(setup, &over).await;
    if findings.is_empty() {
        return Ok(Response::default());
    }
    worst_first(&mut findings);
    tell(setup, handled, event, findings).await
}

/// `None`: nobody looks at it here.
async fn seen(setup: &Setup, sources: &Sources, source: Source) -> Option<Sight> {
    let unread = |error: &CloudError| Sight::Unknown(vec![chain(error)]);
    let region = &setup.location.region;
    let asked = async {
        match source {
            Source::Trails => Some(match sources.trails.trails().await {
                Ok(trails) => sight::of_trails(&trails, region),
                Err(error) => unread(&error),
            }),
            Source::Rule => {
                let (name, rule) = sources.rule.as_ref()?;
                Some(rule.state().await.map_or_else(|error| unread(&error), |state| sight::of_rule(name, state)))
            }
        }
    };
    match select(Box::pin(asked), setup.ports.clock.sleep(PATIENCE)).await {
        Either::Left((seen, _)) => seen,
        Either::Right(_) => Some(Sight::Unknown(vec![format!("AWS did not answer within {} s", PATIENCE.as_secs())])),
    }
}

/// What is right again is news when it goes wrong the next time. A table that fails costs people a notice at most.
async fn end(setup: &Setup, over: &[Check]) {
    let Some(state) = &setup.ports.state else { return };
    if let Err(error) = forget(setup, state.as_ref(), over).await {
        tracing::warn!(error = %chain(&error), "that events reach the guard again could not be noted");
    }
}

async fn forget(setup: &Setup, state: &dyn StateStore, over: &[Check]) -> Result<(), CloudError> {
    let key = |check: &Check| Key::of(&setup.location, "", &Finding::of_sight(*check, Severity::Low, &[], false));
    let keys: Vec<Key> = over.iter().map(key).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let now = setup.ports.clock.now();
    let (_, known) = state.history(None, &keys).await?;
    let ended: Vec<(Key, History)> =
        known.into_iter().filter_map(|(key, history)| history.over(now).map(|history| (key, history))).collect();
    if ended.is_empty() { Ok(()) } else { state.remember(None, &ended).await }
}

/// One record of the account, and one message of it.
async fn tell(
    setup: &Setup,
    handled: &HandledEvents,
    event: Option<&Event>,
    mut findings: Vec<Finding>,
) -> Result<Response, GuardError> {
    let Setup { ports, location, .. } = setup;
    let now = ports.clock.now();
    let mut news = News::default();
    if let Some(state) = &ports.state {
        let each = findings.iter_mut().map(|finding| ("", event, finding)).collect();
        news = News::of(state.as_ref(), location, (event, false), each, now).await;
    }
    if let Some(event) = event.filter(|_| news.is_handled) {
        return Ok(Response::repeat(event));
    }
    let record = setup.record_of_account(findings, event);
    let for_people = notice::is_news(&record).then(|| notice::notice(&record, now));
    let message = notice::message(&record, for_people);
    let mut problems = notify(ports, &[Outgoing::of(&record, message, Some(now))]).await;
    if problems.is_empty() {
        if let Some(event) = event {
            handled.insert(&event.id);
        }
        if let Some(state) = &ports.state {
            news.keep(state.as_ref(), event).await;
        }
    }
    problems.append(&mut news.problems);
    if problems.is_empty() {
        return Ok(Response { records: vec![record], ignored: None });
    }
    let problems = problems.iter().map(|problem| plain(problem)).collect();
    Err(GuardError::Unfinished { problems, is_told: true })
}

/// What a sweep found, with what was seen beside it. Neither keeps the other from being said.
pub(super) fn beside(
    sweep: Result<Response, GuardError>,
    seen: Result<Response, GuardError>,
) -> Result<Response, GuardError> {
    match (sweep, seen) {
        (Ok(mut response), Ok(seen)) => {
            response.ignored = response.ignored.filter(|_| seen.records.is_empty());
            response.records.extend(seen.records);
            Ok(response)
        }
        (Err(GuardError::Unfinished { mut problems, is_told }), Err(error)) => {
            problems.push(chain(&error));
            Err(GuardError::Unfinished { problems, is_told })
        }
        (Err(error), _) | (Ok(_), Err(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfinished(problem: &str) -> GuardError {
        GuardError::unfinished(problem.to_owned())
    }

    #[test]
    fn neither_a_sweep_nor_what_is_seen_beside_it_hides_a_failure_of_the_other() {
        let fine = || Ok(Response::ignored("nothing".to_owned()));
        assert_eq!(beside(fine(), Ok(Response::default())).unwrap().ignored.as_deref(), Some("nothing"));
        for (sweep, seen, said) in [
            (Err(unfinished("a")), Ok(Response::default()), "not everything was done: a"),
            (fine(), Err(unfinished("b")), "not everything was done: b"),
            (Err(unfinished("a")), Err(unfinished("b")), "not everything was done: a; not everything was done: b"),
        ] {
            assert_eq!(chain(&beside(sweep, seen).unwrap_err()), said);
        }
    }
}
