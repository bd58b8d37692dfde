//! `completions`: scripts that complete verbs, options and their values.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::cli::output::{CommandOutput, Exit};

/// Arguments of `completions`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  eks-sg-guard completions bash > ~/.local/share/bash-completion/completions/eks-sg-guard
  eks-sg-guard completions zsh  > ~/.zfunc/_eks-sg-guard          (with ~/.zfunc in $fpath)
  eks-sg-guard completions fish > ~/.config/fish/completions/eks-sg-guard.fish")]
pub(super) struct Arguments {
    /// The shell.
    shell: Shell,
}

/// `command`: the whole program, whose script it is.
pub(super) fn run(arguments: &Arguments, mut command: Command) -> anyhow::Result<CommandOutput> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    Ok(CommandOutput::new(String::from_utf8(script)?, Exit::Clean))
}
