"""The emulated work queue, and the stand-in for Lambda: what a program that fails, dies or asks for time is handed."""

import json

import pytest
from botocore.exceptions import ClientError

import template
from emulator import GUARD_KEY
from fleet import Fleet, shuffled
from lambda_runtime import Answer
from state import State, older
from work_queue import Lambda

FINE = Answer(response={"records": [], "ignored": None})
ERROR = Answer(error_type="Unfinished", error_message="not yet")


def failing(payload):
    """The answer to a batch whose message failed."""
    return Answer(response={"records": [], "batchItemFailures": [{"itemIdentifier": payload["Records"][0]["messageId"]}]})


class Program:
    """Answers as it is told, and the last answer from then on; remembers what it was handed."""

    def __init__(self, *answers):
        self.answers, self.got, self.stopped = list(answers), [], 0

    def invoke(self, event, timeout=0):
        self.got.append(event)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(event) if callable(answer) else answer

    def stop(self):
        self.stopped += 1

    @property
    def receives(self):
        return [int(each["Records"][0]["attributes"]["ApproximateReceiveCount"]) for each in self.got]


def service(queue, *answers):
    program = Program(*answers)
    return Lambda(lambda: program, queue), program


# --- asynchronous invocations ---------------------------------------------------------------------------------------------


def test_what_succeeds_leaves_nothing_behind(queue):
    service_, program = service(queue, FINE)
    assert [answer.failed for answer in service_.delivers({"a": 1}, {"a": 2})] == [False, False]
    assert (program.got, queue.waiting) == ([{"a": 1}, {"a": 2}], [])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(ERROR, "Unfinished"), (Answer(died=True), "Runtime.ExitError"), (TimeoutError("slow"), "Runtime.ExitError")],
    ids=["an error", "death", "too slow"],
)
def test_what_fails_is_not_tried_again_but_goes_to_the_failure_destination(queue, answer, kind):
    service_, program = service(queue, answer)
    service_.delivers({"a": 1})
    assert len(program.got) == 1
    [sent] = map(json.loads, queue.waiting)
    assert (sent["requestPayload"], sent["responsePayload"]["errorType"]) == ({"a": 1}, kind)
    assert sent["requestContext"]["approximateInvokeCount"] == 1


def test_a_payload_that_is_too_large_is_left_out(queue):
    service_, _ = service(queue, ERROR)
    service_.delivers({"a": "x" * (1 << 20)})
    [sent] = map(json.loads, queue.waiting)
    assert sent["requestPayload"] is None
    assert sent["requestContext"]["functionArn"]


# --- the event source mapping ---------------------------------------------------------------------------------------------


def test_one_message_at_a_time_and_what_is_done_is_deleted(queue):
    service_, program = service(queue, FINE)
    for body in "abc":
        queue.send(body)
    assert len(service_.works()) == 3
    records = [record for payload in program.got for record in payload["Records"]]
    assert sorted(record["body"] for record in records) == ["a", "b", "c"]
    assert {record["eventSourceARN"] for record in records} == {queue.arn}
    assert program.receives == [1, 1, 1]
    assert not queue.waiting and not queue.dead


@pytest.mark.parametrize("answer", [failing, ERROR, Answer(died=True)], ids=["partial answer", "error", "death"])
def test_what_fails_comes_again_when_its_visibility_ends_and_is_given_up_in_the_end(queue, answer):
    service_, program = service(queue, answer)
    queue.send("a")
    visibility = template.properties("WorkQueue")["VisibilityTimeout"]
    assert service_.takes() and service_.takes() is None
    assert visibility - 1 < queue.until_next() <= visibility + 1
    service_.works()
    tries = template.properties("WorkQueue")["RedrivePolicy"]["maxReceiveCount"]
    assert program.receives == list(range(1, tries + 1))
    assert (queue.waiting, queue.dead) == ([], ["a"])
    assert service_.now >= visibility * (tries - 1)


def test_an_answer_that_names_no_message_means_all_and_one_that_names_another_none(queue):
    for named, is_left in ({"itemIdentifier": ""}, True), ({}, True), ({"itemIdentifier": "other"}, False):
        service_, _ = service(queue, Answer(response={"batchItemFailures": [named]}))
        queue.send("a")
        service_.takes()
        assert bool(queue.waiting) == is_left
        queue.age(template.properties("WorkQueue")["VisibilityTimeout"])
        service(queue, FINE)[0].works()


