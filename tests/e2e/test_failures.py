"""When something goes wrong: late reads, throttling, refusals, lost answers, dead channels and processes, bad settings."""

import json
import os
import subprocess

import pytest

from checks import actions, closes, leaves, outcome
from events import delivered_again, rule_ids
from lambda_runtime import StartError, bootstrap
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
THREE = [KUBELET, allow("tcp", 22, WORLD), allow("tcp", (2379, 2380), WORLD)]


# --- EC2 is eventually consistent ---


def test_a_revoked_rule_that_is_still_listed_for_a_while_is_waited_for(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    aws.linger(rule_ids(event)[0], reads=2)
    closes(guard(), event, rule_ids(event))


def test_a_rule_that_never_leaves_the_list_is_not_called_revoked(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    aws.linger(rule_ids(event)[0], reads=float("inf"))
    answer = guard().invoke(event)
    assert answer.failed
    assert actions(answer) == {rule_ids(event)[0]: "failed"}


def test_a_new_rule_that_is_not_listed_yet_is_looked_for_again(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    aws.hide(rule_ids(event)[0], reads=2)
    closes(guard(), event, rule_ids(event))


# --- somebody was faster ---


def test_a_rule_that_vanishes_before_the_revoke_does_not_stop_the_others(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, *THREE)
    first, second, third = rule_ids(event)
    aws.on("RevokeSecurityGroupIngress", times=1, before=lambda: somebody.revokes(world.node_group, second))
    answer = guard().invoke(event)
    assert not answer.failed
    assert actions(answer) == {first: "revoked", second: "already-gone", third: "revoked"}
    assert not world.rules().keys() & {first, second, third}
    assert outcome(answer) == "remediated"


def test_a_group_that_is_gone_is_a_success(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    aws.ec2.delete_security_group(GroupId=world.node_group)
    leaves(guard(), event)


def test_a_group_that_vanishes_before_the_revoke_is_a_success(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    aws.on("RevokeSecurityGroupIngress", times=1, before=lambda: aws.ec2.delete_security_group(GroupId=world.node_group))
    answer = guard().invoke(event)
    assert not answer.failed
    assert actions(answer) == {rule_ids(event)[0]: "already-gone"}


# --- AWS says no, or nothing ---


@pytest.mark.parametrize("action", ["DescribeSecurityGroupRules", "DescribeSecurityGroups", "RevokeSecurityGroupIngress"])
def test_throttling_is_retried(world, somebody, guard, aws, action):
    event = somebody.authorizes(world.node_group, KUBELET)
    aws.on(action, times=2, error="RequestLimitExceeded", status=503)
    closes(guard(), event, rule_ids(event))


def test_a_lost_request_is_sent_again(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    aws.on("RevokeSecurityGroupIngress", times=1, drop=True)
    closes(guard(), event, rule_ids(event))


def test_a_lost_answer_to_a_revoke_is_no_failure(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    aws.on("RevokeSecurityGroupIngress", times=1, lose=True)
    answer = guard().invoke(event)
    assert not answer.failed
    assert actions(answer)[rule_ids(event)[0]] in {"revoked", "already-gone"}
    assert rule_ids(event)[0] not in world.rules()


def test_reading_that_stays_impossible_is_an_error_and_changes_nothing(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    before = world.rules()
    aws.on("DescribeSecurityGroupRules", error="UnauthorizedOperation", status=403)
    assert guard().invoke(event).failed
    assert world.rules() == before
    assert not aws.mutations


def test_a_refused_revoke_is_a_failure_that_people_hear_of(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    aws.on("RevokeSecurityGroupIngress", error="UnauthorizedOperation", status=403)
    answer = guard().invoke(event)
    assert answer.failed
    assert outcome(answer) == "failed"
    assert actions(answer) == {rule_ids(event)[0]: "failed"}
    assert rule_ids(event)[0] in world.rules()
    (notice,) = world.notices()
    assert (notice.attributes["severity"], notice.attributes["outcome"]) == ("critical", "failed")


def test_one_refused_revoke_of_three_leaves_the_others_done_and_the_record_says_which(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, *THREE)
    first, second, third = rule_ids(event)
    aws.on(
        "RevokeSecurityGroupIngress",
        when=lambda params: second in params["SecurityGroupRuleIds"],
        error="UnauthorizedOperation",
        status=403,
    )
    answer = guard().invoke(event)
    assert answer.failed
    assert world.rules().keys() & {first, second, third} == {second}
    assert actions(answer) == {first: "revoked", second: "failed", third: "revoked"}
    assert outcome(answer) == "failed"


# --- nobody may stay uninformed ---


def test_a_dead_channel_is_an_error_the_other_channel_is_served_and_the_repeat_sends(world, somebody, guard, aws):
    event, function = somebody.authorizes(world.node_group, KUBELET), guard()
    aws.on("Publish", when=lambda params: params["TopicArn"] == world.people_topic, error="InternalError", status=500)
    answer = function.invoke(event)
    assert answer.failed
    assert rule_ids(event)[0] not in world.rules()
    assert not world.notices()
    assert len(world.published_records()) == 1
    aws.calm()
    assert not function.invoke(delivered_again(event)).failed
    assert len(world.notices()) == 1
    assert event["detail"]["eventID"] in {record["event_id"] for record in answer.logged_records}


def test_a_process_that_dies_after_the_revoke_still_notifies_when_the_event_comes_again(world, somebody, guard, aws):
    event, function = somebody.authorizes(world.node_group, KUBELET), guard()
    aws.on("RevokeSecurityGroupIngress", times=1, after=function.kill)
    answer = function.invoke(event)
    assert answer.died
    assert rule_ids(event)[0] not in world.rules()
    assert not world.notices()
    again = function.invoke(delivered_again(event))
    assert not again.failed
    assert len(world.notices()) == 1


def test_one_failed_invocation_does_not_spoil_the_next(world, somebody, guard):
    function = guard()
    assert function.invoke({}).failed
    event = somebody.authorizes(world.node_group, KUBELET)
    closes(function, event, rule_ids(event))


# --- settings ---


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GUARD_MODE", "enforced"),
        ("GUARD_SWEEP_MODE", "off"),
        ("GUARD_POLICY", "/nowhere/policy.yaml"),
        ("GUARD_POLICY", "lax"),
        ("GUARD_REGIONS", "eu-west-x"),
        ("GUARD_MAX_REVOKES", "many"),
    ],
)
def test_a_bad_setting_stops_the_start_and_is_named_with_its_value(guard, variable, value):
    with pytest.raises(StartError) as refused:
        guard(**{variable: value}).start()
    assert variable in str(refused.value)
    assert value in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("a directory", "directory"),
        (b"version: 1\nclauses: \xff\n", "UTF-8"),
        (b"version: 1\nclause: []\n", "unknown-key"),
        (b"", "the policy is empty"),
    ],
)
def test_a_policy_that_does_not_load_stops_the_start_and_is_named_by_its_variable(guard, tmp_path, content, said):
    path = tmp_path / "policy.yaml"
    if content == "a directory":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(StartError) as refused:
        guard(GUARD_POLICY=str(path)).start()
    assert f"GUARD_POLICY is `{path}`" in str(refused.value)
    assert said in str(refused.value)


def test_a_policy_that_may_not_be_read_is_named_too(guard, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read everything")
    with pytest.raises(StartError, match=f"GUARD_POLICY is `{path}`.*Permission denied"):
        guard(GUARD_POLICY=str(path)).start()


# --- the program itself ---


def test_a_panic_is_one_line_of_the_log_and_an_error(guard):
    # What Lambda sets is taken at its word by the runtime's library, which panics at this.
    with pytest.raises(StartError) as ended:
        guard(AWS_LAMBDA_FUNCTION_MEMORY_SIZE="much").start()
    (line,) = [line for line in str(ended.value).splitlines() if "panicked" in line]
    said = json.loads(line[line.index("{") :])
    assert said["level"] == "ERROR"
    assert "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" in said["panic"]
    assert "stack backtrace" not in str(ended.value), "each line of it would be an entry of the log"


def test_a_panic_is_told_where_no_error_is_logged(guard):
    with pytest.raises(StartError, match="panicked"):
        guard(AWS_LAMBDA_FUNCTION_MEMORY_SIZE="much", RUST_LOG="off").start()


def test_outside_of_lambda_it_says_what_to_use():
    ended = subprocess.run([bootstrap()], env={}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "`AWS_LAMBDA_RUNTIME_API` is not set" in ended.stdout
    assert "eks-sg-guard" in json.loads(ended.stdout.splitlines()[-1])["error"]
