//! What is to be said of a cluster as a whole: what it needs and does not have, and a public endpoint open to a great many.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::topology::Of;
use crate::event::Event;
use crate::inventory::{Inventory, ReadBack};
use crate::model::error::CloudError;
use crate::model::group::{Group, Role};
use crate::policy::endpoint;
use crate::policy::model::Policy;
use crate::policy::requirement::{self, Unmet};
use crate::report::finding::Finding;

/// Groups of these roles are attached to interfaces that have requirements.
const ROLES: [Role; 3] = [Role::Cluster, Role::ControlPlane, Role::Node];

/// Whether what the group's clusters need hangs on it.
pub fn hang_on(group: &Group) -> bool {
    group.roles.iter().any(|known| known.strong && ROLES.contains(&known.role))
}

/// Findings, each with the groups it can be reported with.
pub type Missing = Vec<(BTreeSet<String>, Finding)>;

/// What interfaces of a cluster need and do not have. `fresh`: the rules of groups as they were read back, if
/// that is just now. `event`: none in a sweep.
///
/// # Errors
/// What had to be read could not be.
pub async fn missing(
    inventory: &Inventory,
    policy: &Policy,
    cluster: &str,
    of: &Of,
    fresh: BTreeMap<String, ReadBack>,
    event: Option<&Event>,
) -> Result<Missing, CloudError> {
    let Some(topology) = inventory.topology(cluster, of, fresh).await? else { return Ok(Missing::new()) };
    let is_its_doing = event.is_some_and(|event| event.call.may_close);
    let missing = |unmet: Unmet<'_>| (unmet.groups.clone(), Finding::missing(&unmet, is_its_doing));
    Ok(requirement::unmet(policy, &topology).into_iter().map(missing).collect())
}

/// Whether a great many may call the API of a cluster. `named`: whether a call may have made it so.
///
/// # Errors
/// The cluster could not be described.
pub async fn exposed(
    inventory: &Inventory,
    policy: &Policy,
    cluster: &str,
    named: bool,
) -> Result<Option<Finding>, CloudError> {
    let described = inventory.cluster(cluster).await?;
    let severity = described.and_then(|described| endpoint::exposed(policy, &described));
    Ok(severity.map(|severity| Finding::exposed(cluster, severity, named)))
}
