//! What the guard knows, means, decides and says.
//!
//! One way for everything: a payload becomes an [`event::Trigger`], [`inventory`] reads the live state, [`policy`]
//! judges it, [`plan`] says what to do, `guard::remediate` does it and looks again, [`report`] says it. I/O lives
//! behind [`ports`]; [`plan`] and everything below are pure.
//!
//! The layers, from the ground up; an import goes down or sideways, never up (`tests/layers.rs`):
//! `model`; `event` and `cluster`; `policy`; `report`; `ports` and `plan`; `inventory`; `needs`; `guard`, without which a
//! command line is built that changes nothing.

pub mod cluster;
pub mod event;
#[cfg(feature = "guard")]
pub mod guard;
pub mod inventory;
pub mod model;
pub mod needs;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod report;

#[cfg(feature = "for-tests")]
#[doc(hidden)]
pub use schemars;
