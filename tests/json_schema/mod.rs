//! Enough of JSON Schema to hold ours against the readers: every keyword that our schemas use, and no other.

use regex_lite::Regex;
use serde_json::Value;

/// Keywords that say nothing about what is valid.
const REMARKS: [&str; 10] =
    ["$schema", "$id", "$defs", "definitions", "$comment", "title", "description", "default", "examples", "format"];

/// The paths in a value that do not fit the schema, each with what is wrong there.
pub(crate) fn misfits(root: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(root, root, value, "$", &mut found);
    found
}

fn fits(schema: &Value, root: &Value, value: &Value) -> bool {
    let mut inner = Vec::new();
    check(schema, root, value, "", &mut inner);
    inner.is_empty()
}

fn check(schema: &Value, root: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Some(keywords) = schema.as_object() else {
        if *schema == Value::Bool(false) {
            found.push(format!("{at}: may not be there"));
        }
        return;
    };
    for (keyword, says) in keywords {
        let wrong = match keyword.as_str() {
            "$ref" => {
                let path = says.as_str().unwrap_or_default();
                match root.pointer(path.trim_start_matches('#')) {
                    Some(definition) => check(definition, root, value, at, found),
                    None => found.push(format!("{at}: the schema has no `{path}`")),
                }
                None
            }
            "anyOf" => (!list(says).iter().any(|one| fits(one, root, value)))
                .then(|| "fits nothing of what is possible".into()),
            "oneOf" => (list(says).iter().filter(|one| fits(one, root, value)).count() != 1)
                .then(|| "does not fit exactly one of what is possible".into()),
            "allOf" => {
                for one in list(says) {
                    check(one, root, value, at, found);
                }
                None
            }
            "not" => fits(says, root, value).then(|| format!("is what it may not be: {says}")),
            "if" => {
                let branch = if fits(says, root, value) { "then" } else { "else" };
                if let Some(branch) = keywords.get(branch) {
                    check(branch, root, value, at, found);
                }
                None
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(says, root, item, &format!("{at}[{n}]"), found);
                }
                None
            }
            "required" => {
                let missing =
                    |key: &&Value| value.is_object() && key.as_str().is_some_and(|key| value.get(key).is_none());
                list(says).iter().find(missing).map(|key| format!("has no {key}"))
            }
            "dependentRequired" => says.as_object().into_iter().flatten().find_map(|(key, needs)| {
                let lacks = |need: &&Value| need.as_str().is_some_and(|need| value.get(need).is_none());
                value.get(key)?;
                list(needs).iter().find(lacks).map(|need| format!("has `{key}` without {need}"))
            }),
            "propertyNames" => {
                for key in value.as_object().into_iter().flat_map(|map| map.keys()) {
                    check(says, root, &Value::String(key.clone()), &format!("{at}.{key}"), found);
                }
                None
            }
            "properties" => {
                for (key, known) in says.as_object().into_iter().flatten() {
                    if let Some(item) = value.get(key) {
                        check(known, root, item, &format!("{at}.{key}"), found);
                    }
                }
                None
            }
            "additionalProperties" => {
                for (key, item) in value.as_object().into_iter().flatten() {
                    if keywords.get("properties").and_then(|known| known.get(key)).is_none() {
                        check(says, root, item, &format!("{at}.{key}"), found);
                    }
                }
                None
            }
            keyword => of_itself(keyword, says, value),
        };
        found.extend(wrong.map(|wrong: String| format!("{at}: {wrong}")));
    }
}

/// What is wrong with a value by a keyword that looks at nothing within it.
fn of_itself(keyword: &str, says: &Value, value: &Value) -> Option<String> {
    match keyword {
        "type" => {
            let kinds = says.as_array().map_or_else(|| vec![says], |kinds| kinds.iter().collect());
            (!kinds.iter().any(|kind| is(kind, value))).then(|| format!("is no {says}"))
        }
        "enum" => (!list(says).contains(value)).then(|| format!("`{value}` is not listed")),
        "const" => (says != value).then(|| format!("`{value}` is not {says}")),
        "minItems" => {
            value.as_array().filter(|items| (items.len() as u64) < number(says)).map(|_| "is too short".into())
        }
        "uniqueItems" => value.as_array().and_then(|items| {
            let repeats = |n: usize| items.iter().take(n).any(|earlier| Some(earlier) == items.get(n));
            (0..items.len()).any(repeats).then(|| "has an item twice".into())
        }),
        "minLength" => {
            value.as_str().filter(|text| (text.chars().count() as u64) < number(says)).map(|_| "is too short".into())
        }
        "maxLength" => {
            value.as_str().filter(|text| text.chars().count() as u64 > number(says)).map(|_| "is too long".into())
        }
        "minimum" => value.as_i64().filter(|n| Some(*n) < says.as_i64()).map(|_| "is too small".into()),
        "maximum" => value.as_i64().filter(|n| Some(*n) > says.as_i64()).map(|_| "is too large".into()),
        "pattern" => value.as_str().and_then(|text| {
            let matches = Regex::new(says.as_str()?).is_ok_and(|pattern| pattern.is_match(text));
            (!matches).then(|| format!("`{text}` does not match {says}"))
        }),
        _ => {
            let is_fine = REMARKS.contains(&keyword) || matches!(keyword, "then" | "else");
            (!is_fine).then(|| format!("the schema uses `{keyword}`, which the tests do not know"))
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    }
}
