//! Writes the journal of one group while it is mended: before a call that changes something leaves, and once that was read
//! back.
//!
//! Owns: how long anybody waits for it. Must not: keep anything from being done. A table that fails or is slow delays no
//! call beyond that, and it is said.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, select};
use futures::stream::{self, StreamExt as _};

use crate::event::Event;
use crate::model::error::{CloudError, chain};
use crate::model::group::Group;
use crate::model::rule::Rule;
use crate::ports::{Clock, Ports, StateStore};
use crate::report::finding::Finding;
use crate::report::journal::{Caller, Entry, Journal, Note};
use crate::report::outcome::Action;

/// The call leaves then, whatever the table does.
const PATIENCE: Duration = Duration::from_millis(100);
/// After the call nothing is in a hurry but what is to be told.
const PATIENCE_AFTERWARDS: Duration = Duration::from_secs(2);

/// Journals written at once.
const MAX_WRITES: usize = 8;

/// The journal of one group in one invocation.
pub(super) struct GroupJournal<'a> {
    state: Option<Arc<dyn StateStore>>,
    clock: Arc<dyn Clock>,
    event: Option<&'a Event>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// As it was read or written last, with what we wrote.
    journal: Journal,
    /// What this invocation was about to do, and has not said the end of, by rule id.
    begun: BTreeMap<String, Entry>,
    /// What came of nothing: an answer that is older may still hold it.
    struck: Vec<Entry>,
    problems: Vec<String>,
}

impl<'a> GroupJournal<'a> {
    pub(super) fn new(ports: &Ports, event: Option<&'a Event>) -> Self {
        let (state, clock) = (ports.state.clone(), Arc::clone(&ports.clock));
        Self { state, clock, event, known: Mutex::default() }
    }

