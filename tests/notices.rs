//! What people read: every situation in every form, and what text from outside cannot do to any of them.
//! Longer than other files: the limits of every form are held here, for whatever is said.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a panic is a failed test"
)]

mod limits;
mod read_back;
mod situations;

use std::collections::BTreeMap;

use eks_sg_guard::event::Actor;
use eks_sg_guard::model::rule::{Direction, Packets, Rule};
use eks_sg_guard::policy::model::Severity;
use eks_sg_guard::report::finding::{Finding, ListRecord};
use eks_sg_guard::report::notice::{self, Message, email, q, slack};
use eks_sg_guard::report::outcome::{Action, Connections, Contested, Opener};
use eks_sg_guard::report::record::{About, Record};
use eks_sg_guard::report::waiting::for_digest;
use serde_json::Value;

use crate::limits::{holds_its_limits, texts_of};
use crate::situations::{at, event, findings, group, kim, kubelet, notified, record, record_about, rule};

/// Every form of a message, one under the other.
fn forms(message: &Message) -> String {
    let notice = message.notice.as_ref().unwrap();
    let pretty = |json: &str| serde_json::to_string_pretty(&serde_json::from_str::<Value>(json).unwrap()).unwrap();
    let record = message.record.as_deref().map_or_else(|| "none".to_owned(), pretty);
    format!(
        "Subject: {}\n\n{}\n--- Amazon Q ---\n{}\n--- Slack ---\n{}\n--- record ---\n{record}\n",
        notice.subject,
        email::text(notice),
        pretty(&q::json(notice, &message.attributes)),
        pretty(&slack::json(notice)),
    )
}

#[test]
fn every_situation_in_every_form() {
    for (name, message) in situations::all() {
        let notice = message.notice.as_ref().unwrap();
        holds_its_limits(notice, &message.attributes);
        let banned = ["wears", "told", "kept us", "keeps us", "read back", "an unknown principal"];
        let text = email::text(notice);
        let kept = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&kept).unwrap(), message, "{name}: what is kept is sent as it was");
        assert!(!banned.iter().any(|word| text.contains(word)), "{name}: {text}");
        insta::assert_snapshot!(name, forms(&message));
    }
}

/// What is open comes first, and whatever would open something cannot by a paste alone.
#[test]
fn the_first_command_closes_what_is_open_and_none_opens_anything_by_a_paste_alone() {
    for (name, message) in situations::all() {
        let text = email::text(message.notice.as_ref().unwrap());
        let commands: Vec<&str> = text.lines().map(str::trim).filter(|line| line.starts_with("aws ec2")).collect();
        for command in &commands {
            let opens = command.contains(" authorize-") || command.contains(" modify-security-group-rules ");
            assert!(!opens || command.ends_with(" --dry-run"), "{name}: {command}");
            assert!(command.contains(" --region eu-west-1 "), "{name}: {command}");
        }
        let first = |what: &str| assert!(commands[0].starts_with(what), "{name}: {commands:?}");
        match name {
            "failed" | "reported" | "refused" | "postponed" | "several" | "digest" | "call" => {
                first("aws ec2 revoke-security-group-ingress");
            }
            "shared" => first("aws ec2 modify-network-interface-attribute"),
            // Nobody knows whether the node can do without it.
            "shared_beside_others" => {
                first("aws ec2 describe-security-group-rules");
                assert!(commands[1].starts_with("aws ec2 modify-network-interface-attribute"), "{commands:?}");
                assert!(commands[1].ends_with(" --dry-run"), "{commands:?}");
            }
            // Others may use it.
            "list" => {
                first("aws ec2 get-managed-prefix-list-associations");
                assert!(commands[1].starts_with("aws ec2 modify-managed-prefix-list"), "{commands:?}");
            }
            "lost" | "broken" | "needed" => first("aws ec2 authorize-security-group-ingress"),
            "blind_unfinished" | "lost_events" => first("aws ec2 describe-security-group-rules"),
            _ => {}
        }
    }
}

