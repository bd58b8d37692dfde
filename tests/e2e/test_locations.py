"""One function, several locations: each event is handled where it happened, through the role there."""

import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from checks import closes, leaves
from emulator import ACCOUNT, HARNESS_KEY, REGION, Emulator
from events import Somebody, moved, rule_ids
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
MEMBER = "444455556666"
FAR = "eu-west-1"
ROLE = "eks-sg-guard-member"
LOCATIONS = {"GUARD_ACCOUNTS": f"{ACCOUNT},{MEMBER}", "GUARD_REGIONS": f"{REGION},{FAR}", "GUARD_ROLE_NAME": ROLE}


class Location:
    """A cluster in another account or region, and the hands of somebody there."""

    def __init__(self, aws: Emulator, account: str, region: str) -> None:
        self.account, self.region = account, region
        keys = {"aws_access_key_id": HARNESS_KEY, "aws_secret_access_key": "emulated"}
        if account != ACCOUNT:
            sts = boto3.client("sts", region_name=REGION, endpoint_url=aws.url, **keys)
            made = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/seed", RoleSessionName="seed")["Credentials"]
            keys = {
                "aws_access_key_id": made["AccessKeyId"],
                "aws_secret_access_key": made["SecretAccessKey"],
                "aws_session_token": made["SessionToken"],
            }
        self.ec2, eks = (boto3.client(name, region_name=region, endpoint_url=aws.url, **keys) for name in ("ec2", "eks"))
        vpc = self.ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        blocks = (("10.7.1.0/24", "a"), ("10.7.2.0/24", "b"))
        subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=region + zone)["Subnet"]["SubnetId"]
            for block, zone in blocks
        ]
        role = f"arn:aws:iam::{account}:role/cluster"
        cluster = eks.create_cluster(name="far", roleArn=role, resourcesVpcConfig={"subnetIds": subnets})["cluster"]
        self.group = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]

    def opens(self) -> dict[str, Any]:
        """Somebody opens the kubelet there."""
        return moved(Somebody(SimpleNamespace(ec2=self.ec2)).authorizes(self.group, KUBELET), self.account, self.region)

    def has(self, event: dict[str, Any]) -> bool:
        """Whether the rule of the event is there."""
        filters = [{"Name": "group-id", "Values": [self.group]}]
        rules = self.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        return set(rule_ids(event)) <= {rule["SecurityGroupRuleId"] for rule in rules}


@pytest.fixture
def everywhere(guard):
    """A guard of all four locations."""
    function = guard(**LOCATIONS)
    function.locations = {(account, region) for account in (ACCOUNT, MEMBER) for region in (REGION, FAR)}
    return function


@pytest.mark.parametrize(("account", "region"), [(MEMBER, REGION), (MEMBER, FAR), (ACCOUNT, FAR)])
def test_a_rule_is_closed_where_it_was_opened_and_nowhere_else(world, aws, somebody, everywhere, account, region):
    there, other = Location(aws, account, region), Location(aws, MEMBER, "us-west-2")
    event, untouched = there.opens(), other.opens()
    at_home = somebody.authorizes(world.node_group, KUBELET)
    answer = everywhere.invoke(event)
    assert not answer.failed, answer.error_message
    assert not there.has(event)
    assert other.has(untouched)
    assert set(rule_ids(at_home)) <= world.rules(world.node_group).keys(), "it was another event"
    (record,) = answer.response["records"]
    assert (record["account"], record["region"], record["outcome"]) == (account, region, "remediated")
    (assumed,) = aws.asked("AssumeRole")
    assert assumed.params["RoleArn"] in (f"arn:aws:iam::{account}:role/{ROLE}", [f"arn:aws:iam::{account}:role/{ROLE}"])
    assert world.notices()[0].attributes["account"] == account
    closes(everywhere, at_home, rule_ids(at_home))


@pytest.mark.parametrize(("given", "expected"), [("", f"eks-sg-guard:{ACCOUNT}:{ROLE}"), ("ours/7", "ours/7")])
def test_the_role_is_assumed_with_the_external_id_that_it_asks_for(world, aws, guard, given, expected):
    function = guard(**LOCATIONS, GUARD_EXTERNAL_ID=given)
    function.locations = {(MEMBER, FAR)}
    assert not function.invoke(Location(aws, MEMBER, FAR).opens()).failed
    (assumed,) = aws.asked("AssumeRole")
    assert assumed.params["ExternalId"] in (expected, [expected])


def test_a_location_that_is_not_named_is_ignored(world, aws, everywhere):
    event = Location(aws, MEMBER, "us-west-2").opens()
    answer = everywhere.invoke(event)
    assert "this function guards" in answer.response["ignored"]
    assert not aws.requests


