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
  eks-sg-guard policy show policy.yaml
  eks-sg-guard policy show policy.yaml --cluster prod-1   # only what is in force in that cluster")]
pub(super) struct Arguments {
    /// The name of a built-in policy (standard, strict, none), or a file.
    #[arg(value_name = "NAME|FILE", default_value = builtin::DEFAULT)]
    name: String,
    /// Only what is in force in the cluster of this name.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<CommandOutput> {
    let policy = || input::policy(&arguments.name, Timestamp::now());
    let text = match (&arguments.cluster, builtin::text(&arguments.name)) {
        (Some(cluster), _) => print::text(&policy()?.in_cluster(cluster)),
        (None, Some(text)) => text.to_owned(),
        (None, None) => print::text(&policy()?),
    };
    Ok(CommandOutput::new(text, Exit::Clean))
}
