"""The Terraform module says what the template says, and each of its references leads somewhere.

No Terraform runs here: the module is in Terraform's JSON syntax, which any JSON parser reads.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from template import TEMPLATE, read

sys.path.insert(0, str(TEMPLATE.parent))

from deploy import expand, module, package  # noqa: E402

FOLDER = TEMPLATE.parent / "deploy/terraform"
BLOCKS = {"//", "terraform", "variable", "locals", "data", "resource", "output"}


def loaded(path: Path) -> dict[str, Any]:
    """A name twice would be read as its last; Terraform refuses it."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), names
        return dict(pairs)

    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)


MAIN, INTERFACE = (loaded(FOLDER / name) for name in ("main.tf.json", module.INTERFACE))


def test_the_interface_is_the_templates() -> None:
    assert (FOLDER / module.INTERFACE).read_text(encoding="utf-8") == module.text(read()), "make module"


def test_the_inputs_are_the_parameters() -> None:
    parameters, variables = read()["Parameters"], INTERFACE["variable"]
    assert list(variables) == [module.snake(name) for name in parameters]
    assert INTERFACE["locals"]["parameters"] == {name: f"${{var.{module.snake(name)}}}" for name in parameters}
    for name, parameter in parameters.items():
        variable = variables[module.snake(name)]
        assert (variable["default"], variable["description"]) == (parameter["Default"], parameter["Description"])
        assert variable["type"] == {"Number": "number"}.get(parameter["Type"], "string")
        assert isinstance(variable["default"], (int, str)) and variable["nullable"] is False
        allowed = parameter.get("AllowedValues")
        checked = f"${{contains({json.dumps(allowed)}, var.{module.snake(name)})}}" if allowed else None
        assert variable.get("validation", {}).get("condition") == checked


def test_the_outputs_are_the_stacks() -> None:
    outputs = read()["Outputs"]
    assert all("Condition" not in each for each in outputs.values()), "an output that is not there is an error"
    assert INTERFACE["output"] == {
        module.snake(name): {
            "description": each["Description"],
            "value": f'${{aws_cloudformation_stack.guard.outputs["{name}"]}}',
        }
        for name, each in outputs.items()
    }


@pytest.mark.parametrize(
    ("name", "snake"),
    [("GuardMode", "guard_mode"), ("KmsKeyArn", "kms_key_arn"), ("SubnetIds", "subnet_ids"), ("Timeout", "timeout")],
)
def test_names_in_words(name: str, snake: str) -> None:
    assert module.snake(name) == snake


def expressions(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [found for name, each in value.items() if name not in ("//", "description") for found in expressions(each)]
    if isinstance(value, list):
        return [found for each in value for found in expressions(each)]
    return re.findall(r"\$\{.*\}", value) if isinstance(value, str) else []


def test_each_reference_leads_somewhere() -> None:
    assert MAIN.keys() | INTERFACE.keys() <= BLOCKS
    assert not MAIN["variable"].keys() & INTERFACE["variable"].keys()
    variables = MAIN["variable"].keys() | INTERFACE["variable"].keys()
    declared = {f"var.{name}" for name in variables}
    declared |= {f"local.{name}" for name in MAIN["locals"].keys() | INTERFACE["locals"].keys()}
    declared |= {f"{kind}.{name}" for kind, made in MAIN["resource"].items() for name in made}
    declared |= {f"data.{kind}.{name}" for kind, read_ in MAIN["data"].items() for name in read_}
    reference = re.compile(r"(?<![\w.])(?:data\.\w+\.\w+|(?:var|local|aws_\w+)\.\w+)")
    used = {found for text in expressions([MAIN, INTERFACE]) for found in reference.findall(text)}
    assert used <= declared, used - declared
    assert {f"var.{name}" for name in variables} <= used, "an input that changes nothing"


def test_the_module_sets_what_the_expanded_template_adds() -> None:
    assert {*module.OF_THE_MODULE} == expand.PLACE.keys()
    by_default = {name for name, each in expand.PLACE.items() if "Default" in each}
    assert MAIN["locals"]["code"].keys() == expand.PLACE.keys() - by_default


def test_the_expanded_template_finds_its_program_in_each_region() -> None:
    function: dict[str, Any] = {"Properties": {}}
    placed = expand.placed({"Resources": {"GuardFunction": function}, "Conditions": {}, "Parameters": {"A": {}}})
    assert list(placed["Parameters"]) == [*expand.PLACE, "A"]
    bucket = function["Properties"]["Code"]["S3Bucket"]["Fn::If"]
    assert bucket == ["CodeIsByRegion", {"Fn::Sub": "${CodeBucket}-${AWS::Region}"}, {"Ref": "CodeBucket"}]
    assert placed["Conditions"]["CodeIsByRegion"] == {"Fn::Equals": [{"Ref": "CodeBucketByRegion"}, "true"]}


def test_the_function_is_called_as_make_deploy_calls_it() -> None:
    from deploy.deploy import NOBODY

    written = MAIN["resource"]["aws_lambda_invocation"]["smoke"]["input"]
    asked = re.sub(r"(\w+) =", r'"\1":', written.removeprefix("${jsonencode(").removesuffix(")}"))
    assert json.loads(asked) == NOBODY


def test_the_packaged_module_takes_the_packages_processor(tmp_path: Path) -> None:
    template = read()
    template["Parameters"]["Architecture"] |= {"Default": "x86_64", "AllowedValues": ["x86_64"]}
    template["Parameters"] = {**expand.PLACE, **template["Parameters"]}
    (tmp_path / package.EXPANDED).write_text(json.dumps(template))
    package.finish(tmp_path)
    packed = loaded(tmp_path / package.MODULE / module.INTERFACE)
    assert packed["variable"]["architecture"]["default"] == "x86_64"
    assert packed["variable"].keys() == INTERFACE["variable"].keys(), "and nothing of where the program is"
    assert (tmp_path / package.MODULE / "main.tf.json").is_file()
    assert f"  {package.MODULE}/{module.INTERFACE}\n" in (tmp_path / package.SUMS).read_text()
