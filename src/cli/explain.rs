//! `explain`: what a policy decides about the rules that events name, portion by portion, and what would be done; of many
//! events a table and what became of whose calls.

mod table;
mod totals;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::answer::{Answer, Explained, intended, would_be_done};
use crate::cli::claims::{self, Assumed};
use crate::cli::events::{self, Troubles};
use crate::cli::explain::table::Table;
use crate::cli::explain::totals::Totals;
use crate::cli::input;
use crate::cli::output::{CommandOutput, Exit, FailOn, Format, Say};
use crate::cli::style::{Style, decision, traffic};
use crate::event::Event;
use crate::model::region::Traffic;
use crate::model::rule::Direction;
use crate::model::text::{capital, count, plain};
use crate::plan::Step;
use crate::policy::builtin;
use crate::policy::judge::JudgedRule;
use crate::policy::model::Policy;
use crate::report::finding::PortionRecord;
use crate::report::notice::rule_in_words;

/// Arguments of `explain`.
#[derive(Args)]
#[command(after_help = "\
Examples: somebody opened a port; would the guard close it again?
  eks-sg-guard explain event.json --role node --cluster prod --policy policy.yaml
What would it have undone of last week's calls, and whose?
  aws cloudtrail lookup-events --lookup-attributes \\
    AttributeKey=EventName,AttributeValue=AuthorizeSecurityGroupIngress | eks-sg-guard explain -
  eks-sg-guard explain AWSLogs/ --policy policy.yaml --format json

EVENT is what the function gets, an EventBridge event `AWS API Call via CloudTrail`, or its
`detail` alone, as the CloudTrail console shows it; log files of CloudTrail; what `aws cloudtrail
lookup-events`, `aws logs filter-log-events` and `aws sqs receive-message` print; one JSON document
or many, also gzip and UTF-16. Nothing is looked up: the rules are judged as the events describe
them, while the function judges the live rules of the whole group. Of one event each portion of its
rules is shown, of several a line for each rule.

Exit codes:
  0  clean    1  could not run, or not all    2  a finding as `--fail-on` says    3  invalid policy")]
pub(super) struct Arguments {
    /// Files, folders, or `-` for standard input.
    #[arg(required = true, value_name = "EVENT")]
    events: Vec<PathBuf>,
    #[command(flatten)]
    assumed: Assumed,
    /// A policy file, or the name of a built-in policy.
    #[arg(long, value_name = "FILE|NAME", default_value = builtin::DEFAULT)]
    policy: String,
    /// What ends in exit code 2: a verdict, or a finding of this severity or worse.
    #[arg(long, value_enum, value_name = "VERDICT|SEVERITY", default_value_t)]
    fail_on: FailOn,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// What there is to say of the events so far: of one all of it, of more a line for each rule.
struct Report<'a> {
    policy: &'a Policy,
    style: Style,
    format: Format,
    first: Option<Answer>,
    table: Table,
    /// For tools.
    answers: Vec<Value>,
    totals: Totals,
    is_met: bool,
}

impl Report<'_> {
    /// `false`: nobody listens any more.
    fn add(&mut self, answer: Answer, fail_on: FailOn, say: Say<'_>) -> bool {
        if !self.totals.add(&answer) {
            return true;
        }
        self.is_met |= answer.steps().any(|step| fail_on.is_met_by(&step.finding));
        if self.format == Format::Json {
            self.answers.push(for_tools(&answer));
        }
        match (self.totals.events(), self.first.take()) {
            (1, _) => self.first = Some(answer),
            (_, first) => {
                let all = first.iter().chain([&answer]);
                all.for_each(|answer| self.table.add(answer));
            }
        }
        self.format == Format::Json || self.table.is_short() || say(&self.table.lines(self.style))
    }

    fn tail(&mut self) -> String {
        match &self.first {
            Some(Answer { change, nothing, groups, .. }) => {
                let event = change.as_ref().map(|change| &change.event);
                in_words(event, self.policy, nothing.as_deref(), groups, self.style)
            }
            None => self.table.lines(self.style) + &self.totals.in_words(&self.policy.name, self.style),
        }
    }

    fn json(&self, troubles: &Troubles) -> Value {
        // Of one event its answer stands at the top, too.
        let mut all = match self.answers.as_slice() {
            [Value::Object(one)] => one.clone(),
            _ => serde_json::Map::new(),
        };
        let (said, more) = troubles.said();
        let problems = said.iter().map(|trouble| json!({"error": trouble.is_error, "message": trouble.what}));
        all.extend([
            ("policy".to_owned(), json!(self.policy.name)),
            ("policy_hash".to_owned(), json!(self.policy.hash)),
            ("events".to_owned(), json!(self.answers)),
            ("totals".to_owned(), self.totals.for_tools()),
            ("problems".to_owned(), problems.collect()),
            ("more_problems".to_owned(), json!(more)),
        ]);
        Value::Object(all)
    }
}

/// `say` writes what is said before all is read: of many events nobody has to hold the table.
pub(super) fn run(arguments: &Arguments, style: Style, say: Say<'_>) -> anyhow::Result<CommandOutput> {
    let now = Timestamp::now();
    let policy = input::policy(&arguments.policy, now)?;
    let mut report = Report {
        policy: &policy,
        style,
        format: arguments.format,
        first: None,
        table: Table::default(),
        answers: Vec::new(),
        totals: Totals::default(),
        is_met: false,
    };
    let troubles = events::read(&arguments.events, &mut |read| {
        let answer = Answer::of(read, &policy, &arguments.assumed, now);
        report.add(answer, arguments.fail_on, say)
    })?;
    if report.totals.events() == 0 {
        return Err(troubles.as_error());
    }
    let exit = if report.is_met { Exit::Findings } else { Exit::Clean }.of_what_was_read(!troubles.any_error());
    match arguments.format {
        Format::Text => {
            let output = CommandOutput::new(report.tail(), exit);
            Ok(output.with_remarks(troubles.in_words()))
        }
        Format::Json => {
            let output = CommandOutput::answer("explain", &report.json(&troubles), exit)?;
            Ok(output.with_remarks(troubles.in_words()))
        }
    }
}

