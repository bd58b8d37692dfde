//! What the reader says where keys of the policy language meet: one short file each, and the warnings it gets.

use eks_sg_guard::policy::file;
use jiff::civil::date;

/// `code about`, of a policy that can be used; `error code` of each problem of one that cannot.
fn problems(text: &str) -> Vec<String> {
    match file::load("test.yaml", &format!("version: 1\n{text}"), date(2026, 6, 15)) {
        Ok(loaded) => {
            let warning = |found: &file::Loaded| {
                let all = found.warnings.iter();
                all.map(|one| format!("{} {}", one.code, one.about.as_deref().unwrap_or("-"))).collect()
            };
            warning(&loaded)
        }
        Err(rejected) => rejected.diagnostics.iter().map(|one| format!("error {}", one.code)).collect(),
    }
}

fn check(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        assert_eq!(problems(text), *expected, "{text}");
    }
}

/// A file of one clause.
fn clause(keys: &str) -> Vec<String> {
    problems(&format!("clauses:\n  - {{id: own, reason: r, {keys}}}\n"))
}

const PROD_IS_STRICT: &str = "clusters: [{name: prod, extends: strict}]\n";
const REVOKED_EGRESS: &str = "verdicts: {egress: {verdict: revoke, severity: high}}\n";

#[test]
fn what_takes_a_requirement_in_some_cluster_is_found_whatever_others_say() {
    let both = [PROD_IS_STRICT, REVOKED_EGRESS].concat();
    check(&[(REVOKED_EGRESS, &["takes-requirement egress"]), (&both, &["takes-requirement egress"])]);
    let revoke = "direction: egress, to: [internet], verdict: revoke, severity: high, reason: r";
    let allow = "direction: egress, to: [anywhere], verdict: allow, reason: r";
    for (first, second) in [("dev-*", "prod-*"), ("prod-*", "dev-*"), ("prod?", "dev")] {
        let open = format!("  - {{id: out, cluster: \"{first}\", {allow}}}\n");
        let close = |id: &str| format!("  - {{id: {id}, cluster: \"{second}\", {revoke}}}\n");
        for clauses in [[&open, &close("out")], [&open, &close("other")], [&close("out"), &open]] {
            let found = problems(&format!("clauses:\n{}{}", clauses[0], clauses[1]));
            assert!(found.len() == 1 && found[0].starts_with("takes-requirement"), "{found:?} {clauses:?}");
        }
    }
    // Of two that share an id each is warned of.
    let both =
        format!("clauses:\n  - {{id: out, cluster: dev, {revoke}}}\n  - {{id: out, except_cluster: dev, {revoke}}}\n");
    check(&[(&both, &["takes-requirement out", "takes-requirement out"])]);
}

#[test]
fn what_opens_to_the_world_is_found_whatever_stands_before_it() {
    let kubelet = "protocol: tcp, ports: 10250, from: [internet], reason: r";
    let open = format!("  - {{id: open, {kubelet}, verdict: report}}\n");
    let before = |keys: &str| format!("clauses:\n  - {{id: first, {kubelet}, {keys}}}\n{open}");
    let revoke = "verdict: revoke, severity: high";
    check(&[
        (&before(revoke), &["shadowed open"]),
        (&before(&format!("{revoke}, at_most_ports: 1")), &["opens-to-world open"]),
        (&before(&format!("{revoke}, more_than_ports: 16")), &["opens-to-world open"]),
        (&before(&format!("{revoke}, cluster: prod")), &["opens-to-world open"]),
        (&before(&format!("{revoke}, except_cluster: dev")), &["opens-to-world open"]),
    ]);
    for (keys, expected) in [
        (revoke.to_owned(), &[][..]),
        (format!("{revoke}, in_passing: allow"), &["opens-to-world own"]),
        (format!("{revoke}, in_passing: report"), &["opens-to-world own"]),
        (format!("{revoke}, for_controller: report"), &["opens-to-world own"]),
        ("verdict: report".to_owned(), &["opens-to-world own"]),
        ("verdict: report, cluster: \"?*\"".to_owned(), &["opens-to-world own"]),
        ("verdict: report, cluster: \"*\"".to_owned(), &["opens-to-world own"]),
        ("verdict: report, cluster: \"prod-*\"".to_owned(), &[]),
        ("verdict: report, except_cluster: dev".to_owned(), &["opens-to-world own"]),
        ("verdict: report, except_cluster: \"*\"".to_owned(), &["no-effect -"]),
    ] {
        assert_eq!(clause(&format!("protocol: tcp, ports: 10250, from: [internet], {keys}")), expected, "{keys}");
    }
    // What the inherited policy says in passing is no milder than that.
    let overlay = "udp: 8472, from: [internet], verdict: revoke, severity: high";
    assert_eq!(clause(&format!("{overlay}, in_passing: report")), [""; 0]);
    assert_eq!(clause(&format!("{overlay}, in_passing: allow")), ["opens-to-world own"]);
    // A guard that some clusters have.
    let some = "extends: none\nclusters: [{name: \"prod-*\", extends: strict}]\n";
    check(&[
        (&format!("{some}clauses:\n{open}"), &["opens-to-world open"]),
        (&format!("extends: none\nclauses:\n{open}"), &[]),
    ]);
}

