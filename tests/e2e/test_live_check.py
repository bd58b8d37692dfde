"""`make live-check`, as far as the emulator goes: that each point is looked at, what is made of what AWS says, and that
nothing is left. What AWS really says is what the command is for.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import deployed
from emulator import ACCOUNT, Emulator
from template import TEMPLATE

sys.path.insert(0, str(TEMPLATE.parent))

from deploy import live  # noqa: E402
from deploy.aws import Refusal, Stack  # noqa: E402
from deploy.patterns import matches  # noqa: E402

DONE = {"Payload": {"records": [], "ignored": None, "batchItemFailures": []}}
OF_A_POLICY = "not authorized to perform: sqs:SendMessage with an explicit deny in a resource-based policy"
# What a stack is asked that is as it should be, by how AWS would answer.
REFUSED = {
    "orders": ("sqs", "send_message", "AccessDenied"),
    "state": ("dynamodb", "put_item", "AccessDeniedException"),
    "queue-tls": ("sqs", "get_queue_attributes", "AccessDenied"),
    "topic-tls": ("sns", "publish", "AuthorizationError"),
    "trust": ("sts", "assume_role", "AccessDenied"),
}
CHECKS = {check.name: check for check in live.CHECKS}


class Answering:
    """A client of which some calls are answered by the test."""

    def __init__(self, client: Any, **answers: Callable[..., Any]) -> None:
        self._client, self._answers = client, answers

    def __getattr__(self, name: str) -> Any:
        return self._answers.get(name) or getattr(self._client, name)


def error(kind: str, message: str = OF_A_POLICY) -> Callable[..., Any]:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": kind, "Message": message}}, "Call")

    return refuse


@pytest.fixture
def walk(aws: Emulator) -> Callable[..., live.Walk]:
    """`walk({"sqs": {"send_message": …}}, ["y"], GuardMode="enforce")`: a stack whose calls are answered so, a person."""

    def make(answers: dict[str, Any] | None = None, says: list[str] | None = None, **parameters: str) -> live.Walk:
        aws.reset()
        deployed.deploy(aws, **parameters)
        client, _ = deployed.clients(aws, lambda _: DONE)
        answering = lambda service: Answering(client(service), **(answers or {}).get(service, {}))  # noqa: E731
        person = iter(says or [])
        stack = Stack(deployed.NAME, answering)
        return live.Walk(stack, answering, lambda _: None, lambda _: next(person, ""), lambda _: None)

    return make


def alarm_of(aws: Emulator) -> str:
    """moto makes no alarms of a template."""
    name = f"{deployed.NAME}-ErrorsAlarm-1"
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    return name


def test_the_readme_has_the_list() -> None:
    readme = (TEMPLATE.parent / "README.md").read_text(encoding="utf-8")
    section = readme.split("### What no emulator shows\n")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([\w-]+)` \| (.+) \|$", section, re.MULTILINE)
    assert listed == [(each.name, each.what) for each in live.CHECKS]


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_policy_refuses_is_fine_and_what_is_taken_is_not(walk: Any, name: str) -> None:
    service, call, kind = REFUSED[name]
    answers: dict[str, Callable[..., Any]] = {}
    stack = walk({service: answers})
    # A trust policy is no resource-based policy in what AWS says of it; of others a lack of own rights proves nothing.
    own_rights = live.FINE if name == "trust" else live.UNSEEN
    for answer, result in (
        (error(kind), live.FINE),
        (error(kind, "because no identity-based policy allows it"), own_rights),
        (error("Throttling"), live.UNSEEN),
        (lambda **_: {}, live.WRONG),
    ):
        answers[call] = answer
        assert CHECKS[name].look(stack).result == result
    answers[call] = error(kind)
    assert OF_A_POLICY in CHECKS[name].look(stack).words


def test_every_role_of_a_member_is_tried(walk: Any) -> None:
    tried: list[str] = []

    def assume(RoleArn: str, **_: Any) -> None:
        tried.append(RoleArn)
        if "444455556666" not in RoleArn:
            error("AccessDenied")()

    accounts = f"{ACCOUNT},444455556666"
    stack = walk({"sts": {"assume_role": assume}}, GuardAccounts=accounts, GuardRoleName="member")
    assert CHECKS["trust"].look(stack).result == live.WRONG, "one of them was given"
    assert tried[1:] == [f"arn:aws:iam::{each}:role/member" for each in accounts.split(",")]


def test_the_roles_of_accounts_that_came_by_themselves_are_tried(walk: Any) -> None:
    tried: list[str] = []

    def assume(RoleArn: str, **_: Any) -> None:
        tried.append(RoleArn)
        error("AccessDenied")()

    def read(RequestItems: dict[str, Any]) -> dict[str, Any]:
        (table,) = RequestItems
        heard = '{"444455556666 us-east-1": "2026-11-23T03:00:00Z", "444455556666 eu-west-1": "2026-11-23T03:00:00Z"}'
        return {"Responses": {table: [{"pk": {"S": "registered"}, "state": {"S": heard}}]}}

    answers = {"sts": {"assume_role": assume}, "dynamodb": {"batch_get_item": read}}
    CHECKS["trust"].look(walk(answers, GuardAccounts="*", GuardRoleName="member"))
    assert tried[1:] == ["arn:aws:iam::444455556666:role/member"]


def test_eventbridge_is_asked_about_every_event_and_compared(walk: Any) -> None:
    asked: list[dict[str, Any]] = []
    wrong: list[str] = []  # names of calls of which EventBridge says the opposite

    def test_event_pattern(EventPattern: str, Event: str) -> dict[str, Any]:
        event = json.loads(Event)
        asked.append(event)
        return {"Result": matches(json.loads(EventPattern), event) is not (event["detail"].get("eventName") in wrong)}

    stack = walk({"events": {"test_event_pattern": test_event_pattern}})
    fine = CHECKS["matching"].look(stack)
    assert fine.result == live.FINE, fine.words
    assert len(asked) > 150
    assert {each["account"] for each in asked} == {ACCOUNT}, "the pattern wants this account"
    required = {"id", "account", "source", "time", "region", "resources", "detail-type"}
    assert all(required <= each.keys() for each in asked), "EventBridge refuses others"
    wrong.append("ModifyManagedPrefixList")
    other = CHECKS["matching"].look(stack)
    assert other.result == live.WRONG and "kept out" in other.words


def test_an_alarm_is_rung_and_put_back(walk: Any, aws: Emulator) -> None:
    items: list[dict[str, str]] = []
    stack = walk({"cloudwatch": {"describe_alarm_history": lambda **_: {"AlarmHistoryItems": items}}})
    name = alarm_of(aws)
    before = state_of(aws, name)
    for summary, result in (
        (None, live.WRONG),
        ("Successfully executed action arn:aws:sns:…", live.FINE),
        ("Failed to execute action arn:aws:sns:…: CloudWatch Alarms is not authorized", live.WRONG),
    ):
        items[:] = [{"HistorySummary": summary}] if summary else []
        assert CHECKS["alarm"].look(stack).result == result
        assert state_of(aws, name) == before


def state_of(aws: Emulator, name: str) -> str:
    return aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]


def test_a_person_is_asked_what_only_a_person_can_tell(walk: Any) -> None:
    chat = f"arn:aws:sns:us-east-1:{ACCOUNT}:chat"
    stack = walk(ChatTopicArn=chat, GuardAccounts=f"{ACCOUNT},444455556666", GuardRoleName="member")
    answers = {"y": live.FINE, "Yes ": live.FINE, "n": live.WRONG, "": live.UNSEEN, "?": live.UNSEEN}
    for answer, result in answers.items():
        stack.ask = lambda _, answer=answer: answer
        assert [CHECKS[name].look(stack).result for name in ("mail", "bus", "chat")] == [result] * 3
    alone = walk(says=["y", "y"])
    assert [CHECKS[name].look(alone).result for name in ("bus", "chat")] == [live.UNSEEN] * 2, "the stack has none"


def test_it_begins_with_the_account_and_ends_with_a_file(walk: Any, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="nothing was tried"):
        live.live_check(walk(says=["yes"]), tmp_path)
    assert not list(tmp_path.iterdir())
    # moto enforces no policy, so what must be refused is taken: it says so, and goes on after what cannot be looked at.
    with pytest.raises(Refusal, match="orders, state, queue-tls, topic-tls"):
        live.live_check(walk({"events": {"describe_rule": error("Throttling", "a | b\nc")}}, [ACCOUNT, "", "y"]), tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name == f"live-check-{ACCOUNT}-us-east-1-{deployed.NAME}.md"
    text = path.read_text(encoding="utf-8")
    _, _, *rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert [row[:2] for row in rows] == [[each.name, each.what] for each in live.CHECKS]
    results = {row[0]: row[2] for row in rows}
    assert (results["matching"], results["orders"], results["mail"]) == (live.UNSEEN, live.WRONG, live.FINE)
    assert r"a \| b c" in text, "what AWS says breaks no table"
    assert "`GuardMode=report`" in text
