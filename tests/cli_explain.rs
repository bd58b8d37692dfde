//! What `explain` and `notice preview` read, and what they say of it: events as people have them, in any packing, beside
//! what is no event at all.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests: a panic is a failed test"
)]

mod packed;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use self::packed::gzip;

/// Exit code, standard output, standard error.
type Said = (i32, String, String);

fn run_on(input: &[u8], arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eks-sg-guard"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear().args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn run(arguments: &[&str]) -> Said {
    run_on(b"", arguments)
}

/// A file for one test, in a folder of its own.
fn written(test: &str, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli_explain").join(test).join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

fn utf_16(text: &str) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

/// A CloudTrail record: somebody opens a TCP port to a block.
fn record(id: &str, caller: &str, port: u16, cidr: &str) -> Value {
    json!({
        "eventVersion": "1.10", "eventTime": "2026-01-02T03:04:05Z", "eventSource": "ec2.amazonaws.com",
        "eventName": "AuthorizeSecurityGroupIngress", "awsRegion": "us-east-1", "recipientAccountId": "111122223333",
        "eventID": id, "eventType": "AwsApiCall",
        "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:{caller}")},
        "requestParameters": {
            "groupId": "sg-0aaa1111bbb22222c", "ipPermissions": {}, "ipProtocol": "tcp", "fromPort": port, "toPort": port,
            "cidrIp": cidr,
        },
        "responseElements": {"_return": true, "securityGroupRuleSet": {"items": [{
            "groupId": "sg-0aaa1111bbb22222c", "securityGroupRuleId": format!("sgr-0{id}"), "isEgress": false,
            "ipProtocol": "tcp", "fromPort": port, "toPort": port, "cidrIpv4": cidr,
        }]}},
    })
}

fn envelope(record: &Value) -> Value {
    json!({
        "version": "0", "id": "1", "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2",
        "account": "111122223333", "time": "2026-01-02T03:04:05Z", "region": "us-east-1", "resources": [], "detail": record,
    })
}

fn looked_up(record: &Value) -> Value {
    json!({"EventId": record["eventID"], "EventName": record["eventName"], "CloudTrailEvent": record.to_string()})
}

/// Three calls of which two open the kubelet to the world.
fn three() -> [Value; 3] {
    [
        record("a1", "user/alice", 10250, "0.0.0.0/0"),
        record("a2", "user/bob", 443, "10.0.0.0/8"),
        record("a3", "user/alice", 10255, "0.0.0.0/0"),
    ]
}

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| value.to_string() + "\n").collect()
}

/// Ids of events with the verdicts on their rules.
fn verdicts(out: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(out).unwrap();
    let verdict = |event: &Value| {
        let findings =
            event["groups"].as_array().unwrap().iter().flat_map(|group| group["findings"].as_array().unwrap());
        let verdicts: Vec<&str> = findings.map(|finding| finding["verdict"].as_str().unwrap()).collect();
        format!("{} {}", event["event"]["id"].as_str().unwrap(), verdicts.join(" "))
    };
    answer["events"].as_array().unwrap().iter().map(verdict).collect()
}

const EXPECTED: [&str; 3] = ["a1 revoke", "a2 allow", "a3 revoke"];

