//! `verdicts`: other verdicts on what a policy inherits.

use std::collections::HashMap;

use crate::model::text::quoted;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::clause::{DEFAULT_SEVERITY, HELP_VERDICT, Ids, MILDER, refuse_severity_of_allow};
use crate::policy::file::fields::{Fields, choice, kind, scalar};
use crate::policy::file::hazard::is_guard;
use crate::policy::file::problems::Problems;
use crate::policy::globs::is_universal;
use crate::policy::model::{Clause, Limits, PeerTerm, Policy, Severity, Verdict};
use crate::policy::tree::{Node, Value};

const OF_VERDICTS: [&str; 4] = ["verdict", "in_passing", "for_controller", "severity"];

/// Changes the verdicts of inherited clauses and requirements, and their severities where those are given.
pub(super) fn change(node: &Node, own: &Ids, inherited: &mut Policy, problems: &mut Problems) {
    let Value::Map(map) = &node.value else {
        let message = format!("`verdicts` is a mapping from clause ids, and here is {}", kind(node));
        problems.add(Diagnostic::error("wrong-type", node.at, message).help("write `clause-id: report` for each"));
        return;
    };
    let mut seen: HashMap<&str, At> = HashMap::new();
    for (key, value) in map {
        let Some(id) = scalar(key, "verdicts", problems) else {
            continue;
        };
        let change = entry(value, id, problems);
        if let Some(first) = seen.insert(id, key.at) {
            let message = format!("the verdict of {} is given twice", quoted(id));
            problems.add(Diagnostic::error("duplicate-key", key.at, message).also("first here", first, None));
        } else if let Some(clause) = inherited.clauses.iter_mut().find(|clause| clause.id == id) {
            if let Some(change) = change {
                if let Some(message) = weakened(clause, change) {
                    let help = "write a clause of your own for what has to be open; it can name ports and addresses";
                    problems.add(Diagnostic::warning("weakens-inherited", key.at, message).about(id).help(help));
                }
                set_verdict(clause, change);
            }
        } else if let Some(at) = inherited.requirements.iter().position(|requirement| requirement.id == id) {
            match change {
                // It may be missing.
                Some(Change { verdict: Verdict::Allow, .. }) => drop(inherited.requirements.remove(at)),
                Some(Change { verdict: Verdict::Report, severity, .. }) => {
                    if let (Some(requirement), Some(severity)) = (inherited.requirements.get_mut(at), severity) {
                        requirement.severity = severity;
                    }
                }
                Some(Change { verdict: Verdict::Revoke, .. }) => {
                    let message = format!("{} is a requirement: what is missing cannot be revoked", quoted(id));
                    let help = "write `allow` where it may be missing, or `report`";
                    problems.add(Diagnostic::error("revoke-of-requirement", value.at, message).help(help));
                }
                None => {}
            }
        } else {
            let clauses = inherited.clauses.iter().map(|clause| clause.id.as_str());
            let ids = clauses.chain(inherited.requirements.iter().map(|requirement| requirement.id.as_str()));
            let message = format!("no inherited clause or requirement is called {}", quoted(id));
            let problem = Diagnostic::error("unknown-clause", key.at, message);
            problems.add(match (own.get(id), problems.did_you_mean(id, ids)) {
                (Some((None, at)), _) => {
                    problem.help("it is your own: change its `verdict` there").also("here", *at, None)
                }
                (_, Some(meant)) => problem.help(meant),
                (_, None) => {
                    problem.help("`eks-sg-guard policy show` prints a built-in policy with the ids of its clauses")
                }
            });
        }
    }
}

/// What the new verdict gives up, where that is grave: a clause that keeps the world out of what must never be open to it,
/// or the last that objects to something open to the internet.
fn weakened(clause: &Clause, change: Change) -> Option<String> {
    let (id, verdict) = (&clause.id, change.verdict);
    let particular = [(clause.in_passing, change.in_passing), (clause.for_controller, change.for_controller)];
    let is_milder = |(before, after): (Option<Verdict>, Option<Verdict>)| {
        after.is_some_and(|after| after < before.unwrap_or(clause.verdict))
    };
    if is_guard(clause) && (verdict < Verdict::Revoke || particular.into_iter().any(is_milder)) {
        return Some(format!("`{id}` no longer closes what it is there to keep the world out of: {}", clause.reason));
    }
    let particular = [clause.severity_of_ranges, clause.severity_of_broad, clause.severity_for_controller];
    let severity = particular.into_iter().fold(clause.severity, Option::max);
    let is_public = clause.peers.iter().any(|peer| matches!(peer, PeerTerm::Internet | PeerTerm::WideInternet));
    let was_grave = severity >= Some(Severity::High) && is_public;
    (verdict == Verdict::Allow && was_grave)
        .then(|| format!("nobody will hear of what `{id}` is there to find: {}", clause.reason))
}

