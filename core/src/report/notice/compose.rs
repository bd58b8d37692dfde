//! A notice of one or more records, put together in the order in which a person asks: what is open or closed, what to copy
//! at once, who and where, what to do; then the details.
//!
//! Must not: know the words of a situation (headline, steps and details do).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::clock::time;
use super::situation::{self, Situation, Topic, severity, topics};
use super::words::{self, status};
use super::{
    Code, Link, Notice, Section, blind, clauses_of, close, clusters, contested, details, headline, in_words, redo,
    restore, steps, subject, who,
};
use crate::model::ids::partition_of;
use crate::model::text::plain;
use crate::report::finding::{Check, Finding, Subject};
use crate::report::outcome::Action;
use crate::report::record::{Attachment, GroupRecord, Record, TriggerKind};

/// Who it was, where no call is known.
const NO_CALL: &str = "not known: a sweep found it, not an event; CloudTrail's event history may show the call";
const NO_EVENT: &str =
    "not known: no event reported it, a sweep found it; CloudTrail's event history may show the call";
/// What waited for a digest has its own call each.
const IN_DETAILS: &str = "named in the details of what was open, with the call";
/// Findings written out in one notice; the rest is counted.
const MAX_FINDINGS: usize = 20;

/// The notice of one record. `now` dates the exception that it proposes.
pub fn notice(record: &Record, now: Timestamp) -> Notice {
    if record.group.is_none() && record.clusters.is_empty() {
        return of_account(record);
    }
    let topics = topics(&[record]);
    let rest = topics.len().saturating_sub(MAX_FINDINGS);
    Notice {
        sections: topics.iter().take(MAX_FINDINGS).map(details::section).collect(),
        rest: (rest > 0).then(|| format!("… and {rest} more, in the record of this event.")),
        ..of_many(&[record], &topics, now)
    }
}

