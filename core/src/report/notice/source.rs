//! Where a rule comes from: what writes it, and what to change there, so that it does not come back.
//!
//! Descriptions and user agents are text that anybody can write. Here they only choose an advice, and nothing hangs on it.

use crate::event::Actor;
use crate::model::rule::Rule;

/// Something that writes rules and writes them again.
pub(super) struct Writer {
    /// How it is known: any of these in the description of its rules, or in what CloudTrail says of the program.
    marks: &'static [&'static str],
    /// Its name, as a sentence begins.
    pub(super) name: &'static str,
    /// Where to change what it wants.
    pub(super) advice: &'static str,
    /// Whether a person writes with it, who can be asked.
    is_by_hand: bool,
    /// What to look for there; `{rule}` and `{group}` are the ids.
    resource: Option<&'static str>,
}

/// The first that is found counts: what is built on Terraform names itself and Terraform.
const WRITERS: [Writer; 10] = [
    Writer {
        marks: &["elbv2.k8s.aws/"],
        name: "AWS Load Balancer Controller",
        advice: "narrow the annotation `alb.ingress.kubernetes.io/inbound-cidrs` of the Ingress, or \
                 `spec.loadBalancerSourceRanges` (annotation `service.beta.kubernetes.io/load-balancer-source-ranges`) of \
                 the Service; a Network Load Balancer that has security groups needs no such rule on the nodes",
        is_by_hand: false,
        resource: None,
    },
    Writer {
        marks: &["kubernetes.io/rule/nlb/"],
        name: "the service controller of the cluster",
        advice: "narrow `spec.loadBalancerSourceRanges` (annotation \
                 `service.beta.kubernetes.io/load-balancer-source-ranges`) of the Service; without it the controller \
                 opens the NodePort to everybody",
        is_by_hand: false,
        resource: None,
    },
    Writer {
        marks: &["crossplane"],
        name: "Crossplane",
        advice: "change the spec of the managed resource or the composition behind it, or take the rule out of it",
        is_by_hand: false,
        resource: Some("the resource whose external name is `{rule}` or `{group}`"),
    },
    Writer {
        marks: &["aws-controller-k8s"],
        name: "an ACK controller",
        advice: "change the ingress and egress rules in the spec of the `SecurityGroup` resource: the controller owns the \
                 whole list",
        is_by_hand: false,
        resource: Some("the resource whose status names `{group}`"),
    },
    Writer {
        marks: &["pulumi"],
        name: "Pulumi",
        advice: "change the rule in the program and run `pulumi up`, otherwise the next run opens it again",
        is_by_hand: false,
        resource: Some("the resource with the id `{rule}` or `{group}` in the stack"),
    },
    Writer {
        marks: &["terraform", "opentofu"],
        name: "Terraform",
        advice: "change the rule in the configuration or the module's variables and apply it, otherwise the next apply \
                 opens it again",
        is_by_hand: false,
        resource: Some(
            "an `aws_vpc_security_group_ingress_rule` or `aws_security_group_rule` with the id `{rule}` in its state, or \
             the `ingress` of the `aws_security_group` `{group}`",
        ),
    },
    Writer {
        marks: &["cloudformation.amazonaws.com"],
        name: "CloudFormation",
        advice: "change the rule in the template, or in the CDK or SAM application that makes it, and update the stack",
        is_by_hand: false,
        resource: Some("an `AWS::EC2::SecurityGroupIngress`, or the `SecurityGroupIngress` of group `{group}`"),
    },
    Writer {
        marks: &["eks.amazonaws.com", "eks-nodegroup.amazonaws.com"],
        name: "EKS",
        advice: "change the settings of the cluster or of the node group, such as the remote access of a node group",
        is_by_hand: false,
        resource: None,
    },
    Writer {
        marks: &["console.amazonaws.com", "console.ec2.amazonaws.com", "aws-internal", "aws internal", "mozilla/"],
        name: "the AWS console",
        advice: "ask who did it what it is needed for",
        is_by_hand: true,
        resource: None,
    },
    Writer {
        marks: &["aws-cli/"],
        name: "the AWS CLI",
        advice: "ask who did it, or look for a script or a scheduled job that runs it",
        is_by_hand: true,
        resource: None,
    },
];

/// Where to change a rule so that it does not come back, if a program wrote it that writes it again.
pub(super) fn where_to_change(rule: &Rule, actor: Option<&Actor>) -> Option<String> {
    let writer = described(rule).or_else(|| actor.and_then(called)).filter(|writer| !writer.is_by_hand)?;
    Some(format!("It was written by {}: {}.", writer.name, writer.advice))
}

/// What to look for there. `group`: whose rule it is.
pub(super) fn what_to_look_for(rule: &Rule, actor: Option<&Actor>, group: Option<&str>) -> Option<String> {
    let writer = described(rule).or_else(|| actor.and_then(called))?;
    let resource = writer.resource?.replace("{rule}", &rule.id).replace("{group}", group.unwrap_or_default());
    Some(format!("In {}, look for {resource}", writer.name))
}

/// What made a call, in words.
pub(super) fn program(actor: &Actor) -> Option<&'static str> {
    actor.user_agent.as_deref().and_then(find).map(|writer| writer.name)
}

/// A service in words, by its host name.
pub(super) fn writer(service: &str) -> Option<&'static str> {
    find(service).map(|writer| writer.name)
}

/// What a rule looks like: by its description and its tags, which anybody can write.
pub(super) fn described(rule: &Rule) -> Option<&'static Writer> {
    let of_tags = rule.tags.iter().flat_map(|(key, value)| [key, value]);
    rule.description.iter().chain(of_tags).find_map(|text| find(text))
}

pub(super) fn called(actor: &Actor) -> Option<&'static Writer> {
    [&actor.invoked_by, &actor.source_ip, &actor.user_agent].into_iter().flatten().find_map(|text| find(text))
}

fn find(text: &str) -> Option<&'static Writer> {
    let text = text.to_lowercase();
    WRITERS.iter().find(|writer| writer.marks.iter().any(|mark| text.contains(mark)))
}
