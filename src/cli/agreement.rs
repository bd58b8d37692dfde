//! The command line and the function say the same: every event of the corpus is played to both. The function looks at an
//! account, saved as answers of the AWS CLI, in which the rules are what the event says that they are.
//!
//! Not compared is what only the live state tells: that is said to be unknown, and so held to here.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_executor::block_on;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::audit::saved::Saved;
use crate::audit::{Facts, ports, source};
use crate::cli::answer::{self, Explained};
use crate::cli::claims::Assumed;
use crate::event::described::described;
use crate::event::{Change, GroupRef, Parsed, Target, Trigger, payload};
use crate::guard::Guard;
use crate::guard::dispatch::Dispatcher;
use crate::guard::setup::Setup;
use crate::model::group::Role;
use crate::model::rule::{Direction, Peer, Rule};
use crate::plan::modes::Modes;
use crate::policy::builtin;
use crate::policy::model::{Mode, Verdict};
use crate::ports::Ports;
use crate::report::finding::Finding;
use crate::report::record::Record;

const CLUSTER: &str = "prod";

thread_local! {
    /// What the function says, also of a look that ends in an error.
    static RECORDS: RefCell<Vec<Record>> = const { RefCell::new(Vec::new()) };
}

fn corpus() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), serde_json::from_slice(&fs::read(path).unwrap()).unwrap())).collect()
}

/// The rule as `describe-security-group-rules` prints it.
fn rule_of_aws(rule: &Rule, group: &str, n: usize) -> Value {
    let (from, to) = rule.packets.ec2_ports().map_or((-1, -1), |(from, to)| (i64::from(from), i64::from(to)));
    let id = if rule.id.is_empty() { format!("sgr-0ff{n}") } else { rule.id.clone() };
    let mut answer = json!({
        "SecurityGroupRuleId": id, "GroupId": group, "GroupOwnerId": "111122223333",
        "IsEgress": rule.direction == Direction::Egress, "IpProtocol": rule.packets.protocol(), "FromPort": from,
        "ToPort": to, "Description": rule.description,
        "Tags": rule.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect::<Vec<_>>(),
    });
    let (key, peer) = match &rule.peer {
        Peer::Cidr(net) if net.addr().is_ipv4() => ("CidrIpv4", json!(net)),
        Peer::Cidr(net) => ("CidrIpv6", json!(net)),
        Peer::PrefixList(id) => ("PrefixListId", json!(id)),
        Peer::Group { id, owner } => ("ReferencedGroupInfo", json!({"GroupId": id, "UserId": owner})),
    };
    answer[key] = peer;
    answer
}

