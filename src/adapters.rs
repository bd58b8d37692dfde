//! The outside, for real: the traits of [`crate::ports`] on the AWS SDK and on the machine's clock.
//!
//! Owns: which API calls answer a question, paging, batches, what an AWS error means. Only these files know the SDK. Must
//! not: judge, retry beyond what the SDK does, or keep anything between calls.

pub mod account;
mod attempts;
pub mod clock;
pub mod connect;
mod count;
pub mod ec2;
pub mod eks;
mod failure;
pub mod queue;
mod register;
#[cfg(feature = "security-hub")]
pub mod security_hub;
pub mod slack;
pub mod sns;
pub mod table;
pub mod trails;
