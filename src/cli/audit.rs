//! `audit`: what is open in an account, as AWS answers now or from answers of the AWS CLI that somebody saved.
//!
//! Must not: judge (the audit asks the guard's own inventory and plan), or know the shape of a file.

#[cfg(feature = "aws")]
mod fix;
mod fixing;
#[cfg_attr(not(feature = "security-hub"), path = "audit/not_sent.rs")]
mod import;
#[cfg_attr(not(feature = "aws"), path = "audit/offline.rs")]
mod live;
mod narrow;
mod text;

use self::fixing::Fixing;

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::json;

use crate::audit::report::compare::{Comparison, OldAudit};
use crate::audit::report::json::{Report, SCHEMA};
use crate::audit::report::{Audit, AuditFinding, asff, csv, html, mermaid, sarif};
use crate::audit::{self, Scope, commands, look_at};
use crate::cli::identity::Identity;
use crate::cli::output::{CommandOutput, Exit, FailOn, Format};
use crate::cli::style::Style;
use crate::cli::{input, saved};
use crate::model::text::plain;
use crate::policy::builtin;

/// Arguments of `audit`.
#[derive(Args)]
#[command(after_help = "\
Example: what is open in an account, without any right to change it?
  eks-sg-guard audit --profile prod --region us-east-1,eu-west-1
Or from what somebody else saved:
  eks-sg-guard audit --commands > save.sh
  mkdir saved && (cd saved && sh ../save.sh)
  eks-sg-guard audit --from saved

Without --from AWS is asked, as `--permissions` says and nothing else. Credentials and region are
found as the AWS CLI finds them. What cannot be read is said with the right that is missing, and the
rest is judged. Ctrl-C ends the reading; what was read by then is judged.

FROM are answers of the AWS CLI as it prints them (--output json), in any mix: one file for each
command, or many answers in one; also UTF-16 and gzip, and what `terraform show -json` prints of a
plan. Each is recognised by what is in it. What is missing lowers what can be proven, and is said at
the end with the command that would give it.
Both are read and judged as the function's sweep reads and judges an account.

Exit codes:
  0  clean    1  could not run, or AWS did not answer everything and the rest is clean
  2  a finding as `--fail-on` says    3  the policy is invalid")]
pub(super) struct Arguments {
    /// Files, folders, or `-` for standard input.
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1.., conflicts_with_all = ["profile", "region", "role_arn"])]
    from: Vec<PathBuf>,
    /// Regions, or `all` that are enabled in the account; without it the one of the profile or the environment.
    #[arg(long, value_name = "REGION,...|all", value_delimiter = ',')]
    region: Vec<String>,
    #[command(flatten)]
    identity: Identity,
    #[command(flatten)]
    fixing: Fixing,
    /// A policy file, or the name of a built-in policy.
    #[arg(long, value_name = "FILE|NAME", default_value = builtin::DEFAULT)]
    policy: String,
    /// Only clusters whose names match, such as `prod-*`. Can be given several times.
    #[arg(long, value_name = "GLOB")]
    cluster: Vec<String>,
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
    /// With `--format asff`: hand the findings to AWS Security Hub. They replace what an earlier audit told it of them.
    #[arg(long, conflicts_with_all = ["compare", "commands", "schema", "fix", "narrow"])]
    import: bool,
    #[command(flatten)]
    printing: Printing,
}

