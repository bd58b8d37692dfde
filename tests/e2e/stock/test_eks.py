"""EKS itself: what a cluster of the console or of `aws eks` has. awsdocs/amazon-eks-user-guide @4d52b4d."""

import pytest

from account import PUBLIC_ENDPOINT, Account
from world import WORLD, WORLD_V6, allow

# The console leaves EKS's default: the endpoint answers everybody, and the guide asks to limit it.
DEFAULT = PUBLIC_ENDPOINT


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_managed_node_group(account: Account, ipv6):
    cluster = account.person.creates_cluster(ipv6=ipv6)
    account.person.creates_node_group(cluster)
    account.ends_with(DEFAULT)


def test_private_endpoint(account: Account):
    cluster = account.person.creates_cluster(public=False)
    account.person.creates_node_group(cluster)
    account.ends_with()


def test_fargate(account: Account):
    cluster = account.person.creates_cluster()
    # Interfaces of Fargate pods belong to AWS's instances.
    account.interface(cluster.group, "arn:aws:ecs:us-east-1:123456789012:attachment/0", owner="888888888888", managed=True)
    account.ends_with(DEFAULT)


def test_auto_mode(account: Account):
    """Its nodes have the cluster group; its load-balancer controller works as the cluster's role and tags its rules."""
    cluster = account.person.creates_cluster()
    tags = {"aws:eks:cluster-name": "prod", "eks:eks-cluster-name": "prod", "karpenter.sh/nodepool": "general-purpose"}
    account.nodes(cluster, [cluster.group], **tags)
    of_cluster = {"eks:eks-cluster-name": "prod"}
    of_ingress = of_cluster | {"ingress.eks.amazonaws.com/stack": "shop/web"}
    front = account.cluster_role.creates_group("k8s-shop-web-0a1b2c3d4e", of_ingress)
    account.cluster_role.allows(front, allow("tcp", 443, WORLD), allow("tcp", 443, WORLD_V6), tags=of_cluster)
    back = account.cluster_role.creates_group("k8s-traffic-prod-0a1b2c3d4e", of_cluster)
    account.load_balancer([front, back])
    account.cluster_role.allows(cluster.group, allow("tcp", (80, 8443), back), tags=of_cluster)
    account.ends_with(DEFAULT)


def test_remote_access_from_a_bastion(account: Account):
    bastion = account.person.creates_group("bastion")
    account.instance(bastion, {"Name": "bastion"})
    cluster = account.person.creates_cluster()
    account.person.creates_node_group(cluster, ssh_from=[bastion])
    account.ends_with(DEFAULT)


def test_remote_access_from_everywhere(account: Account):
    cluster = account.person.creates_cluster()
    account.person.creates_node_group(cluster, ssh_from=[WORLD])
    account.ends_with(
        DEFAULT,
        # EKS's own "SSH from everywhere" is revoked, as the README says: name a source group instead.
        "critical remote-login-wide: tcp 22 from 0.0.0.0/0 on eks-remoteAccess-00000000-0000-0000-0000-000000000007"
        ", revoked",
    )


def test_hybrid_nodes(account: Account):
    networks = ["10.80.0.0/16", "172.20.0.0/16"]
    hybrid = account.person.creates_group("prod-hybrid")
    account.person.allows(hybrid, allow("tcp", 443, *networks))
    account.person.allows(hybrid, allow("tcp", 10250, *networks), egress=True)
    cluster = account.person.creates_cluster([hybrid], remote=networks)
    account.person.creates_node_group(cluster)
    account.ends_with(DEFAULT)


def test_hybrid_nodes_with_public_addresses(account: Account):
    """A remote network is the cluster's own, whatever its addresses."""
    hybrid = account.person.creates_group("prod-hybrid")
    account.person.creates_cluster([hybrid], remote=["203.0.112.0/20"])
    account.person.allows(hybrid, allow("tcp", 443, "203.0.112.0/20"))
    account.ends_with(DEFAULT)
