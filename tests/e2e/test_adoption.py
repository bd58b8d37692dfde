"""The guard is switched on, or learns to see more: what was there stays, and what comes afterwards does not."""

import pytest

from checks import actions, closes, findings, leaves
from events import rule_ids
from state import State
from test_triggers import puts_on
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
SWEEP = {"sweep": True}


@pytest.fixture
def state(world):
    return State(world.emulator, world.state_table())


@pytest.fixture
def program(guard, state):
    """A new process with the table, enforcing what is new and reporting what is known."""

    def start(**environment):
        return guard(**{"GUARD_MODE": "enforce", "GUARD_STATE_TABLE": state.table, **environment})

    return start


def breaks_nothing(function, event):
    """Whatever the answer is, no rule goes and no request asks for it."""
    world = function.world
    before = world.rules()
    world.emulator.forget()
    answer = function.invoke(event)
    assert world.rules() == before
    assert not world.emulator.mutations
    return answer


# --- switched on ----------------------------------------------------------------------------------------------------------


def test_forty_forbidden_rules_stay_and_are_in_the_first_digest(world, program, state):
    groups = [world.node_group, world.cluster_group, world.pod_group, world.node_group]
    old = [
        rule
        for at, group in enumerate(groups)
        for rule in world.open(group, *(allow("tcp", 10250, f"203.0.{10 * at + each}.0/24") for each in range(10)))
    ]
    function = program()
    answer = leaves(function, SWEEP)
    assert actions(answer) == dict.fromkeys(old, "would-revoke")
    assert all(finding["known"] for finding in findings(answer).values())
    (digest,) = world.notices()
    assert "40" in digest.text
    for group in {*groups}:
        assert state.known(group) == world.rules(group).keys()
    lost = world.open(world.node_group, allow("tcp", 10250, "203.0.99.0/24"))
    answer = closes(function, SWEEP, lost)
    assert not findings(answer)[lost[0]]["known"]
    assert len(world.notices()) == 2
    leaves(program(), SWEEP)


def test_every_group_of_the_vpc_is_known_in_scope_or_not(world, program, state):
    leaves(program(), SWEEP)
    in_vpc = {
        group["GroupId"]
        for group in world.emulator.ec2.describe_security_groups()["SecurityGroups"]
        if group["VpcId"] == world.vpc
    }
    for group in in_vpc:
        assert state.known(group) == world.rules(group).keys(), group


def test_before_the_first_look_only_what_an_event_creates_is_closed(world, somebody, program):
    old = world.open(world.node_group, allow("tcp", 10250, "203.0.113.0/24"))
    function = program()
    created = somebody.authorizes(world.node_group, KUBELET)
    answer = closes(function, created, rule_ids(created))
    assert actions(answer)[old[0]] == "would-revoke"
    modified = {"IpProtocol": "tcp", "FromPort": 10250, "ToPort": 10250, "CidrIpv4": "203.0.113.0/24", "Description": "new"}
    answer = leaves(function, somebody.modifies(world.node_group, {old[0]: modified}))
    assert actions(answer)[old[0]] == "would-revoke"


# --- sees more than before ------------------------------------------------------------------------------------------------


def test_from_standard_to_strict_nothing_known_goes(world, somebody, program):
    old = [
        *world.open(world.node_group, allow("tcp", 10250, "10.0.0.0/8"), allow("tcp", 8080, WORLD)),
        *world.open(world.pod_group, allow("tcp", 9090, "203.0.113.0/24")),
    ]
    standard = program()
    leaves(standard, SWEEP)
    later = somebody.authorizes(world.node_group, allow("tcp", 8081, WORLD))
    leaves(standard, later)
    strict = program(GUARD_POLICY="strict")
    answer = leaves(strict, SWEEP)
    assert {rule: actions(answer)[rule] for rule in [*old, *rule_ids(later)]} == dict.fromkeys(
        [*old, *rule_ids(later)], "would-revoke"
    )
    new = somebody.authorizes(world.node_group, allow("tcp", 8082, WORLD))
    closes(strict, new, rule_ids(new))
    closes(strict, SWEEP, [])


DENIED = {
    "clusters": ("DescribeCluster", "AccessDeniedException", 403),
    "names of clusters": ("ListClusters", "AccessDeniedException", 403),
    "node groups": ("DescribeNodegroup", "AccessDeniedException", 403),
    "instances": ("DescribeInstances", "UnauthorizedOperation", 403),
    "interfaces": ("DescribeNetworkInterfaces", "UnauthorizedOperation", 403),
    "rules": ("DescribeSecurityGroupRules", "UnauthorizedOperation", 403),
    "groups": ("DescribeSecurityGroups", "UnauthorizedOperation", 403),
    "ranges": ("DescribeVpcs", "UnauthorizedOperation", 403),
    "associations": ("DescribeSecurityGroupVpcAssociations", "UnauthorizedOperation", 403),
    "lists": ("GetManagedPrefixListEntries", "UnauthorizedOperation", 403),
}


