//! What is counted of an invocation, and the CloudWatch embedded-metric document of it.
//!
//! Owns: the names of the metrics, which are a contract with dashboards and alarms: add, never rename. Must not: write the
//! document anywhere, or count what nobody would look at.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::policy::model::{Severity, Verdict};
use crate::report::outcome::{Action, Outcome};
use crate::report::record::Record;

/// The namespace.
pub const NAMESPACE: &str = "eks-sg-guard";

/// One figure of one invocation. Every one but `TimeOpen` is there in each document, so that zero differs from nothing.
type Metric = (&'static str, &'static str, fn(&Counts) -> Value);

/// Names, units, values.
const METRICS: [Metric; 21] = [
    ("Compliant", "Count", |counts| counts.outcomes[0].into()),
    ("Reported", "Count", |counts| counts.outcomes[1].into()),
    ("Remediated", "Count", |counts| counts.outcomes[2].into()),
    ("Refused", "Count", |counts| counts.outcomes[3].into()),
    ("Failed", "Count", |counts| counts.outcomes[4].into()),
    ("VerdictRevoke", "Count", |counts| counts.verdicts[0].into()),
    ("VerdictReport", "Count", |counts| counts.verdicts[1].into()),
    ("SeverityLow", "Count", |counts| counts.severities[0].into()),
    ("SeverityMedium", "Count", |counts| counts.severities[1].into()),
    ("SeverityHigh", "Count", |counts| counts.severities[2].into()),
    ("SeverityCritical", "Count", |counts| counts.severities[3].into()),
    ("RulesRevoked", "Count", |counts| counts.revoked.into()),
    ("RulesRestored", "Count", |counts| counts.restored.into()),
    ("TimeOpen", "Seconds", |counts| counts.seconds_open.clone().into()),
    ("ApiCalls", "Count", |counts| counts.calls.into()),
    ("ApiRetries", "Count", |counts| counts.attempts.saturating_sub(counts.calls).into()),
    ("NoticesSent", "Count", |counts| counts.sent.into()),
    ("NoticeFailures", "Count", |counts| counts.unsent.into()),
    ("SweepsEnded", "Count", |counts| counts.sweeps.into()),
    ("LostEvents", "Count", |counts| counts.lost.into()),
    ("InvocationErrors", "Count", |counts| u64::from(counts.is_error).into()),
];

/// What alarms and the dashboard ask CloudWatch for: what needs a person, what was closed, and that sweeps end. All of it is
/// rare, and a metric costs by the hour in which it has a value, so these are metrics only where they are not zero.
const NEEDED: [&str; 9] = [
    "Remediated",
    "Refused",
    "Failed",
    "RulesRevoked",
    "RulesRestored",
    "TimeOpen",
    "NoticeFailures",
    "SweepsEnded",
    "LostEvents",
];

/// Which figures become metrics of CloudWatch. The document has all of them in any case, for queries of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Published {
    /// Those that alarms and the dashboard ask for, where they are not zero.
    Needed,
    /// Each, zeros too.
    #[default]
    All,
}

impl Published {
    /// As the environment writes it.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "needed" => Some(Self::Needed),
            "all" => Some(Self::All),
            _ => None,
        }
    }

    fn takes(self, name: &str, value: &Value) -> bool {
        self == Self::All || (NEEDED.contains(&name) && value != 0)
    }
}

/// Values of one metric in one document; CloudWatch takes 100.
const MAX_VALUES: usize = 100;

/// What happened in one invocation.
#[derive(Clone, Debug, Default)]
struct Counts {
    outcomes: [u64; 5],
    verdicts: [u64; 2],
    severities: [u64; 4],
    revoked: u64,
    restored: u64,
    seconds_open: Vec<i64>,
    calls: u64,
    attempts: u64,
    sent: u64,
    unsent: u64,
    sweeps: u64,
    lost: usize,
    is_error: bool,
}

/// Counts until it is taken. Shared by all that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    counts: Mutex<Counts>,
    published: Published,
}

impl Metrics {
    /// Nothing is counted yet.
    pub fn new(published: Published) -> Self {
        Self { counts: Mutex::default(), published }
    }

    fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A record is complete.
    pub fn record(&self, record: &Record) {
        self.count(|counts| {
            let outcome = match record.outcome {
                Outcome::Compliant => &mut counts.outcomes[0],
                Outcome::Reported => &mut counts.outcomes[1],
                Outcome::Remediated => &mut counts.outcomes[2],
                Outcome::Refused => &mut counts.outcomes[3],
                Outcome::Failed => &mut counts.outcomes[4],
            };
            *outcome += 1;
            for finding in &record.findings {
                let [revoke, report] = &mut counts.verdicts;
                match finding.verdict {
                    Verdict::Revoke => *revoke += 1,
                    Verdict::Report => *report += 1,
                    Verdict::Allow => {}
                }
                let [low, medium, high, critical] = &mut counts.severities;
                match finding.severity {
                    Some(Severity::Low) => *low += 1,
                    Some(Severity::Medium) => *medium += 1,
                    Some(Severity::High) => *high += 1,
                    Some(Severity::Critical) => *critical += 1,
                    None => {}
                }
                counts.revoked += u64::from(finding.action == Action::Revoked);
                counts.restored += u64::from(finding.action == Action::Restored);
                let open = finding.closed_at.zip(record.event_time.filter(|_| finding.named_by_event));
                let seconds = open.map(|(closed, opened)| closed.duration_since(opened).as_secs().max(0));
                if counts.seconds_open.len() < MAX_VALUES {
                    counts.seconds_open.extend(seconds);
                }
            }
        });
    }

