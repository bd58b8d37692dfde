//! The command line: one verb per file. Each verb makes its text as a value, and only this file writes it.
//!
//! Owns: the arguments, what goes to which stream. Must not: judge anything itself.

#[cfg(test)]
mod agreement;
mod alone;
mod answer;
mod ask;
mod audit;
#[cfg(feature = "aws")]
mod caller;
mod check;
mod claims;
mod compare;
mod completions;
mod diagnostics;
mod diff;
mod events;
mod explain;
mod identity;
mod init;
mod input;
mod live;
mod output;
mod preview;
mod progress;
mod saved;
mod schema;
mod show;
mod snapshot;
mod state;
mod style;
mod test;
mod undo;
mod widths;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use jiff::Timestamp;

use crate::cli::output::{CommandOutput, Exit, Format};
use crate::cli::style::Style;
use crate::model::text;
use crate::policy::diagnostic::Rejected;

/// Closes what must not be open in the security groups of Amazon EKS clusters.
///
/// The guard itself is a Lambda function. This program is for what it would say: audit an account, try a policy on a laptop,
/// before it guards anything. Only `audit` without `--from`, `audit --import` and `undo` talk to AWS. Only `audit --fix` and
/// `undo` change anything that is open, after they have shown what and asked; `--import` adds findings to Security Hub.
#[derive(Parser)]
#[command(name = "eks-sg-guard", version, arg_required_else_help = true, max_term_width = 100, after_help = HELP)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const HELP: &str = "\
Start here:
  eks-sg-guard audit --region us-east-1             see what is open in an account,
  eks-sg-guard audit --commands > save.sh           or save what it shows, and
  eks-sg-guard audit --from saved                   look at that
  eks-sg-guard policy show                          read the built-in policy `standard`
  eks-sg-guard explain event.json --role node       see what it says of a recorded call
  eks-sg-guard policy init > policy.yaml            then write your own,
  eks-sg-guard policy check policy.yaml             and have it checked
  eks-sg-guard notice preview event.json            see the mail that people would get

Exit codes:
  0  clean    1  could not run    2  findings    3  the policy is invalid";

#[derive(Subcommand)]
enum Verb {
    /// Say what is open in an account, as AWS answers now or from answers of the AWS CLI that were saved.
    Audit(audit::Arguments),
    /// Say what a policy decides about the rules that an event names, and why.
    Explain(explain::Arguments),
    /// Open again what the guard or `audit --fix` closed, as a record says.
    Undo(undo::Arguments),
    /// Read, check, test and compare policies.
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// See what people would be notified of.
    #[command(subcommand)]
    Notice(NoticeVerb),
    /// Ask what the guard remembers.
    #[command(subcommand)]
    State(StateVerb),
    /// Print a completion script for a shell.
    Completions(completions::Arguments),
}

#[derive(Subcommand)]
enum NoticeVerb {
    /// Print what would be sent about an event: e-mail, chat, or the record.
    Preview(preview::Arguments),
}

#[derive(Subcommand)]
enum StateVerb {
    /// Say what is known of a group and its rules, and since when.
    Show(state::Arguments),
}

#[derive(Subcommand)]
enum PolicyVerb {
    /// Write a first policy, from answers as flags and from a snapshot of groups.
    Init(init::Arguments),
    /// Check policy files and show every problem in them.
    Check(check::Arguments),
    /// Say what a problem means, by the code in brackets before its message.
    Explain(diagnostics::Arguments),
    /// Print a built-in policy with its comments, or all that is in force under a file.
    Show(show::Arguments),
    /// Print the JSON Schema of policy files, or of tests, for editors.
    Schema(schema::Arguments),
    /// Run your own tests of a policy: a rule and a group's role -> the verdict and clause you expect.
    Test(test::Arguments),
    /// Compare two policies: what they say, or what they decide about real rules.
    Diff(diff::Arguments),
}

impl Verb {
    /// What the verb is called, where its answer is wanted as JSON.
    fn named_for_tools(&self) -> Option<&'static str> {
        let (name, format) = match self {
            Self::Audit(arguments) => ("audit", arguments.for_errors()),
            Self::Explain(arguments) => ("explain", arguments.format),
            Self::Undo(arguments) => ("undo", arguments.format),
            Self::Policy(PolicyVerb::Check(arguments)) => ("policy check", arguments.format),
            Self::Policy(PolicyVerb::Explain(arguments)) => ("policy explain", arguments.format),
            Self::Policy(PolicyVerb::Test(arguments)) => ("policy test", arguments.format),
            Self::Policy(PolicyVerb::Diff(arguments)) => ("policy diff", arguments.format),
            Self::State(StateVerb::Show(arguments)) => ("state show", arguments.format),
            _ => return None,
        };
        (format == Format::Json).then_some(name)
    }
}

