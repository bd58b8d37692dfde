"""EKS: what a cluster and a node group say about themselves."""

from moto.ec2.models import ec2_backends
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.eks.models import EKSBackend

from aws_behaviour.patching import patch


@patch(EKSBackend, "create_cluster")
def _cluster(original, self, name, role_arn, resources_vpc_config, **options):
    # moto: gives back the VPC settings as typed. AWS: makes the cluster security group and fills in the rest.
    ec2 = ec2_backends[self.account_id][self.region_name]
    vpc = ec2.get_subnet(resources_vpc_config["subnetIds"][0]).vpc_id
    group_name = f"eks-cluster-sg-{name}-{1000000000 + self.cluster_count}"
    tags = {"Name": group_name, "aws:eks:cluster-name": name, f"kubernetes.io/cluster/{name}": "owned"}
    group = ec2.create_security_group(group_name, "EKS created security group applied to ENI", vpc_id=vpc, tags=tags)
    group.add_ingress_rule(
        SecurityGroupRule(
            ec2, "-1", group.id, None, None, None, {"GroupId": group.id, "UserId": self.account_id}, is_egress=False
        )
    )
    settings = {
        "securityGroupIds": [],
        "endpointPublicAccess": True,
        "endpointPrivateAccess": False,
        "publicAccessCidrs": ["0.0.0.0/0"],
        **resources_vpc_config,
        "vpcId": vpc,
        "clusterSecurityGroupId": group.id,
    }
    return original(self, name, role_arn, settings, **options)


@patch(EKSBackend, "create_nodegroup")
def _nodegroup(original, self, *args, remote_access=None, **options):
    # moto: invents a remote-access group that does not exist, and a key pair. AWS: has neither unless they were asked for.
    nodegroup = original(self, *args, remote_access=remote_access, **options)
    if not remote_access:
        nodegroup.resources.pop("remoteAccessSecurityGroup")
        nodegroup.remote_access = None
    return nodegroup
