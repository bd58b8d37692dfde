"""Somebody changes a security group, and CloudTrail reports it to EventBridge.

`Somebody` makes a call on the emulated account and returns the event that would be delivered for it. Authorize and Revoke
are rendered with `items` lists, ModifySecurityGroupRules in a `...Request` wrapper where a list of one is the element
itself. The functions at the end turn an event into its less pleasant variants.
"""

import copy
import uuid
from dataclasses import dataclass, field
from typing import Any

from emulator import ACCOUNT, REGION, Emulator
from envelopes import assumed_role, delivered

Event = dict[str, Any]
EC2_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def administrator() -> dict[str, Any]:
    """An administrator's session, as `userIdentity` shows it."""
    return assumed_role(ACCOUNT, "Admin", "AROAEXAMPLEADMIN", "2026-01-02T03:00:00Z")


def event(name: str, request: Any, response: Any, identity: dict[str, Any] | None = None) -> Event:
    """The EventBridge envelope around a CloudTrail record."""
    return delivered((ACCOUNT, REGION), identity or administrator(), name, request, response)


@dataclass
class Somebody:
    """A principal who calls EC2."""

    emulator: Emulator
    identity: dict[str, Any] = field(default_factory=administrator)

    def authorizes(self, group: str, *permissions: dict[str, Any], egress: bool = False) -> Event:
        """AuthorizeSecurityGroupIngress or -Egress with a list of permissions."""
        name = f"AuthorizeSecurityGroup{'Egress' if egress else 'Ingress'}"
        ec2 = self.emulator.ec2
        call = ec2.authorize_security_group_egress if egress else ec2.authorize_security_group_ingress
        answer = call(GroupId=group, IpPermissions=list(permissions))
        request = {"groupId": group, "ipPermissions": _items(map(_permission, permissions))}
        return event(name, request, _rule_set(answer), self.identity)

    def authorizes_briefly(self, group: str, protocol: str, port: int, cidr: str) -> Event:
        """AuthorizeSecurityGroupIngress in the short form: one rule, its fields beside the group."""
        return self._short({"GroupId": group}, protocol, port, cidr)

    def authorizes_by_name(self, group_name: str, protocol: str, port: int, cidr: str) -> Event:
        """The short form in the default VPC: the group is named, its id is only in the response."""
        return self._short({"GroupName": group_name}, protocol, port, cidr)

    def _short(self, group: dict[str, str], protocol: str, port: int, cidr: str) -> Event:
        rule = {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "CidrIp": cidr}
        answer = self.emulator.ec2.authorize_security_group_ingress(**group, **rule)
        request = {_lower(key): value for key, value in {**group, **rule, "IpPermissions": {}}.items()}
        return event("AuthorizeSecurityGroupIngress", request, _rule_set(answer), self.identity)

    def modifies(self, group: str, rules: dict[str, dict[str, Any]]) -> Event:
        """ModifySecurityGroupRules: rule id -> its new body. One rule is rendered as an object, several as an array."""
        updates = [{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": body} for rule_id, body in rules.items()]
        self.emulator.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=updates)
        wrapped = [
            {
                "SecurityGroupRuleId": rule_id,
                "tag": tag,
                "SecurityGroupRule": {key: _retyped(value) for key, value in body.items()},
            }
            for tag, (rule_id, body) in enumerate(rules.items(), start=1)
        ]
        request = {"GroupId": group, "SecurityGroupRule": wrapped[0] if len(wrapped) == 1 else wrapped}
        response = {"xmlns": EC2_NAMESPACE, "requestId": str(uuid.uuid4()), "return": True}
        return event(
            "ModifySecurityGroupRules",
            {"ModifySecurityGroupRulesRequest": request},
            {"ModifySecurityGroupRulesResponse": response},
            self.identity,
        )

    def revokes(self, group: str, *rule_ids: str, egress: bool = False) -> Event:
        """RevokeSecurityGroupIngress or -Egress by rule id."""
        ec2 = self.emulator.ec2
        call = ec2.revoke_security_group_egress if egress else ec2.revoke_security_group_ingress
        call(GroupId=group, SecurityGroupRuleIds=list(rule_ids))
        ids = _items({"securityGroupRuleId": rule_id} for rule_id in rule_ids)
        name = f"RevokeSecurityGroup{'Egress' if egress else 'Ingress'}"
        return event(
            name,
            {"groupId": group, "ipPermissions": {}, "securityGroupRuleIds": ids},
            {"requestId": str(uuid.uuid4()), "_return": True},
            self.identity,
        )


# --- variants -------------------------------------------------------------------------------------------------------------


def rule_ids(delivered: Event) -> list[str]:
    """The ids of the rules that an Authorize event made."""
    return [rule["securityGroupRuleId"] for rule in delivered["detail"]["responseElements"]["securityGroupRuleSet"]["items"]]


def failed(delivered: Event, code: str) -> Event:
    """The same call, refused."""
    return _changed(delivered, errorCode=code, errorMessage="refused", responseElements=None)


def omitted(delivered: Event, *fields: str) -> Event:
    """The same call with `requestParameters` or `responseElements` too large for CloudTrail."""
    return _changed(
        delivered, **{name: {"reason": f"{name} too large", "omitted": True, "originalSize": 149893} for name in fields}
    )


def delivered_again(delivered: Event) -> Event:
    """A second delivery: EventBridge gives it another id, the CloudTrail record is the same."""
    return {**copy.deepcopy(delivered), "id": str(uuid.uuid4())}


def moved(delivered: Event, account: str = ACCOUNT, region: str = REGION) -> Event:
    """The same event as it would come from another location."""
    other = _changed(delivered, awsRegion=region, recipientAccountId=account)
    return {**other, "account": account, "region": region}


def _changed(delivered: Event, **fields: Any) -> Event:
    other = copy.deepcopy(delivered)
    other["detail"].update(fields)
    return other


# --- rendering ------------------------------------------------------------------------------------------------------------


def _lower(key: str) -> str:
    return key[0].lower() + key[1:]


def _items(values: Any) -> dict[str, Any]:
    listed = list(values)
    return {"items": listed} if listed else {}


def _permission(permission: dict[str, Any]) -> dict[str, Any]:
    shown = {_lower(key): value for key, value in permission.items() if not isinstance(value, list)}
    lists = {
        "groups": "UserIdGroupPairs",
        "ipRanges": "IpRanges",
        "ipv6Ranges": "Ipv6Ranges",
        "prefixListIds": "PrefixListIds",
    }
    for name, key in lists.items():
        shown[name] = _items({_lower(field): value for field, value in peer.items()} for peer in permission.get(key, []))
    return shown


def _rule_set(answer: dict[str, Any]) -> dict[str, Any]:
    rules = [
        {_lower(key): value for key, value in rule.items() if key not in {"Tags", "ReferencedGroupInfo"}}
        | (
            {"referencedGroupInfo": {_lower(k): v for k, v in rule["ReferencedGroupInfo"].items()}}
            if "ReferencedGroupInfo" in rule
            else {}
        )
        | {"securityGroupRuleArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group-rule/{rule['SecurityGroupRuleId']}"}
        for rule in answer["SecurityGroupRules"]
    ]
    return {"requestId": str(uuid.uuid4()), "_return": True, "securityGroupRuleSet": _items(rules)}


def _retyped(value: Any) -> Any:
    """The wrapper family types a scalar by its looks: the protocol "-1" arrives as a number."""
    try:
        return int(value)
    except ValueError:
        return {"true": True, "false": False}.get(value, value)
