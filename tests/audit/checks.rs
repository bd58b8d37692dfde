//! The checks of an audit beyond the policy: each finds what it is for, and is silent where it cannot know.

use serde_json::{Value, json};

use crate::{NODE, answer, changed, folder, without};

const SPARE: &str = "sg-0f1a000000000004d";
const CLUSTER: &str = "sg-0c1a000000000001a";

/// What the checks beyond the policy found: `unused-group prod-spare`.
fn checked(answer: &Value) -> Vec<String> {
    let findings = answer["findings"].as_array().unwrap().iter();
    let mut found: Vec<String> = findings
        .filter(|one| {
            one["check"].as_str().is_some_and(|check| check != "unreadable-rule") && one["kind"] != "endpoint"
        })
        .map(|one| format!("{} {}", one["check"].as_str().unwrap(), one["group"]["name"].as_str().unwrap_or("-")))
        .collect();
    found.sort();
    found
}

/// A group of the saved account.
fn group<'v>(name: &str, value: &'v mut Value, id: &str) -> Option<&'v mut Value> {
    let groups = value.get_mut("SecurityGroups").filter(|_| name == "security-groups.json")?.as_array_mut().unwrap();
    groups.iter_mut().find(|group| group["GroupId"] == id)
}

/// Adds a rule of a group, in both answers.
fn add_rule(name: &str, value: &mut Value, id: &str, of: &str, peer: &Value) {
    let (cidr, to_group) = (peer.get("CidrIp").cloned(), peer.get("GroupId").cloned());
    if name == "security-group-rules.json" {
        let mut rule = json!({
            "SecurityGroupRuleId": id, "GroupId": of, "GroupOwnerId": "111122223333", "IsEgress": false,
            "IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "Description": "x", "Tags": [],
        });
        match (cidr, to_group) {
            (Some(cidr), _) => rule["CidrIpv4"] = cidr,
            (None, Some(_)) => rule["ReferencedGroupInfo"] = peer.clone(),
            (None, None) => panic!("{peer}"),
        }
        value["SecurityGroupRules"].as_array_mut().unwrap().push(rule);
    } else if let Some(group) = group(name, value, of) {
        let mut permission = json!({"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080});
        let list = if peer.get("CidrIp").is_some() { "IpRanges" } else { "UserIdGroupPairs" };
        permission[list] = json!([peer]);
        group["IpPermissions"].as_array_mut().unwrap().push(permission);
    }
}

/// The findings about the trails: the check, the severity and what was found.
fn of_trails(answer: &Value) -> Vec<(String, String, String)> {
    let of = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let findings = answer["findings"].as_array().unwrap().iter();
    let found =
        findings.filter(|one| ["no-trail", "trails-unread"].contains(&one["check"].as_str().unwrap_or_default()));
    found.map(|one| (of(one, "check"), of(one, "severity"), of(one, "detail"))).collect()
}

#[test]
fn no_trail_that_logs_is_told_and_what_was_not_saved_of_trails_is_not_known() {
    let with = |test: &str, change: Change| of_trails(&answer(&["--from", &changed(test, change)]));
    let (blind, unread) = (["no-trail", "critical"], ["trails-unread", "medium"]);
    assert_eq!(of_trails(&answer(&["--from", "tests/audit/saved"])), []);
    assert_eq!(of_trails(&answer(&["--from", &without("trails-none", &["trail", "event-selectors"])])), []);
    let stopped: Change = |name, value| {
        if name.starts_with("trail-status") {
            value["IsLogging"] = json!(false);
        }
    };
    let reading: Change = |name, value| {
        if name.starts_with("event-selectors") {
            value["AdvancedEventSelectors"][0]["FieldSelectors"]
                .as_array_mut()
                .unwrap()
                .push(json!({"Field": "readOnly", "Equals": ["true"]}));
        }
    };
    let elsewhere: Change = |name, value| {
        if name == "trails.json" {
            value["trailList"][0]["IsMultiRegionTrail"] = json!(false);
            value["trailList"][0]["HomeRegion"] = json!("us-east-1");
        }
    };
    let nobodys: Change = |name, value| {
        if name == "trails.json" {
            value["trailList"] = json!([]);
        }
    };
    let cut: Change = |name, value| {
        if name == "trails.json" {
            value["trailList"] = json!([]);
            value["NextToken"] = json!("more");
        }
    };
    let anothers: Change = |name, value| {
        if name == "trails.json" {
            value["trailList"][0]["TrailARN"] = json!("arn:aws:cloudtrail:eu-west-1:999900001111:trail/audit");
        }
    };
    for (name, change, expected, said) in [
        ("trails-stopped", stopped, blind, "trail `audit` (eu-west-1) is stopped"),
        ("trails-reading", reading, blind, "leaves out the write calls of EC2"),
        ("trails-elsewhere", elsewhere, blind, "no trail covers this region"),
        ("trails-nobody", nobodys, blind, "no trail covers this region"),
        ("trails-cut", cut, unread, "the trails that were saved do not log here"),
        ("trails-other", anothers, blind, "no trail covers this region"),
    ] {
        let found = with(name, change);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert_eq!([found[0].0.as_str(), found[0].1.as_str()], expected, "{name}: {found:?}");
        assert!(found[0].2.contains(said), "{name}: {found:?}");
    }
    for (left_out, said) in [("trail-status", "could not be read"), ("event-selectors", "could not be read")] {
        let found = of_trails(&answer(&["--from", &without("trails-without", &[left_out])]));
        assert_eq!([found[0].0.as_str(), found[0].1.as_str()], unread, "without {left_out}");
        assert!(found[0].2.contains(said), "without {left_out}: {found:?}");
    }
    let whole = answer(&["--from", &changed("trails-stopped", stopped)]);
    let found = whole["findings"].as_array().unwrap().iter().find(|one| one["check"] == "no-trail").unwrap();
    assert_eq!((&found["kind"], &found["group"], &found["clusters"]), (&json!("account"), &json!(null), &json!([])));
    assert!(found["fix"].is_string() && !found["controls"].as_array().unwrap().is_empty(), "{found}");
}

/// Said beside the verdict, which it never changes; of the same, what can be reached now stands first.
#[test]
fn what_is_open_to_the_internet_says_whether_it_is_reachable_now() {
    let told = |test: &str, change: Change| {
        let answer = answer(&["--from", &changed(test, change)]);
        let findings = answer["findings"].as_array().unwrap().clone();
        let kubelet = findings.iter().find(|one| one["rule"]["id"] == "sgr-0000000000000000a").unwrap().clone();
        assert_eq!((&kubelet["verdict"], &kubelet["severity"]), (&json!("revoke"), &json!("critical")), "{test}");
        let reachable = &kubelet["reachable"];
        (reachable["now"].as_str().unwrap().to_owned(), reachable["path"].as_str().unwrap().to_owned())
    };
    let usual = told("reach-usual", |_, _| ());
    assert_eq!(usual, ("yes".into(), "reachable now through eni-0a10000000000002b, 198.51.100.20".into()));
    let private: Change = |_, value| {
        for interface in value.get_mut("NetworkInterfaces").and_then(Value::as_array_mut).into_iter().flatten() {
            interface
                .as_object_mut()
                .unwrap()
                .retain(|key, _| !["Association", "PrivateIpAddresses"].contains(&key.as_str()));
        }
    };
    let blackhole: Change = |_, value| {
        if let Some(table) = value.get_mut("RouteTables") {
            table[0]["Routes"][1]["State"] = json!("blackhole");
        }
    };
    let blocked: Change = |_, value| {
        if let Some(subnets) = value.get_mut("Subnets") {
            subnets[0]["BlockPublicAccessStates"]["InternetGatewayBlockMode"] = json!("block-ingress");
        }
    };
    let denied: Change = |_, value| {
        if let Some(acls) = value.get_mut("NetworkAcls") {
            acls[0]["Entries"].as_array_mut().unwrap().push(json!({
                "CidrBlock": "0.0.0.0/0", "Egress": false, "Protocol": "6", "RuleAction": "deny", "RuleNumber": 90,
                "PortRange": {"From": 10000, "To": 11000},
            }));
        }
    };
    let cut: Change = |_, value| {
        if value.get("RouteTables").is_some() {
            value["NextToken"] = json!("more");
        }
    };
    for (test, change, now, path) in [
        ("reach-private", private, "no", "no public IPv4 address"),
        ("reach-blackhole", blackhole, "no", "no route to them over an internet gateway"),
        ("reach-blocked", blocked, "no", "VPC Block Public Access"),
        ("reach-denied", denied, "no", "network ACL acl-0a1b2c3d4e5f60001 denies it"),
        ("reach-cut", cut, "unknown", "route tables not given"),
    ] {
        let (found, said) = told(test, change);
        assert!(found == now && said.contains(path), "{test}: {found} {said}");
    }
    let whole = answer(&["--from", "tests/audit/saved"]);
    let first = &whole["findings"][0];
    assert_eq!(first["reachable"]["now"], "yes", "{first}");
    let of_groups = whole["findings"].as_array().unwrap().iter().filter(|one| one["kind"] != "rule");
    assert!(of_groups.into_iter().all(|one| one["reachable"].is_null()));
}

/// `NodePorts` are where the cluster says, in each clause of the policy that speaks of them.
#[test]
fn node_ports_are_where_the_cluster_has_them() {
    let with = |test: &str, range: Value, port: u16, cidr: &str| {
        let told = changed(test, |name, value| {
            if name == "cluster.prod.json" {
                value["cluster"]["kubeApiServerConfig"] = json!({"serviceNodePortRange": range});
            }
            if name == "security-group-rules.json" {
                value["SecurityGroupRules"].as_array_mut().unwrap().push(json!({
                    "SecurityGroupRuleId": "sgr-0a1", "GroupId": NODE, "GroupOwnerId": "111122223333", "IsEgress": false,
                    "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIpv4": cidr, "Tags": [],
                }));
            }
        });
        let answer = answer(&["--from", &told]);
        let found = answer["findings"].as_array().unwrap().iter().find(|one| one["rule"]["id"] == "sgr-0a1").cloned();
        found.map(|found| found["portions"][0]["clause"].as_str().unwrap().to_owned())
    };
    let moved = json!({"minPort": 20000, "maxPort": 20999});
    for (test, range, port, cidr, clause) in [
        ("ports-moved", moved.clone(), 20_080, "203.0.113.9/32", Some("nodeport-internet")),
        ("ports-left", moved.clone(), 30_080, "203.0.113.9/32", Some("other-internet")),
        ("ports-usual", json!(null), 30_080, "203.0.113.9/32", Some("nodeport-internet")),
        (
            "ports-said",
            json!({"minPort": 30000, "maxPort": 32767}),
            30_080,
            "203.0.113.9/32",
            Some("nodeport-internet"),
        ),
        ("ports-clients", moved, 20_080, "10.0.0.0/8", None),
        // The kubelet's port is never a NodePort to the policy.
        (
            "ports-kubelet",
            json!({"minPort": 10000, "maxPort": 11000}),
            10_250,
            "203.0.113.9/32",
            Some("kubelet-internet"),
        ),
    ] {
        assert_eq!(with(test, range, port, cidr).as_deref(), clause, "{test}");
    }
    for range in
        [json!({"minPort": 9, "maxPort": 8}), json!({"minPort": 0, "maxPort": 8}), json!({"maxPort": 70000}), json!({})]
    {
        let told = changed("ports-odd", |name, value| {
            if name == "cluster.prod.json" {
                value["cluster"]["kubeApiServerConfig"] = json!({"serviceNodePortRange": range});
            }
        });
        let (code, _, err) = crate::run(&["audit", "--from", &told]);
        assert!(code == 1 && err.contains("`serviceNodePortRange` is no range of ports"), "{range}: {err}");
    }
}

/// Together others let in what one lets in: it can go, and they stay.
#[test]
fn a_rule_that_others_cover_together_is_told_once_and_none_of_them_is() {
    let told = changed("together", |name, value| {
        add_rule(name, value, "sgr-0a4", NODE, &json!({"CidrIp": "10.0.0.0/8"}));
        for (id, cidr) in [("sgr-0a1", "10.0.0.0/9"), ("sgr-0a2", "10.128.0.0/9")] {
            add_rule(name, value, id, NODE, &json!({"CidrIp": cidr}));
            for rule in value.get_mut("SecurityGroupRules").and_then(Value::as_array_mut).into_iter().flatten() {
                if rule["SecurityGroupRuleId"] == id {
                    (rule["FromPort"], rule["ToPort"]) = (json!(8000), json!(9000));
                }
            }
        }
    });
    let found = answer(&["--from", &told]);
    let findings = found["findings"].as_array().unwrap().iter().filter(|one| one["check"] == "redundant-rule");
    let details: Vec<&str> = findings.map(|one| one["detail"].as_str().unwrap()).collect();
    assert_eq!(details, ["1 rule is covered: sgr-0a4 by others together"]);
}

#[test]
fn what_ec2_calls_stale_names_a_group_that_is_gone() {
    let told = changed("stale", |name, value| {
        add_rule(name, value, "sgr-0a1", NODE, &json!({"GroupId": "sg-0aaaaaaaaaaaaaaaa", "UserId": "444455556666"}));
        if name == "vpcs.json" {
            value["StaleSecurityGroupSet"] = json!([{"GroupId": NODE, "StaleIpPermissions": [
                {"IpProtocol": "tcp", "UserIdGroupPairs": [{"GroupId": "sg-0aaaaaaaaaaaaaaaa"}]},
            ]}]);
        }
    });
    assert!(checked(&answer(&["--from", &told])).contains(&"peer-gone prod-node".to_owned()));
}

/// What is changed in the answers.
type Change = fn(&str, &mut Value);

#[test]
#[expect(clippy::too_many_lines, reason = "a table, one row for each check and its neighbours")]
fn each_check_finds_what_it_is_for_and_nothing_else_changes() {
    let usual = ["no-description k8s-shop-0123456789", "no-description prod-node", "no-description prod-spare"];
    let with = |more: &[&str]| {
        let mut all: Vec<String> = usual.iter().chain(more).map(|one| (*one).to_owned()).collect();
        all.sort();
        all
    };
    let unused = "unused-group prod-spare";
    assert_eq!(checked(&answer(&["--from", "tests/audit/saved"])), with(&[unused]));
    let changes: [(&str, Change, &[&str]); 13] = [
        (
            "gone",
            |name, value| add_rule(name, value, "sgr-0a1", NODE, &json!({"GroupId": "sg-0aaaaaaaaaaaaaaaa"})),
            &[unused, "peer-gone prod-node"],
        ),
        (
            "other-account",
            |name, value| {
                add_rule(
                    name,
                    value,
                    "sgr-0a1",
                    NODE,
                    &json!({"GroupId": "sg-0aaaaaaaaaaaaaaaa", "UserId": "444455556666"}),
                );
            },
            &[unused],
        ),
        (
            "peering",
            |name, value| {
                let peer =
                    json!({"GroupId": "sg-0aaaaaaaaaaaaaaaa", "UserId": "444455556666", "PeeringStatus": "deleted"});
                add_rule(name, value, "sgr-0a1", NODE, &peer);
            },
            &[unused, "peer-gone prod-node"],
        ),
        (
            "idle-peer",
            |name, value| add_rule(name, value, "sgr-0a1", NODE, &json!({"GroupId": SPARE})),
            &["peer-unattached prod-node"],
        ),
        (
            "covered",
            |name, value| {
                add_rule(name, value, "sgr-0a1", NODE, &json!({"CidrIp": "10.0.0.0/8"}));
                add_rule(name, value, "sgr-0a2", NODE, &json!({"CidrIp": "10.1.0.0/16"}));
            },
            &[unused, "redundant-rule prod-node"],
        ),
        (
            "load-balancer",
            |name, value| {
                if name == "vpcs.json" {
                    value["LoadBalancers"] = json!([{"SecurityGroups": [SPARE], "Type": "application"}]);
                }
            },
            &[],
        ),
        (
            "covered-not",
            |name, value| {
                add_rule(name, value, "sgr-0a1", NODE, &json!({"CidrIp": "10.0.0.0/9"}));
                add_rule(name, value, "sgr-0a2", NODE, &json!({"CidrIp": "10.128.0.0/9"}));
            },
            &[unused],
        ),
        (
            "karpenter",
            |name, value| {
                if let Some(group) = group(name, value, SPARE) {
                    group["Tags"]
                        .as_array_mut()
                        .unwrap()
                        .push(json!({"Key": "karpenter.sh/discovery", "Value": "prod"}));
                }
            },
            &[],
        ),
        (
            "leftover",
            |name, value| {
                if let Some(group) = group(name, value, "sg-0b1a000000000005e") {
                    group["Tags"] = json!([{"Key": "kubernetes.io/cluster/old", "Value": "owned"}]);
                }
            },
            &[unused, "leftover-group orders-db"],
        ),
        (
            "two-roles",
            |name, value| {
                if name == "cluster.prod.json" {
                    value["cluster"]["resourcesVpcConfig"]["securityGroupIds"] = json!([NODE]);
                }
            },
            &[unused, "several-roles prod-node"],
        ),
        (
            "quota",
            |name, value| {
                for n in 0..50 {
                    add_rule(name, value, &format!("sgr-0b{n}"), NODE, &json!({"CidrIp": format!("10.{n}.0.0/16")}));
                }
            },
            &[unused, "near-quota prod-node"],
        ),
        (
            "cut",
            |name, value| {
                if name == "instances.json" {
                    value["NextToken"] = json!("x");
                }
            },
            &["input-incomplete -"],
        ),
        (
            "stock-group",
            |name, value| {
                if let Some(group) = group(name, value, CLUSTER) {
                    group["Description"] = json!("");
                }
            },
            &[unused],
        ),
    ];
    for (name, change, more) in changes {
        let found = answer(&["--from", &changed(&format!("check-{name}"), change)]);
        assert_eq!(checked(&found), with(more), "{name}: {:#}", found["findings"]);
    }
    for (left_out, still) in
        [("interfaces", false), ("instances", false), ("list-clusters", true), ("cluster.prod", false)]
    {
        let found = answer(&["--from", &without("check-without", &[left_out])]);
        assert_eq!(checked(&found).contains(&unused.to_owned()), still, "without {left_out}");
    }
}

#[test]
fn shared_groups_and_exceptions_are_told_by_what_the_policy_says() {
    let two = changed("check-shared", |name, value| {
        if name == "instances.json" {
            let node = json!({
                "InstanceId": "i-0b1", "State": {"Name": "running"}, "VpcId": "vpc-0a1b2c3d4e5f60001",
                "SecurityGroups": [{"GroupId": NODE}], "Tags": [{"Key": "aws:eks:cluster-name", "Value": "dev"}],
            });
            value["Reservations"][0]["Instances"].as_array_mut().unwrap().push(node);
        }
        if name == "list-clusters.json" {
            value["clusters"] = json!(["prod", "dev"]);
        }
    });
    let policy = "version: 1\nclusters:\n  - {name: prod, environment: production}\n  - {name: dev, environment: test}\n\
                  exceptions:\n  - {id: over, reason: r, owner: o, expires: 2020-01-01, protocol: tcp, ports: [22], \
                  from: [203.0.113.7/32]}\n  - {id: idle, reason: r, owner: o, expires: 2999-01-01, protocol: tcp, \
                  ports: [8443], from: [203.0.113.7/32]}\n";
    let folder = folder("check-policy", &[("policy.yaml".to_owned(), policy.into())]);
    let found = checked(&answer(&["--from", &two, "--policy", &format!("{folder}/policy.yaml")]));
    for expected in [
        "shared-between-clusters prod-node",
        "shared-between-environments prod-node",
        "exception-expired -",
        "exception-unused -",
    ] {
        assert!(found.contains(&expected.to_owned()), "{expected}: {found:?}");
    }
}