#[test]
fn what_matters_fits_one_screen() {
    for (name, message) in situations::all() {
        let first = first_screen(&message);
        // Commands are copied, not read.
        let lines: usize = first.lines().filter(|line| !line.starts_with("    ") && !line.is_empty()).count();
        assert!(lines <= 20, "{name}: {lines} lines\n{first}");
    }
}

/// The part of a mail that is read first.
fn first_screen(message: &Message) -> String {
    email::text(message.notice.as_ref().unwrap()).split("----------").next().unwrap().to_owned()
}

/// Mail clients make one conversation of mails with one subject, and a person one incident.
#[test]
fn no_two_situations_have_one_subject() {
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    let variants = ["last_of_an_hour", "shared_beside_others", "needed_by_addresses"];
    for (name, message) in situations::all().into_iter().filter(|(name, _)| !variants.contains(name)) {
        let other = known.insert(message.notice.unwrap().subject, name);
        assert_eq!(other, None, "{name}");
    }
    let record = |minute| Record { event_time: Some(at(minute)), ..situations::of_one_call()[0].clone() };
    let [first, second] = [0, 1].map(|minute| notice::notice(&record(minute), at(2)).subject);
    assert!(first != second && first.ends_with(", at 03:00 UTC"), "{first}");
}

/// Text of a command that stands before it, and goes into whatever shell that does.
#[test]
fn before_a_command_that_opens_or_closes_stands_what_it_means() {
    let of = [
        " revoke-",
        " authorize-",
        " modify-security-group-rules ",
        " modify-managed-prefix-list ",
        " modify-network-",
    ];
    let mut seen = 0;
    for (name, message) in situations::all() {
        let text = email::text(message.notice.as_ref().unwrap());
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| of.iter().any(|what| pair[1].contains(what))) {
            seen += 1;
            assert!(pair[0].starts_with("    # ") && is_inert(pair[0]), "{name}: {pair:?}");
        }
    }
    assert!(seen > 20, "{seen}");
}

/// Whether a line means nothing to any shell, as a comment or as words.
fn is_inert(line: &str) -> bool {
    let mut rest = line.trim_start().strip_prefix("# ").unwrap_or_default().chars();
    rest.all(|c| c.is_ascii_alphanumeric() || " ,.:/-_".contains(c))
}

#[test]
fn what_closes_a_rule_that_the_cluster_needs_stands_behind_what_opens_that() {
    let all: BTreeMap<&str, Message> = situations::all().into_iter().collect();
    let first = first_screen(&all["needed"]);
    let at = |what: &str| first.find(what).unwrap_or_else(|| panic!("no `{what}`: {first}"));
    assert!(at("aws ec2 authorize-security-group-ingress") < at("aws ec2 revoke-security-group-ingress"));
    assert_eq!(first.lines().filter(|line| line.ends_with(" --dry-run")).count(), 2, "{first}");
    let unknown = first_screen(&all["needed_by_addresses"]);
    assert!(!unknown.contains("authorize-") && unknown.contains("First open what the cluster needs"), "{unknown}");
}

/// Nobody reads at night that what is broken is closed.
#[test]
fn what_is_broken_stands_before_what_was_closed() {
    let all: BTreeMap<&str, Message> = situations::all().into_iter().collect();
    let notice = all["closed_and_broken"].notice.as_ref().unwrap();
    assert!(notice.subject.starts_with("[CRITICAL] BROKEN prod: "), "{}", notice.subject);
    assert!(notice.subject.contains("; CLOSED TCP 0-65535"), "{}", notice.subject);
    assert!(notice.headline.find("BROKEN: ") < notice.headline.find("CLOSED: "), "{}", notice.headline);
    assert!(notice.steps[0].starts_with("Open what is missing"), "{:?}", notice.steps);
}

