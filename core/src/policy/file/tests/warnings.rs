//! Which clauses hide others or surprise, as far as that is certain. Where keys meet: `tests/policy_warnings.rs`.

use super::{loaded, read};

/// A clause that speaks of other widths decides other rules, so it hides none of these.
#[test]
fn only_a_clause_of_every_width_hides_another() {
    for (first, second, shadowed) in [
        ("", "", true),
        ("", "at_most_ports: 16, ", true),
        ("at_most_ports: 16, ", "", false),
        ("at_most_ports: 16, ", "at_most_ports: 16, ", true),
        ("at_most_ports: 16, ", "at_most_ports: 17, ", false),
        ("more_than_ports: 16, ", "more_than_ports: 17, ", true),
        ("more_than_ports: 16, ", "more_than_ports: 15, ", false),
        ("more_than_ports: 16, ", "at_most_ports: 99, more_than_ports: 16, ", true),
    ] {
        let clause = |id, width| format!("{{id: {id}, {width}from: [vpc], verdict: report, reason: r}}");
        let text = format!("version: 1\nclauses: [{}, {}]\n", clause("a", first), clause("b", second));
        let is_shadowed = loaded(&text).warnings.iter().any(|warning| warning.code == "shadowed");
        assert_eq!(is_shadowed, shadowed, "{first} {second}");
    }
}

/// Two clauses, the second at most as wide as the first in the sense that is tried: is it shadowed?
#[test]
fn only_certain_shadows_are_reported() {
    for (first, second, expected) in [
        ("from: anywhere", "from: [private, sg-0123456789abcdef0, self]", true),
        ("from: internet", "from: wide-internet", true),
        ("from: wide-internet", "from: internet", false),
        ("from: private", "from: vpc", true),
        ("from: vpc", "from: private", false),
        ("from: private", "from: 10.0.0.0/8", true),
        ("from: private", "from: 10.0.0.0/7", false),
        ("from: 10.0.0.0/8", "from: 10.1.0.0/16", true),
        ("from: 10.1.0.0/16", "from: 10.0.0.0/8", false),
        ("from: [private, internet]", "from: 10.0.0.0/8", true),
        ("from: [0.0.0.0/0, \"::/0\"]", "from: [internet, private, vpc]", true),
        ("from: 0.0.0.0/0", "from: internet", false),
        ("from: [0.0.0.0/0, \"::/0\"]", "from: \"aws:s3\"", false),
        ("from: [self, same-cluster]", "from: \"role:node\"", true),
        ("from: same-cluster", "from: \"role:node\"", false),
        ("from: same-cluster", "from: sg-0123456789abcdef0", false),
        ("from: vpc, roles: [node, pod]", "from: vpc, roles: node", true),
        ("from: vpc, roles: node", "from: vpc, roles: [node, pod]", false),
        ("from: vpc, roles: [node, pod], only: true", "from: vpc, roles: node, only: true", true),
        ("from: vpc, roles: node, only: true", "from: vpc, roles: node", false),
        ("from: 10.0.0.0/8, roles: node", "from: 10.0.0.0/8, roles: [node, pod]", false),
        ("from: 10.0.0.0/8, protocol: tcp", "from: 10.0.0.0/8", false),
        ("from: vpc, protocol: tcp", "from: vpc, protocol: tcp, ports: 22", true),
        ("from: vpc, protocol: tcp, ports: 22", "from: vpc, protocol: tcp, ports: 22-23", false),
        ("direction: egress, to: anywhere", "from: vpc", false),
    ] {
        let entry = |id, keys| format!("  - {{id: {id}, verdict: allow, reason: r, {keys}}}\n");
        let text = format!("version: 1\nextends: none\nclauses:\n{}{}", entry("first", first), entry("second", second));
        let codes: Vec<_> = loaded(&text).warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(codes, if expected { vec!["shadowed"] } else { vec![] }, "{first} / {second}");
    }
}

#[test]
fn several_clauses_shadow_together() {
    for (first, second) in [
        ("from: vpc, protocol: tcp, ports: 0-99", "from: vpc, protocol: tcp, ports: 100-65535"),
        ("from: vpc, roles: node, protocol: tcp", "from: vpc, roles: pod"),
        ("from: vpc, protocol: tcp, ports: 0-99", "from: vpc, roles: [node, pod], protocol: tcp, ports: 100-65535"),
        ("from: 10.0.0.0/9", "from: 10.128.0.0/9"),
    ] {
        let third =
            if first.contains("10.") { "from: 10.0.0.0/8" } else { "from: vpc, roles: [node, pod], protocol: tcp" };
        let entry = |id, keys| format!("  - {{id: {id}, verdict: allow, reason: r, {keys}}}\n");
        let entries = [entry("first", first), entry("second", second), entry("third", third)].concat();
        let text = format!("version: 1\nextends: none\nclauses:\n{entries}");
        let codes: Vec<_> = loaded(&text).warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(codes, ["shadowed"], "{first} / {second}");
    }
}

