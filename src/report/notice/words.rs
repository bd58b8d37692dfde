//! The words of notices: what a finding is about, whether it is closed, what happened altogether, what is to be done.
//!
//! Must not: know what a notice is made of.

use crate::model::rule::{Direction, Peer, Rule};
use crate::model::text::{self, capital, plain};
use crate::policy::model::Severity;
use crate::report::finding::{Check, Finding, Kind, PortionRecord, Subject};
use crate::report::outcome::{Action, Connections};

/// SNS refuses a subject of 100 characters or more.
const MAX_SUBJECT_LEN: usize = 99;

/// `[CRITICAL] prod: 1 rule revoked on sg-…`. A long cluster name gives way: what happened and to which group has to be
/// readable.
pub(super) fn subject(severity: Option<Severity>, cluster: &str, what: &str) -> String {
    let severity = severity.map_or("info", Severity::word).to_uppercase();
    let room = MAX_SUBJECT_LEN.saturating_sub(severity.len() + 5 + what.chars().count());
    let mut name: String = cluster.chars().take(room).collect();
    if name.len() < cluster.len() {
        name = name.chars().take(room.saturating_sub(1)).chain(['…']).collect();
    }
    let line = format!("[{severity}] {name}: {what}");
    line.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT_LEN).collect()
}

/// What happened, in a few words: the worst first.
pub(super) fn headline(findings: &[&Finding]) -> String {
    let of = |is_it: &dyn Fn(&Finding) -> bool, what: &str| {
        let found: Vec<Kind> =
            findings.iter().filter(|finding| is_it(finding)).map(|finding| finding.subject.kind()).collect();
        let number = |kind: &Kind| (found.iter().filter(|found| *found == kind).count(), kind.word());
        let things: Vec<(usize, &str)> = Kind::ALL.iter().map(number).filter(|(n, _)| *n > 0).collect();
        let words: Vec<String> = things.iter().map(|(n, word)| text::count(*n, word)).collect();
        let long = format!("{} {what}", text::and(&words));
        let short = match things.as_slice() {
            [(n, "rule")] => format!("{n} {what}"),
            _ => long.clone(),
        };
        (found.len(), long, short)
    };
    let with = |action: Action, what: &str| {
        of(&|finding| finding.action == action && !finding.is_missing() && !is_unread(finding), what)
    };
    let lines = [
        of(&is_unread, "NOT looked at"),
        with(Action::Failed, "NOT closed"),
        with(Action::Refused, "left open"),
        with(Action::Revoked, "revoked"),
        with(Action::Restored, "put back"),
        with(Action::WouldRevoke, "should be closed"),
        with(Action::Postponed, "NOT closed yet"),
        with(Action::WasOpen, "open for a while"),
        with(Action::AlreadyGone, "already gone"),
        with(Action::Changed, "changed and judged again"),
        of(&Finding::is_missing, "missing"),
        with(Action::Reported, "to look at"),
    ];
    let mut parts = lines.into_iter().filter(|(n, ..)| *n > 0);
    let first = parts.next().map_or_else(|| "nothing to do".to_owned(), |(_, first, _)| first);
    parts.next().map_or(first.clone(), |(.., more)| format!("{first}, {more}"))
}

/// Whether it could not be looked at, so that nothing is known of it.
fn is_unread(finding: &Finding) -> bool {
    matches!(finding.subject, Subject::Check(Check::ReadDenied | Check::Unfinished))
}

/// What the finding is about.
pub(super) fn what(finding: &Finding) -> String {
    match &finding.subject {
        Subject::Rule(rule) => rule_in_words(rule),
        Subject::Requirement(id) => format!("Missing: {}", plain(id)),
        Subject::Check(Check::PublicEndpoint) => "The public endpoint of the API".to_owned(),
        Subject::Check(Check::ReadDenied) => "What the guard may read".to_owned(),
        Subject::Check(Check::Unfinished) => "What could not be handled".to_owned(),
        Subject::Check(Check::UnreadableRule) => "Rules that can't be read".to_owned(),
        Subject::Check(Check::NewCluster) => "The clusters of the group".to_owned(),
        Subject::Check(Check::LostEvents) => "Events that the guard never got".to_owned(),
        Subject::Check(Check::NewMember) => "Whose the group is".to_owned(),
        Subject::Check(Check::NoTrail | Check::TrailsUnread) => "CloudTrail's trails".to_owned(),
        Subject::Check(Check::RuleDisabled | Check::RuleUnread) => "The guard's own event rule".to_owned(),
    }
}

/// Whether it is closed.
pub(super) fn status(finding: &Finding) -> &'static str {
    match finding.action {
        _ if finding.subject == Subject::Check(Check::Unfinished) => "NOT LOOKED AT, or not to the end",
        _ if is_unread(finding) => "NOT LOOKED AT, the guard may not read it",
        _ if finding.subject == Subject::Check(Check::UnreadableRule) => "NOT JUDGED, nobody knows what it lets in",
        _ if finding.subject == Subject::Check(Check::LostEvents) => "The guard may be deaf",
        _ if matches!(finding.subject, Subject::Check(Check::NewCluster | Check::NewMember)) => "Changed",
        _ if matches!(finding.subject, Subject::Check(Check::NoTrail)) => "BLIND: none logs what EC2 is told here",
        _ if matches!(finding.subject, Subject::Check(Check::RuleDisabled)) => "BLIND: it brings no event to the guard",
        _ if matches!(finding.subject, Subject::Check(Check::TrailsUnread | Check::RuleUnread)) => {
            "NOT KNOWN: it could not be looked at"
        }
        Action::None | Action::Reported if finding.is_missing() => "NOT OPEN, and the cluster needs it",
        Action::None | Action::Reported => "Open, reported only",
        Action::WouldRevoke => "STILL OPEN, only reported",
        Action::Revoked => "Closed: revoked, and read back as gone",
        Action::Restored => "Closed: put back to what it was, and read back as that",
        Action::AlreadyGone => "Not open: it was not there any more when we looked",
        Action::WasOpen => "Not open any more: it was, according to the event, and was gone or harmless when we looked",
        Action::Postponed => "STILL OPEN, the guard comes back to it",
        Action::Changed => "Changed while we looked, and judged again",
        Action::Refused => "STILL OPEN, a guard kept us from revoking it",
        Action::Failed if finding.before.is_some() => "STILL OPEN, closing it did not work",
        Action::Failed => "STILL OPEN, the revoke did not work",
    }
}

