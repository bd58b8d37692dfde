//! `policy schema`: the JSON Schema of policy files, for editors.

use clap::Args;

use crate::cli::output::{CommandOutput, Exit};

/// Kept equal to what the reader accepts by tests.
const SCHEMA: &str = include_str!("../policy/schema.json");

/// Arguments of `policy schema`.
#[derive(Args)]
#[command(after_help = "\
Example: completion and hints in editors that use yaml-language-server
  eks-sg-guard policy schema > policy.schema.json
and as the first line of policy.yaml:
  # yaml-language-server: $schema=policy.schema.json

The schema knows keys, words and shapes. `eks-sg-guard policy check` knows the rest: undefined
networks, repeated ids, clauses that are never reached, exceptions that have expired.")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> CommandOutput {
    CommandOutput::new(SCHEMA.to_owned(), Exit::Clean)
}
