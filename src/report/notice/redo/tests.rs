use super::*;
use crate::model::group::{Evidence, Group, Role, RoleEvidence};
use crate::model::ids::Location;
use crate::model::rule::Packets;
use crate::policy::controller::Author;
use crate::policy::judge::{JudgedRule, judge};
use crate::policy::model::{Mode, Policy};
use crate::policy::{builtin, file};
use crate::report::record::About;

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

fn record(judged: JudgedRule, action: Action) -> Record {
    let finding = Finding::of_rule(judged, (true, false), action, None);
    let location = Location::new("111122223333", "eu-west-1");
    let group = Group { id: GROUP.to_owned(), ..Group::default() };
    Record::of(
        &location,
        builtin::policy("standard").unwrap(),
        Mode::Enforce,
        About::Group(&group),
        vec![finding],
        None,
    )
}

#[test]
fn the_proposed_exception_is_a_policy_under_which_the_rule_is_not_revoked() {
    let standard = builtin::policy("standard").unwrap();
    let strict = builtin::policy("strict").unwrap();
    for (what, policy, rule) in [
        ("one port", standard, rule(Packets::Tcp(10250, 10250), "0.0.0.0/0")),
        ("the forbidden part of many ports", standard, rule(Packets::Tcp(0, 65535), "0.0.0.0/0")),
        ("every protocol", standard, rule(Packets::All, "::/0")),
        ("every protocol under strict", strict, rule(Packets::All, "0.0.0.0/0")),
        ("a protocol by number", standard, rule(Packets::Protocol(47), "0.0.0.0/0")),
        ("ping under strict", strict, rule(Packets::Icmp(Some(8), Some(0)), "0.0.0.0/0")),
        ("UDP", standard, rule(Packets::Udp(8285, 8472), "0.0.0.0/0")),
    ] {
        let finding = verdict(policy, &rule);
        assert_eq!(finding.verdict, Verdict::Revoke, "{what}");
        let code = code(&record(finding, Action::Revoked), GROUP, now());
        let text = format!("version: 1\nextends: {}\n{}\n", policy.name, code[0].text);
        let today = "2026-11-23".parse().unwrap();
        let loaded = file::load("policy.yaml", &text, today);
        let excepted = loaded.unwrap_or_else(|rejected| panic!("{what}: {rejected:?}\n{text}")).policy;
        assert_ne!(verdict(&excepted, &rule).verdict, Verdict::Revoke, "{what}:\n{text}");
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
        let record = record(verdict(builtin::policy("standard").unwrap(), &rule), Action::Revoked);
        let command = authorize(&record.region, GROUP, &rule);
        let start = format!(
            "aws ec2 authorize-security-group-ingress --region eu-west-1 --group-id {GROUP} --ip-permissions '"
        );
        let json = command.strip_prefix(&start).and_then(|rest| rest.strip_suffix('\'')).unwrap();
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
        assert_eq!(command, format!("{start} --security-group-rules '{update}'"));
    }
    let hostile = Rule { description: Some("'; reboot\u{1b}".to_owned()), ..rule(Packets::All, "10.0.0.0/8") };
    assert!(modify("eu-west-1", GROUP, &hostile).ends_with(r#""Description":"'\''; reboot\u001b"}}]'"#));
}

#[test]
fn no_description_and_no_tag_gets_out_of_its_quotes() {
    let mut rule = rule(Packets::Tcp(10250, 10250), "0.0.0.0/0");
    rule.description = Some("'; rm -rf /; '\u{1b}[31m\n$(reboot)\u{202e}".to_owned());
    rule.tags = [("team".to_owned(), "a'b".to_owned()), ("aws:owned".to_owned(), "x".to_owned())].into();
    let record = record(verdict(builtin::policy("standard").unwrap(), &rule), Action::Revoked);
    let command = authorize(&record.region, GROUP, &rule);
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
    assert_eq!(code(&record(open.clone(), Action::WouldRevoke), GROUP, now()).len(), 1);
    assert_eq!(code(&record(open.clone(), Action::Revoked), GROUP, now()).len(), 2);
    assert!(code(&record(open, Action::AlreadyGone), GROUP, now()).is_empty());
    let reported = verdict(standard, &rule(Packets::Tcp(9000, 9000), "0.0.0.0/0"));
    assert!(code(&record(reported, Action::Reported), GROUP, now()).is_empty());
}
