"""Cluster API's AWSManagedControlPlane: kubernetes-sigs/cluster-api-provider-aws @2cf09d7."""

import pytest

from account import PUBLIC_ENDPOINT, Account
from world import allow


@pytest.mark.parametrize("with_bastion", [False, True], ids=["plain", "bastion"])
def test_managed_control_plane(account: Account, with_bastion):
    capa = account.person
    tags = {"sigs.k8s.io/cluster-api-provider-aws/cluster/prod": "owned"}
    extra = capa.creates_group("prod-eks-node-additional", tags)
    if with_bastion:
        bastion = capa.creates_group("prod-bastion", tags)
        capa.allows(bastion, allow("tcp", 22, "203.0.113.0/24"))
        account.instance(bastion, {"Name": "prod-bastion"} | tags)
        capa.allows(extra, allow("tcp", 22, bastion, text="SSH"))
    cluster = capa.creates_cluster([extra])
    capa.creates_node_group(cluster, [cluster.group, extra])
    account.ends_with(
        # Cluster API leaves EKS's default: the endpoint answers everybody.
        PUBLIC_ENDPOINT,
    )
