"""What must hold of every invocation: the contract of responses, log lines, records and messages; and the two questions that
every case asks: which rules are gone, and which requests left the process.
"""

import json
import re
from typing import Any

import template
from emulator import ACCOUNT, REGION
from lambda_runtime import Answer, Function
from recorded import Request
from world import World

SEVERITIES = ("low", "medium", "high", "critical")
OUTCOMES = ("compliant", "reported", "remediated", "refused", "failed")  # from good to bad
ACTIONS = {
    "none", "reported", "would-revoke", "revoked", "restored", "already-gone", "was-open", "postponed", "changed", "refused",
    "failed",
}  # fmt: skip
RECORD = {
    "version", "event_id", "event_name", "event_time", "trigger", "account", "region", "mode", "policy", "policy_hash",
    "severity", "actor", "clusters", "group", "findings", "outcome", "duration_ms", "part",
}  # fmt: skip
ACTOR = {"arn", "type", "session_issuer", "source_ip", "user_agent", "invoked_by"}
GROUP = {"id", "name", "vpc", "cluster", "roles"}
FINDING = {
    "kind", "rule", "requirement", "check", "verdict", "severity", "named_by_event", "known", "portions", "action",
    "detail",
}  # fmt: skip
# Which fields say what a finding of a kind is about. A public endpoint was called a requirement before there were checks.
KINDS = {
    "rule": {"rule"},
    "requirement": {"requirement"},
    "endpoint": {"requirement", "check"},
    "group": {"check"},
    "account": {"check"},
}
OPTIONAL = {"closed_at", "connections", "told_at", "contested", "before", "list"}  # only where there is something to say
RULE = {"id", "direction", "protocol", "from_port", "to_port", "peer", "description", "tags"}
PORTION = {"clause", "protocol", "ports", "peer_class", "verdict"}
ROLES = {"cluster", "control-plane", "node", "remote-access", "pod", "load-balancer"}
ATTRIBUTES = {"severity", "outcome", "cluster", "account", "region", "trigger"}


class Guard(Function):
    """The function with its two topics, whose every answer is checked against the contract."""

    def __init__(self, world: World, **environment: str) -> None:
        topics = {"GUARD_TOPIC_ARN": world.people_topic, "GUARD_RECORD_TOPIC_ARN": world.record_topic}
        super().__init__(world.emulator.url, **{**topics, **environment})
        self.world = world
        # The rights of the stack in the same mode: a call more than it grants is denied.
        modes = environment.get("GUARD_MODE") or "enforce", environment.get("GUARD_RESTORE") or "known"
        self.granted = template.granted(*modes)
        world.emulator.granted = self.granted
        self.locations = {(ACCOUNT, REGION)}

    def invoke(self, event: Any, timeout: float = 60) -> Answer:
        self.world.emulator.granted = self.granted
        answer = super().invoke(event, timeout)
        for line in answer.log:
            assert {"timestamp", "level", "target"} <= line.keys(), line
        for record in answer.logged_records:
            conforms(record, self.locations)
        if not answer.failed:
            assert answer.response.keys() >= {"records", "ignored"}, answer.response
            # What was done for a message that failed stands on stdout only.
            has_failures = bool(answer.response.get("batchItemFailures"))
            said = [each for each in answer.logged_records if not has_failures or each in answer.response["records"]]
            assert answer.response["records"] == said
        for message in self.world.notices() + self.world.published_records():
            assert message.attributes.keys() >= ATTRIBUTES - {"cluster"}, message
            assert message.subject is None or (len(message.subject) <= 99 and message.subject.isprintable()), message
            assert message.subject is None or not re.search(r"arn:|alice|Admin", message.subject), message
        for message in self.world.published_records():
            conforms(json.loads(message.text), self.locations)
        return answer


def conforms(record: dict[str, Any], locations: set[tuple[str, str]]) -> None:
    """The record has every field of the contract, and only values that the contract knows."""
    assert record.keys() == RECORD, record.keys() ^ RECORD
    assert record["version"] == 1
    assert record["trigger"] in {"event", "sweep"}
    assert (record["account"], record["region"]) in locations
    assert record["mode"] in {"enforce", "report"}
    assert record["outcome"] in OUTCOMES
    assert record["severity"] is None or record["severity"] in SEVERITIES
    assert isinstance(record["duration_ms"], int)
    assert record["policy"]
    assert record["policy_hash"]
    if record["trigger"] == "event":
        assert record["event_id"]
        assert record["actor"].keys() - {"account"} == ACTOR, record["actor"].keys() ^ ACTOR
    assert all(isinstance(name, str) for name in record["clusters"])
    group = record["group"]
    if group is None:
        assert {finding["kind"] for finding in record["findings"]} <= {"endpoint", "account"}
    else:
        assert group.keys() >= GROUP
        assert group["cluster"] == (",".join(record["clusters"]) or None)
        for role in group["roles"]:
            assert role["role"] in ROLES
            assert isinstance(role["strong"], bool)
            assert role["evidence"]
    for finding in record["findings"]:
        _conforms_finding(finding)


