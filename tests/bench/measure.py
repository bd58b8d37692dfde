"""One run of one program: a new process, a first event, a series near AWS, a series far from it; and whether each event was
handled wholly.

Owns: what is read off which clock, and what must hold of an event. Must not know of tables.
"""

import base64
import binascii
import gc
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from canned import NODES, PEOPLE, RECORDS, TABLE
from answers import calls
from cloud import Cloud
from openings import Opening
from subject import Program, Subject
from wire import Asked

NEAR, FAR = 0.00025, 0.020  # seconds that AWS takes for an answer
# The guard waits a tenth of a second for its journal. A debug build on a busy machine may need longer.
LATE = "it was not in the journal before the revoke"
SERIES_SECONDS, LEAST_EVENTS = 25, 20  # a series of a slow program ends early, so that all of it ends at all
GUARD_SETTINGS = {
    "GUARD_MODE": "enforce",
    "GUARD_TOPIC_ARN": PEOPLE,
    "GUARD_RECORD_TOPIC_ARN": RECORDS,
    "GUARD_STATE_TABLE": TABLE,
}


@dataclass(frozen=True)
class Size:
    """How many events a run has: some that are not measured between the first and the series, then the series."""

    warming: int = 9
    near: int = 100
    far: int = 20

    @property
    def all(self) -> int:
        return 1 + self.warming + self.near + self.far


@dataclass
class Event:
    """How one event went: seconds as a caller sees it, processor time, until the revoke came in, and what was called."""

    seconds: float
    cpu: float
    until_revoke: float
    calls: Counter[str]
    wrong: list[str]


@dataclass
class Run:
    start: float
    first: Event
    warming: list[Event] = field(default_factory=list)
    near: list[Event] = field(default_factory=list)
    far: list[Event] = field(default_factory=list)
    peak_memory: int = 0
    connections: int = 0

    @property
    def wrong(self) -> list[str]:
        return [each for event in [self.first, *self.warming, *self.near, *self.far] for each in event.wrong]


def text_of(message: str) -> str:
    """What a message says; Custodian packs its own."""
    try:
        return zlib.decompress(base64.b64decode(message, validate=True)).decode()
    except (binascii.Error, zlib.error, ValueError):
        return message


def wrong_with(program: Program, cloud: Cloud, opening: Opening, asked: list[Asked]) -> list[str]:
    """What was not done for an event: the rule is gone, read back, in the journal, and told, as far as it was promised."""

    def problems() -> Iterator[str]:
        rule = opening.rule
        if rule.id in {each.id for each in cloud.account.of_group(NODES)}:
            yield "the rule is still open"
        if {each.id for each in cloud.account.of_group(NODES)} != known:
            yield "the group has not the rules that it had"
        revokes = [each for each in asked if each.action == "RevokeSecurityGroupIngress" and each.detail == {rule.id}]
        if len(revokes) != 1:
            yield f"it was revoked {len(revokes)} times"
            return
        (revoke,) = revokes
        reads = [each for each in asked if each.action == "DescribeSecurityGroupRules" and each.at >= revoke.end > 0]
        if program.looks_again and not any(NODES in each.detail[0] and rule.id not in each.detail[1] for each in reads):
            yield "nobody read back that it is gone"
        if program.keeps_journal:
            written = [each for each in asked if each.action == "PutItem" and each.detail]
            journal = [each for each in written if each.detail[0].startswith("journal#") and rule.id in each.detail[1]]
            if not any(each.at <= revoke.at for each in journal):
                yield LATE
            if not any(each.at >= revoke.end for each in journal):
                yield "the journal does not say what came of it"
        messages = [each.detail for each in asked if each.action == "Publish"]
        told = {topic for topic, text in messages if opening.role in text_of(text) and NODES in text_of(text)}
        if len(told) < program.topics:
            yield f"{len(told)} of {program.topics} topics heard of it"

    known = cloud.account.known
    return [f"{program.name}, event {opening.number}: {each}" for each in [*problems(), *cloud.unknown]]


def play(program: Program, cloud: Cloud, subject: Subject, opening: Opening) -> Event:
    """One event in an account in which nothing else was opened, and which remembers nothing of the events before."""
    cloud.account.put_back()
    cloud.account.open(opening.rule)
    mark, before = len(cloud.asked), subject.cpu
    began, ended = subject.invoke(opening.event)
    spent, asked = subject.cpu - before, cloud.asked[mark:]
    revoked = next((each.at for each in asked if each.action == "RevokeSecurityGroupIngress"), float("nan"))
    wrong = wrong_with(program, cloud, opening, asked)
    return Event(ended - began, spent, revoked - began, Counter(calls(asked)), wrong)


def run(program: Program, cloud: Cloud, size: Size, numbers: Iterator[int]) -> Run:
    """A new process, which is ended afterwards. `numbers` are those of its events; none comes twice."""
    cloud.latency, before = NEAR, cloud.connections
    with quiet(), running(program, cloud) as subject:

        def series(count: int) -> list[Event]:
            events: list[Event] = []
            end = time.monotonic() + SERIES_SECONDS
            while len(events) < count and (time.monotonic() < end or len(events) < LEAST_EVENTS):
                events.append(play(program, cloud, subject, Opening(next(numbers))))
            return events

        (first,) = series(1)
        done = Run(subject.start_seconds, first)
        done.warming = series(size.warming)
        done.near = series(size.near)
        cloud.latency = FAR
        done.far = series(size.far)
        done.peak_memory, done.connections = subject.peak_memory, cloud.connections - before
        cloud.asked.clear()
        return done


def look(guard: Program, cloud: Cloud) -> None:
    """The guard looks at everything once, as it does when it is installed, and at an event, which teaches it a little more:
    what it has learnt then is the table of every event."""
    cloud.latency = 0.0
    with running(guard, cloud) as subject:
        subject.invoke({"sweep": True})
        cloud.account.keep()
        play(guard, cloud, subject, Opening(0))
    if cloud.unknown:
        raise SystemExit(f"error: the canned account was asked what it does not know: {'; '.join(cloud.unknown)}")
    cloud.account.keep()
    cloud.asked.clear()


@contextmanager
def running(program: Program, cloud: Cloud) -> Iterator[Subject]:
    subject = Subject(program, cloud.environment)
    try:
        yield subject
    finally:
        subject.stop()


@contextmanager
def quiet() -> Iterator[None]:
    """This process collects no garbage while another one is measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
