//! What the guard knows, means, decides and says.
//!
//! One way for everything: a payload becomes an [`event::Trigger`], [`guard::inventory`] reads the live state, [`policy`]
//! judges it, [`guard::plan`] says what to do, [`guard::remediate`] does it and looks again, [`report`] says it. I/O lives
//! behind [`ports`]; everything below `ports` is pure.
//!
//! The layers, from the ground up; an import goes down or sideways, never up (`tests/layers.rs`):
//! `model`; `event` and `cluster`; `policy`; `report`; `ports`; `guard`.

pub mod cluster;
pub mod event;
pub mod guard;
pub mod model;
pub mod policy;
pub mod ports;
pub mod report;

#[cfg(feature = "for-tests")]
#[doc(hidden)]
pub use schemars;
