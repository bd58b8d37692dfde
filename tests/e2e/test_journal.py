"""Nothing that the guard did stays untold, whatever dies on the way, and nothing is told as ours that others did."""

import pytest

from checks import revoked_ids
from events import rule_ids
from kills import dies_at
from telling import actions_told, mails, records_of
from test_known import KUBELET_RULE, edits, prefix_list
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
SSH = allow("tcp", 22, WORLD)
NODE = {"aws:eks:cluster-name": "prod", "kubernetes.io/cluster/prod": "owned"}


def creates(world, somebody):
    """Two forbidden rules by one call."""
    delivered = somebody.authorizes(world.node_group, KUBELET, SSH)
    return delivered, dict.fromkeys(rule_ids(delivered), "revoked")




def edited(world, somebody, rule):
    """A known rule becomes forbidden in place."""
    return somebody.modifies(world.node_group, {rule: KUBELET_RULE}), {rule: "restored"}


# --- killed at each call, then tried again --------------------------------------------------------------------------------


@pytest.fixture(params=["a rule is made", "a list grows", "a rule is edited"])
def scene(request, world, somebody, looked):
    """A service that has looked, how an event of it begins again, what has to become of which rule, and the first call to be
    killed at: one scene is killed at all of its calls, the others from shortly before their first effect."""
    if request.param == "a list grows":
        partners = prefix_list(world, "10.20.0.0/16")
        used = [
            rule
            for group in (world.node_group, world.pod_group)
            for rule in world.open(group, allow("tcp", 22, partners))
        ]
        service = looked()
        happened, expected = edits(world, partners, AddEntries=[WORLD]), dict.fromkeys(used, "revoked")
    elif request.param == "a rule is edited":
        [rule] = world.open(world.node_group, allow("tcp", 8443, "10.0.0.0/8"))
        service = looked()
        happened, expected = edited(world, somebody, rule)
    else:
        service = looked()
        happened, expected = creates(world, somebody)
    put_back = world.emulator.keep()

    def begin():
        put_back()
        service.replace()
        return happened

    first = 1
    if request.param != "a rule is made":
        world.emulator.forget()
        service.delivers(begin())
        first = next(at for at, each in enumerate(world.emulator.requests) if each.mutating) - 1
    return service, begin, expected, first


def closed(world, expected):
    """No rule is as the event left it."""
    rules = world.rules()
    for rule, action in expected.items():
        if action == "revoked":
            assert rule not in rules
        else:
            assert rules[rule]["CidrIpv4"] != WORLD


@pytest.mark.heavy
@pytest.mark.parametrize("carried_out", [False, True], ids=["before the call", "after it"])
def test_killed_at_each_call_in_turn_everything_is_done_and_told_as_ours(world, aws, scene, carried_out):
    service, begin, expected, first = scene
    for nth in range(first, 200):
        call = dies_at(service, aws, nth, carried_out, begin())
        if call is None:
            break
        at = f"killed at call {nth}, {call.name} {call.params.get('TopicArn', '')}"
        sent = [each.params["TopicArn"] for each in aws.requests if each.action == "Publish"]
        noted = str(service.state.items("notice")).count('"sent"')
        service.works()
        closed(world, expected)
        assert not service.queue.waiting and not service.queue.dead, at
        for rule, action in expected.items():
            told = actions_told(world, rule)
            assert set(told) == {action}, (at, told)
            most = 2 if world.record_topic in sent and noted < len(sent) else 1
            assert 1 <= told[action] <= most, (at, told)
            assert all(record["event_id"] for record in records_of(world, rule)), at
            heard = len(mails(world, rule))
            assert 1 <= heard <= (2 if world.people_topic in sent and noted < len(sent) else 1), (at, heard)
    assert first + 5 < nth < 199, "it lived to the end at once, or for ever"


def test_what_somebody_else_closed_is_never_called_ours(world, somebody, aws, looked):
    """The process dies before each of its calls, and before it comes back somebody closes the rule."""
    service = looked()
    delivered, expected = creates(world, somebody)
    put_back = aws.keep()
    for nth in range(1, 100):
        put_back()
        service.replace()
        call = dies_at(service, aws, nth, False, delivered)
        if call is None or set(revoked_ids([each for each in aws.mutations if each is not call])):
            break
        is_noted = bool(service.state.items("journal"))
        somebody.revokes(world.node_group, *expected)
        service.works()
        for rule in expected:
            told = actions_told(world, rule)
            # Once it is in the journal nobody can tell whether the call left.
            may = {"revoked", "was-open", "already-gone"} if is_noted else {"was-open"}
            assert set(told) <= may, (nth, call.name, told)
            assert told and len(mails(world, rule)) == 1, (nth, call.name, told, [each.subject for each in world.notices()])
        assert not aws.mutations or is_noted
    assert nth > 8


def test_of_thirty_four_groups_of_one_event_each_revoke_is_told_though_the_process_is_killed_between(
    world, aws, looked
):
    partners = prefix_list(world, "10.20.0.0/16")
    groups = [world.node_group]
    for number in range(33):
        groups.append(world.group(f"node-{number}"))
    for at in range(0, 33, 5):
        world.instance([world.node_group, *groups[1 + at : 6 + at]][1:], NODE)
    used = [rule for group in groups for rule in world.open(group, allow("tcp", 22, partners))]
    service = looked()
    happened = edits(world, partners, AddEntries=[WORLD])
    aws.on("RevokeSecurityGroupIngress", every=12, times=3, after=lambda: service.program.kill(), lose=True)
    [answer] = service.delivers(happened)
    assert answer.died
    service.works()
    assert not set(used) & world.rules().keys()
    for rule in used:
        assert dict(actions_told(world, rule)) == {"revoked": 1}
    assert world.notices()


# --- the table is away ----------------------------------------------------------------------------------------------------


AWAY = {"denied": {"error": "AccessDeniedException"}, "slow": {"delay": 5}, "cut off": {"drop": True}}


@pytest.mark.parametrize("way", AWAY.values(), ids=AWAY)
def test_a_journal_that_cannot_be_written_delays_no_revoke(world, somebody, aws, looked, way):
    service = looked()
    delivered, expected = creates(world, somebody)
    aws.on("PutItem", **way)
    service.delivers(delivered)
    closed(world, expected)
    revoke = aws.asked("RevokeSecurityGroupIngress")[0]
    looks = [each.end for each in aws.requests if each.reading and each.service == "ec2" and each.end < revoke.start]
    assert revoke.start - max(looks) < 1.0, "waited for at most 100 ms, and some for a slow machine"
    aws.calm()
    service.works()
    for rule in expected:
        assert set(actions_told(world, rule)) == {"revoked"}
        assert mails(world, rule)
    assert not service.queue.waiting and not service.queue.dead


# --- EC2's answer is lost -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_revoke_whose_answer_is_lost_is_told_as_ours(world, somebody, aws, looked, times):
    """The SDK asks again, and EC2 says then that the rule is not there."""
    service = looked()
    delivered, expected = creates(world, somebody)
    aws.on("RevokeSecurityGroupIngress", times=times, lose=True)
    service.delivers(delivered)
    service.works()
    closed(world, expected)
    for rule in expected:
        assert dict(actions_told(world, rule)) == {"revoked": 1}
        assert len(mails(world, rule)) == 1
