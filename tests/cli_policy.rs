//! The verbs of `policy` on the built command line, where scripts rely on them: which problems count, and JSON answers.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const KUBELET: &str = "events/modify-one-rule.json";

/// Exit code, standard output, standard error.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eks-sg-guard"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear().stdin(Stdio::null()).args(arguments);
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The path of a file with this content.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn written(name: &str, content: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli_policy").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

const TWO_WARNINGS: &str = "\
version: 1
networks: {office: [203.0.113.0/24]}
exceptions: [{id: e, reason: r, owner: o, from: [198.51.100.7/32]}]
";

#[test]
fn warnings_count_as_they_are_told_to() {
    let file = written("two-warnings.yaml", TWO_WARNINGS);
    for (options, code, said) in [
        (&[][..], 0, "usable, 2 warnings"),
        (&["--deny", "warnings"], 3, "cannot be used, 2 errors"),
        (&["--deny", "unused-network"], 3, "cannot be used, 1 error, 1 warning"),
        (&["--deny", "expired"], 0, "usable, 2 warnings"),
        (&["--allow", "unused-network"], 0, "usable, 1 warning"),
        (&["--allow", "unused-network", "--allow", "no-expiry"], 0, "no problem found"),
        (&["--allow", "unused-network,no-expiry", "--deny", "warnings"], 0, "no problem found"),
        (&["--allow", "warnings"], 0, "no problem found"),
        (&["--allow", "warnings", "--deny", "no-expiry"], 3, "cannot be used, 1 error"),
        (&["--deny", "warnings", "--allow", "no-expiry"], 3, "cannot be used, 1 error"),
    ] {
        let (found, out, err) = run(&[&["policy", "check", &file], options].concat());
        assert_eq!((found, err.as_str()), (code, ""), "{options:?}: {out}");
        assert!(out.trim_end().ends_with(said), "{options:?}: {out}");
    }
    let accepted =
        "accepted: [{warning: unused-network, about: office, reason: r}, {warning: no-expiry, about: e, reason: r}]\n";
    let file = written("accepted.yaml", &(TWO_WARNINGS.to_owned() + accepted));
    let (code, out, _) = run(&["policy", "check", &file, "--deny", "warnings"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("no problem found, 2 warnings accepted"), "{out}");
}

/// What is accepted is named: an entry takes one warning, and never two of which one was not thought of.
#[test]
fn an_entry_accepts_one_warning() {
    let clause = |key: &str, port: u16| {
        format!("{{id: c, {key}, protocol: tcp, ports: [{port}], from: [anywhere], verdict: allow, reason: r}}")
    };
    let clauses = [clause("cluster: \"*\"", 10250), clause("except_cluster: [x]", 22)].join(", ");
    let entry = "{warning: opens-to-world, about: c, reason: r}";
    for (entries, said) in [
        (String::new(), "usable, 2 warnings"),
        (entry.to_owned(), "usable, 1 warning, 1 warning accepted"),
        (format!("{entry}, {entry}"), "no problem found, 2 warnings accepted"),
    ] {
        let accepted = if entries.is_empty() { String::new() } else { format!("accepted: [{entries}]\n") };
        let file = written("one.yaml", &format!("version: 1\nclauses: [{clauses}]\n{accepted}"));
        let (_, out, _) = run(&["policy", "check", &file]);
        assert!(out.trim_end().ends_with(said), "{entries}: {out}");
    }
}

#[test]
fn a_built_in_policy_is_no_file_to_check() {
    let (code, _, err) = run(&["policy", "check", "strict"]);
    assert_eq!(code, 1);
    assert!(err.contains("built-in policy") && err.contains("policy show strict"), "{err}");
}

#[test]
fn several_files_are_checked_and_the_worst_decides() {
    let warned = written("warned.yaml", TWO_WARNINGS);
    let broken = written("broken.yaml", "version: 1\notherwise: deny\n");
    let (code, out, _) = run(&["policy", "check", &warned, &broken, "policy.example.yaml"]);
    assert_eq!(code, 3);
    for said in
        ["warned.yaml: usable, 2 warnings", "broken.yaml: cannot be used, 1 error", "policy.example.yaml: no problem"]
    {
        assert!(out.contains(said), "{said}: {out}");
    }
    // One that cannot be read hides no other.
    let said = |more: &str, files: &[&str]| run(&[&["policy", "check", "missing.yaml"], files, &[more]].concat());
    let (code, out, err) = said("--format=text", &[&broken]);
    assert!(
        code == 3 && out.contains("1 error") && err.starts_with("error: there is no policy file `missing.yaml`"),
        "{err}"
    );
    let (code, out, err) = said("--format=text", &["policy.example.yaml"]);
    assert!(code == 1 && out.contains("no problem") && err.starts_with("error: there is no policy file"), "{err}");
    let (code, out, err) = said("--format=json", &["not-there.yaml"]);
    let unread = serde_json::from_str::<Value>(&out).unwrap()["unread"].clone();
    assert!(code == 1 && unread.as_array().unwrap().len() == 2 && err.lines().count() == 2, "{out}{err}");

    let (_, out, _) = run(&["policy", "check", &warned, &broken, "--format", "json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["files"][0]["usable"], true);
    assert_eq!(answer["files"][0]["problems"][0]["code"], "unused-network");
    assert_eq!(answer["files"][1]["usable"], false);
    assert_eq!(answer["files"][1]["problems"][0]["help"], "did you mean `revoke`?");
}

#[test]
fn a_code_is_explained_with_examples() {
    let (code, out, _) = run(&["policy", "explain", "opens-to-world"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("opens-to-world (warning, which a file can accept)\n\n"), "{out}");
    assert!(out.contains("Instead:") && !out.contains("## "), "{out}");
    let (_, all, _) = run(&["policy", "explain"]);
    assert!(all.lines().count() > 60 && all.contains("yaml "), "{all}");
    let (code, _, err) = run(&["policy", "explain", "opens-to-wrld"]);
    assert_eq!(code, 1);
    assert!(err.contains("did you mean `opens-to-world`?"), "{err}");
}

/// One envelope for every verb, also where it could not do its work.
#[test]
fn every_json_answer_begins_with_the_same_keys() {
    let broken = written("envelope-broken.yaml", "version: 1\nclauses: [{id: a}]\n");
    for (command, arguments) in [
        ("explain", &["explain", KUBELET][..]),
        ("explain", &["explain", KUBELET, "--policy", &broken]),
        ("explain", &["explain", "no/such/event.json"]),
        ("policy check", &["policy", "check", "policy.example.yaml"]),
        ("policy check", &["policy", "check", &broken]),
        ("policy check", &["policy", "check", "no-such.yaml"]),
        ("policy explain", &["policy", "explain", "yaml"]),
        ("policy test", &["policy", "test", "tests/policy_tests"]),
        ("policy test", &["policy", "test", "no/such/folder"]),
        ("policy diff", &["policy", "diff", "standard", "strict", "--events", "events"]),
        ("policy diff", &["policy", "diff", "standard", &broken, "--events", "events"]),
    ] {
        let (code, out, err) = run(&[arguments, &["--format", "json"]].concat());
        let answer: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"));
        let keys: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys[..3], ["version", "command", "exit_code"], "{arguments:?}");
        assert_eq!((&answer["version"], &answer["command"]), (&1.into(), &command.into()), "{arguments:?}");
        assert_eq!(answer["exit_code"], code, "{arguments:?}");
        assert_eq!(answer.get("error").is_some(), !err.is_empty(), "{arguments:?}: {err}");
    }
    let (_, out, _) = run(&["explain", KUBELET, "--policy", &broken, "--format", "json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["problems"][0]["code"], "missing-key", "{out}");
}

const SNAPSHOT: &str = r#"{"version": 1, "account": "111122223333", "region": "us-east-1", "groups": [
  {"id": "sg-0aaa1111bbb22222c", "name": "nodes", "cluster": "prod", "roles": ["node"], "vpc_ranges": ["10.0.0.0/16"],
   "rules": [
    {"id": "sgr-00000000000000001", "direction": "ingress", "protocol": "tcp", "from_port": 22, "to_port": 22,
     "peer": {"cidr": "203.0.113.0/24"}},
    {"id": "sgr-00000000000000002", "direction": "ingress", "protocol": "tcp", "from_port": 10250, "to_port": 10250,
     "peer": {"cidr": "0.0.0.0/0"}},
    {"id": "sgr-00000000000000003", "direction": "ingress", "protocol": "tcp", "from_port": 31000, "to_port": 31000,
     "peer": {"cidr": "0.0.0.0/0"}, "description": "kubernetes.io/rule/nlb/client=0123"},
    {"id": "sgr-00000000000000004", "direction": "ingress", "protocol": "icmp", "icmp_type": 8, "icmp_code": null,
     "peer": {"cidr": "198.51.100.7/32"}}]}]}"#;

/// The lines that propose something, without the comment sign.
fn uncommented(policy: &str) -> String {
    let (head, clauses) = policy.split_once("# clauses:").unwrap_or_default();
    let clauses: Vec<&str> = clauses.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).collect();
    format!("{head}clauses:{}\n", clauses.join("\n"))
}

#[test]
fn a_first_policy_is_one_that_can_be_used() {
    let arn = "arn:aws:iam::111122223333:role/lb";
    let snapshot = written("init.json", SNAPSHOT);
    for (arguments, holds) in [
        (&[][..], &["extends: standard", "# networks:", "# controllers:", "# clusters:", "# clauses:"][..]),
        (&["--extends", "strict"], &["extends: strict"]),
        (
            &["--network", "office=203.0.113.0/24, 2001:db8:1::/48", "--client", "office", "--controller", arn],
            &["  office: [203.0.113.0/24, \"2001:db8:1::/48\"]", "  clients: [private, office]", arn],
        ),
        (
            &["--cluster", "prod-*=enforce", "--cluster", "dev"],
            &["  - {name: \"prod-*\", mode: enforce}", "  - {name: dev}"],
        ),
        (&["--from", &snapshot], &["  - name: prod\n", "report by `remote-login-public`, in sg-0aaa1111bbb22222c"]),
    ] {
        let (code, out, err) = run(&[&["policy", "init"], arguments].concat());
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        for part in holds {
            assert!(out.contains(part), "{arguments:?}: {part}: {out}");
        }
        let file = written("init.yaml", &out);
        let (code, checked, _) = run(&["policy", "check", "--deny", "warnings", &file]);
        assert_eq!(code, 0, "{arguments:?}: {checked}");
    }
}

/// Nothing is opened before somebody says why.
#[test]
fn what_a_first_policy_proposes_waits_for_a_reason() {
    let snapshot = written("init.json", SNAPSHOT);
    let (_, out, _) = run(&["policy", "init", "--from", &snapshot]);
    assert!(out.contains("carry the mark of one") && !out.contains("10250"), "{out}");
    let proposed = written("proposed.yaml", &uncommented(&out));
    let (code, json, _) = run(&["policy", "check", &proposed, "--format", "json"]);
    let answer: Value = serde_json::from_str(&json).unwrap();
    let problems = answer["files"][0]["problems"].as_array().unwrap();
    assert_eq!(code, 3);
    assert_eq!(problems.len(), 2, "one for each proposal: {json}\n{out}");
    assert!(problems.iter().all(|problem| problem["code"] == "placeholder"), "{json}");
    let said = uncommented(&out).replace("<why it has to be open>", "the office");
    let (code, checked, _) = run(&["policy", "check", &written("said.yaml", &said)]);
    assert_eq!(code, 0, "{checked}");
}

#[test]
fn answers_that_make_no_policy_are_named() {
    for (arguments, said) in [
        (&["--network", "office"][..], "`--network office` has no blocks"),
        (&["--network", "office=10/8"], "write `10.0.0.0/8`"),
        (&["--controller", "lb"], "is not the ARN of a role or user"),
        (&["--cluster", "prod=on"], "did you mean `enforce`?"),
        (&["--client", "office"], "no network is called `office`"),
    ] {
        let (code, out, err) = run(&[&["policy", "init"], arguments].concat());
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
}
