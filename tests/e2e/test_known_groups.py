"""New or known where a group becomes something else: attached, put on a cluster, brought along by another cluster."""

import pytest

from checks import actions, closes, findings, leaves
from events import rule_ids
from test_adoption import KUBELET, SWEEP, breaks_nothing, program, state  # noqa: F401
from test_known import KUBELET_RULE, NODE, known, told  # noqa: F401
from test_triggers import puts_on
from world import WORLD, allow

BRANCH = {"eks:eni:owner": "eks-vpc-resource-controller", "kubernetes.io/cluster/prod": "owned"}
TAGGED = {"kubernetes.io/cluster/prod": "owned"}


# --- attached to something that is less than a node first ----------------------------------------------------------------


def on_a_branch(world, group):
    return world.interface(group, "aws-k8s-branch-eni", kind="branch", tags=BRANCH)


def on_a_tagged_instance(world, group):
    world.instance(group, TAGGED)
    return world.interface_of(group)


@pytest.mark.parametrize("is_older", [True, False], ids=["open at the first look", "opened later"])
@pytest.mark.parametrize("is_swept", [True, False], ids=["swept", "not swept"])
@pytest.mark.parametrize("less", [on_a_branch, on_a_tagged_instance])
def test_an_open_group_that_was_on_something_less_is_closed_on_a_node(world, known, program, less, is_swept, is_older):
    group = world.group("debug")
    rules = world.open(group, KUBELET) if is_older else []
    function = known()
    rules = rules or world.open(group, KUBELET)
    first = puts_on(world, less(world, group), group)
    function.invoke(first)
    if is_swept:
        function.invoke(SWEEP)
    function.invoke(puts_on(world, world.interface_of(world.node_group), world.node_group, group))
    assert not set(rules) & world.rules(group).keys()
    leaves(function, SWEEP)


def test_the_first_look_knows_what_tags_only_claimed_then(world, known, program):
    group = world.group("tagged")
    [old] = world.open(group, KUBELET)
    world.instance(group, TAGGED)
    known()
    event = puts_on(world, world.interface_of(world.node_group), world.node_group, group)
    answer = leaves(program(), event)
    assert told(answer, old) == ("would-revoke", True)


# --- nodes that come later ------------------------------------------------------------------------------------------------


def test_ssh_for_a_node_group_that_is_still_being_made_is_closed(world, somebody, known):
    """EKS writes the rule before anything says whose the group is."""
    function = known()
    group = world.group("eks-remoteAccess-1", {"eks": "prod", "eks:nodegroup-name": "later"})
    opened = somebody.authorizes(group, allow("tcp", 22, WORLD))
    breaks_nothing(function, opened)
    world.instance([world.cluster_group, group], {**NODE, "eks:nodegroup-name": "later"})
    closes(function, SWEEP, rule_ids(opened))


def test_a_rule_opened_while_there_were_no_nodes_is_closed_when_one_comes_up(world, somebody, known, aws):
    group = world.group("karpenter", {"karpenter.sh/discovery": "prod"})
    world.open(group, allow("-1", None, world.cluster_group), allow("-1", None, group))
    node = world.instance(group, TAGGED)
    function = known()
    aws.ec2.terminate_instances(InstanceIds=[node])
    function.invoke(SWEEP)
    opened = somebody.authorizes(group, KUBELET)
    answer = breaks_nothing(function, opened)
    assert actions(answer) == {rule_ids(opened)[0]: "reported"}, "nobody is let in yet"
    breaks_nothing(function, SWEEP)
    world.open(world.cluster_group, allow("-1", None, group))
    world.instance(group, TAGGED)
    closes(function, SWEEP, rule_ids(opened))


def test_a_node_group_at_zero_is_guarded_at_once(world, somebody, known, aws):
    function = known()
    aws.ec2.terminate_instances(InstanceIds=world.node_instances)
    opened = somebody.authorizes(world.node_group, KUBELET)
    closes(function, opened, rule_ids(opened))
    closes(function, SWEEP, world.open(world.node_group, KUBELET))


