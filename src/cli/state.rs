//! `state show`: what the guard's table says of a group, and so which of its rules are known.
//!
//! Must not: talk to AWS (it reads what somebody saved), or decide what is new (the guard's `standing` does).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::input;
use crate::cli::output::{CommandOutput, Exit, Format};
use crate::model::baseline::{Baseline, KnownRule, LocationState, Mark};
use crate::model::hour::Hour;
use crate::model::member::{Member, Members};
use crate::model::text::{count, plain};
use crate::report::notice::rule_in_words;

/// Arguments of `state show`.
#[derive(Args)]
#[command(after_help = "\
The table is that of GUARD_STATE_TABLE. Save what it holds, with rights to read it, and ask:
  aws dynamodb scan --table-name TABLE --output json > state.json
  eks-sg-guard state show sg-0123456789abcdef0 --from state.json

A rule is known if the list holds its id with the same content. Every other rule is new: it follows
GUARD_MODE, known ones follow GUARD_SWEEP_MODE.")]
pub(super) struct Arguments {
    /// The group, `sg-…`.
    group: String,
    /// What `aws dynamodb scan`, `batch-get-item` or `get-item` printed.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

pub(super) fn run(arguments: &Arguments, now: Timestamp) -> anyhow::Result<CommandOutput> {
    let group = &arguments.group;
    let Some(from) = &arguments.from else {
        bail!(
            "name what the table holds with `--from`; save it with `aws dynamodb scan --table-name TABLE --output json > \
             state.json`"
        );
    };
    let found = entries(&items(&input::json(from, "saved table")?)?, group);
    match arguments.format {
        Format::Json => {
            let locations: Vec<Value> = found.iter().map(Entry::json).collect();
            CommandOutput::answer("state show", &json!({"group": group, "locations": locations}), Exit::Clean)
        }
        Format::Text => {
            let mut text = String::new();
            for entry in &found {
                entry.write(&mut text, group, now)?;
            }
            if found.is_empty() {
                writeln!(text, "Nothing is known of {}: no complete look saw it.", plain(group))?;
            }
            Ok(CommandOutput::new(text, Exit::Clean))
        }
    }
}

/// What is said of the group in one account and region.
#[derive(Default)]
struct Entry {
    location: String,
    at: LocationState,
    /// The VPC of whose last complete look it was.
    vpc: Option<String>,
    baseline: Option<Baseline>,
    members: Members,
    hour: Hour,
}

/// The states of the table by their keys.
fn items(saved: &Value) -> anyhow::Result<BTreeMap<String, String>> {
    let responses = saved.get("Responses").and_then(Value::as_object);
    let lists = responses.into_iter().flat_map(|tables| tables.values()).chain(saved.get("Items"));
    let items: Vec<&Value> = lists.filter_map(Value::as_array).flatten().chain(saved.get("Item")).collect();
    if items.is_empty() && saved.get("Items").is_none() && responses.is_none() {
        bail!("expected what `aws dynamodb scan --output json` prints, with `Items`; save the table with that command");
    }
    let text = |item: &Value, key: &str| item.get(key)?.get("S")?.as_str().map(str::to_owned);
    Ok(items.into_iter().filter_map(|item| Some((text(item, "pk")?, text(item, "state")?))).collect())
}

fn state<T: DeserializeOwned>(items: &BTreeMap<String, String>, key: &str) -> Option<T> {
    serde_json::from_str(items.get(key)?).ok()
}

fn entries(items: &BTreeMap<String, String>, group: &str) -> Vec<Entry> {
    let locations: BTreeSet<(&str, &str)> = items
        .keys()
        .filter_map(|key| {
            let mut parts = key.split('#').skip(1);
            Some((parts.next()?, parts.next()?))
        })
        .collect();
    let entry = |(account, region): (&str, &str)| {
        let key = |kind: &str, of: &str| format!("{kind}#{account}#{region}{of}");
        let of_group = |kind: &str| key(kind, &format!("#{group}"));
        let looks = key("look", "#");
        let saw = |(key, _): &(&String, &String)| {
            state::<BTreeSet<String>>(items, key).is_some_and(|ids| ids.contains(group))
        };
        let vpc = items.iter().filter(|(key, _)| key.starts_with(&looks)).find(saw);
        let entry = Entry {
            location: format!("{account}/{region}"),
            at: state(items, &key("location", "")).unwrap_or_default(),
            vpc: vpc.and_then(|(key, _)| key.strip_prefix(&looks)).map(str::to_owned),
            baseline: state(items, &of_group("baseline")),
            members: state(items, &of_group("member")).unwrap_or_default(),
            hour: state(items, &key("hour", "")).unwrap_or_default(),
        };
        (entry.vpc.is_some() || entry.baseline.is_some() || !entry.members.is_empty()).then_some(entry)
    };
    locations.into_iter().filter_map(entry).collect()
}

impl Entry {
    fn json(&self) -> Value {
        json!({
            "location": self.location,
            "began": self.at.began,
            "vpc": self.vpc,
            "looked_at": self.looked_at(),
            "members": self.members,
            "baseline": self.baseline,
        })
    }

    fn looked_at(&self) -> Option<Timestamp> {
        self.at.looks.get(self.vpc.as_deref()?).copied()
    }

