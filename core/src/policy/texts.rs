//! The texts of the policies that come with the program: readable files, embedded.

/// The policy of a file that extends nothing else, and of a function that is given none.
pub const DEFAULT: &str = "standard";

/// Every built-in policy.
pub const NAMES: [&str; 3] = ["standard", "strict", "none"];

/// The JSON Schema of policy files, kept equal to what the reader accepts by tests.
pub const SCHEMA: &str = include_str!("schema.json");
/// That of test files.
pub const SCHEMA_OF_TESTS: &str = include_str!("tests.schema.json");

/// The file as it stands in the repository.
pub fn text(name: &str) -> Option<&'static str> {
    match name {
        "standard" => Some(include_str!("standard.yaml")),
        "strict" => Some(include_str!("strict.yaml")),
        "none" => Some(include_str!("none.yaml")),
        _ => None,
    }
}
