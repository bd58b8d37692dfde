//! Opening a rule again, for whoever undoes a revoke.
//!
//! Must not: be part of the function, which opens nothing.

use async_trait::async_trait;
use aws_sdk_ec2::types::{ResourceType, SecurityGroupRule, Tag, TagSpecification};

use super::super::failure::{taking, unusable};
use super::{Ec2Client, encode};
use crate::model::error::CloudError;
use crate::model::rule::{Direction, Rule};
use crate::ports::Reopen;

#[async_trait]
impl Reopen for Ec2Client {
    async fn authorize(&self, group: &str, rule: &Rule) -> Result<String, CloudError> {
        let (permissions, tags) = (Some(vec![encode::permission(rule)]), tags(rule));
        let (action, rules, answer) = match rule.direction {
            Direction::Ingress => {
                const ACTION: &str = "ec2:AuthorizeSecurityGroupIngress";
                let call = self.authorize_security_group_ingress().group_id(group).set_ip_permissions(permissions);
                let answer = call.set_tag_specifications(tags).send().await.map_err(taking(ACTION))?;
                (ACTION, answer.security_group_rules, answer.r#return)
            }
            Direction::Egress => {
                const ACTION: &str = "ec2:AuthorizeSecurityGroupEgress";
                let call = self.authorize_security_group_egress().group_id(group).set_ip_permissions(permissions);
                let answer = call.set_tag_specifications(tags).send().await.map_err(taking(ACTION))?;
                (ACTION, answer.security_group_rules, answer.r#return)
            }
        };
        if answer == Some(false) {
            return Err(unusable(action, format!("EC2 answered `return: false` for {group}")));
        }
        let made: Vec<SecurityGroupRule> = rules.unwrap_or_default();
        Ok(made.into_iter().find_map(|made| made.security_group_rule_id).unwrap_or_default())
    }
}

/// `None` for no tags: EC2 refuses an empty list, and whoever gives none needs no right to tag.
fn tags(rule: &Rule) -> Option<Vec<TagSpecification>> {
    let tags: Vec<Tag> =
        rule.writable_tags().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let of_rule =
        |tags| TagSpecification::builder().resource_type(ResourceType::SecurityGroupRule).set_tags(Some(tags));
    (!tags.is_empty()).then(|| vec![of_rule(tags).build()])
}
