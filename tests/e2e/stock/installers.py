"""Clusters that other installers build upon."""

from typing import Any

from account import Account, Cluster
from world import WORLD, WORLD_V6, allow


def terraform_groups(account: Account, tags: dict[str, str] | None = None) -> tuple[str, str]:
    """The control plane's and the nodes' group of terraform-aws-eks, every rule written before the cluster exists."""
    terraform = account.terraform
    control_plane = terraform.creates_group("prod-cluster", {"Name": "prod-cluster"})
    nodes = terraform.creates_group("prod-node", {"kubernetes.io/cluster/prod": "owned", **(tags or {})})
    terraform.allows_each(control_plane, allow("tcp", 443, nodes, text="Node groups to cluster API"))
    called = {443: "groups", 10250: "kubelets", 4443: "4443/tcp", 6443: "6443/tcp", 8443: "8443/tcp", 9443: "9443/tcp",
              10251: "10251/tcp"}  # fmt: skip
    terraform.allows_each(
        nodes,
        *(allow("tcp", port, control_plane, text=f"Cluster API to node {what}") for port, what in called.items()),
        allow("tcp", 53, nodes, text="Node to node CoreDNS"),
        allow("udp", 53, nodes, text="Node to node CoreDNS UDP"),
        allow("tcp", (1025, 65535), nodes, text="Node to node ingress on ephemeral ports"),
    )
    terraform.allows_each(nodes, allow("-1", None, WORLD), allow("-1", None, WORLD_V6), egress=True)
    return control_plane, nodes


def terraform(account: Account, tags: dict[str, str] | None = None, **options: Any) -> Cluster:
    """terraform-aws-eks without its nodes; `options` are those of the cluster."""
    control_plane, nodes = terraform_groups(account, tags)
    cluster = account.terraform.creates_cluster([control_plane], **{"public": False, **options})
    cluster.nodes = nodes
    return cluster


def terraform_with_nodes(account: Account) -> Cluster:
    """The same with a managed node group."""
    cluster = terraform(account)
    account.terraform.creates_node_group(cluster, [cluster.nodes])
    return cluster


def running_eks(account: Account) -> Cluster:
    """EKS's own cluster, there before the guard: a private endpoint, and one group for everything."""
    with account.before_the_guard():
        cluster = account.person.creates_cluster(public=False)
        account.person.creates_node_group(cluster)
    cluster.nodes = cluster.group
    return cluster


def running_terraform(account: Account) -> Cluster:
    """terraform-aws-eks's cluster, there before the guard."""
    with account.before_the_guard():
        return terraform_with_nodes(account)
