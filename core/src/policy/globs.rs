//! What globs over names of clusters match, whatever names there are; and names to try a policy with.
//!
//! Must not: know clauses. Where it says that something is so, it is certain.

use std::collections::BTreeSet;

use wildmatch::WildMatch;

/// Stands for a character that no glob writes.
const STRANGE: char = '\u{1}';
/// Patterns of a file that are tried. Files of more are made by programs.
const MAX_TRIED: usize = 100;

/// Whether it matches every name.
pub(crate) fn is_universal(glob: &str) -> bool {
    glob.contains('*') && glob.chars().all(|c| matches!(c, '*' | '?')) && glob.matches('?').count() < 2
}

/// Whether it matches every name that the other one matches.
pub(crate) fn covers(glob: &str, other: &str) -> bool {
    let names =
        [0, 1, 5].map(|many| other.replace('?', &STRANGE.to_string()).replace('*', &STRANGE.to_string().repeat(many)));
    is_universal(glob) || names.iter().all(|name| WildMatch::new(glob).matches(name))
}

/// Whether some name may match both.
pub(crate) fn may_both_match(one: &str, other: &str) -> bool {
    let literal = |glob: &str| glob.split(['*', '?']).next().unwrap_or_default().to_owned();
    let (first, second) = (literal(one), literal(other));
    match (first == one, second == other) {
        (true, _) => WildMatch::new(other).matches(one),
        (_, true) => WildMatch::new(one).matches(other),
        _ => first.starts_with(&second) || second.starts_with(&first),
    }
}

/// Two names for each of these globs, one without and one with something in place of `*`; and last one that none of them
/// matches but those that match every name, or nearly every.
pub fn samples<'g>(globs: impl Iterator<Item = &'g str>) -> (BTreeSet<String>, String) {
    let globs: BTreeSet<&str> = globs.filter(|glob| !is_universal(glob)).take(MAX_TRIED).collect();
    let names = |glob: &&str| ["", "x"].map(|some| glob.replace('*', some).replace('?', "x"));
    let named = globs.iter().flat_map(names).filter(|name| !name.is_empty()).collect();
    let is_other = |name: &String| !globs.iter().any(|glob| WildMatch::new(glob).matches(name));
    let other = "another-cluster".to_owned();
    let candidates = (1..=MAX_TRIED).map(|at| format!("{at}-cluster-{at}"));
    let name = std::iter::once(other.clone()).chain(candidates).find(is_other).unwrap_or(other);
    (named, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_that_begin_otherwise_match_no_name_together() {
        for (one, other, both) in [
            ("prod", "prod", true),
            ("prod", "prod-eu", false),
            ("prod-eu", "prod-*", true),
            ("prod-*", "prod-eu", true),
            ("dev-eu", "prod-*", false),
            ("prod-*", "dev-*", false),
            ("prod-*", "prod-eu-*", true),
            ("prod-?", "prod-eu", false),
            ("prod-eu", "prod-?", false),
            ("*", "prod", true),
            ("*-eu", "prod-*", true),
        ] {
            assert_eq!(may_both_match(one, other), both, "{one} {other}");
        }
    }

    #[test]
    fn what_covers_another_glob_matches_each_of_its_names() {
        for (glob, other, all) in [
            ("*", "prod-*", true),
            ("?*", "*", true),
            ("??*", "*", false),
            ("p*", "prod-*", true),
            ("prod-?", "prod-*", false),
            ("prod-?", "prod-1", true),
            ("prod-x", "prod-?", false),
            ("prod-*", "p*", false),
        ] {
            assert_eq!(covers(glob, other), all, "{glob} {other}");
        }
    }

    #[test]
    fn every_glob_is_tried_and_what_none_matches() {
        let (named, other) = samples(["prod-*", "dev?", "*", "another-*"].into_iter());
        assert_eq!(named.into_iter().collect::<Vec<_>>(), ["another-", "another-x", "devx", "prod-", "prod-x"]);
        assert_eq!(other, "1-cluster-1");
    }
}
