"""The Terraform module's inputs and outputs: the template's, in the same words, with the same defaults.

    .tools/sam/bin/python -m deploy.module TEMPLATE OUTPUT # make module

What the module does with them stands in `deploy/terraform/main.tf.json`; all that is made is the template's.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parent / "terraform"
INTERFACE = "interface.tf.json"
# What `main.tf.json` sets by itself.
OF_THE_MODULE = ("CodeBucket", "CodeBucketByRegion", "CodeKey")


def snake(name: str) -> str:
    """`PolicyLayerArn` is `policy_layer_arn`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def text(template: dict[str, Any]) -> str:
    """The file of the module that a template decides."""
    parameters = {name: each for name, each in template["Parameters"].items() if name not in OF_THE_MODULE}
    interface = {
        "//": "Made of template.yaml by deploy/module.py: make module.",
        "variable": {snake(name): _variable(snake(name), each) for name, each in parameters.items()},
        "locals": {"parameters": {name: f"${{var.{snake(name)}}}" for name in parameters}},
        "output": {snake(name): _output(name, each) for name, each in template["Outputs"].items()},
    }
    return json.dumps(interface, indent=1, ensure_ascii=False) + "\n"


def _variable(name: str, parameter: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation's own checks stay its own, but for the few values that a plan can look at already."""
    variable = {
        "type": "number" if parameter["Type"] == "Number" else "string",
        "default": parameter["Default"],
        "nullable": False,
        "description": parameter["Description"],
    }
    if allowed := parameter.get("AllowedValues"):
        variable["validation"] = {
            "condition": f"${{contains({json.dumps(allowed)}, var.{name})}}",
            "error_message": f"Expected one of: {', '.join(map(str, allowed))}.",
        }
    return variable


def _output(name: str, output: dict[str, Any]) -> dict[str, Any]:
    value = f'${{aws_cloudformation_stack.guard.outputs["{name}"]}}'
    return {"description": output["Description"], "value": value}


if __name__ == "__main__":
    from samcli.yamlhelper import yaml_parse

    source, output = map(Path, sys.argv[1:])
    output.write_text(text(yaml_parse(source.read_text(encoding="utf-8"))), encoding="utf-8")