/// What is printed in place of an audit.
#[derive(Args)]
struct Printing {
    /// Print the commands that save what an audit reads, for a shell, and do nothing else.
    #[arg(long, conflicts_with_all = ["from", "permissions"])]
    commands: bool,
    /// Print the IAM policy of what an audit calls, with `--fix` or `--import` also of that, and do nothing else.
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
    if arguments.printing.commands {
        return Ok(CommandOutput::new(commands::COMMANDS.to_owned(), Exit::Clean));
    }
    if arguments.printing.permissions {
        return CommandOutput::json(&commands::permissions(arguments.fixing.fix, arguments.import), Exit::Clean);
    }
    if arguments.printing.schema {
        return Ok(CommandOutput::new(SCHEMA.to_owned(), Exit::Clean));
    }
    if arguments.import && arguments.format != Written::Asff {
        bail!("`--import` is for the format `asff`: add `--format asff`");
    }
    let now = Timestamp::now();
    let policy = input::policy(&arguments.policy, now)?;
    let (facts, is_whole) = if arguments.from.is_empty() {
        live::read(&arguments.identity, &arguments.region)?
    } else {
        // What was not saved is said, and was not asked for.
        (vec![Arc::new(saved::read(&arguments.from)?)], true)
    };
    let scope = Scope::new(&arguments.cluster);
    let audit = look_at(&facts, &policy, &scope, now)?;
    if !arguments.cluster.is_empty() && audit.locations.is_empty() && is_whole {
        let names: BTreeSet<&str> = facts.iter().flat_map(|facts| facts.names_of_clusters()).collect();
        let quoted = |names: &mut dyn Iterator<Item = &str>| {
            names.map(|name| format!("`{}`", plain(name))).collect::<Vec<_>>().join(", ")
        };
        let wanted = quoted(&mut arguments.cluster.iter().map(String::as_str));
        let known = if names.is_empty() { "no cluster at all".to_owned() } else { quoted(&mut names.iter().copied()) };
        bail!("no cluster matches {wanted}; there is {known}");
    }
    if arguments.from.is_empty() && is_whole && audit.locations.is_empty() {
        say("there is no EKS cluster there");
    }
    let old = arguments.compare.as_deref().map(old).transpose()?;
    let comparison = old.as_ref().map(|old| Comparison::of(old, &audit));
    let fails = |found: &AuditFinding| arguments.fail_on.is_met(found.verdict, found.severity);
    let fails = match &comparison {
        Some(comparison) => comparison.worse().any(fails),
        None => audit.findings().any(fails),
    };
    let exit = if fails { Exit::Findings } else { Exit::Clean }.of_what_was_read(is_whole);
    #[cfg(feature = "aws")]
    if arguments.fixing.fix {
        if !matches!(arguments.format, Written::Text | Written::Json) {
            bail!("`--fix` is for the formats `text` and `json`");
        }
        let fixed = fix::run((&arguments.identity, &arguments.fixing), &audit, &policy, exit)?;
        return match arguments.format {
            Written::Json => CommandOutput::answer("audit", &fixed.json, fixed.exit),
            _ => Ok(CommandOutput::new(fixed.text, fixed.exit)),
        };
    }
    if arguments.fixing.narrow && !matches!(arguments.format, Written::Text | Written::Json | Written::Html) {
        bail!("`--narrow` is for the formats `text`, `json` and `html`");
    }
    let narrowed = if arguments.fixing.narrow { Some(audit::narrow(&facts, &policy, &audit)?) } else { None };
    let narrowed = narrowed.as_deref();
    match arguments.format {
        Written::Text => {
            let proposals = narrowed.map(|narrowed| narrow::written(narrowed, style)).unwrap_or_default();
            Ok(CommandOutput::new(text::written(&audit, comparison.as_ref(), &proposals, style), exit))
        }
        Written::Json => CommandOutput::answer(
            "audit",
            &serde_json::to_value(Report::of(&audit, comparison.as_ref(), narrowed))?,
            exit,
        ),
        _ if comparison.is_some() => bail!("`--compare` is for the formats `text` and `json`"),
        Written::Csv => Ok(CommandOutput::file(csv::written(&audit)?, exit)),
        Written::Sarif => {
            let (sarif, left_out) = sarif::written(&audit);
            if left_out > 0 {
                say(&format!("{left_out} findings were left out, the mildest: code scanning takes no more"));
            }
            CommandOutput::json(&sarif, exit)
        }
        Written::Asff => findings(arguments, &audit, exit),
        Written::Html => Ok(CommandOutput::file(html::written(&audit, narrowed.unwrap_or_default())?, exit)),
        Written::Mermaid => match mermaid::written(&audit) {
            Some(diagram) => Ok(CommandOutput::new(diagram, exit)),
            None => bail!("the picture is larger than Mermaid takes; choose clusters with `--cluster`"),
        },
    }
}

/// As Security Hub takes them, or handed to it.
fn findings(arguments: &Arguments, audit: &Audit, exit: Exit) -> anyhow::Result<CommandOutput> {
    let (batches, left_out) = asff::written(audit);
    if left_out > 0 {
        say(&format!("{left_out} findings were left out: these files do not say of which account and region they are"));
    }
    if arguments.import {
        let (text, is_all) = import::run(&arguments.identity, &batches)?;
        return Ok(CommandOutput::new(text, if is_all { exit } else { Exit::CouldNotRun }));
    }
    for line in asff::imports(&batches) {
        say(&line);
    }
    CommandOutput::json(&json!(batches), exit)
}

/// A remark beside the answer.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// An audit that was saved.
fn old(path: &Path) -> anyhow::Result<OldAudit> {
    let hint = "save one with `eks-sg-guard audit --format json`";
    let value = input::json(path, "old audit").with_context(|| format!("there is nothing to compare with ({hint})"))?;
    let name = input::shown(path);
    let old: OldAudit = serde_path_to_error::deserialize(value)
        .with_context(|| format!("old audit `{name}` is not understood ({hint})"))?;
    if old.version != 1 || old.command != "audit" {
        bail!("old audit `{name}` is version {} of `{}`; {hint}", old.version, plain(&old.command));
    }
    Ok(old)
}
