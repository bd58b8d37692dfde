//! `audit`: what is open in an account, from answers of the AWS CLI that somebody saved.
//!
//! Must not: judge (the audit asks the guard's own inventory and plan), or know the shape of a file.

mod text;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::json;

use crate::audit::saved::Saved;
use crate::audit::{Facts, Scope, commands, look, source};
use crate::cli::input;
use crate::cli::output::{CommandOutput, Exit, FailOn, Format};
use crate::cli::progress::Progress;
use crate::cli::style::Style;
use crate::model::text::plain;
use crate::policy::builtin;
use crate::report::audit::compare::{Comparison, OldAudit};
use crate::report::audit::json::{Report, SCHEMA};
use crate::report::audit::{AuditFinding, asff, csv, html, mermaid, sarif};

/// Arguments of `audit`.
#[derive(Args)]
#[command(after_help = "\
Example: what is open in an account, without any right to change it?
  eks-sg-guard audit --commands > save.sh
  mkdir saved && (cd saved && sh ../save.sh)
  eks-sg-guard audit --from saved

FROM are answers of the AWS CLI as it prints them (--output json), in any mix: one file for each
command, or many answers in one; also UTF-16 and gzip, and what `terraform show -json` prints of a
plan. Each is recognised by what is in it. What is missing lowers what can be proven, and is said at
the end with the command that would give it.
The files are read and judged as the function's sweep reads and judges an account.

Exit codes:
  0  clean    1  could not run    2  a finding as `--fail-on` says    3  the policy is invalid")]
pub(super) struct Arguments {
    /// Files, folders, or `-` for standard input.
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1..)]
    #[arg(required_unless_present_any = ["commands", "permissions", "schema"])]
    from: Vec<PathBuf>,
    /// A policy file, or the name of a built-in policy.
    #[arg(long, value_name = "FILE|NAME", default_value = builtin::DEFAULT)]
    policy: String,
    /// Only clusters whose names match, such as `prod-*`.
    #[arg(long, value_name = "GLOB")]
    cluster: Option<String>,
    /// What ends in exit code 2: a verdict, or a finding of this severity or worse.
    #[arg(long, value_enum, value_name = "VERDICT|SEVERITY", default_value_t)]
    fail_on: FailOn,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    format: Written,
    /// An audit that was saved with `--format json`: say what is new, gone and changed since, and end in exit code 2 only
    /// for what is new or worse.
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// Print the commands that save what an audit reads, for a shell, and do nothing else.
    #[arg(long, conflicts_with_all = ["from", "permissions"])]
    commands: bool,
    /// Print the IAM policy of what an audit reads, and do nothing else.
    #[arg(long, conflicts_with = "from")]
    permissions: bool,
    /// Print the JSON Schema of `--format json`, and do nothing else.
    #[arg(long, conflicts_with_all = ["from", "commands", "permissions"])]
    schema: bool,
}

/// The formats of an audit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Written {
    /// For people, on a terminal.
    #[default]
    Text,
    /// For tools.
    Json,
    /// For spreadsheets: a line for each rule and portion, allowed ones included.
    Csv,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
    /// For AWS Security Hub: findings in batches as it imports them.
    Asff,
    /// A picture for Markdown: who may talk to whom.
    Mermaid,
    /// A page for browsers, in one file: pictures, findings with filters, all rules.
    Html,
}

impl Arguments {
    /// In which format it is said that nothing could be said.
    pub(super) fn for_errors(&self) -> Format {
        if self.format == Written::Json { Format::Json } else { Format::Text }
    }
}

