//! `notice preview`: what people would get of an event, offline.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::cli::answer::{self, Explained};
use crate::cli::claims::Assumed;
use crate::cli::events::{self, Read};
use crate::cli::input;
use crate::cli::live;
use crate::cli::output::{CommandOutput, Exit};
use crate::cli::snapshot::{self, Snapshot};
use crate::cluster::topology::Topology;
use crate::event::{Change, Parsed, Target, Trigger};
use crate::model::group::Group;
use crate::model::rule::Rule;
use crate::model::text::plain;
use crate::plan::modes::Modes;
use crate::plan::{Intent, Step};
use crate::policy::judge::not_forbidden;
use crate::policy::model::{Mode, Policy, Verdict};
use crate::policy::{builtin, requirement};
use crate::report::finding::{Finding, ListRecord, worst_first};
use crate::report::notice::{self, Message, email, q, slack};
use crate::report::outcome::Action;
use crate::report::record::{About, Record};

/// Arguments of `notice preview`.
#[derive(Args)]
#[command(after_help = "\
Example: how will a closed rule look in Slack?
  eks-sg-guard notice preview event.json --role node --cluster prod --as slack

Nothing is looked up or sent. The rules are taken as the event describes them, every revoke is
taken to work, and the group's name, VPC and other rules are not known here. Of a group that was
attached, rules that were removed or a list that changed an event tells too little: name a snapshot.

Exit codes:
  0  no verdict `revoke`    1  could not run    2  a verdict is `revoke`    3  the policy is invalid")]
pub(super) struct Arguments {
    /// The event: a file, or `-` for standard input.
    event: PathBuf,
    /// Which event, where there are several: its `eventID`.
    #[arg(long = "event-id", value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    assumed: Assumed,
    /// A policy file, or the name of a built-in policy.
    #[arg(long, value_name = "FILE|NAME", default_value = builtin::DEFAULT)]
    policy: String,
    /// What is live: groups with their rules, as `policy diff --help` shows. The call is played on it.
    #[arg(long, value_name = "FILE", conflicts_with = "Assumed")]
    snapshot: Option<PathBuf>,
    /// As with `GUARD_MODE=report`: nothing is revoked.
    #[arg(long)]
    report: bool,
    /// For whom.
    #[arg(long = "as", value_enum, default_value_t)]
    form: Form,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Subject and text of an e-mail.
    #[default]
    Email,
    /// Custom notification of Amazon Q Developer in chat applications.
    Q,
    /// Blocks for a Slack incoming webhook.
    Slack,
    /// The record for machines.
    Json,
}

/// Beside what is previewed, which is to the letter what would be sent.
const PREVIEW: &str = "this is a preview, as if each call to AWS worked at once: nothing was sent, closed or looked up";

const EDITED: &str = "a rule that the guard knew before the edit is put back to what it was, which is not known here \
                      (`GUARD_RESTORE`)";

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<CommandOutput> {
    let now = Timestamp::now();
    let policy = input::policy(&arguments.policy, now)?;
    let (read, troubles) = events::one(&arguments.event, arguments.id.as_deref())?;
    let mut output = preview(arguments, read, &policy, now)?;
    output.exit = output.exit.of_what_was_read(!troubles.any_error());
    output.remarks.extend(troubles.in_words());
    Ok(output)
}

