//! Files of tests: the guide's examples run and pass, and the schema and the guide have the keys of the reader.

mod json_schema;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use eks_sg_guard::policy::file::cases;
use serde_json::Value;

use crate::json_schema::misfits;

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn schema() -> Value {
    serde_json::from_str(&read("core/src/policy/tests.schema.json")).unwrap()
}

fn examples() -> Vec<String> {
    let guide = read("docs/policy-tests.md");
    guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

/// Exit code and output for files of these texts.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn run(name: &str, texts: &[&str]) -> (i32, String) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy_tests_guide").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (n, text) in texts.iter().enumerate() {
        fs::write(folder.join(format!("{n}.yaml")), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_eks-sg-guard"));
    let output = command.env_clear().args(["policy", "test"]).arg(&folder).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_examples_of_the_guide_pass() {
    let texts = examples();
    assert!(texts.len() >= 3);
    let (code, out) = run("guide", &texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 0, "{out}");
}

#[test]
fn guide_and_schema_have_the_keys_of_the_reader() {
    let (schema, guide) = (schema(), read("docs/policy-tests.md"));
    let table = guide.split_once("| key |").map(|(_, table)| table).unwrap_or_default();
    let first_cells: String = table.lines().filter_map(|line| line.split('|').nth(1)).collect();
    let written: BTreeSet<&str> = first_cells.split('`').skip(1).step_by(2).collect();
    let mut known = BTreeSet::new();
    for (place, keys) in cases::keys() {
        let at = if place.is_empty() { &schema } else { &schema["$defs"][place] };
        let listed: BTreeSet<&str> = at["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(listed, keys.iter().copied().collect(), "{place}");
        known.extend(keys);
    }
    assert_eq!(written, known);
}

#[test]
fn the_schema_takes_what_the_reader_takes_and_refuses_what_it_refuses() {
    let rule = |rule: &str| format!("version: 1\ntests: [{{name: n, roles: node, rule: {{{rule}}}, expect: allow}}]\n");
    let test = |keys: &str| format!("version: 1\ntests: [{{name: n, {keys}}}]\n");
    let fine = examples().into_iter().chain([read("tests/policy_tests/standard.yaml"), rule("from: self")]);
    for text in fine {
        assert!(cases::load("tests.yaml", &text).is_ok(), "{text}");
        assert_eq!(misfits(&schema(), &serde_saphyr::from_str(&text).unwrap()), Vec::<String>::new(), "{text}");
    }
    for text in [
        "version: 1\n".to_owned(),
        "version: 2\ntests: []\n".to_owned(),
        rule("from: internet"),
        rule("protocol: tcp"),
        rule("ports: 22, from: 10.0.0.0/8"),
        rule("protocol: tcp, ports: 65536, from: 10.0.0.0/8"),
        rule("protocol: tcp, ports: 22, from: 10.0.0.0/8, author: admin"),
        test("roles: node, expect: allow"),
        test("roles: worker, rule: {from: self}, expect: allow"),
        test("roles: node, rule: {from: self}, expect: deny"),
        test("roles: node, rule: {from: self}, expect: allow, severity: low"),
        test("roles: node, rule: {from: self}, expect: allow, action: delete"),
        test("roles: node, rule: {from: self}, expect: allow, now: tomorrow"),
        test("roles: node, rule: {from: self}, expect: allow, mode: off"),
        test("requirement: node-dns, expect: revoke"),
        test("requirement: node-dns, roles: node, expect: met"),
    ] {
        assert!(cases::load("tests.yaml", &text).is_err(), "the reader takes {text}");
        let value = serde_saphyr::from_str(&text).unwrap();
        assert_ne!(misfits(&schema(), &value), Vec::<String>::new(), "the schema takes {text}");
    }
}

const PASSES: &str = "\
version: 1
policy: standard
tests: [{name: fine, roles: node, rule: {protocol: tcp, from: 10.0.0.0/8, ports: 22}, expect: allow}]
";

#[test]
fn a_broken_file_keeps_no_other_from_being_run() {
    let no_policy = PASSES.replace("standard", "no-such.yaml");
    for (name, broken, code, said) in [
        ("invalid", "version: 1\ntests: 5\n", 3, "a test is a mapping"),
        ("no-policy", no_policy.as_str(), 1, "there is no policy file"),
    ] {
        let (found, out) = run(name, &[broken, PASSES]);
        assert_eq!(found, code, "{out}");
        assert!(out.contains("ok    fine") && out.contains(said), "{out}");
        assert!(out.ends_with("1 passed, 0 failed, 1 file not usable\n"), "{out}");
    }
}

#[test]
fn actions_and_requirements_that_are_not_as_expected_say_why() {
    let text = "\
version: 1
policy: standard
mode: report
tests:
  - name: stopped
    roles: node
    rule: {protocol: tcp, ports: 10250, from: 0.0.0.0/0}
    expect: revoke
    action: revoke
  - name: no DNS
    requirement: node-dns
    nodes: {protocol: tcp, ports: 53, from: self}
    expect: met
  - name: no such thing
    requirement: node-dnsss
    expect: missing
";
    let (code, out) = run("wrong", &[text]);
    assert_eq!(code, 2, "{out}");
    for said in [
        "expected action `revoke`, got `would-revoke`: `GUARD_MODE` is `report`",
        "expected `met`, got `missing`",
        "udp 53 is missing: nodes",
        "the policy has no requirement `node-dnsss`",
        "0 passed, 3 failed",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
}
