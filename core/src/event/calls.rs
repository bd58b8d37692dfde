//! The calls that may open a path to a cluster, or close one that it needs, or keep the guard from seeing that: the only
//! place that knows calls. Whatever else
//! depends on which call it was is a column here.
//!
//! Left to the sweep, because their events cost more than they are worth:
//! - `RunInstances`, `CreateFleet` and new versions of launch templates, by which nodes start with open groups: every node
//!   of every cluster would be an event, and most name a template instead of groups. What a managed node group's template
//!   names is looked at when the node group is given it.
//! - `CreateTags` on instances and interfaces: tags are weak evidence of a role and change all day.
//!
//! Not here, because they open nothing: whatever deletes or disassociates, `UpdateSecurityGroupRuleDescriptions…`, and
//! `CreateManagedPrefixList`, which no rule uses yet.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::rule::Direction;
use crate::model::text::quoted;

/// RDS, `ElastiCache` and Redshift have calls of nearly the same names.
const EC2: &str = "ec2.amazonaws.com";
const EKS: &str = "eks.amazonaws.com";
const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";
const EVENTBRIDGE: &str = "events.amazonaws.com";

/// One call, as CloudTrail names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The `eventSource`.
    pub source: &'static str,
    /// The `eventName`.
    pub name: &'static str,
    /// Whether the stack's EventBridge rule delivers it. The others are understood when they come, but the VPC CNI makes
    /// them all day long.
    pub delivered: bool,
    /// Whether it may close something that a cluster needs.
    pub may_close: bool,
    /// Whether it may change who may call the public endpoint of a cluster's API.
    pub(super) endpoint: Endpoint,
    /// How to read what it changed.
    pub(super) changes: Changes,
}

impl Call {
    /// The call of this name and service; `None` when the guard does not follow it.
    pub fn find(source: &str, name: &str) -> Option<&'static Self> {
        CALLS.iter().find(|call| call.source == source && call.name == name)
    }

    /// Whether it makes rules, whose ids stand in its response.
    pub fn adds_rules(&self) -> bool {
        matches!(self.changes, Changes::Adds(_))
    }

    /// Whether it gives rules another content, whose ids stand in its request.
    pub fn rewrites_rules(&self) -> bool {
        self.changes == Changes::Rewrites
    }

    /// Whether it puts groups on an interface or instance.
    pub fn attaches(&self) -> bool {
        matches!(self.changes, Changes::Attribute | Changes::Attachment)
    }

    /// Whether it changes a prefix list, which rules of other accounts may use too.
    pub fn is_of_list(&self) -> bool {
        self.changes == Changes::PrefixList
    }

    /// Whether it does nothing but close rules.
    pub fn is_revoke(&self) -> bool {
        self.changes == Changes::Removes
    }
}

/// A call by its service and its name.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
pub(super) fn write<S: Serializer>(call: &&'static Call, to: S) -> Result<S::Ok, S::Error> {
    (call.source, call.name).serialize(to)
}

/// A call that the guard follows.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<&'static Call, D::Error> {
    let (source, name) = <(String, String)>::deserialize(from)?;
    let unknown =
        || de::Error::custom(format!("{} of {} is no call that the guard follows", quoted(&name), quoted(&source)));
    Call::find(&source, &name).ok_or_else(unknown)
}

/// What a call does to the public endpoint of a cluster's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Nothing.
    LeftAlone,
    /// It makes one: for everybody, where nobody says otherwise.
    Made,
    /// It may change who may call it, among other things; the event says what it changed.
    AsStated,
}

/// What a call changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// Adds rules to a group, in this direction.
    Adds(Direction),
    /// Rewrites rules of a group in place, in a direction that the event does not say.
    Rewrites,
    /// Removes rules of a group: nothing opens, but something that must stay open may be gone.
    Removes,
    /// A group as a whole.
    Group,
    /// Tags, on resources of any kind. Tags of a group say which cluster it belongs to.
    Tags,
    /// One attribute of an interface or instance, which may be its groups.
    Attribute,
    /// The groups of an interface or instance, whether or not it names them.
    Attachment,
    /// The entries of a prefix list.
    PrefixList,
    /// The configuration of a cluster.
    Cluster,
    /// A node group of a cluster, which may start nodes with other groups from now on.
    NodeGroup,
    /// A trail of CloudTrail, which may log less from now on, or more. Recorded in the trail's home region alone.
    Trail,
    /// A rule of EventBridge, or what it leads to.
    EventRule,
}