#[test]
fn calls_are_read_however_they_were_saved() {
    let three = three();
    let trail = json!({"Records": three}).to_string();
    let lookup = json!({"Events": three.each_ref().map(looked_up)});
    let envelopes = three.each_ref().map(envelope);
    let queue = three.each_ref().map(|record| {
        json!({"messageId": "1", "body": envelope(record).to_string(), "eventSource": "aws:sqs",
               "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:q", "attributes": {}, "messageAttributes": {}})
    });
    let received = three.each_ref().map(|record| json!({"MessageId": "1", "Body": envelope(record).to_string()}));
    let logged = three.each_ref().map(|record| json!({"timestamp": 1, "message": record.to_string()}));
    let texts = three.each_ref().map(Value::to_string);
    for (name, bytes) in [
        ("trail.json", trail.clone().into_bytes()),
        ("pretty.json", serde_json::to_vec_pretty(&json!({"Records": three})).unwrap()),
        ("trail.json.gz", gzip(trail.as_bytes())),
        ("gzip-by-content.json", gzip(trail.as_bytes())),
        ("plain.json.gz", trail.clone().into_bytes()),
        ("two-members.gz", [gzip(lines(&three[..1]).as_bytes()), gzip(lines(&three[1..]).as_bytes())].concat()),
        ("lookup.json", lookup.to_string().into_bytes()),
        ("lookup-pretty.json", serde_json::to_vec_pretty(&lookup).unwrap()),
        ("lookup-items.json", lookup["Events"].to_string().into_bytes()),
        ("lookup-texts.json", json!(texts).to_string().into_bytes()),
        ("lookup-texts.txt", texts.join("\t").into_bytes()),
        ("lines.jsonl", lines(&three).into_bytes()),
        ("envelopes.jsonl", lines(&envelopes).into_bytes()),
        ("windows.jsonl", lines(&three).replace('\n', "\r\n").into_bytes()),
        ("list.json", json!(envelopes).to_string().into_bytes()),
        (
            "one-after-the-other.json",
            three.each_ref().map(|one| serde_json::to_string_pretty(one).unwrap()).concat().into(),
        ),
        ("mixed.json", [trail.as_str(), "\n"].concat().into_bytes()),
        ("queue.json", json!({"Records": queue}).to_string().into_bytes()),
        ("received.json", json!({"Messages": received}).to_string().into_bytes()),
        ("log-group.json", json!({"events": logged, "searchedLogStreams": []}).to_string().into_bytes()),
        ("mark.json", [b"\xef\xbb\xbf", trail.as_bytes()].concat()),
        ("utf-16.json", utf_16(&trail)),
        ("utf-16.jsonl.gz", gzip(&utf_16(&lines(&three)))),
    ] {
        let file = written("forms", name, &bytes);
        let (code, out, err) = run(&["explain", file.to_str().unwrap(), "--format", "json"]);
        assert_eq!((code, err.as_str()), (2, ""), "{name}: {out}");
        assert_eq!(verdicts(&out), EXPECTED, "{name}");
        let (code, out, err) = run_on(&bytes, &["explain", "-", "--format", "json"]);
        assert_eq!(
            (code, err.as_str(), verdicts(&out)),
            (2, "", EXPECTED.map(str::to_owned).to_vec()),
            "{name} from a pipe"
        );
    }
}

