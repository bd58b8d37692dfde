//! What an audit found: groups with every rule judged, what is to be said of each cluster, and what could not be looked at.
//!
//! Owns: what is counted, and which findings are the same from one audit to the next. Must not: read, judge, or write text
//! for one format (the files below do).

pub mod asff;
pub mod checks;
pub mod compare;
pub mod csv;
mod fix;
pub(crate) mod flows;
pub mod html;
pub mod json;
pub mod mermaid;
pub mod narrow;
mod resource;
pub mod sarif;

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use crate::audit::report::checks::AuditCheck;
use crate::model::group::Group;
use crate::model::ids::Location;
use crate::model::region::Addresses;
use crate::model::rule::Rule;
use crate::model::text::{capital, plain};
use crate::policy::judge::JudgedRule;
use crate::policy::model::{Severity, Verdict};
use crate::policy::reach::Reachable;
use crate::report::finding::{Finding, Kind, PortionRecord, Subject};
use crate::report::history::digest;
use crate::report::notice::rule_in_words;
use crate::report::outcome::Action;
use crate::report::record::GroupRecord;

/// Where something stands: a file, and the line that it begins at.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// The named networks of the policy.
    pub networks: Vec<(String, Addresses)>,
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

impl AuditedLocation {
    /// The groups of each cluster, in the order of `clusters`: one of several clusters with each of them.
    pub(crate) fn groups_by_cluster(&self) -> Vec<Vec<&AuditedGroup>> {
        let positions = self.positions();
        let mut found = vec![Vec::new(); self.clusters.len()];
        for audited in &self.groups {
            for at in audited.group.clusters.iter().filter_map(|name| positions.get(name.as_str())) {
                found.get_mut(*at).into_iter().for_each(|of: &mut Vec<_>| of.push(audited));
            }
        }
        found
    }

    /// The findings of each cluster, in the order of `clusters`, and those of none: one about several clusters stands with
    /// the first of them that is here.
    pub(crate) fn findings_by_cluster(&self) -> (Vec<Vec<&AuditFinding>>, Vec<&AuditFinding>) {
        let positions = self.positions();
        let (mut found, mut others) = (vec![Vec::new(); self.clusters.len()], Vec::new());
        for finding in &self.findings {
            let first = finding.clusters.iter().find_map(|name| positions.get(name.as_str()));
            first.and_then(|at| found.get_mut(*at)).unwrap_or(&mut others).push(finding);
        }
        (found, others)
    }

    fn positions(&self) -> HashMap<&str, usize> {
        self.clusters.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect()
    }
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

/// Something to say, with all that a reader of it alone needs. Fields that records have, too, are named as there.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// What it is about.
    pub kind: Kind,
    /// The rule, if it is about one.
    pub rule: Option<Rule>,
    /// The requirement that is not met.
    pub requirement: Option<String>,
    /// What was looked at besides.
    pub check: Option<String>,
    /// What the policy says.
    pub verdict: Verdict,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// What decided each portion; none where it is about no traffic.
    pub portions: Vec<PortionRecord>,
    /// What the guard would do.
    pub action: Action,
    /// What was found, where the rest does not say it.
    pub detail: Option<String>,
    /// Why it matters.
    pub reason: String,
    /// What to do, as a command where there is one.
    pub fix: Option<String>,
    /// Controls that others have published about it.
    pub controls: &'static [&'static str],
    /// Where it was read.
    pub origin: Option<Origin>,
    /// Whether what it lets in from the internet gets to the group now; null where it lets in nothing from there.
    pub reachable: Option<Reachable>,
}

/// An answer of AWS's that would say more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

/// What a finding is about.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Account and region.
    pub location: &'a Location,
    /// The clusters.
    pub clusters: &'a BTreeSet<String>,
    /// The group.
    pub group: Option<&'a Group>,
    /// Where that was read.
    pub origin: Option<&'a Origin>,
}