fn preview(arguments: &Arguments, read: Read, policy: &Policy, now: Timestamp) -> anyhow::Result<CommandOutput> {
    let Read { parsed, described, .. } = read;
    let change = match parsed {
        Parsed::Trigger(Trigger::Change(change)) => change,
        Parsed::Trigger(Trigger::Sweep { .. } | Trigger::Lost) => {
            anyhow::bail!("a sweep names no rule; give an event that does")
        }
        Parsed::Ignored(reason) => {
            return Ok(nothing_sent(arguments.form, &plain(&reason), Exit::Clean));
        }
    };
    let mode = if arguments.report { Mode::Report } else { Mode::Enforce };
    let modes = Modes::new(mode, Mode::Report);
    let snapshot = arguments.snapshot.as_deref().map(snapshot::read).transpose()?;
    let explained: Vec<Explained> = match (&snapshot, live::not_from_the_event(&change)) {
        (Some(snapshot), _) => {
            let claimed = live::groups(&change, &described, snapshot, policy, now)?.into_iter();
            claimed.map(|claimed| answer::judged(&change, claimed, policy, modes, now)).collect()
        }
        (None, Some(says)) => anyhow::bail!(
            "this cannot be previewed from the event alone: {says}; save what is live as a snapshot and name it with \
             `--snapshot FILE` (`eks-sg-guard policy diff --help` shows what that looks like)"
        ),
        (None, None) => answer::explain(&change, &described, policy, &arguments.assumed, modes, now),
    };
    let is_forbidden = |step: &Step| step.finding.verdict == Verdict::Revoke;
    let exit =
        if explained.iter().flat_map(|group| &group.steps).any(is_forbidden) { Exit::Findings } else { Exit::Clean };
    let missing = snapshot.as_ref().map(|snapshot| missing(&change, snapshot, policy, &explained)).unwrap_or_default();
    let taken = |group: &Group| snapshot.as_ref().map(|snapshot| live::taken(snapshot, group)).unwrap_or_default();
    let records = explained.into_iter().map(|group| {
        let taken = taken(&group.claimed.group);
        record(&change, policy, mode, group, &missing, taken, now)
    });
    let records: Vec<Record> = records.collect();
    let news: Vec<&Record> = records.iter().filter(|record| notice::is_news(record)).collect();
    let texts: Vec<String> = match arguments.form {
        Form::Json => records.iter().filter_map(json).collect(),
        // People get one notice of a call.
        form if !news.is_empty() => {
            let message = notice::message_of_many(&news, notice::notice_of_call(&news, now));
            text(form, &message).into_iter().collect()
        }
        _ => Vec::new(),
    };
    if texts.is_empty() {
        let nothing = "the event names no rule that the policy objects to and that can be judged here";
        return Ok(nothing_sent(arguments.form, nothing, exit));
    }
    Ok(CommandOutput::new(texts.join("\n"), exit).with_remarks(remarks(&change, &records)))
}

/// Programs that read a message get none, and no sentence instead of it.
fn nothing_sent(form: Form, why: &str, exit: Exit) -> CommandOutput {
    let said = format!("Nothing would be sent: {why}.");
    match form {
        Form::Email => CommandOutput::new(said + "\n", exit),
        Form::Q | Form::Slack | Form::Json => CommandOutput::new(String::new(), exit).with_remarks(vec![said]),
    }
}

fn remarks(change: &Change, records: &[Record]) -> Vec<String> {
    let is_known = |record: &Record| record.findings.iter().any(|finding| finding.before.is_some());
    let is_unknown = change.event.call.rewrites_rules() && !records.iter().any(is_known);
    let edited = is_unknown.then(|| EDITED.to_owned());
    [PREVIEW.to_owned()].into_iter().chain(edited).collect()
}

/// The list that a rule names, with what the call put into it.
fn list(rule: &Rule, change: &Change, group: &Group) -> Option<ListRecord> {
    let id = rule.peer.prefix_list()?;
    let gained = match &change.subject {
        Target::PrefixList(change) if change.list == id => change.gained.as_slice(),
        _ => &[],
    };
    Some(ListRecord::new(id, group.list_names.get(id).cloned(), &group.entries_of(id)?.blocks(), gained))
}

fn pretty(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    CommandOutput::json(&value, Exit::Clean).ok().map(|answer| answer.text)
}

fn json(record: &Record) -> Option<String> {
    let message = notice::message(record, None);
    (!record.findings.is_empty()).then(|| pretty(message.record.as_deref()?)).flatten()
}