/// Warns of each inherited clause that is changed and decides nowhere: `extends` of an entry of `clusters` gives every
/// cluster the same clause, as it is written, before it.
pub(super) fn report_shadowed(node: &Node, of_clusters: &[Clause], problems: &mut Problems) {
    for (id, at) in positions(node) {
        let has_it = |limits: &Limits| of_clusters.iter().any(|clause| clause.id == id && clause.limits == *limits);
        let last = of_clusters.iter().map(|clause| &clause.limits).find(|limits| {
            let others = limits.not_clusters.iter();
            let mut others =
                others.map(|name| of_clusters.iter().find(|clause| clause.limits.cluster.as_ref() == Some(name)));
            let every = limits.cluster.as_deref().is_some_and(is_universal);
            every && has_it(limits) && others.all(|other| other.is_some_and(|other| has_it(&other.limits)))
        });
        if last.is_some() {
            let message = format!(
                "what `verdicts` says of {} counts in no cluster: `extends` gives each of them that clause as it is written",
                quoted(id)
            );
            let help = "change the policy that the file extends, or write a clause of your own, which is read first";
            problems.add(Diagnostic::warning("shadowed", at, message).about(id).help(help));
        }
    }
}

/// Where the file changes each inherited clause.
pub(super) fn positions(node: &Node) -> Vec<(&str, At)> {
    let Value::Map(map) = &node.value else { return Vec::new() };
    map.iter()
        .filter_map(|(key, _)| if let Value::Scalar(id) = &key.value { Some((id.as_str(), key.at)) } else { None })
        .collect()
}

/// `report`, or `{verdict: report, severity: low}`. `None`: reported.
fn entry(value: &Node, id: &str, problems: &mut Problems) -> Option<Change> {
    if !matches!(value.value, Value::Map(_)) {
        let verdict = choice(value, id, "verdict", "unknown-verdict", &Verdict::WORDS, problems)?;
        return Some(Change { verdict, severity: None, in_passing: None, for_controller: None });
    }
    let fields = Fields::read(value, "entry of `verdicts`", &OF_VERDICTS, problems)?;
    let severity = fields.choice("severity", "severity", "unknown-severity", &Severity::WORDS, problems);
    let [in_passing, for_controller] =
        MILDER.map(|key| fields.choice(key, "verdict", "unknown-verdict", &Verdict::WORDS, problems));
    fields.need("verdict", HELP_VERDICT, problems);
    let verdict = fields.choice("verdict", "verdict", "unknown-verdict", &Verdict::WORDS, problems)?;
    refuse_severity_of_allow(&fields, verdict, problems);
    Some(Change { verdict, severity, in_passing, for_controller })
}

/// What `verdicts` says of an inherited clause.
#[derive(Clone, Copy)]
struct Change {
    verdict: Verdict,
    severity: Option<Severity>,
    in_passing: Option<Verdict>,
    for_controller: Option<Verdict>,
}

/// Gives a clause another verdict, and takes away what does nothing beside it. A severity that is given is that of every
/// rule.
fn set_verdict(clause: &mut Clause, change: Change) {
    let Change { verdict, severity, in_passing, for_controller } = change;
    let is_objection = verdict != Verdict::Allow;
    clause.verdict = verdict;
    for particular in
        [&mut clause.severity_of_ranges, &mut clause.severity_of_broad, &mut clause.severity_for_controller]
    {
        *particular = particular.filter(|_| is_objection && severity.is_none());
    }
    clause.severity = is_objection.then_some(severity.or(clause.severity).unwrap_or(DEFAULT_SEVERITY));
    clause.in_passing = in_passing.or(clause.in_passing).filter(|milder| *milder < verdict);
    clause.for_controller = for_controller.or(clause.for_controller).filter(|milder| *milder < verdict);
    clause.beside_load_balancer &= verdict == Verdict::Revoke;
}
