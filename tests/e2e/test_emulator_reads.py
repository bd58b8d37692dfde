"""Reading the emulated EC2 and EKS: pages and filters as AWS has them."""

import pytest

from asking import by, by_group, filtered, refusal
from crowds import clusters
from world import OFFICE, WORLD, allow

# --- pages ---


def test_answers_are_cut_into_pages_and_tokens_lead_through_them(world, aws):
    world.open(world.node_group, *[allow("tcp", port, OFFICE) for port in range(1, 58)])
    aws.page_size = 5
    first = aws.ec2.describe_security_group_rules(**by_group(world.node_group))
    assert len(first["SecurityGroupRules"]) == 5
    assert first["NextToken"]
    assert len(world.rules(world.node_group)) == 62  # through all the pages
    for action, key in (
        ("describe_security_groups", "SecurityGroups"),
        ("describe_network_interfaces", "NetworkInterfaces"),
        ("describe_instances", "Reservations"),
    ):
        aws.page_size = 1000
        everything = getattr(aws.ec2, action)()[key]
        aws.page_size = 2
        pages = list(aws.ec2.get_paginator(action).paginate())
        assert len(pages) == (len(everything) + 1) // 2
        assert sum(len(page[key]) for page in pages) == len(everything)


def test_prefix_list_entries_and_node_groups_are_paged_too(world, aws):
    aws.page_size = 1
    first = aws.ec2.get_managed_prefix_list_entries(PrefixListId=world.everyone)
    second = aws.ec2.get_managed_prefix_list_entries(PrefixListId=world.everyone, NextToken=first["NextToken"])
    assert [entry["Cidr"] for entry in first["Entries"] + second["Entries"]] == ["203.0.113.0/24", WORLD]
    assert "NextToken" not in second
    aws.eks.create_nodegroup(
        clusterName="prod", nodegroupName="more", nodeRole="arn:aws:iam::123456789012:role/n", subnets=[world.subnet]
    )
    assert len(aws.eks.list_nodegroups(clusterName="prod")["nodegroups"]) == 1


def test_max_results_beside_ids_is_refused(world, aws):
    call = aws.ec2.describe_network_interfaces
    interface = call()["NetworkInterfaces"][0]["NetworkInterfaceId"]
    assert refusal(call, NetworkInterfaceIds=[interface], MaxResults=5) == "InvalidParameterCombination"


def test_an_unknown_prefix_list_is_an_error(world, aws):
    code = refusal(aws.ec2.get_managed_prefix_list_entries, PrefixListId="pl-0123456789abcdef0")
    assert code == "InvalidPrefixListID.NotFound"


def test_a_page_can_be_cut_before_it_is_filtered(world, aws):
    everywhere = {"describe_network_interfaces": "NetworkInterfaces", "describe_instances": "Reservations"}
    aws.page_size, aws.cut_before_filter = 2, True
    for action, key in everywhere.items():
        name = "group-id" if action == "describe_network_interfaces" else "instance.group-id"
        pages = list(aws.ec2.get_paginator(action).paginate(**by({name: world.bastion_group})))
        assert [len(page[key]) for page in pages if page[key]] == [1], "one, on a page that could have two"
        assert any(not page[key] and page.get("NextToken") for page in pages), "a page without anything, and a token"
    assert len(world.rules(world.node_group)) == 5, "through all the pages"


def test_an_empty_token_ends_an_answer(world, aws):
    aws.page_size, aws.empty_last_token = 4, True
    pages = list(aws.ec2.get_paginator("describe_network_interfaces").paginate())
    assert pages[-1]["NextToken"] == "" and all(page["NextToken"] for page in pages[:-1])
    assert sum(len(page["NetworkInterfaces"]) for page in pages) > 4


