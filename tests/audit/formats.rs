//! The formats of an audit for other programs, and what changed since an older one.

use std::fs;

use serde_json::{Value, json};

use crate::{NODE, answer, changed, folder, run};

const HOSTILE: &str = "=cmd|' /C calc'!A0 \"]; end <script>alert(1)</script> {0} [a](1) \u{202e}\u{1b}[31m";

fn written(format: &str, from: &str) -> String {
    let (code, out, err) = run(&["audit", "--format", format, "--from", from]);
    // What is imported says how, beside the answer.
    assert_eq!((code, err.is_empty()), (2, format != "asff"), "{format}: {err}");
    out
}

/// The saved account with names, descriptions and tags of somebody who means harm.
pub(crate) fn hostile(test: &str) -> String {
    changed(test, |_, value| {
        for (key, field) in [("SecurityGroups", "GroupName"), ("SecurityGroupRules", "Description")] {
            for item in value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                item[field] = json!(HOSTILE);
            }
        }
    })
}

/// RFC 4180: fields in quotes may hold commas, quotes and line breaks.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn csv_has_a_line_for_each_rule_and_portion_and_no_formula() {
    let text = written("csv", "tests/audit/saved");
    assert!(text.lines().all(|line| !line.is_empty()) && text.matches("\r\n").count() == text.matches('\n').count());
    let lines = records(&text);
    let column = |name: &str| lines[0].iter().position(|column| column == name).unwrap();
    let rules: std::collections::BTreeSet<&String> = lines[1..].iter().map(|line| &line[column("rule")]).collect();
    assert_eq!(rules.len(), 15, "fourteen rules of four groups, and none");
    let kubelet = lines.iter().find(|line| line[column("check")] == "kubelet-internet").unwrap();
    assert_eq!((kubelet[column("verdict")].as_str(), kubelet[column("ports")].as_str()), ("revoke", "10250"));
    assert!(kubelet[column("fix")].starts_with("aws ec2 revoke-security-group-ingress"));
    for line in records(&written("csv", &hostile("csv-hostile"))) {
        assert!(line.iter().all(|field| !field.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{line:?}");
        assert!(line.iter().all(|field| field.chars().all(|c| !c.is_control() && c != '\u{202e}')), "{line:?}");
    }
}

#[test]
fn sarif_is_what_code_scanning_takes() {
    let sarif: Value = serde_json::from_str(&written("sarif", "tests/audit/saved")).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    assert_eq!(run["automationDetails"]["id"], "eks-sg-guard/111122223333/eu-west-1/");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 9);
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(
            uri.starts_with("tests/audit/saved/security-group") || uri == "aws/111122223333/eu-west-1/prod",
            "{uri}"
        );
        assert_eq!(result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().len(), 64);
    }
    for rule in rules {
        let tags = rule["properties"]["tags"].as_array().unwrap();
        let severity: f64 = rule["properties"]["security-severity"].as_str().unwrap().parse().unwrap();
        assert!(tags.len() <= 20 && severity > 0.0, "{rule}");
        let taxa = run["taxonomies"][0]["taxa"].as_array().unwrap();
        for relation in rule["relationships"].as_array().unwrap() {
            let index = usize::try_from(relation["target"]["index"].as_u64().unwrap()).unwrap();
            assert_eq!(taxa[index]["id"], relation["target"]["id"]);
        }
    }
    // The line is the one at which the group begins in the file.
    let of_node = results.iter().find(|result| result["ruleId"] == "kubelet-internet").unwrap();
    let place = &of_node["locations"][0]["physicalLocation"];
    let file = fs::read_to_string(place["artifactLocation"]["uri"].as_str().unwrap()).unwrap();
    let line = usize::try_from(place["region"]["startLine"].as_u64().unwrap()).unwrap();
    let from_there: String = file.lines().skip(line - 1).take(5).collect();
    assert!(from_there.trim_start().starts_with('{') && from_there.contains(NODE), "{from_there}");
    let text = written("sarif", &hostile("sarif-hostile-2"));
    let sarif: Value = serde_json::from_str(&text).unwrap();
    let messages: Vec<&str> = sarif["runs"][0]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["message"]["text"].as_str().unwrap())
        .collect();
    assert!(messages.iter().any(|message| message.contains("{{0}} \\[a\\](1)")), "{messages:?}");
    assert!(!messages.iter().any(|message| message.contains('\u{1b}')));
}

