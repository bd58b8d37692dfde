"""Nobody is kept waiting, and what cannot be done now is done later: the work queue with the real program."""

import json

import pytest

from checks import revoked_ids
from events import delivered_again, event, omitted, rule_ids
from telling import actions_told, mails
from test_known import KUBELET_RULE, edits, prefix_list
from test_triggers import puts_on
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
HARMLESS = allow("tcp", 8443, "10.0.0.0/8")
LIST_CALL = "ModifyManagedPrefixListRequest"


def was_open_is_told_once(world, service, *events, rule, word="according to the event"):
    """Nothing is done, and people hear once that it was open."""
    before = world.rules()
    world.emulator.forget()
    answers = service.delivers(*events)
    answers += service.works(60)
    assert world.rules() == before and not world.emulator.mutations
    heard = mails(world, word)
    assert len(heard) == 1, [(each.subject, each.text) for each in world.notices()]
    if rule:
        assert actions_told(world, rule)["was-open"] == 1
    assert max(answer.seconds for answer in answers) < 3, "one second, and some for a slow machine"
    assert not service.queue.waiting and not service.queue.dead
    service.delivers(*map(delivered_again, events))
    service.works(60)
    assert len(mails(world, word)) == 1, "a repeat is no news"
    return heard[0]


# --- was open -------------------------------------------------------------------------------------------------------------


def test_a_rule_that_was_made_and_deleted_before_we_look_is_told(world, somebody, looked):
    service = looked()
    made = somebody.authorizes(world.node_group, KUBELET)
    [rule] = rule_ids(made)
    gone = somebody.revokes(world.node_group, rule)
    mail = was_open_is_told_once(world, service, made, gone, rule=rule)
    for word in ("alice", world.node_group, "10250"):
        assert word in mail.text


def test_a_rule_that_was_edited_in_place_and_back_is_told(world, somebody, looked):
    [rule] = world.open(world.node_group, allow("tcp", 10250, "10.20.0.0/16"))
    service = looked()
    there = somebody.modifies(world.node_group, {rule: KUBELET_RULE})
    back = somebody.modifies(world.node_group, {rule: {**KUBELET_RULE, "CidrIpv4": "10.20.0.0/16"}})
    was_open_is_told_once(world, service, there, back, rule=rule)


def test_a_list_that_held_the_world_for_a_moment_is_told(world, looked):
    partners = prefix_list(world, "10.20.0.0/16")
    world.open(world.node_group, allow("tcp", 10250, partners))
    service = looked()
    there = edits(world, partners, AddEntries=[WORLD])
    there["detail"]["requestParameters"][LIST_CALL]["AddEntry"] = {"Cidr": WORLD, "tag": 1}
    back = edits(world, partners, RemoveEntries=[WORLD])
    was_open_is_told_once(world, service, there, back, rule=None)


@pytest.mark.parametrize("answers", [True, False], ids=["a version that is kept", "a version that is gone"])
def test_a_list_that_was_given_back_an_older_version_for_a_moment_is_told(world, looked, answers):
    partners = prefix_list(world, WORLD)
    edits(world, partners, RemoveEntries=[WORLD], AddEntries=["10.20.0.0/16"])
    world.open(world.node_group, allow("tcp", 10250, partners))
    service = looked()
    there = edits(world, partners, AddEntries=[WORLD])
    there["detail"]["eventName"] = "RestoreManagedPrefixListVersion"
    asked = {"PrefixListId": partners, "PreviousVersion": 1 if answers else 77, "CurrentVersion": 2}
    there["detail"]["requestParameters"] = {"RestoreManagedPrefixListVersionRequest": asked}
    back = edits(world, partners, RemoveEntries=[WORLD])
    if answers:
        was_open_is_told_once(world, service, there, back, rule=None)
    else:
        assert not any(answer.failed for answer in service.delivers(there, back) + service.works(60))
        assert not mails(world, "according to the event")


def test_an_open_group_that_was_attached_for_a_moment_is_told(world, looked):
    group = world.group("debug")
    world.open(group, KUBELET)
    service = looked()
    interface = world.interface_of(world.node_group)
    there = puts_on(world, interface, world.node_group, group)
    back = puts_on(world, interface, world.node_group)
    was_open_is_told_once(world, service, there, back, rule=None, word=group)


def test_a_group_of_the_cluster_that_is_deleted_with_its_rule_is_told(world, somebody, looked):
    group = world.group("prod-blue")
    interface = world.interface(group, "aws-k8s-branch-eni", kind="branch", tags={"kubernetes.io/cluster/prod": "owned"})
    world.open(group, allow("-1", None, world.cluster_group))
    world.open(world.cluster_group, allow("tcp", 53, group))
    service = looked()
    made = somebody.authorizes(group, KUBELET)
    world.emulator.ec2.delete_network_interface(NetworkInterfaceId=interface)
    for rule, each in world.rules(world.cluster_group).items():
        if each.get("ReferencedGroupInfo", {}).get("GroupId") == group:
            world.emulator.ec2.revoke_security_group_ingress(GroupId=world.cluster_group, SecurityGroupRuleIds=[rule])
    world.emulator.ec2.delete_security_group(GroupId=group)
    was_open_is_told_once(world, service, made, rule=rule_ids(made)[0])