@pytest.mark.parametrize(
    ("action", "smallest", "largest"),
    [
        ("describe_security_group_rules", 5, 1000),
        ("describe_network_interfaces", 5, 1000),
        ("describe_instances", 5, 1000),
        ("describe_vpcs", 5, 1000),
        ("describe_security_group_vpc_associations", 5, 1000),
        ("describe_managed_prefix_lists", 1, 100),
    ],
)
def test_a_page_has_a_smallest_and_a_largest_size(world, aws, action, smallest, largest):
    call = getattr(aws.client("ec2", checked=False), action)
    assert call(MaxResults=smallest) and call(MaxResults=largest)
    assert refusal(call, MaxResults=smallest - 1) == refusal(call, MaxResults=largest + 1) == "InvalidParameterValue"
    assert refusal(call, NextToken="made up") == "InvalidNextToken"


def test_lists_of_eks_have_pages_of_at_most_a_hundred(world, aws):
    names = clusters(world, 120, node_groups=0)
    assert len(aws.eks.list_clusters()["clusters"]) == 100
    pages = list(aws.eks.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 50}))
    assert [len(page["clusters"]) for page in pages] == [50, 50, 21]
    assert {name for page in pages for name in page["clusters"]} == {"prod", *names}
    assert refusal(aws.eks.list_clusters, maxResults=101) == "InvalidParameterException"
    assert refusal(aws.eks.list_clusters, nextToken="prod") == "InvalidParameterException"
    assert refusal(aws.eks.list_nodegroups, clusterName="nowhere") == "ResourceNotFoundException"


# --- filters ---


def interfaces(aws, **filters) -> list[str]:
    return [each["Description"] for each in aws.ec2.describe_network_interfaces(**filtered(**filters))["NetworkInterfaces"]]


def test_filters_are_joined_by_and_their_values_by_or(world, aws):
    both = world.interface(world.pod_group, "both")
    aws.ec2.modify_network_interface_attribute(NetworkInterfaceId=both, Groups=[world.pod_group, world.bastion_group])
    assert "both" in interfaces(aws, group_id=[world.pod_group, world.node_group])
    assert interfaces(aws, group_id=[world.bastion_group, world.node_group], description="both") == ["both"]
    assert not interfaces(aws, group_id=world.node_group, description="both")
    assert not interfaces(aws, group_id=[])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Amazon EKS *", ["Amazon EKS prod"] * 2),
        ("amazon eks *", []),  # case counts
        ("Amazon EKS pro?d", ["Amazon EKS prod"] * 2),  # one character or none
        ("Amazon EKS p??", []),
        ("Amazon EKS p???", ["Amazon EKS prod"] * 2),
        ("*[Aa]mazon*", []),
        (r"a \* b\?\\", [r"a * b?\ "[:-1]]),
        ("a * b*", [r"a * b?\ "[:-1]]),
    ],
)
def test_wildcards_in_filters(world, aws, value, found):
    world.interface(world.bastion_group, "a * b?\\")
    assert interfaces(aws, description=value) == found


def test_a_filter_takes_two_hundred_values_and_a_name_that_exists(world, aws):
    assert len(interfaces(aws, group_id=["sg-1"] * 199 + [world.node_group])) == 2
    assert refusal(interfaces, aws=aws, group_id=["sg-1"] * 201) == "FilterLimitExceeded"
    assert refusal(interfaces, aws=aws, colour="red") == "InvalidParameterValue"


def test_interfaces_are_found_by_what_they_say_of_themselves(world, aws):
    world.load_balancer(world.ingress_group, network=True)
    assert len(interfaces(aws, interface_type="network_load_balancer")) == 1
    assert len(interfaces(aws, requester_id="amazon-elb")) == len(interfaces(aws, requester_managed="true")) == 2
    assert len(interfaces(aws, attachment__instance_id=world.node_instances)) == 2
    assert len(interfaces(aws, attachment__instance_owner_id="amazon-elb")) == 2
    assert len(interfaces(aws, vpc_id=world.other_vpc)) == 1
    tagged = aws.ec2.describe_network_interfaces(**by({"tag:eks:eni:owner": "eks-vpc-*"}))["NetworkInterfaces"]
    assert [each["InterfaceType"] for each in tagged] == ["branch"]


