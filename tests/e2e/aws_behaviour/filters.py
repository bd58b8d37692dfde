"""Filters: AND between them, OR between the values of one, `*` and `?` in values.

moto: differs from call to call. An object with two groups is not found by one of them when the filter has two values,
wildcards work in some filters, `[` is one, and `ip-permission.user-id` compares the owner of the group.
AWS: one meaning for all, https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html: values are
case-sensitive, `*` matches any characters, `?` one or none, a backslash makes either literal; at most 200 values in
one filter. A filter with no such name is refused; so are those that EC2 has and nobody needed here yet.
"""

import functools
import re

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_network_interfaces import NetworkInterfaceBackend
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.managed_prefixes import ManagedPrefixListBackend
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule
from moto.ec2.models.vpcs import VPCBackend

from aws_behaviour.patching import patch

MOST_VALUES = 200


@functools.lru_cache(maxsize=10_000)
def pattern(value):
    """The value of a filter as a regular expression, or None where it has no wildcard."""
    if not re.search(r"[*?\\]", value):
        return None
    parts = re.findall(r"\\.|[*?]|[^*?\\]+|\\", value, re.DOTALL)
    meant = [
        {"*": ".*", "?": ".?"}.get(part) or re.escape(part[1:] if len(part) > 1 and part[0] == "\\" else part)
        for part in parts
    ]
    return re.compile("".join(meant), re.DOTALL)


def select(objects, filters, known):
    """The objects that pass every filter. `known` says by name what the object's values for a filter are."""
    for name, wanted in (filters or {}).items():
        if len(wanted) > MOST_VALUES:
            message = f"The maximum number of filter values specified on a single call is {MOST_VALUES}"
            raise EC2ClientError("FilterLimitExceeded", message)
        values = known.get(name) or _tag_values(name)
        exact, patterns = _meant(tuple(wanted))
        objects = [each for each in objects if _passes(values(each), exact, patterns)]
    return objects


@functools.lru_cache(maxsize=10_000)
def _meant(wanted):
    """The values of a filter that are meant as they stand, and those with wildcards as patterns."""
    exact = frozenset(value for value in wanted if pattern(value) is None)
    return exact, [found for value in wanted if (found := pattern(value)) is not None]


def _passes(values, exact, patterns):
    if isinstance(values, str):
        return values in exact or any(each.fullmatch(values) for each in patterns)
    if isinstance(values, list):
        return any(_passes(value, exact, patterns) for value in values)
    return values is not None and _passes(str(values).lower() if isinstance(values, bool) else str(values), exact, patterns)


def _tag_values(name):
    def tags(each):
        return each if isinstance(each, dict) else each.ec2_backend.tags.get(each.id, {})

    if name == "tag-key":
        return lambda each: list(tags(each))
    if name.startswith("tag:"):
        return lambda each: tags(each).get(name.removeprefix("tag:"))
    raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")


# --- what can be asked, by kind -------------------------------------------------------------------------------------------


def _of_rules(rules, value):
    return lambda group: [value(rule) for rule in getattr(group, rules)]


PERMISSION = {
    "cidr": lambda rule: rule.cidr_ipv4,
    "ipv6-cidr": lambda rule: rule.cidr_ipv6,
    "prefix-list-id": lambda rule: rule.prefix_list_id,
    "group-id": lambda rule: rule.source_group.get("GroupId"),
    "group-name": lambda rule: rule.source_group.get("GroupName"),
    "user-id": lambda rule: rule.source_group.get("UserId"),
    "protocol": lambda rule: rule.ip_protocol,
    "from-port": lambda rule: rule.from_port,
    "to-port": lambda rule: rule.to_port,
}
GROUP = {
    "group-id": lambda group: group.id,
    "group-name": lambda group: group.name,
    "description": lambda group: group.description,
    "owner-id": lambda group: group.owner_id,
    "vpc-id": lambda group: group.vpc_id,
    **{f"ip-permission.{name}": _of_rules("ingress_rules", value) for name, value in PERMISSION.items()},
    **{f"egress.ip-permission.{name}": _of_rules("egress_rules", value) for name, value in PERMISSION.items()},
}
RULE = {"group-id": lambda rule: rule.group_id, "security-group-rule-id": lambda rule: rule.id}
INTERFACE = {
    "network-interface-id": lambda interface: interface.id,
    "description": lambda interface: interface.description,
    "group-id": lambda interface: [group.id for group in interface.group_set],
    "group-name": lambda interface: [group.name for group in interface.group_set],
    "interface-type": lambda interface: interface.interface_type,
    "owner-id": lambda interface: interface.owner_id,
    "private-ip-address": lambda interface: interface.private_ip_address,
    "requester-id": lambda interface: interface.requester_id,
    "requester-managed": lambda interface: interface.requester_managed,
    "status": lambda interface: interface.status,
    "subnet-id": lambda interface: interface.subnet_id,
    "vpc-id": lambda interface: interface.vpc_id,
    "availability-zone": lambda interface: interface.availability_zone,
    "attachment.attachment-id": lambda interface: interface.attachment and interface.attachment.attachment_id,
    "attachment.instance-id": lambda interface: interface.instance and interface.instance.id,
    "attachment.instance-owner-id": lambda interface: interface.attachment and interface.attachment.instance_owner_id,
    "attachment.status": lambda interface: interface.attachment and interface.attachment.status,
}


