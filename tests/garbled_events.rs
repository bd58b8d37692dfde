//! What happens when events are garbled, by whatever stands between the call and us or by a caller who pads his request. No
//! input makes the parser panic, and less knowledge never makes us look at less.

mod answers;
mod corpus;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use eks_sg_guard::event::{Claim, GroupRef, Named, NamedRule, Parsed, Target, Touched, Trigger};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::answers::{Answer, answers, is_sound};
use crate::corpus::read_folder;

/// The fields of a record that may turn something to look at into nothing, because they alone say what happened at all.
const MAY_SAY_THAT_NOTHING_HAPPENED: &[(&str, &str)] = &[
    ("eventName", "it was another call, or it cannot be known which"),
    ("eventSource", "it was a call of another service"),
    ("eventType", "it was no call at all"),
    ("errorCode", "the call failed"),
];

/// Events that are short of something already: their response leaves out rules that only their request names. With that
/// garbled too, nothing is left that would show it.
const SHORT_ALREADY: &[&str] = &[
    "authorize-ingress-response-incomplete.json",
    "authorize-ingress-unreadable-permission-and-response-incomplete.json",
];

static EVENTS: LazyLock<Vec<(PathBuf, Value)>> =
    LazyLock::new(|| read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("events")));

/// What happens to one value somewhere in an event.
#[derive(Clone, Debug)]
enum Garbling {
    /// A field is not there; elsewhere `null` is.
    Dropped,
    Replaced(Value),
    /// The only element in place of a list, or a list around anything else.
    Rewrapped,
    /// An object around it.
    Wrapped,
}

impl Garbling {
    fn of(&self, event: &Value, pointer: &str) -> Value {
        let mut event = event.clone();
        if let (Self::Dropped, Some((parent, name))) = (self, pointer.rsplit_once('/'))
            && let Some(Value::Object(fields)) = event.pointer_mut(parent)
        {
            fields.shift_remove(&name.replace("~1", "/").replace("~0", "~"));
        } else if let Some(value) = event.pointer_mut(pointer) {
            *value = match (self, value.take()) {
                (Self::Dropped, _) => Value::Null,
                (Self::Replaced(other), _) => other.clone(),
                (Self::Rewrapped, Value::Array(mut list)) if list.len() == 1 => list.swap_remove(0),
                (Self::Rewrapped, other) => json!([other]),
                (Self::Wrapped, other) => json!({ "wrapped": other }),
            };
        }
        event
    }
}

/// JSON pointers to all values, the root first.
fn pointers(value: &Value) -> Vec<String> {
    let below = |name: &str, value: &Value| -> Vec<String> {
        let name = name.replace('~', "~0").replace('/', "~1");
        pointers(value).into_iter().map(|below| format!("/{name}{below}")).collect()
    };
    let below: Vec<String> = match value {
        Value::Array(list) => list.iter().enumerate().flat_map(|(n, value)| below(&n.to_string(), value)).collect(),
        Value::Object(fields) => fields.iter().flat_map(|(name, value)| below(name, value)).collect(),
        _ => Vec::new(),
    };
    std::iter::once(String::new()).chain(below).collect()
}

/// Values that say nothing wherever they stand. None of them is an id, a name, a port or a flag.
fn meaningless() -> Vec<Garbling> {
    let deep = |value: fn(Value) -> Value| (0..100).fold(json!(-7.5), |inner, _| value(inner));
    let (lists, objects) = (deep(|inner| json!([inner])), deep(|inner| json!({ "a": inner })));
    let values = [json!(-7.5), json!("x".repeat(1 << 20)), lists, objects];
    values.into_iter().map(Garbling::Replaced).chain([Garbling::Wrapped]).collect()
}

/// Values that look like something left out, and other renderings.
fn missing() -> Vec<Garbling> {
    let values = [json!(null), json!(""), json!({}), json!([]), json!(true), json!({"reason": "x", "omitted": true})];
    values.into_iter().map(Garbling::Replaced).chain([Garbling::Dropped, Garbling::Rewrapped]).collect()
}

fn may_say_that_nothing_happened(pointer: &str) -> bool {
    MAY_SAY_THAT_NOTHING_HAPPENED.iter().any(|(name, _)| pointer.rsplit('/').next() == Some(name))
}

/// Garbles each value of each event in each of these ways, and collects where the answers are wrong.
fn wrong(garblings: &[Garbling], but: &[&str], is_right: impl Fn(&[Answer], &[Answer]) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, event) in EVENTS.iter().filter(|(path, _)| !but.iter().any(|but| path.ends_with(but))) {
        let before = answers(event);
        for pointer in pointers(event).iter().filter(|pointer| !may_say_that_nothing_happened(pointer)) {
            for garbling in garblings {
                let after = answers(&garbling.of(event, pointer));
                if !is_right(&before, &after) {
                    let file = path.file_name().unwrap_or_default().display();
                    wrong.push(
                        format!("{file} {pointer} {garbling:?}: {after:?}").chars().take(1000).collect::<String>(),
                    );
                }
            }
        }
    }
    wrong
}

