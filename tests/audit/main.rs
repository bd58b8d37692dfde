//! `audit` on the built command line: saved answers of the AWS CLI in every form that people have them in, and what is said
//! of those that are cut, foreign, hostile or not there. `saved/` is one small account, written from the documented shapes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests: a panic is a failed test"
)]

mod checks;
mod formats;
mod hostile;
mod hour;
#[path = "../json_schema/mod.rs"]
mod json_schema;
mod narrow;
mod page;
mod plan;
mod sample;
mod schemas;
mod shapes;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const NODE: &str = "sg-0d1a000000000002b";

/// Exit code, standard output, standard error.
type Said = (i32, String, String);

fn run_with(input: &[u8], arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eks-sg-guard"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear().args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn run(arguments: &[&str]) -> Said {
    run_with(b"", arguments)
}

fn answer(arguments: &[&str]) -> Value {
    let (code, out, err) = run(&[&["audit", "--format", "json"], arguments].concat());
    assert!(code == 0 || code == 2, "{code}: {err}");
    serde_json::from_str(&out).unwrap()
}

/// The files of `saved/`, in order.
fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit/saved");
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// A folder for one test, with these files.
fn folder(test: &str, files: &[(String, Vec<u8>)]) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("audit").join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

/// The saved account with some of its answers changed.
fn changed(test: &str, change: impl Fn(&str, &mut Value)) -> String {
    let files: Vec<_> = files()
        .into_iter()
        .map(|(name, bytes)| {
            let mut value: Value = serde_json::from_slice(&bytes).unwrap();
            change(&name, &mut value);
            (name, serde_json::to_vec(&value).unwrap())
        })
        .collect();
    folder(test, &files)
}

fn without(test: &str, left_out: &[&str]) -> String {
    let kept = files().into_iter().filter(|(name, _)| !left_out.iter().any(|part| name.contains(part)));
    folder(test, &kept.collect::<Vec<_>>())
}

/// What is found, without where it was read.
fn findings(answer: &Value) -> Value {
    let mut findings = answer["findings"].clone();
    for finding in findings.as_array_mut().unwrap() {
        finding["origin"] = Value::Null;
    }
    findings
}

#[test]
fn the_first_line_counts_and_each_finding_says_why_and_what_to_do() {
    let (code, out, err) = run(&["audit", "--from", "tests/audit/saved"]);
    assert_eq!((code, err.as_str()), (2, ""));
    assert_eq!(out.lines().next(), Some("would revoke 1, report 3, allow 10, could not judge 0"));
    insta::with_settings!({ omit_expression => true, snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("audit_text", out);
    });
}

#[test]
fn json_has_the_envelope_the_totals_and_findings_as_records_have_them() {
    let mut answer = answer(&["--from", "tests/audit/saved"]);
    assert_eq!((&answer["version"], &answer["command"], &answer["exit_code"]), (&json!(1), &json!("audit"), &json!(2)));
    assert_eq!(answer["totals"], json!({"would_revoke": 1, "report": 3, "allow": 10, "could_not_judge": 0}));
    assert_eq!(answer["missing"], json!([]));
    assert_eq!(answer["warnings"], json!([]));
    let first = &answer["findings"][0];
    assert_eq!(first["rule"]["id"], "sgr-0000000000000000a");
    assert_eq!(first["action"], "would-revoke");
    assert_eq!(first["origin"]["file"], "tests/audit/saved/security-group-rules.json");
    answer["time"] = json!("TIME");
    answer["policy_hash"] = json!("HASH");
    insta::with_settings!({ omit_expression => true, snapshot_path => "../snapshots" }, {
        insta::assert_json_snapshot!("audit_json", answer);
    });
}

