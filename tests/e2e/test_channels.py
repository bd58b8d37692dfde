"""Chat: what goes to Slack and to Amazon Q Developer, and what a channel that fails does to the others."""

import json

import pytest
from checks import closes, leaves
from events import rule_ids
from slack import Hook, Says
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)


def opened(world, somebody):
    return somebody.authorizes(world.node_group, KUBELET)


def silent(answer) -> None:
    """Nobody learns the webhook's address."""
    said = "\n".join([*answer.lines, answer.error_message or ""])
    assert Hook.TOKEN not in said, said


def test_slack_gets_blocks_and_the_others_get_theirs(world, somebody, guard):
    hook = Hook()
    function = guard(GUARD_SLACK_SECRET_ARN=world.secret(hook.url))
    event = opened(world, somebody)
    silent(closes(function, event, rule_ids(event)))
    (post,) = hook.posts
    assert post["text"] == world.notices()[0].subject
    assert post["blocks"][0]["type"] == "header"
    assert rule_ids(event)[0] in json.dumps(post)
    assert len(world.published_records()) == 1
    again = opened(world, somebody)
    closes(function, again, rule_ids(again))
    assert len(hook.posts) == 2
    assert len(world.emulator.asked("GetSecretValue")) <= 1, "the address is kept"


@pytest.mark.parametrize(
    ("answers", "pause"),
    [
        pytest.param([Says(429, "rate_limited", {"Retry-After": "2"})], 2.0, id="asked to wait, it waits so long"),
        pytest.param([Says(500, "internal"), Says(503, "busy")], 0.4, id="a server error is tried again"),
        pytest.param([Says(after=5)], 2.9, id="a server that hangs is left after three seconds and tried again"),
    ],
)
def test_what_passes_is_waited_for(world, somebody, guard, answers, pause):
    hook = Hook(*answers)
    event = opened(world, somebody)
    silent(closes(guard(GUARD_SLACK_SECRET_ARN=world.secret(hook.url)), event, rule_ids(event)))
    assert len(hook.posts) == len(answers) + 1
    assert hook.times[1] - hook.times[0] >= pause


@pytest.mark.parametrize(
    ("answers", "posts", "said"),
    [
        pytest.param([Says(body="<html>sign in</html>")] * 9, 1, "answered 200", id="a page that is not Slack's"),
        pytest.param([Says(400, "invalid_payload")] * 9, 1, "`invalid_payload`", id="a refusal is final"),
        pytest.param([Says(429, "slow", {"Retry-After": "3600"})] * 9, 1, "answered 429", id="a pause longer than we live"),
        pytest.param([Says(500, f"no {Hook.TOKEN}")] * 9, 4, "answered 500", id="a server that stays broken"),
        pytest.param([Says(404, "no_service")] * 9, 2, "`no_service`", id="a webhook that is gone, and no new one"),
    ],
)
def test_what_does_not_arrive_is_an_error_and_stops_no_other_channel(world, somebody, guard, answers, posts, said):
    hook = Hook(*answers)
    event = opened(world, somebody)
    answer = guard(GUARD_SLACK_SECRET_ARN=world.secret(hook.url)).invoke(event)
    assert not set(rule_ids(event)) & world.rules(world.node_group).keys(), "it is closed"
    assert answer.failed
    assert "the message to Slack could not be sent" in answer.error_message
    assert said in answer.error_message
    assert len(hook.posts) == posts
    assert len(world.notices()) == len(world.published_records()) == 1
    (metrics,) = [line for line in answer.log if line["target"] == "metrics"]
    assert (metrics["NoticeFailures"], metrics["NoticesSent"], metrics["InvocationErrors"]) == (1, 2, 1)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_replaced_webhook_is_found_without_a_restart(world, somebody, guard, status):
    old, new = Hook(Says()), Hook()
    secret = world.secret(old.url)
    function = guard(GUARD_SLACK_SECRET_ARN=secret)
    event = opened(world, somebody)
    closes(function, event, rule_ids(event))
    old.answers = [Says(status, "revoked")] * 9
    world.emulator.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=json.dumps({"url": new.url}))
    event = opened(world, somebody)
    silent(closes(function, event, rule_ids(event)))
    assert (len(old.posts), len(new.posts)) == (2, 1)


@pytest.mark.parametrize("content", ["xoxb-T0SECRETB0SECRETxyz", "http://hooks.example/T0SECRETB0SECRETxyz"])
def test_a_secret_that_is_no_webhook_is_said_and_not_shown(world, somebody, guard, content):
    event = opened(world, somebody)
    answer = guard(GUARD_SLACK_SECRET_ARN=world.secret(content)).invoke(event)
    assert answer.failed
    assert "expected the address of an incoming webhook" in answer.error_message
    silent(answer)
    assert len(world.notices()) == 1


