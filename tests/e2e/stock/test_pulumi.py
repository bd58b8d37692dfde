"""Pulumi EKS: pulumi/pulumi-eks @7bf0c1b, nodejs/eks/nodes/securitygroup.ts."""

from account import PUBLIC_ENDPOINT, Account
from world import WORLD, allow


def test_node_group(account: Account):
    pulumi = account.terraform  # the same provider makes the calls
    plane = pulumi.creates_group("prod-eksClusterSecurityGroup-1a")
    pulumi.allows(plane, allow("-1", None, WORLD, text="Allow internet access."), egress=True)
    cluster = pulumi.creates_cluster([plane])
    nodes = pulumi.creates_group("prod-nodeSecurityGroup-1b", cluster.tag)
    pulumi.allows(nodes, allow("-1", None, nodes, text="Allow nodes to communicate with each other"))
    pulumi.allows(nodes, allow("tcp", (1025, 65535), plane, text="Allow worker Kubelets and pods to receive communication"))
    pulumi.allows(nodes, allow("tcp", 443, plane, text="Allow pods running extension API servers on port 443"))
    pulumi.allows(nodes, allow("-1", None, WORLD, text="Allow internet access."), egress=True)
    pulumi.allows(plane, allow("tcp", 443, nodes, text="Allow pods to communicate with the cluster API Server"))
    account.nodes(cluster, [nodes])
    account.ends_with(
        # Pulumi leaves EKS's default: the endpoint answers everybody.
        PUBLIC_ENDPOINT,
    )
