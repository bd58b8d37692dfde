"""Many events at once: several processes of the function, one list of events, one work queue.

`Fleet` plays Lambda with so many execution environments. Two of them at most are for the work queue, as the template says;
no other thread than theirs touches them.
"""

import queue
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import template
from emulator import ACCOUNT
from lambda_runtime import Answer, Function
from state import State
from work_queue import Lambda, WorkQueue
from world import World

OWN_ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-sg-guard"


@dataclass
class Fleet:
    """So many processes. `make` gives a new one."""

    make: Callable[[], Function]
    work: WorkQueue
    state: State
    processes: int
    answers: list[Answer] = field(default_factory=list)
    most_memory: list[int] = field(default_factory=list)  # kilobytes of the largest process, by the time of the answers

    def __post_init__(self) -> None:
        self._lambdas = [Lambda(self.make, self.work) for _ in range(self.processes)]
        mapping = template.properties("WorkQueueMapping")["ScalingConfig"]["MaximumConcurrency"]
        self._pollers = self._lambdas[:mapping]
        self._lock = threading.Lock()

    @classmethod
    def enforces(cls, world: World, state: State, work: WorkQueue, processes: int) -> "Fleet":
        """Processes as the template makes them, in mode enforce, with its rights and no others."""
        environment = {
            "GUARD_MODE": "enforce",
            "GUARD_STATE_TABLE": state.table,
            "GUARD_QUEUE_URL": work.url,
            "GUARD_TOPIC_ARN": world.people_topic,
            "GUARD_RECORD_TOPIC_ARN": world.record_topic,
            "GUARD_OWN_ROLE_ARN": OWN_ROLE,
        }
        aws = world.emulator
        aws.granted = template.granted()
        return cls(lambda: Function(aws.url, **environment), work, state, processes)

    def stop(self) -> None:
        for each in self._lambdas:
            each.stop()

    def handles(self, events: Iterable[tuple[float, Any]]) -> None:
        """Delivers each event when so many seconds have passed since now (0: as soon as a process is free), and what the
        queue holds meanwhile. An event may be a function that makes it then. Returns when all were delivered."""
        waiting: queue.Queue[tuple[float, Any]] = queue.Queue()
        for each in sorted(events, key=lambda each: each[0]):
            waiting.put(each)
        began = time.monotonic()

        def runs(lambda_: Lambda) -> None:
            while True:
                try:
                    due, event = waiting.get_nowait()
                except queue.Empty:
                    return
                # Who waits for the next event looks after the queue.
                while True:
                    if lambda_ in self._pollers and self.work.until_next() == 0 and (answer := lambda_.takes()):
                        self._keep(answer)
                    left = due - (time.monotonic() - began)
                    if left <= 0:
                        break
                    time.sleep(min(left, 0.05))
                for answer in lambda_.delivers(event() if callable(event) else event):
                    self._keep(answer)

        self._each(runs, self._lambdas)

    def finishes(self, most: int = 2_000) -> None:
        """Lets time pass until the queue is empty."""
        while (wait := self.work.until_next()) is not None:
            assert (most := most - 1), f"no end of messages, the next one is {self.work.waiting[:1]}"
            if wait:
                self.state.age(wait)
                self.work.age(wait)
                for each in self._lambdas:
                    each.stop()  # its clock stood still
            self.empties()

    def empties(self) -> None:
        """Handles what the queue holds now."""
        self._each(self._empties, self._pollers)

    def _empties(self, lambda_: Lambda) -> None:
        while answer := lambda_.takes():
            self._keep(answer)

    @staticmethod
    def _each(run: Callable[[Lambda], None], lambdas: list[Lambda]) -> None:
        problems: list[BaseException] = []

        def guarded(lambda_: Lambda) -> None:
            try:
                run(lambda_)
            except BaseException as problem:  # noqa: BLE001  (it is raised again)
                problems.append(problem)

        threads = [threading.Thread(target=guarded, args=(each,)) for each in lambdas]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]

    def _keep(self, answer: Answer) -> None:
        memory = max((each.memory for each in map(self._process, self._lambdas) if each), default=0)
        with self._lock:
            self.answers.append(answer)
            self.most_memory.append(memory)

    @staticmethod
    def _process(lambda_: Lambda) -> Function | None:
        program = lambda_._program
        return program if isinstance(program, Function) else None


def shuffled(events: list[Any], seed: int, most: int = 3) -> list[Any]:
    """Each event up to `most` times, in any order."""
    chance = random.Random(seed)
    copies = [event for event in events for _ in range(chance.randint(1, most))]
    chance.shuffle(copies)
    return copies
