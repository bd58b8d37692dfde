"""What AWS answers in the canned account. A call that is not known here is refused, so that nothing is measured which AWS
would have done otherwise.

Owns: the wire formats of each service, filters, conditions of the table. What never changes is rendered once for each
request text and kept; only rules, revokes, items and messages are made anew.
"""

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from account import (
    ACCOUNT, ATTACHMENTS, CLUSTER, CONTROL_PLANE, GROUP_TAGS, NAMES, NODE_GROUP, NODES, RANGE, REGION, SCALING, SUBNETS,
    TABLE, TEMPLATE, VPC, Account, Attachment, Rule,
)  # fmt: skip
from wire import Asked, Reply

EKS_ACCOUNT = "444455556666"
LONG_AGO = "2024-02-29T08:00:00.000Z"
TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/audit"
SERVICES = ("ec2", "eks", "sns", "dynamodb", "sqs", "sts", "iam", "cloudtrail", "events")
Fields = dict[str, Any]


class Refused(Exception):
    """AWS's error code and what it says."""


# --- the facts, as EC2 and EKS show them ----------------------------------------------------------------------------------


def _tags(tags: dict[str, str]) -> list[Fields]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _groups(attachment: Attachment) -> list[Fields]:
    return [{"groupId": attachment.group, "groupName": NAMES[attachment.group]}]


def _interface(each: Attachment) -> Fields:
    managed = each.instance is None
    device = {"deviceIndex": 0, "networkCardIndex": 0, "status": "attached", "attachTime": LONG_AGO}
    return {
        "networkInterfaceId": each.interface,
        "subnetId": each.subnet,
        "vpcId": VPC,
        "availabilityZone": SUBNETS[each.subnet],
        "description": each.description,
        "ownerId": ACCOUNT,
        "requesterId": "AROAEXAMPLE:AmazonEKS" if managed else None,
        "requesterManaged": managed,
        "status": "in-use",
        "macAddress": "0a:1b:2c:3d:4e:5f",
        "privateIpAddress": each.address,
        "sourceDestCheck": True,
        "interfaceType": "interface",
        "groupSet": _groups(each),
        "attachment": {
            "attachmentId": each.interface.replace("eni-", "eni-attach-"),
            "instanceId": each.instance,
            "instanceOwnerId": EKS_ACCOUNT if managed else ACCOUNT,
            "deleteOnTermination": not managed,
            **device,
        },
        "privateIpAddressesSet": [{"privateIpAddress": each.address, "primary": True}],
        "ipv6AddressesSet": [],
        "tagSet": [],
        "operator": {"managed": False},
    }


def _instance(each: Attachment) -> Fields:
    shown = _interface(each)
    del shown["tagSet"], shown["requesterId"], shown["requesterManaged"], shown["availabilityZone"], shown["operator"]
    volume = {"volumeId": each.interface.replace("eni-", "vol-"), "status": "attached", "attachTime": LONG_AGO}
    instance = {
        "instanceId": each.instance,
        "imageId": "ami-0aa1aa1aa1aa1aa1a",
        "instanceState": {"code": 16, "name": "running"},
        "privateDnsName": f"ip-{each.address.replace('.', '-')}.ec2.internal",
        "amiLaunchIndex": 0,
        "productCodes": [],
        "instanceType": "m6i.large",
        "launchTime": LONG_AGO,
        "placement": {"availabilityZone": SUBNETS[each.subnet], "groupName": "", "tenancy": "default"},
        "monitoring": {"state": "disabled"},
        "subnetId": each.subnet,
        "vpcId": VPC,
        "privateIpAddress": each.address,
        "sourceDestCheck": True,
        "groupSet": _groups(each),
        "architecture": "x86_64",
        "rootDeviceType": "ebs",
        "rootDeviceName": "/dev/xvda",
        "blockDeviceMapping": [{"deviceName": "/dev/xvda", "ebs": {**volume, "deleteOnTermination": True}}],
        "virtualizationType": "hvm",
        "tagSet": _tags(each.tags),
        "hypervisor": "xen",
        "networkInterfaceSet": [shown],
        "iamInstanceProfile": {"arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/eks-workers", "id": "AIPAEXAMPLE"},
        "ebsOptimized": False,
        "enaSupport": True,
        "cpuOptions": {"coreCount": 1, "threadsPerCore": 2},
        "capacityReservationSpecification": {"capacityReservationPreference": "open"},
        "hibernationOptions": {"configured": False},
        "enclaveOptions": {"enabled": False},
        "metadataOptions": {
            "state": "applied", "httpTokens": "required", "httpPutResponseHopLimit": 2, "httpEndpoint": "enabled",
        },
        "maintenanceOptions": {"autoRecovery": "default"},
        "operator": {"managed": False},
    }  # fmt: skip
    reserved = {"reservationId": each.interface.replace("eni-", "r-"), "ownerId": ACCOUNT, "groupSet": []}
    return {**reserved, "instancesSet": [instance]}


