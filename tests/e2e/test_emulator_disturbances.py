"""What goes wrong on demand: slow calls and pages, rate limits, unreadable rules; and how calls are counted."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import disturbances
from asking import by_group, refused
from disturbances import TokenBucket
from emulator import GUARD_KEY, REGION
from recorded import Request, before_revoke, call_table, calls, calls_before_revoke
from world import OFFICE, WORLD, World, allow


@pytest.fixture
def guard_ec2(world, aws):
    return aws.client("ec2", GUARD_KEY)


@pytest.fixture
def guard_eks(world, aws):
    return aws.client("eks", GUARD_KEY)


def seconds(call, **arguments) -> float:
    began = time.monotonic()
    call(**arguments)
    return time.monotonic() - began


# --- slow ---


def test_one_action_can_be_slow_for_the_guard(world, aws, guard_ec2):
    aws.slow("DescribeVpcs", 0.4)
    assert seconds(guard_ec2.describe_vpcs) >= 0.4
    assert [request.end - request.start >= 0.4 for request in aws.requests] == [True]
    assert seconds(aws.ec2.describe_vpcs) < 0.4, "the test's hands are not slowed"
    aws.forget()
    guard_ec2.describe_instances()
    assert aws.requests[0].end - aws.requests[0].start < 0.4
    aws.calm()
    assert seconds(guard_ec2.describe_vpcs) < 0.4


def test_pages_can_be_slow_one_by_one(world, aws, guard_ec2):
    world.open(world.node_group, *[allow("tcp", port, OFFICE) for port in range(1, 18)])
    aws.slow("DescribeSecurityGroupRules", 0, 0.5, 0.2)
    aws.page_size = 5
    pages = list(guard_ec2.get_paginator("describe_security_group_rules").paginate(**by_group(world.node_group)))
    assert len(pages) == 5
    assert [request.page for request in aws.requests] == [1, 2, 3, 4, 5]
    took = [request.end - request.start for request in aws.requests]
    assert took[1] >= 0.5 and min(took[2:]) >= 0.2 and took[0] < took[1]


def test_what_waits_is_over_with_the_account(world, aws, guard_ec2):
    aws.slow("DescribeVpcs", 60)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(guard_ec2.describe_vpcs)
        while not aws.requests:
            time.sleep(0.01)
        World.seed(aws)
        assert waiting.exception(timeout=10), "the connection is gone"
    assert not aws.requests


# --- too much ---


def test_an_action_of_ec2_has_a_bucket_of_tokens(world, aws, guard_ec2):
    aws.limit("DescribeVpcs", capacity=3, refill=0.001)
    for _ in range(3):
        guard_ec2.describe_vpcs()
    assert refused(guard_ec2.describe_vpcs) == ("RequestLimitExceeded", 503)
    assert guard_ec2.describe_instances() and aws.ec2.describe_vpcs(), "another action, another caller"
    assert [request.error for request in aws.asked("DescribeVpcs")] == [None, None, None, "RequestLimitExceeded"]


def test_a_bucket_fills_again_up_to_its_capacity(monkeypatch):
    now = 100.0
    monkeypatch.setattr(disturbances.time, "monotonic", lambda: now)
    bucket, request = TokenBucket(("eks",), capacity=2, refill=4), Request("eks", "ListClusters", {}, 0)
    taken = [bucket.refusal(request) for _ in range(3)]
    assert taken == [None, None, ("ThrottlingException", 429)]
    now += 0.25
    assert [bucket.refusal(request) for _ in range(2)] == [None, ("ThrottlingException", 429)]
    now += 60
    assert [bucket.refusal(request) is None for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("error", ["ThrottlingException", "TooManyRequestsException"])
def test_the_reads_of_eks_share_a_bucket(world, aws, guard_ec2, guard_eks, error):
    aws.limit("eks", capacity=2, refill=0.01, error=error)
    guard_eks.list_clusters()
    guard_eks.describe_cluster(name="prod")
    assert refused(guard_eks.list_nodegroups, clusterName="prod") == (error, 429)
    assert guard_ec2.describe_vpcs()


def test_every_second_read_can_be_throttled(world, aws, guard_ec2, guard_eks):
    (rule,) = world.open(world.node_group, allow("tcp", 1, WORLD))
    aws.throttle_reads()
    assert refused(guard_ec2.describe_vpcs) == ("RequestLimitExceeded", 503)
    assert refused(guard_eks.list_clusters) == ("ThrottlingException", 429)
    assert guard_ec2.describe_vpcs() and guard_eks.list_clusters()
    assert refused(guard_ec2.describe_vpcs) == ("RequestLimitExceeded", 503)
    guard_ec2.revoke_security_group_ingress(GroupId=world.node_group, SecurityGroupRuleIds=[rule])
    aws.client("sns", GUARD_KEY).list_topics()


# --- unreadable ---


def test_a_rule_can_come_unreadable(world, aws, guard_ec2):
    rule, other, third = world.open(world.node_group, allow("tcp", 1, WORLD, OFFICE, "10.0.0.0/8"))
    truth = world.rules()
    aws.garble(rule, ip_protocol="carp?", from_port=None)
    aws.garble(other, cidr_ipv4="10.0.0.0/99")
    aws.garble(third, cidr_ipv4=None)
    listed = guard_ec2.describe_security_group_rules(**by_group(world.node_group))["SecurityGroupRules"]
    shown = {each["SecurityGroupRuleId"]: each for each in listed}
    assert shown[rule]["IpProtocol"] == "carp?" and "FromPort" not in shown[rule] and shown[rule]["CidrIpv4"] == WORLD
    assert shown[other]["CidrIpv4"] == "10.0.0.0/99"
    assert not {"CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupInfo"} & shown[third].keys()
    assert world.rules() == truth, "the test itself sees the truth"


# --- counted ---


def test_calls_before_the_first_revoke_are_counted_by_their_first_pages(world, aws, guard_ec2, guard_eks):
    aws.page_size = 2
    (rule,) = world.open(world.node_group, allow("tcp", 1, WORLD))
    list(guard_ec2.get_paginator("describe_network_interfaces").paginate())
    guard_eks.list_clusters()
    aws.client("sns", GUARD_KEY).list_topics()
    guard_ec2.revoke_security_group_ingress(GroupId=world.node_group, SecurityGroupRuleIds=[rule])
    guard_ec2.describe_vpcs()
    counted = calls_before_revoke(aws.requests)
    assert counted == {"ec2:DescribeNetworkInterfaces": 1, "eks:ListClusters": 1}
    assert calls_before_revoke(aws.requests, all_pages=True)["ec2:DescribeNetworkInterfaces"] > 2
    assert before_revoke(aws.requests)[-1].action == "ListClusters"
    assert calls(aws.requests)["ec2:DescribeVpcs"] == 1
    assert aws.ec2.meta.region_name == REGION


def test_counts_are_shown_side_by_side():
    requests = [Request("ec2", "A", {}, 0, 1), Request("eks", "B", {}, 0, 1), Request("ec2", "A", {}, 1, 2)]
    table = call_table({"cold": calls(requests), "warm": calls(requests[:1])})
    assert table.splitlines() == [
        "| call | cold | warm |",
        "| --- | ---: | ---: |",
        "| ec2:A | 2 | 1 |",
        "| eks:B | 1 |  |",
        "| all | 3 | 1 |",
    ]
