"""Ways to one object among many, without any other behaviour: moto looks at every object (and every tag) of the account.

With them, thousands of interfaces can be seeded and listed in the time a test has.
"""

import functools

from moto.core import responses
from moto.core.serialize import XFormedAttributePicker
from moto.ec2.exceptions import InvalidInstanceIdError, InvalidNetworkInterfaceIdError
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.elastic_network_interfaces import NetworkInterfaceBackend
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.security_groups import SecurityGroupBackend

from aws_behaviour.filters import pattern
from aws_behaviour.patching import add, patch

add(responses, "method_names_from_class", functools.cache(responses.method_names_from_class))


@patch(TaggedEC2Resource, "get_tags")
def _tags(_, self):
    return [
        {"resource_id": self.id, "key": key, "value": value} for key, value in self.ec2_backend.tags.get(self.id, {}).items()
    ]


@patch(NetworkInterfaceBackend, "get_network_interface")
def _interface(_, self, eni_id):
    if eni_id not in self.enis:
        raise InvalidNetworkInterfaceIdError(eni_id)
    return self.enis[eni_id]


@patch(InstanceBackend, "get_instance")
def _instance(_, self, instance_id):
    for reservation in self.reservations.values():
        for instance in reservation.instances:
            if instance.id == instance_id:
                return instance
    raise InvalidInstanceIdError(instance_id)


@patch(SecurityGroupBackend, "get_security_group_from_id")
def _group(_, self, group_id):
    return next((groups[group_id] for groups in self.groups.values() if group_id in groups), None)


@patch(SecurityGroupBackend, "describe_security_group_rules")
def _rules_of_groups(original, self, sg_rule_ids, filters):
    wanted = filters.get("group-id")
    if sg_rule_ids or not wanted or any(map(pattern, wanted)):
        return original(self, sg_rule_ids, filters)
    everything = self.groups
    self.groups = {vpc: {each: groups[each] for each in wanted if each in groups} for vpc, groups in everything.items()}
    try:
        return original(self, sg_rule_ids, filters)
    finally:
        self.groups = everything


_names = {}


@patch(XFormedAttributePicker, "get_possible_keys")
def _names_of_attribute(original, self, context):
    """What an attribute may be called depends on the kinds of the object and the answer, and is worked out once for each."""
    shape, service = context.shape, context.service_model
    of_shape = shape and (shape.name, shape.type_name, shape.serialization.get("name"), getattr(shape, "parent", None))
    parent = of_shape and of_shape[3] and (of_shape[3].name, of_shape[3].type_name)
    kind = (type(context.obj), context.key, service and service.service_name, of_shape and of_shape[:3], parent)
    if kind not in _names:
        _names[kind] = list(dict.fromkeys(original(self, context)))
    return _names[kind]
