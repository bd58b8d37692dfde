"""Facts in a large and slow account: what an event costs, what a verdict waits for, and what is read anew each time."""

import pytest

import crowds
from checks import actions, closes, leaves
from events import rule_ids
from looks import FORGETS_AND_REMEMBERS
from slow_calls import KUBELET, SCENARIOS, play
from world import WORLD, allow

SLOW = 3  # seconds; an answer of the rules is the last look for two


@pytest.mark.parametrize(
    "call",
    [
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeInstances",
        "ec2:DescribeVpcs",
        "ec2:DescribeSecurityGroupRules",
        "eks:DescribeCluster",
    ],
)
def test_however_slow_a_call_is_the_rule_goes_at_the_first_try(aws, call):
    run = play(aws, SCENARIOS["managed-node-group"], {call: SLOW})
    assert run.gone, run.ending
    assert not run.answer.failed, run.ending


@FORGETS_AND_REMEMBERS
def test_a_range_added_to_the_vpc_a_moment_ago_is_private(world, somebody, guard):
    warm = guard()
    warm.invoke(somebody.authorizes(world.node_group, allow("tcp", 8080, "10.0.0.0/8")))
    world.range_of(world.vpc, "203.0.113.0/24")
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, "203.0.113.0/24"))
    answer = leaves(warm, event)
    assert actions(answer)[rule_ids(event)[0]] == "reported"


@FORGETS_AND_REMEMBERS
def test_a_peer_that_was_nobodys_and_has_become_a_node_since_is_of_the_cluster(world, somebody, guard):
    warm = guard()
    peer = world.group("late-nodes")
    warm.invoke(somebody.authorizes(world.node_group, allow("tcp", 8080, peer)))
    world.instance(peer, {"aws:eks:cluster-name": "prod"}, world.subnet)
    answer = leaves(warm, somebody.authorizes(world.node_group, allow("tcp", 9090, peer)))
    # The world is shared: only the rule of the first call may have been reported.
    assert all(
        "9090" not in portion["ports"]
        for record in answer.logged_records
        for finding in record["findings"]
        for portion in finding["portions"]
    )


@FORGETS_AND_REMEMBERS
def test_what_a_list_in_change_holds_is_not_known_and_the_event_comes_again(world, somebody, guard):
    program = guard()
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, world.everyone))
    world.list_state(world.everyone, "modify-in-progress")
    answer = program.invoke(event)
    assert answer.failed
    assert "modify-in-progress" in answer.error_message
    assert set(rule_ids(event)) <= world.rules(world.node_group).keys()
    world.list_state(world.everyone, "modify-complete")
    closes(program, event, rule_ids(event))


@FORGETS_AND_REMEMBERS
def test_an_ordinary_tag_and_a_rule_add_no_cluster_with_a_milder_mode(world, somebody, guard, tmp_path):
    [dev] = crowds.clusters(world, 1, node_groups=0, name="dev")
    world.emulator.ec2.create_tags(
        Resources=[world.node_instances[0]], Tags=[{"Key": f"kubernetes.io/cluster/{dev}", "Value": "owned"}]
    )
    of_dev = world.emulator.eks.describe_cluster(name=dev)["cluster"]["resourcesVpcConfig"]["clusterSecurityGroupId"]
    world.open(world.node_group, allow("tcp", 443, of_dev))
    policy = tmp_path / "policy.yaml"
    policy.write_text('version: 1\nclusters:\n  - {name: "dev-*", mode: report}\n')
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, WORLD))
    answer = closes(guard(GUARD_POLICY=str(policy)), event, rule_ids(event))
    assert [record["clusters"] for record in answer.logged_records] == [["prod"]]
