"""A forbidden rule, and what makes its group the cluster's, in both orders: before the guard's first look, after it, and one
on each side of it.

With a table a rule is new that the last look did not see, and one of a group that was nobody's at it; it goes however the
group comes to the cluster, at the call's event or, where no event tells of it, at the next sweep. Without a table only what
an event makes or names is new: an event that puts a group on something names all of its rules, and every other way to a role
leaves the rules that were there before it, told but open.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from moto.eks import eks_backends

from checks import actions, closes, findings, leaves
from emulator import ACCOUNT, REGION
from events import event, rule_ids
from looks import SWEEP
from test_triggers import puts_on
from world import EKS_ACCOUNT, ROLE, WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
TAG = {"kubernetes.io/cluster/prod": "owned"}


# --- the ways to a role: each gives the event that tells of it, or none ---------------------------------------------------


def of_eks(name, request):
    told = event(name, request, {})
    told["detail"]["eventSource"], told["source"] = "eks.amazonaws.com", "aws.eks"
    return told


def on_a_node(world, group):
    interface = world.interface_of(world.node_group)
    held = world.emulator.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]
    return puts_on(world, interface, *(each["GroupId"] for each in held["Groups"]), group)


def on_an_instance(world, group):
    ec2, node = world.emulator.ec2, world.node_instances[0]
    [held] = ec2.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"]
    groups = [*(each["GroupId"] for each in held["NetworkInterfaces"][0]["Groups"]), group]
    ec2.modify_instance_attribute(InstanceId=node, Groups=groups)
    listed = {"items": [{"groupId": each} for each in groups]}
    return event("ModifyInstanceAttribute", {"instanceId": node, "groupSet": listed}, {"_return": True})


def starts_a_node(world, group, cluster="prod"):
    world.instance(group, {"aws:eks:cluster-name": cluster})


def of_a_launch_template(world, group, cluster="prod"):
    name, ec2 = f"of-{group}", world.emulator.ec2
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"SecurityGroupIds": [group]})
    launch = {"id": made["LaunchTemplate"]["LaunchTemplateId"], "version": "1"}
    request = {"clusterName": cluster, "nodegroupName": name, "nodeRole": ROLE, "subnets": [world.subnet]}
    world.emulator.eks.create_nodegroup(**request, launchTemplate=launch)
    return of_eks("CreateNodegroup", request)


def of_the_control_plane(world, group, cluster="prod"):
    model = eks_backends[ACCOUNT][REGION].clusters[cluster]
    groups = [*model.resources_vpc_config.get("securityGroupIds", []), group]
    model.resources_vpc_config = model.resources_vpc_config | {"securityGroupIds": groups}
    return of_eks("UpdateClusterConfig", {"name": cluster, "resourcesVpcConfig": {"securityGroupIds": groups}})


def on_the_control_plane(world, group, cluster="prod"):
    world.interface(group, f"Amazon EKS {cluster}", owner=EKS_ACCOUNT, requester="AROAEKS:AmazonEKS")


def for_pods(world, group):
    world.open(group, allow("tcp", 8080, world.node_group))
    world.interface(group, "aws-k8s-branch-eni", kind="branch", tags=TAG)


def of_self_managed_nodes(world, group, cluster="prod"):
    """The tag of the group, which the event is about, is the least of it."""
    ec2, tags = world.emulator.ec2, {f"kubernetes.io/cluster/{cluster}": "owned"}
    world.instance(group, tags)
    settings = world.emulator.eks.describe_cluster(name=cluster)["cluster"]["resourcesVpcConfig"]
    world.open(group, allow("-1", None, settings["clusterSecurityGroupId"]))
    ec2.create_tags(Resources=[group], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    listed = {"items": [{"key": key, "value": value} for key, value in tags.items()]}
    return event("CreateTags", {"resourcesSet": {"items": [{"resourceId": group}]}, "tagSet": listed}, {"_return": True})


@dataclass(frozen=True)
class Way:
    """`names_rules`: the event is about the rules of the group, for who forgets."""

    come: Callable[..., Any]
    names_rules: bool = False


WAYS = {
    "put on the interface of a node": Way(on_a_node, names_rules=True),
    "put on the instance of a node": Way(on_an_instance, names_rules=True),
    "a node starts with it": Way(starts_a_node),
    "of the launch template of a new node group": Way(of_a_launch_template),
    "an additional group of the control plane": Way(of_the_control_plane),
    "on an interface of the control plane": Way(on_the_control_plane),
    "on an interface of pods": Way(for_pods),
    "of self-managed nodes": Way(of_self_managed_nodes),
}


@dataclass
class Prepared:
    """What the first look sees."""

    spare: str
    open_spare: str
    open_rules: list[str]  # of that
    known: str
    known_rules: list[str]  # of a group that is the cluster's already


def before_the_look(way, world):
    spare, open_spare, known = (world.group(name) for name in ("spare", "open-spare", "known"))
    way.come(world, known)
    return Prepared(spare, open_spare, world.open(open_spare, KUBELET), known, world.open(known, KUBELET))


BEFORE = {way: partial(before_the_look, way) for way in WAYS.values()}


# --- both orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("remembers", [True], ids=["remembers"], indirect=True)
@pytest.mark.parametrize(("way", "prepare"), BEFORE.items(), ids=WAYS, indirect=["prepare"])
def test_in_either_order_what_was_not_the_clusters_before_is_closed(world, prepared, somebody, guard, way):
    """Each order with a group of its own."""
    function = guard()

    def comes(group, gone, is_told=True):
        """The group comes to the cluster; what becomes of it when the guard hears of it, or sweeps."""
        told = way.come(world, group)
        return closes(function, told if told and is_told else SWEEP, gone)

    def opens(group, gone):
        happened = somebody.authorizes(group, KUBELET)
        closes(function, happened, rule_ids(happened) if gone else [])
        return rule_ids(happened)

    answer = comes(prepared.spare, [])
    assert actions(answer).get(prepared.known_rules[0], "would-revoke") == "would-revoke", "both before the first look"
    opens(prepared.spare, gone=True)

    comes(prepared.open_spare, prepared.open_rules)  # the rule before the look, the role after it

    later = world.group("later")  # both after it, and the rule first
    comes(later, opens(later, gone=False))

    later = world.group("swept")  # with a look between
    rules = opens(later, gone=False)
    leaves(function, SWEEP)
    comes(later, rules)

    lost = world.group("lost")  # nobody tells of either
    way.come(world, lost)
    rules = world.open(lost, KUBELET)
    answer = closes(function, SWEEP, rules)
    assert not findings(answer)[rules[0]]["known"]
    known = findings(answer)[prepared.known_rules[0]]
    assert (known["action"], known["known"]) == ("would-revoke", True)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_who_forgets_closes_what_its_event_makes_or_names(world, somebody, guard, way):
    function = guard()
    first, then = world.group("role-first"), world.group("rule-first")
    leaves(function, way.come(world, first) or SWEEP)
    opened = somebody.authorizes(first, KUBELET)
    closes(function, opened, rule_ids(opened))

    opened = somebody.authorizes(then, KUBELET)
    leaves(function, opened)
    answer = closes(function, way.come(world, then) or SWEEP, rule_ids(opened) if way.names_rules else [])
    assert actions(answer)[rule_ids(opened)[0]] == ("revoked" if way.names_rules else "would-revoke")


# --- groups that are somebody else's too ----------------------------------------------------------------------------------


def open_bastion(world):
    return world.open(world.bastion_group, KUBELET)


def closes_another(world, somebody, function, group):
    """What is opened later is closed, and nothing else."""
    before, later = world.rules(), somebody.authorizes(group, allow("tcp", 2379, WORLD))
    function.invoke(later)
    assert world.rules() == before


def of_prod(world):
    return world.open(world.node_group, KUBELET)


@pytest.mark.parametrize("remembers", [True], ids=["remembers"], indirect=True)
@pytest.mark.parametrize("prepare", [open_bastion], ids=["another team's"], indirect=True)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_another_teams_group_is_not_cut_however_it_comes_to_the_cluster(world, prepared, somebody, guard, way):
    function = guard()
    answer = leaves(function, way.come(world, world.bastion_group) or SWEEP)
    finding = findings(answer)[prepared[0]]
    assert (finding["action"], finding["severity"], finding["known"]) == ("refused", "critical", True)
    leaves(function, SWEEP)
    closes_another(world, somebody, function, world.bastion_group)


# What a new cluster does with the group of another cluster's nodes.
JOINS = {
    "a node of it": lambda world, group: starts_a_node(world, group, "green"),
    "its launch template": lambda world, group: of_a_launch_template(world, group, "green"),
    "an additional group of its control plane": lambda world, group: of_the_control_plane(world, group, "green"),
    "an interface of its control plane": lambda world, group: on_the_control_plane(world, group, "green"),
    "self-managed nodes": lambda world, group: of_self_managed_nodes(world, group, "green"),
}


@pytest.mark.parametrize("remembers", [True], ids=["remembers"], indirect=True)
@pytest.mark.parametrize("prepare", [of_prod], ids=["nodes of prod"], indirect=True)
@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_a_group_that_another_cluster_takes_too_keeps_what_it_had(world, prepared, somebody, guard, join):
    function = guard()
    settings = {"subnetIds": [world.subnet]}
    world.emulator.eks.create_cluster(name="green", roleArn=ROLE, resourcesVpcConfig=settings)
    for happened in (join(world, world.node_group), SWEEP):
        if happened:
            answer = leaves(function, happened)
            assert actions(answer)[prepared[0]] in {"refused", "would-revoke"}
    closes_another(world, somebody, function, world.node_group)
