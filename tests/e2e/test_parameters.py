"""What a person can set in the templates: what each value makes of a stack, and what is refused before anything is made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from template import MEMBER, PSEUDO, TEMPLATE, Stack, read

ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
LAYER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:policy:3"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/ours"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:ours"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
HUB = ("777788889999", "us-east-1")
GIVEN = {
    "GuardRoleArn": f"arn:aws:iam::{HUB[0]}:role/guard",
    "GuardBusArn": f"arn:aws:events:{HUB[1]}:{HUB[0]}:event-bus/default",
    "GuardRoleName": "member",
}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return read()


# ---------------------------------------------------------------- what is refused

ELSEWHERE, FILE, WHOSE = "GuardRoleName must name", "PolicyLayerArn must name", "OrganizationId must name"
BUILT_IN, TOGETHER = "built in", "name both or none"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, None),
        ({"GuardAccounts": ACCOUNT}, None),
        ({"GuardRegions": REGION}, None),
        ({"GuardAccounts": ACCOUNT, "GuardRegions": REGION}, None),
        ({"GuardAccounts": f"{ACCOUNT},444455556666"}, ELSEWHERE),
        ({"GuardAccounts": "444455556666"}, ELSEWHERE),
        ({"GuardRegions": f"{REGION},eu-west-1"}, ELSEWHERE),
        ({"GuardRegions": "eu-west-1"}, ELSEWHERE),
        ({"GuardAccounts": ACCOUNT, "GuardRegions": "eu-west-1"}, ELSEWHERE),
        ({"GuardAccounts": f"{ACCOUNT},444455556666", "GuardRoleName": "member"}, None),
        ({"GuardRegions": f"{REGION},eu-west-1", "GuardRoleName": "member"}, None),
        ({"GuardRoleName": "member"}, None),
        ({"GuardAccounts": "*", "GuardRoleName": "member"}, WHOSE),
        ({"GuardAccounts": "*", "OrganizationId": "o-exampleorgid"}, ELSEWHERE),
        ({"GuardAccounts": "*", "OrganizationId": "o-exampleorgid", "GuardRoleName": "member"}, None),
        ({"OrganizationId": "o-exampleorgid"}, None),
        *[({"GuardPolicy": name}, None) for name in ("standard", "strict", "none")],
        ({"GuardPolicy": "/opt/policy.yaml"}, FILE),
        ({"GuardPolicy": "policies/ours.yaml"}, FILE),
        ({"GuardPolicy": "/opt/policy.yaml", "PolicyLayerArn": LAYER}, None),
        ({"PolicyLayerArn": LAYER}, BUILT_IN),
        ({"GuardPolicy": "strict", "PolicyLayerArn": LAYER}, BUILT_IN),
        ({"SubnetIds": "subnet-1"}, TOGETHER),
        ({"SecurityGroupIds": "sg-1,sg-2"}, TOGETHER),
        ({"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}, None),
    ],
    ids=str,
)
def test_what_would_deploy_and_never_work_is_refused(parameters: dict[str, str], words: str | None) -> None:
    refusals = list(Stack(**parameters).refusals())
    assert len(refusals) == (words is not None), refusals
    assert words is None or words in refusals[0]


def test_rules_use_only_what_cloudformation_allows_in_rules(template: dict[str, Any]) -> None:
    """Conditions and functions such as `Fn::Join` are not known there yet."""
    allowed = {"Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Fn::Contains", "Fn::EachMemberEquals", "Ref"}

    def names(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(names, node))
        return set().union(node, *map(names, node.values())) if isinstance(node, dict) else set()

    for rule in template["Rules"].values():
        for assertion in rule["Assertions"]:
            assert names(assertion["Assert"]) <= allowed


@pytest.mark.parametrize(
    ("parameter", "value", "accepted"),
    [
        ("StateTable", "true", True),
        ("StateTable", "guard-GuardTable-1AB", True),
        ("StateTable", "false", False),
        ("StateTable", "", False),
        ("StateTable", "a b", False),
        ("GuardPolicy", "standard", True),
        ("GuardPolicy", "strict", True),
        ("GuardPolicy", "none", True),
        ("GuardPolicy", "/opt/policy.yaml", True),
        ("GuardPolicy", "policies/ours.yaml", True),
        ("GuardPolicy", "", False),
        ("GuardPolicy", "lax", False),
        ("GuardPolicy", "policy.yaml", False),
        ("GuardPolicy", "/opt/our policy.yaml", False),
        # Otherwise the stack deploys and the function does not start.
        ("GuardRegions", "", True),
        ("GuardRegions", "us-east-1", True),
        ("GuardRegions", "us-gov-west-1,eu-west-1", True),
        ("GuardRegions", "foo", False),
        ("GuardRegions", "eu-west-x", False),
        ("GuardRegions", "eu-west", False),
        ("GuardRegions", "west-1", False),
        ("GuardRegions", "us-east-1,", False),
        ("GuardRegions", "us-east-1, eu-west-1", False),
        ("RolePath", "/", True),
        ("RolePath", "/security/guard/", True),
        ("RolePath", "", False),
        ("RolePath", "security", False),
        ("RolePath", "/security", False),
        ("RolePath", "//", False),
        ("RoleName", "", True),
        ("RoleName", "eks-sg-guard", True),
        ("RoleName", "security/eks-sg-guard", False),
        ("PermissionsBoundaryArn", "", True),
        ("PermissionsBoundaryArn", BOUNDARY, True),
        ("PermissionsBoundaryArn", "arn:aws:iam::aws:policy/PowerUserAccess", True),
        ("PermissionsBoundaryArn", "boundary", False),
        ("DataKeyArn", KEY, True),
        ("DataKeyArn", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/ours", False),
        ("GuardAccounts", "", True),
        ("GuardAccounts", "*", True),
        ("GuardAccounts", "111122223333,444455556666", True),
        ("GuardAccounts", "*,111122223333", False),
        ("GuardAccounts", "1111*", False),
        ("OrganizationId", "", True),
        ("OrganizationId", "o-exampleorgid", True),
        ("OrganizationId", "exampleorgid", False),
        ("OrganizationId", "*", False),
        ("ExternalId", "", True),
        ("ExternalId", "eks-sg-guard:111122223333:member", True),
        ("ExternalId", "x", False),
        ("ExternalId", "two words", False),
        ("AlarmTopicArn", TOPIC, True),
        ("AlarmTopicArn", "ours", False),
    ],
)
def test_a_value_is_taken_or_refused(template: dict[str, Any], parameter: str, value: str, accepted: bool) -> None:
    assert bool(re.search(template["Parameters"][parameter]["AllowedPattern"], value)) == accepted


# ---------------------------------------------------------------- what a value makes


def at(path: str, resource: str) -> Any:
    """A place in a stack, by resource and names of properties; `None`: it is not there."""

    def read_from(stack: Stack) -> Any:
        value = stack.resources.get(resource)
        for name in ["Properties", *filter(None, path.split("."))]:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    return read_from


def there(resource: str) -> Any:
    return lambda stack: resource in stack.resources


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


QUEUES = ("WorkQueue", "FailureQueue", "RuleDeadLetterQueue")
# Of each parameter a value that is not its default, and what is different then: a place, what is there by default, what now.
BOTH: list[tuple[str, str, list[tuple[Any, Any, Any]]]] = [
    ("ReservedConcurrency", "5", [(at("ReservedConcurrentExecutions", "GuardFunction"), None, "5")]),
    ("ReservedConcurrency", "0", [(at("ReservedConcurrentExecutions", "GuardFunction"), None, "0")]),
    ("MemorySize", "512", [(at("MemorySize", "GuardFunction"), 256, "512")]),
    ("Timeout", "85", [(at("Timeout", "GuardFunction"), 60, "85")]),
    ("Tracing", "Active", [(at("Tracing", "GuardFunction"), "PassThrough", "Active")]),
    ("Architecture", "x86_64", [(at("Architectures", "GuardFunction"), ["arm64"], ["x86_64"])]),
    ("LogRetentionDays", "30", [(at("RetentionInDays", "GuardLogGroup"), 365, "30")]),
    ("PermissionsBoundaryArn", BOUNDARY, [(at("PermissionsBoundary", "GuardRole"), None, BOUNDARY)]),
    ("RolePath", "/security/", [(at("Path", "GuardRole"), "/", "/security/")]),
    ("RoleName", "eks-sg-guard", [(at("RoleName", "GuardRole"), None, "eks-sg-guard")]),
    (
        "DataKeyArn",
        KEY,
        [
            (at("KmsKeyArn", "GuardFunction"), None, KEY),
            (at("KmsKeyId", "GuardLogGroup"), None, KEY),
            (at("SSESpecification.KMSMasterKeyId", "GuardTable"), None, KEY),
            *[(at("KmsMasterKeyId", queue), None, KEY) for queue in QUEUES],
            *[(at("SqsManagedSseEnabled", queue), True, None) for queue in QUEUES],
        ],
    ),
    ("KmsKeyArn", KEY, [(at("KmsMasterKeyId", topic), None, KEY) for topic in ("Topic", "RecordTopic", "AlarmTopic")]),
    (
        "AlarmTopicArn",
        TOPIC,
        [
            (there("AlarmTopic"), True, False),
            (there("AlarmTopicPolicy"), True, False),
            (at("AlarmActions", "ErrorsAlarm"), [ref("AlarmTopic")], [TOPIC]),
        ],
    ),
    ("TopicArn", TOPIC, [(there("Topic"), True, False), (there("TopicPolicy"), True, False)]),
    ("RecordTopicArn", TOPIC, [(there("RecordTopic"), True, False), (there("RecordTopicPolicy"), True, False)]),
    ("NotificationEmail", "a@b.c", [(there("EmailSubscription"), False, True), (there("AlarmSubscription"), False, True)]),
    ("SweepSchedule", "", [(there("SweepRule"), True, False), (at("EvaluationPeriods", "SweepAlarm"), 2, 6)]),
    ("SweepAlarmDays", "7", [(at("EvaluationPeriods", "SweepAlarm"), 2, "7")]),
    ("RuleState", "DISABLED", [(at("ActionsEnabled", "SweepAlarm"), True, False)]),
    ("StateTable", "ours", [(there("GuardTable"), True, False)]),
    (
        "GuardMetrics",
        "all",
        [(lambda stack: stack.properties("GuardFunction")["Environment"]["Variables"]["GUARD_METRICS"], "needed", "all")],
    ),
    (
        "ExternalId",
        "ours/7",
        [(lambda stack: stack.properties("GuardFunction")["Environment"]["Variables"]["GUARD_EXTERNAL_ID"], "", "ours/7")],
    ),
    ("ListOwners", "444455556666", [(there("SharedListRule"), False, True)]),
]


@pytest.mark.parametrize(("parameter", "value", "differences"), BOTH, ids=[each[0] for each in BOTH])
def test_both_values_of_an_optional_parameter(parameter: str, value: str, differences: list[tuple[Any, Any, Any]]) -> None:
    usual, other = Stack(), Stack(**{parameter: value})
    for place, by_default, then in differences:
        assert (place(usual), place(other)) == (by_default, then)


def test_both_values_of_the_vpc() -> None:
    vpc = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert "VpcConfig" not in Stack().properties("GuardFunction")
    assert Stack(SubnetIds="subnet-1,subnet-2", SecurityGroupIds="sg-1").properties("GuardFunction")["VpcConfig"] == vpc


def test_a_stack_of_which_nobody_has_said_anything_only_reports_and_is_complete() -> None:
    stack = Stack()
    environment = stack.properties("GuardFunction")["Environment"]["Variables"]
    assert (environment["GUARD_MODE"], environment["GUARD_SWEEP_MODE"]) == ("report", "report")
    rules, topics = {"GuardRule", "WatchRule", "SweepRule"}, {"Topic", "RecordTopic", "AlarmTopic"}
    assert rules | topics | {"WorkQueue", "GuardTable", "Dashboard"} <= stack.resources.keys()
    assert Stack(MEMBER, **GIVEN).parameters["GuardMode"] == "report"


def test_the_members_alarms_reach_the_guards_topic() -> None:
    def publishers(**parameters: str) -> Any:
        policy = Stack(**parameters).properties("AlarmTopicPolicy")["PolicyDocument"]["Statement"]
        (allow,) = [each for each in policy if each["Effect"] == "Allow"]
        assert (allow["Principal"], allow["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
        return allow["Condition"]["StringEquals"]["aws:SourceAccount"]

    assert publishers() == ACCOUNT
    assert publishers(GuardAccounts="444455556666", GuardRoleName="member") == [ACCOUNT, "444455556666"]
    policy = Stack(GuardAccounts="*", OrganizationId="o-exampleorgid").properties("AlarmTopicPolicy")["PolicyDocument"]
    (allow,) = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    assert allow["Condition"] == {"StringEquals": {"aws:SourceOrgID": "o-exampleorgid"}}


# ---------------------------------------------------------------- one StackSet of the members


@pytest.fixture
def members(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where, of these locations, something is made by stacks of the same parameters."""

    def made(resource: str, accounts: list[str], regions: list[str], **parameters: str) -> list[tuple[str, str]]:
        found = []
        for account in accounts:
            for region in regions:
                monkeypatch.setitem(PSEUDO, "AWS::AccountId", account)
                monkeypatch.setitem(PSEUDO, "AWS::Region", region)
                if resource in Stack(MEMBER, **GIVEN, **parameters).resources:
                    found.append((account, region))
        return found

    return made


