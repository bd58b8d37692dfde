//! Whether the guard changes anything. Must not: know what sets it.

use crate::model::words;

words! {
    /// Whether we change anything.
    pub enum Mode {
        /// Only notify. The more cautious one, hence the lesser.
        Report = "report",
        /// Revoke what the policy forbids.
        Enforce = "enforce",
    }
}
