"""The deployed guard at work, in your own account: tcp 10250 open to everybody in a group that protects nothing.

The group is attached to nothing, so nothing is ever reachable. The guard must know it: an entry under `groups` of the policy
names it, which is why the demonstration has two steps. What it made is removed at the end, whatever happened.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from .aws import Refusal, Say, Stack
from .mode import MODE

NAME = "eks-sg-guard-demo"
PERMISSION = {
    "IpProtocol": "tcp",
    "FromPort": 10250,
    "ToPort": 10250,
    "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "demonstration of eks-sg-guard"}],
}
PATIENCE = 20 * 60  # CloudTrail delivers within minutes, usually
STEP = 10


def make(stack: Stack, say: Say, vpc: str, cluster: str) -> str:
    """The first step: a group, and what to write into the policy."""
    ec2 = stack.client("ec2")
    why = "demonstration of eks-sg-guard, attached to nothing"
    group = ec2.create_security_group(GroupName=NAME, Description=why, VpcId=vpc)["GroupId"]
    say(f"Made group {group}, attached to nothing. Add it to your policy and deploy that (docs/policy.md):")
    say(f"\n  groups:\n    - {{id: {group}, cluster: {cluster}, role: node}}\n")
    say(f"Then: make demo-deployed STACK={stack.name} GROUP={group}")
    return group


def play(stack: Stack, say: Say, group: str, pause: Callable[[float], None] = time.sleep) -> bool:
    """The second step: whether the guard saw it and did what its mode says."""
    ec2 = stack.client("ec2")
    _check(ec2, group)
    mode = stack.variables(stack.configuration()).get(MODE, "enforce")
    begin = int(time.time() * 1000)
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[PERMISSION])
    rule = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    say(f"Opened tcp 10250 to everybody in {group} ({rule}). Mode {mode}: waiting for the guard.")
    try:
        for second in range(0, PATIENCE, STEP):
            pause(STEP)
            seen = _record_of(stack, rule, begin)
            if seen or not _is_there(ec2, rule):
                return _judge(ec2, say, rule, mode, seen, second + STEP)
        say(f"Nothing within {PATIENCE // 60} minutes: make status STACK={stack.name}, and docs/runbook.md.")
        return False
    finally:
        if _is_there(ec2, rule):
            ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule])
        ec2.delete_security_group(GroupId=group)
        say("Removed the rule and the group. Take the entry out of your policy again.")


def _check(ec2: Any, group: str) -> None:
    """It may only be our own, attached to nothing, with nothing in it."""
    found = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    attached = ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [group]}])["NetworkInterfaces"]
    if found["GroupName"] != NAME or found["IpPermissions"] or attached:
        raise Refusal(f"{group} is not the group that the demonstration made, or it is in use: nothing was opened")


def _is_there(ec2: Any, rule: str) -> bool:
    found = ec2.describe_security_group_rules(Filters=[{"Name": "security-group-rule-id", "Values": [rule]}])
    return bool(found["SecurityGroupRules"])


def _record_of(stack: Stack, rule: str, begin: int) -> dict[str, Any] | None:
    """What the guard's log says of the rule."""
    found = stack.client("logs").filter_log_events(
        logGroupName=stack.output("LogGroupName"), startTime=begin, filterPattern=f'"{rule}"'
    )
    for event in found["events"]:
        try:
            record = json.loads(event["message"])["record"]
        except (ValueError, KeyError, TypeError):
            continue
        for finding in record["findings"]:
            if (finding.get("rule") or {}).get("id") == rule:
                return finding
    return None


def _judge(ec2: Any, say: Say, rule: str, mode: str, seen: dict[str, Any] | None, seconds: int) -> bool:
    gone, action = not _is_there(ec2, rule), (seen or {}).get("action", "closed")
    say(f"After {seconds} s: {action}; the rule is {'gone' if gone else 'still there'}.")
    fine = gone if mode == "enforce" else not gone and action == "would-revoke"
    say("As its mode says." if fine else "That is not what its mode says: docs/runbook.md, FailedAlarm.")
    return fine
