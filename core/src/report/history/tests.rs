use ipnet::IpNet;
use proptest::prelude::*;

use super::sighting::LetsIn;
use super::*;
use crate::event::Event;
use crate::model::ids::Location;
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::policy::judge::JudgedRule;
use crate::policy::model::{Severity, Verdict};
use crate::report::finding::Finding;
use crate::report::outcome::{Outcome, Told};

pub(super) fn location() -> Location {
    Location::new("111122223333", "us-east-1")
}

/// So many minutes after noon.
pub(super) fn at(minutes: i64) -> Timestamp {
    "2026-11-01T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

pub(super) fn finding(action: Action) -> Finding {
    of(rule("sgr-1", "0.0.0.0/0"), action)
}

pub(super) fn of(rule: Rule, action: Action) -> Finding {
    let judged = JudgedRule { rule, verdict: Verdict::Revoke, severity: None, portions: vec![] };
    Finding::of_rule(judged, (true, false), action, None)
}

pub(super) fn rule(id: &str, cidr: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        direction: Direction::Ingress,
        packets: Packets::Tcp(10250, 10250),
        peer: Peer::Cidr(cidr.parse::<IpNet>().unwrap()),
        description: None,
        tags: BTreeMap::new(),
    }
}

fn opened(minutes: i64) -> Sighting {
    Sighting { opened: Some((at(minutes), Some("ann".to_owned()))), ..seen(Action::Revoked) }
}

fn seen(action: Action) -> Sighting {
    Sighting {
        action,
        opened: None,
        quiet_for: if action.outcome() >= Outcome::Refused { SignedDuration::ZERO } else { QUIET_PERIOD },
        is_report: false,
        rule: None,
        principal: None,
        said: Said::default(),
    }
}

/// A rule that is only to be looked at, written under this id by this principal.
fn written(rule: &str, principal: &str) -> Sighting {
    let principal = Some(principal.to_owned()).filter(|name| !name.is_empty());
    Sighting { is_report: true, rule: Some(rule.to_owned()), principal, ..seen(Action::Reported) }
}

fn by(principal: &str, minutes: i64) -> Sighting {
    Sighting { principal: Some(principal.to_owned()), ..opened(minutes) }
}

fn saying(severity: Severity, why_left: Option<Told>) -> Sighting {
    let said = Said { severity: Some(severity), why_left, lets_in: None };
    Sighting { said, ..seen(Action::WouldRevoke) }
}

fn letting_in(blocks: &[&str]) -> Sighting {
    let blocks: Vec<IpNet> = blocks.iter().map(|block| block.parse().unwrap()).collect();
    let said = Said { lets_in: Some(LetsIn::of(&blocks)), ..Said::default() };
    Sighting { said, ..seen(Action::Reported) }
}

fn tried(action: Action) -> Sighting {
    seen(action).tried_again()
}

fn left(action: Action) -> Sighting {
    Sighting { quiet_for: DAY, ..seen(action) }
}

/// What people are notified of, sighting by sighting.
fn notified(sightings: &[(i64, Sighting)]) -> Vec<&'static str> {
    let mut history = History::default();
    let mut said = Vec::new();
    for (minutes, sighting) in sightings {
        let notification = history.notification(sighting, at(*minutes));
        history = history.with(sighting, &notification, at(*minutes));
        said.push(match notification {
            Notification::Send => "send",
            Notification::Quiet { .. } => "quiet",
            Notification::Contested(_) => "contested",
        });
    }
    said
}

