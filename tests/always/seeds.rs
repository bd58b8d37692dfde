//! What the properties begin with: files that the repository has anyway, and one of each thing that the guard keeps or
//! sends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use eks_sg_guard::event::work::{Part, Task, Why, Work};
use eks_sg_guard::event::{Parsed, Trigger, payload};
use eks_sg_guard::model::baseline::{Baseline, Context, KnownRule, Learnt, LocationState, Mark};
use eks_sg_guard::model::group::Role;
use eks_sg_guard::model::hour::Hour;
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::member::{Member, Members};
use eks_sg_guard::report::allowance::Allowance;
use eks_sg_guard::report::finding::Finding;
use eks_sg_guard::report::history::{History, Notification, Sighting};
use eks_sg_guard::report::journal::{Caller, Entry, Journal, Note};
use eks_sg_guard::report::outbox::{Letter, Outbox};
use eks_sg_guard::report::part::EndedPart;
use eks_sg_guard::report::record::Record;
use eks_sg_guard::report::waiting::Waiting;
use serde::Serialize;
use serde_json::{Value, json};

use crate::situations::{self, at, event, group, kim, kubelet};

/// Each as its bytes.
pub(crate) type Seeds = Vec<Vec<u8>>;

/// A number that is another one each time it is written and read.
const UNSTABLE: &[u8] = b"4444444444424444444444444444444444444444444444444444444444444444444444444";

pub(crate) fn events() -> Seeds {
    files("events", ".json").chain(files("events/adversarial", "")).chain([UNSTABLE.to_vec()]).collect()
}

pub(crate) fn policies() -> Seeds {
    let here = files(".", "policy.example.yaml");
    files("tests/policies", ".yaml").chain(files("core/src/policy", ".yaml")).chain(here).collect()
}

/// The files of a folder whose names end so.
fn files(folder: &str, end: &'static str) -> impl Iterator<Item = Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths: BTreeSet<_> = paths.filter(|path| path.is_file() && path.to_str().unwrap().ends_with(end)).collect();
    paths.into_iter().map(|path| fs::read(path).unwrap())
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

/// What the guard sends itself, and what Lambda makes of an event on which it failed.
pub(crate) fn messages() -> Seeds {
    let location = Location::new("111122223333", "eu-west-1");
    let payloads: Vec<Value> = files("events", ".json").map(|bytes| serde_json::from_slice(&bytes).unwrap()).collect();
    let changes = payloads.iter().filter_map(|payload| match payload::parse(payload) {
        Ok(Parsed::Trigger(Trigger::Change(change))) => Some(change),
        _ => None,
    });
    let part = Part {
        location: location.clone(),
        sweep: at(1),
        vpc: "vpc-0a1".to_owned(),
        nth: 1,
        vpcs: 2,
        clusters: vec!["prod".to_owned()],
        knows_clusters: true,
        groups: vec!["sg-0a1".to_owned()],
        n: 1,
        of: 3,
        cut: "cut".to_owned(),
    };
    let looks =
        changes.zip([Why::Missing, Why::Changing, Why::Needed, Why::Postponed, Why::Elsewhere].into_iter().cycle());
    let looks = looks.map(|(change, why)| Task::Look { change, why, look: 2 });
    let others =
        [Task::Everything { location: location.clone(), change: None }, Task::Sweep { location }, Task::Part(part)];
    let work = looks.chain(others).map(|task| Work::new(task, 3, at(1)).text().unwrap().into_bytes());
    let failed = payloads.iter().map(|payload| {
        json(&json!({
            "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
            "requestPayload": payload, "responsePayload": {"errorType": "Runtime.ExitError"},
        }))
    });
    work.chain(failed).collect()
}

/// One item of each kind that the table has, and two of those of which two may become one.
pub(crate) fn items() -> Seeds {
    let record = situations::of_one_call()[0].clone();
    let known = KnownRule {
        rule: kubelet(),
        context: Context::from(&group(vec![])),
        mark: Some(Mark::Claimed(["tag".to_owned()].into())),
        author: Some("terraform".to_owned()),
        missed: 1,
    };
    let learnt = Learnt { rules: vec![known], may_begin: true, ..Learnt::default() };
    let mut place =
        LocationState { began: Some(at(0)), looks: [("vpc-0a1".to_owned(), at(1))].into(), ..Default::default() };
    place.unheard.see("sg-0a1", ["sgr-0a1".to_owned()], at(1), false);
    let member = Member {
        created_at: Some(at(0)),
        node_groups: ["blue".to_owned()].into(),
        is_whole: true,
        roles: [Role::Node].into(),
        attachments: ["i-0a1".to_owned()].into(),
        is_proven: true,
        since: at(1),
        at: at(2),
    };
    let hour = Hour::default().with(&["sgr-1".to_owned(), "sgr-2".to_owned()], 1, at(1));
    let mut open = EndedPart::new(["sg-0a1".to_owned()].into(), true, situations::swept().to_vec());
    let ended = open.clone();
    open.is_open = true;
    let mut items = vec![
        json(&Baseline::with(None, &learnt)),
        json(&place),
        json(&Members::from([("prod".to_owned(), member)])),
        json(&hour),
        json(&Allowance::default().with("message", at(1)).0),
        json(&Waiting::default().with(std::slice::from_ref(&record), &BTreeSet::new())),
        [json(&ended), json(&open)].join(&b'\n'),
        [json(&history(&record.findings[0], 1)), json(&history(&record.findings[0], 3))].join(&b'\n'),
        json(&journal(&record)),
    ];
    items.extend(situations::all().into_iter().map(|(_, message)| {
        let mut outbox = Outbox::default();
        outbox.claim(&Letter::of(&record, message, Some(at(1))), &["people", "records"], at(1));
        json(&outbox)
    }));
    items
}

fn history(finding: &Finding, minute: u32) -> History {
    let sighting = Sighting::of(finding, Some(&event(kim())), at(minute));
    History::default().with(&sighting, &Notification::Send, at(minute))
}

fn journal(record: &Record) -> Journal {
    let entry = |finding: &Finding| Entry {
        finding: finding.clone(),
        after: None,
        event: Some("e-1".to_owned()),
        at: at(1),
        done_at: Some(at(2)),
        told: false,
    };
    let note = Note {
        clusters: ["prod".to_owned()].into(),
        event: Some(("e-1".to_owned(), Caller::from(&event(kim())))),
        entries: record.findings.iter().map(entry).collect(),
        ..Note::default()
    };
    Journal::default().with(&note, at(2))
}

/// Each situation as it is, and with some text in each place.
pub(crate) fn notices() -> Seeds {
    let hostile = "<!here> *a* `b` ```\n[c](https://evil.example)\u{1b}[2J\u{202e}'; rm -rf /; '";
    let text = |place: u8| [&[0xff, place], hostile.as_bytes()].concat();
    let everywhere: Vec<u8> = (0..60).flat_map(text).collect();
    (0..40).flat_map(|which| [vec![which], [vec![which], everywhere.clone()].concat()]).collect()
}
