//! Plans of Terraform: groups, rules and clusters are judged before they exist, and what is known only after apply is not
//! known.

#![allow(clippy::needless_pass_by_value, reason = "values are written where they are given")]

use serde_json::{Value, json};

use crate::{NODE, answer, files, folder, run};

const WORLD: &str = "0.0.0.0/0";

/// A resource that will be made: its address, its values, and which of them are known only after apply.
fn made(address: &str, after: Value, unknown: Value) -> Value {
    changed(address, &["create"], json!(null), after, unknown)
}

fn changed(address: &str, actions: &[&str], before: Value, after: Value, unknown: Value) -> Value {
    let (module, own) = address.rsplit_once("module.").map_or(("", address), |(before, rest)| {
        let (name, own) = rest.split_once('.').unwrap();
        (address.split_at(before.len() + "module.".len() + name.len()).0, own)
    });
    let (kind, name) = own.split_once('.').unwrap();
    let name = name.split('[').next().unwrap();
    let mut resource = json!({
        "address": address, "mode": "managed", "type": kind, "name": name,
        "change": {"actions": actions, "before": before, "after": after, "after_unknown": unknown},
    });
    if !module.is_empty() {
        resource["module_address"] = json!(module);
    }
    resource
}

fn plan(changes: &[Value], configuration: Value) -> Value {
    json!({
        "format_version": "1.2", "terraform_version": "1.9.0", "variables": {"region": {"value": "eu-west-1"}},
        "planned_values": {"root_module": {"resources": []}}, "resource_changes": changes,
        "configuration": {
            "provider_config": {"aws": {"name": "aws", "expressions": {"region": {"references": ["var.region"]}}}},
            "root_module": configuration,
        },
        "errored": false, "complete": true,
    })
}

fn group_of(name: &str, ingress: Value) -> Value {
    json!({
        "name": name, "description": "x", "vpc_id": "vpc-0a1b2c3d4e5f60001", "egress": [], "ingress": ingress,
        "tags_all": {"kubernetes.io/cluster/prod": "owned"},
    })
}

fn inline(protocol: &str, port: u16, cidrs: &[&str]) -> Value {
    json!({
        "protocol": protocol, "from_port": port, "to_port": port, "cidr_blocks": cidrs, "ipv6_cidr_blocks": [],
        "prefix_list_ids": [], "security_groups": [], "self": false, "description": "x",
    })
}

fn audited(test: &str, plan: &Value, with_saved: bool) -> Value {
    let file = folder(test, &[("plan.json".to_owned(), plan.to_string().into_bytes())]);
    let plan = format!("{file}/plan.json");
    if with_saved { answer(&["--from", "tests/audit/saved", &plan]) } else { answer(&["--from", &plan]) }
}

/// The rules that something was found about: what they are called, and the worst clause.
fn rules(answer: &Value) -> Vec<(String, String)> {
    let findings = answer["findings"].as_array().unwrap().iter().filter(|one| one["kind"] == "rule");
    let of = |one: &Value| {
        let portions = one["portions"].as_array().unwrap();
        let worst = portions.iter().find(|portion| portion["verdict"] == one["verdict"]).unwrap();
        (one["rule"]["id"].as_str().unwrap().to_owned(), worst["clause"].as_str().unwrap().to_owned())
    };
    let mut found: Vec<_> = findings.map(of).collect();
    found.sort();
    found
}

fn has(answer: &Value, rule: &str, clause: &str) -> bool {
    rules(answer).contains(&(rule.to_owned(), clause.to_owned()))
}

/// A rule of its own for a group that is there.
fn rule(address: &str, group: Option<&str>, port: u16) -> Value {
    let after = json!({
        "security_group_id": group, "ip_protocol": "tcp", "from_port": port, "to_port": port, "cidr_ipv4": WORLD,
        "cidr_ipv6": null, "prefix_list_id": null, "referenced_security_group_id": null, "description": "x",
    });
    let unknown = json!({"id": true, "security_group_rule_id": true, "security_group_id": group.is_none()});
    made(address, after, unknown)
}

