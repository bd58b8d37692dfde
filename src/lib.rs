//! Watches the security groups of Amazon EKS clusters and closes what must not be open.
//!
//! One way for everything: a payload becomes a [`event::Trigger`], [`inventory`] reads the live state, [`policy`] judges
//! it, [`plan`] says what to do, [`remediate`] does it and looks again, [`record`] and [`notice`] tell it. The core is
//! pure; I/O lives behind [`ports`], in `adapters`.

#[cfg(feature = "aws")]
pub mod adapters;
#[cfg(feature = "cli")]
pub mod cli;
pub mod entrance;
pub mod error;
pub mod event;
pub mod group;
pub mod guard;
pub mod inventory;
pub mod membership;
pub mod memory;
pub mod metrics;
pub mod notice;
pub mod plain;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod record;
pub mod region;
pub mod remediate;
pub mod repeat;
pub mod rule;
pub mod settings;
pub mod topology;
