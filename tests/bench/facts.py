"""The canned account as AWS shows it: what stands in the answers, before it is XML or JSON.

Owns: the names of fields. Must not know what was asked.
"""

from typing import Any

from canned import (
    ACCOUNT, CLUSTER, CONTROL_PLANE, NAMES, NODE_GROUP, NODES, RANGE, REGION, SCALING, SUBNETS, TEMPLATE, VPC, Attachment,
    Rule,
)  # fmt: skip

EKS_ACCOUNT = "444455556666"
LONG_AGO = "2024-02-29T08:00:00.000Z"
TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/audit"
Fields = dict[str, Any]


def tags(of: dict[str, str]) -> list[Fields]:
    return [{"key": key, "value": value} for key, value in of.items()]


def groups(attachment: Attachment) -> list[Fields]:
    return [{"groupId": attachment.group, "groupName": NAMES[attachment.group]}]


def interface(each: Attachment) -> Fields:
    managed = each.instance is None
    device = {"deviceIndex": 0, "networkCardIndex": 0, "status": "attached", "attachTime": LONG_AGO}
    return {
        "networkInterfaceId": each.interface,
        "subnetId": each.subnet,
        "vpcId": VPC,
        "availabilityZone": SUBNETS[each.subnet],
        "description": each.description,
        "ownerId": ACCOUNT,
        "requesterId": "AROAEXAMPLE:AmazonEKS" if managed else None,
        "requesterManaged": managed,
        "status": "in-use",
        "macAddress": "0a:1b:2c:3d:4e:5f",
        "privateIpAddress": each.address,
        "sourceDestCheck": True,
        "interfaceType": "interface",
        "groupSet": groups(each),
        "attachment": {
            "attachmentId": each.interface.replace("eni-", "eni-attach-"),
            "instanceId": each.instance,
            "instanceOwnerId": EKS_ACCOUNT if managed else ACCOUNT,
            "deleteOnTermination": not managed,
            **device,
        },
        "privateIpAddressesSet": [{"privateIpAddress": each.address, "primary": True}],
        "ipv6AddressesSet": [],
        "tagSet": [],
        "operator": {"managed": False},
    }


def instance(each: Attachment) -> Fields:
    shown = interface(each)
    del shown["tagSet"], shown["requesterId"], shown["requesterManaged"], shown["availabilityZone"], shown["operator"]
    volume = {"volumeId": each.interface.replace("eni-", "vol-"), "status": "attached", "attachTime": LONG_AGO}
    instance = {
        "instanceId": each.instance,
        "imageId": "ami-0aa1aa1aa1aa1aa1a",
        "instanceState": {"code": 16, "name": "running"},
        "privateDnsName": f"ip-{each.address.replace('.', '-')}.ec2.internal",
        "amiLaunchIndex": 0,
        "productCodes": [],
        "instanceType": "m6i.large",
        "launchTime": LONG_AGO,
        "placement": {"availabilityZone": SUBNETS[each.subnet], "groupName": "", "tenancy": "default"},
        "monitoring": {"state": "disabled"},
        "subnetId": each.subnet,
        "vpcId": VPC,
        "privateIpAddress": each.address,
        "sourceDestCheck": True,
        "groupSet": groups(each),
        "architecture": "x86_64",
        "rootDeviceType": "ebs",
        "rootDeviceName": "/dev/xvda",
        "blockDeviceMapping": [{"deviceName": "/dev/xvda", "ebs": {**volume, "deleteOnTermination": True}}],
        "virtualizationType": "hvm",
        "tagSet": tags(each.tags),
        "hypervisor": "xen",
        "networkInterfaceSet": [shown],
        "iamInstanceProfile": {"arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/eks-workers", "id": "AIPAEXAMPLE"},
        "ebsOptimized": False,
        "enaSupport": True,
        "cpuOptions": {"coreCount": 1, "threadsPerCore": 2},
        "capacityReservationSpecification": {"capacityReservationPreference": "open"},
        "hibernationOptions": {"configured": False},
        "enclaveOptions": {"enabled": False},
        "metadataOptions": {
            "state": "applied", "httpTokens": "required", "httpPutResponseHopLimit": 2, "httpEndpoint": "enabled",
        },
        "maintenanceOptions": {"autoRecovery": "default"},
        "operator": {"managed": False},
    }  # fmt: skip
    reserved = {"reservationId": each.interface.replace("eni-", "r-"), "ownerId": ACCOUNT, "groupSet": []}
    return {**reserved, "instancesSet": [instance]}


def attributes(each: Attachment) -> dict[str, set[str]]:
    """What filters can ask of an interface or its instance."""
    managed = each.instance is None
    return {
        "vpc-id": {VPC},
        "group-id": {each.group},
        "network-interface.group-id": {each.group},
        "instance-id": {each.instance or ""},
        "attachment.instance-id": {each.instance or ""},
        "network-interface-id": {each.interface},
        "instance-state-name": {"running"},
        "tag-key": set(each.tags),
        "requester-managed": {str(managed).lower()},
        "attachment.instance-owner-id": {EKS_ACCOUNT if managed else ACCOUNT},
        "description": {each.description},
    }


