//! Asks whoever sits at the terminal before anything is changed.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};

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

/// Shows something before it is asked about, beside the answer that goes to standard output.
pub(super) fn show(text: &str) {
    let _ = write!(io::stderr(), "{}", crate::model::text::lines(text, false));
}
