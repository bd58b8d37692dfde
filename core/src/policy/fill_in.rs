//! What a person has to write into an exception that the guard proposes: the words that stand there until then, and what to
//! write instead.
//!
//! A notice puts them in, the reader of policy files refuses them. Must not: propose anything.

/// How each of them begins.
const BEGINS: &str = "FILL-IN-";

/// Why the exception is needed.
pub const REASON: &str = "FILL-IN-WHY-IT-HAS-TO-BE-OPEN";
/// Who answers for it.
pub const OWNER: &str = "FILL-IN-WHO-ANSWERS-FOR-IT";
/// Its last day.
pub const EXPIRES: &str = "FILL-IN-ITS-LAST-DAY";
/// Whom it lets in, where nothing narrow can be proposed.
pub const SOURCE: &str = "FILL-IN-THE-NARROWEST-SOURCE";

/// The ports, where there are too many to propose.
pub const PORTS: &str = "FILL-IN-THE-PORTS";

/// What to write instead of each.
const INSTEAD: [(&str, &str); 5] = [
    (REASON, "write why it has to be open, with the ticket: `penetration test, SEC-123`"),
    (OWNER, "write who answers for it, an e-mail address or a team: `secops@example.com`"),
    (EXPIRES, "write the last day it holds: `2026-12-31`"),
    (SOURCE, "write the narrowest source that will do: `198.51.100.7/32`"),
    (PORTS, "write the ports that are needed, and `protocol`: `10250`"),
];

/// What to write instead of a value that nobody filled in. `None`: it is no such value.
pub(crate) fn instead_of(written: &str) -> Option<&'static str> {
    // Also one that was made longer, or whose end was cut off: it may stand anywhere.
    let written = written.trim().to_ascii_uppercase();
    let known = || INSTEAD.iter().find(|(word, _)| written.contains(word));
    let is_one = written.contains(BEGINS) || written == BEGINS.trim_end_matches('-');
    is_one.then(|| known().map_or("write the value itself", |(_, instead)| instead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_known_until_it_is_replaced() {
        for (written, part) in [
            (REASON, "why it has to be open"),
            (OWNER, "who answers"),
            (EXPIRES, "the last day"),
            (SOURCE, "narrowest source"),
            (PORTS, "ports that are needed"),
            ("fill-in-its-last-day", "the last day"),
            ("FILL-IN-WHY-IT-HAS-TO-BE-OPEN, SEC-123", "why it has to be open"),
            ("FILL-IN-SOMETHING", "the value itself"),
            ("Fill-In", "the value itself"),
        ] {
            assert!(instead_of(written).is_some_and(|instead| instead.contains(part)), "{written}");
        }
        for fine in ["", "SEC-123", "fill in the form", "fillin-team", "the team who answers for it on call"] {
            assert_eq!(instead_of(fine), None, "{fine}");
        }
    }
}
