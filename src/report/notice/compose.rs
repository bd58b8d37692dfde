//! The text of a notice: what happened to one group, cluster or account, in the order in which people ask.

use jiff::{SignedDuration, Timestamp};

use super::words::{before, clauses, headline, meanwhile, next_steps, rule_in_words, status, subject, what};
use super::{Notice, Section, cluster, redo, source};
use crate::event::Actor;
use crate::model::text::{capital, plain};
use crate::report::finding::{Check, Finding, Subject};
use crate::report::outcome::Action;
use crate::report::record::{GroupRecord, Record};

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
    let detail = record.findings.first().and_then(|finding| finding.detail.as_deref());
    let mut lines = detail.unwrap_or_default().lines().map(plain);
    let why = lines.next();
    let mut facts = vec![("Where", place(record)), ("Why", why.unwrap_or_default())];
    if let Some(actor) = &record.actor {
        let is_of_sight = record.findings.iter().any(|finding| finding.sight().is_some());
        facts.extend(if is_of_sight {
            who(record)
        } else {
            let call = record.event_name.as_deref().map(plain).unwrap_or_default();
            vec![("Who", principal(actor)), ("Call", call)]
        });
    }
    let more: Vec<String> = lines.collect();
    let about = record.findings.first().filter(|_| !more.is_empty());
    let about = about.map(|finding| Section { title: what(finding), status: status(finding).to_owned(), lines: more });
    let others = record.findings.iter().skip(1).map(|finding| Section {
        title: what(finding),
        status: status(finding).to_owned(),
        lines: finding.detail.as_deref().unwrap_or_default().lines().map(plain).collect(),
    });
    let again = record.findings.iter().find_map(|finding| finding.contested.as_ref()).map(source::again);
    let (what, headline) = match record.findings.first().map(|finding| &finding.subject) {
        Some(Subject::Check(Check::ReadDenied)) => {
            let what = "the guard is not allowed to look".to_owned();
            let headline = format!("{what}, so nothing was judged and nothing was closed");
            (what, headline)
        }
        Some(Subject::Check(Check::Unfinished)) => {
            let what = "OPEN? the guard could not look".to_owned();
            let headline = "something could not be handled to its end, so what it opened may still be open".to_owned();
            (what, headline)
        }
        Some(Subject::Check(check)) if check.is_of_sight() => blindness(*check),
        Some(Subject::Check(_) | Subject::Rule(_) | Subject::Requirement(_)) | None => {
            (headline(&findings), headline(&findings))
        }
    };
    Notice {
        subject: subject(record.severity, &format!("{account} {region}"), &what),
        headline,
        facts,
        sections: about.into_iter().chain(others).collect(),
        rest: again,
        steps: next_steps(&findings),
        thread: format!("{account}/{region}"),
        ..Notice::default()
    }
}

/// What is wrong with the guard's sight, for the subject and for the headline.
fn blindness(check: Check) -> (String, String) {
    let (what, then) = match check {
        Check::NoTrail => {
            ("BLIND: no trail logs the calls to EC2", "no event reaches the guard and nothing new is closed")
        }
        Check::RuleDisabled => {
            ("BLIND: the guard's event rule is off", "no event reaches the guard and nothing new is closed")
        }
        Check::TrailsUnread => {
            ("is there a trail? not readable", "it is not known whether events still reach the guard")
        }
        _ => ("the guard's event rule is not readable", "it is not known whether events still reach the guard"),
    };
    (what.to_owned(), format!("{what}: {then}"))
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

pub(super) fn place(record: &Record) -> String {
    format!("account {}, {}", record.account, record.region)
}

/// Who made the call, and when and with what.
pub(super) fn who(record: &Record) -> Vec<(&'static str, String)> {
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
    if actor.is_some() && !finding.named_by_event && finding.rule().is_some() {
        lines.push("Not named by this call; who wrote it is not known".to_owned());
    }
    lines.extend(before(finding));
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

/// From the call to the read that showed the rule closed. CloudTrail gives the time of a call in whole seconds.
fn open_for(finding: &Finding, record: &Record) -> Option<String> {
    let time = finding.closed_at?.duration_since(record.event_time.filter(|_| finding.named_by_event)?);
    let time = SignedDuration::from_secs(time.as_secs());
    let closed = if finding.action == Action::Restored { "put back" } else { "gone" };
    (!time.is_negative())
        .then(|| format!("It was open for {time:#} (from the call to the read that showed it {closed})"))
}

/// The partitions besides `aws`: how the names of their regions begin, and the host of their console (`*`: the region).
const PARTITIONS: [(&str, &str, &str); 2] =
    [("cn-", "aws-cn", "*.console.amazonaws.cn"), ("us-gov-", "aws-us-gov", "console.amazonaws-us-gov.com")];

/// The partition of a region and the host of its console.
fn partition(region: &str) -> (&'static str, String) {
    let other = PARTITIONS.iter().find(|(start, ..)| region.starts_with(start));
    let (_, partition, console) = other.unwrap_or(&("", "aws", "*.console.aws.amazon.com"));
    (partition, console.replace('*', region))
}

/// The group's page.
fn console(region: &str, group: &str) -> String {
    format!("https://{}/ec2/home?region={region}#SecurityGroup:groupId={group}", partition(region).1)
}

fn arn(record: &Record, group: &str) -> String {
    let (partition, _) = partition(&record.region);
    format!("arn:{partition}:ec2:{}:{}:security-group/{group}", record.region, record.account)
}
