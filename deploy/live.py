"""What no emulator can show, looked at in somebody's own sandbox account: what AWS itself does with a deployed stack.

Owns: the list, which README repeats, and how each point is looked at. Must not: change a rule of anybody's group, or leave
anything behind; what it tries is refused where the stack is as it should be, and harmless where it is not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import demo
from .aws import Clients, Refusal, Say, Stack, code
from .deploy import NOBODY
from .package import ROOT
from .patterns import matches
from .register import EVERY_ACCOUNT, registered

EVENTS = ROOT / "events"
FINE, WRONG, UNSEEN = "as it should be", "NOT as it should be", "not seen"
DENIED = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException")
LARGEST = 100_000  # of an event, as it is written here; EventBridge takes 256 KB
BY_POLICY = "resource-based policy"  # how AWS says that it was not the caller's own rights


@dataclass(frozen=True)
class Seen:
    """What came of a look, in words."""

    result: str
    words: str


@dataclass
class Walk:
    """A stack, and the person who looks at it."""

    stack: Stack
    plain: Clients  # the same services without TLS
    say: Say
    ask: Callable[[str], str]
    pause: Callable[[float], None] = time.sleep
    account: str = field(init=False)

    def __post_init__(self) -> None:
        self.account = self.stack.client("sts").get_caller_identity()["Account"]

    def asked(self, question: str) -> Seen:
        answer = self.ask(f"{question} [y/n, Enter: I do not know] ").strip().lower()
        return Seen({"y": FINE, "n": WRONG}.get(answer[:1], UNSEEN), f"asked: {question} {answer or '-'}")


@dataclass(frozen=True)
class Check:
    """A point of the list: its name and its words are README's."""

    name: str
    what: str
    look: Callable[[Walk], Seen]


def live_check(walk: Walk, folder: Path) -> Path:
    """Look at each point and write down what was seen. The file's place."""
    stack = walk.stack
    walk.say(
        f"This looks at stack `{stack.name}` in account {walk.account}: it rings an alarm, and tries what must be refused"
        " (a message to the work queue, an item in the table, calls without TLS, the guard's role)."
    )
    if walk.ask(f"Only in a sandbox. Type {walk.account} to begin: ").strip() != walk.account:
        raise Refusal("nothing was tried")
    seen = []
    for check in CHECKS:
        walk.say(f"{check.name}: {check.what}")
        seen.append((check, _look(check, walk)))
        walk.say(f"  {seen[-1][1].result}: {seen[-1][1].words}")
    region = stack.output("FunctionArn").split(":")[3]
    path = folder / f"live-check-{walk.account}-{region}-{stack.name}.md"
    path.write_text(_report(walk, region, seen), encoding="utf-8")
    wrong = [check.name for check, each in seen if each.result == WRONG]
    walk.say(f"Written to {path}.")
    if wrong:
        raise Refusal(f"not as it should be: {', '.join(wrong)}; docs/security.md says what each is for")
    return path


def _look(check: Check, walk: Walk) -> Seen:
    try:
        return check.look(walk)
    except Exception as error:  # one that cannot be looked at must not hide the others
        return Seen(UNSEEN, f"{type(error).__name__}: {error}")


def _report(walk: Walk, region: str, seen: list[tuple[Check, Seen]]) -> str:
    stack = walk.stack
    given = ", ".join(f"`{name}={value}`" for name, value in sorted(stack.parameters.items()) if value)
    lines = [
        "# What AWS itself did",
        "",
        f"Stack `{stack.name}`, version {stack.output('Version')}, account {walk.account}, {region},"
        f" {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC. Parameters: {given}.",
        "",
        "| check | what | result | seen |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {check.name} | {check.what} | {each.result} | {_cell(each.words)} |" for check, each in seen]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# ---------------------------------------------------------------- what is refused


def _refused(call: Callable[[], Any], by_policy: bool = True) -> Seen:
    """Whether AWS refused, and the policy of what was called did: one's own rights may be too few for another reason."""
    try:
        call()
    except Exception as error:
        if code(error) not in DENIED:
            return Seen(UNSEEN, f"another error: {error}")
        if by_policy and BY_POLICY not in str(error):
            return Seen(UNSEEN, f"refused, but AWS does not say that a policy of the stack did: {error}")
        return Seen(FINE, f"refused: {error}")
    return Seen(WRONG, "it was taken")


def _orders(walk: Walk) -> Seen:
    queue = walk.stack.output("WorkQueueUrl")
    return _refused(lambda: walk.stack.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(NOBODY)))


def _state(walk: Walk) -> Seen:
    table, item = walk.stack.output("StateTableName"), {"pk": {"S": "live-check"}, "expires": {"N": "1"}}
    return _refused(lambda: walk.stack.client("dynamodb").put_item(TableName=table, Item=item))


def _queue_without_tls(walk: Walk) -> Seen:
    queue = walk.stack.output("FailureQueueUrl")
    return _refused(lambda: walk.plain("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"]))


def _topic_without_tls(walk: Walk) -> Seen:
    topic = walk.stack.output("AlarmTopicArn")
    return _refused(lambda: walk.plain("sns").publish(TopicArn=topic, Message="live check: should have been refused"))


