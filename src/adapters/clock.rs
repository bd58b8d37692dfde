//! Time by the machine's clock.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::ports::Clock;

/// The machine's clock, and a sleep that gives the thread back to the runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, time: Duration) {
        // Tokio counts in milliseconds and rounds up, so that no time at all would be one or two of them.
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn no_time_is_not_waited_for() {
        assert!(SystemClock.sleep(Duration::ZERO).now_or_never().is_some());
        assert!(SystemClock.sleep(Duration::from_millis(1)).now_or_never().is_none());
    }
}
