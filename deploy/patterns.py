"""What EventBridge does with an event pattern, for the operators that the templates use; any other is a KeyError.

Written after AWS's documentation (EventBridge user guide, event patterns and their comparison operators), whose examples
`tests/e2e/test_patterns.py` plays. The matcher of moto does not look into lists of objects. `make live-check` asks
EventBridge itself whether it agrees.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

Path = tuple[str, ...]


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Whether the pattern lets the event through. A list in an event is transparent: its elements count instead of it. Only
    leaves count: an object has no value, and a field that holds one does not exist."""
    fields: defaultdict[Path, list[Any]] = defaultdict(list)
    _collect(event, (), fields)
    return _fits(pattern, (), fields)


def _collect(value: Any, path: Path, fields: defaultdict[Path, list[Any]]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _collect(inner, (*path, name), fields)
    elif isinstance(value, list):
        for element in value:
            _collect(element, path, fields)
    else:
        fields[path].append(value)


def _fits(node: dict[str, Any], path: Path, fields: defaultdict[Path, list[Any]]) -> bool:
    """All fields of a pattern have to fit, one of the alternatives of each, one of those of `$or`."""
    for name, wanted in node.items():
        inner = (*path, name)
        if name == "$or":
            fits = any(_fits(alternative, path, fields) for alternative in wanted)
        elif isinstance(wanted, dict):
            fits = _fits(wanted, inner, fields)
        else:
            fits = any(_accepts(test, fields[inner]) for test in wanted)
        if not fits:
            return False
    return True


def _begins(value: Any, prefix: str | dict[str, str]) -> bool:
    if not isinstance(value, str):
        return False
    if isinstance(prefix, str):
        return value.startswith(prefix)
    return value.lower().startswith(prefix["equals-ignore-case"].lower())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


OPERATORS = {
    "exists": lambda values, wanted: bool(values) is wanted,
    "anything-but": lambda values, others: any(value not in _listed(others) for value in values),
    "prefix": lambda values, prefix: any(_begins(value, prefix) for value in values),
}


def _accepts(test: Any, values: list[Any]) -> bool:
    if not isinstance(test, dict):
        return any(type(value) is type(test) and value == test for value in values)
    ((operator, operand),) = test.items()
    return OPERATORS[operator](values, operand)
