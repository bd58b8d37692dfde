//! The text of a notice: what happened to one group, cluster or account, in the order in which people ask.

use jiff::{SignedDuration, Timestamp};

use super::{Notice, Section, cluster, redo, source};
use crate::event::Actor;
use crate::model::rule::{Direction, Peer, Rule};
use crate::model::text::{self, capital, plain};
use crate::policy::model::Severity;
use crate::report::finding::{Check, Finding, Kind, PortionRecord, Subject};
use crate::report::outcome::{Action, Connections};
use crate::report::record::{GroupRecord, Record};

/// SNS refuses a subject of 100 characters or more.
const MAX_SUBJECT_LEN: usize = 99;
/// Findings written out in one notice; the rest is counted.
const MAX_FINDINGS: usize = 20;

/// The notice of one record. `now` dates the exception that it proposes.
pub fn notice(record: &Record, now: Timestamp) -> Notice {
    match &record.group {
        Some(group) => of_group(record, group, now),
        None if record.clusters.is_empty() => of_account(record),
        None => of_cluster(record),
    }
}

/// The notice of a record about the account as a whole. The first finding is the worst, and says what it is about.
fn of_account(record: &Record) -> Notice {
    let (account, region) = (&record.account, &record.region);
    let findings: Vec<&Finding> = record.findings.iter().collect();
    let why = record.findings.first().and_then(|finding| finding.detail.as_deref()).map(plain);
    let mut facts = vec![("Where", place(record)), ("Why", why.unwrap_or_default())];
    if let Some(actor) = &record.actor {
        facts.push(("Who", principal(actor)));
        facts.push(("Call", record.event_name.as_deref().map(plain).unwrap_or_default()));
    }
    let (what, headline) = match record.findings.first().map(|finding| &finding.subject) {
        Some(Subject::Check(Check::ReadDenied)) => {
            let what = "the guard is not allowed to look".to_owned();
            let headline = format!("{what}, so nothing was judged and nothing was closed");
            (what, headline)
        }
        Some(Subject::Check(_) | Subject::Rule(_) | Subject::Requirement(_)) | None => {
            (headline(&findings), headline(&findings))
        }
    };
    let severity = record.severity.map_or("info", Severity::word).to_uppercase();
    Notice {
        subject: format!("[{severity}] {account} {region}: {what}"),
        headline,
        facts,
        steps: next_steps(&findings),
        thread: format!("{account}/{region}"),
        ..Notice::default()
    }
}

/// The notice of one record about a cluster as a whole.
fn of_cluster(record: &Record) -> Notice {
    let cluster = cluster(record);
    let findings: Vec<&Finding> = record.findings.iter().collect();
    let headline = match record.findings.first().map(|finding| &finding.subject) {
        Some(Subject::Check(Check::PublicEndpoint)) => {
            "the public endpoint of the API is open to a great many".to_owned()
        }
        Some(Subject::Check(_) | Subject::Rule(_) | Subject::Requirement(_)) | None => headline(&findings),
    };
    let mut facts = vec![("Cluster", format!("{cluster}, {}", place(record)))];
    facts.extend(who(record));
    Notice {
        subject: subject(record.severity, &cluster, &headline),
        headline,
        facts,
        sections: findings.iter().map(|finding| section(finding, record)).collect(),
        steps: next_steps(&findings),
        thread: format!("{}/{}/{cluster}", record.account, record.region),
        ..Notice::default()
    }
}

