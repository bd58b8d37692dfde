//! What an audit found: groups with every rule judged, what is to be said of each cluster, and what could not be looked at.
//!
//! Owns: what is counted, and which findings are the same from one audit to the next. Must not: read, judge, or write text
//! for one format (the files below do).

mod fix;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::group::Group;
use crate::model::ids::Location;
use crate::policy::judge::JudgedRule;
use crate::policy::model::{Severity, Verdict};
use crate::report::finding::{Finding, PortionRecord, Subject};
use crate::report::history::digest;
use crate::report::outcome::Action;
use crate::report::record::GroupRecord;

/// Where something stands: a file, and the line that it begins at.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Origin {
    /// With `/`, relative where it was named so.
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// What an audit found.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The policy's name.
    pub policy: String,
    /// SHA-256 of its text.
    pub policy_hash: String,
    /// When it was made.
    pub at: Timestamp,
    /// In the order of their names.
    pub locations: Vec<AuditedLocation>,
    /// What was not there to be read.
    pub missing: Vec<MissingInput>,
    /// What people should know besides.
    pub warnings: Vec<String>,
}

/// An account and a region.
#[derive(Clone, Debug)]
pub struct AuditedLocation {
    /// Which.
    pub location: Location,
    /// Names of its clusters.
    pub clusters: Vec<String>,
    /// Its groups with a role.
    pub groups: Vec<AuditedGroup>,
    /// What is to be said, worst first.
    pub findings: Vec<AuditFinding>,
}

/// A group with all its rules.
#[derive(Clone, Debug)]
pub struct AuditedGroup {
    /// The group.
    pub group: Group,
    /// Where it was read.
    pub origin: Option<Origin>,
    /// Each rule with its verdict, in the order in which they were read.
    pub rules: Vec<AuditedRule>,
}

/// A rule, and what would become of it.
#[derive(Clone, Debug)]
pub struct AuditedRule {
    /// With the clause that decided each portion.
    pub judged: JudgedRule,
    /// What it counts as.
    pub fate: Fate,
    /// What the guard would do.
    pub action: Action,
    /// Why, where the action alone does not say it.
    pub detail: Option<String>,
}

/// What would become of a rule. Each rule has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It stays.
    Allow,
    /// It stays, and people are notified.
    Report,
    /// Too little is known of it.
    Unjudged,
    /// It goes.
    Revoke,
}

/// Something to say, with all that a reader of it alone needs.
#[derive(Clone, Debug, Serialize)]
pub struct AuditFinding {
    /// Equal for the same finding of another audit.
    pub fingerprint: String,
    /// Of the location.
    pub account: String,
    /// Of the location.
    pub region: String,
    /// The clusters that it is about.
    pub clusters: Vec<String>,
    /// The group that it is about, if it is about one.
    pub group: Option<GroupRecord>,
    /// As in a record.
    #[serde(flatten)]
    pub finding: Finding,
    /// Why it is one.
    pub reason: String,
    /// What to do, as a command where there is one.
    pub fix: Option<String>,
    /// Where it was read.
    pub origin: Option<Origin>,
}

/// An answer of AWS's that would say more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingInput {
    /// What is missing.
    pub what: String,
    /// What is not known without it.
    pub costs: String,
    /// The command that would give it.
    pub command: String,
}

/// How many rules have which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Rules that the guard would revoke.
    pub would_revoke: usize,
    /// Rules that people would be notified of.
    pub report: usize,
    /// Rules that are fine.
    pub allow: usize,
    /// Rules of which too little is known.
    pub could_not_judge: usize,
}

impl Audit {
    /// Over all locations.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for group in self.locations.iter().flat_map(|location| &location.groups) {
            totals.could_not_judge += group.group.unreadable_rules.len();
            for rule in &group.rules {
                *match rule.fate {
                    Fate::Allow => &mut totals.allow,
                    Fate::Report => &mut totals.report,
                    Fate::Unjudged => &mut totals.could_not_judge,
                    Fate::Revoke => &mut totals.would_revoke,
                } += 1;
            }
        }
        totals
    }

    /// All findings.
    pub fn findings(&self) -> impl Iterator<Item = &AuditFinding> {
        self.locations.iter().flat_map(|location| &location.findings)
    }
}

/// `would revoke 1, report 2, allow 30, could not judge 0`
impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { would_revoke, report, allow, could_not_judge } = self;
        write!(f, "would revoke {would_revoke}, report {report}, allow {allow}, could not judge {could_not_judge}")
    }
}

impl AuditFinding {
    /// A finding of a group of these clusters, or of clusters alone.
    pub fn of(
        location: &Location,
        clusters: &BTreeSet<String>,
        group: Option<&AuditedGroup>,
        finding: Finding,
    ) -> Self {
        let id = group.map(|group| group.group.id.as_str());
        Self {
            fingerprint: fingerprint(location, clusters, id, &finding),
            account: location.account.clone(),
            region: location.region.clone(),
            clusters: clusters.iter().cloned().collect(),
            group: group.map(|group| GroupRecord::from(&group.group)),
            reason: reason(&finding),
            fix: fix::fix(location, clusters, id, &finding),
            origin: group.and_then(|group| group.origin.clone()),
            finding,
        }
    }

    /// The worst portion's clause, the requirement or the check: what tools call the rule that was broken.
    pub fn check_id(&self) -> &str {
        match &self.finding.subject {
            Subject::Rule(_) => worst(&self.finding).map_or("uncovered", |portion| portion.clause.as_str()),
            Subject::Requirement(id) => id,
            Subject::Check(check) => check.word(),
        }
    }
}

/// The portion that makes the verdict.
pub(crate) fn worst(finding: &Finding) -> Option<&PortionRecord> {
    finding.portions.iter().find(|portion| portion.verdict == finding.verdict).or(finding.portions.first())
}

fn reason(finding: &Finding) -> String {
    let detail = || finding.detail.clone().unwrap_or_default();
    worst(finding).map(|portion| portion.reason.clone()).filter(|reason| !reason.is_empty()).unwrap_or_else(detail)
}

/// Which finding it is. A rule that is made again has a new id and is the same; what is missing may grow and is the same.
fn fingerprint(location: &Location, clusters: &BTreeSet<String>, group: Option<&str>, finding: &Finding) -> String {
    let names = clusters.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    let mut parts = vec!["audit 1".to_owned(), location.account.clone(), location.region.clone()];
    parts.push(group.map_or(names, str::to_owned));
    parts.push(finding.subject.kind().word().to_owned());
    parts.extend(match &finding.subject {
        Subject::Rule(rule) => {
            vec![rule.direction.word().to_owned(), rule.packets.to_string(), rule.peer.to_string()]
        }
        Subject::Requirement(id) => vec![id.clone()],
        Subject::Check(check) => vec![check.word().to_owned()],
    });
    digest(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Whether it is at least this bad, for what ends in an exit code.
impl AuditFinding {
    /// What the policy says, and how bad it is.
    pub fn weight(&self) -> (Verdict, Option<Severity>) {
        (self.finding.verdict, self.finding.severity)
    }
}
