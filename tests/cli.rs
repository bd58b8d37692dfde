//! The built command line, as people and scripts meet it: what it prints, where, and with which exit code.
//! Longer than other files: one table of calls for every verb, held by snapshots.

mod corpus;
mod packed;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use eks_sg_guard::report::finding::{Finding, worst_first};
use eks_sg_guard::report::notice::rule_in_words;
use eks_sg_guard::report::record::Record;

use self::packed::gzip;

/// Exit code, standard output, standard error.
type Said = (i32, String, String);

/// Runs the program in the repository, with nothing of the environment.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn run(arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eks-sg-guard"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear().stdin(Stdio::null()).args(arguments);
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// All of it in one text, for a snapshot.
fn printed(arguments: &[&str]) -> String {
    let (code, out, err) = run(arguments);
    let part = |name: &str, text: String| if text.is_empty() { text } else { format!("-- {name}\n{text}") };
    let all = format!("{}{}-- exit code {code}", part("output", out), part("error", err));
    // Files that tests write stand where cargo says, which is nobody's business.
    let all = all.replace(env!("CARGO_TARGET_TMPDIR"), "DIR");
    // A hash changes with every word of a built-in policy.
    let is_hash = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    all.split('"').map(|word| if is_hash(word) { "HASH" } else { word }).collect::<Vec<_>>().join("\"")
}

/// A file for one test, in a directory of its own.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn written(test: &str, name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(test).join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

macro_rules! assert_prints {
    ($name:expr, $($argument:expr),+ $(,)?) => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!($name, printed(&[$($argument),+]));
        });
    };
}

const KUBELET: &str = "events/modify-one-rule.json";
const SEVERAL: &str = "events/authorize-ingress-several-permissions-and-sources.json";

const OFFICE: &str = "\
version: 1
networks:
  office: [203.0.113.0/24]
groups:
  - {id: sg-0bbb2222ccc33333d, cluster: prod, role: cluster}
clusters:
  - {name: prod, mode: report}
clauses:
  - id: https-from-office
    protocol: tcp
    ports: 443
    from: office
    verdict: allow
    reason: the office looks at the dashboard
exceptions:
  - id: pentest
    reason: penetration test
    owner: secops@example.com
    expires: 2999-12-31
    cluster: staging
    protocol: tcp
    ports: [10250]
    from: [198.51.100.7/32]
";

#[test]
fn every_help_teaches() {
    for (name, arguments) in [
        ("help", &["--help"][..]),
        ("help_audit", &["audit", "--help"]),
        ("help_explain", &["explain", "--help"]),
        ("help_undo", &["undo", "--help"]),
        ("help_policy_init", &["policy", "init", "--help"]),
        ("help_policy_check", &["policy", "check", "--help"]),
        ("help_policy_explain", &["policy", "explain", "--help"]),
        ("help_policy_show", &["policy", "show", "--help"]),
        ("help_policy_schema", &["policy", "schema", "--help"]),
        ("help_policy_test", &["policy", "test", "--help"]),
        ("help_policy_diff", &["policy", "diff", "--help"]),
        ("help_notice_preview", &["notice", "preview", "--help"]),
        ("help_state_show", &["state", "show", "--help"]),
        ("help_completions", &["completions", "--help"]),
    ] {
        let text = printed(arguments);
        assert!(text.contains("eks-sg-guard "), "{name} has no example");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{name} has a line over 100 characters");
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
    }
}

