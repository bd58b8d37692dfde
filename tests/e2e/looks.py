"""A world in which a guard has looked at everything before a test begins.

What a rule is worth depends on what the guard remembers: without a table what its event makes or names is new, with one
everything that no complete look has seen. So a case is played twice, by a guard that forgets and by one that remembers.
"""

from collections.abc import Callable
from typing import Any

import pytest

from checks import Guard
from emulator import Emulator
from world import World

FORGETS_AND_REMEMBERS = pytest.mark.parametrize("remembers", [False, True], ids=["forgets", "remembers"], indirect=True)
SWEEP = {"sweep": True}


def looked_at(emulator: Emulator, prepare: Callable[[World], Any] | None = None) -> tuple[World, Any]:
    """The world, with a table that says so, and what `prepare` made in it before the look."""
    return emulator.seeded(_looked_at, prepare)


def not_looked_at(emulator: Emulator, prepare: Callable[[World], Any] | None = None) -> tuple[World, Any]:
    """The same where nobody has looked, and there is no table."""
    return emulator.seeded(_not_looked_at, prepare)


def _looked_at(emulator: Emulator, prepare: Callable[[World], Any] | None) -> tuple[World, Any]:
    world, prepared = _not_looked_at(emulator, prepare)
    world.table = world.state_table()
    guard = Guard(world, **world.settings)
    answer = guard.invoke(SWEEP)
    assert not answer.failed, answer.error_message
    guard.stop()
    emulator.forget_messages()
    return world, prepared


def _not_looked_at(emulator: Emulator, prepare: Callable[[World], Any] | None) -> tuple[World, Any]:
    world = World.seed(emulator)
    return world, prepare and prepare(world)