#[test]
fn folders_and_several_files_are_read_in_order() {
    let three = three();
    for (n, one) in three.iter().enumerate() {
        written("folder", &format!("all/2026/{n}.json"), envelope(one).to_string());
    }
    written("folder", "all/README.md", "# What this is\n");
    written("folder", "all/.hidden", "no JSON");
    let folder = written("folder", "all/empty.json", "").parent().unwrap().to_owned();
    let (code, out, err) = run(&["explain", folder.to_str().unwrap(), "--format", "json"]);
    assert_eq!((code, verdicts(&out)), (2, EXPECTED.map(str::to_owned).to_vec()));
    assert!(err.lines().all(|line| line.starts_with("warning: ")), "{err}");
    assert!(err.contains("README.md") && err.contains("empty.json") && !err.contains("hidden"), "{err}");
    let files: Vec<String> =
        [2, 0].iter().map(|n| folder.join(format!("2026/{n}.json")).to_str().unwrap().to_owned()).collect();
    let (_, out, _) = run(&["explain", &files[0], &files[1], "--format", "json"]);
    assert_eq!(verdicts(&out), ["a3 revoke", "a1 revoke"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert!(answer["events"][0]["file"].as_str().unwrap().ends_with("2026/2.json"), "{out}");
    assert_eq!(
        (&answer["version"], &answer["command"], &answer["exit_code"]),
        (&json!(1), &json!("explain"), &json!(2))
    );
}

#[test]
fn many_calls_are_a_table_and_a_summary() {
    let role = "assumed-role/terraform/run-17";
    let mut calls: Vec<Value> =
        (0..3).map(|n| record(&format!("b{n}"), "user/alice", 10250 + 5 * (n % 2), "0.0.0.0/0")).collect();
    calls.push(record("b3", role, 22, "0.0.0.0/0"));
    calls[3]["userIdentity"]["arn"] = json!(format!("arn:aws:sts::111122223333:{role}"));
    calls.extend((4..9).map(|n| record(&format!("b{n}"), "user/bob", 443, "10.0.0.0/8")));
    let mut denied = record("b9", "user/mallory", 10250, "0.0.0.0/0");
    denied["errorCode"] = json!("Client.UnauthorizedOperation");
    calls.push(denied);
    let file = written("table", "ten.jsonl", lines(&calls));
    let (code, out, err) = run(&["explain", file.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (2, ""));
    assert!(out.contains("of 10 calls 4 would have been undone: 3 alice, 1 terraform\n"), "{out}");
    let table: Vec<&str> = out.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(table.len(), 1 + 9, "{out}");
    let heading: Vec<&str> = table[0].split_whitespace().collect();
    assert_eq!(heading, ["TIME", "WHO", "CALL", "RULE", "VERDICT"]);
    for (column, word) in [(0, "2026-01-02T03:04:05Z"), (table[0].find("WHO").unwrap(), "alice")] {
        assert!(table[1][column..].starts_with(word), "{out}");
    }
    assert!(table[1].ends_with("revoke (critical)") && table[5].ends_with("allow"), "{out}");
    // The same calls once more change nothing.
    let (_, again, _) = run(&["explain", file.to_str().unwrap(), file.to_str().unwrap()]);
    assert!(again.contains("of 11 calls 4 would have been undone: 3 alice, 1 terraform\n"), "{again}");
    let (code, ..) = run(&["explain", file.to_str().unwrap(), "--policy", "none"]);
    assert_eq!(code, 0);
    let (code, out, _) = run(&["explain", file.to_str().unwrap(), "--policy", "none", "--fail-on", "report"]);
    assert!(code == 0 && out.contains("of 10 calls none would have been undone"), "{out}");
}

/// Nothing is lost of the rest, and what is wrong is said with the file.
#[test]
fn what_is_broken_is_said_and_the_rest_is_read() {
    let three = three();
    let trail = json!({"Records": three}).to_string();
    let cut = &trail[..trail.len() - 200];
    let jsonl = lines(&three);
    let packed = gzip(trail.as_bytes());
    for (name, bytes, expected, said) in [
        ("cut.json", cut.as_bytes().to_vec(), &EXPECTED[..2], "it was cut; save it again"),
        ("cut.json.gz", packed[..packed.len() - 9].to_vec(), &EXPECTED, "cannot be unpacked to its end"),
        ("bad-line.jsonl", format!("{{\"a\": \n{jsonl}").into_bytes(), &EXPECTED, "is not JSON"),
        (
            "log-line.jsonl",
            format!("START RequestId: 1\n{jsonl}").into_bytes(),
            &EXPECTED,
            "is not JSON: `START RequestId: 1`",
        ),
        (
            "half-line.jsonl",
            jsonl.replacen("sgr-0a2\"", "sgr-0a2", 1).into_bytes(),
            &[EXPECTED[0], EXPECTED[2]],
            "line 2",
        ),
        (
            "strange.jsonl",
            format!("{{\"detail\": {{\"eventName\": 1}}}}\n{jsonl}").into_bytes(),
            &EXPECTED,
            "is not understood",
        ),
    ] {
        let file = written("broken", name, bytes);
        let (code, out, err) = run(&["explain", file.to_str().unwrap(), "--format", "json"]);
        assert_eq!(code, 2, "{name}: {err}");
        assert_eq!(verdicts(&out), expected, "{name}: {err}");
        assert!(err.starts_with("error: ") && err.contains(said) && err.contains(name), "{name}: {err}");
        let (code, ..) = run(&["explain", file.to_str().unwrap(), "--policy", "none"]);
        assert_eq!(code, 1, "{name}: not all was read");
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(answer["problems"][0]["error"], true, "{out}");
    }
}

#[test]
fn what_is_no_event_is_named_with_what_to_do() {
    let rules =
        json!({"SecurityGroupRules": [{"SecurityGroupRuleId": "sgr-0a", "GroupId": "sg-0a", "IsEgress": false}]});
    let snapshot = json!({"version": 1, "account": "111122223333", "region": "us-east-1", "groups": []});
    for (name, text, said) in [
        ("rules.json", rules.to_string(), "this is what `aws ec2 describe-security-group-rules` prints"),
        ("rules.json", rules.to_string(), "use `eks-sg-guard audit --from "),
        ("bare-rules.json", rules["SecurityGroupRules"].to_string(), "`aws ec2 describe-security-group-rules` prints"),
        ("groups.json", json!({"SecurityGroups": []}).to_string(), "`aws ec2 describe-security-groups` prints"),
        ("cluster.json", json!({"cluster": {"name": "a"}}).to_string(), "`aws eks describe-cluster` prints"),
        ("subnets.json", json!({"Subnets": []}).to_string(), "`aws ec2 describe-subnets` prints"),
        ("snapshot.json", snapshot.to_string(), "this is a snapshot of groups"),
        ("policy.yaml", "version: 1\nextends: standard\n".to_owned(), "`eks-sg-guard policy check FILE`"),
        ("table.txt", "|  DescribeSecurityGroups  |\n".to_owned(), "save it with `--output json`"),
        ("zip.zip", "PK\u{3}\u{4}".to_owned(), "is a zip archive; unpack it first"),
        ("page.html", "<html>".to_owned(), "is not JSON: `<html>`"),
    ] {
        let file = written("foreign", name, text);
        let (code, out, err) = run(&["explain", file.to_str().unwrap()]);
        assert_eq!((code, out.as_str()), (1, ""), "{name}");
        assert!(err.contains(said) && err.contains(name), "{name}: {err}");
    }
}

#[test]
fn hostile_text_does_not_reach_the_terminal() {
    let mut evil = record("c1", "user/\u{1b}]0;owned\u{7}\u{202e}", 10250, "0.0.0.0/0");
    evil["requestParameters"]["groupId"] = json!("sg-\u{1b}[31m");
    let broken = "\u{1b}[2J not JSON\n".to_owned();
    let file = written("hostile", "a\u{1b}[31m.jsonl", format!("{broken}{}{}", lines(&[evil]), lines(&three())));
    for arguments in [&["explain"][..], &["explain", "--format", "json"]] {
        let (code, out, err) = run(&[arguments, &[file.to_str().unwrap()]].concat());
        assert_eq!(code, 2, "{err}");
        let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!(out + &err).contains(raw), "{arguments:?}");
    }
}

const MARKER: &str = "elbv2.k8s.aws/targetGroupBinding=shared";

/// SSH for a load balancer, as its controller writes it.
fn marked(identity: &Value) -> Value {
    let mut record = record("d1", "user/nobody", 22, "0.0.0.0/0");
    record["userIdentity"] = identity.clone();
    record["responseElements"]["securityGroupRuleSet"]["items"][0]["description"] = json!(MARKER);
    record
}

fn role(name: &str) -> Value {
    json!({
        "type": "AssumedRole", "arn": format!("arn:aws:sts::111122223333:assumed-role/{name}/1"),
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": format!("arn:aws:iam::111122223333:role/{name}")}},
    })
}

#[test]
fn a_controllers_marked_rule_is_judged_by_what_the_event_tells() {
    let policy = "version: 1\ncontrollers: [\"arn:aws:iam::111122223333:role/lbc\"]\n";
    let policy = written("marked", "policy.yaml", policy);
    let known = written("marked", "known.json", marked(&role("lbc")).to_string());
    let (code, out, _) = run(&["explain", known.to_str().unwrap(), "--policy", policy.to_str().unwrap()]);
    assert!(code == 0 && out.contains("  report (") && !out.contains("revoke ("), "{out}");
    let (_, out, _) = run(&["notice", "preview", known.to_str().unwrap(), "--policy", policy.to_str().unwrap()]);
    assert!(!out.contains("CLOSED") && !out.contains("revoked"), "{out}");
    // It may be the cluster's own role, and only the live state tells that.
    let unknown = written("marked", "unknown.json", marked(&role("eks-cluster")).to_string());
    let (code, out, _) = run(&["explain", unknown.to_str().unwrap()]);
    assert!(code == 2 && out.contains("  revoke (critical)") && out.contains("  or report ("), "{out}");
    assert!(out.contains("that is unknown here, only the live state tells it"), "{out}");
    let (_, out, _) = run(&["explain", unknown.to_str().unwrap(), "--format", "json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["groups"][0]["findings"][0]["otherwise"]["verdict"], "report", "{out}");
    // A user is no role, and a rule without the mark is nobody's.
    let user = json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"});
    let mut unmarked = marked(&role("lbc"));
    unmarked["responseElements"]["securityGroupRuleSet"]["items"][0]["description"] = json!("mine");
    for (name, record) in [("user.json", marked(&user)), ("unmarked.json", unmarked)] {
        let file = written("marked", name, record.to_string());
        let (code, out, _) = run(&["explain", file.to_str().unwrap(), "--policy", policy.to_str().unwrap()]);
        assert!(code == 2 && !out.contains("  or report"), "{name}: {out}");
    }
}

/// A cluster whose nodes have all that they need, and a spare group that is open to the world.
const LIVE: &str = r#"{"version": 1, "account": "111122223333", "region": "us-east-1", "groups": [
  {"id": "sg-0ccc0000ccc00000c", "name": "control-plane", "vpc": "vpc-0a", "cluster": "prod", "roles": ["cluster"],
   "vpc_ranges": ["10.0.0.0/16"], "peers": {"sg-0aaa1111bbb22222c": ["node"]}, "rules": [
    {"id": "sgr-0c1", "direction": "ingress", "protocol": "-1", "peer": {"group": "sg-0aaa1111bbb22222c"}},
    {"id": "sgr-0c2", "direction": "egress", "protocol": "-1", "peer": {"cidr": "0.0.0.0/0"}}]},
  {"id": "sg-0aaa1111bbb22222c", "name": "nodes", "vpc": "vpc-0a", "cluster": "prod", "roles": ["node"],
   "vpc_ranges": ["10.0.0.0/16"], "peers": {"sg-0ccc0000ccc00000c": ["cluster"]}, "rules": [
    {"id": "sgr-0ab1", "direction": "ingress", "protocol": "-1", "peer": {"group": "sg-0ccc0000ccc00000c"}},
    {"id": "sgr-0ab2", "direction": "ingress", "protocol": "-1", "peer": {"group": "sg-0aaa1111bbb22222c"}},
    {"id": "sgr-0ab3", "direction": "egress", "protocol": "-1", "peer": {"cidr": "0.0.0.0/0"}}]},
  {"id": "sg-0ddd3333eee44444f", "name": "spare", "vpc": "vpc-0a", "cluster": "prod", "roles": ["node"], "rules": [
    {"id": "sgr-0d1", "direction": "ingress", "protocol": "tcp", "from_port": 10250, "to_port": 10250,
     "peer": {"cidr": "0.0.0.0/0"}}]}]}"#;

#[test]
fn a_list_has_what_the_call_put_into_it_and_a_cluster_that_is_not_there_misses_nothing() {
    let snapshot = r#"{"version": 1, "account": "111122223333", "region": "us-east-1", "groups": [
      {"id": "sg-0aaa1111bbb22222c", "name": "nodes", "vpc": "vpc-0a", "cluster": "prod", "roles": ["node"],
       "prefix_lists": {"pl-0aaa1111bbb22222c": ["10.0.0.0/8"]}, "rules": [
        {"id": "sgr-0a1", "direction": "ingress", "protocol": "tcp", "from_port": 10250, "to_port": 10250,
         "peer": {"prefix_list": "pl-0aaa1111bbb22222c"}}]}]}"#;
    let snapshot = written("list", "groups.json", snapshot);
    let event = concat!(env!("CARGO_MANIFEST_DIR"), "/events/prefix-list-modified.json");
    let (code, out, err) = run(&["notice", "preview", event, "--snapshot", snapshot.to_str().unwrap()]);
    assert_eq!(code, 2, "{out}{err}");
    assert!(out.contains("kubelet 10250 was open to everybody") && !out.contains("BROKEN"), "{out}");
}

