//! What to do about a finding: a command to copy, safe whatever text is in it.
//!
//! Must not: open anything. What is missing is said in words; a person decides who opens it.

use std::collections::BTreeSet;

use serde_json::json;

use crate::model::ids::Location;
use crate::model::rule::Rule;
use crate::policy::model::Verdict;
use crate::report::finding::{Check, Finding, Subject};
use crate::report::notice::redo;

/// The command, where there is one.
pub(super) fn fix(
    location: &Location,
    clusters: &BTreeSet<String>,
    group: Option<&str>,
    finding: &Finding,
) -> Option<String> {
    match &finding.subject {
        Subject::Rule(rule) if finding.verdict > Verdict::Allow => Some(revoke(location, group?, rule)),
        Subject::Check(Check::PublicEndpoint) => {
            let name = clusters.first().filter(|_| clusters.len() == 1)?;
            Some(format!(
                "aws eks update-cluster-config{} --name {} --resources-vpc-config publicAccessCidrs=YOUR_NETWORKS",
                redo::in_region(&location.region),
                redo::word(name)
            ))
        }
        Subject::Check(Check::NoTrail) => Some(
            "start the trail that is stopped, or have one log the management write events of this region: without it no \
             guard is told of a change"
                .to_owned(),
        ),
        Subject::Rule(_) | Subject::Requirement(_) | Subject::Check(_) => None,
    }
}

/// By the rule's id, or by what it is where the files have no ids.
fn revoke(location: &Location, group: &str, rule: &Rule) -> String {
    let which = if rule.id.is_empty() {
        let rule = Rule { description: None, ..rule.clone() };
        format!("--ip-permissions {}", redo::quoted(&json!([redo::permission(&rule)])))
    } else {
        format!("--security-group-rule-ids {}", redo::word(&rule.id))
    };
    let way = rule.direction.word();
    format!(
        "aws ec2 revoke-security-group-{way}{} --group-id {} {which}",
        redo::in_region(&location.region),
        redo::word(group)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::{Direction, Packets, Peer};

    #[test]
    fn a_command_is_one_command_whatever_text_is_in_it() {
        let location = Location::new("111122223333", "us-east-1");
        let peer = Peer::PrefixList("pl-'; rm -rf /".to_owned());
        let rule = Rule::new(Direction::Ingress, Packets::Tcp(22, 22), peer);
        let command = revoke(&location, "sg-1", &rule);
        assert_eq!(
            command,
            "aws ec2 revoke-security-group-ingress --region us-east-1 --group-id sg-1 --ip-permissions \
             '[{\"IpProtocol\":\"tcp\",\"FromPort\":22,\"ToPort\":22,\"PrefixListIds\":[{\"PrefixListId\":\
             \"pl-'\\''; rm -rf /\"}]}]'"
        );
        let rule = Rule { id: "sgr-0a1".to_owned(), direction: Direction::Egress, ..rule };
        let command = revoke(&Location::new("unknown", "unknown"), "sg-1 $(x)", &rule);
        assert_eq!(
            command,
            "aws ec2 revoke-security-group-egress --group-id 'sg-1 $(x)' --security-group-rule-ids sgr-0a1"
        );
    }
}
