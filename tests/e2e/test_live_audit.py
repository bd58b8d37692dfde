"""The audit that asks AWS itself: it sees what saved answers show, with read rights alone, and says what it missed."""

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from emulator import ACCOUNT, GUARD_KEY, REGION
from lambda_runtime import bootstrap
from test_locations import FAR, MEMBER, Location
from world import WORLD, World, allow

PROGRAM = bootstrap().with_name("eks-sg-guard")
CLEAN, COULD_NOT_RUN, FINDINGS = 0, 1, 2
# What differs between an answer that was saved and one that was asked for.
OF_SOURCE = ("origin",)


def environment(world: World, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "AWS_ENDPOINT_URL": world.emulator.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": GUARD_KEY,
        "AWS_SECRET_ACCESS_KEY": "emulated",
        **more,
    }


def run(world: World, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), *arguments]
    return subprocess.run(command, env=environment(world, **more), capture_output=True, text=True, timeout=120)


def audit(world: World, *arguments: str, **more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of a live audit."""
    where = () if "--region" in arguments else ("--region", REGION)
    done = run(world, "audit", "--format", "json", *where, *arguments, **more)
    return done.returncode, json.loads(done.stdout or "{}") | {"stderr": done.stderr}


def opened(answer: dict[str, Any]) -> set[str]:
    return {found["rule"]["id"] for found in answer["findings"] if found["verdict"] == "revoke"}


def said(answer: dict[str, Any]) -> list[str]:
    """The findings, without what tells where they were read."""
    return sorted(json.dumps({k: v for k, v in found.items() if k not in OF_SOURCE}) for found in answer["findings"])


@pytest.fixture
def hole(world: World) -> str:
    return world.open(world.node_group, allow("tcp", 10250, WORLD))[0]


def save(world: World, folder: Path) -> None:
    """What the commands of `audit --commands` print."""
    ec2, eks = world.emulator.ec2, world.emulator.eks

    def keep(name: str, answer: dict[str, Any]) -> None:
        answer = {key: value for key, value in answer.items() if key not in ("ResponseMetadata", "NextToken", "nextToken")}
        (folder / f"{name}.json").write_text(json.dumps(answer, default=lambda time: time.isoformat()))

    keep("caller-identity", world.emulator.client("sts").get_caller_identity())
    for what in (
        "security_groups",
        "security_group_rules",
        "vpcs",
        "managed_prefix_lists",
        "security_group_vpc_associations",
        "network_interfaces",
        "instances",
        "subnets",
        "route_tables",
        "internet_gateways",
        "network_acls",
    ):
        keep(what, getattr(ec2, f"describe_{what}")())
    trails = world.emulator.client("cloudtrail")
    keep("trails", trails.describe_trails())
    for trail in trails.describe_trails()["trailList"]:
        keep(f"trail-status.{trail['Name']}", trails.get_trail_status(Name=trail["TrailARN"]))
        keep(f"event-selectors.{trail['Name']}", trails.get_event_selectors(TrailName=trail["TrailARN"]))
    for prefix_list in ec2.describe_managed_prefix_lists()["PrefixLists"]:
        id = prefix_list["PrefixListId"]
        keep(f"entries.{id}", ec2.get_managed_prefix_list_entries(PrefixListId=id))
    keep("list-clusters", eks.list_clusters())
    for cluster in eks.list_clusters()["clusters"]:
        keep(f"cluster.{cluster}", eks.describe_cluster(name=cluster))
        keep(f"list-nodegroups.{cluster}", eks.list_nodegroups(clusterName=cluster))
        for nodes in eks.list_nodegroups(clusterName=cluster)["nodegroups"]:
            found = eks.describe_nodegroup(clusterName=cluster, nodegroupName=nodes)
            keep(f"nodegroup.{cluster}.{nodes}", found)
            if template := found["nodegroup"].get("launchTemplate"):
                versions = ec2.describe_launch_template_versions(
                    LaunchTemplateId=template["id"], Versions=[template["version"]]
                )
                keep(f"launch-template.{cluster}.{nodes}", versions)


def test_a_live_audit_says_what_saved_answers_say(world: World, hole: str, tmp_path: Path) -> None:
    world.open(world.node_group, allow("tcp", 22, world.everyone), allow("tcp", 9100, "198.51.100.0/24"))
    world.open(world.cluster_group, allow("tcp", 8443, world.bastion_group), allow("tcp", 8444, world.team_group))
    world.group("prod-spare", {"kubernetes.io/cluster/prod": "owned"})
    save(world, tmp_path)
    code, live = audit(world)
    assert (code, live["warnings"], live["missing"]) == (FINDINGS, [], []), live
    assert hole in opened(live)
    done = run(world, "audit", "--from", str(tmp_path), "--format", "json")
    saved = json.loads(done.stdout)
    assert said(live) == said(saved)
    assert [live[key] for key in ("totals", "locations", "exit_code")] == [
        saved[key] for key in ("totals", "locations", "exit_code")
    ]
    assert not world.emulator.mutations


def routed(world: World) -> None:
    """A node of the group gets a public address, and its subnet a way to the internet."""
    ec2 = world.emulator.ec2
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=world.vpc)
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [world.vpc]}])["RouteTables"]
    ec2.create_route(RouteTableId=tables[0]["RouteTableId"], DestinationCidrBlock=WORLD, GatewayId=gateway)
    with_group = [{"Name": "group-id", "Values": [world.node_group]}]
    interfaces = ec2.describe_network_interfaces(Filters=with_group)["NetworkInterfaces"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=address, NetworkInterfaceId=interfaces[0]["NetworkInterfaceId"])


def test_both_say_whether_what_is_open_can_be_reached_and_whether_a_trail_logs(
    world: World, hole: str, tmp_path: Path
) -> None:
    def both(name: str) -> list[dict[str, Any]]:
        folder = tmp_path / name
        folder.mkdir()
        save(world, folder)
        saved = json.loads(run(world, "audit", "--from", str(folder), "--format", "json").stdout)
        _, live = audit(world)
        assert said(live) == said(saved) and not live["missing"]
        return live["findings"]

    def reachable(findings: list[dict[str, Any]]) -> tuple[str, str]:
        return next((f["reachable"]["now"], f["reachable"]["path"]) for f in findings if (f["rule"] or {}).get("id") == hole)

    assert reachable(both("private"))[0] == "no"
    routed(world)
    findings = both("public")
    assert reachable(findings)[0] == "yes", reachable(findings)
    assert not [found for found in findings if found["check"] == "no-trail"]
    world.emulator.ec2.create_network_acl_entry(
        NetworkAclId=world.emulator.ec2.describe_network_acls()["NetworkAcls"][0]["NetworkAclId"],
        RuleNumber=1, Protocol="-1", RuleAction="deny", Egress=False, CidrBlock=WORLD,
    )
    trails = world.emulator.client("cloudtrail")
    for trail in trails.describe_trails()["trailList"]:
        trails.stop_logging(Name=trail["TrailARN"])
    assert [found["check"] for found in both("closed") if found["check"] == "no-trail"]


def test_it_asks_what_its_permissions_say_and_nothing_else(world: World, hole: str) -> None:
    world.open(world.node_group, allow("tcp", 22, world.everyone))
    printed = json.loads(run(world, "audit", "--permissions").stdout)
    statement = printed["Statement"][0]
    audit(world, "--region", "all")
    assert {request.name for request in world.emulator.requests} == set(statement["Action"])
    world.emulator.granted = frozenset(statement["Action"])
    code, answer = audit(world)
    assert code == FINDINGS and opened(answer) == {hole, *opened(answer)} and not answer["missing"]


@pytest.mark.parametrize(
    "denied",
    [
        "cloudtrail:DescribeTrails",
        "ec2:DescribeInstances",
        "ec2:DescribeInternetGateways",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:DescribeNetworkAcls",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroupVpcAssociations",
        "ec2:DescribeVpcs",
        "ec2:GetManagedPrefixListEntries",
        "eks:DescribeCluster",
        "eks:DescribeNodegroup",
        "eks:ListClusters",
        "eks:ListNodegroups",
    ],
)
def test_without_a_right_the_rest_is_judged_and_the_right_is_named(world: World, hole: str, denied: str) -> None:
    world.open(world.node_group, allow("tcp", 22, world.everyone))
    statement = json.loads(run(world, "audit", "--permissions").stdout)["Statement"][0]
    world.emulator.granted = frozenset(statement["Action"]) - {denied}
    code, answer = audit(world)
    assert (code, hole in opened(answer)) == (FINDINGS, True), answer
    assert any(denied in row["command"] for row in answer["missing"]), answer["missing"]
    assert any(f"not allowed to call `{denied}`" in warning for warning in answer["warnings"]), answer["warnings"]
    assert "unused-group" not in {found["check"] for found in answer["findings"]} or denied.startswith("ec2:GetManaged")


@pytest.mark.parametrize("denied", ["ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules"])
def test_nothing_is_called_clean_that_was_not_read(world: World, hole: str, denied: str) -> None:
    statement = json.loads(run(world, "audit", "--permissions").stdout)["Statement"][0]
    world.emulator.granted = frozenset(statement["Action"]) - {denied}
    code, answer = audit(world)
    assert (code, answer["exit_code"]) == (COULD_NOT_RUN, COULD_NOT_RUN), answer
    assert any(denied in row["command"] for row in answer["missing"])
    text = run(world, "audit", "--region", REGION)
    assert f"allow `{denied}`" in text.stdout


@pytest.mark.parametrize(
    ("code", "status"), [("ExpiredToken", 403), ("InvalidClientTokenId", 403), ("SignatureDoesNotMatch", 403)]
)
def test_credentials_that_are_refused_are_said_once(world: World, code: str, status: int) -> None:
    world.emulator.on("*", error=code, status=status)
    done = run(world, "audit", "--region", REGION)
    assert done.returncode == COULD_NOT_RUN
    assert code in done.stderr and "log in" in done.stderr
    assert {request.name for request in world.emulator.requests} == {"sts:GetCallerIdentity"}


def test_credentials_that_expire_on_the_way_leave_what_was_read(world: World, hole: str) -> None:
    world.emulator.on("DescribeInstances", error="RequestExpired")
    code, answer = audit(world)
    assert (code, hole in opened(answer)) == (FINDINGS, True)
    assert [row["command"] for row in answer["missing"]] == ["log in again, and run it again"]


def test_without_credentials_or_region_it_says_what_to_do(world: World) -> None:
    done = run(world, "audit", "--region", REGION, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert done.returncode == COULD_NOT_RUN and "export-credentials" in done.stderr, done.stderr
    done = run(world, "audit")
    assert done.returncode == COULD_NOT_RUN and "--region" in done.stderr, done.stderr
    done = run(world, "audit", "--region", "us-east-1; rm")
    assert done.returncode == COULD_NOT_RUN and "no region" in done.stderr, done.stderr
    assert not world.emulator.requests


def test_regions_and_clusters_are_chosen(world: World, hole: str) -> None:
    far = Location(world.emulator, ACCOUNT, FAR)
    there = far.ec2.authorize_security_group_ingress(GroupId=far.group, IpPermissions=[allow("tcp", 10250, WORLD)])
    far_hole = there["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    code, answer = audit(world, "--region", f"{REGION},{FAR}")
    assert code == FINDINGS and {hole, far_hole} <= opened(answer)
    assert [found["region"] for found in answer["locations"]] == [REGION, FAR]
    _, everywhere = audit(world, "--region", "all")
    assert opened(everywhere) == opened(answer)
    _, one = audit(world, "--region", f"{REGION},{FAR}", "--cluster", "fa*", "--cluster", "nobody")
    assert opened(one) == {far_hole}
    none = run(world, "audit", "--region", REGION, "--cluster", "staging-*")
    assert none.returncode == COULD_NOT_RUN and "there is `prod`" in none.stderr


def test_another_account_is_read_through_a_role(world: World) -> None:
    far = Location(world.emulator, MEMBER, REGION)
    far.ec2.authorize_security_group_ingress(GroupId=far.group, IpPermissions=[allow("tcp", 10250, WORLD)])
    role = f"arn:aws:iam::{MEMBER}:role/audit"
    code, answer = audit(world, "--role-arn", role, "--external-id", "x-1")
    assert code == FINDINGS and {found["account"] for found in answer["locations"]} == {MEMBER}
    (assumed,) = world.emulator.asked("AssumeRole")[:1]
    assert assumed.params["RoleArn"] == role and assumed.params["ExternalId"] == "x-1"
    refused = run(world, "audit", "--region", REGION, "--role-arn", "audit")
    assert refused.returncode == COULD_NOT_RUN and "arn:aws:iam::111122223333:role/audit" in refused.stderr


def test_a_profile_is_used(world: World, hole: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"[profile audit]\nregion = {REGION}\n")
    (tmp_path / "keys").write_text(f"[audit]\naws_access_key_id = {GUARD_KEY}\naws_secret_access_key = emulated\n")
    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys")}
    done = run(world, "audit", "--profile", "audit", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", **files)
    assert done.returncode == FINDINGS and hole in done.stdout, done.stderr


def test_throttling_is_waited_for(world: World, hole: str) -> None:
    world.emulator.on("DescribeCluster", times=3, throttled=True)
    world.emulator.throttle_reads()
    code, answer = audit(world)
    assert (code, answer["missing"]) == (FINDINGS, []) and hole in opened(answer)


def test_interrupted_it_leaves_what_was_read(world: World, hole: str) -> None:
    world.emulator.slow("GetManagedPrefixListEntries", 30.0)
    world.open(world.node_group, allow("tcp", 22, world.everyone))
    command = [str(PROGRAM), "audit", "--region", REGION, "--format", "json"]
    running = subprocess.Popen(
        command, env=environment(world), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 20
    while not world.emulator.asked("GetManagedPrefixListEntries") and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=10)
    answer = json.loads(out)
    assert running.returncode == FINDINGS and hole in opened(answer)
    assert [row["what"] for row in answer["missing"]] == [f"the rest of {REGION}"]


def test_what_takes_long_is_shown_on_a_terminal_and_is_gone_in_the_end(world: World, hole: str) -> None:
    world.emulator.slow("DescribeInstances", 2.0)
    ours, theirs = pty.openpty()
    command = [str(PROGRAM), "audit", "--region", REGION]
    done = subprocess.run(command, env=environment(world), stdout=subprocess.PIPE, stderr=theirs, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == FINDINGS and f"reading {REGION}: " in shown
    assert not shown.rstrip("\r").rsplit("\r", 1)[-1].strip()


def test_a_region_without_clusters_is_clean(world: World) -> None:
    done = run(world, "audit", "--region", "eu-north-1")
    assert done.returncode == CLEAN and "no EKS cluster" in done.stderr, done.stdout + done.stderr
