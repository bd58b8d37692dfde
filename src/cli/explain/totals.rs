//! What became of all events together, and of whose calls.
//!
//! Must not: hold events; only what they come to, and by which mark a repeat is known.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::io;

use serde_json::{Value, json};

use super::table::who;
use crate::cli::answer::Answer;
use crate::cli::claims;
use crate::cli::style::Style;
use crate::event::Change;
use crate::model::text::{capital, count, plain};
use crate::policy::model::Verdict;

/// Callers that are named in the summary, those with the most calls.
const MAX_NAMED: usize = 10;
/// Callers that are told apart at all.
const MAX_KNOWN: usize = 10_000;
/// Sentences on what the verdicts rest on.
const MAX_CAVEATS: usize = 20;

/// The sums.
#[derive(Default)]
pub(super) struct Totals {
    calls: usize,
    others: usize,
    ignored: usize,
    undone: usize,
    /// Not undone, and people would hear of it.
    reported: usize,
    /// Only the live state says what they mean.
    unknown: usize,
    repeats: usize,
    by_caller: BTreeMap<String, usize>,
    caveats: BTreeSet<String>,
    seen: HashSet<u64>,
}

impl Totals {
    /// `false`: this very event was there before, and the function would leave it alone.
    pub(super) fn add(&mut self, answer: &Answer) -> bool {
        if answer.change.as_ref().is_some_and(|change| !self.seen.insert(mark(change))) {
            self.repeats += 1;
            return false;
        }
        let Some(event) = answer.event() else {
            *if answer.is_ignored { &mut self.ignored } else { &mut self.others } += 1;
            return true;
        };
        self.calls += 1;
        if answer.steps().any(|step| step.intent.closes()) {
            self.undone += 1;
            let who = who(event);
            let who = if self.by_caller.len() < MAX_KNOWN { who } else { "others".to_owned() };
            *self.by_caller.entry(who).or_default() += 1;
        } else if answer.steps().any(|step| step.finding.verdict > Verdict::Allow) {
            self.reported += 1;
        } else if answer.steps().next().is_none() {
            self.unknown += 1;
        }
        for (_, why) in answer.groups.iter().flat_map(|group| group.otherwise.iter().flatten()) {
            self.caveats
                .insert(format!("where it says `or`, that is so if {why}: unknown here, only the live state tells it"));
        }
        for caveat in answer.groups.iter().flat_map(|group| claims::caveats(&group.claimed)) {
            if self.caveats.len() < MAX_CAVEATS {
                self.caveats.insert(caveat);
            }
        }
        true
    }

    /// How many events there were.
    pub(super) fn events(&self) -> usize {
        self.calls + self.others + self.ignored
    }

    fn callers(&self) -> Vec<(&String, &usize)> {
        let mut callers: Vec<_> = self.by_caller.iter().collect();
        callers.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        callers
    }

    pub(super) fn in_words(&self, policy: &str, style: Style) -> String {
        let mut out = String::new();
        if !self.caveats.is_empty() {
            out.push_str("\nWhat this rests on\n");
            for caveat in &self.caveats {
                let _ = writeln!(out, "  - {}.", capital(caveat));
            }
        }
        let callers = self.callers();
        let mut named: Vec<String> =
            callers.iter().take(MAX_NAMED).map(|(who, count)| format!("{count} {who}")).collect();
        let rest: usize = callers.iter().skip(MAX_NAMED).map(|(_, count)| **count).sum();
        named.extend((rest > 0).then(|| format!("{rest} others")));
        let undone = match self.undone {
            0 => style.good("none would have been undone"),
            undone => style.bad(&format!("{undone} would have been undone: {}", named.join(", "))),
        };
        let all = self.calls + self.ignored;
        let _ = writeln!(out, "\nunder the policy `{}`, of {} {undone}", plain(policy), count(all, "call"));
        for (number, what) in [
            (self.reported, "would have been told to people, and left"),
            (
                self.unknown,
                "would have had the function look at the live groups: an event does not tell what these hold",
            ),
            (self.ignored, "would have been left alone: they open nothing, or failed"),
        ] {
            if number > 0 {
                let _ = writeln!(out, "  {number} {what}");
            }
        }
        if self.repeats > 0 {
            let _ = writeln!(out, "  {} of an event counted once", count(self.repeats, "repeat"));
        }
        if self.others > 0 {
            let _ = writeln!(out, "  {} beside, to look at everything", count(self.others, "order"));
        }
        out
    }

    pub(super) fn for_tools(&self) -> Value {
        let callers = self.callers();
        let callers: Vec<Value> =
            callers.into_iter().map(|(who, undone)| json!({"who": who, "undone": undone})).collect();
        json!({
            "events": self.events(), "calls": self.calls + self.ignored, "undone": self.undone,
            "reported": self.reported, "unknown": self.unknown, "ignored": self.ignored, "repeats": self.repeats,
            "by_caller": callers,
        })
    }
}

/// By which an event is known again: all of it, since ids of events are text from outside.
fn mark(change: &Change) -> u64 {
    struct Into(DefaultHasher);
    impl io::Write for Into {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut into = Into(DefaultHasher::new());
    // Nothing of it can fail to be written.
    let _ = serde_json::to_writer(&mut into, change);
    into.0.finish()
}
