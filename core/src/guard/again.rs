//! What is looked at again through the work queue: for how long, and the messages that say so.
//!
//! Owns: when something may come back, after what time, how often. Must not: look, or judge.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::event::work::{MAX_GROUPS, MAX_HOPS, Task, Why, Work, WorkError};
use crate::event::{Change, Event, GroupRef, Named, NamedRule, Target, Touched};
use crate::guard::round::Round;
use crate::model::error::chain;
use crate::ports::WorkQueue;

/// After these times what EC2 did not show is looked at again, and then told.
const MISSING: &[Duration] = &[Duration::from_secs(15)];
/// A list that is being changed is then left to the sweep.
const CHANGING: &[Duration] = &[Duration::from_mins(1), Duration::from_mins(5), Duration::from_mins(15)];
/// What a call took away from a cluster may be on its way: Terraform takes a rule away and writes another.
const NEEDED: &[Duration] = &[Duration::from_mins(1)];
/// Where nothing was done meanwhile, for more than an hour. Where something was, what is left follows at once.
const POSTPONED: &[Duration] = &[
    Duration::from_secs(15),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_mins(15),
    Duration::from_mins(15),
    Duration::from_mins(15),
];

fn delays(why: Why) -> &'static [Duration] {
    match why {
        Why::Missing => MISSING,
        Why::Changing => CHANGING,
        Why::Needed => NEEDED,
        Why::Postponed => POSTPONED,
        Why::Elsewhere => &[],
    }
}

impl Round {
    /// Whether there may be another look for this reason after this one. What EC2 does not show is waited for once.
    pub(super) fn may_look_again(self, why: Why) -> bool {
        let looks = usize::from(self.look.saturating_sub(1));
        self.hops < MAX_HOPS && looks < delays(why).len()
    }

    /// Whether this look asks what became of all that the event speaks of. One at what is left does not.
    pub(super) fn is_about_everything(self) -> bool {
        self.why.is_none_or(|why| why == Why::Missing)
    }
}

/// Removed rules that go with a message.
const MAX_REMOVED: usize = 50;

/// What has to be looked at again.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// What the event removed, so that the last look can say it.
    pub(super) removed: Vec<NamedRule>,
    groups: BTreeMap<Why, Vec<Touched>>,
    others: Vec<(Why, Target)>,
}

impl Again {
    /// A group, with the rules that the event names in it, as far as they are left.
    pub(super) fn add(&mut self, why: Why, group: &str, named: Named) {
        self.groups.entry(why).or_default().push(Touched { group: GroupRef::Id(group.to_owned()), named });
    }

    /// Something else.
    pub(super) fn add_target(&mut self, why: Why, target: Target) {
        self.others.push((why, target));
    }

    /// Puts all of it into the queue. What could not be put there is an error of its own.
    pub(super) async fn send(
        self,
        queue: &dyn WorkQueue,
        event: &Event,
        round: Round,
        has_done: bool,
        now: Timestamp,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let mut left = self.others;
        let removed: Vec<NamedRule> = self.removed.into_iter().take(MAX_REMOVED).collect();
        for (why, mut groups) in self.groups {
            while !groups.is_empty() {
                let rest = groups.split_off(groups.len().min(MAX_GROUPS));
                left.push((why, Target::Groups(std::mem::replace(&mut groups, rest))));
            }
        }
        while let Some((why, subject)) = left.pop() {
            // Postponed for the limit alone: the next ones follow, and nothing is waited for.
            let goes_on = why == Why::Postponed && has_done;
            let nth = usize::from(round.look.saturating_sub(1));
            let delay = if goes_on { Duration::ZERO } else { delays(why).get(nth).copied().unwrap_or_default() };
            let look = if goes_on { round.look } else { round.look.saturating_add(1) };
            let change = Change {
                event: event.clone(),
                subject: subject.clone(),
                touches_endpoint: false,
                removed: removed.clone(),
            };
            let text = Work::new(Task::Look { change, why, look }, round.hops.saturating_add(1), now).text();
            let error = match (text, subject) {
                (Ok(text), _) => match queue.send(&text, delay).await {
                    Ok(()) => continue,
                    Err(error) => chain(&error),
                },
                (Err(WorkError::TooLarge(_)), Target::Groups(mut groups)) if groups.len() > 1 => {
                    let rest = groups.split_off(groups.len() / 2);
                    left.extend([groups, rest].map(|groups| (why, Target::Groups(groups))));
                    continue;
                }
                (Err(error), _) => chain(&error),
            };
            problems.push(format!("what has to be looked at again could not be put into the work queue: {error}"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `core/src/report/notice/headline.rs` says it.
    #[test]
    fn what_was_postponed_comes_back_within_a_minute_and_for_an_hour() {
        assert!(POSTPONED[0] < Duration::from_mins(1));
        assert!(POSTPONED.iter().sum::<Duration>() > Duration::from_hours(1));
    }
}
