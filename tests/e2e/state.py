"""The state table in a test's hands: which items there are, and what becomes of them behind the guard's back."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moto.dynamodb import dynamodb_backends

from emulator import ACCOUNT, REGION, Emulator

Item = dict[str, Any]

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
# What stands before moments that are names, of a sweep: in its parts, and in the message that begins it.
NAME = re.compile(r'(?:\\?"sweep|eks-sg-guard\\?": ?\{[^{}]*\\?"at)\\?": ?\\?"$')


def older(text: str, seconds: float) -> str:
    """The text with each moment in it so much earlier, but for those that name a sweep."""

    def earlier(found: re.Match[str]) -> str:
        if NAME.search(text[max(0, found.start() - 80) : found.start()]):
            return found[0]
        whole, dot, fraction = found[0].rstrip("Z").partition(".")
        moment = datetime.fromisoformat(whole) - timedelta(seconds=round(seconds))
        return f"{moment.isoformat()}{dot}{fraction}Z"

    return MOMENT.sub(earlier, text)


@dataclass
class State:
    """A table of the guard. Items are known by the kind that their key begins with: `baseline`, `look`, `location`, ..."""

    emulator: Emulator
    table: str

    def items(self, kind: str = "") -> list[Item]:
        """The items of that kind, or all."""
        items = self.emulator.dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]
        return [item for item in items if item["pk"]["S"].startswith(f"{kind}#" if kind else "")]

    def put(self, *items: Item) -> None:
        """Write these, whatever is there."""
        for item in items:
            self.emulator.dynamodb.put_item(TableName=self.table, Item=item)

    def lose(self, kind: str = "") -> None:
        """Somebody deletes the items of that kind, or all."""
        for item in self.items(kind):
            self.emulator.dynamodb.delete_item(TableName=self.table, Key={"pk": item["pk"]})

    def restore(self, items: list[Item]) -> None:
        """The table becomes what it was when these were its items."""
        self.lose()
        self.put(*items)

    def change(self, kind: str, change: Callable[[Any], Any]) -> None:
        """Change what the items of that kind hold."""
        for item in self.items(kind):
            held = change(json.loads(item["state"]["S"]))
            self.put({**item, "state": {"S": json.dumps(held)}})

    def holds(self, kind: str, of: str = "") -> list[Any]:
        """What the items of that kind hold, those whose key ends with `of`."""
        return [json.loads(item["state"]["S"]) for item in self.items(kind) if item["pk"]["S"].endswith(of)]

    def known(self, group: str) -> set[str]:
        """The ids of the group's known rules."""
        return {rule for baseline in self.holds("baseline", group) for rule in baseline["rules"]}

    def age(self, seconds: float) -> None:
        """Every moment that the table holds is so much earlier, which is what a reader finds so much later."""
        for item in dynamodb_backends[ACCOUNT][REGION].tables[self.table].all_items():
            for name, attribute in item.attrs.items():
                if name == "expires":
                    attribute.value = str(int(attribute.value) - round(seconds))
                elif name != "pk" and attribute.type == "S":
                    attribute.value = older(attribute.value, seconds)
