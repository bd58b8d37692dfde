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
