//! Files that are cut, of another account, of no use, or made to do harm: each kind of answer, not one of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{answer, changed, files, folder, run};

/// Half of an answer is no answer: whichever it is, wherever it is cut, and in whatever encoding.
#[test]
fn an_answer_that_is_cut_anywhere_is_an_error_that_names_its_file() {
    for (name, bytes) in files() {
        for part in [3, 2, 1] {
            let cut = bytes[..bytes.len() - bytes.len() / 4 * part].trim_ascii_end();
            let cut = if cut.ends_with(b"}") { &cut[..cut.len() - 1] } else { cut };
            let wide: Vec<u8> = String::from_utf8_lossy(cut).encode_utf16().flat_map(u16::to_le_bytes).collect();
            let wide = [b"\xff\xfe", wide.as_slice()].concat();
            let half_a_unit = wide[..wide.len() - 1].to_vec();
            for (form, content) in [("utf-8", cut.to_vec()), ("utf-16", wide), ("odd", half_a_unit)] {
                let folder = folder("hostile-cut", &[(name.clone(), content)]);
                for from in [folder.clone(), format!("{folder}/{name}")] {
                    let (code, out, err) = run(&["audit", "--from", "tests/audit/saved", &from]);
                    let said = "ends in the middle";
                    let is_told = err.contains(said) || form == "odd" && err.contains("is not JSON");
                    assert!(
                        code == 1
                            && out.is_empty()
                            && err.contains(&name.chars().take(12).collect::<String>())
                            && is_told,
                        "{name} {form} {part}: {err}"
                    );
                    assert_eq!(err.lines().count(), 1, "{err}");
                }
            }
        }
    }
}

/// Whichever answer holds a token for the next page: it is said, and nothing is called unused or unreachable because of it.
#[test]
fn a_token_left_in_any_answer_is_told_and_nothing_is_absent_because_of_it() {
    let pages: BTreeSet<&str> = [
        "security-groups",
        "security-group-rules",
        "network-interfaces",
        "instances",
        "vpcs",
        "managed-prefix-lists",
        "list-clusters",
        "list-nodegroups.prod",
        "subnets",
        "route-tables",
        "internet-gateways",
        "network-acls",
        "trails",
    ]
    .into();
    for page in pages {
        let cut = changed("hostile-token", |name, value| {
            if name == format!("{page}.json") {
                value["NextToken"] = json!("eyJ0b2tlbiI6IG51bGx9");
                for list in value.as_object_mut().unwrap().values_mut().filter_map(Value::as_array_mut) {
                    list.clear();
                }
            }
        });
        let found = answer(&["--from", &cut]);
        let warnings = found["warnings"].to_string();
        assert!(warnings.contains(page) && warnings.contains("token for the next page"), "{page}: {warnings}");
        let findings = found["findings"].as_array().unwrap();
        let checks: Vec<&str> = findings.iter().filter_map(|one| one["check"].as_str()).collect();
        assert!(checks.contains(&"input-incomplete"), "{page}: {checks:?}");
        for absent in ["no-trail", "leftover-group", "peer-gone"] {
            assert!(!checks.contains(&absent), "{page}: {checks:?}");
        }
        if ["network-interfaces", "instances", "security-groups"].contains(&page) {
            assert!(!checks.contains(&"unused-group"), "{page}: {checks:?}");
        }
        let no = findings.iter().filter(|one| one["reachable"]["now"] == "no");
        let no: Vec<&str> = no.filter_map(|one| one["reachable"]["path"].as_str()).collect();
        let is_of_attachment = |path: &&&str| path.contains("attached to nothing");
        assert!(no.iter().all(|path| is_of_attachment(&path) && page != "network-interfaces"), "{page}: {no:?}");
    }
}

#[test]
fn values_out_of_their_range_are_errors_that_name_the_file_and_the_line_and_nothing_falls_over() {
    let bytes = |value: Value| value.to_string().into_bytes();
    let acl = |entry: Value| bytes(json!({"NetworkAcls": [{"NetworkAclId": "acl-1", "Entries": [entry]}]}));
    for (name, content, said) in [
        ("deep.json", "[".repeat(200_000).into_bytes(), ""),
        ("deep-2.json", ("{\"SecurityGroups\":".to_owned() + &"[".repeat(200_000)).into_bytes(), ""),
        ("acl.json", acl(json!({"RuleNumber": 1, "Egress": false, "Protocol": "quic"})), "`quic` is not a protocol"),
        ("acl-2.json", acl(json!({"RuleNumber": 1, "Egress": false})), "no `Protocol`"),
        ("acl-3.json", acl(json!({"RuleNumber": 1, "Protocol": "-1", "CidrBlock": "10.0.0.0/8"})), "`Egress`"),
        (
            "route.json",
            bytes(json!({"RouteTables": [{"RouteTableId": "rtb-1", "Routes": [{"DestinationCidrBlock": "world"}]}]})),
            "`world` is not a CIDR block",
        ),
        ("table.json", bytes(json!({"RouteTables": [{"RouteTableId": "igw-1"}]})), "begins with `rtb-`"),
        ("subnet.json", bytes(json!({"Subnets": [{"SubnetId": null}]})), "begins with `subnet-`"),
        ("trail.json", bytes(json!({"trailList": [{"Name": "audit"}]})), "the trail has no `TrailARN`"),
        ("status.audit.json", bytes(json!({"IsLogging": "yes"})), "`IsLogging`"),
        ("gateway.json", bytes(json!({"InternetGateways": {"InternetGatewayId": "igw-1"}})), "expected a list"),
    ] {
        let folder = folder("hostile-values", &[(name.to_owned(), content)]);
        let (code, out, err) = run(&["audit", "--from", "tests/audit/saved", &format!("{folder}/{name}")]);
        assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1), "{name}: {err}");
        assert!(err.starts_with("error: ") && err.contains(name) && err.contains(said), "{name}: {err}");
        assert!(err.len() < 1_000, "{name}");
    }
}

#[test]
fn answers_of_another_account_than_the_caller_says_are_told() {
    let other = changed("hostile-account", |name, value| {
        if name.starts_with("caller-identity") {
            value["Account"] = json!("999900001111");
        }
    });
    let found = answer(&["--from", &other]);
    assert!(
        found["warnings"].to_string().contains("`999900001111`, and the clusters are of `111122223333`"),
        "{found}"
    );
    assert_eq!(found["locations"][0]["account"], "111122223333", "the cluster's own ARN counts");
}