/// The notice of one record about a group. `now` dates the exception that it proposes.
fn of_group(record: &Record, group: &GroupRecord, now: Timestamp) -> Notice {
    let cluster = cluster(record);
    let findings: Vec<&Finding> = record.findings.iter().collect();
    let headline = headline(&findings);
    let again = if findings.iter().any(|finding| finding.contested.is_some()) { "contested: " } else { "" };
    let rest = findings.len().saturating_sub(MAX_FINDINGS);
    Notice {
        subject: subject(record.severity, &cluster, &format!("{again}{headline} on {}", group.id)),
        headline: match findings.iter().find_map(|finding| finding.rule()) {
            Some(rule) => format!("{headline}: {}", rule_in_words(rule)),
            None => headline,
        },
        facts: facts(record, group, &cluster),
        sections: findings.iter().take(MAX_FINDINGS).map(|finding| section(finding, record)).collect(),
        rest: (rest > 0).then(|| format!("… and {rest} more, in the record of this event.")),
        steps: next_steps(&findings),
        code: redo::code(record, &group.id, now),
        link: Some(console(&record.region, &group.id)),
        thread: arn(record, &group.id),
    }
}

/// `[CRITICAL] prod: 1 rule revoked on sg-…`. A long cluster name gives way: what happened and to which group has to be
/// readable.
pub(super) fn subject(severity: Option<Severity>, cluster: &str, what: &str) -> String {
    let severity = severity.map_or("info", Severity::word).to_uppercase();
    let room = MAX_SUBJECT_LEN.saturating_sub(severity.len() + 5 + what.chars().count());
    let mut name: String = cluster.chars().take(room).collect();
    if name.len() < cluster.len() {
        name = name.chars().take(room.saturating_sub(1)).chain(['…']).collect();
    }
    let line = format!("[{severity}] {name}: {what}");
    line.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT_LEN).collect()
}

/// What happened, in a few words: the worst first.
pub(super) fn headline(findings: &[&Finding]) -> String {
    let of = |is_it: &dyn Fn(&Finding) -> bool, what: &str| {
        let found: Vec<Kind> =
            findings.iter().filter(|finding| is_it(finding)).map(|finding| finding.subject.kind()).collect();
        let number = |kind: &Kind| (found.iter().filter(|found| *found == kind).count(), kind.word());
        let things: Vec<(usize, &str)> = Kind::ALL.iter().map(number).filter(|(n, _)| *n > 0).collect();
        let words: Vec<String> = things.iter().map(|(n, word)| text::count(*n, word)).collect();
        let long = format!("{} {what}", text::and(&words));
        let short = match things.as_slice() {
            [(n, "rule")] => format!("{n} {what}"),
            _ => long.clone(),
        };
        (found.len(), long, short)
    };
    let with = |action: Action, what: &str| {
        of(&|finding| finding.action == action && !finding.is_missing() && !is_unread(finding), what)
    };
    let lines = [
        of(&is_unread, "NOT looked at"),
        with(Action::Failed, "NOT closed"),
        with(Action::Refused, "left open"),
        with(Action::Revoked, "revoked"),
        with(Action::WouldRevoke, "should be closed"),
        with(Action::AlreadyGone, "already gone"),
        with(Action::Changed, "changed and judged again"),
        of(&Finding::is_missing, "missing"),
        with(Action::Reported, "to look at"),
    ];
    let mut parts = lines.into_iter().filter(|(n, ..)| *n > 0);
    let first = parts.next().map_or_else(|| "nothing to do".to_owned(), |(_, first, _)| first);
    parts.next().map_or(first.clone(), |(.., more)| format!("{first}, {more}"))
}

/// Whether it could not be looked at, so that nothing is known of it.
fn is_unread(finding: &Finding) -> bool {
    matches!(finding.subject, Subject::Check(Check::ReadDenied))
}

fn facts(record: &Record, group: &GroupRecord, cluster: &str) -> Vec<(&'static str, String)> {
    let mut roles: Vec<&str> = group.roles.iter().map(|known| known.role.word()).collect();
    roles.dedup();
    let name = group.name.as_deref().filter(|name| !name.is_empty());
    let name = name.map(|name| format!(" ({})", plain(name))).unwrap_or_default();
    let vpc = group.vpc.as_deref().filter(|vpc| !vpc.is_empty()).unwrap_or("an unknown VPC");
    let mut facts = vec![
        ("Cluster", format!("{cluster} ({}), {}", roles.join(" and "), place(record))),
        ("Group", format!("{}{name} in {vpc}", group.id)),
    ];
    facts.extend(who(record));
    facts
}

