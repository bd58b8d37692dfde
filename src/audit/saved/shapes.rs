//! The shapes in which the AWS CLI prints what we read. EC2 writes `UpperCamel`, EKS `lowerCamel`; a field that is not there
//! is left out or null, and new fields come every year.
//!
//! Owns: names of fields, and how long their lists may be. Must not: say what they mean (`decode` does).

use std::collections::BTreeMap;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A list inside of one thing. EC2's largest ones have a thousand entries; nobody's may eat the memory.
#[derive(Clone, Debug)]
pub(super) struct Few<T>(Vec<T>);

const MAX_FEW: usize = 10_000;

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Few<T> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of at most {MAX_FEW}")
            }

            fn visit_unit<E>(self) -> Result<Few<T>, E> {
                Ok(Few::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Few<T>, A::Error> {
                let mut found = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if found.len() == MAX_FEW {
                        return Err(serde::de::Error::invalid_length(MAX_FEW + 1, &self));
                    }
                    found.push(item);
                }
                Ok(Few(found))
            }
        }
        from.deserialize_any(Reader(std::marker::PhantomData))
    }
}

/// A shape of EC2: every field may be missing.
macro_rules! ec2 {
    ($($name:ident { $($field:ident: $kind:ty,)+ })+) => {
        $(
            #[derive(Clone, Debug, Default, Deserialize)]
            #[allow(clippy::struct_field_names, reason = "AWS's own names")]
            #[serde(rename_all = "PascalCase", default)]
            pub(super) struct $name {
                $(pub(super) $field: $kind,)+
            }
        )+
    };
}

pub(super) use ec2;

/// A shape of EKS.
macro_rules! eks {
    ($($name:ident { $($field:ident: $kind:ty,)+ })+) => {
        $(
            #[derive(Clone, Debug, Default, Deserialize)]
            #[serde(rename_all = "camelCase", default)]
            pub(super) struct $name {
                $(pub(super) $field: $kind,)+
            }
        )+
    };
}

pub(super) type Text = Option<String>;

