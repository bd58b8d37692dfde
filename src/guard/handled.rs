//! The events that this process dealt with. It forgets with the process; a table, where there is one, knows what the others did.

use std::collections::{HashSet, VecDeque};

/// Events remembered; beyond, the oldest is forgotten.
const MAX_EVENTS: usize = 10_000;

/// Events by id.
#[derive(Debug, Default)]
pub struct HandledEvents {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl HandledEvents {
    /// Whether this process dealt with the event to its end.
    pub fn contains(&self, event: &str) -> bool {
        self.known.contains(event)
    }

    /// Remembers an event.
    pub fn insert(&mut self, event: &str) {
        if self.known.insert(event.to_owned()) {
            self.order.push_back(event.to_owned());
        }
        if self.order.len() > MAX_EVENTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_events_are_known_and_one_that_comes_again_takes_no_room() {
        let mut events = HandledEvents::default();
        assert!(!events.contains("0"));
        for n in (0..=MAX_EVENTS).chain([1]) {
            events.insert(&n.to_string());
        }
        assert!(!events.contains("0"), "the oldest is forgotten");
        assert!(events.contains("1") && events.contains(&MAX_EVENTS.to_string()));
    }
}