def test_a_message_can_be_put_off_by_its_receipt(world, queue):
    sqs = world.emulator.client("sqs", GUARD_KEY)

    def puts_off(payload):
        receipt = payload["Records"][0]["receiptHandle"]
        sqs.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=receipt, VisibilityTimeout=60)
        return failing(payload)

    service_, program = service(queue, puts_off, FINE)
    queue.send("a")
    service_.works()
    assert program.receives == [1, 2]
    assert 59 <= service_.now <= 62


def test_time_passes_up_to_a_delay_and_no_further_than_asked(queue):
    service_, program = service(queue, FINE)
    queue.send("soon", delay=15)
    queue.send("late", delay=900)
    assert service_.takes() is None
    service_.works(seconds=60)
    assert [record["Records"][0]["body"] for record in program.got] == ["soon"]
    assert service_.now == pytest.approx(60)
    service_.works()
    assert 899 <= service_.now <= 902


def test_messages_that_go_in_a_circle_are_an_error(queue):
    service_, _ = service(queue, FINE)
    queue.send("a")

    def again(_):
        queue.send("a")
        return FINE

    with pytest.raises(AssertionError, match="no end"):
        Lambda(lambda: Program(again), queue).works(most=20)


# --- time -----------------------------------------------------------------------------------------------------------------


def test_a_process_whose_clock_stood_still_is_replaced(queue):
    made = []
    service_ = Lambda(lambda: made.append(Program(FINE)) or made[-1], queue)
    service_.delivers({})
    service_.passes(20)
    service_.delivers({})
    assert len(made) == 1
    service_.passes(20)
    service_.delivers({})
    assert len(made) == 2 and made[0].stopped


def test_what_table_and_queue_hold_becomes_older_but_for_the_names_of_sweeps(world, queue):
    state = State(world.emulator, world.state_table())
    began = '{"began": "2026-11-26T12:00:00.25Z", "n": 1}'
    state.put({"pk": {"S": "location#2026-11-26T12:00:00Z"}, "state": {"S": began}, "expires": {"N": "1000"}})
    order = '{"eks-sg-guard":{"hops":1,"at":"2026-11-26T12:00:00Z","task":{"at":"2026-11-26T%s:00:00Z"}}}'
    queue.send(order % 12)
    Lambda(lambda: Program(FINE), queue, state).passes(3600)
    [item] = state.items()
    assert item["pk"]["S"] == "location#2026-11-26T12:00:00Z"
    assert item["state"]["S"] == '{"began": "2026-11-26T11:00:00.25Z", "n": 1}'
    assert item["expires"]["N"] == "-2600"
    assert queue.waiting == [order % 11]
    assert older('"{\\"sweep\\":\\"2026-11-26T12:00:00Z\\"}"', 60) == '"{\\"sweep\\":\\"2026-11-26T12:00:00Z\\"}"'


# --- rights ---------------------------------------------------------------------------------------------------------------


def test_the_guard_may_only_do_what_the_template_grants(world, queue):
    world.emulator.granted = template.granted()
    for call, arguments in (
        ("delete_queue", {"QueueUrl": queue.url}),
        ("purge_queue", {"QueueUrl": queue.url}),
        ("set_queue_attributes", {"QueueUrl": queue.url, "Attributes": {"VisibilityTimeout": "1"}}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(world.emulator.client("sqs", GUARD_KEY), call)(**arguments)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        world.emulator.client("ec2", GUARD_KEY).delete_security_group(GroupId=world.node_group)
    with pytest.raises(ClientError, match="AccessDenied"):
        world.emulator.client("dynamodb", GUARD_KEY).list_tables()
    world.emulator.client("sqs", GUARD_KEY).send_message(QueueUrl=queue.url, MessageBody="a")
    assert queue.waiting == ["a"]


# --- several processes ----------------------------------------------------------------------------------------------------


def test_each_event_is_delivered_up_to_three_times_in_any_order():
    events = list(range(100))
    copies = shuffled(events, seed=1)
    assert set(copies) == set(events) and copies != sorted(copies)
    assert {copies.count(each) for each in events} == {1, 2, 3}


def test_a_fleet_delivers_each_event_once_and_empties_the_queue(world, queue):
    programs = []
    fleet = Fleet(lambda: programs.append(Program(FINE)) or programs[-1], queue, state=None, processes=3)
    queue.send("work")
    fleet.handles([(0.3, {"late": True}), (0, {"n": 1}), (0, lambda: {"n": 2})])
    fleet.finishes()
    got = [each for program in programs for each in program.got]
    assert len(got) == len(fleet.answers) == 4 and not queue.waiting
    assert all(each in got for each in ({"late": True}, {"n": 1}, {"n": 2}))