#[test]
fn what_an_event_alone_does_not_tell_is_previewed_on_a_snapshot() {
    let live = written("live", "groups.json", LIVE);
    let live = live.to_str().unwrap();
    let mut egress = record("e1", "user/alice", 0, "0.0.0.0/0");
    egress["eventName"] = json!("RevokeSecurityGroupEgress");
    egress["requestParameters"] = json!({
        "groupId": "sg-0aaa1111bbb22222c", "ipPermissions": {},
        "securityGroupRuleIds": {"items": [{"securityGroupRuleId": "sgr-0ab3"}]},
    });
    egress["responseElements"] = json!({"_return": true});
    let egress = written("live", "egress.json", egress.to_string());
    let mut ingress = record("e2", "user/alice", 0, "0.0.0.0/0");
    ingress["eventName"] = json!("RevokeSecurityGroupIngress");
    ingress["requestParameters"] = json!({
        "groupId": "sg-0aaa1111bbb22222c",
        "ipPermissions": {"items": [{"ipProtocol": "-1", "groups": {"items": [{"groupId": "sg-0ccc0000ccc00000c"}]}}]},
    });
    ingress["responseElements"] = json!({"_return": true});
    let ingress = written("live", "ingress.json", ingress.to_string());
    let mut attached = record("e3", "user/alice", 0, "0.0.0.0/0");
    attached["eventName"] = json!("ModifyNetworkInterfaceAttribute");
    attached["requestParameters"] = json!({
        "networkInterfaceId": "eni-0a", "groupSet": {"items": [{"groupId": "sg-0ddd3333eee44444f"}]},
    });
    attached["responseElements"] = json!({"_return": true});
    let attached = written("live", "attached.json", attached.to_string());
    for (file, said) in [
        (&egress, &["[HIGH] BROKEN", "node-egress"][..]),
        (&ingress, &["[HIGH] BROKEN"]),
        (&attached, &["[CRITICAL]", "10250", "spare"]),
    ] {
        let file = file.to_str().unwrap();
        let (code, out, err) = run(&["notice", "preview", file]);
        assert_eq!((code, out.as_str()), (1, ""), "{file}");
        assert!(err.contains("cannot be previewed from the event alone") && err.contains("--snapshot FILE"), "{err}");
        let (_, out, err) = run(&["notice", "preview", file, "--snapshot", live]);
        assert!(err.starts_with("this is a preview,") && err.lines().count() == 1, "{file}: {err}");
        assert!(said.iter().all(|part| out.contains(part)), "{file}: {out}");
    }
    // What the call took away is in the snapshot.
    for (file, way) in [(&egress, "egress"), (&ingress, "ingress")] {
        let (_, out, _) = run(&["notice", "preview", file.to_str().unwrap(), "--snapshot", live]);
        assert!(out.contains(&format!("aws ec2 authorize-security-group-{way} ")), "{out}");
    }
    // A rule that no cluster needs.
    let unneeded = fs::read_to_string(&egress).unwrap().replace("sgr-0ab3", "sgr-0fff");
    let unneeded = written("live", "unneeded.json", unneeded);
    let (code, out, _) = run(&["notice", "preview", unneeded.to_str().unwrap(), "--snapshot", live]);
    assert!(code == 0 && out.starts_with("Nothing would be sent"), "{out}");
    // A program that waits for a message gets none.
    let (_, out, err) = run(&["notice", "preview", unneeded.to_str().unwrap(), "--snapshot", live, "--as", "json"]);
    assert!(out.is_empty() && err.contains("Nothing would be sent"), "{out}{err}");
    // Groups that the snapshot does not have.
    let other = fs::read_to_string(&attached).unwrap().replace("sg-0ddd3333eee44444f", "sg-0eee0000eee00000e");
    let other = written("live", "other.json", other);
    let (code, _, err) = run(&["notice", "preview", other.to_str().unwrap(), "--snapshot", live]);
    assert!(code == 1 && err.contains("the snapshot has no group `sg-0eee0000eee00000e`"), "{err}");
    // One of several events is chosen.
    let several = written("live", "several.jsonl", lines(&three()));
    let (code, _, err) = run(&["notice", "preview", several.to_str().unwrap()]);
    assert!(code == 1 && err.contains("`--event-id`: `a1`, `a2`, `a3`"), "{err}");
    let (code, out, _) = run(&["notice", "preview", several.to_str().unwrap(), "--event-id", "a3"]);
    assert!(code == 2 && out.contains("10255"), "{out}");
    let (code, _, err) = run(&["notice", "preview", several.to_str().unwrap(), "--event-id", "nope"]);
    assert!(code == 1 && err.contains("has no call of the id `nope`; it has `a1`, `a2`, `a3`"), "{err}");
    // What is wrong with the rest of a file is said beside it.
    let cut = written("live", "cut.jsonl", lines(&three()[..1]) + "{\"detail\": {\"eventName\"");
    let (code, out, err) = run(&["notice", "preview", cut.to_str().unwrap(), "--event-id", "a1"]);
    assert!(!out.is_empty() && err.contains("it was cut; save it again; what stands before was read"), "{err}");
    assert_ne!(code, 0);
}