/// An event that was something to look at is so still, or an error that people see, whatever happens to one of its values.
#[test]
fn no_garbled_value_turns_a_change_into_nothing_but_those_that_say_so() {
    let garblings: Vec<_> = missing().into_iter().chain(meaningless()).collect();
    let wrong = wrong(&garblings, &[], |before, after| {
        let looked = before.iter().any(|answer| matches!(answer, Ok(Parsed::Trigger(_))));
        let ignored = after.iter().all(|answer| matches!(answer, Ok(Parsed::Ignored(_))));
        !(looked && ignored) && after.iter().all(is_sound)
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What cannot be read is not taken for less: the subject stays, or a wider one stands for it.
#[test]
fn no_meaningless_value_makes_us_look_at_less() {
    let wrong = wrong(&meaningless(), SHORT_ALREADY, |before, after| match (before, after) {
        ([Ok(Parsed::Trigger(Trigger::Change(before)))], [Ok(Parsed::Trigger(Trigger::Change(after)))]) => {
            covers(&after.subject, &before.subject)
        }
        _ => true,
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether looking at the first is looking at the second too.
fn covers(wide: &Target, narrow: &Target) -> bool {
    match (wide, narrow) {
        (Target::Cluster { name: wide, node_group: None }, Target::Cluster { name: narrow, .. }) => wide == narrow,
        (Target::Unknown, _) | (Target::EventRule(None), Target::EventRule(_)) => true,
        (Target::Groups(wide), Target::Groups(narrow)) => narrow.iter().all(|narrow| {
            // A call by name gets its id from the response; without that the name is as good.
            let same = |wide: &GroupRef| wide == &narrow.group || matches!(wide, GroupRef::Name(_));
            wide.iter().any(|Touched { group, named }| same(group) && names(named, &narrow.named))
        }),
        (Target::Attached { attachment, groups }, Target::Attached { attachment: old_attachment, groups: old }) => {
            let has_all = !old.is_empty() && old.iter().all(|group| groups.contains(group));
            // Whoever looks at an instance looks at all its interfaces.
            let is_instance = attachment.as_ref().is_some_and(|attachment| attachment.starts_with("i-"));
            has_all || (groups.is_empty() && attachment.is_some() && (is_instance || attachment == old_attachment))
        }
        // What it gained tells what was open for a moment, and never where to look.
        (Target::PrefixList(wide), Target::PrefixList(narrow)) => wide.list == narrow.list,
        (wide, narrow) => wide == narrow,
    }
}

fn names(wide: &Named, narrow: &Named) -> bool {
    let same_claim = |a: &Claim, b: &Claim| a.packets == b.packets && a.peer.same(&b.peer);
    let same = |a: &NamedRule, b: &NamedRule| {
        (a.id.is_some() && a.id == b.id) || matches!((&a.claim, &b.claim), (Some(a), Some(b)) if same_claim(a, b))
    };
    match (wide, narrow) {
        (Named::Everything, _) | (Named::Nothing, Named::Nothing) => true,
        (Named::Rules(wide), Named::Rules(narrow)) => {
            narrow.iter().all(|narrow| wide.iter().any(|wide| same(wide, narrow)))
        }
        _ => false,
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop_oneof![Just("sg-0aaa1111bbb22222c"), Just("-1"), Just("0.0.0.0/0"), Just("true")].prop_map(Value::from),
    ];
    // Names that the parser looks for, so that arbitrary values get past its first question.
    let name = prop::sample::select(
        &[
            "sweep",
            "groups",
            "Records",
            "body",
            "Message",
            "Type",
            "detail",
            "detail-type",
            "source",
            "eventName",
            "eventSource",
            "requestParameters",
            "resourcesSet",
            "groupSet",
            "items",
            "omitted",
            "content",
        ][..],
    )
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop_oneof![name.clone(), any::<String>()], inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_garbling() -> impl Strategy<Value = Garbling> {
    prop_oneof![
        Just(Garbling::Dropped),
        Just(Garbling::Rewrapped),
        Just(Garbling::Wrapped),
        Just(Garbling::Replaced(Value::Null)),
        Just(Garbling::Replaced(json!(""))),
        Just(Garbling::Replaced(json!({}))),
        any_json().prop_map(Garbling::Replaced),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_json_never_panics(payload in any_json()) {
        let answers = answers(&payload);
        prop_assert!(answers.iter().all(is_sound), "{:?}", answers);
    }

    #[test]
    fn events_garbled_in_several_places_never_panic(
        which in any::<prop::sample::Index>(),
        garblings in prop::collection::vec((any::<prop::sample::Index>(), any_garbling()), 1..4),
    ) {
        let mut event = which.get(&EVENTS).1.clone();
        for (which, garbling) in &garblings {
            let pointers = pointers(&event);
            event = garbling.of(&event, which.get::<String>(&pointers));
        }
        let answers = answers(&event);
        prop_assert!(answers.iter().all(is_sound), "{:?}", answers);
    }
}
