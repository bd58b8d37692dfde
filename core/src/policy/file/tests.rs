//! What policy files mean, and of what a file that loads is warned (`warnings`). Their mistakes: `mistakes` and, as they
//! are shown, `tests/policy_errors.rs`.

mod mistakes;
mod warnings;

use jiff::civil::date;

use super::*;
use crate::model::group::{AwsList, Role};
use crate::policy::builtin;
use crate::policy::model::{Clause, Severity};

use crate::model::rule::Direction;

fn read(text: &str) -> Result<Loaded, Rejected> {
    load("folder/test.yaml", text, date(2026, 6, 15))
}

pub(in crate::policy) fn loaded(text: &str) -> Loaded {
    read(text).unwrap_or_else(|rejected| panic!("{rejected}"))
}

fn find<'a>(policy: &'a Policy, id: &str) -> &'a Clause {
    policy.clauses.iter().find(|clause| clause.id == id).unwrap()
}

fn nets(texts: &[&str]) -> PeerTerm {
    PeerTerm::Addresses(texts.iter().map(|text| text.parse::<ipnet::IpNet>().unwrap()).collect())
}

/// A file of one clause with these keys.
pub(super) fn clause(keys: &str) -> Clause {
    let text = format!("version: 1\nextends: none\nclauses:\n  - {{id: c, verdict: allow, reason: r, {keys}}}\n");
    loaded(&text).policy.clauses.remove(0)
}

/// `tcp 22,80-90; udp 53`.
fn traffic(clause: &Clause) -> String {
    clause
        .traffic
        .by_protocol()
        .iter()
        .map(|(protocol, ports)| format!("{protocol} {ports}"))
        .collect::<Vec<_>>()
        .join("; ")
}

#[test]
fn a_file_of_one_line_is_standard() {
    let policy = loaded("version: 1\n").policy;
    let standard = builtin::policy("standard").unwrap();
    assert_eq!(format!("{:?}", policy.clauses), format!("{:?}", standard.clauses));
    assert_eq!((policy.name.as_str(), policy.otherwise), ("test.yaml", Verdict::Report));
    assert_eq!(loaded("version: 1\nextends: none\n").policy.otherwise, Verdict::Allow);
}