fn place(record: &Record) -> String {
    format!("account {}, {}", record.account, record.region)
}

/// Who made the call, and when and with what.
fn who(record: &Record) -> Vec<(&'static str, String)> {
    let Some(actor) = &record.actor else {
        return vec![("Who", "is not known: it was there when the sweep came".to_owned())];
    };
    let name = principal(actor);
    let from = actor.source_ip.as_deref().map(|address| format!(" from {}", plain(address))).unwrap_or_default();
    let through = actor.invoked_by.as_deref().map(|service| format!(" through {}", plain(service))).unwrap_or_default();
    let time = record.event_time.map_or_else(|| "at an unknown time".to_owned(), |time| format!("at {time}"));
    let call = record.event_name.as_deref().map(plain).unwrap_or_default();
    let mut facts = vec![("Who", format!("{name}{from}{through}")), ("Call", format!("{call} {time}"))];
    facts.extend(actor.user_agent.as_deref().map(|tool| ("Tool", plain(tool))));
    facts
}

/// Who made the call.
fn principal(actor: &Actor) -> String {
    actor.arn.as_deref().map_or_else(|| "an unknown principal".to_owned(), plain)
}

fn section(finding: &Finding, record: &Record) -> Section {
    let actor = record.actor.as_ref();
    let is_missing = finding.is_missing();
    let mut lines = Vec::new();
    if actor.is_some() && !finding.named_by_event && !is_missing {
        lines.push("Not named by this call; who wrote it is not known".to_owned());
    }
    lines.extend(finding.detail.as_deref().map(|detail| capital(&plain(detail))));
    let why = if is_missing { "Required" } else { "Not allowed" };
    lines.extend(clauses(finding).map(|portion| format!("{why} by `{}`: {}", portion.clause, plain(&portion.reason))));
    lines.extend(open_for(finding, record));
    lines.extend(finding.connections.map(|connections| meanwhile(connections).to_owned()));
    lines.extend(finding.notified_at.map(|at| format!("You were notified at {at}")));
    lines.extend(repeated(finding, actor));
    if let Some(description) = finding.rule().and_then(|rule| rule.description.as_deref()) {
        lines.push(format!("Its description says: {}", plain(description)));
    }
    Section { title: what(finding), status: status(finding).to_owned(), lines }
}

fn repeated(finding: &Finding, actor: Option<&Actor>) -> Vec<String> {
    let lines = |contested| source::contested(contested, finding.rule(), actor);
    finding.contested.as_ref().map(lines).unwrap_or_default()
}

/// What the finding is about.
pub(super) fn what(finding: &Finding) -> String {
    match &finding.subject {
        Subject::Rule(rule) => rule_in_words(rule),
        Subject::Requirement(id) => format!("Missing: {}", plain(id)),
        Subject::Check(Check::PublicEndpoint) => "The public endpoint of the API".to_owned(),
        Subject::Check(Check::ReadDenied) => "What the guard may read".to_owned(),
        Subject::Check(Check::UnreadableRule) => "Rules that can't be read".to_owned(),
    }
}

/// Whether it is closed.
pub(super) fn status(finding: &Finding) -> &'static str {
    match finding.action {
        _ if is_unread(finding) => "NOT LOOKED AT, the guard may not read it",
        _ if finding.subject == Subject::Check(Check::UnreadableRule) => "NOT JUDGED, nobody knows what it lets in",
        Action::None | Action::Reported if finding.is_missing() => "NOT OPEN, and the cluster needs it",
        Action::None | Action::Reported => "Open, reported only",
        Action::WouldRevoke => "STILL OPEN, only reported",
        Action::Revoked => "Closed: revoked, and read back as gone",
        Action::AlreadyGone => "Not open: it was not there any more when we looked",
        Action::Changed => "Changed while we looked, and judged again",
        Action::Refused => "STILL OPEN, a guard kept us from revoking it",
        Action::Failed => "STILL OPEN, the revoke did not work",
    }
}

