//! The words of notices' details: what a finding is about, whether it is closed, what became of connections.
//!
//! Must not: know what a notice is made of.

use crate::model::role::{Role, RoleEvidence};
use crate::model::rule::{Direction, Peer, Rule};
use crate::model::text::{and, capital, first_few, plain};
use crate::policy::model::Verdict;
use crate::report::finding::{Check, Finding, ListRecord, PortionRecord, Subject};
use crate::report::outcome::{Action, Connections};

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
        Subject::Check(Check::UnreadableRule) => "Rules that cannot be read".to_owned(),
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
        _ if matches!(finding.subject, Subject::Check(Check::NoTrail)) => "BLIND: none logs the calls to EC2 here",
        _ if matches!(finding.subject, Subject::Check(Check::RuleDisabled)) => "BLIND: it brings no event to the guard",
        _ if matches!(finding.subject, Subject::Check(Check::TrailsUnread | Check::RuleUnread)) => {
            "NOT KNOWN: it could not be looked at"
        }
        Action::None | Action::Reported if finding.is_missing() => "NOT OPEN, and the cluster needs it",
        Action::None | Action::Reported if finding.verdict == Verdict::Revoke => "STILL OPEN, the guard left it",
        Action::None | Action::Reported => "Open, to be checked",
        Action::WouldRevoke => "STILL OPEN, the guard only reports",
        Action::Revoked => "Closed: revoked, and EC2 shows it gone",
        Action::Restored => "Closed: put back to what it was, and EC2 shows it so",
        Action::AlreadyGone => "Not open any more: it was gone when the guard came to close it",
        Action::WasOpen => {
            "Not open any more: it was, according to the event, and was gone or harmless when the guard looked"
        }
        Action::Postponed => "STILL OPEN, the guard comes back to it",
        Action::Changed => "Changed meanwhile, and judged again",
        Action::Refused => "STILL OPEN, the guard left it to a person",
        Action::Failed if finding.before.is_some() => "STILL OPEN, closing it did not work",
        Action::Failed => "STILL OPEN, the revoke did not work",
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

/// `office (pl-…)`, `pl-…`.
pub(super) fn list_in_words(list: &ListRecord) -> String {
    let name = list.name.as_deref().map(plain);
    let called = name.map_or_else(|| plain(&list.id), |name| format!("{name} ({})", plain(&list.id)));
    format!("prefix list {called}")
}

/// What a list gained, as far as it is to be named, and whether that is one or many.
pub(super) fn entries(list: &ListRecord, most: usize) -> (String, &'static str) {
    let named = first_few(list.gained.iter().map(ToString::to_string).collect(), most, |rest| format!("{rest} more"));
    (and(&named), if list.gained.len() == 1 { "is" } else { "are" })
}

/// `used by nodes and pods`; nothing without a role.
pub(super) fn of_roles(roles: &[RoleEvidence]) -> Option<String> {
    let mut words: Vec<&str> = roles.iter().map(|known| role_words(known.role)).collect();
    words.dedup();
    let by = |word: &&&str| **word != ACCESS;
    let users: Vec<&str> = words.iter().filter(by).copied().collect();
    let users = (!users.is_empty()).then(|| format!("by {}", and(&users)));
    let parts: Vec<String> = users.into_iter().chain(words.contains(&ACCESS).then(|| ACCESS.to_owned())).collect();
    (!parts.is_empty()).then(|| format!("used {}", and(&parts)))
}

/// The one role that is a purpose.
const ACCESS: &str = "for remote access to nodes";

/// What a role is to a person.
fn role_words(role: Role) -> &'static str {
    match role {
        Role::Cluster => "the control plane",
        Role::ControlPlane => "the control plane (as an additional group)",
        Role::Node => "nodes",
        Role::RemoteAccess => ACCESS,
        Role::Pod => "pods",
        Role::LoadBalancer => "a load balancer",
    }
}
