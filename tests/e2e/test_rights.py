"""What the roles of the templates may do: exactly what the code calls, in each mode, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import template
from template import MEMBER, PSEUDO, Stack, listed, statements

ACCOUNT, REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
KEY, DATA_KEY, SECRET, TOPIC = (
    f"arn:aws:{rest}"
    for rest in (
        f"kms:{REGION}:{ACCOUNT}:key/topics",
        f"kms:{REGION}:{ACCOUNT}:key/data",
        f"secretsmanager:{REGION}:{ACCOUNT}:secret:hook",
        f"sns:{REGION}:{ACCOUNT}:chat",
    )
)
# What each right hangs on, so that all of them are there.
EVERYTHING = {
    "GuardMode": "enforce",
    "GuardAccounts": f"{ACCOUNT},444455556666",
    "GuardRoleName": "eks-sg-guard-member",
    "ChatTopicArn": TOPIC,
    "SlackSecretArn": SECRET,
    "KmsKeyArn": KEY,
    "DataKeyArn": DATA_KEY,
    "Tracing": "Active",
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
}


def arn(service: str, kind: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{REGION}:{account}:{kind}/*"


def of(resource: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [resource, "Arn"]}


HERE = {"StringEquals": {"ec2:Region": REGION}}
REQUESTED_HERE = {"StringEquals": {"aws:RequestedRegion": REGION}}
OWN_RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/eks-sg-guard-51af3dc0-da77-11e4-872e-1234567db123"
# One of all regions has its home in another region, one of the organisation in another account.
ANY_TRAIL = "arn:aws:cloudtrail:*:*:trail/*"


def via(*services: str) -> dict[str, Any]:
    return {"StringEquals": {"kms:ViaService": [f"{name}.{REGION}.amazonaws.com" for name in services]}}


# Every action that the function may call, with where it may call it and under which condition. An action more, an
# action less or a wider resource is a decision: make it here as well as in the template.
READS = {
    "ec2:DescribeInstances": ("*", HERE),
    "ec2:DescribeLaunchTemplateVersions": ("*", HERE),
    "ec2:DescribeManagedPrefixLists": ("*", HERE),
    "ec2:DescribeNetworkInterfaces": ("*", HERE),
    "ec2:DescribeSecurityGroupRules": ("*", HERE),
    "ec2:DescribeSecurityGroups": ("*", HERE),
    "ec2:DescribeSecurityGroupVpcAssociations": ("*", HERE),
    "ec2:DescribeVpcs": ("*", HERE),
    "ec2:GetManagedPrefixListEntries": (arn("ec2", "prefix-list", account="*"), None),
    "eks:ListClusters": ("*", REQUESTED_HERE),
    "eks:DescribeCluster": (arn("eks", "cluster"), None),
    "eks:ListNodegroups": (arn("eks", "cluster"), None),
    "eks:DescribeNodegroup": (arn("eks", "nodegroup"), None),
    "cloudtrail:DescribeTrails": ("*", REQUESTED_HERE),
    "cloudtrail:GetEventSelectors": (ANY_TRAIL, None),
    "cloudtrail:GetTrailStatus": (ANY_TRAIL, None),
    "events:DescribeRule": (OWN_RULE, None),
    "events:ListTargetsByRule": (OWN_RULE, None),
}
# What changes something that is not the guard's own.
CLOSES = {
    "ec2:RevokeSecurityGroupEgress": (arn("ec2", "security-group"), None),
    "ec2:RevokeSecurityGroupIngress": (arn("ec2", "security-group"), None),
}
PUTS_BACK = {
    "ec2:ModifySecurityGroupRules": (
        [arn("ec2", "security-group"), arn("ec2", "security-group-rule"), arn("ec2", "prefix-list", account="*")],
        None,
    ),
}
KEEPS = {
    "sns:Publish": ([{"Ref": "Topic"}, {"Ref": "RecordTopic"}], None),
    "dynamodb:BatchGetItem": (of("GuardTable"), None),
    "dynamodb:PutItem": (of("GuardTable"), None),
    "sqs:ChangeMessageVisibility": (of("WorkQueue"), None),
    "sqs:DeleteMessage": (of("WorkQueue"), None),
    "sqs:GetQueueAttributes": (of("WorkQueue"), None),
    "sqs:ReceiveMessage": (of("WorkQueue"), None),
    "sqs:SendMessage": (of("WorkQueue"), None),
    "logs:CreateLogStream": (of("GuardLogGroup"), None),
    "logs:PutLogEvents": (of("GuardLogGroup"), None),
}
IN_A_VPC = {
    f"ec2:{action}": ("*", None)
    for action in (
        "AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface", "DescribeSubnets",
        "UnassignPrivateIpAddresses",
    )
}  # fmt: skip
# What a parameter adds. `kms:Decrypt` of two keys are two grants.
ADDED: dict[str, dict[str, Any]] = {
    "GuardRoleName": {
        "sts:AssumeRole": (
            "arn:aws:iam::*:role/eks-sg-guard-member",
            {"StringEquals": {"aws:ResourceAccount": ACCOUNT}},
        )
    },
    "ChatTopicArn": {"sns:Publish": ([{"Ref": "Topic"}, {"Ref": "RecordTopic"}, TOPIC], None)},
    "SlackSecretArn": {"secretsmanager:GetSecretValue": (SECRET, None)},
    "KmsKeyArn": {
        "kms:Decrypt": (KEY, via("sns", "secretsmanager")),
        "kms:GenerateDataKey*": (KEY, via("sns", "secretsmanager")),
    },
    "DataKeyArn": {
        "kms:Decrypt": (DATA_KEY, via("sqs", "dynamodb", "lambda")),
        "kms:GenerateDataKey": (DATA_KEY, via("sqs", "dynamodb", "lambda")),
    },
    "Tracing": {"xray:PutTelemetryRecords": ("*", None), "xray:PutTraceSegments": ("*", None)},
}


def granted(stack: Stack, role: str = "GuardRole") -> dict[str, tuple[Any, Any]]:
    """By action, with where and under which condition. Each is granted once."""
    found: dict[str, tuple[Any, Any]] = {}
    for statement in statements(stack, role):
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}, "no NotAction, no NotResource"
        if statement["Effect"] == "Deny":
            continue
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            assert action not in found, f"{action} is granted twice"
            found[action] = (statement["Resource"], statement.get("Condition"))
    return found


@pytest.mark.parametrize(
    ("parameters", "changes"),
    [
        ({}, {}),
        ({"GuardMode": "report"}, {}),
        ({"GuardMode": "report", "GuardSweepMode": "enforce"}, {}),
        ({"GuardMode": "report", "GuardRestore": "never"}, {}),
        ({"GuardMode": "enforce"}, CLOSES | PUTS_BACK),
        ({"GuardMode": "enforce", "GuardRestore": "never"}, CLOSES),
        ({"GuardMode": "enforce", "GuardSweepMode": "enforce"}, CLOSES | PUTS_BACK),
    ],
    ids=str,
)
def test_the_role_may_do_exactly_this_in_each_mode(parameters: dict[str, str], changes: dict[str, Any]) -> None:
    assert granted(Stack(**parameters)) == READS | KEEPS | changes


@pytest.mark.parametrize("parameter", sorted(ADDED))
def test_what_a_parameter_adds_and_nothing_else(parameter: str) -> None:
    assert granted(Stack(**{parameter: EVERYTHING[parameter]})) == READS | KEEPS | ADDED[parameter]


def test_a_role_of_that_name_in_an_account_that_is_not_guarded_is_not_assumed() -> None:
    stack = Stack(GuardAccounts=f"{ACCOUNT},444455556666", GuardRoleName="eks-sg-guard-member")
    _, condition = granted(stack)["sts:AssumeRole"]
    assert condition == {"StringEquals": {"aws:ResourceAccount": [ACCOUNT, "444455556666"]}}
    every = Stack(GuardAccounts="*", OrganizationId="o-exampleorgid", GuardRoleName="eks-sg-guard-member")
    where, condition = granted(every)["sts:AssumeRole"]
    assert where == "arn:aws:iam::*:role/eks-sg-guard-member"
    assert condition == {"StringEquals": {"aws:ResourceOrgID": "o-exampleorgid"}}


def test_in_a_vpc_lambda_makes_the_interfaces_and_the_program_does_not() -> None:
    stack = Stack(SubnetIds="subnet-1,subnet-2", SecurityGroupIds="sg-1")
    assert granted(stack) == READS | KEEPS | IN_A_VPC
    (deny,) = [each for each in statements(stack) if each["Effect"] == "Deny"]
    assert sorted(deny["Action"]) == sorted(IN_A_VPC)
    assert deny["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": of("GuardFunction")}}
    assert not [each for each in statements(Stack()) if each["Effect"] == "Deny"]


def test_no_write_has_a_wildcard_where_it_matters() -> None:
    for statement in statements(Stack(**{key: value for key, value in EVERYTHING.items() if key != "DataKeyArn"})):
        for action in listed(statement["Action"]):
            if action in READS:
                assert action.split(":")[1].startswith(("Describe", "Get", "List"))
                continue
            assert "*" not in action.removesuffix("GenerateDataKey*"), action
            if action in IN_A_VPC or action.startswith("xray:"):
                continue
            if action == "sts:AssumeRole":
                assert statement["Resource"].endswith(":role/eks-sg-guard-member"), "in any account, but only that role"
                continue
            for resource in listed(statement["Resource"]):
                if not isinstance(resource, str) or "*" not in resource:
                    continue
                place, name = resource.rsplit(":", 1)
                if (action, name) == ("ec2:ModifySecurityGroupRules", "prefix-list/*"):
                    assert place.count("*") == 1 and place.endswith(":*"), "a list that the rule names, of any owner"
                    continue
                assert "*" not in place, f"{action}: partition, region and account are named"
                may = {"security-group/*"} | ({"security-group-rule/*"} if "Modify" in action else set())
                assert name in may, action


def test_nothing_else_gives_the_function_rights() -> None:
    stack = Stack(**EVERYTHING)
    assert stack.properties("GuardFunction")["Role"] == of("GuardRole")
    assert "Policies" not in stack.properties("GuardFunction")
    role = stack.properties("GuardRole")
    assert "ManagedPolicyArns" not in role
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    identities = [name for name, each in stack.resources.items() if each["Type"].startswith("AWS::IAM::")]
    assert identities == ["GuardRole", "GuardStatePolicy", "GuardVpcPolicy"]


def test_the_emulator_denies_what_is_not_granted_in_the_mode() -> None:
    changes = set(CLOSES | PUTS_BACK)
    assert template.granted() >= changes
    assert not template.granted("report") & changes
    assert template.granted("enforce", "never") & changes == set(CLOSES)
    assert template.granted("report") == template.granted() - changes


# ---------------------------------------------------------------- the other accounts

GIVEN = {
    "GuardRoleArn": "arn:aws:iam::777788889999:role/security/eks-sg-guard",
    "GuardBusArn": "arn:aws:events:us-east-1:777788889999:event-bus/default",
    "GuardRoleName": "eks-sg-guard-member",
}


@pytest.mark.parametrize("mode", ["report", "enforce"])
@pytest.mark.parametrize("restore", ["known", "never"])
def test_a_member_account_allows_what_the_guard_does_at_home(mode: str, restore: str) -> None:
    def everywhere(resource: Any) -> Any:
        if isinstance(resource, list):
            return [everywhere(each) for each in resource]
        return resource.replace(f":{REGION}:", ":*:") if isinstance(resource, str) else resource

    home = granted(Stack(GuardMode=mode, GuardRestore=restore))
    there = ("ec2:", "eks:", "cloudtrail:")
    expected = {name: everywhere(where) for name, (where, _) in home.items() if name.startswith(there)}
    member = granted(Stack(MEMBER, GuardMode=mode, GuardRestore=restore, **GIVEN), "MemberRole")
    assert {name: where for name, (where, _) in member.items()} == expected


def test_a_member_trusts_the_guards_role_by_its_name_and_nobody_else() -> None:
    stack = Stack(MEMBER, **GIVEN)
    (trust,) = stack.properties("MemberRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::777788889999:root"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "ArnEquals": {"aws:PrincipalArn": GIVEN["GuardRoleArn"]},
            "StringEquals": {"sts:ExternalId": "eks-sg-guard:777788889999:eks-sg-guard-member"},
        },
    }, "by the role's id, a guard that is made anew would be locked out"
    assert "MemberRole" not in Stack(MEMBER, RoleRegion="none", **GIVEN).resources


@pytest.mark.parametrize(
    ("given", "expected"), [("", "eks-sg-guard:777788889999:eks-sg-guard-member"), ("ours/7", "ours/7")]
)
def test_guard_and_members_agree_on_the_external_id(given: str, expected: str) -> None:
    """The guard's is written by `Settings::external_id` where none is set."""
    (trust,) = Stack(MEMBER, ExternalId=given, **GIVEN).properties("MemberRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"] == {"sts:ExternalId": expected}
    settings = (template.TEMPLATE.parent / "core/src/guard/settings.rs").read_text(encoding="utf-8")
    assert 'format!("eks-sg-guard:{account}:{role}")' in settings
    for path in (template.TEMPLATE, MEMBER):
        assert re.fullmatch(template.read(path)["Parameters"]["ExternalId"]["AllowedPattern"], given), path


