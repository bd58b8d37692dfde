//! The policies that come with the program, parsed once.

use std::sync::LazyLock;

use jiff::civil::Date;

use crate::policy::diagnostic::Rejected;
use crate::policy::file;
use crate::policy::model::Policy;

pub use crate::policy::texts::{DEFAULT, NAMES, text};

type Parsed = LazyLock<Result<Policy, Rejected>>;

static POLICIES: [Parsed; NAMES.len()] =
    [LazyLock::new(|| read("standard")), LazyLock::new(|| read("strict")), LazyLock::new(|| read("none"))];

/// Why there is no such policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuiltInError {
    /// The name is none of `NAMES`.
    #[error("there is no built-in policy `{0}`: expected standard, strict or none")]
    Unknown(String),
    /// The program was built with a broken file; a test keeps this from happening.
    #[error("a built-in policy does not load:\n{0}")]
    Broken(&'static Rejected),
}

fn read(name: &'static str) -> Result<Policy, Rejected> {
    // A built-in policy has no exceptions, so no day matters.
    file::load_built_in(name, Date::ZERO).map(|loaded| loaded.policy)
}

/// The policy, parsed once.
///
/// # Errors
/// An unknown name.
pub fn policy(name: &str) -> Result<&'static Policy, BuiltInError> {
    let known = NAMES.iter().zip(&POLICIES).find(|(known, _)| **known == name);
    let (_, policy) = known.ok_or_else(|| BuiltInError::Unknown(name.to_owned()))?;
    policy.as_ref().map_err(BuiltInError::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::Direction;
    use crate::policy::model::{Clause, Limits, Origin, PeerTerm, Severity, Verdict};

    /// `tcp 22,80-90; udp 53`.
    fn traffic(clause: &Clause) -> String {
        clause
            .traffic
            .by_protocol()
            .iter()
            .map(|(protocol, ports)| format!("{protocol} {ports}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// `tcp 22 <- internet`, with roles where they are not the usual ones.
    fn line(clause: &Clause) -> String {
        let peers: Vec<String> = clause.peers.iter().map(|peer| peer.word().unwrap_or_default().into_owned()).collect();
        let roles: Vec<&str> = clause.roles.iter().map(|role| role.word()).collect();
        let usual = ["cluster", "control-plane", "node", "remote-access", "pod"];
        let roles = if roles == usual {
            String::new()
        } else {
            format!("{}{}: ", if clause.only { "only " } else { "" }, roles.join(","))
        };
        let arrow = if clause.direction == Direction::Ingress { "<-" } else { "->" };
        let says = match clause.severity {
            None => "allow".to_owned(),
            Some(severity) => format!("{} {}", clause.verdict.word(), severity.word()),
        };
        format!("{} | {roles}{} {arrow} {} | {says}", clause.id, traffic(clause), peers.join(","))
    }

    const INTERNALS: &str = "4 all; tcp 53,179,2375-2376,2381,4001-4004,4240-4250,4789,5473,6081,8472,10249,10251,10256-10259,15010-15017,\
                         51820-51821,51871; udp 53,179,2375-2376,2381,4001-4004,4240-4250,4789,5473,6081,8472,10249,10251,10256-10259,\
                         15010-15017,51820-51821,51871; 47 all; 50 all";
    const EDGES: &str = "aws:cloudfront,aws:route53-healthchecks";

    #[test]
    fn standard_is_the_table_of_the_design() {
        let policy = policy("standard").unwrap();
        assert_eq!((policy.otherwise, policy.clients.as_slice()), (Verdict::Report, [PeerTerm::Private].as_slice()));
        let lines: Vec<String> = policy.clauses.iter().map(line).collect();
        let expected = [
            "load-balancer-sensitive | only load-balancer: tcp 22,2379-2380,3389,10250 <- internet | report critical"
                .to_owned(),
            "load-balancer | only load-balancer: -1 all <- anywhere | allow".to_owned(),
            "same-cluster | -1 all <- self,same-cluster | allow".to_owned(),
            "path-mtu | icmp 3/4; icmpv6 1/0-4/255,133/0-136/255 <- anywhere | allow".to_owned(),
            format!("kubelet-internet | tcp 10250,10255 <- internet,{EDGES} | revoke critical"),
            format!("etcd-internet | tcp 2379-2380 <- internet,{EDGES} | revoke critical"),
            "aws-vpc-lattice | -1 all <- aws:vpc-lattice | allow".to_owned(),
            "aws-s3 | -1 all <- aws:s3 | allow".to_owned(),
            "aws-dynamodb | -1 all <- aws:dynamodb | allow".to_owned(),
            "aws-instance-connect | tcp 22 <- aws:ec2-instance-connect | allow".to_owned(),
            format!("aws-edge | tcp 80,443,30000-32767 <- {EDGES} | allow"),
            "remote-login-wide | tcp 22,3389 <- wide-internet | revoke critical".to_owned(),
            format!("cluster-internals-wide | {INTERNALS} <- wide-internet | revoke high"),
            "remote-login-public | tcp 22,3389 <- internet | report high".to_owned(),
            format!("cluster-internals-public | {INTERNALS} <- internet | report high"),
            "api-private | cluster,control-plane: tcp 443 <- private | allow".to_owned(),
            "api-internet | cluster,control-plane: tcp 443 <- internet | report medium".to_owned(),
            "nodeport-clients | tcp 30000-32767; udp 30000-32767 <- private | allow".to_owned(),
            "nodeport-internet | tcp 30000-32767; udp 30000-32767 <- internet | report medium".to_owned(),
            "kubelet-private | tcp 10250,10255 <- private | report medium".to_owned(),
            "etcd-elsewhere | tcp 2379-2380 <- private,other-group | report high".to_owned(),
            "other-internet | -1 all <- internet | report high".to_owned(),
            "foreign-group | -1 all <- other-group | report medium".to_owned(),
            "other-private | -1 all <- private | allow".to_owned(),
            "egress | cluster,control-plane,node,remote-access,pod,load-balancer: -1 all -> anywhere | allow"
                .to_owned(),
        ];
        assert_eq!(lines, expected);

        let but = |ids: &[&str], of: fn(&Clause) -> bool| {
            let found: Vec<&str> =
                policy.clauses.iter().filter(|clause| of(clause)).map(|clause| clause.id.as_str()).collect();
            assert_eq!(found, ids);
        };
        but(&["kubelet-internet", "etcd-internet"], |clause| clause.beside_load_balancer);
        but(&["cluster-internals-wide"], |clause| clause.for_controller == Some(Verdict::Report));
        but(&["nodeport-internet"], |clause| clause.severity_of_ranges == Some(Severity::High));
        but(&[], |clause| clause.origin != Origin::BuiltIn || clause.limits != Limits::default());
    }

    #[test]
    fn strict_differs_as_the_design_says() {
        let (standard, strict) = (policy("standard").unwrap(), policy("strict").unwrap());
        assert!(strict.exceptions_need_date && !standard.exceptions_need_date);
        assert_eq!(line(&strict.clauses[0]), "etcd-private | tcp 2379-2380 <- private | revoke high");
        for (before, after) in standard.clauses.iter().zip(&strict.clauses[1..]) {
            let from_internet = before.peers.contains(&PeerTerm::Internet) && before.id != "load-balancer-sensitive";
            let expected = match before.verdict {
                Verdict::Report if from_internet || before.id == "kubelet-private" => Verdict::Revoke,
                Verdict::Allow if before.id == "other-private" => Verdict::Report,
                same => same,
            };
            assert_eq!((&after.id, after.verdict), (&before.id, expected));
            assert_eq!(line(before).rsplit_once(" | ").unwrap().0, line(after).rsplit_once(" | ").unwrap().0);
            assert_eq!(after.severity.is_some(), after.verdict != Verdict::Allow);
        }
    }
}
