//! The JSON Schema of policy files says what the reader accepts: the same keys, the same words.

use std::collections::BTreeSet;
use std::path::Path;

use eks_sg_guard::policy::builtin;
use eks_sg_guard::policy::diagnostic::Diagnostic;
use eks_sg_guard::policy::file::load;
use eks_sg_guard::policy::model::PeerTerm;
use jiff::civil::{Date, date};
use serde_json::Value;

const TODAY: Date = date(2026, 6, 15);
const REGION_OF_ALL: &str = "id: a, from: anywhere, reason: r";

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn schema() -> Value {
    serde_json::from_str(include_str!("../src/policy/schema.json")).unwrap()
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

/// Enough of JSON Schema for ours, but patterns, which editors check. Gives the paths that do not fit.
fn misfits(schema: &Value, root: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(path) = schema["$ref"].as_str() {
        match root.pointer(path.trim_start_matches('#')) {
            Some(definition) => misfits(definition, root, value, at, found),
            None => found.push(format!("{at}: the schema has no `{path}`")),
        }
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let fits = |one: &Value| {
            let mut inner = Vec::new();
            misfits(one, root, value, at, &mut inner);
            inner.is_empty()
        };
        if !any.iter().any(fits) {
            found.push(format!("{at}: fits nothing of what is possible"));
        }
    }
    let is = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        other => unreachable!("{other:?}"),
    };
    let kinds = &schema["type"];
    if !kinds.is_null() && !kinds.as_array().map_or_else(|| is(kinds), |kinds| kinds.iter().any(is)) {
        found.push(format!("{at}: is no {kinds}"));
    }
    let listed = schema["enum"].as_array().is_none_or(|words| words.contains(value));
    if !listed || schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at}: `{value}` is not listed"));
    }
    if value.as_array().is_some_and(|items| items.is_empty() && schema["minItems"] == 1) {
        found.push(format!("{at}: is empty"));
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate().filter(|_| schema["items"].is_object()) {
        misfits(&schema["items"], root, item, &format!("{at}[{n}]"), found);
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(key).is_none() {
            found.push(format!("{at}: has no `{key}`"));
        }
    }
    for (key, item) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        match (schema["properties"].get(key), &schema["additionalProperties"]) {
            (Some(known), _) => misfits(known, root, item, &at, found),
            (None, Value::Bool(false)) => found.push(format!("{at}: is not known")),
            (None, others) if others.is_object() => misfits(others, root, item, &at, found),
            (None, _) => {}
        }
    }
}

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn misfits_of(text: &str) -> Vec<String> {
    let (schema, mut found) = (schema(), Vec::new());
    misfits(&schema, &schema, &serde_saphyr::from_str(text).unwrap(), "$", &mut found);
    found
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
clusters:
  - {name: "prod-*", environment: production, mode: enforce}
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

#[test]
fn what_the_reader_refuses_by_shape_the_schema_refuses_too() {
    for file in [
        "bad_spelling",
        "bad_unknown_key",
        "bad_missing_key",
        "bad_unknown_policy",
        "bad_unknown_version",
        "bad_empty",
        "bad_list",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/policies/{file}.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        assert_ne!(misfits_of(&text), Vec::<String>::new(), "{file}");
    }
}
