"""What the guard failed on, or never got, once more.

Each message is handed to the function as its work queue would, and deleted when that says that it is done: nothing is lost
on the way, and nothing is put into a queue that only the guard may write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .aws import Say, Stack

# Of what EventBridge could not deliver, and of what the guard failed on for more than an hour.
QUEUES = ("RuleDeadLetterQueueUrl", "FailureQueueUrl")
# Longer than one invocation may take, so that nobody else gets the message meanwhile.
HIDDEN = 300


@dataclass
class Redriven:
    """How many were done, and why the others were not."""

    done: int
    failures: list[str]


def redrive(stack: Stack, say: Say, url: str | None = None) -> Redriven:
    """The messages of this queue, or of the stack's own dead-letter queues, one after the other."""
    urls = [url] if url else [stack.output(name) for name in QUEUES]
    redriven = Redriven(0, [])
    for each in urls:
        for message in _messages(stack, each):
            failure = _hand_over(stack, message)
            if failure:
                redriven.failures.append(f"{message['MessageId']}: {failure}")
                continue
            stack.client("sqs").delete_message(QueueUrl=each, ReceiptHandle=message["ReceiptHandle"])
            redriven.done += 1
    say(f"{redriven.done} done, {len(redriven.failures)} failed.")
    for failure in redriven.failures:
        say(f"  {failure}")
    if redriven.failures:
        say(f"What failed is still in its queue, visible again in {HIDDEN // 60} minutes; see docs/runbook.md.")
    return redriven


def _messages(stack: Stack, url: str) -> Iterator[dict[str, Any]]:
    """Each message once. One that comes again meanwhile ends the round."""
    seen: set[str] = set()
    while True:
        got = stack.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=1, VisibilityTimeout=HIDDEN, WaitTimeSeconds=2
        )
        messages = got.get("Messages", [])
        if not messages or messages[0]["MessageId"] in seen:
            return
        seen.add(messages[0]["MessageId"])
        yield messages[0]


def _hand_over(stack: Stack, message: dict[str, Any]) -> str | None:
    """Why the function did not do it; nothing if it did."""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": work_queue(stack),
        "awsRegion": stack.output("FunctionArn").split(":")[3],
    }
    answer = stack.client("lambda").invoke(FunctionName=stack.function, Payload=json.dumps({"Records": [record]}).encode())
    said = json.loads(answer["Payload"].read() or b"null")
    said = said if isinstance(said, dict) else {}
    if answer.get("FunctionError"):
        return f"{said.get('errorType', answer['FunctionError'])}: {said.get('errorMessage', 'nothing was said')}"
    if said.get("batchItemFailures") == []:
        return None
    return "the function could not do it; its log says why (make logs)"


def work_queue(stack: Stack) -> str:
    """The ARN of the queue whose messages are orders."""
    url, queues = stack.output("WorkQueueUrl"), stack.client("sqs")
    return queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
