"""The demonstration: somebody opens a cluster's nodes to the world, and the real function closes them again.

Everything is local: an emulated AWS, and the function's program, fed through the Lambda Runtime API with the events that
CloudTrail would deliver. Ends with an error when a forbidden rule is still there or an allowed one is gone.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from emulator import Emulator
from events import Event, Somebody, rule_ids
from lambda_runtime import Answer, Function, StartError, bootstrap
from world import WORLD, World, allow


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def described(rule: dict[str, Any], names: dict[str, str]) -> str:
    """One rule in a line: `tcp 10250  from 0.0.0.0/0`."""
    first, last = rule["FromPort"], rule["ToPort"]
    ports = "" if rule["IpProtocol"] == "-1" else f" {first}" if first == last else f" {first}-{last}"
    traffic = "everything" if rule["IpProtocol"] == "-1" else rule["IpProtocol"] + ports
    group = rule.get("ReferencedGroupInfo", {}).get("GroupId")
    peer = rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId") or names.get(group, group)
    way, word = ("out", "to  ") if rule["IsEgress"] else ("in ", "from")
    return f"{rule['SecurityGroupRuleId']}  {way}  {traffic:16} {word} {peer}"


def show(rules: dict[str, Any], names: dict[str, str], forbidden: list[str] | None = None) -> None:
    for rule_id, rule in rules.items():
        print(f"  {described(rule, names):70}{'  <- forbidden' if rule_id in (forbidden or []) else ''}".rstrip())


def calls(world: World) -> Iterator[tuple[str, Event, list[str]]]:
    """What somebody does, one call after the other: in words, the event about it, and the ids of the rules that must go."""
    alice, nodes = Somebody(world.emulator), world.node_group
    webhooks = allow("tcp", 8443, "10.0.0.0/8", text="webhooks")
    event = alice.authorizes(nodes, allow("tcp", 10250, WORLD, text="just for a minute"), webhooks)
    yield "opens the kubelet port to the world, and 8443 to the private network, in one call", event, rule_ids(event)[:1]
    for half, words in (("0.0.0.0/1", "one half of the internet"), ("128.0.0.0/1", "the other half")):
        event = alice.authorizes(nodes, allow("tcp", (10000, 10300), half, text="monitoring"))
        yield f"opens 10000-10300 to {words}", event, rule_ids(event)


def demonstrate(emulator: Emulator) -> list[str]:
    """Run the scenario and print it. Returns what is wrong at the end; nothing if all is well."""
    world = World.seed(emulator)
    names = {world.cluster_group: "the cluster's own group", world.node_group: "itself"}
    title(f"Before: the rules of node group {world.node_group} of EKS cluster prod")
    show(world.rules(world.node_group), names)

    title("At three in the morning, somebody ...")
    wanted, forbidden, answers = world.rules(), [], []
    function = Function(emulator.url, GUARD_TOPIC_ARN=world.people_topic, GUARD_RECORD_TOPIC_ARN=world.record_topic)
    try:
        function.start()
        for words, event, must_go in calls(world):
            opened = {rule_id: rule for rule_id, rule in world.rules().items() if rule_id in rule_ids(event)}
            print(f"... {words}:")
            show(opened, names, must_go)
            answers.append(function.invoke(event))
            print(f"      CloudTrail's event is handled in {1000 * answers[-1].seconds:.0f} ms.")
            forbidden += must_go
            wanted |= {rule_id: rule for rule_id, rule in opened.items() if rule_id not in must_go}
    finally:
        function.stop()

    for number, notice in enumerate(world.notices(), start=1):
        title(f"Notice {number} of {len(world.notices())}: {notice.subject}")
        print(textwrap.indent(notice.text.rstrip(), "  "))
    title("The record of the first event, for machines")
    for record in answers[0].logged_records:
        print(textwrap.indent(json.dumps(record, indent=2), "  "))
    title("After: the rules of the node group")
    show(world.rules(world.node_group), names)
    return complaints(world, names, wanted, forbidden, answers)


def complaints(
    world: World, names: dict[str, str], wanted: dict[str, Any], forbidden: list[str], answers: list[Answer]
) -> list[str]:
    """A sentence for everything that is not as it should be."""
    after = world.rules()
    found = [f"Event {n} was not handled: {answer.error_message}" for n, answer in enumerate(answers, 1) if answer.failed]
    found += [f"A forbidden rule is still there: {described(after[rule], names)}" for rule in forbidden if rule in after]
    lost = [rule for rule in wanted if after.get(rule) != wanted[rule]]
    found += [f"An allowed rule is gone or changed: {described(wanted[rule], names)}" for rule in lost]
    strange = after.keys() - wanted.keys() - set(forbidden)
    found += [f"A rule appeared from nowhere: {described(after[rule], names)}" for rule in strange]
    if len(world.notices()) != len(answers):
        found.append(f"{len(answers)} events made {len(world.notices())} notices.")
    if not found:
        others = f"the account's other {len(after)} rules are untouched"
        print(f"\nProved: {len(forbidden)} forbidden rules are closed, {others}.")
    return found


def main() -> int:
    if not bootstrap().exists():
        print(f"error: {bootstrap()} is not there; build it first: cargo build --bin bootstrap", file=sys.stderr)
        return 1
    emulator = Emulator()
    try:
        found = demonstrate(emulator)
    except (StartError, TimeoutError) as error:
        found = [f"The function did not work: {error}"]
    finally:
        emulator.stop()
    sys.stdout.flush()
    for complaint in found:
        print(f"\nerror: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