#[test]
fn a_mistake_in_the_arguments_is_not_a_finding() {
    for arguments in [
        &[][..],
        &["policy"],
        &["explain"],
        &["explain", KUBELET, "--role", "master"],
        &["policy", "show", "lax"],
        &["policy", "check", "--deny", "bad-cidr"],
        &["policy", "check", "--deny", "no-expiri"],
        &["policy", "check", "policy.example.yaml", "--deny", "no-expiry", "--allow", "no-expiry"],
        &["policy", "explain", "nothing-of-the-sort"],
        &["policy", "diff", "standard", "strict", "--events", "events", "--snapshot", "x.json"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
    assert_eq!(run(&["--version"]).0, 0);
}

/// The light program says what it lacks and what to do instead.
#[cfg(not(feature = "aws"))]
#[test]
fn without_the_sdk_nothing_asks_aws() {
    let record = written(
        "undo",
        "record.json",
        br#"{"about_to_revoke": {"account": "111122223333", "region": "eu-west-1",
        "group": "sg-1", "rules": [{"direction": "ingress", "protocol": "-1", "peer": {"cidr": "0.0.0.0/0"}}]}}"#,
    );
    for (arguments, instead) in [
        (&["audit"][..], "--from"),
        (&["audit", "--region", "all", "--fix", "--yes"], "or, without `--fix`, name saved answers"),
        (&["undo", record.to_str().unwrap()], "command of the notice"),
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}");
        assert!(err.contains("built without the AWS SDK") && err.contains("make release"), "{err}");
        assert!(err.contains(instead), "{err}");
    }
}

#[test]
fn explain_prints_portions_clauses_and_what_would_be_done() {
    let office = written("explain", "office.yaml", OFFICE.as_bytes());
    let office = office.to_str().unwrap();
    assert_prints!("explain_defaults", "explain", KUBELET);
    assert_prints!("explain_roles", "explain", SEVERAL, "--role", "cluster", "--role", "node", "--cluster", "prod");
    assert_prints!("explain_policy_file", "explain", SEVERAL, "--cluster", "prod", "--policy", office);
    assert_prints!("explain_strict_json", "explain", KUBELET, "--policy", "strict", "--format", "json");
    assert_prints!("explain_egress", "explain", "events/authorize-egress-all-v4-v6.json");
    assert_prints!("explain_prefix_list", "explain", "events/authorize-ingress-prefix-list.json");
}

/// Without the day, which an exception that is proposed counts from, and the time since the event.
fn previewed(arguments: &[&str]) -> String {
    let text = printed(&[&["notice", "preview"], arguments].concat());
    let is_dated = |line: &&str| !["It was open for", "expires:", "closed_at"].iter().any(|part| line.contains(part));
    text.lines().filter(is_dated).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_preview_is_what_people_would_get() {
    for (name, arguments) in [
        ("preview_email", &[KUBELET, "--cluster", "prod"][..]),
        ("preview_report", &[KUBELET, "--report"]),
        ("preview_record", &[KUBELET, "--as", "json"]),
        ("preview_nothing", &["events/authorize-egress-all-v4-v6.json"]),
        ("preview_ignored", &["events/failed-unauthorized.json"]),
        ("preview_sweep", &["events/sweep.json"]),
    ] {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, previewed(arguments)) });
    }
    for form in ["q", "slack"] {
        let (code, out, _) = run(&["notice", "preview", KUBELET, "--as", form]);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(code, 2);
        assert!(json.get("blocks").or(json.get("content")).is_some(), "{out}");
    }
}

/// The order of the function: the worst of what the call did, whatever stands first in the event.
#[test]
fn a_preview_begins_with_the_worst() {
    let (_, email, _) = run(&["notice", "preview", SEVERAL, "--cluster", "prod"]);
    let (_, record, _) = run(&["notice", "preview", SEVERAL, "--cluster", "prod", "--as", "json"]);
    let record: Record = serde_json::from_str(&record).unwrap();
    let mut sorted = record.findings.clone();
    worst_first(&mut sorted);
    assert_eq!(record.findings, sorted);
    let first = record.findings[0].rule().unwrap();
    let headline = email.lines().nth(2).unwrap();
    assert!(headline.starts_with("CLOSED: DNS 53 was open to everybody"), "{headline}\n{first:?}");
    let place = |text: &str| email.find(text).unwrap_or_else(|| panic!("{text}: {email}"));
    let others = record.findings.iter().skip(1).filter_map(Finding::rule);
    assert!(others.map(rule_in_words).all(|other| place(&other) > place(&rule_in_words(first))), "{email}");
}