@pytest.mark.parametrize("accounts", [["444455556666"], [HUB[0]], ["444455556666", "555566667777", HUB[0]]], ids=len)
@pytest.mark.parametrize("regions", [["us-east-1"], ["eu-west-1", "us-east-1", "ap-southeast-2"]], ids=len)
@pytest.mark.parametrize("region", ["", "eu-west-1", "none"])
def test_the_same_parameters_make_one_role_in_each_account(
    members: Any, accounts: list[str], regions: list[str], region: str
) -> None:
    of_the_role = region or HUB[1]
    expected = [(account, of_the_role) for account in accounts if of_the_role in regions]
    assert members("MemberRole", accounts, regions, RoleRegion=region) == expected


@pytest.mark.parametrize(
    "resource", ["ForwardRule", "ForwardRole", "ForwardDeadLetterQueue", "ForwardDeadLetterQueuePolicy", "ForwardAlarm"]
)
def test_every_location_forwards_but_the_guards_own(members: Any, resource: str) -> None:
    accounts, regions = ["444455556666", HUB[0]], ["eu-west-1", "us-east-1"]
    everywhere = [(account, region) for account in accounts for region in regions]
    assert members(resource, accounts, regions) == [each for each in everywhere if each != HUB]


@pytest.mark.parametrize("value", ["", "none", "us-east-1", "us-gov-west-1"])
def test_a_region_of_the_role_is_taken(value: str) -> None:
    assert re.search(read(MEMBER)["Parameters"]["RoleRegion"]["AllowedPattern"], value)


