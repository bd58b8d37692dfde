//! The events that this process handled. It forgets with the process; a table, where there is one, knows what the others
//! did.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Events remembered; beyond, the oldest is forgotten.
const MAX_EVENTS: usize = 10_000;

/// Events by id.
#[derive(Debug, Default)]
pub(super) struct HandledEvents(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl HandledEvents {
    /// Whether this process handled the event to its end.
    pub(super) fn contains(&self, event: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ids.contains(event)
    }

    /// Remembers an event.
    pub(super) fn insert(&self, event: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.ids.insert(event.to_owned()) {
            known.order.push_back(event.to_owned());
        }
        if known.order.len() > MAX_EVENTS
            && let Some(oldest) = known.order.pop_front()
        {
            known.ids.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_events_are_known_and_one_that_comes_again_takes_no_room() {
        let events = HandledEvents::default();
        assert!(!events.contains("0"));
        for n in (0..=MAX_EVENTS).chain([1]) {
            events.insert(&n.to_string());
        }
        assert!(!events.contains("0"), "the oldest is forgotten");
        assert!(events.contains("1") && events.contains(&MAX_EVENTS.to_string()));
    }
}