/// The portions that make the verdict, one per clause.
pub(super) fn clauses(finding: &Finding) -> impl Iterator<Item = &PortionRecord> {
    let mut named: Vec<&str> = Vec::new();
    finding.portions.iter().filter(move |portion| {
        let is_new = portion.verdict == finding.verdict && !named.contains(&portion.clause.as_str());
        if is_new {
            named.push(&portion.clause);
        }
        is_new
    })
}

/// From the call to the read that showed the rule gone. CloudTrail gives the time of a call in whole seconds.
fn open_for(finding: &Finding, record: &Record) -> Option<String> {
    let time = finding.closed_at?.duration_since(record.event_time.filter(|_| finding.named_by_event)?);
    let time = SignedDuration::from_secs(time.as_secs());
    (!time.is_negative()).then(|| format!("It was open for {time:#} (from the call to the read that showed it gone)"))
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>
fn meanwhile(connections: Connections) -> &'static str {
    match connections {
        Connections::Cut => {
            "Direct connections through it were cut with it; those through NAT gateways or network load balancers may go on"
        }
        Connections::MayGoOn => {
            "Connections made through it may go on until they are idle for long (TCP: up to 5 days); only a network ACL \
             cuts them at once"
        }
    }
}

/// `TCP 0-65535 from anywhere (0.0.0.0/0), rule sgr-…`.
pub fn rule_in_words(rule: &Rule) -> String {
    let way = match rule.direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
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

/// In the order in which they are to be done.
pub(super) fn next_steps(findings: &[&Finding]) -> Vec<String> {
    let has = |action: Action| findings.iter().any(|finding| finding.action == action);
    let is_denied = findings.iter().any(|finding| is_unread(finding));
    let has_failed = findings.iter().any(|finding| finding.action == Action::Failed && !is_unread(finding));
    let steps = [
        (is_denied, "Grant what is missing: until then nothing in this account and region is guarded."),
        (is_denied, "Look at the rules of this account by hand, and at what the call above opened."),
        (has_failed, "Close the rule by hand now, then look at why the revoke did not work (see above)."),
        (has(Action::Refused), "Look at the rules that were left open; a guard stopped here so that a person decides."),
        (
            has(Action::WouldRevoke),
            "Revoke the rule that is still open by hand, or change the setting that keeps us from it (see above).",
        ),
        (
            has(Action::Revoked),
            "Look for connections made meanwhile: revoking a rule does not always cut what is already open.",
        ),
        (
            has(Action::Revoked) || has(Action::WouldRevoke),
            "Fix it at the source (Terraform, CloudFormation, a controller), or it will come back.",
        ),
        (
            has(Action::Revoked) || has(Action::WouldRevoke),
            "If it has to be open: ask the owners of the policy for an exception with a reason and an end.",
        ),
        (
            findings.iter().any(|finding| finding.is_missing()),
            "Open what is missing: parts of the cluster cannot reach each other. The guard opens nothing by itself.",
        ),
    ];
    let steps: Vec<String> = steps.into_iter().filter(|(is_due, _)| *is_due).map(|(_, step)| step.to_owned()).collect();
    if steps.is_empty() { vec!["Check whether this is meant to be open.".to_owned()] } else { steps }
}

/// The group's page. Each partition has a console of its own.
fn console(region: &str, group: &str) -> String {
    let host = if region.starts_with("cn-") {
        format!("{region}.console.amazonaws.cn")
    } else if region.starts_with("us-gov-") {
        "console.amazonaws-us-gov.com".to_owned()
    } else {
        format!("{region}.console.aws.amazon.com")
    };
    format!("https://{host}/ec2/home?region={region}#SecurityGroup:groupId={group}")
}

fn arn(record: &Record, group: &str) -> String {
    let partition = if record.region.starts_with("cn-") {
        "aws-cn"
    } else if record.region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    };
    format!("arn:{partition}:ec2:{}:{}:security-group/{group}", record.region, record.account)
}
