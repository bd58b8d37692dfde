//! The memory of one process: the events it dealt with. It forgets with the process, and it merges no repeats.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::ports::{CloudError, Memory};
use crate::repeat::{Key, Past};

/// Events remembered; beyond, the oldest is forgotten.
const MOST_EVENTS: usize = 10_000;

/// Events only. Findings are not kept: a process knows little of what the others told, so it would merge at random.
#[derive(Debug, Default)]
pub struct ProcessMemory {
    events: Mutex<(HashSet<String>, VecDeque<String>)>,
}

impl Memory for ProcessMemory {
    async fn is_handled(&self, event: &str) -> Result<bool, CloudError> {
        Ok(self.events.lock().unwrap_or_else(PoisonError::into_inner).0.contains(event))
    }

    async fn past(&self, _: &[Key]) -> Result<BTreeMap<Key, Past>, CloudError> {
        Ok(BTreeMap::new())
    }

    async fn remember(&self, event: Option<&str>, _: &[(Key, Past)]) -> Result<(), CloudError> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *events;
        if let Some(event) = event.filter(|event| known.insert((*event).to_owned())) {
            order.push_back(event.to_owned());
        }
        if order.len() > MOST_EVENTS
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_knows_the_newest_events_and_no_findings() {
        let memory = ProcessMemory::default();
        assert!(!memory.is_handled("0").await.unwrap());
        for n in (0..=MOST_EVENTS).chain([1]) {
            memory.remember(Some(&n.to_string()), &[]).await.unwrap();
        }
        memory.remember(None, &[]).await.unwrap();
        assert!(!memory.is_handled("0").await.unwrap(), "the oldest is forgotten");
        assert!(memory.is_handled("1").await.unwrap(), "an event that comes again takes no room");
        assert!(memory.is_handled(&MOST_EVENTS.to_string()).await.unwrap());
        assert!(memory.past(&[]).await.unwrap().is_empty());
    }
}