#[test]
fn every_form_of_the_same_answers_says_the_same() {
    let expected = findings(&answer(&["--from", "tests/audit/saved"]));
    let files = files();
    let all = |form: &dyn Fn(&[u8]) -> Vec<u8>| -> Vec<(String, Vec<u8>)> {
        files.iter().map(|(name, bytes)| (name.clone(), form(bytes))).collect()
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let utf_16 = |bytes: &[u8], mark: &[u8], unit: fn(u16) -> [u8; 2]| {
        mark.iter().copied().chain(text(bytes).encode_utf16().flat_map(unit)).collect::<Vec<u8>>()
    };
    let gzip = |bytes: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    for (form, files) in [
        ("mark", all(&|bytes| [b"\xef\xbb\xbf", bytes].concat())),
        ("little", all(&|bytes| utf_16(bytes, b"\xff\xfe", u16::to_le_bytes))),
        ("big", all(&|bytes| utf_16(bytes, b"\xfe\xff", u16::to_be_bytes))),
        ("unmarked", all(&|bytes| utf_16(bytes, b"", u16::to_le_bytes))),
        ("gzip", all(&gzip)),
        ("gzip-twice", all(&|bytes| [gzip(bytes), gzip(b"\n")].concat())),
        ("minified", all(&|bytes| serde_json::from_slice::<Value>(bytes).unwrap().to_string().into_bytes())),
        ("windows", all(&|bytes| text(bytes).replace('\n', "\r\n").into_bytes())),
    ] {
        let found = answer(&["--from", &folder(form, &files)]);
        assert_eq!(findings(&found), expected, "{form}");
        assert_eq!(found["warnings"], json!([]), "{form}");
    }
    // All of it in one stream but what does not say of which list or trail it is.
    let is_named = |name: &str| name.starts_with("entries") || name.starts_with("trail-status");
    let (entries, others): (Vec<_>, Vec<_>) = files.iter().cloned().partition(|(name, _)| is_named(name));
    let stream: Vec<u8> = others.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let entries = folder("stream", &entries);
    let (_, out, _) = run_with(&stream, &["audit", "--format", "json", "--from", "-", &entries]);
    assert_eq!(findings(&serde_json::from_str(&out).unwrap()), expected);
    // As `--query` prints them, where each item says what it is.
    let bare = changed("bare", |_, value| {
        let lists = ["SecurityGroups", "SecurityGroupRules", "NetworkInterfaces", "Vpcs", "PrefixLists"];
        let around = ["Subnets", "RouteTables", "InternetGateways", "NetworkAcls"];
        for key in lists.into_iter().chain(around) {
            if let Some(list) = value.get(key) {
                *value = list.clone();
            }
        }
        if let Some(reservations) = value.get("Reservations") {
            *value = json!([reservations[0]["Instances"]]);
        }
        if let Some(cluster) = value.get("cluster") {
            *value = cluster.clone();
        }
    });
    assert_eq!(findings(&answer(&["--from", &bare])), expected);
}

#[test]
fn what_is_missing_lowers_evidence_and_is_said_once_with_its_command() {
    for (left_out, totals, row) in [
        (&["caller"][..], [1, 3, 10, 0], None),
        (&["security-group-rules"], [1, 3, 10, 0], Some("describe-security-group-rules")),
        (&["security-groups"], [1, 2, 7, 0], Some("aws ec2 describe-security-groups")),
        (&["network-interfaces"], [1, 4, 9, 0], Some("describe-network-interfaces")),
        (&["instances", "nodegroup", "launch"], [0, 4, 10, 0], Some("describe-instances")),
        (&["vpcs"], [1, 3, 10, 0], Some("describe-vpcs")),
        (&["entries"], [1, 2, 10, 1], Some("get-managed-prefix-list-entries --prefix-list-id pl-0a1b2c3d4e5f60009")),
        (&["cluster.prod"], [1, 3, 10, 0], Some("describe-cluster --name prod")),
        (&["nodegroup"], [1, 3, 10, 0], Some("describe-nodegroup --cluster-name prod")),
        (
            &["launch"],
            [1, 3, 10, 0],
            Some("describe-launch-template-versions --launch-template-id lt-0a10000000000001a"),
        ),
        (&["vpc-associations"], [1, 3, 10, 0], Some("describe-security-group-vpc-associations")),
        (&["list-clusters"], [1, 3, 10, 0], Some("aws eks list-clusters")),
        (&["route-tables"], [1, 3, 10, 0], Some("aws ec2 describe-route-tables")),
        (&["subnets"], [1, 3, 10, 0], Some("aws ec2 describe-subnets")),
        (&["network-acls"], [1, 3, 10, 0], Some("aws ec2 describe-network-acls")),
        (&["internet-gateways"], [1, 3, 10, 0], None),
        (&["trails.json"], [1, 3, 10, 0], Some("aws cloudtrail describe-trails")),
    ] {
        let found = answer(&["--from", &without(&format!("without-{}", left_out[0]), left_out)]);
        let [revoke, report, allow, unjudged] = totals;
        let expected = json!({"would_revoke": revoke, "report": report, "allow": allow, "could_not_judge": unjudged});
        assert_eq!(found["totals"], expected, "{left_out:?}");
        let commands: Vec<&str> =
            found["missing"].as_array().unwrap().iter().map(|row| row["command"].as_str().unwrap()).collect();
        let with_it = row.map_or(0, |row| commands.iter().filter(|command| command.contains(row)).count());
        assert_eq!(with_it, usize::from(row.is_some()), "{left_out:?}: {commands:?}");
        if row.is_none() {
            assert!(commands.is_empty(), "{commands:?}");
        }
    }
}

#[test]
fn an_answer_that_is_cut_says_so_and_proves_nothing_to_be_absent() {
    for token in ["NextToken", "nextToken", "NextMarker"] {
        let cut = changed("cut", |name, value| {
            if name == "network-interfaces.json" {
                value[token] = json!("eyJ0b2tlbiI6IG51bGx9");
            }
        });
        let found = answer(&["--from", &cut]);
        assert!(found["warnings"][0].as_str().unwrap().contains("holds a token for the next page"), "{found}");
        assert_eq!(found["missing"][0]["what"], "the rest of network-interfaces");
        let spare =
            found["findings"].as_array().unwrap().iter().find(|one| one["group"]["name"] == "prod-spare").unwrap();
        assert!(!spare["detail"].as_str().unwrap().contains("nothing is attached"), "{spare}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_that_says_what_to_do() {
    let truncated = |name: &str| {
        let bytes = fs::read(format!("{}/tests/audit/saved/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        bytes[..bytes.len() / 2].to_vec()
    };
    let groups = |group: Value| json!({"SecurityGroups": [{"GroupId": "sg-0a1b2c3d", "IpPermissions": []}, group]});
    let bytes = |value: Value| value.to_string().into_bytes();
    for (name, content, said) in [
        ("empty.json", b" \n".to_vec(), "is empty"),
        ("null.json", b"null".to_vec(), "without `--query`"),
        ("text.txt", b"SECURITYGROUPS\tdefault\tsg-1".to_vec(), "--output json"),
        ("yaml.yaml", b"SecurityGroups:\n- GroupId: sg-1\n".to_vec(), "--output json"),
        ("cut.json", truncated("security-groups.json"), "ends in the middle, so it was cut; save it again"),
        ("two.json", b"{\"SecurityGroups\": []} {\"Vp".to_vec(), "ends in the middle"),
        ("gzip.json", b"\x1f\x8b\x08\x00nonsense".to_vec(), "cannot be unpacked"),
        ("foreign.json", bytes(json!({"Buckets": [], "Owner": {}})), "at its top it has `Buckets`, `Owner`"),
        ("ecs.json", bytes(json!({"clusters": [{"clusterArn": "arn:aws:ecs:a"}], "failures": []})), "`clusters`"),
        ("query.json", bytes(json!([["sg-1", "name"]])), "do not say what they are"),
        ("query-2.json", bytes(json!([{"Id": "sg-1"}])), "do not say what they are (line 1)"),
        ("odd.json", bytes(groups(json!({"GroupId": 7}))), "the item is not understood"),
        (
            "odd-2.json",
            bytes(groups(json!({"GroupId": "eni-0a1b2c3d"}))),
            "`eni-0a1b2c3d` is not the id of a security group",
        ),
        ("twice.json", b"{\"Vpcs\": [], \"Vpcs\": []}".to_vec(), "`Vpcs` stands there twice"),
        (
            "not-a-list.json",
            bytes(json!({"SecurityGroups": {"GroupId": "sg-1"}})),
            "expected a list under `SecurityGroups`",
        ),
    ] {
        let folder = folder("bad", &[(name.to_owned(), content)]);
        let (code, out, err) = run(&["audit", "--from", "tests/audit/saved", &format!("{folder}/{name}")]);
        assert_eq!((code, out.as_str()), (1, ""), "{name}: {err}");
        assert!(err.starts_with("error: ") && err.contains(name) && err.contains(said), "{name}: {err}");
        assert_eq!(err.lines().count(), 1, "{name}: {err}");
    }
    let (code, _, err) = run(&["audit", "--from", "nowhere.json"]);
    assert!(code == 1 && err.contains("`nowhere.json` cannot be read"), "{err}");
    let (code, out, _) = run(&["audit", "--format", "json", "--from", "nowhere.json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert!(code == 1 && answer["command"] == "audit" && answer["error"].is_string(), "{out}");
}

#[test]
fn what_else_lies_in_a_folder_is_left_out_and_said() {
    let mut all = files();
    all.push(("README.md".to_owned(), b"# saved on Monday".to_vec()));
    all.push(("buckets.json".to_owned(), b"{\"Buckets\": []}".to_vec()));
    all.push(("empty.json".to_owned(), Vec::new()));
    all.push(("subnets.json".to_owned(), b"{\"Subnets\": [{\"SubnetId\": \"subnet-1\"}]}".to_vec()));
    all.push((".hidden".to_owned(), b"not looked at".to_vec()));
    let found = answer(&["--from", &folder("mixed", &all)]);
    assert_eq!(found["totals"]["would_revoke"], 1);
    let warnings: Vec<&str> = found["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (warning, name) in warnings.iter().zip(["README.md", "buckets.json", "empty.json"]) {
        assert!(warning.contains(name) && warning.contains("left out"), "{warning}");
    }
    // What is broken is no other file: nobody may take half of it for all.
    all.push(("vpcs-2.json".to_owned(), b"{\"Vpcs\": [".to_vec()));
    let (code, _, err) = run(&["audit", "--from", &folder("mixed", &all)]);
    assert!(code == 1 && err.contains("vpcs-2.json"), "{err}");
}

#[test]
fn files_that_name_no_cluster_are_no_clean_account() {
    let only = |left: &str, names: Value| {
        let mut kept: Vec<_> = files().into_iter().filter(|(name, _)| name == left).collect();
        if !names.is_null() {
            kept.push(("list-clusters.json".to_owned(), json!({"clusters": names}).to_string().into_bytes()));
        }
        run(&["audit", "--from", &folder("none", &kept)])
    };
    let (code, _, err) = only("vpcs.json", Value::Null);
    assert!(code == 1 && err.contains("names an EKS cluster") && err.contains("aws eks describe-cluster"), "{err}");
    let (code, out, _) = only("vpcs.json", json!([]));
    assert_eq!((code, out.lines().next()), (0, Some("would revoke 0, report 0, allow 0, could not judge 0")));
    let (code, _, err) = run(&["audit", "--from", "tests/audit/saved", "--cluster", "dev-*"]);
    assert!(code == 1 && err.contains("matches `dev-*`; there is `prod`"), "{err}");
    let (code, ..) = run(&["audit", "--from", "tests/audit/saved", "--cluster", "pr*"]);
    assert_eq!(code, 2);
}

#[test]
fn files_of_different_times_and_of_two_accounts_are_told_apart() {
    let other_time = changed("times", |name, value| {
        if name == "security-groups.json" {
            value["SecurityGroups"][1]["IpPermissions"] = json!([]);
        }
    });
    let found = answer(&["--from", &other_time]);
    assert_eq!(found["totals"]["would_revoke"], 1, "the rules with ids count");
    assert!(found["warnings"][0].as_str().unwrap().contains(NODE), "{}", found["warnings"]);
    assert!(found["warnings"][0].as_str().unwrap().contains("different times"));
    // The same account once more, as another one in another region.
    let other = files().into_iter().filter(|(name, _)| !name.starts_with("caller") && !name.starts_with("list"));
    let other: Vec<_> = other
        .map(|(name, bytes)| {
            let text = String::from_utf8(bytes).unwrap().replace("111122223333", "444455556666");
            let text = text.replace("eu-west-1", "us-east-1").replace("0a1b2c3d4e5f60001", "0a1b2c3d4e5f6bbbb");
            let text = text.replace("00000000000", "bbbbbbbbbbb").replace("pl-0a", "pl-0b").replace("6da5", "6da6");
            (name.replace("pl-0a", "pl-0b"), text.into_bytes())
        })
        .collect();
    let first: Vec<_> = files().into_iter().filter(|(name, _)| !name.starts_with("caller")).collect();
    let found = answer(&["--from", &folder("one", &first), &folder("other", &other)]);
    let places: Vec<_> =
        found["locations"].as_array().unwrap().iter().map(|found| (&found["account"], &found["region"])).collect();
    assert_eq!(places, [(&json!("111122223333"), &json!("eu-west-1")), (&json!("444455556666"), &json!("us-east-1"))]);
    assert_eq!(found["totals"], json!({"would_revoke": 2, "report": 6, "allow": 20, "could_not_judge": 0}));
    assert_eq!(found["warnings"], json!([]));
}

#[test]
fn text_of_strangers_is_inert() {
    let hostile = "\u{1b}[31m<script>alert(1)</script>\u{202e}`$(id)`\n=cmd|' /C calc'!A0";
    let told = changed("hostile", |name, value| {
        for (key, id) in [("SecurityGroups", "GroupName"), ("SecurityGroupRules", "Description")] {
            for item in value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                item[id] = json!(hostile.repeat(200));
                item["Tags"].as_array_mut().unwrap().push(json!({"Key": hostile, "Value": hostile}));
            }
        }
        if name.starts_with("network-interfaces") {
            value["NetworkInterfaces"][0]["Description"] = json!(hostile);
            value["NetworkInterfaces"][0]["TagSet"] =
                json!([{"Key": format!("kubernetes.io/cluster/{hostile}"), "Value": ""}]);
        }
    });
    for format in ["text", "json"] {
        let (code, out, err) = run(&["audit", "--format", format, "--from", &told]);
        assert_eq!((code, err.as_str()), (2, ""), "{format}");
        assert!(out.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{format}");
        assert!(out.lines().all(|line| line.len() < 60_000), "{format}");
    }
    let (_, out, _) = run(&["audit", "--from", &told]);
    assert!(out.lines().all(|line| line.chars().count() < 1000), "{out}");
}

#[test]
fn rules_that_cannot_be_understood_are_counted_and_told() {
    let odd = changed("odd", |name, value| {
        if name == "security-group-rules.json" {
            let rules = value["SecurityGroupRules"].as_array_mut().unwrap();
            let rule = rules.iter_mut().find(|rule| rule["SecurityGroupRuleId"] == "sgr-0000000000000000a").unwrap();
            rule["IpProtocol"] = json!("quic");
        }
    });
    let found = answer(&["--from", &odd]);
    assert_eq!(found["totals"]["could_not_judge"], 1);
    let told = found["findings"].as_array().unwrap().iter().find(|one| one["kind"] == "group").unwrap();
    assert!(told["detail"].as_str().unwrap().contains("`quic` is not a protocol"), "{told}");
}

#[test]
fn fail_on_and_the_policy_decide_the_exit_code() {
    let from = |arguments: &[&str]| run(&[&["audit", "--from", "tests/audit/saved"], arguments].concat()).0;
    assert_eq!(from(&["--policy", "none"]), 0);
    assert_eq!(from(&["--policy", "strict"]), 2);
    assert_eq!(from(&["--policy", "nowhere.yaml"]), 1);
    assert_eq!(from(&["--policy", "tests/policies/bad_cidr.yaml"]), 3);
    let strict = without("calm", &["security-group-rules", "security-groups"]);
    assert_eq!(run(&["audit", "--from", &strict]).0, 0);
    assert_eq!(run(&["audit", "--from", &strict, "--fail-on", "medium"]).0, 2, "the public endpoint");
    assert_eq!(run(&["audit", "--from", &strict, "--fail-on", "high"]).0, 0);
}

#[test]
fn commands_and_permissions_are_printed() {
    let (code, out, _) = run(&["audit", "--commands"]);
    assert!(code == 0 && out.contains("aws ec2 describe-$c") && out.lines().all(|line| line.len() <= 125), "{out}");
    let (code, out, _) = run(&["audit", "--permissions"]);
    let policy: Value = serde_json::from_str(&out).unwrap();
    assert!(code == 0 && policy["Statement"][0]["Action"].as_array().unwrap().contains(&json!("eks:DescribeCluster")));
    // With the SDK it asks AWS itself (tests/e2e/test_live_audit.py).
    if !cfg!(feature = "aws") {
        let (code, _, err) = run(&["audit"]);
        assert!(code == 1 && err.contains("--from"), "{err}");
    }
}
