//! The command line: one verb per file. Each verb makes its text as a value, and only this file writes it.
//!
//! Owns: the arguments, the exit codes, what goes to which stream. Must not: judge anything itself.

mod check;
mod claims;
mod compare;
mod completions;
mod diff;
mod explain;
mod input;
mod preview;
mod schema;
mod show;
mod snapshot;
mod style;
mod test;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand, ValueEnum};

use crate::cli::style::Style;
use crate::model::text;
use crate::policy::diagnostic::Rejected;
use crate::policy::judge::JudgedRule;
use crate::policy::model::{Severity, Verdict};

/// Closes what must not be open in the security groups of Amazon EKS clusters.
///
/// The guard itself is a Lambda function. This program is for its policies: try one on a laptop, before it guards anything.
/// Nothing here talks to AWS.
#[derive(Parser)]
#[command(name = "eks-sg-guard", version, arg_required_else_help = true, max_term_width = 100, after_help = HELP)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const HELP: &str = "\
Start here:
  eks-sg-guard policy show                          read the built-in policy `standard`
  eks-sg-guard explain event.json --role node       see what it says of a recorded call
  eks-sg-guard policy check policy.yaml             then write your own, and have it checked
  eks-sg-guard notice preview event.json            see the mail that people would get

Exit codes:
  0  clean    1  could not run    2  findings    3  the policy is invalid";

#[derive(Subcommand)]
enum Verb {
    /// Say what a policy decides about the rules that an event names, and why.
    Explain(explain::Arguments),
    /// Read, check, test and compare policies.
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// See what people would be notified of.
    #[command(subcommand)]
    Notice(NoticeVerb),
    /// Print a completion script for a shell.
    Completions(completions::Arguments),
}

#[derive(Subcommand)]
enum NoticeVerb {
    /// Print what would be sent about an event: e-mail, chat, or the record.
    Preview(preview::Arguments),
}

#[derive(Subcommand)]
enum PolicyVerb {
    /// Check a policy file and show every problem in it.
    Check(check::Arguments),
    /// Print a built-in policy with its comments, or all that is in force under a file.
    Show(show::Arguments),
    /// Print the JSON Schema of policy files, for editors.
    Schema(schema::Arguments),
    /// Run your own tests of a policy: a rule and a group's role -> the verdict and clause you expect.
    Test(test::Arguments),
    /// Compare what two policies decide about real rules.
    Diff(diff::Arguments),
}

/// Text for people or JSON for tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For tools.
    Json,
}

/// What counts as a finding for the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A rule that the policy forbids.
    #[default]
    Revoke,
    /// Anything that is not allowed.
    Report,
    /// A finding of any severity.
    Low,
    /// Of this severity or worse.
    Medium,
    /// Of this severity or worse.
    High,
    /// Of this severity.
    Critical,
}

impl FailOn {
    fn is_met_by(self, finding: &JudgedRule) -> bool {
        match self {
            Self::Revoke => finding.verdict == Verdict::Revoke,
            Self::Report => finding.verdict >= Verdict::Report,
            Self::Low => finding.severity >= Some(Severity::Low),
            Self::Medium => finding.severity >= Some(Severity::Medium),
            Self::High => finding.severity >= Some(Severity::High),
            Self::Critical => finding.severity >= Some(Severity::Critical),
        }
    }
}

/// The contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Clean = 0,
    CouldNotRun = 1,
    Findings = 2,
    InvalidPolicy = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What a verb has to say.
struct CommandOutput {
    /// For standard output; ends with a line break.
    text: String,
    exit: Exit,
}

impl CommandOutput {
    fn new(text: String, exit: Exit) -> Self {
        Self { text, exit }
    }

    fn json(value: &serde_json::Value, exit: Exit) -> anyhow::Result<Self> {
        // What a terminal might obey is escaped; in JSON it can only stand inside of strings.
        let text = serde_json::to_string_pretty(value)?;
        let mut out = String::with_capacity(text.len() + 1);
        for c in text.chars() {
            if c == '\n' || text::is_harmless(c) {
                out.push(c);
            } else {
                c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?;
            }
        }
        Ok(Self::new(out + "\n", exit))
    }
}

/// Runs the program with these arguments, the first being its own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let verb = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.verb,
        Err(error) => {
            let _ = error.print();
            // Clap's own code for a mistake is 2, which means findings here.
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked_for { Exit::Clean } else { Exit::CouldNotRun }.into();
        }
    };
    let style = Style::new(has_colours(&io::stdout()));
    match answer(verb, style) {
        // The last gate before a terminal. Text from files is cleaned where it is quoted; this catches what was forgotten.
        Ok(answer) => match io::stdout().write_all(text::lines(&answer.text, style.colours).as_bytes()) {
            // Whoever closed the pipe has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failed(&error.into()),
            _ => answer.exit.into(),
        },
        Err(error) => failed(&error),
    }
}

fn answer(verb: Verb, style: Style) -> anyhow::Result<CommandOutput> {
    match verb {
        Verb::Explain(arguments) => explain::run(&arguments, style),
        Verb::Policy(PolicyVerb::Check(arguments)) => check::run(&arguments, style),
        Verb::Policy(PolicyVerb::Show(arguments)) => show::run(&arguments),
        Verb::Policy(PolicyVerb::Schema(arguments)) => Ok(schema::run(&arguments)),
        Verb::Policy(PolicyVerb::Test(arguments)) => test::run(&arguments, style),
        Verb::Policy(PolicyVerb::Diff(arguments)) => diff::run(&arguments, style),
        Verb::Notice(NoticeVerb::Preview(arguments)) => preview::run(&arguments),
        Verb::Completions(arguments) => completions::run(&arguments),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_json_whatever_is_escaped_in_it() {
        let value = serde_json::json!({"a": "b\u{9b}\u{202e}\u{e0041}ü"});
        let text = CommandOutput::json(&value, Exit::Clean).unwrap().text;
        assert_eq!(text, "{\n  \"a\": \"b\\u009b\\u202e\\udb40\\udc41ü\"\n}\n");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
