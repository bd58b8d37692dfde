use super::super::situation::topics;
use super::*;
use crate::model::group::{Evidence, Group, Role, RoleEvidence};
use crate::model::ids::Location;
use crate::model::rule::Packets;
use crate::policy::controller::Author;
use crate::policy::judge::{JudgedRule, judge};
use crate::policy::model::{Mode, Policy};
use crate::policy::{builtin, file};
use crate::report::record::{About, Record};

const GROUP: &str = "sg-0123456789abcdef0";

fn now() -> Timestamp {
    "2026-11-23T03:00:00Z".parse().unwrap()
}

fn rule(packets: Packets, peer: &str) -> Rule {
    let peer = match peer.split_once('-') {
        Some(("pl", _)) => Peer::PrefixList(peer.to_owned()),
        Some(("sg", _)) => Peer::Group { id: peer.to_owned(), owner: None },
        _ => Peer::cidr(peer).unwrap(),
    };
    Rule {
        id: "sgr-0a1".to_owned(),
        direction: Direction::Ingress,
        packets,
        peer,
        description: None,
        tags: BTreeMap::new(),
    }
}

fn verdict(policy: &Policy, rule: &Rule) -> JudgedRule {
    let node = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true };
    let group = Group { id: GROUP.to_owned(), roles: [node].into(), rules: vec![rule.clone()], ..Group::default() };
    let location = Location::new("111122223333", "eu-west-1");
    judge(policy, &group, &location, now(), |_| Author::Unknown).pop().unwrap()
}

fn record(judged: JudgedRule, action: Action, actor: Option<Actor>) -> Record {
    let finding = Finding::of_rule(judged, (true, false), action, None);
    let location = Location::new("111122223333", "eu-west-1");
    let group = Group { id: GROUP.to_owned(), ..Group::default() };
    let policy = builtin::policy("standard").unwrap();
    let record = Record::of(&location, policy, Mode::Enforce, About::Group(&group), vec![finding], None);
    Record { actor, ..record }
}

fn code_of(record: &Record) -> Vec<Code> {
    code(&topics(&[record]), now())
}

fn from(address: &str) -> Actor {
    Actor { source_ip: Some(address.to_owned()), ..Actor::default() }
}

/// What a person would write in place of what is to be filled in.
fn filled_in(text: &str) -> String {
    let words = [
        (fill_in::REASON, "penetration test, SEC-123"),
        (fill_in::OWNER, "secops@example.com"),
        (fill_in::SOURCE, "198.51.100.7/32"),
        (fill_in::PORTS, "10250"),
    ];
    words.into_iter().fold(text.to_owned(), |text, (word, instead)| text.replace(word, instead))
}

#[test]
fn the_proposed_exception_is_narrow_and_a_policy_once_it_is_filled_in() {
    let standard = builtin::policy("standard").unwrap();
    let strict = builtin::policy("strict").unwrap();
    for (what, policy, rule, proposed) in [
        ("one port", standard, rule(Packets::Tcp(10250, 10250), "0.0.0.0/0"), "ports: [10250]"),
        ("the forbidden part of many ports", standard, rule(Packets::Tcp(0, 65535), "0.0.0.0/0"), "FILL-IN-THE-PORTS"),
        ("every protocol", standard, rule(Packets::All, "::/0"), "FILL-IN-THE-PORTS"),
        ("every protocol under strict", strict, rule(Packets::All, "0.0.0.0/0"), "FILL-IN-THE-PORTS"),
        ("a protocol by number", standard, rule(Packets::Protocol(47), "0.0.0.0/0"), "protocol: 47"),
        ("ping under strict", strict, rule(Packets::Icmp(Some(8), Some(0)), "0.0.0.0/0"), "icmp: [8/0]"),
        ("UDP", standard, rule(Packets::Udp(8285, 8472), "0.0.0.0/0"), "protocol: udp"),
    ] {
        let finding = verdict(policy, &rule);
        assert_eq!(finding.verdict, Verdict::Revoke, "{what}");
        let callers = ["198.51.100.9", "2001:db8::9", "AWS Internal"].map(|address| Some(from(address)));
        for actor in callers.into_iter().chain([None]) {
            let code = code_of(&record(finding.clone(), Action::Revoked, actor.clone()));
            let proposal = &code[0].text;
            assert!(!proposal.contains("0.0.0.0/0") && !proposal.contains("::/0"), "{what}:\n{proposal}");
            assert!(proposal.contains(proposed), "{what}:\n{proposal}");
            assert!(proposal.contains(fill_in::REASON) && proposal.contains(fill_in::OWNER), "{what}:\n{proposal}");
            let address = actor.and_then(|actor| actor.source_ip).filter(|from| !from.contains(' '));
            assert!(proposal.contains(address.as_deref().unwrap_or(fill_in::SOURCE)), "{what}:\n{proposal}");
            let text = format!("version: 1\nextends: {}\n{}\n", policy.name, filled_in(proposal));
            let loaded = file::load("policy.yaml", &text, "2026-11-23".parse().unwrap());
            loaded.unwrap_or_else(|rejected| panic!("{what}: {rejected:?}\n{text}"));
        }
    }
}

