"""What template.yaml promises beside rights (test_rights.py), events (test_patterns.py), alarms (test_alarms.py) and what a
person can set (test_parameters.py): nothing is lost on the way."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest
from template import MEMBER, PSEUDO, TEMPLATE, Stack, read

sys.path.insert(0, str(TEMPLATE.parent))

from deploy.patterns import matches  # noqa: E402

WORK_QUEUE = {"Fn::GetAtt": ["WorkQueue", "Arn"]}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return read()


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    return template["Resources"]


def either(condition: str, made: str, named: str) -> dict[str, Any]:
    return {"Fn::If": [condition, {"Ref": made}, {"Ref": named}]}


def test_an_event_that_cannot_be_delivered_is_kept(resources: dict[str, Any]) -> None:
    rules = ("GuardRule", "WatchRule", "SharedListRule", "RegisterRule")
    for rule in rules:
        (target,) = resources[rule]["Properties"]["Targets"]
        assert target["Arn"] == {"Fn::GetAtt": ["GuardFunction", "Arn"]}
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["RuleDeadLetterQueue", "Arn"]}}
        assert not {"Input", "InputPath", "InputTransformer"} & set(target), "the function wants the whole event"
        assert resources[rule]["Properties"]["State"] == {"Ref": "RuleState"}

    policy = resources["RuleDeadLetterQueuePolicy"]["Properties"]
    assert policy["Queues"] == [{"Ref": "RuleDeadLetterQueue"}]
    statement, _ = policy["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    swept = {"Fn::If": ["HasSweep", {"Fn::GetAtt": ["SweepRule", "Arn"]}, {"Ref": "AWS::NoValue"}]}
    shared = {"Fn::If": ["HasListOwners", {"Fn::GetAtt": ["SharedListRule", "Arn"]}, {"Ref": "AWS::NoValue"}]}
    registers = {"Fn::If": ["TakesEveryAccount", {"Fn::GetAtt": ["RegisterRule", "Arn"]}, {"Ref": "AWS::NoValue"}]}
    senders = [{"Fn::GetAtt": ["GuardRule", "Arn"]}, {"Fn::GetAtt": ["WatchRule", "Arn"]}, shared, registers, swept]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": senders}}

    for rule in rules:
        permission = resources[f"{rule}Permission"]["Properties"]
        assert permission["Principal"] == "events.amazonaws.com"
        assert permission["SourceArn"] == {"Fn::GetAtt": [rule, "Arn"]}


def test_an_event_that_the_function_fails_on_is_kept(resources: dict[str, Any]) -> None:
    invoke = resources["GuardFunction"]["Properties"]["EventInvokeConfig"]
    assert invoke["MaximumRetryAttempts"] == 0, "the work queue is the only retry"
    assert invoke["DestinationConfig"]["OnFailure"] == {"Type": "SQS", "Destination": WORK_QUEUE}


def test_what_waits_in_the_work_queue_comes_back_and_is_kept_in_the_end(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    function, queue = resources["GuardFunction"]["Properties"], resources["WorkQueue"]["Properties"]
    timeout = template["Parameters"]["Timeout"]
    assert queue["VisibilityTimeout"] >= 6 * timeout["MaxValue"]
    assert timeout["MaxValue"] < 90, "then another invocation takes over (LEASE of core/src/report/journal.rs)"
    sources = (TEMPLATE.parent / "core/src/guard/own_queue.rs").read_text(encoding="utf-8")
    most = re.search(r"MAX_RECEIVES: u64 = (\d+);", sources)
    assert most
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": ["FailureQueue", "Arn"]},
        "maxReceiveCount": int(most[1]),
    }
    assert queue["VisibilityTimeout"] * (int(most[1]) - 1) >= 3600, "an hour, also if each try is killed"
    assert function["Environment"]["Variables"]["GUARD_QUEUE_URL"] == {"Ref": "WorkQueue"}
    assert function["RecursiveLoop"] == "Allow", "Lambda would stop a chain after 16 messages"
    mapping = resources["WorkQueueMapping"]["Properties"]
    assert mapping["EventSourceArn"] == WORK_QUEUE
    assert mapping["BatchSize"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert mapping["Enabled"] == {"Fn::If": ["IsEnabled", True, False]}
    assert template["Conditions"]["IsEnabled"] == {"Fn::Equals": [{"Ref": "RuleState"}, "ENABLED"]}


def test_nobody_else_gives_the_guard_orders(resources: dict[str, Any]) -> None:
    policy = resources["WorkQueuePolicy"]["Properties"]
    assert policy["Queues"] == [{"Ref": "WorkQueue"}]
    senders, transport = policy["PolicyDocument"]["Statement"]
    for statement in (senders, transport):
        assert (statement["Effect"], statement["Principal"], statement["Resource"]) == ("Deny", "*", WORK_QUEUE)
    assert senders["Action"] == "sqs:SendMessage"
    assert senders["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["GuardRole", "Arn"]}}}
    assert transport["Action"] == "sqs:*"
    assert transport["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


# ---------------------------------------------------------------- the settings


def test_settings_that_are_more_than_a_parameter(template: dict[str, Any]) -> None:
    """tests/variables.rs holds the names, parameters and defaults of all equal to the program's."""
    variables = template["Resources"]["GuardFunction"]["Properties"]["Environment"]["Variables"]
    assert {name: value for name, value in variables.items() if set(value) != {"Ref"}} == {
        "GUARD_OWN_ROLE_ARN": {"Fn::GetAtt": ["GuardRole", "Arn"]},
        "GUARD_EVENT_RULE": {
            "Fn::Sub": ["eks-sg-guard-${Id}", {"Id": {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}}]
        },
        "GUARD_TOPIC_ARN": either("MakeTopic", "Topic", "TopicArn"),
        "GUARD_RECORD_TOPIC_ARN": either("MakeRecordTopic", "RecordTopic", "RecordTopicArn"),
        "GUARD_STATE_TABLE": either("MakeStateTable", "GuardTable", "StateTable"),
        "AWS_SDK_UA_APP_ID": "eks-sg-guard",
    }
    assert template["Parameters"]["StateTable"]["Default"] == "true"


