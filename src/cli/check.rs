//! `policy check`: every problem of a policy file, as compilers show theirs.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;

use crate::cli::input;
use crate::cli::output::{CommandOutput, Exit, Format};
use crate::cli::style::Style;
use crate::model::text::count;
use crate::policy::diagnostic::{Diagnostic, Level};
use crate::policy::file;

/// Arguments of `policy check`.
#[derive(Args)]
#[command(after_help = "\
Example:
  eks-sg-guard policy check policy.yaml

Exit codes:
  0  usable, perhaps with warnings    1  could not run    3  cannot be used")]
pub(super) struct Arguments {
    /// The policy file.
    #[arg(default_value = input::POLICY_FILE)]
    file: PathBuf,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments, style: Style) -> anyhow::Result<CommandOutput> {
    let name = input::shown(&arguments.file);
    if !arguments.file.exists() {
        bail!("there is no policy file `{name}`; name one, or begin with a file that holds only `version: 1`");
    }
    let text = input::text(&arguments.file, "policy file")?;
    let (diagnostics, exit) = match file::load(&name, &text, input::day(Timestamp::now())) {
        Ok(loaded) => (loaded.warnings, Exit::Clean),
        Err(rejected) => (rejected.diagnostics, Exit::InvalidPolicy),
    };
    match arguments.format {
        Format::Json => CommandOutput::json(&serde_json::to_value(&diagnostics)?, exit),
        Format::Text => Ok(CommandOutput::new(in_words(&name, &text, &diagnostics, style), exit)),
    }
}

fn in_words(name: &str, text: &str, diagnostics: &[Diagnostic], style: Style) -> String {
    let mut out: String =
        diagnostics.iter().map(|problem| problem.render(name, text, style.colours) + "\n\n").collect();
    let many = |level| diagnostics.iter().filter(|problem| problem.severity == level).count();
    let (errors, warnings) = (many(Level::Error), many(Level::Warning));
    let verdict = match (errors, warnings) {
        (0, 0) => style.good("no problem found"),
        (0, warnings) => format!("usable, {}", count(warnings, "warning")),
        (errors, 0) => format!("cannot be used, {}", count(errors, "error")),
        (errors, warnings) => format!("cannot be used, {}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    let _ = writeln!(out, "{name}: {verdict}");
    out
}
