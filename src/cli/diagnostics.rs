//! `policy explain`: what a problem of a policy file means, one page per code.

use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use crate::cli::output::{CommandOutput, Exit, Format};
use crate::policy::codes::{self, CODES, Code};
use crate::policy::diagnostic::Level;

/// The pages, each below a heading that is its code.
const PAGES: &str = include_str!("../../docs/diagnostics.md");

/// Arguments of `policy explain`.
#[derive(Args)]
#[command(after_help = "\
Example:
  eks-sg-guard policy explain opens-to-world

Without a code: a list of all.")]
pub(super) struct Arguments {
    /// The code that stands in brackets before the message of a problem.
    #[arg(value_parser = code)]
    code: Option<&'static Code>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<CommandOutput> {
    let wanted: Vec<&Code> = match arguments.code {
        Some(code) => vec![code],
        None => CODES.iter().collect(),
    };
    match (arguments.format, arguments.code) {
        (Format::Json, _) => {
            let entry = |code: &&Code| {
                json!({
                    "code": code.name,
                    "severity": code.level,
                    "can_be_accepted": code.can_be_accepted,
                    "page": page(code.name),
                })
            };
            let codes: Vec<_> = wanted.iter().map(entry).collect();
            CommandOutput::answer("policy explain", &json!({"codes": codes}), Exit::Clean)
        }
        (Format::Text, Some(code)) => {
            let accept = if code.can_be_accepted { ", which a file can accept" } else { "" };
            let text = format!("{} ({}{accept})\n\n{}", code.name, level(code.level), page(code.name));
            Ok(CommandOutput::new(text, Exit::Clean))
        }
        (Format::Text, None) => Ok(CommandOutput::new(list(), Exit::Clean)),
    }
}

/// A code that is known, or what was meant.
pub(super) fn code(text: &str) -> Result<&'static Code, String> {
    codes::find(text).ok_or_else(|| {
        let distance = |code: &Code| strsim::osa_distance(text, code.name);
        let near = CODES.iter().min_by_key(|code| distance(code)).filter(|code| distance(code) <= 3);
        let meant = near.map(|code| format!("; did you mean `{}`?", code.name)).unwrap_or_default();
        format!("there is no such code{meant} (`eks-sg-guard policy explain` lists all)")
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// What stands below the heading.
fn page(code: &str) -> String {
    let section = PAGES.split("\n## ").find_map(|section| section.strip_prefix(code)?.strip_prefix('\n'));
    format!("{}\n", section.unwrap_or_default().trim())
}

fn list() -> String {
    let mut out = String::new();
    for code in &CODES {
        let page = page(code.name);
        let first = page.lines().next().unwrap_or_default();
        let _ = writeln!(out, "{:<24}{:<9}{first}", code.name, level(code.level));
    }
    out
}
