"""Cloud Posse's module, which writes into the cluster group: cloudposse/terraform-aws-eks-cluster @5d0accb,
security-group.tf. Found by our own search."""

from account import PUBLIC_ENDPOINT, Account
from world import VPC_RANGE, allow

ON = "on eks-cluster-sg-prod-1000000000"


def test_groups_and_networks_let_in_whole(account: Account):
    """`allowed_security_group_ids` and `allowed_cidr_blocks`: all traffic from a bastion and from the VPC."""
    bastion = account.terraform.creates_group("bastion")
    account.instance(bastion, {"Name": "bastion"})
    cluster = account.terraform.creates_cluster()
    text = "Allow inbound traffic from existing Security Groups"
    account.terraform.allows_each(cluster.group, allow("-1", None, bastion, text=text), allow("-1", None, VPC_RANGE))
    account.terraform.creates_node_group(cluster)
    account.ends_with(
        # The module's default.
        PUBLIC_ENDPOINT,
        # A bastion reaches everything of the nodes, kubelet and etcd among it: by chance, so low.
        f"low etcd-elsewhere + foreign-group + kubelet-private: all from bastion {ON}",
        f"low etcd-elsewhere + kubelet-private: all from 10.0.0.0/16 {ON}",
    )
