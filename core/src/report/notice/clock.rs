//! Times and spans as a person reads them.

use jiff::{SignedDuration, Timestamp};

use crate::model::text::{and, count};

/// `2026-11-23 03:00:05 UTC`.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2 minutes and 5 seconds`, `3 days and 1 hour`: the two largest units. CloudTrail gives the time of a call in whole
/// seconds, so less is not known.
pub(super) fn span(time: SignedDuration) -> String {
    let seconds = usize::try_from(time.as_secs()).unwrap_or(0);
    let units = [("day", 86_400, usize::MAX), ("hour", 3600, 24), ("minute", 60, 60), ("second", 1, 60)];
    let parts = units.map(|(unit, length, most)| (unit, seconds / length % most));
    let all = parts.iter().skip_while(|(_, number)| *number == 0).take(2).filter(|(_, number)| *number > 0);
    let words: Vec<String> = all.map(|(unit, number)| count(*number, unit)).collect();
    if words.is_empty() { "less than a second".to_owned() } else { and(&words) }
}

/// `2nd`, `11th`.
pub(super) fn ordinal(number: usize) -> String {
    let end = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_two_units_at_most() {
        for (seconds, expected) in [
            (0, "less than a second"),
            (1, "1 second"),
            (60, "1 minute"),
            (125, "2 minutes and 5 seconds"),
            (3600, "1 hour"),
            (3605, "1 hour"),
            (90_061, "1 day and 1 hour"),
            (-5, "less than a second"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), expected, "{seconds}");
        }
        assert_eq!(time("2026-11-23T03:00:05.25Z".parse().unwrap()), "2026-11-23 03:00:05 UTC");
        assert_eq!([1, 2, 3, 4, 11, 12, 21, 103].map(ordinal).join(" "), "1st 2nd 3rd 4th 11th 12th 21st 103rd");
    }
}
