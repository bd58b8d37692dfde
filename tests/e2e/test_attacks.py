"""What somebody who has read the source does so that what is new and forbidden counts as known, or what is known is cut."""

import threading

import pytest

from checks import actions, closes, leaves
from events import rule_ids
from test_adoption import KUBELET, SWEEP, breaks_nothing, program, state  # noqa: F401
from test_known import edits, known, prefix_list  # noqa: F401
from test_known_groups import TAGGED, on_a_branch
from test_put_back import OPEN, only
from test_triggers import puts_on
from world import WORLD, allow


# --- a rule is known through something else ------------------------------------------------------------------------------


def test_what_a_list_gained_is_not_known_through_another_rule_while_the_forbidden_one_is_open(world, known, aws):
    partners = prefix_list(world, "10.20.0.0/16")
    [kubelet, _] = world.open(world.node_group, allow("tcp", 10250, partners), allow("tcp", 8080, partners))
    function = known(AWS_MAX_ATTEMPTS="1")
    edited = edits(world, partners, AddEntries=[WORLD])
    aws.on("RevokeSecurityGroupIngress", error="InternalError", status=500)
    assert function.invoke(edited).failed
    aws.calm()
    closes(function, edited, [kubelet])


@pytest.mark.parametrize("is_older", [True, False], ids=["open at the first look", "opened later"])
def test_an_open_group_of_another_vpc_is_closed_on_a_node(world, known, is_older):
    group = world.group("debug", vpc=world.other_vpc)
    rules = world.open(group, KUBELET) if is_older else []
    function = known()
    rules = rules or world.open(group, KUBELET)
    world.associate(group, world.vpc)
    closes(function, puts_on(world, world.interface_of(world.node_group), world.node_group, group), rules)


def test_a_group_of_another_vpc_that_was_on_a_node_keeps_what_is_known_and_nothing_else(world, known):
    group = world.group("debug", vpc=world.other_vpc)
    [old] = world.open(group, KUBELET)
    world.associate(group, world.vpc)
    puts_on(world, world.interface_of(world.node_group), world.node_group, group)
    function = known()
    lost = world.open(group, allow("tcp", 2379, WORLD))
    answer = closes(function, SWEEP, lost)
    assert actions(answer)[old] == "would-revoke"


NODES_ONLY = """version: 1
clauses:
  - {id: debug-port, roles: [node], protocol: tcp, ports: [9229], from: [internet], verdict: revoke, severity: high,
     reason: nobody debugs nodes from the internet}
"""


def test_what_only_a_weak_role_forbids_is_new_when_the_role_is_proven(world, somebody, known, tmp_path):
    """The group is proven for pods, and claimed for nodes, of which alone the clause speaks."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(NODES_ONLY)
    function = known(GUARD_POLICY=str(policy))
    group = world.group("debug")
    on_a_branch(world, group)
    world.instance(group, TAGGED)
    opened = somebody.authorizes(group, allow("tcp", 9229, WORLD))
    answer = breaks_nothing(function, opened)
    assert actions(answer) == {rule_ids(opened)[0]: "reported"}
    on_a_node = puts_on(world, world.interface_of(world.node_group), world.node_group, group)
    closes(function, on_a_node, rule_ids(opened))


def test_tags_and_descriptions_keep_no_vpc_from_being_looked_at(world, program, state, aws):
    """A group that nobody guards, with more text at its rules than an item of the table takes."""
    rules = world.open(world.bastion_group, *(allow("tcp", 1000 + n, "10.0.0.0/8", text="x" * 255) for n in range(60)))
    tags = [{"Key": f"{n:03}" + "k" * 120, "Value": "v" * 255} for n in range(50)]
    aws.ec2.create_tags(Resources=rules, Tags=tags)
    function = program()
    leaves(function, SWEEP)
    assert state.known(world.bastion_group) == world.rules(world.bastion_group).keys()
    closes(function, SWEEP, world.open(world.node_group, KUBELET))


# --- what is known is cut -------------------------------------------------------------------------------------------------


def test_a_group_that_is_taken_off_and_put_on_again_keeps_what_is_known(world, known):
    group = world.group("debug")
    [old] = world.open(group, KUBELET)
    interface = world.interface_of(world.node_group)
    puts_on(world, interface, world.node_group, group)
    function = known()
    breaks_nothing(function, puts_on(world, interface, world.node_group))
    breaks_nothing(function, SWEEP)
    answer = breaks_nothing(function, puts_on(world, interface, world.node_group, group))
    assert actions(answer) == {old: "would-revoke"}


def test_what_is_beyond_the_limit_of_the_hour_holds_up_no_event(world, somebody, known):
    function = known(GUARD_MAX_REVOKES="3")
    group = world.group("debug")
    world.open(group, *(allow("tcp", 10250, f"203.0.{n}.0/24") for n in range(5)))
    answer = function.invoke(puts_on(world, world.interface_of(world.node_group), world.node_group, group))
    assert sorted(actions(answer).values()) == ["refused"] * 2 + ["revoked"] * 3
    event = somebody.authorizes(world.node_group, KUBELET)
    closes(function, event, rule_ids(event))


# --- out of order, and at the same time ----------------------------------------------------------------------------------


def test_an_edit_that_comes_before_the_rule_was_made_closes_it(world, somebody, known):
    function = known()
    made = somebody.authorizes(world.node_group, allow("tcp", 8443, "10.0.0.0/8"))
    closes(function, somebody.modifies(world.node_group, {rule_ids(made)[0]: OPEN}), rule_ids(made))
    leaves(function, made)


def test_a_sweep_that_writes_while_another_process_puts_back_keeps_what_was_known(world, somebody, known, program, aws):
    [rule] = world.open(world.node_group, allow("tcp", 443, "10.0.0.0/8"))
    sweeping, other, former = known(), program(), only(world, rule)
    world.open(world.pod_group, allow("tcp", 8443, "10.0.0.0/8"))  # something to write
    meanwhile, is_over = [], threading.Event()

    def edited():
        meanwhile.append(other.invoke(somebody.modifies(world.node_group, {rule: OPEN})))
        is_over.set()

    aws.on("PutItem", before=edited, times=1)
    sweeping.invoke(SWEEP)
    assert is_over.wait(60), "on a slow machine the sweep does not wait for its own write so long"
    assert [actions(answer)[rule] for answer in meanwhile] == ["restored"]
    assert only(world, rule) == former
    somebody.modifies(world.node_group, {rule: OPEN})
    sweeping.invoke(SWEEP)
    assert only(world, rule) == former


def test_a_sweep_that_read_before_an_edit_and_writes_after_it_makes_it_not_known(world, somebody, known, program, aws):
    """The sweep has read the good content, the edit is forbidden, and its event is lost."""
    [rule] = world.open(world.node_group, allow("tcp", 443, "10.0.0.0/8"))
    function, former = known(), only(world, rule)
    world.open(world.pod_group, allow("tcp", 8443, "10.0.0.0/8"))
    aws.on("PutItem", before=lambda: somebody.modifies(world.node_group, {rule: OPEN}), times=1)
    function.invoke(SWEEP)
    function.invoke(SWEEP)
    assert only(world, rule) == former
