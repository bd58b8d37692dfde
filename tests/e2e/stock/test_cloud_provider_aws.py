"""cloud-provider-aws, which runs in the control plane as the cluster's role: kubernetes/cloud-provider-aws @63ec440,
pkg/providers/v1."""

import pytest

from account import SUBNETS, Account
from installers import running_eks, running_terraform
from world import WORLD, allow

MTU = {"IpProtocol": "icmp", "FromPort": 3, "ToPort": 4}


@pytest.mark.parametrize("installer", [running_eks, running_terraform], ids=["eks", "terraform"])
def test_network_load_balancer(account: Account, installer):
    nodes, text = installer(account).nodes, "kubernetes.io/rule/nlb/{}=a1b2c3d4e5f6"
    account.cluster_role.allows(nodes, allow("tcp", 31234, WORLD, text=text.format("client")))
    account.cluster_role.allows(nodes, allow("tcp", 10256, *SUBNETS, text=text.format("health")))
    mtu = MTU | {"IpRanges": [{"CidrIp": WORLD, "Description": "kubernetes.io/rule/nlb/mtu"}]}
    account.cluster_role.allows(nodes, mtu)
    group = account.emulator.backend.get_security_group_from_id(nodes).name
    account.ends_with(
        # The nodes themselves are open to the world on this port: one port, so medium.
        f"medium nodeport-internet: tcp 31234 from 0.0.0.0/0 on {group}",
    )


@pytest.mark.parametrize("installer", [running_eks, running_terraform], ids=["eks", "terraform"])
def test_classic_load_balancer(account: Account, installer):
    cluster = installer(account)
    front = account.cluster_role.creates_group("k8s-elb-a1b2c3d4e5f6", cluster.tag)
    ports = [allow("tcp", port, WORLD) for port in (80, 443)]
    account.cluster_role.allows(front, *ports, MTU | {"IpRanges": [{"CidrIp": WORLD}]})
    account.load_balancer(front)
    account.cluster_role.allows(cluster.nodes, allow("-1", None, front))
    account.ends_with()
