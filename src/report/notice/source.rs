//! The text about a contested rule: who keeps opening it, how often, and what to change at the source.
//!
//! Descriptions and user agents are text that anybody can write. Here they only choose an advice, and nothing hangs on it.

use crate::event::Actor;
use crate::model::rule::Rule;
use crate::model::text::{capital, plain};
use crate::report::outcome::{Contested, Opener};

/// Something that writes rules and writes them again.
struct Writer {
    /// How it is known: any of these in the description of its rules, or in what CloudTrail says of the program.
    marks: &'static [&'static str],
    /// Its name, as a sentence begins.
    name: &'static str,
    /// Where to change what it wants.
    advice: &'static str,
}

/// The first that is found counts: what is built on Terraform names itself and Terraform.
const WRITERS: [Writer; 10] = [
    Writer {
        marks: &["elbv2.k8s.aws/"],
        name: "AWS Load Balancer Controller",
        advice: "narrow the annotation `alb.ingress.kubernetes.io/inbound-cidrs` of the Ingress, or \
                 `spec.loadBalancerSourceRanges` (annotation `service.beta.kubernetes.io/load-balancer-source-ranges`) of \
                 the Service; a Network Load Balancer that has security groups needs no such rule on the nodes",
    },
    Writer {
        marks: &["kubernetes.io/rule/nlb/"],
        name: "the service controller of the cluster",
        advice: "narrow `spec.loadBalancerSourceRanges` (annotation \
                 `service.beta.kubernetes.io/load-balancer-source-ranges`) of the Service; without it the controller \
                 opens the NodePort to everybody",
    },
    Writer {
        marks: &["crossplane"],
        name: "Crossplane",
        advice: "change the spec of the managed resource or the composition behind it, or take the rule out of it",
    },
    Writer {
        marks: &["aws-controller-k8s"],
        name: "an ACK controller",
        advice: "change the ingress and egress rules in the spec of the `SecurityGroup` resource: the controller owns the \
                 whole list",
    },
    Writer {
        marks: &["pulumi"],
        name: "Pulumi",
        advice: "change the rule in the program and run `pulumi up`, or the next run opens it again",
    },
    Writer {
        marks: &["terraform", "opentofu"],
        name: "Terraform",
        advice: "change the rule in the configuration or the module's variables and apply it, or the next apply opens it \
                 again",
    },
    Writer {
        marks: &["cloudformation.amazonaws.com"],
        name: "CloudFormation",
        advice: "change the rule in the template, or in the CDK or SAM application that makes it, and update the stack",
    },
    Writer {
        marks: &["eks.amazonaws.com", "eks-nodegroup.amazonaws.com"],
        name: "EKS",
        advice: "change the settings of the cluster or of the node group, such as the remote access of a node group",
    },
    Writer {
        marks: &["console.amazonaws.com", "console.ec2.amazonaws.com", "aws-internal", "mozilla/"],
        name: "the AWS console",
        advice: "ask the person named above what it is needed for",
    },
    Writer {
        marks: &["aws-cli/"],
        name: "the AWS CLI",
        advice: "ask the person named above, or look for a script or a scheduled job that runs it",
    },
];

/// Where nothing is known of the writer.
const UNKNOWN: &str = "The program is not known: ask who is named above what opens this rule, and change it there.";

/// The lines of a notice about a contested rule.
pub(super) fn contested(contested: &Contested, rule: Option<&Rule>, actor: Option<&Actor>) -> Vec<String> {
    let mut lines = vec![again(contested)];
    for Opener { arn, times } in &contested.by {
        let times = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
        lines.push(format!("  By {}, {times}", plain(arn)));
    }
    if contested.by.is_empty() {
        lines.push("  By whom is not known".to_owned());
    }
    let described = rule.and_then(|rule| rule.description.as_deref()).and_then(writer);
    let called = actor.and_then(|actor| {
        [&actor.invoked_by, &actor.source_ip, &actor.user_agent].into_iter().flatten().find_map(|text| writer(text))
    });
    lines.extend(described.map(|writer| advice("Its description is that of", writer)));
    lines.extend(called.map(|writer| advice("The last call came through", writer)));
    if described.or(called).is_none() {
        lines.push(format!("  {UNKNOWN}"));
    }
    lines
}

/// That it comes back.
pub(super) fn again(contested: &Contested) -> String {
    format!("CONTESTED: opened {} times since {}", contested.times, contested.since)
}

fn writer(text: &str) -> Option<&'static Writer> {
    let text = text.to_lowercase();
    WRITERS.iter().find(|writer| writer.marks.iter().any(|mark| text.contains(mark)))
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
        contested(&Contested { times: 3, since, by }, Some(&rule), actor).join("\n")
    }

    fn program(user_agent: &str) -> Actor {
        Actor { user_agent: Some(user_agent.to_owned()), ..Actor::default() }
    }

    #[test]
    fn it_says_who_opened_it_and_how_often_and_no_name_breaks_a_line() {
        let text = about(None, None);
        assert!(text.contains("CONTESTED: opened 3 times since 1970-01-01T00:00:00Z"), "{text}");
        assert!(text.contains("\n  By arn:aws:iam::111122223333:user/ann, 2 times\n"), "{text}");
        assert!(text.contains("\n  By evil\u{fffd}Subject: all is well, once\n"), "{text}");
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
        assert!(text.contains("Its description is that of AWS Load Balancer Controller. Narrow"), "{text}");
        assert!(text.contains("The last call came through the AWS CLI. Ask"), "{text}");
    }
}
