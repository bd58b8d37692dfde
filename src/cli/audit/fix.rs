//! `audit --fix`: closes what an audit found, after it was shown and agreed to, as the function closes it.
//!
//! Must not: judge, or order effects (the guard does both, and looks at each group once more).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use aws_config::SdkConfig;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::fixing::Fixing;
use crate::adapters::clock::SystemClock;
use crate::adapters::connect::{self, Connection};
use crate::adapters::table::Table;
use crate::audit::fix::{self, Agreed, WriteDown};
use crate::audit::report::{Audit, AuditFinding};
use crate::audit::undo::AboutTo;
use crate::cli::ask;
use crate::cli::caller::{self, Caller};
use crate::cli::identity::Identity;
use crate::cli::input::shown;
use crate::cli::output::Exit;
use crate::event::Trigger;
use crate::guard::Guard;
use crate::guard::round::{Attempt, Round};
use crate::model::error::chain;
use crate::model::ids::{Arn, Location};
use crate::model::rule::Rule;
use crate::model::text::{count, plain};
use crate::policy::model::Policy;
use crate::ports::{Ports, StateStore};
use crate::report::finding::Finding;
use crate::report::metrics::Metrics;
use crate::report::record::Record;

/// Groups that are looked at together.
const MAX_GROUPS: usize = 100;

/// Where records go as soon as each is complete: the guard's log is a plain function.
static LOG: Mutex<Option<Log>> = Mutex::new(None);

struct Log {
    file: File,
    records: Vec<Record>,
    /// That one could not be written.
    trouble: Option<String>,
}

fn with_log<T>(f: impl FnOnce(&mut Option<Log>) -> T) -> T {
    f(&mut LOG.lock().unwrap_or_else(PoisonError::into_inner))
}

fn record_log(record: &Record) {
    with_log(|log| {
        if let Some(log) = log {
            if let Err(error) = line(&mut log.file, &json!(record)) {
                log.trouble.get_or_insert(error.to_string());
            }
            log.records.push(record.clone());
        }
    });
}

/// One line, on the disk before anything follows.
fn line(file: &mut File, value: &Value) -> io::Result<()> {
    file.write_all(format!("{value}\n").as_bytes())?;
    file.sync_data()
}

fn write_down(location: &Location, group: &str, rules: &[&Rule]) -> Result<(), String> {
    let rules = rules.iter().map(|rule| (*rule).clone()).collect();
    let Location { account, region } = location.clone();
    let about =
        json!({"about_to_revoke": AboutTo { account, region, group: group.to_owned(), rules }, "at": Timestamp::now()});
    with_log(|log| match log {
        Some(log) => line(&mut log.file, &about).map_err(|error| error.to_string()),
        None => Err("there is no file".to_owned()),
    })
}

/// What came of it.
pub(super) struct Fixed {
    pub(super) text: String,
    /// The same for tools.
    pub(super) json: Value,
    pub(super) exit: Exit,
}

/// Shows, asks, closes. `otherwise`: the exit code where nothing is to be closed.
pub(super) fn run(
    (identity, fixing): (&Identity, &Fixing),
    audit: &Audit,
    policy: &Policy,
    otherwise: Exit,
) -> anyhow::Result<Fixed> {
    let plan = fix::plan(audit);
    let many: usize = plan.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum();
    let nothing = |text: &str, exit| Fixed { text: format!("{text}\n"), json: for_tools(&plan, &[], None), exit };
    if many == 0 {
        return Ok(nothing("Nothing is to be closed.", otherwise));
    }
    ask::show(&format!("To be revoked:\n{}", listed(audit, &plan)));
    if !ask::agreed(&format!("Revoke {}?", count(many, "rule")), fixing.yes)? {
        return Ok(nothing("Nothing was changed.", Exit::Findings));
    }
    let path = fixing.records.clone().unwrap_or_else(|| {
        let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        PathBuf::from(format!("eks-sg-guard-fix-{now}.jsonl"))
    });
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("records cannot be written to `{}`", shown(&path)))?;
    with_log(|log| *log = Some(Log { file, records: Vec::new(), trouble: None }));
    let done = caller::answered(Box::pin(close((identity, fixing), policy, &plan)))?;
    let Some(log) = with_log(Option::take) else { bail!("the records are gone") };
    let mut problems = done?;
    problems.extend(log.trouble.map(|why| format!("a record could not be written to `{}`: {why}", shown(&path))));
    let mut text = String::new();
    let mut is_all = true;
    for (group, rule) in
        plan.values().flatten().flat_map(|(group, rules)| rules.values().map(move |rule| (group, rule)))
    {
        let finding = became(&log.records, group, rule);
        let (word, detail) = match finding {
            Some(finding) => (finding.action.word(), finding.detail.as_deref().map(plain)),
            None => ("left", Some(left(audit, group, rule))),
        };
        is_all &= finding.is_some_and(|finding| finding.action.says_gone());
        let detail = detail.map(|why| format!(": {why}")).unwrap_or_default();
        let _ = writeln!(text, "{word:<13} {} on {}{detail}", ask::rule_in_words(rule), plain(group));
    }
    for problem in &problems {
        let _ = writeln!(text, "not done      {}", plain(problem));
    }
    let _ = writeln!(
        text,
        "\nThe records are in {0}; this opens what was closed again:\n  eks-sg-guard undo {0}",
        shown(&path)
    );
    let exit = match (is_all, problems.is_empty()) {
        (false, _) => Exit::Findings,
        (true, false) => Exit::CouldNotRun,
        (true, true) => Exit::Clean,
    };
    Ok(Fixed { text, json: for_tools(&plan, &log.records, Some(&path)), exit })
}

