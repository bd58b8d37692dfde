//! What a verb has to say: a text and an exit code.
//!
//! Owns: the exit codes, the formats, how JSON is written, and what every JSON answer begins with. Must not: write to a
//! stream.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::ValueEnum;

use serde_json::{Value, json};

use crate::model::text;
use crate::policy::judge::JudgedRule;
use crate::policy::model::{Severity, Verdict};

/// Of the JSON that every verb answers in. Keys are added, never renamed or removed; else it grows.
const VERSION: u8 = 1;

/// Text for people or JSON for tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// For tools.
    Json,
}

/// What counts as a finding for the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// A rule that the policy forbids.
    #[default]
    Revoke,
    /// Anything that is not allowed.
    Report,
    /// A finding of any severity.
    Low,
    /// Of this severity or worse.
    Medium,
    /// Of this severity or worse.
    High,
    /// Of this severity.
    Critical,
}

impl FailOn {
    pub(super) fn is_met_by(self, finding: &JudgedRule) -> bool {
        self.is_met(finding.verdict, finding.severity)
    }

    pub(super) fn is_met(self, verdict: Verdict, severity: Option<Severity>) -> bool {
        match self {
            Self::Revoke => verdict == Verdict::Revoke,
            Self::Report => verdict >= Verdict::Report,
            Self::Low => severity >= Some(Severity::Low),
            Self::Medium => severity >= Some(Severity::Medium),
            Self::High => severity >= Some(Severity::High),
            Self::Critical => severity >= Some(Severity::Critical),
        }
    }
}

/// The contract with scripts. Ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    Clean = 0,
    CouldNotRun = 1,
    Findings = 2,
    InvalidPolicy = 3,
}

impl Exit {
    /// What was found counts. Where nothing was, and not all could be read, nobody knows.
    pub(super) fn of_what_was_read(self, is_whole: bool) -> Self {
        if is_whole { self } else { self.max(Self::CouldNotRun) }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Writes a part of the answer at once; `false`: nobody listens any more.
pub(super) type Say<'s> = &'s mut dyn FnMut(&str) -> bool;

/// What a verb has to say.
pub(super) struct CommandOutput {
    /// For standard output; ends with a line break.
    pub(super) text: String,
    pub(super) exit: Exit,
    /// A file of another format, cleaned by its own rules: written as it is.
    pub(super) is_file: bool,
    /// For standard error, beside the answer: a line each.
    pub(super) remarks: Vec<String>,
}

impl CommandOutput {
    pub(super) fn new(text: String, exit: Exit) -> Self {
        Self { text, exit, is_file: false, remarks: Vec::new() }
    }

    pub(super) fn file(text: String, exit: Exit) -> Self {
        Self { text, exit, is_file: true, remarks: Vec::new() }
    }

    pub(super) fn with_remarks(self, remarks: Vec<String>) -> Self {
        Self { remarks, ..self }
    }

    /// An answer for tools: the envelope, which is the same for every verb, then the verb's own keys.
    pub(super) fn answer(command: &str, own: &Value, exit: Exit) -> anyhow::Result<Self> {
        let mut answer = serde_json::Map::new();
        answer.insert("version".to_owned(), json!(VERSION));
        answer.insert("command".to_owned(), json!(command));
        answer.insert("exit_code".to_owned(), json!(exit as u8));
        for (key, value) in own.as_object().into_iter().flatten() {
            answer.insert(key.clone(), value.clone());
        }
        Self::json(&Value::Object(answer), exit)
    }

    pub(super) fn json(value: &Value, exit: Exit) -> anyhow::Result<Self> {
        // What a terminal might obey is escaped; in JSON it can only stand inside of strings.
        let text = serde_json::to_string_pretty(value)?;
        let mut out = String::with_capacity(text.len() + 1);
        for c in text.chars() {
            if c == '\n' || text::is_harmless(c) {
                out.push(c);
            } else {
                c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?;
            }
        }
        Ok(Self::new(out + "\n", exit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_json_whatever_is_escaped_in_it() {
        let value = serde_json::json!({"a": "b\u{9b}\u{202e}\u{e0041}ü"});
        let text = CommandOutput::json(&value, Exit::Clean).unwrap().text;
        assert_eq!(text, "{\n  \"a\": \"b\\u009b\\u202e\\udb40\\udc41ü\"\n}\n");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