def _conforms_finding(finding: dict[str, Any]) -> None:
    assert FINDING <= finding.keys() <= FINDING | OPTIONAL, finding.keys() ^ FINDING
    assert finding["verdict"] in {"report", "revoke"}, "allowed rules are left out"
    assert finding["severity"] in SEVERITIES
    assert finding["action"] in ACTIONS
    assert isinstance(finding["named_by_event"], bool)
    assert isinstance(finding["known"], bool)
    rule = finding["rule"]
    about = {name for name in ("rule", "requirement", "check") if finding[name] is not None}
    assert about == KINDS[finding["kind"]], finding
    if rule is None:
        return
    icmp = rule["protocol"] in {"icmp", "icmpv6"}
    assert rule.keys() >= (RULE - {"from_port", "to_port"} | {"icmp_type", "icmp_code"} if icmp else RULE), rule
    assert rule["direction"] in {"ingress", "egress"}
    if rule["protocol"] == "-1":
        assert rule["from_port"] is rule["to_port"] is None
    peer = rule["peer"]
    assert len(peer.keys() - {"owner"}) == 1, peer
    assert peer.keys() <= {"cidr", "prefix_list", "group", "owner"}, peer
    for portion in finding["portions"]:
        assert portion.keys() == PORTION, portion
        assert portion["verdict"] in {"allow", "report", "revoke"}


# --- reading an answer ----------------------------------------------------------------------------------------------------


def findings(answer: Answer) -> dict[str, dict[str, Any]]:
    """The findings about rules in what the invocation logged, by rule id."""
    return {each["rule"]["id"]: each for record in answer.logged_records for each in record["findings"] if each["rule"]}


def actions(answer: Answer) -> dict[str, str]:
    """What was done about each rule that is not allowed, by rule id."""
    return {rule: finding["action"] for rule, finding in findings(answer).items()}


def outcome(answer: Answer) -> str:
    """The worst outcome among the records."""
    return max((record["outcome"] for record in answer.logged_records), key=OUTCOMES.index)


def clauses(finding: dict[str, Any]) -> set[str]:
    """The clauses that object to some portion of a finding."""
    return {portion["clause"] for portion in finding["portions"] if portion["verdict"] != "allow"}


def revoked_ids(requests: list[Request]) -> list[str]:
    """The rule ids that the requests asked to revoke; every mutating request must be such a revoke."""
    for request in requests:
        assert request.action in {"RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"}, request
        assert not request.params.get("IpPermissions"), "revoke by rule id only"
    return [rule for request in requests for rule in request.params["SecurityGroupRuleIds"]]


def put_back(requests: list[Request]) -> dict[str, dict[str, Any]]:
    """What the requests asked rules to become, by rule id; every mutating request must ask for that alone."""
    for request in requests:
        assert request.action == "ModifySecurityGroupRules", request
    updates = [update for request in requests for update in request.params["SecurityGroupRules"]]
    return {update["SecurityGroupRuleId"]: update["SecurityGroupRule"] for update in updates}


# --- the two questions ----------------------------------------------------------------------------------------------------


def closes(guard: Guard, event: Any, gone: list[str]) -> Answer:
    """The event makes exactly these rules go, no request asks for more, and the answer says so."""
    world = guard.world
    before = world.rules()
    world.emulator.forget()
    answer = guard.invoke(event)
    assert not answer.failed, answer.error_message or guard.said()
    assert world.rules() == {rule: content for rule, content in before.items() if rule not in gone}
    assert set(revoked_ids(world.emulator.mutations)) == set(gone)
    assert {rule for rule, action in actions(answer).items() if action == "revoked"} == set(gone)
    if gone:
        assert outcome(answer) == "remediated"
    return answer


def leaves(guard: Guard, event: Any) -> Answer:
    """The event changes no rule, and no mutating request leaves the process."""
    return closes(guard, event, [])


def puts_back(guard: Guard, event: Any, former: dict[str, dict[str, Any]]) -> Answer:
    """The event makes these rules what they were, all but their tags, no request asks for more, and the answer says so."""
    world = guard.world
    before = world.rules()
    world.emulator.forget()
    answer = guard.invoke(event)
    assert not answer.failed, answer.error_message or guard.said()
    assert world.rules() == before | former
    assert put_back(world.emulator.mutations).keys() == former.keys()
    assert {rule for rule, action in actions(answer).items() if action == "restored"} == former.keys()
    assert not any(action == "revoked" for action in actions(answer).values())
    assert outcome(answer) == "remediated"
    for rule in former:
        finding = findings(answer)[rule]
        assert not finding["known"]
        assert finding["before"]["id"] == rule
    return answer
