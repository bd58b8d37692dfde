use super::*;
use crate::model::rule::{Direction, Packets, Peer};
use crate::policy::model::Verdict;
use crate::report::outcome::Action;

fn at(minutes: i64) -> Timestamp {
    "2026-11-23T03:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

fn rule(id: &str, port: u16) -> Rule {
    let world = Peer::cidr("0.0.0.0/0").unwrap();
    Rule { id: id.into(), ..Rule::new(Direction::Ingress, Packets::Tcp(port, port), world) }
}

fn entry(event: &str, minutes: i64, rule: Rule) -> Entry {
    let finding = Finding::read_denied(String::new());
    let finding = Finding {
        subject: Subject::Rule(rule),
        action: Action::Revoked,
        verdict: Verdict::Revoke,
        detail: None,
        ..finding
    };
    Entry { finding, after: None, event: Some(event.into()), at: at(minutes), done_at: None, told: false }
}

fn begins(event: &str, minutes: i64, port: u16) -> Note {
    let caller = Caller { source: "ec2".into(), name: event.into(), time: None, actor: Actor::default() };
    let entries = vec![entry(event, minutes, rule("sgr-1", port))];
    Note { event: Some((event.into(), caller)), entries, ..Note::default() }
}

fn event(id: &str, minutes: i64) -> Event {
    let (call, location) = (&crate::event::CALLS[0], Location::default());
    Event { id: id.into(), call, time: Some(at(minutes)), location, actor: Actor::default() }
}

fn tells(event: &str, port: u16) -> Note {
    Note { told: [key(&rule("sgr-1", port), Some(event))].into(), ..Note::default() }
}

fn confirms(event: &str, minutes: i64, port: u16) -> Note {
    let mut note = begins(event, minutes, port);
    note.entries.iter_mut().for_each(|entry| entry.done_at = Some(at(minutes + 1)));
    note
}

/// Events and minutes of what is there.
fn those(entries: impl IntoIterator<Item = Entry>) -> Vec<(String, i64)> {
    let of = |entry: Entry| (entry.event.unwrap(), entry.at.duration_since(at(0)).as_mins());
    let mut those: Vec<_> = entries.into_iter().map(of).collect();
    those.sort();
    those
}

fn of(those: &[(&str, i64)]) -> Vec<(String, i64)> {
    those.iter().map(|(event, minutes)| ((*event).to_owned(), *minutes)).collect()
}

#[test]
fn of_tries_of_one_event_the_first_counts_until_it_is_told_or_struck() {
    let begun = Journal::default().with(&begins("e-1", 0, 22), at(0));
    let again = |journal: &Journal| those(journal.clone().with(&begins("e-1", 1, 22), at(1)).entries.into_values());
    assert_eq!(again(&begun), of(&[("e-1", 0)]));
    let told = begun.clone().with(&tells("e-1", 22), at(1));
    assert!(told.has_told("e-1") && told.untold(&[]).is_empty());
    assert_eq!(again(&told), of(&[("e-1", 1)]));

    let strikes = |event, minutes| Note { struck: begins(event, minutes, 22).entries, ..Note::default() };
    assert!(begun.clone().with(&strikes("e-1", 0), at(1)).entries.is_empty());
    let is_held = |journal: &Journal| journal.holds("sgr-1", Some(&event("e-1", 0)), |_| false);
    assert!(is_held(&begun.clone().with(&strikes("e-2", 1), at(1))), "another event's is not ours to strike");
    let done = begun.clone().with(&confirms("e-1", 0, 22), at(1)).with(&strikes("e-1", 0), at(1));
    assert!(is_held(&done), "the other of two tries at once has done it");
    assert!(begun.with(&Note::default(), at(72 * 60)).entries.is_empty(), "it ends");
}

/// A rule that was put back can be edited again, by the same call or another.
#[test]
fn what_happens_to_a_rule_again_takes_nothing_from_what_is_not_told_yet() {
    let put_back = |mut note: Note| {
        note.entries.iter_mut().for_each(|entry| entry.after = Some(rule("sgr-1", 443)));
        note
    };
    let first = Journal::default().with(&put_back(confirms("e-1", 0, 22)), at(1));
    for (event, port) in [("e-2", 22), ("e-2", 23), ("e-1", 23)] {
        for then in [put_back(confirms(event, 2, port)), confirms(event, 2, port)] {
            let both = first.clone().with(&then, at(3));
            assert_eq!(those(both.untold(&[])), of(&[("e-1", 0), (event, 2)]), "{event} {port}");
            let told = both.with(&tells(event, port), at(4));
            assert_eq!(those(told.untold(&[])), of(&[("e-1", 0)]), "{event} {port}");
        }
    }
}

/// The same edit once more, and back before anybody looked: what was done to the first one says nothing of it.
#[test]
fn what_was_done_before_an_event_is_not_what_became_of_its_rule() {
    let journal = Journal::default().with(&confirms("e-1", 10, 22), at(11));
    let holds = |id, minutes| journal.holds("sgr-1", Some(&event(id, minutes)), |was| *was == rule("sgr-1", 22));
    assert!(holds("e-1", 10) && holds("e-2", 9) && holds("e-2", 10));
    assert!(!holds("e-2", 11) && holds("e-1", 11), "an event of another call, a minute later");
}

/// Somebody died between writing and the call, and another event led to it.
#[test]
fn who_revoked_a_rule_disproves_an_earlier_call_that_nobody_read_back() {
    let begun = Journal::default().with(&begins("e-1", 0, 22), at(0));
    assert_eq!(those(begun.clone().with(&begins("e-2", 1, 22), at(1)).untold(&[])), of(&[("e-1", 0), ("e-2", 1)]));
    assert_eq!(those(begun.with(&confirms("e-2", 1, 22), at(1)).untold(&[])), of(&[("e-2", 1)]));
}

#[test]
fn what_an_earlier_edition_kept_by_rule_id_is_the_same_entry() {
    let old = entry("e-1", 0, rule("sgr-1", 22));
    let old = Journal { entries: [("sgr-1".to_owned(), old)].into(), ..Journal::default() };
    assert_eq!(those(old.clone().with(&begins("e-1", 1, 22), at(1)).entries.into_values()), of(&[("e-1", 0)]));
    assert!(old.with(&tells("e-1", 22), at(1)).untold(&[]).is_empty());
}

#[test]
fn what_was_told_was_done_by_then_and_what_was_done_since_is_not_told() {
    let told = |note: Note| Journal::default().with(&note, at(0)).with(&tells("e-1", 22), at(2)).entries.into_values();
    for (name, note, closed_at, is_told) in [
        ("as it was read back", confirms("e-1", 0, 22), Some(at(1)), true),
        ("at a time that nobody knows", confirms("e-1", 0, 22), None, true),
        ("put back once more", confirms("e-1", 0, 22), Some(at(2)), false),
        ("once more, and the first was never read back", begins("e-1", 0, 22), Some(at(1)), false),
    ] {
        assert!(told(note).all(|entry| entry.has_told(closed_at) == is_told), "{name}");
    }
    let untold = Journal::default().with(&confirms("e-1", 0, 22), at(0));
    assert!(!untold.entries.values().any(|entry| entry.has_told(None)));
}

#[test]
fn only_what_is_done_and_left_over_is_joined() {
    let journal = Journal::default().with(&begins("e-1", 0, 22), at(0));
    for (event, minutes, live, is_joined) in [
        (Some("e-1"), 0, vec![], true),
        (Some("e-1"), 0, vec![rule("sgr-1", 22)], false),
        (Some("e-2"), 1, vec![], false),
        (Some("e-2"), 2, vec![], true),
        (None, 1, vec![], false),
        (None, 2, vec![], true),
    ] {
        let left = journal.left_over(event, None, &live, at(minutes));
        assert_eq!(!left.is_empty(), is_joined, "{event:?} after {minutes} min");
    }
    let mut swept = begins("e-1", 0, 22);
    swept.entries.iter_mut().for_each(|entry| entry.event = None);
    let swept = Journal::default().with(&swept, at(0));
    for (event, minutes, is_joined) in
        [(Some("e-1"), 179, false), (Some("e-1"), 181, true), (None, 1, false), (None, 2, true)]
    {
        assert_eq!(
            !swept.left_over(event, None, &[], at(minutes)).is_empty(),
            is_joined,
            "{event:?} after {minutes} min"
        );
        assert_eq!(!swept.untold_of_events(&[], at(minutes)).is_empty(), minutes > 180);
    }
    // Another try of the same part does not wait for the first one.
    for (began, is_joined) in [(0, true), (1, false)] {
        let left = swept.left_over(None, Some(at(began)), &[], at(1));
        assert_eq!(!left.is_empty(), is_joined, "a sweep that began at {began} min");
    }
    // A sweep may come once a week.
    let days = |days: i64| at(days * 24 * 60);
    assert!(!swept.clone().alive(days(7)).untold(&[]).is_empty() && swept.alive(days(9)).untold(&[]).is_empty());
    assert!(journal.alive(days(4)).untold(&[]).is_empty(), "an event is not tried for so long");
    let put_back = Entry { after: Some(rule("sgr-1", 443)), ..entry("e-1", 0, rule("sgr-1", 22)) };
    assert!(put_back.is_done_in(&[rule("sgr-1", 443)]));
    assert!(!put_back.is_done_in(&[rule("sgr-1", 22)]) && !put_back.is_done_in(&[]));
}

#[test]
fn whatever_callers_write_it_fits_and_what_is_not_told_stays_longest() {
    let mut note = begins("e-1", 0, 22);
    for n in 0..1000_i64 {
        let long = Rule { tags: [("t".to_owned(), "é".repeat(256))].into(), ..rule(&format!("sgr-{n}"), 22) };
        note.entries.push(Entry { told: n % 2 == 0, ..entry("e-1", n % 60, long) });
    }
    let journal = Journal::default().with(&note, at(60));
    assert!(journal.bytes() <= MAX_BYTES);
    assert!(
        journal.entries.values().all(|entry| !entry.told) && journal.entries.len() > 400,
        "{}",
        journal.entries.len()
    );
    let json = serde_json::to_string(&journal).unwrap();
    assert_eq!(serde_json::from_str::<Journal>(&json).unwrap(), journal);
    assert_eq!(serde_json::from_str::<Journal>("{}").unwrap(), Journal::default());
}
