//! All text for people: what an outcome says, channel-neutral.
//!
//! Must not: send anything, or let text from outside (names, descriptions, sessions, user agents) format a message or
//! break a line: every such value goes through [`plain`].

pub mod source;

use crate::event::Actor;
use crate::plain::plain;
use crate::policy::{Severity, Verdict};
use crate::record::{Action, FindingRecord, Outcome, Record};
use crate::rule::{Peer, Rule};

/// SNS refuses a subject of 100 characters or more.
const LONGEST_SUBJECT: usize = 99;
/// Findings written out in one message; the rest is counted.
const MOST_FINDINGS: usize = 20;

/// What the channels send. Each takes the form its audience reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// For people; machines get every message, people only those with a notice.
    pub notice: Option<Notice>,
    /// The record as JSON for machines.
    pub record: String,
    /// For subscription filters: `severity`, `outcome`, `cluster`, `account`, `region`, `trigger`. No value is empty.
    pub attributes: Vec<(&'static str, String)>,
}

/// What people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// At most 99 characters, without control characters, principals or ARNs.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

/// Whether people hear of this finding: a rule the event named, anything that should go, or something left undone.
/// Older `report` findings wait for the sweep, so that controller churn does not repeat them.
pub fn is_due(finding: &FindingRecord) -> bool {
    finding.named_by_event || finding.verdict == Verdict::Revoke || finding.action.outcome() >= Outcome::Refused
}

/// Whether people are told of this record: it has a finding that they hear of and were not told a moment ago.
pub fn is_news(record: &Record) -> bool {
    record.findings.iter().any(|finding| is_due(finding) && finding.told_at.is_none())
}

/// The notice of one record.
pub fn notice(record: &Record) -> Notice {
    let cluster = cluster(record);
    Notice { subject: subject(record, &cluster), text: text(record, &cluster) }
}

/// The message of one record, or of one part of a record.
pub fn message(record: &Record, notice: Option<Notice>) -> Message {
    Message {
        notice,
        record: serde_json::to_string(record).unwrap_or_default(),
        attributes: vec![
            ("severity", record.severity.map_or("none", Severity::word).to_owned()),
            ("outcome", record.outcome.word().to_owned()),
            ("cluster", cluster(record)),
            ("account", record.account.clone()),
            ("region", record.region.clone()),
            ("trigger", record.trigger.to_owned()),
        ],
    }
}

fn cluster(record: &Record) -> String {
    record.group.cluster.as_deref().map_or_else(|| "unknown".to_owned(), plain)
}

fn subject(record: &Record, cluster: &str) -> String {
    let severity = record.severity.map_or("info", Severity::word).to_uppercase();
    let again = if record.findings.iter().any(|finding| finding.contested.is_some()) { "contested: " } else { "" };
    let what = format!(": {again}{} on {}", headline(record), record.group.id);
    // A long cluster name gives way: what happened and to which group has to be readable.
    let room = LONGEST_SUBJECT.saturating_sub(severity.len() + 3 + what.chars().count());
    let mut name: String = cluster.chars().take(room).collect();
    if name.len() < cluster.len() {
        name = name.chars().take(room.saturating_sub(1)).chain(['…']).collect();
    }
    let line = format!("[{severity}] {name}{what}");
    line.chars().filter(|c| !c.is_control()).take(LONGEST_SUBJECT).collect()
}

