//! Whether the guard changes anything, and how. Must not: know what sets it.

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

words! {
    /// Whether a rule that was edited in place is put back to what it was.
    pub enum Restore {
        /// To what it was known as, where it was known.
        Known = "known",
        /// It is revoked as any other.
        Never = "never",
    }
}
