//! The audit and the function's sweep over one state: they say the same.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures_executor::block_on;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::look::{Scope, look, ports};
use super::saved::Saved;
use super::saved::facts::Facts;
use super::saved::live::{Doors, Reading};
use super::saved::ports::SavedAws;
use super::source;
use crate::audit::report::checks::AuditCheck;
use crate::audit::report::{Audit, AuditFinding};
use crate::event::Trigger;
use crate::guard::Guard;
use crate::guard::round::{Attempt, Round};
use crate::guard::setup::Setup;
use crate::model::ids::Location;
use crate::plan::modes::Modes;
use crate::policy::builtin;
use crate::policy::model::Mode;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn read(but: &[&str]) -> Arc<Facts> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit/saved");
    let mut saved = Saved::default();
    for source in source::sources(&[folder]).unwrap() {
        if !but.iter().any(|left_out| source.name().contains(left_out)) {
            saved.add(&source).unwrap();
        }
    }
    Arc::new(Facts::of(saved))
}

fn audit(facts: &Arc<Facts>, policy: &str) -> Audit {
    look(facts, builtin::policy(policy).unwrap(), &Scope::default(), NOW).unwrap()
}

/// What a finding says, but for what the modes make of it.
fn said(group: Option<&str>, clusters: &[String], finding: &Value) -> String {
    let detail = finding["detail"].as_str().filter(|_| finding["rule"].is_null()).unwrap_or_default();
    let same = ["kind", "rule", "requirement", "check", "verdict", "severity", "portions"].map(|key| &finding[key]);
    format!("{group:?} {clusters:?} {} {detail}", json!(same))
}

/// Also where something is missing: what is not known is not known to both.
#[test]
fn an_audit_says_what_the_sweep_says_of_the_same_state() {
    let files = [
        "entries",
        "managed-prefix",
        "instances",
        "network-interfaces",
        "nodegroup",
        "launch-template",
        "cluster.prod",
        "vpcs",
    ];
    for policy in ["standard", "strict"] {
        for left_out in std::iter::once(&[][..]).chain(files.chunks(1)).chain([&files[..2], &files[2..4]]) {
            let facts = read(left_out);
            let mut swept = BTreeSet::new();
            for location in facts.locations() {
                let modes = Modes::new(Mode::Report, Mode::Report);
                let ports = ports(&facts, &location, NOW);
                let policy = builtin::policy(policy).unwrap().clone();
                let guard = Guard::new(Setup { ports, policy, modes, max_revokes: 50, location });
                let answer = block_on(
                    guard.look(&Trigger::Sweep { groups: Vec::new() }, Round::first(Attempt::First, Timestamp::MAX)),
                );
                // Without its files a sweep ends in an error, after it said what it could.
                let Ok(answer) = answer else { continue };
                for record in answer.records {
                    let group = record.group.as_ref().map(|group| group.id.as_str());
                    let findings = record.findings.iter().map(|finding| serde_json::to_value(finding).unwrap());
                    swept.extend(findings.map(|finding| said(group, &record.clusters, &finding)));
                }
            }
            let audited = audit(&facts, policy);
            let is_policys = |found: &&AuditFinding| {
                found.check.as_deref().is_none_or(|check| AuditCheck::from_word(check).is_none())
            };
            let audited = audited.findings().filter(is_policys).map(|found| {
                let group = found.group.as_ref().map(|group| group.id.as_str());
                said(group, &found.clusters, &serde_json::to_value(found).unwrap())
            });
            let audited: BTreeSet<String> = audited.collect();
            assert!(!audited.is_empty() || left_out.len() > 1, "{left_out:?}");
            if !swept.is_empty() || left_out.is_empty() {
                assert_eq!(audited, swept, "{policy}, without {left_out:?}");
            }
        }
    }
}

/// Asking and reading files are the same audit: here what is asked answers from the files.
#[test]
fn an_audit_that_asks_says_what_one_of_files_says() {
    let saved = read(&[]);
    let location = saved.locations().into_iter().next().unwrap();
    let ports = ports(&saved, &location, NOW);
    let around = Arc::new(SavedAws { facts: Arc::clone(&saved), location: location.clone() });
    let doors = Doors { ec2: ports.ec2, eks: ports.eks, surroundings: around.clone(), trails: around };
    let mut reading = Reading::of(location);
    block_on(reading.read(&doors, &|_| {}));
    assert!(reading.is_whole());
    let asked = Arc::new(reading.facts());
    let told = |facts| {
        let audit = audit(facts, "standard");
        let clean = |found: &AuditFinding| AuditFinding { origin: None, ..found.clone() };
        let mut findings: Vec<Value> = audit.findings().map(|found| json!(clean(found))).collect();
        findings.sort_by_key(|found| found["fingerprint"].to_string());
        (findings, audit.totals(), audit.missing, audit.warnings)
    };
    assert_eq!(told(&asked), told(&saved));
    assert!(!told(&asked).0.is_empty());
}

