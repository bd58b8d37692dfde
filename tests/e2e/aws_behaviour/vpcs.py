"""VPCs: their ranges, and the security groups of other VPCs that are associated with them."""

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidParameterValue, InvalidSecurityGroupNotFoundError
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.vpcs import VPC
from moto.ec2.responses import EC2Response
from moto.ec2.utils import random_vpc_cidr_association_id

from aws_behaviour.filters import select
from aws_behaviour.pages import paged
from aws_behaviour.patching import add, patch

# --- ranges ---------------------------------------------------------------------------------------------------------------


def set_range(vpc, cidr, state="associated"):
    """A range of the VPC, of either family, new or in another state than before."""
    known = vpc._cidr_block_association_set
    found = next((each["association_id"] for each in known.values() if each["cidr_block"] == cidr), None)
    association = {
        "association_id": found or random_vpc_cidr_association_id(),
        "cidr_block": cidr,
        "cidr_block_state": {"state": state, "StatusMessage": None},
    }
    vpc._cidr_block_association_set = {**known, association["association_id"]: association}
    return association


@patch(VPC, "associate_vpc_cidr_block")
def _associate_range(original, self, cidr_block, amazon_provided_ipv6_cidr_block=False, *border_group, **options):
    # moto: at most five IPv4 ranges. AWS: five, and up to fifty for who asks.
    if amazon_provided_ipv6_cidr_block:
        return original(self, cidr_block, amazon_provided_ipv6_cidr_block, *border_group, **options)
    return set_range(self, cidr_block)


# --- associations ---------------------------------------------------------------------------------------------------------
# moto: does not have them, and lets any group be attached to any interface.
# AWS: a group can be attached in its own VPC and in those it is associated with; associating takes a while.

ASSOCIATION = {
    "group-id": lambda association: association["GroupId"],
    "group-owner-id": lambda association: association["GroupOwnerId"],
    "vpc-id": lambda association: association["VpcId"],
    "vpc-owner-id": lambda association: association["VpcOwnerId"],
    "state": lambda association: association["State"],
}
FOR_VPC = {
    "group-id": lambda group: group["GroupId"],
    "group-name": lambda group: group["GroupName"],
    "description": lambda group: group["Description"],
    "owner-id": lambda group: group["OwnerId"],
    "primary-vpc-id": lambda group: group["PrimaryVpcId"],
}


def associations(backend):
    """What is associated, by group and VPC."""
    return backend.__dict__.setdefault("group_vpc_associations", {})


def _of_request(response):
    backend, group_id, vpc_id = response.ec2_backend, response._get_param("GroupId"), response._get_param("VpcId")
    group = backend.get_security_group_from_id(group_id)
    if group is None:
        raise InvalidSecurityGroupNotFoundError(group_id)
    return backend, group, backend.get_vpc(vpc_id)


def _associate(response):
    backend, group, vpc = _of_request(response)
    if group.vpc_id == vpc.id:
        raise InvalidParameterValue(f"{group.id} is a security group of {vpc.id}")
    associations(backend)[group.id, vpc.id] = {
        "GroupId": group.id,
        "GroupOwnerId": group.owner_id,
        "VpcId": vpc.id,
        "VpcOwnerId": vpc.owner_id,
        "State": "associated",
    }
    return ActionResult({"State": "associating"})


def _disassociate(response):
    backend, group, vpc = _of_request(response)
    association = associations(backend).get((group.id, vpc.id))
    if association is None:
        raise InvalidParameterValue(f"{group.id} is not associated with {vpc.id}")
    if any(group in interface.group_set for interface in backend.enis.values() if interface.vpc_id == vpc.id):
        failed = {"State": "disassociation-failed", "StateReason": "The security group is in use in the VPC"}
        associations(backend)[group.id, vpc.id] = association | failed
    else:
        del associations(backend)[group.id, vpc.id]
    return ActionResult({"State": "disassociating"})


def _describe(response):
    listed = list(associations(response.ec2_backend).values())
    return ActionResult({"SecurityGroupVpcAssociations": select(listed, response._filters_from_querystring(), ASSOCIATION)})


def _for_vpc(response):
    backend, vpc = response.ec2_backend, response.ec2_backend.get_vpc(response._get_param("VpcId"))
    groups = [group for several in backend.groups.values() for group in several.values() if _usable(group, vpc.id)]
    listed = [
        {
            "GroupId": group.id,
            "GroupName": group.name,
            "Description": group.description,
            "OwnerId": group.owner_id,
            "PrimaryVpcId": group.vpc_id,
            "Tags": group.tag_set,
        }
        for group in groups
    ]
    return ActionResult({"SecurityGroupForVpcs": select(listed, response._filters_from_querystring(), FOR_VPC)})


add(EC2Response, "associate_security_group_vpc", _associate)
add(EC2Response, "disassociate_security_group_vpc", _disassociate)
add(EC2Response, "describe_security_group_vpc_associations", _describe)
add(EC2Response, "get_security_groups_for_vpc", _for_vpc)
paged("describe_security_group_vpc_associations", "SecurityGroupVpcAssociations")
paged("get_security_groups_for_vpc", "SecurityGroupForVpcs")


# --- what can be attached where -------------------------------------------------------------------------------------------


def _usable(group, vpc_id):
    association = associations(group.ec2_backend).get((group.id, vpc_id), {})
    return group.vpc_id == vpc_id or association.get("State") in {"associated", "disassociation-failed"}


def _known(backend, group_ids):
    groups = {group_id: backend.get_security_group_from_id(group_id) for group_id in group_ids or []}
    if missing := next((group_id for group_id, group in groups.items() if group is None), None):
        raise InvalidSecurityGroupNotFoundError(missing)
    return list(groups.values())


def _check(groups, subnet):
    for group in groups:
        if not _usable(group, subnet.vpc_id):
            message = f"Security group {group.id} and subnet {subnet.id} belong to different networks."
            raise EC2ClientError("InvalidParameter", message)


@patch(NetworkInterface, "__init__")
def _new_interface(original, self, backend, *args, **options):
    # moto: makes a group that does not exist. AWS: an error.
    _known(backend, options.get("group_ids"))
    original(self, backend, *args, **options)
    _check(self.group_set, self.subnet)


@patch(NetworkInterfaceBackend, "modify_network_interface_attribute")
def _change_groups(original, self, eni_id, group_ids, *args, **options):
    _check(_known(self, group_ids), self.get_network_interface(eni_id).subnet)
    return original(self, eni_id, group_ids, *args, **options)
