"""The guide's CloudFormation template of self-managed nodes: awslabs/amazon-eks-ami, amazon-eks-nodegroup.yaml."""

from account import PUBLIC_ENDPOINT, Account
from world import WORLD, allow


def test_node_group_of_the_template(account: Account):
    plane = account.person.creates_group("prod-control-plane")
    cluster = account.person.creates_cluster([plane])
    stack = account.cloudformation
    # The group and its rules are there before any node.
    nodes = stack.creates_group("prod-nodes-NodeSecurityGroup-1A", cluster.tag)
    stack.allows(nodes, allow("-1", None, nodes, text="Allow node to communicate with each other"))
    stack.allows(nodes, allow("tcp", (1025, 65535), plane))
    stack.allows(nodes, allow("tcp", 443, plane))
    stack.allows(plane, allow("tcp", 443, nodes))
    stack.allows(plane, allow("tcp", (1025, 65535), nodes), allow("tcp", 443, nodes), egress=True)
    account.nodes(cluster, [nodes])
    account.ends_with(
        # The template leaves EKS's default: the endpoint answers everybody.
        PUBLIC_ENDPOINT,
    )


def test_the_same_with_ssh_from_everywhere(account: Account):
    plane = account.person.creates_group("prod-control-plane")
    cluster = account.person.creates_cluster([plane], public=False)
    nodes = account.cloudformation.creates_group("prod-nodes", cluster.tag)
    account.cloudformation.allows(nodes, allow("-1", None, nodes), allow("-1", None, plane))
    account.cloudformation.allows(plane, allow("tcp", 443, nodes))
    account.nodes(cluster, [nodes])
    account.person.allows(nodes, allow("tcp", 22, WORLD))
    account.ends_with(
        # No installer's, and closed.
        "critical remote-login-wide: tcp 22 from 0.0.0.0/0 on prod-nodes, revoked",
    )