/// What happened, in a few words: the worst first.
fn headline(record: &Record) -> String {
    let count = |what: &str, is_it: &dyn Fn(&FindingRecord) -> bool| {
        let n = record.findings.iter().filter(|finding| is_it(finding)).count();
        (n, if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") })
    };
    let lines = [
        (Action::Failed, "NOT closed"),
        (Action::Refused, "left open"),
        (Action::Revoked, "revoked"),
        (Action::WouldRevoke, "should be closed"),
        (Action::AlreadyGone, "already gone"),
        (Action::Changed, "changed and judged again"),
        (Action::Reported, "to look at"),
    ];
    let rules = lines.map(|(action, what)| {
        let (n, rules) = count("rule", &|finding| finding.action == action && !finding.is_missing());
        (n, format!("{rules} {what}"), format!("{n} {what}"))
    });
    let (n, missing) = count("requirement", &FindingRecord::is_missing);
    let missing = format!("{missing} missing");
    let [rules @ .., to_look_at] = rules;
    let mut parts = rules.into_iter().chain([(n, missing.clone(), missing), to_look_at]).filter(|(n, ..)| *n > 0);
    let first = parts.next().map_or_else(|| "nothing to do".to_owned(), |(_, first, _)| first);
    parts.next().map_or(first.clone(), |(.., more)| format!("{first}, {more}"))
}

fn text(record: &Record, cluster: &str) -> String {
    let mut lines = vec![format!("{}.", capital(&headline(record)))];
    let roles: Vec<&str> = record.group.roles.iter().map(|known| known.role.word()).collect();
    let name = record.group.name.as_deref().map(plain).unwrap_or_default();
    lines.push(String::new());
    lines.push(format!(
        "Cluster  {cluster} ({}), account {}, {}",
        dedup(roles).join(" and "),
        record.account,
        record.region
    ));
    lines.push(format!(
        "Group    {} ({name}) in {}",
        record.group.id,
        record.group.vpc.as_deref().unwrap_or("an unknown VPC")
    ));
    lines.extend(who(record));

    for finding in record.findings.iter().take(MOST_FINDINGS) {
        lines.push(String::new());
        lines.extend(describe(finding, record.actor.as_ref()));
    }
    if record.findings.len() > MOST_FINDINGS {
        lines.push(String::new());
        lines.push(format!("… and {} more, in the record of this event.", record.findings.len() - MOST_FINDINGS));
    }
    lines.push(String::new());
    lines.push("What to do next".to_owned());
    lines.extend(next_steps(record).into_iter().map(|step| format!("  - {step}")));
    lines.join("\n")
}

fn who(record: &Record) -> Vec<String> {
    let Some(actor) = &record.actor else { return vec!["Found by a sweep of all groups.".to_owned()] };
    let who = actor.arn.as_deref().map_or_else(|| "an unknown principal".to_owned(), plain);
    let from = actor.source_ip.as_deref().map(|address| format!(" from {}", plain(address))).unwrap_or_default();
    let through = actor.invoked_by.as_deref().map(|service| format!(" through {}", plain(service))).unwrap_or_default();
    let time = record.event_time.map_or_else(|| "at an unknown time".to_owned(), |time| format!("at {time}"));
    let call = record.event_name.as_deref().map(plain).unwrap_or_default();
    let mut lines = vec![format!("Who      {who}{from}{through}"), format!("Call     {call} {time}")];
    lines.extend(actor.user_agent.as_deref().map(|tool| format!("Tool     {}", plain(tool))));
    lines
}

fn describe(finding: &FindingRecord, actor: Option<&Actor>) -> Vec<String> {
    let mut lines = Vec::new();
    let what = match (&finding.rule, &finding.requirement) {
        (Some(rule), _) => rule_in_words(rule),
        (None, Some(_)) if !finding.is_missing() => "The public endpoint of the API".to_owned(),
        (None, Some(requirement)) => format!("Missing: {}", plain(requirement)),
        (None, None) => "an unknown rule".to_owned(),
    };
    let is_missing = finding.is_missing();
    let status = match finding.action {
        Action::None | Action::Reported if is_missing => "NOT OPEN, and the cluster needs it",
        Action::None | Action::Reported => "Open, reported only",
        Action::WouldRevoke => "STILL OPEN, only reported",
        Action::Revoked => "Closed: revoked, and read back as gone",
        Action::AlreadyGone => "Not open: it was not there any more when we looked",
        Action::Changed => "Changed while we looked, and judged again",
        Action::Refused => "STILL OPEN, a guard kept us from revoking it",
        Action::Failed => "STILL OPEN, the revoke did not work",
    };
    lines.push(what);
    lines.push(format!("  {status}"));
    if actor.is_some() && !finding.named_by_event && !is_missing {
        lines.push("  It was there before this call; who wrote it is not known".to_owned());
    }
    lines.extend(finding.detail.as_deref().map(|detail| format!("  {}", capital(&plain(detail)))));
    let mut told: Vec<&str> = Vec::new();
    for portion in finding.portions.iter().filter(|portion| portion.verdict == finding.verdict) {
        if !told.contains(&portion.clause.as_str()) {
            told.push(&portion.clause);
            let why = if is_missing { "Required" } else { "Not allowed" };
            lines.push(format!("  {why} by `{}`: {}", portion.clause, plain(&portion.reason)));
        }
    }
    lines.extend(finding.told_at.map(|at| format!("  You were told at {at}")));
    if let Some(contested) = &finding.contested {
        lines.extend(source::contested(contested, finding.rule.as_ref(), actor).iter().map(|line| format!("  {line}")));
    }
    if let Some(description) = finding.rule.as_ref().and_then(|rule| rule.description.as_deref()) {
        lines.push(format!("  Its description says: {}", plain(description)));
    }
    lines
}

/// `TCP 0-65535 from anywhere (0.0.0.0/0), rule sgr-…`.
pub fn rule_in_words(rule: &Rule) -> String {
    let way = match rule.direction {
        crate::rule::Direction::Ingress => "from",
        crate::rule::Direction::Egress => "to",
    };
    let peer = match &rule.peer {
        Peer::Cidr(net) if net.prefix_len() == 0 => format!("anywhere ({net})"),
        Peer::Cidr(net) => net.to_string(),
        Peer::PrefixList(id) => format!("prefix list {id}"),
        Peer::Group { id, owner: None } => format!("group {id}"),
        Peer::Group { id, owner: Some(owner) } => format!("group {id} (account {owner})"),
    };
    let packets = capital(&rule.packets.to_string());
    let id = if rule.id.is_empty() { String::new() } else { format!(", rule {}", rule.id) };
    format!("{packets} {way} {peer}{id}")
}

fn next_steps(record: &Record) -> Vec<&'static str> {
    let has = |action: Action| record.findings.iter().any(|finding| finding.action == action);
    let mut steps = Vec::new();
    if has(Action::Failed) {
        steps.push("Close the rule by hand now, then look at why the revoke did not work (see above).");
    }
    if has(Action::Refused) {
        steps.push("Look at the rules that were left open; a guard stopped here so that a person decides.");
    }
    if has(Action::WouldRevoke) {
        steps.push(
            "Revoke the rule that is still open by hand, or change the setting that keeps us from it (see above).",
        );
    }
    if has(Action::Revoked) {
        steps.push("Look for connections made meanwhile: revoking a rule does not always cut what is already open.");
    }
    if has(Action::Revoked) || has(Action::WouldRevoke) {
        steps.push("Fix it at the source (Terraform, CloudFormation, a controller), or it will come back.");
        steps.push("If it has to be open: ask the owners of the policy for an exception with a reason and an end.");
    }
    if record.findings.iter().any(FindingRecord::is_missing) {
        steps.push(
            "Open what is missing: parts of the cluster cannot reach each other. The guard opens nothing by itself.",
        );
    }
    if steps.is_empty() {
        steps.push("Check whether this is meant to be open.");
    }
    steps
}

fn dedup(mut words: Vec<&str>) -> Vec<&str> {
    words.dedup();
    words
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
