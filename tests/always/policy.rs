//! Of whatever is read as a policy file.

use std::collections::BTreeMap;

use eks_sg_guard::model::group::{Evidence, Group, Role, RoleEvidence};
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::policy::controller::Author;
use eks_sg_guard::policy::diagnostic::{At, Diagnostic, Level, render};
use eks_sg_guard::policy::file::{Loaded, load, print};
use eks_sg_guard::policy::judge::judge;
use eks_sg_guard::policy::model::Policy;
use jiff::Timestamp;
use jiff::civil::{Date, date};

use crate::meaning::meaning;

const NAME: &str = "policy.yaml";
const TODAY: Date = date(2026, 11, 23);

/// Any text is a policy or is told what is wrong with it and where; written out in full, a policy says what it said.
pub(crate) fn holds(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match load(NAME, &text, TODAY) {
        Err(rejected) => {
            assert!(rejected.diagnostics.iter().any(|problem| problem.severity == Level::Error), "why is not said");
            assert_eq!(load(NAME, &text, TODAY).unwrap_err(), rejected, "the same text, the same problems");
            are_sound(&text, &rejected.diagnostics);
        }
        Ok(Loaded { policy, warnings, accepted }) => {
            assert!(warnings.iter().all(|problem| problem.severity == Level::Warning));
            are_sound(&text, &warnings);
            are_sound(&text, &accepted.into_iter().map(|(problem, _)| problem).collect::<Vec<_>>());
            let written = print::text(&policy);
            let again = load(NAME, &written, TODAY).map_err(|why| format!("{why}\n{written}")).unwrap().policy;
            assert_eq!(meaning(&again), meaning(&policy), "{written}");
            assert_eq!(print::text(&again), written);
            assert_eq!(verdicts(&again), verdicts(&policy), "{written}");
        }
    }
}

/// Each stands in the text, is said on one line, and is shown without anything that a terminal obeys.
fn are_sound(text: &str, problems: &[Diagnostic]) {
    let is_there = |at: &At| at.start <= at.end && text.get(at.start..at.end).is_some() && at.line > 0 && at.column > 0;
    let is_line = |line: &str| !line.trim().is_empty() && !line.contains(char::is_control);
    for problem in problems {
        assert!(is_there(&problem.at), "{problem:?}");
        let of_text = problem.also.iter().filter(|also| also.policy.is_none());
        assert!(of_text.clone().all(|also| is_there(&also.at)), "{problem:?}");
        assert!(is_line(&problem.message) && problem.help.as_deref().is_none_or(is_line), "{problem:?}");
    }
    let shown = render(NAME, text, problems, false);
    assert!(!shown.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')), "{shown:?}");
}

/// What it says of some rules of a node's group.
fn verdicts(policy: &Policy) -> String {
    let rule = |direction, packets, cidr: &str| Rule::new(direction, packets, Peer::cidr(cidr).unwrap());
    let rules = vec![
        rule(Direction::Ingress, Packets::Tcp(10250, 10250), "0.0.0.0/0"),
        rule(Direction::Ingress, Packets::Tcp(443, 443), "10.0.0.0/8"),
        rule(Direction::Ingress, Packets::Tcp(30000, 32767), "203.0.113.0/24"),
        rule(Direction::Ingress, Packets::All, "::/0"),
        rule(Direction::Egress, Packets::All, "0.0.0.0/0"),
    ];
    let rules = rules.into_iter().enumerate().map(|(n, rule)| Rule { id: format!("sgr-{n}"), ..rule }).collect();
    let node = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true };
    let group = Group {
        id: "sg-0a1b2c3d4e5f60718".to_owned(),
        vpc: "vpc-0a1".to_owned(),
        clusters: ["prod".to_owned()].into(),
        roles: [node].into(),
        rules,
        ..Group::default()
    };
    let judged =
        judge(policy, &group, &Location::new("111122223333", "eu-west-1"), Timestamp::UNIX_EPOCH, |_| Author::Unknown);
    let verdicts: BTreeMap<String, _> = judged.into_iter().map(|it| (it.rule.id, (it.verdict, it.severity))).collect();
    format!("{verdicts:?}")
}
