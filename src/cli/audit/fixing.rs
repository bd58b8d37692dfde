//! The arguments of `audit --fix` and `audit --narrow`.

use std::path::PathBuf;

use clap::Args;

/// What is to be done about what was found.
#[derive(Args)]
#[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "the arguments are the same, whatever the program can do"))]
pub(super) struct Fixing {
    /// Show what the guard would revoke, ask, and revoke it as the function does.
    #[arg(long, conflicts_with_all = ["from", "compare", "commands"])]
    pub(super) fix: bool,
    /// Say who could stand in place of the world in each forbidden rule, as commands and for Terraform: whoever is proven
    /// to be attached and to need it. Changes nothing.
    #[arg(long, conflicts_with_all = ["fix", "commands", "permissions", "schema"])]
    pub(super) narrow: bool,
    /// Do not ask.
    #[arg(long, requires = "fix")]
    pub(super) yes: bool,
    /// Where the records of it go, a line each; without it into a new file in this folder.
    #[arg(long, value_name = "FILE", requires = "fix")]
    pub(super) records: Option<PathBuf>,
    /// The guard's table, whose journal is written then, so that people are notified by the function.
    #[arg(long, value_name = "NAME|ARN", requires = "fix")]
    pub(super) state_table: Option<String>,
}
