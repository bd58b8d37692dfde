//! Every command of ours in the documents is run, as it stands there: it must be understood, and find what it needs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests: a panic is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROGRAM: &str = "eks-sg-guard";
/// What talks to AWS where it names no files.
const ASKS: &str = "eks-sg-guard audit";
/// Files that the documents speak of and readers have, beside those of the repository: name, content.
const AT_HAND: [(&str, &str); 4] = [
    ("policy.yaml", "version: 1\nextends: standard\n"),
    (
        "tests/kubelet.yaml",
        "version: 1\ntests: [{name: a, roles: node, rule: {protocol: tcp, ports: 22, from: 10.0.0.0/8}, expect: allow}]\n",
    ),
    ("plan.json", r#"{"format_version": "1.2", "resource_changes": []}"#),
    // What of an account is enough for an audit.
    (
        "saved/cluster.json",
        r#"{"cluster": {"name": "prod", "arn": "arn:aws:eks:us-east-1:111122223333:cluster/prod",
  "resourcesVpcConfig": {"vpcId": "vpc-0a", "clusterSecurityGroupId": "sg-0a"}}}
{"SecurityGroups": [{"GroupId": "sg-0a", "VpcId": "vpc-0a", "OwnerId": "111122223333"}]}
{"SecurityGroupRules": [{"SecurityGroupRuleId": "sgr-0a", "GroupId": "sg-0a", "IsEgress": false, "IpProtocol": "-1",
  "ReferencedGroupInfo": {"GroupId": "sg-0a"}}]}"#,
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    [root().join("README.md"), root().join("CONTRIBUTING.md")].into_iter().chain(docs).collect()
}

/// The lines of all blocks of shell, those that go on joined.
fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut is_shell = false;
    let mut goes_on = false;
    for line in text.lines() {
        if let Some(language) = line.strip_prefix("```") {
            is_shell = language == "sh" && !is_shell;
            continue;
        }
        if !is_shell {
            continue;
        }
        let (line, more) = line.strip_suffix('\\').map_or((line, false), |line| (line, true));
        match commands.last_mut().filter(|_| goes_on) {
            Some(command) => command.push_str(line),
            None => commands.push(line.to_owned()),
        }
        goes_on = more;
    }
    commands
}

/// A folder as a reader has it: the repository's files, and what the documents had them save.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs_commands");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, content) in AT_HAND {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let calls = format!("{{\"Records\": [{}]}}", fs::read_to_string(root().join("events/bare-detail.json")).unwrap());
    fs::write(folder.join("calls.json"), calls).unwrap();
    for name in ["core", "events", "policy.example.yaml"] {
        std::os::unix::fs::symlink(root().join(name), folder.join(name)).unwrap();
    }
    folder
}

#[test]
fn each_command_of_the_documents_runs() {
    let folder = folder();
    let program = Path::new(env!("CARGO_BIN_EXE_eks-sg-guard"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut ran = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let of_ours = |command: &&String| command.split(' ').next() == Some(PROGRAM);
        for command in commands(&text).iter().filter(of_ours) {
            // Nobody is asked for real: that the arguments are understood is enough.
            let asks = command.contains(ASKS) && !["--from", "--commands"].iter().any(|other| command.contains(other));
            let command = if asks { format!("{command} --permissions") } else { command.clone() };
            let output = Command::new("bash")
                .args(["-c", &command])
                .current_dir(&folder)
                .env("PATH", &path)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            // A finding is an answer.
            assert!(matches!(output.status.code(), Some(0 | 2)), "{}: {command}\n{said}", document.display());
            assert!(!said.contains("error:"), "{}: {command}\n{said}", document.display());
            ran += 1;
        }
        // Whoever copies a command has it under this name.
        assert!(!text.contains("target/debug/eks-sg-guard"), "{}", document.display());
    }
    assert!(ran >= 12, "{ran} commands");
}