THE_VPC = {
    "vpcId": VPC,
    "ownerId": ACCOUNT,
    "state": "available",
    "cidrBlock": RANGE,
    "cidrBlockAssociationSet": [
        {"cidrBlock": RANGE, "associationId": "vpc-cidr-assoc-0aa1", "cidrBlockState": {"state": "associated"}}
    ],
    "dhcpOptionsId": "dopt-0aa1",
    "instanceTenancy": "default",
    "isDefault": False,
    "tagSet": tags({"Name": "prod"}),
}
TEMPLATE_VERSION = {
    "launchTemplateId": TEMPLATE,
    "launchTemplateName": "prod-nodes",
    "versionNumber": 1,
    "createTime": LONG_AGO,
    "createdBy": f"arn:aws:iam::{ACCOUNT}:role/installer",
    "defaultVersion": True,
    "launchTemplateData": {"securityGroupIdSet": [NODES], "instanceType": "m6i.large"},
}
THE_CLUSTER = {
    "name": CLUSTER,
    "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{CLUSTER}",
    "createdAt": 1709193600.0,
    "version": "1.34",
    "endpoint": "https://0123456789ABCDEF0123456789ABCDEF.gr7.us-east-1.eks.amazonaws.com",
    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/prod-cluster",
    "resourcesVpcConfig": {
        "subnetIds": list(SUBNETS),
        "securityGroupIds": [],
        "clusterSecurityGroupId": CONTROL_PLANE,
        "vpcId": VPC,
        "endpointPublicAccess": False,
        "endpointPrivateAccess": True,
        "publicAccessCidrs": [],
    },
    "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"},
    "logging": {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]},
    "identity": {"oidc": {"issuer": f"https://oidc.eks.{REGION}.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"}},
    "status": "ACTIVE",
    "certificateAuthority": {"data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t" * 40},
    "platformVersion": "eks.9",
    "tags": {"environment": "production"},
    "health": {"issues": []},
    "accessConfig": {"authenticationMode": "API"},
    "upgradePolicy": {"supportType": "STANDARD"},
}
NODEGROUP = {
    "nodegroupName": NODE_GROUP,
    "nodegroupArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:nodegroup/{CLUSTER}/{NODE_GROUP}/2cc1f0d2",
    "clusterName": CLUSTER,
    "status": "ACTIVE",
    "subnets": list(SUBNETS),
    "resources": {"autoScalingGroups": [{"name": SCALING}]},
    "launchTemplate": {"id": TEMPLATE, "name": "prod-nodes", "version": "1"},
}
EKS_CALLS = {
    "/clusters": "ListClusters",
    f"/clusters/{CLUSTER}": "DescribeCluster",
    f"/clusters/{CLUSTER}/node-groups": "ListNodegroups",
    f"/clusters/{CLUSTER}/node-groups/{NODE_GROUP}": "DescribeNodegroup",
}
# What these services say, whatever the request holds.
SAID: dict[tuple[str, str], Any] = {
    ("eks", "ListClusters"): {"clusters": [CLUSTER]},
    ("eks", "DescribeCluster"): {"cluster": THE_CLUSTER},
    ("eks", "ListNodegroups"): {"nodegroups": [NODE_GROUP]},
    ("eks", "DescribeNodegroup"): {"nodegroup": NODEGROUP},
    ("cloudtrail", "DescribeTrails"): {
        "trailList": [{"Name": "audit", "TrailARN": TRAIL, "HomeRegion": REGION, "IsMultiRegionTrail": True}]
    },
    ("cloudtrail", "GetTrailStatus"): {"IsLogging": True},
    ("cloudtrail", "GetEventSelectors"): {
        "TrailARN": TRAIL, "EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": True}],
    },
    ("sqs", "SendMessage"): {"MessageId": "00000000-0000-4000-8000-00000000000a"},
}  # fmt: skip
SAID_XML = {
    ("sts", "GetCallerIdentity"): {
        "GetCallerIdentityResult": {"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/guard/guard", "UserId": "AROA:guard",
                                    "Account": ACCOUNT}
    },
    ("iam", "ListAccountAliases"): {"ListAccountAliasesResult": {"AccountAliases": [], "IsTruncated": False}},
    ("sns", "Publish"): {"PublishResult": {"MessageId": "00000000-0000-4000-8000-00000000000b"}},
}  # fmt: skip


def peer(each: Rule) -> Fields:
    if each.peer.startswith("sg-"):
        return {"referencedGroupInfo": {"groupId": each.peer, "userId": ACCOUNT}}
    return {"cidrIpv4": each.peer}


def rule(each: Rule) -> Fields:
    return {
        "securityGroupRuleId": each.id,
        "groupId": each.group,
        "groupOwnerId": ACCOUNT,
        "isEgress": each.egress,
        "ipProtocol": each.protocol,
        "fromPort": each.ports[0],
        "toPort": each.ports[1],
        **peer(each),
        "description": each.text,
        "tagSet": [],
    }


def permission(each: Rule) -> Fields:
    text = {"description": each.text}
    pairs = [{"userId": ACCOUNT, "groupId": each.peer, **text}] if each.peer.startswith("sg-") else []
    ranges = [] if pairs else [{"cidrIp": each.peer, **text}]
    ports = {} if each.protocol == "-1" else {"fromPort": each.ports[0], "toPort": each.ports[1]}
    return {"ipProtocol": each.protocol, **ports, "groups": pairs, "ipRanges": ranges, "ipv6Ranges": [], "prefixListIds": []}
