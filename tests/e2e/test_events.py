"""Every way the news arrives: the forms of each call, failed calls, omissions, repeats, strangers and nonsense."""

import json

import pytest

from checks import actions, closes, findings, leaves
from events import Somebody, delivered_again, failed, moved, omitted, rule_ids
from world import WORLD, WORLD_V6, World, allow

KUBELET = allow("tcp", 10250, WORLD)
PRIVATE = allow("tcp", 8443, "10.0.0.0/8")


def modified(port: int, **peer: str) -> dict:
    """The new body of a rule."""
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peer}


def ignored(answer) -> str:
    """Why the event was ignored; nothing was touched."""
    assert not answer.failed, answer.error_message
    assert answer.response["records"] == []
    assert answer.response["ignored"]
    return answer.response["ignored"]


# --- forms ---


def test_the_short_form_is_understood(world, somebody, guard):
    event = somebody.authorizes_briefly(world.node_group, "tcp", 10250, WORLD)
    closes(guard(), event, rule_ids(event))


def test_a_group_given_by_name_is_found_by_the_response(world, somebody, guard, aws):
    default = aws.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    subnet = aws.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [default]}])["Subnets"][0]["SubnetId"]
    group = world.group("old-nodes", vpc=default)
    world.instance(group, {"aws:eks:cluster-name": "prod"}, subnet)
    event = somebody.authorizes_by_name("old-nodes", "tcp", 10250, WORLD)
    assert "groupId" not in event["detail"]["requestParameters"]
    closes(guard(), event, rule_ids(event))


def test_modifying_an_allowed_rule_into_a_forbidden_one_closes_it(world, somebody, guard):
    (rule,) = world.open(world.node_group, PRIVATE)
    event = somebody.modifies(world.node_group, {rule: modified(10250, CidrIpv4=WORLD)})
    closes(guard(), event, [rule])


def test_modifying_several_rules_closes_the_forbidden_ones(world, somebody, guard):
    v4, v6, other = world.open(world.node_group, PRIVATE, allow("tcp", 8443, "fd00::/8"), allow("tcp", 8444, "10.0.0.0/8"))
    event = somebody.modifies(
        world.node_group,
        {
            other: modified(8445, CidrIpv4="10.0.0.0/8"),
            v6: {"IpProtocol": "-1", "FromPort": -1, "ToPort": -1, "CidrIpv6": WORLD_V6},
            v4: {**modified(10250, CidrIpv4="128.0.0.0/1"), "IpProtocol": "6"},
        },
    )
    closes(guard(), event, [v4, v6])


def test_whether_a_modified_rule_is_egress_is_found_by_looking(world, somebody, guard):
    (rule,) = world.open(world.node_group, PRIVATE, egress=True)
    leaves(guard(), somebody.modifies(world.node_group, {rule: modified(10250, CidrIpv4=WORLD)}))


@pytest.mark.parametrize("sweep", ["report", "enforce"])
def test_a_revoke_is_a_reason_to_look_again(world, somebody, guard, sweep):
    old, allowed = world.open(world.node_group, KUBELET, PRIVATE)
    event = somebody.revokes(world.node_group, allowed)
    answer = closes(guard(GUARD_SWEEP_MODE=sweep), event, [old] if sweep == "enforce" else [])
    assert findings(answer)[old]["named_by_event"] is False


def test_a_revoke_that_leaves_nothing_forbidden_bothers_nobody(world, somebody, guard):
    (allowed,) = world.open(world.node_group, PRIVATE)
    leaves(guard(), somebody.revokes(world.node_group, allowed))
    assert not world.notices()


def test_the_bare_record_is_accepted_too(world, somebody, guard):
    event = somebody.authorizes(world.node_group, KUBELET)
    closes(guard(), event["detail"], rule_ids(event))


# --- what the event does not say ---


