//! Of whatever is said to people and machines.

use std::sync::LazyLock;

use eks_sg_guard::report::notice;
use eks_sg_guard::report::record::Record;
use serde_json::Value;

use crate::limits::holds_its_limits;
use crate::{read_back, situations};

/// The records of all situations as JSON, and where in each the texts stand that come from outside.
static RECORDS: LazyLock<Vec<(Value, Vec<String>)>> = LazyLock::new(|| {
    let records = situations::records().into_iter().map(|(_, record)| record);
    let all = records.chain(situations::swept()).chain(situations::of_one_call());
    all.map(|record| serde_json::to_value(record).unwrap()).map(|json| (json.clone(), outside(&json, ""))).collect()
});
/// What the guard says itself, or has looked at before it says it.
const OWN: [&str; 17] = [
    "account",
    "action",
    "clause",
    "direction",
    "event_time",
    "groups",
    "id",
    "instance",
    "interface",
    "peer",
    "peer_class",
    "policy_hash",
    "ports",
    "protocol",
    "region",
    "requirement",
    "vpc",
];

/// Whatever those who call, name and describe have written: every form keeps the limits of its channel, and says nothing
/// that a terminal, a chat or a shell obeys. The first byte is the situation; then come texts, each after its place and up
/// to the next byte that no UTF-8 has.
pub(crate) fn holds(bytes: &[u8]) {
    let Some((which, texts)) = bytes.split_first() else { return };
    let (record, places) = &RECORDS[usize::from(*which) % RECORDS.len()];
    let mut record = record.clone();
    for text in texts.split(|byte| *byte == 0xff) {
        if let Some((place, text)) = text.split_first().filter(|_| !places.is_empty()) {
            let place = &places[usize::from(*place) % places.len()];
            *record.pointer_mut(place).unwrap() = String::from_utf8_lossy(text).into();
        }
    }
    let Ok(record) = serde_json::from_value::<Record>(record) else { return };
    of_record(&record);
}

fn of_record(record: &Record) {
    record.clone().split().iter().for_each(read_back::read_back);
    if !notice::is_news(record) {
        return;
    }
    let message = notice::message(record, Some(notice::notice(record, situations::at(2))));
    let call = notice::notice_of_call(&[record, record], situations::at(2));
    let digest = notice::digest(&[record]);
    for notice in message.notice.iter().chain([&call]).chain(&digest) {
        holds_its_limits(notice, &message.attributes);
    }
    assert!(message.attributes.iter().all(|(_, value)| !value.is_empty()), "{:?}", message.attributes);
}

/// JSON pointers to the texts.
fn outside(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::String(_) => vec![at.to_owned()],
        Value::Array(all) => all.iter().enumerate().flat_map(|(n, each)| outside(each, &format!("{at}/{n}"))).collect(),
        Value::Object(all) => {
            let foreign = all.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
            foreign.flat_map(|(name, each)| outside(each, &format!("{at}/{name}"))).collect()
        }
        _ => Vec::new(),
    }
}
