"""How the guard is, and what it said. Must not: change anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from .aws import Say, Stack
from .mode import MODE
from .register import EVERY_ACCOUNT, registered

DAYS = 15  # CloudWatch keeps figures of five minutes so long, and of an hour longer
NAMESPACE = "eks-sg-guard"
QUEUES = {
    "WorkQueueUrl": "to be looked at again",
    "FailureQueueUrl": "failed on for more than an hour",
    "RuleDeadLetterQueueUrl": "never delivered",
}


def status(stack: Stack, say: Say) -> None:
    """Mode, version, last sweep, last event, what waits, what rings."""
    for name, value in _facts(stack):
        say(f"{name + ':':16}{value}")


def _facts(stack: Stack) -> Iterator[tuple[str, str]]:
    variables, parameters = stack.variables(stack.configuration()), stack.parameters
    yield "version", stack.output("Version")
    mode = variables.get(MODE, "enforce")
    if mode != parameters["GuardMode"]:
        mode += f" (stopped: the stack says {parameters['GuardMode']}; make start undoes it)"
    yield "mode", mode
    yield "known rules", variables.get("GUARD_SWEEP_MODE", "report")
    yield "policy", variables.get("GUARD_POLICY", "standard")
    yield "rule", parameters["RuleState"].lower()
    function, rule = stack.function, stack.output("RuleArn").rpartition("/")[2]
    yield "last event", _last(stack, "AWS/Events", "Invocations", "RuleName", rule)
    yield "last sweep", _last(stack, NAMESPACE, "SweepsEnded", "Function", function)
    if parameters.get("GuardAccounts") == EVERY_ACCOUNT:
        yield "locations", _locations(stack)
    for name, what in QUEUES.items():
        yield "waiting", f"{_waiting(stack, stack.output(name))} {what}"
    ringing = _ringing(stack)
    yield "alarms", ", ".join(ringing) + " (docs/runbook.md)" if ringing else "none rings"


def _last(stack: Stack, namespace: str, metric: str, dimension: str, value: str) -> str:
    """The last hour in which it happened."""
    now = datetime.now(timezone.utc)
    points = stack.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": dimension, "Value": value}],
        StartTime=now - timedelta(days=DAYS),
        EndTime=now,
        Period=3600,
        Statistics=["Sum"],
    )["Datapoints"]
    times = [point["Timestamp"] for point in points if point["Sum"] > 0]
    return f"{max(times):%Y-%m-%d %H:00} UTC, or later in that hour" if times else f"none in {DAYS} days"


def _locations(stack: Stack) -> str:
    """How many came by themselves, and those that fell silent: a stack that was removed, or a role that was taken away."""
    known = registered(stack)
    day_ago = datetime.now(timezone.utc) - timedelta(days=1)
    silent = [" ".join(location) for location, heard in known.items() if heard < day_ago]
    return f"{len(known)} registered" + (f"; silent for a day: {', '.join(silent)}" if silent else "")


def _waiting(stack: Stack, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
    attributes = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes.get(name, 0)) for name in names)


def _ringing(stack: Stack) -> list[str]:
    pages = stack.client("cloudwatch").get_paginator("describe_alarms")
    alarms = pages.paginate(AlarmNamePrefix=f"{stack.name}-", StateValue="ALARM")
    return [alarm["AlarmName"] for page in alarms for alarm in page["MetricAlarms"]]


# ---------------------------------------------------------------- the log


def logs(stack: Stack, say: Say, hours: float = 1, everything: bool = False) -> None:
    """What was logged of late: records, warnings and errors, in a line each; or every line as it is."""
    since = datetime.now(timezone.utc) - timedelta(hours=hours)
    pages = stack.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=stack.output("LogGroupName"), startTime=int(since.timestamp() * 1000))
    for page in found:
        for event in page["events"]:
            text = event["message"].rstrip("\n")
            line = text if everything else _line(text)
            if line:
                say(harmless(line))


def _line(text: str) -> str | None:
    try:
        logged = json.loads(text)
    except ValueError:
        return text  # a panic, or what the runtime says of a crash
    if not isinstance(logged, dict):
        return text
    when = str(logged.get("timestamp", ""))[:19]
    record = logged.get("record")
    if isinstance(record, dict):
        return " ".join([when, *_summary(record)])
    if logged.get("level") in ("ERROR", "WARN"):
        known = ("timestamp", "level", "target", "span", "spans")
        rest = {name: value for name, value in logged.items() if name not in known}
        return f"{when} {logged['level']} {json.dumps(rest, ensure_ascii=False)}"
    return None


def _summary(record: dict[str, Any]) -> Iterator[str]:
    yield str(record.get("outcome"))
    yield str(record.get("severity"))
    yield ",".join(map(str, record.get("clusters") or [])) or "-"
    group, actor = record.get("group") or {}, record.get("actor") or {}
    yield str(group.get("id", record.get("account")))
    yield f"{record.get('event_name') or record.get('trigger')} by {actor.get('arn') or '-'}:"
    yield ", ".join(f"{finding.get('action')} {_about(finding)}" for finding in record.get("findings") or [])


def _about(finding: dict[str, Any]) -> str:
    """What a finding is about, by its id."""
    return str((finding.get("rule") or {}).get("id") or finding.get("check") or finding.get("requirement"))


def harmless(text: str) -> str:
    """Names and descriptions are whatever somebody wrote: nothing of them may steer a terminal."""
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