def _attributes(each: Attachment) -> dict[str, set[str]]:
    """What filters can ask of an interface or its instance."""
    managed = each.instance is None
    return {
        "vpc-id": {VPC},
        "group-id": {each.group},
        "network-interface.group-id": {each.group},
        "instance-id": {each.instance or ""},
        "attachment.instance-id": {each.instance or ""},
        "network-interface-id": {each.interface},
        "instance-state-name": {"running"},
        "tag-key": set(each.tags),
        "requester-managed": {str(managed).lower()},
        "attachment.instance-owner-id": {EKS_ACCOUNT if managed else ACCOUNT},
        "description": {each.description},
    }


_VPC = {
    "vpcId": VPC,
    "ownerId": ACCOUNT,
    "state": "available",
    "cidrBlock": RANGE,
    "cidrBlockAssociationSet": [
        {"cidrBlock": RANGE, "associationId": "vpc-cidr-assoc-0aa1", "cidrBlockState": {"state": "associated"}}
    ],
    "dhcpOptionsId": "dopt-0aa1",
    "instanceTenancy": "default",
    "isDefault": False,
    "tagSet": _tags({"Name": "prod"}),
}
_TEMPLATE_VERSION = {
    "launchTemplateId": TEMPLATE,
    "launchTemplateName": "prod-nodes",
    "versionNumber": 1,
    "createTime": LONG_AGO,
    "createdBy": f"arn:aws:iam::{ACCOUNT}:role/installer",
    "defaultVersion": True,
    "launchTemplateData": {"securityGroupIdSet": [NODES], "instanceType": "m6i.large"},
}
_CLUSTER = {
    "name": CLUSTER,
    "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{CLUSTER}",
    "createdAt": 1709193600.0,
    "version": "1.34",
    "endpoint": "https://0123456789ABCDEF0123456789ABCDEF.gr7.us-east-1.eks.amazonaws.com",
    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/prod-cluster",
    "resourcesVpcConfig": {
        "subnetIds": list(SUBNETS),
        "securityGroupIds": [],
        "clusterSecurityGroupId": CONTROL_PLANE,
        "vpcId": VPC,
        "endpointPublicAccess": False,
        "endpointPrivateAccess": True,
        "publicAccessCidrs": [],
    },
    "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"},
    "logging": {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]},
    "identity": {"oidc": {"issuer": f"https://oidc.eks.{REGION}.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"}},
    "status": "ACTIVE",
    "certificateAuthority": {"data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t" * 40},
    "platformVersion": "eks.9",
    "tags": {"environment": "production"},
    "health": {"issues": []},
    "accessConfig": {"authenticationMode": "API"},
    "upgradePolicy": {"supportType": "STANDARD"},
}
_NODEGROUP = {
    "nodegroupName": NODE_GROUP,
    "nodegroupArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:nodegroup/{CLUSTER}/{NODE_GROUP}/2cc1f0d2",
    "clusterName": CLUSTER,
    "status": "ACTIVE",
    "subnets": list(SUBNETS),
    "resources": {"autoScalingGroups": [{"name": SCALING}]},
    "launchTemplate": {"id": TEMPLATE, "name": "prod-nodes", "version": "1"},
}
_EKS_CALLS = {
    "/clusters": "ListClusters",
    f"/clusters/{CLUSTER}": "DescribeCluster",
    f"/clusters/{CLUSTER}/node-groups": "ListNodegroups",
    f"/clusters/{CLUSTER}/node-groups/{NODE_GROUP}": "DescribeNodegroup",
}
# What these services say, whatever the request holds.
_SAID: dict[tuple[str, str], Any] = {
    ("eks", "ListClusters"): {"clusters": [CLUSTER]},
    ("eks", "DescribeCluster"): {"cluster": _CLUSTER},
    ("eks", "ListNodegroups"): {"nodegroups": [NODE_GROUP]},
    ("eks", "DescribeNodegroup"): {"nodegroup": _NODEGROUP},
    ("cloudtrail", "DescribeTrails"): {
        "trailList": [{"Name": "audit", "TrailARN": TRAIL, "HomeRegion": REGION, "IsMultiRegionTrail": True}]
    },
    ("cloudtrail", "GetTrailStatus"): {"IsLogging": True},
    ("cloudtrail", "GetEventSelectors"): {
        "TrailARN": TRAIL, "EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": True}],
    },
    ("sqs", "SendMessage"): {"MessageId": "00000000-0000-4000-8000-00000000000a"},
}  # fmt: skip
_SAID_XML = {
    ("sts", "GetCallerIdentity"): {
        "GetCallerIdentityResult": {"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/guard/guard", "UserId": "AROA:guard",
                                    "Account": ACCOUNT}
    },
    ("iam", "ListAccountAliases"): {"ListAccountAliasesResult": {"AccountAliases": [], "IsTruncated": False}},
    ("sns", "Publish"): {"PublishResult": {"MessageId": "00000000-0000-4000-8000-00000000000b"}},
}  # fmt: skip


