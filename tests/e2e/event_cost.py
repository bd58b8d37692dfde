"""What one event costs before its rule goes: calls, pages, bytes and round trips, in small accounts and in large ones.

`make calls` prints the table that stands in docs/benchmarks.md. It takes some minutes.

    .venv/bin/python tests/e2e/event_cost.py karpenter-node
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import crowds  # noqa: E402
from emulator import Emulator  # noqa: E402
from recorded import Request, calls, waves  # noqa: E402
from slow_calls import SCENARIOS, play  # noqa: E402
from world import World  # noqa: E402

NODE = {"aws:eks:cluster-name": "prod", "kubernetes.io/cluster/prod": "owned"}
SELF_MANAGED = {"kubernetes.io/cluster/prod": "owned", "karpenter.sh/nodepool": "default"}
BRANCH = {"eks:eni:owner": "eks-vpc-resource-controller", "kubernetes.io/cluster/prod": "owned"}

# How the group of each scenario gets that many attachments more, of the kind that it has already.
ATTACH: dict[str, Callable[[World, str, int], object]] = {
    "managed-node-group": lambda world, group, count: crowds.instances(world, group, count, NODE),
    "karpenter-node": lambda world, group, count: crowds.instances(world, group, count, SELF_MANAGED),
    "control-plane-group": lambda world, group, count: crowds.interfaces(world, group, count, "plain"),
    "pod-group": lambda world, group, count: crowds.interfaces(world, group, count, kind="branch", tags=BRANCH),
}


@dataclass(frozen=True)
class Account:
    """How many clusters it has, and how many attachments more than usual the group that is opened."""

    clusters: int = 1
    attachments: int = 0

    def __str__(self) -> str:
        clusters = f"{self.clusters:,} cluster{'s' * (self.clusters > 1)}"
        return f"{clusters}, {self.attachments:,} attachments" if self.attachments else clusters


SMALL = Account()
ACCOUNTS = [SMALL, Account(60), Account(300), Account(1_000), Account(attachments=10), Account(attachments=20_000)]


LATENCY = 0.3  # seconds for each call: longer than it takes to send the requests of one wave


@dataclass(frozen=True)
class Cost:
    """What was asked of EC2 and EKS before the revoke left: calls (first pages), all pages, bytes of the answers, and how
    many round trips one after the other."""

    calls: int
    pages: int
    bytes: int
    waves: int

    @classmethod
    def of(cls, requests: list[Request]) -> "Cost":
        """What left together with the revoke does not count: the revoke did not wait for it."""
        found = waves([request for request in requests if request.service in {"ec2", "eks"}])
        level = next(level for level, wave in enumerate(found) if any(request.mutating for request in wave))
        asked = [request for wave in found[:level] for request in wave]
        size = sum(request.size for request in asked)
        return cls(calls(asked).total(), calls(asked, all_pages=True).total(), size, level)


def cost(aws: Emulator, scenario: str, account: Account, *, warm: bool = False) -> Cost:
    """The cost of the event that opens the group of the scenario to the world. Fails when its rule does not go."""

    def group_of(world: World) -> str:
        group = SCENARIOS[scenario](world)
        crowds.clusters(world, account.clusters - 1)
        if account.attachments:
            ATTACH[scenario](world, group, account.attachments)
        return group

    run = play(aws, group_of, warm=warm, latency=LATENCY)
    assert run.gone, f"{scenario}, {account}: {run.ending}"
    return Cost.of(run.requests)


def table(aws: Emulator, scenarios: list[str]) -> str:
    """The costs of all accounts as a Markdown table, cold and warm."""
    lines = [["group", "account", *(f"{when}: {what}" for when in ("cold", "warm") for what in Cost.__annotations__)]]
    lines.append(["---", "---", *["---:"] * (len(lines[0]) - 2)])
    for scenario in scenarios:
        for account in ACCOUNTS:
            costs = [cost(aws, scenario, account, warm=warm) for warm in (False, True)]
            lines.append([scenario, str(account), *(f"{number:,}" for each in costs for number in vars(each).values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table(Emulator(), sys.argv[1:] or list(SCENARIOS)))