def test_a_rule_that_only_the_policy_would_report_waits_for_the_digest(world, somebody, looked):
    service = looked()
    made = somebody.authorizes(world.node_group, allow("tcp", 8080, WORLD))
    somebody.revokes(world.node_group, *rule_ids(made))
    service.delivers(made)
    service.works(60)
    assert not mails(world, rule_ids(made)[0])


def test_a_rule_that_ec2_shows_late_is_closed_at_the_second_look(world, somebody, looked, aws):
    service = looked()
    made = somebody.authorizes(world.node_group, KUBELET)
    aws.hide(rule_ids(made)[0], reads=20)
    service.delivers(made)
    assert rule_ids(made)[0] in world.rules()
    for veil in aws._rule_views._veils:
        veil.reads = 0
    service.works()
    assert not set(rule_ids(made)) & world.rules().keys()
    assert dict(actions_told(world, rule_ids(made)[0])) == {"revoked": 1}


# --- slots ----------------------------------------------------------------------------------------------------------------


def seconds(service, delivered):
    """How long a warm process takes for it."""
    [answer] = service.delivers(delivered)
    assert not answer.failed, answer.error_message
    return answer.seconds


def test_what_is_harmless_and_gone_frees_its_slot_in_under_a_second(world, somebody, looked):
    service = looked()
    service.delivers(somebody.authorizes(world.node_group, HARMLESS))
    gone = somebody.authorizes(world.node_group, allow("tcp", 8444, "10.0.0.0/8"))
    somebody.revokes(world.node_group, *rule_ids(gone))
    assert seconds(service, gone) < 1
    for at in range(3):
        group = world.group(f"ci-{at}")
        made = somebody.authorizes(group, allow("tcp", 8080 + at, "10.0.0.0/8"))
        world.emulator.ec2.delete_security_group(GroupId=group)
        assert seconds(service, made) < 1
    request = {"groupName": "ci-x", "groupDescription": "ci", "vpcId": world.vpc}
    created = event("CreateSecurityGroup", request, {"groupId": "sg-0123456789abcdef0", "_return": True})
    assert seconds(service, created) < 1
    service.works()
    assert not world.notices()


def test_a_batch_of_ten_with_nine_that_are_gone_closes_the_tenth_at_once(world, somebody, looked):
    service = looked()
    bodies = []
    for at in range(9):
        group = world.group(f"ci-{at}")
        bodies.append(somebody.authorizes(group, KUBELET))
        world.emulator.ec2.delete_security_group(GroupId=group)
    bodies.append(somebody.authorizes(world.node_group, KUBELET))
    batch = {
        "Records": [
            {"messageId": f"m-{at}", "eventSource": "aws:sqs", "body": json.dumps(body)} for at, body in enumerate(bodies)
        ]
    }
    answer = service.program.invoke(batch, service.timeout)
    assert not set(rule_ids(bodies[-1])) & world.rules().keys()
    assert answer.seconds < 15
    assert not answer.response["batchItemFailures"]


# --- limits and throttling ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [4, 45])
def test_what_ec2_throttles_for_longer_than_three_minutes_is_closed_then_and_told_at_the_first_failure(
    world, somebody, looked, aws, minutes
):
    service = looked()
    made = somebody.authorizes(world.node_group, KUBELET)
    aws.on("DescribeSecurityGroupRules", error="RequestLimitExceeded", status=503)
    service.delivers(made)
    heard = mails(world, world.node_group, "AuthorizeSecurityGroupIngress", "alice", "10250")
    assert len(heard) == 1, [(each.subject, each.text) for each in world.notices()]
    service.works(minutes * 60)
    assert len(world.notices()) == 1, "quiet in between"
    aws.calm()
    service.works()
    assert not set(rule_ids(made)) & world.rules().keys()
    assert dict(actions_told(world, rule_ids(made)[0])) == {"revoked": 1}
    assert not service.queue.waiting and not service.queue.dead


def test_what_ec2_throttles_for_hours_is_told_at_the_first_failure_and_at_the_last(world, somebody, looked, aws):
    service = looked()
    made = somebody.authorizes(world.node_group, KUBELET)
    aws.on("DescribeSecurityGroupRules", error="RequestLimitExceeded", status=503)
    service.delivers(made)
    began = service.now
    service.works()
    assert service.now - began > 3600
    first, last = mails(world, world.node_group, "AuthorizeSecurityGroupIngress", "alice", "10250")
    assert "given up" in last.text and "given up" not in first.text
    assert len(service.queue.dead) == 1
    assert json.loads(service.queue.dead[0])["requestPayload"]["detail"]["eventID"] == made["detail"]["eventID"]