/// To open it as it was would be forbidden once more; and a mode is nothing to change at night.
#[test]
fn no_step_invites_to_open_it_again_and_the_mode_of_the_guard_comes_last() {
    for (name, message) in situations::all() {
        let steps = message.notice.unwrap().steps;
        let is = |step: &&String, words: &str| step.contains(words);
        assert!(!steps.iter().any(|step| is(&step, "opens it again.") && !is(&step, "apply")), "{name}: {steps:?}");
        assert!(!steps.iter().rev().skip(1).any(|step| is(&step, "`enforce`")), "{name}: {steps:?}");
        assert!(steps.len() == 1 || !steps.iter().any(|step| is(&step, "Nothing has to be done")), "{name}: {steps:?}");
        assert!(!steps.iter().any(|step| is(&step, "Ask somebody")), "{name}: {steps:?}");
    }
}

/// Rules that were there before take both settings, whichever of them is named as what keeps the guard from it.
#[test]
fn what_makes_the_guard_close_such_rules_is_all_that_it_takes() {
    let node = group(vec![kubelet()]);
    for (known, detail, expected) in [
        (false, "`GUARD_MODE` is `report`", "where `GUARD_MODE` is `enforce`"),
        (true, "`GUARD_MODE` is `report`", "where `GUARD_MODE` and `GUARD_SWEEP_MODE` are both `enforce`"),
        (true, "(`GUARD_SWEEP_MODE` is `report`)", "where `GUARD_SWEEP_MODE` is `enforce`"),
        (
            false,
            "the policy sets the mode of cluster `dev` to `report`",
            "where the mode that the policy sets for it is",
        ),
    ] {
        let mut found = findings(&node, &[Action::WouldRevoke]);
        (found[0].known, found[0].detail) = (known, Some(detail.to_owned()));
        let steps = notice::notice(&record(&node, found, None), at(2)).steps;
        assert!(steps.last().unwrap().contains(expected), "{steps:?}");
    }
}

/// It waited for the digest, which knows no call of its own.
#[test]
fn who_opened_what_stands_in_a_digest_is_named_where_an_event_did() {
    let was_open = &situations::records().into_iter().find(|(name, _)| *name == "was_open").unwrap().1;
    let waited = for_digest(was_open);
    let digest = email::text(&notice::digest(&[&waited]).unwrap());
    assert!(digest.contains("Who      named in the details of what was open, with the call"), "{digest}");
    assert!(digest.contains("AuthorizeSecurityGroupIngress by arn:aws:iam::111122223333:user/alice at "), "{digest}");
    let mut changed = was_open.clone();
    let mut closed = findings(&group(vec![kubelet()]), &[Action::Revoked]);
    closed[0].connections = Some(Connections::Cut);
    changed.findings.append(&mut closed);
    let steps = notice::notice(&changed, at(2)).steps;
    assert!(steps[0].contains("such connections may go on"), "those of the other one: {steps:?}");
}

/// Whether somebody used what was open is to be checked in any case; what is known of their connections is said as that.
#[test]
fn what_may_go_on_is_not_said_to_go_on_and_what_was_cut_is_said_to_be_cut() {
    let all: BTreeMap<&str, Record> = situations::records().into_iter().collect();
    for (name, connections, expected) in [
        ("closed", Some(Connections::MayGoOn), "such connections may go on"),
        ("closed", Some(Connections::Cut), "direct connections were cut with it"),
        ("already_gone", None, "may go on"),
        ("was_open", None, "may go on"),
    ] {
        let mut record = all[name].clone();
        record.findings[0].connections = connections;
        let steps = notice::notice(&record, at(2)).steps;
        assert!(
            steps[0].contains(expected) && steps[0].to_lowercase().contains("check flow logs"),
            "{name}: {steps:?}"
        );
    }
}

