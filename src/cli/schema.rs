//! `policy schema`: the JSON Schemas of policy files and of tests, for editors.

use clap::Args;

use crate::cli::output::{CommandOutput, Exit};
use crate::policy::builtin;

/// Arguments of `policy schema`.
#[derive(Args)]
#[command(after_help = "\
Example: completion and hints in editors that use yaml-language-server
  eks-sg-guard policy schema > policy.schema.json
and as the first line of policy.yaml:
  # yaml-language-server: $schema=policy.schema.json

The schema knows keys, words and shapes. `eks-sg-guard policy check` knows the rest: undefined
networks, repeated ids, clauses that are never reached, exceptions that have expired.")]
pub(super) struct Arguments {
    /// The schema of test files, instead of that of policy files.
    #[arg(long)]
    tests: bool,
}

pub(super) fn run(arguments: &Arguments) -> CommandOutput {
    let schema = if arguments.tests { builtin::SCHEMA_OF_TESTS } else { builtin::SCHEMA };
    CommandOutput::new(schema.to_owned(), Exit::Clean)
}
