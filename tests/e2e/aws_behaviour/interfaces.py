"""Network interfaces: whose they are, what they are attached to, which groups they have."""

from types import SimpleNamespace

from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.instances import Instance

from aws_behaviour.patching import add, patch

# moto: an interface has its own groups plus, for ever, those its instance was started with. AWS: its own.
add(NetworkInterface, "group_set", property(lambda self: self._group_set))


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
        network_card_index=0,
        status="attached",
    )


# moto: only instances of the customer are attached. AWS: services attach interfaces to instances of their own account.
add(NetworkInterface, "attachment", property(_attachment))


@patch(NetworkInterfaceBackend, "attach_network_interface")
def _attach(_, self, eni_id, instance_id, device_index):
    # moto: insists on the attachment being of its own class. AWS: of course not.
    interface = self.get_network_interface(eni_id)
    self.get_instance(instance_id).attach_eni(interface, device_index)
    return interface.attachment


def _groups_of_instance(instance):
    primary = instance.__dict__.get("nics", {}).get(0)
    return list(primary.group_set) if primary else instance.__dict__.get("started_with", [])


def _move_to_groups(instance, groups):
    primary = instance.__dict__.get("nics", {}).get(0)
    if primary:
        primary._group_set = list(groups)
    instance.started_with = groups


# moto: an instance has the groups it was started with. AWS: those of its primary interface.
add(Instance, "security_groups", property(_groups_of_instance, _move_to_groups))


# moto: a terminated instance keeps its interfaces. AWS: shows it without, and deletes those that were made with it.
add(Instance, "network_interfaces", property(lambda self: [] if self.state == "terminated" else list(self.nics.values())))


@patch(Instance, "terminate")
def _terminate(original, self):
    if 0 in self.nics:
        self.nics[0].delete_on_termination = True
    return original(self)