/// What opens it again, and an intruder, are more urgent than what was open.
#[test]
fn the_source_of_what_comes_back_comes_first_and_what_is_still_open_is_looked_up_last() {
    let all: BTreeMap<&str, Message> = situations::all().into_iter().collect();
    let steps = |name: &str| all[name].notice.clone().unwrap().steps;
    let has = |name: &str, words: &str| steps(name).iter().any(|step| step.contains(words));
    assert!(steps("remediated")[0].starts_with("Stop what opens it again and again"), "{:?}", steps("remediated"));
    let failed = all["failed"].notice.as_ref().unwrap();
    assert!(failed.headline.ends_with("This may be an intruder: the root user made the call"), "{}", failed.headline);
    assert!(failed.steps[1].starts_with("Take it for an intruder"), "{:?}", failed.steps);
    assert!(has("failed", "Give role eks-sg-guard-role the right") && !has("failed", "tries again by itself"));
    assert!(has("call", "Give the guard's role (output `RoleArn` of its stack) the right"));
    assert!(has("several", "tries again by itself") && !has("several", "Give "));
    for name in ["failed", "refused", "reported", "postponed", "needed", "shared", "digest"] {
        assert!(has(name, "Once it is closed, check flow logs"), "{name}: {:?}", steps(name));
    }
    for name in ["call", "several"] {
        assert!(has(name, "used what the guard closed") && !has(name, "used what was open"), "{:?}", steps(name));
    }
    assert!(has("already_gone", "It was written by Terraform") && has("was_open", "Ask user alice"));
}

#[test]
fn what_the_answer_to_a_trial_means_is_said_once() {
    for (name, message) in situations::all() {
        let text = email::text(message.notice.as_ref().unwrap());
        let is_said = text.matches("DryRunOperation").count();
        assert_eq!(is_said, usize::from(text.lines().any(|line| line.ends_with(" --dry-run"))), "{name}: {text}");
    }
}

/// A step that says to look at everything has the command.
#[test]
fn who_is_to_have_the_guard_look_has_the_command_for_it() {
    for (name, message) in situations::all() {
        let notice = message.notice.unwrap();
        let is_asked = notice.steps.iter().any(|step| step.contains("have the guard look at everything"));
        let command = notice.urgent.iter().find(|code| code.text.starts_with("aws lambda invoke "));
        assert_eq!(is_asked, command.is_some(), "{name}: {notice:?}");
        let all = ["FILL-IN-THE-FUNCTION", " --payload '{\"sweep\": true}' ", "raw-in-base64-out"];
        assert!(command.is_none_or(|code| all.iter().all(|part| code.text.contains(part))), "{name}: {command:?}");
    }
}

#[test]
fn who_may_have_blinded_the_guard_stands_above_the_line() {
    let all: BTreeMap<&str, Message> = situations::all().into_iter().collect();
    for (name, said, command) in [
        ("blind_no_trail", "user alice called StopLogging just before", "aws cloudtrail start-logging --name audit"),
        ("blind_no_trail_swept", "no call is known that did it", "aws cloudtrail start-logging --name audit"),
        ("blind_rule_disabled", "user alice called DisableRule just before", "aws events enable-rule --name"),
    ] {
        let first = first_screen(&all[name]);
        assert!(first.contains(&format!("an intruder covering their tracks: {said}")), "{first}");
        assert!(first.contains(command), "{first}");
    }
    for name in ["blind_denied", "trails_unread"] {
        assert!(!first_screen(&all[name]).contains("intruder"), "{name}");
    }
}

/// An identifier of a cluster has up to a hundred characters.
#[test]
fn the_longest_name_leaves_room_for_what_happened() {
    for (name, record) in situations::records() {
        let mut record = record;
        record.clusters = vec!["c".repeat(100)];
        let notice = notice::notice(&record, at(2));
        let count = notice.subject.chars().count();
        assert!(count <= 99 && !notice.subject.contains("arn:"), "{name}: {}", notice.subject);
        assert!(notice.subject.contains("ccc…: "), "{name}: {}", notice.subject);
    }
}

