//! What is said of what AWS did not answer: why, what is not known without it, and what to do.
//!
//! Must not: ask.

use super::super::kind::Kind;
use crate::audit::report::MissingInput;
use crate::model::error::{CloudError, chain};

/// Prints what whoever audits needs.
const PERMISSIONS: &str = "`eks-sg-guard audit --permissions` prints all it takes";
/// What AWS says of credentials that were good once, or never.
const REFUSED_CREDENTIALS: [&str; 7] = [
    "AuthFailure",
    "ExpiredToken",
    "InvalidClientTokenId",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "the credential",
];

/// What is read of a region, in this order, and what is not known without it.
pub(super) const STEPS: [(Kind, &str); 15] = [
    (Kind::Clusters, "only clusters that EC2 shows by AWS's own tags and interfaces are known"),
    (Kind::Vpcs, "only VPCs of clusters were looked at, and whether a public range is your own VPC's is not known"),
    (Kind::Associations, Kind::Associations.without()),
    (Kind::Cluster, Kind::Cluster.without()),
    (Kind::NodeGroup, Kind::NodeGroup.without()),
    (Kind::Groups, "no group is known, so nothing could be judged"),
    (Kind::Interfaces, Kind::Interfaces.without()),
    (Kind::Instances, Kind::Instances.without()),
    (Kind::Rules, "what these groups let in is not known, so they were left out"),
    (Kind::Entries, Kind::Entries.without()),
    (Kind::Subnets, Kind::Subnets.without()),
    (Kind::RouteTables, Kind::RouteTables.without()),
    (Kind::Gateways, Kind::Gateways.without()),
    (Kind::NetworkAcls, Kind::NetworkAcls.without()),
    (Kind::Trails, Kind::Trails.without()),
];

/// Whether AWS did not take these credentials, so that nothing else will be answered either.
pub fn is_about_credentials(error: &CloudError) -> bool {
    let said = match error {
        CloudError::Denied { action, .. } if action == "sts:AssumeRole" => return true,
        CloudError::Denied { source, .. } | CloudError::Failed { source, .. } => chain(source.as_ref()),
        _ => return false,
    };
    REFUSED_CREDENTIALS.iter().any(|known| said.starts_with(known))
}

/// What AWS said, for whoever called it: the sentence of the error is for the function's owner.
pub fn why(error: &CloudError) -> String {
    match error {
        CloudError::Denied { action, source } => format!("not allowed to call `{action}`: {}", chain(source.as_ref())),
        error => chain(error),
    }
}

/// What is missing, and what to do about it.
pub(super) fn row(kind: Kind, what: String, error: &CloudError) -> MissingInput {
    let costs = STEPS.iter().find(|(step, _)| *step == kind).map(|(_, costs)| *costs).unwrap_or_default();
    let command = match error {
        error if is_about_credentials(error) => "log in again, and run it again".to_owned(),
        CloudError::Denied { action, .. } => format!("allow `{action}` to whoever audits; {PERMISSIONS}"),
        _ => "run it again".to_owned(),
    };
    MissingInput { what, costs: costs.to_owned(), command }
}
