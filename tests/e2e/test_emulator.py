"""The emulated AWS behaves as AWS does where it matters here: every patch, and the harness's own instruments."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import HTTPClientError

from asking import by_group, refusal
from emulator import GUARD_KEY, REGION, Emulator
from recorded import Request, waves
from world import EKS_ACCOUNT, OFFICE, WORLD, WORLD_V6, World, allow


# --- rules ---


def test_revoking_an_unknown_rule_id_is_refused_with_the_real_code_and_revokes_nothing(world, aws):
    known = world.open(world.node_group, allow("tcp", 10250, WORLD))
    ids = [*known, "sgr-0123456789abcdef0"]
    code = refusal(aws.ec2.revoke_security_group_ingress, GroupId=world.node_group, SecurityGroupRuleIds=ids)
    assert code == "InvalidSecurityGroupRuleId.NotFound"
    assert known[0] in world.rules()


def test_revoking_permissions_is_all_or_nothing_outside_the_default_vpc(world, aws):
    known = world.open(world.node_group, allow("tcp", 10250, WORLD))
    permissions = [allow("tcp", 10250, WORLD), allow("tcp", 9, WORLD)]
    code = refusal(aws.ec2.revoke_security_group_ingress, GroupId=world.node_group, IpPermissions=permissions)
    assert code == "InvalidPermission.NotFound"
    assert known[0] in world.rules()


def test_revoking_what_is_not_there_succeeds_in_the_default_vpc_and_says_so(world, aws):
    group = aws.ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    answer = aws.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[allow("tcp", 9, WORLD)])
    assert answer["Return"]
    assert answer["UnknownIpPermissions"][0]["FromPort"] == 9
    assert not answer["RevokedSecurityGroupRules"]


def test_revoke_answers_what_it_revoked(world, aws):
    ids = world.open(world.node_group, allow("tcp", 10250, WORLD, world.bastion_group, text="why"))
    answer = aws.ec2.revoke_security_group_ingress(GroupId=world.node_group, SecurityGroupRuleIds=ids)
    cidr, group = answer["RevokedSecurityGroupRules"]
    assert (cidr["SecurityGroupRuleId"], cidr["CidrIpv4"], cidr["Description"]) == (ids[0], WORLD, "why")
    assert group["ReferencedGroupId"] == world.bastion_group


def test_revoking_egress_removes_ipv6_also_where_the_vpc_has_none(world, aws):
    (rule,) = world.open(world.team_group, allow("-1", None, WORLD_V6), egress=True)
    aws.ec2.revoke_security_group_egress(GroupId=world.team_group, IpPermissions=[allow("-1", None, WORLD_V6)])
    assert rule not in world.rules()


def test_authorize_answers_the_rules_of_every_permission(world, aws):
    permissions = [allow("tcp", 1, WORLD, "10.0.0.0/8"), allow("udp", 2, WORLD_V6)]
    answer = aws.ec2.authorize_security_group_ingress(GroupId=world.node_group, IpPermissions=permissions)
    assert [rule["IpProtocol"] for rule in answer["SecurityGroupRules"]] == ["tcp", "tcp", "udp"]
    assert {rule["SecurityGroupRuleId"] for rule in answer["SecurityGroupRules"]} <= world.rules().keys()


def test_authorize_adds_nothing_when_one_rule_exists_already(world, aws):
    before = world.rules()
    permissions = [allow("tcp", 1, WORLD), allow("-1", None, world.cluster_group)]
    code = refusal(aws.ec2.authorize_security_group_ingress, GroupId=world.node_group, IpPermissions=permissions)
    assert code == "InvalidPermission.Duplicate"
    assert world.rules() == before


def test_addresses_are_kept_in_canonical_form(world):
    peers = ("10.1.2.3/8", "1.2.3.4/0", "2001:DB8::1/32")
    v4, everything, v6 = (world.rules()[rule] for rule in world.open(world.node_group, allow("tcp", 1, *peers)))
    assert (v4["CidrIpv4"], everything["CidrIpv4"], v6["CidrIpv6"]) == ("10.0.0.0/8", WORLD, "2001:db8::/32")


@pytest.mark.parametrize(
    ("typed", "ports", "kept"), [("6", 1, "tcp"), ("17", 1, "udp"), ("1", 3, "icmp"), ("58", 2, "icmpv6"), ("TCP", 1, "tcp")]
)
def test_protocols_with_a_name_come_back_by_name(world, typed, ports, kept):
    (rule,) = world.open(world.node_group, allow(typed, ports, WORLD))
    assert world.rules()[rule]["IpProtocol"] == kept


@pytest.mark.parametrize("protocol", ["-1", "50"])
def test_protocols_without_ports_show_minus_one(world, protocol):
    (rule,) = world.open(world.node_group, allow(protocol, (0, 65535), "192.0.2.0/24"))
    shown = world.rules()[rule]
    assert (shown["IpProtocol"], shown["FromPort"], shown["ToPort"]) == (protocol, -1, -1)


def test_rules_from_groups_and_prefix_lists_keep_their_description(world, aws):
    made = world.open(world.node_group, allow("tcp", 1, world.bastion_group, world.everyone, text="why"))
    assert [world.rules()[rule]["Description"] for rule in made] == ["why", "why"]
    group = aws.ec2.describe_security_groups(GroupIds=[world.node_group])["SecurityGroups"][0]
    permission = next(each for each in group["IpPermissions"] if each.get("FromPort") == 1)
    assert permission["UserIdGroupPairs"][0]["Description"] == permission["PrefixListIds"][0]["Description"] == "why"


def test_a_group_name_is_looked_up_in_the_default_vpc_only(world, aws):
    short = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "CidrIp": WORLD}
    assert refusal(aws.ec2.authorize_security_group_ingress, GroupName="prod-node", **short) == "InvalidGroup.NotFound"
    assert aws.ec2.authorize_security_group_ingress(GroupName="default", **short)["SecurityGroupRules"]


@pytest.mark.parametrize(
    ("peer", "body", "shown"),
    [
        ("10.0.0.0/8", {"CidrIpv4": "1.2.3.4/0"}, {"CidrIpv4": WORLD}),
        ("fd00::/8", {"CidrIpv6": WORLD_V6}, {"CidrIpv6": WORLD_V6}),
        (
            "self",
            {"ReferencedGroupId": "bastion"},
            {"ReferencedGroupInfo": {"GroupId": "bastion", "UserId": "123456789012"}},
        ),
    ],
)
def test_modify_replaces_the_whole_rule_under_the_same_id(world, aws, peer, body, shown):
    names = {"self": world.pod_group, "bastion": world.bastion_group}
    (rule,) = world.open(world.pod_group, allow("tcp", 443, names.get(peer, peer), text="old"))
    update = {
        "IpProtocol": "6",
        "FromPort": 10250,
        "ToPort": 10250,
        **{key: names.get(value, value) for key, value in body.items()},
    }
    aws.ec2.modify_security_group_rules(
        GroupId=world.pod_group, SecurityGroupRules=[{"SecurityGroupRuleId": rule, "SecurityGroupRule": update}]
    )
    after = world.rules()[rule]
    assert (after["IpProtocol"], after["FromPort"], after["ToPort"]) == ("tcp", 10250, 10250)
    assert "Description" not in after
    for key, value in shown.items():
        assert after[key] == (value | {"GroupId": world.bastion_group} if isinstance(value, dict) else value)


def test_modify_cannot_change_the_kind_of_source_nor_an_unknown_rule(world, aws):
    (rule,) = world.open(world.pod_group, allow("tcp", 443, "10.0.0.0/8"))
    body = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "CidrIpv6": WORLD_V6}
    for rule_id, code in ((rule, "InvalidParameterValue"), ("sgr-0123456789abcdef0", "InvalidSecurityGroupRuleId.NotFound")):
        updates = [{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": body}]
        assert refusal(aws.ec2.modify_security_group_rules, GroupId=world.pod_group, SecurityGroupRules=updates) == code


def test_modify_changes_all_of_the_rules_or_none(world, aws):
    one, other, _ = world.open(world.pod_group, *(allow("tcp", port, "10.0.0.0/8") for port in (1, 2, 3)))
    aws.ec2.create_tags(Resources=[one], Tags=[{"Key": "team", "Value": "web"}])
    before = world.rules(world.pod_group)

    def refused(*updates: tuple[str, dict[str, Any]]) -> str:
        listed = [{"SecurityGroupRuleId": rule, "SecurityGroupRule": body} for rule, body in updates]
        code = refusal(aws.ec2.modify_security_group_rules, GroupId=world.pod_group, SecurityGroupRules=listed)
        assert world.rules(world.pod_group) == before
        return code

    fine, taken, fresh = ({"IpProtocol": "tcp", "FromPort": p, "ToPort": p, "CidrIpv4": "10.0.0.0/8"} for p in (9, 3, 9))
    assert refused((one, fine), (other, taken)) == "InvalidPermission.Duplicate"
    assert refused((one, fine), (other, fresh)) == "InvalidPermission.Duplicate", "they would be the same rule"
    assert refused((one, fine), (one, taken)) == "InvalidParameterValue"
    assert refused() in {"InvalidParameterValue", "MissingParameter"}
    update = {"SecurityGroupRuleId": one, "SecurityGroupRule": fine}
    aws.ec2.modify_security_group_rules(GroupId=world.pod_group, SecurityGroupRules=[update])
    after = world.rules(world.pod_group)
    assert after.keys() == before.keys()
    assert after[one] == before[one] | {"FromPort": 9, "ToPort": 9}, "the tags stay"


def test_modify_needs_a_list_or_group_that_is_there(world, aws):
    (by_list, by_group) = world.open(world.pod_group, allow("tcp", 1, world.everyone), allow("tcp", 1, world.bastion_group))
    for rule, kind, name, code in (
        (by_list, "PrefixListId", "pl-0123456789abcdef0", "InvalidPrefixListID.NotFound"),
        (by_group, "ReferencedGroupId", "sg-0123456789abcdef0", "InvalidGroup.NotFound"),
    ):
        body = {"IpProtocol": "tcp", "FromPort": 2, "ToPort": 2, kind: name}
        updates = [{"SecurityGroupRuleId": rule, "SecurityGroupRule": body}]
        assert refusal(aws.ec2.modify_security_group_rules, GroupId=world.pod_group, SecurityGroupRules=updates) == code


# --- clusters and interfaces ---


def test_a_cluster_knows_its_group_and_its_vpc(world, aws):
    settings = aws.eks.describe_cluster(name="prod")["cluster"]["resourcesVpcConfig"]
    assert (settings["vpcId"], settings["clusterSecurityGroupId"]) == (world.vpc, world.cluster_group)
    assert settings["publicAccessCidrs"] == [WORLD]
    group = aws.ec2.describe_security_groups(GroupIds=[world.cluster_group])["SecurityGroups"][0]
    tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
    assert tags["aws:eks:cluster-name"] == "prod"
    assert tags["Name"] == group["GroupName"]
    assert group["GroupName"].startswith("eks-cluster-sg-prod-")
    own = [
        rule
        for rule in world.rules(world.cluster_group).values()
        if rule.get("ReferencedGroupInfo", {}).get("GroupId") == world.cluster_group
    ]
    assert [rule["IpProtocol"] for rule in own] == ["-1"]


def test_a_node_group_has_its_launch_template_and_no_invented_remote_access(world, aws):
    nodes = aws.eks.describe_nodegroup(
        clusterName="prod", nodegroupName=aws.eks.list_nodegroups(clusterName="prod")["nodegroups"][0]
    )
    template = nodes["nodegroup"]["launchTemplate"]
    versions = aws.ec2.describe_launch_template_versions(LaunchTemplateId=template["id"], Versions=[template["version"]])
    assert versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]["SecurityGroupIds"] == [world.node_group]
    assert "remoteAccessSecurityGroup" not in nodes["nodegroup"]["resources"]


def test_interfaces_of_services_say_whose_they_are(world, aws):
    world.load_balancer(world.ingress_group, network=True)

    def interfaces(group: str) -> list[dict]:
        return aws.ec2.describe_network_interfaces(**by_group(group))["NetworkInterfaces"]

    for control_plane in interfaces(world.cluster_group):
        assert control_plane["Description"] == "Amazon EKS prod"
        assert control_plane["Attachment"]["InstanceOwnerId"] == EKS_ACCOUNT
        assert "InstanceId" not in control_plane["Attachment"]
    application, network = interfaces(world.ingress_group)
    assert (application["RequesterId"], application["RequesterManaged"]) == ("amazon-elb", True)
    assert application["Attachment"]["InstanceOwnerId"] == "amazon-elb"
    assert network["InterfaceType"] == "network_load_balancer"
    nodes = interfaces(world.node_group)
    assert sorted(each["Attachment"]["InstanceId"] for each in nodes) == sorted(world.node_instances)


@pytest.mark.parametrize("name", ["instance.group-id", "network-interface.group-id"])
def test_instances_are_found_by_the_group_they_wear(world, aws, name):
    found = aws.ec2.describe_instances(Filters=[{"Name": name, "Values": [world.node_group]}])["Reservations"]
    instances = [instance for reservation in found for instance in reservation["Instances"]]
    assert sorted(instance["InstanceId"] for instance in instances) == sorted(world.node_instances)
    assert {"Key": "aws:eks:cluster-name", "Value": "prod"} in instances[0]["Tags"]


# --- topics ---


@pytest.mark.parametrize("subject", ["x" * 100, "two\nlines", "bell\x07", ""])
def test_a_subject_that_sns_would_refuse_is_refused(world, aws, subject):
    assert refusal(aws.sns.publish, TopicArn=world.people_topic, Message="m", Subject=subject) == "InvalidParameter"


def test_published_messages_can_be_read_with_subject_and_attributes(world, aws):
    attributes = {"severity": {"DataType": "String", "StringValue": "high"}}
    aws.sns.publish(TopicArn=world.people_topic, Message="m", Subject="x" * 99, MessageAttributes=attributes)
    (notice,) = world.notices()
    assert (notice.text, notice.subject, notice.attributes) == ("m", "x" * 99, {"severity": "high"})


# --- DynamoDB ---


def test_a_write_on_a_condition_that_does_not_hold_changes_nothing(world, aws):
    table = world.state_table()
    guard = aws.client("dynamodb", GUARD_KEY)

    def put(version: int, read: int | None = None) -> None:
        values = {":read": {"N": str(read)}}
        expected = (
            {"ConditionExpression": "#version = :read", "ExpressionAttributeValues": values}
            if read
            else {"ConditionExpression": "attribute_not_exists(#version)"}
        )
        item = {"pk": {"S": "finding#1"}, "version": {"N": str(version)}, "expires": {"N": "1"}}
        guard.put_item(TableName=table, Item=item, ExpressionAttributeNames={"#version": "version"}, **expected)

    put(1)
    assert refusal(put, version=2) == "ConditionalCheckFailedException"
    assert refusal(put, version=3, read=2) == "ConditionalCheckFailedException"
    put(2, read=1)
    keys = [{"pk": {"S": name}} for name in ("finding#1", "finding#2")]
    answer = guard.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    assert [item["version"] for item in answer["Responses"][table]] == [{"N": "2"}]
    assert world.table_items(table) == answer["Responses"][table], "its time is over, but nobody has deleted it yet"
    assert {each.action for each in aws.requests} == {"PutItem", "BatchGetItem"} and not aws.mutations


def test_what_dynamodb_refuses_is_refused(world, aws):
    table = world.state_table()
    guard = aws.client("dynamodb", GUARD_KEY)
    keys = [{"pk": {"S": str(n)}} for n in range(101)]
    assert refusal(guard.batch_get_item, RequestItems={table: {"Keys": keys}}) == "ValidationException"
    twice = {"Keys": keys[:1] * 2}
    assert refusal(guard.batch_get_item, RequestItems={table: twice}) == "ValidationException"
    nowhere = {"nowhere": {"Keys": keys[:1]}}
    assert refusal(guard.batch_get_item, RequestItems=nowhere) == "ResourceNotFoundException"
    aws.on("BatchGetItem", error="ThrottlingException", times=1)
    assert refusal(guard.batch_get_item, RequestItems={table: {"Keys": keys[:1]}}) == "ThrottlingException"


# --- instruments ---


def test_only_the_guards_requests_are_recorded_with_their_parameters(world: World, aws: Emulator):
    world.rules()
    guard = aws.client("ec2", GUARD_KEY)
    guard.describe_security_group_rules(**by_group(world.node_group))
    guard.revoke_security_group_ingress(
        GroupId=world.node_group, SecurityGroupRuleIds=world.open(world.node_group, allow("tcp", 1, WORLD))
    )
    look, change = aws.requests
    assert (look.service, look.action, look.mutating) == ("ec2", "DescribeSecurityGroupRules", False)
    assert look.params == by_group(world.node_group)
    changed = (change.action, change.params["GroupId"], change.mutating)
    assert changed == ("RevokeSecurityGroupIngress", world.node_group, True)
    assert look.start < look.end < change.start < change.end
    assert aws.mutations == [change]


def test_disturbances_happen_as_often_and_where_they_were_asked_for(world, aws):
    guard = aws.client("ec2", GUARD_KEY)
    aws.on("DescribeVpcs", error="RequestLimitExceeded", status=503, times=2)
    assert [refusal(guard.describe_vpcs) for _ in range(2)] == ["RequestLimitExceeded"] * 2
    assert guard.describe_vpcs()["Vpcs"]
    ran = []
    aws.on(
        "DescribeVpcs",
        when=lambda params: params.get("VpcIds") == [world.vpc],
        error="UnauthorizedOperation",
        before=lambda: ran.append(1),
    )
    assert guard.describe_vpcs()["Vpcs"]
    assert refusal(guard.describe_vpcs, VpcIds=[world.vpc]) == "UnauthorizedOperation"
    assert ran == [1]
    aws.on("DescribeInstances", drop=True)
    with pytest.raises(HTTPClientError):
        guard.describe_instances()
    aws.on("ListClusters", error="ServerException", status=500)
    assert refusal(aws.client("eks", GUARD_KEY).list_clusters) == "ServerException"
    aws.calm()
    assert guard.describe_instances()["Reservations"]


def test_a_revoked_rule_can_linger_and_a_new_one_can_hide(world, aws):
    guard = aws.client("ec2", GUARD_KEY)
    rule, other = world.open(world.node_group, allow("tcp", 1, WORLD, OFFICE))

    def listed() -> set[str]:
        rules = guard.describe_security_group_rules(**by_group(world.node_group))["SecurityGroupRules"]
        return {each["SecurityGroupRuleId"] for each in rules} & {rule, other}

    aws.hide(rule, reads=1)
    assert [listed(), listed()] == [{other}, {rule, other}]
    aws.linger(rule, reads=2)
    assert listed() == {rule, other}
    guard.revoke_security_group_ingress(GroupId=world.node_group, SecurityGroupRuleIds=[rule])
    assert [listed(), listed(), listed()] == [{rule, other}, {rule, other}, {other}]
    assert rule not in world.rules()  # the test itself sees the truth


def test_requests_at_the_same_time_are_one_wave(world, aws):
    aws.latency = 0.05
    clients = [aws.client("ec2", GUARD_KEY) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda client: client.describe_vpcs(), clients))
    clients[0].describe_instances()
    assert [len(wave) for wave in waves(aws.requests)] == [3, 1]


def test_waves_count_the_longest_chain_of_round_trips():
    long, first, second = Request("ec2", "a", {}, 0, 9), Request("ec2", "b", {}, 0, 1), Request("ec2", "c", {}, 2, 3)
    assert waves([long, first, second]) == [[long, first], [second]]


def test_a_world_is_seeded_quickly(world, aws):
    began = time.monotonic()
    World.seed(aws)
    assert time.monotonic() - began < 5
    assert aws.ec2.meta.region_name == REGION
