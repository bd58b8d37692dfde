"""What goes wrong with requests when a test wants it: errors, delays, lost connections, rate limits."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from recorded import Request

# What a service says when too much is asked of it: code and status.
THROTTLED = {"ec2": ("RequestLimitExceeded", 503), "eks": ("ThrottlingException", 429)}
DENIED = {"ec2": ("UnauthorizedOperation", 403)}


@dataclass
class Disturbance:
    """What happens to requests of one action (`*`: of any): an error, a delay, a dropped connection, a hook before or after.

    `drop` loses the request before it is carried out, `lose` loses the answer afterwards. `throttled` is the error of the
    service that was asked. With `every=2` it happens to the first, third, ... request of each action.
    """

    action: str
    when: Callable[[dict[str, Any]], bool] = lambda _params: True
    times: float = float("inf")
    every: int = 1
    reads_only: bool = False
    error: str | None = None
    status: int = 400
    throttled: bool = False
    delay: float = 0
    drop: bool = False
    lose: bool = False
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    _seen: Counter[str] = field(default_factory=Counter)

    def happens_to(self, request: Request) -> bool:
        """Whether this request is disturbed. Asking counts as a request."""
        if self.times <= 0 or self.action not in {"*", request.action} or not self.when(request.params):
            return False
        if (self.reads_only and not request.reading) or (self.throttled and request.service not in THROTTLED):
            return False
        self._seen[request.action] += 1
        if (self._seen[request.action] - 1) % self.every:
            return False
        self.times -= 1
        return True

    def refusal(self, request: Request) -> tuple[str, int] | None:
        """Code and status of the error that the request gets."""
        if self.throttled:
            return THROTTLED[request.service]
        return (self.error, self.status) if self.error else None


@dataclass
class TokenBucket:
    """How many requests an account may make: `capacity` at once, and `refill` more each second.

    EC2 keeps one for each action (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html); of EKS no
    figures are published. The names are actions, or services for all their actions together.
    """

    names: tuple[str, ...]
    capacity: float
    refill: float
    error: str | None = None  # else what the service says; EKS also has TooManyRequestsException
    tokens: float = field(init=False)
    filled: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens, self.filled = self.capacity, time.monotonic()

    def limits(self, request: Request) -> bool:
        return bool({request.action, request.service} & set(self.names))

    def refusal(self, request: Request) -> tuple[str, int] | None:
        """Take a token. Code and status of the error if there is none."""
        now = time.monotonic()
        self.tokens = min(self.capacity, self.tokens + (now - self.filled) * self.refill)
        self.filled = now
        if self.tokens >= 1:
            self.tokens -= 1
            return None
        code, status = THROTTLED[request.service]
        return self.error or code, status
