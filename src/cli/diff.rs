//! `policy diff`: which decisions about real rules another policy changes; without rules, what the policies say (`alone`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::alone;
use crate::cli::answer::{intended, would_be_done};
use crate::cli::claims::{self, Assumed};
use crate::cli::compare::{ComparedPart, Judged, Way, compare, peers, side_for_tools, sides, traffic_for_tools};
use crate::cli::output::{CommandOutput, Exit, Format};
use crate::cli::style::{Style, decision, traffic};
use crate::cli::{input, live, snapshot};
use crate::event::{Actor, Change, Named, Parsed, Trigger, payload};
use crate::model::group::Group;
use crate::model::ids::Location;
use crate::model::region::Traffic;
use crate::model::rule::Rule;
use crate::model::text::{count, plain};
use crate::plan::modes::Modes;
use crate::plan::standing::{Led, Memory};
use crate::plan::{PlanContext, Step, plan};
use crate::policy::judge::JudgedRule;
use crate::policy::model::{Mode, Policy};
use crate::report::notice::rule_in_words;

/// Arguments of `policy diff`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  eks-sg-guard policy diff standard policy.yaml
  eks-sg-guard policy diff standard policy.yaml --events saved-events/ --role node
  eks-sg-guard policy diff policy.yaml strict --snapshot groups.json

