//! Colours, where they are wanted. Never the only carrier of a meaning.

use crate::model::region::Traffic;
use crate::policy::model::{Severity, Verdict};

/// Longer lists of ports are told by what they leave out, where that is shorter.
const MAX_LIST_LEN: usize = 60;

/// How text is written: with colours or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) colours: bool,
}

impl Style {
    pub(super) fn new(colours: bool) -> Self {
        Self { colours }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(super) fn doubtful(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// A text in the colour of a verdict.
    pub(super) fn of(self, verdict: Verdict, text: &str) -> String {
        match verdict {
            Verdict::Allow => self.good(text),
            Verdict::Report => self.doubtful(text),
            Verdict::Revoke => self.bad(text),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The word of the policy language.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Report => "report",
        Verdict::Revoke => "revoke",
    }
}

/// `revoke (critical)`, `allow`.
pub(super) fn decision(verdict: Verdict, severity: Option<Severity>) -> String {
    severity.map_or_else(|| word(verdict).to_owned(), |severity| format!("{} ({})", word(verdict), severity.word()))
}

/// Traffic in words that is part of `whole`: `tcp 443`, `everything`, or what it leaves out where that is shorter.
pub(super) fn traffic(part: &Traffic, whole: &Traffic) -> String {
    let direct = listed(part);
    if direct.chars().count() <= MAX_LIST_LEN || part == whole {
        return direct;
    }
    let but = format!("all but {}", listed(&(whole - part)));
    if but.chars().count() < direct.chars().count() { but } else { direct }
}

fn listed(traffic: &Traffic) -> String {
    let pair = |(protocol, ports): (String, String)| match (protocol.as_str(), ports.as_str()) {
        ("-1", _) => "everything".to_owned(),
        (protocol, "all") if protocol.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("protocol {protocol}")
        }
        (protocol, "all") => format!("all {protocol}"),
        (protocol, ports) => format!("{protocol} {ports}"),
    };
    traffic.by_protocol().into_iter().map(pair).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_only_added_where_they_are_wanted() {
        assert_eq!(Style::new(false).of(Verdict::Revoke, "revoke"), "revoke");
        assert_eq!(Style::new(true).of(Verdict::Revoke, "revoke"), "\u{1b}[1;31mrevoke\u{1b}[0m");
    }

    #[test]
    fn long_lists_are_told_by_what_they_leave_out() {
        let all = Traffic::all();
        let https = Traffic::ports(6, 443, 443);
        assert_eq!(traffic(&https, &all), "tcp 443");
        assert_eq!(traffic(&all, &all), "everything");
        assert_eq!(traffic(&(&all - &https), &all), "all but tcp 443");
        assert_eq!(traffic(&Traffic::ports(50, 0, u16::MAX), &all), "protocol 50");
    }
}
