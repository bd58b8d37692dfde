//! Each sentence of "Which rules are enforced" that is about new and known is a row.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::baseline::Baseline;
use crate::model::group::{Evidence, Role, RoleEvidence};
use crate::model::member::Members;
use crate::model::rule::{Direction, Packets, Peer};

const NOW: &str = "2026-11-23T12:00:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn rule(id: &str, cidr: &str) -> Rule {
    Rule {
        id: id.into(),
        direction: Direction::Ingress,
        packets: Packets::Tcp(22, 22),
        peer: Peer::cidr(cidr).unwrap(),
        description: None,
        tags: BTreeMap::new(),
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn of(clusters: &[&str]) -> Group {
    let role = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true };
    Group { id: "sg-1".into(), clusters: names(clusters), roles: vec![role], ..Group::default() }
}

fn balancer(clusters: &[&str]) -> Group {
    let role = RoleEvidence { role: Role::LoadBalancer, evidence: Evidence::Attachment, strong: true };
    Group { roles: vec![role], ..of(clusters) }
}

/// A look an hour ago, of a guard that began in October, at a group that had `sgr-1` open to everybody.
fn remembered() -> Remembered {
    let context = Context { clusters: names(&["prod"]), ..Context::default() };
    let known = KnownRule { rule: rule("sgr-1", "0.0.0.0/0"), context, mark: None, author: None, missed: 0 };
    Remembered {
        began: Some(at("2026-10-01T00:00:00Z")),
        looked_at: Some(at("2026-11-23T11:00:00Z")),
        was_there: true,
        members: Members::new(),
        baseline: Some(Baseline { rules: [("sgr-1".to_owned(), known)].into(), ..Baseline::default() }),
    }
}

fn with(change: impl Fn(&mut KnownRule)) -> Memory {
    let mut remembered = remembered();
    remembered.baseline.iter_mut().flat_map(|baseline| baseline.rules.values_mut()).for_each(change);
    Memory::Read(remembered)
}

fn marked(mark: Mark) -> Memory {
    with(move |known| known.mark = Some(mark.clone()))
}

