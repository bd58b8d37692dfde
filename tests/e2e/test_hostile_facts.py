"""Facts in a hostile account: what tags, rules, other teams and half-finished changes can talk the guard into."""

import itertools

import pytest

import crowds
from checks import actions, closes, findings, leaves
from events import rule_ids
from looks import FORGETS_AND_REMEMBERS, SWEEP
from slow_calls import KUBELET, SCENARIOS
from test_triggers import puts_on
from world import WORLD, allow

TO_THE_WORLD = {"IpProtocol": "tcp", "FromPort": 10250, "ToPort": 10250, "CidrIpv4": WORLD}
TAG = {"kubernetes.io/cluster/prod": "owned"}
BALANCER = "ELB app/k8s-shop/0123456789abcdef"


def tag(world, resource, **tags):
    """Tag it; `kubernetes.io/cluster/` and the like are written as they are: `**{"a/b": "c"}`."""
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    world.emulator.ec2.create_tags(Resources=[resource], Tags=listed)


def rules_between(world, group, other):
    """The ids of the rules of the group that let in the other one."""
    return [each for each, rule in world.rules(group).items() if rule.get("ReferencedGroupInfo", {}).get("GroupId") == other]


def interfaces_of(world, group):
    filters = [{"Name": "group-id", "Values": [group]}]
    return world.emulator.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]


# --- the rules that connect a group with its cluster ----------------------------------------------------------------------


# EC2 lets nobody turn a rule from a group into one from a block, so such a rule is replaced, or another one is edited.


@FORGETS_AND_REMEMBERS
@pytest.mark.parametrize(("scenario", "peer"), [("karpenter-node", "cluster_group"), ("pod-group", "node_group")])
def test_the_rule_that_connects_a_group_with_its_cluster_replaced_by_the_world(
    world, somebody, guard, remembers, scenario, peer
):
    """Who remembers sees at the first event that the other rule is new; who forgets waits for its own."""
    group, program = SCENARIOS[scenario](world), guard()
    taken = somebody.revokes(group, *rules_between(world, group, getattr(world, peer)))
    event = somebody.authorizes(group, KUBELET)
    closes(program, taken, rule_ids(event) if remembers else [])
    closes(program, event, [] if remembers else rule_ids(event))


@FORGETS_AND_REMEMBERS
@pytest.mark.parametrize(("scenario", "peer"), [("karpenter-node", "cluster_group"), ("pod-group", "node_group")])
def test_a_rule_edited_to_let_in_the_world_and_the_connecting_one_narrowed(world, somebody, guard, scenario, peer):
    group = SCENARIOS[scenario](world)
    [private] = world.open(group, allow("tcp", 10250, "10.0.0.0/16"))
    peer = getattr(world, peer)
    narrowed = {"IpProtocol": "tcp", "FromPort": 8443, "ToPort": 8443, "ReferencedGroupId": peer}
    rules = dict.fromkeys(rules_between(world, group, peer), narrowed) | {private: TO_THE_WORLD}
    closes(guard(), somebody.modifies(group, rules), [private])


# --- another team's load balancer -----------------------------------------------------------------------------------------


def another_teams(world):
    """A group tagged for the cluster, on a load balancer and on a plain host."""
    group = world.group("k8s-elb-team", TAG)
    world.load_balancer(group)
    world.instance(group, {"Name": "plain host"})
    return group


@FORGETS_AND_REMEMBERS
def test_a_load_balancers_group_on_a_plain_host_too_is_not_immune(world, somebody, guard):
    event = somebody.authorizes(another_teams(world), allow("tcp", 8443, WORLD))
    assert actions(leaves(guard(), event)) == {rule_ids(event)[0]: "reported"}


@FORGETS_AND_REMEMBERS
def test_what_a_load_balancers_group_on_a_plain_host_reaches_is_reported(world, somebody, guard):
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, another_teams(world)))
    assert actions(leaves(guard(), event)) == {rule_ids(event)[0]: "reported"}


# --- whose range it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cidr", ["198.18.0.0/15", "198.19.0.0/16", "240.0.0.0/4", "100.64.0.0/10", "0.0.0.0/8"])
def test_a_range_that_is_nobodys_in_the_internet_is_private(world, somebody, guard, cidr):
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, cidr))
    assert "revoked" not in actions(leaves(guard(), event)).values()


