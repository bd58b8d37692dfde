"""Groups of pods, custom networking, overlays: the EKS user guide @4d52b4d (security groups for pods, custom networking);
docs of Cilium (system requirements) and Calico (requirements)."""

import pytest

from account import Account, Cluster
from installers import running_eks, running_terraform
from world import allow


@pytest.fixture(params=[running_eks, running_terraform], ids=["eks", "terraform"])
def cluster(request, account: Account) -> Cluster:
    return request.param(account)


def test_security_groups_for_pods(account: Account, cluster: Cluster):
    """DNS for the pods is open before the first of them starts; the resource controller makes their interfaces."""
    pods = account.terraform.creates_group("prod-payments")
    account.terraform.allows(pods, allow("tcp", 8080, cluster.nodes, text="probes"))
    account.terraform.allows(pods, *(allow(protocol, 53, cluster.nodes) for protocol in ("tcp", "udp")), egress=True)
    account.terraform.allows(cluster.nodes, *(allow(protocol, 53, pods, text="DNS") for protocol in ("tcp", "udp")))
    tags = {"eks:eni:owner": "eks-vpc-resource-controller", **cluster.tag}
    account.interface(pods, "aws-k8s-branch-eni", kind="branch", tags=tags)
    account.terraform.allows(pods, allow("tcp", 9090, cluster.nodes, text="metrics"))
    account.ends_with()


def test_custom_networking(account: Account):
    """ENIConfig gives pods a group of their own, on the second interface of each node."""
    with account.before_the_guard():
        cluster = account.person.creates_cluster(public=False)
        nodes = account.person.creates_node_group(cluster)
    pods = account.person.creates_group("prod-pods")
    account.person.allows(pods, allow("-1", None, pods), allow("-1", None, cluster.group))
    account.person.allows(cluster.group, allow("-1", None, pods))
    for node, subnet in zip(nodes, account.subnets, strict=True):
        tags = {"cluster.k8s.amazonaws.com/name": "prod", "node.k8s.amazonaws.com/instance_id": node}
        interface = account.interface(pods, f"aws-K8S-{node}", subnet=subnet, tags=tags)
        account.emulator.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=node, DeviceIndex=1)
    account.ends_with(
        # Until the first node starts with it, nothing proves whose this peer is.
        "low etcd-elsewhere + foreign-group + kubelet-private: all from prod-pods on eks-cluster-sg-prod-1000000000",
    )


@pytest.mark.parametrize(
    "rules",
    [
        [("udp", 8472), ("tcp", 4240), ("tcp", (4244, 4245)), ("icmp", (8, 0))],
        [("udp", 6081), ("udp", 51871), ("50", None)],
        [("tcp", 179), ("4", None), ("udp", 4789), ("tcp", 5473), ("udp", (51820, 51821))],
    ],
    ids=["cilium-vxlan", "cilium-encrypted", "calico"],
)
def test_overlay(account: Account, rules):
    nodes = running_terraform(account).nodes
    account.terraform.allows_each(nodes, *(allow(protocol, ports, nodes) for protocol, ports in rules))
    account.ends_with()
