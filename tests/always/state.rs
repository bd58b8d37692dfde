//! Of whatever is read back from the table.

use std::collections::BTreeSet;
use std::fmt::Debug;

use eks_sg_guard::model::baseline::{Baseline, Learnt, LocationState};
use eks_sg_guard::model::hour::Hour;
use eks_sg_guard::model::member::{self, Members};
use eks_sg_guard::report::allowance::Allowance;
use eks_sg_guard::report::history::History;
use eks_sg_guard::report::journal::{Journal, Note};
use eks_sg_guard::report::notice::{email, q, slack};
use eks_sg_guard::report::outbox::{Letter, Outbox};
use eks_sg_guard::report::part::EndedPart;
use eks_sg_guard::report::waiting::Waiting;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What `DynamoDB` takes of an item.
const MAX_BYTES: usize = 400 * 1024;
const NOW: Timestamp = Timestamp::constant(1_795_000_000, 0);

/// What is understood is written as it was read, and what a look does with it can be kept again. Two lines are two items
/// that are to become one.
pub(crate) fn holds(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (one, other) = text.split_once('\n').unwrap_or((&text, ""));
    history(one, other);
    journal(one);
    outbox(one);
    of_groups(one);
    of_location(one);
    of_digests(one, other);
}

/// The value of a text, if it is one of these.
fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = serde_json::from_str(text).ok()?;
    comes_back(&value);
    Some(value)
}

/// As it is written, so it is read.
fn comes_back<T: DeserializeOwned + Serialize + PartialEq + Debug>(value: &T) {
    let written = serde_json::to_string(value).unwrap();
    let again: T = serde_json::from_str(&written).map_err(|error| format!("{error}: {written}")).unwrap();
    assert_eq!(&again, value);
}

fn fits(value: &impl Serialize) {
    let bytes = serde_json::to_vec(value).unwrap().len();
    assert!(bytes < MAX_BYTES, "{bytes} bytes");
}

fn history(one: &str, other: &str) {
    let Some(one) = read::<History>(one) else { return };
    let merged = one.clone().merge(read(other).unwrap_or_default());
    comes_back(&merged);
    assert_eq!(merged.clone().merge(one.clone()), merged, "what is known already adds nothing");
    if let Some(other) = read::<History>(other) {
        assert_eq!(other.merge(one), merged, "the order does not matter");
    }
    let _ = (merged.ends(), merged.over(NOW));
}

fn journal(text: &str) {
    let Some(journal) = read::<Journal>(text) else { return };
    let alive = journal.clone().alive(NOW);
    comes_back(&alive);
    assert_eq!(alive.clone().alive(NOW), alive, "what counts counts still");
    let noted = journal.with(&Note::default(), NOW);
    fits(&noted);
    let left = noted.left_over(None, None, &[], NOW);
    assert!(left.iter().all(|entry| !entry.told && entry.is_done_in(&[])), "only what was done and not told is left");
    let _ = noted.untold_of_events(&[], NOW);
}

fn outbox(text: &str) {
    let Some(mut outbox) = read::<Outbox>(text) else { return };
    for message in outbox.letters.iter().filter_map(|letter| letter.message.as_ref()) {
        if let Some(notice) = &message.notice {
            let forms = [slack::json(notice), q::json(notice, &message.attributes)];
            assert!(forms.iter().all(|form| serde_json::from_str::<serde_json::Value>(form).is_ok()));
            assert!(!email::text(notice).is_empty());
        }
    }
    let letter = Letter { said: ["what".to_owned()].into(), message: None, channels: [].into() };
    let first = outbox.claim(&letter, &["people"], NOW);
    comes_back(&outbox);
    let second = outbox.claim(&letter, &["people"], NOW);
    assert!(second.mine.is_empty(), "what one has claimed no other sends");
    assert!(first.mine.is_empty() || second.others.contains("people"));
}

fn of_groups(text: &str) {
    if let Some(baseline) = read::<Baseline>(text) {
        let holds = |baseline: &Baseline| (baseline.rules.len(), baseline.is_whole());
        let narrow = baseline.clone().within(1000);
        assert_eq!(holds(&narrow), holds(&baseline), "no rule is forgotten to save room");
        let same = Baseline::with(Some(baseline), &Learnt::default()).unwrap();
        assert!(same.is_whole());
        comes_back(&same);
        assert_eq!(
            Baseline::with(Some(same.clone()), &Learnt::default()),
            Some(same),
            "nothing learnt, nothing changed"
        );
    }
    if let Some(members) = read::<Members>(text) {
        let kept = member::with(members, &Members::new(), NOW);
        comes_back(&kept);
        assert_eq!(member::with(kept.clone(), &Members::new(), NOW), kept);
        for member in kept.values() {
            let counts = member.counts(member.created_at, NOW);
            assert!(counts || !member.is_established(member.created_at, NOW), "{member:?}");
            assert!(!counts || member.is_of_use(NOW), "{member:?}");
        }
    }
}

fn of_location(text: &str) {
    if let Some(place) = read::<LocationState>(text) {
        let same = place.with(&LocationState::default());
        comes_back(&same);
        assert_eq!(same.clone().with(&LocationState::default()), same);
        let _ = same.unheard.lost("sg-0a1", NOW);
    }
    if let Some(hour) = read::<Hour>(text) {
        let rules = ["sgr-1".to_owned(), "sgr-2".to_owned()];
        let taken = hour.with(&rules, 1, NOW);
        comes_back(&taken);
        assert!(rules.iter().any(|rule| taken.refuses(rule, 1)), "a limit of one lets no two through");
        assert_eq!(taken.clone().with(&rules, 1, NOW), taken, "a second try takes no more");
    }
    if let Some(allowance) = read::<Allowance>(text) {
        let (counted, allowed) = allowance.with("message", NOW);
        comes_back(&counted);
        assert_eq!(counted.clone().with("message", NOW), (counted, allowed), "a second try gets the same answer");
    }
}

fn of_digests(one: &str, other: &str) {
    if let Some(waiting) = read::<Waiting>(one) {
        let kept = waiting.with(&[], &BTreeSet::new());
        comes_back(&kept);
        fits(&kept);
    }
    if let Some(part) = read::<EndedPart>(one) {
        let _ = part.clone().effects();
        let both = part.clone().after(read(other));
        comes_back(&both);
        fits(&both);
        assert!(!both.is_open || part.is_open, "a part that ended stays so");
        let _ = both.into_records();
    }
}
