//! `explain`: what a policy decides about the rules that an event names, portion by portion, and what would be done.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::claims::{self, Assumed, Claimed};
use crate::cli::input;
use crate::cli::output::{CommandOutput, Exit, FailOn, Format};
use crate::cli::style::{Style, decision, traffic};
use crate::event::payload;
use crate::event::{Change, Event, Parsed, Target, Trigger};
use crate::guard::modes::Modes;
use crate::guard::plan::{Intent, PlanContext, Step, plan};
use crate::guard::standing::{Led, Memory};
use crate::model::region::Traffic;
use crate::model::rule::Direction;
use crate::model::text::{capital, count, plain};
use crate::policy::builtin;
use crate::policy::model::{Mode, Policy};
use crate::report::finding::PortionRecord;
use crate::report::notice::rule_in_words;

/// Arguments of `explain`.
#[derive(Args)]
#[command(after_help = "\
Example: somebody opened a port; would the guard close it again?
  eks-sg-guard explain event.json --role node --cluster prod --policy policy.yaml

EVENT is what the function gets: an EventBridge event `AWS API Call via CloudTrail`, or its
`detail` alone, as the CloudTrail console shows it. Nothing is looked up: the rules are judged as
the event describes them, while the function judges the live rules of the whole group.

Exit codes:
  0  clean    1  could not run    2  a finding as `--fail-on` says    3  the policy is invalid")]
