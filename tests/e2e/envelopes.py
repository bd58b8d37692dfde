"""What EventBridge delivers of a call: CloudTrail's record of it in an envelope.

Owns the shapes, for the emulated account and for the canned one of the bench. Must not know either.
"""

import uuid
from datetime import datetime, timezone
from typing import Any


def now() -> str:
    """As CloudTrail writes times."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def assumed_role(account: str, role: str, principal: str, since: str) -> dict[str, Any]:
    """Somebody called alice in a session of a role, as `userIdentity` shows it. `principal`: the id of the role."""
    return {
        "type": "AssumedRole",
        "principalId": f"{principal}:alice",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role}/alice",
        "accountId": account,
        "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": principal,
                "arn": f"arn:aws:iam::{account}:role/{role}",
                "accountId": account,
                "userName": role,
            },
            "attributes": {"creationDate": since, "mfaAuthenticated": "false"},
        },
    }


def delivered(place: tuple[str, str], identity: dict[str, Any], name: str, request: Any, response: Any) -> dict[str, Any]:
    """The event of a call to EC2 that was made now. `place`: account and region."""
    account, region = place
    time = now()
    record = {
        "eventVersion": "1.10",
        "userIdentity": identity,
        "eventTime": time,
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": "203.0.113.9",
        "userAgent": "aws-cli/2.17.0",
        "requestParameters": request,
        "responseElements": response,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "account": account,
        "time": time,
        "region": region,
        "resources": [],
        "detail": record,
    }
