//! What is said of an outcome: findings, the record for machines, the notice for people, the metrics, and what was said
//! before. Pure.

pub mod allowance;
pub mod finding;
pub mod history;
pub mod journal;
pub mod metrics;
pub mod notice;
pub mod outbox;
pub mod outcome;
pub mod part;
pub mod record;
pub mod waiting;