    fn write(&self, to: &mut String, group: &str, now: Timestamp) -> anyhow::Result<()> {
        writeln!(to, "{} in {}", plain(group), plain(&self.location))?;
        if let Some(began) = self.at.began {
            writeln!(to, "  The guard began here on {began}.")?;
        }
        match (&self.vpc, self.looked_at()) {
            (Some(vpc), Some(at)) => {
                let hours = now.duration_since(at).as_hours();
                writeln!(
                    to,
                    "  {} was last looked at completely on {at}, {} ago, and the group was there.",
                    plain(vpc),
                    count(usize::try_from(hours).unwrap_or(0), "hour")
                )?;
            }
            _ => writeln!(to, "  No complete look saw it yet, so what no event created is known.")?,
        }
        for (cluster, member) in &self.members {
            writeln!(to, "  {}", of_cluster(cluster, member))?;
        }
        let Some(baseline) = &self.baseline else {
            writeln!(to, "  No rule of it is remembered.")?;
            return Ok(());
        };
        writeln!(
            to,
            "  {}; every other rule, and each of these in another content, is new:",
            count(baseline.rules.len(), "known rule")
        )?;
        for known in baseline.rules.values() {
            writeln!(to, "    {}", self.rule(known))?;
        }
        for (list, entries) in &baseline.lists {
            let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
            writeln!(to, "  {} was known with {}: {}", plain(list), count(entries.len(), "block"), entries.join(", "))?;
        }
        Ok(())
    }

    fn rule(&self, known: &KnownRule) -> String {
        let KnownRule { rule, mark, missed, author, .. } = known;
        let mut line = plain(&rule_in_words(rule));
        let mut why = Vec::new();
        match mark {
            Some(Mark::Reporting) => why.push("it came while the guard only reported".to_owned()),
            Some(Mark::Claimed(_)) => {
                why.push("only tags said whose the group was: new again when it gains more".to_owned());
            }
            None => {}
        }
        why.extend(author.as_deref().map(|author| format!("written by: {}", plain(author))));
        if *missed > 0 {
            why.push("the last complete look was without it".to_owned());
        }
        if self.hour.refuses(&rule.id, 0) {
            why.push("refused: beyond the limit of its hour".to_owned());
        }
        if !why.is_empty() {
            let _ = write!(line, " ({})", why.join("; "));
        }
        line
    }
}

fn of_cluster(cluster: &str, member: &Member) -> String {
    let roles: Vec<&str> = member.roles.iter().map(|role| role.word()).collect();
    let roles = if roles.is_empty() { "named by EKS".to_owned() } else { roles.join(", ") };
    let evidence = if member.is_proven { "proven" } else { "corroborated" };
    format!("Of cluster {}: {roles}, {evidence}; since {}, last seen {}.", plain(cluster), member.since, member.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::baseline::Context;
    use crate::model::rule::{Direction, Packets, Peer, Rule};

    fn saved() -> Value {
        let world = Peer::cidr("0.0.0.0/0").unwrap();
        let rule = Rule { id: "sgr-1".into(), ..Rule::new(Direction::Ingress, Packets::Tcp(22, 22), world) };
        let known = KnownRule {
            rule,
            context: Context::default(),
            mark: Some(Mark::Reporting),
            author: Some("controller".into()),
            missed: 1,
        };
        let baseline = Baseline { rules: [("sgr-1".to_owned(), known)].into(), ..Baseline::default() };
        let item = |key: &str, state: Value| {
            let state = state.to_string();
            json!({"pk": {"S": key}, "state": {"S": state}, "version": {"N": "3"}})
        };
        let at = "2026-11-01T00:00:00Z";
        json!({"Count": 5, "Items": [
            item("location#111122223333#us-east-1", json!({"began": at, "looks": {"vpc-1": "2026-11-23T00:00:00Z"}})),
            item("look#111122223333#us-east-1#vpc-1", json!(["sg-1", "sg-2"])),
            item("baseline#111122223333#us-east-1#sg-1", json!(baseline)),
            item("member#111122223333#us-east-1#sg-1", json!({"prod": {"created_at": null, "roles": ["node"],
                "is_proven": true, "since": at, "at": at}})),
            {"pk": {"S": "event#0"}, "expires": {"N": "1"}},
            {"pk": {"S": "baseline#111122223333#us-east-1#sg-2"}, "state": {"S": "{"}},
        ]})
    }

    fn said(group: &str) -> String {
        let mut text = String::new();
        for entry in entries(&items(&saved()).unwrap(), group) {
            entry.write(&mut text, group, "2026-11-23T05:00:00Z".parse().unwrap()).unwrap();
        }
        text
    }

    #[test]
    fn it_says_since_when_and_why_a_rule_is_known() {
        let text = said("sg-1");
        for part in [
            "sg-1 in 111122223333/us-east-1",
            "began here on 2026-11-01T00:00:00Z",
            "vpc-1 was last looked at completely on 2026-11-23T00:00:00Z, 5 hours ago",
            "Of cluster prod: node, proven",
            "1 known rule;",
            "TCP 22 from anywhere (0.0.0.0/0), rule sgr-1 (it came while the guard only reported; written by: controller;",
        ] {
            assert!(text.contains(part), "`{part}` is missing:\n{text}");
        }
        assert!(said("sg-2").contains("No rule of it is remembered"), "a garbled item is none: {}", said("sg-2"));
        assert_eq!(said("sg-3"), "");
    }

    #[test]
    fn what_is_no_table_is_refused_with_the_command_that_saves_one() {
        for wrong in [json!([]), json!({}), json!({"SecurityGroups": []}), json!("x")] {
            assert!(items(&wrong).unwrap_err().to_string().contains("aws dynamodb scan"), "{wrong}");
        }
        assert!(items(&json!({"Items": []})).unwrap().is_empty());
        let batch = json!({"Responses": {"guard": saved()["Items"]}});
        assert_eq!(items(&batch).unwrap(), items(&saved()).unwrap());
    }
}
