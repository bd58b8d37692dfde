"""`audit --fix` closes what was shown and agreed to, as the function does; `undo` opens exactly that again, where it may."""

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
from emulator import ACCOUNT, REGION
from test_live_audit import CLEAN, COULD_NOT_RUN, FINDINGS, PROGRAM, environment, run
from world import WORLD, WORLD_V6, World, allow

KUBELET = allow("tcp", 10250, WORLD, text="debugging, = 'ask' \"Ann\"")
EXCEPTION = """
version: 1
exceptions:
  - id: debugging
    reason: a debugger outside
    owner: ops@example.com
    expires: 2999-12-31
    cluster: prod
    protocol: tcp
    ports: [10250]
    from: [0.0.0.0/0]
"""


@pytest.fixture
def hole(world: World) -> str:
    rule = world.open(world.node_group, KUBELET)[0]
    world.emulator.ec2.create_tags(Resources=[rule], Tags=[{"Key": "Owner", "Value": "Ann"}])
    return rule


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


def fix(world: World, file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(world, "audit", "--region", REGION, "--fix", "--records", str(file), *arguments)


def content(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule without its id."""
    return {key: value for key, value in rule.items() if key not in ("SecurityGroupRuleId", "SecurityGroupRuleArn")}


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_it_closes_what_it_showed_and_nothing_else(world: World, hole: str, file: Path) -> None:
    before = world.rules()
    done = fix(world, file, "--yes")
    assert done.returncode == CLEAN, done.stdout + done.stderr
    assert "TCP 10250 from anywhere" in done.stderr and "`kubelet-internet`" in done.stderr
    assert "revoked" in done.stdout and f"undo {file}" in done.stdout
    assert world.rules() == {id: rule for id, rule in before.items() if id != hole}
    (call,) = world.emulator.mutations
    assert call.name == "ec2:RevokeSecurityGroupIngress"
    about, *records = lines(file)
    assert [rule["id"] for rule in about["about_to_revoke"]["rules"]] == [hole]
    actions = [(found["rule"]["id"], found["action"]) for record in records for found in record["findings"] if found["rule"]]
    assert (hole, "revoked") in actions
    again = fix(world, file, "--yes")
    assert again.returncode == CLEAN and "Nothing is to be closed" in again.stdout


def test_where_nobody_can_be_asked_nothing_is_changed(world: World, hole: str, file: Path) -> None:
    done = fix(world, file)
    assert done.returncode == COULD_NOT_RUN and hole in done.stderr and "--yes" in done.stderr
    assert not world.emulator.mutations and not file.exists()


@pytest.mark.parametrize(
    ("answer", "code", "is_closed"), [("n\n", FINDINGS, False), ("y\n", CLEAN, True), ("\n", FINDINGS, False)]
)
def test_somebody_at_a_terminal_is_asked(
    world: World, hole: str, file: Path, answer: str, code: int, is_closed: bool
) -> None:
    ours, theirs = pty.openpty()
    command = [str(PROGRAM), "audit", "--region", REGION, "--fix", "--records", str(file)]
    os.write(ours, answer.encode())
    done = subprocess.run(command, env=environment(world), stdin=theirs, capture_output=True, text=True, timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "Revoke 1 rule? [y/N]" in done.stderr
    assert (done.returncode, hole not in world.rules()) == (code, is_closed), done.stdout + done.stderr


def test_a_rule_that_came_after_the_plan_stays(world: World, hole: str, file: Path) -> None:
    asked, late = [], []

    def second_time() -> None:
        asked.append(None)
        if len(asked) == 2:
            late.extend(world.open(world.node_group, allow("tcp", 2379, WORLD)))

    world.emulator.on("GetCallerIdentity", before=second_time)
    done = fix(world, file, "--yes")
    assert hole not in world.rules() and late[0] in world.rules()
    assert "not in the plan that was shown" in file.read_text(), done.stdout + done.stderr
    assert done.returncode == COULD_NOT_RUN and "not done" in done.stdout


def test_what_the_policy_only_reports_stays(world: World, hole: str, file: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nclusters:\n  - {name: prod, mode: report}\n")
    done = fix(world, file, "--yes", "--policy", str(policy))
    assert done.returncode == FINDINGS and "Nothing is to be closed" in done.stdout
    assert not world.emulator.mutations


def test_a_group_that_only_a_whole_look_shows_is_said_to_be_left(world: World, file: Path) -> None:
    world.emulator.ec2.terminate_instances(InstanceIds=world.node_instances)
    group = world.group("planned")
    template = world.emulator.ec2.create_launch_template(
        LaunchTemplateName="planned", LaunchTemplateData={"SecurityGroupIds": [group]}
    )
    world.emulator.eks.create_nodegroup(
        clusterName="prod",
        nodegroupName="planned",
        nodeRole=f"arn:aws:iam::{ACCOUNT}:role/node",
        subnets=[world.subnet],
        launchTemplate={"id": template["LaunchTemplate"]["LaunchTemplateId"], "version": "1"},
    )
    hole = world.open(group, KUBELET)[0]
    done = fix(world, file, "--yes")
    if hole in world.rules():
        assert done.returncode == FINDINGS and f"--security-group-rule-ids {hole}" in done.stdout, done.stdout
    else:
        assert done.returncode == CLEAN, done.stdout


def test_a_revoke_that_is_denied_is_said(world: World, hole: str, file: Path) -> None:
    world.emulator.on("RevokeSecurityGroupIngress", error="UnauthorizedOperation", status=403)
    done = fix(world, file, "--yes")
    assert done.returncode == FINDINGS and "failed" in done.stdout and hole in world.rules(), done.stdout


def test_the_journal_of_the_guard_is_written_and_people_hear_of_it_from_the_guard(
    world: World, hole: str, file: Path
) -> None:
    table = world.state_table()
    done = fix(world, file, "--yes", "--state-table", table)
    assert done.returncode == CLEAN, done.stdout + done.stderr
    (journal,) = [item for item in world.table_items(table) if item["pk"]["S"].startswith("journal#")]
    (entry,) = json.loads(journal["state"]["S"])["entries"].values()
    assert entry["done_at"] and not entry.get("told")
    assert not [item for item in world.table_items(table) if item["pk"]["S"].startswith(("finding#", "baseline#"))]


def test_undo_opens_exactly_what_was_closed_once_an_exception_covers_it(
    world: World, hole: str, file: Path, tmp_path: Path
) -> None:
    before = content(world.rules()[hole])
    fix(world, file, "--yes")
    world.emulator.forget()
    refused = run(world, "undo", str(file), "--yes")
    assert refused.returncode == FINDINGS and "kubelet-internet" in refused.stderr, refused.stderr
    assert not world.emulator.mutations
    policy = tmp_path / "policy.yaml"
    policy.write_text(EXCEPTION)
    nobody = run(world, "undo", str(file), "--policy", str(policy))
    assert nobody.returncode == COULD_NOT_RUN and not world.emulator.mutations
    done = run(world, "undo", str(file), "--policy", str(policy), "--yes")
    assert done.returncode == CLEAN, done.stdout + done.stderr
    (again,) = [rule for id, rule in world.rules(world.node_group).items() if rule.get("FromPort") == 10250]
    assert content(again) == before and again["SecurityGroupRuleId"] in done.stdout
    world.emulator.forget()
    twice = run(world, "undo", str(file), "--policy", str(policy), "--yes", "--format", "json")
    assert twice.returncode == CLEAN and not world.emulator.mutations
    assert [rule["outcome"] for rule in json.loads(twice.stdout)["rules"]] == ["open"]


def test_what_a_process_closed_that_died_can_be_undone(world: World, hole: str, file: Path) -> None:
    fix(world, file, "--yes")
    file.write_text(file.read_text().splitlines()[0] + "\n")
    done = run(world, "undo", str(file), "--policy", "none", "--yes")
    assert done.returncode == CLEAN, done.stdout + done.stderr
    assert [rule for rule in world.rules(world.node_group).values() if rule.get("FromPort") == 10250]


def record(group: str, account: str, *rules: dict[str, Any]) -> dict[str, Any]:
    findings = [
        {"kind": "rule", "rule": rule, "requirement": None, "check": None, "verdict": "revoke", "severity": "critical",
         "named_by_event": False, "known": False, "portions": [], "action": "revoked", "detail": None}
        for rule in rules
    ]  # fmt: skip
    return {
        "version": 1, "event_id": None, "event_name": None, "event_time": None, "trigger": "sweep", "account": account,
        "region": REGION, "mode": "enforce", "policy": "standard", "policy_hash": "0", "severity": "critical",
        "actor": None, "clusters": ["prod"], "findings": findings, "outcome": "remediated", "duration_ms": 1, "part": None,
        "group": {"id": group, "name": None, "vpc": None, "cluster": "prod", "roles": []},
    }  # fmt: skip


def rule(id: str, protocol: str, peer: dict[str, Any], direction: str = "ingress", **more: Any) -> dict[str, Any]:
    ports = {} if protocol.startswith("icmp") else {"from_port": None, "to_port": None}
    known = {"id": id, "direction": direction, "protocol": protocol, "peer": peer, "description": None, "tags": {}}
    return {**known, **ports, **more}


def test_every_kind_of_rule_is_opened_as_it_was(world: World, file: Path) -> None:
    rules = [
        rule("sgr-1", "udp", {"cidr": WORLD_V6}, from_port=53, to_port=54, tags={"a": "b", "aws:x": "y"}),
        rule("sgr-2", "tcp", {"prefix_list": world.everyone}, from_port=22, to_port=22, description="list"),
        rule("sgr-3", "tcp", {"group": world.bastion_group, "owner": ACCOUNT}, from_port=1, to_port=65535),
        rule("sgr-4", "-1", {"cidr": "192.0.2.0/24"}, "egress", description="out"),
        rule("sgr-5", "icmp", {"cidr": "192.0.2.0/24"}, icmp_type=8, icmp_code=None),
    ]
    file.write_text(json.dumps({"records": [record(world.pod_group, ACCOUNT, *rules)], "ignored": None}, indent=1))
    known = set(world.rules(world.pod_group))
    done = run(world, "undo", str(file), "--policy", "none", "--yes")
    assert done.returncode == CLEAN, done.stdout + done.stderr
    made = {id: made for id, made in world.rules(world.pod_group).items() if id not in known}
    said = {
        (made["IpProtocol"], made["FromPort"], made["ToPort"], made["IsEgress"], made.get("Description"),
         made.get("CidrIpv4") or made.get("CidrIpv6") or made.get("PrefixListId") or made["ReferencedGroupInfo"]["GroupId"])
        for made in made.values()
    }  # fmt: skip
    assert said == {
        ("udp", 53, 54, False, None, WORLD_V6),
        ("tcp", 22, 22, False, "list", world.everyone),
        ("tcp", 1, 65535, False, None, world.bastion_group),
        ("-1", -1, -1, True, "out", "192.0.2.0/24"),
        ("icmp", 8, -1, False, None, "192.0.2.0/24"),
    }
    (tagged,) = [made for made in made.values() if made["IpProtocol"] == "udp"]
    assert tagged["Tags"] == [{"Key": "a", "Value": "b"}]


def test_what_is_no_record_is_said_and_nothing_is_asked(world: World, file: Path) -> None:
    wrong = {
        "": "empty",
        "{": "not JSON",
        '{"SecurityGroups": []}': "it is no record",
        json.dumps({**record("sg-1", ACCOUNT), "version": 7}): "version 7",
    }
    for text, why in wrong.items():
        file.write_text(text)
        done = run(world, "undo", str(file), "--yes")
        assert done.returncode == COULD_NOT_RUN and why in done.stderr, (text, done.stderr)
    assert not world.emulator.requests
    file.write_text(json.dumps(record(world.node_group, "444455556666", rule("sgr-1", "-1", {"cidr": WORLD}))))
    done = run(world, "undo", str(file), "--yes")
    assert done.returncode == COULD_NOT_RUN and "444455556666" in done.stderr and not world.emulator.mutations
    file.write_text(json.dumps(record("sg-0123456789abcdef0", ACCOUNT, rule("sgr-1", "-1", {"cidr": WORLD}))))
    done = run(world, "undo", str(file), "--yes")
    assert done.returncode == FINDINGS and "gone" in done.stdout and not world.emulator.mutations, done.stdout