#[test]
fn mistakes_in_a_snapshot_are_shown_as_those_of_a_policy() {
    let said = |name: &str, text: &str| {
        let file = written("snapshots", name, text);
        let (code, out, err) = run(&["policy", "diff", "standard", "strict", "--snapshot", file.to_str().unwrap()]);
        assert_eq!((code, out.as_str()), (1, ""), "{name}");
        assert!(err.contains(&format!("{name}:")), "{name} names file and line: {err}");
        err
    };
    for (from, to, place, parts) in [
        ("\"version\": 1", "\"version\": 2", "1:13", &["version `2` is not known", "write `\"version\": 1`"][..]),
        ("111122223333", "1111", "1:27", &["`1111` is no account", "twelve digits"]),
        ("\"us-east-1\"", "\"europe\"", "", &["`europe` is no region", "us-east-1"]),
        (
            "\"roles\": [\"cluster\"]",
            "\"roles\": [\"clustr\"]",
            "",
            &["`clustr` is no role", "did you mean `cluster`?"],
        ),
        (
            "\"id\": \"sg-0ccc0000ccc00000c\"",
            "\"id\": \"sg-xyz\"",
            "2:10",
            &["`sg-xyz` is not the id of", "write `sg-0123456789abcdef0`"],
        ),
        ("10.0.0.0/16", "10.0.0.0/33", "3:19", &["`10.0.0.0/33` is not a CIDR block", "write blocks such as"]),
        (
            "\"direction\": \"ingress\"",
            "\"direction\": \"inbound\"",
            "",
            &["`inbound` is no direction", "`ingress` or `egress`"],
        ),
        (
            "\"direction\": \"ingress\"",
            "\"dirction\": \"ingress\"",
            "",
            &["a rule has no `dirction`", "did you mean `direction`?"],
        ),
        ("\"protocol\": \"-1\"", "\"protocol\": -1", "", &["`protocol` is a text, and here is `-1`"]),
        ("\"protocol\": \"-1\"", "\"protocol\": \"tpc\"", "", &["`tpc` is not a protocol"]),
        ("\"from_port\": 10250", "\"from_port\": \"10250\"", "", &["is not a port", "without quotes"]),
        ("\"from_port\": 10250", "\"from_port\": 102500", "", &["`102500` is not a port"]),
        ("{\"cidr\": \"0.0.0.0/0\"}", "\"0.0.0.0/0\"", "", &["a peer is an object"]),
        ("{\"cidr\": \"0.0.0.0/0\"}", "{}", "", &["one source or destination", "`{\"cidr\": \"10.0.0.0/16\"}`"]),
        ("\"rules\": [", "\"rulez\": [", "", &["the group has no `rules`", "did you mean `rules`?"]),
        ("]}]}", "]}]", "", &["the file ends in the middle", "save it again"]),
        ("{\"version\"", "{version", "1:2", &["this is not JSON", "double quotes"]),
    ] {
        let err = said("broken.json", &LIVE.replacen(from, to, 1));
        assert!(parts.iter().all(|part| err.contains(part)), "{to}: {err}");
        assert!(err.contains(&format!("broken.json:{place}")), "{to}: {err}");
        assert!(!err.contains("invalid type") && !err.contains("unknown variant"), "{to}: {err}");
    }
    // All of them at once.
    let err = said("several.json", &LIVE.replace("\"-1\"", "\"x\"").replacen("[\"cluster\"]", "[\"a\"]", 1));
    assert!(err.contains("several.json: 6 errors"), "{err}");
    for (name, text, part) in [
        ("event.json", envelope(&three()[0]).to_string(), "this is an event"),
        ("rules.json", json!({"SecurityGroupRules": []}).to_string(), "`aws ec2 describe-security-group-rules` prints"),
    ] {
        assert!(said(name, &text).contains(part), "{name}");
    }
}

