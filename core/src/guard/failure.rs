//! What people are notified of when an event could not be handled: at the first failure and at the last, and in between not.
//!
//! Must not: try anything again.

use jiff::Timestamp;

use super::Guard;
use crate::event::{Actor, Change, GroupRef, NamedRule, Target, Touched};
use crate::guard::invocation::Invocation;
use crate::guard::notify::{Outgoing, notify, within_allowance};
use crate::guard::response::GuardError;
use crate::guard::round::Attempt;
use crate::model::error::{CloudError, chain};
use crate::model::text::first_few;
use crate::report::finding::Finding;
use crate::report::history::short_digest;
use crate::report::notice::{self, rule_in_words};

/// Groups and rules that are written out; the rest is counted.
const MAX_NAMED: usize = 10;

impl Guard {
    /// An event that could not be handled leaves nothing to judge, so that itself is the finding, once for each of its tries
    /// of which people are to hear.
    pub(super) async fn notify_of_failure(&self, change: Option<&Change>, error: &GuardError, attempt: Attempt) {
        let Some(finding) = finding(change, error, attempt) else { return };
        let event = change.map(|change| &change.event);
        let is_last = attempt == Attempt::Last;
        // Several looks of one event may fail, each at other groups.
        let about = change.map(|change| about(&change.subject).join("\n")).unwrap_or_default();
        let of = event.map_or("sweep", |event| event.id.as_str());
        let key = short_digest(&[of, if is_last { "last" } else { "" }, &about]);
        if self.blind.contains(&key) {
            return;
        }
        let ports = &self.setup.ports;
        let record = self.setup.record_of_account(vec![finding], event);
        let message = notice::message(&record, Some(notice::notice(&record, ports.clock.now())));
        // Whichever process tries it, and whichever channel is dead, the others hear of it once, and once more in the end.
        let message = Outgoing::of(&record, message, is_last.then_some(Timestamp::UNIX_EPOCH));
        let mut messages = [message.saying(key.clone())];
        within_allowance(ports, &mut messages).await;
        let unsent = notify(ports, &messages).await;
        for error in &unsent {
            tracing::error!(error, "nobody could be notified that something could not be looked at");
        }
        if unsent.is_empty() {
            self.blind.insert(&key);
        }
    }

    /// Something could not be read, and the rest counts: said in the end, and at once where we are not allowed to look.
    pub(super) async fn could_not_read(
        &self,
        error: &GuardError,
        change: Option<&Change>,
        invocation: &mut Invocation<'_>,
    ) {
        if let GuardError::ReadFailed { source: CloudError::Denied { .. }, .. } = error {
            self.notify_of_failure(change, error, Attempt::Again).await;
            invocation.unseen.is_told = true;
        }
        invocation.problem(chain(error));
    }
}

/// What people have to hear of this failure. An event of which something is not done is told by what was found.
fn finding(change: Option<&Change>, error: &GuardError, attempt: Attempt) -> Option<Finding> {
    let then = match (error, attempt) {
        (GuardError::ReadFailed { source: CloudError::Denied { .. }, .. }, _) => {
            return Some(Finding::read_denied(chain(error)));
        }
        (GuardError::ReadFailed { .. } | GuardError::Unfinished { .. }, Attempt::Last) => {
            "It was tried for more than an hour and is given up"
        }
        (GuardError::ReadFailed { .. } | GuardError::Unfinished { is_told: false, .. }, Attempt::First)
            if change.is_some() =>
        {
            "It is tried again for more than an hour, where the guard has its work queue"
        }
        _ => return None,
    };
    let mut lines = vec![chain(error)];
    if let Some(Change { event, subject, .. }) = change {
        let Actor { arn, account, .. } = &event.actor;
        let by = match (arn, account) {
            (Some(arn), _) => arn.clone(),
            (None, Some(account)) => format!("somebody in account {account}"),
            (None, None) => "somebody whom CloudTrail does not name".to_owned(),
        };
        lines.push(format!("`{}` by {by}", event.call.name));
        lines.extend(about(subject));
    }
    lines.push(then.to_owned());
    Some(Finding::unfinished(lines.join("\n")))
}

/// What the event is about, and what it says may be open.
fn about(subject: &Target) -> Vec<String> {
    let lines = match subject {
        Target::Groups(touched) => touched.iter().flat_map(touches).collect(),
        Target::Attached { attachment, groups } => {
            let to = attachment.as_deref().unwrap_or("an attachment");
            if groups.is_empty() {
                vec![format!("On the groups of {to}")]
            } else {
                groups.iter().map(|group| format!("On {group}, attached to {to}")).collect()
            }
        }
        Target::PrefixList(change) => vec![format!("On prefix list {}", change.list)],
        Target::Cluster { name, .. } => vec![format!("On cluster {name}")],
        Target::Trails => vec!["On the trails of the account".to_owned()],
        Target::EventRule(name) => {
            vec![format!("On event rule {}", name.as_deref().unwrap_or("that it does not name"))]
        }
        Target::Unknown => vec!["On groups that it does not name".to_owned()],
    };
    first_few(lines, MAX_NAMED, |rest| format!("… and {rest} more"))
}

fn touches(Touched { group, named }: &Touched) -> Vec<String> {
    let group = match group {
        GroupRef::Id(id) => format!("On {id}"),
        GroupRef::Name(name) => format!("On the group called {name}"),
    };
    let claims = named.rules().iter().filter_map(NamedRule::claimed);
    std::iter::once(group).chain(claims.map(|rule| format!("It says: {}", rule_in_words(&rule)))).collect()
}
