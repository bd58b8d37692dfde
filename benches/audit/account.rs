//! A made-up account of a given size and shape, always the same one, as the AWS CLI prints it. Must not: use random numbers.

use std::path::PathBuf;

use serde_json::{Value, json};

/// Rules of a group.
pub(crate) const RULES: usize = 30;
/// Interfaces of a group, two on each node.
const INTERFACES: usize = 6;

/// How groups are spread over clusters and VPCs.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Groups of one cluster, and clusters of one VPC.
    pub(crate) of_a_cluster: usize,
    pub(crate) of_a_vpc: usize,
}

/// The usual one, and its neighbours: what is looked up by cluster or by VPC must not be slow where there is only one.
pub(crate) const SHAPES: [Shape; 3] = [
    Shape { name: "a VPC for ten groups", of_a_cluster: 10, of_a_vpc: 1 },
    Shape { name: "one cluster", of_a_cluster: usize::MAX, of_a_vpc: 1 },
    Shape { name: "many clusters in one VPC", of_a_cluster: 10, of_a_vpc: usize::MAX },
];

impl Shape {
    fn cluster(&self, group: usize) -> usize {
        group / self.of_a_cluster
    }

    fn vpc(&self, group: usize) -> usize {
        self.cluster(group) / self.of_a_vpc
    }

    /// The cluster's own group: the first one of it.
    fn cluster_group(&self, group: usize) -> usize {
        self.cluster(group).saturating_mul(self.of_a_cluster)
    }

    /// The `n`th rule of a group: mostly what clusters have, now and then something open.
    fn rule(&self, group: usize, n: usize) -> Value {
        let mut rule = json!({
            "SecurityGroupRuleId": format!("sgr-{group:09x}{n:08x}"), "GroupId": id("sg", group),
            "GroupOwnerId": "111122223333", "IsEgress": false, "IpProtocol": "tcp", "FromPort": 443 + n, "ToPort": 443 + n,
            "Description": "x", "Tags": [],
        });
        let peer_group = |group| json!({"GroupId": id("sg", group), "UserId": "111122223333"});
        let (key, value) = match n % 6 {
            0 => ("CidrIpv4", json!(format!("10.{}.{n}.0/24", group % 256))),
            1 => ("ReferencedGroupInfo", peer_group(group)),
            2 => ("ReferencedGroupInfo", peer_group(self.cluster_group(group))),
            3 => ("CidrIpv4", json!("192.168.0.0/16")),
            4 => ("CidrIpv4", json!(format!("203.0.113.{}/32", group % 256))),
            _ => ("CidrIpv6", json!("fd00::/8")),
        };
        if let Some(keys) = rule.as_object_mut() {
            keys.insert(key.to_owned(), value);
        }
        rule
    }

    /// An account with as many groups, each on interfaces of nodes of its own.
    fn account(&self, groups: usize) -> Vec<Value> {
        let name = |group| format!("c{}", self.cluster(group));
        let vpc = |group| id("vpc", self.vpc(group));
        let security_groups = (0..groups).map(|n| {
            json!({
                "GroupId": id("sg", n), "GroupName": format!("group-{n}"), "VpcId": vpc(n), "OwnerId": "111122223333",
                "SecurityGroupArn": format!("arn:aws:ec2:us-east-1:111122223333:security-group/{}", id("sg", n)), "Tags": [],
            })
        });
        let attached = || (0..groups).flat_map(|group| (0..INTERFACES).map(move |n| (group, group * INTERFACES + n)));
        let interfaces = attached().map(|(group, n)| {
            json!({
                "NetworkInterfaceId": id("eni", n), "VpcId": vpc(group), "OwnerId": "111122223333",
                "AvailabilityZone": "us-east-1a", "InterfaceType": "interface", "Groups": [{"GroupId": id("sg", group)}],
                "Attachment": {"InstanceId": id("i", n / 2), "InstanceOwnerId": "111122223333"}, "TagSet": [],
            })
        });
        let reservations = attached().filter(|(_, n)| n % 2 == 0).map(|(group, n)| {
            let instance = json!({
                "InstanceId": id("i", n / 2), "VpcId": vpc(group), "State": {"Name": "running"},
                "SecurityGroups": [{"GroupId": id("sg", group)}],
                "Tags": [{"Key": "aws:eks:cluster-name", "Value": name(group)},
                         {"Key": format!("kubernetes.io/cluster/{}", name(group)), "Value": "owned"}],
            });
            json!({"OwnerId": "111122223333", "Instances": [instance]})
        });
        let first = (0..groups).filter(|n| self.cluster_group(*n) == *n);
        let clusters = first.clone().map(|n| {
            let arn = format!("arn:aws:eks:us-east-1:111122223333:cluster/{}", name(n));
            json!({"cluster": {"name": name(n), "arn": arn, "resourcesVpcConfig": {
                "vpcId": vpc(n), "clusterSecurityGroupId": id("sg", n), "securityGroupIds": [],
            }}})
        });
        let vpcs = first.map(|n| json!({"VpcId": vpc(n), "CidrBlock": "10.0.0.0/8"}));
        let rules = (0..groups).flat_map(|group| (0..RULES).map(move |n| self.rule(group, n)));
        let all = |key: &str, items: Vec<Value>| json!({key: items});
        let mut documents = vec![
            all("SecurityGroups", security_groups.collect()),
            all("SecurityGroupRules", rules.collect()),
            all("NetworkInterfaces", interfaces.collect()),
            all("Reservations", reservations.collect()),
            all("Vpcs", vpcs.collect()),
        ];
        documents.extend(clusters);
        documents
    }

    /// The account in a file.
    pub(crate) fn file(&self, groups: usize) -> PathBuf {
        written(&format!("account-{groups}"), &self.account(groups))
    }
}

/// One more rule for each of its groups, in a file of their own: the kubelet is open to the world.
#[allow(dead_code, reason = "the test of the shapes measures what is usual alone")]
pub(crate) fn open_to_all(groups: usize) -> PathBuf {
    let rule = |group| {
        json!({
            "SecurityGroupRuleId": format!("sgr-{group:09x}{RULES:08x}"), "GroupId": id("sg", group),
            "GroupOwnerId": "111122223333", "IsEgress": false, "IpProtocol": "tcp", "FromPort": 10250, "ToPort": 10250,
            "CidrIpv4": "0.0.0.0/0", "Description": "x", "Tags": [],
        })
    };
    written(&format!("open-{groups}"), &[json!({"SecurityGroupRules": (0..groups).map(rule).collect::<Vec<_>>()})])
}

fn written(name: &str, documents: &[Value]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("eks-sg-guard-bench-{}-{name}.json", std::process::id()));
    let text: Vec<String> = documents.iter().map(Value::to_string).collect();
    std::fs::write(&path, text.join("\n")).unwrap();
    path
}

fn id(kind: &str, n: usize) -> String {
    format!("{kind}-{n:017x}")
}