/// An account in which these groups are a node's of one cluster.
fn account(groups: &BTreeMap<String, Vec<Rule>>, location: (&str, &str)) -> Facts {
    let (account, region) = location;
    let ids: Vec<Value> = groups.keys().map(|id| json!({"GroupId": id, "GroupName": id})).collect();
    let rules =
        groups.iter().flat_map(|(id, rules)| rules.iter().enumerate().map(|(n, rule)| rule_of_aws(rule, id, n)));
    let described = |id: &String| json!({"GroupId": id, "GroupName": id, "VpcId": "vpc-0a", "OwnerId": account});
    let own = json!({"GroupId": "sg-0cc", "GroupName": "cluster", "VpcId": "vpc-0a", "OwnerId": account});
    let answers = [
        json!({"SecurityGroups": groups.keys().map(described).chain([own]).collect::<Vec<_>>()}),
        json!({"SecurityGroupRules": rules.collect::<Vec<_>>()}),
        json!({"Reservations": [{"ReservationId": "r-0a", "OwnerId": account, "Instances": [{
            "InstanceId": "i-0a", "VpcId": "vpc-0a", "State": {"Name": "running"}, "SecurityGroups": ids,
            "Placement": {"AvailabilityZone": format!("{region}a")},
            "Tags": [{"Key": "aws:eks:cluster-name", "Value": CLUSTER}],
        }]}]}),
        json!({"NetworkInterfaces": [{
            "NetworkInterfaceId": "eni-0a", "VpcId": "vpc-0a", "OwnerId": account, "Groups": ids,
            "InterfaceType": "interface", "AvailabilityZone": format!("{region}a"),
            "Attachment": {"InstanceId": "i-0a", "InstanceOwnerId": account},
        }]}),
        json!({"Vpcs": [{"VpcId": "vpc-0a", "CidrBlock": "10.0.0.0/16"}]}),
        json!({"SecurityGroupVpcAssociations": []}),
        json!({"clusters": [CLUSTER]}),
        json!({"cluster": {
            "name": CLUSTER, "arn": format!("arn:aws:eks:{region}:{account}:cluster/{CLUSTER}"), "status": "ACTIVE",
            "roleArn": format!("arn:aws:iam::{account}:role/cluster"),
            "resourcesVpcConfig": {"vpcId": "vpc-0a", "clusterSecurityGroupId": "sg-0cc", "securityGroupIds": []},
        }}),
    ];
    let folder = std::env::temp_dir().join(format!("eks-sg-guard-agreement-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("account.json");
    fs::write(&file, answers.map(|answer| answer.to_string() + "\n").concat()).unwrap();
    let mut saved = Saved::default();
    for source in source::sources(&[file]).unwrap() {
        saved.add(&source).unwrap();
    }
    fs::remove_dir_all(folder).unwrap();
    Facts::of(saved)
}

/// What the function finds, in a mode in which it changes nothing.
fn of_function(payload: &Value, change: &Change, groups: &BTreeMap<String, Vec<Rule>>, now: Timestamp) -> Vec<Finding> {
    let location = change.event.location.clone();
    let facts = Arc::new(account(groups, (&location.account, &location.region)));
    let record_log = |record: &Record| RECORDS.with_borrow_mut(|records| records.push(record.clone()));
    let setup = Setup {
        ports: Ports { record_log, ..ports(&facts, &location, now) },
        policy: builtin::policy("standard").unwrap().clone(),
        modes: Modes::new(Mode::Report, Mode::Report),
        max_revokes: 50,
        location: location.clone(),
    };
    RECORDS.take();
    let dispatcher = Dispatcher::new([(location, Guard::new(setup))].into(), None);
    let deadline = now.checked_add(jiff::SignedDuration::from_secs(60)).unwrap();
    // It may end in an error, since nobody looks again; what it found is in the log.
    let _ = block_on(dispatcher.handle(payload, deadline));
    RECORDS.take().into_iter().flat_map(|record| record.findings).filter(|found| found.rule().is_some()).collect()
}

#[test]
fn the_function_says_what_the_command_line_says() {
    let policy = builtin::policy("standard").unwrap();
    let assumed = Assumed { roles: vec![Role::Node], clusters: vec![CLUSTER.to_owned()] };
    let (mut compared, mut unknown) = (0, 0);
    for (path, payload) in corpus() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(Parsed::Trigger(Trigger::Change(change))) = payload::parse(&payload) else { continue };
        let Target::Groups(touched) = &change.subject else { continue };
        // A name alone counts in the default VPC, which the answers do not say.
        if touched.iter().any(|touched| matches!(touched.group, GroupRef::Name(_))) {
            continue;
        }
        let now = change.event.time.unwrap_or(Timestamp::UNIX_EPOCH);
        let told = described(&payload);
        let modes = Modes::new(Mode::Report, Mode::Report);
        let explained = answer::explain(&change, &told, policy, &assumed, modes, now);
        let live = |Explained { claimed, .. }: &Explained| (claimed.group.id.clone(), claimed.group.rules.clone());
        let groups: BTreeMap<String, Vec<Rule>> = explained.iter().map(live).collect();
        let found = of_function(&payload, &change, &groups, now);
        let is_of = |finding: &&Finding, rule: &Rule| {
            let other = finding.rule().unwrap();
            (other.direction, other.packets) == (rule.direction, rule.packets) && other.peer.same(&rule.peer)
        };
        for group in &explained {
            for (step, otherwise) in group.steps.iter().zip(&group.otherwise) {
                let rule = &step.finding.rule;
                let of_it = found.iter().find(|finding| is_of(finding, rule));
                let said = of_it.map_or((Verdict::Allow, None), |finding| (finding.verdict, finding.severity));
                let ours = (step.finding.verdict, step.finding.severity);
                match otherwise {
                    Some((other, _)) => {
                        unknown += 1;
                        let other = (other.finding.verdict, other.finding.severity);
                        assert!(said == ours || said == other, "{name}: {said:?}, not {ours:?} or {other:?}: {rule:?}");
                    }
                    None if ours.0 == Verdict::Allow => assert_eq!(said.0, Verdict::Allow, "{name}: {rule:?}"),
                    None => assert_eq!(said, ours, "{name}: {rule:?}"),
                }
                compared += 1;
            }
        }
        let is_ours = |finding: &Finding| {
            let steps = || explained.iter().flat_map(|group| &group.steps);
            steps().any(|step| is_of(&finding, &step.finding.rule))
        };
        assert!(found.iter().all(is_ours), "{name}: the function found {found:?}");
    }
    assert!(compared > 50, "{compared} rules, {unknown} of them in part unknown");
}