/// What a preview prints is the function's record, read by the definition that writes it.
#[test]
fn the_record_of_every_event_is_read_back() {
    let mut read = 0;
    for (path, _) in corpus::read_folder(Path::new("events")) {
        let (_, out, _) = run(&["notice", "preview", path.to_str().unwrap(), "--cluster", "prod", "--as", "json"]);
        for written in serde_json::Deserializer::from_str(&out).into_iter::<serde_json::Value>() {
            // Other previews are sentences.
            let Ok(written) = written else { break };
            let record: Record = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(&record).unwrap(), written, "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 30, "{read} records");
}

#[test]
fn explain_fails_on_what_it_was_asked_to_fail_on() {
    let nodeport = "events/authorize-ingress-several-permissions-and-sources.json";
    let private = "events/authorize-egress-all-v4-v6.json";
    for (event, policy, fail_on, code) in [
        (KUBELET, "standard", "revoke", 2),
        (KUBELET, "standard", "critical", 2),
        (KUBELET, "none", "revoke", 0),
        (KUBELET, "none", "report", 0),
        (private, "standard", "report", 0),
        (private, "standard", "low", 0),
        (nodeport, "standard", "report", 2),
    ] {
        let (found, ..) = run(&["explain", event, "--policy", policy, "--fail-on", fail_on]);
        assert_eq!(found, code, "{event} under {policy} with --fail-on {fail_on}");
    }
    let report = written(
        "explain",
        "kubelet-reported.yaml",
        b"version: 1\nverdicts: {kubelet-internet: {verdict: report, severity: high}}\n",
    );
    for (fail_on, code) in [("revoke", 0), ("report", 2), ("medium", 2), ("high", 2), ("critical", 0)] {
        let (found, ..) = run(&["explain", KUBELET, "--policy", report.to_str().unwrap(), "--fail-on", fail_on]);
        assert_eq!(found, code, "{fail_on}");
    }
}

#[test]
fn a_file_is_shown_with_all_that_it_inherits_as_a_policy_that_says_the_same() {
    let file = written("show", "own.yaml", b"version: 1\nextends: strict\nverdicts: {api-internet: allow}\n");
    let (code, shown, err) = run(&["policy", "show", file.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(shown.starts_with("version: 1\nextends: none\n") && shown.contains("kubelet-internet"), "{shown}");
    let shown = written("show", "shown.yaml", shown.as_bytes());
    let (code, out, _) =
        run(&["policy", "diff", file.to_str().unwrap(), shown.to_str().unwrap(), "--events", "events"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("change") || out.contains("same"), "{out}");
}

#[test]
fn what_is_in_force_in_one_cluster_is_shown_and_explained() {
    let text = b"version: 1\nclusters: [{name: \"prod-*\", extends: strict}]\n";
    let file = written("cluster", "own.yaml", text);
    let file = file.to_str().unwrap();
    let shown = |cluster: &str| {
        let (code, shown, err) = run(&["policy", "show", file, "--cluster", cluster]);
        assert_eq!((code, err.as_str()), (0, ""));
        shown
    };
    assert!(shown("prod-1").contains("etcd-private") && shown("prod-1").contains("cluster: \"prod-*\""));
    assert!(!shown("dev-1").contains("etcd-private"));
    let (_, whole, _) = run(&["policy", "show", file]);
    assert!(whole.contains("etcd-private"), "{whole}");
    let said = |clusters: &[&str]| {
        let clusters = clusters.iter().flat_map(|name| ["--cluster", name]);
        let arguments: Vec<&str> = ["explain", SEVERAL, "--policy", file].into_iter().chain(clusters).collect();
        run(&arguments).1
    };
    let verdicts = |clusters: &[&str]| {
        let is_verdict = |line: &&str| ["  allow", "  report", "  revoke"].iter().any(|word| line.starts_with(word));
        said(clusters).lines().filter(is_verdict).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&["dev-1", "prod-1"]), verdicts(&["prod-1"]), "the worst counts");
    assert_ne!(verdicts(&["dev-1"]), verdicts(&["prod-1"]));
}

#[test]
fn explain_says_that_it_does_not_know_whose_a_web_identity_is() {
    let (_, said, _) = run(&["explain", "events/actor-irsa.json"]);
    assert!(said.contains("whether it is one of the group's own cluster"), "{said}");
    let (_, said, _) = run(&["explain", KUBELET]);
    assert!(!said.contains("web identity"), "{said}");
}

#[test]
fn explain_says_when_there_is_nothing_to_explain() {
    assert_prints!("explain_ignored", "explain", "events/failed-unauthorized.json");
    assert_prints!("explain_sweep", "explain", "events/sweep.json");
    assert_prints!("explain_no_group", "explain", "events/omitted-both.json");
    assert_prints!("explain_attached", "explain", "events/attached-to-interface.json");
    assert_prints!("explain_attached_unknown", "explain", "events/attached-to-attached-interface.json");
    assert_prints!("explain_prefix_list_changed", "explain", "events/prefix-list-modified.json");
    assert_prints!("explain_cluster", "explain", "events/cluster-updated.json");
    assert_prints!("explain_no_content", "explain", "events/omitted-content-but-group-known.json");
    assert_prints!("explain_not_understood", "explain", "events/unknown-payload.json");
}

#[test]
fn exit_codes_are_a_contract() {
    let broken = written("codes", "broken.yaml", b"version: 1\nclauses:\n  - id: a\n");
    let broken = broken.to_str().unwrap();
    for (expected, arguments) in [
        (2, &["explain", KUBELET][..]),
        (0, &["explain", KUBELET, "--policy", "none"]),
        (0, &["explain", "events/authorize-egress-all-v4-v6.json"]),
        (3, &["explain", KUBELET, "--policy", broken]),
        (1, &["explain", KUBELET, "--policy", "no-such-policy"]),
        (3, &["policy", "check", broken]),
        (0, &["policy", "check", "core/src/policy/standard.yaml"]),
        (0, &["policy", "test", "tests/policy_tests"]),
        (0, &["policy", "diff", "standard", "standard", "--events", "events"]),
        (2, &["policy", "diff", "standard", "strict", "--events", "events"]),
        (3, &["policy", "diff", "standard", broken, "--events", "events"]),
    ] {
        let (code, ..) = run(arguments);
        assert_eq!(code, expected, "{arguments:?}");
    }
}

#[test]
fn input_that_cannot_be_read_is_named_with_what_to_do() {
    let empty = written("bad", "empty.json", b"");
    let no_json = written("bad", "no.json", b"{\"a\": ");
    let no_text = written("bad", "binary.yaml", b"\xff\xfe\x00");
    let dark = written("bad", "dark.json", "{\"sweep\": \"\u{1b}[31mred\u{9b}31m\"}".as_bytes());
    let nothing = written("bad", "nothing/readme.txt", b"");
    let as_text = |path: &Path| path.to_str().unwrap().to_owned();
    assert_prints!("bad_missing", "explain", "no/such/event.json");
    assert_prints!("bad_directory", "explain", &as_text(nothing.parent().unwrap()));
    assert_prints!("bad_empty", "explain", &as_text(&empty));
    assert_prints!("bad_json", "explain", &as_text(&no_json));
    assert_prints!("bad_control_characters", "explain", &as_text(&dark));
    assert_prints!("bad_policy_name", "explain", KUBELET, "--policy", "standart");
    assert_prints!("bad_policy_bytes", "policy", "check", &as_text(&no_text));
    assert_prints!("bad_policy_missing", "policy", "check");
    assert_prints!("bad_tests_missing", "policy", "test", "no/such/directory");
    assert_prints!("bad_tests_none", "policy", "test", &as_text(nothing.parent().unwrap()));
    assert_prints!("bad_snapshot", "policy", "diff", "standard", "strict", "--snapshot", KUBELET);
    assert_prints!("bad_events", "policy", "diff", "standard", "strict", "--events", &as_text(&no_json));
}

/// As PowerShell, editors and cut texts leave them.
#[test]
fn what_is_packed_is_unpacked_and_what_is_cut_is_said_to_be() {
    let event = fs::read(KUBELET).unwrap();
    let packed = written("packed", "event.json.gz", &gzip(&event));
    let (code, out, err) = run(&["notice", "preview", packed.to_str().unwrap(), "--as", "json"]);
    assert!(code == 2 && err.contains("preview"), "{err}");
    let record = written("packed", "record.json.gz", &gzip(&out.as_bytes()[..out.len() / 2]));
    let old = written("packed", "old.json.gz", &gzip(b"[]"));
    let zipped = written("packed", "record.zip", b"PK\x03\x04 and more");
    let cut = written("packed", "cut.json", &out.as_bytes()[..out.len() / 2]);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for (arguments, expected) in [
        (vec!["undo".to_owned(), text(&record)], "it breaks off, so it was cut: save it again"),
        (vec!["undo".to_owned(), text(&zipped)], "a zip archive; unpack it first"),
        (vec!["undo".to_owned(), text(&cut)], "it breaks off, so it was cut: save it again"),
        (
            ["audit", "--from", "tests/audit/demo", "--compare", &text(&old)].map(str::to_owned).into(),
            "expected what `audit --format json` prints",
        ),
        (vec!["policy".to_owned(), "check".to_owned(), "/dev/zero".to_owned()], "is larger than 256 MiB"),
    ] {
        let (code, _, err) = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(code == 1 && err.contains(expected), "{arguments:?}: {err}");
        assert!(!err.contains("expected value at line 1"), "{err}");
    }
}

/// Nothing is taken for said that nobody can read.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    for arguments in [&["--help"][..], &["--version"], &["audit", "--help"], &["policy", "show"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eks-sg-guard"));
        command.env_clear().args(arguments).stdout(fs::File::create("/dev/full").unwrap());
        let Output { status, stderr, .. } = command.output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{arguments:?}");
        assert!(said.starts_with("error: the answer could not be written to standard output: No space left"), "{said}");
    }
}

#[test]
fn a_file_is_read_in_any_encoding_and_with_broken_text_that_nobody_judges() {
    let event = fs::read_to_string(KUBELET).unwrap();
    let agent = |text: &[u8]| {
        let (before, after) = event.split_once("aws-cli/2.31.0").unwrap();
        [before.as_bytes(), text, after.as_bytes()].concat()
    };
    let expected = run(&["explain", KUBELET]);
    for (name, bytes) in [
        ("mark.json", [b"\xef\xbb\xbf", event.as_bytes()].concat()),
        ("utf-16.json", "\u{feff}".encode_utf16().chain(event.encode_utf16()).flat_map(u16::to_le_bytes).collect()),
        ("half.json", agent(br"\ud83d")),
        ("latin-1.json", agent(b"caf\xe9")),
    ] {
        let file = written("text", name, &bytes);
        assert_eq!(run(&["explain", file.to_str().unwrap()]), expected, "{name}");
    }
}

#[test]
fn nothing_of_a_file_reaches_the_terminal_raw() {
    let evil = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}";
    let event = fs::read_to_string(KUBELET).unwrap().replace("user/alice", &format!("user/{}", evil.escape_unicode()));
    let event = event.replace("\\u{1b}", "\\u001b").replace("\\u{7}", "\\u0007");
    let event = event.replace("\\u{9b}", "\\u009b").replace("\\u{202e}", "\\u202e");
    let event: String = event.replace("\\u{", "\\\\u{");
    let event = written("raw", "event.json", event.as_bytes());
    let policy =
        written("raw", "policy.yaml", format!("version: 1\nextends: \"a{}\" # \u{9b}\n", "\\e[31m").as_bytes());
    let test = "version: 1\npolicy: standard\ntests:\n  - name: \"\\x9b31m\"\n    roles: node\n";
    let test = written("raw", "tests/a.yaml", test.as_bytes());
    let as_text = |path: &Path| path.to_str().unwrap().to_owned();
    for arguments in [
        &["explain", &as_text(&event)][..],
        &["explain", &as_text(&event), "--format", "json"],
        &["policy", "check", &as_text(&policy)],
        &["policy", "check", &as_text(&policy), "--format", "json"],
        &["explain", KUBELET, "--policy", &as_text(&policy)],
        &["policy", "test", &as_text(&test)],
        &["explain", "no\u{1b}[31m\u{9b}such"],
    ] {
        let (_, out, err) = run(arguments);
        let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!(out + &err).contains(raw), "{arguments:?}");
    }
}

