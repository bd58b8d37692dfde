//! Asks whoever sits at the terminal before anything is changed.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};

use crate::model::rule::Rule;
use crate::model::text::{lines, plain};
use crate::report::notice;

/// Whether they agree. Where nobody sits, only `--yes` does.
pub(super) fn agreed(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        bail!("nobody can be asked here, so nothing was changed; read the plan above, and run it again with `--yes`");
    }
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("the answer cannot be read")?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

/// A rule as it is asked about: also its id may be text from outside, out of a file.
pub(super) fn rule_in_words(rule: &Rule) -> String {
    notice::rule_in_words(&Rule { id: plain(&rule.id), ..rule.clone() })
}

/// Shows something before it is asked about, beside the answer that goes to standard output.
pub(super) fn show(text: &str) {
    let _ = write!(io::stderr(), "{}", lines(text, false));
}
