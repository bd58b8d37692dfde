//! Whether somebody used what was open: what is left to check once it is closed.
//!
//! Must not: say that a connection goes on, or was cut, where nobody knows.

use super::situation::{Situation, Topic};
use crate::report::outcome::Connections;

/// Whether somebody used what was open, which is left to check once nothing is.
pub(super) fn was_it_used(topics: &[Topic<'_>]) -> Option<&'static str> {
    let is_of = |wanted: fn(&Situation) -> bool| topics.iter().any(|topic| wanted(&topic.situation));
    let is_gone =
        |situation: &Situation| matches!(situation, Situation::WasOpen | Situation::Gone | Situation::Changed);
    let may_go_on =
        topics.iter().any(|topic| topic.finding.connections == Some(Connections::MayGoOn) || is_gone(&topic.situation));
    if is_of(|situation| situation.is_closed_by_us()) {
        return Some(match (may_go_on, is_of(|situation| *situation == Situation::Open)) {
            (true, false) => {
                "Check flow logs to see whether somebody used what was open: such connections may go on, an idle one for up \
                 to 5 days, unless a network ACL cuts them."
            }
            (false, false) => {
                "Check flow logs to see whether somebody used what was open: direct connections were cut with it, those \
                 through NAT gateways or network load balancers may go on."
            }
            (true, true) => {
                "Check flow logs to see whether somebody used what the guard closed: such connections may go on, an idle \
                 one for up to 5 days, unless a network ACL cuts them. Check the same for the rest once that is closed."
            }
            (false, true) => {
                "Check flow logs to see whether somebody used what the guard closed: direct connections were cut with it, \
                 those through NAT gateways or network load balancers may go on. Check the same for the rest once that is \
                 closed."
            }
        });
    }
    if topics.iter().all(|topic| is_gone(&topic.situation)) {
        return Some(
            "It is not open like that any more. Check flow logs to see whether somebody used it: connections that were made \
             meanwhile may go on.",
        );
    }
    topics.iter().any(|topic| is_gone(&topic.situation)).then_some(
        "Check flow logs to see whether somebody used what was open for a while: such connections may go on.",
    )
}