def _interfaces(instance):
    return [] if instance.state == "terminated" else list(instance.nics.values())


def _of_interfaces(value):
    def values(instance):
        found = [value(interface) for interface in _interfaces(instance)]
        return [each for several in found for each in (several if isinstance(several, list) else [several])]

    return values


INSTANCE = {
    "instance-id": lambda instance: instance.id,
    "instance-state-name": lambda instance: instance.state,
    "image-id": lambda instance: instance.image_id,
    "owner-id": lambda instance: instance.owner_id,
    "subnet-id": lambda instance: instance.subnet_id,
    "vpc-id": lambda instance: instance.vpc_id,
    # of the primary interface alone
    "instance.group-id": lambda instance: [group.id for group in instance.security_groups],
    "instance.group-name": lambda instance: [group.name for group in instance.security_groups],
    **{f"network-interface.{name}": _of_interfaces(value) for name, value in INTERFACE.items()},
}
VPC = {
    "vpc-id": lambda vpc: vpc.id,
    "cidr": lambda vpc: vpc.cidr_block,
    "is-default": lambda vpc: vpc.is_default,
    "owner-id": lambda vpc: vpc.owner_id,
    "state": lambda vpc: vpc.state,
}
for _family, _ipv6 in (("", False), ("ipv6-", True)):
    for _name, _value in (
        (f"{_family}cidr-block", lambda range: range["cidr_block"]),
        ("association-id", lambda range: range["association_id"]),
        ("state", lambda range: range["cidr_block_state"]["state"]),
    ):
        VPC[f"{_family}cidr-block-association.{_name}"] = lambda vpc, ipv6=_ipv6, value=_value: [
            value(range) for range in vpc.get_cidr_block_association_set(ipv6)
        ]
PREFIX_LIST = {
    "owner-id": lambda listed: listed.owner_id,
    "prefix-list-id": lambda listed: listed.id,
    "prefix-list-name": lambda listed: listed.prefix_list_name,
}


# --- where they are asked -------------------------------------------------------------------------------------------------


@patch(SecurityGroup, "matches_filters")
def _group(_, self, filters):
    return bool(select([self], filters, GROUP))


@patch(SecurityGroupRule, "matches_filters")
def _rule(_, self, filters):
    return bool(select([self], filters, RULE))


@patch(NetworkInterfaceBackend, "get_all_network_interfaces")
def _all_interfaces(original, self, ids=None, filters=None):
    return select(original(self, ids), filters, INTERFACE)


@patch(VPCBackend, "describe_vpcs")
def _vpcs(original, self, vpc_ids=None, filters=None):
    return select(original(self, vpc_ids), filters, VPC)


@patch(ManagedPrefixListBackend, "describe_managed_prefix_lists")
def _prefix_lists(original, self, prefix_list_ids=None, filters=None):
    return select(original(self, prefix_list_ids), filters, PREFIX_LIST)


@patch(InstanceBackend, "all_reservations")
def _reservations(original, self, filters=None):
    return _of_those(original(self), filters)


@patch(InstanceBackend, "get_reservations_by_instance_ids")
def _reservations_by_id(original, self, instance_ids, filters=None):
    return _of_those(original(self, instance_ids), filters)


def _of_those(reservations, filters):
    """The reservations with those of their instances that pass the filters, without the ones of which none does."""
    if not filters:
        return reservations
    found = []
    for reservation in reservations:  # copies, made for this answer
        reservation.instances = select(reservation.instances, filters, INSTANCE)
        found += [reservation] if reservation.instances else []
    return found
