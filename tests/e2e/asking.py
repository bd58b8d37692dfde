"""How a test asks EC2 and EKS itself: filters, and the codes that calls are refused with."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def filtered(**values: str | list[str]) -> dict[str, Any]:
    """Filters by name, `_` standing for `-` and `__` for `.`: `filtered(group_id="sg-1",
    attachment__status=["attached"])`.
    """
    named = {name.replace("__", ".").replace("_", "-"): value for name, value in values.items()}
    return by(named)


def by(values: dict[str, str | list[str]]) -> dict[str, Any]:
    """Filters by their real names."""
    listed = [{"Name": name, "Values": [value] if isinstance(value, str) else value} for name, value in values.items()]
    return {"Filters": listed}


def by_group(group: str) -> dict[str, Any]:
    return filtered(group_id=group)


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    """Code and HTTP status of the error that the call is refused with."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    """The error code that the call is refused with."""
    return refused(call, **arguments)[0]
