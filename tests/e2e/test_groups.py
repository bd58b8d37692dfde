"""Whose rules may be touched: roles and the evidence for them, on live interfaces, instances and clusters."""

import pytest

from checks import clauses, closes, findings, leaves
from events import rule_ids
from looks import FORGETS_AND_REMEMBERS
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
pytestmark = FORGETS_AND_REMEMBERS

TAG = {"kubernetes.io/cluster/prod": "owned"}


def test_the_cluster_groups_own_rules_are_untouched(world, somebody, guard):
    """All traffic from itself and from the nodes, DNS from pods, 8080-15021 from the load balancer."""
    leaves(guard(), somebody.authorizes(world.cluster_group, allow("tcp", 443, "10.0.0.0/8")))


def test_the_cluster_group_is_guarded_like_nodes(world, somebody, guard):
    event = somebody.authorizes(world.cluster_group, KUBELET, allow("tcp", 443, "10.0.0.0/8"))
    closes(guard(), event, rule_ids(event)[:1])


@pytest.mark.parametrize("network", [False, True], ids=["application", "network"])
def test_a_load_balancers_group_may_be_open_to_the_world(world, somebody, guard, network):
    group = world.group("k8s-elb-shop", TAG)
    world.load_balancer(group, network=network)
    answer = leaves(guard(), somebody.authorizes(group, allow("tcp", 443, WORLD)))
    assert not findings(answer)
    assert not world.notices()


def test_a_sensitive_port_on_a_load_balancer_is_reported_not_closed(world, somebody, guard):
    event = somebody.authorizes(world.ingress_group, KUBELET)
    answer = leaves(guard(), event)
    finding = findings(answer)[rule_ids(event)[0]]
    assert (finding["action"], finding["severity"]) == ("reported", "critical")
    assert clauses(finding) == {"load-balancer-sensitive"}


def test_a_nodes_group_that_looks_like_a_load_balancers_has_no_immunity(world, somebody, guard):
    group = world.group("k8s-elb-shop", {**TAG, "elbv2.k8s.aws/cluster": "prod"})
    world.instance(group, {"aws:eks:cluster-name": "prod", **TAG})
    event = somebody.authorizes(group, KUBELET, allow("tcp", 443, WORLD))
    closes(guard(), event, rule_ids(event)[:1])


def test_a_description_does_not_make_an_interface_a_load_balancers(world, somebody, guard):
    world.interface(world.node_group, "ELB app/k8s-shop/0123456789abcdef")
    event = somebody.authorizes(world.node_group, allow("tcp", 22, WORLD))
    closes(guard(), event, rule_ids(event))


def test_a_group_that_is_not_eks_is_none_of_our_business(world, somebody, guard):
    answer = leaves(guard(), somebody.authorizes(world.bastion_group, KUBELET))
    assert not answer.logged_records
    assert not world.notices()


def test_a_bastion_on_an_instance_tagged_by_hand_is_reported_at_most(world, somebody, guard):
    leaves(guard(), somebody.authorizes(world.team_group, KUBELET))


def test_a_bastion_on_an_instance_tagged_by_hand_in_the_clusters_vpc_is_reported_at_most(world, somebody, guard):
    world.instance(world.bastion_group, TAG)
    leaves(guard(), somebody.authorizes(world.bastion_group, KUBELET))


def test_a_group_that_only_carries_the_cluster_tag_is_reported_at_most(world, somebody, guard):
    group = world.group("orphan", TAG)
    answer = leaves(guard(), somebody.authorizes(group, KUBELET))
    assert not [role for record in answer.logged_records for role in record["group"]["roles"] if role["strong"]]


def test_self_managed_nodes_that_share_rules_with_the_cluster_are_guarded(world, somebody, guard):
    group = world.group("self-managed", TAG)
    world.instance(group, TAG)
    world.open(group, allow("-1", None, world.cluster_group), allow("-1", None, group))
    world.open(world.cluster_group, allow("-1", None, group))
    event = somebody.authorizes(group, KUBELET)
    closes(guard(), event, rule_ids(event))


def test_a_node_group_without_running_nodes_is_known_by_its_launch_template(world, somebody, guard, aws):
    aws.ec2.terminate_instances(InstanceIds=world.node_instances)
    event = somebody.authorizes(world.node_group, KUBELET)
    closes(guard(), event, rule_ids(event))


def test_the_one_node_among_many_instances_is_found_page_by_page(world, somebody, guard, aws):
    group = world.group("mixed")
    for _ in range(6):
        world.instance(group, {"Name": "plain"})
    world.instance(group, {"aws:eks:cluster-name": "prod"})
    aws.page_size = 5
    event = somebody.authorizes(group, KUBELET)
    answer = closes(guard(), event, rule_ids(event))
    assert {role["role"] for role in answer.logged_records[0]["group"]["roles"]} == {"node"}
