"""AWS CDK, aws-eks and aws-eks-v2: aws/aws-cdk @7be3ff8, @a052ef6."""

from account import PUBLIC_ENDPOINT, Account, Cluster
from world import WORLD, allow

# CDK's default is a public and a private endpoint.
DEFAULT = PUBLIC_ENDPOINT


def stack(account: Account) -> Cluster:
    control_plane = account.cloudformation.creates_group("Stack-ClusterControlPlaneSecurityGroup-1A")
    return account.cloudformation.creates_cluster([control_plane])


def test_managed_capacity(account: Account):
    cluster = stack(account)
    account.cloudformation.creates_node_group(cluster)
    account.ends_with(DEFAULT)


def test_self_managed_capacity(account: Account):
    """The cluster's tag is kept off the group on purpose; nodes have the cluster group too."""
    cluster, cdk = stack(account), account.cloudformation
    nodes = cdk.creates_group("Stack-ClusterCapacityInstanceSecurityGroup-1B")
    cdk.allows(nodes, allow("-1", None, nodes, text="from Stack:ALL TRAFFIC"))
    for peer in (cluster.control_plane, cluster.group):
        cdk.allows(nodes, allow("tcp", 443, peer), allow("tcp", (1025, 65535), peer))
        cdk.allows(peer, allow("tcp", 443, nodes))
    cdk.allows(nodes, *(allow(protocol, (0, 65535), WORLD) for protocol in ("tcp", "udp")), egress=True)
    account.nodes(cluster, [nodes, cluster.group])
    account.ends_with(DEFAULT)