# --- rendering ------------------------------------------------------------------------------------------------------------


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(inner)}</{name}>" for name, inner in value.items() if inner is not None)
    if isinstance(value, list):
        return "".join(f"<item>{_xml(inner)}</item>" for inner in value)
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


def _ec2(action: str, **answer: Any) -> Reply:
    space = "http://ec2.amazonaws.com/doc/2016-11-15/"
    inside = _xml({"requestId": "00000000-0000-4000-8000-000000000000", **answer})
    return Reply(f'<{action}Response xmlns="{space}">{inside}</{action}Response>'.encode(), "text/xml;charset=UTF-8")


def _json(answer: Any) -> Reply:
    return Reply(json.dumps(answer).encode(), "application/x-amz-json-1.1")


def _peer(rule: Rule) -> Fields:
    if rule.peer.startswith("sg-"):
        return {"referencedGroupInfo": {"groupId": rule.peer, "userId": ACCOUNT}}
    return {"cidrIpv4": rule.peer}


def _rule(rule: Rule) -> Fields:
    return {
        "securityGroupRuleId": rule.id,
        "groupId": rule.group,
        "groupOwnerId": ACCOUNT,
        "isEgress": rule.egress,
        "ipProtocol": rule.protocol,
        "fromPort": rule.ports[0],
        "toPort": rule.ports[1],
        **_peer(rule),
        "description": rule.text,
        "tagSet": [],
    }


def _permission(rule: Rule) -> Fields:
    text = {"description": rule.text}
    pairs = [{"userId": ACCOUNT, "groupId": rule.peer, **text}] if rule.peer.startswith("sg-") else []
    ranges = [] if pairs else [{"cidrIp": rule.peer, **text}]
    ports = {} if rule.protocol == "-1" else {"fromPort": rule.ports[0], "toPort": rule.ports[1]}
    return {"ipProtocol": rule.protocol, **ports, "groups": pairs, "ipRanges": ranges, "ipv6Ranges": [], "prefixListIds": []}


# --- what is asked --------------------------------------------------------------------------------------------------------


def _listed(form: dict[str, str], name: str) -> list[str]:
    """`Name.1`, `Name.2`, …"""
    return [value for key, value in form.items() if re.fullmatch(rf"{name}\.\d+", key)]


