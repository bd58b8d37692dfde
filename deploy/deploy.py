"""A package becomes a stack that works, or nothing is made.

SAM uploads the program and asks the questions, the first time; what was answered stands in samconfig.toml. Everything that
SAM does not look at is looked at before, and the function is called after.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from . import account, package
from .aws import Clients, Refusal, Say, Stack
from .mode import MODE

SAM = package.ROOT / ".tools/sam/bin/sam"
CONFIG = package.ROOT / "samconfig.toml"
# Nothing has this id: the whole way to EC2 and back, and nothing to judge.
NOBODY = {"sweep": {"groups": ["sg-00000000000000000"]}}


def deploy(stack: Stack, arch: str, given: dict[str, str], say: Say, client: Clients) -> None:
    """`given`: parameters, by name."""
    folder = package.check_package(package.arch_of(arch))
    account.check(client, given, say)
    known = is_configured(stack.name)
    if not CONFIG.exists():
        CONFIG.write_text("version = 0.1\n", encoding="utf-8")  # SAM takes no file by name that is not there
    # What was answered once stays.
    proposed = {} if known else account.propose(client, given, say)
    subprocess.run(command(stack.name, folder, arch, proposed | given, known), check=True, cwd=package.ROOT)
    smoke(stack, say)


def is_configured(name: str) -> bool:
    """Whether SAM has asked its questions about this stack. Each has a part of the file."""
    return CONFIG.is_file() and f"\n[{name}.deploy" in "\n" + CONFIG.read_text(encoding="utf-8")


def command(name: str, folder: Path, arch: str, parameters: dict[str, str], is_known: bool) -> list[str]:
    """What SAM is told. Without questions, what is not named here stays as it was deployed before."""
    sets = [f"{key}={value}" for key, value in {"Architecture": arch, **parameters}.items()]
    found = [str(SAM), "deploy", "--template-file", str(folder / package.TEMPLATE), "--stack-name", name]
    found += ["--config-file", str(CONFIG), "--config-env", name, "--no-fail-on-empty-changeset"]
    found += ["--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    found += ["--resolve-s3"] if is_known else ["--guided"]
    return [*found, "--parameter-overrides", *sets]


def smoke(stack: Stack, say: Say) -> None:
    """The program starts, reads its settings and policy, and may ask EC2; then the first look at everything begins."""
    functions = stack.client("lambda")
    answer = functions.invoke(FunctionName=stack.function, Payload=json.dumps(NOBODY).encode())
    said = json.loads(answer["Payload"].read() or b"null")
    if answer.get("FunctionError"):
        why = said.get("errorMessage") if isinstance(said, dict) else said
        raise Refusal(f"the stack is there, but its function does not work: {why}; the log has more (make logs)")
    functions.invoke(FunctionName=stack.function, InvocationType="Event", Payload=b'{"sweep": true}')
    say(f"The function works. It looks at everything now: make status STACK={stack.name}, make logs STACK={stack.name}.")
    deployed, mode_now = stack.parameters["GuardMode"], stack.variables(stack.configuration()).get(MODE)
    if deployed == "report":
        say("It only reports. To have it close what is forbidden: make deploy SET=GuardMode=enforce")
    elif mode_now != deployed:
        # CloudFormation compares with what it was told before, not with what is there.
        say(f"It is still stopped: this deployment did not touch the function. make start STACK={stack.name} undoes that.")
