//! Which clusters and node groups a security group, and what is attached to it, name: where EKS is to be asked. Names prove
//! nothing; membership judges what EKS says of them.
//!
//! Must not: read anything.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::marks::{AWS_CLUSTER_TAG, AWS_SCALING_TAG, EKS_INTERFACE, clusters_in_tags};
use crate::model::facts::{GroupFacts, Instance, Interface, Tags};

/// Clusters, and node groups of one, that are asked for because ordinary tags name them. Anybody can write fifty; each
/// costs calls that the cluster's own controllers need too.
const MAX_BY_ORDINARY_TAGS: usize = 3;
/// Clusters of a VPC that are asked for because a control plane there does not say whose it is.
const MAX_OF_VPC: usize = 10;
/// The longest name of a cluster. <https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html>
const MAX_NAME_LEN: usize = 100;
/// How the names of the groups begin that EKS makes for SSH to a managed node group.
const REMOTE_ACCESS_GROUP: &str = "eks-remoteAccess-";
/// The ordinary tags with the name of a managed node group, on its instances and on the groups EKS makes for it.
const NODE_GROUP_TAGS: [&str; 2] = ["eks:nodegroup-name", "eks"];
/// How EKS names the Auto Scaling groups of a node group: this, its name, and an id of five parts.
const SCALING_GROUP_PREFIX: &str = "eks-";
const SCALING_GROUP_ID_PARTS: usize = 5;

/// Clusters by name, each with the node groups of it that are named.
pub type Named = BTreeMap<String, BTreeSet<String>>;

/// What groups and their attachments name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Clusters that only AWS can name: in its own tags, and in interfaces of EKS.
    pub by_aws: BTreeSet<String>,
    /// Other clusters in ordinary tags, those that most attachments name first.
    pub ordinary: Vec<String>,
}

/// Everything that is named.
pub fn names<'a>(
    groups: impl IntoIterator<Item = &'a GroupFacts>,
    interfaces: &'a [Interface],
    instances: &'a [Instance],
) -> Names {
    let of_groups: Vec<&Tags> = groups.into_iter().map(|group| &group.tags).collect();
    let of_instances = || instances.iter().map(|instance| &instance.tags);
    let of_eks = interfaces.iter().filter(|interface| is_foreign(interface));
    let described = of_eks.filter_map(|interface| interface.description.strip_prefix(EKS_INTERFACE));
    let described: BTreeSet<&str> = described.collect();
    let described = described.into_iter().take(MAX_OF_VPC);
    let tagged = of_groups.iter().copied().chain(of_instances()).filter_map(|tags| tags.get(AWS_CLUSTER_TAG));
    let by_aws = tagged.map(String::as_str).chain(described).filter(|name| is_cluster_name(name));
    let by_aws: BTreeSet<String> = by_aws.map(str::to_owned).collect();

    // What more attachments say counts more, and any attachment more than the group itself.
    let mut times: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for name in of_instances().chain(interfaces.iter().map(|interface| &interface.tags)).flat_map(clusters_in_tags) {
        times.entry(name).or_default().0 += 1;
    }
    for name in of_groups.into_iter().flat_map(clusters_in_tags) {
        times.entry(name).or_default().1 += 1;
    }
    times.retain(|name, _| is_cluster_name(name) && !by_aws.contains(*name));
    let mut ordinary: Vec<(&str, (usize, usize))> = times.into_iter().collect();
    ordinary.sort_by_key(|(_, times)| Reverse(*times));
    Names { by_aws, ordinary: ordinary.into_iter().map(|(name, _)| name.to_owned()).collect() }
}

/// Whether the interface may be a control plane's, whatever its description says, which callers may write: it is attached
/// to an instance of another account, and not by a service that manages it for us.
pub fn may_be_control_plane(interface: &Interface) -> bool {
    is_foreign(interface) && !interface.requester_managed
}

/// The clusters that EKS made these groups for, as many as are asked for where a control plane does not say whose it is.
pub fn clusters_of(cluster_groups: &[GroupFacts]) -> Named {
    let names = cluster_groups.iter().filter_map(|group| group.tags.get(AWS_CLUSTER_TAG));
    let names = names.filter(|name| is_cluster_name(name)).take(MAX_OF_VPC);
    names.map(|name| (name.clone(), BTreeSet::new())).collect()
}

fn is_foreign(interface: &Interface) -> bool {
    interface.instance_owner.as_ref().is_some_and(|owner| *owner != interface.owner)
}

impl Names {
    /// Whether more is named in ordinary tags than may be asked for.
    pub fn is_crowded(&self) -> bool {
        self.ordinary.len() > MAX_BY_ORDINARY_TAGS
    }

