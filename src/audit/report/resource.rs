//! What a finding is about, as AWS names it: the group, the clusters, or the account.

use super::AuditFinding;
use crate::model::ids::partition_of;

/// A thing of AWS's.
pub(super) struct Resource<'a> {
    /// As Security Hub calls its kind.
    pub(super) kind: &'static str,
    pub(super) arn: String,
    /// Of a cluster.
    pub(super) name: Option<&'a str>,
}

/// The group, if it is about one, then its clusters; else the account.
pub(super) fn all(found: &AuditFinding) -> Vec<Resource<'_>> {
    let AuditFinding { account, region, .. } = found;
    let partition = partition_of(region);
    let group = found.group.as_ref().map(|group| Resource {
        kind: "AwsEc2SecurityGroup",
        arn: format!("arn:{partition}:ec2:{region}:{account}:security-group/{}", group.id),
        name: None,
    });
    let clusters = found.clusters.iter().map(|name| Resource {
        kind: "AwsEksCluster",
        arn: format!("arn:{partition}:eks:{region}:{account}:cluster/{name}"),
        name: Some(name),
    });
    let mut found: Vec<Resource<'_>> = group.into_iter().chain(clusters).collect();
    if found.is_empty() {
        found.push(Resource { kind: "AwsAccount", arn: format!("arn:{partition}:iam::{account}:root"), name: None });
    }
    found
}

/// The first of them.
pub(super) fn main(found: &AuditFinding) -> Resource<'_> {
    let none = || Resource { kind: "AwsAccount", arn: String::new(), name: None };
    all(found).into_iter().next().unwrap_or_else(none)
}
