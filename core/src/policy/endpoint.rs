//! The public endpoint of a cluster's API. No security group guards that door: EKS's own CIDR list does
//! (`publicAccessCidrs`), so it is looked at beside the groups. Must not: read anything.

use crate::model::facts::Cluster;
use crate::model::region::Traffic;
use crate::policy::exposure;
use crate::policy::model::{Policy, Severity};

/// How bad it is that a great many public addresses may call the API, by the measure of `wide-internet`; `None` when they
/// may not, or the policy does not mind.
pub fn exposed(policy: &Policy, cluster: &Cluster) -> Option<Severity> {
    let is_wide = exposure::wide(&[(traffic(), cluster.public_endpoint.clone())]).iter().any(|wide| !wide.is_empty());
    policy.public_endpoint.filter(|_| is_wide)
}

/// HTTPS.
pub fn traffic() -> Traffic {
    Traffic::ports(6, 443, 443)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{builtin, file};
    use jiff::civil::date;

    fn cluster(blocks: &[&str]) -> Cluster {
        let blocks = blocks.iter().map(|block| block.parse::<ipnet::IpNet>().unwrap());
        Cluster { public_endpoint: blocks.collect(), ..Cluster::default() }
    }

    #[test]
    fn an_endpoint_open_to_the_world_is_exposed_however_it_is_written() {
        let standard = builtin::policy("standard").unwrap();
        let medium = Some(Severity::Medium);
        for (blocks, expected) in [
            (&[][..], None),
            (&["203.0.113.0/24", "198.51.100.7/32"], None),
            (&["0.0.0.0/0"], medium),
            (&["0.0.0.0/1", "128.0.0.0/1"], medium),
            (&["203.0.0.0/17", "203.0.128.0/17"], medium),
            (&["203.0.113.0/24", "::/0"], medium),
        ] {
            assert_eq!(exposed(standard, &cluster(blocks)), expected, "{blocks:?}");
        }
    }

    #[test]
    fn a_policy_may_not_mind_or_mind_more() {
        let of = |text: &str| {
            let policy = file::load("own.yaml", text, date(2026, 11, 23)).unwrap().policy;
            exposed(&policy, &cluster(&["0.0.0.0/0"]))
        };
        assert_eq!(of("version: 1\npublic_endpoint: allow\n"), None);
        assert_eq!(of("version: 1\npublic_endpoint: high\n"), Some(Severity::High));
        assert_eq!(of("version: 1\nextends: none\n"), None);
    }
}