fn in_words(
    event: Option<&Event>,
    policy: &Policy,
    nothing: Option<&str>,
    groups: &[Explained],
    style: Style,
) -> String {
    let mut out = String::new();
    if let Some(event) = event {
        let time = event.time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string());
        let who = event.actor.arn.as_deref().map_or_else(|| "an unknown principal".to_owned(), plain);
        let _ = writeln!(out, "Event   {} at {time}", event.call.name);
        let _ = writeln!(out, "Who     {who}");
        let _ = writeln!(out, "Where   account {}, {}", plain(&event.location.account), plain(&event.location.region));
    }
    let _ = writeln!(out, "Policy  {}", plain(&policy.name));
    if let Some(nothing) = nothing {
        let _ = writeln!(out, "\n{}.", capital(nothing));
    }
    for group in groups {
        out.push('\n');
        group_in_words(group, style, &mut out);
    }
    out
}

fn group_in_words(Explained { claimed, steps, otherwise }: &Explained, style: Style, out: &mut String) {
    let group = &claimed.group;
    let roles: Vec<&str> = group.roles.iter().map(|known| known.role.word()).collect();
    let cluster = group.cluster_names().map_or_else(|| "an unknown cluster".to_owned(), |name| plain(&name));
    let heading = format!("Group   {}, judged as {} of {cluster}", plain(&group.id), roles.join(" and "));
    let _ = writeln!(out, "{}", style.bold(&heading));
    for (step, otherwise) in steps.iter().zip(otherwise) {
        let finding = &step.finding;
        let _ = writeln!(out, "\n{}", rule_in_words(&finding.rule));
        let says = style.of(finding.verdict, &decision(finding.verdict, finding.severity));
        let _ = writeln!(out, "  {says}: {}", would_be_done(&step.intent));
        if let Some((Step { finding, intent, .. }, why)) = otherwise {
            let says = style.of(finding.verdict, &decision(finding.verdict, finding.severity));
            let done = would_be_done(intent);
            let _ = writeln!(out, "  or {says}: {done}, if {why}; that is unknown here, only the live state tells it");
        }
        let whole = Traffic::from(finding.rule.packets);
        let mut last = None;
        for part in &finding.portions {
            // In other clusters another clause may have the same id.
            let decided = (part.position, &part.clause, part.verdict);
            if last != Some(decided) {
                let says = style.of(part.verdict, &format!("{:<6}", part.verdict.word()));
                let _ = writeln!(out, "    {says}  `{}`: {}", part.clause, plain(&part.reason));
            }
            let what = traffic(&part.traffic, &whole);
            let peers = part.addresses.as_deref().unwrap_or_else(|| part.peer_class.word());
            let _ = writeln!(out, "              {what} {} {peers}", way(finding.rule.direction));
            last = Some(decided);
        }
    }
    let caveats = claims::caveats(claimed);
    if !caveats.is_empty() {
        let _ = writeln!(out, "\nWhat this rests on");
        for caveat in caveats {
            let _ = writeln!(out, "  - {}.", capital(&caveat));
        }
    }
    if !steps.is_empty() {
        let close = steps.iter().filter(|step| step.intent.closes()).count();
        let _ = writeln!(out, "\n{} judged, {close} would be revoked", count(steps.len(), "rule"));
    }
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    }
}

fn for_tools(answer: &Answer) -> Value {
    let event = answer.event().map(|event| {
        json!({
            "id": event.id, "name": event.call.name, "time": event.time, "account": event.location.account,
            "region": event.location.region, "actor": event.actor,
        })
    });
    json!({
        "file": answer.file,
        "line": answer.line,
        "event": event,
        "nothing_because": answer.nothing,
        "groups": answer.groups.iter().map(group_for_tools).collect::<Vec<_>>(),
    })
}

fn group_for_tools(Explained { claimed, steps, otherwise }: &Explained) -> Value {
    let group = &claimed.group;
    json!({
        "id": group.id,
        "cluster": group.cluster_names(),
        "roles": group.role_set(),
        "findings": steps.iter().zip(otherwise).map(step_for_tools).collect::<Vec<_>>(),
        "assumptions": claims::caveats(claimed),
    })
}

fn step_for_tools((step, otherwise): (&Step, &Option<(Step, &'static str)>)) -> Value {
    let (intent, detail) = intended(&step.intent);
    let portions = step.finding.portions.iter().flat_map(PortionRecord::of).map(|part| {
        json!({
            "clause": part.clause, "protocol": part.protocol, "ports": part.ports, "peer_class": part.peer_class,
            "addresses": part.addresses, "verdict": part.verdict, "reason": part.reason,
        })
    });
    json!({
        "rule": step.finding.rule,
        "verdict": step.finding.verdict,
        "severity": step.finding.severity,
        "portions": portions.collect::<Vec<_>>(),
        "intent": intent,
        "detail": detail,
        "otherwise": otherwise.as_ref().map(|(other, why)| {
            let (intent, detail) = intended(&other.intent);
            let JudgedRule { verdict, severity, .. } = other.finding;
            json!({"if": why, "verdict": verdict, "severity": severity, "intent": intent, "detail": detail})
        }),
    })
}
