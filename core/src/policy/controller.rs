//! How a controller's rule is recognised: by the principal that wrote it, and the marker it carries.
//!
//! Both are needed, because anybody can write a marker and a controller's role may be misused for anything. Where no
//! principal is known (a sweep), the marker alone counts. Some principals are trusted with fewer ports than others.

use crate::event::Actor;
use crate::model::group::Group;
use crate::model::rule::{Packets, Rule};
use crate::model::words;
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

/// SSH, RDP and `WinRM`.
const LOGINS: [(u16, u16); 3] = [(22, 22), (3389, 3389), (5985, 5986)];
/// Kubelet and etcd.
const INNERMOST: [(u16, u16); 3] = [(2379, 2380), (10250, 10250), (10255, 10255)];

words! {
    /// Who wrote a rule, as far as is known.
    pub enum Author {
        /// Nobody is named: a sweep, or a rule that was there before the event.
        Unknown = "unknown",
        /// A principal of `controllers`, or the cluster's own role.
        Controller = "controller",
        /// A service-linked role of EKS.
        Service = "eks",
        /// A pod with a web identity of one of the group's clusters. Any pod of it can have one, and write a marker.
        WebIdentity = "web-identity",
        /// Anybody else.
        Other = "other",
    }
}

impl Author {
    /// What the actor of an event is to this group. Compares whole ARNs, never session names.
    pub fn of(actor: &Actor, policy: &Policy, group: &Group) -> Self {
        let issuer = actor.session_issuer.as_deref().unwrap_or_default();
        let is_named = policy.controllers.contains(issuer)
            || actor.arn.as_ref().is_some_and(|arn| policy.controllers.contains(arn))
            || group.cluster_role_arns.contains(issuer);
        let has_identity = actor.federated_provider.as_ref().is_some_and(|arn| group.identity_providers.contains(arn));
        match (is_named, is_service_linked(issuer, &group.owner), has_identity) {
            (true, ..) => Self::Controller,
            (_, true, _) => Self::Service,
            (.., true) => Self::WebIdentity,
            _ => Self::Other,
        }
    }

    /// The TCP ports that it is not trusted with. `None`: it is trusted with no port.
    fn kept_from(self) -> Option<&'static [&'static [(u16, u16)]]> {
        match self {
            Self::Controller => Some(&[]),
            // Anybody can write a marker, and where nobody is named it is all there is.
            Self::Unknown => Some(&[&INNERMOST]),
            Self::Service | Self::WebIdentity => Some(&[&LOGINS, &INNERMOST]),
            Self::Other => None,
        }
    }

    fn may_open(self, packets: Packets) -> bool {
        let is_kept = |ranges: &[(u16, u16)]| {
            let is_in =
                |(from, to): &(u16, u16)| matches!(packets, Packets::Tcp(port, _) if (*from..=*to).contains(&port));
            ranges.iter().any(is_in)
        };
        self.kept_from().is_some_and(|lists| !lists.iter().any(|ranges| is_kept(ranges)))
    }
}

fn is_service_linked(issuer: &str, account: &str) -> bool {
    let parts: Vec<&str> = issuer.splitn(6, ':').collect();
    let [_, _, "iam", _, owner, resource] = parts.as_slice() else { return false };
    *owner == account && SERVICE_ROLES.iter().any(|start| resource.starts_with(start))
}

/// Whether this is a controller's own single-port rule, as far as can be known.
pub fn is_controllers(rule: &Rule, author: Author, group: &Group) -> bool {
    let described = rule.description.as_deref().is_some_and(|text| text == MARKER || text.starts_with(MARKER_PREFIX));
    let tagged = rule.tags.get(MARKER_TAG).is_some_and(|name| group.clusters.contains(name));
    rule.packets.is_single_port() && author.may_open(rule.packets) && (described || tagged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::builtin;

    const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE0";

    #[test]
    fn only_the_whole_provider_of_a_cluster_of_the_group_makes_a_web_identity() {
        let policy = builtin::policy("standard").unwrap();
        let providers = [PROVIDER.to_owned()].into();
        let group = Group { owner: "111122223333".into(), identity_providers: providers, ..Group::default() };
        let author = |provider: &str, group: &Group| {
            let role = "arn:aws:iam::111122223333:role/aws-load-balancer-controller".to_owned();
            let actor = Actor { session_issuer: Some(role), ..Actor::default() };
            Author::of(&Actor { federated_provider: Some(provider.to_owned()), ..actor }, policy, group)
        };
        assert_eq!(author(PROVIDER, &group), Author::WebIdentity);
        for (part, other) in [
            ("111122223333", "444455556666"),
            ("us-east-1", "us-east-2"),
            ("EXAMPLE0", "EXAMPLE1"),
            ("EXAMPLE0", "EXAMPLE"),
            ("EXAMPLE0", "EXAMPLE01"),
            ("EXAMPLE0", "EXAMPLE0/"),
            ("EXAMPLE0", "example0"),
            ("EXAMPLE0", "EXAMPLE0 "),
            ("aws:iam", "aws-cn:iam"),
            ("amazonaws.com", "amazonaws.com.example.com"),
            ("oidc.eks", "evil.example.com/oidc.eks"),
            ("oidc-provider", "saml-provider"),
            (PROVIDER, ""),
            (PROVIDER, "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE0"),
        ] {
            assert_eq!(author(&PROVIDER.replacen(part, other, 1), &group), Author::Other, "{part} as {other}");
        }
        assert_eq!(author("", &Group::default()), Author::Other);
        assert_eq!(author(PROVIDER, &Group::default()), Author::Other, "proven for no cluster");
    }

    #[test]
    fn who_is_trusted_with_which_port() {
        let tcp = |port| Packets::Tcp(port, port);
        for (author, dns, ssh, kubelet) in [
            (Author::Unknown, true, true, false),
            (Author::Controller, true, true, true),
            (Author::Service, true, false, false),
            (Author::WebIdentity, true, false, false),
            (Author::Other, false, false, false),
        ] {
            let trusted = [tcp(53), tcp(22), tcp(10250)].map(|packets| author.may_open(packets));
            assert_eq!(trusted, [dns, ssh, kubelet], "{author:?}");
        }
        for port in [22, 3389, 5985, 5986, 2379, 2380, 10250, 10255] {
            assert!(!Author::WebIdentity.may_open(tcp(port)), "{port}");
            assert!(Author::WebIdentity.may_open(Packets::Udp(port, port)), "udp {port}");
        }
    }

    #[test]
    fn only_the_start_of_the_resource_makes_a_service_linked_role() {
        let policy = builtin::policy("standard").unwrap();
        let group = Group { owner: "111122223333".into(), ..Group::default() };
        for (arn, expected) in [
            ("arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS", true),
            ("arn:aws:iam::111122223333:role/a:role/aws-service-role/eks.amazonaws.com/evil", false),
            ("arn:aws:iam::999988887777:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS", false),
            ("arn:aws:iam::111122223333:role/AWSServiceRoleForAmazonEKS", false),
            ("", false),
        ] {
            let actor = Actor { session_issuer: Some(arn.to_owned()), ..Actor::default() };
            let author = if expected { Author::Service } else { Author::Other };
            assert_eq!(Author::of(&actor, policy, &group), author, "{arn}");
        }
    }
}
