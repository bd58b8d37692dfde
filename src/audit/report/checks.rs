//! What an audit looks at beyond what the policy says of rules: one row for each check, and the public controls that
//! findings answer to.
//!
//! Owns: ids, severities and words of the checks; ids are a contract with other programs: add, never rename. Must not: look.

use crate::model::words;
use crate::policy::model::Severity;
use crate::report::finding::Kind;

words! {
    /// Something that is untidy, unused or about to end.
    pub enum AuditCheck {
        /// One group for several clusters.
        SharedBetweenClusters = "shared-between-clusters",
        /// One group for clusters of different environments.
        SharedBetweenEnvironments = "shared-between-environments",
        /// One group in roles that differ in who may come in.
        SeveralRoles = "several-roles",
        /// Nearly as many rules as a group may have.
        NearQuota = "near-quota",
        /// A rule that names a group that is gone.
        PeerGone = "peer-gone",
        /// A rule that names a group that is attached to nothing.
        PeerUnattached = "peer-unattached",
        /// A rule that another one covers.
        RedundantRule = "redundant-rule",
        /// A rule that does not say what it is for.
        NoDescription = "no-description",
        /// A group that nothing uses.
        UnusedGroup = "unused-group",
        /// A group of a cluster that is gone.
        LeftoverGroup = "leftover-group",
        /// An exception that is over.
        ExceptionExpired = "exception-expired",
        /// An exception that is over soon.
        ExceptionEnding = "exception-ending",
        /// An exception that no rule needs.
        ExceptionUnused = "exception-unused",
        /// An answer that was saved in part.
        InputIncomplete = "input-incomplete",
    }
}

/// What is said of a check.
pub(crate) struct About {
    pub(crate) kind: Kind,
    pub(crate) severity: Severity,
    /// What it is, for people.
    pub(crate) title: &'static str,
    /// Why it matters.
    pub(crate) reason: &'static str,
    /// What to do. No command deletes anything: whether it is needed, files do not say.
    pub(crate) fix: &'static str,
}