#[test]
fn a_planned_rule_of_a_group_that_is_there_is_judged_with_what_is_known_of_the_group() {
    let opened = plan(&[rule("aws_vpc_security_group_ingress_rule.etcd", Some(NODE), 2379)], json!({}));
    let found = audited("plan-rule", &opened, true);
    let finding = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["rule"]["id"] == "aws_vpc_security_group_ingress_rule.etcd");
    let finding = finding.unwrap();
    assert_eq!((&finding["verdict"], &finding["action"]), (&json!("revoke"), &json!("would-revoke")));
    assert_eq!(finding["fix"], "change `aws_vpc_security_group_ingress_rule.etcd` before it is applied");
    assert_eq!(found["totals"]["would_revoke"], 2, "the one that is there, and the planned one");
    // The same rule again, as Terraform has it when it is there already: it is one.
    let mut there = rule("aws_vpc_security_group_ingress_rule.kubelet", Some(NODE), 10_250);
    there["change"]["actions"] = json!(["no-op"]);
    assert_eq!(audited("plan-same", &plan(&[there], json!({})), true)["totals"]["would_revoke"], 1);
}

#[test]
fn what_a_plan_takes_away_is_gone() {
    let before = json!({
        "security_group_id": NODE, "type": "ingress", "protocol": "tcp", "from_port": 10250, "to_port": 10250,
        "cidr_blocks": [WORLD], "ipv6_cidr_blocks": null, "self": false,
    });
    let gone = changed("aws_security_group_rule.kubelet", &["delete"], before.clone(), json!(null), json!({}));
    assert_eq!(audited("plan-gone", &plan(&[gone], json!({})), true)["totals"]["would_revoke"], 0);
    let mut after = before.clone();
    after["cidr_blocks"] = json!(["10.0.0.0/8"]);
    let narrowed =
        changed("aws_security_group_rule.kubelet", &["delete", "create"], before, after, json!({"id": true}));
    assert_eq!(audited("plan-narrowed", &plan(&[narrowed], json!({})), true)["totals"]["would_revoke"], 0);
}

/// Nothing of it has an id yet: who is meant stands in the configuration, through modules, variables and outputs.
#[test]
fn a_cluster_with_its_groups_and_rules_is_judged_before_any_of_it_exists() {
    let new = json!({"id": true, "arn": true, "vpc_id": true});
    let mut of_vpc = group_of("prod-cluster", json!([inline("tcp", 443, &["203.0.113.0/24"])]));
    of_vpc.as_object_mut().unwrap().remove("vpc_id");
    let mut of_nodes = group_of("prod-node", json!([]));
    of_nodes.as_object_mut().unwrap().remove("vpc_id");
    let ssh = json!({"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_ipv4": WORLD});
    let from_cluster = json!({"ip_protocol": "-1"});
    let later = json!({"security_group_id": true, "referenced_security_group_id": true, "id": true});
    let changes = [
        made("aws_vpc.main", json!({"cidr_block": "10.0.0.0/16"}), json!({"id": true})),
        made("module.eks.aws_security_group.cluster[0]", of_vpc, new.clone()),
        made("module.eks.aws_security_group.node[0]", of_nodes, new),
        made("aws_vpc_security_group_ingress_rule.ssh", ssh, json!({"security_group_id": true, "id": true})),
        made("module.eks.aws_vpc_security_group_ingress_rule.nodes[\"cluster\"]", from_cluster, later),
        made(
            "module.eks.aws_eks_cluster.this[0]",
            json!({"name": "prod", "vpc_config": [{
                "endpoint_public_access": true, "public_access_cidrs": [WORLD], "security_group_ids": null,
            }]}),
            json!({"arn": true, "vpc_config": [{"security_group_ids": true, "vpc_id": true}]}),
        ),
        made(
            "module.eks.aws_eks_node_group.blue",
            json!({"node_group_name": "blue", "launch_template": [{"version": "1"}]}),
            json!({"cluster_name": true, "launch_template": [{"id": true}]}),
        ),
        made("module.eks.aws_launch_template.blue", json!({}), json!({"id": true, "vpc_security_group_ids": true})),
    ];
    let to = |references: &[&str]| json!({"references": references});
    let in_module = json!({
        "resources": [
            {"address": "aws_security_group.cluster", "expressions": {"vpc_id": to(&["var.vpc_id"])}},
            {"address": "aws_security_group.node", "expressions": {"vpc_id": to(&["var.vpc_id"])}},
            {"address": "aws_vpc_security_group_ingress_rule.nodes", "expressions": {
                "security_group_id": to(&["aws_security_group.node[0].id", "aws_security_group.node[0]",
                                          "aws_security_group.node"]),
                "referenced_security_group_id": to(&["aws_security_group.cluster[0].id", "aws_security_group.cluster[0]",
                                                     "aws_security_group.cluster"]),
            }},
            {"address": "aws_eks_cluster.this", "expressions": {"vpc_config": [{
                "security_group_ids": to(&["aws_security_group.cluster[0].id", "aws_security_group.cluster"]),
            }]}},
            {"address": "aws_eks_node_group.blue", "expressions": {
                "cluster_name": to(&["aws_eks_cluster.this[0].name", "aws_eks_cluster.this"]),
                "launch_template": [{"id": to(&["aws_launch_template.blue.id", "aws_launch_template.blue"])}],
            }},
            {"address": "aws_launch_template.blue", "expressions": {
                "vpc_security_group_ids": to(&["aws_security_group.node[0].id", "aws_security_group.node"]),
            }},
        ],
        "outputs": {"node_group_id": {"expression": to(&["aws_security_group.node[0].id", "aws_security_group.node"])}},
    });
    let configuration = json!({
        "resources": [{"address": "aws_vpc_security_group_ingress_rule.ssh", "expressions": {
            "security_group_id": to(&["module.eks.node_group_id", "module.eks"]),
        }}],
        "module_calls": {"eks": {"expressions": {"vpc_id": to(&["aws_vpc.main.id", "aws_vpc.main"])}, "module": in_module}},
    });
    let found = audited("plan-new", &plan(&changes, configuration), false);
    assert!(has(&found, "aws_vpc_security_group_ingress_rule.ssh", "remote-login-wide"), "{found:#}");
    assert!(has(&found, "module.eks.aws_security_group.cluster[0].ingress[0]", "api-internet"), "{found:#}");
    let ssh = found["findings"].as_array().unwrap().iter().find(|one| one["verdict"] == "revoke").unwrap();
    assert_eq!(ssh["action"], "would-revoke", "the launch template proves the group");
    assert_eq!(ssh["region"], "eu-west-1");
    assert_eq!(found["totals"], json!({"would_revoke": 1, "report": 1, "allow": 1, "could_not_judge": 0}), "{found:#}");
    let checks: Vec<&Value> = found["findings"].as_array().unwrap().iter().map(|one| &one["check"]).collect();
    assert!(checks.contains(&&json!("public-endpoint")), "{checks:?}");
    assert!(!found["findings"].as_array().unwrap().iter().any(|one| one["kind"] == "requirement"), "{found:#}");
}