@pytest.mark.parametrize("denied", DENIED.values(), ids=DENIED)
def test_a_permission_that_is_granted_later_makes_nothing_new(world, somebody, program, aws, denied):
    action, error, status = denied
    old = world.open(world.node_group, KUBELET, allow("tcp", 22, world.everyone))
    function = program()
    aws.on(action, error=error, status=status)
    breaks_nothing(function, SWEEP)
    aws.calm()
    answer = leaves(function, SWEEP)
    assert actions(answer) == dict.fromkeys(old, "would-revoke")
    leaves(program(), SWEEP)
    lost = world.open(world.node_group, allow("tcp", 22, WORLD))
    closes(function, SWEEP, lost)


def test_a_page_that_cannot_be_read_makes_the_look_incomplete(world, program, state, aws):
    old = world.open(world.node_group, *(allow("tcp", 10250, f"203.0.{each}.0/24") for each in range(12)))
    aws.page_size = 5
    aws.on("DescribeSecurityGroupRules", when=lambda params: "NextToken" in params, error="InternalError", status=500)
    function = program()
    answer = breaks_nothing(function, SWEEP)
    assert answer.failed
    assert not state.holds("look")
    aws.calm()
    answer = leaves(function, SWEEP)
    assert actions(answer) == dict.fromkeys(old, "would-revoke")
    closes(function, SWEEP, world.open(world.node_group, KUBELET))


def test_what_could_not_be_decoded_at_the_first_look_is_not_new_when_it_can(world, program, aws):
    old = world.open(world.node_group, KUBELET)
    aws.garble(old[0], ip_protocol="carp?")
    leaves(program(), SWEEP)
    aws.garble(old[0])
    answer = leaves(program(), SWEEP)
    assert actions(answer) == {old[0]: "would-revoke"}


def test_nodes_that_come_up_from_zero_bring_nothing_new(world, program, aws):
    aws.ec2.terminate_instances(InstanceIds=world.node_instances)
    karpenter = world.group("karpenter", {"karpenter.sh/discovery": "prod", "kubernetes.io/cluster/prod": "owned"})
    world.open(karpenter, allow("-1", None, world.cluster_group), allow("-1", None, karpenter))
    old = [*world.open(world.node_group, KUBELET), *world.open(karpenter, KUBELET)]
    leaves(program(), SWEEP)
    world.instance(world.node_group, {"aws:eks:cluster-name": "prod", "kubernetes.io/cluster/prod": "owned"})
    world.instance(karpenter, {"aws:eks:cluster-name": "prod", "kubernetes.io/cluster/prod": "owned"})
    answer = leaves(program(), SWEEP)
    assert actions(answer) == dict.fromkeys(old, "would-revoke")
    leaves(program(), puts_on(world, world.interface_of(karpenter), karpenter))


def test_a_spare_group_that_was_open_at_the_first_look_is_closed_on_a_node(world, program):
    spare = world.group("debug")
    rules = world.open(spare, KUBELET)
    function = program()
    leaves(function, SWEEP)
    closes(function, puts_on(world, world.interface_of(world.node_group), world.node_group, spare), rules)


GROUPS_ENTRY = """version: 1
groups:
  - {{id: {group}, cluster: prod, role: node}}
"""


@pytest.mark.parametrize("is_attached", [False, True], ids=["spare", "on an interface"])
def test_a_group_that_the_policy_names_later_brings_nothing_new(world, somebody, program, tmp_path, is_attached):
    """Nobody could see whose it is: what changed is what we know, not what it is."""
    group = world.group("unseen")
    if is_attached:
        world.interface(group, "of a node that nobody sees")
    [old] = world.open(group, KUBELET)
    before = program()
    leaves(before, SWEEP)
    [later] = world.open(group, allow("tcp", 2380, WORLD))  # of a group that was not the cluster's yet
    leaves(before, SWEEP)
    policy = tmp_path / "policy.yaml"
    policy.write_text(GROUPS_ENTRY.format(group=group))
    function = program(GUARD_POLICY=str(policy))
    answer = leaves(function, somebody.authorizes(group, allow("tcp", 8443, "10.0.0.0/8")))
    assert actions(answer) == {old: "would-revoke", later: "would-revoke"}
    leaves(function, SWEEP)
    lost = world.open(group, allow("tcp", 2379, WORLD))
    answer = closes(function, SWEEP, lost)
    assert actions(answer)[old] == actions(answer)[later] == "would-revoke"
