//! The JSON Schema of policy files says what the reader accepts: the same keys, the same words.

mod json_schema;

use std::collections::BTreeSet;
use std::path::Path;

use eks_sg_guard::policy::builtin;
use eks_sg_guard::policy::diagnostic::{Diagnostic, Level};
use eks_sg_guard::policy::file::load;
use eks_sg_guard::policy::model::PeerTerm;
use jiff::civil::{Date, date};
use serde_json::Value;

use crate::json_schema::misfits;

const TODAY: Date = date(2026, 6, 15);
const REGION_OF_ALL: &str = "id: a, from: anywhere, reason: r";

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn schema() -> Value {
    serde_json::from_str(include_str!("../core/src/policy/schema.json")).unwrap()
}

fn problems(text: &str) -> Vec<Diagnostic> {
    match load("policy.yaml", text, TODAY) {
        Ok(loaded) => loaded.warnings,
        Err(rejected) => rejected.diagnostics,
    }
}

/// What the reader itself says it knows, when asked with a word that is near to nothing.
fn reader_knows(text: &str) -> BTreeSet<String> {
    let asked = "qqqqqqqqqqqqqqqqqqqqqqqq";
    let found = problems(&text.replace('?', asked));
    let help = found.iter().filter(|problem| problem.message.contains(asked)).find_map(|problem| problem.help.clone());
    let help = help.unwrap_or_default();
    let words = help.trim_start_matches("its keys are ").trim_start_matches("write ").replace(" or ", ", ");
    words.split(", ").map(|word| word.trim_matches('`').to_owned()).collect()
}

