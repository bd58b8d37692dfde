"""The state table in a test's hands: which items there are, and what becomes of them behind the guard's back."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulator import Emulator

Item = dict[str, Any]


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
