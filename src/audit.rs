//! The audit: what is open in an account, as AWS answers now or in files that somebody saved. Either is kept in the same
//! way, and then read and judged as the function's sweep does: the same inventory, behind it doors to what is kept.
//!
//! Owns: what is looked at, and what is said of what was not there. Must not: change anything, or judge by itself.

mod checks;
pub mod commands;
#[cfg(any(feature = "aws", test))]
pub mod fix;
mod look;
mod missing;
mod narrow;
pub mod report;
pub mod saved;
mod sight;
pub mod source;
pub mod undo;

#[cfg(test)]
pub(crate) use look::ports;
pub use look::{Scope, look, look_at};
pub use narrow::narrow;
pub use saved::facts::Facts;

#[cfg(test)]
mod tests;