/// A single entry under `standard`: what is said of it?
#[test]
fn only_certain_surprises_are_reported() {
    let expiry = "owner: o, expires: 2026-12-31";
    for (entry, expected) in [
        ("exceptions: [{from: same-cluster}]", "idle-exception"),
        ("exceptions: [{from: [self, \"role:node\"]}]", "idle-exception"),
        ("exceptions: [{from: \"aws:s3\", udp: 2379}]", "idle-exception"),
        // In a narrow rule the ports of etcd are reported.
        ("exceptions: [{from: \"aws:s3\", tcp: 2379}]", ""),
        ("exceptions: [{from: vpc, protocol: tcp, ports: 8080}]", "idle-exception"),
        ("exceptions: [{from: \"aws:cloudfront\", protocol: tcp, ports: 80}]", "idle-exception"),
        ("exceptions: [{from: \"aws:cloudfront\", protocol: tcp, ports: 8080}]", ""),
        ("exceptions: [{from: vpc, protocol: tcp, ports: 10000-11000}]", ""),
        ("exceptions: [{from: [vpc, internet], protocol: tcp, ports: 8080}]", ""),
        ("exceptions: [{from: other-group, protocol: tcp, ports: 8080}]", ""),
        // The id may be that of any group.
        ("exceptions: [{from: sg-0123456789abcdef0, protocol: tcp, ports: 8080}]", ""),
        // Public, unless the VPC has them.
        ("exceptions: [{from: 8.8.8.8/32, protocol: tcp, ports: 8080}]", ""),
        ("exceptions: [{from: 169.254.0.0/16, protocol: udp, ports: 30000}]", "idle-exception"),
        ("exceptions: [{from: 169.254.0.0/15, protocol: udp, ports: 30000}]", ""),
        ("clauses: [{verdict: allow, from: internet}]", "allows-critical"),
        ("clauses: [{verdict: allow, from: anywhere, roles: pod, protocol: tcp}]", "allows-critical"),
        ("clauses: [{verdict: allow, from: \"aws:cloudfront\"}]", "allows-critical"),
        ("clauses: [{verdict: allow, from: [private, \"2001:db8::/64\"]}]", "allows-critical"),
        ("clauses: [{verdict: allow, from: private}]", ""),
        ("clauses: [{verdict: allow, from: 10.0.0.0/8}]", ""),
        ("clauses: [{verdict: allow, from: pl-0123abcd}]", ""),
        (
            "clauses: [{verdict: allow, from: internet, protocol: tcp, ports: [443, 10250, 2379-2380]}]",
            "opens-to-world",
        ),
        ("clauses: [{verdict: allow, from: 203.0.113.0/24, protocol: tcp, ports: [10250, 2379]}]", ""),
        ("clauses: [{verdict: allow, from: internet, protocol: tcp, ports: [443, 8080]}]", ""),
        ("clauses: [{verdict: report, from: [0.0.0.0/0], protocol: tcp, ports: 22}]", "opens-to-world"),
        ("clauses: [{verdict: report, from: [8.0.0.0/16], protocol: udp, ports: 53}]", "opens-to-world"),
        ("clauses: [{verdict: report, from: [8.0.0.0/17], protocol: udp, ports: 53}]", ""),
        ("exceptions: [{from: anywhere, protocol: tcp, ports: 10250}]", "opens-to-world"),
        ("exceptions: [{from: \"2000::/3\", protocol: tcp, ports: 2380, cluster: \"*\"}]", "opens-to-world"),
        ("exceptions: [{from: anywhere, protocol: tcp, ports: 10250, cluster: staging}]", ""),
        ("exceptions: [{from: anywhere, protocol: tcp, ports: 10250, group: sg-0123456789abcdef0}]", ""),
        ("exceptions: [{from: 8.8.8.8/32, protocol: tcp, ports: 10250}]", ""),
        ("exceptions: [{from: internet, protocol: tcp, ports: 443}]", ""),
        ("clauses: [{verdict: revoke, severity: low, direction: egress, to: anywhere}]", "takes-requirement"),
        ("clauses: [{verdict: revoke, severity: low, direction: egress, to: 0.0.0.0/0}]", "takes-requirement"),
        ("clauses: [{verdict: revoke, severity: low, direction: egress, to: \"::/0\"}]", ""),
        ("clauses: [{verdict: revoke, severity: low, direction: egress, to: vpc}]", "takes-requirement"),
        (
            "clauses: [{verdict: revoke, severity: low, direction: egress, to: [internet], icmp: 8}]",
            "takes-requirement",
        ),
        ("clauses: [{verdict: revoke, severity: low, direction: egress, to: anywhere, roles: pod}]", ""),
        ("clauses: [{verdict: report, direction: egress, to: anywhere}]", ""),
        ("verdicts: {etcd-internet: report, ", "weakens-inherited"),
        ("verdicts: {etcd-internet: {verdict: revoke, in_passing: allow}, ", "weakens-inherited"),
        ("verdicts: {nodeport-internet: allow, ", "weakens-inherited"),
        ("verdicts: {remote-login-public: allow, ", "weakens-inherited"),
        ("verdicts: {api-internet: allow, ", ""),
        ("verdicts: {cluster-internals-wide: {verdict: revoke, severity: low}, ", ""),
        ("verdicts: {egress: {verdict: revoke, severity: low}, ", "takes-requirement"),
        ("clauses: [{verdict: allow, from: internet, roles: load-balancer, only: true}]", ""),
        ("clauses: [{verdict: report, from: internet}]", "opens-to-world"),
        // What decides only rules of some widths covers nothing for sure.
        ("clauses: [{verdict: allow, from: internet, at_most_ports: 16}]", "allows-critical"),
        ("exceptions: [{from: [other-group], protocol: tcp, ports: 30000}]", "idle-exception"),
        ("exceptions: [{from: [other-account-group], protocol: tcp, ports: 8080}]", ""),
        ("exceptions: [{from: [other-account-group], protocol: tcp, ports: 30000}]", "idle-exception"),
        ("clauses: [{verdict: allow, direction: egress, to: internet}]", ""),
        // SSH is critical only where it is wide.
        ("clauses: [{verdict: allow, from: 203.0.113.0/24, protocol: tcp, ports: 20-25}]", ""),
        ("clauses: [{verdict: allow, from: 203.0.0.0/16, protocol: tcp, ports: 20-25}]", "allows-critical"),
        ("clauses: [{verdict: revoke, severity: low, from: same-cluster, icmp: 8}]", "whole-rule"),
        ("clauses: [{verdict: revoke, severity: low, from: \"role:cluster\", icmp: 8}]", "whole-rule"),
        ("clauses: [{verdict: revoke, severity: low, from: [other-group, private], icmp: 8}]", ""),
    ] {
        let keys = match entry.split_once(':') {
            Some(("exceptions", _)) => format!("id: e, reason: r, {expiry}, "),
            Some(("clauses", _)) => "id: c, reason: r, ".to_owned(),
            _ => String::new(),
        };
        let entry = entry.strip_suffix(", ").map_or_else(|| entry.to_owned(), |open| format!("{open}}}"));
        let warnings = loaded(&format!("version: 1\n{}\n", entry.replacen('{', &format!("{{{keys}"), 1))).warnings;
        let codes: Vec<_> = warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(codes.join(" "), expected, "{entry}");
    }
}

