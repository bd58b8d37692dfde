"""terraform-aws-modules/terraform-aws-eks v21 @bef29c4: node_groups.tf, main.tf, examples/. Its endpoint is private."""

import pytest

from account import PUBLIC_ENDPOINT, Account
from installers import terraform, terraform_with_nodes
from world import allow


def test_managed_node_group(account: Account):
    terraform_with_nodes(account)
    account.ends_with()


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_public_endpoint(account: Account, ipv6):
    cluster = terraform(account, public=True, ipv6=ipv6)
    account.terraform.creates_node_group(cluster, [cluster.nodes])
    account.ends_with(
        # Asked for: the module's default is private.
        PUBLIC_ENDPOINT,
    )


def test_self_managed_node_group(account: Account):
    cluster = terraform(account)
    account.nodes(cluster, [cluster.nodes])
    account.ends_with()


def test_auto_mode(account: Account):
    """The nodes have the cluster group; the module's own node group is attached to nothing, for ever."""
    cluster = terraform(account)
    account.nodes(cluster, [cluster.group], **{"aws:eks:cluster-name": "prod", "eks:eks-cluster-name": "prod"})
    account.ends_with()


def test_hybrid_nodes(account: Account):
    networks = ["172.16.0.0/16", "172.17.0.0/16"]
    cluster = terraform(account, remote=networks)
    account.terraform.allows_each(cluster.control_plane, allow("-1", None, "172.16.0.0/16", text="Allow all traffic"))
    account.ends_with(
        # All traffic of the remote nodes' network covers kubelet and etcd by chance, so it says so, and only that.
        "low etcd-elsewhere + kubelet-private: all from 172.16.0.0/16 on prod-cluster",
    )


def test_efa(account: Account):
    cluster = terraform(account)
    account.terraform.allows_each(cluster.nodes, allow("-1", None, cluster.nodes, text="EFA"))
    account.terraform.allows_each(cluster.nodes, allow("-1", None, cluster.nodes, text="EFA"), egress=True)
    account.terraform.creates_node_group(cluster, [cluster.nodes])
    account.ends_with()
