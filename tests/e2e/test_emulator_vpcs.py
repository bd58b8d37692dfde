"""The emulated EC2: ranges of VPCs, groups that are associated with other VPCs, states and versions of prefix lists."""

import pytest

from asking import by_group, filtered, refusal
from world import VPC_RANGE, WORLD

UNKNOWN = {"group": "sg-0123456789abcdef0", "list": "pl-0123456789abcdef0"}


# --- ranges ---


def test_ranges_of_a_vpc_have_states(world, aws):
    world.range_of(world.vpc, "100.64.0.0/16", "associating")
    world.range_of(world.vpc, "2001:db8:1::/56", "associating")
    world.range_of(world.vpc, "100.64.0.0/16", "disassociating")
    (vpc,) = aws.ec2.describe_vpcs(VpcIds=[world.vpc])["Vpcs"]
    ranges = {each["CidrBlock"]: each["CidrBlockState"]["State"] for each in vpc["CidrBlockAssociationSet"]}
    ranges_v6 = [(each["Ipv6CidrBlock"], each["Ipv6CidrBlockState"]["State"]) for each in vpc["Ipv6CidrBlockAssociationSet"]]
    assert ranges == {VPC_RANGE: "associated", "100.64.0.0/16": "disassociating"}
    assert ranges_v6[0][1] == "associated" and ranges_v6[1:] == [("2001:db8:1::/56", "associating")]


def test_a_vpc_has_many_ranges_and_is_found_by_them(world, aws):
    for number in range(30):
        answer = aws.ec2.associate_vpc_cidr_block(VpcId=world.other_vpc, CidrBlock=f"10.{100 + number}.0.0/16")
        assert answer["CidrBlockAssociation"]["CidrBlockState"]["State"] == "associating"
    (found,) = aws.ec2.describe_vpcs(**filtered(**{"cidr_block_association__cidr_block": "10.129.0.0/16"}))["Vpcs"]
    assert found["VpcId"] == world.other_vpc
    assert len(found["CidrBlockAssociationSet"]) == 31
    assert {each["CidrBlockState"]["State"] for each in found["CidrBlockAssociationSet"]} == {"associated"}


# --- associations ---


def associated(aws, **filters) -> list[tuple[str, str, str]]:
    listed = aws.ec2.describe_security_group_vpc_associations(**filtered(**filters))["SecurityGroupVpcAssociations"]
    return [(each["GroupId"], each["VpcId"], each["State"]) for each in listed]


def test_a_group_is_associated_with_another_vpc_and_found_by_group_vpc_and_state(world, aws):
    both = {"GroupId": world.team_group, "VpcId": world.vpc}
    assert aws.ec2.associate_security_group_vpc(**both)["State"] == "associating"
    world.associate(world.bastion_group, world.other_vpc, "associating")
    team, bastion = (world.team_group, world.vpc, "associated"), (world.bastion_group, world.other_vpc, "associating")
    assert associated(aws) == [team, bastion]
    assert associated(aws, group_id=world.team_group) == associated(aws, vpc_id=world.vpc) == [team]
    assert associated(aws, state=["associated", "associating"]) == [team, bastion]
    assert associated(aws, vpc_id=world.other_vpc, state="associated") == []
    assert aws.ec2.disassociate_security_group_vpc(**both)["State"] == "disassociating"
    assert associated(aws) == [bastion]


def test_a_vpc_knows_the_groups_that_can_be_used_in_it(world, aws):
    def usable(vpc: str, **filters) -> set[str]:
        listed = aws.ec2.get_security_groups_for_vpc(VpcId=vpc, **filtered(**filters))["SecurityGroupForVpcs"]
        return {each["GroupId"] for each in listed}

    world.associate(world.team_group, world.vpc)
    assert {world.team_group, world.node_group} <= usable(world.vpc)
    assert usable(world.vpc, primary_vpc_id=world.other_vpc) == {world.team_group}
    assert usable(world.other_vpc, group_name="*bastion") == {world.team_group}
    in_vpc = aws.ec2.describe_security_groups(**filtered(vpc_id=world.vpc))["SecurityGroups"]
    assert world.team_group not in {each["GroupId"] for each in in_vpc}, "the filter is about the group's own VPC"


def test_a_group_is_attached_in_another_vpc_only_while_it_is_associated(world, aws):
    assert refusal(world.interface, groups=world.team_group, description="foreign") == "InvalidParameter"
    assert refusal(world.instance, groups=world.team_group, tags={"Name": "foreign"}) == "InvalidParameter"
    assert refusal(world.interface, groups=UNKNOWN["group"], description="unknown") == "InvalidGroup.NotFound"
    interface = world.interface(world.bastion_group, "bastion")
    groups = {"NetworkInterfaceId": interface, "Groups": [world.bastion_group, world.team_group]}
    assert refusal(aws.ec2.modify_network_interface_attribute, **groups) == "InvalidParameter"
    world.associate(world.team_group, world.vpc)
    aws.ec2.modify_network_interface_attribute(**groups)
    attached = aws.ec2.describe_network_interfaces(**by_group(world.team_group))["NetworkInterfaces"]
    assert {each["VpcId"] for each in attached} == {world.vpc, world.other_vpc}
    aws.ec2.disassociate_security_group_vpc(GroupId=world.team_group, VpcId=world.vpc)
    assert associated(aws) == [(world.team_group, world.vpc, "disassociation-failed")], "it is in use"


