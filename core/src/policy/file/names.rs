//! What names, ids, globs and dates look like. Each check says what is wrong, and gives the value on.

use jiff::civil::Date;

use crate::model::ids::{Arn, Resource, is_account, is_region};
use crate::model::text::quoted;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::problems::Problems;
use crate::policy::file::spelled;

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
    for c in text.chars().take(100) {
        if c.is_ascii_uppercase() && was_small || !c.is_ascii_alphanumeric() && !kebab.ends_with('-') {
            kebab.push('-');
        }
        if c.is_ascii_alphanumeric() {
            kebab.push(c.to_ascii_lowercase());
        }
        was_small = c.is_ascii_lowercase();
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
    let message =
        format!("the id {} is not in kebab-case: lower-case letters, digits and single hyphens", quoted(text));
    let help =
        to_kebab(text).map_or_else(|| "write it as `ssh-from-office`".to_owned(), |kebab| format!("write `{kebab}`"));
    problems.add(Diagnostic::error("bad-id", at, message).help(help));
    None
}

/// The id of a group or of a prefix list.
pub(super) fn resource_id(text: &str, resource: Resource, at: At, problems: &mut Problems) -> Option<String> {
    if resource.is_id(text) {
        return Some(text.to_owned());
    }
    let message = format!("{} is not the id of {}", quoted(text), resource.noun());
    let help =
        meant_id(text, resource).unwrap_or_else(|| format!("ids look like `{}0123456789abcdef0`", resource.prefix()));
    problems.add(Diagnostic::error("bad-resource-id", at, message).help(help));
    None
}

/// An id in capitals, in an ARN, behind an account, or of something else.
fn meant_id(text: &str, resource: Resource) -> Option<String> {
    let lower = text.trim().to_lowercase();
    let last = lower.rsplit(['/', ':', ' ']).next().unwrap_or_default().replace('_', "-");
    if resource.is_id(&last) {
        return Some(format!("write `{last}`"));
    }
    let others =
        [Resource::Rule, Resource::PrefixList, Resource::Group, Resource::Interface, Resource::Instance, Resource::Vpc];
    let other = others.iter().find(|other| other.is_id(&last))?;
    let instead = match other {
        Resource::Rule => "name the group that has it",
        Resource::Vpc => "write `vpc`, which is its ranges",
        Resource::Interface | Resource::Instance => "name a group that is attached to it, or its address",
        _ => "name one of the other kind",
    };
    Some(format!("that is the id of {}: {instead}", other.noun()))
}

fn is_cluster_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// The name of a cluster, or a pattern of `*` and `?` over names.
pub(super) fn glob(text: &str, at: At, problems: &mut Problems) -> Option<String> {
    let strange = text.chars().find(|c| !is_cluster_character(*c) && !matches!(c, '*' | '?'));
    let problem = if text.is_empty() {
        Diagnostic::error("bad-glob", at, "the pattern is empty").help("write `*` for every cluster")
    } else if let Some(c) = strange {
        let message = format!("{} matches no cluster: their names have no {}", quoted(text), quoted(&c.to_string()));
        Diagnostic::error("bad-glob", at, message)
            .help("use letters, digits, `-`, `_`; `*` for any text and `?` for one character")
    } else if text.contains("**") {
        let message = format!("`**` in {} means no more than `*`", quoted(text));
        Diagnostic::error("bad-glob", at, message).help("write a single `*`")
    } else if text.len() > 100 {
        Diagnostic::error("bad-glob", at, "names of clusters have at most 100 characters")
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

pub(super) fn region(text: &str, at: At, problems: &mut Problems) -> Option<String> {
    if is_region(text) {
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
        let help = spelled::day(text).unwrap_or_else(|| "write year-month-day, as `2026-12-31`".to_owned());
        problems.add(Diagnostic::error("bad-date", at, message).help(help));
    }
    date
}

/// The ARN of an IAM role or user.
pub(super) fn principal(text: &str, at: At, problems: &mut Problems) -> Option<String> {
    if Arn::parse(text).is_some_and(|arn| arn.role().or(arn.user()).is_some()) {
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
