"""The template without SAM's transform, for StackSets and for who must not use transforms. Runs where SAM's translator is:

    .tools/sam/bin/python -m deploy.expand TEMPLATE OUTPUT

The program's place is a parameter pair of its own, since only SAM uploads files by itself.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

PLACE = {
    "CodeBucket": {"Type": "String", "Description": "Bucket of this region that holds bootstrap.zip."},
    "CodeKey": {"Type": "String", "Description": "Key of bootstrap.zip in CodeBucket."},
}


def expand(text: str) -> dict[str, Any]:
    """Plain CloudFormation."""
    from samcli.yamlhelper import yaml_parse
    from samtranslator.translator.transform import transform

    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # the translator wants one, and writes it nowhere
    template = json.loads(json.dumps(yaml_parse(text)))
    template["Resources"]["GuardFunction"]["Properties"]["CodeUri"] = {"Bucket": "CODE-BUCKET", "Key": "CODE-KEY"}

    class NoManagedPolicies:
        """The template names none."""

        def load(self) -> dict[str, str]:
            return {}

    expanded = transform(template, {}, NoManagedPolicies())
    function = expanded["Resources"]["GuardFunction"]["Properties"]
    function["Code"] = {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}
    expanded["Parameters"] = {**PLACE, **expanded["Parameters"]}
    return expanded


if __name__ == "__main__":
    source, output = map(Path, sys.argv[1:])
    output.write_text(json.dumps(expand(source.read_text(encoding="utf-8")), indent=1) + "\n", encoding="utf-8")