    /// Lets those go first that are clusters of the VPC, by the groups that EKS made for them there, and of these the ones
    /// whose group the `neighbours` are: whoever writes decoys into tags can't make them clusters.
    pub fn prefer(&mut self, cluster_groups: &[GroupFacts], neighbours: &BTreeSet<String>) {
        let standing = |name: &String| {
            let mut own = cluster_groups.iter().filter(|group| group.tags.get(AWS_CLUSTER_TAG) == Some(name));
            let is_here = own.clone().next().is_some();
            Reverse((own.any(|group| neighbours.contains(&group.id)), is_here))
        };
        self.ordinary.sort_by_cached_key(standing);
    }

    /// The clusters to ask EKS for: all that AWS names, and a few of the others.
    pub fn to_ask(&self) -> impl Iterator<Item = &String> {
        self.by_aws.iter().chain(self.ordinary.iter().take(MAX_BY_ORDINARY_TAGS))
    }
}

/// The node groups of these clusters that EKS has to be asked for, because nothing else says what a group is to them: the
/// one that a group for remote access was made for, and those whose instances AWS did not tag with their cluster.
pub fn node_groups(groups: &[GroupFacts], instances: &[Instance], clusters: &BTreeSet<String>) -> Named {
    let remote: Vec<&GroupFacts> = groups.iter().filter(|group| group.name.starts_with(REMOTE_ACCESS_GROUP)).collect();
    let is_of_remote = |instance: &Instance| remote.iter().any(|group| instance.groups.contains(&group.id));
    let is_asked = |instance: &&Instance| !instance.tags.contains_key(AWS_CLUSTER_TAG) || is_of_remote(instance);
    let tags = remote.iter().map(|group| &group.tags).chain(instances.iter().filter(is_asked).map(|i| &i.tags));
    let mut named = Named::new();
    for tags in tags {
        let of = || clusters_in_tags(tags).chain(tags.get(AWS_CLUSTER_TAG).map(String::as_str));
        for cluster in of().filter(|name| clusters.contains(*name)) {
            let known = named.entry(cluster.to_owned()).or_default();
            // What callers may write is asked for besides, and not instead of, what Auto Scaling says.
            known.extend(of_scaling_group(tags).map(str::to_owned));
            let tagged = NODE_GROUP_TAGS.iter().find_map(|key| tags.get(*key)).filter(|name| is_cluster_name(name));
            if known.len() < MAX_BY_ORDINARY_TAGS {
                known.extend(tagged.cloned());
            }
        }
    }
    named.retain(|_, node_groups| !node_groups.is_empty());
    named
}

/// The node group whose Auto Scaling group the instance is of, by the name that EKS gives these.
fn of_scaling_group(tags: &Tags) -> Option<&str> {
    let name = tags.get(AWS_SCALING_TAG)?.strip_prefix(SCALING_GROUP_PREFIX)?;
    let name = name.rsplitn(SCALING_GROUP_ID_PARTS + 1, '-').nth(SCALING_GROUP_ID_PARTS)?;
    Some(name).filter(|name| is_cluster_name(name))
}

