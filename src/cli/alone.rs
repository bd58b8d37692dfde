//! `policy diff` without rules: what two policies say of every kind of group and peer, judged as the function judges.
//!
//! One rule for each kind of peer, open to all traffic, so that every clause gets its portion; a rule of one address beside
//! one of all, since many clauses tell them apart. Must not: say that nothing changes where it looked at nothing; what it
//! cannot try (limits to a group, an account, a region) is compared as it is written.

mod differences;
mod specimens;
mod told;
mod written;

use jiff::Timestamp;

use crate::cli::alone::differences::differences;
use crate::cli::alone::specimens::clusters;
use crate::cli::alone::told::{Tried, for_tools, in_words};
use crate::cli::alone::written::written;
use crate::cli::output::{CommandOutput, Exit, Format};
use crate::cli::style::Style;
use crate::cli::widths;
use crate::policy::model::Policy;

pub(super) fn run(
    policies: [&Policy; 2],
    format: Format,
    style: Style,
    now: Timestamp,
) -> anyhow::Result<CommandOutput> {
    let differences = differences(policies, now);
    let written = written(policies);
    let tried = Tried { kinds: widths::kinds(policies), clusters: clusters(policies) };
    let exit = if differences.is_empty() && written.is_empty() { Exit::Clean } else { Exit::Findings };
    match format {
        Format::Text => Ok(CommandOutput::new(in_words(policies, &tried, &differences, &written, style), exit)),
        Format::Json => {
            CommandOutput::answer("policy diff", &for_tools(policies, &tried, &differences, &written), exit)
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::differences::Difference;
    use super::told::scope;
    use super::*;
    use crate::policy::file;

    /// What differs between two files, as `ports: old -> new; where`.
    fn told(old: &str, new: &str) -> Vec<String> {
        let [old, new] = [old, new].map(|text| {
            file::load("p.yaml", &format!("version: 1\nextends: none\n{text}"), date(2026, 6, 15)).unwrap().policy
        });
        let policies = [&old, &new];
        let tried = Tried { kinds: widths::kinds(policies), clusters: clusters(policies) };
        let all = differences(policies, Timestamp::UNIX_EPOCH);
        let line = |one: &Difference| {
            let verdict = |side: &crate::cli::compare::Side| side.decision.0.word();
            format!("{} -> {}; {}", verdict(&one.part.old), verdict(&one.part.new), scope(one, &tried))
        };
        let mut lines: Vec<String> = all.iter().map(line).collect();
        lines.dedup();
        lines
    }

    fn clause(keys: &str) -> String {
        let fixed = "id: c, roles: pod, protocol: tcp, ports: 8080, from: [\"aws:s3\"], severity: high, reason: r";
        format!("clauses: [{{{fixed}, {keys}}}]\n")
    }

    #[test]
    fn what_is_said_of_some_rules_is_compared_for_them() {
        for (keys, rules) in [
            ("at_most_ports: 16", "allow -> revoke; rules of at most 16 ports, in "),
            ("at_most_ports: 1", "allow -> revoke; rules of 1 port, in "),
            ("more_than_ports: 16", "allow -> revoke; rules of 17 ports or more, in "),
            ("more_than_ports: 16, at_most_ports: 40", "allow -> revoke; rules of 17 to 40 ports, in "),
        ] {
            let found = told("", &clause(&format!("verdict: revoke, {keys}")));
            assert_eq!(found, [format!("{rules}groups with role pod")], "{keys}");
        }
        let revoke = clause("verdict: revoke");
        for (keys, expected) in [
            ("in_passing: allow", "revoke -> allow; rules of 257 to 32767 ports, in groups with role pod"),
            ("for_controller: allow", "revoke -> allow; a controller's own rules, in groups with role pod"),
            ("severity_of_broad: low", "revoke -> revoke; rules of 257 ports or more, in groups with role pod"),
            ("severity_of_ranges: low", "revoke -> revoke; rules of 2 ports or more, in groups with role pod"),
        ] {
            assert_eq!(told(&revoke, &clause(&format!("verdict: revoke, {keys}"))), [expected], "{keys}");
        }
    }

    #[test]
    fn what_differs_in_some_clusters_is_told_of_these() {
        for (keys, clusters) in [
            ("cluster: \"prod-*\"", ", of clusters such as prod-"),
            ("except_cluster: dev", ", but not of clusters such as dev"),
            ("cluster: \"p*\", except_cluster: p", ", of clusters such as px"),
            ("cluster: \"*\"", ""),
        ] {
            let found = told("", &clause(&format!("verdict: revoke, {keys}")));
            assert_eq!(found, [format!("allow -> revoke; groups with role pod{clusters}")], "{keys}");
        }
    }
}
