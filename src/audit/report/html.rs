//! An audit as a page: one file that needs no network, for screens, printers and screen readers. Per cluster a picture of
//! who may talk to whom, the same as a table, the findings, and all rules on demand.
//!
//! Text of strangers is escaped by the template, and set as text by the script; the page's own policy lets nothing else run.

mod picture;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac_sha256::Hash;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::{Value, json};

use self::picture::{Drawing, draw};
use super::flows::{Picture, pictures};
use super::narrow::{NOT_KNOWN, Narrowing, Opening};
use super::{Audit, AuditFinding, AuditedGroup, AuditedLocation, MissingInput, Totals};
use crate::model::text::{cut, lines, plain};
use crate::policy::model::Severity;
use crate::report::finding::PortionRecord;
use crate::report::notice::rule_in_words;

const TEMPLATE: &str = include_str!("../../../templates/page.html");
const STYLE: &str = include_str!("../../../templates/page.css");
const SCRIPT: &str = include_str!("../../../templates/page.js");
/// More clusters are closed when the page opens.
const MAX_OPEN: usize = 5;
/// Longest sentence.
const MAX_LEN: usize = 1_000;

#[derive(Serialize)]
struct Page<'a> {
    security: String,
    title: String,
    style: &'static str,
    script: &'static str,
    policy: String,
    at: String,
    totals: Totals,
    findings: usize,
    sections: Vec<Section>,
    narrowed: Vec<Proposal>,
    not_known: &'static str,
    warnings: Vec<String>,
    missing: &'a [MissingInput],
    /// JSON that cannot end the element that it stands in.
    island: String,
    version: &'static str,
}

/// A cluster, or the account.
#[derive(Serialize)]
struct Section {
    number: usize,
    name: String,
    about: String,
    is_open: bool,
    drawing: Option<Drawing>,
    flows: Vec<FlowRow>,
    findings: Vec<Card>,
    groups: usize,
    rules: usize,
}

#[derive(Serialize)]
struct FlowRow {
    from: String,
    to: String,
    ports: String,
    verdict: &'static str,
    rules: usize,
}

/// A finding.
#[derive(Serialize)]
struct Card {
    id: String,
    verdict: &'static str,
    /// Of the severity, from 0.
    rank: usize,
    check: String,
    decision: String,
    title: String,
    group: String,
    reason: String,
    detail: String,
    /// Whether it can be reached now; and the path.
    reachable: &'static str,
    path: String,
    command: String,
    advice: String,
    controls: String,
}

/// What could stand in place of the forbidden rules of a group.
#[derive(Serialize)]
struct Proposal {
    group: String,
    close: Vec<String>,
    open: Vec<String>,
    commands: Vec<String>,
    terraform: String,
    notes: Vec<String>,
}

/// The page, with proposals or without.
///
/// # Errors
/// None: a test fills in whatever the template asks for.
pub fn written(audit: &Audit, narrowed: &[Narrowing]) -> Result<String, minijinja::Error> {
    let mut sections = Vec::new();
    let mut rules = Vec::new();
    let mut reasons: BTreeMap<String, String> = BTreeMap::new();
    for location in &audit.locations {
        let (findings, of_account) = location.findings_by_cluster();
        for ((picture, groups), findings) in pictures(audit, location).into_iter().zip(findings) {
            sections.push(section(sections.len(), location, &picture, &groups, &findings));
            rules.push(groups.iter().flat_map(|audited| of_group(audited, &mut reasons)).collect::<Vec<_>>());
        }
        if !of_account.is_empty() {
            let none = Picture { cluster: "The account".to_owned(), nodes: Vec::new(), edges: Vec::new() };
            sections.push(section(sections.len(), location, &none, &[], &of_account));
            rules.push(Vec::new());
        }
    }
    let is_open = sections.len() <= MAX_OPEN;
    for section in &mut sections {
        section.is_open = is_open;
    }
    let island = json!({"reasons": reasons, "sections": rules}).to_string();
    let page = Page {
        security: security(),
        title: "Security groups of EKS clusters: what is open".to_owned(),
        style: STYLE,
        script: SCRIPT,
        policy: plain(&audit.policy),
        at: audit.at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        totals: audit.totals(),
        findings: audit.findings().count(),
        sections,
        not_known: NOT_KNOWN,
        narrowed: narrowed.iter().map(proposal).collect(),
        warnings: audit.warnings.iter().map(|warning| shown(warning)).collect(),
        missing: &audit.missing,
        island: in_element(&island),
        version: env!("CARGO_PKG_VERSION"),
    };
    filled(TEMPLATE, &page)
}

fn filled(template: &str, page: &Page<'_>) -> Result<String, minijinja::Error> {
    let mut templates = Environment::new();
    // A name that the template has and the page has not is an error.
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    // By the end of the name the engine knows how to escape.
    templates.render_named_str("page.html", template, Serde(page))
}