#[test]
fn what_a_file_with_a_mistake_would_take_from_a_cluster_is_not_told() {
    let text =
        "version: 1\nclauses: [{id: c, verdict: revoke, severity: low, reason: r, direction: egress, to: anywhere}]\n";
    assert_eq!(loaded(text).warnings[0].code, "takes-requirement");
    let rejected = read(&format!("{text}otherwise: fine\n")).unwrap_err();
    let codes: Vec<_> = rejected.diagnostics.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["unknown-verdict"]);
}

/// What is said of idle exceptions in a file that extends nothing and has these keys.
fn idle(keys: &str) -> Vec<String> {
    let warnings = loaded(&format!("version: 1\nextends: none\nexceptions_need_date: false\n{keys}\n")).warnings;
    warnings.into_iter().filter(|warning| warning.code == "idle-exception").map(|warning| warning.message).collect()
}

#[test]
fn an_exception_is_idle_to_its_last_day_and_then_it_has_expired() {
    for (day, expected) in
        [("2026-06-16", "idle-exception"), ("2026-06-15", "idle-exception"), ("2026-06-14", "expired")]
    {
        let exception = format!("{{id: e, reason: r, owner: o, from: same-cluster, expires: {day}}}");
        let warnings = loaded(&format!("version: 1\nexceptions: [{exception}]\n")).warnings;
        assert_eq!(warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), [expected], "{day}");
    }
}

