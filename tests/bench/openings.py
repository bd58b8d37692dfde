"""The events that are measured: somebody opens the kubelet's port of the nodes to the world, each time somebody else.

Another principal each time, because the guard sends twenty messages an hour for one and then a summary.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from canned import ACCOUNT, EVERYWHERE, NODES, REGION, Rule

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
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
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
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "AWS API Call via CloudTrail",
            "source": "aws.ec2",
            "account": ACCOUNT,
            "time": now,
            "region": REGION,
            "resources": [],
            "detail": {
                "eventVersion": "1.10",
                "userIdentity": {
                    "type": "AssumedRole",
                    "principalId": f"AROAEXAMPLE{self.number:05}:alice",
                    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{self.role}/alice",
                    "accountId": ACCOUNT,
                    "accessKeyId": "ASIAEXAMPLE",
                    "sessionContext": {
                        "sessionIssuer": {
                            "type": "Role",
                            "principalId": f"AROAEXAMPLE{self.number:05}",
                            "arn": f"arn:aws:iam::{ACCOUNT}:role/{self.role}",
                            "accountId": ACCOUNT,
                            "userName": self.role,
                        },
                        "attributes": {"creationDate": now, "mfaAuthenticated": "false"},
                    },
                },
                "eventTime": now,
                "eventSource": "ec2.amazonaws.com",
                "eventName": "AuthorizeSecurityGroupIngress",
                "awsRegion": REGION,
                "sourceIPAddress": "203.0.113.9",
                "userAgent": "aws-cli/2.31.0",
                "requestParameters": {"groupId": NODES, "ipPermissions": {"items": [asked]}},
                "responseElements": {
                    "requestId": str(uuid.uuid4()), "_return": True, "securityGroupRuleSet": {"items": [made]},
                },
                "requestID": str(uuid.uuid4()),
                "eventID": str(uuid.uuid4()),
                "readOnly": False,
                "eventType": "AwsApiCall",
                "managementEvent": True,
                "recipientAccountId": ACCOUNT,
                "eventCategory": "Management",
            },
        }  # fmt: skip