#[test]
fn a_sweep_is_one_digest_per_cluster() {
    let records = situations::swept();
    let records: Vec<&Record> = records.iter().collect();
    assert_eq!(notice::digest(&records[2..]), None, "there is nothing to tell of a clean group");
    let mut known = records[1].clone();
    known.findings[0].notified_at = Some(at(0));
    assert_eq!(notice::digest(&[&known]), None, "people know");
}

#[test]
fn a_digest_has_what_is_new_first_and_the_rest_in_one_line() {
    let node = group((0..9).map(|n| rule(&format!("sgr-0b{n}"), Packets::Tcp(9000, 9000), "0.0.0.0/0")).collect());
    let mut other = group(vec![kubelet(), rule("sgr-0a2", Packets::Tcp(9000, 9000), "0.0.0.0/0")]);
    other.id = "sg-0other".to_owned();
    let mut records = [
        record(&node, findings(&node, &[Action::WouldRevoke]), None),
        record(&other, findings(&other, &[Action::WouldRevoke, Action::Reported]), None),
    ];
    for finding in records.iter_mut().flat_map(|record| &mut record.findings) {
        finding.for_people.since = Some(at(0));
        finding.for_people.is_unchanged = finding.rule().unwrap().id != "sgr-0a2";
    }
    let digest = notice::digest(&[&records[0], &records[1]]).unwrap();
    let [new, old] = digest.sections.as_slice() else { panic!("{digest:?}") };
    assert!(new.title.contains("(sg-0other)"), "{new:?}");
    let [first, last] = new.lines.as_slice() else { panic!("{new:?}") };
    assert!(first.contains("sgr-0a2. Open, to be checked, seen since 2026-11-23 03:00:05 UTC"), "{first}");
    assert!(
        last.starts_with("Unchanged, and still open: 1 finding, the oldest since") && last.contains("sgr-0a1"),
        "{last}"
    );
    assert_eq!(old.lines.len(), 1);
    assert!(old.lines[0].contains("9 findings") && old.lines[0].ends_with("and 4 more"), "{old:?}");
    // What needs a person is written out however often it was.
    records[1].findings[0].action = Action::Refused;
    let digest = notice::digest(&[&records[1]]).unwrap();
    assert!(digest.sections[0].lines.iter().all(|line| !line.starts_with("Unchanged")), "{digest:?}");
}

#[test]
fn a_call_that_concerns_many_groups_is_one_notice() {
    let records = situations::of_one_call();
    let all: Vec<&Record> = records.iter().collect();
    let message = notice::message_of_many(&all, notice::notice_of_call(&all, at(2)));
    assert_eq!(
        notice::notice_of_call(&all[..1], at(2)),
        notice::notice(&records[0], at(2)),
        "one group is said in full"
    );
    let many: Vec<&Record> = records.iter().cycle().take(500).collect();
    holds_its_limits(&notice::notice_of_call(&many, at(2)), &message.attributes);
}

#[test]
fn an_endpoint_is_the_clusters_whatever_its_name() {
    for cluster in ["prod", &*"c".repeat(100)] {
        let exposed = Finding::exposed(cluster, Severity::Medium, false);
        let message = notified(&record_about(About::Cluster(cluster), vec![exposed], None));
        holds_its_limits(message.notice.as_ref().unwrap(), &message.attributes);
    }
}

const HOSTILE: [&str; 10] = [
    "<!channel> <@U1> <https://evil.example|click>",
    "*bold* _it_ ~no~ `code` ```\n<!here>\n``` [a](https://evil.example) :fire:",
    "one\nSubject: all is well\r\n\r\nEverything is closed.",
    "\u{1b}[2J\u{1b}[31mred\u{1b}[0m\u{9b}1m",
    "\u{202e}dlrow eht ot nepo\u{202c}\u{200b}\u{feff}",
    "nul\0nul",
    "&lt;!channel&gt; &amp;",
    "broken \u{fffd}\u{fffd} surrogates",
    "' ; rm -rf / ; '",
    "",
];

