"""Many events of many groups, shuffled, each delivered up to three times, by several processes at once, one call in fifty
failing and a process dying now and then. In the end no forbidden new rule is open, no allowed rule is gone, every effect is
told, the queue is empty, and memory is flat.

    .venv/bin/python tests/e2e/soak.py 10000 200 4
"""

import json
import random
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import crowds  # noqa: E402
from emulator import REGION, Emulator  # noqa: E402
from events import Event, Somebody, administrator, delivered_again, rule_ids  # noqa: E402
from fleet import Fleet, shuffled  # noqa: E402
from state import State  # noqa: E402
from world import World, allow  # noqa: E402

NODE = {"aws:eks:cluster-name": "prod", "kubernetes.io/cluster/prod": "owned"}
AT_ONCE = 400  # events whose calls were made before the first of them is delivered
# What goes wrong with one call in fifty.
FAILURES: list[dict[str, Any]] = [{"error": "InternalError", "status": 500}, {"drop": True}, {"lose": True}]


@dataclass
class Account:
    """The groups, what people did to them, and what has to be there in the end."""

    world: World
    groups: list[str]
    chance: random.Random
    forbidden: set[str] = field(default_factory=set)
    allowed: dict[str, str] = field(default_factory=dict)  # rule -> group
    former: dict[str, str] = field(default_factory=dict)  # rules that were edited in place -> the address they had
    gone: set[str] = field(default_factory=set)  # by people
    _numbers: Counter[str] = field(default_factory=Counter)

    @classmethod
    def seed(cls, aws: Emulator, groups: int, seed: int) -> "Account":
        world = World.seed(aws)
        made = [crowds._group(world, aws.backend, f"node-{at}", {}).id for at in range(groups)]
        for at in range(0, groups, 5):
            world.instance(made[at : at + 5], NODE)
        return cls(world, made, random.Random(seed))

    def calls(self, count: int) -> list[Event]:
        """So many calls by a few people, each at random."""
        return [self._call() for _ in range(count)]

    def _call(self) -> Event:
        group, who = self.chance.choice(self.groups), self._somebody()
        number = self._numbers[group] = self._numbers[group] + 1
        private = f"10.{number // 250 + 1}.{number % 250}.0/24"
        kind = self.chance.choices(["forbidden", "allowed", "edit", "delete"], [35, 45, 10, 10])[0]
        mine = [rule for rule, of in self.allowed.items() if of == group]
        if kind == "forbidden":
            port = self.chance.choice([10250, 10255, 2379])
            event = who.authorizes(group, allow("tcp", port, f"198.51.{number % 250}.0/24"))
            self.forbidden |= set(rule_ids(event))
        elif kind == "allowed" or not mine:
            event = who.authorizes(group, allow("tcp", 8443, private))
            self.allowed |= dict.fromkeys(rule_ids(event), group)
        elif kind == "edit":
            rule = self.chance.choice(mine)
            self.former[rule] = self.world.rules(group)[rule]["CidrIpv4"]
            del self.allowed[rule]
            body = {"IpProtocol": "tcp", "FromPort": 10250, "ToPort": 10250, "CidrIpv4": f"203.0.{number % 250}.0/24"}
            event = who.modifies(group, {rule: body})
        else:
            rule = self.chance.choice(mine)
            del self.allowed[rule]
            self.gone.add(rule)
            event = who.revokes(group, rule)
        return event

    def _somebody(self) -> Somebody:
        identity = administrator()
        name = f"team-{self.chance.randrange(20)}"
        identity["sessionContext"]["sessionIssuer"]["arn"] += name
        identity["arn"] = identity["arn"].replace("alice", name)
        return Somebody(self.world.emulator, identity)

    def tidied(self) -> None:
        """People delete old harmless rules, as if long ago, so that no group has more than EC2 allows."""
        by_group: dict[str, list[str]] = {}
        for rule, group in self.allowed.items():
            by_group.setdefault(group, []).append(rule)
        for group, rules in by_group.items():
            if len(rules) > 25:
                ids = rules[:-10]
                self.world.emulator.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=ids)
                self.gone |= set(ids)
                for rule in ids:
                    del self.allowed[rule]

    def wrong(self) -> dict[str, Any]:
        """What is not as it has to be in the end."""
        rules = self.world.rules()
        told = Counter[tuple[str, str]]()
        for message in self.world.published_records():
            for each in json.loads(message.text)["findings"]:
                if each["rule"]:
                    told[each["rule"]["id"], each["action"]] += 1
        changed = {
            rule for rule, former in self.former.items() if rule not in rules or rules[rule]["CidrIpv4"] != former
        }
        open_still = {rule for rule in self.former if rule in rules and not rules[rule]["CidrIpv4"].startswith("10.")}
        untold = {rule for rule in self.forbidden - rules.keys() if not told[rule, "revoked"]}
        untold |= {
            rule
            for rule in self.former
            if not told[rule, "revoked" if rule in changed - open_still else "restored"] and rule not in open_still
        }
        return {
            "forbidden rules that are open": sorted((self.forbidden & rules.keys()) | open_still),
            "allowed rules that are gone": sorted(self.allowed.keys() - rules.keys()),
            "effects that nobody heard of": sorted(untold),
        }


