//! Whether a guard in a location would be told of what happens there, by the trails that were saved.
//!
//! Must not: judge trails (`policy::sight` does), or take for absent what another region's answer does not show.

use super::saved::Kind;
use super::saved::facts::Facts;
use crate::model::ids::Location;
use crate::model::trails::Trail;
use crate::policy::model::Severity;
use crate::policy::sight::{self, Sight};
use crate::report::finding::{Check, Finding};

/// What is to be said of a location; nothing where no trails were saved.
pub(super) fn of_location(facts: &Facts, location: &Location) -> Option<Finding> {
    let presence = facts.kinds.get(&Kind::Trails)?;
    // Of several accounts and regions the answers do not say which is whose: each would need its own.
    let is_whole = !presence.is_cut && presence.answers >= facts.locations().len();
    let here = facts.trails.iter().filter(|known| known.account == location.account || known.is_of_organisation);
    let here: Vec<Trail> = here.map(|known| known.trail.clone()).collect();
    let (check, severity, lines) = match sight::of_trails(&here, &location.region) {
        Sight::Clear => return None,
        Sight::Blind(lines) if is_whole => (Check::NoTrail, Severity::Critical, lines),
        Sight::Blind(_) => {
            let why = "the trails that were saved do not log here, and not those of each account and region were saved";
            (Check::TrailsUnread, Severity::Medium, vec![why.to_owned()])
        }
        Sight::Unknown(lines) => (Check::TrailsUnread, Severity::Medium, lines),
    };
    Some(Finding::of_sight(check, severity, &lines, false))
}