#[test]
fn text_from_outside_formats_nothing_breaks_no_line_and_is_cut_visibly() {
    let long = "x".repeat(10_000);
    for evil in HOSTILE.into_iter().chain([long.as_str()]) {
        let mut open = kubelet();
        open.description = Some(evil.to_owned());
        open.tags = [(evil.to_owned(), evil.to_owned())].into();
        let mut group = group(vec![open]);
        group.name = evil.to_owned();
        group.clusters = [evil.to_owned()].into();
        let text = || Some(evil.to_owned());
        let actor = Actor {
            arn: text(),
            r#type: text(),
            session_issuer: text(),
            federated_provider: None,
            account: None,
            source_ip: text(),
            user_agent: text(),
            invoked_by: text(),
        };
        let event = event(actor);
        for action in [Action::Revoked, Action::Failed] {
            let mut findings = findings(&group, &[action]);
            findings[0].detail = text();
            findings[0].list = Some(ListRecord { id: "pl-1".to_owned(), name: text(), ..ListRecord::default() });
            let by = vec![Opener { arn: evil.to_owned(), times: 3 }];
            findings[0].contested = Some(Contested { times: 3, since: at(0), by });
            let for_event = Record { event_name: text(), ..record(&group, findings.clone(), Some(&event)) };
            let message = notified(&for_event);
            let notice = message.notice.as_ref().unwrap();
            holds_its_limits(notice, &message.attributes);
            assert!(!q::json(notice, &message.attributes).contains("]("), "a link out of two brackets");
            let text = email::text(notice);
            assert!(!text.lines().any(|line| line.starts_with("Subject:") || line.starts_with("Everything")), "{text}");
            assert!(text.lines().filter(|line| line.starts_with("    # ")).all(is_inert), "{text}");
            assert!(!text.contains(['\u{202e}', '\u{1b}', '\0', '\u{200b}']), "{text}");
            assert!(!text.contains(&"x".repeat(300)) || text.contains("--ip-permissions"), "{text}");
            assert!(evil.len() < 10_000 || text.contains("… (cut)"), "{text}");
            assert!(message.attributes.iter().all(|(_, value)| !value.is_empty()), "{:?}", message.attributes);
            let swept = record(&group, findings, None);
            let digest = notice::digest(&[&swept]).unwrap();
            holds_its_limits(&digest, &message.attributes);
        }
    }
}

#[test]
fn a_thousand_findings_fit_everywhere_and_what_is_left_out_is_counted() {
    let rules: Vec<Rule> = (0..10_u16)
        .map(|n| Rule {
            description: Some("d".repeat(255)),
            ..rule(&format!("sgr-{n:04}"), Packets::Tcp(n, n + 10_250), "0.0.0.0/0")
        })
        .collect();
    let group = group(rules);
    let event = event(kim());
    let some = findings(&group, &[Action::Revoked, Action::Failed, Action::Refused]);
    let all: Vec<Finding> = some.iter().cycle().take(1000).cloned().collect();
    let one = record(&group, all.clone(), Some(&event));
    let message = notified(&one);
    let notice = message.notice.as_ref().unwrap();
    holds_its_limits(notice, &message.attributes);
    assert!(email::text(notice).contains("… and 980 more, in the record of this event."));
    for form in [q::json(notice, &message.attributes), slack::json(notice)] {
        assert!(form.contains("more, in the record"), "{form}");
    }
    let many: Vec<Record> = (0..1000)
        .map(|n| {
            let mut group = group.clone();
            group.id = format!("sg-{n}");
            record(&group, all[..9].to_vec(), None)
        })
        .collect();
    let many: Vec<&Record> = many.iter().collect();
    let digest = notice::digest(&many).unwrap();
    holds_its_limits(&digest, &message.attributes);
    let text = email::text(&digest);
    assert!(
        text.contains("… and 980 more groups") && text.contains("… and 1 more, in the record of this group."),
        "{text}"
    );
}

