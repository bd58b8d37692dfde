//! What names, ids, globs and dates look like. Each check says what is wrong, and gives the value on.

use jiff::civil::Date;

use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::problems::{Problems, quoted};

/// Ids that a finding names where no clause speaks.
const RESERVED_IDS: [&str; 2] = ["uncovered", "unreadable-prefix-list"];
/// What people type for the ARN of a role instead.
const SESSION: &str = ":assumed-role/";

/// `ssh-from-office`.
pub(super) fn is_kebab(text: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.len() <= 100 && text.starts_with(|first: char| first.is_ascii_lowercase()) && text.split('-').all(part)
}

/// The nearest kebab-case word, for suggestions.
pub(super) fn to_kebab(text: &str) -> Option<String> {
    let mut kebab = String::new();
    let mut was_small = false;
    for letter in text.chars().take(100) {
        if letter.is_ascii_uppercase() && was_small || !letter.is_ascii_alphanumeric() && !kebab.ends_with('-') {
            kebab.push('-');
        }
        if letter.is_ascii_alphanumeric() {
            kebab.push(letter.to_ascii_lowercase());
        }
        was_small = letter.is_ascii_lowercase();
    }
    let kebab = kebab.trim_matches('-').to_owned();
    (text.is_ascii() && is_kebab(&kebab)).then_some(kebab)
}

pub(super) fn clause_id(text: &str, at: At, problems: &mut Problems) -> Option<String> {
    if RESERVED_IDS.contains(&text) {
        let message = format!("the id `{text}` is what findings say where no clause speaks");
        problems.add(Diagnostic::error("reserved-name", at, message).help("choose another"));
        return None;
    }
    if is_kebab(text) {
        return Some(text.to_owned());
    }
    let message = format!("the id {} is not in kebab-case: small letters, digits and single hyphens", quoted(text));
    let help =
        to_kebab(text).map_or_else(|| "write it as `ssh-from-office`".to_owned(), |kebab| format!("write `{kebab}`"));
    problems.add(Diagnostic::error("bad-id", at, message).help(help));
    None
}

/// `sg-…` and `pl-…`: the prefix and at least eight hexadecimal digits.
pub(super) fn resource_id(text: &str, prefix: &str, at: At, problems: &mut Problems) -> Option<String> {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    if (8..=32).contains(&digits.len()) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Some(text.to_owned());
    }
    let what = if prefix == "sg-" { "a security group" } else { "a prefix list" };
    let message = format!("{} is not the id of {what}", quoted(text));
    problems.add(
        Diagnostic::error("bad-resource-id", at, message).help(format!("ids look like `{prefix}0123456789abcdef0`")),
    );
    None
}

fn is_cluster_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')
}

/// The name of a cluster, or a pattern of `*` and `?` over names.
pub(super) fn glob(text: &str, at: At, problems: &mut Problems) -> Option<String> {
    let strange = text.chars().find(|letter| !is_cluster_letter(*letter) && !matches!(letter, '*' | '?'));
    let problem = if text.is_empty() {
        Diagnostic::error("bad-glob", at, "the pattern is empty").help("write `*` for every cluster")
    } else if let Some(letter) = strange {
        let message =
            format!("{} matches no cluster: their names have no {}", quoted(text), quoted(&letter.to_string()));
        Diagnostic::error("bad-glob", at, message)
            .help("use letters, digits, `-`, `_`; `*` for any text and `?` for one letter")
    } else if text.contains("**") {
        let message = format!("`**` in {} means no more than `*`", quoted(text));
        Diagnostic::error("bad-glob", at, message).help("write a single `*`")
    } else if text.len() > 100 {
        Diagnostic::error("bad-glob", at, "names of clusters have at most 100 letters")
    } else {
        return Some(text.to_owned());
    };
    problems.add(problem);
    None
}

/// The name of one cluster.
pub(super) fn cluster(text: &str, at: At, problems: &mut Problems) -> Option<String> {
    if text.contains(['*', '?']) {
        problems.add(
            Diagnostic::error("bad-glob", at, "a group belongs to one cluster").help("name it, without `*` and `?`"),
        );
        return None;
    }
    glob(text, at, problems)
}

pub(super) fn account(text: &str, at: At, problems: &mut Problems) -> Option<String> {
    if is_account(text) {
        return Some(text.to_owned());
    }
    problems.error("bad-account", at, format!("{} is not an AWS account id: those have twelve digits", quoted(text)));
    None
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `us-east-1`, `us-gov-west-1`, …: words, then a number.
pub(super) fn region(text: &str, at: At, problems: &mut Problems) -> Option<String> {
    let mut parts: Vec<&str> = text.split('-').collect();
    let number = parts.pop().is_some_and(|last| !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()));
    let word = |part: &&str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    if number && parts.len() >= 2 && parts.iter().all(word) {
        return Some(text.to_owned());
    }
    let problem = Diagnostic::error("bad-region", at, format!("{} is not an AWS region", quoted(text)));
    problems.add(problem.help("write it as `us-east-1`"));
    None
}

/// `2026-12-31`.
pub(super) fn date(text: &str, at: At, problems: &mut Problems) -> Option<Date> {
    let is_spelled = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = text.parse::<Date>().ok().filter(|_| is_spelled);
    if date.is_none() {
        let message = format!("{} is not a date", quoted(text));
        problems.add(Diagnostic::error("bad-date", at, message).help("write year-month-day, as `2026-12-31`"));
    }
    date
}

/// The ARN of an IAM role or user.
pub(super) fn principal(text: &str, at: At, problems: &mut Problems) -> Option<String> {
    let mut parts = text.splitn(6, ':');
    let mut part = || parts.next().unwrap_or_default();
    let [arn, partition, service, region, account, resource] = [part(), part(), part(), part(), part(), part()];
    let is_named =
        ["role/", "user/"].iter().any(|kind| resource.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
    let is_iam =
        arn == "arn" && partition.starts_with("aws") && service == "iam" && region.is_empty() && is_account(account);
    if is_iam && is_named && !text.contains(['*', '?', ' ']) {
        return Some(text.to_owned());
    }
    let message = format!("{} is not the ARN of a role or user", quoted(text));
    let help = if text.contains(SESSION) {
        "name the role, not its session: `arn:aws:iam::111122223333:role/NAME`"
    } else if text.contains(['*', '?']) {
        "ARNs are compared whole: name each principal, without patterns"
    } else {
        "write it as `arn:aws:iam::111122223333:role/NAME`"
    };
    problems.add(Diagnostic::error("bad-arn", at, message).help(help));
    None
}
