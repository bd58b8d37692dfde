//! What is new, gone and changed since an audit that was saved as JSON, by fingerprint.
//!
//! Must not: trust the old file with more than that: what is shown of it is cleaned where it is shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Audit, AuditFinding};
use crate::model::rule::Rule;
use crate::model::text::plain;
use crate::policy::model::{Severity, Verdict};
use crate::report::notice::rule_in_words;

/// An audit that was saved. Other keys may come.
#[derive(Clone, Debug, Deserialize)]
#[serde(expecting = "what `audit --format json` prints")]
pub struct OldAudit {
    /// Of the answer.
    pub version: u8,
    /// Which verb wrote it.
    pub command: String,
    /// The policy that it was judged by.
    pub policy_hash: String,
    /// What was found.
    pub findings: Vec<OldFinding>,
}

/// A finding of an old audit, as much of it as is compared and shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OldFinding {
    /// Equal for the same finding.
    pub fingerprint: String,
    /// Where it was.
    #[serde(default)]
    pub clusters: Vec<String>,
    /// What it was about, beside the rule.
    #[serde(default)]
    pub check: Option<String>,
    /// What the policy said.
    pub verdict: Verdict,
    /// How bad it was.
    pub severity: Option<Severity>,
    /// Why it was one.
    #[serde(default)]
    pub reason: String,
    /// The group, as it stands there.
    #[serde(default)]
    pub group: Value,
    /// The rule, as it stands there.
    #[serde(default)]
    pub rule: Value,
}

/// A finding that is there still, and is worse or milder.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChangedFinding<'a> {
    /// As it is now.
    pub fingerprint: &'a str,
    /// What was said of it, and is.
    pub verdict: [Verdict; 2],
    /// How bad it was, and is.
    pub severity: [Option<Severity>; 2],
    /// As it is now.
    #[serde(skip)]
    pub now: &'a AuditFinding,
}

/// The difference.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Comparison<'a> {
    /// The fingerprints of what was not there.
    #[serde(serialize_with = "fingerprints")]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub new: Vec<&'a AuditFinding>,
    /// What is not there any more.
    pub gone: Vec<&'a OldFinding>,
    /// What is worse or milder.
    pub changed: Vec<ChangedFinding<'a>>,
    /// How many are as they were.
    pub unchanged: usize,
    /// They were judged by different policies.
    pub policy_changed: bool,
}

fn fingerprints<S: serde::Serializer>(found: &[&AuditFinding], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(found.iter().map(|found| &found.fingerprint))
}

impl OldFinding {
    /// What it was, in a few words.
    pub fn title(&self) -> String {
        let group =
            self.group.get("id").and_then(Value::as_str).map(|id| format!(" on {}", plain(id))).unwrap_or_default();
        let what = match serde_json::from_value::<Rule>(self.rule.clone()) {
            Ok(rule) => plain(&rule_in_words(&rule)),
            Err(_) => self.check.as_deref().map_or_else(|| plain(&self.reason), plain),
        };
        format!("{what}{group}")
    }
}

impl<'a> Comparison<'a> {
    /// Compares.
    pub fn of(old: &'a OldAudit, audit: &'a Audit) -> Self {
        let before: BTreeMap<&str, &OldFinding> =
            old.findings.iter().map(|found| (found.fingerprint.as_str(), found)).collect();
        let now: BTreeMap<&str, &AuditFinding> =
            audit.findings().map(|found| (found.fingerprint.as_str(), found)).collect();
        let mut comparison = Self {
            new: audit.findings().filter(|found| !before.contains_key(found.fingerprint.as_str())).collect(),
            gone: before.iter().filter(|(id, _)| !now.contains_key(*id)).map(|(_, found)| *found).collect(),
            changed: Vec::new(),
            unchanged: 0,
            policy_changed: old.policy_hash != audit.policy_hash,
        };
        for (id, now) in &now {
            match before.get(id) {
                Some(old) if (old.verdict, old.severity) != (now.verdict, now.severity) => {
                    let (verdict, severity) = ([old.verdict, now.verdict], [old.severity, now.severity]);
                    comparison.changed.push(ChangedFinding { fingerprint: &now.fingerprint, verdict, severity, now });
                }
                Some(_) => comparison.unchanged += 1,
                None => {}
            }
        }
        comparison
    }

    /// What is new, or worse than it was: what a pipeline looks at.
    pub fn worse(&self) -> impl Iterator<Item = &'a AuditFinding> + '_ {
        let worse = self
            .changed
            .iter()
            .filter(|changed| (changed.verdict[1], changed.severity[1]) > (changed.verdict[0], changed.severity[0]));
        self.new.iter().copied().chain(worse.map(|changed| changed.now))
    }
}