def instances(aws, filters: dict) -> list[str]:
    found = aws.ec2.describe_instances(**by(filters))["Reservations"]
    return [instance["InstanceId"] for reservation in found for instance in reservation["Instances"]]


def test_one_witness_among_the_instances_of_a_group(world, aws):
    plain = world.instance(world.node_group, {"Name": "plain"})
    group, running = {"network-interface.group-id": world.node_group}, {"instance-state-name": "running"}
    assert set(instances(aws, group)) == {plain, *world.node_instances}
    assert instances(aws, group | {"tag-key": "aws:eks:cluster-name"}) == world.node_instances
    assert instances(aws, group | {"tag:aws:eks:cluster-name": ["test", "pro*"]} | running) == world.node_instances
    assert instances(aws, group | {"tag:Name": "plain", "vpc-id": world.vpc}) == [plain]
    assert not instances(aws, group | {"vpc-id": world.other_vpc})
    aws.ec2.stop_instances(InstanceIds=[plain])
    assert plain not in instances(aws, group | running)
    assert instances(aws, group | {"instance-state-name": ["stopped", "stopping"]}) == [plain]


def test_an_instance_has_the_groups_of_its_interfaces(world, aws):
    node, other = world.node_instances
    (primary,) = aws.ec2.describe_network_interfaces(**filtered(attachment__instance_id=node))["NetworkInterfaces"]
    second = world.interface(world.pod_group, "second")
    aws.ec2.attach_network_interface(NetworkInterfaceId=second, InstanceId=node, DeviceIndex=1)
    assert instances(aws, {"network-interface.group-id": world.pod_group}) == [node]
    assert not instances(aws, {"instance.group-id": world.pod_group}), "of the primary interface alone"
    aws.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=primary["NetworkInterfaceId"], Groups=[world.bastion_group]
    )
    assert instances(aws, {"network-interface.group-id": world.node_group}) == [other]
    assert node in instances(aws, {"instance.group-id": world.bastion_group})


def test_a_terminated_instance_is_shown_without_interfaces(world, aws):
    node, other = world.node_instances
    aws.ec2.terminate_instances(InstanceIds=[node])
    assert instances(aws, {"network-interface.group-id": world.node_group}) == [other]
    (shown,) = aws.ec2.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"]
    assert (shown["State"]["Name"], shown["NetworkInterfaces"]) == ("terminated", [])
    assert len(aws.ec2.describe_network_interfaces(**by_group(world.node_group))["NetworkInterfaces"]) == 1


def test_groups_are_found_by_what_their_rules_name(world, aws):
    def groups(**filters) -> set[str]:
        return {each["GroupId"] for each in aws.ec2.describe_security_groups(**filtered(**filters))["SecurityGroups"]}

    assert groups(ip_permission__group_id=world.node_group) == {world.cluster_group, world.node_group, world.pod_group}
    assert groups(ip_permission__group_id=world.node_group, vpc_id=world.other_vpc) == set()
    assert groups(egress__ip_permission__group_id=world.node_group) == set()
    world.open(world.bastion_group, allow("tcp", 22, world.node_group), egress=True)
    world.open(world.team_group, allow("tcp", 22, world.everyone))
    world.open(world.pod_group, allow("tcp", 22, world.everyone), egress=True)
    assert groups(egress__ip_permission__group_id=[world.node_group, world.pod_group]) == {world.bastion_group}
    assert groups(ip_permission__prefix_list_id=world.everyone) == {world.team_group}
    assert groups(egress__ip_permission__prefix_list_id=world.everyone) == {world.pod_group}
    assert world.ingress_group in groups(ip_permission__cidr=WORLD)
    assert groups(tag_key="kubernetes.io/cluster/*") == {world.cluster_group, world.node_group, world.ingress_group}
