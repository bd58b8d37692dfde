//! What is intended about a rule, by what is known of it and who speaks of it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::*;
use crate::event::{Claim, ListChange};
use crate::model::baseline::{Baseline, Context, KnownRule, Mark};
use crate::model::group::{Evidence, PeerGroup, Role, RoleEvidence};
use crate::model::region::Traffic;
use crate::model::rule::{Direction, Packets};
use crate::policy::builtin;
use crate::policy::model::PeerClass;
use crate::report::outcome::Told;

static HERE: LazyLock<Location> = LazyLock::new(|| Location::new("111122223333", "eu-west-1"));
const STRONG: RoleEvidence = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true };

/// Open to the world.
fn rule(port: u16) -> Rule {
    let world = Peer::cidr("0.0.0.0/0").unwrap();
    Rule { id: format!("sgr-{port}"), ..Rule::new(Direction::Ingress, Packets::Tcp(port, port), world) }
}

fn from(peer: &str, rule: Rule) -> Rule {
    Rule { peer: Peer::cidr(peer).unwrap(), ..rule }
}

fn list(id: &str, rule: Rule) -> Rule {
    Rule { peer: Peer::PrefixList(id.to_owned()), ..rule }
}

fn nets(texts: &[&str]) -> Addresses {
    Addresses::of_blocks(texts.iter().copied()).unwrap()
}

/// In mode `enforce`, after an event that names every rule.
fn context(memory: &Memory) -> PlanContext<'_> {
    PlanContext {
        policy: builtin::policy("standard").unwrap(),
        location: &HERE,
        now: Timestamp::UNIX_EPOCH,
        modes: Modes::new(Mode::Enforce, Mode::Enforce),
        actor: None,
        named: &Named::Everything,
        led: Led::Named,
        memory,
    }
}

fn steps(group: &Group) -> Vec<Step> {
    plan(context(&Memory::None), group)
}

/// Strong evidence says that it is `prod`'s.
fn of_prod(rules: Vec<Rule>) -> Group {
    Group { id: "sg-1".into(), clusters: ["prod".to_owned()].into(), roles: vec![STRONG], rules, ..Group::default() }
}

/// A look a moment ago, at a group of `prod` with these rules.
fn known(rules: &[Rule], mark: Option<&Mark>) -> Remembered {
    let context = Context::from(&of_prod(Vec::new()));
    let known = |rule: &Rule| {
        let (rule, context, mark) = (rule.clone(), context.clone(), mark.cloned());
        (rule.id.clone(), KnownRule { rule, context, mark, author: None, missed: 0 })
    };
    let baseline = Baseline { rules: rules.iter().map(known).collect(), ..Baseline::default() };
    Remembered { looked_at: Some(Timestamp::UNIX_EPOCH), baseline: Some(baseline), ..Remembered::default() }
}

#[test]
fn what_a_known_rule_is_left_for_counts_only_where_it_would_be_closed() {
    let rules = vec![rule(10250), rule(443), from("10.0.0.0/8", rule(8080))];
    let memory = Memory::Read(known(&rules, None));
    let group = Group { clusters: ["dev", "prod"].map(str::to_owned).into(), ..of_prod(rules) };
    for (mode, expected) in [
        (Mode::Enforce, [("refused", Some(Left::OtherCluster)), ("reported", None), ("", None)]),
        (Mode::Report, [("would be revoked", None), ("reported", None), ("", None)]),
    ] {
        let steps = plan(PlanContext { modes: Modes::new(mode, mode), ..context(&memory) }, &group);
        let word = |step: &Step| match step.intent {
            Intent::Refuse(_) => "refused",
            Intent::Report(None) => "reported",
            Intent::WouldRevoke(_) => "would be revoked",
            Intent::None => "",
            _ => "something else",
        };
        let said: Vec<_> = steps.into_iter().map(|step| (word(&step), step.for_people.left)).collect();
        assert_eq!(said, expected, "{mode:?}");
    }
}

#[test]
fn what_was_opened_while_the_guard_only_reported_is_told_once_new_rules_are_closed_again() {
    let memory = Memory::Read(known(&[rule(53)], Some(&Mark::Reporting)));
    for (mode, told, severity) in
        [(Mode::Enforce, Some(Told::WhileReporting), Severity::Critical), (Mode::Report, None, Severity::High)]
    {
        let modes = Modes::new(mode, Mode::Report);
        let steps = plan(PlanContext { modes, ..context(&memory) }, &of_prod(vec![rule(53)]));
        assert!(matches!(steps[0].intent, Intent::WouldRevoke(_)), "{steps:?}");
        assert_eq!((steps[0].for_people.told, steps[0].finding.severity), (told, Some(severity)), "{mode:?}");
    }
}

