"""Thousands of the same: interfaces, instances and clusters written straight into moto's models, where the API takes
minutes.

What is made here is a copy of something that the API made, with an id and an address of its own.
"""

import copy
import itertools
from typing import Any

from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule
from moto.eks import eks_backends
from moto.eks.models import Cluster, Nodegroup

from emulator import ACCOUNT, REGION
from world import ROLE, World

_numbers = itertools.count(1)


def interfaces(world: World, group: str, count: int, description: str = "aws-k8s-branch-eni", **options: Any) -> list[str]:
    """That many interfaces that the group is attached to; `options` are those of `World.interface`."""
    backend = world.emulator.backend
    first = world.interface(group, description, **options)
    pattern, tags = backend.enis[first], backend.tags.get(first, {})
    ids = [first]
    for _ in range(count - 1):
        ids.append(_like(backend, pattern).id)
        if tags:
            backend.tags[ids[-1]] = dict(tags)
    return ids


def instances(world: World, group: str, count: int, tags: dict[str, str], subnet: str | None = None) -> list[str]:
    """That many instances, the group attached to the one interface of each, with these tags."""
    backend = world.emulator.backend
    first = world.instance(group, tags, subnet)
    reservation = next(each for each in backend.reservations.values() if each.instances[0].id == first)
    ids = [first]
    for number in itertools.islice(_numbers, count - 1):
        twin = copy.copy(reservation.instances[0])
        twin.id = f"i-{number:017x}"
        twin._private_ips = set()
        interface = _like(backend, twin.nics[0])
        interface.instance, interface.attachment_id = twin, f"eni-attach-{number:017x}"
        twin.nics = {0: interface}
        holder = copy.copy(reservation)
        holder.id, holder.instances = f"r-{number:017x}", [twin]
        backend.reservations[holder.id] = holder
        backend.tags[twin.id] = dict(tags)
        ids.append(twin.id)
    return ids


def _like(backend: Any, pattern: Any) -> Any:
    number = next(_numbers)
    twin = copy.copy(pattern)
    twin.id = f"eni-{number:017x}"
    twin.mac_address = "02:" + ":".join(f"{number:010x}"[at : at + 2] for at in range(0, 10, 2))
    twin.private_ip_address = f"10.0.{number // 250 % 120 + 128}.{number % 250 + 4}"  # not in the subnets of the world
    twin.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": twin.private_ip_address}]
    twin._group_set = list(pattern._group_set)
    backend.enis[twin.id] = twin
    return twin


def clusters(world: World, count: int, node_groups: int = 3, name: str = "crowd") -> list[str]:
    """That many clusters in the world's VPC (`crowd-0001`, ...), each with a cluster group, and with node groups whose
    launch template names a security group of its own. Nothing is attached to any of them."""
    backend = world.emulator.backend
    names = [f"{name}-{number:04d}" for number in range(1, count + 1)]
    for cluster in names:
        _cluster(world, backend, cluster)
        for number in range(1, node_groups + 1):
            _node_group(world, backend, cluster, f"workers-{number}")
    return names


def _cluster(world: World, backend: Any, name: str) -> None:
    group = _group(world, backend, f"eks-cluster-sg-{name}-{next(_numbers)}", {"aws:eks:cluster-name": name})
    own = {"GroupId": group.id, "UserId": ACCOUNT}
    group.ingress_rules.append(SecurityGroupRule(backend, "-1", group.id, None, None, None, own, is_egress=False))
    eks = eks_backends[ACCOUNT][REGION]
    pattern: Cluster = next(iter(eks.clusters.values()))
    cluster = copy.copy(pattern)
    cluster.name, cluster.nodegroups, cluster.nodegroup_count = name, {}, 0
    cluster.arn = pattern.arn.replace(f"/{pattern.name}", f"/{name}")
    cluster.resources_vpc_config = pattern.resources_vpc_config | {
        "clusterSecurityGroupId": group.id,
        "securityGroupIds": [],
    }
    eks.clusters[name] = cluster
    eks.cluster_count += 1


def _node_group(world: World, backend: Any, cluster_name: str, name: str) -> None:
    cluster = eks_backends[ACCOUNT][REGION].clusters[cluster_name]
    group = _group(world, backend, f"{cluster_name}-{name}", {f"kubernetes.io/cluster/{cluster_name}": "owned"})
    template = backend.create_launch_template(f"{cluster_name}-{name}", "", {"SecurityGroupIds": [group.id]}, {})
    launch = {"id": template.id, "name": template.name, "version": "1"}
    node_group = Nodegroup(cluster_name, ROLE, name, [world.subnet], ACCOUNT, REGION, "aws", launch_template=launch)
    node_group.resources.pop("remoteAccessSecurityGroup")
    node_group.remote_access = None
    cluster.nodegroups[name] = node_group
    cluster.nodegroup_count += 1


def _group(world: World, backend: Any, name: str, tags: dict[str, str]) -> SecurityGroup:
    group_id = f"sg-{next(_numbers):017x}"
    group = SecurityGroup(backend, group_id, name, name, vpc_id=world.vpc, tags=tags)
    backend.groups[world.vpc][group_id] = group
    return group