ec2! {
    Tag {
        key: Text,
        value: Text,
    }
    SecurityGroup {
        group_id: Text,
        group_name: Text,
        vpc_id: Text,
        owner_id: Text,
        security_group_arn: Text,
        tags: Few<Tag>,
        ip_permissions: Few<Permission>,
        ip_permissions_egress: Few<Permission>,
    }
    Permission {
        ip_protocol: Text,
        from_port: Option<i64>,
        to_port: Option<i64>,
        ip_ranges: Few<Range>,
        ipv6_ranges: Few<Range>,
        prefix_list_ids: Few<Range>,
        user_id_group_pairs: Few<Range>,
    }
    Range {
        cidr_ip: Text,
        cidr_ipv6: Text,
        prefix_list_id: Text,
        group_id: Text,
        user_id: Text,
        description: Text,
        peering_status: Text,
    }
    SecurityGroupRule {
        security_group_rule_id: Text,
        security_group_rule_arn: Text,
        group_id: Text,
        group_owner_id: Text,
        is_egress: Option<bool>,
        ip_protocol: Text,
        from_port: Option<i64>,
        to_port: Option<i64>,
        cidr_ipv4: Text,
        cidr_ipv6: Text,
        prefix_list_id: Text,
        referenced_group_info: Option<Range>,
        description: Text,
        tags: Few<Tag>,
    }
    NetworkInterface {
        network_interface_id: Text,
        vpc_id: Text,
        owner_id: Text,
        availability_zone: Text,
        groups: Few<GroupIdentifier>,
        description: Text,
        interface_type: Text,
        requester_id: Text,
        requester_managed: Option<bool>,
        attachment: Option<Attachment>,
        tag_set: Few<Tag>,
        subnet_id: Text,
        association: Option<Address>,
        private_ip_addresses: Few<PrivateAddress>,
        ipv6_addresses: Few<Address>,
        deny_all_igw_traffic: Option<bool>,
    }
    PrivateAddress {
        association: Option<Address>,
    }
    Address {
        public_ip: Text,
        ipv6_address: Text,
    }
    GroupIdentifier {
        group_id: Text,
        group_name: Text,
    }
    Attachment {
        instance_id: Text,
        instance_owner_id: Text,
    }
    Reservation {
        owner_id: Text,
        instances: Few<Instance>,
    }
    Instance {
        instance_id: Text,
        vpc_id: Text,
        state: Option<State>,
        placement: Option<Placement>,
        network_interfaces: Few<InstanceInterface>,
        security_groups: Few<GroupIdentifier>,
        tags: Few<Tag>,
    }
    State {
        name: Text,
        state: Text,
    }
    Placement {
        availability_zone: Text,
    }
    InstanceInterface {
        groups: Few<GroupIdentifier>,
    }
    Vpc {
        vpc_id: Text,
        cidr_block: Text,
        cidr_block_association_set: Option<Few<Block>>,
        ipv6_cidr_block_association_set: Few<Block>,
    }
    Block {
        cidr_block: Text,
        ipv6_cidr_block: Text,
        cidr_block_state: Option<State>,
        ipv6_cidr_block_state: Option<State>,
    }
    ManagedPrefixList {
        prefix_list_id: Text,
        prefix_list_name: Text,
        owner_id: Text,
        state: Text,
        cidrs: Option<Few<String>>,
    }
    Entry {
        cidr: Text,
    }
    VpcAssociation {
        group_id: Text,
        vpc_id: Text,
        state: Text,
    }
    StaleGroup {
        group_id: Text,
        stale_ip_permissions: Few<Permission>,
        stale_ip_permissions_egress: Few<Permission>,
    }
    LoadBalancer {
        security_groups: Few<String>,
    }
    LaunchTemplateVersion {
        launch_template_id: Text,
        launch_template_name: Text,
        version_number: Option<i64>,
        default_version: Option<bool>,
        launch_template_data: Option<LaunchTemplateData>,
    }
    LaunchTemplateData {
        security_group_ids: Few<String>,
        network_interfaces: Few<TemplateInterface>,
    }
    TemplateInterface {
        groups: Few<String>,
    }
}

eks! {
    Cluster {
        name: Text,
        arn: Text,
        role_arn: Text,
        created_at: Option<Moment>,
        tags: Option<BTreeMap<String, Option<String>>>,
        resources_vpc_config: Option<VpcConfig>,
        kubernetes_network_config: Option<NetworkConfig>,
        remote_network_config: Option<RemoteNetworks>,
        outpost_config: Option<serde::de::IgnoredAny>,
        identity: Option<Identity>,
        kube_api_server_config: Option<ApiServerConfig>,
    }
    ApiServerConfig {
        service_node_port_range: Option<PortRange>,
    }
    PortRange {
        min_port: Option<i64>,
        max_port: Option<i64>,
    }
    VpcConfig {
        vpc_id: Text,
        cluster_security_group_id: Text,
        security_group_ids: Few<String>,
        endpoint_public_access: Option<bool>,
        public_access_cidrs: Few<String>,
    }
    NetworkConfig {
        ip_family: Text,
    }
    RemoteNetworks {
        remote_node_networks: Few<RemoteNetwork>,
        remote_pod_networks: Few<RemoteNetwork>,
    }
    RemoteNetwork {
        cidrs: Few<String>,
    }
    Identity {
        oidc: Option<Issuer>,
    }
    Issuer {
        issuer: Text,
    }
    NodeGroup {
        nodegroup_name: Text,
        nodegroup_arn: Text,
        cluster_name: Text,
        resources: Option<NodeGroupResources>,
        launch_template: Option<LaunchTemplate>,
    }
    NodeGroupResources {
        auto_scaling_groups: Few<Named>,
        remote_access_security_group: Text,
    }
    LaunchTemplate {
        id: Text,
        name: Text,
        version: Text,
    }
    Named {
        name: Text,
    }
}

/// When something was made: seconds, or text; version 1 and 2 of the CLI differ.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Moment {
    Seconds(f64),
    Text(String),
}