/// Runs the program with these arguments, the first being its own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let verb = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.verb,
        Err(error) => {
            // Clap's own code for a mistake is 2, which means findings here.
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let exit = if asked_for { Exit::Clean } else { Exit::CouldNotRun };
            // Written here, since what it buffers would be lost without a word.
            return ended(error.print().and_then(|()| io::stdout().flush()), exit);
        }
    };
    let style = Style::new(has_colours(&io::stdout()));
    let for_tools = verb.named_for_tools();
    match answer(verb, style) {
        Ok(answer) => print(&answer, style),
        Err(error) => {
            let exit = if error.is::<Rejected>() { Exit::InvalidPolicy } else { Exit::CouldNotRun };
            if let Some(Ok(answer)) = for_tools.map(|name| CommandOutput::answer(name, &why(&error), exit)) {
                print(&answer, style);
            }
            failed(&error)
        }
    }
}

fn print(answer: &CommandOutput, style: Style) -> ExitCode {
    let written =
        if answer.is_file { io::stdout().write_all(answer.text.as_bytes()) } else { say(&answer.text, style) };
    for remark in &answer.remarks {
        let _ = writeln!(io::stderr(), "{}", text::lines(remark, false));
    }
    ended(written, answer.exit)
}

fn ended(written: io::Result<()>, exit: Exit) -> ExitCode {
    match written {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            failed(&anyhow::Error::new(error).context("the answer could not be written to standard output"))
        }
        _ => exit.into(),
    }
}

/// The last gate before a terminal. Text from files is cleaned where it is quoted; this catches what was forgotten.
fn say(part: &str, style: Style) -> io::Result<()> {
    io::stdout().write_all(text::lines(part, style.colours).as_bytes())
}

/// What went wrong, for tools: a sentence, and the problems of a policy that cannot be used.
fn why(error: &anyhow::Error) -> serde_json::Value {
    match error.downcast_ref::<Rejected>() {
        Some(rejected) => serde_json::json!({
            "error": format!("the policy `{}` cannot be used", rejected.name),
            "problems_in": rejected.name,
            "problems": rejected.diagnostics,
        }),
        None => serde_json::json!({"error": format!("{error:#}")}),
    }
}

fn answer(verb: Verb, style: Style) -> anyhow::Result<CommandOutput> {
    match verb {
        Verb::Audit(arguments) => audit::run(&arguments, style),
        Verb::Explain(arguments) => explain::run(&arguments, style, &mut |part| say(part, style).is_ok()),
        Verb::Undo(arguments) => undo::run(&arguments),
        Verb::Policy(PolicyVerb::Check(arguments)) => check::run(&arguments, style),
        Verb::Policy(PolicyVerb::Init(arguments)) => init::run(&arguments),
        Verb::Policy(PolicyVerb::Explain(arguments)) => diagnostics::run(&arguments),
        Verb::Policy(PolicyVerb::Show(arguments)) => show::run(&arguments),
        Verb::Policy(PolicyVerb::Schema(arguments)) => Ok(schema::run(&arguments)),
        Verb::Policy(PolicyVerb::Test(arguments)) => test::run(&arguments, style),
        Verb::Policy(PolicyVerb::Diff(arguments)) => diff::run(&arguments, style),
        Verb::Notice(NoticeVerb::Preview(arguments)) => preview::run(&arguments),
        Verb::State(StateVerb::Show(arguments)) => state::run(&arguments, Timestamp::now()),
        Verb::Completions(arguments) => completions::run(&arguments, Arguments::command()),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let mut out = io::stderr().lock();
    let colours = has_colours(&out);
    let (text, exit) = match error.downcast_ref::<Rejected>() {
        Some(rejected) => (rejected.render(colours), Exit::InvalidPolicy),
        None => (format!("error: {error:#}"), Exit::CouldNotRun),
    };
    let _ = writeln!(out, "{}", text::lines(&text, colours));
    exit.into()
}

/// Colours are for a terminal whose user did not say no (<https://no-color.org>).
fn has_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