#[test]
fn tests_of_a_policy_print_what_test_runners_print() {
    assert_prints!("test_samples", "policy", "test", "tests/policy_tests");
    written("test", "office.yaml", OFFICE.as_bytes());
    let fails = "\
version: 1
policy: ../office.yaml
cluster: staging
tests:
  - name: the office may look at the dashboard
    roles: node
    rule: {protocol: tcp, ports: 443, from: 203.0.113.0/25}
    expect: allow
    clause: https-from-office
  - name: this one is wrong about the verdict
    roles: [node]
    rule: {protocol: tcp, ports: 443, from: 203.0.112.0/23}
    expect: allow
  - name: this one is wrong about clause and severity
    roles: [node, pod]
    rule: {protocol: tcp, ports: 10250, from: 0.0.0.0/0}
    expect: revoke
    clause: kubelet-private
    severity: high
  - name: this one names a clause that is not there
    roles: [node]
    rule: {protocol: tcp, ports: 10250, from: 0.0.0.0/0}
    expect: revoke
    clause: kubelet
  - name: the exception holds to the end of its last day
    roles: [node]
    now: 2999-12-31T23:59:59Z
    rule: {protocol: tcp, ports: 10250, from: 198.51.100.7/32}
    expect: allow
    clause: pentest
  - name: and not a second longer
    roles: [node]
    now: 3000-01-01T00:00:00Z
    rule: {protocol: tcp, ports: 10250, from: 198.51.100.7/32}
    expect: revoke
    clause: kubelet-internet
  - name: nor in another cluster
    roles: [node]
    cluster: prod
    rule: {protocol: tcp, ports: 10250, from: 198.51.100.7/32}
    expect: revoke
";
    let fails = written("test", "fails/a.yaml", fails.as_bytes());
    let fails = fails.parent().unwrap().to_str().unwrap();
    assert_prints!("test_fails", "policy", "test", fails);
    assert_prints!("test_fails_json", "policy", "test", fails, "--format", "json");
    let invalid = "\
version: 1
tests:
  - name: everything is wrong here
    role: node
    rule: {protocol: tcp, ports: [22, 80], from: internet, to: self}
    beside:
      - {from: pl-0123456789abcdef0}
    expect: deny
    now: tomorrow
  - roles: [master]
    expect: allow
    severity: high
";
    let invalid = written("test", "invalid/a.yaml", invalid.as_bytes());
    written("test", "invalid/b.yml", b"");
    let invalid = invalid.parent().unwrap().to_str().unwrap();
    assert_prints!("test_invalid", "policy", "test", invalid, "--policy", "standard");
}