/// Every call that is understood.
pub const CALLS: &[Call] = &[
    ec2("AuthorizeSecurityGroupIngress", Changes::Adds(Direction::Ingress)),
    ec2("AuthorizeSecurityGroupEgress", Changes::Adds(Direction::Egress)),
    Call { may_close: true, ..ec2("ModifySecurityGroupRules", Changes::Rewrites) },
    Call { may_close: true, ..ec2("RevokeSecurityGroupIngress", Changes::Removes) },
    Call { may_close: true, ..ec2("RevokeSecurityGroupEgress", Changes::Removes) },
    ec2("CreateSecurityGroup", Changes::Group),
    ec2("AssociateSecurityGroupVpc", Changes::Group),
    ec2("CreateTags", Changes::Tags),
    ec2("DeleteTags", Changes::Tags),
    ec2("ModifyNetworkInterfaceAttribute", Changes::Attribute),
    ec2("ModifyInstanceAttribute", Changes::Attribute),
    Call { delivered: false, ..ec2("CreateNetworkInterface", Changes::Attachment) },
    Call { delivered: false, ..ec2("AttachNetworkInterface", Changes::Attachment) },
    ec2("ModifyManagedPrefixList", Changes::PrefixList),
    ec2("RestoreManagedPrefixListVersion", Changes::PrefixList),
    Call { endpoint: Endpoint::Made, ..eks("CreateCluster") },
    Call { may_close: true, endpoint: Endpoint::AsStated, ..eks("UpdateClusterConfig") },
    Call { changes: Changes::NodeGroup, ..eks("CreateNodegroup") },
    Call { changes: Changes::NodeGroup, ..eks("UpdateNodegroupVersion") },
    Call { changes: Changes::NodeGroup, ..eks("UpdateNodegroupConfig") },
    trail("StopLogging"),
    trail("DeleteTrail"),
    trail("UpdateTrail"),
    trail("PutEventSelectors"),
    trail("StartLogging"),
    trail("CreateTrail"),
    event_rule("DisableRule"),
    event_rule("DeleteRule"),
    event_rule("PutRule"),
    event_rule("EnableRule"),
    event_rule("RemoveTargets"),
    event_rule("PutTargets"),
];

const fn ec2(name: &'static str, changes: Changes) -> Call {
    Call { source: EC2, name, delivered: true, may_close: false, endpoint: Endpoint::LeftAlone, changes }
}

const fn eks(name: &'static str) -> Call {
    Call { source: EKS, ..ec2(name, Changes::Cluster) }
}

const fn trail(name: &'static str) -> Call {
    Call { source: CLOUDTRAIL, ..ec2(name, Changes::Trail) }
}

const fn event_rule(name: &'static str) -> Call {
    Call { source: EVENTBRIDGE, ..ec2(name, Changes::EventRule) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a call that may close something, what clusters need is looked at afterwards; our own revokes are not looked at.
    #[test]
    fn what_removes_or_rewrites_may_close_and_only_revokes_do_nothing_else() {
        let names =
            |of: fn(&Call) -> bool| CALLS.iter().filter(|call| of(call)).map(|call| call.name).collect::<Vec<_>>();
        let revokes = ["RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"];
        assert_eq!(names(Call::is_revoke), revokes);
        assert_eq!(
            names(|call| call.may_close),
            ["ModifySecurityGroupRules", revokes[0], revokes[1], "UpdateClusterConfig"]
        );
    }

    #[test]
    fn a_call_of_another_service_is_another_call() {
        for call in CALLS {
            assert_eq!(Call::find(call.source, call.name), Some(call));
            assert_eq!(Call::find("rds.amazonaws.com", call.name), None);
        }
    }
}
