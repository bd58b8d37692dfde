//! The mode of a rule: what the environment says, capped by what the policy says of its group and clusters.
//!
//! Must not: judge, or know what is done.

use crate::model::group::Group;
use crate::model::mode::Restore;
use crate::policy::model::{Mode, Policy};

/// What the environment says is done about rules. The two modes are already capped: the sweep mode never does more than the
/// mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// What new rules follow (`GUARD_MODE`).
    pub new: Mode,
    /// What known rules follow (`GUARD_SWEEP_MODE`).
    pub known: Mode,
    /// What becomes of rules that were edited in place (`GUARD_RESTORE`).
    pub restore: Restore,
}

impl Modes {
    /// `GUARD_MODE=report` is the stop button: it caps sweeps too.
    pub fn new(mode: Mode, sweep_mode: Mode) -> Self {
        Self { new: mode, known: mode.min(sweep_mode), restore: Restore::Known }
    }

    /// The same with another setting for rules that were edited in place.
    #[must_use]
    pub fn restoring(self, restore: Restore) -> Self {
        Self { restore, ..self }
    }

    /// The mode of a rule of this group, and the setting that decided: always one for `report`, for `enforce` only where
    /// another setting of the policy says `report`.
    pub fn of(self, policy: &Policy, group: &Group, known: bool) -> (Mode, Option<String>) {
        let (mode, setting) = policy.mode_of(group);
        let report = |setting: &str| (Mode::Report, Some(setting.to_owned()));
        if self.new == Mode::Report {
            report("`GUARD_MODE` is `report`")
        } else if mode == Mode::Enforce && known && self.known == Mode::Report {
            report("rules that were there before are only reported (`GUARD_SWEEP_MODE` is `report`)")
        } else {
            (mode, setting)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::group::{ConfiguredGroup, Role};
    use crate::policy::builtin;
    use crate::policy::model::ClusterSetting;

    /// `standard`, with clusters that are only reported on.
    fn dev_is_reported_on() -> Policy {
        let dev = ClusterSetting { name: "dev-*".into(), environment: None, mode: Some(Mode::Report) };
        Policy { clusters: vec![dev], ..builtin::policy("standard").unwrap().clone() }
    }

    #[test]
    fn whatever_keeps_a_rule_from_being_revoked_is_named() {
        let policy = dev_is_reported_on();
        let group = |cluster: &str| Group { clusters: [cluster.to_owned()].into(), ..Group::default() };
        let (enforce, report) = (Mode::Enforce, Mode::Report);
        for (mode, sweep_mode, cluster, known, expected, word) in [
            (enforce, report, "prod", false, enforce, ""),
            (enforce, report, "prod", true, report, "GUARD_SWEEP_MODE"),
            (enforce, enforce, "prod", true, enforce, ""),
            (report, enforce, "prod", true, report, "GUARD_MODE"),
            (report, enforce, "prod", false, report, "GUARD_MODE"),
            (enforce, enforce, "dev-1", false, report, "cluster"),
        ] {
            let (mode, setting) = Modes::new(mode, sweep_mode).of(&policy, &group(cluster), known);
            assert_eq!(mode, expected, "{cluster} {known}");
            assert_eq!(
                setting.is_some(),
                mode == report,
                "what is only reported has a reason, and what is not needs none"
            );
            assert!(setting.unwrap_or_default().contains(word), "{cluster} {known}");
        }
    }

    #[test]
    fn of_several_clusters_the_stricter_mode_counts_and_an_entry_of_the_group_wins() {
        let mut policy = dev_is_reported_on();
        let entry = |id: &str, mode| ConfiguredGroup { id: id.into(), cluster: "prod".into(), role: Role::Node, mode };
        let (enforce, report) = (Mode::Enforce, Mode::Report);
        policy.groups = vec![
            entry("sg-e", Some(enforce)),
            entry("sg-r", Some(report)),
            entry("sg-n", None),
            entry("sg-both", Some(report)),
            entry("sg-both", None),
            entry("sg-both", Some(enforce)),
        ];
        let of_cluster = |names: &str, mode: &str| Some(format!("the policy sets the mode of {names} to `{mode}`"));
        let own = |id: &str, mode: &str| of_cluster(&format!("group `{id}` (in `groups`)"), mode);
        for (id, clusters, expected, setting) in [
            ("sg-0", &["prod"][..], enforce, None),
            ("sg-0", &[], enforce, None),
            ("sg-0", &["prod", "test"], enforce, None),
            ("sg-0", &["dev-1"], report, of_cluster("cluster `dev-1`", "report")),
            ("sg-0", &["dev-1", "dev-2"], report, of_cluster("clusters `dev-1` and `dev-2`", "report")),
            ("sg-0", &["dev-1", "prod"], enforce, of_cluster("cluster `prod`", "enforce")),
            ("sg-n", &["dev-1", "prod"], enforce, of_cluster("cluster `prod`", "enforce")),
            ("sg-e", &["dev-1"], enforce, own("sg-e", "enforce")),
            ("sg-e", &["dev-1", "prod"], enforce, own("sg-e", "enforce")),
            ("sg-e", &["prod"], enforce, None),
            ("sg-r", &["prod"], report, own("sg-r", "report")),
            ("sg-r", &["dev-1", "prod"], report, own("sg-r", "report")),
            ("sg-both", &["dev-1"], enforce, own("sg-both", "enforce")),
        ] {
            let clusters = clusters.iter().map(|name| (*name).to_owned()).collect();
            let group = Group { id: id.to_owned(), clusters, ..Group::default() };
            let modes = Modes::new(enforce, enforce);
            assert_eq!(modes.of(&policy, &group, false), (expected, setting), "{id} {:?}", group.clusters);
            let stopped = Modes::new(report, enforce).of(&policy, &group, false);
            assert!(stopped.0 == report && stopped.1.is_some_and(|why| why.contains("GUARD_MODE")), "the stop button");
        }
    }
}