def test_a_role_that_cannot_be_assumed_is_one_notice_and_stops_nobody_else(world, aws, somebody, everywhere):
    there = Location(aws, MEMBER, FAR)
    aws.on("AssumeRole", error="AccessDenied", status=403)
    event = there.opens()
    for _ in range(2):
        answer = everywhere.invoke(event)
        assert answer.failed
        assert "sts:AssumeRole" in answer.error_message
    assert there.has(event)
    (notice,) = world.notices()
    assert notice.subject == f"[CRITICAL] BLIND {MEMBER} {FAR}: the guard is not allowed to look"
    assert "sts:AssumeRole" in notice.text
    assert notice.attributes["outcome"] == "failed"
    at_home = somebody.authorizes(world.node_group, KUBELET)
    closes(everywhere, at_home, rule_ids(at_home))


def test_a_sweep_looks_everywhere_whatever_fails_in_one_location(world, aws, everywhere):
    there, here = Location(aws, MEMBER, FAR), Location(aws, ACCOUNT, FAR)
    there.opens()
    here.opens()
    aws.on("AssumeRole", when=lambda params: MEMBER in str(params), error="AccessDenied", status=403)
    answer = everywhere.invoke({"sweep": True})
    assert answer.failed
    assert f"account `{MEMBER}`, region `{FAR}`" in answer.error_message
    swept = {(record["account"], record["region"]) for record in answer.logged_records if record["group"]}
    assert swept == {(ACCOUNT, REGION), (ACCOUNT, FAR)}


def test_people_are_notified_too_of_what_may_not_be_read_at_home(world, aws, somebody, guard):
    aws.on("DescribeSecurityGroups", error="UnauthorizedOperation", status=403)
    event = somebody.authorizes(world.node_group, KUBELET)
    answer = guard().invoke(event)
    assert answer.failed
    subject = f"[CRITICAL] BLIND {ACCOUNT} {REGION}: the guard is not allowed to look"
    assert [each.subject for each in world.notices()] == [subject]
    (record,) = answer.logged_records
    (finding,) = record["findings"]
    assert (record["group"], record["clusters"], record["outcome"]) == (None, [], "failed")
    assert (finding["kind"], finding["check"], finding["severity"]) == ("account", "read-denied", "critical")
    assert "ec2:DescribeSecurityGroups" in finding["detail"]
    assert [json.loads(each.text) for each in world.published_records()] == [record]


def test_its_own_account_counts_only_if_it_is_named(world, somebody, guard):
    event = somebody.authorizes(world.node_group, KUBELET)
    answer = leaves(guard(GUARD_ACCOUNTS=MEMBER), event)
    assert "this function guards" in answer.response["ignored"], "its own account is not named"


# ---------------------------------------------------------------- every account of the organization


@pytest.fixture
def every(service):
    """A guard that takes every account, with table and work queue."""
    function = service(GUARD_ACCOUNTS="*", GUARD_ROLE_NAME=ROLE)
    make = function.make

    def made():
        program = make()
        program.locations = {(account, REGION) for account in (ACCOUNT, MEMBER)}
        return program

    function.make = made
    return function


def schedule(account: str, region: str = REGION) -> dict[str, Any]:
    rule = f"arn:aws:events:{region}:{account}:rule/any"
    event = {"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
    return event | {"account": account, "region": region, "time": "2026-11-23T02:59:58Z", "resources": [rule]}


def registered(state) -> list[str]:
    return sorted(name for item in state.items("registered") for name in json.loads(item["state"]["S"]))


def test_an_account_that_nobody_named_is_guarded_where_its_role_can_be_assumed(world, aws, every):
    there = Location(aws, MEMBER, REGION)
    event = there.opens()
    assert not every.delivers(event)[0].failed
    assert not there.has(event)
    assert registered(every.state) == [f"{MEMBER} {REGION}"]
    assert world.notices()[-1].attributes["account"] == MEMBER


def test_an_account_without_the_role_is_ignored_and_not_registered(world, aws, every):
    there = Location(aws, MEMBER, REGION)
    aws.on("AssumeRole", error="AccessDenied", status=403)
    event = there.opens()
    (answer,) = every.delivers(event)
    assert "role can be assumed" in answer.response["ignored"]
    assert there.has(event)
    assert not registered(every.state) and not world.notices()


def test_a_quiet_account_that_says_it_is_there_is_swept(world, aws, every):
    there = Location(aws, MEMBER, REGION)
    event = there.opens()
    every.delivers(schedule(MEMBER))
    assert registered(every.state) == [f"{MEMBER} {REGION}"]
    assert not [answer.error_message for answer in every.works() if answer.failed]
    assert there.has(event), "it was there at the first look"
    assert {notice.attributes["account"] for notice in world.notices()} == {MEMBER}
