//! An audit as a table: a line for each rule and portion, allowed ones included, and one for each finding that is about no
//! rule.
//!
//! RFC 4180. A field that a spreadsheet would take for a formula has a `'` in front: names and descriptions are strangers'
//! text. <https://owasp.org/www-community/attacks/CSV_Injection>

use std::collections::HashMap;

use csv::{Terminator, WriterBuilder};

use super::{Audit, AuditFinding, AuditedGroup, AuditedLocation, AuditedRule};
use crate::model::rule::Rule;
use crate::model::text::{lines, plain};
use crate::policy::model::Severity;
use crate::policy::reach::Reachable;
use crate::report::finding::PortionRecord;

const COLUMNS: [&str; 23] = [
    "account",
    "region",
    "clusters",
    "group",
    "group_name",
    "roles",
    "kind",
    "rule",
    "direction",
    "protocol",
    "ports",
    "peer",
    "peer_class",
    "verdict",
    "severity",
    "check",
    "action",
    "reason",
    "detail",
    "fix",
    "fingerprint",
    "reachable",
    "path",
];

/// With a heading.
///
/// # Errors
/// None that a text in memory has.
pub fn written(audit: &Audit) -> Result<String, csv::Error> {
    let mut out = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    out.write_record(COLUMNS)?;
    for location in &audit.locations {
        let rules = location
            .findings
            .iter()
            .filter_map(|found| Some((key(&found.group.as_ref()?.id, found.rule.as_ref()?), found)));
        let told: HashMap<String, &AuditFinding> = rules.collect();
        for group in &location.groups {
            for rule in &group.rules {
                for line in of_rule(location, group, rule, told.get(&key(&group.group.id, &rule.judged.rule)).copied())
                {
                    out.write_record(line.map(|field| inert(&field)))?;
                }
            }
        }
        for finding in location.findings.iter().filter(|finding| finding.rule.is_none()) {
            out.write_record(of_finding(finding).map(|field| inert(&field)))?;
        }
    }
    let bytes = out.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The field as a spreadsheet shows it and never runs it.
fn inert(field: &str) -> String {
    let field = lines(field, false).replace(['\n', '\t'], " ");
    let starts = field.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    if starts { format!("'{field}") } else { field }
}

/// A rule of a group, whether it has an id or not.
fn key(group: &str, rule: &Rule) -> String {
    format!("{group} {} {} {} {}", rule.id, rule.direction.word(), rule.packets, rule.peer)
}

fn of_rule(
    location: &AuditedLocation,
    audited: &AuditedGroup,
    rule: &AuditedRule,
    found: Option<&AuditFinding>,
) -> Vec<[String; COLUMNS.len()]> {
    let group = &audited.group;
    let content = &rule.judged.rule;
    let portions: Vec<PortionRecord> = rule.judged.portions.iter().flat_map(PortionRecord::of).collect();
    let line = |portion: PortionRecord| {
        [
            location.location.account.clone(),
            location.location.region.clone(),
            group.clusters.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
            group.id.clone(),
            plain(&group.name),
            group.role_set().iter().map(|role| role.word()).collect::<Vec<_>>().join(" "),
            "rule".to_owned(),
            content.id.clone(),
            content.direction.word().to_owned(),
            if portion.protocol == "-1" { "all".to_owned() } else { portion.protocol },
            portion.ports,
            content.peer.to_string(),
            portion.peer_class,
            portion.verdict.word().to_owned(),
            rule.judged.severity.map_or("", Severity::word).to_owned(),
            portion.clause,
            rule.action.word().to_owned(),
            portion.reason,
            rule.detail.clone().unwrap_or_default(),
            found.and_then(|found| found.fix.clone()).unwrap_or_default(),
            found.map(|found| found.fingerprint.clone()).unwrap_or_default(),
            reachable(found, |reachable| reachable.now.word()),
            reachable(found, |reachable| &reachable.path),
        ]
    };
    portions.into_iter().map(line).collect()
}

fn of_finding(found: &AuditFinding) -> [String; COLUMNS.len()] {
    let group = found.group.as_ref();
    let roles = group.map(|group| group.roles.iter().map(|known| known.role.word()).collect::<Vec<_>>().join(" "));
    [
        found.account.clone(),
        found.region.clone(),
        found.clusters.join(" "),
        group.map(|group| group.id.clone()).unwrap_or_default(),
        group.and_then(|group| group.name.as_deref()).map(plain).unwrap_or_default(),
        roles.unwrap_or_default(),
        found.kind.word().to_owned(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        found.verdict.word().to_owned(),
        found.severity.map_or("", Severity::word).to_owned(),
        found.check_id().to_owned(),
        found.action.word().to_owned(),
        found.reason.clone(),
        found.detail.clone().unwrap_or_default(),
        found.fix.clone().unwrap_or_default(),
        found.fingerprint.clone(),
        reachable(Some(found), |reachable| reachable.now.word()),
        reachable(Some(found), |reachable| &reachable.path),
    ]
}

fn reachable(found: Option<&AuditFinding>, of: impl Fn(&Reachable) -> &str) -> String {
    found.and_then(|found| found.reachable.as_ref()).map(of).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula() {
        for (field, expected) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "' =1"),
            ("\r=1", "\u{fffd}=1"),
            (" \n=1", "'  =1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("a=1", "a=1"),
            ("10.0.0.0/8", "10.0.0.0/8"),
        ] {
            assert_eq!(inert(field), expected);
        }
    }
}