/// Nothing is loaded from anywhere, and nothing runs but what was written here.
fn security() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Hash::hash(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// JSON as a script element may hold it, whatever text is in it.
fn in_element(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

fn section(
    number: usize,
    location: &AuditedLocation,
    picture: &Picture,
    groups: &[&AuditedGroup],
    findings: &[&AuditFinding],
) -> Section {
    let name = |at: usize| picture.nodes.get(at).map(|node| node.name.clone()).unwrap_or_default();
    let flows = picture.edges.iter().map(|edge| FlowRow {
        from: name(edge.from),
        to: name(edge.to),
        ports: edge.ports.clone(),
        verdict: edge.verdict.word(),
        rules: edge.rules,
    });
    let findings: Vec<Card> = findings.iter().map(|found| card(found)).collect();
    let place = format!("account {}, {}", plain(&location.location.account), plain(&location.location.region));
    let of = |verdict: &str| findings.iter().filter(|found| found.verdict == verdict).count();
    Section {
        number,
        name: plain(&picture.cluster),
        about: format!("{place}; {} to revoke, {} to look at", of("revoke"), of("report")),
        is_open: true,
        drawing: (!picture.nodes.is_empty()).then(|| draw(picture)),
        flows: flows.collect(),
        findings,
        groups: groups.len(),
        rules: groups.iter().map(|audited| audited.rules.len()).sum(),
    }
}

fn card(found: &AuditFinding) -> Card {
    let severity = found.severity.map_or("", Severity::word);
    let group = found.group.as_ref().map(|group| {
        let name = group.name.as_deref().map(plain).unwrap_or_default();
        let roles: Vec<&str> = group.roles.iter().map(|known| known.role.word()).collect();
        format!("{} {name} ({})", plain(&group.id), roles.join(", "))
    });
    let (command, advice) = match &found.fix {
        Some(fix) if found.is_fixed_by_command() => (lines(fix, false), String::new()),
        Some(fix) => (String::new(), shown(fix)),
        None => (String::new(), String::new()),
    };
    Card {
        id: found.fingerprint.chars().take(16).collect(),
        verdict: found.verdict.word(),
        rank: found.severity.map_or(0, |severity| severity as usize + 1),
        check: plain(found.check_id()),
        decision: if severity.is_empty() {
            found.verdict.word().to_owned()
        } else {
            format!("{} ({severity})", found.verdict.word())
        },
        title: shown(&found.title()),
        group: group.unwrap_or_default(),
        reason: shown(&found.reason),
        detail: found.detail.as_deref().filter(|detail| *detail != found.reason).map(shown).unwrap_or_default(),
        reachable: found.reachable.as_ref().map(|reachable| reachable.now.word()).unwrap_or_default(),
        path: found.reachable.as_ref().map(|reachable| shown(&reachable.path)).unwrap_or_default(),
        command,
        advice,
        controls: found.controls.join(", "),
    }
}

fn proposal(narrowing: &Narrowing) -> Proposal {
    let Narrowing { clusters, group, close, open, commands, terraform, notes, .. } = narrowing;
    let name = group.name.as_deref().map(plain).unwrap_or_default();
    let clusters: Vec<String> = clusters.iter().map(|name| plain(name)).collect();
    let opened = |opening: &Opening| {
        let name = opening.name.as_deref().map(plain).filter(|name| !name.is_empty());
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        format!("{}{name}: {}", shown(&rule_in_words(&opening.rule)), shown(&opening.reason))
    };
    Proposal {
        group: format!("{} {name} of {}", plain(&group.id), clusters.join(", ")),
        close: close.iter().map(|rule| shown(&rule_in_words(rule))).collect(),
        open: open.iter().map(opened).collect(),
        commands: commands.iter().map(|command| lines(command, false)).collect(),
        terraform: terraform.as_deref().map(|text| lines(text, false)).unwrap_or_default(),
        notes: notes.iter().map(|note| shown(note)).collect(),
    }
}

/// Each rule of a group: the group, the rule, the verdict, and what decided each portion.
fn of_group(audited: &AuditedGroup, reasons: &mut BTreeMap<String, String>) -> Vec<Value> {
    let group = &audited.group;
    let name =
        if group.name.is_empty() { plain(&group.id) } else { format!("{} {}", plain(&group.id), plain(&group.name)) };
    let mut rules = Vec::new();
    for rule in &audited.rules {
        let portions: Vec<Value> = rule
            .judged
            .portions
            .iter()
            .flat_map(PortionRecord::of)
            .map(|portion| {
                reasons.entry(portion.clause.clone()).or_insert_with(|| shown(&portion.reason));
                let protocol = if portion.protocol == "-1" { "everything" } else { &portion.protocol };
                let what = format!("{protocol} {} {}", portion.ports, portion.peer_class);
                json!([portion.clause, what, portion.verdict])
            })
            .collect();
        let what = shown(&rule_in_words(&rule.judged.rule));
        rules.push(json!([name, what, rule.judged.verdict, portions]));
    }
    rules
}

fn shown(text: &str) -> String {
    cut(&lines(text, false).replace(['\n', '\t'], " "), MAX_LEN)
}

#[cfg(test)]
mod tests;
