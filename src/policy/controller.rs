//! How a controller's rule is recognised: by the principal that wrote it, and the marker it carries.
//!
//! Both are needed, because anybody can write a marker and a controller's role may be misused for anything. Where no
//! principal is known (a sweep), the marker alone counts.

use crate::event::Actor;
use crate::model::group::Group;
use crate::model::rule::Rule;
use crate::policy::model::Policy;

/// How AWS Load Balancer Controller knows its own rules.
const MARKER: &str = "elbv2.k8s.aws/targetGroupBinding=shared";
/// How cloud-provider-aws knows its own rules; the rest of the description names the load balancer.
const MARKER_PREFIX: &str = "kubernetes.io/rule/nlb/";
/// How EKS Auto Mode marks its rules; the value is the cluster.
const MARKER_TAG: &str = "eks:eks-cluster-name";
/// Resource parts of the ARNs of EKS's service-linked roles. Nobody else can create a role under `aws-service-role/`, but
/// the path of an ordinary role may hold this text further on, so it has to stand at the start.
const SERVICE_ROLES: [&str; 2] =
    ["role/aws-service-role/eks.amazonaws.com/", "role/aws-service-role/eks-nodegroup.amazonaws.com/"];

/// Who wrote a rule, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// Nobody is named: a sweep, or a rule that was there before the event.
    Unknown,
    /// A controller's principal.
    Controller,
    /// Anybody else.
    Other,
}

impl Author {
    /// What the actor of an event is to this group. Compares whole role ARNs, never session names.
    pub fn of(actor: &Actor, policy: &Policy, group: &Group) -> Self {
        let issuer = actor.session_issuer.as_deref().unwrap_or_default();
        let known = policy.controllers.contains(issuer)
            || actor.arn.as_ref().is_some_and(|arn| policy.controllers.contains(arn))
            || group.cluster_role_arns.contains(issuer)
            || is_service_linked(issuer, &group.owner);
        if known { Self::Controller } else { Self::Other }
    }
}

fn is_service_linked(issuer: &str, account: &str) -> bool {
    let parts: Vec<&str> = issuer.splitn(6, ':').collect();
    let [_, _, "iam", _, owner, resource] = parts.as_slice() else { return false };
    *owner == account && SERVICE_ROLES.iter().any(|start| resource.starts_with(start))
}

/// Whether this is a controller's own single-port rule, as far as can be known.
pub(crate) fn is_controllers(rule: &Rule, author: Author, group: &Group) -> bool {
    let described = rule.description.as_deref().is_some_and(|text| text == MARKER || text.starts_with(MARKER_PREFIX));
    let tagged = rule.tags.get(MARKER_TAG).is_some_and(|name| group.clusters.contains(name));
    rule.packets.is_single_port() && author != Author::Other && (described || tagged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_start_of_the_resource_makes_a_service_linked_role() {
        for (arn, expected) in [
            ("arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS", true),
            ("arn:aws:iam::111122223333:role/a:role/aws-service-role/eks.amazonaws.com/evil", false),
            ("arn:aws:iam::999988887777:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS", false),
            ("arn:aws:iam::111122223333:role/AWSServiceRoleForAmazonEKS", false),
            ("", false),
        ] {
            assert_eq!(is_service_linked(arn, "111122223333"), expected, "{arn}");
        }
    }
}