@pytest.mark.parametrize("field", ["requestParameters", "responseElements"])
def test_one_omitted_field_does_not_hide_a_rule(world, somebody, guard, field):
    event = somebody.authorizes(world.node_group, KUBELET, PRIVATE)
    closes(guard(), omitted(event, field), rule_ids(event)[:1])


@pytest.mark.parametrize("sweep", ["report", "enforce"])
def test_an_event_that_names_no_group_makes_the_guard_look_everywhere(world, somebody, guard, sweep):
    event = somebody.authorizes(world.node_group, KUBELET)
    hidden = omitted(event, "requestParameters", "responseElements")
    answer = closes(guard(GUARD_SWEEP_MODE=sweep), hidden, rule_ids(event) if sweep == "enforce" else [])
    assert findings(answer)[rule_ids(event)[0]]["verdict"] == "revoke"


def test_a_rule_that_is_not_there_is_not_invented(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    somebody.revokes(world.node_group, *rule_ids(event))
    answer = leaves(guard(), event)
    assert actions(answer) == {rule_ids(event)[0]: "was-open"}
    assert len(world.notices()) == 1


def test_a_rule_that_was_repaired_before_the_event_arrived_is_judged_as_it_is_now(world, somebody, guard):
    event = somebody.authorizes(world.node_group, KUBELET)
    somebody.modifies(world.node_group, {rule_ids(event)[0]: modified(8443, CidrIpv4="10.0.0.0/8")})
    leaves(guard(), event)


# --- what is ignored ---


def test_a_refused_call_is_ignored_without_asking_aws(world, somebody, guard, aws):
    event = failed(somebody.authorizes(world.node_group, KUBELET), "Client.UnauthorizedOperation")
    aws.forget()
    assert "UnauthorizedOperation" in ignored(guard().invoke(event))
    assert not aws.requests


@pytest.mark.parametrize("sweep", ["report", "enforce"])
def test_a_call_that_failed_because_the_rule_exists_makes_the_guard_look(world, somebody, guard, sweep):
    event = somebody.authorizes(world.node_group, KUBELET)
    duplicate = failed(event, "Client.InvalidPermission.Duplicate")
    answer = closes(guard(GUARD_SWEEP_MODE=sweep), duplicate, rule_ids(event) if sweep == "enforce" else [])
    assert findings(answer)[rule_ids(event)[0]]["verdict"] == "revoke"


@pytest.mark.parametrize("elsewhere", [{"account": "210987654321"}, {"region": "eu-west-1"}], ids=["account", "region"])
def test_a_foreign_event_is_ignored_without_asking_aws(world, somebody, guard, aws, elsewhere):
    event = moved(somebody.authorizes(world.node_group, KUBELET), **elsewhere)
    aws.forget()
    reason = ignored(guard().invoke(event))
    assert next(iter(elsewhere.values())) in reason
    assert not aws.requests


@pytest.mark.parametrize("nonsense", [{}, [], "text", 7, None, {"hello": "world"}, {"detail": {}}], ids=json.dumps)
def test_nonsense_is_a_clear_error_that_says_what_was_expected(guard, nonsense):
    answer = guard().invoke(nonsense)
    assert answer.failed
    assert not answer.died
    assert "expected" in answer.error_message
    assert answer.error_type


# --- repeats ---


def test_the_same_event_twice_is_one_notice(world, somebody, guard):
    function, event = guard(), somebody.authorizes(world.node_group, KUBELET)
    closes(function, event, rule_ids(event))
    ignored(leaves(function, delivered_again(event)))
    assert len(world.notices()) == len(world.published_records()) == 1


def test_events_in_the_wrong_order_end_in_the_same_state(world: World, somebody: Somebody, guard):
    first = somebody.authorizes(world.node_group, KUBELET)
    second = somebody.authorizes(world.node_group, allow("tcp", 10255, WORLD))
    function = guard()
    closes(function, second, rule_ids(second))
    closes(function, first, rule_ids(first))