#[test]
fn only_an_edit_that_opened_something_forbidden_is_put_back() {
    let few = || from("203.0.113.0/24", rule(10250));
    for (what, before, now, intent, has_former) in [
        ("widened", few(), rule(10250), Intent::PutBack, true),
        ("narrowed, and still forbidden", rule(10250), few(), Intent::Revoke, false),
        ("another rule, not forbidden", few(), from("10.0.0.0/8", rule(10250)), Intent::Report(None), false),
        ("the same", few(), few(), Intent::Revoke, false),
    ] {
        let memory = Memory::Read(known(&[before], None));
        let steps = plan(context(&memory), &of_prod(vec![now]));
        assert_eq!((&steps[0].intent, steps[0].former.is_some()), (&intent, has_former), "{what}");
    }
}

#[test]
fn what_a_list_gained_is_judged_by_itself() {
    for (port, gained, is_new, has_gained) in [
        (10250, "203.0.113.0/24", true, true),
        (10250, "10.0.0.0/8", false, true),
        (8080, "10.0.0.0/8", false, false),
        (8080, "192.168.0.0/17", false, false),
    ] {
        let uses_list = list("pl-1", rule(port));
        let mut remembered = known(std::slice::from_ref(&uses_list), None);
        let had = ["192.168.0.0/16".parse().unwrap()].into();
        remembered.baseline.as_mut().unwrap().lists = [("pl-1".to_owned(), had)].into();
        let entries = PrefixList::Entries(nets(&["192.168.0.0/16", gained]));
        let prefix_lists = [("pl-1".to_owned(), entries)].into();
        let group = Group { prefix_lists, ..of_prod(vec![Rule { id: "sgr-0".into(), ..rule(10250) }, uses_list]) };
        let steps = plan(context(&Memory::Read(remembered)), &group);
        let found = (steps[1].standing == Standing::New, steps[1].for_people.has_gained);
        assert_eq!(found, (is_new, has_gained), "{port} {gained}");
    }
}

#[test]
fn only_who_wrote_a_rule_is_its_author() {
    let role = "arn:aws:iam::111122223333:role/cluster";
    let actor = Actor { session_issuer: Some(role.to_owned()), ..Actor::default() };
    let rule = list("pl-1", rule(443));
    let group = Group { cluster_role_arns: [role.to_owned()].into(), ..of_prod(vec![rule.clone()]) };
    let by_id = |id: &str| Named::Rules(vec![NamedRule { id: Some(id.to_owned()), claim: None }]);
    let change = ListChange { list: "pl-1".into(), gained: Vec::new(), restored: None };
    for (what, led, named, expected) in [
        ("created it", Led::Created, by_id("sgr-443"), Author::Controller),
        ("created another", Led::Created, by_id("sgr-80"), Author::Unknown),
        ("changed the group", Led::Named, Named::Everything, Author::Controller),
        ("attached the group", Led::Attached, Named::Everything, Author::Unknown),
        ("changed its list", Led::Named, Named::Using(change), Author::Unknown),
        ("named nothing", Led::Named, Named::Nothing, Author::Unknown),
    ] {
        let context = PlanContext { actor: Some(&actor), led, named: &named, ..context(&Memory::None) };
        assert_eq!(context.author(&rule, &group), expected, "{what}");
    }
}

#[test]
fn a_rule_is_named_by_its_id_or_by_all_that_is_said_of_it() {
    let live = rule(443);
    let claim = |rule: Rule| NamedRule::of(&rule);
    let any_direction = Claim { direction: None, packets: live.packets, peer: live.peer.clone() };
    for (what, named, expected) in [
        ("its content", claim(live.clone()), true),
        ("another direction", claim(Rule { direction: Direction::Egress, ..live.clone() }), false),
        ("another port", claim(rule(80)), false),
        ("another peer", claim(from("10.0.0.0/8", live.clone())), false),
        ("no direction", NamedRule { id: None, claim: Some(any_direction) }, true),
        ("its id, and another port", NamedRule { id: Some("sgr-443".into()), ..claim(rule(80)) }, true),
        ("another id", NamedRule { id: Some("sgr-80".into()), ..claim(live.clone()) }, false),
        ("nothing", NamedRule { id: None, claim: None }, false),
    ] {
        assert_eq!(names(&named, &live), expected, "{what}");
    }
}

