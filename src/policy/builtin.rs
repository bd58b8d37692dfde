//! The policies that come with the program: readable files, embedded.

use std::sync::LazyLock;

use jiff::civil::Date;

use crate::policy::Policy;
use crate::policy::diagnostic::Rejected;
use crate::policy::file;

/// The policy of a file that extends nothing else, and of a function that is told nothing.
pub const DEFAULT: &str = "standard";

/// Every built-in policy.
pub const NAMES: [&str; 3] = ["standard", "strict", "none"];

struct BuiltIn {
    name: &'static str,
    text: &'static str,
    policy: LazyLock<Result<Policy, Rejected>>,
}

static TABLE: [BuiltIn; 3] = [
    BuiltIn { name: "standard", text: include_str!("standard.yaml"), policy: LazyLock::new(|| read("standard")) },
    BuiltIn { name: "strict", text: include_str!("strict.yaml"), policy: LazyLock::new(|| read("strict")) },
    BuiltIn { name: "none", text: include_str!("none.yaml"), policy: LazyLock::new(|| read("none")) },
];

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

fn find(name: &str) -> Option<&'static BuiltIn> {
    TABLE.iter().find(|built_in| built_in.name == name)
}

fn read(name: &'static str) -> Result<Policy, Rejected> {
    // A built-in policy has no exceptions, so no day matters.
    file::load_built_in(name, Date::ZERO).map(|loaded| loaded.policy)
}

/// The file as it stands in the repository.
pub fn text(name: &str) -> Option<&'static str> {
    find(name).map(|built_in| built_in.text)
}

/// The policy, parsed once.
///
/// # Errors
/// An unknown name.
pub fn policy(name: &str) -> Result<&'static Policy, BuiltInError> {
    let built_in = find(name).ok_or_else(|| BuiltInError::Unknown(name.to_owned()))?;
    built_in.policy.as_ref().map_err(BuiltInError::Broken)
}