# --- several clusters -----------------------------------------------------------------------------------------------------


def green(world):
    """A cluster that comes after the guard; its group."""
    cluster = world.emulator.eks.create_cluster(
        name="green",
        roleArn="arn:aws:iam::123456789012:role/green",
        resourcesVpcConfig={"subnetIds": [world.subnet]},
    )["cluster"]
    return cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]


def test_what_the_old_cluster_had_stays_when_its_nodes_join_a_new_one(world, somebody, known):
    old = world.open(world.node_group, KUBELET, allow("tcp", 22, WORLD))
    function = known()
    green(world)
    world.instance(world.node_group, {"aws:eks:cluster-name": "green"})
    answer = breaks_nothing(function, SWEEP)
    heard = len(world.notices())
    for rule in old:
        finding = findings(answer)[rule]
        assert (finding["action"], finding["severity"]) == ("refused", "critical")
        assert "aws ec2 revoke-security-group-ingress" in finding["detail"]
    assert any("aws ec2 revoke-security-group-ingress" in notice.text for notice in world.notices())
    breaks_nothing(function, SWEEP)
    edited = {**KUBELET_RULE, "Description": "edited"}
    breaks_nothing(function, somebody.modifies(world.node_group, {old[0]: edited}))
    assert len(world.notices()) == heard, "once a day"
    new = somebody.authorizes(world.node_group, allow("tcp", 2379, WORLD))
    function.invoke(new)
    assert world.rules(world.node_group).keys() >= set(old)
    assert not set(rule_ids(new)) & world.rules(world.node_group).keys()


def test_a_new_clusters_own_group_is_new_from_the_start(world, known):
    function = known()
    group = green(world)
    closes(function, SWEEP, world.open(group, KUBELET))


# --- another team's group -------------------------------------------------------------------------------------------------


def test_another_teams_group_that_was_there_first_is_not_cut_and_what_is_opened_later_is_closed(world, somebody, known):
    [dns] = world.open(world.bastion_group, allow("tcp", (0, 65535), WORLD))
    function = known()
    attached = puts_on(world, world.interface_of(world.node_group), world.node_group, world.bastion_group)
    answer = breaks_nothing(function, attached)
    finding = findings(answer)[dns]
    assert (finding["action"], finding["severity"], finding["known"]) == ("refused", "critical", True)
    assert "modify-network-interface-attribute" in finding["detail"]
    breaks_nothing(function, SWEEP)
    later = somebody.authorizes(world.bastion_group, KUBELET)
    function.invoke(later)
    assert rule_ids(later)[0] not in world.rules(world.bastion_group)
    lost = world.open(world.bastion_group, KUBELET)
    function.invoke(SWEEP)
    assert world.rules(world.bastion_group).keys() >= {dns}
    assert lost[0] not in world.rules(world.bastion_group)


def test_without_a_first_look_another_teams_group_is_not_cut_either(world, program):
    [dns] = world.open(world.bastion_group, allow("tcp", (0, 65535), WORLD))
    attached = puts_on(world, world.interface_of(world.node_group), world.node_group, world.bastion_group)
    breaks_nothing(program(), attached)
    assert dns in world.rules(world.bastion_group)


# --- a launch template alone ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_warm", [True, False], ids=["one process", "a new process each time"])
def test_what_only_a_launch_template_names_is_remembered_though_an_event_saw_its_nodes(
    world, somebody, known, program, aws, is_warm
):
    """The node says all there is to say of the group, so nobody asks for the template; when it is gone, nobody else does."""
    aws.ec2.delete_tags(Resources=[world.node_group], Tags=[{"Key": "kubernetes.io/cluster/prod"}])
    function = known()
    then = lambda: function if is_warm else program()  # noqa: E731
    leaves(then(), somebody.authorizes(world.node_group, allow("tcp", 8443, "10.0.0.0/8")))
    aws.ec2.terminate_instances(InstanceIds=world.node_instances)
    opened = somebody.authorizes(world.node_group, KUBELET)
    closes(then(), opened, rule_ids(opened))
