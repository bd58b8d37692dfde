//! An audit for people: the totals, then cluster by cluster what to look at, worst first, then what was not there to be
//! read.
//!
//! Must not: show text of others raw; each piece is cleaned where it is quoted.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::audit::report::compare::Comparison;
use crate::audit::report::{Audit, AuditFinding, AuditedLocation};
use crate::cli::style::{Style, decision};
use crate::model::text::{count, plain};
use crate::policy::model::Verdict;
use crate::report::finding::Kind;
use crate::report::outcome::Action;

/// `proposals`: a text that stands behind the findings.
pub(super) fn written(audit: &Audit, comparison: Option<&Comparison<'_>>, proposals: &str, style: Style) -> String {
    let totals = audit.totals();
    let line = totals.to_string();
    let mut out = if totals.would_revoke > 0 { style.bad(&line) } else { style.bold(&line) } + "\n";
    let others: Vec<String> = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::Rule)
        .map(|kind| (kind, audit.findings().filter(|found| found.kind == kind).count()))
        .filter(|(_, many)| *many > 0)
        .map(|(kind, many)| count(many, &format!("{} finding", kind.word())))
        .collect();
    if !others.is_empty() {
        let _ = writeln!(out, "and {}", others.join(", "));
    }
    out.push_str(&comparison.map(|comparison| compared(comparison, style)).unwrap_or_default());
    for location in &audit.locations {
        in_location(location, style, &mut out);
    }
    out.push_str(proposals);
    if !audit.warnings.is_empty() {
        out.push_str("\nWhat to know\n");
        for warning in &audit.warnings {
            let _ = writeln!(out, "  - {}", shown(warning));
        }
    }
    missing(audit, &mut out);
    out
}

/// What changed since an older audit.
fn compared(comparison: &Comparison<'_>, style: Style) -> String {
    let Comparison { new, gone, changed, unchanged, policy_changed } = comparison;
    let line = format!("new {}, gone {}, changed {}, unchanged {unchanged}", new.len(), gone.len(), changed.len());
    let mut out = format!("\n{}\n", style.bold(&line));
    if *policy_changed {
        out.push_str("The older audit was judged by another policy, or by another version of it\n");
    }
    let on = |found: &AuditFinding| {
        let group = found.group.as_ref().map(|group| format!(" on {}", plain(&group.id))).unwrap_or_default();
        format!("{}{group}", found.title())
    };
    for found in new {
        let _ = writeln!(
            out,
            "  new      {} {}",
            style.of(found.verdict, &decision(found.verdict, found.severity)),
            on(found)
        );
    }
    for found in changed {
        let ([before, now], [was, is]) = (found.verdict, found.severity);
        let (before, now) = (decision(before, was), decision(now, is));
        let _ = writeln!(out, "  changed  {before} -> {} {}", style.of(found.now.verdict, &now), on(found.now));
    }
    for found in gone {
        let _ = writeln!(out, "  gone     {} {}", decision(found.verdict, found.severity), found.title());
    }
    out
}

fn in_location(found: &AuditedLocation, style: Style, out: &mut String) {
    let place = format!("account {}, {}", plain(&found.location.account), plain(&found.location.region));
    let mut last: Option<&Vec<String>> = None;
    for finding in &found.findings {
        if last != Some(&finding.clusters) {
            let names: Vec<String> = finding.clusters.iter().map(|name| plain(name)).collect();
            let names = if names.is_empty() { "No cluster".to_owned() } else { names.join(", ") };
            let _ = writeln!(out, "\n{}  ({place})", style.bold(&names));
            last = Some(&finding.clusters);
        }
        one(finding, style, out);
    }
    let spoken_of: HashSet<&String> = found.findings.iter().flat_map(|finding| &finding.clusters).collect();
    let quiet: Vec<String> =
        found.clusters.iter().filter(|name| !spoken_of.contains(name)).map(|name| plain(name)).collect();
    if !quiet.is_empty() {
        let _ = writeln!(out, "\n{}  ({place})\n  nothing to say", style.bold(&quiet.join(", ")));
    }
}

/// The name of a group, as it follows its id.
pub(super) fn after_id(name: Option<&str>) -> String {
    name.map(plain).filter(|name| !name.is_empty()).map(|name| format!(" {name}")).unwrap_or_default()
}

fn one(found: &AuditFinding, style: Style, out: &mut String) {
    let says = style.of(found.verdict, &format!("{:<17}", decision(found.verdict, found.severity)));
    let group = found.group.as_ref().map(|group| {
        let roles: Vec<&str> = group.roles.iter().map(|known| known.role.word()).collect();
        let name = after_id(group.name.as_deref());
        let roles = if roles.is_empty() { String::new() } else { format!(" ({})", roles.join(", ")) };
        format!(" on {}{name}{roles}", plain(&group.id))
    });
    let _ = writeln!(out, "  {says} {}{}", found.title(), group.unwrap_or_default());
    let mut line = |text: &str| {
        let _ = writeln!(out, "{:20}{}", "", shown(text));
    };
    line(&format!("`{}`: {}", plain(found.check_id()), found.reason));
    if let Some(detail) = found.detail.as_deref().filter(|detail| *detail != found.reason) {
        line(detail);
    }
    if let Some(reachable) = &found.reachable {
        line(&reachable.path);
    }
    if let Some(fix) = &found.fix {
        let is_forbidden = found.verdict == Verdict::Revoke && found.action == Action::WouldRevoke;
        let if_so = if is_forbidden || !found.is_fixed_by_command() { "" } else { "if nobody needs it: " };
        line(&format!("{if_so}{fix}"));
    }
}

/// Longest sentence.
const MAX_LEN: usize = 600;

/// Sentences of ours with words of others: longer than a name, and as harmless.
pub(super) fn shown(text: &str) -> String {
    let line = text.replace(['\n', '\r', '\t'], " ");
    crate::model::text::cut(&crate::model::text::lines(&line, false), MAX_LEN)
}

fn missing(audit: &Audit, out: &mut String) {
    if audit.missing.is_empty() {
        return;
    }
    out.push_str("\nWhat was not there to be read\n");
    let widest = audit.missing.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
    for row in &audit.missing {
        let _ = writeln!(out, "  {:<widest$}  {}", row.what, row.costs);
        let _ = writeln!(out, "  {:<widest$}  {}", "", row.command);
    }
}
