"""The package as people deploy it, on an emulated AWS that wires: `make prove`, after `make package`.

CloudFormation makes the packaged template, EventBridge matches and invokes, Lambda runs the packaged program, SNS
delivers, SQS feeds the function, and the commands of `deploy/` operate it. `ministack_server` does all that; the
security groups and clusters are moto's, as everywhere in these tests. What neither can show is for `make live-check`.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import emulator as emulated
import template
from emulator import ACCOUNT, REGION, Emulator
from events import Somebody
from lambda_runtime import StartError
from ministack_server import Ministack
from template import TEMPLATE
from world import WORLD, World, allow

sys.path.insert(0, str(TEMPLATE.parent))

from deploy import __main__ as commands, deploy, package, remove  # noqa: E402
from deploy.aws import Refusal, Stack  # noqa: E402

pytestmark = pytest.mark.proof

ARCH = package.ARCHS["arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"]
NAME = "eks-sg-guard"
# ministack makes none of these, and no alarm that computes; nothing here asks for them: it enforces no rights.
UNKNOWN = {"AWS::IAM::RolePolicy", "AWS::Logs::QueryDefinition"}
# EventBridge takes no event of a source that begins with `aws.` from anybody but AWS.
SOURCES = {f"aws.{service}": f"proof.{service}" for service in ("ec2", "eks", "cloudtrail", "events")}
PATIENCE = 60


@pytest.fixture(scope="module")
def built() -> Path:
    try:
        return package.check_package(ARCH)
    except Refusal as refusal:
        pytest.fail(str(refusal))


@pytest.fixture
def wires(aws: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ministack]:
    # ministack signs for functions with the account's number: that is the guard here.
    monkeypatch.setattr(emulated, "GUARD_KEY", ACCOUNT)
    server = Ministack(aws.url, tmp_path)
    yield server
    server.stop()


def within(seconds: float, what: Callable[[], Any]) -> Any:
    """The first that is true of what is asked again and again; otherwise the last."""
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.2)
    return found


def adapted(written: dict[str, Any]) -> str:
    """The template without what the emulator does not know, and with events of another name."""
    by_default = template.Stack()
    conditions = {
        # It takes what it cannot compute for true. Nothing here is given what decides such a one.
        name: {"Fn::Equals": [str(by_default.condition(name)), "True"]} if "Fn::Join" in json.dumps(test) else test
        for name, test in written["Conditions"].items()
    }
    resources = {
        name: each
        for name, each in written["Resources"].items()
        if each["Type"] not in UNKNOWN and not ("Alarm" in each["Type"] and "Metrics" in each["Properties"])
    }
    text = json.dumps({**written, "Conditions": conditions, "Resources": resources})
    for aws, other in SOURCES.items():
        text = text.replace(f'"{aws}"', f'"{other}"')
    return text


@dataclass
class Account:
    """Somebody's account with the package in it."""

    wires: Ministack
    world: World

    @property
    def stack(self) -> Stack:
        return Stack(NAME, self.wires.client)

    def deploy(self, **parameters: str) -> None:
        """`make deploy SET="…"`, with every parameter at its default but these and what it proposes."""
        sets = [f"{name}={value}" for name, value in parameters.items()]
        assert self.runs("deploy", "--arch", ARCH.name, "--set", *sets) == 0
        # The rights of its mode, of what the function asks moto.
        self.world.emulator.granted = template.granted(parameters.get("GuardMode", "report"))

    def logs_calls(self) -> None:
        self.wires.client("s3").create_bucket(Bucket="trail")
        trails = self.wires.client("cloudtrail")
        trails.create_trail(Name="all", S3BucketName="trail")
        trails.start_logging(Name="all")

    def listen(self, output: str) -> Callable[[], list[dict[str, Any]]]:
        """A queue behind the topic of this output; what this returns takes what arrived at it."""
        queues, topics = self.wires.client("sqs"), self.wires.client("sns")
        url = queues.create_queue(QueueName=f"behind-{output}")["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topics.subscribe(TopicArn=self.stack.output(output), Protocol="sqs", Endpoint=arn)

        def take() -> list[dict[str, Any]]:
            got = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages", [])
            for each in got:
                queues.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
            return [json.loads(each["Body"]) for each in got]

        return take

    def delivers(self, event: dict[str, Any]) -> None:
        """An event on the bus, from a source that anybody may name."""
        said = {"DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        entry = {"Source": SOURCES[event["source"]], **said}
        answer = self.wires.client("events").put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0, answer

    def runs(self, *words: str) -> int:
        """A command of `deploy/`, as the Makefile calls it: its exit code."""
        command, *options = words
        given = commands.parser().parse_args([command, "--stack", NAME, *options])
        return commands.run(given, self.wires.client)


@pytest.fixture
def account(built: Path, wires: Ministack, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Of the package only the template is another one. Who is asked by SAM takes what it proposes."""
    folder = tmp_path / "dist" / ARCH.name
    shutil.copytree(built, folder)
    (folder / package.TEMPLATE).write_text(adapted(template.read(built / package.TEMPLATE)), encoding="utf-8")
    (folder / package.SUMS).write_text(package.checksums(folder), encoding="utf-8")
    monkeypatch.setattr(package, "DIST", folder.parent)
    monkeypatch.setattr(deploy, "CONFIG", tmp_path / "samconfig.toml")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": wires.url,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "emulated",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "SAM_CLI_TELEMETRY": "0",
    }
    run = subprocess.run
    enter = {"env": environment, "input": "\n" * 100, "text": True}
    monkeypatch.setattr(subprocess, "run", lambda command, **given: run(command, **{**given, **enter}))
    return Account(wires, world)


class Topics:
    """What arrives behind each topic of the stack."""

    def __init__(self, account: Account) -> None:
        self._take = {name: account.listen(name) for name in ("TopicArn", "RecordTopicArn", "AlarmTopicArn")}
        self._log = account.wires.log

    def about(self, name: str, what: str) -> list[dict[str, Any]]:
        """The next messages that speak of this; waited for. The others are forgotten."""
        found = within(PATIENCE, lambda: [each for each in self._take[name]() if what in each["Message"]])
        assert found, f"nothing of {what} behind {name}: {self._log.read_text(errors='replace')[-3000:]}"
        return found

    def action_on(self, rule: str) -> str:
        """What machines were notified of about the rule. People were notified, too."""
        assert self.about("TopicArn", rule)[0]["Subject"]
        record = json.loads(self.about("RecordTopicArn", rule)[0]["Message"])
        (finding,) = [each for each in record["findings"] if (each["rule"] or {}).get("id") == rule]
        return finding["action"]


def opened(somebody: Somebody, group: str, peer: str = WORLD) -> tuple[str, dict[str, Any]]:
    """Somebody opens the kubelet's port, and CloudTrail says so: the rule's id, and the event."""
    event = somebody.authorizes(group, allow("tcp", 10250, peer))
    (rule,) = event["detail"]["responseElements"]["securityGroupRuleSet"]["items"]
    return rule["securityGroupRuleId"], event


def test_the_package_at_work(account: Account, somebody: Somebody, capsys: pytest.CaptureFixture[str]) -> None:
    world = account.world
    nodes, pods, cluster = world.node_group, world.pod_group, world.cluster_group

    # As it comes it reports, and has no right to more.
    with pytest.raises(Refusal, match="no trail of CloudTrail"):
        account.deploy()
    account.logs_calls()
    account.deploy()
    assert "The function works." in capsys.readouterr().out
    topics = Topics(account)
    assert account.runs("status") == 0
    assert "mode:           report" in capsys.readouterr().out
    rule, event = opened(somebody, nodes)
    account.delivers(event)
    assert topics.action_on(rule) == "would-revoke"
    assert rule in world.rules()
    with pytest.raises(Refusal, match="deployed with GuardMode=report"):
        account.runs("start")
    (alarm,) = [name for name in alarms(account) if "ErrorsAlarm" in name]
    account.wires.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="proof")
    assert topics.about("AlarmTopicArn", "proof")
    assert account.runs("status") == 0
    assert "ErrorsAlarm" in capsys.readouterr().out

    # Enforce.
    account.deploy(GuardMode="enforce")
    rule, event = opened(somebody, pods)
    account.delivers(event)
    assert topics.action_on(rule) == "revoked"
    assert rule not in world.rules()

    # Stopped, and started again.
    assert account.runs("stop") == 0
    rule, event = opened(somebody, cluster)
    account.delivers(event)
    assert topics.action_on(rule) == "would-revoke"
    assert rule in world.rules()
    assert account.runs("start") == 0
    rule, event = opened(somebody, cluster, "203.0.113.0/24")
    account.delivers(event)
    assert topics.action_on(rule) == "revoked"

    # What was never delivered, once more.
    rule, event = opened(somebody, nodes, "203.0.113.0/24")
    failed = account.stack.output("FailureQueueUrl")
    account.wires.client("sqs").send_message(QueueUrl=failed, MessageBody=json.dumps(event))
    assert account.runs("redrive") == 0
    assert topics.action_on(rule) == "revoked"
    assert rule not in world.rules()

    # Back to report.
    account.deploy(GuardMode="report")
    rule, event = opened(somebody, pods, "198.51.100.0/24")
    account.delivers(event)
    assert topics.action_on(rule) == "would-revoke"
    assert rule in world.rules()

    # What it said is in its log, a line each.
    assert within(PATIENCE, lambda: account.runs("logs") == 0 and f"would-revoke {rule}" in capsys.readouterr().out)

    # The end.
    left = account.stack.output("StateTableName"), account.stack.output("LogGroupName")
    remove.remove(account.stack, print, lambda _: NAME)
    said = capsys.readouterr().out
    assert all(name in said for name in left), "what is known and what was done stay, and it says so"
    assert resources(account) == list(left), "and nothing else does"
    rule, event = opened(somebody, pods, "198.51.100.0/25")
    account.delivers(event)
    time.sleep(1)
    assert rule in world.rules()


def test_the_expanded_template_makes_a_function_that_works(built: Path, wires: Ministack, world: World) -> None:
    """As StackSets and the Terraform module make it, without SAM."""
    code = wires.client("s3")
    code.create_bucket(Bucket=f"code-{REGION}")
    code.upload_file(str(built / package.ZIP), f"code-{REGION}", "1/bootstrap.zip")
    template_of_it = adapted(json.loads((built / package.EXPANDED).read_text(encoding="utf-8")))
    code.put_object(Bucket=f"code-{REGION}", Key="1/template.json", Body=template_of_it.encode())
    given = {"CodeBucket": "code", "CodeBucketByRegion": "true", "CodeKey": "1/bootstrap.zip"}
    stacks = wires.client("cloudformation")
    stacks.create_stack(
        StackName=NAME,
        TemplateURL=f"{wires.url}/code-{REGION}/1/template.json",
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
    )
    stacks.get_waiter("stack_create_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": PATIENCE})
    deploy.smoke(Stack(NAME, wires.client), print)


def test_a_panic_ends_the_packed_program_and_is_an_error_in_the_log(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with zipfile.ZipFile(built / package.ZIP) as archive:
        program = Path(archive.extract("bootstrap", tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("GUARD_BOOTSTRAP", str(program))
    guard = request.getfixturevalue("guard")  # which looks for the program
    with pytest.raises(StartError) as ended:
        guard(AWS_LAMBDA_FUNCTION_MEMORY_SIZE="much").start()
    assert f"status -{signal.SIGABRT}" in str(ended.value), "built without unwinding (docs/decisions/0026)"
    assert '"level":"ERROR"' in str(ended.value) and "panicked" in str(ended.value)


def alarms(account: Account) -> list[str]:
    pages = account.wires.client("cloudwatch").get_paginator("describe_alarms").paginate()
    return [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]


def resources(account: Account) -> list[str]:
    """Tables, logs, and whatever else a stack makes that would go on costing or doing something."""
    client = account.wires.client
    found = client("dynamodb").list_tables()["TableNames"]
    found += [group["logGroupName"] for group in client("logs").describe_log_groups()["logGroups"]]
    found += [each["FunctionName"] for each in client("lambda").list_functions()["Functions"]]
    found += [each["Name"] for each in client("events").list_rules()["Rules"]]
    found += [url for url in client("sqs").list_queues().get("QueueUrls", []) if "behind-" not in url]
    found += [topic["TopicArn"] for topic in client("sns").list_topics()["Topics"]]
    return found + alarms(account)
