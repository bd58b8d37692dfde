"""EKS Blueprints, which add rules to terraform-aws-eks: aws-ia/terraform-aws-eks-blueprints @98d0eb4, patterns/."""

import pytest

from account import Account
from installers import running_terraform
from world import WORLD, allow


@pytest.fixture
def cluster(account: Account):
    return running_terraform(account)


def test_istio(account: Account, cluster):
    rules = [allow("tcp", port, cluster.control_plane, text="Cluster API to istiod") for port in (15012, 15017)]
    account.terraform.allows_each(cluster.nodes, *rules)
    account.ends_with()


def test_cilium_with_wireguard(account: Account, cluster):
    account.terraform.allows_each(cluster.nodes, allow("udp", 51871, cluster.nodes, text="Cilium WireGuard"))
    account.ends_with()


def test_privatelink(account: Account, cluster):
    """The addresses of a network load balancer in front of the API."""
    addresses = ("10.0.1.17/32", "10.0.2.23/32")
    account.terraform.allows_each(cluster.control_plane, *(allow("tcp", 443, each) for each in addresses))
    account.ends_with()


@pytest.mark.parametrize("group", ["nodes", "group"], ids=["nodes", "cluster"])
def test_lattice(account: Account, cluster, group):
    lists = account.emulator.ec2.describe_managed_prefix_lists()["PrefixLists"]
    lattice = [each["PrefixListId"] for each in lists if each["PrefixListName"].endswith("vpc-lattice")]
    account.terraform.allows_each(getattr(cluster, group), *(allow("-1", None, each) for each in lattice))
    account.ends_with()


def test_agones(account: Account, cluster):
    account.terraform.allows_each(cluster.nodes, allow("udp", (7000, 8000), WORLD, text="Agones"))
    account.ends_with(
        # A thousand ports of the nodes face the world: nothing tells game servers from a mistake. An own clause does.
        "high other-internet: udp 7000-8000 from 0.0.0.0/0 on prod-node",
    )
