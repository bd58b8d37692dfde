//! The words of the field as values: rules, regions of traffic, groups, what AWS says of them, ids, text, errors.
//!
//! Must not: know events, policies or anything that acts.

pub mod baseline;
pub mod error;
pub mod facts;
pub mod group;
pub mod hour;
pub mod ids;
pub mod member;
pub mod mode;
pub mod network;
pub mod region;
pub mod role;
pub mod rule;
pub mod text;
pub mod trails;
pub mod unheard;
mod words;

pub use crate::words;
