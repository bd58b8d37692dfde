//! Tests of a policy that people write: a rule in a group of some role, and what the policy should say of it. The same
//! YAML, words and diagnostics as of policy files.

mod need;
mod rule;
mod world;

use jiff::Timestamp;

use crate::model::group::{Evidence, Group, RoleEvidence};
use crate::model::ids::Resource;
use crate::model::rule::Rule;
use crate::model::text::quoted;
use crate::policy::controller::Author;
use crate::policy::diagnostic::{At, Diagnostic, Rejected};
pub use crate::policy::file::cases::need::Need;
use crate::policy::file::cases::rule::rule;
use crate::policy::file::cases::world::{Circumstances, Shared, blocks, peers, prefix_lists};
use crate::policy::file::clause::roles;
use crate::policy::file::fields::{Fields, choice, items, scalar};
use crate::policy::file::names;
use crate::policy::file::problems::Problems;
use crate::policy::file::strange;
use crate::policy::model::{Mode, Severity, Verdict};
use crate::policy::tree::{self, Node, Value};

const FILE: [&str; 11] =
    ["version", "policy", "account", "region", "cluster", "mode", "now", "vpc", "prefix_lists", "peers", "tests"];
const TEST: [&str; 14] = [
    "name", "roles", "group", "cluster", "mode", "account", "region", "now", "rule", "beside", "expect", "clause",
    "severity", "action",
];
/// What may become of a rule, in the words of `explain`.
const ACTIONS: [(&str, &str); 5] = [
    ("none", "none"),
    ("report", "report"),
    ("would-revoke", "would-revoke"),
    ("revoke", "revoke"),
    ("refuse", "refuse"),
];

/// Every key that a file of tests may have: those at its top, of a test, of a rule, and of a test about a requirement.
pub fn keys() -> [(&'static str, Vec<&'static str>); 4] {
    [("", FILE.to_vec()), ("test", TEST.to_vec()), ("rule", rule::RULE.to_vec()), ("need", need::NEED.to_vec())]
}
/// Keys that hold text for people.
const PROSE: [&str; 2] = ["name", "description"];
const HELP_RULE: &str = "add `rule: {protocol: tcp, ports: 22, from: 0.0.0.0/0}`";
const HELP_EXPECT: &str = "add `expect: allow`, `expect: report` or `expect: revoke`";

/// The group of a test that names none.
const GROUP: &str = "sg-00000000000000000";
const ACCOUNT: &str = "111122223333";
const REGION: &str = "us-east-1";

/// The tests of one file.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The policy they are for: a built-in, or a path beside the file. `None`: the runner knows.
    pub policy: Option<String>,
    /// About rules, in the order of the file.
    pub cases: Vec<Case>,
    /// About requirements, in the order of the file.
    pub needs: Vec<Need>,
}

/// One test.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows, for people.
    pub name: String,
    /// Where its name stands.
    pub at: At,
    /// The group; the rule under test is its first.
    pub group: Group,
    /// Twelve digits.
    pub account: String,
    /// `us-east-1`, …
    pub region: String,
    /// When it is judged; `None`: now.
    pub now: Option<Timestamp>,
    /// The function's own mode.
    pub mode: Mode,
    /// Who wrote each rule, in the order of the group's.
    pub authors: Vec<Author>,
    /// What the policy should say.
    pub expected: Expected,
}

/// What a policy should say of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Of the whole rule.
    pub verdict: Verdict,
    /// A clause that must have led to it.
    pub clause: Option<String>,
    /// How bad it must be.
    pub severity: Option<Severity>,
    /// What must be done about it, in the words of `explain`.
    pub action: Option<&'static str>,
}

/// Reads a test file.
///
/// # Errors
/// Every problem of the text.
pub fn load(name: &str, text: &str) -> Result<Suite, Rejected> {
    let rejected = |diagnostics| {
        let text = if text.len() > tree::MAX_BYTES { "" } else { text };
        Rejected { name: name.to_owned(), text: text.to_owned(), diagnostics }
    };
    let root = tree::read(text).map_err(|problem| rejected(vec![*problem]))?;
    let mut problems = Problems::default();
    strange::report(&root, text, &PROSE, &mut problems);
    let suite = suite(&root, &mut problems);
    match (suite, problems.finish()) {
        (Some(suite), (_, false)) => Ok(suite),
        (_, (diagnostics, _)) => Err(rejected(diagnostics)),
    }
}

