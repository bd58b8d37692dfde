//! The audit: what is open, in files that somebody saved of an account. It reads and judges as the function's sweep does:
//! the same inventory, behind it doors to saved answers and not to AWS.
//!
//! Owns: what is looked at, and what is said of what was not there. Must not: change anything, or judge by itself.

mod checks;
pub mod commands;
mod look;
mod missing;
pub mod saved;
mod sight;
pub mod source;

#[cfg(test)]
pub(crate) use look::ports;
pub use look::{Scope, look};
pub use saved::facts::Facts;

#[cfg(test)]
mod tests;
