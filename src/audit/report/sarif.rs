//! An audit as SARIF 2.1.0, as code scanning of GitHub takes it: every result has a physical location and a fingerprint
//! under the name that it reads, and no run has more results than it keeps.
//! <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>
//!
//! Must not: let text of strangers be read as a link or a placeholder.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Audit, AuditFinding, AuditedLocation, resource};
use crate::model::text::{cut, lines};
use crate::policy::model::Severity;

/// The errata's schema: the one of the standard itself has a pattern that many readers refuse.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// Results that GitHub keeps of a run, and runs that it takes of a file.
const MAX_RESULTS: usize = 5_000;
const MAX_RUNS: usize = 20;
/// Longest sentence.
const MAX_LEN: usize = 1_000;

/// Each location is a run, the worst results first; and how many findings did not fit.
pub fn written(audit: &Audit) -> (Value, usize) {
    let runs: Vec<Value> = audit.locations.iter().take(MAX_RUNS).map(|location| run(audit, location)).collect();
    let kept: usize = runs.iter().filter_map(|run| run["results"].as_array()).map(Vec::len).sum();
    let sarif = json!({"$schema": SCHEMA, "version": "2.1.0", "runs": runs});
    (sarif, audit.findings().count() - kept)
}

fn run(audit: &Audit, location: &AuditedLocation) -> Value {
    let mut worst: Vec<&AuditFinding> = location.findings.iter().collect();
    worst.sort_by_key(|found| std::cmp::Reverse((found.verdict, found.severity)));
    worst.truncate(MAX_RESULTS);
    let mut rules: BTreeMap<&str, &AuditFinding> = BTreeMap::new();
    for found in &worst {
        rules.entry(found.check_id()).or_insert(*found);
    }
    let ids: Vec<&str> = rules.keys().copied().collect();
    let mut controls: Vec<&str> = rules.values().flat_map(|found| found.controls.iter().copied()).collect();
    controls.sort_unstable();
    controls.dedup();
    let results: Vec<Value> = worst.iter().map(|found| result(found, &ids)).collect();
    let id = format!("eks-sg-guard/{}/{}/", location.location.account, location.location.region);
    json!({
        "tool": {"driver": {
            "name": "eks-sg-guard",
            "version": env!("CARGO_PKG_VERSION"),
            "rules": rules.values().map(|found| rule(found, &controls)).collect::<Vec<_>>(),
        }},
        "taxonomies": [{
            "name": "controls",
            "taxa": controls.iter().map(|control| json!({"id": control})).collect::<Vec<_>>(),
        }],
        "automationDetails": {"id": id},
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {"policy": audit.policy, "policyHash": audit.policy_hash},
    })
}

/// What is broken. `found`: the worst finding of it.
fn rule(found: &AuditFinding, controls: &[&str]) -> Value {
    let fix = found.fix.as_deref().filter(|_| !found.is_fixed_by_command());
    let help = fix.map_or_else(|| found.reason.clone(), |fix| format!("{}. What to do: {fix}.", found.reason));
    let help = text(&help);
    let relationships = found.controls.iter().filter_map(|control| {
        let index = controls.iter().position(|known| known == control)?;
        let target = json!({"id": control, "index": index, "toolComponent": {"name": "controls"}});
        Some(json!({"target": target, "kinds": ["relevant"]}))
    });
    let (level, security) = level(found.severity);
    json!({
        "id": found.check_id(),
        "name": found.check_id(),
        "shortDescription": {"text": text(&found.reason)},
        "fullDescription": {"text": help},
        "help": {"text": help, "markdown": help},
        "defaultConfiguration": {"level": level},
        "relationships": relationships.collect::<Vec<_>>(),
        "properties": {"security-severity": security, "tags": ["security", "aws", "eks", found.kind.word()]},
    })
}

fn result(found: &AuditFinding, ids: &[&str]) -> Value {
    let mut said = found.title();
    if let Some(group) = &found.group {
        let _ = write!(said, " on {} {}", group.id, group.name.as_deref().unwrap_or_default());
    }
    if !found.clusters.is_empty() {
        let _ = write!(said, " (cluster {})", found.clusters.join(", "));
    }
    let _ = write!(said, ": {}", found.reason);
    if let Some(detail) = found.detail.as_deref().filter(|detail| *detail != found.reason) {
        let _ = write!(said, "; {detail}");
    }
    if let Some(reachable) = &found.reachable {
        let _ = write!(said, "; {}", reachable.path);
    }
    if let Some(fix) = &found.fix {
        let _ = write!(said, ". {fix}");
    }
    // What was not read from a file has a path that stays the same.
    let about = found.group.as_ref().map_or_else(|| found.clusters.join(","), |group| group.id.clone());
    let about = if about.is_empty() { "account".to_owned() } else { about };
    let (uri, line) = match &found.origin {
        Some(origin) => (uri(&origin.file), origin.line.max(1)),
        None => (uri(&format!("aws/{}/{}/{about}", found.account, found.region)), 1),
    };
    let name = resource::main(found).arn;
    json!({
        "ruleId": found.check_id(),
        "ruleIndex": ids.iter().position(|id| *id == found.check_id()),
        "level": level(found.severity).0,
        "message": {"text": text(&said)},
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}},
            "logicalLocations": [{"kind": "resource", "fullyQualifiedName": name}],
        }],
        "partialFingerprints": {"primaryLocationLineHash": found.fingerprint},
        "properties": {
            "verdict": found.verdict, "severity": found.severity, "action": found.action, "clusters": found.clusters,
            "rule": found.rule.as_ref().map(|rule| rule.id.as_str()), "reachable": found.reachable,
        },
    })
}

/// The level, and the number from which GitHub makes its own.
fn level(severity: Option<Severity>) -> (&'static str, &'static str) {
    match severity {
        Some(Severity::Critical) => ("error", "9.5"),
        Some(Severity::High) => ("error", "8.0"),
        Some(Severity::Medium) => ("warning", "5.5"),
        Some(Severity::Low) | None => ("note", "2.0"),
    }
}

/// In a message `{0}` is a placeholder and `[words](1)` a link.
fn text(text: &str) -> String {
    let line = lines(text, false).replace(['\n', '\t'], " ");
    let line = cut(&line, MAX_LEN);
    let line = line.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]");
    line.replace('{', "{{").replace('}', "}}")
}

/// A path as a reference: everything but letters, digits and a few marks is escaped.
/// `./a` is `a`: the same file in the same place stays the same alert.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    let mut short = path;
    while let Some(rest) = short.strip_prefix("./") {
        short = rest.trim_start_matches('/');
    }
    for byte in short.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    if path.starts_with('/') { format!("file://{uri}") } else { uri }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_link_and_no_placeholder_and_a_path_is_a_reference() {
        assert_eq!(text("[a](1) {0} \\ \u{1b}[31m"), "\\[a\\](1) {{0}} \\\\ \u{fffd}\\[31m");
        for (path, expected) in [
            ("saved/security-groups.json", "saved/security-groups.json"),
            ("my files/ü.json", "my%20files/%C3%BC.json"),
            ("/tmp/a b", "file:///tmp/a%20b"),
            ("C:/a", "C%3A/a"),
            ("./saved/a.json", "saved/a.json"),
            (".//./a", "a"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