/// All of a notice but its details, which are told finding by finding or group by group.
pub(super) fn of_many(records: &[&Record], topics: &[Topic<'_>], now: Timestamp) -> Notice {
    let Some(first) = topics.first() else { return Notice::default() };
    let record = first.record;
    let names = clusters(records);
    let groups: BTreeSet<&str> = records.iter().filter_map(|record| Some(record.group.as_ref()?.id.as_str())).collect();
    let is_sweep = record.trigger == TriggerKind::Sweep;
    let foremost = headline::clusters_of(&subject::foremost(topics));
    let (what, mut tails) = subject::of(topics);
    let group = record.group.as_ref().filter(|_| groups.len() == 1);
    if is_sweep {
        tails.insert(0, " (sweep)".to_owned());
    }
    tails.extend(record.event_time.map(subject::called_at));
    let (mut urgent, rest) = close::commands(topics);
    if rest > 0 {
        urgent.push(Code {
            title: format!("And {rest} more rules are open; their ids are in the records."),
            text: String::new(),
        });
    }
    urgent.extend(restore::instead(topics));
    urgent.extend(close::later(topics));
    urgent.extend(restore::lost(topics));
    urgent.extend(restore::removed(topics));
    urgent.extend(close::entries_out(topics));
    urgent.extend(close::endpoint(topics));
    urgent.extend(close::unheard(topics));
    urgent.extend(close::off_the_interfaces(topics));
    let mut code = close::to_check(topics);
    if !is_sweep {
        code.extend(redo::code(topics, now));
    }
    redo::explain(urgent.iter_mut().chain(&mut code));
    let headline = [Some(headline::headline(topics)), who::suspect(topics)].into_iter().flatten();
    let thread = match group.filter(|_| !is_sweep) {
        Some(group) => arn(record, &group.id),
        None => format!("{}/{}/{names}", record.account, record.region),
    };
    Notice {
        subject: subject::subject(severity(records), first.situation.state(), &foremost, &what, &tails),
        headline: headline.collect::<Vec<_>>().join(".\n"),
        urgent,
        facts: facts(records, topics, group, &names),
        steps: steps::steps(topics, is_sweep),
        more: call_in_full(record),
        code,
        links: links(record, group),
        thread,
        ..Notice::default()
    }
}

/// The notice of a record about the account as a whole. The first finding is the worst, and says what it is about.
fn of_account(record: &Record) -> Notice {
    let topics = topics(&[record]);
    let Some(first) = topics.first() else { return Notice::default() };
    let mut lines = first.finding.detail.as_deref().unwrap_or_default().lines().map(plain);
    let why = lines.next();
    let more: Vec<String> = lines.collect();
    let (_, then) = blind::words(first.finding, record);
    // What a call did that could not be looked at is told on more lines.
    let is_of_call = first.finding.sight().is_none() && !blind::is_of_sweep(first.finding, record);
    let then =
        if first.situation == Situation::Blind && is_of_call && !more.is_empty() { blind::MAY_BE_OPEN } else { then };
    let (what, tails) = subject::of(&topics);
    let state = first.situation.state();
    let groups = more.iter().filter_map(|line| line.strip_prefix("On ")?.split(',').next());
    let looks = groups.filter(|id| id.starts_with("sg-")).take(3).map(|id| close::look(record, id));
    let commands = blind::commands(&more, &record.region).into_iter();
    let urgent = looks.chain(commands).chain(blind::sweep(first.finding, record)).collect();
    // What it is about, without the call and without what is above as a command.
    let is_said = |line: &&String| !line.starts_with('`') && blind::command(line).is_none();
    let said: Vec<&str> = more.iter().filter(is_said).take(3).map(String::as_str).collect();
    let mut facts = vec![("Why", why.unwrap_or_default())];
    facts.extend((!said.is_empty()).then(|| ("What", said.join(". "))));
    let again = topics.iter().find_map(|topic| topic.finding.contested.as_ref());
    facts.extend(again.map(|known| ("Again", contested::again(known))));
    facts.push(("Where", place(record)));
    if record.actor.is_some() {
        facts.extend(caller(record));
    }
    let section =
        |finding: &Finding, lines| Section { title: words::what(finding), status: status(finding).to_owned(), lines };
    let about = (!more.is_empty()).then(|| section(first.finding, more));
    let others = topics.iter().skip(1).map(|topic| {
        section(topic.finding, topic.finding.detail.as_deref().unwrap_or_default().lines().map(plain).collect())
    });
    Notice {
        subject: subject::subject(
            record.severity,
            state,
            &format!("{} {}", record.account, record.region),
            &what,
            &tails,
        ),
        headline: [Some(format!("{state}: {what}, so {then}")), blind::on_purpose(first.finding, record)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(".\n"),
        urgent,
        facts,
        steps: steps::steps(&topics, false),
        sections: about.into_iter().chain(others).collect(),
        more: call_in_full(record),
        links: links(record, None),
        thread: format!("{}/{}", record.account, record.region),
        ..Notice::default()
    }
}

/// Who, when, where, which group, and what made the difference.
fn facts(
    records: &[&Record],
    topics: &[Topic<'_>],
    group: Option<&GroupRecord>,
    names: &str,
) -> Vec<(&'static str, String)> {
    let Some(first) = topics.first() else { return Vec::new() };
    let mut facts = caller(first.record);
    facts.extend(
        records
            .iter()
            .find_map(|record| record.group.as_ref()?.attachment.as_ref())
            .map(|to| ("Attached", format!("the call put the group on {}", attached(to)))),
    );
    facts.extend(gained(topics));
    facts.extend(
        topics
            .iter()
            .find_map(|topic| topic.finding.contested.as_ref())
            .map(|known| ("Again", contested::again(known))),
    );
    facts.push(("Where", format!("{}, {}", in_words(names), place(first.record))));
    facts.extend(group.map(|group| ("Group", group_in_words(group))));
    // What is broken has no reason that people ask for; what was closed has.
    let closed = || topics.iter().find(|topic| topic.situation.is_closed_by_us());
    let reason = closed().filter(|_| first.situation == Situation::Broken).unwrap_or(first);
    facts.extend(clauses_of(reason.finding).map(|why| ("Why", why)));
    facts
}

/// Who made the call, and when.
pub(super) fn caller(record: &Record) -> Vec<(&'static str, String)> {
    let Some(actor) = &record.actor else {
        let is_lost = |finding: &Finding| finding.subject == Subject::Check(Check::LostEvents);
        let waited = |finding: &Finding| finding.action == Action::WasOpen;
        let who = match &record.findings {
            findings if findings.iter().any(waited) => IN_DETAILS,
            findings if findings.iter().all(is_lost) => NO_EVENT,
            _ => NO_CALL,
        };
        return vec![("Who", who.to_owned())];
    };
    let call = record.event_name.as_deref().map(plain).unwrap_or_default();
    let at = record.event_time.map_or_else(|| "at an unknown time".to_owned(), |at| format!("at {}", time(at)));
    vec![("Who", who::in_full(actor, &record.account)), ("Call", format!("{call} {at}"))]
}

/// The principal, the program and the event, to the letter.
fn call_in_full(record: &Record) -> Vec<(&'static str, String)> {
    let Some(actor) = &record.actor else { return Vec::new() };
    let text = |text: &Option<String>| text.as_deref().map(plain);
    let parts = [
        ("Principal", text(&actor.arn)),
        ("Address", text(&actor.source_ip)),
        ("Program", text(&actor.user_agent)),
        ("Through", text(&actor.invoked_by)),
        ("Event", text(&record.event_id)),
    ];
    parts.into_iter().filter_map(|(name, what)| Some((name, what?))).collect()
}

pub(super) fn place(record: &Record) -> String {
    format!("account {}, {}", record.account, record.region)
}

fn group_in_words(group: &GroupRecord) -> String {
    let name = group.name.as_deref().map(plain).filter(|name| !name.is_empty());
    let id = name.map_or_else(|| group.id.clone(), |name| format!("{name} ({})", group.id));
    let of = words::of_roles(&group.roles).map(|of| format!(", {of}")).unwrap_or_default();
    format!("{id}{of}")
}

/// `eni-1 of instance i-1 (worker-7)`.
fn attached(to: &Attachment) -> String {
    let name = to.name.as_deref().map(plain).filter(|name| !name.is_empty());
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    match (&to.interface, &to.instance) {
        (Some(interface), Some(instance)) => format!("{interface} of instance {instance}{name}"),
        (Some(id), None) => format!("interface {id}{name}"),
        (None, Some(id)) => format!("instance {id}{name}"),
        (None, None) => "an attachment that nobody names".to_owned(),
    }
}

/// What came into which list.
fn gained(topics: &[Topic<'_>]) -> Option<(&'static str, String)> {
    let list = topics.iter().find_map(|topic| situation::gained(topic.finding))?;
    Some(("List", format!("{} came into {}", words::entries(list, 3).0, words::list_in_words(list))))
}

/// The host of the console of a region.
pub(super) fn console_host(region: &str) -> String {
    match partition_of(region) {
        "aws-cn" => format!("{region}.console.amazonaws.cn"),
        "aws-us-gov" => "console.amazonaws-us-gov.com".to_owned(),
        _ => format!("{region}.console.aws.amazon.com"),
    }
}

/// The pages of the console: the group's, and the call's.
fn links(record: &Record, group: Option<&GroupRecord>) -> Vec<Link> {
    let (region, host) = (&record.region, console_host(&record.region));
    let link = |title: &str, url: String| Link { title: title.to_owned(), url };
    let of_group = group.map(|group| {
        let id = &group.id;
        link("The group in the console", format!("https://{host}/ec2/home?region={region}#SecurityGroup:groupId={id}"))
    });
    // Ids of events are text from outside; those of CloudTrail look like this.
    let is_id = |id: &&String| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let of_call = record.event_id.as_ref().filter(is_id).map(|id| {
        link("The call in CloudTrail", format!("https://{host}/cloudtrailv2/home?region={region}#/events/{id}"))
    });
    of_group.into_iter().chain(of_call).collect()
}

fn arn(record: &Record, group: &str) -> String {
    let partition = partition_of(&record.region);
    format!("arn:{partition}:ec2:{}:{}:security-group/{group}", record.region, record.account)
}

/// What finding needs a person: for the digest's sections.
pub(super) fn state_of(findings: &[Finding], record: &Record) -> String {
    let topics: Vec<Topic<'_>> = findings.iter().map(|finding| Topic::new(record, finding)).collect();
    let number = |wanted: Situation| topics.iter().filter(|topic| topic.situation == wanted).count();
    let words = [
        (number(Situation::Open), "OPEN"),
        (number(Situation::Listed), "closed, its list STILL OPEN"),
        (number(Situation::Lost) + number(Situation::Closed) + number(Situation::PutBack), "closed"),
        (number(Situation::Broken), "BROKEN"),
        (number(Situation::WasOpen) + number(Situation::Gone), "open for a while"),
        (number(Situation::Endpoint) + number(Situation::ToCheck), "to check"),
        (number(Situation::Unreadable), "not readable"),
        (number(Situation::Joined) + number(Situation::Changed), "changed"),
    ];
    let words: Vec<String> =
        words.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
    words.join(", ")
}
