//! What people were notified of before: which findings of an invocation are news, and what to keep once everybody knows.
//!
//! Owns: the order of reading and writing the state store. Must not: keep anything from being done. A store that fails
//! costs a notice too many, and an error that says so.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::event::Event;
use crate::model::error::chain;
use crate::model::ids::Location;
use crate::ports::StateStore;
use crate::report::finding::Finding;
use crate::report::history::{History, Key, Notification, Sighting};
use crate::report::notice;

/// What the state store says of the findings of one invocation.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Of every finding that people hear of: what is to be remembered.
    histories: BTreeMap<Key, History>,
    /// What was remembered of them before, each with the event it came with.
    before: Vec<(Key, Option<String>, History)>,
    /// Another process dealt with this event to its end.
    pub(super) is_handled: bool,
    /// What could not be read or kept.
    pub(super) problems: Vec<String>,
}

impl News {
    /// Looks up the histories of these findings, each with its group and the event it came with, and marks those that are
    /// no news and those that are contested. Asks nothing when there is nothing to say. `is_retry`: people heard of what
    /// failed at the first try of the event.
    pub(super) async fn of<'f>(
        state: &dyn StateStore,
        location: &Location,
        (event, is_retry): (Option<&Event>, bool),
        findings: Vec<(&'f str, Option<&'f Event>, &'f mut Finding)>,
        now: Timestamp,
    ) -> Self {
        let due = findings.into_iter().filter(|(_, by, finding)| notice::is_due(finding, by.is_some()));
        let due: Vec<(Key, Option<&Event>, &mut Finding)> =
            due.map(|(group, by, finding)| (Key::of(location, group, finding), by, finding)).collect();
        let mut news = Self::default();
        if due.is_empty() {
            return news;
        }
        let keys: Vec<Key> = due.iter().map(|(key, ..)| key.clone()).collect();
        match state.history(event.map(|event| event.id.as_str()), &keys).await {
            Ok((is_handled, histories)) => (news.is_handled, news.histories) = (is_handled, histories),
            Err(error) => {
                let why = chain(&error);
                news.problems.push(format!("the history could not be read, so people may be notified again: {why}"));
            }
        }
        for (key, by, finding) in due {
            let history = news.histories.entry(key.clone()).or_default();
            let sighting = Sighting::of(finding, by, now);
            let sighting = if is_retry { sighting.tried_again() } else { sighting };
            let notification = history.notification(&sighting, now);
            (finding.for_people.since, finding.for_people.is_unchanged) = history.standing(&sighting, now);
            news.before.push((key, by.map(|event| event.id.clone()), history.clone()));
            *history = history.with(&sighting, &notification, now);
            match notification {
                Notification::Send => {}
                Notification::Quiet { last } => finding.notified_at = Some(last),
                Notification::Contested(contested) => finding.contested = Some(contested),
            }
        }
        news
    }

    /// People hear nothing of what came with these events: it stays news.
    pub(super) fn unsay(&mut self, events: &BTreeSet<String>) {
        for (key, event, before) in &self.before {
            if let (Some(event), Some(history)) = (event, self.histories.get_mut(key))
                && events.contains(event)
            {
                *history = std::mem::take(history).unsaid(before);
            }
        }
    }

    /// To be called once everybody was notified. `event`: one that was handled to its end.
    pub(super) async fn keep(&mut self, state: &dyn StateStore, event: Option<&Event>) {
        if self.histories.is_empty() {
            return;
        }
        let histories: Vec<(Key, History)> = std::mem::take(&mut self.histories).into_iter().collect();
        if let Err(error) = state.remember(event.map(|event| event.id.as_str()), &histories).await {
            let why = chain(&error);
            self.problems.push(format!("the history could not be written, so people may be notified again: {why}"));
        }
    }
}