#[test]
fn an_exception_is_idle_beside_one_that_holds_wherever_it_does() {
    let is_idle = |first: &str, second: &str| {
        let entry = |id, limits| format!("{{id: {id}, reason: r, owner: o, from: vpc, tcp: 1{limits}}}");
        let exceptions = [entry("first", first), entry("second", second)].join(", ");
        !idle(&format!("otherwise: report\nexceptions: [{exceptions}]")).is_empty()
    };
    assert!(is_idle("", ""));
    for (one, other) in [
        ("group: sg-0123456789abcdef0", "group: sg-0123456789abcdef1"),
        ("cluster: prod", "cluster: dev"),
        ("account: 111122223333", "account: 444455556666"),
        ("region: us-east-1", "region: eu-west-1"),
        ("expires: 2026-12-30", "expires: 2026-12-31"),
    ] {
        let [one, other] = [one, other].map(|limit| format!(", {limit}"));
        let found = [is_idle("", &one), is_idle(&one, &one), is_idle(&one, ""), is_idle(&one, &other)];
        assert_eq!(found, [true, true, false, false], "{one}");
    }
    assert!(is_idle(", expires: 2026-12-31", ", expires: 2026-12-30"));
}

#[test]
fn what_allows_an_idle_exception_is_named() {
    for (clauses, expected) in [
        (0, "`otherwise`"),
        (1, "`c1`"),
        (2, "`c1` and `c2`"),
        (3, "`c1`, `c2` and `c3`"),
        (4, "`c1`, `c2`, `c3` and others"),
    ] {
        let clause = |port| format!("{{id: c{port}, from: vpc, tcp: {port}, verdict: allow, reason: r}}");
        let clauses = (1..=clauses).map(clause).collect::<Vec<_>>().join(", ");
        let clauses = if clauses.is_empty() { clauses } else { format!("clauses: [{clauses}]\n") };
        let found = idle(&format!("{clauses}exceptions: [{{id: e, reason: r, owner: o, from: vpc, tcp: 1-9}}]"));
        assert_eq!(found[0].rsplit_once("by ").unwrap().1, expected);
    }
}

#[test]
fn a_clause_that_another_leaves_nothing_to_keeps_no_exception_from_being_idle() {
    for (roles, is_idle) in [("pod", true), ("[node, pod]", false)] {
        let [a, b] = [("a", "allow", "pod"), ("b", "report", roles)].map(|(id, verdict, roles)| {
            format!("{{id: {id}, roles: {roles}, from: vpc, tcp: 1-2, verdict: {verdict}, reason: r}}")
        });
        let exception = "{id: e, reason: r, owner: o, from: vpc, tcp: 1-2}";
        let found = idle(&format!("clauses: [{a}, {b}]\nexceptions: [{exception}]"));
        assert_eq!(!found.is_empty(), is_idle, "{roles}");
    }
}

/// `otherwise` allows: an exception changes something only where a clause may report the same peer.
#[test]
fn peers_that_may_be_the_same_are_not_taken_for_different_ones() {
    for (exception, clause, may_meet) in [
        ("10.1.0.0/16", "10.0.0.0/8", true),
        ("10.1.0.0/16", "10.2.0.0/16", false),
        ("10.1.0.0/16", "pl-0123abcd", true),
        ("10.1.0.0/16", "sg-0123456789abcdef0", false),
        ("\"aws:s3\"", "pl-0123abcd", true),
        ("\"aws:s3\"", "\"aws:s3\"", true),
        ("\"aws:s3\"", "\"aws:dynamodb\"", false),
        ("\"aws:s3\"", "10.0.0.0/8", false),
        ("sg-0123456789abcdef0", "sg-0123456789abcdef0", true),
        ("sg-0123456789abcdef0", "sg-0123456789abcdef1", false),
        ("sg-0123456789abcdef0", "pl-0123abcd", false),
        ("self", "sg-0123456789abcdef0", true),
    ] {
        let found = idle(&format!(
            "clauses: [{{id: c, reason: r, from: {clause}, verdict: report}}]\n\
             exceptions: [{{id: e, reason: r, owner: o, from: {exception}}}]"
        ));
        assert_eq!(found.is_empty(), may_meet, "{exception} / {clause}");
    }
}

/// Files of so many ports are made by programs.
#[test]
fn what_a_file_of_thousands_of_ports_would_take_from_a_cluster_is_not_told() {
    for (ports, code) in [(100, "takes-requirement"), (5_001, "")] {
        let ports: Vec<_> = (0..ports).map(|at| (2 * at + 1).to_string()).collect();
        let revoke = "{id: c, verdict: revoke, severity: low, reason: r, direction: egress, to: anywhere}";
        let many = format!("{{id: d, verdict: report, reason: r, from: vpc, tcp: [{}]}}", ports.join(", "));
        let warnings = loaded(&format!("version: 1\nclauses: [{revoke}, {many}]\n")).warnings;
        let codes: Vec<_> = warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(codes.join(" "), code, "{} ports", ports.len());
    }
}