/// Whether a cluster or node group can have this name: another one in a path of EKS's API is an error, or another question.
fn is_cluster_name(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    starts && name.len() <= MAX_NAME_LEN && name.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn group(id: &str, pairs: &[(&str, &str)]) -> GroupFacts {
        GroupFacts { id: id.into(), tags: tags(pairs), ..GroupFacts::default() }
    }

    fn instance(pairs: &[(&str, &str)]) -> Instance {
        Instance { tags: tags(pairs), ..Instance::default() }
    }

    fn asked(names: &Names) -> String {
        names.to_ask().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_come_from_tags_of_aws_interfaces_of_eks_and_ordinary_tags() {
        let managed = instance(&[("aws:eks:cluster-name", "a")]);
        let tagged = instance(&[("kubernetes.io/cluster/b", "owned")]);
        let control_plane = |description: &str, owner: Option<&str>| Interface {
            description: description.into(),
            owner: "111122223333".into(),
            instance_owner: owner.map(str::to_owned),
            ..Interface::default()
        };
        let interfaces = [
            control_plane("Amazon EKS c", Some("999999999999")),
            control_plane("Amazon EKS d", None),
            control_plane("Amazon EKS e", Some("111122223333")),
        ];
        let names = names([&group("sg-1", &[("kubernetes.io/cluster/f", "owned")])], &interfaces, &[managed, tagged]);
        assert_eq!(asked(&names), "a c b f");
    }

    #[test]
    fn what_more_groups_name_is_asked_for_first_and_what_an_attachment_names_before_that() {
        let of = |id: &str, cluster: &str| group(id, &[("eks:cluster-name", cluster)]);
        let groups = [of("sg-1", "a"), of("sg-2", "b"), of("sg-3", "b"), of("sg-4", "c")];
        let names = names(&groups, &[], &[instance(&[("eks:cluster-name", "c")])]);
        assert_eq!(asked(&names), "c b a");
        assert!(!names.is_crowded(), "all three are asked for");
    }

    /// A description is text that a caller may write; what an interface is attached to is not.
    #[test]
    fn a_control_plane_is_known_by_what_it_is_attached_to() {
        let interface = |owner: &str, managed: bool| Interface {
            owner: "111122223333".into(),
            instance_owner: Some(owner.into()),
            requester_managed: managed,
            description: "ELB app/k8s-shop/1".into(),
            ..Interface::default()
        };
        assert!(may_be_control_plane(&interface("999999999999", false)));
        assert!(!may_be_control_plane(&interface("111122223333", false)), "of an instance of ours");
        assert!(!may_be_control_plane(&interface("amazon-rds", true)), "a service manages it");
        let named = clusters_of(&[group("sg-1", &[("aws:eks:cluster-name", "prod")]), group("sg-2", &[])]);
        assert_eq!(named.into_keys().collect::<Vec<_>>(), ["prod"]);
    }

    #[test]
    fn what_cannot_be_a_cluster_is_not_asked_for() {
        let long = "x".repeat(101);
        for name in ["", "-a", "a/b", "a b", "ä", "../x", &long] {
            let key = format!("kubernetes.io/cluster/{name}");
            let names = names([&group("sg-1", &[(&key, "owned"), ("eks:cluster-name", name)])], &[], &[]);
            assert_eq!(asked(&names), "", "{name}");
        }
    }

    #[test]
    fn fifty_ordinary_tags_cost_three_descriptions_and_hide_no_cluster_of_the_vpc() {
        let keys: Vec<String> = (0..50).map(|n| format!("kubernetes.io/cluster/decoy-{n:02}")).collect();
        let decoys: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "owned")).collect();
        let mut all = decoys.clone();
        all.push(("kubernetes.io/cluster/prod", "owned"));
        let of_eks = |id: &str, name: &str| group(id, &[("aws:eks:cluster-name", name)]);
        let mut crowded = names([&group("sg-1", &decoys)], &[], &[instance(&all), instance(&decoys)]);
        assert!(crowded.is_crowded());
        assert!(!asked(&crowded).contains("prod"), "the decoys are named more often");
        crowded.prefer(&[of_eks("sg-7", "prod")], &BTreeSet::new());
        assert_eq!(asked(&crowded), "prod decoy-00 decoy-01");
        let others = [of_eks("sg-4", "decoy-40"), of_eks("sg-5", "decoy-41"), of_eks("sg-6", "decoy-42")];
        let here: Vec<GroupFacts> = others.into_iter().chain([of_eks("sg-7", "prod")]).collect();
        crowded.prefer(&here, &BTreeSet::from(["sg-7".to_owned()]));
        assert_eq!(asked(&crowded), "prod decoy-40 decoy-41");
    }

    #[test]
    fn a_node_group_is_asked_for_where_nothing_else_says_what_a_group_is() {
        let of_a = BTreeSet::from(["a".to_owned()]);
        let scaling = "eks-blue-workers-b2c41f2e-89ab-4cde-8f01-23456789abcd";
        let line = |groups: &[GroupFacts], instances: &[Instance]| {
            node_groups(groups, instances, &of_a).into_values().flatten().collect::<Vec<_>>().join(" ")
        };
        let by_aws = ("aws:eks:cluster-name", "a");
        let ordinary = ("kubernetes.io/cluster/a", "owned");
        assert_eq!(line(&[], &[instance(&[by_aws, ("eks:nodegroup-name", "ng")])]), "");
        assert_eq!(line(&[], &[instance(&[ordinary, ("eks:nodegroup-name", "ng")])]), "ng");
        let scaled = ("aws:autoscaling:groupName", scaling);
        assert_eq!(line(&[], &[instance(&[ordinary, scaled])]), "blue-workers");
        assert_eq!(line(&[], &[instance(&[ordinary, scaled, ("eks:nodegroup-name", "x")])]), "blue-workers x");
        let decoys = ["x0", "x1", "x2", "x3"].map(|name| instance(&[ordinary, ("eks:nodegroup-name", name)]));
        let all: Vec<Instance> = decoys.into_iter().chain([instance(&[ordinary, scaled])]).collect();
        assert_eq!(line(&[], &all), "blue-workers x0 x1 x2", "three by ordinary tags, and what AWS says besides");
        let remote = GroupFacts { name: "eks-remoteAccess-1".into(), ..group("sg-1", &[]) };
        let node = Instance { groups: vec!["sg-1".into()], ..instance(&[by_aws, ("eks:nodegroup-name", "ng")]) };
        assert_eq!(line(&[remote], &[node]), "ng");
        let remote = GroupFacts { name: "eks-remoteAccess-1".into(), ..group("sg-1", &[("eks", "ng"), ordinary]) };
        assert_eq!(line(&[remote], &[]), "ng");
    }
}
