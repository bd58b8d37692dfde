"""The templates as data: as they are written, and as CloudFormation makes them of given parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
MEMBER = TEMPLATE.with_name("member.yaml")

# What CloudFormation knows by itself, of a made-up stack.
PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/guard/51af3dc0-da77-11e4-872e-1234567db123",
    "AWS::StackName": "guard",
    "AWS::URLSuffix": "amazonaws.com",
}
NOTHING = object()


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


@cache
def _read(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(encoding="utf-8"), CloudFormationLoader)


def read(path: Path = TEMPLATE) -> dict[str, Any]:
    """A template of CloudFormation."""
    return yaml.load(path.read_text(encoding="utf-8"), CloudFormationLoader)


# ---------------------------------------------------------------- what becomes of it


class Stack:
    """What CloudFormation makes of a template with these parameters; what stands here by name is resolved, what only a real
    account knows (`Ref` and `Fn::GetAtt` of a resource) stays as it is written."""

    def __init__(self, path: Path = TEMPLATE, **parameters: Any) -> None:
        self.template = _read(path)
        known = self.template["Parameters"]
        unknown = parameters.keys() - known.keys()
        assert not unknown, f"no parameters: {unknown}"
        given = {name: parameters.get(name, each.get("Default")) for name, each in known.items()}
        self.parameters = {
            name: str(value).split(",") if known[name]["Type"] == "CommaDelimitedList" else value
            for name, value in given.items()
        }
        self.resources = {
            name: self.expand({key: value for key, value in each.items() if key != "Condition"})
            for name, each in self.template["Resources"].items()
            if "Condition" not in each or self.condition(each["Condition"])
        }

    def properties(self, resource: str) -> dict[str, Any]:
        return self.resources[resource]["Properties"]

    def condition(self, name: str) -> bool:
        return self._holds(self.template["Conditions"][name])

    def refusals(self) -> Iterator[str]:
        """What the rules of the template say against these parameters, in its own words."""
        for rule in self.template.get("Rules", {}).values():
            if "RuleCondition" in rule and not self._holds(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self._holds(assertion["Assert"]):
                    yield assertion["AssertDescription"]

    def _holds(self, test: Any) -> bool:
        ((name, operands),) = test.items()
        match name:
            case "Condition":
                return self.condition(operands)
            case "Fn::Equals":
                one, other = map(self.expand, operands)
                return str(one) == str(other)
            case "Fn::Not":
                return not self._holds(operands[0])
            case "Fn::And":
                return all(map(self._holds, operands))
            case "Fn::Or":
                return any(map(self._holds, operands))
            case "Fn::Contains":
                return self.expand(operands[1]) in operands[0]
            case "Fn::EachMemberEquals":
                return all(each == operands[1] for each in self.expand(operands[0]))
        raise KeyError(name)

    def expand(self, value: Any) -> Any:
        """The value with all functions that parameters decide resolved, and what is `AWS::NoValue` left out."""
        if isinstance(value, list):
            return [each for each in map(self.expand, value) if each is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, operand),) = value.items()
            if name == "Ref":
                return self._ref(operand)
            if name.startswith("Fn::"):
                return self._function(name, operand)
        expanded = {key: self.expand(each) for key, each in value.items()}
        return {key: each for key, each in expanded.items() if each is not NOTHING}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NOTHING
        if name in self.parameters:
            return self.parameters[name]
        return PSEUDO.get(name, {"Ref": name})

    def _function(self, name: str, operand: Any) -> Any:
        match name:
            case "Fn::GetAtt":
                return {name: operand}
            case "Fn::If":
                condition, then, otherwise = operand
                return self.expand(then if self.condition(condition) else otherwise)
            case "Fn::Split":
                delimiter, text = operand
                return self.expand(text).split(delimiter)
            case "Fn::Join":
                delimiter, parts = operand
                return delimiter.join(self.expand(parts))
            case "Fn::Select":
                index, parts = operand
                return self.expand(parts)[int(index)]
            case "Fn::Sub":
                text, names = operand if isinstance(operand, list) else (operand, {})
                return re.sub(r"\$\{([\w:.]+)\}", lambda found: self._substitute(found, names), text)
        raise KeyError(name)

    def _substitute(self, found: re.Match[str], names: dict[str, Any]) -> str:
        value = self.expand(names[found[1]]) if found[1] in names else self._ref(found[1])
        return value if isinstance(value, str) else found[0]


@cache
def properties(resource: str) -> dict[str, Any]:
    """The properties of a resource of the function's template, with every parameter at its default."""
    return Stack().properties(resource)


# ---------------------------------------------------------------- the rights


def statements(stack: Stack, role: str = "GuardRole") -> list[dict[str, Any]]:
    """What the role's own policies and those attached to it say."""
    found = [each["PolicyDocument"] for each in stack.properties(role)["Policies"]]
    for resource in stack.resources.values():
        if resource["Type"] == "AWS::IAM::RolePolicy" and resource["Properties"]["RoleName"] == {"Ref": role}:
            found.append(resource["Properties"]["PolicyDocument"])
    return [statement for document in found for statement in document["Statement"]]


@cache
def granted(mode: str = "enforce", restore: str = "known") -> frozenset[str]:
    """Every action that the function's role may call in this mode, with all that it can be told to use."""
    stack = Stack(
        GuardMode=mode,
        GuardRestore=restore,
        GuardRoleName="member",
        SlackSecretArn="arn:aws:secretsmanager:us-east-1:111122223333:secret:hook",
        KmsKeyArn="arn:aws:kms:us-east-1:111122223333:key/k",
    )
    return frozenset(action for each in statements(stack) for action in listed(each["Action"]))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
