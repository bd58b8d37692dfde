//! What people can save: one row for each command of the AWS CLI that we read, by the key that its answer stands under.
//!
//! Must not: read files.

use crate::model::words;

words! {
    /// An answer of the AWS CLI.
    pub enum Kind {
        /// `aws ec2 describe-security-groups`
        Groups = "security-groups",
        /// `aws ec2 describe-security-group-rules`
        Rules = "security-group-rules",
        /// `aws ec2 describe-network-interfaces`
        Interfaces = "network-interfaces",
        /// `aws ec2 describe-instances`
        Instances = "instances",
        /// `aws ec2 describe-vpcs`
        Vpcs = "vpcs",
        /// `aws ec2 describe-managed-prefix-lists`
        Lists = "managed-prefix-lists",
        /// `aws ec2 get-managed-prefix-list-entries`
        Entries = "prefix-list-entries",
        /// `aws ec2 describe-security-group-vpc-associations`
        Associations = "security-group-vpc-associations",
        /// `aws ec2 describe-launch-template-versions`
        Templates = "launch-template-versions",
        /// `aws eks list-clusters`
        Clusters = "list-clusters",
        /// `aws eks describe-cluster`
        Cluster = "cluster",
        /// `aws eks list-nodegroups`
        NodeGroups = "list-nodegroups",
        /// `aws eks describe-nodegroup`
        NodeGroup = "nodegroup",
        /// `aws sts get-caller-identity`
        Identity = "caller-identity",
        /// `aws cloudtrail describe-trails`
        Trails = "trails",
        /// `aws cloudtrail get-trail-status`
        TrailStatus = "trail-status",
        /// `aws cloudtrail get-event-selectors`
        EventSelectors = "event-selectors",
        /// `aws ec2 describe-subnets`
        Subnets = "subnets",
        /// `aws ec2 describe-route-tables`
        RouteTables = "route-tables",
        /// `aws ec2 describe-internet-gateways`
        Gateways = "internet-gateways",
        /// `aws ec2 describe-network-acls`
        NetworkAcls = "network-acls",
        /// `aws ec2 describe-stale-security-groups`
        Stale = "stale-security-groups",
        /// `aws elbv2 describe-load-balancers`
        LoadBalancers = "load-balancers",
        /// `terraform show -json`
        Plan = "terraform-plan",
        /// Something else of AWS's that is of no use here, or not yet.
        Other = "other",
    }
}

/// How a document is recognised: a key at its top, and what it is.
const KEYS: [(&str, Kind); 29] = [
    ("SecurityGroups", Kind::Groups),
    ("SecurityGroupRules", Kind::Rules),
    ("NetworkInterfaces", Kind::Interfaces),
    ("Reservations", Kind::Instances),
    ("Vpcs", Kind::Vpcs),
    ("PrefixLists", Kind::Lists),
    ("Entries", Kind::Entries),
    ("SecurityGroupVpcAssociations", Kind::Associations),
    ("LaunchTemplateVersions", Kind::Templates),
    ("clusters", Kind::Clusters),
    ("cluster", Kind::Cluster),
    ("nodegroups", Kind::NodeGroups),
    ("nodegroup", Kind::NodeGroup),
    ("Account", Kind::Identity),
    ("trailList", Kind::Trails),
    ("IsLogging", Kind::TrailStatus),
    ("TrailARN", Kind::EventSelectors),
    ("Trails", Kind::Other),
    ("format_version", Kind::Plan),
    ("Subnets", Kind::Subnets),
    ("RouteTables", Kind::RouteTables),
    ("InternetGateways", Kind::Gateways),
    ("NetworkAcls", Kind::NetworkAcls),
    ("LoadBalancers", Kind::LoadBalancers),
    ("LaunchTemplates", Kind::Other),
    ("AutoScalingGroups", Kind::Other),
    ("Regions", Kind::Other),
    ("StaleSecurityGroupSet", Kind::Stale),
    ("SecurityGroupReferenceSet", Kind::Other),
];

/// Where the only item of a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only {
    UnderKey,
    Document,
}

/// A key at the top of an answer that says that there is more to it.
const TOKENS: [&str; 4] = ["NextToken", "nextToken", "NextMarker", "Marker"];

/// Keys that only one kind of thing has: how the items of a bare list say what they are, and which of them are needed.
const SIGNS: [(&[&str], Kind); 14] = [
    (&["SecurityGroupRuleId", "IsEgress"], Kind::Rules),
    (&["GroupId", "IpPermissions"], Kind::Groups),
    (&["NetworkInterfaceId", "Groups", "VpcId"], Kind::Interfaces),
    (&["Instances", "ReservationId"], Kind::Instances),
    (&["InstanceId", "SecurityGroups"], Kind::Instances),
    (&["LaunchTemplateId", "LaunchTemplateData"], Kind::Templates),
    (&["PrefixListId", "PrefixListName"], Kind::Lists),
    (&["VpcId", "CidrBlockAssociationSet"], Kind::Vpcs),
    (&["RouteTableId", "Routes"], Kind::RouteTables),
    (&["NetworkAclId", "IsDefault"], Kind::NetworkAcls),
    (&["InternetGatewayId", "Attachments"], Kind::Gateways),
    (&["SubnetId", "MapPublicIpOnLaunch"], Kind::Subnets),
    (&["nodegroupName", "clusterName"], Kind::NodeGroup),
    (&["name", "resourcesVpcConfig"], Kind::Cluster),
];

