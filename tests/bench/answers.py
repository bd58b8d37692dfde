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

import facts
from canned import ACCOUNT, ATTACHMENTS, GROUP_TAGS, NAMES, TABLE, VPC, Account, Rule
from facts import Fields
from wire import Asked, Reply

SERVICES = ("ec2", "eks", "sns", "dynamodb", "sqs", "sts", "iam", "cloudtrail", "events")


class Refused(Exception):
    """AWS's error code and what it says."""


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
        match action:
            case "DescribeInstances":
                found = [each for each in ATTACHMENTS if each.instance and _kept(form, facts.attributes(each))]
                return _ec2(action, reservationSet=[facts.instance(each) for each in found])
            case "DescribeNetworkInterfaces":
                found = [each for each in ATTACHMENTS if _kept(form, facts.attributes(each))]
                return _ec2(action, networkInterfaceSet=[facts.interface(each) for each in found])
            case "DescribeVpcs":
                is_asked = _kept(form, {"vpc-id": {VPC}, "is-default": {"false"}})
                return _ec2(action, vpcSet=[facts.THE_VPC] if is_asked else [])
            case "DescribeSecurityGroupVpcAssociations":
                return _ec2(action, securityGroupVpcAssociationSet=[])
            case "DescribeLaunchTemplateVersions":
                return _ec2(action, launchTemplateVersionSet=[facts.TEMPLATE_VERSION])
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
                "ipPermissions": [facts.permission(rule) for rule in rules if not rule.egress],
                "ipPermissionsEgress": [facts.permission(rule) for rule in rules if rule.egress],
                "tagSet": facts.tags(GROUP_TAGS[group]),
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
        return _ec2(asked.action, securityGroupRuleSet=[facts.rule(rule) for rule in shown])

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
        asked.action = facts.EKS_CALLS.get(path, path)
        return self._said(asked)

    def _of_others(self, asked: Asked) -> Reply:
        asked.action = _target(asked) or dict(parse_qsl(asked.body.decode())).get("Action", "")
        return self._said(asked)

    def _said(self, asked: Asked) -> Reply:
        key = _, name = asked.service, asked.action
        if key in facts.SAID_XML:
            return Reply(f"<{name}Response>{_xml(facts.SAID_XML[key])}</{name}Response>".encode(), "text/xml")
        if key not in facts.SAID:
            raise Refused("InvalidAction", f"the canned account knows no `{name}`")
        return _json(facts.SAID[key])


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