/// Nothing is asked yet, or the rest will not be answered: no group counts that way as one without rules.
#[test]
fn a_reading_that_was_interrupted_says_so_and_judges_nothing_it_has_not_read() {
    let location = Location::new("111122223333", "us-east-1");
    let facts = Arc::new(Reading::of(location).facts());
    let found = audit(&facts, "standard");
    assert!(found.locations.is_empty());
    assert_eq!(found.missing.len(), 1, "{:?}", found.missing);
    assert!(found.missing[0].costs.contains("security-group-rules"), "{:?}", found.missing);
}

/// What was read in full lets a group be called unattached, and nothing else does.
#[test]
fn what_was_not_read_is_never_taken_for_empty() {
    let unattached = |but: &[&str]| {
        let found = audit(&read(but), "standard");
        let groups = found.locations.iter().flat_map(|location| &location.groups);
        groups.filter(|group| group.group.is_unattached).map(|group| group.group.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(unattached(&[]), ["prod-spare"]);
    assert_eq!(unattached(&["network-interfaces"]), Vec::<String>::new());
    let evidence = |but: &[&str], name: &str| {
        let found = audit(&read(but), "standard");
        let mut groups = found.locations.iter().flat_map(|location| &location.groups);
        groups.find(|group| group.group.name == name).map(|group| group.group.is_strong())
    };
    assert_eq!(evidence(&[], "prod-node"), Some(true));
    assert_eq!(evidence(&["instances", "nodegroup", "launch-template"], "prod-node"), Some(false));
    assert_eq!(evidence(&["cluster.prod"], "prod-node"), Some(true), "AWS's own tag on an instance names the cluster");
    assert_eq!(
        evidence(&["cluster.prod"], "eks-cluster-sg-prod-1234567890"),
        Some(true),
        "as AWS's own tag on a group does"
    );
}

/// Anybody can tag an instance with the name of a cluster, in any VPC; what AWS writes says where the cluster is.
#[test]
fn a_cluster_that_nobody_described_is_where_aws_names_it() {
    let instance = |id: &str, vpc: &str, tag: &str| {
        let groups = json!([{"GroupId": format!("sg-{vpc}")}]);
        json!({"InstanceId": id, "VpcId": vpc, "SecurityGroups": groups, "Tags": [{"Key": tag, "Value": "prod"}]})
    };
    let instances =
        [instance("i-1", "vpc-1", "kubernetes.io/cluster/prod"), instance("i-2", "vpc-2", "aws:eks:cluster-name")];
    let text = json!({"Reservations": [{"ReservationId": "r-1", "Instances": instances}]}).to_string();
    let path = std::env::temp_dir().join(format!("eks-sg-guard-where-{}.json", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let mut saved = Saved::default();
    let read = saved.add(&source::sources(std::slice::from_ref(&path)).unwrap()[0]);
    std::fs::remove_file(&path).unwrap();
    read.unwrap();
    let facts = Facts::of(saved);
    let vpcs: Vec<&str> = facts.clusters.iter().map(|(_, cluster)| cluster.vpc.as_str()).collect();
    assert_eq!(vpcs, ["vpc-2"]);
}

/// A region that was saved in one go: what it costs grows with what is in it, and no faster.
#[test]
fn files_of_a_large_region_are_read_and_judged_in_seconds() {
    use std::fmt::Write as _;
    let mut text = String::from("{\"SecurityGroups\": [");
    for n in 0..1000 {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}{{\"GroupId\": \"sg-{n:017x}\", \"GroupName\": \"g\", \"VpcId\": \"vpc-0a1b2c3d\", \"OwnerId\": \
             \"111122223333\", \"Tags\": [{{\"Key\": \"kubernetes.io/cluster/c{}\", \"Value\": \"owned\"}}], \
             \"IpPermissions\": [{{\"IpProtocol\": \"tcp\", \"FromPort\": 443, \"ToPort\": 443, \"IpRanges\": [",
            n % 20
        );
        for block in 0..30 {
            let _ = write!(text, "{}{{\"CidrIp\": \"10.{block}.0.0/16\"}}", if block == 0 { "" } else { "," });
        }
        text.push_str("]}]}");
    }
    text.push_str("]}");
    let path = std::env::temp_dir().join(format!("eks-sg-guard-large-{}.json", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let mut saved = Saved::default();
    let read = saved.add(&source::sources(std::slice::from_ref(&path)).unwrap()[0]);
    std::fs::remove_file(&path).unwrap();
    read.unwrap();
    let started = std::time::Instant::now();
    let found = audit(&Arc::new(Facts::of(saved)), "standard");
    assert_eq!(found.totals().allow, 30_000);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
