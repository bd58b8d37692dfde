"""The template as data: what it grants the function, and how it has Lambda invoke it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"


class CloudFormationLoader(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions: `!Ref x` reads as `{"Ref": "x"}`."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


CloudFormationLoader.add_multi_constructor("!", _function)


def read(path: Path = TEMPLATE) -> dict[str, Any]:
    """A template of CloudFormation."""
    return yaml.load(path.read_text(encoding="utf-8"), CloudFormationLoader)


@cache
def properties(resource: str) -> dict[str, Any]:
    """The properties of a resource of the function's template."""
    return read()["Resources"][resource]["Properties"]


@cache
def granted() -> frozenset[str]:
    """Every action that the function's role may call, whatever the parameters are."""
    (policy,) = properties("GuardRole")["Policies"]
    statements = [
        *policy["PolicyDocument"]["Statement"],
        *properties("GuardStatePolicy")["PolicyDocument"]["Statement"],
    ]
    allowed = [each["Fn::If"][1] if "Fn::If" in each else each for each in statements]
    return frozenset(action for each in allowed for action in _listed(each["Action"]))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
