//! What people hand over that is no event, and what to do with it: told by what is in it.
//!
//! Must not: read it.

use serde_json::Value;

use crate::audit::saved::Kind;
use crate::model::text::quoted;

/// By keys that stand there together: what it is and what to do.
const OTHERS: [(&[&str], &str); 9] = [
    (
        &["version", "account", "region", "groups"],
        "this is a snapshot of groups, as they are; compare policies on it with `eks-sg-guard policy diff OLD NEW \
         --snapshot FILE`",
    ),
    (
        &["event_id", "findings", "outcome"],
        "this is a record of the guard: what it found and did; give the call itself, which CloudTrail has under that \
         `event_id`",
    ),
    (
        &["target", "record"],
        "this is a line of the guard's log: what it found and did; give the call itself, which CloudTrail has under the \
         `event_id` of the record",
    ),
    (
        &["version", "command", "exit_code"],
        "this is an answer of `eks-sg-guard` itself; give the events that it is about",
    ),
    (&["eks-sg-guard"], "this is a message of the guard's own work queue, which is no event"),
    (&["digestStartTime", "logFiles"], "this is a digest of CloudTrail's, which holds no calls; give the log files"),
    (&["terraform_version"], "this is Terraform's; a call is recorded when it is applied"),
    (&["openapi"], "this describes an API; give an event that was recorded"),
    (&["apiVersion", "kind"], "this is a Kubernetes object; security groups are AWS's"),
];

/// Beginnings of texts that are no JSON.
const TEXTS: [(&str, &str); 6] = [
    ("version:", "it looks like a policy file; check it with `eks-sg-guard policy check FILE`"),
    ("---", "it looks like YAML; save it with `--output json`"),
    ("{'", "it looks like Python; print it with `json.dumps`"),
    ("EVENTS\t", "it looks like `--output text`; save it with `--output json`"),
    ("|", "it looks like `--output table`; save it with `--output json`"),
    ("<", "it looks like a page or XML; save the events themselves"),
];

/// What it is, if it is known. `file`: how it was named.
pub(super) fn of(value: &Value, file: &str) -> Option<String> {
    let keys: Vec<String> = value.as_object()?.keys().cloned().collect();
    of_keys(&keys, file)
}

/// The same of what has these keys at its top.
pub(super) fn of_keys(keys: &[String], file: &str) -> Option<String> {
    let has = |wanted: &&str| keys.iter().any(|key| key == wanted);
    if let Some(kind) = Kind::of(keys) {
        let command = match kind.command() {
            "" => "a command of the AWS CLI".to_owned(),
            command => format!("`{}`", command.split(" --").next().unwrap_or(command)),
        };
        let file = if file == "stdin" { "`-`".to_owned() } else { quoted(file) };
        let file = file.trim_matches('`');
        return Some(format!(
            "this is what {command} prints: what is there, and not who did it; use `eks-sg-guard audit --from {file}`"
        ));
    }
    OTHERS.iter().find(|(wanted, _)| wanted.iter().all(has)).map(|(_, what)| (*what).to_owned())
}

/// A hint for a text that is no JSON.
pub(super) fn of_text(text: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(begin, _)| text.starts_with(begin)).map(|(_, what)| *what)
}
