//! What to do about revokes that did not work.
//!
//! Must not: say what is open (headline does), or close it (close does).

use super::plain_word;
use super::situation::Topic;
use crate::report::outcome::Action;

/// What was said of a revoke that did not work because the guard may not.
const DENIED: &str = "not allowed to call ";

/// What was said of each revoke that did not work.
fn failures<'t>(topics: &'t [Topic<'_>]) -> impl Iterator<Item = &'t str> {
    let failed = topics.iter().filter(|topic| topic.finding.action == Action::Failed && topic.finding.rule().is_some());
    failed.map(|topic| topic.finding.detail.as_deref().unwrap_or_default())
}

/// Whether something did not work that may work without anybody's doing.
pub(super) fn tries_again(topics: &[Topic<'_>]) -> bool {
    failures(topics).any(|why| !why.contains(DENIED))
}

/// Which role lacks a right.
pub(super) fn to_grant(topics: &[Topic<'_>]) -> Option<String> {
    let why = failures(topics).find(|why| why.contains(DENIED))?;
    let name = why.split_once(":assumed-role/").and_then(|(_, rest)| plain_word(rest.split_once('/')?.0));
    let role = name
        .map_or_else(|| "the guard's role (output `RoleArn` of its stack)".to_owned(), |name| format!("role {name}"));
    Some(format!(
        "Give {role} the right that is missing, or take away what denies it: otherwise it can't close the next one either."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::CloudError;

    #[test]
    fn a_right_that_is_missing_is_known_by_the_words_of_its_error() {
        let denied = CloudError::Denied { action: "ec2:RevokeSecurityGroupIngress".to_owned(), source: "no".into() };
        assert!(denied.to_string().contains(DENIED));
    }
}
