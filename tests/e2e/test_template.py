"""What template.yaml promises: least privilege, exactly the events we handle, nothing lost on the way."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any

import pytest
from template import TEMPLATE, read

ACCOUNT = "111122223333"

@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return read()


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    return template["Resources"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---------------------------------------------------------------- the role


def arn(service: str, kind: str, account: str = "${AWS::AccountId}") -> dict[str, str]:
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:{account}:{kind}/*"}


def either(condition: str, made: str, named: str) -> dict[str, Any]:
    return {"Fn::If": [condition, {"Ref": made}, {"Ref": named}]}


HERE = {"StringEquals": {"ec2:Region": {"Ref": "AWS::Region"}}}

STACK = {"Id": {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}}
OWN_RULE_NAME = {"Fn::Sub": ["eks-sg-guard-${Id}", STACK]}
OWN_RULE = {
    "Fn::Sub": ["arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/eks-sg-guard-${Id}", STACK]
}
# One of all regions has its home in another region, one of the organisation in another account.
ANY_TRAIL = {"Fn::Sub": "arn:${AWS::Partition}:cloudtrail:*:*:trail/*"}

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
    "eks:ListClusters": ("*", {"StringEquals": {"aws:RequestedRegion": {"Ref": "AWS::Region"}}}),
    "eks:DescribeCluster": (arn("eks", "cluster"), None),
    "eks:ListNodegroups": (arn("eks", "cluster"), None),
    "eks:DescribeNodegroup": (arn("eks", "nodegroup"), None),
    "cloudtrail:DescribeTrails": ("*", {"StringEquals": {"aws:RequestedRegion": {"Ref": "AWS::Region"}}}),
    "cloudtrail:GetEventSelectors": (ANY_TRAIL, None),
    "cloudtrail:GetTrailStatus": (ANY_TRAIL, None),
    "events:DescribeRule": (OWN_RULE, None),
    "events:ListTargetsByRule": (OWN_RULE, None),
}
TOPICS = [
    either("MakeTopic", "Topic", "TopicArn"),
    either("MakeRecordTopic", "RecordTopic", "RecordTopicArn"),
    either("HasChatTopic", "ChatTopicArn", "AWS::NoValue"),
]
SERVICES = [{"Fn::Sub": f"{name}.${{AWS::Region}}.${{AWS::URLSuffix}}"} for name in ("sns", "secretsmanager")]
THROUGH_SNS = {"StringEquals": {"kms:ViaService": SERVICES}}
WORK_QUEUE = {"Fn::GetAtt": ["WorkQueue", "Arn"]}
LOG = {"Fn::GetAtt": ["GuardLogGroup", "Arn"]}
TABLE = {
    "Fn::If": [
        "MakeStateTable",
        {"Fn::GetAtt": ["GuardTable", "Arn"]},
        {"Fn::Sub": "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${StateTable}"},
    ]
}
WRITES = {
    "ec2:RevokeSecurityGroupEgress": (arn("ec2", "security-group"), None),
    "ec2:RevokeSecurityGroupIngress": (arn("ec2", "security-group"), None),
    "ec2:ModifySecurityGroupRules": (
        [arn("ec2", "security-group"), arn("ec2", "security-group-rule"), arn("ec2", "prefix-list", account="*")],
        None,
    ),
    "sns:Publish": (TOPICS, None),
    "kms:Decrypt": ({"Ref": "KmsKeyArn"}, THROUGH_SNS),
    "kms:GenerateDataKey*": ({"Ref": "KmsKeyArn"}, THROUGH_SNS),
    "sts:AssumeRole": ({"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/${GuardRoleName}"}, None),
    "secretsmanager:GetSecretValue": ({"Ref": "SlackSecretArn"}, None),
    "dynamodb:BatchGetItem": (TABLE, None),
    "dynamodb:PutItem": (TABLE, None),
    "sqs:ChangeMessageVisibility": (WORK_QUEUE, None),
    "sqs:DeleteMessage": (WORK_QUEUE, None),
    "sqs:GetQueueAttributes": (WORK_QUEUE, None),
    "sqs:ReceiveMessage": (WORK_QUEUE, None),
    "sqs:SendMessage": (WORK_QUEUE, None),
    "logs:CreateLogStream": (LOG, None),
    "logs:PutLogEvents": (LOG, None),
}


def statements(resources: dict[str, Any]) -> list[dict[str, Any]]:
    """All statements of the role, those behind a condition included."""
    (policy,) = resources["GuardRole"]["Properties"]["Policies"]
    found = []
    state = resources["GuardStatePolicy"]["Properties"]
    assert state["RoleName"] == {"Ref": "GuardRole"}
    for statement in policy["PolicyDocument"]["Statement"] + state["PolicyDocument"]["Statement"]:
        if "Fn::If" in statement:
            _, statement, otherwise = statement["Fn::If"]
            assert otherwise == {"Ref": "AWS::NoValue"}
        found.append(statement)
    return found


def test_the_role_may_do_exactly_this(resources: dict[str, Any]) -> None:
    granted: dict[str, tuple[Any, Any]] = {}
    for statement in statements(resources):
        assert statement["Effect"] == "Allow"
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}, "no NotAction, no NotResource"
        for action in listed(statement["Action"]):
            assert action not in granted, f"{action} is granted twice"
            granted[action] = (statement["Resource"], statement.get("Condition"))
    assert granted == READS | WRITES


def test_rules_may_be_modified_only_where_they_are_put_back(template: dict[str, Any]) -> None:
    member = read(TEMPLATE.with_name("member.yaml"))
    for each, role in (template, "GuardRole"), (member, "MemberRole"):
        assert each["Conditions"]["PutsBack"] == {"Fn::Equals": [{"Ref": "GuardRestore"}, "known"]}
        assert each["Parameters"]["GuardRestore"]["AllowedValues"] == ["known", "never"]
        (policy,) = each["Resources"][role]["Properties"]["Policies"]
        found = [each for each in policy["PolicyDocument"]["Statement"] if "Modify" in json.dumps(each)]
        (condition, statement, otherwise) = found[0]["Fn::If"]
        assert len(found) == 1 and statement["Action"] == "ec2:ModifySecurityGroupRules"
        assert (condition, otherwise) == ("PutsBack", {"Ref": "AWS::NoValue"})


def test_no_write_has_a_wildcard_where_it_matters(resources: dict[str, Any]) -> None:
    for statement in statements(resources):
        for action in listed(statement["Action"]):
            if action in READS:
                assert action.split(":")[1].startswith(("Describe", "Get", "List"))
                continue
            assert "*" not in action.removesuffix("GenerateDataKey*"), action
            if action == "sts:AssumeRole":
                assert statement["Resource"]["Fn::Sub"].endswith("/${GuardRoleName}"), "in any account, but only that role"
                continue
            for resource in listed(statement["Resource"]):
                if "Fn::Sub" in resource:
                    place, name = resource["Fn::Sub"].rsplit(":", 1)
                    if (action, name) == ("ec2:ModifySecurityGroupRules", "prefix-list/*"):
                        assert place.count("*") == 1 and place.endswith(":*"), "a list that the rule names, of any owner"
                        continue
                    assert "*" not in place, f"{action}: partition, region and account are named"
                    may = {"security-group/*"} | ({"security-group-rule/*"} if "Modify" in action else set())
                    assert name in may, action
                else:
                    assert isinstance(resource, dict), f"{action}: one named resource"


def test_nothing_else_gives_the_function_rights(resources: dict[str, Any]) -> None:
    function = resources["GuardFunction"]["Properties"]
    assert function["Role"] == {"Fn::GetAtt": ["GuardRole", "Arn"]}
    assert "Policies" not in function
    role = resources["GuardRole"]["Properties"]
    assert "ManagedPolicyArns" not in role
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    identities = [name for name, resource in resources.items() if resource["Type"].startswith("AWS::IAM::")]
    assert identities == ["GuardRole", "GuardStatePolicy"]


# ---------------------------------------------------------------- the events

RULES = [
    "AuthorizeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress",
    "ModifySecurityGroupRules",
    "RevokeSecurityGroupIngress",
    "RevokeSecurityGroupEgress",
]
OF_EC2 = [
    *RULES,
    "CreateSecurityGroup",
    "AssociateSecurityGroupVpc",
    "ModifyNetworkInterfaceAttribute",
    "ModifyInstanceAttribute",
    "ModifyManagedPrefixList",
    "RestoreManagedPrefixListVersion",
]
TAGS = ["CreateTags", "DeleteTags"]
OF_EKS = ["CreateCluster", "UpdateClusterConfig", "CreateNodegroup", "UpdateNodegroupVersion", "UpdateNodegroupConfig"]
OF_CLOUDTRAIL = ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "StartLogging", "CreateTrail"]
OF_RULES, OF_TARGETS = ["DisableRule", "DeleteRule", "PutRule", "EnableRule"], ["RemoveTargets", "PutTargets"]
DUPLICATE = "Client.InvalidPermission.Duplicate"


def test_the_pattern_is_exactly_this(resources: dict[str, Any]) -> None:
    """tests/events.rs holds the calls equal to those that the code understands."""
    of_groups = [{"prefix": {"equals-ignore-case": "sg-"}}, {"exists": False}]
    assert resources["GuardRule"]["Properties"]["EventPattern"] == {
        "account": {"Fn::If": ["HasAccounts", {"Fn::Split": [",", {"Ref": "GuardAccounts"}]}, [{"Ref": "AWS::AccountId"}]]},
        "source": ["aws.ec2", "aws.eks", "aws.cloudtrail"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            # One field with two alternatives is an OR: absent, or this code.
            "errorCode": [{"exists": False}, DUPLICATE],
            "$or": [
                {"eventSource": ["ec2.amazonaws.com"], "eventName": OF_EC2},
                {
                    "eventSource": ["ec2.amazonaws.com"],
                    "eventName": TAGS,
                    "requestParameters": {"resourcesSet": {"items": {"resourceId": of_groups}}},
                },
                {"eventSource": ["eks.amazonaws.com"], "eventName": OF_EKS},
                {"eventSource": ["cloudtrail.amazonaws.com"], "eventName": OF_CLOUDTRAIL},
            ],
        },
    }


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """What EventBridge does with the operators that the pattern uses; any other is a KeyError. A list in an event is
    transparent: its elements count instead of it. (The matcher of moto does not look into lists of objects.)"""
    fields: defaultdict[tuple[str, ...], list[Any]] = defaultdict(list)

    def collect(value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                collect(inner, (*path, name))
        elif isinstance(value, list):
            for element in value:
                collect(element, path)
        else:
            fields[path].append(value)

    def begins(text: Any, prefix: dict[str, str]) -> bool:
        return isinstance(text, str) and text.lower().startswith(prefix["equals-ignore-case"].lower())

    operators = {
        "exists": lambda values, wanted: bool(values) is wanted,
        "prefix": lambda values, prefix: any(begins(value, prefix) for value in values),
    }

    def accepts(test: Any, values: list[Any]) -> bool:
        if not isinstance(test, dict):
            return test in values
        ((operator, operand),) = test.items()
        return operators[operator](values, operand)

    def fits(node: dict[str, Any], path: tuple[str, ...]) -> bool:
        return all(
            any(fits(alternative, path) for alternative in wanted)
            if name == "$or"
            else fits(wanted, (*path, name))
            if isinstance(wanted, dict)
            else any(accepts(test, fields[(*path, name)]) for test in wanted)
            for name, wanted in node.items()
        )

    collect(event, ())
    return fits(pattern, ())


def call(name: str = RULES[0], *, account: str = ACCOUNT, source: str = "aws.ec2", **detail: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "f6c00f02-0000-1111-2222-188a4462be21",
        "detail-type": "AWS API Call via CloudTrail",
        "source": source,
        "account": account,
        "time": "2026-01-02T03:04:05Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {"eventVersion": "1.11", "eventSource": "ec2.amazonaws.com", "eventName": name} | detail,
    }


def of_eks(name: str, **detail: Any) -> dict[str, Any]:
    return call(name, **{"source": "aws.eks", "eventSource": "eks.amazonaws.com"} | detail)


def of_cloudtrail(name: str, **detail: Any) -> dict[str, Any]:
    return call(name, **{"source": "aws.cloudtrail", "eventSource": "cloudtrail.amazonaws.com"} | detail)


def of_rule(name: str, request: Any, **detail: Any) -> dict[str, Any]:
    where = {"source": "aws.events", "eventSource": "events.amazonaws.com", "requestParameters": request}
    return call(name, **where | detail)


def tags(request: Any, name: str = TAGS[0], **detail: Any) -> dict[str, Any]:
    return call(name, requestParameters=request, **detail)


def resources_set(*ids: str) -> dict[str, Any]:
    return {"resourcesSet": {"items": [{"resourceId": id_} for id_ in ids]}, "tagSet": {"items": [{"key": "a"}]}}


OMITTED = {"reason": "requestParameters too large", "omitted": True, "originalSize": 149893}
GROUP, VOLUME = "sg-0aaa1111bbb22222c", "vol-0aaa1111bbb22222c"


@pytest.mark.parametrize(
    ("event", "delivered"),
    [
        *[pytest.param(call(name), True, id=name) for name in OF_EC2],
        *[pytest.param(call(name, requestParameters=OMITTED), True, id=f"{name}-omitted") for name in OF_EC2],
        *[pytest.param(call(name, errorCode=DUPLICATE), True, id=f"{name}-duplicate") for name in RULES[:2]],
        *[pytest.param(of_eks(name), True, id=name) for name in OF_EKS],
        *[pytest.param(of_cloudtrail(name), True, id=name) for name in OF_CLOUDTRAIL],
        *[
            pytest.param(of_cloudtrail(name, requestParameters=OMITTED), True, id=f"{name}-omitted")
            for name in OF_CLOUDTRAIL
        ],
        *[pytest.param(tags(resources_set(GROUP), name), True, id=name) for name in TAGS],
        *[pytest.param(tags(OMITTED, name), True, id=f"{name}-omitted") for name in TAGS],
        pytest.param(tags(resources_set(VOLUME, GROUP)), True, id="tags-of-a-group-among-others"),
        pytest.param(tags(resources_set(GROUP.upper())), True, id="tags-of-a-group-in-upper-case"),
        pytest.param(tags({"resourcesSet": {"items": {"resourceId": GROUP}}}), True, id="tags-list-of-one-as-itself"),
        pytest.param(tags({"resourcesSet": [{"resourceId": VOLUME}]}), True, id="tags-of-another-shape"),
        pytest.param(tags({"CreateTagsRequest": {"ResourceId": GROUP}}), True, id="tags-in-a-wrapper"),
        pytest.param(tags(None), True, id="tags-without-parameters"),
        pytest.param(tags(resources_set(VOLUME, "sgr-00000000000000001")), False, id="tags-of-no-group"),
        pytest.param(tags(resources_set(GROUP), errorCode="Client.TagLimitExceeded"), False, id="tags-refused"),
        pytest.param(call(errorCode="Client.DryRunOperation"), False, id="dry-run"),
        pytest.param(call(errorCode="Client.UnauthorizedOperation", errorMessage="no"), False, id="refused"),
        pytest.param(call(errorCode="Client.InvalidPermission.NotFound"), False, id="not-found"),
        pytest.param(call(errorCode="InvalidPermission.Duplicate"), False, id="not-the-code-of-ec2"),
        pytest.param(of_eks(OF_EKS[0], errorCode="ResourceInUseException"), False, id="cluster-refused"),
        pytest.param(call("DeleteSecurityGroup"), False, id="other-call"),
        pytest.param(of_cloudtrail("PutInsightSelectors"), False, id="other-call-of-cloudtrail"),
        pytest.param(of_cloudtrail(OF_CLOUDTRAIL[0], errorCode="AccessDenied"), False, id="trail-refused"),
        pytest.param(of_rule(OF_RULES[0], {"name": "any"}), False, id="another-rule-delivers-this"),
        pytest.param(call("CreateNetworkInterface"), False, id="made-all-day"),
        pytest.param(of_eks("DeleteNodegroup"), False, id="other-call-of-eks"),
        pytest.param(call("DescribeSecurityGroups"), False, id="read"),
        pytest.param(call(account="444455556666"), False, id="foreign-account"),
        pytest.param(call(eventSource="rds.amazonaws.com"), False, id="other-service"),
        pytest.param(of_eks(RULES[0]), False, id="call-of-ec2-from-eks"),
        pytest.param(call(OF_EKS[0]), False, id="call-of-eks-from-ec2"),
        pytest.param(call(source="custom.ec2"), False, id="not-from-aws"),
    ],
)
def test_what_the_pattern_lets_through(resources: dict[str, Any], event: dict[str, Any], delivered: bool) -> None:
    pattern = dict(resources["GuardRule"]["Properties"]["EventPattern"], account=[ACCOUNT])
    assert matches(pattern, event) is delivered


@pytest.mark.parametrize(
    ("event", "delivered"),
    [
        *[pytest.param(of_rule(name, {"name": "guard"}), True, id=name) for name in OF_RULES],
        *[pytest.param(of_rule(name, {"rule": "guard"}), True, id=name) for name in OF_TARGETS],
        *[pytest.param(of_rule(name, OMITTED), True, id=f"{name}-omitted") for name in OF_RULES + OF_TARGETS],
        *[pytest.param(of_rule(name, {"name": "another"}), False, id=f"{name}-another") for name in OF_RULES],
        *[pytest.param(of_rule(name, {"rule": "another"}), False, id=f"{name}-another") for name in OF_TARGETS],
        pytest.param(of_rule("PutPermission", {"name": "guard"}), False, id="other-call"),
        pytest.param(of_rule(OF_RULES[0], {"name": "guard"}, errorCode="AccessDenied"), False, id="refused"),
        pytest.param(of_rule(OF_RULES[0], {"name": "guard"}, account="444455556666"), False, id="foreign-account"),
    ],
)
def test_another_rule_delivers_what_happens_to_the_guards_own(
    resources: dict[str, Any], event: dict[str, Any], delivered: bool
) -> None:
    """A rule that was disabled cannot say so."""
    text = json.dumps(resources["WatchRule"]["Properties"]["EventPattern"])
    text = text.replace('{"Ref": "GuardRule"}', '"guard"').replace('{"Ref": "AWS::AccountId"}', f'"{ACCOUNT}"')
    assert matches(json.loads(text), event) is delivered
    function = resources["GuardFunction"]["Properties"]["Environment"]["Variables"]
    assert resources["GuardRule"]["Properties"]["Name"] == function["GUARD_EVENT_RULE"] == OWN_RULE_NAME


def test_owners_of_shared_lists_send_changes_of_lists_and_nothing_else(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    has_owners = {"Fn::Not": [{"Fn::Equals": [{"Ref": "ListOwners"}, ""]}]}
    owners = {"Fn::Split": [",", {"Ref": "ListOwners"}]}
    rule, bus = resources["SharedListRule"], resources["SharedListEvents"]
    assert template["Conditions"]["HasListOwners"] == has_owners
    for each in (rule, bus, resources["SharedListRulePermission"]):
        assert each["Condition"] == "HasListOwners"
    assert rule["Properties"]["EventPattern"] == {
        "account": owners,
        "source": ["aws.ec2"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "errorCode": [{"exists": False}],
            "eventSource": ["ec2.amazonaws.com"],
            "eventName": ["ModifyManagedPrefixList", "RestoreManagedPrefixListVersion"],
        },
    }
    statement = bus["Properties"]["Statement"]
    assert (statement["Principal"], statement["Action"]) == ({"AWS": owners}, "events:PutEvents")
    assert statement["Condition"] == {"StringEquals": {"events:source": "aws.ec2"}}


def test_an_event_that_cannot_be_delivered_is_kept(resources: dict[str, Any]) -> None:
    rules = ("GuardRule", "WatchRule", "SharedListRule")
    for rule in rules:
        (target,) = resources[rule]["Properties"]["Targets"]
        assert target["Arn"] == {"Fn::GetAtt": ["GuardFunction", "Arn"]}
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["RuleDeadLetterQueue", "Arn"]}}
        assert not {"Input", "InputPath", "InputTransformer"} & set(target), "the function wants the whole event"
        assert resources[rule]["Properties"]["State"] == {"Ref": "RuleState"}

    policy = resources["RuleDeadLetterQueuePolicy"]["Properties"]
    assert policy["Queues"] == [{"Ref": "RuleDeadLetterQueue"}]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    swept = {"Fn::If": ["HasSweep", {"Fn::GetAtt": ["SweepRule", "Arn"]}, {"Ref": "AWS::NoValue"}]}
    shared = {"Fn::If": ["HasListOwners", {"Fn::GetAtt": ["SharedListRule", "Arn"]}, {"Ref": "AWS::NoValue"}]}
    senders = [{"Fn::GetAtt": ["GuardRule", "Arn"]}, {"Fn::GetAtt": ["WatchRule", "Arn"]}, shared, swept]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": senders}}

    for rule in rules:
        permission = resources[f"{rule}Permission"]["Properties"]
        assert permission["Principal"] == "events.amazonaws.com"
        assert permission["SourceArn"] == {"Fn::GetAtt": [rule, "Arn"]}


def test_an_event_that_the_function_fails_on_is_kept(resources: dict[str, Any]) -> None:
    invoke = resources["GuardFunction"]["Properties"]["EventInvokeConfig"]
    assert invoke["MaximumRetryAttempts"] == 0, "the work queue is the only retry"
    assert invoke["DestinationConfig"]["OnFailure"] == {"Type": "SQS", "Destination": WORK_QUEUE}


def test_what_waits_in_the_work_queue_comes_back_and_is_kept_in_the_end(template: dict[str, Any]) -> None:
    resources = template["Resources"]
    function, queue = resources["GuardFunction"]["Properties"], resources["WorkQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    most = re.search(r"MAX_RECEIVES: u64 = (\d+);", (TEMPLATE.parent / "src/guard/dispatch.rs").read_text(encoding="utf-8"))
    assert most
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": ["FailureQueue", "Arn"]},
        "maxReceiveCount": int(most[1]),
    }
    assert queue["VisibilityTimeout"] * (int(most[1]) - 1) >= 3600, "an hour, also if each try is killed"
    assert function["Environment"]["Variables"]["GUARD_QUEUE_URL"] == {"Ref": "WorkQueue"}
    assert function["RecursiveLoop"] == "Allow", "Lambda would stop a chain after 16 messages"
    mapping = resources["WorkQueueMapping"]["Properties"]
    assert mapping["EventSourceArn"] == WORK_QUEUE
    assert mapping["BatchSize"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert mapping["Enabled"] == {"Fn::If": ["IsEnabled", True, False]}
    assert template["Conditions"]["IsEnabled"] == {"Fn::Equals": [{"Ref": "RuleState"}, "ENABLED"]}


def test_nobody_else_gives_the_guard_orders(resources: dict[str, Any]) -> None:
    policy = resources["WorkQueuePolicy"]["Properties"]
    assert policy["Queues"] == [{"Ref": "WorkQueue"}]
    senders, transport = policy["PolicyDocument"]["Statement"]
    for statement in (senders, transport):
        assert (statement["Effect"], statement["Principal"], statement["Resource"]) == ("Deny", "*", WORK_QUEUE)
    assert senders["Action"] == "sqs:SendMessage"
    assert senders["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["GuardRole", "Arn"]}}}
    assert transport["Action"] == "sqs:*"
    assert transport["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("alarm", "watched"),
    [
        ("UndeliveredAlarm", {"Name": "QueueName", "Value": {"Fn::GetAtt": ["RuleDeadLetterQueue", "QueueName"]}}),
        ("UnhandledAlarm", {"Name": "QueueName", "Value": {"Fn::GetAtt": ["FailureQueue", "QueueName"]}}),
        ("ErrorsAlarm", {"Name": "FunctionName", "Value": {"Ref": "GuardFunction"}}),
    ],
)
def test_each_net_notifies_people(resources: dict[str, Any], alarm: str, watched: dict[str, Any]) -> None:
    properties = resources[alarm]["Properties"]
    counted = [each["MetricStat"]["Metric"] for each in properties.get("Metrics", []) if "MetricStat" in each]
    (metric,) = counted or [properties]
    assert metric["Dimensions"] == [watched]
    assert properties["AlarmActions"] == [either("MakeTopic", "Topic", "TopicArn")]


# ---------------------------------------------------------------- the settings


def test_settings_that_are_more_than_a_parameter(template: dict[str, Any]) -> None:
    """tests/variables.rs holds the names, parameters and defaults of all equal to the program's."""
    variables = template["Resources"]["GuardFunction"]["Properties"]["Environment"]["Variables"]
    assert {name: value for name, value in variables.items() if set(value) != {"Ref"}} == {
        "GUARD_OWN_ROLE_ARN": {"Fn::GetAtt": ["GuardRole", "Arn"]},
        "GUARD_EVENT_RULE": OWN_RULE_NAME,
        "GUARD_TOPIC_ARN": either("MakeTopic", "Topic", "TopicArn"),
        "GUARD_RECORD_TOPIC_ARN": either("MakeRecordTopic", "RecordTopic", "RecordTopicArn"),
        "GUARD_STATE_TABLE": either("MakeStateTable", "GuardTable", "StateTable"),
        "AWS_SDK_UA_APP_ID": "eks-sg-guard",
    }
    assert template["Parameters"]["StateTable"]["Default"] == "true"