#[test]
fn what_is_known_only_after_apply_is_said_and_never_taken_for_absent() {
    let unknown_cidr = made(
        "aws_vpc_security_group_ingress_rule.later",
        json!({"security_group_id": NODE, "ip_protocol": "tcp", "from_port": 443, "to_port": 443}),
        json!({"cidr_ipv4": true}),
    );
    let unknown_port = made(
        "aws_security_group_rule.port",
        json!({"security_group_id": NODE, "type": "ingress", "protocol": "tcp", "to_port": 443, "cidr_blocks": [WORLD]}),
        json!({"from_port": true}),
    );
    let unknown_peer = made(
        "aws_vpc_security_group_ingress_rule.peer",
        json!({"security_group_id": NODE, "ip_protocol": "-1"}),
        json!({"referenced_security_group_id": true}),
    );
    let unplaced = rule("aws_vpc_security_group_ingress_rule.whose", None, 22);
    let whole =
        made("aws_security_group.dynamic", group_of("dynamic", json!(null)), json!({"id": true, "ingress": true}));
    for (test, change, said) in [
        (
            "plan-cidr",
            unknown_cidr,
            "aws_vpc_security_group_ingress_rule.later: its `cidr_ipv4` is known only after apply",
        ),
        ("plan-port", unknown_port, "aws_security_group_rule.port: its `from_port` is known only after apply"),
        ("plan-peer", unknown_peer, "its `referenced_security_group_id` is known only after apply"),
        ("plan-whole", whole, "aws_security_group.dynamic: its ingress rules are known only after apply"),
    ] {
        let found = audited(test, &plan(&[change], json!({})), true);
        assert_eq!(found["totals"]["could_not_judge"], 1, "{test}");
        let told = found["findings"].as_array().unwrap().iter().find(|one| one["check"] == "unreadable-rule").unwrap();
        assert!(told["detail"].as_str().unwrap().contains(said), "{test}: {told}");
    }
    let found = audited("plan-whose", &plan(&[unplaced], json!({})), true);
    assert!(
        found["warnings"].to_string().contains("aws_vpc_security_group_ingress_rule.whose"),
        "{}",
        found["warnings"]
    );
    let mut partial = plan(&[], json!({}));
    partial["complete"] = json!(false);
    assert!(audited("plan-partial", &partial, true)["warnings"].to_string().contains("incomplete"));
}