#[test]
fn an_edit_in_place_is_put_back_in_a_preview_where_a_snapshot_tells_what_was_there() {
    let mut edit = record("e1", "user/alice", 10_250, "0.0.0.0/0");
    edit["eventName"] = json!("ModifySecurityGroupRules");
    let spare = |cidr: &str| {
        LIVE.replace(r#""peer": {"cidr": "0.0.0.0/0"}}]}]}"#, &format!(r#""peer": {{"cidr": "{cidr}"}}}}]}}]}}"#))
    };
    edit["requestParameters"] = json!({"ModifySecurityGroupRulesRequest": {
        "GroupId": "sg-0ddd3333eee44444f",
        "SecurityGroupRule": {"SecurityGroupRuleId": "sgr-0d1", "tag": 1, "SecurityGroupRule":
            {"IpProtocol": "tcp", "FromPort": 10250, "ToPort": 10250, "CidrIpv4": "0.0.0.0/0"}},
    }});
    edit["responseElements"] = json!({"ModifySecurityGroupRulesResponse": {"return": true}});
    let edit = written("put-back", "edit.json", edit.to_string());
    let previewed = |name: &str, live: String| {
        let live = written("put-back", name, live);
        run(&["notice", "preview", edit.to_str().unwrap(), "--snapshot", live.to_str().unwrap()])
    };
    // Saved before the call.
    let (code, out, err) = previewed("before.json", spare("10.0.0.0/24"));
    assert!(code == 2 && out.contains("10.0.0.0/24") && out.contains("put back"), "{out}{err}");
    assert!(!err.contains("GUARD_RESTORE"), "{err}");
    // Saved after it: what was there before nothing tells.
    let (code, out, err) = previewed("after.json", spare("0.0.0.0/0"));
    assert!(code == 2 && out.contains("CLOSED") && !out.contains("put back to"), "{out}{err}");
    assert!(err.contains("GUARD_RESTORE"), "{err}");
}
