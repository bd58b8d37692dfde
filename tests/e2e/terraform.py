"""`terraform apply` of many rules in many groups within two minutes, against EC2's token buckets: how fast forbidden rules
are closed, and how often another client of the same account is throttled meanwhile.

    .venv/bin/python tests/e2e/terraform.py 1000 100 120
"""

import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from botocore.exceptions import ClientError  # noqa: E402

import crowds  # noqa: E402
from emulator import GUARD_KEY, Emulator  # noqa: E402
from events import Somebody, rule_ids  # noqa: E402
from fleet import Fleet  # noqa: E402
from soak import NODE  # noqa: E402
from state import State  # noqa: E402
from world import World, allow  # noqa: E402

# https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html: at once, and more each second, for each call.
READS = (100, 20)
WRITES = (50, 5)
CALLS = [
    "DescribeInstances",
    "DescribeLaunchTemplateVersions",
    "DescribeManagedPrefixLists",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroupRules",
    "DescribeSecurityGroups",
    "DescribeSecurityGroupVpcAssociations",
    "DescribeVpcs",
    "GetManagedPrefixListEntries",
]
FORBIDDEN = 5  # every so manyth rule


@dataclass
class Applied:
    """How it went."""

    seconds: list[float]  # from the event to the revoke that EC2 carried out, of each forbidden rule
    still_open: int
    asked: int
    throttled: int
    failed: int
    invocations: int

    def text(self) -> str:
        ordered = sorted(self.seconds)
        half, most = (ordered[len(ordered) // 2], ordered[-1]) if ordered else (0.0, 0.0)
        share = self.throttled / max(1, self.asked)
        return (
            f"{len(ordered)} forbidden rules were closed, after {half:.1f} s (median) and at most {most:.1f} s; "
            f"{self.still_open} are open\n"
            f"{self.invocations} invocations, {self.failed} failed\n"
            f"another client: {self.asked} calls, {self.throttled} throttled ({share:.1%})"
        )


class Client(threading.Thread):
    """Another client of the account, two calls a second."""

    def __init__(self, aws: Emulator, group: str) -> None:
        super().__init__(daemon=True)
        ec2, filters = aws.client("ec2", GUARD_KEY), [{"Name": "group-id", "Values": [group]}]
        self.calls = [
            lambda: ec2.describe_security_groups(Filters=filters),
            lambda: ec2.describe_network_interfaces(Filters=filters),
            lambda: ec2.describe_instances(Filters=[{"Name": "instance.group-id", "Values": [group]}]),
            lambda: ec2.describe_security_group_rules(Filters=filters),
        ]
        self.asked = self.throttled = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            call = self.calls[self.asked % len(self.calls)]
            self.asked += 1
            try:
                call()
            except ClientError as refused:
                assert "RequestLimitExceeded" in str(refused), refused
                self.throttled += 1


def apply(aws: Emulator, rules: int, groups: int, seconds: float, processes: int = 5) -> Applied:
    """Terraform writes so many rules into so many groups within that time; their events come as they are written."""
    world = World.seed(aws)
    made = [crowds._group(world, aws.backend, f"node-{at}", {}).id for at in range(groups)]
    for at in range(0, groups, 5):
        world.instance(made[at : at + 5], NODE)
    state, work = State(aws, world.state_table()), world.work_queue()
    fleet = Fleet.enforces(world, state, work, processes)
    client = Client(aws, world.bastion_group)
    try:
        fleet.handles([(0, {"sweep": True})])
        fleet.finishes()
        aws.forget()
        terraform = Somebody(aws)
        opened: dict[str, float] = {}

        def written(at: int):  # noqa: ANN202
            """One rule, as Terraform writes it when its turn has come."""
            group, port = made[at % groups], 8000 + at // groups
            is_forbidden = at % FORBIDDEN == 0
            where = (10250, f"198.51.{at // groups}.0/24") if is_forbidden else (port, "10.0.0.0/8")
            event = terraform.authorizes(group, allow("tcp", *where))
            if is_forbidden:
                opened[rule_ids(event)[0]] = time.monotonic()
            return event

        for name in CALLS:
            aws.limit(name, capacity=READS[0], refill=READS[1])
        aws.limit("RevokeSecurityGroupIngress", capacity=WRITES[0], refill=WRITES[1])
        client.start()
        fleet.handles((seconds * at / rules, lambda at=at: written(at)) for at in range(rules))
        end = time.monotonic() + 60
        while opened.keys() & world.rules().keys() and time.monotonic() < end:
            fleet.empties()
            time.sleep(0.2)
        client.over.set()
        revokes = [each for each in aws.asked("RevokeSecurityGroupIngress") if not each.error]
        closed = {rule: each.end for each in revokes for rule in each.params["SecurityGroupRuleIds"]}
        return Applied(
            seconds=[closed[rule] - at for rule, at in opened.items() if rule in closed],
            still_open=len(opened.keys() & world.rules().keys()),
            asked=client.asked,
            throttled=client.throttled,
            failed=sum(answer.failed for answer in fleet.answers),
            invocations=len(fleet.answers),
        )
    finally:
        client.over.set()
        aws.calm()
        fleet.stop()


if __name__ == "__main__":
    rules, groups, seconds = [int(each) for each in sys.argv[1:]] or [1_000, 100, 120]
    emulator = Emulator()
    applied = apply(emulator, rules, groups, seconds)
    emulator.stop()
    print(applied.text())
    is_fine = not applied.still_open and max(applied.seconds) <= 60 and applied.throttled < 0.05 * applied.asked
    sys.exit(not is_fine)