@pytest.mark.parametrize("cidr", ["198.16.0.0/15", "198.20.0.0/16", "224.0.0.0/4", "203.0.113.0/24", "198.16.0.0/14"])
def test_a_neighbour_of_a_private_range_is_not(world, somebody, guard, cidr):
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, cidr))
    closes(guard(), event, rule_ids(event))


@FORGETS_AND_REMEMBERS
@pytest.mark.parametrize("state", ["associating", "disassociating", "disassociated", "failed"])
def test_a_range_that_is_not_the_vpcs_yet_or_any_more_is_public(world, somebody, guard, state):
    world.range_of(world.vpc, "203.0.113.0/24", state)
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, "203.0.113.0/24"))
    closes(guard(), event, rule_ids(event))


def guest(world):
    """A group of another VPC, associated with the cluster's and attached to a node there."""
    group = world.group("guest", vpc=world.other_vpc)
    world.associate(group, world.vpc)
    puts_on(world, world.interface_of(world.node_group), world.node_group, group)
    return group


@FORGETS_AND_REMEMBERS
def test_the_clusters_range_is_private_to_a_group_of_an_associated_vpc(world, somebody, guard):
    world.range_of(world.vpc, "203.0.113.0/24")
    event = somebody.authorizes(guest(world), allow("tcp", 10250, "203.0.113.0/24"))
    assert actions(leaves(guard(), event)) == {rule_ids(event)[0]: "reported"}


@FORGETS_AND_REMEMBERS
def test_the_own_range_of_an_associated_group_is_private_too(world, somebody, guard):
    world.range_of(world.other_vpc, "203.0.113.0/24")
    event = somebody.authorizes(guest(world), allow("tcp", 10250, "203.0.113.0/24"))
    assert actions(leaves(guard(), event)) == {rule_ids(event)[0]: "reported"}


# --- prefix lists in change -----------------------------------------------------------------------------------------------


@FORGETS_AND_REMEMBERS
@pytest.mark.parametrize("state", ["modify-in-progress", "restore-in-progress", "create-in-progress"])
def test_a_list_in_change_holds_up_only_the_rule_that_uses_it(world, somebody, guard, state):
    world.list_state(world.everyone, state)
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, world.everyone), allow("tcp", 22, WORLD))
    answer = guard().invoke(event)
    assert answer.failed
    assert state in answer.error_message
    waits, gone = rule_ids(event)
    assert waits in world.rules() and gone not in world.rules()


@FORGETS_AND_REMEMBERS
@pytest.mark.parametrize("state", ["modify-complete", "modify-failed", "restore-complete", "restore-failed"])
def test_a_list_whose_change_is_over_is_read(world, somebody, guard, state):
    world.list_state(world.everyone, state)
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, world.everyone))
    closes(guard(), event, rule_ids(event))


# --- what cannot be decoded, and what a sweep sees ------------------------------------------------------------------------

UNREADABLE = {
    "protocol": {"ip_protocol": "carp?"},
    "block": {"cidr_ipv4": "10.0.0.0/99"},
    "no peer": {"cidr_ipv4": None},
}


@FORGETS_AND_REMEMBERS
@pytest.mark.parametrize("owner", ["bastion_group", "node_group", "cluster_group"])
@pytest.mark.parametrize("fields", UNREADABLE.values(), ids=UNREADABLE)
def test_a_rule_that_cannot_be_decoded_stops_no_sweep(world, guard, aws, owner, fields):
    [odd] = world.open(getattr(world, owner), allow("tcp", 8443, "10.0.0.0/8"))
    gone = world.open(world.node_group, KUBELET)
    aws.garble(odd, **fields)
    guard(GUARD_SWEEP_MODE="enforce").invoke({"sweep": True})
    assert not set(gone) & world.rules().keys()


@FORGETS_AND_REMEMBERS
@pytest.mark.parametrize("fields", UNREADABLE.values(), ids=UNREADABLE)
def test_a_rule_that_cannot_be_decoded_shields_no_other_of_its_group(world, somebody, guard, aws, fields):
    [odd] = world.open(world.node_group, allow("tcp", 8443, "10.0.0.0/8"))
    aws.garble(odd, **fields)
    event = somebody.authorizes(world.node_group, KUBELET)
    answer = guard().invoke(event)
    assert not set(rule_ids(event)) & world.rules().keys()
    assert odd in str(answer.logged_records), "that it could not be read is a finding of its own"


