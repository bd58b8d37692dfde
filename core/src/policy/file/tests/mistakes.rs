//! What mistakes are called, and what is said to mend them, where one thing looks like another and at the bounds.

use super::read;

/// The codes of all problems, and what helps with the first.
fn mistakes(keys: &str) -> (String, String) {
    let problems = match read(&format!("version: 1\n{keys}\n")) {
        Ok(loaded) => loaded.warnings,
        Err(rejected) => rejected.diagnostics,
    };
    let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    (codes.join(" "), problems.first().and_then(|problem| problem.help.clone()).unwrap_or_default())
}

#[test]
fn ids_and_addresses_that_are_no_peer_are_told_apart() {
    let id = "0123456789abcdef0";
    for (peer, code, help) in [
        (&format!("vpc-{id}"), "bad-resource-id", "write `vpc`, which is its ranges"),
        (&format!("eni-{id}"), "bad-resource-id", "name a group that is attached to it, or its address"),
        (&format!("i-{id}"), "bad-resource-id", "name a group that is attached to it, or its address"),
        (&format!("sgr-{id}"), "bad-resource-id", "name the group that has it"),
        (&format!("111122223333/sg-{id}"), "bad-resource-id", &format!("write `sg-{id}`")),
        (
            &format!("arn:aws:ec2:us-east-1:111122223333:security-group/sg-{id}"),
            "bad-resource-id",
            &format!("write `sg-{id}`"),
        ),
        (
            &format!("arn:aws:ec2:us-east-1:111122223333:prefix-list/pl-{id}"),
            "bad-resource-id",
            &format!("write `pl-{id}`"),
        ),
        (&"111122223333/24".to_owned(), "bad-cidr", "write it as `203.0.113.0/24` or `2001:db8::/48`"),
        (&"fe80::1".to_owned(), "bad-cidr", "write `fe80::1/128` for the one address"),
    ] {
        let found = mistakes(&format!("clauses: [{{id: c, from: [\"{peer}\"], verdict: report, reason: r}}]"));
        assert!(found.0 == code && found.1.ends_with(help), "{peer}: {found:?}");
    }
}

#[test]
fn a_clause_with_a_network_that_is_not_known_hides_nothing_and_is_not_hidden() {
    for peers in ["[vpc, office]", "[office, vpc]"] {
        let clause = |id, peers| format!("{{id: {id}, from: {peers}, verdict: report, reason: r}}");
        let clauses = [clause("a", "vpc"), clause("b", peers), clause("c", "self")].join(", ");
        assert_eq!(mistakes(&format!("clauses: [{clauses}]")).0, "unknown-network", "{peers}");
    }
}

#[test]
fn a_policy_has_a_most_blocks_with_its_networks_written_out() {
    let blocks: Vec<_> = (0..1000).map(|at| format!("10.{}.{}.0/24", at / 250, at % 250)).collect();
    for (times, code) in [(99, ""), (100, ""), (101, "too-large")] {
        let peers = vec!["office"; times].join(", ");
        let clause = format!("{{id: c, from: [{peers}], verdict: report, reason: r}}");
        let found = mistakes(&format!("networks: {{office: [{}]}}\nclauses: [{clause}]", blocks.join(", ")));
        assert_eq!(found.0, code, "{times} times");
    }
}

#[test]
fn a_pattern_is_as_long_as_a_name_at_most_and_a_day_is_written_in_one_way() {
    for (len, code) in [(100, ""), (101, "bad-glob"), (150, "bad-glob")] {
        let clause = format!("{{id: c, cluster: {}, from: vpc, verdict: report, reason: r}}", "a".repeat(len));
        assert_eq!(mistakes(&format!("clauses: [{clause}]")).0, code, "{len}");
    }
    for (day, code) in [("2026-12-31", ""), ("20261231", "bad-date"), ("2026-12-31T00:00:00", "bad-date")] {
        let exception = format!("{{id: e, reason: r, owner: o, from: vpc, expires: \"{day}\"}}");
        assert_eq!(mistakes(&format!("exceptions: [{exception}]")).0, code, "{day}");
    }
}

/// Even where an entry elsewhere has the other one.
#[test]
fn a_key_in_the_singular_or_plural_is_that_key() {
    for (keys, meant) in [
        ("group: []", "groups"),
        ("clause: []", "clauses"),
        ("clauses: [{id: c, clusters: prod, from: vpc, verdict: report, reason: r}]", "cluster"),
    ] {
        let found = mistakes(keys);
        assert_eq!(found.1, format!("did you mean `{meant}`?"), "{keys}: {}", found.0);
    }
}
