//! Watches the security groups of Amazon EKS clusters and closes what must not be open.
//!
//! The pure core is a package of its own, and shown here as if it stood here. Above its layers stand, from the ground up:
//! `audit`; `adapters`; `cli`; the programs. An import goes down or sideways, never up (`tests/layers.rs`).

#[cfg(feature = "aws")]
pub mod adapters;
#[cfg(feature = "cli")]
pub mod audit;
#[cfg(feature = "cli")]
pub mod cli;
pub use eks_sg_guard_core::*;
