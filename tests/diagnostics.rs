//! Every code of a problem has a page, with an example that has the problem and one that has not; and no problem has a code
//! without a page.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use eks_sg_guard::policy::codes::{CODES, Code};
use eks_sg_guard::policy::diagnostic::Diagnostic;
use eks_sg_guard::policy::file::{cases, load};
use jiff::civil::{Date, date};

const TODAY: Date = date(2026, 6, 15);
/// An example would fill the page.
const WITHOUT_EXAMPLE: [&str; 2] = ["too-large", "too-many-problems"];

/// What is said of a policy or of a file of tests.
fn problems(text: &str) -> Vec<Diagnostic> {
    if text.contains("\ntests:") {
        return cases::load("tests.yaml", text).err().map(|rejected| rejected.diagnostics).unwrap_or_default();
    }
    match load("policy.yaml", text, TODAY) {
        Ok(loaded) => loaded.warnings,
        Err(rejected) => rejected.diagnostics,
    }
}

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn pages() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md");
    let text = fs::read_to_string(path).unwrap();
    let section = |section: &str| section.split_once('\n').map(|(code, page)| (code.to_owned(), page.to_owned()));
    text.split("\n## ").skip(1).filter_map(section).collect()
}

#[test]
fn every_code_has_a_page_in_the_order_of_the_table() {
    let written: Vec<String> = pages().into_iter().map(|(code, _)| code).collect();
    assert_eq!(written, CODES.map(|code| code.name));
    assert!(CODES.is_sorted_by_key(|code| code.name));
}

#[test]
fn the_examples_of_a_page_have_the_problem_and_have_it_not() {
    let mut wrong = Vec::new();
    for ((code, page), known) in pages().iter().zip(CODES) {
        let what: Vec<&str> = page.split("\n\n").map(str::trim).collect();
        assert!(what.len() >= 2 && what[0].ends_with('.') && what[1].ends_with('.'), "{code}: what, then why");
        let examples: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        if WITHOUT_EXAMPLE.contains(&code.as_str()) {
            continue;
        }
        let [bad, good] = examples.as_slice() else { panic!("{code}: an example, and what to write instead") };
        let (found, instead) = (problems(bad), problems(good));
        let is_it = |problem: &Diagnostic| {
            problem.code == code && problem.severity == known.level && problem.about.is_some() == known.can_be_accepted
        };
        if found.is_empty() || !found.iter().all(is_it) {
            wrong.push(format!("{code}: {found:?}"));
        }
        if !instead.is_empty() {
            wrong.push(format!("{code}: instead: {instead:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where a code is written: after the name of what makes a problem of it.
const MAKERS: [&str; 6] =
    ["Diagnostic::error(", "Diagnostic::warning(", "problems.error(", ".explain(", "code == ", "choice("];

#[test]
fn no_problem_has_a_code_without_a_page() {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        found.extend(problems(&text).into_iter().map(|problem| problem.code.to_owned()));
    }
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("core/src/policy")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for maker in MAKERS {
                let rest = text.split(maker).skip(1);
                let first = rest.filter_map(|rest| rest.split(')').next()?.split('"').nth(1));
                let is_code =
                    |text: &&str| text.contains('-') && text.chars().all(|c| c.is_ascii_lowercase() || c == '-');
                found.extend(first.filter(is_code).map(str::to_owned));
            }
        }
    }
    assert!(found.len() > 40, "the source is read: {found:?}");
    let known: BTreeSet<String> = CODES.iter().map(|code: &Code| code.name.to_owned()).collect();
    let unknown: Vec<_> = found.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