fn suite(root: &Node, problems: &mut Problems) -> Option<Suite> {
    if root.value == Value::Null {
        let help = "write `version: 1`, and `tests:` with one entry for each rule that matters to you";
        problems.add(Diagnostic::error("empty", tree::TOP, "the test file is empty").help(help));
        return None;
    }
    let fields = Fields::read(root, "test file", &FILE, problems)?;
    let version = fields.need("version", "add `version: 1` at the top", problems)?;
    choice(version, "version", "version of the test language", "unknown-version", &[("1", ())], problems)?;
    let policy = fields.text("policy", problems);
    let vpc = fields.get("vpc").map(|node| blocks(node, "vpc", problems)).unwrap_or_default();
    let peers = fields.get("peers").map(|node| peers(node, problems)).unwrap_or_default();
    let lists = fields.get("prefix_lists").map(|node| prefix_lists(node, problems)).unwrap_or_default();
    let shared = Shared { given: Circumstances::read(&fields, problems), vpc, peers, lists };
    let tests = fields.need("tests", "add `tests:` with at least one entry", problems)?;
    let (mut cases, mut needs) = (Vec::new(), Vec::new());
    for node in items(tests, "tests", problems) {
        if need::is_one(node) {
            needs.extend(need::need(node, &shared, problems));
        } else {
            cases.extend(case(node, &shared, problems));
        }
    }
    Some(Suite { policy, cases, needs })
}

fn case(node: &Node, shared: &Shared, problems: &mut Problems) -> Option<Case> {
    let mut fields = Fields::read(node, "test", &TEST, problems)?;
    // Everything is read before anything is given up: all problems of an entry in one run.
    let named = fields.need("name", "add `name: …`: what the test shows, in a few words", problems);
    let name = named.and_then(|_| fields.text("name", problems));
    if let Some(name) = &name {
        fields.what = format!("test {}", quoted(name));
    }
    let roles = fields
        .need("roles", "add `roles: [node]`, what the group is to its cluster", problems)
        .and_then(|node| roles(node, problems));
    let id = match fields.get("group") {
        None => Some(GROUP.to_owned()),
        Some(node) => scalar(node, "group", problems)
            .and_then(|text| names::resource_id(text, Resource::Group, node.at, problems)),
    };
    let given = Circumstances::read(&fields, problems).or(&shared.given);
    let own = id.clone().unwrap_or_default();
    let first = fields.need("rule", HELP_RULE, problems).and_then(|node| rule(node, &own, shared, problems));
    let beside = fields.get("beside").map(|node| items(node, "beside", problems)).unwrap_or_default();
    let beside: Vec<_> = beside.into_iter().map(|node| rule(node, &own, shared, problems)).collect();
    let expected = expected(&fields, problems);

    let (rules, authors): (Vec<Rule>, Vec<Author>) =
        std::iter::once(first).chain(beside).collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let strong = |role| RoleEvidence { role, evidence: Evidence::Configured, strong: true };
    let account = given.account.unwrap_or_else(|| ACCOUNT.to_owned());
    let lists = shared.lists.iter().filter_map(|(id, list)| Some((id.clone(), list.clone()?)));
    let group = Group {
        id: id?,
        owner: account.clone(),
        clusters: given.clusters.unwrap_or_default(),
        roles: roles?.into_iter().map(strong).collect(),
        rules,
        vpc_ranges: shared.vpc.clone(),
        peers: shared.peers.clone(),
        prefix_lists: lists.collect(),
        ..Group::default()
    };
    let (name, at) = (name?, named?.at);
    let region = given.region.unwrap_or_else(|| REGION.to_owned());
    let mode = given.mode.unwrap_or(Mode::Enforce);
    Some(Case { name, at, group, account, region, now: given.now, mode, authors, expected: expected? })
}

