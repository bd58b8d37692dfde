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

/// The name of the program as the script for bash writes it, until it says what to complete.
const WITHOUT_HYPHENS: &str = "eks_sg_guard";

/// `command`: the whole program, whose script it is.
pub(super) fn run(arguments: &Arguments, mut command: Command) -> anyhow::Result<CommandOutput> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    if arguments.shell != Shell::Bash {
        clap_complete::generate(arguments.shell, &mut command, name, &mut script);
        return Ok(CommandOutput::new(String::from_utf8(script)?, Exit::Clean));
    }
    // The generator writes the hyphens of a name in one way where it finds out which command is completed, and in another
    // where it says what can follow: below the first level nothing would (clap-rs/clap#6421).
    let mut command = command.name(WITHOUT_HYPHENS);
    clap_complete::generate(Shell::Bash, &mut command, WITHOUT_HYPHENS, &mut script);
    let script = String::from_utf8(script)?;
    let registered = format!(" -o default {WITHOUT_HYPHENS}\n");
    anyhow::ensure!(script.contains(&registered), "the script for bash has no line that says what it completes");
    let script = script.replace(&registered, &format!(" -o default {name}\n"));
    Ok(CommandOutput::new(script, Exit::Clean))
}