fn keys(of: &Value) -> BTreeSet<String> {
    of["properties"].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

fn words(of: &Value) -> BTreeSet<String> {
    of["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn the_schema_has_the_keys_of_the_reader() {
    let schema = schema();
    let of = |name: &str| keys(&schema["$defs"][name]);
    assert_eq!(schema["$id"], "urn:eks-sg-guard:policy:1");
    assert_eq!(keys(&schema), reader_knows("version: 1\n?: 1\n"));
    assert_eq!(of("change"), reader_knows("version: 1\nverdicts: {api-internet: {?: 1}}\n"));
    assert_eq!(of("clause"), reader_knows("version: 1\nclauses: [{?: 1}]\n"));
    assert_eq!(of("exception"), reader_knows("version: 1\nexceptions: [{?: 1}]\n"));
    assert_eq!(of("requirement"), reader_knows("version: 1\nrequirements: [{?: 1}]\n"));
    assert_eq!(of("group"), reader_knows("version: 1\ngroups: [{?: 1}]\n"));
    assert_eq!(of("cluster"), reader_knows("version: 1\nclusters: [{?: 1}]\n"));
    assert_eq!(of("acceptance"), reader_knows("version: 1\naccepted: [{?: 1}]\n"));
}

#[test]
fn the_schema_has_the_words_of_the_reader() {
    let schema = schema();
    let of = |name: &str| words(&schema["$defs"][name]);
    let clause = |entry: &str| reader_knows(&format!("version: 1\nclauses: [{{{REGION_OF_ALL}, {entry}}}]\n"));
    assert_eq!(of("verdict"), clause("verdict: ?"));
    assert_eq!(of("severity"), clause("verdict: report, severity: ?"));
    assert_eq!(of("direction"), clause("verdict: allow, direction: ?"));
    assert_eq!(of("role"), clause("verdict: allow, roles: ?"));
    assert_eq!(of("flag"), clause("verdict: allow, only: ?"));
    assert_eq!(
        of("interfacesOf"),
        reader_knows("version: 1\nrequirements: [{id: a, from: vpc, reason: r, role: ?}]\n")
    );
    let acceptance = "version: 1\naccepted: [{warning: ?, about: a, reason: r}]\n";
    assert_eq!(of("acceptable"), reader_knows(acceptance));
    let extends = &schema["$defs"]["cluster"]["properties"]["extends"];
    assert_eq!(words(extends), reader_knows("version: 1\nclusters: [{name: a, extends: ?}]\n"));
    assert_eq!(of("mode"), reader_knows("version: 1\nclusters: [{name: a, mode: ?}]\n"));
    assert_eq!(words(&schema["properties"]["public_endpoint"]), reader_knows("version: 1\npublic_endpoint: ?\n"));
    assert_eq!(words(&schema["properties"]["extends"]), builtin::NAMES.map(str::to_owned).into());
    let mut protocols = words(&schema["$defs"]["protocol"]["anyOf"][0]);
    protocols.insert("a number from 0 to 255".to_owned());
    assert_eq!(protocols, clause("verdict: allow, protocol: ?"));
}

#[test]
fn the_schema_has_the_words_for_peers() {
    let schema = schema();
    let any = schema["$defs"]["word"]["anyOf"].as_array().unwrap();
    let listed: BTreeSet<String> = any.iter().flat_map(words).collect();
    for word in &listed {
        let text = format!("version: 1\nclauses: [{{id: a, from: [\"{word}\"], verdict: allow, reason: r}}]\n");
        let policy = load("policy.yaml", &text, TODAY).unwrap().policy;
        let read = policy.clauses[0].peers[0].word().unwrap();
        assert!(read == *word || word == "clients", "{word} is read as {read}");
    }
    let known = PeerTerm::words().map(String::from);
    assert_eq!(listed, known.chain(["clients".to_owned()]).collect());
}

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn misfits_of(text: &str) -> Vec<String> {
    misfits(&schema(), &serde_saphyr::from_str(text).unwrap())
}

/// Ways to write a value that `policy.example.yaml`, which has every key, does not show.
const SAMPLE: &str = r#"
version: 1
extends: strict
otherwise: revoke
exceptions_need_date: true
networks:
  office: [203.0.113.0/24, "2001:db8:1::/48"]
  clients: [private, office]
controllers: arn:aws:iam::111122223333:role/aws-load-balancer-controller
groups:
  - {id: sg-0123456789abcdef0, cluster: prod, role: node}
  - {id: sg-0123456789abcdef1, cluster: prod, role: node, mode: report}
clusters:
  - {name: "prod-*", environment: production, mode: enforce, extends: strict}
verdicts: {api-internet: report, other-private: {verdict: report, severity: low}}
clauses:
  - id: office
    roles: remote-access
    protocol: [tcp, 17]
    ports: [22, 8000-8080]
    icmp: [8, 3/4]
    icmpv6: all
    whole_protocols: 50
    from: [office, clients, sg-0123456789abcdef0, pl-0123456789abcdef0, "role:node", "aws:s3", 198.51.100.7/32]
    verdict: revoke
    severity: high
    reason: shows spellings
  - {id: narrow, cluster: "prod-*", except_cluster: prod-2, from: vpc, at_most_ports: "16", verdict: report, reason: widths}
  - {id: out, direction: egress, to: anywhere, protocol: all, ports: all, verdict: allow, reason: shows the rest}
exceptions:
  - id: pentest
    reason: ticket 7
    owner: secops@example.com
    expires: 2026-12-31
    group: sg-0123456789abcdef0
    cluster: stag?ng
    account: "111122223333"
    region: us-east-1
    from: office
"#;

#[test]
fn what_the_reader_accepts_fits_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy.example.yaml");
    let example = std::fs::read_to_string(path).ok();
    let built_in = builtin::NAMES.into_iter().filter_map(builtin::text);
    let texts = built_in.chain([SAMPLE]).map(str::to_owned).chain(example);
    for text in texts {
        let text = text.as_str();
        assert!(load("policy.yaml", text, TODAY).is_ok_and(|loaded| loaded.warnings.is_empty()), "{text}");
        assert_eq!(misfits_of(text), Vec::<String>::new(), "{text}");
    }
}

/// What JSON Schema cannot say: what depends on other entries, on the inherited policy, on the arithmetic of a value, or on
/// the text before it is a value.
const BEYOND_A_SCHEMA: [&str; 11] = [
    "duplicate-id",
    "duplicate-key",
    "host-bits",
    "network-cycle",
    "revoke-of-requirement",
    "too-large",
    "too-many-problems",
    "unknown-clause",
    "unknown-network",
    "unknown-version",
    "yaml",
];

/// Every bad file and every example of `docs/diagnostics.md`: the schema refuses what the reader refuses, where it can, and
/// nothing that the reader takes.
#[test]
fn numbers_of_ports_are_those_of_the_reader() {
    for (count, is_one) in [
        ("0", false),
        ("1", true),
        ("256", true),
        ("65535", true),
        ("65536", true),
        ("65537", false),
        ("70000", false),
        ("99999", false),
        ("100000", false),
        ("-1", false),
        ("1e3", false),
    ] {
        for count in [count.to_owned(), format!("\"{count}\"")] {
            let text = format!("version: 1\nclauses: [{{{REGION_OF_ALL}, verdict: report, at_most_ports: {count}}}]\n");
            let is_read = !problems(&text).iter().any(|problem| problem.severity == Level::Error);
            assert_eq!((is_read, misfits_of(&text).is_empty()), (is_one, is_one), "{count}");
        }
    }
}

#[test]
fn reader_and_schema_agree_on_every_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts: Vec<(String, String)> = std::fs::read_dir(root.join("tests/policies"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    let pages = std::fs::read_to_string(root.join("docs/diagnostics.md")).unwrap();
    for page in pages.split("\n## ").skip(1) {
        let examples = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        texts.extend(examples.map(|text| (page.lines().next().unwrap().to_owned(), text.to_owned())));
    }
    let mut compared = 0;
    for (name, text) in texts.iter().filter(|(_, text)| !text.contains("\ntests:")) {
        let Ok(value) = serde_saphyr::from_str::<Value>(text) else { continue };
        let errors: Vec<Diagnostic> =
            problems(text).into_iter().filter(|problem| problem.severity == Level::Error).collect();
        let misfits = misfits(&schema(), &value);
        if errors.is_empty() {
            assert_eq!(misfits, Vec::<String>::new(), "{name}: {text}");
        } else if errors.iter().any(|problem| !BEYOND_A_SCHEMA.contains(&problem.code)) {
            assert!(!misfits.is_empty(), "{name}: {errors:?}");
        }
        compared += 1;
    }
    assert!(compared > 120, "{compared} compared");
}

/// One mistake each, which the schema has to see by itself.
#[test]
fn what_a_schema_can_say_ours_says() {
    let clause = |keys: &str| format!("clauses: [{{id: a, reason: r, {keys}}}]");
    let exception = |keys: &str| format!("exceptions: [{{id: a, reason: r, owner: o, from: vpc, {keys}}}]");
    let from = |word: &str| clause(&format!("verdict: report, from: [{word}]"));
    let ports = |ports: &str| clause(&format!("verdict: report, from: vpc, protocol: tcp, ports: [{ports}]"));
    for text in [
        clause("verdict: allow"),
        clause("verdict: allow, direction: egress"),
        clause("verdict: allow, to: vpc"),
        clause("verdict: allow, direction: egress, from: vpc, to: vpc"),
        clause("verdict: revoke, from: vpc"),
        clause("verdict: allow, severity: low, from: vpc"),
        clause("verdict: allow, severity_of_ranges: low, from: vpc"),
        clause("verdict: report, for_controller: report, from: vpc"),
        clause("verdict: report, in_passing: report, from: vpc"),
        clause("verdict: allow, severity_of_broad: low, from: vpc"),
        clause("verdict: allow, more_than_ports: 0, from: vpc"),
        from("other-acount group"),
        "networks: {other-account-group: [10.0.0.0/8]}".to_owned(),
        clause("verdict: report, beside_load_balancer: true, from: vpc"),
        clause("verdict: report, from: vpc, ports: 22"),
        clause("verdict: report, from: vpc, ports: 22, protocol: icmp"),
        clause("verdict: report, from: vpc, ports: 22, protocol: [tcp, 50]"),
        clause("verdict: report, from: vpc, protocol: 256"),
        clause("verdict: report, from: vpc, protocol: \"256\""),
        clause("verdict: report, from: vpc, icmp: 256"),
        clause("verdict: report, from: vpc, icmp: 3/256"),
        from("10.0.0.0/33"),
        from("256.0.0.0/8"),
        from("\"2001:db8::/129\""),
        from("10.0.0.0"),
        from("SG-0123456789abcdef0"),
        from("sg-xyz"),
        from("pl-1"),
        from("node"),
        from("all"),
        from("world wide"),
        ports("65536"),
        ports("\"65536\""),
        ports("1-70000"),
        ports("-1"),
        ports("https"),
        exception("expires: 2026-13-01"),
        exception("expires: 2026-12-32"),
        exception("expires: 31.12.2026"),
        exception("expires: 2026-12-31, account: 1111"),
        exception("expires: 2026-12-31, region: Frankfurt"),
        exception("expires: 2026-12-31, cluster: \"a**\""),
        format!("extends: strict\n{}", exception("group: sg-0123456789abcdef0")),
        format!("exceptions_need_date: true\n{}", exception("group: sg-0123456789abcdef0")),
        clause("verdict: report, from: vpc").replace("id: a", "id: uncovered"),
        clause("verdict: report, from: vpc").replace("reason: r", "reason: \"${WHY}\""),
        "networks: {internet: [10.0.0.0/8]}".to_owned(),
        "networks: {node: [10.0.0.0/8]}".to_owned(),
        "networks: {office: [internet]}".to_owned(),
        "networks: {office: [\"role:node\"]}".to_owned(),
        "verdicts: {api-internet: {verdict: allow, severity: low}}".to_owned(),
        "requirements: [{id: a, role: node, reason: r, from: [internet]}]".to_owned(),
        "requirements: [{id: a, role: node, reason: r}]".to_owned(),
        "accepted: [{warning: bad-cidr, about: a, reason: r}]".to_owned(),
        "controllers: [\"arn:aws:iam::111122223333:role/a\", \"arn:aws:iam::111122223333:role/a\"]".to_owned(),
    ] {
        let text = format!("version: 1\n{text}\n");
        assert!(problems(&text).iter().any(|problem| problem.severity == Level::Error), "the reader takes {text}");
        assert_ne!(misfits_of(&text), Vec::<String>::new(), "the schema takes {text}");
    }
}