def test_a_member_account_allows_what_the_guard_does_at_home_and_forwards_what_it_follows(resources: dict[str, Any]) -> None:
    member = read(TEMPLATE.with_name("member.yaml"))["Resources"]
    role = member["MemberRole"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": {"Ref": "GuardRoleArn"}}
    (policy,) = role["Policies"]
    stated = [each["Fn::If"][1] if "Fn::If" in each else each for each in policy["PolicyDocument"]["Statement"]]
    granted = {each["Sid"]: (each["Action"], each["Resource"]) for each in stated}

    def everywhere(resource: Any) -> Any:
        if isinstance(resource, list):
            return [everywhere(each) for each in resource]
        return {"Fn::Sub": resource["Fn::Sub"].replace("${AWS::Region}", "*")} if isinstance(resource, dict) else resource

    there = ("ec2:", "eks:", "cloudtrail:")
    in_members = [each for each in statements(resources) if listed(each["Action"])[0].startswith(there)]
    assert granted == {each["Sid"]: (each["Action"], everywhere(each["Resource"])) for each in in_members}
    here = {"account": [{"Ref": "AWS::AccountId"}]}
    pattern = {**resources["GuardRule"]["Properties"]["EventPattern"], **here}
    assert member["ForwardRule"]["Properties"]["EventPattern"] == pattern
    forward = member["ForwardRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert [(each["Action"], each["Resource"]) for each in forward] == [("events:PutEvents", {"Ref": "GuardBusArn"})]


def test_the_bus_takes_events_of_the_listed_accounts_alone(template: dict[str, Any]) -> None:
    bus = template["Resources"]["ForwardedEvents"]
    assert template["Conditions"][bus["Condition"]] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "GuardAccounts"}, ""]}]}
    statement = bus["Properties"]["Statement"]
    assert statement["Principal"] == {"AWS": {"Fn::Split": [",", {"Ref": "GuardAccounts"}]}}
    assert statement["Action"] == "events:PutEvents"
    assert statement["Condition"] == {"StringEquals": {"events:source": ["aws.ec2", "aws.eks", "aws.cloudtrail"]}}


