"""A stack of the real template in the emulated account, whose function is the real program.

moto makes of the template what it knows: queues, topics, table, rules, log group, role, and the function with its variables.
It runs no function, so `invoke` leads to the program.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from emulator import Emulator
from template import read

NAME = "guard"
# moto makes none of these.
UNKNOWN = {
    "AWS::CloudWatch::Alarm",
    "AWS::Events::EventBusPolicy",
    "AWS::IAM::RolePolicy",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
# What the transform of SAM makes of the function, as far as moto knows it.
KEPT = ("Description", "Runtime", "Handler", "Architectures", "MemorySize", "Timeout", "Role", "Environment")


def deploy(aws: Emulator, **parameters: str) -> None:
    """Deploy the template with these parameters; without its transform and with a program that nobody runs."""
    template = read()
    function = template["Resources"]["GuardFunction"]
    properties = {name: function["Properties"][name] for name in KEPT}
    del template["Transform"], template["Rules"]
    resources = template["Resources"]
    template["Resources"] = {name: each for name, each in resources.items() if each["Type"] not in UNKNOWN}
    _upload(aws)
    code = {"S3Bucket": "code", "S3Key": "bootstrap.zip"}
    template["Resources"]["GuardFunction"] = {"Type": "AWS::Lambda::Function", "Properties": {**properties, "Code": code}}
    aws.client("cloudformation").create_stack(
        StackName=NAME,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )


def _upload(aws: Emulator) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("bootstrap", "")
    aws.client("s3").create_bucket(Bucket="code")
    aws.client("s3").put_object(Bucket="code", Key="bootstrap.zip", Body=content.getvalue())


class Lambda:
    """moto's Lambda, but that a call reaches the program."""

    def __init__(self, client: Any, invoke: Callable[[Any], dict[str, Any]]) -> None:
        self._client, self._invoke = client, invoke
        self.invoked: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:
        """moto knows no revisions."""
        configuration = self._client.get_function_configuration(FunctionName=FunctionName)
        return {**configuration, "RevisionId": str(configuration["Environment"])}

    def update_function_configuration(self, FunctionName: str, RevisionId: str, **changes: Any) -> None:
        if RevisionId != self.get_function_configuration(FunctionName)["RevisionId"]:
            raise ClientError({"Error": {"Code": "PreconditionFailedException"}}, "UpdateFunctionConfiguration")
        self._client.update_function_configuration(FunctionName=FunctionName, **changes)

    def invoke(self, FunctionName: str, Payload: bytes, InvocationType: str = "RequestResponse") -> dict[str, Any]:
        assert FunctionName
        self.invoked.append(json.loads(Payload))
        if InvocationType == "Event":
            return {"StatusCode": 202}
        said = self._invoke(json.loads(Payload))
        return {**said, "Payload": io.BytesIO(json.dumps(said["Payload"]).encode())}


def clients(aws: Emulator, invoke: Callable[[Any], dict[str, Any]]) -> tuple[Callable[[str], Any], Lambda]:
    """As `deploy.aws.clients` makes them, of the emulated account."""
    functions = Lambda(aws.client("lambda"), invoke)
    return lambda service: functions if service == "lambda" else aws.client(service), functions
