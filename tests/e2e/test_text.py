"""Broken text that nobody judges: the guard looks all the same. What is no JSON at all is an error of our own."""

import json

import pytest

from checks import closes
from events import rule_ids
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
AGENT = "aws-cli/2.17.0"

# What comes in place of the user agent, as it stands between the quotes of the JSON text.
BROKEN = {
    "the first half of a pair": rb"\ud83d",
    "the second half alone": rb"\ude00",
    "two first halves": rb"\ud83d\ud83d\ude00",
    "a half behind a backslash": rb"\\\ud83d",
    "a half in capitals, cut by the end": rb"a\uDBFF",
    "Latin-1": b"caf\xe9",
    "a character that is cut": b"\xf0\x9f\x98",
    "a half in UTF-8": b"\xed\xa0\x80",
    "an overlong slash": b"\xc0\xaf",
    "an escaped NUL": rb"\u0000",
}


def sent(event: dict, text: bytes) -> bytes:
    """The payload with this in place of the user agent."""
    payload = json.dumps(event).encode()
    assert AGENT.encode() in payload
    return payload.replace(AGENT.encode(), text)


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_broken_text_keeps_no_rule_open(world, somebody, guard, text):
    event = somebody.authorizes(world.node_group, KUBELET)
    closes(guard(), sent(event, text), rule_ids(event))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_encoding_keeps_no_rule_open(world, somebody, guard, encoding):
    event = somebody.authorizes(world.node_group, KUBELET)
    closes(guard(), json.dumps(event).encode(encoding), rule_ids(event))


def test_broken_text_in_a_key_keeps_no_rule_open(world, somebody, guard):
    event = somebody.authorizes(world.node_group, KUBELET)
    event["detail"]["\ud83d"] = "\udfff"
    closes(guard(), event, rule_ids(event))


def test_broken_text_in_a_message_of_a_queue_or_a_topic_keeps_no_rule_open(world, somebody, guard):
    def message(text: bytes) -> tuple[str, list[str]]:
        event = somebody.authorizes(world.node_group, KUBELET)
        somebody_else = sent(event, text).decode()
        return somebody_else, rule_ids(event)

    function = guard()
    body, rules = message(rb"\ud83d")
    answer = closes(function, {"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": body}]}, rules)
    assert answer.response["batchItemFailures"] == []
    body, rules = message(rb"\ude00")
    closes(function, {"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "m", "Message": "\ufeff" + body}}]}, rules)


@pytest.mark.parametrize("level", ["info", "trace"])  # at `trace` the runtime looks at the payload before we do
def test_what_cannot_be_read_is_an_error_that_says_what_came_and_where_it_ends(guard, level):
    function = guard(RUST_LOG=level)
    for payload, said in {
        b"": "$: an empty text; expected JSON",
        b'{"detail": {"eventName": "Auth': "$: text of 30 bytes that is not JSON (EOF while parsing a string at line 1",
        b'{"sweep": true}}': "trailing characters at line 1 column 16",
        b'{"sweep": "\x00"}': "control character",
        b"\x1f\x8b\x08\x08": "that is not JSON (expected value at line 1 column 1)",
        b"[" * 200: "recursion limit",
    }.items():
        answer = function.invoke(payload)
        assert not answer.died, payload
        assert answer.error_type == "InvalidEvent", payload
        assert said in answer.error_message, payload