impl Kind {
    /// What is not known without it, whether it was not saved or AWS did not answer; empty where these say it differently.
    pub(crate) const fn without(self) -> &'static str {
        match self {
            Self::Interfaces => {
                "nobody knows what groups are attached to: load balancers, pods and control planes are not proven, and no \
                 group is called unattached"
            }
            Self::Instances => {
                "running nodes are not proven, so groups that only they have are only reported or left out"
            }
            Self::Associations => "groups used in several VPCs are known by their interfaces alone",
            Self::Cluster => {
                "only what EC2 shows and tags say of it is known: no group of EKS's own, no endpoint, no requirement"
            }
            Self::NodeGroup => {
                "its node groups are not known: groups for SSH, and of launch templates without running nodes"
            }
            Self::Entries => "rules that name it could not be judged",
            Self::Subnets | Self::RouteTables | Self::Gateways | Self::NetworkAcls => {
                "whether what is open to the internet can be reached now is not known"
            }
            Self::Trails => "whether a guard would be told of what is opened here is not known",
            _ => "",
        }
    }

    /// What an answer is that has this key at its top.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        KEYS.iter().find(|(known, _)| *known == key).map(|(_, kind)| *kind)
    }

    /// What an item is that has these keys.
    pub(super) fn of_item(keys: &[String]) -> Option<Self> {
        let has = |signs: &[&str]| signs.iter().all(|sign| keys.iter().any(|key| key == sign));
        SIGNS.iter().find(|(signs, _)| has(signs)).map(|(_, kind)| *kind)
    }

    /// What a document is, or an item of a list, that has these keys at its top.
    pub fn of(keys: &[String]) -> Option<Self> {
        let by_key = || keys.iter().find_map(|key| Self::of_key(key).filter(|kind| kind.is_of(keys)));
        by_key().or_else(|| Self::of_item(keys))
    }

    /// Whether a document with these keys is of this kind: another has a key of that name, too.
    pub(super) fn is_of(self, keys: &[String]) -> bool {
        let has = |wanted: &str| keys.iter().any(|name| name == wanted);
        match self {
            Self::Identity => has("UserId"),
            // A network ACL alone has entries of its own.
            Self::Entries => !has("NetworkAclId"),
            Self::Plan => has("resource_changes") || has("planned_values") || has("values"),
            Self::EventSelectors => has("EventSelectors") || has("AdvancedEventSelectors"),
            _ => true,
        }
    }

    /// What of a document is one item: a thing under the kind's key, or the document itself. `None`: there is a list under
    /// the key.
    pub(super) fn only_item(self) -> Option<Only> {
        match self {
            Self::Cluster | Self::NodeGroup | Self::Identity | Self::TrailStatus => Some(Only::UnderKey),
            Self::EventSelectors | Self::Plan => Some(Only::Document),
            _ => None,
        }
    }

    /// The command that prints it; what stands in capitals is to be filled in.
    pub fn command(self) -> &'static str {
        match self {
            Self::Groups => "aws ec2 describe-security-groups",
            Self::Rules => "aws ec2 describe-security-group-rules",
            Self::Interfaces => "aws ec2 describe-network-interfaces --include-managed-resources",
            Self::Instances => "aws ec2 describe-instances --include-managed-resources",
            Self::Vpcs => "aws ec2 describe-vpcs",
            Self::Lists => "aws ec2 describe-managed-prefix-lists",
            Self::Entries => "aws ec2 get-managed-prefix-list-entries --prefix-list-id ID",
            Self::Associations => "aws ec2 describe-security-group-vpc-associations",
            Self::Templates => "aws ec2 describe-launch-template-versions --launch-template-id ID --versions VERSION",
            Self::Clusters => "aws eks list-clusters",
            Self::Cluster => "aws eks describe-cluster --name NAME",
            Self::NodeGroups => "aws eks list-nodegroups --cluster-name NAME",
            Self::NodeGroup => "aws eks describe-nodegroup --cluster-name NAME --nodegroup-name NODES",
            Self::Identity => "aws sts get-caller-identity",
            Self::Trails => "aws cloudtrail describe-trails",
            Self::TrailStatus => "aws cloudtrail get-trail-status --name TRAIL",
            Self::EventSelectors => "aws cloudtrail get-event-selectors --trail-name TRAIL",
            Self::Subnets => "aws ec2 describe-subnets",
            Self::RouteTables => "aws ec2 describe-route-tables",
            Self::Gateways => "aws ec2 describe-internet-gateways",
            Self::NetworkAcls => "aws ec2 describe-network-acls",
            Self::Stale => "aws ec2 describe-stale-security-groups --vpc-id VPC",
            Self::LoadBalancers => "aws elbv2 describe-load-balancers",
            Self::Plan => "terraform show -json PLAN",
            Self::Other => "",
        }
    }
}

/// Whether the key says, by a value, that the answer is cut.
pub(super) fn is_token(key: &str) -> bool {
    TOKENS.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_key_and_a_command() {
        for kind in Kind::ALL {
            assert!(KEYS.iter().any(|(_, known)| *known == kind), "{kind:?}");
            let is_of_aws = kind != Kind::Other && kind != Kind::Plan;
            assert_eq!(kind.command().starts_with("aws "), is_of_aws, "{kind:?}");
        }
    }
}
