//! The sample report of the docs: an audit of the demo's account, as it is before the guard has looked. `demo/` are its
//! answers of the AWS CLI (`tests/e2e/save_demo.py` saves them). The docs have what the program writes, or this fails.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eks_sg_guard::audit::report::html;
use eks_sg_guard::audit::saved::Saved;
use eks_sg_guard::audit::{Facts, Scope, look, narrow, source};
use eks_sg_guard::policy::builtin;
use jiff::Timestamp;

use crate::run;

const DEMO: &str = "tests/audit/demo";
/// Of the report, which would say another time each day.
const AT: &str = "2026-11-27T03:00:00Z";

/// Compares with what is committed; `INSTA_UPDATE=always` writes it, as with snapshots.
fn hold(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sample").join(name);
    if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&path, text).unwrap();
    }
    let is_same = fs::read_to_string(&path).is_ok_and(|committed| committed == text);
    assert!(
        is_same,
        "docs/sample/{name} is outdated: look at it after `INSTA_UPDATE=always cargo test --test audit sample`"
    );
}

#[test]
fn the_page_in_the_docs_is_what_is_written_of_the_demo() {
    let mut saved = Saved::default();
    for source in source::sources(&[PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(DEMO)]).unwrap() {
        saved.add(&source).unwrap();
    }
    let (facts, policy) = (Arc::new(Facts::of(saved)), builtin::policy(builtin::DEFAULT).unwrap());
    let at: Timestamp = AT.parse().unwrap();
    let audit = look(&facts, policy, &Scope::default(), at).unwrap();
    let narrowed = narrow(&[facts], policy, &audit).unwrap();
    hold("report.html", &html::written(&audit, &narrowed).unwrap());
}

#[test]
fn the_text_in_the_docs_is_what_is_printed_of_the_demo() {
    let (code, out, err) = run(&["audit", "--narrow", "--from", DEMO]);
    assert_eq!((code, err.as_str()), (2, ""));
    hold("report.txt", &out);
}