    fn known<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        with(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// It was read. What we wrote meanwhile is newer.
    pub(super) fn read(&self, journal: Journal) {
        let event = self.event.map(|event| (event.id.clone(), Caller::from(event)));
        self.known(|known| {
            let (entries, struck) = (known.journal.entries.values().cloned().collect(), known.struck.clone());
            let note = Note { event, entries, struck, ..Note::default() };
            known.journal = journal.with(&note, self.clock.now());
        });
    }

    /// As far as it is known.
    pub(super) fn journal(&self) -> Journal {
        self.known(|known| known.journal.clone())
    }

    /// Why it could not be written.
    pub(super) fn problems(&self) -> Vec<String> {
        self.known(|known| std::mem::take(&mut known.problems))
    }

    /// Does what changes these rules, once that is written, or the table took too long. Each with what it is afterwards.
    pub(super) async fn around<T>(
        &self,
        group: &Group,
        changes: Vec<(Finding, Option<Rule>)>,
        act: impl Future<Output = T>,
    ) -> T {
        let Some(state) = &self.state else { return act.await };
        let at = self.clock.now();
        let entry = |(finding, after): (Finding, Option<Rule>)| {
            let id = finding.rule()?.id.clone();
            let event = self.event.map(|event| event.id.clone());
            Some((id, Entry { finding, after, event, at, done_at: None, told: false }))
        };
        let entries: BTreeMap<String, Entry> = changes.into_iter().filter_map(entry).collect();
        let note = self.note_of(group, entries.values().cloned().collect());
        self.known(|known| known.begun.extend(entries));
        self.wrote_here(&note);
        let write = pin!(state.note(&group.id, &note));
        match select(write, self.clock.sleep(PATIENCE)).await {
            Either::Left((written, _)) => {
                self.wrote(&group.id, written);
                act.await
            }
            Either::Right(((), write)) => {
                tracing::warn!(group = %group.id, "the journal is not written yet; the call leaves without it");
                match select(pin!(act), write).await {
                    Either::Left((done, _)) => done,
                    Either::Right((written, act)) => {
                        self.wrote(&group.id, written);
                        act.await
                    }
                }
            }
        }
    }

    /// Writes what became of these rules. `is_undone`: EC2 said that it would not do it, or shows that it did not.
    pub(super) async fn settle(&self, group: &Group, became: &[(&str, Action)], is_undone: impl Fn(&str) -> bool) {
        let Some(state) = &self.state else { return };
        let begun = self.known(|known| std::mem::take(&mut known.begun));
        let mut note = self.note_of(group, Vec::new());
        for (id, mut entry) in begun {
            match became.iter().find(|(rule, _)| *rule == id).map(|(_, action)| action) {
                Some(action) if action.is_closed_by_us() => {
                    entry.done_at = Some(self.clock.now());
                    note.entries.push(entry);
                }
                Some(Action::Failed) if !is_undone(&id) => note.entries.push(entry),
                // Nothing came of it, or it is judged again, and then it begins anew.
                Some(_) | None => note.struck.push(entry),
            }
        }
        self.known(|known| known.struck.extend(note.struck.clone()));
        self.wrote_here(&note);
        match write(state.as_ref(), self.clock.as_ref(), &group.id, &note).await {
            Ok(journal) => self.known(|known| known.journal = journal),
            Err(why) => {
                let id = &group.id;
                let problem =
                    format!("the journal of `{id}` could not be written, so a retry may tell it otherwise: {why}");
                self.known(|known| known.problems.push(problem));
            }
        }
    }

    fn note_of(&self, group: &Group, entries: Vec<Entry>) -> Note {
        let event = self.event.map(|event| (event.id.clone(), Caller::from(event)));
        Note { clusters: group.clusters.clone(), event, entries, ..Note::default() }
    }

    fn wrote_here(&self, note: &Note) {
        let now = self.clock.now();
        self.known(|known| known.journal = std::mem::take(&mut known.journal).with(note, now));
    }

    fn wrote(&self, group: &str, written: Result<Journal, CloudError>) {
        match written {
            Ok(journal) => self.known(|known| known.journal = journal),
            // Not an error yet: what is written afterwards says it all.
            Err(error) => {
                tracing::warn!(group, error = %chain(&error), "the journal was not written before the call left");
            }
        }
    }
}

/// These groups, with those that the event concerned at earlier tries: a rule that one of them revoked does not lead to its
/// group any more, and may not be told yet.
pub(super) async fn concerned(ports: &Ports, event: &Event, groups: Vec<String>) -> Vec<String> {
    let Some(state) = &ports.state else { return groups };
    let known = groups.iter().cloned().collect();
    match select(state.concerned(&event.id, &known), ports.clock.sleep(PATIENCE)).await {
        Either::Left((Ok(all), _)) => all.union(&known).cloned().collect(),
        Either::Left((Err(error), _)) => {
            tracing::warn!(error = %chain(&error), "which groups an event concerned before is not known");
            groups
        }
        Either::Right(_) => {
            tracing::warn!("which groups an event concerned before is not known in time");
            groups
        }
    }
}

/// Marks in the journals that every channel took the message of these entries, by their keys. Gives what could not be
/// marked.
pub(super) async fn said(ports: &Ports, changed: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let Some(state) = &ports.state else { return Vec::new() };
    let mark = |(group, told): (String, BTreeSet<String>)| async move {
        let note = Note { told, ..Note::default() };
        let why = write(state.as_ref(), ports.clock.as_ref(), &group, &note).await.err()?;
        let what =
            format!("that people know what was done in `{group}` could not be written, so they may be notified again");
        Some(format!("{what}: {why}"))
    };
    let marks: Vec<BoxFuture<'_, Option<String>>> =
        changed.into_iter().filter(|(_, told)| !told.is_empty()).map(|of| mark(of).boxed()).collect();
    stream::iter(marks).buffer_unordered(MAX_WRITES).filter_map(ready).collect().await
}

/// Where nothing waits for it but what is to be told.
async fn write(state: &dyn StateStore, clock: &dyn Clock, group: &str, note: &Note) -> Result<Journal, String> {
    match select(state.note(group, note), clock.sleep(PATIENCE_AFTERWARDS)).await {
        Either::Left((written, _)) => written.map_err(|error| chain(&error)),
        Either::Right(_) => Err("the table did not answer in time".to_owned()),
    }
}
