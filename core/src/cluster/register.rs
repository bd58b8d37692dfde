//! The clusters of a location, and by what each of them may be found: its name in tags and descriptions, its Auto Scaling
//! groups, the security groups that EKS names for it. So nobody has to ask every cluster about every attachment.
//!
//! What is found is asked then, and proves nothing by being found; a decoy finds one cluster more and hides none. Must not:
//! say what a group is (membership does).

use std::collections::{BTreeSet, HashMap};

use crate::cluster::marks::{AWS_CLUSTER_TAG, AWS_SCALING_TAG, EKS_INTERFACE, INTERNAL_GROUP, clusters_in_tags};
use crate::model::facts::{Cluster, GroupFacts, Instance, Interface, NodeGroup, Tags};

/// Positions of clusters in the register, ascending, each once.
pub type Positions = Vec<usize>;

/// The clusters, with what leads to each.
#[derive(Debug, Default)]
pub struct Register<'a> {
    clusters: &'a [Cluster],
    by_name: HashMap<&'a str, Vec<usize>>,
    by_scaling_group: HashMap<&'a str, Vec<usize>>,
    by_group: HashMap<&'a str, BTreeSet<usize>>,
    by_vpc: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Register<'a> {
    /// Of these clusters.
    pub fn of(clusters: &'a [Cluster]) -> Self {
        let mut register = Self { clusters, ..Self::default() };
        for (at, cluster) in clusters.iter().enumerate() {
            register.by_name.entry(&cluster.name).or_default().push(at);
            register.by_vpc.entry(&cluster.vpc).or_default().push(at);
            for scaling in cluster.node_groups.iter().flat_map(|nodes| &nodes.auto_scaling_groups) {
                register.by_scaling_group.entry(scaling).or_default().push(at);
            }
            let remote = cluster.node_groups.iter().filter_map(|nodes| nodes.remote_access_group.as_ref());
            for group in own_groups(cluster).chain(remote) {
                register.by_group.entry(group).or_default().insert(at);
            }
        }
        register
    }

    /// Those of a VPC, with their positions.
    pub fn in_vpc(&self, vpc: &str) -> impl Iterator<Item = (usize, &'a Cluster)> {
        let found = self.by_vpc.get(vpc).into_iter().flatten();
        found.filter_map(|at| Some((*at, self.clusters.get(*at)?)))
    }

    /// The cluster at a position.
    pub fn at(&self, position: usize) -> Option<&'a Cluster> {
        self.clusters.get(position)
    }

    /// Those with these names.
    pub fn named<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> impl Iterator<Item = &'a Cluster> {
        let found = each_once(names.into_iter().flat_map(|name| self.by_name(name)));
        found.into_iter().filter_map(|at| self.clusters.get(at))
    }

    /// Those that ordinary tags name.
    pub fn tagged(&self, tags: &Tags) -> Positions {
        each_once(self.in_tags(tags))
    }

    /// Those that a group may be of by what is said of itself.
    pub fn of_group(&self, group: &GroupFacts) -> Positions {
        let by_aws = group.tags.get(AWS_CLUSTER_TAG).into_iter().flat_map(|name| self.by_name(name));
        let by_eks = self.by_group.get(group.id.as_str()).into_iter().flatten().copied();
        each_once(by_eks.chain(by_aws).chain(self.in_tags(&group.tags)))
    }

    /// Those of whose instances it may be.
    pub fn of_instance(&self, instance: &Instance) -> Positions {
        let by_aws = instance.tags.get(AWS_CLUSTER_TAG).into_iter().flat_map(|name| self.by_name(name));
        let scaling = instance.tags.get(AWS_SCALING_TAG).and_then(|name| self.by_scaling_group.get(name.as_str()));
        each_once(by_aws.chain(scaling.into_iter().flatten().copied()).chain(self.in_tags(&instance.tags)))
    }

    /// Those of whose interfaces it may be.
    pub fn of_interface(&self, interface: &Interface) -> Positions {
        let described = interface.description.strip_prefix(EKS_INTERFACE);
        let described = described.into_iter().flat_map(|name| self.by_name(name));
        each_once(described.chain(self.in_tags(&interface.tags)))
    }

    /// Those to whose group of its own among the control-plane instances it may be by its name, in which that of the cluster
    /// ends before some `-`.
    pub fn of_internal_name(&self, group: &GroupFacts) -> Positions {
        let rest = group.name.strip_prefix(INTERNAL_GROUP).unwrap_or_default();
        let names = rest.match_indices('-').filter_map(|(end, _)| rest.get(..end));
        each_once(names.flat_map(|name| self.by_name(name)))
    }

    /// Those for whose control plane or nodes EKS names this group.
    pub fn owners(&self, group: &str) -> impl Iterator<Item = &'a Cluster> {
        let found = self.by_group.get(group).into_iter().flatten().filter_map(|at| self.clusters.get(*at));
        found.filter(move |cluster| own_groups(cluster).any(|own| own == group))
    }

    fn in_tags(&self, tags: &Tags) -> impl Iterator<Item = usize> {
        clusters_in_tags(tags).flat_map(|name| self.by_name(name))
    }

    pub(super) fn by_name(&self, name: &str) -> impl Iterator<Item = usize> + use<'_, 'a> {
        self.by_name.get(name).into_iter().flatten().copied()
    }
}