/// What a rule was before it was edited in place, where nothing else says so.
pub(super) fn before(finding: &Finding) -> Option<String> {
    let before = finding.before.as_ref()?;
    let before = rule_in_words(&Rule { id: String::new(), ..before.clone() });
    match finding.action {
        Action::Restored => Some(format!("It is again what it was known as before it was edited: {before}")),
        Action::Refused | Action::Failed => Some(format!("Before it was edited it was known as {before}")),
        _ => None,
    }
}

/// The portions that make the verdict, one per clause.
pub(super) fn clauses(finding: &Finding) -> impl Iterator<Item = &PortionRecord> {
    let mut named: Vec<&str> = Vec::new();
    finding.portions.iter().filter(move |portion| {
        let is_new = portion.verdict == finding.verdict && !named.contains(&portion.clause.as_str());
        if is_new {
            named.push(&portion.clause);
        }
        is_new
    })
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>
pub(super) fn meanwhile(connections: Connections) -> &'static str {
    match connections {
        Connections::Cut => {
            "Direct connections through it were cut with it; those through NAT gateways or network load balancers may go on"
        }
        Connections::MayGoOn => {
            "Connections made through it may go on until they are idle for long (TCP: up to 5 days); only a network ACL \
             cuts them at once"
        }
    }
}

/// `TCP 0-65535 from anywhere (0.0.0.0/0), rule sgr-…`.
pub fn rule_in_words(rule: &Rule) -> String {
    let way = match rule.direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let peer = match &rule.peer {
        Peer::Cidr(net) if net.prefix_len() == 0 => format!("anywhere ({net})"),
        Peer::Cidr(net) => net.to_string(),
        Peer::PrefixList(id) => format!("prefix list {id}"),
        Peer::Group { id, owner: None } => format!("group {id}"),
        Peer::Group { id, owner: Some(owner) } => format!("group {id} (account {owner})"),
    };
    let packets = capital(&rule.packets.to_string());
    let id = if rule.id.is_empty() { String::new() } else { format!(", rule {}", rule.id) };
    format!("{packets} {way} {peer}{id}")
}

/// In the order in which they are to be done.
pub(super) fn next_steps(findings: &[&Finding]) -> Vec<String> {
    let has = |action: Action| findings.iter().any(|finding| finding.action == action);
    let has_closed = findings.iter().any(|finding| finding.action.is_closed_by_us());
    let is = |check: Check| findings.iter().any(|finding| finding.subject == Subject::Check(check));
    let (is_denied, is_unfinished) = (is(Check::ReadDenied), is(Check::Unfinished));
    let is_blind = is(Check::NoTrail) || is(Check::RuleDisabled);
    let has_failed = findings.iter().any(|finding| finding.action == Action::Failed && !is_unread(finding));
    let steps = [
        (is_denied, "Grant what is missing: until then nothing in this account and region is guarded."),
        (is_denied, "Look at the rules of this account by hand, and at what the call above opened."),
        (
            is(Check::NoTrail),
            "Have a trail log EC2's management write events here again: until then no event reaches the guard.",
        ),
        (
            is(Check::RuleDisabled),
            "Switch the guard's event rule on again, or deploy its stack again: until then no event reaches the guard.",
        ),
        (
            is_blind,
            "Then have the guard look at everything (`{\"sweep\": true}`): what was opened meanwhile made no event.",
        ),
        (
            is(Check::TrailsUnread) || is(Check::RuleUnread),
            "Grant the right that is missing, or see for yourself that events still come: the guard can't know.",
        ),
        (is_unfinished, "Look at what the call above opened by hand: until the guard can look, nobody closes it."),
        (has_failed, "Close the rule by hand now, then look at why the revoke did not work (see above)."),
        (has(Action::Refused), "Look at the rules that were left open; a guard stopped here so that a person decides."),
        (
            has(Action::WouldRevoke),
            "Revoke the rule that is still open by hand, or change the setting that keeps us from it (see above).",
        ),
        (
            has(Action::Revoked),
            "Look for connections made meanwhile: revoking a rule does not always cut what is already open.",
        ),
        (
            has(Action::Restored) && !has(Action::Revoked),
            "Look for connections made meanwhile: putting a rule back does not always cut what is already open.",
        ),
        (
            has_closed || has(Action::WouldRevoke),
            "Fix it at the source (Terraform, CloudFormation, a controller), or it will come back.",
        ),
        (
            has_closed || has(Action::WouldRevoke),
            "If it has to be open: ask the owners of the policy for an exception with a reason and an end.",
        ),
        (
            findings.iter().any(|finding| finding.is_missing()),
            "Open what is missing: parts of the cluster cannot reach each other. The guard opens nothing by itself.",
        ),
    ];
    let steps: Vec<String> = steps.into_iter().filter(|(is_due, _)| *is_due).map(|(_, step)| step.to_owned()).collect();
    if steps.is_empty() { vec!["Check whether this is meant to be open.".to_owned()] } else { steps }
}