#[test]
fn what_is_narrow_already_is_proposed_as_it_is() {
    let strict = builtin::policy("strict").unwrap();
    for (peer, proposed) in [("203.0.113.0/24", "[\"203.0.113.0/24\"]"), ("203.0.112.0/23", fill_in::SOURCE)] {
        let rule = rule(Packets::Tcp(10250, 10250), peer);
        let judged = verdict(strict, &rule);
        assert_eq!(judged.verdict, Verdict::Revoke, "{peer}");
        let code = code_of(&record(judged, Action::WouldRevoke, None));
        assert!(code[0].text.contains(proposed), "{}", code[0].text);
    }
}

#[test]
fn the_command_restores_every_kind_of_rule() {
    for (packets, peer, expected) in [
        (
            Packets::Tcp(22, 23),
            "0.0.0.0/0",
            r#"[{"FromPort":22,"IpProtocol":"tcp","IpRanges":[{"CidrIp":"0.0.0.0/0"}],"ToPort":23}]"#,
        ),
        (Packets::All, "::/0", r#"[{"IpProtocol":"-1","Ipv6Ranges":[{"CidrIpv6":"::/0"}]}]"#),
        (Packets::Protocol(50), "pl-1", r#"[{"IpProtocol":"50","PrefixListIds":[{"PrefixListId":"pl-1"}]}]"#),
        (
            Packets::Icmp(None, None),
            "sg-2",
            r#"[{"FromPort":-1,"IpProtocol":"icmp","ToPort":-1,"UserIdGroupPairs":[{"GroupId":"sg-2"}]}]"#,
        ),
        (
            Packets::Icmpv6(Some(1), None),
            "::/0",
            r#"[{"FromPort":1,"IpProtocol":"icmpv6","Ipv6Ranges":[{"CidrIpv6":"::/0"}],"ToPort":-1}]"#,
        ),
    ] {
        let rule = rule(packets, peer);
        let command = authorize("eu-west-1", GROUP, &[rule]);
        let start = format!(
            "aws ec2 authorize-security-group-ingress --region eu-west-1 --group-id {GROUP} --ip-permissions '"
        );
        let json = command.strip_prefix(&start).and_then(|rest| rest.strip_suffix("' --dry-run")).unwrap();
        let parse = |json: &str| serde_json::from_str::<Value>(json).unwrap();
        assert_eq!(parse(json), parse(expected));
    }
}

#[test]
fn the_command_that_makes_a_rule_this_again_says_all_of_it() {
    for (packets, peer, expected) in [
        (
            Packets::Tcp(0, 65535),
            "0.0.0.0/0",
            r#"{"IpProtocol":"tcp","FromPort":0,"ToPort":65535,"CidrIpv4":"0.0.0.0/0"}"#,
        ),
        (Packets::All, "::/0", r#"{"IpProtocol":"-1","CidrIpv6":"::/0"}"#),
        (Packets::Protocol(50), "pl-1", r#"{"IpProtocol":"50","PrefixListId":"pl-1"}"#),
        (
            Packets::Icmp(Some(8), None),
            "sg-2",
            r#"{"IpProtocol":"icmp","FromPort":8,"ToPort":-1,"ReferencedGroupId":"sg-2"}"#,
        ),
    ] {
        let command = modify("eu-west-1", GROUP, &rule(packets, peer));
        let update = format!(r#"[{{"SecurityGroupRuleId":"sgr-0a1","SecurityGroupRule":{expected}}}]"#);
        let start = format!("aws ec2 modify-security-group-rules --region eu-west-1 --group-id {GROUP}");
        assert_eq!(command, format!("{start} --security-group-rules '{update}' --dry-run"));
    }
    let hostile = Rule { description: Some("'; reboot\u{1b}".to_owned()), ..rule(Packets::All, "10.0.0.0/8") };
    assert!(modify("eu-west-1", GROUP, &hostile).ends_with(r#""Description":"'\''; reboot\u001b"}}]' --dry-run"#));
}

#[test]
fn no_description_and_no_tag_gets_out_of_its_quotes() {
    let mut rule = rule(Packets::Tcp(10250, 10250), "0.0.0.0/0");
    rule.description = Some("'; rm -rf /; '\u{1b}[31m\n$(reboot)\u{202e}".to_owned());
    rule.tags = [("team".to_owned(), "a'b".to_owned()), ("aws:owned".to_owned(), "x".to_owned())].into();
    let command = authorize("eu-west-1", GROUP, &[rule]);
    assert!(command.chars().all(is_harmless), "{command}");
    assert!(!command.contains("aws:owned"), "{command}");
    // What a shell would make of it: outside of single quotes there is nothing but the escaped quote.
    let unquoted = command.replace(r"'\''", "");
    assert_eq!(unquoted.matches('\'').count(), 4, "{command}");
    let bare: String = unquoted.split('\'').step_by(2).collect();
    assert!(!bare.contains("rm -rf") && !bare.contains('$') && !bare.contains("a'b"), "{bare}");
}

#[test]
fn what_was_not_closed_needs_no_command_and_what_is_only_reported_no_exception() {
    let standard = builtin::policy("standard").unwrap();
    let open = verdict(standard, &rule(Packets::Tcp(10250, 10250), "0.0.0.0/0"));
    assert_eq!(code_of(&record(open.clone(), Action::WouldRevoke, None)).len(), 1);
    assert_eq!(code_of(&record(open.clone(), Action::Revoked, None)).len(), 2);
    assert!(code_of(&record(open, Action::AlreadyGone, None)).is_empty());
    let reported = verdict(standard, &rule(Packets::Tcp(9000, 9000), "0.0.0.0/0"));
    assert!(code_of(&record(reported, Action::Reported, None)).is_empty());
}

#[test]
fn each_command_says_whose_it_is_and_how_many_are_left_out() {
    let standard = builtin::policy("standard").unwrap();
    let judged =
        |port: u16| verdict(standard, &Rule { id: format!("sgr-{port}"), ..rule(Packets::Tcp(port, port), "::/0") });
    let mut record = record(judged(22), Action::Revoked, None);
    record.findings = [22, 3389, 5985, 5986, 10250]
        .map(|port| Finding::of_rule(judged(port), (true, false), Action::Revoked, None))
        .into();
    let code = code_of(&record);
    let undo: Vec<&Code> = code.iter().filter(|code| code.title.starts_with("This reopens")).collect();
    assert_eq!(undo.len(), MAX_UNDONE);
    assert!(undo[0].title.contains("SSH 22 from everybody"), "{undo:?}");
    assert!(code.last().unwrap().title.starts_with("2 more rules were closed"), "{code:?}");
}