@FORGETS_AND_REMEMBERS
def test_a_sweep_sees_a_group_of_another_vpc_that_is_attached_to_a_node(world, guard):
    rules = world.open(guest(world), KUBELET)
    closes(guard(GUARD_SWEEP_MODE="enforce"), {"sweep": True}, rules)


# --- Outposts -------------------------------------------------------------------------------------------------------------


def internal(world, cluster="prod", vpc=None):
    """A group with the name of a local cluster's internal one, on a node."""
    group = world.group(f"eks-local-internal-do-not-use-or-edit-{cluster}-0a1b2c3d", vpc=vpc)
    if vpc:
        world.associate(group, world.vpc)
    puts_on(world, world.interface_of(world.node_group), world.node_group, group)
    return group


@FORGETS_AND_REMEMBERS
def test_the_internal_group_of_a_local_cluster_is_never_touched(world, somebody, guard):
    world.localise("prod")
    leaves(guard(), somebody.authorizes(internal(world), KUBELET))


@pytest.mark.parametrize("cluster", ["other", "pro", "dev-prod"])
def test_the_name_of_another_clusters_internal_group_protects_nothing(world, somebody, guard, cluster):
    world.localise("prod")
    event = somebody.authorizes(internal(world, cluster), KUBELET)
    closes(guard(), event, rule_ids(event))


@FORGETS_AND_REMEMBERS
def test_the_name_of_an_internal_group_protects_nothing_where_the_cluster_is_not_local(world, somebody, guard):
    event = somebody.authorizes(internal(world), KUBELET)
    closes(guard(), event, rule_ids(event))


@FORGETS_AND_REMEMBERS
def test_the_name_of_an_internal_group_protects_nothing_in_another_vpc(world, somebody, guard):
    world.localise("prod")
    event = somebody.authorizes(internal(world, vpc=world.other_vpc), KUBELET)
    closes(guard(), event, rule_ids(event))


# --- facts changed in the same minute -------------------------------------------------------------------------------------


def each_attachment(change):
    def changed(world, group):
        for interface in interfaces_of(world, group):
            change(world, interface)

    return changed


def _instance_tags(world, interface, **tags):
    if instance := interface.get("Attachment", {}).get("InstanceId"):
        tag(world, instance, **tags)


def _untagged(world, resource):
    world.emulator.ec2.delete_tags(Resources=[resource], Tags=[{"Key": "kubernetes.io/cluster/prod"}])


def _revoked(world, group, other):
    if rules := rules_between(world, group, other):
        world.emulator.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=rules)


def _described(world, interface):
    world.emulator.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=interface["NetworkInterfaceId"], Description={"Value": BALANCER}
    )


def _of_a_dev_cluster(world, *resources):
    [dev] = crowds.clusters(world, 1, node_groups=0, name="dev")
    for resource in resources:
        tag(world, resource, **{f"kubernetes.io/cluster/{dev}": "owned", "eks:cluster-name": dev})


def _balancers_tags(world, resource):
    tag(world, resource, **{"elbv2.k8s.aws/cluster": "prod", "ingress.k8s.aws/stack": "shop", **TAG})


def _all_untagged(world, resource):
    ec2 = world.emulator.ec2
    tags = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [resource]}])["Tags"]
    ordinary = [{"Key": each["Key"]} for each in tags if not each["Key"].startswith("aws:")]
    if ordinary:
        ec2.delete_tags(Resources=[resource], Tags=ordinary)


def _of_instances(world, interface):
    if instance := interface.get("Attachment", {}).get("InstanceId"):
        _all_untagged(world, instance)


def _all_taken(world, group):
    """Everything that a caller may write and that connects the group with its cluster."""
    _all_untagged(world, group)
    each_attachment(_of_instances)(world, group)
    each_attachment(lambda world, each: _all_untagged(world, each["NetworkInterfaceId"]))(world, group)
    for other in (world.cluster_group, world.node_group):
        _revoked(world, group, other)
        _revoked(world, other, group)


