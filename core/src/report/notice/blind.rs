//! What keeps the guard from seeing, in words: for the subject, what follows from it, and the commands that end it.
//!
//! Must not: say what to do in words (steps does).

use super::{Code, who};
use crate::model::text::plain;
use crate::report::finding::{Check, Finding, Subject};
use crate::report::record::Record;

/// What somebody may have done on purpose.
const ON_PURPOSE: [Check; 2] = [Check::NoTrail, Check::RuleDisabled];
/// What the commands do that end it, by how they begin.
const MENDS: [(&str, &str); 2] = [
    ("cloudtrail start-logging ", "This starts the trail's logging again:"),
    ("events enable-rule ", "This switches the guard's event rule on again:"),
];
/// What is wrong, and what follows.
const WORDS: [(Check, &str, &str); 7] = [
    (Check::ReadDenied, "the guard is not allowed to look", "nothing was judged, and nothing was closed"),
    (Check::Unfinished, NOT_LOOKED_AT, MAY_BE_OPEN),
    (
        Check::LostEvents,
        "a sweep found new rules that no event reported",
        "the guard hears of changes late, or not at all",
    ),
    (Check::NoTrail, "no trail logs the calls to EC2", IS_DEAF),
    (Check::RuleDisabled, "the guard's event rule is off", IS_DEAF),
    (Check::TrailsUnread, "the guard cannot see whether a trail logs here", MAY_BE_DEAF),
    (Check::RuleUnread, "the guard cannot see whether its event rule is on", MAY_BE_DEAF),
];
const NOT_LOOKED_AT: &str = "a call could not be looked at";
pub(super) const MAY_BE_OPEN: &str = "what it opened may still be open";
/// The same where it was no call.
const SWEEP: (&str, &str) =
    ("a sweep could not be finished", "nobody has looked at what it did not reach; what it found is in its digest");
/// As in `docs/runbook.md`.
const SWEEP_NOW: &str = "aws lambda invoke --region FILL-IN-ITS-REGION --function-name FILL-IN-THE-FUNCTION --payload \
                         '{\"sweep\": true}' --cli-binary-format raw-in-base64-out out.json";
const IS_DEAF: &str = "no event reaches the guard, and nothing new is closed";
const MAY_BE_DEAF: &str = "nobody knows whether events still reach the guard";

/// What is wrong, and what follows.
pub(super) fn words(finding: &Finding, record: &Record) -> (&'static str, &'static str) {
    if is_of_sweep(finding, record) {
        return SWEEP;
    }
    let row = WORDS.iter().find(|(check, ..)| finding.subject == Subject::Check(*check));
    row.map_or((NOT_LOOKED_AT, MAY_BE_OPEN), |(_, what, then)| (what, then))
}

/// Whether it was a sweep, or a part of one, that came to no end.
pub(super) fn is_of_sweep(finding: &Finding, record: &Record) -> bool {
    finding.subject == Subject::Check(Check::Unfinished) && record.event_id.is_none()
}

/// Who may have blinded the guard, as the next sentence: whoever wants to open something unseen begins with that.
pub(super) fn on_purpose(finding: &Finding, record: &Record) -> Option<String> {
    let is_it = ON_PURPOSE.iter().any(|check| finding.subject == Subject::Check(*check));
    let who = match (&record.actor, &record.event_name) {
        (Some(actor), Some(call)) => {
            format!("{} called {} just before", who::name(actor, &record.account), plain(call))
        }
        _ => "no call is known that did it".to_owned(),
    };
    is_it.then(|| format!("This may be an intruder covering their tracks: {who}"))
}

/// The commands that the lines of a finding name on lines of their own: ``Start it: `aws …` ``.
pub(super) fn commands(lines: &[String], region: &str) -> Vec<Code> {
    let of = |line: &String| {
        let (said, command) = command(line)?;
        let known = MENDS.iter().find(|(start, _)| command.starts_with(start)).map(|(_, title)| (*title).to_owned());
        let title = known.unwrap_or_else(|| format!("{said}:"));
        let region = if command.contains(" --region ") { String::new() } else { format!(" --region {region}") };
        Some(Code { title, text: format!("aws {command}{region}") })
    };
    lines.iter().filter_map(of).take(3).collect()
}

/// Has the guard look at everything, once what keeps it from that is mended. Nothing here knows the name and the region of
/// its function, which may be of another account too.
pub(super) fn sweep(finding: &Finding, record: &Record) -> Option<Code> {
    let first = match finding.subject {
        Subject::Check(Check::NoTrail | Check::RuleDisabled) => "Then this",
        _ if is_of_sweep(finding, record) => "This",
        _ => return None,
    };
    Some(Code {
        title: format!(
            "{first} has the guard look at everything (fill in its function's name, which is output `FunctionName` of its \
             stack, and the region):"
        ),
        text: SWEEP_NOW.to_owned(),
    })
}

/// What a line that names a command says, and the command.
pub(super) fn command(line: &str) -> Option<(&str, &str)> {
    let (title, command) = line.split_once(": `aws ")?;
    Some((title, command.strip_suffix('`').filter(|command| !command.contains('`'))?))
}
