"""A table that is away, empty, lost, old or wrong: what an event creates is closed and told, and nothing goes that would
not have gone."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from checks import actions, closes, findings, leaves
from events import rule_ids
from recorded import waves
from test_adoption import KUBELET, SWEEP, breaks_nothing, program, state  # noqa: F401
from test_known import KUBELET_RULE, edits, known, prefix_list, told  # noqa: F401
from test_triggers import puts_on
from world import WORLD, allow

DENIED = {"error": "AccessDeniedException"}
AWAY = {"denied": DENIED, "out of order": {"error": "InternalServerError", "status": 500}, "cut off": {"drop": True}}
STATE_CALLS = ("BatchGetItem", "PutItem")


def days_ago(days):
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def looked(days):
    """The last complete looks were so many days ago."""
    return lambda place: {**place, "looks": dict.fromkeys(place["looks"], days_ago(days))}


def closed_and_told(function, event):
    """The rules that the event creates are closed and people hear of it, whatever the answer is, and nothing else goes."""
    world = function.world
    before, heard = world.rules(), len(world.notices())
    world.emulator.forget()
    answer = function.invoke(event)
    assert world.rules() == {rule: content for rule, content in before.items() if rule not in rule_ids(event)}
    assert len(world.notices()) > heard
    assert {rule for rule, action in actions(answer).items() if action == "revoked"} == set(rule_ids(event))
    return answer


def leads_to(world, somebody, old):
    """All the ways that lead to a known rule without creating it."""
    yield SWEEP
    yield somebody.modifies(world.node_group, {old: {**KUBELET_RULE, "Description": "edited"}})
    yield somebody.authorizes(world.node_group, allow("tcp", 8443, "10.0.0.0/8"))
    yield puts_on(world, world.interface_of(world.node_group), world.node_group)


# --- away -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", AWAY.values(), ids=AWAY)
def test_without_an_answer_of_the_table_what_an_event_creates_is_closed_and_the_rest_waits(
    world, somebody, known, aws, way
):
    [old] = world.open(world.node_group, KUBELET)
    function = known()
    [lost] = world.open(world.pod_group, KUBELET)
    for action in STATE_CALLS:
        aws.on(action, **way)
    answer = closed_and_told(function, somebody.authorizes(world.node_group, allow("tcp", 2379, WORLD)))
    assert "BatchGetItem" in answer.error_message
    answer = breaks_nothing(
        function, somebody.modifies(world.node_group, {old: {**KUBELET_RULE, "Description": "edited"}})
    )
    assert answer.failed, "it is tried again"
    answer = breaks_nothing(function, SWEEP)
    assert told(answer, lost) == ("would-revoke", True)
    aws.calm()
    closes(function, SWEEP, [lost])


def test_a_table_that_answers_late_delays_no_revoke(world, somebody, known, aws):
    function = known()
    aws.slow("BatchGetItem", 0.8)
    event = somebody.authorizes(world.node_group, KUBELET)
    closes(function, event, rule_ids(event))
    asked = aws.asked("BatchGetItem")
    [revoke] = [request for request in aws.requests if request.action.startswith("Revoke")]
    assert revoke.start < min(request.end for request in asked)


@pytest.mark.parametrize("before", ["a sweep", "an event", "both"])
def test_the_table_is_asked_beside_ec2_and_the_revoke_leaves_after_one_wave(
    world, somebody, known, program, aws, before
):
    function = known()
    if before == "an event":
        function = program()
    if before != "a sweep":
        function.invoke(somebody.authorizes(world.node_group, allow("tcp", 8443, "10.0.0.0/8")))
    event = somebody.authorizes(world.node_group, KUBELET)
    aws.forget()
    aws.latency = 0.3
    function.invoke(event)
    found = [[request.action for request in wave] for wave in waves(aws.requests)]
    assert "BatchGetItem" in found[0], found
    assert "RevokeSecurityGroupIngress" in found[1], found


# --- empty, lost, old -----------------------------------------------------------------------------------------------------


def test_a_lost_table_makes_everything_known_as_for_the_first_time(world, somebody, known, state):
    [old] = world.open(world.node_group, KUBELET)
    function = known()
    state.lose()
    event = somebody.authorizes(world.node_group, allow("tcp", 2379, WORLD))
    closed_and_told(function, event)
    lost = world.open(world.node_group, allow("tcp", 2380, WORLD))
    for way in leads_to(world, somebody, old):
        breaks_nothing(function, way)
    assert state.known(world.node_group) == world.rules(world.node_group).keys()
    assert set(lost) <= state.known(world.node_group)
    closes(function, SWEEP, world.open(world.node_group, allow("tcp", 10255, WORLD)))


@pytest.mark.parametrize("kinds", [["baseline"], ["look"], ["location"], ["baseline", "look"], ["look", "location"]])
def test_lost_items_make_nothing_new(world, somebody, known, state, kinds):
    [old] = world.open(world.node_group, KUBELET)
    function = known()
    for kind in kinds:
        state.lose(kind)
    lost = world.open(world.pod_group, KUBELET)
    closed_and_told(function, somebody.authorizes(world.node_group, allow("tcp", 2379, WORLD)))
    for way in leads_to(world, somebody, old):
        function.invoke(way)
        assert old in world.rules(world.node_group)
    function.invoke(SWEEP)
    assert old in world.rules(world.node_group)
    if "baseline" in kinds:
        assert set(lost) <= world.rules(world.pod_group).keys()


def test_rules_of_a_lost_baseline_are_told_critically_once(world, known, state):
    [old] = world.open(world.node_group, allow("tcp", (8472, 8472), WORLD), allow("udp", 8472, WORLD))[1:]
    function = known()
    state.lose("baseline")
    state.lose("finding")
    before = len(world.notices())
    answer = leaves(function, SWEEP)
    finding = findings(answer)[old]
    assert (finding["action"], finding["severity"], finding["known"]) == ("would-revoke", "critical", True)
    assert "while the guard was not looking" in finding["detail"]
    (notice,) = world.notices()[before:]
    assert "while the guard was not looking" in notice.text
    answer = leaves(function, SWEEP)
    assert findings(answer)[old]["severity"] == "high"
    assert len(world.notices()) == before + 1


def test_a_table_restored_from_last_week_makes_nothing_new(world, somebody, known, state):
    [old] = world.open(world.node_group, KUBELET)
    function = known()
    state.change("location", looked(days=8))
    kept = state.items()
    lost = world.open(world.node_group, allow("tcp", 2379, WORLD))
    function.invoke(SWEEP)
    assert set(lost) <= world.rules(world.node_group).keys()
    state.restore(kept)
    for way in leads_to(world, somebody, old):
        breaks_nothing(function, way)
    closed_and_told(function, somebody.authorizes(world.node_group, allow("tcp", 2380, WORLD)))
    closes(function, SWEEP, world.open(world.node_group, allow("tcp", 10255, WORLD)))


def test_a_table_of_six_days_ago_still_says_what_is_new(world, known, state):
    old = world.open(world.node_group, KUBELET)
    function = known()
    state.change("location", looked(days=6))
    closes(function, SWEEP, world.open(world.node_group, allow("tcp", 2379, WORLD)))
    assert set(old) <= world.rules(world.node_group).keys()


# --- poisoned -------------------------------------------------------------------------------------------------------------

WRONG = {
    "no JSON": {"S": "{"},
    "another shape": {"S": "[1, 2]"},
    "null": {"S": "null"},
    "an empty object": {"S": "{}"},
    "a number": {"N": "7"},
    "bytes": {"B": b"\xff\x00"},
    "a text": {"S": '"sg-1"'},
    "deep": {"S": "[" * 2_000 + "]" * 2_000},
    "huge": {"S": json.dumps({"rules": [], "lists": {}, "groups": {}, "looks": [], "x": "y" * 300_000})},
    "nothing": None,
}


KINDS = ["baseline", "look", "location", "finding", "event", ""]
# Always: each way of being wrong in a baseline, and each kind of item in one way. All pairs take minutes.
PAIRS = [
    pytest.param(kind, wrong, id=f"{kind or 'all'}-{way}", marks=() if kind == "baseline" or at == 0 else pytest.mark.heavy)
    for kind in KINDS
    for at, (way, wrong) in enumerate(WRONG.items())
]


@pytest.mark.parametrize(("kind", "wrong"), PAIRS)
def test_a_wrong_item_keeps_nothing_open_and_closes_nothing_that_was_known(world, somebody, known, state, kind, wrong):
    [old] = world.open(world.node_group, KUBELET)
    function = known()
    first = somebody.authorizes(world.node_group, allow("tcp", 2379, WORLD))
    function.invoke(first)
    for item in state.items(kind):
        held = "past" if item["pk"]["S"].startswith("finding") else "state"
        state.put({key: value for key, value in {**item, held: wrong}.items() if value is not None})
    closed_and_told(function, somebody.authorizes(world.node_group, allow("tcp", 2380, WORLD)))
    for way in leads_to(world, somebody, old):
        function.invoke(way)
        assert old in world.rules(world.node_group)
    function.invoke(SWEEP)
    assert old in world.rules(world.node_group)