/// A block of a group is as many rules as it has peers.
#[test]
fn blocks_within_a_group_are_read_as_ec2_will_have_them() {
    let ingress = json!([
        inline("tcp", 22, &["0.0.0.0/1", "128.0.0.0/1"]),
        inline("-1", 0, &["198.51.100.7/32"]),
        {"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": [], "security_groups": [NODE], "self": true},
    ]);
    let of = made("aws_security_group.node", group_of("node", ingress), json!({"id": true, "arn": true}));
    let found = audited("plan-inline", &plan(&[of], json!({})), true);
    let name = "aws_security_group.node.ingress[0]";
    assert_eq!(rules(&found).iter().filter(|(id, clause)| id == name && clause == "remote-login-wide").count(), 2);
    assert!(has(&found, "aws_security_group.node.ingress[1]", "kubelet-internet"), "{:?}", rules(&found));
    let group = found["findings"].as_array().unwrap().iter().find(|one| one["rule"]["id"] == name).unwrap();
    assert_eq!(group["group"]["id"], "aws_security_group.node");
    assert_eq!(
        (&group["verdict"], &group["action"]),
        (&json!("revoke"), &json!("reported")),
        "ordinary tags alone make it the cluster's"
    );
    assert!(!found["findings"].to_string().contains("unused-group\",\"detail\":\"aws_security_group.node"));
}

#[test]
fn a_state_is_read_as_a_plan_is_and_what_is_neither_is_said() {
    let state = json!({"format_version": "1.0", "terraform_version": "1.9.0", "values": {"root_module": {"child_modules": [
        {"address": "module.a", "resources": [{
            "address": "module.a.aws_vpc_security_group_ingress_rule.ssh", "mode": "managed", "name": "ssh",
            "type": "aws_vpc_security_group_ingress_rule", "values": {
                "security_group_id": NODE, "security_group_rule_id": "sgr-0fff", "ip_protocol": "6", "from_port": 22,
                "to_port": 22, "cidr_ipv4": WORLD,
            },
        }]},
    ]}}});
    assert!(has(&audited("state", &state, true), "sgr-0fff", "remote-login-wide"));
    for (name, content, said) in [
        ("version", json!({"format_version": "2.0", "resource_changes": []}), "`format_version` `2.0`"),
        ("shape", json!({"format_version": "1.2", "resource_changes": "none"}), "the plan is not understood"),
        ("other", json!({"format_version": "1.2", "providers": {}}), "no answer of the AWS CLI"),
    ] {
        let folder = folder("plan-bad", &[(format!("{name}.json"), content.to_string().into_bytes())]);
        let (code, _, err) = run(&["audit", "--from", "tests/audit/saved", &format!("{folder}/{name}.json")]);
        assert!(code == 1 && err.contains(said), "{name}: {err}");
        assert!(!err.contains("none"), "nothing of a plan is shown: {err}");
    }
}

/// Secrets stand in clear in a plan.
#[test]
fn nothing_of_a_plan_is_shown_but_what_is_asked_for() {
    let secret = "hunter2-not-for-anybody";
    let mut with = plan(&[rule("aws_vpc_security_group_ingress_rule.ssh", Some(NODE), 22)], json!({}));
    with["variables"]["password"] = json!({"value": secret});
    with["resource_changes"].as_array_mut().unwrap().push(made(
        "aws_db_instance.main",
        json!({"password": secret, "vpc_security_group_ids": [NODE]}),
        json!({}),
    ));
    let folder = folder("plan-secret", &[("plan.json".to_owned(), with.to_string().into_bytes())]);
    for format in ["text", "json", "csv", "html", "sarif", "asff", "mermaid"] {
        let arguments = ["audit", "--format", format, "--from", "tests/audit/saved", &format!("{folder}/plan.json")];
        let (code, out, err) = run(&arguments);
        assert!(code == 2 && !out.contains(secret) && !err.contains(secret), "{format}");
    }
    assert!(!files().is_empty());
}
