//! The first hour with the tool, as the README has it: from a folder of saved answers to a policy, what it changes, and what
//! is new a day later. The account is the demo's.

use crate::{folder, run};

const DEMO: &str = "tests/audit/demo";

#[test]
fn the_folder_that_an_audit_reads_is_enough_to_write_and_compare_a_policy() {
    let (code, policy, err) = run(&["policy", "init", "--from", DEMO]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(policy.contains("name: prod") && policy.contains("extends: standard"), "{policy}");
    let folder = folder("hour", &[("policy.yaml".to_owned(), policy.into_bytes())]);
    let policy = format!("{folder}/policy.yaml");
    assert_eq!(run(&["policy", "check", &policy]).0, 0);
    let (code, out, err) = run(&["policy", "diff", "standard", &policy, "--snapshot", DEMO]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("0 of 22 decisions change"), "{out}");
    let (code, out, _) = run(&["policy", "diff", &policy, "none", "--snapshot", DEMO]);
    assert_eq!(code, 2);
    assert!(out.contains("10250"), "{out}");
    assert_eq!(run(&["audit", "--from", DEMO, "--policy", &policy]).0, 2);
}

#[test]
fn a_day_later_only_what_is_new_counts() {
    let (_, old, _) = run(&["audit", "--from", DEMO, "--format", "json"]);
    let folder = folder("hour-later", &[("old.json".to_owned(), old.into_bytes()), ("old.txt".to_owned(), "x".into())]);
    let (code, out, err) = run(&["audit", "--from", DEMO, "--compare", &format!("{folder}/old.json")]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("new 0, gone 0, changed 0, unchanged 5"), "{out}");
    for wrong in ["old.txt", "no-such.json"] {
        let (code, _, err) = run(&["audit", "--from", DEMO, "--compare", &format!("{folder}/{wrong}")]);
        assert_eq!(code, 1);
        assert!(err.contains("save one with `eks-sg-guard audit --format json`"), "{err}");
    }
}

#[test]
fn a_folder_that_is_no_snapshot_says_what_it_lacks() {
    for (name, content, expected) in [
        ("hour-empty", "{}", "there is no answer of the AWS CLI to read"),
        ("hour-none", r#"{"SecurityGroupRules": []}"#, "nothing in these files names an EKS cluster"),
        ("hour-no-group", r#"{"clusters": []}"#, "knows no group of any EKS cluster"),
    ] {
        let folder = folder(name, &[("a.json".to_owned(), content.into())]);
        for arguments in [&["policy", "init", "--from"][..], &["policy", "diff", "none", "strict", "--snapshot"]] {
            let (code, _, err) = run(&[arguments, &[folder.as_str()]].concat());
            assert_eq!(code, 1, "{name}");
            assert!(err.contains(expected), "{name}: {err}");
        }
    }
}