fn expected(fields: &Fields<'_>, problems: &mut Problems) -> Option<Expected> {
    let verdict = fields
        .need("expect", HELP_EXPECT, problems)
        .and_then(|node| choice(node, "expect", "verdict", "unknown-verdict", &Verdict::WORDS, problems));
    let clause = fields.text("clause", problems);
    let severity = fields.choice("severity", "severity", "unknown-severity", &Severity::WORDS, problems);
    if let Some(at) = fields.key_at("severity").filter(|_| verdict == Some(Verdict::Allow)) {
        let message = format!("the {} expects `allow`, which has no `severity`", fields.what);
        problems.add(Diagnostic::error("severity-of-allow", at, message).help("remove `severity`"));
    }
    let action = fields.choice("action", "action", "unknown-verdict", &ACTIONS, problems);
    Some(Expected { verdict: verdict?, clause, severity, action })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::topology::{GroupSet, Topology};
    use crate::model::group::{AwsList, PrefixList, Role};
    use crate::model::region::Addresses;
    use crate::model::rule::{Direction, Packets, Peer};

    const SHARED: &str = "version: 1\naccount: \"444455556666\"\nregion: eu-west-1\ncluster: prod\nmode: report\n\
                          now: 2026-01-02T00:00:00Z\nvpc: [10.0.0.0/16]\n\
                          prefix_lists:\n  pl-00000000000000001: [203.0.113.0/24]\n  pl-00000000000000002: aws:s3\n  \
                          pl-00000000000000003: unreadable\n  pl-00000000000000004: 203.0.113.0/24\n\
                          peers: {sg-0000000000000000a: [node]}\ntests:\n";

    fn suite(tests: &str) -> Suite {
        load("tests.yaml", &format!("{SHARED}{tests}")).unwrap_or_else(|rejected| panic!("{:?}", rejected.diagnostics))
    }

    fn lists() -> [(String, PrefixList); 3] {
        let entries = || PrefixList::Entries(Addresses::of_blocks(["203.0.113.0/24"]).unwrap());
        let id = |n: u8| format!("pl-0000000000000000{n}");
        [(id(1), entries()), (id(2), PrefixList::Aws(AwsList::S3)), (id(4), entries())]
    }

    fn vpc() -> Addresses {
        Addresses::of_blocks(["10.0.0.0/16"]).unwrap()
    }

    #[test]
    fn what_a_file_says_counts_for_each_test_that_says_nothing_else() {
        let test = "rule: {protocol: tcp, ports: 22, from: 0.0.0.0/0}, roles: [node], expect: revoke";
        let suite = suite(&format!(
            "- {{name: a, {test}}}\n- {{name: b, account: \"777788889999\", region: us-west-2, cluster: [test, dev], \
             group: sg-0123456789abcdef0, mode: enforce, now: 2026-03-04T00:00:00Z, {test}}}\n"
        ));
        let time = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let expected = [
            (
                "sg-00000000000000000",
                "444455556666",
                "eu-west-1",
                &["prod"][..],
                Mode::Report,
                time("2026-01-02T00:00:00Z"),
            ),
            (
                "sg-0123456789abcdef0",
                "777788889999",
                "us-west-2",
                &["dev", "test"],
                Mode::Enforce,
                time("2026-03-04T00:00:00Z"),
            ),
        ];
        assert_eq!(suite.cases.len(), expected.len());
        for (case, (id, account, region, clusters, mode, now)) in suite.cases.iter().zip(expected) {
            let found = (case.account.as_str(), case.region.as_str(), case.mode, case.now);
            assert_eq!(found, (account, region, mode, now));
            let group = &case.group;
            assert_eq!((group.id.as_str(), group.owner.as_str()), (id, account));
            assert!(group.clusters.iter().eq(clusters), "{:?}", group.clusters);
            assert_eq!((&group.vpc_ranges, &group.prefix_lists), (&vpc(), &lists().into()));
            let node = RoleEvidence { role: Role::Node, evidence: Evidence::Configured, strong: true };
            assert_eq!(group.roles, [node]);
            let peer = &group.peers["sg-0000000000000000a"];
            assert!(group.peers.len() == 1 && peer.same_cluster && peer.roles == [Role::Node].into(), "{peer:?}");
        }
    }

    #[test]
    fn a_test_of_a_requirement_has_the_rules_of_two_groups() {
        let suite = suite(
            "- {name: a, requirement: dns, control_plane: {protocol: all, to: role:node}, \
             nodes: [{protocol: all, from: role:control-plane}], expect: met}\n",
        );
        let rule = |direction, id: &str| {
            vec![Rule::new(direction, Packets::All, Peer::Group { id: id.to_owned(), owner: None })]
        };
        let (control_plane, node) = ("sg-00000000000000001", "sg-00000000000000002");
        let set = |id: &str| GroupSet::from([id.to_owned()]);
        let expected = Topology {
            control_plane: set(control_plane),
            nodes: [set(node)].into(),
            rules: [
                (control_plane.to_owned(), rule(Direction::Egress, node)),
                (node.to_owned(), rule(Direction::Ingress, control_plane)),
            ]
            .into(),
            vpc_ranges: vpc(),
            prefix_lists: lists().into(),
            ..Topology::default()
        };
        assert_eq!(format!("{:?}", suite.needs[0].topology), format!("{expected:?}"));
    }

    #[test]
    fn the_direction_of_a_rule_is_out_only_with_to_alone() {
        for (peer, expected) in [
            ("", "the rule has no `from`"),
            ("from: 10.0.0.0/8, to: 10.0.0.0/8", "a rule has one direction, and this one has `from`, not `to`"),
        ] {
            let test =
                format!("{SHARED}- {{name: a, roles: [node], expect: allow, rule: {{protocol: all, {peer}}}}}\n");
            let rejected = load("tests.yaml", &test).unwrap_err();
            let messages: Vec<&str> = rejected.diagnostics.iter().map(|problem| problem.message.as_str()).collect();
            assert_eq!(messages, [expected]);
        }
    }
}
