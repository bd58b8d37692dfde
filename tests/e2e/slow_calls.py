"""One event, played again with each call that it takes made slow in turn.

`play` seeds an account, starts the program cold (or warm), lets somebody open the kubelet's port to the world and says
how it ended. `calls_of` lists what is asked before the rule goes, `slowed_in_turn` plays once for each of these calls.

    .venv/bin/python tests/e2e/slow_calls.py 5 managed-node-group
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from moto.eks import eks_backends  # noqa: E402

from checks import Guard  # noqa: E402
from emulator import ACCOUNT, REGION, Emulator  # noqa: E402
from events import Somebody, rule_ids  # noqa: E402
from lambda_runtime import Answer  # noqa: E402
from recorded import Request, before_revoke, calls_before_revoke  # noqa: E402
from world import EKS_ACCOUNT, WORLD, World, allow  # noqa: E402

KUBELET = allow("tcp", 10250, WORLD)


# --- the kinds of groups that a cluster has -------------------------------------------------------------------------------


def managed_node_group(world: World) -> str:
    return world.node_group


def karpenter_node(world: World) -> str:
    """Connected with the cluster by ordinary tags and by rules from and to the cluster's group."""
    group = world.group("karpenter-node", {"karpenter.sh/discovery": "prod"})
    world.instance(group, {"kubernetes.io/cluster/prod": "owned", "karpenter.sh/nodepool": "default"})
    world.open(group, allow("-1", None, world.cluster_group), allow("-1", None, group))
    world.open(world.cluster_group, allow("-1", None, group))
    return group


def control_plane_group(world: World) -> str:
    """An additional group of the cluster, on an interface of its control plane."""
    group = world.group("prod-control-plane")
    cluster = eks_backends[ACCOUNT][REGION].clusters["prod"]
    cluster.resources_vpc_config = cluster.resources_vpc_config | {"securityGroupIds": [group]}
    world.interface(group, "Amazon EKS prod", owner=EKS_ACCOUNT, requester="AROAEKS:AmazonEKS")
    return group


def pod_group(world: World) -> str:
    return world.pod_group


SCENARIOS: dict[str, Callable[[World], str]] = {
    "managed-node-group": managed_node_group,
    "karpenter-node": karpenter_node,
    "control-plane-group": control_plane_group,
    "pod-group": pod_group,
}


# --- playing --------------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """How one event ended: the answer, what was asked for it, and whether the rule is gone."""

    answer: Answer
    requests: list[Request]
    gone: bool

    @property
    def calls(self) -> Counter[str]:
        """How often each call was made before the first revoke, first pages only."""
        return calls_before_revoke(self.requests)

    @property
    def ending(self) -> str:
        """In a few words, for a table."""
        how = "gone" if self.gone else "still open"
        return f"{how} after {self.answer.seconds:.1f} s" + (f": {self.answer.error_message}" if self.answer.failed else "")


def play(
    aws: Emulator,
    group_of: Callable[[World], str],
    slow: Mapping[str, float] | None = None,
    *,
    warm: bool = False,
    timeout: float = 60,
    latency: float = 0,
    **environment: str,
) -> Run:
    """A new account and a new process, `group_of` opened to the world once, with all calls `latency` seconds slower and the
    calls of `slow` (`ec2:DescribeVpcs`) by so many. `warm`: the process has handled an event of the same group before."""
    world = World.seed(aws)
    group, somebody, guard = group_of(world), Somebody(aws), Guard(world, **environment)
    try:
        guard.start()
        if warm:
            guard.invoke(somebody.authorizes(group, allow("tcp", 8443, "10.0.0.0/8")), timeout)
        event = somebody.authorizes(group, KUBELET)
        aws.forget()
        aws.latency = latency
        for name, seconds in (slow or {}).items():
            aws.slow(name.partition(":")[2], seconds)
        answer = guard.invoke(event, timeout)
        return Run(answer, list(aws.requests), gone=not set(rule_ids(event)) & world.rules(group).keys())
    finally:
        aws.calm()
        guard.stop()


def calls_of(run: Run) -> list[str]:
    """The calls that were made before the first revoke, in the order in which they began, and the revoke's own."""
    asked = sorted(before_revoke(run.requests), key=lambda request: request.start)
    revokes = [request.name for request in run.requests if request.action.startswith("Revoke")]
    return list(dict.fromkeys([*(request.name for request in asked), *revokes]))


def slowed_in_turn(aws: Emulator, group_of: Callable[[World], str], seconds: float, **options: bool) -> dict[str, Run]:
    """The event undisturbed (under the name `none`), then once for each of its calls with that call slowed."""
    runs = {"none": play(aws, group_of, **options)}
    for name in calls_of(runs["none"]):
        runs[name] = play(aws, group_of, {name: seconds}, **options)
    return runs


def table(runs: dict[str, Run]) -> str:
    """A Markdown table of slowed calls and how the event ended."""
    return "\n".join(
        ["| slowed | the rule |", "| --- | --- |", *(f"| {name} | {run.ending} |" for name, run in runs.items())]
    )


if __name__ == "__main__":
    emulator = Emulator()
    for scenario in sys.argv[2:] or SCENARIOS:
        print(f"{scenario}, each call {sys.argv[1]} s slower:\n")
        print(table(slowed_in_turn(emulator, SCENARIOS[scenario], float(sys.argv[1]))), end="\n\n")