FOLLOWED = ["aws.ec2", "aws.eks", "aws.cloudtrail"]


@pytest.mark.parametrize("accounts", ["", "444455556666", "444455556666,555566667777"])
def test_the_bus_takes_events_of_the_listed_accounts_alone(accounts: str) -> None:
    stack = Stack(GuardAccounts=accounts, GuardRoleName="member")
    assert "OrganizationEvents" not in stack.resources
    assert ("ForwardedEvents" in stack.resources) == bool(accounts)
    if accounts:
        statement = stack.properties("ForwardedEvents")["Statement"]
        assert statement["Principal"] == {"AWS": accounts.split(",")}
        assert statement["Action"] == "events:PutEvents"
        assert statement["Condition"] == {"StringEquals": {"events:source": FOLLOWED}}


def test_the_bus_takes_events_of_every_account_of_one_organization_alone() -> None:
    stack = Stack(GuardAccounts="*", OrganizationId="o-exampleorgid", GuardRoleName="member")
    assert "ForwardedEvents" not in stack.resources, "that one would let the whole world in"
    statement = stack.properties("OrganizationEvents")["Statement"]
    assert (statement["Principal"], statement["Action"]) == ("*", "events:PutEvents")
    condition = {"aws:PrincipalOrgID": "o-exampleorgid", "events:source": [*FOLLOWED, "aws.events"]}
    assert statement["Condition"] == {"StringEquals": condition}
    assert "account" not in stack.properties("GuardRule")["EventPattern"]
    assert stack.properties("GuardFunction")["Environment"]["Variables"]["GUARD_ACCOUNTS"] == "*"


def test_schedules_of_other_locations_come_through_and_own_ones_do_not() -> None:
    account, region = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
    pattern = Stack(GuardAccounts="*", OrganizationId="o-exampleorgid").properties("RegisterRule")["EventPattern"]
    event = {"source": "aws.events", "detail-type": "Scheduled Event", "account": account, "region": region, "detail": {}}
    assert not matches(pattern, event)
    assert matches(pattern, event | {"account": "444455556666"})
    assert matches(pattern, event | {"region": "eu-west-1"})
    assert not matches(pattern, event | {"account": "444455556666", "source": "ours"})
    assert not matches(pattern, event | {"account": "444455556666", "detail-type": "Anything Else"})


def test_a_member_says_that_it_is_there_where_it_is_asked_to() -> None:
    given = {
        "GuardRoleArn": "arn:aws:iam::777788889999:role/guard",
        "GuardBusArn": "arn:aws:events:us-east-1:777788889999:event-bus/default",
        "GuardRoleName": "member",
    }
    assert "RegisterRule" not in Stack(MEMBER, **given).resources
    assert "RegisterRule" not in Stack(MEMBER, Registers="true", RoleRegion="none", **given).resources, "it owns lists"
    stack = Stack(MEMBER, Registers="true", **given)
    rule = stack.properties("RegisterRule")
    assert rule["ScheduleExpression"] == "rate(1 hour)"
    (target,) = rule["Targets"]
    (forwarded,) = stack.properties("ForwardRule")["Targets"]
    assert target == forwarded
    policy = stack.properties("ForwardDeadLetterQueuePolicy")["PolicyDocument"]["Statement"][0]
    senders = [{"Fn::GetAtt": [name, "Arn"]} for name in ("ForwardRule", "RegisterRule")]
    assert policy["Condition"] == {"ArnEquals": {"aws:SourceArn": senders}}


def test_everything_is_looked_at_on_a_schedule(template: dict[str, Any]) -> None:
    rule = template["Resources"]["SweepRule"]
    assert template["Conditions"][rule["Condition"]] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "SweepSchedule"}, ""]}]}
    assert template["Parameters"]["SweepSchedule"]["Default"] == "rate(1 day)"
    properties = rule["Properties"]
    assert properties["ScheduleExpression"] == {"Ref": "SweepSchedule"}
    assert properties["State"] == {"Ref": "RuleState"}
    (target,) = properties["Targets"]
    assert json.loads(target["Input"]) == {"sweep": True}
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["RuleDeadLetterQueue", "Arn"]}
    permission = template["Resources"]["SweepRulePermission"]["Properties"]
    assert permission["SourceArn"] == {"Fn::GetAtt": ["SweepRule", "Arn"]}


def test_the_state_table_is_made_or_adopted_stays_and_is_written_by_the_guard_alone(template: dict[str, Any]) -> None:
    table = template["Resources"]["GuardTable"]
    assert template["Conditions"][table["Condition"]] == {"Fn::Equals": [{"Ref": "StateTable"}, "true"]}
    properties = table["Properties"]
    assert properties["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain"), "it decides what is new"
    (deny,) = properties["ResourcePolicy"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")
    assert deny["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["GuardRole", "Arn"]}}}
    writes = {"BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem", "PartiQLDelete", "PartiQLInsert", "PartiQLUpdate"}
    assert set(deny["Action"]) == {f"dynamodb:{write}" for write in writes}
