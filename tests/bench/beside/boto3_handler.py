"""The least that closes a rule: it believes the event, revokes what the event says was opened, and tells people.

It does not look whose group it is, whether the rule is still there, or whether it is gone afterwards, and remembers nothing.
"""

import os

import boto3

EC2, SNS = boto3.client("ec2"), boto3.client("sns")
KUBELET, EVERYWHERE = 10250, {"0.0.0.0/0", "::/0"}


def is_forbidden(rule):
    covers = rule["ipProtocol"] == "-1" or rule["fromPort"] <= KUBELET <= rule["toPort"]
    return not rule["isEgress"] and covers and {rule.get("cidrIpv4"), rule.get("cidrIpv6")} & EVERYWHERE


def handle(event, _context):
    detail = event["detail"]
    rules = [rule for rule in detail["responseElements"]["securityGroupRuleSet"]["items"] if is_forbidden(rule)]
    if rules:
        group, ids = rules[0]["groupId"], [rule["securityGroupRuleId"] for rule in rules]
        EC2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=ids)
        text = f"{detail['userIdentity']['arn']} opened the kubelet to the world in {group}; closed: {', '.join(ids)}"
        SNS.publish(TopicArn=os.environ["GUARD_TOPIC_ARN"], Subject="A security group was opened, and closed", Message=text)
    return {"closed": len(rules)}