fn in_context_of(group: &Group) -> Memory {
    let context = Context::from(group);
    with(move |known| known.context = context.clone())
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn each_sentence_of_the_design() {
    const NEW: &str = "new";
    const KNOWN: &str = "known";
    let word = |standing: &Standing| match standing {
        Standing::New => NEW,
        Standing::Known(None) => KNOWN,
        Standing::Known(Some(Told::WhileReporting)) => "known, opened while the guard only reported",
        Standing::Known(Some(Told::WhileNotLooking)) => "known, opened while the guard was not looking",
        Standing::Refused(..) => "refused",
        Standing::Postponed(_) => "postponed",
        Standing::Unasked => "waits",
    };
    let down = || Memory::Unreadable("connection reset".to_owned());
    let was_known = || Memory::Read(remembered());
    let looked = |looked_at: Option<&str>| Memory::Read(Remembered { looked_at: looked_at.map(at), ..remembered() });
    let undecoded = || {
        let mut remembered = remembered();
        remembered.baseline.iter_mut().for_each(|baseline| baseline.undecoded = names(&["sgr-2"]));
        Memory::Read(remembered)
    };
    let without = |was_there| Memory::Read(Remembered { baseline: None, was_there, ..remembered() });
    let shared = |group: Group| Group { is_shared: true, ..group };
    let since = |group: Group, time: &str| Group { clusters_since: Some(at(time)), ..group };
    let configured = |group: Group| {
        let role = RoleEvidence { role: Role::Node, evidence: Evidence::Configured, strong: true };
        Group { roles: vec![role], ..group }
    };
    let tied = |ties: &[&str]| Group { ties: names(ties), ..of(&["prod"]) };
    let prod = || of(&["prod"]);
    let (old, other) = (rule("sgr-1", "0.0.0.0/0"), rule("sgr-2", "0.0.0.0/0"));
    let narrowed = rule("sgr-1", "203.0.113.0/24");
    let edited = Rule { packets: Packets::Tcp(22, 23), ..old.clone() };
    let described = Rule { description: Some("edited".into()), tags: [("a".into(), "b".into())].into(), ..old.clone() };
    let (elsewhere, named, attached, created) = (Led::Elsewhere, Led::Named, Led::Attached, Led::Created);
    let (claimed, reporting) = (Mark::Claimed(names(&["prod"])), Mark::Reporting);
    let not_looking = "known, opened while the guard was not looking";
    let rows: Vec<(&str, &Rule, Group, Memory, Led, &str)> = vec![
        // What an event says.
        ("what an event created is new, without asking", &old, prod(), was_known(), created, NEW),
        ("also before the first look", &old, prod(), looked(None), created, NEW),
        ("no table: what the event names is new", &old, prod(), Memory::None, named, NEW),
        ("no table: what it rewrote too", &old, prod(), Memory::None, Led::Rewrote, NEW),
        ("no table: what it puts on an attachment too", &old, prod(), Memory::None, attached, NEW),
        ("no table: everything else is known", &old, prod(), Memory::None, elsewhere, KNOWN),
        ("no table: a group attached outside now", &old, shared(prod()), Memory::None, attached, "refused"),
        ("a known rule that is named stays known", &old, prod(), was_known(), named, KNOWN),
        ("and one whose group is attached once more", &old, prod(), was_known(), attached, KNOWN),
        ("table unreadable: what the event created", &old, prod(), down(), created, NEW),
        ("table unreadable: what it only names", &old, prod(), down(), named, "postponed"),
        ("table unreadable: what it attached", &old, prod(), down(), attached, "postponed"),
        ("table unreadable: everything else", &old, prod(), down(), elsewhere, KNOWN),
        ("not answered yet: what the event created waits for nothing", &old, prod(), Memory::Unasked, created, NEW),
        ("not answered yet: everything else waits", &old, prod(), Memory::Unasked, named, "waits"),
        // First look.
        ("until the first look ends, what no event created is known", &other, prod(), looked(None), named, KNOWN),
        (
            "but for a group of which all clusters were made after the guard began",
            &other,
            since(prod(), "2026-11-01T00:00:00Z"),
            Memory::Read(Remembered { looked_at: None, was_there: false, baseline: None, ..remembered() }),
            elsewhere,
            NEW,
        ),
        ("what that look could not decode", &other, prod(), undecoded(), elsewhere, KNOWN),
        ("also where an event names it", &other, prod(), undecoded(), named, KNOWN),
        ("but for what an event rewrote since", &other, prod(), undecoded(), Led::Rewrote, NEW),
        // Known and new.
        ("a sweep finds a rule whose event was lost", &other, prod(), was_known(), elsewhere, NEW),
        ("an identical rule under a new id is new", &other, prod(), was_known(), named, NEW),
        ("known by id and content", &edited, prod(), was_known(), named, NEW),
        ("however we came to look", &edited, prod(), was_known(), elsewhere, NEW),
        ("an edit that only narrows it opens nothing", &narrowed, prod(), was_known(), named, KNOWN),
        ("only its description was edited", &described, prod(), was_known(), named, KNOWN),
        // Came later.
        ("the look was without the group", &old, prod(), without(false), elsewhere, NEW),
        ("it was another's, on nothing", &old, prod(), in_context_of(&of(&[])), attached, NEW),
        (
            "nobody's, and the policy names it since",
            &old,
            configured(prod()),
            in_context_of(&of(&[])),
            elsewhere,
            KNOWN,
        ),
        (
            "so it does a group of another team",
            &old,
            configured(prod()),
            in_context_of(&shared(of(&[]))),
            elsewhere,
            "refused",
        ),
        (
            "all its clusters were made after the guard began",
            &old,
            since(of(&["green"]), "2026-11-01T00:00:00Z"),
            was_known(),
            elsewhere,
            NEW,
        ),
        (
            "made when it began is not after that",
            &old,
            since(of(&["green"]), "2026-10-01T00:00:00Z"),
            was_known(),
            elsewhere,
            "refused",
        ),
        (
            "one of them before",
            &old,
            since(of(&["green", "prod"]), "2026-09-01T00:00:00Z"),
            was_known(),
            elsewhere,
            "refused",
        ),
        (
            "a rule that was known in the new cluster stays so",
            &old,
            since(prod(), "2026-11-01T00:00:00Z"),
            was_known(),
            elsewhere,
            KNOWN,
        ),
        // Entering.
        ("claimed, and nothing changed", &old, tied(&["prod"]), marked(claimed.clone()), elsewhere, KNOWN),
        ("claimed, and attached since", &old, tied(&["prod", "eni-1"]), marked(claimed), elsewhere, NEW),
        (
            "entered because of a report mode",
            &old,
            prod(),
            marked(reporting),
            elsewhere,
            "known, opened while the guard only reported",
        ),
        // Context.
        ("it stops being only a load balancer's", &old, prod(), in_context_of(&balancer(&["prod"])), elsewhere, NEW),
        ("it is one still", &old, balancer(&["prod"]), in_context_of(&balancer(&["prod"])), elsewhere, KNOWN),
        ("it gains a cluster", &old, of(&["green", "prod"]), was_known(), attached, "refused"),
        ("it loses one", &old, prod(), in_context_of(&of(&["blue", "prod"])), elsewhere, KNOWN),
        // Lost.
        ("a baseline that is missing", &old, prod(), without(true), elsewhere, not_looking),
        (
            "a look of more than seven days ago",
            &other,
            prod(),
            looked(Some("2026-11-16T11:59:59Z")),
            elsewhere,
            not_looking,
        ),
        ("one of less", &other, prod(), looked(Some("2026-11-16T12:00:01Z")), elsewhere, NEW),
        // Shared groups.
        ("it was there first", &old, prod(), in_context_of(&shared(of(&[]))), attached, "refused"),
        ("a rule written later is new", &other, prod(), in_context_of(&shared(of(&[]))), elsewhere, NEW),
        ("shared, but of the cluster all along", &old, shared(prod()), was_known(), elsewhere, KNOWN),
    ];
    for (sentence, rule, group, memory, led, expected) in rows {
        let found = standing(rule, &group, &memory, led, None, at(NOW));
        assert_eq!(word(&found), expected, "{sentence}");
    }
    // Lists.
    for (sentence, gained, expected) in [
        ("the list gained nothing", None, KNOWN),
        ("a known open list gained a private entry", Some(Verdict::Allow), KNOWN),
        ("it gained what is only reported", Some(Verdict::Report), KNOWN),
        ("it gained what is forbidden", Some(Verdict::Revoke), NEW),
    ] {
        assert_eq!(word(&standing(&old, &prod(), &was_known(), named, gained, at(NOW))), expected, "{sentence}");
    }
}

#[test]
fn what_closes_a_rule_of_a_group_that_gained_clusters_is_written_out() {
    for (direction, word) in [(Direction::Ingress, "ingress"), (Direction::Egress, "egress")] {
        let rule = Rule { direction, ..rule("sgr-1", "0.0.0.0/0") };
        let memory = with(|known| known.rule.direction = direction);
        let group = of(&["blue", "green", "prod"]);
        let command = format!("aws ec2 revoke-security-group-{word} --group-id sg-1 --security-group-rule-ids sgr-1");
        let Standing::Refused(Left::OtherCluster, why) = standing(&rule, &group, &memory, Led::Attached, None, at(NOW))
        else {
            panic!("it may be needed there")
        };
        assert_eq!(
            why,
            format!(
                "the rule was known before group `sg-1` came to `blue`, `green` too, and a revoke would also cut the \
                 cluster that had it. If nobody needs it: `{command}`"
            )
        );
    }
}

#[test]
fn only_a_young_authorize_creates() {
    let event = |name: &str, time: Option<&str>| Event {
        id: "e".into(),
        call: crate::event::Call::find("ec2.amazonaws.com", name).unwrap(),
        time: time.map(at),
        location: crate::model::ids::Location::new("111122223333", "us-east-1"),
        actor: crate::event::Actor::default(),
    };
    for (name, time, expected) in [
        ("AuthorizeSecurityGroupIngress", Some("2026-11-23T11:59:00Z"), Led::Created),
        ("AuthorizeSecurityGroupEgress", Some("2026-11-23T11:00:00Z"), Led::Created),
        ("AuthorizeSecurityGroupIngress", Some("2026-11-23T10:59:59Z"), Led::Named),
        ("AuthorizeSecurityGroupIngress", None, Led::Named),
        ("ModifySecurityGroupRules", Some(NOW), Led::Rewrote),
        ("ModifySecurityGroupRules", Some("2026-11-23T10:59:59Z"), Led::Named),
        ("ModifyNetworkInterfaceAttribute", Some(NOW), Led::Attached),
        ("AttachNetworkInterface", Some(NOW), Led::Attached),
        ("ModifyManagedPrefixList", Some(NOW), Led::Named),
        ("CreateTags", Some(NOW), Led::Named),
    ] {
        assert_eq!(Led::by(Some(&event(name, time)), at(NOW)), expected, "{name} {time:?}");
    }
    assert_eq!(Led::by(None, at(NOW)), Led::Elsewhere);
}
