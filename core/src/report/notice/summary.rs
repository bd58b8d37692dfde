//! The notice that ends an hour of too many: one, and all that follows stands in the records.

use jiff::Timestamp;

use super::Notice;
use crate::report::allowance::MAX_MESSAGES;

impl Notice {
    /// This notice as the last one about a principal before `until`.
    #[must_use]
    pub fn summary(&self, until: Timestamp) -> Self {
        let end = until.strftime("%H:%M UTC");
        let mut summary = self.clone();
        summary.headline = format!(
            "{}. This is the last message about this principal until {end}: {MAX_MESSAGES} were sent within an hour",
            self.headline
        );
        summary.steps.insert(
            0,
            format!(
                "See what this principal goes on doing: all of it is judged, closed and recorded as before; until {end} it \
                 is in the function's log (`target = record`) and on the record topic alone. What is still open then \
                 will be in the next sweep's digest."
            ),
        );
        summary
    }
}
