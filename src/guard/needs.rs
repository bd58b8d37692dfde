//! What is to be said of a cluster as a whole: what it needs and does not have, and a public endpoint open to a great many.

use std::collections::BTreeSet;

use crate::event::Event;
use crate::guard::inventory::Inventory;
use crate::model::error::CloudError;
use crate::policy::endpoint;
use crate::policy::model::Policy;
use crate::policy::requirement::{self, Unmet};
use crate::report::finding::Finding;

/// Findings, each with the groups it can be reported with.
pub(super) type ClusterFindings = Vec<(BTreeSet<String>, Finding)>;

/// `event`: none in a sweep. `looks_at_endpoint`: in a sweep, or after a call that may have opened it.
pub(super) async fn of_cluster(
    inventory: &Inventory,
    policy: &Policy,
    cluster: &str,
    event: Option<&Event>,
    looks_at_endpoint: bool,
) -> Result<ClusterFindings, CloudError> {
    let mut found = ClusterFindings::new();
    if let Some(topology) = inventory.topology(cluster).await? {
        let is_its_doing = event.is_some_and(|event| event.call.may_close);
        let missing = |unmet: Unmet<'_>| (unmet.groups.clone(), Finding::missing(&unmet, is_its_doing));
        found.extend(requirement::unmet(policy, &topology).into_iter().map(missing));
    }
    if looks_at_endpoint {
        let described = inventory.cluster(cluster).await?;
        let exposed = described.as_ref().and_then(|described| Some((described, endpoint::exposed(policy, described)?)));
        found.extend(exposed.map(|(described, severity)| {
            let own = described.cluster_group.iter().cloned().collect();
            (own, Finding::exposed(cluster, severity, event.is_some()))
        }));
    }
    Ok(found)
}
