//! The details of each finding, below the line: ids, clauses, why it was left, how often it came back.
//!
//! Must not: say what to do (steps does).

use super::Section;
use super::broken;
use super::clock::{span, time};
use super::headline::{open_for, without_id};
use super::situation::{Situation, Topic};
use super::words::{clauses, meanwhile, status, what};
use super::{contested, source};
use crate::model::text::{capital, plain};
use crate::report::finding::Finding;
use crate::report::outcome::Action;

/// Entries of a list that are written out.
const MAX_ENTRIES: usize = 5;

pub(super) fn section(topic: &Topic<'_>) -> Section {
    let (finding, record) = (topic.finding, topic.record);
    let actor = record.actor.as_ref();
    let mut lines = Vec::new();
    lines.extend(before(finding));
    lines.extend(finding.detail.as_deref().map(|detail| capital(&plain(detail))));
    let is_missing = finding.is_missing();
    if is_missing {
        lines.push(format!("What fails: {}", broken::stops(&[topic])));
    }
    let why = if is_missing { "Required" } else { "Not allowed" };
    lines.extend(clauses(finding).map(|portion| format!("{why} by `{}`: {}", portion.clause, plain(&portion.reason))));
    lines.extend(list(finding));
    if actor.is_some() && !finding.named_by_event && finding.rule().is_some() {
        lines.push("Not named by this call; who wrote it is not known".to_owned());
    }
    let closed = if finding.action == Action::Restored { "put back" } else { "gone" };
    lines.extend(
        open_for(topic).map(|open| format!("From the call to the read that showed it {closed}: {}", span(open))),
    );
    lines.extend(finding.connections.map(|connections| meanwhile(connections).to_owned()));
    lines.extend(finding.notified_at.map(|at| format!("You were notified at {}", time(at))));
    let again = |known| contested::lines(known, finding.rule(), actor, &record.account);
    lines.extend(finding.contested.as_ref().map(again).unwrap_or_default());
    lines.extend(finding.rule().and_then(|rule| {
        let group = record.group.as_ref().map(|group| group.id.as_str());
        source::what_to_look_for(rule, actor, group)
    }));
    if let Some(description) = finding.rule().and_then(|rule| rule.description.as_deref()) {
        lines.push(format!("Its description says: {}", plain(description)));
    }
    Section { title: what(finding), status: status(finding).to_owned(), lines }
}

/// What a rule was before it was edited in place, where nothing else says so.
pub(super) fn before(finding: &Finding) -> Option<String> {
    let before = without_id(finding.before.as_ref()?);
    match (finding.action, Situation::of(finding)) {
        (Action::Restored, _) => Some(format!("It is now what it was before the edit: {before}")),
        (_, Situation::Lost) if finding.detail.is_none() => {
            Some(format!("Lost is what it was before the edit: {before}"))
        }
        (Action::Refused | Action::Failed, _) => Some(format!("Before the edit it was {before}")),
        _ => None,
    }
}

/// What the prefix list of the rule holds, as far as there is room for it.
fn list(finding: &Finding) -> Vec<String> {
    let Some(list) = &finding.list else { return Vec::new() };
    let name = list.name.as_deref().map(|name| format!(" {}", plain(name))).unwrap_or_default();
    let shown: Vec<String> = list.entries.iter().take(MAX_ENTRIES).map(ToString::to_string).collect();
    let rest = list.count.saturating_sub(shown.len());
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    vec![format!("Prefix list{name} ({}) holds {}{more}", plain(&list.id), shown.join(", "))]
}