fn text(form: Form, message: &Message) -> Option<String> {
    let notice = message.notice.as_ref()?;
    match form {
        Form::Email => Some(format!("Subject: {}\n\n{}", notice.subject, email::text(notice))),
        Form::Q => pretty(&q::json(notice, &message.attributes)),
        Form::Slack => pretty(&slack::json(notice)),
        Form::Json => message.record.as_deref().and_then(pretty),
    }
}

/// What the clusters of the groups need and do not have any more, each with the groups that would have to have it.
fn missing(
    change: &Change,
    snapshot: &Snapshot,
    policy: &Policy,
    explained: &[Explained],
) -> Vec<(BTreeSet<String>, Finding)> {
    // The function looks at it once it has closed what is forbidden.
    let left = |Explained { claimed, steps, .. }: &Explained| {
        let is_closed = |rule: &Rule| steps.iter().any(|step| step.intent.closes() && step.finding.rule == *rule);
        let rules = claimed.group.rules.iter().filter(|rule| !is_closed(rule)).cloned().collect();
        Group { rules, ..claimed.group.clone() }
    };
    let changed: Vec<Group> = explained.iter().map(left).collect();
    let topologies = live::topologies(snapshot, &changed.iter().collect::<Vec<_>>());
    let is_its_doing = change.event.call.may_close;
    let of = |topology: &Topology| {
        let unmet = requirement::unmet(policy, topology);
        unmet.iter().map(|unmet| (unmet.groups.clone(), Finding::missing(unmet, is_its_doing))).collect::<Vec<_>>()
    };
    topologies.iter().flat_map(of).collect()
}

/// The record as it would be, had every revoke worked at once.
fn record(
    change: &Change,
    policy: &Policy,
    mode: Mode,
    group: Explained,
    missing: &[(BTreeSet<String>, Finding)],
    taken: Vec<Rule>,
    now: Timestamp,
) -> Record {
    let Explained { claimed, steps, .. } = group;
    let event = &change.event;
    let steps = steps.into_iter().filter(|step| step.finding.verdict > Verdict::Allow);
    let of_it = missing.iter().filter(|(groups, _)| groups.contains(&claimed.group.id));
    let of_it = of_it.map(|(_, finding)| finding.clone());
    let closed_at = event.time.unwrap_or(now);
    let mut findings: Vec<Finding> =
        steps.map(|step| finding(step, change, &claimed.group, closed_at)).chain(of_it).collect();
    worst_first(&mut findings);
    let is_missing = findings.iter().any(Finding::is_missing);
    let mut record = Record::of(&event.location, policy, mode, About::Group(&claimed.group), findings, Some(event));
    if let Some(group) = record.group.as_mut().filter(|_| is_missing) {
        // What the policy forbids nobody is to open again.
        let taken = Group { rules: taken, ..claimed.group };
        group.removed = not_forbidden(policy, &taken, &event.location, now);
    }
    record
}

fn finding(step: Step, change: &Change, group: &Group, now: Timestamp) -> Finding {
    let list = list(&step.finding.rule, change, group);
    let said = step.said_of_revoke();
    let (action, detail) = match step.intent {
        Intent::None => (Action::None, None),
        Intent::Report(why) => (Action::Reported, why),
        Intent::WouldRevoke(why) => (Action::WouldRevoke, Some(why)),
        Intent::Revoke => (Action::Revoked, said),
        Intent::PutBack => (Action::Restored, None),
        Intent::Refuse(why) | Intent::Postpone(why) => (Action::Refused, Some(why)),
    };
    let mut finding = Finding::of_rule(&step.finding, (step.named, step.standing.is_known()), action, detail);
    finding.before = step.former.map(|former| former.rule);
    finding.for_people = step.for_people;
    finding.list = list;
    finding.close(now, &group.rules);
    finding
}
