//! What is being read, on a terminal, where it takes longer than a second. It is gone when it is done.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Before that nobody wonders.
const PATIENCE: Duration = Duration::from_secs(1);
/// As wide as any terminal.
const MAX_LEN: usize = 70;

/// Shown on standard error, if that is a terminal.
pub(super) struct Progress {
    since: Instant,
    all: usize,
    done: usize,
    is_shown: bool,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn of(all: usize) -> Self {
        Self { since: Instant::now(), all, done: 0, is_shown: false, is_terminal: io::stderr().is_terminal() }
    }

    /// The next file is read. What is slow is often the first one.
    pub(super) fn at(&mut self, file: &str) {
        self.done += 1;
        if self.is_terminal && (self.done == 1 || self.since.elapsed() > PATIENCE) {
            self.is_shown = true;
            let line = format!("reading {} of {}: {file}", self.done, self.all);
            let line: String = line.chars().take(MAX_LEN).collect();
            let _ = write!(io::stderr(), "\r{line:<MAX_LEN$}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r{:<MAX_LEN$}\r", "");
        }
    }
}