def _role(walk: Walk) -> Seen:
    """The guard's own, and those that members made for it."""
    parameters = walk.stack.parameters
    name, accounts = parameters.get("GuardRoleName"), (parameters.get("GuardAccounts") or walk.account).split(",")
    if accounts == [EVERY_ACCOUNT]:
        accounts = sorted({account for account, _ in registered(walk.stack)})
    roles = [walk.stack.output("RoleArn")]
    partition = roles[0].split(":")[1]
    roles += [f"arn:{partition}:iam::{account}:role/{name}" for account in accounts if name]
    client = walk.stack.client("sts")

    def look(role: str) -> Seen:
        return _refused(lambda: client.assume_role(RoleArn=role, RoleSessionName="live-check"), by_policy=False)

    seen = [(role, look(role)) for role in roles]
    worst = next((result for result in (WRONG, UNSEEN) if any(each.result == result for _, each in seen)), FINE)
    return Seen(worst, "; ".join(f"{role}: {each.words}" for role, each in seen))


# ---------------------------------------------------------------- what arrives


def _matching(walk: Walk) -> Seen:
    events = walk.stack.client("events")
    pattern = events.describe_rule(Name=walk.stack.output("RuleArn").rpartition("/")[2])["EventPattern"]
    asked, others = 0, []
    for name, event in _events(walk.account):
        asked += 1
        said = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]
        if said is not matches(json.loads(pattern), event):
            others.append(f"{name} ({'let through' if said else 'kept out'})")
    words = f"{asked} events of events/; otherwise than expected: {', '.join(others) or 'none'}"
    return Seen(WRONG if others else FINE, words)


def _events(account: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Those of the repository that EventBridge takes, as of this account: whole, and not too large."""
    envelope = {"id": "live-check", "account": account, "time": "2026-01-01T00:00:00Z", "region": "us-east-1"}
    for path in sorted(EVENTS.rglob("*.json")):
        event = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(event, dict) or not isinstance(event.get("detail"), dict):
            continue
        if all(isinstance(event.get(name), str) for name in ("source", "detail-type")) and path.stat().st_size < LARGEST:
            yield path.relative_to(EVENTS).as_posix(), {"resources": [], **event, **envelope}


def _delivery(walk: Walk) -> Seen:
    question = "Group of `make demo-deployed VPC=… CLUSTER=…`, named in your policy (sg-…; Enter: not now): "
    group = walk.ask(question).strip()
    if not group:
        return Seen(UNSEEN, "no group was named")
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        walk.say(f"  {text}")

    fine = demo.play(walk.stack, say, group, walk.pause)
    return Seen(FINE if fine else WRONG, " ".join(said))


def _alarm(walk: Walk) -> Seen:
    """CloudWatch writes down whether it could tell the topic, which is where policies and keys are wrong."""
    client, stack = walk.stack.client("cloudwatch"), walk.stack
    found = client.describe_alarms(AlarmNamePrefix=f"{stack.name}-ErrorsAlarm")["MetricAlarms"]
    if not found:
        return Seen(UNSEEN, "the stack has no ErrorsAlarm")
    name, before = found[0]["AlarmName"], found[0]["StateValue"]
    begin = datetime.now(timezone.utc)
    client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="live check of eks-sg-guard")
    try:
        for _ in range(12):
            walk.pause(5)
            history = client.describe_alarm_history(AlarmName=name, HistoryItemType="Action", StartDate=begin)
            if items := history["AlarmHistoryItems"]:
                summaries = [each["HistorySummary"] for each in items]
                fine = all(each.startswith("Successfully") for each in summaries)
                return Seen(FINE if fine else WRONG, "; ".join(summaries))
        return Seen(WRONG, "CloudWatch did nothing within a minute")
    finally:
        state = before if before != "ALARM" else "INSUFFICIENT_DATA"
        client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="end of the live check of eks-sg-guard")


def _mail(walk: Walk) -> Seen:
    return walk.asked("Did that alarm's message reach who subscribes to the topic (mail addresses are confirmed first)?")


def _bus(walk: Walk) -> Seen:
    if set((walk.stack.parameters.get("GuardAccounts") or walk.account).split(",")) <= {walk.account}:
        return Seen(UNSEEN, "the stack guards no other account")
    return walk.asked("`make demo-deployed` in another account of GuardAccounts: did its record reach the guard's log?")


def _chat(walk: Walk) -> Seen:
    if not walk.stack.parameters.get("ChatTopicArn"):
        return Seen(UNSEEN, "the stack has no ChatTopicArn")
    return walk.asked("Does the last notice stand in the channel, with its buttons and its thread?")


CHECKS = (
    Check("matching", "EventBridge lets through what the pattern means, of every event in `events/`", _matching),
    Check("orders", "only the guard's role can send to its work queue", _orders),
    Check("state", "only the guard's role can write its table", _state),
    Check("queue-tls", "queues refuse whoever comes without TLS", _queue_without_tls),
    Check("topic-tls", "topics refuse whoever comes without TLS", _topic_without_tls),
    Check("trust", "nobody but Lambda gets the guard's role, and nobody but the guard those of members", _role),
    Check("delivery", "CloudTrail and EventBridge bring a call to the guard, and it does what its mode says", _delivery),
    Check("alarm", "an alarm may use its topic, and the key of that", _alarm),
    Check("mail", "what is on the topic reaches people", _mail),
    Check("bus", "events of other accounts get to the guard's bus", _bus),
    Check("chat", "Amazon Q shows what the guard sends", _chat),
)
