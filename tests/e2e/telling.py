"""What people and machines were told of a rule, and whether it is the truth."""

import json
from collections import Counter
from typing import Any

from emulator import Message
from world import World


def records_of(world: World, rule: str) -> list[dict[str, Any]]:
    """The published records that have a finding about the rule."""
    records = [json.loads(message.text) for message in world.published_records()]
    return [each for each in records if rule in {found["rule"]["id"] for found in each["findings"] if found["rule"]}]


def actions_told(world: World, rule: str) -> Counter[str]:
    """How often machines were told each action about the rule."""
    found = (each for record in records_of(world, rule) for each in record["findings"])
    return Counter(each["action"] for each in found if each["rule"] and each["rule"]["id"] == rule)


def mails(world: World, *words: str) -> list[Message]:
    """The mails to people with all of these words in subject or text."""
    return [mail for mail in world.notices() if all(word in f"{mail.subject}\n{mail.text}" for word in words)]
