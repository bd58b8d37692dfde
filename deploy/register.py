"""Which locations came by themselves (`GuardAccounts=*`), as the guard keeps them in its table.

Must not: change anything.
"""

from __future__ import annotations

import json
from datetime import datetime

from .aws import Stack

EVERY_ACCOUNT = "*"
ITEMS = 100  # by the last two digits of the account: src/adapters/register.rs


def registered(stack: Stack) -> dict[tuple[str, str], datetime]:
    """When each was last heard of, by account and region."""
    region, account = stack.output("FunctionArn").split(":")[3:5]
    table = stack.output("StateTableName")
    keys = [{"pk": {"S": f"registered#{account}#{region}#{n:02}"}} for n in range(ITEMS)]
    left: dict[str, dict] = {table: {"Keys": keys}}
    found = {}
    while left:
        answer = stack.client("dynamodb").batch_get_item(RequestItems=left)
        for item in answer["Responses"].get(table, []):
            for name, heard in json.loads(item["state"]["S"]).items():
                there, _, where = name.partition(" ")
                found[there, where] = datetime.fromisoformat(heard[:19] + "+00:00")
        left = answer.get("UnprocessedKeys", {})
    return dict(sorted(found.items()))
