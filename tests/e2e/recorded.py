"""What the guard asked of the emulated AWS, and how to count it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

LOOKS = ("Describe", "Get", "List", "Search")
# they change nothing that the guard watches over
HARMLESS = {"Publish", "AssumeRole", "BatchGetItem", "PutItem", "SendMessage", "ChangeMessageVisibility"}


@dataclass
class Request:
    """One request of the guard, with the monotonic times at which its handling began and ended."""

    service: str
    action: str
    params: dict[str, Any]
    start: float
    end: float = float("inf")
    page: int = 1  # the first of an answer is 1
    error: str | None = None  # the code of an error that the test wanted
    size: int = 0  # bytes of the answer's body

    @property
    def name(self) -> str:
        """As the guard's policies name it: `ec2:DescribeVpcs`."""
        return f"{self.service}:{self.action}"

    @property
    def reading(self) -> bool:
        return self.action.startswith(LOOKS)

    @property
    def mutating(self) -> bool:
        return not self.reading and self.action not in HARMLESS


def waves(requests: list[Request]) -> list[list[Request]]:
    """The requests by the number of round trips that had to be over before each: what ran at the same time is one wave."""
    found: list[list[Request]] = []
    for request in sorted(requests, key=lambda each: each.start):
        level = sum(any(earlier.end <= request.start for earlier in wave) for wave in found)
        found += [[]] if level == len(found) else []
        found[level].append(request)
    return found


def before_revoke(requests: list[Request]) -> list[Request]:
    """The requests that EC2 and EKS got before the first revoke; all of them if there was none."""
    asked = [request for request in requests if request.service in {"ec2", "eks"}]
    first = min((request.start for request in asked if request.action.startswith("Revoke")), default=float("inf"))
    return [request for request in asked if request.start < first]


def calls(requests: list[Request], all_pages: bool = False) -> Counter[str]:
    """How often each call was made (`ec2:DescribeVpcs`), further pages of an answer only with `all_pages`."""
    return Counter(request.name for request in requests if all_pages or request.page == 1)


def calls_before_revoke(requests: list[Request], all_pages: bool = False) -> Counter[str]:
    """How often each call of EC2 and EKS was made before the first revoke left; `.total()` is their number."""
    return calls(before_revoke(requests), all_pages)


def call_table(counted: dict[str, Counter[str]]) -> str:
    """The counts side by side as a Markdown table, a column for each, with a row of totals."""
    names = sorted({name for calls in counted.values() for name in calls})
    rows = [[name, *(str(calls[name] or "") for calls in counted.values())] for name in names]
    rows.append(["all", *(str(calls.total()) for calls in counted.values())])
    lines = [["call", *counted], ["---", *["---:"] * len(counted)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
