"""Which events the rules of the templates let through: all that the function looks at, and little else."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from template import MEMBER, PSEUDO, TEMPLATE, Stack, read

sys.path.insert(0, str(TEMPLATE.parent))

from deploy.patterns import matches  # noqa: E402

ACCOUNT = PSEUDO["AWS::AccountId"]
EVENTS = TEMPLATE.parent / "events"
STACK = Stack()
GUARD_PATTERN = STACK.properties("GuardRule")["EventPattern"]
OWN_RULE = "eks-sg-guard"  # as events/ calls it
WATCH_PATTERN = json.loads(
    json.dumps(STACK.properties("WatchRule")["EventPattern"]).replace('{"Ref": "GuardRule"}', json.dumps(OWN_RULE))
)

# ---------------------------------------------------------------- the matcher

TERMINATED = {"source": "aws.ec2", "detail": {"instance-id": "i-1234567890abcdef0", "state": "terminated"}}
COUNTS = {"source": "aws.autoscaling", "detail": {"c-count": 7, "d-count": "3", "x-limit": None}}


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        # What AWS's user guide shows of patterns, and its neighbours.
        ({"source": ["aws.ec2"]}, TERMINATED, True),
        ({"source": ["aws.ec2", "aws.fargate"]}, TERMINATED, True),
        ({"source": ["aws.fargate"]}, TERMINATED, False),
        ({"source": ["aws.ec2"], "detail": {"state": ["terminated"]}}, TERMINATED, True),
        ({"source": ["aws.ec2"], "detail": {"state": ["running"]}}, TERMINATED, False),
        ({"detail": {"state": ["Terminated"]}}, TERMINATED, False),
        ({"detail-type": ["EC2 Instance State-change Notification"]}, TERMINATED, False),
        # An array matches by what it has in common with the pattern; its objects are looked into.
        ({"resources": ["b"]}, {"resources": ["a", "b"]}, True),
        ({"resources": ["c"]}, {"resources": ["a", "b"]}, False),
        ({"items": {"id": ["b"]}}, {"items": [{"id": "a"}, {"id": "b"}]}, True),
        ({"items": {"id": ["b"]}}, {"items": [{"id": "a"}, {"name": "b"}]}, False),
        # Null, the empty text and numbers are values of their own kind.
        ({"UserID": [None]}, {"UserID": None}, True),
        ({"UserID": [None]}, {"UserID": ""}, False),
        ({"UserID": [None]}, {}, False),
        ({"LastName": [""]}, {"LastName": ""}, True),
        ({"detail": {"c-count": [7]}}, COUNTS, True),
        ({"detail": {"d-count": [3]}}, COUNTS, False),
        ({"flag": [True]}, {"flag": True}, True),
        ({"flag": [1]}, {"flag": True}, False),
        # Begins with, and the same whatever the case.
        ({"time": [{"prefix": "2017-10-02"}]}, {"time": "2017-10-02T18:43:48Z"}, True),
        ({"time": [{"prefix": "2017-10-03"}]}, {"time": "2017-10-02T18:43:48Z"}, False),
        ({"service": [{"prefix": {"equals-ignore-case": "eventb"}}]}, {"service": "EventBridge"}, True),
        ({"service": [{"prefix": "eventb"}]}, {"service": "EventBridge"}, False),
        ({"service": [{"prefix": "7"}]}, {"service": 7}, False),
        # Exists: of leaves alone, whatever they hold.
        ({"detail": {"state": [{"exists": True}]}}, TERMINATED, True),
        ({"detail": {"state": [{"exists": False}]}}, TERMINATED, False),
        ({"detail": {"c-count": [{"exists": False}]}}, TERMINATED, True),
        ({"detail": [{"exists": True}]}, TERMINATED, False),
        ({"detail": [{"exists": False}]}, TERMINATED, True),
        ({"detail": {"x-limit": [{"exists": True}]}}, COUNTS, True),
        ({"detail": {"list": [{"exists": True}]}}, {"detail": {"list": []}}, False),
        # Anything but: of what is there.
        ({"detail": {"state": [{"anything-but": "initializing"}]}}, TERMINATED, True),
        ({"detail": {"state": [{"anything-but": "terminated"}]}}, TERMINATED, False),
        ({"detail": {"state": [{"anything-but": ["stopped", "terminated"]}]}}, TERMINATED, False),
        ({"detail": {"state": [{"anything-but": ["stopped", "overloaded"]}]}}, TERMINATED, True),
        ({"detail": {"c-count": [{"anything-but": ["5"]}]}}, TERMINATED, False),
        # One of several fields.
        ({"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}, {"Location": "New York", "Day": "Friday"}, True),
        ({"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}, {"Location": "Rome", "Day": "Monday"}, True),
        ({"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}, {"Location": "Rome", "Day": "Friday"}, False),
        ({"Location": ["Rome"], "$or": [{"Day": ["Monday"]}]}, {"Location": "Paris", "Day": "Monday"}, False),
        ({"detail": {"$or": [{"state": ["terminated"]}, {"state": ["pending"]}]}}, TERMINATED, True),
    ],
)
def test_the_matcher_does_what_is_documented(pattern: dict[str, Any], event: dict[str, Any], expected: bool) -> None:
    assert matches(pattern, event) is expected


def test_an_operator_that_the_matcher_does_not_know_is_no_match_but_an_error() -> None:
    with pytest.raises(KeyError):
        matches({"state": [{"suffix": "a"}]}, {"state": "a"})


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
    "ModifyInstanceAttribute",
    "ModifyManagedPrefixList",
    "RestoreManagedPrefixListVersion",
]
OF_INTERFACES = "ModifyNetworkInterfaceAttribute"
TAGS = ["CreateTags", "DeleteTags"]
OF_EKS = ["CreateCluster", "UpdateClusterConfig", "CreateNodegroup", "UpdateNodegroupVersion", "UpdateNodegroupConfig"]
OF_CLOUDTRAIL = ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "StartLogging", "CreateTrail"]
OF_RULES, OF_TARGETS = ["DisableRule", "DeleteRule", "PutRule", "EnableRule"], ["RemoveTargets", "PutTargets"]
DUPLICATE = "Client.InvalidPermission.Duplicate"


def test_the_pattern_is_exactly_this() -> None:
    """tests/events.rs holds the calls equal to those that the code understands."""
    of_groups = [{"prefix": {"equals-ignore-case": "sg-"}}, {"exists": False}]
    absent = [{"exists": False}]
    of_interfaces = {"eventSource": ["ec2.amazonaws.com"], "eventName": [OF_INTERFACES]}
    assert GUARD_PATTERN == {
        "account": [ACCOUNT],
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
                of_interfaces
                | {
                    "requestParameters": {
                        "attachment": {"deleteOnTermination": absent},
                        "sourceDestCheck": {"value": absent},
                    }
                },
                of_interfaces
                | {"requestParameters": {"groupSet": {"items": {"groupId": [{"exists": True}]}}}},
                {"eventSource": ["eks.amazonaws.com"], "eventName": OF_EKS},
                {"eventSource": ["cloudtrail.amazonaws.com"], "eventName": OF_CLOUDTRAIL},
            ],
        },
    }


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


def interface(**request: Any) -> dict[str, Any]:
    return call(OF_INTERFACES, requestParameters={"networkInterfaceId": "eni-0aaa1111bbb22222c"} | request)


# What the VPC CNI sets after it attached an interface.
ATTACHMENT = {"attachment": {"attachmentId": "eni-attach-0aaa1111bbb22222c", "deleteOnTermination": True}}
OMITTED = {"reason": "requestParameters too large", "omitted": True, "originalSize": 149893}
GROUP, VOLUME = "sg-0aaa1111bbb22222c", "vol-0aaa1111bbb22222c"


@pytest.mark.parametrize(
    ("event", "delivered"),
    [
        *[pytest.param(call(name), True, id=name) for name in OF_EC2],
        *[pytest.param(call(name, requestParameters=OMITTED), True, id=f"{name}-omitted") for name in OF_EC2],
        pytest.param(interface(groupSet={"items": [{"groupId": GROUP}]}), True, id="groups-of-an-interface"),
        pytest.param(interface(groupSet={"items": {"groupId": GROUP}}), True, id="groups-list-of-one-as-itself"),
        pytest.param(interface(groupSet={"items": [{"groupId": GROUP}]}, **ATTACHMENT), True, id="groups-and-an-attachment"),
        pytest.param(interface(groupSet=[{"groupId": GROUP}]), True, id="groups-of-another-shape"),
        pytest.param(interface(description={"value": "a"}), True, id="description-of-an-interface"),
        pytest.param(call(OF_INTERFACES, requestParameters=OMITTED), True, id="interface-omitted"),
        pytest.param(call(OF_INTERFACES, requestParameters=None), True, id="interface-without-parameters"),
        pytest.param(interface(ModifyNetworkInterfaceAttributeRequest=ATTACHMENT), True, id="interface-wrapped"),
        pytest.param(interface(**ATTACHMENT), False, id="attachment"),
        pytest.param(interface(sourceDestCheck={"value": False}), False, id="source-destination-check"),
        pytest.param(interface(sourceDestCheck=False), True, id="source-destination-check-of-another-shape"),
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
def test_what_the_pattern_lets_through(event: dict[str, Any], delivered: bool) -> None:
    assert matches(GUARD_PATTERN, event) is delivered


@pytest.mark.parametrize(
    ("event", "delivered"),
    [
        *[pytest.param(of_rule(name, {"name": OWN_RULE}), True, id=name) for name in OF_RULES],
        *[pytest.param(of_rule(name, {"rule": OWN_RULE}), True, id=name) for name in OF_TARGETS],
        *[pytest.param(of_rule(name, OMITTED), True, id=f"{name}-omitted") for name in OF_RULES + OF_TARGETS],
        *[pytest.param(of_rule(name, {"name": "another"}), False, id=f"{name}-another") for name in OF_RULES],
        *[pytest.param(of_rule(name, {"rule": "another"}), False, id=f"{name}-another") for name in OF_TARGETS],
        pytest.param(of_rule("PutPermission", {"name": OWN_RULE}), False, id="other-call"),
        pytest.param(of_rule(OF_RULES[0], {"name": OWN_RULE}, errorCode="AccessDenied"), False, id="refused"),
        pytest.param(of_rule(OF_RULES[0], {"name": OWN_RULE}, account="444455556666"), False, id="foreign-account"),
    ],
)
def test_another_rule_delivers_what_happens_to_the_guards_own(event: dict[str, Any], delivered: bool) -> None:
    """A rule that was disabled cannot say so."""
    assert matches(WATCH_PATTERN, event) is delivered


def test_the_function_knows_its_own_rule_by_name() -> None:
    environment = STACK.properties("GuardFunction")["Environment"]["Variables"]
    name = "eks-sg-guard-51af3dc0-da77-11e4-872e-1234567db123"
    assert STACK.properties("GuardRule")["Name"] == environment["GUARD_EVENT_RULE"] == name


def test_a_member_forwards_what_the_guard_follows_at_home() -> None:
    member = Stack(MEMBER, GuardRoleArn="a:b:c:d:e:f", GuardRoleName="member", GuardBusArn="a:b:c:d:e:f")
    assert member.properties("ForwardRule")["EventPattern"] == GUARD_PATTERN


def test_of_many_accounts_the_bus_decides_and_the_pattern_stays_short() -> None:
    """EventBridge takes patterns of 2,048 characters."""
    accounts = ",".join(f"{n:012}" for n in range(315))
    assert len(accounts) <= 4096, "what a parameter may hold"
    stack = Stack(GuardAccounts=accounts, GuardRoleName="member")
    pattern = stack.properties("GuardRule")["EventPattern"]
    assert pattern == {name: value for name, value in GUARD_PATTERN.items() if name != "account"}
    assert len(json.dumps(pattern, separators=(",", ":"))) < 2048
    assert len(stack.properties("ForwardedEvents")["Statement"]["Principal"]["AWS"]) == 315


# ---------------------------------------------------------------- the events of the repository

SNAPSHOTS = EVENTS.parent / "tests/snapshots"
# The beginnings of their names, and why a rule that could be told to would not deliver them.
NEVER_DELIVERED = {
    "attached-to-new-interface": "the VPC CNI makes interfaces all day",
    "attached-to-attached-interface": "the VPC CNI attaches interfaces all day",
    "detail-as-text": "EventBridge writes an object",
    "detail-without-event-name": "CloudTrail always writes it",
    "detail-without-event-source": "CloudTrail always writes it",
    "envelope-account-as-number": "EventBridge writes text",
    "envelope-of-another-account-than-its-detail": "it says that it is another account's",
    "envelope-without-account-and-region": "EventBridge writes them",
    "envelope-forwarded": "another account's: the rule of a stack with GuardAccounts delivers it",
    "failed-duplicate-without-prefix": "EC2 writes the prefix",
    "event-rule-by-its-arn": "EventBridge writes the name",
    "event-rule-not-a-name": "no rule can be called that",
}
# No field tells them from what the function needs.
DELIVERED_FOR_NOTHING = {
    "ignored-instance-attribute-of-another-kind": "attributes of instances are set by people, and seldom",
    "ignored-interface-description-that-speaks-of-groups": "set seldom",
}


def looked_at() -> list[Any]:
    """Each event of a call, with what the program answers to it (tests/events.rs)."""
    found = []
    for file in sorted(EVENTS.glob("*.json")):
        event = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(event, dict) or event.get("detail-type") != "AWS API Call via CloudTrail":
            continue
        snapshot = SNAPSHOTS / f"events__every_event_says_what_we_think_it_says@{file.name}.snap"
        answer = snapshot.read_text(encoding="utf-8").split("---\n", 2)[2]
        found.append(pytest.param(event, answer, id=file.name))
    return found


@pytest.mark.parametrize(("event", "answer"), looked_at())
def test_what_the_function_looks_at_is_delivered_and_nothing_else(
    request: pytest.FixtureRequest, event: dict[str, Any], answer: str
) -> None:
    name = request.node.callspec.id
    delivered = matches(GUARD_PATTERN, event) or matches(WATCH_PATTERN, event)
    if any(map(name.startswith, NEVER_DELIVERED)):
        assert not delivered
    elif any(map(name.startswith, DELIVERED_FOR_NOTHING)):
        assert delivered and answer.startswith("ignored: ")
    else:
        assert delivered is not answer.startswith("ignored: ")


def test_forwarded_events_are_delivered_where_other_accounts_are_guarded() -> None:
    event = json.loads((EVENTS / "envelope-forwarded.json").read_text(encoding="utf-8"))
    stack = Stack(GuardAccounts=f"{ACCOUNT},{event['account']}", GuardRoleName="member")
    assert not matches(GUARD_PATTERN, event)
    assert matches(stack.properties("GuardRule")["EventPattern"], event)


def test_each_exception_names_an_event() -> None:
    names = [each.id for each in looked_at()]
    for begins in NEVER_DELIVERED | DELIVERED_FOR_NOTHING:
        assert any(name.startswith(begins) for name in names), begins