#[test]
fn the_console_page_is_that_of_the_partition() {
    for (region, expected) in [
        (
            "eu-west-1",
            "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1#SecurityGroup:groupId=sg-0a1b2c3d4e5f60718",
        ),
        (
            "cn-north-1",
            "https://cn-north-1.console.amazonaws.cn/ec2/home?region=cn-north-1#SecurityGroup:groupId=sg-0a1b2c3d4e5f60718",
        ),
        (
            "us-gov-west-1",
            "https://console.amazonaws-us-gov.com/ec2/home?region=us-gov-west-1#SecurityGroup:groupId=sg-0a1b2c3d4e5f60718",
        ),
    ] {
        let group = group(vec![kubelet()]);
        let event = event(kim());
        let mut record = record(&group, findings(&group, &[Action::Revoked]), Some(&event));
        record.region = region.to_owned();
        let links = notice::notice(&record, at(2)).links;
        assert_eq!(links[0].url, expected);
        let host = expected.split("/ec2/").next().unwrap();
        assert_eq!(links[1].url, format!("{host}/cloudtrailv2/home?region={region}#/events/e-1"));
    }
}

#[test]
fn connections_are_cut_only_where_ec2_does_not_track_them() {
    let answer = |packets| Rule { direction: Direction::Egress, ..rule("sgr-9", packets, "0.0.0.0/0") };
    let tcp = kubelet();
    let narrow = rule("sgr-1", Packets::Tcp(22, 22), "203.0.113.0/24");
    let ping = rule("sgr-1", Packets::Icmp(None, None), "0.0.0.0/0");
    for (what, rule, others, expected) in [
        ("from everybody, and everything may answer", &tcp, vec![answer(Packets::All)], Connections::Cut),
        ("and all of TCP may answer", &tcp, vec![answer(Packets::Tcp(0, 65535))], Connections::Cut),
        ("only some ports may answer", &tcp, vec![answer(Packets::Tcp(1024, 65535))], Connections::MayGoOn),
        ("only UDP may answer", &tcp, vec![answer(Packets::Udp(0, 65535))], Connections::MayGoOn),
        ("nothing may answer", &tcp, vec![], Connections::MayGoOn),
        ("another way in is no answer", &tcp, vec![rule("sgr-9", Packets::All, "0.0.0.0/0")], Connections::MayGoOn),
        ("from some", &narrow, vec![answer(Packets::All)], Connections::MayGoOn),
        ("ICMP is always tracked", &ping, vec![answer(Packets::All)], Connections::MayGoOn),
    ] {
        assert_eq!(Connections::of(rule, &others), expected, "{what}");
    }
}

/// Whatever a form puts in place of a character that it obeys would end the quoting of a shell.
#[test]
fn a_command_is_the_same_in_every_form_or_is_left_out() {
    for hostile in ["`;touch /tmp/x;`", "';touch /tmp/x;'", "<b>&amp;", "$(touch /tmp/x)", "\u{1b}[2J\u{202e}\"\\"] {
        let mut rule = kubelet();
        rule.description = Some(hostile.to_owned());
        rule.tags = [(hostile.to_owned(), hostile.to_owned())].into();
        let group = group(vec![rule]);
        let event = event(kim());
        let message = notified(&record(&group, findings(&group, &[Action::Revoked]), Some(&event)));
        let notice = message.notice.as_ref().unwrap();
        let code = &notice.code.last().unwrap().text;
        let (remark, command) = code.split_once('\n').unwrap();
        assert!(is_inert(remark), "{remark}");
        assert!(command.contains(" authorize-security-group-ingress ") && command.ends_with(" --dry-run"), "{command}");
        assert!(!command.contains(['`', '<', '>', '&', '\n', '\u{1b}', '\u{202e}']), "{command}");
        for form in [slack::json(notice), q::json(notice, &message.attributes)] {
            let texts = texts_of(&serde_json::from_str(&form).unwrap());
            assert!(texts.iter().any(|text| text.contains(code.as_str())), "{hostile}: {form}");
        }
    }
}
