//! Which clusters and node groups a security group, and what is attached to it, name: where EKS is to be asked. Names prove
//! nothing; membership judges what EKS says of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::membership::{AWS_CLUSTER_TAG, AWS_SCALING_TAG, EKS_INTERFACE, clusters_in_tags};
use crate::model::facts::{GroupFacts, Instance, Interface, Tags};

/// Clusters asked for because ordinary tags name them. Anybody can write fifty; each costs calls that the cluster's own
/// controllers need too.
const MAX_BY_ORDINARY_TAGS: usize = 3;
/// The ordinary tags with the name of a managed node group, on its instances and on the groups EKS makes for it.
const NODE_GROUP_TAGS: [&str; 2] = ["eks:nodegroup-name", "eks"];
/// How EKS names the Auto Scaling groups of a node group: this, its name, and an id of five parts.
const SCALING_GROUP_PREFIX: &str = "eks-";
const SCALING_GROUP_ID_PARTS: usize = 5;

/// Clusters by name, each with the node groups of it that are named.
pub type Named = BTreeMap<String, BTreeSet<String>>;

/// What these groups and their attachments name: all clusters that only AWS can name, and of those in ordinary tags the
/// few that most attachments name.
pub fn named<'a>(
    groups: impl IntoIterator<Item = &'a GroupFacts>,
    interfaces: &'a [Interface],
    instances: &'a [Instance],
) -> Named {
    let groups: Vec<&GroupFacts> = groups.into_iter().collect();
    let tags = || {
        let of_groups = groups.iter().map(|group| &group.tags);
        of_groups.chain(instances.iter().map(|instance| &instance.tags)).chain(interfaces.iter().map(|eni| &eni.tags))
    };
    let mut named = Named::new();
    let of_control_plane = interfaces.iter().filter(|interface| interface.instance_owner.is_some());
    let described = of_control_plane.filter_map(|interface| interface.description.strip_prefix(EKS_INTERFACE));
    for cluster in tags().filter_map(|tags| tags.get(AWS_CLUSTER_TAG).map(String::as_str)).chain(described) {
        named.entry(cluster.to_owned()).or_default();
    }
    let mut ordinary: BTreeMap<&str, usize> = BTreeMap::new();
    for cluster in tags().flat_map(clusters_in_tags) {
        *ordinary.entry(cluster).or_default() += 1;
    }
    let mut ordinary: Vec<(&str, usize)> =
        ordinary.into_iter().filter(|(cluster, _)| !named.contains_key(*cluster)).collect();
    ordinary.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    named.extend(
        ordinary.into_iter().take(MAX_BY_ORDINARY_TAGS).map(|(cluster, _)| (cluster.to_owned(), BTreeSet::new())),
    );
    for group in groups {
        add_node_group(&group.tags, &mut named);
    }
    named
}

/// The node groups that instances name, of these clusters. EKS has to be asked for one only where nothing else proves that a
/// group is its.
pub fn node_groups(instances: &[Instance], clusters: impl IntoIterator<Item = String>) -> Named {
    let mut named: Named = clusters.into_iter().map(|cluster| (cluster, BTreeSet::new())).collect();
    for instance in instances {
        add_node_group(&instance.tags, &mut named);
    }
    named.retain(|_, node_groups| !node_groups.is_empty());
    named
}

fn add_node_group(tags: &Tags, named: &mut Named) {
    let Some(node_group) = node_group(tags) else { return };
    for cluster in clusters_in_tags(tags).chain(tags.get(AWS_CLUSTER_TAG).map(String::as_str)) {
        if let Some(node_groups) = named.get_mut(cluster) {
            node_groups.insert(node_group.to_owned());
        }
    }
}

fn node_group(tags: &Tags) -> Option<&str> {
    let scaling = || {
        let name = tags.get(AWS_SCALING_TAG)?.strip_prefix(SCALING_GROUP_PREFIX)?;
        name.rsplitn(SCALING_GROUP_ID_PARTS + 1, '-').nth(SCALING_GROUP_ID_PARTS)
    };
    NODE_GROUP_TAGS.iter().find_map(|key| tags.get(*key)).map(String::as_str).or_else(scaling)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn instance(pairs: &[(&str, &str)]) -> Instance {
        Instance { tags: tags(pairs), ..Instance::default() }
    }

    fn line(named: &Named) -> String {
        let each = named.iter().map(|(cluster, node_groups)| {
            format!("{cluster}({})", node_groups.iter().map(String::as_str).collect::<Vec<_>>().join(","))
        });
        each.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_come_from_tags_of_aws_interfaces_of_eks_and_ordinary_tags() {
        let group = GroupFacts { tags: tags(&[("kubernetes.io/cluster/b", "owned")]), ..GroupFacts::default() };
        let managed = instance(&[
            ("aws:eks:cluster-name", "a"),
            ("aws:autoscaling:groupName", "eks-blue-workers-b2c41f2e-89ab-4cde-8f01-23456789abcd"),
        ]);
        let tagged = instance(&[("kubernetes.io/cluster/b", "owned"), ("eks:nodegroup-name", "ng")]);
        let control_plane = Interface {
            description: "Amazon EKS c".into(),
            instance_owner: Some("999999999999".into()),
            ..Interface::default()
        };
        let by_hand = Interface { description: "Amazon EKS d".into(), ..Interface::default() };
        let instances = [managed, tagged];
        let named = named([&group], &[control_plane, by_hand], &instances);
        assert_eq!(line(&named), "a() b() c()");
        assert_eq!(line(&node_groups(&instances, named.into_keys())), "a(blue-workers) b(ng)");
    }

    #[test]
    fn fifty_ordinary_tags_cost_three_clusters_and_hide_neither_aws_nor_what_most_attachments_name() {
        let decoys: Vec<String> = (0..50).map(|n| format!("kubernetes.io/cluster/decoy-{n:02}")).collect();
        let decoys: Tags = decoys.into_iter().map(|key| (key, "owned".to_owned())).collect();
        let group = GroupFacts { tags: decoys, ..GroupFacts::default() };
        let nodes = [
            instance(&[("kubernetes.io/cluster/prod", "owned")]),
            instance(&[("kubernetes.io/cluster/prod", "owned")]),
            instance(&[("aws:eks:cluster-name", "sure")]),
        ];
        let named = named([&group], &[], &nodes);
        assert_eq!(named.len(), 1 + MAX_BY_ORDINARY_TAGS, "{named:?}");
        assert!(named.contains_key("prod") && named.contains_key("sure"), "{named:?}");
    }
}
