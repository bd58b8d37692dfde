"""The commands of `deploy/` on a stack of the real template: stop, start, status, logs, redrive, removal, demonstration."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

import deployed
from checks import Guard
from emulator import Emulator
from events import Somebody
from template import TEMPLATE
from world import WORLD, World, allow

sys.path.insert(0, str(TEMPLATE.parent))

from deploy import account, aws as stacks, demo, deploy, mode, redrive, remove, status  # noqa: E402

DONE = {"Payload": {"records": [], "ignored": None, "batchItemFailures": []}}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def made(aws: Emulator) -> Callable[..., tuple[stacks.Stack, deployed.Lambda]]:
    def make(invoke: Callable[[Any], dict[str, Any]] = lambda _: DONE, **parameters: str) -> Any:
        aws.reset()
        deployed.deploy(aws, **parameters)
        client, functions = deployed.clients(aws, invoke)
        return stacks.Stack(deployed.NAME, client), functions

    return make


def variables(stack: stacks.Stack) -> dict[str, str]:
    return stack.variables(stack.configuration())


# ---------------------------------------------------------------- stop and start


def test_stop_changes_the_mode_and_nothing_else_and_start_undoes_it(made, said):
    stack, _ = made(GuardMode="enforce")
    before = variables(stack)
    mode.stop(stack, said.append)
    assert variables(stack) == before | {"GUARD_MODE": "report"}
    assert "drifts" in " ".join(said) and "make start STACK=guard" in " ".join(said)
    mode.stop(stack, said.append)
    assert "nothing was changed" in said[-1]
    mode.start(stack, said.append)
    assert variables(stack) == before
    mode.start(stack, said.append)
    assert "nothing was changed" in said[-1]


def test_start_only_undoes_stop(made, said):
    stack, _ = made(GuardMode="report")
    with pytest.raises(stacks.Refusal, match="deployed with GuardMode=report.*make deploy STACK=guard"):
        mode.start(stack, said.append)
    assert variables(stack)["GUARD_MODE"] == "report"


def test_an_environment_that_cannot_be_read_is_not_written_back(made, said, monkeypatch):
    stack, functions = made(GuardMode="enforce")
    configuration = stack.configuration() | {"Environment": {"Error": {"ErrorCode": "AccessDenied", "Message": "no key"}}}
    monkeypatch.setattr(stacks.Stack, "configuration", lambda _: configuration)
    with pytest.raises(stacks.Refusal, match="no key.*kms:Decrypt"):
        mode.stop(stack, said.append)
    left = functions.get_function_configuration(FunctionName=stack.function)["Environment"]["Variables"]
    assert left["GUARD_MODE"] == "enforce"


def test_two_at_once_do_not_undo_each_other(made, said, monkeypatch):
    stack, functions = made(GuardMode="enforce")
    old = stack.configuration()
    other = {"Environment": {"Variables": {**variables(stack), "GUARD_MAX_REVOKES": "1"}}}
    functions.update_function_configuration(FunctionName=stack.function, RevisionId=old["RevisionId"], **other)
    monkeypatch.setattr(stacks.Stack, "configuration", lambda _: old)
    with pytest.raises(stacks.Refusal, match="try again"):
        mode.stop(stack, said.append)
    monkeypatch.undo()
    assert (variables(stack)["GUARD_MAX_REVOKES"], variables(stack)["GUARD_MODE"]) == ("1", "enforce")


@pytest.mark.parametrize("error", ["ResourceConflictException", "AccessDeniedException"])
def test_what_aws_refuses_is_said(made, said, error):
    stack, functions = made(GuardMode="enforce")

    def refused(**_: Any) -> None:
        raise ClientError({"Error": {"Code": error}}, "UpdateFunctionConfiguration")

    functions.update_function_configuration = refused
    expected = ClientError if error == "AccessDeniedException" else stacks.Refusal
    with pytest.raises(expected):
        mode.stop(stack, said.append)


def test_a_stack_that_is_not_there_or_not_ours_is_said(aws, said):
    aws.reset()
    client, _ = deployed.clients(aws, lambda _: DONE)
    with pytest.raises(stacks.Refusal, match="no stack `guard`.*STACK="):
        mode.stop(stacks.Stack("guard", client), said.append)
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    aws.client("cloudformation").create_stack(StackName="other", TemplateBody=json.dumps(template))
    with pytest.raises(stacks.Refusal, match="no output `FunctionName`"):
        mode.stop(stacks.Stack("other", client), said.append)


# ---------------------------------------------------------------- what was left


def waiting(stack: stacks.Stack, output: str) -> int:
    return status._waiting(stack, stack.output(output))


def send(stack: stacks.Stack, output: str, *bodies: str) -> None:
    for body in bodies:
        stack.client("sqs").send_message(QueueUrl=stack.output(output), MessageBody=body)


def test_what_was_left_is_handed_over_and_deleted_once_it_is_done(made, said):
    stack, functions = made()
    send(stack, "FailureQueueUrl", "a", "b")
    send(stack, "RuleDeadLetterQueueUrl", "c")
    assert redrive.redrive(stack, said.append).done == 3
    assert sorted(event["Records"][0]["body"] for event in functions.invoked) == ["a", "b", "c"]
    for event in functions.invoked:
        assert event["Records"][0]["eventSourceARN"].rpartition(":")[2] == stack.output("WorkQueueUrl").rpartition("/")[2]
    assert waiting(stack, "FailureQueueUrl") == waiting(stack, "RuleDeadLetterQueueUrl") == 0
    assert waiting(stack, "WorkQueueUrl") == 0, "nothing is sent to a queue that only the guard may write"


@pytest.mark.parametrize(
    "answer",
    [
        {"FunctionError": "Unhandled", "Payload": {"errorType": "Unfinished", "errorMessage": "denied"}},
        {"FunctionError": "Unhandled", "Payload": "Task timed out"},
        {"Payload": {"batchItemFailures": [{"itemIdentifier": "x"}]}},
        {"Payload": {"records": []}},
        {"Payload": None},
    ],
    ids=str,
)
def test_what_the_function_does_not_do_stays(made, said, answer):
    stack, functions = made(lambda event: answer if event["Records"][0]["body"] == "bad" else DONE)
    send(stack, "FailureQueueUrl", "bad", "good")
    redriven = redrive.redrive(stack, said.append)
    assert (redriven.done, len(redriven.failures)) == (1, 1)
    assert waiting(stack, "FailureQueueUrl") == 1
    assert len(functions.invoked) == 2, "each once"


def test_an_event_that_was_never_delivered_is_handled_by_the_real_program(world: World, somebody: Somebody, guard, said):
    """From the dead-letter queue of the rule to a rule that is gone."""
    deployed.deploy(world.emulator, GuardMode="enforce")
    program: Guard = guard(GUARD_MODE="enforce")

    def invoke(event: Any) -> dict[str, Any]:
        answer = program.invoke(event)
        assert not answer.failed
        return {"Payload": answer.response}

    client, _ = deployed.clients(world.emulator, invoke)
    stack = stacks.Stack(deployed.NAME, client)
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, WORLD))
    send(stack, "RuleDeadLetterQueueUrl", json.dumps(event), '{"sweep": true}')
    before = world.rules()
    redriven = redrive.redrive(stack, said.append)
    assert (redriven.done, redriven.failures) == (2, [])
    assert len(before.keys() - world.rules().keys()) == 1
    assert waiting(stack, "RuleDeadLetterQueueUrl") == 0


# ---------------------------------------------------------------- how it is


def test_status_says_what_is_set_and_what_is_not_as_deployed(made, said):
    stack, _ = made(GuardMode="enforce", GuardPolicy="strict")
    status.status(stack, said.append)
    text = "\n".join(said)
    assert "mode:           enforce" in text and "policy:         strict" in text and "none rings" in text
    assert "none in 15 days" in text
    mode.stop(stack, lambda _: None)
    send(stack, "FailureQueueUrl", "a")
    cloudwatch = stack.client("cloudwatch")
    metric = {"MetricName": "SweepsEnded", "Dimensions": [{"Name": "Function", "Value": stack.function}]}
    cloudwatch.put_metric_data(Namespace="eks-sg-guard", MetricData=[{**metric, "Value": 1, "Timestamp": time.time() - 60}])
    said.clear()
    status.status(stack, said.append)
    text = "\n".join(said)
    assert "report (stopped: the stack says enforce; make start undoes it)" in text
    assert "1 failed on for more than an hour" in text
    assert f"last sweep:     {time.strftime('%Y-%m-%d', time.gmtime(time.time() - 60))}" in text


def test_status_says_which_locations_came_by_themselves_and_fell_silent(made, said):
    stack, _ = made(GuardAccounts="*", OrganizationId="o-exampleorgid", GuardRoleName="member")
    table, now = stack.output("StateTableName"), datetime.now(timezone.utc)
    items = {
        "03": {"444455556603 us-east-1": now, "444455556603 eu-west-1": now - timedelta(days=2)},
        "77": {"555566667777 us-east-1": now},
    }
    region, account = stack.output("FunctionArn").split(":")[3:5]
    for shard, heard in items.items():
        state = json.dumps({name: f"{at:%Y-%m-%dT%H:%M:%S.%f}Z" for name, at in heard.items()})
        item = {"pk": {"S": f"registered#{account}#{region}#{shard}"}, "state": {"S": state}}
        stack.client("dynamodb").put_item(TableName=table, Item=item)
    status.status(stack, said.append)
    assert "locations:      3 registered; silent for a day: 444455556603 eu-west-1" in said


def test_logs_are_a_line_for_each_record_and_steer_no_terminal(made, said):
    stack, _ = made()
    record = {
        "outcome": "remediated", "severity": "critical", "clusters": ["prod"], "group": {"id": "sg-1"},
        "event_name": "AuthorizeSecurityGroupIngress", "actor": {"arn": "arn:aws:iam::1:user/\u001b[2Jalice"},
        "findings": [{"rule": {"id": "sgr-1"}, "action": "revoked"}],
    }  # fmt: skip
    lines = [
        json.dumps({"timestamp": "2026-01-02T03:04:05Z", "level": "INFO", "target": "record", "record": record}),
        json.dumps({"timestamp": "2026-01-02T03:04:06Z", "level": "WARN", "message": "slow", "error": "a\u202eb"}),
        json.dumps({"timestamp": "2026-01-02T03:04:07Z", "level": "INFO", "message": "started"}),
        json.dumps({"_aws": {}}),
        "thread 'main' panicked",
        "[]",
    ]
    logs, group = stack.client("logs"), stack.output("LogGroupName")
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    status.logs(stack, said.append)
    who = "AuthorizeSecurityGroupIngress by arn:aws:iam::1:user/\\u001b[2Jalice"
    assert said == [
        f"2026-01-02T03:04:05 remediated critical prod sg-1 {who}: revoked sgr-1",
        '2026-01-02T03:04:06 WARN {"message": "slow", "error": "a\\u202eb"}',
        "thread 'main' panicked",
        "[]",
    ]
    said.clear()
    status.logs(stack, said.append, everything=True)
    assert len(said) == len(lines)


# ---------------------------------------------------------------- the end


def test_removal_leaves_the_table_and_the_log_and_says_so(made, said):
    stack, _ = made()
    table, log = stack.output("StateTableName"), stack.output("LogGroupName")
    send(stack, "FailureQueueUrl", "a")
    with pytest.raises(stacks.Refusal, match="nothing was deleted"):
        remove.remove(stack, said.append, lambda _: "another")
    assert "1 messages" in " ".join(said)
    # moto does not know DeletionPolicy: what it deletes is not said to be left.
    remove.remove(stack, said.append, lambda _: deployed.NAME)
    with pytest.raises(stacks.Refusal, match="no stack"):
        stacks.Stack(deployed.NAME, stack.client).outputs  # noqa: B018
    there = {"table": table in stack.client("dynamodb").list_tables()["TableNames"]}
    there["log group"] = bool(stack.client("logs").describe_log_groups(logGroupNamePrefix=log)["logGroups"])
    for what, is_there in there.items():
        assert any(line.strip().startswith(f"{what} ") for line in said) == is_there


def test_what_is_left_is_said_with_its_name(made):
    stack, _ = made()
    table, log = stack.output("StateTableName"), stack.output("LogGroupName")
    left = remove._left(stack, table, log)
    assert [command.split()[-1] for _, command in left] == [table, log]


# ---------------------------------------------------------------- the account


@pytest.fixture
def ready(aws: Emulator, made) -> Callable[[str], Any]:
    made()
    aws.client("s3").create_bucket(Bucket="trail")
    trails = aws.client("cloudtrail")
    trails.create_trail(Name="all", S3BucketName="trail")
    trails.start_logging(Name="all")

    class Limits:
        unreserved = 1000

        def get_account_settings(self) -> dict[str, Any]:
            return {"AccountLimit": {"UnreservedConcurrentExecutions": self.unreserved}}

    limits = Limits()
    client = lambda service: limits if service == "lambda" else aws.client(service)  # noqa: E731
    client.limits = limits
    return client


def test_an_account_that_is_ready_gets_a_reservation_where_it_can_spare_one(ready, said):
    account.check(ready, {}, said.append)
    assert account.propose(ready, {}, said.append) == {"ReservedConcurrency": "5"}
    assert account.propose(ready, {"ReservedConcurrency": "-1"}, said.append) == {}
    ready.limits.unreserved = 104
    assert account.propose(ready, {}, said.append) == {}
    assert "none is reserved" in said[-1]


def test_a_package_is_deployed_and_what_was_answered_once_stays(aws, ready, said, monkeypatch, tmp_path):
    client, functions = deployed.clients(aws, lambda _: DONE)
    stack = stacks.Stack(deployed.NAME, client)
    told: list[list[str]] = []
    monkeypatch.setattr(deploy.package, "check_package", lambda _: tmp_path)
    monkeypatch.setattr(deploy, "CONFIG", tmp_path / "samconfig.toml")
    monkeypatch.setattr(deploy.subprocess, "run", lambda command, **_: told.append(command))
    deploy.deploy(stack, "arm64", {"GuardMode": "report"}, said.append, ready)
    assert (tmp_path / "samconfig.toml").read_text() == "version = 0.1\n", "SAM refuses a file that is not there"
    (tmp_path / "samconfig.toml").write_text("[guard.deploy.parameters]\n")
    deploy.deploy(stack, "arm64", {}, said.append, ready)
    assert [("--guided" in each, "ReservedConcurrency=5" in each) for each in told] == [(True, True), (False, False)]
    assert functions.invoked == [deploy.NOBODY, {"sweep": True}] * 2


def test_all_that_stands_in_the_way_is_said_at_once(aws, ready, said):
    aws.client("cloudtrail").stop_logging(Name="all")
    fifo = aws.sns.create_topic(Name="a.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    missing = fifo.replace("a.fifo", "missing")
    with pytest.raises(stacks.Refusal) as refusal:
        account.check(ready, {"TopicArn": missing, "AlarmTopicArn": fifo}, said.append)
    text = str(refusal.value)
    assert text.count("\n  ") == 3 and "no trail" in text and "missing" in text and "FIFO" in text


def test_a_stack_whose_function_does_not_work_is_not_called_fine(made, said):
    failed = {"FunctionError": "Unhandled", "Payload": {"errorType": "StartError", "errorMessage": "no policy"}}
    stack, _ = made(lambda _: failed)
    with pytest.raises(stacks.Refusal, match="no policy"):
        deploy.smoke(stack, said.append)
    stack, functions = made()
    deploy.smoke(stack, said.append)
    assert functions.invoked[-1] == {"sweep": True}
    assert "only reports" in said[-1]
    stack, _ = made(GuardMode="enforce")
    mode.stop(stack, lambda _: None)
    deploy.smoke(stack, said.append)
    assert "still stopped" in said[-1]


def test_the_smoke_call_is_one_that_the_program_takes(world: World, guard) -> None:
    answer = guard(GUARD_MODE="report").invoke(deploy.NOBODY)
    assert not answer.failed and not world.emulator.mutations


# ---------------------------------------------------------------- the demonstration


def test_the_demonstration_ends_with_nothing_left(world: World, somebody: Somebody, guard, said):
    """With a policy that names the group, as the first step asks for."""
    deployed.deploy(world.emulator, GuardMode="enforce")
    client, _ = deployed.clients(world.emulator, lambda _: DONE)
    stack = stacks.Stack(deployed.NAME, client)
    group = demo.make(stack, said.append, world.vpc, "prod")
    assert f"{{id: {group}, cluster: prod, role: node}}" in " ".join(said)
    before = world.rules()
    opened: list[str] = []

    def pause(_: float) -> None:
        found = world.emulator.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
        for rule in found["SecurityGroupRules"]:
            if not rule["IsEgress"]:
                opened.append(rule["SecurityGroupRuleId"])
                world.emulator.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=opened[-1:])

    assert demo.play(stack, said.append, group, pause)
    assert opened and "As its mode says." in said
    assert {rule for rule, each in world.rules().items() if each["GroupId"] == group} == set()
    assert world.rules().keys() == {rule for rule, each in before.items() if each["GroupId"] != group}


def test_the_demonstration_says_when_nobody_came(world: World, said, monkeypatch):
    monkeypatch.setattr(demo, "PATIENCE", 20)
    deployed.deploy(world.emulator, GuardMode="enforce")
    client, _ = deployed.clients(world.emulator, lambda _: DONE)
    stack = stacks.Stack(deployed.NAME, client)
    before = world.rules()
    group = demo.make(stack, said.append, world.vpc, "prod")
    assert not demo.play(stack, said.append, group, lambda _: None)
    assert world.rules() == before, "rule and group are removed all the same"


def test_the_demonstration_opens_no_other_group(world: World, said):
    deployed.deploy(world.emulator)
    client, _ = deployed.clients(world.emulator, lambda _: DONE)
    before = world.rules()
    with pytest.raises(stacks.Refusal, match="nothing was opened"):
        demo.play(stacks.Stack(deployed.NAME, client), said.append, world.node_group, lambda _: None)
    assert world.rules() == before
