//! `undo`: opens again what was closed, as a record says, where the policy lets it be open.
//!
//! Must not: judge (the policy does), or open anything that was not shown and agreed to.

#[cfg_attr(not(feature = "aws"), path = "undo/offline.rs")]
mod live;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Deserializer, Value, json};

use crate::audit::undo::{Judged, Standing, Undone, closed};
use crate::cli::ask;
use crate::cli::identity::Identity;
use crate::cli::input;
use crate::cli::output::{CommandOutput, Exit, Format};
use crate::model::text::{count, plain};
use crate::policy::builtin;

/// Arguments of `undo`.
#[derive(Args)]
#[command(after_help = "\
Example: open again what `audit --fix` closed, now that the policy has an exception for it
  eks-sg-guard undo eks-sg-guard-fix-20261126T101500Z.jsonl --policy policy.yaml

RECORD is what the function logs, answers or publishes, or the file that `audit --fix` wrote. Each
rule in it that was revoked is opened as it was: peer, ports, description and tags, under a new id.
One that is open already stays as it is. One that the policy forbids stays closed: the guard would
close it again; write an exception for it first. It takes ec2:AuthorizeSecurityGroupIngress and
ec2:AuthorizeSecurityGroupEgress (for tags ec2:CreateTags), and what `audit --permissions` says.

Exit codes:
  0  all is open    1  could not run    2  something stays closed    3  the policy is invalid")]
pub(super) struct Arguments {
    /// A record, or many; `-` for standard input.
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// A policy file, or the name of a built-in policy: the one that the guard follows.
    #[arg(long, value_name = "FILE|NAME", default_value = builtin::DEFAULT)]
    policy: String,
    #[command(flatten)]
    identity: Identity,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<CommandOutput> {
    let now = Timestamp::now();
    let policy = input::policy(&arguments.policy, now)?;
    let name = input::shown(&arguments.record);
    let closed = closed(&values(&arguments.record)?).map_err(|why| anyhow!("record `{name}`: {why}"))?;
    if closed.is_empty() {
        let nothing = "Nothing in it was revoked, so nothing is to be undone.\n";
        return written(arguments, &[], nothing.to_owned(), Exit::Clean);
    }
    let done = live::run(&arguments.identity, &policy, &closed, now, &|judged| {
        ask::show(&plan(judged));
        let many = judged.iter().filter(|judged| judged.standing == Standing::Allowed).count();
        if many == 0 {
            return Ok(false);
        }
        ask::agreed(&format!("Open {} again?", count(many, "rule")), arguments.yes)
    })?;
    let text: String = done.iter().map(|(judged, undone)| line(judged, undone.as_ref())).collect();
    let is_open = |(judged, undone): &(Judged, Option<Undone>)| {
        matches!((&judged.standing, undone), (Standing::Open(..), _) | (_, Some(Undone::Opened(_))))
    };
    let exit = if done.iter().all(is_open) { Exit::Clean } else { Exit::Findings };
    written(arguments, &done, text, exit)
}

/// One JSON value after the other.
fn values(path: &Path) -> anyhow::Result<Vec<Value>> {
    let name = input::shown(path);
    let text =
        if path == Path::new("-") { input::json_text_of_stdin("record")? } else { input::json_text(path, "record")? };
    let values = Deserializer::from_str(text.trim_start_matches('\u{feff}')).into_iter::<Value>();
    let values = values.collect::<Result<Vec<Value>, _>>();
    let values = values.map_err(|error| input::not_json(&error, "record", &name))?;
    if values.is_empty() {
        bail!("record `{name}` is empty; expected JSON");
    }
    // A file that holds a list of records.
    Ok(values.into_iter().flat_map(|value| if let Value::Array(items) = value { items } else { vec![value] }).collect())
}

fn in_words(judged: &Judged) -> String {
    let place = format!("account {}, {}", plain(&judged.location.account), plain(&judged.location.region));
    format!("{} on {} ({place})", ask::rule_in_words(&judged.rule), plain(&judged.group))
}

/// What is going to be done, and what is not.
fn plan(all: &[Judged]) -> String {
    let mut text = "To be opened again:\n".to_owned();
    let (open, rest): (Vec<&Judged>, Vec<&Judged>) =
        all.iter().partition(|judged| judged.standing == Standing::Allowed);
    for judged in &open {
        let _ = writeln!(text, "  {}", in_words(judged));
    }
    if open.is_empty() {
        text.push_str("  nothing\n");
    }
    if !rest.is_empty() {
        text.push_str("Not:\n");
    }
    for judged in rest {
        let _ = writeln!(text, "  {}: {}", in_words(judged), why(judged));
    }
    text
}

fn why(judged: &Judged) -> String {
    match &judged.standing {
        Standing::Allowed => "not agreed to".to_owned(),
        Standing::Open(id, None) => format!("it is open already, as {}", plain(id)),
        Standing::Open(id, Some(differs)) => format!("it is open already, as {}, {differs}", plain(id)),
        Standing::Forbidden(clauses) => {
            let said: Vec<String> =
                clauses.iter().map(|(clause, reason)| format!("`{}`: {}", plain(clause), plain(reason))).collect();
            format!("the policy forbids it, and no exception covers it ({})", said.join("; "))
        }
        Standing::Unknown(why) => format!("nobody can say whether it may be open: {}", plain(why)),
    }
}

fn line(judged: &Judged, undone: Option<&Undone>) -> String {
    let (word, detail) = match (&judged.standing, undone) {
        (_, Some(Undone::Opened(id))) => ("opened", format!("as {}", plain(id))),
        (_, Some(Undone::Failed(why))) => ("failed", plain(why)),
        (Standing::Open(..), None) => ("open", why(judged)),
        (_, None) => ("closed", why(judged)),
    };
    format!("{word:<8} {}: {detail}\n", in_words(judged))
}

fn written(
    arguments: &Arguments,
    done: &[(Judged, Option<Undone>)],
    text: String,
    exit: Exit,
) -> anyhow::Result<CommandOutput> {
    if arguments.format == Format::Text {
        return Ok(CommandOutput::new(text, exit));
    }
    let rules = done.iter().map(|(judged, undone)| {
        let (outcome, id, detail) = match (&judged.standing, undone) {
            (_, Some(Undone::Opened(id))) => ("opened", Some(id), None),
            (_, Some(Undone::Failed(why))) => ("failed", None, Some(why.clone())),
            (Standing::Open(id, differs), None) => ("open", Some(id), differs.map(str::to_owned)),
            (Standing::Forbidden(_), None) => ("forbidden", None, Some(why(judged))),
            (Standing::Unknown(_), None) => ("unknown", None, Some(why(judged))),
            (Standing::Allowed, None) => ("closed", None, Some(why(judged))),
        };
        let place = &judged.location;
        json!({"account": place.account, "region": place.region, "group": judged.group, "rule": judged.rule,
            "outcome": outcome, "id": id, "detail": detail})
    });
    CommandOutput::answer("undo", &json!({"rules": rules.collect::<Vec<_>>()}), exit)
}
