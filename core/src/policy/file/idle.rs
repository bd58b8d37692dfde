//! Warns of exceptions that change nothing: without them the policy allows all that they allow, in every possible group.
//! Warns only where that is certain, and only as long as making certain is cheap.

use jiff::civil::Date;

use crate::model::text::and;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::problems::Problems;
use crate::policy::file::reach::{Budget, Open, Reach, cover, may_meet};
use crate::policy::model::{Clause, Limits, PeerTerm, Verdict};

/// More are not named.
const MAX_NAMED: usize = 3;

/// Warns of each idle exception that has not expired. `clauses`: all that are read after the exceptions, in order.
pub(super) fn report(
    exceptions: &[(Clause, At)],
    clauses: &[&Clause],
    otherwise: Verdict,
    today: Date,
    problems: &mut Problems,
) {
    let mut budget = Budget::new();
    let clauses: Vec<Reach<'_>> = clauses.iter().filter_map(|clause| Reach::of(clause)).collect();
    let mut earlier: Vec<Reach<'_>> = Vec::new();
    for (exception, at) in exceptions {
        let Some(reach) = Reach::of(exception) else { continue };
        let wider = earlier.iter().filter(|other| are_within(&exception.limits, &other.clause.limits));
        let after: Vec<&Reach<'_>> = wider.chain(&clauses).filter(|other| reach.overlaps(other)).collect();
        if budget.spend(earlier.len() + clauses.len()).and_then(|()| budget.compare(&reach, &after)).is_none() {
            return;
        }
        let has_expired = exception.limits.expires.is_some_and(|last| last < today);
        if let Some(allowing) = allowed_by(&reach, &after, otherwise).filter(|_| !has_expired) {
            problems.add(warning(&exception.id, &allowing, *at));
        }
        earlier.push(reach);
    }
}

/// Whether one exception holds nowhere and never where the other does not.
fn are_within(limits: &Limits, wider: &Limits) -> bool {
    let within = |limit: &Option<String>, wider: &Option<String>| wider.is_none() || limit == wider;
    within(&limits.group, &wider.group)
        && limits.clusters_are_within(wider)
        && within(&limits.account, &wider.account)
        && within(&limits.region, &wider.region)
        && wider.expires.is_none_or(|last| limits.expires.is_some_and(|day| day <= last))
}

/// The clauses that allow everything the exception speaks of; `None` where something may be reported or revoked.
fn allowed_by<'c>(exception: &Reach<'_>, after: &[&Reach<'c>], otherwise: Verdict) -> Option<Vec<&'c str>> {
    let mut allowing: Vec<&str> = Vec::new();
    for word in &exception.clause.peers {
        let mut open = Open::of(exception);
        for other in after.iter().filter(|other| may_meet(&other.clause.peers, word)) {
            if !open.meets(other) {
                continue;
            }
            if other.clause.verdict != Verdict::Allow {
                return None;
            }
            if other.holds_beside(exception) && cover(&other.clause.peers, word) {
                open.take(other);
                if !allowing.contains(&other.clause.id.as_str()) {
                    allowing.push(&other.clause.id);
                }
            }
        }
        // A list that cannot be read is reported, whatever `otherwise` says.
        let may_be_unreadable = matches!(word, PeerTerm::PrefixList(_) | PeerTerm::Anywhere);
        if !open.is_empty() && (otherwise != Verdict::Allow || may_be_unreadable) {
            return None;
        }
    }
    Some(allowing)
}

fn warning(id: &str, allowing: &[&str], at: At) -> Diagnostic {
    let named: Vec<String> = allowing.iter().take(MAX_NAMED).map(|id| format!("`{id}`")).collect();
    let by = match allowing.len() {
        0 => "`otherwise`".to_owned(),
        many if many > MAX_NAMED => format!("{} and others", named.join(", ")),
        _ => and(&named),
    };
    let message = format!("the exception `{id}` changes nothing: all it speaks of is allowed without it, by {by}");
    Diagnostic::warning("idle-exception", at, message)
        .about(id)
        .help("remove it, or write the ports and addresses of the finding that it is for")
}