    /// A location was looked at to its end.
    pub fn sweep_ended(&self) {
        self.count(|counts| counts.sweeps += 1);
    }

    /// So many new rules were found that no event told of.
    pub fn events_lost(&self, rules: usize) {
        self.count(|counts| counts.lost += rules);
    }

    /// A call to AWS begins, with all its tries.
    pub fn call(&self) {
        self.count(|counts| counts.calls += 1);
    }

    /// One try of a call begins.
    pub fn attempt(&self) {
        self.count(|counts| counts.attempts += 1);
    }

    /// A message was sent, or not.
    pub fn notified(&self, is_sent: bool) {
        self.count(|counts| if is_sent { counts.sent += 1 } else { counts.unsent += 1 });
    }

    /// The document of what was counted since the last one. `function` is the only dimension. Where nothing of it becomes a
    /// metric it says so by not naming CloudWatch.
    pub fn document(&self, function: &str, is_error: bool, now: Timestamp) -> Value {
        let mut counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        counts.is_error = is_error;
        let mut values = Map::from_iter([("Function".to_owned(), Value::from(function))]);
        let mut metrics = Vec::new();
        for (name, unit, value) in METRICS {
            let value = value(&counts);
            // A metric without a value makes the document invalid, and CloudWatch drops it in silence.
            if value.as_array().is_some_and(Vec::is_empty) {
                continue;
            }
            if self.published.takes(name, &value) {
                metrics.push(json!({"Name": name, "Unit": unit}));
            }
            values.insert(name.to_owned(), value);
        }
        if !metrics.is_empty() {
            let directive = json!({"Namespace": NAMESPACE, "Dimensions": [["Function"]], "Metrics": metrics});
            let about = json!({"Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive]});
            values.insert("_aws".to_owned(), about);
        }
        Value::Object(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_documented_and_no_other() {
        let text = include_str!("../../../docs/notices.md");
        let table = text.split("## Metrics").nth(1).unwrap();
        let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
        let documented: Vec<&str> =
            cells.flat_map(|cell| cell.split(", ")).map(|name| name.trim().trim_matches('`')).collect();
        assert_eq!(documented, METRICS.map(|(name, ..)| name));
    }

    #[test]
    fn every_metric_of_a_document_has_a_value_and_every_value_is_a_metric() {
        let metrics = Metrics::default();
        let now: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        for is_busy in [false, true] {
            if is_busy {
                metrics.call();
                metrics.attempt();
                metrics.attempt();
                metrics.notified(true);
                metrics.notified(false);
                metrics.count(|counts| counts.seconds_open = vec![3, 70]);
            }
            let document = metrics.document("guard", is_busy, now);
            let directive = &document["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(document["_aws"]["Timestamp"], 1_795_402_800_000_i64);
            assert_eq!(
                (&directive["Namespace"], &directive["Dimensions"]),
                (&json!("eks-sg-guard"), &json!([["Function"]]))
            );
            let metrics = directive["Metrics"].as_array().unwrap();
            assert_eq!(metrics.len(), METRICS.len() - usize::from(!is_busy), "no rule was closed, so no time");
            assert!(metrics.len() <= 100);
            for metric in metrics {
                let value = &document[metric["Name"].as_str().unwrap()];
                assert!(
                    value.is_u64() || value.as_array().is_some_and(|all| !all.is_empty() && all.len() <= 100),
                    "{metric}"
                );
                assert!(["Count", "Seconds"].contains(&metric["Unit"].as_str().unwrap()));
            }
            assert_eq!(document.as_object().unwrap().len(), metrics.len() + 2, "the rest is the dimension and `_aws`");
            let of = |name: &str| document[name].clone();
            assert_eq!(
                [of("ApiCalls"), of("ApiRetries"), of("NoticeFailures"), of("InvocationErrors")],
                [u64::from(is_busy); 4].map(Value::from)
            );
        }
        assert_eq!(metrics.document("guard", false, now)["ApiCalls"], 0, "what was taken is not counted again");
    }

    #[test]
    fn only_what_is_needed_and_not_zero_costs_a_metric_and_the_log_has_all_of_it() {
        let metrics = Metrics::new(Published::Needed);
        let now: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        let named = |document: &Value| {
            let listed = document["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().cloned().unwrap_or_default();
            listed.iter().map(|metric| metric["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        metrics.call();
        metrics.notified(true);
        let idle = metrics.document("guard", true, now);
        assert!(idle.get("_aws").is_none(), "CloudWatch refuses a document without a metric: {idle}");
        assert_eq!((&idle["ApiCalls"], &idle["Refused"], &idle["InvocationErrors"]), (&json!(1), &json!(0), &json!(1)));
        metrics.sweep_ended();
        assert_eq!(named(&metrics.document("guard", false, now)), ["SweepsEnded"]);
        metrics.count(|counts| {
            *counts = Counts {
                outcomes: [9; 5],
                verdicts: [9; 2],
                severities: [9; 4],
                revoked: 9,
                restored: 9,
                seconds_open: vec![0],
                calls: 9,
                attempts: 10,
                sent: 9,
                unsent: 9,
                sweeps: 9,
                lost: 9,
                is_error: false,
            };
        });
        assert_eq!(named(&metrics.document("guard", true, now)), NEEDED, "in the order of the table");
    }
}
