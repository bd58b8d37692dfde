"""Fixtures: one emulated AWS per run, a freshly seeded account per test, and guards started on demand."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.register_assert_rewrite("checks")

from checks import Guard  # noqa: E402
from emulator import Emulator  # noqa: E402
from events import Somebody  # noqa: E402
from lambda_runtime import bootstrap  # noqa: E402
from looks import looked_at, not_looked_at  # noqa: E402
from state import State  # noqa: E402
from work_queue import Lambda, WorkQueue  # noqa: E402
from world import World  # noqa: E402


@pytest.fixture(scope="session")
def aws() -> Iterator[Emulator]:
    emulator = Emulator()
    yield emulator
    emulator.stop()


@pytest.fixture
def remembers(request: pytest.FixtureRequest) -> bool:
    """Whether the guard has a table, and has looked at everything before the test begins: see `looks`."""
    return getattr(request, "param", False)


@pytest.fixture
def prepare(request: pytest.FixtureRequest) -> Callable[[World], Any] | None:
    """What is made in the world before that look."""
    return getattr(request, "param", None)


@pytest.fixture
def seeded(aws: Emulator, remembers: bool, prepare: Callable[[World], Any] | None) -> tuple[World, Any]:
    return (looked_at if remembers else not_looked_at)(aws, prepare)


@pytest.fixture
def world(seeded: tuple[World, Any]) -> World:
    return seeded[0]


@pytest.fixture
def prepared(seeded: tuple[World, Any]) -> Any:
    """What `prepare` returned."""
    return seeded[1]


@pytest.fixture
def somebody(world: World) -> Somebody:
    return Somebody(world.emulator)


@pytest.fixture
def guard(world: World) -> Iterator[Callable[..., Guard]]:
    """`guard(GUARD_MODE="report")`: the real program, not started yet, with that environment and both topics."""
    if not bootstrap().exists():
        pytest.fail(f"{bootstrap()} is not there: build it first (cargo build --bin bootstrap)")
    made: list[Guard] = []

    def make(**environment: str) -> Guard:
        made.append(Guard(world, **{**world.settings, **environment}))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def queue(world: World) -> WorkQueue:
    return world.work_queue()


@pytest.fixture
def service(world: World, guard: Callable[..., Guard], queue: WorkQueue) -> Callable[..., Lambda]:
    """`service(GUARD_MAX_REVOKES="5")`: Lambda with the real program, table and work queue; it enforces what is new."""
    state = State(world.emulator, world.state_table())
    settings = {"GUARD_MODE": "enforce", "GUARD_STATE_TABLE": state.table, "GUARD_QUEUE_URL": queue.url}

    def make(**environment: str) -> Lambda:
        return Lambda(lambda: guard(**{**settings, **environment}), queue, state)

    return make


@pytest.fixture
def looked(world: World, service: Callable[..., Lambda]) -> Callable[..., Lambda]:
    """The same, once it has looked at everything. What was said of that is forgotten."""

    def make(**environment: str) -> Lambda:
        ready = service(**environment)
        ready.delivers({"sweep": True})
        assert not [answer.error_message for answer in ready.works() if answer.failed]
        world.emulator.forget_messages()
        return ready

    return make
