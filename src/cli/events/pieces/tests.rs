use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const LISTS: &[&str] = &["Records", "Events"];

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Pieces::new(text.as_bytes(), LISTS);
    std::iter::from_fn(|| pieces.next().unwrap()).collect()
}

/// `3 Records {"a":1}`: line, list and text of each item; `cut 3`, `broken 3`.
fn said(text: &str) -> Vec<String> {
    let word = |piece| match piece {
        Piece::Item { text, line, list } => format!("{line} {} {text}", list.unwrap_or("-")),
        Piece::End { rest } => format!("end {rest}"),
        Piece::TooLarge { line, .. } => format!("too large {line}"),
        Piece::Broken { line, shown } => format!("broken {line} {shown}"),
        Piece::Cut { line } => format!("cut {line}"),
    };
    pieces(text).into_iter().map(word).collect()
}

#[test]
fn documents_and_the_items_of_lists_are_pieces() {
    for (text, expected) in [
        ("", &[][..]),
        (" \n", &[]),
        ("{}", &["1 - {}"]),
        ("{\"a\":{\"Records\":[1]}}\n{\"b\":2}", &["1 - {\"a\":{\"Records\":[1]}}", "2 - {\"b\":2}"]),
        ("{\"a\":1}{\"a\":[]}\t{}", &["1 - {\"a\":1}", "1 - {\"a\":[]}", "1 - {}"]),
        ("{\"Records\":[]}", &["end {\"Records\":[]}"]),
        (
            "{\"x\":1,\"Records\":[{\"a\":1},\n{\"a\":2}],\"t\":\"u\"}",
            &["1 Records {\"a\":1}", "2 Records {\"a\":2}", "end {\"x\":1,\"Records\":[],\"t\":\"u\"}"],
        ),
        ("[{\"a\":1}, \"b\", [2]]\n{}", &["1 - {\"a\":1}", "1 - \"b\"", "1 - [2]", "2 - {}"]),
        ("{\"Records\": null}", &["1 - {\"Records\": null}"]),
        ("{\"a\": \"}\\\"{\"}", &["1 - {\"a\": \"}\\\"{\"}"]),
        ("\"{}\"", &["1 - \"{}\""]),
    ] {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn what_is_broken_costs_no_more_than_itself() {
    for (text, expected) in [
        ("hello\n{}", &["broken 1 hello", "2 - {}"][..]),
        ("{\"a\":1\n{\"b\":2}\n{}", &["broken 1 {\"a\":1", "2 - {\"b\":2}", "3 - {}"]),
        ("{\"a\":\n{\"b\":2}\n{}", &["broken 1 {\"a\":", "2 - {\"b\":2}", "3 - {}"]),
        ("{\"a\":\"x\n{\"b\":2}", &["broken 1 {\"a\":\"x", "2 - {\"b\":2}"]),
        ("{\"a\":1", &["cut 1"]),
        ("{\"Records\":[{\"a\":1},{\"a\":", &["1 Records {\"a\":1}", "cut 1"]),
        ("{\"Records\":[{\"a\":1}", &["1 Records {\"a\":1}", "cut 1"]),
        ("[{\"a\":1},\n{\"a\":1", &["1 - {\"a\":1}", "cut 2"]),
        ("{'a': 1}\n{}", &["broken 1 {'a': 1}", "2 - {}"]),
        ("{\"a\":1}}\n{}", &["1 - {\"a\":1}", "broken 1 }", "2 - {}"]),
        (
            "{\"Records\":[{\"a\":{\"b\":1},{\"eventVersion\":1},{\"a\":2}]}",
            &[
                "broken 1 {\"a\":{\"b\":1},{\"eventVersion\":1},{\"a\":2}]}",
                "1 Records {\"eventVersion\":1}",
                "1 Records {\"a\":2}",
                "end {\"Records\":[]}",
            ],
        ),
        (
            "{\"Records\":[{\"a\":\"b},{\"eventVersion\":1}]}\n{}",
            &["broken 1 {\"a\":\"b},{\"eventVersion\":1}]}", "2 - {}"],
        ),
    ] {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn nothing_hostile_is_held() {
    let deep = "[".repeat(3_000_000);
    assert!(pieces(&deep).len() < 10);
    let long = format!("{{\"a\":\"{}\"}}\n{{}}", "x".repeat(MAX_LEN + 1));
    assert_eq!(said(&long), ["too large 1", "2 - {}"]);
    let many = format!("{{\"SecurityGroups\":[{}1]}}\n{{}}", "1,".repeat(MAX_LEN / 2 + 1));
    let expected = Piece::TooLarge { line: 1, keys: vec!["SecurityGroups".to_owned()] };
    assert_eq!(pieces(&many)[0], expected);
}

fn documents() -> impl Strategy<Value = Vec<Value>> {
    let leaf = prop_oneof![Just(json!(null)), any::<bool>().prop_map(Value::from), ".{0,5}".prop_map(Value::from)];
    let value = leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]|Records", inner, 0..4).prop_map(|map| json!(map)),
        ]
    });
    prop::collection::vec(prop::collection::btree_map("[a-c]", value, 0..4).prop_map(|map| json!(map)), 0..4)
}

proptest! {
    #[test]
    fn documents_come_out_as_they_went_in(documents in documents(), is_pretty: bool) {
        let text = |value: &Value| {
            if is_pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }.unwrap()
        };
        let lines: Vec<String> = documents.iter().map(text).collect();
        let items = |text: &str| {
            let item = |piece| match piece {
                Piece::Item { text, .. } => serde_json::from_str::<Value>(&text).unwrap(),
                other => panic!("{other:?}"),
            };
            pieces(text).into_iter().map(item).collect::<Vec<_>>()
        };
        prop_assert_eq!(items(&lines.join("\n")), documents.clone());
        prop_assert_eq!(items(&text(&json!(documents))), documents.clone());
        let trail = text(&json!({"Records": documents}));
        let items = pieces(&trail).into_iter().filter(|piece| matches!(piece, Piece::Item { .. })).count();
        prop_assert_eq!(items, documents.len());
    }

    /// Whatever the text, it comes to an end.
    #[test]
    fn any_text_is_some_pieces(text in r#"[{}\[\],:"a\n\\ 1]{0,60}"#) {
        let _ = pieces(&text);
    }
}