/// A sentence, what is seen, each with the minute, and what people are notified of.
type Row<'a> = (&'a str, &'a [(i64, Sighting)], &'a [&'a str]);

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_is_told() {
    use Action::{AlreadyGone, Changed, Failed, Refused, Reported, Revoked, WouldRevoke};
    let day = 24 * 60;
    let rows: &[Row] = &[
        ("the first time is sent", &[(0, opened(0))], &["send"]),
        ("a second time within the hour is not", &[(0, opened(0)), (59, opened(59))], &["send", "quiet"]),
        ("a second time after the hour is", &[(0, opened(0)), (60, opened(60))], &["send", "send"]),
        (
            "what stands open is sent once an hour, however often it is seen",
            &[
                (0, seen(Reported)),
                (1, seen(Reported)),
                (59, seen(Reported)),
                (60, seen(Reported)),
                (119, seen(Reported)),
                (120, seen(Reported)),
            ],
            &["send", "quiet", "quiet", "send", "quiet", "send"],
        ),
        (
            "what was there and is left to a person is sent once a day",
            &[(0, left(Refused)), (61, left(Refused)), (day - 1, left(Refused)), (day, left(Refused))],
            &["send", "quiet", "quiet", "send"],
        ),
        (
            "and at once when it was something else before",
            &[(0, seen(WouldRevoke)), (1, left(Refused)), (2, left(Refused))],
            &["send", "send", "quiet"],
        ),
        (
            "the third opening in a day is contested, even within the hour",
            &[(0, opened(0)), (1, opened(1)), (2, opened(2))],
            &["send", "quiet", "contested"],
        ),
        (
            "after that the windows hold again, and it is contested once a day",
            &[(0, opened(0)), (1, opened(1)), (2, opened(2)), (3, opened(3)), (62, opened(62)), (63, opened(63))],
            &["send", "quiet", "contested", "quiet", "send", "quiet"],
        ),
        (
            "a day later it is contested again",
            &[
                (0, opened(0)),
                (1, opened(1)),
                (2, opened(2)),
                (day, opened(day)),
                (day + 1, opened(day + 1)),
                (day + 2, opened(day + 2)),
            ],
            &["send", "quiet", "contested", "send", "quiet", "contested"],
        ),
        (
            "an opening exactly a day ago does not count",
            &[(0, opened(0)), (day - 1, opened(day - 1)), (day, opened(day))],
            &["send", "send", "quiet"],
        ),
        (
            "an opening just within the day counts",
            &[(0, opened(0)), (day - 2, opened(day - 2)), (day - 1, opened(day - 1))],
            &["send", "send", "contested"],
        ),
        (
            "one event is one opening, however often it comes",
            &[(0, opened(0)), (1, opened(0)), (2, opened(0)), (3, opened(0))],
            &["send", "quiet", "quiet", "quiet"],
        ),
        (
            "openings count in whatever order they come",
            &[(10, opened(2)), (11, opened(0)), (12, opened(1))],
            &["send", "quiet", "contested"],
        ),
        (
            "standing there is not coming back",
            &[(0, seen(WouldRevoke)), (70, seen(WouldRevoke)), (140, seen(WouldRevoke)), (210, seen(WouldRevoke))],
            &["send", "send", "send", "send"],
        ),
        (
            "what needs a person is sent each time",
            &[(0, seen(Failed)), (1, seen(Failed)), (2, seen(Refused)), (3, seen(Refused))],
            &["send", "send", "send", "send"],
        ),
        (
            "but not at each of the guard's own tries",
            &[(0, seen(Failed)), (1, tried(Failed)), (59, tried(Failed)), (60, tried(Failed)), (61, tried(Refused))],
            &["send", "quiet", "quiet", "send", "send"],
        ),
        (
            "another end of it is news",
            &[
                (0, seen(WouldRevoke)),
                (1, seen(Revoked)),
                (2, seen(WouldRevoke)),
                (3, seen(Failed)),
                (4, seen(Revoked)),
            ],
            &["send", "send", "send", "send", "send"],
        ),
        (
            "that it is gone is no news",
            &[(0, seen(Revoked)), (1, seen(AlreadyGone)), (2, seen(Changed))],
            &["send", "quiet", "quiet"],
        ),
        (
            "that it is back is",
            &[(0, seen(AlreadyGone)), (1, seen(AlreadyGone)), (2, opened(2))],
            &["send", "quiet", "send"],
        ),
        (
            "another principal is news, each once a day",
            &[(0, by("ann", 0)), (1, by("bob", 1)), (2, by("ann", 0)), (3, by("bob", 1)), (4, by("eve", 1))],
            &["send", "send", "quiet", "quiet", "send"],
        ),
        (
            "who was not known before is no other one",
            &[(0, seen(Revoked)), (1, by("ann", 1)), (2, seen(Revoked))],
            &["send", "quiet", "quiet"],
        ),
        (
            "a higher severity is news, a lower one is not",
            &[
                (0, saying(Severity::Medium, None)),
                (1, saying(Severity::High, None)),
                (2, saying(Severity::Medium, None)),
                (3, saying(Severity::High, None)),
                (4, saying(Severity::Critical, None)),
            ],
            &["send", "send", "quiet", "quiet", "send"],
        ),
        (
            "another reason why it is left is news",
            &[
                (0, saying(Severity::Critical, None)),
                (1, saying(Severity::Critical, Some(Told::WhileReporting))),
                (2, saying(Severity::Critical, Some(Told::WhileReporting))),
                (3, saying(Severity::Critical, None)),
                (4, saying(Severity::Critical, Some(Told::WhileNotLooking))),
            ],
            &["send", "send", "quiet", "quiet", "send"],
        ),
        (
            "a list that gained addresses is news, one that lost some or was cut otherwise is not",
            &[
                (0, letting_in(&["198.51.100.0/24"])),
                (1, letting_in(&["198.51.100.0/25", "198.51.100.128/25"])),
                (2, letting_in(&["198.51.100.0/25"])),
                (3, seen(Reported)),
                (4, letting_in(&["198.51.100.0/24", "0.0.0.0/0"])),
                (5, letting_in(&["0.0.0.0/0"])),
                (6, letting_in(&["0.0.0.0/0", "::/0"])),
            ],
            &["send", "quiet", "quiet", "quiet", "send", "quiet", "send"],
        ),
        (
            "who writes his own again within a day tells nobody anything",
            &[
                (0, written("sgr-1", "ci")),
                (120, written("sgr-2", "ci")),
                (240, written("sgr-3", "ci")),
                (240 + day, written("sgr-4", "ci")),
            ],
            &["send", "quiet", "quiet", "send"],
        ),
        ("but that it stands still is", &[(0, written("sgr-1", "ci")), (60, written("sgr-1", ""))], &["send", "send"]),
        (
            "and so is that somebody else writes it",
            &[(0, written("sgr-1", "ci")), (120, written("sgr-2", "ann"))],
            &["send", "send"],
        ),
        (
            "and what should be closed",
            &[
                (0, Sighting { is_report: false, ..written("sgr-1", "ci") }),
                (120, Sighting { is_report: false, ..written("sgr-2", "ci") }),
            ],
            &["send", "send"],
        ),
    ];
    for (name, sightings, expected) in rows {
        assert_eq!(notified(sightings), *expected, "{name}");
    }
}

#[test]
fn a_clock_that_went_wrong_silences_nothing() {
    let history = History::default().with(&opened(0), &Notification::Send, at(600));
    assert_eq!(history.notification(&opened(0), at(0)), Notification::Send);
    let history = History { contested: Some(Timestamp::MAX), ..history };
    let history = history.with(&opened(1), &Notification::Send, at(1)).with(&opened(2), &Notification::Send, at(2));
    assert!(matches!(history.notification(&opened(3), at(3)), Notification::Contested(_)));
}

#[test]
fn what_a_process_wrote_that_read_its_clock_a_moment_later_counts() {
    let later = at(0) + SignedDuration::from_millis(5);
    let history = History::default().with(&opened(0), &Notification::Send, later);
    assert_eq!(history.notification(&opened(0), at(0)), Notification::Quiet { last: later });
}

#[test]
fn contested_says_who_and_how_often_the_most_often_first() {
    let by = |name: &str, minutes| Sighting {
        opened: Some((at(minutes), Some(name.to_owned()).filter(|name| !name.is_empty()))),
        ..seen(Action::Revoked)
    };
    let mut history = History::default();
    for sighting in [by("old", -1440), by("bob", 1), by("zoe", 2), by("", 3)] {
        history = history.with(&sighting, &Notification::Send, at(5));
    }
    let Notification::Contested(contested) = history.notification(&by("zoe", 4), at(5)) else {
        panic!("not contested")
    };
    let by = vec![("zoe".to_owned(), 2), ("bob".to_owned(), 1)];
    assert_eq!(
        contested,
        Contested { times: 4, since: at(1), by: by.into_iter().map(|(arn, times)| Opener { arn, times }).collect() }
    );
}

#[test]
fn a_past_stays_small_and_keeps_the_newest() {
    let long = "ø".repeat(5000);
    let event = |minutes| Event {
        id: "e".to_owned(),
        call: &crate::event::CALLS[0],
        time: Some(at(minutes)),
        location: Location::default(),
        actor: crate::event::Actor { arn: Some(format!("{long}{minutes}")), ..crate::event::Actor::default() },
    };
    let mut history = History::default();
    for minutes in 0..200 {
        let sighting = Sighting::of(&finding(Action::Revoked), Some(&event(minutes)), at(minutes));
        history = history.with(&sighting, &history.notification(&sighting, at(minutes)), at(minutes));
    }
    assert_eq!(history.openings.len(), MAX_OPENINGS);
    assert_eq!(history.openings.keys().next(), Some(&at(150)));
    assert!(serde_json::to_vec(&history).unwrap().len() < 30_000);
    let merged = history.clone().merge(history.with(&opened(500), &Notification::Send, at(500)));
    assert_eq!((merged.openings.len(), merged.ends()), (MAX_OPENINGS, Some(at(500 + 1440))));
}

#[test]
fn a_past_comes_back_from_json_and_ends_a_day_after_the_last_thing_in_it() {
    let history = History::default().with(&opened(0), &Notification::Send, at(5));
    assert_eq!(serde_json::from_str::<History>(&serde_json::to_string(&history).unwrap()).unwrap(), history);
    assert_eq!(history.ends(), Some(at(5 + 1440)));
    assert_eq!(History::default().ends(), None);
    assert_eq!(History { contested: Some(Timestamp::MAX), ..history }.ends(), Some(Timestamp::MAX));
}

#[test]
fn it_says_since_when_a_rule_stands_and_whether_that_is_known() {
    let mut history = History::default();
    let day = 24 * 60;
    for (minutes, sighting, since, is_unchanged) in [
        (0, written("sgr-1", ""), Some(0), false),
        (7 * day, written("sgr-1", ""), Some(0), true),
        (7 * day + 1, Sighting { said: saying(Severity::High, None).said, ..written("sgr-1", "") }, Some(0), true),
        (7 * day + 2, written("sgr-2", ""), Some(7 * day + 2), false),
        (16 * day, written("sgr-2", ""), Some(16 * day), true),
        (16 * day + 1, seen(Action::Revoked), Some(16 * day), false),
    ] {
        let expected = (since.map(at), is_unchanged);
        assert_eq!(history.standing(&sighting, at(minutes)), expected, "{minutes}");
        history = history.with(&sighting, &Notification::Send, at(minutes));
    }
}

#[test]
fn what_an_earlier_edition_kept_is_read_and_makes_nothing_news() {
    let old = r#"{"openings": {}, "told": ["2026-11-01T12:00:00Z", "reported"], "contested": null}"#;
    let history: History = serde_json::from_str(old).unwrap();
    for sighting in [letting_in(&["0.0.0.0/0"]), written("sgr-1", "ann")] {
        assert_eq!(history.notification(&sighting, at(1)), Notification::Quiet { last: at(0) });
    }
    let many: Vec<IpNet> = (0..2000).map(|n| format!("10.{}.{}.0/32", n / 250, n % 250).parse().unwrap()).collect();
    let said = Said { lets_in: Some(LetsIn::of(&many)), ..Said::default() };
    let history = history.with(&Sighting { said, ..seen(Action::Reported) }, &Notification::Send, at(1));
    assert!(serde_json::to_vec(&history).unwrap().len() < 500, "a list of any length");
}

/// Events that come late and out of order, and sweeps between them.
fn sightings() -> impl Strategy<Value = Vec<(i64, Sighting)>> {
    let actions = prop::sample::select(vec![Action::Reported, Action::WouldRevoke, Action::Revoked, Action::Refused]);
    let one = (0..400_i64, 0..300_i64, actions, any::<bool>());
    prop::collection::vec(one, 0..60).prop_map(|steps| {
        let mut now = 0;
        let sighting = |(pause, late, action, is_opened): (i64, i64, Action, bool)| {
            now += pause;
            let opened = is_opened
                .then(|| (at((now - late).div_euclid(60) * 60), (late % 3 > 0).then(|| format!("user {}", late % 3))));
            (now, Sighting { opened, ..seen(action) })
        };
        steps.into_iter().map(sighting).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn nothing_is_silent_for_longer_than_the_window_and_nothing_is_contested_twice_a_day(sightings in sightings()) {
        let said = notified(&sightings);
        let last = |what: fn(&str) -> bool, before: usize| {
            said.iter().zip(&sightings).take(before).rev().find(|(said, _)| what(said)).map(|(_, (now, _))| *now)
        };
        for (n, (now, sighting)) in sightings.iter().enumerate() {
            if said[n] == "quiet" {
                let notified = last(|said| said != "quiet", n).unwrap();
                prop_assert!(now - notified < 60 && sighting.action < Action::Refused);
            }
            if said[n] == "contested" {
                prop_assert!(sighting.opened.is_some());
                prop_assert!(last(|said| said == "contested", n).is_none_or(|before| now - before >= 24 * 60));
            }
        }
    }

    #[test]
    fn pasts_merge_in_any_order(one in sightings(), two in sightings(), three in sightings()) {
        let history = |sightings: Vec<(i64, Sighting)>| {
            sightings.iter().fold(History::default(), |history, (now, sighting)| {
                history.with(sighting, &history.notification(sighting, at(*now)), at(*now))
            })
        };
        let (one, two, three) = (history(one), history(two), history(three));
        prop_assert_eq!(one.clone().merge(one.clone()), one.clone());
        prop_assert_eq!(one.clone().merge(two.clone()), two.clone().merge(one.clone()));
        prop_assert_eq!(one.clone().merge(two.clone()).merge(three.clone()), one.merge(two.merge(three)));
    }
}

#[test]
fn what_is_said_once_is_quiet_as_long_as_it_stands_and_news_when_it_is_worse() {
    let unread = |severity| Sighting {
        quiet_for: SignedDuration::MAX,
        rule: Some("trails-unread".to_owned()),
        ..Sighting { said: Said { severity: Some(severity), ..Said::default() }, ..seen(Action::Reported) }
    };
    let first = unread(Severity::Medium);
    let known = History::default().with(&first, &Notification::Send, at(0));
    for minutes in [1, 61, 1_441, 10_000] {
        let notification = known.notification(&first, at(minutes));
        assert_eq!(notification, Notification::Quiet { last: at(0) }, "after {minutes} min");
    }
    assert_eq!(known.notification(&unread(Severity::High), at(2)), Notification::Send);
    assert!(known.ends() > Some(at(7 * 1_440)), "longer than sweeps are apart");
}

#[test]
fn what_was_over_in_between_is_news_at_once() {
    let blind = Sighting { rule: Some("no-trail".to_owned()), ..seen(Action::Reported) };
    let known = History::default().with(&blind, &Notification::Send, at(0));
    assert_eq!(known.notification(&blind, at(5)), Notification::Quiet { last: at(0) });
    let over = known.over(at(6)).unwrap();
    assert_eq!(over.notification(&blind, at(7)), Notification::Send);
    assert_eq!(known.clone().merge(over.clone()).notification(&blind, at(7)), Notification::Send);
    assert_eq!((over.over(at(8)), History::default().over(at(8))), (None, None), "nothing to keep");
}
