//! What an audit of a large account costs: `make bench`. What the figures mean stands in `docs/benchmarks.md`.
//!
//! Owns: a made-up account of a given size, always the same one, written to a file as the AWS CLI prints it. Must not: use
//! random numbers.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::path::PathBuf;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use eks_sg_guard::audit::saved::Saved;
use eks_sg_guard::audit::{Facts, Scope, look, source};
use eks_sg_guard::policy::builtin;
use eks_sg_guard::report::audit::{html, json};
use jiff::Timestamp;
use serde_json::{Value, json};

const RULES: usize = 30;
const GROUPS_OF_A_CLUSTER: usize = 10;

/// The `n`th rule of a group: mostly what clusters have, now and then something open.
fn rule(group: usize, n: usize) -> Value {
    let own = format!("sg-{group:017x}");
    let mut rule = json!({
        "SecurityGroupRuleId": format!("sgr-{group:09x}{n:08x}"), "GroupId": own, "GroupOwnerId": "111122223333",
        "IsEgress": false, "IpProtocol": "tcp", "FromPort": 443 + n, "ToPort": 443 + n, "Description": "x", "Tags": [],
    });
    let (key, value) = match n % 6 {
        0 => ("CidrIpv4", json!(format!("10.{}.{n}.0/24", group % 256))),
        1 => ("ReferencedGroupInfo", json!({"GroupId": own, "UserId": "111122223333"})),
        2 => {
            let of_cluster = group - group % GROUPS_OF_A_CLUSTER;
            ("ReferencedGroupInfo", json!({"GroupId": format!("sg-{of_cluster:017x}"), "UserId": "111122223333"}))
        }
        3 => ("CidrIpv4", json!("192.168.0.0/16")),
        4 => ("CidrIpv4", json!(format!("203.0.113.{}/32", group % 256))),
        _ => ("CidrIpv6", json!("fd00::/8")),
    };
    if let Some(keys) = rule.as_object_mut() {
        keys.insert(key.to_owned(), value);
    }
    rule
}

/// An account with as many groups, ten a cluster, each group on a node of its own.
fn account(groups: usize) -> Vec<Value> {
    let cluster = |group: usize| format!("c{}", group / GROUPS_OF_A_CLUSTER);
    let id = |group: usize| format!("sg-{group:017x}");
    let vpc = |group: usize| format!("vpc-{:017x}", group / GROUPS_OF_A_CLUSTER);
    let security_groups = (0..groups).map(|n| {
        json!({
            "GroupId": id(n), "GroupName": format!("group-{n}"), "VpcId": vpc(n), "OwnerId": "111122223333", "Tags": [],
            "SecurityGroupArn": format!("arn:aws:ec2:us-east-1:111122223333:security-group/{}", id(n)),
        })
    });
    let interfaces = (0..groups).map(|n| {
        json!({
            "NetworkInterfaceId": format!("eni-{n:017x}"), "VpcId": vpc(n), "OwnerId": "111122223333",
            "AvailabilityZone": "us-east-1a", "InterfaceType": "interface", "Groups": [{"GroupId": id(n)}],
            "Attachment": {"InstanceId": format!("i-{n:017x}"), "InstanceOwnerId": "111122223333"}, "TagSet": [],
        })
    });
    let instances = (0..groups).map(|n| {
        json!({
            "InstanceId": format!("i-{n:017x}"), "VpcId": vpc(n), "State": {"Name": "running"},
            "SecurityGroups": [{"GroupId": id(n)}], "Tags": [{"Key": "aws:eks:cluster-name", "Value": cluster(n)}],
        })
    });
    let first = (0..groups).step_by(GROUPS_OF_A_CLUSTER);
    let clusters = first.clone().map(|n| {
        let arn = format!("arn:aws:eks:us-east-1:111122223333:cluster/{}", cluster(n));
        json!({"cluster": {"name": cluster(n), "arn": arn, "resourcesVpcConfig": {
            "vpcId": vpc(n), "clusterSecurityGroupId": id(n), "securityGroupIds": [],
        }}})
    });
    let vpcs = first.map(|n| json!({"VpcId": vpc(n), "CidrBlock": "10.0.0.0/8"}));
    let rules = (0..groups).flat_map(|group| (0..RULES).map(move |n| rule(group, n)));
    let all = |key: &str, items: Vec<Value>| json!({key: items});
    let mut documents = vec![
        all("SecurityGroups", security_groups.collect()),
        all("SecurityGroupRules", rules.collect()),
        all("NetworkInterfaces", interfaces.collect()),
        all("Reservations", vec![json!({"OwnerId": "111122223333", "Instances": instances.collect::<Vec<_>>()})]),
        all("Vpcs", vpcs.collect()),
    ];
    documents.extend(clusters);
    documents
}

fn file(groups: usize) -> PathBuf {
    let path = std::env::temp_dir().join(format!("eks-sg-guard-bench-{}-{groups}.json", std::process::id()));
    let text: Vec<String> = account(groups).iter().map(Value::to_string).collect();
    std::fs::write(&path, text.join("\n")).unwrap();
    path
}

fn read(path: &PathBuf) -> Facts {
    let mut saved = Saved::default();
    for source in source::sources(std::slice::from_ref(path)).unwrap() {
        saved.add(&source).unwrap();
    }
    Facts::of(saved)
}

fn audit(bench: &mut Criterion) {
    let policy = builtin::policy(builtin::DEFAULT).unwrap();
    let scope = Scope::default();
    for groups in [250, 500, 1_000, 2_000] {
        let path = file(groups);
        let facts = Arc::new(read(&path));
        let found = look(&facts, policy, &scope, Timestamp::UNIX_EPOCH).unwrap();
        let rules = found.totals().allow + found.totals().report + found.totals().would_revoke;
        assert_eq!(rules, groups * RULES);
        let mut group = bench.benchmark_group("audit");
        group.sample_size(10).throughput(Throughput::Elements(rules.try_into().unwrap()));
        group.bench_function(BenchmarkId::new("read", groups), |bench| bench.iter(|| read(&path)));
        group.bench_function(BenchmarkId::new("judge", groups), |bench| {
            bench.iter(|| look(&facts, policy, &scope, Timestamp::UNIX_EPOCH).unwrap());
        });
        group.bench_function(BenchmarkId::new("html", groups), |bench| {
            bench.iter(|| html::written(&found, &[]).unwrap())
        });
        group.bench_function(BenchmarkId::new("json", groups), |bench| {
            bench.iter(|| serde_json::to_string(&json::Report::of(&found, None, None)).unwrap());
        });
        group.finish();
        std::fs::remove_file(&path).unwrap();
    }
}

criterion_group!(benches, audit);
criterion_main!(benches);