# What somebody does with the facts about a group, beside opening it.
FACTS = {
    "the group tagged for a dev cluster": lambda world, group: _of_a_dev_cluster(world, group),
    "the group tagged as a load balancer's": _balancers_tags,
    "the group's own tag deleted": _untagged,
    "instances tagged for a cluster that is not there": each_attachment(
        lambda world, each: _instance_tags(world, each, **{"kubernetes.io/cluster/gone": "owned"})
    ),
    "interfaces tagged for a dev cluster": lambda world, group: _of_a_dev_cluster(
        world, *(each["NetworkInterfaceId"] for each in interfaces_of(world, group))
    ),
    "interfaces described as a load balancer's": each_attachment(_described),
    "the rules from the cluster's group deleted": lambda world, group: _revoked(world, group, world.cluster_group),
    "the rules by which the cluster's group lets it in deleted": lambda world, group: _revoked(
        world, world.cluster_group, group
    ),
    "the rules from the nodes' group deleted": lambda world, group: _revoked(world, group, world.node_group),
    "put on a load balancer too": lambda world, group: world.load_balancer(group),
    "put on a plain host too": lambda world, group: world.instance(group, {"Name": "plain host"}),
    "put on another team's host in another VPC": lambda world, group: world.associate(group, world.other_vpc),
    "the nodes' group named as a peer": lambda world, group: world.open(group, allow("tcp", 9100, world.node_group)),
}


# What is taken from a group that has nothing but ordinary tags: it takes the state to remember them.
TAKEN = {
    "the tags of the instances deleted": each_attachment(_of_instances),
    "the tags of the interfaces deleted": each_attachment(
        lambda world, each: _all_untagged(world, each["NetworkInterfaceId"])
    ),
    "everything deleted that connects it": _all_taken,
}
FACTS_OF_A_GROUP = [
    pytest.param(remembers, change, id=f"{'remembers' if remembers else 'forgets'}-{fact}")
    for facts, who in ((FACTS, (False, True)), (TAKEN, (True,)))
    for fact, change in facts.items()
    for remembers in who
]


@pytest.mark.parametrize("prepare", SCENARIOS.values(), ids=SCENARIOS, indirect=True)
@pytest.mark.parametrize(("remembers", "change"), FACTS_OF_A_GROUP, indirect=["remembers"])
def test_no_fact_that_changes_in_the_same_minute_makes_the_verdict_milder(
    world, prepared, somebody, guard, aws, remembers, change
):
    """In both orders; and, where it is remembered what was there, by a sweep when the event of the opening is lost."""
    group, put_back = prepared, aws.keep()
    change(world, group)
    event = somebody.authorizes(group, KUBELET)
    closes(guard(), event, rule_ids(event))
    put_back()
    event = somebody.authorizes(group, KUBELET)
    change(world, group)
    closes(guard(), event, rule_ids(event))
    if remembers:
        put_back()
        opened = world.open(group, KUBELET)
        change(world, group)
        closes(guard(), SWEEP, opened)


# --- many names -----------------------------------------------------------------------------------------------------------

MANY_NAMES = {
    "existing": lambda world: crowds.clusters(world, 45, node_groups=0),
    "not there": lambda _: [f"gone-{number}" for number in range(45)],
    "odd": lambda _: ["", "/", "a/b", "prod/", "/prod", " prod", "prod ", "PROD", "../prod", *map(str, range(36))],
}


@FORGETS_AND_REMEMBERS
@pytest.mark.parametrize("kind", MANY_NAMES)
@pytest.mark.parametrize("scenario", ["managed-node-group", "karpenter-node"])
def test_fifty_cluster_names_in_tags_cost_at_most_three_descriptions(world, somebody, guard, aws, scenario, kind):
    group = SCENARIOS[scenario](world)
    names = MANY_NAMES[kind](world)
    for interface in interfaces_of(world, group):
        _instance_tags(world, interface, **{f"kubernetes.io/cluster/{name}": "owned" for name in names})
    event = somebody.authorizes(group, KUBELET)
    answer = closes(guard(), event, rule_ids(event))
    described = {request.params["name"] for request in aws.asked("DescribeCluster")}
    assert len(described - {"prod"}) <= 3
    assert {name for record in answer.logged_records for name in record["clusters"]} == {"prod"}
    assert findings(answer)
