"""Each way to fail has an alarm, on the topic of who runs the guard, and a section of the runbook."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from template import MEMBER, TEMPLATE, Stack, read

SOURCES = TEMPLATE.parent / "core/src/report"
COUNTED = (SOURCES / "metrics.rs").read_text(encoding="utf-8")
METRICS_OF_THE_GUARD = re.findall(r'^    \("(\w+)", "\w+", \|counts\|', COUNTED, re.MULTILINE)
NEEDED = re.findall(r'"(\w+)"', re.search(r"const NEEDED: .*?\];", COUNTED, re.DOTALL)[0])
RULES = ["GuardRule", "WatchRule", "SharedListRule", "SweepRule", "RegisterRule"]
EVERY_RULE = {
    "ListOwners": "444455556666",
    "GuardAccounts": "*",
    "OrganizationId": "o-exampleorgid",
    "GuardRoleName": "member",
}

# What each watches: namespace, metric, the resource that it is about.
WATCHED: dict[str, set[tuple[str, str, str]]] = {
    "ErrorsAlarm": {("AWS/Lambda", "Errors", "GuardFunction")},
    "ThrottlesAlarm": {("AWS/Lambda", "Throttles", "GuardFunction")},
    "EventAgeAlarm": {("AWS/Lambda", "AsyncEventAge", "GuardFunction")},
    "LostFailuresAlarm": {("AWS/Lambda", "DestinationDeliveryFailures", "GuardFunction")},
    "RulesAlarm": {
        ("AWS/Events", metric, rule) for metric in ("FailedInvocations", "InvocationsFailedToBeSentToDlq") for rule in RULES
    },
    "UndeliveredAlarm": {("AWS/SQS", "NumberOfMessagesSent", "RuleDeadLetterQueue")},
    "UnhandledAlarm": {("AWS/SQS", "ApproximateNumberOfMessagesVisible", "FailureQueue")},
    "BacklogAlarm": {("AWS/SQS", "ApproximateAgeOfOldestMessage", "WorkQueue")},
    "RefusedAlarm": {("eks-sg-guard", "Refused", "GuardFunction")},
    "FailedAlarm": {("eks-sg-guard", "Failed", "GuardFunction")},
    "NoticeFailuresAlarm": {("eks-sg-guard", "NoticeFailures", "GuardFunction")},
    "DeliveriesAlarm": {("AWS/SNS", "NumberOfNotificationsFailed", topic) for topic in ("Topic", "RecordTopic")},
    "LostEventsAlarm": {("eks-sg-guard", "LostEvents", "GuardFunction")},
    "BlindAlarm": {("eks-sg-guard", "Blind-${GuardFunction}", "")},
    "SweepAlarm": {("eks-sg-guard", "SweepsEnded", "GuardFunction")},
}


def alarms(stack: Stack) -> dict[str, dict[str, Any]]:
    return {
        name: each["Properties"] for name, each in stack.resources.items() if each["Type"] == "AWS::CloudWatch::Alarm"
    }


def watched(alarm: dict[str, Any]) -> set[tuple[str, str, str]]:
    """The metrics of an alarm, or of what it computes."""

    def about(metric: dict[str, Any]) -> str:
        for dimension in metric.get("Dimensions", []):
            value = dimension["Value"]
            if isinstance(value, str):
                return value
            return value.get("Ref") or value["Fn::GetAtt"][0]
        return ""

    metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
    return {(metric["Namespace"], metric["MetricName"], about(metric)) for metric in metrics}


def test_each_way_to_fail_is_watched() -> None:
    assert {name: watched(alarm) for name, alarm in alarms(Stack(**EVERY_RULE)).items()} == WATCHED


@pytest.mark.parametrize(
    ("parameters", "rules"),
    [
        ({}, {"GuardRule", "WatchRule", "SweepRule"}),
        ({"SweepSchedule": ""}, {"GuardRule", "WatchRule"}),
        (EVERY_RULE, {*RULES}),
    ],
)
def test_rules_that_are_not_there_are_not_watched(parameters: dict[str, str], rules: set[str]) -> None:
    assert {rule for _, _, rule in watched(alarms(Stack(**parameters))["RulesAlarm"])} == rules


def test_topics_that_are_named_are_watched_by_name() -> None:
    topics = [f"arn:aws:sns:us-east-1:111122223333:{name}" for name in ("mail", "records", "chat")]
    stack = Stack(TopicArn=topics[0], RecordTopicArn=topics[1], ChatTopicArn=topics[2])
    assert {name for _, _, name in watched(alarms(stack)["DeliveriesAlarm"])} == {"mail", "records", "chat"}


@pytest.mark.parametrize("name", WATCHED)
def test_an_alarm_rings_where_the_guard_is_run_and_says_when_it_is_over(name: str) -> None:
    alarm = alarms(Stack())[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]
    assert len(alarm["AlarmDescription"]) > 80
    nothing_runs = name == "SweepAlarm"
    expected = ("LessThanThreshold", "breaching") if nothing_runs else ("GreaterThanOrEqualToThreshold", "notBreaching")
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == expected


def test_one_that_stays_does_not_hide_the_next() -> None:
    """SQS counts what it moves to a dead-letter queue by itself as visible, not as sent."""
    (arrivals, waiting) = alarms(Stack())["UnhandledAlarm"]["Metrics"]
    assert (arrivals["Expression"], waiting["Id"]) == ("DIFF(FILL(waiting, 0))", "waiting")


@pytest.mark.parametrize("days", ["1", "2", "7"])
def test_cloudwatch_takes_no_longer_time_than_a_week(days: str) -> None:
    alarm = alarms(Stack(SweepAlarmDays=days))["SweepAlarm"]
    assert alarm["Period"] * int(alarm["EvaluationPeriods"]) <= 7 * 86_400


def widgets(kind: str) -> list[dict[str, Any]]:
    body = json.loads(Stack().properties("Dashboard")["DashboardBody"])
    return [widget["properties"] for widget in body["widgets"] if widget["type"] == kind]


def test_what_is_a_metric_by_default_is_what_alarms_and_dashboard_ask_for() -> None:
    asked = {
        metric for alarm in alarms(Stack()).values() for space, metric, _ in watched(alarm) if space == "eks-sg-guard"
    }
    drawn = [metric for widget in widgets("metric") for metric in widget["metrics"]]
    asked |= {metric[1] for metric in drawn if metric[0] == "eks-sg-guard"}
    assert len(METRICS_OF_THE_GUARD) > 20
    assert set(NEEDED) < set(METRICS_OF_THE_GUARD)
    # How many records are remediated is drawn from the log; whose dashboards ask for it find it without asking for all.
    assert asked - {"Blind-${GuardFunction}"} == set(NEEDED) - {"Remediated"}
    for metric in drawn:
        assert metric[2:4] in (["Function", "${GuardFunction}"], ["FunctionName", "${GuardFunction}"]) or (
            metric[0] == "AWS/SQS" and metric[2] == "QueueName"
        )


def test_an_alarm_does_not_need_the_zeros_that_are_left_out() -> None:
    for alarm in alarms(Stack()).values():
        for space, _, _ in watched(alarm):
            if space == "eks-sg-guard":
                assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 1)
                nothing_is_zero = {"LessThanThreshold": "breaching", "GreaterThanOrEqualToThreshold": "notBreaching"}
                assert alarm["TreatMissingData"] == nothing_is_zero[alarm["ComparisonOperator"]]


def test_what_is_no_metric_is_drawn_and_asked_from_the_log() -> None:
    queries = [widget["query"] for widget in widgets("log")]
    assert len(queries) == 3
    for query in queries:
        assert query.startswith("SOURCE '${GuardLogGroup}' | filter target = \"metrics\" | stats ")
        assert set(re.findall(r"sum\((\w+)\)", query)) <= set(METRICS_OF_THE_GUARD)
    saved = Stack().properties("FiguresQuery")["QueryString"]
    assert re.findall(r"sum\((\w+)\)", saved) == [name for name in METRICS_OF_THE_GUARD if name != "TimeOpen"]


def test_a_blind_guard_is_known_by_its_records() -> None:
    stack = Stack()
    properties = stack.properties("BlindFilter")
    assert properties["LogGroupName"] == {"Ref": "GuardLogGroup"}
    asked = re.findall(r'\$\.record\.findings\[0\]\.check = "([\w-]+)"', properties["FilterPattern"])
    assert asked == ["no-trail", "rule-disabled"]
    finding = (SOURCES / "finding" / "subject.rs").read_text(encoding="utf-8")
    assert all(f'"{check}"' in finding for check in asked), "names of checks"


def test_queries_ask_for_what_records_have() -> None:
    queries = [each for each in Stack().resources.values() if each["Type"] == "AWS::Logs::QueryDefinition"]
    assert len(queries) == 5
    record = (SOURCES / "record.rs").read_text(encoding="utf-8")
    for query in queries:
        assert query["Properties"]["LogGroupNames"] == [{"Ref": "GuardLogGroup"}]
        for name in re.findall(r"record\.(\w+)", query["Properties"]["QueryString"]):
            assert name == "status" or re.search(rf"pub {name}:", record), name


def test_a_member_says_what_it_could_not_forward() -> None:
    bus = "arn:aws:events:us-east-1:777788889999:event-bus/default"
    given = {"GuardRoleArn": "arn:aws:iam::777788889999:role/guard", "GuardBusArn": bus, "GuardRoleName": "member"}
    stack = Stack(MEMBER, **given)
    (alarm,) = alarms(stack).values()
    assert watched(alarm) == {
        ("AWS/Events", "FailedInvocations", "ForwardRule"),
        ("AWS/Events", "InvocationsFailedToBeSentToDlq", "ForwardRule"),
        ("AWS/SQS", "NumberOfMessagesSent", "ForwardDeadLetterQueue"),
    }
    assert alarm["AlarmActions"] == [], "the console shows it"
    for region, actions in (("us-east-1", 1), ("eu-west-1", 0)):  # an alarm reaches topics of its own region alone
        topic = f"arn:aws:sns:{region}:777788889999:alarms"
        assert alarms(Stack(MEMBER, AlarmTopicArn=topic, **given))["ForwardAlarm"]["AlarmActions"] == [topic] * actions
    (target,) = stack.properties("ForwardRule")["Targets"]
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86400}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["ForwardDeadLetterQueue", "Arn"]}}
    policy = stack.properties("ForwardDeadLetterQueuePolicy")["PolicyDocument"]["Statement"][0]
    assert policy["Principal"] == {"Service": "events.amazonaws.com"}
    assert policy["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["ForwardRule", "Arn"]}}}


def test_the_runbook_has_a_section_for_each_alarm() -> None:
    """What it means, where to look first, what to do."""
    runbook = (TEMPLATE.parent / "docs/runbook.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+Alarm)\n(.*?)(?=^##|\Z)", runbook, re.MULTILINE | re.DOTALL))
    names = [
        name
        for path in (TEMPLATE, MEMBER)
        for name, each in read(path)["Resources"].items()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert sorted(sections) == sorted(names)
    for name, text in sections.items():
        for part in ("**Means**", "**Look first**", "**Fix**"):
            assert text.count(part) == 1, f"{name}: {part}"