fn for_tools(plan: &BTreeMap<Location, Agreed>, records: &[Record], file: Option<&PathBuf>) -> Value {
    let planned = plan.iter().flat_map(|(location, agreed)| {
        agreed.iter().map(move |(group, rules)| {
            let rules: Vec<&Rule> = rules.values().collect();
            json!({"account": location.account, "region": location.region, "group": group, "rules": rules})
        })
    });
    let planned: Vec<Value> = planned.collect();
    json!({"plan": planned, "records": records, "record_file": file})
}

fn listed(audit: &Audit, plan: &BTreeMap<Location, Agreed>) -> String {
    let mut text = String::new();
    for found in &audit.locations {
        let Some(agreed) = plan.get(&found.location) else { continue };
        let place = format!("account {}, {}", plain(&found.location.account), plain(&found.location.region));
        for finding in &found.findings {
            let (Some(rule), Some(group)) = (&finding.rule, &finding.group) else { continue };
            if !agreed.get(&group.id).is_some_and(|rules| rules.contains_key(&rule.id)) {
                continue;
            }
            let name = group.name.as_deref().map(plain).unwrap_or_default();
            let clusters: Vec<String> = finding.clusters.iter().map(|name| plain(name)).collect();
            let _ = writeln!(
                text,
                "  {} on {} {name} of {} ({place})",
                ask::rule_in_words(rule),
                plain(&group.id),
                clusters.join(", ")
            );
            let _ = writeln!(text, "    `{}`: {}", plain(finding.check_id()), plain(&finding.reason));
        }
    }
    text
}

/// A look at one group shows less than one at everything: whose a group without attachments is, nothing may say.
fn left(audit: &Audit, group: &str, rule: &Rule) -> String {
    let is_it = |found: &&AuditFinding| {
        found.group.as_ref().is_some_and(|known| known.id == group)
            && found.rule.as_ref().is_some_and(|known| known.id == rule.id)
    };
    let by_hand = audit.findings().find(is_it).and_then(|found| found.fix.as_deref()).unwrap_or("audit again");
    format!("it is allowed by now, or only a look at everything shows whose its group is; by hand: {by_hand}")
}

/// What became of a rule, says the last record that speaks of it.
fn became<'r>(records: &'r [Record], group: &str, rule: &Rule) -> Option<&'r Finding> {
    let of_group = records.iter().rev().filter(|record| record.group.as_ref().is_some_and(|known| known.id == group));
    let mut findings = of_group.flat_map(|record| &record.findings);
    findings.find(|finding| finding.rule().is_some_and(|found| found.id == rule.id))
}

/// What was not done.
async fn close(
    (identity, fixing): (&Identity, &Fixing),
    policy: &Policy,
    plan: &BTreeMap<Location, Agreed>,
) -> anyhow::Result<Vec<String>> {
    let caller = Caller::of(identity).await?;
    let metrics = Arc::new(Metrics::default());
    let mut problems = Vec::new();
    for (location, agreed) in plan {
        let config = caller.config_in(&location.region).await;
        let account = caller.account(&config).await?;
        if account != location.account {
            bail!("these credentials are of account {account}, and the plan is for {}", plain(&location.account));
        }
        let connection = Connection::new(&config, &metrics);
        let state = fixing.state_table.as_ref().map(|name| table(name, caller.own(), location, &metrics));
        let (ec2, eks, clock) = (Arc::new(connection.ec2), Arc::new(connection.eks), Arc::new(SystemClock));
        let ports = Ports { state, record_log, ..Ports::to_aws_alone(ec2, eks, clock, Arc::clone(&metrics)) };
        let there = location.clone();
        let write_down: WriteDown = Arc::new(move |group, rules| write_down(&there, group, rules));
        let guard = Guard::new(fix::setup(ports, policy, location, agreed, write_down));
        let ids: Vec<String> = agreed.keys().cloned().collect();
        for groups in ids.chunks(MAX_GROUPS) {
            let sweep = Trigger::Sweep { groups: groups.to_vec() };
            let look = guard.look(&sweep, Round::first(Attempt::First, Timestamp::MAX));
            if let Err(error) = Box::pin(look).await {
                problems.push(chain(&error));
            }
        }
    }
    Ok(problems)
}

/// The guard's table, which is where the guard is: asked without the role.
fn table(name: &str, config: &SdkConfig, location: &Location, metrics: &Arc<Metrics>) -> Arc<dyn StateStore> {
    let own = config.region().map_or(location.region.as_str(), |region| region.as_ref());
    let region = Arn::parse(name).map_or(own, |arn| arn.region);
    let connection = Connection::new(&connect::in_region(config, region), metrics);
    Arc::new(Table::new(connection.dynamodb, name, location.clone(), Arc::new(SystemClock)))
}