#[test]
fn asff_is_what_security_hub_imports() {
    let batches: Value = serde_json::from_str(&written("asff", "tests/audit/saved")).unwrap();
    let found = batches[0]["Findings"].as_array().unwrap();
    assert_eq!((batches.as_array().unwrap().len(), found.len()), (1, 9));
    for one in found {
        for key in
            ["SchemaVersion", "Id", "ProductArn", "GeneratorId", "AwsAccountId", "CreatedAt", "UpdatedAt", "Title"]
        {
            assert!(one[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {one}");
        }
        assert!(one["CreatedAt"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        assert!(["Workflow", "Note", "UserDefinedFields"].iter().all(|key| one.get(key).is_none()), "{one}");
        assert!(one["Remediation"]["Recommendation"]["Text"].as_str().is_none_or(|text| text.chars().count() <= 512));
    }
    let kubelet = found.iter().find(|one| one["GeneratorId"] == "eks-sg-guard/kubelet-internet").unwrap();
    assert_eq!(kubelet["Severity"]["Label"], "CRITICAL");
    assert_eq!(kubelet["Compliance"]["Status"], "FAILED");
    assert!(
        kubelet["Compliance"]["RelatedRequirements"].as_array().unwrap().contains(&json!("AWS Security Hub EC2.18"))
    );
    let resources = kubelet["Resources"].as_array().unwrap();
    assert_eq!(resources[0]["Id"], format!("arn:aws:ec2:eu-west-1:111122223333:security-group/{NODE}"));
    assert_eq!(resources[0]["Details"]["AwsEc2SecurityGroup"]["GroupId"], NODE);
    assert_eq!(resources[1]["Type"], "AwsEksCluster");
    // A rule that is made again has another id, and the finding is the same.
    let again = changed("asff-again", |name, value| {
        for rule in value.get_mut("SecurityGroupRules").and_then(Value::as_array_mut).into_iter().flatten() {
            rule["SecurityGroupRuleId"] =
                json!(rule["SecurityGroupRuleId"].as_str().unwrap().replace("sgr-00", "sgr-0f"));
        }
        assert!(!name.is_empty());
    });
    let ids = |batches: &Value| -> Vec<Value> {
        let mut ids: Vec<Value> =
            batches[0]["Findings"].as_array().unwrap().iter().map(|one| one["Id"].clone()).collect();
        ids.sort_by_key(Value::to_string);
        ids
    };
    assert_eq!(ids(&serde_json::from_str(&written("asff", &again)).unwrap()), ids(&batches));
    let text = written("asff", &hostile("asff-hostile"));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'));
}

#[test]
fn each_batch_is_said_with_the_command_that_imports_it() {
    let many = changed("asff-many", |_, value| {
        let Some(rules) = value.get_mut("SecurityGroupRules").and_then(Value::as_array_mut) else { return };
        let world = rules.iter().find(|rule| rule["SecurityGroupRuleId"] == "sgr-0000000000000000a").unwrap().clone();
        rules.extend((0..150).map(|n| {
            let mut rule = world.clone();
            rule["SecurityGroupRuleId"] = json!(format!("sgr-0a000000000000{n:03}"));
            rule["CidrIpv4"] = json!(format!("203.0.113.{n}/32"));
            rule
        }));
    });
    let (_, out, err) = run(&["audit", "--format", "asff", "--from", &many]);
    let batches: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(batches.as_array().unwrap().len(), 2);
    let import = |n: usize, findings: usize| {
        format!(
            "{findings} findings: jq '.[{n}]' batches.json >batch.json && aws securityhub batch-import-findings \
             --region eu-west-1 --cli-input-json file://batch.json"
        )
    };
    let said: Vec<&str> = err.lines().collect();
    assert_eq!(said, ["saved as batches.json, this is imported by:", &import(0, 100), &import(1, 60)]);
}

#[test]
fn mermaid_draws_who_may_talk_to_whom() {
    let text = written("mermaid", "tests/audit/saved");
    insta::with_settings!({ omit_expression => true, snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("audit_mermaid", text);
    });
    let text = written("mermaid", &hostile("mermaid-hostile"));
    assert!(!text.contains("<script>") && !text.contains("\"]; end") && !text.contains('`'), "{text}");
}

#[test]
fn a_comparison_tells_what_is_new_gone_and_changed() {
    let old = answer(&["--from", "tests/audit/saved"]);
    let old = folder("compare-old", &[("old.json".to_owned(), old.to_string().into_bytes())]) + "/old.json";
    let compare = |from: &str, more: &[&str]| {
        let (code, out, err) = run(&[&["audit", "--compare", &old, "--from", from], more].concat());
        assert!(err.is_empty(), "{err}");
        (code, out)
    };
    let (code, out) = compare("tests/audit/saved", &[]);
    assert_eq!(code, 0, "what was there before is no news");
    assert!(out.contains("new 0, gone 0, changed 0, unchanged 9"), "{out}");
    // Made again under another id, it is the same; one is gone, one is new, one is worse since its group is attached now.
    let now = changed("compare-now", |name, value| {
        if name == "security-group-rules.json" {
            let rules = value["SecurityGroupRules"].as_array_mut().unwrap();
            rules.retain(|rule| rule["FromPort"] != 22);
            for rule in rules.iter_mut().filter(|rule| rule["FromPort"] == 10250) {
                let id = rule["SecurityGroupRuleId"].as_str().unwrap().replace("sgr-00", "sgr-0f");
                rule["SecurityGroupRuleId"] = json!(id);
            }
            let mut etcd = rules.iter().find(|rule| rule["FromPort"] == 10250).unwrap().clone();
            etcd["SecurityGroupRuleId"] = json!("sgr-0abcdef0");
            (etcd["FromPort"], etcd["ToPort"]) = (json!(2379), json!(2379));
            rules.push(etcd);
        }
        if name == "network-interfaces.json" {
            value["NetworkInterfaces"][1]["Groups"]
                .as_array_mut()
                .unwrap()
                .push(json!({"GroupId": "sg-0f1a000000000004d"}));
        }
        if name == "security-groups.json" {
            for group in value["SecurityGroups"].as_array_mut().unwrap() {
                group["IpPermissions"] = json!([]);
                group["IpPermissionsEgress"] = json!([]);
            }
        }
    });
    let (code, out) = compare(&now, &[]);
    assert_eq!(code, 2);
    assert!(out.contains("new 1, gone 2, changed 1"), "{out}");
    assert!(out.contains("new      revoke (critical) TCP 2379 from anywhere"), "{out}");
    assert!(out.contains("changed  revoke (medium) -> revoke (critical) TCP 10250"), "{out}");
    assert!(out.contains("gone     report (high) TCP 22 from 203.0.113.7/32"), "{out}");
    let (_, out) = compare(&now, &["--format", "json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    let number = |key: &str| answer["compared"][key].as_array().unwrap().len();
    assert_eq!(["new", "gone", "changed"].map(number), [1, 2, 1], "{}", answer["compared"]);
    for (content, said) in [
        ("{}", "not understood"),
        (
            "{\"version\": 1, \"command\": \"explain\", \"policy_hash\": \"\", \"findings\": []}",
            "version 1 of `explain`",
        ),
        ("[", "is not JSON"),
    ] {
        let bad = folder("compare-bad", &[("bad.json".to_owned(), content.into())]) + "/bad.json";
        let (code, _, err) = run(&["audit", "--compare", &bad, "--from", "tests/audit/saved"]);
        assert!(code == 1 && err.contains(said), "{err}");
    }
    let (code, _, err) = run(&["audit", "--compare", &old, "--from", "tests/audit/saved", "--format", "csv"]);
    assert!(code == 1 && err.contains("`--compare` is for"), "{err}");
}