def test_a_member_forwards_to_the_guards_bus_and_nowhere_else() -> None:
    stack = Stack(MEMBER, **GIVEN)
    role = stack.properties("ForwardRole")
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("events:PutEvents", GIVEN["GuardBusArn"])
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "events.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}, "for rules of this account alone"


@pytest.mark.parametrize("path", [template.TEMPLATE, MEMBER])
def test_every_role_takes_the_boundary_of_the_organisation(path: Any) -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    given = GIVEN if path == MEMBER else {}
    for value, expected in ((boundary, boundary), ("", None)):
        stack = Stack(path, PermissionsBoundaryArn=value, **given)
        roles = [each["Properties"] for each in stack.resources.values() if each["Type"] == "AWS::IAM::Role"]
        assert [role.get("PermissionsBoundary") for role in roles] == [expected] * len(roles) != []


@pytest.mark.parametrize("path", [template.TEMPLATE, MEMBER])
def test_queues_and_topics_refuse_plain_http(path: Any) -> None:
    stack = Stack(path, **(GIVEN if path == MEMBER else {}))
    kinds = {
        "AWS::SQS::Queue": ("sqs:*", "Queues", of),
        "AWS::SNS::Topic": ("sns:Publish", "Topics", lambda name: {"Ref": name}),
    }
    policies = [each["Properties"] for each in stack.resources.values()]
    asked = 0
    for name, resource in stack.resources.items():
        if resource["Type"] not in kinds:
            continue
        action, field, target = kinds[resource["Type"]]
        (policy,) = [each for each in policies if {"Ref": name} in each.get(field, [])]
        denied = [each for each in policy["PolicyDocument"]["Statement"] if each["Sid"] == "OnlyOverTls"]
        assert denied == [
            {
                "Sid": "OnlyOverTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": action,
                "Resource": target(name),
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ], name
        asked += 1
    assert asked == (1 if path == MEMBER else 6), json.dumps(list(stack.resources))


# ---------------------------------------------------------------- what the program calls

ADAPTERS = template.TEMPLATE.parent / "src/adapters"
# Files of the command line, which works with its user's own rights.
OF_THE_COMMAND_LINE = {"account.rs", "reopen.rs", "security_hub.rs", "surroundings.rs"}
# What the role needs and no adapter calls by name.
NOT_CALLED = {
    "sts:AssumeRole": "AssumeRoleProvider does",
    "kms:Decrypt": "SNS, SQS, DynamoDB, Secrets Manager and Lambda do, for the role",
    "kms:GenerateDataKey": "the same",
    "kms:GenerateDataKey*": "the same",
    "logs:CreateLogStream": "Lambda does",
    "logs:PutLogEvents": "Lambda does",
    "sqs:DeleteMessage": "Lambda does, for the event source mapping",
    "sqs:GetQueueAttributes": "the same",
    "sqs:ReceiveMessage": "the same",
    "xray:PutTelemetryRecords": "Lambda does",
    "xray:PutTraceSegments": "Lambda does",
}


def called() -> set[str]:
    """The operations of AWS that the adapters of the function call, by name."""
    names = "associate|authorize|batch|change|create|delete|describe|get|list|modify|publish|put|revoke|send|update"
    found: set[str] = set()
    for path in ADAPTERS.rglob("*.rs"):
        if path.name not in OF_THE_COMMAND_LINE:
            code = path.read_text(encoding="utf-8").split("#[cfg(test)]")[0]
            found |= set(re.findall(rf"\.((?:{names})(?:_[a-z]+)*)\(\)", code))
    return {"".join(word.capitalize() for word in name.split("_")) for name in found} - {"Get", "Send", "GetName"}


def test_what_is_granted_is_called_and_what_is_called_is_granted() -> None:
    stacks = [Stack(**EVERYTHING | {name: ""}) for name in ("DataKeyArn", "KmsKeyArn")]
    everything = set().union(*(granted(stack) for stack in stacks)) - IN_A_VPC.keys()
    assert NOT_CALLED.keys() <= everything
    names = {action.partition(":")[2] for action in everything - NOT_CALLED.keys()}
    assert names == called()