pub(super) struct Arguments {
    /// The event, a JSON file.
    event: PathBuf,
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

/// One group of the event with what would be done about its rules.
pub(super) struct Explained {
    pub(super) claimed: Claimed,
    pub(super) steps: Vec<Step>,
}

pub(super) fn run(arguments: &Arguments, style: Style) -> anyhow::Result<CommandOutput> {
    let payload = input::json(&arguments.event, "event")?;
    let now = Timestamp::now();
    let policy = input::policy(&arguments.policy, now)?;
    let parsed = payload::parse(&payload).map_err(|error| {
        anyhow::anyhow!("event `{}` is not understood: {}", input::shown(&arguments.event), plain(&error.to_string()))
    })?;
    let (change, nothing) = match parsed {
        Parsed::Trigger(Trigger::Change(change)) => {
            let nothing = looked_at(&change.subject);
            (Some(change), nothing)
        }
        Parsed::Trigger(Trigger::Sweep { .. } | Trigger::Lost) => {
            (None, Some("a sweep names no rule: the function would look at the live groups".to_owned()))
        }
        Parsed::Ignored(reason) => (None, Some(format!("the function would ignore this event: {}", plain(&reason)))),
    };
    let groups = change
        .as_ref()
        .map(|change| explain(change, &policy, &arguments.assumed, Modes::new(Mode::Enforce, Mode::Report), now))
        .unwrap_or_default();
    let fails = |step: &Step| arguments.fail_on.is_met_by(&step.finding);
    let exit = if groups.iter().flat_map(|group| &group.steps).any(fails) { Exit::Findings } else { Exit::Clean };
    let event = change.as_ref().map(|change| &change.event);
    match arguments.format {
        Format::Text => Ok(CommandOutput::new(in_words(event, &policy, nothing.as_deref(), &groups, style), exit)),
        Format::Json => CommandOutput::answer("explain", &for_tools(event, &policy, nothing.as_deref(), &groups), exit),
    }
}

/// What the function would look at, where the event names no rule that could be judged here.
fn looked_at(subject: &Target) -> Option<String> {
    let (says, looks_at) = match subject {
        Target::Groups(_) => return None,
        Target::Attached { attachment, groups } => {
            let groups = if groups.is_empty() { "groups".to_owned() } else { groups.join(", ") };
            let attachment = attachment.as_deref().unwrap_or("a network interface or an instance");
            (format!("says that {groups} were put on {attachment}"), "the live groups")
        }
        Target::PrefixList(change) => {
            (format!("says that the entries of {} changed", change.list), "the groups that use it")
        }
        Target::Cluster { name, node_group: None } => {
            (format!("says that the configuration of cluster {name} changed"), "its groups")
        }
        Target::Cluster { name, node_group: Some(node_group) } => {
            (format!("says that node group {node_group} of cluster {name} changed"), "its groups")
        }
        Target::Trails => ("says that trails changed".to_owned(), "all trails, and whether one still logs"),
        Target::EventRule(_) => {
            ("says that a rule of EventBridge changed".to_owned(), "the guard's own rule, if it is that")
        }
        Target::Unknown => ("does not say what it changed".to_owned(), "every group of EKS clusters"),
    };
    Some(format!("the event {says}: the function would look at {looks_at}"))
}

/// The groups of an event with what would be done in these modes.
pub(super) fn explain(
    change: &Change,
    policy: &Policy,
    assumed: &Assumed,
    modes: Modes,
    now: Timestamp,
) -> Vec<Explained> {
    let Event { location, actor, .. } = &change.event;
    let judged = |claimed: Claimed| {
        let (led, memory) = (Led::by(Some(&change.event), now), &Memory::None);
        let context =
            PlanContext { policy, location, now, modes, actor: Some(actor), named: &claimed.named, led, memory };
        let steps = plan(context, &claimed.group);
        Explained { claimed, steps }
    };
    claims::groups(change, policy, assumed).into_iter().map(judged).collect()
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

fn group_in_words(Explained { claimed, steps }: &Explained, style: Style, out: &mut String) {
    let group = &claimed.group;
    let roles: Vec<&str> = group.roles.iter().map(|known| known.role.word()).collect();
    let cluster = group.cluster_names().map_or_else(|| "an unknown cluster".to_owned(), |name| plain(&name));
    let heading = format!("Group   {}, judged as {} of {cluster}", plain(&group.id), roles.join(" and "));
    let _ = writeln!(out, "{}", style.bold(&heading));
    for step in steps {
        let finding = &step.finding;
        let _ = writeln!(out, "\n{}", rule_in_words(&finding.rule));
        let says = style.of(finding.verdict, &decision(finding.verdict, finding.severity));
        let _ = writeln!(out, "  {says}: {}", would_be_done(&step.intent));
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

pub(super) fn would_be_done(intent: &Intent) -> String {
    match intent {
        Intent::None => "nothing would be done".to_owned(),
        Intent::Report(None) => "people would be notified".to_owned(),
        Intent::Report(Some(why)) => format!("people would be notified; {why}"),
        Intent::WouldRevoke(why) => format!("people would be notified that it should go; {why}"),
        Intent::Revoke => "it would be revoked".to_owned(),
        Intent::PutBack => "it would be put back to what it was known as".to_owned(),
        Intent::Refuse(why) | Intent::Postpone(why) => format!("a guard would leave it open; {why}"),
    }
}

fn for_tools(event: Option<&Event>, policy: &Policy, nothing: Option<&str>, groups: &[Explained]) -> Value {
    let event = event.map(|event| {
        json!({
            "id": event.id, "name": event.call.name, "time": event.time, "account": event.location.account,
            "region": event.location.region, "actor": event.actor,
        })
    });
    json!({
        "event": event,
        "policy": policy.name,
        "policy_hash": policy.hash,
        "nothing_because": nothing,
        "groups": groups.iter().map(group_for_tools).collect::<Vec<_>>(),
    })
}

fn group_for_tools(Explained { claimed, steps }: &Explained) -> Value {
    let group = &claimed.group;
    json!({
        "id": group.id,
        "cluster": group.cluster_names(),
        "roles": group.role_set(),
        "findings": steps.iter().map(step_for_tools).collect::<Vec<_>>(),
        "assumptions": claims::caveats(claimed),
    })
}

/// The word of an intent for tools, and why it is no more.
pub(super) fn intended(intent: &Intent) -> (&'static str, Option<&str>) {
    match intent {
        Intent::None => ("none", None),
        Intent::Report(why) => ("report", why.as_deref()),
        Intent::WouldRevoke(why) => ("would-revoke", Some(why.as_str())),
        Intent::Revoke => ("revoke", None),
        Intent::PutBack => ("put-back", None),
        Intent::Refuse(why) | Intent::Postpone(why) => ("refuse", Some(why.as_str())),
    }
}

fn step_for_tools(step: &Step) -> Value {
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
    })
}
