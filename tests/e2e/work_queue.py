"""The guard's work queue, and Lambda, which invokes the function for EventBridge and for this queue as the template says.

Time: nobody waits for a delay. `Lambda.passes` makes everything older that table and queue hold, which is what a process
finds after so much time; the function's processes, whose clocks stood still meanwhile, are replaced by new ones.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

from moto.sqs import sqs_backends

import template
from emulator import ACCOUNT, REGION, Emulator
from lambda_runtime import ARN, Answer
from state import State, older

LARGEST = 1 << 20  # bytes of a message
IDLE = 30  # a process older than this much of the test's time is replaced


class Program(Protocol):
    """What can be invoked: the real program, or a stand-in."""

    def invoke(self, event: Any, timeout: float = ...) -> Answer: ...

    def stop(self) -> None: ...


# --- the queue ------------------------------------------------------------------------------------------------------------


@dataclass
class WorkQueue:
    """The queue and its dead-letter queue, with the settings of the template."""

    emulator: Emulator

    def __post_init__(self) -> None:
        settings = template.properties("WorkQueue")
        assert settings["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["FailureQueue", "Arn"]}
        self._create("guard-failures")
        redrive = {
            "deadLetterTargetArn": self._model("guard-failures").queue_arn,
            "maxReceiveCount": settings["RedrivePolicy"]["maxReceiveCount"],
        }
        self.url = self._create(
            "guard-work", VisibilityTimeout=str(settings["VisibilityTimeout"]), RedrivePolicy=json.dumps(redrive)
        )
        self.arn = self._model("guard-work").queue_arn

    def _create(self, name: str, **attributes: str) -> str:
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    @staticmethod
    def _model(name: str) -> Any:
        return sqs_backends[ACCOUNT][REGION].queues[name]

    @cached_property
    def sqs(self) -> Any:
        return self.emulator.client("sqs")

    def send(self, body: str, delay: int = 0) -> None:
        """A message of somebody else than the guard."""
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body, DelaySeconds=delay)

    def receive(self) -> dict[str, Any] | None:
        """The next message that can be seen, as the event source mapping hands it to the function."""
        got = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=1, MessageSystemAttributeNames=["All"])
        for message in got.get("Messages", []):
            return {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": self.arn,
                "awsRegion": REGION,
            }
        return None

    def delete(self, message: dict[str, Any]) -> None:
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["receiptHandle"])

    # --- in the test's hands ---

    @property
    def waiting(self) -> list[str]:
        """The bodies of all messages, also of those that are delayed or hidden."""
        return [message.body for message in list(self._model("guard-work")._messages)]

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """What the guard's own messages ask for."""
        bodies = [json.loads(body) for body in self.waiting]
        return [body["eks-sg-guard"]["task"] for body in bodies if "eks-sg-guard" in body]

    @property
    def dead(self) -> list[str]:
        """The bodies of the messages that were given up."""
        return [message.body for message in list(self._model("guard-failures")._messages)]

    def purge(self) -> None:
        """Nothing waits, and nothing was given up."""
        for name in ("guard-work", "guard-failures"):
            self._model(name)._messages = []

    def until_next(self) -> float | None:
        """Seconds until a message can be seen: 0 if there is one now; `None` if there is none at all."""
        now = datetime.now(UTC).timestamp() * 1000
        times = [max(each.visible_at, each.delayed_until) for each in list(self._model("guard-work")._messages)]
        return max(0.0, (min(times) - now) / 1000 + 0.01) if times else None

    def age(self, seconds: float) -> None:
        """Every message is so much older."""
        for name in ("guard-work", "guard-failures"):
            for message in list(self._model(name)._messages):
                message.visible_at -= seconds * 1000
                message.delayed_until -= seconds * 1000
                message.sent_timestamp -= round(seconds * 1000)
                message.body = older(message.body, seconds)


# --- Lambda ---------------------------------------------------------------------------------------------------------------


@dataclass
class Lambda:
    """The service. `make` gives a new process of the function."""

    make: Callable[[], Program]
    queue: WorkQueue
    state: State | None = None
    now: float = 0.0  # seconds that have passed
    _program: Program | None = field(default=None, init=False)
    _made: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        function, mapping = template.properties("GuardFunction"), template.properties("WorkQueueMapping")
        assert function["EventInvokeConfig"]["MaximumRetryAttempts"] == 0
        assert function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0] == "WorkQueue"
        assert mapping["BatchSize"] == 1
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        self.timeout = float(function["Timeout"])

    @property
    def program(self) -> Program:
        """The process that gets what comes next."""
        if self._program is None or self.now - self._made > IDLE:
            self.replace()
        assert self._program
        return self._program

    def replace(self) -> None:
        """The process is taken away; what comes next gets a new one."""
        self.stop()
        self._program, self._made = self.make(), self.now

    def stop(self) -> None:
        if self._program:
            self._program.stop()
        self._program = None

    def delivers(self, *events: Any) -> list[Answer]:
        """EventBridge invokes the function asynchronously. What it fails on goes to the failure destination, once."""
        answers = []
        for event in events:
            answers.append(self._invoke(event))
            if answers[-1].failed:
                self.queue.send(envelope(event, answers[-1]))
        return answers

    def takes(self) -> Answer | None:
        """The event source mapping hands over the next message that can be seen. `None`: there is none."""
        message = self.queue.receive()
        if message is None:
            return None
        answer = self._invoke({"Records": [message]})
        if is_done(answer, message):
            self.queue.delete(message)
        return answer

    def works(self, seconds: float = float("inf"), most: int = 500) -> list[Answer]:
        """Goes on, and lets time pass, until the queue is empty or so many seconds have passed. More than `most` messages
        are an error: they go in a circle."""
        return list(self._turns(self.now + seconds, most))

    def _turns(self, end: float, most: int) -> Iterator[Answer]:
        while (wait := self.queue.until_next()) is not None and self.now + wait <= end:
            if wait:
                self.passes(wait)
            answer = self.takes()
            if answer is None:
                continue  # one that was given up
            yield answer
            most -= 1
            assert most, f"no end of messages, the next one is {self.queue.waiting[:1]}"
        if end < float("inf"):
            self.passes(max(0.0, end - self.now))

    def passes(self, seconds: float) -> None:
        """So much time passes. Only whole seconds count in the table."""
        self.now += seconds
        self.queue.age(seconds)
        if self.state and seconds >= 1:
            self.state.age(seconds)

    def _invoke(self, payload: Any) -> Answer:
        try:
            return self.program.invoke(payload, self.timeout)
        except TimeoutError as late:
            return Answer(died=True, lines=str(late).splitlines(), seconds=self.timeout)


def envelope(event: Any, answer: Answer) -> str:
    """What Lambda hands to the failure destination when an asynchronous invocation failed."""
    died = ("Runtime.ExitError", "RequestId: 5f1e Error: Runtime exited with error: signal: killed")
    kind, message = died if answer.died else (answer.error_type, answer.error_message)
    body = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": f"{ARN}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorType": kind, "errorMessage": message},
    }
    text = json.dumps(body)
    return text if len(text.encode()) <= LARGEST else json.dumps({**body, "requestPayload": None})


def is_done(answer: Answer, message: dict[str, Any]) -> bool:
    """Whether the mapping deletes the message: it reads the failures as Lambda does, where an empty id means all."""
    if answer.failed:
        return False
    failures = (answer.response or {}).get("batchItemFailures") or []
    return not any(each.get("itemIdentifier") in ("", None, message["messageId"]) for each in failures)