#[test]
fn a_rule_for_a_group_of_the_cluster_is_revoked_only_by_a_clause_that_names_such_groups() {
    let of_peer =
        |same_cluster, may_be_same_cluster| PeerGroup { same_cluster, may_be_same_cluster, ..PeerGroup::default() };
    let peers =
        [("sg-same", of_peer(true, true)), ("sg-tagged", of_peer(false, true)), ("sg-other", of_peer(false, false))];
    let peers = peers.map(|(id, peer)| (id.to_owned(), peer)).into();
    let group = Group { peers, ..of_prod(Vec::new()) };
    for (id, left) in [("sg-1", "refused"), ("sg-same", "refused"), ("sg-tagged", "reported"), ("sg-other", "revoked")]
    {
        for (names_cluster_groups, expected) in [(false, left), (true, "revoked")] {
            let rule = Rule { peer: Peer::Group { id: id.to_owned(), owner: None }, ..rule(10250) };
            let portion = Portion {
                clause: "own".into(),
                position: None,
                traffic: Traffic::from(rule.packets),
                peer_class: PeerClass::SameCluster,
                addresses: None,
                verdict: Verdict::Revoke,
                severity: Some(Severity::High),
                reason: "a reason".into(),
                strong: true,
                names_cluster_groups,
            };
            let (verdict, severity, portions) = (portion.verdict, portion.severity, vec![portion]);
            let finding = JudgedRule { rule, verdict, severity, portions };
            let found = match intend(&finding, &group, Mode::Enforce, None) {
                Intent::Refuse(_) => "refused",
                Intent::Report(Some(_)) => "reported",
                Intent::Revoke => "revoked",
                _ => "something else",
            };
            assert_eq!(found, expected, "{id} {names_cluster_groups}");
        }
    }
}

#[test]
fn the_internal_group_of_outposts_is_known_by_its_name() {
    let weak = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: false };
    for (name, word) in [(format!("{INTERNAL_GROUP}prod"), "Outposts"), ("nodes".to_owned(), "weak evidence")] {
        let group = Group { name, roles: [weak].into(), rules: vec![rule(10250)], ..Group::default() };
        let steps = steps(&group);
        assert!(matches!(&steps[0].intent, Intent::Report(Some(why)) if why.contains(word)), "{steps:?}");
    }
}

/// Such as a load balancer's group, whose rules exist before its interfaces.
#[test]
fn of_a_group_that_only_tags_claim_and_nothing_is_attached_to_only_forbidden_rules_are_told() {
    for (is_unattached, strong, https, kubelet) in [
        (true, false, None, Some(Severity::Medium)),
        (false, false, Some(Severity::High), Some(Severity::Critical)),
        (true, true, Some(Severity::High), Some(Severity::Critical)),
    ] {
        let role = RoleEvidence { role: Role::Node, evidence: Evidence::Tag, strong };
        let rules = vec![rule(443), rule(10250)];
        let group = Group { is_unattached, roles: [role].into(), rules, ..Group::default() };
        let steps = steps(&group);
        let told = |step: &Step| (step.intent != Intent::None).then_some(step.finding.severity).flatten();
        assert_eq!([told(&steps[0]), told(&steps[1])], [https, kubelet], "{is_unattached} {strong}");
        assert_eq!(steps[1].finding.verdict, Verdict::Revoke, "the plan never changes a verdict");
        let says_why = matches!(&steps[1].intent, Intent::Report(Some(why)) if why.contains("nothing is attached yet"));
        assert_eq!(says_why, is_unattached && !strong);
    }
}

#[test]
fn what_may_be_a_vpcs_own_range_waits_until_that_can_be_read() {
    for (entries, waits) in [
        (&["0.0.0.0/0"][..], false),
        (&["203.0.0.0/15"], false),
        (&["203.0.0.0/16"], true),
        (&["203.0.113.0/24"], true),
        (&["10.0.0.0/8", "203.0.113.0/24"], true),
        (&["2000::/3"], false),
        (&["2001:db8::/48"], true),
    ] {
        let prefix_lists = BTreeMap::from([("pl-1".to_owned(), PrefixList::Entries(nets(entries)))]);
        let group = Group { prefix_lists, ..of_prod(vec![list("pl-1", rule(10250))]) };
        assert_eq!(steps(&group)[0].intent, Intent::Revoke, "{entries:?}");
        let unread = Group { ranges_unread: true, ..group };
        assert_eq!(steps(&unread)[0].intent != Intent::Revoke, waits, "{entries:?}");
    }
}
