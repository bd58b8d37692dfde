//! `policy check`: every problem of policy files, as compilers show theirs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::diagnostics;
use crate::cli::input;
use crate::cli::output::{CommandOutput, Exit, Format};
use crate::cli::style::Style;
use crate::model::text::count;
use crate::policy::builtin;
use crate::policy::codes::Code;
use crate::policy::diagnostic::{Diagnostic, Level};
use crate::policy::file;

/// Stands for every code of a warning.
const EVERY: &str = "warnings";

/// Arguments of `policy check`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  eks-sg-guard policy check policy.yaml
  eks-sg-guard policy check --deny warnings --allow unused-network policies/*.yaml

What a code means: `eks-sg-guard policy explain CODE`. A warning that is meant is better accepted in
the file, under `accepted` with a reason, than allowed here.

Exit codes:
  0  usable, perhaps with warnings    1  could not run    3  cannot be used, or a warning is denied")]
pub(super) struct Arguments {
    /// The policy files.
    #[arg(default_value = input::POLICY_FILE)]
    files: Vec<PathBuf>,
    /// Take warnings of this code for errors; `warnings` for all.
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = warning)]
    deny: Vec<String>,
    /// Leave warnings of this code out; it wins over `--deny warnings`.
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = warning)]
    allow: Vec<String>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// One file with what is wrong with it.
struct Checked {
    name: String,
    text: String,
    problems: Vec<Diagnostic>,
    accepted: Vec<(Diagnostic, String)>,
}

impl Checked {
    fn many(&self, level: Level) -> usize {
        self.problems.iter().filter(|problem| problem.severity == level).count()
    }
}

pub(super) fn run(arguments: &Arguments, style: Style) -> anyhow::Result<CommandOutput> {
    if let Some(both) = arguments.deny.iter().find(|code| arguments.allow.contains(code)) {
        bail!("`{both}` is both denied and allowed; leave one out");
    }
    let (mut checked, mut unread) = (Vec::new(), Vec::new());
    for path in &arguments.files {
        match check(path, arguments) {
            Ok(file) => checked.push(file),
            Err(error) => unread.push(error),
        }
    }
    if let ([], [_]) = (checked.as_slice(), unread.as_slice()) {
        return Err(unread.remove(0));
    }
    let is_usable = checked.iter().all(|file| file.many(Level::Error) == 0);
    let exit = if is_usable { Exit::Clean } else { Exit::InvalidPolicy }.of_what_was_read(unread.is_empty());
    let unread: Vec<String> = unread.iter().map(|error| format!("{error:#}")).collect();
    let output = match arguments.format {
        Format::Json => {
            let files: Vec<Value> = checked.iter().map(for_tools).collect();
            CommandOutput::answer("policy check", &json!({"files": files, "unread": unread}), exit)?
        }
        Format::Text => {
            let texts: Vec<String> = checked.iter().map(|file| in_words(file, style)).collect();
            CommandOutput::new(texts.join("\n"), exit)
        }
    };
    Ok(output.with_remarks(unread.iter().map(|why| format!("error: {why}")).collect()))
}

/// A code of a warning, or the word for all.
fn warning(text: &str) -> Result<String, String> {
    if text == EVERY {
        return Ok(text.to_owned());
    }
    let code: &Code = diagnostics::code(text)?;
    match code.level {
        Level::Warning => Ok(text.to_owned()),
        Level::Error => Err("that is an error already, and a policy with errors cannot be used".to_owned()),
    }
}

fn check(path: &Path, arguments: &Arguments) -> anyhow::Result<Checked> {
    let name = input::shown(path);
    if !path.exists() && builtin::NAMES.contains(&name.as_str()) {
        bail!("`{name}` is a built-in policy and no file; `eks-sg-guard policy show {name}` prints it");
    }
    if !path.exists() {
        bail!("there is no policy file `{name}`; name one, or begin with a file that holds only `version: 1`");
    }
    let text = input::text(path, "policy file")?;
    let (mut problems, accepted) = match file::load(&name, &text, input::day(Timestamp::now())) {
        Ok(loaded) => (loaded.warnings, loaded.accepted),
        Err(rejected) => (rejected.diagnostics, Vec::new()),
    };
    let is_in = |list: &[String], code: &str| list.iter().any(|listed| listed == code);
    let is_every = |list: &[String]| is_in(list, EVERY);
    problems.retain_mut(|problem| {
        if problem.severity == Level::Error {
            return true;
        }
        let (denied, allowed) = (is_in(&arguments.deny, problem.code), is_in(&arguments.allow, problem.code));
        if denied || is_every(&arguments.deny) && !allowed {
            problem.severity = Level::Error;
        }
        denied || !(allowed || is_every(&arguments.allow))
    });
    Ok(Checked { name, text, problems, accepted })
}

fn in_words(file: &Checked, style: Style) -> String {
    let Checked { name, text, problems, accepted } = file;
    let mut out: String = problems.iter().map(|problem| problem.render(name, text, style.colours) + "\n\n").collect();
    let mut counts = match (file.many(Level::Error), file.many(Level::Warning)) {
        (0, 0) => vec![style.good("no problem found")],
        (0, warnings) => vec!["usable".to_owned(), count(warnings, "warning")],
        (errors, 0) => vec!["cannot be used".to_owned(), count(errors, "error")],
        (errors, warnings) => vec!["cannot be used".to_owned(), count(errors, "error"), count(warnings, "warning")],
    };
    counts.extend((!accepted.is_empty()).then(|| format!("{} accepted", count(accepted.len(), "warning"))));
    let _ = writeln!(out, "{name}: {}", counts.join(", "));
    out
}

fn for_tools(file: &Checked) -> Value {
    let accepted = file.accepted.iter().map(|(problem, reason)| json!({"problem": problem, "reason": reason}));
    json!({
        "file": file.name,
        "usable": file.many(Level::Error) == 0,
        "problems": file.problems,
        "accepted": accepted.collect::<Vec<_>>(),
    })
}