def test_amazon_q_gets_its_schema_and_one_thread_per_group(world, somebody, guard):
    chat = world.emulator.sns.create_topic(Name="chat")["TopicArn"]
    function = guard(GUARD_CHAT_TOPIC_ARN=chat)
    for _ in range(2):
        event = opened(world, somebody)
        closes(function, event, rule_ids(event))
    sent = [json.loads(each.text) for each in world.emulator.messages(chat)]
    assert [each["version"] for each in sent] == ["1.0", "1.0"]
    assert {each["source"] for each in sent} == {"custom"}
    assert all(each["content"]["description"] for each in sent)
    (thread,) = {each["metadata"]["threadId"] for each in sent}
    assert thread.endswith(f":security-group/{world.node_group}")
    assert world.emulator.messages(chat)[0].subject is None


def test_a_sweep_is_one_digest_per_cluster(world, guard):
    hook = Hook()
    world.open(world.node_group, KUBELET, allow("tcp", 9000, WORLD))
    world.open(world.pod_group, KUBELET)
    answer = leaves(guard(GUARD_SLACK_SECRET_ARN=world.secret(hook.url)), {"sweep": True})
    (digest,) = world.notices()
    assert digest.attributes["trigger"] == "sweep"
    assert digest.attributes["severity"] == "critical"
    assert world.node_group in digest.text
    assert world.pod_group in digest.text
    assert "sweep" in digest.subject
    assert len(hook.posts) == 1
    sent = [record for record in answer.response["records"] if record["outcome"] != "compliant"]
    assert len(world.published_records()) == len(sent) == 3, "two groups, and the public endpoint of the cluster"


def test_a_sweep_that_finds_nothing_new_notifies_nobody(world, guard):
    hook = Hook()
    function = guard(GUARD_SLACK_SECRET_ARN=world.secret(hook.url), GUARD_STATE_TABLE=world.state_table())
    leaves(function, {"sweep": {"groups": [world.node_group]}})
    assert not world.notices(), "nothing is wrong with it"
    world.open(world.node_group, KUBELET)
    for _ in range(2):
        leaves(function, {"sweep": {"groups": [world.node_group]}})
        assert len(world.notices()) == len(hook.posts) == 1, "once an hour"


def test_what_a_healthy_cluster_needs_is_no_news(world, guard):
    answer = leaves(guard(), {"sweep": True})
    findings = [each for record in answer.response["records"] for each in record["findings"]]
    clauses = {part["clause"] for each in findings for part in each["portions"]}
    assert clauses == {"public-endpoint"}, "the emulated cluster has one, open to everybody"


def test_what_nobody_needs_is_no_metric_and_stands_in_the_log(world, somebody, guard):
    event = opened(world, somebody)
    answer = closes(guard(GUARD_METRICS="needed"), event, rule_ids(event))
    (metrics,) = [line for line in answer.log if line["target"] == "metrics"]
    names = {metric["Name"] for metric in metrics["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names == {"Remediated", "RulesRevoked", "TimeOpen"}, "zeros cost as much as anything else"
    assert (metrics["Refused"], metrics["VerdictRevoke"], metrics["SeverityCritical"]) == (0, 1, 1)
    answer = leaves(guard(GUARD_METRICS="needed"), {"sweep": {"groups": [world.bastion_group]}})
    (metrics,) = [line for line in answer.log if line["target"] == "metrics"]
    assert "_aws" not in metrics and metrics["ApiCalls"] > 0


def test_every_invocation_is_measured(world, somebody, guard):
    function = guard()
    event = opened(world, somebody)
    answer = closes(function, event, rule_ids(event))
    (metrics,) = [line for line in answer.log if line["target"] == "metrics"]
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "eks-sg-guard"
    assert directive["Dimensions"] == [["Function"]]
    names = {metric["Name"] for metric in directive["Metrics"]}
    assert names <= metrics.keys()
    assert (metrics["Remediated"], metrics["RulesRevoked"], metrics["NoticesSent"]) == (1, 1, 2)
    assert metrics["ApiCalls"] == len(world.emulator.requests)
    assert len(metrics["TimeOpen"]) == 1
    idle = function.invoke({"sweep": {"groups": [world.bastion_group]}})
    (metrics,) = [line for line in idle.log if line["target"] == "metrics"]
    assert metrics["Remediated"] == metrics["NoticesSent"] == 0
    assert "TimeOpen" not in metrics
