"""`audit --format asff --import`: what Security Hub has afterwards, and what people read where it does not take it."""

import json
from pathlib import Path

import pytest
from emulator import ACCOUNT, REGION
from test_live_audit import COULD_NOT_RUN, FINDINGS, run
from test_locations import FAR, Location
from world import WORLD, World, allow

SAVED = "111122223333"  # the account of `tests/audit/saved`
IMPORT = ("audit", "--format", "asff", "--import")


@pytest.fixture
def hole(world: World) -> str:
    return world.open(world.node_group, allow("tcp", 10250, WORLD))[0]


def known(world: World, region: str = REGION) -> dict[str, dict]:
    """What Security Hub knows, by id."""
    hub = world.emulator.client("securityhub", region=region)
    return {found["Id"]: found for found in hub.get_findings()["Findings"]}


def written(world: World, *arguments: str) -> dict[str, dict]:
    done = run(world, "audit", "--format", "asff", *arguments)
    batches = json.loads(done.stdout)
    return {found["Id"]: found for batch in batches for found in batch["Findings"]}


def but_for_time(findings: dict[str, dict]) -> list[str]:
    times = ("CreatedAt", "UpdatedAt")
    return sorted(json.dumps({k: v for k, v in one.items() if k not in times}, sort_keys=True) for one in findings.values())


def test_security_hub_has_what_the_format_says_and_once(world: World, hole: str) -> None:
    expected = written(world, "--region", REGION)
    assert any("10250" in found["Title"] for found in expected.values()), expected
    for _ in range(2):
        done = run(world, *IMPORT, "--region", REGION)
        assert done.returncode == FINDINGS, done.stderr
        assert done.stdout == f"{REGION}: {len(expected)} findings imported into Security Hub of {ACCOUNT}\n"
        assert but_for_time(known(world)) == but_for_time(expected)


def test_each_region_gets_its_own(world: World, hole: str) -> None:
    far = Location(world.emulator, ACCOUNT, FAR)
    far.ec2.authorize_security_group_ingress(GroupId=far.group, IpPermissions=[allow("tcp", 10250, WORLD)])
    run(world, *IMPORT, "--region", f"{REGION},{FAR}")
    for region in (REGION, FAR):
        assert {found["Region"] for found in known(world, region).values()} == {region}


def test_saved_answers_are_imported_too_and_only_into_their_account(world: World, tmp_path: Path) -> None:
    theirs = Path(__file__).parents[1] / "audit/saved"
    done = run(world, *IMPORT, "--from", str(theirs), AWS_REGION=REGION)
    assert done.returncode == COULD_NOT_RUN
    assert f"the findings are of account {SAVED}, and these credentials are of {ACCOUNT}" in done.stderr
    assert {request.name for request in world.emulator.requests} == {"sts:GetCallerIdentity"}, "nothing was sent"
    for path in theirs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes().replace(SAVED.encode(), ACCOUNT.encode()))
    done = run(world, *IMPORT, "--from", str(tmp_path), AWS_REGION=REGION)
    assert (done.returncode, "imported into Security Hub" in done.stdout) == (FINDINGS, True), done.stderr
    assert known(world, done.stdout.split(":")[0]), done.stdout


def test_its_permissions_say_what_it_takes(world: World, hole: str) -> None:
    printed = json.loads(run(world, "audit", "--permissions", "--import").stdout)
    allowed = {action for statement in printed["Statement"] for action in statement["Action"]}
    assert "securityhub:BatchImportFindings" in allowed
    world.emulator.granted = frozenset(allowed)
    assert run(world, *IMPORT, "--region", REGION).returncode == FINDINGS
    world.emulator.granted = frozenset(allowed) - {"securityhub:BatchImportFindings"}
    done = run(world, *IMPORT, "--region", REGION)
    assert done.returncode == COULD_NOT_RUN
    assert "not allowed to call `securityhub:BatchImportFindings`" in done.stdout, done.stdout


def test_where_it_is_not_enabled_the_command_is_named(world: World, hole: str) -> None:
    world.emulator.on("BatchImportFindings", error="InvalidAccessException", status=401)
    done = run(world, *IMPORT, "--region", REGION)
    assert done.returncode == COULD_NOT_RUN
    assert f"`aws securityhub enable-security-hub --region {REGION}`" in done.stdout, done.stdout
    assert not known(world)


def test_a_throttled_call_is_tried_again(world: World, hole: str) -> None:
    world.emulator.on("BatchImportFindings", error="TooManyRequestsException", status=429, times=2)
    done = run(world, *IMPORT, "--region", REGION)
    assert done.returncode == FINDINGS, done.stdout
    assert len(known(world)) == len(written(world, "--region", REGION))


def test_it_is_for_one_format(world: World) -> None:
    done = run(world, "audit", "--import", "--region", REGION)
    assert (done.returncode, "add `--format asff`" in done.stderr) == (COULD_NOT_RUN, True)
    assert not world.emulator.requests
