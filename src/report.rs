//! What is said of an outcome: the record for machines, the notice for people, the metrics, and what was said before. Pure.

pub mod history;
pub mod metrics;
pub mod notice;
pub mod record;