const SNAPSHOT: &str = r#"{"version": 1, "account": "111122223333", "region": "us-east-1", "groups": [
  {"id": "sg-0aaa1111bbb22222c", "name": "nodes", "vpc": "vpc-0123456789abcdef0", "cluster": "prod",
   "roles": ["node", {"role": "pod", "evidence": "tag", "strong": false}], "vpc_ranges": ["10.0.0.0/16"],
   "peers": {"sg-0ccc3333ddd44444e": ["cluster"]},
   "prefix_lists":
    {"pl-0123456789abcdef0": ["203.0.113.0/24"], "pl-0123456789abcdef1": "aws:s3", "pl-0123456789abcdef2": null},
   "rules": [
    {"id": "sgr-00000000000000001", "direction": "ingress", "protocol": "tcp", "from_port": 0, "to_port": 1023,
     "peer": {"cidr": "0.0.0.0/0"}, "description": null, "tags": {}},
    {"id": "sgr-00000000000000002", "direction": "ingress", "protocol": "-1", "from_port": null, "to_port": null,
     "peer": {"group": "sg-0bbb2222ccc33333d"}},
    {"id": "sgr-00000000000000003", "direction": "ingress", "protocol": "tcp", "from_port": 443, "to_port": 443,
     "peer": {"prefix_list": "pl-0123456789abcdef0"}},
    {"id": "sgr-00000000000000004", "direction": "ingress", "protocol": "icmp", "icmp_type": 3, "icmp_code": 4,
     "peer": {"cidr": "0.0.0.0/0"}}]}]}"#;