# --- prefix lists ---


def described(world, aws) -> tuple[str, int]:
    (listed,) = aws.ec2.describe_managed_prefix_lists(PrefixListIds=[world.everyone])["PrefixLists"]
    assert listed["PrefixListName"] == "everyone"
    return listed["State"], listed["Version"]


def entries(world, aws, **version) -> list[str]:
    listed = aws.ec2.get_managed_prefix_list_entries(PrefixListId=world.everyone, **version)["Entries"]
    return [entry["Cidr"] for entry in listed]


def modified(world, aws, version: int, *added: str, removed: tuple[str, ...] = ()) -> tuple[str, int]:
    answer = aws.ec2.modify_managed_prefix_list(
        PrefixListId=world.everyone,
        CurrentVersion=version,
        AddEntries=[{"Cidr": cidr} for cidr in added],
        RemoveEntries=[{"Cidr": cidr} for cidr in removed],
    )["PrefixList"]
    return answer["State"], answer["Version"]


def test_a_prefix_list_has_versions(world, aws):
    assert described(world, aws) == ("create-complete", 1)
    assert modified(world, aws, 1, "192.0.2.0/24", removed=(WORLD,)) == ("modify-in-progress", 1)
    assert described(world, aws) == ("modify-complete", 2)
    assert entries(world, aws) == entries(world, aws, TargetVersion=2) == ["203.0.113.0/24", "192.0.2.0/24"]
    assert entries(world, aws, TargetVersion=1) == ["203.0.113.0/24", WORLD]
    assert refusal(entries, world=world, aws=aws, TargetVersion=3) == "InvalidParameterValue"
    assert refusal(modified, world=world, aws=aws, version=1) == "PrefixListVersionMismatch"


@pytest.mark.parametrize("failed", [False, True])
def test_a_modification_can_be_held_in_progress(world, aws, failed):
    aws.hold_modifications = True
    modified(world, aws, 1, "192.0.2.0/24")
    assert described(world, aws) == ("modify-in-progress", 1)
    assert entries(world, aws) == ["203.0.113.0/24", WORLD]
    assert refusal(modified, world=world, aws=aws, version=1) == "IncorrectState"
    world.finish_list(world.everyone, failed=failed)
    assert described(world, aws) == (("modify-failed", 1) if failed else ("modify-complete", 2))
    assert len(entries(world, aws)) == (2 if failed else 3)


@pytest.mark.parametrize("state", ["create-in-progress", "restore-in-progress", "restore-complete", "restore-failed"])
def test_a_prefix_list_can_be_in_any_state(world, aws, state):
    world.list_state(world.everyone, state)
    assert described(world, aws)[0] == state


def test_many_prefix_lists_are_described_at_once_and_in_pages(world, aws):
    ids = [world.everyone]
    for number in range(4):
        made = aws.ec2.create_managed_prefix_list(PrefixListName=f"list-{number}", MaxEntries=1, AddressFamily="IPv4")
        ids.append(made["PrefixList"]["PrefixListId"])
    pages = aws.ec2.get_paginator("describe_managed_prefix_lists").paginate(
        PrefixListIds=ids, PaginationConfig={"PageSize": 2}
    )
    assert [[each["PrefixListId"] for each in page["PrefixLists"]] for page in pages] == [ids[:2], ids[2:4], ids[4:]]
    call = aws.ec2.describe_managed_prefix_lists
    assert refusal(call, PrefixListIds=[*ids, UNKNOWN["list"]]) == "InvalidPrefixListID.NotFound"
    assert [each["PrefixListId"] for each in call(**filtered(prefix_list_name="every*"))["PrefixLists"]] == [world.everyone]


def test_what_changed_can_be_put_back(world, aws):
    put_back = aws.keep()
    world.associate(world.team_group, world.vpc)
    modified(world, aws, 1, "192.0.2.0/24")
    world.range_of(world.vpc, "100.64.0.0/16")
    interface = aws.ec2.describe_network_interfaces(**by_group(world.bastion_group))["NetworkInterfaces"][0][
        "NetworkInterfaceId"
    ]
    aws.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[world.team_group])
    for _ in range(2):
        put_back()
        assert associated(aws) == []
        assert described(world, aws) == ("create-complete", 1)
        assert len(entries(world, aws)) == 2
        assert len(aws.ec2.describe_vpcs(VpcIds=[world.vpc])["Vpcs"][0]["CidrBlockAssociationSet"]) == 1
        assert len(aws.ec2.describe_network_interfaces(**by_group(world.bastion_group))["NetworkInterfaces"]) == 1
        world.list_state(world.everyone, "modify-failed")
