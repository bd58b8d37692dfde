"""Karpenter picks groups by a tag and writes no rule. aws/karpenter-provider-aws @1d92708."""

from account import Account
from installers import terraform
from world import allow

DISCOVERY = {"karpenter.sh/discovery": "prod"}
ON_NODES = {"karpenter.sh/nodepool": "default", "eks:eks-cluster-name": "prod"}


def test_on_the_cluster_group(account: Account):
    cluster = account.person.creates_cluster(public=False)
    account.person.tags(cluster.group, DISCOVERY)
    account.nodes(cluster, [cluster.group], **ON_NODES)
    account.ends_with()


def test_on_the_node_group_of_terraform_aws_eks(account: Account):
    cluster = terraform(account, DISCOVERY)
    account.nodes(cluster, [cluster.nodes], **ON_NODES)
    account.ends_with()


def test_on_a_group_of_its_own(account: Account):
    cluster = account.person.creates_cluster(public=False)
    own = account.person.creates_group("karpenter-nodes", DISCOVERY)
    account.person.allows(own, allow("-1", None, own), allow("-1", None, cluster.group))
    account.person.allows(cluster.group, allow("-1", None, own))
    account.nodes(cluster, [own], **ON_NODES)
    account.ends_with(
        # Until the first node starts, nothing proves whose this peer is.
        "low etcd-elsewhere + foreign-group + kubelet-private: all from karpenter-nodes on eks-cluster-sg-prod-1000000000",
    )
