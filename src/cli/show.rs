//! `policy show`: a built-in policy as it is embedded.

use anyhow::Context;
use clap::Args;

use crate::cli::{Answer, Exit};
use crate::policy::builtin;

/// Arguments of `policy show`.
#[derive(Args)]
#[command(after_help = "\
Example: what `strict` changes
  diff <(eks-sg-guard policy show standard) <(eks-sg-guard policy show strict)")]
pub(super) struct Arguments {
    /// Which one.
    #[arg(default_value = builtin::DEFAULT, value_parser = builtin::NAMES)]
    name: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let text =
        builtin::text(&arguments.name).with_context(|| format!("there is no built-in policy `{}`", arguments.name))?;
    Ok(Answer::new(text.to_owned(), Exit::Clean))
}