A snapshot is a folder of answers as `audit --commands` saves them, or JSON that names groups and
rules as the guard's records do:
  {\"version\": 1, \"account\": \"111122223333\", \"region\": \"us-east-1\", \"groups\": [
    {\"id\": \"sg-0123456789abcdef0\", \"cluster\": \"prod\", \"roles\": [\"node\"], \"rules\": [
      {\"id\": \"sgr-0123456789abcdef0\", \"direction\": \"ingress\", \"protocol\": \"tcp\",
       \"from_port\": 22, \"to_port\": 22, \"peer\": {\"cidr\": \"0.0.0.0/0\"}}]}]}
A group may also have: `name`, `vpc`, `vpc_ranges` and `remote_networks` (blocks), `peers`
({\"sg-…\": [\"node\"]}, groups of the same cluster), `prefix_lists`
({\"pl-…\": [\"203.0.113.0/24\"]}, \"aws:s3\", or null where it could not be read), and
`cluster_role_arns` and `identity_providers` (ARNs, by which a cluster's own callers are known).

Exit codes:
  0  nothing changes    1  could not run    2  decisions change    3  a policy is invalid")]
pub(super) struct Arguments {
    /// The policy as it is: a file, or the name of a built-in policy.
    old: String,
    /// The policy as it would be.
    new: String,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    assumed: Assumed,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// Where the real rules come from. Without any the policies are compared alone, on what they say.
#[derive(Args)]
#[group(multiple = false)]
struct Rules {
    /// A directory of events (*.json, also below it), or one event; rules are judged as the events describe them.
    #[arg(long, value_name = "DIR")]
    events: Option<PathBuf>,
    /// A snapshot of groups.
    #[arg(long, value_name = "FILE", conflicts_with = "Assumed")]
    snapshot: Option<PathBuf>,
}

/// What both policies said, so far.
#[derive(Default)]
struct Compared {
    decisions: usize,
    changes: Vec<Changed>,
    /// Files that name no rule, and why.
    skipped: Vec<(String, String)>,
}

/// One rule whose decision changes.
struct Changed {
    /// The file and group it is from.
    file: String,
    group: String,
    name: String,
    rule: Rule,
    old: Step,
    new: Step,
    way: Way,
    parts: Vec<ComparedPart>,
}

pub(super) fn run(arguments: &Arguments, style: Style) -> anyhow::Result<CommandOutput> {
    let now = Timestamp::now();
    let (old, new) = (input::policy(&arguments.old, now)?, input::policy(&arguments.new, now)?);
    if arguments.rules.events.is_none() && arguments.rules.snapshot.is_none() {
        return alone::run([&old, &new], arguments.format, style, now);
    }
    let mut compared = Compared::default();
    match (&arguments.rules.events, &arguments.rules.snapshot) {
        (Some(events), _) => {
            for path in input::files(events, &["json"])? {
                match event(&path) {
                    Ok(change) => compared.event(&path, &change, [&old, &new], &arguments.assumed, now),
                    Err(why) => compared.skipped.push((input::shown(&path), why)),
                }
            }
        }
        (None, Some(path)) => compared.snapshot(path, [&old, &new], now)?,
        (None, None) => {}
    }
    if compared.decisions == 0 {
        let why = compared.skipped.first().map(|(file, why)| format!("; `{file}`: {why}")).unwrap_or_default();
        anyhow::bail!("there is no rule to compare the policies on{why}");
    }
    let exit = if compared.changes.is_empty() { Exit::Clean } else { Exit::Findings };
    match arguments.format {
        Format::Text => Ok(CommandOutput::new(in_words(&compared, [&old, &new], style), exit)),
        Format::Json => CommandOutput::answer("policy diff", &for_tools(&compared, [&old, &new]), exit),
    }
}

/// The change that an event describes, or why there is none.
fn event(path: &Path) -> Result<Change, String> {
    let payload = input::json(path, "event").map_err(|error| plain(&format!("{error:#}")))?;
    match payload::parse(&payload) {
        Ok(Parsed::Trigger(Trigger::Change(change))) => Ok(change),
        Ok(Parsed::Trigger(Trigger::Sweep { .. } | Trigger::Lost)) => Err("a sweep names no rule".to_owned()),
        Ok(Parsed::Ignored(reason)) => Err(plain(&reason)),
        Err(error) => Err(plain(&error.to_string())),
    }
}

impl Compared {
    fn event(&mut self, path: &Path, change: &Change, policies: [&Policy; 2], assumed: &Assumed, now: Timestamp) {
        let file = input::shown(path);
        let (location, actor) = (&change.event.location, Some(&change.event.actor));
        let [old, new] = policies.map(|policy| {
            let claimed = claims::groups(change, &[], policy, assumed).into_iter();
            let steps = claimed.map(|claimed| {
                let steps = steps(policy, &claimed.group, location, actor, &claimed.named, now);
                (claimed.group, steps)
            });
            steps.collect::<Vec<_>>()
        });
        let before = self.decisions;
        for (old, new) in old.into_iter().zip(new) {
            self.add(&file, policies, [old, new]);
        }
        if self.decisions == before {
            self.skipped.push((file, "the event describes no rule that could be judged".to_owned()));
        }
    }

    fn snapshot(&mut self, path: &Path, policies: [&Policy; 2], now: Timestamp) -> anyhow::Result<()> {
        let file = input::shown(path);
        let snapshot = snapshot::read(path)?;
        let location = Location::new(&snapshot.account, &snapshot.region);
        for group in &snapshot.groups {
            let sides = policies.map(|policy| {
                let group = live::configured(policy, group);
                let steps = steps(policy, &group, &location, None, &Named::Nothing, now);
                (group, steps)
            });
            self.add(&file, policies, sides);
        }
        Ok(())
    }

    fn add(&mut self, file: &str, policies: [&Policy; 2], [old, new]: [(Group, Vec<Step>); 2]) {
        let ((old_group, old), (new_group, new)) = (old, new);
        for (old, new) in old.into_iter().zip(new) {
            self.decisions += 1;
            let [before, after] = policies;
            let before = Judged { policy: before, group: &old_group, finding: &old.finding };
            let after = Judged { policy: after, group: &new_group, finding: &new.finding };
            if let Some((way, parts)) = compare(before, after) {
                let (file, group, name) = (file.to_owned(), plain(&new_group.id), plain(&new_group.name));
                let rule = new.finding.rule.clone();
                self.changes.push(Changed { file, group, name, rule, old, new, way, parts });
            }
        }
    }

    fn many(&self, way: Way) -> usize {
        self.changes.iter().filter(|change| change.way == way).count()
    }
}

/// What would be done about each rule of the group.
fn steps(
    policy: &Policy,
    group: &Group,
    location: &Location,
    actor: Option<&Actor>,
    named: &Named,
    now: Timestamp,
) -> Vec<Step> {
    let modes = Modes::new(Mode::Enforce, Mode::Enforce);
    let (led, memory) = (Led::Named, &Memory::None);
    plan(PlanContext { policy, location, now, modes, actor, named, led, memory }, group)
}

fn in_words(compared: &Compared, [old, new]: [&Policy; 2], style: Style) -> String {
    let mut out = format!("Policy `{}` -> `{}`\n", plain(&old.name), plain(&new.name));
    let mut last = None;
    for change in &compared.changes {
        let position = (&change.file, &change.group);
        if last != Some(position) {
            let name = if change.name.is_empty() { String::new() } else { format!(" ({})", change.name) };
            let _ = writeln!(out, "\n{}", style.bold(&format!("{}: {}{name}", change.file, change.group)));
            last = Some(position);
        }
        let way = format!("{:<9}", change.way.word());
        let way = match change.way {
            Way::Stricter => style.bad(&way),
            Way::Milder => style.good(&way),
            Way::Same => way,
        };
        let _ = writeln!(out, "  {way}  {}", rule_in_words(&change.rule));
        let says = |step: &Step| {
            let JudgedRule { verdict, severity, .. } = step.finding;
            style.of(verdict, &decision(verdict, severity))
        };
        let (old, new) = (&change.old, &change.new);
        let _ = match change.way {
            Way::Same => writeln!(out, "             {}, as before; some of its parts change", says(new)),
            _ => writeln!(out, "             {} -> {}", says(old), says(new)),
        };
        if old.intent != new.intent {
            let (old, new) = (would_be_done(&old.intent), would_be_done(&new.intent));
            let _ = writeln!(out, "             {old} -> {new}");
        }
        for part in &change.parts {
            let what = traffic(&part.traffic, &Traffic::from(change.rule.packets));
            let _ = writeln!(out, "               {what} ({}): {}", peers(part), sides(part));
        }
    }
    if !compared.skipped.is_empty() {
        let _ = writeln!(out, "\n{} without a rule to compare on", count(compared.skipped.len(), "file"));
        for (file, why) in &compared.skipped {
            let _ = writeln!(out, "  - {file}: {why}");
        }
    }
    let ways = Way::ALL.map(|way| (compared.many(way), if way == Way::Same { "in parts alone" } else { way.word() }));
    let ways: Vec<String> = ways.iter().filter(|(n, _)| *n > 0).map(|(n, way)| format!("{n} {way}")).collect();
    let ways = if ways.is_empty() { String::new() } else { format!(": {}", ways.join(", ")) };
    let _ = writeln!(out, "\n{} of {} change{ways}", compared.changes.len(), count(compared.decisions, "decision"));
    out
}

fn for_tools(compared: &Compared, [old, new]: [&Policy; 2]) -> Value {
    let part = |part: &ComparedPart| {
        json!({
            "traffic": traffic_for_tools(&part.traffic), "peer_class": part.peer_class.word(),
            "addresses": part.addresses, "old": side_for_tools(&part.old), "new": side_for_tools(&part.new),
        })
    };
    let whole = |step: &Step| {
        let JudgedRule { verdict, severity, .. } = step.finding;
        json!({"verdict": verdict, "severity": severity, "intent": intended(&step.intent).0})
    };
    let change = |change: &Changed| {
        json!({
            "file": change.file, "group": change.group, "name": change.name, "rule": change.rule,
            "way": change.way.word(), "old": whole(&change.old), "new": whole(&change.new),
            "parts": change.parts.iter().map(part).collect::<Vec<_>>(),
        })
    };
    let skipped = compared.skipped.iter().map(|(file, why)| json!({"file": file, "reason": why}));
    json!({
        "old": {"policy": old.name, "policy_hash": old.hash},
        "new": {"policy": new.name, "policy_hash": new.hash},
        "decisions": compared.decisions,
        "changes": compared.changes.iter().map(change).collect::<Vec<_>>(),
        "skipped": skipped.collect::<Vec<_>>(),
    })
}
