//! Reading fields of JSON whose shape varies by API, by age and by what stored the event in between.
//!
//! CloudTrail renders the same value in several ways (an empty list is `{}`, `""`, `null` or nothing; a list of one may be
//! the element itself; numbers and text are swapped). These functions take all of them, so that nothing behind them has
//! to know. None of them recurses, so the depth of the input does not matter.

use std::borrow::Cow;

use serde_json::Value;

use crate::model::text::quoted;

/// What a missing field is read as.
static MISSING: Value = Value::Null;

/// Hexadecimal digits an EC2 id may have; today they have 8 or 17.
const ID_DIGITS: std::ops::RangeInclusive<usize> = 1..=40;

/// A field by name, `null` when missing. Case does not count when no name fits exactly: the Query rendering writes
/// `GroupId` for `groupId`, and some pipelines lower every name.
pub(super) fn get<'a>(object: &'a Value, name: &str) -> &'a Value {
    object
        .get(name)
        .or_else(|| object.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
        .unwrap_or(&MISSING)
}

/// A field of a field of …
pub(super) fn at<'a>(object: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(object, |object, name| get(object, name))
}

/// Whether there is anything: `null`, `""`, `{}` and `[]` all mean "not given".
pub(super) fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// A scalar as text, whatever it was re-typed to; `{"tag": 1, "content": …}` is how a list of scalars is rendered.
pub(super) fn text(value: &Value) -> Option<String> {
    let value = if value.is_object() { get(value, "content") } else { value };
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        _ => None,
    }
}

/// A boolean, also as the text `"true"`.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match text(value)?.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// An integer, also as text. `Err` when something is there that is none: reading that as "missing" would widen a port.
pub(super) fn number(value: &Value) -> Result<Option<i64>, ()> {
    if !is_present(value) {
        return Ok(None);
    }
    text(value).and_then(|text| text.trim().parse().ok()).map(Some).ok_or(())
}

/// The elements of a list: `{"items": …}`, `{"item": …}`, a plain array, or the only element itself.
pub(super) fn list(value: &Value) -> Vec<&Value> {
    let inner = ["items", "item"].iter().find_map(|name| value.as_object()?.get(*name)).unwrap_or(value);
    match inner {
        Value::Array(elements) => elements.iter().collect(),
        other if is_present(other) => vec![other],
        _ => Vec::new(),
    }
}

/// An EC2 id such as `sg-0aaa1111bbb22222c`, in lower case: a request repeats what the caller typed. Anything else counts
/// as not given, so that no text from outside reaches a request or a filter.
pub(super) fn id(value: &Value, prefix: &str) -> Option<String> {
    let id = text(value).filter(|id| id.len() <= prefix.len() + ID_DIGITS.end())?.to_ascii_lowercase();
    let digits = id.strip_prefix(prefix)?;
    let hexadecimal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (ID_DIGITS.contains(&digits.len()) && hexadecimal).then_some(id)
}

/// What kind of value came, for "… expected …".
pub(super) fn kind(value: &Value) -> Cow<'static, str> {
    /// Names worth showing; more only make the message longer.
    const MAX_NAMES: usize = 5;
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) => quoted(&value.to_string()).into(),
        Value::String(text) if text.is_empty() => "an empty text".into(),
        Value::String(text) => format!("the text {}", quoted(text)).into(),
        Value::Array(list) if list.is_empty() => "an empty list".into(),
        Value::Array(list) => format!("a list of {}", list.len()).into(),
        Value::Object(fields) if fields.is_empty() => "an empty object".into(),
        Value::Object(fields) => {
            let names: Vec<_> = fields.keys().take(MAX_NAMES).map(|name| quoted(name)).collect();
            let more = if fields.len() > MAX_NAMES { ", …" } else { "" };
            format!("an object with {}{more}", names.join(", ")).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_rendering_of_a_list_is_that_list() {
        for (value, expected) in [
            (json!(null), vec![]),
            (json!({}), vec![]),
            (json!(""), vec![]),
            (json!([]), vec![]),
            (json!({"items": {}}), vec![]),
            (json!({"item": ""}), vec![]),
            (json!({"items": [{"a": 1}, {"a": 2}]}), vec![json!({"a": 1}), json!({"a": 2})]),
            (json!({"items": {"a": 1}}), vec![json!({"a": 1})]),
            (json!({"item": [{"a": 1}]}), vec![json!({"a": 1})]),
            (json!([{"a": 1}]), vec![json!({"a": 1})]),
            (json!({"a": 1}), vec![json!({"a": 1})]),
            (json!("a"), vec![json!("a")]),
        ] {
            assert_eq!(list(&value), expected.iter().collect::<Vec<_>>(), "{value}");
        }
    }

    #[test]
    fn scalars_are_read_whatever_they_were_retyped_to() {
        assert_eq!(text(&json!(-1)).as_deref(), Some("-1"));
        assert_eq!(text(&json!(true)).as_deref(), Some("true"));
        assert_eq!(text(&json!({"tag": 1, "content": "vpc-1"})).as_deref(), Some("vpc-1"));
        assert_eq!(text(&json!({"content": {"content": {"content": 1}}})), None);
        assert_eq!(number(&json!("443")), Ok(Some(443)));
        assert_eq!(number(&json!("")), Ok(None));
        assert_eq!(number(&json!({})), Ok(None));
        assert_eq!(number(&json!("https")), Err(()));
        assert_eq!(number(&json!([443])), Err(()));
        assert_eq!(flag(&json!("True")), Some(true));
        assert_eq!(flag(&json!("yes")), None);
    }

    #[test]
    fn an_exact_name_wins_over_another_case() {
        let object = json!({"GROUPID": 1, "groupId": 2});
        assert_eq!(get(&object, "groupId"), &json!(2));
        assert_eq!(get(&object, "groupid"), &json!(1));
        assert_eq!(at(&object, &["groupId", "no", "such"]), &Value::Null);
    }

    #[test]
    fn only_what_looks_like_an_id_is_one() {
        assert_eq!(id(&json!("sg-0AAA1111bbb22222c"), "sg-").as_deref(), Some("sg-0aaa1111bbb22222c"));
        for not in [
            json!("sg-"),
            json!("sg-XYZ"),
            json!("sgr-0a"),
            json!("sg-0a\n"),
            json!(1),
            json!("sg-".to_owned() + &"0".repeat(41)),
        ] {
            assert_eq!(id(&not, "sg-"), None, "{not}");
        }
    }
}