def test_twelve_padded_requests_in_a_minute_are_one_look_at_everything_and_no_error(world, somebody, looked, aws):
    service = looked()
    made = [somebody.authorizes(world.node_group, allow("tcp", 10250, f"203.0.{at}.0/24")) for at in range(12)]
    aws.forget()
    for each in made:
        [answer] = service.delivers(omitted(each, "requestParameters", "responseElements"))
        assert not answer.failed, answer.error_message
        service.passes(4)
    service.works()
    assert len(aws.asked("ListClusters")) == 1, "one look"
    assert not {rule for each in made for rule in rule_ids(each)} & world.rules().keys()
    assert not service.queue.waiting and not service.queue.dead


def test_180_forbidden_rules_of_one_call_are_all_closed_in_the_end(world, somebody, looked, aws):
    service = looked()
    made = somebody.authorizes(
        world.node_group, *(allow("tcp", 10250, *(f"203.{each}.{at}.0/24" for at in range(60))) for each in range(3))
    )
    assert len(rule_ids(made)) == 180
    aws.forget()
    answers = service.delivers(made) + service.works()
    assert not [answer.error_message for answer in answers if answer.failed]
    assert not set(rule_ids(made)) & world.rules().keys()
    assert all(each <= 50 for each in map(len, [revoked_ids([request]) for request in aws.mutations]))
    for rule in rule_ids(made):
        assert actions_told(world, rule)["revoked"] == 1
    assert len(world.notices()) <= 4
    assert not service.queue.waiting and not service.queue.dead


# --- without queue or table -----------------------------------------------------------------------------------------------


def test_a_queue_that_is_down_keeps_nothing_open_and_nobody_uninformed(world, somebody, looked, aws):
    service = looked()
    aws.on("SendMessage", error="InternalError", status=500)
    made = somebody.authorizes(world.node_group, KUBELET)
    [answer] = service.delivers(made)
    assert not answer.failed, answer.error_message
    assert not set(rule_ids(made)) & world.rules().keys()
    assert len(mails(world, rule_ids(made)[0])) == 1
    padded = somebody.authorizes(world.node_group, allow("tcp", 2379, WORLD))
    service.delivers(omitted(padded, "requestParameters", "responseElements"))
    assert not set(rule_ids(padded)) & world.rules().keys(), "looked at now, as it cannot be put off"


def test_a_queue_and_a_table_that_are_both_gone_keep_nothing_open_and_nobody_uninformed(world, somebody, looked, aws):
    service = looked()
    for action in ("SendMessage", "ChangeMessageVisibility", "BatchGetItem", "PutItem"):
        aws.on(action, error="InternalError", status=500)
    made = somebody.authorizes(world.node_group, KUBELET)
    service.program.invoke(made)
    assert not set(rule_ids(made)) & world.rules().keys()
    assert len(mails(world, rule_ids(made)[0])) == 1


def test_a_flooded_queue_keeps_nothing_open(world, somebody, looked):
    service = looked()
    for at in range(300):
        service.queue.send(json.dumps({"n": at}))
    made = somebody.authorizes(world.node_group, KUBELET)
    [answer] = service.delivers(made)
    assert not answer.failed and answer.seconds < 10
    assert not set(rule_ids(made)) & world.rules().keys()


HOSTILE = {
    "text": "hello",
    "empty": " ",
    "a number": "7",
    "null": "null",
    "deep": "[" * 10_000,
    "an order of another edition": '{"eks-sg-guard": {"version": 99, "hops": 0, "at": "2026-01-01T00:00:00Z", "task": {}}}',
    "an order without a task": '{"eks-sg-guard": {"version": 1, "hops": 0, "at": "2026-01-01T00:00:00Z"}}',
    "hops without end": '{"eks-sg-guard": {"version": 1, "hops": 101, "at": "2026-01-01T00:00:00Z", "task": {"sweep": '
    '{"location": {"account": "123456789012", "region": "us-east-1"}}}}}',
    "an envelope of nothing": '{"requestPayload": {}}',
    "a sweep by hand of what is not there": '{"sweep": {"groups": ["sg-0123456789abcdef0"]}}',
    "large": '{"x": "' + "y" * 200_000 + '"}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_message_that_is_not_understood_changes_nothing_and_stops_no_other(world, somebody, looked, aws, body):
    service = looked()
    before = world.rules()
    service.queue.send(body)
    made = somebody.authorizes(world.node_group, KUBELET)
    service.queue.send(json.dumps(made))
    aws.forget()
    answers = service.works()
    assert not any(answer.died for answer in answers)
    assert world.rules() == before
    assert set(revoked_ids(aws.mutations)) == set(rule_ids(made))
    assert len(service.queue.dead) <= 1 and not service.queue.waiting
