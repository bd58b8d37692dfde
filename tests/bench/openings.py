"""The events that are measured: somebody opens the kubelet's port of the nodes to the world, each time somebody else.

Another principal each time, because the guard sends twenty messages an hour for one and then a summary.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

from canned import ACCOUNT, EVERYWHERE, NODES, REGION, Rule
from envelopes import assumed_role, delivered, now

PORT = 10250


@dataclass(frozen=True)
class Opening:
    """One call, and the rule that it made."""

    number: int
    rule: Rule = field(init=False)

    def __post_init__(self) -> None:
        made = Rule(f"sgr-{self.number + 0xE0000000000:017x}", NODES, "tcp", (PORT, PORT), EVERYWHERE)
        object.__setattr__(self, "rule", made)

    @property
    def role(self) -> str:
        """Nobody else has it, so a message that names it is about this call."""
        return f"Admin-{self.number:05}"

    @property
    def event(self) -> dict[str, Any]:
        """As EventBridge delivers it, now."""
        made = {
            "groupOwnerId": ACCOUNT,
            "groupId": NODES,
            "securityGroupRuleId": self.rule.id,
            "isEgress": False,
            "ipProtocol": "tcp",
            "fromPort": PORT,
            "toPort": PORT,
            "cidrIpv4": EVERYWHERE,
            "securityGroupRuleArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group-rule/{self.rule.id}",
        }
        asked = {
            "ipProtocol": "tcp", "fromPort": PORT, "toPort": PORT, "groups": {},
            "ipRanges": {"items": [{"cidrIp": EVERYWHERE}]}, "ipv6Ranges": {}, "prefixListIds": {},
        }  # fmt: skip
        request = {"groupId": NODES, "ipPermissions": {"items": [asked]}}
        response = {"requestId": str(uuid.uuid4()), "_return": True, "securityGroupRuleSet": {"items": [made]}}
        identity = assumed_role(ACCOUNT, self.role, f"AROAEXAMPLE{self.number:05}", now())
        return delivered((ACCOUNT, REGION), identity, "AuthorizeSecurityGroupIngress", request, response)
