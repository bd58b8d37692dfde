"""Network interfaces: whose they are, what they are attached to, which groups they have."""

from types import SimpleNamespace

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.utils import filter_dict_attribute_mapping

from aws_behaviour.patching import add, patch

# moto: an interface has its own groups plus, for ever, those its instance was started with. AWS: its own.
add(NetworkInterface, "group_set", property(lambda self: self._group_set))

# moto: this filter is not there. AWS: it is.
filter_dict_attribute_mapping["network-interface.group-id"] = "security_groups.id"


def _attachment(interface):
    owner = getattr(interface, "attached_by", None) or (interface.instance and interface.instance.owner_id)
    if not owner:
        return None
    return SimpleNamespace(
        attachment_id=interface.attachment_id or f"eni-attach-{interface.id[4:]}",
        delete_on_termination=bool(interface.delete_on_termination),
        device_index=interface.device_index,
        instance_id=interface.instance.id if interface.instance else None,
        instance_owner_id=owner,
        status="attached",
    )


# moto: only instances of the customer are attached. AWS: services attach interfaces to instances of their own account.
add(NetworkInterface, "attachment", property(_attachment))


@patch(NetworkInterface, "get_filter_value")
def _interface_filter(original, self, name, method=None):
    # moto: these filters are not there, or answer for the customer's account. AWS: they say what the interface says.
    values = {
        "attachment.instance-owner-id": lambda: self.attachment.instance_owner_id if self.attachment else None,
        "interface-type": lambda: self.interface_type,
        "requester-id": lambda: self.requester_id,
        "requester-managed": lambda: str(self.requester_managed).lower(),
        "status": lambda: self.status,
    }
    return values[name]() if name in values else original(self, name, method)