pub(super) fn run(arguments: &Arguments, style: Style) -> anyhow::Result<CommandOutput> {
    if arguments.commands {
        return Ok(CommandOutput::new(commands::COMMANDS.to_owned(), Exit::Clean));
    }
    if arguments.permissions {
        return CommandOutput::json(&commands::permissions(), Exit::Clean);
    }
    if arguments.schema {
        return Ok(CommandOutput::new(SCHEMA.to_owned(), Exit::Clean));
    }
    let now = Timestamp::now();
    let policy = input::policy(&arguments.policy, now)?;
    let facts = Arc::new(read(&arguments.from)?);
    if !facts.knows_clusters() {
        bail!(
            "nothing in these files names an EKS cluster, so there is nothing to judge; add `aws eks list-clusters` and \
             `aws eks describe-cluster --name NAME` (`eks-sg-guard audit --commands` prints all)"
        );
    }
    let scope = Scope::new(arguments.cluster.as_deref());
    let audit = look(&facts, &policy, &scope, now)?;
    if let (Some(glob), true) = (&arguments.cluster, audit.locations.is_empty()) {
        let names: Vec<String> = facts.names_of_clusters().iter().map(|name| format!("`{}`", plain(name))).collect();
        let known = if names.is_empty() { "no cluster at all".to_owned() } else { names.join(", ") };
        bail!("no cluster in these files matches `{}`; there is {known}", plain(glob));
    }
    let old = arguments.compare.as_deref().map(old).transpose()?;
    let comparison = old.as_ref().map(|old| Comparison::of(old, &audit));
    let fails = |found: &AuditFinding| arguments.fail_on.is_met(found.verdict, found.severity);
    let fails = match &comparison {
        Some(comparison) => comparison.worse().any(fails),
        None => audit.findings().any(fails),
    };
    let exit = if fails { Exit::Findings } else { Exit::Clean };
    match arguments.format {
        Written::Text => Ok(CommandOutput::new(text::written(&audit, comparison.as_ref(), style), exit)),
        Written::Json => {
            CommandOutput::answer("audit", &serde_json::to_value(Report::of(&audit, comparison.as_ref()))?, exit)
        }
        _ if comparison.is_some() => bail!("`--compare` is for the formats `text` and `json`"),
        Written::Csv => Ok(CommandOutput::file(csv::written(&audit)?, exit)),
        Written::Sarif => {
            let (sarif, left_out) = sarif::written(&audit);
            if left_out > 0 {
                say(&format!("{left_out} findings were left out, the mildest: code scanning takes no more"));
            }
            CommandOutput::json(&sarif, exit)
        }
        Written::Asff => {
            let (batches, left_out) = asff::written(&audit);
            if left_out > 0 {
                say(&format!(
                    "{left_out} findings were left out: these files do not say of which account and region they are"
                ));
            }
            CommandOutput::json(&json!(batches), exit)
        }
        Written::Html => Ok(CommandOutput::file(html::written(&audit)?, exit)),
        Written::Mermaid => match mermaid::written(&audit) {
            Some(diagram) => Ok(CommandOutput::new(diagram, exit)),
            None => bail!("the picture is larger than Mermaid takes; choose clusters with `--cluster`"),
        },
    }
}

/// Everything that the arguments name, joined.
fn read(from: &[PathBuf]) -> anyhow::Result<Facts> {
    let sources = source::sources(from).map_err(anyhow::Error::msg)?;
    let mut progress = Progress::of(sources.len());
    let mut saved = Saved::default();
    for source in &sources {
        progress.at(&source.name());
        saved.add(source).map_err(anyhow::Error::msg)?;
    }
    drop(progress);
    if !saved.has_any() {
        let why = saved.warnings().first().map(|why| format!("; {why}")).unwrap_or_default();
        bail!("there is no answer of the AWS CLI to read{why}");
    }
    Ok(Facts::of(saved))
}

/// A remark beside the answer.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// An audit that was saved.
fn old(path: &Path) -> anyhow::Result<OldAudit> {
    let value = input::json(path, "old audit")?;
    let name = input::shown(path);
    let hint = "save one with `eks-sg-guard audit --format json`";
    let old: OldAudit = serde_path_to_error::deserialize(value)
        .with_context(|| format!("old audit `{name}` is not understood ({hint})"))?;
    if old.version != 1 || old.command != "audit" {
        bail!("old audit `{name}` is version {} of `{}`; {hint}", old.version, plain(&old.command));
    }
    Ok(old)
}