#[test]
fn the_hash_tells_texts_apart_and_names_a_file_as_sha256sum_does() {
    let none = builtin::policy("none").unwrap();
    assert_eq!(none.hash, hash(builtin::text("none").unwrap(), ""));
    assert_eq!(hash("", ""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let hashes = ["version: 1\n", "version: 1", "version: 1\nextends: strict\n"].map(|text| loaded(text).policy.hash);
    assert!(hashes.iter().all(|hash| hash.len() == 64 && *hash != none.hash));
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
}

#[test]
fn a_file_has_a_largest_size_and_what_is_larger_is_not_kept() {
    let sized = |start: &str, bytes: usize| format!("{start}\n{}", "#".repeat(bytes - start.len() - 1));
    let rejected = |text: &str| read(text).unwrap_err();
    assert_eq!(loaded(&sized("version: 1", tree::MAX_BYTES)).warnings, []);
    let rejected_tests = |text: &str| cases::load("test.yaml", text).unwrap_err();
    for (start, bytes, code, kept) in [
        ("version: 2", 100, "unknown-version", 100),
        ("version: 2", tree::MAX_BYTES, "unknown-version", tree::MAX_BYTES),
        ("version: 1", tree::MAX_BYTES + 1, "too-large", 0),
        ("version: 1", 2 * tree::MAX_BYTES, "too-large", 0),
    ] {
        let text = sized(start, bytes);
        for rejected in [rejected(&text), rejected_tests(&text)] {
            assert_eq!((rejected.diagnostics[0].code, rejected.text.len()), (code, kept), "{start}, {bytes} bytes");
        }
    }
}

#[test]
fn exceptions_come_first_then_own_clauses_then_inherited_ones() {
    let text = "
        version: 1
        clauses: [{id: own, from: [vpc], verdict: report, reason: r}]
        exceptions:
          - id: pentest
            reason: >
              penetration test,
              ticket SEC-123
            owner: secops@example.com
            expires: 2026-12-31
            group: sg-0123456789abcdef0
            cluster: stag*
            account: 012345678901
            region: us-gov-west-1
            protocol: tcp
            ports: [10250]
            from: 198.51.100.7/32";
    let policy = loaded(text).policy;
    let ids: Vec<_> = policy.clauses.iter().take(3).map(|clause| (clause.id.as_str(), clause.origin)).collect();
    let (exception, own) = (("pentest", Origin::Exception), ("own", Origin::User));
    assert_eq!(ids, [exception, own, ("load-balancer-sensitive", Origin::BuiltIn)]);
    let pentest = find(&policy, "pentest");
    assert_eq!((pentest.verdict, pentest.roles.len()), (Verdict::Allow, 6));
    assert_eq!(pentest.reason, "penetration test, ticket SEC-123");
    assert_eq!(pentest.limits.expires, Some(date(2026, 12, 31)));
    assert_eq!(pentest.limits.account.as_deref(), Some("012345678901"));
    assert_eq!(find(&policy, "own").severity, Some(Severity::Medium));
}

#[test]
fn traffic_is_the_union_of_what_is_written() {
    for (keys, expected) in [
        ("from: vpc", "-1 all"),
        ("from: vpc, protocol: all", "-1 all"),
        ("from: vpc, protocol: tcp", "tcp all"),
        ("from: vpc, protocol: tcp, ports: all", "tcp all"),
        ("from: vpc, protocol: 6, ports: 22", "tcp 22"),
        ("from: vpc, protocol: [tcp, 17], ports: [22, 80-90, \"443\"]", "tcp 22,80-90,443; udp 22,80-90,443"),
        ("from: vpc, protocol: [tcp, icmp]", "icmp all; tcp all"),
        ("from: vpc, icmp: [3/4, 8]", "icmp 3/4,8"),
        ("from: vpc, icmp: 3/all, icmpv6: all", "icmp 3; icmpv6 all"),
        ("from: vpc, icmpv6: 133-136", "icmpv6 133/0-136/255"),
        ("from: vpc, whole_protocols: [50, udp]", "udp all; 50 all"),
        ("from: vpc, protocol: tcp, ports: 22, icmp: 8, whole_protocols: 47", "icmp 8; tcp 22; 47 all"),
    ] {
        assert_eq!(traffic(&clause(keys)), expected, "{keys}");
    }
}

#[test]
fn words_of_from_and_to() {
    let peers = |keys: &str| clause(keys).peers;
    assert_eq!(
        peers("from: [private, internet, wide-internet, vpc]"),
        [PeerTerm::Private, PeerTerm::Internet, PeerTerm::WideInternet, PeerTerm::Vpc]
    );
    assert_eq!(
        peers("from: [self, same-cluster, other-group, anywhere]"),
        [PeerTerm::Itself, PeerTerm::SameCluster, PeerTerm::OtherGroup, PeerTerm::Anywhere]
    );
    let (list, group) =
        (PeerTerm::PrefixList("pl-0123abcd".to_owned()), PeerTerm::Group("sg-0123456789abcdef0".to_owned()));
    assert_eq!(
        peers("from: [\"role:load-balancer\", \"aws:s3\", pl-0123abcd, sg-0123456789abcdef0]"),
        [PeerTerm::Role(Role::LoadBalancer), PeerTerm::Aws(AwsList::S3), list, group]
    );
    assert_eq!(
        peers("from: [10.0.0.0/8, private, 2001:db8::/32, private]"),
        [nets(&["10.0.0.0/8", "2001:db8::/32"]), PeerTerm::Private]
    );
    let out = clause("direction: egress, to: [internet]");
    assert_eq!((out.direction, out.peers), (Direction::Egress, vec![PeerTerm::Internet]));
}

#[test]
fn networks_hold_networks_and_clients_reach_inherited_clauses() {
    let networks = "version: 1\nnetworks: {clients: [private, campus], campus: [office, 198.51.100.0/24], \
                    office: [203.0.113.0/24]}\n";
    let policy = loaded(networks).policy;
    let clients = [nets(&["198.51.100.0/24", "203.0.113.0/24"]), PeerTerm::Private];
    assert_eq!(policy.clients, clients);
    let clients_and_groups = [&clients[..], &[PeerTerm::OtherGroup]].concat();
    assert_eq!(find(&policy, "nodeport-clients").peers, clients_and_groups);
    let strict = loaded(&format!(
        "{networks}extends: strict\nclauses: [{{id: web, from: clients, verdict: allow, reason: r}}]\n"
    ))
    .policy;
    assert_eq!(find(&strict, "nodeport-clients").peers, clients_and_groups);
    assert_eq!(find(&strict, "web").peers, clients);
    let usual =
        loaded("version: 1\nclauses: [{id: web, from: [clients, 203.0.113.0/24], verdict: allow, reason: r}]\n").policy;
    assert_eq!(find(&usual, "web").peers, [nets(&["203.0.113.0/24"]), PeerTerm::Private]);
}

#[test]
fn ports_may_be_written_by_protocol() {
    let of = |keys: &str| traffic(&clause(&format!("from: vpc, {keys}")));
    assert_eq!(of("tcp: [22, 80-90], udp: 53"), "tcp 22,80-90; udp 53");
    assert_eq!(of("protocol: tcp, ports: 22, udp: [53], icmp: 8/0"), "icmp 8/0; tcp 22; udp 53");
    assert_eq!(of("udp: all"), "udp all");
    assert_eq!(of("protocol: tcp, ports: 22, tcp: 23"), "tcp 22-23");
}

#[test]
fn an_entry_of_clusters_adds_a_policy_before_what_is_inherited() {
    let policy = loaded(
        "version: 1\nclusters: [{name: prod-test, mode: report}, {name: dev-1}, {name: \"prod-*\", extends: strict}]\n\
         clauses: [{id: own-one, from: vpc, protocol: tcp, ports: 1, verdict: allow, reason: r}]\n\
         verdicts: {other-internet: allow}\n",
    )
    .policy;
    let strict = builtin::policy("strict").unwrap().clauses.len();
    let [own, there, everywhere] = [&policy.clauses[..1], &policy.clauses[1..=strict], &policy.clauses[1 + strict..]];
    assert_eq!(own[0].id, "own-one");
    for clause in there {
        let limits = (clause.limits.cluster.as_deref(), clause.limits.not_clusters.join(" "));
        assert_eq!(limits, (Some("prod-*"), "prod-test".to_owned()), "{}", clause.id);
    }
    assert_eq!(everywhere.len(), builtin::policy("standard").unwrap().clauses.len());
    assert!(everywhere.iter().all(|clause| clause.limits == crate::policy::model::Limits::default()));
    let of = |cluster: &str| {
        let here = policy.in_cluster(cluster);
        (find(&here, "other-internet").verdict, here.clusters.first().map(|setting| setting.name.clone()))
    };
    assert_eq!(of("prod-1"), (Verdict::Revoke, Some("prod-*".to_owned())));
    assert_eq!(of("prod-test"), (Verdict::Allow, Some("prod-test".to_owned())));
    assert_eq!(of("staging"), (Verdict::Allow, None));
    let hash = |text: &str| loaded(text).policy.hash;
    assert_ne!(
        hash("version: 1\nclusters: [{name: a, extends: strict}]\n"),
        hash("version: 1\nclusters: [{name: a}]\n")
    );
}

#[test]
fn clauses_of_different_clusters_may_share_an_id() {
    let codes = |clauses: &str| {
        let text = format!("version: 1\nclauses: [{clauses}]\n");
        match read(&text) {
            Ok(loaded) => loaded.warnings,
            Err(rejected) => rejected.diagnostics,
        }
        .iter()
        .map(|problem| problem.code)
        .collect::<Vec<_>>()
        .join(" ")
    };
    let clause = |id: &str, clusters: &str| format!("{{id: {id}, {clusters}, from: vpc, verdict: report, reason: r}}");
    let [prod, dev, but_prod] = ["cluster: \"prod-*\"", "cluster: \"dev-*\"", "except_cluster: [\"prod-*\"]"];
    for (first, second, expected) in [
        (clause("a", prod), clause("a", dev), ""),
        (clause("a", prod), clause("a", but_prod), ""),
        (clause("a", but_prod), clause("a", "only: false"), ""),
        (clause("other-private", prod), clause("a", dev), ""),
        (clause("a", prod), clause("a", prod), "duplicate-id"),
        (clause("a", but_prod), clause("a", but_prod), "duplicate-id"),
        (clause("other-private", "only: true"), clause("a", dev), "duplicate-id"),
        // What counts in one cluster alone hides nothing that counts elsewhere.
        (clause("a", prod), clause("b", prod), "shadowed"),
        (clause("a", prod), clause("b", "only: false"), ""),
        (clause("a", "only: false"), clause("b", prod), "shadowed"),
        (clause("a", "cluster: prod!"), clause("b", "except_cluster: []"), "bad-glob empty"),
    ] {
        assert_eq!(codes(&format!("{first}, {second}")), expected, "{first}, {second}");
    }
}

#[test]
fn inherited_verdicts_can_be_changed() {
    let verdicts =
        "{cluster-internals-wide: report, other-private: revoke, nodeport-internet: allow, foreign-group: revoke}";
    let policy = loaded(&format!("version: 1\nverdicts: {verdicts}\n")).policy;
    let of = |id| (find(&policy, id).verdict, find(&policy, id).severity);
    assert_eq!(of("cluster-internals-wide"), (Verdict::Report, Some(Severity::High)));
    assert_eq!(find(&policy, "cluster-internals-wide").for_controller, None);
    assert_eq!(of("other-private"), (Verdict::Revoke, Some(Severity::Medium)));
    assert_eq!(of("foreign-group"), (Verdict::Revoke, Some(Severity::Low)));
    assert_eq!(of("nodeport-internet"), (Verdict::Allow, None));
    assert_eq!(find(&policy, "nodeport-internet").severity_of_ranges, None);

    let verdicts = "{cluster-internals-wide: {verdict: revoke, in_passing: allow}, other-internet: {verdict: revoke, \
                    for_controller: report}, kubelet-private: {verdict: report, severity: high}, remote-login-wide: \
                    {verdict: revoke, for_controller: revoke}}";
    let policy = loaded(&format!("version: 1\nverdicts: {verdicts}\n")).policy;
    let milder = |id| (find(&policy, id).in_passing, find(&policy, id).for_controller);
    assert_eq!(milder("cluster-internals-wide"), (Some(Verdict::Allow), Some(Verdict::Report)));
    assert_eq!(milder("other-internet"), (None, Some(Verdict::Report)));
    assert_eq!(milder("remote-login-wide"), (None, None), "not milder, so it is none");
    assert_eq!(find(&policy, "other-internet").severity_for_controller, Some(Severity::Medium));
    assert_eq!(find(&policy, "kubelet-private").severity_of_broad, None, "the severity that is given is that of all");

    let verdicts = "{nodeport-internet: {verdict: report, severity: low}, other-private: {verdict: revoke, severity: high}, \
                    kubelet-internet: {verdict: report}, api-internet: {verdict: allow}}";
    let policy = loaded(&format!("version: 1\nverdicts: {verdicts}\n")).policy;
    let of = |id| (find(&policy, id).verdict, find(&policy, id).severity);
    assert_eq!(of("nodeport-internet"), (Verdict::Report, Some(Severity::Low)));
    assert_eq!(find(&policy, "nodeport-internet").severity_of_ranges, None);
    assert_eq!(of("other-private"), (Verdict::Revoke, Some(Severity::High)));
    assert_eq!(of("kubelet-internet"), (Verdict::Report, Some(Severity::Critical)));
    assert!(!find(&policy, "kubelet-internet").beside_load_balancer);
    assert_eq!(of("api-internet"), (Verdict::Allow, None));
}

#[test]
fn an_exception_holds_to_the_end_of_its_last_day() {
    let text =
        |day: &str| format!("version: 1\nexceptions: [{{id: e, reason: r, owner: o, from: vpc, expires: {day}}}]\n");
    assert_eq!(loaded(&text("2026-06-15")).warnings, []);
    assert_eq!(loaded(&text("2026-06-14")).warnings[0].code, "expired");
    assert_eq!(loaded(&text("2028-06-15")).warnings, []);
    assert_eq!(loaded(&text("2028-06-16")).warnings[0].code, "far-expiry");
    let need_not = format!("{}exceptions_need_date: false\nextends: strict\n", text("~").replace(", expires: ~", ""));
    assert_eq!(loaded(&need_not).warnings[0].code, "no-expiry");
}

#[test]
fn a_warning_is_accepted_for_what_it_is_about() {
    let networks = "version: 1\nnetworks: {a: [192.0.2.0/24], b: [203.0.113.0/24]}\n";
    for (meant, other) in [("a", "b"), ("b", "a")] {
        let text = format!("{networks}accepted: [{{warning: unused-network, about: {meant}, reason: later}}]\n");
        let Loaded { warnings, accepted, .. } = loaded(&text);
        assert_eq!(warnings.iter().map(|warning| warning.about.as_deref()).collect::<Vec<_>>(), [Some(other)]);
        let accepted = accepted.iter().map(|(warning, reason)| (warning.about.as_deref(), reason.as_str()));
        assert_eq!(accepted.collect::<Vec<_>>(), [(Some(meant), "later")]);
    }
}

#[test]
fn messages_are_written_out_type_by_type() {
    let clause = "{id: c, from: vpc, icmp: [3/254, 3/255, 4/0, 4/1, 8], verdict: allow, reason: r}";
    let printed = print::text(&loaded(&format!("version: 1\nextends: none\nclauses: [{clause}]\n")).policy);
    assert!(printed.contains("icmp: [3/254, 3/255, 4/0, 4/1, 8]\n"), "{printed}");
}

#[test]
fn the_kinds_of_other_side_of_a_requirement_are_told_in_its_order() {
    for (from, kinds) in [
        ("\"role:node\"", "node"),
        ("[\"role:cluster\", \"role:control-plane\"]", "control-plane"),
        ("[vpc, 198.51.100.0/24, anywhere]", "addresses"),
        ("[sg-0123456789abcdef0, \"role:node\", vpc]", "group,node,addresses"),
    ] {
        let keys = format!("id: own, role: node, protocol: tcp, ports: 9443, from: {from}, reason: r");
        let policy = loaded(&format!("version: 1\nrequirements: [{{{keys}}}]\n")).policy;
        assert_eq!(policy.requirements[0].peer_class(), kinds, "{from}");
    }
}

#[test]
fn settings_are_kept_in_order() {
    let text = "
        version: 1
        otherwise: allow
        controllers: [arn:aws-us-gov:iam::111122223333:role/path/aws-load-balancer-controller]
        groups: [{id: sg-0123456789abcdef0, cluster: prod, role: node}]
        clusters: [{name: \"prod-*\", environment: production, mode: enforce}, {name: \"*\", mode: report}]";
    let policy = loaded(text).policy;
    assert_eq!(policy.otherwise, Verdict::Allow);
    assert_eq!(policy.controllers.len(), 1);
    assert_eq!(policy.groups[0].role, Role::Node);
    assert_eq!(policy.clusters[0].environment.as_deref(), Some("production"));
    assert_eq!(policy.clusters.iter().map(|setting| setting.name.as_str()).collect::<Vec<_>>(), ["prod-*", "*"]);
}
