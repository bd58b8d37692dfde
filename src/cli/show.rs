//! `policy show`: a built-in policy as it is embedded, or what is in force under a file.

use clap::Args;
use jiff::Timestamp;

use crate::cli::input;
use crate::cli::output::{CommandOutput, Exit};
use crate::policy::builtin;
use crate::policy::file::print;

/// Arguments of `policy show`.
#[derive(Args)]
#[command(after_help = "\
Example: what `strict` changes
  diff <(eks-sg-guard policy show standard) <(eks-sg-guard policy show strict)

A policy of your own is shown with everything that it inherits, as a file that extends nothing:
  eks-sg-guard policy show policy.yaml")]
pub(super) struct Arguments {
    /// The name of a built-in policy (standard, strict, none), or a file.
    #[arg(value_name = "NAME|FILE", default_value = builtin::DEFAULT)]
    name: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<CommandOutput> {
    if let Some(text) = builtin::text(&arguments.name) {
        return Ok(CommandOutput::new(text.to_owned(), Exit::Clean));
    }
    let policy = input::policy(&arguments.name, Timestamp::now())?;
    Ok(CommandOutput::new(print::text(&policy), Exit::Clean))
}
