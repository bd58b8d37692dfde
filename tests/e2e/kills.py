"""The process dies at one of its calls to AWS: before the call is carried out, or after it and before the answer comes."""

import itertools
from typing import Any

from emulator import Emulator
from recorded import Request
from work_queue import Lambda


def dies_at(service: Lambda, emulator: Emulator, nth: int, carried_out: bool, event: Any) -> Request | None:
    """An event is delivered to a process that dies at its nth call. The call; `None`: it has fewer."""
    emulator.forget()
    count = itertools.count(1)
    kill = service.program.kill
    how: dict[str, Any] = {"after": kill, "lose": True} if carried_out else {"before": kill, "drop": True}
    emulator.on("*", times=1, when=lambda _: next(count) == nth, **how)
    [answer] = service.delivers(event)
    emulator.calm()
    if not answer.died:
        return None
    return emulator.requests[nth - 1]
