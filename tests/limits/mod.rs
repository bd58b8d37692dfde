//! What each channel takes, and what none may be given.

use eks_sg_guard::report::notice::{Notice, email, q, slack};
use serde_json::Value;

/// All texts in JSON.
pub(crate) fn texts_of(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().flat_map(texts_of).collect(),
        Value::Object(all) => all.values().flat_map(texts_of).collect(),
        _ => Vec::new(),
    }
}

#[expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a form that is not as its channel takes it has failed the test"
)]
pub(crate) fn holds_its_limits(notice: &Notice, attributes: &[(&'static str, String)]) {
    assert!(
        notice.subject.chars().count() <= 99 && !notice.subject.chars().any(char::is_control),
        "{}",
        notice.subject
    );
    let text = email::text(notice);
    assert!(text.len() < 200_000, "{}", text.len());
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}']), "{text}");

    let q: Value = serde_json::from_str(&q::json(notice, attributes)).unwrap();
    // The schema as documented: these members, these values, and texts where it asks for texts.
    assert_eq!((q["version"].as_str(), q["source"].as_str()), (Some("1.0"), Some("custom")));
    assert_eq!(q["content"]["textType"], "client-markdown");
    let description = q["content"]["description"].as_str().unwrap();
    assert!(!description.is_empty() && description.chars().count() <= 6000, "{}", description.chars().count());
    assert_eq!(description.matches("```").count() % 2, 0, "every fence is closed: {description}");
    assert!(q["content"]["nextSteps"].as_array().unwrap().iter().all(Value::is_string));
    assert!(q["content"]["keywords"].as_array().unwrap().iter().all(Value::is_string));
    assert!(!q["metadata"]["threadId"].as_str().unwrap().is_empty(), "{notice:?}");
    assert!(q["metadata"]["additionalContext"].as_object().unwrap().values().all(Value::is_string));
    assert!(q["metadata"]["relatedResources"].as_array().unwrap().iter().all(Value::is_string));
    // Outside of fences there is nothing that a client would make a link or a style of, but our own links.
    let outside: String = description.split("```").step_by(2).collect::<Vec<_>>().join("\n");
    for line in outside.lines().filter(|line| !line.contains("console.a")) {
        assert!(!line.contains("https:") && !line.contains(['*', '_', '~', '[']), "{line}");
    }
    let all = texts_of(&q);
    assert!(all.iter().all(|text| !text.contains('<') && !text.contains('>')), "{all:?}");

    let json = slack::json(notice);
    let slack: Value = serde_json::from_str(&json).unwrap();
    assert!(!slack["text"].as_str().unwrap().is_empty());
    let blocks = slack["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50, "{}", blocks.len());
    let units = |text: &str| text.encode_utf16().count();
    let mut total = 0;
    for block in blocks {
        let all: Vec<&Value> = match block["type"].as_str().unwrap() {
            "divider" => vec![],
            "actions" => {
                let buttons = block["elements"].as_array().unwrap();
                assert!((1..=5).contains(&buttons.len()));
                let is_page = |button: &Value| button["url"].as_str().is_some_and(|url| url.starts_with("https://"));
                assert!(buttons.iter().all(is_page), "an incoming webhook answers no other button: {buttons:?}");
                assert!(buttons.iter().all(|button| units(button["text"]["text"].as_str().unwrap()) <= 75));
                buttons.iter().map(|button| &button["text"]).collect()
            }
            "header" | "section" => vec![&block["text"]],
            other => panic!("{other}"),
        };
        for text in all {
            let shown = text["text"].as_str().unwrap();
            let most = if block["type"] == "header" { 150 } else { 3000 };
            assert!((1..=most).contains(&units(shown)), "{}: {shown}", units(shown));
            assert!(!shown.contains("<!") && !shown.contains("<@") && !shown.contains("<#"), "{shown}");
            match text["type"].as_str().unwrap() {
                "plain_text" => assert!(text["emoji"] == false && !shown.contains(['<', '>']), "{shown}"),
                _ => assert_eq!(text["verbatim"], true),
            }
            total += units(shown);
        }
    }
    assert!(total < 8000, "{total}");
}
