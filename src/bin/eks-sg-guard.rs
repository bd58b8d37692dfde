//! The command line: verbs only. What they print comes from the library.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use eks_sg_guard::policy::{builtin, file};
use jiff::{Timestamp, tz::Offset};

/// Closes what must not be open in the security groups of Amazon EKS clusters.
///
/// The guard itself is a Lambda function; this program is for trying and reading policies on a laptop.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Read and check policies.
    #[command(subcommand)]
    Policy(PolicyVerb),
}

#[derive(Subcommand)]
enum PolicyVerb {
    /// Check a policy file and show every problem in it. Exit code 3 when it cannot be used.
    Check {
        /// The file.
        file: PathBuf,
        /// Text for people or JSON for tools.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Print a built-in policy: the file as it is embedded, with its comments.
    Show {
        /// Which one.
        #[arg(default_value = builtin::DEFAULT, value_parser = builtin::NAMES)]
        name: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Exit codes are a contract: 0 clean, 1 could not run, 3 invalid policy.
const INVALID_POLICY: u8 = 3;

fn main() -> ExitCode {
    let Arguments { verb: Verb::Policy(verb) } = Arguments::parse();
    let result = match verb {
        PolicyVerb::Show { name } => show(&name),
        PolicyVerb::Check { file, format } => check(&file, format),
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}

fn show(name: &str) -> anyhow::Result<ExitCode> {
    let text = builtin::text(name).with_context(|| format!("there is no built-in policy `{name}`"))?;
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn check(path: &PathBuf, format: Format) -> anyhow::Result<ExitCode> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("policy file `{shown}` cannot be read"))?;
    let today = Offset::UTC.to_datetime(Timestamp::now()).date();
    let (diagnostics, usable) = match file::load(&shown, &text, today) {
        Ok(loaded) => (loaded.warnings, true),
        Err(rejected) => (rejected.diagnostics, false),
    };
    let code = if usable { ExitCode::SUCCESS } else { ExitCode::from(INVALID_POLICY) };
    let mut out = io::stdout().lock();
    if format == Format::Json {
        serde_json::to_writer_pretty(&mut out, &diagnostics)?;
        writeln!(out)?;
        return Ok(code);
    }
    let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    for diagnostic in &diagnostics {
        writeln!(out, "{}\n", diagnostic.render(&shown, &text, colours))?;
    }
    match (usable, diagnostics.len()) {
        (true, 0) => writeln!(out, "{shown}: no problem found")?,
        (true, n) => writeln!(out, "{shown}: usable, {n} warnings")?,
        (false, n) => writeln!(out, "{shown}: cannot be used, {n} problems")?,
    }
    Ok(code)
}
