"""The template without SAM's transform, for StackSets and for who must not use transforms. Runs where SAM's translator is:

    .tools/sam/bin/python -m deploy.expand TEMPLATE OUTPUT

The program's place is parameters of its own, since only SAM uploads files by itself.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

PLACE = {
    "CodeBucket": {"Type": "String", "Description": "Bucket of this region that holds bootstrap.zip."},
    "CodeBucketByRegion": {
        "Type": "String",
        "Default": "false",
        "AllowedValues": ["true", "false"],
        "Description": "\"true\": the bucket's name is CodeBucket, a hyphen and the region (such as guard-eu-west-1), so"
        " that a StackSet takes the same parameters in every region.",
    },
    "CodeKey": {"Type": "String", "Description": "Key of bootstrap.zip in the bucket."},
}
BY_REGION = {"Fn::Sub": "${CodeBucket}-${AWS::Region}"}


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

    return placed(transform(template, {}, NoManagedPolicies()))


def placed(expanded: dict[str, Any]) -> dict[str, Any]:
    """With parameters for where its program is."""
    bucket = {"Fn::If": ["CodeIsByRegion", BY_REGION, {"Ref": "CodeBucket"}]}
    function = expanded["Resources"]["GuardFunction"]["Properties"]
    function["Code"] = {"S3Bucket": bucket, "S3Key": {"Ref": "CodeKey"}}
    expanded["Conditions"]["CodeIsByRegion"] = {"Fn::Equals": [{"Ref": "CodeBucketByRegion"}, "true"]}
    expanded["Parameters"] = {**PLACE, **expanded["Parameters"]}
    return expanded


if __name__ == "__main__":
    source, output = map(Path, sys.argv[1:])
    output.write_text(json.dumps(expand(source.read_text(encoding="utf-8")), indent=1) + "\n", encoding="utf-8")