@pytest.mark.parametrize("value", ["true", "false", "us-east", "us-east-1,eu-west-1", "US-EAST-1", "None"])
def test_what_is_no_region_of_the_role_is_refused(value: str) -> None:
    assert not re.search(read(MEMBER)["Parameters"]["RoleRegion"]["AllowedPattern"], value)


# ---------------------------------------------------------------- what people read


@pytest.mark.parametrize("path", [TEMPLATE, MEMBER])
def test_the_version_is_the_programs(path: Path) -> None:
    """In the description, the tag of the function and the output."""
    written = read(path)
    cargo = TEMPLATE.with_name("Cargo.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', cargo, re.MULTILINE)[1]  # of the package, which comes first
    assert re.match(rf"eks-sg-guard {re.escape(version)}\b", written["Description"])
    assert written["Outputs"]["Version"]["Value"] == version
    if path == TEMPLATE:
        assert written["Resources"]["GuardFunction"]["Properties"]["Tags"] == {"eks-sg-guard:version": version}


def test_every_parameter_helps_to_decide(template: dict[str, Any]) -> None:
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template["Parameters"]) == sorted(interface["ParameterLabels"])
    for name, parameter in template["Parameters"].items():
        assert len(parameter["Description"]) > 60, name
        assert "Default" in parameter, f"{name}: the stack deploys without a question that must be answered"


def test_every_condition_is_used(template: dict[str, Any]) -> None:
    for written in (template, read(MEMBER)):
        text = json.dumps([written["Resources"], written["Outputs"], written["Conditions"]])
        for name in written["Conditions"]:
            assert f'"Fn::If": ["{name}"' in text or f'"Condition": "{name}"' in text, name
