use jiff::Timestamp;

use super::*;
use crate::cluster::register::Register;
use crate::model::facts::{Instance, Interface, Tags};
use crate::model::group::ConfiguredGroup;
use crate::model::member::{Member, Members};
use crate::model::rule::{Peer, Rule};

const GROUP: &str = "sg-0aa";

fn prod() -> Cluster {
    Cluster {
        name: "prod".into(),
        vpc: "vpc-1".into(),
        cluster_group: Some("sg-0cc".into()),
        control_plane_groups: vec!["sg-0ca".into()],
        node_groups: vec![crate::model::facts::NodeGroup {
            name: "ng".into(),
            remote_access_group: Some("sg-0ra".into()),
            auto_scaling_groups: vec!["eks-ng-asg".into()],
            template_groups: vec!["sg-0lt".into()],
        }],
        ..Cluster::default()
    }
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn instance(pairs: &[(&str, &str)]) -> Instance {
    Instance {
        id: "i-1".into(),
        vpc: "vpc-1".into(),
        groups: vec![GROUP.into()],
        tags: tags(pairs),
        ..Instance::default()
    }
}

fn balancer() -> Interface {
    Interface {
        vpc: "vpc-1".into(),
        owner: "111122223333".into(),
        groups: vec![GROUP.into()],
        description: "ELB app/k8s-web/1".into(),
        kind: "interface".into(),
        requester: Some("amazon-elb".into()),
        requester_managed: true,
        ..Interface::default()
    }
}

fn control_plane() -> Interface {
    Interface {
        vpc: "vpc-1".into(),
        owner: "111122223333".into(),
        groups: vec![GROUP.into()],
        description: "Amazon EKS prod".into(),
        instance_owner: Some("999988887777".into()),
        ..Interface::default()
    }
}

/// One line per role: `role evidence strong|weak`.
#[derive(Default)]
struct World {
    id: Option<&'static str>,
    name: Option<&'static str>,
    owner: Option<&'static str>,
    tags: Tags,
    rules: Vec<Rule>,
    interfaces: Vec<Interface>,
    instances: Vec<Instance>,
    clusters: Option<Vec<Cluster>>,
    configured: Vec<ConfiguredGroup>,
    let_in_by: Vec<&'static str>,
    proven: Vec<(&'static str, &'static str)>,
    /// There are more interfaces than were read.
    is_cut: bool,
    /// What the state says.
    recalled: Members,
}

impl World {
    fn roles(self) -> Vec<String> {
        self.read().0
    }

    fn clusters(self) -> Vec<String> {
        self.read().1
    }

    fn read(self) -> (Vec<String>, Vec<String>) {
        let found = self.membership();
        let line = |known: RoleEvidence| {
            let evidence = serde_json::to_value(known.evidence).unwrap();
            let strength = if known.strong { "strong" } else { "weak" };
            format!("{} {} {strength}", known.role.word(), evidence.as_str().unwrap())
        };
        (found.roles.into_iter().map(line).collect(), found.clusters.into_iter().collect())
    }

    fn membership(self) -> Membership {
        let group = GroupFacts {
            id: self.id.unwrap_or(GROUP).into(),
            name: self.name.unwrap_or_default().into(),
            vpc: "vpc-1".into(),
            owner: self.owner.unwrap_or("111122223333").into(),
            tags: self.tags,
        };
        let is_attached = |groups: &[String]| groups.contains(&group.id);
        let clusters = self.clusters.unwrap_or_else(|| vec![prod()]);
        membership(Facts {
            recalled: &self.recalled,
            now: Timestamp::UNIX_EPOCH,
            account: "111122223333",
            clusters: &Register::of(&clusters),
            configured: &self.configured,
            group: &group,
            rules: &self.rules.iter().collect::<Vec<_>>(),
            let_in_by: &self.let_in_by.into_iter().map(str::to_owned).collect(),
            proven: &self.proven.iter().map(|(name, group)| (*group, [*name].into())).collect(),
            interfaces: &self.interfaces.iter().filter(|interface| is_attached(&interface.groups)).collect::<Vec<_>>(),
            is_complete: !self.is_cut,
            instances: &self.instances.iter().filter(|instance| is_attached(&instance.groups)).collect::<Vec<_>>(),
        })
    }
}

#[test]
fn what_eks_describes_is_strong() {
    for (id, expected) in [
        ("sg-0cc", "cluster describe-cluster strong"),
        ("sg-0ca", "control-plane describe-cluster strong"),
        ("sg-0ra", "remote-access describe-nodegroup strong"),
        ("sg-0lt", "node launch-template strong"),
    ] {
        assert_eq!(World { id: Some(id), ..World::default() }.roles(), [expected], "{id}");
    }
}

#[test]
fn a_group_that_nothing_ties_to_a_cluster_has_no_role() {
    let world = World { instances: vec![instance(&[("Name", "bastion")])], ..World::default() };
    assert_eq!(world.roles(), Vec::<String>::new());
}

#[test]
fn instances_that_aws_marks_are_nodes() {
    for pairs in [[("aws:eks:cluster-name", "prod")], [("aws:autoscaling:groupName", "eks-ng-asg")]] {
        let world = World { instances: vec![instance(&pairs)], ..World::default() };
        assert_eq!(world.roles(), ["node attachment strong"], "{pairs:?}");
    }
}

#[test]
fn an_instance_tagged_as_a_node_by_hand_is_weak() {
    let by_hand = || instance(&[("kubernetes.io/cluster/prod", "owned")]);
    assert_eq!(World { instances: vec![by_hand()], ..World::default() }.roles(), ["node attachment weak"]);

    let scaled = instance(&[("kubernetes.io/cluster/prod", "owned"), ("aws:autoscaling:groupName", "bastions")]);
    let world = World { instances: vec![scaled], ..World::default() };
    assert_eq!(world.roles(), ["node attachment weak"], "its Auto Scaling group is no node group's");

    let mut elsewhere = by_hand();
    elsewhere.vpc = "vpc-2".into();
    let rules = vec![rule_from("sg-0cc")];
    assert_eq!(World { instances: vec![elsewhere], rules, ..World::default() }.roles(), ["node attachment weak"]);
}

#[test]
fn a_node_by_ordinary_tags_is_strong_when_it_shares_a_rule_or_an_interface_with_the_cluster() {
    let node = || vec![instance(&[("kubernetes.io/cluster/prod", "owned")])];
    let world = World { instances: node(), rules: vec![rule_from("sg-0cc")], ..World::default() };
    assert_eq!(world.roles(), ["node attachment strong"]);

    let shared = Interface { vpc: "vpc-1".into(), groups: vec![GROUP.into(), "sg-0cc".into()], ..Interface::default() };
    let world = World { instances: node(), interfaces: vec![shared], ..World::default() };
    assert_eq!(world.roles(), ["node attachment strong"]);
}

#[test]
fn an_ordinary_tag_on_the_group_alone_is_weak_and_only_for_clusters_that_exist() {
    let tagged = |name| World { tags: tags(&[(name, "owned")]), ..World::default() }.roles();
    assert_eq!(tagged("kubernetes.io/cluster/prod"), ["node tag weak"]);
    assert_eq!(tagged("kubernetes.io/cluster/prod-2"), Vec::<String>::new());
    assert_eq!(tagged("kubernetes.io/cluster/"), Vec::<String>::new());
}

#[test]
fn a_load_balancer_is_known_by_its_interface_and_never_by_a_tag_or_a_name() {
    let cluster_tag = || tags(&[("kubernetes.io/cluster/prod", "owned")]);
    let on_balancer = World { tags: cluster_tag(), interfaces: vec![balancer()], ..World::default() };
    assert_eq!(on_balancer.roles(), ["load-balancer attachment strong"]);

    for (what, requester, requester_managed) in [
        ("nobody's", None, false),
        ("another service's", Some("amazon-rds"), true),
        ("not managed by who asked for it", Some("amazon-elb"), false),
    ] {
        let pretender = Interface { requester: requester.map(str::to_owned), requester_managed, ..balancer() };
        let world = World { tags: cluster_tag(), interfaces: vec![pretender], ..World::default() };
        assert_eq!(world.roles(), ["node tag weak"], "{what}");
    }

    let network = Interface { requester: None, kind: "network_load_balancer".into(), ..balancer() };
    let world = World { tags: cluster_tag(), interfaces: vec![network], ..World::default() };
    assert_eq!(world.roles(), ["load-balancer attachment strong"]);

    let somebody_elses = World { interfaces: vec![balancer()], ..World::default() };
    assert_eq!(somebody_elses.roles(), Vec::<String>::new());
}

#[test]
fn a_group_that_is_attached_to_a_node_and_a_load_balancer_has_both_roles() {
    let world = World {
        interfaces: vec![balancer()],
        instances: vec![instance(&[("aws:eks:cluster-name", "prod")])],
        ..World::default()
    };
    assert_eq!(world.roles(), ["node attachment strong", "load-balancer attachment strong"]);
}

#[test]
fn control_plane_interfaces_are_attached_to_instances_of_another_account() {
    let own = Interface { instance_owner: Some("111122223333".into()), ..control_plane() };
    let world = World { interfaces: vec![control_plane()], ..World::default() };
    assert_eq!(world.roles(), ["control-plane attachment strong"]);
    assert_eq!(World { interfaces: vec![own], ..World::default() }.roles(), Vec::<String>::new());
}

#[test]
fn the_aws_tag_counts_while_the_cluster_is_created_and_is_a_leftover_afterwards() {
    let tag = || tags(&[("aws:eks:cluster-name", "prod")]);
    let creating = Cluster { cluster_group: None, ..prod() };
    let world = World { tags: tag(), clusters: Some(vec![creating]), ..World::default() };
    assert_eq!(world.roles(), ["cluster aws-tag strong"]);
    assert_eq!(World { tags: tag(), ..World::default() }.roles(), ["cluster aws-tag weak"]);
}

#[test]
fn a_group_of_another_account_is_never_strong() {
    let world = World { id: Some("sg-0lt"), owner: Some("999988887777"), ..World::default() };
    assert_eq!(world.roles(), ["node launch-template weak"]);
}

#[test]
fn a_configured_group_is_strong_even_for_a_cluster_that_eks_does_not_list() {
    let entry = ConfiguredGroup { id: GROUP.into(), cluster: "edge".into(), role: Role::Node, mode: None };
    assert_eq!(World { configured: vec![entry], ..World::default() }.roles(), ["node configured strong"]);
}

fn rule_from(group: &str) -> Rule {
    Rule {
        id: "sgr-1".into(),
        direction: crate::model::rule::Direction::Ingress,
        packets: crate::model::rule::Packets::Tcp(443, 443),
        peer: Peer::Group { id: group.into(), owner: None },
        description: None,
        tags: Tags::new(),
    }
}

#[test]
fn a_bastion_that_may_reach_the_api_is_no_node_even_when_its_instance_is_tagged_by_hand() {
    let out = Rule { direction: crate::model::rule::Direction::Egress, ..rule_from("sg-0cc") };
    for tag in [("kubernetes.io/cluster/prod", "owned"), ("eks:cluster-name", "prod")] {
        let world = World { instances: vec![instance(&[tag])], rules: vec![out.clone()], ..World::default() };
        assert_eq!(world.roles(), ["node attachment weak"], "{tag:?}");
    }
    let named = instance(&[("eks:cluster-name", "prod")]);
    let world = World { instances: vec![named], rules: vec![rule_from("sg-0cc")], ..World::default() };
    assert_eq!(world.roles(), ["node attachment weak"]);
}

#[test]
fn an_ordinary_tag_does_not_add_a_second_cluster_to_a_group_that_is_known_for_sure() {
    let dev = || Cluster { name: "dev".into(), cluster_group: Some("sg-0dd".into()), ..prod() };
    let node = || instance(&[("aws:eks:cluster-name", "prod"), ("kubernetes.io/cluster/dev", "owned")]);
    let world = World { instances: vec![node()], clusters: Some(vec![dev(), prod()]), ..World::default() };
    assert_eq!(world.clusters(), ["prod"]);

    let world = World {
        instances: vec![node()],
        interfaces: vec![balancer()],
        tags: tags(&[("kubernetes.io/cluster/dev", "owned")]),
        clusters: Some(vec![dev(), prod()]),
        ..World::default()
    };
    assert_eq!(world.clusters(), ["prod"]);
}

#[test]
fn the_internal_group_of_a_local_cluster_is_only_reported_on_and_nothing_else_hides_behind_its_name() {
    const INTERNAL: &str = "eks-local-internal-do-not-use-or-edit-prod-a1b2c3";
    for (what, name, is_local, vpc, expected) in [
        ("EKS's own", INTERNAL, true, "vpc-1", "node attachment weak"),
        ("a name like it, where there is no local cluster", INTERNAL, false, "vpc-1", "node attachment strong"),
        ("a name like it, in another VPC", INTERNAL, true, "vpc-2", "node attachment strong"),
        (
            "of another cluster",
            "eks-local-internal-do-not-use-or-edit-dev-a1b2c3",
            true,
            "vpc-1",
            "node attachment strong",
        ),
        ("an ordinary one", "prod-node", true, "vpc-1", "node attachment strong"),
    ] {
        let world = World {
            name: Some(name),
            instances: vec![instance(&[("aws:eks:cluster-name", "prod")])],
            clusters: Some(vec![Cluster { is_local, vpc: vpc.into(), ..prod() }]),
            ..World::default()
        };
        assert_eq!(world.roles(), [expected], "{what}");
    }
}

#[test]
fn a_pod_group_is_known_by_its_branch_interfaces() {
    let branch = Interface {
        vpc: "vpc-1".into(),
        groups: vec![GROUP.into()],
        kind: "branch".into(),
        tags: tags(&[("kubernetes.io/cluster/prod", "owned")]),
        ..Interface::default()
    };
    let world = World { interfaces: vec![branch.clone()], rules: vec![rule_from("sg-0cc")], ..World::default() };
    assert_eq!(world.roles(), ["pod attachment strong"]);
    assert_eq!(World { interfaces: vec![branch.clone()], ..World::default() }.roles(), ["pod attachment weak"]);
    let plain = Interface { kind: "interface".into(), ..branch.clone() };
    let world = World { interfaces: vec![plain], rules: vec![rule_from("sg-0cc")], ..World::default() };
    assert_eq!(world.roles(), Vec::<String>::new(), "no pod has an interface of another kind");
    let nodes = crate::model::facts::NodeGroup {
        template_groups: vec!["sg-0ee".into()],
        ..crate::model::facts::NodeGroup::default()
    };
    let prod = Cluster { node_groups: vec![nodes], ..prod() };
    let lets_nodes_in = vec![rule_from("sg-0ee")];
    let world =
        World { interfaces: vec![branch], rules: lets_nodes_in, clusters: Some(vec![prod]), ..World::default() };
    assert_eq!(world.roles(), ["pod attachment strong"], "the nodes have a group of their own");
}

#[test]
fn the_clusters_of_the_best_rank_alone_count() {
    let dev = Cluster { name: "dev-1".into(), cluster_group: Some("sg-0dd".into()), node_groups: vec![], ..prod() };
    let clusters = || Some(vec![prod(), dev.clone()]);
    let by_hand = instance(&[("kubernetes.io/cluster/dev-1", "owned")]);
    let by_aws = instance(&[("aws:eks:cluster-name", "prod"), ("kubernetes.io/cluster/dev-1", "owned")]);
    let from_dev = || vec![rule_from("sg-0dd")];
    for (what, instances, rules, expected, rank) in [
        ("proven for one, tagged for another that it lets in", vec![by_aws], from_dev(), "prod", Rank::Proven),
        ("corroborated for one alone", vec![by_hand.clone()], from_dev(), "dev-1", Rank::Corroborated),
        ("claimed for one alone", vec![by_hand], vec![], "dev-1", Rank::Claimed),
    ] {
        let found = World { instances, rules, clusters: clusters(), ..World::default() }.membership();
        assert_eq!(found.clusters.into_iter().collect::<Vec<_>>(), [expected], "{what}");
        assert_eq!(found.rank, rank, "{what}");
    }
}

#[test]
fn a_load_balancers_group_on_a_plain_host_too_makes_nothing_immune() {
    let of_host = Interface {
        vpc: "vpc-1".into(),
        groups: vec![GROUP.into()],
        kind: "interface".into(),
        instance: Some("i-1".into()),
        ..Interface::default()
    };
    let tagged = || tags(&[("kubernetes.io/cluster/prod", "owned")]);
    for (what, host, expected) in [
        ("a plain host", instance(&[("Name", "bastion")]), "node tag weak"),
        ("a node", instance(&[("aws:eks:cluster-name", "prod")]), "load-balancer attachment strong"),
    ] {
        let interfaces = vec![balancer(), of_host.clone()];
        let world = World { tags: tagged(), interfaces, instances: vec![host], ..World::default() };
        assert!(world.roles().contains(&expected.to_owned()), "{what}");
    }
    assert_eq!(
        World { tags: tagged(), interfaces: vec![balancer()], ..World::default() }.roles(),
        ["load-balancer attachment strong"]
    );
    let described = Interface { kind: "network_load_balancer".into(), ..control_plane() };
    for (what, interfaces, is_immune) in [
        ("the control plane", vec![balancer(), control_plane()], true),
        ("a host, and a load balancer described as the control plane", vec![described, of_host], false),
    ] {
        let roles = World { tags: tagged(), interfaces, ..World::default() }.roles();
        assert_eq!(roles.contains(&"load-balancer attachment strong".to_owned()), is_immune, "{what} {roles:?}");
    }
}

#[test]
fn a_load_balancers_claim_by_tag_adds_no_cluster_to_corroborated_nodes() {
    let other = Cluster { name: "a-other".into(), cluster_group: Some("sg-0dd".into()), node_groups: vec![], ..prod() };
    let world = World {
        tags: tags(&[("kubernetes.io/cluster/a-other", "owned")]),
        interfaces: vec![balancer()],
        instances: vec![instance(&[("kubernetes.io/cluster/prod", "owned")])],
        rules: vec![rule_from("sg-0cc")],
        clusters: Some(vec![other, prod()]),
        ..World::default()
    };
    assert_eq!(world.clusters(), ["prod"]);
}

#[test]
fn a_leftover_of_a_deleted_cluster_adds_none_to_a_load_balancers() {
    let elsewhere = Cluster { name: "old".into(), vpc: "vpc-2".into(), node_groups: vec![], ..prod() };
    let world = World {
        tags: tags(&[("aws:eks:cluster-name", "old"), ("kubernetes.io/cluster/prod", "owned")]),
        interfaces: vec![balancer()],
        clusters: Some(vec![elsewhere, prod()]),
        ..World::default()
    };
    assert_eq!(world.clusters(), ["prod"]);
}

#[test]
fn what_a_group_was_a_moment_ago_counts_on_while_the_cluster_and_an_attachment_are_the_same() {
    let hour = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
    let member = |at: i64, created: Option<i64>, attachment: &str| Member {
        created_at: created.map(hour),
        node_groups: std::collections::BTreeSet::new(),
        is_whole: false,
        roles: [Role::Node].into(),
        attachments: [attachment.to_owned()].into(),
        is_proven: false,
        since: hour(at),
        at: hour(at),
    };
    for (what, member, bare, expected) in [
        ("an hour ago", member(-1, None, "i-1"), true, "node state strong"),
        ("a day ago", member(-25, None, "i-1"), true, ""),
        ("another cluster of that name", member(-1, Some(-5), "i-1"), true, ""),
        ("attached elsewhere now", member(-1, None, "i-2"), true, ""),
        ("still tagged, and let in by nobody", member(-1, None, "i-1"), false, "node state strong"),
    ] {
        let tags: &[(&str, &str)] = if bare { &[] } else { &[("kubernetes.io/cluster/prod", "owned")] };
        let recalled = [("prod".to_owned(), member)].into();
        let world = World { instances: vec![instance(tags)], recalled, ..World::default() };
        assert_eq!(world.roles().join(", "), expected, "{what}");
    }
    let recalled = [("prod".to_owned(), member(-1, None, "eni-1"))].into();
    let interfaces = vec![Interface { id: "eni-1".into(), ..balancer() }];
    let world = World { interfaces, recalled, ..World::default() };
    assert_eq!(world.roles(), ["node state strong"], "it makes no load balancer's group of it");
}

/// What one cluster's nodes are is another one's host: the group is not the load balancer's own in either.
#[test]
fn a_load_balancers_group_on_nodes_of_two_clusters_is_immune_in_neither() {
    let dev = Cluster { name: "dev".into(), node_groups: vec![], cluster_group: None, ..prod() };
    let on = |id: &str, cluster: &str| {
        let interface = Interface {
            id: format!("eni-{id}"),
            vpc: "vpc-1".into(),
            groups: vec![GROUP.into()],
            instance: Some(id.into()),
            ..Interface::default()
        };
        (Instance { id: id.into(), ..instance(&[("aws:eks:cluster-name", cluster)]) }, interface)
    };
    for (nodes, is_immune) in [
        (vec![on("i-1", "prod"), on("i-2", "prod")], true),
        (vec![on("i-1", "prod"), on("i-2", "dev")], false),
        (vec![on("i-1", "prod"), on("i-2", "gone")], false),
    ] {
        let what = nodes.iter().map(|(node, _)| node.tags.clone()).collect::<Vec<_>>();
        let (instances, interfaces): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
        let interfaces = interfaces.into_iter().chain([balancer()]).collect();
        let world = World { interfaces, instances, clusters: Some(vec![dev.clone(), prod()]), ..World::default() };
        let roles = world.roles();
        assert_eq!(roles.contains(&"load-balancer attachment strong".to_owned()), is_immune, "{what:?} {roles:?}");
    }
}
