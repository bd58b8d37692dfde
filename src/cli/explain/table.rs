//! Many events as a table: when, who, which call, which rule, and what the policy says of it.
//!
//! Must not: judge, or hold more than a thousand lines.

use std::fmt::Write as _;

use crate::cli::answer::{Answer, looked_at};
use crate::cli::style::{Style, decision};
use crate::event::{Actor, Event, Named, Target};
use crate::model::text::{count, cut, plain};
use crate::policy::model::Verdict;
use crate::report::notice::rule_in_words;

/// Lines that are lined up together, and said before the next ones.
const MAX_LINES: usize = 1_000;
/// Longest name of a caller.
const MAX_WHO: usize = 40;
const HEADINGS: [&str; 5] = ["TIME", "WHO", "CALL", "RULE", "VERDICT"];
const UNKNOWN: &str = "unknown";

/// Lines that were not said yet.
#[derive(Default)]
pub(super) struct Table {
    lines: Vec<Line>,
    has_begun: bool,
}

struct Line {
    cells: [String; 5],
    verdict: Option<Verdict>,
}

impl Table {
    /// Whether there is room for more lines.
    pub(super) fn is_short(&self) -> bool {
        self.lines.len() < MAX_LINES
    }

    pub(super) fn add(&mut self, answer: &Answer) {
        let Some(event) = answer.event() else { return };
        if let Some(change) = answer.change.as_ref().filter(|change| looked_at(&change.subject).is_some()) {
            self.line(event, of_subject(&change.subject), None, UNKNOWN.to_owned());
        }
        for group in &answer.groups {
            let id = plain(&group.claimed.group.id);
            for (step, otherwise) in group.steps.iter().zip(&group.otherwise) {
                let finding = &step.finding;
                let rule = format!("{} ({id})", rule_in_words(&finding.rule));
                let mut says = decision(finding.verdict, finding.severity);
                if let Some((other, _)) = otherwise {
                    let _ = write!(says, " or {}", decision(other.finding.verdict, other.finding.severity));
                }
                self.line(event, rule, Some(finding.verdict), says);
            }
            let unknown = match &group.claimed.named {
                Named::Rules(_) if group.claimed.without_content == 0 => continue,
                Named::Rules(_) => format!("{} of {id}, by id alone", count(group.claimed.without_content, "rule")),
                Named::Everything => format!("rules of {id} that the event does not name"),
                Named::Nothing | Named::Using(_) => format!("none; the group {id}"),
            };
            self.line(event, unknown, None, UNKNOWN.to_owned());
        }
    }

    fn line(&mut self, event: &Event, rule: String, verdict: Option<Verdict>, says: String) {
        let time = event.time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string());
        let cells = [time, who(event), event.call.name.to_owned(), rule, says];
        self.lines.push(Line { cells, verdict });
    }

    /// The lines as text; they are said now.
    pub(super) fn lines(&mut self, style: Style) -> String {
        let lines = std::mem::take(&mut self.lines);
        let mut out = String::new();
        let heading = Line { cells: HEADINGS.map(str::to_owned), verdict: None };
        let all = || (!self.has_begun).then_some(&heading).into_iter().chain(&lines);
        let mut widths = [0; HEADINGS.len()];
        for line in all() {
            for (width, cell) in widths.iter_mut().zip(&line.cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if lines.is_empty() {
            return out;
        }
        for line in all() {
            let mut cells = line.cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            let before: Vec<String> = cells.by_ref().take(HEADINGS.len() - 1).collect();
            let [.., says] = &line.cells;
            let says = line.verdict.map_or_else(|| says.clone(), |verdict| style.of(verdict, says));
            out.push_str(&before.join("  "));
            out.push_str("  ");
            out.push_str(&says);
            out.push('\n');
        }
        self.has_begun = true;
        out
    }
}

/// What a call is about that names no rule.
fn of_subject(subject: &Target) -> String {
    match subject {
        Target::Groups(_) => String::new(),
        Target::Attached { attachment, groups } => {
            let groups = if groups.is_empty() { "groups".to_owned() } else { groups.join(", ") };
            format!("{groups} on {}", attachment.as_deref().unwrap_or("an interface or instance"))
        }
        Target::PrefixList(change) => format!("those that use {}", change.list),
        Target::Trails => "none; the trails".to_owned(),
        Target::EventRule(_) => "none; a rule of EventBridge".to_owned(),
        Target::Cluster { name, node_group } => {
            let of = node_group.as_ref().map(|nodes| format!("node group {} of ", plain(nodes))).unwrap_or_default();
            format!("those of {of}cluster {}", plain(name))
        }
        Target::Unknown => "the event does not say".to_owned(),
    }
}

/// The caller in a word or two: the user, the role, the person behind a role of IAM Identity Center; with the account if it
/// is another one.
pub(super) fn who(event: &Event) -> String {
    let Actor { arn, invoked_by, source_ip, .. } = &event.actor;
    let Some(arn) = event.actor.session_issuer.as_ref().or(arn.as_ref()) else {
        let service = invoked_by.as_ref().or(source_ip.as_ref().filter(|text| text.ends_with(".amazonaws.com")));
        return service.map_or_else(|| "unknown".to_owned(), |service| short(service));
    };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, _, _, account, resource] = parts.as_slice() else { return short(arn) };
    let mut path = resource.split('/');
    let kind = path.next().unwrap_or_default();
    let name = match (kind, path.next_back()) {
        ("root", _) => "root",
        ("assumed-role", _) => resource.split('/').nth(1).unwrap_or(resource),
        (_, Some(name)) => name,
        (_, None) => resource,
    };
    // Identity Center names its sessions, so here they can be believed.
    let session = event.actor.arn.as_ref().and_then(|arn| arn.rsplit('/').next());
    let person = session.filter(|_| name.starts_with("AWSReservedSSO_")).unwrap_or(name);
    let home = &event.location.account;
    let of = if account.is_empty() || account == home { String::new() } else { format!(" ({account})") };
    short(person) + &plain(&of)
}

fn short(text: &str) -> String {
    cut(&plain(text), MAX_WHO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CALLS, Event};
    use crate::model::ids::Location;

    #[test]
    fn callers_have_short_names() {
        let name = |arn: &str, issuer: Option<&str>| {
            let arn = (!arn.is_empty()).then(|| arn.to_owned());
            let actor = Actor { arn, session_issuer: issuer.map(str::to_owned), ..Actor::default() };
            let location = Location::new("111122223333", "us-east-1");
            who(&Event { id: String::new(), call: &CALLS[0], time: None, location, actor })
        };
        let sso = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef";
        for (arn, issuer, expected) in [
            ("arn:aws:iam::111122223333:user/alice", None, "alice"),
            ("arn:aws:iam::111122223333:user/team/alice", None, "alice"),
            ("arn:aws:iam::444455556666:user/mallory", None, "mallory (444455556666)"),
            ("arn:aws:iam::111122223333:root", None, "root"),
            ("arn:aws:sts::111122223333:assumed-role/terraform/run-1", None, "terraform"),
            (
                "arn:aws:sts::111122223333:assumed-role/terraform/run-1",
                Some("arn:aws:iam::111122223333:role/ci/terraform"),
                "terraform",
            ),
            (
                "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_01/bob@example.com",
                Some(sso),
                "bob@example.com",
            ),
            ("arn:aws:sts::111122223333:federated-user/carol", None, "carol"),
            ("", None, "unknown"),
            ("no arn\u{1b}[31m", None, "no arn\u{fffd}[31m"),
        ] {
            assert_eq!(name(arn, issuer), expected, "{arn}");
        }
    }
}
