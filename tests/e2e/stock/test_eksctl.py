"""eksctl: two kinds of stacks. eksctl-io/eksctl @99984ad, pkg/cfn/builder. It leaves EKS's default endpoint."""

from account import PUBLIC_ENDPOINT, Account, Cluster
from world import VPC_RANGE, WORLD, WORLD_V6, allow

# eksctl leaves EKS's default: the endpoint answers everybody.
DEFAULT = PUBLIC_ENDPOINT
# While nothing has the shared group (with managed nodes alone: for ever) it is nobody's, and could become anybody's: low.
SHARED = (
    "low etcd-elsewhere + foreign-group + kubelet-private: all from eksctl-prod-cluster-ClusterSharedNodeSecurityGroup-1B "
    "on eks-cluster-sg-prod-1000000000"
)


def of_stack(stack: str, logical_id: str) -> dict[str, str]:
    return {
        "alpha.eksctl.io/cluster-name": "prod",
        "aws:cloudformation:stack-name": stack,
        "aws:cloudformation:logical-id": logical_id,
    }


def cluster_stack(account: Account) -> tuple[Cluster, str]:
    """The cluster, and the group that its self-managed nodes share."""
    stack, eksctl = "eksctl-prod-cluster", account.cloudformation
    own, common = "ControlPlaneSecurityGroup", "ClusterSharedNodeSecurityGroup"
    control_plane = eksctl.creates_group(f"{stack}-{own}-1A", of_stack(stack, own))
    shared = eksctl.creates_group(f"{stack}-{common}-1B", of_stack(stack, common))
    eksctl.allows(shared, allow("-1", None, shared, text="Allow nodes to communicate with each other (all ports)"))
    cluster = eksctl.creates_cluster([control_plane])
    text = "Allow managed and unmanaged nodes to communicate with each other (all ports)"
    eksctl.allows(shared, allow("-1", None, cluster.group, text=text))
    eksctl.allows(cluster.group, allow("-1", None, shared, text="Allow unmanaged nodes to communicate with control plane"))
    return cluster, shared


def node_stack(account: Account, cluster: Cluster, shared: str, *ssh: dict) -> str:
    """A self-managed node group: its group, the control plane's rules for it, then its nodes."""
    stack, eksctl = "eksctl-prod-nodegroup-ng", account.cloudformation
    nodes = eksctl.creates_group(f"{stack}-SG-1C", of_stack(stack, "SG") | cluster.tag)
    if ssh:
        eksctl.allows(nodes, *ssh)
    plane = cluster.control_plane
    eksctl.allows(nodes, allow("tcp", (1025, 65535), plane, text="[IngressInterCluster] Allow ng to communicate"))
    eksctl.allows(nodes, allow("tcp", 443, plane, text="[IngressInterClusterAPI] Allow ng to communicate"))
    eksctl.allows(plane, allow("tcp", 443, nodes, text="Allow control plane to receive API requests from ng"))
    eksctl.allows(plane, allow("tcp", (1025, 65535), nodes), allow("tcp", 443, nodes), egress=True)
    account.nodes(cluster, [nodes, shared])
    return nodes


def test_managed_nodes_only(account: Account):
    """The shared group is attached to nothing, for ever."""
    cluster, _ = cluster_stack(account)
    account.cloudformation.creates_node_group(cluster, [cluster.group])
    account.ends_with(DEFAULT, SHARED)


def test_fargate_only(account: Account):
    cluster, _ = cluster_stack(account)
    account.interface(cluster.group, "arn:aws:ecs:us-east-1:123456789012:attachment/0", owner="888888888888", managed=True)
    account.ends_with(DEFAULT, SHARED)


def test_self_managed_nodes(account: Account):
    node_stack(account, *cluster_stack(account))
    account.ends_with(DEFAULT, SHARED)


def test_self_managed_nodes_with_ssh_from_the_vpc(account: Account):
    """With private networking."""
    node_stack(account, *cluster_stack(account), allow("tcp", 22, VPC_RANGE, text="Allow SSH access to ng (private)"))
    account.ends_with(DEFAULT, SHARED)


def test_self_managed_nodes_with_ssh_from_everywhere(account: Account):
    node_stack(account, *cluster_stack(account), allow("tcp", 22, WORLD), allow("tcp", 22, WORLD_V6))
    name = "eksctl-prod-nodegroup-ng-SG-1C"
    account.ends_with(
        DEFAULT,
        SHARED,
        # eksctl's own "SSH from everywhere": told while the group has no node yet ...
        f"medium remote-login-wide: tcp 22 from 0.0.0.0/0 on {name}",
        f"medium remote-login-wide: tcp 22 from ::/0 on {name}",
        # ... and revoked as soon as the guard looks at nodes that have it; the README says so.
        f"critical remote-login-wide: tcp 22 from 0.0.0.0/0 on {name}, revoked",
        f"critical remote-login-wide: tcp 22 from ::/0 on {name}, revoked",
    )


def test_managed_nodes_with_ssh_from_everywhere(account: Account):
    cluster, _ = cluster_stack(account)
    stack = "eksctl-prod-nodegroup-ng"
    remote = account.cloudformation.creates_group(f"{stack}-remoteAccess", of_stack(stack, "SSH"))
    account.cloudformation.allows(remote, allow("tcp", 22, WORLD), allow("tcp", 22, WORLD_V6))
    account.cloudformation.creates_node_group(cluster, [cluster.group, remote])
    account.ends_with(
        DEFAULT,
        SHARED,
        # Revoked as soon as the node group names it; the README says so.
        f"critical remote-login-wide: tcp 22 from 0.0.0.0/0 on {stack}-remoteAccess, revoked",
        f"critical remote-login-wide: tcp 22 from ::/0 on {stack}-remoteAccess, revoked",
    )


def test_efa(account: Account):
    """Its group has no cluster tag on purpose, and lets everything of itself in and out."""
    cluster, _ = cluster_stack(account)
    efa = account.cloudformation.creates_group("eksctl-prod-nodegroup-ng-EFASG-1D")
    account.cloudformation.allows(efa, allow("-1", None, efa, text="Allow all inbound EFA traffic"))
    account.cloudformation.allows(efa, allow("-1", None, efa, text="Allow all outbound EFA traffic"), egress=True)
    account.cloudformation.creates_node_group(cluster, [cluster.group, efa])
    account.ends_with(DEFAULT, SHARED)