impl AuditFinding {
    /// What the function would say, too.
    pub fn of(place: Place<'_>, finding: Finding) -> Self {
        let reason = worst(&finding.portions, finding.verdict).map(|portion| portion.reason.clone());
        let reason = reason.filter(|reason| !reason.is_empty());
        let reason = reason.or_else(|| finding.detail.clone()).unwrap_or_default();
        let kind = finding.subject.kind();
        let fix = fix::fix(place.location, place.clusters, place.group.map(|group| group.id.as_str()), &finding);
        let (rule, requirement, check) = match finding.subject {
            Subject::Rule(rule) => (Some(rule), None, None),
            Subject::Requirement(id) => (None, Some(id), None),
            Subject::Check(check) if check.kind() == Kind::Endpoint => {
                (None, Some(check.word().to_owned()), Some(check.word().to_owned()))
            }
            Subject::Check(check) => (None, None, Some(check.word().to_owned())),
        };
        Self {
            kind,
            rule,
            requirement,
            check,
            verdict: finding.verdict,
            severity: finding.severity,
            detail: finding.detail,
            portions: finding.portions,
            action: finding.action,
            reason,
            fix,
            ..Self::at(place)
        }
        .named()
    }

    /// What a check found.
    pub fn checked(place: Place<'_>, check: AuditCheck, detail: String) -> Self {
        let about = check.about();
        Self {
            kind: about.kind,
            check: Some(check.word().to_owned()),
            severity: Some(about.severity),
            detail: Some(detail),
            reason: about.reason.to_owned(),
            fix: Some(about.fix.to_owned()),
            ..Self::at(place)
        }
        .named()
    }

    fn at(place: Place<'_>) -> Self {
        Self {
            fingerprint: String::new(),
            account: place.location.account.clone(),
            region: place.location.region.clone(),
            clusters: place.clusters.iter().cloned().collect(),
            group: place.group.map(GroupRecord::from),
            kind: Kind::Account,
            rule: None,
            requirement: None,
            check: None,
            verdict: Verdict::Report,
            severity: None,
            portions: Vec::new(),
            action: Action::Reported,
            detail: None,
            reason: String::new(),
            fix: None,
            controls: &[],
            origin: place.origin.cloned(),
            reachable: None,
        }
    }

    fn named(self) -> Self {
        let controls = checks::controls(self.check_id());
        Self { fingerprint: fingerprint(&self), controls, ..self }
    }

    /// The worst portion's clause, the requirement or the check: what tools call the rule that was broken.
    pub fn check_id(&self) -> &str {
        let named = self.check.as_ref().or(self.requirement.as_ref());
        named.map_or_else(
            || worst(&self.portions, self.verdict).map_or("uncovered", |portion| portion.clause.as_str()),
            String::as_str,
        )
    }

    /// What it is, in a few words.
    pub fn title(&self) -> String {
        if let Some(rule) = &self.rule {
            return rule_in_words(&Rule { id: plain(&rule.id), ..rule.clone() });
        }
        match self.check.as_deref().map(|id| (id, AuditCheck::from_word(id))) {
            Some((_, Some(check))) => check.about().title.to_owned(),
            Some((id, None)) => capital(&id.replace('-', " ")),
            None => "A requirement is not met".to_owned(),
        }
    }

    /// Whether the fix is a command.
    pub fn is_fixed_by_command(&self) -> bool {
        self.fix.as_ref().is_some_and(|fix| fix.starts_with("aws "))
    }
}

/// The portion that makes the verdict.
fn worst(portions: &[PortionRecord], verdict: Verdict) -> Option<&PortionRecord> {
    portions.iter().find(|portion| portion.verdict == verdict).or(portions.first())
}

/// Which finding it is. A rule that is made again has a new id and is the same; what is missing may grow and is the same.
fn fingerprint(finding: &AuditFinding) -> String {
    let clusters = finding.clusters.join(",");
    let about = finding.group.as_ref().map_or(&clusters, |group| &group.id);
    let mut parts = vec!["audit 1", &finding.account, &finding.region, about, finding.kind.word()];
    let said = match (&finding.rule, &finding.check) {
        (Some(rule), _) => vec![rule.direction.word().to_owned(), rule.packets.to_string(), rule.peer.to_string()],
        // Of the account as a whole there may be several, each about something else.
        (None, Some(check)) if finding.kind == Kind::Account => {
            vec![check.clone(), finding.detail.clone().unwrap_or_default()]
        }
        (None, check) => vec![check.clone().or_else(|| finding.requirement.clone()).unwrap_or_default()],
    };
    parts.extend(said.iter().map(String::as_str));
    digest(&parts)
}