#[test]
fn a_guard_is_weakened_by_each_of_its_verdicts() {
    let change = |change: &str| problems(&format!("verdicts: {{kubelet-internet: {change}}}\n"));
    assert_eq!(change("revoke"), [""; 0]);
    for milder in ["in_passing: report", "for_controller: allow", "for_controller: report"] {
        assert_eq!(
            change(&format!("{{verdict: revoke, {milder}}}")),
            ["weakens-inherited kubelet-internet"],
            "{milder}"
        );
    }
    let same = "verdicts: {remote-login-wide: {verdict: revoke, for_controller: report}}\n";
    let milder = "verdicts: {remote-login-wide: {verdict: revoke, for_controller: allow}}\n";
    check(&[(same, &[]), (milder, &["weakens-inherited remote-login-wide"])]);
}

#[test]
fn a_clause_about_narrow_rules_revokes_no_rule_of_everything() {
    let ssh = "roles: node, protocol: tcp, ports: 22, from: self, verdict: revoke, severity: high";
    assert_eq!(clause(ssh), ["whole-rule own"]);
    assert_eq!(clause(&format!("{ssh}, more_than_ports: 16")), ["whole-rule own"]);
    assert_eq!(clause(&format!("{ssh}, at_most_ports: 16")), [""; 0]);
}

#[test]
fn keys_that_do_nothing_beside_others_are_warned_of() {
    let revoke = "from: [private], verdict: revoke, severity: high";
    for (keys, does_nothing) in [
        ("in_passing: report, at_most_ports: 256", true),
        ("in_passing: report, at_most_ports: 257", false),
        ("in_passing: report, more_than_ports: 32766", false),
        ("in_passing: report, more_than_ports: 32767", true),
        ("severity_of_broad: low, at_most_ports: 256", true),
        ("severity_of_broad: low, at_most_ports: 257", false),
        ("severity_of_ranges: low, at_most_ports: 1", true),
        ("severity_of_ranges: low, at_most_ports: 2", false),
        ("severity_of_ranges: low, severity_of_broad: low, more_than_ports: 256", true),
        ("for_controller: report, more_than_ports: 1", true),
        ("severity_for_controller: low, more_than_ports: 1", true),
        ("severity_for_controller: low, at_most_ports: 1", false),
        ("except_cluster: \"*\"", true),
        ("except_cluster: \"?*\"", true),
        ("except_cluster: \"prod-*\"", false),
        ("cluster: \"prod-*\", except_cluster: prod-1", false),
        ("cluster: \"prod-*\", except_cluster: \"prod-*\"", true),
        ("cluster: \"prod-*\", except_cluster: \"p*\"", true),
        ("cluster: \"prod-*\", except_cluster: \"prod-?\"", false),
        ("cluster: prod-1, except_cluster: \"prod-?\"", true),
        ("cluster: \"prod-*\", except_cluster: \"dev-*\"", true),
        ("cluster: prod, except_cluster: dev", true),
        ("cluster: \"prod-*\", except_cluster: [prod-1, \"dev-*\"]", true),
    ] {
        let found = clause(&format!("{revoke}, {keys}"));
        assert_eq!(found.iter().any(|one| one == "no-effect -"), does_nothing, "{keys}: {found:?}");
    }
}

#[test]
fn a_verdict_that_counts_in_no_cluster_is_warned_of() {
    let of_list = "verdicts: {other-private: allow}\nclusters:";
    for (clusters, shadowed) in [
        ("[{name: \"*\", extends: strict}]", true),
        ("[{name: \"?*\", extends: standard}]", true),
        ("[{name: \"prod-*\", extends: strict}, {name: \"*\", extends: standard}]", true),
        ("[{name: \"prod-*\", extends: strict}]", false),
        ("[{name: \"dev-*\"}, {name: \"*\", extends: strict}]", false),
    ] {
        let expected: &[&str] = if shadowed { &["shadowed other-private"] } else { &[] };
        assert_eq!(problems(&format!("{of_list} {clusters}\n")), expected, "{clusters}");
    }
    // That clause is not in what the entry gives them.
    check(&[("extends: strict\nverdicts: {etcd-private: allow}\nclusters: [{name: \"*\", extends: standard}]\n", &[])]);
}
