"""Answers with many interfaces or instances, written directly.

moto's serialiser takes most of a millisecond for one interface and several for one instance, so that a page of a
thousand would take longer than EC2 does. Interfaces are written here as moto writes them; of instances, what says
where they are, what they are tagged with and which groups they have.
"""

from xml.sax.saxutils import escape

MANY = 100  # answers with more items than this are written here


def _text(name, value):
    if value is None:
        return ""
    return f"<{name}>{escape(str(value).lower() if isinstance(value, bool) else str(value))}</{name}>"


def _set(name, items):
    return f"<{name}>{''.join(f'<item>{item}</item>' for item in items)}</{name}>"


def _groups(groups):
    return _set("groupSet", (_text("groupId", group.id) + _text("groupName", group.name) for group in groups))


def _tags(resource):
    tags = resource.ec2_backend.tags.get(resource.id, {})
    return _set("tagSet", (_text("key", key) + _text("value", value) for key, value in tags.items()))


def _attachment(attachment, of_instance):
    if attachment is None:
        return ""
    owner = _text("instanceId", attachment.instance_id) + _text("instanceOwnerId", attachment.instance_owner_id)
    shown = (
        _text("attachmentId", attachment.attachment_id)
        + _text("deleteOnTermination", attachment.delete_on_termination)
        + _text("deviceIndex", attachment.device_index)
        + _text("networkCardIndex", attachment.network_card_index)
        + _text("status", attachment.status)
        + ("" if of_instance else owner)
    )
    return f"<attachment>{shown}</attachment>"


def _addresses(interface):
    return _set(
        "privateIpAddressesSet",
        (
            _text("primary", address.get("Primary")) + _text("privateIpAddress", address.get("PrivateIpAddress"))
            for address in interface.private_ip_addresses
        ),
    )


def _interface(interface, of_instance=False):
    rest = "" if of_instance else _of_interface_alone(interface)
    return (
        _text("networkInterfaceId", interface.id)
        + _text("description", interface.description)
        + _text("interfaceType", interface.interface_type)
        + _text("macAddress", interface.mac_address)
        + _text("ownerId", interface.owner_id)
        + _text("privateIpAddress", interface.private_ip_address)
        + _text("sourceDestCheck", interface.source_dest_check)
        + _text("status", interface.status)
        + _text("subnetId", interface.subnet_id)
        + _text("vpcId", interface.vpc_id)
        + _groups(interface.group_set)
        + _attachment(interface.attachment, of_instance)
        + _addresses(interface)
        + rest
    )


def _of_interface_alone(interface):
    ipv6 = (_text("ipv6Address", address) for address in interface.ipv6_addresses)
    return (
        _text("availabilityZone", interface.availability_zone)
        + _text("requesterId", interface.requester_id)
        + _text("requesterManaged", interface.requester_managed)
        + _text("privateDnsName", getattr(interface, "private_dns_name", None))
        + _set("ipv6AddressesSet", ipv6)
        + _tags(interface)
    )


def _instance(instance):
    state = _text("code", instance.state_code) + _text("name", instance.state)
    return (
        _text("instanceId", instance.id)
        + _text("imageId", instance.image_id)
        + f"<instanceState>{state}</instanceState>"
        + _text("instanceType", instance.instance_type)
        + f"<placement>{_text('availabilityZone', instance.availability_zone)}</placement>"
        + _text("privateIpAddress", instance.private_ip_address)
        + _text("subnetId", instance.subnet_id)
        + _text("vpcId", instance.vpc_id)
        + _groups(instance.security_groups)
        + _tags(instance)
        + _set("networkInterfaceSet", (_interface(each, of_instance=True) for each in instance.network_interfaces))
    )


def _reservation(reservation):
    instances = _set("instancesSet", (_instance(instance) for instance in reservation.instances))
    return _text("reservationId", reservation.id) + _text("ownerId", reservation.owner_id) + instances


_WRITTEN = {
    "describe_network_interfaces": ("DescribeNetworkInterfacesResponse", "networkInterfaceSet", _interface),
    "describe_instances": ("DescribeInstancesResponse", "reservationSet", _reservation),
}


def written(action, items, token):
    """The whole answer as XML, or None where moto writes it."""
    if action not in _WRITTEN or len(items) <= MANY:
        return None
    response, name, write = _WRITTEN[action]
    rest = "" if token is None else f"<nextToken>{token}</nextToken>"
    body = f"<requestId>{0:032x}</requestId>{_set(name, map(write, items))}{rest}"
    opened = f'<?xml version="1.0" encoding="utf-8"?><{response} xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
    return f"{opened}{body}</{response}>"