fn each_once(found: impl Iterator<Item = usize>) -> Positions {
    let mut found: Positions = found.collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The groups that EKS names for a cluster's control plane and nodes. That for remote access lets people in, and connects
/// nothing with the cluster.
fn own_groups(cluster: &Cluster) -> impl Iterator<Item = &String> {
    let of_nodes = cluster.node_groups.iter().flat_map(|nodes: &NodeGroup| &nodes.template_groups);
    cluster.cluster_group.iter().chain(&cluster.control_plane_groups).chain(of_nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// `prod` and `prod-2`, and as many others in the same VPC.
    fn clusters() -> Vec<Cluster> {
        let nodes = NodeGroup {
            remote_access_group: Some("sg-remote".into()),
            auto_scaling_groups: vec!["eks-asg".into()],
            template_groups: vec!["sg-template".into()],
            ..NodeGroup::default()
        };
        let named = |name: String| Cluster { name, vpc: "vpc-1".into(), ..Cluster::default() };
        let prod = Cluster {
            cluster_group: Some("sg-cluster".into()),
            control_plane_groups: vec!["sg-plane".into()],
            node_groups: vec![nodes],
            ..named("prod".into())
        };
        [prod, named("prod-2".into())].into_iter().chain((0..50).map(|n| named(format!("other-{n}")))).collect()
    }

    /// What is not found is not asked, so nothing that may make a group a cluster's may be left out here.
    #[test]
    fn a_cluster_is_found_by_each_thing_that_may_show_it() {
        let clusters = clusters();
        let register = Register::of(&clusters);
        let group = |id: &str, tags| GroupFacts { id: id.into(), tags, ..GroupFacts::default() };
        for id in ["sg-cluster", "sg-plane", "sg-remote", "sg-template"] {
            assert_eq!(register.of_group(&group(id, Tags::new())), [0], "{id}");
        }
        for (key, value) in [
            ("aws:eks:cluster-name", "prod"),
            ("kubernetes.io/cluster/prod", "owned"),
            ("eks:cluster-name", "prod"),
            ("eks:eks-cluster-name", "prod"),
            ("elbv2.k8s.aws/cluster", "prod"),
            ("cluster.k8s.amazonaws.com/name", "prod"),
            ("karpenter.sh/discovery", "prod"),
        ] {
            let tags = tags(&[(key, value)]);
            assert_eq!(register.of_group(&group("sg-1", tags.clone())), [0], "{key}");
            assert_eq!(register.of_instance(&Instance { tags: tags.clone(), ..Instance::default() }), [0], "{key}");
            let of_aws_alone = key == AWS_CLUSTER_TAG;
            let found = register.of_interface(&Interface { tags, ..Interface::default() });
            assert_eq!(found.is_empty(), of_aws_alone, "{key}: AWS does not tag interfaces so");
        }
        let scaled = tags(&[("aws:autoscaling:groupName", "eks-asg")]);
        assert_eq!(register.of_instance(&Instance { tags: scaled, ..Instance::default() }), [0]);
        let plane = Interface { description: "Amazon EKS prod-2".into(), ..Interface::default() };
        assert_eq!(register.of_interface(&plane), [1]);
        let internal = |name: &str| {
            let name = format!("{INTERNAL_GROUP}{name}");
            register.of_internal_name(&GroupFacts { name, ..GroupFacts::default() })
        };
        assert_eq!(internal("prod-0a1"), [0]);
        assert_eq!(internal("prod-2-0a1"), [0, 1], "both may be meant");
        assert_eq!(internal("prod"), Vec::<usize>::new(), "no id follows");
        let owners = |id: &str| register.owners(id).map(|cluster| cluster.name.as_str()).collect::<Vec<_>>();
        assert_eq!(["sg-cluster", "sg-plane", "sg-template"].map(owners), [["prod"], ["prod"], ["prod"]]);
        assert_eq!(owners("sg-remote"), Vec::<&str>::new(), "who lets people in connects nothing");
    }

    #[test]
    fn decoys_find_more_clusters_and_hide_none() {
        let clusters = clusters();
        let register = Register::of(&clusters);
        let decoys: Vec<String> = (0..50).map(|n| format!("kubernetes.io/cluster/other-{n}")).collect();
        let decoys = decoys.iter().map(|key| (key.as_str(), "owned"));
        let all: Vec<(&str, &str)> = decoys.chain([("kubernetes.io/cluster/prod", "owned")]).collect();
        let found = register.of_instance(&Instance { tags: tags(&all), ..Instance::default() });
        assert_eq!((found.len(), found.first()), (51, Some(&0)));
        let of_none = Instance { tags: tags(&[("eks:cluster-name", "x")]), ..Instance::default() };
        assert!(register.of_instance(&of_none).is_empty());
    }
}