@dataclass
class Soaked:
    """How it ended."""

    wrong: dict[str, Any]
    fleet: Fleet
    deliveries: int
    seconds: float
    told_again: int

    @property
    def memory(self) -> tuple[int, int]:
        """Kilobytes of the largest process, after a quarter of the time and in the last quarter."""
        most = self.fleet.most_memory
        quarter = max(1, len(most) // 4)
        return max(most[:quarter]), max(most[-quarter:])

    def text(self) -> str:
        before, after = self.memory
        failed = sum(answer.failed for answer in self.fleet.answers)
        died = sum(answer.died for answer in self.fleet.answers)
        lines = [
            f"{self.deliveries:,} deliveries, {len(self.fleet.answers):,} invocations in {self.seconds:,.0f} s",
            f"{failed:,} of them failed, {died:,} died",
            f"largest process: {before / 1024:.1f} MB in the first quarter, {after / 1024:.1f} MB in the last",
            f"effects that machines heard of more than once: {self.told_again}",
            *(f"{what}: {len(which)}" for what, which in self.wrong.items()),
        ]
        return "\n".join(lines)


def soak(aws: Emulator, events: int, groups: int, processes: int, seed: int = 1, say: Any = None) -> Soaked:
    """Plays it. `say` hears of the progress."""
    account = Account.seed(aws, groups, seed)
    world = account.world
    state, work = State(aws, world.state_table()), world.work_queue()
    fleet = Fleet.enforces(world, state, work, processes)
    began = time.monotonic()
    try:
        fleet.handles([(0, {"sweep": True})])
        fleet.finishes()
        chance = random.Random(seed)
        for failure in FAILURES:
            share = 0.02 / len(FAILURES)
            aws.on("*", when=lambda _, share=share: chance.random() < share, **failure)
        deaths = random.Random(seed + 1)
        aws.on("*", when=lambda _: deaths.random() < 0.0005, before=lambda: _kill_one(fleet, deaths), drop=True)
        deliveries, left, late = 0, events, []
        while left:
            calls = account.calls(min(left, AT_ONCE))
            left -= len(calls)
            copies = [delivered_again(each) for each in shuffled(calls + late, seed + left)]
            late = chance.sample(calls, len(calls) // 20)  # some come once more, with those that follow
            deliveries += len(copies)
            fleet.handles([(0, each) for each in copies])
            account.tidied()
            aws.forget()
            if say:
                say(f"{events - left:,} events, {deliveries:,} deliveries, {time.monotonic() - began:,.0f} s")
        fleet.finishes()
        aws.calm()
        wrong = account.wrong()
        wrong["messages that were given up"] = work.dead
        records = [json.loads(message.text) for message in world.published_records()]
        told = Counter(
            each["rule"]["id"]
            for record in records
            for each in record["findings"]
            if each["rule"] and each["action"] in {"revoked", "restored"}
        )
        again = sum(1 for times in told.values() if times > 1)
        return Soaked(wrong, fleet, deliveries, time.monotonic() - began, again)
    finally:
        fleet.stop()


def _kill_one(fleet: Fleet, chance: random.Random) -> None:
    running = [each for each in map(fleet._process, fleet._lambdas) if each]
    if running:
        chance.choice(running).kill()


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="moto")  # it does not know the errors that are wanted
    sizes = [int(each) for each in sys.argv[1:]] or [10_000, 200, 4]
    emulator = Emulator()
    soaked = soak(emulator, *sizes, say=lambda text: print(text, flush=True))
    emulator.stop()
    print(soaked.text())
    print(json.dumps({what: which[:5] for what, which in soaked.wrong.items() if which}, indent=1))
    sys.exit(any(soaked.wrong.values()))
