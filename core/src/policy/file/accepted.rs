//! `accepted`: warnings that the file's author knows of, each with a reason.
//!
//! Must not: accept an error, or more than one warning of one thing by an entry: what is accepted is named.

use crate::model::text::quoted;
use crate::policy::codes;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::fields::{Fields, items, scalar};
use crate::policy::file::problems::Problems;
use crate::policy::tree::Node;

pub(super) const OF_ACCEPTED: [&str; 3] = ["warning", "about", "reason"];

const HELP_WARNING: &str = "add `warning: …`, the code that stands in brackets before the message";
const HELP_REASON: &str = "add `reason: …`: why it is meant as it is";
const HELP_ABOUT: &str = "add `about: …`: the id, name or key that the warning speaks of";

/// An entry.
pub(super) struct Acceptance {
    at: At,
    code: String,
    about: String,
    reason: String,
}

pub(super) fn read(node: &Node, problems: &mut Problems) -> Vec<Acceptance> {
    let entries = items(node, "accepted", problems);
    entries.into_iter().filter_map(|entry| acceptance(entry, problems)).collect()
}

fn acceptance(node: &Node, problems: &mut Problems) -> Option<Acceptance> {
    let fields = Fields::read(node, "entry of `accepted`", &OF_ACCEPTED, problems)?;
    let code = fields.need("warning", HELP_WARNING, problems).and_then(|node| {
        let text = scalar(node, "warning", problems)?;
        let known = codes::acceptable();
        if known.contains(&text) {
            return Some((text.to_owned(), node.at));
        }
        let message = format!("{} is no warning that can be accepted", quoted(text));
        let help = if codes::find(text).is_some() {
            "only warnings about something that the file names can be accepted; mend this one".to_owned()
        } else {
            problems.expected(text, known)
        };
        problems.add(Diagnostic::error("unknown-warning", node.at, message).help(help));
        None
    });
    let about = fields.need("about", HELP_ABOUT, problems).and_then(|node| scalar(node, "about", problems));
    let reason = fields.need("reason", HELP_REASON, problems).and_then(|_| fields.text("reason", problems));
    let (code, at) = code?;
    Some(Acceptance { at, code, about: about?.to_owned(), reason: reason? })
}

/// Takes the accepted warnings out, and warns of entries that accept none.
pub(super) fn apply(entries: &[Acceptance], problems: &mut Problems) {
    for entry in entries {
        // Of a file with errors not every warning is known.
        if !problems.accept(&entry.code, &entry.about, &entry.reason) && !problems.failed() {
            let about = quoted(&entry.about);
            let message = format!("there is no warning `{}` about {about} to accept", entry.code);
            let help = "remove the entry, or write what the warning speaks of under `about`";
            problems.add(Diagnostic::warning("nothing-accepted", entry.at, message).help(help));
        }
    }
}
