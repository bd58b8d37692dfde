//! From (group state, policy, actor, now) to findings: a pure, total function.
//!
//! `model` is what a policy is, `file` the language it is written in, `judge` the decision. Must not: do I/O, read a clock
//! or the environment.

pub mod builtin;
mod classes;
pub mod codes;
pub mod controller;
mod cut;
pub mod diagnostic;
pub mod endpoint;
mod evaluator;
pub(crate) mod exposure;
pub mod file;
pub mod fill_in;
pub mod globs;
pub mod judge;
mod judged;
pub mod model;
pub mod named;
pub(crate) mod peers;
pub mod reach;
pub mod requirement;
pub mod sight;
mod texts;
mod tree;
