"""The stack that is deployed, as CloudFormation knows it, and the clients that reach it.

Owns: which resource is meant. Must not: change anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Clients = Callable[[str], Any]
Say = Callable[[str], None]


class Refusal(Exception):
    """Why nothing was done, and what to do instead: a person reads it."""


def clients(region: str | None = None, tls: bool = True) -> Clients:
    """Of the account and region that boto3's usual variables, files and profiles name. A call of the function is made once
    and waited for, however long it may run. Without TLS: to see that it is refused."""
    import boto3
    from botocore.config import Config

    session = boto3.Session(region_name=region)
    if session.region_name is None:
        raise Refusal("no region: set AWS_REGION")
    patient = Config(read_timeout=120, retries={"total_max_attempts": 1})
    return lambda service: session.client(service, use_ssl=tls, config=patient if service == "lambda" else None)


def code(error: Exception) -> str:
    """What AWS calls an error."""
    return getattr(error, "response", {}).get("Error", {}).get("Code", "")


@dataclass
class Stack:
    """A stack of template.yaml, by its name."""

    name: str
    client: Clients

    @cached_property
    def _described(self) -> dict[str, Any]:
        try:
            return self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
        except Exception as error:
            if code(error) != "ValidationError":
                raise
            what = f"there is no stack `{self.name}` in this account and region"
            raise Refusal(f"{what}: name yours with STACK=…") from error

    @property
    def parameters(self) -> dict[str, str]:
        return {each["ParameterKey"]: each["ParameterValue"] for each in self._described.get("Parameters", [])}

    @property
    def outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self._described.get("Outputs", [])}

    def output(self, name: str) -> str:
        try:
            return self.outputs[name]
        except KeyError as error:
            what = f"stack `{self.name}` has no output `{name}`"
            raise Refusal(f"{what}: it is not of this version of eks-sg-guard; deploy it again (make deploy)") from error

    @property
    def function(self) -> str:
        return self.output("FunctionName")

    def configuration(self) -> dict[str, Any]:
        """What the function is set to now, which the stack need not say."""
        return self.client("lambda").get_function_configuration(FunctionName=self.function)

    def variables(self, configuration: dict[str, Any]) -> dict[str, str]:
        """Of its environment. Those that could not be decrypted must not be written back as if there were none."""
        environment = configuration.get("Environment", {})
        if environment.get("Error"):
            why = environment["Error"].get("Message", "no reason given")
            raise Refusal(f"the environment of `{self.function}` cannot be read: {why}; you need kms:Decrypt on its key")
        return {name: str(value) for name, value in environment.get("Variables", {}).items()}
