//! The policies that come with the program, parsed once.

use std::sync::LazyLock;

use jiff::civil::Date;

use crate::policy::diagnostic::Rejected;
use crate::policy::file;
use crate::policy::model::Policy;

pub use crate::policy::texts::{DEFAULT, NAMES, SCHEMA, SCHEMA_OF_TESTS, text};

type ParsedPolicy = LazyLock<Result<Policy, Rejected>>;

static POLICIES: [ParsedPolicy; NAMES.len()] =
    [LazyLock::new(|| read("standard")), LazyLock::new(|| read("strict")), LazyLock::new(|| read("none"))];

/// Why there is no such policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuiltInError {
    /// The name is none of `NAMES`.
    #[error("there is no built-in policy `{0}`: expected standard, strict or none")]
    Unknown(String),
    /// The program was built with a broken file; a test keeps this from happening.
    #[error("a built-in policy does not load:\n{0}")]
    Broken(&'static Rejected),
}

fn read(name: &'static str) -> Result<Policy, Rejected> {
    // A built-in policy has no exceptions, so no day matters.
    file::load_built_in(name, Date::ZERO).map(|loaded| loaded.policy)
}

/// The policy, parsed once.
///
/// # Errors
/// An unknown name.
pub fn policy(name: &str) -> Result<&'static Policy, BuiltInError> {
    let known = NAMES.iter().zip(&POLICIES).find(|(known, _)| **known == name);
    let (_, policy) = known.ok_or_else(|| BuiltInError::Unknown(name.to_owned()))?;
    policy.as_ref().map_err(BuiltInError::Broken)
}
