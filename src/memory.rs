//! The memory of one process: the events it dealt with. It forgets with the process, and it merges no repeats. A table, where
//! there is one, stands behind it.

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

/// The memory of the function: of this process, and of a table that all its processes share, if there is one.
#[derive(Debug)]
pub struct Layered<T> {
    process: ProcessMemory,
    shared: Option<T>,
}

impl<T> Layered<T> {
    /// Without `shared`, repeats are not merged.
    pub fn new(shared: Option<T>) -> Self {
        Self { process: ProcessMemory::default(), shared }
    }
}

impl<T: Memory> Memory for Layered<T> {
    async fn is_handled(&self, event: &str) -> Result<bool, CloudError> {
        match &self.shared {
            Some(shared) if !self.process.is_handled(event).await? => shared.is_handled(event).await,
            _ => self.process.is_handled(event).await,
        }
    }

    async fn past(&self, keys: &[Key]) -> Result<BTreeMap<Key, Past>, CloudError> {
        match &self.shared {
            Some(shared) if !keys.is_empty() => shared.past(keys).await,
            _ => self.process.past(keys).await,
        }
    }

    /// The process remembers even if the others cannot be told: a retry that comes here is not told twice.
    async fn remember(&self, event: Option<&str>, pasts: &[(Key, Past)]) -> Result<(), CloudError> {
        self.process.remember(event, pasts).await?;
        match &self.shared {
            Some(shared) => shared.remember(event, pasts).await,
            None => Ok(()),
        }
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

    /// Knows the events it is told, or answers nothing but errors.
    #[derive(Default)]
    struct Shared {
        events: ProcessMemory,
        is_broken: bool,
    }

    impl Shared {
        fn works(&self) -> Result<(), CloudError> {
            let error = || CloudError::Failed { action: "dynamodb:PutItem".to_owned(), source: "broken".into() };
            if self.is_broken { Err(error()) } else { Ok(()) }
        }
    }

    impl Memory for Shared {
        async fn is_handled(&self, event: &str) -> Result<bool, CloudError> {
            self.works()?;
            self.events.is_handled(event).await
        }

        async fn past(&self, keys: &[Key]) -> Result<BTreeMap<Key, Past>, CloudError> {
            self.works()?;
            Ok(keys.iter().map(|key| (key.clone(), Past::default())).collect())
        }

        async fn remember(&self, event: Option<&str>, pasts: &[(Key, Past)]) -> Result<(), CloudError> {
            self.works()?;
            self.events.remember(event, pasts).await
        }
    }

    fn key() -> Key {
        let place = crate::policy::judge::Place { account: "111122223333", region: "us-east-1" };
        let finding = crate::record::FindingRecord {
            rule: None,
            requirement: None,
            verdict: crate::policy::Verdict::Report,
            severity: None,
            named_by_event: false,
            portions: vec![],
            action: crate::record::Action::Reported,
            detail: None,
        };
        Key::of(place, "sg-1", &finding)
    }

    #[tokio::test]
    async fn what_another_process_did_is_known_through_what_they_share() {
        let shared = Shared::default();
        shared.events.remember(Some("theirs"), &[]).await.unwrap();
        let memory = Layered::new(Some(shared));
        assert!(memory.is_handled("theirs").await.unwrap());
        assert!(!memory.is_handled("ours").await.unwrap());
        memory.remember(Some("ours"), &[]).await.unwrap();
        assert!(memory.is_handled("ours").await.unwrap());
        assert!(memory.shared.as_ref().unwrap().events.is_handled("ours").await.unwrap());
        assert_eq!(memory.past(&[key()]).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_this_process_did_is_known_even_if_they_share_nothing() {
        let memory = Layered::new(Some(Shared { is_broken: true, ..Shared::default() }));
        assert!(memory.is_handled("ours").await.is_err());
        assert!(memory.remember(Some("ours"), &[]).await.is_err(), "it is said that the others do not know");
        assert!(memory.is_handled("ours").await.unwrap());
        assert!(memory.past(&[key()]).await.is_err());
        assert!(memory.past(&[]).await.unwrap().is_empty(), "nothing is asked for nothing");
    }

    #[tokio::test]
    async fn alone_a_process_knows_its_events() {
        let memory = Layered::<Shared>::new(None);
        memory.remember(Some("ours"), &[]).await.unwrap();
        assert!(memory.is_handled("ours").await.unwrap() && !memory.is_handled("theirs").await.unwrap());
        assert!(memory.past(&[key()]).await.unwrap().is_empty());
    }
}
