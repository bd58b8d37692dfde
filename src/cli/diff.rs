//! `policy diff`: which decisions about real rules another policy changes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::claims::{self, Assumed};
use crate::cli::compare::{ComparedPart, Side, Way, compare};
use crate::cli::output::{CommandOutput, Exit, Format};
use crate::cli::style::{Style, decision, traffic};
use crate::cli::{input, snapshot};
use crate::event::{Change, Named, Parsed, Trigger, payload};
use crate::guard::plan::{Modes, PlanContext, plan};
use crate::model::group::{Evidence, Group, RoleEvidence};
use crate::model::ids::Location;
use crate::model::region::Traffic;
use crate::model::rule::Rule;
use crate::model::text::{count, plain};
use crate::policy::judge::JudgedRule;
use crate::policy::model::{Mode, Policy};
use crate::report::notice::rule_in_words;

/// Arguments of `policy diff`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  eks-sg-guard policy diff standard policy.yaml --events saved-events/ --role node
  eks-sg-guard policy diff policy.yaml strict --snapshot groups.json

A snapshot is JSON that names groups and rules as the guard's records do:
  {\"version\": 1, \"account\": \"111122223333\", \"region\": \"us-east-1\", \"groups\": [
    {\"id\": \"sg-0123456789abcdef0\", \"cluster\": \"prod\", \"roles\": [\"node\"], \"rules\": [
      {\"id\": \"sgr-0123456789abcdef0\", \"direction\": \"ingress\", \"protocol\": \"tcp\",
       \"from_port\": 22, \"to_port\": 22, \"peer\": {\"cidr\": \"0.0.0.0/0\"}}]}]}
A group may also have: `name`, `vpc`, `vpc_ranges` and `remote_networks` (blocks), `peers`
({\"sg-…\": [\"node\"]}, groups of the same cluster) and `prefix_lists`
({\"pl-…\": [\"203.0.113.0/24\"]}, \"aws:s3\", or null where it could not be read).

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

/// Where the real rules come from.
#[derive(Args)]
#[group(required = true, multiple = false)]
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
    rule: Rule,
    old: JudgedRule,
    new: JudgedRule,
    way: Way,
    parts: Vec<ComparedPart>,
}

pub(super) fn run(arguments: &Arguments, style: Style) -> anyhow::Result<CommandOutput> {
    let now = Timestamp::now();
    let (old, new) = (input::policy(&arguments.old, now)?, input::policy(&arguments.new, now)?);
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
        (None, None) => anyhow::bail!("name the rules to compare on: `--events DIR` or `--snapshot FILE`"),
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
        Ok(Parsed::Trigger(Trigger::Sweep { .. })) => Err("a sweep names no rule".to_owned()),
        Ok(Parsed::Ignored(reason)) => Err(plain(&reason)),
        Err(error) => Err(plain(&error.to_string())),
    }
}

impl Compared {
    fn event(&mut self, path: &Path, change: &Change, policies: [&Policy; 2], assumed: &Assumed, now: Timestamp) {
        let file = input::shown(path);
        let [old, new] = policies.map(|policy| {
            let claimed = claims::groups(change, policy, assumed).into_iter();
            let findings = claimed.map(|claimed| findings(policy, &claimed.group, change, &claimed.named, now));
            findings.collect::<Vec<_>>()
        });
        let before = self.decisions;
        for ((touched, old), new) in change.touched().iter().zip(old).zip(new) {
            self.add(&file, touched.group.text(), old, new);
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
            let [old, new] = policies.map(|policy| {
                let group = configured(policy, group);
                context(policy, &group, &location, None, &Named::Nothing, now)
            });
            self.add(&file, &group.id, old, new);
        }
        Ok(())
    }

    fn add(&mut self, file: &str, group: &str, old: Vec<JudgedRule>, new: Vec<JudgedRule>) {
        for (old, new) in old.into_iter().zip(new) {
            self.decisions += 1;
            if let Some((way, parts)) = compare(&old, &new) {
                let (file, group, rule) = (file.to_owned(), plain(group), new.rule.clone());
                self.changes.push(Changed { file, group, rule, old, new, way, parts });
            }
        }
    }

    fn many(&self, way: Way) -> usize {
        self.changes.iter().filter(|change| change.way == way).count()
    }
}

fn findings(policy: &Policy, group: &Group, change: &Change, named: &Named, now: Timestamp) -> Vec<JudgedRule> {
    context(policy, group, &change.event.location, Some(&change.event.actor), named, now)
}

fn context(
    policy: &Policy,
    group: &Group,
    location: &Location,
    actor: Option<&crate::event::Actor>,
    named: &Named,
    now: Timestamp,
) -> Vec<JudgedRule> {
    let modes = Modes::new(Mode::Enforce, Mode::Enforce);
    let context = PlanContext { policy, location, now, modes, actor, named };
    plan(context, group).into_iter().map(|step| step.finding).collect()
}

/// The group with what the policy itself says of it.
fn configured(policy: &Policy, group: &Group) -> Group {
    let mut group = group.clone();
    for entry in policy.groups.iter().filter(|entry| entry.id == group.id) {
        group.clusters.insert(entry.cluster.clone());
        group.roles.push(RoleEvidence { role: entry.role, evidence: Evidence::Configured, strong: true });
    }
    for (id, known) in claims::peers(policy, &group.clusters) {
        let peer = group.peers.entry(id).or_default();
        peer.same_cluster = true;
        peer.roles.extend(known.roles);
    }
    group
}

fn in_words(compared: &Compared, [old, new]: [&Policy; 2], style: Style) -> String {
    let mut out = format!("Policy `{}` -> `{}`\n", plain(&old.name), plain(&new.name));
    let mut last = None;
    for change in &compared.changes {
        let position = (&change.file, &change.group);
        if last != Some(position) {
            let _ = writeln!(out, "\n{}", style.bold(&format!("{}: {}", change.file, change.group)));
            last = Some(position);
        }
        let way = format!("{:<9}", change.way.word());
        let way = match change.way {
            Way::Stricter => style.bad(&way),
            Way::Milder => style.good(&way),
            Way::Both => style.doubtful(&way),
        };
        let _ = writeln!(out, "  {way}  {}", rule_in_words(&change.rule));
        let says = |finding: &JudgedRule| style.of(finding.verdict, &decision(finding.verdict, finding.severity));
        let _ = writeln!(out, "             {} -> {}", says(&change.old), says(&change.new));
        for part in &change.parts {
            let (old, new) = (side_in_words(&part.old), side_in_words(&part.new));
            let what = traffic(&part.traffic, &Traffic::from(change.rule.packets));
            let _ = writeln!(out, "               {what} ({}): {old} -> {new}", part.peer_class.word());
        }
    }
    if !compared.skipped.is_empty() {
        let _ = writeln!(out, "\n{} without a rule to compare on", count(compared.skipped.len(), "file"));
        for (file, why) in &compared.skipped {
            let _ = writeln!(out, "  - {file}: {why}");
        }
    }
    let ways = [Way::Stricter, Way::Milder, Way::Both].map(|way| (compared.many(way), way.word()));
    let ways: Vec<String> = ways.iter().filter(|(n, _)| *n > 0).map(|(n, way)| format!("{n} {way}")).collect();
    let ways = if ways.is_empty() { String::new() } else { format!(": {}", ways.join(", ")) };
    let _ = writeln!(out, "\n{} of {} change{ways}", compared.changes.len(), count(compared.decisions, "decision"));
    out
}

/// ``revoke (high) by `ssh` ``.
fn side_in_words(side: &Side) -> String {
    let (verdict, severity) = side.decision;
    format!("{} by `{}`", decision(verdict, severity), side.clauses.join("`, `"))
}

fn for_tools(compared: &Compared, [old, new]: [&Policy; 2]) -> Value {
    let side = |side: &Side| json!({"verdict": side.decision.0, "severity": side.decision.1, "clauses": side.clauses});
    let part = |part: &ComparedPart| {
        let traffic = part.traffic.by_protocol().into_iter();
        let traffic: Vec<_> = traffic.map(|(protocol, ports)| json!({"protocol": protocol, "ports": ports})).collect();
        json!({"traffic": traffic, "peer_class": part.peer_class.word(), "old": side(&part.old), "new": side(&part.new)})
    };
    let whole = |finding: &JudgedRule| json!({"verdict": finding.verdict, "severity": finding.severity});
    let change = |change: &Changed| {
        json!({
            "file": change.file, "group": change.group, "rule": change.rule, "way": change.way.word(),
            "old": whole(&change.old), "new": whole(&change.new),
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
