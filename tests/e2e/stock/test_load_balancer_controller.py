"""AWS Load Balancer Controller, in a pod with a web identity: kubernetes-sigs/aws-load-balancer-controller @225f445,
pkg/networking, pkg/service, pkg/ingress."""

import pytest

from account import SUBNETS, Account, Cluster
from installers import running_eks, running_terraform
from world import VPC_RANGE, WORLD, WORLD_V6, allow

MARKER = "elbv2.k8s.aws/targetGroupBinding=shared"
TAGS = {"elbv2.k8s.aws/cluster": "prod"}


@pytest.fixture(params=[running_eks, running_terraform], ids=["eks", "terraform"])
def cluster(request, account: Account) -> Cluster:
    return request.param(account)


def balancer(account: Account, cluster: Cluster, *listeners, network: bool = False) -> str:
    """The groups of a load balancer, then its interfaces; the group that its targets shall let in."""
    controller = account.pod(cluster, "aws-load-balancer-controller")
    front = controller.creates_group("k8s-shop-web-0a1b2c3d4e", TAGS | {"ingress.k8s.aws/stack": "shop/web"})
    controller.allows(front, *listeners)
    back = controller.creates_group("k8s-traffic-prod-0a1b2c3d4e", TAGS | {"elbv2.k8s.aws/resource": "backend-sg"})
    account.load_balancer([front, back], network=network)
    return back


def opens(account: Account, cluster: Cluster, *permissions) -> None:
    """What the targets let in."""
    account.pod(cluster, "aws-load-balancer-controller").allows(cluster.nodes, *permissions)


def test_public_ingress(account: Account, cluster: Cluster):
    """Its rule is one range from the lowest port to the highest, which covers the kubelet's."""
    back = balancer(account, cluster, allow("tcp", 80, WORLD, WORLD_V6), allow("tcp", 443, WORLD, WORLD_V6))
    opens(account, cluster, allow("tcp", (8080, 15021), back, text=MARKER))
    account.ends_with()


def test_ingress_for_an_office(account: Account, cluster: Cluster):
    back = balancer(account, cluster, allow("tcp", 443, "203.0.113.0/24"))
    opens(account, cluster, allow("tcp", (31000, 31080), back, text=MARKER))
    account.ends_with()


def test_unrestricted_rules(account: Account):
    """`--disable-restricted-sg-rules`."""
    cluster = running_eks(account)
    back = balancer(account, cluster, allow("tcp", 443, WORLD))
    opens(account, cluster, allow("tcp", (0, 65535), back, text=MARKER), allow("udp", (0, 65535), back, text=MARKER))
    account.ends_with()


def test_network_load_balancer_with_groups(account: Account):
    cluster = running_eks(account)
    mtu = [{"IpProtocol": "icmp", "FromPort": 3, "ToPort": 4, "IpRanges": [{"CidrIp": WORLD}]}]
    back = balancer(account, cluster, allow("tcp", 443, WORLD), allow("udp", 443, WORLD), *mtu, network=True)
    opens(account, cluster, allow("tcp", 8443, back, text=MARKER), allow("udp", 8443, back, text=MARKER))
    account.ends_with()


def test_ssh_of_a_git_server_with_groups(account: Account):
    """A listener on 22 is real. It is the load balancer's, so it is told and stays."""
    cluster = running_eks(account)
    back = balancer(account, cluster, allow("tcp", 22, WORLD), network=True)
    opens(account, cluster, allow("tcp", 2222, back, text=MARKER))
    account.ends_with(
        # Told while the group carries nothing but tags ...
        "medium remote-login-wide: tcp 22 from 0.0.0.0/0 on k8s-shop-web-0a1b2c3d4e",
        # ... and of the load balancer: a login for everybody should be meant.
        "critical load-balancer-sensitive: tcp 22 from 0.0.0.0/0 on k8s-shop-web-0a1b2c3d4e",
    )


def test_public_network_load_balancer_without_groups(account: Account, cluster: Cluster):
    """Clients' addresses reach the NodePort: the world's. Health checks come from the subnets."""
    opens(account, cluster, allow("tcp", 31234, WORLD, text=MARKER), allow("tcp", 32001, *SUBNETS, text=MARKER))
    account.ends_with(
        # The nodes themselves are open to the world on this port: one port, so medium.
        f"medium nodeport-internet: tcp 31234 from 0.0.0.0/0 on {name(account, cluster)}",
    )


def test_internal_network_load_balancer_without_groups(account: Account):
    cluster = running_eks(account)
    opens(account, cluster, allow("tcp", 31234, VPC_RANGE, text=MARKER), allow("udp", 31053, VPC_RANGE, text=MARKER))
    account.ends_with()


@pytest.mark.parametrize(
    ("traffic", "port", "line"),
    [
        # A name server for everybody: what it is to the guard is high, its controller's word keeps it open.
        ("tcp", 53, "high cluster-internals-wide: tcp 53"),
        ("udp", 53, "high cluster-internals-wide: udp 53"),
        # The mesh's control plane, as a gateway for other clusters.
        ("tcp", 15012, "high cluster-internals-wide: tcp 15012"),
        # A published pod: its own port, its controller's rule, so medium.
        ("tcp", 8443, "medium other-internet: tcp 8443"),
    ],
)
def test_pods_as_targets_without_groups(account: Account, traffic, port, line):
    cluster = running_eks(account)
    opens(account, cluster, allow(traffic, port, WORLD, text=MARKER))
    account.ends_with(f"{line} from 0.0.0.0/0 on {name(account, cluster)}")


def test_ssh_of_pods_without_groups(account: Account):
    """Any pod with a web identity could write this rule."""
    cluster = running_eks(account)
    opens(account, cluster, allow("tcp", 22, WORLD, text=MARKER))
    account.ends_with(
        # SSH of nodes for everybody: a web identity is not trusted with it. Where it is meant, `controllers` has the role.
        f"critical remote-login-wide: tcp 22 from 0.0.0.0/0 on {name(account, cluster)}, revoked",
    )


def name(account: Account, cluster: Cluster) -> str:
    return account.emulator.backend.get_security_group_from_id(cluster.nodes).name
