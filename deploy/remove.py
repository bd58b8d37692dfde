"""The stack's end. What stays is what README names: the table and the log."""

from __future__ import annotations

from collections.abc import Callable

from .aws import Refusal, Say, Stack, code
from .status import QUEUES, _waiting


def remove(stack: Stack, say: Say, confirm: Callable[[str], str]) -> None:
    """Deletes the stack after a person has typed its name."""
    lost = sum(_waiting(stack, stack.output(name)) for name in QUEUES)
    table, log = stack.output("StateTableName"), stack.output("LogGroupName")
    say(f"Deleting stack `{stack.name}`: the guard's function, rules, queues, topics and alarms.")
    if lost:
        say(f"{lost} messages that were not handled go with the queues; `make redrive` and an hour handle them first.")
    if confirm(f"Type {stack.name} to delete it: ") != stack.name:
        raise Refusal("nothing was deleted")
    stacks = stack.client("cloudformation")
    stacks.delete_stack(StackName=stack.name)
    stacks.get_waiter("stack_delete_complete").wait(StackName=stack.name, WaiterConfig={"Delay": 5, "MaxAttempts": 240})
    say("Deleted. What is left, on purpose:")
    for what, command in _left(stack, table, log):
        say(f"  {what}; to delete it: {command}")
    say("Beside that only what you made: stacks of member.yaml, subscriptions of existing topics, the bucket of `sam`.")


def _left(stack: Stack, table: str, log: str) -> list[tuple[str, str]]:
    """What is really there still."""
    left = []
    try:
        stack.client("dynamodb").describe_table(TableName=table)
        why = "what is known of rules; a new stack takes it with StateTable"
        left.append((f"table {table} ({why})", f"aws dynamodb delete-table --table-name {table}"))
    except Exception as error:
        if code(error) != "ResourceNotFoundException":
            raise
    groups = stack.client("logs").describe_log_groups(logGroupNamePrefix=log)["logGroups"]
    if any(group["logGroupName"] == log for group in groups):
        left.append((f"log group {log} (the records)", f"aws logs delete-log-group --log-group-name {log}"))
    return left