def test_everything_is_looked_at_on_a_schedule(template: dict[str, Any]) -> None:
    rule = template["Resources"]["SweepRule"]
    assert template["Conditions"][rule["Condition"]] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "SweepSchedule"}, ""]}]}
    assert template["Parameters"]["SweepSchedule"]["Default"] == "rate(1 day)"
    properties = rule["Properties"]
    assert properties["ScheduleExpression"] == {"Ref": "SweepSchedule"}
    assert properties["State"] == {"Ref": "RuleState"}
    (target,) = properties["Targets"]
    assert json.loads(target["Input"]) == {"sweep": True}
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["RuleDeadLetterQueue", "Arn"]}
    permission = template["Resources"]["SweepRulePermission"]["Properties"]
    assert permission["SourceArn"] == {"Fn::GetAtt": ["SweepRule", "Arn"]}


def test_the_state_table_is_made_or_adopted_stays_and_is_written_by_the_guard_alone(template: dict[str, Any]) -> None:
    table = template["Resources"]["GuardTable"]
    assert template["Conditions"][table["Condition"]] == {"Fn::Equals": [{"Ref": "StateTable"}, "true"]}
    properties = table["Properties"]
    assert properties["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain"), "it decides what is new"
    (deny,) = properties["ResourcePolicy"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")
    assert deny["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["GuardRole", "Arn"]}}}
    writes = {"BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem", "PartiQLDelete", "PartiQLInsert", "PartiQLUpdate"}
    assert set(deny["Action"]) == {f"dynamodb:{write}" for write in writes}


@pytest.mark.parametrize(
    ("value", "accepted"), [("true", True), ("guard-GuardTable-1AB", True), ("false", False), ("", False), ("a b", False)]
)
def test_a_table_is_named_or_made(template: dict[str, Any], value: str, accepted: bool) -> None:
    assert bool(re.match(template["Parameters"]["StateTable"]["AllowedPattern"], value)) == accepted


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("standard", True),
        ("strict", True),
        ("none", True),
        ("/opt/policy.yaml", True),
        ("policies/ours.yaml", True),
        ("", False),
        ("lax", False),
        ("policy.yaml", False),
        ("/opt/our policy.yaml", False),
    ],
)
def test_the_policy_is_a_built_in_one_or_a_path(template: dict[str, Any], value: str, accepted: bool) -> None:
    assert bool(re.search(template["Parameters"]["GuardPolicy"]["AllowedPattern"], value)) == accepted


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("", True),
        ("us-east-1", True),
        ("us-gov-west-1,eu-west-1", True),
        ("eu-west-x", False),
        ("eu-west", False),
        ("west-1", False),
        ("us-east-1,", False),
        ("us-east-1, eu-west-1", False),
    ],
)
def test_regions_are_what_the_function_takes(template: dict[str, Any], value: str, accepted: bool) -> None:
    # Otherwise the stack deploys and the function does not start.
    assert bool(re.search(template["Parameters"]["GuardRegions"]["AllowedPattern"], value)) == accepted


def test_every_parameter_helps_to_decide(template: dict[str, Any]) -> None:
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template["Parameters"]) == sorted(interface["ParameterLabels"])
    for name, parameter in template["Parameters"].items():
        assert len(parameter["Description"]) > 60, name
        assert "Default" in parameter, f"{name}: the stack deploys without a question that must be answered"
