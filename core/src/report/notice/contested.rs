//! The text about a rule that is opened again and again: who keeps opening it, how often, and what to change at the source.

use super::clock::time;
use super::source::{self, Writer};
use super::who;
use crate::event::Actor;
use crate::model::rule::Rule;
use crate::model::text::{capital, plain};
use crate::report::outcome::{Contested, Opener};

/// Where nothing is known of the writer.
const UNKNOWN: &str = "The program is not known: ask who did it what opens this rule, and change it there.";

/// The lines of a notice about a contested rule. `account`: whose rule it is.
pub(super) fn lines(contested: &Contested, rule: Option<&Rule>, actor: Option<&Actor>, account: &str) -> Vec<String> {
    let mut lines = vec![again(contested)];
    for Opener { arn, times } in &contested.by {
        let times = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
        lines.push(format!("  By {}, {times}: {}", who::of_principal(arn, account), plain(arn)));
    }
    if contested.by.is_empty() {
        lines.push("  By whom is not known".to_owned());
    }
    let described = rule.and_then(source::described);
    let called = actor.and_then(source::called);
    lines.extend(described.map(|writer| advice("It looks like a rule of", writer)));
    lines.extend(called.map(|writer| advice("The last call came through", writer)));
    if described.or(called).is_none() {
        lines.push(format!("  {UNKNOWN}"));
    }
    lines
}

/// That it comes back.
pub(super) fn again(contested: &Contested) -> String {
    format!("CONTESTED: opened {} times, the first at {}", contested.times, time(contested.since))
}

fn advice(how: &str, writer: &Writer) -> String {
    format!("  {how} {}. {}.", writer.name, capital(writer.advice))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::rule::{Direction, Packets, Peer};

    fn about(description: Option<&str>, actor: Option<&Actor>) -> String {
        let rule = Rule {
            id: "sgr-1".to_owned(),
            direction: Direction::Ingress,
            packets: Packets::Tcp(10250, 10250),
            peer: Peer::cidr("0.0.0.0/0").unwrap(),
            description: description.map(str::to_owned),
            tags: std::collections::BTreeMap::new(),
        };
        let by = [("arn:aws:iam::111122223333:user/ann", 2), ("evil\nSubject: all is well", 1)];
        let by = by.map(|(arn, times)| Opener { arn: arn.to_owned(), times }).to_vec();
        let since = Timestamp::UNIX_EPOCH;
        lines(&Contested { times: 3, since, by }, Some(&rule), actor, "111122223333").join("\n")
    }

    fn program(user_agent: &str) -> Actor {
        Actor { user_agent: Some(user_agent.to_owned()), ..Actor::default() }
    }

    #[test]
    fn it_says_who_opened_it_and_how_often_and_no_name_breaks_a_line() {
        let text = about(None, None);
        assert!(text.contains("CONTESTED: opened 3 times, the first at 1970-01-01 00:00:00 UTC"), "{text}");
        assert!(text.contains("\n  By user ann, 2 times: arn:aws:iam::111122223333:user/ann\n"), "{text}");
        assert!(
            text.contains("\n  By evil\u{fffd}Subject: all is well, once: evil\u{fffd}Subject: all is well\n"),
            "{text}"
        );
        assert!(text.ends_with(UNKNOWN), "{text}");
    }

    #[test]
    fn what_is_known_of_the_writer_chooses_what_to_change() {
        for (description, actor, expected) in [
            (Some("elbv2.k8s.aws/targetGroupBinding=shared"), None, "alb.ingress.kubernetes.io/inbound-cidrs"),
            (Some("kubernetes.io/rule/nlb/client=a1b2"), None, "spec.loadBalancerSourceRanges"),
            (Some("Managed by Terraform"), None, "Terraform. Change the rule in the configuration"),
            (None, Some(program("elbv2.k8s.aws/v2.8.1 aws-sdk-go/1.51")), "spec.loadBalancerSourceRanges"),
            (
                None,
                Some(program(
                    "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 (+https://www.terraform.io) terraform-provider-aws/5.1",
                )),
                "through Terraform",
            ),
            (
                None,
                Some(program("APN/1.0 HashiCorp/1.0 Terraform/1.9 aws-sdk-go-v2/1.3 crossplane-provider-aws/v1.2")),
                "through Crossplane",
            ),
            (None, Some(program("aws-controller-k8s/ec2.services.k8s.aws-v1.2.3 aws-sdk-go/1.5")), "`SecurityGroup`"),
            (None, Some(program("APN/1.0 Pulumi/1.0 Pulumi-Aws/6.1 (+https://www.pulumi.com)")), "pulumi up"),
            (None, Some(program("aws-cli/2.17.0 md/awscrt#0.20")), "the AWS CLI"),
            (None, Some(program("Mozilla/5.0 (X11; Linux x86_64)")), "the AWS console"),
            (
                None,
                Some(Actor { invoked_by: Some("cloudformation.amazonaws.com".into()), ..program("aws-cli/2.17.0") }),
                "through CloudFormation",
            ),
            (
                None,
                Some(Actor { source_ip: Some("cloudformation.amazonaws.com".into()), ..Actor::default() }),
                "update the stack",
            ),
            (
                None,
                Some(Actor { invoked_by: Some("eks-nodegroup.amazonaws.com".into()), ..Actor::default() }),
                "through EKS",
            ),
        ] {
            let text = about(description, actor.as_ref());
            assert!(text.contains(expected), "{description:?} {actor:?}: {text}");
            assert!(!text.contains(UNKNOWN), "{text}");
        }
    }

    #[test]
    fn a_controllers_mark_written_by_hand_is_told_with_the_hand() {
        let text = about(Some("elbv2.k8s.aws/targetGroupBinding=shared"), Some(&program("aws-cli/2.17.0")));
        assert!(text.contains("It looks like a rule of AWS Load Balancer Controller. Narrow"), "{text}");
        assert!(text.contains("The last call came through the AWS CLI. Ask"), "{text}");
    }
}
