//! `CONTRIBUTING.md` says which files a new thing touches. Its table is held to the repository: each row names something
//! that is there already, and every file that mentions it has to stand in that row.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests: a panic is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where a mention says nothing: what is generated, recorded or history, and the recipes themselves.
const LEFT_OUT: [&str; 10] = [
    "events",
    "tests/snapshots",
    "docs/pictures",
    "docs/sample",
    "tests/audit/demo",
    "docs/decisions",
    "Cargo.lock",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "tests/recipes.rs",
];

/// `ignored`: what git does not keep, such as the seeds that `make fuzz` writes.
fn texts(folder: &Path, name: &str, ignored: &[&str], found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let file = entry.file_name().into_string().unwrap();
        let path = format!("{name}{file}");
        let is_left_out = LEFT_OUT.contains(&path.as_str()) || ignored.contains(&path.as_str());
        if file.starts_with('.') || file == "__pycache__" || is_left_out {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            texts(&entry.path(), &format!("{path}/"), ignored, found);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push((path, text));
        }
    }
}

/// As a word of its own: `chat` is not in `chat_topic` and not in `chat-topic`.
fn mentions(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) =
            (text.split_at(at).0.chars().next_back(), text.split_at(at + word.len()).1.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// What stands between backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn each_recipe_names_every_file_that_its_example_touches() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap();
    let ignored: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('/')).collect();
    texts(root, "", &ignored, &mut files);
    let contributing = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let table = contributing.split_once("| to add | as in | touch | also named in |\n").unwrap().1;
    let rows: Vec<Vec<&str>> =
        table.lines().skip(1).map_while(|line| Some(line.strip_prefix("| ")?.split(" | ").collect())).collect();
    let added: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let kinds = [
        "clause",
        "policy key",
        "`from` term",
        "event call",
        "environment variable",
        "template parameter",
        "channel",
        "check",
    ];
    assert_eq!(added, kinds);
    for row in rows {
        let examples = code(row[1]);
        let named: BTreeSet<&str> = code(row[2]).into_iter().chain(code(row[3])).collect();
        let mentioned: BTreeSet<&str> = files
            .iter()
            .filter(|(_, text)| examples.iter().any(|word| mentions(text, word)))
            .map(|(path, _)| path.as_str())
            .collect();
        let missing: Vec<_> = mentioned.difference(&named).collect();
        let stale: Vec<_> = named.difference(&mentioned).collect();
        assert!(
            missing.is_empty() && stale.is_empty(),
            "CONTRIBUTING.md, {}: these mention {examples:?} and are not named: {missing:?}; these are named and do not \
             mention it: {stale:?}",
            row[0]
        );
    }
}

#[test]
fn a_mention_is_a_whole_word() {
    for (text, is_one) in [
        ("chat", true),
        ("a `chat`.", true),
        ("chat_topic chat", true),
        ("chat_topic", false),
        ("chat-topic", false),
        ("a-chat", false),
        ("chats", false),
        ("", false),
    ] {
        assert_eq!(mentions(text, "chat"), is_one, "{text}");
    }
}