#[test]
fn diff_prints_which_decisions_change() {
    let office = written("diff", "office.yaml", OFFICE.as_bytes());
    let snapshot = written("diff", "groups.json", SNAPSHOT.as_bytes());
    let (office, snapshot) = (office.to_str().unwrap(), snapshot.to_str().unwrap());
    assert_prints!("diff_event", "policy", "diff", "standard", "strict", "--events", SEVERAL, "--role", "node");
    assert_prints!("diff_snapshot", "policy", "diff", "standard", office, "--snapshot", snapshot);
    assert_prints!("diff_back", "policy", "diff", office, "standard", "--snapshot", snapshot, "--format", "json");
    assert_prints!("diff_both_ways", "policy", "diff", "strict", office, "--snapshot", snapshot);
    assert_prints!("diff_alone", "policy", "diff", "standard", office);
    assert_prints!("diff_alone_json", "policy", "diff", office, "standard", "--format", "json");
    let (code, out, _) = run(&["policy", "diff", "strict", "strict"]);
    assert_eq!((code, out.contains("no decision differs")), (0, true), "{out}");
    assert_prints!("diff_nothing", "policy", "diff", "strict", "strict", "--snapshot", snapshot);
}

#[test]
fn check_and_show() {
    let accepted = "accepted:\n  - {warning: far-expiry, about: pentest, reason: tests never end}\n";
    let office = written("check", "office.yaml", (OFFICE.to_owned() + accepted).as_bytes());
    assert_prints!("check_clean", "policy", "check", office.to_str().unwrap());
    let doubtful = OFFICE.replace("    expires: 2999-12-31\n", "").replace("    from: office", "    from: internet");
    let doubtful = doubtful + "  - {id: old, reason: r, owner: o, expires: 2020-02-29, from: 198.51.100.8/32}\n";
    let doubtful = written("check", "doubtful.yaml", doubtful.as_bytes());
    assert_prints!("check_warnings", "policy", "check", doubtful.to_str().unwrap());
    assert_prints!("check_errors", "policy", "check", "tests/policies/bad_missing_key.yaml");
    assert_prints!("check_json", "policy", "check", "tests/policies/bad_host_bits.yaml", "--format", "json");
    let (code, out, _) = run(&["policy", "show"]);
    assert_eq!((code, out), (0, fs::read_to_string("core/src/policy/standard.yaml").unwrap()));
}

#[test]
fn completions_know_verbs_and_values() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, out, err) = run(&["completions", shell]);
        assert_eq!((code, err.as_str()), (0, ""), "{shell}");
        for word in ["explain", "completions", "snapshot", "eks-sg-guard"] {
            assert!(out.contains(word), "{shell} does not know {word}");
        }
    }
}