type Row = (AuditCheck, Kind, Severity, [&'static str; 3]);

const CHECKS: [Row; AuditCheck::ALL.len()] = [
    (
        AuditCheck::SharedBetweenClusters,
        Kind::Group,
        Severity::Medium,
        [
            "One group for several clusters",
            "what one cluster needs is open in the other, and a revoke for one cuts the other",
            "give each cluster a group of its own",
        ],
    ),
    (
        AuditCheck::SharedBetweenEnvironments,
        Kind::Group,
        Severity::High,
        [
            "One group for clusters of different environments",
            "what is opened for a test is open in production",
            "give each environment a group of its own",
        ],
    ),
    (
        AuditCheck::SeveralRoles,
        Kind::Group,
        Severity::Medium,
        [
            "One group in several roles",
            "who may reach the one may reach the other, and a load balancer is there for everybody",
            "give each role a group of its own, and let the groups name each other",
        ],
    ),
    (
        AuditCheck::NearQuota,
        Kind::Group,
        Severity::Medium,
        [
            "Nearly as many rules as a group may have",
            "a controller or a deployment that has to add a rule fails",
            "join rules with a prefix list or a wider block, or have the quota raised",
        ],
    ),
    (
        AuditCheck::PeerGone,
        Kind::Group,
        Severity::Low,
        [
            "Rules that name a group that is gone",
            "they let nobody in, and whoever reads them believes that they do",
            "revoke them, or name the group that took its place",
        ],
    ),
    (
        AuditCheck::PeerUnattached,
        Kind::Group,
        Severity::Low,
        [
            "Rules that name a group that is attached to nothing",
            "they let nobody in now; whoever may attach that group lets himself in",
            "revoke them if nothing will use that group",
        ],
    ),
    (
        AuditCheck::RedundantRule,
        Kind::Group,
        Severity::Low,
        [
            "Rules that another rule covers",
            "revoking the one changes nothing while the other is there",
            "keep the narrow rule and drop the wide one, if the narrow one is all that is needed; else drop the narrow one",
        ],
    ),
    (
        AuditCheck::NoDescription,
        Kind::Group,
        Severity::Low,
        [
            "Rules without a description",
            "nobody dares to remove a rule of which nobody knows what it is for",
            "say in each rule's description who needs it",
        ],
    ),
    (
        AuditCheck::UnusedGroup,
        Kind::Group,
        Severity::Low,
        [
            "A group that nothing uses, as far as was looked at",
            "its rules open whatever it is attached to next",
            "ask whoever made it; what was not looked at may still need it",
        ],
    ),
    (
        AuditCheck::LeftoverGroup,
        Kind::Group,
        Severity::Low,
        [
            "A group of a cluster that is gone",
            "a new cluster of that name would have its rules",
            "look at what it is attached to, and remove it with the rest of the old cluster",
        ],
    ),
    (
        AuditCheck::ExceptionExpired,
        Kind::Account,
        Severity::Low,
        [
            "An exception that is over",
            "it allows nothing any more, and readers of the policy believe that it does",
            "remove it from the policy, or renew it with a reason",
        ],
    ),
    (
        AuditCheck::ExceptionEnding,
        Kind::Account,
        Severity::Low,
        [
            "An exception that is over soon",
            "what it allows is closed when it ends",
            "ask its owner whether it is still needed",
        ],
    ),
    (
        AuditCheck::ExceptionUnused,
        Kind::Account,
        Severity::Low,
        [
            "An exception that no rule needs",
            "it would allow what nobody looks at when it comes",
            "remove it from the policy",
        ],
    ),
    (
        AuditCheck::InputIncomplete,
        Kind::Account,
        Severity::Medium,
        [
            "An answer that was saved in part",
            "what is in the rest was not judged",
            "run the command again without `--max-items` and `--no-paginate`",
        ],
    ),
];

impl AuditCheck {
    /// What is said of it.
    pub(crate) fn about(self) -> About {
        // Each check has its row: a test holds them together.
        let row = CHECKS.iter().find(|(check, ..)| *check == self).unwrap_or(&CHECKS[0]);
        let (_, kind, severity, [title, reason, fix]) = row;
        About { kind: *kind, severity: *severity, title, reason, fix }
    }
}

/// Controls that others have published, by the clause, requirement or check that looks at the same.
const CONTROLS: [(&[&str], &[&str]); 7] = [
    (
        &["remote-login-wide", "remote-login-public", "load-balancer-sensitive"],
        &[
            "AWS Security Hub EC2.13",
            "AWS Security Hub EC2.14",
            "CIS AWS 5.0 5.3",
            "CIS AWS 5.0 5.4",
            "CIS AWS 7.0 6.3",
        ],
    ),
    (
        &["kubelet-internet", "kubelet-private"],
        &["AWS Security Hub EC2.18", "CIS EKS 1.8 3.2.4", "NSA/CISA Kubernetes Hardening: network separation"],
    ),
    (
        &["etcd-internet", "etcd-elsewhere"],
        &["AWS Security Hub EC2.18", "NSA/CISA Kubernetes Hardening: control plane"],
    ),
    (
        &["cluster-internals-wide", "cluster-internals-public", "other-internet", "nodeport-internet"],
        &["AWS Security Hub EC2.18", "AWS Security Hub EC2.19"],
    ),
    (
        &["public-endpoint", "api-internet"],
        &[
            "AWS Security Hub EKS.1",
            "CIS EKS 1.8 5.4.1",
            "CIS EKS 1.8 5.4.2",
            "NSA/CISA Kubernetes Hardening: control plane",
        ],
    ),
    (&["no-trail"], &["AWS Security Hub CloudTrail.1", "CIS AWS 5.0 3.1"]),
    (&["unused-group", "leftover-group"], &["AWS Security Hub EC2.22 (retired)"]),
];

/// The controls that a finding of this id answers to.
pub(crate) fn controls(id: &str) -> &'static [&'static str] {
    CONTROLS.iter().find(|(ids, _)| ids.contains(&id)).map_or(&[], |(_, controls)| controls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::builtin;
    use crate::report::finding::Check;

    #[test]
    fn each_check_has_one_row_and_words_of_its_own() {
        for (check, row) in AuditCheck::ALL.into_iter().zip(&CHECKS) {
            assert_eq!(check, row.0, "in the order of the ids");
            let about = check.about();
            assert!(matches!(about.kind, Kind::Group | Kind::Account));
            assert!(
                ![about.title, about.reason, about.fix].iter().any(|words| words.is_empty() || words.ends_with('.'))
            );
            assert!(!about.fix.contains("aws ec2 delete"), "{check:?}");
        }
    }

    #[test]
    fn controls_name_what_there_is() {
        let clauses = &builtin::policy("standard").unwrap().clauses;
        for id in CONTROLS.iter().flat_map(|(ids, _)| ids.iter()) {
            let is_clause = clauses.iter().any(|clause| clause.id == *id);
            let is_check = AuditCheck::from_word(id).is_some() || Check::from_word(id).is_some();
            assert!(is_clause || is_check, "{id}");
        }
    }
}