def _filters(form: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    for key, name in form.items():
        if found := re.fullmatch(r"(Filter\.\d+)\.Name", key):
            yield name, _listed(form, rf"{found[1]}\.Value")


def _kept(form: dict[str, str], attributes: dict[str, set[str]]) -> bool:
    """Whether the filters of the request let a thing through that is so. `*` stands for anything in a value."""
    for name, wanted in _filters(form):
        if name not in attributes:
            raise Refused("InvalidParameterValue", f"the canned account knows no filter `{name}`")
        if not any(fnmatch.fnmatchcase(has, want) for want in wanted for has in attributes[name]):
            return False
    return True


class Answers:
    """The answers in an account. `unknown` is what was refused because nobody thought of it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._prepared: dict[bytes, tuple[str, Reply]] = {}
        self.unknown: list[str] = []
        self._changing: dict[str, Callable[[Asked, dict[str, str]], Reply]] = {
            "DescribeSecurityGroups": self._security_groups,
            "DescribeSecurityGroupRules": self._rules,
            "RevokeSecurityGroupIngress": self._revoke,
        }

    def answer(self, asked: Asked) -> Reply:
        try:
            return getattr(self, f"_of_{asked.service}", self._of_others)(asked)
        except Refused as refused:
            code, text = refused.args
            self.unknown.append(f"{asked.service} {asked.action or asked.path}: {text}")
            if asked.service == "ec2":
                inside = f"<Errors><Error><Code>{code}</Code><Message>{escape(text)}</Message></Error></Errors>"
                return Reply(f"<Response>{inside}</Response>".encode(), "text/xml", 400)
            return Reply(json.dumps({"__type": code, "message": text}).encode(), "application/x-amz-json-1.1", 400)

    # --- EC2 ---

    def _of_ec2(self, asked: Asked) -> Reply:
        if found := self._prepared.get(asked.body):
            asked.action, reply = found
            return reply
        form = dict(parse_qsl(asked.body.decode(), keep_blank_values=True))
        asked.action = form.get("Action", "")
        if change := self._changing.get(asked.action):
            return change(asked, form)
        reply = self._fact(asked.action, form)
        self._prepared[asked.body] = asked.action, reply
        return reply

    def _fact(self, action: str, form: dict[str, str]) -> Reply:
        nodes = (each for each in ATTACHMENTS if each.instance)
        match action:
            case "DescribeInstances":
                return _ec2(action, reservationSet=[_instance(each) for each in nodes if _kept(form, _attributes(each))])
            case "DescribeNetworkInterfaces":
                found = [_interface(each) for each in ATTACHMENTS if _kept(form, _attributes(each))]
                return _ec2(action, networkInterfaceSet=found)
            case "DescribeVpcs":
                return _ec2(action, vpcSet=[_VPC] if _kept(form, {"vpc-id": {VPC}, "is-default": {"false"}}) else [])
            case "DescribeSecurityGroupVpcAssociations":
                return _ec2(action, securityGroupVpcAssociationSet=[])
            case "DescribeLaunchTemplateVersions":
                return _ec2(action, launchTemplateVersionSet=[_TEMPLATE_VERSION])
            case _:
                raise Refused("InvalidAction", f"the canned account knows no `{action}`")

    def _security_groups(self, asked: Asked, form: dict[str, str]) -> Reply:
        def shown(group: str) -> Fields:
            rules = self._account.of_group(group)
            return {
                "ownerId": ACCOUNT,
                "groupId": group,
                "groupName": NAMES[group],
                "groupDescription": NAMES[group],
                "vpcId": VPC,
                "ipPermissions": [_permission(rule) for rule in rules if not rule.egress],
                "ipPermissionsEgress": [_permission(rule) for rule in rules if rule.egress],
                "tagSet": _tags(GROUP_TAGS[group]),
            }

        def is_asked(group: str) -> bool:
            has = {"group-id": {group}, "group-name": {NAMES[group]}, "vpc-id": {VPC}, "tag-key": set(GROUP_TAGS[group])}
            return group in (_listed(form, "GroupId") or NAMES) and _kept(form, has)

        return _ec2(asked.action, securityGroupInfo=[shown(group) for group in NAMES if is_asked(group)])

    def _rules(self, asked: Asked, form: dict[str, str]) -> Reply:
        named = _listed(form, "SecurityGroupRuleId")
        with self._account.lock:
            rules = list(self._account.rules.values())
        attributes = [(rule, {"group-id": {rule.group}, "security-group-rule-id": {rule.id}}) for rule in rules]
        shown = [rule for rule, has in attributes if rule.id in (named or self._account.rules) and _kept(form, has)]
        groups = {group for name, values in _filters(form) if name == "group-id" for group in values}
        asked.detail = groups, {rule.id for rule in shown}
        return _ec2(asked.action, securityGroupRuleSet=[_rule(rule) for rule in shown])

    def _revoke(self, asked: Asked, form: dict[str, str]) -> Reply:
        """By id, or by what the rule says."""
        group, ids = form.get("GroupId", ""), set(_listed(form, "SecurityGroupRuleId"))
        described = {
            (form[f"{top}.IpProtocol"], form.get(f"{top}.FromPort", "-1"), form.get(f"{top}.ToPort", "-1"), peer)
            for top in {key.rpartition(".")[0] for key in form if key.endswith(".IpProtocol")}
            for key, peer in form.items()
            if key.startswith(f"{top}.") and key.endswith(".CidrIp")
        }

        def is_meant(rule: Rule) -> bool:
            says = rule.protocol, str(rule.ports[0]), str(rule.ports[1]), rule.peer
            return not rule.egress and (rule.id in ids or says in described)

        with self._account.lock:
            gone = {rule.id for rule in self._account.of_group(group) if is_meant(rule)}
            for rule in gone:
                del self._account.rules[rule]
        asked.detail = gone
        if not gone:
            raise Refused("InvalidPermission.NotFound", f"no such rule in {group}")
        revoked = [{"securityGroupRuleId": rule, "groupId": group, "isEgress": False} for rule in sorted(gone)]
        return _ec2(asked.action, **{"return": True, "revokedSecurityGroupRuleSet": revoked})

    # --- DynamoDB ---

    def _of_dynamodb(self, asked: Asked) -> Reply:
        asked.action, request = _target(asked), json.loads(asked.body)
        items = self._account.items
        with self._account.lock:
            match asked.action:
                case "BatchGetItem":
                    keys = [key["pk"]["S"] for key in request["RequestItems"][TABLE]["Keys"]]
                    found = [items[key] for key in keys if key in items]
                    return _json({"Responses": {TABLE: found}, "UnprocessedKeys": {}})
                case "GetItem":
                    return _json({"Item": items[key]} if (key := request["Key"]["pk"]["S"]) in items else {})
                case "PutItem":
                    item = request["Item"]
                    key = item["pk"]["S"]
                    if not _holds(request, items.get(key, {})):
                        failed = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}
                        if request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and key in items:
                            failed["Item"] = items[key]
                        return Reply(json.dumps(failed).encode(), "application/x-amz-json-1.0", 400)
                    items[key] = item
                    asked.detail = key, json.dumps(item)
                    return _json({})
                case action:
                    raise Refused("UnknownOperationException", f"the canned account knows no `{action}`")

    # --- the others ---

    def _of_sns(self, asked: Asked) -> Reply:
        form = dict(parse_qsl(asked.body.decode(), keep_blank_values=True))
        asked.detail = form.get("TopicArn", ""), form.get("Message", "")
        return self._of_others(asked)

    def _of_eks(self, asked: Asked) -> Reply:
        path = asked.path.partition("?")[0]
        asked.action = _EKS_CALLS.get(path, path)
        return self._said(asked)

    def _of_others(self, asked: Asked) -> Reply:
        asked.action = _target(asked) or dict(parse_qsl(asked.body.decode())).get("Action", "")
        return self._said(asked)

    def _said(self, asked: Asked) -> Reply:
        key = _, name = asked.service, asked.action
        if key in _SAID_XML:
            return Reply(f"<{name}Response>{_xml(_SAID_XML[key])}</{name}Response>".encode(), "text/xml")
        if key not in _SAID:
            raise Refused("InvalidAction", f"the canned account knows no `{name}`")
        return _json(_SAID[key])


def _target(asked: Asked) -> str:
    return asked.headers.get("x-amz-target", "").rpartition(".")[2]


def _holds(request: Fields, item: Fields) -> bool:
    """Whether the condition of a write holds: terms joined by OR, each a comparison or the absence of an attribute."""
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})

    def term(text: str) -> bool:
        if found := re.fullmatch(r"attribute_not_exists\((\S+)\)", text):
            return names.get(found[1], found[1]) not in item
        if found := re.fullmatch(r"(\S+) (=|<=) (\S+)", text):
            has, wanted = item.get(names.get(found[1], found[1])), values[found[3]]
            return has == wanted if found[2] == "=" else has is not None and _number(has) <= _number(wanted)
        raise Refused("ValidationException", f"the canned account does not understand the condition `{text}`")

    condition = request.get("ConditionExpression")
    return condition is None or any(term(each.strip()) for each in condition.split(" OR "))


def _number(value: Fields) -> float:
    return float(value["N"])


def calls(asked: Iterable[Asked]) -> list[str]:
    """What was called, as `ec2:DescribeVpcs`."""
    return [f"{each.service}:{each.action}" for each in asked]
