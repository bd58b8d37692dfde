"""The emulated account with thousands of interfaces, instances and clusters: seeded and read in the time a test has.

The times are processor time of this process, server and client together; they are several times what is measured on a quiet
machine (docstrings say how much that was), so that a busy one does not fail.
"""

import time
from contextlib import contextmanager

import crowds
from asking import by, by_group


@contextmanager
def within(seconds: float):
    began = time.process_time()
    yield
    took = time.process_time() - began
    assert took < seconds, f"it took {took:.1f} s"


def test_twenty_thousand_interfaces(world, aws):
    """Seeded in 0.5 s, a page of a thousand in 0.13 s."""
    with within(3):
        ids = crowds.interfaces(
            world, world.pod_group, 20_000, kind="branch", tags={"eks:eni:owner": "eks-vpc-resource-controller"}
        )
    with within(1):
        page = aws.ec2.describe_network_interfaces(**by_group(world.pod_group), MaxResults=1000)
    assert len(page["NetworkInterfaces"]) == 1000 and page["NextToken"]
    with within(4):
        reader = aws.ec2.get_paginator("describe_network_interfaces")
        found = reader.paginate(**by_group(world.pod_group), PaginationConfig={"PageSize": 1000, "MaxItems": 3000})
        found = found.build_full_result()["NetworkInterfaces"]
    assert len({each["NetworkInterfaceId"] for each in found}) == len({each["PrivateIpAddress"] for each in found}) == 3000
    (last,) = aws.ec2.describe_network_interfaces(NetworkInterfaceIds=ids[-1:])["NetworkInterfaces"]
    assert last["TagSet"] == [{"Key": "eks:eni:owner", "Value": "eks-vpc-resource-controller"}]
    assert last["InterfaceType"] == "branch"


def test_thousands_of_nodes(world, aws):
    """5,000 in 0.25 s, a page of a thousand in 0.4 s."""
    with within(3):
        ids = crowds.instances(world, world.node_group, 5_000, {"Name": "plain"})
    witness = world.instance(world.node_group, {"aws:eks:cluster-name": "prod"})
    group = {"network-interface.group-id": world.node_group}
    with within(3):
        page = aws.ec2.describe_instances(**by(group), MaxResults=1000)
    assert len(page["Reservations"]) == 1000
    found = aws.ec2.describe_instances(**by(group | {"tag-key": "aws:eks:cluster-name"}))["Reservations"]
    assert [each["Instances"][0]["InstanceId"] for each in found] == [*world.node_instances, witness]
    (last,) = aws.ec2.describe_instances(InstanceIds=ids[-1:])["Reservations"][0]["Instances"]
    (interface,) = last["NetworkInterfaces"]
    assert interface["Groups"][0]["GroupId"] == world.node_group
    described = aws.ec2.describe_network_interfaces(**by({"attachment.instance-id": ids[-1]}))["NetworkInterfaces"]
    assert [each["NetworkInterfaceId"] for each in described] == [interface["NetworkInterfaceId"]]


def test_a_thousand_clusters_of_three_node_groups(world, aws):
    """Seeded in 1 s."""
    with within(6):
        names = crowds.clusters(world, 1_000)
    assert len(names) == 1_000
    cluster = aws.eks.describe_cluster(name=names[-1])["cluster"]
    assert cluster["name"] in cluster["arn"]
    group = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
    assert aws.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["VpcId"] == world.vpc
    node_groups = aws.eks.list_nodegroups(clusterName=names[-1])["nodegroups"]
    assert node_groups == ["workers-1", "workers-2", "workers-3"]
    template = aws.eks.describe_nodegroup(clusterName=names[-1], nodegroupName="workers-3")["nodegroup"]["launchTemplate"]
    versions = aws.ec2.describe_launch_template_versions(LaunchTemplateId=template["id"], Versions=[template["version"]])
    (named,) = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]["SecurityGroupIds"]
    assert named in {each["GroupId"] for each in aws.ec2.describe_security_groups(GroupIds=[named])["SecurityGroups"]}


def test_a_long_answer_says_what_a_short_one_says(world, aws):
    world.load_balancer(world.ingress_group)
    crowds.interfaces(world, world.pod_group, 120)
    crowds.instances(world, world.node_group, 120, {"Name": "<&>"})
    long = {each["NetworkInterfaceId"]: each for each in aws.ec2.describe_network_interfaces()["NetworkInterfaces"]}
    for group in (world.cluster_group, world.ingress_group, world.bastion_group):
        for short in aws.ec2.describe_network_interfaces(**by_group(group))["NetworkInterfaces"]:
            assert long[short["NetworkInterfaceId"]] == short
    instances = {
        each["InstanceId"]: each for held in aws.ec2.describe_instances()["Reservations"] for each in held["Instances"]
    }
    for held in aws.ec2.describe_instances(InstanceIds=world.node_instances)["Reservations"]:
        short = held["Instances"][0]
        shown = instances[short["InstanceId"]]
        interfaces, placement = shown.pop("NetworkInterfaces"), shown.pop("Placement")
        assert shown == {key: short[key] for key in shown}
        assert placement["AvailabilityZone"] == short["Placement"]["AvailabilityZone"]
        for one, other in zip(interfaces, short["NetworkInterfaces"], strict=True):
            assert one.pop("Attachment").items() <= other["Attachment"].items()
            assert one == {key: other[key] for key in one}
