//! `completions`: scripts that complete verbs, options and their values.

use clap::builder::PossibleValue;
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

/// The values of arguments without a flag, which the generator leaves out for fish.
fn values_for_fish(command: &Command, name: &str) -> String {
    let mut lines = Vec::new();
    for verb in command.get_subcommands() {
        for argument in verb.get_positionals() {
            let values = argument.get_possible_values();
            let values: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
            if !values.is_empty() {
                let follows = format!("__fish_{}_using_subcommand {}", name.replace('-', "_"), verb.get_name());
                lines.push(format!("complete -c {name} -n \"{follows}\" -f -a \"{}\"\n", values.join(" ")));
            }
        }
    }
    lines.concat()
}

/// `command`: the whole program, whose script it is.
pub(super) fn run(arguments: &Arguments, mut command: Command) -> anyhow::Result<CommandOutput> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    if arguments.shell != Shell::Bash {
        clap_complete::generate(arguments.shell, &mut command, &name, &mut script);
        let mut script = String::from_utf8(script)?;
        if arguments.shell == Shell::Fish {
            script.push_str(&values_for_fish(&command, &name));
        }
        return Ok(CommandOutput::new(script, Exit::Clean));
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
